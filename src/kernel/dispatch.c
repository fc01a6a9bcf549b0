// SPDX-License-Identifier: MIT
/* dispatch.c - builds the kernel table of a tier, weak tiers first; no global state. */
#include <string.h>

#include "dtype/dtype.h"
#include "kernel/kernel_priv.h"

void ls_kernels_init_scalar(ls_kernels *k)
{
    ls_kernels_scalar_dense(k);
    ls_kernels_scalar_blocks(k);
    ls_kernels_scalar_ternary(k);
    ls_kernels_scalar_rowops(k);
}

#if defined(__x86_64__)
void ls_kernels_init_avx2(ls_kernels *k)
{
    ls_kernels_avx2_dense(k);
    ls_kernels_avx2_blocks(k);
    ls_kernels_avx2_ternary(k);
    ls_kernels_avx2_rowops(k);
}

void ls_kernels_init_avx512(ls_kernels *k)
{
    ls_kernels_avx512_dense(k);
    ls_kernels_avx512_blocks(k);
    ls_kernels_avx512_ternary(k);
    ls_kernels_avx512_rowops(k);
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
#endif
    return k;
}

ls_matmul_fn *ls_kernels_matmul(const ls_kernels *k, int dtype)
{
    switch ((ls_dtype)dtype) {
    case LS_DTYPE_F32:
        return k->matmul_f32;
    case LS_DTYPE_F16:
        return k->matmul_f16;
    case LS_DTYPE_BF16:
        return k->matmul_bf16;
    case LS_DTYPE_Q4_0:
        return k->matmul_q4_0;
    case LS_DTYPE_Q8_0:
        return k->matmul_q8_0;
    case LS_DTYPE_Q4_K:
        return k->matmul_q4_k;
    case LS_DTYPE_Q6_K:
        return k->matmul_q6_k;
    case LS_DTYPE_TQ2_0:
        return k->matmul_tq2_0;
    case LS_DTYPE_I2_S:
        return k->matmul_i2_s;
    case LS_DTYPE_NONE:
        break;
    }
    return NULL;
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
    case LS_ACT_Q8_K:
        return k->act_q8_k;
    case LS_ACT_I8_ROW:
        return k->act_i8_row;
    case LS_ACT_F32:
    case LS_N_ACTS:
        break;
    }
    return NULL;
}
