// SPDX-License-Identifier: MIT
/* gguf_edit.c - a model file with something changed, for tests.
 *
 *   gguf_edit IN OUT [arch NAME] [float|int|bool|str KEY X] [scale TENSOR ROW BLOCK X]
 *             [set TENSOR INDEX X] [permute TENSOR HEADS] [drop PART] [type PART f32|q8_0]
 *
 * arch renames the architecture and the keys that begin with it. scale multiplies the scale of
 * block BLOCK of row ROW (q8_0, q4_0: 32 elements; f32: 32 elements each); "all all": of every
 * block. set gives one element of a tensor of floats another value. permute makes neighbours of the
 * two halves of each head's rows. drop leaves out tensors whose name holds PART (is it: =PART);
 * type stores them in another type, with the same values: as floats, or ternary blocks as q8_0. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dtype/dtype.h"
#include "dtype/packed.h"
#include "lockstep/gguf_write.h"
#include "lockstep/lockstep.h"

typedef struct edit {
    const ls_gguf  *g;
    ls_gguf_writer *w;
    int             argc;
    char          **argv;
    ls_error        err;
} edit;

static void die(const edit *e, const char *what)
{
    fprintf(stderr, "gguf_edit: %s %s\n", what, e->err.what);
    exit(1);
}

static const char *word_after(const edit *e, const char *word)
{
    for (int i = 3; i + 1 < e->argc; i++) {
        if (strcmp(e->argv[i], word) == 0) return e->argv[i + 1];
    }
    return NULL;
}

static void put_keys(edit *e)
{
    const char *arch = word_after(e, "arch");
    ls_str      old = {"", 0};
    ls_gguf_str(e->g, "general.architecture", &old);
    for (size_t i = 0; i < ls_gguf_n_kv(e->g); i++) {
        ls_gguf_kv kv = *ls_gguf_kv_at(e->g, i);
        char       key[256];
        if (arch && kv.key.len > old.len && memcmp(kv.key.p, old.p, old.len) == 0 &&
            kv.key.p[old.len] == '.') {
            snprintf(key, sizeof(key), "%s%.*s", arch, (int)(kv.key.len - old.len),
                     kv.key.p + old.len);
            kv.key = (ls_str){key, strlen(key)};
        }
        if (ls_gguf_write_kv(e->w, &kv, &e->err) != LS_OK) die(e, "a key:");
    }
    if (arch && ls_gguf_write_str(e->w, "general.architecture", (ls_str){arch, strlen(arch)},
                                  &e->err) != LS_OK)
        die(e, "arch:");
    for (int i = 3; i + 2 < e->argc; i++) {
        if (strcmp(e->argv[i], "float") == 0 &&
            ls_gguf_write_float(e->w, e->argv[i + 1], LS_GGUF_F32, atof(e->argv[i + 2]), &e->err))
            die(e, "float:");
        if (strcmp(e->argv[i], "int") == 0 &&
            ls_gguf_write_int(e->w, e->argv[i + 1], LS_GGUF_U32, atoi(e->argv[i + 2]), &e->err))
            die(e, "int:");
        if (strcmp(e->argv[i], "str") == 0 &&
            ls_gguf_write_str(e->w, e->argv[i + 1],
                              (ls_str){e->argv[i + 2], strlen(e->argv[i + 2])}, &e->err))
            die(e, "str:");
        if (strcmp(e->argv[i], "bool") == 0 &&
            ls_gguf_write_bool(e->w, e->argv[i + 1], atoi(e->argv[i + 2]) != 0, &e->err))
            die(e, "bool:");
    }
}

static void scale_half(uint8_t *at, float x)
{
    uint16_t h;
    memcpy(&h, at, sizeof(h));
    h = ls_f32_to_f16(ls_f16_to_f32(h) * x);
    memcpy(at, &h, sizeof(h));
}

static void scale_float(uint8_t *at, float x)
{
    float f;
    memcpy(&f, at, sizeof(f));
    f *= x;
    memcpy(at, &f, sizeof(f));
}

/* Block i of the tensor: 32 elements, in each of these types. */
static void scale(const edit *e, uint8_t *data, const ls_tensor *t, size_t i, float x)
{
    if (t->dtype == LS_DTYPE_Q8_0 || t->dtype == LS_DTYPE_Q4_0)
        scale_half(data + i * ls_dtype_block_bytes(t->dtype), x);
    else if (t->dtype == LS_DTYPE_F32)
        for (size_t k = 32 * i; k < 32 * i + 32; k++) scale_float(data + k * sizeof(float), x);
    else
        die(e, "scale: not of this type");
}

static void scale_some(const edit *e, uint8_t *data, const ls_tensor *t, char **words)
{
    size_t per_row = (size_t)t->ne[0] / 32, rows = (size_t)t->ne[1];
    bool   all = strcmp(words[0], "all") == 0;
    size_t first = all ? 0 : (size_t)atoi(words[0]) * per_row + (size_t)atoi(words[1]);
    for (size_t i = first; i < (all ? rows * per_row : first + 1); i++)
        scale(e, data, t, i, (float)atof(words[2]));
}

/* Rows i and half + i of each head become neighbours. */
static void permute(uint8_t *data, const ls_tensor *t, size_t heads)
{
    size_t   rows = (size_t)t->ne[1], size = t->n_bytes / rows, K = rows / heads;
    uint8_t *old = malloc(t->n_bytes);
    memcpy(old, data, t->n_bytes);
    for (size_t r = 0; r < rows; r++) {
        size_t i = r % K, to = r - i + (i < K / 2 ? 2 * i : 2 * (i - K / 2) + 1);
        memcpy(data + to * size, old + r * size, size);
    }
    free(old);
}

/* ---- tensors that are left out or stored otherwise ---- */

static bool holds(ls_str name, const char *part)
{
    char text[256];
    snprintf(text, sizeof(text), "%.*s", LS_FMT(name));
    return part[0] == '=' ? strcmp(text, part + 1) == 0 : strstr(text, part) != NULL;
}

static bool dropped(const edit *e, const ls_tensor *t)
{
    for (int i = 3; i + 1 < e->argc; i++) {
        if (strcmp(e->argv[i], "drop") == 0 && holds(t->name, e->argv[i + 1])) return true;
    }
    return false;
}

/* LS_DTYPE_F32, LS_DTYPE_Q8_0, or -1: as it is. */
static int new_type(const edit *e, const ls_tensor *t)
{
    for (int i = 3; i + 2 < e->argc; i++) {
        if (strcmp(e->argv[i], "type") == 0 && holds(t->name, e->argv[i + 1]) && t->n_dims > 1)
            return strcmp(e->argv[i + 2], "f32") == 0 ? LS_DTYPE_F32 : LS_DTYPE_Q8_0;
    }
    return -1;
}

/* Blocks of 32 whose values are small multiples of the least of them: as q8_0 they are the same. */
static void to_q8_0(uint8_t *out, const float *x, size_t n)
{
    for (size_t b = 0; b < n / 32; b++, out += 34, x += 32) {
        float    d = 0;
        uint16_t h;
        for (int i = 0; i < 32; i++) {
            float a = x[i] < 0 ? -x[i] : x[i];
            if (a > 0 && (d == 0 || a < d)) d = a;
        }
        h = ls_f32_to_f16(d);
        memcpy(out, &h, sizeof(h));
        for (int i = 0; i < 32; i++) out[2 + i] = (uint8_t)(d > 0 ? (int)(x[i] / d) : 0);
    }
}

static void put_retyped(edit *e, const ls_tensor *t, int type)
{
    size_t rows = (size_t)(t->ne[1] * t->ne[2] * t->ne[3]), n = (size_t)t->ne[0] * rows,
           size = type == LS_DTYPE_F32 ? n * sizeof(float) : n / 32 * 34;
    float   *x = malloc(n * sizeof(*x));
    uint8_t *out = malloc(size);
    ls_tensor_decode(x, t, 0, rows);
    if (type == LS_DTYPE_F32)
        memcpy(out, x, size);
    else
        to_q8_0(out, x, n);
    if (ls_gguf_write_data(e->w, out, size, &e->err) != LS_OK) die(e, "data:");
    free(x);
    free(out);
}

static void announce(edit *e, const ls_tensor *t)
{
    int type = new_type(e, t);
    if (ls_gguf_write_tensor(e->w, t->name, type < 0 ? t->dtype : type, t->n_dims, t->ne,
                             type < 0 ? t->n_bytes : 0, &e->err) != LS_OK)
        die(e, "tensor:");
}

static void put_tensor(edit *e, const ls_tensor *t)
{
    int      type = new_type(e, t);
    uint8_t *data;
    if (type >= 0) {
        put_retyped(e, t, type);
        return;
    }
    data = malloc(t->n_bytes);
    memcpy(data, t->data, t->n_bytes);
    for (int i = 3; i + 2 < e->argc; i++) {
        char **words = e->argv + i;
        if (!ls_str_is(t->name, words[1])) continue;
        if (strcmp(words[0], "permute") == 0) permute(data, t, (size_t)atoi(words[2]));
        if (i + 3 < e->argc && strcmp(words[0], "set") == 0) {
            float x = (float)atof(words[3]);
            if (t->dtype != LS_DTYPE_F32) die(e, "set: not of this type");
            memcpy(data + (size_t)atoi(words[2]) * sizeof(x), &x, sizeof(x));
        }
        if (i + 4 < e->argc && strcmp(words[0], "scale") == 0) scale_some(e, data, t, words + 2);
    }
    if (ls_gguf_write_data(e->w, data, t->n_bytes, &e->err) != LS_OK) die(e, "data:");
    free(data);
}

static void each_tensor(edit *e, void (*put)(edit *e, const ls_tensor *t))
{
    for (size_t i = 0; i < ls_gguf_n_tensors(e->g); i++) {
        const ls_tensor *t = ls_gguf_tensor_at(e->g, i);
        if (!dropped(e, t)) put(e, t);
    }
}

int main(int argc, char **argv)
{
    edit     e = {.argc = argc, .argv = argv};
    ls_gguf *g;
    if (argc < 3) return 2;
    if (ls_gguf_open(&g, argv[1], &e.err) != LS_OK) die(&e, "open:");
    e.g = g;
    if (ls_gguf_writer_create(&e.w, &e.err) != LS_OK) die(&e, "");
    put_keys(&e);
    each_tensor(&e, announce);
    if (ls_gguf_write_begin(e.w, argv[2], &e.err) != LS_OK) die(&e, "begin:");
    each_tensor(&e, put_tensor);
    if (ls_gguf_write_finish(e.w, &e.err) != LS_OK) die(&e, "finish:");
    ls_gguf_writer_destroy(e.w);
    ls_gguf_close(g);
    return 0;
}
