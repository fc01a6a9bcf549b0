// SPDX-License-Identifier: MIT
/* arena.c - small pieces share blocks, large ones get a block each; all go at once. */
#include "format/arena.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum { BLOCK_BYTES = 64 << 10, ALIGN = 64, LARGE = 4096 };

typedef struct ls_arena_block {
    struct ls_arena_block *next;
    size_t                 size, used; /* of `data` */
    char                   pad[ALIGN - 3 * sizeof(size_t)];
    char                   data[];
} ls_arena_block;
_Static_assert(sizeof(ls_arena_block) % ALIGN == 0, "data are aligned as the block is");

static ls_status store(void *out, void *p)
{
    memcpy(out, &p, sizeof(p));
    return LS_OK;
}

static ls_status add_block(ls_arena *a, size_t size, const char *what, ls_error *err)
{
    ls_arena_block *b;
    size_t          total;
    if (!ls_add_size(size, sizeof(*b), &total)) {
        return ls_fail(err, LS_ERR_NOMEM, "not enough memory for %s", what);
    }
    LS_TRY(ls_alloc_aligned(&b, 1, total, what, err));
    b->size = size;
    b->next = a->last;
    a->last = b;
    return LS_OK;
}

ls_status ls_arena_alloc(ls_arena *a, void *out, size_t n, size_t size, const char *what,
                         ls_error *err)
{
    size_t          bytes;
    ls_arena_block *b = a->last;
    if (!ls_mul_size(n, size, &bytes) || !ls_add_size(bytes, ALIGN - 1, &bytes)) {
        ls_fail(err, LS_ERR_NOMEM, "not enough memory for %s", what);
        return LS_ERR_NOMEM;
    }
    bytes &= ~(size_t)(ALIGN - 1);
    if (bytes >= LARGE && b) { /* behind the block that still has room */
        ls_arena large = {0};
        LS_TRY(add_block(&large, bytes, what, err));
        large.last->used = bytes;
        large.last->next = b->next;
        b->next = large.last;
        return store(out, large.last->data);
    }
    if (!b || b->size - b->used < bytes) {
        LS_TRY(add_block(a, bytes > BLOCK_BYTES ? bytes : BLOCK_BYTES, what, err));
        b = a->last;
    }
    b->used += bytes;
    return store(out, b->data + b->used - bytes);
}

ls_status ls_arena_str(ls_arena *a, ls_str *out, const char *p, size_t n, ls_error *err)
{
    char *copy = NULL;
    LS_TRY(ls_arena_alloc(a, &copy, n + 1, 1, "a name", err));
    if (n) memcpy(copy, p, n);
    *out = (ls_str){copy, n};
    return LS_OK;
}

ls_status ls_arena_printf(ls_arena *a, ls_str *out, ls_error *err, const char *fmt, ...)
{
    char    buf[512];
    va_list ap;
    int     n;
    va_start(ap, fmt);
    n = vsnprintf(buf, sizeof(buf), fmt, ap);
    va_end(ap);
    if (n < 0) n = 0;
    return ls_arena_str(a, out, buf, (size_t)n < sizeof(buf) ? (size_t)n : sizeof(buf) - 1, err);
}

void ls_arena_free(ls_arena *a)
{
    for (ls_arena_block *b = a->last; b;) {
        ls_arena_block *next = b->next;
        free(b);
        b = next;
    }
    a->last = NULL;
}
