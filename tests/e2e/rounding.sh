#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# rounding.sh - I2_S against F16 of the same model in our own engine: close, and what is left is the int8
# rounding of activations, since the F16 weights under the same rounding are closer still.
. "$(dirname "$0")/lib.sh"
model fables-bitnet-5m-F16.gguf
f16=$MODEL
model fables-bitnet-5m-I2_S.gguf
i2s=$MODEL
logits() { "$LS" crossval per-token --backend native -m "$1" -p "$STORY" --max-tokens 0 -q --kv-type f32 \
    --dump-logits "$2" "${@:3}"; }
expect 0 "F16" logits "$f16" "$T/f16"
expect 0 "I2_S" logits "$i2s" "$T/i2s"
expect 0 "F16 with int8 rounding" logits "$f16" "$T/i8" --act-quant i8
expect 0 "cosine" "$TOOLS/cosine" "$T/i2s.subject.f32" "$T/f16.subject.f32" 4096
echo "I2_S to F16: worst cosine $(cat "$T/o")"
awk "BEGIN { exit !($(cat "$T/o") >= 0.995) }" || fail "I2_S to F16: $(cat "$T/o")"
expect 0 "cosine" "$TOOLS/cosine" "$T/i2s.subject.f32" "$T/i8.subject.f32" 4096
echo "I2_S to F16 with the same rounding: worst cosine $(cat "$T/o")"
awk "BEGIN { exit !($(cat "$T/o") >= 0.99999) }" || fail "with the same rounding: $(cat "$T/o")"
expect 0 "equal weights, equal rounding: equal bits" cmp "$T/i2s.subject.f32" "$T/i8.subject.f32"
expect 0 "I2_S, scalar" logits "$i2s" "$T/i2s_scalar" --isa scalar
expect 0 "F16 with int8 rounding, scalar" logits "$f16" "$T/i8_scalar" --act-quant i8 --isa scalar --batch 7
expect 0 "scalar bits of I2_S" cmp "$T/i2s.subject.f32" "$T/i2s_scalar.subject.f32"
expect 0 "scalar bits of F16" cmp "$T/i8.subject.f32" "$T/i8_scalar.subject.f32"
expect 1 "the rounding makes a difference" cmp -s "$T/i2s.subject.f32" "$T/f16.subject.f32"
finish
