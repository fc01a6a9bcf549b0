// SPDX-License-Identifier: MIT
/* sp_file.c - reads tokenizer.model: protocol buffers (the wire format: tag, then a varint, 4 or 8
 * bytes, or a length and as many bytes), fields as in sentencepiece_model.proto. A cursor that
 * cannot over-read; fields that nobody here needs are passed over.
 */
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "text/sp.h"

typedef struct cursor {
    const char *path, *file; /* for errors */
    const char *p, *end;
} cursor;

typedef struct field {
    uint64_t number;
    int      wire;  /* 0 varint, 1 eight bytes, 2 bytes, 5 four bytes */
    uint64_t value; /* of all but bytes */
    ls_str   bytes;
} field;

static ls_status fail(const cursor *c, const char *at, ls_error *err, const char *what)
{
    ls_fail(err, LS_ERR_FORMAT, "the file is no SentencePiece model: %s", what);
    ls_fail_at(err, "%s: byte %zu", c->path, (size_t)(at - c->file));
    return LS_ERR_FORMAT;
}

static ls_status read_varint(cursor *c, uint64_t *v, ls_error *err)
{
    const char *start = c->p;
    *v = 0;
    for (int shift = 0; shift < 70; shift += 7) {
        uint8_t b;
        if (c->p == c->end) return fail(c, start, err, "a number is cut off");
        b = (uint8_t)*c->p++;
        if (shift == 63 && b > 1) break;
        *v |= (uint64_t)(b & 0x7f) << shift;
        if (!(b & 0x80)) return LS_OK;
    }
    return fail(c, start, err, "a number has more than 64 bits");
}

static ls_status read_fixed(cursor *c, size_t n, uint64_t *v, ls_error *err)
{
    *v = 0;
    if ((size_t)(c->end - c->p) < n) return fail(c, c->p, err, "a number is cut off");
    for (size_t i = 0; i < n; i++) *v |= (uint64_t)(uint8_t)*c->p++ << (8 * i);
    return LS_OK;
}

/* The next field; *more is false at the end. */
static ls_status next_field(cursor *c, field *f, bool *more, ls_error *err)
{
    const char *start = c->p;
    uint64_t    tag;
    *more = c->p < c->end;
    if (!*more) return LS_OK;
    LS_TRY(read_varint(c, &tag, err));
    *f = (field){.number = tag >> 3, .wire = (int)(tag & 7)};
    if (f->number == 0) return fail(c, start, err, "a field has the number 0");
    switch (f->wire) {
    case 0:
        return read_varint(c, &f->value, err);
    case 1:
        return read_fixed(c, 8, &f->value, err);
    case 2:
        LS_TRY(read_varint(c, &f->value, err));
        if (f->value > (uint64_t)(c->end - c->p)) {
            return fail(c, start, err, "a field is longer than what it is in");
        }
        f->bytes = (ls_str){c->p, (size_t)f->value};
        c->p += f->value;
        return LS_OK;
    case 5:
        return read_fixed(c, 4, &f->value, err);
    default:
        return fail(c, start, err, "a field has no known wire type");
    }
}

static cursor inside(const cursor *c, ls_str bytes)
{
    return (cursor){c->path, c->file, bytes.p, bytes.p + bytes.len};
}

static float as_float(uint64_t bits)
{
    uint32_t b = (uint32_t)bits;
    float    f;
    memcpy(&f, &b, sizeof(f));
    return f;
}

/* ---- parts ---- */

static ls_status count_pieces(cursor c, size_t *n, ls_error *err)
{
    field f;
    bool  more;
    *n = 0;
    for (;;) {
        LS_TRY(next_field(&c, &f, &more, err));
        if (!more) return LS_OK;
        *n += f.number == 1 && f.wire == 2;
    }
}

static ls_status read_piece(ls_tokenizer *t, cursor c, int32_t id, ls_error *err)
{
    const char *start = c.p;
    field       f;
    bool        more;
    t->type[id] = LS_TOKEN_NORMAL;
    for (;;) {
        LS_TRY(next_field(&c, &f, &more, err));
        if (!more) break;
        if (f.number == 1 && f.wire == 2) t->text[id] = f.bytes;
        if (f.number == 2 && f.wire == 5) t->score[id] = as_float(f.value);
        if (f.number == 3 && f.wire == 0) {
            if (f.value < 1 || f.value > LS_TOKEN_BYTE) {
                return fail(&c, start, err, "a piece has no known type");
            }
            t->type[id] = (uint8_t)f.value;
        }
    }
    if (t->text[id].len == 0) return fail(&c, start, err, "a piece is empty");
    if (t->score[id] != t->score[id]) return fail(&c, start, err, "a score is not a number");
    if (t->type[id] == LS_TOKEN_BYTE && ls_vocab_byte_of(t->text[id]) < 0) {
        return fail(&c, start, err, "a byte piece is not written like <0x0A>");
    }
    if (!ls_str_map_put(&t->ids, t->text[id], id)) {
        return fail(&c, start, err, "two pieces have the same text");
    }
    if (t->text[id].len > t->max_len) t->max_len = t->text[id].len;
    return LS_OK;
}

static ls_status read_trainer(ls_sp *sp, cursor c, ls_error *err)
{
    field f;
    bool  more;
    for (;;) {
        LS_TRY(next_field(&c, &f, &more, err));
        if (!more) return LS_OK;
        if (f.wire != 0) continue;
        if (f.number == 3) sp->model = f.value <= INT_MAX ? (int)f.value : 0;
        if (f.number == 24) sp->space_suffix = f.value != 0;
        if (f.number == 35) sp->byte_fallback = f.value != 0;
        if (f.number == 40) sp->unk = (int64_t)f.value;
        if (f.number == 41) sp->bos = (int64_t)f.value;
        if (f.number == 42) sp->eos = (int64_t)f.value;
    }
}

static ls_status read_normalizer(ls_sp *sp, cursor c, ls_error *err)
{
    field f;
    bool  more;
    for (;;) {
        LS_TRY(next_field(&c, &f, &more, err));
        if (!more) return LS_OK;
        if (f.number == 2 && f.wire == 2) sp->charsmap = f.bytes;
        if (f.wire != 0) continue;
        if (f.number == 3) sp->dummy_prefix = f.value != 0;
        if (f.number == 4) sp->merge_spaces = f.value != 0;
        if (f.number == 5) sp->escape_spaces = f.value != 0;
    }
}

static ls_status read_fields(ls_tokenizer *t, cursor c, ls_error *err)
{
    field   f;
    bool    more;
    int32_t id = 0;
    for (;;) {
        LS_TRY(next_field(&c, &f, &more, err));
        if (!more) return LS_OK;
        if (f.wire != 2) continue;
        if (f.number == 1) LS_TRY(read_piece(t, inside(&c, f.bytes), id++, err));
        if (f.number == 2) LS_TRY(read_trainer(t->sp, inside(&c, f.bytes), err));
        if (f.number == 3) LS_TRY(read_normalizer(t->sp, inside(&c, f.bytes), err));
    }
}

/* ---- all together ---- */

static ls_status allocate(ls_tokenizer *t, const cursor *c, size_t n, ls_error *err)
{
    if (n == 0) return fail(c, c->p, err, "there are no pieces");
    if (n > INT32_MAX / 2) return fail(c, c->p, err, "there are too many pieces");
    t->n_vocab = (int32_t)n;
    LS_TRY(ls_alloc(&t->text, n, sizeof(*t->text), "the vocabulary", err));
    LS_TRY(ls_alloc(&t->type, n, 1, "the vocabulary", err));
    LS_TRY(ls_alloc(&t->is_end, n, 1, "the vocabulary", err));
    LS_TRY(ls_alloc(&t->score, n, sizeof(float), "the vocabulary", err));
    return ls_str_map_init(&t->ids, n, err);
}

static int32_t id_or_none(const ls_tokenizer *t, int64_t id)
{
    return id >= 0 && id < t->n_vocab ? (int32_t)id : -1;
}

static ls_status build_tries(ls_tokenizer *t, ls_error *err)
{
    float least = 0, most = 0;
    bool  any = false;
    LS_TRY(ls_trie_init(&t->trie, err));
    LS_TRY(ls_trie_init(&t->user_trie, err));
    for (int32_t i = 0; i < t->n_vocab; i++) {
        bool user = t->type[i] == LS_TOKEN_USER_DEFINED, normal = t->type[i] == LS_TOKEN_NORMAL;
        if (normal && (!any || t->score[i] < least)) least = t->score[i];
        if (normal && (!any || t->score[i] > most)) most = t->score[i];
        any |= normal;
        if (normal || user) LS_TRY(ls_trie_put(&t->trie, t->text[i], i, err));
        if (user) LS_TRY(ls_trie_put(&t->user_trie, t->text[i], i, err));
    }
    t->unk_score = least - 10.0f;
    t->max_score = most;
    return LS_OK;
}

static const ls_vocab_model models[] = {
    [LS_SP_UNIGRAM] = {.name = "unigram", .kind = LS_VOCAB_SP},
    [LS_SP_BPE] = {.name = "bpe", .kind = LS_VOCAB_SP},
    [LS_SP_WORD] = {.name = "word", .kind = LS_VOCAB_SP},
    [LS_SP_CHAR] = {.name = "char", .kind = LS_VOCAB_SP},
};

static ls_status read_file(ls_tokenizer *t, const cursor *c, ls_error *err)
{
    ls_sp *sp = t->sp;
    size_t n;
    LS_TRY(count_pieces(*c, &n, err));
    LS_TRY(allocate(t, c, n, err));
    LS_TRY(read_fields(t, *c, err));
    if (sp->model < LS_SP_UNIGRAM || sp->model > LS_SP_CHAR) {
        return fail(c, c->p, err, "the model type is none of unigram, bpe, word and char");
    }
    if (sp->charsmap.len && ls_charsmap_init(&t->charsmap, sp->charsmap)) {
        return fail(c, sp->charsmap.p, err, "the precompiled_charsmap is damaged");
    }
    t->model = &models[sp->model];
    t->bos = id_or_none(t, sp->bos);
    t->eos = id_or_none(t, sp->eos);
    t->unk = id_or_none(t, sp->unk);
    t->sep = -1;
    t->add_bos = sp->model == LS_SP_BPE; /* as the models do that have such files */
    t->byte_fallback = sp->byte_fallback;
    t->add_space_prefix = sp->dummy_prefix && !sp->space_suffix;
    ls_vocab_find_bytes(t);
    ls_vocab_mark_ends(t);
    return build_tries(t, err);
}

ls_status ls_sp_open(ls_tokenizer *t, const char *path, char *bytes, size_t len, ls_error *err)
{
    const cursor c = {path, bytes, bytes, bytes + len};
    ls_status    status = ls_alloc(&t->sp, 1, sizeof(*t->sp), "a tokenizer", err);
    if (status != LS_OK) {
        free(bytes);
        return status;
    }
    *t->sp = (ls_sp){.model = LS_SP_UNIGRAM,
                     .dummy_prefix = true,
                     .merge_spaces = true,
                     .escape_spaces = true,
                     .unk = 0,
                     .bos = 1,
                     .eos = 2,
                     .bytes = bytes};
    return read_file(t, &c, err);
}

void ls_sp_destroy(ls_sp *sp)
{
    if (!sp) return;
    free(sp->bytes);
    free(sp);
}
