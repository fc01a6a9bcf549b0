#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# html_report.sh - the page of `--format html` in a browser: opened from a file, used with keys and clicks,
# its numbers read back and compared with those of the JSON report of the same comparison, and for a
# made-up map, whose tokens hold what breaks documents, with the numbers that it was made of.
. "$(dirname "$0")/lib.sh"
browser=
for name in chromium chromium-browser google-chrome; do
    command -v "$name" >/dev/null && { browser=$name; break; }
done
[[ $browser ]] || skip "there is no chromium (tools/setup test)"

# dom NAME PAGE: the document after its scripts have run; in the background, for it mostly waits
dom() {
    timeout 120 "$browser" --headless --no-sandbox --disable-gpu --user-data-dir="$T/profile.$1" \
        --virtual-time-budget=20000 --window-size=1280,1000 --dump-dom "file://$2" \
        >"$T/$1.dom" 2>"$T/$1.log"
}
# wanted REPORT [TAPS [WRONG [SPOIL [ROW]]]]: what must be read in the page, for html_report.js
wanted() {
    printf '{"report": '
    sed 's/</\\u003c/g' "$1"
    printf ', "taps": %s, "wrong": %s, "spoil": "%s", "row": %s, "map": %s, "oracle": %s}' "${2:-[]}" "${3:-false}" "${4:-}" "${5:-null}" \
        "${map:-true}" "${oracle:-false}"
}
# use NAME PAGE WANTED...: a copy of the page with the test's script at its end, in the browser. The first
# must be found, each of the others is wrong somewhere.
use() {
    local name=$1 page=$2 IFS=,
    shift 2
    {
        grep -vFx -e '</body>' -e '</html>' "$page"
        printf '<script>\nconst wanted = [%s];\n' "$*"
        cat "$SOURCE/tests/e2e/html_report.js"
        printf '</script>\n</body>\n</html>\n'
    } >"$T/$name.used.html"
    dom "$name" "$T/$name.used.html" &
}
# seen NAME N_WANTED: no failure in what the browser says of the first, some in the others
seen() {
    local n i
    for ((i = 1; i <= $2; i++)); do
        n_checked=$((n_checked + 1))
        sed 's/^.*CHECKS/CHECKS/' "$T/$1.dom" | awk -v want=$i '/^CHECKS/ { k++ } k == want' >"$T/outcome"
        n=$(sed -n '1s/^CHECKS //p' "$T/outcome")
        if ! ((${n:-0} > 0)) || ! grep -q '^END' "$T/outcome"; then
            fail "$1, $i: ${n:-no} checks in the browser: $(tail -n 2 "$T/$1.log")"
        elif ((i == 1)); then
            ((n > 200)) || fail "$1: only $n checks in the browser"
            echo "$1: $n numbers and steps in the browser"
            grep -q '^FAILED' "$T/outcome" && fail "$1: $(grep '^FAILED' "$T/outcome" | head -n 5)"
        elif ! grep -q '^FAILED' "$T/outcome"; then
            fail "$1, $i: what is wrong is not noticed"
        fi
    done
}
report_of() { # the JSON report that lies in a page
    sed -n 's/.*<script type="application\/json" id="data">{"report"://p' "$1" | sed '$ s/,$//'
}

# ---- made up: 30 positions, 6 layers of 18 operations ----
made() { "$TOOLS/report_page" "$@"; }
tap() { # POSITION LAYER K OP: a cell by the numbers that it was made of
    printf '{"pos": %s, "layer": %s, "op": "%s", "cell": %s}' "$1" "$2" "$4" \
        "$(made tap 30 6 "$1" $((1 + 18 * $2 + $3)))"
}
page=$T/made.html
made html 30 6 >"$page" || fail "no page was made"
report_of "$page" >"$T/made.json"
taps="[$(tap 10 3 15 ffn_act), $(tap 11 4 0 attn_norm), $(tap 11 3 17 layer_out), $(tap 0 0 0 attn_norm),
    $(tap 29 5 6 attn_scores), $(tap 7 1 8 attn_out), $(tap 12 5 17 layer_out)]"
wrong_taps=$(sed 's/"cell": \[[^,]*,/"cell": [0.125,/' <<<"$taps")
sed 's/"kl":[^,]*,/"kl":0.5,/' "$T/made.json" >"$T/wrong.json"
use made "$page" "$(wanted "$T/made.json" "$taps")" "$(wanted "$T/made.json" "$wrong_taps" true)" \
    "$(wanted "$T/wrong.json" "$taps" true)" "$(wanted "$T/made.json" "$taps" true '#positions td data')"
equal "scripts end where they should" "$(grep -o '</script' "$page" | wc -l)" 2
equal "nothing from elsewhere" "$(grep -cE '(src|href)="[^#]|url\(|@import' "$page")" 0

# Without taps there is no map, and the page says so.
made html 20 0 >"$T/few.html"
report_of "$T/few.html" >"$T/few.json"
use few "$T/few.html" "$(map=false wanted "$T/few.json")"
equal "no taps" "$(grep -cF 'No taps: run with <code>--locate' "$T/few.html")" 1

# Much of it: not over 20 MB, and still quick enough to be used.
made html 512 32 >"$T/large.html"
n_checked=$((n_checked + 1))
(($(wc -c <"$T/large.html") < 20000000)) || fail "512 positions x 32 layers: $(wc -c <"$T/large.html") bytes"
report_of "$T/large.html" >"$T/large.json"
use large "$T/large.html" "$(wanted "$T/large.json")"

# ---- real: the native engine against llama.cpp, with and without a fault ----
n_real=0 row=null
prompt="Once upon a time there was"
run() { "$LS" crossval per-token -m "$MODEL" -p "$prompt" --against llama --threads 1 -q "$@"; }
real() { # EXIT OPTION...
    local want=$1 name=real$((++n_real))
    shift
    expect "$want" "JSON $*" run --locate --format json -o "$T/real.json" "$@"
    expect "$want" "HTML $*" run --format html -o "$T/real.html" "$@"
    sed 's/"verdict": "[A-Z]*"/"verdict": "NONE"/' "$T/real.json" >"$T/wrong.json"
    use $name "$T/real.html" "$(wanted "$T/real.json" "[]" false "" "$row")" "$(wanted "$T/wrong.json" "[]" true)"
}
# traced LAYER OP POSITION WIDTH: that row of values of llama.cpp alone, out of a trace
traced() {
    local name=t0/blk$1/$2 file=$T/trace/values.safetensors head at
    expect 0 trace "$LS" trace record -m "$MODEL" -p "$prompt" --engine llama --values full --threads 1 -q -o "$T/trace"
    head=$(od -A n -t u8 -N 8 "$file" | tr -d ' ')
    tail -c +9 "$file" | head -c "$head" >"$T/head.json"
    at=$((8 + head + $(json "$T/head.json" "$name.data_offsets.0") + 4 * $3 * $4))
    printf '{"pos": %s, "layer": %s, "op": "%s", "values": [%s]}' "$3" "$1" "$2" \
        "$(od -A n -v -t f4 -w4 -j $at -N $((4 * $4)) "$file" | paste -sd,)"
}
if ("$LS" engine path llama >"$T/o" 2>"$T/e") && (model stories260K.gguf >"$T/e"); then
    model stories260K.gguf
    need_reference
    need_order_of_sums
    real 0
    row=$(traced 3 ffn_act 4 172)
    real 1 --fault 3.ffn_act@4=scale:1.5
    row=null
    real 1 --fault 1.attn_proj@2=nan
    oracle=true real 0 --oracle
    oracle=true real 1 --oracle --fault 3.ffn_act@4=scale:1.5
    cp "$T/real.json" "$T/oracle.json"
    cp "$T/real.html" "$T/oracle.html"
    # What the browser is told of the oracle, and is not so.
    sed 's/"subject_error": [^,]*/"subject_error": 0.125/' "$T/oracle.json" >"$T/wrong.json"
    use oracle "$T/oracle.html" "$(oracle=true wanted "$T/oracle.json")" "$(oracle=true wanted "$T/wrong.json" "[]" true)" \
        "$(wanted "$T/oracle.json" "[]" true)"
else
    echo "no real comparison: $(head -n 1 "$T/e")"
fi
wait
seen made 4
seen few 1
seen large 1
for ((k = 1; k <= n_real; k++)); do seen real$k 2; done
((n_real == 0)) || seen oracle 3
finish
