#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# offer.sh - after DIVERGED: on a terminal the question whether to locate, and what every answer does;
# elsewhere the whole command for it, which can be pasted.
. "$(dirname "$0")/lib.sh"
model stories260K.gguf
unset CI
question="Locate the first divergent operation now? [Y/n]"
place="layer 1, attn_norm, position 2: born here"
lockstep() { "$LS" crossval per-token -m "$MODEL" -p "$prompt" --against native -n 0 --threads 1 "$@"; }
prompt="Once upon a time"
# typed ANSWER OPTION...: on a terminal
typed() {
    local answer=$1
    shift
    "$TOOLS/on_terminal" "$answer" "$LS" crossval per-token -m "$MODEL" -p "$prompt" --against native -n 0 \
        --threads 1 "$@"
}
lacks() {
    n_checked=$((n_checked + 1))
    ! grep -qF -- "$1" "$T/e" "$T/o" || fail "'$1' is said"
}
fault=(--fault "1.attn_norm@2=scale:1.5")

for answer in $'y\n' $'\n' $'Yes\n'; do
    expect 1 "answer ${answer@Q}" typed "$answer" "${fault[@]}"
    says "$question"
    says "$place"
done
for answer in $'n\n' $'no\n' $'\x04' $'later\n'; do
    expect 1 "answer ${answer@Q}" typed "$answer" "${fault[@]}"
    says "$question"
    lacks "born here"
done
expect 1 "to a file" typed $'y\n' "${fault[@]}" -o "$T/report"
says "$question"
expect 0 "the file has it" grep -qF "$place" "$T/report"
expect 0 "a match" typed $'y\n'
lacks "$question"
expect 1 "--locate" typed $'y\n' "${fault[@]}" --locate
lacks "$question"
says "$place"

# Nobody is asked: a machine reads it, or nobody is there.
for option in --quiet "--format text" "--format json" --json; do
    # shellcheck disable=SC2086
    expect 1 "$option" typed $'y\n' "${fault[@]}" $option
    lacks "$question"
    lacks "born here"
done
expect 1 "CI" env CI=true "$TOOLS/on_terminal" $'y\n' "$LS" crossval per-token -m "$MODEL" -p "$prompt" \
    --against native -n 0 "${fault[@]}"
lacks "$question"

# The command, as a shell reads it: quotes, a line break, a backslash, a byte that acts on terminals.
for prompt in "Once upon a time" "it's" $'two\nlines \\ "x" $HOME `ls`' $'\e[31mred' "日本" ""; do
    expect 1 "no terminal: ${prompt@Q}" lockstep "${fault[@]/@2/}"
    lacks "$question"
    command=$(sed -n '/^Which operation/{n;s/^ *lockstep //p}' "$T/o")
    n_checked=$((n_checked + 1))
    eval "words=($command)"
    # shellcheck disable=SC2154
    [[ "${words[*]:0:3}" == "crossval per-token --locate" && ${words[6]} == "$prompt" && ${#words[@]} == 15 ]] ||
        fail "not the command that was given: $command"
    expect 1 "the command" "$LS" "${words[@]}"
    says "layer 1, attn_norm, position 0: born here"
done
finish
