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
mini() { "$LS" model mini --arch "$1" --type "$2" --seed 3 -o "$T/$3" -q || fail "mini $1 $2"; }
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
    mini gptneox f16 n.gguf # 16 of 32
    edit "$T/n.gguf" "$T/r.gguf" int gptneox.rope.dimension_count 8
    named 1 candidate rope-dims "in the reference the elements of a head that RoPE turns are 8, not 16" \
        -m "$T/n.gguf" --reference-model "$T/r.gguf"
}

numbers() {
    # Numbers: epsilon, caps, scales.
    edit "$T/l.gguf" "$T/r.gguf" float llama.attention.layer_norm_rms_epsilon 1e-6
    named 1 candidate epsilon "in the reference the norm's epsilon is 1e-06, not 1e-05" \
        -m "$T/l.gguf" --reference-model "$T/r.gguf" --tap-tol 1e-7
    mini gemma2 f16 g.gguf
    edit "$T/g.gguf" "$T/r.gguf" float gemma2.attn_logit_softcapping 40
    named 1 candidate attention-softcap "in the reference attention's soft cap is 40, not 5" \
        -m "$T/g.gguf" --reference-model "$T/r.gguf" --tap-tol 1e-7
    edit "$T/g.gguf" "$T/r.gguf" float gemma2.final_logit_softcapping 20
    named 1 candidate logit-softcap "in the reference the soft cap of the logits is 20, not 8" \
        -m "$T/g.gguf" --reference-model "$T/r.gguf" --tap-tol 1e-7
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

others() {
    # Token ids.
    named 2 ids "" "the reference begins with BOS, 1, which the subject lacks; all other ids are equal" \
        -m "$T/l.gguf" --bos no
    # What is not in the table is not made up; a faulty subject is not blamed on the reference.
    edit "$T/l.gguf" "$T/r.gguf" scale blk.1.attn_norm.weight 0 0 2
    expect 1 "other weights of a norm" explain -m "$T/l.gguf" --reference-model "$T/r.gguf"
    equal "other weights of a norm" "$(json "$T/o" explained.outcome)" nothing
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
