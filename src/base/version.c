// SPDX-License-Identifier: MIT
/* version.c - the version of the library. */
#include "lockstep/lockstep.h"

const char *ls_version(void) { return LS_VERSION; }
