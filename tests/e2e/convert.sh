#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# convert.sh - a Hugging Face folder as GGUF: the weights of the GGUF file that llama.cpp's own tool made
# of it, to the bit, and a file that llama.cpp reads; and files that are converted twice.
. "$(dirname "$0")/lib.sh"
folder=$SHARED/models/fables-llama-5m
[[ -d $folder ]] || skip "there is no '$folder' (set LOCKSTEP_SHARED)"
need_reference
logits() { "$LS" crossval per-token -m "$1" -p "$STORY" --backend native -q --dump-logits "$2" --max-tokens 4; }

for type in bf16 f16; do
    model fables-llama-5m-${type^^}.gguf
    expect 0 "$type" "$LS" model convert -m "$folder" -o "$T/$type.gguf" --type $type
    expect 0 "$type: made here" logits "$T/$type.gguf" "$T/ours"
    expect 0 "$type: made by llama.cpp's tool" logits "$MODEL" "$T/theirs"
    expect 0 "$type: the same logits" cmp "$T/ours.subject.f32" "$T/theirs.subject.f32"
    expect 0 "$type: llama.cpp reads it" "$LS" crossval per-token -m "$T/$type.gguf" -p "$STORY" --against llama \
        --threads 1 -q
done
expect 0 "the folder itself" logits "$folder" "$T/folder"
expect 0 "convert to BF16" logits "$T/bf16.gguf" "$T/bf16"
expect 0 "the folder's logits" cmp "$T/folder.subject.f32" "$T/bf16.subject.f32"
expect 1 "types are no names" cmp -s "$T/bf16.subject.f32" "$T/ours.subject.f32"

# What stays of one type stays what it is, and a second time changes nothing.
expect 0 "keep" "$LS" model convert -m "$T/f16.gguf" -o "$T/again.gguf"
expect 0 "keep: the same file" cmp "$T/f16.gguf" "$T/again.gguf"
expect 0 "wider and back" "$LS" model convert -m "$T/f16.gguf" -o "$T/f32.gguf" --type f32
expect 0 "wider and back" "$LS" model convert -m "$T/f32.gguf" -o "$T/back.gguf" --type f16
expect 0 "wider and back: the same file" cmp "$T/f16.gguf" "$T/back.gguf"

# Nothing is lost, nothing is left behind.
expect 64 "a file is there" "$LS" model convert -m "$T/f32.gguf" -o "$T/again.gguf"
says "--force"
expect 0 "still the same file" cmp "$T/f16.gguf" "$T/again.gguf"
head -c 100000 "$T/f16.gguf" >"$T/cut.gguf"
expect 5 "a file that is cut" "$LS" model convert -m "$T/cut.gguf" -o "$T/new.gguf"
equal "files left behind" "$(find "$T" -name '*new.gguf*' | wc -l)" 0
# A reference gets the folder as a file, which goes away.
mkdir "$T/scratch"
TMPDIR=$T/scratch expect 0 "llama.cpp against a folder" "$LS" crossval per-token -m "$folder" -p "$STORY" \
    --against llama --threads 1
says "$T/scratch/lockstep-"
equal "scratch files" "$(ls "$T/scratch")" ""
TMPDIR=$T/none expect 5 "no scratch folder" "$LS" crossval per-token -m "$folder" -p hi --against llama
says "TMPDIR"
finish
