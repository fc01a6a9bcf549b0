// SPDX-License-Identifier: MIT
/* ugm.c - SentencePiece unigrams (Kudo 2018, arXiv:1804.10959): of all ways to spell the text in
 * tokens the one whose scores have the greatest sum. Before that the text is normalized by the map
 * of characters that the vocabulary brings along (an XOR-compressed double array: Kanda 2018,
 * "Space- and Time-Efficient String Dictionaries"). */
#include <float.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "text/unicode.h"
#include "text/vocab.h"

/* Texts in the order of their bytes: those with a common beginning stand side by side. */
typedef struct entry {
    ls_str  text;
    int32_t id;
} entry;

typedef struct texts {
    entry *at;
    size_t n;
    size_t first[257]; /* where those that begin with a byte start */
} texts;

/* Texts that begin alike; how far is the caller's to know. */
typedef struct span {
    size_t low, high;
} span;

struct ls_ugm {
    texts          tokens, user_defined;
    const uint8_t *nodes; /* [n_nodes] of four bytes, little-endian */
    size_t         n_nodes;
    ls_str         replacements; /* each ends with a NUL */
    float          unknown_score;
};

static const char key_map[] = "tokenizer.ggml.precompiled_charsmap";

/* ---- texts ---- */

static int by_text(const void *a, const void *b)
{
    ls_str x = ((const entry *)a)->text, y = ((const entry *)b)->text;
    int    order = memcmp(x.p, y.p, x.len < y.len ? x.len : y.len);
    return order ? order : (x.len > y.len) - (x.len < y.len);
}

static ls_status list_texts(texts *l, const ls_tokenizer *t, unsigned types, ls_error *err)
{
    LS_TRY(ls_alloc(&l->at, (size_t)t->n_vocab, sizeof(*l->at), "the vocabulary", err));
    for (int32_t i = 0; i < t->n_vocab; i++) {
        if (types >> t->type[i] & 1) l->at[l->n++] = (entry){t->text[i], i};
    }
    qsort(l->at, l->n, sizeof(*l->at), by_text);
    for (size_t i = 0; i < l->n; i++) l->first[(uint8_t)l->at[i].text.p[0] + 1]++;
    for (size_t b = 0; b < 256; b++) l->first[b + 1] += l->first[b];
    return LS_OK;
}

/* First of a span whose byte at `depth` is `byte` or more; a text that ends there comes before. */
static size_t bound(const texts *l, span s, size_t depth, unsigned byte)
{
    while (s.low < s.high) {
        size_t mid = s.low + (s.high - s.low) / 2;
        ls_str text = l->at[mid].text;
        if (text.len <= depth || (uint8_t)text.p[depth] < byte)
            s.low = mid + 1;
        else
            s.high = mid;
    }
    return s.low;
}

/* Those texts of a span that go on with this byte. */
static span narrow(const texts *l, span s, size_t depth, uint8_t byte)
{
    if (depth == 0) return (span){l->first[byte], l->first[byte + 1]};
    s.low = bound(l, s, depth, byte);
    s.high = bound(l, s, depth, byte + 1u);
    return s;
}

/* ---- vocabulary ---- */

static uint32_t load_u32(const uint8_t *p)
{
    return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static ls_status read_map(ls_ugm *u, const ls_gguf *g, ls_error *err)
{
    const ls_gguf_kv *kv = ls_gguf_array(g, key_map, LS_GGUF_U8);
    const uint8_t    *data;
    uint32_t          n;
    if (!kv) kv = ls_gguf_array(g, key_map, LS_GGUF_I8);
    if (!kv && !ls_gguf_find(g, key_map)) return LS_OK;
    if (!kv || kv->n < 4) return ls_vocab_bad_key(g, key_map, "is no list of bytes", err);
    data = kv->data;
    n = load_u32(data);
    if (n >= kv->n - 4) return ls_vocab_bad_key(g, key_map, "is cut off", err);
    u->nodes = data + 4;
    u->n_nodes = n / 4;
    u->replacements = (ls_str){(const char *)data + 4 + n, (size_t)(kv->n - 4 - n)};
    if (u->replacements.p[u->replacements.len - 1]) {
        return ls_vocab_bad_key(g, key_map, "does not end with a NUL", err);
    }
    return LS_OK;
}

ls_status ls_ugm_init(ls_tokenizer *t, const ls_gguf *g, ls_error *err)
{
    const unsigned user = 1u << LS_TOKEN_USER_DEFINED;
    const unsigned all = user | 1u << LS_TOKEN_NORMAL | 1u << LS_TOKEN_UNUSED;
    float          least = FLT_MAX;
    LS_TRY(ls_alloc(&t->ugm, 1, sizeof(*t->ugm), "the vocabulary", err));
    LS_TRY(read_map(t->ugm, g, err));
    LS_TRY(list_texts(&t->ugm->tokens, t, all, err));
    LS_TRY(list_texts(&t->ugm->user_defined, t, user, err));
    for (int32_t i = 0; i < t->n_vocab; i++) {
        if (t->type[i] == LS_TOKEN_NORMAL && t->score[i] < least) least = t->score[i];
    }
    t->ugm->unknown_score = least - 10.0f;
    return LS_OK;
}

void ls_ugm_destroy(ls_ugm *u)
{
    if (!u) return;
    free(u->tokens.at);
    free(u->user_defined.at);
    free(u);
}

/* ---- normalizing ---- */

/* How much of the text's beginning some user-defined token begins with: the reference leaves that
 * alone, even if the token does not follow in full. */
static size_t begun_token(const texts *l, ls_str s)
{
    span   all = {0, l->n};
    size_t n = 0;
    for (; n < s.len; n++) {
        all = narrow(l, all, n, (uint8_t)s.p[n]);
        if (all.low >= all.high) break;
    }
    return n;
}

static ls_status bad_map(size_t node, ls_error *err)
{
    ls_fail(err, LS_ERR_FORMAT, "metadata key '%s' points past its end", key_map);
    ls_fail_at(err, "node %zu", node);
    return LS_ERR_FORMAT;
}

/* A node's offset to its children. */
static uint32_t offset_of(uint32_t node) { return node >> 10 << ((node & 1u << 9) >> 6); }

/* The longest beginning that the map replaces; *used is 0 if there is none. */
static ls_status replace(const ls_ugm *u, ls_str s, size_t *used, ls_str *by, ls_error *err)
{
    size_t at = u->n_nodes ? offset_of(load_u32(u->nodes)) : 0, value = 0;
    *used = 0;
    for (size_t i = 0; u->n_nodes && i < s.len && s.p[i]; i++) {
        uint8_t  byte = (uint8_t)s.p[i];
        uint32_t node;
        at ^= byte;
        if (at >= u->n_nodes) return bad_map(at, err);
        node = load_u32(u->nodes + 4 * at);
        if ((node & 0x800000ffu) != byte) break;
        at ^= offset_of(node);
        if (!(node >> 8 & 1)) continue;
        if (at >= u->n_nodes) return bad_map(at, err);
        value = load_u32(u->nodes + 4 * at) & 0x7fffffffu;
        *used = i + 1;
    }
    if (*used == 0) return LS_OK;
    if (value >= u->replacements.len) return bad_map(at, err);
    *by = (ls_str){u->replacements.p + value, strlen(u->replacements.p + value)};
    return LS_OK;
}

/* What the text's beginning becomes, and how much of it. */
static ls_status normal_form(const ls_ugm *u, ls_str s, size_t *used, ls_str *by, ls_error *err)
{
    uint32_t c;
    *used = begun_token(&u->user_defined, s);
    *by = (ls_str){s.p, *used};
    if (*used) return LS_OK;
    LS_TRY(replace(u, s, used, by, err));
    if (*used) return LS_OK;
    *used = ls_utf8_decode(s.p, s.len, &c);
    *by = *used ? (ls_str){s.p, *used} : LS_STR("\xef\xbf\xbd");
    if (*used == 0) *used = 1;
    return LS_OK;
}

typedef struct buffer {
    char  *p;
    size_t n, cap;
    bool   in_word, spaced; /* spaced: the space before the text has been put */
} buffer;

static ls_status put(buffer *b, ls_str s, ls_error *err)
{
    LS_TRY(ls_grow(&b->p, &b->cap, b->n + s.len, 1, "a tokenizer", err));
    memcpy(b->p + b->n, s.p, s.len);
    b->n += s.len;
    return LS_OK;
}

static ls_status put_char(const ls_tokenizer *t, buffer *b, const char *c, ls_error *err)
{
    const ls_str space = LS_STR("\xe2\x96\x81");
    if (*c == ' ') {
        b->in_word = false;
        return t->merge_spaces ? LS_OK : put(b, space, err);
    }
    if (!b->in_word && (t->merge_spaces || (t->add_space_prefix && !b->spaced))) {
        LS_TRY(put(b, space, err));
        b->spaced = true;
    }
    b->in_word = true;
    return put(b, (ls_str){c, 1}, err);
}

static ls_status normalize(const ls_tokenizer *t, ls_str text, buffer *b, ls_error *err)
{
    for (size_t i = 0, used; i < text.len; i += used) {
        ls_str by;
        LS_TRY(normal_form(t->ugm, (ls_str){text.p + i, text.len - i}, &used, &by, err));
        for (size_t k = 0; k < by.len; k++) LS_TRY(put_char(t, b, by.p + k, err));
    }
    return LS_OK;
}

/* ---- the best path ---- */

typedef struct step {
    double  sum; /* of the scores up to here */
    size_t  from;
    int32_t id;
} step;

static void offer(step *to, double sum, size_t from, int32_t id)
{
    if (sum > to->sum) *to = (step){sum, from, id};
}

/* Every token that starts at `from`; where none is just the character of `len` bytes, the unknown
 * token is, at a price. */
static void go_on(const ls_tokenizer *t, ls_str s, size_t from, size_t len, step *steps)
{
    const texts *l = &t->ugm->tokens;
    span         all = {0, l->n};
    bool         whole = false;
    for (size_t n = 0; from + n < s.len; n++) {
        const entry *e;
        double       score;
        all = narrow(l, all, n, (uint8_t)s.p[from + n]);
        if (all.low >= all.high) break;
        e = &l->at[all.low];
        if (e->text.len != n + 1) continue;
        if (n + 1 == len) whole = true;
        score = t->type[e->id] == LS_TOKEN_USER_DEFINED ? 0.0 : (double)t->score[e->id];
        offer(&steps[from + n + 1], steps[from].sum + score, from, e->id);
    }
    if (whole) return;
    offer(&steps[from + len], steps[from].sum + (double)t->ugm->unknown_score, from, t->unk);
}

/* Ids of the path that ends at the end; neighbouring unknown tokens become one. */
static ls_status follow(const ls_tokenizer *t, const step *steps, size_t n, ls_ids *out,
                        ls_error *err)
{
    size_t low = out->n, high;
    bool   after_unknown = false;
    for (size_t at = n; at > 0; at = steps[at].from) {
        bool unknown = steps[at].id == t->unk;
        if (steps[at].id >= 0 && !(unknown && after_unknown)) {
            LS_TRY(ls_ids_push(out, steps[at].id, err));
        }
        after_unknown = unknown;
    }
    for (high = out->n; low + 1 < high; low++) {
        int32_t id = out->at[low];
        out->at[low] = out->at[--high];
        out->at[high] = id;
    }
    return LS_OK;
}

static ls_status spell(const ls_tokenizer *t, ls_str s, ls_ids *out, ls_error *err)
{
    step     *steps;
    ls_status status;
    if (s.len == 0) return LS_OK;
    LS_TRY(ls_alloc(&steps, s.len + 1, sizeof(*steps), "a tokenizer", err));
    for (size_t i = 0; i <= s.len; i++) steps[i] = (step){i ? -DBL_MAX : 0, 0, t->unk};
    for (size_t i = 0; i < s.len;) {
        size_t len = ls_utf8_len(s.p[i]);
        if (len > s.len - i) len = s.len - i;
        go_on(t, s, i, len, steps);
        i += len;
    }
    status = follow(t, steps, s.len, out, err);
    free(steps);
    return status;
}

ls_status ls_ugm_encode(const ls_tokenizer *t, ls_str text, ls_ids *out, ls_error *err)
{
    buffer    b = {0};
    ls_status status = normalize(t, text, &b, err);
    if (status == LS_OK) status = spell(t, (ls_str){b.p, b.n}, out, err);
    free(b.p);
    return status;
}
