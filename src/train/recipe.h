/* recipe.h: everything about a training run that changes its result. Recorded with the run. */
#ifndef AS_TRAIN_RECIPE_H
#define AS_TRAIN_RECIPE_H

#include "base/status.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum as_schedule { AS_SCHEDULE_LINEAR, AS_SCHEDULE_COSINE, AS_SCHEDULE_CONSTANT, AS_SCHEDULE_WSD } as_schedule;

/* The rate of each step so far: of a loop in the caller's hands. */
typedef struct as_rates { double *v; size_t n, cap; } as_rates;

typedef struct as_recipe {
    double epochs;            /* 3; may be a fraction */
    int64_t steps;            /* > 0 overrides epochs */
    int64_t batch_size;       /* 16 items */
    int64_t accumulate;       /* 1: batches per optimiser step */
    int64_t batch_warmup;     /* 0: steps in which the items of a step grow from an eighth to all */
    int64_t grad_shards;      /* 0 = chosen from model and batch size, recorded */
    double lr;                /* 2e-5 */
    as_schedule schedule;     /* linear decay to 0 after the warm-up; wsd: constant, linear decay over the last fifth */
    double warmup;            /* 0.06: share of the steps, or steps when above 1 */
    double weight_decay;      /* 0.01, not on biases and norms */
    double beta1, beta2, eps; /* 0.9, 0.999, 1e-8 */
    double clip;              /* 1.0: global norm; 0 = off */
    double dropout;           /* < 0 = what the config says */
    double layer_decay;       /* 1.0: lr of layer l is lr * decay^(layers - l) */
    double label_smoothing;   /* 0 */
    const char *class_weights;/* NULL, "balanced", or "1,2.5" in id order */
    const char *freeze;       /* comma list of patterns (* and ?) of weight names, or NULL */
    int64_t eval_every;       /* steps; 0 = each epoch */
    const char *select;       /* metric that picks the best checkpoint; NULL = the first of the metrics; "loss" = dev loss; "last" */
    int64_t patience;         /* evaluations without improvement before the end; 0 = off */
    double checkpoint_minutes;/* 5 */
    uint64_t seed;            /* 1: head, shuffle, dropout */
    const as_rates *rates;    /* NULL; else lr, schedule and warmup are not asked. Lent, and grows while the recipe is in use */
} as_recipe;
as_recipe as_recipe_defaults(void);
/* Learning rate of step t (from 0) of `total`, before layer decay. With rates, t < rates->n. */
double as_recipe_lr(const as_recipe *r, int64_t t, int64_t total);
as_status as_schedule_parse(as_schedule *out, const char *name, as_err *err);
const char *as_schedule_name(as_schedule s);
#endif
