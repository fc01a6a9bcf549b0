// SPDX-License-Identifier: MIT
/* report_json.c - a per-token comparison as JSON, schema "lockstep.crossval/1". */
#include <math.h>
#include <string.h>

#include "cli/cli_json.h"
#include "cli/report.h"
#include "cli/vote.h"

/* JSON has no NaN and no infinity: they are written as text, never left out. */
static json_t *number(double x)
{
    if (isnan(x)) return json_string("NaN");
    if (isinf(x)) return json_string(x > 0 ? "Infinity" : "-Infinity");
    return json_real(x);
}

static json_t *index_or_null(int32_t i) { return i < 0 ? json_null() : json_integer(i); }

static json_t *text(const char *s) { return cli_json_text(s, strlen(s)); }

static json_t *ids(const int32_t *at, size_t n)
{
    json_t *a = json_array();
    for (size_t i = 0; i < n; i++) json_array_append_new(a, json_integer(at[i]));
    return a;
}

/* ---- who ---- */

static json_t *model(const cli_report *r)
{
    ls_str  arch;
    int     type[32];
    size_t  count[32], n = r->gguf ? cli_tensor_types(r->gguf, type, count, 32) : 0;
    json_t *types = json_object();
    for (size_t i = 0; i < n; i++) {
        const char *name = ls_dtype_name(type[i]);
        json_object_set_new(types, name ? name : "unknown", json_integer((json_int_t)count[i]));
    }
    return json_pack("{s:o, s:o, s:o, s:o}", "path", text(r->model_path), "sha256",
                     r->sha256[0] ? json_string(r->sha256) : json_null(), "architecture",
                     r->gguf && ls_gguf_str(r->gguf, "general.architecture", &arch)
                         ? cli_json_text(arch.p, arch.len)
                         : json_null(),
                     "types", types);
}

static json_t *engine(const ls_engine_info *e, const ls_engine_stats *s)
{
    double seconds = (double)s->eval_ns * 1e-9;
    if (!e->engine[0]) return json_null();
    return json_pack(
        "{s:s, s:o, s:o, s:o, s:i, s:i, s:s, s:b, s:i, s:s, s:i, s:i, s:I, s:f, s:f, s:f}",
        "engine", e->engine, "version", text(e->version), "isa", text(e->isa), "library",
        text(e->library), "threads", (int)e->n_threads, "batch", (int)e->n_batch, "kv_type",
        e->kv_type, "flash_attn", e->flash_attn == 1, "lanes", (int)e->lanes, "sums",
        e->follow ? "reference" : "own", "n_ctx", (int)e->n_ctx, "n_vocab", (int)e->n_vocab,
        "n_tokens", (json_int_t)s->n_tokens, "load_ms", (double)s->load_ns * 1e-6, "wall_ms",
        (double)s->eval_ns * 1e-6, "tokens_per_second",
        seconds > 0 ? (double)s->n_tokens / seconds : 0.0);
}

static json_t *tokens(const cli_report *r)
{
    const ls_per_token_result *x = r->result;
    bool                       own = x->ids_subject != NULL;
    const int32_t             *prompt = own ? x->ids_subject : x->ids_reference;
    size_t                     n = own ? x->n_ids_subject : x->n_ids_reference;
    bool    bos = r->tokenizer && n && prompt[0] == ls_tokenizer_bos(r->tokenizer);
    json_t *t = json_pack("{s:o, s:o, s:b, s:s, s:o}", "prompt", ids(prompt, n), "decoded",
                          ids(x->decoded, x->n_decoded), "bos", (int)bos, "template",
                          r->template_name, "first_difference", index_or_null(x->first_difference));
    if (t && x->first_difference >= 0)
        json_object_set_new(t, "prompt_reference", ids(x->ids_reference, x->n_ids_reference));
    return t;
}

/* ---- what was found ---- */

static json_t *coverage(const ls_coverage *c)
{
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I}", "positions_planned",
                     (json_int_t)c->positions_planned, "positions_compared",
                     (json_int_t)c->positions_compared, "vocab", (json_int_t)c->vocab,
                     "logits_compared", (json_int_t)c->logits_compared, "taps_planned",
                     (json_int_t)c->taps_planned, "taps_compared", (json_int_t)c->taps_compared);
}

/* One engine alone has an arg max and a margin, but nothing to compare them with. */
static json_t *lone_position(const ls_position *p)
{
    return json_pack("{s:i, s:i, s:s, s:o, s:o, s:o, s:b}", "pos", (int)p->pos, "token",
                     (int)p->token, "phase", p->decode ? "decode" : "prompt", "top1_subject",
                     index_or_null(p->top1_subject), "top1_reference",
                     index_or_null(p->top1_reference), "margin", number(p->margin), "finite",
                     (int)p->finite);
}

static json_t *position(const ls_position *p)
{
    static const char *const flips[] = {"none", "near_tie", "flip"};
    return json_pack(
        "{s:i, s:i, s:s, s:o, s:o, s:o, s:o, s:i, s:o, s:o, s:i, s:i, s:o, s:o, s:s, s:b}", "pos",
        (int)p->pos, "token", (int)p->token, "phase", p->decode ? "decode" : "prompt", "cosine",
        number(p->cosine), "cosine_centred", number(p->cosine_centred), "l2", number(p->l2),
        "max_abs", number(p->max_abs), "max_abs_token", (int)p->max_abs_token, "nmse",
        number(p->nmse), "kl", number(p->kl), "top1_subject", (int)p->top1_subject,
        "top1_reference", (int)p->top1_reference, "margin", number(p->margin), "sigma",
        number(p->sigma), "flip", flips[p->flip], "ok", (int)p->ok);
}

/* Where nothing was compared there is no worst value, and null says so. */
static json_t *extreme(const ls_extreme *e)
{
    return json_pack("{s:o, s:o}", "value", e->pos < 0 ? json_null() : number(e->value), "pos",
                     index_or_null(e->pos));
}

static json_t *summary(const ls_per_token_result *x)
{
    const ls_summary *s = &x->summary;
    const struct {
        const char *name;
        double      value;
    } means[] = {{"mean_cosine", s->mean_cosine}, {"mean_l2", s->mean_l2},
                 {"mean_abs", s->mean_abs},       {"mean_nmse", s->mean_nmse},
                 {"mean_kl", s->mean_kl},         {"top1_agreement", s->top1_agreement}};
    json_t *j =
        json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:i, s:i, s:o, s:I, s:o}", "min_cosine",
                  extreme(&s->min_cosine), "min_cosine_centred", extreme(&s->min_cosine_centred),
                  "max_l2", extreme(&s->max_l2), "max_abs", extreme(&s->max_abs), "max_abs_token",
                  index_or_null(s->max_abs_token), "max_nmse", extreme(&s->max_nmse), "max_kl",
                  extreme(&s->max_kl), "near_ties", (int)s->near_ties, "flips", (int)s->flips,
                  "first_divergence", index_or_null(s->first_divergence), "bit_equal_positions",
                  (json_int_t)s->n_equal, "first_bit_difference", index_or_null(s->first_unequal));
    for (size_t i = 0; j && i < sizeof(means) / sizeof(means[0]); i++)
        json_object_set_new(j, means[i].name,
                            x->coverage.positions_compared ? number(means[i].value) : json_null());
    return j;
}

static json_t *faults(const cli_report *r)
{
    json_t *a = json_array();
    for (size_t i = 0; i < r->faults->n; i++) json_array_append_new(a, text(r->faults->at[i]));
    return a;
}

/* Keys that readers of the original tool's output know. */
static void compatibility(json_t *root, const cli_report *r)
{
    const ls_per_token_result *x = r->result;
    const ls_summary          *s = &x->summary;
    size_t                     n = x->coverage.positions_compared;
    json_t                    *cosine = json_array(), *l2 = json_array();
    for (size_t i = 0; i < n; i++) {
        json_array_append_new(cosine, number(x->positions[i].cosine));
        json_array_append_new(l2, number(x->positions[i].l2));
    }
    json_object_set_new(root, "first_divergence_token", index_or_null(s->first_divergence));
    json_object_set_new(root, "per_token_cosine_sim", cosine);
    json_object_set_new(root, "per_token_l2_dist", l2);
    json_object_set_new(root, "max_absolute_diff", n ? number(s->max_abs.value) : json_null());
    json_object_set_new(root, "threshold", number(r->budget.cos_tol));
    json_object_set_new(root, "divergence_token", json_integer(s->first_divergence));
    json_object_set_new(root, "metrics",
                        json_pack("{s:o, s:o, s:o, s:I}", "min_cosine_similarity",
                                  n ? number(s->min_cosine.value) : json_null(), "max_l2_distance",
                                  n ? number(s->max_l2.value) : json_null(), "mean_abs_difference",
                                  n ? number(s->mean_abs) : json_null(), "token_count",
                                  (json_int_t)n));
}

static json_t *names(const bool ops[LS_N_OPS])
{
    json_t *out = json_array();
    for (int op = 0; op < LS_N_OPS; op++)
        if (ops[op]) json_array_append_new(out, json_string(ls_op_name((ls_op)op)));
    return out;
}

/* What the comparison of operations covered, and the first that has other bits. */
static json_t *taps(const ls_located *l)
{
    json_t *first = json_null();
    if (l->other_bits)
        first = json_pack("{s:o, s:s}", "layer", index_or_null(l->bits_layer), "op",
                          ls_op_name(l->bits_op));
    return json_pack("{s:I, s:I, s:I, s:o, s:o}", "planned", (json_int_t)l->taps_planned,
                     "compared", (json_int_t)l->taps_compared, "bit_equal",
                     (json_int_t)l->taps_equal, "not_shown", names(l->declined), "first_other_bits",
                     first);
}

/* Where the first operation over its budget is; null: nowhere. */
static json_t *located(const ls_located *l)
{
    if (!l->found) return json_null();
    return json_pack("{s:o, s:s, s:i, s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "layer",
                     index_or_null(l->layer), "op", ls_op_name(l->op), "position", (int)l->position,
                     "origin", l->born ? "born" : "carried", "outlier", ls_outlier_name(l->outlier),
                     "isolated", l->born ? number(l->isolated) : json_null(), "isolated_reverse",
                     l->reversed ? number(l->isolated_reverse) : json_null(), "not_stepped",
                     names(l->not_stepped), "accumulated", number(l->accumulated), "budget",
                     number(l->budget), "subject_error",
                     l->judged ? number(l->subject_error) : json_null(), "reference_error",
                     l->judged ? number(l->reference_error) : json_null(), "rho",
                     l->judged ? number(l->rho) : json_null());
}

/* Distances between all engines; who stands alone; with the oracle, rho of every position. */
static json_t *vote(const cli_vote *v)
{
    json_t *engines = json_array(), *pairs = json_array(), *rho = json_array();
    for (size_t i = 0; i < v->n; i++) {
        json_array_append_new(engines, json_string(v->voters[i].name));
        for (size_t j = i + 1; j < v->n; j++)
            json_array_append_new(pairs, json_pack("{s:s, s:s, s:o, s:i}", "a", v->voters[i].name,
                                                   "b", v->voters[j].name, "nmse",
                                                   number(v->result.worst[i][j]), "position",
                                                   (int)v->result.worst_at[i][j]));
    }
    for (size_t i = 0; v->oracle >= 0 && i < v->result.n_positions; i++)
        json_array_append_new(rho, number(cli_vote_rho(v, i)));
    return json_pack("{s:o, s:o, s:b, s:o, s:o}", "engines", engines, "pairs", pairs, "agree",
                     (int)v->result.agree, "outlier",
                     v->result.outlier < 0 ? json_null()
                                           : json_string(v->voters[v->result.outlier].name),
                     "rho", rho);
}

json_t *cli_report_json_build(const cli_report *r)
{
    const ls_per_token_result *x = r->result;
    const char                *status = r->error ? "error" : ls_verdict_status(x->verdict);
    json_t                    *positions = json_array();
    json_t                    *root = json_pack(
                           "{s:s, s:s, s:i, s:o, s:s, s:s, s:s, s:o, s:o, s:o, s:o, s:o}", "schema",
                           "lockstep.crossval/1", "verdict", ls_verdict_name(x->verdict), "exit_code", r->exit_code,
                           "reason", text(r->error ? r->error->what : x->reason), "reason_code",
        r->error ? ls_status_name(r->error->status) : x->reason_code, "status", status, "backend",
                           r->backend, "model", model(r), "subject", engine(&x->subject_info, &x->subject_stats),
                           "reference", engine(&x->reference_info, &x->reference_stats), "tokens", tokens(r),
                           "coverage", coverage(&x->coverage));
    for (size_t i = 0; i < x->n_positions; i++)
        json_array_append_new(positions, x->coverage.positions_compared
                                             ? position(&x->positions[i])
                                             : lone_position(&x->positions[i]));
    if (!root) {
        json_decref(positions);
        return NULL;
    }
    json_object_set_new(root, "positions", positions);
    json_object_set_new(root, "summary", summary(x));
    json_object_set_new(root, "budget",
                        json_pack("{s:o, s:o, s:o, s:b}", "cos_tol", number(r->budget.cos_tol),
                                  "nmse_tol", number(r->budget.nmse_tol), "kl_tol",
                                  number(r->budget.kl_tol), "strict", (int)r->budget.strict));
    if (r->located) {
        json_object_set_new(root, "located", located(r->located));
        json_object_set_new(root, "taps", taps(r->located));
    }
    if (r->vote) json_object_set_new(root, "vote", vote(r->vote));
    json_object_set_new(root, "faults", faults(r));
    json_object_set_new(root, "act_quant",
                        json_string(r->act_quant == LS_ROUND_I8 ? "i8" : "auto"));
    if (r->error) json_object_set_new(root, "error", cli_json_error(r->error));
    if (!r->error && x->error.status != LS_OK)
        json_object_set_new(root, "error", cli_json_error(&x->error));
    compatibility(root, r);
    return root;
}

ls_status cli_report_json(const cli_report *r, FILE *f, ls_error *err)
{
    json_t *root = cli_report_json_build(r);
    if (!root) return ls_fail(err, LS_ERR_NOMEM, "not enough memory for the JSON report");
    json_dumpf(root, f, JSON_INDENT(2) | JSON_REAL_PRECISION(17));
    fputc('\n', f);
    json_decref(root);
    return LS_OK;
}
