/* resample.c: counts of resamples. The generator's counter holds the resample, so that any thread
 * may draw any of them. */
#include "stats/resample.h"

#include <math.h>
#include <string.h>

/* Calls TAKE with `unit` = an unbiased draw below n, n times. Lemire's multiplication with
 * rejection; four draws from each Philox block. A macro, because the body must be inlined into the
 * two loops below. */
#define FOR_EACH_DRAW(n, seed, resample, TAKE)                                                     \
    do {                                                                                           \
        const uint32_t reject_below = (uint32_t)(0u - (n)) % (n);                                  \
        uint32_t drawn = 0;                                                                        \
        for (uint32_t block = 0; drawn < (n); block++) {                                           \
            const as_philox random =                                                               \
                as_philox_at((seed), AS_STREAM_BOOTSTRAP, (resample), 0, block);                   \
            for (int lane = 0; lane < 4 && drawn < (n); lane++) {                                  \
                const uint64_t product = (uint64_t)random.v[lane] * (n);                           \
                if ((uint32_t)product < reject_below) continue;                                    \
                const uint32_t unit = (uint32_t)(product >> 32);                                   \
                TAKE;                                                                              \
                drawn++;                                                                           \
            }                                                                                      \
        }                                                                                          \
    } while (0)

void as_resample_counts(uint32_t *counts, uint32_t n, uint64_t seed, uint32_t resample) {
    memset(counts, 0, (size_t)n * sizeof *counts);
    if (n == 0) return;
    FOR_EACH_DRAW(n, seed, resample, counts[unit]++);
}

void as_resample_sums(double *a, double *b, const double *x, const double *y, uint32_t n,
                      uint64_t seed, uint32_t resample) {
    double sum_x = 0, sum_y = 0;
    if (n != 0 && y) FOR_EACH_DRAW(n, seed, resample, (sum_x += x[unit], sum_y += y[unit]));
    if (n != 0 && !y) FOR_EACH_DRAW(n, seed, resample, sum_x += x[unit]);
    *a = sum_x;
    *b = y ? sum_y : (double)n;
}

/* p <= 0.5 and n p < 10: walk up the mass function. */
static uint32_t binomial_by_inversion(as_rng *r, uint32_t n, double p) {
    const double odds = p / (1 - p), start = exp(n * log1p(-p));
    for (;;) {
        double u = as_rng_double(r), mass = start;
        for (uint32_t k = 0; k <= n && k < 200; k++) {
            if (u < mass) return k;
            u -= mass;
            mass *= odds * (n - k) / (k + 1.0);
        }
    } /* rounding let u slip past the last mass: draw again */
}

static double log_factorial(double k) {
    int sign;
    return lgamma_r(k + 1, &sign);
}

/* p <= 0.5 and n p >= 10. Hoermann, "The generation of binomial random variates" (1993), algorithm
 * BTRS. */
static uint32_t binomial_by_rejection(as_rng *r, uint32_t n, double p) {
    const double trials = n, q = 1 - p, spread = sqrt(trials * p * q);
    const double b = 1.15 + 2.53 * spread, a = -0.0873 + 0.0248 * b + 0.01 * p,
                 c = trials * p + 0.5;
    const double inner = 0.92 - 4.2 / b, alpha = (2.83 + 5.1 / b) * spread,
                 mode = floor((trials + 1) * p);
    for (;;) {
        const double u = as_rng_double(r) - 0.5, v = 1 - as_rng_double(r), near = 0.5 - fabs(u);
        const double k = floor((2 * a / near + b) * u + c);
        if (near >= 0.07 && v <= inner) return (uint32_t)k;
        if (!(k >= 0 && k <= trials)) continue;
        const double log_v = log(v * alpha / (a / (near * near) + b));
        const double log_ratio = log_factorial(mode) + log_factorial(trials - mode) -
                                 log_factorial(k) - log_factorial(trials - k) +
                                 (k - mode) * log(p / q);
        if (log_v <= log_ratio) return (uint32_t)k;
    }
}

uint32_t as_draw_binomial(as_rng *r, uint32_t n, double p) {
    if (n == 0 || p <= 0) return 0;
    if (p >= 1) return n;
    if (p > 0.5) return n - as_draw_binomial(r, n, 1 - p);
    return n * p < 10 ? binomial_by_inversion(r, n, p) : binomial_by_rejection(r, n, p);
}

void as_resample_cells(uint32_t *counts, const uint32_t *items, int64_t cells, uint32_t n,
                       uint64_t seed, uint32_t resample) {
    as_rng r = as_rng_at(seed, AS_STREAM_BOOTSTRAP, resample);
    uint32_t draws_left = n, items_left = n;
    for (int64_t i = 0; i < cells; i++) {
        /* given what earlier cells took, this one holds items[i] of the items_left that remain */
        const uint32_t k = items[i] == items_left
                               ? draws_left
                               : as_draw_binomial(&r, draws_left, (double)items[i] / items_left);
        counts[i] = k;
        draws_left -= k;
        items_left -= items[i];
    }
}
