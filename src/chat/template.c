// SPDX-License-Identifier: MIT
/* template.c - prompt templates as a table: what stands before and after each role's text.
 *
 * Multi-turn chats repeat the same rows; the last row opens the assistant's answer.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "lockstep/chat.h"

typedef struct chat_template {
    const char *name;
    ls_bos_mode bos;
    bool        special;
    const char *start;               /* before everything                       */
    const char *system[2], *user[2]; /* before and after the text; NULL: no place */
    const char *assistant[2];        /* an earlier answer                       */
    const char *answer;              /* opens the answer asked for              */
    const char *default_system;      /* when no system message is given; or NULL */
    const char *needs[4];            /* tokens that the vocabulary must have    */
    const char *stops[LS_MAX_STOPS];
} chat_template;

static const chat_template templates[] = {
    {.name = "raw",
     .bos = LS_BOS_YES,
     .start = "",
     .user = {"", ""},
     .assistant = {"", ""},
     .answer = ""},
    {.name = "instruct",
     .bos = LS_BOS_YES,
     .start = "",
     .system = {"System: ", "\n\n"},
     .user = {"Q: ", "\n"},
     .assistant = {"A: ", "\n"},
     .answer = "A:",
     .stops = {"\n\nQ:", "\n\nHuman:"}},
    {.name = "llama3-chat",
     .bos = LS_BOS_NO,
     .special = true,
     .start = "<|begin_of_text|>",
     .system = {"<|start_header_id|>system<|end_header_id|>\n\n", "<|eot_id|>"},
     .user = {"<|start_header_id|>user<|end_header_id|>\n\n", "<|eot_id|>"},
     .assistant = {"<|start_header_id|>assistant<|end_header_id|>\n\n", "<|eot_id|>"},
     .answer = "<|start_header_id|>assistant<|end_header_id|>\n\n",
     .needs = {"<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"},
     .stops = {"<|eot_id|>", "<|end_of_text|>"}},
    {.name = "chatml",
     .bos = LS_BOS_AUTO,
     .special = true,
     .start = "",
     .system = {"<|im_start|>system\n", "<|im_end|>\n"},
     .user = {"<|im_start|>user\n", "<|im_end|>\n"},
     .assistant = {"<|im_start|>assistant\n", "<|im_end|>\n"},
     .answer = "<|im_start|>assistant\n",
     .default_system = "You are a helpful assistant.",
     .needs = {"<|im_start|>", "<|im_end|>"},
     .stops = {"<|im_end|>"}},
    {.name = "bitnet-chat",
     .bos = LS_BOS_YES,
     .special = true,
     .start = "",
     .system = {"System: ", "<|eot_id|>"},
     .user = {"User: ", "<|eot_id|>"},
     .assistant = {"Assistant: ", "<|eot_id|>"},
     .answer = "Assistant: ",
     .needs = {"<|eot_id|>"},
     .stops = {"<|eot_id|>", "<|end_of_text|>"}},
};

#define N_TEMPLATES (sizeof(templates) / sizeof(templates[0]))

const char *ls_chat_template_name(size_t i)
{
    if (i < N_TEMPLATES) return templates[i].name;
    return i == N_TEMPLATES ? "auto" : NULL;
}

static const chat_template *find(const char *name)
{
    for (size_t i = 0; i < N_TEMPLATES; i++) {
        if (strcmp(templates[i].name, name) == 0) return &templates[i];
    }
    return NULL;
}

/* A token of this text that is cut out of a prompt; an ordinary one would be spelled in letters. */
static bool is_special(const ls_tokenizer *t, const char *text)
{
    ls_token_type type = ls_tokenizer_type(t, ls_tokenizer_find(t, text));
    return type == LS_TOKEN_CONTROL || type == LS_TOKEN_USER_DEFINED;
}

/* The first token that the template needs and the vocabulary lacks, or NULL. */
static const char *missing_token(const chat_template *c, const ls_tokenizer *t)
{
    for (size_t i = 0; i < sizeof(c->needs) / sizeof(c->needs[0]) && c->needs[i]; i++) {
        if (!is_special(t, c->needs[i])) return c->needs[i];
    }
    return NULL;
}

static bool contains(ls_str s, const char *word)
{
    return memmem(s.p, s.len, word, strlen(word)) != NULL;
}

/* What the model's own Jinja template looks like; without one, what its vocabulary suggests. */
static const chat_template *guess(const ls_tokenizer *t, const ls_gguf *g)
{
    static const char *const by_vocabulary[] = {"llama3-chat", "chatml"};
    const chat_template     *c = NULL;
    ls_str                   jinja;

    if (g && ls_gguf_str(g, "tokenizer.chat_template", &jinja)) {
        c = find(contains(jinja, "<|start_header_id|>")                           ? "llama3-chat"
                 : contains(jinja, "<|im_start|>")                                ? "chatml"
                 : contains(jinja, "<|eot_id|>") && contains(jinja, "Assistant:") ? "bitnet-chat"
                                                                                  : "instruct");
        if (!missing_token(c, t)) return c;
    }
    for (size_t i = 0; i < sizeof(by_vocabulary) / sizeof(by_vocabulary[0]); i++) {
        c = find(by_vocabulary[i]);
        if (!missing_token(c, t)) return c;
    }
    return find("raw");
}

static ls_status unknown_name(const char *name, ls_error *err)
{
    char   list[256] = "";
    size_t n = 0;
    for (size_t i = 0; ls_chat_template_name(i); i++) {
        n += (size_t)snprintf(list + n, sizeof(list) - n, "%s%s", i ? ", " : "",
                              ls_chat_template_name(i));
    }
    ls_fail(err, LS_ERR_TEMPLATE, "there is no prompt template '%.100s'", name);
    ls_fail_hint(err, "templates are %s", list);
    return LS_ERR_TEMPLATE;
}

/* ---- building the text ---- */

typedef struct builder {
    char  *text;
    size_t len, cap;
} builder;

static ls_status put(builder *b, const char *p, size_t n, ls_error *err)
{
    LS_TRY(ls_grow(&b->text, &b->cap, b->len + n + 1, 1, "a prompt", err));
    if (n) memcpy(b->text + b->len, p, n); /* an empty text may be NULL */
    b->len += n;
    b->text[b->len] = '\0';
    return LS_OK;
}

static ls_status put_turn(builder *b, const char *const around[2], const char *p, size_t n,
                          ls_error *err)
{
    LS_TRY(put(b, around[0], strlen(around[0]), err));
    LS_TRY(put(b, p, n, err));
    return put(b, around[1], strlen(around[1]), err);
}

static ls_status put_message(builder *b, const chat_template *c, const ls_message *m,
                             bool *system_ignored, ls_error *err)
{
    const char *const *around = strcmp(m->role, "user") == 0        ? c->user
                                : strcmp(m->role, "assistant") == 0 ? c->assistant
                                : strcmp(m->role, "system") == 0    ? c->system
                                                                    : NULL;
    if (!around)
        return ls_fail(err, LS_ERR_TEMPLATE, "a message has the unknown role '%s'", m->role);
    if (!around[0]) {
        *system_ignored = true;
        return LS_OK;
    }
    return put_turn(b, around, m->text, m->len, err);
}

static ls_status build(builder *b, const chat_template *c, const ls_message *messages, size_t n,
                       bool *system_ignored, ls_error *err)
{
    bool system = false, user = false;
    for (size_t i = 0; i < n; i++) {
        system |= strcmp(messages[i].role, "system") == 0;
        user |= strcmp(messages[i].role, "user") == 0;
    }
    if (!user) return ls_fail(err, LS_ERR_TEMPLATE, "there is no user message");
    LS_TRY(put(b, c->start, strlen(c->start), err));
    if (!system && c->default_system) {
        LS_TRY(put_turn(b, c->system, c->default_system, strlen(c->default_system), err));
    }
    for (size_t i = 0; i < n; i++) LS_TRY(put_message(b, c, &messages[i], system_ignored, err));
    return put(b, c->answer, strlen(c->answer), err);
}

ls_status ls_chat_apply(ls_prompt *out, const char *name, const ls_message *messages, size_t n,
                        const ls_tokenizer *t, const ls_gguf *g, ls_error *err)
{
    const chat_template *c = strcmp(name, "auto") == 0 ? guess(t, g) : find(name);
    const char          *missing;
    builder              b = {0};
    ls_status            status;

    *out = (ls_prompt){0};
    if (!c) return unknown_name(name, err);
    missing = missing_token(c, t);
    if (missing) {
        ls_fail(err, LS_ERR_TEMPLATE,
                "template '%s' needs the token '%s', which the model's "
                "vocabulary lacks",
                c->name, missing);
        ls_fail_hint(err, "try --prompt-template raw or auto");
        return LS_ERR_TEMPLATE;
    }
    status = build(&b, c, messages, n, &out->system_ignored, err);
    if (status != LS_OK) {
        free(b.text);
        return status;
    }
    out->text = b.text;
    out->len = b.len;
    out->encode = (ls_encode_options){.bos = c->bos, .parse_special = c->special};
    out->template_name = c->name;
    memcpy(out->stops, c->stops, sizeof(out->stops));
    return LS_OK;
}

void ls_prompt_fini(ls_prompt *p)
{
    if (!p) return;
    free(p->text);
    *p = (ls_prompt){0};
}
