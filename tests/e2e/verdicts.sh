#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# verdicts.sh - what must not change a verdict, against the real llama.cpp: a constant added to every row of logits,
# noise in the last bit of every value, and which of two traces is named first. Each beside something a
# little larger that does.
. "$(dirname "$0")/lib.sh"
need_reference
need_order_of_sums
prompt="Once upon a time there was a King"
run() { "$LS" crossval per-token -m "$MODEL" -p "$prompt" --against llama -n 2 --threads 1 -q --locate --format json "$@"; }

for name in stories260K fables-llama-5m-Q8_0 fables-bitnet-5m-TQ2_0; do
    model $name.gguf
    for c in 7.25 1000; do
        expect 0 "$name: $c added to every row" run --fault "logits=add:$c"
        equal "$name: $c: located" "$(json "$T/o" located)" null
    done
    expect 1 "$name: 1 added to half of every row" run --fault "logits#0-255=add:1"
    equal "$name: half a row" "$(json "$T/o" located.op located.origin | xargs)" "logits born"
    expect 0 "$name: logits moved by one float" run --fault "logits=ulp"
    equal "$name: positions that are equal to the last bit then" "$(json "$T/o" summary.bit_equal_positions)" 0
    # Noise in everything else as well. Rounding to int8 turns a last bit into a whole step now and then: of
    # Q8_0 that leaves an NMSE of 2e-4, with no operation that would be at fault.
    budget=1e-4
    [[ $name == *Q8_0 ]] && budget=4e-4
    expect 0 "$name: every value moved by one float" run --fault "*=ulp" --nmse-tol $budget
    n_checked=$((n_checked + 1))
    [[ $(json "$T/o" located) == null || $(json "$T/o" located.origin) == carried ]] ||
        fail "$name: noise is said to be born: $(json "$T/o" located)"
    expect 1 "$name: every value moved by 100000 floats" run --fault "*=ulp:100000"
    equal "$name: 100000 floats: born" "$(json "$T/o" located.op located.origin | xargs)" "embeddings born"
done

# Two traces, either way round.
model stories260K.gguf
record() { "$LS" trace record -m "$MODEL" -p "$prompt" --threads 1 -q --no-check "$@"; }
expect 0 "llama.cpp" record --engine llama -o "$T/llama"
for row in 0: 0:logits=ulp "1:2.ffn_act@3=scale:1.5" "1:4.layer_out@5#7=nan" "1:embeddings=ulp:1000000"; do
    fault=${row#*:} fields="verdict coverage.taps_compared"
    [[ $row == 1:* ]] && fields+=" first_over.name first_over.layer"
    expect 0 "$fault: native" record -o "$T/native" --force ${fault:+--fault "$fault"}
    expect "${row%%:*}" "$fault" "$LS" trace diff "$T/native" "$T/llama" --json
    # shellcheck disable=SC2086
    there="$(json "$T/o" $fields | xargs)"
    expect "${row%%:*}" "$fault, mirrored" "$LS" trace diff "$T/llama" "$T/native" --json
    # shellcheck disable=SC2086
    equal "$fault, mirrored" "$(json "$T/o" $fields | xargs)" "$there"
done
finish
