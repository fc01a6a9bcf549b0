// SPDX-License-Identifier: MIT
/* json_get.c - values out of a JSON file, for test scripts.
 *
 *   usage: json_get FILE PATH...      PATH: keys and indices with dots ("positions.3.ok"); a last
 *                                     component '#' is a length. Prints one value a line; exits 1
 *                                     when a path is not there, 2 when the file is no JSON. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const json_t *step(const json_t *j, const char *name)
{
    if (json_is_array(j)) return json_array_get(j, (size_t)strtoul(name, NULL, 10));
    return json_object_get(j, name);
}

static int print(const json_t *j)
{
    char *text;
    if (json_is_string(j)) {
        puts(json_string_value(j));
        return 0;
    }
    text = json_dumps(j, JSON_ENCODE_ANY | JSON_COMPACT);
    if (!text) return 1;
    puts(text);
    free(text);
    return 0;
}

int main(int argc, char **argv)
{
    json_error_t err;
    json_t      *root = argc > 1 ? json_load_file(argv[1], JSON_REJECT_DUPLICATES, &err) : NULL;
    if (!root) {
        fprintf(stderr, "json_get: '%s' is no JSON document\n", argc > 1 ? argv[1] : "");
        return 2;
    }
    for (int i = 2; i < argc; i++) {
        const json_t *j = root;
        char         *rest = NULL;
        for (char *name = strtok_r(argv[i], ".", &rest); name && j;
             name = strtok_r(NULL, ".", &rest)) {
            if (strcmp(name, "#") == 0) {
                printf("%zu\n", json_is_array(j) ? json_array_size(j) : json_object_size(j));
                goto next;
            }
            j = step(j, name);
        }
        if (!j || print(j) != 0) {
            fprintf(stderr, "json_get: '%s' has no such value\n", argv[1]);
            return 1;
        }
    next:;
    }
    json_decref(root);
    return 0;
}
