// SPDX-License-Identifier: MIT
/* kern.h - what the parts of checkkern share: cases, guarded buffers, kernel list. */
#ifndef LS_TESTS_KERN_H
#define LS_TESTS_KERN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dtype/dtype.h"
#include "kernel/kernel.h"

enum {
#define LS_KERNEL(name, ret, params) KERN_##name,
#include "kernel/kernels.def"
#undef LS_KERNEL
    N_KERNELS,
};

typedef enum kern_pattern {
    PAT_ZEROS,     /* zeros of both signs; all-zero blocks           */
    PAT_ONES,      /* ones, and halves that are ties when rounded    */
    PAT_HUGE,      /* alternating signs near the end of the range    */
    PAT_DENORMAL,  /* subnormal values and scales                    */
    PAT_OUTLIER,   /* small values and one large one                 */
    PAT_MAX,       /* every quant and scale at an end of its range   */
    PAT_NONFINITE, /* a NaN, an infinity of each sign                */
    PAT_RANDOM,
    N_PATTERNS,
} kern_pattern;
extern const char *const kern_pattern_names[N_PATTERNS];

typedef enum kern_kind {
    KIND_NONE,
    KIND_MATMUL,
    KIND_STRIPS,
    KIND_CHAINS,
    KIND_ACT,
    KIND_SUMS,
    KIND_DOT,
    KIND_AXPY,
    KIND_MIX,
    KIND_NORM,
    KIND_SOFTMAX,
    KIND_GLU,
    KIND_ADD,
    KIND_SCALE,
    KIND_ROUND,
    KIND_ROPE,
} kern_kind;

typedef struct kern_info {
    const char *name;
    size_t      offset; /* of the function pointer in ls_kernels */
    kern_kind   kind;
    int         type;  /* ls_dtype, or ls_act for KIND_ACT */
    bool        lanes; /* has a reduction width */
} kern_info;
const kern_info *kern_info_of(int kernel);

/* Where buffers lie: ending at a guard page, beginning behind one, and 2 or 4 bytes further. */
enum { PLACE_END, PLACE_BEGIN, PLACE_SHIFTED, N_PLACES };

typedef struct kern_case {
    int          kernel;
    kern_pattern pattern;
    uint64_t     seed;
    size_t       n, rows, cols;
    int          place;
    int lanes; /* 8 or 16: kernels whose reductions have a width; 0: plain numbers, in own order */
} kern_case;

/* The table of a tier, or its emulation (kern_tiers.c), and whether it can run here. */
ls_kernels        kern_table(ls_tier tier);
bool              kern_available(ls_tier tier);
const char       *kern_tier_name(ls_tier tier); /* "avx512 (emulated)" */
extern const char kern_program[];               /* "checkkern", "checkkern_emulated" */

/* A mapping with an inaccessible page at each end. */
typedef struct kern_buf {
    uint8_t *base;    /* first usable byte */
    size_t   size;    /* usable bytes      */
    uint8_t *data;    /* the placed buffer */
    size_t   bytes;
    uint8_t *field;   /* the canaries around it: */
    size_t   n_field; /* whole pages             */
} kern_buf;

/* Grows the mapping as needed, fills the pages at its end in use with a canary, places `bytes` bytes. `unit` is
 * the smallest alignment that callers of the kernel guarantee. */
void kern_buf_place(kern_buf *b, size_t bytes, int place, size_t unit);
/* False if a byte outside of the placed buffer changed. */
bool kern_buf_intact(const kern_buf *b);

uint64_t kern_random(uint64_t *state);

/* Fill n floats, or n elements of weight rows of a type, by pattern. */
void kern_fill_f32(float *x, size_t n, kern_pattern p, uint64_t *rng);
void kern_fill_f16(uint16_t *x, size_t n, kern_pattern p, uint64_t *rng);
void kern_fill_bf16(uint8_t *x, size_t n, kern_pattern p, uint64_t *rng);
void kern_fill_weights(int dtype, void *w, size_t n, kern_pattern p, uint64_t *rng);

/* The inputs and the two outputs of a case. */
typedef struct kern_data {
    kern_buf in[3], out[2];
} kern_data;

/* Make the inputs of a case; then run it with a table, into out[which]. */
void kern_prepare(kern_data *d, const kern_case *c);
void kern_invoke(kern_data *d, const kern_case *c, const ls_kernels *k, int which);

/* Bytes of a weight row of a product and between its activation rows; its rows, which come in sixteens in
 * strips, and the floats between its columns. */
size_t kern_row_bytes(const kern_case *c);
size_t kern_act_stride(const kern_case *c);
size_t kern_rows(const kern_case *c);
size_t kern_y_stride(const kern_case *c);
/* Chains: rows are strips, with a gap between them; every other number of columns has spans. Elements. */
size_t kern_chains_strip(const kern_case *c);
/* Weighted values: rows are positions, with a gap between them, columns choose the stripes. */
size_t kern_mix_stripes(const kern_case *c);
/* How many of the inputs a kernel reads (beside what it works on in place). */
int kern_n_inputs(const kern_case *c);

/* Compare out[0] (scalar) and out[1]. True if they agree: equal bytes, or both NaN where the
 * output is floats. Otherwise *index is the first differing element, and *ref and *got its
 * bits, or *index is SIZE_MAX for a write outside of the buffer. */
bool kern_compare(const kern_data *d, const kern_case *c, size_t *index, uint32_t *ref,
                  uint32_t *got);

/* Of out[0], going on from `hash`; every NaN counts as the same. */
uint64_t kern_hash(const kern_data *d, const kern_case *c, uint64_t hash);

/* One kernel off by one unit in the last place of one element. */
void kern_put_wrong(ls_kernels *k);
/* Checks that deliberately wrong kernels are caught; 0 if they are. */
int kern_self_test(void);
/* Times every kernel of every available tier; CSV on standard output. The second says what is in it. */
int  kern_bench(int only_kernel, ls_tier only_tier);
void kern_bench_columns(void);
/* Run one case of a kernel table against scalar; counts and reports. False on a difference. */
bool kern_check(const kern_case *c, const ls_kernels *scalar, const ls_kernels *k, bool quiet);

#endif
