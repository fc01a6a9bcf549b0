// SPDX-License-Identifier: MIT
/* ref_protocol.h - what Lockstep and a reference engine say to each other.
 *
 * The only header that both sides compile: the host (src/engine) and the adapter program, which
 * runs as a child process and is built without liblockstep. Strictly request and response over
 * a socket; the child speaks only when asked. Logits travel through a window of shared memory.
 * Both sides are on one machine, so integers are in native byte order; the handshake compares
 * the sizes of all structs, and every length is checked by both sides before it is used.
 *
 *   request   ls_ref_msg{op, seq, status 0, len}      + len bytes
 *   response  ls_ref_msg{same op, same seq, status}   + len bytes; status != 0: text of an error
 *
 *   op        request                          response
 *   HELLO     ls_ref_sizes                     ls_ref_identity: libraries are loaded
 *   OPEN      ls_ref_open + path               ls_ref_opened: the model is loaded
 *   WINDOW    ls_ref_window                    nothing: the child has mapped the window
 *   TOKENIZE  ls_ref_tokenize + text           int32 ids
 *   EVAL      int32 ids                        ls_ref_evaluated
 *   ROWS      ls_ref_rows                      ls_ref_rows again: rows are in the window
 *   RESET     uint32: positions to keep        nothing: the KV cache holds no others
 *   CLOSE     nothing                          nothing: the child exits
 *   WATCH     ls_ref_watch + "NAME OP" lines   nothing. Before OPEN: from then on the response to
 *                                              EVAL is preceded by a TAP message for each such
 *                                              node of the graph: ls_ref_tap + its values as floats.
 *                                              NAME: the node's or that of a weight it takes,
 *                                              without the layer
 *
 * With `answers` in ls_ref_watch the child waits after each TAP message for one of the host's:
 *
 *   answer    ls_ref_msg{TAP, seq of the EVAL, status 0, len}, and len is 0: the node keeps its
 *             values; or that of the node's floats, which follow: it takes these, and all that is
 *             computed later is computed from them
 *
 * What softmax adds is a tap of the name "mask", after it. With answers both that and what softmax
 * takes, as "scores", come before it.
 *
 * The program is started without arguments, or with LS_REF_FOR_SPEED: the engine then runs as fast as
 * it does by default, and ROWS of an evaluation's last token alone can be asked for.
 */
#ifndef LOCKSTEP_REF_PROTOCOL_H
#define LOCKSTEP_REF_PROTOCOL_H

#include <assert.h>
#include <stdint.h>

#define LS_REF_MAGIC       0x3146524Cu /* "LRF1" read as bytes in memory order */
#define LS_REF_VERSION     5u
#define LS_REF_FOR_SPEED   "for-speed"
#define LS_REF_SOCKET_FD   3          /* the child's end of the socket pair   */
#define LS_REF_WINDOW_FD   4          /* the shared memory                    */
#define LS_REF_MAX_PAYLOAD (1u << 28) /* longest message: 256 MiB of text     */
#define LS_REF_MAX_VOCAB   (1 << 24)  /* a row of 64 MiB                      */
#define LS_REF_MAX_ERROR   480u       /* longest error text                   */
#define LS_REF_MAX_TAP     (1u << 30) /* longest TAP message                  */
#define LS_REF_MAX_NAMES   8192u      /* longest list of nodes to watch       */

enum {
    LS_REF_HELLO = 1,
    LS_REF_OPEN,
    LS_REF_WINDOW,
    LS_REF_TOKENIZE,
    LS_REF_EVAL,
    LS_REF_ROWS,
    LS_REF_RESET,
    LS_REF_CLOSE,
    LS_REF_WATCH,
    LS_REF_TAP, /* no request: see WATCH */
};

/* Why a request was refused. */
enum {
    LS_REF_DONE = 0,
    LS_REF_FAILED,  /* the engine failed                        */
    LS_REF_REFUSED, /* the engine does not accept the model     */
    LS_REF_FULL,    /* the context is full                      */
    LS_REF_MISUSED, /* the request makes no sense               */
};

/* Types of the KV cache, bos modes. */
enum { LS_REF_KV_F32 = 0, LS_REF_KV_F16, LS_REF_KV_BF16, LS_REF_KV_Q8_0, LS_REF_N_KV };
enum { LS_REF_BOS_AUTO = 0, LS_REF_BOS_YES, LS_REF_BOS_NO };

typedef struct ls_ref_msg {
    uint32_t magic;
    uint16_t version;
    uint16_t op;
    uint32_t seq;    /* counts requests from 1 */
    uint32_t status; /* LS_REF_DONE ...        */
    uint64_t len;    /* bytes that follow      */
} ls_ref_msg;

typedef struct ls_ref_sizes {
    uint32_t msg, identity, open, opened, window, tokenize, evaluated, rows, watch, tap;
} ls_ref_sizes;

typedef struct ls_ref_identity { /* strings end in NUL */
    ls_ref_sizes sizes;
    char         engine[32];   /* "llama", "bitnet"                  */
    char         version[64];  /* of the library                     */
    char         library[512]; /* path of the library that was loaded */
} ls_ref_identity;

typedef struct ls_ref_open {
    int32_t  n_ctx, n_batch, n_threads, kv_type; /* n_ctx 0: as the model was trained */
    uint32_t path_len;                           /* bytes of the path that follow, without NUL */
    uint32_t reserved;
} ls_ref_open;

typedef struct ls_ref_opened {
    int32_t  n_vocab, n_ctx, n_batch, n_threads, kv_type, flash_attn;
    uint64_t load_ns;
    char     isa[64];
} ls_ref_opened;

typedef struct ls_ref_window {
    uint64_t bytes;
} ls_ref_window;

typedef struct ls_ref_tokenize {
    uint32_t bos, parse_special;
} ls_ref_tokenize;

typedef struct ls_ref_evaluated {
    uint64_t wall_ns; /* evaluating, until the logits were there */
    uint32_t n_rows, n_vocab;
} ls_ref_evaluated;

typedef struct ls_ref_rows {
    uint32_t first, count; /* tokens of the last EVAL          */
    uint64_t bytes;        /* count x vocabulary x 4           */
} ls_ref_rows;

typedef struct ls_ref_watch {
    uint32_t answers, reserved; /* answers 1: each TAP message waits for one */
} ls_ref_watch;

/* A node of the engine's graph after its evaluation; ne[0] varies fastest, as in ggml. */
typedef struct ls_ref_tap {
    char     name[64]; /* as it was asked for        */
    char     op[32];   /* "MUL_MAT"                  */
    int32_t  layer;    /* -1: none                  */
    uint32_t n_dims;   /* always 4                  */
    int64_t  ne[4];
    float    params[4]; /* the operation's first parameters, read as floats */
} ls_ref_tap;

static_assert(sizeof(ls_ref_tap) == 64 + 32 + 8 + 32 + 16, "tap");
static_assert(sizeof(ls_ref_msg) == 24, "message header");
static_assert(sizeof(ls_ref_identity) == 40 + 32 + 64 + 512, "identity");
static_assert(sizeof(ls_ref_open) == 24, "open");
static_assert(sizeof(ls_ref_opened) == 24 + 8 + 64, "opened");
static_assert(sizeof(ls_ref_tokenize) == 8, "tokenize");
static_assert(sizeof(ls_ref_evaluated) == 16, "evaluated");
static_assert(sizeof(ls_ref_rows) == 16, "rows");
static_assert(sizeof(ls_ref_watch) == 8, "watch");

static inline ls_ref_sizes ls_ref_sizes_here(void)
{
    ls_ref_sizes s = {sizeof(ls_ref_msg),       sizeof(ls_ref_identity), sizeof(ls_ref_open),
                      sizeof(ls_ref_opened),    sizeof(ls_ref_window),   sizeof(ls_ref_tokenize),
                      sizeof(ls_ref_evaluated), sizeof(ls_ref_rows),    sizeof(ls_ref_watch),
                      sizeof(ls_ref_tap)};
    return s;
}

#endif
