// SPDX-License-Identifier: MIT
/* cosine.c - the worst cosine of two files of float rows.   usage: cosine A B FLOATS_PER_ROW */
#include <math.h>
#include <stdlib.h>

#include "support/files.h"

int main(int argc, char **argv)
{
    size_t       na = 0, nb = 0, width = argc == 4 ? strtoul(argv[3], NULL, 10) : 0;
    void        *fa = width ? file_read(argv[1], &na) : NULL;
    void        *fb = width ? file_read(argv[2], &nb) : NULL;
    const float *a = fa, *b = fb;
    long double  worst = 1;
    if (!a || na != nb || na == 0 || na % (width * sizeof(*a))) {
        fprintf(stderr, "cosine: no two files of equally many rows\n");
        return 1;
    }
    for (size_t row = 0; row < na / sizeof(*a); row += width) {
        long double ab = 0, aa = 0, bb = 0;
        for (size_t i = row; i < row + width; i++) {
            ab += (long double)a[i] * (long double)b[i];
            aa += (long double)a[i] * (long double)a[i];
            bb += (long double)b[i] * (long double)b[i];
        }
        if (!(ab / sqrtl(aa * bb) >= worst)) worst = ab / sqrtl(aa * bb);
    }
    printf("%.9Lf\n", worst);
    free(fa);
    free(fb);
    return 0;
}
