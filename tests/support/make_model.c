// SPDX-License-Identifier: MIT
/* make_model.c - model files for tests that need one that nobody ships.
 *
 *   usage: make_model tiny OUT [KEY=NUMBER...]   keys: dtype d ff head layers ctx vocab seed;
 * bitnet=1 make_model edit IN OUT [EDIT...]
 *
 * EDIT: KEY=u32:N, KEY=f32:X, KEY=str:TEXT (replaces or adds a metadata entry), -KEY (removes one),
 * tensor:NAME=X,X,... (adds an F32 vector). Everything else is copied byte for byte. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lockstep/gguf.h"
#include "support/files.h"
#include "support/gguf_build.h"
#include "support/tiny_model.h"

static int die(const char *what, const char *name)
{
    fprintf(stderr, "make_model: %s '%s'\n", what, name);
    return 1;
}

static int make_tiny(int argc, char **argv)
{
    gguf_build b = {0};
    tiny_model t = {0};
    for (int i = 1; i < argc; i++) {
        struct {
            const char *name;
            uint32_t   *to;
        } keys[] = {
            {"dtype=", &t.dtype}, {"d=", &t.d},         {"ff=", &t.ff},     {"layers=", &t.layers},
            {"ctx=", &t.ctx},     {"vocab=", &t.vocab}, {"head=", &t.head},
        };
        bool known = false;
        for (size_t k = 0; k < sizeof(keys) / sizeof(keys[0]); k++) {
            size_t n = strlen(keys[k].name);
            if (strncmp(argv[i], keys[k].name, n) != 0) continue;
            *keys[k].to = (uint32_t)strtoul(argv[i] + n, NULL, 10);
            known = true;
        }
        if (strncmp(argv[i], "seed=", 5) == 0)
            t.seed = strtoull(argv[i] + 5, NULL, 10);
        else if (strcmp(argv[i], "bitnet=1") == 0)
            t.arch = "bitnet";
        else if (!known)
            return die("unknown key", argv[i]);
    }
    tiny_model_build(&b, &t);
    file_write(argv[0], b.data, b.n);
    gguf_build_free(&b);
    return 0;
}

/* ---- edit ---- */

typedef struct edits {
    int    n;
    char **text;
} edits;

/* The edit of a key: "KEY=..." or "-KEY"; NULL: none. */
static const char *edit_of(const edits *e, ls_str key)
{
    for (int i = 0; i < e->n; i++) {
        const char *s = e->text[i];
        if (s[0] == '-' && strlen(s + 1) == key.len && memcmp(s + 1, key.p, key.len) == 0) return s;
        if (strlen(s) > key.len && s[key.len] == '=' && memcmp(s, key.p, key.len) == 0) return s;
    }
    return NULL;
}

static bool put_edit(gguf_build *b, const char *s)
{
    const char *eq = strchr(s, '=');
    char        key[256];
    if (!eq) return false;
    snprintf(key, sizeof(key), "%.*s", (int)(eq - s), s);
    eq++;
    if (strncmp(eq, "u32:", 4) == 0)
        gguf_build_kv_u32(b, key, (uint32_t)strtoul(eq + 4, NULL, 10));
    else if (strncmp(eq, "f32:", 4) == 0)
        gguf_build_kv_f32(b, key, strtof(eq + 4, NULL));
    else if (strncmp(eq, "str:", 4) == 0)
        gguf_build_kv_str(b, key, eq + 4);
    else
        return false;
    return true;
}

static bool is_tensor(const char *edit) { return strncmp(edit, "tensor:", 7) == 0; }

static size_t count_values(const char *s)
{
    size_t n = 1;
    for (; *s; s++) n += *s == ',';
    return n;
}

/* Metadata of g with the edits, appended to b. False: an edit cannot be read. */
static bool put_metadata(gguf_build *b, const ls_gguf *g, const uint8_t *file, const edits *e,
                         uint64_t *n_kv)
{
    size_t n = ls_gguf_n_kv(g);
    for (size_t i = 0; i < n; i++) {
        const ls_gguf_kv *kv = ls_gguf_kv_at(g, i);
        uint64_t          from = ls_gguf_offset(g, kv->key.p) - 8;
        uint64_t          to = i + 1 < n ? ls_gguf_offset(g, ls_gguf_kv_at(g, i + 1)->key.p) - 8
                                         : ls_gguf_offset(g, ls_gguf_tensor_at(g, 0)->name.p) - 8;
        if (edit_of(e, kv->key)) continue;
        gguf_build_bytes(b, file + from, (size_t)(to - from));
        ++*n_kv;
    }
    for (int i = 0; i < e->n; i++) {
        if (e->text[i][0] == '-' || is_tensor(e->text[i])) continue;
        if (!put_edit(b, e->text[i])) return false;
        ++*n_kv;
    }
    return true;
}

static void put_directory(gguf_build *b, const ls_gguf *g, const edits *e, uint64_t *offset)
{
    for (size_t i = 0; i < ls_gguf_n_tensors(g); i++) {
        const ls_tensor *t = ls_gguf_tensor_at(g, i);
        uint64_t         ne[LS_MAX_DIMS];
        char             name[256];
        for (size_t d = 0; d < LS_MAX_DIMS; d++) ne[d] = (uint64_t)t->ne[d];
        snprintf(name, sizeof(name), "%.*s", LS_FMT(t->name));
        gguf_build_tensor(b, name, t->n_dims, ne, (uint32_t)t->dtype, *offset);
        *offset += (t->n_bytes + 31) / 32 * 32;
    }
    for (int i = 0; i < e->n; i++) {
        const char *s = e->text[i];
        uint64_t    ne[1];
        char        name[256];
        if (!is_tensor(s)) continue;
        snprintf(name, sizeof(name), "%.*s", (int)strcspn(s + 7, "="), s + 7);
        ne[0] = count_values(s);
        gguf_build_tensor(b, name, 1, ne, 0, *offset);
        *offset += (4 * ne[0] + 31) / 32 * 32;
    }
}

static void put_data(gguf_build *b, const ls_gguf *g, const edits *e)
{
    gguf_build_pad(b, 32);
    for (size_t i = 0; i < ls_gguf_n_tensors(g); i++) {
        const ls_tensor *t = ls_gguf_tensor_at(g, i);
        gguf_build_bytes(b, t->data, t->n_bytes);
        gguf_build_pad(b, 32);
    }
    for (int i = 0; i < e->n; i++) {
        char *s = strchr(e->text[i], '=');
        if (!is_tensor(e->text[i])) continue;
        while (s && *s) gguf_build_f32(b, strtof(s + 1, &s));
        gguf_build_pad(b, 32);
    }
}

static int make_edit(int argc, char **argv)
{
    ls_gguf   *g;
    ls_error   err = {0};
    size_t     n;
    uint8_t   *file;
    edits      e = {argc - 2, argv + 2};
    uint64_t   n_kv = 0, n_tensors, offset = 0;
    gguf_build b = {0}, metadata = {0};
    if (ls_gguf_open(&g, argv[0], &err) != LS_OK) return die(err.what, argv[0]);
    if (ls_gguf_alignment(g) != 32 || !ls_gguf_n_tensors(g)) return die("cannot edit", argv[0]);
    file = file_read(argv[0], &n);
    if (!put_metadata(&metadata, g, file, &e, &n_kv)) return die("unknown edit of", argv[0]);
    n_tensors = ls_gguf_n_tensors(g);
    for (int i = 0; i < e.n; i++) n_tensors += is_tensor(e.text[i]);
    gguf_build_header(&b, ls_gguf_version(g), n_tensors, n_kv);
    gguf_build_bytes(&b, metadata.data, metadata.n);
    put_directory(&b, g, &e, &offset);
    put_data(&b, g, &e);
    file_write(argv[1], b.data, b.n);
    gguf_build_free(&metadata);
    gguf_build_free(&b);
    free(file);
    ls_gguf_close(g);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc >= 3 && strcmp(argv[1], "tiny") == 0) return make_tiny(argc - 2, argv + 2);
    if (argc >= 4 && strcmp(argv[1], "edit") == 0) return make_edit(argc - 2, argv + 2);
    fprintf(stderr, "usage: make_model tiny OUT [KEY=NUMBER...] | edit IN OUT [EDIT...]\n");
    return 64;
}
