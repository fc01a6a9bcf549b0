// SPDX-License-Identifier: MIT
/* hf_back_ops.c - what the operations of hf_ops.c did to tensors, undone.
 *
 * Each has a function that plans the tensors of the folder and one that makes their data, a tensor
 * at a time. Values are moved as they are where the types allow it; what is no float in the model
 * is decoded.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "dtype/dtype.h"
#include "format/hf_back.h"

enum { GGUF_MXFP4 = 39, MX_BLOCK = 32, MX_CODES = 16, MX_BYTES = 17 };

/* ---- values ---- */

static ls_ckpt_dtype float_type(int dtype)
{
    return dtype == LS_DTYPE_F32    ? LS_CKPT_F32
           : dtype == LS_DTYPE_F16  ? LS_CKPT_F16
           : dtype == LS_DTYPE_BF16 ? LS_CKPT_BF16
           : dtype == LS_DTYPE_F64  ? LS_CKPT_F64
                                    : LS_CKPT_N_DTYPES;
}

static size_t n_elements(const ls_tensor *t)
{
    return (size_t)(t->ne[0] * t->ne[1] * t->ne[2] * t->ne[3]);
}

static bool too_large(ls_ckpt_dtype dtype, const float *x, size_t n)
{
    for (size_t i = 0; i < n && dtype == LS_CKPT_F16; i++) {
        if (fabsf(x[i]) >= 65520 && isfinite(x[i])) return true;
    }
    return false;
}

static void encode(ls_ckpt_dtype dtype, void *out, const float *x, size_t n)
{
    uint16_t *h = out;
    double   *d = out;
    if (dtype == LS_CKPT_F32) memcpy(out, x, n * sizeof(*x));
    for (size_t i = 0; i < n && dtype == LS_CKPT_F64; i++) d[i] = (double)x[i];
    for (size_t i = 0; i < n && dtype == LS_CKPT_F16; i++) h[i] = ls_f32_to_f16(x[i]);
    for (size_t i = 0; i < n && dtype == LS_CKPT_BF16; i++) h[i] = ls_f32_to_bf16(x[i]);
}

/* Whether every value is one that the type has, to the bit. */
static bool holds(ls_ckpt_dtype dtype, const double *x, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        float f = (float)x[i];
        if (dtype == LS_CKPT_F16) f = ls_f16_to_f32(ls_f32_to_f16(f));
        if (dtype == LS_CKPT_BF16) f = ls_bf16_to_f32(ls_f32_to_bf16(f));
        if ((double)f != x[i]) return false; /* NaN, too */
    }
    return true;
}

/* What the reader makes F32 again anyway is written in the type of the matrices if nothing is lost
 * by that, as the folders of training programs have it. */
static ls_ckpt_dtype narrow(const ls_hf_back *b, const double *x, size_t n)
{
    if (holds(b->main, x, n)) return b->main;
    return holds(LS_CKPT_F32, x, n) ? LS_CKPT_F32 : LS_CKPT_F64;
}

/* Elements of a tensor of floats, less `minus`. */
static ls_status numbers(const ls_hf_back *b, const ls_tensor *t, double minus, double **out)
{
    size_t n = n_elements(t);
    LS_TRY(ls_alloc(out, n, sizeof(**out), "a tensor", b->err));
    for (size_t i = 0; i < n; i++)
        (*out)[i] = ls_hf_number(float_type(t->dtype), t->data, i) - minus;
    return LS_OK;
}

static ls_status narrow_tensor(const ls_hf_back *b, const ls_tensor *t, double minus,
                               ls_ckpt_dtype *out)
{
    double *x;
    LS_TRY(numbers(b, t, minus, &x));
    *out = narrow(b, x, n_elements(t));
    free(x);
    return LS_OK;
}

static ls_status dtype_of(const ls_hf_back *b, const ls_tensor *t, ls_ckpt_dtype *out)
{
    bool vector = ls_hf_wants_f32(t->name, t->n_dims);
    *out = float_type(t->dtype);
    if (vector && t->dtype == LS_DTYPE_F32) return narrow_tensor(b, t, 0, out);
    if (*out == LS_CKPT_N_DTYPES || (!vector && b->opt->dtype >= 0)) *out = b->main;
    return LS_OK;
}

/* Rows [first, first + n) of t as the type of p. */
static ls_status rows_of(const ls_hf_back *b, const ls_hf_piece *p, const ls_tensor *t,
                         size_t first, size_t n, void *out)
{
    enum { AT_ONCE = 1 << 16 };
    size_t         row = (size_t)t->ne[0], bytes = ls_dtype_row_bytes(t->dtype, row), step, k;
    size_t         size = ls_ckpt_dtype_bytes(p->dtype);
    const uint8_t *data = (const uint8_t *)t->data + first * bytes;
    float          scale = ls_dtype_tensor_scale(t->dtype, t->data, n_elements(t)), *x;
    if (float_type(t->dtype) == p->dtype) {
        memcpy(out, data, n * bytes);
        return LS_OK;
    }
    step = row < AT_ONCE ? AT_ONCE / row : 1;
    LS_TRY(ls_alloc(&x, step * row, sizeof(*x), "rows of a tensor", b->err));
    for (size_t r = 0; r < n; r += k) {
        k = n - r < step ? n - r : step;
        ls_dtype_decode(t->dtype, x, data + r * bytes, k * row, scale);
        if (too_large(p->dtype, x, k * row)) {
            free(x);
            ls_hf_back_refuse(b, t, "has numbers that F16 cannot hold");
            ls_fail_hint(b->err, "write F32 or BF16");
            return LS_ERR_UNSUPPORTED;
        }
        encode(p->dtype, (char *)out + r * row * size, x, k * row);
    }
    free(x);
    return LS_OK;
}

static size_t n_rows(const ls_tensor *t) { return n_elements(t) / (size_t)t->ne[0]; }

/* All of p->src[which] in a buffer of its own. */
static ls_status whole(const ls_hf_back *b, const ls_hf_piece *p, int which, char **out)
{
    const ls_tensor *t = p->src[which];
    ls_status        status;
    LS_TRY(ls_alloc(out, n_elements(t), ls_ckpt_dtype_bytes(p->dtype), "a tensor", b->err));
    status = rows_of(b, p, t, 0, n_rows(t), *out);
    if (status == LS_OK) return LS_OK;
    free(*out);
    *out = NULL;
    return status;
}

/* ---- data ---- */

static ls_status fill_plain(const ls_hf_back *b, const ls_hf_piece *p, void *out)
{
    return rows_of(b, p, p->src[0], 0, n_rows(p->src[0]), out);
}

static ls_status fill_shuffled(const ls_hf_back *b, const ls_hf_piece *p, void *out)
{
    size_t n = (size_t)p->shape[0], bytes = p->n_bytes / n;
    char  *data;
    LS_TRY(whole(b, p, 0, &data));
    for (size_t i = 0; i < n; i++) {
        memcpy((char *)out + p->shuffle->row(&b->heads, n, i) * bytes, data + i * bytes, bytes);
    }
    free(data);
    return LS_OK;
}

static ls_status fill_minus_1(const ls_hf_back *b, const ls_hf_piece *p, void *out)
{
    size_t  n = n_elements(p->src[0]);
    double *x;
    LS_TRY(numbers(b, p->src[0], 1, &x));
    for (size_t i = 0; i < n; i++) {
        float f = (float)x[i];
        if (p->dtype == LS_CKPT_F64) {
            memcpy((char *)out + 8 * i, &x[i], 8);
        } else {
            encode(p->dtype, (char *)out + i * ls_ckpt_dtype_bytes(p->dtype), &f, 1);
        }
    }
    free(x);
    return LS_OK;
}

static ls_status fill_slice(const ls_hf_back *b, const ls_hf_piece *p, void *out)
{
    size_t n = n_rows(p->src[0]) / (size_t)p->src[0]->ne[p->src[0]->n_dims - 1];
    return rows_of(b, p, p->src[0], p->index * n, n, out);
}

/* out[s][c][r] = in[s][r][c] of n_stack matrices. */
static void transpose(char *out, const char *in, size_t n_stack, size_t rows, size_t cols,
                      size_t size)
{
    for (size_t i = 0; i < n_stack * rows * cols; i++) {
        size_t s = i / (rows * cols), r = i / cols % rows, c = i % cols;
        memcpy(out + ((s * cols + c) * rows + r) * size, in + i * size, size);
    }
}

static ls_status fill_transposed(const ls_hf_back *b, const ls_hf_piece *p, void *out)
{
    const ls_tensor *t = p->src[0];
    char            *data;
    LS_TRY(whole(b, p, 0, &data));
    transpose(out, data, (size_t)t->ne[2], (size_t)t->ne[1], (size_t)t->ne[0],
              ls_ckpt_dtype_bytes(p->dtype));
    free(data);
    return LS_OK;
}

/* Rows of two stacks become the rows of one: all of the first before those of the second, or one
 * of each in turn. `row` bytes, `n` rows of a matrix. */
static void join(char *out, const char *const in[2], size_t n_stack, size_t n, size_t row,
                 bool in_turn)
{
    for (size_t i = 0; i < 2 * n_stack * n; i++) {
        size_t which = i / (n_stack * n), s = i % (n_stack * n) / n, k = i % n,
               to = in_turn ? 2 * k + which : which * n + k;
        memcpy(out + (s * 2 * n + to) * row, in[which] + (s * n + k) * row, row);
    }
}

static ls_status fill_joined(const ls_hf_back *b, const ls_hf_piece *p, void *out, size_t n_stack,
                             size_t n, size_t row, bool in_turn)
{
    char     *in[2] = {NULL, NULL};
    ls_status status = whole(b, p, 0, &in[0]);
    if (status == LS_OK) status = whole(b, p, 1, &in[1]);
    if (status == LS_OK) join(out, (const char *const *)in, n_stack, n, row, in_turn);
    free(in[0]);
    free(in[1]);
    return status;
}

static ls_status fill_halves(const ls_hf_back *b, const ls_hf_piece *p, void *out)
{
    const ls_tensor *t = p->src[0];
    return fill_joined(b, p, out, (size_t)t->ne[2], (size_t)t->ne[1],
                       (size_t)t->ne[0] * ls_ckpt_dtype_bytes(p->dtype), false);
}

static ls_status fill_pairs_bias(const ls_hf_back *b, const ls_hf_piece *p, void *out)
{
    const ls_tensor *t = p->src[0];
    return fill_joined(b, p, out, (size_t)t->ne[1], (size_t)t->ne[0], ls_ckpt_dtype_bytes(p->dtype),
                       true);
}

static ls_status fill_pairs(const ls_hf_back *b, const ls_hf_piece *p, void *out)
{
    const ls_tensor *t = p->src[0];
    size_t           size = ls_ckpt_dtype_bytes(p->dtype), row = (size_t)t->ne[0] * size;
    char            *joined;
    ls_status        status;
    LS_TRY(ls_alloc(&joined, p->n_bytes, 1, "a tensor", b->err));
    status = fill_joined(b, p, joined, (size_t)t->ne[2], (size_t)t->ne[1], row, true);
    if (status == LS_OK) {
        transpose(out, joined, (size_t)t->ne[2], 2 * (size_t)t->ne[1], (size_t)t->ne[0], size);
    }
    free(joined);
    return status;
}

/* ---- MXFP4 ---- */

/* Row r of the folder's tensor: of one stack, or of two in turn. */
static const uint8_t *mx_row(const ls_hf_piece *p, size_t e, size_t r)
{
    size_t           step = p->src[1] ? 2 : 1;
    const ls_tensor *t = p->src[r % step];
    size_t           bytes = (size_t)t->ne[0] / MX_BLOCK * MX_BYTES;
    return (const uint8_t *)t->data + (e * (size_t)t->ne[1] + r / step) * bytes;
}

/* Byte k of a block holds elements k and k + 16, byte k of the folder's 2k and 2k + 1. */
static ls_status fill_mx_blocks(const ls_hf_back *b, const ls_hf_piece *p, void *out)
{
    uint8_t *at = out;
    (void)b;
    for (size_t i = 0; i < (size_t)(p->shape[0] * p->shape[1]); i++) {
        const uint8_t *row = mx_row(p, i / (size_t)p->shape[1], i % (size_t)p->shape[1]);
        for (int64_t blk = 0; blk < p->shape[2]; blk++, row += MX_BYTES) {
            for (size_t k = 0; k < MX_CODES; k++) {
                size_t  j = 2 * k % MX_CODES;
                uint8_t shift = k < MX_CODES / 2 ? 0 : 4;
                *at++ = (uint8_t)((row[1 + j] >> shift & 15) | (row[2 + j] >> shift & 15) << 4);
            }
        }
    }
    return LS_OK;
}

static ls_status fill_mx_scales(const ls_hf_back *b, const ls_hf_piece *p, void *out)
{
    uint8_t *at = out;
    (void)b;
    for (size_t i = 0; i < (size_t)(p->shape[0] * p->shape[1]); i++) {
        const uint8_t *row = mx_row(p, i / (size_t)p->shape[1], i % (size_t)p->shape[1]);
        for (int64_t blk = 0; blk < p->shape[2]; blk++) *at++ = row[blk * MX_BYTES];
    }
    return LS_OK;
}

/* ---- ternary ---- */

/* Rows r, r + rows/4, ... at bits 0, 2, 4, 6. */
static ls_status fill_ternary(const ls_hf_back *b, const ls_hf_piece *p, void *out)
{
    size_t   n = (size_t)p->shape[0], row = (size_t)p->shape[1];
    uint8_t *to = out;
    memset(to, 0, p->n_bytes);
    for (size_t i = 0; i < 4 * n * row; i++) {
        size_t   r = i / row, c = i % row;
        unsigned code = ls_hf_i2s_code(p->src[0]->data, i);
        if (code == 3) {
            return ls_hf_back_refuse(b, p->src[0], "holds a code that is none of -1, 0, 1");
        }
        to[r % n * row + c] |= (uint8_t)(code << (r / n * 2));
    }
    return LS_OK;
}

static ls_status fill_scale(const ls_hf_back *b, const ls_hf_piece *p, void *out)
{
    float scale = ls_dtype_tensor_scale(LS_DTYPE_I2_S, p->src[0]->data, n_elements(p->src[0]));
    (void)b;
    memcpy(out, &scale, sizeof(scale));
    return LS_OK;
}

/* ---- plans ---- */

typedef struct plan { /* what a planning function works on */
    ls_hf_back        *b;
    const ls_hf_name  *row;
    const ls_hf_match *m;
    ls_hf_piece        p; /* name, type, shape and source are those of the tensor as it is */
} plan;

/* False where the row is for tensors of another kind; *status tells errors. */
typedef bool plan_fn(plan *s, ls_status *status);

static void set_name(plan *s, ls_status *status, const char *pattern, const char *ending,
                     int64_t expert)
{
    char buf[256];
    if (*status != LS_OK) return;
    *status = ls_hf_fill(buf, sizeof(buf), pattern, s->m->layer, expert)
                  ? ls_arena_printf(&s->b->mem, &s->p.name, s->b->err, "%s%s", buf, ending)
                  : ls_fail(s->b->err, LS_ERR_INTERNAL, "a pattern of a name is too long");
}

static void add(plan *s, ls_status *status, ls_hf_fill_fn *fill)
{
    s->p.fill = fill;
    if (*status == LS_OK) *status = ls_hf_back_add(s->b, &s->p);
}

static bool plan_plain(plan *s, ls_status *status)
{
    set_name(s, status, s->row->from, "", -1);
    add(s, status, fill_plain);
    return true;
}

static bool plan_one_row(plan *s, ls_status *status)
{
    s->p.n_dims = 2;
    s->p.shape[0] = 1;
    s->p.shape[1] = s->p.src[0]->ne[0];
    return plan_plain(s, status);
}

static bool plan_shuffled(plan *s, ls_status *status)
{
    size_t n = (size_t)s->p.shape[0];
    s->p.shuffle = ls_hf_shuffle_of(s->row->op);
    if (!s->p.shuffle->fits(&s->b->heads, n)) {
        *status = ls_hf_back_refuse(s->b, s->p.src[0],
                                    "has %zu rows, which are not those of "
                                    "%zu heads",
                                    n, s->b->heads.n);
    }
    set_name(s, status, s->row->from, "", -1);
    add(s, status, fill_shuffled);
    return true;
}

static bool plan_minus_1(plan *s, ls_status *status)
{
    if (float_type(s->p.src[0]->dtype) == LS_CKPT_N_DTYPES) {
        *status = ls_hf_back_refuse(s->b, s->p.src[0], "is a norm, but no vector of floats");
        return true;
    }
    *status = narrow_tensor(s->b, s->p.src[0], 1, &s->p.dtype);
    set_name(s, status, s->row->from, "", -1);
    add(s, status, fill_minus_1);
    return true;
}

static bool plan_transposed(plan *s, ls_status *status)
{
    uint32_t last = s->p.n_dims - 1;
    int64_t  n = s->p.shape[last];
    if (s->p.n_dims < 2) return false;
    s->p.shape[last] = s->p.shape[last - 1];
    s->p.shape[last - 1] = n;
    set_name(s, status, s->row->from, "", -1);
    add(s, status, fill_transposed);
    return true;
}

static bool plan_slices(plan *s, ls_status *status)
{
    int64_t n = s->p.shape[0];
    if (s->p.n_dims < 2 || s->p.src[0]->ne[3] > 1) return false;
    s->p.n_dims--;
    memmove(s->p.shape, s->p.shape + 1, s->p.n_dims * sizeof(s->p.shape[0]));
    for (int64_t i = 0; i < n && *status == LS_OK; i++) {
        s->p.index = (size_t)i;
        set_name(s, status, s->row->from, "", i);
        add(s, status, fill_slice);
    }
    return true;
}

/* The tensor that the other half of the folder's became. */
static bool find_other(plan *s)
{
    char             name[256];
    const char      *bar = strchr(s->row->to, '|');
    const ls_tensor *t = s->p.src[0], *other;
    if (!bar || !ls_hf_fill(name, sizeof(name), bar + 1, s->m->layer, -1)) return false;
    other = ls_gguf_tensor(s->b->g, name);
    if (!other || !other->data || memcmp(other->ne, t->ne, sizeof(t->ne)) != 0) return false;
    s->p.src[1] = other;
    return true;
}

static bool plan_pair(plan *s, ls_status *status, uint32_t n_dims, ls_hf_fill_fn *fill)
{
    ls_ckpt_dtype other = s->p.dtype;
    if (s->p.n_dims != n_dims || !find_other(s)) return false;
    *status = dtype_of(s->b, s->p.src[1], &other);
    if (other != s->p.dtype) s->p.dtype = LS_CKPT_F32;
    set_name(s, status, s->row->from, "", -1);
    add(s, status, fill);
    return true;
}

static bool plan_halves(plan *s, ls_status *status)
{
    s->p.shape[1] *= 2;
    return plan_pair(s, status, 3, fill_halves);
}

static bool plan_pairs(plan *s, ls_status *status)
{
    int64_t rows = s->p.shape[1];
    s->p.shape[1] = s->p.shape[2];
    s->p.shape[2] = 2 * rows;
    return plan_pair(s, status, 3, fill_pairs);
}

static bool plan_pairs_bias(plan *s, ls_status *status)
{
    s->p.shape[1] *= 2;
    return plan_pair(s, status, 2, fill_pairs_bias);
}

/* Kept as blocks unless floats are asked for. */
static bool plan_mx(plan *s, ls_status *status, bool pairs)
{
    static const char suffix[] = "_blocks";
    char              base[256];
    size_t            n = strlen(s->row->from) - (sizeof(suffix) - 1);
    const ls_tensor  *t = s->p.src[0];
    if (t->dtype != GGUF_MXFP4 || s->p.n_dims != 3 || s->b->opt->dtype >= 0) return false;
    if (pairs && (!find_other(s) || s->p.src[1]->dtype != GGUF_MXFP4)) return false;
    memcpy(base, s->row->from, n);
    base[n] = '\0';
    s->b->mxfp4 = true;
    s->p.dtype = LS_CKPT_U8;
    s->p.n_dims = 4;
    s->p.shape[1] *= pairs ? 2 : 1;
    s->p.shape[2] /= MX_BLOCK;
    s->p.shape[3] = MX_CODES;
    set_name(s, status, base, suffix, -1);
    add(s, status, fill_mx_blocks);
    s->p.n_dims = 3;
    s->p.shape[3] = 0;
    set_name(s, status, base, "_scales", -1);
    add(s, status, fill_mx_scales);
    return true;
}

static bool plan_mxfp4(plan *s, ls_status *status) { return plan_mx(s, status, false); }
static bool plan_mxfp4_pairs(plan *s, ls_status *status) { return plan_mx(s, status, true); }

/* I2_S is packed without loss; floats are what they are. */
static bool plan_ternary(plan *s, ls_status *status)
{
    const ls_tensor *t = s->p.src[0];
    float            scale;
    s->b->ternary = true;
    if (t->dtype != LS_DTYPE_I2_S || s->b->opt->dtype >= 0 || s->p.n_dims != 2) {
        return plan_plain(s, status);
    }
    scale = ls_dtype_tensor_scale(t->dtype, t->data, n_elements(t));
    if (s->p.shape[0] % 4 || s->p.shape[1] % 128 || !(scale > 0) || !isfinite(scale)) {
        return plan_plain(s, status);
    }
    s->p.dtype = LS_CKPT_U8;
    s->p.shape[0] /= 4;
    set_name(s, status, s->row->from, "", -1);
    add(s, status, fill_ternary);
    s->p.dtype = LS_CKPT_F32;
    s->p.n_dims = 1;
    s->p.shape[0] = 1;
    set_name(s, status, s->row->from, "_scale", -1);
    add(s, status, fill_scale);
    return true;
}

static const struct {
    ls_hf_op *op;
    plan_fn  *plan;
} inverses[] = {
    {NULL, plan_plain},
    {ls_hf_plain, plan_plain},
    {ls_hf_one_row, plan_one_row},
    {ls_hf_permute_q, plan_shuffled},
    {ls_hf_permute_k, plan_shuffled},
    {ls_hf_qkv_groups, plan_shuffled},
    {ls_hf_qkv_heads, plan_shuffled},
    {ls_hf_norm_plus_1, plan_minus_1},
    {ls_hf_transpose, plan_transposed},
    {ls_hf_transpose_experts, plan_transposed},
    {ls_hf_stack, plan_slices},
    {ls_hf_split_halves, plan_halves},
    {ls_hf_split_pairs, plan_pairs},
    {ls_hf_split_pairs_bias, plan_pairs_bias},
    {ls_hf_mxfp4, plan_mxfp4},
    {ls_hf_mxfp4_pairs, plan_mxfp4_pairs},
    {ls_hf_ternary, plan_ternary},
};

ls_status ls_hf_back_op(ls_hf_back *b, const ls_hf_name *row, const ls_hf_match *m,
                        const ls_tensor *t, bool *done)
{
    plan      s = {.b = b, .row = row, .m = m, .p = {.src = {t, NULL}, .n_dims = t->n_dims}};
    ls_status status = dtype_of(b, t, &s.p.dtype);
    for (uint32_t i = 0; i < t->n_dims; i++) s.p.shape[i] = t->ne[t->n_dims - 1 - i];
    for (size_t i = 0; i < sizeof(inverses) / sizeof(inverses[0]) && status == LS_OK; i++) {
        if (inverses[i].op == row->op) *done = inverses[i].plan(&s, &status);
    }
    return status;
}
