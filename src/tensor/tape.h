/* tape.h: tensors, parameters and the define-by-run tape. An op runs its forward at once; in training it also pushes one
 * record that knows its backward. Activations and their gradients live in the context's arena and are released together by
 * as_ctx_reset. An op that runs out of memory returns NULL, ops pass NULL on, and ctx->failed stays set: check once. */
#ifndef AS_TENSOR_TAPE_H
#define AS_TENSOR_TAPE_H

#include "base/arena.h"
#include "tensor/engine.h"
#include "tensor/seqs.h"

typedef struct as_tensor {
    float *x;          /* [as_rows_padded(rows), cols]; the rows past the last are finite */
    float *dx;         /* the same shape, NULL until a gradient arrives; its rows past the last are zero */
    int64_t rows, cols;
    bool wants_grad;
} as_tensor;

/* A trainable (or frozen) matrix. Vectors are [1, cols]. */
typedef struct as_param {
    const char *name;   /* engine-wide unique; keys the optimiser's state */
    int64_t rows, cols;
    float *w;           /* row-major master; may be a read-only map in inference */
    as_pack *pack;      /* for linear weights; NULL for vectors and tables */
    bool trainable;
    bool sparse;        /* a table of which a step touches few rows: gradients are kept per touched row */
    bool decay;         /* weight decay applies */
    int index;          /* in the model's list, and in as_grads */
} as_param;

/* Gradients of one shard. Dense parameters: dense[index] [rows, cols]. Sparse tables: dense[index] holds [slots, cols] for the
 * rows that the whole batch touches, row_slot[index][row] = slot or -1. NULL for frozen parameters. */
typedef struct as_grads {
    float **dense;
    int32_t *const *row_slot;
    uint8_t *fresh;     /* [index] 1 = dense[index] holds nothing yet, and counts as zero. NULL = all hold something */
} as_grads;

typedef struct as_ctx as_ctx;
typedef struct as_tape_record as_tape_record;
typedef struct as_op {
    const char *name;
    bool (*backward)(as_ctx *c, as_tape_record *r); /* false when out of memory */
} as_op;

struct as_tape_record {
    const as_op *op;
    as_tensor *in[4], *out;
    void *saved;        /* op's own, in the arena */
};

struct as_ctx {
    as_engine *e;
    const as_kernels *k;
    as_arena arena;
    int slot;           /* first work space of the engine that this context owns */
    int threads;        /* team that shares the rows of one op: slots slot .. slot + threads - 1 */
    bool training;      /* record, and drop out */
    bool failed;
    bool recompute;     /* a model may drop a layer's activations and compute them again in backward */
    bool silent;        /* in training, but nothing is recorded: the first run of what is computed again */
    as_tape_record *tape;
    size_t tape_n, tape_cap;
    as_grads *grads;    /* training: where parameter gradients go (+=) */
    uint64_t drop_seed; /* of this step */
    uint32_t drop_site; /* counts the dropout sites of a forward pass */
    double loss;        /* sum of what the loss ops returned, times their scale */
};

as_status as_ctx_init(as_ctx *c, as_engine *e, int slot, int threads, as_err *err) AS_CHECKED;
void as_ctx_deinit(as_ctx *c);
void as_ctx_reset(as_ctx *c);                 /* drops tape and activations; keeps their memory */

as_tensor *as_tensor_new(as_ctx *c, int64_t rows, int64_t cols, bool wants_grad);
void *as_ctx_push(as_ctx *c, size_t count, size_t size); /* arena memory; sets failed */
/* Record an op; NULL-safe. in2..: pass NULL. */
as_tape_record *as_ctx_record(as_ctx *c, const as_op *op, as_tensor *out, as_tensor *a, as_tensor *b, as_tensor *d, void *saved);
/* The gradient buffer of t, made on first use; *fresh says that it holds nothing yet (write, do not add). NULL = failed. */
float *as_tensor_grad(as_ctx *c, as_tensor *t, bool *fresh);
/* Where p's gradient is added up; NULL when frozen or not training. *fresh: it holds nothing yet (write all of it, do not add);
 * with fresh NULL it is made zero first. */
float *as_param_grad(const as_ctx *c, const as_param *p, bool *fresh);
/* Run the records backwards. Loss ops seed the gradients themselves. */
bool as_ctx_backward(as_ctx *c);
/* The records from `first` on, which leave the tape. */
bool as_ctx_backward_to(as_ctx *c, size_t first);

/* The key of the next dropout site of this pass; off (keep = 65536) outside training. */
as_dropout_key as_ctx_drop(as_ctx *c, float p);

/* Split `rows` over the context's team; body gets [r0, r1) and a work space. Rows are cut at multiples of `step`. */
void as_ctx_rows(as_ctx *c, int64_t rows, int64_t step, void (*body)(void *arg, int64_t r0, int64_t r1, int slot), void *arg);

#endif
