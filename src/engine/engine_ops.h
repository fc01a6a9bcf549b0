// SPDX-License-Identifier: MIT
/* engine_ops.h - what an engine implements. engine.c forwards the public calls, checks
 * arguments and keeps the statistics' token count; each implementation embeds ls_engine first. */
#ifndef LS_ENGINE_ENGINE_OPS_H
#define LS_ENGINE_ENGINE_OPS_H

#include <sys/types.h>

#include "lockstep/engine.h"

typedef struct ls_engine_ops {
    ls_status (*tokenize)(ls_engine *e, const char *text, size_t len, const ls_encode_options *opt,
                          int32_t **ids, size_t *n, ls_error *err);
    ls_status (*eval)(ls_engine *e, const int32_t *tokens, size_t n, ls_error *err);
    ls_status (*logits)(ls_engine *e, size_t i, const float **row, ls_error *err);
    ls_status (*rewind)(ls_engine *e, size_t n_keep, ls_error *err); /* 0: all is forgotten */
    void (*close)(ls_engine *e); /* frees the whole object */
    ls_status (*pack)(ls_engine *e, ls_error *err); /* NULL: nothing is left for later */
} ls_engine_ops;

struct ls_engine {
    const ls_engine_ops *ops;
    ls_engine_info       info;
    ls_engine_stats      stats;
    size_t               n_last; /* tokens of the last eval: rows that logits may ask for */
    size_t               pos;    /* tokens evaluated since the last reset                 */
    pid_t                pid;    /* of the process that it runs in; 0: this one           */
};

#endif
