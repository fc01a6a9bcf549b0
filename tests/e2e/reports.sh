#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# reports.sh - every form of a report against the real llama.cpp: the same exit code whatever the form, on
# standard output and in a file; XML that parses, with totals that are its cases; the numbers of the JSON
# report in the table of CSV. Documents of made-up comparisons are parsed, too: tokens hold anything there.
. "$(dirname "$0")/lib.sh"

# well_formed FILE: parsed by somebody else
well_formed() {
    n_checked=$((n_checked + 1))
    if command -v xmllint >/dev/null; then
        xmllint --noout "$1" 2>"$T/e" || fail "no XML: $(head -n 2 "$T/e")"
    elif command -v python3 >/dev/null; then
        python3 -c 'import sys, xml.dom.minidom as d; d.parse(sys.argv[1])' "$1" 2>"$T/e" ||
            fail "no XML: $(tail -n 1 "$T/e")"
    else
        skip "neither xmllint nor python3 is there to parse XML"
    fi
}
cases() { grep -c "<$1[ />]" "$2"; }
# totals FILE: both heads say how many cases there are, and of which kind
totals() {
    local want
    want="tests=\"$(cases testcase "$1")\" failures=\"$(cases failure "$1")\" errors=\"$(cases error "$1")\""
    want+=" skipped=\"$(cases skipped "$1")\""
    equal "$1: totals" "$(grep -cF "$want" "$1")" 2
}

# ---- made up ----
for size in "1 0" "3 1" "40 6" "200 3"; do
    # shellcheck disable=SC2086
    "$TOOLS/report_page" junit $size >"$T/made.xml" || fail "report_page junit $size"
    well_formed "$T/made.xml"
    totals "$T/made.xml"
done
tr -d '\n' <"$T/made.xml" | sed 's/&lt;/</' >"$T/wrong.xml"
if command -v xmllint >/dev/null && xmllint --noout "$T/wrong.xml" 2>/dev/null; then
    fail "XML that is none is not noticed"
fi

# ---- real ----
model stories260K.gguf
need_reference
need_order_of_sums
forms="text json html junit markdown csv"
# every WANT NAME OPTION...: all forms end with this exit code; $T/r.FORM are the reports
every() {
    local want=$1 name=$2 form
    shift 2
    for form in $forms; do
        rm -f "$T/r.$form"
        expect "$want" "$name, $form" "$LS" crossval per-token --threads 1 -q --format "$form" -o "$T/r.$form" "$@"
        [[ -s $T/r.$form || $form == text ]] || fail "$name, $form: no report"
    done
    well_formed "$T/r.junit"
    totals "$T/r.junit"
}
# no_pass NAME: what has no verdict MATCH has a case that did not pass
no_pass() {
    n_checked=$((n_checked + 1))
    (($(cases failure "$T/r.junit") + $(cases error "$T/r.junit") > 0)) || fail "$1: JUnit passes"
}
m=(-m "$MODEL" -p "Once upon a time" --against llama)

every 0 match "${m[@]}" --locate
equal "match: JUnit" "$(cases failure "$T/r.junit") $(cases error "$T/r.junit") $(cases skipped "$T/r.junit")" "0 0 0"
equal "match: a case for every position and tap, the ids, the verdict" "$(cases testcase "$T/r.junit")" \
    $(($(json "$T/r.json" 'positions.#') + 5 * 17 + 3 + 2))
equal "match: CSV, positions" "$(($(wc -l <"$T/r.csv") - 1))" "$(json "$T/r.json" 'positions.#')"

every 1 diverged "${m[@]}" --locate --fault 3.ffn_act@2=scale:1.5
no_pass diverged
says_in() { n_checked=$((n_checked + 1)); grep -qF -- "$2" "$T/r.$1" || fail "$1 does not say '$2'"; }
equal "diverged: the operation in JUnit" "$(grep -A 1 -F 'name="layer 3, ffn_act"' "$T/r.junit" | grep -c '<failure ')" 1
says_in markdown '<code>layer 3, ffn&#95;act, position 2</code>, born there'
says_in html 'layer 3, ffn_act, position 2 <span class="tag">born here'
# Column by column the numbers of the JSON report, as awk reads either of them.
field() { awk -F, -v row=$(($2 + 2)) -v k="$1" 'NR == row { printf "%.15g\n", $k }' "$T/r.csv"; }
for pos in 0 2 5 8; do
    k=3
    for name in cosine cosine_centred l2 max_abs; do
        k=$((k + 1))
        equal "CSV, position $pos, $name" "$(field $k $pos)" \
            "$(json "$T/r.json" "positions.$pos.$name" | awk '{ printf "%.15g\n", $1 }')"
    done
done

every 1 "NaN" "${m[@]}" --fault 1.attn_proj@2=nan
says_in csv ,nan,
says_in junit 'type="NaN or Inf"'
every 2 "other ids" "${m[@]}" --bos no
no_pass "other ids"
says_in html 'They differ from index'
says_in html 'TOKENS_DIFFER'
cache=${LOCKSTEP_CACHE_DIR-}
export LOCKSTEP_CACHE_DIR=$T/none
every 3 "no reference" "${m[@]}"
if [[ $cache ]]; then LOCKSTEP_CACHE_DIR=$cache; else unset LOCKSTEP_CACHE_DIR; fi
no_pass "no reference"
says_in markdown INCONCLUSIVE
head -c 3000 "$MODEL" >"$T/cut.gguf"
every 5 "bad model" -m "$T/cut.gguf" -p Once --against llama
no_pass "bad model"
says_in html '<h1 id="verdict">ERROR</h1>'
says_in markdown '### ❓ ERROR: '
equal "bad model: CSV has its head alone" "$(wc -l <"$T/r.csv")" 1

# Standard output has the same as the file; a file that cannot be written is no report.
for form in junit markdown csv; do
    "$LS" crossval per-token --threads 1 -q --format $form "${m[@]}" -o "$T/r.$form"
    expect 0 "$form on standard output" "$LS" crossval per-token --threads 1 -q --format $form "${m[@]}"
    equal "$form: the same on standard output" "$(sed 's/time="[0-9.]*"//' "$T/o" | sha256sum)" \
        "$(sed 's/time="[0-9.]*"//' "$T/r.$form" | sha256sum)"
    expect 6 "$form, disk full" "$LS" crossval per-token --threads 1 -q --format $form "${m[@]}" -o /dev/full
done
finish
