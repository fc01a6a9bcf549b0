// SPDX-License-Identifier: MIT
/* archs.c - the list of all architectures. */
#include <stdio.h>

#include "model/arch.h"

#define LS_ARCH(name) extern const ls_arch ls_arch_##name;
#include "arch/archs.def"
#undef LS_ARCH

static const ls_arch *const archs[] = {
#define LS_ARCH(name) &ls_arch_##name,
#include "arch/archs.def"
#undef LS_ARCH
};

const ls_arch *ls_arch_find(ls_str name)
{
    for (size_t i = 0; i < sizeof(archs) / sizeof(archs[0]); i++) {
        if (ls_str_is(name, archs[i]->name)) return archs[i];
    }
    return NULL;
}

const ls_arch *ls_arch_at(size_t i)
{
    return i < sizeof(archs) / sizeof(archs[0]) ? archs[i] : NULL;
}

const char *ls_arch_names(char *buf, size_t cap)
{
    size_t n = 0;
    for (size_t i = 0; ls_arch_at(i) && n < cap; i++) {
        n += (size_t)snprintf(buf + n, cap - n, "%s%s", i ? ", " : "", ls_arch_at(i)->name);
    }
    return buf;
}
