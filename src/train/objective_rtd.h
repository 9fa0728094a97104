/* objective_rtd.h: what ELECTRA's two models read in a step. */
#ifndef AS_TRAIN_OBJECTIVE_RTD_H
#define AS_TRAIN_OBJECTIVE_RTD_H

#include "train/heldout.h"
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

/* A token of an item as the discriminator scores it. */
typedef struct as_rtd_token { float score; bool replaced; int64_t item; } as_rtd_token;
/* The share of pairs (replaced, original) of the n tokens in which the replaced one scores higher, equal scores counting half (Mann and Whitney
 * 1947); NaN, of 0 tokens, where one of the two is missing. The items are what varies (Obuchowski 1997, who sums DeLong's components by cluster), with
 * Student's t. Sorts the tokens; over: [items], room. */
as_heldout_mean as_rtd_area(as_rtd_token *t, int64_t n, int64_t items, double *over, double level);
/* The same of all items of an "rtd" objective, with held-out masks. */
as_status as_rtd_auc(as_heldout_mean *out, const as_objective *o, as_engine *e, double level, as_err *err) AS_CHECKED;
#endif
