/* k_attn.c: attention of one (sequence, head), forward and backward. Queries go in blocks, so that no [n, s] matrix is
 * held but for taps. Scores, weights and sums of a query depend on its own row and on the keys alone. */
#include "tensor/kernels/k_local.h"
#include <math.h>

#define QUERY_BLOCK 48

static int64_t panels(int64_t n) { return (n + PANEL - 1) / PANEL * PANEL; }

/* Scratch, in floats: K^T or V^T packed [d, s], V or K as panels [s, d], and three blocks of [QUERY_BLOCK, s]. */
size_t AS_K(attn_scratch)(int64_t n, int64_t s, int64_t d) {
    (void)n;
    return (size_t)(2 * d * panels(s) + s * panels(d) + (s > QUERY_BLOCK ? s : QUERY_BLOCK) * panels(d) + 3 * QUERY_BLOCK * panels(s) + 64);
}

/* Panels of a row-major [depth, n] matrix, for use as B. */
static void pack_plain(float *p, const float *b, int64_t ldb, int64_t depth, int64_t n) {
    for (int64_t n0 = 0; n0 < n; n0 += PANEL)
        for (int64_t k = 0; k < depth; k++, p += PANEL)
            for (int v = 0; v < PANEL_VECS; v++) {
                const int64_t left = n - n0 - v * LANES;
                v_store(p + v * LANES, left <= 0 ? v_set(0.0f) : v_load_n(b + k * ldb + n0 + v * LANES, (int)(left < LANES ? left : LANES)));
            }
}

/* The keys that query i sees: [*lo, *hi). */
static void visible(const as_attn_args *g, int64_t i, int64_t *lo, int64_t *hi) {
    *lo = 0, *hi = g->s;
    if (g->causal_offset != INT64_MAX && i + g->causal_offset + 1 < *hi) *hi = i + g->causal_offset + 1;
    if (g->window != INT64_MAX) {
        const int64_t at = i + g->window_offset;
        if (at - g->window > *lo) *lo = at - g->window;
        if (at + g->window + 1 < *hi) *hi = at + g->window + 1;
    }
    if (*hi < *lo) *hi = *lo;
}

/* Scores of row i in place: scale, soft cap, bias. */
static void shape_scores(const as_attn_args *g, float *row, int64_t i) {
    const vf sc = v_set(g->scale);
    for (int64_t j = 0; j < g->s; j += LANES) {
        const int n = (int)(g->s - j < LANES ? g->s - j : LANES);
        vf x = v_mul(v_load(row + j), sc);
        if (g->soft_cap > 0.0f) x = v_mul(v_set(g->soft_cap), v_tanh(v_mul(x, v_set(1.0f / g->soft_cap))));
        if (g->bias) x = v_add(x, v_load_n(g->bias + i * g->ldbias + j, n));
        v_store(row + j, x);
    }
}

/* exp(x - max) over the visible keys, 0 elsewhere (up to the panel's end); returns the sum, and the maximum. */
static float soften(float *row, int64_t lo, int64_t hi, int64_t width, float *max) {
    vf m = v_set(-INFINITY);
    for (int64_t j = 0; j < lo; j++) row[j] = -INFINITY;
    for (int64_t j = hi; j < width; j++) row[j] = -INFINITY;
    for (int64_t j = 0; j < width; j += LANES) m = v_max(v_load(row + j), m);
    *max = v_reduce_max(m);
    if (hi <= lo) { /* nobody to look at: weights of zero */
        memset(row, 0, (size_t)width * sizeof *row);
        return 0.0f;
    }
    vf s = v_set(0.0f);
    const vf mx = v_set(*max);
    for (int64_t j = 0; j < width; j += LANES) {
        const vf e = v_exp(v_sub(v_load(row + j), mx)); /* exp(-inf) is 0 */
        v_store(row + j, e);
        s = v_add(s, e);
    }
    return v_sum(s);
}

/* Dropout on the weights of query i, scaled up; the mask's counter: (key block, query, item, site). */
static void drop_row(const as_attn_args *g, float *out, const float *in, int64_t i, int64_t width) {
    float mask[DROP_BLOCK];
    const vf up = v_set(65536.0f / (float)g->drop_keep);
    for (int64_t j = 0; j < width; j += LANES) {
        if (j % DROP_BLOCK == 0)
            drop_mask(mask, g->drop_seed, g->drop_site, g->drop_item, (uint32_t)i, (uint32_t)(j / DROP_BLOCK), g->drop_keep);
        v_store(out + j, v_mul(v_mul(v_load(in + j), up), v_load(mask + j % DROP_BLOCK)));
    }
}

void AS_K(attn)(const as_attn_args *g, float *scratch) {
    const int64_t width = panels(g->s);
    float *kt = scratch, *vp = kt + g->d * width, *w = vp + g->s * panels(g->d);
    AS_K(pack_nt)(kt, g->k, 0, g->s, g->d, g->ldk);
    pack_plain(vp, g->v, g->ldv, g->s, g->d);
    for (int64_t i0 = 0; i0 < g->n; i0 += QUERY_BLOCK) {
        const int64_t rows = g->n - i0 < QUERY_BLOCK ? g->n - i0 : QUERY_BLOCK;
        AS_K(gemm)(&(as_gemm_args){.a = g->q + i0 * g->ldq, .a_row = g->ldq, .a_depth = 1, .b = kt, .c = w, .ldc = width,
                                   .m = rows, .n = width, .depth = g->d}, NULL);
        for (int64_t r = 0; r < rows; r++) {
            float *row = w + r * width, max;
            int64_t lo, hi;
            visible(g, i0 + r, &lo, &hi);
            shape_scores(g, row, i0 + r);
            const float sum = soften(row, lo, hi, width, &max);
            const vf inv = v_set(sum > 0.0f ? 1.0f / sum : 0.0f);
            for (int64_t j = 0; j < width; j += LANES) v_store(row + j, v_mul(v_load(row + j), inv));
            if (g->lse) g->lse[i0 + r] = sum > 0.0f ? max + logf(sum) : INFINITY;
            if (g->taps) memcpy(g->taps + (i0 + r) * g->s, row, (size_t)g->s * sizeof *row);
            if (g->drop_keep < 65536) drop_row(g, row, row, i0 + r, width);
        }
        AS_K(gemm)(&(as_gemm_args){.a = w, .a_row = width, .a_depth = 1, .b = vp, .c = g->out + i0 * g->ldo, .ldc = g->ldo,
                                   .m = rows, .n = g->d, .depth = g->s}, NULL);
    }
}

/* Weights of row i again from the scores and the stored log-sum-exp; slope of the soft cap into `cap` when there is one. */
static void reweigh(const as_attn_args *g, float *row, int64_t i, int64_t width, float *cap) {
    int64_t lo, hi;
    visible(g, i, &lo, &hi);
    if (g->soft_cap > 0.0f)
        for (int64_t j = 0; j < width; j += LANES) {
            const vf t = v_tanh(v_mul(v_load(row + j), v_set(g->scale / g->soft_cap)));
            v_store(cap + j, v_sub(v_set(1.0f), v_mul(t, t)));
        }
    shape_scores(g, row, i);
    for (int64_t j = 0; j < lo; j++) row[j] = -INFINITY;
    for (int64_t j = hi; j < width; j++) row[j] = -INFINITY;
    for (int64_t j = 0; j < width; j += LANES) v_store(row + j, v_exp(v_sub(v_load(row + j), v_set(g->lse[i]))));
}

/* dS of one row in place of dP: P (dP' - D), with the dropout mask on dP and D = sum dO O. Leaves P (dropped) in p. */
static void score_grads(const as_attn_args *g, const as_attn_grads *d, float *p, float *dp, const float *cap, int64_t i, int64_t width) {
    vf acc = v_set(0.0f);
    for (int64_t j = 0; j < g->d; j += LANES) {
        const int n = (int)(g->d - j < LANES ? g->d - j : LANES);
        acc = v_fma(v_load_n(d->dout + i * d->lddo + j, n), v_load_n(d->out + i * g->ldo + j, n), acc);
    }
    const vf dd = v_set(v_sum(acc));
    if (g->drop_keep < 65536) drop_row(g, dp, dp, i, width);
    for (int64_t j = 0; j < width; j += LANES) {
        vf ds = v_mul(v_load(p + j), v_sub(v_load(dp + j), dd));
        v_store(dp + j, ds);
    }
    if (d->dbias)
        for (int64_t j = 0; j < g->s; j++) d->dbias[i * g->ldbias + j] += dp[j];
    for (int64_t j = 0; j < width; j += LANES) {
        vf ds = v_mul(v_load(dp + j), v_set(g->scale));
        if (g->soft_cap > 0.0f) ds = v_mul(ds, v_load(cap + j));
        v_store(dp + j, ds);
    }
    if (g->drop_keep < 65536) drop_row(g, p, p, i, width);
}

void AS_K(attn_bwd)(const as_attn_args *g, const as_attn_grads *d, float *scratch) {
    const int64_t width = panels(g->s), dw = panels(g->d);
    float *kt = scratch, *vt = kt + g->d * width, *kp = vt + g->d * width, *bp = kp + g->s * dw;
    /* bp takes up to QUERY_BLOCK rows, of which there may be more than keys */
    float *p = bp + (g->s > QUERY_BLOCK ? g->s : QUERY_BLOCK) * dw, *dp = p + QUERY_BLOCK * width, *cap = dp + QUERY_BLOCK * width;
    AS_K(pack_nt)(kt, g->k, 0, g->s, g->d, g->ldk);
    AS_K(pack_nt)(vt, g->v, 0, g->s, g->d, g->ldv);
    pack_plain(kp, g->k, g->ldk, g->s, g->d);
    for (int64_t i0 = 0; i0 < g->n; i0 += QUERY_BLOCK) {
        const int64_t rows = g->n - i0 < QUERY_BLOCK ? g->n - i0 : QUERY_BLOCK;
        const float *q = g->q + i0 * g->ldq, *dout = d->dout + i0 * d->lddo;
        AS_K(gemm)(&(as_gemm_args){.a = q, .a_row = g->ldq, .a_depth = 1, .b = kt, .c = p, .ldc = width, .m = rows, .n = width, .depth = g->d}, NULL);
        AS_K(gemm)(&(as_gemm_args){.a = dout, .a_row = d->lddo, .a_depth = 1, .b = vt, .c = dp, .ldc = width, .m = rows, .n = width, .depth = g->d}, NULL);
        for (int64_t r = 0; r < rows; r++) {
            reweigh(g, p + r * width, i0 + r, width, cap + r * width);
            score_grads(g, d, p + r * width, dp + r * width, cap + r * width, i0 + r, width);
        }
        /* dQ += dS K;  dK += dS^T Q;  dV += P^T dO */
        AS_K(gemm)(&(as_gemm_args){.a = dp, .a_row = width, .a_depth = 1, .b = kp, .c = d->dq + i0 * d->lddq, .ldc = d->lddq,
                                   .m = rows, .n = g->d, .depth = g->s, .accumulate = true}, NULL);
        pack_plain(bp, q, g->ldq, rows, g->d);
        AS_K(gemm)(&(as_gemm_args){.a = dp, .a_row = 1, .a_depth = width, .b = bp, .c = d->dk, .ldc = d->lddk, .m = g->s, .n = g->d,
                                   .depth = rows, .accumulate = true}, NULL);
        pack_plain(bp, dout, d->lddo, rows, g->d);
        AS_K(gemm)(&(as_gemm_args){.a = p, .a_row = 1, .a_depth = width, .b = bp, .c = d->dv, .ldc = d->lddv, .m = g->s, .n = g->d,
                                   .depth = rows, .accumulate = true}, NULL);
    }
}
