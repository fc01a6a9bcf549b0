// SPDX-License-Identifier: MIT
/* test_named_faults.c - hundreds of faults, each put into the native engine beside the real
 * llama.cpp: every operation, first, middle and last layer, all positions in turn, a factor, a
 * summand, NaN and one element alone. What each does to the values of its tap is computed here from
 * a run without it. Those that change the tap by more than the noise floor are named exactly,
 * layer, operation and first position; of the others nothing is said to be born, and they are
 * listed. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lockstep/lockstep.h"
#include "lockstep/record.h"
#include "support/real_reference.h"

#define TOL 1e-6
/* A whole tap is compared by sketches first, whose eight projections tell an NMSE within a factor
 * of ten. */
#define SEEN (10 * TOL)
enum { N_DECODED = 2, MAX_TAPS = 4096 };
static const char    text[] = "Once upon a time there was a King";
static const int32_t decoded[N_DECODED] = {40, 77};

static ls_ref_status installed;

/* One tap of one evaluation without a fault. */
typedef struct tap_values {
    ls_tap_values v;
    float        *data;
} tap_values;

/* Both engines, opened once; who looks on changes from run to run. */
typedef struct side {
    ls_engine *engine;
    ls_watch   watch;
    ls_tap_fn *tap;
    void      *tap_ctx;
} side;
typedef struct bench {
    side       subject, reference;
    ls_faults  faults; /* of the run at hand */
    int32_t   *prompt;
    size_t     n_prompt;
    tap_values taps[MAX_TAPS];
    size_t     n_taps;
    int        n_injected, n_named, n_below, n_near, n_wrong;
} bench;

/* ---- two engines ---- */

static void show_on(void *ctx, const ls_tap_values *v)
{
    const side *s = ctx;
    if (s->watch.fn) s->watch.fn(s->watch.ctx, v);
}

static void tap_on(void *ctx, const ls_tap *tap)
{
    bench *b = ctx;
    ls_faults_tap(&b->faults, tap);
    if (b->subject.tap) b->subject.tap(b->subject.tap_ctx, tap);
}

static void open_both(bench *b, const char *path)
{
    ls_engine_options     opt = {.model_path = path, .n_ctx = 64, .n_batch = 32, .n_threads = 1};
    const ls_engine_info *info;
    ls_error              err = {0};
    opt.watch = (ls_watch){show_on, &b->reference};
    if (ls_engine_open_reference(&b->reference.engine, installed.exe, &opt, &err) != LS_OK)
        fail_msg("%s", err.what);
    info = ls_engine_get_info(b->reference.engine);
    opt.watch = (ls_watch){show_on, &b->subject};
    opt.lanes = info->lanes;
    opt.follow = true;
    opt.bf16_pairs = info->bf16_pairs;
    opt.tap = tap_on;
    opt.tap_ctx = b;
    assert_int_equal(ls_engine_open_native(&b->subject.engine, &opt, &err), LS_OK);
    assert_int_equal(ls_engine_tokenize(b->subject.engine, text, sizeof(text) - 1, NULL, &b->prompt,
                                        &b->n_prompt, &err),
                     LS_OK);
}

static ls_status take(void *ctx, bool subject, ls_watch watch, ls_tap_fn *tap, void *tap_ctx,
                      ls_engine **out, ls_error *err)
{
    bench *b = ctx;
    side  *s = subject ? &b->subject : &b->reference;
    s->watch = watch;
    s->tap = tap;
    s->tap_ctx = tap_ctx;
    *out = s->engine;
    return ls_engine_reset(s->engine, err);
}

static void leave(void *ctx, ls_engine *e)
{
    bench *b = ctx;
    side  *s = e == b->subject.engine ? &b->subject : &b->reference;
    s->watch = (ls_watch){0};
    s->tap = NULL;
}

/* ---- a run without faults ---- */

static void keep(void *ctx, const ls_tap_values *v)
{
    bench *b = ctx;
    size_t bytes = v->heads * v->rows * v->n * sizeof(float);
    assert_true(b->n_taps < MAX_TAPS);
    b->taps[b->n_taps] = (tap_values){.v = *v, .data = malloc(bytes)};
    assert_non_null(b->taps[b->n_taps].data);
    memcpy(b->taps[b->n_taps++].data, v->data, bytes);
}

/* No watch sees logits: they are asked for. */
static void keep_logits(bench *b, size_t rows, int32_t pos)
{
    size_t        V = (size_t)ls_engine_get_info(b->subject.engine)->n_vocab;
    float        *all = malloc(rows * V * sizeof(*all));
    const float  *row;
    ls_tap_values v = {
        .op = LS_OP_LOGITS, .layer = -1, .pos = pos, .heads = 1, .rows = rows, .n = V, .data = all};
    assert_non_null(all);
    for (size_t i = 0; i < rows; i++) {
        assert_int_equal(ls_engine_logits(b->subject.engine, i, &row, NULL), LS_OK);
        memcpy(all + i * V, row, V * sizeof(*all));
    }
    keep(b, &v);
    free(all);
}

static void run_without(bench *b)
{
    ls_engine *e;
    assert_int_equal(take(b, true, (ls_watch){keep, b}, NULL, NULL, &e, NULL), LS_OK);
    assert_int_equal(ls_engine_eval(e, b->prompt, b->n_prompt, NULL), LS_OK);
    keep_logits(b, b->n_prompt, 0);
    for (size_t i = 0; i < N_DECODED; i++) {
        assert_int_equal(ls_engine_eval(e, &decoded[i], 1, NULL), LS_OK);
        keep_logits(b, 1, (int32_t)(b->n_prompt + i));
    }
    leave(b, e);
}

/* ---- what a fault does to its tap ---- */

typedef struct effect {
    int32_t pos; /* of the first row that it changes by more than the floor; else of the first it
                    acts on */
    double row, tap; /* NMSE of that row, and of all rows of that evaluation */
} effect;

/* Sums of squares of one row of all heads: what the fault changes, and what it is. */
typedef struct change {
    double d2, r2;
} change;

/* Of logits without their means, on which no probability depends. */
static void add_row(change *c, const float *a, const float *b, size_t n, bool centred)
{
    double mean_a = 0, mean_b = 0;
    for (size_t i = 0; centred && i < n; i++) {
        mean_a += (double)a[i] / (double)n;
        mean_b += (double)b[i] / (double)n;
    }
    for (size_t i = 0; i < n; i++) {
        double x = (double)a[i] - mean_a, y = (double)b[i] - mean_b;
        c->d2 += (x - y) * (x - y);
        c->r2 += y * y;
    }
}

static change change_of_row(const tap_values *t, size_t r, ls_faults *f)
{
    static float changed[1 << 16];
    int32_t      pos = t->v.pos + (int32_t)r;
    bool         scores = t->v.op == LS_OP_ATTN_SCORES || t->v.op == LS_OP_ATTN_SCORES_SOFTMAX;
    size_t       n = scores ? (size_t)pos + 1 : t->v.n;
    change       c = {0};
    assert_true(n <= sizeof(changed) / sizeof(changed[0]));
    for (size_t h = 0; h < t->v.heads; h++) {
        const float *row = t->data + (h * t->v.rows + r) * t->v.n;
        ls_tap       tap = {t->v.op, t->v.layer, pos, (int32_t)h, changed, n, false};
        memcpy(changed, row, n * sizeof(*row));
        ls_faults_tap(f, &tap);
        add_row(&c, changed, row, n, t->v.op == LS_OP_LOGITS);
    }
    return c;
}

static effect effect_on(const tap_values *t, ls_faults *f)
{
    effect e = {.pos = -1, .row = -1};
    change all = {0};
    bool   over = false;
    for (size_t r = 0; r < t->v.rows; r++) {
        change c = change_of_row(t, r, f);
        double x = c.d2 == 0 ? 0 : c.d2 / c.r2;
        bool   acts = f->at[0].pos < 0 || f->at[0].pos == t->v.pos + (int32_t)r;
        all.d2 += c.d2;
        all.r2 += c.r2;
        if (!acts || over || (e.pos >= 0 && x <= TOL)) continue;
        over = !(x <= TOL);
        e.pos = t->v.pos + (int32_t)r;
        e.row = x;
    }
    e.tap = all.d2 / all.r2;
    return e;
}

static const tap_values *find_tap(const bench *b, const ls_fault *f)
{
    int32_t pos = f->pos < 0 ? 0 : f->pos;
    for (size_t i = 0; i < b->n_taps; i++) {
        const ls_tap_values *v = &b->taps[i].v;
        if (v->op == f->op && v->layer == f->layer && pos >= v->pos &&
            pos < v->pos + (int32_t)v->rows)
            return &b->taps[i];
    }
    return NULL;
}

/* ---- one fault ---- */

static ls_located locate(bench *b)
{
    ls_located        out;
    ls_error          err = {0};
    ls_locate_options opt = {.prompt = b->prompt,
                             .n_prompt = b->n_prompt,
                             .decoded = decoded,
                             .n_decoded = N_DECODED,
                             .tap_tol = TOL,
                             .open = take,
                             .close = leave,
                             .ctx = b};
    if (ls_locate(&out, &opt, &err) != LS_OK) fail_msg("%s", err.what);
    return out;
}

static void wrong(bench *b, const char *fault, const ls_located *l, effect e)
{
    b->n_wrong++;
    print_error("%s (NMSE %.3g of its row, %.3g of its tap): ", fault, e.row, e.tap);
    if (l->found)
        print_error("%s layer %d, %s, position %d\n", l->born ? "born" : "carried", (int)l->layer,
                    ls_op_name(l->op), (int)l->position);
    else
        print_error("nothing is found\n");
}

/* What is found, l, where `fault` is what was injected. */
static void judge(bench *b, const char *fault, const ls_located *l)
{
    ls_faults         one = {0};
    const ls_fault   *f = &one.at[0];
    const tap_values *t;
    effect            e;
    bool              named;
    assert_int_equal(ls_faults_add(&one, fault, NULL), LS_OK);
    t = find_tap(b, f);
    if (!t) fail_msg("%s: no such tap", fault);
    e = effect_on(t, &one);
    named = l->found && l->born && l->op == f->op && l->layer == f->layer && l->position == e.pos;
    b->n_injected++;
    if (!(e.row <= TOL) && !(e.tap <= SEEN)) {
        b->n_named += named;
        if (!named) wrong(b, fault, l, e);
    } else if (e.row <= TOL) {
        b->n_below++;
        print_message("  below the floor: %-36s NMSE %.3g\n", fault, e.row);
        if (l->born) wrong(b, fault, l, e);
    } else {
        b->n_near++;
        print_message("  near the floor:  %-36s NMSE %.3g, of the whole tap %.3g: %s\n", fault,
                      e.row, e.tap, named ? "named" : "not named");
        if (l->born && !named) wrong(b, fault, l, e);
    }
}

static void inject(bench *b, const char *fault)
{
    ls_located l;
    b->faults = (ls_faults){0};
    assert_int_equal(ls_faults_add(&b->faults, fault, NULL), LS_OK);
    l = locate(b);
    judge(b, fault, &l);
    ls_located_fini(&l);
    b->faults = (ls_faults){0};
}

/* This test can fail: no other operation, layer or position passes for the one that was injected.
 */
static void take_one_for_another(bench *b)
{
    static const char *const others[] = {"1.ffn_up@3=scale:1.5", "2.ffn_act@3=scale:1.5",
                                         "1.ffn_act@4=scale:1.5", "1.ffn_act=scale:1.5",
                                         "1.ffn_act@3=scale:1.0005"};
    enum { N = sizeof(others) / sizeof(others[0]) };
    ls_located l;
    int        wrong_before = b->n_wrong, injected = b->n_injected, below = b->n_below;
    assert_int_equal(ls_faults_add(&b->faults, "1.ffn_act@3=scale:1.5", NULL), LS_OK);
    l = locate(b);
    print_message("what must not pass:\n");
    for (int i = 0; i < N; i++) judge(b, others[i], &l);
    assert_int_equal(b->n_wrong, wrong_before + N);
    b->n_wrong = wrong_before;
    b->n_injected = injected;
    b->n_below = below;
    ls_located_fini(&l);
    b->faults = (ls_faults){0};
}

/* ---- all of them ---- */

static const char *const kinds[] = {"=scale:1.5", "=add:0.5",     "=nan",         "#2=add:3",
                                    "#1=nan",     "#0=scale:1.7", "=scale:1.005", "=scale:1.0005"};
enum { N_LARGE = 6, N_KINDS = sizeof(kinds) / sizeof(kinds[0]) };

static void inject_at(bench *b, ls_op op, int32_t layer, bool small, size_t *turn)
{
    size_t n = b->n_prompt + N_DECODED;
    for (size_t k = 0; k < (small ? N_KINDS : N_LARGE); k++) {
        char   fault[96], place[24] = "", where[16] = "";
        size_t pos = 2 + (*turn * 5 + k) % (n - 2); /* three elements of every score are there */
        if (layer >= 0) snprintf(place, sizeof(place), "%d.", (int)layer);
        if (++*turn % 7) snprintf(where, sizeof(where), "@%zu", pos);
        /* Position 0 has one score. */
        if (!where[0] && kinds[k][0] == '#' && kinds[k][1] != '0') continue;
        snprintf(fault, sizeof(fault), "%s%s%s%s", place, ls_op_name(op), where, kinds[k]);
        inject(b, fault);
    }
}

static void check(const char *model, int at_least)
{
    bench     *b = calloc(1, sizeof(*b));
    char       path[512];
    ls_located l;
    ls_model  *m;
    size_t     turn = 0;
    int32_t    L;
    assert_non_null(b);
    snprintf(path, sizeof(path), LS_SOURCE_DIR "/models/%s", model);
    assert_int_equal(ls_model_open(&m, path, NULL), LS_OK);
    L = ls_model_get_config(m)->n_layers;
    open_both(b, path);
    run_without(b);
    l = locate(b);
    if (l.found) wrong(b, "no fault", &l, (effect){0});
    ls_located_fini(&l);
    take_one_for_another(b);
    for (int op = 0; op < LS_N_OPS; op++) {
        if (!ls_model_has_op(m, (ls_op)op)) continue;
        if (!ls_op_per_layer((ls_op)op)) inject_at(b, (ls_op)op, -1, true, &turn);
        for (int i = 0; ls_op_per_layer((ls_op)op) && i < 3; i++)
            inject_at(b, (ls_op)op, i == 0 ? 0 : i == 1 ? L / 2 : L - 1, i == 1, &turn);
    }
    print_message(
        "%s: %d faults injected, %d named exactly, %d below the floor, %d near it, %d wrong\n",
        model, b->n_injected, b->n_named, b->n_below, b->n_near, b->n_wrong);
    assert_int_equal(b->n_wrong, 0);
    assert_true(b->n_named >= at_least);
    assert_int_equal(b->n_named + b->n_below + b->n_near, b->n_injected);
    for (size_t i = 0; i < b->n_taps; i++) free(b->taps[i].data);
    free(b->prompt);
    ls_engine_close(b->subject.engine);
    ls_engine_close(b->reference.engine);
    ls_model_close(m);
    free(b);
}

static void names_every_fault_in_a_llama_that_is_over_the_floor(void **state)
{
    (void)state;
    check("fables-llama-5m-Q8_0.gguf", 200);
}

static void names_every_fault_in_a_bitnet_that_is_over_the_floor(void **state)
{
    (void)state;
    check("fables-bitnet-5m-TQ2_0.gguf", 200);
}

/* The order of sums is followed of llama.cpp's library for AVX2: with others rounding is noise,
 * too. */
static void choose_library(void)
{
    char path[5000];
    snprintf(path, sizeof(path), "%s/libggml-cpu-haswell.so", installed.lib_dir);
    if (access(path, R_OK) == 0) setenv("LOCKSTEP_LLAMA_CPU", "haswell", 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_every_fault_in_a_llama_that_is_over_the_floor),
        cmocka_unit_test(names_every_fault_in_a_bitnet_that_is_over_the_floor),
    };
    if (!real_reference(&installed, LS_REF_LLAMA)) return TEST_SKIPPED;
    choose_library();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
