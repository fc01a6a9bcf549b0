// SPDX-License-Identifier: MIT
/* map.h - a file mapped read-only. */
#ifndef LS_BASE_MAP_H
#define LS_BASE_MAP_H

#include <stddef.h>
#include <stdint.h>

#include "lockstep/error.h"

/* What changes when a file is written again or replaced, as it was when it was opened. */
typedef struct ls_map_stamp {
    uint64_t size, inode;
    int64_t  written_s, written_ns, changed_s, changed_ns; /* contents; contents or description */
} ls_map_stamp;

typedef struct ls_map {
    const uint8_t *data; /* NULL for an empty file */
    size_t         size;
    ls_map_stamp   stamp;
} ls_map;

/* Map a regular file. Errors: IO (missing, unreadable, a folder), LIMIT. */
ls_status ls_map_open(ls_map *out, const char *path, ls_error *err);
/* Hand back the whole pages among bytes [p, p + n), which are read again when they are used. Ignored
 * unless they lie in the mapping. */
void      ls_map_forget(const ls_map *m, const void *p, size_t n);
/* Bytes [p, p + n) will be read soon: whole, and in order. Ignored as above. */
void      ls_map_fetch(const ls_map *m, const void *p, size_t n);
void      ls_map_close(ls_map *m); /* NULL and zeroed structs are allowed */

/* Read a whole file (any kind: also pipes) into owned memory, NUL-terminated behind the end.
 * Errors: IO, NOMEM. */
ls_status ls_read_file(char **out, size_t *len, const char *path, ls_error *err);

#endif
