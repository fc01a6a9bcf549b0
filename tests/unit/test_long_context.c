// SPDX-License-Identifier: MIT
/* test_long_context.c - 32,768 positions: the same bits whatever batches and threads, in memory
 * that grows with their number and not with its square. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lockstep/model.h"
#include "support/files.h"
#include "support/tiny_model.h"

enum { N = 32768, V = 300, D = 8, ROOM_KIB = 48 << 10 };

static char      path[] = "/tmp/lockstep-test-XXXXXX";
static ls_model *model;

static int make(void **state)
{
    gguf_build b = {0};
    tiny_model t = {.d = D, .ctx = N, .vocab = V, .seed = 3};
    int        fd = mkstemp(path);
    (void)state;
    if (fd < 0) return 1;
    close(fd);
    tiny_model_build(&b, &t);
    file_write(path, b.data, b.n);
    gguf_build_free(&b);
    return ls_model_open(&model, path, NULL) != LS_OK;
}

static int clean(void **state)
{
    (void)state;
    ls_model_close(model);
    unlink(path);
    return 0;
}

/* Peak memory of this process; 0: the system does not say. */
static long peak_kib(void)
{
    char  line[256];
    long  kib = 0;
    FILE *f = fopen("/proc/self/status", "r");
    while (f && fgets(line, sizeof(line), f)) (void)sscanf(line, "VmHWM: %ld kB", &kib);
    if (f) fclose(f);
    return kib;
}

static ls_session *open_session(int kv_type, int batch, int threads)
{
    ls_session_options opt = {
        .n_ctx = N, .n_batch = batch, .n_threads = threads, .kv_type = kv_type};
    ls_session *s = NULL;
    assert_int_equal(ls_session_create(&s, model, &opt, NULL), LS_OK);
    return s;
}

/* Tokens [from, to) of a long text; the logits of the last one to out [V]. */
static void evaluate(ls_session *s, float *out, int from, int to)
{
    static int32_t ids[N];
    const float   *row = NULL;
    size_t         n = (size_t)(to - from);
    for (int i = from; i < to; i++) ids[i] = 3 + (int)(((uint32_t)i * 2654435761u) >> 8) % 250;
    assert_int_equal(ls_session_eval(s, ids + from, n, NULL), LS_OK);
    assert_int_equal(ls_session_logits(s, n - 1, &row, NULL), LS_OK);
    memcpy(out, row, V * sizeof(*out));
}

static void takes_memory_that_does_not_grow_with_the_square(void **state)
{
    static float whole[V], cut[V];
    long         before = peak_kib(), after;
    ls_session  *s = open_session(LS_DTYPE_F16, 512, 2);
    (void)state;
    evaluate(s, whole, 0, N);
    after = peak_kib();
    printf("%ld KiB before, %ld KiB at most\n", before, after);
    if (before > 0) assert_in_range(after - before, 0, ROOM_KIB);
    ls_session_rewind(s, N - 2000); /* the end once more, 64 tokens at a time */
    for (int i = N - 2000; i < N; i += 64) evaluate(s, cut, i, i + 64 < N ? i + 64 : N);
    assert_memory_equal(whole, cut, sizeof(whole));
    ls_session_destroy(s);
}

static void gives_the_same_bits_for_batches_of_512_and_64_and_for_any_threads(void **state)
{
    static const int types[] = {LS_DTYPE_F32, LS_DTYPE_BF16};
    static float     wide[V], narrow[V], shorter[V];
    (void)state;
    for (int i = 0; i < 2; i++) {
        ls_session *a = open_session(types[i], 512, 2), *b = open_session(types[i], 64, 1);
        evaluate(a, wide, 0, 6000);
        evaluate(b, narrow, 0, 5999);
        memcpy(shorter, narrow, sizeof(shorter));
        evaluate(b, narrow, 5999, 6000);
        assert_memory_equal(wide, narrow, sizeof(wide));
        assert_memory_not_equal(wide, shorter, sizeof(wide)); /* or the logits say nothing */
        ls_session_destroy(a);
        ls_session_destroy(b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_memory_that_does_not_grow_with_the_square),
        cmocka_unit_test(gives_the_same_bits_for_batches_of_512_and_64_and_for_any_threads),
    };
    return cmocka_run_group_tests(tests, make, clean);
}
