#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# test_checks.sh SOURCE_DIR [CC] - the structure checks can fail: each passes on a small clean tree,
# and fails with the right sentence after one violation is planted in a copy of it.
set -u
tools=$1/tools
cc=${2:-cc}
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
n=0 failed=0

fresh() { rm -rf "$dir/t"; cp -r "$dir/clean" "$dir/t"; }

# expect NAME STATUS TEXT COMMAND...: the command exits with STATUS and prints TEXT
expect() {
    local name=$1 status=$2 text=$3 out rc
    shift 3
    out=$("$@" 2>&1) && rc=0 || rc=$?
    n=$((n + 1))
    if [[ $rc == "$status" && $out == *"$text"* ]]; then
        echo "ok   $name"
    else
        printf 'FAIL %s: status %s, expected %s with "%s"; it printed:\n%s\n' \
            "$name" "$rc" "$status" "$text" "$out"
        failed=$((failed + 1))
    fi
}

lines() { seq "$1" | sed 's/.*/    x += &;/'; }

mkdir -p "$dir"/clean/{src/base,src/model,include/lockstep}
cd "$dir/clean" || exit 1
printf 'base: lockstep\nmodel: lockstep base\n' >layers.txt
printf '#ifndef A_H\n#define A_H\n#define LS_API __attribute__((visibility("default")))\n' >include/lockstep/a.h
printf 'LS_API int ls_model_size(\n    int n);\n#endif\n' >>include/lockstep/a.h
printf 'int ls_base(void);\n' >src/base/base.h
printf 'int ls_base_secret(void);\n' >src/base/base_priv.h
printf '#include "base/base.h"\n#include "base/base_priv.h"\nint ls_base(void) { return 1; }\n' >src/base/base.c
printf '#include "base/base.h"\n#include "lockstep/a.h"\nint ls_model_size(int n)\n{\n    int m = ls_base();\n    return n + m;\n}\n' >src/model/model.c

fresh
expect "layers: a clean tree passes" 0 "every one in an allowed direction" "$tools/check-layers" "$dir/t"
echo '#include "model/model.h"' >>"$dir/t/src/base/base.c"
expect "layers: an include upwards fails" 1 "src/base/base.c:4: base may not include model" "$tools/check-layers" "$dir/t"
fresh; echo '#include "base/base_priv.h"' >>"$dir/t/src/model/model.c"
expect "layers: a private header of another module fails" 1 "is private to base" "$tools/check-layers" "$dir/t"
fresh; echo '#include "../base/base.h"' >>"$dir/t/src/model/model.c"
expect "layers: a relative include fails" 1 "write it from src/" "$tools/check-layers" "$dir/t"
fresh; mkdir "$dir/t/src/new"; echo 'int ls_x;' >"$dir/t/src/new/x.c"
expect "layers: a module without a line fails" 1 'module "new" has no line' "$tools/check-layers" "$dir/t"
fresh; rm -r "$dir"/t/src/*
expect "layers: an empty tree fails" 1 "nothing was checked" "$tools/check-layers" "$dir/t"

fresh
expect "sizes: a clean tree passes" 0 "none too long" "$tools/check-sizes" "$dir/t"
{ printf 'void ls_f(int x)\n{\n'; lines 100; printf '}\n'; } >"$dir/t/src/base/f.c"
expect "sizes: a function of 100 lines passes" 0 "none too long" "$tools/check-sizes" "$dir/t"
{ printf 'void ls_f(int x)\n{\n'; lines 101; printf '}\n'; } >"$dir/t/src/base/f.c"
expect "sizes: a function of 101 lines fails" 1 "src/base/f.c:2: a function of 101 lines" "$tools/check-sizes" "$dir/t"
fresh; seq 801 | sed 's/.*/int ls_v&;/' >"$dir/t/src/base/f.c"
expect "sizes: a file of 801 lines fails" 1 "801 lines, the limit is 800" "$tools/check-sizes" "$dir/t"
mv "$dir/t/src/base/f.c" "$dir/t/src/base/f_tables.c"
expect "sizes: a table of 801 lines passes" 0 "none too long" "$tools/check-sizes" "$dir/t"
fresh; printf 'int ls_g(void) {\n    return 1;\n}\n' >"$dir/t/src/base/g.c"
expect "sizes: a function that hides from the measure fails" 1 "on a line of its own" "$tools/check-sizes" "$dir/t"

fresh
expect "headers: a clean tree passes" 0 "1 public headers compile alone" "$tools/check-headers" "$dir/t" "$cc"
echo 'size_t ls_size(void);' >"$dir/t/include/lockstep/b.h"
expect "headers: one that needs another fails" 1 "size_t" "$tools/check-headers" "$dir/t" "$cc"
echo 'typedef struct { int x; } ls_x;' >"$dir/t/include/lockstep/b.h"
expect "headers: one without a guard fails" 1 "ls_x" "$tools/check-headers" "$dir/t" "$cc"
echo '#include "../../src/base/base.h"' >"$dir/t/include/lockstep/b.h"
expect "headers: one that reaches into src fails" 1 "b.h:1:#include" "$tools/check-headers" "$dir/t" "$cc"

# build NAME: the clean tree as static library, shared library and program
build() {
    local t=$dir/t
    (cd "$t" && "$cc" -fPIC -fvisibility=hidden -Iinclude -Isrc -c src/base/base.c src/model/model.c &&
        ar rc liba.a base.o model.o && "$cc" -shared -o liba.so base.o model.o &&
        echo 'int main(void) { return 0; }' | "$cc" -x c - -o prog "$@") || exit 1
}
symbols() { "$tools/check-symbols" "$dir/t/liba.a" "$dir/t/liba.so" "$dir/t/prog" "$dir/t/include"; }

fresh; build
expect "symbols: a clean build passes" 0 "2 external symbols start with ls_; 1 exported" symbols
fresh; echo 'int gguf_open(void) { return 0; }' >>"$dir/t/src/base/base.c"; build
expect "symbols: a name without the prefix fails" 1 "gguf_open" symbols
fresh; echo '__attribute__((visibility("default"))) int ls_leak(void) { return 0; }' >>"$dir/t/src/base/base.c"; build
expect "symbols: a private symbol exported fails" 1 "ls_leak" symbols
fresh; echo 'LS_API int ls_forgotten(void);' >>"$dir/t/include/lockstep/a.h"; build
expect "symbols: a public function missing fails" 1 "ls_forgotten" symbols
fresh; echo 'int ggml_x;' | "$cc" -shared -x c - -o "$dir/t/libggml.so"; build -L"$dir/t" -Wl,--no-as-needed -lggml
expect "symbols: a program linked against an engine fails" 1 "libggml.so" symbols

if command -v clang-format >/dev/null && clang-format --version | grep -q 'version 14\.'; then
    fresh; cp "$1/.clang-format" "$dir/t/"
    expect "format: a clean tree passes" 0 "" "$tools/check-format" "$dir/t"
    echo 'int   ls_ugly( void ){return 0 ;}' >>"$dir/t/src/base/base.c"
    expect "format: an ugly line fails" 1 "run: make fmt" "$tools/check-format" "$dir/t"
else
    echo "SKIP: clang-format 14 is not installed, so its check is not tried"
fi

# junit NAME... : a results file with these states, for the script that counts them
junit() {
    local state
    for state in "$@"; do
        case $state in
        ok) printf '<testcase name="a" time="0" status="run">\n<system-out>fine</system-out>\n' ;;
        some) printf '<testcase name="b" time="0" status="run">\n<system-out>x\nSKIP: no &lt;b&gt;\n</system-out>\n' ;;
        some-silent) printf '<testcase name="c" time="0" status="run">\n<system-out>x\n[  SKIPPED ] t\n</system-out>\n' ;;
        skip) printf '<testcase name="d" status="notrun">\n<skipped message="SKIP_RETURN_CODE=77"/>\n<system-out>SKIP: no d\n</system-out>\n' ;;
        silent) printf '<testcase name="e" status="notrun">\n<skipped message="SKIP_RETURN_CODE=77"/>\n<system-out></system-out>\n' ;;
        absent) printf '<testcase name="f" status="notrun">\n<skipped message="Unable to find executable"/>\n<system-out></system-out>\n' ;;
        fail) printf '<testcase name="g" status="fail">\n<failure message=""/>\n<system-out>SKIP: but failed\n</system-out>\n' ;;
        esac
        echo '</testcase>'
    done >"$dir/junit.xml"
    "$tools/junit-table" "$dir/junit.xml" | tr '\t\n' ' ;'
}
expect "results: a test that ran counts as run" 0 "a run;" junit ok
expect "results: a case skipped inside a program is told beside it" 0 "b skip no <b>;b run;" junit some
expect "results: a case skipped without a reason fails" 0 "c fail;" junit some-silent
expect "results: a skipped test is told with its reason" 0 "d skip no d;" junit skip
expect "results: a test skipped without a reason fails" 0 "e fail;" junit silent
expect "results: a test that is not there fails" 0 "f fail;" junit absent
expect "results: a failed test fails whatever it printed" 0 "g fail;" junit fail

echo "$((n - failed)) of $n as expected"
[[ $failed == 0 ]]
