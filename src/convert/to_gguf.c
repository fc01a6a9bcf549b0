// SPDX-License-Identifier: MIT
/* to_gguf.c - any opened model as one GGUF file. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "convert/mini_priv.h"
#include "dtype/dtype.h"
#include "dtype/packed.h"
#include "lockstep/convert.h"
#include "lockstep/gguf_write.h"
#include "lockstep/quant.h"

/* Values of general.file_type for files that are mostly of one type. */
static const struct {
    int     dtype;
    int64_t file_type;
} file_types[] = {
    {LS_DTYPE_F32, 0},     {LS_DTYPE_F16, 1},     {LS_DTYPE_Q4_0, 2},  {LS_DTYPE_Q4_1, 3},
    {LS_DTYPE_Q8_0, 7},    {LS_DTYPE_Q5_0, 8},    {LS_DTYPE_Q5_1, 9},  {LS_DTYPE_Q2_K, 10},
    {LS_DTYPE_Q3_K, 11},   {LS_DTYPE_Q4_K, 14},   {LS_DTYPE_Q5_K, 16}, {LS_DTYPE_Q6_K, 18},
    {LS_DTYPE_IQ4_NL, 25}, {LS_DTYPE_IQ4_XS, 30}, {LS_DTYPE_BF16, 32}, {LS_DTYPE_TQ1_0, 36},
    {LS_DTYPE_TQ2_0, 37},  {LS_DTYPE_MXFP4, 38},  {LS_DTYPE_I2_S, 40}, {LS_DTYPE_TL1, 38},
    {LS_DTYPE_TL2, 39},
};

/* Keys that say how a model was split; one file is not. */
static bool is_split_key(ls_str key) { return key.len > 6 && memcmp(key.p, "split.", 6) == 0; }

static ls_status put_metadata(ls_gguf_writer *w, const ls_gguf *g, const ls_convert_options *opt,
                              ls_error *err)
{
    for (size_t i = 0; i < ls_gguf_n_kv(g); i++) {
        const ls_gguf_kv *kv = ls_gguf_kv_at(g, i);
        if (!is_split_key(kv->key)) LS_TRY(ls_gguf_write_kv(w, kv, err));
    }
    ls_gguf_write_remove(w, LS_KEY_PACKING); /* what it speaks of is written as x86 does it */
    for (size_t i = 0; i < sizeof(file_types) / sizeof(file_types[0]); i++) {
        if (file_types[i].dtype != opt->dtype) continue;
        return ls_gguf_write_int(w, "general.file_type", LS_GGUF_U32, file_types[i].file_type, err);
    }
    return LS_OK;
}

static bool ends_with(ls_str s, const char *end)
{
    size_t n = strlen(end);
    return s.len >= n && memcmp(s.p + s.len - n, end, n) == 0;
}

/* Matrices that every engine reads as floats only. */
static bool stays_float(const ls_tensor *t)
{
    static const char *const names[] = {"ffn_gate_inp.weight", "ffn_gate_inp_shexp.weight",
                                        "position_embd.weight", "norm.weight", ".bias"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (ends_with(t->name, names[i])) return true;
    }
    return false;
}

static bool is_tiled(int dtype) { return dtype == LS_DTYPE_TL1 || dtype == LS_DTYPE_TL2; }

/* -1, 0 and 1 with one scale for all: what one of these holds, any other does. */
static bool is_ternary(int dtype)
{
    return dtype == LS_DTYPE_I2_S || dtype == LS_DTYPE_I2_S_ARM || dtype == LS_DTYPE_I2_S_1X4 ||
           is_tiled(dtype);
}

/* The type in which a tensor is written. */
static int target(const ls_tensor *t, const ls_convert_options *opt)
{
    int wanted = opt->dtype;
    if (is_ternary(t->dtype) && is_ternary(wanted) && t->name.p[0] == 'b') return wanted;
    if (t->dtype == LS_DTYPE_I2_S_ARM || t->dtype == LS_DTYPE_I2_S_1X4) return LS_DTYPE_I2_S;
    if (!ls_mini_is_plain(t->dtype)) return t->dtype;
    if (t->n_dims < 2) return LS_DTYPE_F32;
    if (wanted < 0) return t->dtype;
    if (ls_mini_is_plain(wanted)) return wanted;
    if (stays_float(t)) return LS_DTYPE_F32;
    /* Ternary models have ternary layers, not ternary embeddings. */
    if (is_ternary(wanted) && t->name.p[0] != 'b') return t->dtype;
    if (is_tiled(wanted)) return wanted;
    if ((size_t)t->ne[0] % ls_dtype_block(wanted) == 0) return wanted;
    return t->ne[0] % 32 == 0 ? LS_DTYPE_Q8_0 : LS_DTYPE_F16;
}

static size_t n_elements(const ls_tensor *t)
{
    return (size_t)(t->ne[0] * t->ne[1] * t->ne[2] * t->ne[3]);
}

/* Sums for the error of a tensor. */
typedef struct loss {
    double squares, differences;
} loss;

static void add_loss(loss *l, const float *x, const float *y, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        double d = (double)x[i] - (double)y[i];
        l->squares += (double)x[i] * (double)x[i];
        l->differences += d * d;
    }
}

/* Rows of floats in, rows of `dtype` out; y takes them decoded again. */
static ls_status encode_rows(int dtype, void *out, const float *x, float *y, size_t rows, size_t n,
                             ls_error *err)
{
    ls_tensor t = {.dtype = dtype, .n_dims = 2, .ne = {(int64_t)n, (int64_t)rows, 1, 1}};
    if (ls_mini_is_plain(dtype)) {
        ls_mini_encode(dtype, out, x, rows * n);
    } else {
        LS_TRY(ls_quantize(dtype, out, x, rows, n, NULL, err));
    }
    t.data = out;
    if (is_tiled(dtype)) ls_tiles_for(dtype, rows, n, &t.tiles);
    ls_tensor_decode(y, &t, 0, rows);
    return LS_OK;
}

typedef struct buffers {
    float *x, *y;
    void  *out;
} buffers;

/* A stretch of rows at a time; ternary types, which are a whole, all at once. */
static ls_status convert_rows(ls_gguf_writer *w, const ls_tensor *t, int dtype, const buffers *b,
                              size_t at_once, loss *l, ls_error *err)
{
    size_t n = (size_t)t->ne[0], rows = n_elements(t) / n;
    for (size_t r = 0; r < rows; r += at_once) {
        size_t k = rows - r < at_once ? rows - r : at_once;
        ls_tensor_decode(b->x, t, r, k);
        LS_TRY(encode_rows(dtype, b->out, b->x, b->y, k, n, err));
        add_loss(l, b->x, b->y, k * n);
        LS_TRY(ls_gguf_write_data(w, b->out, ls_matrix_bytes(dtype, k, n), err));
    }
    return LS_OK;
}

static ls_status put_data(ls_gguf_writer *w, const ls_tensor *t, int dtype, loss *l, ls_error *err)
{
    enum { STRETCH = 1 << 20 };
    size_t    n = (size_t)t->ne[0], rows = n_elements(t) / n, at_once = rows;
    buffers   b = {0};
    ls_status status;
    if (dtype == t->dtype) return ls_gguf_write_data(w, t->data, t->n_bytes, err);
    if (!is_ternary(dtype) && n * rows > STRETCH) at_once = STRETCH / n > 0 ? STRETCH / n : 1;
    status = ls_alloc(&b.x, at_once * n, sizeof(float), "a tensor", err);
    if (status == LS_OK) status = ls_alloc(&b.y, at_once * n, sizeof(float), "a tensor", err);
    if (status == LS_OK) status = ls_alloc(&b.out, at_once * n, sizeof(float), "a tensor", err);
    if (status == LS_OK) status = convert_rows(w, t, dtype, &b, at_once, l, err);
    if (status == LS_ERR_UNSUPPORTED && err) {
        char where[sizeof(err->where)];
        snprintf(where, sizeof(where), "%s", err->where);
        err->where[0] = '\0';
        ls_fail_at(err, "tensor '%.*s', %.200s", LS_FMT(t->name), where);
    }
    free(b.x);
    free(b.y);
    free(b.out);
    return status;
}

static void tell(const ls_convert_options *opt, const ls_tensor *t, int dtype, const loss *l)
{
    size_t            n = (size_t)t->ne[0];
    ls_convert_tensor told = {
        t->name, t->dtype, dtype, t->n_bytes, ls_matrix_bytes(dtype, n_elements(t) / n, n), 0};
    if (l->squares > 0) told.error = sqrt(l->differences / l->squares);
    if (opt->tensor) opt->tensor(opt->tensor_ctx, &told);
}

/* How the TL1 and TL2 matrices of the file are cut: files of bitnet.cpp leave that to its build. */
static ls_status put_tiles(ls_gguf_writer *w, const ls_gguf *g, const ls_convert_options *opt,
                           ls_error *err)
{
    enum { MOST = 64 };
    uint32_t v[MOST][5];
    size_t   n = 0;
    for (size_t i = 0; i < ls_gguf_n_tensors(g); i++) {
        const ls_tensor *t = ls_gguf_tensor_at(g, i);
        int              dtype = target(t, opt);
        uint32_t         rows = (uint32_t)t->ne[1], cols = (uint32_t)t->ne[0];
        ls_tiles         s = t->tiles;
        size_t           j = 0;
        if (!is_tiled(dtype)) continue;
        if (dtype != t->dtype && !ls_tiles_for(dtype, rows, cols, &s)) continue;
        while (j < n && (v[j][0] != rows || v[j][1] != cols)) j++;
        if (j == MOST) return ls_fail(err, LS_ERR_LIMIT, "more than %d shapes of tiles", MOST);
        if (j == n) memcpy(v[n++], (uint32_t[]){rows, cols, s.bm, s.bk, s.bmm}, sizeof(v[0]));
    }
    return n ? ls_gguf_write_array(w, LS_KEY_TILES, LS_GGUF_U32, v, 5 * n, err) : LS_OK;
}

static ls_status not_cut(const ls_gguf *g, const ls_tensor *t, int dtype, ls_error *err)
{
    ls_fail(err, LS_ERR_UNSUPPORTED,
            "tensor '%.*s' of %lld rows of %lld elements cannot be cut into tiles of %s",
            LS_FMT(t->name), (long long)t->ne[1], (long long)t->ne[0], ls_dtype_name(dtype));
    return ls_gguf_fail_at(g, t->name.p, err), LS_ERR_UNSUPPORTED;
}

static ls_status write_all(ls_gguf_writer *w, const char *path, const ls_gguf *g,
                           const ls_convert_options *opt, ls_error *err)
{
    size_t n = ls_gguf_n_tensors(g);
    LS_TRY(put_metadata(w, g, opt, err));
    LS_TRY(put_tiles(w, g, opt, err));
    for (size_t i = 0; i < n; i++) {
        const ls_tensor *t = ls_gguf_tensor_at(g, i);
        int              dtype = target(t, opt);
        if (!t->data) {
            const char *name = ls_dtype_name(t->dtype);
            ls_fail(err, LS_ERR_UNSUPPORTED, "tensor '%.*s' has type %s, which cannot be written",
                    LS_FMT(t->name), name ? name : "?");
            return ls_gguf_fail_at(g, t->name.p, err), LS_ERR_UNSUPPORTED;
        }
        if (is_tiled(dtype) && dtype != t->dtype &&
            (t->n_dims != 2 || !ls_quant_bytes(dtype, (size_t)t->ne[1], (size_t)t->ne[0]))) {
            return not_cut(g, t, dtype, err);
        }
        LS_TRY(ls_gguf_write_tensor(w, t->name, dtype, t->n_dims, t->ne,
                                    dtype == t->dtype ? t->n_bytes : 0, err));
    }
    LS_TRY(ls_gguf_write_begin(w, path, err));
    for (size_t i = 0; i < n; i++) {
        const ls_tensor *t = ls_gguf_tensor_at(g, i);
        loss             l = {0};
        LS_TRY(put_data(w, t, target(t, opt), &l, err));
        tell(opt, t, target(t, opt), &l);
        if (opt->progress) opt->progress(opt->progress_ctx, i + 1, n);
    }
    return ls_gguf_write_finish(w, err);
}

ls_status ls_convert_to_gguf(const char *path, const ls_gguf *model, const ls_convert_options *opt,
                             ls_error *err)
{
    ls_gguf_writer *w;
    ls_status       status;
    if (opt->dtype >= 0 && !ls_mini_is_plain(opt->dtype) && !ls_quant_supported(opt->dtype)) {
        const char *name = ls_dtype_name(opt->dtype);
        return ls_fail(err, LS_ERR_UNSUPPORTED, "matrices cannot be converted to %s",
                       name ? name : "?");
    }
    LS_TRY(ls_gguf_writer_create(&w, err));
    status = write_all(w, path, model, opt, err);
    ls_gguf_writer_destroy(w);
    return status;
}
