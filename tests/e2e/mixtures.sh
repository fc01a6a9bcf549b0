#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# mixtures.sh most|low - files of `model quantize` against those of libllama's own quantiser, byte for
# byte: types, weights, order and metadata, for every mixture, on models whose layers, experts, heads
# and rows make the rules differ. low: mixtures of one and two bits, whose tables take libllama long, and
# a model of every architecture.
. "$(dirname "$0")/lib.sh"
need_reference
cc -std=gnu11 -O1 -w -I"$ENGINE/headers/include" -I"$ENGINE/headers/ggml/include" \
    "$SOURCE/tests/ref/llama_quantize.c" -o "$T/llama_quantize" -ldl -lm || { fail "no reference"; finish; }
free="Q1_0 Q2_0 Q4_0 Q4_1 Q5_0 Q5_1 Q8_0 TQ1_0 TQ2_0 Q2_K Q3_K Q3_K_S Q3_K_M Q3_K_L Q4_K Q4_K_S Q4_K_M
    Q5_K Q5_K_S Q5_K_M Q6_K IQ3_S IQ3_M IQ4_NL IQ4_XS MXFP4_MOE F16 BF16 F32"
low="IQ1_S IQ1_M IQ2_XXS IQ2_XS IQ2_S IQ2_M IQ3_XXS IQ3_XS"

# plan NAME MODEL TYPE [words of llama_quantize]: a file to be made by both sides
n=0
plan() {
    n=$((n + 1))
    names[n]="$1 $3 ${*:4}" ins[n]=$T/$2 types[n]=$3 words[n]=${*:4}
    echo "quantize $T/$2 $T/ref-$n $3 ${*:4}" >>"$T/lines"
}
# make MODEL WORDS...: a model and its importance
make() {
    echo "model $T/$1 ${*:2}" >>"$T/lines"
    echo "imatrix $T/$1 $T/$1.im 5" >>"$T/lines"
}
# The options of the program for the words of llama_quantize.
ours() {
    local word
    for word in "$@"; do
        case $word in
            pure) echo --pure ;;
            keep-output) echo --leave-output-tensor ;;
            requantize) echo --allow-requantize ;;
            output=*) echo "--output-tensor-type=${word#*=}" ;;
            embedding=*) echo "--token-embedding-type=${word#*=}" ;;
            tensor=*) echo "--tensor-type=${word#*=}" ;;
            imatrix=*) echo "--imatrix=${word#*=}" ;;
        esac
    done
}

#     name  arch   layers experts heads kv columns
make llama  llama    17 0 8 8 256
make gqa    llama    16 0 8 2 256
make large  llama    80 0 8 1 256 tied
make falcon falcon   32 0 8 1 256 fused
make gemma  gemma2   13 0 8 4 256 tied f16
make bitnet bitnet    9 0 8 8 256 tied
make moe    llama    16 8 8 2 256
make five   llama    12 5 8 8 256 apart
make odd    llama    10 0 8 8 288
make odder  llama     3 0 8 8 40 f16
if [[ $1 == most ]]; then
    for type in $free; do
        for m in llama moe; do
            plan $m $m "$type"
            plan $m $m "$type" "imatrix=$T/$m.im"
        done
    done
    for m in gqa falcon gemma bitnet five odd; do
        for type in Q2_K Q3_K_S Q3_K_M Q3_K_L IQ3_S IQ3_M Q4_0 Q4_K_S Q4_K_M Q5_K_M IQ4_XS Q6_K TQ2_0; do
            plan $m $m $type
        done
        for type in Q4_0 Q5_0 IQ4_NL; do plan $m $m $type "imatrix=$T/$m.im"; done
    done
    for type in Q3_K_S Q4_K_S; do plan large large $type; done
    for type in Q4_K_M Q4_0 IQ4_NL; do plan odder odder $type; done
    plan options gqa Q4_K_M pure
    plan options gqa Q4_K_M keep-output
    plan options gqa Q4_K_M output=q8_0 embedding=q5_K
    plan options gemma Q4_K_M output=q8_0
    plan options gqa Q4_K_M 'tensor=blk\.[0-3]\.attn_v=q8_0'
    plan options gqa Q3_K_M 'tensor=ffn_(up|gate)=f16' "imatrix=$T/gqa.im"
    echo "imatrix $T/gqa $T/gqa.dat 6 old" >>"$T/lines"
    plan 'older file' gqa Q4_K_S "imatrix=$T/gqa.dat"
    echo "quantize $T/gqa $T/q8 Q8_0" >>"$T/lines"
    plan again q8 Q4_K_M requantize
else
    for type in $low Q2_K_S; do
        for m in llama moe gqa gemma five odd; do plan $m $m "$type" "imatrix=$T/$m.im"; done
    done
    mkdir "$T/archs"
    expect 0 "every architecture" "$LS" model mini --all -o "$T/archs" --optional --type f16 -q
    for m in "$T"/archs/*; do
        m=archs/${m##*/}
        [[ $m == *b1.58* ]] || plan "$m" "$m" Q4_K_M # Microsoft's name, unknown to llama.cpp
    done
    ((n >= 74)) || fail "only $n files are compared"
fi

libllama() { "$T/llama_quantize" "$LIB" <"$T/lines"; }
expect 0 "libllama" libllama || finish
equal "what libllama made" "$(grep -c ok "$T/o")" "$(wc -l <"$T/lines")"
for i in $(seq $n); do
    # shellcheck disable=SC2046,SC2086
    expect 0 "${names[i]}" "$LS" model quantize -m "${ins[i]}" -o "$T/out-$i" --type "${types[i]}" -q \
        --threads $((i % 3 + 1)) $(ours ${words[i]}) || continue
    expect 0 "${names[i]}: other bytes" cmp "$T/out-$i" "$T/ref-$i"
done
echo "$n files"
# What compares can tell files apart.
expect 1 "another mixture" cmp -s "$T/out-1" "$T/ref-3"

# What libllama refuses without importance is refused; that the others are not has been seen.
[[ $1 == most ]] || finish
for type in $low Q2_K_S; do
    expect 64 "$type without importance" "$LS" model quantize -m "$T/gqa" -o "$T/x" --type "$type" -q
    says "--imatrix"
done
# Importance of another model, of some tensors only, and what an entry of zeros says of an expert.
expect 5 "importance of another model" "$LS" model quantize -m "$T/gqa" -o "$T/x" --force --type Q4_K_M \
    --imatrix "$T/odd.im"
says "another model"
expect 64 "importance of fewer layers" "$LS" model quantize -m "$T/llama" -o "$T/x" --force --type IQ2_XS \
    --imatrix "$T/gqa.im"
says "blk.16."
finish
