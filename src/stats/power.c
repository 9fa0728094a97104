/* power.c: what a test of this size could have found. */
#include "stats/paired.h"
#include "stats/special.h"

#include <math.h>

/* z_(1 - alpha/2) + z_power; NaN where either is not between 0 and 1. */
static double z_sum(double level, double power) {
    if (!(level > 0 && level < 1 && power > 0 && power < 1)) return NAN;
    return as_normal_quantile(power) - as_normal_quantile((1 - level) / 2);
}

/* NaN too where the power asked for is below the test's own size: no difference is needed then. */
static double positive_or_nan(double x) {
    return x > 0 ? x : NAN;
}

double as_minimum_detectable_effect(double se, double level, double power) {
    if (!(se >= 0)) return NAN;
    return positive_or_nan(z_sum(level, power)) * se;
}

/* The equation is quadratic in mde alone. Without discordant items nothing is known of the spread:
 * NaN. */
double as_mde_proportions(double discordant, int64_t n, double level, double power) {
    if (!(discordant > 0 && discordant <= 1) || n <= 0) return NAN;
    const double z = positive_or_nan(z_sum(level, power));
    return z * sqrt(discordant / ((double)n + z * z));
}

/* Not rounded up: a caller that prints it does. */
double as_items_needed(double variance, double delta, double level, double power) {
    if (!(variance >= 0) || !(fabs(delta) > 0)) return NAN;
    const double z = positive_or_nan(z_sum(level, power)) / delta;
    return z * z * variance;
}

/* The largest count that is significant among m discordant items, -1 = none: 2 P(X <= k) <= alpha.
 * Grows by 0 or 1 as m does, and `from` is the count for a smaller m. */
static int64_t critical_count(int64_t m, double alpha, int64_t from) {
    int64_t k = from;
    while (2 * k + 1 < m && 2 * as_binomial_cdf(k + 1, m, 0.5, 0.5) <= alpha * (1 + 1e-12))
        k++;
    return k;
}

/* The same from nothing, by bisection. */
static int64_t first_critical_count(int64_t m, double alpha) {
    int64_t low = -1, high = m / 2 + 1; /* low is significant, high is not looked at */
    while (high - low > 1) {
        const int64_t k = low + (high - low) / 2;
        if (2 * as_binomial_cdf(k, m, 0.5, 0.5) <= alpha * (1 + 1e-12))
            low = k;
        else
            high = k;
    }
    return low;
}

/* The largest m with P(M < m) <= tail (lower) or the smallest with P(M > m) <= tail. */
static int64_t binomial_edge(int64_t n, double p, double tail, bool lower) {
    int64_t low = 0, high = n;
    while (low < high) {
        const int64_t m = low + (high - low + (lower ? 1 : 0)) / 2;
        if (lower) {
            if (as_binomial_cdf(m - 1, n, p, 1 - p) <= tail)
                low = m;
            else
                high = m - 1;
        } else if (as_binomial_cdf(n - m - 1, n, 1 - p, p) <= tail)
            high = m;
        else
            low = m + 1;
    }
    return low;
}

double as_mcnemar_power(double only_a, double only_b, int64_t n, double level) {
    if (!(only_a >= 0 && only_b >= 0 && only_a + only_b <= 1 + 1e-12 && level > 0 && level < 1) ||
        n < 0)
        return NAN;
    const double discordant = fmin(1, only_a + only_b), alpha = 1 - level;
    if (discordant == 0 || n == 0) return 0; /* p is 1 without discordant items */
    const double share = only_a / (only_a + only_b), rest = only_b / (only_a + only_b);
    const int64_t first = binomial_edge(n, discordant, 5e-13, true);
    const int64_t last = binomial_edge(n, discordant, 5e-13, false);
    int64_t k = first_critical_count(first, alpha);
    double power = 0;
    for (int64_t m = first; m <= last; m++) {
        k = critical_count(m, alpha, k);
        if (k < 0) continue;
        const double found =
            as_binomial_cdf(k, m, share, rest) + as_binomial_cdf(k, m, rest, share);
        power += as_binomial_mass(m, n, discordant, 1 - discordant) * found;
    }
    return fmin(1, power);
}
