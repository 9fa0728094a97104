/* op_recompute.c: a part of a model whose activations are not kept: backward runs it again (Chen et al. 2016, arXiv:1604.06174).
 * Dropout masks are keyed, so the second run is the first to the bit, and the gradients are those of a kept run. */
#include "tensor/ops.h"
#include <string.h>

typedef struct saved {
    as_tensor *(*run)(void *arg, as_ctx *c, as_tensor *x);
    void *arg;
    uint32_t site;
} saved;

as_tensor *as_recompute(as_ctx *c, as_tensor *(*run)(void *arg, as_ctx *c, as_tensor *x), void *arg, as_tensor *x, int64_t rows, int64_t cols) {
    if (!x) return NULL;
    as_tensor *y = as_tensor_new(c, rows, cols, true);
    saved *v = as_ctx_push(c, 1, sizeof *v);
    if (!y || !v) return NULL;
    *v = (saved){run, arg, c->drop_site};
    const as_arena_mark mark = as_arena_mark_here(&c->arena);
    const bool silent = c->silent;
    c->silent = true;
    const as_tensor *out = run(arg, c, x);
    c->silent = silent;
    if (!out) return NULL;
    AS_ASSERT(out->rows == rows && out->cols == cols);
    memcpy(y->x, out->x, (size_t)(rows * cols) * sizeof *y->x);
    as_arena_release(&c->arena, mark);
    as_ctx_record(c, &as_op_recompute, y, x, NULL, NULL, v);
    return y;
}

static bool backward(as_ctx *c, as_tape_record *r) {
    const saved *v = r->saved;
    as_tensor *x = r->in[0], *y = r->out; /* the tape may move: r is not used below */
    const size_t tape_n = c->tape_n;
    const uint32_t site = c->drop_site;
    const bool fresh = x->dx == NULL;
    const size_t size = (size_t)(as_rows_padded(x->rows) * x->cols);
    float *dx = fresh ? as_ctx_push(c, size, sizeof *dx) : x->dx; /* what outlives the mark */
    if (!dx) return false;
    const as_arena_mark mark = as_arena_mark_here(&c->arena);
    c->drop_site = v->site;
    as_tensor *again = v->run(v->arg, c, x);
    c->drop_site = site;
    if (!again) return false;
    again->dx = y->dx;
    if (!as_ctx_backward_to(c, tape_n)) return false;
    if (fresh && x->dx) memcpy(dx, x->dx, size * sizeof *dx), x->dx = dx;
    as_arena_release(&c->arena, mark);
    return true;
}
const as_op as_op_recompute = {"recompute", backward};
