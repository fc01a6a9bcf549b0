// SPDX-License-Identifier: MIT
/* test_hf_archs.c - a folder of every architecture against what llama.cpp's converter made of the
 * same folder (tests/golden/hf): names, shapes, types, every byte of every tensor, metadata. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lockstep/gguf.h"
#include "lockstep/hash.h"
#include "lockstep/safetensors_write.h"
#include "support/files.h"
#include "support/hf_golden.h"

enum { MXFP4 = 39 };

static char folder[200];

static const char *in_folder(const char *name) { return hf_golden_path(folder, name); }

typedef struct checked {
    const ls_gguf *g;
    size_t         n_tensors, n_keys, n_undecoded;
} checked;

static void sha256(char *hex, const void *data, size_t n)
{
    ls_hash *h;
    uint8_t  digest[LS_HASH_MAX];
    assert_int_equal(ls_hash_create(&h, LS_SHA256, NULL), LS_OK);
    ls_hash_update(h, data, n);
    n = ls_hash_final(h, digest);
    ls_hex(hex, digest, n);
    ls_hash_destroy(h);
}

static void check_tensor(void *ctx, char *line)
{
    checked *c = ctx;
    char    *save, *name = strtok_r(line + 4, " ", &save), *word = strtok_r(NULL, " ", &save);
    const ls_tensor *t = ls_gguf_tensor(c->g, name);
    char             hex[2 * LS_HASH_MAX + 1];
    uint32_t         d = 0;
    if (!t) fail_msg("no tensor '%s'", name);
    c->n_tensors++;
    if (t->dtype != atoi(word)) fail_msg("'%s' has type %d, not %s", name, t->dtype, word);
    for (word = strtok_r(NULL, " ", &save); word && strlen(word) < 64;
         word = strtok_r(NULL, " ", &save)) {
        if (d >= t->n_dims || t->ne[d] != atoll(word)) fail_msg("'%s': dimension %u", name, d);
        d++;
    }
    if (!t->data) { /* a type that is not decoded: only its name and shape can be compared */
        assert_int_equal(t->dtype, MXFP4);
        c->n_undecoded++;
        return;
    }
    sha256(hex, t->data, t->n_bytes);
    if (strcmp(hex, word) != 0) fail_msg("'%s' has other bytes", name);
}

static void check_number(void *ctx, char *line)
{
    checked *c = ctx;
    char    *save, *key = strtok_r(line + 7, " ", &save);
    double   want = atof(strtok_r(NULL, " ", &save)), got = (double)NAN;
    bool     flag;
    if (ls_gguf_bool(c->g, key, &flag)) got = flag;
    if (isnan(got) && !ls_gguf_float(c->g, key, &got)) fail_msg("no key '%s'", key);
    if ((float)got != (float)want) fail_msg("%s is %.9g, not %.9g", key, got, want);
    c->n_keys++;
}

static void check_text(void *ctx, char *line)
{
    checked *c = ctx;
    char    *save, *key = strtok_r(line + 5, " ", &save);
    ls_str   got;
    if (!ls_gguf_str(c->g, key, &got)) fail_msg("no key '%s'", key);
    if (!ls_str_is(got, save)) fail_msg("%s is '%.*s', not '%s'", key, LS_FMT(got), save);
    c->n_keys++;
}

static void check_list(void *ctx, char *line)
{
    checked          *c = ctx;
    char             *save, *key = strtok_r(line + 5, " ", &save), *word;
    const ls_gguf_kv *kv = ls_gguf_find(c->g, key);
    size_t            i = 0;
    if (!kv || kv->type != LS_GGUF_ARRAY) fail_msg("no list '%s'", key);
    while ((word = strtok_r(NULL, " ", &save)) != NULL) {
        assert_true(i < kv->n && ls_gguf_num_at(kv, i) == atof(word));
        i++;
    }
    assert_int_equal(i, kv->n);
    c->n_keys++;
}

static void compare(const char *golden, size_t n_left_out)
{
    ls_gguf *g;
    ls_error err = {0};
    checked  c = {0};
    hf_golden_build(golden, folder);
    if (ls_gguf_open(&g, folder, &err) != LS_OK) {
        fail_msg("%s: %s at %s", golden, err.what, err.where);
    }
    c.g = g;
    hf_golden_lines(golden, "out ", check_tensor, &c);
    hf_golden_lines(golden, "number ", check_number, &c);
    hf_golden_lines(golden, "text ", check_text, &c);
    hf_golden_lines(golden, "list ", check_list, &c);
    assert_int_equal(ls_gguf_n_tensors(g), c.n_tensors + n_left_out);
    assert_true(c.n_tensors > 10 && c.n_keys > 5);
    if (c.n_undecoded)
        print_message("%s: %zu tensors of MXFP4 not compared\n", golden, c.n_undecoded);
    ls_gguf_close(g);
}

static void every_architecture_is_what_the_converter_makes_of_it(void **state)
{
    (void)state;
    for (size_t i = 0; hf_golden_names[i]; i++) { /* see README.md for what bitnet leaves out */
        compare(hf_golden_names[i], strcmp(hf_golden_names[i], "bitnet") == 0);
    }
}

/* ---- what no golden file covers ---- */

static void write_folder(const char *config, const char *name, ls_ckpt_dtype dtype, uint32_t n_dims,
                         const int64_t *shape, const void *data, size_t n, const char *second,
                         const void *scale)
{
    ls_safetensors_writer *w;
    file_write(in_folder("config.json"), config, strlen(config));
    assert_int_equal(ls_safetensors_writer_create(&w, NULL), LS_OK);
    assert_int_equal(
        ls_safetensors_add(w, (ls_str){name, strlen(name)}, dtype, n_dims, shape, NULL), LS_OK);
    if (second) {
        assert_int_equal(ls_safetensors_add(w, (ls_str){second, strlen(second)}, LS_CKPT_BF16, 1,
                                            (int64_t[]){1}, NULL),
                         LS_OK);
    }
    assert_int_equal(ls_safetensors_begin(w, in_folder("model.safetensors"), NULL), LS_OK);
    assert_int_equal(ls_safetensors_data(w, data, n, NULL), LS_OK);
    if (second) assert_int_equal(ls_safetensors_data(w, scale, 2, NULL), LS_OK);
    assert_int_equal(ls_safetensors_finish(w, NULL), LS_OK);
    ls_safetensors_writer_destroy(w);
}

#define BITNET                                                                                     \
    "{\"architectures\":[\"BitNetForCausalLM\"],\"hidden_act\":\"relu2\",\"hidden_size\":128,"     \
    "\"num_hidden_layers\":1,\"num_attention_heads\":2,\"quantization_config\":{\"quant_method\":" \
    "\"bitnet\"}}"

/* Packed rows are a quarter of all apart, codes 0, 1, 2 are -1, 0, 1, and the scale is inverse. */
static void packed_ternary_weights_become_I2_S_without_loss(void **state)
{
    uint8_t          packed[256];
    const uint16_t   bf16_4 = 0x4080; /* 4.0 */
    ls_gguf         *g;
    ls_error         err = {0};
    ls_str           arch;
    const ls_tensor *t;
    float            scale;
    (void)state;
    for (size_t i = 0; i < sizeof(packed); i++) {
        packed[i] = (uint8_t)(i % 3 | (i / 3) % 3 << 2 | (i / 5) % 3 << 4 | (i / 7) % 3 << 6);
    }
    write_folder(BITNET, "model.layers.0.mlp.up_proj.weight", LS_CKPT_U8, 2, (int64_t[]){2, 128},
                 packed, sizeof(packed), "model.layers.0.mlp.up_proj.weight_scale", &bf16_4);
    if (ls_gguf_open(&g, folder, &err) != LS_OK) fail_msg("%s %s", err.what, err.where);
    assert_true(ls_gguf_str(g, "general.architecture", &arch) && ls_str_is(arch, "bitnet-b1.58"));
    assert_int_equal(ls_gguf_n_tensors(g), 1);
    t = ls_gguf_tensor(g, "blk.0.ffn_up.weight");
    assert_true(t && t->dtype == LS_DTYPE_I2_S && t->ne[0] == 128 && t->ne[1] == 8);
    memcpy(&scale, (const uint8_t *)t->data + 8 * 128 / 4, 4);
    assert_true(scale == 0.25f);
    for (size_t r = 0; r < 8; r++) {
        for (size_t j = 0; j < 128; j++) {
            uint8_t got = ((const uint8_t *)t->data)[r * 32 + j % 32] >> (6 - 2 * (j / 32)) & 3;
            uint8_t want = packed[r % 2 * 128 + j] >> (r / 2 * 2) & 3;
            assert_int_equal(got, want);
        }
    }
    ls_gguf_close(g);
    packed[17] |= 0xc0; /* code 3 is none of the three */
    write_folder(BITNET, "model.layers.0.mlp.up_proj.weight", LS_CKPT_U8, 2, (int64_t[]){2, 128},
                 packed, sizeof(packed), "model.layers.0.mlp.up_proj.weight_scale", &bf16_4);
    assert_int_equal(ls_gguf_open(&g, folder, &err), LS_ERR_FORMAT);
}

/* Transformers' classes treat the number beside the weights in two ways. */
static void the_class_says_whether_the_scale_is_inverse(void **state)
{
    static const struct {
        const char *class_;
        float       want;
    } cases[] = {{"bitlinear", 0.25f}, {"autobitlinear", 4.0f}};
    uint8_t        packed[256];
    const uint16_t bf16_4 = 0x4080; /* 4.0 */
    (void)state;
    memset(packed, 0x55, sizeof(packed));
    for (size_t i = 0; i < 2; i++) {
        char             config[600];
        ls_gguf         *g;
        const ls_tensor *t;
        float            scale;
        snprintf(config, sizeof(config), "%.*s,\"linear_class\":\"%s\"}}", (int)strlen(BITNET) - 2,
                 BITNET, cases[i].class_);
        write_folder(config, "model.layers.0.mlp.up_proj.weight", LS_CKPT_U8, 2,
                     (int64_t[]){2, 128}, packed, sizeof(packed),
                     "model.layers.0.mlp.up_proj.weight_scale", &bf16_4);
        assert_int_equal(ls_gguf_open(&g, folder, NULL), LS_OK);
        t = ls_gguf_tensor(g, "blk.0.ffn_up.weight");
        memcpy(&scale, (const uint8_t *)t->data + 8 * 128 / 4, 4);
        assert_true(scale == cases[i].want);
        ls_gguf_close(g);
    }
}

/* Text models inside models that also see. */
static void a_wrapped_text_model_is_found(void **state)
{
    static const float data[4] = {0, 1, 2, 3};
    ls_gguf           *g;
    ls_error           err = {0};
    const ls_tensor   *t;
    int64_t            v;
    (void)state;
    write_folder("{\"architectures\":[\"Gemma3ForConditionalGeneration\"],\"text_config\":{"
                 "\"hidden_size\":4,"
                 "\"num_hidden_layers\":3,\"num_attention_heads\":2,\"sliding_window\":8}}",
                 "language_model.model.layers.2.input_layernorm.weight", LS_CKPT_F32, 1,
                 (int64_t[]){4}, data, sizeof(data), NULL, NULL);
    if (ls_gguf_open(&g, folder, &err) != LS_OK) fail_msg("%s %s", err.what, err.where);
    t = ls_gguf_tensor(g, "blk.2.attn_norm.weight");
    assert_true(t && ((const float *)t->data)[3] == 4);
    assert_true(ls_gguf_int(g, "gemma3.block_count", &v) && v == 3);
    assert_true(ls_gguf_int(g, "gemma3.attention.sliding_window", &v) && v == 8);
    ls_gguf_close(g);
}

/* ---- vocabularies ---- */

#define STORIES LS_SOURCE_DIR "/models/stories260K.gguf"

static size_t put_varint(uint8_t *out, uint64_t v)
{
    size_t n = 0;
    for (; v >= 0x80; v >>= 7) out[n++] = (uint8_t)(v | 0x80);
    out[n++] = (uint8_t)v;
    return n;
}

/* tokenizer.model with the pieces of a GGUF file, as SentencePiece writes them. */
static void write_spm(const ls_gguf *g)
{
    static uint8_t    file[1 << 16];
    const ls_gguf_kv *tokens = ls_gguf_array(g, "tokenizer.ggml.tokens", LS_GGUF_STR),
                     *scores = ls_gguf_array(g, "tokenizer.ggml.scores", LS_GGUF_F32),
                     *types = ls_gguf_array(g, "tokenizer.ggml.token_type", LS_GGUF_I32);
    const void *p = tokens->data;
    size_t      n = 0;
    for (size_t i = 0; i < tokens->n; i++) {
        uint8_t piece[300];
        ls_str  s = ls_gguf_next_str(&p);
        float   score = (float)ls_gguf_num_at(scores, i);
        size_t  k = 0;
        piece[k++] = 0x0a;
        k += put_varint(piece + k, s.len);
        memcpy(piece + k, s.p, s.len);
        k += s.len;
        piece[k++] = 0x15;
        memcpy(piece + k, &score, 4);
        k += 4;
        piece[k++] = 0x18;
        k += put_varint(piece + k, (uint64_t)ls_gguf_num_at(types, i));
        file[n++] = 0x0a;
        n += put_varint(file + n, k);
        memcpy(file + n, piece, k);
        n += k;
        assert_true(n + sizeof(piece) < sizeof(file));
    }
    file[n++] = 0x12; /* the trainer's specification: BPE */
    file[n++] = 2;
    file[n++] = 0x18;
    file[n++] = 2;
    file_write(in_folder("tokenizer.model"), file, n);
}

static void compare_lists(const ls_gguf *a, const ls_gguf *b)
{
    static const char *const numbers[] = {"tokenizer.ggml.scores", "tokenizer.ggml.token_type"};
    const ls_gguf_kv        *x = ls_gguf_array(a, "tokenizer.ggml.tokens", LS_GGUF_STR),
                     *y = ls_gguf_array(b, "tokenizer.ggml.tokens", LS_GGUF_STR);
    const void *p = x->data, *q = y->data;
    assert_true(x->n == y->n && x->n == 512);
    for (size_t i = 0; i < x->n; i++)
        assert_true(ls_str_eq(ls_gguf_next_str(&p), ls_gguf_next_str(&q)));
    for (size_t k = 0; k < 2; k++) {
        x = ls_gguf_find(a, numbers[k]);
        y = ls_gguf_find(b, numbers[k]);
        assert_true(x && y && x->n == y->n);
        for (size_t i = 0; i < x->n; i++) assert_true(ls_gguf_num_at(x, i) == ls_gguf_num_at(y, i));
    }
}

static void a_SentencePiece_vocabulary_is_that_of_the_GGUF_file(void **state)
{
    static const float data[4] = {0, 1, 2, 3};
    static const char  generation[] = "{\"eos_token_id\":[2,7],\"temperature\":0.5,\"top_k\":20}";
    ls_gguf           *file, *g;
    ls_error           err = {0};
    ls_str             model;
    int64_t            id;
    double             v;
    (void)state;
    assert_int_equal(ls_gguf_open(&file, STORIES, NULL), LS_OK);
    write_spm(file);
    file_write(in_folder("generation_config.json"), generation, sizeof(generation) - 1);
    write_folder(
        "{\"architectures\":[\"LlamaForCausalLM\"],\"hidden_size\":4,\"num_hidden_layers\":1,"
        "\"num_attention_heads\":2,\"vocab_size\":512,\"bos_token_id\":1}",
        "model.norm.weight", LS_CKPT_F32, 1, (int64_t[]){4}, data, sizeof(data), NULL, NULL);
    if (ls_gguf_open(&g, folder, &err) != LS_OK) fail_msg("%s %s", err.what, err.where);
    compare_lists(g, file);
    assert_true(ls_gguf_str(g, "tokenizer.ggml.model", &model) && ls_str_is(model, "llama"));
    assert_true(ls_gguf_int(g, "tokenizer.ggml.bos_token_id", &id) && id == 1);
    assert_true(ls_gguf_int(g, "tokenizer.ggml.eos_token_id", &id) && id == 2);
    assert_true(ls_gguf_float(g, "general.sampling.temp", &v) && v == 0.5);
    assert_true(ls_gguf_int(g, "general.sampling.top_k", &id) && id == 20);
    ls_gguf_close(g);
    ls_gguf_close(file);
    { /* cut anywhere: refused, or fewer pieces; never a crash */
        size_t   n;
        uint8_t *spm = file_read(in_folder("tokenizer.model"), &n);
        for (size_t cut = 1; cut < n; cut += 37) {
            file_write(in_folder("tokenizer.model"), spm, n - cut);
            if (ls_gguf_open(&g, folder, NULL) == LS_OK) ls_gguf_close(g);
        }
        free(spm);
    }
    unlink(in_folder("tokenizer.model"));
    unlink(in_folder("generation_config.json"));
}

/* BPE with byte tokens in tokenizer.json: merges become scores in their order. */
static void merges_of_a_byte_fallback_vocabulary_become_scores(void **state)
{
    static const char json[] =
        "{\"model\":{\"type\":\"BPE\",\"byte_fallback\":true,\"unk_token\":\"<unk>\",\"vocab\":{\"<"
        "unk>\":0,"
        "\"<0x0A>\":1,\"a\":2,\"b\":3,\"ab\":4,\"abb\":5},\"merges\":[\"a b\",[\"ab\",\"b\"]]},"
        "\"added_tokens\":[{\"id\":0,\"content\":\"<unk>\",\"special\":true},{\"id\":6,\"content\":"
        "\"<|x|>\"}]}";
    static const int32_t want_types[8] = {3, 6, 1, 1, 1, 1, 3, 5};
    static const float   data[4] = {0, 1, 2, 3},
                       want_scores[8] = {-1000, 0, 0, 0, -1, -2, -1000, -10000};
    ls_gguf          *g;
    ls_error          err = {0};
    const ls_gguf_kv *types, *scores;
    (void)state;
    file_write(in_folder("tokenizer.json"), json, sizeof(json) - 1);
    write_folder(
        "{\"architectures\":[\"LlamaForCausalLM\"],\"hidden_size\":4,\"num_hidden_layers\":1,"
        "\"num_attention_heads\":2,\"vocab_size\":8}",
        "model.norm.weight", LS_CKPT_F32, 1, (int64_t[]){4}, data, sizeof(data), NULL, NULL);
    if (ls_gguf_open(&g, folder, &err) != LS_OK) fail_msg("%s %s", err.what, err.where);
    types = ls_gguf_array(g, "tokenizer.ggml.token_type", LS_GGUF_I32);
    scores = ls_gguf_array(g, "tokenizer.ggml.scores", LS_GGUF_F32);
    assert_true(types && scores && types->n == 8 && scores->n == 8);
    for (size_t i = 0; i < 8; i++) {
        assert_true(ls_gguf_num_at(types, i) == want_types[i]);
        assert_true(ls_gguf_num_at(scores, i) == (double)want_scores[i]);
    }
    ls_gguf_close(g);
    unlink(in_folder("tokenizer.json"));
}

static int make_folder(void **state)
{
    (void)state;
    snprintf(folder, sizeof(folder), "/tmp/lockstep-hf-XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    unlink(in_folder("config.json"));
    unlink(in_folder("model.safetensors"));
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_architecture_is_what_the_converter_makes_of_it),
        cmocka_unit_test(packed_ternary_weights_become_I2_S_without_loss),
        cmocka_unit_test(the_class_says_whether_the_scale_is_inverse),
        cmocka_unit_test(a_wrapped_text_model_is_found),
        cmocka_unit_test(a_SentencePiece_vocabulary_is_that_of_the_GGUF_file),
        cmocka_unit_test(merges_of_a_byte_fallback_vocabulary_become_scores),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
