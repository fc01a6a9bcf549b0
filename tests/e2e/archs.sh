#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# archs.sh TYPE - every architecture, with random weights of that type, against the real llama.cpp:
# MATCH, and equal to the last bit where the order of sums is followed. Twice: without and with what an
# architecture may have or not (biases, experts, norms, parallel blocks).
. "$(dirname "$0")/lib.sh"
type=$1
need_reference
need_order_of_sums
mini() { "$LS" model mini --arch "$1" --type "$type" --seed 7 -o "$T/m.gguf" --force "${@:2}"; }
archs() { "$LS" model mini --all -o "$T" --force -q && for m in "$T"/*-f16.gguf; do basename "$m" -f16.gguf; done; }
n=0
while read -r arch; do
    for variant in "" --optional; do
        # shellcheck disable=SC2086
        expect 0 "$arch: mini" mini "$arch" $variant
        # bitnet-b1.58 is Microsoft's name; llama.cpp does not know it
        [[ $arch == bitnet-b1.58 ]] && continue
        expect 0 "$arch $variant" "$LS" crossval per-token -m "$T/m.gguf" --against llama --max-tokens 12 \
            -p "once upon a time there was a king who had three so" --threads 1 --format json -q || continue
        n=$((n + 1))
        (($(json "$T/o" coverage.positions_compared) >= 32)) || fail "$arch $variant: too few positions"
        # bitnet multiplies its embedding matrix unpacked, in an order that is not followed
        [[ $arch == bitnet && $type == q4_* ]] ||
            equal "$arch $variant: first other bit" "$(json "$T/o" summary.first_bit_difference)" null
    done
done < <(archs)
((n >= 40)) || fail "only $n models were compared"
echo "$n models of type $type"

# A window, a cap, a sink or an expert is not there for nothing: without it the model is another one.
other() {
    mini "$1" --optional
    expect 0 "$1: edit" "$TOOLS/make_model" edit "$T/m.gguf" "$T/n.gguf" "$2" || return
    for m in m n; do
        expect 0 "$1 $2" "$LS" crossval per-token -m "$T/$m.gguf" --backend native --max-tokens 0 -q \
            --dump-logits "$T/$m" -p "once upon a time there was a king"
    done
    expect 1 "$1: $2 changes nothing" cmp -s "$T/m.subject.f32" "$T/n.subject.f32"
}
other gemma2 gemma2.attention.sliding_window=u32:100
other gemma2 gemma2.attn_logit_softcapping=f32:30
other gemma3 gemma3.rope.freq_base=f32:50000
other granite granite.residual_scale=f32:0.9
other granite granite.attention.scale=f32:0.3
other command-r command-r.logit_scale=f32:0.9
other qwen3moe qwen3moe.expert_used_count=u32:3

# Threads, batches and instruction sets: once is enough.
for arch in $([[ $type == q8_0 ]] && archs); do
    mini "$arch" --optional
    expect 0 "$arch: determinism" "$LS" crossval determinism -m "$T/m.gguf" -p "once upon a time there was" -q
done
finish
