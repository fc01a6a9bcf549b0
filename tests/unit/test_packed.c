// SPDX-License-Identifier: MIT
/* test_packed.c - ternary matrices stored as a whole, against bytes and products that bitnet.cpp's
 * own programs gave and bytes packed by BitNet-rs's rules (tests/golden/packed). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dtype/dtype.h"
#include "dtype/packed.h"
#include "kernel/kernel.h"
#include "lockstep/hash.h"
#include "lockstep/quant.h"
#include "model/unpack.h"
#include "support/files.h"

#define GOLDEN LS_SOURCE_DIR "/tests/golden/packed/"

static const float scale = 0.75f;

/* Weight i of every matrix here, as tests/golden/packed/README.md says. */
static int weight(size_t i)
{
    uint32_t h = (uint32_t)i * 2654435761u;
    h ^= h >> 15;
    h *= 2246822519u;
    return (int)((h >> 16) % 3) - 1;
}

static float activation(size_t i)
{
    uint32_t h = (uint32_t)i * 2246822519u + 12345u;
    h ^= h >> 13;
    h *= 2654435761u;
    h ^= h >> 16;
    return (float)((int)(h % 20001) - 10000) / 4096.0f;
}

static float *weights(size_t n)
{
    float *x = malloc(n * sizeof(*x));
    assert_non_null(x);
    for (size_t i = 0; i < n; i++) x[i] = scale * (float)weight(i);
    return x;
}

static void sha256_hex(char hex[65], const void *data, size_t n)
{
    ls_hash *h;
    uint8_t  digest[LS_HASH_MAX];
    assert_int_equal(ls_hash_create(&h, LS_SHA256, NULL), LS_OK);
    ls_hash_update(h, data, n);
    ls_hex(hex, digest, ls_hash_final(h, digest));
    ls_hash_destroy(h);
}

static ls_tensor matrix(int dtype, size_t rows, size_t n, const void *data)
{
    return (ls_tensor){.dtype = dtype,
                       .n_dims = 2,
                       .ne = {(int64_t)n, (int64_t)rows, 1, 1},
                       .n_bytes = ls_matrix_bytes(dtype, rows, n),
                       .data = data};
}

/* Elements that are not those of weight(). */
static size_t wrong(const ls_tensor *t)
{
    size_t n = (size_t)t->ne[0], rows = (size_t)t->ne[1], count = 0;
    float *x = malloc(n * sizeof(*x));
    assert_non_null(x);
    for (size_t r = 0; r < rows; r++) {
        ls_tensor_decode(x, t, r, 1);
        for (size_t j = 0; j < n; j++) count += x[j] != scale * (float)weight(r * n + j);
    }
    free(x);
    return count;
}

/* Pack, compare with the converter's digest, decode. */
static void check_tiles(int dtype, size_t rows, size_t n, ls_tiles tiles, const char *digest)
{
    ls_tensor t = matrix(dtype, rows, n, NULL);
    uint8_t  *bytes = calloc(t.n_bytes, 1);
    int8_t   *codes = malloc(n);
    char      hex[65];
    assert_non_null(bytes);
    assert_non_null(codes);
    assert_true(ls_tiles_fit(dtype, rows, n, tiles));
    t.tiles = tiles;
    t.data = bytes;
    for (size_t r = 0; r < rows; r++) {
        for (size_t j = 0; j < n; j++) codes[j] = (int8_t)weight(r * n + j);
        ls_packed_put_row(bytes, &t, r, codes);
    }
    ls_packed_put_scale(bytes, &t, scale);
    sha256_hex(hex, bytes, t.n_bytes);
    if (strcmp(hex, digest) != 0) {
        fail_msg("%s of %zu rows of %zu: %s", ls_dtype_name(dtype), rows, n, hex);
    }
    assert_int_equal(wrong(&t), 0);
    bytes[t.n_bytes / 3] ^= 0x11; /* and the comparison can say no */
    assert_true(wrong(&t) > 0);
    free(bytes);
    free(codes);
}

static void packs_TL1_and_TL2_as_bitnet_cpp_converts_and_decodes_them(void **state)
{
    FILE    *f = fopen(GOLDEN "bytes.txt", "r");
    char     type[8], digest[65];
    size_t   rows, n, n_lines = 0;
    ls_tiles tiles, preset;
    (void)state;
    assert_non_null(f);
    while (fscanf(f, "%7s %zu %zu %u %u %u %64s", type, &rows, &n, &tiles.bm, &tiles.bk, &tiles.bmm,
                  digest) == 7) {
        int dtype = strcmp(type, "tl1") == 0 ? LS_DTYPE_TL1 : LS_DTYPE_TL2;
        check_tiles(dtype, rows, n, tiles, digest);
        if (ls_tiles_preset(dtype, rows, n, &preset)) {
            assert_memory_equal(&preset, &tiles, sizeof(tiles));
        }
        n_lines++;
    }
    assert_int_equal(n_lines, 20);
    fclose(f);
}

static void decodes_the_files_of_the_converter(void **state)
{
    static const struct {
        const char *file;
        int         dtype;
        size_t      rows, n;
        ls_tiles    tiles;
    } cases[] = {
        {"tl1_64x128", LS_DTYPE_TL1, 64, 128, {64, 64, 64}},
        {"tl2_32x288", LS_DTYPE_TL2, 32, 288, {32, 96, 32}},
        {"i2_s_arm_8x192", LS_DTYPE_I2_S_ARM, 8, 192, {0}},
        {"i2_s_1x4_8x256", LS_DTYPE_I2_S_1X4, 8, 256, {0}},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char      path[256];
        size_t    size;
        uint8_t  *bytes;
        ls_tensor t;
        snprintf(path, sizeof(path), GOLDEN "%s.bin", cases[i].file);
        bytes = file_read(path, &size);
        t = matrix(cases[i].dtype, cases[i].rows, cases[i].n, bytes);
        t.tiles = cases[i].tiles;
        assert_int_equal(t.n_bytes, size);
        if (wrong(&t)) fail_msg("%s: %zu weights are wrong", cases[i].file, wrong(&t));
        free(bytes);
    }
}

static void decodes_what_BitNet_rs_packs(void **state)
{
    static const struct {
        const char *file, *values;
        int         dtype;
        size_t      rows, n;
    } cases[] = {
        {"i2_s32_3x96.bin", "i2_s32_3x96.f32", LS_DTYPE_I2_S32, 3, 96},
        {"i2_s32_split_3x96.bin", "i2_s32_3x96.f32", LS_DTYPE_I2_S32_SPLIT, 3, 96},
        {"i2_s256_3x300.bin", "i2_s256_3x300.f32", LS_DTYPE_I2_S256, 3, 300},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char      path[256];
        size_t    size, n_values, all = cases[i].rows * cases[i].n;
        uint8_t  *bytes, *values;
        float     got[900];
        ls_tensor t;
        snprintf(path, sizeof(path), GOLDEN "%s", cases[i].file);
        bytes = file_read(path, &size);
        snprintf(path, sizeof(path), GOLDEN "%s", cases[i].values);
        values = file_read(path, &n_values);
        t = matrix(cases[i].dtype, cases[i].rows, cases[i].n, bytes);
        t.scales = bytes + t.n_bytes; /* behind the codes, there */
        t.scales_dtype = LS_DTYPE_F16;
        assert_int_equal(n_values, all * sizeof(float));
        ls_tensor_decode(got, &t, 0, cases[i].rows);
        assert_memory_equal(got, values, n_values);
        free(bytes);
        free(values);
    }
}

/* y = W x as a session computes it. */
static void product(float *y, ls_tier tier, const ls_tensor *t, const float *x)
{
    size_t     n = (size_t)t->ne[0], rows = (size_t)t->ne[1];
    int        dtype = ls_unpacked_dtype(t);
    size_t     bytes = ls_unpacked_row_bytes(dtype, n);
    ls_kernels k = ls_kernels_for(tier);
    uint8_t   *w = malloc(rows * bytes);
    void      *act = aligned_alloc(64, ls_act_row_bytes(ls_dtype_act(dtype), n));
    ls_matmul  m = {.y = y,
                    .ldy = rows,
                    .w = w,
                    .row_bytes = bytes,
                    .n_rows = rows,
                    .x = act,
                    .n_cols = 1,
                    .n = n,
                    .w_scale = ls_packed_scale(t, 0, 0),
                    .lanes = 8};
    assert_non_null(w);
    assert_non_null(act);
    assert_int_equal(ls_unpack(w, dtype, t, 0, rows, NULL), LS_OK);
    ls_kernels_act(&k, (int)ls_dtype_act(dtype))(act, x, n);
    ls_kernels_matmul(&k, dtype)(&m);
    free(act);
    free(w);
}

/* The generated TL2 kernels of bitnet.cpp, run on these bytes, gave these bits. */
static void multiplies_to_the_bits_of_bitnet_cpp(void **state)
{
    FILE  *f = fopen(GOLDEN "products.txt", "r");
    size_t rows, n, n_lines = 0;
    char   digest[65], hex[65];
    (void)state;
    assert_non_null(f);
    while (fscanf(f, "%zu %zu %64s", &rows, &n, digest) == 3) {
        float *w = weights(rows * n), *x = malloc(n * sizeof(*x)), *y = malloc(rows * sizeof(*y));
        ls_tensor t = matrix(LS_DTYPE_TL2, rows, n, NULL);
        uint8_t  *bytes = malloc(t.n_bytes);
        assert_true(x && y && bytes);
        for (size_t i = 0; i < n; i++) x[i] = activation(i);
        t.data = bytes;
        assert_true(ls_tiles_for(LS_DTYPE_TL2, rows, n, &t.tiles));
        assert_int_equal(ls_quantize(LS_DTYPE_TL2, bytes, w, rows, n, NULL, NULL), LS_OK);
        for (int tier = LS_TIER_SCALAR; tier < LS_N_TIERS; tier++) {
            if (!ls_tier_available((ls_tier)tier)) continue;
            product(y, (ls_tier)tier, &t, x);
            sha256_hex(hex, y, rows * sizeof(*y));
            assert_string_equal(hex, digest);
        }
        x[n / 2] += 0.01f;
        product(y, LS_TIER_SCALAR, &t, x);
        sha256_hex(hex, y, rows * sizeof(*y));
        assert_string_not_equal(hex, digest);
        free(w);
        free(x);
        free(y);
        free(bytes);
        n_lines++;
    }
    assert_int_equal(n_lines, 3);
    fclose(f);
}

/* What the rows are turned into has the values of the layout, to the bit, and rows whose length is
 * no multiple of 128 are multiplied to their end. */
static void unpacks_rows_without_changing_a_value(void **state)
{
    enum { ROWS = 64, COLS = 192 };
    float     *w = weights((size_t)ROWS * COLS), x[COLS], y[ROWS], want[COLS], got[COLS];
    int        types[] = {LS_DTYPE_TL1, LS_DTYPE_I2_S_ARM};
    uint8_t    bytes[ROWS * COLS / 4 + 32], arm[ROWS * COLS / 4 + 32] = {0};
    uint8_t    row[ROWS * 64];
    ls_i8_row *a = aligned_alloc(64, ls_act_row_bytes(LS_ACT_I8_TL, COLS));
    (void)state;
    assert_non_null(a);
    assert_int_equal(ls_quantize(LS_DTYPE_TL1, bytes, w, ROWS, COLS, NULL, NULL), LS_OK);
    for (size_t i = 0; i < (size_t)ROWS * COLS; i++) {
        arm[i / 64 * 16 + i % 16] |= (uint8_t)((weight(i) + 1) << (6 - 2 * (i % 64 / 16)));
    }
    memcpy(arm + ROWS * COLS / 4, &scale, sizeof(scale));
    for (size_t i = 0; i < COLS; i++) x[i] = activation(i);
    ls_kernels_for(LS_TIER_SCALAR).act_i8_tl(a, x, COLS);
    for (size_t i = 0; i < 2; i++) {
        ls_tensor t = matrix(types[i], ROWS, COLS, i ? arm : bytes);
        int       dtype = ls_unpacked_dtype(&t);
        if (!i) ls_tiles_for(LS_DTYPE_TL1, ROWS, COLS, &t.tiles);
        assert_int_equal(wrong(&t), 0);
        assert_int_equal(ls_unpacked_row_bytes(dtype, COLS), 64);
        assert_int_equal(ls_unpack(row, dtype, &t, 0, ROWS, NULL), LS_OK);
        for (size_t r = 0; r < ROWS; r++) {
            ls_tensor_decode(want, &t, r, 1);
            ls_dtype_decode(dtype, got, row + r * 64, COLS, scale);
            assert_memory_equal(got, want, sizeof(want));
        }
        for (int tier = LS_TIER_SCALAR; tier < LS_N_TIERS; tier++) {
            if (!ls_tier_available((ls_tier)tier)) continue;
            product(y, (ls_tier)tier, &t, x);
            for (size_t r = 0; r < ROWS; r++) {
                int32_t sum = 0;
                for (size_t j = 0; j < COLS; j++) sum += weight(r * COLS + j) * a->qs[j];
                assert_true(y[r] == (float)sum / a->s * scale);
            }
        }
    }
    free(a);
    free(w);
}

static void unpacks_blocks_with_scales_to_Q4_0_or_floats(void **state)
{
    size_t    size;
    uint8_t  *bytes = file_read(GOLDEN "i2_s32_3x96.bin", &size);
    float     scales[9], want[96], got[96];
    uint8_t   rows[3 * 96 * 4];
    ls_tensor t = matrix(LS_DTYPE_I2_S32, 3, 96, bytes), s;
    (void)state;
    assert_int_equal(ls_unpacked_dtype(&t), LS_DTYPE_Q4_0);
    assert_int_equal(ls_unpack(rows, LS_DTYPE_Q4_0, &t, 0, 3, NULL), LS_OK);
    for (size_t r = 0; r < 3; r++) {
        ls_tensor_decode(want, &t, r, 1);
        ls_dtype_decode(LS_DTYPE_Q4_0, got, rows + r * 54, 96, 1);
        for (size_t j = 0; j < 96; j++) assert_true(got[j] == want[j]);
    }
    for (size_t b = 0; b < 9; b++) {
        scales[b] = 0.1f + (float)b; /* no F16 numbers */
        memmove(bytes + b * 8, bytes + b * 10, 8);
    }
    s = matrix(LS_DTYPE_I2_S32_SPLIT, 3, 96, bytes);
    s.scales = scales;
    s.scales_dtype = LS_DTYPE_F32;
    assert_int_equal(ls_unpacked_dtype(&s), LS_DTYPE_F32);
    assert_int_equal(ls_unpack(rows, LS_DTYPE_F32, &s, 0, 3, NULL), LS_OK);
    ls_tensor_decode(want, &s, 1, 1);
    assert_memory_equal(rows + sizeof(want), want, sizeof(want));
    free(bytes);
}

static void knows_which_shapes_there_are(void **state)
{
    ls_tiles t;
    (void)state;
    assert_int_equal(ls_matrix_bytes(LS_DTYPE_TL1, 64, 128), 64 * 128 / 4 + 32);
    assert_int_equal(ls_matrix_bytes(LS_DTYPE_TL2, 3200, 3200), 2167488 + 32);
    assert_int_equal(ls_matrix_bytes(LS_DTYPE_TL2, 3200, 128), 0);
    assert_int_equal(ls_matrix_bytes(LS_DTYPE_I2_S_ARM, 3, 100), 0);
    assert_int_equal(ls_matrix_bytes(LS_DTYPE_I2_S_1X4, 6, 128), 0);
    assert_int_equal(ls_matrix_bytes(LS_DTYPE_I2_S32, 3, 33), 0);
    for (int dtype = 0; dtype < 256; dtype++) {
        assert_int_equal(ls_matrix_bytes(dtype, SIZE_MAX / 2, 4096), 0);
        assert_int_equal(ls_matrix_bytes(dtype, 0, 256), 0);
    }
    assert_true(ls_tiles_for(LS_DTYPE_TL1, 768, 256, &t) && t.bm == 256 && t.bk == 128);
    assert_true(ls_tiles_for(LS_DTYPE_TL2, 96, 256, &t) && t.bm == 96 && t.bk == 96);
    assert_false(ls_tiles_for(LS_DTYPE_TL1, 100, 256, &t));
    assert_false(ls_tiles_for(LS_DTYPE_TL2, 96, 250, &t));
    assert_false(ls_tiles_preset(LS_DTYPE_TL1, 256, 256, &t));
    assert_false(ls_tiles_fit(LS_DTYPE_TL1, 64, 128, (ls_tiles){0, 64, 32}));
    assert_false(ls_tiles_fit(LS_DTYPE_TL1, 64, 128, (ls_tiles){64, 64, 48}));
    assert_false(ls_tiles_fit(LS_DTYPE_TL1, 64, 128, (ls_tiles){128, 64, 32}));
    assert_false(ls_tiles_fit(LS_DTYPE_TL2, 64, 4096, (ls_tiles){64, 2040, 32}));
    assert_false(ls_tiles_fit(LS_DTYPE_TL2, 64, 288, (ls_tiles){64, 80, 32}));
}

static void refuses_weights_that_are_not_ternary(void **state)
{
    static float x[64 * 256];
    uint8_t      out[8192];
    ls_error     err = {0};
    (void)state;
    x[300] = 0.5f;
    x[5000] = -0.25f;
    for (int i = 0; i < 2; i++) {
        int dtype = i ? LS_DTYPE_TL2 : LS_DTYPE_TL1;
        memset(&err, 0, sizeof(err));
        assert_int_equal(ls_quantize(dtype, out, x, 64, 256, NULL, &err), LS_ERR_UNSUPPORTED);
        assert_non_null(strstr(err.what, "weights are not -s, 0 and s"));
        assert_string_equal(err.where, "row 19, column 136");
    }
    assert_int_equal(ls_quantize(LS_DTYPE_TL1, out, x, 33, 256, NULL, &err), LS_ERR_USAGE);
}

/* Codes that no encoder writes are zeros: nothing reads behind its tables. */
static void decodes_random_bytes_to_codes(void **state)
{
    uint8_t bytes[64 * 288 / 4 + 64];
    float   x[288];
    (void)state;
    for (size_t i = 0; i < sizeof(bytes); i++) bytes[i] = (uint8_t)(i * 2654435761u >> 13);
    for (int i = 0; i < 2; i++) {
        ls_tensor t = matrix(i ? LS_DTYPE_TL2 : LS_DTYPE_TL1, 64, i ? 288 : 256, bytes);
        assert_true(t.n_bytes <= sizeof(bytes));
        memcpy(bytes + t.n_bytes - 32, &scale, sizeof(scale));
        assert_true(ls_tiles_for(t.dtype, 64, (size_t)t.ne[0], &t.tiles));
        for (size_t r = 0; r < 64; r++) {
            ls_tensor_decode(x, &t, r, 1);
            for (size_t j = 0; j < (size_t)t.ne[0]; j++) {
                assert_true(x[j] == 0 || x[j] == scale || x[j] == -scale);
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(packs_TL1_and_TL2_as_bitnet_cpp_converts_and_decodes_them),
        cmocka_unit_test(decodes_the_files_of_the_converter),
        cmocka_unit_test(decodes_what_BitNet_rs_packs),
        cmocka_unit_test(multiplies_to_the_bits_of_bitnet_cpp),
        cmocka_unit_test(unpacks_rows_without_changing_a_value),
        cmocka_unit_test(unpacks_blocks_with_scales_to_Q4_0_or_floats),
        cmocka_unit_test(knows_which_shapes_there_are),
        cmocka_unit_test(refuses_weights_that_are_not_ternary),
        cmocka_unit_test(decodes_random_bytes_to_codes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
