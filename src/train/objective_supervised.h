/* objective_supervised.h: labels, sets of labels or numbers from a classification head. */
#ifndef AS_TRAIN_OBJECTIVE_SUPERVISED_H
#define AS_TRAIN_OBJECTIVE_SUPERVISED_H

#include "data/batch.h"
#include "train/objective.h"

/* What the items should become; arrays [items of the data set], those of other kinds NULL. */
typedef struct as_targets {
    const int32_t *label;        /* single label */
    const uint8_t *sets;         /* [items, labels] independent labels */
    const float *value;          /* numbers */
    const float *class_weight;   /* [labels] or NULL; single label only */
} as_targets;

typedef struct as_supervised {
    as_model *model;             /* opened for training, with a classification head */
    const as_encoded *data;
    const int64_t *index;        /* [n] the training items: places in data */
    int64_t n;
    as_targets targets;
    double label_smoothing;
} as_supervised;

/* s stays alive while the objective is used. Its items are those of s->index: places in the data set. */
as_objective as_supervised_objective(const as_supervised *s);
/* The same with the logits [n, labels] in the items' order; NULL = out of memory. */
as_tensor *as_supervised_forward(const as_supervised *s, as_ctx *c, const int64_t *items, int64_t n, float scale);
#endif
