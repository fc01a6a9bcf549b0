// SPDX-License-Identifier: MIT
/* gguf_build.c - see gguf_build.h. */
#include "support/gguf_build.h"

#include <stdlib.h>
#include <string.h>

void gguf_build_free(gguf_build *b)
{
    free(b->data);
    memset(b, 0, sizeof(*b));
}

void gguf_build_mark(gguf_build *b) { b->mark = b->n; }

static uint8_t *grow(gguf_build *b, size_t n)
{
    if (b->n + n > b->cap) {
        b->cap = 2 * (b->n + n) + 256;
        b->data = realloc(b->data, b->cap);
        if (!b->data) abort();
    }
    b->n += n;
    return b->data + b->n - n;
}

void gguf_build_bytes(gguf_build *b, const void *p, size_t n)
{
    if (n) memcpy(grow(b, n), p, n);
}

void gguf_build_fill(gguf_build *b, uint8_t value, size_t n)
{
    if (n) memset(grow(b, n), value, n);
}

void gguf_build_u8(gguf_build *b, uint8_t v) { gguf_build_bytes(b, &v, 1); }
void gguf_build_u32(gguf_build *b, uint32_t v) { gguf_build_bytes(b, &v, 4); }
void gguf_build_u64(gguf_build *b, uint64_t v) { gguf_build_bytes(b, &v, 8); }
void gguf_build_f32(gguf_build *b, float v) { gguf_build_bytes(b, &v, 4); }

void gguf_build_str(gguf_build *b, const char *s)
{
    gguf_build_u64(b, strlen(s));
    gguf_build_bytes(b, s, strlen(s));
}

void gguf_build_pad(gguf_build *b, size_t alignment)
{
    gguf_build_fill(b, 0, (alignment - b->n % alignment) % alignment);
}

void gguf_build_header(gguf_build *b, uint32_t version, uint64_t n_tensors, uint64_t n_kv)
{
    gguf_build_bytes(b, "GGUF", 4);
    gguf_build_u32(b, version);
    gguf_build_u64(b, n_tensors);
    gguf_build_u64(b, n_kv);
}

void gguf_build_key(gguf_build *b, const char *key, uint32_t type)
{
    gguf_build_str(b, key);
    gguf_build_u32(b, type);
}

void gguf_build_kv_u32(gguf_build *b, const char *key, uint32_t v)
{
    gguf_build_key(b, key, 4);
    gguf_build_u32(b, v);
}

void gguf_build_kv_f32(gguf_build *b, const char *key, float v)
{
    gguf_build_key(b, key, 6);
    gguf_build_f32(b, v);
}

void gguf_build_kv_str(gguf_build *b, const char *key, const char *v)
{
    gguf_build_key(b, key, 8);
    gguf_build_str(b, v);
}

void gguf_build_kv_array(gguf_build *b, const char *key, uint32_t elem_type, uint64_t n)
{
    gguf_build_key(b, key, 9);
    gguf_build_u32(b, elem_type);
    gguf_build_u64(b, n);
}

void gguf_build_tensor(gguf_build *b, const char *name, uint32_t n_dims, const uint64_t *ne,
                       uint32_t type, uint64_t offset)
{
    gguf_build_str(b, name);
    gguf_build_u32(b, n_dims);
    for (uint32_t i = 0; i < n_dims; i++) gguf_build_u64(b, ne[i]);
    gguf_build_u32(b, type);
    gguf_build_u64(b, offset);
}
