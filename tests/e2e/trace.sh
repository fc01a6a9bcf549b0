#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# trace.sh - traces of both engines: every architecture's operations in llama.cpp's graph, recorded and
# compared; and no comparison of traces passes that should not.
. "$(dirname "$0")/lib.sh"
need_reference
record() { "$LS" trace record -p "Once upon a time there" --threads 1 -q "$@"; }

# Taps that llama.cpp's graph does not show under any name, though we have them.
declare -A hidden=([command-r]="residual" [falcon]="residual" [phi3]="residual")
expect 0 "models" "$LS" model mini --all --type f32 -o "$T" -q
for file in "$T"/*.gguf; do
    arch=$(basename "$file" -f32.gguf)
    [[ $arch == bitnet-b1.58 ]] && continue # llama.cpp does not know it
    rm -rf "$T/a" "$T/b"
    expect 0 "$arch: native" record -m "$file" -n 2 -o "$T/a" --json
    equal "$arch: native is not perturbed" "$(json "$T/o" perturbed)" false
    json "$T/o" declined | tr -c 'a-z_' '\n' | sort -u >"$T/not_here"
    expect 0 "$arch: llama.cpp" record -m "$file" -n 2 -o "$T/b" --engine llama --json
    equal "$arch: llama.cpp is not perturbed" "$(json "$T/o" perturbed)" false
    json "$T/o" declined | tr -c 'a-z_' '\n' | sort -u >"$T/not_there"
    equal "$arch: taps that llama.cpp does not show" "$(comm -13 "$T/not_here" "$T/not_there" | xargs)" \
        "${hidden[$arch]:-}"
    expect 0 "$arch: compared" "$LS" trace diff "$T/a" "$T/b" --json
    equal "$arch: coverage" "$(json "$T/o" coverage.taps_compared)" "$(json "$T/o" coverage.taps_planned)"
    expect 0 "$arch: mirrored" "$LS" trace diff "$T/b" "$T/a"
done

# ---- what must not pass ----
model stories260K.gguf
rm -rf "$T/a" "$T/b"
expect 0 "native" record -m "$MODEL" -o "$T/a" --values full --per-file
expect 0 "llama.cpp" record -m "$MODEL" -o "$T/b" --values full --engine llama
expect 0 "values" "$LS" trace diff "$T/a" "$T/b" --nmse-tol 1e-7
expect 0 "one file per tap" test "$(find "$T/a" -name '*.trace' | wc -l)" = "$(wc -l <"$T/a/trace.jsonl")"
expect 0 "another prompt" "$LS" trace record -m "$MODEL" -p "Once upon another" -o "$T/prompt" -q --no-check
expect 2 "traces of two prompts" "$LS" trace diff "$T/a" "$T/prompt"
expect 0 "another model" record -m "$T/llama-f32.gguf" -o "$T/model" --no-check
expect 2 "traces of two models" "$LS" trace diff "$T/a" "$T/model"
expect 0 "a fault" record -m "$MODEL" --fault 2.ffn_act@3=scale:1.5 -o "$T/fault" --no-check
expect 1 "a trace with a fault" "$LS" trace diff "$T/fault" "$T/a" --json
equal "the fault" "$(json "$T/o" first_over.name)" t0/blk2/ffn_act
expect 0 "all taps shown" "$LS" trace show "$T/a" --json
equal "a row per tap" "$(grep -c '"stage"' "$T/o")" "$(wc -l <"$T/a/trace.jsonl")"
expect 0 "one tap shown" "$LS" trace show "$T/a" t0/blk2/ffn_act --rows 1 --columns 1
equal "its hash" "$(sed -n 's/^BLAKE3 //p' "$T/o")" \
    "$(sed -n 's/.*"t0\/blk2\/ffn_act".*"blake3": *"\([0-9a-f]*\)".*/\1/p' "$T/a/trace.jsonl")"
first_value() { "$LS" trace show "$1" t0/blk2/ffn_act --rows 1 --columns 1 | awk '/^position 0:/ { printf "%.4f", $3 }'; }
equal "its first value, in both" "$(first_value "$T/a")" "$(first_value "$T/b")"
expect 64 "a tap that is not there" "$LS" trace show "$T/a" t0/blk99/ffn_act
mkdir "$T/empty"
expect 3 "an empty folder" "$LS" trace diff "$T/a" "$T/empty"
expect 3 "two empty folders" "$LS" trace diff "$T/empty" "$T/empty"
expect 5 "no folder" "$LS" trace diff "$T/a" "$T/none"

# spoil NAME EXIT COMMAND...: B with something done to it, COMMAND, within its folder
spoil() {
    local name=$1 want=$2
    shift 2
    rm -rf "$T/c"
    cp -r "$T/b" "$T/c"
    (cd "$T/c" && "$@")
    expect "$want" "$name" "$LS" trace diff "$T/a" "$T/c"
}
count() { n=$(wc -l <trace.jsonl) && sed -i "s/\"n_records\": [0-9]*/\"n_records\": $n/" manifest.json; }
missing() { sed -i 7d trace.jsonl && count; }
doubled() { sed -i 7p trace.jsonl && count; }
flipped() { printf '\377' | dd of=values.safetensors bs=1 seek=$(($(stat -c %s values.safetensors) - 5)) conv=notrunc status=none; }
spoil "a line removed" 5 sed -i 7d trace.jsonl
spoil "a tap missing" 3 missing
spoil "a tap twice" 5 doubled
spoil "cut off" 5 truncate -s -20 trace.jsonl
spoil "no records" 3 truncate -s 0 trace.jsonl
spoil "no manifest" 3 rm manifest.json
spoil "no values" 5 rm values.safetensors
spoil "another shape" 3 sed -i '3s/"shape":\[\([0-9]*\),\([0-9]*\)\]/"shape":[\2,\1]/' trace.jsonl
spoil "a hash that is not that of the values" 3 sed -i '9s/"blake3":"..../"blake3":"0000/' trace.jsonl
spoil "statistics that cannot be" 5 sed -i '9s/"rms":[0-9.]*/"rms":1e9/' trace.jsonl
spoil "another sum" 3 sed -i '9s/"sum":-*[0-9.]*/"sum":0.001/' trace.jsonl
spoil "a tap that nobody knows" 5 sed -i '9s/"stage":"[a-z_]*"/"stage":"q_projection"/' trace.jsonl
spoil "a value changed" 3 flipped
spoil "nothing" 0 true

# Statistics that are not those of the values; unlike "statistics that cannot be" they are possible.
spoil "another RMS" 3 sed -i '9s/"rms":[0-9.]*/"rms":0.2/' trace.jsonl
spoil "another maximum" 3 sed -i '9s/"max_abs":\([0-9]\)/"max_abs":1\1/' trace.jsonl
spoil "another projection" 3 sed -i '9s/"projections":\[-*[0-9]/"projections":[9/' trace.jsonl
spoil "a value that is said not to be finite" 3 sed -i '9s/"not_finite":0/"not_finite":1/' trace.jsonl

# ---- one file per tap, without a manifest ----
# foreign FOLDER OUT: a trace as BitNet-rs leaves it: pretty, with hash and RMS alone
foreign() {
    mkdir -p "$2"
    sed -n 's/^{"name":"\([^"]*\)","shape":\(\[[^]]*\]\),.*"blake3":"\([0-9a-f]*\)","rms":\([^,]*\),"num_elements":\([0-9]*\),"seq":\([0-9]*\),"layer":\([-0-9]*\),"stage":"\([a-z_]*\)".*/\1 \2 \3 \4 \5 \6 \7 \8/p' \
        "$1/trace.jsonl" | while read -r name shape hash rms n seq layer stage; do
        printf '{\n  "name": "%s",\n  "shape": %s,\n  "dtype": "F32",\n  "blake3": "%s",\n  "rms": %s,\n  "num_elements": %s,\n  "seq": %s,\n  "layer": %s,\n  "stage": "%s"\n}\n' \
            "$name" "$shape" "$hash" "$rms" "$n" "$seq" "$layer" "$stage" >"$2/${name//\//_}.trace"
    done
}
foreign "$T/a" "$T/fa"
foreign "$T/b" "$T/fb"
equal "all of them" "$(find "$T/fa" -name '*.trace' | wc -l)" "$(wc -l <"$T/a/trace.jsonl")"
mkdir "$T/own"
cp "$T"/a/*.trace "$T/own"
expect 0 "shown" "$LS" trace show "$T/fa"
says "engine, model and tokens are not known"
equal "in the graph's order" "$(awk 'NR > 2 { print $1 }' "$T/o" | xargs)" \
    "$("$LS" trace show "$T/a" | awk 'NR > 2 { print $1 }' | xargs)"
expect 0 "our own files alone" "$LS" trace diff "$T/own" "$T/a"
says "not checked: that both are of one model and the same tokens: A has no manifest"
expect 0 "equal hashes" "$LS" trace diff "$T/fa" "$T/a"
# bits that are not equal, and no projections: nobody can say whether they are inside a budget
expect 0 "follows the order of sums or not" test "$(cat "$T"/[ab]/trace.jsonl | sed 's/.*"blake3":"\([0-9a-f]*\)".*/\1/' | sort | uniq -u | wc -l)" -gt 0
expect 3 "other bits" "$LS" trace diff "$T/fa" "$T/fb"
says "nothing that says how much"
# bare NAME EXIT COMMAND...: two equal folders of files; COMMAND in both of them
bare() {
    local name=$1 want=$2 side
    shift 2
    rm -rf "$T/c" "$T/d"
    cp -r "$T/fa" "$T/c"
    cp -r "$T/fa" "$T/d"
    for side in ${only:-c d}; do (cd "$T/$side" && "$@"); done
    expect "$want" "$name" "$LS" trace diff "$T/c" "$T/d"
}
bare "equal files" 0 true
says "not checked: that both are of one model and the same tokens, and that no tap is missing that was planned: neither has a manifest"
bare "both lack a tap" 3 rm t0_blk3_q_proj.trace
bare "both lack the logits" 3 rm t0_logits.trace
bare "both have one file" 3 find . -name '*.trace' ! -name t0_embeddings.trace -delete
bare "both are empty" 3 find . -name '*.trace' -delete
bare "a stage of somebody else" 0 sh -c 'sed "s/t0.blk0.attn_norm/t0_all_layers_out/; s/\"layer\": 0/\"layer\": -2/; s/\"attn_norm\"/\"all_layers_out\"/" t0_blk0_attn_norm.trace >t0_all_layers_out.trace'
bare "NaN on both sides" 1 sed -i 's/"rms": .*/"rms": null,/' t0_blk3_q_proj.trace
only=d
bare "one lacks a tap" 3 rm t0_blk3_q_proj.trace
bare "one has another hash" 3 sed -i 's/"blake3": "..../"blake3": "0000/' t0_blk3_q_proj.trace
bare "one has another RMS" 3 sed -i 's/"rms": .*/"rms": 0.2,/' t0_blk3_q_proj.trace
bare "one has both: surely over the budget" 1 sed -i 's/"rms": .*/"rms": 0.2,/; s/"blake3": "..../"blake3": "0000/' t0_blk3_q_proj.trace
bare "one has another type" 3 sed -i 's/F32/F16/' t0_blk3_q_proj.trace
bare "one has a stage that the other lacks" 3 sh -c 'sed "s/\"attn_norm\"/\"ffn_in\"/" t0_blk0_attn_norm.trace >t0_blk0_ffn_in.trace'
bare "one is cut off" 5 truncate -s -20 t0_blk3_q_proj.trace
bare "one is empty" 5 truncate -s 0 t0_blk3_q_proj.trace
bare "one holds a tap twice" 5 cp t0_blk3_q_proj.trace copy.trace
bare "a hash too short" 5 sed -i 's/"blake3": "..../"blake3": "/' t0_blk3_q_proj.trace
bare "another number of elements" 5 sed -i 's/"num_elements": /"num_elements": 1/' t0_blk3_q_proj.trace

# The command line.
expect 64 "there is one already" record -m "$MODEL" -o "$T/a"
expect 0 "--force" record -m "$MODEL" -o "$T/a" --force --taps 'attn_*,logits' --no-check
equal "taps chosen" "$(grep -c '"stage":"attn_\|"stage":"logits"' "$T/a/trace.jsonl")" "$(wc -l <"$T/a/trace.jsonl")"
expect 64 "no such tap" record -m "$MODEL" -o "$T/x" --taps 'attn_norm,q_projection'
finish
