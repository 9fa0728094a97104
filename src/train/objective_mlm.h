/* objective_mlm.h: rows of the table of pre-training objectives, each in a file objective_*.c of its own. */
#ifndef AS_TRAIN_OBJECTIVE_MLM_H
#define AS_TRAIN_OBJECTIVE_MLM_H

#include "train/pretraining.h"
#include "train/rows.h"

extern const as_pretraining_row as_pretraining_mlm, as_pretraining_nsp, as_pretraining_sop;

/* What an mlm objective is made of, and shows the model. */
const as_rows *as_mlm_rows(const as_objective *o);
const as_pretraining *as_mlm_source(const as_objective *o); /* what it was opened with */
/* The sequence of a span, masked: buffers of max_length; target AS_IGNORE where nothing is masked; label of the pair, or 0. Its length. */
int64_t as_mlm_sequence(const as_objective *o, const as_train_at *at, int64_t span, int32_t *ids, int32_t *types, int32_t *target, int32_t *label);
#endif

