/* paired.h: is system A different from system B on the same items? float64; counter-based RNG keyed by (seed, resample,
 * item), so that results do not depend on threads. Differences are a - b. */
#ifndef AS_STATS_PAIRED_H
#define AS_STATS_PAIRED_H

#include "stats/interval.h"
#include <stdbool.h>

/* The outcome of one comparison. What a method does not give is NaN. */
typedef struct as_test {
    double p;                  /* two-sided unless the function says otherwise */
    double statistic, df;      /* of the test, where it has one */
    int64_t resamples;         /* of the randomisation or bootstrap; 0 = closed form or complete enumeration */
    const char *method;        /* static: "mcnemar exact", "sign-flip permutation", ... */
    const char *why;           /* static reason when p is NaN, else NULL */
} as_test;

/* --- 0/1 scores: only_a items that A alone has right, only_b items that B alone has right --- */
/* Exact two-sided McNemar (1947): binomial on the discordant items; 1 when there are none. statsmodels mcnemar(exact=True). */
as_test as_mcnemar_exact(int64_t only_a, int64_t only_b);
/* The mid-p variant (Fagerland, Lydersen and Laake 2013). */
as_test as_mcnemar_mid_p(int64_t only_a, int64_t only_b);
/* Chi-squared with one degree of freedom, with or without the continuity correction. */
as_test as_mcnemar_chi2(int64_t only_a, int64_t only_b, bool corrected);
/* Newcombe's (1998) interval of the paired difference of two proportions, method 10 (square-and-add of Wilson intervals,
 * with his phi correction): counts of items both right, only A, only B, both wrong. */
as_interval as_interval_newcombe(int64_t both, int64_t only_a, int64_t only_b, int64_t neither, double level);

/* --- means of per-item scores; cluster [n] or NULL --- */
/* Standard error of the mean of x [n]; with clusters the cluster-robust one with C / (C - 1) (Miller 2024; Inspect's
 * stderr(cluster=)). deff (may be NULL) gets (clustered / naive)^2, 1 without clusters. NaN when it cannot be had. */
double as_standard_error(const double *x, int64_t n, const int32_t *cluster, double *deff);
/* Paired t on d [n] = a - b; with clusters the robust standard error and C - 1 degrees of freedom. scipy ttest_rel. */
as_test as_paired_t(const double *d, int64_t n, const int32_t *cluster);
as_interval as_interval_paired_t(const double *d, int64_t n, const int32_t *cluster, double level);
typedef struct as_random_opts { int64_t resamples; uint64_t seed; int threads; } as_random_opts; /* zeros: 10,000, 0, all */
/* Sign-flip permutation of d [n] (of cluster sums with clusters): p = (1 + #{|d*| >= |d|}) / (R + 1); all 2^n sign patterns
 * when n (the number of clusters) <= 20, then p = #{|d*| >= |d|} / 2^n. Sums that are equal but for rounding count as
 * equal (relative 1e-12). scipy permutation_test(permutation_type="samples"). */
as_status as_permutation_test(as_test *out, const double *d, int64_t n, const int32_t *cluster, const as_random_opts *o, as_err *err) AS_CHECKED;
/* Paired bootstrap, centred and two-sided: p = (1 + #{|d* - d| >= |d|}) / (R + 1). */
as_status as_paired_bootstrap_test(as_test *out, const double *d, int64_t n, const int32_t *cluster, const as_random_opts *o, as_err *err) AS_CHECKED;

/* --- any metric: a statistic of two systems whose items can be exchanged --- */
/* value(ctx, swap, scratch): the difference of the two systems' metrics after the items with swap[i] != 0 have changed sides
 * (swap NULL = none); NaN where undefined. Called from several threads with different scratch. */
typedef struct as_swap_statistic {
    double (*value)(const void *ctx, const uint8_t *swap, void *scratch);
    const void *ctx;
    size_t scratch_bytes;
    int64_t n;
    const int32_t *cluster;    /* [n] whole clusters change sides together; or NULL */
} as_swap_statistic;
/* Approximate randomisation (Riezler and Maxwell 2005), p as in as_permutation_test, enumeration up to 20 units. Draws in
 * which the statistic is undefined count as at least as extreme. */
as_status as_randomisation_test(as_test *out, const as_swap_statistic *s, const as_random_opts *o, as_err *err) AS_CHECKED;

/* --- margins --- */
/* Two one-sided tests (Schuirmann 1987): equivalent when d lies within (-margin, margin). p is the larger of the two one-sided
 * t tests'; with clusters as in as_paired_t. statsmodels ttost_paired. */
as_test as_equivalence_test(const double *d, int64_t n, const int32_t *cluster, double margin);
/* One-sided: A is worse than B by less than margin (H0: mean d <= -margin). */
as_test as_noninferiority_test(const double *d, int64_t n, const int32_t *cluster, double margin);

/* --- several comparisons: adjusted [m] from p [m]; NaNs stay NaN and are not counted; may be the same array --- */
as_status as_adjust_holm(double *adjusted, const double *p, int64_t m, as_err *err) AS_CHECKED;              /* Holm 1979 */
as_status as_adjust_benjamini_hochberg(double *adjusted, const double *p, int64_t m, as_err *err) AS_CHECKED;

/* --- power --- */
/* Smallest true difference that a two-sided test at 1 - level finds with the given power, from the standard error of the
 * difference: (z + z) se (Card et al. 2020; Miller 2024). */
double as_minimum_detectable_effect(double se, double level, double power);
/* For 0/1 scores from the share of discordant items: solves mde = (z + z) sqrt((p_disc - mde^2) / n). */
double as_mde_proportions(double discordant, int64_t n, double level, double power);
/* Items needed to show a difference of delta, from the variance of d over items (times the design effect). NaN: delta 0. */
double as_items_needed(double variance, double delta, double level, double power);
/* Power of the exact McNemar test with n items and the true shares of items that A alone and B alone have right: exact,
 * over the trinomial's discordant counts (tails below 1e-12 left out). */
double as_mcnemar_power(double only_a, double only_b, int64_t n, double level);

/* Student's t and normal distribution functions used above; relative error below 1e-10. */
double as_t_cdf(double t, double df);
double as_t_quantile(double p, double df);
double as_chi2_sf(double x, double df);
#endif
