// SPDX-License-Identifier: MIT
/* test_verify_fingerprint.c - hashes of logits: the same bits, or the position where they part. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <string.h>

#include "lockstep/hash.h"
#include "lockstep/verify.h"
#include "support/fake_engine.h"

static const int32_t ids[] = {1, 5, 9, 5, 2, 60, 33, 7, 7, 21};
enum { N = sizeof(ids) / sizeof(ids[0]) };

static ls_fingerprint run(const fake_options *opt, size_t n_batch)
{
    ls_fingerprint f;
    ls_engine     *e = fake_open(opt);
    assert_int_equal(ls_fingerprint_run(&f, e, ids, N, n_batch, NULL, NULL), LS_OK);
    ls_engine_close(e);
    return f;
}

static void batches_do_not_change_a_fingerprint(void **state)
{
    fake_options   plain = {0}, narrow = {.n_batch = 3};
    ls_fingerprint a = run(&plain, 1), b = run(&plain, 7), c = run(&narrow, 512);
    (void)state;
    assert_int_equal(a.n, N);
    assert_int_equal(a.n_vocab, 64);
    assert_true(a.finite);
    assert_int_equal(ls_fingerprint_compare(&a, &b), -1);
    assert_int_equal(ls_fingerprint_compare(&a, &c), -1);
    assert_memory_equal(a.all, b.all, LS_FINGERPRINT_BYTES);
    ls_fingerprint_fini(&a);
    ls_fingerprint_fini(&b);
    ls_fingerprint_fini(&c);
}

static void one_bit(void *ctx, int32_t pos, float *row, size_t n)
{
    uint32_t bits;
    if (pos != *(int32_t *)ctx) return;
    memcpy(&bits, &row[n - 1], 4);
    bits ^= 1;
    memcpy(&row[n - 1], &bits, 4);
}

static void one_bit_of_one_logit_is_seen_at_its_position(void **state)
{
    fake_options   plain = {0};
    ls_fingerprint a = run(&plain, 4);
    (void)state;
    for (int32_t at = 0; at < N; at++) {
        fake_options   odd = {.edit = one_bit, .edit_ctx = &at};
        ls_fingerprint b = run(&odd, 4);
        assert_int_equal(ls_fingerprint_compare(&a, &b), at);
        assert_memory_not_equal(a.all, b.all, LS_FINGERPRINT_BYTES);
        ls_fingerprint_fini(&b);
    }
    ls_fingerprint_fini(&a);
}

static void unequal_lengths_and_vocabularies_differ(void **state)
{
    fake_options   plain = {0}, other = {.n_vocab = 70};
    ls_fingerprint a = run(&plain, 4), b = run(&other, 4), c;
    ls_engine     *e = fake_open(&plain);
    (void)state;
    assert_int_equal(ls_fingerprint_run(&c, e, ids, N - 2, 4, NULL, NULL), LS_OK);
    assert_int_equal(ls_fingerprint_compare(&a, &b), 0);
    assert_int_equal(ls_fingerprint_compare(&a, &c), N - 2);
    assert_int_equal(ls_fingerprint_compare(&c, &a), N - 2);
    ls_engine_close(e);
    ls_fingerprint_fini(&a);
    ls_fingerprint_fini(&b);
    ls_fingerprint_fini(&c);
}

/* SHA-256 of 40 bytes of zeros, by coreutils: head -c 40 /dev/zero | sha256sum */
static void is_the_sha256_of_the_float_bytes(void **state)
{
    fake_options   zero = {.n_vocab = 10, .fault = FAKE_ZERO_ROW, .at = 0};
    const int32_t  one[] = {3};
    ls_fingerprint f;
    ls_engine     *e = fake_open(&zero);
    char           hex[2 * LS_FINGERPRINT_BYTES + 1];
    (void)state;
    assert_int_equal(ls_fingerprint_run(&f, e, one, 1, 1, NULL, NULL), LS_OK);
    ls_hex(hex, f.all, LS_FINGERPRINT_BYTES);
    assert_string_equal(hex, "2c34ce1df23b838c5abf2a7f6437cca3d3067ed509ff25f11df6b11b582b51eb");
    assert_memory_equal(f.all, f.rows, LS_FINGERPRINT_BYTES);
    ls_engine_close(e);
    ls_fingerprint_fini(&f);
}

static void says_that_a_logit_is_not_finite(void **state)
{
    fake_options   nan = {.fault = FAKE_NAN, .at = 5};
    ls_fingerprint f = run(&nan, 4);
    (void)state;
    assert_false(f.finite);
    ls_fingerprint_fini(&f);
}

static void failures_and_interruption_come_through(void **state)
{
    static const fake_fault faults[] = {FAKE_EVAL_FAILS, FAKE_LOGITS_FAIL, FAKE_NULL_ROW};
    ls_fingerprint          f;
    fake_options            plain = {0};
    volatile int            stop = 1;
    ls_engine              *e;
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        fake_options bad = {.fault = faults[i], .at = 6};
        ls_error     err = {0};
        e = fake_open(&bad);
        assert_int_not_equal(ls_fingerprint_run(&f, e, ids, N, 4, NULL, &err), LS_OK);
        assert_int_not_equal(err.status, LS_OK);
        assert_int_equal(f.n, 4);
        ls_fingerprint_fini(&f);
        ls_engine_close(e);
    }
    e = fake_open(&plain);
    assert_int_equal(ls_fingerprint_run(&f, e, ids, N, 4, &stop, NULL), LS_ERR_CANCELLED);
    ls_fingerprint_fini(&f);
    assert_int_equal(ls_fingerprint_run(&f, e, ids, 0, 4, NULL, NULL), LS_ERR_USAGE);
    assert_int_equal(ls_fingerprint_run(&f, e, ids, N, 0, NULL, NULL), LS_ERR_USAGE);
    ls_fingerprint_fini(&f);
    ls_fingerprint_fini(NULL);
    ls_engine_close(e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(batches_do_not_change_a_fingerprint),
        cmocka_unit_test(one_bit_of_one_logit_is_seen_at_its_position),
        cmocka_unit_test(unequal_lengths_and_vocabularies_differ),
        cmocka_unit_test(is_the_sha256_of_the_float_bytes),
        cmocka_unit_test(says_that_a_logit_is_not_finite),
        cmocka_unit_test(failures_and_interruption_come_through),
    };
    return cmocka_run_group_tests_name("verify_fingerprint", tests, NULL, NULL);
}
