// SPDX-License-Identifier: MIT
/* report_json.c - a per-token comparison as JSON, schema "lockstep.crossval/1". */
#include <math.h>
#include <string.h>

#include "cli/cli_json.h"
#include "cli/report.h"

static const char *const phases[] = {"prompt", "decode"};
static const char *const flips[] = {"none", "near_tie", "flip"};

/* JSON has no NaN and no infinity: they are written as text, never left out. */
static json_t *number(double x)
{
    if (isnan(x)) return json_string("NaN");
    if (isinf(x)) return json_string(x > 0 ? "Infinity" : "-Infinity");
    return json_real(x);
}

static json_t *ids(const int32_t *at, size_t n)
{
    json_t *a = json_array();
    for (size_t i = 0; i < n; i++) json_array_append_new(a, json_integer(at[i]));
    return a;
}

static json_t *engine(const ls_engine_info *e, const ls_engine_stats *s)
{
    double seconds = (double)s->eval_ns * 1e-9;
    if (!e->engine[0]) return json_null();
    return json_pack("{s:s, s:s, s:s, s:s, s:i, s:i, s:s, s:b, s:i, s:i, s:i, s:o, s:o, s:o}",
                     "engine", e->engine, "version", e->version, "isa", e->isa, "library",
                     e->library, "threads", e->n_threads, "batch", e->n_batch, "kv_type",
                     e->kv_type, "flash_attn", e->flash_attn != 0, "lanes", e->lanes, "n_ctx",
                     e->n_ctx, "n_tokens", (int)s->n_tokens, "load_ms",
                     number((double)s->load_ns * 1e-6), "wall_ms", number((double)s->eval_ns * 1e-6),
                     "tokens_per_second",
                     number(seconds > 0 ? (double)s->n_tokens / seconds : 0));
}

static json_t *position(const ls_position *p)
{
    return json_pack(
        "{s:i, s:i, s:s, s:o, s:o, s:o, s:o, s:i, s:o, s:o, s:i, s:i, s:o, s:s, s:b}", "pos",
        p->pos, "token", p->token, "phase", phases[p->decode], "cosine", number(p->cosine),
        "cosine_centred", number(p->cosine_centred), "l2", number(p->l2), "max_abs",
        number(p->max_abs), "max_abs_token", p->max_abs_token, "nmse", number(p->nmse), "kl",
        number(p->kl), "top1_subject", p->top1_subject, "top1_reference", p->top1_reference,
        "margin", number(p->margin), "flip", flips[p->flip], "ok", (int)p->ok);
}

static json_t *extreme(const ls_extreme *e)
{
    return json_pack("{s:o, s:o}", "value", number(e->value), "pos",
                     e->pos < 0 ? json_null() : json_integer(e->pos));
}

static json_t *index_or_null(int32_t i) { return i < 0 ? json_null() : json_integer(i); }

static json_t *summary(const ls_summary *s)
{
    return json_pack("{s:o, s:o, s:o, s:o, s:i, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:i, s:i, s:o}",
                     "min_cosine", extreme(&s->min_cosine), "min_cosine_centred",
                     extreme(&s->min_cosine_centred), "max_l2", extreme(&s->max_l2), "max_abs",
                     extreme(&s->max_abs), "max_abs_token", s->max_abs_token, "max_nmse",
                     extreme(&s->max_nmse), "max_kl", extreme(&s->max_kl), "mean_cosine",
                     number(s->mean_cosine), "mean_l2", number(s->mean_l2), "mean_abs",
                     number(s->mean_abs), "mean_nmse", number(s->mean_nmse), "mean_kl",
                     number(s->mean_kl), "top1_agreement", number(s->top1_agreement), "near_ties",
                     s->near_ties, "flips", s->flips, "first_divergence",
                     index_or_null(s->first_divergence));
}

static json_t *tokens(const cli_report *r)
{
    const ls_per_token_result *x = r->result;
    bool own = x->ids_subject != NULL;
    json_t *t = json_pack("{s:o, s:o, s:s, s:s, s:o}", "prompt",
                          own ? ids(x->ids_subject, x->n_ids_subject)
                              : ids(x->ids_reference, x->n_ids_reference),
                          "decoded", ids(x->decoded, x->n_decoded), "bos", r->bos, "template",
                          r->template_name, "first_difference", index_or_null(x->first_difference));
    if (x->first_difference >= 0) {
        json_object_set_new(t, "reference_prompt", ids(x->ids_reference, x->n_ids_reference));
    }
    return t;
}

static json_t *coverage(const ls_coverage *c)
{
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I}", "positions_planned",
                     (json_int_t)c->positions_planned, "positions_compared",
                     (json_int_t)c->positions_compared, "vocab", (json_int_t)c->vocab,
                     "logits_compared", (json_int_t)c->logits_compared, "taps_planned",
                     (json_int_t)c->taps_planned, "taps_compared", (json_int_t)c->taps_compared);
}

/* Keys that readers of the original tool's output know. */
static void compatibility(json_t *root, const cli_report *r)
{
    const ls_per_token_result *x = r->result;
    const ls_summary          *s = &x->summary;
    json_t                    *cosine = json_array(), *l2 = json_array();

    for (size_t i = 0; i < x->n_positions; i++) {
        json_array_append_new(cosine, number(x->positions[i].cosine));
        json_array_append_new(l2, number(x->positions[i].l2));
    }
    json_object_set_new(root, "first_divergence_token", index_or_null(s->first_divergence));
    json_object_set_new(root, "per_token_cosine_sim", cosine);
    json_object_set_new(root, "per_token_l2_dist", l2);
    json_object_set_new(root, "max_absolute_diff", number(s->max_abs.value));
    json_object_set_new(root, "threshold", number(r->budget.cos_tol));
    json_object_set_new(root, "divergence_token", json_integer(s->first_divergence));
    json_object_set_new(root, "metrics",
                        json_pack("{s:o, s:o, s:o, s:I}", "min_cosine_similarity",
                                  number(s->min_cosine.value), "max_l2_distance",
                                  number(s->max_l2.value), "mean_abs_difference",
                                  number(s->mean_abs), "token_count", (json_int_t)x->n_positions));
}

static json_t *build(const cli_report *r)
{
    const ls_per_token_result *x = r->result;
    json_t                    *positions = json_array(), *root;

    for (size_t i = 0; i < x->n_positions; i++) {
        json_array_append_new(positions, position(&x->positions[i]));
    }
    root = json_pack(
        "{s:s, s:s, s:i, s:s, s:s, s:s, s:s, s:{s:o, s:s, s:s, s:s}, s:o, s:o, s:o, s:o, s:o, s:o}",
        "schema", "lockstep.crossval/1", "verdict", ls_verdict_name(x->verdict), "exit_code",
        r->exit_code, "status", r->error ? "error" : ls_verdict_status(x->verdict), "reason",
        r->error ? r->error->what : x->reason, "reason_code",
        r->error ? ls_status_name(r->error->status) : x->reason_code, "backend", r->backend,
        "model", "path", cli_json_text(r->model_path, strlen(r->model_path)), "sha256", r->sha256,
        "architecture", r->arch, "types", r->types, "subject",
        engine(&x->subject_info, &x->subject_stats), "reference",
        engine(&x->reference_info, &x->reference_stats), "tokens", tokens(r), "coverage",
        coverage(&x->coverage), "positions", positions, "summary", summary(&x->summary));
    if (!root) return NULL;
    json_object_set_new(root, "budget",
                        json_pack("{s:o, s:o, s:o, s:b}", "cos_tol", number(r->budget.cos_tol),
                                  "nmse_tol", number(r->budget.nmse_tol), "kl_tol",
                                  number(r->budget.kl_tol), "strict", (int)r->budget.strict));
    compatibility(root, r);
    return root;
}

ls_status cli_report_json(const cli_report *r, FILE *f, ls_error *err)
{
    json_t *root = build(r);
    int     failed;
    if (!root) return ls_fail(err, LS_ERR_NOMEM, "not enough memory for the JSON report");
    failed = json_dumpf(root, f, JSON_INDENT(2) | JSON_REAL_PRECISION(17));
    json_decref(root);
    fputc('\n', f);
    return failed ? ls_fail(err, LS_ERR_NOMEM, "cannot write the JSON report") : LS_OK;
}
