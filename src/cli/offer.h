// SPDX-License-Identifier: MIT
/* offer.h - what could be done next: the command for it, and the question whether to do it now. */
#ifndef LS_CLI_OFFER_H
#define LS_CLI_OFFER_H

#include "cli/cli.h"

/* The command line as it was given, with `option` put first: words that a shell would change are quoted, and
 * nothing in it acts on a terminal ($'\x1b', as bash, zsh and ksh read it). Owned (free); NULL: no memory. */
char *cli_command_line(const cli_context *ctx, const char *option);

/* Whether somebody is there to be asked: standard input and standard error are terminals, and neither --quiet
 * nor the environment variable CI says otherwise. */
bool cli_can_ask(const cli_context *ctx);
/* Ask on standard error. An empty line and one that begins with y mean yes; the end of the input no. */
bool cli_ask(const char *question);

#endif
