// SPDX-License-Identifier: MIT
/* test_reverse.c - llama.cpp in the subject's steps, on a model of every architecture that it
 * reads: what it makes of the subject's input is the subject's own value, except where a fault was
 * put.
 *
 * A fault that scales by 1.5 is 0.5 of the sound value and a third of the spoiled one: the error
 * the other way round is known beforehand, NMSE 1/9. */
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
#include "record/walk.h"
#include "support/real_reference.h"

enum { N_PROMPT = 6, N_DECODED = 2, N_EVALUATIONS = 1 + N_DECODED, N_CTX = 32 };
enum {
    MAX_VOCAB = 4096,
    MANY = 16,
    LAYER = 1,
    POSITION = 4
}; /* more layers than any has; of the fault */

static const int32_t prompt[N_PROMPT] = {1, 40, 7, 99, 12, 250}, decoded[N_DECODED] = {31, 8};
static ls_ref_status reference;
static char          path[128];
static bool          followed; /* the native engine adds in the order of these kernels */

static void make_model(const char *arch, bool optional)
{
    ls_mini_options opt = {.arch = arch, .dtype = LS_DTYPE_F32, .seed = 11, .optional = optional};
    ls_error        err = {0};
    if (ls_mini_write(path, &opt, &err) != LS_OK) fail_msg("%s", err.what);
}

typedef struct pair {
    ls_engine *subject, *reference;
    ls_walk    walk; /* the subject's values */
    ls_faults  faults;
} pair;

static ls_engine *open_reference(ls_watch watch, ls_tap_fn *tap, void *ctx)
{
    ls_engine_options opt = {.model_path = path,
                             .n_ctx = N_CTX,
                             .n_batch = N_CTX,
                             .n_threads = 1,
                             .kv_type = LS_DTYPE_F32,
                             .timeout_s = 60,
                             .watch = watch,
                             .tap = tap,
                             .tap_ctx = ctx};
    ls_engine        *e;
    ls_error          err = {0};
    if (ls_engine_open_reference(&e, reference.exe, &opt, &err) != LS_OK) fail_msg("%s", err.what);
    return e;
}

static void open_pair(pair *p)
{
    const ls_engine_info *info;
    ls_engine_options     opt = {.model_path = path,
                                 .n_ctx = N_CTX,
                                 .n_batch = N_CTX,
                                 .n_threads = 1,
                                 .kv_type = LS_DTYPE_F32,
                                 .watch = {ls_walk_hold, &p->walk},
                                 .tap = ls_faults_tap,
                                 .tap_ctx = &p->faults};
    ls_error              err = {0};
    *p = (pair){.reference = open_reference((ls_watch){0}, ls_walk_step, &p->walk)};
    info = ls_engine_get_info(p->reference);
    opt.follow = true;
    opt.lanes = info->lanes;
    opt.bf16_pairs = info->bf16_pairs;
    if (ls_engine_open_native(&p->subject, &opt, &err) != LS_OK) fail_msg("%s", err.what);
    p->walk.n_layers = MANY;
    p->walk.last = MANY - 1;
    p->walk.max_bytes = (size_t)1 << 30;
    assert_int_equal(ls_walk_init(&p->walk, &err), LS_OK);
}

static void close_pair(pair *p)
{
    ls_engine_close(p->subject);
    ls_engine_close(p->reference);
    ls_walk_fini(&p->walk);
}

/* What is called for each tap and row after an evaluation. */
typedef void see_fn(void *ctx, const pair *p, const ls_walk_tap *t, size_t row);

/* Both from the beginning; the reference in the subject's steps. */
static void run(pair *p, int n_evaluations, see_fn *see, void *ctx)
{
    ls_error err = {0};
    assert_int_equal(ls_engine_reset(p->subject, &err), LS_OK);
    assert_int_equal(ls_engine_reset(p->reference, &err), LS_OK);
    for (int k = 0; k < n_evaluations; k++) {
        const int32_t *ids = k ? decoded + k - 1 : prompt;
        size_t         n = k ? 1 : N_PROMPT;
        ls_walk_drop(&p->walk);
        assert_int_equal(ls_engine_eval(p->subject, ids, n, &err), LS_OK);
        assert_int_equal(p->walk.status, LS_OK);
        if (ls_engine_eval(p->reference, ids, n, &err) != LS_OK) fail_msg("%s", err.what);
        for (size_t i = 0; i < p->walk.n; i++) {
            for (size_t row = 0; row < n; row++) see(ctx, p, &p->walk.taps[i], row);
        }
    }
}

/* ---- every architecture ---- */

typedef struct sums {
    const char *arch;
    ls_op       faulty; /* LS_N_OPS: none */
    bool        there[LS_N_OPS], stepped[LS_N_OPS];
    size_t      n, n_equal;
} sums;

static void check_row(void *ctx, const pair *p, const ls_walk_tap *t, size_t row)
{
    sums  *s = ctx;
    double x = ls_walk_isolated(t, row);
    bool   born =
        t->op == s->faulty && t->layer == LAYER && t->pos + (int32_t)row == POSITION && x != -1;
    (void)p;
    s->there[t->op] = true;
    if (x == -1) return;
    s->stepped[t->op] = true;
    s->n++;
    s->n_equal += x == 0;
    if (born ? fabs(x - 1.0 / 9) < 1e-3 : x <= 1e-9) return;
    fail_msg("%s, fault in %s: %s of layer %d, position %d: NMSE %g", s->arch,
             s->faulty < LS_N_OPS ? ls_op_name(s->faulty) : "nothing", ls_op_name(t->op), t->layer,
             t->pos + (int)row, x);
}

/* Biases, parts of one product, experts, gate and up in one, caps, norms of heads. */
static bool is_thorough(const char *arch)
{
    static const char *const names[] = {"llama", "qwen2", "gpt2", "qwen3moe", "phi3", "gemma2"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(arch, names[i]) == 0) return true;
    }
    return false;
}

static void check_fault(pair *p, const char *arch, ls_op op)
{
    sums s = {.arch = arch, .faulty = op};
    p->faults.at[0] = (ls_fault){.op = op,
                                 .layer = LAYER,
                                 .pos = POSITION,
                                 .element = -1,
                                 .kind = LS_FAULT_SCALE,
                                 .x = 1.5f};
    p->faults.n = 1;
    run(p, 1, check_row, &s);
}

/* Without a fault everything is equal; with one it is found, and nothing else. */
static void check_arch(const char *arch, bool optional, size_t *n, size_t *n_equal, size_t *faults)
{
    sums sound = {.arch = arch, .faulty = LS_N_OPS};
    pair p;
    make_model(arch, optional);
    open_pair(&p);
    run(&p, N_EVALUATIONS, check_row, &sound);
    *n += sound.n;
    *n_equal += sound.n_equal;
    for (int op = 0; op < LS_N_OPS; op++) {
        /* llama.cpp's graph does not name it where blocks are side by side, and in phi3's */
        if (sound.there[op] && !sound.stepped[op]) assert_int_equal(op, LS_OP_RESIDUAL);
        if (!sound.stepped[op] || !ls_op_per_layer((ls_op)op) || op == LS_OP_FFN_MOE_TOPK) continue;
        if (!is_thorough(arch) && op != LS_OP_FFN_ACT) continue;
        check_fault(&p, arch, (ls_op)op);
        ++*faults;
    }
    close_pair(&p);
}

static void every_operation_is_judged_on_the_subjects_input(void **state)
{
    size_t n = 0, n_equal = 0, faults = 0;
    (void)state;
    for (size_t i = 0; ls_mini_arch(i); i++) {
        if (strcmp(ls_mini_arch(i), "bitnet-b1.58") == 0) continue; /* which it does not read */
        check_arch(ls_mini_arch(i), false, &n, &n_equal, &faults);
        check_arch(ls_mini_arch(i), true, &n, &n_equal, &faults);
    }
    printf("%zu rows, %zu equal to the last bit; %zu faults\n", n, n_equal, faults);
    assert_true(n > 10000 && faults > 200);
    if (followed) assert_int_equal(n_equal, n);
}

/* ---- what only came in from elsewhere ---- */

typedef struct carried {
    bool   stepped;
    size_t n_over;   /* rows over a budget of 1e-6 */
    bool   over_out; /* that of its layer's output at the position of the fault */
} carried;

static void count_over(void *ctx, const pair *p, const ls_walk_tap *t, size_t row)
{
    carried *c = ctx;
    double   x = c->stepped ? ls_walk_isolated(t, row) : t->free_run[row].accumulated;
    (void)p;
    if (x == -1 || x <= 1e-6) return;
    c->n_over++;
    if (t->op == LS_OP_LAYER_OUT && t->layer == 0 && row == POSITION) c->over_out = true;
}

/* As both run by themselves an error is everywhere behind its birth; in steps it is in one place.
 */
static void an_error_that_was_carried_is_not_there_in_steps(void **state)
{
    static const ls_op ops[] = {LS_OP_ATTN_NORM, LS_OP_Q_PROJ,  LS_OP_V_PROJ,   LS_OP_ATTN_OUT,
                                LS_OP_FFN_NORM,  LS_OP_FFN_ACT, LS_OP_FFN_DOWN, LS_OP_LAYER_OUT};
    static const char *const archs[] = {"llama", "qwen2", "gpt2", "qwen3moe"};
    (void)state;
    for (size_t a = 0; a < sizeof(archs) / sizeof(archs[0]); a++) {
        pair       p;
        ls_engine *in_steps, *by_itself;
        make_model(archs[a], true);
        open_pair(&p);
        p.walk.free_run = true;
        in_steps = p.reference;
        by_itself = open_reference((ls_watch){ls_walk_free, &p.walk}, NULL, NULL);
        for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
            carried free_run = {0}, steps = {.stepped = true};
            p.faults.at[0] = (ls_fault){
                .op = ops[i], .pos = POSITION, .element = -1, .kind = LS_FAULT_ADD, .x = 1};
            p.faults.n = 1;
            p.reference = by_itself;
            run(&p, 1, count_over, &free_run);
            p.reference = in_steps;
            run(&p, 1, count_over, &steps);
            if (!free_run.over_out || free_run.n_over < 3)
                fail_msg("%s, %s: %zu rows by itself", archs[a], ls_op_name(ops[i]),
                         free_run.n_over);
            assert_int_equal(steps.n_over, 1);
            assert_int_equal(steps.over_out, ops[i] == LS_OP_LAYER_OUT);
        }
        close_pair(&p);
        ls_engine_close(by_itself);
    }
}

/* ---- what is put into the graph arrives ---- */

typedef struct put {
    ls_op   op; /* LS_N_OPS: none */
    int32_t layer;
    float   value;
} put;

static void put_value(void *ctx, const ls_tap *tap)
{
    const put *x = ctx;
    if (tap->op != x->op || tap->layer != x->layer) return;
    for (size_t i = 0; i < tap->n; i++) tap->data[i] = x->value;
}

/* Logits of the last token of the prompt. */
static void evaluate(ls_engine *e, float *out)
{
    ls_error     err = {0};
    const float *row;
    size_t       n = (size_t)ls_engine_get_info(e)->n_vocab;
    assert_true(n <= MAX_VOCAB);
    if (ls_engine_eval(e, prompt, N_PROMPT, &err) != LS_OK) fail_msg("%s", err.what);
    assert_int_equal(ls_engine_logits(e, N_PROMPT - 1, &row, &err), LS_OK);
    memcpy(out, row, n * sizeof(*row));
    assert_int_equal(ls_engine_reset(e, &err), LS_OK);
}

static void what_is_put_into_the_graph_changes_what_follows(void **state)
{
    static const ls_op ops[] = {LS_OP_EMBEDDINGS, LS_OP_ATTN_NORM,
                                LS_OP_Q_PROJ,     LS_OP_K_PROJ,
                                LS_OP_V_PROJ,     LS_OP_Q_ROPE,
                                LS_OP_K_ROPE,     LS_OP_ATTN_SCORES,
                                LS_OP_ATTN_OUT,   LS_OP_ATTN_SCORES_SOFTMAX,
                                LS_OP_RESIDUAL,   LS_OP_FFN_NORM,
                                LS_OP_FFN_GATE,   LS_OP_FFN_UP,
                                LS_OP_FFN_ACT,    LS_OP_FFN_DOWN,
                                LS_OP_ATTN_PROJ,  LS_OP_LAYER_OUT,
                                LS_OP_FINAL_NORM};
    static float       plain[MAX_VOCAB], same[MAX_VOCAB], other[MAX_VOCAB];
    put                x = {.op = LS_N_OPS};
    ls_engine         *e;
    size_t             n;
    (void)state;
    make_model("llama", false);
    e = open_reference((ls_watch){0}, NULL, NULL);
    n = (size_t)ls_engine_get_info(e)->n_vocab;
    evaluate(e, plain);
    ls_engine_close(e);
    e = open_reference((ls_watch){0}, put_value, &x);
    evaluate(e, same); /* looks on and changes nothing */
    assert_memory_equal(plain, same, n * sizeof(float));
    for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
        x = (put){ops[i], ls_op_per_layer(ops[i]) ? 0 : -1, 3};
        if (ops[i] == LS_OP_K_PROJ || ops[i] == LS_OP_K_ROPE || ops[i] == LS_OP_ATTN_SCORES)
            x.value = 0; /* equal keys or scores mean equal weights, whatever they are */
        evaluate(e, other);
        if (memcmp(plain, other, n * sizeof(float)) == 0) fail_msg("%s", ls_op_name(ops[i]));
    }
    x = (put){LS_OP_FINAL_NORM, -1, 0};
    evaluate(e, other);
    for (size_t i = 0; i < n; i++) assert_true(other[i] == 0); /* a product with nothing */
    x.op = LS_N_OPS;
    evaluate(e, same);
    assert_memory_equal(plain, same, n * sizeof(float));
    ls_engine_close(e);
}

static int remove_model(void **state)
{
    (void)state;
    return unlink(path);
}

/* Kernels whose order of sums is followed on every machine, where they are there. */
static void choose_kernels(void)
{
    char kernels[600];
    snprintf(kernels, sizeof(kernels), "%s/libggml-cpu-haswell.so", reference.lib_dir);
    followed = access(kernels, R_OK) == 0;
    if (followed) setenv("LOCKSTEP_LLAMA_CPU", "haswell", 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_operation_is_judged_on_the_subjects_input),
        cmocka_unit_test(an_error_that_was_carried_is_not_there_in_steps),
        cmocka_unit_test(what_is_put_into_the_graph_changes_what_follows),
    };
    if (!real_reference(&reference, LS_REF_LLAMA)) return TEST_SKIPPED;
    choose_kernels();
    snprintf(path, sizeof(path), "/tmp/test_reverse.%d.gguf", (int)getpid());
    return cmocka_run_group_tests(tests, NULL, remove_model);
}
