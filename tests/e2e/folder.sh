#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# folder.sh NAME - a Hugging Face folder: the program runs it; written as GGUF, llama.cpp loads it and computes the same.
. "$(dirname "$0")/lib.sh"
name=$1
folder=$SHARED/models/$name
[[ -e $folder/config.json ]] || skip "there is no '$folder' (set LOCKSTEP_SHARED)"
need_reference

expect 0 "run" "$LS" run -m "$folder" -p "Once upon a time" --max-tokens 4 --threads 1
expect 0 "run, config.json" "$LS" run -m "$folder/config.json" -p "Once upon a time" --max-tokens 4 --threads 1
expect 0 "determinism" "$LS" crossval determinism -m "$folder" -p "Once" --threads-max 2
expect 0 "convert" "$LS" model convert -m "$folder" -o "$T/m.gguf"
expect 0 "against llama.cpp" "$LS" crossval per-token -m "$T/m.gguf" -p "$STORY" --against llama --max-tokens 8 \
    --threads 1 --format json
finish
