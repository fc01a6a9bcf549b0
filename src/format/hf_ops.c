// SPDX-License-Identifier: MIT
/* hf_ops.c - what is done to tensors on their way from a training program's layout to GGUF's.
 *
 * All but the ternary and the norm ones move bytes and do not look at the values.
 */
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "dtype/dtype.h"
#include "format/hf_priv.h"

typedef struct rows { /* a tensor as rows of bytes */
    size_t      n, bytes;
    const char *data;
} rows;

/* All dimensions but the first make up a row. */
static ls_status as_rows(ls_hf *hf, const ls_ckpt_tensor *t, rows *out)
{
    if (t->n_dims < 1 || t->n_dims > LS_MAX_DIMS || t->n_bytes == 0) {
        return ls_hf_bad_tensor(hf, t, "has no elements, or none that fit a model");
    }
    out->n = (size_t)t->shape[0];
    out->bytes = t->n_bytes / out->n;
    out->data = t->data;
    return LS_OK;
}

static ls_status buffer(ls_hf *hf, size_t n, char **out)
{
    return ls_arena_alloc(&hf->g->mem, out, n, 1, "a tensor that is rearranged", hf->err);
}

/* One of the two target names "A|B". */
static ls_status target(ls_hf *hf, const ls_hf_match *m, int which, ls_str *out)
{
    char        buf[256];
    const char *bar = strchr(m->to, '|');
    size_t      n = bar ? (size_t)(bar - m->to) : strlen(m->to);
    const char *from = which && bar ? bar + 1 : m->to;
    if (which && bar) n = strlen(from);
    if (n >= sizeof(buf)) n = sizeof(buf) - 1;
    memcpy(buf, from, n);
    buf[n] = '\0';
    return ls_hf_name_of(hf, buf, m->layer, m->expert, out);
}

/* Emit with the tensor's own type and shape. */
static ls_status emit(ls_hf *hf, const ls_hf_match *m, const void *data)
{
    ls_str name;
    LS_TRY(target(hf, m, 0, &name));
    return ls_hf_emit(hf, name, m->t->dtype, m->t->n_dims, m->t->shape, data, m->t);
}

ls_status ls_hf_plain(ls_hf *hf, const ls_hf_match *m) { return emit(hf, m, m->t->data); }

ls_status ls_hf_skip(ls_hf *hf, const ls_hf_match *m)
{
    (void)hf;
    (void)m;
    return LS_OK;
}

/* One row, which GGUF may have as a vector. */
ls_status ls_hf_one_row(ls_hf *hf, const ls_hf_match *m) { return emit(hf, m, m->t->data); }

/* ---- rows that change places ---- */

static bool pairs_of_heads(const ls_hf_heads *h, size_t n_rows)
{
    return n_rows % h->n == 0 && n_rows / h->n % 2 == 0;
}

static bool pairs_of_kv_heads(const ls_hf_heads *h, size_t n_rows)
{
    return n_rows % h->kv == 0 && n_rows / h->kv % 2 == 0;
}

/* RoPE pairs (d, d + D/2) of a head become neighbours (2d, 2d + 1). */
static size_t pair_row(size_t dim, size_t i)
{
    size_t d = i % dim;
    return i - d + (d % 2) * (dim / 2) + d / 2;
}

static size_t permuted_q(const ls_hf_heads *h, size_t n_rows, size_t i)
{
    return pair_row(n_rows / h->n, i);
}

static size_t permuted_k(const ls_hf_heads *h, size_t n_rows, size_t i)
{
    return pair_row(n_rows / h->kv, i);
}

/* Falcon: groups of queries, each with one key and one value, become all queries, keys, values. */
static bool groups(const ls_hf_heads *h, size_t n_rows)
{
    return h->n % h->kv == 0 && n_rows == (h->n + 2 * h->kv) * h->dim;
}

static size_t group_row(const ls_hf_heads *h, size_t n_rows, size_t i)
{
    size_t per = h->n / h->kv, head = i / h->dim, d = i % h->dim, group, slot;
    (void)n_rows;
    if (head < h->n) {
        group = head / per;
        slot = head % per;
    } else { /* keys, then values */
        group = (head - h->n) % h->kv;
        slot = per + (head - h->n) / h->kv;
    }
    return (group * (per + 2) + slot) * h->dim + d;
}

/* GPT-NeoX: each head has its query, key and value; they become all queries, keys, values. */
static bool triples(const ls_hf_heads *h, size_t n_rows) { return n_rows == 3 * h->n * h->dim; }

static size_t triple_row(const ls_hf_heads *h, size_t n_rows, size_t i)
{
    size_t head = i / h->dim;
    (void)n_rows;
    return (3 * (head % h->n) + head / h->n) * h->dim + i % h->dim;
}

static const ls_hf_shuffle shuffles[] = {
    {ls_hf_permute_q, pairs_of_heads, permuted_q},
    {ls_hf_permute_k, pairs_of_kv_heads, permuted_k},
    {ls_hf_qkv_groups, groups, group_row},
    {ls_hf_qkv_heads, triples, triple_row},
};

const ls_hf_shuffle *ls_hf_shuffle_of(ls_hf_op *op)
{
    for (size_t i = 0; i < sizeof(shuffles) / sizeof(shuffles[0]); i++) {
        if (shuffles[i].op == op) return &shuffles[i];
    }
    return NULL;
}

static ls_status shuffle(ls_hf *hf, const ls_hf_match *m, ls_hf_op *op)
{
    const ls_hf_shuffle *s = ls_hf_shuffle_of(op);
    ls_hf_heads          h = {(size_t)hf->n_heads, (size_t)hf->n_kv_heads, (size_t)hf->head_dim};
    rows                 r = {0};
    char                *out;
    LS_TRY(as_rows(hf, m->t, &r));
    if (!s || !s->fits(&h, r.n)) {
        return ls_hf_bad_tensor(hf, m->t,
                                "has %zu rows, which %zu heads of %zu, of keys %zu, do not make up",
                                r.n, h.n, h.dim, h.kv);
    }
    LS_TRY(buffer(hf, m->t->n_bytes, &out));
    for (size_t i = 0; i < r.n; i++) {
        memcpy(out + i * r.bytes, r.data + s->row(&h, r.n, i) * r.bytes, r.bytes);
    }
    return emit(hf, m, out);
}

ls_status ls_hf_permute_q(ls_hf *hf, const ls_hf_match *m)
{
    return shuffle(hf, m, ls_hf_permute_q);
}
ls_status ls_hf_permute_k(ls_hf *hf, const ls_hf_match *m)
{
    return shuffle(hf, m, ls_hf_permute_k);
}
ls_status ls_hf_qkv_groups(ls_hf *hf, const ls_hf_match *m)
{
    return shuffle(hf, m, ls_hf_qkv_groups);
}
ls_status ls_hf_qkv_heads(ls_hf *hf, const ls_hf_match *m)
{
    return shuffle(hf, m, ls_hf_qkv_heads);
}

/* ---- matrices and norms ---- */

/* Gemma stores its norms as the difference from one. */
ls_status ls_hf_norm_plus_1(ls_hf *hf, const ls_hf_match *m)
{
    size_t n = m->t->n_bytes / ls_ckpt_dtype_bytes(m->t->dtype);
    float *out;
    ls_str name;
    if (!ls_hf_is_float(m->t->dtype)) return emit(hf, m, m->t->data);
    LS_TRY(ls_arena_alloc(&hf->g->mem, &out, n, sizeof(*out), "a norm", hf->err));
    for (size_t i = 0; i < n; i++) {
        out[i] = (float)(ls_hf_number(m->t->dtype, m->t->data, i) + 1);
    }
    LS_TRY(target(hf, m, 0, &name));
    return ls_hf_emit(hf, name, LS_CKPT_F32, m->t->n_dims, m->t->shape, out, m->t);
}

static void transpose(char *out, const char *in, size_t n_rows, size_t n_cols, size_t size)
{
    for (size_t c = 0; c < n_cols; c++) {
        for (size_t r = 0; r < n_rows; r++) {
            memcpy(out + (c * n_rows + r) * size, in + (r * n_cols + c) * size, size);
        }
    }
}

/* Conv1D of GPT-2: [in, out]. */
ls_status ls_hf_transpose(ls_hf *hf, const ls_hf_match *m)
{
    char   *out;
    ls_str  name;
    int64_t shape[2];
    if (m->t->n_dims != 2) return ls_hf_bad_tensor(hf, m->t, "is no matrix");
    shape[0] = m->t->shape[1];
    shape[1] = m->t->shape[0];
    LS_TRY(buffer(hf, m->t->n_bytes, &out));
    transpose(out, m->t->data, (size_t)shape[1], (size_t)shape[0],
              ls_ckpt_dtype_bytes(m->t->dtype));
    LS_TRY(target(hf, m, 0, &name));
    return ls_hf_emit(hf, name, m->t->dtype, 2, shape, out, m->t);
}

/* ---- experts ---- */

/* `&` 0, 1, ... of one layer become one tensor with one more dimension. */
ls_status ls_hf_stack(ls_hf *hf, const ls_hf_match *m)
{
    const ls_ckpt_tensor *first = m->t;
    int64_t               shape[LS_MAX_DIMS] = {0}, n = 0;
    size_t                total;
    ls_str                name;
    char                 *out;
    if (m->expert != 0) {
        return ls_hf_bad_tensor(hf, first, "has a number, but those before it are not all there");
    }
    if (first->n_dims < 1 || first->n_dims >= LS_MAX_DIMS) {
        return ls_hf_bad_tensor(hf, first, "has %u dimensions", first->n_dims);
    }
    while (ls_hf_take(hf, m->from, m->layer, n)) n++;
    if (!ls_mul_size((size_t)n, first->n_bytes, &total)) total = SIZE_MAX;
    LS_TRY(buffer(hf, total, &out));
    for (int64_t i = 0; i < n; i++) {
        const ls_ckpt_tensor *t = ls_hf_take(hf, m->from, m->layer, i);
        if (t->dtype != first->dtype || t->n_dims != first->n_dims ||
            memcmp(t->shape, first->shape, sizeof(t->shape)) != 0) {
            return ls_hf_bad_tensor(hf, t, "has another type or shape than its siblings");
        }
        memcpy(out + (size_t)i * t->n_bytes, t->data, t->n_bytes);
    }
    shape[0] = n;
    memcpy(shape + 1, first->shape, first->n_dims * sizeof(shape[0]));
    LS_TRY(target(hf, m, 0, &name));
    return ls_hf_emit(hf, name, first->dtype, first->n_dims + 1, shape, out, first);
}

/* Rows of each matrix of a stack into two tensors: by halves, or even and odd. */
static ls_status split(ls_hf *hf, const ls_hf_match *m, const char *data, uint32_t n_dims,
                       const int64_t *shape, bool pairs)
{
    int64_t half[LS_CKPT_MAX_DIMS] = {0};
    size_t  stack = 1, row = ls_ckpt_dtype_bytes(m->t->dtype), n,
           axis = n_dims == 2 ? 1 : n_dims - 2;
    for (uint32_t i = 0; i < axis; i++) stack *= (size_t)shape[i];
    for (uint32_t i = (uint32_t)axis + 1; i < n_dims; i++) row *= (size_t)shape[i];
    n = (size_t)shape[axis] / 2;
    if (shape[axis] % 2 || n == 0) {
        return ls_hf_bad_tensor(hf, m->t, "has %lld rows, which are not two halves",
                                (long long)shape[axis]);
    }
    memcpy(half, shape, n_dims * sizeof(half[0]));
    half[axis] = (int64_t)n;
    for (size_t which = 0; which < 2; which++) {
        ls_str name;
        char  *out;
        LS_TRY(buffer(hf, stack * n * row, &out));
        for (size_t i = 0; i < stack * n; i++) {
            size_t s = i / n, k = i % n, from = pairs ? 2 * k + which : which * n + k;
            memcpy(out + i * row, data + (s * 2 * n + from) * row, row);
        }
        LS_TRY(target(hf, m, (int)which, &name));
        LS_TRY(ls_hf_emit(hf, name, m->t->dtype, n_dims, half, out, m->t));
    }
    return LS_OK;
}

ls_status ls_hf_split_halves(ls_hf *hf, const ls_hf_match *m)
{
    if (m->t->n_dims != 3 || !m->t->n_bytes) return ls_hf_bad_tensor(hf, m->t, "is no stack");
    return split(hf, m, m->t->data, 3, m->t->shape, false);
}

ls_status ls_hf_split_pairs_bias(ls_hf *hf, const ls_hf_match *m)
{
    if (m->t->n_dims != 2 || !m->t->n_bytes) return ls_hf_bad_tensor(hf, m->t, "is no stack");
    return split(hf, m, m->t->data, 2, m->t->shape, true);
}

/* [experts, in, out] to [experts, out, in]. */
static ls_status transpose_stack(ls_hf *hf, const ls_ckpt_tensor *t, char **out, int64_t shape[3])
{
    size_t one, size = ls_ckpt_dtype_bytes(t->dtype);
    if (t->n_dims != 3 || !t->n_bytes) return ls_hf_bad_tensor(hf, t, "is no stack");
    shape[0] = t->shape[0];
    shape[1] = t->shape[2];
    shape[2] = t->shape[1];
    one = t->n_bytes / (size_t)shape[0];
    LS_TRY(buffer(hf, t->n_bytes, out));
    for (size_t i = 0; i < (size_t)shape[0]; i++) {
        transpose(*out + i * one, (const char *)t->data + i * one, (size_t)shape[2],
                  (size_t)shape[1], size);
    }
    return LS_OK;
}

ls_status ls_hf_transpose_experts(ls_hf *hf, const ls_hf_match *m)
{
    int64_t shape[3];
    char   *out;
    ls_str  name;
    LS_TRY(transpose_stack(hf, m->t, &out, shape));
    LS_TRY(target(hf, m, 0, &name));
    return ls_hf_emit(hf, name, m->t->dtype, 3, shape, out, m->t);
}

ls_status ls_hf_split_pairs(ls_hf *hf, const ls_hf_match *m)
{
    int64_t shape[3];
    char   *out;
    LS_TRY(transpose_stack(hf, m->t, &out, shape));
    return split(hf, m, out, 3, shape, true);
}

/* ---- MXFP4 ---- */

enum { MX_BLOCK = 32, MX_CODES = 16, MX_BYTES = 17, GGUF_MXFP4 = 39 };

/* Byte k of the source holds elements 2k and 2k + 1, byte k of a block k and k + 16. */
static void repack_mxfp4(uint8_t *out, const uint8_t *codes, uint8_t scale)
{
    out[0] = scale;
    for (size_t k = 0; k < MX_CODES; k++) {
        uint8_t lo = (uint8_t)(codes[k / 2] >> (k % 2 * 4) & 15);
        uint8_t hi = (uint8_t)(codes[k / 2 + 8] >> (k % 2 * 4) & 15);
        out[1 + k] = (uint8_t)(lo | hi << 4);
    }
}

/* Rows start, start + step, ... of each expert's matrix. */
static ls_status mxfp4_rows(ls_hf *hf, const ls_hf_match *m, const ls_ckpt_tensor *scales,
                            size_t start, size_t step, int which)
{
    const ls_ckpt_tensor *t = m->t;
    size_t                experts = (size_t)t->shape[0], all = (size_t)t->shape[1], n = all / step,
           blocks = (size_t)t->shape[2], at = 0;
    int64_t  shape[3] = {t->shape[0], (int64_t)n, t->shape[2] * MX_BLOCK};
    uint8_t *out;
    ls_str   name;
    LS_TRY(ls_arena_alloc(&hf->g->mem, &out, experts * n * blocks, MX_BYTES, "a tensor", hf->err));
    for (size_t e = 0; e < experts; e++) {
        for (size_t r = 0; r < n; r++) {
            size_t row = (e * all + start + r * step) * blocks;
            for (size_t b = 0; b < blocks; b++, at += MX_BYTES) {
                repack_mxfp4(out + at, (const uint8_t *)t->data + (row + b) * MX_CODES,
                             ((const uint8_t *)scales->data)[row + b]);
            }
        }
    }
    LS_TRY(target(hf, m, which, &name));
    return ls_hf_emit_blocks(hf, name, GGUF_MXFP4, 3, shape, out, t);
}

/* NAME_blocks with its NAME_scales. */
static ls_status mxfp4_scales(ls_hf *hf, const ls_hf_match *m, const ls_ckpt_tensor **scales)
{
    static const char     suffix[] = "_blocks";
    char                  pattern[256];
    size_t                n = strlen(m->from) - (sizeof(suffix) - 1);
    const ls_ckpt_tensor *t = m->t, *s;
    if (n + sizeof("_scales") > sizeof(pattern)) return LS_ERR_INTERNAL;
    memcpy(pattern, m->from, n);
    memcpy(pattern + n, "_scales", sizeof("_scales"));
    s = ls_hf_take(hf, pattern, m->layer, m->expert);
    if (!s) return ls_hf_bad_tensor(hf, t, "has no scales beside it");
    if (t->dtype != LS_CKPT_U8 || s->dtype != LS_CKPT_U8 || t->n_dims != 4 || s->n_dims != 3 ||
        t->shape[3] != MX_CODES || memcmp(t->shape, s->shape, 3 * sizeof(t->shape[0])) != 0 ||
        !t->n_bytes) {
        return ls_hf_bad_tensor(hf, t, "and its scales are no MXFP4 blocks");
    }
    *scales = s;
    return LS_OK;
}

ls_status ls_hf_mxfp4(ls_hf *hf, const ls_hf_match *m)
{
    const ls_ckpt_tensor *scales;
    LS_TRY(mxfp4_scales(hf, m, &scales));
    return mxfp4_rows(hf, m, scales, 0, 1, 0);
}

ls_status ls_hf_mxfp4_pairs(ls_hf *hf, const ls_hf_match *m)
{
    const ls_ckpt_tensor *scales;
    LS_TRY(mxfp4_scales(hf, m, &scales));
    if (m->t->shape[1] % 2) return ls_hf_bad_tensor(hf, m->t, "has an odd number of rows");
    LS_TRY(mxfp4_rows(hf, m, scales, 0, 2, 0));
    return mxfp4_rows(hf, m, scales, 1, 2, 1);
}

/* ---- ternary ---- */

/* Code 0, 1, 2 for -1, 0, 1 into I2_S: 128 elements in 32 bytes, element j in byte j % 32 at bits
 * 6 - 2 * (j / 32). */
static void put_code(uint8_t *out, size_t i, unsigned code)
{
    size_t j = i % 128;
    out[i / 128 * 32 + j % 32] |= (uint8_t)(code << (6 - 2 * (j / 32)));
}

unsigned ls_hf_i2s_code(const uint8_t *data, size_t i)
{
    size_t j = i % 128;
    return data[i / 128 * 32 + j % 32] >> (6 - 2 * (j / 32)) & 3;
}

static bool quantisation_is(const ls_hf *hf, const char *key, const char *value)
{
    const json_t *q = ls_hf_get(hf, "quantization_config");
    ls_str        s = ls_json_str(json_object_get(q, key));
    return s.p && ls_str_is(s, value);
}

/* The number beside a matrix by which its values are multiplied: of the class "autobitlinear" the
 * scale, of the older one its inverse. */
static ls_status find_scale(ls_hf *hf, const ls_hf_match *m, double *scale, bool *found)
{
    char                  pattern[256];
    const ls_ckpt_tensor *s;
    if (strlen(m->from) + sizeof("_scale") > sizeof(pattern)) return LS_ERR_INTERNAL;
    strcpy(pattern, m->from);
    strcat(pattern, "_scale");
    s = ls_hf_take(hf, pattern, m->layer, m->expert);
    *found = s != NULL;
    if (!s) return LS_OK;
    if (!ls_hf_is_float(s->dtype) || s->n_bytes != ls_ckpt_dtype_bytes(s->dtype)) {
        return ls_hf_bad_tensor(hf, s, "is no scale: one number");
    }
    *scale = ls_hf_number(s->dtype, s->data, 0);
    if (!quantisation_is(hf, "linear_class", "autobitlinear")) *scale = 1 / *scale;
    return LS_OK;
}

/* Packed by the training program: row r of [rows / 4, n] holds rows r, r + rows/4, ... at bits 0,
 * 2, 4, 6, and the weight is code - 1 times the scale. I2_S holds that exactly. */
static ls_status unpack_ternary(ls_hf *hf, const ls_hf_match *m)
{
    const ls_ckpt_tensor *t = m->t;
    int64_t               shape[2];
    size_t                n, n_rows, row;
    double                wide = 0;
    float                 scale;
    bool                  found;
    uint8_t              *out;
    ls_str                name;
    LS_TRY(find_scale(hf, m, &wide, &found));
    if (!found) return ls_hf_bad_tensor(hf, t, "is packed, but has no scale beside it");
    scale = (float)wide;
    if (t->n_dims != 2 || !t->n_bytes || !(scale > 0) || !isfinite(scale)) {
        return ls_hf_bad_tensor(hf, t, "is no packed ternary matrix with a positive scale");
    }
    row = (size_t)t->shape[1];
    n_rows = (size_t)t->shape[0];
    if (row % 128) {
        return ls_hf_bad_tensor(hf, t, "has rows of %zu elements, I2_S needs multiples of 128",
                                row);
    }
    shape[0] = 4 * t->shape[0];
    shape[1] = t->shape[1];
    n = t->n_bytes * 4;
    LS_TRY(ls_arena_alloc(&hf->g->mem, &out, n / 4 + 32, 1, "a ternary tensor", hf->err));
    for (size_t i = 0; i < n; i++) {
        size_t  r = i / row, c = i % row;
        uint8_t code = ((const uint8_t *)t->data)[r % n_rows * row + c] >> (r / n_rows * 2) & 3;
        if (code == 3) return ls_hf_bad_tensor(hf, t, "holds a code that is none of -1, 0, 1");
        put_code(out, i, code);
    }
    memcpy(out + n / 4, &scale, 4);
    LS_TRY(target(hf, m, 0, &name));
    return ls_hf_emit_blocks(hf, name, LS_DTYPE_I2_S, 2, shape, out, t);
}

/* Weights that are what the model computes with, but for a factor. */
static ls_status scaled(ls_hf *hf, const ls_hf_match *m)
{
    const ls_ckpt_tensor *t = m->t;
    size_t                n = t->n_bytes / ls_ckpt_dtype_bytes(t->dtype);
    double                scale = 1;
    bool                  found;
    float                *out;
    ls_str                name;
    LS_TRY(find_scale(hf, m, &scale, &found));
    if (!found || scale == 1) return emit(hf, m, t->data);
    LS_TRY(ls_arena_alloc(&hf->g->mem, &out, n, sizeof(*out), "a ternary tensor", hf->err));
    for (size_t i = 0; i < n; i++) {
        out[i] = (float)((double)ls_hf_element(t->dtype, t->data, i) * scale);
    }
    LS_TRY(target(hf, m, 0, &name));
    return ls_hf_emit(hf, name, LS_CKPT_F32, t->n_dims, t->shape, out, t);
}

/* Master weights: each is rounded to -1, 0 or 1 times the mean of the magnitudes, as the training
 * program does in every forward pass. F16 as llama.cpp's BitNet files have them. */
ls_status ls_hf_ternary(ls_hf *hf, const ls_hf_match *m)
{
    const ls_ckpt_tensor *t = m->t;
    size_t                n = t->n_bytes / ls_ckpt_dtype_bytes(t->dtype);
    double                sum = 0;
    float                 scale, inverse;
    uint16_t             *out;
    ls_str                name;
    if (t->dtype == LS_CKPT_U8) return unpack_ternary(hf, m);
    if (!ls_hf_is_float(t->dtype) || !n) return emit(hf, m, t->data);
    if (quantisation_is(hf, "quantization_mode", "offline")) return scaled(hf, m);
    for (size_t i = 0; i < n; i++) sum += fabs((double)ls_hf_element(t->dtype, t->data, i));
    scale = (float)(sum / (double)n);
    if (!(scale < 65504)) return ls_hf_bad_tensor(hf, t, "has no finite mean magnitude");
    inverse = 1 / (scale > 1e-5f ? scale : 1e-5f);
    LS_TRY(ls_arena_alloc(&hf->g->mem, &out, n, 2, "a ternary tensor", hf->err));
    for (size_t i = 0; i < n; i++) {
        float q = rintf(ls_hf_element(t->dtype, t->data, i) * inverse);
        q = q > 1 ? 1 : q < -1 ? -1 : q;
        out[i] = ls_f32_to_f16(q / inverse);
    }
    LS_TRY(target(hf, m, 0, &name));
    return ls_hf_emit(hf, name, LS_CKPT_F16, t->n_dims, t->shape, out, t);
}
