// SPDX-License-Identifier: MIT
/* link.h - one child process and the conversation with it: the host's side of ref_protocol.h.
 *
 * The child is not trusted: magic, version, order and every length are checked before use, each
 * request has a time limit, and after the first breach the child is killed and the link answers
 * every further call with what went wrong.
 */
#ifndef LS_ENGINE_LINK_H
#define LS_ENGINE_LINK_H

#include <stdint.h>

#include "adapters/ref_protocol.h"
#include "engine/proc.h"

typedef struct ls_link {
    ls_proc  proc;
    int      fd; /* our end of the socket pair; -1: closed */
    uint32_t seq;
    double   timeout_s;   /* per request                              */
    char     name[64];    /* of the engine, for messages: "llama.cpp" */
    char     broken[416]; /* why the link is dead; "": it is not      */
    const volatile int *cancelled; /* non-zero: stop waiting; NULL: never */
} ls_link;

/* One request. The response must have exactly reply_len bytes, unless `owned` is set: then any
 * length up to LS_REF_MAX_PAYLOAD, in memory that the caller frees. */
typedef struct ls_link_call {
    uint16_t    op;
    const char *doing; /* for messages: "evaluating 3 tokens" */
    const void *head;
    size_t      head_len;
    const void *body; /* follows head */
    size_t      body_len;
    void       *reply;
    size_t      reply_len;
    void      **owned;
    size_t     *owned_len;
    /* called for each TAP message before the response; NULL: none may come. It may change data,
     * and says so in *changed */
    ls_status (*tap)(void *ctx, const ls_ref_tap *tap, float *data, size_t n_floats, bool *changed,
                     ls_error *err);
    void       *tap_ctx;
    bool        answers; /* the child waits for an answer to each TAP message */
} ls_link_call;

/* Start program `exe` with `arg` (NULL: none) and with `window_fd` as its shared memory. Errors: IO; REFERENCE when exe is
 * not a program. */
ls_status ls_link_open(ls_link *l, const char *exe, const char *arg, int window_fd, double timeout_s,
                       ls_error *err);

/* Ask and wait for the answer. Errors: REFERENCE (crash, silence, nonsense, or the engine
 * failed), FORMAT (it refuses the model), LIMIT (its context is full), NOMEM, CANCELLED (the child is
 * killed). */
ls_status ls_link_ask(ls_link *l, const ls_link_call *call, ls_error *err);

/* Say that the child breaks the protocol, kill it, and return LS_ERR_REFERENCE. */
ls_status ls_link_break(ls_link *l, ls_error *err, const char *fmt, ...) LS_PRINTF(3, 4);

/* Ask the child to end, kill it if it does not within a second, reap it. Zeroed is allowed. */
void ls_link_close(ls_link *l);

#endif
