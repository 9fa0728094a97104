/* op_vocab_loss.c: cross-entropy of a language-model head, chunk by chunk over the vocabulary. Forward keeps one
 * log-sum-exp per row; backward computes each chunk of logits again. */
#include "tensor/ops.h"
#include <math.h>
#include <stdatomic.h>
#include <string.h>

enum { CHUNK = 2048 };

typedef struct saved {
    const as_param *table, *bias;
    const int32_t *target;
    float *lse; /* [rows] */
    float scale;
} saved;

/* Logits of rows x columns [v0, v0 + n) into y [rows, n]. */
static bool chunk_logits(as_ctx *c, const saved *v, float *y, const as_tensor *x, int64_t v0, int64_t n) {
    if (!as_product_nt(c->e, y, n, x->x, v->table->w + v0 * x->cols, x->rows, n, x->cols, c->slot)) return false;
    for (int64_t r = 0; v->bias && r < x->rows; r++) c->k->add(y + r * n, v->bias->w + v0, n);
    return true;
}

/* Running maximum and sum of each row over the chunks (online softmax). */
static void fold_chunk(const as_ctx *c, const saved *v, const float *y, int64_t rows, int64_t v0, int64_t n, float *max, double *sum, double *gold) {
    for (int64_t r = 0; r < rows; r++) {
        const float *row = y + r * n, top = c->k->row_max(row, n);
        if (top > max[r]) sum[r] *= exp((double)max[r] - (double)top), max[r] = top;
        sum[r] += c->k->sum_exp(row, n, max[r]);
        const int64_t t = (int64_t)v->target[r] - v0;
        if (t >= 0 && t < n) gold[r] = (double)row[t];
    }
}

bool as_vocab_loss(as_ctx *c, as_tensor *x, const as_param *table, const as_param *bias, const int32_t *target, float scale, double *each) {
    if (!x) return false;
    const int64_t rows = x->rows, vocab = table->rows;
    saved *v = as_ctx_push(c, 1, sizeof *v);
    float *lse = as_ctx_push(c, (size_t)rows + 1, sizeof *lse);
    if (!v || !lse) return false;
    *v = (saved){table, bias, target, lse, scale};
    const as_arena_mark mark = as_arena_mark_here(&c->arena);
    float *y = as_ctx_push(c, (size_t)(rows * CHUNK), sizeof *y), *max = as_ctx_push(c, (size_t)rows + 1, sizeof *max);
    double *sum = as_ctx_push(c, (size_t)rows + 1, sizeof *sum), *gold = as_ctx_push(c, (size_t)rows + 1, sizeof *gold);
    if (!y || !max || !sum || !gold) return false;
    for (int64_t r = 0; r < rows; r++) max[r] = -INFINITY, sum[r] = 0.0, gold[r] = 0.0;
    for (int64_t v0 = 0; v0 < vocab; v0 += CHUNK) {
        const int64_t n = vocab - v0 < CHUNK ? vocab - v0 : CHUNK;
        if (!chunk_logits(c, v, y, x, v0, n)) return false;
        fold_chunk(c, v, y, rows, v0, n, max, sum, gold);
    }
    double total = 0.0;
    for (int64_t r = 0; r < rows; r++) {
        const double l = (double)max[r] + log(sum[r]), loss = target[r] == AS_IGNORE ? 0.0 : l - gold[r];
        lse[r] = (float)l;
        if (each) each[r] = loss;
        total += loss;
    }
    as_arena_release(&c->arena, mark);
    c->loss += total * (double)scale;
    as_ctx_record(c, &as_op_vocab_loss, NULL, x, NULL, NULL, v);
    return !c->failed;
}

/* y becomes d(loss)/d(logits) of the chunk. */
static void chunk_grads(const as_ctx *c, const saved *v, float *y, int64_t rows, int64_t v0, int64_t n) {
    for (int64_t r = 0; r < rows; r++) {
        float *row = y + r * n;
        if (v->target[r] == AS_IGNORE) {
            memset(row, 0, (size_t)n * sizeof *row);
            continue;
        }
        c->k->exp_shift(row, row, n, v->lse[r], v->scale, false);
        const int64_t t = (int64_t)v->target[r] - v0;
        if (t >= 0 && t < n) row[t] -= v->scale;
    }
}
static bool backward(as_ctx *c, as_tape_record *r) {
    const saved *v = r->saved;
    as_tensor *x = r->in[0];
    bool fresh;
    float *dx = as_tensor_grad(c, x, &fresh), *dt = as_param_grad(c, v->table), *db = v->bias ? as_param_grad(c, v->bias) : NULL;
    const as_arena_mark mark = as_arena_mark_here(&c->arena);
    float *y = as_ctx_push(c, (size_t)(x->rows * CHUNK), sizeof *y);
    if (!dx || !y) return false;
    if (fresh) memset(dx, 0, (size_t)(x->rows * x->cols) * sizeof *dx);
    AS_ASSERT(!dt || !v->table->sparse);
    for (int64_t v0 = 0; v0 < v->table->rows; v0 += CHUNK) {
        const int64_t n = v->table->rows - v0 < CHUNK ? v->table->rows - v0 : CHUNK;
        if (!chunk_logits(c, v, y, x, v0, n)) return false;
        chunk_grads(c, v, y, x->rows, v0, n);
        if (!as_product_nn(c->e, dx, y, n, v->table->w + v0 * x->cols, x->rows, n, x->cols, c->slot)) return false;
        if (dt && !as_product_tn(c->e, dt + v0 * x->cols, y, n, x->x, x->rows, n, x->cols, c->slot)) return false;
        if (db) c->k->column_sum(db + v0, y, x->rows, n, 0, n);
    }
    as_arena_release(&c->arena, mark);
    return true;
}
const as_op as_op_vocab_loss = {"vocab_loss", backward};
