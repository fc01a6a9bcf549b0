// SPDX-License-Identifier: MIT
/* bench_trace.c - what sketches of every tap cost while a model decodes: two engines of the same
 * model, one with sketches and one without, take turns token by token, so that whatever else the
 * machine does falls on both. Prints the median time of a token of each, and their ratio.
 *
 *   usage: bench_trace MODEL [TOKENS [THREADS]]     a model of the 1B shape: lockstep model mini
 * --size 1b
 *
 * Figures of one machine are in docs/traces.md.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "lockstep/record.h"

enum { PROMPT = 16, MAX_TOKENS = 4096 };

typedef struct tally {
    size_t taps, floats;
} tally;

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void die(const ls_error *err)
{
    fprintf(stderr, "bench_trace: %s\n", err->what);
    exit(1);
}

static void sketch(tally *x, const float *data, size_t n)
{
    ls_sketcher *k;
    ls_sketch    s;
    ls_error     err = {0};
    if (ls_sketcher_create(&k, &err) != LS_OK) die(&err);
    ls_sketcher_add(k, data, n);
    ls_sketcher_finish(k, &s);
    ls_sketcher_destroy(k);
    x->taps++;
    x->floats += n;
}

static void watch(void *ctx, const ls_tap_values *v)
{
    if (v->op != LS_OP_LOGITS) sketch(ctx, v->data, v->heads * v->rows * v->n);
}

static ls_engine *open_engine(const ls_engine_options *opt, tally *x)
{
    ls_engine_options o = *opt;
    ls_engine        *e;
    ls_error          err = {0};
    int32_t           ids[PROMPT];
    if (x) o.watch = (ls_watch){watch, x};
    if (ls_engine_open_native(&e, &o, &err) != LS_OK) die(&err);
    for (int32_t i = 0; i < PROMPT; i++) ids[i] = i + 1;
    if (ls_engine_eval(e, ids, PROMPT, &err) != LS_OK) die(&err);
    return e;
}

/* One token with its logits, sketched or not. */
static double step(ls_engine *e, int32_t id, tally *x)
{
    const float *row;
    ls_error     err = {0};
    double       begin = now();
    if (ls_engine_eval(e, &id, 1, &err) != LS_OK) die(&err);
    if (ls_engine_logits(e, 0, &row, &err) != LS_OK) die(&err);
    if (x) sketch(x, row, (size_t)ls_engine_get_info(e)->n_vocab);
    return now() - begin;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

int main(int argc, char **argv)
{
    static double     off[MAX_TOKENS], on[MAX_TOKENS];
    ls_engine_options opt = {.n_ctx = 0, .kv_type = LS_DTYPE_F16};
    ls_error          err = {0};
    tally             x = {0};
    ls_engine        *plain, *traced;
    int               n = argc > 2 ? atoi(argv[2]) : 64;
    if (argc < 2 || n < 1 || n > MAX_TOKENS) {
        fprintf(stderr, "usage: bench_trace MODEL [TOKENS [THREADS]]\n");
        return 64;
    }
    opt.model_path = argv[1];
    opt.n_threads = argc > 3 ? atoi(argv[3]) : 0;
    opt.n_ctx = PROMPT + n;
    if (ls_gguf_open(&opt.model, argv[1], &err) != LS_OK) die(&err);
    plain = open_engine(&opt, NULL);
    traced = open_engine(&opt, &x);
    x = (tally){0};
    for (int i = 0; i < n; i++) {
        off[i] = step(plain, i + 1, NULL);
        on[i] = step(traced, i + 1, &x);
    }
    qsort(off, (size_t)n, sizeof(*off), by_value);
    qsort(on, (size_t)n, sizeof(*on), by_value);
    printf("%d tokens, %zu taps and %zu floats a token\n", n, x.taps / (size_t)n,
           x.floats / (size_t)n);
    printf("without sketches %8.3f ms a token\nwith             %8.3f ms a token\nratio %.3f\n",
           off[n / 2] * 1e3, on[n / 2] * 1e3, on[n / 2] / off[n / 2]);
    ls_engine_close(plain);
    ls_engine_close(traced);
    ls_gguf_close(opt.model);
    return 0;
}
