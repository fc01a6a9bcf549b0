// SPDX-License-Identifier: MIT
/* sketch.c - a tap as a hash, three statistics and eight projections. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "lockstep/hash.h"
#include "lockstep/record.h"

struct ls_sketcher {
    ls_hash  *hash;
    ls_sketch s;
    double    squares;
    uint64_t  signs[LS_SKETCH_PROJECTIONS]; /* of the next elements, lowest bit first */
};

/* SplitMix64's output function (Steele, Lea, Flood 2014). */
static uint64_t mix(uint64_t z)
{
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

ls_status ls_sketcher_create(ls_sketcher **out, ls_error *err)
{
    ls_status status;
    LS_TRY(ls_alloc(out, 1, sizeof(**out), "a sketch", err));
    status = ls_hash_create(&(*out)->hash, LS_BLAKE3, err);
    if (status == LS_OK) return LS_OK;
    free(*out);
    *out = NULL;
    return status;
}

/* Bits of 64 elements for each projection: element i of projection k has the sign of bit i % 64 of
 * mix(8 * (i / 64) + k + 1). */
static void draw_signs(ls_sketcher *k, size_t i)
{
    for (uint64_t p = 0; p < LS_SKETCH_PROJECTIONS; p++) {
        k->signs[p] = mix((uint64_t)i / 64 * LS_SKETCH_PROJECTIONS + p + 1);
    }
}

/* At most 64 elements with signs of one draw. */
static void add_some(ls_sketcher *k, const float *x, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        double v = (double)x[i];
        if (!isfinite(x[i])) {
            k->s.n_not_finite++;
            v = 0;
        }
        k->s.sum += v;
        k->squares += v * v;
        if (fabs(v) > k->s.max_abs) k->s.max_abs = fabs(v);
        for (size_t p = 0; p < LS_SKETCH_PROJECTIONS; p++) {
            k->s.projection[p] += k->signs[p] & 1 ? -v : v;
            k->signs[p] >>= 1;
        }
    }
    k->s.n += n;
}

void ls_sketcher_add(ls_sketcher *k, const float *x, size_t n)
{
    ls_hash_update(k->hash, x, n * sizeof(*x));
    while (n > 0) {
        size_t some = 64 - k->s.n % 64;
        if (some > n) some = n;
        if (k->s.n % 64 == 0) draw_signs(k, k->s.n);
        add_some(k, x, some);
        x += some;
        n -= some;
    }
}

void ls_sketcher_finish(ls_sketcher *k, ls_sketch *out)
{
    uint8_t digest[LS_HASH_MAX];
    size_t  n = ls_hash_final(k->hash, digest);
    *out = k->s;
    out->rms = out->n ? sqrt(k->squares / (double)out->n) : 0;
    ls_hex(out->blake3, digest, n);
}

void ls_sketcher_destroy(ls_sketcher *k)
{
    if (!k) return;
    ls_hash_destroy(k->hash);
    free(k);
}
