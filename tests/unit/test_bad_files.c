// SPDX-License-Identifier: MIT
/* test_bad_files.c - safetensors, pickles and folders that are wrong in one way each: every one is
 * refused with its status, its sentence and its place (tests/golden/errors/NAME.expect), and the
 * program ends with 5. One sound file of each kind shows that it is not all that is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zip.h>

#include "lockstep/checkpoint.h"
#include "lockstep/gguf.h"
#include "support/refusals.h"

/* ---- safetensors ---- */

typedef struct st_case {
    const char *name, *header;
    size_t      n_data;
    int64_t     header_len; /* -1: that of the header */
    size_t      cut;        /* bytes taken away at the end */
} st_case;

#define T(name, dtype, shape, b, e)                                                                \
    "\"" name "\":{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":[" #b "," #e "]}"

static const st_case st_cases[] = {
    {"header_len_2_63", "{}", 0, INT64_MIN, 0},
    {"header_len_past_end", "{}      ", 0, 9, 0},
    {"header_of_100_MB", "{}", 0, 100000001, 0},
    {"no_object", "[1,2,3]", 0, -1, 0},
    {"broken_json", "{\"a\":{\"dtype\":\"F32\",}}", 0, -1, 0},
    {"key_twice", "{" T("a", "F32", "[1]", 0, 4) "," T("a", "F32", "[1]", 4, 8) "}", 8, -1, 0},
    {"bad_utf8", "{\"\xff\":1}", 0, -1, 0},
    {"name_empty", "{" T("", "F32", "[1]", 0, 4) "}", 4, -1, 0},
    {"name_with_zero", "{" T("a\\u0000b", "F32", "[1]", 0, 4) "}", 4, -1, 0},
    {"no_dtype", "{\"a\":{\"shape\":[1],\"data_offsets\":[0,4]}}", 4, -1, 0},
    {"dtype_is_number", "{\"a\":{\"dtype\":1,\"shape\":[1],\"data_offsets\":[0,4]}}", 4, -1, 0},
    {"dtype_unknown", "{" T("a", "F31", "[1]", 0, 4) "}", 4, -1, 0},
    {"entry_is_number", "{\"a\":7}", 0, -1, 0},
    {"no_shape", "{\"a\":{\"dtype\":\"F32\",\"data_offsets\":[0,4]}}", 4, -1, 0},
    {"nine_dimensions", "{" T("a", "F32", "[1,1,1,1,1,1,1,1,1]", 0, 4) "}", 4, -1, 0},
    {"negative_dimension", "{" T("a", "F32", "[-1]", 0, 4) "}", 4, -1, 0},
    {"dimension_is_text", "{" T("a", "F32", "[\"1\"]", 0, 4) "}", 4, -1, 0},
    {"dimension_is_fraction", "{" T("a", "F32", "[1.0]", 0, 4) "}", 4, -1, 0},
    {"shape_that_wraps", "{" T("a", "F32", "[4611686018427387905]", 0, 4) "}", 4, -1, 0},
    {"shape_2_64", "{" T("a", "U8", "[4294967296,4294967296]", 0, 0) "}", 0, -1, 0},
    {"no_offsets", "{\"a\":{\"dtype\":\"F32\",\"shape\":[1]}}", 4, -1, 0},
    {"one_offset", "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0]}}", 4, -1, 0},
    {"offsets_backwards", "{" T("a", "F32", "[1]", 4, 0) "}", 4, -1, 0},
    {"offset_negative", "{" T("a", "F32", "[1]", -4, 0) "}", 4, -1, 0},
    {"offset_2_64", "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,1e30]}}", 4, -1,
     0},
    {"past_the_end", "{" T("a", "F32", "[2]", 0, 8) "}", 4, -1, 0},
    {"too_few_bytes", "{" T("a", "F32", "[2]", 0, 4) "}", 4, -1, 0},
    {"too_many_bytes", "{" T("a", "F16", "[2]", 0, 8) "}", 8, -1, 0},
    {"overlap", "{" T("a", "F32", "[2]", 0, 8) "," T("b", "F32", "[2]", 4, 12) "}", 12, -1, 0},
    {"same_place", "{" T("a", "F32", "[1]", 0, 4) "," T("b", "F32", "[1]", 0, 4) "}", 4, -1, 0},
    {"gap_in_front", "{" T("a", "F32", "[1]", 4, 8) "}", 8, -1, 0},
    {"gap_between", "{" T("a", "F32", "[1]", 0, 4) "," T("b", "F32", "[1]", 8, 12) "}", 12, -1, 0},
    {"bytes_behind", "{" T("a", "F32", "[1]", 0, 4) "}", 5, -1, 0},
    {"data_cut", "{" T("a", "F32", "[100]", 0, 400) "}", 400, -1, 1},
    {"file_of_8_bytes", "", 0, 0, 0},
};

static void write_safetensors(const char *name, const st_case *c)
{
    size_t   n = strlen(c->header), total = 8 + n + c->n_data - c->cut;
    int64_t  len = c->header_len == -1 ? (int64_t)n : c->header_len;
    uint8_t *file = calloc(8 + n + c->n_data, 1);
    assert_non_null(file);
    memcpy(file, &len, 8);
    memcpy(file + 8, c->header, n);
    file_write(in_folder(name), file, total);
    free(file);
}

static const st_case sound = {
    "sound",
    "{\"__metadata__\":{\"format\":\"pt\"}," T("b", "BF16", "[2,3]", 4, 16) "," T(
        "a", "F32", "[]", 0, 4) "," T("none", "F16", "[0,7]", 16, 16) "}",
    16, -1, 0};

static void safetensors_that_are_wrong_are_refused_with_their_place(void **state)
{
    expectation e;
    (void)state;
    read_expectation(&e, "safetensors.expect");
    for (size_t i = 0; i < sizeof(st_cases) / sizeof(st_cases[0]); i++) {
        ls_checkpoint *c;
        ls_error       err = {0};
        ls_status      status;
        write_safetensors("x.safetensors", &st_cases[i]);
        status = ls_checkpoint_open(&c, in_folder("x.safetensors"), &err);
        assert_null(c);
        check_line(&e, st_cases[i].name, status, &err);
    }
    end_expectation(&e);
}

static void sound_safetensors_are_read(void **state)
{
    ls_checkpoint        *c;
    ls_error              err = {0};
    const ls_ckpt_tensor *t;
    (void)state;
    write_safetensors("x.safetensors", &sound);
    if (ls_checkpoint_open(&c, in_folder("x.safetensors"), &err) != LS_OK) {
        fail_msg("%s %s", err.what, err.where);
    }
    assert_int_equal(ls_checkpoint_n_tensors(c), 3);
    t = ls_checkpoint_tensor(c, LS_STR("b"));
    assert_true(t && t->dtype == LS_CKPT_BF16 && t->n_dims == 2 && t->shape[0] == 2 &&
                t->shape[1] == 3 && t->n_bytes == 12);
    t = ls_checkpoint_tensor(c, LS_STR("a"));
    assert_true(t && t->n_dims == 0 && t->n_bytes == 4);
    assert_null(ls_checkpoint_tensor(c, LS_STR("c")));
    ls_checkpoint_close(c);
}

/* ---- the index of several files ---- */

static const struct {
    const char *name, *index;
} index_cases[] = {
    {"index_broken", "{\"weight_map\":"},
    {"index_without_map", "{\"metadata\":{}}"},
    {"index_map_empty", "{\"weight_map\":{}}"},
    {"index_map_is_list", "{\"weight_map\":[]}"},
    {"index_file_is_number", "{\"weight_map\":{\"a\":1}}"},
    {"index_file_outside", "{\"weight_map\":{\"a\":\"../../etc/passwd\"}}"},
    {"index_file_hidden", "{\"weight_map\":{\"a\":\"..\"}}"},
    {"index_file_empty", "{\"weight_map\":{\"a\":\"\"}}"},
    {"index_tensor_missing", "{\"weight_map\":{\"a\":\"x.safetensors\",\"b\":\"x.safetensors\","
                             "\"none\":\"x.safetensors\",\"c\":\"x.safetensors\"}}"},
    {"index_tensor_unlisted", "{\"weight_map\":{\"a\":\"x.safetensors\"}}"},
    {"index_tensor_twice", "{\"weight_map\":{\"a\":\"x.safetensors\",\"b\":\"y.safetensors\"}}"},
    {"index_file_is_text", "{\"weight_map\":{\"a\":\"text\"}}"},
    {"index_file_missing", "{\"weight_map\":{\"a\":\"absent.safetensors\"}}"},
};

static void indexes_that_do_not_agree_with_their_files_are_refused(void **state)
{
    expectation e;
    (void)state;
    read_expectation(&e, "index.expect");
    write_safetensors("x.safetensors", &sound);
    write_safetensors("y.safetensors", &sound);
    write_text("text", "this is a text and no file of weights");
    for (size_t i = 0; i < sizeof(index_cases) / sizeof(index_cases[0]); i++) {
        ls_checkpoint *c;
        ls_error       err = {0};
        ls_status      status;
        write_text("m.index.json", index_cases[i].index);
        status = ls_checkpoint_open(&c, in_folder("m.index.json"), &err);
        assert_null(c);
        if (status == LS_ERR_IO) ls_fail_at(&err, "%s", in_folder("m.index.json"));
        if (status == LS_ERR_IO) snprintf(err.what, sizeof(err.what), "cannot open");
        check_line(&e, index_cases[i].name, status, &err);
    }
    end_expectation(&e);
}

static void a_sound_index_opens_all_its_files(void **state)
{
    static const st_case first = {NULL, "{" T("a", "F32", "[1]", 0, 4) "}", 4, -1, 0},
                         second = {NULL, "{" T("b", "U8", "[3]", 0, 3) "}", 3, -1, 0};
    ls_checkpoint        *c;
    ls_error              err = {0};
    const ls_ckpt_tensor *t;
    (void)state;
    write_safetensors("x.safetensors", &first);
    write_safetensors("y.safetensors", &second);
    write_text("m.index.json",
               "{\"weight_map\":{\"b\":\"y.safetensors\",\"a\":\"x.safetensors\"}}");
    if (ls_checkpoint_open(&c, in_folder("m.index.json"), &err) != LS_OK) {
        fail_msg("%s %s", err.what, err.where);
    }
    assert_int_equal(ls_checkpoint_n_tensors(c), 2);
    assert_int_equal(ls_checkpoint_n_parts(c), 2);
    t = ls_checkpoint_tensor(c, LS_STR("b"));
    assert_true(t && t->n_bytes == 3 &&
                strcmp(ls_checkpoint_part_path(c, t->part), in_folder("y.safetensors")) == 0);
    ls_checkpoint_close(c);
}

/* ---- pickles ---- */

#define G(module, name) "c" module "\n" name "\n"
#define DICT            "\x80\x02}"
#define ID(type, n)                                                                                \
    "(X\7\0\0\0storage" G("torch", type) "X\1\0\0\0"                                               \
                                         "0"                                                       \
                                         "X\3\0\0\0"                                               \
                                         "cpu"                                                     \
                                         "K" n "tQ"
#define REBUILD G("torch._utils", "_rebuild_tensor_v2")
#define TAIL(off, shape, stride)                                                                   \
    "K" off shape stride "\x89N"                                                                   \
    "tR"
/* 'w' -> a tensor of floats in storage "0", which has 4 */
#define TENSOR(off, shape, stride)                                                                 \
    DICT "X\1\0\0\0w" REBUILD "(" ID("FloatStorage", "\4") TAIL(off, shape, stride) "s."

typedef struct pickle_case {
    const char *name, *bytes;
    size_t      n;
} pickle_case;
#define P(name, bytes)                                                                             \
    {                                                                                              \
        name, bytes, sizeof(bytes) - 1                                                             \
    }

static const pickle_case pickle_cases[] = {
    P("empty", ""),
    P("no_end", DICT),
    P("unknown_instruction", "\x80\x02\xff."),
    P("os_system", "\x80\x02" G("os", "system") "X\2\0\0\0id\x85R."),
    P("builtins_eval", "\x80\x02" G("builtins", "eval") "X\1\0\0\0001\x85R."),
    P("stack_global", "\x80\x04\x8c\2os\x8c\6system\x93."),
    P("class_of_torch", "\x80\x02" G("torch.nn.modules.linear", "Linear") ")\x81."),
    P("newobj", "\x80\x02" G("collections", "OrderedDict") ")\x81."),
    P("inst", "(ios\nsystem\n."),
    P("obj", "(" G("collections", "OrderedDict") "o."),
    P("text_persid", "Pstorage\n."),
    P("extension", "\x82\1."),
    P("reduce_of_number", "K\1)R."),
    P("reduce_of_storage", "\x80\x02" G("torch", "FloatStorage") ")R."),
    P("dict_of_objects", "\x80\x02" G("collections", "OrderedDict") "]\x85R."),
    P("build_on_list", "]}b."),
    P("stack_empty", "\x80\x02"
                     "0."),
    P("mark_missing", "t."),
    P("append_to_number", "K\1K\2"
                          "a."),
    P("setitem_on_list", "]K\1K\2s."),
    P("setitems_odd", DICT "(K\1u."),
    P("below_mark", "K\1(0."),
    P("tuple_too_short", "K\1\x87."),
    P("memo_unknown", "h\7."),
    P("memo_of_nothing", "q\1."),
    P("memo_index_2_31", "K\1r\0\0\0\x80."),
    P("text_cut", "X\xff\xff\xff\x7f"
                  "abc"),
    P("global_cut", "ctorch"),
    P("long_of_200_bytes", "\x8a\xc8."),
    P("frame_cut", "\x80\x04\x95\1"),
    P("no_dict", "]."),
    P("no_tensors", DICT "X\1\0\0\0aK\1s."),
    P("persid_no_tuple", "K\1Q."),
    P("persid_short", "X\7\0\0\0storage\x85Q."),
    P("tensor_of_nothing", REBUILD ")R."),
    P("tensor_name_number",
      DICT "K\1" REBUILD "(" ID("FloatStorage", "\4") TAIL("\0", "K\4\x85", "K\1\x85") "s."),
    P("offset_past_the_end", TENSOR("\4", "K\1\x85", "K\1\x85")),
    P("shape_past_the_end", TENSOR("\0", "K\5\x85", "K\1\x85")),
    P("stride_past_the_end", TENSOR("\0", "K\2\x85", "K\4\x85")),
    P("stride_zero", TENSOR("\0", "J\0\0\0\1\x85", "K\0\x85")),
    P("shape_wraps", TENSOR("\0", "\x8a\10\0\0\0\0\0\0\0\x20K\7\x86", "K\1K\1\x86")),
    P("shape_negative", TENSOR("\0", "J\xff\xff\xff\xff\x85", "K\1\x85")),
    P("strides_missing", TENSOR("\0", "K\4\x85", ")")),
    P("storage_absent", DICT "X\1\0\0\0w" REBUILD "((X\7\0\0\0storage" G(
                            "torch", "FloatStorage") "X\1\0\0\0"
                                                     "9"
                                                     "X\3\0\0\0"
                                                     "cpu"
                                                     "K\4tQ" TAIL("\0", "K\4\x85", "K\1\x85") "s."),
    P("storage_outside",
      DICT "X\1\0\0\0w" REBUILD "((X\7\0\0\0storage" G(
          "torch", "FloatStorage") "X\4\0\0\0"
                                   "../0"
                                   "X\3\0\0\0"
                                   "cpu"
                                   "K\4tQ" TAIL("\0", "K\4\x85", "K\1\x85") "s."),
    P("storage_too_small", DICT "X\1\0\0\0w" REBUILD "(" ID("DoubleStorage", "\4")
                               TAIL("\0", "K\4\x85", "K\1\x85") "s."),
};

static const pickle_case sound_pickle = P("sound", TENSOR("\1", "K\3\x85", "K\1\x85"));

static void add_entry(zip_t *z, const char *name, const void *data, size_t n, bool stored)
{
    zip_source_t *s = zip_source_buffer(z, data, n, 0);
    zip_int64_t   i = zip_file_add(z, name, s, ZIP_FL_ENC_UTF_8);
    assert_true(s && i >= 0);
    zip_set_file_compression(z, (zip_uint64_t)i, stored ? ZIP_CM_STORE : ZIP_CM_DEFLATE, 0);
}

static const float four[4] = {1, 2, 3, 4};

static void write_zip(const char *name, const char *pickle_name, const pickle_case *p, bool stored)
{
    zip_t *z;
    unlink(in_folder(name));
    z = zip_open(in_folder(name), ZIP_CREATE | ZIP_TRUNCATE, NULL);
    assert_non_null(z);
    add_entry(z, pickle_name, p->bytes, p->n, stored);
    add_entry(z, "archive/data/0", four, sizeof(four), stored);
    assert_int_equal(zip_close(z), 0);
}

static void pickles_that_ask_for_more_than_tensors_are_refused_by_name(void **state)
{
    expectation e;
    (void)state;
    read_expectation(&e, "pickle.expect");
    for (size_t i = 0; i < sizeof(pickle_cases) / sizeof(pickle_cases[0]); i++) {
        ls_checkpoint *c;
        ls_error       err = {0};
        ls_status      status;
        write_zip("x.bin", "archive/data.pkl", &pickle_cases[i], true);
        status = ls_checkpoint_open(&c, in_folder("x.bin"), &err);
        assert_null(c);
        check_line(&e, pickle_cases[i].name, status, &err);
    }
    end_expectation(&e);
}

static void a_sound_pickle_is_read(void **state)
{
    ls_checkpoint        *c;
    ls_error              err = {0};
    const ls_ckpt_tensor *t;
    (void)state;
    write_zip("x.bin", "archive/data.pkl", &sound_pickle, true);
    if (ls_checkpoint_open(&c, in_folder("x.bin"), &err) != LS_OK) {
        fail_msg("%s %s", err.what, err.where);
    }
    t = ls_checkpoint_tensor(c, LS_STR("w"));
    assert_true(t && t->dtype == LS_CKPT_F32 && t->n_dims == 1 && t->shape[0] == 3);
    assert_memory_equal(t->data, four + 1, 12);
    ls_checkpoint_close(c);
}

static void archives_that_PyTorch_does_not_write_are_refused(void **state)
{
    ls_checkpoint *c;
    ls_error       err = {0};
    uint8_t       *file;
    size_t         n;
    (void)state;
    write_zip("x.bin", "archive/data.pkl", &sound_pickle, false);
    assert_int_equal(ls_checkpoint_open(&c, in_folder("x.bin"), &err), LS_ERR_FORMAT);
    ls_error_clear(&err);
    write_zip("x.bin", "archive/other.pkl", &sound_pickle, true);
    assert_int_equal(ls_checkpoint_open(&c, in_folder("x.bin"), &err), LS_ERR_UNSUPPORTED);
    assert_non_null(strstr(err.what, "without a data.pkl"));
    write_zip("x.bin", "archive/data.pkl", &sound_pickle, true);
    file = file_read(in_folder("x.bin"), &n);
    for (size_t cut = 5; cut < n; cut += 7) {
        file_write(in_folder("x.bin"), file, n - cut);
        ls_error_clear(&err);
        assert_int_not_equal(ls_checkpoint_open(&c, in_folder("x.bin"), &err), LS_OK);
        assert_int_equal(ls_exit_code(err.status, &err), 5);
    }
    free(file);
}

/* ---- folders ---- */

#define ARCH  "\"architectures\":[\"LlamaForCausalLM\"]"
#define SIZES "\"hidden_size\":4,\"num_hidden_layers\":1,\"num_attention_heads\":2,\"vocab_size\":2"

typedef struct folder_case {
    const char *name, *config, *tokenizer, *tokenizer_config;
} folder_case;

#define TOKENIZER(model)   "{\"model\":" model "}"
#define CONFIG             "{" ARCH "," SIZES "}"
#define BPE(vocab, merges) TOKENIZER("{\"type\":\"BPE\",\"vocab\":" vocab ",\"merges\":" merges "}")

static const folder_case folder_cases[] = {
    {"config_empty", "", NULL, NULL},
    {"config_broken", "{" ARCH ",", NULL, NULL},
    {"config_is_list", "[]", NULL, NULL},
    {"config_key_twice", "{" ARCH "," ARCH "}", NULL, NULL},
    {"no_architecture", "{" SIZES "}", NULL, NULL},
    {"architecture_is_text", "{\"architectures\":\"LlamaForCausalLM\"}", NULL, NULL},
    {"architecture_unknown", "{\"architectures\":[\"BloomForCausalLM\"]}", NULL, NULL},
    {"no_layers", "{" ARCH "}", NULL, NULL},
    {"layers_zero", "{" ARCH ",\"num_hidden_layers\":0}", NULL, NULL},
    {"layers_negative", "{" ARCH ",\"num_hidden_layers\":-1}", NULL, NULL},
    {"layers_huge", "{" ARCH ",\"num_hidden_layers\":99999999}", NULL, NULL},
    {"layers_fraction", "{" ARCH ",\"num_hidden_layers\":1.5}", NULL, NULL},
    {"layers_text", "{" ARCH ",\"num_hidden_layers\":\"1\"}", NULL, NULL},
    {"no_width", "{" ARCH ",\"num_hidden_layers\":1}", NULL, NULL},
    {"no_heads", "{" ARCH ",\"num_hidden_layers\":1,\"hidden_size\":4}", NULL, NULL},
    {"heads_zero", "{" ARCH ",\"num_hidden_layers\":1,\"hidden_size\":4,\"num_attention_heads\":0}",
     NULL, NULL},
    {"kv_heads_text", "{" ARCH "," SIZES ",\"num_key_value_heads\":\"2\"}", NULL, NULL},
    {"vocab_negative",
     "{" ARCH
     ",\"hidden_size\":4,\"num_hidden_layers\":1,\"num_attention_heads\":2,\"vocab_size\":-5}",
     NULL, NULL},
    {"vocab_past_the_embedding",
     "{" ARCH ",\"hidden_size\":4,\"num_hidden_layers\":1,\"num_attention_heads\":2,"
     "\"vocab_size\":200000000}",
     NULL, NULL},
    {"generation_config_text", CONFIG, NULL, NULL},
    {"eps_text", "{" ARCH "," SIZES ",\"rms_norm_eps\":\"small\"}", NULL, NULL},
    {"context_fraction", "{" ARCH "," SIZES ",\"max_position_embeddings\":0.5}", NULL, NULL},
    {"rope_theta_zero", "{" ARCH "," SIZES ",\"rope_theta\":0}", NULL, NULL},
    {"rope_scaling_unknown", "{" ARCH "," SIZES ",\"rope_scaling\":{\"type\":\"spiral\"}}", NULL,
     NULL},
    {"rope_scaling_no_factor", "{" ARCH "," SIZES ",\"rope_scaling\":{\"type\":\"linear\"}}", NULL,
     NULL},
    {"yarn_without_context",
     "{" ARCH "," SIZES ",\"rope_scaling\":{\"type\":\"yarn\",\"factor\":2}}", NULL, NULL},
    {"llama3_factors",
     "{" ARCH "," SIZES ",\"rope_scaling\":{\"rope_type\":\"llama3\",\"factor\":-1}}", NULL, NULL},
    {"rotary_fraction_2", "{" ARCH "," SIZES ",\"partial_rotary_factor\":2}", NULL, NULL},
    {"quantised_elsewhere",
     "{" ARCH "," SIZES ",\"quantization_config\":{\"quant_method\":\"gptq\"}}", NULL, NULL},
    {"layer_past_the_last", CONFIG, NULL, NULL},
    {"tensor_unknown", CONFIG, NULL, NULL},
    {"rows_no_heads", CONFIG, NULL, NULL},
    {"weight_of_integers", CONFIG, NULL, NULL},
    {"tokenizer_empty", CONFIG, "", NULL},
    {"tokenizer_broken", CONFIG, "{\"model\":{\"type\":\"BPE\"", NULL},
    {"tokenizer_without_model", CONFIG, "{}", NULL},
    {"tokenizer_without_vocab", CONFIG, TOKENIZER("{\"type\":\"BPE\",\"merges\":[]}"), NULL},
    {"tokenizer_without_merges", CONFIG, TOKENIZER("{\"type\":\"BPE\",\"vocab\":{}}"), NULL},
    {"token_id_text", CONFIG, BPE("{\"a\":\"0\"}", "[]"), NULL},
    {"token_id_negative", CONFIG, BPE("{\"a\":-1}", "[]"), NULL},
    {"token_id_past_vocab", CONFIG, BPE("{\"a\":2}", "[]"), NULL},
    {"token_id_twice", CONFIG, BPE("{\"a\":0,\"b\":0}", "[]"), NULL},
    {"merge_of_one", CONFIG, BPE("{\"a\":0}", "[\"a\"]"), NULL},
    {"merge_of_three", CONFIG, BPE("{\"a\":0}", "[[\"a\",\"b\",\"c\"]]"), NULL},
    {"merge_number", CONFIG, BPE("{\"a\":0}", "[7]"), NULL},
    {"added_tokens_number", CONFIG,
     "{\"model\":{\"type\":\"BPE\",\"vocab\":{},\"merges\":[]},\"added_tokens\":7}", NULL},
    {"added_token_no_content", CONFIG,
     "{\"model\":{\"type\":\"BPE\",\"vocab\":{},\"merges\":[]},\"added_tokens\":[{\"id\":0}]}",
     NULL},
    {"tokenizer_config_broken", CONFIG, NULL, "{"},
    {"tokenizer_config_list", CONFIG, NULL, "[]"},
};

static const char *weights_of(const char *name)
{
    if (strcmp(name, "layer_past_the_last") == 0)
        return "{" T("model.layers.1.input_layernorm.weight", "F32", "[4]", 0, 16) "}";
    if (strcmp(name, "tensor_unknown") == 0)
        return "{" T("model.layers.0.mystery.weight", "F32", "[4]", 0, 16) "}";
    if (strcmp(name, "rows_no_heads") == 0)
        return "{" T("model.layers.0.self_attn.q_proj.weight", "F32", "[1,4]", 0, 16) "}";
    if (strcmp(name, "weight_of_integers") == 0)
        return "{" T("model.norm.weight", "I32", "[4]", 0, 16) "}";
    return "{" T("model.norm.weight", "F32", "[4]", 0, 16) "}";
}

static ls_status open_folder(const folder_case *c, ls_gguf **g, ls_error *err)
{
    st_case weights = {NULL, weights_of(c->name), 16, -1, 0};
    write_text("config.json", c->config);
    write_text("tokenizer.json", c->tokenizer);
    write_text("tokenizer_config.json", c->tokenizer_config);
    write_text("generation_config.json",
               strcmp(c->name, "generation_config_text") == 0 ? "{\"temperature\":\"hot\"}" : NULL);
    write_safetensors("model.safetensors", &weights);
    return ls_gguf_open(g, folder, err);
}

static void folders_that_are_wrong_are_refused_with_the_file_and_the_byte(void **state)
{
    expectation e;
    (void)state;
    read_expectation(&e, "folder.expect");
    for (size_t i = 0; i < sizeof(folder_cases) / sizeof(folder_cases[0]); i++) {
        ls_gguf  *g;
        ls_error  err = {0};
        ls_status status = open_folder(&folder_cases[i], &g, &err);
        assert_null(g);
        check_line(&e, folder_cases[i].name, status, &err);
    }
    end_expectation(&e);
}

static void a_sound_folder_is_read(void **state)
{
    static const folder_case sound_folder = {"sound", CONFIG, BPE("{\"a\":0,\"b\":1}", "[\"a b\"]"),
                                             "{}"};
    ls_gguf                 *g;
    ls_error                 err = {0};
    int64_t                  v;
    (void)state;
    if (open_folder(&sound_folder, &g, &err) != LS_OK) fail_msg("%s %s", err.what, err.where);
    assert_true(ls_gguf_int(g, "llama.block_count", &v) && v == 1);
    assert_non_null(ls_gguf_tensor(g, "output_norm.weight"));
    ls_gguf_close(g);
    unlink(in_folder("model.safetensors"));
    assert_int_equal(ls_gguf_open(&g, folder, &err), LS_ERR_FORMAT);
    assert_non_null(strstr(err.what, "no weights"));
    ls_error_clear(&err);
    unlink(in_folder("config.json"));
    assert_int_equal(ls_gguf_open(&g, folder, &err), LS_ERR_IO);
    assert_non_null(strstr(err.hint, "config.json"));
}

/* ---- files of other programs ---- */

static void other_files_are_named_by_content_before_their_name(void **state)
{
    static const struct {
        const char *name, *bytes;
        size_t      n;
        const char *found;
    } files[] = {
        {"m.GGUF", "PK\3\4........", 12, "a zip archive"},
        {"m.gguf", "\x80\2}q\0.......", 12, "a Python pickle"},
        {"m.PT", "something", 9, "named like PyTorch's"},
        {"m.pth", "something", 9, "named like PyTorch's"},
        {"m.Onnx", "something", 9, "named like ONNX"},
        {"m.pb", "something", 9, "named like a TensorFlow graph"},
        {"m.onnx", "\x08\x07\x12\x07pytorch", 11, "an ONNX file"},
        {"m.bin", "\x89HDF\r\n\x1a\n....", 12, "an HDF5 file"},
        {"m.tflite", "\x1c\0\0\0TFL3....", 12, "a TensorFlow Lite file"},
        {"m.bin", "lmgg....", 8, "a GGML file"},
        {"m.gguf", "version https://git-lfs.github.com/spec/v1\n", 43, "a Git LFS pointer"},
        {"m.gguf", "<!DOCTYPE html>", 15, "an HTML page"},
        {"m.safetensors", "\2\0\0\0\0\0\0\0{}", 10, "a safetensors file"},
        {"m.json", "{\"a\": 1}", 8, "a JSON file"},
        {"m", "something", 9, "starts with bytes 73 6f 6d 65"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        ls_gguf  *g;
        ls_error  err = {0};
        ls_status status;
        file_write(in_folder(files[i].name), files[i].bytes, files[i].n);
        status = ls_gguf_open(&g, in_folder(files[i].name), &err);
        assert_int_equal(ls_exit_code(status, &err), 5);
        if (!strstr(err.what, "expected a GGUF file") || !strstr(err.what, files[i].found) ||
            !err.hint[0]) {
            fail_msg("%s: %s (%s)", files[i].name, err.what, err.hint);
        }
        unlink(in_folder(files[i].name));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(safetensors_that_are_wrong_are_refused_with_their_place),
        cmocka_unit_test(sound_safetensors_are_read),
        cmocka_unit_test(indexes_that_do_not_agree_with_their_files_are_refused),
        cmocka_unit_test(a_sound_index_opens_all_its_files),
        cmocka_unit_test(pickles_that_ask_for_more_than_tensors_are_refused_by_name),
        cmocka_unit_test(a_sound_pickle_is_read),
        cmocka_unit_test(archives_that_PyTorch_does_not_write_are_refused),
        cmocka_unit_test(folders_that_are_wrong_are_refused_with_the_file_and_the_byte),
        cmocka_unit_test(a_sound_folder_is_read),
        cmocka_unit_test(other_files_are_named_by_content_before_their_name),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
