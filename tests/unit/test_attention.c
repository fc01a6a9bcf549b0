// SPDX-License-Identifier: MIT
/* test_attention.c - attention in the engine's own order against plain loops that say what
 * NUMERICS.md, clause 7 says: the same bits, whatever strips, rows and threads the engine uses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dtype/dtype.h"
#include "lockstep/mini.h"
#include "lockstep/model.h"

enum { N = 150, MAX_ROW = 1024, MAX_HEADS = 16 };

/* What the taps of one layer showed. */
typedef struct shown {
    int32_t layer;
    float   q[N][MAX_ROW], k[N][MAX_ROW], v[N][MAX_ROW], out[N][MAX_ROW];
    float   scores[N][MAX_HEADS][N], weights[N][MAX_HEADS][N];
} shown;

static void keep(void *ctx, const ls_tap *tap)
{
    shown *s = ctx;
    float *to = NULL;
    if (tap->layer != s->layer) return;
    switch ((int)tap->op) {
    case LS_OP_Q_ROPE:
        to = s->q[tap->pos];
        break;
    case LS_OP_K_ROPE:
        to = s->k[tap->pos];
        break;
    case LS_OP_V_PROJ:
        to = s->v[tap->pos];
        break;
    case LS_OP_ATTN_OUT:
        to = s->out[tap->pos];
        break;
    case LS_OP_ATTN_SCORES:
        to = s->scores[tap->pos][tap->head];
        break;
    case LS_OP_ATTN_SCORES_SOFTMAX:
        to = s->weights[tap->pos][tap->head];
        break;
    default:
        return;
    }
    memcpy(to, tap->data, tap->n * sizeof(float));
}

/* N tokens of model m, `call` at a time. Owned: free(). */
static shown *evaluate(const ls_model *m, int32_t layer, int kv_type, int threads, int call)
{
    ls_session_options opt = {.n_ctx = N, .n_batch = N, .n_threads = threads, .kv_type = kv_type};
    ls_session        *s = NULL;
    shown             *all = calloc(1, sizeof(*all));
    int32_t            ids[N];
    assert_non_null(all);
    all->layer = layer;
    opt.taps[0].fn = keep;
    opt.taps[0].ctx = all;
    for (int i = 0; i < N; i++) ids[i] = 3 + i * 37 % 250;
    assert_int_equal(ls_session_create(&s, m, &opt, NULL), LS_OK);
    assert_int_equal(ls_session_eval(s, ids, N, NULL), LS_OK); /* a cache that has been used */
    ls_session_rewind(s, 0);
    for (int i = 0; i < N; i += call) {
        size_t n = (size_t)(N - i < call ? N - i : call);
        assert_int_equal(ls_session_eval(s, ids + i, n, NULL), LS_OK);
    }
    ls_session_destroy(s);
    return all;
}

static float rounded(float x, int kv_type)
{
    if (kv_type == LS_DTYPE_BF16) return ls_bf16_to_f32(ls_f32_to_bf16(x));
    return kv_type == LS_DTYPE_F16 ? ls_f16_to_f32(ls_f32_to_f16(x)) : x;
}

/* Clause 3, Q8_0: the scale and the codes of 32 elements. */
static float q8_0(const float *x, int *codes)
{
    float amax = 0;
    for (int i = 0; i < 32; i++) amax = fabsf(x[i]) > amax ? fabsf(x[i]) : amax;
    for (int i = 0; i < 32; i++) codes[i] = (int)nearbyintf(x[i] * (127.0f / amax));
    return ls_f16_to_f32(ls_f32_to_f16(amax / 127.0f));
}

/* Clause 4, whole blocks. */
static float score_q8_0(const float *q, const float *k, size_t K)
{
    float acc = 0;
    for (size_t b = 0; b < K; b += 32) {
        int   a[32], c[32], sum = 0;
        float da = q8_0(q + b, a), dc = q8_0(k + b, c);
        for (int i = 0; i < 32; i++) sum += a[i] * c[i];
        acc = fmaf(dc * da, (float)sum, acc);
    }
    return acc;
}

/* What was shown, as the cache and the weights hold it. Queries and keys of Q8_0 stay: their codes
 * are multiplied. */
static void round_shown(const ls_model_config *c, shown *s, int kv_type)
{
    size_t K = (size_t)c->head_dim, GK = (size_t)c->n_kv_heads * K, H = (size_t)c->n_heads;
    for (int t = 0; t < N; t++) {
        for (size_t b = 0; kv_type == LS_DTYPE_Q8_0 && b < GK; b += 32) {
            int   codes[32];
            float d = q8_0(s->v[t] + b, codes);
            for (size_t i = 0; i < 32; i++) s->v[t][b + i] = d * (float)codes[i];
        }
        for (size_t i = 0; i < GK; i++) s->v[t][i] = rounded(s->v[t][i], kv_type);
        for (size_t i = 0; i < GK; i++) s->k[t][i] = rounded(s->k[t][i], kv_type);
        for (size_t i = 0; i < H * K; i++) s->q[t][i] = rounded(s->q[t][i], kv_type);
        for (size_t h = 0; h < H; h++) {
            for (int p = 0; p <= t; p++)
                s->weights[t][h][p] = rounded(s->weights[t][h][p], kv_type);
        }
    }
}

static void same(float got, float expected, const char *what, int t, size_t h, size_t i)
{
    if (memcmp(&got, &expected, sizeof(float)) == 0) return;
    fail_msg("%s of position %d, head %zu, element %zu: %a, expected %a", what, t, h, i,
             (double)got, (double)expected);
}

static void check_head(const ls_model_config *c, const shown *s, int t, size_t h, int kv_type,
                       int from)
{
    size_t K = (size_t)c->head_dim, g = h / (size_t)(c->n_heads / c->n_kv_heads);
    float  scale = 1.0f / sqrtf((float)c->head_dim);
    for (int p = 0; p <= t; p++) {
        float chain = 0;
        for (size_t d = 0; d < K; d++) {
            chain = fmaf(s->q[t][h * K + d], s->k[p][g * K + d], chain);
        }
        if (kv_type == LS_DTYPE_Q8_0) chain = score_q8_0(s->q[t] + h * K, s->k[p] + g * K, K);
        if (p < from) chain = -INFINITY;
        same(s->scores[t][h][p], chain * scale, "score", t, h, (size_t)p);
        if (p < from) same(s->weights[t][h][p], 0, "weight", t, h, (size_t)p);
    }
    for (size_t d = 0; d < K; d++) {
        float out = 0;
        for (int b = 0; b <= t; b += 64) {
            float chain = 0;
            for (int p = b; p <= t && p < b + 64; p++) {
                if (p < from) continue;
                chain = fmaf(s->weights[t][h][p], s->v[p][g * K + d], chain);
            }
            out += chain;
        }
        same(s->out[t][h * K + d], out, "output", t, h, d);
    }
}

static void check(const ls_model *m, int32_t layer, int32_t window)
{
    static const int       calls[] = {N, 7, 1, 7}, threads[] = {1, 3, 8, 8};
    const ls_model_config *c = ls_model_get_config(m);
    assert_true(c->n_heads * c->head_dim <= MAX_ROW && c->n_heads <= MAX_HEADS);
    for (int k = 0; k < 4; k++) {
        static const int types[] = {LS_DTYPE_F16, LS_DTYPE_F32, LS_DTYPE_BF16, LS_DTYPE_Q8_0};
        int              kv_type = types[k];
        if (kv_type == LS_DTYPE_Q8_0 && c->head_dim % 32) continue;
        for (int i = 0; i < 4; i++) {
            shown *s = evaluate(m, layer, kv_type, threads[i], calls[i]);
            round_shown(c, s, kv_type);
            for (int t = 0; t < N; t++) {
                int from = window > 0 && t + 1 > window ? t + 1 - window : 0;
                for (size_t h = 0; h < (size_t)c->n_heads; h++)
                    check_head(c, s, t, h, kv_type, from);
            }
            free(s);
        }
    }
}

static void is_what_the_contract_says_with_heads_that_are_no_multiple_of_sixteen(void **state)
{
    ls_model *m = NULL;
    (void)state;
    assert_int_equal(ls_model_open(&m, LS_SOURCE_DIR "/models/stories260K.gguf", NULL), LS_OK);
    assert_true(ls_model_get_config(m)->head_dim % 16 != 0);
    assert_true(ls_model_get_config(m)->n_heads > ls_model_get_config(m)->n_kv_heads);
    check(m, 1, 0);
    ls_model_close(m);
}

/* gpt-oss: a window in every other layer, and sinks. */
static void is_what_the_contract_says_where_a_window_hides_positions(void **state)
{
    ls_mini_options opt = {.arch = "gpt-oss", .dtype = LS_DTYPE_F32, .seed = 7};
    char            path[] = "/tmp/lockstep-test-XXXXXX";
    int             fd = mkstemp(path);
    ls_model       *m = NULL;
    (void)state;
    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(ls_mini_write(path, &opt, NULL), LS_OK);
    assert_int_equal(ls_model_open(&m, path, NULL), LS_OK);
    assert_in_range(ls_model_get_config(m)->n_swa, 1, N / 2);
    assert_int_equal(ls_model_get_config(m)->head_dim % 32, 0); /* for Q8_0 */
    check(m, 0, ls_model_get_config(m)->n_swa);
    check(m, 1, 0);
    ls_model_close(m);
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(is_what_the_contract_says_with_heads_that_are_no_multiple_of_sixteen),
        cmocka_unit_test(is_what_the_contract_says_where_a_window_hides_positions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
