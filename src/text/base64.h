// SPDX-License-Identifier: MIT
/* base64.h - bytes from their spelling in base64 (RFC 4648). Private. */
#ifndef LS_TEXT_BASE64_H
#define LS_TEXT_BASE64_H

#include "lockstep/types.h"

/* Writes at most text.len bytes to out. False: text is no base64. */
bool ls_base64_decode(ls_str text, char *out, size_t *n);

#endif
