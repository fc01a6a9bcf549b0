// SPDX-License-Identifier: MIT
/* judge.c - an independent look at a report of `crossval per-token`: everything in it that follows
 * from the two files of --dump-logits is computed again, in long double, from the definitions in
 * the product's documents. Shares no code with Lockstep.
 *
 *   usage: judge REPORT.json PREFIX [--min-cosine X] [--reference FILE]
 *
 * --reference: logits that another program read from the same engine; they must be the same bits.
 * Prints one line of figures; exits 1 with a line for each thing that is not as it should be. */
#include <jansson.h>
#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int n_wrong;

__attribute__((format(printf, 1, 2))) static void wrong(const char *fmt, ...)
{
    va_list ap;
    if (++n_wrong > 20) return;
    va_start(ap, fmt);
    fputs("judge: ", stdout);
    vprintf(fmt, ap);
    fputs("\n", stdout);
    va_end(ap);
}

static float *read_floats(const char *path, size_t n)
{
    FILE  *f = fopen(path, "rb");
    float *x = calloc(n + 1, sizeof(*x));
    size_t got = f && x ? fread(x, sizeof(*x), n + 1, f) : 0;
    if (f) fclose(f);
    if (got != n) {
        printf("judge: '%s' does not hold %zu floats\n", path, n);
        exit(1);
    }
    return x;
}

static const json_t *at(const json_t *j, const char *key)
{
    const json_t *v = json_object_get(j, key);
    if (v) return v;
    printf("judge: the report has no '%s'\n", key);
    exit(1);
}

static long long integer(const json_t *j, const char *key)
{
    return json_integer_value(at(j, key));
}

static double number(const json_t *j, const char *key) { return json_number_value(at(j, key)); }

static const char *text(const json_t *j, const char *key)
{
    const char *s = json_string_value(at(j, key));
    return s ? s : "";
}

/* ---- one position ---- */

typedef struct row {
    long double cosine, centred, l2, nmse, kl, sigma, margin, max_abs;
    size_t      top_s, top_r, max_at;
    bool        finite, equal;
} row;

static size_t largest(const float *x, size_t n)
{
    size_t top = 0;
    for (size_t i = 1; i < n; i++) {
        if (x[i] > x[top]) top = i;
    }
    return top;
}

static long double log_sum_exp(const float *x, size_t n)
{
    long double top = (long double)x[largest(x, n)], sum = 0;
    for (size_t i = 0; i < n; i++) sum += expl((long double)x[i] - top);
    return top + logl(sum);
}

static row compare(const float *s, const float *r, size_t n)
{
    long double ss = 0, rr = 0, sr = 0, ms = 0, mr = 0, css = 0, crr = 0, csr = 0, cdd = 0;
    long double ls, lr;
    row         o = {.finite = true,
                     .equal = memcmp(s, r, n * sizeof(*s)) == 0,
                     .top_s = largest(s, n),
                     .top_r = largest(r, n)};
    for (size_t i = 0; i < n; i++) {
        long double a = (long double)s[i], b = (long double)r[i];
        o.finite = o.finite && isfinite(s[i]) && isfinite(r[i]);
        ss += a * a, rr += b * b, sr += a * b, ms += a, mr += b;
        o.l2 += (a - b) * (a - b);
        if (fabsl(a - b) > o.max_abs) o.max_abs = fabsl(a - b), o.max_at = i;
    }
    ms /= (long double)n, mr /= (long double)n;
    ls = log_sum_exp(s, n), lr = log_sum_exp(r, n);
    for (size_t i = 0; i < n; i++) {
        long double a = (long double)s[i] - ms, b = (long double)r[i] - mr;
        long double lp = (long double)r[i] - lr, lq = (long double)s[i] - ls;
        css += a * a, crr += b * b, csr += a * b, cdd += (a - b) * (a - b);
        o.kl += expl(lp) * (lp - lq);
    }
    o.cosine = sr / sqrtl(ss * rr);
    o.centred = csr / sqrtl(css * crr);
    o.l2 = sqrtl(o.l2);
    o.nmse = cdd / crr;
    o.sigma = sqrtl(cdd / (long double)n);
    o.margin = (long double)r[o.top_r] - (long double)r[o.top_s];
    return o;
}

static void near(const char *what, size_t pos, double reported, long double computed,
                 long double tolerance)
{
    if (!(fabsl((long double)reported - computed) <= tolerance)) {
        wrong("position %zu: %s is reported as %.17g and computed as %.17Lg", pos, what, reported,
              computed);
    }
}

/* The predicate of the product's definition. */
static const char *flip_of(const row *o)
{
    long double tie = 4 * sqrtl(2) * o->sigma;
    if (o->top_s == o->top_r) return "none";
    return o->margin <= (tie > 1e-4L ? tie : 1e-4L) ? "near_tie" : "flip";
}

static bool inside(const row *o, const json_t *budget)
{
    return o->finite && o->centred >= (long double)number(budget, "cos_tol") &&
           o->nmse <= (long double)number(budget, "nmse_tol") &&
           o->kl <= (long double)number(budget, "kl_tol") && strcmp(flip_of(o), "flip") != 0;
}

static void check_position(const json_t *p, size_t pos, const row *o, const json_t *report)
{
    const json_t *cosines = at(report, "per_token_cosine_sim");
    if (integer(p, "pos") != (long long)pos) wrong("position %zu calls itself another", pos);
    near("cosine", pos, number(p, "cosine"), o->cosine, 1e-9L);
    near("cosine_centred", pos, number(p, "cosine_centred"), o->centred, 1e-9L);
    near("per_token_cosine_sim", pos, json_number_value(json_array_get(cosines, pos)), o->cosine,
         1e-9L);
    near("l2", pos, number(p, "l2"), o->l2, 1e-9L + 1e-9L * o->l2);
    near("max_abs", pos, number(p, "max_abs"), o->max_abs, 1e-12L + 1e-9L * o->max_abs);
    near("nmse", pos, number(p, "nmse"), o->nmse, 1e-14L + 1e-6L * o->nmse);
    near("kl", pos, number(p, "kl"), o->kl, 1e-9L + 1e-6L * o->kl);
    if (integer(p, "top1_subject") != (long long)o->top_s ||
        integer(p, "top1_reference") != (long long)o->top_r) {
        wrong("position %zu: other top tokens than %zu and %zu", pos, o->top_s, o->top_r);
    }
    if (strcmp(text(p, "flip"), flip_of(o)) != 0) wrong("position %zu: not '%s'", pos, flip_of(o));
    if (json_is_true(at(p, "ok")) != inside(o, at(report, "budget"))) {
        wrong("position %zu: 'ok' does not follow from the numbers", pos);
    }
}

/* ---- the whole report ---- */

typedef struct totals {
    long double min_cosine;
    size_t      n_outside, n_near, n_equal, first_outside;
} totals;

static void check_decoded(const json_t *report, const float *reference, size_t n_vocab, size_t n)
{
    const json_t *tokens = at(report, "tokens"), *prompt = at(tokens, "prompt");
    const json_t *decoded = at(tokens, "decoded");
    size_t        n_prompt = json_array_size(prompt);
    if (n_prompt + json_array_size(decoded) != n) wrong("positions are not prompt plus decoded");
    for (size_t i = 0; i < json_array_size(decoded); i++) {
        size_t top = largest(reference + (n_prompt + i - 1) * n_vocab, n_vocab);
        if (json_integer_value(json_array_get(decoded, i)) != (long long)top) {
            wrong("decoded token %zu is not the reference's choice %zu", i, top);
        }
    }
}

static void check_verdict(const json_t *report, const totals *t, size_t n)
{
    const json_t *first = at(at(report, "summary"), "first_divergence");
    bool          many = t->n_near > 1 && t->n_near * 50 > n;
    const char   *want = t->n_outside || many ? "DIVERGED" : "MATCH";
    if (strcmp(text(report, "verdict"), want) != 0) wrong("the verdict should be %s", want);
    if (integer(report, "exit_code") != (want[0] == 'D')) wrong("exit code and verdict differ");
    if (t->n_outside && json_integer_value(first) != (long long)t->first_outside) {
        wrong("the first divergence is at %zu", t->first_outside);
    }
    if (json_integer_value(at(at(report, "summary"), "bit_equal_positions")) !=
        (long long)t->n_equal) {
        wrong("%zu positions are equal to the last bit", t->n_equal);
    }
    if (!t->n_outside && !many && json_is_integer(first)) wrong("a first divergence in a match");
}

static totals check_positions(const json_t *report, const float *s, const float *r, size_t n_vocab,
                              size_t n)
{
    const json_t *positions = at(report, "positions");
    totals        t = {.min_cosine = 2};
    if (json_array_size(positions) != n) wrong("%zu positions listed", json_array_size(positions));
    for (size_t i = 0; i < n; i++) {
        row o = compare(s + i * n_vocab, r + i * n_vocab, n_vocab);
        check_position(json_array_get(positions, i), i, &o, report);
        if (!inside(&o, at(report, "budget")) && !t.n_outside++) t.first_outside = i;
        t.n_equal += o.equal;
        t.n_near += strcmp(flip_of(&o), "near_tie") == 0;
        if (!(o.cosine >= t.min_cosine)) t.min_cosine = o.cosine;
    }
    return t;
}

int main(int argc, char **argv)
{
    json_error_t  err;
    json_t       *report = argc > 2 ? json_load_file(argv[1], JSON_REJECT_DUPLICATES, &err) : NULL;
    const json_t *coverage;
    char          path[4096];
    size_t        n, n_vocab;
    float        *s, *r, *other = NULL;
    double        min_cosine = -1;
    totals        t;
    if (!report) {
        puts("judge: no report");
        return 1;
    }
    coverage = at(report, "coverage");
    n = (size_t)integer(coverage, "positions_compared");
    n_vocab = (size_t)integer(coverage, "vocab");
    if (n == 0 || integer(coverage, "positions_planned") != (long long)n)
        wrong("coverage is not full");
    snprintf(path, sizeof(path), "%s.subject.f32", argv[2]);
    s = read_floats(path, n * n_vocab);
    snprintf(path, sizeof(path), "%s.reference.f32", argv[2]);
    r = read_floats(path, n * n_vocab);
    for (int i = 3; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--min-cosine") == 0) min_cosine = strtod(argv[i + 1], NULL);
        if (strcmp(argv[i], "--reference") == 0) other = read_floats(argv[i + 1], n * n_vocab);
    }
    t = check_positions(report, s, r, n_vocab, n);
    check_decoded(report, r, n_vocab, n);
    check_verdict(report, &t, n);
    if (min_cosine >= 0 && !(t.min_cosine >= (long double)min_cosine)) {
        wrong("the worst cosine is %.9Lf, below %g", t.min_cosine, min_cosine);
    }
    for (size_t i = 0; other && i < n * n_vocab; i++) {
        if (memcmp(&other[i], &r[i], sizeof(*r)) == 0) continue;
        wrong("position %zu, token %zu: llama.h gives %a, the dump %a", i / n_vocab, i % n_vocab,
              (double)other[i], (double)r[i]);
    }
    printf("%s: %zu positions x %zu logits, worst cosine %.12Lf, %zu near ties%s\n",
           text(report, "verdict"), n, n_vocab, t.min_cosine, t.n_near,
           other ? ", reference logits read again" : "");
    free(s), free(r), free(other);
    json_decref(report);
    return n_wrong != 0;
}
