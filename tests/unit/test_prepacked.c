// SPDX-License-Identifier: MIT
/* test_prepacked.c - files of prepacked weights: the same bits come out, and no other file than the
 * model's own, whole and sound, is ever used. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "lockstep/lockstep.h"
#include "model/weights.h"
#include "support/files.h"

#define MODELS LS_SOURCE_DIR "/models/"

enum { N = 5 };

typedef struct fixture {
    char     model[300], strips[320];
    uint8_t *file; /* the prepacked file as it should be */
    size_t   n;
} fixture;

static ls_model *open_model(const char *path)
{
    ls_error  err = {0};
    ls_model *m = NULL;
    if (ls_model_open(&m, path, &err) != LS_OK) fail_msg("%s", err.what);
    return m;
}

static void copy_model(const char *name, const char *to)
{
    char     from[512];
    size_t   n;
    uint8_t *data;
    snprintf(from, sizeof(from), MODELS "%s", name);
    data = file_read(from, &n);
    file_write(to, data, n);
    free(data);
}

/* A ternary model in TL2, in place: its strips are not as long as its rows. */
static void make_tl2(const char *path)
{
    ls_convert_options opt = {.dtype = LS_DTYPE_TL2};
    ls_error           err = {0};
    ls_gguf           *g = NULL;
    if (ls_gguf_open(&g, path, &err) != LS_OK) fail_msg("%s", err.what);
    if (ls_convert_to_gguf(path, g, &opt, &err) != LS_OK) fail_msg("%s", err.what);
    ls_gguf_close(g);
}

static void prepack(const fixture *f)
{
    ls_error  err = {0};
    ls_model *m = open_model(f->model);
    if (ls_model_prepack(NULL, m, NULL, NULL, &err) != LS_OK) fail_msg("%s", err.what);
    ls_model_close(m);
}

static void set_up(fixture *f, const char *name)
{
    file_temporary(f->model, sizeof(f->model), "lockstep-prepacked");
    snprintf(f->strips, sizeof(f->strips), "%s" LS_PREPACKED_SUFFIX, f->model);
    copy_model(name, f->model);
    if (strstr(name, "I2_S")) make_tl2(f->model);
    prepack(f);
    f->file = file_read(f->strips, &f->n);
}

static void tear_down(fixture *f)
{
    free(f->file);
    unlink(f->model);
    unlink(f->strips);
}

/* Logits of the last of N tokens, of a model as it has been prepared. Owned. */
static float *logits_of(const ls_model *m, size_t *bytes)
{
    static const int32_t ids[N] = {1, 40, 7, 300, 12};
    ls_session_options   o = {.n_ctx = N, .n_threads = 2};
    ls_session          *s;
    const float         *row;
    float               *out;
    *bytes = (size_t)ls_model_get_config(m)->n_vocab * sizeof(float);
    assert_int_equal(ls_session_create(&s, m, &o, NULL), LS_OK);
    assert_int_equal(ls_session_eval(s, ids, N, NULL), LS_OK);
    assert_int_equal(ls_session_logits(s, N - 1, &row, NULL), LS_OK);
    out = malloc(*bytes);
    assert_non_null(out);
    memcpy(out, row, *bytes);
    ls_session_destroy(s);
    return out;
}

/* `why` is part of what is said; NULL: the file is used. */
static void expect_use(const fixture *f, const char *why)
{
    ls_model *m = open_model(f->model);
    ls_error  err = {0};
    bool      used = true;
    ls_status status = ls_model_use_prepacked(m, NULL, &used, &err);
    if (why) {
        assert_int_equal(status, LS_ERR_FORMAT);
        assert_false(used);
        if (!strstr(err.what, why)) fail_msg("'%s' is not in '%s'", why, err.what);
        assert_non_null(strstr(err.hint, "model prepack"));
    } else {
        if (status != LS_OK) fail_msg("%s", err.what);
        assert_true(used);
    }
    ls_model_close(m);
}

static void expect_verify(const fixture *f, const char *why)
{
    ls_model *m = open_model(f->model);
    ls_error  err = {0};
    bool      found = true;
    ls_status status = ls_model_verify_prepacked(NULL, m, NULL, &found, &err);
    if (!why && status != LS_OK) fail_msg("%s", err.what);
    if (why) assert_int_equal(status, LS_ERR_FORMAT);
    if (why && !strstr(err.what, why)) fail_msg("'%s' is not in '%s'", why, err.what);
    ls_model_close(m);
}

static void damaged(const fixture *f, size_t at, uint8_t bits)
{
    f->file[at] ^= bits;
    file_write(f->strips, f->file, f->n);
    f->file[at] ^= bits;
}

static void a_prepacked_model_gives_the_same_bits(void **state)
{
    static const char *const names[] = {"fables-llama-5m-Q8_0.gguf", "fables-bitnet-5m-TQ2_0.gguf",
                                        "fables-bitnet-5m-I2_S.gguf", "stories260K.gguf"};
    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        fixture   f;
        ls_model *mapped, *packed;
        float    *a, *b;
        size_t    bytes;
        bool      used = false;
        set_up(&f, names[i]);
        mapped = open_model(f.model);
        packed = open_model(f.model);
        assert_int_equal(ls_model_use_prepacked(mapped, NULL, &used, NULL), LS_OK);
        assert_true(used);
        assert_int_equal(ls_model_pack(mapped, 1, NULL), LS_OK); /* nothing is left to do */
        assert_int_equal(ls_model_pack(packed, 2, NULL), LS_OK);
        a = logits_of(mapped, &bytes);
        b = logits_of(packed, &bytes);
        assert_memory_equal(a, b, bytes);
        free(a);
        free(b);
        ls_model_close(mapped);
        ls_model_close(packed);
        expect_verify(&f, NULL);
        tear_down(&f);
    }
}

/* On a machine that multiplies what this one looks up, and the other way round. */
static void a_file_from_a_machine_with_another_way_to_multiply_is_refused(void **state)
{
    fixture   f;
    ls_model *m;
    ls_error  err = {0};
    (void)state;
    set_up(&f, "fables-bitnet-5m-I2_S.gguf");
    m = open_model(f.model);
    for (int i = 0; i < m->config.n_layers; i++)
        m->layers[i].down.lookup = m->layers[i].down.lookup ? 0 : LS_DTYPE_TL2;
    for (int verify = 0; verify < 2; verify++) {
        bool used = true;
        assert_int_equal(verify ? ls_model_verify_prepacked(NULL, m, NULL, &used, &err)
                                : ls_model_use_prepacked(m, NULL, &used, &err),
                         LS_ERR_FORMAT);
        assert_non_null(strstr(err.what, "another processor"));
        assert_null(m->layers[0].down.strips);
    }
    ls_model_close(m);
    expect_use(&f, NULL);
    tear_down(&f);
}

static void without_a_file_nothing_is_said(void **state)
{
    ls_model *m = open_model(MODELS "stories260K.gguf");
    bool      used = true;
    (void)state;
    assert_int_equal(ls_model_use_prepacked(m, NULL, &used, NULL), LS_OK);
    assert_false(used);
    assert_int_equal(ls_model_use_prepacked(m, "/nonexistent/x.strips", &used, NULL), LS_ERR_IO);
    assert_false(used);
    ls_model_close(m);
}

static void every_changed_byte_of_the_head_is_noticed(void **state)
{
    fixture  f;
    uint64_t head;
    (void)state;
    set_up(&f, "stories260K.gguf");
    memcpy(&head, f.file + 16, sizeof(head));
    assert_true(head >= 4096 && head < f.n);
    for (size_t at = 0; at < head; at += at < 512 || at + 40 > head ? 1 : 61) {
        ls_model *m;
        ls_error  err = {0};
        bool      used = true;
        damaged(&f, at, (uint8_t)(1u << at % 8));
        m = open_model(f.model);
        if (ls_model_use_prepacked(m, NULL, &used, &err) != LS_ERR_FORMAT || used)
            fail_msg("byte %zu of the head is another, and the file is used", at);
        ls_model_close(m);
    }
    damaged(&f, 0, 1);
    expect_use(&f, "is no file of prepacked weights");
    damaged(&f, 8, 2);
    expect_use(&f, "another version");
    damaged(&f, 21, 1); /* a head longer than the file */
    expect_use(&f, "does not hold its own head");
    damaged(&f, 60, 1);
    expect_use(&f, "another checksum");
    tear_down(&f);
}

static void a_file_that_is_cut_short_is_refused(void **state)
{
    fixture f;
    (void)state;
    set_up(&f, "stories260K.gguf");
    for (size_t i = 0; i < 40; i++) {
        size_t n = i < 20 ? f.n * i / 20 : i < 39 ? i * 7 : f.n - 1;
        file_write(f.strips, f.file, n);
        expect_use(&f, n == f.n - 1 ? "is not complete" : "");
    }
    tear_down(&f);
}

static void verifying_finds_every_changed_bit(void **state)
{
    fixture  f;
    uint64_t head;
    (void)state;
    set_up(&f, "stories260K.gguf");
    memcpy(&head, f.file + 16, sizeof(head));
    expect_verify(&f, NULL);
    for (size_t i = 0; i < 24; i++) {
        damaged(&f, (size_t)head + (f.n - (size_t)head - 1) * i / 23, (uint8_t)(1u << i % 8));
        expect_verify(&f, "another checksum");
    }
    tear_down(&f);
}

/* A file with other weights whose checksums are right: rows are compared, too. */
static void weights_of_other_values_are_noticed_when_the_model_is_opened(void **state)
{
    fixture  f;
    ls_hash *h;
    uint64_t head;
    uint8_t  sum[LS_HASH_MAX];
    (void)state;
    set_up(&f, "fables-llama-5m-Q8_0.gguf");
    memcpy(&head, f.file + 16, sizeof(head));
    for (size_t i = (size_t)head; i < f.n; i++) f.file[i] ^= 1;
    assert_int_equal(ls_hash_create(&h, LS_BLAKE3, NULL), LS_OK);
    ls_hash_update(h, f.file + head, f.n - (size_t)head);
    ls_hash_final(h, sum);
    ls_hash_destroy(h);
    memcpy(f.file + 104, sum, 32);
    assert_int_equal(ls_hash_create(&h, LS_BLAKE3, NULL), LS_OK);
    ls_hash_update(h, f.file, (size_t)head - 32);
    ls_hash_final(h, sum);
    ls_hash_destroy(h);
    memcpy(f.file + head - 32, sum, 32);
    file_write(f.strips, f.file, f.n);
    expect_use(&f, "other weights");
    expect_verify(&f, "other weights");
    tear_down(&f);
}

static void a_model_that_was_touched_needs_a_new_file(void **state)
{
    fixture               f;
    struct stat           st;
    const struct timespec keep[2] = {{0, UTIME_OMIT}, {0, UTIME_NOW}};
    struct timespec       back[2] = {{0, UTIME_OMIT}, {0, 0}};
    uint8_t              *model;
    size_t                n;
    (void)state;
    set_up(&f, "stories260K.gguf");
    assert_int_equal(stat(f.model, &st), 0);
    expect_use(&f, NULL);
    assert_int_equal(utimensat(AT_FDCWD, f.model, keep, 0), 0);
    expect_use(&f, "changed");

    /* one weight is another, and the date of writing is put back: the date of change is not */
    prepack(&f);
    expect_use(&f, NULL);
    model = file_read(f.model, &n);
    model[n - 5] ^= 1;
    file_write(f.model, model, n);
    back[1] = st.st_mtim;
    assert_int_equal(utimensat(AT_FDCWD, f.model, back, 0), 0);
    expect_use(&f, "changed");
    free(model);
    tear_down(&f);
}

static void the_file_of_another_model_is_refused(void **state)
{
    fixture f, g;
    (void)state;
    set_up(&f, "fables-llama-5m-Q8_0.gguf");
    set_up(&g, "fables-bitnet-5m-TQ2_0.gguf");
    assert_int_equal(rename(g.strips, f.strips), 0);
    expect_use(&f, "belongs to another model");
    expect_verify(&f, "belongs to another model");
    tear_down(&f);
    tear_down(&g);
}

/* What somebody asked for by name is used or an error; what lies there is used or passed over. */
static void an_engine_passes_over_what_does_not_fit_with_a_note(void **state)
{
    fixture           f;
    ls_engine        *e;
    ls_error          err = {0};
    ls_engine_options o = {.n_ctx = 8, .n_threads = 1};
    (void)state;
    set_up(&f, "fables-llama-5m-Q8_0.gguf");
    o.model_path = f.model;
    assert_int_equal(ls_engine_open_native(&e, &o, &err), LS_OK);
    assert_string_equal(ls_engine_get_info(e)->note, "");
    ls_engine_close(e);
    damaged(&f, 70, 1);
    assert_int_equal(ls_engine_open_native(&e, &o, &err), LS_OK);
    assert_non_null(strstr(ls_engine_get_info(e)->note, "is damaged"));
    ls_engine_close(e);
    o.prepacked = "";
    assert_int_equal(ls_engine_open_native(&e, &o, &err), LS_OK);
    assert_string_equal(ls_engine_get_info(e)->note, "");
    ls_engine_close(e);
    o.prepacked = f.strips;
    assert_int_equal(ls_engine_open_native(&e, &o, &err), LS_ERR_FORMAT);
    assert_non_null(strstr(err.what, "is damaged"));
    tear_down(&f);
}

static void what_cannot_be_written_leaves_nothing_behind(void **state)
{
    ls_model *m = open_model(MODELS "stories260K.gguf");
    ls_error  err = {0};
    (void)state;
    /* below a file: not even root can */
    assert_int_equal(ls_model_prepack(NULL, m, MODELS "stories260K.gguf/m.strips", NULL, &err),
                     LS_ERR_IO);
    assert_non_null(strstr(err.what, "stories260K.gguf/m.strips"));
    ls_model_close(m);
}

static void an_interrupted_prepack_leaves_nothing_behind(void **state)
{
    const volatile int cancelled = 1;
    ls_prepack_options o = {.cancelled = &cancelled};
    fixture            f;
    ls_model          *m;
    char               tmp[400];
    (void)state;
    set_up(&f, "stories260K.gguf");
    unlink(f.strips);
    m = open_model(f.model);
    assert_int_equal(ls_model_prepack(NULL, m, NULL, &o, NULL), LS_ERR_CANCELLED);
    snprintf(tmp, sizeof(tmp), "%s.tmp-%ld", f.strips, (long)getpid());
    assert_int_not_equal(access(f.strips, F_OK), 0);
    assert_int_not_equal(access(tmp, F_OK), 0);
    ls_model_close(m);
    tear_down(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_prepacked_model_gives_the_same_bits),
        cmocka_unit_test(a_file_from_a_machine_with_another_way_to_multiply_is_refused),
        cmocka_unit_test(without_a_file_nothing_is_said),
        cmocka_unit_test(every_changed_byte_of_the_head_is_noticed),
        cmocka_unit_test(a_file_that_is_cut_short_is_refused),
        cmocka_unit_test(verifying_finds_every_changed_bit),
        cmocka_unit_test(weights_of_other_values_are_noticed_when_the_model_is_opened),
        cmocka_unit_test(a_model_that_was_touched_needs_a_new_file),
        cmocka_unit_test(the_file_of_another_model_is_refused),
        cmocka_unit_test(an_engine_passes_over_what_does_not_fit_with_a_note),
        cmocka_unit_test(what_cannot_be_written_leaves_nothing_behind),
        cmocka_unit_test(an_interrupted_prepack_leaves_nothing_behind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
