// SPDX-License-Identifier: MIT
/* error.h - errors are values: a status, what went wrong, where, and what to do next.
 *
 * Every function that can fail returns ls_status and takes an ls_error as its last
 * argument (NULL: the text is not wanted). The innermost frame that knows the fact
 * fills `what`; outer frames fill `where` and `hint` only where they are still empty.
 */
#ifndef LOCKSTEP_ERROR_H
#define LOCKSTEP_ERROR_H

#include "lockstep/export.h"

/* Values are stable; new ones are appended. */
typedef enum ls_status {
    LS_OK = 0,
    LS_ERR_USAGE,       /* the caller or the command line is wrong                     */
    LS_ERR_IO,          /* the system refused: sys_errno is set                        */
    LS_ERR_FORMAT,      /* a file breaks its own specification                         */
    LS_ERR_UNSUPPORTED, /* well-formed, but Lockstep does not implement it             */
    LS_ERR_LIMIT,       /* a bound was exceeded: context length, memory cap, disk      */
    LS_ERR_NOMEM,       /* an allocation failed                                        */
    LS_ERR_REFERENCE,   /* the reference engine is absent, crashed, hung or spoke junk */
    LS_ERR_TEMPLATE,    /* a prompt template is unknown or cannot be applied           */
    LS_ERR_CANCELLED,   /* the user interrupted                                        */
    LS_ERR_INTERNAL,    /* a bug in Lockstep; please report                            */
} ls_status;

/* Fixed size, so that reporting an error never allocates and never fails. */
typedef struct ls_error {
    ls_status status;
    int       sys_errno;  /* errno for LS_ERR_IO, else 0                   */
    char      what[512];  /* one sentence: what could not be done and why  */
    char      where[512]; /* file and byte, tensor, argument; may be empty */
    char      hint[512];  /* what the user can do next; may be empty       */
} ls_error;

/* Record an error and return `status`, so that `return ls_fail(err, ...)` works.
 * Does nothing but return `status` when err is NULL or already holds an error. */
LS_API ls_status ls_fail(ls_error *err, ls_status status, const char *fmt, ...) LS_PRINTF(3, 4);

/* As ls_fail with LS_ERR_IO: keeps `sys_errno` and appends its text to the sentence. */
LS_API ls_status ls_fail_errno(ls_error *err, int sys_errno, const char *fmt, ...) LS_PRINTF(3, 4);

/* Fill `where` (or `hint`) if an error is recorded and the field is still empty.
 * Both return the recorded status; LS_ERR_INTERNAL when err is NULL. */
LS_API ls_status ls_fail_at(ls_error *err, const char *fmt, ...) LS_PRINTF(2, 3);
LS_API ls_status ls_fail_hint(ls_error *err, const char *fmt, ...) LS_PRINTF(2, 3);

/* Forget a recorded error. NULL is allowed. */
LS_API void ls_error_clear(ls_error *err);

/* A short lower-case name of a status ("format"), for JSON. Never NULL. */
LS_API const char *ls_status_name(ls_status status);

/* Process exit code of a failure, the public contract in README.md. LS_OK gives 0;
 * `err` (may be NULL) lets a full disk be told from an unreadable file. */
LS_API int ls_exit_code(ls_status status, const ls_error *err);

#define LS_TRY(expr)                                                                               \
    do {                                                                                           \
        ls_status ls_try_status_ = (expr);                                                         \
        if (ls_try_status_ != LS_OK) return ls_try_status_;                                        \
    } while (0)

#endif
