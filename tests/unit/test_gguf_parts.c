// SPDX-License-Identifier: MIT
/* test_gguf_parts.c - version 1, split models, and the writer: files built field by field are read,
 * each way of being wrong is refused by name, and what the writer wrote is what was given to it. */
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

#include "lockstep/gguf_write.h"
#include "lockstep/safetensors_write.h"
#include "support/files.h"
#include "support/gguf_build.h"

static char folder[200];

static const char *in_folder(const char *name)
{
    static char path[4][400];
    static int  i;
    i = (i + 1) % 4;
    snprintf(path[i], sizeof(path[i]), "%s/%s", folder, name);
    return path[i];
}

static void write_file(const char *name, const gguf_build *b)
{
    file_write(in_folder(name), b->data, b->n);
}

/* ---- version 1 ---- */

static void str1(gguf_build *b, const char *s)
{
    gguf_build_u32(b, (uint32_t)strlen(s));
    gguf_build_bytes(b, s, strlen(s));
}

static void header1(gguf_build *b, uint32_t n_tensors, uint32_t n_kv)
{
    gguf_build_bytes(b, "GGUF", 4);
    gguf_build_u32(b, 1);
    gguf_build_u32(b, n_tensors);
    gguf_build_u32(b, n_kv);
}

static void reads_version_1_with_its_counts_of_32_bits(void **state)
{
    static const float data[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    gguf_build         b = {0};
    ls_gguf           *g;
    ls_error           err = {0};
    const ls_gguf_kv  *kv;
    const ls_tensor   *t;
    const void        *p;
    int64_t            v;
    ls_str             s;
    (void)state;
    header1(&b, 1, 3);
    str1(&b, "name"), gguf_build_u32(&b, 8), str1(&b, "text");
    str1(&b, "list"), gguf_build_u32(&b, 9), gguf_build_u32(&b, 8), gguf_build_u32(&b, 3);
    str1(&b, "one"), str1(&b, ""), str1(&b, "three");
    str1(&b, "number"), gguf_build_u32(&b, 4), gguf_build_u32(&b, 77);
    str1(&b, "t"), gguf_build_u32(&b, 2), gguf_build_u32(&b, 4), gguf_build_u32(&b, 2);
    gguf_build_u32(&b, 0), gguf_build_u64(&b, 0);
    gguf_build_pad(&b, 32);
    gguf_build_bytes(&b, data, sizeof(data));
    write_file("v1.gguf", &b);
    if (ls_gguf_open(&g, in_folder("v1.gguf"), &err) != LS_OK)
        fail_msg("%s %s", err.what, err.where);
    assert_int_equal(ls_gguf_version(g), 1);
    assert_true(ls_gguf_str(g, "name", &s) && ls_str_is(s, "text"));
    assert_true(ls_gguf_int(g, "number", &v) && v == 77);
    kv = ls_gguf_array(g, "list", LS_GGUF_STR);
    assert_true(kv && kv->n == 3);
    p = kv->data;
    assert_true(ls_str_is(ls_gguf_next_str(&p), "one"));
    assert_true(ls_str_is(ls_gguf_next_str(&p), ""));
    assert_true(ls_str_is(ls_gguf_next_str(&p), "three"));
    t = ls_gguf_tensor(g, "t");
    assert_true(t && t->ne[0] == 4 && t->ne[1] == 2 && t->n_bytes == sizeof(data));
    assert_memory_equal(t->data, data, sizeof(data));
    ls_gguf_close(g);
    for (size_t n = 0; n < b.n; n++) { /* cut anywhere: refused, at a byte of what is there */
        file_write(in_folder("v1.gguf"), b.data, n);
        ls_error_clear(&err);
        assert_int_equal(ls_gguf_open(&g, in_folder("v1.gguf"), &err), LS_ERR_FORMAT);
        assert_non_null(strstr(err.where, "v1.gguf: byte "));
    }
    gguf_build_free(&b);
}

static void refuses_a_count_of_version_1_that_the_file_cannot_hold(void **state)
{
    gguf_build b = {0};
    ls_gguf   *g;
    ls_error   err = {0};
    (void)state;
    header1(&b, 0xffffffff, 0);
    write_file("v1.gguf", &b);
    assert_int_equal(ls_gguf_open(&g, in_folder("v1.gguf"), &err), LS_ERR_FORMAT);
    assert_non_null(strstr(err.where, ": byte 8"));
    ls_error_clear(&err);
    b.n = 0;
    header1(&b, 0, 1);
    str1(&b, "list"), gguf_build_u32(&b, 9), gguf_build_u32(&b, 8), gguf_build_u32(&b, 0xffffffff);
    write_file("v1.gguf", &b);
    assert_int_equal(ls_gguf_open(&g, in_folder("v1.gguf"), &err), LS_ERR_FORMAT);
    assert_non_null(strstr(err.what, "4294967295 elements"));
    gguf_build_free(&b);
}

/* ---- split models ---- */

typedef struct part {
    int64_t     no, count, n_tensors; /* -1: the key is left out */
    const char *tensor;
} part;

static void kv_u16(gguf_build *b, const char *key, int64_t v)
{
    uint16_t u = (uint16_t)v;
    if (v < 0) return;
    gguf_build_key(b, key, 2);
    gguf_build_bytes(b, &u, 2);
}

static void write_part(const char *name, const part *p)
{
    static const uint64_t ne[1] = {8};
    gguf_build            b = {0};
    float                 v = (float)p->no;
    gguf_build_header(&b, 3, 1,
                      (uint64_t)(p->no >= 0) + (uint64_t)(p->count >= 0) +
                          (uint64_t)(p->n_tensors >= 0) + (uint64_t)(p->no == 0));
    kv_u16(&b, "split.no", p->no);
    kv_u16(&b, "split.count", p->count);
    if (p->n_tensors >= 0) {
        gguf_build_key(&b, "split.tensors.count", 5);
        gguf_build_u32(&b, (uint32_t)p->n_tensors);
    }
    if (p->no == 0) gguf_build_kv_str(&b, "general.architecture", "llama");
    gguf_build_tensor(&b, p->tensor, 1, ne, 0, 0);
    gguf_build_pad(&b, 32);
    for (int i = 0; i < 8; i++) gguf_build_bytes(&b, &v, 4);
    write_file(name, &b);
    gguf_build_free(&b);
}

static void write_three(void)
{
    write_part("m-00001-of-00003.gguf", &(part){0, 3, 3, "a"});
    write_part("m-00002-of-00003.gguf", &(part){1, 3, 3, "b"});
    write_part("m-00003-of-00003.gguf", &(part){2, 3, 3, "c"});
}

static void opens_all_parts_from_the_first(void **state)
{
    ls_gguf *g;
    ls_error err = {0};
    char     name[2] = "a";
    (void)state;
    write_three();
    if (ls_gguf_open(&g, in_folder("m-00001-of-00003.gguf"), &err) != LS_OK) {
        fail_msg("%s %s", err.what, err.where);
    }
    assert_int_equal(ls_gguf_n_tensors(g), 3);
    assert_int_equal(ls_gguf_n_parts(g), 3);
    assert_int_equal(ls_gguf_n_kv(g), 4);
    for (uint32_t i = 0; i < 3; i++, name[0]++) {
        const ls_tensor *t = ls_gguf_tensor(g, name);
        assert_true(t && t->part == i && t->n_bytes == 32);
        assert_true(*(const float *)t->data == (float)i);
        assert_int_equal(ls_gguf_offset(g, t->data), t->file_off);
        assert_non_null(strstr(ls_gguf_part_path(g, i), i == 1 ? "m-00002-of-00003.gguf" : "m-"));
        ls_error_clear(&err);
        ls_fail(&err, LS_ERR_FORMAT, "a fault");
        ls_gguf_fail_at(g, t->name.p, &err);
        assert_int_equal(
            strncmp(err.where, ls_gguf_part_path(g, i), strlen(ls_gguf_part_path(g, i))), 0);
    }
    assert_null(ls_gguf_part_path(g, 3));
    ls_gguf_close(g);
}

/* Each row spoils one part of three; the message must name what is wrong and where. */
static void refuses_parts_that_do_not_belong_together(void **state)
{
    static const struct {
        const char *name;
        part        p;
        const char *open, *what, *where;
    } cases[] = {
        {"m-00002-of-00003.gguf",
         {2, 3, 3, "b"},
         "m-00001-of-00003.gguf",
         "split.no 2",
         "m-00002-of-00003.gguf"},
        {"m-00003-of-00003.gguf",
         {2, 4, 3, "c"},
         "m-00001-of-00003.gguf",
         "split.count 4",
         "m-00003-of-00003.gguf"},
        {"m-00003-of-00003.gguf",
         {2, -1, 3, "c"},
         "m-00001-of-00003.gguf",
         "split.count -1",
         "m-00003-of-00003.gguf"},
        {"m-00001-of-00003.gguf",
         {0, 3, 5, "a"},
         "m-00001-of-00003.gguf",
         "3 tensors",
         "m-00001-of-00003.gguf: byte "},
        {"m-00002-of-00003.gguf",
         {1, 3, 3, "a"},
         "m-00001-of-00003.gguf",
         "'a' occurs twice",
         "m-0000"},
        {"m-00002-of-00003.gguf",
         {1, 3, 3, "b"},
         "m-00002-of-00003.gguf",
         "part 2 of 3",
         "m-00002-of-00003.gguf"},
        {"x.gguf", {0, 3, 3, "a"}, "x.gguf", "its name does not say so", "x.gguf"},
        {"m-00001-of-00004.gguf", {0, 3, 3, "a"}, "m-00001-of-00004.gguf", "does not say so", "m-"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        ls_gguf  *g;
        ls_error  err = {0};
        ls_status status;
        write_three();
        write_part(cases[i].name, &cases[i].p);
        status = ls_gguf_open(&g, in_folder(cases[i].open), &err);
        if (status == LS_OK || !strstr(err.what, cases[i].what) ||
            !strstr(err.where, cases[i].where)) {
            fail_msg("case %zu: %s %s", i, err.what, err.where);
        }
        assert_int_equal(ls_exit_code(status, &err), 5);
    }
}

static void names_a_missing_part_and_the_first_one(void **state)
{
    ls_gguf *g;
    ls_error err = {0};
    (void)state;
    write_three();
    unlink(in_folder("m-00003-of-00003.gguf"));
    assert_int_equal(ls_gguf_open(&g, in_folder("m-00001-of-00003.gguf"), &err), LS_ERR_IO);
    assert_non_null(strstr(err.what, "m-00003-of-00003.gguf"));
    assert_non_null(strstr(err.where, "part 3 of 3"));
    ls_error_clear(&err);
    assert_int_equal(ls_gguf_open(&g, in_folder("m-00002-of-00003.gguf"), &err),
                     LS_ERR_UNSUPPORTED);
    assert_non_null(strstr(err.hint, in_folder("m-00001-of-00003.gguf")));
}

/* ---- the writer ---- */

static void set_everything(ls_gguf_writer *w)
{
    static const int32_t numbers[3] = {-1, 0, 7};
    static const ls_str  texts[2] = {{"one", 3}, {"", 0}};
    ls_error             err = {0};
    assert_int_equal(ls_gguf_write_str(w, "general.architecture", LS_STR("llama"), &err), LS_OK);
    assert_int_equal(ls_gguf_write_int(w, "u8", LS_GGUF_U8, 255, &err), LS_OK);
    assert_int_equal(ls_gguf_write_int(w, "i16", LS_GGUF_I16, -5, &err), LS_OK);
    assert_int_equal(ls_gguf_write_int(w, "u32", LS_GGUF_U32, 1, &err), LS_OK);
    assert_int_equal(ls_gguf_write_int(w, "u32", LS_GGUF_U32, UINT32_MAX, &err), LS_OK);
    assert_int_equal(ls_gguf_write_float(w, "f32", LS_GGUF_F32, 0.1, &err), LS_OK);
    assert_int_equal(ls_gguf_write_float(w, "f64", LS_GGUF_F64, 0.1, &err), LS_OK);
    assert_int_equal(ls_gguf_write_bool(w, "bool", true, &err), LS_OK);
    assert_int_equal(ls_gguf_write_bool(w, "gone", true, &err), LS_OK);
    ls_gguf_write_remove(w, "gone");
    assert_int_equal(ls_gguf_write_array(w, "numbers", LS_GGUF_I32, numbers, 3, &err), LS_OK);
    assert_int_equal(ls_gguf_write_strs(w, "texts", texts, 2, &err), LS_OK);
}

static void check_everything(const ls_gguf *g)
{
    int64_t           v;
    double            f;
    bool              b = false;
    const ls_gguf_kv *kv;
    assert_int_equal(ls_gguf_n_kv(g), 9);
    assert_true(ls_gguf_int(g, "u8", &v) && v == 255);
    assert_true(ls_gguf_int(g, "i16", &v) && v == -5);
    assert_true(ls_gguf_int(g, "u32", &v) && v == UINT32_MAX);
    assert_true(ls_gguf_float(g, "f32", &f) && f == (double)0.1f);
    assert_true(ls_gguf_float(g, "f64", &f) && f == 0.1);
    assert_true(ls_gguf_bool(g, "bool", &b) && b);
    kv = ls_gguf_array(g, "numbers", LS_GGUF_I32);
    assert_true(kv && kv->n == 3 && ls_gguf_num_at(kv, 0) == -1 && ls_gguf_num_at(kv, 2) == 7);
    kv = ls_gguf_array(g, "texts", LS_GGUF_STR);
    assert_true(kv && kv->n == 2);
    assert_null(ls_gguf_find(g, "gone"));
}

static void writes_what_the_reader_reads(void **state)
{
    static const int64_t ne[2] = {32, 3}, odd[1] = {5};
    uint8_t              data[102], small[20];
    ls_gguf_writer      *w;
    ls_gguf             *g;
    ls_error             err = {0};
    const ls_tensor     *t;
    (void)state;
    for (size_t i = 0; i < sizeof(data); i++) data[i] = (uint8_t)(i * 7);
    memset(small, 9, sizeof(small));
    assert_int_equal(ls_gguf_writer_create(&w, &err), LS_OK);
    set_everything(w);
    assert_int_equal(ls_gguf_write_tensor(w, LS_STR("small"), 0, 1, odd, 0, &err), LS_OK);
    assert_int_equal(ls_gguf_write_tensor(w, LS_STR("blocks"), 8, 2, ne, 0, &err), LS_OK);
    assert_int_equal(ls_gguf_write_begin(w, in_folder("w.gguf"), &err), LS_OK);
    assert_int_equal(access(in_folder("w.gguf"), F_OK), -1); /* not before it is whole */
    assert_int_equal(ls_gguf_write_data(w, small, 7, &err), LS_OK);
    assert_int_equal(ls_gguf_write_data(w, small, 13, &err), LS_OK);
    assert_int_equal(ls_gguf_write_data(w, data, sizeof(data), &err), LS_OK);
    assert_int_equal(ls_gguf_write_data(w, data, 1, NULL), LS_ERR_USAGE);
    assert_int_equal(ls_gguf_write_finish(w, &err), LS_OK);
    if (ls_gguf_open(&g, in_folder("w.gguf"), &err) != LS_OK)
        fail_msg("%s %s", err.what, err.where);
    check_everything(g);
    assert_int_equal(ls_gguf_file_bytes(g), ls_gguf_writer_bytes(w));
    t = ls_gguf_tensor(g, "small");
    assert_memory_equal(t->data, small, sizeof(small));
    t = ls_gguf_tensor(g, "blocks");
    assert_true(t->n_bytes == sizeof(data) && t->n_dims == 2);
    assert_memory_equal(t->data, data, sizeof(data));
    ls_gguf_close(g);
    ls_gguf_writer_destroy(w);
}

static void leaves_nothing_behind_when_data_are_missing(void **state)
{
    static const int64_t ne[1] = {32};
    ls_gguf_writer      *w;
    (void)state;
    assert_int_equal(ls_gguf_writer_create(&w, NULL), LS_OK);
    assert_int_equal(ls_gguf_write_tensor(w, LS_STR("t"), 0, 1, ne, 0, NULL), LS_OK);
    assert_int_equal(ls_gguf_write_tensor(w, LS_STR("t"), 0, 1, ne, 0, NULL), LS_ERR_USAGE);
    assert_int_equal(ls_gguf_write_tensor(w, LS_STR("q"), 2, 1, (int64_t[]){33}, 0, NULL),
                     LS_ERR_USAGE);
    assert_int_equal(ls_gguf_write_int(w, "k", LS_GGUF_U8, 256, NULL), LS_ERR_USAGE);
    assert_int_equal(ls_gguf_write_begin(w, in_folder("half.gguf"), NULL), LS_OK);
    assert_int_equal(ls_gguf_write_data(w, ne, 8, NULL), LS_OK);
    assert_int_equal(ls_gguf_write_finish(w, NULL), LS_ERR_USAGE);
    assert_int_equal(access(in_folder("half.gguf"), F_OK), -1);
    ls_gguf_writer_destroy(w);
    assert_int_equal(rmdir(folder), -1); /* other files: but no temporary one of half.gguf */
}

/* ---- safetensors ---- */

static void writes_safetensors_that_the_reader_reads(void **state)
{
    static const int64_t   two[2] = {2, 3}, none[1] = {0};
    static const float     data[6] = {1, 2, 3, 4, 5, 6};
    ls_safetensors_writer *w;
    ls_checkpoint         *c;
    ls_error               err = {0};
    const ls_ckpt_tensor  *t;
    (void)state;
    assert_int_equal(ls_safetensors_writer_create(&w, &err), LS_OK);
    assert_int_equal(ls_safetensors_note(w, "format", LS_STR("pt"), &err), LS_OK);
    assert_int_equal(ls_safetensors_note(w, "bad", LS_STR("\xff"), NULL), LS_ERR_USAGE);
    assert_int_equal(ls_safetensors_add(w, LS_STR("a \"b\""), LS_CKPT_F32, 2, two, &err), LS_OK);
    assert_int_equal(ls_safetensors_add(w, LS_STR("one"), LS_CKPT_BF16, 0, NULL, &err), LS_OK);
    assert_int_equal(ls_safetensors_add(w, LS_STR("none"), LS_CKPT_U8, 1, none, &err), LS_OK);
    assert_int_equal(ls_safetensors_add(w, LS_STR("one"), LS_CKPT_F32, 0, NULL, NULL),
                     LS_ERR_USAGE);
    assert_int_equal(ls_safetensors_begin(w, in_folder("w.safetensors"), &err), LS_OK);
    assert_int_equal(ls_safetensors_data(w, data, sizeof(data), &err), LS_OK);
    assert_int_equal(ls_safetensors_data(w, data, 3, NULL), LS_ERR_USAGE);
    assert_int_equal(ls_safetensors_data(w, "\x80\x3f", 2, &err), LS_OK);
    assert_int_equal(ls_safetensors_finish(w, &err), LS_OK);
    ls_safetensors_writer_destroy(w);
    if (ls_checkpoint_open(&c, in_folder("w.safetensors"), &err) != LS_OK) {
        fail_msg("%s %s", err.what, err.where);
    }
    t = ls_checkpoint_tensor(c, LS_STR("a \"b\""));
    assert_true(t && t->n_dims == 2 && t->shape[0] == 2 && t->shape[1] == 3);
    assert_int_equal(t->file_off % 8, 0);
    assert_memory_equal(t->data, data, sizeof(data));
    assert_int_equal(ls_checkpoint_n_tensors(c), 3);
    ls_checkpoint_close(c);
}

static int make_folder(void **state)
{
    (void)state;
    snprintf(folder, sizeof(folder), "/tmp/lockstep-parts-XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    char command[300];
    (void)state;
    snprintf(command, sizeof(command), "rm -rf '%s'", folder);
    return system(command);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_version_1_with_its_counts_of_32_bits),
        cmocka_unit_test(refuses_a_count_of_version_1_that_the_file_cannot_hold),
        cmocka_unit_test(opens_all_parts_from_the_first),
        cmocka_unit_test(refuses_parts_that_do_not_belong_together),
        cmocka_unit_test(names_a_missing_part_and_the_first_one),
        cmocka_unit_test(writes_what_the_reader_reads),
        cmocka_unit_test(leaves_nothing_behind_when_data_are_missing),
        cmocka_unit_test(writes_safetensors_that_the_reader_reads),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
