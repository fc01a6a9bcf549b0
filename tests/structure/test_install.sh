#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# test_install.sh SOURCE_DIR BUILD_DIR [CC] - an installed copy is enough: it can be moved, the
# examples compile against it through pkg-config, linked both ways, and run on the built-in model.
set -u
source=$1 build=$2 cc=${3:-cc}
model=$source/models/stories260K.gguf
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
die() { echo "FAIL $*"; exit 1; }

cmake --install "$build" --prefix "$dir/first" >"$dir/log" 2>&1 || die "install: $(tail -n 3 "$dir/log")"
mv "$dir/first" "$dir/moved" # the .pc file must not hold the first place
libdir=$(dirname "$(find "$dir/moved" -name lockstep.pc)")
[[ -d $libdir ]] || die "no lockstep.pc was installed"
export PKG_CONFIG_PATH=$libdir
libs=$(dirname "$libdir")
[[ -e $libs/liblockstep.so.0 && -e $libs/liblockstep.a ]] || die "a library is missing"

# story PROGRAM: it continues the published text
story() { "$@" "$model" "Once upon a time" 24; }
wanted="Once upon a time, there was a little girl named Lily. She loved to play outside"

read -ra shared < <(pkg-config --cflags --libs lockstep)
read -ra static < <(pkg-config --static --cflags --libs lockstep | sed 's/-llockstep/-l:liblockstep.a/')
for example in "$source"/examples/*.c; do
    name=$(basename "$example" .c)
    "$cc" -std=c17 -Wall -Wextra -Wpedantic -Werror "$example" "${shared[@]}" -o "$dir/$name" ||
        die "$name does not compile"
    "$cc" -std=c17 "$example" "${static[@]}" -o "$dir/$name-static" || die "$name does not link statically"
    (($(wc -l <"$example") <= 60)) || die "$name has more than 60 lines"
done
export LD_LIBRARY_PATH=$libs
out=$("$dir/inspect" "$model") || die "inspect"
[[ $out == *"general.architecture = "*llama* ]] || die "inspect names no architecture"
out=$(story "$dir/generate") || die "generate"
[[ $out == "$wanted"* ]] || die "generate: $out"
out=$("$dir/compare" "$model" "Once upon a time") || die "compare: $out"
[[ $out == *"MATCH: "* ]] || die "compare: $out"
unset LD_LIBRARY_PATH
out=$(story "$dir/generate-static") || die "generate, static"
[[ $out == "$wanted"* ]] || die "generate, static: $out"
rc=0
"$dir/inspect-static" /nonexistent 2>/dev/null || rc=$?
((rc == 5)) || die "inspect of no file exits $rc"
out=$("$dir/moved/bin/lockstep" --version) || die "the installed program"
echo "$out: 3 examples compiled, linked both ways and run"
