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
# An output matrix of 300 rows, which llama.cpp does not interleave, of rows with one block, two and three.
for type in 2 20 39; do # q4_0, iq4_nl, mxfp4
    for d in 32 64 96; do
        expect 0 "type $type, 300 rows of $d" "$TOOLS/make_model" tiny "$T/m.gguf" dtype=$type d=$d layers=2 seed=$d
        expect 0 "type $type, 300 rows of $d" "$LS" crossval per-token -m "$T/m.gguf" --against llama --max-tokens 6 \
            -p "once upon a time" --threads 1 --format json -q || continue
        equal "type $type, 300 rows of $d: first other bit" "$(json "$T/o" summary.first_bit_difference)" null
    done
done
((n >= 56)) || fail "only $n models were compared"
finish
