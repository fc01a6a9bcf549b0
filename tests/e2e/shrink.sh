#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# shrink.sh stories260K|bitnet|archs - errors put into the native engine become a short prompt and one layer,
# which shows the same operation again against the real llama.cpp; without an error nothing is written.
. "$(dirname "$0")/lib.sh"
need_reference
need_order_of_sums
export LOCKSTEP=$LS
words() { tr '\n' ' ' <"$T/o"; }
shrink() { "$LS" crossval shrink -m "$MODEL" -p "Once upon a time there was a King" --against llama --threads 1 \
    -q --json -o "$T/out" "$@"; }
report() { json "$T/out/report.json" "$@" | tr '\n' ' '; }

# small FAULT LAYER OP LENGTH AS: the fault is found, the prompt as long as it must be, the layer shows it as layer AS
small() {
    local fault=$1 layer=$2 op=$3 length=$4 as=$5
    shift 5
    rm -rf "$T/out"
    expect 1 "$fault" shrink --fault "$fault" "$@" || return
    equal "$fault: found" "$(report located.layer located.op 'ids.#' minimal)" "$layer $op $length true "
    equal "$fault: replayed" "$(report replay.same_operation replay.located.op replay.verdict block.exact_input)" \
        "true $op DIVERGED ${exact:-true} "
    expect 1 "$fault: replay.sh" sh "$T/out/replay.sh" --threads 1 --json -q
    equal "$fault: replay.sh names it" "$(json "$T/o" located.layer located.op located.position located.origin | tr '\n' ' ')" \
        "$as $op $((length - 1)) born "
    # without the fault in it the same layer is the same in both engines: nothing is wrong but that
    sed -E -i 's/ --fault [^ ]+//' "$T/out/replay.sh"
    expect 0 "$fault: without the fault" sh "$T/out/replay.sh" --threads 1 --json -q
    equal "$fault: then all taps are compared" "$(json "$T/o" coverage.taps_compared)" "$(json "$T/o" coverage.taps_planned)"
}

blake3() { sed -n "s/.*\"$2\".*\"blake3\": *\"\([0-9a-f]*\)\".*/\1/p" "$1/trace.jsonl"; }

case $1 in
stories260K)
    model stories260K.gguf
    small 2.ffn_act@5=scale:1.5 2 ffn_act 6 0
    # the layer reads and computes there what it did within the model, to the last bit
    ids=$(report ids | tr -d '[] ' | sed 's/,$//')
    expect 0 "the model" "$LS" trace record -m "$MODEL" --ids "$ids" --engine llama -o "$T/whole" -q --no-check
    expect 0 "the block" "$LS" trace record -m "$T/out/block.gguf" --ids 0,1,2,3,4,5 --engine llama -o "$T/part" -q --no-check
    equal "its input" "$(blake3 "$T/part" t0\\/embeddings)" "$(blake3 "$T/whole" t0\\/blk1\\/layer_out)"
    equal "its output" "$(blake3 "$T/part" t0\\/blk0\\/layer_out)" "$(blake3 "$T/whole" t0\\/blk2\\/layer_out)"
    n_checked=$((n_checked + 1))
    [[ -n $(blake3 "$T/part" t0\\/blk0\\/layer_out) ]] || fail "no hash was compared"
    small 0.k_rope@3=add:0.5 0 k_rope 4 0
    small 4.layer_out=scale:2 4 layer_out 1 0
    small embeddings@2=add:1 null embeddings 3 null
    small logits@3=scale:2 null logits 4 null
    # folders and what becomes of them
    rm -rf "$T/out"
    expect 0 "no fault" shrink
    equal "no fault: verdict" "$(json "$T/o" verdict folder | tr '\n' ' ')" "MATCH null "
    expect 2 "other ids" shrink --bos no
    expect 3 "no reference" env LOCKSTEP_CACHE_DIR="$T/none" "$LS" crossval shrink -m "$MODEL" -p "Once" --against llama -o "$T/out" --json
    expect 1 "only the decoded tokens" shrink --fault 1.ffn_up@12=nan -n 4
    equal "they became a part of the prompt" "$(report 'ids.#' n_before)" "13 15 "
    # what shows only where a token is evaluated alone: the folder does so, too
    exact=true
    alone() {
        local fault=$1 length=$2
        shift 2
        rm -rf "$T/out"
        expect 1 "$fault" shrink --fault "$fault" -n 4 "$@"
        equal "$fault: one at a time" "$(report one_at_a_time 'ids.#' n_before minimal)" "true $length 15 true "
        expect 1 "$fault: replay.sh" sh "$T/out/replay.sh" --threads 1 --json -q
        sed -i 's/ --batch 1//' "$T/out/replay.sh"
        ((length == 1)) || expect 0 "$fault: all at once" sh "$T/out/replay.sh" --threads 1 --json -q
    }
    alone 1.ffn_up@alone=scale:1.5 1
    equal "as a block" "$(report replay.same_operation block.as_layer)" "true 0 "
    alone "3.attn_scores@alone#2=add:3" 3
    equal "as a block" "$(report replay.same_operation replay.located.op replay.located.position)" "true attn_scores 2 "
    alone "3.attn_scores@alone#2=add:3" 3 --tap-tol 1e9
    rm -rf "$T/out"
    expect 1 "only the decoded tokens" shrink --fault 1.ffn_up@12=nan -n 4
    cp -r "$T/out" "$T/before"
    expect 64 "a folder that is there" shrink --fault 1.ffn_up@1=nan
    expect 0 "it was left alone" diff -r "$T/out" "$T/before"
    expect 1 "--force" shrink --fault 1.ffn_up@1=nan --force
    equal "replaced" "$(report 'ids.#')" "2 "
    touch "$T/out/mine"
    expect 64 "a folder with files of others" shrink --fault 1.ffn_up@1=nan --force
    expect 0 "they are left alone" test -e "$T/out/mine"
    rm -rf "$T/out"
    expect 1 "logits alone" shrink --fault 2.q_rope@3=scale:2 --tap-tol 1e9
    equal "no block" "$(report located block 'ids.#')" "null null 4 "
    expect 1 "it is replayed with the model" sh "$T/out/replay.sh" --threads 1 -q
    rm -rf "$T/out"
    expect 1 "few tests" shrink --fault 2.ffn_act@5=scale:1.5 --max-tests 2
    equal "it says so" "$(report minimal n_tests replay.same_operation)" "false 2 true "
    ;;
bitnet)
    model fables-bitnet-5m-TQ2_0.gguf
    small 2.ffn_act@5=scale:1.5 2 ffn_act 6 0
    small 5.ffn_sub_norm@2=add:0.5 5 ffn_sub_norm 3 0
    ;;
archs) # a layer keeps what depends on its number: windows, rotation
    expect 0 "models" "$LS" model mini --all --type f32 -o "$T" -q
    for row in gemma2:1:1 gemma3:5:5 smollm3:3:3 olmo2:4:0 gpt2:1:0 granite:1:0 qwen3moe:1:0; do
        IFS=: read -r arch layer as <<<"$row"
        MODEL=$T/$arch-f32.gguf
        small "$layer.q_proj@4=scale:1.5" "$layer" q_proj 5 "$as"
    done
    # where embeddings are scaled by what is no power of two, not every float is a product
    MODEL=$T/wide.gguf exact=false
    expect 0 "width of 512" "$LS" model mini --arch gemma --shape small --type f32 -o "$MODEL" -q
    small "1.q_proj@4=scale:1.5" 1 q_proj 5 0
    ;;
esac
finish
