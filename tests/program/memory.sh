#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# memory.sh LOCKSTEP SOURCE_DIR GGUF_EDIT llama|MIRROR_ADAPTER: logits are compared as they arrive. The
# program's own memory, beside its engine, does not grow with the positions, and 512 positions of
# 128,256 logits (250 MiB a side) stay under 100 MiB. On a real model whose vocabulary was padded.
. "$(dirname "$0")/common.sh"
edit=$3
need_python
if [ "$4" = llama ]; then need_reference; else use_mirror "$4"; fi
[ -r /proc/self/status ] || skip "no /proc"
find_model stories260K.gguf
"$edit" "$model" large.gguf vocabulary=128256 || { fail "no derived model"; finish; }

# peak NAME POSITIONS ARGUMENTS...: the variable NAME is the program's peak in KiB
peak() {
    local name=$1 n=$2 got
    shift 2
    prompt "$model" "$n"
    got=$(python3 -B "$SRC/tests/program/check.py" peak "$LS" crossval per-token -m large.gguf \
        -f prompt.txt --threads 1 --ctx 512 --format json --quiet "$@" 2>peak.err) ||
        { fail "$name: $(tail -n 1 peak.err)"; finish; }
    declare -g "$name=$got"
    echo "$name: $got KiB"
}

# Large batches: nobody may hold the logits of a whole batch either.
peak native_few 48 --max-tokens 0 --backend native
peak native_many 448 --max-tokens 64 --backend native
peak both_few 48 --max-tokens 0 --against llama
peak both_many 448 --max-tokens 64 --against llama
[ $((both_many - both_few)) -le 16384 ] && pass ||
    fail "$((both_many - both_few)) KiB more for 512 positions than for 48"
[ $((both_many - native_many)) -le 102400 ] && pass ||
    fail "$((both_many - native_many)) KiB above the engine alone"
[ $((native_many - native_few)) -le 16384 ] && pass ||
    fail "the engine itself: $((native_many - native_few)) KiB more"
finish
