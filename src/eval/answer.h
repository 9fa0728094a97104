/* answer.h: requests to a model over a data set, answered on all threads: the place where model and data meet. Each thread
 * runs packed micro-batches of its own; an item's answer has the same bits whatever the micro-batch, the order or the thread. */
#ifndef AS_EVAL_ANSWER_H
#define AS_EVAL_ANSWER_H

#include "base/log.h"
#include "data/batch.h"
#include "model/model.h"

typedef enum as_request { AS_REQUEST_CLASS, AS_REQUEST_EMBED } as_request;

typedef struct as_answer {
    int64_t item;
    const float *v;           /* [cols] logits, or the sentence vector */
    int64_t cols, tokens;
} as_answer;
/* A finished micro-batch; calls never overlap, their order is free. */
typedef as_status (*as_answer_sink)(void *ctx, const as_answer *a, int64_t n, as_err *err);

typedef struct as_answer_opts {
    as_request request;
    int64_t batch_tokens;     /* 0 = AS_ROW_MAX */
    as_pooling pooling;       /* EMBED */
    bool pool_first, unit;    /* EMBED: the first token instead of pooling; length 1 */
    as_progress *progress;    /* or NULL */
    bool (*stop)(void);       /* asked between micro-batches; or NULL */
} as_answer_opts;

/* index [n], or NULL = all items. AS_NUMERIC names the first item whose answer is not finite; AS_INTERRUPTED after a stop. */
as_status as_answer_items(as_model *m, const as_encoded *e, const int64_t *index, int64_t n, const as_answer_opts *o, as_answer_sink sink, void *ctx,
                          as_err *err) AS_CHECKED;
#endif
