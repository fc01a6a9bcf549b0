#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# tokens.sh - token ids that differ from the real llama.cpp's stop everything before anything is
# evaluated: exit 2, the first differing index and both ids, in words and in JSON.
. "$(dirname "$0")/lib.sh"
need_reference
run() { "$LS" crossval per-token -m "$MODEL" --against llama --threads 1 -q "$@"; }

# differ INDEX SUBJECT REFERENCE ARGUMENT...: the ids at that index; -: there is none
differ() {
    local index=$1 subject=$2 reference=$3
    shift 3
    expect 2 "$*" run "$@" --format json --dump-logits "$T/d" || return
    cp "$T/o" "$T/report.json"
    equal "$*: verdict" "$(json "$T/report.json" verdict)" TOKENS_DIFFER
    equal "$*: exit code" "$(json "$T/report.json" exit_code)" 2
    equal "$*: index" "$(json "$T/report.json" tokens.first_difference)" "$index"
    equal "$*: compared" "$(json "$T/report.json" coverage.positions_compared)" 0
    equal "$*: positions" "$(json "$T/report.json" 'positions.#')" 0
    equal "$*: time of the subject" "$(json "$T/report.json" subject.wall_ms | sed 's/\.0*$//')" 0
    equal "$*: time of the reference" "$(json "$T/report.json" reference.wall_ms | sed 's/\.0*$//')" 0
    [[ $subject == - ]] || equal "$*: subject" "$(json "$T/report.json" "tokens.prompt.$index")" "$subject"
    [[ $reference == - ]] ||
        equal "$*: reference" "$(json "$T/report.json" "tokens.prompt_reference.$index")" "$reference"
    [[ ! -s $T/d.subject.f32 ]] || fail "$*: logits of nothing"
    expect 2 "$*" run "$@"
    says "index $index"
    [[ $subject == - ]] || says "$subject"
    [[ $reference == - ]] || says "$reference"
}

model stories260K.gguf # SentencePiece; the model asks for <s>, 1, in front
differ 0 403 1 -p "Once upon a time" --bos no
differ 0 403 1 -p "Once upon a time" --bos no --max-tokens 0
differ 0 - 1 -p "" --bos no
expect 0 "BOS as the model asks" run -p "Once upon a time" --bos yes

# A template that writes <|begin_of_text|>, 4091, itself, and one more in front of it: index 1.
model fables-llama-5m-Q8_0.gguf
differ 1 4091 4093 -p "Hello" --prompt-template llama3-chat --bos yes
differ 1 4091 4093 -p "Hello" --prompt-template auto --system-prompt "Be brief." --bos yes
expect 0 "template" run -p "Hello" --prompt-template llama3-chat
differ 0 39 4091 -p "Hello" --bos no
finish
