#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# process.sh LOCKSTEP SOURCE_DIR llama|MIRROR_ADAPTER: the reference is not there, is killed while it
# evaluates, or the user interrupts: the exit code, one message, and no process left behind.
. "$(dirname "$0")/common.sh"
need_python
find_model fables-llama-5m-Q8_0.gguf

if [ "$3" = llama ]; then
    need_reference
    adapter=$(dirname "$("$LS" engine path llama)")/lockstep-ref-llama
    prompt "$model" 400
    slow=
else
    use_mirror "$3"
    adapter=$T/mirror/lockstep-ref-llama
    printf 'Once upon a time' >prompt.txt
    slow=eval-hang # without it this reference would be done before anybody could kill it
fi

# start ARGUMENTS...: a comparison in the background; $pid, and once the reference is evaluating
# $child. With the real reference "evaluating" is a process that has used 0.15 s of a core.
start() {
    local i used
    set -m # a group of its own: the shell ignores SIGINT for what it starts otherwise
    LS_FAKE_FAULT=$slow "$LS" crossval per-token -m "$model" -f prompt.txt --max-tokens 100 --threads 1 \
        --batch 16 --against llama "$@" >out 2>err </dev/null &
    pid=$!
    set +m
    children+=("$pid")
    child=
    for ((i = 0; i < 500; i++)); do
        [ "$child" ] || child=$(pgrep -P $pid | head -n 1)
        if [ "$child" ]; then
            used=$(cut -d ' ' -f 14 "/proc/$child/stat" 2>/dev/null) || return
            [ "$slow" ] && sleep 0.3 && return
            [ "${used:-0}" -ge 15 ] && return
        fi
        kill -0 $pid 2>/dev/null || return
        sleep 0.01
    done
}

# stopped STATUS WHAT: how the comparison ended
stopped() {
    local begin=$SECONDS status
    wait $pid
    status=$?
    [ $status = "$1" ] && pass || fail "$2: exit $status, not $1: $(tail -n 2 err)"
    [ $((SECONDS - begin)) -le 5 ] || fail "$2: took $((SECONDS - begin)) s"
    gone "$adapter"
}

start --format json
[ "$child" ] || fail "no reference was started"
kill -9 "$child" 2>/dev/null || fail "the reference was gone before it could be killed"
stopped 3 "killed"
check "killed" holds out "j['verdict'] == 'INCONCLUSIVE' and j['exit_code'] == 3 and
    j['coverage']['positions_compared'] < j['coverage']['positions_planned'] and
    'signal 9' in j['reason']"
start
kill -9 "$child"
stopped 3 "killed"
[ "$(grep -c '^lockstep: error: ' err)" = 1 ] || fail "killed: not one message: $(head -n 3 err)"
grep -q INCONCLUSIVE out || fail "killed: the text does not say INCONCLUSIVE"

start
kill -INT $pid
stopped 130 "interrupted"
[ "$(wc -l <err)" -le 3 ] || fail "interrupted: many words: $(head -n 4 err)"

start
kill -TERM $pid
wait $pid
gone "$adapter"

start
kill -9 $pid # not even a word of farewell
wait $pid 2>/dev/null
gone "$adapter"

# No reference anywhere.
unset BITNET_CROSSVAL_LIBDIR BITNET_CPP_DIR BITNET_CPP_PATH LLAMA_CPP_DIR
unset CROSSVAL_RPATH_LLAMA CROSSVAL_RPATH_BITNET
export HOME=$T/home XDG_CACHE_HOME=$T/home/cache LOCKSTEP_CACHE_DIR=$T/home/lockstep
mkdir -p "$HOME"
for engine in llama bitnet; do
    expect 3 cross "$model" -p Hello --against $engine --format json &&
        check "no $engine" holds out "j['verdict'] == 'INCONCLUSIVE' and j['exit_code'] == 3 and
            j['coverage']['positions_compared'] == 0"
    expect 3 cross "$model" -p Hello --against $engine
    grep -q "engine setup $engine" err out || fail "$engine: does not say how to install it: $(head -n 3 err)"
done
expect 0 cross "$model" -p Hello --against native # needs none
expect 0 "$LS" run -m "$model" -p Hello -n 4 --temp 0
finish
