// SPDX-License-Identifier: MIT
/* super.c - encoders of 256 elements with scales of scales: Q2_K to Q6_K, Q8_K, and the sixteen
 * values of IQ4_NL and IQ4_XS.
 *
 * In two steps: a search for each group's scale, then, with the scales as they will be read, the
 * codes. A group whose scale is read as zero keeps the codes of the search. */
#include <math.h>

#include "quant/quant_priv.h"

/* ---- packing: the inverse of codes_inl.h ---- */

static void put_pairs(uint8_t *qs, const uint8_t *code)
{
    for (int i = 0; i < 64; i++) {
        const uint8_t *c = code + 128 * (i / 32) + i % 32;
        qs[i] = (uint8_t)((c[0] & 3) | (c[32] & 3) << 2 | (c[64] & 3) << 4 | (c[96] & 3) << 6);
    }
}

static void put_nibbles(uint8_t *qs, const uint8_t *code)
{
    for (int i = 0; i < 128; i++) {
        const uint8_t *c = code + 64 * (i / 32) + i % 32;
        qs[i] = (uint8_t)((c[0] & 15) | (c[32] & 15) << 4);
    }
}

/* Bit `bit` of element i at bit i / 32 of byte i % 32. */
static void put_high_bits(uint8_t *out, const uint8_t *code, int bit)
{
    memset(out, 0, 32);
    for (int i = 0; i < 256; i++) out[i % 32] |= (uint8_t)((code[i] >> bit & 1) << (i / 32));
}

static void put_scales_k4(uint8_t *out, const uint8_t *scale, const uint8_t *min)
{
    for (int j = 0; j < 4; j++) {
        out[j] = (uint8_t)(scale[j] | (scale[j + 4] >> 4) << 6);
        out[j + 4] = (uint8_t)(min[j] | (min[j + 4] >> 4) << 6);
        out[j + 8] = (uint8_t)((scale[j + 4] & 15) | (min[j + 4] & 15) << 4);
    }
}

/* ---- scale and minimum: Q2_K, Q4_K, Q5_K ---- */

typedef struct affine {
    int        group, nmax, scale_max;
    bool       magnitudes; /* plain weights are |x|, else that plus the group's mean */
    float      spread;     /* of the block's mean square, with importance */
    ls_q_steps plain;
} affine;

/* What the search finds for one block. */
typedef struct found {
    uint8_t code[256], scale[16], min[16];
    float   d, dmin;
} found;

static void plain_weights(const affine *a, float *w, const float *x)
{
    float mean = a->magnitudes ? 0 : sqrtf(ls_q_sum_squares(x, (size_t)a->group) / 32.0f);
    for (int i = 0; i < a->group; i++) w[i] = mean + fabsf(x[i]);
}

/* Scales as integers of the largest; 0 if none is above zero. */
static float by_largest(const affine *a, uint8_t *code, const float *scale, int n)
{
    float max = 0, inverse;
    for (int j = 0; j < n; j++) max = scale[j] > max ? scale[j] : max;
    inverse = max > 0 ? (float)a->scale_max / max : 0;
    for (int j = 0; j < n; j++) {
        code[j] = (uint8_t)ls_q_nearest(inverse * scale[j]);
        if (code[j] > a->scale_max) code[j] = (uint8_t)a->scale_max;
    }
    return max / (float)a->scale_max;
}

static void find_affine(const affine *a, found *f, const float *x, const float *importance)
{
    static const ls_q_steps steps = {-0.9f, 0.05f, 36, false};
    float                   scale[16], min[16], sum[16], w[32];
    float                   sigma2 = a->spread * ls_q_sum_squares(x, 256) / 256.0f;
    int                     n = 256 / a->group;
    for (int j = 0; j < n; j++) {
        const float *group = x + j * a->group;
        sum[j] = 0;
        if (importance) {
            ls_q_weigh(w, group, importance + j * a->group, sigma2, a->group);
            for (int i = 0; i < a->group; i++) sum[j] += w[i];
        } else {
            plain_weights(a, w, group);
        }
        scale[j] = ls_q_affine(a->group, a->nmax, group, w, f->code + j * a->group, &min[j],
                               importance ? &steps : &a->plain);
    }
    if (importance) {
        f->d = ls_q_positive(n, a->scale_max, scale, sum, f->scale);
        f->dmin = ls_q_positive(n, a->scale_max, min, sum, f->min);
    } else {
        f->d = by_largest(a, f->scale, scale, n);
        f->dmin = by_largest(a, f->min, min, n);
    }
}

/* The codes for the scales that `c` holds. */
static void code_affine(const affine *a, uint8_t *code, const float *x, const ls_codes *c)
{
    for (int i = 0; i < 256; i++) {
        float d = c->d * (float)c->scale[i / 16], m = c->dmin * (float)c->min[i / 16];
        if (d == 0) continue;
        code[i] = (uint8_t)ls_q_clamp(ls_q_nearest((x[i] + m) / d), 0, a->nmax);
    }
}

void ls_encode_Q2_K(void *out, const float *x, size_t n, const float *importance)
{
    static const affine a = {16, 3, 15, true, 1.0f, {-0.5f, 0.1f, 15, true}};
    ls_q2_k            *b = out;
    for (size_t i = 0; i < n; i += 256, b++) {
        found    f;
        ls_codes c;
        find_affine(&a, &f, x + i, importance ? importance + i : NULL);
        memset(b, 0, sizeof(*b));
        b->d = ls_f32_to_f16(f.d);
        b->dmin = ls_f32_to_f16(f.dmin);
        for (int j = 0; j < 16; j++) b->scales[j] = (uint8_t)(f.scale[j] | f.min[j] << 4);
        codes_Q2_K(&c, b);
        code_affine(&a, f.code, x + i, &c);
        put_pairs(b->qs, f.code);
    }
}

void ls_encode_Q4_K(void *out, const float *x, size_t n, const float *importance)
{
    static const affine a = {32, 15, 63, false, 2.0f, {-1.0f, 0.1f, 20, false}};
    ls_q4_k            *b = out;
    for (size_t i = 0; i < n; i += 256, b++) {
        found    f;
        ls_codes c;
        find_affine(&a, &f, x + i, importance ? importance + i : NULL);
        memset(b, 0, sizeof(*b));
        b->d = ls_f32_to_f16(f.d);
        b->dmin = ls_f32_to_f16(f.dmin);
        put_scales_k4(b->scales, f.scale, f.min);
        codes_Q4_K(&c, b);
        code_affine(&a, f.code, x + i, &c);
        put_nibbles(b->qs, f.code);
    }
}

void ls_encode_Q5_K(void *out, const float *x, size_t n, const float *importance)
{
    static const affine a = {32, 31, 63, false, 2.0f, {-0.5f, 0.1f, 15, false}};
    ls_q5_k            *b = out;
    for (size_t i = 0; i < n; i += 256, b++) {
        found    f;
        ls_codes c;
        find_affine(&a, &f, x + i, importance ? importance + i : NULL);
        memset(b, 0, sizeof(*b));
        b->d = ls_f32_to_f16(f.d);
        b->dmin = ls_f32_to_f16(f.dmin);
        put_scales_k4(b->scales, f.scale, f.min);
        codes_Q5_K(&c, b);
        code_affine(&a, f.code, x + i, &c);
        put_nibbles(b->qs, f.code);
        put_high_bits(b->qh, f.code, 4);
    }
}

/* ---- a scale with a sign: Q3_K, Q6_K ---- */

static void code_symmetric(uint8_t *code, const float *x, const ls_codes *c, int nmax)
{
    for (int i = 0; i < 256; i++) {
        float d = c->d * (float)c->scale[i / 16];
        if (d == 0) continue;
        code[i] = (uint8_t)(ls_q_clamp(ls_q_nearest(x[i] / d), -nmax, nmax - 1) + nmax);
    }
}

/* Sixteen scales as integers of 6 bits, 32 meaning zero; false: all of them are zero. */
static bool q3_scales(ls_q3_k *b, const float *scale)
{
    float max, inverse;
    if (ls_q_largest(scale, 16, &max) == 0) return false;
    inverse = -32.0f / max;
    for (int j = 0; j < 16; j++) {
        int l = ls_q_clamp((int8_t)ls_q_nearest(inverse * scale[j]), -32, 31) + 32;
        b->scales[j % 8] |= (uint8_t)((l & 15) << (4 * (j / 8)));
        b->scales[8 + j % 4] |= (uint8_t)((l >> 4) << (2 * (j / 4)));
    }
    b->d = ls_f32_to_f16(1 / inverse);
    return true;
}

static void q3_scales_by_importance(ls_q3_k *b, const float *scale, const float *sum)
{
    int8_t l[16];
    b->d = ls_f32_to_f16(ls_q_symmetric(16, 32, scale, sum, l));
    for (int j = 0; j < 16; j++) {
        b->scales[j % 8] |= (uint8_t)((l[j] & 15) << (4 * (j / 8)));
        b->scales[8 + j % 4] |= (uint8_t)((l[j] >> 4) << (2 * (j / 4)));
    }
}

void ls_encode_Q3_K(void *out, const float *x, size_t n, const float *importance)
{
    ls_q3_k *b = out;
    for (size_t i = 0; i < n; i += 256, b++, x += 256) {
        float    scale[16], sum[16], w[16], sigma2 = 2 * ls_q_sum_squares(x, 256) / 256.0f;
        int8_t   search[256];
        uint8_t  code[256];
        ls_codes c;
        memset(b, 0, sizeof(*b));
        for (int j = 0; j < 16; j++) {
            const float *group = x + 16 * j;
            if (!importance) {
                scale[j] = ls_q_descent(16, 4, group, search + 16 * j);
                continue;
            }
            ls_q_weigh(w, group, importance + i + 16 * j, sigma2, 16);
            sum[j] = 0;
            for (int k = 0; k < 16; k++) sum[j] += w[k];
            scale[j] = ls_q_symmetric(16, 4, group, w, search + 16 * j);
        }
        if (importance)
            q3_scales_by_importance(b, scale, sum);
        else
            q3_scales(b, scale);
        memcpy(code, search, 256);
        codes_Q3_K(&c, b);
        code_symmetric(code, x, &c, 4);
        put_pairs(b->qs, code);
        put_high_bits(b->hmask, code, 2);
    }
}

void ls_encode_Q6_K(void *out, const float *x, size_t n, const float *importance)
{
    ls_q6_k *b = out;
    for (size_t i = 0; i < n; i += 256, b++, x += 256) {
        float    scale[16], max, inverse;
        int8_t   search[256];
        uint8_t  code[256];
        ls_codes c;
        for (int j = 0; j < 16; j++) {
            const float *w = importance ? importance + i + 16 * j : NULL;
            scale[j] = ls_q_symmetric(16, 32, x + 16 * j, w, search + 16 * j);
        }
        memset(b, 0, sizeof(*b));
        if (ls_q_largest(scale, 16, &max) < LS_Q_TINY) continue;
        inverse = -128.0f / max;
        b->d = ls_f32_to_f16(1 / inverse);
        for (int j = 0; j < 16; j++) {
            int l = ls_q_nearest(inverse * scale[j]);
            b->scales[j] = (int8_t)(l < 127 ? l : 127);
        }
        memcpy(code, search, 256);
        codes_Q6_K(&c, b);
        code_symmetric(code, x, &c, 32);
        for (int k = 0; k < 64; k++) {
            const uint8_t *q = code + 128 * (k / 32) + k % 32;
            uint8_t       *low = b->ql + 64 * (k / 32) + k % 32;
            low[0] = (uint8_t)((q[0] & 15) | (q[64] & 15) << 4);
            low[32] = (uint8_t)((q[32] & 15) | (q[96] & 15) << 4);
            b->qh[k] =
                (uint8_t)(q[0] >> 4 | (q[32] >> 4) << 2 | (q[64] >> 4) << 4 | (q[96] >> 4) << 6);
        }
    }
}

void ls_encode_Q8_K(void *out, const float *x, size_t n, const float *importance)
{
    (void)importance;
    for (size_t i = 0; i < n; i += 256, x += 256) {
        ls_q8_k b = {0};
        float   max, inverse;
        if (ls_q_largest(x, 256, &max) != 0) {
            inverse = -127.0f / max;
            for (int j = 0; j < 256; j++) {
                int l = ls_q_nearest(inverse * x[j]);
                b.qs[j] = (int8_t)(l < 127 ? l : 127);
                b.bsums[j / 16] = (int16_t)(b.bsums[j / 16] + b.qs[j]);
            }
            b.d = 1 / inverse;
        }
        memcpy((uint8_t *)out + i / 256 * sizeof(b), &b, sizeof(b));
    }
}

/* ---- sixteen values ---- */

/* Index of the value nearest to x, the upper one of two. */
static uint8_t nearest_iq4(float x)
{
    const int8_t *v = ls_values_iq4;
    int           above = 1;
    if (x <= (float)v[0]) return 0;
    if (x >= (float)v[15]) return 15;
    while (above < 15 && !(x < (float)v[above])) above++;
    return (uint8_t)(x - (float)v[above - 1] < (float)v[above] - x ? above - 1 : above);
}

/* Weighted fit of 32 elements by the values nearest to them at an inverse scale. */
static void fit_iq4(const float *x, const float *w, float inverse, float *lx, float *l2)
{
    *lx = *l2 = 0;
    for (int j = 0; j < 32; j++) {
        float q = (float)ls_values_iq4[nearest_iq4(inverse * x[j])];
        *lx += w[j] * q * x[j];
        *l2 += w[j] * q * q;
    }
}

static float search_iq4(const float *x, const float *importance, float sigma2)
{
    float w[32], max, lx, l2, d, best;
    if (importance) ls_q_weigh(w, x, importance, sigma2, 32);
    for (int j = 0; j < 32 && !importance; j++) w[j] = x[j] * x[j];
    if (ls_q_largest(x, 32, &max) < LS_Q_TINY) return 0;
    fit_iq4(x, w, 1 / (-max / (float)ls_values_iq4[0]), &lx, &l2);
    d = l2 > 0 ? lx / l2 : 0;
    best = d * lx;
    for (int step = -7; step <= 7; step++) {
        fit_iq4(x, w, (float)(step + ls_values_iq4[0]) / max, &lx, &l2);
        if (!(l2 > 0 && lx * lx > best * l2)) continue;
        d = lx / l2;
        best = d * lx;
    }
    return d;
}

static void put_iq4(uint8_t *qs, const float *x, float inverse)
{
    for (int j = 0; j < 16; j++) {
        qs[j] = (uint8_t)(nearest_iq4(inverse * x[j]) | nearest_iq4(inverse * x[j + 16]) << 4);
    }
}

void ls_encode_IQ4_NL(void *out, const float *x, size_t n, const float *importance)
{
    ls_iq4_nl *b = out;
    for (size_t i = 0; i < n; i += 32, b++) {
        float sigma2 = ls_q_sum_squares(x + i, 32) * (2.0f / 32.0f);
        float d = search_iq4(x + i, importance ? importance + i : NULL, sigma2);
        b->d = ls_f32_to_f16(d);
        put_iq4(b->qs, x + i, d != 0 ? 1 / d : 0);
    }
}

void ls_encode_IQ4_XS(void *out, const float *x, size_t n, const float *importance)
{
    ls_iq4_xs *b = out;
    for (size_t i = 0; i < n; i += 256, b++) {
        float sigma2 = ls_q_sum_squares(x + i, 256) * (2.0f / 256.0f), scale[8], max, d, inverse;
        for (int j = 0; j < 8; j++) {
            size_t at = i + 32 * (size_t)j;
            scale[j] = search_iq4(x + at, importance ? importance + at : NULL, sigma2);
        }
        ls_q_largest(scale, 8, &max);
        d = -max / 32.0f;
        inverse = d != 0 ? 1 / d : 0;
        memset(b, 0, sizeof(*b));
        b->d = ls_f32_to_f16(d);
        for (int j = 0; j < 8; j++) {
            int   l = ls_q_clamp(ls_q_nearest(inverse * scale[j]), -32, 31);
            float dl = d * (float)l;
            put_iq4(b->qs + 16 * j, x + i + 32 * j, dl != 0 ? 1 / dl : 0);
            b->scales_l[j / 2] |= (uint8_t)(((l + 32) & 15) << (4 * (j % 2)));
            b->scales_h = (uint16_t)(b->scales_h | ((l + 32) >> 4) << (2 * j));
        }
    }
}
