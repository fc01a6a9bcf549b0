// SPDX-License-Identifier: MIT
/* test_gguf.c - the GGUF reader on files built field by field: what is right is read, and each way
 * of being wrong is refused with its status, its sentence (tests/golden/errors/gguf.expect) and the
 * byte at which the specification is broken, which the builder knows by itself. */
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
#include "support/files.h"
#include "support/gguf_build.h"

static char path[256]; /* the temporary file that every case rewrites */

static ls_status open_built(ls_gguf **g, const gguf_build *b, ls_error *err)
{
    file_write(path, b->data ? b->data : (const uint8_t *)"", b->n);
    return ls_gguf_open(g, path, err);
}

/* ---- broken files ---- */

static const uint64_t one[4] = {1, 1, 1, 1}, ne32[1] = {32};

static void b_empty(gguf_build *b) { (void)b; }
static void b_three_bytes(gguf_build *b) { gguf_build_bytes(b, "GGU", 3); }
static void b_other_magic(gguf_build *b) { gguf_build_bytes(b, "ELF and so on", 13); }
static void b_pytorch(gguf_build *b) { gguf_build_bytes(b, "PK\3\4and so on", 13); }
static void b_safetensors(gguf_build *b)
{
    gguf_build_u64(b, 40);
    gguf_build_bytes(b, "{\"a\":{\"dtype\":\"F32\"}}", 21);
}

static void header(gguf_build *b, uint32_t version, uint64_t n_tensors, uint64_t n_kv)
{
    gguf_build_header(b, version, n_tensors, n_kv);
    b->mark = 4;
}
static void b_version_0(gguf_build *b) { header(b, 0, 0, 0); }
static void b_version_4(gguf_build *b) { header(b, 4, 0, 0); }
static void b_big_endian(gguf_build *b) { header(b, 0x03000000, 0, 0); }
static void b_cut_version(gguf_build *b)
{
    gguf_build_bytes(b, "GGUF\3", 5);
    b->mark = 4;
}
static void b_cut_counts(gguf_build *b)
{
    gguf_build_header(b, 3, 1, 1);
    b->n -= 3;
    b->mark = 16;
}
static void b_tensors_2_63(gguf_build *b)
{
    gguf_build_header(b, 3, (uint64_t)1 << 63, 0);
    b->mark = 8;
}
static void b_keys_2_63(gguf_build *b)
{
    gguf_build_header(b, 3, 0, (uint64_t)1 << 63);
    b->mark = 16;
}
static void b_one_key_too_many(gguf_build *b)
{
    gguf_build_header(b, 3, 0, 2);
    gguf_build_kv_str(b, "general.architecture", "llama");
    gguf_build_mark(b);
}
static void b_key_length_2_63(gguf_build *b)
{
    gguf_build_header(b, 3, 0, 1);
    gguf_build_mark(b);
    gguf_build_u64(b, (uint64_t)1 << 63);
    gguf_build_fill(b, 'a', 40);
}
static void b_key_empty(gguf_build *b)
{
    gguf_build_header(b, 3, 0, 1);
    gguf_build_mark(b);
    gguf_build_kv_str(b, "", "value");
}
static void b_key_with_zero(gguf_build *b)
{
    gguf_build_header(b, 3, 0, 1);
    gguf_build_mark(b);
    gguf_build_u64(b, 3);
    gguf_build_bytes(b, "a\0b\0\0\0\0\1", 8);
    gguf_build_fill(b, 0, 8);
}
static void b_key_of_64_KiB(gguf_build *b)
{
    gguf_build_header(b, 3, 0, 1);
    gguf_build_mark(b);
    gguf_build_u64(b, 65536);
    gguf_build_fill(b, 'k', 65536);
    gguf_build_u32(b, 7);
    gguf_build_u8(b, 1);
}
static void b_value_type_13(gguf_build *b)
{
    gguf_build_header(b, 3, 0, 1);
    gguf_build_str(b, "a.key");
    gguf_build_mark(b);
    gguf_build_u32(b, 13);
    gguf_build_u64(b, 0);
}
static void b_cut_type(gguf_build *b)
{
    gguf_build_header(b, 3, 0, 1);
    gguf_build_str(b, "a.key");
    gguf_build_mark(b);
    gguf_build_fill(b, 0, 2);
}
static void b_cut_value(gguf_build *b)
{
    gguf_build_header(b, 3, 0, 1);
    gguf_build_key(b, "a.key", 12);
    gguf_build_mark(b);
    gguf_build_fill(b, 0, 7);
}
static void b_boolean_2(gguf_build *b)
{
    gguf_build_header(b, 3, 0, 1);
    gguf_build_key(b, "a.key", 7);
    gguf_build_mark(b);
    gguf_build_u8(b, 2);
}
static void b_string_too_long(gguf_build *b)
{
    gguf_build_header(b, 3, 0, 1);
    gguf_build_key(b, "a.key", 8);
    gguf_build_mark(b);
    gguf_build_u64(b, 6);
    gguf_build_bytes(b, "12345", 5);
}
static void b_array_of_type_13(gguf_build *b)
{
    gguf_build_header(b, 3, 0, 1);
    gguf_build_key(b, "a.key", 9);
    gguf_build_mark(b);
    gguf_build_u32(b, 13);
    gguf_build_u64(b, 0);
}
static void b_array_of_arrays(gguf_build *b)
{
    gguf_build_header(b, 3, 0, 1);
    gguf_build_key(b, "a.key", 9);
    gguf_build_mark(b);
    gguf_build_u32(b, 9);
    gguf_build_u64(b, 1);
    gguf_build_u32(b, 4);
    gguf_build_u64(b, 0);
}
static void array_of(gguf_build *b, uint32_t type, uint64_t n)
{
    gguf_build_header(b, 3, 0, 1);
    gguf_build_key(b, "a.key", 9);
    gguf_build_mark(b);
    gguf_build_u32(b, type);
    gguf_build_u64(b, n);
    gguf_build_fill(b, 0, 32);
}
static void b_array_of_2_63_bytes(gguf_build *b) { array_of(b, 0, (uint64_t)1 << 63); }
/* 4 * (2^62 + 1) is 4 in 64 bits. */
static void b_array_that_wraps(gguf_build *b) { array_of(b, 4, ((uint64_t)1 << 62) + 1); }
static void b_array_of_2_60_strings(gguf_build *b) { array_of(b, 8, (uint64_t)1 << 60); }
static void b_array_string_too_long(gguf_build *b)
{
    gguf_build_header(b, 3, 0, 1);
    gguf_build_kv_array(b, "a.key", 8, 2);
    gguf_build_str(b, "first");
    gguf_build_mark(b);
    gguf_build_u64(b, 7);
    gguf_build_bytes(b, "second", 6);
}
static void b_key_twice(gguf_build *b)
{
    gguf_build_header(b, 3, 0, 3);
    gguf_build_kv_u32(b, "a.key", 1);
    gguf_build_kv_u32(b, "other", 1);
    b->mark = b->n + 8; /* the text of the key, behind its length */
    gguf_build_kv_u32(b, "a.key", 2);
}
static void alignment(gguf_build *b, uint32_t v)
{
    gguf_build_header(b, 3, 0, 1);
    b->mark = b->n + 8;
    gguf_build_kv_u32(b, "general.alignment", v);
}
static void b_alignment_0(gguf_build *b) { alignment(b, 0); }
static void b_alignment_12(gguf_build *b) { alignment(b, 12); }
static void b_alignment_4(gguf_build *b) { alignment(b, 4); }
static void b_alignment_text(gguf_build *b)
{
    gguf_build_header(b, 3, 0, 1);
    b->mark = b->n + 8;
    gguf_build_kv_str(b, "general.alignment", "32");
}
static void b_split(gguf_build *b)
{
    gguf_build_header(b, 3, 0, 1);
    gguf_build_key(b, "split.count", 2);
    gguf_build_bytes(b, "\3", 2);
}

/* ---- broken tensor directories ---- */

static void b_tensor_name_empty(gguf_build *b)
{
    gguf_build_header(b, 3, 1, 0);
    gguf_build_mark(b);
    gguf_build_tensor(b, "", 1, one, 0, 0);
    gguf_build_fill(b, 0, 64);
}
static void b_tensor_name_too_long(gguf_build *b)
{
    gguf_build_header(b, 3, 1, 0);
    gguf_build_mark(b);
    gguf_build_u64(b, 1000);
    gguf_build_fill(b, 'n', 100);
}
static void dimensions(gguf_build *b, uint32_t n)
{
    static const uint64_t five[5] = {1, 1, 1, 1, 1};
    gguf_build_header(b, 3, 1, 0);
    gguf_build_str(b, "t");
    gguf_build_mark(b);
    gguf_build_u32(b, n);
    gguf_build_bytes(b, five, 8 * n);
    gguf_build_fill(b, 0, 64);
}
static void b_no_dimensions(gguf_build *b) { dimensions(b, 0); }
static void b_five_dimensions(gguf_build *b) { dimensions(b, 5); }
static void shape(gguf_build *b, uint64_t ne0, uint64_t ne1, int wrong)
{
    uint64_t ne[2] = {ne0, ne1};
    gguf_build_header(b, 3, 1, 0);
    gguf_build_tensor(b, "t", 2, ne, 0, 0);
    b->mark = 24 + 8 + 1 + 4 + 8 * (size_t)wrong;
    gguf_build_fill(b, 0, 64);
}
static void b_dimension_zero(gguf_build *b) { shape(b, 0, 1, 0); }
static void b_shape_of_2_64(gguf_build *b) { shape(b, (uint64_t)1 << 32, (uint64_t)1 << 32, 1); }
static void b_shape_of_2_63(gguf_build *b) { shape(b, (uint64_t)1 << 32, (uint64_t)1 << 31, 1); }
static void b_shape_that_wraps(gguf_build *b)
{
    shape(b, ((uint64_t)1 << 32) + 1, ((uint64_t)1 << 32), 1);
}
static void b_shape_of_2_62(gguf_build *b)
{
    shape(b, (uint64_t)1 << 31, (uint64_t)1 << 31, 0);
    b->mark = 96; /* well-formed, but the data of 2^64 bytes cannot be there */
}
static void tensor_type(gguf_build *b, uint32_t type)
{
    gguf_build_header(b, 3, 1, 0);
    gguf_build_str(b, "t");
    gguf_build_u32(b, 1);
    gguf_build_u64(b, 32);
    gguf_build_mark(b);
    gguf_build_u32(b, type);
    gguf_build_u64(b, 0);
    gguf_build_fill(b, 0, 256);
}
static void b_type_removed(gguf_build *b) { tensor_type(b, 4); }
static void b_type_200(gguf_build *b) { tensor_type(b, 200); }
static void b_type_minus_1(gguf_build *b) { tensor_type(b, UINT32_MAX); }
static void b_row_of_33(gguf_build *b)
{
    static const uint64_t ne33[1] = {33};
    gguf_build_header(b, 3, 1, 0);
    gguf_build_tensor(b, "t", 1, ne33, 2, 0);
    b->mark = b->n - 12;
    gguf_build_fill(b, 0, 256);
}
static void b_cut_directory(gguf_build *b)
{
    gguf_build_header(b, 3, 2, 0);
    gguf_build_tensor(b, "t", 1, ne32, 0, 0);
    gguf_build_str(b, "second");
    gguf_build_u32(b, 2);
    gguf_build_u64(b, 32);
    gguf_build_mark(b);
    gguf_build_fill(b, 0, 5);
}

/* One F32 tensor of 32 at `offset`, with n bytes of data behind the padded directory. */
static void one_tensor(gguf_build *b, uint64_t offset, size_t n)
{
    gguf_build_header(b, 3, 1, 0);
    gguf_build_mark(b); /* the entry that says where the data are */
    gguf_build_tensor(b, "t", 1, ne32, 0, offset);
    gguf_build_pad(b, 32);
    gguf_build_fill(b, 0, n);
}
static void b_offset_odd(gguf_build *b) { one_tensor(b, 16, 256); }
static void b_offset_past_the_end(gguf_build *b) { one_tensor(b, 288, 256); }
static void b_offset_that_wraps(gguf_build *b) { one_tensor(b, UINT64_MAX - 31, 256); }
static void b_data_cut(gguf_build *b)
{
    one_tensor(b, 32, 32 + 127);
    b->mark = b->n - 127;
}
static void b_no_data(gguf_build *b)
{
    one_tensor(b, 0, 0);
    b->mark = b->n;
}
static void b_I2_S_tail_cut(gguf_build *b)
{
    static const uint64_t ne[2] = {128, 2};
    gguf_build_header(b, 3, 1, 0);
    gguf_build_tensor(b, "t", 2, ne, 36, 0);
    gguf_build_pad(b, 32);
    gguf_build_mark(b);
    gguf_build_fill(b, 0, 64 + 31);
}
static void b_tensor_twice(gguf_build *b)
{
    gguf_build_header(b, 3, 3, 0);
    gguf_build_tensor(b, "t", 1, ne32, 0, 0);
    gguf_build_tensor(b, "u", 1, ne32, 0, 0);
    b->mark = b->n + 8;
    gguf_build_tensor(b, "t", 1, ne32, 0, 0);
    gguf_build_pad(b, 32);
    gguf_build_fill(b, 0, 128);
}

typedef struct broken_case {
    const char *name;
    void (*build)(gguf_build *b);
} broken_case;

#define CASE(name)                                                                                 \
    {                                                                                              \
#name, b_##name                                                                            \
    }
static const broken_case broken[] = {
    CASE(empty),
    CASE(three_bytes),
    CASE(other_magic),
    CASE(pytorch),
    CASE(safetensors),
    CASE(version_0),
    CASE(version_4),
    CASE(big_endian),
    CASE(cut_version),
    CASE(cut_counts),
    CASE(tensors_2_63),
    CASE(keys_2_63),
    CASE(one_key_too_many),
    CASE(key_length_2_63),
    CASE(key_empty),
    CASE(key_with_zero),
    CASE(key_of_64_KiB),
    CASE(value_type_13),
    CASE(cut_type),
    CASE(cut_value),
    CASE(boolean_2),
    CASE(string_too_long),
    CASE(array_of_type_13),
    CASE(array_of_arrays),
    CASE(array_of_2_63_bytes),
    CASE(array_that_wraps),
    CASE(array_of_2_60_strings),
    CASE(array_string_too_long),
    CASE(key_twice),
    CASE(alignment_0),
    CASE(alignment_4),
    CASE(alignment_12),
    CASE(alignment_text),
    CASE(split),
    CASE(tensor_name_empty),
    CASE(tensor_name_too_long),
    CASE(no_dimensions),
    CASE(five_dimensions),
    CASE(dimension_zero),
    CASE(shape_of_2_64),
    CASE(shape_of_2_63),
    CASE(shape_that_wraps),
    CASE(shape_of_2_62),
    CASE(type_removed),
    CASE(type_200),
    CASE(type_minus_1),
    CASE(row_of_33),
    CASE(cut_directory),
    CASE(offset_odd),
    CASE(offset_past_the_end),
    CASE(offset_that_wraps),
    CASE(data_cut),
    CASE(no_data),
    CASE(I2_S_tail_cut),
    CASE(tensor_twice),
};
#define N_BROKEN (sizeof(broken) / sizeof(broken[0]))

/* The line of a case in gguf.expect: "name<tab>status<tab>sentence<newline>". */
static const char *expected_line(const char *all, const char *name)
{
    size_t n = strlen(name);
    for (const char *p = all; p && *p; p = strchr(p, '\n') ? strchr(p, '\n') + 1 : NULL) {
        if (strncmp(p, name, n) == 0 && p[n] == '\t') return p;
    }
    return NULL;
}

static void refuses_every_broken_file_with_its_sentence_and_byte(void **state)
{
    size_t n, n_lines = 0, n_wrong = 0;
    char  *all = (char *)file_read(LS_SOURCE_DIR "/tests/golden/errors/gguf.expect", &n);
    (void)state;
    all[n] = '\0';
    for (size_t i = 0; i < N_BROKEN; i++) {
        gguf_build  b = {0};
        ls_gguf    *g;
        ls_error    err = {0};
        ls_status   status;
        char        got[1200], where[400];
        const char *want = expected_line(all, broken[i].name);
        broken[i].build(&b);
        status = open_built(&g, &b, &err);
        assert_null(g);
        snprintf(got, sizeof(got), "%s\t%s\t%s\n", broken[i].name, ls_status_name(status),
                 err.what);
        snprintf(where, sizeof(where), "%s: byte %zu", path, b.mark);
        if (strcmp(broken[i].name, "split") == 0) snprintf(where, sizeof(where), "%s", path);
        if (!want || strncmp(got, want, strlen(got)) != 0) {
            print_error("unexpected: %s", got);
            n_wrong++;
        }
        if (strcmp(err.where, where) != 0) {
            print_error("%s: '%s', not '%s'\n", broken[i].name, err.where, where);
            n_wrong++;
        }
        assert_int_equal(err.status, status);
        gguf_build_free(&b);
    }
    for (size_t i = 0; i < n; i++) n_lines += all[i] == '\n';
    assert_int_equal(n_wrong, 0);
    assert_int_equal(n_lines, N_BROKEN);
    free(all);
}

static void tells_what_is_no_file(void **state)
{
    ls_gguf *g;
    ls_error err = {0};
    (void)state;
    assert_int_equal(ls_gguf_open(&g, "/nonexistent/model.gguf", &err), LS_ERR_IO);
    assert_non_null(strstr(err.what, "/nonexistent/model.gguf"));
    ls_error_clear(&err);
    assert_int_equal(ls_gguf_open(&g, "/", &err), LS_ERR_IO);
    assert_null(g);
    assert_int_equal(ls_gguf_open(&g, "/nonexistent", NULL), LS_ERR_IO);
}

/* ---- files as they should be ---- */

static void every_type(gguf_build *b)
{
    gguf_build_key(b, "u8", 0), gguf_build_u8(b, 200);
    gguf_build_key(b, "i8", 1), gguf_build_u8(b, 200);
    gguf_build_key(b, "u16", 2), gguf_build_bytes(b, "\xff\xff", 2);
    gguf_build_key(b, "i16", 3), gguf_build_bytes(b, "\xfe\xff", 2);
    gguf_build_kv_u32(b, "u32", UINT32_MAX);
    gguf_build_key(b, "i32", 5), gguf_build_u32(b, UINT32_MAX);
    gguf_build_kv_f32(b, "f32", 0.1f);
    gguf_build_key(b, "bool", 7), gguf_build_u8(b, 1);
    gguf_build_kv_str(b, "str", "a \"text\"\n\x1b[31m");
    gguf_build_key(b, "u64", 10), gguf_build_u64(b, UINT64_MAX);
    gguf_build_key(b, "i64", 11), gguf_build_u64(b, UINT64_MAX);
    gguf_build_key(b, "f64", 12), gguf_build_u64(b, 0x3fb999999999999a); /* 0.1 */
    gguf_build_kv_array(b, "strings", 8, 3);
    gguf_build_str(b, "one"), gguf_build_str(b, ""), gguf_build_str(b, "three");
    gguf_build_kv_array(b, "floats", 6, 2), gguf_build_f32(b, -2.5f), gguf_build_f32(b, 7);
    gguf_build_kv_array(b, "none", 4, 0);
    gguf_build_kv_array(b, "many", 5, 9);
    for (uint32_t i = 0; i < 9; i++) gguf_build_u32(b, 0u - i);
}

static void check_numbers(const ls_gguf *g)
{
    static const struct {
        const char *key;
        int64_t     i;
    } ints[] = {
        {"u8", 200},         {"i8", -56}, {"u16", 65535}, {"i16", -2},
        {"u32", 4294967295}, {"i32", -1}, {"bool", 1},    {"i64", -1},
    };
    int64_t i;
    double  f;
    bool    flag = false;
    for (size_t k = 0; k < sizeof(ints) / sizeof(ints[0]); k++) {
        assert_true(ls_gguf_int(g, ints[k].key, &i) && i == ints[k].i);
        if (strcmp(ints[k].key, "bool") == 0) continue;
        assert_true(ls_gguf_float(g, ints[k].key, &f) && f == (double)ints[k].i);
    }
    i = 77;
    assert_false(ls_gguf_int(g, "u64", &i)); /* does not fit */
    assert_false(ls_gguf_int(g, "f32", &i));
    assert_false(ls_gguf_int(g, "str", &i));
    assert_false(ls_gguf_int(g, "absent", &i));
    assert_int_equal(i, 77);
    assert_true(ls_gguf_float(g, "u64", &f) && f == 0x1p64);
    assert_true(ls_gguf_float(g, "f32", &f) && f == (double)0.1f);
    assert_true(ls_gguf_float(g, "f64", &f) && f == 0.1);
    assert_false(ls_gguf_float(g, "bool", &f));
    assert_true(ls_gguf_bool(g, "bool", &flag) && flag);
    assert_false(ls_gguf_bool(g, "u8", &flag));
}

static void check_arrays(const ls_gguf *g)
{
    const ls_gguf_kv *kv = ls_gguf_array(g, "strings", LS_GGUF_STR);
    const void       *p;
    assert_non_null(kv);
    assert_int_equal(kv->n, 3);
    p = kv->data;
    assert_true(ls_str_is(ls_gguf_next_str(&p), "one"));
    assert_true(ls_str_is(ls_gguf_next_str(&p), ""));
    assert_true(ls_str_is(ls_gguf_next_str(&p), "three"));
    kv = ls_gguf_array(g, "floats", LS_GGUF_F32);
    assert_true(kv && kv->n == 2 && ls_gguf_num_at(kv, 0) == -2.5 && ls_gguf_num_at(kv, 1) == 7);
    kv = ls_gguf_array(g, "none", LS_GGUF_U32);
    assert_true(kv && kv->n == 0);
    assert_null(ls_gguf_array(g, "none", LS_GGUF_I32));
    assert_null(ls_gguf_array(g, "u8", LS_GGUF_U8));
}

static void check_formats(const ls_gguf *g)
{
    static const struct {
        const char *key, *text;
    } texts[] = {
        {"u8", "200"},
        {"i8", "-56"},
        {"u64", "18446744073709551615"},
        {"f32", "0.100000001"},
        {"bool", "true"},
        {"str", "\"a \\\"text\\\"\\n\\x1b[31m\""},
        {"strings", "[\"one\", \"\", \"three\"]"},
        {"none", "[]"},
        {"many", "[0, -1, -2, -3, -4, ...]"},
    };
    char buf[64];
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        ls_gguf_format(ls_gguf_find(g, texts[i].key), buf, sizeof(buf));
        assert_string_equal(buf, texts[i].text);
        ls_gguf_format(ls_gguf_find(g, texts[i].key), buf, 4);
        assert_true(strlen(buf) <= 3);
    }
}

static void reads_every_type_of_value_in_versions_2_and_3(void **state)
{
    (void)state;
    for (uint32_t version = 2; version <= 3; version++) {
        gguf_build b = {0};
        ls_gguf   *g;
        ls_error   err = {0};
        gguf_build_header(&b, version, 0, 16);
        every_type(&b);
        if (open_built(&g, &b, &err) != LS_OK) fail_msg("%s %s", err.what, err.where);
        assert_int_equal(ls_gguf_version(g), version);
        assert_int_equal(ls_gguf_n_kv(g), 16);
        assert_int_equal(ls_gguf_n_tensors(g), 0);
        assert_int_equal(ls_gguf_file_bytes(g), b.n);
        assert_string_equal(ls_gguf_path(g), path);
        check_numbers(g);
        check_arrays(g);
        check_formats(g);
        assert_null(ls_gguf_kv_at(g, 16));
        ls_gguf_close(g);
        gguf_build_free(&b);
    }
}

static void finds_tensor_data_where_the_alignment_says(void **state)
{
    (void)state;
    for (uint32_t align = 8; align <= 4096; align *= 2) {
        static const uint64_t ne[3] = {32, 2, 3};
        gguf_build            b = {0};
        ls_gguf              *g;
        ls_error              err = {0};
        const ls_tensor      *t;
        size_t                data;
        gguf_build_header(&b, 3, 3, 1);
        gguf_build_kv_u32(&b, "general.alignment", align);
        gguf_build_tensor(&b, "first", 1, ne, 2, 0);
        gguf_build_tensor(&b, "second", 3, ne, 1, align > 18 ? align : 32);
        gguf_build_tensor(&b, "one block", 1, ne, 6, 0); /* q5_0 */
        gguf_build_pad(&b, align);
        data = b.n;
        gguf_build_fill(&b, 1, (align > 18 ? align : 32));
        gguf_build_fill(&b, 2, 384);
        if (open_built(&g, &b, &err) != LS_OK) fail_msg("%u: %s %s", align, err.what, err.where);
        assert_int_equal(ls_gguf_alignment(g), align);
        assert_int_equal(ls_gguf_data_off(g), data);
        t = ls_gguf_tensor(g, "second");
        assert_non_null(t);
        assert_true(t->ne[0] == 32 && t->ne[1] == 2 && t->ne[2] == 3 && t->ne[3] == 1);
        assert_int_equal(t->n_bytes, 384);
        assert_int_equal(*(const uint8_t *)t->data, 2);
        assert_int_equal(ls_gguf_offset(g, t->data), t->file_off);
        t = ls_gguf_tensor(g, "one block");
        assert_true(t && t->n_bytes == 22 && t->data && t->dtype == 6);
        assert_null(ls_gguf_tensor(g, "third"));
        assert_null(ls_gguf_tensor_at(g, 3));
        ls_gguf_close(g);
        gguf_build_free(&b);
    }
}

/* Of one block of each type: all its bytes are enough, one less is too few. */
static void knows_the_size_of_a_block_of_every_type(void **state)
{
    /* GGUF id, elements and bytes of a block: ggml.c of llama.cpp v0.5.0 */
    static const uint16_t types[][3] = {
        {0, 1, 4},      {1, 1, 2},      {2, 32, 18},    {3, 32, 20},    {6, 32, 22},
        {7, 32, 24},    {8, 32, 34},    {9, 32, 36},    {10, 256, 84},  {11, 256, 110},
        {12, 256, 144}, {13, 256, 176}, {14, 256, 210}, {15, 256, 292}, {16, 256, 66},
        {17, 256, 74},  {18, 256, 98},  {19, 256, 50},  {20, 32, 18},   {21, 256, 110},
        {22, 256, 82},  {23, 256, 136}, {24, 1, 1},     {25, 1, 2},     {26, 1, 4},
        {27, 1, 8},     {28, 1, 8},     {29, 256, 56},  {30, 1, 2},     {34, 256, 54},
        {35, 256, 66},  {39, 32, 17},   {40, 64, 36},   {41, 128, 18},  {42, 64, 18},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        for (size_t less = 0; less < 2; less++) {
            const uint64_t ne[1] = {types[i][1]};
            gguf_build     b = {0};
            ls_gguf       *g = NULL;
            ls_error       err = {0};
            ls_status      status;
            gguf_build_header(&b, 3, 1, 0);
            gguf_build_tensor(&b, "t", 1, ne, types[i][0], 0);
            gguf_build_pad(&b, 32);
            gguf_build_fill(&b, 1, types[i][2] - less);
            status = open_built(&g, &b, &err);
            if (status != (less ? LS_ERR_FORMAT : LS_OK)) fail_msg("type %d", types[i][0]);
            if (!less) assert_int_equal(ls_gguf_tensor_at(g, 0)->n_bytes, types[i][2]);
            ls_gguf_close(g);
            gguf_build_free(&b);
        }
    }
}

static void reads_the_last_part_of_a_merged_split(void **state)
{
    gguf_build b = {0};
    ls_gguf   *g;
    (void)state;
    gguf_build_header(&b, 3, 0, 1);
    gguf_build_kv_u32(&b, "split.count", 1);
    assert_int_equal(open_built(&g, &b, NULL), LS_OK);
    ls_gguf_close(g);
    gguf_build_free(&b);
}

static int make_path(void **state)
{
    (void)state;
    file_temporary(path, sizeof(path), "lockstep-gguf");
    return 0;
}

static int remove_path(void **state)
{
    (void)state;
    return unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refuses_every_broken_file_with_its_sentence_and_byte),
        cmocka_unit_test(tells_what_is_no_file),
        cmocka_unit_test(reads_every_type_of_value_in_versions_2_and_3),
        cmocka_unit_test(finds_tensor_data_where_the_alignment_says),
        cmocka_unit_test(knows_the_size_of_a_block_of_every_type),
        cmocka_unit_test(reads_the_last_part_of_a_merged_split),
    };
    return cmocka_run_group_tests(tests, make_path, remove_path);
}
