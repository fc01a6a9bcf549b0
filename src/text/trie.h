// SPDX-License-Identifier: MIT
/* trie.h - all texts of a set that a text begins with. Private. */
#ifndef LS_TEXT_TRIE_H
#define LS_TEXT_TRIE_H

#include "text/maps.h"

/* Nodes are numbered from 1, the root is 0. Of a pair (node, byte) the map holds the next node and
 * the value of the text that ends there, -1 for none. */
typedef struct ls_trie {
    ls_pair_map next;
    int32_t     n_nodes;
} ls_trie;

ls_status ls_trie_init(ls_trie *t, ls_error *err);
void      ls_trie_fini(ls_trie *t);
/* Errors: NOMEM, LIMIT. A text that is put again keeps its newest value. */
ls_status ls_trie_put(ls_trie *t, ls_str text, int32_t value, ls_error *err);
/* One byte further from *node. False: no text goes on so. *value: see above. */
static inline bool ls_trie_step(const ls_trie *t, int32_t *node, char byte, int32_t *value)
{
    const ls_pair_slot *s = t->next.slots ? ls_pair_map_get(&t->next, *node, (uint8_t)byte) : NULL;
    if (!s) return false;
    *node = s->value;
    *value = s->other;
    return true;
}

#endif
