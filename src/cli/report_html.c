// SPDX-License-Identifier: MIT
/* report_html.c - a per-token comparison as one page that needs nothing else.
 *
 * report.html is the skeleton: {{name}} in it stands for what the section of that name writes.
 * Verdict, coverage, summary and tables are written here and in report_tables.c and can be read
 * without JavaScript; the script draws the map from the data in the page (report_map.c). A number
 * is a <data> element whose value is exact; what was not measured says so and is no number. */
#include "cli/report_html.h"

#include <math.h>
#include <string.h>

#include "cli/locate.h"
#include "cli/markup.h"
#include "cli/report_assets.h"
#include "cli/vote.h"

/* A row of a list of facts. */
static void fact(FILE *f, const char *name, const char *value)
{
    fprintf(f, "<dt>%s</dt><dd>", name);
    if (value[0])
        cli_html_text(f, value);
    else
        cli_html_not_known(f);
    fputs("</dd>\n", f);
}

/* ---- the head ---- */

static void title(const cli_report *r, FILE *f)
{
    fputs(cli_report_verdict(r), f);
    fputs(": ", f);
    cli_html_text(f, r->model_path);
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
        cli_html_text(f, sentence);
        fputs("</p>\n", f);
    }
    if (r->error && r->error->where[0]) {
        fputs("<p class=\"hint\">at ", f);
        cli_html_text(f, r->error->where);
        fputs("</p>\n", f);
    }
    if (hint[0]) {
        fputs("<p class=\"hint\">", f);
        cli_html_text(f, hint);
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
        cli_html_not_measured(f);
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
        cli_html_not_measured(f);
    else
        fputs(l->outlier == LS_OUTLIER_UNCLEAR ? "unclear" : "the ", f);
    if (l->judged && l->outlier != LS_OUTLIER_UNCLEAR) fputs(ls_outlier_name(l->outlier), f);
    fputs("</dd>\n", f);
    if (!l->judged) return;
    fputs("<dt>NMSE there, to the float64 oracle</dt><dd>", f);
    cli_html_number(f, l->subject_error, CLI_SCIENCE);
    fputs(" of the subject, ", f);
    cli_html_number(f, l->reference_error, CLI_SCIENCE);
    fputs(" of the reference</dd>\n", f);
}

static void located(const cli_report *r, FILE *f)
{
    const ls_located *l = r->located;
    char              place[96];
    if (!l) return;
    cli_html_begin_section(f, "located", "First operation over its budget");
    if (!l->found) {
        fputs("<p>None is over an NMSE of ", f);
        cli_html_number(f, l->budget, CLI_SHORT);
        fputs(" on the reference's own input.</p>\n", f);
        cli_html_end_section(f);
        return;
    }
    fprintf(f, "<p class=\"place\">%s <span class=\"tag\">%s</span></p>\n<dl class=\"facts\">\n",
            cli_located_place(l, place, sizeof(place)), l->born ? "born here" : "carried here");
    fputs("<dt>NMSE there, on the reference's own input</dt><dd id=\"located-isolated\">", f);
    if (l->born)
        cli_html_number(f, l->isolated, CLI_SCIENCE);
    else
        fputs("within the budget", f);
    fputs("</dd>\n<dt>the other way round, the reference on the subject's input</dt>"
          "<dd id=\"located-reverse\">",
          f);
    if (l->reversed)
        cli_html_number(f, l->isolated_reverse, CLI_SCIENCE);
    else
        cli_html_not_measured(f);
    if (ls_located_ways_disagree(l)) fputs(" (inside the budget: the two ways disagree)", f);
    fputs(
        "</dd>\n<dt>NMSE as the subject ran, at all positions</dt><dd id=\"located-accumulated\">",
        f);
    cli_html_number(f, l->accumulated, CLI_SCIENCE);
    fputs("</dd>\n<dt>budget</dt><dd>", f);
    cli_html_number(f, l->budget, CLI_SHORT);
    fputs("</dd>\n", f);
    if (l->born) outlier(l, f);
    fputs("</dl>\n", f);
    cli_html_end_section(f);
}

static void vote_row(FILE *f, const cli_vote *v, size_t i, size_t j)
{
    fputs("<tr><th scope=\"row\">", f);
    cli_html_text(f, v->voters[i].name);
    fputs("</th><td class=\"text\">", f);
    cli_html_text(f, v->voters[j].name);
    fputs("</td>", f);
    cli_html_cell(f, v->result.worst[i][j], CLI_SCIENCE, v->result.worst_at[i][j] >= 0);
    fputs("<td>", f);
    if (v->result.worst_at[i][j] >= 0) fprintf(f, "%d", (int)v->result.worst_at[i][j]);
    fputs("</td></tr>\n", f);
}

static void vote(const cli_report *r, FILE *f)
{
    static const char *const names[] = {"engine", "<and", "worst centred NMSE", "at position",
                                        NULL};
    const cli_vote          *v = r->vote;
    if (!v) return;
    cli_html_begin_section(f, "vote", "Vote of the engines");
    fputs("<p>", f);
    if (v->result.outlier >= 0) {
        cli_html_text(f, v->voters[v->result.outlier].name);
        fputs(" stands alone; the others agree.", f);
    } else {
        fputs(v->result.agree ? "All agree." : "No majority: nobody can be called wrong.", f);
    }
    fputs("</p>\n", f);
    cli_html_begin_table(f, "vote");
    cli_html_columns(f, names);
    for (size_t i = 0; i < v->n; i++)
        for (size_t j = i + 1; j < v->n; j++) vote_row(f, v, i, j);
    cli_html_end_table(f);
    cli_html_end_section(f);
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
        cli_html_not_known(f);
    fputs("</dd>\n<dt>tensors</dt><dd>", f);
    if (!n) cli_html_not_known(f);
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
    cli_html_text(f, cli_engine_name(e));
    fputc(' ', f);
    cli_html_text(f, e->version);
}

static void engine_isa(FILE *f, const ls_engine_info *e, const ls_engine_stats *s)
{
    (void)s;
    cli_html_text(f, e->isa[0] ? e->isa : "unknown");
}

static void engine_library(FILE *f, const ls_engine_info *e, const ls_engine_stats *s)
{
    (void)s;
    cli_html_text(f, e->library[0] ? e->library : "built in");
}

static void engine_threads(FILE *f, const ls_engine_info *e, const ls_engine_stats *s)
{
    (void)s;
    fprintf(f, "%d, batch %d", (int)e->n_threads, (int)e->n_batch);
}

static void engine_attention(FILE *f, const ls_engine_info *e, const ls_engine_stats *s)
{
    (void)s;
    cli_html_text(f, e->kv_type);
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
        cli_html_not_measured(f);
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
    bool                       any = x->subject_info.engine[0] || x->reference_info.engine[0];
    size_t                     n = any ? sizeof(rows) / sizeof(rows[0]) : 1;
    for (size_t i = 0; i < n; i++) {
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
    {"title", title},
    {"css", css},
    {"state", state},
    {"verdict", verdict},
    {"reason", reason},
    {"coverage", coverage},
    {"located", located},
    {"vote", vote},
    {"model", model},
    {"engines", engines},
    {"tokens", cli_html_tokens},
    {"map", map_note},
    {"summary", cli_html_summary},
    {"positions", cli_html_positions},
    {"taps", cli_html_taps},
    {"settings", settings},
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
