/* loop.h: the one training loop: of fine-tuning and of every pre-training objective. Everything random is a function of (seed,
 * step, item), so a run that was killed goes on from its last checkpoint to the same bytes, on any number of threads and ranks. */
#ifndef AS_TRAIN_LOOP_H
#define AS_TRAIN_LOOP_H

#include "base/log.h"
#include "train/objective.h"
#include "train/optimizer.h"

typedef struct as_train_step {
    int64_t step, total, tokens;
    double epoch, loss, lr, norm, seconds;
    int64_t count[AS_LOSSES], correct[AS_LOSSES]; /* the objective's predictions in this step, and right ones */
} as_train_step;

typedef struct as_trainer {
    as_model *model;             /* opened for training, with the objective's head */
    const as_recipe *recipe;
    const as_objective *objective;
    as_comm *comm;               /* the ranks that train together: all call, rank 0 alone writes; NULL = one process */
    const char *state_dir;       /* checkpoints; NULL = none, and no resuming */
    int64_t keep;                /* checkpoints to keep, the newest; 0 = one */
    int64_t checkpoint_steps;    /* also a checkpoint every so many steps; 0 = by time only */
    bool guard;                  /* end when the loss leaves its course (train/guard.h), with the last good state */
    bool recompute;              /* keep no activations within a layer: the same bits, slower, in less memory */
    const char *identity;        /* digest of what changes results: a state of another run is not resumed */
    /* After the steps that the recipe says: a score (higher is better). NULL = no selection. */
    as_status (*validate)(void *ctx, int64_t step, double epoch, double train_loss, double *score, as_err *err);
    as_status (*log)(void *ctx, const as_train_step *s, as_err *err);   /* each step; or NULL */
    as_status (*checkpoint)(void *ctx, int64_t step, bool resumed, as_err *err); /* before one is written, or after one was resumed; or NULL */
    void *ctx;
    bool (*stop)(void);          /* asked each step: checkpoint, then AS_INTERRUPTED */
    as_progress *progress;
} as_trainer;

typedef struct as_trained {
    int64_t steps, total, best_step;
    double loss, best_score, seconds;   /* loss: mean of the steps since the last evaluation but one */
    bool resumed, stopped_early;
    bool rolled_back;                   /* AS_NUMERIC: the model holds the last good checkpoint, of step `steps` */
} as_trained;

int64_t as_train_total_steps(const as_recipe *r, int64_t items);
/* Gradient shards of a run: a power of two, from model and batch size alone (never the machine). */
int as_train_shards(const as_recipe *r, const as_model *m);
/* At the end the model holds the best weights (or the last, when nothing selects). */
as_status as_train(const as_trainer *t, as_trained *out, as_err *err) AS_CHECKED;

/* --- the pieces of a step, also for a loop in a caller's hands --- */
uint64_t as_train_drop_seed(uint64_t seed, int64_t step);
/* by[0..n) gets the places 0..n-1 of items, the longest item first, equal ones as they come: the order of a packed batch. */
void as_train_longest_first(int64_t *by, const as_objective *o, const int64_t *items, int64_t n);
#endif
