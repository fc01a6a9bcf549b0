// SPDX-License-Identifier: MIT
/* report_markdown.c - a per-token comparison as a comment on a pull request: the verdict in its
 * first line, then coverage, what was located and the worst numbers; the rest folded away.
 *
 * GitHub's dialect. A comment there has at most 65,536 characters, so that long runs show the
 * positions that matter and say how many they leave out. */
#include <string.h>

#include "cli/locate.h"
#include "cli/markup.h"
#include "cli/report.h"
#include "cli/vote.h"

enum { SHOW_WORST = 8, SHOW_POSITIONS = 96 };

static void text(FILE *f, const char *s) { cli_markup_md(f, (ls_str){s, strlen(s)}); }

/* In <code>, where neither @ nor # links to anything. */
static void code(FILE *f, const char *s)
{
    fputs("<code>", f);
    text(f, s);
    fputs("</code>", f);
}

static void token(const cli_report *r, FILE *f, int32_t id)
{
    char   piece[48];
    ls_str s = cli_token_text(r, id, piece, sizeof(piece));
    fprintf(f, "%d", (int)id);
    if (!s.len) return;
    fputs(" <code>&#39;", f);
    cli_markup_md(f, s);
    fputs("&#39;</code>", f);
}

static void number(FILE *f, double x, cli_real form)
{
    char buf[32];
    fprintf(f, " | %s", cli_format_real(x, form, buf));
}

/* ---- what stands in sight ---- */

static void verdict(const cli_report *r, FILE *f)
{
    static const char *const marks[] = {
        [LS_VERDICT_NONE] = "➖",         [LS_VERDICT_MATCH] = "✅",
        [LS_VERDICT_DIVERGED] = "❌",     [LS_VERDICT_TOKENS_DIFFER] = "❌",
        [LS_VERDICT_INCONCLUSIVE] = "❓",
    };
    const char *sentence = cli_report_sentence(r);
    const char *hint = r->error ? r->error->hint : r->result->error.hint;
    fprintf(f, "### %s %s", r->error ? "❓" : marks[r->result->verdict], cli_report_verdict(r));
    if (sentence[0]) fputs(": ", f);
    text(f, sentence);
    fputs("\n\n", f);
    if (r->error && r->error->where[0]) {
        fputs("At ", f);
        code(f, r->error->where);
        fputs("\n\n", f);
    }
    if (!hint[0]) return;
    fputs("Hint: ", f);
    text(f, hint);
    fputs("\n\n", f);
}

static void engine_name(FILE *f, const ls_engine_info *e)
{
    if (!e->engine[0]) {
        fputs("not opened", f);
        return;
    }
    text(f, cli_engine_name(e));
    fputc(' ', f);
    text(f, e->version);
}

static void coverage(const cli_report *r, FILE *f)
{
    const ls_coverage *c = &r->result->coverage;
    code(f, r->model_path);
    fputs(", ", f);
    engine_name(f, &r->result->subject_info);
    fputs(" against ", f);
    engine_name(f, &r->result->reference_info);
    fprintf(f, "\n\n**Coverage**: %zu of %zu positions, %zu of %zu logits at each; ",
            c->positions_compared, c->positions_planned, c->logits_compared, c->vocab);
    if (c->taps_planned)
        fprintf(f, "%zu of %zu taps\n\n", c->taps_compared, c->taps_planned);
    else
        fputs("taps not compared\n\n", f);
}

static void located(const ls_located *l, FILE *f)
{
    char place[96];
    if (!l->found) {
        fprintf(f, "**Located**: no operation is over %g\n\n", l->budget);
        return;
    }
    fputs("**Located**: ", f);
    code(f, cli_located_place(l, place, sizeof(place)));
    if (l->born) {
        fprintf(f, ", born there: NMSE %.3g on the reference's own input, ", l->isolated);
        if (l->reversed)
            fprintf(f, "%.3g of the reference on the subject's%s, ", l->isolated_reverse,
                    ls_located_ways_disagree(l) ? " (inside the budget: the two ways disagree)"
                                                : "");
        fprintf(f, "%.3g as it ran", l->accumulated);
    } else {
        fprintf(f, ", only carried there: NMSE %.3g as it ran", l->accumulated);
    }
    fprintf(f, "; the budget is %g", l->budget);
    if (l->judged) fprintf(f, "; who is wrong: %s", ls_outlier_name(l->outlier));
    fputs("\n\n", f);
}

static void vote(const cli_vote *v, FILE *f)
{
    fputs("**Vote** of ", f);
    for (size_t i = 0; i < v->n; i++) {
        if (i) fputs(", ", f);
        text(f, v->voters[i].name);
    }
    if (v->result.outlier >= 0) {
        fputs(": ", f);
        text(f, v->voters[v->result.outlier].name);
        fputs(" stands alone\n\n", f);
    } else {
        fputs(v->result.agree ? ": all agree\n\n" : ": no majority\n\n", f);
    }
}

static void position_head(FILE *f)
{
    fputs("| position | token | centred cosine | NMSE | KL | max abs diff | most likely next | |\n"
          "|---:|:---|---:|---:|---:|---:|:---|:---|\n",
          f);
}

static void position_row(const cli_report *r, FILE *f, const ls_position *p)
{
    fprintf(f, "| %d | ", (int)p->pos);
    token(r, f, p->token);
    number(f, p->cosine_centred, CLI_FIXED);
    number(f, p->nmse, CLI_SCIENCE);
    number(f, p->kl, CLI_SCIENCE);
    number(f, p->max_abs, CLI_SCIENCE);
    fputs(" | ", f);
    token(r, f, p->top1_reference);
    if (p->flip != LS_FLIP_NONE) {
        fputs(", subject ", f);
        token(r, f, p->top1_subject);
    }
    fprintf(f, " | %s |\n", p->ok ? "" : cli_broken_part(p, &r->budget));
}

static bool holds_a_worst(const ls_summary *s, int32_t pos)
{
    return pos == s->min_cosine_centred.pos || pos == s->max_nmse.pos || pos == s->max_kl.pos ||
           pos == s->max_abs.pos;
}

/* The first ones outside the budget; where there are none, those with the largest numbers. */
static void worst(const cli_report *r, FILE *f)
{
    const ls_per_token_result *x = r->result;
    size_t                     n_bad = 0, shown = 0;
    if (!x->coverage.positions_compared) return;
    for (size_t i = 0; i < x->n_positions; i++) n_bad += !x->positions[i].ok;
    if (n_bad)
        fprintf(f, "%zu of %zu positions outside the budget:\n\n", n_bad, x->n_positions);
    else
        fputs("Every position inside the budget; the worst:\n\n", f);
    position_head(f);
    for (size_t i = 0; i < x->n_positions && shown < SHOW_WORST; i++) {
        const ls_position *p = &x->positions[i];
        if (n_bad ? p->ok : !holds_a_worst(&x->summary, p->pos)) continue;
        position_row(r, f, p);
        shown++;
    }
    fputc('\n', f);
    if (n_bad > shown) fprintf(f, "and %zu more.\n\n", n_bad - shown);
}

/* ---- what is folded ---- */

static void begin_fold(FILE *f, const char *title)
{
    fprintf(f, "<details><summary>%s</summary>\n\n", title);
}

static void end_fold(FILE *f) { fputs("\n</details>\n\n", f); }

static void summary_row(FILE *f, const char *name, const ls_extreme *e, const double *mean,
                        cli_real form, const char *budget)
{
    fprintf(f, "| %s", name);
    number(f, e->value, form);
    fprintf(f, " | %d", (int)e->pos);
    if (mean)
        number(f, *mean, form);
    else
        fputs(" | ", f);
    fprintf(f, " | %s |\n", budget);
}

static void summary(const cli_report *r, FILE *f)
{
    const ls_summary *s = &r->result->summary;
    char              cos[40], nmse[40], kl[40];
    if (!r->result->coverage.positions_compared) return;
    snprintf(cos, sizeof(cos), "at least %.10g", r->budget.cos_tol);
    snprintf(nmse, sizeof(nmse), "at most %g", r->budget.nmse_tol);
    snprintf(kl, sizeof(kl), "at most %g", r->budget.kl_tol);
    begin_fold(f, "Summary");
    fputs("| | worst | at | mean | budget |\n|:---|---:|---:|---:|:---|\n", f);
    summary_row(f, "cosine", &s->min_cosine, &s->mean_cosine, CLI_FIXED, "");
    summary_row(f, "centred cosine", &s->min_cosine_centred, NULL, CLI_FIXED, cos);
    summary_row(f, "centred NMSE", &s->max_nmse, &s->mean_nmse, CLI_SCIENCE, nmse);
    summary_row(f, "KL, nats", &s->max_kl, &s->mean_kl, CLI_SCIENCE, kl);
    summary_row(f, "L2", &s->max_l2, &s->mean_l2, CLI_SCIENCE, "");
    summary_row(f, "max abs diff", &s->max_abs, &s->mean_abs, CLI_SCIENCE, "");
    fprintf(f,
            "\nThe most likely token agrees at %.4g %% of the positions: %d near ties, %d flips.\n",
            s->top1_agreement * 100, (int)s->near_ties, (int)s->flips);
    end_fold(f);
}

static void positions(const cli_report *r, FILE *f)
{
    const ls_per_token_result *x = r->result;
    size_t                     n = x->n_positions;
    if (!x->coverage.positions_compared) return;
    begin_fold(f, "Positions");
    position_head(f);
    for (size_t i = 0; i < n && i < SHOW_POSITIONS; i++) position_row(r, f, &x->positions[i]);
    if (n > SHOW_POSITIONS) fprintf(f, "\n%zu more: `--format csv` has all.\n", n - SHOW_POSITIONS);
    end_fold(f);
}

static void engine_line(FILE *f, const char *role, const ls_engine_info *e)
{
    if (!e->engine[0]) return;
    fprintf(f, "- %s: ", role);
    engine_name(f, e);
    fputs(", ", f);
    text(f, e->isa[0] ? e->isa : "unknown instruction set");
    fprintf(f, ", threads %d, batch %d, KV ", (int)e->n_threads, (int)e->n_batch);
    text(f, e->kv_type);
    fputc('\n', f);
}

static void settings(const cli_report *r, FILE *f)
{
    begin_fold(f, "Model, engines, settings");
    fputs("- model: ", f);
    code(f, r->model_path);
    if (r->sha256[0]) fprintf(f, ", sha256 `%s`", r->sha256);
    fputc('\n', f);
    engine_line(f, "subject", &r->result->subject_info);
    engine_line(f, "reference", &r->result->reference_info);
    fputs("- template: ", f);
    text(f, r->template_name);
    fputc('\n', f);
    for (size_t i = 0; i < r->faults->n; i++) {
        fputs("- fault injected into the subject: ", f);
        code(f, r->faults->at[i]);
        fputc('\n', f);
    }
    end_fold(f);
}

ls_status cli_report_markdown(const cli_report *r, FILE *f, ls_error *err)
{
    verdict(r, f);
    coverage(r, f);
    if (r->located) located(r->located, f);
    if (r->vote) vote(r->vote, f);
    worst(r, f);
    summary(r, f);
    positions(r, f);
    settings(r, f);
    (void)err; /* nothing but the stream can fail */
    return LS_OK;
}
