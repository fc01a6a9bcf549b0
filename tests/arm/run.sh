#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# run.sh - the Arm tiers on emulated processors; skips (77) without cross compiler or emulator.
#
# usage: run.sh BUILD_DIR checkkern OPTION...   checkkern with these options
#        run.sh BUILD_DIR hashes OPTION...      what every kernel of both tiers writes against the scalar
#                                               kernels here; CHECKKERN names the program
#        run.sh BUILD_DIR machine               the loops that measure limits
#        run.sh BUILD_DIR logits TYPE...        models of these types: all logits of both tiers against
#                                               what `crossval determinism` prints here; LS names the program
#        run.sh BUILD_DIR types K N             the same of tiny models of every N-th type from the K-th on, with
#                                               batches that are full; TOOLS, SOURCE as for tiny_types.sh
set -u
here=$(cd "$(dirname "$0")" && pwd)
build=$1 what=$2
shift 2

skip() { echo "SKIP: $*"; exit 77; }
die() { echo "run.sh: $*" >&2; exit 1; }

compiler=aarch64-linux-gnu-gcc
emulator=$(command -v qemu-aarch64-static || command -v qemu-aarch64) ||
    skip "no qemu-aarch64 (tools/setup test installs it)"
command -v $compiler >/dev/null || skip "no $compiler (tools/setup test installs it)"
[[ -e $($compiler -print-file-name=libc.a) ]] ||
    skip "no C library for $compiler (tools/setup test installs it)"

# A processor for each tier: without and with the dot product.
declare -A cpu=([neon]=cortex-a53 [dotprod]=max)

build_once() { # whoever comes first; the others wait and find it done
    mkdir -p "$build"
    exec 9>"$build/lock"
    flock 9
    {
        cmake -S "$here" -B "$build" -DCMAKE_BUILD_TYPE=Release -DCMAKE_SYSTEM_NAME=Linux \
            -DCMAKE_SYSTEM_PROCESSOR=aarch64 -DCMAKE_C_COMPILER=$compiler &&
            cmake --build "$build" --parallel 2
    } >"$build/log" 2>&1 || { tail -n 30 "$build/log" >&2; die "the cross build failed"; }
    flock -u 9
}

ids=$(seq -s , 40 105)
kv=f16
there() { # tier model threads batch ids: the hash of all logits on the emulated processor
    "$emulator" -cpu "${cpu[$1]}" "$build/logits" "$2" "$1" "$3" "$4" "$5" $kv | sha256sum | cut -d ' ' -f 1
}
here() { # model: the same on this one, in plain C
    "$LS" crossval determinism -m "$1" --ids "$ids" --threads-max 1 --isa scalar --kv-type $kv "${here_options[@]}" |
        sed -n 's/.*SHA-256 \([0-9a-f]\{64\}\)$/\1/p'
}
here_options=()

compare_model() { # model name runs ("threads batch"...)
    local model=$1 name=$2 want got run tier n=0
    shift 2
    want=$(here "$model")
    [[ ${#want} == 64 ]] || die "$name: no hash from $LS"
    for tier in neon dotprod; do
        for run in "$@"; do
            # shellcheck disable=SC2086 # two words
            got=$(there $tier "$model" $run "$ids")
            [[ $got == "$want" ]] || die "$name, $tier, threads and batch $run: $got instead of $want"
            n=$((n + 1))
        done
    done
    got=$(there neon "$model" 1 64 "${ids%?}0") # one other token
    [[ $got != "$want" ]] || die "$name: other logits are not noticed"
    echo "$name: $n runs, ${want:0:8}"
}

there_hashes() { # tier option...
    local tier=$1
    shift
    "$emulator" -cpu "${cpu[$tier]}" "$build/checkkern" --hashes --tier "$tier" "$@"
}

compare_hashes() { # option...
    local tier want got wrong n
    want=$("$CHECKKERN" --hashes --tier scalar "$@") || die "no hashes from $CHECKKERN"
    n=$(wc -l <<<"$want")
    ((n > 90)) || die "$n kernels only"
    for tier in neon dotprod; do
        got=$(there_hashes $tier "$@") || die "no hashes of $tier"
        diff <(echo "$want") <(echo "$got") >&2 || die "$tier: these kernels write something else"
        echo "$tier: $n kernels write what scalar kernels write here"
    done
    wrong=$(there_hashes neon "$@" --wrong | diff <(echo "$want") - | sed -n 's/^> \([^ ]*\).*/\1/p')
    [[ $wrong == add ]] || die "one unit in the last place of 'add' is seen as '$wrong'"
}

limits() { # tier int8: the loop of this processor
    local got
    got=$("$emulator" -cpu "${cpu[$1]}" "$build/machine") || die "$1: $got"
    echo "$got"
    grep -qx "int8: $2" <<<"$got" || die "$1: another loop than $2"
    grep -qx "fp32: fmla, 128 bits" <<<"$got" || die "$1: another loop for floats"
}

build_once
case $what in
hashes)
    [[ -x ${CHECKKERN:-} ]] || die "CHECKKERN has to name the program"
    compare_hashes "$@"
    ;;
machine)
    limits neon "smull, smlal2 and sadalp, 128 bits"
    limits dotprod "sdot, 128 bits"
    ;;
checkkern)
    tier=neon
    [[ " $* " != *" dotprod "* ]] || tier=dotprod
    exec "$emulator" -cpu "${cpu[$tier]}" "$build/checkkern" "$@"
    ;;
logits)
    [[ -x ${LS:-} ]] || die "LS has to name the program"
    T=$(mktemp -d) && trap 'rm -rf "$T"' EXIT
    for type in "$@"; do
        "$LS" model mini --type "$type" --seed 5 --force -o "$T/m.gguf" >/dev/null 2>"$T/e" || die "$type: $(cat "$T/e")"
        runs=("2 7")
        [[ $type != q4_0 && $type != f16 ]] || runs=("1 1" "1 7" "1 64" "2 1" "2 7" "2 64" "4 1" "4 7" "4 64")
        compare_model "$T/m.gguf" "$type" "${runs[@]}"
    done
    ;;
types)
    [[ -x ${LS:-} && -d ${TOOLS:-} ]] || die "LS has to name the program, TOOLS the folder of the test programs"
    T=$(mktemp -d) && trap 'rm -rf "$T"' EXIT
    . "$here/../e2e/tiny_types.sh"
    ids=$(for ((i = 0; i < 8; i++)); do seq -s, 1 65; done | paste -sd,) # 520: more than one batch of 512
    here_options=(--batches 512,64)
    i=0
    while read -r number name block; do
        ((i++ % $2 == $1)) || continue
        tiny_of "$number" "$name" "$block" >/dev/null
        kv=$(kv_of "$name")
        compare_model "$T/m.gguf" "$name" "1 1" "2 7" "3 64" "4 512"
    done < <(types)
    ((i >= 42)) || die "dtypes.def has $i types"
    ;;
*) die "unknown command '$what'" ;;
esac
