// SPDX-License-Identifier: MIT
/* mem.h - checked size arithmetic and allocation. */
#ifndef LS_BASE_MEM_H
#define LS_BASE_MEM_H

#include <stdbool.h>
#include <stddef.h>

#include "lockstep/error.h"

/* *out = a * b (a + b); false on overflow. */
static inline bool ls_mul_size(size_t a, size_t b, size_t *out) { return !__builtin_mul_overflow(a, b, out); }
static inline bool ls_add_size(size_t a, size_t b, size_t *out) { return !__builtin_add_overflow(a, b, out); }

/* Allocate n * size bytes, zeroed. *out is owned: free(). n or size 0 gives a valid pointer.
 * Errors: NOMEM, naming `what` ("the KV cache") and the size. */
ls_status ls_alloc(void *out /* T ** */, size_t n, size_t size, const char *what, ls_error *err);
/* As ls_alloc, aligned to 64 bytes; also released with free(). */
ls_status ls_alloc_aligned(void *out, size_t n, size_t size, const char *what, ls_error *err);
/* The same without zeros: what is never written to takes no memory. */
ls_status ls_alloc_scratch(void *out, size_t n, size_t size, const char *what, ls_error *err);
/* Grow an owned array: ensures capacity for `need` elements, doubling. *array may be NULL with *cap 0. */
ls_status ls_grow(void *array /* T ** */, size_t *cap, size_t need, size_t size, const char *what,
                  ls_error *err);

#endif
