// SPDX-License-Identifier: MIT
/* report_html.c - a per-token comparison as one page that needs nothing else.
 *
 * report.html is the skeleton: {{name}} in it stands for what the section of that name writes.
 * Verdict, coverage, summary and tables are written here and can be read without JavaScript; the
 * script draws the map from the data in the page (report_map.c). A number is a <data> element whose
 * value is exact; what was not measured says so and is no number. */
#include "cli/report_html.h"

#include <math.h>
#include <string.h>

#include "cli/locate.h"
#include "cli/markup.h"
#include "cli/report_assets.h"
#include "cli/vote.h"

enum { TOKENS_AROUND = 12 };

static ls_str str(const char *s) { return (ls_str){s, strlen(s)}; }
static void   text(FILE *f, const char *s) { cli_markup_xml(f, str(s)); }

/* ---- pieces ---- */

static void not_measured(FILE *f) { fputs("<span class=\"unknown\">not measured</span>", f); }

/* The value as JavaScript spells it. */
static void number(FILE *f, double x, cli_real form)
{
    char shown[32];
    if (isfinite(x))
        fprintf(f, "<data value=\"%.17g\">", x);
    else
        fprintf(f, "<data value=\"%s\">", isnan(x) ? "NaN" : x < 0 ? "-Infinity" : "Infinity");
    fprintf(f, "%s</data>", cli_format_real(x, form, shown));
}

static void cell(FILE *f, double x, cli_real form, bool measured)
{
    fputs("<td>", f);
    if (measured)
        number(f, x, form);
    else
        not_measured(f);
    fputs("</td>", f);
}

/* An error of the map: -1 is the lack of one. */
static void error_cell(FILE *f, double nmse, size_t at)
{
    cell(f, nmse, CLI_SCIENCE, nmse != -1);
    if (nmse == -1)
        fputs("<td></td>", f);
    else
        fprintf(f, "<td>%zu</td>", at);
}

static void token(const cli_report *r, FILE *f, int32_t id)
{
    char   piece[256];
    ls_str s = cli_token_text(r, id, piece, sizeof(piece));
    if (id < 0) {
        not_measured(f);
        return;
    }
    fprintf(f, "%d", (int)id);
    if (!s.len) return;
    fputs(" <q>", f);
    cli_markup_xml(f, s);
    fputs("</q>", f);
}

static void token_cell(const cli_report *r, FILE *f, int32_t id)
{
    fputs("<td class=\"text\">", f);
    token(r, f, id);
    fputs("</td>", f);
}

static void not_known(FILE *f) { fputs("<span class=\"unknown\">not known</span>", f); }

/* A row of a list of facts. */
static void fact(FILE *f, const char *name, const char *value)
{
    fprintf(f, "<dt>%s</dt><dd>", name);
    if (value[0])
        text(f, value);
    else
        not_known(f);
    fputs("</dd>\n", f);
}

/* ---- the head ---- */

static void title(const cli_report *r, FILE *f)
{
    fputs(cli_report_verdict(r), f);
    fputs(": ", f);
    text(f, r->model_path);
}

/* The class by which the verdict is coloured. */
static void state(const cli_report *r, FILE *f)
{
    static const char *const of[] = {
        [LS_VERDICT_NONE] = "none",           [LS_VERDICT_MATCH] = "good",
        [LS_VERDICT_DIVERGED] = "bad",        [LS_VERDICT_TOKENS_DIFFER] = "bad",
        [LS_VERDICT_INCONCLUSIVE] = "unsure",
    };
    fputs(r->error ? "unsure" : of[r->result->verdict], f);
}

static void verdict(const cli_report *r, FILE *f) { fputs(cli_report_verdict(r), f); }

static void reason(const cli_report *r, FILE *f)
{
    const char *sentence = cli_report_sentence(r);
    const char *hint = r->error ? r->error->hint : r->result->error.hint;
    if (sentence[0]) {
        fputs("<p class=\"reason\">", f);
        text(f, sentence);
        fputs("</p>\n", f);
    }
    if (hint[0]) {
        fputs("<p class=\"hint\">", f);
        text(f, hint);
        fputs("</p>\n", f);
    }
    fprintf(f, "<p class=\"exit\">exit code %d</p>\n", r->exit_code);
}

static void count(FILE *f, const char *name, size_t compared, size_t planned)
{
    const char *class = !planned ? "unknown" : compared == planned ? "all" : "short";
    fprintf(f, "<div class=\"%s\"><dt>%s</dt><dd>", class, name);
    if (planned)
        fprintf(f, "<data value=\"%zu\">%zu</data> of <data value=\"%zu\">%zu</data>", compared,
                compared, planned, planned);
    else
        not_measured(f);
    fputs("</dd></div>\n", f);
}

static void coverage(const cli_report *r, FILE *f)
{
    const ls_coverage *c = &r->result->coverage;
    count(f, "positions", c->positions_compared, c->positions_planned);
    count(f, "logits at each", c->logits_compared, c->vocab);
    count(f, "taps", c->taps_compared, c->taps_planned);
}

/* What the float64 oracle makes of it. */
static void outlier(const ls_located *l, FILE *f)
{
    fputs("<dt>who is wrong</dt><dd>", f);
    if (!l->judged)
        not_measured(f);
    else
        fputs(l->outlier == LS_OUTLIER_UNCLEAR ? "unclear" : "the ", f);
    if (l->judged && l->outlier != LS_OUTLIER_UNCLEAR) fputs(ls_outlier_name(l->outlier), f);
    fputs("</dd>\n", f);
    if (!l->judged) return;
    fputs("<dt>NMSE to the float64 oracle</dt><dd>", f);
    number(f, l->subject_error, CLI_SCIENCE);
    fputs(" of the subject, ", f);
    number(f, l->reference_error, CLI_SCIENCE);
    fputs(" of the reference</dd>\n", f);
}

static void located(const cli_report *r, FILE *f)
{
    const ls_located *l = r->located;
    char              place[96];
    if (!l) return;
    fputs("<section aria-labelledby=\"located-title\">\n<h2 id=\"located-title\">First operation "
          "over "
          "its budget</h2>\n",
          f);
    if (!l->found) {
        fputs("<p>None is over an NMSE of ", f);
        number(f, l->budget, CLI_SHORT);
        fputs(" on the reference's own input.</p>\n</section>\n", f);
        return;
    }
    fprintf(f, "<p class=\"place\">%s <span class=\"tag\">%s</span></p>\n<dl class=\"facts\">\n",
            cli_located_place(l, place, sizeof(place)), l->born ? "born here" : "carried here");
    fputs("<dt>NMSE on the reference's own input</dt><dd id=\"located-isolated\">", f);
    if (l->born)
        number(f, l->isolated, CLI_SCIENCE);
    else
        fputs("within the budget", f);
    fputs("</dd>\n<dt>NMSE as the subject ran</dt><dd id=\"located-accumulated\">", f);
    number(f, l->accumulated, CLI_SCIENCE);
    fputs("</dd>\n<dt>budget</dt><dd>", f);
    number(f, l->budget, CLI_SHORT);
    fputs("</dd>\n", f);
    if (l->born) outlier(l, f);
    fputs("</dl>\n</section>\n", f);
}

static void vote_row(FILE *f, const cli_vote *v, size_t i, size_t j)
{
    fputs("<tr><th scope=\"row\">", f);
    text(f, v->voters[i].name);
    fputs("</th><td class=\"text\">", f);
    text(f, v->voters[j].name);
    fputs("</td>", f);
    cell(f, v->result.worst[i][j], CLI_SCIENCE, v->result.worst_at[i][j] >= 0);
    fputs("<td>", f);
    if (v->result.worst_at[i][j] >= 0) fprintf(f, "%d", (int)v->result.worst_at[i][j]);
    fputs("</td></tr>\n", f);
}

static void vote(const cli_report *r, FILE *f)
{
    const cli_vote *v = r->vote;
    if (!v) return;
    fputs(
        "<section aria-labelledby=\"vote-title\">\n<h2 id=\"vote-title\">Vote of the engines</h2>\n"
        "<p>",
        f);
    if (v->result.outlier >= 0) {
        text(f, v->voters[v->result.outlier].name);
        fputs(" stands alone; the others agree.", f);
    } else {
        fputs(v->result.agree ? "All agree." : "No majority: nobody can be called wrong.", f);
    }
    fputs("</p>\n<div class=\"wide\"><table id=\"vote\">\n<thead><tr><th scope=\"col\">engine</th>"
          "<th scope=\"col\" class=\"text\">and</th><th scope=\"col\">worst centred NMSE</th>"
          "<th scope=\"col\">at position</th></tr></thead>\n<tbody>\n",
          f);
    for (size_t i = 0; i < v->n; i++)
        for (size_t j = i + 1; j < v->n; j++) vote_row(f, v, i, j);
    fputs("</tbody></table></div>\n</section>\n", f);
}

/* ---- who ---- */

static void model(const cli_report *r, FILE *f)
{
    int    type[32];
    size_t number_of[32], n = r->gguf ? cli_tensor_types(r->gguf, type, number_of, 32) : 0;
    ls_str arch = {"", 0};
    fact(f, "file", r->model_path);
    fact(f, "sha256", r->sha256);
    if (r->gguf) ls_gguf_str(r->gguf, "general.architecture", &arch);
    fputs("<dt>architecture</dt><dd>", f);
    if (arch.len)
        cli_markup_xml(f, arch);
    else
        not_known(f);
    fputs("</dd>\n<dt>tensors</dt><dd>", f);
    if (!n) not_known(f);
    for (size_t i = 0; i < n; i++) {
        const char *name = ls_dtype_name(type[i]);
        fprintf(f, "%s%zu %s", i ? ", " : "", number_of[i], name ? name : "unknown");
    }
    fputs("</dd>\n", f);
}

typedef void engine_fact(FILE *f, const ls_engine_info *e, const ls_engine_stats *s);

static void engine_name(FILE *f, const ls_engine_info *e, const ls_engine_stats *s)
{
    (void)s;
    text(f, cli_engine_name(e));
    fputc(' ', f);
    text(f, e->version);
}

static void engine_isa(FILE *f, const ls_engine_info *e, const ls_engine_stats *s)
{
    (void)s;
    text(f, e->isa[0] ? e->isa : "unknown");
}

static void engine_library(FILE *f, const ls_engine_info *e, const ls_engine_stats *s)
{
    (void)s;
    text(f, e->library[0] ? e->library : "built in");
}

static void engine_threads(FILE *f, const ls_engine_info *e, const ls_engine_stats *s)
{
    (void)s;
    fprintf(f, "%d, batch %d", (int)e->n_threads, (int)e->n_batch);
}

static void engine_attention(FILE *f, const ls_engine_info *e, const ls_engine_stats *s)
{
    (void)s;
    text(f, e->kv_type);
    fprintf(f, ", flash attention %s", e->flash_attn == 1 ? "on" : "off");
}

static void engine_sums(FILE *f, const ls_engine_info *e, const ls_engine_stats *s)
{
    (void)s;
    if (e->lanes)
        fprintf(f, "%d wide%s", (int)e->lanes, e->follow ? ", in the reference's order" : "");
    else
        fputs("unknown", f);
}

static void engine_speed(FILE *f, const ls_engine_info *e, const ls_engine_stats *s)
{
    double seconds = (double)s->eval_ns * 1e-9;
    (void)e;
    if (s->n_tokens && seconds > 0)
        fprintf(f, "%llu in %.3f s: %.1f per second", (unsigned long long)s->n_tokens, seconds,
                (double)s->n_tokens / seconds);
    else
        not_measured(f);
}

static void engines(const cli_report *r, FILE *f)
{
    static const struct {
        const char  *name;
        engine_fact *write;
    } rows[] = {{"engine", engine_name},        {"instruction set", engine_isa},
                {"library", engine_library},    {"threads", engine_threads},
                {"KV cache", engine_attention}, {"sums", engine_sums},
                {"tokens", engine_speed}};
    const ls_per_token_result *x = r->result;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        fprintf(f, "<tr><th scope=\"row\">%s</th>", rows[i].name);
        for (int side = 0; side < 2; side++) {
            const ls_engine_info *e = side ? &x->reference_info : &x->subject_info;
            fputs("<td class=\"text\">", f);
            if (e->engine[0])
                rows[i].write(f, e, side ? &x->reference_stats : &x->subject_stats);
            else
                fputs("<span class=\"unknown\">not opened</span>", f);
            fputs("</td>", f);
        }
        fputs("</tr>\n", f);
    }
}

/* ---- token ids that differ ---- */

static void id_cell(const cli_report *r, FILE *f, const int32_t *ids, size_t n, size_t i)
{
    if (i < n)
        token_cell(r, f, ids[i]);
    else
        fputs("<td class=\"unknown\">(end)</td>", f);
}

static void tokens(const cli_report *r, FILE *f)
{
    const ls_per_token_result *x = r->result;
    size_t at, n = x->n_ids_subject > x->n_ids_reference ? x->n_ids_subject : x->n_ids_reference;
    if (x->first_difference < 0) return;
    at = (size_t)x->first_difference;
    fputs("<section aria-labelledby=\"tokens-title\">\n<h2 id=\"tokens-title\">Token ids</h2>\n",
          f);
    fprintf(f,
            "<p>They differ from index <data value=\"%zu\">%zu</data> on; nothing was evaluated.",
            at, at);
    fputs("</p>\n<div class=\"wide\"><table>\n<thead><tr><th scope=\"col\">index</th>"
          "<th scope=\"col\">subject</th><th scope=\"col\">reference</th></tr></thead>\n<tbody>\n",
          f);
    for (size_t i = at > TOKENS_AROUND ? at - TOKENS_AROUND : 0; i < n && i < at + TOKENS_AROUND;
         i++) {
        fprintf(f, "<tr%s><th scope=\"row\">%zu</th>", i == at ? " class=\"bad\"" : "", i);
        id_cell(r, f, x->ids_subject, x->n_ids_subject, i);
        id_cell(r, f, x->ids_reference, x->n_ids_reference, i);
        fputs("</tr>\n", f);
    }
    fputs("</tbody></table></div>\n</section>\n", f);
}

/* ---- tables ---- */

static void map_note(const cli_report *r, FILE *f)
{
    if (!r->result->n_positions)
        fputs("<p class=\"note\">No position was evaluated.</p>\n", f);
    else if (!r->located || !r->located->map.n_rows)
        fputs(
            "<p class=\"note\">No taps: run with <code>--locate</code>. Without them there are no "
            "layers to show.</p>\n",
            f);
}

static void summary_row(FILE *f, const char *name, const ls_extreme *e, const double *mean,
                        cli_real form, const char *budget)
{
    bool measured = e->pos >= 0;
    fprintf(f, "<tr><th scope=\"row\">%s</th>", name);
    cell(f, e->value, form, measured);
    fputs("<td>", f);
    if (measured) fprintf(f, "%d", (int)e->pos);
    fputs("</td>", f);
    if (mean)
        cell(f, *mean, form, measured);
    else
        fputs("<td></td>", f);
    fprintf(f, "<td class=\"text\">%s</td></tr>\n", budget);
}

static void summary(const cli_report *r, FILE *f)
{
    const ls_summary *s = &r->result->summary;
    char              cos[64], nmse[64], kl[64];
    snprintf(cos, sizeof(cos), "at least %.10g", r->budget.cos_tol);
    snprintf(nmse, sizeof(nmse), "at most %g", r->budget.nmse_tol);
    snprintf(kl, sizeof(kl), "at most %g", r->budget.kl_tol);
    fputs("<section aria-labelledby=\"summary-title\">\n<h2 id=\"summary-title\">Summary</h2>\n"
          "<div class=\"wide\"><table id=\"summary\">\n<thead><tr><td></td><th "
          "scope=\"col\">worst</th>"
          "<th scope=\"col\">at position</th><th scope=\"col\">mean</th>"
          "<th scope=\"col\" class=\"text\">budget</th></tr></thead>\n<tbody>\n",
          f);
    summary_row(f, "cosine", &s->min_cosine, &s->mean_cosine, CLI_FIXED, "");
    summary_row(f, "centred cosine", &s->min_cosine_centred, NULL, CLI_FIXED, cos);
    summary_row(f, "centred NMSE", &s->max_nmse, &s->mean_nmse, CLI_SCIENCE, nmse);
    summary_row(f, "KL divergence, nats", &s->max_kl, &s->mean_kl, CLI_SCIENCE, kl);
    summary_row(f, "L2 distance", &s->max_l2, &s->mean_l2, CLI_SCIENCE, "");
    summary_row(f, "largest difference", &s->max_abs, &s->mean_abs, CLI_SCIENCE, "");
    fputs("</tbody></table></div>\n<p>", f);
    if (r->result->coverage.positions_compared)
        fprintf(
            f,
            "The most likely token agrees at %.4g %% of the positions (near ties: %d, flips: %d); "
            "%zu of %zu positions are equal to the last bit.",
            s->top1_agreement * 100, (int)s->near_ties, (int)s->flips, s->n_equal,
            r->result->n_positions);
    fputs("</p>\n</section>\n", f);
}

static void position_row(const cli_report *r, FILE *f, const ls_position *p, bool both)
{
    bool bad = !p->finite || (both && !p->ok);
    fprintf(f, "<tr id=\"p%d\"%s><th scope=\"row\">%d</th>", (int)p->pos,
            bad ? " class=\"bad\"" : "", (int)p->pos);
    token_cell(r, f, p->token);
    cell(f, p->cosine, CLI_FIXED, both);
    cell(f, p->cosine_centred, CLI_FIXED, both);
    cell(f, p->nmse, CLI_SCIENCE, both);
    cell(f, p->kl, CLI_SCIENCE, both);
    cell(f, p->max_abs, CLI_SCIENCE, both);
    cell(f, p->margin, CLI_SCIENCE, true);
    token_cell(r, f, p->top1_subject);
    token_cell(r, f, p->top1_reference);
    fprintf(f, "<td class=\"text\">%s</td></tr>\n",
            !p->finite ? "NaN or Inf"
            : bad      ? cli_broken_part(p, &r->budget)
                       : "");
}

static void positions(const cli_report *r, FILE *f)
{
    const ls_per_token_result *x = r->result;
    if (!x->n_positions) return;
    fputs(
        "<section aria-labelledby=\"positions-title\">\n<h2 id=\"positions-title\">Positions</h2>\n"
        "<div class=\"wide tall\" tabindex=\"0\" role=\"region\" "
        "aria-labelledby=\"positions-title\"><table id=\"positions\" class=\"sortable\">\n"
        "<thead><tr><th scope=\"col\">position</th><th scope=\"col\" class=\"text\">token</th>"
        "<th scope=\"col\">cosine</th><th scope=\"col\">centred</th><th scope=\"col\">NMSE</th>"
        "<th scope=\"col\">KL</th><th scope=\"col\">max |d|</th><th scope=\"col\">margin</th>"
        "<th scope=\"col\" class=\"text\">subject's choice</th>"
        "<th scope=\"col\" class=\"text\">reference's choice</th>"
        "<th scope=\"col\" class=\"text\">outside</th></tr></thead>\n<tbody>\n",
        f);
    for (size_t i = 0; i < x->n_positions; i++)
        position_row(r, f, &x->positions[i], x->coverage.positions_compared > 0);
    fputs("</tbody></table></div>\n</section>\n", f);
}

static void tap_row(FILE *f, const ls_map_row *row, size_t i, size_t n_positions, double budget)
{
    cli_tap_summary t = cli_summarise_tap(row, n_positions, budget);
    fprintf(f, "<tr data-row=\"%zu\"%s><td>", i, t.n_over ? " class=\"bad\"" : "");
    if (row->layer >= 0) fprintf(f, "%d", (int)row->layer);
    fprintf(f, "</td><th scope=\"row\">%s</th><td class=\"text\">", ls_op_name(row->op));
    if (row->heads > 1) fprintf(f, "%zu &times; ", row->heads);
    fprintf(f, "%zu</td>", row->n);
    error_cell(f, t.isolated, t.isolated_at);
    error_cell(f, t.accumulated, t.accumulated_at);
    if (t.n_isolated)
        fprintf(f, "<td>%zu of %zu</td></tr>\n", t.n_over, t.n_isolated);
    else
        fputs("<td></td></tr>\n", f);
}

static void not_shown(const ls_located *l, FILE *f)
{
    bool any = false;
    for (int op = 0; op < LS_N_OPS; op++) {
        if (!l->declined[op]) continue;
        fprintf(f, "%s%s", any ? ", " : "<p>Not shown by the reference: ", ls_op_name((ls_op)op));
        any = true;
    }
    if (any) fputs(".</p>\n", f);
}

static void taps(const cli_report *r, FILE *f)
{
    const ls_located *l = r->located;
    if (!l) return;
    fputs("<section aria-labelledby=\"taps-title\">\n<h2 id=\"taps-title\">Taps</h2>\n", f);
    fprintf(
        f,
        "<p>%zu of %zu compared, %zu equal to the last bit. A tap is the result of one operation"
        " at every position.</p>\n",
        l->taps_compared, l->taps_planned, l->taps_equal);
    not_shown(l, f);
    if (l->map.n_rows) {
        fputs("<div class=\"wide tall\" tabindex=\"0\" role=\"region\" "
              "aria-labelledby=\"taps-title\">"
              "<table id=\"taps\" class=\"sortable\">\n<thead><tr><th scope=\"col\">layer</th>"
              "<th scope=\"col\">operation</th><th scope=\"col\" class=\"text\">shape</th>"
              "<th scope=\"col\">worst isolated NMSE</th><th scope=\"col\">at</th>"
              "<th scope=\"col\">worst accumulated NMSE</th><th scope=\"col\">at</th>"
              "<th scope=\"col\">positions over budget</th></tr></thead>\n<tbody>\n",
              f);
        for (size_t i = 0; i < l->map.n_rows; i++)
            tap_row(f, &l->map.rows[i], i, l->map.n_positions, l->budget);
        fputs("</tbody></table></div>\n", f);
    }
    fputs("</section>\n", f);
}

static void settings(const cli_report *r, FILE *f)
{
    if (r->prompt) {
        fputs("<dt>prompt</dt><dd class=\"prompt\">", f);
        cli_markup_xml(f, (ls_str){r->prompt, r->prompt_len});
        fputs("</dd>\n", f);
    }
    fact(f, "template", r->template_name);
    fact(f, "engines run", r->backend);
    for (size_t i = 0; i < r->faults->n; i++) fact(f, "fault in the subject", r->faults->at[i]);
    fputs("<dt>near ties</dt><dd>", f);
    fputs(r->budget.strict ? "diverge (--strict)" : "count as equal", f);
    fputs("</dd>\n<dt>rounding of activations</dt><dd>", f);
    fputs(r->act_quant == LS_ROUND_I8 ? "i8" : "auto", f);
    fputs("</dd>\n", f);
}

/* ---- the page ---- */

static void asset(const cli_report *r, FILE *f, size_t i)
{
    (void)r;
    fwrite(cli_assets[i].bytes, 1, cli_assets[i].size, f);
}
static void css(const cli_report *r, FILE *f) { asset(r, f, 1); }
static void js(const cli_report *r, FILE *f) { asset(r, f, 2); }

static const struct section {
    const char *name;
    void (*write)(const cli_report *r, FILE *f);
} sections[] = {
    {"title", title},     {"css", css},
    {"state", state},     {"verdict", verdict},
    {"reason", reason},   {"coverage", coverage},
    {"located", located}, {"vote", vote},
    {"model", model},     {"engines", engines},
    {"tokens", tokens},   {"map", map_note},
    {"summary", summary}, {"positions", positions},
    {"taps", taps},       {"settings", settings},
    {"js", js},
};

/* What stands between the braces. The data alone can fail. */
static ls_status write_section(const cli_report *r, ls_str name, FILE *f, ls_error *err)
{
    for (size_t i = 0; i < sizeof(sections) / sizeof(sections[0]); i++) {
        if (!ls_str_is(name, sections[i].name)) continue;
        sections[i].write(r, f);
        return LS_OK;
    }
    if (ls_str_is(name, "data")) return cli_report_data(r, f, err);
    return ls_fail(err, LS_ERR_INTERNAL, "the page has no section '%.*s'", (int)name.len, name.p);
}

ls_status cli_report_html(const cli_report *r, FILE *f, ls_error *err)
{
    const char *p = (const char *)cli_assets[0].bytes, *end = p + cli_assets[0].size;
    while (p < end) {
        const char *open = memmem(p, (size_t)(end - p), "{{", 2), *close;
        close = open ? memmem(open, (size_t)(end - open), "}}", 2) : NULL;
        if (!close) break;
        fwrite(p, 1, (size_t)(open - p), f);
        LS_TRY(write_section(r, (ls_str){open + 2, (size_t)(close - open - 2)}, f, err));
        p = close + 2;
    }
    fwrite(p, 1, (size_t)(end - p), f);
    return LS_OK;
}
