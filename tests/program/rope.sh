#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# rope.sh LOCKSTEP SOURCE_DIR GGUF_EDIT: every RoPE setting, in files derived from real models, against
# the real llama.cpp; and that each setting has an effect at all.
. "$(dirname "$0")/common.sh"
edit=$3
need_python
need_reference

# alone MODEL PREFIX: this engine's logits
alone() { cross "$1" -f prompt.txt --max-tokens 0 --backend native --quiet --dump-logits "$2"; }

# derived CHANGE...: the model with these changes matches, and is another model than before
derived() {
    expect 0 "$edit" "$model" derived.gguf "$@" || return
    expect 0 cross derived.gguf -f prompt.txt --max-tokens 32 --against llama --kv-type $kv --quiet \
        --format json && check "$*" match out 128 "$cosine"
    expect 0 alone derived.gguf derived && cmp -s derived.subject.f32 base.subject.f32 &&
        fail "$*: changes nothing"
}

all() {
    local s=llama.rope.scaling
    prompt "$model" 96
    expect 0 alone "$model" base
    derived llama.rope.freq_base=f32:50000
    derived $s.type=str:linear $s.factor=f32:2
    derived $s.factor=f32:2.5
    derived llama.rope.scale_linear=f32:3
    derived $s.type=str:yarn $s.factor=f32:4 $s.original_context_length=u32:128
    derived $s.type=str:yarn $s.factor=f32:4 $s.original_context_length=u32:64
    derived $s.type=str:yarn $s.factor=f32:8 $s.original_context_length=u32:256 \
        llama.rope.freq_base=f32:500000
    derived $s.type=str:yarn $s.factor=f32:4 $s.attn_factor=f32:1.2
    derived +rope_freqs.weight="$freqs"
}

find_model stories260K.gguf # heads of 8
kv=f32 cosine=0.999999 freqs=1,1.5,4,8
all
"$edit" "$model" derived.gguf llama.rope.scaling.type=str:none llama.rope.scaling.factor=f32:2
expect 0 cross derived.gguf -f prompt.txt --max-tokens 32 --against llama # a factor without effect
expect 0 alone derived.gguf derived && { cmp -s derived.subject.f32 base.subject.f32 || fail "none"; }
"$edit" "$model" derived.gguf llama.rope.scaling.type=str:longrope
expect 5 cross derived.gguf -f prompt.txt --against native # not ignored
find_model fables-llama-5m-Q8_0.gguf # heads of 32: YaRN's ramp has several steps
kv=f16 cosine=0.9999 freqs=1,1,1,1,1,1.25,1.5,2,2.5,3,4,5,6,7,8,8
all
finish
