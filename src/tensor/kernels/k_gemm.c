/* k_gemm.c: C = A B in tiles of ROWS_MAX rows by one panel of B, the accumulators in registers.
 * Each C(i, n) is one chain of fused multiply-adds over k in blocks of DEPTH_BLOCK, whatever m, the tile, the panel or
 * the thread: a row's bits do not depend on the rows beside it. */
#include "tensor/kernels/k_local.h"

/* Partial sums restart every DEPTH_BLOCK terms: it bounds the rounding error of long chains and keeps the block of a
 * panel (DEPTH_BLOCK * PANEL * 4 bytes = 48 KiB at most) near the L1 cache. */
#define DEPTH_BLOCK 384
#define AHEAD 8       /* rows of B to prefetch from the L2 cache */
#define ROW_BLOCK 240 /* rows of A per sweep over the panels: 240 * 384 * 4 bytes stay in the L2 cache */

typedef struct tile {
    const float *a;
    int64_t a_row, a_depth;
    const float *b;
    int64_t depth;
    float *c;
    int64_t ldc;
    int cols;          /* valid columns of the panel */
    bool load;         /* start from C instead of zero */
    bool last;         /* last block of the depth: epilogue */
    const float *bias; /* of this panel */
    float *pre;
    as_act act;
} tile;

/* The activation of a finished tile, while it is in the L1 cache. One loop per activation: the choice is not made per
 * vector. */
#define ACTIVATE(kind)                                                                         \
    case kind:                                                                                 \
        for (int i = 0; i < rows; i++)                                                         \
            for (int j = 0; j < t->cols; j += LANES) {                                         \
                const int n = t->cols - j < LANES ? t->cols - j : LANES;                       \
                float *c = t->c + i * t->ldc + j;                                              \
                v_store_n(c, act_vec(v_load_n(c, n), kind), n);                                \
            }                                                                                  \
        break;
static __attribute__((noinline)) void activate(const tile *t, int rows) {
    switch (t->act) {
        ACTIVATE(AS_ACT_GELU)
        ACTIVATE(AS_ACT_GELU_TANH)
        ACTIVATE(AS_ACT_RELU)
        ACTIVATE(AS_ACT_TANH)
        ACTIVATE(AS_ACT_SILU)
    default: break;
    }
}

/* Write row i of the tile: the last depth block adds the bias, keeps the pre-activation and applies the activation. `plain`
 * (a constant) says that there is nothing to do but to store whole vectors. */
AS_INLINE void epilogue_row(const tile *t, const vf *acc, int64_t i, const bool plain) {
    float *c = t->c + i * t->ldc;
    for (int v = 0; v < PANEL_VECS; v++) {
        const int left = t->cols - v * LANES;
        if (plain) {
            v_store(c + v * LANES, acc[v]);
            continue;
        }
        if (left <= 0) break;
        const int n = left < LANES ? left : LANES;
        vf x = acc[v];
        if (t->last && t->bias) x = v_add(x, v_load_n(t->bias + v * LANES, n));
        if (t->last && t->pre) v_store_n(t->pre + i * t->ldc + v * LANES, x, n);
        v_store_n(c + v * LANES, x, n);
    }
}

/* `rows` and `plain` are compile-time constants in every instance, so that acc lives in registers. */
AS_INLINE void tile_rows(const tile *t, const int rows, const bool plain) {
    vf acc[ROWS_MAX][PANEL_VECS];
#pragma GCC unroll 16
    for (int i = 0; i < rows; i++)
#pragma GCC unroll 2
        for (int v = 0; v < PANEL_VECS; v++) {
            const int left = t->cols - v * LANES;
            if (plain)
                acc[i][v] = t->load ? v_load(t->c + i * t->ldc + v * LANES) : v_set(0.0f);
            else
                acc[i][v] = !t->load || left <= 0 ? v_set(0.0f)
                                                  : v_load_n(t->c + i * t->ldc + v * LANES, left < LANES ? left : LANES);
        }
    const float *b = t->b;
    const int64_t row = t->a_row, step = t->a_depth;
    const float *a0 = t->a, *a3 = a0 + 3 * row, *a6 = a0 + 6 * row, *a9 = a0 + 9 * row;
    for (int64_t k = 0; k < t->depth; k++) {
        vf bv[PANEL_VECS];
#pragma GCC unroll 2
        for (int v = 0; v < PANEL_VECS; v++) bv[v] = v_load(b + v * LANES);
#pragma GCC unroll 2
        for (int v = 0; v < PANEL_VECS; v++) __builtin_prefetch(b + AHEAD * PANEL + v * LANES);
        b += PANEL;
#pragma GCC unroll 16
        for (int i = 0; i < rows; i++) {
            /* Four base pointers and small multiples of `row` keep the addressing in few registers. */
            const float *p = i < 3 ? a0 + i * row : i < 6 ? a3 + (i - 3) * row : i < 9 ? a6 + (i - 6) * row : a9 + (i - 9) * row;
            const vf av = v_set(*p);
#pragma GCC unroll 2
            for (int v = 0; v < PANEL_VECS; v++) acc[i][v] = v_fma(av, bv[v], acc[i][v]);
        }
        a0 += step, a3 += step, a6 += step, a9 += step;
    }
#pragma GCC unroll 16
    for (int i = 0; i < rows; i++) epilogue_row(t, acc[i], i, plain);
}

#define TILE(n)                                                             \
    static __attribute__((noinline)) void tile_##n(const tile *t) {         \
        const bool plain = t->cols == PANEL && !(t->last && (t->bias || t->pre)); \
        if (plain)                                                          \
            tile_rows(t, n, true);                                          \
        else                                                                \
            tile_rows(t, n, false);                                         \
        if (t->last && t->act != AS_ACT_NONE) activate(t, n);               \
    }
TILE(1) TILE(2) TILE(3)
#if ROWS_MAX >= 6
TILE(4) TILE(5) TILE(6)
#endif
#if ROWS_MAX >= 12
TILE(7) TILE(8) TILE(9) TILE(10) TILE(11) TILE(12)
#endif
static void (*const tiles[])(const tile *) = {NULL, tile_1, tile_2, tile_3,
#if ROWS_MAX >= 6
    tile_4, tile_5, tile_6,
#endif
#if ROWS_MAX >= 12
    tile_7, tile_8, tile_9, tile_10, tile_11, tile_12,
#endif
};

/* Copy depth rows of up to PANEL columns of a plain B into one zero-filled panel. */
static void copy_panel(float *p, const float *b, int64_t ldb, int64_t depth, int cols) {
    for (int64_t k = 0; k < depth; k++, p += PANEL, b += ldb)
        for (int v = 0; v < PANEL_VECS; v++) {
            const int left = cols - v * LANES;
            v_store(p + v * LANES, left <= 0 ? v_set(0.0f) : v_load_n(b + v * LANES, left < LANES ? left : LANES));
        }
}

/* One block of rows against one block of one panel. */
static void sweep_rows(const as_gemm_args *g, tile *t, const float *a, int64_t rows, float *c, float *pre) {
    for (int64_t i = 0; i < rows; i += ROWS_MAX) {
        const int64_t left = rows - i;
        t->a = a + i * g->a_row;
        t->c = c + i * g->ldc;
        t->pre = pre ? pre + i * g->ldc : NULL;
        tiles[left < ROWS_MAX ? left : ROWS_MAX](t);
    }
}

/* An empty sum still has its bias and its activation. */
static void empty_sum(const as_gemm_args *g) {
    for (int64_t i = 0; i < g->m; i++)
        for (int64_t n = 0; n < g->n; n++) {
            const float x = g->bias ? g->bias[n] : 0.0f;
            g->c[i * g->ldc + n] = x;
            if (g->pre) g->pre[i * g->ldc + n] = x;
        }
    activate(&(tile){.c = g->c, .ldc = g->ldc, .cols = (int)g->n, .act = g->act}, (int)g->m);
}

void AS_K(gemm)(const as_gemm_args *g, float *scratch) {
    if (g->depth == 0) {
        if (!g->accumulate) empty_sum(g);
        return;
    }
    tile t = {.a_row = g->a_row, .a_depth = g->a_depth, .ldc = g->ldc, .act = g->act};
    for (int64_t i0 = 0; i0 < g->m; i0 += ROW_BLOCK) {
        const int64_t rows = g->m - i0 < ROW_BLOCK ? g->m - i0 : ROW_BLOCK;
        for (int64_t k0 = 0; k0 < g->depth; k0 += DEPTH_BLOCK) {
            t.depth = g->depth - k0 < DEPTH_BLOCK ? g->depth - k0 : DEPTH_BLOCK;
            t.load = g->accumulate || k0 > 0;
            t.last = k0 + t.depth == g->depth;
            for (int64_t n0 = 0; n0 < g->n; n0 += PANEL) {
                t.cols = (int)(g->n - n0 < PANEL ? g->n - n0 : PANEL);
                if (g->b_plain) {
                    copy_panel(scratch, g->b + k0 * g->ldb + n0, g->ldb, t.depth, t.cols);
                    t.b = scratch;
                } else {
                    t.b = g->b + (n0 * g->depth + k0 * PANEL);
                }
                t.bias = g->bias ? g->bias + n0 : NULL;
                sweep_rows(g, &t, g->a + i0 * g->a_row + k0 * g->a_depth, rows, g->c + i0 * g->ldc + n0,
                           g->pre ? g->pre + i0 * g->ldc + n0 : NULL);
            }
        }
    }
}

/* 16 x 16 blocks: both sides of the transposition stay in the cache. */
void AS_K(pack_nt)(float *p, const float *w, int64_t n0, int64_t n1, int64_t depth, int64_t ldw) {
    for (int64_t n = n0; n < n1; n += PANEL) {
        float *panel = p + n * depth;
        const int64_t cols = n1 - n < PANEL ? n1 - n : PANEL;
        for (int64_t k0 = 0; k0 < depth; k0 += LANES) {
            const int64_t k1 = k0 + LANES < depth ? k0 + LANES : depth;
            for (int64_t j = 0; j < PANEL; j++) {
                const float *src = w + (n + j) * ldw;
                if (j < cols)
                    for (int64_t k = k0; k < k1; k++) panel[k * PANEL + j] = src[k];
                else
                    for (int64_t k = k0; k < k1; k++) panel[k * PANEL + j] = 0.0f;
            }
        }
    }
}
