/* op_embed.c: token, position and type embeddings, summed. */
#include "tensor/ops.h"
#include <string.h>

typedef struct saved { const as_seqs *s; const as_param *word, *position, *type; } saved;
typedef struct job { as_ctx *c; const saved *v; float *y; const float *dy; int64_t dim; } job;

static void forward_rows(void *arg, int64_t r0, int64_t r1, int slot) {
    (void)slot;
    const job *j = arg;
    const as_seqs *s = j->v->s;
    for (int64_t r = r0; r < r1; r++) {
        float *y = j->y + r * j->dim;
        memcpy(y, j->v->word->w + s->ids[r] * j->dim, (size_t)j->dim * sizeof *y);
        /* HF's order: (word + type) + position */
        if (j->v->type) j->c->k->add(y, j->v->type->w + (s->types ? s->types[r] : 0) * j->dim, j->dim);
        if (j->v->position) j->c->k->add(y, j->v->position->w + s->pos[r] * j->dim, j->dim);
    }
}

as_tensor *as_embed(as_ctx *c, const as_seqs *s, const as_param *word, const as_param *position, const as_param *type) {
    as_tensor *y = as_tensor_new(c, s->tokens, word->cols, true);
    saved *v = as_ctx_push(c, 1, sizeof *v);
    if (!y || !v) return NULL;
    *v = (saved){s, word, position, type};
    as_ctx_rows(c, s->tokens, AS_ROW_STEP, forward_rows, &(job){.c = c, .v = v, .y = y->x, .dim = word->cols});
    as_ctx_record(c, &as_op_embed, y, NULL, NULL, NULL, v);
    return y;
}

/* dtable[row(r)] += dy[r], rows in order: one thread, since two rows may name the same entry. */
static void scatter(const as_ctx *c, const as_param *p, const int32_t *row, const float *dy, int64_t rows) {
    float *g = p ? as_param_grad(c, p, NULL) : NULL;
    if (!g) return;
    const int32_t *slot = p->sparse ? c->grads->row_slot[p->index] : NULL;
    for (int64_t r = 0; r < rows; r++) {
        const int64_t at = row ? row[r] : 0;
        c->k->add(g + (slot ? slot[at] : at) * p->cols, dy + r * p->cols, p->cols);
    }
}
static bool backward(as_ctx *c, as_tape_record *r) {
    const saved *v = r->saved;
    scatter(c, v->word, v->s->ids, r->out->dx, r->out->rows);
    scatter(c, v->position, v->s->pos, r->out->dx, r->out->rows);
    scatter(c, v->type, v->s->types, r->out->dx, r->out->rows);
    return true;
}
const as_op as_op_embed = {"embed", backward};
