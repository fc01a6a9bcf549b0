// SPDX-License-Identifier: MIT
/* hf_back_spm.c - tokenizer.model, SentencePiece's protobuf, from tokenizer.ggml.*.
 *
 * Fields are those of sentencepiece_model.proto: pieces (1) with text, score and type; of the
 * trainer (2) the kind of model and the special pieces; of the normalizer (3) its table and how
 * spaces are treated.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "format/hf_back.h"
#include "format/hf_vocab.h"

enum { VARINT = 0, BYTES = 2, FIXED32 = 5 };
enum {
    TRAINER_TYPE = 3,
    TRAINER_SIZE = 4,
    TRAINER_BYTE_FALLBACK = 35,
    TRAINER_UNK = 40,
    TRAINER_BOS,
    TRAINER_EOS,
    TRAINER_PAD,
    TRAINER_UNK_PIECE = 45,
    TRAINER_BOS_PIECE,
    TRAINER_EOS_PIECE,
    TRAINER_PAD_PIECE
};

typedef struct bytes { /* being written */
    uint8_t *p;
    size_t   n, cap;
    bool     failed;
} bytes;

static void put(bytes *o, const void *p, size_t n)
{
    if (o->failed || ls_grow(&o->p, &o->cap, o->n + n, 1, "the vocabulary", NULL) != LS_OK) {
        o->failed = true;
        return;
    }
    if (n) memcpy(o->p + o->n, p, n);
    o->n += n;
}

static void put_varint(bytes *o, uint64_t v)
{
    do {
        uint8_t b = (uint8_t)((v & 0x7f) | (v >= 0x80 ? 0x80 : 0));
        put(o, &b, 1);
        v >>= 7;
    } while (v);
}

static void put_number(bytes *o, uint32_t field, uint64_t v)
{
    put_varint(o, field << 3 | VARINT);
    put_varint(o, v);
}

/* Negative numbers take ten bytes, as the format has it. */
static void put_id(bytes *o, uint32_t field, int64_t v) { put_number(o, field, (uint64_t)v); }

static void put_text(bytes *o, uint32_t field, const void *p, size_t n)
{
    put_varint(o, field << 3 | BYTES);
    put_varint(o, n);
    put(o, p, n);
}

/* SentencePiece wants one unknown piece; where the model calls it special, tokenizer_config.json
 * says so again. */
static int32_t type_of(const ls_hf_tokens *v, size_t i, int64_t unknown)
{
    int32_t type = ls_hf_token_type(v, i);
    if ((int64_t)i == unknown && type == LS_HF_CONTROL) return LS_HF_UNKNOWN;
    return type >= LS_HF_NORMAL && type <= LS_HF_BYTE ? type : LS_HF_NORMAL;
}

static void put_pieces(bytes *o, const ls_hf_tokens *v, int64_t unknown, bool *has_bytes)
{
    bytes piece = {0};
    for (size_t i = 0; i < v->n; i++) {
        int32_t type = type_of(v, i, unknown);
        float   score = v->score && i < v->score->n ? (float)ls_gguf_num_at(v->score, i) : 0;
        piece.n = 0;
        put_text(&piece, 1, v->text[i].p, v->text[i].len);
        put_varint(&piece, 2 << 3 | FIXED32);
        put(&piece, &score, 4);
        if (type != LS_HF_NORMAL) put_number(&piece, 3, (uint64_t)type);
        put_text(o, 1, piece.p, piece.n);
        *has_bytes |= type == LS_HF_BYTE;
    }
    o->failed |= piece.failed;
    free(piece.p);
}

static void put_trainer(bytes *o, const ls_hf_back *b, const ls_hf_tokens *v, bool unigram,
                        bool has_bytes, int64_t unknown)
{
    static const struct {
        uint32_t    id, piece;
        const char *key;
    } special[] = {{TRAINER_BOS, TRAINER_BOS_PIECE, "tokenizer.ggml.bos_token_id"},
                   {TRAINER_EOS, TRAINER_EOS_PIECE, "tokenizer.ggml.eos_token_id"},
                   {TRAINER_PAD, TRAINER_PAD_PIECE, "tokenizer.ggml.padding_token_id"}};
    bytes spec = {0};
    put_number(&spec, TRAINER_TYPE, unigram ? 1 : 2);
    put_number(&spec, TRAINER_SIZE, v->n);
    put_number(&spec, TRAINER_BYTE_FALLBACK, has_bytes);
    put_id(&spec, TRAINER_UNK, unknown);
    if (unknown >= 0 && (size_t)unknown < v->n) {
        put_text(&spec, TRAINER_UNK_PIECE, v->text[unknown].p, v->text[unknown].len);
    }
    for (size_t i = 0; i < sizeof(special) / sizeof(special[0]); i++) {
        int64_t id = -1;
        ls_gguf_int(b->g, special[i].key, &id);
        if (id >= 0 && (size_t)id >= v->n) id = -1;
        put_id(&spec, special[i].id, id);
        if (id >= 0) put_text(&spec, special[i].piece, v->text[id].p, v->text[id].len);
    }
    put_text(o, 2, spec.p, spec.n);
    o->failed |= spec.failed;
    free(spec.p);
}

static void put_normalizer(bytes *o, const ls_hf_back *b)
{
    const ls_gguf_kv *table =
        ls_gguf_array(b->g, "tokenizer.ggml.precompiled_charsmap", LS_GGUF_U8);
    bytes spec = {0};
    bool  prefix = true, squeeze = false;
    ls_gguf_bool(b->g, "tokenizer.ggml.add_space_prefix", &prefix);
    ls_gguf_bool(b->g, "tokenizer.ggml.remove_extra_whitespaces", &squeeze);
    put_text(&spec, 1, table ? "custom" : "identity", table ? 6 : 8);
    if (table) put_text(&spec, 2, table->data, (size_t)table->n);
    put_number(&spec, 3, prefix);
    put_number(&spec, 4, squeeze);
    put_number(&spec, 5, 1);
    put_text(o, 3, spec.p, spec.n);
    o->failed |= spec.failed;
    free(spec.p);
}

ls_status ls_hf_back_spm(ls_hf_back *b, const ls_hf_tokens *v, bool unigram)
{
    bytes     o = {0};
    bool      has_bytes = false;
    int64_t   unknown = 0;
    ls_status status;
    ls_gguf_int(b->g, "tokenizer.ggml.unknown_token_id", &unknown);
    put_pieces(&o, v, unknown, &has_bytes);
    put_trainer(&o, b, v, unigram, has_bytes, unknown);
    put_normalizer(&o, b);
    status = o.failed ? ls_fail(b->err, LS_ERR_NOMEM, "not enough memory for the vocabulary")
                      : ls_hf_back_file(b, "tokenizer.model", o.p, o.n);
    free(o.p);
    return status;
}
