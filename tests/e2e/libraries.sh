#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# libraries.sh MODEL... - llama.cpp brings a CPU library for every generation of processors, and each adds in
# an order of its own. With every one of them that runs here, all logits must be equal to the last bit.
. "$(dirname "$0")/lib.sh"
need_reference
for name in "$@"; do
    model "$name"
    for isa in haswell skylakex cascadelake icelake cooperlake zen4; do
        for kv in f16 f32 bf16 q8_0; do
            [[ $kv == q8_0 && $name == stories* ]] && continue # heads of 8
            LOCKSTEP_LLAMA_CPU=$isa "$LS" crossval per-token -m "$MODEL" -p "$STORY" --against llama \
                --max-tokens 32 --threads 1 --kv-type $kv --format json -q >"$T/o" 2>"$T/e"
            grep -q 'cannot be loaded' "$T/e" && continue 2 # not for this processor
            equal "$name, $isa, $kv: library" "$(json "$T/o" reference.isa)" $isa
            equal "$name, $isa, $kv: verdict" "$(json "$T/o" verdict)" MATCH
            equal "$name, $isa, $kv: first other bit" "$(json "$T/o" summary.first_bit_difference)" null
            echo "$name: $isa, $kv cache: $(json "$T/o" summary.bit_equal_positions) positions equal"
        done
    done
done
# Sums in another order are seen, or the above proves nothing.
model fables-llama-5m-F16.gguf
expect 0 "own sums" "$LS" crossval per-token -m "$MODEL" -p "$STORY" --against llama --threads 1 --sums own \
    --nmse-tol 1 --kl-tol 1 --format json -q
n_checked=$((n_checked + 1))
[[ $(json "$T/o" summary.first_bit_difference) == null ]] && fail "own sums are no different"
finish
