/* print.h: results as people and programs read them. */
#ifndef AS_CLI_PRINT_H
#define AS_CLI_PRINT_H

#include "cli/job_options.h"

/* One object: `kind` is "item" or "prediction". gold only when the item has one. */
void as_print_item_json(as_buf *b, const char *kind, const as_result_item *item, const char *model);
/* "positive  0.9731  text", the text cut to the line. width: of the label column. */
void as_print_item_text(as_buf *b, const as_result_item *item, bool with_gold);

/* What a metric's object says beside its value. */
typedef struct as_print_context {
    const char *model, *task, *dtype, *isa;
    int64_t run, truncated; /* run 0: none */
    bool head_fresh;
} as_print_context;
void as_print_metrics_json(as_buf *b, const as_result_metric *m, size_t count, const as_print_context *x);
/* Name, value [low, high], n; and the reasons of what is undefined. */
void as_print_metrics(as_buf *b, const as_result_metric *m, size_t count);
/* Rows gold, columns predicted; with precision, recall and F1 per class. Nothing when it would not fit the line. */
void as_print_confusion(as_buf *b, const int64_t *confusion, char *const *labels, int n);

/* All of an evaluation: heading, metrics, classes, warnings, where it is stored. */
void as_print_eval(as_cli *c, const as_eval_result *r, const char *model, const char *what);
void as_print_eval_json(as_cli *c, const as_eval_result *r, const char *model);

#endif
