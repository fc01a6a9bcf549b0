// SPDX-License-Identifier: MIT
/* lookup_inl.h - the 16 bytes that the lookups of all x86 tiers work with. */
#ifndef LS_KERNEL_X86_LOOKUP_INL_H
#define LS_KERNEL_X86_LOOKUP_INL_H

V v16  v16_load(const void *p) { return _mm_loadu_si128((const __m128i *)p); }
V void v16_store(void *p, v16 a) { _mm_storeu_si128((__m128i *)p, a); }
V v16  v16_set8(int i) { return _mm_set1_epi8((char)i); }
V v16  v16_and(v16 a, v16 b) { return _mm_and_si128(a, b); }
V v16  v16_add8(v16 a, v16 b) { return _mm_add_epi8(a, b); }
V v16  v16_sub8(v16 a, v16 b) { return _mm_sub_epi8(a, b); }
V v16  v16_add32(v16 a, v16 b) { return _mm_add_epi32(a, b); }
V v16  v16_times(v16 a, v16 s) { return _mm_sign_epi8(a, s); }
V v16  v16_shuffle(v16 table, v16 index) { return _mm_shuffle_epi8(table, index); }
V v16  v16_srl16(v16 a, unsigned n) { return _mm_srl_epi16(a, _mm_cvtsi32_si128((int)n)); }
V v16  v16_low8(v16 a, v16 b) { return _mm_unpacklo_epi8(a, b); }
V v16  v16_high8(v16 a, v16 b) { return _mm_unpackhi_epi8(a, b); }
V v16  v16_low16(v16 a, v16 b) { return _mm_unpacklo_epi16(a, b); }
V v16  v16_high16(v16 a, v16 b) { return _mm_unpackhi_epi16(a, b); }
V v16  v16_low32(v16 a, v16 b) { return _mm_unpacklo_epi32(a, b); }
V v16  v16_high32(v16 a, v16 b) { return _mm_unpackhi_epi32(a, b); }

#include "kernel/lookup_inl.h"

#endif
