/* metric.h: metrics as per-item sufficient statistics plus an aggregate over item weights, so that intervals, paired
 * tests and audits work for every metric. A new metric is one file (or one family's file) and one row of the table. */
#ifndef AS_METRIC_METRIC_H
#define AS_METRIC_METRIC_H

#include "base/str.h"
#include "stats/interval.h"

/* What predictions look like. Arrays are borrowed; those that a kind does not use are NULL. */
typedef enum as_pred_kind { AS_PRED_CLASS, AS_PRED_MULTILABEL, AS_PRED_VALUE } as_pred_kind;
typedef struct as_predictions {
    as_pred_kind kind;
    int64_t n;
    int num_labels;
    const char *const *label_names;   /* [num_labels] or NULL */
    const int32_t *gold, *pred;       /* CLASS [n]: label ids */
    const double *probs;              /* CLASS, MULTILABEL [n, num_labels], or NULL when unknown */
    const uint8_t *gold_sets, *pred_sets; /* MULTILABEL [n, num_labels] 0/1 */
    const double *gold_value, *pred_value; /* VALUE [n] */
    int positive;                     /* id of the positive class for binary metrics; -1 = none given (then 1 if binary) */
} as_predictions;

/* A value; undefined ones carry a reason and print as null. */
typedef struct as_metric_value { double value; const char *why; /* static string, NULL when defined */ } as_metric_value;

typedef struct as_metric as_metric;   /* one named metric prepared on one set of predictions */
/* name: "accuracy", "f1(macro)", "f1:macro", "f1_macro", "f1(class:NAME)", "ece(bins:15)", ... A label name with one of
 * ,()" or a space at its ends is written as a JSON string: f1(class:"a,b"). `p` is copied, its arrays stay borrowed.
 * AS_USAGE (unknown name or argument: lists the known ones and the nearest; no probabilities given), AS_FORMAT (a label id
 * out of range, n >= 2^30), AS_NUMERIC (a prediction is not finite, or a probability is not in [0, 1]: names the first
 * item, counted from 1), AS_NOMEM. A metric that is undefined on this data opens, and says so in its value. */
as_status as_metric_open(as_metric **out, const char *name, const as_predictions *p, as_err *err) AS_CHECKED;
void as_metric_free(as_metric *m);
const char *as_metric_signature(const as_metric *m);         /* canonical name: "f1(macro)" */
/* Aggregate with integer item weights (how often each item is in a resample); NULL = once each. Thread-safe on a const
 * metric; `scratch` comes from as_metric_scratch. O(items) or less (presorted where ranks matter). */
as_metric_value as_metric_aggregate(const as_metric *m, const uint32_t *weights, void *scratch);
size_t as_metric_scratch(const as_metric *m);                /* bytes of scratch per thread, 64-byte aligned */
/* Per-item score when the metric is a mean of such (accuracy, squared error...); NULL for corpus metrics. */
const double *as_metric_items(const as_metric *m);
bool as_metric_is_proportion(const as_metric *m);            /* the mean of 0/1 scores: Wilson applies */
bool as_metric_higher_is_better(const as_metric *m);
bool as_metric_is_percentage(const as_metric *m);            /* a share of 1: tables for people show 100 times it */
/* For display: the metric belongs to one label (per-class f1) -> its id, else -1. */
int as_metric_label(const as_metric *m);

/* The value's interval. Default (o NULL, or its method NULL): Wilson for proportions without clusters, else BCa. Methods:
 * "wilson", "clopper-pearson" (proportions without clusters), "bca", "percentile"; other fields as in as_bootstrap_opts.
 * cluster [n] or NULL. */
as_status as_metric_interval(as_interval *out, const as_metric *m, const int32_t *cluster, const as_bootstrap_opts *o,
                             as_err *err) AS_CHECKED;

typedef struct as_metric_info { const char *name, *args, *about, *reference; as_pred_kind kind; bool needs_probs; } as_metric_info;
size_t as_metric_table(const as_metric_info **rows);         /* for help and docs */
/* Default metrics of a kind: a comma list. */
const char *as_metric_defaults(as_pred_kind kind, int num_labels);
/* Split a comma list outside parentheses and quotes; blanks round names go; empty names are AS_USAGE. */
as_status as_metric_list_split(const char *list, char ***names, size_t *count, as_err *err) AS_CHECKED;
void as_metric_list_free(char **names, size_t count);
/* One name into the names that it stands for: "f1(per-class)" into "f1(class:NAME)" for each label (its number where
 * label_names is NULL); any other name into itself. Free with as_metric_list_free. */
as_status as_metric_expand(const char *name, const char *const *label_names, int num_labels, char ***names, size_t *count,
                           as_err *err) AS_CHECKED;
/* Confusion counts [num_labels, num_labels], rows gold, columns predicted. */
void as_confusion(int64_t *out, const as_predictions *p);
#endif
