// SPDX-License-Identifier: MIT
/* refusals.h - files that are wrong in one way each, written into the folder of a test, and what is
 * said about them: a line "name, status, sentence, place" of tests/golden/errors/NAME.expect. */
#ifndef TESTS_REFUSALS_H
#define TESTS_REFUSALS_H

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lockstep/error.h"
#include "support/files.h"

static char folder[200];

static inline const char *in_folder(const char *name)
{
    static char path[300];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    return path;
}

static inline void write_text(const char *name, const char *text)
{
    if (text) {
        file_write(in_folder(name), text, strlen(text));
    } else {
        unlink(in_folder(name));
    }
}

/* ---- comparing with what stands in the .expect file ---- */

typedef struct expectation {
    char  *text;
    size_t n, n_cases, n_wrong;
} expectation;

static inline void read_expectation(expectation *e, const char *name)
{
    char path[512];
    *e = (expectation){0};
    snprintf(path, sizeof(path), "%s/tests/golden/errors/%s", LS_SOURCE_DIR, name);
    e->text = (char *)file_read(path, &e->n);
    e->text[e->n] = '\0';
}

/* The line of a case: "name<tab>status<tab>sentence<tab>place", the folder written as @. */
static inline void check_line(expectation *e, const char *name, ls_status status, const ls_error *err)
{
    char        line[1400];
    const char *where = err->where, *at = strstr(where, folder);
    size_t      len = strlen(name), n;
    const char *want = e->text;
    if (at == where) where += strlen(folder);
    n = (size_t)snprintf(line, sizeof(line), "%s\t%s\t%s\t%s%s\n", name, ls_status_name(status),
                         err->what, at == err->where ? "@" : "", where);
    e->n_cases++;
    while (want && *want && !(strncmp(want, name, len) == 0 && want[len] == '\t')) {
        want = strchr(want, '\n');
        want = want ? want + 1 : NULL;
    }
    if (!want || strncmp(want, line, n) != 0) {
        print_error("unexpected: %s", line);
        e->n_wrong++;
    }
    if (ls_exit_code(status, err) != 5 || err->where[0] == '\0') {
        print_error("%s: exit code %d, place '%s'\n", name, ls_exit_code(status, err), err->where);
        e->n_wrong++;
    }
}

static inline void end_expectation(expectation *e)
{
    size_t n_lines = 0;
    for (size_t i = 0; i < e->n; i++) n_lines += e->text[i] == '\n';
    free(e->text);
    assert_int_equal(e->n_wrong, 0);
    assert_int_equal(n_lines, e->n_cases);
}

static inline int make_folder(void **state)
{
    (void)state;
    snprintf(folder, sizeof(folder), "/tmp/lockstep-bad-XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static inline int remove_folder(void **state)
{
    char command[300];
    (void)state;
    snprintf(command, sizeof(command), "rm -rf '%s'", folder);
    return system(command);
}

#endif
