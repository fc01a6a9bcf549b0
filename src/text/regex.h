// SPDX-License-Identifier: MIT
/* regex.h - patterns that files bring along, over UTF-8 text. Private.
 *
 * tokenizer.json files have them in Oniguruma's syntax; PCRE2 takes nearly all of it. What means
 * something else there is translated (white space, word characters), what cannot be is refused.
 * Properties of characters are those of the installed PCRE2.
 */
#ifndef LS_TEXT_REGEX_H
#define LS_TEXT_REGEX_H

#include "lockstep/error.h"
#include "lockstep/types.h"

typedef struct ls_regex ls_regex;

/* literal: the pattern is a text, not an expression. Errors: FORMAT (what PCRE2 says), UNSUPPORTED,
 * NOMEM. */
ls_status ls_regex_create(ls_regex **out, ls_str pattern, bool literal, ls_error *err);
void      ls_regex_destroy(ls_regex *r); /* NULL is allowed */

/* Scratch of one thread, for texts of up to len bytes: longer ones are given up earlier. */
typedef struct ls_regex_match ls_regex_match;
ls_status ls_regex_match_create(ls_regex_match **out, const ls_regex *r, size_t len, ls_error *err);
void      ls_regex_match_destroy(ls_regex_match *m); /* NULL is allowed */

/* First match in the well-formed text from byte `at` on; *found tells whether there is one. An empty
 * match is one, too. Errors: LIMIT (the pattern takes too many steps), NOMEM. */
ls_status ls_regex_find(const ls_regex *r, ls_regex_match *m, ls_str text, size_t at, bool *found,
                        size_t *start, size_t *end, ls_error *err);

#endif
