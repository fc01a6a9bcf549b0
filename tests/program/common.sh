# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# common.sh - sourced by every script of this folder: bash tests of the whole program.
#
# usage of each script: SCRIPT LOCKSTEP SOURCE_DIR [what it says itself]
# Sets LS (the program), SRC (the source tree), SHARED (the folder of shared models), T (a scratch
# folder, the current one) and gives the functions below. Failures are collected: a script goes on
# after the first and ends with `finish`. Exit 77 and a line "SKIP: reason" where something is absent.
set -u
[ $# -ge 2 ] || { echo "usage: $0 LOCKSTEP SOURCE_DIR [...]" >&2; exit 64; }
LS=$(readlink -f "$1") SRC=$(readlink -f "$2")
SHARED=${LOCKSTEP_SHARED:-$SRC/../shared}
T=$(mktemp -d) || exit 70
trap 'end_children; rm -rf "$T"' EXIT
cd "$T" || exit 70
n_checks=0 n_failures=0 children=()

skip() { echo "SKIP: $*"; exit 77; }
pass() { n_checks=$((n_checks + 1)); }
fail() {
    n_checks=$((n_checks + 1)) n_failures=$((n_failures + 1))
    [ $n_failures -gt 20 ] || echo "FAIL: $*"
}

finish() {
    [ $n_checks -gt 0 ] || { echo "FAIL: nothing was checked"; exit 1; }
    echo "$n_checks checks, $n_failures failures"
    [ $n_failures = 0 ]
    exit
}

# What a script started in the background, and only that.
end_children() {
    local pid
    for pid in ${children[@]+"${children[@]}"}; do kill -9 "$pid" 2>/dev/null; done
}

need_python() { command -v python3 >/dev/null || skip "no python3"; }

# need_reference: the real llama.cpp, as the program finds it
need_reference() {
    "$LS" engine check llama >check.txt 2>&1 || skip "no llama.cpp: $(tail -n 1 check.txt)"
}

# find_model NAME: the shared or the shipped file of this name; skips where there is neither
find_model() {
    local dir
    for dir in "$SHARED/models" "$SRC/models"; do
        [ -r "$dir/$1" ] && { model=$(readlink -f "$dir/$1"); return; }
    done
    skip "no $1 (set LOCKSTEP_SHARED)"
}

# check NAME ARGUMENTS: one check of check.py, which prints what does not hold
check() {
    local out
    out=$(python3 -B "$SRC/tests/program/check.py" "${@:2}" 2>&1) && { pass; return; }
    fail "$1: $(tail -n 3 <<<"$out")"
    return 1
}

# prompt MODEL N [WHICH]: a text of exactly N tokens for this model, in the file prompt.txt
prompt() {
    python3 -B "$SRC/tests/program/check.py" prompt "$LS" "$1" "$2" "$SHARED/corpus" "${3:-carol}" \
        >prompt.txt 2>prompt.err || { fail "no prompt of $2 tokens: $(tail -n 1 prompt.err)"; finish; }
}

# expect STATUS COMMAND...: the exit status; standard output in the file out, error in err
expect() {
    local want=$1 status
    shift
    "$@" >out 2>err </dev/null
    status=$?
    [ $status = "$want" ] && { pass; return; }
    fail "exit $status instead of $want: ${*##*/}: $(tail -n 2 err)"
    return 1
}

# cross MODEL ARGUMENTS...: a comparison on one thread
cross() { "$LS" crossval per-token -m "$1" --threads 1 "${@:2}"; }

# use_mirror ADAPTER: from here on the reference is Lockstep's own engine behind this adapter, which
# takes faults from LS_FAKE_FAULT (tests/support/adapters/README.md)
use_mirror() {
    mkdir -p "$T/mirror"
    cp "$1" "$T/mirror/lockstep-ref-llama"
    printf 'protocol 1\nengine llama\nversion mirror\n' >"$T/mirror/engine.manifest"
    export BITNET_CROSSVAL_LIBDIR=$T/mirror
}

# gone PATH: no process of this program file is left (it has a moment to be collected)
gone() {
    local i
    for i in 1 2 3 4 5 6 7 8 9 10; do
        pgrep -f "$1" >/dev/null || { pass; return; }
        sleep 0.1
    done
    fail "a process is left behind: $(pgrep -fa "$1" | head -n 1)"
}
