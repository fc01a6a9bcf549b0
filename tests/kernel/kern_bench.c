// SPDX-License-Identifier: MIT
/* kern_bench.c - times every kernel of every tier; one CSV row each.
 *
 * Median of five runs. GB/s counts the bytes of the largest operand once and stands beside the
 * copy bandwidth of the machine. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "kern.h"

enum { RUNS = 5 };

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

/* Nanoseconds per call. */
static double time_case(kern_data *d, const kern_case *c, const ls_kernels *k)
{
    double ns[RUNS];
    size_t calls = 1;
    for (;; calls *= 2) { /* long enough to measure */
        uint64_t t = ls_now_ns();
        for (size_t i = 0; i < calls; i++) kern_invoke(d, c, k, 1);
        if (ls_now_ns() - t > 5000000) break;
    }
    for (int r = 0; r < RUNS; r++) {
        uint64_t t = ls_now_ns();
        for (size_t i = 0; i < calls; i++) kern_invoke(d, c, k, 1);
        ns[r] = (double)(ls_now_ns() - t) / (double)calls;
    }
    qsort(ns, RUNS, sizeof(ns[0]), by_value);
    return ns[RUNS / 2];
}

static double copy_bandwidth(void)
{
    enum { BYTES = 64 << 20 };
    char  *a = malloc(BYTES), *b = malloc(BYTES);
    double best = 0;
    if (!a || !b) exit(2);
    memset(a, 1, BYTES);
    memset(b, 2, BYTES);
    for (int i = 0; i < RUNS; i++) {
        uint64_t t = ls_now_ns();
        memcpy(i & 1 ? a : b, i & 1 ? b : a, BYTES);
        double gbs = 2.0 * BYTES / (double)(ls_now_ns() - t);
        best = gbs > best ? gbs : best;
    }
    free(a);
    free(b);
    return best;
}

static void bench_kernel(int kernel, size_t cols, ls_tier only)
{
    static kern_data d;
    kern_kind        kind = kern_info_of(kernel)->kind;
    bool             matmul = kind == KIND_MATMUL || kind == KIND_STRIPS;
    bool             chains = kind == KIND_CHAINS; /* 1024 outputs, rows in sixteens */
    kern_case        c = {
               kernel, PAT_RANDOM,  1, matmul ? 2048 : chains ? 64 : 4096, matmul ? 512 : chains ? 64 : 1,
               cols,   PLACE_BEGIN, 16};
    double base = 0;
    kern_prepare(&d, &c);
    for (int t = LS_TIER_SCALAR; t < LS_N_TIERS; t++) {
        if (!kern_available((ls_tier)t) || (only && only != (ls_tier)t && t != LS_TIER_SCALAR)) {
            continue;
        }
        ls_kernels k = kern_table((ls_tier)t);
        double     ns = time_case(&d, &c, &k);
        if (t == LS_TIER_SCALAR) base = ns;
        printf("%s,%s,%zu,%zu,%zu,%.0f,%.2f,%.1f,%.2f\n", kern_info_of(kernel)->name,
               ls_tier_name((ls_tier)t), c.n, c.rows, c.cols, ns, (double)d.in[0].bytes / ns,
               2.0 * (double)(c.n * c.rows * c.cols * (chains ? LS_CHAIN_LANES : 1)) / ns,
               base / ns);
        fflush(stdout);
    }
}

int kern_bench(int only_kernel, ls_tier only_tier)
{
    printf("# copy bandwidth %.1f GB/s\n", copy_bandwidth());
    printf("kernel,tier,n,rows,cols,ns_per_call,gb_per_s,gop_per_s,times_scalar\n");
    for (int i = 0; i < N_KERNELS; i++) {
        if (only_kernel != N_KERNELS && only_kernel != i) continue;
        bench_kernel(i, 1, only_tier);
        kern_kind kind = kern_info_of(i)->kind;
        if (kind == KIND_MATMUL || kind == KIND_STRIPS) bench_kernel(i, 32, only_tier);
        if (kind == KIND_CHAINS) bench_kernel(i, 4, only_tier);
        if (kind == KIND_CHAINS) bench_kernel(i, 12, only_tier);
    }
    return 0;
}
