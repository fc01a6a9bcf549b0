// SPDX-License-Identifier: MIT
/* pages.h - large blocks of zeroed memory, on large pages where the system offers them. */
#ifndef LS_BASE_PAGES_H
#define LS_BASE_PAGES_H

#include <stddef.h>

#include "lockstep/error.h"

typedef struct ls_pages {
    void  *data;
    size_t size;
} ls_pages;

/* bytes must not be 0. Errors: NOMEM, naming `what`. */
ls_status ls_pages_alloc(ls_pages *out, size_t bytes, const char *what, ls_error *err);
void      ls_pages_free(ls_pages *p); /* zeroed structs are allowed */

#endif
