/* evaluate.h: scoring of open records with an open session: shared by eval, finetune and cross-validation. */
#ifndef AS_RUN_EVALUATE_H
#define AS_RUN_EVALUATE_H

#include "run/scored.h"

/* Logits of the items of index (NULL = all that are not done) into s, each also to the store when given. With j->comm together, the items
 * shared out: afterwards all ranks have all, and rank 0 has stored them as they came in. */
as_status as_evaluate_items(as_session *ses, const as_job *j, as_scored *s, const int64_t *index, int64_t n, as_store *store, int64_t run,
                            const char *what, as_err *err) AS_CHECKED;
/* The fields of out that the session knows: names, dtype, ISA, threads, head. */
as_status as_evaluate_describe(const as_session *ses, const as_job *j, const char *data, as_eval_result *out, as_err *err) AS_CHECKED;
/* What a run cost: kept with it, so that a repeated command can tell. 0 = unknown. */
typedef struct as_run_cost { double seconds, items_per_second, train_seconds; uint64_t peak_bytes; } as_run_cost; /* train: what was trained within it */
as_status as_run_cost_json(as_buf *out, const as_run_cost *c, as_err *err) AS_CHECKED;
as_run_cost as_run_cost_parse(const char *json);
/* Put the metrics of out into the store. */
as_status as_evaluate_store(const as_eval_result *r, as_store *store, int64_t run, as_err *err) AS_CHECKED;
#endif
