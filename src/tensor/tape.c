#include "tensor/tape.h"
#include "base/mem.h"
#include "base/parallel.h"
#include <string.h>

as_status as_ctx_init(as_ctx *c, as_engine *e, int slot, int threads, as_err *err) {
    (void)err;
    *c = (as_ctx){.e = e, .k = as_engine_kernels(e), .slot = slot, .threads = threads};
    as_arena_init(&c->arena, (size_t)8 << 20);
    return AS_OK;
}
void as_ctx_deinit(as_ctx *c) {
    as_arena_deinit(&c->arena);
    as_free(c->tape);
    memset(c, 0, sizeof *c);
}
void as_ctx_reset(as_ctx *c) {
    as_arena_reset(&c->arena);
    c->tape_n = 0, c->drop_site = 0, c->silent = false, c->loss = 0.0, c->failed = false;
}

void *as_ctx_push(as_ctx *c, size_t count, size_t size) {
    void *p = as_arena_push(&c->arena, count, size);
    if (!p) c->failed = true;
    return p;
}

static float *rows_new(as_ctx *c, int64_t rows, int64_t cols) {
    const int64_t padded = as_rows_padded(rows);
    float *x = as_ctx_push(c, (size_t)(padded * cols), sizeof *x);
    if (x) memset(x + rows * cols, 0, (size_t)((padded - rows) * cols) * sizeof *x);
    return x;
}

as_tensor *as_tensor_new(as_ctx *c, int64_t rows, int64_t cols, bool wants_grad) {
    as_tensor *t = as_ctx_push(c, 1, sizeof *t);
    float *x = t ? rows_new(c, rows, cols) : NULL;
    if (!x) return NULL;
    *t = (as_tensor){.x = x, .rows = rows, .cols = cols, .wants_grad = wants_grad && c->training};
    return t;
}

as_tape_record *as_ctx_record(as_ctx *c, const as_op *op, as_tensor *out, as_tensor *a, as_tensor *b, as_tensor *d, void *saved) {
    if (!c->training || c->failed || c->silent) return NULL;
    if (!as_grow(&c->tape, &c->tape_cap, c->tape_n + 1, sizeof *c->tape)) {
        c->failed = true;
        return NULL;
    }
    c->tape[c->tape_n] = (as_tape_record){.op = op, .in = {a, b, d}, .out = out, .saved = saved};
    return &c->tape[c->tape_n++];
}

float *as_tensor_grad(as_ctx *c, as_tensor *t, bool *fresh) {
    *fresh = t->dx == NULL;
    if (!t->dx) t->dx = rows_new(c, t->rows, t->cols);
    return t->dx;
}

float *as_param_grad(const as_ctx *c, const as_param *p, bool *fresh) {
    if (fresh) *fresh = false;
    float *const g = c->training && c->grads && p->trainable ? c->grads->dense[p->index] : NULL;
    if (!g || !c->grads->fresh || !c->grads->fresh[p->index]) return g;
    c->grads->fresh[p->index] = 0;
    if (fresh) *fresh = true;
    else memset(g, 0, (size_t)(p->rows * p->cols) * sizeof *g);
    return g;
}

static void backward_from(as_ctx *c, size_t first) {
    for (size_t i = c->tape_n; i-- > first && !c->failed;) {
        as_tape_record *r = &c->tape[i];
        if (r->out && !r->out->dx) continue; /* nothing downstream asked for it */
        if (!r->op->backward(c, r)) c->failed = true;
    }
}
bool as_ctx_backward(as_ctx *c) {
    backward_from(c, 0);
    return !c->failed;
}
bool as_ctx_backward_to(as_ctx *c, size_t first) {
    backward_from(c, first);
    c->tape_n = first;
    return !c->failed;
}

typedef struct rows_job {
    void (*body)(void *arg, int64_t r0, int64_t r1, int slot);
    void *arg;
    int64_t rows, step, parts;
    int slot;
} rows_job;
static void rows_part(void *ctx, int64_t part, int thread) {
    const rows_job *j = ctx;
    const int64_t units = (j->rows + j->step - 1) / j->step;
    const int64_t r0 = units * part / j->parts * j->step, end = units * (part + 1) / j->parts * j->step;
    const int64_t r1 = end < j->rows ? end : j->rows;
    if (r0 < r1) j->body(j->arg, r0, r1, j->slot + thread);
}
void as_ctx_rows(as_ctx *c, int64_t rows, int64_t step, void (*body)(void *arg, int64_t r0, int64_t r1, int slot), void *arg) {
    const int64_t units = (rows + step - 1) / step;
    rows_job j = {.body = body, .arg = arg, .rows = rows, .step = step, .parts = units < c->threads ? units : c->threads, .slot = c->slot};
    if (j.parts <= 1)
        body(arg, 0, rows, c->slot);
    else
        as_parallel_for((int)j.parts, j.parts, rows_part, &j);
}
