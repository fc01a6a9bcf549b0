// SPDX-License-Identifier: MIT
/* gguf_build.h - writes GGUF bytes field by field, right or wrong: nothing is checked, so that
 * tests can build exactly the broken file they want. Shares no code with the reader. */
#ifndef TESTS_GGUF_BUILD_H
#define TESTS_GGUF_BUILD_H

#include <stddef.h>
#include <stdint.h>

typedef struct gguf_build { /* zeroed at the start; release with gguf_build_free */
    uint8_t *data;
    size_t   n, cap;
    size_t   mark; /* offset at which the specification is broken: see gguf_build_mark */
} gguf_build;

void gguf_build_free(gguf_build *b);
/* What is appended next is where a reader must find the fault. */
void gguf_build_mark(gguf_build *b);

void gguf_build_bytes(gguf_build *b, const void *p, size_t n);
void gguf_build_u8(gguf_build *b, uint8_t v);
void gguf_build_u32(gguf_build *b, uint32_t v);
void gguf_build_u64(gguf_build *b, uint64_t v);
void gguf_build_f32(gguf_build *b, float v);
void gguf_build_str(gguf_build *b, const char *s);
void gguf_build_fill(gguf_build *b, uint8_t value, size_t n);
/* Zeros up to a multiple of `alignment`. */
void gguf_build_pad(gguf_build *b, size_t alignment);

void gguf_build_header(gguf_build *b, uint32_t version, uint64_t n_tensors, uint64_t n_kv);
/* A key and the number of its value type; the value is appended by the caller. */
void gguf_build_key(gguf_build *b, const char *key, uint32_t type);
void gguf_build_kv_u32(gguf_build *b, const char *key, uint32_t v);
void gguf_build_kv_f32(gguf_build *b, const char *key, float v);
void gguf_build_kv_str(gguf_build *b, const char *key, const char *v);
/* A key with the head of an array; the elements are appended by the caller. */
void gguf_build_kv_array(gguf_build *b, const char *key, uint32_t elem_type, uint64_t n);
/* A tensor of n_dims dimensions, ne[n_dims]. */
void gguf_build_tensor(gguf_build *b, const char *name, uint32_t n_dims, const uint64_t *ne,
                       uint32_t type, uint64_t offset);

#endif
