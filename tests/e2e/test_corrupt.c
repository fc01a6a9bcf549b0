// SPDX-License-Identifier: MIT
/* test_corrupt.c - a real model emptied, cut at 300 places, and with bits flipped in its header and
 * tensor directory: refused with file and byte where the specification is broken, evaluated
 * otherwise; never a crash, a hang or memory out of proportion. In process, and a sample through
 * the program. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "lockstep/lockstep.h"
#include "support/child.h"
#include "support/files.h"
#include "support/rng.h"

enum { N_CUTS = 300, N_FLIPS = 1500, PROGRAM_EVERY = 30, MAX_RSS_KIB = 400 * 1024 };

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

static uint8_t *model;
static size_t   size, data_off, data_end; /* of the tensor data */
static char     path[256];

/* Open, tokenize, evaluate three tokens. The first failure's status and text. */
static ls_status use_model(ls_error *err)
{
    static const int32_t ids[3] = {1, 2, 3};
    ls_session_options   o = {.n_ctx = 8, .n_batch = 4, .n_threads = 1};
    ls_model            *m = NULL;
    ls_session          *s = NULL;
    ls_tokenizer        *t = NULL;
    int32_t             *encoded = NULL;
    size_t               n;
    const float         *row;
    ls_encode_options    e = {.parse_special = true};
    ls_status            status = ls_model_open(&m, path, err);
    if (status == LS_OK) {
        ls_error later = {0};
        if (ls_tokenizer_create(&t, ls_model_gguf(m), &later) == LS_OK) {
            ls_tokenizer_encode(t, "Once upon a time", 16, &e, &encoded, &n, &later);
            free(encoded);
        }
        ls_tokenizer_destroy(t);
        status = ls_session_create(&s, m, &o, err);
    }
    if (status == LS_OK) status = ls_session_eval(s, ids, 3, err);
    for (size_t i = 0; status == LS_OK && i < 3; i++) status = ls_session_logits(s, i, &row, err);
    ls_session_destroy(s);
    ls_model_close(m);
    return status;
}

/* What a refusal must look like: a status of bad files, the file's name and a byte inside it. */
static void check_refusal(ls_status status, const ls_error *err, size_t now, const char *what)
{
    const char *byte = strstr(err->where, ": byte ");
    bool        names_file = strncmp(err->where, path, strlen(path)) == 0;
    if (status != LS_ERR_FORMAT && status != LS_ERR_UNSUPPORTED) {
        fail_msg("%s: status %s: %s", what, ls_status_name(status), err->what);
    }
    if (!err->what[0] || !names_file || ls_exit_code(status, err) != 5) {
        fail_msg("%s: '%s' at '%s'", what, err->what, err->where);
    }
    if (status == LS_ERR_FORMAT && (!byte || strtoull(byte + 7, NULL, 10) > now)) {
        fail_msg("%s: no byte of the file in '%s' (%s)", what, err->where, err->what);
    }
}

/* `lockstep run` on the file as it is now: the exit code that `status` asks for. */
static void check_program(ls_status status, const char *what)
{
    const char *const run[] = {LS_PROGRAM, "run", "-m", path, "-p",       "Once",   "-n", "2",
                               "--temp",   "0",   "-t", "1",  "--engine", "native", NULL};
    const char *const inspect[] = {LS_PROGRAM, "model", "inspect", "-m", path, NULL};
    child_result      r;
    if (!child_run(&r, run, NULL, 60)) fail_msg("cannot start '%s'", LS_PROGRAM);
    /* The tokenizer may refuse what the engine does not need, and a context can shrink to nothing.
     */
    if (r.status != 5 && (status != LS_OK || (r.status != 0 && r.status != 6))) {
        fail_msg("%s: run ended with %d: %s", what, r.status, r.err);
    }
    if (r.status == 5 && !strstr(r.err, path)) fail_msg("%s: no file in: %s", what, r.err);
    if (!SANITIZED && r.max_rss_kib > MAX_RSS_KIB) {
        fail_msg("%s: run took %ld KiB", what, r.max_rss_kib);
    }
    if (!child_run(&r, inspect, NULL, 60)) fail_msg("cannot start '%s'", LS_PROGRAM);
    if (r.status != 0 && r.status != 5) fail_msg("%s: inspect ended with %d", what, r.status);
}

static void refuses_an_empty_file(void **state)
{
    ls_error  err = {0};
    ls_status status;
    (void)state;
    file_write(path, model, 0);
    status = use_model(&err);
    check_refusal(status, &err, 0, "empty file");
    check_program(status, "empty file");
}

static void refuses_a_file_cut_anywhere(void **state)
{
    (void)state;
    file_write(path, model, size);
    for (int i = N_CUTS - 1; i >= 0; i--) { /* from long to short; half of them in the directory */
        size_t    n = i < N_CUTS / 2
                          ? data_off * (size_t)i / (N_CUTS / 2)
                          : data_off + (data_end - data_off) * (size_t)(i - N_CUTS / 2) / (N_CUTS / 2);
        ls_error  err = {0};
        ls_status status;
        char      what[64];
        snprintf(what, sizeof(what), "cut to %zu bytes", n);
        assert_int_equal(truncate(path, (off_t)n), 0);
        status = use_model(&err);
        check_refusal(status, &err, n, what);
        if (i % PROGRAM_EVERY == 0) check_program(status, what);
    }
}

static void put(size_t at, uint8_t value)
{
    int fd = open(path, O_WRONLY);
    if (fd < 0 || pwrite(fd, &value, 1, (off_t)at) != 1) fail_msg("cannot write '%s'", path);
    close(fd);
}

static void survives_flipped_bits_in_header_and_directory(void **state)
{
    rng r = {260};
    int n_ok = 0, n_refused = 0;
    (void)state;
    file_write(path, model, size);
    for (int i = 0; i < N_FLIPS; i++) {
        size_t    at[4], n = i % 3 ? 1 : 1 + rng_below(&r, 4);
        ls_error  err = {0};
        ls_status status;
        char      what[64];
        for (size_t j = 0; j < n; j++) {
            at[j] = rng_below(&r, data_off);
            put(at[j], (uint8_t)(model[at[j]] ^ 1u << rng_below(&r, 8)));
        }
        snprintf(what, sizeof(what), "flip %d, first at byte %zu", i, at[0]);
        status = use_model(&err);
        if (status == LS_OK)
            n_ok++;
        else
            check_refusal(status, &err, size, what), n_refused++;
        if (i % PROGRAM_EVERY == 0) check_program(status, what);
        for (size_t j = 0; j < n; j++) put(at[j], model[at[j]]);
    }
    print_message("%d evaluated, %d refused\n", n_ok, n_refused);
    assert_true(n_ok > N_FLIPS / 20 && n_refused > N_FLIPS / 20);
}

static void takes_little_memory_for_all_of_that(void **state)
{
    struct rusage use;
    (void)state;
    getrusage(RUSAGE_SELF, &use);
    print_message("at most %ld KiB\n", use.ru_maxrss);
    if (!SANITIZED) assert_true(use.ru_maxrss < MAX_RSS_KIB);
}

/* The helper that looks for crashes must see one. */
static void tells_a_crash_and_a_hang_from_an_exit_code(void **state)
{
    const char *const crash[] = {"/bin/sh", "-c", "echo dying >&2; kill -SEGV $$", NULL};
    const char *const hang[] = {"/bin/sh", "-c", "exec sleep 60", NULL};
    const char *const five[] = {"/bin/sh", "-c", "exit 5", NULL};
    child_result      r;
    (void)state;
    assert_true(child_run(&r, crash, NULL, 10) && r.status == 128 + 11);
    assert_string_equal(r.err, "dying\n");
    assert_true(child_run(&r, hang, NULL, 0.1) && r.status == 124);
    assert_true(child_run(&r, five, NULL, 10) && r.status == 5);
}

static int prepare(void **state)
{
    ls_gguf *g;
    (void)state;
    model = file_read(LS_SOURCE_DIR "/models/stories260K.gguf", &size);
    file_temporary(path, sizeof(path), "lockstep-corrupt");
    file_write(path, model, size);
    if (ls_gguf_open(&g, path, NULL) != LS_OK) return -1;
    data_off = (size_t)ls_gguf_data_off(g);
    for (size_t i = 0; i < ls_gguf_n_tensors(g); i++) {
        const ls_tensor *t = ls_gguf_tensor_at(g, i);
        if (t->file_off + t->n_bytes > data_end) data_end = (size_t)t->file_off + t->n_bytes;
    }
    ls_gguf_close(g);
    return 0;
}

static int clean(void **state)
{
    (void)state;
    free(model);
    return unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tells_a_crash_and_a_hang_from_an_exit_code),
        cmocka_unit_test(refuses_an_empty_file),
        cmocka_unit_test(refuses_a_file_cut_anywhere),
        cmocka_unit_test(survives_flipped_bits_in_header_and_directory),
        cmocka_unit_test(takes_little_memory_for_all_of_that),
    };
    return cmocka_run_group_tests(tests, prepare, clean);
}
