#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# faults.sh MODEL N_LAYERS [NMSE_TOL] - errors put into the native engine against the real llama.cpp: the norm before
# either half of every layer scaled by 1.5 at one position, and NaN at every operation of some layer.
# Each must give exit 1 in both formats and name the position; the same runs without a fault match.
# BitNet's sub-norms divide a factor out again, but for what SiLU makes of it: there the default NMSE
# budget of 1e-4 can swallow a layer's share, and the test asks for a tighter one.
. "$(dirname "$0")/lib.sh"
name=$1 n_layers=$2 nmse_tol=${3:-1e-4}
model "$name"
need_reference
prompt="Once upon a time there was a King who had three sons and a daughter"
run() { "$LS" crossval per-token -m "$MODEL" -p "$prompt" --against llama --threads 1 -q \
    --nmse-tol "$nmse_tol" "$@"; }

# fault FAULT POSITION: exit 1 in both formats, the first divergence at that position
fault() {
    expect 1 "$1 as JSON" run --format json --fault "$1" || return
    equal "$1: verdict" "$(json "$T/o" verdict)" DIVERGED
    equal "$1: exit code in the report" "$(json "$T/o" exit_code)" 1
    equal "$1: first divergence" "$(json "$T/o" summary.first_divergence)" "$2"
    expect 1 "$1 as text" run --fault "$1"
    says DIVERGED
}

expect 0 "no fault" run --format json
n=$(json "$T/o" 'positions.#')
for ((l = 0; l < n_layers; l++)); do
    fault "$l.attn_norm@$((5 + 2 * l))=scale:1.5" $((5 + 2 * l))
    fault "$l.ffn_norm@$((n - 2 - l))=scale:1.5" $((n - 2 - l))
done

# NaN reaches the logits from everywhere, and never counts as equal.
ops="attn_norm q_proj k_proj v_proj q_rope k_rope attn_scores attn_scores_softmax attn_out attn_proj
    residual ffn_norm ffn_gate ffn_up ffn_act ffn_down layer_out"
[[ $name == *bitnet* ]] && ops+=" attn_sub_norm ffn_sub_norm"
i=0
for op in $ops; do
    i=$((i + 1))
    fault "$((i % n_layers)).$op@$((i % n))=nan" $((i % n))
done
for op in embeddings final_norm logits; do
    i=$((i + 1))
    fault "$op@$((i % n))=nan" $((i % n))
done
fault "0.attn_norm=scale:1.5" "$(run --format json --fault 0.attn_norm=scale:1.5 >"$T/all"; json "$T/all" summary.first_divergence)"

# A fault that does nothing is no divergence: the harness does not cry wolf either.
expect 0 "a factor of 1" run --fault "1.attn_norm=scale:1"
expect 0 "a constant added to all logits of a position" run --fault "logits@3=add:1"
expect 64 "a layer that is not there" run --fault "$n_layers.attn_norm=scale:2"
finish
