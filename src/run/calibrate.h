/* calibrate.h: what a classifier's probabilities are worth: does 0.8 mean right in 80 of 100 cases, how well do they tell right
 * from wrong, and which sets of labels hold the true one as often as promised. float64; results do not depend on threads.
 * Sets of labels (MULTILABEL) are looked at as n x labels decisions, yes or no; an item's decisions are one cluster. */
#ifndef AS_RUN_CALIBRATE_H
#define AS_RUN_CALIBRATE_H

#include "run/job.h"

/* A model's outputs with the truth. Arrays borrowed. */
typedef struct as_outputs {
    as_pred_kind kind;         /* CLASS or MULTILABEL */
    int64_t n;
    int num_labels;
    const float *logits;       /* [n, num_labels] */
    const int32_t *gold;       /* CLASS [n] */
    const uint8_t *gold_sets;  /* MULTILABEL [n, num_labels] 0/1 */
    const int32_t *cluster;    /* [n] dense numbers from 0, or NULL */
} as_outputs;

/* --- one temperature --- */
typedef struct as_temperature {
    double t;                  /* logits are divided by it; 1 when there is none */
    double loss_before, loss;  /* mean negative log likelihood of the dev data (of a decision, for sets), nats */
    const char *why;           /* static; why no temperature is best, else NULL */
} as_temperature;
/* The T > 0 that minimises the negative log likelihood (Guo et al. 2017): the root of its derivative in 1 / T, which rises, by
 * Newton's steps within a bracket, to a relative 1e-12. AS_USAGE: no items. AS_NUMERIC: a logit is not finite. */
as_status as_temperature_fit(as_temperature *out, const as_outputs *dev, as_err *err) AS_CHECKED;
/* Probabilities [n, num_labels] of logits / t: softmax, or sigmoids for sets. */
void as_temperature_apply(double *probs, const as_outputs *o, double t);

/* --- confidence against accuracy --- */
enum { AS_WIDTH_BINS = 15, AS_MASS_BINS = 10 };
typedef struct as_reliability_bin {
    double low, high;          /* edges */
    int64_t n;
    double confidence, accuracy; /* means; NaN when empty */
    double accuracy_low, accuracy_high; /* Wilson */
} as_reliability_bin;
typedef struct as_reliability {
    as_reliability_bin width[AS_WIDTH_BINS + 1]; /* as of ece(bins:15): low edge within, a confidence of exactly 1 in a bin of its own */
    as_reliability_bin mass[AS_MASS_BINS];       /* as of ece(mass:10): equal numbers, ties together, high edge within */
    int mass_count;
} as_reliability;
/* Of the top label's probability; the first label wins ties. */
as_status as_reliability_of(as_reliability *out, const as_predictions *p, double level, as_err *err) AS_CHECKED;
/* What ece(bins:15) would be if every confidence were true: the mean and the 95th percentile over `draws` seeded draws. */
as_status as_ece_floor(double *mean, double *p95, const as_predictions *p, int draws, uint64_t seed, as_err *err) AS_CHECKED;

/* --- confidence against error: which items to leave to somebody else (selective.c) --- */
enum { AS_COVERAGES = 4, AS_CURVE_POINTS = 20 };
typedef struct as_coverage_point {
    double coverage;           /* asked for */
    int64_t n;                 /* ceil(coverage x items), the most confident */
    double threshold;          /* the lowest confidence among them */
    double accuracy, low, high; /* Wilson, given the confidences */
} as_coverage_point;
typedef struct as_selective {
    double aurc, aurc_low, aurc_high;    /* mean over k of the error rate of the k most confident; BCa */
    double e_aurc, e_aurc_low, e_aurc_high; /* less that of the best possible order */
    const char *method;                  /* of both intervals, static */
    as_coverage_point at[AS_COVERAGES];  /* 50, 80, 90, 95 % */
    double curve_risk[AS_CURVE_POINTS];  /* error rate at coverage 5 %, 10 %, ... 100 % */
} as_selective;
/* Items of one confidence come in no order: everything is the mean over their permutations. cluster [n] or NULL. */
as_status as_selective_of(as_selective *out, const as_predictions *p, const int32_t *cluster, double level, uint64_t seed, int threads,
                          as_err *err) AS_CHECKED;
/* The curve alone, of any predictions with probabilities. */
as_status as_risk_curve(double risk[AS_CURVE_POINTS], const as_predictions *p, as_err *err) AS_CHECKED;

/* --- sets that hold the true label as often as promised (conformal.c) --- */
typedef enum as_conformal_score {
    AS_CONFORMAL_LAC, /* 1 - p(label): smallest sets, may be empty (Sadinle et al. 2019) */
    AS_CONFORMAL_APS  /* the probability of the labels that rank before it: sets grow with doubt, never empty (Romano et al. 2020) */
} as_conformal_score;
typedef struct as_conformal {
    as_conformal_score score;
    double level;              /* promised: at least this share of new items, over draws of dev and test data alike */
    double threshold;          /* the ceil((n + 1) level)-th smallest score of n dev items; infinite when n is too small */
    double beta_low, beta_high; /* where this dev set's coverage lies with 95 %: Beta(k, n + 1 - k), were there no ties */
    double coverage, low, high; /* on the test data; Wilson at o->level */
    double size, size_low, size_high; /* labels in a set; bootstrap */
    const char *size_method;
    int64_t empty, single, n, dev_n;
} as_conformal;
/* Probabilities as the model gives them, at temperature 1: one fitted on the same dev data would void the promise. CLASS only. level
 * is the promise's, o->level that of the intervals. */
as_status as_conformal_of(as_conformal *out, as_conformal_score score, const as_predictions *dev, const as_predictions *test, const int32_t *cluster,
                          double level, const as_bootstrap_opts *o, as_err *err) AS_CHECKED;

/* --- all of it --- */
typedef struct as_calibration_change {
    char metric[32];
    double before, before_low, before_high, after, after_low, after_high;
    double diff, low, high;    /* after - before, paired over items */
    double p, p_adjusted;      /* Holm over the metrics */
    const char *interval_method, *test_method, *why; /* static */
} as_calibration_change;
enum { AS_CALIBRATION_METRICS = 3, AS_CONFORMAL_MOST = 4 };
typedef struct as_calibration {
    char *dev;                 /* display name */
    int64_t dev_run, run;      /* in the store, 0 = not stored */
    int64_t dev_items, items;
    bool decisions;            /* n below counts decisions (item x label) */
    int64_t n;
    double level;
    as_temperature temperature;
    as_calibration_change change[AS_CALIBRATION_METRICS]; /* log_loss, brier, ece of the test data */
    double floor_mean, floor_p95;  /* of ece after: what a perfectly calibrated model of these confidences would show */
    as_reliability before, after;
    as_selective selective;    /* before */
    as_conformal conformal[AS_CONFORMAL_MOST]; /* LAC and APS at 90 % and at level */
    int conformal_count;       /* 0 for sets of labels */
} as_calibration;
/* Zeroes out first; free with as_calibration_free. AS_USAGE: numbers in place of labels; no items. */
as_status as_calibrate(as_calibration *out, const as_outputs *dev, const as_outputs *test, double level, uint64_t seed, int threads, as_err *err) AS_CHECKED;
void as_calibration_free(as_calibration *c);
#endif
