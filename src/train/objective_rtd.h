/* objective_rtd.h: what ELECTRA's two models read in a step. */
#ifndef AS_TRAIN_OBJECTIVE_RTD_H
#define AS_TRAIN_OBJECTIVE_RTD_H

#include "train/packed.h"

/* Originals in k; the masked tokens' rows and what they were; the ids that each model reads. */
typedef struct as_rtd_batch {
    as_packed k;
    int64_t *want, want_n;
    int32_t *target, *masked, *filled; /* [want_n], [tokens] for the generator, [tokens] for the discriminator */
    uint8_t *replaced;                 /* [tokens] */
    double *loss;                      /* [tokens] scratch */
    bool *right;
} as_rtd_batch;

/* The batch of some items of an "rtd" objective, drawn with the weights of now. false = out of memory. */
bool as_rtd_read(const as_objective *o, as_ctx *c, const as_train_at *at, const int64_t *items, int64_t n, as_rtd_batch *out);
/* The discriminator's logits of q's tokens. */
as_tensor *as_rtd_logits(const as_objective *o, as_ctx *c, const as_seqs *q);
/* Of all items of an "rtd" objective, with held-out masks: the share of pairs (replaced, original) that the discriminator ranks rightly;
 * NaN where one of the two is missing. */
as_status as_rtd_auc(double *out, const as_objective *o, as_engine *e, as_err *err) AS_CHECKED;
#endif
