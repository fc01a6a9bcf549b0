// SPDX-License-Identifier: MIT
/* pair.h - a subject and a reference that serve many runs: opened once, set back before each. */
#ifndef LS_CLI_PAIR_H
#define LS_CLI_PAIR_H

#include "cli/comparison.h"

typedef struct cli_pair_side {
    ls_engine *engine; /* NULL: not open */
    ls_watch   watch;  /* who looks on now */
    ls_tap_fn *tap;
    void      *tap_ctx;
} cli_pair_side;

typedef struct cli_pair {
    ls_engine_options subject, reference;
    const char       *exe; /* of the reference; NULL: it is native */
    bool              own_sums; /* the subject adds in its own order, not in the reference's */
    cli_pair_side     sides[2]; /* reference, subject */
} cli_pair;

/* The two of a comparison whose reference has been found; nothing is opened. */
cli_pair cli_pair_of(const cli_comparison *c);

/* Open both, the reference first: the subject takes the width of its sums from it, and follows their
 * order. Nobody looks on. Errors: as ls_engine_open_reference and ls_engine_open_native. */
ls_status cli_pair_open(cli_pair *p, ls_error *err);
void      cli_pair_close(cli_pair *p); /* zeroed is allowed */

/* One of them at position 0, with somebody who looks on (ls_locate_open_fn and ls_locate_close_fn;
 * ctx is the pair). */
ls_status cli_pair_take(void *pair, bool subject, ls_watch watch, ls_tap_fn *tap, void *tap_ctx,
                        ls_engine **out, ls_error *err);
void      cli_pair_leave(void *pair, ls_engine *e);

#endif
