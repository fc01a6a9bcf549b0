// SPDX-License-Identifier: MIT
/* lookup_inl.h - products of TL1 and TL2 by tables of sums (dtype/lookup.h).
 *
 * scalar/lookup.c is the definition. A register holds the indices of 16 rows into two or four tables,
 * and a shuffle picks the low bytes of all their sums, another one the high bytes. Eight of each are
 * added in a byte; then even and odd bytes apart in 16 bits; after some thousand columns in 32.
 *
 * A few columns look up, in tables that lie behind their rows. Many columns read the codes in a panel
 * and multiply as I2_S (strips_inl.h): the integers are the same.
 *
 * A tier defines, beside what strips_inl.h asks for: v_shuffle, v_signed(a, s), which is -a where the
 * upper bit of s is set (s is not zero), v_add8, v_add16, v_sub16, v_madd, v_low16 and v_high16
 * (the lower and upper halves of 16 bytes, 16-bit lanes in turn); v16, a register of 16 bytes, v_lanes,
 * the sum of the sixteen bytes' 32-bit lanes; and the v16_ functions: v16_low8(a, b) and so on are
 * the lower and upper halves, lanes of this many bits in turn, v16_times(a, s) takes s of 1 or -1. */
#ifndef LS_KERNEL_LOOKUP_INL_H
#define LS_KERNEL_LOOKUP_INL_H

#include "dtype/dtype.h"
#include "dtype/lookup.h"
#include "kernel/strips_inl.h"

/* Strips of TL1 that share the loads of a table (with triples a second stream costs more); what sums
 * in bytes start from, to stay positive; units whose sums, 248 of each half at most, stay within 16
 * bits. */
enum { LOOKUP_STRIPS = 2, LOOKUP_BIAS = 128, LOOKUP_UNITS = HALVES > 2 ? 64 : 128 };

/* Of two adjacent bytes: the first plus 256 times the second, mod 2^16; and the second. */
typedef struct lookup_sums {
    vi low, low_odd, high, high_odd;
} lookup_sums;

typedef struct lookup_job {
    const uint8_t *unit[LOOKUP_STRIPS];
    const uint8_t *end;    /* of the first strip */
    size_t         others; /* bytes of the others: what is read next lies behind them */
    const uint8_t *tables;
    int32_t        total[LOOKUP_STRIPS][LS_STRIP_ROWS];
} lookup_job;

LS_INLINE void lookup_unit(bool triples, int strips, const lookup_job *j, lookup_sums *sums)
{
    const size_t signs = triples ? LS_LOOKUP_SIGNS : 0;
    for (size_t h = 0; h < HALVES; h++) {
        const size_t at = 64 / HALVES * h;
        vi           low[LOOKUP_STRIPS], high[LOOKUP_STRIPS], sign[LOOKUP_STRIPS];
        for (int s = 0; s < strips; s++) {
            low[s] = high[s] = v_set8(LOOKUP_BIAS);
            sign[s] = triples ? v_or(v_load(j->unit[s] + at), v_set8(1)) : v_zero();
        }
#pragma GCC unroll 8
        for (size_t r = 0; r < 8; r++) {
            vi table_low = v_load(j->tables + 128 * r + at);
            vi table_high = v_load(j->tables + 128 * r + 64 + at);
#pragma GCC unroll 2
            for (int s = 0; s < strips; s++) {
                vi index = v_load(j->unit[s] + signs + 64 * (r / 2) + at);
                index = low_bits(index, r % 2 ? 4 : 0, 15);
                vi l = v_shuffle(table_low, index), u = v_shuffle(table_high, index);
                if (triples) { /* the last sign is where the others have the bit that is always set */
                    vi g = r < 7 ? sign[s]
                                 : v_or(v_sll16(v_load(j->unit[s] + at), 7), v_set8(1));
                    l = v_signed(l, g);
                    u = v_signed(u, g);
                    sign[s] = v_add8(sign[s], sign[s]);
                }
                low[s] = v_add8(low[s], l);
                high[s] = v_add8(high[s], u);
            }
        }
        for (int s = 0; s < strips; s++) {
            sums[s].low = v_add16(sums[s].low, low[s]);
            sums[s].low_odd = v_add16(sums[s].low_odd, v_srl16(low[s], 8));
            sums[s].high = v_add16(sums[s].high, high[s]);
            sums[s].high_odd = v_add16(sums[s].high_odd, v_srl16(high[s], 8));
        }
    }
}

LS_INLINE void lookup_add4(int32_t *total, v16 a)
{
    v16_store(total, v16_add32(v16_load(total), a));
}

/* 31 * high + low of the 16 rows in n units, added to their totals. */
LS_INLINE void lookup_flush(const lookup_sums *s, size_t n, int32_t *total)
{
    const vi weights = v_set32(LS_LOOKUP_BASE * 65536 + 1);
    const vi bias = v_set16(LOOKUP_BIAS * HALVES * (int)n);
    vi       low[2] = {v_sub16(s->low, v_sll16(s->low_odd, 8)), s->low_odd};
    vi       high[2] = {v_sub16(s->high, v_sll16(s->high_odd, 8)), s->high_odd};
    v16      a[2], b[2]; /* even and odd rows of the first eight, of the others */
    for (int i = 0; i < 2; i++) {
        vi l = v_sub16(low[i], bias), h = v_sub16(high[i], bias);
        a[i] = v_lanes(v_madd(v_low16(l, h), weights));
        b[i] = v_lanes(v_madd(v_high16(l, h), weights));
    }
    lookup_add4(total, v16_low32(a[0], a[1]));
    lookup_add4(total + 4, v16_high32(a[0], a[1]));
    lookup_add4(total + 8, v16_low32(b[0], b[1]));
    lookup_add4(total + 12, v16_high32(b[0], b[1]));
}

/* n units; what they start from is moved on. */
LS_INLINE void lookup_part(bool triples, int strips, lookup_job *job, size_t n)
{
    lookup_job local = *job, *j = &local; /* so that its pointers stay in registers */
    while (n) {
        size_t      step = n < LOOKUP_UNITS ? n : LOOKUP_UNITS;
        lookup_sums sums[LOOKUP_STRIPS];
        for (int s = 0; s < strips; s++)
            sums[s] = (lookup_sums){v_zero(), v_zero(), v_zero(), v_zero()};
        for (size_t k = 0; k < step; k++) {
            size_t skip = j->end - j->unit[0] > LS_FETCH_AHEAD ? 0 : j->others;
            for (int s = 0; s < strips; s++)
                ls_fetch_lines(j->unit[s] + skip, ls_lookup_unit_bytes(triples), 0, 1);
            lookup_unit(triples, strips, j, sums);
            j->tables += LS_LOOKUP_TABLES;
            for (int s = 0; s < strips; s++) j->unit[s] += ls_lookup_unit_bytes(triples);
        }
        for (int s = 0; s < strips; s++) lookup_flush(&sums[s], step, j->total[s]);
        n -= step;
    }
    *job = local;
}

static void lookup_pairs_1(lookup_job *j, size_t n) { lookup_part(false, 1, j, n); }
static void lookup_pairs(lookup_job *j, size_t n) { lookup_part(false, LOOKUP_STRIPS, j, n); }
static void lookup_triples_1(lookup_job *j, size_t n) { lookup_part(true, 1, j, n); }

/* `strips` strips from row r on, 1 or LOOKUP_STRIPS, times one column. */
static void lookup_strips(const ls_matmul *m, ls_lookup_units units, int strips, size_t r,
                             size_t c)
{
    const uint8_t *row = (const uint8_t *)m->x + c * m->x_bytes;
    lookup_job     j = {.tables = row + ls_act_row_bytes(LS_ACT_I8_TL, m->n)};
    ls_i8_row      x;
    memcpy(&x, row, sizeof(x));
    j.end = (const uint8_t *)m->w + (r + LS_STRIP_ROWS) * m->row_bytes;
    j.others = LS_STRIP_ROWS * (size_t)(strips - 1) * m->row_bytes;
    for (int s = 0; s < strips; s++)
        j.unit[s] = (const uint8_t *)m->w + (r + LS_STRIP_ROWS * (size_t)s) * m->row_bytes;
    lookup_triples_1(&j, units.triples); /* none of several strips */
    (strips == 1 ? lookup_pairs_1 : lookup_pairs)(&j, units.pairs);
    for (int s = 0; s < strips; s++) {
        for (int h = 0; h < HALVES; h++) {
            vf v = vf_div(v_float(v_load(j.total[s] + V_ROWS * h)), vf_set(x.s));
            vf_store(m->y + c * m->ldy + r + LS_STRIP_ROWS * s + V_ROWS * h,
                     vf_mul(v, vf_set(m->w_scale)));
        }
    }
}

/* ---- panels ---- */

/* Codes of 16 rows in four columns, side by side: a word of the panel (strips_inl.h). */
LS_INLINE void lookup_word(uint8_t *to, v16 a, v16 b, v16 c, v16 d)
{
    v16 ab[2] = {v16_low8(a, b), v16_high8(a, b)};
    v16 cd[2] = {v16_low8(c, d), v16_high8(c, d)};
    for (int i = 0; i < 2; i++) {
        v16_store(to + 32 * i, v16_low16(ab[i], cd[i]));
        v16_store(to + 32 * i + 16, v16_high16(ab[i], cd[i]));
    }
}

/* The lowest bits of each byte, n places down. */
LS_INLINE v16 lookup_bits(const uint8_t *p, unsigned n, int mask)
{
    return v16_and(v16_srl16(v16_load(p), n), v16_set8(mask));
}

LS_INLINE v16 lookup_index(const uint8_t *indices, size_t i)
{
    return lookup_bits(indices + ls_lookup_byte(i), ls_lookup_shift(i), 15);
}

/* Codes 0 to 2 of the weights that 16 indices stand for. */
LS_INLINE void codes_of_pair(v16 *w, const uint8_t *unit, size_t i)
{
    static const int8_t codes[2][16] = {
        {0, 0, 0, 1, 1, 1, 2, 2, 2, 1, 1, 1, 1, 1, 1, 1},
        {0, 1, 2, 0, 1, 2, 0, 1, 2, 1, 1, 1, 1, 1, 1, 1},
    };
    v16 index = lookup_index(unit, i);
    for (int k = 0; k < 2; k++) w[k] = v16_shuffle(v16_load(codes[k]), index);
}

LS_INLINE void codes_of_triple(v16 *w, const uint8_t *unit, size_t i)
{
    static const int8_t weights[3][16] = {
        {0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0},
        {0, 0, 1, 1, 1, -1, -1, -1, 0, 0, 0, 1, 1, 1, 0, 0},
        {0, 1, -1, 0, 1, -1, 0, 1, -1, 0, 1, -1, 0, 1, 0, 0},
    };
    const v16 one = v16_set8(1);
    v16       index = lookup_index(unit + LS_LOOKUP_SIGNS, i);
    v16       sign = lookup_bits(unit + 16 * (i % 4), (unsigned)(7 - i / 4), 1);
    sign = v16_sub8(one, v16_add8(sign, sign)); /* 1 or -1 */
    for (int k = 0; k < 3; k++)
        w[k] = v16_add8(v16_times(v16_shuffle(v16_load(weights[k]), index), sign), one);
}

LS_INLINE void lookup_unpack(int t, strip_job *j, int s, uint8_t *scratch)
{
    const size_t          word = 4 * PANEL_ROWS;
    const ls_lookup_units u = ls_lookup_units_of(t, j->n);
    const uint8_t        *unit = j->strip;
    uint8_t              *q = scratch + 4 * LS_STRIP_ROWS * (size_t)s;
    for (size_t k = 0; k < u.triples; k++, unit += ls_lookup_unit_bytes(true)) {
        for (size_t i = 0; i < LS_LOOKUP_INDICES; i += 4, q += 3 * word) {
            v16 w[12];
            for (size_t p = 0; p < 4; p++) codes_of_triple(w + 3 * p, unit, i + p);
            for (size_t p = 0; p < 12; p += 4)
                lookup_word(q + p / 4 * word, w[p], w[p + 1], w[p + 2], w[p + 3]);
        }
    }
    for (size_t k = 0; k < u.pairs; k++, unit += ls_lookup_unit_bytes(false)) {
        for (size_t i = 0; i < LS_LOOKUP_INDICES; i += 2, q += word) {
            v16 w[4];
            for (size_t p = 0; p < 2; p++) codes_of_pair(w + 2 * p, unit, i + p);
            lookup_word(q, w[0], w[1], w[2], w[3]);
        }
    }
    for (uint8_t *end = scratch + (j->n + 127) / 128 * 32 * word; q < end; q += word)
        memset(q, 1, 4 * LS_STRIP_ROWS); /* times zeros */
    j->q = scratch;
}

static void lookup_unpack_tl1(strip_job *j, int s, uint8_t *to)
{
    lookup_unpack(LS_DTYPE_TL1, j, s, to);
}

static void lookup_unpack_tl2(strip_job *j, int s, uint8_t *to)
{
    lookup_unpack(LS_DTYPE_TL2, j, s, to);
}

LS_INLINE void lookup_run(const ls_matmul *m, int t, unpack_fn *unpack_to)
{
    const ls_lookup_units units = ls_lookup_units_of(t, m->n);
    if (m->n_cols >= LS_LOOKUP_COLS) {
        const strip_fns f = {unpack_to, NULL, one_i2_s, many_i2_s, STRIP_SUMS};
        strips_panels(m, &f);
        return;
    }
    for (size_t r = 0, step; r < m->n_rows; r += step) {
        bool several = t == LS_DTYPE_TL1 && m->n_rows - r >= LOOKUP_STRIPS * LS_STRIP_ROWS;
        int  strips = several ? LOOKUP_STRIPS : 1;
        for (size_t c = 0; c < m->n_cols; c++) lookup_strips(m, units, strips, r, c);
        step = (size_t)strips * LS_STRIP_ROWS;
    }
}

static void strips_tl1(const ls_matmul *m) { lookup_run(m, LS_DTYPE_TL1, lookup_unpack_tl1); }
static void strips_tl2(const ls_matmul *m) { lookup_run(m, LS_DTYPE_TL2, lookup_unpack_tl2); }

LS_INLINE void lookup_fill(ls_kernels *k)
{
    k->strips_tl1 = strips_tl1;
    k->strips_tl2 = strips_tl2;
}

#endif
