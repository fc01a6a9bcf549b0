#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# types.sh - every type of weights that can be made up, in a dense model and in one with experts, against
# the real llama.cpp: MATCH, and equal to the last bit.
. "$(dirname "$0")/lib.sh"
need_reference
need_order_of_sums
n=0
for type in f32 f16 bf16 q4_0 q4_1 q5_0 q5_1 q8_0 q1_0 q2_0 q2_K q3_K q4_K q5_K q6_K iq1_s iq1_m iq2_xxs iq2_xs \
    iq2_s iq3_xxs iq3_s iq4_nl iq4_xs tq1_0 tq2_0 mxfp4 nvfp4; do
    for arch in llama qwen3moe; do
        expect 0 "$type: mini" "$LS" model mini --arch $arch --type $type --seed 5 -o "$T/m.gguf" --force || continue
        expect 0 "$type, $arch" "$LS" crossval per-token -m "$T/m.gguf" --against llama --max-tokens 12 \
            -p "once upon a time there was a king who had three so" --threads 1 --format json -q || continue
        n=$((n + 1))
        equal "$type, $arch: first other bit" "$(json "$T/o" summary.first_bit_difference)" null
    done
done
((n >= 56)) || fail "only $n models were compared"
finish
