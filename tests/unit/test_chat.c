// SPDX-License-Identifier: MIT
/* test_chat.c - prompt templates: the exact bytes, flags and stops of each one as the specification
 * of the product spells them, what is refused, and what "auto" decides. Vocabularies are built in a
 * temporary file, so that each has exactly the special tokens that a case is about. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lockstep/chat.h"
#include "support/files.h"
#include "support/gguf_build.h"

#define N_OF(a) (sizeof(a) / sizeof((a)[0]))

/* ---- vocabularies ---- */

typedef struct vocab {
    ls_gguf      *g;
    ls_tokenizer *t;
} vocab;

enum { MAX_TOKENS = 8 };

#define ORDINARY "ordinary " /* before the text of a token that is to be no control token */

/* A SentencePiece vocabulary of <unk>, <s>, </s>, "a" and the given control tokens; `jinja` is the
 * chat template of its metadata, or NULL. */
static vocab vocab_make(const char *const *control, const char *jinja)
{
    static const char *const plain[] = {"<unk>", "<s>", "</s>", "a"};
    char                     path[256];
    gguf_build               b = {0};
    vocab                    v = {0};
    ls_error                 err = {0};
    size_t                   n = 0;

    while (n < MAX_TOKENS && control[n]) n++;
    gguf_build_header(&b, 3, 0, jinja ? 5 : 4);
    gguf_build_kv_str(&b, "tokenizer.ggml.model", "llama");
    gguf_build_kv_array(&b, "tokenizer.ggml.tokens", LS_GGUF_STR, N_OF(plain) + n);
    for (size_t i = 0; i < N_OF(plain); i++) gguf_build_str(&b, plain[i]);
    for (size_t i = 0; i < n; i++) {
        bool ordinary = strncmp(control[i], ORDINARY, strlen(ORDINARY)) == 0;
        gguf_build_str(&b, control[i] + (ordinary ? strlen(ORDINARY) : 0));
    }
    gguf_build_kv_array(&b, "tokenizer.ggml.scores", LS_GGUF_F32, N_OF(plain) + n);
    for (size_t i = 0; i < N_OF(plain) + n; i++) gguf_build_f32(&b, 0.0f);
    gguf_build_kv_array(&b, "tokenizer.ggml.token_type", LS_GGUF_I32, N_OF(plain) + n);
    for (size_t i = 0; i < N_OF(plain) + n; i++) {
        bool normal = i == 3 || (i > 3 && strncmp(control[i - 4], ORDINARY, strlen(ORDINARY)) == 0);
        gguf_build_u32(&b, i == 0 ? LS_TOKEN_UNKNOWN : normal ? LS_TOKEN_NORMAL : LS_TOKEN_CONTROL);
    }
    if (jinja) gguf_build_kv_str(&b, "tokenizer.chat_template", jinja);
    gguf_build_pad(&b, 32);
    file_temporary(path, sizeof(path), "lockstep-chat");
    file_write(path, b.data, b.n);
    gguf_build_free(&b);
    if (ls_gguf_open(&v.g, path, &err) || ls_tokenizer_create(&v.t, v.g, &err)) {
        fail_msg("%s", err.what);
    }
    unlink(path);
    return v;
}

static void vocab_free(vocab *v)
{
    ls_tokenizer_destroy(v->t);
    ls_gguf_close(v->g);
}

static const char *const no_tokens[] = {NULL};
static const char *const llama3_tokens[] = {"<|begin_of_text|>",   "<|end_of_text|>",
                                            "<|start_header_id|>", "<|end_header_id|>",
                                            "<|eot_id|>",          NULL};
static const char *const chatml_tokens[] = {"<|im_start|>", "<|im_end|>", NULL};
static const char *const eot_tokens[] = {"<|eot_id|>", NULL};
static const char *const every_token[] = {
    "<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>",
    "<|eot_id|>",        "<|im_start|>",    "<|im_end|>",          NULL};

/* ---- messages ---- */

typedef enum chat { USER, SYSTEM_USER, TURNS, SYSTEM_TURNS, N_CHATS } chat;

/* "S" is the system's text; "T", "A", "U" are question, answer, question. */
static size_t chat_messages(chat c, ls_message *m)
{
    size_t n = 0;
    if (c == SYSTEM_USER || c == SYSTEM_TURNS) m[n++] = (ls_message){"system", "S", 1};
    m[n++] = (ls_message){"user", "T", 1};
    if (c == TURNS || c == SYSTEM_TURNS) {
        m[n++] = (ls_message){"assistant", "A", 1};
        m[n++] = (ls_message){"user", "U", 1};
    }
    return n;
}

/* ---- the exact text ---- */

#define L3(role, text) "<|start_header_id|>" role "<|end_header_id|>\n\n" text
#define CM(role, text) "<|im_start|>" role "\n" text "<|im_end|>\n"
#define CM_DEFAULT     CM("system", "You are a helpful assistant.")

static const struct {
    const char *name;
    ls_bos_mode bos;
    bool        special, has_system;
    const char *text[N_CHATS];
    const char *stops[LS_MAX_STOPS];
} expected[] = {
    {"raw", LS_BOS_YES, false, false, {"T", "T", "TAU", "TAU"}, {NULL}},
    {"instruct",
     LS_BOS_YES,
     false,
     true,
     {"Q: T\nA:", "System: S\n\nQ: T\nA:", "Q: T\nA: A\nQ: U\nA:",
      "System: S\n\nQ: T\nA: A\nQ: U\nA:"},
     {"\n\nQ:", "\n\nHuman:"}},
    {"llama3-chat",
     LS_BOS_NO,
     true,
     true,
     {"<|begin_of_text|>" L3("user", "T<|eot_id|>") L3("assistant", ""),
      "<|begin_of_text|>" L3("system", "S<|eot_id|>") L3("user", "T<|eot_id|>") L3("assistant", ""),
      "<|begin_of_text|>" L3("user", "T<|eot_id|>") L3("assistant", "A<|eot_id|>")
          L3("user", "U<|eot_id|>") L3("assistant", ""),
      "<|begin_of_text|>" L3("system", "S<|eot_id|>") L3("user", "T<|eot_id|>")
          L3("assistant", "A<|eot_id|>") L3("user", "U<|eot_id|>") L3("assistant", "")},
     {"<|eot_id|>", "<|end_of_text|>"}},
    {"chatml",
     LS_BOS_AUTO,
     true,
     true,
     {CM_DEFAULT CM("user", "T") "<|im_start|>assistant\n",
      CM("system", "S") CM("user", "T") "<|im_start|>assistant\n",
      CM_DEFAULT CM("user", "T") CM("assistant", "A") CM("user", "U") "<|im_start|>assistant\n",
      CM("system", "S") CM("user", "T") CM("assistant", "A")
          CM("user", "U") "<|im_start|>assistant\n"},
     {"<|im_end|>"}},
    {"bitnet-chat",
     LS_BOS_YES,
     true,
     true,
     {"User: T<|eot_id|>Assistant: ", "System: S<|eot_id|>User: T<|eot_id|>Assistant: ",
      "User: T<|eot_id|>Assistant: A<|eot_id|>User: U<|eot_id|>Assistant: ",
      "System: S<|eot_id|>User: T<|eot_id|>Assistant: A<|eot_id|>User: U<|eot_id|>Assistant: "},
     {"<|eot_id|>", "<|end_of_text|>"}},
};

static void check_prompt(size_t row, chat c, const ls_prompt *p)
{
    assert_string_equal(p->text, expected[row].text[c]);
    assert_int_equal(p->len, strlen(expected[row].text[c]));
    assert_string_equal(p->template_name, expected[row].name);
    assert_int_equal(p->encode.bos, expected[row].bos);
    assert_int_equal(p->encode.parse_special, expected[row].special);
    assert_int_equal(p->system_ignored,
                     !expected[row].has_system && (c == SYSTEM_USER || c == SYSTEM_TURNS));
    for (size_t i = 0; i < LS_MAX_STOPS; i++) {
        if (expected[row].stops[i]) {
            assert_non_null(p->stops[i]);
            assert_string_equal(p->stops[i], expected[row].stops[i]);
        } else {
            assert_null(p->stops[i]);
        }
    }
}

static void writes_the_bytes_flags_and_stops_of_every_template(void **state)
{
    vocab v = vocab_make(every_token, NULL);
    (void)state;
    for (size_t row = 0; row < N_OF(expected); row++) {
        for (chat c = USER; c < N_CHATS; c++) {
            ls_message m[4];
            size_t     n = chat_messages(c, m);
            ls_prompt  p;
            assert_int_equal(ls_chat_apply(&p, expected[row].name, m, n, v.t, v.g, NULL), LS_OK);
            check_prompt(row, c, &p);
            ls_prompt_fini(&p);
        }
    }
    vocab_free(&v);
}

static void names_every_template_and_then_auto(void **state)
{
    size_t n = N_OF(expected);
    (void)state;
    for (size_t i = 0; i < n; i++) {
        assert_string_equal(ls_chat_template_name(i), expected[i].name);
    }
    assert_string_equal(ls_chat_template_name(n), "auto");
    assert_null(ls_chat_template_name(n + 1));
    assert_null(ls_chat_template_name(SIZE_MAX));
}

static void keeps_every_byte_of_a_message(void **state)
{
    static const char text[] = "a\0b\n \xff<|eot_id|>{%s}%n \xc3";
    ls_message        m = {"user", text, sizeof(text) - 1};
    vocab             v = vocab_make(no_tokens, NULL);
    ls_prompt         p;
    (void)state;
    assert_int_equal(ls_chat_apply(&p, "raw", &m, 1, v.t, v.g, NULL), LS_OK);
    assert_int_equal(p.len, sizeof(text) - 1);
    assert_memory_equal(p.text, text, sizeof(text)); /* and the NUL behind it */
    ls_prompt_fini(&p);
    vocab_free(&v);
}

static void takes_an_empty_message_without_text(void **state)
{
    ls_message m = {"user", NULL, 0};
    vocab      v = vocab_make(no_tokens, NULL);
    ls_prompt  p;
    (void)state;
    assert_int_equal(ls_chat_apply(&p, "raw", &m, 1, v.t, v.g, NULL), LS_OK);
    assert_string_equal(p.text, "");
    assert_int_equal(p.len, 0);
    ls_prompt_fini(&p);
    assert_null(p.text);
    ls_prompt_fini(&p); /* twice, and of nothing, is allowed */
    ls_prompt_fini(NULL);
    vocab_free(&v);
}

/* The flags do what they are for: the one special token of bitnet-chat is parsed, and BOS is set.
 */
static void leads_to_the_ids_that_the_flags_ask_for(void **state)
{
    ls_message m = {"user", "a", 1};
    vocab      v = vocab_make(eot_tokens, NULL);
    ls_prompt  p;
    int32_t   *ids, eot = ls_tokenizer_find(v.t, "<|eot_id|>");
    size_t     n, n_eot = 0;
    (void)state;
    assert_int_equal(ls_chat_apply(&p, "bitnet-chat", &m, 1, v.t, v.g, NULL), LS_OK);
    assert_int_equal(ls_tokenizer_encode(v.t, p.text, p.len, &p.encode, &ids, &n, NULL), LS_OK);
    assert_int_equal(ids[0], ls_tokenizer_bos(v.t));
    for (size_t i = 0; i < n; i++) n_eot += ids[i] == eot;
    assert_int_equal(n_eot, 1);
    free(ids);
    ls_prompt_fini(&p);
    vocab_free(&v);
}

/* ---- what is refused ---- */

static void check_refused(const char *name, const ls_message *m, size_t n, const vocab *v,
                          const char *what, const char *hint)
{
    ls_error  err = {0};
    ls_prompt p;
    memset(&p, 0xa5, sizeof(p));
    assert_int_equal(ls_chat_apply(&p, name, m, n, v->t, v->g, &err), LS_ERR_TEMPLATE);
    assert_int_equal(err.status, LS_ERR_TEMPLATE);
    assert_string_equal(err.what, what);
    assert_string_equal(err.hint, hint);
    assert_null(p.text);
    assert_int_equal(ls_exit_code(err.status, &err), 4);
    assert_int_equal(ls_chat_apply(&p, name, m, n, v->t, v->g, NULL), LS_ERR_TEMPLATE);
    ls_prompt_fini(&p);
}

static void refuses_an_unknown_name(void **state)
{
    static const char *const names[] = {"", "Raw", "raw ", "llama3", "gemma"};
    const ls_message         m = {"user", "T", 1};
    vocab                    v = vocab_make(every_token, NULL);
    char                     what[128];
    (void)state;
    for (size_t i = 0; i < N_OF(names); i++) {
        snprintf(what, sizeof(what), "there is no prompt template '%s'", names[i]);
        check_refused(names[i], &m, 1, &v, what,
                      "templates are raw, instruct, llama3-chat, chatml, bitnet-chat, auto");
    }
    vocab_free(&v);
}

/* Each special token that a template writes is missed, whichever it is. */
static void refuses_a_template_whose_tokens_the_vocabulary_lacks(void **state)
{
    static const struct {
        const char *name, *missing;
    } cases[] = {
        {"llama3-chat", "<|begin_of_text|>"}, {"llama3-chat", "<|start_header_id|>"},
        {"llama3-chat", "<|end_header_id|>"}, {"llama3-chat", "<|eot_id|>"},
        {"chatml", "<|im_start|>"},           {"chatml", "<|im_end|>"},
        {"bitnet-chat", "<|eot_id|>"},
    };
    const ls_message m = {"user", "T", 1};
    (void)state;
    for (size_t i = 0; i < N_OF(cases); i++) {
        const char *tokens[MAX_TOKENS] = {NULL};
        char        what[160];
        vocab       v;
        for (size_t j = 0, n = 0; every_token[j]; j++) {
            if (strcmp(every_token[j], cases[i].missing) != 0) tokens[n++] = every_token[j];
        }
        v = vocab_make(tokens, NULL);
        snprintf(what, sizeof(what),
                 "template '%s' needs the token '%s', which the model's vocabulary lacks",
                 cases[i].name, cases[i].missing);
        check_refused(cases[i].name, &m, 1, &v, what, "try --prompt-template raw or auto");
        vocab_free(&v);
    }
}

static void check_auto(const char *const *tokens, const char *jinja, const char *name)
{
    const ls_message m = {"user", "T", 1};
    vocab            v = vocab_make(tokens, jinja);
    ls_prompt        p;
    assert_int_equal(ls_chat_apply(&p, "auto", &m, 1, v.t, v.g, NULL), LS_OK);
    assert_string_equal(p.template_name, name);
    for (size_t i = 0; i < N_OF(expected); i++) {
        if (strcmp(expected[i].name, name) == 0) check_prompt(i, USER, &p);
    }
    ls_prompt_fini(&p);
    vocab_free(&v);
}

/* What is no special token would be spelled in letters, and the model sees another text. */
static void refuses_a_template_whose_tokens_are_ordinary_text(void **state)
{
    static const char *const tokens[MAX_TOKENS] = {ORDINARY "<|im_start|>", "<|im_end|>"};
    const ls_message         m = {"user", "T", 1};
    vocab                    v = vocab_make(tokens, NULL);
    (void)state;
    check_refused("chatml", &m, 1, &v,
                  "template 'chatml' needs the token '<|im_start|>', which the model's vocabulary "
                  "lacks",
                  "try --prompt-template raw or auto");
    vocab_free(&v);
    check_auto(tokens, NULL, "raw");
}

static void refuses_messages_without_a_question_or_with_a_strange_role(void **state)
{
    static const ls_message system = {"system", "S", 1}, answer = {"assistant", "A", 1};
    static const ls_message strange[] = {{"user", "T", 1}, {"tool", "X", 1}};
    vocab                   v = vocab_make(every_token, NULL);
    (void)state;
    for (size_t i = 0; i < N_OF(expected); i++) {
        const char *name = expected[i].name;
        check_refused(name, NULL, 0, &v, "there is no user message", "");
        check_refused(name, &system, 1, &v, "there is no user message", "");
        check_refused(name, &answer, 1, &v, "there is no user message", "");
        check_refused(name, strange, 2, &v, "a message has the unknown role 'tool'", "");
    }
    vocab_free(&v);
}

/* ---- auto ---- */

/* Shortened to what is characteristic of the templates that models carry. */
#define JINJA_LLAMA3                                                                               \
    "{% for message in messages %}{{ '<|start_header_id|>' + message['role'] + "                   \
    "'<|end_header_id|>\n\n' + message['content'] | trim + '<|eot_id|>' }}{% endfor %}"
#define JINJA_CHATML                                                                               \
    "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + "                    \
    "message['content'] + '<|im_end|>' + '\n'}}{% endfor %}"
#define JINJA_BITNET                                                                               \
    "{% for message in messages %}{{ message['role'] | capitalize + ': ' + "                       \
    "message['content'] | trim + '<|eot_id|>' }}{% endfor %}{{ 'Assistant: ' }}"
#define JINJA_OTHER                                                                                \
    "{% for message in messages %}[INST] {{ message['content'] }} [/INST]{% endfor %}"

static void auto_goes_by_the_models_own_template(void **state)
{
    (void)state;
    check_auto(every_token, JINJA_LLAMA3, "llama3-chat");
    check_auto(every_token, JINJA_CHATML, "chatml");
    check_auto(every_token, JINJA_BITNET, "bitnet-chat");
    check_auto(every_token, JINJA_OTHER, "instruct");
    check_auto(no_tokens, JINJA_OTHER, "instruct");
    check_auto(eot_tokens, JINJA_BITNET, "bitnet-chat");
}

static void auto_goes_by_the_vocabulary_where_there_is_no_template(void **state)
{
    (void)state;
    check_auto(llama3_tokens, NULL, "llama3-chat");
    check_auto(chatml_tokens, NULL, "chatml");
    check_auto(every_token, NULL, "llama3-chat");
    check_auto(eot_tokens, NULL, "raw");
    check_auto(no_tokens, NULL, "raw");
}

/* A template that the vocabulary cannot serve is no reason to fail: auto goes on looking. */
static void auto_never_picks_what_cannot_be_applied(void **state)
{
    (void)state;
    check_auto(no_tokens, JINJA_LLAMA3, "raw");
    check_auto(no_tokens, JINJA_CHATML, "raw");
    check_auto(no_tokens, JINJA_BITNET, "raw");
    check_auto(chatml_tokens, JINJA_LLAMA3, "chatml");
    check_auto(llama3_tokens, JINJA_CHATML, "llama3-chat");
}

static void auto_serves_without_a_file(void **state)
{
    const ls_message m = {"user", "T", 1};
    vocab            v = vocab_make(chatml_tokens, JINJA_OTHER);
    ls_prompt        p;
    (void)state;
    assert_int_equal(ls_chat_apply(&p, "auto", &m, 1, v.t, NULL, NULL), LS_OK);
    assert_string_equal(p.template_name, "chatml");
    ls_prompt_fini(&p);
    vocab_free(&v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_the_bytes_flags_and_stops_of_every_template),
        cmocka_unit_test(names_every_template_and_then_auto),
        cmocka_unit_test(keeps_every_byte_of_a_message),
        cmocka_unit_test(takes_an_empty_message_without_text),
        cmocka_unit_test(leads_to_the_ids_that_the_flags_ask_for),
        cmocka_unit_test(refuses_an_unknown_name),
        cmocka_unit_test(refuses_a_template_whose_tokens_the_vocabulary_lacks),
        cmocka_unit_test(refuses_a_template_whose_tokens_are_ordinary_text),
        cmocka_unit_test(refuses_messages_without_a_question_or_with_a_strange_role),
        cmocka_unit_test(auto_goes_by_the_models_own_template),
        cmocka_unit_test(auto_goes_by_the_vocabulary_where_there_is_no_template),
        cmocka_unit_test(auto_never_picks_what_cannot_be_applied),
        cmocka_unit_test(auto_serves_without_a_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
