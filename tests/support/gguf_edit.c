// SPDX-License-Identifier: MIT
/* gguf_edit.c - copies a GGUF file with other metadata, more tensors or a larger vocabulary, so
 * that tests can derive models from a real one. Reads only well-formed files; shares no code with
 * Lockstep's reader.
 *
 * usage: gguf_edit IN OUT CHANGE...
 *   KEY=u32:V, KEY=f32:V, KEY=str:V   set or add a metadata key
 *   KEY=                              take a key out
 *   +NAME=V,V,...                     add a tensor of one dimension, F32
 *   vocabulary=N                      as many tokens: the added ones are called "<pad I>", and their
 *                                     rows of F32 matrices are half the row of token I modulo the
 *                                     old number
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/files.h"
#include "support/gguf_build.h"

enum { MAX_ENTRIES = 512, ARRAY = 9, STRING = 8, F32 = 6, U32 = 4, ALIGNMENT = 32 };

typedef struct entry { /* one key: the bytes from its type on */
    char           name[128];
    const uint8_t *value;
    size_t         n;
} entry;

typedef struct tensor {
    char           name[128];
    uint32_t       n_dims, type;
    uint64_t       ne[4], offset;
    const uint8_t *data;
    size_t         n; /* bytes, up to the next tensor */
} tensor;

static struct {
    entry          keys[MAX_ENTRIES];
    tensor         tensors[MAX_ENTRIES];
    size_t         n_keys, n_tensors;
    const uint8_t *at, *begin, *end;
} in;

static void die(const char *what, const char *which)
{
    fprintf(stderr, "gguf_edit: %s '%s'\n", what, which);
    exit(2);
}

static void *need(void *p)
{
    if (!p) die("not enough", "memory");
    return p;
}

/* ---- reading ---- */

static const uint8_t *take(size_t n)
{
    if ((size_t)(in.end - in.at) < n) die("the input file", "ends too early");
    in.at += n;
    return in.at - n;
}

static uint32_t take_u32(void)
{
    uint32_t v;
    memcpy(&v, take(4), 4);
    return v;
}

static uint64_t take_u64(void)
{
    uint64_t v;
    memcpy(&v, take(8), 8);
    return v;
}

static void take_name(char name[128])
{
    size_t n = (size_t)take_u64();
    if (n > 127) die("too long a", "name");
    memcpy(name, take(n), n);
    name[n] = '\0';
}

static void take_value(uint32_t type)
{
    static const size_t size[13] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
    if (type == STRING) {
        take((size_t)take_u64());
    } else if (type == ARRAY) {
        uint32_t elem = take_u32();
        for (uint64_t n = take_u64(); n > 0; n--) take_value(elem);
    } else {
        take(size[type < 13 ? type : 0]);
    }
}

/* A tensor ends where the next one of the file begins. */
static void measure(const uint8_t *data)
{
    for (size_t i = 0; i < in.n_tensors; i++) {
        tensor  *t = &in.tensors[i];
        uint64_t end = (uint64_t)(in.end - data);
        for (size_t j = 0; j < in.n_tensors; j++) {
            uint64_t o = in.tensors[j].offset;
            if (o > t->offset && o < end) end = o;
        }
        t->data = data + t->offset;
        t->n = (size_t)(end - t->offset);
    }
}

static void parse(const char *path)
{
    size_t n;
    in.begin = in.at = file_read(path, &n);
    in.end = in.begin + n;
    take(8);
    in.n_tensors = (size_t)take_u64();
    in.n_keys = (size_t)take_u64();
    if (in.n_tensors > MAX_ENTRIES / 2 || in.n_keys > MAX_ENTRIES / 2) die("too large:", path);
    for (size_t i = 0; i < in.n_keys; i++) {
        entry *e = &in.keys[i];
        take_name(e->name);
        e->value = in.at;
        take_value(take_u32());
        e->n = (size_t)(in.at - e->value);
    }
    for (size_t i = 0; i < in.n_tensors; i++) {
        tensor *t = &in.tensors[i];
        take_name(t->name);
        t->n_dims = take_u32();
        if (t->n_dims > 4) die("too many dimensions:", t->name);
        for (uint32_t d = 0; d < t->n_dims; d++) t->ne[d] = take_u64();
        t->type = take_u32();
        t->offset = take_u64();
    }
    n = (size_t)(in.at - in.begin);
    measure(in.begin + (n + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT);
}

static entry *find_key(const char *name)
{
    for (size_t i = 0; i < in.n_keys; i++)
        if (strcmp(in.keys[i].name, name) == 0) return &in.keys[i];
    return NULL;
}

/* ---- changes ---- */

static void set_value(const char *name, const gguf_build *b)
{
    entry *e = find_key(name);
    if (!e && in.n_keys < MAX_ENTRIES) e = &in.keys[in.n_keys++];
    if (!e) die("no room for", name);
    snprintf(e->name, sizeof(e->name), "%s", name);
    e->value = b->data;
    e->n = b->n;
}

static void set_key(const char *name, const char *value)
{
    gguf_build b = {0};
    entry     *e = find_key(name);
    if (!value[0]) {
        if (!e) die("no such key:", name);
        *e = in.keys[--in.n_keys];
        return;
    }
    if (strncmp(value, "u32:", 4) == 0) {
        gguf_build_u32(&b, U32);
        gguf_build_u32(&b, (uint32_t)strtoul(value + 4, NULL, 10));
    } else if (strncmp(value, "f32:", 4) == 0) {
        gguf_build_u32(&b, F32);
        gguf_build_f32(&b, strtof(value + 4, NULL));
    } else if (strncmp(value, "str:", 4) == 0) {
        gguf_build_u32(&b, STRING);
        gguf_build_str(&b, value + 4);
    } else {
        die("not a value:", value);
    }
    set_value(name, &b);
}

static void add_tensor(const char *name, const char *values)
{
    gguf_build b = {0};
    tensor    *t = &in.tensors[in.n_tensors];
    char      *end;
    if (in.n_tensors++ == MAX_ENTRIES - 1) die("no room for", name);
    snprintf(t->name, sizeof(t->name), "%s", name);
    t->n_dims = 1;
    t->type = 0;
    for (const char *p = values; *p; p = *end ? end + 1 : end) {
        gguf_build_f32(&b, strtof(p, &end));
        if (end == p) die("not a number:", p);
        t->ne[0]++;
    }
    t->data = b.data;
    t->n = b.n;
}

/* More elements for an array of one entry per token. Type 5: unused. */
static void pad_array(const char *name, uint64_t n)
{
    entry     *e = find_key(name);
    uint32_t   head[2], unused = 5;
    uint64_t   old;
    gguf_build b = {0};
    char       text[32];
    if (!e) return;
    memcpy(head, e->value, 8);
    memcpy(&old, e->value + 8, 8);
    gguf_build_bytes(&b, head, 8);
    gguf_build_u64(&b, n);
    gguf_build_bytes(&b, e->value + 16, e->n - 16);
    for (uint64_t i = old; i < n; i++) {
        snprintf(text, sizeof(text), "<pad %llu>", (unsigned long long)i);
        if (head[1] == STRING) gguf_build_str(&b, text);
        else if (head[1] == F32) gguf_build_f32(&b, -1e6f);
        else gguf_build_u32(&b, unused);
    }
    set_value(name, &b);
}

static void pad_matrix(tensor *t, uint64_t n)
{
    size_t     row = (size_t)t->ne[0], old = (size_t)t->ne[1];
    float     *v;
    gguf_build b = {0};
    if (t->type != 0) die("not F32:", t->name);
    v = need(malloc((size_t)n * row * sizeof(*v)));
    memcpy(v, t->data, old * row * sizeof(*v));
    for (size_t i = old * row; i < (size_t)n * row; i++) v[i] = v[i % (old * row)] * 0.5f;
    gguf_build_bytes(&b, v, (size_t)n * row * sizeof(*v));
    free(v);
    t->ne[1] = n;
    t->data = b.data;
    t->n = b.n;
}

static void pad_vocabulary(uint64_t n)
{
    entry *size = find_key("llama.vocab_size");
    char   value[32];
    pad_array("tokenizer.ggml.tokens", n);
    pad_array("tokenizer.ggml.scores", n);
    pad_array("tokenizer.ggml.token_type", n);
    snprintf(value, sizeof(value), "u32:%llu", (unsigned long long)n);
    if (size) set_key("llama.vocab_size", value);
    for (size_t i = 0; i < in.n_tensors; i++) {
        const char *name = in.tensors[i].name;
        if (strcmp(name, "token_embd.weight") == 0 || strcmp(name, "output.weight") == 0)
            pad_matrix(&in.tensors[i], n);
    }
}

/* ---- writing ---- */

static void write_out(const char *path)
{
    gguf_build b = {0};
    uint64_t   offset = 0;
    gguf_build_header(&b, 3, in.n_tensors, in.n_keys);
    for (size_t i = 0; i < in.n_keys; i++) {
        gguf_build_str(&b, in.keys[i].name);
        gguf_build_bytes(&b, in.keys[i].value, in.keys[i].n);
    }
    for (size_t i = 0; i < in.n_tensors; i++) {
        tensor *t = &in.tensors[i];
        gguf_build_tensor(&b, t->name, t->n_dims, t->ne, t->type, offset);
        offset += (t->n + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    }
    for (size_t i = 0; i < in.n_tensors; i++) {
        gguf_build_pad(&b, ALIGNMENT);
        gguf_build_bytes(&b, in.tensors[i].data, in.tensors[i].n);
    }
    gguf_build_pad(&b, ALIGNMENT);
    file_write(path, b.data, b.n);
}

int main(int argc, char **argv)
{
    if (argc < 4) die("usage: IN OUT CHANGE..., not", argc > 1 ? argv[1] : "");
    parse(argv[1]);
    for (int i = 3; i < argc; i++) {
        char *value = strchr(argv[i], '=');
        if (!value) die("not a change:", argv[i]);
        *value++ = '\0';
        if (argv[i][0] == '+') add_tensor(argv[i] + 1, value);
        else if (strcmp(argv[i], "vocabulary") == 0) pad_vocabulary(strtoull(value, NULL, 10));
        else set_key(argv[i], value);
    }
    write_out(argv[2]);
    return 0;
}
