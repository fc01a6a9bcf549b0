#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# locate.sh MODEL N_LAYERS - errors put into the native engine, and `--locate` names layer, operation,
# first position and the engine that is wrong of each against the real llama.cpp; without one, every operation is equal to the last bit.
. "$(dirname "$0")/lib.sh"
name=$1 n_layers=$2
model "$name"
need_reference
need_order_of_sums
prompt="Once upon a time there was a King"
run() { "$LS" crossval per-token -m "$MODEL" -p "$prompt" --against llama --threads 1 -q --locate \
    --format json "$@"; }

# fault FAULT LAYER OP POSITION: exit 1, and the culprit named
n_faults=0
fault() {
    n_faults=$((n_faults + 1))
    expect 1 "$1" run --fault "$1" || return
    equal "$1: culprit" "$(json "$T/o" located.layer located.op located.position located.origin located.outlier | tr '\n' ' ')" \
        "$2 $3 $4 born subject "
    # the other way round: the reference on the subject's input
    over "$(json "$T/o" located.isolated_reverse)" || fail "$1: the other way round: $(json "$T/o" located)"
    equal "$1: taps that the reference did not take over" "$(json "$T/o" 'located.not_stepped.#')" 0
}

# Over the budget, or just below it: another norm is taken. NaN is, and null is not.
over() { awk -v x="$1" 'BEGIN { exit !(tolower(x) ~ /nan/ || x + 0 > 0.99e-6) }'; }

expect 0 "no fault" run
equal "no fault: located" "$(json "$T/o" located)" null
equal "no fault: taps that the reference does not show" "$(json "$T/o" 'taps.not_shown.#')" 0
equal "no fault: taps equal to the last bit" "$(json "$T/o" taps.bit_equal)" "$(json "$T/o" taps.planned)"
equal "no fault: coverage" "$(json "$T/o" coverage.taps_compared)" "$(json "$T/o" coverage.taps_planned)"
(($(json "$T/o" taps.planned) >= 5 * (n_layers * 17 + 3))) || fail "few taps: $(json "$T/o" taps.planned)"
n=$(json "$T/o" 'positions.#')

ops="attn_norm q_proj k_proj v_proj q_rope k_rope attn_scores attn_scores_softmax attn_out attn_proj
    residual ffn_norm ffn_gate ffn_up ffn_act ffn_down layer_out"
[[ $name == *bitnet* ]] && ops+=" attn_sub_norm ffn_sub_norm"
kinds=(scale:1.5 add:0.5 nan scale:0.9 add:-0.25)
i=0
for ((l = 0; l < n_layers; l++)); do
    for op in $ops; do
        i=$((i + 1))
        fault "$l.$op@$((i * 7 % n))=${kinds[i % 5]}" $l "$op" $((i * 7 % n))
    done
done
for op in embeddings final_norm; do
    fault "$op@5=scale:1.01" null $op 5
    fault "$op@$((n - 1))=nan" null $op $((n - 1))
done
fault "logits@3=scale:1.01" null logits 3
fault "1.ffn_up=scale:1.001" 1 ffn_up 0
for op in $ops embeddings; do # one element of one row
    [[ $op == attn_scores* ]] && continue
    at=$op layer=null
    [[ $op != embeddings ]] && at=2.$op layer=2
    fault "$at@4#3=add:2" $layer $op 4
done
expect 64 "an element past the end of a row" run --fault "1.attn_norm#100000=nan"
echo "$n_faults faults"

# What the logits hide and what they cannot show.
expect 0 "a constant added to the logits" run --fault "logits@3=add:1"
run --fault "1.v_proj@0=add:1e-6" >"$T/o" # rounding may carry it over a budget later, or not
equal "too small: the first other bits" "$(json "$T/o" taps.first_other_bits.layer taps.first_other_bits.op | tr '\n' ' ')" \
    "1 v_proj "
finish
