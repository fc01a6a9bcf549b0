// SPDX-License-Identifier: MIT
/* chat.h - prompt templates: messages to the text that a model was trained on. */
#ifndef LOCKSTEP_CHAT_H
#define LOCKSTEP_CHAT_H

#include "lockstep/tokenizer.h"

typedef struct ls_message {
    const char *role; /* "system", "user" or "assistant" */
    const char *text;
    size_t      len;
} ls_message;

#define LS_MAX_STOPS 4

/* A prompt ready for the tokenizer. */
typedef struct ls_prompt {
    char             *text; /* owned; release with ls_prompt_fini; NUL-terminated */
    size_t            len;
    ls_encode_options encode;             /* BOS and special-token flags of the template */
    const char       *template_name;      /* the one applied: never "auto"               */
    const char       *stops[LS_MAX_STOPS];/* texts that end the answer; NULL-padded      */
    bool              system_ignored;     /* a system message was given, the template has no place for it */
} ls_prompt;

/* Apply the template `name` ("raw", "instruct", "llama3-chat", "chatml", "bitnet-chat", "auto")
 * to messages [n] and leave room for the assistant's answer. "auto" decides by the model's own
 * tokenizer.chat_template, then by the special tokens of the vocabulary, then raw.
 * Errors: TEMPLATE (unknown name, a special token that the vocabulary lacks, no user message), NOMEM. */
LS_API ls_status ls_chat_apply(ls_prompt *out, const char *name, const ls_message *messages,
                               size_t n, const ls_tokenizer *t, const ls_gguf *g, ls_error *err);
LS_API void ls_prompt_fini(ls_prompt *p); /* NULL is allowed */

/* Name of template i (0-based), NULL past the end; for help texts and completion. */
LS_API const char *ls_chat_template_name(size_t i);

#endif
