// SPDX-License-Identifier: MIT
/* tolerances.h - lockstep/tolerances.def for tables of options: the defaults as text, cli_text_cos_tol and so
 * on, and the initializer of a budget. */
#ifndef LS_CLI_TOLERANCES_H
#define LS_CLI_TOLERANCES_H

#define LS_TOLERANCE(field, value, what) static const char cli_text_##field[] = #value;
#include "lockstep/tolerances.def"
#undef LS_TOLERANCE

#endif
