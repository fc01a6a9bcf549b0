// SPDX-License-Identifier: MIT
/* faults.h - what test adapters do wrong, chosen by the environment variable LS_FAKE_FAULT.
 *
 * Linked into adapters built from ref_main.c with -Wl,--wrap=send: the adapter's own code stays
 * as it is shipped, and what it sends is spoilt on the way out. The value is a name of the table
 * in faults.c, or NAME@POSITION for the faults of logits.
 */
#ifndef TESTS_FAULTS_H
#define TESTS_FAULTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ref_protocol.h"

/* Is this the fault that was asked for? */
bool fault_is(const char *name);

/* Act on the faults of evaluation: "eval-crash", "eval-abort", "eval-hang", "eval-exit". */
void fault_eval(void);

/* Act on the faults of taps: "tap-hang", "tap-exit", "tap-flood" (sends it for ever and reads no
 * answer; n_floats are its values). */
void fault_tap(const ls_ref_tap *tap, const float *data, size_t n_floats);

/* Spoil a row of logits: "nan", "inf", "scale", "add", "rotate", each at every position or at
 * the one after '@'. */
void fault_row(float *row, int32_t n, int32_t pos);

#endif
