/* objective_mlm.h: rows of the table of pre-training objectives, each in a file objective_*.c of its own. */
#ifndef AS_TRAIN_OBJECTIVE_MLM_H
#define AS_TRAIN_OBJECTIVE_MLM_H

#include "train/pretraining.h"
#include "train/rows.h"

extern const as_pretraining_row as_pretraining_mlm, as_pretraining_nsp, as_pretraining_sop;
#endif
