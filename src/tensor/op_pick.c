/* op_pick.c: chosen rows of a tensor: the first of each sequence, the masked ones. */
#include "tensor/ops.h"
#include <string.h>

typedef struct saved { int64_t n; const int64_t *index; } saved;

as_tensor *as_pick(as_ctx *c, as_tensor *x, const int64_t *index, int64_t n) {
    if (!x) return NULL;
    as_tensor *y = as_tensor_new(c, n, x->cols, true);
    saved *v = as_ctx_push(c, 1, sizeof *v);
    if (!y || !v) return NULL;
    *v = (saved){n, index};
    for (int64_t i = 0; i < n; i++) memcpy(y->x + i * x->cols, x->x + index[i] * x->cols, (size_t)x->cols * sizeof *y->x);
    as_ctx_record(c, &as_op_pick, y, x, NULL, NULL, v);
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
    for (int64_t i = 0; i < v->n; i++) c->k->add(dx + v->index[i] * x->cols, r->out->dx + i * x->cols, x->cols);
    return true;
}
const as_op as_op_pick = {"pick", backward};
