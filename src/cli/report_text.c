// SPDX-License-Identifier: MIT
/* report_text.c - a per-token comparison for people: who, what, the worst, the verdict. */
#include <stdlib.h>
#include <string.h>

#include "cli/locate.h"
#include "cli/report.h"
#include "cli/text.h"
#include "cli/vote.h"

/* Up to this many positions are all shown; beyond, the first ones and those that matter. */
enum { SHOW_ALL = 16, SHOW_FIRST = 4, SHOW_LAST = 2, SHOW_BAD = 8, SHOW_IDS = 64 };
enum { TOKEN_WIDTH = 20 };

const char *cli_engine_name(const ls_engine_info *e)
{
    ls_ref_kind kind;
    return ls_ref_parse(e->engine, &kind) ? ls_ref_display_name(kind) : e->engine;
}

size_t cli_tensor_types(const ls_gguf *g, int *type, size_t *count, size_t cap)
{
    size_t n = 0;
    for (size_t i = 0; i < ls_gguf_n_tensors(g); i++) {
        int    dtype = ls_gguf_tensor_at(g, i)->dtype;
        size_t k = 0;
        while (k < n && type[k] != dtype) k++;
        if (k == n && n < cap) type[n] = dtype, count[n++] = 0;
        if (k < n) count[k]++;
        for (; k > 0 && k < n && count[k] > count[k - 1]; k--) {
            size_t c = count[k];
            int    t = type[k];
            count[k] = count[k - 1], type[k] = type[k - 1];
            count[k - 1] = c, type[k - 1] = t;
        }
    }
    return n;
}

/* ---- who and what ---- */

static void model_lines(const cli_report *r, FILE *f)
{
    ls_str arch = {"unknown", 7};
    int    type[16];
    size_t count[16], n;
    fprintf(f, "Model      ");
    cli_print_clean(f, (ls_str){r->model_path, strlen(r->model_path)});
    fputs("\n           ", f);
    ls_gguf_str(r->gguf, "general.architecture", &arch);
    cli_print_clean(f, arch);
    n = cli_tensor_types(r->gguf, type, count, 16);
    for (size_t i = 0; i < n; i++) {
        const char *name = ls_dtype_name(type[i]);
        fprintf(f, "%s%s (%zu)", i ? ", " : "; tensors ", name ? name : "unknown", count[i]);
    }
    fputc('\n', f);
    if (r->sha256[0]) fprintf(f, "           sha256 %s\n", r->sha256);
}

static void prompt_line(const cli_report *r, FILE *f)
{
    const ls_per_token_result *x = r->result;
    size_t                     n = x->ids_subject ? x->n_ids_subject : x->n_ids_reference;
    fputs("Prompt     ", f);
    cli_print_quoted(f, (ls_str){r->prompt, r->prompt_len}, 60);
    fprintf(f, "; template %s", r->template_name);
    if (n)
        fprintf(f, "; %zu token%s, then %zu decoded", n, n == 1 ? "" : "s",
                x->coverage.positions_planned - n);
    fputc('\n', f);
}

static void engine_line(FILE *f, const char *role, const ls_engine_info *e,
                        const ls_engine_stats *s)
{
    double seconds = (double)s->eval_ns * 1e-9;
    if (!e->engine[0]) return;
    fprintf(f, "%-10s %s %s, %s, %d thread%s, batch %d, KV %s", role, cli_engine_name(e),
            e->version, e->isa[0] ? e->isa : "unknown instruction set", (int)e->n_threads,
            e->n_threads == 1 ? "" : "s", (int)e->n_batch, e->kv_type);
    if (e->lanes)
        fprintf(f, ", %d-wide sums%s", (int)e->lanes, e->follow ? " in the reference's order" : "");
    if (strcmp(e->engine, "native") != 0)
        fprintf(f, ", flash attention %s", e->flash_attn ? "on" : "off");
    fputc('\n', f);
    if (s->n_tokens && seconds > 0)
        fprintf(f, "           %llu tokens in %.3f s: %.1f tokens/s (opened in %.2f s)\n",
                (unsigned long long)s->n_tokens, seconds, (double)s->n_tokens / seconds,
                (double)s->load_ns * 1e-9);
}

/* ---- positions ---- */

/* `258 ' the'` in at most `width` columns; padded to them, unless this is the last cell. */
static void token_cell(const cli_report *r, FILE *f, int32_t id, int width, bool last)
{
    char   piece[64], cell[128];
    size_t n = 0, room;
    int    used = snprintf(cell, sizeof(cell), "%d ", (int)id);
    bool   cut = false;
    if (r->tokenizer) n = ls_tokenizer_piece(r->tokenizer, id, true, piece, sizeof(piece));
    room = width > used + 2 ? (size_t)(width - used - 2) : 0;
    if (n > sizeof(piece)) n = sizeof(piece), cut = true;
    if (n > room) {
        for (n = room; n > 0 && ((unsigned char)piece[n] & 0xc0) == 0x80; n--) {
        }
        cut = true;
    }
    if (n)
        used += snprintf(cell + used, sizeof(cell) - (size_t)used, "'%.*s%s", (int)n, piece,
                         cut ? "…" : "'");
    else
        used--; /* the space */
    cli_print_padded(f, (ls_str){cell, (size_t)used}, last ? 0 : width);
}

static void position_line(const cli_report *r, FILE *f, const ls_position *p)
{
    fprintf(f, " %5d  ", (int)p->pos);
    token_cell(r, f, p->token, TOKEN_WIDTH, false);
    fprintf(f, " %10.8f %10.8f %8.1e %8.1e %8.1e  ", p->cosine, p->cosine_centred, p->nmse, p->kl,
            p->max_abs);
    token_cell(r, f, p->top1_reference, TOKEN_WIDTH, true);
    if (p->flip != LS_FLIP_NONE) {
        fputs(", subject ", f);
        token_cell(r, f, p->top1_subject, TOKEN_WIDTH, true);
        if (p->flip == LS_FLIP_NEAR_TIE) fputs(", a near tie", f);
    }
    if (!p->ok) fprintf(f, "  <-- %s", cli_broken_part(p, &r->budget));
    fputc('\n', f);
}

static bool worth_showing(const ls_per_token_result *x, size_t i, size_t n_bad)
{
    const ls_summary  *s = &x->summary;
    const ls_position *p = &x->positions[i];
    if (i < SHOW_FIRST || i + SHOW_LAST >= x->n_positions) return true;
    if (!p->ok && n_bad < SHOW_BAD) return true;
    if (p->flip != LS_FLIP_NONE && n_bad < SHOW_BAD) return true;
    return p->pos == s->min_cosine.pos || p->pos == s->min_cosine_centred.pos ||
           p->pos == s->max_nmse.pos || p->pos == s->max_kl.pos || p->pos == s->max_abs.pos;
}

static void skipped_line(FILE *f, size_t n)
{
    if (n) fprintf(f, "   ...  %zu more\n", n);
}

/* One engine alone: what it would say next, and how surely. */
static void lone_table(const cli_report *r, FILE *f)
{
    const ls_per_token_result *x = r->result;
    bool                       all = r->verbose || x->n_positions <= SHOW_ALL;
    fprintf(f, "\n   pos  %-*s %10s  %s\n", TOKEN_WIDTH, "token", "margin", "most likely next");
    for (size_t i = 0; i < x->n_positions; i++) {
        const ls_position *p = &x->positions[i];
        if (!all && i == SHOW_FIRST) {
            i = x->n_positions - SHOW_FIRST;
            skipped_line(f, i - SHOW_FIRST);
            p = &x->positions[i];
        }
        fprintf(f, " %5d  ", (int)p->pos);
        token_cell(r, f, p->token, TOKEN_WIDTH, false);
        fprintf(f, " %10.3e  ", p->margin);
        token_cell(r, f, p->top1_subject >= 0 ? p->top1_subject : p->top1_reference, TOKEN_WIDTH,
                   true);
        fputs(p->finite ? "\n" : "  <-- NaN or Inf\n", f);
    }
}

static void position_table(const cli_report *r, FILE *f)
{
    const ls_per_token_result *x = r->result;
    bool                       all = r->verbose || x->n_positions <= SHOW_ALL, decoding = false;
    size_t                     hidden = 0, n_bad = 0;
    if (!x->n_positions) return;
    if (!x->coverage.positions_compared) {
        lone_table(r, f);
        return;
    }
    fprintf(f, "\n   pos  %-*s %10s %10s %8s %8s %8s  %s\n", TOKEN_WIDTH, "token", "cosine",
            "centred", "NMSE", "KL", "max |d|", "most likely next");
    for (size_t i = 0; i < x->n_positions; i++) {
        if (!all && !worth_showing(x, i, n_bad)) {
            hidden++;
            continue;
        }
        n_bad += !x->positions[i].ok;
        skipped_line(f, hidden);
        hidden = 0;
        if (x->positions[i].decode && !decoding) fputs("        decoded:\n", f);
        decoding = x->positions[i].decode;
        position_line(r, f, &x->positions[i]);
    }
    skipped_line(f, hidden);
}

/* ---- summary ---- */

static void summary_row(FILE *f, const char *name, bool fixed, const ls_extreme *worst,
                        const double *mean, const char *budget)
{
    char value[32] = "", at[16] = "", average[32] = "";
    snprintf(value, sizeof(value), fixed ? "%.8f" : "%.2e", worst->value);
    snprintf(at, sizeof(at), "%d", (int)worst->pos);
    if (mean) snprintf(average, sizeof(average), fixed ? "%.8f" : "%.2e", *mean);
    fprintf(f, " %-16s %10s  %7s  %10s%s%s\n", name, value, at, average, *budget ? "  " : "",
            budget);
}

static void summary_table(const cli_report *r, FILE *f)
{
    const ls_per_token_result *x = r->result;
    const ls_summary          *s = &x->summary;
    char                       cos[32], nmse[32], kl[32];
    size_t                     agree = x->n_positions - (size_t)(s->near_ties + s->flips);
    if (!x->coverage.positions_compared) return;
    snprintf(cos, sizeof(cos), ">= %.10g", r->budget.cos_tol);
    snprintf(nmse, sizeof(nmse), "<= %g", r->budget.nmse_tol);
    snprintf(kl, sizeof(kl), "<= %g", r->budget.kl_tol);
    fprintf(f, "\n %-16s %10s  %7s  %10s  %s\n", "", "worst", "at", "mean", "budget");
    summary_row(f, "cosine", true, &s->min_cosine, &s->mean_cosine, "");
    summary_row(f, "centred cosine", true, &s->min_cosine_centred, NULL, cos);
    summary_row(f, "centred NMSE", false, &s->max_nmse, &s->mean_nmse, nmse);
    summary_row(f, "KL, nats", false, &s->max_kl, &s->mean_kl, kl);
    summary_row(f, "L2", false, &s->max_l2, &s->mean_l2, "");
    summary_row(f, "max |d|", false, &s->max_abs, &s->mean_abs, "");
    fprintf(f, " top-1 agrees at %zu of %zu positions (%.4g %%), %d near tie%s, %d flip%s", agree,
            x->n_positions, s->top1_agreement * 100, (int)s->near_ties,
            s->near_ties == 1 ? "" : "s", (int)s->flips, s->flips == 1 ? "" : "s");
    if (s->max_abs_token >= 0) {
        fputs("; max |d| is that of token ", f);
        token_cell(r, f, s->max_abs_token, TOKEN_WIDTH, true);
    }
    fputc('\n', f);
    fprintf(f, " equal to the last bit at %zu of %zu positions", s->n_equal, x->n_positions);
    if (s->n_equal && s->first_unequal >= 0)
        fprintf(f, ", first other: position %d", (int)s->first_unequal);
    fputc('\n', f);
}

/* ---- token mismatch ---- */

static void id_list(FILE *f, const char *who, const int32_t *ids, size_t n)
{
    fprintf(f, "%s tokens (%zu):\n  [", who, n);
    for (size_t i = 0; i < n && i < SHOW_IDS; i++) fprintf(f, "%s%d", i ? ", " : "", (int)ids[i]);
    fprintf(f, "%s]\n\n", n > SHOW_IDS ? ", ..." : "");
}

static void id_or_end(FILE *f, const int32_t *ids, size_t n, size_t i)
{
    if (i < n)
        fprintf(f, "%d", (int)ids[i]);
    else
        fputs("(end)", f);
}

void cli_report_mismatch(const cli_report *r, FILE *f)
{
    const ls_per_token_result *x = r->result;
    const char                *subject = cli_engine_name(&x->subject_info);
    const char                *reference = cli_engine_name(&x->reference_info);
    size_t                     at = (size_t)x->first_difference;
    fprintf(f,
            "\n✗ Token sequence mismatch with the reference: %s\n"
            "Fix BOS or template before comparing logits; nothing was evaluated.\n\n",
            reference);
    id_list(f, subject, x->ids_subject, x->n_ids_subject);
    id_list(f, reference, x->ids_reference, x->n_ids_reference);
    fprintf(f, "First diff at index: %zu\nMismatch: %s token=", at, subject);
    id_or_end(f, x->ids_subject, x->n_ids_subject, at);
    fprintf(f, ", %s token=", reference);
    id_or_end(f, x->ids_reference, x->n_ids_reference, at);
    fputs("\n\nCommon fixes:\n"
          "  - leave --bos at auto: yes and no act on the subject alone\n"
          "  - use --prompt-template raw, which puts nothing around the prompt\n"
          "  - look at the tokenizer's metadata: lockstep model inspect -m MODEL\n"
          "  - look at the native ids: lockstep model tokenize -m MODEL -p TEXT --ids\n",
          f);
}

/* ---- verdict ---- */

static void next_steps(const cli_report *r, FILE *f)
{
    const ls_per_token_result *x = r->result;
    if (x->verdict != LS_VERDICT_DIVERGED) return;
    if (r->locate_command && !r->located)
        fprintf(f, "\nWhich operation does it come from?\n  %s\n", r->locate_command);
    fputs("\nNext steps, added to the same command:\n"
          "  --verbose              every position\n"
          "  --dump-logits PREFIX   the logits of both engines, for other tools\n",
          f);
    if (strcmp(x->subject_info.kv_type, "f32") != 0)
        fputs("  --kv-type f32          is it the rounding of the KV cache?\n", f);
    if (strcmp(x->reference_info.engine, "native") != 0)
        fputs("  --against native       is it an instruction set of the native engine?\n", f);
    fputs("and 'lockstep crossval determinism -m MODEL -p TEXT': does native agree with itself?\n",
          f);
}

/* A line with these operations, if there are any. */
static void name_ops(const char *before, const bool ops[LS_N_OPS], FILE *f)
{
    bool first = true;
    for (int op = 0; op < LS_N_OPS; op++) {
        if (!ops[op]) continue;
        fprintf(f, "%s%s", first ? before : ", ", ls_op_name((ls_op)op));
        first = false;
    }
    if (!first) fputc('\n', f);
}

/* What the float64 oracle makes of the operation that was found. */
static void outlier_line(const ls_located *l, FILE *f)
{
    static const char *const who[] = {
        [LS_OUTLIER_UNCLEAR] = "the oracle cannot say who is wrong",
        [LS_OUTLIER_SUBJECT] = "the subject is wrong",
        [LS_OUTLIER_REFERENCE] = "the reference is wrong",
    };
    if (l->judged)
        fprintf(f,
                "  %s: NMSE to the float64 oracle is %.3g of the subject, %.3g of the reference\n",
                who[l->outlier], l->subject_error, l->reference_error);
}

/* An operation in whose result the error is born, by both ways of looking at it alone. */
static void born_lines(const ls_located *l, FILE *f)
{
    char place[96];
    fprintf(f, "  %s: born here. NMSE %.3g on the reference's own input, ",
            cli_located_place(l, place, sizeof(place)), l->isolated);
    if (l->reversed) fprintf(f, "%.3g of the reference on the subject's, ", l->isolated_reverse);
    fprintf(f, "%.3g as it ran; the budget is %.3g%s\n", l->accumulated, l->budget,
            l->by_oracle ? " to the oracle" : "");
    if (ls_located_ways_disagree(l))
        fputs(
            "  the two ways disagree: the reference on the subject's input is inside the budget\n",
            f);
    if (!l->reversed)
        fputs("  the reference could not be put on the subject's input there\n", f);
    else
        name_ops("  not put on the subject's input, for the reference does not show it: ",
                 l->not_stepped, f);
}

void cli_report_located(const ls_located *l, FILE *f)
{
    char place[96];
    fprintf(f, "\ntaps: %zu of %zu compared, %zu equal to the last bit\n", l->taps_compared,
            l->taps_planned, l->taps_equal);
    name_ops("  not shown by the reference: ", l->declined, f);
    if (l->other_bits && l->bits_layer >= 0)
        fprintf(f, "  first with other bits: layer %d, %s\n", (int)l->bits_layer,
                ls_op_name(l->bits_op));
    else if (l->other_bits)
        fprintf(f, "  first with other bits: %s\n", ls_op_name(l->bits_op));
    if (!l->found) {
        if (l->by_oracle)
            fputs("  no operation is much farther from the oracle in one engine\n", f);
        else
            fprintf(f, "  no operation is over %g\n", l->budget);
        return;
    }
    if (l->born)
        born_lines(l, f);
    else
        fprintf(f,
                "  first over %g: %s, NMSE %.3g; only carried there: no operation is over it on "
                "the reference's own input\n",
                l->budget, cli_located_place(l, place, sizeof(place)), l->accumulated);
    outlier_line(l, f);
}

/* Who of several engines is alone, and how far each is from the oracle. */
static void vote_lines(const cli_vote *v, FILE *f)
{
    const ls_vote *x = &v->result;
    fputs("\nvote: worst centred NMSE of logits\n", f);
    for (size_t i = 0; i < v->n; i++)
        for (size_t j = i + 1; j < v->n; j++)
            fprintf(f, "  %-22s %-22s %10.3g at position %d\n", v->voters[i].name,
                    v->voters[j].name, x->worst[i][j], (int)x->worst_at[i][j]);
    if (x->outlier >= 0)
        fprintf(f, "  %s stands alone; the others agree\n", v->voters[x->outlier].name);
    else
        fputs(x->agree ? "  all agree\n" : "  no majority: nobody can be called wrong\n", f);
    if (v->oracle >= 0) {
        ls_extreme rho = cli_vote_worst_rho(v);
        if (rho.pos >= 0)
            fprintf(f, "  %s is at most %.3g times as far from the oracle as %s (position %d)\n",
                    v->voters[0].name, rho.value, v->voters[1].name, (int)rho.pos);
    }
}

static void verdict_lines(const cli_report *r, FILE *f)
{
    static const char *const marks[] = {
        [LS_VERDICT_NONE] = "-",         [LS_VERDICT_MATCH] = "✓",
        [LS_VERDICT_DIVERGED] = "✗",     [LS_VERDICT_TOKENS_DIFFER] = "✗",
        [LS_VERDICT_INCONCLUSIVE] = "?",
    };
    const ls_per_token_result *x = r->result;
    const ls_coverage         *c = &x->coverage;
    if (r->located) cli_report_located(r->located, f);
    if (r->vote) vote_lines(r->vote, f);
    fprintf(f, "\ncompared %zu/%zu positions x %zu/%zu logits, %zu/%zu taps\n",
            c->positions_compared, c->positions_planned, c->logits_compared, c->vocab,
            c->taps_compared, c->taps_planned);
    fprintf(f, "%s %s", marks[x->verdict], ls_verdict_name(x->verdict));
    if (x->verdict == LS_VERDICT_MATCH) {
        fputs(": every position is inside its budget", f);
        if (x->summary.near_ties) fputs(" (near ties count as equal)", f);
    } else if (x->reason[0]) {
        fputs(": ", f);
        cli_print_clean(f, (ls_str){x->reason, strlen(x->reason)});
    }
    fputc('\n', f);
    if (x->error.hint[0]) {
        fputs("  hint: ", f);
        cli_print_clean(f, (ls_str){x->error.hint, strlen(x->error.hint)});
        fputc('\n', f);
    }
}

ls_status cli_report_text(const cli_report *r, FILE *f, ls_error *err)
{
    const ls_per_token_result *x = r->result;
    if (r->gguf) model_lines(r, f);
    if (r->prompt) prompt_line(r, f);
    for (size_t i = 0; i < r->faults->n; i++)
        fprintf(f, "%-10s %s, injected into the subject\n", i ? "" : "Fault", r->faults->at[i]);
    engine_line(f, "Subject", &x->subject_info, &x->subject_stats);
    engine_line(f, "Reference", &x->reference_info, &x->reference_stats);
    position_table(r, f);
    summary_table(r, f);
    verdict_lines(r, f);
    next_steps(r, f);
    (void)err; /* nothing but the stream can fail */
    return LS_OK;
}
