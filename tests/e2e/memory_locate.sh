#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# memory_locate.sh N FORM - `--locate` in a model of 30 layers with a vocabulary of 128,256, a prompt of N
# tokens and a fault in a middle layer at a late position: it is named, in under 200 MB of memory. That is
# the peak of the program's own process, mapped model and all, read from /proc; llama.cpp is a process of
# its own and counts for itself. Nothing but the report goes to disk.
. "$(dirname "$0")/lib.sh"
n=$1 form=$2
[[ -r /proc/self/status ]] || skip "there is no /proc to read peak memory from"
need_reference
need_order_of_sums
"$TOOLS/make_model" tiny "$T/m.gguf" dtype=8 d=64 layers=30 vocab=128256 ctx=1200
mkdir "$T/tmp"
text=$(head -c $((n - 2)) < <(yes a | tr '\n' ' ')) # "a a a ...": two tokens for each word, and BOS
at=$((n - 5))
TMPDIR=$T/tmp peak_of "$LS" crossval per-token -m "$T/m.gguf" -p "$text" --against llama --threads 1 -q \
    --locate --fault "15.ffn_act@$at=scale:1.5" --format "$form"
echo "$n tokens, $form: $PEAK KiB"
equal "exit" $STATUS 1
if [[ $form == json ]]; then
    (($(json "$T/o" coverage.positions_compared) >= n)) || fail "few positions"
    equal "what was found" "$(json "$T/o" located.layer located.op located.position located.origin | tr '\n' ' ')" \
        "15 ffn_act $at born "
    equal "the first other bits" \
        "$(json "$T/o" taps.first_other_bits.layer taps.first_other_bits.op | tr '\n' ' ')" "15 ffn_act "
else
    says "layer 15, ffn_act, position $at"
fi
n_checked=$((n_checked + 2))
((PEAK > 20000)) || fail "$PEAK KiB can not be all"
((PEAK < 200000000 / 1024)) || fail "$PEAK KiB are more than 200 MB"
[[ -z $(ls -A "$T/tmp") ]] || fail "files are left: $(ls -A "$T/tmp")"
finish
