/* score_input.h: predictions and gold labels from files of any program, as the metrics take them. */
#ifndef AS_CLI_SCORE_INPUT_H
#define AS_CLI_SCORE_INPUT_H

#include "cli/job_options.h"

typedef struct as_score_input {
    as_predictions p;       /* arrays below */
    as_labels labels;
    as_table *pred, *gold;  /* gold == pred when one table holds both */
    int pred_col, gold_col, probs_col; /* -1 = none */
    int32_t *pred_id, *gold_id;
    uint8_t *pred_set, *gold_set;
    double *pred_value, *gold_value, *probs;
} as_score_input;
/* Reads the file `pred` as --gold, --kind, --labels, --positive ... say. Labels are `known`, else the distinct strings of both files, sorted as
 * numbers if all are integers, else by bytes. AS_FORMAT with file and line: counts differ, an empty label, no number. */
as_status as_score_input_open(as_score_input *out, const as_cli *c, const char *pred, const as_labels *known, as_err *err) AS_CHECKED;
/* Are there --pred and true labels at all? */
as_status as_score_input_check(const as_cli *c, const char *command, as_err *err) AS_CHECKED;
/* The labels of several inputs together, sorted alike. */
as_status as_score_labels_union(as_labels *out, const as_score_input *v, int64_t n, as_err *err) AS_CHECKED;
void as_score_input_close(as_score_input *s);

#endif
