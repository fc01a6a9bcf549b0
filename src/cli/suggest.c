// SPDX-License-Identifier: MIT
/* suggest.c - the word that a misspelt one was meant to be. */
#include <string.h>

#include "cli/framework.h"

#define MAX_WORD 63

/* Optimal string alignment distance: insertions, deletions, changes and swaps of neighbours. */
static size_t distance(const char *a, const char *b)
{
    size_t rows[3][MAX_WORD + 1];
    size_t na = strlen(a), nb = strlen(b);
    if (na > MAX_WORD || nb > MAX_WORD) return MAX_WORD;
    for (size_t j = 0; j <= nb; j++) rows[0][j] = j;
    for (size_t i = 1; i <= na; i++) {
        size_t *row = rows[i % 3], *prev = rows[(i + 2) % 3], *prev2 = rows[(i + 1) % 3];
        row[0] = i;
        for (size_t j = 1; j <= nb; j++) {
            size_t best = prev[j - 1] + (a[i - 1] != b[j - 1]);
            if (prev[j] + 1 < best) best = prev[j] + 1;
            if (row[j - 1] + 1 < best) best = row[j - 1] + 1;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
                prev2[j - 2] + 1 < best)
                best = prev2[j - 2] + 1;
            row[j] = best;
        }
    }
    return rows[na % 3][nb];
}

void cli_closest_offer(cli_closest *c, const char *word, const char *say)
{
    size_t d = distance(c->typed, word), len = strlen(c->typed);
    /* A word whose beginning was typed ("prompt" for "prompt-template") counts as near. */
    bool prefix = len >= 3 && strncmp(c->typed, word, len) == 0;
    if (prefix && d > 1) d = 1;
    if (d > 1 + len / 4) return;
    if (!c->best || d < c->distance) {
        c->best = say;
        c->distance = d;
    }
}
