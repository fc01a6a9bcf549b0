#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# determinism.sh types K N | experts | windows | fault - threads, batches and instruction sets do not change a bit: not of
# any type of weights (every N-th of dtypes.def from the K-th on) with batches of 64 and 512 that are full, and of any type
# of cache; with experts and windows. And where a bit is changed, that is found.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/tiny_types.sh"
part=$1
IDS=$(seq -s, 1 66) # more than a batch of 64
LONG=$(for ((i = 0; i < 8; i++)); do seq -s, 1 65; done | paste -sd,) # 520: more than one of 512

# same NAME MODEL RUNS [OPTION...]: one hash in at least so many runs
same() {
    local name=$1 model=$2 runs=$3
    expect 0 "$name" "$LS" crossval determinism -m "$model" --json "${@:4}" || return
    n_checked=$((n_checked + 1))
    (($(json "$T/o" coverage.runs_compared) >= runs)) || fail "$name: $(json "$T/o" coverage.runs_compared) runs"
}

# across NAME MODEL IDS BATCH: all combinations on each instruction set but the scalar one, which is slow: there two,
# of the same hash
across() {
    local name=$1 ids=$3 isa hash
    expect 0 "$name, scalar" "$LS" crossval determinism -m "$2" --ids "$ids" --isa scalar --threads 3 --batches "$4" --json ||
        return
    hash=$(json "$T/o" sha256)
    for isa in avx2 avx512 neon; do
        "$LS" crossval determinism -m "$2" --ids 1,2 --isa $isa -q >/dev/null 2>"$T/e"
        grep -q "cannot run the instruction set" "$T/e" && continue
        same "$name, $isa" "$2" 17 --ids "$ids" --isa $isa
        equal "$name, $isa: the hash" "$(json "$T/o" sha256)" "$hash"
    done
}

# The cache is of the same type as the weights where there are such caches: all of them are seen.
check_types() {
    local i=0 number name block
    while read -r number name block; do
        ((i++ % $2 == $1)) || continue
        tiny_of "$number" "$name" "$block"
        same "$name" "$T/m.gguf" 17 --ids "$LONG" --kv-type "$(kv_of "$name")"
        "$LS" model inspect -m "$T/m.gguf" 2>&1 | grep -qi "$name" || fail "$name: the model has none"
    done < <(types)
    ((i >= 42)) || fail "dtypes.def has $i types"
}

case $part in
types) check_types "$2" "$3" ;;
experts)
    for type in f16 q8_0 q4_K iq2_xs; do
        expect 0 "$type: mini" "$LS" model mini --arch qwen3moe --type $type --seed 3 -o "$T/m.gguf" --force
        across "experts in $type" "$T/m.gguf" "$IDS" 64
    done
    ;;
windows)
    for arch in gemma2 gemma3 olmo2 phi3 gpt-oss; do
        expect 0 "$arch: mini" "$LS" model mini --arch $arch --type q4_0 --seed 3 -o "$T/m.gguf" --force --optional
        across $arch "$T/m.gguf" "$IDS" 64
    done
    ;;
fault)
    tiny 2 32
    expect 1 "a fault" "$LS" crossval determinism -m "$T/m.gguf" --ids "$IDS" --fault 'logits@65#3=ulp' --json
    equal "the verdict" "$(json "$T/o" verdict)" DIVERGED
    n=$(json "$T/o" coverage.runs_compared)
    equal "the first run" "$(json "$T/o" runs.0.first_difference)" null
    for ((i = 1; i < n; i++)); do equal "run $i" "$(json "$T/o" "runs.$i.first_difference")" 65; done
    expect 1 "a fault, in words" "$LS" crossval determinism -m "$T/m.gguf" --ids "$IDS" --threads 2,1 --batches 64,7 \
        --fault 'logits@65#3=ulp' --isa scalar
    says "DIVERGED: scalar, 1 thread, batch 64 differs from the first run, first at position 65"
    ;;
esac
finish
