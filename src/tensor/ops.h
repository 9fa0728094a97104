/* ops.h: the ops, coarse enough that a model file reads like its paper. Each lives in op_<name>.c, forward beside backward,
 * and is one row of as_ops (ops.c), from which the gradient test takes its list. Results are NULL when an input is NULL or
 * memory ran out. Shapes are asserted: they come from a checked config, not from a file. */
#ifndef AS_TENSOR_OPS_H
#define AS_TENSOR_OPS_H

#include "tensor/tape.h"

extern const as_op as_op_embed, as_op_linear, as_op_norm, as_op_attention, as_op_dropout, as_op_act, as_op_add, as_op_pick,
    as_op_pool, as_op_unit, as_op_class_loss, as_op_binary_loss, as_op_square_loss, as_op_vocab_loss, as_op_recompute;
extern const as_op *const as_ops[];
extern const size_t as_ops_count;

/* Sum of table rows: word[ids] + position[pos] + type[types] (each table may be NULL) [tokens, dim]. */
as_tensor *as_embed(as_ctx *c, const as_seqs *s, const as_param *word, const as_param *position, const as_param *type);

/* y = act(x W^T + b): x [rows, k], w [n, k] with a pack, b [1, n] or NULL. */
as_tensor *as_linear(as_ctx *c, as_tensor *x, const as_param *w, const as_param *b, as_act act);

/* Layer norm of (residual + dropout(x)); residual may be NULL. gamma, beta [1, dim]; beta may be NULL. Ba et al. 2016. */
as_tensor *as_norm(as_ctx *c, as_tensor *x, as_tensor *residual, float dropout, const as_seqs *s, const as_param *gamma,
                   const as_param *beta, float eps);

/* Attention: softmax(scale q k^T + bias, masked) v per (sequence, head). q [rows, heads * d] lies at column q_at of its tensor, k
 * and v likewise (one fused tensor may hold all three). Queries and keys have sequences of their own (cross-attention, caches);
 * kv_heads divides heads. Vaswani et al. 2017. */
typedef struct as_attention {
    as_tensor *q, *k, *v;
    int64_t q_at, k_at, v_at;          /* first column */
    const as_seqs *q_seqs, *kv_seqs;   /* the same count of sequences */
    int64_t heads, kv_heads, head_dim;
    float scale, soft_cap, dropout;
    bool causal;                       /* key j is seen by query i when j <= i + (keys - queries) */
    int64_t window;                    /* 0 = none; else |distance| <= window */
    const float *bias;                 /* [heads, bias_rows, bias_cols] by query and key position, or NULL */
    float *dbias;                      /* += its gradient, or NULL */
    int64_t bias_rows, bias_cols;
    float *taps;                       /* attention weights: for each sequence heads * n * s, one after the other; or NULL */
} as_attention;
as_tensor *as_attend(as_ctx *c, const as_attention *a); /* [q rows, heads * head_dim] */

/* run(arg, c, x) [rows, cols], whose activations are not kept: backward runs it again. x is the only tensor with a gradient that it
 * reads; arg lives as long as the tape. */
as_tensor *as_recompute(as_ctx *c, as_tensor *(*run)(void *arg, as_ctx *c, as_tensor *x), void *arg, as_tensor *x, int64_t rows, int64_t cols);

as_tensor *as_dropout(as_ctx *c, as_tensor *x, float p, const int32_t *item, const int32_t *pos); /* item, pos [rows] */
as_tensor *as_activate(as_ctx *c, as_tensor *x, as_act act);
as_tensor *as_add_tensors(as_ctx *c, as_tensor *a, as_tensor *b);
/* Rows of x by index [n]; an index may come twice. */
as_tensor *as_pick(as_ctx *c, as_tensor *x, const int64_t *index, int64_t n);
/* One row per sequence: the mean or the maximum over its rows. */
typedef enum as_pooling { AS_POOL_MEAN, AS_POOL_MAX, AS_POOL_MEAN_SQRT } as_pooling;
as_tensor *as_pool(as_ctx *c, as_tensor *x, const as_seqs *s, as_pooling how);
/* Rows of Euclidean length 1 (torch normalize: divide by max(norm, 1e-12)). */
as_tensor *as_unit(as_ctx *c, as_tensor *x);

/* Losses add scale * sum(loss) to ctx->loss and write each row's loss (unscaled) to `each` [rows] when given. Rows with target
 * AS_IGNORE count nothing. They end a graph: nothing may follow. */
#define AS_IGNORE (-100)
/* Softmax cross-entropy (nats). weights [classes] or NULL; smoothing as torch's label_smoothing. */
bool as_class_loss(as_ctx *c, as_tensor *logits, const int32_t *target, const float *weights, float smoothing, float scale, double *each);
/* Sum over labels of the sigmoid cross-entropy, per row; target [rows, labels] 0/1. */
bool as_binary_loss(as_ctx *c, as_tensor *logits, const uint8_t *target, float scale, double *each);
/* Squared error of column 0. */
bool as_square_loss(as_ctx *c, as_tensor *x, const float *target, float scale, double *each);
/* Cross-entropy over a large vocabulary, x [rows, dim] against table [vocab, dim] and bias [1, vocab] (or NULL): chunk by
 * chunk; backward computes the [rows, vocab] logits again unless they are few enough to be kept. right [rows] or NULL: no other word has a higher logit. */
bool as_vocab_loss(as_ctx *c, as_tensor *x, const as_param *table, const as_param *bias, const int32_t *target, float scale, double *each, bool *right);
/* Bytes of logits that a training context keeps of so many rows for the backward pass. */
int64_t as_vocab_loss_kept(int64_t rows, int64_t vocab);
/* out[r] gets an entry of the vocabulary drawn with probability softmax(x[r] table^T + bias); u [rows] in [0, 1) decides. No
 * gradient goes through it. */
bool as_vocab_sample(as_ctx *c, const as_tensor *x, const as_param *table, const as_param *bias, const double *u, int32_t *out);

#endif
