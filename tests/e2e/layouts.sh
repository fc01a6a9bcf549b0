#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# layouts.sh - a ternary model in TL1 and TL2 has I2_S's logits to the bit; what its file does not say is asked for,
# and can be said with `model convert`.
. "$(dirname "$0")/lib.sh"
model fables-bitnet-5m-F16.gguf
f16=$MODEL
logits() { "$LS" crossval per-token -m "$1" -p "$STORY" --backend native -q --max-tokens 0 --dump-logits "$2"; }
expect 0 "f16: logits" logits "$f16" "$T/f16"
for type in I2_S TL1 TL2; do
    expect 0 "$type" "$LS" model quantize -m "$f16" -o "$T/$type.gguf" --type $type --json
    equal "$type: the worst error" "$(json "$T/o" tensors.0.relative_rmse | sed 's/\.0*$//')" 0
    expect 0 "$type: logits" logits "$T/$type.gguf" "$T/$type"
    expect 0 "$type: cosine" "$TOOLS/cosine" "$T/$type.subject.f32" "$T/f16.subject.f32" 4096
    awk "BEGIN { exit !($(cat "$T/o") >= 0.995) }" || fail "$type: cosine to F16 $(cat "$T/o")"
    expect 0 "$type: I2_S's logits" cmp "$T/$type.subject.f32" "$T/I2_S.subject.f32"
    expect 0 "$type: inspect" "$LS" model inspect -m "$T/$type.gguf"
    says "Ternary layouts:"
    # bitnet.cpp's numbers, which llama.cpp has given to MXFP4_MOE, NVFP4 and Q1_0
    case $type in TL1) number=38 ;; TL2) number=39 ;; *) number=40 ;; esac
    says "Quantisation:  $type, "
    says "(general.file_type $number)"
    expect 0 "$type: inspect --json" "$LS" model inspect -m "$T/$type.gguf" --json
    equal "$type: file_type_name" "$(json "$T/o" flavour.file_type_name)" $type
    equal "$type: agrees" "$(json "$T/o" flavour.agrees)" true
done
"$TOOLS/make_model" tiny "$T/q8_0.gguf" dtype=8
"$TOOLS/make_model" edit "$T/q8_0.gguf" "$T/edited.gguf" general.file_type=u32:38
expect 0 "not what it says" "$LS" model inspect -m "$T/edited.gguf"
says "(but general.file_type 38 says MXFP4_MOE)"
expect 0 "back" "$LS" model quantize -m "$T/TL2.gguf" -o "$T/back.gguf" --type I2_S
expect 0 "back: logits" logits "$T/back.gguf" "$T/back"
expect 0 "back: I2_S's logits" cmp "$T/back.subject.f32" "$T/I2_S.subject.f32"

# Models that are made up hold the same weights in either layout.
for type in tl1 tl2; do
    expect 0 "mini $type" "$LS" model mini --arch bitnet --type $type --seed 3 -o "$T/mini.gguf" --force
    expect 0 "mini $type: logits" logits "$T/mini.gguf" "$T/mini-$type"
    expect 0 "mini $type: I2_S" "$LS" model quantize -m "$T/mini.gguf" -o "$T/mini-i2s.gguf" --type I2_S --force
    expect 0 "mini $type: I2_S's logits" logits "$T/mini-i2s.gguf" "$T/mini-i2s"
    expect 0 "mini $type: the same" cmp "$T/mini-$type.subject.f32" "$T/mini-i2s.subject.f32"
done
expect 0 "mini: both the same" cmp "$T/mini-tl1.subject.f32" "$T/mini-tl2.subject.f32"
expect 0 "mini: another seed" "$LS" model mini --arch bitnet --type tl1 --seed 4 -o "$T/mini.gguf" --force
expect 0 "mini: its logits" logits "$T/mini.gguf" "$T/other"
expect 1 "mini: others" cmp -s "$T/other.subject.f32" "$T/mini-tl1.subject.f32"

# As bitnet.cpp writes it: nothing names the tiles.
sed 's/lockstep\.tl\.kernels/lockstep.tl.KERNELS/' "$T/TL1.gguf" >"$T/bare.gguf"
expect 5 "tiles unknown" logits "$T/bare.gguf" "$T/bare"
says "nothing says how tensor 'blk.0.attn_q.weight' is cut into tiles"
for shape in "256 256 256" "128 256 128" "768 256 256" "256 768 256"; do
    set -- $shape
    printf '[Kernels_%s_%s]\nm = %s\nk = %s\nbm = %s\nbk = 128\nbmm = 32\n\n' "$1" "$2" "$1" "$2" "$3"
done >"$T/kernel_config.ini"
expect 0 "tiles named" "$LS" model convert -m "$T/bare.gguf" -o "$T/named.gguf" --kernels "$T/kernel_config.ini"
expect 0 "tiles named: logits" logits "$T/named.gguf" "$T/named"
expect 0 "tiles named: I2_S's logits" cmp "$T/named.subject.f32" "$T/I2_S.subject.f32"
echo "bm = many" >>"$T/kernel_config.ini"
expect 5 "a bad kernel_config.ini" "$LS" model convert -m "$T/bare.gguf" -o "$T/no.gguf" --kernels "$T/kernel_config.ini"
says "kernel_config.ini: line 29"

# Read as what it is not, an I2_S matrix has other weights.
expect 0 "as Arm" "$LS" model convert -m "$T/I2_S.gguf" -o "$T/arm.gguf" --i2s-packing arm
expect 0 "as Arm: logits" logits "$T/arm.gguf" "$T/arm"
expect 1 "as Arm: others" cmp -s "$T/arm.subject.f32" "$T/I2_S.subject.f32"
model fables-llama-5m-F16.gguf
expect 5 "not ternary" "$LS" model quantize -m "$MODEL" -o "$T/no.gguf" --type TL2
says "tensor 'blk.0."
finish
