/* compare.h: which of several systems is better on the same items, by how much, how sure. A system is one set of
 * predictions, or several of one recipe under different seeds. */
#ifndef AS_RUN_COMPARE_H
#define AS_RUN_COMPARE_H

#include "run/job.h"

typedef struct as_system {
    const char *name;
    const as_predictions *seed;    /* [seeds] of the same items in the same order */
    int64_t seeds;
    /* For display, 0 or NaN = unknown. */
    int64_t parameters;
    double train_seconds, items_per_second;
    uint64_t peak_bytes;
} as_system;

typedef struct as_contest {
    const as_system *systems;
    int count;
    const int32_t *cluster;        /* [n] dense numbers from 0, or NULL */
    const char *metrics;           /* comma list; NULL = the kind's defaults. The first decides the verdict */
    double level;                  /* 0.95 */
    const char *test;              /* of means of per-item scores with one seed: "mcnemar", "mid-p" (shares), "permutation", "bootstrap", "t";
                                    * NULL = exact McNemar for shares, else permutation */
    double margin;                 /* > 0: also equivalence (TOST) and non-inferiority within this many units of the metric */
    uint64_t seed;
    int threads;
} as_contest;

/* Two systems on one metric; a - b, oriented as the metric is (not by which way is better). */
typedef struct as_comparison {
    int a, b;
    const char *metric;            /* signature; owned by the result */
    bool higher_is_better, percent; /* percent: shown as 100 times its value */
    double value_a, value_b, diff, low, high, level;
    const char *interval_method;   /* static: "newcombe", "bca", "multi-bootstrap", ... */
    double p, p_adjusted;          /* Holm over all pairs and metrics of the contest */
    const char *test_method;       /* static: "mcnemar exact", "sign-flip permutation", ... */
    const char *why;               /* why there is no p or interval, else NULL */
    double mde;                    /* smallest difference that these items show with power 0.8 */
    double items_needed;           /* to show a difference of this size with power 0.8; NaN where diff is 0 */
    double p_equivalent, p_noninferior; /* with a margin, else NaN: H1 |a - b| < margin; H1 a is not worse by margin */
    int64_t both, only_a, only_b, neither; /* 0/1 scores of single seeds, else all -1 */
    double effect;                 /* Cohen's d_z of per-item differences, NaN for corpus metrics */
    double design_effect;          /* with clusters, else 1 */
    int64_t n;
} as_comparison;

/* One system on one metric. */
typedef struct as_standing {
    int system;
    const char *metric;
    bool higher_is_better, percent;
    double value, low, high;
    const char *method, *why;      /* of the interval; why there is none */
    double sd_seeds;               /* standard deviation of the value over seeds; NaN with one */
    uint64_t letters;              /* groups that cannot be told apart: bit 0 = "a", the best */
    int64_t rank_low, rank_high;
} as_standing;

typedef struct as_contest_result {
    as_standing *standings;        /* metrics x systems, per metric best first */
    size_t standing_count;
    as_comparison *comparisons;    /* metrics x pairs, in the order of the standings (a is the better one) */
    size_t comparison_count;
    char **metrics;
    size_t metric_count;
    int best;                      /* of the first metric; -1 when undefined */
    int *tied;                     /* systems that cannot be told from the best */
    int tied_count;
    char *verdict;                 /* in words, several lines */
} as_contest_result;

/* AS_USAGE: fewer than two systems, different items or kinds, unknown metric. */
as_status as_contest_decide(const as_contest *c, as_contest_result *out, as_err *err) AS_CHECKED;
/* Several contests of one command, one for each task: Holm over all of them, and what follows from it anew. */
as_status as_contests_adjust(as_contest_result *const *results, const as_contest *const *contests, int n, as_err *err) AS_CHECKED;
void as_contest_result_free(as_contest_result *r);
#endif
