// SPDX-License-Identifier: MIT
/* test_hf_back.c - models written as Hugging Face folders: folders that llama.cpp's converter knows
 * come back tensor for tensor, and a random model of every architecture is the same when it is
 * read again. */
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
#include <unistd.h>

#include "dtype/dtype.h"
#include "lockstep/checkpoint.h"
#include "lockstep/convert.h"
#include "lockstep/mini.h"
#include "support/files.h"
#include "support/hf_golden.h"

static char base[200], in[240], out[240], again[240], file[240];

static int remove_all(const char *path)
{
    DIR           *d = opendir(path);
    struct dirent *e;
    if (!d) return unlink(path);
    while ((e = readdir(d)) != NULL) {
        char inner[600];
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0) continue;
        snprintf(inner, sizeof(inner), "%s/%s", path, e->d_name);
        remove_all(inner);
    }
    closedir(d);
    return rmdir(path);
}

static int make_folder(void **state)
{
    const char *dir = getenv("TMPDIR");
    (void)state;
    /* Files are synced as they are written: where that costs nothing, if there is such a place. */
    if ((!dir || !dir[0]) && access("/dev/shm", W_OK) == 0) dir = "/dev/shm";
    snprintf(base, sizeof(base), "%s/ls-back-XXXXXX", dir && dir[0] ? dir : "/tmp");
    if (!mkdtemp(base)) return -1;
    snprintf(in, sizeof(in), "%s/in", base);
    snprintf(out, sizeof(out), "%s/out", base);
    snprintf(again, sizeof(again), "%s/again", base);
    snprintf(file, sizeof(file), "%s/m.gguf", base);
    return mkdir(in, 0777);
}

static int remove_folder(void **state)
{
    (void)state;
    return remove_all(base);
}

static ls_gguf *open_model(const char *path, const char *what)
{
    ls_gguf *g;
    ls_error err = {0};
    if (ls_gguf_open(&g, path, &err) != LS_OK) fail_msg("%s: %s at %s", what, err.what, err.where);
    return g;
}

typedef struct notes {
    char   text[4096];
    size_t n;
} notes;

static void keep_note(void *ctx, const char *note)
{
    notes *n = ctx;
    n->n += (size_t)snprintf(n->text + n->n, sizeof(n->text) - n->n, "%s\n", note);
    assert_true(n->n < sizeof(n->text));
}

static void write_folder(const ls_gguf *g, const char *to, int dtype, const char *what, notes *n)
{
    ls_convert_options opt = {
        .dtype = dtype, .replace = true, .note = n ? keep_note : NULL, .note_ctx = n};
    ls_error err = {0};
    if (ls_convert_to_folder(to, g, &opt, &err) != LS_OK) {
        fail_msg("%s: %s at %s", what, err.what, err.where);
    }
}

/* ---- folder, model, folder ---- */

/* What a folder may hold and nobody reads: a copy of the embedding, buffers of old programs. */
static bool is_left_out(ls_str name, const char *what)
{
    static const char *const ends[] = {".attention.bias", ".attention.masked_bias", ".attn.bias",
                                       ".attn.masked_bias", ".rotary_emb.inv_freq"};
    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        size_t n = strlen(ends[i]);
        if (name.len > n && memcmp(name.p + name.len - n, ends[i], n) == 0) return true;
    }
    return strncmp(what, "gemma", 5) == 0 && ls_str_is(name, "lm_head.weight");
}

/* Each tensor of x is one of y, with the same type, shape and bytes. */
static size_t same_checkpoint(const char *folder_x, const char *folder_y, const char *what)
{
    ls_checkpoint *x, *y;
    char           path[300];
    size_t         n;
    snprintf(path, sizeof(path), "%s/model.safetensors", folder_x);
    assert_int_equal(ls_checkpoint_open(&x, path, NULL), LS_OK);
    snprintf(path, sizeof(path), "%s/model.safetensors", folder_y);
    assert_int_equal(ls_checkpoint_open(&y, path, NULL), LS_OK);
    n = ls_checkpoint_n_tensors(x);
    for (size_t i = 0; i < ls_checkpoint_n_tensors(y); i++) {
        const ls_ckpt_tensor *t = ls_checkpoint_tensor_at(y, i);
        if (!ls_checkpoint_tensor(x, t->name)) fail_msg("%s: new '%.*s'", what, LS_FMT(t->name));
    }
    for (size_t i = 0; i < n; i++) {
        const ls_ckpt_tensor *t = ls_checkpoint_tensor_at(x, i),
                             *u = ls_checkpoint_tensor(y, t->name);
        if (!u && is_left_out(t->name, what)) continue;
        if (!u) fail_msg("%s: no tensor '%.*s'", what, LS_FMT(t->name));
        if (t->dtype != u->dtype || t->n_dims != u->n_dims ||
            memcmp(t->shape, u->shape, sizeof(t->shape)) != 0) {
            fail_msg("%s: '%.*s' has type %s and %u dimensions", what, LS_FMT(t->name),
                     ls_ckpt_dtype_name(u->dtype), u->n_dims);
        }
        if (memcmp(t->data, u->data, t->n_bytes) != 0) {
            fail_msg("%s: '%.*s' has other bytes", what, LS_FMT(t->name));
        }
    }
    ls_checkpoint_close(x);
    ls_checkpoint_close(y);
    return n;
}

static bool same_value(const ls_gguf_kv *x, const ls_gguf_kv *y)
{
    char a[4096], b[4096];
    ls_gguf_format(x, a, sizeof(a));
    ls_gguf_format(y, b, sizeof(b));
    return x->type == y->type && x->n == y->n && strcmp(a, b) == 0;
}

/* Metadata of x that y has not, or with another value: written to `lost`, one a line. */
static void compare_metadata(const ls_gguf *x, const ls_gguf *y, char *lost, size_t cap)
{
    size_t n = 0;
    lost[0] = '\0';
    for (size_t i = 0; i < ls_gguf_n_kv(x) && n < cap; i++) {
        const ls_gguf_kv *kv = ls_gguf_kv_at(x, i), *other;
        char              key[200];
        snprintf(key, sizeof(key), "%.*s", LS_FMT(kv->key));
        other = ls_gguf_find(y, key);
        if (strcmp(key, "general.name") == 0 || (other && same_value(kv, other))) continue;
        n += (size_t)snprintf(lost + n, cap - n, "%s ", key);
    }
}

static void folders_that_the_converter_knows_come_back(void **state)
{
    size_t n = 0;
    (void)state;
    for (size_t i = 0; hf_golden_names[i]; i++) {
        const char *what = hf_golden_names[i];
        ls_gguf    *g, *h;
        char        lost[1000];
        bool        ternary = strcmp(what, "bitnet") == 0; /* master weights do not come back */
        hf_golden_build(what, in);
        g = open_model(in, what);
        write_folder(g, out, -1, what, NULL);
        h = open_model(out, what);
        if (!ternary && strcmp(what, "gpt2b") != 0) { /* gpt2b: names without their prefix */
            n += same_checkpoint(in, out, what);
        }
        compare_metadata(g, h, lost, sizeof(lost));
        if (lost[0]) fail_msg("%s: lost %s", what, lost);
        compare_metadata(h, g, lost, sizeof(lost));
        /* what the model says is said in full on the way back */
        if (lost[0]) print_message("%s: now also says %s\n", what, lost);
        ls_gguf_close(h);
        ls_gguf_close(g);
    }
    assert_true(n > 500);
}

/* ---- model, folder, model ---- */

static void same_tensors(const ls_gguf *x, const ls_gguf *y, const char *what)
{
    assert_int_equal(ls_gguf_n_tensors(x), ls_gguf_n_tensors(y));
    for (size_t i = 0; i < ls_gguf_n_tensors(x); i++) {
        const ls_tensor *t = ls_gguf_tensor_at(x, i), *u;
        char             name[128];
        snprintf(name, sizeof(name), "%.*s", LS_FMT(t->name));
        u = ls_gguf_tensor(y, name);
        if (!u && is_left_out(t->name, what)) continue;
        if (!u) fail_msg("%s: no tensor '%s'", what, name);
        if (t->dtype != u->dtype || memcmp(t->ne, u->ne, sizeof(t->ne)) != 0 ||
            t->n_bytes != u->n_bytes) {
            fail_msg("%s: '%s' has type %d, not %d, or another shape", what, name, u->dtype,
                     t->dtype);
        }
        if (memcmp(t->data, u->data, t->n_bytes) != 0) fail_msg("%s: '%s' differs", what, name);
    }
}

/* What engines take as given where no key says otherwise. */
static bool is_said_otherwise(const char *lost)
{
    return strcmp(lost, "gpt-oss.feed_forward_length gpt-oss.rope.dimension_count ") == 0 ||
           (strstr(lost, ".rope.dimension_count ") && !strchr(strchr(lost, ' ') + 1, ' '));
}

static void round_trip(const char *arch, int dtype, bool optional)
{
    ls_mini_options mini = {.arch = arch, .dtype = dtype, .seed = 3, .optional = optional};
    ls_gguf        *g, *h, *k;
    char            what[100], lost[1000];
    snprintf(what, sizeof(what), "%s %s%s", arch, ls_dtype_name(dtype), optional ? " +" : "");
    assert_int_equal(ls_mini_write(file, &mini, NULL), LS_OK);
    g = open_model(file, what);
    write_folder(g, out, -1, what, NULL);
    h = open_model(out, what);
    same_tensors(g, h, what);
    compare_metadata(g, h, lost, sizeof(lost));
    if (lost[0] && !is_said_otherwise(lost)) fail_msg("%s: lost %s", what, lost);
    if (optional) { /* with everything that an architecture may have */
        write_folder(h, again, -1, what, NULL);
        same_checkpoint(out, again, what);
        k = open_model(again, what);
        compare_metadata(h, k, lost, sizeof(lost));
        if (lost[0]) fail_msg("%s: the second folder lost %s", what, lost);
        ls_gguf_close(k);
    }
    ls_gguf_close(h);
    ls_gguf_close(g);
}

static void every_architecture_is_the_same_model_again(void **state)
{
    static const int types[] = {LS_DTYPE_F32, LS_DTYPE_F16, LS_DTYPE_BF16};
    size_t           n = 0;
    (void)state;
    for (; ls_mini_arch(n); n++) {
        for (int optional = 0; optional < 2; optional++) {
            round_trip(ls_mini_arch(n), types[(n + (size_t)optional) % 3], optional);
        }
    }
    assert_int_equal(n, 22);
}

/* ---- quantised models ---- */

static ls_gguf *quantised(const char *arch, int dtype)
{
    ls_mini_options mini = {.arch = arch, .dtype = dtype, .seed = 5};
    assert_int_equal(ls_mini_write(file, &mini, NULL), LS_OK);
    return open_model(file, arch);
}

/* Rows are moved after they are decoded: the same values come back in the same places. */
static void quantised_matrices_are_what_their_blocks_hold(void **state)
{
    static const char *const archs[] = {"llama", "qwen3moe", "gpt-oss", "gptneox", "gpt2"};
    (void)state;
    for (size_t i = 0; i < sizeof(archs) / sizeof(archs[0]); i++) {
        ls_gguf *g = quantised(archs[i], LS_DTYPE_Q4_K), *h;
        size_t   n_quantised = 0;
        write_folder(g, out, LS_DTYPE_F32, archs[i], NULL);
        h = open_model(out, archs[i]);
        for (size_t k = 0; k < ls_gguf_n_tensors(g); k++) {
            const ls_tensor *t = ls_gguf_tensor_at(g, k), *u;
            size_t           n = (size_t)(t->ne[0] * t->ne[1] * t->ne[2]);
            char             name[128];
            float           *x = malloc(n * sizeof(*x));
            snprintf(name, sizeof(name), "%.*s", LS_FMT(t->name));
            u = ls_gguf_tensor(h, name);
            assert_true(x && u && u->dtype == LS_DTYPE_F32 && u->n_bytes == n * sizeof(*x));
            ls_dtype_decode(t->dtype, x, t->data, n, 1);
            if (memcmp(x, u->data, u->n_bytes) != 0) fail_msg("%s: '%s'", archs[i], name);
            n_quantised += t->dtype == LS_DTYPE_Q4_K;
            free(x);
        }
        assert_true(n_quantised > 5);
        ls_gguf_close(h);
        ls_gguf_close(g);
    }
}

/* Without a type asked for it is F16, and said. */
static void decoding_is_told(void **state)
{
    ls_gguf *g = quantised("llama", LS_DTYPE_Q8_0);
    notes    n = {.n = 0};
    (void)state;
    write_folder(g, out, -1, "llama", &n);
    assert_non_null(strstr(n.text, "decoded to F16"));
    n = (notes){.n = 0};
    write_folder(g, out, LS_DTYPE_F32, "llama", &n);
    assert_int_equal(n.n, 0);
    ls_gguf_close(g);
}

/* OpenAI's own form of the experts is what the class reads. */
static void experts_of_gpt_oss_stay_MXFP4(void **state)
{
    ls_gguf *g = quantised("gpt-oss", LS_DTYPE_MXFP4), *h;
    size_t   n = 0;
    (void)state;
    write_folder(g, out, -1, "gpt-oss", NULL);
    h = open_model(out, "gpt-oss");
    for (size_t i = 0; i < ls_gguf_n_tensors(g); i++) {
        const ls_tensor *t = ls_gguf_tensor_at(g, i), *u;
        char             name[128];
        snprintf(name, sizeof(name), "%.*s", LS_FMT(t->name));
        u = ls_gguf_tensor(h, name);
        assert_non_null(u);
        if (!strstr(name, "_exps.weight")) continue;
        assert_true(u->dtype == LS_DTYPE_MXFP4 && u->n_bytes == t->n_bytes);
        assert_memory_equal(u->data, t->data, t->n_bytes);
        n++;
    }
    assert_true(n >= 6);
    ls_gguf_close(h);
    ls_gguf_close(g);
}

/* The comparison notices one other bit. */
static void one_other_bit_is_noticed(void **state)
{
    ls_gguf *g = quantised("llama", LS_DTYPE_F16), *h;
    char     path[300];
    uint8_t *data;
    size_t   n;
    bool     same = true;
    (void)state;
    write_folder(g, out, -1, "llama", NULL);
    snprintf(path, sizeof(path), "%s/model.safetensors", out);
    data = file_read(path, &n);
    data[n - 1] ^= 1;
    file_write(path, data, n);
    free(data);
    h = open_model(out, "llama");
    for (size_t i = 0; i < ls_gguf_n_tensors(g); i++) {
        const ls_tensor *t = ls_gguf_tensor_at(g, i), *u;
        char             name[128];
        snprintf(name, sizeof(name), "%.*s", LS_FMT(t->name));
        u = ls_gguf_tensor(h, name);
        same = same && u && memcmp(t->data, u->data, t->n_bytes) == 0;
    }
    assert_false(same);
    ls_gguf_close(h);
    ls_gguf_close(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(folders_that_the_converter_knows_come_back),
        cmocka_unit_test(every_architecture_is_the_same_model_again),
        cmocka_unit_test(quantised_matrices_are_what_their_blocks_hold),
        cmocka_unit_test(decoding_is_told),
        cmocka_unit_test(experts_of_gpt_oss_stay_MXFP4),
        cmocka_unit_test(one_other_bit_is_noticed),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
