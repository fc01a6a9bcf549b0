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
#include "session/ops.h"

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

/* Divisors of the angles: of a file with two sets, the long one for a context that is longer than
 * the one of pre-training. The reference rounds contexts up to 256. */
static const float *divisors(const ls_session *s)
{
    const ls_model *m = s->model;
    int64_t         n_ctx = ((int64_t)s->opt.n_ctx + 255) / 256 * 256;
    if (m->rope_factors) return m->rope_factors;
    return n_ctx > m->config.rope_ctx_orig ? m->rope_long : m->rope_short;
}

void ls_rope_init(ls_session *s)
{
    const ls_model_config *c = &s->model->config;
    const float           *div = divisors(s);
    double                 exponent = c->rope_dims ? (double)(-2.0f / (float)c->rope_dims) : 0;

    s->rope_step[0] = (float)ls_pow_d(c->rope_base, exponent);
    s->rope_step[1] = (float)ls_pow_d(c->rope_base_swa, exponent);
    for (size_t i = 0; i < (size_t)c->rope_dims / 2; i++) {
        s->rope_div[i] = div ? div[i] : 1.0f;
        s->rope_mix[i] = c->rope_yarn ? yarn_share(c, i) : 0.0f;
    }
    s->rope_mscale[0] = c->rope_yarn ? yarn_magnitude(c) : (float)c->rope_attn_factor;
    s->rope_mscale[1] = c->rope_plain_swa ? 1.0f : s->rope_mscale[0];
}

/* The angles of all layers (w 0), or of those with a window (w 1). */
static void angles(ls_session *s, int w, size_t T)
{
    const ls_model_config *c = &s->model->config;
    size_t                 half = (size_t)c->rope_dims / 2;
    float scale = (float)(w ? c->rope_scale_swa : c->rope_scale), *out = s->sincos[w];

    for (size_t t = 0; t < T; t++) {
        float theta = (float)(s->base + (int32_t)t);
        for (size_t i = 0; i < half; i++, out += 2) {
            float angle = theta / s->rope_div[i], scaled = scale * angle, mix = s->rope_mix[i];
            float sine, cosine;
            if (mix != 0.0f && !(w && c->rope_plain_swa)) {
                scaled = fmaf(scaled, 1.0f - mix, angle * mix);
            }
            ls_sincos_f(scaled, &sine, &cosine);
            out[0] = cosine * s->rope_mscale[w];
            out[1] = sine * s->rope_mscale[w];
            theta *= s->rope_step[w];
        }
    }
}

void ls_rope_angles(ls_session *s, size_t T)
{
    if (s->model->arch->rope == LS_ROPE_NONE) return;
    angles(s, 0, T);
    if (s->model->config.n_swa) angles(s, 1, T);
}

bool ls_has_window(const ls_session *s, int32_t i)
{
    const ls_model_config *c = &s->model->config;
    return c->n_swa > 0 && (c->swa_period == 0 || i % c->swa_period < c->swa_period - 1);
}

void ls_rotate(const ls_session *s, float *x, const float *sincos)
{
    const ls_model_config *c = &s->model->config;
    (c->rope_order == LS_ROPE_NEOX ? s->k.rope_neox : s->k.rope_normal)(x, sincos,
                                                                        (size_t)c->rope_dims);
}

/* n_heads heads of each token. */
typedef struct rope_job {
    ls_session  *s;
    float       *x;
    size_t       n_heads;
    const float *sincos;
} rope_job;

static void rotate_rows(void *ctx, size_t begin, size_t end, int thread)
{
    const rope_job        *j = ctx;
    const ls_model_config *c = &j->s->model->config;
    size_t                 n = (size_t)c->rope_dims, K = (size_t)c->head_dim, H = j->n_heads;
    (void)thread;
    for (size_t t = begin; t < end; t++)
        for (size_t h = 0; h < H; h++) ls_rotate(j->s, j->x + (t * H + h) * K, j->sincos + t * n);
}

const float *ls_rope(ls_session *s, int32_t i, size_t T)
{
    const ls_model_config *c = &s->model->config;
    size_t   H = (size_t)c->n_heads, G = (size_t)c->n_kv_heads, K = (size_t)c->head_dim;
    rope_job j = {s, s->q, H, s->sincos[ls_has_window(s, i)]};
    ls_pool_run(s->pool, rotate_rows, &j, T, 1);
    if (!s->opt.follow && !ls_is_watched(s)) return j.sincos;
    j.x = ls_keys(s);
    j.n_heads = G;
    ls_pool_run(s->pool, rotate_rows, &j, T, 1);
    ls_tap_rows(s, LS_OP_Q_ROPE, i, s->q, H * K, H * K, T);
    ls_tap_rows(s, LS_OP_K_ROPE, i, ls_keys(s), G * K, G * K, T);
    return NULL;
}
