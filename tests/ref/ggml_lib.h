// SPDX-License-Identifier: MIT
/* ggml_lib.h - the functions of an installed libggml that prove our block formats: another
 * implementation's bytes and values. Loaded at run time; the declarations are those of ggml.h
 * and ggml-cpu.h, written out so that no header of the engine is needed. */
#ifndef TESTS_GGML_LIB_H
#define TESTS_GGML_LIB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "support/rng.h"

typedef struct ggml_cpu_traits { /* struct ggml_type_traits_cpu */
    void (*from_float)(const float *x, void *y, int64_t n);
    void (*vec_dot)(int n, float *s, size_t bs, const void *x, size_t bx, const void *y, size_t by,
                    int nrc);
    int     vec_dot_type;
    int64_t nrows;
} ggml_cpu_traits;

typedef struct ggml_lib {
    size_t (*quantize_chunk)(int type, const float *src, void *dst, int64_t start, int64_t nrows,
                             int64_t n_per_row, const float *imatrix);
    void (*quantize_free)(void);
    void (*quantize_q8_k)(const float *x, void *y, int64_t n);
    float (*f16_to_f32)(uint16_t h);
    uint16_t (*f32_to_f16)(float f);
    float (*bf16_to_f32)(uint16_t h);
    uint16_t (*f32_to_bf16)(float f);
    void *base, *cpu;                               /* dlopen handles */
    const ggml_cpu_traits *(*cpu_traits)(int type); /* NULL until ggml_lib_open_cpu */
} ggml_lib;

/* A block format as libggml knows it: where the F16 scales of a block lie, and its decoder. Scales
 * of other kinds: Q8_K's is a float at 0, IQ1_M's an F16 spread over four words from 48 on; MXFP4
 * and NVFP4 have none that is no number in libggml's eyes. */
typedef struct ggml_format {
    const char *name; /* of the golden files                */
    const char *decoder;
    int         dtype; /* GGUF id                           */
    size_t      block, bytes;
    size_t      scale[2], n_scales;
    bool        importance; /* quantised with random weights of importance */
} ggml_format;

extern const ggml_format ggml_formats[];
extern const size_t      ggml_n_formats;

/* Load libggml-base.so from a folder. False: prints why not. */
bool ggml_lib_open(ggml_lib *g, const char *dir);
/* Load one CPU library beside it, "haswell" for instance, and initialise it. */
bool ggml_lib_open_cpu(ggml_lib *g, const char *dir, const char *variant);
void ggml_lib_close(ggml_lib *g);

/* libggml's values of n elements of blocks (n a multiple of the block). False: no such function. */
bool ggml_lib_decode(const ggml_lib *g, const ggml_format *f, const void *blocks, float *out,
                     size_t n);
/* n elements as blocks: libggml's quantisation of a random row with outliers, or, with `raw`,
 * random bytes whose scales are finite numbers. */
void ggml_lib_blocks(const ggml_lib *g, const ggml_format *f, rng *r, bool raw, void *blocks,
                     size_t n);

/* FNV-1a (64 bits) of half-precision conversions in both directions; every NaN counts as one
 * value. The functions are libggml's or ours. f32_to_*: ties and their neighbours for every half,
 * and every 977th float. */
typedef float    ggml_widen_fn(uint16_t h);
typedef uint16_t ggml_narrow_fn(float f);
uint64_t         ggml_hash_widen(ggml_widen_fn *widen);
uint64_t         ggml_hash_narrow(ggml_narrow_fn *narrow, ggml_widen_fn *widen);

#endif
