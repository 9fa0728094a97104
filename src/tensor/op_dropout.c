/* op_dropout.c: dropout alone, and the numbering of dropout sites. Srivastava et al. 2014. */
#include "tensor/ops.h"

/* The key of the next dropout site of this pass. A mask bit is a function of (step seed, site, item, position, feature): the
 * same wherever the row lies in a batch. Probabilities are multiples of 1/65536; the scale is exact for that. */
as_dropout_key as_ctx_drop(as_ctx *c, float p) {
    const uint32_t site = c->drop_site++;
    if (!c->training || p <= 0.0f) return (as_dropout_key){.site = site, .keep = 65536};
    const uint32_t keep = (uint32_t)((1.0f - p) * 65536.0f + 0.5f);
    return (as_dropout_key){.seed = c->drop_seed, .site = site, .keep = keep > 0 ? keep : 1};
}

typedef struct saved { const int32_t *item, *pos; as_dropout_key key; } saved;
typedef struct job { as_ctx *c; const saved *v; float *y; const float *x; int64_t dim; bool add; } job;

static void apply_rows(void *arg, int64_t r0, int64_t r1, int slot) {
    (void)slot;
    const job *j = arg;
    const int64_t at = r0 * j->dim;
    j->c->k->dropout_bwd(j->y + at, j->x + at, j->v->item + r0, j->v->pos + r0, r1 - r0, j->dim, j->v->key, j->add);
}

as_tensor *as_dropout(as_ctx *c, as_tensor *x, float p, const int32_t *item, const int32_t *pos) {
    const as_dropout_key key = as_ctx_drop(c, p);
    if (!x || key.keep >= 65536) return x;
    as_tensor *y = as_tensor_new(c, x->rows, x->cols, true);
    saved *v = as_ctx_push(c, 1, sizeof *v);
    if (!y || !v) return NULL;
    *v = (saved){item, pos, key};
    as_ctx_rows(c, x->rows, AS_ROW_STEP, apply_rows, &(job){.c = c, .v = v, .y = y->x, .x = x->x, .dim = x->cols});
    as_ctx_record(c, &as_op_dropout, y, x, NULL, NULL, v);
    return y;
}
static bool backward(as_ctx *c, as_tape_record *r) {
    as_tensor *x = r->in[0];
    if (!x->wants_grad) return true;
    bool fresh;
    float *dx = as_tensor_grad(c, x, &fresh);
    if (!dx) return false;
    as_ctx_rows(c, x->rows, AS_ROW_STEP, apply_rows, &(job){.c = c, .v = r->saved, .y = dx, .x = r->out->dx, .dim = x->cols, .add = !fresh});
    return true;
}
const as_op as_op_dropout = {"dropout", backward};
