#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# memory.sh mirror|llama - comparing takes the same memory whatever the number of positions: 512
# positions of a vocabulary of 128,256 (250 MB of logits on each side) against 16 of them. Peak of the
# program's own process, read from /proc; the reference is a process of its own.
. "$(dirname "$0")/lib.sh"
[[ -r /proc/self/status ]] || skip "there is no /proc to read peak memory from"
"$TOOLS/make_model" tiny "$T/m.gguf" dtype=8 d=64 vocab=128256 ctx=600
if [[ $1 == llama ]]; then
    need_reference
else
    mkdir "$T/engine"
    cp "$TOOLS/mirror_adapter" "$T/engine/lockstep-ref-llama"
    printf 'protocol 5\nengine llama\nversion mirror\n' >"$T/engine/engine.manifest"
    export BITNET_CROSSVAL_LIBDIR=$T/engine
fi

# compare N_WORDS: a comparison of about twice as many positions
compare() {
    local text
    text=$(head -c $(($1 * 2)) < <(yes a | tr '\n' ' ')) # "a a a ...": two tokens for each word
    peak_of "$LS" crossval per-token -m "$T/m.gguf" -p "$text" --against llama --threads 1 \
        --max-tokens 4 --format json -q
    equal "exit with $1 words" $STATUS 0
    N=$(json "$T/o" coverage.positions_compared)
    echo "$N positions: $PEAK KiB"
}
compare 5
few=$PEAK
compare 254
n_checked=$((n_checked + 3))
((N >= 512)) || fail "only $N positions"
# What grows is the KV cache and activations of 500 positions more, a fraction of a MiB here.
((PEAK - few < 32 * 1024)) || fail "512 positions take $((PEAK - few)) KiB more than 16"
((PEAK < 250 * 1024)) || fail "$PEAK KiB altogether"

# The measure can fail: a process that holds 64 MiB is seen to.
peak_of bash -c 'x=$(head -c 67108864 /dev/zero | tr "\0" a); sleep 0.1; : "$x"'
n_checked=$((n_checked + 1))
((PEAK >= 65536)) || fail "a process of 64 MiB measures $PEAK KiB"
finish
