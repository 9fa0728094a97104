/* op_norm.c: layer norm over residual + dropout(x), one pass over the rows each way. */
#include "tensor/ops.h"
#include <string.h>

typedef struct saved {
    const as_param *gamma, *beta;
    const as_seqs *s;
    float *sum, *mean, *rstd;
    float eps;
    as_dropout_key key;
} saved;
typedef struct job {
    as_ctx *c;
    const saved *v;
    const float *x, *residual, *dy;
    float *y, *dsum, *dx, *dres, *dgamma, *dbeta;
    int64_t rows, dim;
    bool fresh_x, fresh_res;
} job;

static void forward_rows(void *arg, int64_t r0, int64_t r1, int slot) {
    (void)slot;
    const job *j = arg;
    const saved *v = j->v;
    const int64_t at = r0 * j->dim, rows = r1 - r0;
    const float *in = j->x + at;
    if (v->sum) {
        j->c->k->dropout_add(v->sum + at, in, j->residual ? j->residual + at : NULL, v->s ? v->s->item + r0 : NULL, v->s ? v->s->pos + r0 : NULL,
                             rows, j->dim, v->key);
        in = v->sum + at;
    }
    j->c->k->layer_norm(j->y + at, v->mean ? v->mean + r0 : NULL, v->rstd ? v->rstd + r0 : NULL, in, v->gamma->w,
                        v->beta ? v->beta->w : NULL, rows, j->dim, v->eps);
}

as_tensor *as_norm(as_ctx *c, as_tensor *x, as_tensor *residual, float dropout, const as_seqs *s, const as_param *gamma, const as_param *beta,
                   float eps) {
    if (!x) return NULL;
    AS_ASSERT(gamma->cols == x->cols);
    as_tensor *y = as_tensor_new(c, x->rows, x->cols, true);
    saved *v = as_ctx_push(c, 1, sizeof *v);
    if (!y || !v) return NULL;
    *v = (saved){.gamma = gamma, .beta = beta, .s = s, .eps = eps, .key = as_ctx_drop(c, dropout)};
    AS_ASSERT(v->key.keep >= 65536 || s);
    if (residual || v->key.keep < 65536) {
        as_tensor *sum = as_tensor_new(c, x->rows, x->cols, false);
        if (!sum) return NULL;
        v->sum = sum->x;
    }
    if (c->training) {
        v->mean = as_ctx_push(c, (size_t)(2 * x->rows), sizeof *v->mean);
        if (!v->mean) return NULL;
        v->rstd = v->mean + x->rows;
    }
    as_ctx_rows(c, x->rows, AS_ROW_STEP, forward_rows,
                &(job){.c = c, .v = v, .x = x->x, .residual = residual ? residual->x : NULL, .y = y->x, .dim = x->cols});
    as_ctx_record(c, &as_op_norm, y, x, residual, NULL, v);
    return y;
}

static void backward_rows(void *arg, int64_t r0, int64_t r1, int slot) {
    (void)slot;
    const job *j = arg;
    const saved *v = j->v;
    const int64_t at = r0 * j->dim, rows = r1 - r0;
    const bool dropped = v->key.keep < 65536;
    /* d(sum) goes to the residual as it is, and through the mask to x. */
    float *d = j->dres ? j->dres + at : dropped ? j->dsum + at : j->dx + at;
    const bool add = j->dres ? !j->fresh_res : !dropped && !j->fresh_x;
    if (j->dres && !j->fresh_res) { /* the residual already has a gradient: x must not get that part too */
        d = j->dsum + at;
        j->c->k->layer_norm_bwd(d, j->dy + at, j->x + at, v->gamma->w, v->mean + r0, v->rstd + r0, rows, j->dim, false);
        j->c->k->add(j->dres + at, d, rows * j->dim);
    } else {
        j->c->k->layer_norm_bwd(d, j->dy + at, j->x + at, v->gamma->w, v->mean + r0, v->rstd + r0, rows, j->dim, add);
    }
    if (j->dx && (j->dres || dropped))
        j->c->k->dropout_bwd(j->dx + at, d, v->s ? v->s->item + r0 : NULL, v->s ? v->s->pos + r0 : NULL, rows, j->dim, v->key, !j->fresh_x);
}
static void param_columns(void *arg, int64_t c0, int64_t c1, int slot) {
    (void)slot;
    const job *j = arg;
    if (j->dgamma)
        j->c->k->layer_norm_params(j->dgamma, j->dbeta, j->dy, j->x, j->v->mean, j->v->rstd, j->rows, j->dim, c0, c1);
    else
        j->c->k->column_sum(j->dbeta, j->dy, j->rows, j->dim, c0, c1);
}

static bool backward(as_ctx *c, as_tape_record *r) {
    const saved *v = r->saved;
    as_tensor *x = r->in[0], *res = r->in[1];
    job j = {.c = c, .v = v, .x = v->sum ? v->sum : x->x, .dy = r->out->dx, .rows = x->rows, .dim = x->cols};
    j.dgamma = as_param_grad(c, v->gamma, NULL), j.dbeta = v->beta ? as_param_grad(c, v->beta, NULL) : NULL;
    if (j.dgamma || j.dbeta) as_ctx_rows(c, x->cols, 64, param_columns, &j);
    if (x->wants_grad && !(j.dx = as_tensor_grad(c, x, &j.fresh_x))) return false;
    if (res && res->wants_grad && !(j.dres = as_tensor_grad(c, res, &j.fresh_res))) return false;
    if (!j.dx && !j.dres) return true;
    if (j.dx == j.dres && j.fresh_x) { /* one tensor in both places: both parts are added */
        memset(j.dx, 0, (size_t)(x->rows * x->cols) * sizeof *j.dx);
        j.fresh_x = false;
    }
    if ((j.dres && !j.fresh_res) || (!j.dres && v->key.keep < 65536)) {
        j.dsum = as_ctx_push(c, (size_t)(x->rows * x->cols), sizeof *j.dsum);
        if (!j.dsum) return false;
    }
    as_ctx_rows(c, x->rows, AS_ROW_STEP, backward_rows, &j);
    return true;
}
const as_op as_op_norm = {"norm", backward};
