/* finetune.h: a labelled data set and a trainable model, open together: what finetune and cross-validation share. */
#ifndef AS_RUN_FINETUNE_H
#define AS_RUN_FINETUNE_H

#include "run/evaluate.h"
#include "train/loop.h"
#include "train/objective_supervised.h"

typedef struct as_tuning {
    as_session ses;
    as_records records;
    as_encoded encoded;
    as_scored scored;         /* cross-validation: predictions of all folds */
    int32_t *label;
    uint8_t *sets;
    float *value, *class_weight;
    bool new_head;            /* the checkpoint's head is for other labels */
} as_tuning;

as_status as_tuning_open(as_tuning *t, const as_finetune_job *f, as_err *err) AS_CHECKED;
/* The model alone, into a closed session; the records are open. */
as_status as_tuning_open_model(as_tuning *t, const as_finetune_job *f, as_err *err) AS_CHECKED;
/* Has the checkpoint a trained head for these labels? As they are numbered, or under the same names in another order. */
typedef enum as_fit { AS_FIT_NONE, AS_FIT_AS_IS, AS_FIT_BY_NAME } as_fit;
as_status as_head_fits(as_fit *fit, const char *dir, const as_records *r, as_err *err) AS_CHECKED;
/* Targets of every record, from t->records. */
as_status as_tuning_targets(as_tuning *t, as_err *err) AS_CHECKED;
/* Fill model and objective of tr and train on the records of index [n]. */
as_status as_tuning_train(as_tuning *t, const as_finetune_job *f, const int64_t *index, int64_t n, as_trainer *tr, as_trained *out, as_err *err) AS_CHECKED;
void as_tuning_close(as_tuning *t);
#endif
