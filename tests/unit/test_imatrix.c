// SPDX-License-Identifier: MIT
/* test_imatrix.c - files of importance, in both forms: what is read, and that each file that is
 * wrong in one way is refused with its place (tests/golden/errors/imatrix.expect). That the numbers
 * are those which libllama quantises with is shown by tests/e2e/mixtures.sh. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "lockstep/quantize.h"
#include "support/gguf_build.h"
#include "support/refusals.h"

/* ---- building ---- */

enum { U32 = 4, STR = 8, F32 = 0, F16 = 1 };

/* One thing that is wrong with a file as GGUF. */
enum {
    SOUND,
    NO_DATASETS,
    NO_CHUNK_COUNT,
    CHUNK_COUNT_TEXT,
    NO_TENSORS,
    NO_COUNTS,
    NO_SUMS,
    SUMS_F16,
    COUNTS_DIVIDE_NOT,
    COUNT_NEGATIVE,
    COUNT_NAN,
    SUM_NEGATIVE,
    SUM_INFINITE,
    NAMELESS,
    CUT,
    OTHER_SUFFIXES,
};

static void floats(gguf_build *b, const float *v, size_t n)
{
    for (size_t i = 0; i < n; i++) gguf_build_f32(b, v[i]);
}

/* Two experts with three columns each; the second was never asked. */
static void build_gguf(gguf_build *b, int wrong)
{
    float    sums[6] = {2, 4, 6, 8, 10, 12}, counts[3] = {4, 0, 0};
    uint64_t wide[2] = {3, 2}, narrow[2] = {1, wrong == COUNTS_DIVIDE_NOT ? 4 : 2};
    bool     both = wrong != NO_COUNTS && wrong != NO_SUMS;
    char     name[2][32] = {"blk.0.ffn_up.weight.in_sum2", "blk.0.ffn_up.weight.counts"};
    if (wrong == NAMELESS) strcpy(name[0], ".in_sum2");
    if (wrong == NAMELESS) strcpy(name[1], ".counts");
    if (wrong == OTHER_SUFFIXES) strcpy(name[0], "blk.0.ffn_up.weight");
    if (wrong == OTHER_SUFFIXES) strcpy(name[1], "blk.0.ffn_down.weight");
    if (wrong == COUNT_NEGATIVE) counts[1] = -1;
    if (wrong == COUNT_NAN) counts[0] = NAN;
    if (wrong == SUM_NEGATIVE) sums[2] = -6;
    if (wrong == SUM_INFINITE) sums[0] = INFINITY;
    gguf_build_header(b, 3,
                      wrong == NO_TENSORS ? 0
                      : both              ? 2
                                          : 1,
                      wrong == NO_DATASETS || wrong == NO_CHUNK_COUNT ? 2 : 3);
    if (wrong != NO_DATASETS) {
        gguf_build_kv_array(b, "imatrix.datasets", STR, 2);
        gguf_build_str(b, "a text");
        gguf_build_str(b, "another");
    }
    if (wrong == CHUNK_COUNT_TEXT) {
        gguf_build_kv_str(b, "imatrix.chunk_count", "7");
    } else if (wrong != NO_CHUNK_COUNT) {
        gguf_build_kv_u32(b, "imatrix.chunk_count", 7);
    }
    gguf_build_kv_u32(b, "imatrix.chunk_size", 512);
    if (wrong == NO_TENSORS) return;
    if (wrong != NO_SUMS) gguf_build_tensor(b, name[0], 2, wide, wrong == SUMS_F16 ? F16 : F32, 0);
    if (wrong != NO_COUNTS)
        gguf_build_tensor(b, name[1], 2, narrow, F32, wrong == NO_SUMS ? 0 : 32);
    gguf_build_pad(b, 32);
    if (wrong != NO_SUMS) floats(b, sums, 6);
    gguf_build_pad(b, 32);
    if (wrong != NO_COUNTS) floats(b, counts, wrong == COUNTS_DIVIDE_NOT ? 3 : 2);
    gguf_build_pad(b, 32);
    if (wrong == CUT) b->n -= 40;
}

/* One thing that is wrong with a file of the older form; `cut` are bytes missing at its end. */
typedef struct old_case {
    const char *name;
    size_t      cut;
    uint32_t    n_entries, len, n_values;
    float       value;
    const char *tensor;
    size_t      more; /* bytes behind the end */
} old_case;

static const old_case old_cases[] = {
    {"old_empty", 61, 1, 6, 3, 6, "output", 0},
    {"old_no_entries", 0, 0, 6, 3, 6, "output", 0},
    {"old_entries_negative", 0, 0xffffffff, 6, 3, 6, "output", 0},
    {"old_entries_past_the_end", 0, 100000, 6, 3, 6, "output", 0},
    {"old_second_entry_missing", 17, 2, 6, 3, 6, "output", 0},
    {"old_name_past_the_end", 0, 1, 600, 3, 6, "output", 0},
    {"old_name_empty", 0, 1, 0, 3, 6, "output", 0},
    {"old_name_with_zero", 0, 1, 6, 3, 6, "out\0ut", 0},
    {"old_values_past_the_end", 0, 1, 6, 0x7fffffff, 6, "output", 0},
    {"old_no_values", 0, 1, 6, 0, 6, "output", 0},
    {"old_value_negative", 0, 1, 6, 3, -6, "output", 0},
    {"old_value_nan", 0, 1, 6, 3, NAN, "output", 0},
    {"old_cut_in_values", 25, 1, 6, 3, 6, "output", 0},
    {"old_cut_in_text", 3, 1, 6, 3, 6, "output", 0},
    {"old_bytes_behind", 0, 1, 6, 3, 6, "output", 5},
};
static const old_case old_sound = {"old", 0, 1, 6, 3, 6, "output", 0};

static void build_old(gguf_build *b, const old_case *c)
{
    gguf_build_u32(b, c->n_entries);
    gguf_build_u32(b, c->len);
    gguf_build_bytes(b, c->tensor, 6);
    gguf_build_u32(b, 2); /* calls */
    gguf_build_u32(b, c->n_values);
    floats(b, (const float[]){2, 4, c->value}, 3);
    gguf_build_u32(b, 11); /* chunks */
    gguf_build_u32(b, 6);
    gguf_build_bytes(b, "a text", 6);
    gguf_build_fill(b, 0, c->more);
    b->n -= c->cut < b->n ? c->cut : b->n;
}

static ls_status open_built(gguf_build *b, ls_imatrix **m, ls_error *err)
{
    file_write(in_folder("x.imatrix"), b->data, b->n);
    gguf_build_free(b);
    *b = (gguf_build){0};
    return ls_imatrix_open(m, in_folder("x.imatrix"), err);
}

/* ---- what is read ---- */

static void means_per_column_are_read_from_sums_and_counts(void **state)
{
    static const float      want[6] = {0.5f, 1, 1.5f, 1, 1, 1};
    gguf_build              b = {0};
    ls_imatrix             *m;
    const ls_imatrix_entry *e;
    ls_error                err = {0};
    (void)state;
    build_gguf(&b, SOUND);
    if (open_built(&b, &m, &err) != LS_OK) fail_msg("%s %s", err.what, err.where);
    assert_int_equal(ls_imatrix_n_entries(m), 1);
    assert_int_equal(ls_imatrix_n_chunks(m), 7);
    assert_true(ls_str_is(ls_imatrix_dataset(m), "a text"));
    assert_string_equal(ls_imatrix_path(m), in_folder("x.imatrix"));
    e = ls_imatrix_find(m, LS_STR("blk.0.ffn_up.weight"));
    assert_ptr_equal(e, ls_imatrix_at(m, 0));
    assert_int_equal(e->n, 6);
    assert_memory_equal(e->weights, want, sizeof(want));
    assert_null(ls_imatrix_find(m, LS_STR("blk.0.ffn_up")));
    ls_imatrix_close(m);
}

static void the_older_form_is_read_with_and_without_its_tail(void **state)
{
    static const float      want[3] = {1, 2, 3};
    static const size_t     tails[] = {0, 10, 14}; /* bytes of the tail that are missing */
    gguf_build              b = {0};
    ls_imatrix             *m;
    const ls_imatrix_entry *e;
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        old_case c = old_sound;
        c.cut = tails[i];
        build_old(&b, &c);
        assert_int_equal(open_built(&b, &m, NULL), LS_OK);
        e = ls_imatrix_find(m, LS_STR("output"));
        assert_non_null(e);
        assert_int_equal(e->n, 3);
        assert_memory_equal(e->weights, want, sizeof(want));
        assert_int_equal(ls_imatrix_n_chunks(m), i == 2 ? 0 : 11);
        assert_int_equal(ls_imatrix_dataset(m).len, i == 0 ? 6 : 0);
        ls_imatrix_close(m);
    }
}

/* ---- what is refused ---- */

static void files_of_importance_that_are_wrong_are_refused_with_their_place(void **state)
{
    static const struct {
        const char *name;
        int         wrong;
    } cases[] = {
        {"no_datasets", NO_DATASETS},
        {"no_chunk_count", NO_CHUNK_COUNT},
        {"chunk_count_text", CHUNK_COUNT_TEXT},
        {"no_tensors", NO_TENSORS},
        {"no_counts", NO_COUNTS},
        {"no_sums", NO_SUMS},
        {"sums_f16", SUMS_F16},
        {"counts_divide_not", COUNTS_DIVIDE_NOT},
        {"count_negative", COUNT_NEGATIVE},
        {"count_nan", COUNT_NAN},
        {"sum_negative", SUM_NEGATIVE},
        {"sum_infinite", SUM_INFINITE},
        {"nameless", NAMELESS},
        {"cut", CUT},
        {"other_suffixes", OTHER_SUFFIXES},
    };
    expectation e;
    gguf_build  b = {0};
    ls_imatrix *m;
    (void)state;
    read_expectation(&e, "imatrix.expect");
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        ls_error  err = {0};
        ls_status status;
        build_gguf(&b, cases[i].wrong);
        status = open_built(&b, &m, &err);
        assert_null(m);
        check_line(&e, cases[i].name, status, &err);
    }
    for (size_t i = 0; i < sizeof(old_cases) / sizeof(old_cases[0]); i++) {
        ls_error  err = {0};
        ls_status status;
        build_old(&b, &old_cases[i]);
        status = open_built(&b, &m, &err);
        assert_null(m);
        check_line(&e, old_cases[i].name, status, &err);
    }
    end_expectation(&e);
}

static void a_file_that_is_not_there_is_an_error_of_the_system(void **state)
{
    ls_error    err = {0};
    ls_imatrix *m;
    (void)state;
    assert_int_equal(ls_imatrix_open(&m, in_folder("none"), &err), LS_ERR_IO);
    assert_null(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(means_per_column_are_read_from_sums_and_counts),
        cmocka_unit_test(the_older_form_is_read_with_and_without_its_tail),
        cmocka_unit_test(files_of_importance_that_are_wrong_are_refused_with_their_place),
        cmocka_unit_test(a_file_that_is_not_there_is_an_error_of_the_system),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
