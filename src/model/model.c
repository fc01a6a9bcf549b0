// SPDX-License-Identifier: MIT
/* model.c - opening and closing a model: file, hyper-parameters, weights. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "model/arch.h"

ls_status ls_model_open(ls_model **out, const char *path, ls_error *err)
{
    ls_gguf  *g;
    ls_status status;
    *out = NULL;
    LS_TRY(ls_gguf_open(&g, path, err));
    status = ls_model_open_gguf(out, g, err);
    ls_gguf_close(g);
    return status;
}

ls_status ls_model_open_gguf(ls_model **out, ls_gguf *g, ls_error *err)
{
    ls_model *m;
    ls_status status;

    *out = NULL;
    LS_TRY(ls_alloc(&m, 1, sizeof(*m), "a model", err));
    m->gguf = ls_gguf_share(g);
    status = ls_config_read(&m->config, &m->arch, m->gguf, err);
    if (status == LS_OK) status = ls_model_bind(m, err);
    if (status != LS_OK) {
        ls_model_close(m);
        return status;
    }
    ls_model_order(m);
    /* The lists of the vocabulary were passed over, norms copied: nothing of that is needed soon.
     */
    ls_gguf_forget(m->gguf, NULL, 0);
    *out = m;
    return LS_OK;
}

void ls_model_close(ls_model *m)
{
    if (!m) return;
    ls_packing_end(m);
    ls_gguf_close(m->gguf);
    free(m->layers);
    free(m->vectors);
    free(m->unpacked);
    ls_pages_free(&m->strips);
    ls_map_close(&m->prepacked);
    free(m);
}

/* A layer without its norm, say, has no such operation. */
static bool is_there(const ls_model *m, size_t member)
{
    for (int32_t i = 0; i < m->config.n_layers; i++) {
        const float *vector;
        memcpy(&vector, (const char *)&m->layers[i] + member, sizeof(vector));
        if (vector) return true;
    }
    return false;
}

bool ls_model_has_op(const ls_model *m, ls_op op)
{
    uint64_t moe = m->config.n_expert ? 0 : LS_OPS_MOE;
    if ((unsigned)op >= LS_N_OPS || !((m->arch->ops & ~moe) >> op & 1)) return false;
    for (const ls_optional_op *o = m->arch->optional; o && o->op != LS_N_OPS; o++)
        if (o->op == op) return is_there(m, o->member);
    return true;
}

const ls_gguf         *ls_model_gguf(const ls_model *m) { return m->gguf; }
const ls_model_config *ls_model_get_config(const ls_model *m) { return &m->config; }
