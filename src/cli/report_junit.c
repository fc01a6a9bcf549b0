// SPDX-License-Identifier: MIT
/* report_junit.c - a per-token comparison as JUnit's XML, for what runs tests and shows results.
 *
 * One suite: the verdict, the token ids, a case per position, and with --locate one per operation
 * of every layer. What was planned and not compared is an error, never a pass. The suite's totals
 * stand before its cases, so every case is judged twice by the same function: to count, and to
 * print. */
#include <math.h>
#include <string.h>

#include "cli/locate.h"
#include "cli/markup.h"
#include "cli/report.h"
#include "cli/vote.h"

typedef enum outcome { PASSED, FAILED, ERRED, SKIPPED } outcome;

/* Counts where f is NULL, else prints. */
typedef struct suite {
    const cli_report *r;
    FILE             *f;
    size_t            n, of[4];
} suite;

static ls_str str(const char *s) { return (ls_str){s, strlen(s)}; }

static void attribute(FILE *f, const char *name, const char *value)
{
    fprintf(f, " %s=\"", name);
    cli_markup_xml(f, str(value));
    fputc('"', f);
}

/* A case of class "lockstep.GROUP". `type` is the machine's word, `message` the sentence. */
static void test_case(suite *s, const char *group, const char *name, outcome o, const char *type,
                      const char *message)
{
    static const char *const tags[] = {"", "failure", "error", "skipped"};
    s->n++;
    s->of[o]++;
    if (!s->f) return;
    fprintf(s->f, "    <testcase classname=\"lockstep.%s\"", group);
    attribute(s->f, "name", name);
    if (o == PASSED) {
        fputs("/>\n", s->f);
        return;
    }
    fprintf(s->f, ">\n      <%s", tags[o]);
    if (o != SKIPPED) attribute(s->f, "type", type);
    attribute(s->f, "message", message);
    fputs("/>\n    </testcase>\n", s->f);
}

/* ---- the cases ---- */

static void verdict_case(suite *s)
{
    static const outcome of[] = {[LS_VERDICT_NONE] = SKIPPED,
                                 [LS_VERDICT_MATCH] = PASSED,
                                 [LS_VERDICT_DIVERGED] = FAILED,
                                 [LS_VERDICT_TOKENS_DIFFER] = FAILED,
                                 [LS_VERDICT_INCONCLUSIVE] = ERRED};
    const cli_report    *r = s->r;
    char                 message[1200];
    snprintf(message, sizeof(message), "%s: %s", cli_report_verdict(r), cli_report_sentence(r));
    test_case(s, "verdict", "verdict", r->error ? ERRED : of[r->result->verdict],
              r->error ? ls_status_name(r->error->status) : r->result->reason_code, message);
}

static void tokens_case(suite *s)
{
    const ls_per_token_result *x = s->r->result;
    char                       message[128];
    if (!x->ids_subject || !x->ids_reference) return;
    snprintf(message, sizeof(message), "first difference at index %d", (int)x->first_difference);
    test_case(s, "tokens", "token ids", x->first_difference >= 0 ? FAILED : PASSED, "token-ids",
              message);
}

static void position_case(suite *s, const ls_position *p, bool compared)
{
    const ls_budget *b = &s->r->budget;
    const char      *group = p->decode ? "decode" : "prompt";
    char             piece[64], name[160], message[400];
    ls_str           text = cli_token_text(s->r, p->token, piece, sizeof(piece));
    snprintf(name, sizeof(name), "position %d, token %d '%.*s'", (int)p->pos, (int)p->token,
             (int)text.len, text.p);
    if (!compared) {
        test_case(s, group, name, p->finite ? SKIPPED : FAILED, "NaN or Inf",
                  p->finite ? "one engine ran alone" : "NaN or Inf");
        return;
    }
    snprintf(message, sizeof(message),
             "%s: centred cosine %.9g (at least %.9g), NMSE %.3g (at most %g), KL %.3g (at most "
             "%g), most likely %d, reference %d",
             cli_broken_part(p, b), p->cosine_centred, b->cos_tol, p->nmse, b->nmse_tol, p->kl,
             b->kl_tol, (int)p->top1_subject, (int)p->top1_reference);
    test_case(s, group, name, p->ok ? PASSED : FAILED, cli_broken_part(p, b), message);
}

static void position_cases(suite *s)
{
    const ls_per_token_result *x = s->r->result;
    const ls_coverage         *c = &x->coverage;
    char                       name[64];
    for (size_t i = 0; i < x->n_positions; i++)
        position_case(s, &x->positions[i], c->positions_compared > 0);
    if (x->verdict == LS_VERDICT_TOKENS_DIFFER)
        return; /* that is the failure: none was to follow */
    for (size_t i = x->n_positions; i < c->positions_planned; i++) {
        snprintf(name, sizeof(name), "position %zu", i);
        test_case(s, "missing", name, ERRED, "not-compared", "planned, but not compared");
    }
}

static void tap_name(char *name, size_t cap, ls_op op, int32_t layer)
{
    if (layer >= 0)
        snprintf(name, cap, "layer %d, %s", (int)layer, ls_op_name(op));
    else
        snprintf(name, cap, "%s", ls_op_name(op));
}

static void tap_case(suite *s, const ls_map_row *row)
{
    const ls_located *l = s->r->located;
    cli_tap_summary   t = cli_summarise_tap(row, l->map.n_positions, l->budget);
    char              name[96], message[256];
    bool              some = t.n_isolated > 0, all = t.n_isolated == l->map.n_positions;
    tap_name(name, sizeof(name), row->op, row->layer);
    if (t.n_over) {
        snprintf(
            message, sizeof(message),
            "NMSE %.3g at position %zu on the reference's own input, the budget is %g; over it "
            "at %zu of %zu positions",
            t.isolated, t.isolated_at, l->budget, t.n_over, l->map.n_positions);
        test_case(s, "taps", name, FAILED, isnan(t.isolated) ? "nan" : "tap", message);
        return;
    }
    snprintf(message, sizeof(message),
             "compared on the reference's own input at %zu of %zu positions", t.n_isolated,
             l->map.n_positions);
    test_case(s, "taps", name, all ? PASSED : some ? ERRED : SKIPPED, "not-compared", message);
}

/* Without a map one case says what was located. */
static void located_case(suite *s, const ls_located *l)
{
    char place[96], message[256] = "";
    if (l->found && l->born)
        snprintf(message, sizeof(message), "%s: born here, NMSE %.3g, the budget is %g",
                 cli_located_place(l, place, sizeof(place)), l->isolated, l->budget);
    test_case(s, "taps", "operations", *message ? FAILED : PASSED, "tap", message);
}

static void tap_cases(suite *s)
{
    const ls_located *l = s->r->located;
    if (!l) return;
    for (size_t i = 0; i < l->map.n_rows; i++) tap_case(s, &l->map.rows[i]);
    if (!l->map.n_rows) located_case(s, l);
    for (int op = 0; op < LS_N_OPS; op++) {
        if (!l->declined[op]) continue;
        test_case(s, "taps", ls_op_name((ls_op)op), SKIPPED, "", "not shown by the reference");
    }
}

static void cases(suite *s)
{
    verdict_case(s);
    tokens_case(s);
    position_cases(s);
    tap_cases(s);
}

/* ---- the document ---- */

static void property(FILE *f, const char *name, const char *value)
{
    if (!value[0]) return;
    fputs("      <property", f);
    attribute(f, "name", name);
    attribute(f, "value", value);
    fputs("/>\n", f);
}

static void count(FILE *f, const char *name, size_t compared, size_t planned)
{
    char value[64];
    snprintf(value, sizeof(value), "%zu of %zu", compared, planned);
    property(f, name, planned ? value : "not measured");
}

static void engine(FILE *f, const char *role, const ls_engine_info *e)
{
    char value[192];
    if (!e->engine[0]) return;
    snprintf(value, sizeof(value), "%s %s %s", e->engine, e->version, e->isa);
    property(f, role, value);
}

static void properties(const cli_report *r, FILE *f)
{
    const ls_per_token_result *x = r->result;
    const ls_coverage         *c = &x->coverage;
    fputs("    <properties>\n", f);
    property(f, "verdict", cli_report_verdict(r));
    property(f, "model", r->model_path);
    property(f, "sha256", r->sha256);
    engine(f, "subject", &x->subject_info);
    engine(f, "reference", &x->reference_info);
    count(f, "positions", c->positions_compared, c->positions_planned);
    count(f, "logits", c->logits_compared, c->positions_compared ? c->vocab : 0);
    count(f, "taps", c->taps_compared, c->taps_planned);
    if (r->located && r->located->judged)
        property(f, "wrong", ls_outlier_name(r->located->outlier));
    if (r->vote)
        property(f, "alone",
                 r->vote->result.outlier >= 0 ? r->vote->voters[r->vote->result.outlier].name
                                              : "nobody");
    for (size_t i = 0; i < r->faults->n; i++) property(f, "fault", r->faults->at[i]);
    fputs("    </properties>\n", f);
}

static void totals(const suite *s, FILE *f)
{
    const ls_per_token_result *x = s->r->result;
    double seconds = (double)(x->subject_stats.eval_ns + x->reference_stats.eval_ns) * 1e-9;
    fprintf(f, " tests=\"%zu\" failures=\"%zu\" errors=\"%zu\" skipped=\"%zu\" time=\"%.3f\">\n",
            s->n, s->of[FAILED], s->of[ERRED], s->of[SKIPPED], seconds);
}

ls_status cli_report_junit(const cli_report *r, FILE *f, ls_error *err)
{
    suite counted = {.r = r}, printed = {.r = r, .f = f};
    cases(&counted);
    fputs("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites", f);
    totals(&counted, f);
    fputs("  <testsuite name=\"lockstep crossval per-token\"", f);
    totals(&counted, f);
    properties(r, f);
    cases(&printed);
    fputs("  </testsuite>\n</testsuites>\n", f);
    (void)err; /* nothing but the stream can fail */
    return LS_OK;
}
