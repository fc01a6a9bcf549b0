// SPDX-License-Identifier: MIT
/* maps.c - see maps.h. A third of the slots stays empty at least, so that every probe ends. */
#include "text/maps.h"

#include <stdlib.h>

#include "base/mem.h"

static size_t mix(uint64_t h) { return (size_t)(h ^ h >> 32); }

/* Slots for n entries: a power of two. */
static size_t slots_for(size_t n)
{
    size_t cap = 16;
    while (cap - cap / 3 < n && cap <= SIZE_MAX / 4) cap *= 2;
    return cap;
}

/* ---- bytes ---- */

ls_status ls_str_map_init(ls_str_map *m, size_t n, ls_error *err)
{
    size_t cap = slots_for(n);
    LS_TRY(ls_alloc(&m->slots, cap, sizeof(*m->slots), "the vocabulary", err));
    for (size_t i = 0; i < cap; i++) m->slots[i].value = -1;
    m->mask = cap - 1;
    m->n = 0;
    return LS_OK;
}

void ls_str_map_fini(ls_str_map *m)
{
    free(m->slots);
    *m = (ls_str_map){0};
}

bool ls_str_map_put(ls_str_map *m, ls_str key, int32_t value)
{
    size_t i = mix(ls_hash_more(LS_HASH_START, key)) & m->mask;
    for (; m->slots[i].value >= 0; i = (i + 1) & m->mask) {
        if (ls_str_eq(m->slots[i].key, key)) return false;
    }
    m->slots[i].key = key;
    m->slots[i].value = value;
    m->n++;
    return true;
}

ls_status ls_str_map_add(ls_str_map *m, ls_str key, int32_t value, ls_error *err)
{
    if (m->n + 1 > m->mask + 1 - (m->mask + 1) / 3) {
        ls_str_map next;
        LS_TRY(ls_str_map_init(&next, m->mask + 1, err));
        for (size_t i = 0; i <= m->mask; i++) {
            if (m->slots[i].value >= 0) ls_str_map_put(&next, m->slots[i].key, m->slots[i].value);
        }
        free(m->slots);
        *m = next;
    }
    ls_str_map_put(m, key, value);
    return LS_OK;
}

int32_t ls_str_map_get(const ls_str_map *m, ls_str key)
{
    size_t i = mix(ls_hash_more(LS_HASH_START, key)) & m->mask;
    for (; m->slots[i].value >= 0; i = (i + 1) & m->mask) {
        if (ls_str_eq(m->slots[i].key, key)) return m->slots[i].value;
    }
    return -1;
}

/* ---- pairs ---- */

static size_t hash_pair(int32_t left, int32_t right)
{
    uint64_t h = (uint64_t)(uint32_t)left << 32 | (uint32_t)right;
    h *= 0x9e3779b97f4a7c15u; /* Fibonacci hashing: the high half is well mixed */
    return (size_t)(h >> 32 ^ h >> 12);
}

static ls_pair_slot *find_pair(const ls_pair_map *m, int32_t left, int32_t right)
{
    size_t        i = hash_pair(left, right) & m->mask;
    ls_pair_slot *s = &m->slots[i];
    while ((s->left != left || s->right != right) && (s->left != -1 || s->right != -1)) {
        i = (i + 1) & m->mask;
        s = &m->slots[i];
    }
    return s;
}

ls_status ls_pair_map_init(ls_pair_map *m, size_t n, ls_error *err)
{
    size_t cap = slots_for(n);
    LS_TRY(ls_alloc(&m->slots, cap, sizeof(*m->slots), "the vocabulary", err));
    for (size_t i = 0; i < cap; i++) m->slots[i] = (ls_pair_slot){-1, -1, -1, -1};
    m->mask = cap - 1;
    m->n = 0;
    return LS_OK;
}

void ls_pair_map_fini(ls_pair_map *m)
{
    free(m->slots);
    *m = (ls_pair_map){0};
}

static ls_status double_pairs(ls_pair_map *m, ls_error *err)
{
    ls_pair_map next;
    LS_TRY(ls_pair_map_init(&next, m->mask + 1, err));
    for (size_t i = 0; i <= m->mask; i++) {
        const ls_pair_slot *s = &m->slots[i];
        if (s->left != -1 || s->right != -1) *find_pair(&next, s->left, s->right) = *s;
    }
    next.n = m->n;
    free(m->slots);
    *m = next;
    return LS_OK;
}

ls_status ls_pair_map_put(ls_pair_map *m, int32_t left, int32_t right, ls_pair_slot **slot,
                          ls_error *err)
{
    *slot = find_pair(m, left, right);
    if ((*slot)->left != -1 || (*slot)->right != -1) return LS_OK;
    if (m->n + 1 > m->mask + 1 - (m->mask + 1) / 3) {
        LS_TRY(double_pairs(m, err));
        *slot = find_pair(m, left, right);
    }
    m->n++;
    **slot = (ls_pair_slot){left, right, -1, -1};
    return LS_OK;
}

const ls_pair_slot *ls_pair_map_get(const ls_pair_map *m, int32_t left, int32_t right)
{
    const ls_pair_slot *s = find_pair(m, left, right);
    return s->left == -1 && s->right == -1 ? NULL : s;
}

/* ---- words ---- */

ls_status ls_word_cache_init(ls_word_cache *c, size_t len, ls_error *err)
{
    size_t cap = 16;
    while (cap < len / 16 && cap < 16384) cap *= 2;
    LS_TRY(ls_alloc(&c->slots, cap, sizeof(*c->slots), "a tokenizer", err));
    c->mask = cap - 1;
    return LS_OK;
}

void ls_word_cache_fini(ls_word_cache *c)
{
    free(c->slots);
    *c = (ls_word_cache){0};
}

ls_word_slot *ls_word_cache_slot(const ls_word_cache *c, ls_str word)
{
    return &c->slots[mix(ls_hash_more(LS_HASH_START, word)) & c->mask];
}
