#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# matrix.sh LOCKSTEP SOURCE_DIR MODEL KV_TYPE COSINE [CC]: one model against the real llama.cpp, 64
# prompt positions and 64 decoded ones, two prompts. The first is recomputed by recount.c, which
# is compiled here against the reference's own headers and shares no code with the program.
. "$(dirname "$0")/common.sh"
name=$3 kv=$4 cosine=$5 cc=${6:-cc}
need_python
need_reference
find_model "$name"

# The reference's own logits, through its own interface, against what the program received.
recompute() {
    local lib headers shape
    lib=$("$LS" engine path llama) headers=$(dirname "$lib")/headers
    [ -r "$headers/include/llama.h" ] || { fail "no headers beside $lib"; return; }
    "$cc" -std=c17 -O2 -Wall -Wextra -I"$headers/include" -I"$headers/ggml/include" \
        "$SRC/tests/program/recount.c" -o recount -ldl -lm 2>cc.err ||
        { fail "recount.c does not compile: $(head -n 3 cc.err)"; return; }
    shape=$(python3 -B "$SRC/tests/program/check.py" claims report.json ids claims) ||
        { fail "the report has no claims"; return; }
    # shellcheck disable=SC2086
    expect 0 ./recount "$lib" "$model" ids claims logits $shape || cat out
    tail -n 1 out
    # The recomputation itself can fail: a claim that is not so, and a logit that is another.
    sed '5s/[0-9]*$/7/; 5s/^0\.9/0.8/; 5s/^1\.0/0.8/' claims >wrong
    # shellcheck disable=SC2086
    expect 1 ./recount "$lib" "$model" ids wrong logits $shape
    python3 - <<'P'
d = bytearray(open("logits.reference.f32", "rb").read())
d[7] ^= 0x40
open("logits.reference.f32", "wb").write(d)
P
    # shellcheck disable=SC2086
    expect 1 ./recount "$lib" "$model" ids claims logits $shape
}

for which in carol stories; do
    prompt "$model" 64 $which
    expect 0 cross "$model" -f prompt.txt --max-tokens 64 --against llama --kv-type "$kv" --quiet \
        --format json --dump-logits logits && cp out report.json &&
        check "$name, $which" match report.json 128 "$cosine"
    [ $which = carol ] && [ -s report.json ] && recompute
done
expect 0 cross "$model" -f prompt.txt --max-tokens 64 --against llama --kv-type "$kv"
grep -q '128/128 positions' out || fail "the text names no coverage: $(tail -n 2 out)"
finish
