/* op_vocab_loss.c: cross-entropy of a language-model head. The vocabulary is cut into PARTS, which are shared out over the threads,
 * and each into chunks of at most CHUNK columns. Forward keeps one log-sum-exp per row, and the logits when they are few (KEEP
 * bytes); else backward computes each chunk of them again, to the same bits, and [rows, vocab] never exists. Sums over the parts
 * are in their order, so no bit depends on threads. */
#include "tensor/ops.h"
#include <math.h>
#include <stdatomic.h>
#include <string.h>

enum { CHUNK = 1024, PARTS = 8, KEEP = 48 << 20 };

typedef struct saved {
    const as_param *table, *bias;
    const int32_t *target;
    float *lse; /* [rows] */
    float *logits; /* chunk after chunk, each [padded rows, columns]; NULL = not kept */
    float scale;
} saved;

/* What the parts of a forward pass found, each [PARTS, rows]: the highest logit, the sum of exp(logit - that), the target's. */
typedef struct found { float *max, *gold; double *sum; } found;
typedef struct job {
    as_ctx *c;
    const saved *v;
    const as_tensor *x;
    found f;
    float *y;           /* [threads, rows, chunk] logits of a chunk, then their gradients */
    int64_t part, step; /* columns of a part, of a chunk */
    float *dx;          /* [PARTS, rows, cols] */
    float *dtable, *dbias;
    atomic_bool failed;
} job;

static bool job_init(job *j, as_ctx *c, const saved *v, const as_tensor *x) {
    *j = (job){.c = c, .v = v, .x = x};
    j->part = (v->table->rows + PARTS * 64 - 1) / (PARTS * 64) * 64;
    j->step = j->part < CHUNK ? j->part : CHUNK;
    if (!v->logits) j->y = as_ctx_push(c, (size_t)(c->threads * as_rows_padded(x->rows) * j->step), sizeof *j->y);
    return v->logits || j->y;
}
static int64_t part_end(const job *j, int64_t part) { return (part + 1) * j->part < j->v->table->rows ? (part + 1) * j->part : j->v->table->rows; }
static int64_t chunk_of(const job *j, int64_t v0, int64_t end) { return end - v0 < j->step ? end - v0 : j->step; }

/* The table's rows [v0, v0 + n) as w; and the logits of these columns into y [rows, n], but when there they are (kept). */
static bool chunk_logits(const job *j, as_slice *w, float *y, int64_t v0, int64_t n, bool kept, int slot) {
    const int64_t dim = j->x->cols;
    if (!as_slice_open(j->c->e, w, j->v->table->w + v0 * dim, n, dim, slot)) return false;
    if (kept) return true;
    if (!as_slice_logits(j->c->e, y, j->x->x, w, j->x->rows, slot)) return false;
    for (int64_t r = 0; j->v->bias && r < j->x->rows; r++) j->c->k->add(y + r * n, j->v->bias->w + v0, n);
    return true;
}
static float *chunk_buffer(const job *j, int64_t v0, int slot) {
    const int64_t rows = as_rows_padded(j->x->rows);
    return j->v->logits ? j->v->logits + rows * v0 : j->y + (slot - j->c->slot) * rows * j->step;
}

/* Running maximum and sum of each row over the chunks (online softmax). */
static void fold_chunk(const job *j, const float *y, int64_t part, int64_t v0, int64_t n) {
    const int64_t rows = j->x->rows;
    float *max = j->f.max + part * rows, *gold = j->f.gold + part * rows;
    double *sum = j->f.sum + part * rows;
    for (int64_t r = 0; r < rows; r++) {
        const float *row = y + r * n, top = j->c->k->row_max(row, n);
        if (top > max[r]) sum[r] *= exp((double)max[r] - (double)top), max[r] = top;
        sum[r] += j->c->k->sum_exp(row, n, max[r]);
        const int64_t t = (int64_t)j->v->target[r] - v0;
        if (t >= 0 && t < n) gold[r] = row[t];
    }
}
static void forward_parts(void *arg, int64_t p0, int64_t p1, int slot) {
    job *j = arg;
    const int64_t rows = j->x->rows;
    for (int64_t p = p0; p < p1; p++) {
        for (int64_t r = 0; r < rows; r++) j->f.max[p * rows + r] = -INFINITY, j->f.sum[p * rows + r] = 0.0, j->f.gold[p * rows + r] = 0.0f;
        for (int64_t v0 = p * j->part, n; v0 < part_end(j, p); v0 += n) {
            as_slice w;
            n = chunk_of(j, v0, part_end(j, p));
            float *y = chunk_buffer(j, v0, slot);
            if (!chunk_logits(j, &w, y, v0, n, false, slot)) { j->failed = true; return; }
            fold_chunk(j, y, p, v0, n);
        }
    }
}

/* The parts of a row together: its log-sum-exp, the highest logit and the target's. */
static double join(const found *f, int64_t rows, int64_t r, float *top, float *gold) {
    double sum = 0.0;
    *top = -INFINITY, *gold = 0.0f;
    for (int p = 0; p < PARTS; p++) {
        *top = fmaxf(*top, f->max[p * rows + r]);
        *gold += f->gold[p * rows + r]; /* all but one are 0 */
    }
    for (int p = 0; p < PARTS; p++)
        if (f->sum[p * rows + r] > 0.0) sum += f->sum[p * rows + r] * exp((double)f->max[p * rows + r] - (double)*top);
    return (double)*top + log(sum);
}

int64_t as_vocab_loss_kept(int64_t rows, int64_t vocab) {
    const int64_t all = as_rows_padded(rows) * vocab;
    return all <= KEEP / (int64_t)sizeof(float) ? all * (int64_t)sizeof(float) : 0;
}
bool as_vocab_loss(as_ctx *c, as_tensor *x, const as_param *table, const as_param *bias, const int32_t *target, float scale, double *each, bool *right) {
    if (!x) return false;
    const int64_t rows = x->rows;
    saved *v = as_ctx_push(c, 1, sizeof *v);
    float *lse = as_ctx_push(c, (size_t)rows + 1, sizeof *lse);
    if (!v || !lse) return false;
    *v = (saved){.table = table, .bias = bias, .target = target, .lse = lse, .scale = scale};
    const int64_t kept = c->training ? as_vocab_loss_kept(rows, table->rows) : 0;
    if (kept > 0 && !(v->logits = as_ctx_push(c, (size_t)kept, 1))) return false;
    const as_arena_mark mark = as_arena_mark_here(&c->arena);
    job j;
    if (!job_init(&j, c, v, x)) return false;
    j.f = (found){as_ctx_push(c, (size_t)(PARTS * rows) + 1, sizeof(float)), as_ctx_push(c, (size_t)(PARTS * rows) + 1, sizeof(float)),
                  as_ctx_push(c, (size_t)(PARTS * rows) + 1, sizeof(double))};
    if (!j.f.max || !j.f.gold || !j.f.sum) return false;
    as_ctx_rows(c, PARTS, 1, forward_parts, &j);
    if (j.failed) return c->failed = true, false;
    double total = 0.0;
    for (int64_t r = 0; r < rows; r++) {
        float top, gold;
        const double l = join(&j.f, rows, r, &top, &gold), loss = target[r] == AS_IGNORE ? 0.0 : l - (double)gold;
        lse[r] = (float)l;
        if (each) each[r] = loss;
        if (right) right[r] = target[r] != AS_IGNORE && gold >= top;
        total += loss;
    }
    as_arena_release(&c->arena, mark);
    c->loss += total * (double)scale;
    as_ctx_record(c, &as_op_vocab_loss, NULL, x, NULL, NULL, v);
    return !c->failed;
}

/* y becomes d(loss)/d(logits) of the chunk; its padding rows become 0. */
static void chunk_grads(const job *j, float *y, int64_t v0, int64_t n) {
    const saved *v = j->v;
    for (int64_t r = 0; r < j->x->rows; r++) {
        float *row = y + r * n;
        if (v->target[r] == AS_IGNORE) {
            memset(row, 0, (size_t)n * sizeof *row);
            continue;
        }
        j->c->k->exp_shift(row, row, n, v->lse[r], v->scale, false);
        const int64_t t = (int64_t)v->target[r] - v0;
        if (t >= 0 && t < n) row[t] -= v->scale;
    }
    memset(y + j->x->rows * n, 0, (size_t)((as_rows_padded(j->x->rows) - j->x->rows) * n) * sizeof *y);
}
static void backward_parts(void *arg, int64_t p0, int64_t p1, int slot) {
    job *j = arg;
    const int64_t rows = j->x->rows, dim = j->x->cols, all = as_rows_padded(rows) * dim;
    as_engine *e = j->c->e;
    for (int64_t p = p0; p < p1; p++) {
        float *dx = j->dx + p * all;
        memset(dx, 0, (size_t)all * sizeof *dx);
        for (int64_t v0 = p * j->part, n; v0 < part_end(j, p); v0 += n) {
            as_slice w;
            n = chunk_of(j, v0, part_end(j, p));
            float *y = chunk_buffer(j, v0, slot);
            bool ok = chunk_logits(j, &w, y, v0, n, j->v->logits != NULL, slot);
            if (ok) chunk_grads(j, y, v0, n);
            ok = ok && as_slice_dx(e, dx, y, &w, rows, slot) && (!j->dtable || as_slice_dw(e, j->dtable + v0 * dim, y, j->x->x, &w, rows, slot));
            if (!ok) { j->failed = true; return; }
            if (j->dbias) j->c->k->column_sum(j->dbias + v0, y, rows, n, 0, n);
        }
    }
}
typedef struct adding { const job *j; float *dx; } adding;
static void add_rows(void *arg, int64_t r0, int64_t r1, int slot) {
    (void)slot;
    const adding *a = arg;
    const int64_t dim = a->j->x->cols, all = as_rows_padded(a->j->x->rows) * dim;
    for (int p = 0; p < PARTS; p++) a->j->c->k->add(a->dx + r0 * dim, a->j->dx + p * all + r0 * dim, (r1 - r0) * dim);
}

static bool backward(as_ctx *c, as_tape_record *r) {
    const saved *v = r->saved;
    as_tensor *x = r->in[0];
    bool fresh;
    float *dx = as_tensor_grad(c, x, &fresh);
    if (!dx) return false;
    if (fresh) memset(dx, 0, (size_t)(x->rows * x->cols) * sizeof *dx);
    const as_arena_mark mark = as_arena_mark_here(&c->arena);
    job j;
    if (!job_init(&j, c, v, x)) return false;
    j.dtable = as_param_grad(c, v->table, NULL), j.dbias = v->bias ? as_param_grad(c, v->bias, NULL) : NULL;
    AS_ASSERT(!j.dtable || !v->table->sparse);
    j.dx = as_ctx_push(c, (size_t)(PARTS * as_rows_padded(x->rows) * x->cols), sizeof *j.dx);
    if (!j.dx) return false;
    as_ctx_rows(c, PARTS, 1, backward_parts, &j);
    as_ctx_rows(c, x->rows, AS_ROW_STEP, add_rows, &(adding){&j, dx});
    as_arena_release(&c->arena, mark);
    return !j.failed;
}
const as_op as_op_vocab_loss = {"vocab_loss", backward};
