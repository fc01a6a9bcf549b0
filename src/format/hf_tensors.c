// SPDX-License-Identifier: MIT
/* hf_tensors.c - the tensors of a folder under GGUF's names, by the rows of its architecture. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "dtype/dtype.h"
#include "format/checkpoint_priv.h"
#include "format/hf_priv.h"

enum { MAX_NUMBER = 1000000, GGUF_MXFP4 = 39 };

/* ---- patterns ---- */

/* A number without leading zeros; NULL where there is none. */
static const char *read_number(const char *p, const char *end, int64_t *out)
{
    int64_t v = 0;
    if (p == end || *p < '0' || *p > '9' ||
        (*p == '0' && p + 1 < end && p[1] >= '0' && p[1] <= '9'))
        return NULL;
    while (p < end && *p >= '0' && *p <= '9') {
        v = 10 * v + (*p++ - '0');
        if (v > MAX_NUMBER) return NULL;
    }
    *out = v;
    return p;
}

bool ls_hf_fits(const char *pattern, ls_str name, int64_t *layer, int64_t *expert)
{
    const char *p = name.p, *end = name.p + name.len;
    *layer = *expert = -1;
    for (; *pattern; pattern++) {
        if (*pattern == '*') return true;
        if (*pattern == '%' || *pattern == '&') {
            p = read_number(p, end, *pattern == '%' ? layer : expert);
            if (!p) return false;
        } else if (p == end || *p++ != *pattern) {
            return false;
        }
    }
    return p == end;
}

bool ls_hf_fill(char *buf, size_t cap, const char *pattern, int64_t layer, int64_t expert)
{
    size_t n = 0;
    for (; *pattern && n + 24 < cap; pattern++) {
        if (*pattern == '%' || *pattern == '&') {
            n += (size_t)snprintf(buf + n, cap - n, "%" PRId64, *pattern == '%' ? layer : expert);
        } else {
            buf[n++] = *pattern;
        }
    }
    buf[n] = '\0';
    return *pattern == '\0';
}

ls_status ls_hf_name_of(ls_hf *hf, const char *pattern, int64_t layer, int64_t expert, ls_str *out)
{
    char buf[256];
    if (!ls_hf_fill(buf, sizeof(buf), pattern, layer, expert)) {
        return ls_fail(hf->err, LS_ERR_INTERNAL, "a pattern of a tensor name is too long");
    }
    return ls_arena_str(&hf->g->mem, out, buf, strlen(buf), hf->err);
}

/* Folders of models that also see keep their text part under this name. */
#define WRAPPER "language_model."

static ls_str unwrapped(ls_str name, char *buf, size_t cap)
{
    size_t n = sizeof(WRAPPER) - 1;
    char  *at = memmem(name.p, name.len, WRAPPER, n);
    size_t head;
    if (!at || name.len >= cap) return name;
    head = (size_t)(at - name.p);
    memcpy(buf, name.p, head);
    memcpy(buf + head, at + n, name.len - head - n);
    return (ls_str){buf, name.len - n};
}

static void mark(ls_hf *hf, const ls_ckpt_tensor *t)
{
    hf->used[t - ls_checkpoint_tensor_at(hf->ckpt, 0)] = true;
}

const ls_ckpt_tensor *ls_hf_take(ls_hf *hf, const char *pattern, int64_t layer, int64_t expert)
{
    static const char *const before[] = {"", WRAPPER, "model.language_model."};
    char                     buf[256], name[300];
    if (!ls_hf_fill(buf, sizeof(buf), pattern, layer, expert)) return NULL;
    for (size_t i = 0; i < 3; i++) {
        const char           *rest = i == 2 && strncmp(buf, "model.", 6) == 0 ? buf + 6 : buf;
        const ls_ckpt_tensor *t;
        snprintf(name, sizeof(name), "%s%s", before[i], rest);
        t = ls_checkpoint_tensor(hf->ckpt, (ls_str){name, strlen(name)});
        if (!t) continue;
        mark(hf, t);
        return t;
    }
    return NULL;
}

/* ---- values ---- */

ls_status ls_hf_bad_tensor(ls_hf *hf, const ls_ckpt_tensor *t, const char *fmt, ...)
{
    char    what[sizeof(hf->err->what)];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(what, sizeof(what), fmt, ap);
    va_end(ap);
    ls_fail(hf->err, LS_ERR_FORMAT, "tensor '%.*s' %s", LS_FMT(t->name), what);
    ls_fail_at(hf->err, "%s: byte %llu", ls_checkpoint_part_path(hf->ckpt, t->part),
               (unsigned long long)t->file_off);
    return LS_ERR_FORMAT;
}

bool ls_hf_is_float(ls_ckpt_dtype dtype)
{
    return dtype == LS_CKPT_F64 || dtype == LS_CKPT_F32 || dtype == LS_CKPT_F16 ||
           dtype == LS_CKPT_BF16;
}

float ls_hf_element(ls_ckpt_dtype dtype, const void *data, size_t i)
{
    uint16_t h;
    float    f;
    double   d;
    switch (dtype) {
    case LS_CKPT_F64:
        memcpy(&d, (const char *)data + 8 * i, 8);
        return (float)d;
    case LS_CKPT_F32:
        memcpy(&f, (const char *)data + 4 * i, 4);
        return f;
    default:
        memcpy(&h, (const char *)data + 2 * i, 2);
        return dtype == LS_CKPT_F16 ? ls_f16_to_f32(h) : ls_bf16_to_f32(h);
    }
}

double ls_hf_number(ls_ckpt_dtype dtype, const void *data, size_t i)
{
    double d;
    if (dtype != LS_CKPT_F64) return (double)ls_hf_element(dtype, data, i);
    memcpy(&d, (const char *)data + 8 * i, 8);
    return d;
}

bool ls_hf_wants_f32(ls_str name, uint32_t n_dims)
{
    static const char *const ends[] = {"_norm.weight", "ffn_gate_inp.weight",
                                       "ffn_gate_inp_shexp.weight", "position_embd.weight"};
    size_t                   n = sizeof(".weight") - 1;
    if (n_dims <= 1 || name.len < n || memcmp(name.p + name.len - n, ".weight", n) != 0)
        return true;
    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        size_t m = strlen(ends[i]);
        if (name.len >= m && memcmp(name.p + name.len - m, ends[i], m) == 0) return true;
    }
    return false;
}

/* Data as a GGUF file could hold them: at a multiple of 8, or copied to one. */
static ls_status align(ls_hf *hf, const void **data, size_t n)
{
    void *copy;
    if ((uintptr_t)*data % 8 == 0) return LS_OK;
    LS_TRY(ls_arena_alloc(&hf->g->mem, &copy, n, 1, "a tensor", hf->err));
    memcpy(copy, *data, n);
    *data = copy;
    return LS_OK;
}

ls_status ls_hf_emit_blocks(ls_hf *hf, ls_str name, int dtype, uint32_t n_dims,
                            const int64_t *shape, const void *data, const ls_ckpt_tensor *like)
{
    ls_gguf  *g = hf->g;
    ls_tensor t = {.name = name, .dtype = dtype, .ne = {1, 1, 1, 1}, .part = like->part};
    size_t    n = 1;
    if (n_dims > LS_MAX_DIMS) {
        return ls_hf_bad_tensor(hf, like, "has %u dimensions, GGUF allows %d", n_dims, LS_MAX_DIMS);
    }
    t.n_dims = n_dims ? n_dims : 1;
    for (uint32_t i = 0; i < n_dims; i++) {
        t.ne[i] = shape[n_dims - 1 - i];
        if (t.ne[i] < 1 || !ls_mul_size(n, (size_t)t.ne[i], &n)) {
            return ls_hf_bad_tensor(hf, like, "has a dimension of %lld", (long long)t.ne[i]);
        }
    }
    if (ls_dtype_supported(dtype)) {
        t.n_bytes = (size_t)t.ne[0] % ls_dtype_block(dtype) ? 0 : ls_dtype_tensor_bytes(dtype, n);
        if (!t.n_bytes) {
            return ls_hf_bad_tensor(hf, like, "has rows of %lld elements, which %s cannot hold",
                                    (long long)t.ne[0], ls_dtype_name(dtype));
        }
        t.data = data;
        LS_TRY(align(hf, &t.data, t.n_bytes));
    }
    if (data == like->data) t.file_off = like->file_off;
    LS_TRY(
        ls_grow(&g->tensors, &hf->tensor_cap, g->n_tensors + 1, sizeof(t), "the tensors", hf->err));
    g->tensors[g->n_tensors++] = t;
    return LS_OK;
}

ls_status ls_hf_emit(ls_hf *hf, ls_str name, ls_ckpt_dtype dtype, uint32_t n_dims,
                     const int64_t *shape, const void *data, const ls_ckpt_tensor *like)
{
    bool           f32 = ls_hf_wants_f32(name, n_dims) || dtype == LS_CKPT_F64;
    ls_ckpt_tensor t = {.dtype = dtype, .n_dims = n_dims};
    size_t         n;
    float         *out;
    if (!ls_hf_is_float(dtype)) {
        return ls_hf_bad_tensor(hf, like, "has type %s, which no weight of a model has",
                                ls_ckpt_dtype_name(dtype));
    }
    if (!f32 || dtype == LS_CKPT_F32) {
        int type = dtype == LS_CKPT_F32   ? LS_DTYPE_F32
                   : dtype == LS_CKPT_F16 ? LS_DTYPE_F16
                                          : LS_DTYPE_BF16;
        return ls_hf_emit_blocks(hf, name, type, n_dims, shape, data, like);
    }
    for (uint32_t i = 0; i < n_dims && i < LS_CKPT_MAX_DIMS; i++) t.shape[i] = shape[i];
    if (!ls_ckpt_bytes(&t, &n)) return ls_hf_bad_tensor(hf, like, "is too large");
    n /= ls_ckpt_dtype_bytes(dtype);
    LS_TRY(ls_arena_alloc(&hf->g->mem, &out, n, sizeof(*out), "a tensor", hf->err));
    for (size_t i = 0; i < n; i++) out[i] = ls_hf_element(dtype, data, i);
    return ls_hf_emit_blocks(hf, name, LS_DTYPE_F32, n_dims, shape, out, like);
}

/* ---- the pass over the checkpoint ---- */

/* Buffers that old versions of the training programs saved along; nothing is computed from them. */
static const char *const ignored[] = {".attention.masked_bias", ".attention.bias", ".attn.bias",
                                      ".attn.masked_bias", ".rotary_emb.inv_freq"};

static bool is_ignored(ls_str name)
{
    for (size_t i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++) {
        size_t n = strlen(ignored[i]);
        if (name.len > n && memcmp(name.p + name.len - n, ignored[i], n) == 0) return true;
    }
    return false;
}

const ls_hf_name *ls_hf_find_row(const ls_hf_arch *arch, ls_str name, ls_hf_match *m)
{
    for (size_t i = 0; arch->names[i]; i++) {
        for (const ls_hf_name *row = arch->names[i]; row->from; row++) {
            if (ls_hf_fits(row->from, name, &m->layer, &m->expert)) return row;
        }
    }
    return NULL;
}

static ls_status read_tensor(ls_hf *hf, const ls_ckpt_tensor *t)
{
    char              buf[300];
    ls_hf_match       m = {.t = t};
    ls_str            name = unwrapped(t->name, buf, sizeof(buf));
    const ls_hf_name *row = ls_hf_find_row(hf->arch, name, &m);
    if (!row) {
        ls_fail(hf->err, LS_ERR_UNSUPPORTED, "tensor '%.*s' is none that architecture '%s' has",
                LS_FMT(t->name), hf->arch->name);
        ls_fail_at(hf->err, "%s: byte %llu", ls_checkpoint_part_path(hf->ckpt, t->part),
                   (unsigned long long)t->file_off);
        return LS_ERR_UNSUPPORTED;
    }
    if (m.layer >= hf->n_layers) {
        return ls_hf_bad_tensor(hf, t, "is of layer %lld, config.json says there are %lld",
                                (long long)m.layer, (long long)hf->n_layers);
    }
    mark(hf, t);
    m.from = row->from;
    m.to = row->to;
    return (row->op ? row->op : ls_hf_plain)(hf, &m);
}

/* general.file_type: what most of the elements of matrices are. */
static ls_status set_file_type(ls_hf *hf)
{
    static const struct {
        int dtype, file_type;
    } types[] = {{LS_DTYPE_F32, 0},
                 {LS_DTYPE_F16, 1},
                 {LS_DTYPE_BF16, 32},
                 {LS_DTYPE_I2_S, 40},
                 {GGUF_MXFP4, 38}};
    double count[sizeof(types) / sizeof(types[0])] = {0};
    size_t best = 0;
    for (size_t i = 0; i < hf->g->n_tensors; i++) {
        const ls_tensor *t = &hf->g->tensors[i];
        for (size_t k = 0; k < sizeof(types) / sizeof(types[0]); k++) {
            if (t->n_dims >= 2 && t->dtype == types[k].dtype) {
                count[k] += (double)t->ne[0] * (double)t->ne[1] * (double)t->ne[2];
            }
        }
    }
    for (size_t k = 1; k < sizeof(types) / sizeof(types[0]); k++) {
        if (count[k] > count[best]) best = k;
    }
    LS_TRY(ls_meta_int(&hf->meta, "general.quantization_version", LS_GGUF_U32, 2, hf->err));
    return ls_meta_int(&hf->meta, "general.file_type", LS_GGUF_U32, types[best].file_type, hf->err);
}

ls_status ls_hf_read_tensors(ls_hf *hf)
{
    size_t n = ls_checkpoint_n_tensors(hf->ckpt);
    for (size_t i = 0; i < n; i++) {
        const ls_ckpt_tensor *t = ls_checkpoint_tensor_at(hf->ckpt, i);
        if (hf->used[i] || is_ignored(t->name)) continue;
        LS_TRY(read_tensor(hf, t));
    }
    return set_file_type(hf);
}
