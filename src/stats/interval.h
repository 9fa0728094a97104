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
    int64_t resamples;         /* bootstrap only: how many were drawn, */
    int64_t undefined;         /* and in how many of them the statistic was undefined (they are left out) */
} as_interval;

/* Wilson (1927) score interval of k successes in n. Reference: scipy binomtest(k, n).proportion_ci(method="wilson"). */
as_interval as_interval_wilson(int64_t k, int64_t n, double level);
/* The exact interval (Clopper and Pearson 1934). Reference: method="exact". */
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
    /* Fast path of statistics that depend only on how many items lie in each of `cells` cells (the entries of a
     * confusion matrix): counts are drawn per cell, O(cells) a resample instead of O(n). 0 = none. Unused with clusters. */
    int64_t cells;
    const uint32_t *cell_items; /* [cells] items in each cell; their sum is n */
    double (*cell_value)(const void *ctx, const uint32_t *counts, void *scratch); /* counts [cells] */
} as_statistic;
/* Zero fields take the defaults: level 0.95, resamples 10,000 (fewer, down to 1,000, where more than 10^9 item visits
 * would be needed), all threads, method "bca". */
typedef struct as_bootstrap_opts { double level; int64_t resamples; uint64_t seed; int threads; const char *method; /* "bca", "percentile" */ } as_bootstrap_opts;
/* BCa (Efron 1987), percentile when degenerate. Reference: scipy.stats.bootstrap. Jackknife grouped above 10,000 items
 * (1,000 groups). With clusters, whole clusters are resampled and left out. o may be NULL. An interval that cannot be
 * had (one item, one cluster, statistic undefined) is NaN with its `why`, and AS_OK. AS_USAGE: bad options; AS_NOMEM. */
as_status as_interval_bootstrap(as_interval *out, const as_statistic *s, const as_bootstrap_opts *o, as_err *err) AS_CHECKED;

/* The last step alone, for replicates that somebody else drew: theta [count] is sorted in place, its NaNs are left out.
 * jack [jacks] are leave-one-out values and jack_times [jacks] how often each counts (NULL = once). */
as_interval as_interval_of_replicates(double *theta, int64_t count, double point, const double *jack, const uint32_t *jack_times,
                                      int64_t jacks, double level, const char *method);

/* Relative error below 1e-12 (tested against scipy.special). NaN outside the domain. */
double as_normal_quantile(double p);
double as_normal_cdf(double x);
double as_beta_cdf(double x, double a, double b);      /* regularised incomplete beta I_x(a, b) */
double as_beta_quantile(double p, double a, double b);
#endif
