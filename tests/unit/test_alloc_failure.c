// SPDX-License-Identifier: MIT
/* test_alloc_failure.c - every allocation of the library fails once: the k-th call gives NULL, for
 * k = 0, 1, 2 ... until a run meets no failure. Each run must say "not enough memory" and, under
 * AddressSanitizer, leak nothing. And evaluating allocates nothing at all. Linked with --wrap. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lockstep/lockstep.h"
#include "support/files.h"
#include "support/shared.h"

#define MODELS LS_SOURCE_DIR "/models/"

/* ---- the wrapped allocator ---- */

static atomic_long n_calls;
static long        fail_at = -1; /* number of the call that fails; -1: none */

static bool fails(void) { return atomic_fetch_add(&n_calls, 1) == fail_at; }

#define WRAP(ret, name, params, args)                                                              \
    ret __real_##name params;                                                                      \
    ret __wrap_##name params;                                                                      \
    ret __wrap_##name params                                                                       \
    {                                                                                              \
        if (!fails()) return __real_##name args;                                                   \
        errno = ENOMEM;                                                                            \
        return NULL;                                                                               \
    }
WRAP(void *, malloc, (size_t n), (n))
WRAP(void *, calloc, (size_t n, size_t size), (n, size))
WRAP(void *, realloc, (void *p, size_t n), (p, n))
WRAP(void *, aligned_alloc, (size_t align, size_t n), (align, n))
WRAP(char *, strdup, (const char *s), (s))
WRAP(char *, strndup, (const char *s, size_t n), (s, n))

/* ---- what is tried ---- */

typedef ls_status operation(const char *model, ls_error *err);

static ls_status op_gguf(const char *model, ls_error *err)
{
    ls_gguf *g;
    LS_TRY(ls_gguf_open(&g, model, err));
    ls_gguf_close(g);
    return LS_OK;
}

static ls_status encode_decode(const ls_tokenizer *t, ls_error *err)
{
    static const char text[] = "Once upon a time, 123 dwarfs said: \"caf\xc3\xa9\" \xff <|x|>\n\n";
    ls_encode_options o = {.parse_special = true};
    int32_t          *ids;
    size_t            n;
    char             *back;
    ls_status         status;
    LS_TRY(ls_tokenizer_encode(t, text, sizeof(text) - 1, &o, &ids, &n, err));
    status = ls_tokenizer_decode(t, ids, n, true, &back, NULL, err);
    free(ids);
    if (status == LS_OK) free(back);
    return status;
}

static ls_status op_tokenizer(const char *model, ls_error *err)
{
    ls_gguf      *g;
    ls_tokenizer *t;
    ls_status     status;
    LS_TRY(ls_gguf_open(&g, model, err));
    status = ls_tokenizer_create(&t, g, err);
    if (status == LS_OK) {
        status = encode_decode(t, err);
        ls_tokenizer_destroy(t);
    }
    ls_gguf_close(g);
    return status;
}

static ls_status op_chat(const char *model, ls_error *err)
{
    static const ls_message messages[] = {{"system", "Be brief.", 9}, {"user", "hi", 2}};
    ls_gguf                *g;
    ls_tokenizer           *t;
    ls_prompt               p;
    ls_status               status;
    LS_TRY(ls_gguf_open(&g, model, err));
    status = ls_tokenizer_create(&t, g, err);
    if (status == LS_OK) {
        status = ls_chat_apply(&p, "instruct", messages, 2, t, g, err);
        if (status == LS_OK) ls_prompt_fini(&p);
        ls_tokenizer_destroy(t);
    }
    ls_gguf_close(g);
    return status;
}

static ls_status evaluate(ls_session *s, ls_error *err)
{
    static const int32_t ids[5] = {1, 2, 3, 4, 5};
    const float         *row;
    LS_TRY(ls_session_eval(s, ids, 5, err));
    for (size_t i = 2; i < 5; i++) LS_TRY(ls_session_logits(s, i, &row, err));
    return LS_OK;
}

static ls_status op_model(const char *model, ls_error *err)
{
    ls_session_options o = {.n_ctx = 8, .n_threads = 2, .rounding = LS_ROUND_I8};
    ls_model          *m;
    ls_session        *s;
    ls_status          status;
    LS_TRY(ls_model_open(&m, model, err));
    status = ls_session_create(&s, m, &o, err);
    if (status == LS_OK) {
        status = evaluate(s, err);
        ls_session_destroy(s);
    }
    ls_model_close(m);
    return status;
}

static ls_status op_hash(const char *model, ls_error *err)
{
    char hex[2 * LS_HASH_MAX + 1];
    LS_TRY(ls_hash_file(hex, sizeof(hex), LS_SHA256, model, err));
    return ls_hash_file(hex, sizeof(hex), LS_BLAKE3, model, err);
}

/* Two native engines side by side, to a verdict. */
static ls_status op_verify(const char *model, ls_error *err)
{
    ls_engine_options    o = {.model_path = model, .n_ctx = 16, .n_threads = 1};
    ls_per_token_options p = {
        .text = "Once upon a time", .len = 16, .max_tokens = 2, .budget = ls_budget_default()};
    ls_per_token_result r = {0};
    ls_engine          *a, *b = NULL;
    ls_status           status;
    LS_TRY(ls_engine_open_native(&a, &o, err));
    status = ls_engine_open_native(&b, &o, err);
    if (status == LS_OK) {
        status = ls_verify_per_token(&r, a, b, &p, err);
        /* A reference that runs out of memory is a verdict, and never a good one. */
        if (status == LS_OK && r.verdict != LS_VERDICT_MATCH) status = r.error.status;
        ls_per_token_fini(&r);
    }
    ls_engine_close(a);
    ls_engine_close(b);
    return status;
}

/* Packed a little at a time. A model that had no memory for the beginning can begin again. */
static ls_status op_pack(const char *model, ls_error *err)
{
    ls_model *m;
    ls_status status = LS_OK;
    bool      done = false;
    LS_TRY(ls_model_open(&m, model, err));
    for (size_t n = 1; n <= 16 && status == LS_OK; n++)
        status = ls_model_pack_some(m, n, 2, &done, err);
    assert_false(done);
    if (status != LS_OK) {
        assert_int_equal(ls_model_pack_some(m, SIZE_MAX, 2, &done, NULL), LS_OK);
        assert_true(done);
    }
    ls_model_close(m);
    return status;
}

/* Importance of one tensor in the older form of such files. */
static const char *importance_file(void)
{
    static char   path[256];
    const int32_t head[] = {1, 17}, calls[] = {1, 64};
    const float   ones[64] = {1};
    FILE         *f;
    if (path[0]) return path;
    file_temporary(path, sizeof(path), "lockstep-alloc");
    f = fopen(path, "wb");
    assert_true(f && fwrite(head, 4, 2, f) == 2 && fwrite("token_embd.weight", 17, 1, f) == 1 &&
                fwrite(calls, 4, 2, f) == 2 && fwrite(ones, 4, 64, f) == 64 && fclose(f) == 0);
    return path;
}

static ls_status op_quantize(const char *model, ls_error *err)
{
    const ls_quantize_override own = {"attn_q", LS_DTYPE_Q8_0};
    ls_quantize_options        o = {.mixture = "Q8_0",
                                    .output_type = LS_DTYPE_NONE,
                                    .embedding_type = LS_DTYPE_Q4_0,
                                    .overrides = &own,
                                    .n_overrides = 1,
                                    .n_threads = 2};
    char                       out[300];
    ls_gguf                   *g;
    ls_imatrix                *im;
    ls_status                  status;
    snprintf(out, sizeof(out), "%s.gguf", importance_file());
    LS_TRY(ls_gguf_open(&g, model, err));
    status = ls_imatrix_open(&im, importance_file(), err);
    if (status == LS_OK) {
        o.imatrix = im;
        status = ls_quantize_model(out, g, &o, err);
        ls_imatrix_close(im);
    }
    ls_gguf_close(g);
    unlink(out);
    return status;
}

/* Written, read, compared. */
static ls_status op_prepack(const char *model, ls_error *err)
{
    ls_prepack_options o = {.n_threads = 2};
    char               out[300];
    bool               used;
    ls_model          *m;
    ls_status          status;
    snprintf(out, sizeof(out), "%s.strips", importance_file());
    LS_TRY(ls_model_open(&m, model, err));
    status = ls_model_prepack(NULL, m, out, &o, err);
    if (status == LS_OK) status = ls_model_verify_prepacked(NULL, m, out, &used, err);
    if (status == LS_OK) status = ls_model_use_prepacked(m, out, &used, err);
    ls_model_close(m);
    unlink(out);
    return status;
}

static ls_status op_book(const char *model, ls_error *err)
{
    const float x[256] = {0.25f, -1};
    uint8_t     out[256];
    (void)model;
    return ls_quantize(LS_DTYPE_IQ3_S, out, x, 1, 256, NULL, err);
}

/* ---- the tests ---- */

static void fail_each_call(operation *op, const char *name, const char *model)
{
    for (long k = 0;; k++) {
        ls_error  err = {0};
        ls_status status;
        bool      met;
        atomic_store(&n_calls, 0);
        fail_at = k;
        status = op(model, &err);
        fail_at = -1;
        met = atomic_load(&n_calls) > k;
        if (!met) {
            if (status != LS_OK) fail_msg("%s: %s", name, err.what);
            print_message("%-9s %-30s %ld allocations\n", name, strrchr(model, '/') + 1, k);
            assert_true(k > 0);
            return;
        }
        if (status != LS_ERR_NOMEM) {
            fail_msg("%s, allocation %ld fails: status %s (%s)", name, k, ls_status_name(status),
                     err.what);
        }
    }
}

static void says_that_memory_is_out_wherever_it_is(void **state)
{
    static const struct {
        operation  *op;
        const char *name, *model;
    } cases[] = {
        {op_gguf, "gguf", MODELS "stories260K.gguf"},
        {op_tokenizer, "tokenizer", MODELS "stories260K.gguf"},
        {op_tokenizer, "tokenizer", MODELS "fables-llama-5m-Q8_0.gguf"},
        {op_chat, "chat", MODELS "stories260K.gguf"},
        {op_hash, "hash", MODELS "stories260K.gguf"},
        {op_model, "model", MODELS "stories260K.gguf"},
        {op_model, "model", MODELS "fables-bitnet-5m-TQ2_0.gguf"},
        {op_verify, "verify", MODELS "stories260K.gguf"},
        {op_pack, "pack", MODELS "stories260K.gguf"},
        {op_quantize, "quantize", MODELS "stories260K.gguf"},
        {op_prepack, "prepack", MODELS "stories260K.gguf"},
        {op_book, "code book", MODELS "none"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        fail_each_call(cases[i].op, cases[i].name, cases[i].model);
    }
    unlink(importance_file());
    if (!shared_missing("models/fables-llama-5m/config.json")) {
        fail_each_call(op_gguf, "folder", shared_path("models/fables-llama-5m"));
    }
}

static void check_no_allocation(const char *model, const ls_session_options *o)
{
    ls_model   *m;
    ls_session *s;
    assert_int_equal(ls_model_open(&m, model, NULL), LS_OK);
    assert_int_equal(ls_session_create(&s, m, o, NULL), LS_OK);
    for (int round = 0; round < 3; round++) {
        atomic_store(&n_calls, 0);
        assert_int_equal(evaluate(s, NULL), LS_OK);
        if (atomic_load(&n_calls)) fail_msg("%s: %ld allocations", model, (long)n_calls);
        ls_session_rewind(s, round);
    }
    ls_session_destroy(s);
    ls_model_close(m);
}

static void allocates_nothing_while_evaluating(void **state)
{
    static const char *const models[] = {
        MODELS "stories260K.gguf",
        MODELS "fables-llama-5m-Q8_0.gguf",
        MODELS "fables-bitnet-5m-TQ2_0.gguf",
        MODELS "fables-bitnet-5m-I2_S.gguf",
    };
    (void)state;
    for (size_t i = 0; i < sizeof(models) / sizeof(models[0]); i++) {
        for (int tier = LS_TIER_SCALAR; tier < LS_N_TIERS; tier++) {
            ls_session_options o = {
                .n_ctx = 16, .n_batch = 3, .n_threads = 2, .tier = (ls_tier)tier};
            if (!ls_tier_available((ls_tier)tier)) continue;
            check_no_allocation(models[i], &o);
            o.kv_type = LS_DTYPE_F16;
            o.rounding = LS_ROUND_I8;
            check_no_allocation(models[i], &o);
        }
    }
}

static void counts_and_fails_the_calls_it_is_told_to(void **state)
{
    void *p;
    (void)state;
    atomic_store(&n_calls, 0);
    fail_at = 1;
    p = malloc(1);
    assert_non_null(p);
    free(p);
    assert_null(calloc(1, 1));
    p = realloc(NULL, 1);
    assert_non_null(p);
    free(p);
    assert_int_equal(atomic_load(&n_calls), 3);
    fail_at = -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_and_fails_the_calls_it_is_told_to),
        cmocka_unit_test(says_that_memory_is_out_wherever_it_is),
        cmocka_unit_test(allocates_nothing_while_evaluating),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
