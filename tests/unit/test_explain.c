// SPDX-License-Identifier: MIT
/* test_explain.c - searches for numbers against functions whose minimum is known, names for token
 * ids, and explanations of an operation by engines that are given to it. */
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

#include "explain/explain_priv.h"
#include "lockstep/lockstep.h"

/* ---- searches ---- */

static double valley(void *ctx, double x)
{
    double d = log(x / *(double *)ctx);
    return d * d;
}

/* Far from its minimum it says nothing, as a rotation by a wrong angle does. */
static double narrow(void *ctx, double x)
{
    double d = log(x / *(double *)ctx) / 0.004;
    return d * d > 1 ? 1 : d * d;
}

static double flat(void *ctx, double x)
{
    (void)ctx;
    (void)x;
    return 0.5;
}

static void a_number_is_found_wherever_it_is(void **state)
{
    static const double targets[] = {10100, 10000, 500000, 12, 9900.5, 10000000};
    (void)state;
    for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++) {
        double target = targets[i], y, x = ls_explain_search(valley, &target, 10000, &y);
        assert_true(fabs(x / target - 1) < 1e-6 && y < 1e-12);
        x = ls_explain_nice(valley, &target, x, &y);
        assert_true(fabs(x / target - 1) < 1e-6);
    }
}

static void near_the_expected_value_the_grid_is_fine(void **state)
{
    double target = 10100, y, x = ls_explain_search(narrow, &target, 10000, &y);
    (void)state;
    assert_true(fabs(x - target) < 1);
    x = ls_explain_nice(narrow, &target, x, &y);
    assert_true(x == 10100);
}

static void where_nothing_matters_nothing_is_found(void **state)
{
    double y, x = ls_explain_search(flat, NULL, 3, &y);
    (void)state;
    assert_true(y == 0.5 && x > 0);
}

static void the_shortest_decimal_that_is_as_good_is_taken(void **state)
{
    double target = 1e-6, y = 0, x = ls_explain_nice(valley, &target, 1.00000004e-6, &y);
    (void)state;
    assert_true(x == 1e-6);
    target = 123456789; /* no short one is */
    y = 0;
    x = ls_explain_nice(valley, &target, 123456789.0, &y);
    assert_true(fabs(x / 123457000 - 1) < 1e-12 || x == 123456789);
}

/* ---- token ids ---- */

static char *model_of(const char *arch, int dtype)
{
    static char     path[128];
    ls_mini_options opt = {.arch = arch, .dtype = dtype, .seed = 5};
    snprintf(path, sizeof(path), "/tmp/test_explain.%d.gguf", (int)getpid());
    assert_int_equal(ls_mini_write(path, &opt, NULL), LS_OK);
    return path;
}

static void ids_that_differ_by_one_have_a_name(void **state)
{
    const char   *path = model_of("llama", LS_DTYPE_F32);
    ls_gguf      *g;
    ls_tokenizer *t;
    char          said[256];
    int32_t       a[] = {1, 1, 7, 8, 2}, b[] = {7, 8, 9};
    (void)state;
    assert_int_equal(ls_gguf_open(&g, path, NULL), LS_OK);
    assert_int_equal(ls_tokenizer_create(&t, g, NULL), LS_OK);
    a[0] = a[1] = ls_tokenizer_bos(t);
    a[4] = ls_tokenizer_eos(t);
    assert_true(ls_explain_ids(said, sizeof(said), a + 1, 3, a + 2, 2, t));
    assert_non_null(strstr(said, "the subject begins with BOS"));
    assert_true(ls_explain_ids(said, sizeof(said), a + 2, 2, a + 1, 3, t));
    assert_non_null(strstr(said, "the reference begins with BOS"));
    assert_true(ls_explain_ids(said, sizeof(said), a + 1, 3, a, 4, t));
    assert_non_null(strstr(said, "the reference has BOS"));
    assert_true(ls_explain_ids(said, sizeof(said), a, 5, a, 4, t));
    assert_non_null(strstr(said, "the subject ends with EOS"));
    assert_false(ls_explain_ids(said, sizeof(said), a, 3, b, 3, t));
    assert_false(ls_explain_ids(said, sizeof(said), a, 5, b, 3, t));
    ls_tokenizer_destroy(t);
    ls_gguf_close(g);
    unlink(path);
}

/* ---- explanations ---- */

static const int32_t prompt[] = {1, 40, 7, 99, 12, 250}, decoded[] = {17, 31};
enum { N_PROMPT = 6, N_DECODED = 2 };

/* The reference is the oracle with another meaning; a tap of its own may spoil it further. */
typedef struct world {
    const char *path;
    void (*change)(ls_semantics *s);
    ls_tap64_fn *spoil;
    bool         mute; /* shows nothing of layer 1 but its result */
    ls_watch     watch;
} world;

static void forward(void *ctx, const ls_tap_values *v)
{
    const world *w = ctx;
    if (w->mute && v->layer == 1 && v->op != LS_OP_FFN_ACT) return;
    w->watch.fn(w->watch.ctx, v);
}

static ls_status open_reference(void *ctx, bool subject, ls_watch watch, ls_tap_fn *tap,
                                void *tap_ctx, ls_engine **out, ls_error *err)
{
    world            *w = ctx;
    ls_semantics      s;
    ls_oracle_options opt = {.base = {.model_path = w->path, .n_ctx = 16, .n_threads = 1},
                             .tap = w->spoil};
    (void)tap;
    (void)tap_ctx;
    assert_false(subject);
    w->watch = watch;
    opt.base.watch = (ls_watch){forward, w};
    LS_TRY(ls_engine_open_oracle(out, &opt, err));
    s = *ls_oracle_get_semantics(*out);
    if (w->change) w->change(&s);
    ls_oracle_set_semantics(*out, &s);
    return LS_OK;
}

static ls_status open_oracle(void *ctx, ls_tap64_fn *tap, ls_given_fn *given, void *tap_ctx,
                             ls_engine **out, ls_error *err)
{
    const world      *w = ctx;
    ls_oracle_options opt = {.base = {.model_path = w->path, .n_ctx = 16, .n_threads = 2},
                             .tap = tap,
                             .given = given,
                             .ctx = tap_ctx};
    return ls_engine_open_oracle(out, &opt, err);
}

static ls_explain_options at(world *w, ls_op op, int32_t layer)
{
    return (ls_explain_options){.prompt = prompt,
                                .decoded = decoded,
                                .n_prompt = N_PROMPT,
                                .n_decoded = N_DECODED,
                                .op = op,
                                .layer = layer,
                                .position = N_PROMPT,
                                .isolated = 1e-3,
                                .open = open_reference,
                                .open_oracle = open_oracle,
                                .ctx = w};
}

static void to_gelu(ls_semantics *s) { s->act = LS_SEM_GELU_QUICK; }
static void to_base(ls_semantics *s) { s->rope_base[0] = 5e5; }
static void to_yarn(ls_semantics *s) { s->rope_yarn[0] = true, s->rope_scale[0] = 1.0 / 32; }
static void to_scale(ls_semantics *s) { s->attn_scale = 0.25; }
static void to_window(ls_semantics *s) { s->window = 5; }
static void to_q8_k(ls_semantics *s) { s->round = LS_SEM_Q8_K; }
static void to_away(ls_semantics *s) { s->round = LS_SEM_I8_ROW, s->half_away = true; }
static void to_rows(ls_semantics *s) { s->qk_rows = LS_SEM_ROWS_HALVED; }
static void to_exact(ls_semantics *s) { s->kv = LS_SEM_KV_F16; }
static void to_logits(ls_semantics *s) { s->logit_scale = 1.25, s->final_softcap = 0; }
static void to_cap(ls_semantics *s) { s->final_softcap = 3; }
static void to_embedding(ls_semantics *s) { s->embedding_scale = 16; }
static void to_residual(ls_semantics *s) { s->residual_scale = 0.22; }
static void to_eps(ls_semantics *s) { s->norm_eps = 1e-3; }
static void to_sum(ls_semantics *s) { s->experts_normalise = true; }
static void to_patch(ls_semantics *s)
{
    s->patch[0] = (ls_sem_patch){
        .op = LS_OP_FFN_DOWN, .layer = 1, .row = 3, .n_rows = 1, .n_cols = 1u << 20, .factor = 3};
}

static void to_expert(ls_semantics *s)
{
    s->patch[0] = (ls_sem_patch){
        .op = LS_OP_FFN_UP, .layer = 1, .row = 1024, .n_rows = 512, .n_cols = 256, .factor = 0.5};
}
static void to_row(ls_semantics *s)
{
    s->patch[0] = (ls_sem_patch){
        .op = LS_OP_EMBEDDINGS, .layer = -1, .row = 99, .n_rows = 1, .n_cols = 256, .factor = -1};
}
static void to_shifted(ls_semantics *s) /* as if 1 had been added by a converter, and again */
{
    s->patch[0] = (ls_sem_patch){
        .op = LS_OP_FFN_NORM, .layer = 1, .n_rows = 256, .n_cols = 1, .factor = 1, .add = 1};
}
static void to_two(ls_semantics *s) { s->act = LS_SEM_GELU_TANH, s->gated = false; }
static void to_capped(ls_semantics *s)
{
    s->attn_scale = 0.25;
    s->attn_softcap = 3;
}
static void to_three(ls_semantics *s)
{
    s->rope_order = LS_ROPE_NEOX;
    s->rope_base[0] = 26000;
    s->rope_scale[0] = 0.3;
}
static void to_erf(ls_semantics *s) { s->act = LS_SEM_GELU_ERF; }
static void to_tanh(ls_semantics *s) { s->act = LS_SEM_GELU_TANH; }
static void to_relu2(ls_semantics *s) { s->act = LS_SEM_RELU2; }
static void to_no_norms(ls_semantics *s) { s->sub_norms = false; }
static void to_no_cap(ls_semantics *s) { s->attn_softcap = 0; }
static void to_dims(ls_semantics *s) { s->rope_dims = 16; }
static void to_neox(ls_semantics *s) { s->rope_order = LS_ROPE_NEOX; }
static void to_exact_products(ls_semantics *s) { s->round = LS_SEM_EXACT; }
static void to_bf16(ls_semantics *s) { s->round = LS_SEM_BF16; }
static void to_tied(ls_semantics *s) { s->tied_output = true; }
static void to_layer_norm(ls_semantics *s) { s->norm = LS_SEM_LAYER_NORM; }
static void to_no_sinks(ls_semantics *s) { s->sinks = false; }

static const struct known {
    const char *arch;
    void (*change)(ls_semantics *s);
    ls_op       op;
    int32_t     layer;
    const char *said;
} known[] = {
    {"llama", to_gelu, LS_OP_FFN_ACT, 1, "the activation is GELU (quick), not SiLU"},
    {"llama", to_base, LS_OP_Q_ROPE, 0, "RoPE's base is 500000, not 10000"},
    {"llama", to_base, LS_OP_K_ROPE, 1, "RoPE's base is 500000, not 10000"},
    {"llama", to_yarn, LS_OP_K_ROPE, 1, "YaRN is applied with factor 32, not absent"},
    {"llama", to_scale, LS_OP_ATTN_SCORES, 1, "attention's scale is 0.25, not 0.1767767"},
    {"llama", to_window, LS_OP_ATTN_SCORES, 0, "the sliding window is of 5 positions, not absent"},
    {"llama", to_q8_k, LS_OP_FFN_UP, 0,
     "the rounding of activations is Q8_K, not as the weight's type asks"},
    {"llama", to_away, LS_OP_FFN_DOWN, 1, "the rounding of activations is int8 per row"},
    {"llama", to_rows, LS_OP_K_PROJ, 0, "the rows of Q and K are permuted to halves"},
    {"llama", to_exact, LS_OP_ATTN_OUT, 1, "the KV cache is F16, not F32"},
    {"llama", to_logits, LS_OP_LOGITS, -1, "the logits are multiplied by 1.25, not 1"},
    {"llama", to_cap, LS_OP_LOGITS, -1, "the soft cap of the logits is 3, not absent"},
    {"llama", to_embedding, LS_OP_EMBEDDINGS, -1, "the embeddings are multiplied by 16, not 1"},
    {"llama", to_residual, LS_OP_RESIDUAL, 0, "what a block adds is multiplied by 0.22, not 1"},
    {"llama", to_eps, LS_OP_FINAL_NORM, -1, "the norm's epsilon is 0.001, not 1e-05"},
    {"llama", to_eps, LS_OP_ATTN_NORM, 1, "the norm's epsilon is 0.001, not 1e-05"},
    {"qwen3", to_eps, LS_OP_K_NORM, 1, "the norm's epsilon is 0.001, not 1e-05"},
    {"llama", to_patch, LS_OP_FFN_DOWN, 1, "row 3 of blk.1.ffn_down.weight is multiplied by 3"},
    {"olmoe", to_sum, LS_OP_FFN_MOE_WEIGHTS, 1,
     "the experts' weights are divided by their sum, not as they come"},
    {"olmoe", to_gelu, LS_OP_FFN_ACT, 0, "the activation is GELU (quick), not SiLU"},
    {"olmoe", to_q8_k, LS_OP_FFN_DOWN, 0, "the rounding of activations is Q8_K"},
    {"llama", to_erf, LS_OP_FFN_ACT, 1, "the activation is GELU (exact), not SiLU"},
    {"llama", to_tanh, LS_OP_FFN_ACT, 1, "the activation is GELU (tanh form), not SiLU"},
    {"llama", to_relu2, LS_OP_FFN_ACT, 1, "the activation is squared ReLU, not SiLU"},
    {"bitnet", to_no_norms, LS_OP_ATTN_PROJ, 0, "the norms inside the blocks are absent"},
    {"bitnet", to_no_norms, LS_OP_FFN_DOWN, 1, "the norms inside the blocks are absent"},
    {"gemma2", to_no_cap, LS_OP_ATTN_SCORES, 1, "attention's soft cap is absent, not"},
    {"gemma2", to_scale, LS_OP_ATTN_SCORES, 1, "attention's scale is 0.25, not"},
    {"llama", to_dims, LS_OP_Q_ROPE, 1, "the elements of a head that RoPE turns are 16, not 32"},
    {"llama", to_neox, LS_OP_K_ROPE, 0, "RoPE turns halves (NeoX order), not neighbours"},
    {"tq2_0", to_exact_products, LS_OP_Q_PROJ, 0, "the rounding of activations is none, not as"},
    {"tq2_0", to_bf16, LS_OP_FFN_DOWN, 0, "the rounding of activations is BF16, not as"},
    {"llama", to_tied, LS_OP_LOGITS, -1,
     "the output matrix is token_embd.weight (tied), not output.weight"},
    {"llama", to_layer_norm, LS_OP_FFN_NORM, 1, "the norm is LayerNorm, not RMSNorm"},
    {"gpt-oss", to_no_sinks, LS_OP_ATTN_SCORES_SOFTMAX, 1, "attention's sinks are absent"},
    {"olmoe", to_expert, LS_OP_FFN_UP, 1,
     "expert 2 of blk.1.ffn_up_exps.weight is multiplied by 0.5, not 1"},
    {"llama", to_row, LS_OP_EMBEDDINGS, -1,
     "row 99 of token_embd.weight is multiplied by -1, not 1"},
    {"llama", to_shifted, LS_OP_FFN_NORM, 1,
     "what is added to every element of blk.1.ffn_norm.weight is 1, not 0"},
    {"llama", to_two, LS_OP_FFN_ACT, 0,
     "the gate is absent, not applied, and the activation is GELU (tanh form), not SiLU"},
    {"llama", to_capped, LS_OP_ATTN_SCORES, 0,
     "attention's soft cap is 3, not absent, and attention's scale is 0.25, not 0.1767767"},
    {"llama", to_three, LS_OP_K_ROPE, 0, "RoPE turns halves (NeoX order), not neighbours"},
    {"phi3", to_base, LS_OP_Q_ROPE, 1, "RoPE's base is 500000, not 10000"},
};

static void every_known_change_is_named(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        bool               ternary = strcmp(known[i].arch, "tq2_0") == 0;
        world              w = {.path = ternary ? model_of("bitnet", LS_DTYPE_TQ2_0)
                                                : model_of(known[i].arch, LS_DTYPE_F32),
                                .change = known[i].change};
        ls_explain_options opt = at(&w, known[i].op, known[i].layer);
        ls_explained       e;
        ls_error           err = {0};
        if (ls_explain(&e, &opt, &err) != LS_OK) {
            print_error("%s: %s\n", known[i].said, err.what);
            fail();
        }
        if (e.outcome != LS_EXPLAIN_CANDIDATE || !strstr(e.sentence, known[i].said)) {
            print_error("not '%s' but '%s' (own %g, best %g)\n", known[i].said, e.sentence, e.own,
                        e.n_rows ? e.rows[0].nmse : -1);
            fail();
        }
        assert_true(e.rows[0].agrees);
        ls_explained_fini(&e);
        unlink(w.path);
    }
}

/* Of 127 as the largest a block's scale is 1: halves stay halves. */
static void make_halves(void *ctx, const ls_tap64 *tap)
{
    (void)ctx;
    if (tap->op != LS_OP_FFN_NORM || tap->layer != 0) return;
    for (size_t i = 0; i < tap->n; i++)
        tap->data[i] = i % 32 == 0 ? 127 : (double)((i * 7 + (size_t)tap->pos) % 40) / 2 - 10;
}

static void to_half_away(ls_semantics *s) { s->half_away = true; }

static void how_halves_are_rounded_is_named(void **state)
{
    static const char *const said[] = {"as the weight's type asks, halves away from 0, not",
                                       "Q8_0, halves away from 0, not"};
    world                    w = {
                           .path = model_of("llama", LS_DTYPE_Q8_0), .change = to_half_away, .spoil = make_halves};
    ls_explain_options opt = at(&w, LS_OP_FFN_UP, 0);
    ls_explained       e;
    (void)state;
    assert_int_equal(ls_explain(&e, &opt, NULL), LS_OK);
    assert_int_equal(e.outcome, LS_EXPLAIN_CANDIDATE);
    if (!strstr(e.sentence, said[0]) && !strstr(e.sentence, said[1])) fail_msg("'%s'", e.sentence);
    ls_explained_fini(&e);
    unlink(w.path);
}

static void count_steps(void *ctx, size_t done, size_t total)
{
    size_t *last = ctx;
    assert_true(done == *last + 1 && done <= total);
    *last = done;
}

static void it_tells_how_far_it_is(void **state)
{
    world              w = {.path = model_of("llama", LS_DTYPE_F32), .change = to_base};
    ls_explain_options opt = at(&w, LS_OP_Q_ROPE, 0);
    ls_explained       e;
    size_t             steps = 0;
    (void)state;
    opt.progress = count_steps;
    opt.progress_ctx = &steps;
    assert_int_equal(ls_explain(&e, &opt, NULL), LS_OK);
    assert_true(steps > 100);
    ls_explained_fini(&e);
    unlink(w.path);
}

static void negate_one(void *ctx, const ls_tap64 *tap)
{
    (void)ctx;
    if (tap->op == LS_OP_FFN_ACT && tap->layer == 1 && tap->pos == 2) tap->data[9] += 3;
}

static void make_nan(void *ctx, const ls_tap64 *tap)
{
    (void)ctx;
    if (tap->op == LS_OP_FFN_ACT && tap->layer == 1) tap->data[0] = (double)NAN;
}

static void what_no_candidate_is_has_no_explanation(void **state)
{
    ls_tap64_fn *const spoils[] = {negate_one, make_nan};
    world              w = {.path = model_of("llama", LS_DTYPE_F32)};
    ls_explain_options opt = at(&w, LS_OP_FFN_ACT, 1);
    ls_explained       e;
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        w.spoil = spoils[i];
        assert_int_equal(ls_explain(&e, &opt, NULL), LS_OK);
        assert_int_equal(e.outcome, LS_EXPLAIN_NOTHING);
        assert_non_null(strstr(e.sentence, "nothing explains it"));
        ls_explained_fini(&e);
    }
    unlink(w.path);
}

static void a_reference_that_does_what_the_model_says_is_not_blamed(void **state)
{
    world              w = {.path = model_of("llama", LS_DTYPE_F32)};
    ls_explain_options opt = at(&w, LS_OP_FFN_ACT, 1);
    ls_explained       e;
    (void)state;
    assert_int_equal(ls_explain(&e, &opt, NULL), LS_OK);
    assert_int_equal(e.outcome, LS_EXPLAIN_SUBJECT);
    ls_explained_fini(&e);
    unlink(w.path);
}

static void what_the_reference_does_not_show_is_said(void **state)
{
    world              w = {.path = model_of("llama", LS_DTYPE_F32), .mute = true};
    ls_explain_options opt = at(&w, LS_OP_FFN_UP, 1);
    ls_explained       e;
    ls_error           err = {0};
    (void)state;
    assert_int_equal(ls_explain(&e, &opt, &err), LS_ERR_REFERENCE);
    assert_non_null(strstr(err.what, "does not show ffn_up"));
    ls_explained_fini(&e);
    unlink(w.path);
}

/* What it does not show beside the operation is computed from what it does. */
static void a_reference_that_shows_little_is_explained_all_the_same(void **state)
{
    world w = {.path = model_of("llama", LS_DTYPE_F32), .mute = true, .change = to_gelu};
    ls_explain_options opt = at(&w, LS_OP_FFN_ACT, 1);
    ls_explained       e;
    (void)state;
    assert_int_equal(ls_explain(&e, &opt, NULL), LS_OK);
    assert_int_equal(e.outcome, LS_EXPLAIN_CANDIDATE);
    ls_explained_fini(&e);
    unlink(w.path);
}

static void an_interrupt_ends_it(void **state)
{
    world              w = {.path = model_of("llama", LS_DTYPE_F32)};
    ls_explain_options opt = at(&w, LS_OP_FFN_ACT, 1);
    volatile int       cancelled = 1;
    ls_explained       e;
    (void)state;
    opt.cancelled = &cancelled;
    assert_int_equal(ls_explain(&e, &opt, NULL), LS_ERR_CANCELLED);
    ls_explained_fini(&e);
    unlink(w.path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_number_is_found_wherever_it_is),
        cmocka_unit_test(near_the_expected_value_the_grid_is_fine),
        cmocka_unit_test(where_nothing_matters_nothing_is_found),
        cmocka_unit_test(the_shortest_decimal_that_is_as_good_is_taken),
        cmocka_unit_test(ids_that_differ_by_one_have_a_name),
        cmocka_unit_test(every_known_change_is_named),
        cmocka_unit_test(how_halves_are_rounded_is_named),
        cmocka_unit_test(it_tells_how_far_it_is),
        cmocka_unit_test(what_no_candidate_is_has_no_explanation),
        cmocka_unit_test(a_reference_that_does_what_the_model_says_is_not_blamed),
        cmocka_unit_test(what_the_reference_does_not_show_is_said),
        cmocka_unit_test(a_reference_that_shows_little_is_explained_all_the_same),
        cmocka_unit_test(an_interrupt_ends_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
