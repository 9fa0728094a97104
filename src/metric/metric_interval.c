/* metric_interval.c: which interval suits which metric. */
#include "metric/family.h"

#include <math.h>
#include <string.h>

static double value_of(const void *ctx, const uint32_t *weights, void *scratch) {
    return as_metric_aggregate(ctx, weights, scratch).value;
}

static double value_of_cells(const void *ctx, const uint32_t *counts, void *scratch) {
    const as_metric *m = ctx;
    return m->of_cells(m, counts, scratch).value;
}

static int64_t successes(const as_metric *m) {
    int64_t k = 0;
    for (int64_t i = 0; i < m->p.n; i++)
        k += m->items[i] != 0;
    return k;
}

static as_status closed_form(as_interval *out, const as_metric *m, const int32_t *cluster,
                             const char *method, double level, as_err *err) {
    if (!m->proportion || cluster) {
        (void)as_fail(err, AS_USAGE, "%s: a %s interval is for shares of independent items",
                      m->signature, method);
        as_hint(err, "Choose bca or percentile, which suit every metric and clusters too.");
        return AS_USAGE;
    }
    if (!(level > 0 && level < 1))
        return as_fail(err, AS_USAGE, "interval level %g is not between 0 and 1", level);
    const bool exact = strcmp(method, "clopper-pearson") == 0;
    *out = exact ? as_interval_clopper_pearson(successes(m), m->p.n, level)
                 : as_interval_wilson(successes(m), m->p.n, level);
    return AS_OK;
}

as_status as_metric_interval(as_interval *out, const as_metric *m, const int32_t *cluster,
                             const as_bootstrap_opts *opts, as_err *err) {
    as_bootstrap_opts o = opts ? *opts : (as_bootstrap_opts){0};
    if (o.level == 0) o.level = 0.95;
    if (!o.method) o.method = m->proportion && !cluster ? "wilson" : "bca";
    *out = (as_interval){.low = NAN, .high = NAN, .level = o.level, .method = "none"};
    if (strcmp(o.method, "wilson") == 0 || strcmp(o.method, "clopper-pearson") == 0)
        return closed_form(out, m, cluster, o.method, o.level, err);
    const as_statistic s = {
        .value = value_of,
        .ctx = m,
        .scratch_bytes = m->scratch_bytes,
        .n = m->p.n,
        .cluster = cluster,
        .mean_items = m->items,
        .cells = m->cells,
        .cell_items = m->cell_items,
        .cell_value = m->of_cells ? value_of_cells : NULL,
    };
    return as_interval_bootstrap(out, &s, &o, err);
}
