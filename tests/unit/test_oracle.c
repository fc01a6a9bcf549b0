// SPDX-License-Identifier: MIT
/* test_oracle.c - the oracle against the native engine on models of every architecture, operation
 * by operation on the same input and as each of them runs; formulas against published values; and
 * the oracle with a wrong meaning, which has to be seen. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lockstep/lockstep.h"
#include "oracle/oracle_priv.h"

enum { N_TOKENS = 12, N_DECODED = 2, MAX_ROWS = 8192 };

/* ---- the native engine's taps, in the order in which they came ---- */

typedef struct row {
    ls_op   op;
    int32_t layer, pos, head;
    size_t  n;
    float  *data;
} row;

typedef struct recording {
    row    rows[MAX_ROWS];
    size_t n, repeated; /* rows of the same place: Falcon has two norms */
} recording;

enum { LAYERS = 8, POSITIONS = N_TOKENS + N_DECODED };

/* Squares of one operation at one position, over its heads. */
typedef struct squares {
    double d2, r2;
} squares;

typedef struct comparison {
    const recording *r;
    bool             replace;
    bool             seen[MAX_ROWS];
    squares          at[LS_N_OPS][LAYERS + 1][POSITIONS];
    size_t           compared;
} comparison;

static void record(void *ctx, const ls_tap *tap)
{
    recording *r = ctx;
    row       *x = &r->rows[r->n++];
    assert_true(r->n < MAX_ROWS);
    *x = (row){tap->op, tap->layer, tap->pos, tap->head, tap->n, malloc(tap->n * sizeof(float))};
    memcpy(x->data, tap->data, tap->n * sizeof(float));
}

static size_t find(const comparison *c, const ls_tap64 *tap)
{
    for (size_t i = 0; i < c->r->n; i++) {
        const row *x = &c->r->rows[i];
        if (!c->seen[i] && x->op == tap->op && x->layer == tap->layer && x->pos == tap->pos &&
            x->head == tap->head)
            return i;
    }
    return c->r->n;
}

static void compare(void *ctx, const ls_tap64 *tap)
{
    comparison *c = ctx;
    size_t      at = find(c, tap);
    squares    *q = &c->at[tap->op][tap->layer + 1][tap->pos];
    const row  *x = &c->r->rows[at];
    if (at == c->r->n || x->n != tap->n) {
        print_error("%s of layer %d at %d, head %d: not a tap of the native engine\n",
                    ls_op_name(tap->op), tap->layer, tap->pos, tap->head);
        fail();
    }
    c->seen[at] = true;
    c->compared++;
    for (size_t i = 0; i < tap->n; i++) {
        double want = (double)x->data[i], d = want - tap->data[i];
        if (want == tap->data[i]) d = 0; /* minus infinity, too */
        q->d2 += d * d;
        if (want != -(double)INFINITY) q->r2 += want * want;
        if (c->replace) tap->data[i] = want;
    }
}

/* The largest NMSE that the operation has anywhere. */
static double worst(const comparison *c, int op)
{
    double max = 0;
    for (size_t i = 0; i < (size_t)(LAYERS + 1) * POSITIONS; i++) {
        const squares *q = &c->at[op][i / POSITIONS][i % POSITIONS];
        double         x = q->d2 == 0 ? 0 : q->d2 / q->r2;
        if (!(x <= max)) max = x;
    }
    return max;
}

/* ---- two engines over the same ids ---- */

static const int32_t prompt[N_TOKENS] = {1, 40, 7, 99, 12, 250, 31, 40, 8, 77, 5, 301};
static const int32_t decoded[N_DECODED] = {17, 260};

static void evaluate(ls_engine *e)
{
    const float *logits;
    assert_int_equal(ls_engine_eval(e, prompt, N_TOKENS, NULL), LS_OK);
    for (size_t i = 0; i < N_TOKENS; i++)
        assert_int_equal(ls_engine_logits(e, i, &logits, NULL), LS_OK);
    for (size_t i = 0; i < N_DECODED; i++) {
        assert_int_equal(ls_engine_eval(e, decoded + i, 1, NULL), LS_OK);
        assert_int_equal(ls_engine_logits(e, 0, &logits, NULL), LS_OK);
    }
}

static recording *run_native(const char *path, int kv_type)
{
    recording        *r = calloc(1, sizeof(*r));
    ls_engine_options opt = {.model_path = path,
                             .n_ctx = 32,
                             .n_threads = 1,
                             .kv_type = kv_type,
                             .tap = record,
                             .tap_ctx = r};
    ls_engine        *e;
    assert_int_equal(ls_engine_open_native(&e, &opt, NULL), LS_OK);
    evaluate(e);
    ls_engine_close(e);
    return r;
}

static void run_oracle(comparison *c, const recording *r, const char *path, int kv_type,
                       bool replace, const ls_semantics *s, int n_threads)
{
    ls_oracle_options opt = {
        .base = {.model_path = path, .n_ctx = 32, .n_threads = n_threads, .kv_type = kv_type},
        .semantics = s,
        .tap = compare,
        .ctx = c};
    ls_engine *e;
    ls_error   err = {0};
    *c = (comparison){.r = r, .replace = replace};
    if (ls_engine_open_oracle(&e, &opt, &err) != LS_OK) {
        print_error("%s\n", err.what);
        fail();
    }
    evaluate(e);
    ls_engine_close(e);
}

static void forget(recording *r)
{
    for (size_t i = 0; i < r->n; i++) free(r->rows[i].data);
    free(r);
}

static char *model_of(const char *arch, int dtype, bool optional)
{
    static char     path[128];
    ls_mini_options opt = {.arch = arch, .dtype = dtype, .seed = 5, .optional = optional};
    ls_error        err = {0};
    snprintf(path, sizeof(path), "/tmp/test_oracle.%d.gguf", (int)getpid());
    if (ls_mini_write(path, &opt, &err) != LS_OK) {
        print_error("%s\n", err.what);
        fail();
    }
    return path;
}

static ls_semantics semantics_of(const char *path)
{
    ls_model    *m;
    ls_semantics s;
    assert_int_equal(ls_model_open(&m, path, NULL), LS_OK);
    assert_int_equal(ls_oracle_semantics(&s, m, NULL), LS_OK);
    ls_model_close(m);
    return s;
}

/* GELU is rounded to F16 by both, one from a float: a last bit of that may fall on either side. */
static double tolerance(const ls_semantics *s, ls_op op, bool replace)
{
    if (s->act != LS_SEM_GELU_F16) return 1e-11;
    return !replace ? 1e-6 : op == LS_OP_FFN_ACT ? 1e-8 : 1e-11;
}

static void expect_agreement(const comparison *c, const ls_semantics *s, const char *arch,
                             bool replace)
{
    assert_int_equal(c->compared, c->r->n);
    for (int op = 0; op < LS_N_OPS; op++) {
        if (worst(c, op) <= tolerance(s, (ls_op)op, replace)) continue;
        print_error("%s: %s, NMSE %g%s\n", arch, ls_op_name((ls_op)op), worst(c, op),
                    replace ? " on the same input" : "");
        fail();
    }
}

/* ---- tests ---- */

static void compare_all(int dtype, int kv_type, bool optional)
{
    comparison *c = malloc(sizeof(*c));
    for (size_t i = 0; ls_mini_arch(i); i++) {
        const char  *arch = ls_mini_arch(i), *path = model_of(arch, dtype, optional);
        recording   *r = run_native(path, kv_type);
        ls_semantics own = semantics_of(path);
        for (int replace = 0; replace < 2; replace++) {
            run_oracle(c, r, path, kv_type, replace, NULL, 1);
            expect_agreement(c, &own, arch, replace);
        }
        forget(r);
        unlink(path);
    }
    free(c);
}

static void every_tap_of_every_architecture_agrees_with_the_native_engine(void **state)
{
    (void)state;
    compare_all(LS_DTYPE_F32, LS_DTYPE_F32, false);
}

static void so_it_does_with_all_that_is_optional(void **state)
{
    (void)state;
    compare_all(LS_DTYPE_F32, LS_DTYPE_F32, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_tap_of_every_architecture_agrees_with_the_native_engine),
        cmocka_unit_test(so_it_does_with_all_that_is_optional),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
