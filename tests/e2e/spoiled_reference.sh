#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# spoiled_reference.sh - a reference that is wrong at one position: the real llama.cpp, behind an adapter
# that changes one value on its way. Exit 1 and the right first position, in text and in JSON.
. "$(dirname "$0")/lib.sh"
model stories260K.gguf
need_reference
adapters=$SOURCE/adapters

# The installation again, with the spoiling adapter in the place of the sound one. What this version of
# llama.cpp has is known; spelled as src/engine/ref_layout.c passes it.
mkdir "$T/engine"
cp "$ENGINE/engine.manifest" "$T/engine"
ln -s "$ENGINE/lib" "$ENGINE/headers" "$T/engine"
has="-DLS_HAS_VOCAB=1 -DLS_HAS_LOAD=1 -DLS_HAS_INIT=1 -DLS_HAS_MEMORY=1 -DLS_HAS_FLASH_TYPE=1
    -DLS_HAS_VERSION=1 -DLS_HAS_BACKEND_DIR=1"
# shellcheck disable=SC2086
cc -std=gnu11 -O1 -w $has -Dref_row=true_row -Dref_open=true_open -Dref_eval=true_eval \
    -Dref_reset=true_reset -I"$ENGINE/headers/include" -I"$ENGINE/headers/ggml/include" -I"$adapters" \
    -c "$adapters/ref_llama.c" -o "$T/llama.o" &&
    cc -std=gnu11 -O1 -w -I"$adapters" -o "$T/engine/lockstep-ref-llama" "$adapters/ref_main.c" \
        "$SOURCE/tests/ref/spoiled_llama.c" "$T/llama.o" -ldl -lm || { fail "no adapter"; finish; }
export BITNET_CROSSVAL_LIBDIR=$T/engine
run() { "$LS" crossval per-token -m "$MODEL" -p "$STORY" --against llama --threads 1 --max-tokens 8 -q "$@"; }

expect 0 "nothing spoiled" run --format json
n=$(json "$T/o" 'positions.#') n_prompt=$(json "$T/o" 'tokens.prompt.#')
for pos in 0 7 $((n_prompt - 1)) $((n_prompt)) $((n - 1)); do
    for kind in nan inf bit flip; do
        export LS_SPOIL=$pos:$kind
        expect 1 "$LS_SPOIL" run --format json
        equal "$LS_SPOIL: first divergence" "$(json "$T/o" summary.first_divergence)" "$pos"
        equal "$LS_SPOIL: position" "$(json "$T/o" "positions.$pos.ok")" false
        expect 1 "$LS_SPOIL as text" run
    done
done
unset LS_SPOIL
no_orphan "$T/engine" "spoiled references"
finish
