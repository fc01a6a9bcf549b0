// SPDX-License-Identifier: MIT
/* tier.c - names of the instruction-set tiers, and which of them this machine can run.
 *
 * A tier counts only if the processor has all its features and the operating system saves the
 * registers they use (x86: CPUID and XGETBV, Intel SDM volume 1, sections 13.3 and 14.3; Arm: what
 * the kernel says in the auxiliary vector). */
#include <string.h>

#include "lockstep/types.h"

static const char *const names[LS_N_TIERS] = {
    [LS_TIER_AUTO] = "auto",     [LS_TIER_SCALAR] = "scalar", [LS_TIER_AVX2] = "avx2",
    [LS_TIER_AVX512] = "avx512", [LS_TIER_NEON] = "neon",     [LS_TIER_DOTPROD] = "dotprod",
};

const char *ls_tier_name(ls_tier tier)
{
    return (unsigned)tier < LS_N_TIERS ? names[tier] : "unknown";
}

bool ls_tier_parse(const char *name, ls_tier *out)
{
    for (int t = 0; t < LS_N_TIERS; t++) {
        if (strcmp(names[t], name)) continue;
        *out = (ls_tier)t;
        return true;
    }
    return false;
}

#if defined(__x86_64__)
#include <cpuid.h>

static uint64_t xcr0(void)
{
    uint32_t lo, hi;
    __asm__ volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
    return (uint64_t)hi << 32 | lo;
}

/* CPUID leaf 1, ECX; leaf 7, EBX and ECX; XCR0. */
#define BIT(n)     (1u << (n))
#define L1C_AVX2   (BIT(12) | BIT(27) | BIT(28) | BIT(29)) /* FMA, OSXSAVE, AVX, F16C */
#define L7B_AVX2   BIT(5)
#define L7B_AVX512 (BIT(16) | BIT(17) | BIT(30) | BIT(31)) /* F, DQ, BW, VL */
#define L7C_AVX512 BIT(11)                                 /* VNNI */
#define XCR0_YMM   0x6u
#define XCR0_ZMM   0xe6u

static bool has(uint32_t reg, uint32_t bits) { return (reg & bits) == bits; }

static ls_tier best_of_machine(void)
{
    uint32_t a, b, c, d, state;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !has(c, L1C_AVX2)) return LS_TIER_SCALAR;
    state = (uint32_t)xcr0();
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || !has(b, L7B_AVX2) || !has(state, XCR0_YMM)) {
        return LS_TIER_SCALAR;
    }
    if (!has(b, L7B_AVX512) || !has(c, L7C_AVX512) || !has(state, XCR0_ZMM)) return LS_TIER_AVX2;
    return LS_TIER_AVX512;
}

bool ls_tier_available(ls_tier tier)
{
    return tier == LS_TIER_AUTO || tier == LS_TIER_SCALAR ||
           (tier <= LS_TIER_AVX512 && tier <= ls_tier_best());
}
#elif defined(__aarch64__)
#include <sys/auxv.h>

#define HWCAP_DOTPROD (1ul << 20) /* HWCAP_ASIMDDP of asm/hwcap.h */

static ls_tier best_of_machine(void)
{
    return getauxval(AT_HWCAP) & HWCAP_DOTPROD ? LS_TIER_DOTPROD : LS_TIER_NEON;
}

bool ls_tier_available(ls_tier tier)
{
    return tier == LS_TIER_AUTO || tier == LS_TIER_SCALAR ||
           (tier >= LS_TIER_NEON && tier <= ls_tier_best());
}
#else
static ls_tier best_of_machine(void) { return LS_TIER_SCALAR; }

bool ls_tier_available(ls_tier tier) { return tier == LS_TIER_AUTO || tier == LS_TIER_SCALAR; }
#endif

ls_tier ls_tier_best(void) { return best_of_machine(); }
