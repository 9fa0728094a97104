/* baseline.h: what a model must beat: the most frequent answer, a guess, and a bag of words. Milliseconds each. */
#ifndef AS_RUN_BASELINE_H
#define AS_RUN_BASELINE_H

#include "run/job.h"

typedef enum as_baseline {
    AS_BASELINE_MAJORITY, /* the most frequent label, with the shares of the labels as probabilities; labels that half of the items
                           * have; the mean */
    AS_BASELINE_RANDOM,   /* the answer of a training item drawn at random */
    AS_BASELINE_WORDS,    /* logistic (or linear) regression on hashed words and pairs of words, tf-idf, 2^18 or 2^16 buckets */
    AS_BASELINE_COUNT
} as_baseline;
const char *as_baseline_name(as_baseline b); /* "majority", "random", "bag of words" */
int64_t as_baseline_parameters(as_baseline b, const as_records *train);

/* What it took to fit, and to score the test items. */
typedef struct as_baseline_cost { double fit_seconds, score_seconds; } as_baseline_cost;
/* Scores [test->n, labels] as a head's logits would be: log probabilities, logits of the sigmoids, or the number. Both have the same
 * labels. A pure function of the records and the seed. */
as_status as_baseline_scores(double *scores, as_baseline b, const as_records *train, const as_records *test, uint64_t seed,
                             as_baseline_cost *cost, as_err *err) AS_CHECKED;
#endif
