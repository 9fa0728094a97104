/* pretrain.h: a corpus and a shape, a config or a checkpoint in; a pre-trained checkpoint out. */
#ifndef AS_RUN_PRETRAIN_H
#define AS_RUN_PRETRAIN_H

#include "run/job.h"
#include "train/heldout.h"

typedef struct as_pretrain_job {
    as_job job;                   /* model: the checkpoint to go on from, or NULL */
    as_recipe recipe;             /* steps or epochs, unless tokens is given */
    const char *config, *shape;   /* of a new model: a config.json, or a name */
    const char *const *corpus;    /* corpus folders, or plain texts to make one of */
    int64_t corpus_count;
    const char *tokenizer;        /* folder; NULL: the corpus folder's, or the model's */
    const char *objective, *out;
    int64_t tokens;               /* budget; 0 = by steps or epochs */
    double mask_share;
    bool whole_words, recompute;
    bool save_bf16;               /* the result's weights in half the bytes; the training and its checkpoints are as ever */
    int64_t keep, checkpoint_steps; /* as as_trainer's */
    int64_t pseudo;               /* after the training, score so many held-out sequences token by token (train/pseudo.h); 0 = none */
} as_pretrain_job;
as_recipe as_pretrain_recipe(void);

typedef struct as_pretrain_plan {
    int64_t parameters, rows, tokens_epoch, steps, heldout_rows, shards;
    double tokens, flops, seconds;  /* of the whole training */
    uint64_t bytes;
} as_pretrain_plan;
typedef struct as_pretrain_part { const char *name; as_heldout_mean loss, accuracy; } as_pretrain_part; /* name NULL: not there */
typedef struct as_pretrain_result {
    as_pretrain_plan plan;
    int64_t run, steps;
    double train_loss, seconds, tokens; /* seconds and tokens of this call */
    as_pretrain_part heldout[AS_LOSSES];
    as_heldout_mean bits_per_byte, auc; /* of held-out text: clm; of its tokens, replaced or not: rtd. Else of no predictions */
    as_heldout_mean pseudo;             /* nats per token, n sequences; count 0: not asked for */
    bool resumed, from_store;
    uint64_t peak_bytes;
} as_pretrain_result;
as_status as_run_pretrain(const as_pretrain_job *j, as_pretrain_result *out, as_err *err) AS_CHECKED;
#endif
