// SPDX-License-Identifier: MIT
/* metrics.c - how far apart two rows of logits are.
 *
 * Everything is accumulated in double, in LANES sums of every LANES-th element which are then added
 * in ascending order: what a row costs is to be small beside evaluating it. Sums whose terms cancel
 * (means, KL) carry their rounding error along (Knuth, The Art of Computer Programming 2, 4.2.2,
 * theorem B); sums of squares do not need to. The cosine is taken from the difference of the unit
 * vectors, which keeps its digits where 1 - r.s/(|r||s|) would have none left.
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

/* ---- vectors of the compiler's, translated for AVX2 as well where there is such a thing ---- */

enum { LANES = 4 };
typedef double   vec __attribute__((vector_size(8 * LANES)));
typedef uint64_t bits __attribute__((vector_size(8 * LANES)));
typedef float    floats __attribute__((vector_size(4 * LANES)));
typedef uint32_t words __attribute__((vector_size(4 * LANES)));
#define INLINE static inline __attribute__((always_inline))

/* Which lanes count: the last of a row are fewer. Vectors go by address, since how a function takes
 * them depends on what it is translated for. */
INLINE void mask_of(bits *mask, size_t lanes)
{
    for (size_t l = 0; l < LANES; l++) (*mask)[l] = l < lanes ? UINT64_MAX : 0;
}

/* Lanes that are not there are 0. */
INLINE void load_floats(floats *out, const float *v, size_t lanes)
{
    float some[LANES] = {0};
    if (lanes >= LANES) {
        memcpy(out, v, sizeof(*out));
        return;
    }
    memcpy(some, v, lanes * sizeof(*v));
    memcpy(out, some, sizeof(*out));
}

INLINE void load(vec *out, const float *v, size_t lanes)
{
    floats f;
    load_floats(&f, v, lanes);
    *out = __builtin_convertvector(f, vec);
}

INLINE void keep(vec *x, const bits *mask) { *x = (vec)((bits)*x & *mask); }

INLINE void select(vec *out, const bits *mask, const vec *yes, const vec *no)
{
    *out = (vec)((*mask & (bits)*yes) | (~*mask & (bits)*no));
}

static double add_up(const vec *x)
{
    double all = (*x)[0];
    for (size_t l = 1; l < LANES; l++) all += (*x)[l];
    return all;
}

/* Sums with their rounding errors. */
typedef struct sums {
    vec value, error;
} sums;

INLINE void sums_add(sums *s, const vec *x)
{
    vec t = s->value + *x, b = t - s->value;
    s->error += (s->value - (t - b)) + (*x - b);
    s->value = t;
}

static double sums_of(const sums *s)
{
    double value = s->value[0], error = s->error[0];
    for (size_t l = 1; l < LANES; l++) {
        double x = s->value[l], t = value + x, b = t - value;
        error += s->error[l] + (value - (t - b)) + (x - b);
        value = t;
    }
    return value + error;
}

/* ---- one row ---- */

/* What is known of one row before it is compared. */
typedef struct row_facts {
    double  mean, norm, norm_centred;
    double  max;
    double  margin; /* best minus second best */
    int32_t top1;
    bool    finite;
} row_facts;

/* The largest and, of the other elements, the largest. NaN is passed over; of a row with NaN the
 * second is not looked at. */
INLINE void find_two(const float *v, size_t n, float *first, float *second)
{
    size_t whole = n - n % LANES;
    floats best, next;
    for (size_t l = 0; l < LANES; l++) best[l] = next[l] = -INFINITY;
    for (size_t i = 0; i < whole; i += LANES) {
        floats x, low;
        words  less, more;
        memcpy(&x, v + i, sizeof(x));
        less = (words)(x < best);
        low = (floats)((less & (words)x) | (~less & (words)best));
        more = (words)(low > next);
        next = (floats)((more & (words)low) | (~more & (words)next));
        more = (words)(x > best);
        best = (floats)((more & (words)x) | (~more & (words)best));
    }
    *first = *second = -INFINITY;
    for (size_t i = 0; i < 2 * LANES + n - whole; i++) {
        float x = i < LANES ? best[i] : i < 2 * LANES ? next[i - LANES] : v[whole + i - 2 * LANES];
        if (x > *first) {
            *second = *first;
            *first = x;
        } else if (x > *second) {
            *second = x;
        }
    }
}

/* The lowest index among equals; NaN ranks lowest. */
INLINE void find_top(row_facts *f, const float *v, size_t n)
{
    float  first, second;
    size_t at = 0;
    find_two(v, n, &first, &second);
    while (at < n && !(v[at] == first)) at++;
    if (at == n) at = 0;
    f->top1 = (int32_t)at;
    f->max = (double)v[at];
    f->margin = f->max - (double)second;
}

INLINE void add_values(sums *total, vec *square, words *bad, const float *v, size_t lanes)
{
    const words inf = {0x7f800000u, 0x7f800000u, 0x7f800000u, 0x7f800000u};
    floats      f;
    vec         x;
    load_floats(&f, v, lanes);
    *bad |= (words)(((words)f & inf) == inf); /* NaN or infinite */
    x = __builtin_convertvector(f, vec);
    sums_add(total, &x);
    *square += x * x;
}

INLINE void add_centred(vec *centred, const float *v, size_t lanes, double mean, const bits *mask)
{
    vec x;
    load(&x, v, lanes);
    x -= mean;
    keep(&x, mask);
    *centred += x * x;
}

INLINE void study_as(row_facts *f, const float *v, size_t n)
{
    sums   total = {{0}, {0}};
    vec    square = {0}, centred = {0};
    words  bad = {0};
    bits   all, some;
    size_t whole = n - n % LANES;
    mask_of(&all, LANES);
    mask_of(&some, n - whole);
    find_top(f, v, n);
    for (size_t i = 0; i < whole; i += LANES) add_values(&total, &square, &bad, v + i, LANES);
    if (whole < n) add_values(&total, &square, &bad, v + whole, n - whole);
    /* Of a constant row this is that constant exactly: n times a float has at most 53 bits. */
    f->mean = sums_of(&total) / (double)n;
    for (size_t i = 0; i < whole; i += LANES) add_centred(&centred, v + i, LANES, f->mean, &all);
    if (whole < n) add_centred(&centred, v + whole, n - whole, f->mean, &some);
    f->finite = true;
    for (size_t l = 0; l < LANES; l++) f->finite = f->finite && !bad[l];
    f->norm = sqrt(add_up(&square));
    f->norm_centred = sqrt(add_up(&centred));
}

/* ---- two rows ---- */

/* Two zero vectors point the same way; a zero vector and another have no angle. */
static double cosine(double norm_a, double norm_b, double unit_difference_squared)
{
    if (norm_a == 0 && norm_b == 0) return 1;
    if (norm_a == 0 || norm_b == 0) return 0;
    return 1 - unit_difference_squared / 2;
}

static double inverse(double norm) { return norm > 0 ? 1 / norm : 0; }

/* Sums over both rows. */
typedef struct geometry {
    vec d2, cd2, unit, cunit, abs, max;
} geometry;

INLINE void add_geometry(geometry *g, const float *s, const float *r, size_t lanes,
                         const row_facts *fs, const row_facts *fr, const double inverses[4],
                         const bits *mask)
{
    const bits sign = {UINT64_MAX >> 1, UINT64_MAX >> 1, UINT64_MAX >> 1, UINT64_MAX >> 1};
    vec        x, y, cx, cy, d, c, u, cu, size;
    bits       more;
    load(&x, s, lanes);
    load(&y, r, lanes);
    cx = x - fs->mean;
    cy = y - fr->mean;
    d = x - y; /* lanes that are not there are 0 in both */
    c = cx - cy;
    u = x * inverses[0] - y * inverses[1];
    cu = cx * inverses[2] - cy * inverses[3];
    keep(&c, mask);
    keep(&cu, mask);
    size = (vec)((bits)d & sign);
    g->d2 += d * d;
    g->cd2 += c * c;
    g->unit += u * u;
    g->cunit += cu * cu;
    g->abs += size;
    more = (bits)(size > g->max);
    select(&g->max, &more, &size, &g->max);
}

INLINE void compare_geometry(ls_position *o, const float *s, const float *r, size_t n,
                             const row_facts *fs, const row_facts *fr)
{
    const double inverses[4] = {inverse(fs->norm), inverse(fr->norm), inverse(fs->norm_centred),
                                inverse(fr->norm_centred)};
    geometry     g = {{0}, {0}, {0}, {0}, {0}, {0}};
    double       cd2;
    bits         all, some;
    size_t       whole = n - n % LANES, at = 0;
    mask_of(&all, LANES);
    mask_of(&some, n - whole);
    for (size_t i = 0; i < whole; i += LANES)
        add_geometry(&g, s + i, r + i, LANES, fs, fr, inverses, &all);
    if (whole < n) add_geometry(&g, s + whole, r + whole, n - whole, fs, fr, inverses, &some);
    o->max_abs = g.max[0];
    for (size_t l = 1; l < LANES; l++) o->max_abs = g.max[l] > o->max_abs ? g.max[l] : o->max_abs;
    while (fabs((double)s[at] - (double)r[at]) < o->max_abs) at++;
    o->max_abs_token = (int32_t)at;
    o->cosine = cosine(fs->norm, fr->norm, add_up(&g.unit));
    o->cosine_centred = cosine(fs->norm_centred, fr->norm_centred, add_up(&g.cunit));
    o->l2 = sqrt(add_up(&g.d2));
    o->mean_abs = add_up(&g.abs) / (double)n;
    cd2 = add_up(&g.cd2);
    o->sigma = sqrt(cd2 / (double)n);
    if (cd2 == 0)
        o->nmse = 0;
    else
        o->nmse = cd2 / (fr->norm_centred * fr->norm_centred);
}

/* e to the x <= 0, to about a unit in the last place; below 2^-1020 it is 0. x is k ln 2 + r with
 * |r| <= ln 2 / 2, ln 2 in two parts of which the first ends in zeros, so that k times it is exact;
 * e^r is its Taylor series up to r^13 / 13!. */
INLINE void exp_of(vec *out, const vec *x)
{
    static const double c[] = {1.0 / 479001600,
                               1.0 / 39916800,
                               1.0 / 3628800,
                               1.0 / 362880,
                               1.0 / 40320,
                               1.0 / 5040,
                               1.0 / 720,
                               1.0 / 120,
                               1.0 / 24,
                               1.0 / 6,
                               0.5,
                               1.0,
                               1.0};
    const double        round = 0x1.8p52;
    const vec           least = {-707, -707, -707, -707};
    bits                within = (bits)(*x > least), power;
    vec                 y, t, k, r, p;
    select(&y, &within, x, &least);
    t = y * 0x1.71547652b82fep0 + round;
    k = t - round;
    r = (y - k * 0x1.62e42fefa38p-1) - k * 0x1.ef35793c7673p-45;
    p = r * (1.0 / 6227020800);
#pragma GCC unroll 13
    for (size_t i = 0; i < sizeof(c) / sizeof(c[0]); i++) p = i ? p * r + c[i] : p + c[i];
    power = ((bits)t + 1023) << 52; /* the last bits of t are k */
    p *= (vec)power;
    keep(&p, &within);
    *out = p;
}

/* Sums over both softmaxes. */
typedef struct kl_sums {
    sums weighted;
    vec  zs, zr;
} kl_sums;

INLINE void add_kl(kl_sums *g, const float *s, const float *r, size_t lanes, double max_s,
                   double max_r, const bits *mask)
{
    vec x, y, es, er;
    load(&x, s, lanes);
    load(&y, r, lanes);
    x -= max_s;
    y -= max_r;
    keep(&x, mask); /* no logit is as far above the largest as 0 may be */
    keep(&y, mask);
    exp_of(&es, &x);
    exp_of(&er, &y);
    keep(&es, mask);
    keep(&er, mask);
    g->zs += es;
    g->zr += er;
    er *= y - x;
    sums_add(&g->weighted, &er);
}

/* KL(reference || subject) = sum p (ln p - ln q), both softmaxes by their own maxima. */
INLINE double divergence(const float *s, const float *r, size_t n, double max_s, double max_r)
{
    kl_sums g = {{{0}, {0}}, {0}, {0}};
    double  zs, zr, kl;
    bits    all, some;
    size_t  whole = n - n % LANES;
    mask_of(&all, LANES);
    mask_of(&some, n - whole);
    for (size_t i = 0; i < whole; i += LANES) add_kl(&g, s + i, r + i, LANES, max_s, max_r, &all);
    if (whole < n) add_kl(&g, s + whole, r + whole, n - whole, max_s, max_r, &some);
    zs = add_up(&g.zs);
    zr = add_up(&g.zr);
    kl = sums_of(&g.weighted) / zr + (log(zs) - log(zr));
    return kl < 0 && kl > -1e-12 ? 0 : kl;
}

INLINE void measure_as(ls_position *o, const float *s, const float *r, size_t n,
                       const row_facts *fs, const row_facts *fr)
{
    compare_geometry(o, s, r, n, fs, fr);
    o->kl = divergence(s, r, n, fs->max, fr->max);
}

/* ---- for which machine ---- */

typedef struct loops {
    void (*study)(row_facts *f, const float *v, size_t n);
    void (*measure)(ls_position *o, const float *s, const float *r, size_t n, const row_facts *fs,
                    const row_facts *fr);
} loops;

static void study_plain(row_facts *f, const float *v, size_t n) { study_as(f, v, n); }
static void measure_plain(ls_position *o, const float *s, const float *r, size_t n,
                          const row_facts *fs, const row_facts *fr)
{
    measure_as(o, s, r, n, fs, fr);
}
static const loops plain = {study_plain, measure_plain};

#if defined(__x86_64__)
#define AVX2 __attribute__((target("avx2")))
AVX2 static void study_avx2(row_facts *f, const float *v, size_t n) { study_as(f, v, n); }
AVX2 static void measure_avx2(ls_position *o, const float *s, const float *r, size_t n,
                              const row_facts *fs, const row_facts *fr)
{
    measure_as(o, s, r, n, fs, fr);
}
static const loops  avx2 = {study_avx2, measure_avx2};
static const loops *choose(void) { return __builtin_cpu_supports("avx2") ? &avx2 : &plain; }
#else
static const loops *choose(void) { return &plain; }
#endif

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
    const loops *l = choose();
    row_facts    fs, fr;
    l->study(&fs, subject, n);
    l->study(&fr, reference, n);
    out->top1_subject = fs.top1;
    out->top1_reference = fr.top1;
    out->finite = fs.finite && fr.finite;
    out->equal = out->finite && memcmp(subject, reference, n * sizeof(*subject)) == 0;
    if (out->finite) {
        l->measure(out, subject, reference, n, &fs, &fr);
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
    choose()->study(&f, row, n);
    forget_metrics(out);
    out->top1_subject = is_reference ? -1 : f.top1;
    out->top1_reference = is_reference ? f.top1 : -1;
    out->finite = f.finite;
    if (f.finite) out->margin = f.margin;
    out->flip = LS_FLIP_NONE;
    out->ok = false;
}
