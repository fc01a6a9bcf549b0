# SPDX-License-Identifier: MIT
# lib.sh - sourced by the end-to-end tests. Needs in the environment: LS (the program), TOOLS (the folder
# of the test programs), SOURCE (the repository). Sets T, a scratch folder that goes away at the end.
set -u
T=$(mktemp -d) || exit 2
trap 'rm -rf "$T"' EXIT
n_failed=0 n_checked=0

# A test that lacks something says what and is counted as skipped, never as passed.
skip() { echo "SKIP: $*"; exit 77; }
# Tell one failure and go on, so that one run shows all of them.
fail() { echo "FAIL: $*"; n_failed=$((n_failed + 1)); }
# End of the test: how much was checked.
finish() {
    echo "$n_checked checks, $n_failed failed"
    ((n_failed == 0 && n_checked > 0)) || exit 1
    exit 0
}

SHARED=${LOCKSTEP_SHARED:-$SOURCE/../shared}
# Path of a model: the built-in ones, else those of the shared folder.
model() {
    local f
    for f in "$SOURCE/models/$1" "$SHARED/models/$1"; do
        [[ -r $f ]] && { MODEL=$f; return 0; }
    done
    skip "the model '$1' is neither built in nor in '$SHARED/models' (set LOCKSTEP_SHARED)"
}
# The installed llama.cpp: LIB is the folder of its libraries, ENGINE that of the whole installation.
need_reference() {
    LIB=$("$LS" engine path llama 2>"$T/e") || skip "llama.cpp is not installed: $(head -n 1 "$T/e")"
    ENGINE=$(dirname "$LIB")
}
# After need_reference: the installation again, in $T/engine, with the adapter of tests/ref/spoiled_llama.c in the
# place of the sound one. What this version of llama.cpp has is known; spelled as src/engine/ref_layout.c passes it.
spoiled_engine() {
    local adapters=$SOURCE/adapters has="-DLS_HAS_VOCAB=1 -DLS_HAS_LOAD=1 -DLS_HAS_INIT=1 -DLS_HAS_MEMORY=1
        -DLS_HAS_FLASH_TYPE=1 -DLS_HAS_VERSION=1 -DLS_HAS_BACKEND_DIR=1"
    mkdir "$T/engine"
    cp "$ENGINE/engine.manifest" "$T/engine"
    ln -s "$ENGINE/lib" "$ENGINE/headers" "$T/engine"
    # shellcheck disable=SC2086
    cc -std=gnu11 -O1 -w $has -Dref_row=true_row -Dref_open=true_open -Dref_eval=true_eval \
        -Dref_reset=true_reset -Dref_tap=spoiled_tap -I"$ENGINE/headers/include" \
        -I"$ENGINE/headers/ggml/include" -I"$adapters" -c "$adapters/ref_llama.c" -o "$T/llama.o" &&
        cc -std=gnu11 -O1 -w -I"$adapters" -o "$T/engine/lockstep-ref-llama" "$adapters/ref_main.c" \
            "$SOURCE/tests/ref/spoiled_llama.c" "$T/llama.o" -ldl -lm || { fail "no adapter"; finish; }
    export BITNET_CROSSVAL_LIBDIR=$T/engine
}
# llama.cpp's library for AVX2, whose order of sums is followed for every type of weights; those for
# AVX-512 repack some types in orders that are not. Every processor with AVX-512 runs it, too.
need_order_of_sums() {
    [[ -e $LIB/libggml-cpu-haswell.so ]] && export LOCKSTEP_LLAMA_CPU=haswell
}
json() { "$TOOLS/json_get" "$@"; }

# expect WANT NAME COMMAND...: run it, compare the exit code; output in $T/o, messages in $T/e
expect() {
    local want=$1 name=$2 got
    shift 2
    n_checked=$((n_checked + 1))
    "$@" >"$T/o" 2>"$T/e" </dev/null
    got=$?
    [[ $got == "$want" ]] && return 0
    fail "$name: exit $got, not $want: $(tail -n 1 "$T/e")"
    return 1
}
# says TEXT: the last command's messages or output hold it
says() {
    n_checked=$((n_checked + 1))
    grep -qF -- "$1" "$T/e" "$T/o" || fail "'$1' is not said: $(tail -n 2 "$T/e")"
}
# equal NAME GOT WANT
equal() {
    n_checked=$((n_checked + 1))
    [[ $2 == "$3" ]] || fail "$1: '$2', not '$3'"
}
# Process ids whose command line holds a text; the child of a process. From /proc: pgrep is not everywhere.
processes() { # the text is not an argument here, or grep would find itself
    grep -laF -f - /proc/[0-9]*/cmdline 2>/dev/null <<<"$1" | tr -cd '0-9\n'
}
child_of() { awk -v parent="$1" '$4 == parent { print $1; found = 1 } END { exit !found }' /proc/[0-9]*/stat 2>/dev/null; }
# no_orphan PATH NAME: no process of that path, which this test started as a reference, is left
no_orphan() {
    n_checked=$((n_checked + 1))
    local left
    for _ in $(seq 20); do # it has a moment to notice
        left=$(processes "$1" | tr '\n' ' ')
        [[ -z $left ]] && break
        sleep 0.1
    done
    [[ -z $left ]] || fail "$2: still running: $left"
}

# peak_of COMMAND...: PEAK becomes the command's VmHWM in KiB, STATUS its exit code
peak_of() {
    local n pid
    "$@" >"$T/o" 2>"$T/e" &
    pid=$!
    PEAK=0
    while n=$(awk '/VmHWM/ { print $2 }' "/proc/$pid/status" 2>/dev/null) && [[ -n $n ]]; do
        PEAK=$n
        sleep 0.01
    done
    wait "$pid"
    STATUS=$?
}

# At least 64 tokens in every vocabulary of ours.
STORY="Once upon a time there was a King who had three sons and a daughter, and they lived together in \
a great castle upon a hill. One morning the eldest son said to his father that he would go out into the \
wide world, and see what he could find there; for he was tired of sitting at home by the fire, and wished \
to see the sea, the forests and the cities of men."
