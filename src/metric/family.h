/* family.h: what the files of the metric families share. Only for src/metric. */
#ifndef AS_METRIC_FAMILY_H
#define AS_METRIC_FAMILY_H

#include "metric/metric.h"

/* "base(key:value,word)": a word is a key without a value. Heap strings. */
enum { AS_MOST_METRIC_ARGS = 4 };
typedef struct as_metric_name {
    char *base;
    struct { char *key, *value; } args[AS_MOST_METRIC_ARGS]; /* value NULL for a plain word */
    int count;
} as_metric_name;
/* Takes "base(args)", "base:args" and a plain word. AS_USAGE on bad syntax, AS_NOMEM. */
as_status as_metric_name_parse(as_metric_name *out, const char *text, as_err *err) AS_CHECKED;
void as_metric_name_free(as_metric_name *name);
/* Append a label's name as an argument's value, quoted where that is needed. */
void as_metric_put_label(as_buf *out, const char *label);

typedef struct as_metric_row {
    const char *aliases; /* other names, separated by blanks, or NULL */
    bool higher_is_better;
    bool percent; /* from 0 to 1, and read as a percentage */
    as_status (*open)(as_metric *m, const as_metric_name *name, as_err *err);
} as_metric_row;

struct as_metric {
    const as_metric_info *info;
    const as_metric_row *row;
    as_predictions p; /* arrays borrowed */
    char *signature;
    int label;       /* of class:NAME, or of a binary metric; -1 */
    bool proportion; /* items are 0 or 1 */
    double *items;   /* [n], owned; a mean of items when set */
    size_t scratch_bytes;
    as_metric_value (*aggregate)(const as_metric *m, const uint32_t *weights, void *scratch);
    /* Metrics of a confusion matrix: its non-empty cells. */
    int64_t cells;
    const uint32_t *cell_items; /* [cells], within data */
    as_metric_value (*of_cells)(const as_metric *m, const uint32_t *counts, void *scratch);
    void *data; /* of the family */
    void (*free_data)(void *data);
};

static inline as_metric_value as_defined(double value) { return (as_metric_value){value, NULL}; }
as_metric_value as_undefined(const char *why);

/* How per-label values become one number. */
typedef enum as_average {
    AS_AVERAGE_BINARY = 1, AS_AVERAGE_MICRO = 2, AS_AVERAGE_MACRO = 4, AS_AVERAGE_WEIGHTED = 8, AS_AVERAGE_SAMPLES = 16, AS_AVERAGE_CLASS = 32
} as_average;
/* The average that the arguments ask for, out of `allowed` (a sum of as_average), else the default: binary for two
 * classes, macro otherwise. Sets m->label and the signature. AS_USAGE names the row's arguments. */
as_status as_metric_average(as_average *out, as_metric *m, const as_metric_name *name, int allowed, as_err *err) AS_CHECKED;
/* Errors of arguments, with a hint that lists the row's. */
as_status as_metric_bad_arg(const as_metric *m, const as_metric_name *name, int arg, as_err *err);
as_status as_metric_no_args(const as_metric *m, const as_metric_name *name, as_err *err) AS_CHECKED;
/* m->signature = "NAME" or "NAME(args)". */
as_status as_metric_sign(as_metric *m, const char *args, as_err *err) AS_CHECKED;

/* Allocate m->items and make the aggregate their weighted mean. */
as_status as_metric_use_items(as_metric *m, bool proportion, as_err *err) AS_CHECKED;

/* Input checks; each names the first bad item. */
as_status as_check_classes(const as_metric *m, bool needs_pred, as_err *err) AS_CHECKED;
as_status as_check_scores(const as_metric *m, bool probabilities, as_err *err) AS_CHECKED;
as_status as_check_sets(const as_metric *m, bool needs_pred, as_err *err) AS_CHECKED;
as_status as_check_values(const as_metric *m, as_err *err) AS_CHECKED;
/* The positive label of a binary metric. */
int as_positive_label(const as_predictions *p);

as_status as_open_accuracy(as_metric *m, const as_metric_name *name, as_err *err);
as_status as_open_balanced_accuracy(as_metric *m, const as_metric_name *name, as_err *err);
as_status as_open_precision(as_metric *m, const as_metric_name *name, as_err *err);
as_status as_open_recall(as_metric *m, const as_metric_name *name, as_err *err);
as_status as_open_f1(as_metric *m, const as_metric_name *name, as_err *err);
as_status as_open_mcc(as_metric *m, const as_metric_name *name, as_err *err);
as_status as_open_kappa(as_metric *m, const as_metric_name *name, as_err *err);
as_status as_open_roc_auc(as_metric *m, const as_metric_name *name, as_err *err);
as_status as_open_average_precision(as_metric *m, const as_metric_name *name, as_err *err);
as_status as_open_log_loss(as_metric *m, const as_metric_name *name, as_err *err);
as_status as_open_brier(as_metric *m, const as_metric_name *name, as_err *err);
as_status as_open_ece(as_metric *m, const as_metric_name *name, as_err *err);
as_status as_open_set_precision(as_metric *m, const as_metric_name *name, as_err *err);
as_status as_open_set_recall(as_metric *m, const as_metric_name *name, as_err *err);
as_status as_open_set_f1(as_metric *m, const as_metric_name *name, as_err *err);
as_status as_open_subset_accuracy(as_metric *m, const as_metric_name *name, as_err *err);
as_status as_open_hamming_loss(as_metric *m, const as_metric_name *name, as_err *err);
as_status as_open_pearson(as_metric *m, const as_metric_name *name, as_err *err);
as_status as_open_spearman(as_metric *m, const as_metric_name *name, as_err *err);
as_status as_open_mse(as_metric *m, const as_metric_name *name, as_err *err);
as_status as_open_rmse(as_metric *m, const as_metric_name *name, as_err *err);
as_status as_open_mae(as_metric *m, const as_metric_name *name, as_err *err);
as_status as_open_r2(as_metric *m, const as_metric_name *name, as_err *err);

#endif
