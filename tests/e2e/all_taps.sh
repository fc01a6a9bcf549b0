#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# all_taps.sh - the built-in models and every architecture, without and with what it may have or not, against the
# real llama.cpp with --locate: MATCH, and of the operations that the native engine records not one is left
# out: each is compared or listed as not shown. And a reference that shows less is found out.
. "$(dirname "$0")/lib.sh"
need_reference
need_order_of_sums
run() { "$LS" crossval per-token -m "$MODEL" -p "once upon" --against llama -n 0 --threads 1 -q --locate --format json; }
stages() { sed 's/.*"stage":"\([a-z_]*\)".*/\1/' "$1/trace.jsonl"; }
not_shown() { json "$T/o" taps.not_shown | tr -c 'a-z_' '\n' | xargs; }

# covered NAME HIDDEN: what llama.cpp's graph does not name is HIDDEN; everything else is compared
covered() {
    local name=$1 hidden=$2
    rm -rf "$T/native"
    expect 0 "$name: native" "$LS" trace record -m "$MODEL" -p "once upon" -o "$T/native" -q --no-check --threads 1
    expect 0 "$name" run || return
    equal "$name: not shown" "$(not_shown)" "$hidden"
    equal "$name: located" "$(json "$T/o" located)" null
    equal "$name: compared" "$(json "$T/o" taps.compared)" "$(stages "$T/native" | grep -cvxF "${hidden:-none}")"
    equal "$name: coverage" "$(json "$T/o" coverage.taps_compared)" "$(json "$T/o" coverage.taps_planned)"
}

n=0
for MODEL in "$SOURCE"/models/*.gguf; do
    [[ $MODEL == *I2_S* ]] && continue # bitnet.cpp's type: llama.cpp does not read it
    covered "$(basename "$MODEL")" ""
    n=$((n + 1))
done
((n >= 3)) || fail "only $n built-in models"

declare -A hidden=([command-r]="residual" [falcon]="residual" [phi3]="residual"
    ["gptneox --optional"]="residual") # with blocks side by side
n=0
for variant in "" --optional; do
    # shellcheck disable=SC2086
    expect 0 "models $variant" "$LS" model mini --all $variant --type f32 -o "$T" --force -q
    for MODEL in "$T"/*-f32.gguf; do
        arch=$(basename "$MODEL" -f32.gguf)
        [[ $arch == bitnet-b1.58 ]] && continue # Microsoft's name; llama.cpp does not know it
        covered "$arch $variant" "${hidden[$arch $variant]:-${hidden[$arch]:-}}"
        n=$((n + 1))
    done
done
((n >= 42)) || fail "only $n models were compared"
echo "$n models of all architectures"

# The same checks where one node is not shown: it is in the list, or missing in one layer and an error.
spoiled_engine
model stories260K.gguf
expect 0 "nothing hidden" run
while read -r node op; do
    export LS_SPOIL=hide:$node
    expect 0 "$node is not shown" run
    equal "$node: not shown" "$(not_shown)" "$op"
    export LS_SPOIL=hide:$node:2
    expect 3 "$node is not shown in layer 2" run
done <<'END'
attn_norm attn_norm
Kcur k_rope
attn_output.weight attn_proj
ffn_inp residual
ffn_swiglu ffn_act
END
finish
