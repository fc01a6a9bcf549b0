// SPDX-License-Identifier: MIT
/* vocab.c - look-ups by text: an open-addressing hash table over borrowed strings. Half of its
 * slots stay empty, so that every probe ends. */
#include "text/vocab.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* FNV-1a, 64 bit, over the bytes of several pieces. */
static uint64_t hash_more(uint64_t h, ls_str s)
{
    for (size_t i = 0; i < s.len; i++) h = (h ^ (uint8_t)s.p[i]) * 0x100000001b3u;
    return h;
}
#define HASH_START 0xcbf29ce484222325u

static size_t slot_of(const ls_str_map *m, uint64_t h) { return (size_t)(h ^ h >> 32) & m->mask; }

ls_status ls_str_map_init(ls_str_map *m, size_t n, ls_error *err)
{
    size_t cap = 16;
    while (cap < 2 * n) cap *= 2;
    LS_TRY(ls_alloc(&m->slots, cap, sizeof(*m->slots), "the vocabulary", err));
    for (size_t i = 0; i < cap; i++) m->slots[i].value = -1;
    m->mask = cap - 1;
    return LS_OK;
}

void ls_str_map_fini(ls_str_map *m)
{
    free(m->slots);
    *m = (ls_str_map){0};
}

bool ls_str_map_put(ls_str_map *m, ls_str key, int32_t value)
{
    size_t i = slot_of(m, hash_more(HASH_START, key));
    for (; m->slots[i].value >= 0; i = (i + 1) & m->mask) {
        if (ls_str_eq(m->slots[i].key, key)) return false;
    }
    m->slots[i].key = key;
    m->slots[i].value = value;
    return true;
}

int32_t ls_str_map_get(const ls_str_map *m, ls_str key)
{
    size_t i = slot_of(m, hash_more(HASH_START, key));
    for (; m->slots[i].value >= 0; i = (i + 1) & m->mask) {
        if (ls_str_eq(m->slots[i].key, key)) return m->slots[i].value;
    }
    return -1;
}

static bool is_pair(ls_str key, ls_str a, ls_str b)
{
    return key.len == a.len + 1 + b.len && key.p[a.len] == ' ' && !memcmp(key.p, a.p, a.len) &&
           !memcmp(key.p + a.len + 1, b.p, b.len);
}

int32_t ls_str_map_get_pair(const ls_str_map *m, ls_str a, ls_str b)
{
    size_t i = slot_of(m, hash_more(hash_more(hash_more(HASH_START, a), LS_STR(" ")), b));
    for (; m->slots[i].value >= 0; i = (i + 1) & m->mask) {
        if (is_pair(m->slots[i].key, a, b)) return m->slots[i].value;
    }
    return -1;
}

ls_status ls_ids_push(ls_ids *ids, int32_t id, ls_error *err)
{
    LS_TRY(ls_grow(&ids->at, &ids->cap, ids->n + 1, sizeof(*ids->at), "token ids", err));
    ids->at[ids->n++] = id;
    return LS_OK;
}
