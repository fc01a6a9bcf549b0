// SPDX-License-Identifier: MIT
/* round.c - roundings that are part of what a model computes: activations in front of matrix
 * products, keys and values in their cache (NUMERICS.md, clauses 3 and 7).
 *
 * They are steps in float, whatever evaluates them; a value in double is made a float first. */
#include <math.h>

#include "dtype/dtype.h"
#include "oracle/oracle_priv.h"

double ls_oracle_f16(double x) { return (double)ls_f16_to_f32(ls_f32_to_f16((float)x)); }

static double bf16(double x) { return (double)ls_bf16_to_f32(ls_f32_to_bf16((float)x)); }

static double whole(float x, bool half_away)
{
    return (double)(half_away ? roundf(x) : nearbyintf(x));
}

static float largest(const double *x, size_t n)
{
    float max = 0;
    for (size_t i = 0; i < n; i++) max = fabsf((float)x[i]) > max ? fabsf((float)x[i]) : max;
    return max;
}

static bool all_finite(const double *x, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (!isfinite((float)x[i])) return false;
    }
    return true;
}

static void all(double *y, size_t n, double value)
{
    for (size_t i = 0; i < n; i++) y[i] = value;
}

/* 32 elements and a scale, F16. */
static void q8_0(double *y, const double *x, size_t n, bool half_away)
{
    float  amax = largest(x, n), inverse = 127.0f / amax;
    double d = ls_oracle_f16((double)(amax / 127.0f));
    if (!isfinite(inverse)) {
        all(y, n, 0);
        return;
    }
    for (size_t i = 0; i < n; i++) y[i] = whole((float)x[i] * inverse, half_away) * d;
}

/* 256 elements; the first of the largest becomes -127. */
static void q8_k(double *y, const double *x, size_t n, bool half_away)
{
    float max = 0, inverse;
    for (size_t i = 0; i < n; i++) max = fabsf((float)x[i]) > fabsf(max) ? (float)x[i] : max;
    inverse = -127.0f / max;
    if (!isfinite(inverse)) {
        all(y, n, 0);
        return;
    }
    for (size_t i = 0; i < n; i++)
        y[i] = whole((float)x[i] * inverse, half_away) * (double)(1.0f / inverse);
}

static void i8_row(double *y, const double *x, size_t n, float least, bool half_away)
{
    float amax = largest(x, n), s = 127.0f / (amax > least ? amax : least);
    for (size_t i = 0; i < n; i++) y[i] = whole((float)x[i] * s, half_away) / (double)s;
}

static ls_act form_of(ls_sem_round form, int dtype)
{
    switch (form) {
    case LS_SEM_F16:
        return LS_ACT_F16;
    case LS_SEM_BF16:
        return LS_ACT_BF16;
    case LS_SEM_Q8_0:
        return LS_ACT_Q8_0;
    case LS_SEM_Q8_K:
        return LS_ACT_Q8_K;
    case LS_SEM_I8_ROW:
        return LS_ACT_I8_ROW;
    case LS_SEM_BY_TYPE:
        return ls_dtype_act(dtype);
    default:
        return LS_ACT_F32;
    }
}

static size_t block_of(ls_act form, size_t n)
{
    if (form == LS_ACT_Q8_0 || form == LS_ACT_Q8_1) return 32;
    return form == LS_ACT_Q8_K ? 256 : n;
}

static void block(double *y, const double *x, size_t n, ls_act form, bool half_away)
{
    switch (form) {
    case LS_ACT_Q8_0:
    case LS_ACT_Q8_1:
        q8_0(y, x, n, half_away);
        break;
    case LS_ACT_Q8_K:
        q8_k(y, x, n, half_away);
        break;
    case LS_ACT_I8_ROW:
        i8_row(y, x, n, 1e-5f, half_away);
        break;
    default:
        i8_row(y, x, n, 0x1p-121f, half_away);
        break;
    }
}

void ls_oracle_round(double *y, const double *x, size_t n, ls_sem_round sem, int dtype,
                     bool half_away)
{
    ls_act form = form_of(sem, dtype);
    size_t step = block_of(form, n);
    if (form == LS_ACT_F32 || form == LS_ACT_F16 || form == LS_ACT_BF16) {
        for (size_t i = 0; i < n; i++)
            y[i] = form == LS_ACT_F32   ? x[i]
                   : form == LS_ACT_F16 ? ls_oracle_f16(x[i])
                                        : bf16(x[i]);
        return;
    }
    for (size_t i = 0; i < n; i += step) {
        size_t m = n - i < step ? n - i : step;
        if (all_finite(x + i, m)) {
            block(y + i, x + i, m, form, half_away);
        } else {
            all(y + i, m, (double)NAN);
        }
    }
}

void ls_oracle_keep(double *x, size_t n, ls_sem_kv kv)
{
    if (kv == LS_SEM_KV_Q8_0) ls_oracle_round(x, x, n, LS_SEM_Q8_0, LS_DTYPE_Q8_0, false);
    for (size_t i = 0; i < n && kv != LS_SEM_KV_F64 && kv != LS_SEM_KV_Q8_0; i++)
        x[i] = kv == LS_SEM_KV_F16    ? ls_oracle_f16(x[i])
               : kv == LS_SEM_KV_BF16 ? bf16(x[i])
                                      : (double)(float)x[i];
}
