// SPDX-License-Identifier: MIT
/* norm_gate.h - are the norm weights of a model of the size that its kind of model has?
 *
 * A conversion that forgets to add 1 to the weights of a norm, or that multiplies a scale in twice, shows
 * in the RMS of these vectors before it shows anywhere else. A rule set says which RMS is plausible.
 */
#ifndef LS_CLI_NORM_GATE_H
#define LS_CLI_NORM_GATE_H

#include "cli/cli_json.h"
#include "lockstep/lockstep.h"

enum { GATE_MAX_RULES = 16 };

typedef struct gate_rule {
    char   pattern[96]; /* POSIX extended regular expression on the tensor's name */
    double min, max;    /* of the RMS */
} gate_rule;

typedef struct gate_rules {
    char      name[64];
    gate_rule norms[GATE_MAX_RULES]; /* the first that matches counts */
    size_t    n_norms;
    double    proj_min, proj_max; /* matrices of the layers; both 0: any */
} gate_rules;

/* The built-in set for this file: by architecture and file type. */
const gate_rules *gate_rules_for(const ls_gguf *g);
/* The set `key` of a policy file: {"version": 1, "rules": {KEY: {"name", "ln": [{"pattern", "min",
 * "max"}], "proj_weight_rms_min", "proj_weight_rms_max"}}}. Errors: IO, FORMAT. */
ls_status gate_rules_read(gate_rules *out, const char *path, const char *key, ls_error *err);

typedef struct gate_report {
    size_t  n_norms, n_proj, bad_norms, bad_proj;
    json_t *tensors; /* owned by the caller: name, kind, rms, status */
} gate_report;

/* Look at every norm and every matrix of the layers. rules NULL: statistics alone. Prints a line for
 * each where `text`. Errors: NOMEM, UNSUPPORTED (a type that is not decoded). */
ls_status gate_run(gate_report *out, const ls_gguf *g, const gate_rules *rules, bool text,
                   ls_error *err);

#endif
