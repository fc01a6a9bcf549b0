// SPDX-License-Identifier: MIT
/* test_hf_folder.c - Hugging Face folders against GGUF files of the same models that another
 * program wrote: the same tensors bit for bit, the same metadata, the same logits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lockstep/gguf_write.h"
#include "lockstep/lockstep.h"
#include "support/files.h"
#include "support/shared.h"

static ls_gguf *open_shared(const char *name)
{
    ls_gguf *g;
    ls_error err = {0};
    if (ls_gguf_open(&g, shared_path(name), &err) != LS_OK) {
        fail_msg("%s: %s at %s", name, err.what, err.where);
    }
    return g;
}

/* Tensors of `b` that have another type in `a` are counted, those of the same type compared. */
static void compare_tensors(const ls_gguf *a, const ls_gguf *b, size_t n_other_types)
{
    size_t n = 0;
    assert_int_equal(ls_gguf_n_tensors(a), ls_gguf_n_tensors(b));
    for (size_t i = 0; i < ls_gguf_n_tensors(b); i++) {
        const ls_tensor *want = ls_gguf_tensor_at(b, i), *got;
        char             name[100];
        snprintf(name, sizeof(name), "%.*s", LS_FMT(want->name));
        got = ls_gguf_tensor(a, name);
        if (!got) fail_msg("no tensor '%s'", name);
        assert_memory_equal(got->ne, want->ne, sizeof(want->ne));
        if (got->dtype != want->dtype) {
            n++;
            continue;
        }
        if (memcmp(got->data, want->data, want->n_bytes) != 0) fail_msg("'%s' differs", name);
    }
    assert_int_equal(n, n_other_types);
}

/* Every entry of `b` is in `a` with the same value, but for those that say where it came from. */
static void compare_metadata(const ls_gguf *a, const ls_gguf *b)
{
    static const char *const own[] = {"general.license", "tokenizer.ggml.eot_token_id"};
    for (size_t i = 0; i < ls_gguf_n_kv(b); i++) {
        const ls_gguf_kv *want = ls_gguf_kv_at(b, i), *got;
        char              key[100], x[400], y[400];
        snprintf(key, sizeof(key), "%.*s", LS_FMT(want->key));
        if (strcmp(key, own[0]) == 0 || strcmp(key, own[1]) == 0) continue;
        got = ls_gguf_find(a, key);
        if (!got) fail_msg("no key '%s'", key);
        ls_gguf_format(got, x, sizeof(x));
        ls_gguf_format(want, y, sizeof(y));
        assert_string_equal(x, y);
        if (want->type != LS_GGUF_ARRAY) continue;
        assert_true(got->n == want->n && got->elem_type == want->elem_type);
        if (want->elem_type == LS_GGUF_STR) {
            const void *p = got->data, *q = want->data;
            for (uint64_t k = 0; k < want->n; k++) {
                assert_true(ls_str_eq(ls_gguf_next_str(&p), ls_gguf_next_str(&q)));
            }
        } else {
            for (size_t k = 0; k < want->n; k++) {
                assert_true(ls_gguf_num_at(got, k) == ls_gguf_num_at(want, k));
            }
        }
    }
}

static void llama_folder_is_the_BF16_file_bit_for_bit(void **state)
{
    ls_gguf *a, *b;
    (void)state;
    if (shared_missing("models/fables-llama-5m/config.json")) skip();
    a = open_shared("models/fables-llama-5m");
    b = open_shared("models/fables-llama-5m-BF16.gguf");
    assert_int_equal(ls_gguf_get_source(a), LS_SOURCE_HF);
    compare_tensors(a, b, 0);
    compare_metadata(a, b);
    ls_gguf_close(a);
    ls_gguf_close(b);
}

/* The embedding is BF16 in the folder and F16 in the file; everything else is compared. */
static void bitnet_folder_has_the_ternary_weights_of_the_F16_file(void **state)
{
    ls_gguf *a, *b;
    (void)state;
    if (shared_missing("models/fables-bitnet-5m/config.json")) skip();
    a = open_shared("models/fables-bitnet-5m");
    b = open_shared("models/fables-bitnet-5m-F16.gguf");
    compare_tensors(a, b, 1);
    compare_metadata(a, b);
    ls_gguf_close(a);
    ls_gguf_close(b);
}

static void config_json_stands_for_its_folder(void **state)
{
    ls_gguf *a;
    (void)state;
    if (shared_missing("models/fables-llama-5m/config.json")) skip();
    a = open_shared("models/fables-llama-5m/config.json");
    assert_int_equal(ls_gguf_n_tensors(a), 56);
    ls_gguf_close(a);
}

/* ---- logits ---- */

enum { N_IDS = 24 };

static float *logits_of(const char *path, size_t *n)
{
    int32_t            ids[N_IDS];
    ls_session_options o = {.n_ctx = N_IDS, .n_batch = N_IDS, .n_threads = 2};
    ls_model          *m;
    ls_session        *s;
    ls_error           err = {0};
    float             *out;
    size_t             vocab;
    if (ls_model_open(&m, path, &err) != LS_OK) fail_msg("%s %s", err.what, err.where);
    vocab = (size_t)ls_model_get_config(m)->n_vocab;
    for (int i = 0; i < N_IDS; i++) ids[i] = (i * 389 + 7) % (int32_t)vocab;
    assert_int_equal(ls_session_create(&s, m, &o, &err), LS_OK);
    assert_int_equal(ls_session_eval(s, ids, N_IDS, &err), LS_OK);
    out = malloc(N_IDS * vocab * sizeof(*out));
    assert_non_null(out);
    for (int i = 0; i < N_IDS; i++) {
        const float *row;
        assert_int_equal(ls_session_logits(s, (size_t)i, &row, &err), LS_OK);
        memcpy(out + (size_t)i * vocab, row, vocab * sizeof(*out));
    }
    ls_session_destroy(s);
    ls_model_close(m);
    *n = N_IDS * vocab * sizeof(*out);
    return out;
}

static void the_folder_and_the_file_give_the_same_logits(void **state)
{
    size_t n, m;
    float *a, *b, *c;
    (void)state;
    if (shared_missing("models/fables-llama-5m/config.json")) skip();
    a = logits_of(shared_path("models/fables-llama-5m"), &n);
    b = logits_of(shared_path("models/fables-llama-5m-BF16.gguf"), &m);
    c = logits_of(shared_path("models/fables-llama-5m-Q8_0.gguf"), &m);
    assert_int_equal(n, m);
    assert_memory_equal(a, b, n);
    assert_memory_not_equal(a, c, n); /* the comparison can fail */
    free(a), free(b), free(c);
}

/* What the view shows, written as a GGUF file and read again. */
static void copy_to_gguf(const char *from, const char *to)
{
    ls_gguf        *g = open_shared(from);
    ls_gguf_writer *w;
    assert_int_equal(ls_gguf_writer_create(&w, NULL), LS_OK);
    for (size_t i = 0; i < ls_gguf_n_kv(g); i++) {
        assert_int_equal(ls_gguf_write_kv(w, ls_gguf_kv_at(g, i), NULL), LS_OK);
    }
    for (size_t i = 0; i < ls_gguf_n_tensors(g); i++) {
        const ls_tensor *t = ls_gguf_tensor_at(g, i);
        assert_int_equal(ls_gguf_write_tensor(w, t->name, t->dtype, t->n_dims, t->ne, 0, NULL),
                         LS_OK);
    }
    assert_int_equal(ls_gguf_write_begin(w, to, NULL), LS_OK);
    for (size_t i = 0; i < ls_gguf_n_tensors(g); i++) {
        const ls_tensor *t = ls_gguf_tensor_at(g, i);
        assert_int_equal(ls_gguf_write_data(w, t->data, t->n_bytes, NULL), LS_OK);
    }
    assert_int_equal(ls_gguf_write_finish(w, NULL), LS_OK);
    ls_gguf_writer_destroy(w);
    ls_gguf_close(g);
}

static void a_folder_written_as_GGUF_gives_the_logits_of_the_folder(void **state)
{
    static const char *const models[] = {"models/fables-llama-5m", "models/fables-bitnet-5m"};
    char                     path[256];
    (void)state;
    if (shared_missing("models/fables-llama-5m/config.json")) skip();
    file_temporary(path, sizeof(path), "lockstep-hf");
    for (size_t i = 0; i < 2; i++) {
        size_t   n, m;
        float   *a, *b;
        ls_gguf *view, *file;
        copy_to_gguf(models[i], path);
        view = open_shared(models[i]);
        assert_int_equal(ls_gguf_open(&file, path, NULL), LS_OK);
        compare_tensors(view, file, 0);
        compare_metadata(view, file);
        ls_gguf_close(view);
        ls_gguf_close(file);
        a = logits_of(shared_path(models[i]), &n);
        b = logits_of(path, &m);
        assert_int_equal(n, m);
        assert_memory_equal(a, b, n);
        free(a), free(b);
    }
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(llama_folder_is_the_BF16_file_bit_for_bit),
        cmocka_unit_test(bitnet_folder_has_the_ternary_weights_of_the_F16_file),
        cmocka_unit_test(config_json_stands_for_its_folder),
        cmocka_unit_test(the_folder_and_the_file_give_the_same_logits),
        cmocka_unit_test(a_folder_written_as_GGUF_gives_the_logits_of_the_folder),
    };
    if (shared_missing("models/fables-llama-5m/config.json")) return 77;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
