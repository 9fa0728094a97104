/* vocab_sample.c: draws from the distribution over a large vocabulary, chunk by chunk: the [rows, vocab] logits never exist. */
#include "tensor/ops.h"
#include <math.h>

enum { CHUNK = 2048 };

static bool chunk_logits(as_ctx *c, float *y, const as_tensor *x, const as_param *table, const as_param *bias, int64_t v0, int64_t n) {
    if (!as_product_nt(c->e, y, n, x->x, table->w + v0 * x->cols, x->rows, n, x->cols, c->slot)) return false;
    for (int64_t r = 0; bias && r < x->rows; r++) c->k->add(y + r * n, bias->w + v0, n);
    return true;
}

/* The first entry of a chunk at which the running sum of exp(logit - max) passes `left`; n when it does not. */
static int64_t find(const float *row, int64_t n, float max, double *left) {
    for (int64_t v = 0; v < n; v++) {
        *left -= exp((double)row[v] - (double)max);
        if (*left < 0.0) return v;
    }
    return n;
}

/* Inversion: one number in [0, 1) per row picks the entry where the cumulative distribution passes it. The same distribution as
 * the largest of logits + Gumbel noise, for one random number instead of `vocab`. */
bool as_vocab_sample(as_ctx *c, const as_tensor *x, const as_param *table, const as_param *bias, const double *u, int32_t *out) {
    if (!x) return false;
    const int64_t rows = x->rows, vocab = table->rows, chunks = (vocab + CHUNK - 1) / CHUNK;
    const as_arena_mark mark = as_arena_mark_here(&c->arena);
    float *y = as_ctx_push(c, (size_t)(as_rows_padded(rows) * CHUNK), sizeof *y), *top = as_ctx_push(c, (size_t)(rows * chunks) + 1, sizeof *top);
    double *sum = as_ctx_push(c, (size_t)(rows * chunks) + 1, sizeof *sum), *left = as_ctx_push(c, (size_t)rows + 1, sizeof *left);
    float *max = as_ctx_push(c, (size_t)rows + 1, sizeof *max);
    int64_t *chunk = as_ctx_push(c, (size_t)rows + 1, sizeof *chunk);
    if (!y || !top || !sum || !left || !max || !chunk) return false;
    for (int64_t k = 0; k < chunks; k++) { /* mass of each chunk under its own maximum */
        const int64_t v0 = k * CHUNK, n = vocab - v0 < CHUNK ? vocab - v0 : CHUNK;
        if (!chunk_logits(c, y, x, table, bias, v0, n)) return false;
        for (int64_t r = 0; r < rows; r++) {
            top[r * chunks + k] = c->k->row_max(y + r * n, n);
            sum[r * chunks + k] = c->k->sum_exp(y + r * n, n, top[r * chunks + k]);
        }
    }
    for (int64_t r = 0; r < rows; r++) { /* the chunk that holds the draw, and what is left of it there */
        const float *t = top + r * chunks;
        double *s = sum + r * chunks, all = 0.0;
        max[r] = c->k->row_max(t, chunks);
        for (int64_t k = 0; k < chunks; k++) all += s[k] *= exp((double)t[k] - (double)max[r]);
        left[r] = u[r] * all;
        chunk[r] = 0;
        while (chunk[r] + 1 < chunks && left[r] >= s[chunk[r]]) left[r] -= s[chunk[r]++];
    }
    for (int64_t k = 0; k < chunks; k++) {
        const int64_t v0 = k * CHUNK, n = vocab - v0 < CHUNK ? vocab - v0 : CHUNK;
        bool any = false;
        for (int64_t r = 0; r < rows; r++) any = any || chunk[r] == k;
        if (!any) continue;
        if (!chunk_logits(c, y, x, table, bias, v0, n)) return false;
        for (int64_t r = 0; r < rows; r++) {
            if (chunk[r] != k) continue;
            const int64_t at = find(y + r * n, n, max[r], &left[r]);
            out[r] = (int32_t)(v0 + (at < n ? at : n - 1)); /* rounding may leave a crumb behind the last entry */
        }
    }
    as_arena_release(&c->arena, mark);
    return true;
}
