// SPDX-License-Identifier: MIT
/* trie.c - see trie.h. */
#include "text/trie.h"

ls_status ls_trie_init(ls_trie *t, ls_error *err)
{
    t->n_nodes = 1;
    return ls_pair_map_init(&t->next, 1024, err);
}

void ls_trie_fini(ls_trie *t) { ls_pair_map_fini(&t->next); }

ls_status ls_trie_put(ls_trie *t, ls_str text, int32_t value, ls_error *err)
{
    int32_t node = 0;
    for (size_t i = 0; i < text.len; i++) {
        ls_pair_slot *slot;
        LS_TRY(ls_pair_map_put(&t->next, node, (uint8_t)text.p[i], &slot, err));
        if (slot->value < 0) {
            if (t->n_nodes == INT32_MAX) {
                return ls_fail(err, LS_ERR_LIMIT, "the vocabulary is too large");
            }
            slot->value = t->n_nodes++;
        }
        if (i + 1 == text.len) slot->other = value;
        node = slot->value;
    }
    return LS_OK;
}
