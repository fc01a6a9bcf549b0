// SPDX-License-Identifier: MIT
/* order.c - which matrix a token reads after which, so that who has finished with one can fetch the
 * beginning of the next. Experts are left out: which are next is known when they are chosen. */
#include "model/weights.h"

/* w is read after *last; `joined`: by the same loop, of the same activations. */
static void follow(ls_matrix **last, ls_matrix *w, bool joined)
{
    if (!w->data) return;
    if (*last) {
        (*last)->next = w;
        (*last)->joined = joined;
    }
    *last = w;
}

void ls_model_order(ls_model *m)
{
    ls_matrix *last = NULL;
    for (int32_t i = 0; i < m->config.n_layers; i++) {
        ls_layer *l = &m->layers[i];
        follow(&last, &l->q, false);
        follow(&last, &l->k, true);
        follow(&last, &l->v, true);
        follow(&last, &l->o, false);
        follow(&last, &l->router, false);
        if (l->router.data) last = NULL;
        follow(&last, &l->gate, false);
        follow(&last, &l->up, l->gate.data != NULL);
        follow(&last, &l->down, false);
    }
    follow(&last, &m->output, false);
    follow(&last, &m->layers[0].q, false); /* of the next token */
}
