// SPDX-License-Identifier: MIT
/* fingerprint.c - logits as hashes: two runs of one engine have the same bits or they have not. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "lockstep/hash.h"
#include "verify/verify_priv.h"

static ls_status hash_row(ls_fingerprint *f, size_t pos, const float *row, ls_hash *all,
                          ls_error *err)
{
    size_t   bytes = f->n_vocab * sizeof(*row);
    uint8_t  digest[LS_HASH_MAX];
    ls_hash *h;
    LS_TRY(ls_hash_create(&h, LS_SHA256, err));
    ls_hash_update(h, row, bytes);
    ls_hash_final(h, digest);
    ls_hash_destroy(h);
    memcpy(f->rows + pos * LS_FINGERPRINT_BYTES, digest, LS_FINGERPRINT_BYTES);
    ls_hash_update(all, row, bytes);
    for (size_t i = 0; i < f->n_vocab && f->finite; i++) f->finite = isfinite(row[i]);
    return LS_OK;
}

static ls_status hash_rows(ls_fingerprint *f, ls_engine *e, const int32_t *ids, size_t n,
                           size_t n_batch, const volatile int *cancelled, ls_hash *all,
                           ls_error *err)
{
    const float *row;
    for (size_t k = 0; f->n < n; f->n += k) {
        k = n - f->n < n_batch ? n - f->n : n_batch;
        if (cancelled && *cancelled) return ls_fail(err, LS_ERR_CANCELLED, "interrupted");
        LS_TRY(ls_engine_eval(e, ids + f->n, k, err));
        for (size_t i = 0; i < k; i++) {
            LS_TRY(ls_engine_logits(e, i, &row, err));
            if (!row) return ls_fail(err, LS_ERR_INTERNAL, "an engine gave no row of logits");
            LS_TRY(hash_row(f, f->n + i, row, all, err));
        }
    }
    return LS_OK;
}

ls_status ls_fingerprint_run(ls_fingerprint *out, ls_engine *e, const int32_t *ids, size_t n,
                             size_t n_batch, const volatile int *cancelled, ls_error *err)
{
    const ls_engine_info *info = ls_engine_get_info(e);
    ls_hash              *all;
    uint8_t               digest[LS_HASH_MAX];
    ls_status             status;
    *out = (ls_fingerprint){.n_vocab = (size_t)info->n_vocab, .finite = true};
    if (n == 0 || n > INT32_MAX || n_batch == 0)
        return ls_fail(err, LS_ERR_USAGE, "a fingerprint of %zu tokens in batches of %zu", n,
                       n_batch);
    if (info->n_batch > 0 && n_batch > (size_t)info->n_batch) n_batch = (size_t)info->n_batch;
    LS_TRY(ls_alloc(&out->rows, n, LS_FINGERPRINT_BYTES, "the hashes of the logits", err));
    LS_TRY(ls_hash_create(&all, LS_SHA256, err));
    status = hash_rows(out, e, ids, n, n_batch, cancelled, all, err);
    ls_hash_final(all, digest);
    ls_hash_destroy(all);
    memcpy(out->all, digest, LS_FINGERPRINT_BYTES);
    return status;
}

int32_t ls_fingerprint_compare(const ls_fingerprint *a, const ls_fingerprint *b)
{
    size_t n = a->n < b->n ? a->n : b->n;
    if (a->n_vocab != b->n_vocab) return 0;
    for (size_t i = 0; i < n; i++)
        if (memcmp(a->rows + i * LS_FINGERPRINT_BYTES, b->rows + i * LS_FINGERPRINT_BYTES,
                   LS_FINGERPRINT_BYTES) != 0)
            return (int32_t)i;
    return a->n == b->n ? -1 : (int32_t)n;
}

void ls_fingerprint_fini(ls_fingerprint *f)
{
    if (!f) return;
    free(f->rows);
    *f = (ls_fingerprint){0};
}
