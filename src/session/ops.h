// SPDX-License-Identifier: MIT
/* ops.h - the operations that architectures are composed of.
 *
 * Each takes T rows of a session's buffers (session_priv.h says which there are and their
 * shapes), shares them between threads, and shows the result to the taps under the given name.
 * i is the layer. A token's values depend on its own rows and on the cache alone.
 */
#ifndef LS_SESSION_OPS_H
#define LS_SESSION_OPS_H

#include "session/session_priv.h"

/* y = RMSNorm(x) * w, or LayerNorm(x) * w + b, over T rows of n. y may be x. b may be NULL. */
void ls_rms_norm(ls_session *s, ls_op op, int32_t i, float *y, const float *x, const ls_norm *norm,
                 size_t n, size_t T);
void ls_layer_norm(ls_session *s, ls_op op, int32_t i, float *y, const float *x,
                   const ls_norm *norm, size_t n, size_t T);
/* The same for products, which take what is returned: RMSNorm, or LayerNorm where the residual stream
 * has that. Unless somebody watches, x must stay until then, and y is there no sooner. */
__attribute__((warn_unused_result)) ls_input ls_normed(ls_session *s, ls_op op, int32_t i, float *y,
                                                      const float *x, const ls_norm *norm,
                                                      size_t n, size_t T);
/* In place, on each head of rows of n_heads * K. The weights of RMSNorm, [K], are shared
 * by the heads; those of LayerNorm are [n_heads][K]. */
void ls_rms_norm_heads(ls_session *s, ls_op op, int32_t i, float *x, const ls_norm *norm,
                       size_t n_heads, size_t T);
void ls_layer_norm_heads(ls_session *s, ls_op op, int32_t i, float *x, const ls_norm *norm,
                         size_t n_heads, size_t T);

/* s->q, keys and values of T rows x of D, with their biases. */
void ls_qkv(ls_session *s, const ls_layer *l, int32_t i, ls_input x, size_t T);
/* RoPE on s->q and the keys. These ls_attend turns as the cache takes them, by the angles returned;
 * NULL: they are turned already, since somebody watches or the reference is followed. */
__attribute__((warn_unused_result)) const float *ls_rope(ls_session *s, int32_t i, size_t T);
/* x *= a over T rows of n; 1 does nothing. */
void ls_scale(ls_session *s, float *x, float a, size_t n, size_t T);

typedef struct ls_attn {
    float        scale;   /* of queries and keys                         */
    float        softcap; /* 0: none                                     */
    int32_t      window;  /* positions that a query sees, 0: all before it */
    const float *sinks;   /* [H] or NULL                                 */
    const float *k_angles; /* of ls_rope; NULL: keys are stored as they are */
} ls_attn;

/* Scale 1 / sqrt(K), and the window of layer i, if it has one. */
ls_attn ls_attn_default(const ls_session *s, int32_t i);
/* The cache takes the keys and values; s->att = attention. The number of rows that the layer goes
 * on with: T, or in the last layer 1 where nobody asks for more (ls_last_rows). */
__attribute__((warn_unused_result)) size_t ls_attend(ls_session *s, int32_t i, const ls_attn *a,
                                                     size_t T);
/* y = output projection of s->att, with its bias and the norm before it, where the layer has them. */
void ls_attn_output(ls_session *s, const ls_layer *l, int32_t i, float *y, size_t T);

/* act(gate x) * up x into s->gate; y = down of it. With biases, and a norm before down, where the
 * layer has them. */
typedef enum ls_ffn_act { LS_SILU, LS_GELU, LS_RELU2, LS_SWIGLU_OAI } ls_ffn_act;
void ls_ffn_up_gated(ls_session *s, const ls_layer *l, int32_t i, ls_ffn_act act, ls_input x,
                     size_t T);
/* act(up x) into s->gate. */
void ls_ffn_up_plain(ls_session *s, const ls_layer *l, int32_t i, ls_ffn_act act, ls_input x,
                     size_t T);
/* The same for who is not watched, of experts and others. Biases may be NULL. */
typedef struct ls_gate {
    const ls_matrix *gate, *up;
    const float     *gate_b, *up_b;
} ls_gate;
void ls_gated(ls_session *s, const ls_gate *w, ls_ffn_act act, ls_input x, size_t T);
/* s->gate = act(s->gate) * up over T rows of n; up NULL: without. */
void ls_act_rows(ls_session *s, ls_ffn_act act, const float *up, size_t n, size_t T);
void ls_ffn_down(ls_session *s, const ls_layer *l, int32_t i, float *y, size_t T);

/* Experts. */
typedef struct ls_moe {
    ls_ffn_act act;
    bool       softmax_chosen; /* weights: softmax of the chosen logits, else of all, then chosen */
    bool       normalise;      /* the chosen weights add up to 1                                 */
    bool       shared;         /* an expert for all tokens, weighed by a sigmoid                 */
} ls_moe;
void ls_moe_ffn(ls_session *s, const ls_layer *l, int32_t i, const ls_moe *moe, float *y, ls_input x,
                size_t T);

/* y = a + b over T rows of D. */
void ls_add(ls_session *s, ls_op op, int32_t i, float *y, const float *a, const float *b, size_t T);

/* x = tanh(x / cap) * cap. Where the reference is followed, tanh is that of the C library, which
 * the reference calls on this very machine. */
void ls_softcap(const ls_session *s, float *x, float cap, size_t n);

#endif
