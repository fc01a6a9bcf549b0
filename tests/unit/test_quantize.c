// SPDX-License-Identifier: MIT
/* test_quantize.c - what quantising a model promises beside its bytes (those are compared with
 * libllama's by tests/e2e/mixtures.sh): names, refusals before and while writing, interruption. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <string.h>
#include <sys/stat.h>

#include "lockstep/gguf_write.h"
#include "lockstep/quantize.h"
#include "support/files.h"

#define MODEL LS_SOURCE_DIR "/models/stories260K.gguf"

static const ls_quantize_options usual = {
    .mixture = "Q8_0", .output_type = LS_DTYPE_NONE, .embedding_type = LS_DTYPE_NONE};

static bool exists(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0;
}

static void knows_every_mixture_by_name_in_any_case_and_no_other(void **state)
{
    size_t n = 0;
    (void)state;
    while (ls_mixture_name(n)) assert_true(ls_mixture_known(ls_mixture_name(n++)));
    assert_true(n >= 38); /* what llama-quantize offers, COPY aside */
    assert_true(ls_mixture_known("q4_k_m") && ls_mixture_known("Q4_k"));
    assert_false(ls_mixture_known("Q4_K_X"));
    assert_false(ls_mixture_known(""));
    assert_false(ls_mixture_known(NULL));
}

static void count(void *ctx, const ls_quantize_tensor *t)
{
    size_t *n = ctx;
    n[0]++;
    n[1] += t->bytes_out;
}

static void a_dry_run_tells_of_every_tensor_and_writes_nothing(void **state)
{
    ls_quantize_options o = usual;
    size_t              dry[2] = {0}, real[2] = {0};
    char                path[256];
    ls_gguf            *g;
    (void)state;
    file_temporary(path, sizeof(path), "lockstep-quantize");
    unlink(path);
    assert_int_equal(ls_gguf_open(&g, MODEL, NULL), LS_OK);
    o.tensor = count;
    o.tensor_ctx = dry;
    o.dry_run = true;
    assert_int_equal(ls_quantize_model(path, g, &o, NULL), LS_OK);
    assert_false(exists(path));
    assert_int_equal(dry[0], ls_gguf_n_tensors(g));
    o.tensor_ctx = real;
    o.dry_run = false;
    assert_int_equal(ls_quantize_model(path, g, &o, NULL), LS_OK);
    assert_memory_equal(dry, real, sizeof(dry));
    ls_gguf_close(g);
    unlink(path);
}

static void interrupt(void *ctx, size_t done, size_t total)
{
    volatile int *flag = ctx;
    *flag = done > total / 2;
}

static void an_interruption_leaves_what_was_there(void **state)
{
    volatile int        flag = 0;
    ls_quantize_options o = usual;
    char                path[256];
    ls_gguf            *g;
    size_t              n;
    uint8_t            *there;
    (void)state;
    file_temporary(path, sizeof(path), "lockstep-quantize");
    file_write(path, "before", 6);
    o.cancelled = &flag;
    o.progress = interrupt;
    o.progress_ctx = (void *)(uintptr_t)&flag;
    assert_int_equal(ls_gguf_open(&g, MODEL, NULL), LS_OK);
    assert_int_equal(ls_quantize_model(path, g, &o, NULL), LS_ERR_CANCELLED);
    ls_gguf_close(g);
    there = file_read(path, &n);
    assert_true(n == 6 && memcmp(there, "before", 6) == 0);
    free(there);
    unlink(path);
}

/* One matrix of 600 rows, in some of which stand numbers that are none. */
static void write_model(const char *path)
{
    enum { COLS = 256, ROWS = 600 };
    static float    x[COLS * ROWS];
    const int64_t   ne[2] = {COLS, ROWS};
    const char     *name = "blk.0.attn_q.weight";
    ls_gguf_writer *w;
    for (size_t i = 0; i < COLS * ROWS; i++) x[i] = (float)(i % 31) - 15;
    x[590 * COLS + 1] = NAN;
    x[200 * COLS + 3] = INFINITY;
    x[201 * COLS] = NAN;
    assert_int_equal(ls_gguf_writer_create(&w, NULL), LS_OK);
    ls_gguf_write_str(w, "general.architecture", LS_STR("llama"), NULL);
    ls_gguf_write_int(w, "llama.block_count", LS_GGUF_U32, 1, NULL);
    ls_gguf_write_tensor(w, (ls_str){name, strlen(name)}, LS_DTYPE_F32, 2, ne, 0, NULL);
    ls_gguf_write_begin(w, path, NULL);
    ls_gguf_write_data(w, x, sizeof(x), NULL);
    assert_int_equal(ls_gguf_write_finish(w, NULL), LS_OK);
    ls_gguf_writer_destroy(w);
}

static void the_first_number_that_is_none_is_named_whatever_the_threads(void **state)
{
    char     path[256], out[300];
    ls_gguf *g;
    (void)state;
    file_temporary(path, sizeof(path), "lockstep-quantize");
    snprintf(out, sizeof(out), "%s.out", path);
    write_model(path);
    assert_int_equal(ls_gguf_open(&g, path, NULL), LS_OK);
    for (int threads = 1; threads <= 8; threads *= 2) {
        ls_quantize_options o = usual;
        ls_error            err = {0};
        o.mixture = "Q4_K_M";
        o.n_threads = threads;
        assert_int_equal(ls_quantize_model(out, g, &o, &err), LS_ERR_UNSUPPORTED);
        assert_string_equal(err.where, "tensor 'blk.0.attn_q.weight', row 200, column 3");
        assert_false(exists(out));
    }
    ls_gguf_close(g);
    unlink(path);
}

static void refuses_options_that_make_no_sense(void **state)
{
    const ls_quantize_override whole = {"attn", LS_DTYPE_I2_S}, none = {"(", LS_DTYPE_Q8_0};
    ls_quantize_options        o[5] = {usual, usual, usual, usual, usual};
    ls_gguf                   *g;
    (void)state;
    o[0].mixture = "Q4_K_X";
    o[1].n_threads = -1;
    o[2].output_type = LS_DTYPE_I32;
    o[3].overrides = &whole;
    o[4].overrides = &none;
    o[3].n_overrides = o[4].n_overrides = 1;
    assert_int_equal(ls_gguf_open(&g, MODEL, NULL), LS_OK);
    for (size_t i = 0; i < 5; i++) {
        ls_error err = {0};
        assert_int_equal(ls_quantize_model("/dev/null/none", g, &o[i], &err), LS_ERR_USAGE);
        assert_true(err.what[0]);
    }
    ls_gguf_close(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(knows_every_mixture_by_name_in_any_case_and_no_other),
        cmocka_unit_test(a_dry_run_tells_of_every_tensor_and_writes_nothing),
        cmocka_unit_test(an_interruption_leaves_what_was_there),
        cmocka_unit_test(the_first_number_that_is_none_is_named_whatever_the_threads),
        cmocka_unit_test(refuses_options_that_make_no_sense),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
