// SPDX-License-Identifier: MIT
/* rope.c - rotary position embedding (Su et al. 2021, arXiv:2104.09864, section 3.4.2).
 *
 * The angle of pair i at position p is p * base^(-2i/d), computed as the reference computes it:
 * in float, from pair to pair by one multiplication (NUMERICS.md, clause on RoPE). Scaling:
 * linear, YaRN (Peng et al. 2023, arXiv:2309.00071) and per-pair divisors (rope_freqs.weight, as
 * Llama 3.1 uses).
 */
#include <math.h>

#include "kernel/mathd.h"
#include "session/session_priv.h"

/* YaRN: share of the unscaled angle in pair i. It falls from 1 to 0 between the pairs that turn
 * `fast` = 32 times and `slow` = 1 time over the original context (section 3.2). */
static float yarn_share(const ls_model_config *c, size_t i)
{
    static const double two_pi = 6.28318530717958647692, fast = 32, slow = 1;
    double              dims = c->rope_dims, per_turn = dims / (2 * ls_log_d(c->rope_base));
    double              low = per_turn * ls_log_d(c->rope_ctx_orig / (fast * two_pi));
    double              high = per_turn * ls_log_d(c->rope_ctx_orig / (slow * two_pi));
    float               share;

    low = low > 0 ? (double)(int64_t)low : 0; /* down, but not below the first pair */
    high = high > 0 ? high : 0;
    high = (double)(int64_t)high < high ? (double)((int64_t)high + 1) : high; /* up */
    high = high < dims - 1 ? high : dims - 1;
    share = ((float)i - (float)low) / (high - low > 0.001 ? (float)(high - low) : 0.001f);
    return 1.0f - (share < 0.0f ? 0.0f : share > 1.0f ? 1.0f : share);
}

/* YaRN: 1 + 0.1 ln(factor), the growth of attention's temperature (section 3.4). The reference
 * first divides it out of its attention factor and then multiplies it in again, each with its own
 * roundings; so is it done here, since Q8_0 rounding amplifies a last bit. */
static float yarn_magnitude(const ls_model_config *c)
{
    float factor = 1.0f / (float)c->rope_scale;
    float grown = (float)ls_log_d((double)factor), plain = 0.1f * grown + 1.0f;
    float attn = (factor > 1.0f ? plain : 1.0f) * (1.0f / plain) * (float)c->rope_attn_factor;
    return attn * fmaf(0.1f, grown, 1.0f);
}

void ls_rope_init(ls_session *s)
{
    const ls_model_config *c = &s->model->config;

    s->rope_step = (float)ls_pow_d(c->rope_base, (double)(-2.0f / (float)c->rope_dims));
    for (size_t i = 0; i < (size_t)c->rope_dims / 2; i++) {
        s->rope_div[i] = s->model->rope_factors ? s->model->rope_factors[i] : 1.0f;
        s->rope_mix[i] = c->rope_yarn ? yarn_share(c, i) : 0.0f;
    }
    s->rope_mscale = c->rope_yarn ? yarn_magnitude(c) : (float)c->rope_attn_factor;
}

void ls_rope_angles(ls_session *s, size_t T)
{
    size_t half = (size_t)s->model->config.rope_dims / 2;
    float  scale = (float)s->model->config.rope_scale, *out = s->sincos;

    for (size_t t = 0; t < T; t++) {
        float theta = (float)(s->base + (int32_t)t);
        for (size_t i = 0; i < half; i++, out += 2) {
            float angle = theta / s->rope_div[i], scaled = scale * angle, mix = s->rope_mix[i];
            float sine, cosine;
            if (mix != 0.0f) scaled = fmaf(scaled, 1.0f - mix, angle * mix);
            ls_sincos_f(scaled, &sine, &cosine);
            out[0] = cosine * s->rope_mscale;
            out[1] = sine * s->rope_mscale;
            theta *= s->rope_step;
        }
    }
}

void ls_rope_rotate(ls_session *s, float *x, size_t n_heads, size_t T)
{
    const ls_model_config *c = &s->model->config;
    size_t                 n = (size_t)c->rope_dims, K = (size_t)c->head_dim;
    void (*rotate)(float *restrict, const float *restrict, size_t) =
        c->rope_order == LS_ROPE_NEOX ? s->k.rope_neox : s->k.rope_normal;

    for (size_t t = 0; t < T; t++) {
        for (size_t h = 0; h < n_heads; h++) {
            rotate(x + (t * n_heads + h) * K, s->sincos + t * n, n);
        }
    }
}
