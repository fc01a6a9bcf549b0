// SPDX-License-Identifier: MIT
/* test_reference_host.c - the host against a well-behaved adapter, and against every way in
 * which one can misbehave: the right status, a sentence, in time, and no process left behind.
 *
 * The adapter is ref_main.c as it is shipped around a toy engine (tests/support/adapters). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "lockstep/engine.h"
#include "support/adapters/fake.h"

#define MODEL LS_SOURCE_DIR "/CMakeLists.txt" /* to the toy engine any file is a model */

static ls_status open_fake(ls_engine **e, const char *fault, double timeout_s, ls_error *err)
{
    ls_engine_options o = {.model_path = MODEL,
                           .n_ctx = 4096,
                           .n_batch = 3000,
                           .n_threads = 1,
                           .kv_type = LS_DTYPE_F16,
                           .timeout_s = timeout_s};
    ls_error_clear(err);
    setenv("LS_FAKE_FAULT", fault, 1);
    return ls_engine_open_reference(e, LS_FAKE_ADAPTER, &o, err);
}

/* This process has no child, neither running nor unreaped. */
static void assert_no_child(void)
{
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    assert_int_equal(errno, ECHILD);
}

static void assert_has(const char *text, const char *part)
{
    if (strstr(text, part)) return;
    fail_msg("'%s' is not in '%s'", part, text);
}

static void check_row(ls_engine *e, size_t i, int32_t id, int32_t pos)
{
    const float *row;
    assert_int_equal(ls_engine_logits(e, i, &row, NULL), LS_OK);
    for (int32_t j = 0; j < FAKE_VOCAB; j++) {
        if (row[j] != fake_logit(id, pos, j)) fail_msg("row %zu, token %d", i, j);
    }
}

static void says_who_it_is_and_what_was_set(void **state)
{
    ls_engine            *e;
    ls_error              err;
    const ls_engine_info *i;
    (void)state;
    assert_int_equal(open_fake(&e, "", 10, &err), LS_OK);
    i = ls_engine_get_info(e);
    assert_string_equal(i->engine, "fake");
    assert_string_equal(i->version, "1.2.3");
    assert_string_equal(i->isa, "abacus");
    assert_string_equal(i->library, "/nowhere/libfake.so");
    assert_string_equal(i->kv_type, "f16");
    assert_int_equal(i->n_vocab, FAKE_VOCAB);
    assert_int_equal(i->n_ctx, 4096);
    assert_int_equal(i->n_batch, 3000);
    assert_int_equal(i->n_threads, 1);
    assert_int_equal(i->flash_attn, 0);
    ls_engine_close(e);
    assert_no_child();
}

static void tokenizes_any_bytes_with_the_bos_asked_for(void **state)
{
    static const char text[] = "a\0\xff";
    ls_encode_options no_bos = {.bos = LS_BOS_NO};
    ls_engine        *e;
    ls_error          err;
    int32_t          *ids;
    size_t            n, big = 3000000;
    char             *long_text = calloc(1, big);
    (void)state;
    assert_int_equal(open_fake(&e, "", 20, &err), LS_OK);
    assert_int_equal(ls_engine_tokenize(e, text, 3, NULL, &ids, &n, &err), LS_OK);
    assert_int_equal(n, 4);
    assert_true(ids[0] == FAKE_BOS && ids[1] == 'a' && ids[2] == 0 && ids[3] == 255);
    free(ids);
    assert_int_equal(ls_engine_tokenize(e, "", 0, &no_bos, &ids, &n, &err), LS_OK);
    assert_int_equal(n, 0);
    free(ids);
    /* longer than the socket's buffers, in both directions */
    assert_int_equal(ls_engine_tokenize(e, long_text, big, &no_bos, &ids, &n, &err), LS_OK);
    assert_int_equal(n, big);
    free(ids);
    free(long_text);
    ls_engine_close(e);
}

static void hands_out_every_row_in_any_order(void **state)
{
    enum { MANY = 2900 }; /* 2,900 rows of 300 are less than the window of 4 MiB, not by much */
    static int32_t ids[MANY];
    ls_engine     *e;
    ls_error       err;
    const float   *row;
    (void)state;
    for (int32_t i = 0; i < MANY; i++) ids[i] = i % FAKE_VOCAB;
    assert_int_equal(open_fake(&e, "", 20, &err), LS_OK);
    assert_int_equal(ls_engine_logits(e, 0, &row, &err), LS_ERR_USAGE); /* nothing evaluated */
    assert_int_equal(ls_engine_eval(e, ids, MANY, NULL), LS_OK);
    for (int32_t i = 0; i < MANY; i += 7) check_row(e, (size_t)i, ids[i], i);
    check_row(e, 1, ids[1], 1);
    check_row(e, MANY - 1, ids[MANY - 1], MANY - 1);
    assert_int_equal(ls_engine_logits(e, MANY, &row, NULL), LS_ERR_USAGE);
    assert_int_equal(ls_engine_eval(e, ids + 5, 2, NULL), LS_OK); /* goes on where it was */
    check_row(e, 1, ids[6], MANY + 1);
    check_row(e, 0, ids[5], MANY);
    assert_int_equal(ls_engine_reset(e, NULL), LS_OK);
    assert_int_equal(ls_engine_logits(e, 0, &row, NULL), LS_ERR_USAGE);
    assert_int_equal(ls_engine_eval(e, ids + 9, 1, NULL), LS_OK);
    check_row(e, 0, ids[9], 0);
    assert_int_equal(ls_engine_get_stats(e).n_tokens, MANY + 3);
    assert_true(ls_engine_get_stats(e).eval_ns > 0);
    ls_engine_close(e);
    assert_no_child();
}

static void refuses_wrong_arguments_before_asking_the_child(void **state)
{
    int32_t    ids[3001] = {0};
    ls_engine *e;
    ls_error   err;
    (void)state;
    assert_int_equal(open_fake(&e, "", 10, &err), LS_OK);
    assert_int_equal(ls_engine_eval(e, ids, 0, NULL), LS_ERR_USAGE);
    assert_int_equal(ls_engine_eval(e, ids, 3001, NULL), LS_ERR_USAGE);
    ids[0] = FAKE_VOCAB;
    assert_int_equal(ls_engine_eval(e, ids, 1, NULL), LS_ERR_USAGE);
    ids[0] = -1;
    assert_int_equal(ls_engine_eval(e, ids, 1, &err), LS_ERR_USAGE);
    assert_has(err.what, "token -1 is not in the vocabulary of 300");
    ids[0] = 0;
    assert_int_equal(ls_engine_eval(e, ids, 3000, NULL), LS_OK);
    ls_error_clear(&err);
    assert_int_equal(ls_engine_eval(e, ids, 1097, &err), LS_ERR_LIMIT); /* 4,097th position */
    assert_has(err.what, "4096");
    assert_int_equal(ls_engine_eval(e, ids, 1096, NULL), LS_OK);
    ls_engine_close(e);
}

/* Where a fault shows. */
enum { AT_OPEN, AT_TOKENIZE, AT_EVAL, AT_LOGITS, NOWHERE };

static const struct fault {
    const char *name;
    int         stage;
    ls_status   status;
    const char *text; /* a part of the message */
} faults[] = {
    {"start-exit", AT_OPEN, LS_ERR_REFERENCE,
     "exited with status 3 while starting; its last words: \"cannot find libgomp.so.1 because "
     "[31mof a test\""},
    {"start-silent", AT_OPEN, LS_ERR_REFERENCE, "exited with status 0 while starting"},
    {"start-hang", AT_OPEN, LS_ERR_REFERENCE, "did not answer within 0.4 s while starting"},
    {"version", AT_OPEN, LS_ERR_REFERENCE, "speaks version 9 of the protocol, not 5"},
    {"sizes", AT_OPEN, LS_ERR_REFERENCE, "another layout of the protocol"},
    {"load", AT_OPEN, LS_ERR_REFERENCE, "failed while starting: cannot load libfake.so"},
    {"refuse", AT_OPEN, LS_ERR_FORMAT, "refuses the model: unknown architecture 'toy' sorry"},
    {"vocab-zero", AT_OPEN, LS_ERR_REFERENCE, "a vocabulary of 0"},
    {"vocab-huge", AT_OPEN, LS_ERR_REFERENCE, "a vocabulary of 2147483647"},
    {"batch-huge", AT_OPEN, LS_ERR_REFERENCE, "batches of 2147483647"},
    {"kv-other", AT_OPEN, LS_ERR_REFERENCE, "KV type 7"},
    {"ids-huge", AT_TOKENIZE, LS_ERR_REFERENCE, "sent 1099511627776 bytes"},
    {"ids-odd", AT_TOKENIZE, LS_ERR_REFERENCE, "no number of token ids"},
    {"ids-range", AT_TOKENIZE, LS_ERR_REFERENCE, "tokenized into id 2139062143"},
    {"ids-negative", AT_TOKENIZE, LS_ERR_REFERENCE, "tokenized into id -1"},
    {"eval-crash", AT_EVAL, LS_ERR_REFERENCE,
     "was killed by signal 11 (Segmentation fault) while evaluating 3 tokens"},
    {"eval-abort", AT_EVAL, LS_ERR_REFERENCE,
     "its last words: \"ggml.c:1234: GGML_ASSERT(n > 0) failed\""},
    {"eval-exit", AT_EVAL, LS_ERR_REFERENCE, "exited with status 0 while evaluating 3 tokens"},
    {"eval-hang", AT_EVAL, LS_ERR_REFERENCE,
     "did not answer within 0.4 s while evaluating 3 tokens and was stopped"},
    {"eval-noise", AT_EVAL, LS_ERR_REFERENCE, "the same line over and over"},
    {"magic", AT_EVAL, LS_ERR_REFERENCE, "sent 0x50545448 instead of a response"},
    {"sequence", AT_EVAL, LS_ERR_REFERENCE, "answered request"},
    {"operation", AT_EVAL, LS_ERR_REFERENCE, "answered request"},
    {"length-huge", AT_EVAL, LS_ERR_REFERENCE,
     "sent 18446744073709551615 bytes where 16 were expected"},
    {"length-short", AT_EVAL, LS_ERR_REFERENCE, "sent 12 bytes where 16 were expected"},
    {"header-cut", AT_EVAL, LS_ERR_REFERENCE, "exited with status 0"},
    {"error-huge", AT_EVAL, LS_ERR_REFERENCE, "sent 1000000 bytes as the text of an error"},
    {"vocab-change", AT_EVAL, LS_ERR_REFERENCE, "3 rows of 301 logits instead of 3 of 300"},
    {"rows-missing", AT_EVAL, LS_ERR_REFERENCE, "2 rows of 300 logits instead of 3 of 300"},
    {"full", AT_EVAL, LS_ERR_LIMIT, "no room left"},
    {"fail", AT_EVAL, LS_ERR_REFERENCE,
     "failed while evaluating 3 tokens: llama_decode returned -3"},
    {"rows-short", AT_LOGITS, LS_ERR_REFERENCE,
     "sent 2 rows (3600 bytes) of logits instead of 3 (3600 bytes)"},
    {"rows-bytes", AT_LOGITS, LS_ERR_REFERENCE, "(18446744073709551615 bytes)"},
    {"rows-hang", AT_LOGITS, LS_ERR_REFERENCE, "did not answer within 0.4 s while sending logits"},
    {"unterminated", NOWHERE, LS_OK, NULL},
    {"time-absurd", NOWHERE, LS_OK, NULL},
    {"eval-chatty", NOWHERE, LS_OK, NULL},
    {"close-hang", NOWHERE, LS_OK, NULL},
};

/* Open, tokenize, evaluate, read: returns the first failure and at which stage it came. */
static ls_status go_through(const char *fault, double timeout_s, int *stage, ls_error *err)
{
    static const int32_t ids[] = {1, 2, 3};
    ls_engine           *e = NULL;
    int32_t             *got = NULL;
    size_t               n;
    const float         *row;
    ls_status            st = open_fake(&e, fault, timeout_s, err);
    *stage = AT_OPEN;
    if (st == LS_OK) {
        *stage = AT_TOKENIZE;
        st = ls_engine_tokenize(e, "abc", 3, NULL, &got, &n, err);
        if (st != LS_OK) assert_null(got);
        free(got);
    }
    if (st == LS_OK) {
        *stage = AT_EVAL;
        st = ls_engine_eval(e, ids, 3, err);
    }
    if (st == LS_OK) {
        *stage = AT_LOGITS;
        st = ls_engine_logits(e, 0, &row, err);
        if (st != LS_OK)
            assert_null(row);
        else
            check_row(e, 2, 3, 2);
    }
    if (st == LS_OK) {
        *stage = NOWHERE;
        assert_true(ls_engine_get_stats(e).eval_ns < 60000000000u); /* not what the child claims */
    }
    ls_engine_close(e);
    return st;
}

static void reports_every_fault_in_time_and_leaves_no_process(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
        const struct fault *f = &faults[i];
        bool                waits = strstr(f->name, "-hang") || strcmp(f->name, "eval-noise") == 0;
        uint64_t            begin = ls_now_ns();
        int                 stage;
        ls_error            err;
        ls_status           st = go_through(f->name, waits ? 0.4 : 20, &stage, &err);
        double              seconds = (double)(ls_now_ns() - begin) * 1e-9;
        if (st != f->status || stage != f->stage) {
            fail_msg("%s: status %d at stage %d: %s", f->name, (int)st, stage, err.what);
        }
        if (f->text) assert_has(err.what, f->text);
        if (seconds > 10) fail_msg("%s took %.1f s", f->name, seconds);
        assert_no_child();
    }
}

static void says_again_what_went_wrong_when_asked_after_a_failure(void **state)
{
    static const int32_t ids[] = {1};
    ls_engine           *e;
    ls_error             err;
    (void)state;
    assert_int_equal(open_fake(&e, "eval-abort", 10, &err), LS_OK);
    assert_int_equal(ls_engine_eval(e, ids, 1, &err), LS_ERR_REFERENCE);
    assert_no_child(); /* reaped at once, not at the close */
    ls_error_clear(&err);
    assert_int_equal(ls_engine_reset(e, &err), LS_ERR_REFERENCE);
    assert_has(err.what, "failed earlier");
    assert_has(err.what, "GGML_ASSERT(n > 0)");
    ls_engine_close(e);
}

static void lives_on_after_a_refusal_in_order(void **state)
{
    static const int32_t ids[] = {1};
    ls_engine           *e;
    ls_error             err;
    (void)state;
    assert_int_equal(open_fake(&e, "fail", 10, &err), LS_OK);
    assert_int_equal(ls_engine_eval(e, ids, 1, &err), LS_ERR_REFERENCE);
    ls_error_clear(&err);
    assert_int_equal(ls_engine_reset(e, &err), LS_OK);
    ls_engine_close(e);
}

/* It is the verifier that has to notice: the host hands them on unchanged. */
static void passes_nan_on_untouched(void **state)
{
    static const int32_t ids[] = {1, 2, 3};
    ls_engine           *e;
    ls_error             err;
    const float         *row;
    (void)state;
    assert_int_equal(open_fake(&e, "nan@1", 10, &err), LS_OK);
    assert_int_equal(ls_engine_eval(e, ids, 3, &err), LS_OK);
    check_row(e, 0, 1, 0);
    assert_int_equal(ls_engine_logits(e, 1, &row, &err), LS_OK);
    assert_true(isnan(row[FAKE_VOCAB / 2]));
    check_row(e, 2, 3, 2);
    ls_engine_close(e);
}

static void names_a_program_that_is_not_there(void **state)
{
    ls_engine_options o = {.model_path = MODEL, .kv_type = LS_DTYPE_F16};
    ls_engine        *e;
    ls_error          err = {0};
    (void)state;
    assert_int_equal(ls_engine_open_reference(&e, "/nonexistent/lockstep-ref-llama", &o, &err),
                     LS_ERR_REFERENCE);
    assert_null(e);
    assert_has(err.what, "/nonexistent/lockstep-ref-llama");
    ls_error_clear(&err); /* executable by its mode, but no program */
    assert_int_equal(ls_engine_open_reference(&e, "/", &o, &err), LS_ERR_REFERENCE);
    assert_has(err.what, "cannot start the program: Permission denied");
    assert_no_child();
}

/* The process with this id is gone, or dead and waiting for somebody else to reap it. */
static bool is_gone(long pid)
{
    char  path[64], line[512];
    FILE *f;
    bool  dead = true;
    snprintf(path, sizeof(path), "/proc/%ld/stat", pid);
    f = fopen(path, "r");
    if (f && fgets(line, sizeof(line), f)) {
        const char *state = strrchr(line, ')');
        dead = state && (state[2] == 'Z' || state[2] == 'X');
    }
    if (f) fclose(f);
    return dead;
}

static void assert_ends_soon(const char *pidfile)
{
    FILE *f = fopen(pidfile, "r");
    long  pid = 0;
    assert_non_null(f);
    assert_int_equal(fscanf(f, "%ld", &pid), 1);
    fclose(f);
    for (int i = 0; i < 300 && !is_gone(pid); i++) usleep(10000);
    assert_true(is_gone(pid));
}

static void a_killed_host_leaves_no_orphan(void **state)
{
    char  pidfile[] = P_tmpdir "/lockstep-test-XXXXXX";
    int   fd = mkstemp(pidfile), ready[2], status;
    pid_t host;
    char  byte;
    (void)state;
    close(fd);
    assert_int_equal(pipe(ready), 0);
    setenv("LS_FAKE_PIDFILE", pidfile, 1);
    host = fork();
    if (host == 0) { /* a host that is evaluating when it is killed */
        static const int32_t ids[] = {1};
        ls_engine           *e;
        ls_error             err;
        if (open_fake(&e, "eval-hang", 60, &err) != LS_OK || write(ready[1], "x", 1) != 1) _exit(1);
        _exit(ls_engine_eval(e, ids, 1, &err) == LS_OK);
    }
    assert_int_equal(read(ready[0], &byte, 1), 1);
    usleep(50000);
    kill(host, SIGKILL);
    waitpid(host, &status, 0);
    assert_true(WIFSIGNALED(status));
    assert_ends_soon(pidfile);
    close(ready[0]);
    close(ready[1]);
    unlink(pidfile);
    unsetenv("LS_FAKE_PIDFILE");
}

static void ends_what_the_adapter_has_started_too(void **state)
{
    char       pidfile[] = P_tmpdir "/lockstep-test-XXXXXX";
    int        fd = mkstemp(pidfile);
    ls_engine *e;
    ls_error   err;
    (void)state;
    close(fd);
    setenv("LS_FAKE_PIDFILE", pidfile, 1);
    assert_int_equal(open_fake(&e, "grandchild", 10, &err), LS_OK);
    ls_engine_close(e);
    assert_ends_soon(pidfile);
    unlink(pidfile);
    unsetenv("LS_FAKE_PIDFILE");
}

static void two_engines_live_side_by_side(void **state)
{
    static const int32_t ids[] = {1, 2};
    ls_engine           *a, *b;
    ls_error             err;
    (void)state;
    assert_int_equal(open_fake(&a, "", 10, &err), LS_OK);
    assert_int_equal(open_fake(&b, "eval-crash", 10, &err), LS_OK);
    assert_int_equal(ls_engine_eval(a, ids, 2, NULL), LS_OK);
    assert_int_equal(ls_engine_eval(b, ids, 2, NULL), LS_ERR_REFERENCE);
    check_row(a, 1, 2, 1);
    ls_engine_close(a); /* b's end of a's socket would keep a alive if it had leaked */
    ls_engine_close(b);
    assert_no_child();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(says_who_it_is_and_what_was_set),
        cmocka_unit_test(tokenizes_any_bytes_with_the_bos_asked_for),
        cmocka_unit_test(hands_out_every_row_in_any_order),
        cmocka_unit_test(refuses_wrong_arguments_before_asking_the_child),
        cmocka_unit_test(reports_every_fault_in_time_and_leaves_no_process),
        cmocka_unit_test(says_again_what_went_wrong_when_asked_after_a_failure),
        cmocka_unit_test(lives_on_after_a_refusal_in_order),
        cmocka_unit_test(passes_nan_on_untouched),
        cmocka_unit_test(names_a_program_that_is_not_there),
        cmocka_unit_test(a_killed_host_leaves_no_orphan),
        cmocka_unit_test(ends_what_the_adapter_has_started_too),
        cmocka_unit_test(two_engines_live_side_by_side),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
