// SPDX-License-Identifier: MIT
/* test_ternary_layouts.c - which ternary layout a tensor is taken for, and a whole model in each of
 * them, packed here, against the same model in F16. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dtype/dtype.h"
#include "dtype/packed.h"
#include "lockstep/gguf_write.h"
#include "lockstep/model.h"
#include "lockstep/quant.h"
#include "support/files.h"
#include "support/gguf_build.h"

enum { N = 12 };

static char path[64];

/* ---- what a tensor is taken for ---- */

typedef struct room {
    uint64_t    n, rows, bytes; /* of the tensor; bytes in the file from it to the next */
    uint64_t    scales;         /* floats in "t.scale", 0: there is none                */
    const char *key;            /* lockstep.i2_s.packing                                */
    int         dtype;
} room;

static ls_status open_room(ls_gguf **g, const room *c, uint32_t type, ls_error *err)
{
    gguf_build b = {0};
    uint64_t   ne[2] = {c->n, c->rows}, small[1] = {c->scales};
    gguf_build_header(&b, 3, c->scales ? 2 : 1, c->key ? 1 : 0);
    if (c->key) gguf_build_kv_str(&b, LS_KEY_PACKING, c->key);
    gguf_build_tensor(&b, "t.weight", 2, ne, type, 0);
    if (c->scales) gguf_build_tensor(&b, "t.scale", 1, small, 0, (c->bytes + 31) / 32 * 32);
    gguf_build_pad(&b, 32);
    gguf_build_fill(&b, 0, (size_t)(c->scales ? (c->bytes + 31) / 32 * 32 : c->bytes));
    gguf_build_fill(&b, 0, (size_t)c->scales * 4);
    file_write(path, b.data, b.n);
    gguf_build_free(&b);
    return ls_gguf_open(g, path, err);
}

static void tells_the_layouts_of_I2_S_apart_by_their_room(void **state)
{
    static const room cases[] = {
        {256, 64, 4096 + 32, 0, NULL, LS_DTYPE_I2_S},
        {256, 64, 4096 + 32, 0, "x86", LS_DTYPE_I2_S},
        {256, 64, 4096 + 32, 0, "arm", LS_DTYPE_I2_S_ARM},
        {256, 64, 4096 + 32, 0, "1x4", LS_DTYPE_I2_S_1X4},
        {192, 64, 3072 + 32, 0, "arm", LS_DTYPE_I2_S_ARM},
        {256, 64, 4096, 0, NULL, LS_DTYPE_I2_S256},
        {256, 64, 4096, 512, NULL, LS_DTYPE_I2_S32_SPLIT},
        {256, 64, 4096, 511, NULL, LS_DTYPE_I2_S256}, /* scales of something else */
        {96, 5, 120, 15, NULL, LS_DTYPE_I2_S32_SPLIT},
        {256, 64, 5120, 0, NULL, LS_DTYPE_I2_S32},
        {96, 5, 150, 0, NULL, LS_DTYPE_I2_S32},
        {96, 5, 158, 0, NULL, LS_DTYPE_I2_S32}, /* 8 bytes too many */
        {300, 5, 640, 0, NULL, LS_DTYPE_I2_S256},
        {256, 4096, 262144 + 200, 0, NULL, LS_DTYPE_I2_S}, /* within 0.1 % of both: bitnet.cpp's */
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        ls_gguf         *g;
        ls_error         err = {0};
        const ls_tensor *t;
        if (open_room(&g, &cases[i], 36, &err) != LS_OK) fail_msg("%zu: %s", i, err.what);
        t = ls_gguf_tensor(g, "t.weight");
        if (t->dtype != cases[i].dtype) {
            fail_msg("case %zu is taken for %s", i, ls_dtype_name(t->dtype));
        }
        assert_non_null(t->data);
        assert_non_null(ls_dtype_flavour(t->dtype));
        assert_int_equal(t->scales != NULL, t->dtype == LS_DTYPE_I2_S32_SPLIT);
        assert_int_equal(t->n_bytes, ls_matrix_bytes(t->dtype, (size_t)t->ne[1], (size_t)t->ne[0]));
        ls_gguf_close(g);
    }
}

static void tells_TL2_from_MXFP4(void **state)
{
    static const room tl2 = {288, 64, 0, 0, NULL, 0};
    room              c = tl2;
    ls_gguf          *g;
    ls_error          err = {0};
    (void)state;
    c.bytes = ls_matrix_bytes(LS_DTYPE_TL2, 64, 288);
    assert_int_equal(open_room(&g, &c, 39, &err), LS_OK);
    assert_int_equal(ls_gguf_tensor(g, "t.weight")->dtype, LS_DTYPE_TL2);
    assert_null(ls_gguf_tensor(g, "t.weight")->data); /* nobody says how it is cut */
    ls_gguf_close(g);
    c.bytes = 288 * 64 / 32 * 17;
    assert_int_equal(open_room(&g, &c, 39, &err), LS_OK);
    assert_int_equal(ls_gguf_tensor(g, "t.weight")->dtype, LS_DTYPE_MXFP4);
    ls_gguf_close(g);
    c.bytes -= 1;
    assert_int_equal(open_room(&g, &c, 39, &err), LS_ERR_FORMAT);
}

static void refuses_rooms_that_no_layout_has(void **state)
{
    static const struct {
        room        c;
        uint32_t    type;
        const char *what;
    } cases[] = {
        {{96, 5, 120, 0, NULL, 0},
         36,
         "tensor 't.weight' has 5 rows of 96 elements, which i2_s cannot hold"},
        {{100, 4, 90, 0, NULL, 0},
         36,
         "tensor 't.weight' has 4 rows of 100 elements, which i2_s cannot hold"},
        {{256, 64, 4000, 0, NULL, 0}, 36, "tensor 't.weight' ends past the end of the file"},
        {{256, 64, 4096 + 7, 0, NULL, 0}, 36, NULL}, /* within the tolerance */
        {{256, 64, 4096 + 31, 0, NULL, 0}, 36, "tensor 't.weight' ends past the end of the file"},
        {{256, 6, 384 + 32, 0, "1x4", 0},
         36,
         "tensor 't.weight' has 6 rows of 256 elements, which i2_s_1x4 cannot hold"},
        {{256, 64, 4096 + 32, 0, "mips", 0},
         36,
         "key 'lockstep.i2_s.packing' is none of \"x86\", \"arm\" and \"1x4\""},
        {{96, 3, 104, 0, NULL, 0},
         38,
         "tensor 't.weight' has 3 rows of 96 elements, which tl1 cannot hold"},
        {{100, 64, 4096, 0, NULL, 0},
         38,
         "tensor 't.weight' has rows of 100 elements, tl1 needs multiples of 32"},
        {{1536, 1536, 589824, 0, NULL, 0}, 38, "tensor 't.weight' ends past the end of the file"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        ls_gguf  *g = NULL;
        ls_error  err = {0};
        ls_status status = open_room(&g, &cases[i].c, cases[i].type, &err);
        if (status != (cases[i].what ? LS_ERR_FORMAT : LS_OK)) fail_msg("case %zu opens", i);
        if (cases[i].what) assert_string_equal(err.what, cases[i].what);
        if (cases[i].what) assert_non_null(strstr(err.where, ": byte "));
        ls_gguf_close(g);
    }
}

/* ---- a model in every layout ---- */

typedef void pack_fn(uint8_t *out, const int8_t *w, size_t rows, size_t n, float scale);

static void pack_tail(uint8_t *out, size_t all, float scale)
{
    memcpy(out + all / 4, &scale, sizeof(scale));
}

static void pack_arm(uint8_t *out, const int8_t *w, size_t rows, size_t n, float scale)
{
    for (size_t block = 0; block < rows * n / 64; block++) {
        for (size_t j = 0; j < 64; j++) {
            out[block * 16 + j % 16] |= (uint8_t)((w[block * 64 + j] + 1) << (6 - 2 * (j / 16)));
        }
    }
    pack_tail(out, rows * n, scale);
}

static void pack_1x4(uint8_t *out, const int8_t *w, size_t rows, size_t n, float scale)
{
    for (size_t r = 0; r < rows; r++) {
        for (size_t j = 0; j < n; j++) {
            out[r / 4 * n + j] |= (uint8_t)((w[r * n + j] + 1) << (6 - 2 * (r % 4)));
        }
    }
    pack_tail(out, rows * n, scale);
}

static void pack_inline(uint8_t *out, const int8_t *w, size_t rows, size_t n, float scale)
{
    uint16_t half = ls_f32_to_f16(scale);
    for (size_t b = 0; b < rows * n / 32; b++, out += 10, w += 32) {
        for (size_t j = 0; j < 32; j++) out[j / 4] |= (uint8_t)((w[j] + 2) << 2 * (j % 4));
        memcpy(out + 8, &half, 2);
    }
}

static void pack_split(uint8_t *out, const int8_t *w, size_t rows, size_t n, float scale)
{
    (void)scale;
    for (size_t i = 0; i < rows * n; i++) out[i / 4] |= (uint8_t)((w[i] + 2) << 2 * (i % 4));
}

/* The two small values that it has no code for are made of zeros: see sharpen. */
static void pack_256(uint8_t *out, const int8_t *w, size_t rows, size_t n, float scale)
{
    (void)scale;
    for (size_t i = 0; i < rows * n; i++) {
        int code = w[i] < 0 ? w[i] + 2 : w[i] + 1;
        out[i / 4] |= (uint8_t)(code << 2 * (i % 4));
    }
}

/* -1, 0, 1 to -2, -1, 1, 2. */
static int sharpen(int w, size_t i) { return w ? 2 * w : i % 2 ? 1 : -1; }

static void pack_tiles(int dtype, uint8_t *out, const int8_t *w, size_t rows, size_t n, float scale)
{
    float *x = malloc(rows * n * sizeof(*x));
    assert_non_null(x);
    for (size_t i = 0; i < rows * n; i++) x[i] = scale * (float)w[i];
    assert_int_equal(ls_quantize(dtype, out, x, rows, n, NULL, NULL), LS_OK);
    free(x);
}

static void pack_tl1(uint8_t *out, const int8_t *w, size_t rows, size_t n, float scale)
{
    pack_tiles(LS_DTYPE_TL1, out, w, rows, n, scale);
}

static void pack_tl2(uint8_t *out, const int8_t *w, size_t rows, size_t n, float scale)
{
    pack_tiles(LS_DTYPE_TL2, out, w, rows, n, scale);
}

static void pack_f16(uint8_t *out, const int8_t *w, size_t rows, size_t n, float scale)
{
    for (size_t i = 0; i < rows * n; i++) {
        uint16_t half = ls_f32_to_f16(scale * (float)w[i]);
        memcpy(out + 2 * i, &half, 2);
    }
}

/* How to write the model: which layout, and whether its weights are sharpened (scale 1). */
typedef struct form {
    int         dtype;
    pack_fn    *pack;
    const char *packing;
    bool        sharp;
} form;

static ls_gguf *source;

static void put_matrix(ls_gguf_writer *w, const ls_tensor *t, const form *f)
{
    size_t n = (size_t)t->ne[0], rows = (size_t)t->ne[1],
           bytes = ls_matrix_bytes(f->dtype, rows, n);
    float   scale = f->sharp ? 1 : ls_dtype_tensor_scale(t->dtype, t->data, rows * n);
    float  *x = malloc(rows * n * sizeof(*x));
    int8_t *codes = malloc(rows * n);
    void   *out = calloc(bytes, 1);
    assert_true(x && codes && out);
    ls_tensor_decode(x, t, 0, rows);
    for (size_t i = 0; i < rows * n; i++) {
        codes[i] = (int8_t)((x[i] > 0) - (x[i] < 0));
        if (f->sharp) codes[i] = (int8_t)sharpen(codes[i], i);
    }
    f->pack(out, codes, rows, n, scale);
    assert_int_equal(ls_gguf_write_data(w, out, bytes, NULL), LS_OK);
    free(x);
    free(codes);
    free(out);
}

static void scale_name(char *name, size_t cap, const ls_tensor *t)
{
    snprintf(name, cap, "%.*s.scale", (int)t->name.len - 7, t->name.p); /* without ".weight" */
}

static void announce(ls_gguf_writer *w, const ls_tensor *t, const form *f)
{
    int64_t blocks = t->ne[0] * t->ne[1] / 32;
    char    name[128];
    int     dtype = t->dtype == LS_DTYPE_I2_S ? f->dtype : t->dtype;
    assert_int_equal(ls_gguf_write_tensor(w, t->name, dtype, t->n_dims, t->ne, 0, NULL), LS_OK);
    if (dtype != LS_DTYPE_I2_S32_SPLIT) return;
    scale_name(name, sizeof(name), t);
    assert_int_equal(
        ls_gguf_write_tensor(w, (ls_str){name, strlen(name)}, LS_DTYPE_F32, 1, &blocks, 0, NULL),
        LS_OK);
}

static void write_model(const form *f)
{
    ls_gguf_writer       *w;
    ls_tiles              s;
    uint32_t              kernels[4][5];
    static const uint32_t shapes[4][2] = {{256, 256}, {128, 256}, {768, 256}, {256, 768}};
    assert_int_equal(ls_gguf_writer_create(&w, NULL), LS_OK);
    for (size_t i = 0; i < ls_gguf_n_kv(source); i++) {
        assert_int_equal(ls_gguf_write_kv(w, ls_gguf_kv_at(source, i), NULL), LS_OK);
    }
    if (f->packing) ls_gguf_write_str(w, LS_KEY_PACKING, (ls_str){f->packing, 3}, NULL);
    for (size_t i = 0; i < 4 && ls_tiles_for(f->dtype, shapes[i][0], shapes[i][1], &s); i++) {
        memcpy(kernels[i], (uint32_t[]){shapes[i][0], shapes[i][1], s.bm, s.bk, s.bmm}, 20);
        if (i == 3) ls_gguf_write_array(w, LS_KEY_TILES, LS_GGUF_U32, kernels, 20, NULL);
    }
    for (size_t i = 0; i < ls_gguf_n_tensors(source); i++) {
        announce(w, ls_gguf_tensor_at(source, i), f);
    }
    assert_int_equal(ls_gguf_write_begin(w, path, NULL), LS_OK);
    for (size_t i = 0; i < ls_gguf_n_tensors(source); i++) {
        const ls_tensor *t = ls_gguf_tensor_at(source, i);
        float scale = ls_dtype_tensor_scale(t->dtype, t->data, (size_t)(t->ne[0] * t->ne[1]));
        if (t->dtype != LS_DTYPE_I2_S) {
            assert_int_equal(ls_gguf_write_data(w, t->data, t->n_bytes, NULL), LS_OK);
            continue;
        }
        put_matrix(w, t, f);
        for (int64_t b = 0; f->dtype == LS_DTYPE_I2_S32_SPLIT && b < t->ne[0] * t->ne[1] / 32;
             b++) {
            assert_int_equal(ls_gguf_write_data(w, &scale, sizeof(scale), NULL), LS_OK);
        }
    }
    assert_int_equal(ls_gguf_write_finish(w, NULL), LS_OK);
    ls_gguf_writer_destroy(w);
}

static float *logits(const ls_model *m, ls_tier tier)
{
    ls_session_options opt = {.n_ctx = N, .n_batch = N, .n_threads = 1, .tier = tier};
    size_t             V = (size_t)ls_model_get_config(m)->n_vocab;
    float             *out = malloc(N * V * sizeof(*out));
    ls_session        *s;
    int32_t            ids[N];
    assert_non_null(out);
    for (int i = 0; i < N; i++) ids[i] = 40 + 97 * i;
    assert_int_equal(ls_session_create(&s, m, &opt, NULL), LS_OK);
    assert_int_equal(ls_session_eval(s, ids, N, NULL), LS_OK);
    for (size_t i = 0; i < N; i++) {
        const float *row;
        assert_int_equal(ls_session_logits(s, i, &row, NULL), LS_OK);
        memcpy(out + i * V, row, V * sizeof(*row));
    }
    ls_session_destroy(s);
    return out;
}

static double worst_cosine(const float *a, const float *b, size_t V)
{
    double worst = 1;
    for (size_t i = 0; i < N; i++, a += V, b += V) {
        double ab = 0, aa = 0, bb = 0;
        for (size_t j = 0; j < V; j++) {
            ab += (double)a[j] * (double)b[j];
            aa += (double)a[j] * (double)a[j];
            bb += (double)b[j] * (double)b[j];
        }
        if (ab / sqrt(aa * bb) < worst) worst = ab / sqrt(aa * bb);
    }
    return worst;
}

/* Every weight, or its sharpened form, to the bit. */
static void check_weights(const ls_gguf *g, const form *f)
{
    size_t n_matrices = 0;
    for (size_t i = 0; i < ls_gguf_n_tensors(source); i++) {
        const ls_tensor *t = ls_gguf_tensor_at(source, i), *u;
        size_t           n = (size_t)(t->ne[0] * t->ne[1]);
        char             name[128];
        float           *a, *b;
        if (t->dtype != LS_DTYPE_I2_S) continue;
        snprintf(name, sizeof(name), "%.*s", LS_FMT(t->name));
        u = ls_gguf_tensor(g, name);
        assert_int_equal(u->dtype, f->dtype);
        a = malloc(n * sizeof(*a));
        b = malloc(n * sizeof(*b));
        assert_true(a && b);
        ls_tensor_decode(a, t, 0, (size_t)t->ne[1]);
        ls_tensor_decode(b, u, 0, (size_t)u->ne[1]);
        for (size_t j = 0; j < n; j++) {
            if (f->sharp) a[j] = (float)sharpen((a[j] > 0) - (a[j] < 0), j);
            if (a[j] != b[j])
                fail_msg("%s: weight %zu is %g, not %g", name, j, (double)b[j], (double)a[j]);
        }
        n_matrices++;
        free(a);
        free(b);
    }
    assert_int_equal(n_matrices, 42);
}

static float *logits_of(const form *f, ls_tier tier, size_t *V)
{
    ls_model *m;
    ls_error  err = {0};
    float    *y;
    write_model(f);
    if (ls_model_open(&m, path, &err) != LS_OK)
        fail_msg("%s: %s", ls_dtype_name(f->dtype), err.what);
    check_weights(ls_model_gguf(m), f);
    *V = (size_t)ls_model_get_config(m)->n_vocab;
    y = logits(m, tier);
    ls_model_close(m);
    return y;
}

static void gives_the_logits_of_F16_in_every_layout(void **state)
{
    static const form forms[] = {
        {LS_DTYPE_I2_S_ARM, pack_arm, "arm", false},
        {LS_DTYPE_I2_S_1X4, pack_1x4, "1x4", false},
        {LS_DTYPE_TL1, pack_tl1, NULL, false},
        {LS_DTYPE_TL2, pack_tl2, NULL, false},
        {LS_DTYPE_I2_S32, pack_inline, NULL, false},
        {LS_DTYPE_I2_S32_SPLIT, pack_split, NULL, false},
        {LS_DTYPE_I2_S256, pack_256, NULL, true},
    };
    form f16 = {LS_DTYPE_F16, pack_f16, NULL, false}, sharp = {LS_DTYPE_F16, pack_f16, NULL, true};
    size_t V;
    float *want = logits_of(&f16, LS_TIER_AUTO, &V),
          *want_sharp = logits_of(&sharp, LS_TIER_AUTO, &V);
    ls_model *m;
    float    *i2_s;
    (void)state;
    assert_int_equal(ls_model_open(&m, LS_SOURCE_DIR "/models/fables-bitnet-5m-I2_S.gguf", NULL),
                     LS_OK);
    i2_s = logits(m, LS_TIER_AUTO);
    ls_model_close(m);
    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        float *got = logits_of(&forms[i], LS_TIER_AUTO, &V), *scalar;
        double cosine = worst_cosine(got, forms[i].sharp ? want_sharp : want, V);
        print_message("%-13s worst cosine %.6f\n", ls_dtype_name(forms[i].dtype), cosine);
        assert_true(cosine >= 0.995);
        if (forms[i].dtype < LS_DTYPE_I2_S32 || forms[i].dtype == LS_DTYPE_TL2) {
            assert_memory_equal(got, i2_s,
                                N * V * sizeof(*got)); /* one integer sum, whatever the layout */
        }
        scalar = logits_of(&forms[i], LS_TIER_SCALAR, &V);
        assert_memory_equal(got, scalar, N * V * sizeof(*got));
        free(scalar);
        free(got);
    }
    assert_true(worst_cosine(want_sharp, want, V) < 0.995); /* the comparison can say no */
    free(want);
    free(want_sharp);
    free(i2_s);
}

static void refuses_tiles_that_nobody_names(void **state)
{
    static const form tl1 = {LS_DTYPE_TL1, pack_tl1, NULL, false};
    static const char key[] = LS_KEY_TILES;
    ls_model         *m;
    ls_error          err = {0};
    size_t            n;
    uint8_t          *bytes;
    (void)state;
    write_model(&tl1);
    bytes = file_read(path, &n);
    for (size_t i = 0; i + sizeof(key) < n; i++) {
        if (memcmp(bytes + i, key, sizeof(key) - 1) == 0) bytes[i] = 'L';
    }
    file_write(path, bytes, n);
    assert_int_equal(ls_model_open(&m, path, &err), LS_ERR_UNSUPPORTED);
    assert_non_null(
        strstr(err.what, "nothing says how tensor 'blk.0.attn_q.weight' is cut into tiles"));
    free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tells_the_layouts_of_I2_S_apart_by_their_room),
        cmocka_unit_test(tells_TL2_from_MXFP4),
        cmocka_unit_test(refuses_rooms_that_no_layout_has),
        cmocka_unit_test(gives_the_logits_of_F16_in_every_layout),
        cmocka_unit_test(refuses_tiles_that_nobody_names),
    };
    int failed;
    file_temporary(path, sizeof(path), "layouts");
    if (ls_gguf_open(&source, LS_SOURCE_DIR "/models/fables-bitnet-5m-I2_S.gguf", NULL) != LS_OK) {
        return 1;
    }
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    ls_gguf_close(source);
    unlink(path);
    return failed;
}
