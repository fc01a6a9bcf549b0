// SPDX-License-Identifier: MIT
/* fuzz_template.c - any bytes as template name, system and user message: the prompt holds the
 * user's text byte for byte, or the failure says why. Parts are separated by zero bytes; a name of
 * one byte below 16 stands for the template of that number. */
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
    const char      *chosen = n_name == 1 && name[0] > 0 && name[0] < 16
                                  ? ls_chat_template_name((size_t)name[0] - 1)
                                  : name;
    const ls_message messages[2] = {{"system", system, n_system}, {"user", user, n_user}};
    status = ls_chat_apply(&p, chosen ? chosen : "none", messages, 2, tokenizers[which],
                           files[which], &err);
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
    enum { N_SEEDS = 16 };
    char *s;
    if (i >= N_SEEDS) return NULL;
    s = malloc(40);
    FUZZ_REQUIRE(s);
    *size = (size_t)sprintf(s, "%c%cYou are kind.%cHi%s <|eot_id|>", (int)i / 2 + 1, 0, 0,
                            i % 2 ? "!" : ""); /* the length of the message chooses the model */
    return (uint8_t *)s;
}
