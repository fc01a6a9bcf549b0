// SPDX-License-Identifier: MIT
/* open.c - a tokenizer from a file of any kind, told by its content: GGUF, tokenizer.json, or
 * SentencePiece's tokenizer.model. A folder is what a session on it would read; where it is no
 * model (no weights beside the tokenizer, or of an architecture that is not evaluated), the
 * tokenizer.json or tokenizer.model in it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/map.h"
#include "base/mem.h"
#include "text/sp.h"
#include "text/tj.h"

enum { MAX_PATH = 4096, MAX_FILE = 512 << 20 };

static bool is_folder(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static bool find_in(char *out, const char *folder)
{
    static const char *const names[] = {"tokenizer.json", "tokenizer.model"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        int n = snprintf(out, MAX_PATH, "%s/%s", folder, names[i]);
        if (n > 0 && n < MAX_PATH && access(out, F_OK) == 0) return true;
    }
    return false;
}

/* The tokenizer_config.json beside a file; *text is NULL where there is none. */
static ls_status read_config(const char *path, char **text, size_t *len, ls_error *err)
{
    const char *slash = strrchr(path, '/');
    char        config[MAX_PATH];
    int         n = snprintf(config, sizeof(config), "%.*stokenizer_config.json",
                     slash ? (int)(slash + 1 - path) : 0, path);
    *text = NULL;
    *len = 0;
    if (n < 0 || n >= MAX_PATH || access(config, R_OK) != 0) return LS_OK;
    return ls_read_file(text, len, config, err);
}

static bool looks_like_json(const char *p, size_t n)
{
    static const char bom[] = "\xef\xbb\xbf";
    if (n >= 3 && !memcmp(p, bom, 3)) return true; /* then it is refused as JSON, with the place */
    while (n && (*p == ' ' || *p == '\t' || *p == '\n' || *p == '\r')) {
        p++;
        n--;
    }
    return n && *p == '{';
}

static ls_status open_json(ls_tokenizer *t, const char *path, char *text, size_t len, ls_error *err)
{
    char     *config = NULL;
    size_t    n = 0;
    ls_status status = read_config(path, &config, &n, err);
    if (status == LS_OK) {
        status = ls_tj_open(t, path, (ls_str){text, len}, (ls_str){config, n}, err);
    }
    free(config);
    free(text);
    return status;
}

static ls_status open_file(ls_tokenizer **out, const char *path, ls_error *err)
{
    ls_tokenizer *t;
    char         *bytes;
    size_t        len;
    ls_status     status;
    LS_TRY(ls_alloc(&t, 1, sizeof(*t), "a tokenizer", err));
    status = ls_read_file(&bytes, &len, path, err);
    if (status == LS_OK && looks_like_json(bytes, len)) {
        status = open_json(t, path, bytes, len, err);
    } else if (status == LS_OK) {
        status = ls_sp_open(t, path, bytes, len, err);
        if (status == LS_OK) status = ls_special_init(t, err);
    }
    if (status != LS_OK) {
        ls_tokenizer_destroy(t);
        return status;
    }
    *out = t;
    return LS_OK;
}

static ls_status open_model(ls_tokenizer **out, const char *path, ls_error *err)
{
    ls_gguf  *g;
    ls_status status;
    LS_TRY(ls_gguf_open(&g, path, err));
    status = ls_tokenizer_create(out, g, err);
    if (status == LS_OK) {
        (*out)->own_gguf = g;
    } else {
        ls_gguf_close(g);
    }
    return status;
}

static ls_status open_folder(ls_tokenizer **out, const char *path, ls_error *err)
{
    char      found[MAX_PATH];
    ls_status status = open_model(out, path, err);
    if (status == LS_OK || status == LS_ERR_NOMEM || !find_in(found, path)) return status;
    *err = (ls_error){0};
    return open_file(out, found, err);
}

/* A file whose content is a tokenizer's and no model's: JSON that is no config.json, or a message
 * whose first field is a piece. What is neither is for those who tell formats apart. */
static ls_status is_tokenizer(const char *path, bool *yes, ls_error *err)
{
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    ls_map      map;
    *yes = false;
    if (strcmp(name, "config.json") == 0) return LS_OK;
    LS_TRY(ls_map_open(&map, path, err));
    *yes = looks_like_json((const char *)map.data, map.size) ||
           (map.size > 2 && map.data[0] == 0x0a && map.size <= MAX_FILE);
    ls_map_close(&map);
    return LS_OK;
}

ls_status ls_tokenizer_open(ls_tokenizer **out, const char *path, ls_error *err)
{
    bool yes = false;
    *out = NULL;
    if (is_folder(path)) return open_folder(out, path, err);
    LS_TRY(is_tokenizer(path, &yes, err));
    return yes ? open_file(out, path, err) : open_model(out, path, err);
}
