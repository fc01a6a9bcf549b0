// SPDX-License-Identifier: MIT
/* special.c - special tokens: which ones end generation, which have a type that the file gets
 * wrong, and cutting them out of text. Vocabularies say too little about their tokens, so the
 * reference (llama.cpp) goes by well-known texts; the same ids on both sides need the same list. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "text/vocab.h"

/* What a token is for. Of each role but END, the first text found serves, unless the metadata name
 * a token; all texts of END and END_OF_TURN end generation. */
typedef enum role {
    END, END_OF_TURN, END_OF_MESSAGE, FILL_PREFIX, FILL_SUFFIX, FILL_MIDDLE, FILL_PAD, FILL_REPO,
    FILL_FILE, SHOWN, N_ROLES
} role;

static const struct {
    const char *keys[2]; /* under tokenizer.ggml. */
    bool        ends;
} roles[N_ROLES] = {
    [END_OF_TURN] = {{"eot_token_id"}, true},
    [END_OF_MESSAGE] = {{"eom_token_id"}, true},
    [FILL_PREFIX] = {{"fim_pre_token_id", "prefix_token_id"}, false},
    [FILL_SUFFIX] = {{"fim_suf_token_id", "suffix_token_id"}, false},
    [FILL_MIDDLE] = {{"fim_mid_token_id", "middle_token_id"}, false},
    [FILL_PAD] = {{"fim_pad_token_id"}, true},
    [FILL_REPO] = {{"fim_rep_token_id"}, true},
    [FILL_FILE] = {{"fim_sep_token_id"}, true},
};

static const struct {
    role        role;
    const char *text;
} known[] = {
    {END_OF_TURN, "<|eot_id|>"}, {END_OF_TURN, "<|im_end|>"}, {END_OF_TURN, "<|end|>"},
    {END_OF_TURN, "<end_of_turn>"}, {END_OF_TURN, "<|endoftext|>"},
    {END_OF_TURN, "<|end_of_text|>"}, {END_OF_TURN, "<EOT>"}, {END_OF_TURN, "_<EOT>"},
    {END_OF_TURN, "[EOT]"}, {END_OF_TURN, "<｜end▁of▁sentence｜>"},
    {END_OF_TURN, "<end_of_utterance>"},
    {END_OF_MESSAGE, "<|eom_id|>"},
    {END, "<|return|>"}, {END, "<|call|>"}, {END, "<|flush|>"}, {END, "<|calls|>"}, {END, "</s>"},
    {END, "[EOS]"}, {END, "<eos>"}, {END, "<turn|>"}, {END, "<|tool_response>"}, {END, "[e~["},
    {FILL_PREFIX, "<|fim_prefix|>"}, {FILL_PREFIX, "<fim-prefix>"}, {FILL_PREFIX, "<fim_prefix>"},
    {FILL_PREFIX, "<｜fim▁begin｜>"}, {FILL_PREFIX, "<PRE>"}, {FILL_PREFIX, "▁<PRE>"},
    {FILL_PREFIX, "<|code_prefix|>"}, {FILL_PREFIX, "<|prefix|>"},
    {FILL_SUFFIX, "<|fim_suffix|>"}, {FILL_SUFFIX, "<fim-suffix>"}, {FILL_SUFFIX, "<fim_suffix>"},
    {FILL_SUFFIX, "<｜fim▁hole｜>"}, {FILL_SUFFIX, "<SUF>"}, {FILL_SUFFIX, "▁<SUF>"},
    {FILL_SUFFIX, "<|code_suffix|>"}, {FILL_SUFFIX, "<|suffix|>"},
    {FILL_MIDDLE, "<|fim_middle|>"}, {FILL_MIDDLE, "<fim-middle>"}, {FILL_MIDDLE, "<fim_middle>"},
    {FILL_MIDDLE, "<｜fim▁end｜>"}, {FILL_MIDDLE, "<MID>"}, {FILL_MIDDLE, "▁<MID>"},
    {FILL_MIDDLE, "<|code_middle|>"}, {FILL_MIDDLE, "<|middle|>"},
    {FILL_PAD, "<|fim_pad|>"}, {FILL_PAD, "<fim-pad>"}, {FILL_PAD, "<fim_pad>"},
    {FILL_PAD, "<PAD>"}, {FILL_PAD, "[PAD]"},
    {FILL_REPO, "<|fim_repo|>"}, {FILL_REPO, "<|repo_name|>"}, {FILL_REPO, "<fim-repo>"},
    {FILL_REPO, "<REPO>"}, {FILL_REPO, "<reponame>"},
    {FILL_FILE, "<|file_sep|>"},
    {SHOWN, "<|channel|>"}, {SHOWN, "<|message|>"}, {SHOWN, "<|start|>"}, {SHOWN, "<|constrain|>"},
};
#define N_KNOWN (sizeof(known) / sizeof(known[0]))
