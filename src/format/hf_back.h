// SPDX-License-Identifier: MIT
/* hf_back.h - a model on its way to a Hugging Face folder: the way of hf_priv.h backwards.
 *
 * hf_back.c says which tensors the folder has, by the rows of hf_archs.c read from right to left;
 * hf_back_ops.c makes their data; hf_back_config.c and hf_back_vocab.c the files beside them; and
 * hf_write.c puts the folder together. What is written is read again before it gets its name.
 */
#ifndef LS_FORMAT_HF_BACK_H
#define LS_FORMAT_HF_BACK_H

#include "format/hf_priv.h"
#include "lockstep/convert.h"

typedef struct ls_hf_piece ls_hf_piece;

/* The data of a tensor of the folder: n_bytes to `out`. */
typedef ls_status ls_hf_fill_fn(const ls_hf_back *b, const ls_hf_piece *p, void *out);

struct ls_hf_piece { /* a tensor of the folder */
    ls_str               name;
    ls_ckpt_dtype        dtype;
    uint32_t             n_dims;
    int64_t              shape[LS_MAX_DIMS + 1];
    size_t               n_bytes;
    const ls_tensor     *src[2]; /* the second for what was split in two; else NULL */
    size_t               index;  /* of an expert */
    const ls_hf_shuffle *shuffle;
    ls_hf_fill_fn       *fill;
};

struct ls_hf_back {
    const ls_gguf            *g;
    const ls_hf_arch         *arch;
    const ls_convert_options *opt;
    ls_arena                  mem;
    ls_hf_heads               heads;
    ls_ckpt_dtype             main;   /* of most matrices, and of what is no float in the model */
    bool                      ternary, mxfp4; /* what config.json has to say of them */
    ls_hf_piece              *pieces;
    size_t                    n_pieces, cap;
    json_t                   *config; /* owned */
    const char               *folder; /* where files go, with a slash at the end */
    ls_error                 *err;
};

/* ---- hf_back.c ---- */

/* Find the row, the heads and the type of most tensors. */
ls_status ls_hf_back_init(ls_hf_back *b);
/* Fill b->pieces. Errors: UNSUPPORTED for a tensor that no folder of the architecture has. */
ls_status ls_hf_back_plan(ls_hf_back *b);
/* One more tensor; n_bytes follows from the rest. */
ls_status ls_hf_back_add(ls_hf_back *b, ls_hf_piece *p);
/* UNSUPPORTED at tensor t. */
ls_status ls_hf_back_refuse(const ls_hf_back *b, const ls_tensor *t, const char *fmt, ...)
    LS_PRINTF(3, 4);

/* ---- hf_back_ops.c ---- */

/* Plan what op `row->op` made t of; *done false where the row is for other types of tensors. */
ls_status ls_hf_back_op(ls_hf_back *b, const ls_hf_name *row, const ls_hf_match *m,
                        const ls_tensor *t, bool *done);

/* ---- hf_back_config.c ---- */

/* The key under the architecture's name as a number, a text; false where it is not there. */
bool ls_hf_back_num(const ls_hf_back *b, const char *suffix, double *out);
bool ls_hf_back_str(const ls_hf_back *b, const char *suffix, ls_str *out);
/* config.json and generation_config.json into b->folder. */
ls_status ls_hf_back_config(ls_hf_back *b);
/* A JSON file of b->folder. */
ls_status ls_hf_back_json(const ls_hf_back *b, const char *name, const json_t *v);
/* A file of b->folder. */
ls_status ls_hf_back_file(const ls_hf_back *b, const char *name, const void *data, size_t n);

/* ---- hf_back_vocab.c, hf_back_spm.c ---- */

typedef struct ls_hf_tokens { /* tokenizer.ggml.*, borrowed and checked; arrays owned */
    size_t            n;
    ls_str           *text;
    const ls_gguf_kv *type, *score; /* NULL: there are none */
} ls_hf_tokens;

/* tokenizer.json or tokenizer.model, and tokenizer_config.json. */
ls_status ls_hf_back_vocab(ls_hf_back *b);
ls_status ls_hf_back_spm(ls_hf_back *b, const ls_hf_tokens *v, bool unigram);
int32_t   ls_hf_token_type(const ls_hf_tokens *v, size_t i);
/* hf_back_check.c: what has been written so far says what the model says, or is told. Errors:
 * UNSUPPORTED for a key that a result depends on. */
ls_status ls_hf_back_check(const ls_hf_back *b);
/* hf_pretok.c: the declaration of a pre-tokenizer by its name, owned; NULL: no name that is known.
 * *ignore_merges and *adds_bos: what goes without saying with that name. */
json_t *ls_hf_pretok_json(ls_str name, bool *ignore_merges, bool *adds_bos);

#endif
