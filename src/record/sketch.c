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
    uint64_t  signs[LS_SKETCH_PROJECTIONS]; /* of the 64 elements at work, lowest bit first */
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

/* Eight projections side by side: each is a sum in the order of the elements, and they wait for
 * nothing but themselves. Vectors of the compiler's; translated for AVX2 as well where there is
 * such a thing.
 */
typedef double   sums __attribute__((vector_size(32)));
typedef uint64_t bits __attribute__((vector_size(32)));
_Static_assert(LS_SKETCH_PROJECTIONS * sizeof(double) == 2 * sizeof(sums), "two vectors");

/* At most 64 elements with signs of one draw, whose first one is number `first`. Bit i of a
 * projection's signs becomes the sign of element i by being moved there. NaN and Inf count as 0. */
static inline __attribute__((always_inline)) void add_some_as(ls_sketcher *k, const float *x,
                                                              size_t first, size_t n)
{
    const bits zero = {0};
    double     sum = k->s.sum, squares = k->squares, max = k->s.max_abs;
    sums       s[2];
    bits       signs[2];
    memcpy(s, k->s.projection, sizeof(s));
    memcpy(signs, k->signs, sizeof(signs));
    for (size_t i = 0; i < n; i++) {
        double   v = (double)x[i], size;
        uint64_t u;
        uint32_t w;
        memcpy(&w, &x[i], sizeof(w));
        if ((w & 0x7f800000u) == 0x7f800000u) {
            k->s.n_not_finite++;
            v = 0;
        }
        size = fabs(v);
        sum += v;
        squares += v * v;
        max = size > max ? size : max;
        memcpy(&u, &v, sizeof(u));
        for (int p = 0; p < 2; p++)
            s[p] += (sums)((zero + u) ^ (signs[p] << (63 - (first + i)) & (uint64_t)1 << 63));
    }
    memcpy(k->s.projection, s, sizeof(s));
    k->s.sum = sum;
    k->squares = squares;
    k->s.max_abs = max;
    k->s.n += n;
}

typedef void add_some_fn(ls_sketcher *k, const float *x, size_t first, size_t n);

static void add_some(ls_sketcher *k, const float *x, size_t first, size_t n)
{
    add_some_as(k, x, first, n);
}

#if defined(__x86_64__)
__attribute__((target("avx2"))) static void add_some_avx2(ls_sketcher *k, const float *x,
                                                          size_t first, size_t n)
{
    add_some_as(k, x, first, n);
}
static add_some_fn *choose(void)
{
    return __builtin_cpu_supports("avx2") ? add_some_avx2 : add_some;
}
#else
static add_some_fn *choose(void) { return add_some; }
#endif

void ls_sketcher_add(ls_sketcher *k, const float *x, size_t n)
{
    add_some_fn *add = choose();
    ls_hash_update(k->hash, x, n * sizeof(*x));
    while (n > 0) {
        size_t first = k->s.n % 64, some = 64 - first;
        if (some > n) some = n;
        if (first == 0) draw_signs(k, k->s.n);
        add(k, x, first, some);
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
