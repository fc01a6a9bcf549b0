#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# faults.sh LOCKSTEP SOURCE_DIR MODEL N_LAYERS llama|MIRROR_ADAPTER: the harness can fail. Every norm
# of every layer scaled at one position, and NaN at every tap, are found at that position and no
# other; text and JSON give the same exit code.
. "$(dirname "$0")/common.sh"
name=$3 n_layers=$4
need_python
if [ "$5" = llama ]; then need_reference; else use_mirror "$5"; fi
find_model "$name"
case $name in
# Position 0 attends to itself alone, so that scaling its norm scales its values, and the norm that
# BitNet puts after them takes that out again: nothing to be seen there, by the mathematics.
*bitnet*) sub_norms="attn_sub_norm ffn_sub_norm" first=1 ;;
*) sub_norms= first=0 ;;
esac
text="Once upon a time there was"
n_prompt=$("$LS" model tokenize -m "$model" -p "$text" --ids | wc -w)
decoded=$((n_prompt + 1)) # a position of the second decoded token

run() { cross "$model" -p "$text" --max-tokens 3 --against llama --quiet "$@"; }

# diverges FAULT POSITION
diverges() {
    expect 1 run --fault "$1" --format json || return
    check "$1" holds out "j['verdict'] == 'DIVERGED' and j['exit_code'] == 1 and
        j['status'] == 'diverged' and j['summary']['first_divergence'] == $2 and
        j['first_divergence_token'] == $2 and j['divergence_token'] == $2 and
        j['coverage']['positions_compared'] == $n_prompt + 3 and
        all(p['ok'] for p in j['positions'][:$2]) and not j['positions'][$2]['ok']"
}

# What has no fault matches: what follows is not found everywhere.
expect 0 run --format json && check "no fault" match out $((n_prompt + 3)) 0.9999

for ((layer = 0; layer < n_layers; layer++)); do
    for op in attn_norm ffn_norm; do
        for position in 3 "$decoded"; do
            diverges "$layer.$op@$position=scale:1.5" "$position"
        done
    done
done
for op in q_proj k_proj v_proj q_rope k_rope attn_scores attn_scores_softmax attn_out attn_proj \
    residual ffn_norm attn_norm ffn_gate ffn_up ffn_act ffn_down layer_out $sub_norms; do
    diverges "$((n_layers / 2)).$op@4=nan" 4
done
for op in embeddings final_norm logits; do diverges "$op@$decoded=nan" "$decoded"; done
diverges "1.attn_norm=scale:2" $first
diverges "1.ffn_norm=scale:2" 0
diverges "final_norm@2=add:0.5" 2

# The same in words.
for fault in 1.attn_norm@3=scale:1.5 1.ffn_act@3=nan; do
    expect 1 run --fault "$fault" && { grep -q 'position 3' out || fail "$fault: no position in words"; }
done
# What the architecture does not have, or nobody has, is refused and not ignored.
expect 64 run --fault 1.no_such_op=scale:2
expect 64 run --fault "$n_layers.attn_norm=scale:2"
# At a position that is never evaluated the fault does nothing, and nothing is found.
expect 0 run --fault 1.attn_norm@300=scale:2
finish
