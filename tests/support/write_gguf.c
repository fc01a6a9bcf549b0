// SPDX-License-Identifier: MIT
/* write_gguf.c - any model that opens, written as one GGUF file: write_gguf MODEL OUT. */
#include <stdio.h>

#include "lockstep/gguf_write.h"

static ls_status announce(ls_gguf_writer *w, const ls_gguf *g, ls_error *err)
{
    for (size_t i = 0; i < ls_gguf_n_kv(g); i++) {
        LS_TRY(ls_gguf_write_kv(w, ls_gguf_kv_at(g, i), err));
    }
    for (size_t i = 0; i < ls_gguf_n_tensors(g); i++) {
        const ls_tensor *t = ls_gguf_tensor_at(g, i);
        LS_TRY(ls_gguf_write_tensor(w, t->name, t->dtype, t->n_dims, t->ne, t->n_bytes, err));
    }
    return LS_OK;
}

static ls_status copy(ls_gguf_writer *w, const ls_gguf *g, const char *path, ls_error *err)
{
    LS_TRY(announce(w, g, err));
    LS_TRY(ls_gguf_write_begin(w, path, err));
    for (size_t i = 0; i < ls_gguf_n_tensors(g); i++) {
        const ls_tensor *t = ls_gguf_tensor_at(g, i);
        LS_TRY(ls_gguf_write_data(w, t->data, t->n_bytes, err));
    }
    return ls_gguf_write_finish(w, err);
}

int main(int argc, char **argv)
{
    ls_error        err = {0};
    ls_gguf        *g = NULL;
    ls_gguf_writer *w = NULL;
    ls_status       status;
    if (argc != 3) return 2;
    status = ls_gguf_open(&g, argv[1], &err);
    if (status == LS_OK) status = ls_gguf_writer_create(&w, &err);
    if (status == LS_OK) status = copy(w, g, argv[2], &err);
    if (status != LS_OK) fprintf(stderr, "%s\n%s\n", err.what, err.where);
    ls_gguf_writer_destroy(w);
    ls_gguf_close(g);
    return status != LS_OK;
}
