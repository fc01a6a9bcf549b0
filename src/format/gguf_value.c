// SPDX-License-Identifier: MIT
/* gguf_value.c - looking up and printing what gguf.c has read. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "format/gguf_priv.h"

static const struct {
    const char *name;
    size_t      bytes;
} types[LS_GGUF_N_TYPES] = {
    [LS_GGUF_U8] = {"u8", 1},     [LS_GGUF_I8] = {"i8", 1},     [LS_GGUF_U16] = {"u16", 2},
    [LS_GGUF_I16] = {"i16", 2},   [LS_GGUF_U32] = {"u32", 4},   [LS_GGUF_I32] = {"i32", 4},
    [LS_GGUF_F32] = {"f32", 4},   [LS_GGUF_BOOL] = {"bool", 1}, [LS_GGUF_STR] = {"str", 0},
    [LS_GGUF_ARRAY] = {"arr", 0}, [LS_GGUF_U64] = {"u64", 8},   [LS_GGUF_I64] = {"i64", 8},
    [LS_GGUF_F64] = {"f64", 8},
};

size_t ls_gguf_type_bytes(ls_gguf_type type) { return types[type].bytes; }

const char *ls_gguf_type_name(ls_gguf_type type)
{
    return (unsigned)type < LS_GGUF_N_TYPES ? types[type].name : "?";
}

/* The part whose mapping holds p, or NULL. */
static const ls_part *part_of(const ls_gguf *g, const void *p)
{
    uintptr_t at = (uintptr_t)p;
    for (size_t i = 0; i < g->n_parts; i++) {
        uintptr_t start = (uintptr_t)g->parts[i].map.data;
        if (start && at >= start && at - start <= g->parts[i].map.size) return &g->parts[i];
    }
    return NULL;
}

uint64_t ls_gguf_offset(const ls_gguf *g, const void *p)
{
    const ls_part *part = part_of(g, p);
    return part ? (uint64_t)((const uint8_t *)p - part->map.data) : 0;
}

ls_status ls_gguf_fail_at(const ls_gguf *g, const void *p, ls_error *err)
{
    const ls_part *part = part_of(g, p);
    if (!part) return ls_fail_at(err, "%s", g->path);
    return ls_fail_at(err, "%s: byte %llu", part->path,
                      (unsigned long long)((const uint8_t *)p - part->map.data));
}

uint64_t ls_gguf_file_bytes(const ls_gguf *g)
{
    uint64_t n = 0;
    for (size_t i = 0; i < g->n_parts; i++) n += g->parts[i].map.size;
    return g->checkpoint ? ls_checkpoint_file_bytes(g->checkpoint) : n;
}

const char *ls_gguf_part_path(const ls_gguf *g, size_t i)
{
    if (g->checkpoint) return ls_checkpoint_part_path(g->checkpoint, i);
    return i < g->n_parts ? g->parts[i].path : NULL;
}

const char    *ls_gguf_path(const ls_gguf *g) { return g->path; }
ls_gguf_source ls_gguf_get_source(const ls_gguf *g) { return g->source; }
uint32_t       ls_gguf_version(const ls_gguf *g) { return g->version; }
uint64_t       ls_gguf_alignment(const ls_gguf *g) { return g->alignment; }
uint64_t       ls_gguf_data_off(const ls_gguf *g) { return g->n_parts ? g->parts[0].data_off : 0; }
size_t         ls_gguf_n_kv(const ls_gguf *g) { return g->n_kv; }
size_t         ls_gguf_n_tensors(const ls_gguf *g) { return g->n_tensors; }
size_t         ls_gguf_n_parts(const ls_gguf *g)
{
    return g->checkpoint ? ls_checkpoint_n_parts(g->checkpoint) : g->n_parts;
}

const ls_gguf_kv *ls_gguf_kv_at(const ls_gguf *g, size_t i)
{
    return i < g->n_kv ? &g->kv[i] : NULL;
}

const ls_tensor *ls_gguf_tensor_at(const ls_gguf *g, size_t i)
{
    return i < g->n_tensors ? &g->tensors[i] : NULL;
}

const ls_gguf_kv *ls_gguf_find(const ls_gguf *g, const char *key)
{
    for (size_t i = 0; i < g->n_kv; i++) {
        if (ls_str_is(g->kv[i].key, key)) return &g->kv[i];
    }
    return NULL;
}

const ls_tensor *ls_gguf_tensor(const ls_gguf *g, const char *name)
{
    for (size_t i = 0; i < g->n_tensors; i++) {
        if (ls_str_is(g->tensors[i].name, name)) return &g->tensors[i];
    }
    return NULL;
}

/* One number in the file as integer or double; false when the type is neither. */
typedef struct number {
    bool     is_float, is_unsigned;
    int64_t  i;
    uint64_t u;
    double   f;
} number;

static bool read_number(ls_gguf_type type, const void *p, number *out)
{
    union {
        uint8_t  u8;
        int8_t   i8;
        uint16_t u16;
        int16_t  i16;
        uint32_t u32;
        int32_t  i32;
        uint64_t u64;
        int64_t  i64;
        float    f32;
        double   f64;
    } v;
    *out = (number){0};
    if ((unsigned)type >= LS_GGUF_N_TYPES || !types[type].bytes) return false;
    memcpy(&v, p, types[type].bytes);
    switch (type) {
    case LS_GGUF_U8:
    case LS_GGUF_BOOL:
        out->i = v.u8;
        break;
    case LS_GGUF_I8:
        out->i = v.i8;
        break;
    case LS_GGUF_U16:
        out->i = v.u16;
        break;
    case LS_GGUF_I16:
        out->i = v.i16;
        break;
    case LS_GGUF_U32:
        out->i = v.u32;
        break;
    case LS_GGUF_I32:
        out->i = v.i32;
        break;
    case LS_GGUF_I64:
        out->i = v.i64;
        break;
    case LS_GGUF_U64:
        out->is_unsigned = v.u64 > INT64_MAX;
        out->u = v.u64;
        out->i = out->is_unsigned ? INT64_MAX : (int64_t)v.u64;
        break;
    case LS_GGUF_F32:
        out->is_float = true;
        out->f = (double)v.f32;
        break;
    case LS_GGUF_F64:
        out->is_float = true;
        out->f = v.f64;
        break;
    case LS_GGUF_STR:
    case LS_GGUF_ARRAY:
    case LS_GGUF_N_TYPES:
        return false;
    }
    if (!out->is_float) out->f = out->is_unsigned ? (double)out->u : (double)out->i;
    return true;
}

bool ls_gguf_int(const ls_gguf *g, const char *key, int64_t *out)
{
    const ls_gguf_kv *kv = ls_gguf_find(g, key);
    number            v;
    if (!kv || !read_number(kv->type, kv->data, &v) || v.is_float || v.is_unsigned) return false;
    *out = v.i;
    return true;
}

bool ls_gguf_float(const ls_gguf *g, const char *key, double *out)
{
    const ls_gguf_kv *kv = ls_gguf_find(g, key);
    number            v;
    if (!kv || kv->type == LS_GGUF_BOOL || !read_number(kv->type, kv->data, &v)) return false;
    *out = v.f;
    return true;
}

bool ls_gguf_bool(const ls_gguf *g, const char *key, bool *out)
{
    const ls_gguf_kv *kv = ls_gguf_find(g, key);
    if (!kv || kv->type != LS_GGUF_BOOL) return false;
    *out = *(const uint8_t *)kv->data != 0;
    return true;
}

bool ls_gguf_str(const ls_gguf *g, const char *key, ls_str *out)
{
    const ls_gguf_kv *kv = ls_gguf_find(g, key);
    if (!kv || kv->type != LS_GGUF_STR) return false;
    *out = kv->str;
    return true;
}

const ls_gguf_kv *ls_gguf_array(const ls_gguf *g, const char *key, ls_gguf_type elem_type)
{
    const ls_gguf_kv *kv = ls_gguf_find(g, key);
    return kv && kv->type == LS_GGUF_ARRAY && kv->elem_type == elem_type ? kv : NULL;
}

ls_str ls_gguf_next_str(const void **cursor)
{
    const char *p = *cursor;
    uint64_t    len;
    memcpy(&len, p, 8);
    *cursor = p + 8 + len;
    return (ls_str){p + 8, (size_t)len};
}

double ls_gguf_num_at(const ls_gguf_kv *kv, size_t i)
{
    number v;
    if (!read_number(kv->elem_type, (const uint8_t *)kv->data + i * types[kv->elem_type].bytes,
                     &v)) {
        return 0;
    }
    return v.f;
}

/* Append to buf; once it is full, appending does nothing. */
typedef struct text {
    char  *buf;
    size_t cap, len;
} text;

LS_PRINTF(2, 3) static void put(text *t, const char *fmt, ...)
{
    __builtin_va_list ap;
    int               n;
    if (t->len + 1 >= t->cap) return;
    __builtin_va_start(ap, fmt);
    n = vsnprintf(t->buf + t->len, t->cap - t->len, fmt, ap);
    __builtin_va_end(ap);
    if (n > 0) t->len += (size_t)n < t->cap - t->len ? (size_t)n : t->cap - t->len - 1;
}

static void put_number(text *t, ls_gguf_type type, const void *p)
{
    number v;
    if (!read_number(type, p, &v)) return;
    if (type == LS_GGUF_BOOL) {
        put(t, "%s", v.i ? "true" : "false");
    } else if (v.is_float) {
        put(t, type == LS_GGUF_F32 ? "%.9g" : "%.17g", v.f);
    } else if (v.is_unsigned) {
        put(t, "%" PRIu64, v.u);
    } else {
        put(t, "%" PRId64, v.i);
    }
}

/* Control characters would disturb a terminal: they are printed as escapes. */
static void put_str(text *t, ls_str s, size_t max)
{
    put(t, "\"");
    for (size_t i = 0; i < s.len && i < max; i++) {
        unsigned char ch = (unsigned char)s.p[i];
        if (ch == '\n')
            put(t, "\\n");
        else if (ch == '\t')
            put(t, "\\t");
        else if (ch == '"' || ch == '\\')
            put(t, "\\%c", ch);
        else if (ch < 32 || ch == 127)
            put(t, "\\x%02x", ch);
        else
            put(t, "%c", ch);
    }
    put(t, s.len > max ? "...\"" : "\"");
}

void ls_gguf_format(const ls_gguf_kv *kv, char *buf, size_t cap)
{
    enum { SHOWN = 5 };
    text        t = {buf, cap, 0};
    const void *p = kv->data;

    if (!cap) return;
    buf[0] = '\0';
    if (kv->type == LS_GGUF_STR) {
        put_str(&t, kv->str, 200);
        return;
    }
    if (kv->type != LS_GGUF_ARRAY) {
        put_number(&t, kv->type, p);
        return;
    }
    put(&t, "[");
    for (uint64_t i = 0; i < kv->n && i < SHOWN; i++) {
        if (i) put(&t, ", ");
        if (kv->elem_type == LS_GGUF_STR) {
            put_str(&t, ls_gguf_next_str(&p), 40);
        } else {
            put_number(&t, kv->elem_type, (const uint8_t *)p + i * types[kv->elem_type].bytes);
        }
    }
    put(&t, "%s]", kv->n > SHOWN ? ", ..." : "");
}
