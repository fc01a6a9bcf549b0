#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# reference.sh LOCKSTEP SOURCE_DIR MIRROR_ADAPTER: a reference that is missing, dies, hangs or sends
# what is wrong. The adapter is Lockstep's own engine, which is told what to spoil.
. "$(dirname "$0")/common.sh"
need_python
use_mirror "$3"
find_model stories260K.gguf
adapter=$T/mirror/lockstep-ref-llama

run() { cross "$model" -p "Once upon a time" --max-tokens 3 --against llama --sums own --quiet "$@"; }
broken() { LS_FAKE_FAULT=$1 run --timeout 2 "${@:2}"; }

# wrong FAULT POSITION: seen, at that position
wrong() {
    expect 1 broken "$1" --format json && check "$1" holds out "j['verdict'] == 'DIVERGED' and
        j['summary']['first_divergence'] == $2 and j['coverage']['positions_compared'] == 8"
    expect 1 broken "$1" && { grep -q "position $2" out || fail "$1: no position $2 in words"; }
}

# no_verdict FAULT: INCONCLUSIVE within seconds, one message, nobody left behind
no_verdict() {
    local begin=$SECONDS n
    expect 3 broken "$1" --format json && check "$1" holds out "j['verdict'] == 'INCONCLUSIVE' and
        j['exit_code'] == 3 and j['status'] in ('inconclusive', 'error') and len(j['reason']) > 10"
    expect 3 broken "$1"
    n=$(grep -c '^lockstep: ' err)
    [ "$n" = 1 ] || fail "$1: $n messages: $(head -n 3 err)"
    [ "$(wc -l <err)" -le 3 ] || fail "$1: a long message: $(head -n 4 err)"
    grep -q '^lockstep: error: ..........' err || fail "$1: no message: $(head -n 1 err)"
    [ $((SECONDS - begin)) -le 12 ] || fail "$1: took $((SECONDS - begin)) s"
    gone "$adapter"
}

expect 0 run --format json && check "the mirror" match out 8 1
for k in 0 3 5 7; do
    wrong "nan@$k" $k
    wrong "inf@$k" $k
    wrong "scale@$k" $k
    wrong "add@$k" $k
    wrong "rotate@$k" $k
done
wrong nan 0
for fault in eval-crash eval-abort eval-exit eval-hang rows-short rows-missing rows-hang header-cut \
    length-short sequence version start-exit start-silent refuse vocab-change; do
    no_verdict $fault
done
finish
