// SPDX-License-Identifier: MIT
/* metrics.c - how far apart two rows of logits are.
 *
 * Everything is accumulated in double. Sums whose terms cancel (means, KL) carry their rounding
 * error along (Knuth, The Art of Computer Programming 2, 4.2.2, theorem B); sums of squares do not
 * need to. The cosine is taken from the difference of the unit vectors, which keeps its digits
 * where 1 - r.s/(|r||s|) would have none left.
 */
#include <math.h>
#include <string.h>

#include "verify/verify_priv.h"

ls_budget ls_budget_default(void)
{
    return (ls_budget){
#define LS_TOLERANCE(field, value, what) .field = value,
#include "lockstep/tolerances.def"
#undef LS_TOLERANCE
        .strict = false,
    };
}

typedef struct sum {
    double value, error;
} sum;

static inline void sum_add(sum *s, double x)
{
    double t = s->value + x, b = t - s->value;
    s->error += (s->value - (t - b)) + (x - b);
    s->value = t;
}

static double sum_of(const sum *s) { return s->value + s->error; }

/* What is known of one row before it is compared. */
typedef struct row_facts {
    double  mean, norm, norm_centred;
    double  max;
    double  margin; /* best minus second best */
    int32_t top1;
    bool    finite;
} row_facts;

/* The lowest index among equals; NaN ranks lowest. */
static void find_top(row_facts *f, const float *v, size_t n)
{
    size_t top = 0;
    float  second = -INFINITY;
    for (size_t i = 1; i < n; i++) {
        if (v[i] > v[top] || (isnan(v[top]) && !isnan(v[i]))) {
            if (v[top] > second) second = v[top];
            top = i;
        } else if (v[i] > second) {
            second = v[i];
        }
    }
    f->top1 = (int32_t)top;
    f->max = (double)v[top];
    f->margin = f->max - (double)second;
}

static void study(row_facts *f, const float *v, size_t n)
{
    sum    total = {0, 0};
    double square = 0, centred = 0;
    f->finite = true;
    find_top(f, v, n);
    for (size_t i = 0; i < n; i++) {
        double x = (double)v[i];
        if (!isfinite(v[i])) f->finite = false;
        sum_add(&total, x);
        square += x * x;
    }
    /* Of a constant row this is that constant exactly: n times a float has at most 53 bits. */
    f->mean = sum_of(&total) / (double)n;
    for (size_t i = 0; i < n; i++) {
        double c = (double)v[i] - f->mean;
        centred += c * c;
    }
    f->norm = sqrt(square);
    f->norm_centred = sqrt(centred);
}

/* Two zero vectors point the same way; a zero vector and another have no angle. */
static double cosine(double norm_a, double norm_b, double unit_difference_squared)
{
    if (norm_a == 0 && norm_b == 0) return 1;
    if (norm_a == 0 || norm_b == 0) return 0;
    return 1 - unit_difference_squared / 2;
}

static double inverse(double norm) { return norm > 0 ? 1 / norm : 0; }

static void compare_geometry(ls_position *o, const float *s, const float *r, size_t n,
                             const row_facts *fs, const row_facts *fr)
{
    double is = inverse(fs->norm), ir = inverse(fr->norm);
    double cis = inverse(fs->norm_centred), cir = inverse(fr->norm_centred);
    double d2 = 0, cd2 = 0, unit = 0, cunit = 0, abs = 0;
    o->max_abs = -1;
    for (size_t i = 0; i < n; i++) {
        double x = (double)s[i], y = (double)r[i];
        double cx = x - fs->mean, cy = y - fr->mean;
        double d = x - y, c = cx - cy, u = x * is - y * ir, cu = cx * cis - cy * cir;
        d2 += d * d;
        cd2 += c * c;
        unit += u * u;
        cunit += cu * cu;
        abs += fabs(d);
        if (fabs(d) > o->max_abs) {
            o->max_abs = fabs(d);
            o->max_abs_token = (int32_t)i;
        }
    }
    o->cosine = cosine(fs->norm, fr->norm, unit);
    o->cosine_centred = cosine(fs->norm_centred, fr->norm_centred, cunit);
    o->l2 = sqrt(d2);
    o->mean_abs = abs / (double)n;
    o->sigma = sqrt(cd2 / (double)n);
    if (cd2 == 0)
        o->nmse = 0;
    else
        o->nmse = cd2 / (fr->norm_centred * fr->norm_centred);
}

/* KL(reference || subject) = sum p (ln p - ln q), both softmaxes by their own maxima. */
static double divergence(const float *s, const float *r, size_t n, double max_s, double max_r)
{
    sum    weighted = {0, 0};
    double zs = 0, zr = 0, kl;
    for (size_t i = 0; i < n; i++) {
        double x = (double)s[i] - max_s, y = (double)r[i] - max_r, e = exp(y);
        zs += exp(x);
        zr += e;
        sum_add(&weighted, e * (y - x));
    }
    kl = sum_of(&weighted) / zr + (log(zs) - log(zr));
    return kl < 0 && kl > -1e-12 ? 0 : kl;
}

static void forget_metrics(ls_position *o)
{
    o->cosine = o->cosine_centred = o->l2 = o->max_abs = o->mean_abs = (double)NAN;
    o->nmse = o->kl = o->margin = o->sigma = (double)NAN;
    o->max_abs_token = -1;
    o->equal = false;
}

/* NaN and Inf have no distance: every metric is NaN, and the token named is the first such one. */
static void compare_non_finite(ls_position *o, const float *s, const float *r, size_t n)
{
    forget_metrics(o);
    for (size_t i = 0; i < n && o->max_abs_token < 0; i++)
        if (!isfinite(s[i]) || !isfinite(r[i])) o->max_abs_token = (int32_t)i;
}

/* The reference itself can hardly tell the two candidates apart, or its lead over the subject's
 * candidate is within some standard deviations of a difference of two logits. */
static ls_flip judge_flip(const ls_position *o, const float *r, const ls_budget *b)
{
    double gap, noise = b->tie_sigmas * sqrt(2.0) * o->sigma;
    if (o->top1_subject == o->top1_reference) return LS_FLIP_NONE;
    if (!o->finite) return LS_FLIP_HARD;
    gap = (double)r[o->top1_reference] - (double)r[o->top1_subject];
    return gap <= (noise > b->tie_tol ? noise : b->tie_tol) ? LS_FLIP_NEAR_TIE : LS_FLIP_HARD;
}

/* Written so that NaN, on either side of a comparison, is outside. */
static bool inside(const ls_position *o, const ls_budget *b)
{
    return o->finite && o->cosine_centred >= b->cos_tol && o->nmse <= b->nmse_tol &&
           o->kl <= b->kl_tol &&
           (o->flip == LS_FLIP_NONE || (o->flip == LS_FLIP_NEAR_TIE && !b->strict));
}

void ls_compare_row(ls_position *out, const float *subject, const float *reference, size_t n,
                    const ls_budget *budget)
{
    row_facts fs, fr;
    study(&fs, subject, n);
    study(&fr, reference, n);
    out->top1_subject = fs.top1;
    out->top1_reference = fr.top1;
    out->finite = fs.finite && fr.finite;
    out->equal = out->finite && memcmp(subject, reference, n * sizeof(*subject)) == 0;
    if (out->finite) {
        compare_geometry(out, subject, reference, n, &fs, &fr);
        out->kl = divergence(subject, reference, n, fs.max, fr.max);
        out->margin = fr.margin;
    } else {
        compare_non_finite(out, subject, reference, n);
    }
    out->flip = judge_flip(out, reference, budget);
    out->ok = inside(out, budget);
}

void ls_describe_row(ls_position *out, const float *row, size_t n, bool is_reference)
{
    row_facts f;
    study(&f, row, n);
    forget_metrics(out);
    out->top1_subject = is_reference ? -1 : f.top1;
    out->top1_reference = is_reference ? f.top1 : -1;
    out->finite = f.finite;
    if (f.finite) out->margin = f.margin;
    out->flip = LS_FLIP_NONE;
    out->ok = false;
}
