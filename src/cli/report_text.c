// SPDX-License-Identifier: MIT
/* report_text.c - a per-token comparison for people: who, what, the worst, the verdict. */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "cli/report.h"

/* Up to this many positions are all shown; beyond, the first ones and those that matter. */
enum { SHOW_ALL = 16, SHOW_FIRST = 4, SHOW_LAST = 2, SHOW_IDS = 64 };

static void engine_line(FILE *f, const char *role, const ls_engine_info *e, const ls_engine_stats *s)
{
    double seconds = (double)s->eval_ns * 1e-9;
    if (!e->engine[0]) return;
    fprintf(f, "%-10s %s %s, %s, %d thread%s, batch %d, KV %s, %d-wide sums", role, e->engine,
            e->version, e->isa[0] ? e->isa : "unknown ISA", e->n_threads,
            e->n_threads == 1 ? "" : "s", e->n_batch, e->kv_type, e->lanes);
    if (seconds > 0) {
        fprintf(f, "; %" PRIu64 " tokens in %.2f s (%.1f tokens/s)", s->n_tokens, seconds,
                (double)s->n_tokens / seconds);
    }
    fprintf(f, "\n");
}

static void header(const cli_report *r, FILE *f)
{
    const ls_per_token_result *x = r->result;
    size_t n = x->ids_subject ? x->n_ids_subject : x->n_ids_reference;
    fprintf(f, "%-10s %s (%s; %s)\n", "Model", r->model_path, r->arch, r->types);
    if (r->sha256[0]) fprintf(f, "%-10s sha256 %s\n", "", r->sha256);
    engine_line(f, "Subject", &x->subject_info, &x->subject_stats);
    engine_line(f, "Reference", &x->reference_info, &x->reference_stats);
    fprintf(f, "%-10s %zu prompt tokens, %zu decoded; template %s\n", "Tokens", n, x->n_decoded,
            r->template_name);
}

/* ---- positions ---- */

static void position_line(FILE *f, const ls_position *p)
{
    static const char *const flips[] = {"", " near tie", " FLIP"};
    fprintf(f, "  %5d %7d %-6s  %.9f  %9.2e  %9.2e  %9.2e @%-7d %7d %7d  %s%s\n", p->pos, p->token,
            p->decode ? "decode" : "prompt", p->cosine, p->nmse, p->kl, p->max_abs,
            p->max_abs_token, p->top1_subject, p->top1_reference, p->ok ? "ok" : "DIVERGED",
            flips[p->flip]);
}

static bool worth_showing(const ls_per_token_result *x, size_t i)
{
    const ls_summary *s = &x->summary;
    int32_t           pos = x->positions[i].pos;
    return i < SHOW_FIRST || i + SHOW_LAST >= x->n_positions || pos == s->min_cosine.pos ||
           pos == s->max_kl.pos || pos == s->max_abs.pos || pos == s->first_divergence ||
           x->positions[i].flip == LS_FLIP_HARD;
}

static void position_table(const cli_report *r, FILE *f)
{
    const ls_per_token_result *x = r->result;
    bool   all = r->verbose || x->n_positions <= SHOW_ALL;
    size_t hidden = 0;

    if (!x->n_positions) return;
    fprintf(f, "\n  %5s %7s %-6s  %-11s  %9s  %9s  %9s %-8s %7s %7s\n", "pos", "token", "phase",
            "cosine", "NMSE", "KL", "max |d|", "@token", "top-1", "ref");
    for (size_t i = 0; i < x->n_positions; i++) {
        if (!all && !worth_showing(x, i)) {
            hidden++;
            continue;
        }
        if (hidden) fprintf(f, "        ... %zu more\n", hidden);
        hidden = 0;
        position_line(f, &x->positions[i]);
    }
}

static void summary_lines(const cli_report *r, FILE *f)
{
    const ls_per_token_result *x = r->result;
    const ls_summary          *s = &x->summary;
    if (!x->n_positions) return;
    fprintf(f, "\n%-18s worst %.9f at %d, mean %.9f\n", "Cosine", s->min_cosine.value,
            s->min_cosine.pos, s->mean_cosine);
    fprintf(f, "%-18s worst %.9f at %d (budget %g)\n", "Centred cosine",
            s->min_cosine_centred.value, s->min_cosine_centred.pos, r->budget.cos_tol);
    fprintf(f, "%-18s worst %.3e at %d, mean %.3e (budget %g)\n", "NMSE", s->max_nmse.value,
            s->max_nmse.pos, s->mean_nmse, r->budget.nmse_tol);
    fprintf(f, "%-18s worst %.3e at %d, mean %.3e nats (budget %g)\n", "KL divergence",
            s->max_kl.value, s->max_kl.pos, s->mean_kl, r->budget.kl_tol);
    fprintf(f, "%-18s worst %.3e at %d, mean %.3e\n", "L2 distance", s->max_l2.value,
            s->max_l2.pos, s->mean_l2);
    fprintf(f, "%-18s %.3e at %d, token %d\n", "Largest difference", s->max_abs.value,
            s->max_abs.pos, s->max_abs_token);
    fprintf(f, "%-18s %.2f %%, %d near tie%s, %d flip%s\n", "Top-1 agreement",
            100 * s->top1_agreement, s->near_ties, s->near_ties == 1 ? "" : "s", s->flips,
            s->flips == 1 ? "" : "s");
}

/* ---- token mismatch ---- */

static void id_list(FILE *f, const char *who, const int32_t *ids, size_t n)
{
    fprintf(f, "%s tokens (%zu):\n  [", who, n);
    for (size_t i = 0; i < n && i < SHOW_IDS; i++) fprintf(f, "%s%d", i ? ", " : "", ids[i]);
    fprintf(f, "%s]\n\n", n > SHOW_IDS ? ", ..." : "");
}

static void mismatch(const cli_report *r, FILE *f)
{
    const ls_per_token_result *x = r->result;
    fprintf(f, "\nToken sequence mismatch with the reference: nothing was evaluated.\n\n");
    id_list(f, "Subject", x->ids_subject, x->n_ids_subject);
    id_list(f, "Reference", x->ids_reference, x->n_ids_reference);
    fprintf(f, "First difference at index %d.\n\n", x->first_difference);
    fprintf(f, "Common causes:\n"
               "  - a beginning-of-text token put twice or not at all: compare --bos auto, yes, no\n"
               "  - a prompt template that does not fit the model: try --prompt-template raw\n"
               "  - a pre-tokenizer that the two engines read differently: lockstep model inspect\n");
}

/* ---- verdict ---- */

static void next_steps(const cli_report *r, FILE *f)
{
    int32_t pos = r->result->summary.first_divergence;
    if (r->result->verdict != LS_VERDICT_DIVERGED) return;
    if (pos >= 0) fprintf(f, "%-10s position %d\n", "First", pos);
    fprintf(f, "\nNext steps:\n"
               "  - show every position: --verbose; keep the logits of both: --dump-logits PREFIX\n"
               "  - rule out the KV cache: --kv-type f32\n"
               "  - check that the native engine agrees with itself: lockstep crossval determinism\n");
}

static void verdict_lines(const cli_report *r, FILE *f)
{
    const ls_per_token_result *x = r->result;
    const ls_coverage         *c = &x->coverage;
    fprintf(f, "\n%-10s compared %zu/%zu positions x %zu/%zu logits, %zu/%zu taps\n", "Coverage",
            c->positions_compared, c->positions_planned,
            c->positions_compared ? c->logits_compared / c->positions_compared : 0, c->vocab,
            c->taps_compared, c->taps_planned);
    fprintf(f, "%-10s %s%s%s\n", "Verdict", ls_verdict_name(x->verdict), x->reason[0] ? ": " : "",
            x->reason);
}

ls_status cli_report_text(const cli_report *r, FILE *f, ls_error *err)
{
    (void)err;
    if (r->error) return LS_OK; /* the error itself is printed on standard error */
    header(r, f);
    if (r->result->verdict == LS_VERDICT_TOKENS_DIFFER) mismatch(r, f);
    position_table(r, f);
    summary_lines(r, f);
    verdict_lines(r, f);
    next_steps(r, f);
    return LS_OK;
}

/* ---- tensor types ---- */

void cli_report_types(char *buf, size_t cap, const ls_gguf *g)
{
    size_t count[256] = {0}, used = 0;
    for (size_t i = 0; i < ls_gguf_n_tensors(g); i++) {
        int dtype = ls_gguf_tensor_at(g, i)->dtype;
        if (dtype >= 0 && dtype < 256) count[dtype]++;
    }
    if (cap) buf[0] = '\0';
    for (;;) { /* most frequent first */
        int best = -1, n;
        for (int d = 0; d < 256; d++) {
            if (count[d] && (best < 0 || count[d] > count[best])) best = d;
        }
        if (best < 0) return;
        n = snprintf(buf + used, cap - used, "%s%s %zu", used ? ", " : "",
                     ls_dtype_name(best) ? ls_dtype_name(best) : "?", count[best]);
        if (n < 0 || (size_t)n >= cap - used) return;
        used += (size_t)n;
        count[best] = 0;
    }
}
