// SPDX-License-Identifier: MIT
/* kern_run.c - how checkkern calls each kernel, and compares what it wrote with what the scalar
 * kernel wrote. */
#include <math.h>
#include <string.h>

#include "dtype/strips.h"
#include "kern.h"

static void invoke_matmul(kern_data *d, const kern_case *c, const ls_kernels *k, float *y)
{
    _Alignas(64) static uint8_t scratch[1 << 20];
    int                         dtype = kern_info_of(c->kernel)->type;
    ls_matmul                   m = {
                          .y = y,
                          .ldy = kern_y_stride(c),
                          .w = d->in[0].data,
                          .row_bytes = kern_row_bytes(c),
                          .n_rows = kern_rows(c),
                          .scratch = scratch,
                          .x = d->in[1].data,
                          .x_bytes = kern_act_stride(c),
                          .n_cols = c->cols,
                          .n = c->n,
                          .w_scale = 0.37f,
                          .lanes = c->lanes,
                          .follow = c->cols % 2 == 0, /* only Q4_K looks at it */
                          .whole = c->lanes == (ls_dtype_block(dtype) == 1 ? 0 : 8),
    };
    bool strips = kern_info_of(c->kernel)->kind == KIND_STRIPS;
    if (strips && !ls_strips_follow(dtype)) m.whole = true;
    if (!strips && c->lanes == 16 && c->rows % 2)
        m.rows = c->cols % 2 ? LS_ROWS_LANES : LS_ROWS_PAIRS; /* IQ4_NL, MXFP4 */
    if (strips) {
        ls_kernels_strips(k, dtype)(&m);
    } else if (c->kernel == KERN_matmul_q4_0_lanes) {
        k->matmul_q4_0_lanes(&m);
    } else if (c->kernel == KERN_matmul_bf16_pairs) {
        k->matmul_bf16_pairs(&m);
    } else {
        ls_kernels_matmul(k, dtype)(&m);
    }
}

/* Spans end as those of queries one behind the other do, or have little in common, or nothing. */
static void invoke_chains(kern_data *d, const kern_case *c, const ls_kernels *k, float *y)
{
    ls_span   spans[128]; /* sweep_shapes goes up to 101 columns */
    ls_chains m = {
        .y = y,
        .ldy = LS_CHAIN_LANES * c->rows + 3,
        .w = d->in[0].data,
        .strip = kern_chains_strip(c),
        .n_strips = c->rows,
        .x = (const float *)(const void *)d->in[1].data,
        .ldx = c->n,
        .n_cols = c->cols,
        .n = c->n,
        .block = c->rows % 2 ? 64 : c->n + 1,
    };
    for (size_t i = 0; i < c->cols; i++) {
        size_t late = c->cols - 1 - i, gap = c->n / 3 * (i % 3);
        spans[i].to = c->n > late ? c->n - late : 0;
        spans[i].from = c->n % 2 ? gap : i < spans[i].to ? i : spans[i].to;
        if (c->n % 4 == 3 && spans[i].from + 9 < spans[i].to) spans[i].to = spans[i].from + 9;
        if (spans[i].from > spans[i].to) spans[i].from = spans[i].to;
    }
    if (c->cols % 2 == 0) m.spans = spans;
    ls_kernels_chains(k, kern_info_of(c->kernel)->type)(&m);
}

/* What goes behind an activation row. */
static void invoke_sums(const kern_case *c, const ls_kernels *k, void *row)
{
    if (c->kernel == KERN_sums_q8_0)
        k->sums_q8_0(row, c->n);
    else
        (c->kernel == KERN_tables_tl1 ? k->tables_tl1 : k->tables_tl2)(row, c->n);
}

void kern_invoke(kern_data *d, const kern_case *c, const ls_kernels *k, int which)
{
    float       *y = (float *)(void *)d->out[which].data;
    const void  *u = d->in[0].data;
    const float *a = u, *b = (const float *)(const void *)d->in[1].data;
    size_t       n = c->n;
    kern_kind    kind = kern_info_of(c->kernel)->kind;
    if (kind == KIND_MATMUL || kind == KIND_STRIPS) {
        invoke_matmul(d, c, k, y);
        return;
    }
    if (kind == KIND_CHAINS) {
        invoke_chains(d, c, k, y);
        return;
    }
    if (kind == KIND_SUMS) invoke_sums(c, k, y);
    if (kind == KIND_MIX) k->mix_f16(&(ls_mix){y, b, u, n + 3, c->rows, n, kern_mix_stripes(c)});
    if (c->place == PLACE_SHIFTED) a = y;
    switch (c->kernel) {
    case KERN_act_f16:
        k->act_f16(y, u, n);
        return;
    case KERN_act_bf16:
        k->act_bf16(y, u, n);
        return;
    case KERN_floats_f16:
        k->floats_f16(y, u, n);
        return;
    case KERN_floats_bf16:
        k->floats_bf16(y, u, n);
        return;
    case KERN_act_q8_0:
        k->act_q8_0(y, u, n);
        return;
    case KERN_act_q8_1:
        k->act_q8_1(y, u, n);
        return;
    case KERN_act_q8_k:
        k->act_q8_k(y, u, n);
        return;
    case KERN_act_i8_row:
        k->act_i8_row(y, u, n);
        return;
    case KERN_act_i8_tl:
        k->act_i8_tl(y, u, n);
        return;
    case KERN_dot_f32:
        *y = k->dot_f32(u, b, n, c->lanes);
        return;
    case KERN_dot_f16:
        *y = k->dot_f16(u, (const uint16_t *)(const void *)b, n, c->lanes);
        return;
    case KERN_dot_f16_wide:
        *y = k->dot_f16_wide(u, (const uint16_t *)(const void *)b, n, c->lanes);
        return;
    case KERN_dot_bf16_wide:
        *y = k->dot_bf16_wide(u, (const uint16_t *)(const void *)b, n, c->lanes);
        return;
    case KERN_axpy_f32:
        k->axpy_f32(y, n ? b[0] : 1, u, n);
        return;
    case KERN_rmsnorm:
        k->rmsnorm(y, a, b, n, 1e-5f);
        return;
    case KERN_layernorm:
        k->layernorm(y, a, b, n % 3 ? b : NULL, n, 1e-5f, c->lanes);
        return;
    case KERN_softmax:
        k->softmax(y, n, n % 3 ? -INFINITY : 0.5f, c->lanes);
        return;
    case KERN_silu_mul:
        k->silu_mul(y, a, b, n, c->lanes);
        return;
    case KERN_relu2_mul:
        k->relu2_mul(y, a, b, n);
        return;
    case KERN_add:
        k->add(y, a, b, n);
        return;
    case KERN_scale:
        k->scale(y, n ? b[n / 2] : 1, n);
        return;
    case KERN_round_f16:
    case KERN_round_bf16:
        (c->kernel == KERN_round_f16 ? k->round_f16 : k->round_bf16)(y, a, n);
        return;
    case KERN_rope_normal:
        k->rope_normal(y, u, n);
        return;
    case KERN_rope_neox:
        k->rope_neox(y, u, n);
        return;
    default:
        return;
    }
}

static bool is_nan(uint32_t bits) { return (bits & 0x7fffffff) > 0x7f800000; }

/* Whether a kernel writes bytes instead of floats. */
static bool writes_bytes(const kern_case *c)
{
    kern_kind kind = kern_info_of(c->kernel)->kind;
    return kind == KIND_ACT || kind == KIND_SUMS;
}

uint64_t kern_hash(const kern_data *d, const kern_case *c, uint64_t hash)
{
    const kern_buf *r = &d->out[0];
    size_t          step = writes_bytes(c) ? 1 : 4;
    for (size_t i = 0; i < r->bytes; i += step) {
        uint32_t a = 0;
        memcpy(&a, r->data + i, step);
        if (step == 4 && is_nan(a)) a = 0x7fc00000;
        hash = (hash ^ a) * 0x9e3779b97f4a7c15;
        hash ^= hash >> 29;
    }
    return hash;
}

bool kern_compare(const kern_data *d, const kern_case *c, size_t *index, uint32_t *ref,
                  uint32_t *got)
{
    const kern_buf *r = &d->out[0], *g = &d->out[1];
    bool            bytes = writes_bytes(c);
    size_t          step = bytes ? 1 : 4;
    for (size_t i = 0; i < r->bytes; i += step) {
        uint32_t a = 0, b = 0;
        memcpy(&a, r->data + i, step);
        memcpy(&b, g->data + i, step);
        if (a == b || (!bytes && is_nan(a) && is_nan(b))) continue;
        *index = i / step;
        *ref = a;
        *got = b;
        return false;
    }
    *index = SIZE_MAX;
    return kern_buf_intact(r) && kern_buf_intact(g) && kern_buf_intact(&d->in[0]) &&
           kern_buf_intact(&d->in[1]) && kern_buf_intact(&d->in[2]);
}
