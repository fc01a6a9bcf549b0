// SPDX-License-Identifier: MIT
/* functions.c - the formulas, each on one row, in double and as the papers print them.
 *
 * RMSNorm: Zhang and Sennrich 2019; LayerNorm: Ba et al. 2016; GELU: Hendrycks and Gimpel 2016;
 * squared ReLU: So et al. 2021; RoPE: Su et al. 2021; YaRN: Peng et al. 2023. */
#include <math.h>

#include "oracle/oracle_priv.h"

#define PI 3.14159265358979323846

void ls_oracle_rms_norm(double *y, const double *x, const double *w, size_t n, double eps)
{
    double sum = 0, scale;
    for (size_t i = 0; i < n; i++) sum += x[i] * x[i];
    scale = 1 / sqrt(sum / (double)n + eps);
    for (size_t i = 0; i < n; i++) y[i] = x[i] * scale * w[i];
}

void ls_oracle_layer_norm(double *y, const double *x, const double *w, const double *b, size_t n,
                          double eps)
{
    double mean = 0, variance = 0, scale;
    for (size_t i = 0; i < n; i++) mean += x[i] / (double)n;
    for (size_t i = 0; i < n; i++) variance += (x[i] - mean) * (x[i] - mean) / (double)n;
    scale = 1 / sqrt(variance + eps);
    for (size_t i = 0; i < n; i++) y[i] = (x[i] - mean) * scale * w[i] + (b ? b[i] : 0);
}

static double sigmoid(double x) { return 1 / (1 + exp(-x)); }

static double gelu_tanh(double x)
{
    return 0.5 * x * (1 + tanh(sqrt(2 / PI) * (x + 0.044715 * x * x * x)));
}

static double gelu_f16(double x)
{
    if (x <= -10) return 0;
    return x >= 10 ? x : ls_oracle_f16(gelu_tanh(ls_oracle_f16(x)));
}

static double swiglu_oai(double g, double u)
{
    g = g > 7 ? 7 : g;
    u = u > 7 ? 7 : u < -7 ? -7 : u;
    return g * sigmoid(1.702 * g) * (u + 1);
}

double ls_oracle_act(ls_sem_act act, double g, double up)
{
    double r = g < 0 ? 0 : g; /* a NaN stays */
    switch (act) {
    case LS_SEM_SILU:
        return g * sigmoid(g) * up;
    case LS_SEM_RELU:
        return r * up;
    case LS_SEM_RELU2:
        return r * r * up;
    case LS_SEM_GELU_ERF:
        return 0.5 * g * (1 + erf(g / sqrt(2.0))) * up;
    case LS_SEM_GELU_TANH:
        return gelu_tanh(g) * up;
    case LS_SEM_GELU_F16:
        return gelu_f16(g) * up;
    case LS_SEM_GELU_QUICK:
        return g * sigmoid(1.702 * g) * up;
    case LS_SEM_SWIGLU_OAI:
        return swiglu_oai(g, up);
    default:
        return (double)NAN;
    }
}

/* A sink takes its share and gives nothing; -infinity: none. */
void ls_oracle_softmax(double *x, size_t n, double sink)
{
    double max = sink, sum = 0;
    for (size_t i = 0; i < n; i++) max = x[i] > max ? x[i] : max;
    for (size_t i = 0; i < n; i++) {
        x[i] = exp(x[i] - max);
        sum += x[i];
    }
    sum += exp(sink - max);
    for (size_t i = 0; i < n; i++) x[i] /= sum;
}

/* YaRN: how much of pair i's angle stays unscaled. It falls from 1 to 0 between the pairs that turn
 * 32 times and once over the context of pre-training. */
static double yarn_share(const ls_semantics *s, int32_t i)
{
    double dims = s->rope_dims, per_turn = dims / (2 * log(s->rope_base[0]));
    double low = floor(per_turn * log(s->rope_ctx_orig / (32 * 2 * PI)));
    double high = ceil(per_turn * log(s->rope_ctx_orig / (2 * PI)));
    low = fmax(low, 0);
    high = fmin(high, dims - 1);
    return 1 - fmin(fmax((i - low) / fmax(high - low, 0.001), 0), 1);
}

/* YaRN: attention's temperature grows with the context. */
static double yarn_magnitude(double position_scale)
{
    return position_scale < 1 ? 1 + 0.1 * log(1 / position_scale) : 1;
}

void ls_oracle_rotate(double *x, size_t heads, size_t K, const ls_semantics *s, bool window,
                      const double *div, int32_t pos)
{
    int32_t dims = s->rope_dims, half = dims / 2;
    bool    yarn = s->rope_yarn[window];
    double  scale = s->rope_scale[window];
    double  magnitude = s->rope_attn_factor[window] * (yarn ? yarn_magnitude(s->rope_scale[0]) : 1);
    for (int32_t i = 0; i < half; i++) {
        double angle = pos * pow(s->rope_base[window], -2.0 * i / dims) / (div ? div[i] : 1);
        double share = yarn ? yarn_share(s, i) : 0;
        double turned = share * angle + (1 - share) * scale * angle;
        double c = cos(turned) * magnitude, sn = sin(turned) * magnitude;
        for (size_t h = 0; h < heads; h++) {
            double *a = x + h * K + (s->rope_order == LS_ROPE_NEOX ? i : 2 * i);
            double *b = a + (s->rope_order == LS_ROPE_NEOX ? half : 1);
            double  u = *a, v = *b;
            *a = u * c - v * sn;
            *b = u * sn + v * c;
        }
    }
}
