/* objective.h: what training minimises. The loop (train/loop.h) deals items to gradient shards, steps and saves; an objective says
 * what an item is, which token rows a step touches, what the step's loss is divided by, and computes the loss of some items.
 * Everything random in it is a function of (seed, epoch or step, item, position): it depends neither on threads or ranks nor on
 * how a batch was cut. */
#ifndef AS_TRAIN_OBJECTIVE_H
#define AS_TRAIN_OBJECTIVE_H

#include "model/model.h"

/* Where training is. An item comes once in an epoch. */
typedef struct as_train_at { uint64_t seed; int64_t step, epoch; } as_train_at; /* step, epoch from 0 */

enum { AS_LOSSES = 2 }; /* parts of a loss that are means of their own, such as masked words and next sentence */

/* What an item's forward pass counted, by part: sums, which the caller adds up and divides once. */
typedef struct as_tally {
    double loss[AS_LOSSES];                        /* nats, not scaled */
    int64_t count[AS_LOSSES], correct[AS_LOSSES];  /* predictions made, and right ones; 0, 0 where an objective does not count */
} as_tally;

typedef struct as_objective {
    const char *name, *parts[AS_LOSSES]; /* "mlm"; what the parts are called in a log, NULL = not there */
    void *self;              /* the objective's own; the caller keeps it alive. Not written to by the functions below */
    int64_t n, tokens;       /* items of an epoch, 0 .. n - 1; their tokens, where it knows */
    /* order[0..n) gets the items as the epoch has them. */
    void (*order)(const void *self, int64_t *order, uint64_t seed, int64_t epoch);
    /* Tokens of an item, as nearly as the balance of shards needs. */
    int64_t (*length)(const void *self, int64_t item);
    /* Append the token ids that the items' forward pass will look up to (*ids)[*count]. */
    as_status (*ids)(const void *self, const as_train_at *at, const int64_t *items, int64_t n, int32_t **ids, size_t *cap, int64_t *count, as_err *err);
    /* What each part of the loss of a step with these items is divided by; a part that it has not gets 1. */
    void (*denominators)(const void *self, const as_train_at *at, const int64_t *items, int64_t n, double out[AS_LOSSES]);
    /* Pack the items, run the model, add the parts, each times its scale, to c->loss. each [n] gets the items' tallies, or NULL.
     * false = out of memory. */
    bool (*forward)(const void *self, as_ctx *c, const as_train_at *at, const int64_t *items, int64_t n, const float scale[AS_LOSSES], as_tally *each);
} as_objective;
#endif
