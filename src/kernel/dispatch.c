// SPDX-License-Identifier: MIT
/* dispatch.c - builds the kernel table of a tier, weak tiers first; no global state. */
#include <stddef.h>
#include <string.h>

#include "dtype/dtype.h"
#include "kernel/kernel_priv.h"

void ls_kernels_init_scalar(ls_kernels *k)
{
    ls_kernels_scalar_dense(k);
    ls_kernels_scalar_chains(k);
    ls_kernels_scalar_blocks(k);
    ls_kernels_scalar_ternary(k);
    ls_kernels_scalar_codes(k);
    ls_kernels_scalar_strips(k);
    ls_kernels_scalar_lookup(k);
    ls_kernels_scalar_rowops(k);
}

#if defined(__x86_64__)
void ls_kernels_init_avx2(ls_kernels *k)
{
    ls_kernels_avx2_dense(k);
    ls_kernels_avx2_chains(k);
    ls_kernels_avx2_blocks(k);
    ls_kernels_avx2_ternary(k);
    ls_kernels_avx2_codes(k);
    ls_kernels_avx2_grid(k);
    ls_kernels_avx2_strips(k);
    ls_kernels_avx2_lookup(k);
    ls_kernels_avx2_rowops(k);
}

void ls_kernels_init_avx512(ls_kernels *k)
{
    ls_kernels_avx512_dense(k);
    ls_kernels_avx512_chains(k);
    ls_kernels_avx512_blocks(k);
    ls_kernels_avx512_ternary(k);
    ls_kernels_avx512_strips(k);
    ls_kernels_avx512_rowops(k);
}
#elif defined(__aarch64__)
void ls_kernels_init_neon(ls_kernels *k)
{
    ls_kernels_neon_dense(k);
    ls_kernels_neon_chains(k);
    ls_kernels_neon_codes(k);
    ls_kernels_neon_strips(k);
    ls_kernels_neon_lookup(k);
    ls_kernels_neon_acts(k);
    ls_kernels_neon_dots(k);
    ls_kernels_neon_rowops(k);
}

void ls_kernels_init_dotprod(ls_kernels *k)
{
    ls_kernels_dotprod_codes(k);
    ls_kernels_dotprod_strips(k);
}
#endif

ls_kernels ls_kernels_for(ls_tier tier)
{
    ls_kernels k;
    memset(&k, 0, sizeof(k));
    k.tier = tier == LS_TIER_AUTO ? ls_tier_best() : tier;
    ls_kernels_init_scalar(&k);
#if defined(__x86_64__)
    if (k.tier == LS_TIER_AVX2 || k.tier == LS_TIER_AVX512) ls_kernels_init_avx2(&k);
    if (k.tier == LS_TIER_AVX512) ls_kernels_init_avx512(&k);
#elif defined(__aarch64__)
    if (k.tier >= LS_TIER_NEON) ls_kernels_init_neon(&k);
    if (k.tier == LS_TIER_DOTPROD) ls_kernels_init_dotprod(&k);
#endif
    return k;
}

#define PRODUCT(type, name) [LS_DTYPE_##type] = offsetof(ls_kernels, name)

/* Where the table has the product of a type. */
static const size_t products[] = {
    PRODUCT(F32, matmul_f32),         PRODUCT(F16, matmul_f16),
    PRODUCT(Q4_0, matmul_q4_0),       PRODUCT(Q4_1, matmul_q4_1),
    PRODUCT(Q5_0, matmul_q5_0),       PRODUCT(Q5_1, matmul_q5_1),
    PRODUCT(Q8_0, matmul_q8_0),       PRODUCT(Q8_1, matmul_q8_1),
    PRODUCT(Q2_K, matmul_q2_k),       PRODUCT(Q3_K, matmul_q3_k),
    PRODUCT(Q4_K, matmul_q4_k),       PRODUCT(Q5_K, matmul_q5_k),
    PRODUCT(Q6_K, matmul_q6_k),       PRODUCT(Q8_K, matmul_q8_k),
    PRODUCT(IQ2_XXS, matmul_iq2_xxs), PRODUCT(IQ2_XS, matmul_iq2_xs),
    PRODUCT(IQ3_XXS, matmul_iq3_xxs), PRODUCT(IQ1_S, matmul_iq1_s),
    PRODUCT(IQ4_NL, matmul_iq4_nl),   PRODUCT(IQ3_S, matmul_iq3_s),
    PRODUCT(IQ2_S, matmul_iq2_s),     PRODUCT(IQ4_XS, matmul_iq4_xs),
    PRODUCT(I8, matmul_i8),           PRODUCT(I16, matmul_i16),
    PRODUCT(I32, matmul_i32),         PRODUCT(I64, matmul_i64),
    PRODUCT(F64, matmul_f64),         PRODUCT(IQ1_M, matmul_iq1_m),
    PRODUCT(BF16, matmul_bf16),       PRODUCT(TQ1_0, matmul_tq1_0),
    PRODUCT(TQ2_0, matmul_tq2_0),     PRODUCT(I2_S, matmul_i2_s),
    PRODUCT(MXFP4, matmul_mxfp4),     PRODUCT(NVFP4, matmul_nvfp4),
    PRODUCT(Q1_0, matmul_q1_0),       PRODUCT(Q2_0, matmul_q2_0),
    PRODUCT(TERNARY, matmul_i2_s),
};

/* And that of a type in strips. */
static const size_t strips[] = {
    PRODUCT(F32, strips_f32),         PRODUCT(F16, strips_f16),
    PRODUCT(BF16, strips_bf16),       PRODUCT(Q4_0, strips_q4_0),
    PRODUCT(Q4_1, strips_q4_1),       PRODUCT(Q5_0, strips_q5_0),
    PRODUCT(Q5_1, strips_q5_1),       PRODUCT(Q8_0, strips_q8_0),
    PRODUCT(Q8_1, strips_q8_1),       PRODUCT(IQ4_NL, strips_iq4_nl),
    PRODUCT(MXFP4, strips_mxfp4),     PRODUCT(NVFP4, strips_nvfp4),
    PRODUCT(Q1_0, strips_q1_0),       PRODUCT(Q2_0, strips_q2_0),
    PRODUCT(Q2_K, strips_q2_k),       PRODUCT(Q3_K, strips_q3_k),
    PRODUCT(Q4_K, strips_q4_k),       PRODUCT(Q5_K, strips_q5_k),
    PRODUCT(Q6_K, strips_q6_k),       PRODUCT(Q8_K, strips_q8_k),
    PRODUCT(IQ4_XS, strips_iq4_xs),   PRODUCT(TQ1_0, strips_tq1_0),
    PRODUCT(TQ2_0, strips_tq2_0),     PRODUCT(IQ1_S, strips_iq1_s),
    PRODUCT(IQ1_M, strips_iq1_m),     PRODUCT(IQ2_XXS, strips_iq2_xxs),
    PRODUCT(IQ2_XS, strips_iq2_xs),   PRODUCT(IQ2_S, strips_iq2_s),
    PRODUCT(IQ3_XXS, strips_iq3_xxs), PRODUCT(IQ3_S, strips_iq3_s),
    PRODUCT(I2_S, strips_i2_s),       PRODUCT(TERNARY, strips_i2_s),
    PRODUCT(TL1, strips_tl1),         PRODUCT(TL2, strips_tl2),
};

static ls_matmul_fn *find(const ls_kernels *k, const size_t *table, size_t n, int dtype)
{
    ls_matmul_fn *fn;
    if (dtype < 0 || (size_t)dtype >= n || !table[dtype]) return NULL; /* the tier lies at 0 */
    memcpy(&fn, (const uint8_t *)k + table[dtype], sizeof(fn));
    return fn;
}

ls_matmul_fn *ls_kernels_matmul(const ls_kernels *k, int dtype)
{
    return find(k, products, sizeof(products) / sizeof(products[0]), dtype);
}

ls_matmul_fn *ls_kernels_strips(const ls_kernels *k, int dtype)
{
    return find(k, strips, sizeof(strips) / sizeof(strips[0]), dtype);
}

ls_chains_fn *ls_kernels_chains(const ls_kernels *k, int dtype)
{
    switch (dtype) {
    case LS_DTYPE_F16:
        return k->chains_f16;
    case LS_DTYPE_BF16:
        return k->chains_bf16;
    case LS_DTYPE_Q8_0:
        return k->chains_q8_0;
    default:
        return k->chains_f32;
    }
}

ls_act_fn *ls_kernels_act(const ls_kernels *k, int act)
{
    switch ((ls_act)act) {
    case LS_ACT_F16:
        return k->act_f16;
    case LS_ACT_BF16:
        return k->act_bf16;
    case LS_ACT_Q8_0:
        return k->act_q8_0;
    case LS_ACT_Q8_1:
        return k->act_q8_1;
    case LS_ACT_Q8_K:
        return k->act_q8_k;
    case LS_ACT_I8_ROW:
        return k->act_i8_row;
    case LS_ACT_I8_TL:
        return k->act_i8_tl;
    case LS_ACT_F32:
    case LS_N_ACTS:
        break;
    }
    return NULL;
}
