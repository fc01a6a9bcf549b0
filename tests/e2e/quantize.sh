#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# quantize.sh - a model quantised here is the file that llama.cpp's tool made of the same weights, and
# llama.cpp computes with it what the native engine computes; threads, folders, refusals.
. "$(dirname "$0")/lib.sh"
model fables-llama-5m-F16.gguf
f16=$MODEL
need_reference
need_order_of_sums
for type in Q8_0 Q4_0 Q4_K_M Q6_K; do
    expect 0 "$type" "$LS" model quantize -m "$f16" -o "$T/$type.gguf" --type $type
    model "fables-llama-5m-$type.gguf"
    expect 0 "$type: llama.cpp's file" cmp "$T/$type.gguf" "$MODEL"
done
for type in q4_1 q5_0 q5_1 q2_K q3_K q5_K iq4_nl tq2_0 nvfp4; do
    expect 0 "$type" "$LS" model quantize -m "$f16" -o "$T/$type.gguf" --type $type --json
    (($(json "$T/o" bytes_out) < $(json "$T/o" bytes_in) / 2)) || fail "$type: no smaller"
    expect 0 "$type: against llama.cpp" "$LS" crossval per-token -m "$T/$type.gguf" -p "$STORY" --against llama \
        --threads 1 -q
done
# The number of threads changes nothing; nor does it where the model comes from.
expect 0 "experts" "$LS" model mini --arch qwen3moe --type f16 -o "$T/moe.gguf"
for type in Q4_K_M IQ3_S F32; do
    for n in 1 2 4; do
        expect 0 "$type, $n threads" "$LS" model quantize -m "$T/moe.gguf" -o "$T/t$n" --type $type --threads $n --force --json
        json "$T/o" tensors.3.relative_rmse >"$T/rmse$n"
    done
    equal "$type: files of 1, 2 and 4 threads" "$(sha256sum "$T"/t[124] | cut -c 1-64 | uniq | wc -l)" 1
    expect 0 "$type: errors of 1 and 4 threads" cmp "$T/rmse1" "$T/rmse4"
done
expect 0 "folder" "$LS" model convert -m "$SHARED/models/fables-llama-5m" -o "$T/folder.gguf"
expect 0 "folder as a file" "$LS" model quantize -m "$T/folder.gguf" -o "$T/a" --type Q4_K_M
expect 0 "folder" "$LS" model quantize -m "$SHARED/models/fables-llama-5m" -o "$T/b" --type Q4_K_M
expect 0 "folder: other bytes" cmp "$T/a" "$T/b"
# What a dry run says is what is then done.
expect 0 "dry run" "$LS" model quantize -m "$f16" --type Q4_K_M --dry-run --json
size=$(json "$T/o" bytes_out)
expect 0 "Q4_K_M" "$LS" model quantize -m "$f16" -o "$T/a" --type Q4_K_M --json --force
equal "size after a dry run" "$size" "$(json "$T/o" bytes_out)"
expect 5 "quantised already" "$LS" model quantize -m "$T/Q8_0.gguf" -o "$T/no.gguf" --type Q4_K_M
says "--allow-requantize"
expect 0 "quantised again" "$LS" model quantize -m "$T/Q8_0.gguf" -o "$T/again" --type Q4_K_M --allow-requantize
expect 64 "no pattern" "$LS" model quantize -m "$f16" -o "$T/no.gguf" --type Q4_K_M --tensor-type 'a(=q8_0'
says "regular expression"
expect 5 "no file of importance" "$LS" model quantize -m "$f16" -o "$T/no.gguf" --type Q4_K_M --imatrix "$f16"
says "imatrix.datasets"
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
expect 64 "a file is there" "$LS" model quantize -m "$f16" -o "$T/Q8_0.gguf" --type q8_0
expect 64 "onto itself" "$LS" model quantize -m "$T/again" -o "$T/again" --type F16 --force
expect 64 "no such type" "$LS" model quantize -m "$f16" -o "$T/x.gguf" --type q7
finish
