// SPDX-License-Identifier: MIT
/* test_hf_back_vocab.c - vocabularies written as tokenizer.json or tokenizer.model: read again they
 * say the same and give the ids that llama.cpp gives, of the shared vocabularies; and what no
 * folder can say is refused, with nothing left behind. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <sys/stat.h>

#include "lockstep/convert.h"
#include "lockstep/gguf_write.h"
#include "support/text_vocab.h"

static char base[200], folder[240], file[240];

static void remove_files(const char *path)
{
    DIR           *d = opendir(path);
    struct dirent *e;
    while (d && (e = readdir(d)) != NULL) {
        if (e->d_name[0] != '.') unlinkat(dirfd(d), e->d_name, 0);
    }
    if (d) closedir(d);
    rmdir(path);
}

static int make_folder(void **state)
{
    const char *dir = getenv("TMPDIR");
    (void)state;
    /* Files are synced as they are written: where that costs nothing, if there is such a place. */
    if ((!dir || !dir[0]) && access("/dev/shm", W_OK) == 0) dir = "/dev/shm";
    snprintf(base, sizeof(base), "%s/ls-vocab-XXXXXX", dir && dir[0] ? dir : "/tmp");
    if (!mkdtemp(base)) return -1;
    snprintf(folder, sizeof(folder), "%s/out", base);
    snprintf(file, sizeof(file), "%s/m.gguf", base);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    remove_files(folder);
    remove_files(base);
    return 0;
}

static size_t n_entries(const char *path)
{
    DIR           *d = opendir(path);
    struct dirent *e;
    size_t         n = 0;
    while (d && (e = readdir(d)) != NULL) n += e->d_name[0] != '.';
    if (d) closedir(d);
    return n;
}

#define N_EMBD 4

/* `file`: a model of one matrix, the embedding, with the vocabulary of `from`; `more` adds to it.
 */
static ls_gguf *build(const ls_gguf *from, void (*more)(ls_gguf_writer *w))
{
    static const struct {
        const char *key;
        int64_t     v;
    } keys[] = {{"llama.block_count", 1},
                {"llama.embedding_length", N_EMBD},
                {"llama.attention.head_count", 1},
                {"llama.context_length", 64}};
    const ls_gguf_kv *tokens = ls_gguf_find(from, "tokenizer.ggml.tokens");
    const int64_t     ne[2] = {N_EMBD, (int64_t)tokens->n};
    ls_gguf_writer   *w;
    ls_gguf          *g;
    void             *zeros = calloc((size_t)ne[1], 2 * N_EMBD);
    assert_non_null(zeros);
    assert_int_equal(ls_gguf_writer_create(&w, NULL), LS_OK);
    ls_gguf_write_str(w, "general.architecture", LS_STR("llama"), NULL);
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        ls_gguf_write_int(w, keys[i].key, LS_GGUF_U32, keys[i].v, NULL);
    }
    for (size_t i = 0; i < ls_gguf_n_kv(from); i++) {
        const ls_gguf_kv *kv = ls_gguf_kv_at(from, i);
        if (kv->key.len < 10 || memcmp(kv->key.p, "tokenizer.", 10) != 0) continue;
        assert_int_equal(ls_gguf_write_kv(w, kv, NULL), LS_OK);
    }
    if (more) more(w);
    ls_gguf_write_tensor(w, LS_STR("token_embd.weight"), LS_DTYPE_F16, 2, ne, 0, NULL);
    assert_int_equal(ls_gguf_write_begin(w, file, NULL), LS_OK);
    ls_gguf_write_data(w, zeros, (size_t)ne[1] * 2 * N_EMBD, NULL);
    assert_int_equal(ls_gguf_write_finish(w, NULL), LS_OK);
    ls_gguf_writer_destroy(w);
    free(zeros);
    assert_int_equal(ls_gguf_open(&g, file, NULL), LS_OK);
    return g;
}

static ls_status write_folder(const ls_gguf *g, ls_error *err)
{
    const ls_convert_options opt = {.dtype = -1, .replace = true};
    return ls_convert_to_folder(folder, g, &opt, err);
}

static ls_gguf *open_vocab(const char *name)
{
    char     path[512];
    ls_gguf *g;
    snprintf(path, sizeof(path), "%s/vocabs/ggml-vocab-%s.gguf", text_shared(), name);
    assert_int_equal(ls_gguf_open(&g, path, NULL), LS_OK);
    return g;
}

static const char *const lists[] = {"tokenizer.ggml.tokens", "tokenizer.ggml.token_type",
                                    "tokenizer.ggml.scores", "tokenizer.ggml.merges"};
static const char *const numbers[] = {"tokenizer.ggml.bos_token_id", "tokenizer.ggml.eos_token_id",
                                      "tokenizer.ggml.unknown_token_id",
                                      "tokenizer.ggml.padding_token_id"};

static size_t text_bytes(const ls_gguf_kv *kv)
{
    const void *p = kv->data;
    for (uint64_t i = 0; i < kv->n; i++) ls_gguf_next_str(&p);
    return (size_t)((const char *)p - (const char *)kv->data);
}

static void same_lists(const ls_gguf *x, const ls_gguf *y)
{
    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
        const ls_gguf_kv *a = ls_gguf_find(x, lists[i]), *b = ls_gguf_find(y, lists[i]);
        if (!a) continue;
        if (!b || a->n != b->n || a->elem_type != b->elem_type) fail_msg("no %s", lists[i]);
        if (memcmp(a->data, b->data, a->elem_type == LS_GGUF_STR ? text_bytes(a) : 4 * a->n) != 0)
            fail_msg("other %s", lists[i]);
    }
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        int64_t a, b = -1;
        if (!ls_gguf_int(x, numbers[i], &a)) continue;
        ls_gguf_int(y, numbers[i], &b);
        if (a != b) fail_msg("%s is %d, not %d", numbers[i], (int)b, (int)a);
    }
}

/* Ids of the texts that llama.cpp's own test of this vocabulary has. */
static void same_ids(const char *name, const ls_gguf *x, const ls_gguf *y)
{
    ls_tokenizer *t, *u;
    char          path[512], *text, *a, *b;
    size_t        n;
    snprintf(path, sizeof(path), "%s/vocabs/ggml-vocab-%s.gguf.inp", text_shared(), name);
    text = (char *)file_read(path, &n);
    assert_int_equal(ls_tokenizer_create(&t, x, NULL), LS_OK);
    assert_int_equal(ls_tokenizer_create(&u, y, NULL), LS_OK);
    a = text_ids(t, text, n, LS_BOS_AUTO, true);
    b = text_ids(u, text, n, LS_BOS_AUTO, true);
    assert_true(a && b && strlen(a) > 1000);
    assert_string_equal(a, b);
    free(a);
    free(b);
    free(text);
    ls_tokenizer_destroy(t);
    ls_tokenizer_destroy(u);
}

static void vocabulary(const char *name)
{
    ls_gguf *from = open_vocab(name), *g = build(from, NULL), *h;
    ls_error err = {0};
    if (write_folder(g, &err) != LS_OK) fail_msg("%s: %s at %s", name, err.what, err.where);
    if (ls_gguf_open(&h, folder, &err) != LS_OK) fail_msg("%s: %s", name, err.what);
    same_lists(from, h);
    same_ids(name, from, h);
    ls_gguf_close(h);
    ls_gguf_close(g);
    ls_gguf_close(from);
}

static void a_vocabulary_of_GPT_2_is_a_tokenizer_json(void **state)
{
    (void)state;
    vocabulary("gpt-2");
}
static void a_vocabulary_of_Llama_3_is_a_tokenizer_json(void **state)
{
    (void)state;
    vocabulary("llama-bpe");
}
static void a_vocabulary_of_Qwen_2_is_a_tokenizer_json(void **state)
{
    (void)state;
    vocabulary("qwen2");
}
static void a_vocabulary_of_SentencePiece_is_a_tokenizer_model(void **state)
{
    (void)state;
    vocabulary("llama-spm");
}

/* ---- refusals ---- */

static void unknown_pre(ls_gguf_writer *w)
{
    ls_gguf_write_str(w, "tokenizer.ggml.pre", LS_STR("chameleon"), NULL);
}
static void unknown_key(ls_gguf_writer *w)
{
    ls_gguf_write_int(w, "llama.attention.sliding_window", LS_GGUF_U32, 7, NULL);
}
static void wordpiece(ls_gguf_writer *w)
{
    ls_gguf_write_str(w, "tokenizer.ggml.model", LS_STR("bert"), NULL);
}
static void twice(ls_gguf_writer *w)
{
    ls_str *texts = calloc(50257, sizeof(*texts));
    for (size_t i = 0; i < 50257; i++) texts[i] = LS_STR("same");
    ls_gguf_write_strs(w, "tokenizer.ggml.tokens", texts, 50257, NULL);
    free(texts);
}

static void what_no_folder_can_say_is_refused(void **state)
{
    static const struct {
        void (*more)(ls_gguf_writer *w);
        const char *what;
    } cases[] = {{unknown_pre, "'chameleon'"},
                 {unknown_key, "'llama.attention.sliding_window'"},
                 {wordpiece, "'bert'"},
                 {twice, "'same'"}};
    ls_gguf *from = open_vocab("gpt-2");
    (void)state;
    remove_files(folder);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        ls_gguf *g = build(from, cases[i].more);
        ls_error err = {0};
        assert_int_equal(write_folder(g, &err), LS_ERR_UNSUPPORTED);
        if (!strstr(err.what, cases[i].what)) fail_msg("'%s' is not about it", err.what);
        if (!strstr(err.where, "m.gguf")) fail_msg("'%s' is not the place", err.where);
        assert_int_equal(n_entries(base), 1); /* the model alone */
        ls_gguf_close(g);
    }
    ls_gguf_close(from);
}

/* Only what a converter writes is ever replaced. */
static void a_folder_with_other_files_is_not_replaced(void **state)
{
    ls_gguf *from = open_vocab("gpt-2"), *g = build(from, NULL);
    ls_error err = {0};
    char     path[300];
    (void)state;
    assert_int_equal(write_folder(g, &err), LS_OK);
    assert_int_equal(write_folder(g, &err), LS_OK); /* its own may be replaced */
    snprintf(path, sizeof(path), "%s/thesis.txt", folder);
    file_write(path, "x", 1);
    assert_int_equal(write_folder(g, &err), LS_ERR_USAGE);
    assert_non_null(strstr(err.what, "thesis.txt"));
    assert_int_equal(access(path, F_OK), 0);
    assert_int_equal(ls_convert_to_folder(folder, g, &(ls_convert_options){.dtype = -1}, NULL),
                     LS_ERR_USAGE);
    assert_int_equal(n_entries(base), 2);
    ls_gguf_close(g);
    ls_gguf_close(from);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_vocabulary_of_GPT_2_is_a_tokenizer_json),
        cmocka_unit_test(a_vocabulary_of_Llama_3_is_a_tokenizer_json),
        cmocka_unit_test(a_vocabulary_of_Qwen_2_is_a_tokenizer_json),
        cmocka_unit_test(a_vocabulary_of_SentencePiece_is_a_tokenizer_model),
        cmocka_unit_test(what_no_folder_can_say_is_refused),
        cmocka_unit_test(a_folder_with_other_files_is_not_replaced),
    };
    char path[512];
    snprintf(path, sizeof(path), "%s/vocabs", text_shared());
    if (access(path, R_OK) != 0) {
        printf("SKIP: the vocabularies '%s' are not there (set LOCKSTEP_SHARED)\n", path);
        return 77;
    }
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
