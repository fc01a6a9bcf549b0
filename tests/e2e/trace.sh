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

# The command line.
expect 64 "there is one already" record -m "$MODEL" -o "$T/a"
expect 0 "--force" record -m "$MODEL" -o "$T/a" --force --taps 'attn_*,logits' --no-check
equal "taps chosen" "$(grep -c '"stage":"attn_\|"stage":"logits"' "$T/a/trace.jsonl")" "$(wc -l <"$T/a/trace.jsonl")"
expect 64 "no such tap" record -m "$MODEL" -o "$T/x" --taps 'attn_norm,q_projection'
finish
