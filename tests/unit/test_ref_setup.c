// SPDX-License-Identifier: MIT
/* test_ref_setup.c - setting a reference up: the older API of llama.cpp, which bitnet.cpp still
 * has, compiled against stand-in headers (tests/support/adapters/oldapi) and run to its logits;
 * and everything that can go wrong on the way, after which nothing is installed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "engine/proc.h"
#include "engine/refs.h"
#include "lockstep/engine.h"

#define OLD_API LS_SOURCE_DIR "/tests/support/adapters/oldapi"

static char        root[64], cache[96], checkout[96], old_path[4096];
static ls_ref_dirs dirs;

static void sh(const char *fmt, ...) LS_PRINTF(1, 2);

static void sh(const char *fmt, ...)
{
    char              line[2048], output[400];
    const char *const argv[] = {"sh", "-ec", line, NULL};
    ls_proc_options   opt = {.argv = argv, .dir = root};
    int               code;
    va_list           ap;
    va_start(ap, fmt);
    vsnprintf(line, sizeof(line), fmt, ap);
    va_end(ap);
    assert_int_equal(ls_proc_run(&opt, 60, &code, output, sizeof(output), NULL), LS_OK);
    if (code != 0) fail_msg("%s: %s", line, output);
}

/* A built checkout of bitnet.cpp, as far as the adapter can see. */
static void make_checkout(void)
{
    sh("rm -rf bit cache; mkdir -p bit/3rdparty/llama.cpp bit/include "
       "bit/build/3rdparty/llama.cpp/src bit/build/3rdparty/llama.cpp/ggml/src; "
       "cp -r " OLD_API "/include bit/3rdparty/llama.cpp/; mkdir bit/3rdparty/llama.cpp/ggml; "
       "cp -r " OLD_API
       "/ggml/include bit/3rdparty/llama.cpp/ggml/; cd bit/build/3rdparty/llama.cpp; "
       "I='-I../../../3rdparty/llama.cpp/include -I../../../3rdparty/llama.cpp/ggml/include'; "
       "cc -shared -fPIC $I -Wl,-soname,libggml.so -o ggml/src/libggml.so " OLD_API
       "/src/ggml_stub.c; "
       "cc -shared -fPIC $I -Wl,-soname,libllama.so -o src/libllama.so " OLD_API
       "/src/llama_stub.c "
       "-Lggml/src -lggml");
}

static void count_step(void *ctx, const char *step)
{
    assert_true(strlen(step) > 3);
    ++*(int *)ctx;
}

static ls_status set_up(ls_ref_kind kind, const char *dir, bool force, ls_ref_status *out,
                        ls_error *err)
{
    int              steps = 0;
    ls_setup_options opt = {
        .dir = dir, .force = force, .progress = count_step, .progress_ctx = &steps};
    ls_error_clear(err);
    return ls_ref_setup(kind, &dirs, &opt, out, err);
}

static void assert_has(const char *text, const char *part)
{
    if (!strstr(text, part)) fail_msg("'%s' is not in '%s'", part, text);
}

/* The cache holds no engine and no litter of a setup that failed. */
static void assert_nothing_installed(void)
{
    char           path[128];
    DIR           *d;
    struct dirent *e;
    snprintf(path, sizeof(path), "%s/engines", cache);
    d = opendir(path);
    while (d && (e = readdir(d)) != NULL) {
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
            fail_msg("%s is there", e->d_name);
    }
    if (d) closedir(d);
}

/* The stub's own definition (llama_stub.c): the sum after these ids. */
static int32_t stub_sum(const int32_t *ids, size_t n)
{
    int32_t sum = 0;
    for (size_t i = 0; i < n; i++) sum = (sum * 31 + ids[i] * ((int32_t)i + 1)) % 1009;
    return sum;
}

static void check_stub_row(ls_engine *e, size_t row, const int32_t *ids, size_t n)
{
    const float *got;
    assert_int_equal(ls_engine_logits(e, row, &got, NULL), LS_OK);
    for (int32_t j = 0; j < 260; j++) {
        float want = (float)stub_sum(ids, n) * 0.25f + (float)j * 0.5f;
        if (got[j] != want)
            fail_msg("row %zu, token %d: %g, not %g", row, j, (double)got[j], (double)want);
    }
}

static void check_stub_tokens(ls_engine *e)
{
    ls_encode_options o = {.bos = LS_BOS_NO, .parse_special = true};
    int32_t          *ids;
    size_t            n;
    assert_int_equal(ls_engine_tokenize(e, "ab", 2, NULL, &ids, &n, NULL), LS_OK);
    assert_true(n == 3 && ids[0] == 257 && ids[1] == 'a' && ids[2] == 'b');
    free(ids);
    assert_int_equal(ls_engine_tokenize(e, "<s>a", 4, &o, &ids, &n, NULL), LS_OK);
    assert_true(n == 2 && ids[0] == 257 && ids[1] == 'a');
    free(ids);
    o = (ls_encode_options){.bos = LS_BOS_YES};
    assert_int_equal(ls_engine_tokenize(e, "wwww", 4, &o, &ids, &n, NULL), LS_OK);
    assert_true(n == 41 && ids[0] == 257 && ids[40] == 'w'); /* more than the first guess */
    free(ids);
}

/* What the stub's nodes (llama_stub.c) are as taps: the product with its bias, not without. */
static void check_stub_tap(void *ctx, const ls_tap_values *v)
{
    static const int32_t ids[] = {257, 5, 6};
    int                 *n = ctx;
    assert_true(v->layer == 1 && v->pos == 0 && v->heads == 1 && v->rows == 3 && v->n == 2);
    assert_int_equal(v->op, *n == 0 ? LS_OP_ATTN_NORM : LS_OP_Q_PROJ);
    for (int i = 0; i < 6; i++) {
        float want = (float)(100 * (i / 2) + 10 * ids[i / 2] + i % 2 + *n);
        if (v->data[i] != want) fail_msg("tap %d, value %d: %g", *n, i, (double)v->data[i]);
    }
    ++*n;
}

static void check_stub_taps(const ls_ref_status *s, const ls_engine_options *opt)
{
    static const int32_t ids[] = {257, 5, 6};
    ls_engine_options    o = *opt;
    ls_engine           *e;
    int                  n = 0;
    o.watch = (ls_watch){check_stub_tap, &n};
    assert_int_equal(ls_engine_open_reference(&e, s->exe, &o, NULL), LS_OK);
    assert_int_equal(ls_engine_eval(e, ids, 3, NULL), LS_OK);
    assert_int_equal(n, 2);
    ls_engine_close(e);
}

static void the_older_api_compiles_and_computes(void **state)
{
    static const int32_t ids[] = {257, 5, 6, 7, 8};
    ls_ref_status        s;
    ls_error             err;
    ls_engine           *e;
    ls_engine_options    o = {.model_path = OLD_API "/README.md",
                              .n_ctx = 8,
                              .n_batch = 4,
                              .n_threads = 3,
                              .kv_type = LS_DTYPE_F32,
                              .timeout_s = 20};
    (void)state;
    make_checkout();
    if (set_up(LS_REF_BITNET, checkout, false, &s, &err) != LS_OK) fail_msg("%s", err.what);
    assert_int_equal(s.state, LS_REF_READY);
    if (ls_engine_open_reference(&e, s.exe, &o, &err) != LS_OK) fail_msg("%s", err.what);
    assert_string_equal(ls_engine_get_info(e)->engine, "bitnet");
    assert_string_equal(ls_engine_get_info(e)->isa, "avx2");
    assert_string_equal(ls_engine_get_info(e)->kv_type, "f32");
    assert_has(ls_engine_get_info(e)->library, "/build/3rdparty/llama.cpp/src/libllama.so");
    check_stub_tokens(e);
    assert_int_equal(ls_engine_eval(e, ids, 3, NULL), LS_OK);
    for (size_t i = 0; i < 3; i++) check_stub_row(e, i, ids, i + 1);
    assert_int_equal(ls_engine_eval(e, ids + 3, 2, NULL), LS_OK);
    check_stub_row(e, 1, ids, 5);
    assert_int_equal(ls_engine_eval(e, ids, 4, NULL), LS_ERR_LIMIT);
    assert_int_equal(ls_engine_reset(e, NULL), LS_OK);
    assert_int_equal(ls_engine_eval(e, ids, 2, NULL), LS_OK);
    check_stub_row(e, 1, ids, 2);
    ls_engine_close(e);
    check_stub_taps(&s, &o);
    o.model_path = "/nonexistent.gguf";
    ls_error_clear(&err);
    assert_int_equal(ls_engine_open_reference(&e, s.exe, &o, &err), LS_ERR_FORMAT);
    assert_has(err.what,
               "bitnet.cpp refuses the model: error loading model: the stub cannot open it");
}

static void is_found_afterwards_and_a_second_setup_takes_no_time(void **state)
{
    ls_ref_status s;
    ls_error      err;
    ls_ref_dirs   named = dirs;
    uint64_t      begin;
    struct stat   before, after;
    (void)state;
    make_checkout();
    assert_int_equal(set_up(LS_REF_BITNET, checkout, false, &s, &err), LS_OK);
    assert_int_equal(stat(s.exe, &before), 0);
    begin = ls_now_ns();
    assert_int_equal(set_up(LS_REF_BITNET, checkout, false, &s, &err), LS_OK);
    assert_true(ls_now_ns() - begin < 300000000u);
    assert_int_equal(stat(s.exe, &after), 0);
    assert_int_equal(before.st_ino, after.st_ino);
    ls_ref_find(&s, LS_REF_BITNET, &dirs);
    assert_int_equal(s.state, LS_REF_READY);
    assert_string_equal(s.source, "cache");
    named.bitnet_cpp_dir = checkout;
    ls_ref_find(&s, LS_REF_BITNET, &named);
    assert_int_equal(s.state, LS_REF_READY);
    assert_string_equal(s.source, "BITNET_CPP_DIR");
    assert_int_equal(set_up(LS_REF_BITNET, checkout, true, &s, &err), LS_OK); /* forced */
    assert_int_equal(stat(s.exe, &after), 0);
    assert_int_not_equal(before.st_ino, after.st_ino);
    sh("test -z \"$(ls -A cache/engines | grep -v bitnet)\""); /* no scratch folder is left */
}

static void headers_that_changed_ask_for_a_new_adapter(void **state)
{
    ls_ref_status s;
    ls_error      err;
    (void)state;
    make_checkout();
    assert_int_equal(set_up(LS_REF_BITNET, checkout, false, &s, &err), LS_OK);
    sh("echo '/* pulled */' >> bit/3rdparty/llama.cpp/include/llama.h");
    ls_ref_find(&s, LS_REF_BITNET, &dirs);
    assert_int_equal(s.state, LS_REF_UNBUILT);
    assert_has(s.missing, "has changed since");
    assert_int_equal(set_up(LS_REF_BITNET, checkout, false, &s, &err), LS_OK);
    assert_int_equal(s.state, LS_REF_READY);
}

/* Two at once, as two CI jobs would: both succeed, one engine is there, and it works. */
static void two_setups_at_once_do_not_disturb_each_other(void **state)
{
    ls_ref_status s;
    ls_error      err;
    pid_t         other;
    int           status;
    (void)state;
    make_checkout();
    other = fork();
    if (other == 0) _exit(set_up(LS_REF_BITNET, checkout, false, &s, &err) != LS_OK);
    assert_int_equal(set_up(LS_REF_BITNET, checkout, true, &s, &err), LS_OK);
    waitpid(other, &status, 0);
    assert_int_equal(status, 0);
    ls_ref_find(&s, LS_REF_BITNET, &dirs);
    assert_int_equal(s.state, LS_REF_READY);
    sh("test -z \"$(ls -A cache/engines | grep -v bitnet)\"");
}

static const struct broken {
    const char *name, *spoil; /* what is done to the checkout */
    const char *text;
} broken[] = {
    {"no library", "rm bit/build/3rdparty/llama.cpp/src/libllama.so", "holds no libllama.so"},
    {"no headers", "rm bit/3rdparty/llama.cpp/include/llama.h", "headers llama.h and ggml.h"},
    {"headers that do not compile", "echo 'int int;' >> bit/3rdparty/llama.cpp/include/llama.h",
     "does not compile against the headers"},
    {"an API that nobody knows",
     "sed -i s/llama_kv_cache_clear/llama_kv_wipe/ bit/3rdparty/llama.cpp/include/llama.h",
     "does not compile against the headers"},
    {"a library of another version",
     "cd bit/build/3rdparty/llama.cpp; L=../../../3rdparty/llama.cpp; "
     "cc -shared -fPIC -I$L/include -I$L/ggml/include -Dllama_token_bos=llama_token_boss "
     "-o src/libllama.so " OLD_API "/src/llama_stub.c -Lggml/src -lggml",
     "has no function 'llama_token_bos'"},
    {"a library that is none", "echo hello > bit/build/3rdparty/llama.cpp/src/libllama.so",
     "cannot load a library"},
    {"a libggml that is not there", "rm bit/build/3rdparty/llama.cpp/ggml/src/libggml.so",
     "libggml.so"},
};

static void what_cannot_be_set_up_is_said_and_not_installed(void **state)
{
    ls_ref_status s;
    ls_error      err;
    (void)state;
    for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
        make_checkout();
        sh("%s", broken[i].spoil);
        assert_int_equal(set_up(LS_REF_BITNET, checkout, false, &s, &err), LS_ERR_REFERENCE);
        assert_has(err.what, broken[i].text);
        assert_nothing_installed();
    }
    assert_int_equal(set_up(LS_REF_BITNET, "/nonexistent", false, &s, &err), LS_ERR_REFERENCE);
    assert_has(err.what, "'/nonexistent'");
    assert_int_equal(set_up(LS_REF_BITNET, NULL, false, &s, &err), LS_ERR_REFERENCE);
    assert_has(err.what, "no ready-made bitnet.cpp");
    assert_has(err.hint, "lockstep engine setup bitnet --dir DIR");
    assert_nothing_installed();
}

/* npm as the test wants it: a script of this name, alone in PATH with what a script needs. */
static const struct npm {
    const char *name, *script; /* NULL: there is no npm */
    const char *text, *hint;
} npms[] = {
    {"no npm", NULL, "the program 'npm' is needed for fetching llama.cpp and is not installed",
     "apt-get install npm"},
    {"no network", "echo 'npm error code ENOTFOUND' >&2; exit 1",
     "'npm' exited with status 1: npm error code ENOTFOUND", "is there a network?"},
    {"another package", "mkdir package && echo evil > package/index.js && tar -czf x.tgz package",
     "is not the expected one: its hash is sha512-", "nothing was installed"},
    {"nothing", "exit 0", "left no package", NULL},
};

static void write_npm(const char *script)
{
    char  path[256];
    FILE *f;
    snprintf(path, sizeof(path), "%s/bin/npm", root);
    f = fopen(path, "w");
    assert_non_null(f);
    fprintf(f, "#!/bin/sh\n%s\n", script);
    fclose(f);
    chmod(path, 0755);
}

static void npm_is_not_believed(void **state)
{
    ls_ref_status s;
    ls_error      err;
    char          path[256];
    (void)state;
    for (size_t i = 0; i < sizeof(npms) / sizeof(npms[0]); i++) {
        sh("rm -rf cache bin; mkdir bin; for t in sh mkdir tar gzip cat; do ln -s \"$(command -v "
           "$t)\" bin/; done");
        if (npms[i].script) write_npm(npms[i].script);
        snprintf(path, sizeof(path), "%s/bin", root);
        setenv("PATH", path, 1);
        assert_int_equal(set_up(LS_REF_LLAMA, NULL, false, &s, &err), LS_ERR_REFERENCE);
        setenv("PATH", old_path, 1);
        assert_has(err.what, npms[i].text);
        if (npms[i].hint) assert_has(err.hint, npms[i].hint);
        assert_nothing_installed();
    }
}

static int make_root(void **state)
{
    (void)state;
    snprintf(old_path, sizeof(old_path), "%s", getenv("PATH"));
    snprintf(root, sizeof(root), P_tmpdir "/lockstep-test-XXXXXX");
    if (!mkdtemp(root)) return -1;
    snprintf(cache, sizeof(cache), "%s/cache", root);
    snprintf(checkout, sizeof(checkout), "%s/bit", root);
    dirs.cache_dir = cache;
    return 0;
}

static int remove_root(void **state)
{
    (void)state;
    sh("rm -rf ./* && rmdir '%s'", root);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_older_api_compiles_and_computes),
        cmocka_unit_test(is_found_afterwards_and_a_second_setup_takes_no_time),
        cmocka_unit_test(headers_that_changed_ask_for_a_new_adapter),
        cmocka_unit_test(two_setups_at_once_do_not_disturb_each_other),
        cmocka_unit_test(what_cannot_be_set_up_is_said_and_not_installed),
        cmocka_unit_test(npm_is_not_believed),
    };
    if (system("cc --version >/dev/null 2>&1") != 0) {
        printf("SKIP: there is no C compiler 'cc'\n");
        return 77;
    }
    return cmocka_run_group_tests(tests, make_root, remove_root);
}
