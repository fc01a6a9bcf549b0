#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# crossval_model.sh MODEL KV MIN_COSINE - one model against the real llama.cpp, 64 or more prompt positions
# and 64 decoded: MATCH by the program's word; the same by judge, which computes it again from the dumped
# logits; and the reference's own logits, read again through llama.h, are those that were compared.
# One thread: llama.cpp's threads wait for each other by spinning, which takes ages on a busy machine.
. "$(dirname "$0")/lib.sh"
name=$1 kv=$2 min_cosine=$3
model "$name"
need_reference

expect 0 "$name" "$LS" crossval per-token -m "$MODEL" -p "$STORY" --against llama --max-tokens 64 \
    --kv-type "$kv" --threads 1 --format json --dump-logits "$T/d" || finish
cp "$T/o" "$T/report.json"
n_prompt=$(json "$T/report.json" 'tokens.prompt.#')
equal "decoded positions" "$(json "$T/report.json" 'tokens.decoded.#')" 64
((n_prompt >= 64)) || fail "only $n_prompt prompt positions"

cc -std=gnu11 -O1 -I"$ENGINE/headers/include" -I"$ENGINE/headers/ggml/include" -o "$T/llama_logits" \
    "$SOURCE/tests/ref/llama_logits.c" -ldl || fail "llama_logits does not compile"
ids=$(json "$T/report.json" tokens.prompt tokens.decoded | tr -c '0-9\n' ' ')
# shellcheck disable=SC2086
expect 0 "llama_logits" "$T/llama_logits" "$LIB" "$MODEL" "$T/again.f32" "$kv" 1 "$n_prompt" $ids
expect 0 "judge" "$TOOLS/judge" "$T/report.json" "$T/d" --min-cosine "$min_cosine" --reference "$T/again.f32" \
    || cat "$T/o"
head -n 1 "$T/o"

# The judge must be able to say no: one wrong bit in either dump, and a report that claims too much.
spoil() { printf '\x7f' | dd of="$1" bs=1 seek=1003 conv=notrunc status=none; }
for side in subject reference; do
    cp "$T/d.$side.f32" "$T/keep"
    spoil "$T/d.$side.f32"
    expect 1 "judge on a spoiled $side" "$TOOLS/judge" "$T/report.json" "$T/d" --reference "$T/again.f32"
    cp "$T/keep" "$T/d.$side.f32"
done
sed 's/"positions_compared": [0-9]*/"positions_compared": 5/' "$T/report.json" >"$T/less.json"
expect 1 "judge on less coverage" "$TOOLS/judge" "$T/less.json" "$T/d"
finish
