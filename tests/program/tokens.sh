#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# tokens.sh LOCKSTEP SOURCE_DIR: token ids that differ stop everything before anything is evaluated;
# against the real llama.cpp.
. "$(dirname "$0")/common.sh"
need_python
need_reference

# differ INDEX SUBJECT REFERENCE ARGUMENTS...: both sides and the first index, in words and in JSON
differ() {
    local index=$1 subject=$2 reference=$3
    shift 3
    expect 2 cross "$model" "$@" --against llama --quiet --format json --dump-logits logits &&
        check "$*" holds out "j['verdict'] == 'TOKENS_DIFFER' and j['exit_code'] == 2 and
            j['status'] == 'tokens_differ' and j['tokens']['first_difference'] == $index and
            (j['tokens']['prompt'] + [-1])[$index] == $subject and
            (j['tokens']['prompt_reference'] + [-1])[$index] == $reference and
            j['coverage']['positions_compared'] == 0 and j['coverage']['positions_planned'] > 0 and
            j['positions'] == [] and j['per_token_cosine_sim'] == [] and
            j['subject']['wall_ms'] == 0 and j['reference']['wall_ms'] == 0 and
            'index $index' in j['reason']"
    [ -e logits.subject.f32 ] && [ -s logits.subject.f32 ] && fail "logits of nothing"
    expect 2 cross "$model" "$@" --against llama --quiet
    grep -q "index $index" out || fail "no index $index in words: $(tail -n 3 out)"
    [ "$subject" = -1 ] || grep -qw "$subject" out || fail "id $subject not named: $(tail -n 3 out)"
    [ "$reference" = -1 ] || grep -qw "$reference" out || fail "id $reference not named"
}

find_model stories260K.gguf # SentencePiece; the model asks for <s> = 1 in front
differ 0 403 1 -p "Once upon a time" --bos no
differ 0 403 1 -p "Once upon a time" --bos no --max-tokens 0
differ 0 -1 1 -p "" --bos no
expect 0 cross "$model" -p "Once upon a time" --bos yes --against llama

# A template that writes the token itself, and one more in front of it: index 1, <|begin_of_text|> =
# 4091 against <|start_header_id|> = 4093.
find_model fables-llama-5m-Q8_0.gguf
differ 1 4091 4093 -p "Hello" --prompt-template llama3-chat --bos yes
differ 1 4091 4093 -p "Hello" --prompt-template auto --system-prompt "Be brief." --bos yes
expect 0 cross "$model" -p "Hello" --prompt-template llama3-chat --against llama
differ 0 39 4091 -p "Hello" --bos no
finish
