// SPDX-License-Identifier: MIT
/* offer.c - a command line that can be copied, and a question with two answers. */
#include "cli/offer.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/framework.h"
#include "cli/text.h"

/* ---- the command ---- */

static bool is_plain(const char *word)
{
    static const char plain[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./:,@%+=";
    return *word && *word != '=' && word[strspn(word, plain)] == '\0';
}

/* Whether it can stand between single quotes on a terminal: text without control characters. */
static bool is_clean(ls_str s)
{
    for (size_t i = 0; i < s.len;) {
        char   out[8];
        size_t n_out, n = cli_clean_one(s.p + i, s.len - i, out, &n_out);
        if (n_out != n || memcmp(out, s.p + i, n) != 0) return false;
        i += n;
    }
    return true;
}

/* Between $' and '. */
static void put_escaped(FILE *f, ls_str s)
{
    for (size_t i = 0; i < s.len;) {
        char   out[8];
        size_t n_out, n = cli_clean_one(s.p + i, s.len - i, out, &n_out);
        if (s.p[i] == '\'' || s.p[i] == '\\') fputc('\\', f);
        fwrite(out, 1, n_out, f);
        i += n;
    }
}

static void put_word(FILE *f, const char *word)
{
    ls_str s = {word, strlen(word)};
    if (is_plain(word)) {
        fputs(word, f);
    } else if (is_clean(s) && !strchr(word, '\'')) {
        fprintf(f, "'%s'", word);
    } else {
        fputs("$'", f);
        put_escaped(f, s);
        fputc('\'', f);
    }
}

char *cli_command_line(const cli_context *ctx, const char *option)
{
    char  *text = NULL, name[64];
    size_t len;
    FILE  *f = open_memstream(&text, &len);
    if (!f) return NULL;
    fprintf(f, "lockstep %s %s", cli_command_name(ctx->command, name, sizeof(name)), option);
    for (size_t i = 0; i < ctx->n_words; i++) {
        fputc(' ', f);
        put_word(f, ctx->words[i]);
    }
    if (fclose(f) == 0) return text;
    free(text);
    return NULL;
}

/* ---- the question ---- */

bool cli_can_ask(const cli_context *ctx)
{
    return !ctx->quiet && !ctx->env->ci && isatty(STDIN_FILENO) && isatty(STDERR_FILENO);
}

bool cli_ask(const char *question)
{
    char line[64];
    fflush(stdout);
    cli_progress_erase();
    fprintf(stderr, "%s [Y/n] ", question);
    fflush(stderr);
    if (!fgets(line, sizeof(line), stdin)) {
        fputc('\n', stderr);
        return false;
    }
    return line[0] == '\n' || line[0] == 'y' || line[0] == 'Y';
}
