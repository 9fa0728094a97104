/* evaluate.h: scoring of open records with an open session: shared by eval, finetune and cross-validation. */
#ifndef AS_RUN_EVALUATE_H
#define AS_RUN_EVALUATE_H

#include "run/scored.h"

/* Logits of the items of index (NULL = all that are not done) into s, each also to the store when given. */
as_status as_evaluate_items(as_session *ses, const as_job *j, as_scored *s, const int64_t *index, int64_t n, as_store *store, int64_t run,
                            const char *what, as_err *err) AS_CHECKED;
/* The fields of out that the session knows: names, dtype, ISA, threads, head. */
as_status as_evaluate_describe(const as_session *ses, const as_job *j, const char *data, as_eval_result *out, as_err *err) AS_CHECKED;
/* Put the metrics of out into the store. */
as_status as_evaluate_store(const as_eval_result *r, as_store *store, int64_t run, as_err *err) AS_CHECKED;
#endif
