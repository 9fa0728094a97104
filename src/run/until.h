/* until.h: score only as many items as an interval of a given width needs. */
#ifndef AS_RUN_UNTIL_H
#define AS_RUN_UNTIL_H

#include "run/evaluate.h"
#include "stats/many.h"

typedef struct as_until {
    as_sequence sequence;  /* of the metric's per-item scores, without replacement */
    int64_t *order;        /* [n] a random order, a pure function of the seed */
    int64_t seen, computed; /* the first `seen` of order; those that were not stored */
    double *scores;        /* [n] */
    char metric[128];      /* the one that stops it: other intervals would not hold at a time that this one chose */
} as_until;

/* Scores s's items in that order, each also to the store when given, until the confidence sequence is narrower than value +-
 * j->until, or all are seen. Items that are done already count as scored. AS_USAGE: the metric is not one share. */
as_status as_evaluate_until(as_until *out, as_session *ses, const as_job *j, as_scored *s, as_store *store, int64_t run, as_err *err) AS_CHECKED;
/* The interval in place of a fixed sample's, which would not hold at a stopping time. */
as_status as_until_interval(const as_until *u, as_result_metric *m, as_err *err) AS_CHECKED;
void as_until_free(as_until *u);
/* What else the run depends on. */
as_status as_until_identity(as_buf *config, const as_job *j, as_label_kind kind, int num_labels, as_err *err) AS_CHECKED;
#endif
