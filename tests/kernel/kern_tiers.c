// SPDX-License-Identifier: MIT
/* kern_tiers.c - the tables that checkkern compares.
 *
 * Built with CHECKKERN_EMULATED, the AVX-512 sources come compiled against the emulation of
 * emulated/immintrin.h under other names, so that machines without AVX-512 can check them. */
#include "kern.h"

#if defined(CHECKKERN_EMULATED)
#include "kernel/kernel_priv.h"

const char kern_program[] = "checkkern_emulated";

ls_kernels kern_table(ls_tier tier)
{
    ls_kernels k = ls_kernels_for(tier == LS_TIER_AVX512 ? LS_TIER_AVX2 : tier);
    if (tier != LS_TIER_AVX512) return k;
    k.tier = tier;
    ls_kernels_avx512_dense(&k); /* renamed by the build: the emulated ones */
    ls_kernels_avx512_blocks(&k);
    ls_kernels_avx512_ternary(&k);
    ls_kernels_avx512_rowops(&k);
    ls_kernels_avx512_strips(&k);
    ls_kernels_avx512_chains(&k);
    return k;
}

bool kern_available(ls_tier tier)
{
    return tier == LS_TIER_SCALAR || (tier == LS_TIER_AVX512 && ls_tier_available(LS_TIER_AVX2));
}

const char *kern_tier_name(ls_tier tier)
{
    return tier == LS_TIER_AVX512 ? "avx512 (emulated)" : ls_tier_name(tier);
}
#else
const char  kern_program[] = "checkkern";
ls_kernels  kern_table(ls_tier tier) { return ls_kernels_for(tier); }
bool        kern_available(ls_tier tier) { return ls_tier_available(tier); }
const char *kern_tier_name(ls_tier tier) { return ls_tier_name(tier); }
#endif
