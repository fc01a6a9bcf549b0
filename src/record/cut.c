// SPDX-License-Identifier: MIT
/* cut.c - how a prompt is cut into evaluations, so that the taps of one of them stay small.
 *
 * Attention scores have heads x tokens x positions values in each layer: of a long prompt in one
 * evaluation they do not fit anywhere. Evaluating in pieces is the simplest way out (the KV cache
 * carries on, all engines cut alike, and what is held, sent or computed at once shrinks together),
 * and it changes no result: every row depends on its own token and the cache alone, but for the
 * few rules of NUMERICS.md, clause 9, which know one token, fewer than eight, and the last T mod 4
 * of a batch. Pieces that end where the batches of a run without taps end, are a multiple of 8
 * long, and never leave a rest shorter than 8 keep all of these as they were. (One rule alone
 * counts the tokens of a batch that chose an expert: IQ types in mixtures; a piece may have fewer
 * than 8 of them. Both engines follow it, so that it makes no difference between them.)
 */
#include "lockstep/record.h"

enum { MULTIPLE = 8, LONGEST = 512 };

size_t ls_cut_next(ls_cut cut, size_t n, size_t done)
{
    size_t batch = cut.batch ? cut.batch : n, left = batch - done % batch;
    if (left > n - done) left = n - done;
    return cut.piece && left >= cut.piece + MULTIPLE ? cut.piece : left;
}

size_t ls_cut_longest(ls_cut cut, size_t n)
{
    size_t longest = 0, k;
    for (size_t done = 0; done < n; done += k) {
        k = ls_cut_next(cut, n, done);
        if (k > longest) longest = k;
    }
    return longest;
}

/* Bytes for each token of an evaluation that sees n_positions: taps of a layer as the reference
 * shows them, what they pass through on their way, and activations of two engines. Floating point,
 * for the numbers come from a file. */
static double bytes_per_token(const ls_model_config *c, size_t n_positions, bool by_oracle)
{
    double D = c->n_embd, HK = (double)c->n_heads * c->head_dim,
           GK = (double)c->n_kv_heads * c->head_dim, HP = (double)c->n_heads * (double)n_positions;
    double used = c->n_expert_used > 0 ? c->n_expert_used : 1;
    double F = c->n_ff > used * c->n_ff_expert + c->n_ff_shared
                   ? c->n_ff
                   : used * c->n_ff_expert + c->n_ff_shared;
    double taps = 9 * D + 5 * HK + 4 * GK + 4 * F + used * D + 2 * c->n_expert + 2 * HP;
    double engine = 9 * D + 2 * HK + 2 * GK + 4 * F + used * D;
    /* Of scores the engine that is watched and the link to the reference keep two each, and what
     * has just come. The oracle alone has doubles, and of all taps only where it is the budget. */
    double floats = taps + 2 * engine + 5 * HP;
    double doubles = engine + HP + (by_oracle ? taps : HP > F ? HP : F);
    return 4 * floats + 8 * doubles;
}

ls_status ls_locate_cut(ls_cut *out, const ls_model_config *c, size_t n_prompt, size_t n_positions,
                        size_t batch, bool by_oracle, ls_error *err)
{
    double per_token = bytes_per_token(c, n_positions, by_oracle), least;
    *out = (ls_cut){.batch = batch < LONGEST && batch > 0 ? batch : LONGEST};
    if (per_token * (double)ls_cut_longest(*out, n_prompt) <= LS_LOCATE_BYTES) return LS_OK;
    out->piece = LONGEST / 2;
    while (out->piece > MULTIPLE && per_token * (double)(out->piece + MULTIPLE) > LS_LOCATE_BYTES)
        out->piece /= 2;
    least = per_token * (double)ls_cut_longest(*out, n_prompt);
    if (least <= LS_LOCATE_MOST) return LS_OK;
    ls_fail(err, LS_ERR_LIMIT,
            "the operations of a layer, for %zu tokens that see %zu positions, take %.0f MiB; "
            "%d are allowed",
            ls_cut_longest(*out, n_prompt), n_positions, least / 0x1p20, LS_LOCATE_MOST >> 20);
    return ls_fail_hint(err, "give a shorter prompt, or compare without '--locate'");
}
