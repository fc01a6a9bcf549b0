// SPDX-License-Identifier: MIT
/* mem.c - checked size arithmetic and allocation: every allocation of the library passes here. */
#include "base/mem.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static void store(void *out, void *p) { memcpy(out, &p, sizeof(p)); }

static ls_status no_memory(const char *what, size_t n, size_t size, ls_error *err)
{
    ls_fail(err, LS_ERR_NOMEM, "not enough memory for %s (%zu x %zu bytes)", what, n, size);
    return LS_ERR_NOMEM;
}

ls_status ls_alloc(void *out, size_t n, size_t size, const char *what, ls_error *err)
{
    void *p = calloc(n ? n : 1, size ? size : 1);
    store(out, p);
    return p ? LS_OK : no_memory(what, n, size, err);
}

static ls_status alloc_lines(void *out, size_t n, size_t size, bool zeros, const char *what,
                             ls_error *err)
{
    size_t bytes, padded;
    void  *p = NULL;
    store(out, NULL);
    if (!ls_mul_size(n, size, &bytes) || !ls_add_size(bytes, 64, &padded)) {
        return no_memory(what, n, size, err);
    }
    padded &= ~(size_t)63;
    p = aligned_alloc(64, padded);
    if (!p) return no_memory(what, n, size, err);
    if (zeros) memset(p, 0, padded);
    store(out, p);
    return LS_OK;
}

ls_status ls_alloc_aligned(void *out, size_t n, size_t size, const char *what, ls_error *err)
{
    return alloc_lines(out, n, size, true, what, err);
}

ls_status ls_alloc_scratch(void *out, size_t n, size_t size, const char *what, ls_error *err)
{
    return alloc_lines(out, n, size, false, what, err);
}

ls_status ls_grow(void *array, size_t *cap, size_t need, size_t size, const char *what,
                  ls_error *err)
{
    void  *old, *p;
    size_t new_cap = *cap ? *cap : 16, bytes;
    if (need <= *cap) return LS_OK;
    while (new_cap < need) {
        if (!ls_mul_size(new_cap, 2, &new_cap)) return no_memory(what, need, size, err);
    }
    memcpy(&old, array, sizeof(old));
    if (!ls_mul_size(new_cap, size, &bytes) || !(p = realloc(old, bytes))) {
        return no_memory(what, new_cap, size, err);
    }
    store(array, p);
    *cap = new_cap;
    return LS_OK;
}
