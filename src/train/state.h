/* state.h: a training run on disk: the newest checkpoint (weights, moments, position) and the best weights so far. Both are
 * written whole or not at all. With as_trainer.keep so many of the newest are kept, named by their step. Without a state_dir the best weights are kept in memory. */
#ifndef AS_TRAIN_STATE_H
#define AS_TRAIN_STATE_H

#include "train/guard.h"
#include "train/loop.h"

typedef struct as_train_state {
    int64_t step, total, best_step, stale;
    bool stopped;             /* patience is spent */
    double best_score, loss_sum, loss_last; /* loss_last: mean of the steps before the last evaluation */
    int64_t loss_n;
    as_guard guard;
    float **best;             /* [params] copies, without a state_dir */
    size_t best_n;
} as_train_state;

as_status as_state_write(as_train_state *s, const as_trainer *t, as_optimizer *o, as_err *err) AS_CHECKED;
/* Goes on where the newest checkpoint of the same identity was; *resumed says whether there was one. */
as_status as_state_resume(as_train_state *s, const as_trainer *t, as_optimizer *o, bool *resumed, as_err *err) AS_CHECKED;
/* The same without the other ranks. */
as_status as_state_read(as_train_state *s, const as_trainer *t, as_optimizer *o, bool *resumed, as_err *err) AS_CHECKED;
as_status as_state_keep_best(as_train_state *s, const as_trainer *t, as_err *err) AS_CHECKED;
as_status as_state_take_best(as_train_state *s, const as_trainer *t, as_err *err) AS_CHECKED;
void as_state_free(as_train_state *s);
#endif
