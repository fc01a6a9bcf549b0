// SPDX-License-Identifier: MIT
/* test_record.c - sketches against plain arithmetic, traces written and read again, and traces that
 * must not be believed. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lockstep/hash.h"
#include "lockstep/record.h"
#include "support/refusals.h"

enum { N = 1000 };

static void fill(float *x, size_t n, unsigned seed)
{
    for (size_t i = 0; i < n; i++) {
        seed = seed * 1664525u + 1013904223u;
        x[i] = (float)(seed >> 8) / 8388608.0f - 1.0f;
    }
}

static ls_sketch sketch(const float *x, size_t n, size_t piece)
{
    ls_sketcher *k;
    ls_sketch    s;
    assert_int_equal(ls_sketcher_create(&k, NULL), LS_OK);
    for (size_t i = 0; i < n; i += piece) ls_sketcher_add(k, x + i, n - i < piece ? n - i : piece);
    ls_sketcher_finish(k, &s);
    ls_sketcher_destroy(k);
    return s;
}

static void a_sketch_is_what_plain_arithmetic_says(void **state)
{
    float     x[N];
    double    sum = 0, squares = 0, max = 0;
    uint8_t   digest[LS_HASH_MAX];
    char      hex[65];
    ls_hash  *h;
    ls_sketch s;
    (void)state;
    fill(x, N, 7);
    for (size_t i = 0; i < N; i++) {
        sum += (double)x[i];
        squares += (double)x[i] * (double)x[i];
        if (fabs((double)x[i]) > max) max = fabs((double)x[i]);
    }
    assert_int_equal(ls_hash_create(&h, LS_BLAKE3, NULL), LS_OK);
    ls_hash_update(h, x, sizeof(x));
    ls_hex(hex, digest, ls_hash_final(h, digest));
    ls_hash_destroy(h);
    s = sketch(x, N, N);
    assert_string_equal(s.blake3, hex);
    assert_int_equal(s.n, N);
    assert_true(s.sum == sum && s.max_abs == max && s.rms == sqrt(squares / N));
    x[3] = NAN;
    x[5] = -INFINITY;
    s = sketch(x, N, N);
    assert_int_equal(s.n_not_finite, 2);
    assert_true(isfinite(s.sum) && isfinite(s.rms));
}

static void pieces_do_not_matter(void **state)
{
    static const size_t pieces[] = {1, 7, 64, 65, 999};
    float               x[N];
    ls_sketch           whole;
    (void)state;
    fill(x, N, 11);
    whole = sketch(x, N, N);
    for (size_t i = 0; i < 5; i++) {
        ls_sketch s = sketch(x, N, pieces[i]);
        assert_memory_equal(s.projection, whole.projection, sizeof(s.projection));
        assert_string_equal(s.blake3, whole.blake3);
        assert_true(s.sum == whole.sum && s.rms == whole.rms);
    }
}

/* Over many pairs the mean of estimate / truth is 1: eight projections have a relative standard
 * deviation of about a half, 400 pairs one of 1/40. */
static void projections_estimate_distances(void **state)
{
    double mean = 0;
    (void)state;
    for (unsigned k = 0; k < 400; k++) {
        float     a[N], b[N];
        double    truth = 0, estimate = 0;
        ls_sketch s, t;
        fill(a, N, 2 * k + 1);
        fill(b, N, 2 * k + 2);
        for (size_t i = 0; i < N; i++) {
            truth += ((double)a[i] - (double)b[i]) * ((double)a[i] - (double)b[i]);
        }
        s = sketch(a, N, N);
        t = sketch(b, N, N);
        for (int p = 0; p < LS_SKETCH_PROJECTIONS; p++) {
            double d = s.projection[p] - t.projection[p];
            estimate += d * d / LS_SKETCH_PROJECTIONS;
        }
        mean += estimate / truth / 400;
    }
    if (fabs(mean - 1) > 0.1) fail_msg("the mean of estimate / truth is %g", mean);
}

/* ---- folders ---- */

static ls_trace_record records[3];

static ls_trace small_trace(void)
{
    static int32_t ids[] = {1, 5, 9};
    ls_trace       t = {.model_path = "m.gguf",
                        .arch = "llama",
                        .tokens = ids,
                        .n_tokens = 3,
                        .n_prompt = 2,
                        .records = records,
                        .n_records = 3,
                        .perturbed = 0};
    float          x[8];
    strcpy(t.engine.engine, "native");
    for (int i = 0; i < 64; i++)
        t.model_sha256[i] = t.logits_sha256[i] = "0123456789abcdef"[i % 16];
    for (int i = 0; i < 3; i++) {
        fill(x, 8, (unsigned)i);
        records[i] = (ls_trace_record){.seq = i / 2,
                                       .layer = i == 0 ? -1 : 0,
                                       .op = i == 0 ? LS_OP_EMBEDDINGS : LS_OP_ATTN_SCORES,
                                       .pos = i == 2 ? 2 : 0,
                                       .heads = i == 0 ? 1 : 2,
                                       .rows = 2,
                                       .n = i == 0 ? 4 : 2,
                                       .sketch = sketch(x, 8, 8)};
    }
    t.declined[LS_OP_Q_NORM] = true;
    return t;
}

static void what_was_written_is_read(void **state)
{
    ls_trace t = small_trace(), back;
    ls_error err = {0};
    (void)state;
    assert_int_equal(ls_trace_write(&t, folder, false, &err), LS_OK);
    if (ls_trace_read(&back, folder, &err) != LS_OK) fail_msg("%s at %s", err.what, err.where);
    assert_int_equal(back.n_records, 3);
    assert_memory_equal(back.records, records, sizeof(records));
    assert_int_equal(back.n_tokens, 3);
    assert_int_equal(back.n_prompt, 2);
    assert_memory_equal(back.tokens, t.tokens, 3 * sizeof(int32_t));
    assert_string_equal(back.model_sha256, t.model_sha256);
    assert_memory_equal(back.declined, t.declined, sizeof(t.declined));
    assert_int_equal(back.perturbed, 0);
    ls_trace_fini(&back);
}

/* Cut anywhere, neither file makes a trace; and no byte that is changed makes one with fewer
 * records. */
static void half_a_file_is_no_trace(void **state)
{
    static const char *const names[] = {"trace.jsonl", "manifest.json"};
    ls_trace                 t = small_trace(), back;
    (void)state;
    assert_int_equal(ls_trace_write(&t, folder, false, NULL), LS_OK);
    for (int f = 0; f < 2; f++) {
        size_t   n;
        uint8_t *bytes = file_read(in_folder(names[f]), &n);
        for (size_t cut = 0; cut + 2 < n; cut++) {
            ls_error err = {0};
            file_write(in_folder(names[f]), bytes, cut);
            assert_int_not_equal(ls_trace_read(&back, folder, &err), LS_OK);
            assert_true(err.what[0]);
        }
        for (size_t i = 0; i < n; i++) {
            bytes[i] ^= 0x11;
            file_write(in_folder(names[f]), bytes, n);
            if (ls_trace_read(&back, folder, NULL) == LS_OK) assert_int_equal(back.n_records, 3);
            ls_trace_fini(&back);
            bytes[i] ^= 0x11;
        }
        file_write(in_folder(names[f]), bytes, n);
        free(bytes);
    }
}

/* ---- comparing ---- */

static ls_verdict verdict_of(const ls_trace *a, const ls_trace *b, double tol)
{
    ls_trace_diff d;
    ls_verdict    v;
    assert_int_equal(ls_trace_compare(&d, a, b, tol, NULL), LS_OK);
    v = d.verdict;
    assert_true(v == LS_VERDICT_MATCH || d.reason[0]);
    ls_trace_diff_fini(&d);
    return v;
}

static void nothing_passes_by_accident(void **state)
{
    ls_trace        a = small_trace(), b = a;
    ls_trace_record other[3];
    int32_t         ids[] = {1, 5, 8};
    float           x[8];
    (void)state;
    memcpy(other, records, sizeof(other));
    b.records = other;
    assert_int_equal(verdict_of(&a, &b, 1e-6), LS_VERDICT_MATCH);
    b.n_records = 2;
    assert_int_equal(verdict_of(&a, &b, 1e-6), LS_VERDICT_INCONCLUSIVE);
    assert_int_equal(verdict_of(&b, &a, 1e-6), LS_VERDICT_INCONCLUSIVE);
    b.n_records = 0;
    assert_int_equal(verdict_of(&a, &b, 1e-6), LS_VERDICT_INCONCLUSIVE);
    for (int op = 0; op < LS_N_OPS; op++) b.declined[op] = true; /* it has nothing to show */
    assert_int_equal(verdict_of(&a, &b, 1e-6), LS_VERDICT_INCONCLUSIVE);
    b = a;
    b.records = other;
    b.tokens = ids;
    assert_int_equal(verdict_of(&a, &b, 1e-6), LS_VERDICT_TOKENS_DIFFER);
    b.tokens = a.tokens;
    b.model_sha256[5] ^= 1;
    assert_int_equal(verdict_of(&a, &b, 1e-6), LS_VERDICT_TOKENS_DIFFER);
    b.model_sha256[5] ^= 1;
    other[1].sketch.n_not_finite = 1;
    assert_int_equal(verdict_of(&a, &b, 1e9), LS_VERDICT_DIVERGED);
    fill(x, 8, 1);
    x[3] *= 1.5f;
    other[1].sketch = sketch(x, 8, 8);
    assert_int_equal(verdict_of(&a, &b, 1e-6), LS_VERDICT_DIVERGED);
    assert_int_equal(verdict_of(&b, &a, 1e-6), LS_VERDICT_DIVERGED);
    other[1] = records[1];
    strcpy(other[1].sketch.blake3, records[0].sketch.blake3); /* other bits, same statistics */
    assert_int_equal(verdict_of(&a, &b, 1e-6), LS_VERDICT_MATCH);
    other[1] = records[1];
    other[1].sketch.projection[0] += 1e-9; /* the same bits, other statistics */
    assert_int_equal(verdict_of(&a, &b, 1e-6), LS_VERDICT_INCONCLUSIVE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sketch_is_what_plain_arithmetic_says),
        cmocka_unit_test(pieces_do_not_matter),
        cmocka_unit_test(projections_estimate_distances),
        cmocka_unit_test(what_was_written_is_read),
        cmocka_unit_test(half_a_file_is_no_trace),
        cmocka_unit_test(nothing_passes_by_accident),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
