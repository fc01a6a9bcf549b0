// SPDX-License-Identifier: MIT
/* maps.h - open-addressing tables: bytes to a number, a pair of numbers to two, and the words that
 * a text has had so far. Private. */
#ifndef LS_TEXT_MAPS_H
#define LS_TEXT_MAPS_H

#include "lockstep/error.h"
#include "lockstep/types.h"

/* FNV-1a, 64 bit. */
#define LS_HASH_START 0xcbf29ce484222325u
static inline uint64_t ls_hash_more(uint64_t h, ls_str s)
{
    for (size_t i = 0; i < s.len; i++) h = (h ^ (uint8_t)s.p[i]) * 0x100000001b3u;
    return h;
}

/* Bytes to a non-negative number; keys are borrowed. */
typedef struct ls_str_map {
    struct ls_str_slot {
        ls_str  key;
        int32_t value; /* -1: empty */
    } *slots;
    size_t mask, n;
} ls_str_map;

/* With room for n keys. */
ls_status ls_str_map_init(ls_str_map *m, size_t n, ls_error *err);
void      ls_str_map_fini(ls_str_map *m);
/* Within the room. Keeps the first value of a key that is put twice, and returns false then. */
bool ls_str_map_put(ls_str_map *m, ls_str key, int32_t value);
/* As put, but grows. */
ls_status ls_str_map_add(ls_str_map *m, ls_str key, int32_t value, ls_error *err);
int32_t ls_str_map_get(const ls_str_map *m, ls_str key); /* -1: absent */

/* Two numbers, not both -1, to two numbers. Grows. */
typedef struct ls_pair_slot {
    int32_t left, right; /* both -1: empty */
    int32_t value, other;
} ls_pair_slot;

typedef struct ls_pair_map {
    ls_pair_slot *slots;
    size_t        mask, n;
} ls_pair_map;

ls_status ls_pair_map_init(ls_pair_map *m, size_t n, ls_error *err);
void      ls_pair_map_fini(ls_pair_map *m);
/* Slot of a pair; one that is new gets value and other -1. Borrowed until the next put. */
ls_status ls_pair_map_put(ls_pair_map *m, int32_t left, int32_t right, ls_pair_slot **slot,
                          ls_error *err);
/* NULL: absent. */
const ls_pair_slot *ls_pair_map_get(const ls_pair_map *m, int32_t left, int32_t right);

/* Words of one text and where their ids stand in the list that is being made. A word that hashes
 * like another takes its place. */
typedef struct ls_word_slot {
    ls_str word; /* NULL: empty; borrowed */
    size_t at, n;
} ls_word_slot;

typedef struct ls_word_cache {
    ls_word_slot *slots;
    size_t        mask;
} ls_word_cache;

/* For a text of `len` bytes. */
ls_status ls_word_cache_init(ls_word_cache *c, size_t len, ls_error *err);
void      ls_word_cache_fini(ls_word_cache *c);
/* The slot for a word: it holds that word if word.p is not NULL and the texts are equal. */
ls_word_slot *ls_word_cache_slot(const ls_word_cache *c, ls_str word);

#endif
