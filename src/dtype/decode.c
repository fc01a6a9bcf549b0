// SPDX-License-Identifier: MIT
/* decode.c - weights to float; blocks.h has the byte maps, codes_inl.h unpacks them.
 *
 * Products are single float multiplications in the order written, as libggml's reference
 * dequantizers do them, so that decoded weights agree bit for bit. */
#include <string.h>

#include "dtype/codes_grid_inl.h"
#include "dtype/codes_inl.h"

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

typedef void decode_fn(float *out, const void *p, size_t n, float scale);

static void decode_F32(float *out, const void *p, size_t n, float scale)
{
    (void)scale;
    memcpy(out, p, n * 4);
}

/* Element i of a row that may be unaligned, to float by `widen`. */
#define DECODE_PLAIN(sym, type, widen)                                                             \
    static void decode_##sym(float *out, const void *p, size_t n, float scale)                     \
    {                                                                                              \
        (void)scale;                                                                               \
        for (size_t i = 0; i < n; i++) {                                                           \
            type v;                                                                                \
            memcpy(&v, (const uint8_t *)p + i * sizeof(v), sizeof(v));                             \
            out[i] = widen(v);                                                                     \
        }                                                                                          \
    }
DECODE_PLAIN(F16, uint16_t, ls_f16_to_f32)
DECODE_PLAIN(BF16, uint16_t, ls_bf16_to_f32)
DECODE_PLAIN(F64, double, (float))
DECODE_PLAIN(I8, int8_t, (float))
DECODE_PLAIN(I16, int16_t, (float))
DECODE_PLAIN(I32, int32_t, (float))
DECODE_PLAIN(I64, int64_t, (float))

static void decode_I2_S(float *out, const void *p, size_t n, float scale)
{
    static const float value[4] = {-1, 0, 1, 0};
    const ls_i2_s     *b = p;
    for (size_t i = 0; i < n; i++) {
        size_t j = i % 128;
        out[i] = value[b[i / 128].qs[j % 32] >> (6 - 2 * (j / 32)) & 3] * scale;
    }
}

static void decode_TERNARY(float *out, const void *p, size_t n, float scale)
{
    decode_I2_S(out, p, n, scale);
}

/* Where the format has no minimums +0 is taken off, which leaves every value as it is. */
static void decode_codes(float *out, const ls_codes *c, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        float v = c->d * (float)c->scale[i / 16] * (float)c->q[i];
        out[i] = v - c->dmin * (float)c->min[i / 16];
    }
}

#define LS_DTYPE(sym, id, name, block, bytes, act)
#define LS_DTYPE_CODED(sym, id, name, block, bytes, act)                                           \
    static void decode_##sym(float *out, const void *p, size_t n, float scale)                     \
    {                                                                                              \
        const uint8_t *b = p;                                                                      \
        ls_codes       c;                                                                          \
        (void)scale;                                                                               \
        for (size_t i = 0; i < n; i += (block), b += (bytes)) {                                    \
            codes_##sym(&c, b);                                                                    \
            decode_codes(out + i, &c, (block));                                                    \
        }                                                                                          \
    }
#include "lockstep/dtypes.def"
#undef LS_DTYPE

void ls_dtype_decode(int dtype, float *out, const void *blocks, size_t n, float scale)
{
    static decode_fn *const decoders[] = {
#define LS_DTYPE_PACKED(sym, id, name, block, bytes, act)
#define LS_DTYPE(sym, id, name, block, bytes, act) [id] = decode_##sym,
#include "lockstep/dtypes.def"
#undef LS_DTYPE
    };
    if (dtype < 0 || (size_t)dtype >= sizeof(decoders) / sizeof(decoders[0])) return;
    if (decoders[dtype]) decoders[dtype](out, blocks, n, scale);
}
