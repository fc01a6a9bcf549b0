// SPDX-License-Identifier: MIT
/* attention.h - what the orders of attention share: the reference's (attention.c, attention_flash.c)
 * and the engine's own (attention_own.c). */
#ifndef LS_SESSION_ATTENTION_H
#define LS_SESSION_ATTENTION_H

#include "session/ops.h"

typedef struct ls_attn_job {
    ls_session    *s;
    int32_t        layer;
    const ls_attn *a;
    size_t         T;
    bool           wide_scores, wide_values; /* 4 * lanes stripes instead of lanes */
} ls_attn_job;

/* Of n scores, the first that the window does not hide. */
static inline size_t ls_attn_from(const ls_attn_job *j, size_t n)
{
    return j->a->window > 0 && n > (size_t)j->a->window ? n - (size_t)j->a->window : 0;
}

/* Show the n scores or weights of a head of token t to the taps. */
void ls_attn_tap(const ls_attn_job *j, ls_op op, size_t t, size_t head, float *scores, size_t n);
/* Keys and values of T tokens into the cache, and s->att, with sums in the engine's own order. T is
 * then that of ls_last_rows. */
void ls_attend_own(ls_attn_job *j);
/* The same as the reference's flash attention adds, for Q8_0, of every row. */
void ls_attend_flash(const ls_attn_job *j);

#endif
