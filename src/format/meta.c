// SPDX-License-Identifier: MIT
/* meta.c - metadata being put together, each value in the bytes that a GGUF file has for it. */
#include "format/meta.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "format/gguf_priv.h"

const ls_gguf_kv *ls_meta_find(const ls_meta *m, const char *key)
{
    for (size_t i = 0; i < m->n; i++) {
        if (ls_str_is(m->kv[i].key, key)) return &m->kv[i];
    }
    return NULL;
}

bool ls_meta_remove(ls_meta *m, const char *key)
{
    for (size_t i = 0; i < m->n; i++) {
        if (!ls_str_is(m->kv[i].key, key)) continue;
        memmove(&m->kv[i], &m->kv[i + 1], (m->n - i - 1) * sizeof(*m->kv));
        m->n--;
        return true;
    }
    return false;
}

void ls_meta_fini(ls_meta *m)
{
    free(m->kv);
    m->kv = NULL;
    m->n = m->cap = 0;
}

/* The entry to fill for `key`: a new one, or the one that it has, emptied. */
static ls_status entry(ls_meta *m, ls_str key, ls_gguf_kv **out, ls_error *err)
{
    for (size_t i = 0; i < m->n; i++) {
        if (!ls_str_eq(m->kv[i].key, key)) continue;
        *out = &m->kv[i];
        **out = (ls_gguf_kv){.key = m->kv[i].key};
        return LS_OK;
    }
    LS_TRY(ls_grow(&m->kv, &m->cap, m->n + 1, sizeof(*m->kv), "the metadata", err));
    m->kv[m->n] = (ls_gguf_kv){0};
    LS_TRY(ls_arena_str(m->mem, &m->kv[m->n].key, key.p, key.len, err));
    *out = &m->kv[m->n++];
    return LS_OK;
}

static ls_status scalar(ls_meta *m, const char *key, ls_gguf_type type, const void *v,
                        ls_error *err)
{
    ls_gguf_kv *kv;
    size_t      n = ls_gguf_type_bytes(type);
    void       *data;
    LS_TRY(ls_arena_alloc(m->mem, &data, 1, n, "the metadata", err));
    memcpy(data, v, n);
    LS_TRY(entry(m, (ls_str){key, strlen(key)}, &kv, err));
    kv->type = type;
    kv->data = data;
    return LS_OK;
}

ls_status ls_meta_int(ls_meta *m, const char *key, ls_gguf_type type, int64_t v, ls_error *err)
{
    static const struct {
        int64_t min, max;
    } range[LS_GGUF_N_TYPES] = {
        [LS_GGUF_U8] = {0, UINT8_MAX},   [LS_GGUF_I8] = {INT8_MIN, INT8_MAX},
        [LS_GGUF_U16] = {0, UINT16_MAX}, [LS_GGUF_I16] = {INT16_MIN, INT16_MAX},
        [LS_GGUF_U32] = {0, UINT32_MAX}, [LS_GGUF_I32] = {INT32_MIN, INT32_MAX},
        [LS_GGUF_U64] = {0, INT64_MAX},  [LS_GGUF_I64] = {INT64_MIN, INT64_MAX},
    };
    if ((unsigned)type >= LS_GGUF_N_TYPES || range[type].max == 0 || v < range[type].min ||
        v > range[type].max) {
        return ls_fail(err, LS_ERR_USAGE, "metadata key '%s': %lld is no value of type %s", key,
                       (long long)v, ls_gguf_type_name(type));
    }
    return scalar(m, key, type, &v, err); /* little-endian: the low bytes come first */
}

ls_status ls_meta_float(ls_meta *m, const char *key, ls_gguf_type type, double v, ls_error *err)
{
    float f = (float)v;
    return scalar(m, key, type, type == LS_GGUF_F32 ? (const void *)&f : &v, err);
}

ls_status ls_meta_bool(ls_meta *m, const char *key, bool v, ls_error *err)
{
    uint8_t b = v;
    return scalar(m, key, LS_GGUF_BOOL, &b, err);
}

ls_status ls_meta_str(ls_meta *m, const char *key, ls_str v, ls_error *err)
{
    ls_gguf_kv *kv;
    ls_str      copy;
    LS_TRY(ls_arena_str(m->mem, &copy, v.p, v.len, err));
    LS_TRY(entry(m, (ls_str){key, strlen(key)}, &kv, err));
    kv->type = LS_GGUF_STR;
    kv->str = copy;
    return LS_OK;
}

ls_status ls_meta_array(ls_meta *m, const char *key, ls_gguf_type type, const void *data, size_t n,
                        ls_error *err)
{
    ls_gguf_kv *kv;
    void       *copy;
    size_t      size = ls_gguf_type_bytes(type);
    LS_TRY(ls_arena_alloc(m->mem, &copy, n, size, "the metadata", err));
    if (n) memcpy(copy, data, n * size);
    LS_TRY(entry(m, (ls_str){key, strlen(key)}, &kv, err));
    kv->type = LS_GGUF_ARRAY;
    kv->elem_type = type;
    kv->n = n;
    kv->data = copy;
    return LS_OK;
}

ls_status ls_meta_strs(ls_meta *m, const char *key, const ls_str *v, size_t n, ls_error *err)
{
    ls_gguf_kv *kv;
    size_t      bytes = 0;
    char       *data, *p;
    for (size_t i = 0; i < n; i++) bytes += 8 + v[i].len;
    LS_TRY(ls_arena_alloc(m->mem, &data, bytes, 1, "the metadata", err));
    p = data;
    for (size_t i = 0; i < n; i++) {
        uint64_t len = v[i].len;
        memcpy(p, &len, 8);
        if (len) memcpy(p + 8, v[i].p, v[i].len);
        p += 8 + len;
    }
    LS_TRY(entry(m, (ls_str){key, strlen(key)}, &kv, err));
    kv->type = LS_GGUF_ARRAY;
    kv->elem_type = LS_GGUF_STR;
    kv->n = n;
    kv->data = data;
    return LS_OK;
}

size_t ls_gguf_value_bytes(const ls_gguf_kv *kv)
{
    const void *p = kv->data;
    if (kv->type == LS_GGUF_STR) return 8 + kv->str.len;
    if (kv->type != LS_GGUF_ARRAY) return ls_gguf_type_bytes(kv->type);
    if (kv->elem_type != LS_GGUF_STR) return (size_t)kv->n * ls_gguf_type_bytes(kv->elem_type);
    for (uint64_t i = 0; i < kv->n; i++) ls_gguf_next_str(&p);
    return (size_t)((const char *)p - (const char *)kv->data);
}

ls_status ls_meta_copy(ls_meta *m, const ls_gguf_kv *kv, ls_error *err)
{
    ls_gguf_kv *to, value = *kv;
    void       *data;
    size_t      n = ls_gguf_value_bytes(kv);
    if (kv->type == LS_GGUF_STR) {
        LS_TRY(ls_arena_str(m->mem, &value.str, kv->str.p, kv->str.len, err));
    } else {
        LS_TRY(ls_arena_alloc(m->mem, &data, n, 1, "the metadata", err));
        if (n) memcpy(data, kv->data, n);
        value.data = data;
    }
    LS_TRY(entry(m, kv->key, &to, err));
    value.key = to->key;
    *to = value;
    return LS_OK;
}
