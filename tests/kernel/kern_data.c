// SPDX-License-Identifier: MIT
/* kern_data.c - inputs for checkkern: guarded buffers and patterns.
 *
 * Every buffer lies against an inaccessible page, so that reading one byte too many ends the
 * program with a message; outputs lie in a field of canaries. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kern.h"

enum { CANARY = 0xa5 };

const char *const kern_pattern_names[N_PATTERNS] = {
    "zeros", "ones", "huge", "denormal", "outlier", "max", "nonfinite", "random",
};

static size_t whole_pages(size_t size)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    return (size + page - 1) / page * page;
}

static void grow(kern_buf *b, size_t size)
{
    size_t   page = (size_t)sysconf(_SC_PAGESIZE), want = whole_pages(size);
    uint8_t *m;
    if (b->size >= want) return;
    if (b->base) munmap(b->base - page, b->size + 2 * page);
    m = mmap(NULL, want + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (m == MAP_FAILED || mprotect(m + page, want, PROT_READ | PROT_WRITE)) {
        perror("checkkern: mmap");
        exit(2);
    }
    b->base = m + page;
    b->size = want;
}

void kern_buf_place(kern_buf *b, size_t bytes, int place, size_t unit)
{
    grow(b, bytes + 64);
    b->n_field = whole_pages(bytes + 64);
    b->field = place == PLACE_END ? b->base + b->size - b->n_field : b->base;
    memset(b->field, CANARY, b->n_field);
    b->bytes = bytes;
    b->data = place == PLACE_END ? b->base + b->size - bytes : b->base;
    if (place == PLACE_SHIFTED) b->data += unit;
}

bool kern_buf_intact(const kern_buf *b)
{
    if (!b->base) return true; /* not used by this case */
    for (const uint8_t *p = b->field; p < b->field + b->n_field; p++) {
        if (p == b->data) p += b->bytes;
        if (p < b->field + b->n_field && *p != CANARY) return false;
    }
    return true;
}

/* SplitMix64 (Steele, Lea, Flood 2014). */
uint64_t kern_random(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
}

/* About normal with deviation 1: the sum of four uniform numbers. */
static float normal(uint64_t *rng)
{
    float    s = 0;
    uint64_t r = kern_random(rng);
    for (int i = 0; i < 4; i++) s += (float)(r >> (16 * i) & 0xffff) / 65536.0f - 0.5f;
    return s * 1.7320508f;
}

static float f32_of(kern_pattern p, size_t i, uint64_t *rng)
{
    uint64_t r;
    switch (p) {
    case PAT_ZEROS:
        return i % 3 ? 0.0f : -0.0f;
    case PAT_ONES: /* divided by the largest, 127: ties of rounding to integers, up and down */
        return i % 32 == 0 ? 127.0f : i % 3 ? 1.0f : (float)(i % 126) - 62.5f;
    case PAT_HUGE:
        return (i & 1 ? -1.0f : 1.0f) * ldexpf(1.5f, (int)(kern_random(rng) % 127));
    case PAT_DENORMAL:
        r = kern_random(rng);
        return (r & 1 ? -1.0f : 1.0f) *
               ldexpf((float)(r >> 8 & 0xffffff), -149 - (int)(r >> 40) % 24);
    case PAT_MAX:
        return kern_random(rng) & 1 ? 1.0f : -1.0f;
    case PAT_OUTLIER:
    case PAT_NONFINITE:
    case PAT_RANDOM:
    case N_PATTERNS:
        break;
    }
    return normal(rng);
}

static void spike_f32(float *x, size_t n, kern_pattern p, uint64_t *rng)
{
    static const float bad[3] = {NAN, INFINITY, -INFINITY};
    size_t             at = n ? kern_random(rng) % n : 0;
    if (n && p == PAT_OUTLIER) x[at] = kern_random(rng) & 1 ? -3e4f : 3e4f;
    if (n && p == PAT_NONFINITE) x[at] = bad[kern_random(rng) % 3];
}

void kern_fill_f32(float *x, size_t n, kern_pattern p, uint64_t *rng)
{
    for (size_t i = 0; i < n; i++) {
        float v = f32_of(p, i, rng);
        memcpy((uint8_t *)x + 4 * i, &v, 4);
    }
    if (p == PAT_OUTLIER || p == PAT_NONFINITE) {
        float  one;
        size_t at = n ? kern_random(rng) % n : 0;
        spike_f32(&one, 1, p, rng);
        if (n) memcpy((uint8_t *)x + 4 * at, &one, 4);
        /* what is left of this NaN's payload where 16 bits are cut off is nothing */
        uint32_t low = 0x7f800001;
        if (n && p == PAT_NONFINITE && at % 2) memcpy((uint8_t *)x + 4 * at, &low, 4);
    }
}

/* Half precision: through float, except that subnormals need the bits. */
void kern_fill_f16(uint16_t *x, size_t n, kern_pattern p, uint64_t *rng)
{
    for (size_t i = 0; i < n; i++) {
        float    v = f32_of(p, i, rng);
        uint16_t h = ls_f32_to_f16(p == PAT_HUGE ? (i & 1 ? -6e4f : 6e4f) : v);
        if (p == PAT_DENORMAL) h = (uint16_t)(kern_random(rng) & 0x83ff);
        memcpy(x + i, &h, 2);
    }
    if (n && (p == PAT_OUTLIER || p == PAT_NONFINITE)) {
        float one;
        spike_f32(&one, 1, p, rng);
        x[kern_random(rng) % n] = ls_f32_to_f16(one);
    }
}

/* Rows around the end of the normal range, of four kinds: products that are its least number, or
 * less than half an ulp of smaller ones, so that sums lie on either side of where they are rounded
 * to it; powers of two whose products lie below it exactly; numbers below it, with what makes
 * normal ones of them, which is the last kind. */
static uint16_t bf16_at_the_limit(int kind, uint64_t r)
{
    static const uint8_t exponent[4][4] = {
        {64, 64, 51, 52}, {64, 57, 57, 57}, {0}, {137, 138, 140, 142}};
    unsigned e = exponent[kind][r >> 16 & 3], digits = (unsigned)(r & 0x7f);
    if (kind == 1) digits = 0;
    if (kind == 0 && r >> 20 & 3) digits = e == 51 ? 0x40 : 0;
    return (uint16_t)((r & 0x8000) | e << 7 | digits);
}

void kern_fill_bf16(uint8_t *x, size_t n, kern_pattern p, uint64_t *rng)
{
    int six = (int)(kern_random(rng) % 6), kind = six < 3 ? 0 : six - 2;
    for (size_t i = 0; i < n; i++) {
        float v = f32_of(p, i, rng);
        if (i == n / 2) spike_f32(&v, 1, p, rng);
        uint16_t h = ls_f32_to_bf16(v);
        if (p == PAT_MAX) { /* of far apart exponents, so that every sum is rounded */
            uint64_t r = kern_random(rng);
            h = (uint16_t)((r & 0x8000) | (115 + (r >> 16) % 24) << 7 | 0x7f);
        }
        if (p == PAT_DENORMAL) h = bf16_at_the_limit(kind, kern_random(rng));
        memcpy(x + 2 * i, &h, 2);
    }
}

/* A block scale. */
static uint16_t scale_of(kern_pattern p, uint64_t *rng)
{
    uint64_t r = kern_random(rng);
    switch (p) {
    case PAT_ZEROS:
        return r & 1 ? 0 : 0x8000;
    case PAT_ONES:
        return 0x3c00;
    case PAT_HUGE:
    case PAT_MAX:
        return r & 1 ? 0x7bff : 0xfbff;
    case PAT_DENORMAL:
        return (uint16_t)(r & 0x83ff);
    case PAT_NONFINITE:
        return r % 8 == 0 ? 0x7e01 : r % 8 == 1 ? 0x7c00 : 0x2c00;
    case PAT_OUTLIER:
    case PAT_RANDOM:
    case N_PATTERNS:
        break;
    }
    return ls_f32_to_f16(normal(rng) * (p == PAT_OUTLIER && r % 16 == 0 ? 100.0f : 0.01f));
}

/* Byte offsets of the F16 scales of a block; the rest is quants, where any byte is valid. Formats
 * that are not here have no such scale: their bytes are random throughout. */
static const struct {
    int dtype, scale[2];
} formats[] = {
    {LS_DTYPE_Q4_0, {0, -1}},    {LS_DTYPE_Q8_0, {0, -1}},   {LS_DTYPE_Q4_K, {0, 2}},
    {LS_DTYPE_Q6_K, {208, -1}},  {LS_DTYPE_TQ2_0, {64, -1}}, {LS_DTYPE_Q4_1, {0, 2}},
    {LS_DTYPE_Q5_0, {0, -1}},    {LS_DTYPE_Q5_1, {0, 2}},    {LS_DTYPE_Q8_1, {0, 2}},
    {LS_DTYPE_Q2_K, {80, 82}},   {LS_DTYPE_Q3_K, {108, -1}}, {LS_DTYPE_Q5_K, {0, 2}},
    {LS_DTYPE_IQ2_XXS, {0, -1}}, {LS_DTYPE_IQ2_XS, {0, -1}}, {LS_DTYPE_IQ2_S, {0, -1}},
    {LS_DTYPE_IQ3_XXS, {0, -1}}, {LS_DTYPE_IQ3_S, {0, -1}},  {LS_DTYPE_IQ1_S, {0, -1}},
    {LS_DTYPE_IQ4_NL, {0, -1}},  {LS_DTYPE_IQ4_XS, {0, -1}}, {LS_DTYPE_TQ1_0, {52, -1}},
    {LS_DTYPE_Q1_0, {0, -1}},    {LS_DTYPE_Q2_0, {0, -1}},
};

static uint8_t quant_of(kern_pattern p, uint64_t *rng)
{
    static const uint8_t ends[] = {0x00, 0xff, 0x80, 0x7f};
    uint64_t             r = kern_random(rng);
    if (p == PAT_ZEROS) return 0;
    if (p == PAT_ONES) return 0x11;
    if (p == PAT_MAX) return ends[r & 3];
    return (uint8_t)r;
}

static void fill_blocks(int dtype, uint8_t *w, size_t n, kern_pattern p, uint64_t *rng)
{
    static const int none[2] = {-1, -1};
    const int       *scale = none;
    size_t           bytes = ls_dtype_block_bytes(dtype);
    for (size_t f = 0; f < sizeof(formats) / sizeof(formats[0]); f++) {
        if (formats[f].dtype == dtype) scale = formats[f].scale;
    }
    for (size_t b = 0; b < n / ls_dtype_block(dtype); b++, w += bytes) {
        uint8_t all = quant_of(p, rng);
        bool    uniform = p == PAT_MAX && kern_random(rng) & 1;
        for (size_t i = 0; i < bytes; i++) w[i] = uniform ? all : quant_of(p, rng);
        for (int s = 0; s < 2; s++) {
            uint16_t d = scale_of(p, rng);
            if (scale[s] >= 0) memcpy(w + scale[s], &d, 2);
        }
    }
}

static void fill_f64(uint8_t *x, size_t n, kern_pattern p, uint64_t *rng)
{
    for (size_t i = 0; i < n; i++) {
        float v = f32_of(p, i, rng);
        if (i == n / 2) spike_f32(&v, 1, p, rng);
        memcpy(x + 8 * i, &(double){(double)v * 1.0000000001}, 8);
    }
}

void kern_fill_weights(int dtype, void *w, size_t n, kern_pattern p, uint64_t *rng)
{
    switch (dtype) {
    case LS_DTYPE_F32:
        kern_fill_f32(w, n, p, rng);
        return;
    case LS_DTYPE_F16:
        kern_fill_f16(w, n, p, rng);
        return;
    case LS_DTYPE_BF16:
        kern_fill_bf16(w, n, p, rng);
        return;
    case LS_DTYPE_F64:
        fill_f64(w, n, p, rng);
        return;
    default:
        fill_blocks(dtype, w, n, p, rng);
    }
}
