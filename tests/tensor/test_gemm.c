/* test_gemm.c: our matrix product per table, and the engine's linear layers over it and over
 * oneDNN, against double; and that a row's bits depend on nothing but the row. */
#include "base/log.h"
#include "base/status.h"
#include "tensor/engine.h"
#include "tensor/tape.h"
#include "tensor_check.h"
#include <stdlib.h>

/* --- the kernel --- */
typedef struct product {
    int64_t m, n, k;
    bool transposed, plain, accumulate, bias, pre;
    as_act act;
} product;

static double act_ref(double x, as_act a) {
    switch (a) {
    case AS_ACT_GELU:
        return 0.5 * x * erfc(-x * M_SQRT1_2);
    case AS_ACT_GELU_TANH:
        return 0.5 * x * (1.0 + tanh(0.79788456080286536 * (x + 0.044715 * x * x * x)));
    case AS_ACT_RELU:
        return x > 0.0 ? x : 0.0;
    case AS_ACT_TANH:
        return tanh(x);
    case AS_ACT_SILU:
        return x / (1.0 + exp(-x));
    default:
        return x;
    }
}

/* A chain of k products of at most 1: each rounds once or twice, so k * 2 u, and the activation's
 * slope is below 1.2. */
static void check_product(const as_kernels *k, product t) {
    enum { PAD = 3 };
    const int64_t ldb = t.n + PAD, ldc = t.n + 5, am = t.transposed ? t.m + PAD : t.k + PAD;
    const float *a = filled(t.transposed ? t.k * am : t.m * am, (int)(t.m % 4), 1, 1.0f),
                *b = filled(t.k * ldb, (int)(t.n % 4), 2, 1.0f);
    const float *bias = filled(t.n, 1, 3, 1.0f);
    float *c = filled(t.m * ldc, (int)(t.k % 4), 4, 1.0f), *pre = filled(t.m * ldc, 1, 5, 1.0f);
    const float *c0 = copied(c, t.m * ldc, 0), *pre0 = copied(pre, t.m * ldc, 0);
    float *scratch = room((int64_t)as_gemm_scratch(t.k), 0), *panels = NULL, *wt = NULL;
    if (!t.plain) { /* pack W = B^T */
        wt = room(t.n * (t.k + 1), 1);
        for (int64_t j = 0; j < t.n; j++)
            for (int64_t d = 0; d < t.k; d++)
                wt[j * (t.k + 1) + d] = b[d * ldb + j];
        panels = room((t.n + k->panel - 1) / k->panel * k->panel * t.k, 1);
        const int64_t half = t.n / 2 / k->panel * k->panel; /* in two calls */
        k->pack_nt(panels, wt, 0, half, t.k, t.k + 1);
        k->pack_nt(panels, wt, half, t.n, t.k, t.k + 1);
    }
    k->gemm(&(as_gemm_args){.a = a,
                            .a_row = t.transposed ? 1 : am,
                            .a_depth = t.transposed ? am : 1,
                            .b = t.plain ? b : panels,
                            .ldb = ldb,
                            .b_plain = t.plain,
                            .c = c,
                            .ldc = ldc,
                            .m = t.m,
                            .n = t.n,
                            .depth = t.k,
                            .bias = t.bias ? bias : NULL,
                            .pre = t.pre ? pre : NULL,
                            .act = t.act,
                            .accumulate = t.accumulate},
            scratch);
    char what[96];
    snprintf(what, sizeof what, "C, m %d n %d k %d t%d p%d acc%d bias%d pre%d act%d", (int)t.m,
             (int)t.n, (int)t.k, t.transposed, t.plain, t.accumulate, t.bias, t.pre, (int)t.act);
    const double tol = ((double)t.k + 4.0) * 2.0 * U + (t.act ? 1e-6 : 0.0);
    for (int64_t i = 0; i < t.m; i++)
        for (int64_t j = 0; j < ldc; j++) {
            const int64_t at = i * ldc + j;
            if (j >= t.n) { /* not ours */
                assert_true(c[at] == c0[at] && pre[at] == pre0[at]);
                continue;
            }
            double want = t.accumulate ? (double)c0[at] : 0.0;
            for (int64_t d = 0; d < t.k; d++)
                want +=
                    (double)(t.transposed ? a[d * am + i] : a[i * am + d]) * (double)b[d * ldb + j];
            if (t.bias) want += (double)bias[j];
            NEAR(k->name, t.pre ? what : "pre", at, pre[at], t.pre ? want : (double)pre0[at],
                 t.pre ? tol : 0.0);
            NEAR(k->name, what, at, c[at], act_ref(want, t.act), tol);
        }
    room_free_all();
}

static void test_gemm_equals_double_for_every_row_count(void **state) {
    (void)state;
    static const int64_t ns[] = {1, 2, 15, 16, 17, 31, 32, 33, 63, 67, 97},
                         ks[] = {1, 2, 3, 7, 16, 31, 64, 65};
    EACH_TABLE(k)
    for (int64_t m = 1; m <= 37; m++)
        for (size_t n = 0; n < AS_COUNT(ns); n++) {
            const int64_t d = ks[(size_t)(m + (int64_t)n) % AS_COUNT(ks)];
            for (int v = 0; v < 4; v++)
                check_product(k, (product){.m = m,
                                           .n = ns[n],
                                           .k = d,
                                           .transposed = v & 1,
                                           .plain = v >> 1 & 1,
                                           .accumulate = (m + v) % 3 == 0});
            check_product(k, (product){.m = m,
                                       .n = ns[n],
                                       .k = d,
                                       .bias = true,
                                       .pre = m % 2,
                                       .act = (as_act)(m % AS_ACT_COUNT)});
            check_product(k, (product){.m = m,
                                       .n = ns[n],
                                       .k = d,
                                       .bias = m % 2,
                                       .act = (as_act)((m + 1) % AS_ACT_COUNT)});
        }
}
/* Depths about the block of 384, rows about the block of 240. */
static void test_gemm_crosses_its_blocks(void **state) {
    (void)state;
    static const int64_t ks[] = {383, 384, 385, 769, 1153};
    EACH_TABLE(k) {
        for (size_t i = 0; i < AS_COUNT(ks); i++)
            for (int v = 0; v < 4; v++) {
                check_product(k, (product){.m = 13,
                                           .n = 35,
                                           .k = ks[i],
                                           .transposed = v & 1,
                                           .plain = v >> 1,
                                           .accumulate = true});
                check_product(k, (product){.m = 5,
                                           .n = 33,
                                           .k = ks[i],
                                           .transposed = v & 1,
                                           .plain = v >> 1,
                                           .bias = true,
                                           .pre = true,
                                           .act = AS_ACT_GELU});
            }
        for (int64_t m = 239; m <= 242; m++)
            check_product(
                k, (product){.m = m, .n = 33, .k = 20, .bias = true, .act = AS_ACT_GELU_TANH});
        check_product(k, (product){.m = 481,
                                   .n = 17,
                                   .k = 400,
                                   .transposed = true,
                                   .plain = true,
                                   .accumulate = true});
    }
}
static void test_gemm_of_depth_zero_is_the_bias(void **state) {
    (void)state;
    EACH_TABLE(k) {
        check_product(k, (product){.m = 3, .n = 5, .k = 0, .bias = true});
        check_product(
            k, (product){.m = 3, .n = 5, .k = 0, .bias = true, .pre = true, .act = AS_ACT_TANH});
        check_product(k, (product){.m = 3, .n = 5, .k = 0, .accumulate = true, .plain = true});
        check_product(k, (product){.m = 0, .n = 5, .k = 7});
        check_product(k, (product){.m = 3, .n = 0, .k = 7});
    }
}

/* Any m, any position: the row's bits are those it has alone. */
static void test_gemm_rows_do_not_depend_on_their_neighbours(void **state) {
    (void)state;
    enum { M = 300, N = 67, K = 421 };
    EACH_TABLE(k)
    for (int plain = 0; plain < 2; plain++) {
        const float *a = filled(M * K, 1, 1, 1.0f), *w = filled(N * K, 0, 2, 1.0f),
                    *bias = filled(N, 0, 3, 1.0f);
        float *b = room((N + k->panel - 1) / k->panel * k->panel * K, 0), *alone = room(M * N, 0),
              *c = room(M * N, 0), *scratch = room((int64_t)as_gemm_scratch(K), 0);
        if (plain)
            memcpy(b, w, N * K * sizeof *b); /* as a [K, N] matrix */
        else
            k->pack_nt(b, w, 0, N, K, K);
        as_gemm_args g = {.a_row = K,
                          .a_depth = 1,
                          .b = b,
                          .ldb = N,
                          .b_plain = plain,
                          .ldc = N,
                          .n = N,
                          .depth = K,
                          .bias = bias,
                          .act = AS_ACT_GELU};
        for (int64_t i = 0; i < M; i++)
            g.a = a + i * K, g.c = alone + i * N, g.m = 1, k->gemm(&g, scratch);
        for (int64_t m = 1; m <= M; m += m < 40 ? 1 : 13)
            for (int64_t at = 0; at + m <= M; at += 1 + (M - m) / 3) {
                g.a = a + at * K, g.c = c, g.m = m;
                k->gemm(&g, scratch);
                SAME(k->name, "rows", c, alone + at * N, m * N);
            }
        room_free_all();
    }
}

/* --- the engine --- */
typedef struct setup {
    const char *name;
    as_isa isa;
    as_gemm_kind gemm;
    as_compute compute;
    bool force, fixed;
} setup;
static const setup setups[] = {
    {"own portable", AS_ISA_PORTABLE, AS_GEMM_OWN, AS_COMPUTE_F32, false, false},
    {"own avx2", AS_ISA_AVX2, AS_GEMM_OWN, AS_COMPUTE_F32, false, false},
    {"own avx512", AS_ISA_AVX512, AS_GEMM_OWN, AS_COMPUTE_F32, false, false},
    {"own portable, bf16", AS_ISA_PORTABLE, AS_GEMM_OWN, AS_COMPUTE_BF16, false, false},
    {"own avx512, bf16", AS_ISA_AVX512, AS_GEMM_OWN, AS_COMPUTE_BF16, false, false},
#if AS_DNNL
    {"oneDNN", AS_ISA_COUNT - 1, AS_GEMM_DNNL, AS_COMPUTE_F32, false, false},
    {"oneDNN, fixed rows", AS_ISA_COUNT - 1, AS_GEMM_DNNL, AS_COMPUTE_F32, false, true},
    {"oneDNN, bf16 rounded", AS_ISA_AVX512, AS_GEMM_DNNL, AS_COMPUTE_BF16, false, false},
    {"oneDNN, bf16", AS_ISA_COUNT - 1, AS_GEMM_DNNL, AS_COMPUTE_BF16, true, false},
    {"oneDNN, bf16, fixed rows", AS_ISA_COUNT - 1, AS_GEMM_DNNL, AS_COMPUTE_BF16, true, true},
#endif
};
/* NULL when this processor is below the level. */
static as_engine *open_engine(const setup *s, int threads) {
    if (s->isa != AS_ISA_COUNT - 1 && s->isa > as_cpu_detect()) return NULL;
    if (s->force && as_cpu_detect() < AS_ISA_AVX512) return NULL;
    as_engine_opts o = as_engine_defaults();
    o.isa = s->isa, o.gemm = s->gemm, o.compute = s->compute, o.force_bf16 = s->force,
    o.threads = threads;
    as_engine *e = NULL;
    as_err err;
    if (s->fixed) assert_int_equal(setenv("ASSAY_FIXED_ROWS", "1", 1), 0);
    const as_status st = as_engine_open(&e, &o, &err);
    unsetenv("ASSAY_FIXED_ROWS");
    if (st != AS_OK) fail_msg("%s: %s", s->name, err.msg);
    if (s->fixed) assert_true(as_engine_rows_fixed(e));
    return e;
}

static float bf16(float x) {
    float y;
    as_kernels_portable.round_bf16(&y, &x, 1);
    return y;
}
static float *rounded(const float *x, int64_t n, bool bf) {
    float *y = copied(x, n, 0);
    for (int64_t i = 0; bf && i < n; i++)
        y[i] = bf16(y[i]);
    return y;
}
/* [rows padded, cols] with zeros past the last row, as the contract asks. */
static float *matrix(int64_t rows, int64_t cols, uint32_t seed, float spread) {
    float *x = room(as_rows_padded(rows) * cols, 0);
    fill(x, rows * cols, seed, spread);
    return x;
}
typedef struct shape {
    int64_t m, n, k;
} shape;
static const shape shapes[] = {{1, 2, 64},     {17, 33, 48},   {40, 3, 7},     {256, 64, 96},
                               {300, 128, 65}, {530, 17, 130}, {20, 1040, 24}, {33, 1, 16},
                               {19, 5, 1},     {31, 64, 800}};

static void check_forward(as_engine *e, const char *name, const as_pack *pack, shape t,
                          const float *x, const float *w, bool bf) {
    const float *bias = filled(t.n, 0, 13, 1.0f), *rx = rounded(x, t.m * t.k, bf),
                *rw = rounded(w, t.n * t.k, bf);
    float *y = matrix(t.m, t.n, 14, 9.0f), *pre = matrix(t.m, t.n, 15, 9.0f);
    for (int v = 0; v < 4; v++) {
        const as_act act = (as_act)(v == 3 ? AS_ACT_GELU : v == 2 ? AS_ACT_TANH : AS_ACT_NONE);
        const as_linear_args g = {.y = y,
                                  .x = x,
                                  .pack = pack,
                                  .bias = v ? bias : NULL,
                                  .act = act,
                                  .pre = v == 3 ? pre : NULL,
                                  .m = t.m};
        assert_true(as_linear_forward(e, &g, 0));
        for (int64_t i = 0; i < t.m; i++)
            for (int64_t j = 0; j < t.n; j++) {
                double want = v ? (double)bias[j] : 0.0;
                for (int64_t d = 0; d < t.k; d++)
                    want += (double)rx[i * t.k + d] * (double)rw[j * t.k + d];
                const double tol = ((double)t.k + 4.0) * 2.0 * U;
                if (v == 3) NEAR(name, "pre", i * t.n + j, pre[i * t.n + j], want, tol);
                NEAR(name, "y", i * t.n + j, y[i * t.n + j], act_ref(want, act),
                     tol * 1.2 + 4e-7 * fmax(1.0, fabs(want)));
            }
    }
}
static void check_backward(as_engine *e, const char *name, const as_pack *pack, shape t,
                           const float *x, const float *w, bool bf) {
    const float *dy = matrix(t.m, t.n, 16, 1.0f), *rx = rounded(x, t.m * t.k, bf),
                *rw = rounded(w, t.n * t.k, bf), *rdy = rounded(dy, t.m * t.n, bf);
    float *dx = matrix(t.m, t.k, 17, 5.0f), *dw = filled(t.n * t.k, 0, 18, 1.0f);
    const float *dw0 = copied(dw, t.n * t.k, 0);
    assert_true(as_linear_dx(e, dx, dy, pack, t.m, false, 0));
    const float *once = copied(dx, t.m * t.k, 0);
    assert_true(as_linear_dx(e, dx, dy, pack, t.m, true, 0));
    for (int64_t p = as_linear_dw_panels(t.n); p-- > 0;)
        assert_true(as_linear_dw(e, dw, dy, x, t.m, t.n, t.k, p, p + 1, true, 0));
    float *alone = filled(t.n * t.k, 0, 18, 1.0f), *zero = filled(t.n * t.k, 0, 18, 1.0f);
    memset(zero, 0, (size_t)(t.n * t.k) * sizeof *zero);
    for (int64_t p = 0; p < as_linear_dw_panels(t.n); p++) {
        assert_true(as_linear_dw(e, alone, dy, x, t.m, t.n, t.k, p, p + 1, false, 0));
        assert_true(as_linear_dw(e, zero, dy, x, t.m, t.n, t.k, p, p + 1, true, 0));
    }
    for (int64_t i = 0; i < t.n * t.k; i++) assert_true(alone[i] == zero[i]); /* written, or added to zero: the same */
    for (int64_t i = 0; i < t.m; i++)
        for (int64_t j = 0; j < t.k; j++) {
            double want = 0;
            for (int64_t d = 0; d < t.n; d++)
                want += (double)rdy[i * t.n + d] * (double)rw[d * t.k + j];
            NEAR(name, "dx", i * t.k + j, once[i * t.k + j], want, ((double)t.n + 4.0) * 2.0 * U);
            NEAR(name, "dx, added", i * t.k + j, dx[i * t.k + j], 2.0 * want,
                 ((double)t.n + 4.0) * 4.0 * U);
        }
    for (int64_t i = t.m * t.k; i < as_rows_padded(t.m) * t.k; i++)
        assert_true(dx[i] == 0.0f);
    for (int64_t i = 0; i < t.n; i++)
        for (int64_t j = 0; j < t.k; j++) {
            double want = (double)dw0[i * t.k + j];
            for (int64_t d = 0; d < t.m; d++)
                want += (double)rdy[d * t.n + i] * (double)rx[d * t.k + j];
            NEAR(name, "dw", i * t.k + j, dw[i * t.k + j], want, ((double)t.m + 4.0) * 2.0 * U);
        }
}
static void test_engine_linear_layers_equal_double(void **state) {
    (void)state;
    for (size_t s = 0; s < AS_COUNT(setups); s++) {
        as_engine *e = open_engine(&setups[s], 1);
        for (size_t i = 0; e && i < AS_COUNT(shapes); i++) {
            const shape t = shapes[i];
            char name[96];
            snprintf(name, sizeof name, "%s, %d x %d x %d", setups[s].name, (int)t.m, (int)t.n,
                     (int)t.k);
            const float *x = matrix(t.m, t.k, 11, 1.0f), *w = filled(t.n * t.k, 0, 12, 1.0f),
                        *w2 = filled(t.n * t.k, 0, 19, 1.0f);
            as_pack *p = NULL;
            assert_int_equal(as_pack_new(&p, e, t.n, t.k, AS_PACK_BACKWARD, NULL), AS_OK);
            assert_true(as_pack_bytes(p) >= (size_t)(t.n * t.k) * (setups[s].force ? 2 : 4));
            assert_int_equal(as_pack_fill(e, p, w2, 0, NULL), AS_OK);
            assert_int_equal(as_pack_fill(e, p, w, 0, NULL),
                             AS_OK); /* again: nothing of the first stays */
            check_forward(e, name, p, t, x, w, setups[s].compute == AS_COMPUTE_BF16);
            check_backward(e, name, p, t, x, w, setups[s].compute == AS_COMPUTE_BF16);
            as_pack_free(p);
            room_free_all();
        }
        as_engine_free(e);
    }
}

static void test_engine_products_equal_double(void **state) {
    (void)state;
    static const shape some[] = {
        {1, 1, 1}, {3, 70, 33}, {37, 33, 65}, {19, 900, 40}, {401, 35, 20}};
    for (size_t s = 0; s < AS_COUNT(setups); s++) {
        as_engine *e = open_engine(&setups[s], 1);
        for (size_t i = 0; e && i < AS_COUNT(some); i++) {
            const shape t = some[i];
            const int64_t ld = t.n + 2;
            const float *x = filled(t.m * t.k, 1, 1, 1.0f), *w = filled(t.n * t.k, 1, 2, 1.0f),
                        *a = filled(t.m * ld, 1, 3, 1.0f);
            float *y = room(t.m * ld, 1), *nn = filled(t.m * t.k, 0, 4, 1.0f),
                  *tn = filled(t.n * t.k, 0, 5, 1.0f);
            const float *nn0 = copied(nn, t.m * t.k, 0), *tn0 = copied(tn, t.n * t.k, 0);
            assert_true(as_product_nt(e, y, ld, x, w, t.m, t.n, t.k, 0));
            assert_true(as_product_nn(e, nn, a, ld, w, t.m, t.n, t.k, 0));
            assert_true(as_product_tn(e, tn, a, ld, x, t.m, t.n, t.k, 0));
            for (int64_t r = 0; r < t.m; r++)
                for (int64_t c = 0; c < t.n; c++) {
                    double want = 0;
                    for (int64_t d = 0; d < t.k; d++)
                        want += (double)x[r * t.k + d] * (double)w[c * t.k + d];
                    NEAR(setups[s].name, "nt", r * t.n + c, y[r * ld + c], want,
                         ((double)t.k + 4) * 2 * U);
                }
            for (int64_t r = 0; r < t.m; r++)
                for (int64_t c = 0; c < t.k; c++) {
                    double want = (double)nn0[r * t.k + c];
                    for (int64_t d = 0; d < t.n; d++)
                        want += (double)a[r * ld + d] * (double)w[d * t.k + c];
                    NEAR(setups[s].name, "nn", r * t.k + c, nn[r * t.k + c], want,
                         ((double)t.n + 4) * 2 * U);
                }
            for (int64_t r = 0; r < t.n; r++)
                for (int64_t c = 0; c < t.k; c++) {
                    double want = (double)tn0[r * t.k + c];
                    for (int64_t d = 0; d < t.m; d++)
                        want += (double)a[d * ld + r] * (double)x[d * t.k + c];
                    NEAR(setups[s].name, "tn", r * t.k + c, tn[r * t.k + c], want,
                         ((double)t.m + 4) * 2 * U);
                }
            room_free_all();
        }
        as_engine_free(e);
    }
}

/* Every m from 1 to 300 and several positions, forward and dX: the bits of the row computed with
 * sixteen rows. */
static void check_rows(as_engine *e, const char *name, int64_t n, int64_t k, int64_t by) {
    enum { M = 304 };
    const float *x = matrix(M, k, 21, 1.0f), *dy = matrix(M, n, 22, 1.0f),
                *w = filled(n * k, 0, 23, 1.0f), *bias = filled(n, 0, 24, 1.0f);
    float *want = matrix(M, n, 1, 1.0f), *y = matrix(M, n, 2, 1.0f), *dwant = matrix(M, k, 1, 1.0f),
          *dx = matrix(M, k, 2, 1.0f);
    as_pack *p = NULL;
    assert_int_equal(as_pack_new(&p, e, n, k, AS_PACK_BACKWARD, NULL), AS_OK);
    assert_int_equal(as_pack_fill(e, p, w, 0, NULL), AS_OK);
    as_linear_args g = {.pack = p, .bias = bias, .act = AS_ACT_GELU};
    for (int64_t i = 0; i < M; i += AS_ROW_STEP) {
        g.y = want + i * n, g.x = x + i * k, g.m = AS_ROW_STEP;
        assert_true(as_linear_forward(e, &g, 0) &&
                    as_linear_dx(e, dwant + i * k, dy + i * n, p, AS_ROW_STEP, false, 0));
    }
    for (int64_t m = 1; m <= 300; m += by) {
        const int64_t at =
            m % 2 ? 0 : m * 7 % (M - as_rows_padded(m) + 1); /* any row may come first */
        g.y = y, g.x = x + at * k, g.m = m;
        assert_true(as_linear_forward(e, &g, 0) &&
                    as_linear_dx(e, dx, dy + at * n, p, m, false, 0));
        SAME(name, "y", y, want + at * n, m * n);
        SAME(name, "dx", dx, dwant + at * k, m * k);
    }
    as_pack_free(p);
    room_free_all();
}
static void test_engine_rows_do_not_depend_on_the_row_count(void **state) {
    (void)state;
    static const shape some[] = {{0, 64, 96},   {0, 2, 128},   {0, 33, 47},  {0, 384, 384},
                                 {0, 96, 1536}, {0, 1536, 64}, {0, 16, 3072}};
    for (size_t s = 0; s < AS_COUNT(setups); s++) {
        as_engine *e = open_engine(&setups[s], 1);
        for (size_t i = 0; e && i < AS_COUNT(some); i++) {
            char name[96];
            snprintf(name, sizeof name, "%s, n %d k %d", setups[s].name, (int)some[i].n,
                     (int)some[i].k);
            check_rows(e, name, some[i].n, some[i].k,
                       some[i].n * some[i].k > 8192 || setups[s].isa == AS_ISA_PORTABLE ? 37 : 1);
        }
        as_engine_free(e);
    }
}

/* --- the team: rows cut over 1, 2 and 4 threads --- */
typedef struct team_job {
    as_engine *e;
    const as_pack *p;
    const float *x, *bias;
    float *y;
    int64_t n, k;
    int *seen;
    bool bad;
} team_job;
static void team_rows(void *arg, int64_t r0, int64_t r1, int slot) {
    team_job *j = arg;
    if (r0 % AS_ROW_STEP != 0 || slot < 0 || slot >= as_engine_threads(j->e)) j->bad = true;
    for (int64_t r = r0; r < r1; r++)
        j->seen[r]++;
    const as_linear_args g = {
        .y = j->y + r0 * j->n, .x = j->x + r0 * j->k, .pack = j->p, .bias = j->bias, .m = r1 - r0};
    if (!as_linear_forward(j->e, &g, slot)) j->bad = true;
}
static void test_engine_teams_give_the_same_bits(void **state) {
    (void)state;
    static const int64_t ms[] = {1, 15, 16, 17, 63, 200, 531};
    enum { N = 48, K = 80 };
    for (size_t s = 0; s < AS_COUNT(setups); s++) {
        as_engine *e = open_engine(&setups[s], 4);
        for (size_t i = 0; e && i < AS_COUNT(ms); i++) {
            const int64_t m = ms[i];
            const float *x = matrix(m, K, 1, 1.0f), *w = filled(N * K, 0, 2, 1.0f),
                        *bias = filled(N, 0, 3, 1.0f);
            float *y[3];
            as_pack *p = NULL;
            assert_int_equal(as_pack_new(&p, e, N, K, 0, NULL), AS_OK);
            assert_int_equal(as_pack_fill(e, p, w, 3, NULL), AS_OK);
            for (int t = 0; t < 3; t++) {
                as_ctx c;
                assert_int_equal(as_ctx_init(&c, e, 0, 1 << t, NULL), AS_OK);
                y[t] = matrix(m, N, 4, 1.0f);
                int *seen = as_calloc((size_t)m, sizeof *seen);
                team_job j = {
                    .e = e, .p = p, .x = x, .bias = bias, .y = y[t], .n = N, .k = K, .seen = seen};
                as_ctx_rows(&c, m, AS_ROW_STEP, team_rows, &j);
                assert_false(j.bad);
                for (int64_t r = 0; r < m; r++)
                    assert_int_equal(seen[r], 1);
                as_free(seen);
                as_ctx_deinit(&c);
                SAME(setups[s].name, "y", y[t], y[0], m * N);
            }
            as_pack_free(p);
            room_free_all();
        }
        as_engine_free(e);
    }
}

static void test_engine_opens_at_every_level(void **state) {
    (void)state;
    for (int isa = 0; isa < AS_ISA_COUNT; isa++)
        for (int gemm = 0; gemm < 3; gemm++)
            for (int compute = 0; compute < 2; compute++) {
                as_engine_opts o = as_engine_defaults();
                o.isa = (as_isa)isa, o.gemm = (as_gemm_kind)gemm, o.compute = (as_compute)compute,
                o.threads = compute ? 0 : 3;
                as_engine *e = NULL;
                as_err err = {0};
                assert_int_equal(as_engine_open(&e, &o, &err), AS_OK);
                const as_isa level = as_engine_isa(e), have = as_cpu_detect();
                assert_int_equal(level, isa < (int)have ? isa : (int)have);
                const as_kernels *k = as_engine_kernels(e);
                assert_string_equal(k->name, level >= AS_ISA_AVX512 ? "avx512"
                                             : level == AS_ISA_AVX2 ? "avx2"
                                                                    : "portable");
                const bool own = !AS_DNNL || gemm == AS_GEMM_OWN ||
                                 (gemm == AS_GEMM_AUTO && level < AS_ISA_AVX512);
                assert_int_equal(strcmp(as_engine_gemm_name(e), "own") == 0, own);
                assert_int_equal(as_engine_compute(e), compute);
                if (compute == 0) assert_int_equal(as_engine_threads(e), 3);
                assert_true(as_engine_threads(e) >= 1);
                float *a = as_engine_scratch(e, 0, 10), *b = as_engine_scratch(e, 0, 5);
                assert_true(a && a == b);
                as_engine_free(e);
            }
    as_engine_free(NULL), as_pack_free(NULL);
}
static void test_engine_fails_clean_without_memory(void **state) {
    (void)state;
    for (size_t s = 0; s < AS_COUNT(setups); s += 3) {
        const int64_t before = as_mem_live_blocks();
        bool done = false;
        for (int64_t n = 1; !done && n < 500; n++) {
            as_engine_opts o = as_engine_defaults();
            o.isa = setups[s].isa < as_cpu_detect() ? setups[s].isa : as_cpu_detect(),
            o.gemm = setups[s].gemm, o.compute = setups[s].compute, o.threads = 2;
            as_engine *e = NULL;
            as_pack *p = NULL;
            as_err err = {0};
            static const float w[6] = {1, 2, 3, 4, 5, 6};
            as_mem_fail_after(n);
            const bool ok = as_engine_open(&e, &o, &err) == AS_OK &&
                            as_pack_new(&p, e, 2, 3, AS_PACK_BACKWARD, &err) == AS_OK &&
                            as_pack_fill(e, p, w, 1, &err) == AS_OK;
            as_mem_fail_after(0);
            if (!ok) assert_true(err.status == AS_NOMEM && err.msg[0]);
            done = ok;
            as_pack_free(p), as_engine_free(e);
            assert_int_equal(as_mem_live_blocks(), before);
        }
        assert_true(done);
    }
}

int main(void) {
#define T(f) cmocka_unit_test_teardown(f, free_rooms)
    const struct CMUnitTest tests[] = {
        T(test_gemm_equals_double_for_every_row_count),
        T(test_gemm_crosses_its_blocks),
        T(test_gemm_of_depth_zero_is_the_bias),
        T(test_gemm_rows_do_not_depend_on_their_neighbours),
        T(test_engine_linear_layers_equal_double),
        T(test_engine_products_equal_double),
        T(test_engine_rows_do_not_depend_on_the_row_count),
        T(test_engine_teams_give_the_same_bits),
        T(test_engine_opens_at_every_level),
        T(test_engine_fails_clean_without_memory),
    };
    return cmocka_run_group_tests_name("gemm", tests, NULL, NULL);
}
