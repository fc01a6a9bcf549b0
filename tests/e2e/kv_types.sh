#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# kv_types.sh - every type of KV cache against llama.cpp, which has Q8_0 with flash attention only: heads of
# 64, which it turns before it rounds them, caps, windows and sinks. With the order of sums of its library
# `haswell` all logits must be equal to the last bit.
. "$(dirname "$0")/lib.sh"
need_reference
export LOCKSTEP_LLAMA_CPU=haswell
compare() { # MODEL KV [OPTION...]
    "$LS" crossval per-token -m "$1" -p "$STORY" --against llama --max-tokens 8 --threads 1 --kv-type "$2" \
        --format json -q "${@:3}" >"$T/o" 2>"$T/e"
    STATUS=$?
    grep -q 'cannot be loaded' "$T/e" && skip "llama.cpp's library haswell does not run here"
}
for what in "llama small" "gemma2 tiny" "gpt-oss tiny"; do
    read -r arch shape <<<"$what"
    "$LS" model mini --arch "$arch" --shape "$shape" --type q8_0 --seed 5 -o "$T/$arch.gguf" >"$T/o" 2>&1
    for kv in f16 bf16 q8_0; do
        compare "$T/$arch.gguf" $kv
        equal "$arch, $kv: exit" $STATUS 0
        equal "$arch, $kv: the reference's cache" "$(json "$T/o" reference.kv_type)" $kv
        equal "$arch, $kv: flash attention" "$(json "$T/o" reference.flash_attn)" "$([[ $kv == q8_0 ]] && echo true || echo false)"
        equal "$arch, $kv: first other bit" "$(json "$T/o" summary.first_bit_difference)" null
    done
done
# Another type on the reference's side is seen, or the above proves nothing.
for kv in bf16 q8_0; do
    compare "$T/llama.gguf" f16 --reference-kv-type $kv --nmse-tol 1 --kl-tol 1
    n_checked=$((n_checked + 1))
    [[ $(json "$T/o" summary.first_bit_difference) == null ]] && fail "$kv is no different from f16"
done
finish
