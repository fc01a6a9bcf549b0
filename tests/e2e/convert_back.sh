#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# convert_back.sh - GGUF files as Hugging Face folders: the same logits, the same file when they are written
# back, which llama.cpp reads; in one file or several; and what is refused leaves nothing behind.
. "$(dirname "$0")/lib.sh"
logits() { # MODEL PREFIX
    "$LS" crossval per-token -m "$1" -p "once upon a time there was a king" --backend native -q --dump-logits "$2" \
        --max-tokens 4
}
same_logits() { # NAME MODEL FOLDER
    expect 0 "$1: logits" logits "$2" "$T/model"
    expect 0 "$1: the folder's logits" logits "$3" "$T/folder"
    expect 0 "$1: the same logits" cmp "$T/model.subject.f32" "$T/folder.subject.f32"
}

# A model of each kind of row order, norm, pair and stack, with random weights.
for arch in llama gemma2 gpt2 gptneox falcon qwen2moe gpt-oss phi3; do
    expect 0 "$arch: mini" "$LS" model mini --arch $arch --optional --seed 11 -o "$T/m.gguf" --force
    expect 0 "$arch: folder" "$LS" model convert -m "$T/m.gguf" -o "$T/$arch/"
    same_logits $arch "$T/m.gguf" "$T/$arch"
done
expect 1 "another model has other logits" cmp -s "$T/model.subject.f32" <(:)

# Models that were trained, with vocabularies of byte pairs and of SentencePiece.
for name in stories260K fables-llama-5m-BF16 fables-bitnet-5m-F16 fables-bitnet-5m-I2_S; do
    for MODEL in "$SOURCE/models/$name.gguf" "$SHARED/models/$name.gguf"; do [[ -r $MODEL ]] && break; done
    [[ -r $MODEL ]] || { echo "not there: $name"; continue; }
    expect 0 "$name: folder" "$LS" model convert -m "$MODEL" -o "$T/$name/"
    same_logits "$name" "$MODEL" "$T/$name"
    expect 0 "$name: back" "$LS" model convert -m "$T/$name" -o "$T/$name.gguf"
    expect 0 "$name: verify" "$LS" model verify -m "$T/$name" -q
    "$LS" engine path llama >"$T/o" 2>&1 || continue
    [[ $name == *I2_S ]] || # llama.cpp does not know the type
        expect 0 "$name: llama.cpp" "$LS" crossval per-token -m "$T/$name.gguf" -p "$STORY" --against llama --threads 1 -q
done
folder=$SHARED/models/fables-llama-5m # from a folder to a file to a folder
if [[ -d $folder ]]; then
    expect 0 "the original" "$LS" model convert -m "$folder" -o "$T/original.gguf"
    expect 0 "and back" "$LS" model convert -m "$T/original.gguf" -o "$T/original/"
    same_logits "the original" "$folder" "$T/original"
    expect 0 "its tokenizer" cmp "$folder/tokenizer.json" "$T/original/tokenizer.json"
fi

# Several files.
expect 0 "shards" "$LS" model convert -m "$T/llama" --to safetensors -o "$T/shards" --max-shard-size 2MB
(($(find "$T/shards" -name 'model-*.safetensors' | wc -l) > 2)) || fail "not several files"
equal "total size" "$(json "$T/shards/model.safetensors.index.json" metadata.total_size)" \
    "$(($(stat -c %s "$T/shards"/*.safetensors | paste -sd+) - $(head -qc 8 "$T/shards"/*.safetensors |
        od -An -v -tu8 -w8 | awk '{ n += $1 + 8 } END { print n }')))"
same_logits shards "$T/llama" "$T/shards"

# Refusals.
expect 64 "there already" "$LS" model convert -m "$T/m.gguf" -o "$T/phi3/"
says "--force"
expect 0 "replaced" "$LS" model convert -m "$T/m.gguf" -o "$T/phi3/" --force
mkdir "$T/mine" && echo text >"$T/mine/notes.txt"
expect 64 "somebody's files" "$LS" model convert -m "$T/m.gguf" -o "$T/mine/" --force
says "notes.txt"
equal "somebody's files" "$(cat "$T/mine/notes.txt")" text
expect 64 "a size" "$LS" model convert -m "$T/m.gguf" -o "$T/new/" --max-shard-size 5X
expect 64 "shards of a GGUF file" "$LS" model convert -m "$T/m.gguf" -o "$T/new.gguf" --max-shard-size 5M
expect 0 "edit" "$TOOLS/make_model" edit "$T/m.gguf" "$T/odd.gguf" phi3.attention.clamp_kqv=f32:8
expect 5 "a key that no folder has" "$LS" model convert -m "$T/odd.gguf" -o "$T/new/"
says "phi3.attention.clamp_kqv"
head -c 100000 "$T/m.gguf" >"$T/cut.gguf"
expect 5 "a file that is cut" "$LS" model convert -m "$T/cut.gguf" -o "$T/new/"
equal "files left behind" "$(find "$T" -maxdepth 1 -name 'new*' -o -maxdepth 1 -name '*.tmp-*' | wc -l)" 0

# What a file calls itself, and what it is.
expect 0 "edit" "$TOOLS/make_model" edit "$T/m.gguf" "$T/odd.gguf" general.file_type=u32:15
expect 0 "a wrong file type" "$LS" model inspect -m "$T/odd.gguf" --json
equal "what it is" "$(json "$T/o" flavour.name)" F16
equal "what it says" "$(json "$T/o" flavour.file_type_name)" Q4_K_M
equal "whether they agree" "$(json "$T/o" flavour.agrees)" false
finish
