// SPDX-License-Identifier: MIT
/* gguf_edit.c - a model file with something changed, for tests.
 *
 *   gguf_edit IN OUT [arch NAME] [float|int|bool KEY X] [scale TENSOR ROW BLOCK X]
 *
 * arch renames the architecture and the keys that begin with it. scale multiplies the scale of
 * block BLOCK of row ROW (q8_0, q4_0: 32 elements; f32: 32 elements each); of i2_s the tensor's
 * only one. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dtype/dtype.h"
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

static void put_tensor(edit *e, const ls_tensor *t)
{
    uint8_t *data = malloc(t->n_bytes);
    memcpy(data, t->data, t->n_bytes);
    for (int i = 3; i + 4 < e->argc; i++) {
        if (strcmp(e->argv[i], "scale") == 0 && ls_str_is(t->name, e->argv[i + 1]))
            scale_some(e, data, t, e->argv + i + 2);
    }
    if (ls_gguf_write_data(e->w, data, t->n_bytes, &e->err) != LS_OK) die(e, "data:");
    free(data);
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
    for (size_t i = 0; i < ls_gguf_n_tensors(g); i++) {
        const ls_tensor *t = ls_gguf_tensor_at(g, i);
        if (ls_gguf_write_tensor(e.w, t->name, t->dtype, t->n_dims, t->ne, t->n_bytes, &e.err) !=
            LS_OK)
            die(&e, "tensor:");
    }
    if (ls_gguf_write_begin(e.w, argv[2], &e.err) != LS_OK) die(&e, "begin:");
    for (size_t i = 0; i < ls_gguf_n_tensors(g); i++) put_tensor(&e, ls_gguf_tensor_at(g, i));
    if (ls_gguf_write_finish(e.w, &e.err) != LS_OK) die(&e, "finish:");
    ls_gguf_writer_destroy(e.w);
    ls_gguf_close(g);
    return 0;
}
