#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# folder.sh NAME - a Hugging Face folder: the program runs it; written as GGUF, llama.cpp loads it and computes the same.
. "$(dirname "$0")/lib.sh"
name=$1
shared=${LOCKSTEP_SHARED:-$SOURCE/../shared}
folder=$shared/models/$name
[ -e "$folder/config.json" ] || { echo "skipped: '$folder' is not there"; exit 77; }
need_reference

expect 0 "run" "$LS" run -m "$folder" -p "Once upon a time" --max-tokens 4 --threads 1
expect 0 "run, config.json" "$LS" run -m "$folder/config.json" -p "Once upon a time" --max-tokens 4 --threads 1
expect 0 "determinism" "$LS" crossval determinism -m "$folder" -p "Once upon a time"
expect 0 "write" "$TOOLS/write_gguf" "$folder" "$T/m.gguf"
expect 0 "against llama.cpp" "$LS" crossval per-token -m "$T/m.gguf" -p "$STORY" --against llama --max-tokens 8 \
    --threads 1 --format json
finish
