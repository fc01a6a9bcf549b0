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

/* Each type is rounded in front of products as it asks: nearly the same sums, taken in float by
 * one. */
static void every_form_of_rounding_agrees(void **state)
{
    static const int types[] = {LS_DTYPE_F16,  LS_DTYPE_BF16, LS_DTYPE_Q8_0,
                                LS_DTYPE_Q4_K, LS_DTYPE_Q6_K, LS_DTYPE_TQ2_0};
    comparison      *c = malloc(sizeof(*c));
    (void)state;
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        const char  *path = model_of("bitnet", types[i], false);
        recording   *r = run_native(path, LS_DTYPE_F16);
        ls_semantics own = semantics_of(path);
        run_oracle(c, r, path, LS_DTYPE_F16, true, NULL, 2);
        expect_agreement(c, &own, ls_dtype_name(types[i]), true);
        forget(r);
        unlink(path);
    }
    free(c);
}

/* Keys, values, queries and weights, rounded as the type of the cache asks. */
static void every_type_of_cache_agrees(void **state)
{
    static const int types[] = {LS_DTYPE_F16, LS_DTYPE_BF16, LS_DTYPE_Q8_0};
    comparison      *c = malloc(sizeof(*c));
    (void)state;
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        const char  *path = model_of("gpt-oss", LS_DTYPE_F32, false);
        recording   *r = run_native(path, types[i]);
        ls_semantics own = semantics_of(path);
        run_oracle(c, r, path, types[i], true, NULL, 2);
        expect_agreement(c, &own, ls_dtype_name(types[i]), true);
        forget(r);
        unlink(path);
    }
    free(c);
}

/* ---- wrong meanings ---- */

static void wrong_act(ls_semantics *s) { s->act = LS_SEM_RELU2; }
static void wrong_eps(ls_semantics *s) { s->norm_eps = 1e-3; }
static void wrong_order(ls_semantics *s) { s->rope_order = LS_ROPE_NEOX; }
static void wrong_base(ls_semantics *s) { s->rope_base[0] *= 1.01; }
static void wrong_scale(ls_semantics *s) { s->rope_scale[0] = 0.99; }
static void wrong_dims(ls_semantics *s) { s->rope_dims /= 2; }
static void wrong_attn(ls_semantics *s) { s->attn_scale *= 1.001; }
static void wrong_cap(ls_semantics *s) { s->attn_softcap = 50; }
static void wrong_window(ls_semantics *s) { s->window = 4; }
static void wrong_rows(ls_semantics *s) { s->qk_rows = LS_SEM_ROWS_PAIRED; }
static void wrong_round(ls_semantics *s) { s->round = LS_SEM_Q8_0; }
static void wrong_logits(ls_semantics *s) { s->final_softcap = 30; }
static void wrong_embedding(ls_semantics *s) { s->embedding_scale = 16; }
static void wrong_residual(ls_semantics *s) { s->residual_scale = 0.999; }
static void wrong_head(ls_semantics *s) { s->tied_output = true; }
static void wrong_kv(ls_semantics *s) { s->kv = LS_SEM_KV_F16; }
static void wrong_weight(ls_semantics *s)
{
    s->patch[0] = (ls_sem_patch){.op = LS_OP_FFN_UP,
                                 .layer = 1,
                                 .row = 9,
                                 .n_rows = 1,
                                 .col = 32,
                                 .n_cols = 32,
                                 .factor = 1.5};
}

#define BIT(op) (1u << LS_OP_##op)
static const struct wrong {
    const char *name;
    void (*make)(ls_semantics *s);
    unsigned ops; /* where it must be seen, and nowhere else */
} wrongs[] = {
    {"activation", wrong_act, BIT(FFN_ACT)},
    {"epsilon", wrong_eps, BIT(ATTN_NORM) | BIT(FFN_NORM) | BIT(FINAL_NORM)},
    {"RoPE order", wrong_order, BIT(Q_ROPE) | BIT(K_ROPE)},
    {"RoPE base", wrong_base, BIT(Q_ROPE) | BIT(K_ROPE)},
    {"RoPE scale", wrong_scale, BIT(Q_ROPE) | BIT(K_ROPE)},
    {"RoPE dims", wrong_dims, BIT(Q_ROPE) | BIT(K_ROPE)},
    {"attention scale", wrong_attn, BIT(ATTN_SCORES)},
    {"attention cap", wrong_cap, BIT(ATTN_SCORES)},
    {"window", wrong_window, BIT(ATTN_SCORES) | BIT(ATTN_SCORES_SOFTMAX) | BIT(ATTN_OUT)},
    {"row order", wrong_rows, BIT(Q_PROJ) | BIT(K_PROJ)},
    {"rounding", wrong_round,
     BIT(Q_PROJ) | BIT(K_PROJ) | BIT(V_PROJ) | BIT(ATTN_PROJ) | BIT(FFN_GATE) | BIT(FFN_UP) |
         BIT(FFN_DOWN)},
    {"final cap", wrong_logits, BIT(LOGITS)},
    {"embedding scale", wrong_embedding, BIT(EMBEDDINGS)},
    {"residual scale", wrong_residual, BIT(RESIDUAL) | BIT(LAYER_OUT)},
    {"tied head", wrong_head, BIT(LOGITS)},
    {"F16 cache", wrong_kv, BIT(ATTN_SCORES) | BIT(ATTN_OUT)},
    {"one scale of one row", wrong_weight, BIT(FFN_UP)},
};

static void a_wrong_meaning_is_seen_where_it_is_and_nowhere_else(void **state)
{
    const char  *path = model_of("llama", LS_DTYPE_F32, false);
    recording   *r = run_native(path, LS_DTYPE_F32);
    ls_semantics own = semantics_of(path), s;
    comparison  *c = malloc(sizeof(*c));
    (void)state;
    for (size_t i = 0; i < sizeof(wrongs) / sizeof(wrongs[0]); i++) {
        s = own;
        wrongs[i].make(&s);
        run_oracle(c, r, path, LS_DTYPE_F32, true, &s, 1);
        for (int op = 0; op < LS_N_OPS; op++) {
            bool seen = worst(c, op) > 1e-10, here = wrongs[i].ops >> op & 1;
            /* the window's hidden scores are those of the recording, not hidden */
            if (wrongs[i].make == wrong_window && here) continue;
            if (seen == here) continue;
            print_error("%s: %s at %s, NMSE %g\n", wrongs[i].name, seen ? "seen" : "not seen",
                        ls_op_name((ls_op)op), worst(c, op));
            fail();
        }
    }
    free(c);
    forget(r);
    unlink(path);
}

/* ---- one interface ---- */

typedef struct order {
    uint8_t ops[512];
    int32_t layers[512];
    size_t  sizes[512], n;
} order;

static void see(void *ctx, const ls_tap_values *v)
{
    order *o = ctx;
    o->ops[o->n] = (uint8_t)v->op;
    o->layers[o->n] = v->layer;
    o->sizes[o->n++] = v->heads * v->rows * v->n;
    assert_true(o->n < 512);
}

static void who_watches_sees_what_the_native_engine_shows(void **state)
{
    (void)state;
    for (size_t i = 0; ls_mini_arch(i); i++) {
        const char       *path = model_of(ls_mini_arch(i), LS_DTYPE_F32, true);
        order            *a = calloc(1, sizeof(*a)), *b = calloc(1, sizeof(*b));
        ls_oracle_options opt = {.base = {.model_path = path, .n_ctx = 32, .watch = {see, a}}};
        ls_engine        *e;
        assert_int_equal(ls_engine_open_native(&e, &opt.base, NULL), LS_OK);
        evaluate(e);
        ls_engine_close(e);
        opt.base.watch.ctx = b;
        assert_int_equal(ls_engine_open_oracle(&e, &opt, NULL), LS_OK);
        evaluate(e);
        ls_engine_close(e);
        assert_memory_equal(a, b, sizeof(*a));
        free(a);
        free(b);
        unlink(path);
    }
}

static void threads_and_batches_do_not_matter(void **state)
{
    const char   *path = model_of("qwen2moe", LS_DTYPE_Q8_0, false);
    double        first[320];
    const double *values;
    (void)state;
    for (int i = 0; i < 3; i++) {
        ls_oracle_options opt = {.base = {.model_path = path, .n_ctx = 32, .n_threads = i + 1}};
        ls_engine        *e;
        assert_int_equal(ls_engine_open_oracle(&e, &opt, NULL), LS_OK);
        for (size_t at = 0; at < N_TOKENS; at += i == 2 ? 4 : N_TOKENS)
            assert_int_equal(ls_engine_eval(e, prompt + at, i == 2 ? 4 : N_TOKENS, NULL), LS_OK);
        assert_int_equal(ls_oracle_logits(e, i == 2 ? 3 : N_TOKENS - 1, &values, NULL), LS_OK);
        if (i == 0) memcpy(first, values, sizeof(first));
        assert_memory_equal(first, values, sizeof(first));
        assert_int_not_equal(ls_oracle_logits(e, N_TOKENS, &values, NULL), LS_OK);
        ls_engine_close(e);
    }
    unlink(path);
}

static void faults_and_taps_of_floats_reach_the_oracle(void **state)
{
    const char       *path = model_of("llama", LS_DTYPE_F32, false);
    ls_faults         faults = {0};
    ls_oracle_options opt = {
        .base = {.model_path = path, .n_ctx = 32, .n_threads = 1, .faults = &faults}};
    recording  *r = run_native(path, LS_DTYPE_F32);
    comparison *c = calloc(1, sizeof(*c));
    ls_engine  *e;
    (void)state;
    c->r = r;
    opt.tap = compare;
    opt.ctx = c;
    assert_int_equal(ls_faults_add(&faults, "1.ffn_up=scale:2", NULL), LS_OK);
    assert_int_equal(ls_engine_open_oracle(&e, &opt, NULL), LS_OK);
    evaluate(e);
    ls_engine_close(e);
    assert_true(worst(c, LS_OP_FFN_UP) < 1e-11); /* the tap comes before the fault */
    assert_true(worst(c, LS_OP_FFN_ACT) > 0.1);
    free(c);
    forget(r);
    unlink(path);
}

/* ---- formulas ---- */

#define NEAR(x, y, tol)                                                                            \
    do {                                                                                           \
        double x_ = (x), y_ = (y);                                                                 \
        if (!(fabs(x_ - y_) <= (tol))) {                                                           \
            print_error("%s is %.12g, not %.12g\n", #x, x_, y_);                                   \
            fail();                                                                                \
        }                                                                                          \
    } while (0)

/* Values of the normal distribution and of the logistic function, from tables. */
static void activations_have_the_values_of_tables(void **state)
{
    (void)state;
    NEAR(ls_oracle_act(LS_SEM_GELU_ERF, 1, 1), 0.8413447460685429, 1e-15);
    NEAR(ls_oracle_act(LS_SEM_GELU_ERF, -1, 1), -0.1586552539314571, 1e-15);
    NEAR(ls_oracle_act(LS_SEM_GELU_TANH, 1, 1), 0.8411919906082768, 1e-15);
    NEAR(ls_oracle_act(LS_SEM_GELU_F16, 1, 1), 0.84130859375, 0); /* the next of 2^-11 */
    NEAR(ls_oracle_act(LS_SEM_GELU_QUICK, 1, 1), 0.845795765932977, 1e-12);
    NEAR(ls_oracle_act(LS_SEM_SILU, 1, 2), 2 * 0.7310585786300049, 1e-15);
    NEAR(ls_oracle_act(LS_SEM_RELU2, 3, 2), 18, 0);
    NEAR(ls_oracle_act(LS_SEM_RELU2, -3, 2), 0, 0);
    NEAR(ls_oracle_act(LS_SEM_SWIGLU_OAI, 9, 9), 7 / (1 + exp(-1.702 * 7)) * 8, 1e-12);
}

static void norms_and_softmax_are_those_of_the_definition(void **state)
{
    const double one[] = {1, 1, 1}, x[] = {3, 4}, z[] = {1, 2, 6};
    double       y[3], p[] = {1, 2, 3};
    (void)state;
    ls_oracle_rms_norm(y, x, one, 2, 0);
    NEAR(y[0], 3 / sqrt(12.5), 1e-15);
    ls_oracle_layer_norm(y, z, one, one, 3, 0); /* mean 3, variance 14 / 3 */
    NEAR(y[2], 3 / sqrt(14.0 / 3) + 1, 1e-14);
    ls_oracle_softmax(p, 3, -(double)INFINITY);
    NEAR(p[0], 0.0900305731703805, 1e-15);
    NEAR(p[2], 0.6652409557748219, 1e-15);
    p[0] = 1;
    p[1] = 2;
    ls_oracle_softmax(p, 2, 3); /* the third of before takes its share */
    NEAR(p[1], 0.2447284710547977, 1e-15);
}

static ls_semantics rope(ls_rope_order pairs, int32_t dims, double base)
{
    return (ls_semantics){.rope_order = pairs,
                          .rope_dims = dims,
                          .rope_base = {base, base},
                          .rope_scale = {1, 1},
                          .rope_attn_factor = {1, 1}};
}

static void rope_turns_pairs_by_their_angles(void **state)
{
    double       x[8] = {1, 0, 0, 0, 0, 0, 7, 8}, y[6] = {1, 0, 0, 1, 0, 0}, div[] = {4, 1, 1};
    ls_semantics s = rope(LS_ROPE_NEOX, 6, 1000); /* angles 1, 1/10, 1/100 of the position */
    (void)state;
    ls_oracle_rotate(x, 1, 8, &s, false, NULL, 2);
    NEAR(x[0], -0.4161468365471424, 1e-15); /* cos 2 */
    NEAR(x[3], 0.9092974268256817, 1e-15);
    NEAR(x[6], 7, 0); /* behind the rotated ones */
    s.rope_order = LS_ROPE_NORMAL;
    ls_oracle_rotate(y, 1, 6, &s, false, div, 8);
    NEAR(y[1], 0.9092974268256817, 1e-15); /* 8 / 4 */
    NEAR(y[2], -sin(0.8), 1e-15);          /* the second pair was (0, 1) */
}

/* YaRN from 4096 positions to 65536 (Peng et al. 2023): with base 10000 and 128 dimensions the ramp
 * goes from pair 20 to pair 46, and attention's magnitude is 0.1 ln 16 + 1. */
static void yarn_turns_fast_pairs_as_they_were_and_slow_ones_by_less(void **state)
{
    const double magnitude = 1.2772588722239781;
    ls_semantics s = rope(LS_ROPE_NEOX, 128, 10000);
    (void)state;
    s.rope_scale[0] = 1.0 / 16;
    s.rope_yarn[0] = true;
    s.rope_ctx_orig = 4096;
    for (int i = 10; i < 64; i += 1) {
        double angle = 3 * pow(10000, -i / 64.0), x[128] = {0};
        double kept = i <= 20 ? 1 : i >= 46 ? 0 : (46 - i) / 26.0;
        x[i] = 1;
        ls_oracle_rotate(x, 1, 128, &s, false, NULL, 3);
        NEAR(hypot(x[i], x[64 + i]), magnitude, 1e-12);
        NEAR(atan2(x[64 + i], x[i]), angle * (kept + (1 - kept) / 16), 1e-12);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_form_of_rounding_agrees),
        cmocka_unit_test(every_type_of_cache_agrees),
        cmocka_unit_test(a_wrong_meaning_is_seen_where_it_is_and_nowhere_else),
        cmocka_unit_test(who_watches_sees_what_the_native_engine_shows),
        cmocka_unit_test(threads_and_batches_do_not_matter),
        cmocka_unit_test(faults_and_taps_of_floats_reach_the_oracle),
        cmocka_unit_test(activations_have_the_values_of_tables),
        cmocka_unit_test(norms_and_softmax_are_those_of_the_definition),
        cmocka_unit_test(rope_turns_pairs_by_their_angles),
        cmocka_unit_test(yarn_turns_fast_pairs_as_they_were_and_slow_ones_by_less),
        cmocka_unit_test(every_tap_of_every_architecture_agrees_with_the_native_engine),
        cmocka_unit_test(so_it_does_with_all_that_is_optional),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
