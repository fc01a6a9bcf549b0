#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# determinism.sh types K N | experts | windows | fault - threads, batches and instruction sets do not change a bit: not of
# any type of weights (every N-th of dtypes.def from the K-th on) with batches of 64 and 512 that are full, and of any type
# of cache; with experts and windows. And where a bit is changed, that is found.
. "$(dirname "$0")/lib.sh"
part=$1
IDS=$(seq -s, 1 66) # more than a batch of 64
LONG=$(for ((i = 0; i < 8; i++)); do seq -s, 1 65; done | paste -sd,) # 520: more than one of 512

# tiny DTYPE BLOCK [KEY=NUMBER...]: rows of several blocks, and as little else as that allows: the scalar kernels are slow,
# those of attention above all. The vocabulary's 72 rows are no whole strips, nor are those of its last claim.
tiny() {
    local d=512 ff=32
    (($2 <= 128)) && d=384
    (($2 <= 64)) && d=192 ff=96
    (($2 <= 32)) && d=160 ff=96
    (($2 == 1)) && d=96 ff=160
    "$TOOLS/make_model" tiny "$T/m.gguf" dtype="$1" d=$d ff=$ff head=8 vocab=72 ctx=1024 "${@:3}"
}
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

# NUMBER NAME BLOCK of every type that a file can hold
types() {
    sed -n 's/^LS_DTYPE[_A-Z]*(\([A-Z0-9_]*\), *\([0-9]*\), *"\([a-zA-Z0-9_]*\)", *\([0-9]*\),.*/\2 \3 \4/p' \
        "$SOURCE/include/lockstep/dtypes.def" | grep -v ' ternary '
}

# The cache is of the same type as the weights where there are such caches: all of them are seen.
check_types() {
    local i=0 number name block kv
    while read -r number name block; do
        ((i++ % $2 == $1)) || continue
        kv=f32
        case $name in
        i2_s_arm | i2_s_1x4 | i2_s)
            tiny 36 128 bitnet=1 ff=128
            [[ $name == i2_s ]] || "$TOOLS/make_model" edit "$T/m.gguf" "$T/n.gguf" "lockstep.i2_s.packing=str:${name#i2_s_}"
            [[ $name == i2_s ]] || mv "$T/n.gguf" "$T/m.gguf" ;;
        i2_s32 | i2_s32_split | i2_s256) tiny "$number" 256 bitnet=1 ;;
        tl1 | tl2) tiny "$number" 128 bitnet=1 d=256 ff=256 ;;
        *) tiny "$number" "$block" ;;
        esac
        [[ " f16 bf16 q8_0 " != *" $name "* ]] || kv=$name
        [[ $name != q8_0 ]] || tiny 8 32 head=32 # whole blocks
        same "$name" "$T/m.gguf" 17 --ids "$LONG" --kv-type $kv
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
