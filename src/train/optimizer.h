/* optimizer.h: gradient shards, their fixed summation tree, and AdamW in one pass over a model's masters. Tables of which a
 * step touches few rows are updated lazily: a row that was not touched catches up, step by step, before it is next read or
 * saved, so the bits are those of the dense update. */
#ifndef AS_TRAIN_OPTIMIZER_H
#define AS_TRAIN_OPTIMIZER_H

#include "io/weights.h"
#include "model/model.h"
#include "train/recipe.h"
#include "train/shares.h"

typedef struct as_optimizer as_optimizer;

/* total: the steps of the whole schedule. freeze patterns set as_param.trainable; layer_decay sets rates. A pattern that
 * matches nothing is AS_USAGE. */
as_status as_optimizer_new(as_optimizer **out, as_model *m, const as_recipe *r, int shards, int64_t total, as_err *err) AS_CHECKED;
/* The same, its shards spread over ranks (NULL = one process): each holds gradients of its own shards, and steps a region of the
 * weights. new, step, gather and share are then called together, begin with the same ids. */
as_status as_optimizer_new_on(as_optimizer **out, as_comm *comm, as_model *m, const as_recipe *r, int shards, int64_t total, as_err *err) AS_CHECKED;
/* Shards [*first, *end) are this rank's. */
void as_optimizer_own(const as_optimizer *o, int *first, int *end);
/* Bring the moments to rank 0, which writes checkpoints; and the whole state of rank 0 to all. */
as_status as_optimizer_gather(as_optimizer *o, as_err *err) AS_CHECKED;
as_status as_optimizer_share(as_optimizer *o, as_err *err) AS_CHECKED;
void as_optimizer_free(as_optimizer *o);

/* Before the forward pass of a step: the token ids whose table rows will be touched (repeats are fine). Catches those rows up,
 * gives them gradient slots and makes all gradients zero. */
as_status as_optimizer_begin(as_optimizer *o, const int32_t *ids, int64_t n, as_err *err) AS_CHECKED;
as_grads *as_optimizer_shard(as_optimizer *o, int shard);
/* Make the gradients that nothing was added to yet hold zeros: before something else than an op reads or writes them. */
void as_optimizer_fill(as_optimizer *o);
/* Sum the shards, clip, update, pack. *norm gets the gradient's Euclidean norm before clipping (NULL allowed). AS_NUMERIC when it
 * is not finite: then nothing was updated. */
as_status as_optimizer_step(as_optimizer *o, double *norm, as_err *err) AS_CHECKED;
int64_t as_optimizer_steps(const as_optimizer *o); /* done so far */
/* Bring every lazily updated row up to date: before saving or evaluating. */
void as_optimizer_settle(as_optimizer *o);
size_t as_optimizer_bytes(const as_model *m, int shards); /* memory that new would take */

/* State for a checkpoint: masters, both moments, last step of each lazy row, as named views; valid while o lives. Restoring
 * copies from such views, all of which must be there with their shapes. */
as_status as_optimizer_views(as_optimizer *o, as_weight_view **out, size_t *count, as_err *err) AS_CHECKED; /* as_free(*out); names belong to o */
as_status as_optimizer_restore(as_optimizer *o, const as_weight_files *state, int64_t steps, as_err *err) AS_CHECKED;
#endif
