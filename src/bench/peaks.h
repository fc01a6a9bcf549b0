// SPDX-License-Identifier: MIT
/* peaks.h - loops that do one thing as fast as the processor can. */
#ifndef LS_BENCH_PEAKS_H
#define LS_BENCH_PEAKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* n turns; what it returns keeps the compiler from leaving them out. */
typedef uint64_t ls_peak_fn(size_t n);
/* All of n bytes (a multiple of 512) at p (aligned to 64). */
typedef uint64_t ls_read_fn(const void *p, size_t n);

typedef enum ls_peak_kind { LS_PEAK_INT8, LS_PEAK_FP32, LS_PEAK_BF16, LS_N_PEAKS } ls_peak_kind;

typedef struct ls_peak_loop {
    ls_peak_kind kind;
    const char  *how;
    double       ops; /* of one turn; a multiplication and an addition are two */
    ls_peak_fn  *run;
    bool (*available)(void);
} ls_peak_loop;

/* The best first of each kind; a NULL name ends them. */
extern const ls_peak_loop ls_peak_loops[];
ls_read_fn               *ls_read_loop(void);
/* One of the loops, for processors with Arm's dot product. */
ls_peak_fn ls_peak_sdot;
/* The instruction sets that this machine has, with blanks between them. */
void ls_cpu_features(char *out, size_t cap);

#endif
