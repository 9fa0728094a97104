/* op_act.c: an activation that does not follow a linear layer. */
#include "tensor/ops.h"

typedef struct job { as_ctx *c; as_act act; float *y; const float *x, *dy; int64_t cols; float *dx; bool fresh; } job;

static void forward_rows(void *arg, int64_t r0, int64_t r1, int slot) {
    (void)slot;
    const job *j = arg;
    j->c->k->act(j->y + r0 * j->cols, j->x + r0 * j->cols, (r1 - r0) * j->cols, j->act);
}
as_tensor *as_activate(as_ctx *c, as_tensor *x, as_act act) {
    if (!x || act == AS_ACT_NONE) return x;
    as_tensor *y = as_tensor_new(c, x->rows, x->cols, true);
    as_act *v = as_ctx_push(c, 1, sizeof *v);
    if (!y || !v) return NULL;
    *v = act;
    as_ctx_rows(c, x->rows, AS_ROW_STEP, forward_rows, &(job){.c = c, .act = act, .y = y->x, .x = x->x, .cols = x->cols});
    as_ctx_record(c, &as_op_act, y, x, NULL, NULL, v);
    return y;
}
static void backward_rows(void *arg, int64_t r0, int64_t r1, int slot) {
    (void)slot;
    const job *j = arg;
    const int64_t at = r0 * j->cols, n = (r1 - r0) * j->cols;
    /* dy is not used again: the product goes there, then on to dx. */
    float *dy = (float *)(uintptr_t)j->dy;
    j->c->k->act_bwd(j->fresh ? j->dx + at : dy + at, j->dy + at, j->x + at, n, j->act);
    if (!j->fresh) j->c->k->add(j->dx + at, dy + at, n);
}
static bool backward(as_ctx *c, as_tape_record *r) {
    as_tensor *x = r->in[0];
    if (!x->wants_grad) return true;
    job j = {.c = c, .act = *(as_act *)r->saved, .x = x->x, .dy = r->out->dx, .cols = x->cols};
    if (!(j.dx = as_tensor_grad(c, x, &j.fresh))) return false;
    as_ctx_rows(c, x->rows, AS_ROW_STEP, backward_rows, &j);
    return true;
}
const as_op as_op_act = {"act", backward};
