// SPDX-License-Identifier: MIT
/* trace_diff.c - two traces of one run, tap by tap. Fails closed: another model, other tokens,
 * nothing to compare, or a tap that one side lacks is never MATCH. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "lockstep/checkpoint.h"
#include "record/record_priv.h"

typedef struct work {
    ls_trace_diff          *out;
    const ls_trace         *a, *b;
    ls_checkpoint          *va, *vb; /* values; NULL: sketches alone */
    double                  nmse_tol;
    bool                   *used;   /* [b->n_records] */
    const ls_trace_record **sorted; /* [b->n_records] */
} work;

static void decide(ls_trace_diff *d, ls_verdict v, const char *fmt, ...) LS_PRINTF(3, 4);

static void decide(ls_trace_diff *d, ls_verdict v, const char *fmt, ...)
{
    va_list ap;
    d->verdict = v;
    va_start(ap, fmt);
    vsnprintf(d->reason, sizeof(d->reason), fmt, ap);
    va_end(ap);
}

/* Whether these two can be compared at all. */
static bool same_run(ls_trace_diff *d, const ls_trace *a, const ls_trace *b)
{
    size_t i = 0;
    if (a->bare || b->bare) return true; /* nobody knows: check_bare says so */
    if (strcmp(a->model_sha256, b->model_sha256) != 0) {
        decide(d, LS_VERDICT_TOKENS_DIFFER,
               "the traces are of two models: SHA-256 %.16s... and %.16s...", a->model_sha256,
               b->model_sha256);
        return false;
    }
    while (i < a->n_tokens && i < b->n_tokens && a->tokens[i] == b->tokens[i]) i++;
    if (i < a->n_tokens && i < b->n_tokens) {
        decide(d, LS_VERDICT_TOKENS_DIFFER, "token %zu is %d in A and %d in B", i, a->tokens[i],
               b->tokens[i]);
        return false;
    }
    if (a->n_tokens != b->n_tokens || a->n_prompt != b->n_prompt) {
        decide(d, LS_VERDICT_TOKENS_DIFFER, "A has %zu tokens, %zu of them prompt; B %zu and %zu",
               a->n_tokens, a->n_prompt, b->n_tokens, b->n_prompt);
        return false;
    }
    return true;
}

static const ls_ckpt_tensor *values_of(const ls_checkpoint *c, const ls_trace_record *r)
{
    char                  name[96];
    const ls_ckpt_tensor *t;
    if (!c) return NULL;
    ls_trace_record_name(r, name, sizeof(name));
    t = ls_checkpoint_tensor(c, (ls_str){name, strlen(name)});
    return t && t->dtype == LS_CKPT_F32 && t->n_bytes == r->sketch.n * sizeof(float) ? t : NULL;
}

/* Whether stored values are those that were hashed. */
static bool values_hold(const ls_ckpt_tensor *v, const ls_trace_record *r)
{
    ls_sketcher *k;
    ls_sketch    s;
    if (ls_sketcher_create(&k, NULL) != LS_OK) return false;
    for (size_t i = 0; i < r->sketch.n; i++) {
        float x;
        memcpy(&x, (const char *)v->data + i * sizeof(x), sizeof(x));
        ls_sketcher_add(k, &x, 1);
    }
    ls_sketcher_finish(k, &s);
    ls_sketcher_destroy(k);
    return strcmp(s.blake3, r->sketch.blake3) == 0 && s.sum == r->sketch.sum &&
           s.rms == r->sketch.rms && s.max_abs == r->sketch.max_abs &&
           s.n_not_finite == r->sketch.n_not_finite &&
           memcmp(s.projection, r->sketch.projection, sizeof(s.projection)) == 0;
}

static double exact_nmse(const ls_ckpt_tensor *a, const ls_ckpt_tensor *b, size_t n)
{
    double d2 = 0, b2 = 0;
    for (size_t i = 0; i < n; i++) {
        float x, y;
        memcpy(&x, (const char *)a->data + i * sizeof(x), sizeof(x));
        memcpy(&y, (const char *)b->data + i * sizeof(y), sizeof(y));
        d2 += ((double)x - (double)y) * ((double)x - (double)y);
        b2 += (double)y * (double)y;
    }
    return d2 == 0 ? 0 : b2 > 0 ? d2 / b2 : (double)INFINITY;
}

/* The mean square of the differences of the projections estimates the squared distance; a
 * difference of the norms is a lower bound of it. */
static double sketched_nmse(const ls_sketch *a, const ls_sketch *b)
{
    double d2 = 0, b2 = b->rms * b->rms * (double)b->n, norms;
    for (int k = 0; k < LS_SKETCH_PROJECTIONS; k++) {
        double d = a->projection[k] - b->projection[k];
        d2 += d * d / LS_SKETCH_PROJECTIONS;
    }
    norms = (a->rms - b->rms) * (a->rms - b->rms) * (double)b->n;
    if (norms > d2) d2 = norms;
    return d2 == 0 ? 0 : b2 > 0 ? d2 / b2 : (double)INFINITY;
}

static const char other_bits[] = "other bits, and nothing that says how much";

/* Where one side has a hash and the RMS alone: equal, or surely over the budget, or not known. */
static void compare_hashes(const work *w, ls_trace_diff_row *row)
{
    const ls_sketch   *a = &row->a->sketch, *b = &row->b->sketch;
    ls_tap_difference *d = &row->d;
    double             delta = fabs(a->rms - b->rms);
    d->same_bits = strcmp(a->blake3, b->blake3) == 0;
    d->finite = a->n_not_finite == 0 && b->n_not_finite == 0;
    d->estimated = !d->same_bits;
    if (row->a->sha256 != row->b->sha256) {
        row->finding = "hashes of two kinds";
        return;
    }
    if (d->same_bits && d->finite && delta > 1e-6 * b->rms) { /* summed in any order */
        row->finding = "the same hash, but other statistics";
        return;
    }
    /* the difference of the norms is at most the norm of the difference */
    d->nmse = delta == 0 ? 0 : b->rms > 0 ? delta * delta / (b->rms * b->rms) : (double)INFINITY;
    if (d->same_bits) d->nmse = 0;
    d->ok = d->finite && d->nmse <= w->nmse_tol;
    if (d->ok && !d->same_bits) row->finding = other_bits;
}

static const char *dtype_of(const ls_trace_record *r) { return r->dtype[0] ? r->dtype : "F32"; }

static void compare_tap(const work *w, ls_trace_diff_row *row)
{
    const ls_sketch      *a = &row->a->sketch, *b = &row->b->sketch;
    const ls_ckpt_tensor *va = values_of(w->va, row->a), *vb = values_of(w->vb, row->b);
    ls_tap_difference    *d = &row->d;
    if (row->a->heads != row->b->heads || row->a->rows != row->b->rows || row->a->n != row->b->n ||
        row->a->pos != row->b->pos) {
        row->finding = "another shape";
        return;
    }
    if (strcmp(dtype_of(row->a), dtype_of(row->b)) != 0) {
        row->finding = "another type";
        return;
    }
    if (row->a->hash_only || row->b->hash_only) {
        compare_hashes(w, row);
        return;
    }
    if ((w->va && (!va || !values_hold(va, row->a))) ||
        (w->vb && (!vb || !values_hold(vb, row->b)))) {
        row->finding = "its values are not those of its hash";
        return;
    }
    d->same_bits = strcmp(a->blake3, b->blake3) == 0;
    d->finite = a->n_not_finite == 0 && b->n_not_finite == 0;
    d->estimated = !va || !vb;
    d->nmse = d->estimated ? sketched_nmse(a, b) : exact_nmse(va, vb, a->n);
    if (d->same_bits && memcmp(a->projection, b->projection, sizeof(a->projection)) != 0) {
        row->finding = "the same hash, but other statistics";
        return;
    }
    d->ok = d->finite && d->nmse <= w->nmse_tol;
}

/* Index of B's record of the same tap; SIZE_MAX: there is none. */
static size_t find(const work *w, const ls_trace_record *r)
{
    const ls_trace_record **at =
        bsearch(&r, w->sorted, w->b->n_records, sizeof(*w->sorted), ls_trace_by_key);
    return at ? (size_t)(*at - w->b->records) : SIZE_MAX;
}

/* Pair the records: A's in their order, then what B has besides. A tap that the other side
 * declares it has not is no row. */
static void align(work *w)
{
    ls_trace_diff *d = w->out;
    for (size_t i = 0; i < w->a->n_records; i++) {
        const ls_trace_record *r = &w->a->records[i];
        ls_trace_diff_row      row = {.a = r, .finding = ""};
        size_t                 at;
        if (r->op < LS_N_OPS && w->b->declined[r->op]) continue;
        at = find(w, r);
        if (at == SIZE_MAX) {
            row.finding = "missing in B";
        } else {
            row.b = &w->b->records[at];
            w->used[at] = true;
            compare_tap(w, &row);
        }
        d->rows[d->n_rows++] = row;
    }
    for (size_t i = 0; i < w->b->n_records; i++) {
        const ls_trace_record *r = &w->b->records[i];
        if (w->used[i] || (r->op < LS_N_OPS && w->a->declined[r->op])) continue;
        d->rows[d->n_rows++] = (ls_trace_diff_row){.b = r, .finding = "missing in A"};
    }
}

static void judge(work *w)
{
    ls_trace_diff *d = w->out;
    char           name[96];
    d->first_bits = d->first_over = -1;
    d->n_planned = d->n_rows;
    for (size_t i = 0; i < d->n_rows; i++) {
        const ls_trace_diff_row *r = &d->rows[i];
        if (r->finding[0]) {
            d->n_findings++;
            if (r->finding == other_bits && d->first_bits < 0) d->first_bits = (ptrdiff_t)i;
            continue;
        }
        d->n_compared++;
        d->n_same_bits += r->d.same_bits;
        if (!r->d.same_bits && d->first_bits < 0) d->first_bits = (ptrdiff_t)i;
        if (!r->d.ok && d->first_over < 0) d->first_over = (ptrdiff_t)i;
    }
    if (d->n_compared == 0) {
        decide(d, LS_VERDICT_INCONCLUSIVE, "no tap was compared");
    } else if (d->first_over >= 0) {
        const ls_trace_diff_row *r = &d->rows[d->first_over];
        decide(d, LS_VERDICT_DIVERGED, "%s: %s", ls_trace_record_name(r->a, name, sizeof(name)),
               r->d.finite ? "over the budget" : "NaN or Inf");
    } else if (d->n_findings > 0) {
        const ls_trace_diff_row *r = d->rows;
        while (!r->finding[0]) r++;
        decide(d, LS_VERDICT_INCONCLUSIVE, "%s: %s",
               ls_trace_record_name(r->a ? r->a : r->b, name, sizeof(name)), r->finding);
    } else {
        decide(d, LS_VERDICT_MATCH, "%s", "");
    }
}

/* ---- without a manifest ---- */

/* Evaluations and layers that rows speak of, and which operations layers have. */
typedef struct extent {
    int32_t n_seqs, n_layers;
    bool    ops[LS_N_OPS];
} extent;

static extent extent_of(const ls_trace_diff *d)
{
    extent x = {0};
    for (size_t i = 0; i < d->n_rows; i++) {
        const ls_trace_record *r = d->rows[i].a;
        if (r->seq >= x.n_seqs) x.n_seqs = r->seq + 1;
        if (r->op >= LS_N_OPS || r->layer < 0) continue;
        x.ops[r->op] = true;
        if (r->layer >= x.n_layers) x.n_layers = r->layer + 1;
    }
    return x;
}

/* n[op] is in how many layers evaluation `seq` has it. No tap stands twice. */
static bool is_complete(ls_trace_diff *d, const extent *x, int32_t seq, const size_t n[LS_N_OPS])
{
    if (n[LS_OP_LOGITS] == 0) {
        decide(d, LS_VERDICT_INCONCLUSIVE,
               "evaluation %d has no logits on either side: nothing says that it is complete", seq);
        return false;
    }
    for (int op = 0; op < LS_N_OPS; op++) {
        if (!x->ops[op] || n[op] == (size_t)x->n_layers) continue;
        decide(d, LS_VERDICT_INCONCLUSIVE,
               "both sides have %s in %zu of %d layers in evaluation %d: nothing says that this is "
               "all",
               ls_op_name((ls_op)op), n[op], x->n_layers, seq);
        return false;
    }
    return true;
}

/* Nobody says which taps were planned, so that both sides may lack the same: evaluations from the
 * first, each with its logits, and in each layer the taps that the others have, or no MATCH. */
static ls_status check_complete(ls_trace_diff *d, ls_error *err)
{
    extent  x = extent_of(d);
    size_t *n; /* [n_seqs][LS_N_OPS] */
    if ((size_t)x.n_seqs > d->n_rows) {
        decide(d, LS_VERDICT_INCONCLUSIVE, "there are %d evaluations, but %zu taps", x.n_seqs,
               d->n_rows);
        return LS_OK;
    }
    LS_TRY(ls_alloc(&n, (size_t)x.n_seqs, LS_N_OPS * sizeof(*n), "a comparison", err));
    for (size_t i = 0; i < d->n_rows; i++) {
        const ls_trace_record *r = d->rows[i].a;
        if (r->op < LS_N_OPS) n[(size_t)r->seq * LS_N_OPS + r->op]++;
    }
    for (int32_t seq = 0; seq < x.n_seqs; seq++) {
        if (!is_complete(d, &x, seq, n + (size_t)seq * LS_N_OPS)) break;
    }
    free(n);
    return LS_OK;
}

static ls_status check_bare(work *w, ls_error *err)
{
    static const char run[] = "that both are of one model and the same tokens";
    ls_trace_diff    *d = w->out;
    bool              a = w->a->bare, b = w->b->bare;
    if (a && b)
        snprintf(d->unchecked, sizeof(d->unchecked),
                 "%s, and that no tap is missing that was planned: neither has a manifest", run);
    else if (a || b)
        snprintf(d->unchecked, sizeof(d->unchecked), "%s: %s has no manifest", run, a ? "A" : "B");
    return a && b && d->verdict == LS_VERDICT_MATCH ? check_complete(d, err) : LS_OK;
}

static ls_status open_values(const ls_trace *t, ls_checkpoint **out, ls_error *err)
{
    char path[640];
    if (!t->has_values || !t->folder[0]) return LS_OK;
    snprintf(path, sizeof(path), "%s/values.safetensors", t->folder);
    return ls_checkpoint_open(out, path, err);
}

ls_status ls_trace_compare(ls_trace_diff *out, const ls_trace *a, const ls_trace *b,
                           double nmse_tol, ls_error *err)
{
    work      w = {.out = out, .a = a, .b = b, .nmse_tol = nmse_tol};
    ls_status status;
    memset(out, 0, sizeof(*out));
    out->first_bits = out->first_over = -1;
    out->verdict = LS_VERDICT_INCONCLUSIVE;
    if (!same_run(out, a, b)) return LS_OK;
    LS_TRY(
        ls_alloc(&out->rows, a->n_records + b->n_records, sizeof(*out->rows), "a comparison", err));
    status = ls_alloc(&w.used, b->n_records, sizeof(*w.used), "a comparison", err);
    if (status == LS_OK)
        status = ls_alloc(&w.sorted, b->n_records, sizeof(*w.sorted), "a comparison", err);
    for (size_t i = 0; status == LS_OK && i < b->n_records; i++) w.sorted[i] = &b->records[i];
    if (status == LS_OK) qsort(w.sorted, b->n_records, sizeof(*w.sorted), ls_trace_by_key);
    if (status == LS_OK) status = open_values(a, &w.va, err);
    if (status == LS_OK) status = open_values(b, &w.vb, err);
    if (status == LS_OK) {
        align(&w);
        judge(&w);
        status = check_bare(&w, err);
    }
    ls_checkpoint_close(w.va);
    ls_checkpoint_close(w.vb);
    free(w.used);
    free(w.sorted);
    return status;
}

void ls_trace_diff_fini(ls_trace_diff *d)
{
    if (!d) return;
    free(d->rows);
    memset(d, 0, sizeof(*d));
}
