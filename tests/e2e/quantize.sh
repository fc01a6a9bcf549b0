#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# quantize.sh - a model quantised here is the file that llama.cpp's tool made of the same weights, and
# llama.cpp computes with it what the native engine computes.
. "$(dirname "$0")/lib.sh"
model fables-llama-5m-F16.gguf
f16=$MODEL
need_reference
need_order_of_sums
expect 0 "q8_0" "$LS" model quantize -m "$f16" -o "$T/q8_0.gguf" --type q8_0
model fables-llama-5m-Q8_0.gguf
expect 0 "q8_0: llama.cpp's file" cmp "$T/q8_0.gguf" "$MODEL"
for type in q4_0 q4_1 q5_0 q5_1 q2_K q3_K q4_K q5_K q6_K iq4_nl tq2_0; do
    expect 0 "$type" "$LS" model quantize -m "$f16" -o "$T/$type.gguf" --type $type --json
    (($(json "$T/o" bytes_out) < $(json "$T/o" bytes_in) / 2)) || fail "$type: no smaller"
    expect 0 "$type: against llama.cpp" "$LS" crossval per-token -m "$T/$type.gguf" -p "$STORY" --against llama \
        --threads 1 -q
done
# Ternary weights lose nothing; others are refused, and nothing is left behind.
model fables-bitnet-5m-F16.gguf
expect 0 "i2_s" "$LS" model quantize -m "$MODEL" -o "$T/i2_s.gguf" --type i2_s --json
equal "i2_s: the worst error" "$(json "$T/o" tensors.0.relative_rmse | sed 's/\.0*$//')" 0
model fables-bitnet-5m-I2_S.gguf
logits() { "$LS" crossval per-token -m "$1" -p "$STORY" --backend native -q --max-tokens 0 --dump-logits "$2"; }
expect 0 "i2_s: logits" logits "$T/i2_s.gguf" "$T/ours"
expect 0 "i2_s: bitnet.cpp's file" logits "$MODEL" "$T/theirs"
expect 0 "i2_s: the same logits" cmp "$T/ours.subject.f32" "$T/theirs.subject.f32"
expect 5 "not ternary" "$LS" model quantize -m "$f16" -o "$T/no.gguf" --type i2_s
says "tensor 'blk.0."
equal "files left behind" "$(find "$T" -name '*no.gguf*' | wc -l)" 0
expect 64 "a file is there" "$LS" model quantize -m "$f16" -o "$T/q8_0.gguf" --type q8_0
expect 64 "no such type" "$LS" model quantize -m "$f16" -o "$T/x.gguf" --type q7
finish
