#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# test_run_case.sh - the runner of the cases can fail, and every case is in the list.
here=$(cd "$(dirname "$0")" && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
printf '#!/bin/sh\necho one\necho two\necho oops >&2\nexit 3\n' >"$scratch/program"
chmod +x "$scratch/program"
failed=0

# expect STATUS WHAT FILE=TEXT...: a case of these files ends the runner with STATUS
expect() {
    local want=$1 what=$2 got
    shift 2
    rm -rf "$scratch/case"
    mkdir "$scratch/case"
    echo lockstep >"$scratch/case/cmd"
    echo 3 >"$scratch/case/status"
    for file; do printf '%b' "${file#*=}" >"$scratch/case/${file%%=*}"; done
    "$here/run-case" "$scratch/program" "$scratch/case" >"$scratch/out" 2>&1
    got=$?
    [ $got = "$want" ] && return
    echo "$what: the runner ends with $got, expected $want"
    cat "$scratch/out"
    failed=1
}
expect 0 "a case that holds" 'stdout=one\ntwo\n' 'stderr=oops\n'
expect 1 "another exit code" 'status=0\n'
expect 1 "another text" 'stdout=one\n2\n'
expect 1 "a line too few" 'stdout=one\n'
expect 1 "another text on stderr" 'stderr=ok\n'
expect 0 "patterns that hold" 'stdout.glob=o*\n*w*\n' 'stderr.glob=...\n'
expect 0 "any number of lines" 'stdout.glob=...\ntwo\n'
expect 1 "a pattern that does not hold" 'stdout.glob=o*\nx*\n'
expect 1 "a pattern for a line that is missing" 'stdout.glob=one\ntwo\nthree\n'
expect 1 "a line without a pattern" 'stdout.glob=one\n'
expect 1 "only the star is special" 'stdout.glob=on?\ntwo\n'
expect 77 "a needed file that is nowhere" 'needs=no-such-model.gguf\n'

for dir in "$here"/*/; do
    grep -qx "$(basename "$dir")" "$here/cases.txt" || { echo "$dir is not in cases.txt"; failed=1; }
done
while read -r name; do
    [ -f "$here/$name/cmd" ] || { echo "cases.txt names $name, which is not there"; failed=1; }
done <"$here/cases.txt"
[ $failed = 0 ] && echo "the runner fails when it should; $(wc -l <"$here/cases.txt") cases are listed"
exit $failed
