/* heldout.h: an objective's loss on held-out rows, with masks that are the same at every step, in every run, for every seed. */
#ifndef AS_TRAIN_HELDOUT_H
#define AS_TRAIN_HELDOUT_H

#include "base/log.h"
#include "dist/comm.h"
#include "train/objective.h"

/* The masks of evaluation: as if of an epoch that is never one of training. */
static inline as_train_at as_heldout_at(void) { return (as_train_at){.seed = 1, .epoch = UINT32_MAX}; }
/* Calls score(ctx, c, items, n) for the items [first, end) on e's threads, a few items at a time, each thread in a context of its own without
 * gradients, reset before each call. score returns false when out of memory. progress (or NULL) is told of the items. */
typedef bool as_heldout_fn(void *ctx, as_ctx *c, const int64_t *items, int64_t n);
as_status as_heldout_each(as_engine *e, int64_t first, int64_t end, as_heldout_fn *score, void *ctx, as_progress *progress, as_err *err) AS_CHECKED;

/* each [o->n] gets the tallies of all items, which are shared out over ranks (NULL = one process), on every rank. Dropout is off; the result
 * depends neither on threads nor on ranks. */
as_status as_heldout_score(const as_objective *o, as_engine *e, as_comm *comm, as_progress *progress, as_tally *each, as_err *err) AS_CHECKED;

/* A ratio of sums over items, with its interval: the items are what varies (delta method, Student's t). */
typedef struct as_heldout_mean { double value, low, high; int64_t n, count; } as_heldout_mean; /* items; predictions */
as_heldout_mean as_heldout_loss(const as_tally *each, int64_t n, int part, double level);     /* nats per prediction */
as_heldout_mean as_heldout_perplexity(as_heldout_mean loss);                                  /* its exponential */
as_heldout_mean as_heldout_accuracy(const as_tally *each, int64_t n, int part, double level);
/* Gives m, of m->n items, its interval: squares is the sum over items of the square of what each adds to scale times the deviation of m->value;
 * a share is between 0 and 1. One item has none. */
void as_heldout_interval(as_heldout_mean *m, double squares, double scale, bool share, double level);
/* ,"NAME":value,"NAME_low":low,"NAME_high":high */
void as_heldout_json(as_buf *b, const char *name, as_heldout_mean m);
#endif
