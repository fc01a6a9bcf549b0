// SPDX-License-Identifier: MIT
/* kern_cases.c - how checkkern makes the inputs of each kind of kernel. */
#include <math.h>
#include <string.h>

#include "dtype/lookup.h"
#include "dtype/strips.h"
#include "kern.h"

/* One row per kernel of kernels.def; a kernel without a row here stops checkkern. */
static const struct {
    kern_kind kind;
    int       type;
    bool      lanes;
} kinds[N_KERNELS] = {
    [KERN_matmul_f32] = {KIND_MATMUL, LS_DTYPE_F32, true},
    [KERN_matmul_f16] = {KIND_MATMUL, LS_DTYPE_F16, true},
    [KERN_matmul_bf16] = {KIND_MATMUL, LS_DTYPE_BF16, true},
    [KERN_matmul_q4_0] = {KIND_MATMUL, LS_DTYPE_Q4_0, true},
    [KERN_matmul_q8_0] = {KIND_MATMUL, LS_DTYPE_Q8_0, true},
    [KERN_matmul_q4_k] = {KIND_MATMUL, LS_DTYPE_Q4_K, true},
    [KERN_matmul_q6_k] = {KIND_MATMUL, LS_DTYPE_Q6_K, true},
    [KERN_matmul_tq2_0] = {KIND_MATMUL, LS_DTYPE_TQ2_0, true},
    [KERN_matmul_i2_s] = {KIND_MATMUL, LS_DTYPE_I2_S, false},
    [KERN_matmul_q4_1] = {KIND_MATMUL, LS_DTYPE_Q4_1, true},
    [KERN_matmul_q5_0] = {KIND_MATMUL, LS_DTYPE_Q5_0, true},
    [KERN_matmul_q5_1] = {KIND_MATMUL, LS_DTYPE_Q5_1, true},
    [KERN_matmul_q8_1] = {KIND_MATMUL, LS_DTYPE_Q8_1, true},
    [KERN_matmul_q2_k] = {KIND_MATMUL, LS_DTYPE_Q2_K, true},
    [KERN_matmul_q3_k] = {KIND_MATMUL, LS_DTYPE_Q3_K, true},
    [KERN_matmul_q5_k] = {KIND_MATMUL, LS_DTYPE_Q5_K, true},
    [KERN_matmul_q8_k] = {KIND_MATMUL, LS_DTYPE_Q8_K, true},
    [KERN_matmul_iq2_xxs] = {KIND_MATMUL, LS_DTYPE_IQ2_XXS, true},
    [KERN_matmul_iq2_xs] = {KIND_MATMUL, LS_DTYPE_IQ2_XS, true},
    [KERN_matmul_iq3_xxs] = {KIND_MATMUL, LS_DTYPE_IQ3_XXS, true},
    [KERN_matmul_iq1_s] = {KIND_MATMUL, LS_DTYPE_IQ1_S, true},
    [KERN_matmul_iq4_nl] = {KIND_MATMUL, LS_DTYPE_IQ4_NL, true},
    [KERN_matmul_iq3_s] = {KIND_MATMUL, LS_DTYPE_IQ3_S, true},
    [KERN_matmul_iq2_s] = {KIND_MATMUL, LS_DTYPE_IQ2_S, true},
    [KERN_matmul_iq4_xs] = {KIND_MATMUL, LS_DTYPE_IQ4_XS, true},
    [KERN_matmul_iq1_m] = {KIND_MATMUL, LS_DTYPE_IQ1_M, true},
    [KERN_matmul_tq1_0] = {KIND_MATMUL, LS_DTYPE_TQ1_0, true},
    [KERN_matmul_mxfp4] = {KIND_MATMUL, LS_DTYPE_MXFP4, true},
    [KERN_matmul_q4_0_lanes] = {KIND_MATMUL, LS_DTYPE_Q4_0, false},
    [KERN_matmul_bf16_pairs] = {KIND_MATMUL, LS_DTYPE_BF16, true},
    [KERN_matmul_nvfp4] = {KIND_MATMUL, LS_DTYPE_NVFP4, false},
    [KERN_matmul_q1_0] = {KIND_MATMUL, LS_DTYPE_Q1_0, false},
    [KERN_matmul_q2_0] = {KIND_MATMUL, LS_DTYPE_Q2_0, false},
    [KERN_matmul_i8] = {KIND_MATMUL, LS_DTYPE_I8, true},
    [KERN_matmul_i16] = {KIND_MATMUL, LS_DTYPE_I16, true},
    [KERN_matmul_i32] = {KIND_MATMUL, LS_DTYPE_I32, true},
    [KERN_matmul_i64] = {KIND_MATMUL, LS_DTYPE_I64, true},
    [KERN_matmul_f64] = {KIND_MATMUL, LS_DTYPE_F64, true},
    [KERN_strips_f32] = {KIND_STRIPS, LS_DTYPE_F32, false},
    [KERN_strips_f16] = {KIND_STRIPS, LS_DTYPE_F16, false},
    [KERN_strips_bf16] = {KIND_STRIPS, LS_DTYPE_BF16, false},
    [KERN_strips_q4_0] = {KIND_STRIPS, LS_DTYPE_Q4_0, false},
    [KERN_strips_q4_1] = {KIND_STRIPS, LS_DTYPE_Q4_1, false},
    [KERN_strips_q5_0] = {KIND_STRIPS, LS_DTYPE_Q5_0, false},
    [KERN_strips_q5_1] = {KIND_STRIPS, LS_DTYPE_Q5_1, false},
    [KERN_strips_q8_0] = {KIND_STRIPS, LS_DTYPE_Q8_0, false},
    [KERN_strips_q8_1] = {KIND_STRIPS, LS_DTYPE_Q8_1, false},
    [KERN_strips_iq4_nl] = {KIND_STRIPS, LS_DTYPE_IQ4_NL, false},
    [KERN_strips_mxfp4] = {KIND_STRIPS, LS_DTYPE_MXFP4, false},
    [KERN_strips_nvfp4] = {KIND_STRIPS, LS_DTYPE_NVFP4, false},
    [KERN_strips_q1_0] = {KIND_STRIPS, LS_DTYPE_Q1_0, false},
    [KERN_strips_q2_0] = {KIND_STRIPS, LS_DTYPE_Q2_0, false},
    [KERN_strips_q2_k] = {KIND_STRIPS, LS_DTYPE_Q2_K, false},
    [KERN_strips_q3_k] = {KIND_STRIPS, LS_DTYPE_Q3_K, false},
    [KERN_strips_q4_k] = {KIND_STRIPS, LS_DTYPE_Q4_K, false},
    [KERN_strips_q5_k] = {KIND_STRIPS, LS_DTYPE_Q5_K, false},
    [KERN_strips_q6_k] = {KIND_STRIPS, LS_DTYPE_Q6_K, false},
    [KERN_strips_q8_k] = {KIND_STRIPS, LS_DTYPE_Q8_K, false},
    [KERN_strips_iq4_xs] = {KIND_STRIPS, LS_DTYPE_IQ4_XS, false},
    [KERN_strips_tq1_0] = {KIND_STRIPS, LS_DTYPE_TQ1_0, false},
    [KERN_strips_tq2_0] = {KIND_STRIPS, LS_DTYPE_TQ2_0, false},
    [KERN_strips_iq1_s] = {KIND_STRIPS, LS_DTYPE_IQ1_S, false},
    [KERN_strips_iq1_m] = {KIND_STRIPS, LS_DTYPE_IQ1_M, false},
    [KERN_strips_iq2_xxs] = {KIND_STRIPS, LS_DTYPE_IQ2_XXS, false},
    [KERN_strips_iq2_xs] = {KIND_STRIPS, LS_DTYPE_IQ2_XS, false},
    [KERN_strips_iq2_s] = {KIND_STRIPS, LS_DTYPE_IQ2_S, false},
    [KERN_strips_iq3_xxs] = {KIND_STRIPS, LS_DTYPE_IQ3_XXS, false},
    [KERN_strips_iq3_s] = {KIND_STRIPS, LS_DTYPE_IQ3_S, false},
    [KERN_strips_i2_s] = {KIND_STRIPS, LS_DTYPE_I2_S, false},
    [KERN_strips_tl1] = {KIND_STRIPS, LS_DTYPE_TL1, false},
    [KERN_strips_tl2] = {KIND_STRIPS, LS_DTYPE_TL2, false},
    [KERN_act_f16] = {KIND_ACT, LS_ACT_F16, false},
    [KERN_act_bf16] = {KIND_ACT, LS_ACT_BF16, false},
    [KERN_floats_f16] = {KIND_ADD, 0, false},
    [KERN_floats_bf16] = {KIND_ADD, 0, false},
    [KERN_act_q8_0] = {KIND_ACT, LS_ACT_Q8_0, false},
    [KERN_sums_q8_0] = {KIND_SUMS, LS_ACT_Q8_0, false},
    [KERN_tables_tl1] = {KIND_SUMS, LS_ACT_I8_TL, false},
    [KERN_tables_tl2] = {KIND_SUMS, LS_ACT_I8_TL, false},
    [KERN_act_q8_1] = {KIND_ACT, LS_ACT_Q8_1, false},
    [KERN_act_q8_k] = {KIND_ACT, LS_ACT_Q8_K, false},
    [KERN_act_i8_row] = {KIND_ACT, LS_ACT_I8_ROW, false},
    [KERN_act_i8_tl] = {KIND_ACT, LS_ACT_I8_TL, false},
    [KERN_chains_f32] = {KIND_CHAINS, LS_DTYPE_F32, false},
    [KERN_chains_f16] = {KIND_CHAINS, LS_DTYPE_F16, false},
    [KERN_chains_bf16] = {KIND_CHAINS, LS_DTYPE_BF16, false},
    [KERN_chains_q8_0] = {KIND_CHAINS, LS_DTYPE_Q8_0, false},
    [KERN_round_f16] = {KIND_ROUND, 0, false},
    [KERN_round_bf16] = {KIND_ROUND, 0, false},
    [KERN_dot_f32] = {KIND_DOT, LS_DTYPE_F32, true},
    [KERN_dot_f16] = {KIND_DOT, LS_DTYPE_F16, true},
    [KERN_dot_f16_wide] = {KIND_DOT, LS_DTYPE_F16, true},
    [KERN_dot_bf16_wide] = {KIND_DOT, LS_DTYPE_BF16, true},
    [KERN_axpy_f32] = {KIND_AXPY, LS_DTYPE_F32, false},
    [KERN_mix_f16] = {KIND_MIX, LS_DTYPE_F16, false},
    [KERN_rmsnorm] = {KIND_NORM, 0, false},
    [KERN_layernorm] = {KIND_NORM, 0, true},
    [KERN_softmax] = {KIND_SOFTMAX, 0, true},
    [KERN_silu_mul] = {KIND_GLU, 0, true},
    [KERN_relu2_mul] = {KIND_GLU, 0, false},
    [KERN_add] = {KIND_ADD, 0, false},
    [KERN_scale] = {KIND_SCALE, 0, false},
    [KERN_rope_normal] = {KIND_ROPE, 0, false},
    [KERN_rope_neox] = {KIND_ROPE, 0, false},
};

const kern_info *kern_info_of(int kernel)
{
    static kern_info info[N_KERNELS];
    static const struct {
        const char *name;
        size_t      offset;
    } rows[N_KERNELS] = {
#define LS_KERNEL(name, ret, params) {#name, offsetof(ls_kernels, name)},
#include "kernel/kernels.def"
#undef LS_KERNEL
    };
    info[kernel] = (kern_info){rows[kernel].name, rows[kernel].offset, kinds[kernel].kind,
                               kinds[kernel].type, kinds[kernel].lanes};
    return &info[kernel];
}

static size_t act_bytes(int act, size_t n)
{
    switch (act) {
    case LS_ACT_F32:
        return 4 * n;
    case LS_ACT_F16:
    case LS_ACT_BF16:
        return 2 * n;
    case LS_ACT_Q8_0:
        return n / 32 * sizeof(ls_q8_0);
    case LS_ACT_Q8_1:
        return n / 32 * sizeof(ls_q8_1);
    case LS_ACT_Q8_K:
        return n / 256 * sizeof(ls_q8_k);
    default:
        return sizeof(ls_i8_row) + (n + 127) / 128 * 128;
    }
}

/* Distance between activation rows: padded as the engine does it, but no byte behind the last. */
static size_t act_stride(int act, size_t n) { return ls_act_row_bytes((ls_act)act, n); }

static void fill_act_row(int act, uint8_t *row, size_t n, kern_pattern p, uint64_t *rng)
{
    static float x[1 << 16];
    ls_kernels   scalar = ls_kernels_for(LS_TIER_SCALAR);
    kern_fill_f32(x, n, p, rng);
    if (act == LS_ACT_F32) {
        memcpy(row, x, 4 * n);
    } else {
        ls_kernels_act(&scalar, act)(row, x, n);
    }
    if (act >= LS_ACT_I8_ROW && p == PAT_MAX) { /* clause 3 allows -128 here */
        ls_i8_row *r = (ls_i8_row *)(void *)row;
        r->sum = 0;
        for (size_t i = 0; i < n; i++) {
            if (r->qs[i] < 0) r->qs[i] = -128;
            r->sum += r->qs[i];
        }
    }
}

size_t kern_rows(const kern_case *c)
{
    return kern_info_of(c->kernel)->kind == KIND_STRIPS ? (c->rows + 15) / 16 * 16 : c->rows;
}

size_t kern_y_stride(const kern_case *c) { return kern_rows(c) + 3; }

/* The types whose strips are looked up. */
static bool is_lookup(int dtype) { return dtype == LS_DTYPE_TL1 || dtype == LS_DTYPE_TL2; }

static size_t weight_row_bytes(int dtype, size_t n)
{
    return is_lookup(dtype) ? ls_lookup_row_bytes(dtype, n) : ls_dtype_row_bytes(dtype, n);
}

size_t kern_row_bytes(const kern_case *c)
{
    return weight_row_bytes(kern_info_of(c->kernel)->type, c->n);
}

/* Activations whose sums have the largest low byte; and weights that make the largest sums of what
 * the first column holds, in some rows. */
static void push_lookup(int dtype, const kern_case *c, ls_i8_row *x, ls_i2_s *rows, size_t blocks)
{
    for (size_t i = 0; i < c->n && c->pattern == PAT_HUGE; i++)
        x->qs[i] = (int8_t)(dtype == LS_DTYPE_TL2 ? 5 : i % 2 ? 7 : 8);
    for (size_t r = 0; r < kern_rows(c) && (c->pattern == PAT_HUGE || c->pattern == PAT_MAX); r++) {
        for (size_t j = 0; j < c->n && r % 3; j++) {
            unsigned code = (x->qs[j] < 0) == (r % 3 == 1) ? 2 : 0;
            unsigned bit = (unsigned)(6 - 2 * (j % 128 / 32));
            uint8_t *qs = &rows[r * blocks + j / 128].qs[j % 32];
            *qs = (uint8_t)((*qs & ~(3u << bit)) | code << bit);
        }
    }
}

/* Strips of TL1 and TL2, and the tables behind the activation rows. */
static void make_lookup(kern_data *d, const kern_case *c, int dtype, size_t stride, uint64_t *rng)
{
    static ls_i2_s rows[1 << 15];
    size_t         blocks = (c->n + 127) / 128, row = weight_row_bytes(dtype, c->n);
    ls_kernels     scalar = ls_kernels_for(LS_TIER_SCALAR);
    kern_fill_weights(LS_DTYPE_I2_S, rows, kern_rows(c) * blocks * 128, c->pattern, rng);
    push_lookup(dtype, c, (ls_i8_row *)(void *)d->in[1].data, rows, blocks);
    for (size_t r = 0; r < kern_rows(c); r += LS_STRIP_ROWS) {
        ls_lookup_pack(dtype, d->in[0].data + r * row, rows + r * blocks, blocks * sizeof(*rows),
                       c->n);
    }
    for (size_t i = 0; i < c->cols && c->cols < LS_LOOKUP_COLS; i++) {
        uint8_t *x = d->in[1].data + i * stride;
        (dtype == LS_DTYPE_TL1 ? scalar.tables_tl1 : scalar.tables_tl2)(x, c->n);
    }
}

/* Distance between the activation rows of a case. */
static size_t x_stride(const kern_case *c, int act)
{
    int  dtype = kern_info_of(c->kernel)->type;
    bool tables = is_lookup(dtype) && c->cols < LS_LOOKUP_COLS;
    return act_stride(act, c->n) + (tables ? ls_lookup_table_bytes(dtype, c->n) : 0);
}

/* Put the strips of the rows that were made in their place. */
static void make_strips(kern_data *d, const kern_case *c, int dtype)
{
    static uint8_t strip[1 << 20];
    size_t         row = ls_dtype_row_bytes(dtype, c->n);
    for (size_t r = 0; r < kern_rows(c); r += LS_STRIP_ROWS) {
        ls_strips_pack(dtype, strip, d->in[0].data + r * row, row, c->n);
        memcpy(d->in[0].data + r * row, strip, LS_STRIP_ROWS * row);
    }
}

/* The form of the activations; strips of plain numbers take floats. */
static int act_of(const kern_case *c)
{
    const kern_info *k = kern_info_of(c->kernel);
    bool             floats = k->kind == KIND_STRIPS && ls_dtype_block(k->type) == 1;
    return floats ? LS_ACT_F32 : (int)ls_dtype_act(k->type);
}

size_t kern_act_stride(const kern_case *c) { return x_stride(c, act_of(c)); }

int kern_n_inputs(const kern_case *c)
{
    switch (kern_info_of(c->kernel)->kind) {
    case KIND_MATMUL:
    case KIND_STRIPS:
    case KIND_CHAINS:
    case KIND_MIX:
    case KIND_DOT:
    case KIND_NORM:
    case KIND_GLU:
        return 2;
    case KIND_ADD:
        return c->kernel == KERN_add ? 2 : 1;
    case KIND_SOFTMAX:
    case KIND_SCALE:
    case KIND_SUMS:
        return 0;
    default:
        return 1;
    }
}

static void prepare_matmul(kern_data *d, const kern_case *c, int dtype, uint64_t *rng)
{
    bool   strips = kern_info_of(c->kernel)->kind == KIND_STRIPS, lookup = is_lookup(dtype);
    int    act = act_of(c);
    size_t row = weight_row_bytes(dtype, c->n), stride = x_stride(c, act);
    size_t y = c->cols * kern_y_stride(c) * 4;
    size_t last =
        act_bytes(act, c->n) + (strips && act == LS_ACT_Q8_0 ? c->n / 32 * sizeof(ls_q8_sum) : 0);
    if (lookup && c->cols < LS_LOOKUP_COLS) last = stride;
    kern_buf_place(&d->in[0], kern_rows(c) * row, c->place, 2);
    kern_buf_place(&d->in[1], (c->cols - 1) * stride + last, c->place,
                   act == LS_ACT_F32 || act >= LS_ACT_Q8_K ? 4 : 2);
    if (!lookup) kern_fill_weights(dtype, d->in[0].data, kern_rows(c) * c->n, c->pattern, rng);
    if (strips && !lookup) make_strips(d, c, dtype);
    for (size_t i = 0; i < c->cols; i++) {
        uint8_t *x = d->in[1].data + i * stride;
        fill_act_row(act, x, c->n, c->pattern, rng);
        if (c->kernel == KERN_matmul_bf16_pairs) kern_fill_bf16(x, c->n, c->pattern, rng);
        if (strips && act == LS_ACT_Q8_0) ls_kernels_for(LS_TIER_SCALAR).sums_q8_0(x, c->n);
    }
    if (lookup) make_lookup(d, c, dtype, stride, rng);
    for (int o = 0; o < 2; o++) {
        kern_buf_place(&d->out[o], y, c->place, 4);
        memset(d->out[o].data, 0xa5, y);
    }
}

size_t kern_chains_strip(const kern_case *c)
{
    size_t n = c->n + c->n % 3, group = LS_CHAIN_GROUP;
    if (kern_info_of(c->kernel)->type == LS_DTYPE_Q8_0) n = (n + group - 1) / group * group;
    return LS_CHAIN_LANES * n;
}

/* Codes as they come, and a scale that is now and then the type's largest, smallest, 0 or none. */
static void fill_groups(uint8_t *group, size_t n, kern_pattern p, uint64_t *rng)
{
    for (size_t g = 0; g < n; g++, group += LS_CHAIN_GROUP_BYTES) {
        ls_q8_0 blocks[LS_CHAIN_GROUP];
        kern_fill_weights(LS_DTYPE_Q8_0, blocks, LS_CHAIN_GROUP * 32, p, rng);
        for (size_t i = 0; i < LS_CHAIN_GROUP; i++) {
            memcpy(group + 2 * i, &blocks[i].d, 2);
            memcpy(group + 2 * LS_CHAIN_GROUP + LS_CHAIN_LANES * i, blocks[i].qs, LS_CHAIN_LANES);
        }
    }
}

static void prepare_chains(kern_data *d, const kern_case *c, int dtype, uint64_t *rng)
{
    size_t elem = dtype == LS_DTYPE_F32 ? 4 : 2, step = kern_chains_strip(c);
    size_t y = ((c->cols - 1) * (LS_CHAIN_LANES * c->rows + 3) + LS_CHAIN_LANES * c->rows) * 4;
    size_t groups = c->rows * step / (LS_CHAIN_GROUP * LS_CHAIN_LANES);
    size_t bytes = ((c->rows - 1) * step + LS_CHAIN_LANES * c->n) * elem;
    if (dtype == LS_DTYPE_Q8_0) bytes = groups * LS_CHAIN_GROUP_BYTES;
    kern_buf_place(&d->in[0], bytes, c->place, elem);
    kern_buf_place(&d->in[1], c->cols * c->n * 4, c->place, 4);
    if (dtype == LS_DTYPE_Q8_0) {
        fill_groups(d->in[0].data, groups, c->pattern, rng);
    } else {
        kern_fill_weights(dtype, d->in[0].data, bytes / elem, c->pattern, rng);
    }
    kern_fill_f32((float *)(void *)d->in[1].data, c->cols * c->n, c->pattern, rng);
    for (int o = 0; o < 2; o++) {
        kern_buf_place(&d->out[o], y, c->place, 4);
        memset(d->out[o].data, 0xa5, y);
    }
}

size_t kern_mix_stripes(const kern_case *c) { return (size_t)8 << c->cols % 4; }

static void prepare_mix(kern_data *d, const kern_case *c, uint64_t *rng)
{
    size_t values = (c->rows - 1) * (c->n + 3) + c->n, y = kern_mix_stripes(c) * c->n * 4;
    kern_buf_place(&d->in[0], 2 * values, c->place, 2);
    kern_buf_place(&d->in[1], 4 * c->rows, c->place, 4);
    kern_fill_f16((uint16_t *)(void *)d->in[0].data, values, c->pattern, rng);
    kern_fill_f32((float *)(void *)d->in[1].data, c->rows, c->pattern, rng);
    for (int o = 0; o < 2; o++) {
        kern_buf_place(&d->out[o], y, c->place, 4);
        memset(d->out[o].data, 0xa5, y);
    }
}

/* In-place kernels start from equal outputs; others from poison. */
static void prepare_outputs(kern_data *d, const kern_case *c, size_t bytes, const void *content)
{
    for (int o = 0; o < 2; o++) {
        kern_buf_place(&d->out[o], bytes, c->place, 4);
        if (content) memcpy(d->out[o].data, content, bytes);
    }
}

/* An activation row with room behind it, which the kernel fills. */
static void prepare_sums(kern_data *d, const kern_case *c)
{
    static uint8_t row[1 << 17];
    ls_kernels     scalar = ls_kernels_for(LS_TIER_SCALAR);
    int            act = kern_info_of(c->kernel)->type;
    const float   *x = (const float *)(const void *)d->in[0].data;
    int            dtype = c->kernel == KERN_tables_tl1 ? LS_DTYPE_TL1 : LS_DTYPE_TL2;
    memset(row, 0xa5, sizeof(row));
    ls_kernels_act(&scalar, act)(row, x, c->n);
    prepare_outputs(d, c,
                    act == LS_ACT_Q8_0 ? c->n / 32 * (sizeof(ls_q8_0) + sizeof(ls_q8_sum))
                                       : act_stride(act, c->n) + ls_lookup_table_bytes(dtype, c->n),
                    row);
}

void kern_prepare(kern_data *d, const kern_case *c)
{
    const kern_info *k = kern_info_of(c->kernel);
    bool             bf16 = k->type == LS_DTYPE_BF16 && k->kind == KIND_DOT;
    size_t           elem = bf16 || (k->type == LS_DTYPE_F16 && k->kind != KIND_ACT) ? 2 : 4;
    uint64_t         rng = c->seed + 1000003u * (uint64_t)c->kernel + 101u * (uint64_t)c->pattern +
                   7919u * c->n + 31u * c->rows + 131u * c->cols + (uint64_t)c->place;
    if (k->kind == KIND_MATMUL || k->kind == KIND_STRIPS) {
        prepare_matmul(d, c, k->type, &rng);
        return;
    }
    if (k->kind == KIND_CHAINS) {
        prepare_chains(d, c, k->type, &rng);
        return;
    }
    if (k->kind == KIND_MIX) {
        prepare_mix(d, c, &rng);
        return;
    }
    for (int i = 0; i < 3; i++) {
        size_t e = k->kind == KIND_DOT || (k->kind == KIND_AXPY && i == 0) ? elem : 4;
        kern_buf_place(&d->in[i], c->n * e, c->place, e);
        if (e == 2 && bf16) {
            kern_fill_bf16(d->in[i].data, c->n, c->pattern, &rng);
        } else if (e == 2) {
            kern_fill_f16((uint16_t *)(void *)d->in[i].data, c->n, c->pattern, &rng);
        } else {
            kern_fill_f32((float *)(void *)d->in[i].data, c->n, c->pattern, &rng);
        }
    }
    switch (k->kind) {
    case KIND_ACT:
        prepare_outputs(d, c, act_bytes(k->type, c->n), NULL);
        return;
    case KIND_SUMS:
        prepare_sums(d, c);
        return;
    case KIND_DOT:
        prepare_outputs(d, c, 4, NULL);
        return;
    case KIND_AXPY:
    case KIND_SOFTMAX:
    case KIND_SCALE:
    case KIND_ROPE:
        prepare_outputs(d, c, 4 * c->n, d->in[1].data);
        return;
    default:
        break;
    }
    /* The shifted placement also runs in place: y equals the first input. */
    prepare_outputs(d, c, 4 * c->n, c->place == PLACE_SHIFTED ? d->in[0].data : NULL);
}
