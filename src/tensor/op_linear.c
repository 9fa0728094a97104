/* op_linear.c: y = act(x W^T + b), the op in which nearly all time goes. */
#include "tensor/ops.h"
#include <stdatomic.h>

typedef struct saved { const as_param *w, *b; float *pre; as_act act; } saved;
typedef struct job {
    as_ctx *c;
    const saved *v;
    as_tensor *x, *y;
    const float *dy; /* after the activation's backward */
    float *dx, *dw, *db;
    bool fresh, dw_fresh; /* dx, dw hold nothing yet */
    atomic_bool failed;
} job;

static void forward_rows(void *arg, int64_t r0, int64_t r1, int slot) {
    job *j = arg;
    const int64_t n = j->v->w->rows, k = j->v->w->cols;
    const as_linear_args g = {.y = j->y->x + r0 * n, .x = j->x->x + r0 * k, .pack = j->v->w->pack, .bias = j->v->b ? j->v->b->w : NULL,
                              .act = j->v->act, .pre = j->v->pre ? j->v->pre + r0 * n : NULL, .m = r1 - r0};
    if (!as_linear_forward(j->c->e, &g, slot)) j->failed = true;
}

as_tensor *as_linear(as_ctx *c, as_tensor *x, const as_param *w, const as_param *b, as_act act) {
    if (!x) return NULL;
    AS_ASSERT(x->cols == w->cols && w->pack);
    as_tensor *y = as_tensor_new(c, x->rows, w->rows, true);
    saved *v = as_ctx_push(c, 1, sizeof *v);
    if (!y || !v) return NULL;
    *v = (saved){.w = w, .b = b, .act = act};
    if (c->training && act != AS_ACT_NONE) {
        as_tensor *pre = as_tensor_new(c, x->rows, w->rows, false);
        if (!pre) return NULL;
        v->pre = pre->x;
    }
    job j = {.c = c, .v = v, .x = x, .y = y};
    as_ctx_rows(c, x->rows, AS_ROW_STEP, forward_rows, &j);
    if (j.failed) return c->failed = true, NULL;
    as_ctx_record(c, &as_op_linear, y, x, NULL, NULL, v);
    return y;
}

static void act_rows(void *arg, int64_t r0, int64_t r1, int slot) {
    (void)slot;
    const job *j = arg;
    const int64_t n = j->v->w->rows;
    j->c->k->act_bwd(j->y->dx + r0 * n, j->y->dx + r0 * n, j->v->pre + r0 * n, (r1 - r0) * n, j->v->act);
}
static void dx_rows(void *arg, int64_t r0, int64_t r1, int slot) {
    job *j = arg;
    const int64_t n = j->v->w->rows, k = j->v->w->cols;
    if (!as_linear_dx(j->c->e, j->dx + r0 * k, j->dy + r0 * n, j->v->w->pack, r1 - r0, !j->fresh, slot)) j->failed = true;
}
static void dw_panels(void *arg, int64_t p0, int64_t p1, int slot) {
    job *j = arg;
    if (!as_linear_dw(j->c->e, j->dw, j->dy, j->x->x, j->x->rows, j->v->w->rows, j->v->w->cols, p0, p1, !j->dw_fresh, slot)) j->failed = true;
}
static void db_columns(void *arg, int64_t c0, int64_t c1, int slot) {
    (void)slot;
    const job *j = arg;
    j->c->k->column_sum(j->db, j->dy, j->y->rows, j->y->cols, c0, c1);
}

static bool backward(as_ctx *c, as_tape_record *r) {
    const saved *v = r->saved;
    job j = {.c = c, .v = v, .x = r->in[0], .y = r->out, .dy = r->out->dx};
    if (v->act != AS_ACT_NONE) as_ctx_rows(c, j.y->rows, AS_ROW_STEP, act_rows, &j); /* in place: dy is not used again */
    if ((j.dw = as_param_grad(c, v->w, j.y->rows ? &j.dw_fresh : NULL))) as_ctx_rows(c, as_linear_dw_panels(v->w->rows), 1, dw_panels, &j);
    if (v->b && (j.db = as_param_grad(c, v->b, NULL))) as_ctx_rows(c, j.y->cols, 64, db_columns, &j);
    if (j.x->wants_grad) {
        if (!(j.dx = as_tensor_grad(c, j.x, &j.fresh))) return false;
        as_ctx_rows(c, j.x->rows, AS_ROW_STEP, dx_rows, &j);
    }
    return !j.failed;
}
const as_op as_op_linear = {"linear", backward};
