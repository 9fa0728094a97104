/* paired_units.h: what changes sides together: items, or whole clusters of them. */
#ifndef AS_STATS_PAIRED_UNITS_H
#define AS_STATS_PAIRED_UNITS_H

#include "base/status.h"
#include <stdint.h>

typedef struct as_units {
    int64_t count;             /* items, or distinct clusters in the order of their ids */
    int32_t *of;               /* [n] unit of each item; NULL without clusters: unit = item */
    double *sum, *size;        /* [count] sum of x and number of items of each unit; NULL where not asked for */
} as_units;

/* Units of n items; with x [n] the sums and sizes of clusters, too (without clusters they stay NULL: x itself and 1).
 * cluster ids may be any int32, in any order. n < 2^31. On failure nothing is left to free. */
as_status as_units_of(as_units *out, int64_t n, const int32_t *cluster, const double *x, as_err *err) AS_CHECKED;
void as_units_free(as_units *u);
#endif
