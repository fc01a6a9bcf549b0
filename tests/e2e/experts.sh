#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# experts.sh - what the chosen experts compute is compared with the real llama.cpp as every other operation is,
# and an error in it is named; so is what Falcon's second norm computes.
. "$(dirname "$0")/lib.sh"
need_reference
need_order_of_sums
expect 0 "models" "$LS" model mini --all --optional --type f32 -o "$T" -q
run() { "$LS" crossval per-token -m "$MODEL" -p "once upon" -n 1 --against llama --threads 1 -q --locate --format json "$@"; }

for row in qwen2moe:1 gpt-oss:1 olmoe:0 qwen3moe:0 llama:1 falcon:0; do
    MODEL=$T/${row%:*}-f32.gguf
    expect 0 "$row: no fault" run
    equal "$row: taps equal to the last bit" "$(json "$T/o" taps.bit_equal)" "$(json "$T/o" taps.planned)"
    [[ $row == falcon:* ]] || equal "$row: taps that llama.cpp does not show" "$(json "$T/o" 'taps.not_shown.#')" 0
    [[ $row == *:1 ]] || continue
    for fault in 1.ffn_router@3=add:1 0.ffn_moe_topk@6=add:1 1.ffn_moe_weights@4=scale:1.2 1.ffn_gate@3=scale:1.5 \
        1.ffn_up@0=nan 0.ffn_act@5=add:0.5 1.ffn_down@2=scale:1.1 1.ffn_moe_out@1=scale:2; do
        expect 1 "$row: $fault" run --fault "$fault" || continue
        equal "$row: $fault: culprit" \
            "$(json "$T/o" located.layer located.op located.position located.origin | tr '\n' ' ')" \
            "$(sed -E 's/([0-9]+)\.([a-z_]+)@([0-9]+)=.*/\1 \2 \3 born /' <<<"$fault")"
        awk -v x="$(json "$T/o" located.isolated_reverse)" 'BEGIN { exit !(tolower(x) ~ /nan/ || x + 0 > 1e-6) }' ||
            fail "$row: $fault: the other way round: $(json "$T/o" located)"
    done
done

# As files: the chosen ones stand one after the other, the best first.
MODEL=$T/qwen3moe-f32.gguf
expect 0 "native" "$LS" trace record -m "$MODEL" -p "once upon" --threads 1 -q --values full --no-check -o "$T/native"
expect 0 "llama" "$LS" trace record -m "$MODEL" -p "once upon" --threads 1 -q --values full --no-check -o "$T/llama" --engine llama
expect 0 "compared" "$LS" trace diff "$T/native" "$T/llama" --json
equal "coverage" "$(json "$T/o" coverage.taps_compared)" "$(json "$T/o" coverage.taps_planned)"
tokens=$("$LS" trace show "$T/llama" t0/embeddings | sed -n 's/^t0.embeddings: \([0-9]*\) x.*/\1/p')
for tap in ffn_gate ffn_up ffn_act; do
    equal "$tap" "$("$LS" trace show "$T/llama" t0/blk1/$tap --rows 0 | sed -n 's/^[^:]*: \([0-9 x]*\) of.*/\1/p')" "2 x $tokens x 256"
done
equal "two experts of four for each token" "$("$LS" trace show "$T/llama" t0/blk1/ffn_moe_topk --rows 999 |
    awk '/^position/ { n++; if (NF != 4 || $3 == $4 || $3 !~ /^[0-3]$/ || $4 !~ /^[0-3]$/) bad++ } END { print n + 0, bad + 0 }')" "$tokens 0"
finish
