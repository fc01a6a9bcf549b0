// SPDX-License-Identifier: MIT
/* shrink.c - the shortest sequence of ids that still passes a test.
 *
 * "ddmin" of Zeller and Hildebrandt, Simplifying and Isolating Failure-Inducing Input (2002): cut
 * what is left into parts; if a part alone passes, go on with it; if the rest without a part does,
 * go on with that; else cut finer, down to single ids. Sequences that were tried are not tried
 * again.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "lockstep/hash.h"
#include "lockstep/record.h"

enum { MAX_TESTS = 1000 };

typedef struct tried {
    uint8_t digest[LS_HASH_MAX];
} tried;

typedef struct search {
    const ls_shrink_options *opt;
    ls_shrunk               *out;
    int32_t                 *ids;  /* [n] what is left       */
    int32_t                 *some; /* [n] what is being tried */
    size_t                   n, max_tests;
    tried                   *failed;
    size_t                   n_failed, cap;
} search;

static ls_status digest_of(const search *s, size_t n, tried *t, ls_error *err)
{
    ls_hash *h;
    LS_TRY(ls_hash_create(&h, LS_SHA256, err));
    memset(t, 0, sizeof(*t));
    ls_hash_update(h, s->some, n * sizeof(*s->some));
    ls_hash_final(h, t->digest);
    ls_hash_destroy(h);
    return LS_OK;
}

/* Test the n ids in s->some; if they pass they are what is left. */
static ls_status try_some(search *s, size_t n, bool *passed, ls_error *err)
{
    tried t;
    *passed = false;
    if (n == 0 || n == s->n || s->out->n_tests >= s->max_tests) return LS_OK;
    LS_TRY(digest_of(s, n, &t, err));
    for (size_t i = 0; i < s->n_failed; i++) {
        if (memcmp(&s->failed[i], &t, sizeof(t)) == 0) return LS_OK;
    }
    LS_TRY(s->opt->test(s->opt->ctx, s->some, n, passed, err));
    s->out->n_tests++;
    if (s->opt->progress) s->opt->progress(s->opt->progress_ctx, s->out->n_tests, s->max_tests);
    if (*passed) {
        memcpy(s->ids, s->some, n * sizeof(*s->ids));
        s->n = n;
        return LS_OK;
    }
    LS_TRY(ls_grow(&s->failed, &s->cap, s->n_failed + 1, sizeof(*s->failed), "the tests", err));
    s->failed[s->n_failed++] = t;
    return LS_OK;
}

/* Part i of n_parts: ids [from, to). */
static void part(const search *s, size_t i, size_t n_parts, size_t *from, size_t *to)
{
    *from = s->n * i / n_parts;
    *to = s->n * (i + 1) / n_parts;
}

static ls_status try_parts(search *s, size_t n_parts, bool *passed, ls_error *err)
{
    *passed = false;
    for (size_t i = 0; !*passed && i < n_parts; i++) {
        size_t from, to;
        part(s, i, n_parts, &from, &to);
        memcpy(s->some, s->ids + from, (to - from) * sizeof(*s->ids));
        LS_TRY(try_some(s, to - from, passed, err));
    }
    return LS_OK;
}

static ls_status try_rests(search *s, size_t n_parts, bool *passed, ls_error *err)
{
    *passed = false;
    for (size_t i = n_parts; !*passed && i-- > 0;) { /* ends first: beginnings are seldom idle */
        size_t from, to;
        part(s, i, n_parts, &from, &to);
        memcpy(s->some, s->ids, from * sizeof(*s->ids));
        memcpy(s->some + from, s->ids + to, (s->n - to) * sizeof(*s->ids));
        LS_TRY(try_some(s, s->n - (to - from), passed, err));
    }
    return LS_OK;
}

static ls_status search_all(search *s, ls_error *err)
{
    size_t n_parts = 2;
    while (s->n > 1 && s->out->n_tests < s->max_tests) {
        bool passed;
        LS_TRY(try_parts(s, n_parts, &passed, err));
        if (passed) {
            n_parts = 2;
        } else {
            LS_TRY(try_rests(s, n_parts, &passed, err));
            if (passed)
                n_parts = n_parts > 2 ? n_parts - 1 : 2;
            else if (n_parts >= s->n)
                break;
            else
                n_parts = 2 * n_parts;
        }
        if (n_parts > s->n) n_parts = s->n;
    }
    return LS_OK;
}

ls_status ls_shrink(int32_t *ids, size_t n, const ls_shrink_options *opt, ls_shrunk *out,
                    ls_error *err)
{
    search    s = {.opt = opt, .out = out, .ids = ids, .n = n};
    ls_status status;
    *out = (ls_shrunk){.n = n};
    s.max_tests = opt->max_tests ? opt->max_tests : MAX_TESTS;
    LS_TRY(ls_alloc(&s.some, n, sizeof(*s.some), "the ids", err));
    status = search_all(&s, err);
    out->n = s.n;
    out->minimal = status == LS_OK && (s.n <= 1 || out->n_tests < s.max_tests);
    free(s.some);
    free(s.failed);
    return status;
}
