// SPDX-License-Identifier: MIT
/* test_long_context.c - 32,768 positions: the same bits whatever batches and threads, in memory that
 * grows with their number and not with its square. */
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

/* Logits of the last of n tokens, to out [V]. */
static void evaluate(float *out, int n, int kv_type, int batch, int threads)
{
    ls_session_options opt = {
        .n_ctx = N, .n_batch = batch, .n_threads = threads, .kv_type = kv_type};
    ls_session  *s = NULL;
    const float *row = NULL;
    int32_t     *ids = malloc(N * sizeof(*ids));
    assert_non_null(ids);
    for (int i = 0; i < n; i++) ids[i] = 3 + (int)((uint32_t)i * 2654435761u >> 8) % 250;
    assert_int_equal(ls_session_create(&s, model, &opt, NULL), LS_OK);
    assert_int_equal(ls_session_eval(s, ids, (size_t)n, NULL), LS_OK);
    assert_int_equal(ls_session_logits(s, (size_t)n - 1, &row, NULL), LS_OK);
    memcpy(out, row, V * sizeof(*out));
    ls_session_destroy(s);
    free(ids);
}

static void takes_memory_that_does_not_grow_with_the_square(void **state)
{
    static float wide[V], narrow[V];
    long         before = peak_kib(), after;
    (void)state;
    evaluate(wide, N, LS_DTYPE_F16, 512, 2);
    after = peak_kib();
    printf("%ld KiB before, %ld KiB at most\n", before, after);
    if (before > 0) assert_in_range(after - before, 0, ROOM_KIB);
    evaluate(narrow, N, LS_DTYPE_F16, 64, 1);
    assert_memory_equal(wide, narrow, sizeof(wide));
}

/* The token before the last one sees nearly as much, and has other logits: all of it is looked at. */
static void sees_where_a_prompt_ends(void **state)
{
    static float a[V], b[V];
    (void)state;
    evaluate(a, 4096, LS_DTYPE_BF16, 512, 2);
    evaluate(b, 4096, LS_DTYPE_BF16, 64, 3);
    assert_memory_equal(a, b, sizeof(a));
    evaluate(b, 4095, LS_DTYPE_BF16, 64, 1);
    assert_memory_not_equal(a, b, sizeof(a));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_memory_that_does_not_grow_with_the_square),
        cmocka_unit_test(sees_where_a_prompt_ends),
    };
    return cmocka_run_group_tests(tests, make, clean);
}
