#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# failures.sh - everything that is no comparison: other tokens, other templates, a reference that is missing,
# killed, hanging, crashing or short of words. Right exit code in text and JSON, one clear message, and no
# process left behind. References here are Lockstep's own engine behind a faulty adapter, so that this runs
# where nothing is installed; spoiled_reference.sh does it with the real one.
. "$(dirname "$0")/lib.sh"
model stories260K.gguf
story=$MODEL
mkdir "$T/engine" "$T/home"
cp "$TOOLS/mirror_adapter" "$T/engine/lockstep-ref-llama"
printf 'protocol 5\nengine llama\nversion mirror\n' >"$T/engine/engine.manifest"
export BITNET_CROSSVAL_LIBDIR=$T/engine
run() { "$LS" crossval per-token -m "$story" -p "Once upon a time" --against llama --threads 1 "$@"; }

# both WANT NAME ARGUMENT...: text and JSON give the same exit code; the JSON report is left in $T/o
both() {
    local want=$1 name=$2
    shift 2
    expect "$want" "$name as text" run "$@"
    expect "$want" "$name as JSON" run --format json "$@"
    [[ $want == 64 || $want == 4 || $want == 5 ]] && return
    equal "$name: exit code in the report" "$(json "$T/o" exit_code)" "$want"
}

both 0 "no fault"
equal "verdict" "$(json "$T/o" verdict)" MATCH

"$TOOLS/make_model" edit "$MODEL" "$T/other.gguf" general.architecture=str:mamba
expect 5 "another architecture" "$LS" run -m "$T/other.gguf" -p hi -n 1 --engine native
says "architecture 'mamba'"

# ---- tokens ----
both 2 "no BOS" --bos no
equal "no BOS: verdict" "$(json "$T/o" verdict)" TOKENS_DIFFER
equal "no BOS: nothing evaluated" "$(json "$T/o" coverage.positions_compared)" 0
equal "no BOS: first difference" "$(json "$T/o" tokens.first_difference.index 2>/dev/null ||
    json "$T/o" tokens.first_difference)" 0
expect 2 "no BOS" run --bos no
says 403 # the subject's first token
both 0 "BOS asked for" --bos yes
both 4 "unknown template" --prompt-template no-such-template
both 4 "template without its tokens" --prompt-template chatml
both 0 "template of words" --prompt-template instruct

# ---- references that fail ----
while read -r fault want reason; do
    export LS_FAKE_FAULT=$fault
    both "$want" "$fault" --timeout 1
    [[ $want == 3 ]] && equal "$fault: verdict" "$(json "$T/o" verdict)" INCONCLUSIVE
    [[ -z $reason ]] || says "$reason"
done <<'FAULTS'
start-exit 3 libgomp
start-silent 3
start-hang 3
eval-crash 3
eval-abort 3 GGML_ASSERT
eval-exit 3
eval-hang 3
eval-noise 3
eval-chatty 0
rows-short 3
rows-hang 3
header-cut 3
length-huge 3
ids-range 3
vocab-huge 3
nan@3 1
inf@0 1
rotate@6 1
FAULTS
for at in 0 4 8; do
    export LS_FAKE_FAULT=scale@$at
    both 1 "$LS_FAKE_FAULT"
    equal "scale@$at: first divergence" "$(json "$T/o" summary.first_divergence)" $at
done
unset LS_FAKE_FAULT
no_orphan "$T/engine" "faulty references"

# ---- killed while evaluating ----
"$TOOLS/make_model" tiny "$T/slow.gguf" dtype=8 d=512 ff=2048 layers=8 vocab=4096 ctx=5000
slow=("$LS" crossval per-token -m "$T/slow.gguf" -p "$STORY $STORY $STORY $STORY $STORY" --against llama
    --threads 1 --max-tokens 2000) # half a minute of work, which nobody waits for
"${slow[@]}" --format json >"$T/o" 2>"$T/e" &
pid=$!
child=
for _ in $(seq 100); do
    child=$(child_of "$pid") && break
    sleep 0.02
done
sleep 0.5
n_checked=$((n_checked + 1))
[[ $(processes "$T/engine/lockstep-ref") == "$child" ]] || fail "the reference is not where orphans are looked for"
kill -9 "$child" 2>/dev/null || fail "no reference to kill"
wait "$pid"
equal "killed reference: exit" $? 3
equal "killed reference: verdict" "$(json "$T/o" verdict)" INCONCLUSIVE

# ---- interrupted: the reference goes too ----
expect 130 "interrupted" timeout --preserve-status -s INT 0.5 "${slow[@]}"
no_orphan "$T/engine" "interrupted run"

# ---- killed verifier: the reference notices ----
"${slow[@]}" >"$T/o" 2>"$T/e" &
pid=$!
sleep 0.5
kill -KILL "$pid" 2>/dev/null
wait "$pid" 2>/dev/null
no_orphan "$T/engine" "killed verifier"

# ---- nothing installed ----
unset BITNET_CROSSVAL_LIBDIR
absent() { env -u LLAMA_CPP_DIR -u BITNET_CPP_DIR -u LOCKSTEP_CACHE_DIR HOME="$T/home" XDG_CACHE_HOME="$T/home/c" "$@"; }
for engine in llama bitnet; do
    for format in text json; do
        expect 3 "$engine is missing, $format" absent "$LS" crossval per-token -m "$story" -p hi \
            --against $engine --format $format
        says "engine setup $engine"
    done
done
expect 0 "run without any reference" absent "$LS" run -m "$story" -p "Once upon a time" -n 8 --temp 0
says "Once upon a time"
finish
