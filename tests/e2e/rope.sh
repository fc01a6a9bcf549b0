#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# rope.sh MODEL KV MIN_COSINE FACTORS - what metadata say of rotary embeddings, against the real
# llama.cpp: base, linear and YaRN scaling, factors per dimension. Models derived from a built-in one,
# so that the edit changes the numbers and both engines must follow it.
. "$(dirname "$0")/lib.sh"
kv=$2 min_cosine=$3 factors=$4
model "$1"
need_reference
plain() { "$LS" crossval per-token -m "$1" -p "$STORY" --backend native --max-tokens 0 -q --dump-logits "$2" --threads 1 --kv-type "$kv"; }
run() { "$LS" crossval per-token -m "$1" -p "$STORY" --against llama --threads 1 --max-tokens 16 -q --kv-type "$kv" --format json; }
expect 0 "the model as it is" plain "$MODEL" "$T/base"

# derived NAME EDIT...: must be another model than the built-in one, and match
derived() {
    local name=$1 cosine
    shift
    expect 0 "$name: edit" "$TOOLS/make_model" edit "$MODEL" "$T/m.gguf" "$@" || return
    expect 0 "$name: native" plain "$T/m.gguf" "$T/other" || return
    n_checked=$((n_checked + 1))
    cmp -s "$T/base.subject.f32" "$T/other.subject.f32" && fail "$name: the edit changes nothing"
    expect 0 "$name" run "$T/m.gguf" || return
    cosine=$(json "$T/o" summary.min_cosine.value)
    n_checked=$((n_checked + 1))
    awk "BEGIN { exit !($cosine >= $min_cosine) }" || fail "$name: worst cosine $cosine"
    echo "$name: worst cosine $cosine"
}
derived "base" llama.rope.freq_base=f32:500000
derived "linear scaling" llama.rope.scaling.type=str:linear llama.rope.scaling.factor=f32:2
derived "linear scaling by the old key" llama.rope.scale_linear=f32:3
derived "YaRN" llama.rope.scaling.type=str:yarn llama.rope.scaling.factor=f32:4 \
    llama.rope.scaling.original_context_length=u32:128
derived "YaRN with a base" llama.rope.scaling.type=str:yarn llama.rope.scaling.factor=f32:2.5 \
    llama.rope.scaling.original_context_length=u32:64 llama.rope.freq_base=f32:1000
derived "YaRN with an attention factor" llama.rope.scaling.type=str:yarn llama.rope.scaling.factor=f32:4 \
    llama.rope.scaling.original_context_length=u32:128 llama.rope.scaling.attn_factor=f32:1.25
derived "factors per dimension" "tensor:rope_freqs.weight=$factors"
derived "epsilon" llama.attention.layer_norm_rms_epsilon=f32:0.01

# A scaling that Lockstep does not compute is refused, not ignored.
expect 0 "unknown scaling: edit" "$TOOLS/make_model" edit "$MODEL" "$T/m.gguf" \
    llama.rope.scaling.type=str:longrope llama.rope.scaling.factor=f32:2
expect 5 "unknown scaling" plain "$T/m.gguf" "$T/other"
finish
