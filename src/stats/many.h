/* many.h: several systems, seeds, tasks or looks at the data at once. float64; counter-based RNG, independent of threads. */
#ifndef AS_STATS_MANY_H
#define AS_STATS_MANY_H

#include "stats/paired.h"

/* --- seeds x items --- */
/* Multi-bootstrap (Sellam et al. 2022, MultiBERTs): score [seeds, n] per item and training seed of A and of B (B NULL: one
 * system's interval of its mean). paired_seeds: seed k of A and of B share initialisation and order, and are resampled
 * together (then seeds_a == seeds_b). Seeds and items (clusters) are resampled jointly. The statistic is the mean over seeds
 * and items. interval: percentile, of a - b; p two-sided, centred: (1 + #{|d* - d| >= |d|}) / (R + 1). With one seed only
 * items vary, and why_one_seed says so.
 * The bootstrap of few seeds is too short: where seeds vary more than items do, a true null is rejected at 0.05 in 22 % of
 * cases with 3 seeds, 13 % with 5, 9 % with 10, 5 % with 25; below 20 seeds of a system why_few_seeds says so. student and
 * student_interval hold then: Welch-Satterthwaite's t from se_seeds and se_items (conservative where seed and item interact,
 * as the bootstrap is). */
typedef struct as_seeds { const double *a, *b; int64_t seeds_a, seeds_b, n; const int32_t *cluster; bool paired_seeds; } as_seeds;
typedef struct as_seeds_result {
    double a, b, diff; as_interval interval; as_test test; double se_seeds, se_items;
    as_test student; as_interval student_interval; const char *why_one_seed, *why_few_seeds; } as_seeds_result;
as_status as_multi_bootstrap(as_seeds_result *out, const as_seeds *s, const as_bootstrap_opts *o, as_err *err) AS_CHECKED;

/* Almost stochastic order (del Barrio et al. 2018; Dror et al. 2019): eps_min in [0, 1] for "A's scores are stochastically
 * larger than B's"; below 0.5 (stricter: 0.2) A is better. Quantile grid dt 0.005, sigma from `resamples` bootstraps:
 * eps_min = violation ratio + z_level sigma, so that level 0.95 gives an upper bound and 0.5 the ratio itself. AS_NUMERIC: a
 * score is not finite. */
as_status as_almost_stochastic_order(double *eps_min, const double *a, int64_t na, const double *b, int64_t nb, double level,
                                     const as_random_opts *o, as_err *err) AS_CHECKED;

/* --- systems x tasks: score [tasks, systems], larger is better --- */
/* Friedman's chi-squared with ties (scipy friedmanchisquare); mean_rank [systems], 1 = best, may be NULL.
 * p is 1 where all tie; NaN with its why for no task, one system, a NaN. */
as_status as_friedman_test(as_test *out, double *mean_rank, const double *score, int64_t tasks, int64_t systems, as_err *err) AS_CHECKED;
/* Nemenyi's critical difference of mean ranks (Demsar 2006): q / sqrt(2) sqrt(k (k + 1) / (6 N)), q the upper quantile of the
 * studentised range with infinite df; and the p of a difference of mean ranks (scikit-posthocs). Relative error of p < 1e-6.
 * level 0.95 = a family-wise error of 0.05. */
double as_nemenyi_critical_difference(int64_t tasks, int64_t systems, double level);
double as_nemenyi_p(double rank_difference, int64_t tasks, int64_t systems);

/* Bradley-Terry: wins [k, k], wins[i*k + j] = how often i beat j (ties: half each). strength [k] = log abilities relative to
 * system 0, se [k] from the Fisher information (0 for system 0). prior adds that many pseudo-wins to each ordered pair (0.1
 * for graphs that are not connected; 0 = none). AS_NUMERIC: not identifiable (says to give a prior). */
as_status as_bradley_terry(double *strength, double *se, const double *wins, int64_t k, double prior, as_err *err) AS_CHECKED;

/* --- Bayesian comparison with a region of practical equivalence (Benavoli et al. 2017) --- */
typedef struct as_rope { double left, rope, right; } as_rope; /* probabilities that B is better, that they are equivalent, that A is */
/* Correlated t for k-fold cross-validation: d [n] differences over runs * folds, test share of the data rho = 1 / folds. baycomp. */
as_status as_bayes_correlated_t(as_rope *out, const double *d, int64_t n, int64_t folds, double rope, as_err *err) AS_CHECKED;
/* Signed-rank and sign tests over tasks: d [n]; Dirichlet with prior strength 0.5 (sign: 1) at 0; 50,000 draws by default.
 * With rope 0 there is no region: rope is 0, left and right add to 1. AS_USAGE: no differences; AS_NUMERIC: one not finite. */
as_status as_bayes_signed_rank(as_rope *out, const double *d, int64_t n, double rope, const as_random_opts *o, as_err *err) AS_CHECKED;
as_status as_bayes_sign(as_rope *out, const double *d, int64_t n, double rope, const as_random_opts *o, as_err *err) AS_CHECKED;

/* --- looking as the items come in (in random order) --- */
/* A confidence sequence for the mean of bounded values: valid at all times together. Predictable plug-in empirical Bernstein
 * (Waudby-Smith and Ramdas 2024, theorem 2) with the running intersection; values in [lower, upper]. With population > 0
 * the items are a random order of that many without replacement (their section 5). */
typedef struct as_sequence {
    double lower, upper, level;
    int64_t population, t;                           /* t items seen */
    double sum, squares;                             /* of (x - lower) / (upper - lower): sum; squared distances from running means */
    double bets, base, known, penalty;               /* sums over items of bet * x, bet * weight of the mean, what the seen items add, psi */
    double run_low, run_high;                        /* running intersection on [0, 1] */
    double low, high;                                /* the interval now; NaN once the promise of the values is broken */
} as_sequence;
/* population 0: with replacement, or without end. Nothing is known before the first item: [lower, upper]. */
as_sequence as_sequence_begin(double lower, double upper, double level, int64_t population);
/* Then s->low, s->high hold; when the whole population is seen both are its mean. A value outside [lower, upper], a NaN, or
 * an item beyond the population makes them NaN for good. */
void as_sequence_add(as_sequence *s, double x);

/* Several systems on one test set: groups that cannot be told apart from pairwise adjusted p values [k, k] (symmetric) and
 * scores [k]: compact letter display (Piepho 2004), letters [k] bit sets (bit 0 = "a", the best group). k <= 64.
 * p <= alpha tells two systems apart, a NaN does not. AS_NUMERIC: a score is NaN, or there are more than 64 groups. */
as_status as_letter_groups(uint64_t *letters, const double *score, const double *p_adjusted, int64_t k, double alpha, as_err *err) AS_CHECKED;
/* Rank interval of each system: 1 + number of systems significantly better .. k - number significantly worse. */
void as_rank_intervals(int64_t *low, int64_t *high, const double *score, const double *p_adjusted, int64_t k, double alpha);
#endif
