// SPDX-License-Identifier: MIT
/* hf_archs.c - what each architecture's folders hold: one row each, made of shared lists.
 *
 * Names of keys and tensors, and what is done to the latter, are the facts of llama.cpp's
 * converter (conversion/, gguf-py/gguf/tensor_mapping.py). In names `%` is the layer and `&` the
 * expert. A new architecture is a row here, with a list of its own where it differs.
 */
#include <stdio.h>
#include <string.h>

#include "format/hf_priv.h"

#define NONE LS_HF_ABSENT
#define L    "model.layers.%."
#define B    "blk.%."

/* ---- tensors ---- */

static const ls_hf_name ends[] = {
    {"model.embed_tokens.weight", "token_embd.weight", NULL},
    {"model.norm.weight", "output_norm.weight", NULL},
    {"model.norm.bias", "output_norm.bias", NULL},
    {"lm_head.weight", "output.weight", NULL},
    {"lm_head.bias", "output.bias", NULL},
    {0},
};

static const ls_hf_name attention[] = {
    {L "input_layernorm.weight", B "attn_norm.weight", NULL},
    {L "input_layernorm.bias", B "attn_norm.bias", NULL},
    {L "self_attn.q_proj.weight", B "attn_q.weight", NULL},
    {L "self_attn.q_proj.bias", B "attn_q.bias", NULL},
    {L "self_attn.k_proj.weight", B "attn_k.weight", NULL},
    {L "self_attn.k_proj.bias", B "attn_k.bias", NULL},
    {L "self_attn.v_proj.weight", B "attn_v.weight", NULL},
    {L "self_attn.v_proj.bias", B "attn_v.bias", NULL},
    {L "self_attn.o_proj.weight", B "attn_output.weight", NULL},
    {L "self_attn.o_proj.bias", B "attn_output.bias", NULL},
    {L "self_attn.q_norm.weight", B "attn_q_norm.weight", NULL},
    {L "self_attn.k_norm.weight", B "attn_k_norm.weight", NULL},
    {0},
};

static const ls_hf_name mlp[] = {
    {L "post_attention_layernorm.weight", B "ffn_norm.weight", NULL},
    {L "post_attention_layernorm.bias", B "ffn_norm.bias", NULL},
    {L "mlp.gate_proj.weight", B "ffn_gate.weight", NULL},
    {L "mlp.gate_proj.bias", B "ffn_gate.bias", NULL},
    {L "mlp.up_proj.weight", B "ffn_up.weight", NULL},
    {L "mlp.up_proj.bias", B "ffn_up.bias", NULL},
    {L "mlp.down_proj.weight", B "ffn_down.weight", NULL},
    {L "mlp.down_proj.bias", B "ffn_down.bias", NULL},
    {0},
};

/* Pairs of RoPE side by side. */
static const ls_hf_name permuted[] = {
    {L "self_attn.q_proj.weight", B "attn_q.weight", ls_hf_permute_q},
    {L "self_attn.q_proj.bias", B "attn_q.bias", ls_hf_permute_q},
    {L "self_attn.k_proj.weight", B "attn_k.weight", ls_hf_permute_k},
    {L "self_attn.k_proj.bias", B "attn_k.bias", ls_hf_permute_k},
    {0},
};

static const ls_hf_name mixtral[] = {
    {L "block_sparse_moe.gate.weight", B "ffn_gate_inp.weight", NULL},
    {L "block_sparse_moe.experts.&.w1.weight", B "ffn_gate_exps.weight", ls_hf_stack},
    {L "block_sparse_moe.experts.&.w2.weight", B "ffn_down_exps.weight", ls_hf_stack},
    {L "block_sparse_moe.experts.&.w3.weight", B "ffn_up_exps.weight", ls_hf_stack},
    {0},
};

static const ls_hf_name moe[] = {
    {L "mlp.gate.weight", B "ffn_gate_inp.weight", NULL},
    {L "mlp.experts.&.gate_proj.weight", B "ffn_gate_exps.weight", ls_hf_stack},
    {L "mlp.experts.&.up_proj.weight", B "ffn_up_exps.weight", ls_hf_stack},
    {L "mlp.experts.&.down_proj.weight", B "ffn_down_exps.weight", ls_hf_stack},
    {L "mlp.experts.gate_up_proj", B "ffn_gate_exps.weight|" B "ffn_up_exps.weight",
     ls_hf_split_halves},
    {L "mlp.experts.down_proj", B "ffn_down_exps.weight", NULL},
    {L "mlp.shared_expert_gate.weight", B "ffn_gate_inp_shexp.weight", ls_hf_one_row},
    {L "mlp.shared_expert.gate_proj.weight", B "ffn_gate_shexp.weight", NULL},
    {L "mlp.shared_expert.up_proj.weight", B "ffn_up_shexp.weight", NULL},
    {L "mlp.shared_expert.down_proj.weight", B "ffn_down_shexp.weight", NULL},
    {0},
};

static const ls_hf_name gpt_oss[] = {
    {L "post_attention_layernorm.weight", B "post_attention_norm.weight", NULL},
    {L "self_attn.sinks", B "attn_sinks.weight", NULL},
    {L "mlp.router.weight", B "ffn_gate_inp.weight", NULL},
    {L "mlp.router.bias", B "ffn_gate_inp.bias", NULL},
    {L "mlp.experts.gate_up_proj_blocks", B "ffn_gate_exps.weight|" B "ffn_up_exps.weight",
     ls_hf_mxfp4_pairs},
    {L "mlp.experts.gate_up_proj_bias", B "ffn_gate_exps.bias|" B "ffn_up_exps.bias",
     ls_hf_split_pairs_bias},
    {L "mlp.experts.gate_up_proj", B "ffn_gate_exps.weight|" B "ffn_up_exps.weight",
     ls_hf_split_pairs},
    {L "mlp.experts.down_proj_blocks", B "ffn_down_exps.weight", ls_hf_mxfp4},
    {L "mlp.experts.down_proj_bias", B "ffn_down_exps.bias", NULL},
    {L "mlp.experts.down_proj", B "ffn_down_exps.weight", ls_hf_transpose_experts},
    {0},
};

/* Microsoft's checkpoints have the sub-norms inside; older ones have other names for them. */
static const ls_hf_name bitnet[] = {
    {L "self_attn.attn_sub_norm.weight", B "attn_sub_norm.weight", NULL},
    {L "self_attn.inner_attn_ln.weight", B "attn_sub_norm.weight", NULL},
    {L "mlp.ffn_sub_norm.weight", B "ffn_sub_norm.weight", NULL},
    {L "mlp.ffn_layernorm.weight", B "ffn_sub_norm.weight", NULL},
    {L "self_attn.q_proj.weight", B "attn_q.weight", ls_hf_ternary},
    {L "self_attn.k_proj.weight", B "attn_k.weight", ls_hf_ternary},
    {L "self_attn.v_proj.weight", B "attn_v.weight", ls_hf_ternary},
    {L "self_attn.o_proj.weight", B "attn_output.weight", ls_hf_ternary},
    {L "mlp.gate_proj.weight", B "ffn_gate.weight", ls_hf_ternary},
    {L "mlp.up_proj.weight", B "ffn_up.weight", ls_hf_ternary},
    {L "mlp.down_proj.weight", B "ffn_down.weight", ls_hf_ternary},
    {L "self_attn.q_proj.weight_scale", "", ls_hf_skip}, /* taken by the matrix it belongs to */
    {L "self_attn.k_proj.weight_scale", "", ls_hf_skip},
    {L "self_attn.v_proj.weight_scale", "", ls_hf_skip},
    {L "self_attn.o_proj.weight_scale", "", ls_hf_skip},
    {L "mlp.gate_proj.weight_scale", "", ls_hf_skip},
    {L "mlp.up_proj.weight_scale", "", ls_hf_skip},
    {L "mlp.down_proj.weight_scale", "", ls_hf_skip},
    {0},
};

/* The head of Gemma is its embedding; a copy that some tools save is not used. */
static const ls_hf_name gemma[] = {
    {"lm_head.weight", "", ls_hf_skip},
    {"model.norm.weight", "output_norm.weight", ls_hf_norm_plus_1},
    {L "input_layernorm.weight", B "attn_norm.weight", ls_hf_norm_plus_1},
    {L "post_attention_layernorm.weight", B "ffn_norm.weight", ls_hf_norm_plus_1},
    {0},
};

static const ls_hf_name gemma2[] = {
    {L "post_attention_layernorm.weight", B "post_attention_norm.weight", ls_hf_norm_plus_1},
    {L "pre_feedforward_layernorm.weight", B "ffn_norm.weight", ls_hf_norm_plus_1},
    {L "post_feedforward_layernorm.weight", B "post_ffw_norm.weight", ls_hf_norm_plus_1},
    {L "self_attn.q_norm.weight", B "attn_q_norm.weight", ls_hf_norm_plus_1},
    {L "self_attn.k_norm.weight", B "attn_k_norm.weight", ls_hf_norm_plus_1},
    {0},
};

/* Gemma 3 ends with a head of its own where it has one, and may come with eyes. */
static const ls_hf_name gemma3[] = {
    {"lm_head.weight", "output.weight", NULL},         {"vision_tower.*", "", ls_hf_skip},
    {"multi_modal_projector.*", "", ls_hf_skip},       {"model.vision_tower.*", "", ls_hf_skip},
    {"model.multi_modal_projector.*", "", ls_hf_skip}, {0},
};

static const ls_hf_name post_norms[] = {
    {L "post_attention_layernorm.weight", B "post_attention_norm.weight", NULL},
    {L "post_feedforward_layernorm.weight", B "post_ffw_norm.weight", NULL},
    {0},
};

static const ls_hf_name phi3[] = {
    {L "self_attn.qkv_proj.weight", B "attn_qkv.weight", NULL},
    {L "self_attn.qkv_proj.bias", B "attn_qkv.bias", NULL},
    {L "mlp.gate_up_proj.weight", B "ffn_up.weight", NULL},
    {0},
};

static const ls_hf_name starcoder2[] = {
    {L "mlp.c_fc.weight", B "ffn_up.weight", NULL},
    {L "mlp.c_fc.bias", B "ffn_up.bias", NULL},
    {L "mlp.c_proj.weight", B "ffn_down.weight", NULL},
    {L "mlp.c_proj.bias", B "ffn_down.bias", NULL},
    {0},
};

static const ls_hf_name stablelm[] = {
    {L "self_attn.q_layernorm.norms.&.weight", B "attn_q_norm.weight", ls_hf_stack},
    {L "self_attn.k_layernorm.norms.&.weight", B "attn_k_norm.weight", ls_hf_stack},
    {0},
};

/* With and without the prefix: both have been published. */
#define GPT2_LAYERS(H)                                                                             \
    {H "wte.weight", "token_embd.weight", NULL}, {H "wpe.weight", "position_embd.weight", NULL},   \
        {H "ln_f.weight", "output_norm.weight", NULL}, {H "ln_f.bias", "output_norm.bias", NULL},  \
        {H "h.%.ln_1.weight", B "attn_norm.weight", NULL},                                         \
        {H "h.%.ln_1.bias", B "attn_norm.bias", NULL},                                             \
        {H "h.%.ln_2.weight", B "ffn_norm.weight", NULL},                                          \
        {H "h.%.ln_2.bias", B "ffn_norm.bias", NULL},                                              \
        {H "h.%.attn.c_attn.weight", B "attn_qkv.weight", ls_hf_transpose},                        \
        {H "h.%.attn.c_attn.bias", B "attn_qkv.bias", NULL},                                       \
        {H "h.%.attn.c_proj.weight", B "attn_output.weight", ls_hf_transpose},                     \
        {H "h.%.attn.c_proj.bias", B "attn_output.bias", NULL},                                    \
        {H "h.%.mlp.c_fc.weight", B "ffn_up.weight", ls_hf_transpose},                             \
        {H "h.%.mlp.c_fc.bias", B "ffn_up.bias", NULL},                                            \
        {H "h.%.mlp.c_proj.weight", B "ffn_down.weight", ls_hf_transpose},                         \
    {                                                                                              \
        H "h.%.mlp.c_proj.bias", B "ffn_down.bias", NULL                                           \
    }

static const ls_hf_name gpt2[] = {
    GPT2_LAYERS("transformer."),
    GPT2_LAYERS(""),
    {"lm_head.weight", "output.weight", NULL},
    {0},
};

#define F "transformer.h.%."
/* With two norms the one of attn_norm has another name. */
static const ls_hf_name falcon_norms[] = {
    {F "ln_mlp.weight", B "attn_norm.weight", NULL},
    {F "ln_mlp.bias", B "attn_norm.bias", NULL},
    {0},
};
static const ls_hf_name falcon[] = {
    {"transformer.word_embeddings.weight", "token_embd.weight", NULL},
    {"transformer.ln_f.weight", "output_norm.weight", NULL},
    {"transformer.ln_f.bias", "output_norm.bias", NULL},
    {"lm_head.weight", "output.weight", NULL},
    {F "input_layernorm.weight", B "attn_norm.weight", NULL},
    {F "input_layernorm.bias", B "attn_norm.bias", NULL},
    {F "ln_attn.weight", B "attn_norm_2.weight", NULL},
    {F "ln_attn.bias", B "attn_norm_2.bias", NULL},
    {F "self_attention.query_key_value.weight", B "attn_qkv.weight", ls_hf_qkv_groups},
    {F "self_attention.dense.weight", B "attn_output.weight", NULL},
    {F "mlp.dense_h_to_4h.weight", B "ffn_up.weight", NULL},
    {F "mlp.dense_4h_to_h.weight", B "ffn_down.weight", NULL},
    {0},
};
#undef F

#define N "gpt_neox.layers.%."
static const ls_hf_name gptneox[] = {
    {"gpt_neox.embed_in.weight", "token_embd.weight", NULL},
    {"gpt_neox.final_layer_norm.weight", "output_norm.weight", NULL},
    {"gpt_neox.final_layer_norm.bias", "output_norm.bias", NULL},
    {"embed_out.weight", "output.weight", NULL},
    {N "input_layernorm.weight", B "attn_norm.weight", NULL},
    {N "input_layernorm.bias", B "attn_norm.bias", NULL},
    {N "post_attention_layernorm.weight", B "ffn_norm.weight", NULL},
    {N "post_attention_layernorm.bias", B "ffn_norm.bias", NULL},
    {N "attention.query_key_value.weight", B "attn_qkv.weight", ls_hf_qkv_heads},
    {N "attention.query_key_value.bias", B "attn_qkv.bias", ls_hf_qkv_heads},
    {N "attention.dense.weight", B "attn_output.weight", NULL},
    {N "attention.dense.bias", B "attn_output.bias", NULL},
    {N "mlp.dense_h_to_4h.weight", B "ffn_up.weight", NULL},
    {N "mlp.dense_h_to_4h.bias", B "ffn_up.bias", NULL},
    {N "mlp.dense_4h_to_h.weight", B "ffn_down.weight", NULL},
    {N "mlp.dense_4h_to_h.bias", B "ffn_down.bias", NULL},
    {0},
};
#undef N

/* ---- keys ---- */

/* The row replaces the common one of the same key; without names and fallback there is no key. */
static const ls_hf_key gemma2_keys[] = {
    {"attn_logit_softcapping", LS_GGUF_F32, {"attn_logit_softcapping"}, 50},
    {"final_logit_softcapping", LS_GGUF_F32, {"final_logit_softcapping"}, 30},
    {"attention.sliding_window", LS_GGUF_U32, {"sliding_window"}, 4096},
    {0},
};
static const ls_hf_key gemma_sizes[] = {
    {"attention.key_length", LS_GGUF_U32, {"head_dim"}, 256},
    {"attention.value_length", LS_GGUF_U32, {"head_dim"}, 256},
    {"attention.layer_norm_rms_epsilon", LS_GGUF_F32, {"rms_norm_eps"}, 1e-6},
    {0},
};
static const ls_hf_key gemma3_keys[] = {
    {"context_length", LS_GGUF_U32, {"max_position_embeddings"}, 131072},
    {"final_logit_softcapping", LS_GGUF_F32, {"final_logit_softcapping"}, NONE},
    {0},
};
static const ls_hf_key phi3_keys[] = {
    {"attention.sliding_window", LS_GGUF_U32, {"sliding_window"}, 0},
    {0},
};
static const ls_hf_key parallel_keys[] = {
    {"use_parallel_residual", LS_GGUF_BOOL, {"use_parallel_residual"}, 1},
    {0},
};
static const ls_hf_key stablelm_keys[] = {
    {"attention.layer_norm_epsilon", LS_GGUF_F32, {"layer_norm_eps", "norm_eps"}, 1e-5},
    {"attention.layer_norm_rms_epsilon", LS_GGUF_F32, {NULL}, NONE},
    {"use_parallel_residual", LS_GGUF_BOOL, {"use_parallel_residual"}, 1},
    {0},
};
static const ls_hf_key granite_keys[] = {
    {"attention.key_length", LS_GGUF_U32, {NULL}, NONE},
    {"attention.value_length", LS_GGUF_U32, {NULL}, NONE},
    {"attention.scale", LS_GGUF_F32, {"attention_multiplier"}, NONE},
    {"embedding_scale", LS_GGUF_F32, {"embedding_multiplier"}, NONE},
    {"residual_scale", LS_GGUF_F32, {"residual_multiplier"}, NONE},
    {"logit_scale", LS_GGUF_F32, {"logits_scaling"}, NONE},
    {0},
};
static const ls_hf_key command_r_keys[] = {
    {"context_length", LS_GGUF_U32, {"model_max_length", "max_position_embeddings"}, NONE},
    {"logit_scale", LS_GGUF_F32, {"logit_scale"}, 0.0625},
    {0},
};
static const ls_hf_key moe_keys[] = {
    {"expert_feed_forward_length", LS_GGUF_U32, {"moe_intermediate_size"}, NONE},
    {"expert_shared_feed_forward_length", LS_GGUF_U32, {"shared_expert_intermediate_size"}, NONE},
    {0},
};
static const ls_hf_key olmoe_keys[] = {
    {"attention.layer_norm_rms_epsilon", LS_GGUF_F32, {NULL}, 1e-5},
    {0},
};
static const ls_hf_key gpt_oss_keys[] = {
    {"attention.sliding_window", LS_GGUF_U32, {"sliding_window"}, 128},
    {"expert_feed_forward_length", LS_GGUF_U32, {"intermediate_size"}, NONE},
    {0},
};
static const ls_hf_key falcon_keys[] = {
    {"context_length", LS_GGUF_U32, {"max_position_embeddings"}, 2048}, /* older ones have none */
    {"attention.head_count_kv", LS_GGUF_U32, {NULL}, NONE},
    {"feed_forward_length", LS_GGUF_U32, {NULL}, NONE},
    {0},
};
static const ls_hf_key gpt2_keys[] = {
    {"context_length", LS_GGUF_U32, {"n_ctx", "n_positions"}, NONE},
    {"feed_forward_length", LS_GGUF_U32, {NULL}, NONE},
    {0},
};

/* ---- architectures ---- */

/* Parts of several rows. */
#define QKV_BIAS(key)                                                                              \
    {                                                                                              \
        key, "blk.0.attn_q.bias"                                                                   \
    }
#define MLP_BIAS                                                                                   \
    {                                                                                              \
        "mlp_bias", "blk.0.ffn_up.bias"                                                            \
    }
#define GEMMA_ACT                                                                                  \
    "\"hidden_act\": \"gelu_pytorch_tanh\", \"hidden_activation\": \"gelu_pytorch_tanh\""
#define SPARSE "\"decoder_sparse_step\": 1, \"mlp_only_layers\": []"
#define FALCON                                                                                     \
    "{\"model_type\": \"falcon\", \"alibi\": false, \"bias\": false, \"parallel_attn\": true}"

/* On the way back a row whose `has` is there comes before one without; where both are read, a
 * folder is read by the first row of its class. */
static const ls_hf_arch archs[] = {
    {.classes = {"MixtralForCausalLM"},
     .name = "llama",
     .more = {ls_hf_rope_dims, ls_hf_llama3_freqs},
     .names = {permuted, mixtral, ends, attention, mlp},
     .has = "expert_count",
     .fixed = "{\"model_type\": \"mixtral\", \"hidden_act\": \"silu\", \"sliding_window\": null}"},
    {.classes = {"LlamaForCausalLM", "LLaMAForCausalLM", "MistralForCausalLM"},
     .name = "llama",
     .more = {ls_hf_rope_dims, ls_hf_llama3_freqs},
     .names = {permuted, mixtral, ends, attention, mlp},
     .fixed = "{\"model_type\": \"llama\", \"hidden_act\": \"silu\"}",
     .flags = {QKV_BIAS("attention_bias"), MLP_BIAS}},
    {.classes = {"BitNetForCausalLM", "BitnetForCausalLM"},
     .when = {"hidden_act", "relu2"},
     .name = "bitnet-b1.58",
     .more = {ls_hf_rope_dims, ls_hf_bitnet_scaling},
     .names = {bitnet, ends, attention, mlp},
     .fixed = "{\"model_type\": \"bitnet\"}"},
    {.classes = {"BitNetForCausalLM", "BitnetForCausalLM"},
     .name = "bitnet",
     .more = {ls_hf_rope_dims, ls_hf_bitnet_scaling},
     .names = {bitnet, ends, attention, mlp},
     .fixed = "{\"model_type\": \"bitnet\", \"hidden_act\": \"silu\"}"},
    {.classes = {"Qwen2ForCausalLM"},
     .name = "qwen2",
     .names = {ends, attention, mlp},
     .fixed = "{\"model_type\": \"qwen2\", \"hidden_act\": \"silu\", "
              "\"use_sliding_window\": false}"},
    {.classes = {"Qwen3ForCausalLM"},
     .name = "qwen3",
     .names = {ends, attention, mlp},
     .fixed = "{\"model_type\": \"qwen3\", \"hidden_act\": \"silu\", "
              "\"use_sliding_window\": false}",
     .own = {"head_dim"},
     .flags = {QKV_BIAS("attention_bias")}},
    {.classes = {"GemmaForCausalLM"},
     .name = "gemma",
     .keys = {gemma_sizes},
     .names = {gemma, ends, attention, mlp},
     .fixed = "{\"model_type\": \"gemma\", " GEMMA_ACT "}",
     .own = {"head_dim"}},
    {.classes = {"Gemma2ForCausalLM"},
     .name = "gemma2",
     .keys = {gemma_sizes, gemma2_keys},
     .names = {gemma2, gemma, ends, attention, mlp},
     .fixed = "{\"model_type\": \"gemma2\", " GEMMA_ACT "}",
     .own = {"head_dim"},
     .extra = ls_hf_back_query_scale},
    {.classes = {"Gemma3ForCausalLM", "Gemma3ForConditionalGeneration"},
     .name = "gemma3",
     .keys = {gemma_sizes, gemma3_keys},
     .more = {ls_hf_gemma3_rope, ls_hf_sliding_window},
     .names = {gemma3, gemma2, gemma, ends, attention, mlp},
     .fixed = "{\"model_type\": \"gemma3_text\", \"sliding_window_pattern\": 6, " GEMMA_ACT "}",
     .own = {"head_dim"},
     .extra = ls_hf_back_query_scale},
    {.classes = {"Phi3ForCausalLM"},
     .name = "phi3",
     .keys = {phi3_keys},
     .more = {ls_hf_rope_dims, ls_hf_longrope},
     .names = {phi3, ends, attention, mlp},
     .fixed = "{\"model_type\": \"phi3\", \"hidden_act\": \"silu\"}"},
    {.classes = {"GPT2LMHeadModel"},
     .name = "gpt2",
     .keys = {gpt2_keys},
     .more = {ls_hf_ff_4},
     .names = {gpt2},
     .fixed = "{\"model_type\": \"gpt2\", \"activation_function\": \"gelu_new\"}",
     .own = {"n_ctx", "n_positions", "n_embd", "n_head", "n_layer", "n_inner",
             "layer_norm_epsilon"}},
    {.classes = {"StableLmForCausalLM", "StableLMEpochForCausalLM"},
     .name = "stablelm",
     .keys = {stablelm_keys},
     .more = {ls_hf_rope_dims},
     .names = {stablelm, ends, attention, mlp},
     .fixed = "{\"model_type\": \"stablelm\", \"hidden_act\": \"silu\"}",
     .own = {"partial_rotary_factor"},
     .flags = {QKV_BIAS("use_qkv_bias"), {"qk_layernorm", "blk.0.attn_q_norm.weight"}}},
    {.classes = {"Olmo3ForCausalLM"},
     .name = "olmo2",
     .more = {ls_hf_sliding_layers},
     .names = {post_norms, ends, attention, mlp},
     .has = "attention.sliding_window",
     .fixed = "{\"model_type\": \"olmo3\", \"hidden_act\": \"silu\"}"},
    {.classes = {"Olmo2ForCausalLM"},
     .name = "olmo2",
     .more = {ls_hf_sliding_layers},
     .names = {post_norms, ends, attention, mlp},
     .fixed = "{\"model_type\": \"olmo2\", \"hidden_act\": \"silu\"}"},
    {.classes = {"SmolLM3ForCausalLM"},
     .name = "smollm3",
     .more = {ls_hf_rope_dims, ls_hf_llama3_freqs},
     .names = {permuted, ends, attention, mlp},
     .fixed = "{\"model_type\": \"smollm3\", \"hidden_act\": \"silu\", "
              "\"no_rope_layer_interval\": 4}",
     .flags = {QKV_BIAS("attention_bias"), MLP_BIAS}},
    {.classes = {"GraniteForCausalLM"},
     .name = "granite",
     .keys = {granite_keys},
     .more = {ls_hf_rope_dims, ls_hf_llama3_freqs},
     .names = {permuted, ends, attention, mlp},
     .fixed = "{\"model_type\": \"granite\", \"hidden_act\": \"silu\"}",
     .flags = {QKV_BIAS("attention_bias"), MLP_BIAS},
     .extra = ls_hf_back_attention_scale},
    {.classes = {"CohereForCausalLM"},
     .name = "command-r",
     .keys = {command_r_keys},
     .more = {ls_hf_no_rope_scaling},
     .names = {ends, attention, mlp},
     .fixed = "{\"model_type\": \"cohere\", \"hidden_act\": \"silu\"}",
     .own = {"max_position_embeddings"},
     .flags = {QKV_BIAS("attention_bias"), {"use_qk_norm", "blk.0.attn_q_norm.weight"}}},
    {.classes = {"Starcoder2ForCausalLM"},
     .name = "starcoder2",
     .names = {starcoder2, ends, attention, mlp},
     .fixed = "{\"model_type\": \"starcoder2\", \"hidden_act\": \"gelu_pytorch_tanh\", "
              "\"sliding_window\": null}",
     .own = {"norm_epsilon"},
     .flags = {QKV_BIAS("use_bias")}},
    {.classes = {"FalconForCausalLM", "RWForCausalLM"},
     .name = "falcon",
     .keys = {falcon_keys},
     .more = {ls_hf_ff_4, ls_hf_falcon_heads},
     .names = {falcon_norms, falcon},
     .has = "blk.0.attn_norm_2.weight",
     .fixed = FALCON,
     .own = {"ffn_hidden_size", "layer_norm_epsilon"}},
    {.classes = {"FalconForCausalLM", "RWForCausalLM"},
     .name = "falcon",
     .keys = {falcon_keys},
     .more = {ls_hf_ff_4, ls_hf_falcon_heads},
     .names = {falcon},
     .fixed = FALCON,
     .own = {"ffn_hidden_size", "layer_norm_epsilon"}},
    {.classes = {"GPTNeoXForCausalLM"},
     .name = "gptneox",
     .keys = {parallel_keys},
     .more = {ls_hf_rope_dims},
     .names = {gptneox},
     .fixed = "{\"model_type\": \"gpt_neox\", \"hidden_act\": \"gelu\"}",
     .own = {"rotary_emb_base", "rotary_pct"}},
    {.classes = {"Qwen2MoeForCausalLM"},
     .name = "qwen2moe",
     .keys = {moe_keys},
     .names = {moe, ends, attention, mlp},
     .fixed = "{\"model_type\": \"qwen2_moe\", \"hidden_act\": \"silu\", " SPARSE
              ", \"norm_topk_prob\": false}",
     .own = {"num_experts"}},
    {.classes = {"Qwen3MoeForCausalLM"},
     .name = "qwen3moe",
     .keys = {moe_keys},
     .names = {moe, ends, attention, mlp},
     .fixed = "{\"model_type\": \"qwen3_moe\", \"hidden_act\": \"silu\", " SPARSE
              ", \"norm_topk_prob\": true}",
     .own = {"num_experts", "head_dim"},
     .flags = {QKV_BIAS("attention_bias")}},
    {.classes = {"OlmoeForCausalLM"},
     .name = "olmoe",
     .keys = {olmoe_keys},
     .names = {moe, ends, attention, mlp},
     .fixed = "{\"model_type\": \"olmoe\", \"hidden_act\": \"silu\", "
              "\"norm_topk_prob\": false, \"rms_norm_eps\": 1e-05}",
     .own = {"num_experts"}},
    {.classes = {"GptOssForCausalLM"},
     .name = "gpt-oss",
     .keys = {gpt_oss_keys},
     .names = {gpt_oss, ends, attention},
     .fixed = "{\"model_type\": \"gpt_oss\", \"hidden_act\": \"silu\", \"attention_bias\": true}",
     .own = {"head_dim"}},
};
#undef QKV_BIAS
#undef MLP_BIAS
#undef GEMMA_ACT
#undef SPARSE
#undef FALCON
#define N_ARCHS (sizeof(archs) / sizeof(archs[0]))

static bool is_class(const ls_hf_arch *a, ls_str name)
{
    for (size_t i = 0; i < sizeof(a->classes) / sizeof(a->classes[0]) && a->classes[i]; i++) {
        if (ls_str_is(name, a->classes[i])) return true;
    }
    return false;
}

const ls_hf_arch *ls_hf_arch_find(const ls_hf *hf, ls_str class_name)
{
    for (size_t i = 0; i < N_ARCHS; i++) {
        ls_str value;
        if (!is_class(&archs[i], class_name)) continue;
        if (!archs[i].when[0]) return &archs[i];
        if (ls_hf_str(hf, archs[i].when[0], &value) && ls_str_is(value, archs[i].when[1])) {
            return &archs[i];
        }
    }
    return NULL;
}

const ls_hf_arch *ls_hf_arch_at(size_t i) { return i < N_ARCHS ? &archs[i] : NULL; }

void ls_hf_arch_list(char *buf, size_t cap)
{
    size_t n = 0;
    buf[0] = '\0';
    for (size_t i = 0; i < N_ARCHS && n < cap; i++) {
        int got;
        if (i && strcmp(archs[i].name, archs[i - 1].name) == 0) continue;
        got = snprintf(buf + n, cap - n, "%s%s", i ? ", " : "", archs[i].name);
        if (got > 0) n += (size_t)got;
    }
}
