// SPDX-License-Identifier: MIT
/* verdict.c - from positions to a summary, and from that to one of five verdicts.
 *
 * Fails closed: MATCH is what is left when nothing else can be said, and only when everything that
 * was planned was compared.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "verify/verify_priv.h"

/* ---- the public contract ---- */

static const struct {
    const char *name, *status;
    int         exit_code;
} verdicts[] = {
    [LS_VERDICT_NONE] = {"NONE", "ok", 0},
    [LS_VERDICT_MATCH] = {"MATCH", "ok", 0},
    [LS_VERDICT_DIVERGED] = {"DIVERGED", "diverged", 1},
    [LS_VERDICT_TOKENS_DIFFER] = {"TOKENS_DIFFER", "tokens_differ", 2},
    [LS_VERDICT_INCONCLUSIVE] = {"INCONCLUSIVE", "inconclusive", 3},
};

/* A value that is no verdict must not look like success. */
static size_t row_of(ls_verdict v)
{
    size_t n = sizeof(verdicts) / sizeof(verdicts[0]);
    return (size_t)v < n ? (size_t)v : LS_VERDICT_INCONCLUSIVE;
}

const char *ls_verdict_name(ls_verdict v) { return verdicts[row_of(v)].name; }
const char *ls_verdict_status(ls_verdict v) { return verdicts[row_of(v)].status; }
int         ls_verdict_exit_code(ls_verdict v) { return verdicts[row_of(v)].exit_code; }

/* ---- summary ---- */

/* Which of two values is worse: `sign` 1 when large ones are bad, -1 when small ones are. */
static void extreme(ls_extreme *e, double x, int32_t pos, double sign)
{
    bool first = e->pos < 0;
    if (!first && isnan(e->value)) return;
    if (first || isnan(x) || x * sign > e->value * sign) *e = (ls_extreme){x, pos};
}

void ls_summarise(ls_summary *out, const ls_position *positions, size_t n)
{
    const ls_extreme none = {(double)NAN, -1};
    size_t           agreeing = 0;
    double           count = (double)n;
    *out = (ls_summary){.min_cosine = none,
                        .min_cosine_centred = none,
                        .max_l2 = none,
                        .max_abs = none,
                        .max_nmse = none,
                        .max_kl = none,
                        .max_abs_token = -1,
                        .first_divergence = -1,
                        .first_unequal = -1};
    for (size_t i = 0; i < n; i++) {
        const ls_position *p = &positions[i];
        extreme(&out->min_cosine, p->cosine, p->pos, -1);
        extreme(&out->min_cosine_centred, p->cosine_centred, p->pos, -1);
        extreme(&out->max_l2, p->l2, p->pos, 1);
        extreme(&out->max_abs, p->max_abs, p->pos, 1);
        extreme(&out->max_nmse, p->nmse, p->pos, 1);
        extreme(&out->max_kl, p->kl, p->pos, 1);
        if (out->max_abs.pos == p->pos) out->max_abs_token = p->max_abs_token;
        out->mean_cosine += p->cosine;
        out->mean_l2 += p->l2;
        out->mean_abs += p->mean_abs;
        out->mean_nmse += p->nmse;
        out->mean_kl += p->kl;
        agreeing += p->flip == LS_FLIP_NONE;
        out->near_ties += p->flip == LS_FLIP_NEAR_TIE;
        out->flips += p->flip == LS_FLIP_HARD;
        out->n_equal += p->equal;
        if (!p->equal && out->first_unequal < 0) out->first_unequal = p->pos;
        if (!p->ok && out->first_divergence < 0) out->first_divergence = p->pos;
    }
    out->mean_cosine /= count; /* 0/0 is NaN: nothing was compared */
    out->mean_l2 /= count;
    out->mean_abs /= count;
    out->mean_nmse /= count;
    out->mean_kl /= count;
    out->top1_agreement = (double)agreeing / count;
}

/* ---- reasons ---- */

void ls_explain_position(const ls_position *p, const ls_budget *b, char *code, size_t code_cap,
                         char *text, size_t text_cap)
{
    const char *word = "";
    text[0] = '\0';
    if (!p->finite) {
        word = "nan";
        snprintf(text, text_cap, "a logit is NaN or infinite, first that of token %d",
                 p->max_abs_token);
    } else if (!(p->cosine_centred >= b->cos_tol)) {
        word = "cosine";
        snprintf(text, text_cap, "the centred cosine %.6f is below %g", p->cosine_centred,
                 b->cos_tol);
    } else if (!(p->nmse <= b->nmse_tol)) {
        word = "nmse";
        snprintf(text, text_cap, "the centred NMSE %.3g is above %g", p->nmse, b->nmse_tol);
    } else if (!(p->kl <= b->kl_tol)) {
        word = "kl";
        snprintf(text, text_cap, "KL(reference, subject) of %.3g nats is above %g", p->kl,
                 b->kl_tol);
    } else if (p->flip != LS_FLIP_NONE) {
        bool near_tie = p->flip == LS_FLIP_NEAR_TIE;
        word = near_tie ? "near-tie" : "top1";
        snprintf(text, text_cap, "the most likely token is %d, in the reference %d%s",
                 p->top1_subject, p->top1_reference,
                 near_tie ? " (a near tie, which is not allowed when strict)" : "");
    }
    snprintf(code, code_cap, "%s", word);
}

static void set_reason(ls_per_token_result *r, ls_verdict v, const char *code, const char *text)
{
    r->verdict = v;
    snprintf(r->reason_code, sizeof(r->reason_code), "%s", code);
    snprintf(r->reason, sizeof(r->reason), "%s", text);
}

static const ls_position *at_position(const ls_per_token_result *r, int32_t pos)
{
    for (size_t i = 0; i < r->n_positions; i++)
        if (r->positions[i].pos == pos) return &r->positions[i];
    return NULL;
}

/* "position 3 (prompt token 42): the centred cosine ..."; false where nothing diverged. */
static bool first_divergence(const ls_per_token_result *r, const ls_budget *b, const ls_findings *f,
                             char *code, size_t code_cap, char *text, size_t cap)
{
    const ls_position *p = at_position(r, r->summary.first_divergence);
    char               why[320];
    if (!f->compares || !p) return false;
    ls_explain_position(p, b, code, code_cap, why, sizeof(why));
    if (!p->finite && f->non_finite[0]) snprintf(why, sizeof(why), "%s", f->non_finite);
    snprintf(text, cap, "position %d (%s token %d): %s", p->pos, p->decode ? "decoded" : "prompt",
             p->token, why);
    return true;
}

static void side_of_difference(char *buf, size_t cap, const int32_t *ids, size_t n, size_t i)
{
    if (i < n)
        snprintf(buf, cap, "token %d", ids[i]);
    else
        snprintf(buf, cap, "no more tokens (%zu in all)", n);
}

static void decide_tokens(ls_per_token_result *r)
{
    size_t i = (size_t)r->first_difference;
    char   subject[64], reference[64], text[320];
    side_of_difference(subject, sizeof(subject), r->ids_subject, r->n_ids_subject, i);
    side_of_difference(reference, sizeof(reference), r->ids_reference, r->n_ids_reference, i);
    snprintf(text, sizeof(text),
             "the token ids differ first at index %zu: subject %s has %s, reference %s has %s", i,
             r->subject_info.engine, subject, r->reference_info.engine, reference);
    set_reason(r, LS_VERDICT_TOKENS_DIFFER, "tokens", text);
}

static void decide_incomplete(ls_per_token_result *r, const ls_budget *b, const ls_findings *f)
{
    const ls_coverage *c = &r->coverage;
    const char        *why = f->obstacle[0] ? f->obstacle : "less was compared than planned";
    char               seen[400], code[32], text[sizeof(r->reason)];
    if (first_divergence(r, b, f, code, sizeof(code), seen, sizeof(seen)))
        snprintf(text, sizeof(text),
                 "%.500s (after %zu of %zu positions, the engines having diverged already at %s)",
                 why, c->positions_compared, c->positions_planned, seen);
    else if (r->n_positions)
        snprintf(text, sizeof(text), "%s (after %zu of %zu positions)", why, r->n_positions,
                 c->positions_planned);
    else
        snprintf(text, sizeof(text), "%s", why);
    set_reason(r, LS_VERDICT_INCONCLUSIVE, f->obstacle[0] ? f->obstacle_code : "incomplete", text);
}

/* Each near tie is harmless; many of them are not chance. */
static bool too_many_near_ties(const ls_per_token_result *r)
{
    double share = LS_NEAR_TIE_SHARE * (double)r->n_positions;
    return r->summary.near_ties > 1 && (double)r->summary.near_ties > share;
}

static void decide_near_ties(ls_per_token_result *r)
{
    char text[256];
    for (size_t i = r->n_positions; i-- > 0;)
        if (r->positions[i].flip == LS_FLIP_NEAR_TIE)
            r->summary.first_divergence = r->positions[i].pos;
    snprintf(text, sizeof(text),
             "%d near ties in %zu positions are more than %g %%; the first is at position %d",
             r->summary.near_ties, r->n_positions, LS_NEAR_TIE_SHARE * 100,
             r->summary.first_divergence);
    set_reason(r, LS_VERDICT_DIVERGED, "near-ties", text);
}

void ls_decide(ls_per_token_result *r, const ls_budget *b, const ls_findings *f)
{
    const ls_coverage *c = &r->coverage;
    size_t             done = f->compares ? c->positions_compared : r->n_positions;
    char               text[400], code[32];
    ls_summarise(&r->summary, r->positions, f->compares ? r->n_positions : 0);
    if (r->first_difference >= 0)
        decide_tokens(r);
    else if (f->obstacle[0] || c->positions_planned == 0 || done != c->positions_planned)
        decide_incomplete(r, b, f);
    else if (!f->compares)
        set_reason(r, LS_VERDICT_NONE, "one-engine", "one engine ran alone: nothing was compared");
    else if (first_divergence(r, b, f, code, sizeof(code), text, sizeof(text)))
        set_reason(r, LS_VERDICT_DIVERGED, code, text);
    else if (too_many_near_ties(r))
        decide_near_ties(r);
    else
        set_reason(r, LS_VERDICT_MATCH, "", "");
}
