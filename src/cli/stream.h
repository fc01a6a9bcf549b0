// SPDX-License-Identifier: MIT
/* stream.h - generated text to standard output as it comes, cut where a reader may see it.
 *
 * Bytes are held back while they may turn out to be an incomplete UTF-8 sequence or the
 * beginning of a stop text.
 */
#ifndef LS_CLI_STREAM_H
#define LS_CLI_STREAM_H

#include <stdio.h>

#include "lockstep/error.h"
#include "lockstep/types.h"

typedef struct cli_stream { /* init with cli_stream_init */
    FILE              *f;
    const char *const *stops;   /* borrowed; NULL-padded, n_stops long */
    size_t             n_stops;
    char              *held;    /* owned: bytes not printed yet */
    size_t             n_held, cap;
    char               last;    /* the last byte printed; 0 before the first */
    bool               stopped; /* a stop text was met: the rest is dropped  */
} cli_stream;

void cli_stream_init(cli_stream *s, FILE *f, const char *const *stops, size_t n_stops);
/* Add bytes and print what may be printed. Errors: NOMEM. Write errors stay in the FILE. */
ls_status cli_stream_add(cli_stream *s, const char *p, size_t len, ls_error *err);
/* Print what is held back, then a newline unless the text ended with one. */
void cli_stream_end(cli_stream *s);
void cli_stream_fini(cli_stream *s); /* NULL is allowed */

#endif
