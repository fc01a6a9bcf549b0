// SPDX-License-Identifier: MIT
/* forward.c - from tokens to hidden states: embeddings, the architecture's layers, the last norm.
 */
#include <string.h>

#include "session/ops.h"

void ls_tap_rows(ls_session *s, ls_op op, int32_t layer, float *data, size_t ld, size_t n, size_t T)
{
    ls_tap_values v = {op, layer, s->base, 1, T, n, data};
    for (size_t t = 0; s->has_taps && t < T; t++) {
        ls_tap tap = {op, layer, s->base + (int32_t)t, -1, data + t * ld, n, T == 1};
        for (size_t i = 0; i < LS_MAX_TAPS; i++) {
            if (s->opt.taps[i].fn) s->opt.taps[i].fn(s->opt.taps[i].ctx, &tap);
        }
    }
    if (s->opt.watch.fn) s->opt.watch.fn(s->opt.watch.ctx, &v);
}

static void decode_row(float *y, const ls_matrix *w, size_t row)
{
    ls_dtype_decode(w->dtype, y, (const uint8_t *)w->data + row * w->row_bytes, w->n, w->scale);
}

/* Each row that is read brings 64 KiB of its file into the process, or several times that: they are
 * handed back at once, unless all of them are read as the output matrix, too. */
static void read_embedding(const ls_session *s, float *y, int32_t token)
{
    const ls_matrix *w = &s->model->token_embd, *out = &s->model->output;
    decode_row(y, w, (size_t)token);
    if (out->data != w->data || out->n_packed == out->n_rows)
        ls_gguf_forget(s->model->gguf, w->data, w->n_rows * w->row_bytes);
}

/* Rows of the embedding matrix, scaled, and of the learned positions where there are any. */
static void embed(ls_session *s, const int32_t *tokens, size_t T)
{
    const ls_model *m = s->model;
    size_t          D = m->token_embd.n;
    for (size_t t = 0; t < T; t++) read_embedding(s, s->x + t * D, tokens[t]);
    ls_scale(s, s->x, (float)m->config.embedding_scale, D, T);
    for (size_t t = 0; m->pos_embd.data && t < T; t++) {
        decode_row(s->proj, &m->pos_embd, (size_t)s->base + t);
        s->k.add(s->x + t * D, s->x + t * D, s->proj, D);
    }
    ls_tap_rows(s, LS_OP_EMBEDDINGS, -1, s->x, D, D, T);
}

size_t ls_last_rows(ls_session *s, int32_t i, size_t T)
{
    const ls_model_config *c = &s->model->config;
    size_t D = (size_t)c->n_embd, HK = (size_t)c->n_heads * (size_t)c->head_dim, last = T - 1;
    if (!s->last_only || i != c->n_layers - 1 || last == 0) return T;
    memcpy(s->q, s->q + last * HK, HK * sizeof(float));
    memcpy(s->x, s->x + last * D, D * sizeof(float));
    memcpy(s->norm, s->norm + last * D, D * sizeof(float));
    s->base += (int32_t)last;
    return 1;
}

size_t ls_forward(ls_session *s, const int32_t *tokens, size_t T, float *hidden)
{
    const ls_model *m = s->model;
    size_t          D = (size_t)m->config.n_embd;

    ls_rope_angles(s, T);
    embed(s, tokens, T);
    for (int32_t i = 0; i < m->config.n_layers; i++) m->arch->layer(s, &m->layers[i], i, T);
    if (s->last_only) T = 1;
    if (m->arch->layer_norm) {
        ls_layer_norm(s, LS_OP_FINAL_NORM, -1, hidden, s->x, &m->output_norm, D, T);
    } else {
        ls_rms_norm(s, LS_OP_FINAL_NORM, -1, hidden, s->x, &m->output_norm, D, T);
    }
    return T;
}
