#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# prepack.sh bits|memory - a model packed at load and mapped from its prepacked file: the same bits for every
# thread count, batch and instruction set, and memory that holds the weights once.
. "$(dirname "$0")/lib.sh"
ids="1, 15, 30, 7, 29, 4, 100, 12"

check_bits() {
    hashes() { # of every run; all of them must be one
        expect 0 "$1: determinism" "$LS" crossval determinism -m "$T/m.gguf" --ids "$ids" --threads-max 2 --json -q
        json "$T/o" runs.0.sha256
    }
    "$LS" model mini --arch llama --shape small --type q4_0 --seed 3 -o "$T/m.gguf" || fail "no model"
    packed=$(hashes packed)
    expect 0 "prepack" "$LS" model prepack -m "$T/m.gguf" --json
    equal "bytes" "$(json "$T/o" bytes)" "$(($(stat -c %s "$T/m.gguf.strips") - $(od -An -tu8 -j16 -N8 "$T/m.gguf.strips")))"
    equal "the logits" "$(hashes prepacked)" "$packed"
    equal "a hash" "${#packed}" 64
    expect 0 "verify" "$LS" model verify -m "$T/m.gguf"

    # A bit in the middle of the weights: verify finds it. Cut short: it is passed over.
    size=$(stat -c %s "$T/m.gguf.strips")
    printf '\125\252\125\252' | dd of="$T/m.gguf.strips" bs=1 seek=$((size / 2)) conv=notrunc status=none
    expect 5 "verify after a change" "$LS" model verify -m "$T/m.gguf"
    says "is damaged"
    truncate -s $((size / 2)) "$T/m.gguf.strips"
    expect 0 "run with half a file" "$LS" run -m "$T/m.gguf" --ids "$ids" -n 1
    says "is not complete; packing the weights instead"
}

check_memory() {
    [[ -r /proc/self/status ]] || skip "there is no /proc to read peak memory from"
    "$LS" model mini --shape llama-100m --type q4_0 --seed 1 -o "$T/b.gguf" || fail "no model"
    weights=$(($(stat -c %s "$T/b.gguf") / 1024))
    # K and V of 512 positions in 12 layers of 768; and the program, its libraries, activations and tokens
    most=$((weights * 115 / 100 + 512 * 12 * 2 * 768 * 2 / 1024 + 9 * 1024))
    run() { peak_of "$LS" run -m "$T/b.gguf" --ids "$ids" -n 48 --ctx 512 --batch 8 --threads 2; }
    bounded() {
        n_checked=$((n_checked + 1))
        echo "$1: $PEAK KiB, weights $weights, at most $most"
        ((STATUS == 0 && PEAK > weights * 9 / 10 && PEAK < most)) || fail "$1: $PEAK KiB, exit $STATUS"
    }
    run && bounded "packed in part" # after 80 uses of the weights all would be
    few=$ids ids=$(seq -s, 3 150 31000) # all over the embedding matrix
    run && bounded "packed, tokens from everywhere"
    ids=$few
    expect 0 "prepack" "$LS" model prepack -m "$T/b.gguf"
    run && bounded prepacked
    rm "$T/b.gguf.strips"
    # A prompt of 512 tokens: activations of some of them, and nothing of positions that nobody came to.
    most=$((weights + 577 * 12 + 26 * 1024)) # K and V of 577 positions in 12 layers of 256, two threads
    ids=$(seq -s, 3 60 30720)
    run() { peak_of "$LS" run -m "$T/b.gguf" --ids "$ids" -n 32 --ctx "$1" --threads 2; }
    run 577 && bounded "a long prompt"
    ids=$few
    run 8192 && bounded "a long context"
    # The measure can fail: weights of twice the bytes.
    rm "$T/b.gguf"
    "$LS" model mini --shape llama-100m --type q8_0 --seed 1 -o "$T/b.gguf" || fail "no larger model"
    run 577
    n_checked=$((n_checked + 1))
    ((PEAK > most)) || fail "weights twice in memory measure $PEAK KiB"
}

"check_$1"
finish
