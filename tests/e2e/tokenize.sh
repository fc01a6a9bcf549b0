#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# tokenize.sh - a novel and random code points with every vocabulary there is: the ids of llama.cpp.
# Vocabularies: the folder LOCKSTEP_VOCABS, else ../shared/vocabs, and those of the built-in models.
. "$(dirname "$0")/lib.sh"
need_reference
bytes=${1:-1048576} # of random text
[[ -d ${LOCKSTEP_VOCABS:-$SHARED/vocabs} ]] || skip "no vocabularies (set LOCKSTEP_VOCABS)"
[[ -r $SHARED/corpus/christmas-carol.txt ]] || skip "no corpus in '$SHARED' (set LOCKSTEP_SHARED)"
cc -std=gnu11 -O1 -I"$ENGINE/headers/include" -I"$ENGINE/headers/ggml/include" -o "$T/llama_tokens" \
    "$SOURCE/tests/ref/llama_tokens.c" -ldl || { fail "llama_tokens does not compile"; finish; }
cp "$SHARED/corpus/christmas-carol.txt" "$T/novel"
"$TOOLS/random_text" 1 "$bytes" >"$T/random"

n=0
for vocab in "${LOCKSTEP_VOCABS:-$SHARED/vocabs}"/*.gguf "$SOURCE"/models/*.gguf; do
    [[ $vocab == *I2_S* ]] && continue # llama.cpp does not read it
    n=$((n + 1))
    expect 0 "$vocab: reference" "$T/llama_tokens" "$LIB" "$vocab" "$T/novel" "$T/novel.theirs" \
        "$vocab" "$T/random" "$T/random.theirs" || continue
    for text in novel random; do
        expect 0 "$vocab: $text" "$LS" model tokenize -m "$vocab" -f "$T/$text" --ids || continue
        mv "$T/o" "$T/$text.ours"
        expect 0 "$vocab: ids of $text" cmp "$T/$text.ours" "$T/$text.theirs"
    done
done
((n >= 7)) || fail "only $n vocabularies"
# It must be able to say no.
sed '1s/ [0-9]* / 7 /20' "$T/novel.theirs" >"$T/spoiled"
expect 1 "one wrong id" cmp "$T/novel.theirs" "$T/spoiled"
echo "$n vocabularies"
finish
