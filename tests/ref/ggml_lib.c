// SPDX-License-Identifier: MIT
/* ggml_lib.c - see ggml_lib.h. */
#include "ref/ggml_lib.h"

#include <dlfcn.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const ggml_format ggml_formats[] = {
    {"f16", "ggml_fp16_to_fp32_row", 1, 1, 2, {0}, 1, false},
    {"bf16", "ggml_bf16_to_fp32_row", 30, 1, 2, {0}, 0, false},
    {"q4_0", "dequantize_row_q4_0", 2, 32, 18, {0}, 1, false},
    {"q8_0", "dequantize_row_q8_0", 8, 32, 34, {0}, 1, false},
    {"q4_K", "dequantize_row_q4_K", 12, 256, 144, {0, 2}, 2, false},
    {"q6_K", "dequantize_row_q6_K", 14, 256, 210, {208}, 1, false},
    {"tq2_0", "dequantize_row_tq2_0", 35, 256, 66, {64}, 1, false},
    {"q4_1", "dequantize_row_q4_1", 3, 32, 20, {0, 2}, 2, false},
    {"q5_0", "dequantize_row_q5_0", 6, 32, 22, {0}, 1, false},
    {"q5_1", "dequantize_row_q5_1", 7, 32, 24, {0, 2}, 2, false},
    {"q2_K", "dequantize_row_q2_K", 10, 256, 84, {80, 82}, 2, false},
    {"q3_K", "dequantize_row_q3_K", 11, 256, 110, {108}, 1, false},
    {"q5_K", "dequantize_row_q5_K", 13, 256, 176, {0, 2}, 2, false},
    {"q8_K", "dequantize_row_q8_K", 15, 256, 292, {0}, 0, false},
    {"iq2_xxs", "dequantize_row_iq2_xxs", 16, 256, 66, {0}, 1, true},
    {"iq2_xs", "dequantize_row_iq2_xs", 17, 256, 74, {0}, 1, true},
    {"iq3_xxs", "dequantize_row_iq3_xxs", 18, 256, 98, {0}, 1, false},
    {"iq1_s", "dequantize_row_iq1_s", 19, 256, 50, {0}, 1, true},
    {"iq4_nl", "dequantize_row_iq4_nl", 20, 32, 18, {0}, 1, false},
    {"iq3_s", "dequantize_row_iq3_s", 21, 256, 110, {0}, 1, false},
    {"iq2_s", "dequantize_row_iq2_s", 22, 256, 82, {0}, 1, true},
    {"iq4_xs", "dequantize_row_iq4_xs", 23, 256, 136, {0}, 1, false},
    {"iq1_m", "dequantize_row_iq1_m", 29, 256, 56, {0}, 0, true},
    {"tq1_0", "dequantize_row_tq1_0", 34, 256, 54, {52}, 1, false},
    {"mxfp4", "dequantize_row_mxfp4", 39, 32, 17, {0}, 0, false},
    {"nvfp4", "dequantize_row_nvfp4", 40, 64, 36, {0}, 0, false},
    {"q1_0", "dequantize_row_q1_0", 41, 128, 18, {0}, 1, false},
    {"q2_0", "dequantize_row_q2_0", 42, 64, 18, {0}, 1, false},
};
const size_t ggml_n_formats = sizeof(ggml_formats) / sizeof(ggml_formats[0]);

static bool symbol(void *lib, const char *name, void *fn /* pointer to a function pointer */)
{
    void *p = dlsym(lib, name);
    memcpy(fn, &p, sizeof(p));
    if (!p) fprintf(stderr, "no function '%s': %s\n", name, dlerror());
    return p != NULL;
}

bool ggml_lib_open(ggml_lib *g, const char *dir)
{
    char path[4096];
    memset(g, 0, sizeof(*g));
    snprintf(path, sizeof(path), "%s/libggml-base.so", dir);
    g->base = dlopen(path, RTLD_NOW | RTLD_GLOBAL);
    if (!g->base) {
        fprintf(stderr, "cannot load '%s': %s\n", path, dlerror());
        return false;
    }
    return symbol(g->base, "ggml_quantize_chunk", &g->quantize_chunk) &&
           symbol(g->base, "ggml_quantize_free", &g->quantize_free) &&
           symbol(g->base, "quantize_row_q8_K_ref", &g->quantize_q8_k) &&
           symbol(g->base, "ggml_fp16_to_fp32", &g->f16_to_f32) &&
           symbol(g->base, "ggml_fp32_to_fp16", &g->f32_to_f16) &&
           symbol(g->base, "ggml_bf16_to_fp32", &g->bf16_to_f32) &&
           symbol(g->base, "ggml_fp32_to_bf16", &g->f32_to_bf16);
}

bool ggml_lib_open_cpu(ggml_lib *g, const char *dir, const char *variant)
{
    char path[4096];
    void *(*backend)(void);
    snprintf(path, sizeof(path), "%s/libggml-cpu-%s.so", dir, variant);
    g->cpu = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!g->cpu) {
        fprintf(stderr, "cannot load '%s': %s\n", path, dlerror());
        return false;
    }
    if (!symbol(g->cpu, "ggml_backend_init", &backend) || !backend()) return false;
    return symbol(g->cpu, "ggml_get_type_traits_cpu", &g->cpu_traits);
}

void ggml_lib_close(ggml_lib *g)
{
    if (g->quantize_free) g->quantize_free();
    if (g->cpu) dlclose(g->cpu);
    if (g->base) dlclose(g->base);
    memset(g, 0, sizeof(*g));
}

bool ggml_lib_decode(const ggml_lib *g, const ggml_format *f, const void *blocks, float *out,
                     size_t n)
{
    void (*decode)(const void *x, float *y, int64_t k);
    if (!symbol(g->base, f->decoder, &decode)) return false;
    decode(blocks, out, (int64_t)n);
    return true;
}

/* Exponent 31 of an F16 scale is an infinity or a NaN: make it a small number. */
static void make_finite(uint8_t *scale)
{
    if ((scale[1] & 0x7c) == 0x7c) scale[1] &= 0x83;
}

void ggml_lib_blocks(const ggml_lib *g, const ggml_format *f, rng *r, bool raw, void *blocks,
                     size_t n)
{
    uint8_t *p = blocks;
    float   *x;
    if (raw) {
        rng_bytes(r, blocks, n / f->block * f->bytes);
        for (size_t b = 0; b < n / f->block; b++, p += f->bytes) {
            for (size_t s = 0; s < f->n_scales; s++) make_finite(p + f->scale[s]);
            if (f->dtype == 30 && (p[1] & 0x7f) == 0x7f) p[1] = 0x3f;
            if (f->dtype == 15 && (p[3] & 0x7f) == 0x7f) p[3] = 0x3f;
            if (f->dtype == 29 && (p[55] & 0x70) == 0x70) p[55] &= 0xbf;
        }
        return;
    }
    x = malloc(2 * n * sizeof(*x));
    if (!x) abort();
    rng_row(r, x, n, 0.05f);
    for (size_t i = 0; i < n && f->importance; i++) x[n + i] = 0.05f + fabsf(rng_unit(r));
    if (f->dtype == 15) { /* not among the types of quantize_chunk */
        g->quantize_q8_k(x, blocks, (int64_t)n);
    } else {
        g->quantize_chunk(f->dtype, x, blocks, 0, 1, (int64_t)n, f->importance ? x + n : NULL);
    }
    free(x);
}

static uint64_t fnv1a(uint64_t hash, uint32_t value)
{
    for (int i = 0; i < 4; i++) hash = (hash ^ (value >> 8 * i & 255)) * 0x100000001b3u;
    return hash;
}

#define FNV_START 0xcbf29ce484222325u

uint64_t ggml_hash_widen(ggml_widen_fn *widen)
{
    uint64_t hash = FNV_START;
    for (uint32_t h = 0; h < 0x10000; h++) {
        float    f = widen((uint16_t)h);
        uint32_t u = 0x7fc00000;
        if (!isnan(f)) memcpy(&u, &f, 4);
        hash = fnv1a(hash, u);
    }
    return hash;
}

static uint64_t hash_one(uint64_t hash, ggml_narrow_fn *narrow, ggml_widen_fn *widen, uint32_t u)
{
    float    f;
    uint16_t h;
    memcpy(&f, &u, 4);
    h = narrow(f);
    return fnv1a(hash, isnan(widen(h)) ? 0x7e00 : h);
}

uint64_t ggml_hash_narrow(ggml_narrow_fn *narrow, ggml_widen_fn *widen)
{
    uint64_t hash = FNV_START;
    for (uint32_t h = 0; h < 0xffff; h++) {
        float    a = widen((uint16_t)h), b = widen((uint16_t)(h + 1)), middle = (a + b) / 2;
        uint32_t u;
        if (!isfinite(a) || !isfinite(b)) continue;
        memcpy(&u, &middle, 4);
        for (uint32_t d = 0; d < 3; d++) hash = hash_one(hash, narrow, widen, u + d - 1);
    }
    for (uint64_t u = 0; u <= UINT32_MAX; u += 977) {
        hash = hash_one(hash, narrow, widen, (uint32_t)u);
    }
    return hash;
}
