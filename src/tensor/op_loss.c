/* op_loss.c: the losses of small heads: classes, independent labels, numbers. Rows are few and narrow: double throughout,
 * items in order. */
#include "tensor/ops.h"
#include <math.h>

typedef struct saved { float *grad; } saved; /* [rows, cols] d(scale * loss) / d(logits) */

/* The gradient is known in the forward pass; backward hands it on. A loss has no output tensor. */
static bool finish(as_ctx *c, const as_op *op, as_tensor *x, float *grad, double loss, float scale) {
    c->loss += loss * (double)scale;
    if (!c->training) return true;
    saved *v = as_ctx_push(c, 1, sizeof *v);
    if (!v) return false;
    v->grad = grad;
    as_ctx_record(c, op, NULL, x, NULL, NULL, v);
    return !c->failed;
}
static float *grad_room(as_ctx *c, const as_tensor *x) { return as_ctx_push(c, (size_t)(x->rows * x->cols), sizeof(float)); }
static bool hand_on(as_ctx *c, as_tape_record *r) {
    const saved *v = r->saved;
    as_tensor *x = r->in[0];
    bool fresh;
    float *dx = as_tensor_grad(c, x, &fresh);
    if (!dx) return false;
    for (int64_t i = 0; i < x->rows * x->cols; i++) dx[i] = fresh ? v->grad[i] : dx[i] + v->grad[i];
    return true;
}

/* torch cross_entropy with weight and label_smoothing e: (1 - e) w_y (-log p_y) + e / C sum_c w_c (-log p_c). */
bool as_class_loss(as_ctx *c, as_tensor *logits, const int32_t *target, const float *weights, float smoothing, float scale, double *each) {
    if (!logits) return false;
    const int64_t n = logits->rows, classes = logits->cols;
    float *grad = grad_room(c, logits);
    if (!grad) return false;
    double total = 0.0;
    const double e = (double)smoothing, share = e / (double)classes;
    for (int64_t i = 0; i < n; i++) {
        const float *x = logits->x + i * classes;
        float *g = grad + i * classes;
        if (each) each[i] = 0.0;
        for (int64_t j = 0; j < classes; j++) g[j] = 0.0f;
        if (target[i] == AS_IGNORE) continue;
        double top = -INFINITY, sum = 0.0, loss = 0.0, mass = 0.0;
        for (int64_t j = 0; j < classes; j++) top = fmax(top, (double)x[j]);
        for (int64_t j = 0; j < classes; j++) sum += exp((double)x[j] - top);
        const double lse = top + log(sum);
        for (int64_t j = 0; j < classes; j++) {
            const double w = weights ? (double)weights[j] : 1.0, t = w * (share + (j == target[i] ? 1.0 - e : 0.0));
            loss += t * (lse - (double)x[j]);
            mass += t;
        }
        for (int64_t j = 0; j < classes; j++) {
            const double w = weights ? (double)weights[j] : 1.0, t = w * (share + (j == target[i] ? 1.0 - e : 0.0));
            g[j] = (float)((double)scale * (mass * exp((double)x[j] - lse) - t));
        }
        if (each) each[i] = loss;
        total += loss;
    }
    return finish(c, &as_op_class_loss, logits, grad, total, scale);
}
const as_op as_op_class_loss = {"class_loss", hand_on};

/* torch binary_cross_entropy_with_logits: max(x, 0) - x t + log(1 + exp(-|x|)), summed over the labels. */
bool as_binary_loss(as_ctx *c, as_tensor *logits, const uint8_t *target, float scale, double *each) {
    if (!logits) return false;
    float *grad = grad_room(c, logits);
    if (!grad) return false;
    double total = 0.0;
    for (int64_t i = 0; i < logits->rows; i++) {
        double loss = 0.0;
        for (int64_t j = 0; j < logits->cols; j++) {
            const int64_t at = i * logits->cols + j;
            const double x = (double)logits->x[at], t = (double)target[at];
            loss += fmax(x, 0.0) - x * t + log1p(exp(-fabs(x)));
            grad[at] = (float)((double)scale * (1.0 / (1.0 + exp(-x)) - t));
        }
        if (each) each[i] = loss;
        total += loss;
    }
    return finish(c, &as_op_binary_loss, logits, grad, total, scale);
}
const as_op as_op_binary_loss = {"binary_loss", hand_on};

bool as_square_loss(as_ctx *c, as_tensor *x, const float *target, float scale, double *each) {
    if (!x) return false;
    float *grad = grad_room(c, x);
    if (!grad) return false;
    double total = 0.0;
    for (int64_t i = 0; i < x->rows; i++) {
        const double d = (double)x->x[i * x->cols] - (double)target[i];
        for (int64_t j = 0; j < x->cols; j++) grad[i * x->cols + j] = j == 0 ? (float)(2.0 * (double)scale * d) : 0.0f;
        if (each) each[i] = d * d;
        total += d * d;
    }
    return finish(c, &as_op_square_loss, x, grad, total, scale);
}
const as_op as_op_square_loss = {"square_loss", hand_on};
