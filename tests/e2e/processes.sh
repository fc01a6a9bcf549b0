#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# processes.sh - the real llama.cpp is killed while it evaluates, or its user is: the exit code, one
# message, and no process left behind. With a thread each and two processors both engines evaluate at once, with one
# processor in turn: the numbers are the same.
. "$(dirname "$0")/lib.sh"
need_reference
model fables-llama-5m-Q8_0.gguf
# The same installation under a path of its own: other tests run the adapter too, at the same time.
mkdir "$T/engine"
cp "$ENGINE/engine.manifest" "$ENGINE/lockstep-ref-llama" "$T/engine"
ln -s "$ENGINE/lib" "$ENGINE/headers" "$T/engine"
export BITNET_CROSSVAL_LIBDIR=$T/engine
adapter=$T/engine/lockstep-ref-llama
text=$(for _ in 1 2 3 4; do echo "$STORY"; done)

# start ARGUMENT...: a comparison in the background: pid, and child once that has used 0.15 s of a
# core, more than it needs to load the model.
start() {
    local used
    child=
    set -m # a group of its own: the shell ignores SIGINT for what it starts otherwise
    "$LS" crossval per-token -m "$MODEL" -p "$text" --max-tokens 100 --threads 1 --batch 1 \
        --against llama -q "$@" >"$T/o" 2>"$T/e" </dev/null &
    pid=$!
    set +m
    for _ in $(seq 500); do
        [[ $child ]] || child=$(child_of $pid)
        used=$([[ $child ]] && cut -d ' ' -f 14 "/proc/$child/stat" 2>/dev/null)
        ((${used:-0} >= 15)) && return
        sleep 0.01
    done
    fail "no reference that evaluates"
}

# ended STATUS WHAT
ended() {
    local begin=$SECONDS
    wait $pid
    equal "$2: exit" $? "$1"
    ((SECONDS - begin <= 5)) || fail "$2: took $((SECONDS - begin)) s"
    no_orphan "$adapter" "$2"
}

start --format json
equal "the reference is where orphans are looked for" "$(processes "$adapter")" "$child"
kill -9 "$child"
ended 3 "killed"
equal "killed: verdict" "$(json "$T/o" verdict)" INCONCLUSIVE
equal "killed: exit code in the report" "$(json "$T/o" exit_code)" 3
(($(json "$T/o" coverage.positions_compared) < $(json "$T/o" coverage.positions_planned))) ||
    fail "killed: everything was compared all the same"
says "signal 9"
start
kill -9 "$child"
ended 3 "killed, in words"
equal "killed: messages" "$(grep -c '^lockstep: error: ' "$T/e")" 1
says INCONCLUSIVE
start
kill -INT $pid
ended 130 "interrupted"
(($(wc -l <"$T/e") <= 3)) || fail "interrupted: many words"
start
kill -TERM $pid
ended 143 "terminated"
start
kill -KILL $pid # not even a word of farewell
ended 137 "killed verifier"

# positions NAME COMMAND...: what was measured at each position
positions() {
    expect 0 "$1" "${@:2}" "$LS" crossval per-token -m "$MODEL" -p "$text" --max-tokens 5 --threads 1 --batch 16 \
        --against llama -q --format json
    json "$T/o" positions >"$T/$1"
    (($(wc -c <"$T/$1") > 1000)) || fail "$1: no positions"
}
cpu=$(taskset -cp $$ | sed 's/.*: *\([0-9]*\).*/\1/')
positions both env
positions in_turn taskset -c "$cpu"
cmp "$T/both" "$T/in_turn" || fail "engines at once and in turn: not the same numbers"
n_checked=$((n_checked + 1))
finish
