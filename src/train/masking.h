/* masking.h: which tokens of a sequence are hidden from the model, as a function of (seed, epoch, span, position). */
#ifndef AS_TRAIN_MASKING_H
#define AS_TRAIN_MASKING_H

#include "base/rng.h"
#include "train/objective.h"
#include "train/pretraining.h"

/* The random numbers of a position: v[0] chooses it, the others are for what becomes of it. */
static inline as_philox as_mask_draw(const as_train_at *at, int64_t span, int64_t pos) {
    return as_philox_at(at->seed, AS_STREAM_MASK, (uint32_t)at->epoch, (uint32_t)span, (uint32_t)pos);
}
/* target[i] gets ids[i] where it is chosen, else AS_IGNORE: each token that is not special with probability mask_share. Whole words:
 * the draw of a word's first piece counts for all of them. */
void as_mask_choose(const as_pretraining *p, const as_train_at *at, int64_t span, const int32_t *ids, int64_t n, int32_t *target);
#endif
