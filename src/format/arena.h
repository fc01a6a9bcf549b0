// SPDX-License-Identifier: MIT
/* arena.h - memory of one opened file that is released all at once: names, metadata and
 * tensors that no file holds in the form in which they are handed out. */
#ifndef LS_FORMAT_ARENA_H
#define LS_FORMAT_ARENA_H

#include "lockstep/error.h"
#include "lockstep/types.h"

typedef struct ls_arena { /* zeroed: empty */
    struct ls_arena_block *last;
} ls_arena;

/* n * size zeroed bytes, aligned to 64. Errors: NOMEM (also when the product overflows). */
ls_status ls_arena_alloc(ls_arena *a, void *out /* T ** */, size_t n, size_t size, const char *what,
                         ls_error *err);
/* A NUL-terminated copy of n bytes. Errors: NOMEM. */
ls_status ls_arena_str(ls_arena *a, ls_str *out, const char *p, size_t n, ls_error *err);
/* printf into the arena. Errors: NOMEM. */
ls_status ls_arena_printf(ls_arena *a, ls_str *out, ls_error *err, const char *fmt, ...)
    LS_PRINTF(4, 5);
void      ls_arena_free(ls_arena *a);

#endif
