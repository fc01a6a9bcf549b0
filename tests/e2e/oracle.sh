#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# oracle.sh - `--oracle` and `--against` given again: who stands alone, who is wrong about an operation, and
# errors so small that no tolerance by hand finds them.
. "$(dirname "$0")/lib.sh"
model stories260K.gguf
need_reference
need_order_of_sums
prompt="Once upon a time there was"
run() { "$LS" crossval per-token -m "$MODEL" -p "$prompt" --against llama -q --format json "$@"; }
located() { json "$T/o" located.layer located.op located.position located.outlier | tr '\n' ' '; }

expect 0 "three engines that agree" run --against native --oracle
equal "who votes" "$(json "$T/o" 'vote.engines.#')" 4
equal "nobody is alone" "$(json "$T/o" vote.agree vote.outlier | tr '\n' ' ')" "true null "
equal "rho of every position" "$(json "$T/o" 'vote.rho.#')" "$(json "$T/o" 'positions.#')"
expect 1 "a fault" run --against native --fault 2.ffn_act@3=scale:2
equal "the native engine is alone" "$(json "$T/o" vote.outlier)" native
expect 1 "a fault, two engines and the oracle" run --oracle --fault 2.ffn_act@3=scale:2
equal "alone beside the oracle" "$(json "$T/o" vote.outlier)" native
expect 64 "an engine given twice" run --against llama
expect 64 "a vote of one" run --oracle --backend native

# The reference is the one that errs: it gets a file with another number in it.
wrong_reference() {
    local layer=$1 op=$2
    shift 2
    "$TOOLS/gguf_edit" "$MODEL" "$T/wrong.gguf" "$@" || fail "gguf_edit $*"
    expect 1 "in the reference: $*" "$LS" crossval explain -m "$MODEL" -p "$prompt" --against llama \
        --reference-model "$T/wrong.gguf" -q --json
    equal "$*: where" "$(json "$T/o" located.layer located.op located.outlier | tr '\n' ' ')" \
        "$layer $op reference "
}
wrong_reference 0 attn_norm float llama.attention.layer_norm_rms_epsilon 1e-3
wrong_reference 2 ffn_up scale blk.2.ffn_up.weight 3 0 1.5

# Far below what --tap-tol could be: one part in a hundred thousand, one element.
for fault in "1.ffn_up=scale:1.00001 1 ffn_up 0" "1.ffn_up@3=scale:1.0001 1 ffn_up 3" \
    "2.attn_norm@2#5=scale:1.0001 2 attn_norm 2" "3.attn_scores@5=scale:1.00003 3 attn_scores 5" \
    "logits@2#7=add:0.001 null logits 2" "final_norm@4=scale:1.00002 null final_norm 4"; do
    read -r f where <<<"$fault"
    expect 0 "$f: too small for the tolerance" run --locate --fault "$f"
    expect 1 "$f" run --locate --oracle --fault "$f"
    equal "$f: culprit" "$(located)" "$where subject "
done

# Last bits are no finding: other orders of sums, in every type of weights. Where activations are rounded
# to int8 they tip roundings, which moves logits by an NMSE of a few 1e-4: carried, and born nowhere.
for name in stories260K.gguf fables-llama-5m-Q4_K_M.gguf fables-bitnet-5m-TQ2_0.gguf; do
    model "$name"
    for sums in own reference; do
        tol=()
        [[ $sums == own && $name != stories* ]] && tol=(--nmse-tol 4e-4)
        expect 0 "$name, sums $sums" run --locate --oracle --sums $sums "${tol[@]}"
        found=$(json "$T/o" located)
        ((${#tol[@]})) && [[ $found == *'"origin":"carried"'* ]] && found=null
        equal "$name, sums $sums: born nowhere" "$found" null
    done
done
finish
