// SPDX-License-Identifier: MIT
/* linear.c - matrix products: round the activations as the weight's type asks, then share the
 * rows of the matrix between threads.
 *
 * Threads split rows, never a sum: the result does not depend on how many there are.
 */
#include <string.h>

#include "session/session_priv.h"

/* Weight rows handed out at a time: few enough to balance, enough to be worth a claim. */
enum { ROWS_PER_CLAIM = 32 };

typedef struct job {
    ls_session   *s;
    const float  *x;
    size_t        ldx;
    ls_act_fn    *round; /* NULL: plain floats                          */
    bool          codes; /* int8 codes become the activations, see below */
    ls_matmul_fn *matmul;
    ls_matmul     m;
} job;

/* LS_ROUND_I8 for a weight that is not I2_S: the int8 codes of the row become the activations
 * (small integers, exact in every form); unscale() divides the product by the row's scale. */
static const float *int8_codes(const job *j, size_t t, const float *x, void *slot)
{
    const ls_i8_row *row = slot;
    float           *codes = j->s->codes + t * j->m.n;
    j->s->k.act_i8_row(slot, x, j->m.n);
    for (size_t i = 0; i < j->m.n; i++) codes[i] = (float)row->qs[i];
    j->s->code_scale[t] = row->s;
    return codes;
}

static void round_rows(void *ctx, size_t begin, size_t end, int thread)
{
    const job *j = ctx;
    (void)thread;
    for (size_t t = begin; t < end; t++) {
        uint8_t     *slot = (uint8_t *)j->s->act + t * j->m.x_bytes;
        const float *x = j->x + t * j->ldx;
        if (j->codes) x = int8_codes(j, t, x, slot);
        if (j->round) {
            j->round(slot, x, j->m.n);
        } else {
            memcpy(slot, x, j->m.n * sizeof(float));
        }
    }
}

static void multiply(void *ctx, size_t begin, size_t end, int thread)
{
    const job *j = ctx;
    ls_matmul  m = j->m;
    (void)thread;
    m.y += begin;
    m.w = (const uint8_t *)m.w + begin * m.row_bytes;
    m.n_rows = end - begin;
    j->matmul(&m);
}

/* F32 and F16 by wide sums, where the reference multiplies vectors (NUMERICS.md, clause 9). */
static void multiply_wide(void *ctx, size_t begin, size_t end, int thread)
{
    const job *j = ctx;
    (void)thread;
    for (size_t t = 0; t < j->m.n_cols; t++) {
        const void *x = (const uint8_t *)j->m.x + t * j->m.x_bytes;
        for (size_t r = begin; r < end; r++) {
            const void *w = (const uint8_t *)j->m.w + r * j->m.row_bytes;
            j->m.y[t * j->m.ldy + r] = j->round ? j->s->k.dot_f16_wide(w, x, j->m.n, j->m.lanes)
                                                : j->s->k.dot_f32(w, x, j->m.n, j->m.lanes);
        }
    }
}

/* The reference's matrix kernels take two tokens and more, whole registers and rows in fours. */
static bool follows_vectors(const ls_session *s, const ls_matrix *w, size_t T)
{
    if (!s->opt.follow || (w->dtype != LS_DTYPE_F32 && w->dtype != LS_DTYPE_F16)) return false;
    return T == 1 || w->n % (size_t)s->opt.lanes || w->n_rows % 4;
}

static void unscale(const job *j)
{
    for (size_t t = 0; t < j->m.n_cols; t++) {
        float *y = j->m.y + t * j->m.ldy;
        for (size_t r = 0; r < j->m.n_rows; r++) y[r] /= j->s->code_scale[t];
    }
}

void ls_linear(ls_session *s, const ls_product *p, size_t n, const float *x, size_t ldx, size_t T,
               bool layer_weight)
{
    int rounded = -1; /* the form that s->act holds */
    for (size_t i = 0; i < n; i++) {
        const ls_matrix *w = p[i].w;
        ls_act           form = ls_dtype_act(w->dtype);
        size_t           slot = ls_act_row_bytes(form, w->n);
        job              j = {
                         .s = s,
                         .x = x,
                         .ldx = ldx,
                         .round = ls_kernels_act(&s->k, (int)form),
                         .codes = s->opt.rounding == LS_ROUND_I8 && layer_weight && form != LS_ACT_I8_ROW,
                         .matmul = ls_kernels_matmul(&s->k, w->dtype),
                         .m = {.y = p[i].y,
                               .ldy = p[i].ldy,
                               .w = w->data,
                               .row_bytes = w->row_bytes,
                               .n_rows = w->n_rows,
                               .x = s->act,
                               .x_bytes = slot,
                               .n_cols = T,
                               .n = w->n,
                               .w_scale = w->scale,
                               .lanes = s->opt.lanes,
                               .follow = s->opt.follow},
        };
        if (j.codes && slot < ls_act_row_bytes(LS_ACT_I8_ROW, w->n)) {
            j.m.x_bytes =
                ls_act_row_bytes(LS_ACT_I8_ROW, w->n); /* the codes pass through the slot */
        }
        if (rounded != (int)form) ls_pool_run(s->pool, round_rows, &j, T, 1);
        rounded = (int)form;
        ls_pool_run(s->pool, follows_vectors(s, w, T) ? multiply_wide : multiply, &j, w->n_rows,
                    ROWS_PER_CLAIM);
        if (j.codes) unscale(&j);
    }
}
