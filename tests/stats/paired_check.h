/* paired_check.h: what the tests of stats/paired.h share. */
#ifndef PAIRED_CHECK_H
#define PAIRED_CHECK_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char paired_golden[] = "tests/golden/stats/paired.txt";

/* Relative, but for wants of exactly 0. */
static inline void near(const char *what, double got, double want, double tolerance) {
    if (got == want) return; /* infinities, too */
    const double error = want == 0 ? fabs(got) : fabs(got - want) / fabs(want);
    if (!(error <= tolerance))
        fail_msg("%s: got %.17g, want %.17g (relative error %.2g)", what, got, want, error);
}

static inline void within(const char *what, double got, double low, double high) {
    if (!(got >= low && got <= high))
        fail_msg("%s: got %.6g, which is not in %.6g .. %.6g", what, got, low, high);
}

static inline FILE *open_paired_golden(void) {
    FILE *f = fopen(paired_golden, "r");
    if (!f) fail_msg("cannot open %s", paired_golden);
    return f;
}

static inline void read_numbers(FILE *f, double *v, int n) {
    for (int i = 0; i < n; i++)
        if (fscanf(f, "%lf", &v[i]) != 1) fail_msg("%s: too few numbers", paired_golden);
}

/* A case of the golden file: differences, their clusters if any; the file then stands at the wanted
 * values. */
enum { MOST_ITEMS = 512 };
typedef struct paired_case {
    char name[64];
    int n, clustered;
    double d[MOST_ITEMS];
    int32_t ids[MOST_ITEMS];
} paired_case;

/* False at the end of the file. */
static inline int next_case(paired_case *c, FILE *f) {
    char line[4096];
    while (fgets(line, sizeof line, f)) {
        if (sscanf(line, "case %63s %d %d", c->name, &c->n, &c->clustered) != 3) continue;
        assert_true(c->n <= MOST_ITEMS);
        read_numbers(f, c->d, c->n);
        for (int i = 0; i < c->n && c->clustered; i++)
            assert_int_equal(fscanf(f, "%d", &c->ids[i]), 1);
        return 1;
    }
    return 0;
}
static inline const int32_t *ids_of(const paired_case *c) {
    return c->clustered ? c->ids : NULL;
}
#endif
