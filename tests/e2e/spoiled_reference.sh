#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# spoiled_reference.sh - a reference that is wrong at one position: the real llama.cpp, behind an adapter
# that changes one value on its way. Exit 1 and the right first position, in text and in JSON.
. "$(dirname "$0")/lib.sh"
model stories260K.gguf
need_reference
spoiled_engine
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
