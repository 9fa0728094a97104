/* adjust.c: p values of several comparisons, adjusted. */
#include "base/mem.h"
#include "stats/paired.h"

#include <math.h>
#include <stdlib.h>

typedef struct ranked {
    double p;
    int64_t at;
} ranked;

/* Ties by position: the order is the same with every qsort. */
static int compare_ranked(const void *a, const void *b) {
    const ranked *x = a, *y = b;
    if (x->p != y->p) return x->p < y->p ? -1 : 1;
    return x->at < y->at ? -1 : x->at > y->at;
}

/* The p values that are numbers, ascending, in *sorted (owned by the caller); *count of them. */
static as_status sort_p(ranked **sorted, int64_t *count, const double *p, int64_t m, as_err *err) {
    *sorted = NULL;
    *count = 0;
    if (m < 0) return as_fail(err, AS_USAGE, "%lld p values to adjust", (long long)m);
    for (int64_t i = 0; i < m; i++)
        if (p[i] < 0 || p[i] > 1) {
            (void)as_fail(err, AS_USAGE, "p value %lld is %g, not between 0 and 1",
                          (long long)i + 1, p[i]);
            as_hint(err, "Give the tests' p values as they came, and NaN where there is none.");
            return AS_USAGE;
        }
    *sorted = as_alloc((size_t)m, sizeof **sorted);
    if (!*sorted) return as_fail_nomem(err, "p values", (size_t)m * sizeof **sorted);
    for (int64_t i = 0; i < m; i++)
        if (!isnan(p[i])) (*sorted)[(*count)++] = (ranked){p[i], i};
    if (*count > 0) qsort(*sorted, (size_t)*count, sizeof **sorted, compare_ranked);
    return AS_OK;
}

static void copy_undefined(double *adjusted, const double *p, int64_t m) {
    for (int64_t i = 0; i < m; i++)
        if (isnan(p[i])) adjusted[i] = NAN;
}

as_status as_adjust_holm(double *adjusted, const double *p, int64_t m, as_err *err) {
    ranked *sorted;
    int64_t count;
    AS_TRY(sort_p(&sorted, &count, p, m, err));
    copy_undefined(adjusted, p, m);
    double most = 0;
    for (int64_t i = 0; i < count; i++) {
        most = fmax(most, fmin(1, (double)(count - i) * sorted[i].p));
        adjusted[sorted[i].at] = most;
    }
    as_free(sorted);
    return AS_OK;
}

as_status as_adjust_benjamini_hochberg(double *adjusted, const double *p, int64_t m, as_err *err) {
    ranked *sorted;
    int64_t count;
    AS_TRY(sort_p(&sorted, &count, p, m, err));
    copy_undefined(adjusted, p, m);
    double least = 1;
    for (int64_t i = count - 1; i >= 0; i--) {
        least = fmin(least, (double)count * sorted[i].p / (double)(i + 1));
        adjusted[sorted[i].at] = least;
    }
    as_free(sorted);
    return AS_OK;
}
