# SPDX-License-Identifier: MIT
# tiny_types.sh - for tests to source: models of every type of weights, as small as they can be. LS and TOOLS name the
# programs, SOURCE the tree, T a folder.

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
# NUMBER NAME BLOCK of every type that a file can hold
types() {
    sed -n 's/^LS_DTYPE[_A-Z]*(\([A-Z0-9_]*\), *\([0-9]*\), *"\([a-zA-Z0-9_]*\)", *\([0-9]*\),.*/\2 \3 \4/p' \
        "$SOURCE/include/lockstep/dtypes.def" | grep -v ' ternary '
}

# tiny_of NUMBER NAME BLOCK: a model of that type, m.gguf
tiny_of() {
    case $2 in
    i2_s_arm | i2_s_1x4 | i2_s)
        tiny 36 128 bitnet=1 ff=128
        [[ $2 == i2_s ]] || "$TOOLS/make_model" edit "$T/m.gguf" "$T/n.gguf" "lockstep.i2_s.packing=str:${2#i2_s_}"
        [[ $2 == i2_s ]] || mv "$T/n.gguf" "$T/m.gguf" ;;
    i2_s32 | i2_s32_split | i2_s256) tiny "$1" 256 bitnet=1 ;;
    tl1 | tl2) tiny "$1" 128 bitnet=1 d=256 ff=256 ;;
    q8_0) tiny 8 32 head=32 ;; # whole blocks for the cache
    *) tiny "$1" "$3" ;;
    esac
}

# kv_of NAME: the cache is of the same type as the weights where there are such caches, so that all of them are seen
kv_of() {
    case $1 in
    f16 | bf16 | q8_0) echo "$1" ;;
    *) echo f32 ;;
    esac
}
