// SPDX-License-Identifier: MIT
/* mix_inl.h - weighted values of an F16 cache as the reference adds them (NUMERICS.md, clause 9).
 *
 * Two stripes stay in registers while their positions go by. A tier defines what plain_inl.h asks for. */
#ifndef LS_KERNEL_MIX_INL_H
#define LS_KERNEL_MIX_INL_H

#include "kernel/plain_inl.h"

enum { MIX_REGS = 4 };

/* Elements e to e + R registers of stripes s and s + 1; their number is even. */
LS_INLINE void mix_two(const ls_mix *m, int R, size_t s, size_t e)
{
    pf acc[2][MIX_REGS];
    for (int r = 0; r < R; r++) acc[0][r] = acc[1][r] = pf_set(0);
    for (size_t p = s; p < m->n; p += m->stripes) {
        const uint8_t *v = (const uint8_t *)m->v + 2 * (p * m->ld + e);
        pf             first = pf_set(m->weights[p]);
        for (int r = 0; r < R; r++)
            acc[0][r] = pf_fma(first, pf_load(F16, v, PLAIN_LANES * (size_t)r), acc[0][r]);
        if (p + 1 == m->n) break;
        pf second = pf_set(m->weights[p + 1]);
        for (int r = 0; r < R; r++)
            acc[1][r] =
                pf_fma(second, pf_load(F16, v + 2 * m->ld, PLAIN_LANES * (size_t)r), acc[1][r]);
    }
    for (int r = 0; r < R; r++) {
        float *y = m->y + s * m->width + e + PLAIN_LANES * (size_t)r;
        pf_store(y, acc[0][r]);
        pf_store(y + m->width, acc[1][r]);
    }
}

LS_INLINE float mix_one(const ls_mix *m, size_t s, size_t e)
{
    float sum = 0;
    for (size_t p = s; p < m->n; p += m->stripes)
        sum = fmaf(m->weights[p], load1(F16, (const uint8_t *)m->v, p * m->ld + e), sum);
    return sum;
}

static void mix_f16(const ls_mix *m)
{
    for (size_t s = 0; s < m->stripes; s += 2) {
        size_t e = 0;
        for (; e + MIX_REGS * PLAIN_LANES <= m->width; e += MIX_REGS * PLAIN_LANES)
            mix_two(m, MIX_REGS, s, e);
        for (; e + PLAIN_LANES <= m->width; e += PLAIN_LANES) mix_two(m, 1, s, e);
        for (; e < m->width; e++) {
            m->y[s * m->width + e] = mix_one(m, s, e);
            m->y[(s + 1) * m->width + e] = mix_one(m, s + 1, e);
        }
    }
}

#endif
