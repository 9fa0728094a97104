/* paired_proportions.c: two systems with 0/1 scores on the same items. Only the discordant items
 * speak. */
#include "stats/paired.h"
#include "stats/special.h"

#include <math.h>

static as_test begin_test(const char *method, int64_t only_a, int64_t only_b) {
    as_test t = {.p = NAN, .statistic = NAN, .df = NAN, .method = method};
    if (only_a < 0 || only_b < 0) t.why = "a count is negative";
    return t;
}

as_test as_mcnemar_exact(int64_t only_a, int64_t only_b) {
    as_test t = begin_test("mcnemar exact", only_a, only_b);
    if (t.why) return t;
    const int64_t least = only_a < only_b ? only_a : only_b;
    t.statistic = (double)least;
    t.p = only_a == only_b ? 1 : fmin(1, 2 * as_binomial_cdf(least, only_a + only_b, 0.5, 0.5));
    return t;
}

/* P(more extreme) + P(as extreme) / 2: where the counts are equal, that is 1 - mass / 2, as in the
 * paper's supplement. Without discordant items the formula would give 0.5; nothing was seen, so p
 * is 1. */
as_test as_mcnemar_mid_p(int64_t only_a, int64_t only_b) {
    as_test t = begin_test("mcnemar mid-p", only_a, only_b);
    if (t.why) return t;
    const int64_t least = only_a < only_b ? only_a : only_b, n = only_a + only_b;
    const double mass = as_binomial_mass(least, n, 0.5, 0.5);
    t.statistic = (double)least;
    if (only_a == only_b)
        t.p = n == 0 ? 1 : 1 - 0.5 * mass;
    else /* from the tail below, so that a small p keeps its digits */
        t.p = 2 * as_binomial_cdf(least - 1, n, 0.5, 0.5) + mass;
    return t;
}

/* Differs: statsmodels divides by zero without discordant items and gives NaN; the exact test's 1
 * is given here. */
as_test as_mcnemar_chi2(int64_t only_a, int64_t only_b, bool corrected) {
    as_test t = begin_test(corrected ? "mcnemar chi-squared, corrected" : "mcnemar chi-squared",
                           only_a, only_b);
    if (t.why) return t;
    t.df = 1;
    const double n = (double)only_a + (double)only_b;
    const double gap = fabs((double)only_a - (double)only_b) - (corrected ? 1 : 0);
    t.statistic = n == 0 ? 0 : gap * gap / n;
    t.p = as_chi2_sf(t.statistic, 1);
    return t;
}

/* Newcombe's correlation of the two systems being right; a positive one is shrunk for continuity.
 */
static double corrected_phi(double both, double only_a, double only_b, double neither) {
    const double n = both + only_a + only_b + neither;
    const double spread =
        sqrt((both + only_a) * (only_b + neither)) * sqrt((both + only_b) * (only_a + neither));
    if (spread == 0) return 0;
    const double excess = both * neither - only_a * only_b;
    return (excess > 0 ? fmax(excess - n / 2, 0) : excess) / spread;
}

as_interval as_interval_newcombe(int64_t both, int64_t only_a, int64_t only_b, int64_t neither,
                                 double level) {
    as_interval out = {.low = NAN, .high = NAN, .level = level, .method = "newcombe"};
    if (both < 0 || only_a < 0 || only_b < 0 || neither < 0)
        return out.why = "a count is negative", out;
    const int64_t n = both + only_a + only_b + neither;
    const as_interval a = as_interval_wilson(both + only_a, n, level);
    const as_interval b = as_interval_wilson(both + only_b, n, level);
    if (a.why) return out.why = a.why, out;
    const double size = (double)n;
    const double pa = (double)(both + only_a) / size, pb = (double)(both + only_b) / size;
    const double phi = corrected_phi((double)both, (double)only_a, (double)only_b, (double)neither);
    const double diff = (double)(only_a - only_b) / size;
    const double a_down = pa - a.low, a_up = a.high - pa, b_down = pb - b.low, b_up = b.high - pb;
    /* |phi| <= 1, so the sums of squares are >= 0 but for rounding */
    const double down = a_down * a_down - 2 * phi * a_down * b_up + b_up * b_up;
    const double up = a_up * a_up - 2 * phi * a_up * b_down + b_down * b_down;
    out.low = fmax(-1, diff - sqrt(fmax(0, down)));
    out.high = fmin(1, diff + sqrt(fmax(0, up)));
    return out;
}
