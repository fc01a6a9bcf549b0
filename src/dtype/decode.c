// SPDX-License-Identifier: MIT
/* decode.c - weights to float, one naive function per type; blocks.h has the byte maps.
 *
 * Products are single float multiplications in the order written, as libggml's reference
 * dequantizers do them, so that decoded weights agree bit for bit. */
#include <string.h>

#include "dtype/blocks.h"
#include "dtype/dtype.h"

float ls_f16_to_f32(uint16_t h)
{
    uint32_t sign = (uint32_t)(h & 0x8000) << 16, exp = (h >> 10) & 31, man = h & 1023, u;
    float    f;
    if (exp == 31) {
        u = sign | 0x7f800000 | (man ? man << 13 | 0x400000 : 0); /* infinity; NaN made quiet */
    } else if (exp) {
        u = sign | (exp + 112) << 23 | man << 13;
    } else { /* zero and subnormals: man * 2^-24, exact in float */
        f = (float)man * 0x1p-24f;
        memcpy(&u, &f, 4);
        u |= sign;
    }
    memcpy(&f, &u, 4);
    return f;
}

uint16_t ls_f32_to_f16(float f)
{
    uint32_t u, a;
    uint16_t sign;
    memcpy(&u, &f, 4);
    sign = (uint16_t)(u >> 16 & 0x8000);
    a = u & 0x7fffffff;
    if (a > 0x7f800000) return (uint16_t)(sign | 0x7e00 | (a >> 13 & 0x3ff)); /* NaN made quiet */
    if (a >= 0x477ff000) return (uint16_t)(sign | 0x7c00); /* rounds to 65536 or more */
    if (a < 0x38800000) { /* below 2^-14: subnormal; adding 0.5 rounds at 2^-24, to even */
        float    g, half = 0.5f;
        uint32_t r;
        memcpy(&g, &a, 4);
        g += half;
        memcpy(&r, &g, 4);
        return (uint16_t)(sign | (r - 0x3f000000));
    }
    a += 0xfff + (a >> 13 & 1); /* to nearest, ties to even */
    return (uint16_t)(sign | (a - 0x38000000) >> 13);
}

float ls_bf16_to_f32(uint16_t h)
{
    uint32_t u = (uint32_t)h << 16;
    float    f;
    memcpy(&f, &u, 4);
    return f;
}

uint16_t ls_f32_to_bf16(float f)
{
    uint32_t u;
    memcpy(&u, &f, 4);
    if ((u & 0x7fffffff) > 0x7f800000) return (uint16_t)(u >> 16 | 64); /* NaN made quiet */
    return (uint16_t)((u + 0x7fff + (u >> 16 & 1)) >> 16);
}

static void decode_f32(float *out, const void *p, size_t n, float scale)
{
    (void)scale;
    memcpy(out, p, n * 4);
}

static void decode_f16(float *out, const void *p, size_t n, float scale)
{
    (void)scale;
    for (size_t i = 0; i < n; i++) {
        uint16_t h;
        memcpy(&h, (const uint8_t *)p + 2 * i, 2);
        out[i] = ls_f16_to_f32(h);
    }
}

static void decode_bf16(float *out, const void *p, size_t n, float scale)
{
    (void)scale;
    for (size_t i = 0; i < n; i++) {
        uint16_t h;
        memcpy(&h, (const uint8_t *)p + 2 * i, 2);
        out[i] = ls_bf16_to_f32(h);
    }
}

static void decode_q4_0(float *out, const void *p, size_t n, float scale)
{
    const ls_q4_0 *b = p;
    (void)scale;
    for (; n; n -= 32, b++, out += 32) {
        float d = ls_f16_to_f32(b->d);
        for (int j = 0; j < 16; j++) {
            out[j] = (float)((b->qs[j] & 15) - 8) * d;
            out[j + 16] = (float)((b->qs[j] >> 4) - 8) * d;
        }
    }
}

static void decode_q8_0(float *out, const void *p, size_t n, float scale)
{
    const ls_q8_0 *b = p;
    (void)scale;
    for (; n; n -= 32, b++, out += 32) {
        float d = ls_f16_to_f32(b->d);
        for (int j = 0; j < 32; j++) out[j] = (float)b->qs[j] * d;
    }
}

static void decode_q4_k(float *out, const void *p, size_t n, float unused)
{
    const ls_q4_k *b = p;
    (void)unused;
    for (; n; n -= 256, b++, out += 256) {
        float          d = ls_f16_to_f32(b->d), dmin = ls_f16_to_f32(b->dmin);
        const uint8_t *s = b->scales;
        for (int j = 0; j < 8; j++) {
            int   sc = j < 4 ? s[j] & 63 : (s[j + 4] & 15) | (s[j - 4] >> 6) << 4;
            int   m = j < 4 ? s[j + 4] & 63 : s[j + 4] >> 4 | (s[j] >> 6) << 4;
            float ds = d * (float)sc, ms = dmin * (float)m;
            for (int l = 0; l < 32; l++) {
                int q = b->qs[32 * (j / 2) + l] >> (4 * (j & 1)) & 15;
                out[32 * j + l] = ds * (float)q - ms;
            }
        }
    }
}

static void decode_q6_k(float *out, const void *p, size_t n, float unused)
{
    const ls_q6_k *b = p;
    (void)unused;
    for (; n; n -= 256, b++, out += 256) {
        float d = ls_f16_to_f32(b->d);
        for (int i = 0; i < 256; i++) {
            int h = i / 128, part = i % 128 / 32, l = i % 32;
            int lo = b->ql[64 * h + 32 * (part & 1) + l] >> (4 * (part >> 1)) & 15;
            int hi = b->qh[32 * h + l] >> (2 * part) & 3;
            int sc = b->scales[8 * h + 2 * part + l / 16];
            out[i] = d * (float)sc * (float)((lo | hi << 4) - 32);
        }
    }
}

static void decode_tq2_0(float *out, const void *p, size_t n, float unused)
{
    const ls_tq2_0 *b = p;
    (void)unused;
    for (; n; n -= 256, b++, out += 256) {
        float d = ls_f16_to_f32(b->d);
        for (int i = 0; i < 256; i++) {
            int q = b->qs[32 * (i / 128) + i % 32] >> (2 * (i % 128 / 32)) & 3;
            out[i] = (float)(q - 1) * d;
        }
    }
}

static void decode_i2_s(float *out, const void *p, size_t n, float scale)
{
    static const float value[4] = {-1, 0, 1, 0};
    const ls_i2_s     *b = p;
    for (; n; n -= 128, b++, out += 128) {
        for (int j = 0; j < 128; j++) {
            out[j] = value[b->qs[j % 32] >> (6 - 2 * (j / 32)) & 3] * scale;
        }
    }
}

void ls_dtype_decode(int dtype, float *out, const void *blocks, size_t n, float scale)
{
    switch ((ls_dtype)dtype) {
    case LS_DTYPE_F32:
        decode_f32(out, blocks, n, scale);
        return;
    case LS_DTYPE_F16:
        decode_f16(out, blocks, n, scale);
        return;
    case LS_DTYPE_BF16:
        decode_bf16(out, blocks, n, scale);
        return;
    case LS_DTYPE_Q4_0:
        decode_q4_0(out, blocks, n, scale);
        return;
    case LS_DTYPE_Q8_0:
        decode_q8_0(out, blocks, n, scale);
        return;
    case LS_DTYPE_Q4_K:
        decode_q4_k(out, blocks, n, scale);
        return;
    case LS_DTYPE_Q6_K:
        decode_q6_k(out, blocks, n, scale);
        return;
    case LS_DTYPE_TQ2_0:
        decode_tq2_0(out, blocks, n, scale);
        return;
    case LS_DTYPE_I2_S:
        decode_i2_s(out, blocks, n, scale);
        return;
    case LS_DTYPE_NONE:
        return;
    }
}
