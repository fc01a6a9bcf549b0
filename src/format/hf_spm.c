// SPDX-License-Identifier: MIT
/* hf_spm.c - tokenizer.model, SentencePiece's protobuf, to tokenizer.ggml.*.
 *
 * Read are the pieces (field 1: text, score, type), of the trainer's fields the kind of model, and
 * of the normalizer's its table, whether a space is put in front and whether several become one.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cursor.h"
#include "base/map.h"
#include "format/hf_vocab.h"

enum { MAX_PIECES = 1 << 24, UNIGRAM = 1 };
enum { VARINT = 0, FIXED64 = 1, BYTES = 2, FIXED32 = 5 };

typedef struct field {
    uint64_t  number, varint;
    int       wire;
    ls_cursor bytes; /* of BYTES */
    uint32_t  bits;  /* of FIXED32 */
} field;

typedef struct spm {
    ls_hf      *hf;
    const char *path;
    ls_map      map;
    ls_hf_vocab v;
    size_t      n;      /* pieces seen */
    uint64_t    kind;   /* 1 unigram, 2 BPE */
    bool        prefix; /* a space in front of every text */
    bool        merge;  /* several spaces are one */
    ls_cursor   table;  /* of the normalizer */
} spm;

static ls_status broken(const spm *s, const uint8_t *at, const char *what)
{
    ls_fail(s->hf->err, LS_ERR_FORMAT, "%s", what);
    ls_fail_at(s->hf->err, "%s: byte %zu", s->path, (size_t)(at - s->map.data));
    return LS_ERR_FORMAT;
}

static bool read_varint(ls_cursor *c, uint64_t *out)
{
    *out = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        const uint8_t *p = ls_cursor_take(c, 1);
        if (!p) return false;
        *out |= (uint64_t)(*p & 0x7f) << shift;
        if (!(*p & 0x80)) return true;
    }
    return false;
}

/* The next field; LS_OK with number 0 at the end. */
static ls_status next_field(const spm *s, ls_cursor *c, field *f)
{
    const uint8_t *at = c->data + c->off;
    uint64_t       tag, n = 0;
    *f = (field){0};
    if (c->off == c->size) return LS_OK;
    if (!read_varint(c, &tag)) return broken(s, at, "the vocabulary ends inside a field");
    f->number = tag >> 3;
    f->wire = (int)(tag & 7);
    if (f->number == 0) return broken(s, at, "the vocabulary has a field without a number");
    if (f->wire == VARINT    ? !read_varint(c, &f->varint)
        : f->wire == FIXED64 ? !ls_cursor_take(c, 8)
        : f->wire == FIXED32 ? !ls_cursor_u32(c, &f->bits)
        : f->wire == BYTES   ? !read_varint(c, &n)
                             : true) {
        return broken(s, at, "the vocabulary has a field that is cut or of an unknown kind");
    }
    if (f->wire == BYTES) {
        f->bytes = (ls_cursor){ls_cursor_take(c, n), (size_t)n, 0};
        if (!f->bytes.data) return broken(s, at, "a field of the vocabulary is longer than it");
    }
    return LS_OK;
}

static ls_status read_piece(spm *s, ls_cursor c)
{
    ls_hf  *hf = s->hf;
    size_t  i = s->n++;
    int32_t type = LS_HF_NORMAL;
    float   score = 0;
    field   f;
    ls_str  text = {"", 0};
    do {
        LS_TRY(next_field(s, &c, &f));
        if (f.number == 1 && f.wire == BYTES)
            text = (ls_str){(const char *)f.bytes.data, f.bytes.size};
        if (f.number == 2 && f.wire == FIXED32) memcpy(&score, &f.bits, 4);
        if (f.number == 3 && f.wire == VARINT)
            type = f.varint <= LS_HF_BYTE ? (int32_t)f.varint : 0;
    } while (f.number);
    if (!s->v.text || i >= s->v.n) return LS_OK; /* counting, or past config.json's vocabulary */
    if (type < LS_HF_NORMAL)
        return broken(s, c.data, "a piece of the vocabulary has no known type");
    s->v.score[i] = score;
    s->v.type[i] = type == LS_HF_USER ? LS_HF_NORMAL : type;
    return ls_arena_str(&hf->g->mem, &s->v.text[i], text.p, text.len, hf->err);
}

static ls_status read_spec(spm *s, ls_cursor c, bool normalizer)
{
    field f;
    do {
        LS_TRY(next_field(s, &c, &f));
        if (!normalizer && f.number == 3 && f.wire == VARINT) s->kind = f.varint;
        if (normalizer && f.number == 2 && f.wire == BYTES) s->table = f.bytes;
        if (normalizer && f.number == 3 && f.wire == VARINT) s->prefix = f.varint != 0;
        if (normalizer && f.number == 4 && f.wire == VARINT) s->merge = f.varint != 0;
    } while (f.number);
    return LS_OK;
}

static ls_status read_pass(spm *s)
{
    ls_cursor c = {s->map.data, s->map.size, 0};
    field     f;
    s->n = 0;
    do {
        LS_TRY(next_field(s, &c, &f));
        if (f.wire != BYTES) continue;
        if (f.number == 1) LS_TRY(read_piece(s, f.bytes));
        if (f.number == 2 || f.number == 3) LS_TRY(read_spec(s, f.bytes, f.number == 3));
        if (s->n > MAX_PIECES) return broken(s, c.data + c.off, "there are too many pieces");
    } while (f.number);
    return LS_OK;
}

static ls_status read_all(spm *s)
{
    ls_hf        *hf = s->hf;
    const json_t *prefix = json_object_get(hf->tokenizer_config.root, "add_prefix_space");
    s->kind = UNIGRAM;
    s->prefix = s->merge = true;
    LS_TRY(read_pass(s));
    if (s->n == 0) return broken(s, s->map.data, "the vocabulary has no pieces");
    LS_TRY(ls_hf_vocab_init(hf, &s->v, hf->n_vocab ? (size_t)hf->n_vocab : s->n, true));
    LS_TRY(read_pass(s));
    LS_TRY(ls_hf_add_tokens(hf, &s->v));
    if (json_is_boolean(prefix)) s->prefix = json_is_true(prefix);
    LS_TRY(ls_meta_bool(&hf->meta, "tokenizer.ggml.add_space_prefix", s->prefix, hf->err));
    if (s->kind == UNIGRAM) {
        LS_TRY(
            ls_meta_bool(&hf->meta, "tokenizer.ggml.remove_extra_whitespaces", s->merge, hf->err));
    }
    if (s->kind == UNIGRAM && s->table.size) {
        LS_TRY(ls_meta_array(&hf->meta, "tokenizer.ggml.precompiled_charsmap", LS_GGUF_U8,
                             s->table.data, s->table.size, hf->err));
    }
    return ls_hf_vocab_write(hf, &s->v, s->kind == UNIGRAM ? "t5" : "llama", LS_STR("default"));
}

ls_status ls_hf_read_spm(ls_hf *hf, bool *found)
{
    char      path[4096];
    spm       s = {.hf = hf, .path = path};
    ls_status status;
    int       n = snprintf(path, sizeof(path), "%stokenizer.model", hf->folder);
    *found = false;
    if (n < 0 || (size_t)n >= sizeof(path) || access(path, F_OK) != 0) return LS_OK;
    LS_TRY(ls_map_open(&s.map, path, hf->err));
    /* Other programs give this name to other files; those start with text. */
    *found = s.map.size > 2 && s.map.data[0] == 0x0a;
    status = *found ? read_all(&s) : LS_OK;
    ls_map_close(&s.map);
    return status;
}
