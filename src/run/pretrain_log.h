/* pretrain_log.h: what happened in a pre-training, a line of JSON a step: OUT/log.jsonl, and the store's log. */
#ifndef AS_RUN_PRETRAIN_LOG_H
#define AS_RUN_PRETRAIN_LOG_H

#include "run/pretrain.h"
#include "store/store.h"
#include "train/loop.h"

typedef struct as_pretrain_log as_pretrain_log;
/* Goes on behind what the file holds; store NULL = the file alone. */
as_status as_pretrain_log_open(as_pretrain_log **out, const char *dir, as_store *store, int64_t run, as_err *err) AS_CHECKED;
void as_pretrain_log_close(as_pretrain_log *l);
as_status as_pretrain_log_step(as_pretrain_log *l, const as_train_step *s, as_err *err) AS_CHECKED;
as_status as_pretrain_log_evaluation(as_pretrain_log *l, int64_t step, double epoch, double train_loss, const as_pretrain_part parts[AS_LOSSES], as_err *err) AS_CHECKED;
/* After the training: nats per token, each masked in turn. In the file alone. */
as_status as_pretrain_log_pseudo(as_pretrain_log *l, int64_t step, as_heldout_mean m, as_err *err) AS_CHECKED;
/* Drop what was logged behind `step`: training goes on from there. */
as_status as_pretrain_log_cut(as_pretrain_log *l, int64_t step, as_err *err) AS_CHECKED;
as_status as_pretrain_log_flush(as_pretrain_log *l, as_err *err) AS_CHECKED;
#endif
