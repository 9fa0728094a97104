/* op_pool.c: one row per sequence, as sentence-transformers' Pooling module (mean, max, mean_sqrt_len). Rows are added in order. */
#include "tensor/ops.h"
#include <math.h>
#include <string.h>

typedef struct saved { const as_seqs *s; as_pooling how; int64_t *from; /* [count, dim] row of each maximum */ } saved;

static float divisor(const saved *v, int64_t n) {
    return v->how == AS_POOL_MAX || n == 0 ? 1.0f : v->how == AS_POOL_MEAN ? (float)n : sqrtf((float)n);
}
static void pool_max(const saved *v, float *y, const as_tensor *x, int64_t q) {
    for (int64_t j = 0; j < x->cols; j++) {
        int64_t best = v->s->begin[q];
        for (int64_t r = best + 1; r < v->s->begin[q + 1]; r++)
            if (x->x[r * x->cols + j] > x->x[best * x->cols + j]) best = r;
        v->from[q * x->cols + j] = best;
        y[j] = x->x[best * x->cols + j];
    }
}
as_tensor *as_pool(as_ctx *c, as_tensor *x, const as_seqs *s, as_pooling how) {
    if (!x) return NULL;
    as_tensor *y = as_tensor_new(c, s->count, x->cols, true);
    saved *v = as_ctx_push(c, 1, sizeof *v);
    if (!y || !v) return NULL;
    *v = (saved){.s = s, .how = how};
    if (how == AS_POOL_MAX && !(v->from = as_ctx_push(c, (size_t)(s->count * x->cols), sizeof *v->from))) return NULL;
    for (int64_t q = 0; q < s->count; q++) {
        float *row = y->x + q * x->cols;
        memset(row, 0, (size_t)x->cols * sizeof *row);
        if (s->begin[q] == s->begin[q + 1]) continue;
        if (how == AS_POOL_MAX) {
            pool_max(v, row, x, q);
            continue;
        }
        for (int64_t r = s->begin[q]; r < s->begin[q + 1]; r++) c->k->add(row, x->x + r * x->cols, x->cols);
        const float by = divisor(v, s->begin[q + 1] - s->begin[q]);
        for (int64_t j = 0; j < x->cols; j++) row[j] /= by;
    }
    as_ctx_record(c, &as_op_pool, y, x, NULL, NULL, v);
    return y;
}
static bool backward(as_ctx *c, as_tape_record *r) {
    const saved *v = r->saved;
    as_tensor *x = r->in[0];
    if (!x->wants_grad) return true;
    bool fresh;
    float *dx = as_tensor_grad(c, x, &fresh);
    if (!dx) return false;
    if (fresh) memset(dx, 0, (size_t)(x->rows * x->cols) * sizeof *dx);
    for (int64_t q = 0; q < v->s->count; q++) {
        const float *dy = r->out->dx + q * x->cols;
        const int64_t r0 = v->s->begin[q], r1 = v->s->begin[q + 1];
        if (v->how == AS_POOL_MAX && r0 < r1)
            for (int64_t j = 0; j < x->cols; j++) dx[v->from[q * x->cols + j] * x->cols + j] += dy[j];
        else
            for (int64_t t = r0; t < r1; t++) c->k->axpy(dx + t * x->cols, dy, 1.0f / divisor(v, r1 - r0), x->cols);
    }
    return true;
}
const as_op as_op_pool = {"pool", backward};
