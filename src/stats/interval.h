/* interval.h: uncertainty of one number. float64, counter-based RNG, independent of the number of threads. */
#ifndef AS_STATS_INTERVAL_H
#define AS_STATS_INTERVAL_H

#include "base/status.h"
#include <stdint.h>

typedef struct as_interval {
    double low, high;
    double level;              /* 0.95 */
    const char *method;        /* "wilson", "bca", "percentile (bca degenerate)", ... static */
    const char *why;           /* static reason when low/high are NaN, else NULL */
} as_interval;

/* Wilson (1927) score interval of k successes in n. Reference: statsmodels proportion_confint(method="wilson"). */
as_interval as_interval_wilson(int64_t k, int64_t n, double level);
as_interval as_interval_clopper_pearson(int64_t k, int64_t n, double level);

/* A statistic of resampled items: weights [n] say how often each item is in the resample (NULL = once each). Returns NaN
 * where undefined. Called from several threads with different scratch. */
typedef struct as_statistic {
    double (*value)(const void *ctx, const uint32_t *weights, void *scratch);
    const void *ctx;
    size_t scratch_bytes;
    int64_t n;
    const int32_t *cluster;    /* [n] cluster of each item, or NULL: then items are resampled one by one */
    const double *mean_items;  /* [n] when the statistic is the mean of these (fast path), else NULL */
} as_statistic;
typedef struct as_bootstrap_opts { double level; int64_t resamples; uint64_t seed; int threads; const char *method; /* "bca", "percentile" */ } as_bootstrap_opts;
/* BCa (Efron 1987), percentile when degenerate. Reference: scipy.stats.bootstrap. Jackknife grouped above 10,000 items. */
as_status as_interval_bootstrap(as_interval *out, const as_statistic *s, const as_bootstrap_opts *o, as_err *err) AS_CHECKED;

double as_normal_quantile(double p);
double as_normal_cdf(double x);
double as_beta_quantile(double p, double a, double b);
#endif
