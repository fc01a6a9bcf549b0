// SPDX-License-Identifier: MIT
/* cursor.h - reading little-endian values from a byte range without ever leaving it. */
#ifndef LS_BASE_CURSOR_H
#define LS_BASE_CURSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef struct ls_cursor {
    const uint8_t *data;
    size_t         size, off; /* off <= size */
} ls_cursor;

/* Take n bytes: a pointer to them, or NULL (and nothing taken) if fewer are left. */
static inline const uint8_t *ls_cursor_take(ls_cursor *c, uint64_t n)
{
    const uint8_t *p;
    if (!c->data || n > c->size - c->off) return NULL;
    p = c->data + c->off;
    c->off += (size_t)n;
    return p;
}

static inline bool ls_cursor_u32(ls_cursor *c, uint32_t *out)
{
    const uint8_t *p = ls_cursor_take(c, 4);
    if (p) memcpy(out, p, 4);
    return p != NULL;
}

static inline bool ls_cursor_u64(ls_cursor *c, uint64_t *out)
{
    const uint8_t *p = ls_cursor_take(c, 8);
    if (p) memcpy(out, p, 8);
    return p != NULL;
}

#endif
