#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# explain.sh ENGINE PART - the reference is given a file in which one thing is changed, and `crossval explain`
# says what it is. ENGINE is llama, or native: the same questions where no reference is installed. PART is a
# function below.
. "$(dirname "$0")/lib.sh"
engine=$1 part=$2 decoded=0
if [[ $engine == llama ]]; then
    need_reference
    need_order_of_sums
    decoded=1
fi
mini() {
    local arch=$1 type=$2 file=$3
    shift 3
    "$LS" model mini --arch "$arch" --type "$type" --seed 3 -o "$T/$file" -q "$@" || fail "mini $arch $type"
}
edit() { "$TOOLS/gguf_edit" "$@" || fail "gguf_edit $*"; }
explain() { "$LS" crossval explain -p "once upon a time" --against "$engine" --threads 1 -n $decoded -q --json "$@"; }

# named CODE OUTCOME WHAT SENTENCE ARGUMENTS...
named() {
    local code=$1 outcome=$2 what=$3 sentence=$4
    shift 4
    expect "$code" "$sentence" explain "$@" || return
    equal "outcome" "$(json "$T/o" explained.outcome)" "$outcome"
    equal "sentence" "$(json "$T/o" explained.sentence)" "$sentence"
    [[ -z $what ]] || equal "candidate" "$(json "$T/o" explained.candidates.0.what)" "$what"
}

mini llama q8_0 l.gguf

activation() {
    # Squared ReLU against SiLU: the file under the name that llama.cpp reads.
    mini bitnet-b1.58 tq2_0 b.gguf
    edit "$T/b.gguf" "$T/r.gguf" arch bitnet
    named 1 candidate activation "in the reference the activation is SiLU, not squared ReLU" \
        -m "$T/b.gguf" --reference-model "$T/r.gguf"
    equal "place" "$(json "$T/o" located.layer located.op | tr '\n' ' ')" "0 ffn_act "
    model fables-bitnet-5m-TQ2_0.gguf
    edit "$MODEL" "$T/s.gguf" arch bitnet-b1.58
    named 1 candidate activation "in the reference the activation is SiLU, not squared ReLU" \
        -m "$T/s.gguf" --reference-model "$MODEL"
}

rope() {
    # RoPE: base off by 1 %, positions halved, the other order, half of each head.
    edit "$T/l.gguf" "$T/r.gguf" float llama.rope.freq_base 10100
    named 1 candidate rope-base "in the reference RoPE's base is 10100, not 10000" \
        -m "$T/l.gguf" --reference-model "$T/r.gguf"
    edit "$T/l.gguf" "$T/r.gguf" float llama.rope.scaling.factor 2
    named 1 candidate rope-scale "in the reference RoPE's positions are multiplied by 0.5, not 1" \
        -m "$T/l.gguf" --reference-model "$T/r.gguf"
    edit "$T/l.gguf" "$T/r.gguf" arch qwen2
    named 1 candidate rope-order \
        "in the reference RoPE turns halves (NeoX order), not neighbours (normal order)" \
        -m "$T/l.gguf" --reference-model "$T/r.gguf"
    edit "$T/l.gguf" "$T/r.gguf" str llama.rope.scaling.type yarn float llama.rope.scaling.factor 4
    named 1 candidate rope-yarn "in the reference YaRN is applied with factor 4, not absent" \
        -m "$T/l.gguf" --reference-model "$T/r.gguf"
    edit "$T/l.gguf" "$T/r.gguf" str llama.rope.scaling.type yarn float llama.rope.scaling.factor 4 \
        int llama.rope.scaling.original_context_length 64
    named 1 candidate rope-yarn "in the reference YaRN is applied with factor 4 over a context of 64, not absent" \
        -m "$T/l.gguf" --reference-model "$T/r.gguf"
    mini gptneox q8_0 n.gguf # 16 of 32
    edit "$T/n.gguf" "$T/r.gguf" int gptneox.rope.dimension_count 8
    named 1 candidate rope-dims "in the reference the elements of a head that RoPE turns are 8, not 16" \
        -m "$T/n.gguf" --reference-model "$T/r.gguf"
}

numbers() {
    # Numbers: epsilon, caps, scales.
    edit "$T/l.gguf" "$T/r.gguf" float llama.attention.layer_norm_rms_epsilon 1e-6
    named 1 candidate epsilon "in the reference the norm's epsilon is 1e-06, not 1e-05" \
        -m "$T/l.gguf" --reference-model "$T/r.gguf" --tap-tol 1e-7
    mini gemma2 q8_0 g.gguf
    edit "$T/g.gguf" "$T/r.gguf" float gemma2.attn_logit_softcapping 40
    named 1 candidate attention-softcap "in the reference attention's soft cap is 40, not 5" \
        -m "$T/g.gguf" --reference-model "$T/r.gguf" --tap-tol 1e-7
    edit "$T/g.gguf" "$T/r.gguf" float gemma2.final_logit_softcapping 20
    named 1 candidate logit-softcap "in the reference the soft cap of the logits is 20, not 8" \
        -m "$T/g.gguf" --reference-model "$T/r.gguf" --tap-tol 1e-7
}

attention() {
    # Soft cap and window, on and off; the softmax's scale; rows of Q and K in the other order.
    mini gemma2 q8_0 g.gguf
    edit "$T/g.gguf" "$T/r.gguf" float gemma2.attn_logit_softcapping 1e6
    named 1 candidate attention-softcap "in the reference attention's soft cap is absent, not 5" \
        -m "$T/g.gguf" --reference-model "$T/r.gguf"
    named 1 candidate attention-softcap "in the reference attention's soft cap is 5, not 1000000" \
        -m "$T/r.gguf" --reference-model "$T/g.gguf"
    edit "$T/g.gguf" "$T/r.gguf" int gemma2.attention.sliding_window 6
    named 1 candidate window "in the reference the sliding window is of 6 positions, not of 24 positions" \
        -m "$T/g.gguf" --reference-model "$T/r.gguf"
    named 1 candidate window "in the reference the sliding window is absent, not of 6 positions" \
        -m "$T/r.gguf" --reference-model "$T/g.gguf"
    mini granite q8_0 h.gguf
    edit "$T/h.gguf" "$T/r.gguf" float granite.attention.scale 0.1
    named 1 candidate attention-scale "in the reference attention's scale is 0.1, not 0.1767767" \
        -m "$T/h.gguf" --reference-model "$T/r.gguf"
    edit "$T/l.gguf" "$T/r.gguf" permute blk.1.attn_q.weight 8
    named 1 candidate qk-rows "in the reference the rows of Q and K are permuted to neighbours, not as in the file" \
        -m "$T/l.gguf" --reference-model "$T/r.gguf"
    named 1 candidate qk-rows "in the reference the rows of Q and K are permuted to halves, not as in the file" \
        -m "$T/r.gguf" --reference-model "$T/l.gguf"
    edit "$T/l.gguf" "$T/r.gguf" permute blk.0.attn_k.weight 2
    named 1 candidate qk-rows "in the reference the rows of Q and K are permuted to neighbours, not as in the file" \
        -m "$T/l.gguf" --reference-model "$T/r.gguf"
}

parts() {
    # Parts that one of two has: norms inside the blocks, a head of its own, a cap of the logits; scales.
    mini bitnet tq2_0 b.gguf
    edit "$T/b.gguf" "$T/r.gguf" arch qwen2 drop sub_norm
    named 1 candidate sub-norms "in the reference the norms inside the blocks are absent, not applied" \
        -m "$T/b.gguf" --reference-model "$T/r.gguf"
    edit "$T/l.gguf" "$T/r.gguf" drop =output.weight
    named 1 candidate tied-head "in the reference the output matrix is token_embd.weight (tied), not output.weight" \
        -m "$T/l.gguf" --reference-model "$T/r.gguf"
    mini gemma2 q8_0 g.gguf
    edit "$T/g.gguf" "$T/r.gguf" float gemma2.final_logit_softcapping 1e6
    named 1 candidate logit-softcap "in the reference the soft cap of the logits is absent, not 8" \
        -m "$T/g.gguf" --reference-model "$T/r.gguf"
    mini granite q8_0 h.gguf
    edit "$T/h.gguf" "$T/r.gguf" float granite.embedding_scale 7
    named 1 candidate embedding-scale "in the reference the embeddings are multiplied by 7, not 3" \
        -m "$T/h.gguf" --reference-model "$T/r.gguf"
    edit "$T/h.gguf" "$T/r.gguf" float granite.residual_scale 0.3
    named 1 candidate residual-scale "in the reference what a block adds is multiplied by 0.3, not 0.5" \
        -m "$T/h.gguf" --reference-model "$T/r.gguf"
}

roundings() {
    # What activations are rounded to follows the type of the weights: the same weights in another type.
    local rounded="in the reference the rounding of activations is"
    mini bitnet tq2_0 b.gguf
    edit "$T/b.gguf" "$T/r.gguf" type attn f32 type ffn f32
    named 1 candidate activation-rounding "$rounded none, not as the weight's type asks" \
        -m "$T/b.gguf" --reference-model "$T/r.gguf"
    named 1 candidate activation-rounding "$rounded Q8_K, not as the weight's type asks" \
        -m "$T/r.gguf" --reference-model "$T/b.gguf"
    edit "$T/b.gguf" "$T/r.gguf" type attn q8_0 type ffn q8_0
    named 1 candidate activation-rounding "$rounded Q8_0, not as the weight's type asks" \
        -m "$T/b.gguf" --reference-model "$T/r.gguf"
    named 1 candidate activation-rounding "$rounded Q8_K, not as the weight's type asks" \
        -m "$T/r.gguf" --reference-model "$T/b.gguf"
    [[ $engine == native ]] && return # both would round to int8
    named 0 candidate activation-rounding "$rounded as the weight's type asks, not int8 per row" \
        -m "$T/b.gguf" --act-quant i8
}

kv() {
    # The KV cache, either way; what is inside the budget is named, too, and changes no verdict.
    named 1 candidate kv-type "in the reference the KV cache is F16, not F32" \
        -m "$T/l.gguf" --kv-type f32 --reference-kv-type f16 --tap-tol 1e-8
    named 1 candidate kv-type "in the reference the KV cache is F32, not F16" \
        -m "$T/l.gguf" --kv-type f16 --reference-kv-type f32 --tap-tol 1e-8
    mini llama f32 f.gguf
    named 0 candidate kv-type "in the reference the KV cache is F16, not F32" \
        -m "$T/f.gguf" --kv-type f32 --reference-kv-type f16
    equal "inside the budget" "$(json "$T/o" located.inside_budget)" true
}

weights() {
    # One wrong scale: of a block, and of all of a matrix.
    edit "$T/l.gguf" "$T/r.gguf" scale blk.1.ffn_up.weight 17 2 2
    named 1 candidate weights \
        "in the reference row 17 of blk.1.ffn_up.weight, columns 64 to 95, is multiplied by 2, not 1" \
        -m "$T/l.gguf" --reference-model "$T/r.gguf"
    edit "$T/l.gguf" "$T/r.gguf" scale blk.0.attn_output.weight 255 7 -0.5
    named 1 candidate weights \
        "in the reference row 255 of blk.0.attn_output.weight, columns 224 to 255, is multiplied by -0.5, not 1" \
        -m "$T/l.gguf" --reference-model "$T/r.gguf"
    edit "$T/l.gguf" "$T/r.gguf" scale blk.0.attn_v.weight all all 1.25
    named 1 candidate weights "in the reference tensor blk.0.attn_v.weight is multiplied by 1.25, not 1" \
        -m "$T/l.gguf" --reference-model "$T/r.gguf"
}

vectors() {
    # Other weights of norms, biases, embeddings; one element of a matrix.
    edit "$T/l.gguf" "$T/r.gguf" set blk.1.attn_norm.weight 17 2.5
    named 1 candidate weights "in the reference element 17 of blk.1.attn_norm.weight is 2.5, not 1.151039" \
        -m "$T/l.gguf" --reference-model "$T/r.gguf"
    edit "$T/l.gguf" "$T/r.gguf" scale blk.1.ffn_norm.weight all all 2
    named 1 candidate weights "in the reference tensor blk.1.ffn_norm.weight is multiplied by 2, not 1" \
        -m "$T/l.gguf" --reference-model "$T/r.gguf"
    edit "$T/l.gguf" "$T/r.gguf" set output_norm.weight 3 1 set output_norm.weight 4 1 set output_norm.weight 9 -2
    named 1 candidate weights \
        "in the reference the elements of output_norm.weight are others (3 of 256), not those of the file" \
        -m "$T/l.gguf" --reference-model "$T/r.gguf"
    edit "$T/l.gguf" "$T/r.gguf" scale token_embd.weight 259 3 2
    named 1 candidate weights "in the reference row 259 of token_embd.weight, columns 96 to 127, is multiplied by 2, not 1" \
        -m "$T/l.gguf" --reference-model "$T/r.gguf"
    mini qwen2 f32 q.gguf --optional
    edit "$T/q.gguf" "$T/r.gguf" set token_embd.weight $((259 * 256 + 7)) 2
    expect 1 "one element of the embeddings" explain -m "$T/q.gguf" --reference-model "$T/r.gguf"
    says "element 7 of row 259 of token_embd.weight is 2, not"
    edit "$T/q.gguf" "$T/r.gguf" set blk.1.ffn_up.weight $((17 * 256 + 70)) 2
    expect 1 "one element of a matrix" explain -m "$T/q.gguf" --reference-model "$T/r.gguf"
    says "element 70 of row 17 of blk.1.ffn_up.weight is 2, not"
    edit "$T/q.gguf" "$T/r.gguf" drop blk.0.attn_q.bias
    named 1 candidate weights "in the reference tensor blk.0.attn_q.bias is left out, not added" \
        -m "$T/q.gguf" --reference-model "$T/r.gguf"
    named 1 candidate bias "in the reference a bias of q_proj, which the model does not have, is added, not absent" \
        -m "$T/r.gguf" --reference-model "$T/q.gguf"
    edit "$T/q.gguf" "$T/r.gguf" set blk.1.attn_v.bias 5 1.5
    expect 1 "one element of a bias" explain -m "$T/q.gguf" --reference-model "$T/r.gguf"
    says "element 5 of blk.1.attn_v.bias is 1.5, not"
}

experts() {
    # Which expert, which matrix, which row.
    mini olmoe q8_0 e.gguf # 4 experts of 512, 256 wide
    for e in 0 1; do
        edit "$T/e.gguf" "$T/r.gguf" scale blk.1.ffn_down_exps.weight $((e * 256 + 9)) 3 2
        named 1 candidate weights \
            "in the reference row 9 of expert $e of blk.1.ffn_down_exps.weight, columns 96 to 127, is multiplied by 2, not 1" \
            -m "$T/e.gguf" --reference-model "$T/r.gguf" --tap-tol 1e-7
    done
    mini olmoe f32 f.gguf
    edit "$T/f.gguf" "$T/r.gguf" set blk.0.ffn_gate_exps.weight $(((512 + 3) * 256 + 5)) 4
    expect 1 "one element of an expert" explain -m "$T/f.gguf" --reference-model "$T/r.gguf"
    says "element 5 of row 3 of expert 1 of blk.0.ffn_gate_exps.weight is 4, not"
    edit "$T/e.gguf" "$T/r.gguf" set blk.1.attn_q_norm.weight 9 2
    expect 1 "norm of queries" explain -m "$T/e.gguf" --reference-model "$T/r.gguf"
    says "element 9 of blk.1.attn_q_norm.weight is 2, not"
}

several() {
    # Two or three changes at the same operation.
    edit "$T/l.gguf" "$T/r.gguf" float llama.rope.freq_base 50000 float llama.rope.scaling.factor 4
    named 1 candidate "rope-scale + rope-base" \
        "in the reference RoPE's positions are multiplied by 0.25, not 1, and RoPE's base is 50000, not 10000" \
        -m "$T/l.gguf" --reference-model "$T/r.gguf"
    equal "changes" "$(json "$T/o" explained.candidates.0.changes)" 2
    edit "$T/l.gguf" "$T/r.gguf" float llama.attention.layer_norm_rms_epsilon 1e-2 set blk.0.attn_norm.weight 9 2
    named 1 candidate "epsilon + weights" \
        "in the reference the norm's epsilon is 0.01, not 1e-05, and element 9 of blk.0.attn_norm.weight is 2, not 1.132076" \
        -m "$T/l.gguf" --reference-model "$T/r.gguf"
    edit "$T/l.gguf" "$T/r.gguf" scale blk.1.ffn_up.weight 17 2 2 scale blk.1.ffn_up.weight 117 4 3 \
        scale blk.1.ffn_up.weight 50 1 -1
    expect 1 "three rows" explain -m "$T/l.gguf" --reference-model "$T/r.gguf"
    equal "three rows" "$(json "$T/o" explained.candidates.0.changes)" 3
    says "row 117 of blk.1.ffn_up.weight, columns 128 to 159, is multiplied by 3, not 1, and row"
    says "and row 17 of blk.1.ffn_up.weight, columns 64 to 95, is multiplied by 2, not 1"
    mini bitnet tq2_0 b.gguf
    edit "$T/b.gguf" "$T/r.gguf" arch qwen2 drop sub_norm type attn f32 type ffn f32
    named 1 candidate "sub-norms + activation-rounding" \
        "in the reference the norms inside the blocks are absent, not applied, and the rounding of activations is none, not as the weight's type asks" \
        -m "$T/b.gguf" --reference-model "$T/r.gguf" --tap-tol 1e-4
}

others() {
    # Token ids: as options say, and as the files do.
    edit "$T/l.gguf" "$T/r.gguf" bool tokenizer.ggml.add_bos_token 0
    named 2 ids "" "the subject begins with BOS, 1, which the reference lacks; all other ids are equal" \
        -m "$T/l.gguf" --reference-model "$T/r.gguf"
    named 2 ids "" "the reference begins with BOS, 1, which the subject lacks; all other ids are equal" \
        -m "$T/r.gguf" --reference-model "$T/l.gguf"
    named 2 ids "" "the reference begins with BOS, 1, which the subject lacks; all other ids are equal" \
        -m "$T/l.gguf" --bos no
    # What is not in the table is not made up; a faulty subject is not blamed on the reference.
    edit "$T/l.gguf" "$T/r.gguf" arch qwen2 scale blk.0.attn_q.weight all all 3 permute blk.0.attn_q.weight 4
    expect 1 "rows in no order that is known" explain -m "$T/l.gguf" --reference-model "$T/r.gguf"
    equal "rows in no order that is known" "$(json "$T/o" explained.outcome)" nothing
    says "nothing explains it"
    mini olmoe q4_K m.gguf
    named 1 subject "" "the reference computes what the model says; it is the subject that does not" \
        -m "$T/m.gguf" --fault 1.attn_proj=scale:1.1
    named 0 nothing "" "there is nothing to explain: no operation differs" -m "$T/l.gguf"
    expect 5 "no such file" explain -m "$T/l.gguf" --reference-model "$T/none.gguf"
    [[ $engine == native ]] || expect 3 "no reference" env LOCKSTEP_CACHE_DIR="$T" HOME="$T" \
        "$LS" crossval explain -m "$T/l.gguf" -p x --against llama
}

"$part"
finish
