#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# bad_files.sh - every file of tests/golden/errors/files, each wrong in one way, given to the program: exit 5
# and one sentence that names a place. The same folder without the wrong file is taken.
. "$(dirname "$0")/lib.sh"
files=$SOURCE/tests/golden/errors/files
n_files=0

# refused NAME COMMAND...: exit 5, a message, a place; nothing else on either stream
refused() {
    local name=$1
    shift
    n_files=$((n_files + 1))
    expect 5 "$name" "$@" || return
    [[ ! -s $T/o ]] || fail "$name: printed a result"
    [[ $(grep -c '^lockstep: error: ' "$T/e") == 1 ]] || fail "$name: not one message: $(head -c 300 "$T/e")"
    grep -q '^     at: ' "$T/e" || fail "$name: no place: $(head -c 300 "$T/e")"
}

expect 0 "the sound folder" "$LS" model inspect -m "$files/sound"

# In the sound folder's stead: each wrong file under the name that it is read by.
for dir in config.json tokenizer.json tokenizer_config.json generation_config.json model.safetensors safetensors pickle; do
    for file in "$files/$dir"/*; do
        rm -rf "$T/m"
        cp -r "$files/sound" "$T/m"
        case $dir in
        safetensors) cp "$file" "$T/m/model.safetensors" ;;
        pickle) rm "$T/m/model.safetensors" && cp "$file" "$T/m/pytorch_model.bin" ;;
        *) cp "$file" "$T/m/$dir" ;;
        esac
        refused "$dir/$(basename "$file")" "$LS" model inspect -m "$T/m"
    done
done
for file in "$files"/tokenizer_json/* "$files"/tokenizer_model/*; do
    kind=$(basename "$(dirname "$file")")
    cp "$file" "$T/${kind/_/.}"
    refused "$kind/$(basename "$file")" "$LS" model tokenize -m "$T/${kind/_/.}" -p "a"
done
((n_files >= 190)) || fail "only $n_files files"
echo "$n_files files"
finish
