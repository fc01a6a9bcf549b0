// SPDX-License-Identifier: MIT
/* mathd.c - exp, log, pow, sine and cosine in double precision; NUMERICS.md, clause 6.
 *
 * Arguments are reduced with a constant split in two or three doubles, so that fma(-n, part, x)
 * loses nothing, then Taylor series are summed by Horner's rule. Coefficients are reciprocals
 * of factorials and odd numbers; the series end where the next term is below 2^-54. */
#include "kernel/mathd.h"

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Adding 1.5 * 2^52 and subtracting it rounds to the nearest integer, ties to even. */
#define ROUND_MAGIC 0x1.8p52

static double from_bits(uint64_t u)
{
    double d;
    memcpy(&d, &u, 8);
    return d;
}

static uint64_t to_bits(double d)
{
    uint64_t u;
    memcpy(&u, &d, 8);
    return u;
}

/* Coefficients from the highest power down. */
static double horner(const double *c, size_t n, double x)
{
    double p = c[0];
    for (size_t i = 1; i < n; i++) p = fma(p, x, c[i]);
    return p;
}

double ls_exp_d(double x)
{
    static const double c[] = {
        1.0 / 6227020800.0,
        1.0 / 479001600.0,
        1.0 / 39916800.0,
        1.0 / 3628800.0,
        1.0 / 362880.0,
        1.0 / 40320.0,
        1.0 / 5040.0,
        1.0 / 720.0,
        1.0 / 120.0,
        1.0 / 24.0,
        1.0 / 6.0,
        0.5,
        1.0,
        1.0,
    };
    double n, r, p;
    if (x != x) return x;
    if (x > 709.782712893384) return from_bits(0x7ff0000000000000);
    if (x < -708.396418532264) return 0.0;
    n = (x * 0x1.71547652b82fep+0 + ROUND_MAGIC) - ROUND_MAGIC;
    r = fma(-n, 0x1.62e42fefa39efp-1, x);
    r = fma(-n, 0x1.abc9e3b39803fp-56, r);
    p = horner(c, sizeof(c) / sizeof(c[0]), r);
    /* 2^n in two factors: n can be 1024 where the result is still finite. */
    p *= from_bits((uint64_t)((int64_t)n / 2 + 1023) << 52);
    return p * from_bits((uint64_t)((int64_t)n - (int64_t)n / 2 + 1023) << 52);
}

double ls_log_d(double x)
{
    static const double c[] = {
        2.0 / 21, 2.0 / 19, 2.0 / 17, 2.0 / 15, 2.0 / 13,
        2.0 / 11, 2.0 / 9,  2.0 / 7,  2.0 / 5,  2.0 / 3,
    };
    double   e = 0, m, f, s, s2, lo;
    uint64_t u;
    if (x != x || x < 0) return from_bits(0x7ff8000000000000);
    if (x == 0) return from_bits(0xfff0000000000000);
    if (to_bits(x) == 0x7ff0000000000000) return x;
    if (x < 0x1p-1022) { /* subnormal */
        x *= 0x1p54;
        e = -54;
    }
    u = to_bits(x);
    /* x = 2^e * m with m in [sqrt(1/2), sqrt(2)); then log m = 2 atanh((m - 1) / (m + 1)). */
    e += (double)((int64_t)(u >> 52) - 1023);
    m = from_bits((u & 0xfffffffffffff) | 0x3ff0000000000000);
    if (m > 1.4142135623730951) {
        m *= 0.5;
        e += 1;
    }
    f = m - 1; /* exact */
    s = f / (m + 1);
    s2 = s * s;
    /* 2 s = f - s f, which keeps the leading term f exact. */
    lo = fma(s * s2, horner(c, sizeof(c) / sizeof(c[0]), s2), e * 0x1.abc9e3b39803fp-56);
    return fma(e, 0x1.62e42fefa39efp-1, f + (lo - s * f));
}

double ls_pow_d(double base, double x)
{
    if (x == 0) return 1.0;
    return ls_exp_d(x * ls_log_d(base));
}

void ls_sincos_d(double x, double *s, double *c)
{
    static const double cs[] = {
        1.0 / 355687428096000.0, -1.0 / 1307674368000.0, 1.0 / 6227020800.0, -1.0 / 39916800.0,
        1.0 / 362880.0,          -1.0 / 5040.0,          1.0 / 120.0,        -1.0 / 6.0,
    };
    static const double cc[] = {
        1.0 / 20922789888000.0,
        -1.0 / 87178291200.0,
        1.0 / 479001600.0,
        -1.0 / 3628800.0,
        1.0 / 40320.0,
        -1.0 / 720.0,
        1.0 / 24.0,
        -0.5,
        1.0,
    };
    double n, r, r2, sr, cr;
    if (!(x >= -0x1p31 && x <= 0x1p31)) {
        *s = *c = from_bits(0x7ff8000000000000);
        return;
    }
    /* r = x - n pi/2 in [-pi/4, pi/4]; the three parts of pi/2 hold 160 bits. */
    n = (x * 0x1.45f306dc9c883p-1 + ROUND_MAGIC) - ROUND_MAGIC;
    r = fma(-n, 0x1.921fb54442d18p+0, x);
    r = fma(-n, 0x1.1a62633145c07p-54, r);
    r = fma(-n, -0x1.f1976b7ed8fbcp-110, r);
    r2 = r * r;
    sr = fma(r * r2, horner(cs, sizeof(cs) / sizeof(cs[0]), r2), r);
    cr = horner(cc, sizeof(cc) / sizeof(cc[0]), r2);
    switch ((int64_t)n & 3) { /* quadrant */
    case 0:
        *s = sr;
        *c = cr;
        return;
    case 1:
        *s = cr;
        *c = -sr;
        return;
    case 2:
        *s = -sr;
        *c = -cr;
        return;
    default:
        *s = -cr;
        *c = sr;
        return;
    }
}

float ls_tanh_f(float x)
{
    double a = fabs((double)x), t;
    if (x != x) return x;
    if (a < 0x1p-12) return (float)((double)x * (1 - a * a / 3));
    t = a > 20 ? 1 : 1 - 2 / (ls_exp_d(2 * a) + 1);
    return (float)(x < 0 ? -t : t);
}

float ls_exp_f(float x)
{
    static const double pow2[32] = {
        /* 2^(i / 32) */
        0x1p0,
        0x1.059b0d3158574p0,
        0x1.0b5586cf9890fp0,
        0x1.11301d0125b51p0,
        0x1.172b83c7d517bp0,
        0x1.1d4873168b9aap0,
        0x1.2387a6e756238p0,
        0x1.29e9df51fdee1p0,
        0x1.306fe0a31b715p0,
        0x1.371a7373aa9cbp0,
        0x1.3dea64c123422p0,
        0x1.44e086061892dp0,
        0x1.4bfdad5362a27p0,
        0x1.5342b569d4f82p0,
        0x1.5ab07dd485429p0,
        0x1.6247eb03a5585p0,
        0x1.6a09e667f3bcdp0,
        0x1.71f75e8ec5f74p0,
        0x1.7a11473eb0187p0,
        0x1.82589994cce13p0,
        0x1.8ace5422aa0dbp0,
        0x1.93737b0cdc5e5p0,
        0x1.9c49182a3f09p0,
        0x1.a5503b23e255dp0,
        0x1.ae89f995ad3adp0,
        0x1.b7f76f2fb5e47p0,
        0x1.c199bdd85529cp0,
        0x1.cb720dcef9069p0,
        0x1.d5818dcfba487p0,
        0x1.dfc97337b9b5fp0,
        0x1.ea4afa2a490dap0,
        0x1.f50765b6e454p0,
    };
    double  z, n, r, scale;
    int64_t k;
    if (x != x) return x;
    if (x > 0x1.62e42ep6f) return INFINITY;
    if (x < -0x1.9fe368p6f) return 0.0f;
    z = 0x1.71547652b82fep0 * 32 * (double)x; /* x = (n + r) ln 2 / 32 */
    n = (z + ROUND_MAGIC) - ROUND_MAGIC;
    r = z - n;
    k = (int64_t)n;
    scale = from_bits(to_bits(pow2[k & 31]) + ((uint64_t)((k - (k & 31)) / 32) << 52));
    z = 0x1.c6af84b912394p-20 * r + 0x1.ebfce50fac4f3p-13;
    return (float)((z * (r * r) + (0x1.62e42ff0c52d6p-6 * r + 1)) * scale);
}

void ls_sincos_f(float x, float *s, float *c)
{
    double   r, r2, n, sine, cosine;
    unsigned quadrant;

    if (!(x <= 0x1p20f && x >= -0x1p20f)) { /* far out, infinite or NaN */
        double ds, dc;
        ls_sincos_d((double)x, &ds, &dc);
        *s = (float)ds;
        *c = (float)dc;
        return;
    }
    /* x = n pi/2 + r; the second part of pi/2 keeps r exact to double for every angle here. */
    n = ((double)x * 0x1.45f306dc9c883p-1 + ROUND_MAGIC) - ROUND_MAGIC;
    r = fma(-n, 0x1.921fb54442d18p0, (double)x);
    if (x > 120.0f || x < -120.0f) r = fma(-n, 0x1.1a62633145c07p-54, r);
    r2 = r * r;
    sine = r + r * r2 * -0x1.555545995a603p-3;
    sine += r * r2 * r2 * (0x1.1107605230bc4p-7 + r2 * -0x1.994eb3774cf24p-13);
    cosine = (1.0 + r2 * -0x1.ffffffd0c621cp-2) + r2 * r2 * 0x1.55553e1068f19p-5;
    cosine += r2 * r2 * r2 * (-0x1.6c087e89a359dp-10 + r2 * 0x1.99343027bf8c3p-16);
    quadrant = (unsigned)(int64_t)n & 3;
    if (quadrant & 1) {
        double t = sine;
        sine = cosine;
        cosine = -t;
    }
    *s = (float)(quadrant & 2 ? -sine : sine);
    *c = (float)(quadrant & 2 ? -cosine : cosine);
}
