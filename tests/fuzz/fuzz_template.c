// SPDX-License-Identifier: MIT
/* fuzz_template.c - any bytes as template name, system and user message: the prompt holds the user's
 * text byte for byte, or the failure says why. Parts are separated by zero bytes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz/fuzz.h"
#include "lockstep/lockstep.h"

static const char *const models[] = {"stories260K.gguf", "fables-llama-5m-Q8_0.gguf"};

/* The bytes up to the next zero as an owned string; *p moves behind it. */
static char *part(const uint8_t **p, size_t *left, size_t *len)
{
    const uint8_t *end = memchr(*p, 0, *left);
    char          *s;
    *len = end ? (size_t)(end - *p) : *left;
    s = malloc(*len + 1);
    FUZZ_REQUIRE(s);
    if (*len) memcpy(s, *p, *len);
    s[*len] = '\0';
    *p += *len + (end != NULL);
    *left -= *len + (end != NULL);
    return s;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static ls_gguf      *files[2];
    static ls_tokenizer *tokenizers[2];
    size_t               n_name, n_system, n_user, which;
    char                *name, *system, *user;
    ls_prompt            p = {0};
    ls_error             err = {0};
    ls_status            status;

    for (size_t i = 0; i < 2 && !tokenizers[i]; i++) {
        char path[512];
        snprintf(path, sizeof(path), LS_SOURCE_DIR "/models/%s", models[i]);
        FUZZ_REQUIRE(ls_gguf_open(&files[i], path, NULL) == LS_OK);
        FUZZ_REQUIRE(ls_tokenizer_create(&tokenizers[i], files[i], NULL) == LS_OK);
    }
    name = part(&data, &size, &n_name);
    system = part(&data, &size, &n_system);
    user = part(&data, &size, &n_user);
    which = n_user % 2;
    const ls_message messages[2] = {{"system", system, n_system}, {"user", user, n_user}};
    status = ls_chat_apply(&p, name, messages, 2, tokenizers[which], files[which], &err);
    if (status == LS_OK) {
        FUZZ_REQUIRE(p.text && strlen(p.text) == p.len && p.template_name);
        FUZZ_REQUIRE(memmem(p.text, p.len, user, n_user));
        ls_prompt_fini(&p);
    } else {
        FUZZ_REQUIRE(status == LS_ERR_TEMPLATE && err.what[0]);
    }
    free(name);
    free(system);
    free(user);
    return 0;
}

uint8_t *fuzz_seed(size_t i, size_t *size)
{
    const char *name = ls_chat_template_name(i);
    char       *s;
    if (!name) return NULL;
    s = malloc(strlen(name) + 40);
    FUZZ_REQUIRE(s);
    *size = (size_t)sprintf(s, "%s%cYou are kind.%cHi <|eot_id|>", name, 0, 0);
    return (uint8_t *)s;
}
