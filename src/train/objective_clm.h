/* objective_clm.h: rows of the table of pre-training objectives. */
#ifndef AS_TRAIN_OBJECTIVE_CLM_H
#define AS_TRAIN_OBJECTIVE_CLM_H

#include "train/pretraining.h"

extern const as_pretraining_row as_pretraining_clm, as_pretraining_rtd;
#endif
