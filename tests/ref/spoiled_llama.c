// SPDX-License-Identifier: MIT
/* spoiled_llama.c - the real llama.cpp, reporting wrong logits: linked between adapters/ref_main.c
 * and adapters/ref_llama.c (whose functions are renamed with -Dref_row=true_row and the like), so
 * that everything but the one value is what a sound reference sends. LS_SPOIL=POSITION:KIND in the
 * environment; KIND: flip (the best and the second best token change places), nan, inf, bit (one
 * bit of one logit). Or LS_SPOIL=hide:NODE[:LAYER]: a node of the graph is not shown. */
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ref_engine.h"

const float *true_row(size_t i);
const float *ref_row(size_t i);

static float  *copy;
static int32_t n_vocab, n_done, n_last;

/* ref_llama.c's functions, under the names that -D gives them there. */
uint32_t true_open(const char *path, const ls_ref_open *opt, ls_ref_opened *out);
uint32_t true_eval(const int32_t *ids, size_t n, ls_ref_evaluated *out);
uint32_t true_reset(uint32_t n_keep);

uint32_t ref_open(const char *path, const ls_ref_open *opt, ls_ref_opened *out)
{
    uint32_t status = true_open(path, opt, out);
    n_vocab = out->n_vocab;
    copy = malloc((size_t)n_vocab * sizeof(*copy));
    return copy ? status : LS_REF_FAILED;
}

uint32_t ref_eval(const int32_t *ids, size_t n, ls_ref_evaluated *out)
{
    n_done += n_last;
    n_last = (int32_t)n;
    return true_eval(ids, n, out);
}

uint32_t ref_reset(uint32_t n_keep)
{
    n_done = (int32_t)n_keep;
    n_last = 0;
    return true_reset(n_keep);
}

/* ref_main.c's, which ref_llama.c would call. */
int ref_tap(const ls_ref_tap *tap, float *data);
int spoiled_tap(const ls_ref_tap *tap, float *data);
int spoiled_tap(const ls_ref_tap *tap, float *data)
{
    const char *spoil = getenv("LS_SPOIL"), *name, *layer;
    if (!spoil || strncmp(spoil, "hide:", 5) != 0) return ref_tap(tap, data);
    name = spoil + 5;
    layer = strchr(name, ':');
    if (strlen(tap->name) != (layer ? (size_t)(layer - name) : strlen(name)) ||
        strncmp(tap->name, name, strlen(tap->name)) != 0 ||
        (layer && atoi(layer + 1) != tap->layer))
        return ref_tap(tap, data);
    return REF_TAP_KEPT;
}

static int32_t best_but(int32_t other)
{
    int32_t top = -1;
    for (int32_t j = 0; j < n_vocab; j++) {
        if (j != other && (top < 0 || copy[j] > copy[top])) top = j;
    }
    return top;
}

const float *ref_row(size_t i)
{
    const char *spoil = getenv("LS_SPOIL"), *kind = spoil ? strchr(spoil, ':') : NULL;
    int32_t     top, second;
    memcpy(copy, true_row(i), (size_t)n_vocab * sizeof(*copy));
    if (!kind || atoi(spoil) != n_done + (int32_t)i) return copy;
    top = best_but(-1);
    second = best_but(top);
    if (strcmp(kind, ":nan") == 0) copy[n_vocab / 3] = NAN;
    if (strcmp(kind, ":inf") == 0) copy[n_vocab / 3] = INFINITY;
    if (strcmp(kind, ":bit") == 0) { /* the lowest bit of the exponent: twice or half the value */
        uint32_t u;
        memcpy(&u, &copy[top], 4);
        u ^= 1u << 23;
        memcpy(&copy[top], &u, 4);
    }
    if (strcmp(kind, ":flip") == 0) {
        float best = copy[top];
        copy[top] = copy[second];
        copy[second] = best;
    }
    return copy;
}
