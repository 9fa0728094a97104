/* op_unit.c: rows scaled to Euclidean length 1, as torch.nn.functional.normalize (eps 1e-12). */
#include "tensor/ops.h"
#include <math.h>

as_tensor *as_unit(as_ctx *c, as_tensor *x) {
    if (!x) return NULL;
    as_tensor *y = as_tensor_new(c, x->rows, x->cols, true);
    float *norm = as_ctx_push(c, (size_t)x->rows + 1, sizeof *norm);
    if (!y || !norm) return NULL;
    for (int64_t r = 0; r < x->rows; r++) {
        const float *row = x->x + r * x->cols;
        norm[r] = fmaxf((float)sqrt(c->k->sum_squares(row, x->cols)), 1e-12f);
        for (int64_t j = 0; j < x->cols; j++) y->x[r * x->cols + j] = row[j] / norm[r];
    }
    as_ctx_record(c, &as_op_unit, y, x, NULL, NULL, norm);
    return y;
}
/* dx = (dy - y (y . dy)) / norm */
static bool backward(as_ctx *c, as_tape_record *r) {
    const float *norm = r->saved;
    as_tensor *x = r->in[0];
    if (!x->wants_grad) return true;
    bool fresh;
    float *dx = as_tensor_grad(c, x, &fresh);
    if (!dx) return false;
    for (int64_t i = 0; i < x->rows; i++) {
        const float *y = r->out->x + i * x->cols, *dy = r->out->dx + i * x->cols;
        const float along = c->k->dot(y, dy, x->cols);
        for (int64_t j = 0; j < x->cols; j++) {
            const float d = (dy[j] - y[j] * along) / norm[i];
            dx[i * x->cols + j] = fresh ? d : dx[i * x->cols + j] + d;
        }
    }
    return true;
}
const as_op as_op_unit = {"unit", backward};
