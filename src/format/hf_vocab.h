// SPDX-License-Identifier: MIT
/* hf_vocab.h - a vocabulary on its way to tokenizer.ggml.*: shared by the readers of
 * tokenizer.json and tokenizer.model. */
#ifndef LS_FORMAT_HF_VOCAB_H
#define LS_FORMAT_HF_VOCAB_H

#include "format/hf_priv.h"

enum { /* tokenizer.ggml.token_type, and SentencePiece's own numbers */
    LS_HF_NORMAL = 1, LS_HF_UNKNOWN, LS_HF_CONTROL, LS_HF_USER, LS_HF_UNUSED, LS_HF_BYTE,
};

/* A special token's part: "NAME_token" of tokenizer_config.json, its id's key and that of whether it
 * is added to texts (NULL: never), both without "tokenizer.ggml.". */
typedef struct ls_hf_role {
    const char *name, *gguf_id, *gguf_add;
} ls_hf_role;
extern const ls_hf_role ls_hf_roles[]; /* ends with a NULL name; the first is BOS, the second EOS */

typedef struct ls_hf_vocab {
    size_t   n;     /* tokens, those without a text included */
    ls_str  *text;  /* arrays live in the model's memory */
    int32_t *type;
    float   *score; /* NULL: the model has none */
} ls_hf_vocab;

/* Room for n tokens, all named "[PADi]" and unused. */
ls_status ls_hf_vocab_init(ls_hf *hf, ls_hf_vocab *v, size_t n, bool scores);
/* Write tokens, types and scores under `model` ("gpt2", "llama", "t5"). */
ls_status ls_hf_vocab_write(ls_hf *hf, const ls_hf_vocab *v, const char *model, ls_str pre);

/* hf_spm.c: FOLDER/tokenizer.model; *found false where there is none that is SentencePiece's. */
ls_status ls_hf_read_spm(ls_hf *hf, bool *found);
/* hf_bpe.c: the model of tokenizer.json. */
ls_status ls_hf_read_bpe(ls_hf *hf);
/* hf_vocab.c: tokens that tokenizer.json and tokenizer_config.json add, into v. */
ls_status ls_hf_add_tokens(ls_hf *hf, ls_hf_vocab *v);
/* hf_pretok.c: tokenizer.ggml.pre for what tokenizer.json declares; "unknown" for what no name
 * stands for. */
ls_str ls_hf_pretok_name(const ls_hf *hf);

#endif
