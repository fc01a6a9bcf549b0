// SPDX-License-Identifier: MIT
/* machine.c - which loops measure the limits of a processor: their names, and whether each of them
 * counted anything. How fast they are means nothing on an emulated one. */
#include <stdio.h>

#include "lockstep/bench.h"

static int show(const char *what, const ls_peak *p)
{
    printf("%s: %s\n", what, p->per_second > 0 ? p->how : "nothing");
    return p->per_second > 0 ? 0 : 1;
}

int main(void)
{
    const ls_limits_options opt = {
        .n_threads = 1, .buffer_bytes = (size_t)4 << 20, .seconds = 0.005};
    ls_machine machine;
    ls_limits  limits;
    ls_error   err;
    ls_machine_describe(&machine);
    printf("has: %s\n", machine.features);
    if (ls_limits_measure(&limits, &opt, &err)) {
        fprintf(stderr, "machine: %s\n", err.what);
        return 1;
    }
    printf("read: %s\n", limits.read_bytes > 0 ? "yes" : "nothing");
    return show("int8", &limits.int8) | show("fp32", &limits.fp32) | !(limits.read_bytes > 0);
}
