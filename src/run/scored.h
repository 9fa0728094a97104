/* scored.h: logits of scored items, and what follows from them: predictions, metrics with intervals, confusion. */
#ifndef AS_RUN_SCORED_H
#define AS_RUN_SCORED_H

#include "run/session.h"

typedef struct as_scored {
    const as_records *records;
    const as_encoded *encoded;
    as_label_kind kind;
    char *const *labels;       /* names in id order; borrowed */
    int num_labels;            /* columns of logits */
    float *logits;             /* [records->n, num_labels] */
    uint8_t *done;             /* [records->n] */
    int32_t *pred;             /* CLASS [n] */
    uint8_t *pred_sets;        /* MULTI [n, num_labels] */
    double *probs;             /* CLASS, MULTI [n, num_labels] */
    double *pred_value;        /* VALUE [n] */
    int32_t *gold;             /* CLASS */
    uint8_t *gold_sets;
    double *gold_value;
} as_scored;

as_status as_scored_init(as_scored *s, const as_records *r, const as_encoded *e, as_label_kind kind, char *const *labels, int num_labels, as_err *err) AS_CHECKED;
void as_scored_free(as_scored *s);
/* Softmax, sigmoid or the number itself, into the arrays above. Ties: the first label, as numpy's argmax. */
void as_scored_predict(as_scored *s, int64_t i);
/* What rank 0 has of logits becomes that of all; together. */
void as_scored_share(as_scored *s, struct as_comm *comm);
/* The prediction as text: label, labels as a JSON list, number. */
void as_scored_pred_text(const as_scored *s, int64_t i, as_buf *out);
/* The items of index as scores of their own: a view of the records, which `rows` owns. Release with as_scored_part_free. */
typedef struct as_scored_part { as_scored s; as_records view; as_record *rows; } as_scored_part;
as_status as_scored_part_open(as_scored_part *out, const as_scored *from, const int64_t *index, int64_t n, as_err *err) AS_CHECKED;
void as_scored_part_free(as_scored_part *p);
as_status as_scored_each(const as_scored *s, as_item_sink sink, void *ctx, as_err *err) AS_CHECKED; /* in order */
/* Gold and predictions as metrics take them, with --positive; arrays borrowed. Every item must be done and labelled. */
as_status as_scored_predictions(as_scored *s, const as_job *j, as_predictions *out, as_err *err) AS_CHECKED;
/* Clusters as dense numbers in order of first appearance, or NULL when the data has none; an item without one is one by itself.
 * Free with as_free. */
as_status as_records_clusters(int32_t **out, const as_records *r, as_err *err) AS_CHECKED;
/* Fill metrics, confusion, labels, n of out. Every item must be done and have a gold label. */
as_status as_scored_metrics(as_scored *s, const as_job *j, int threads, as_eval_result *out, as_err *err) AS_CHECKED;
/* Set p->positive by the label's name; NULL leaves it. AS_USAGE with the nearest name. */
as_status as_find_positive(as_predictions *p, const char *name, as_err *err) AS_CHECKED;
/* Metrics of any predictions, with intervals, into out->metrics; and its labels and confusion matrix. */
as_status as_score_predictions(const as_predictions *p, const int32_t *cluster, const as_job *j, int threads, as_eval_result *out, as_err *err) AS_CHECKED;
#endif
