/* interval.c: closed-form intervals of a proportion. */
#include "stats/interval.h"

#include <math.h>

/* NULL, or why there is no interval. */
static const char *proportion_problem(int64_t k, int64_t n, double level) {
    if (n <= 0) return "no items";
    if (k < 0 || k > n) return "more successes than items";
    if (!(level > 0.0 && level < 1.0)) return "the level is not between 0 and 1";
    return NULL;
}

as_interval as_interval_wilson(int64_t k, int64_t n, double level) {
    as_interval out = {.low = NAN, .high = NAN, .level = level, .method = "wilson"};
    out.why = proportion_problem(k, n, level);
    if (out.why) return out;
    const double size = (double)n, p = (double)k / size;
    const double z = -as_normal_quantile((1.0 - level) / 2), z2 = z * z;
    const double middle = (p + z2 / (2 * size)) / (1 + z2 / size);
    const double half = z * sqrt(p * (1 - p) / size + z2 / (4 * size * size)) / (1 + z2 / size);
    /* At the edges the formula gives 0 and 1 up to rounding. */
    out.low = k == 0 ? 0.0 : middle - half;
    out.high = k == n ? 1.0 : middle + half;
    return out;
}

as_interval as_interval_clopper_pearson(int64_t k, int64_t n, double level) {
    as_interval out = {.low = NAN, .high = NAN, .level = level, .method = "clopper-pearson"};
    out.why = proportion_problem(k, n, level);
    if (out.why) return out;
    const double tail = (1.0 - level) / 2, wins = (double)k, losses = (double)(n - k);
    out.low = k == 0 ? 0.0 : as_beta_quantile(tail, wins, losses + 1);
    out.high = k == n ? 1.0 : as_beta_quantile(1.0 - tail, wins + 1, losses);
    return out;
}
