#include "stats/paired_units.h"

#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

static int compare_int32(const void *a, const void *b) {
    const int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
    return (x > y) - (x < y);
}

static as_status index_clusters(as_units *u, int64_t n, const int32_t *cluster, as_err *err) {
    int32_t *ids = as_alloc((size_t)n, sizeof *ids);
    u->of = as_alloc((size_t)n, sizeof *u->of);
    if (!ids || !u->of) {
        as_free(ids);
        return as_fail_nomem(err, "clusters", (size_t)n * 2 * sizeof *ids);
    }
    memcpy(ids, cluster, (size_t)n * sizeof *ids);
    qsort(ids, (size_t)n, sizeof *ids, compare_int32);
    u->count = 0;
    for (int64_t i = 0; i < n; i++)
        if (i == 0 || ids[i] != ids[i - 1]) ids[u->count++] = ids[i];
    for (int64_t i = 0; i < n; i++) {
        const int32_t *at = bsearch(&cluster[i], ids, (size_t)u->count, sizeof *ids, compare_int32);
        u->of[i] = (int32_t)(at - ids);
    }
    as_free(ids);
    return AS_OK;
}

as_status as_units_of(as_units *out, int64_t n, const int32_t *cluster, const double *x,
                      as_err *err) {
    *out = (as_units){.count = n};
    if (n < 0 || n > INT32_MAX)
        return as_fail(err, AS_USAGE, "%lld items are more than can be compared", (long long)n);
    if (!cluster || n == 0) return AS_OK;
    as_status status = index_clusters(out, n, cluster, err);
    if (status != AS_OK || !x) goto done;
    out->sum = as_calloc((size_t)out->count, sizeof *out->sum);
    out->size = as_calloc((size_t)out->count, sizeof *out->size);
    if (!out->sum || !out->size) {
        status = as_fail_nomem(err, "cluster sums", (size_t)out->count * 2 * sizeof *out->sum);
        goto done;
    }
    for (int64_t i = 0; i < n; i++) {
        out->sum[out->of[i]] += x[i];
        out->size[out->of[i]] += 1;
    }
done:
    if (status != AS_OK) as_units_free(out);
    return status;
}

void as_units_free(as_units *u) {
    as_free(u->of);
    as_free(u->sum);
    as_free(u->size);
    *u = (as_units){0};
}
