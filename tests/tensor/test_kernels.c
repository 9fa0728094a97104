/* test_kernels.c: each kernel of each table against a plain reference in double. */
#include "tensor_check.h"

enum { LONGEST = 67 };

static double act_ref(double x, as_act a) {
    const double g = 0.79788456080286536 * (x + 0.044715 * x * x * x);
    switch (a) {
    case AS_ACT_GELU:
        return 0.5 * x * erfc(-x * M_SQRT1_2);
    case AS_ACT_GELU_TANH:
        return 0.5 * x * (1.0 + tanh(g));
    case AS_ACT_RELU:
        return x < 0.0 ? 0.0 : x;
    case AS_ACT_TANH:
        return tanh(x);
    case AS_ACT_SILU:
        return x / (1.0 + exp(-x));
    default:
        return x;
    }
}
static double slope_ref(double x, as_act a) {
    const double g = 0.79788456080286536 * (x + 0.044715 * x * x * x), t = tanh(g),
                 s = 1.0 / (1.0 + exp(-x));
    switch (a) {
    case AS_ACT_GELU:
        return 0.5 * erfc(-x * M_SQRT1_2) + x * 0.39894228040143268 * exp(-0.5 * x * x);
    case AS_ACT_GELU_TANH:
        return 0.5 * (1.0 + t) +
               0.5 * x * (1.0 - t * t) * 0.79788456080286536 * (1.0 + 3.0 * 0.044715 * x * x);
    case AS_ACT_RELU:
        return x > 0.0 ? 1.0 : 0.0;
    case AS_ACT_TANH:
        return 1.0 - tanh(x) * tanh(x);
    case AS_ACT_SILU:
        return s * (1.0 + x * (1.0 - s));
    default:
        return 1.0;
    }
}

/* Where the bounds come from (u = 2^-24): exp is within 1.3e-7 of its value, so that
 *   gelu = x/2 * erfc: the header of v_erfc_pos gives 4e-8 of |x|, one product more: 1e-7;
 *   tanh = 1 - 2/(e + 1): 2/(e+1) <= 0.45 from 0.625 on, times 2e-7, and 2 u of the sum: 2.2e-7 of
 * 0.55 = 4e-7 of its value; gelu_tanh = x/2 * (1 + tanh): 4e-7 / 2 of |x|, and its argument moves
 * by 2 u where the slope of tanh is at most 1; silu = x / (1 + exp(-x)): 2e-7 and 3 u of a factor
 * of at most 1 (x stands outside). Slopes are sums of two such terms. */
static const struct {
    const char *name;
    as_act act;
    double value, slope;
} act_bounds[] = {
    {"gelu", AS_ACT_GELU, 1e-7, 3e-7}, {"gelu_tanh", AS_ACT_GELU_TANH, 4e-7, 1.5e-6},
    {"relu", AS_ACT_RELU, 0.0, 0.0},   {"tanh", AS_ACT_TANH, 4e-7, 8e-7},
    {"silu", AS_ACT_SILU, 4e-7, 8e-7}, {"none", AS_ACT_NONE, 0.0, 0.0},
};

static void test_kernels_activations_follow_libm(void **state) {
    (void)state;
    enum { GRID = 16384 };
    float *x = room(GRID, 1), *y = room(GRID, 1), *d = room(GRID, 1), *one = room(GRID, 1);
    for (int i = 0; i < GRID; i++)
        x[i] = (float)(i - GRID / 2) / 512.0f, one[i] = 1.0f;
    const float special[] = {0.0f,   -0.0f,   1e-45f,  -1e-45f, 1e-39f,      -1e-38f,
                             1e-20f, -1e-10f, 0.625f,  -0.625f, 0.62499994f, 9.1f,
                             88.0f,  -88.0f,  1000.0f, -1000.0f};
    memcpy(x, special, sizeof special);
    EACH_TABLE(k)
    for (size_t a = 0; a < AS_COUNT(act_bounds); a++) {
        k->act(y, x, GRID, act_bounds[a].act);
        k->act_bwd(d, one, x, GRID, act_bounds[a].act);
        for (int i = 0; i < GRID; i++) {
            const double v = (double)x[i], most = fmax(1.0, fabs(v));
            char what[64];
            snprintf(what, sizeof what, "%s(%.9g)", act_bounds[a].name, v);
            NEAR(k->name, what, i, y[i], act_ref(v, act_bounds[a].act), act_bounds[a].value * most);
            snprintf(what, sizeof what, "%s'(%.9g)", act_bounds[a].name, v);
            NEAR(k->name, what, i, d[i], slope_ref(v, act_bounds[a].act),
                 act_bounds[a].slope * most);
        }
    }
}

/* Small values keep their relative accuracy and their sign. */
static void test_kernels_activations_are_exact_near_zero(void **state) {
    (void)state;
    float x[] = {1e-6f, -1e-6f, 1e-30f, -1e-30f, -0.0f, 1e-4f, 3e-3f, -3e-3f}, y[8];
    EACH_TABLE(k) {
        k->act(y, x, 8, AS_ACT_TANH);
        for (int i = 0; i < 8; i++) {
            NEAR(k->name, "tanh", i, y[i], tanh((double)x[i]), 2e-7 * fabs((double)x[i]));
            assert_true(x[i] == 0.0f ? y[i] == 0.0f : y[i] * x[i] > 0.0f || fabsf(x[i]) < 1e-20f);
        }
        k->act(y, x, 8, AS_ACT_GELU);
        for (int i = 0; i < 8; i++)
            NEAR(k->name, "gelu", i, y[i], act_ref((double)x[i], AS_ACT_GELU),
                 2e-7 * fabs((double)x[i]));
    }
}

/* Saturation: +-1e30 and infinities give the limits where the limit is a number; NaN stays NaN. */
static void test_kernels_activations_take_extremes(void **state) {
    (void)state;
    float x[] = {1e30f, -1e30f, INFINITY, -INFINITY, NAN, -NAN, 0.5f, 3e38f}, y[8],
          one[] = {1, 1, 1, 1, 1, 1, 1, 1};
    EACH_TABLE(k)
    for (size_t a = 0; a < AS_COUNT(act_bounds); a++) {
        const as_act act = act_bounds[a].act;
        k->act(y, x, 8, act);
        for (int i = 0; i < 8; i++) {
            const double v = (double)x[i];
            const bool at_minus_inf =
                i == 3 && (act == AS_ACT_GELU || act == AS_ACT_GELU_TANH || act == AS_ACT_SILU);
            if (at_minus_inf) continue; /* 0 times infinity: torch gives NaN */
            NEAR(k->name, act_bounds[a].name, i, y[i], act_ref(v, act),
                 act_bounds[a].value * fmax(1.0, fmin(fabs(v), 1e38)));
        }
        k->act_bwd(y, one, x, 8, act);
        if (act != AS_ACT_NONE && act != AS_ACT_RELU)
            assert_true(isnan(y[4]) && isnan(y[5])); /* relu: 0, as torch */
    }
}

/* Two roundings at the polynomial's end, of values near 1: |relative error| < 1.3e-7, with and
 * without FMA. */
static void test_kernels_exp_follows_libm(void **state) {
    (void)state;
    enum { GRID = 8000 };
    float *x = room(GRID, 3), *y = room(GRID, 2);
    for (int i = 0; i < GRID; i++)
        x[i] = -87.3f + (float)i * (175.5f / GRID);
    EACH_TABLE(k) {
        k->exp_shift(y, x, GRID, 0.0f, 1.0f, false);
        for (int i = 0; i < GRID; i++) {
            const double want = exp((double)x[i]);
            NEAR(k->name, "exp", i, y[i], want, 1.3e-7 * want);
        }
        const float ends[] = {-INFINITY, -1e30f, -87.5f, -88.0f, NAN, 0.0f, -0.0f, 1e-40f};
        const double want[] = {0, 0, 0, 0, NAN, 1, 1, 1};
        k->exp_shift(y, ends, 8, 0.0f, 1.0f, false);
        for (int i = 0; i < 8; i++)
            NEAR(k->name, "exp at the ends", i, y[i], want[i], 0.0);
        const float high[] = {89.0f, 1e30f, INFINITY}; /* clamped: large, but finite and not NaN */
        k->exp_shift(y, high, 3, 0.0f, 1.0f, false);
        for (int i = 0; i < 3; i++)
            assert_true(y[i] > 2e38f && y[i] < INFINITY);
    }
}

static void test_kernels_elementwise_equal_the_reference(void **state) {
    (void)state;
    EACH_TABLE(k)
    for (int n = 0; n <= LONGEST; n++)
        for (int off = 0; off < 4; off++) {
            const float *x = filled(n, off, 11, 3.0f), *base = filled(n, 0, 12, 2.0f);
            float *y = copied(base, n, 3 - off);
            k->add(y, x, n);
            for (int i = 0; i < n; i++)
                assert_true(y[i] == base[i] + x[i]);
            memcpy(y, base, (size_t)n * sizeof *y);
            k->axpy(y, x, 0.7f, n);
            for (int i = 0; i < n; i++)
                NEAR(k->name, "axpy", i, y[i], (double)base[i] + (double)0.7f * (double)x[i],
                     3 * U * 5.0);
            memcpy(y, base, (size_t)n * sizeof *y);
            k->scale(y, -1.5f, n);
            for (int i = 0; i < n; i++)
                assert_true(y[i] == base[i] * -1.5f);
            k->exp_shift(y, x, n, 0.5f, 2.0f, false);
            for (int i = 0; i < n; i++)
                NEAR(k->name, "exp_shift", i, y[i], 2.0 * exp((double)x[i] - 0.5),
                     5e-7 * 2.0 * exp((double)x[i] - 0.5));
            memcpy(y, base, (size_t)n * sizeof *y);
            k->exp_shift(y, x, n, 0.5f, 2.0f, true);
            for (int i = 0; i < n; i++)
                NEAR(k->name, "exp_shift, added", i, y[i],
                     (double)base[i] + 2.0 * exp((double)x[i] - 0.5),
                     5e-7 * (2.0 + 2.0 * exp((double)x[i] - 0.5)));
            for (int a = 0; a < AS_ACT_COUNT; a++) {
                memcpy(y, x, (size_t)n * sizeof *y);
                k->act(y, y, n, (as_act)a); /* in place */
                for (int i = 0; i < n; i++)
                    NEAR(k->name, "act", i, y[i], act_ref((double)x[i], (as_act)a), 1.5e-6);
                memcpy(y, base, (size_t)n * sizeof *y);
                k->act_bwd(y, y, x, n, (as_act)a);
                for (int i = 0; i < n; i++)
                    NEAR(k->name, "act_bwd", i, y[i],
                         (double)base[i] * slope_ref((double)x[i], (as_act)a), 8e-6);
            }
            room_free_all();
        }
}

static void test_kernels_reductions_equal_the_reference(void **state) {
    (void)state;
    static const int more[] = {255, 1024, 1025, 5000};
    EACH_TABLE(k)
    for (int c = 0; c <= LONGEST + 4; c++) {
        const int n = c <= LONGEST ? c : more[c - LONGEST - 1];
        for (int off = 0; off < 4; off++) {
            const float *x = filled(n, off, 21, 4.0f), *y = filled(n, 3 - off, 22, 2.0f);
            double dot = 0, mass = 0, sq = 0, se = 0;
            float top = -INFINITY;
            for (int i = 0; i < n; i++) {
                dot += (double)x[i] * (double)y[i], mass += fabs((double)x[i] * (double)y[i]);
                sq += (double)x[i] * (double)x[i], se += exp((double)x[i] - 4.0);
                if (x[i] > top) top = x[i];
            }
            NEAR(k->name, "dot", n, k->dot(x, y, n), dot, chain(n) * mass + 1e-30);
            NEAR(k->name, "sum_squares", n, k->sum_squares(x, n), sq,
                 chain(n < 1024 ? n : 1024) * sq);
            NEAR(k->name, "sum_exp", n, k->sum_exp(x, n, 4.0f), se, 4e-7 * se);
            assert_true(k->row_max(x, n) == top);
            room_free_all();
        }
    }
}

/* A NaN or an infinite score must reach the loss, not vanish: sum_exp and dot pass it on. */
static void test_kernels_reductions_pass_nan_on(void **state) {
    (void)state;
    EACH_TABLE(k)
    for (int n = 1; n <= 40; n++)
        for (int at = 0; at < n; at++) {
            float *x = filled(n, 1, 5, 1.0f);
            const float *one = filled(n, 0, 6, 1.0f);
            x[at] = NAN;
            assert_true(isnan(k->sum_exp(x, n, 0.0f)));
            assert_true(isnan(k->dot(x, one, n)));
            assert_true(isnan(k->sum_squares(x, n)));
            x[at] = -INFINITY;
            assert_true(isfinite(k->sum_exp(x, n, 0.0f)));
            x[at] = INFINITY;
            assert_true(k->row_max(x, n) == INFINITY);
            room_free_all();
        }
}

static uint16_t bf16_ref(float f) { /* nearest, ties to even, by comparing the two neighbours */
    uint32_t u;
    memcpy(&u, &f, sizeof u);
    if (isnan(f)) return (uint16_t)(u >> 16 | 0x40u);
    const uint32_t low = u & 0xFFFFu, half = 0x8000u,
                   up = low > half || (low == half && (u >> 16 & 1u));
    return (uint16_t)((u >> 16) + up);
}
static void test_kernels_bf16_rounds_to_nearest_even(void **state) {
    (void)state;
    static const uint32_t bits[] = {0x00000000, 0x80000000, 0x3F800000, 0x3F808000, 0x3F818000,
                                    0x3F808001, 0x3F807FFF, 0x7F7FFFFF, 0xFF7FFFFF, 0x7F800000,
                                    0xFF800000, 0x7FC00000, 0x7F800001, 0xFF800001, 0x7FFFFFFF,
                                    0xFFFFFFFF, 0x00000001, 0x00008000, 0x00008001, 0x00018000,
                                    0x7F7F8000, 0x7F7F7FFF, 0x80008000, 0x007FFFFF};
    EACH_TABLE(k)
    for (int n = 0; n <= LONGEST; n++)
        for (int off = 0; off < 4; off++) {
            float *x = filled(n, off, 31 + (uint32_t)n, 100.0f), *y = room(n, 1);
            uint16_t *h = as_calloc((size_t)n + 1, sizeof *h);
            as_rng r = as_rng_at((uint64_t)n, AS_STREAM_SAMPLE, 1);
            for (int i = 0; i < n; i++) {
                const uint32_t any = as_rng_u32(&r),
                               b = i % 2 ? any : bits[(i + n) % (int)AS_COUNT(bits)];
                memcpy(x + i, &b, sizeof b);
            }
            k->to_bf16(h, x, n);
            k->round_bf16(y, x, n);
            for (int i = 0; i < n; i++) {
                const uint16_t want = bf16_ref(x[i]);
                if (h[i] != want)
                    fail_msg("%s: to_bf16 of %a gives %04x, not %04x", k->name, (double)x[i], h[i],
                             want);
                const uint32_t wide = (uint32_t)want << 16;
                if (isnan(x[i]))
                    assert_true(isnan(y[i]));
                else
                    assert_memory_equal(y + i, &wide, sizeof wide);
            }
            assert_int_equal(h[n], 0);
            as_free(h);
            room_free_all();
        }
}

/* --- layer norm --- */
typedef struct norm_case {
    int64_t rows, dim;
    float spread, shift;
} norm_case;

static void norm_ref(const float *x, int64_t dim, double eps, double *mean, double *rstd) {
    double m = 0, q = 0;
    for (int64_t j = 0; j < dim; j++)
        m += (double)x[j] / (double)dim;
    for (int64_t j = 0; j < dim; j++)
        q += ((double)x[j] - m) * ((double)x[j] - m) / (double)dim;
    *mean = m, *rstd = 1.0 / sqrt(q + eps);
}

/* The mean is within chain(dim) of the largest |x|; that error is multiplied by rstd in the result.
 */
static void check_norm(const as_kernels *k, norm_case t, int off) {
    const int64_t n = t.rows * t.dim, dim = t.dim;
    float *x = filled(n, off, 41, t.spread);
    for (int64_t i = 0; i < n; i++)
        x[i] += t.shift;
    const float *gamma = filled(dim, off, 42, 1.5f), *beta = filled(dim, 3 - off, 43, 1.0f),
                *dy = filled(n, 1, 44, 1.0f);
    float *y = room(n, 2), *bare = room(n, 1), *mean = room(t.rows, 0), *rstd = room(t.rows, 1),
          *dx = room(n, off), *more = filled(n, 0, 45, 1.0f);
    const float *before = copied(more, n, 0);
    const float eps = 1e-5f;
    k->layer_norm(y, mean, rstd, x, gamma, beta, t.rows, dim, eps);
    k->layer_norm(bare, NULL, NULL, x, gamma, NULL, t.rows, dim, eps);
    k->layer_norm_bwd(dx, dy, x, gamma, mean, rstd, t.rows, dim, false);
    k->layer_norm_bwd(more, dy, x, gamma, mean, rstd, t.rows, dim, true);
    double *dgamma = as_calloc((size_t)dim, sizeof *dgamma),
           *dbeta = as_calloc((size_t)dim, sizeof *dbeta);
    for (int64_t r = 0; r < t.rows; r++) {
        const float *row = x + r * dim, *g = dy + r * dim;
        double mu, rs, m1 = 0, m2 = 0;
        norm_ref(row, dim, (double)eps, &mu, &rs);
        const double tol =
            (chain(dim) + 4 * U) * ((double)fabsf(t.shift) + (double)t.spread) * rs * 4.0 + 8 * U;
        NEAR(k->name, "mean", r, mean[r], mu,
             chain(dim) * ((double)fabsf(t.shift) + (double)t.spread));
        NEAR(k->name, "rstd", r, rstd[r], rs, tol * rs);
        for (int64_t j = 0; j < dim; j++) {
            const double h = ((double)row[j] - mu) * rs, dg = (double)g[j] * (double)gamma[j];
            m1 += dg / (double)dim, m2 += dg * h / (double)dim;
            dgamma[j] += (double)g[j] * h, dbeta[j] += (double)g[j];
            NEAR(k->name, "layer_norm", r * dim + j, y[r * dim + j],
                 h * (double)gamma[j] + (double)beta[j], tol * (2.0 + fabs(h)));
            NEAR(k->name, "layer_norm without beta", r * dim + j, bare[r * dim + j],
                 h * (double)gamma[j], tol * (2.0 + fabs(h)));
        }
        for (int64_t j = 0; j < dim; j++) {
            const double h = ((double)row[j] - mu) * rs,
                         want = rs * ((double)g[j] * (double)gamma[j] - m1 - h * m2);
            NEAR(k->name, "layer_norm_bwd", r * dim + j, dx[r * dim + j], want, tol * rs * 20.0);
            NEAR(k->name, "layer_norm_bwd, added", r * dim + j, more[r * dim + j],
                 want + (double)before[r * dim + j], tol * rs * 20.0 + 2 * U);
        }
    }
    float *pg = filled(dim, 1, 46, 1.0f), *pb = filled(dim, 2, 47, 1.0f);
    const float *pg0 = copied(pg, dim, 0), *pb0 = copied(pb, dim, 0);
    const int64_t cut = dim / 3;
    k->layer_norm_params(pg, pb, dy, x, mean, rstd, t.rows, dim, cut, dim);
    SAME(k->name, "columns outside the range", pg, pg0, cut);
    k->layer_norm_params(pg, NULL, dy, x, mean, rstd, t.rows, dim, 0, cut);
    k->column_sum(pb, dy, t.rows, dim, 0, cut);
    for (int64_t j = 0; j < dim; j++) {
        double mu, rs;
        norm_ref(x, dim, (double)eps, &mu, &rs);
        const double tol = (double)(t.rows + 4) * 4 * U * (double)t.rows +
                           20 * (double)t.rows * (chain(dim) * ((double)fabsf(t.shift) + 1.0) * rs);
        NEAR(k->name, "dgamma", j, pg[j], dgamma[j] + (double)pg0[j], tol);
        NEAR(k->name, "dbeta", j, pb[j], dbeta[j] + (double)pb0[j],
             (double)(t.rows + 2) * 2 * U * (double)(t.rows + 1));
    }
    as_free(dgamma), as_free(dbeta);
    room_free_all();
}
static void test_kernels_layer_norm_equals_the_reference(void **state) {
    (void)state;
    EACH_TABLE(k) {
        for (int64_t dim = 1; dim <= LONGEST; dim++)
            check_norm(k, (norm_case){1 + dim % 5, dim, 2.0f, 0.3f}, (int)(dim % 4));
        check_norm(k, (norm_case){3, 384, 2.0f, -0.5f}, 1);
        check_norm(k, (norm_case){2, 768, 0.1f, 0.0f}, 0);
        check_norm(k, (norm_case){2, 100, 1.0f, 100.0f},
                   2); /* a mean far from zero: two passes hold */
    }
}
static void test_kernels_layer_norm_takes_constant_rows(void **state) {
    (void)state;
    EACH_TABLE(k) {
        float *x = room(33, 1), *y = room(33, 1), *g = room(33, 0), *b = filled(33, 0, 1, 1.0f), m,
              r;
        for (int i = 0; i < 33; i++)
            x[i] = 4.0f, g[i] = 1.0f;
        k->layer_norm(y, &m, &r, x, g, b, 1, 33, 1e-12f);
        SAME(k->name, "a constant row gives beta", y, b, 33);
        x[7] = NAN;
        k->layer_norm(y, &m, &r, x, g, b, 1, 33, 1e-12f);
        for (int i = 0; i < 33; i++)
            assert_true(isnan(y[i]));
        room_free_all();
    }
}

static void test_kernels_column_sum_equals_the_reference(void **state) {
    (void)state;
    EACH_TABLE(k)
    for (int64_t n = 0; n <= LONGEST; n++) {
        const int64_t rows = n % 7, ld = n + 3;
        const float *x = filled(rows * ld + 1, (int)(n % 4), 51, 1.0f);
        float *out = filled(n, 1, 52, 1.0f);
        const float *before = copied(out, n, 0);
        const int64_t c0 = n / 4, c1 = n - n / 5;
        k->column_sum(out, x, rows, ld, c0, c1);
        for (int64_t j = 0; j < n; j++) {
            double want = (double)before[j];
            for (int64_t r = 0; r < rows && j >= c0 && j < c1; r++)
                want += (double)x[r * ld + j];
            NEAR(k->name, "column_sum", j, out[j], want, j >= c0 && j < c1 ? 8 * 8 * U : 0.0);
        }
        room_free_all();
    }
}

/* --- dropout --- */
static void test_kernels_dropout_masks_are_philox_s(void **state) {
    (void)state;
    static const uint32_t keeps[] = {1, 6554, 32768, 58982, 65535, 65536};
    EACH_TABLE(k)
    for (int64_t dim = 1; dim <= 400; dim += dim < LONGEST ? 1 : 83) {
        const int64_t rows = 3;
        const int32_t item[] = {7, 7, 123456}, pos[] = {0, 5, 511};
        const as_dropout_key key = {0x123456789ABCDEF0u + (uint64_t)dim, 9, keeps[dim % 6]};
        const float *x = filled(rows * dim, 1, 61, 2.0f), *res = filled(rows * dim, 2, 62, 1.0f);
        float *y = room(rows * dim, 3), *alone = room(rows * dim, 0),
              *in_place = copied(x, rows * dim, 1), *back = room(rows * dim, 1);
        float *sum = copied(res, rows * dim, 1);
        k->dropout_add(y, x, res, item, pos, rows, dim, key);
        k->dropout_add(alone, x, NULL, item, pos, rows, dim, key);
        k->dropout_add(in_place, in_place, res, item, pos, rows, dim, key);
        k->dropout_bwd(back, x, item, pos, rows, dim, key, false);
        k->dropout_bwd(sum, x, item, pos, rows, dim, key, true);
        const float up = 65536.0f / (float)key.keep;
        for (int64_t i = 0; i < rows * dim; i++) {
            const int64_t r = i / dim;
            const float d = key.keep >= 65536                                         ? x[i]
                            : kept(key, (uint32_t)item[r], (uint32_t)pos[r], i % dim) ? x[i] * up
                                                                                      : x[i] * 0.0f;
            NEAR(k->name, "dropout", i, alone[i], (double)d, 0.0);
            NEAR(k->name, "residual + dropout", i, y[i], (double)(res[i] + d), 0.0);
        }
        SAME(k->name, "in place", in_place, y, rows * dim);
        SAME(k->name, "backward", back, alone, rows * dim);
        SAME(k->name, "backward, added", sum, y, rows * dim);
        room_free_all();
    }
}
static void test_kernels_dropout_keeps_its_share_and_its_rows(void **state) {
    (void)state;
    enum { ROWS = 64, DIM = 1536 };
    int32_t item[ROWS], pos[ROWS], item2[ROWS], pos2[ROWS];
    for (int i = 0; i < ROWS; i++)
        item[i] = i / 8, pos[i] = i % 8, item2[i] = (ROWS - 1 - i) / 8,
        pos2[i] = (ROWS - 1 - i) % 8;
    float *one = room(ROWS * DIM, 0), *y = room(ROWS * DIM, 0), *z = room(ROWS * DIM, 0);
    for (int i = 0; i < ROWS * DIM; i++)
        one[i] = 1.0f;
    EACH_TABLE(k) {
        const as_dropout_key key = {42, 3, 58982};
        k->dropout_add(y, one, NULL, item, pos, ROWS, DIM, key);
        k->dropout_add(z, one, NULL, item2, pos2, ROWS, DIM, key);
        for (int r = 0; r < ROWS; r++)
            SAME(k->name, "the row in another order", y + r * DIM, z + (ROWS - 1 - r) * DIM, DIM);
        double on = 0;
        for (int i = 0; i < ROWS * DIM; i++)
            on += y[i] != 0.0f;
        const double p = 58982.0 / 65536.0, n = (double)ROWS * DIM;
        NEAR(k->name, "share kept", 0, on / n, p, 5.0 * sqrt(p * (1 - p) / n));
        int differ = 0; /* neighbours have masks of their own */
        for (int r = 1; r < ROWS; r++)
            differ += memcmp(y, y + r * DIM, DIM * sizeof *y) != 0;
        assert_int_equal(differ, ROWS - 1);
        const as_dropout_key other = {42, 4, 58982};
        k->dropout_add(z, one, NULL, item, pos, ROWS, DIM, other);
        assert_memory_not_equal(y, z, ROWS * DIM * sizeof *y);
    }
}

/* --- the optimiser: the update of torch.optim.AdamW (single-tensor form) in double --- */
static void adamw_ref(double *w, double *m, double *v, double g, const as_adamw *o) {
    *w *= 1.0 - (double)o->lr * (double)o->decay;
    *m = (double)o->beta1 * *m + (double)o->fresh1 * g;
    *v = (double)o->beta2 * *v + (double)o->fresh2 * g * g;
    *w -= (double)o->lr / (double)o->bias1 * *m /
          (sqrt(*v) / sqrt((double)o->bias2) + (double)o->eps);
}
static void test_kernels_adamw_equals_the_reference(void **state) {
    (void)state;
    enum { STEPS = 20 };
    EACH_TABLE(k)
    for (int64_t n = 0; n <= LONGEST; n++) {
        float *w = filled(n, 1, 71, 1.0f), *m = room(n, 2), *v = room(n, 3), *w0 = copied(w, n, 0),
              *m0 = room(n, 0), *v0 = room(n, 0);
        double rw[LONGEST + 1], rm[LONGEST + 1] = {0}, rv[LONGEST + 1] = {0};
        for (int64_t i = 0; i < n; i++)
            rw[i] = (double)w[i];
        for (int s = 1; s <= STEPS; s++) {
            const as_adamw o = {.lr = 1e-2f,
                                .beta1 = 0.9f,
                                .beta2 = 0.999f,
                                .fresh1 = 0.1f,
                                .fresh2 = 0.001f,
                                .eps = 1e-8f,
                                .decay = n % 2 ? 0.01f : 0.0f,
                                .scale = 0.5f,
                                .bias1 = (float)(1.0 - pow(0.9, s)),
                                .bias2 = (float)(1.0 - pow(0.999, s))};
            const bool none = s % 7 == 0;
            float *g = filled(n, s % 4, 100 + (uint32_t)s, 0.1f);
            for (int64_t i = 0; i < n; i++) {
                if (none) g[i] = 0.0f;
                adamw_ref(rw + i, rm + i, rv + i, (double)g[i] * 0.5, &o);
            }
            k->adamw(w, m, v, none ? NULL : g, n, &o);
            k->adamw(w0, m0, v0, g, n, &o);
        }
        for (int64_t i = 0; i < n; i++) {
            /* moments: two roundings a step, which decay; weights: 20 steps of at most lr, each
             * with 1e-6 of itself */
            NEAR(k->name, "m", i, m[i], rm[i], 20 * 4 * U * 0.1);
            NEAR(k->name, "v", i, v[i], rv[i], 20 * 4 * U * rv[i] + 1e-12);
            NEAR(k->name, "w", i, w[i], rw[i], STEPS * (2 * U + 1e-2 * 2e-6));
        }
        SAME(k->name, "without and with a gradient of zero", w, w0, n);
        room_free_all();
    }
}
/* tests/golden/tensor/adamw.py, torch 2.13.0: 5 steps of torch.optim.AdamW(lr=0.1,
 * weight_decay=0.1). */
static void test_kernels_adamw_follows_torch(void **state) {
    (void)state;
    static const float w0[] = {1.0f, -2.0f, 0.5f}, grad[5][3] = {{0.5f, -1.0f, 1e-4f},
                                                                 {0.25f, 2.0f, 0.0f},
                                                                 {-1.0f, 0.125f, -1e-4f},
                                                                 {3.0f, -0.5f, 0.0f},
                                                                 {0.0f, 0.0f, 2.0f}};
    static const double want[5][3] = {
#include "../golden/tensor/adamw.inc"
    };
    EACH_TABLE(k) {
        float w[3], m[3] = {0}, v[3] = {0};
        memcpy(w, w0, sizeof w);
        for (int s = 1; s <= 5; s++) {
            const as_adamw o = {.lr = 0.1f,
                                .beta1 = 0.9f,
                                .beta2 = 0.999f,
                                .fresh1 = 0.1f,
                                .fresh2 = 0.001f,
                                .eps = 1e-8f,
                                .decay = 0.1f,
                                .scale = 1.0f,
                                .bias1 = (float)(1.0 - pow(0.9, s)),
                                .bias2 = (float)(1.0 - pow(0.999, s))};
            k->adamw(w, m, v, grad[s - 1], 3, &o);
            for (int i = 0; i < 3; i++)
                NEAR(k->name, "w", i, w[i], want[s - 1][i], s * (2 * U + 0.1 * 1e-6));
        }
    }
}

int main(void) {
#define T(f) cmocka_unit_test_teardown(f, free_rooms)
    const struct CMUnitTest tests[] = {
        T(test_kernels_activations_follow_libm),
        T(test_kernels_activations_are_exact_near_zero),
        T(test_kernels_activations_take_extremes),
        T(test_kernels_exp_follows_libm),
        T(test_kernels_elementwise_equal_the_reference),
        T(test_kernels_reductions_equal_the_reference),
        T(test_kernels_reductions_pass_nan_on),
        T(test_kernels_bf16_rounds_to_nearest_even),
        T(test_kernels_layer_norm_equals_the_reference),
        T(test_kernels_layer_norm_takes_constant_rows),
        T(test_kernels_column_sum_equals_the_reference),
        T(test_kernels_dropout_masks_are_philox_s),
        T(test_kernels_dropout_keeps_its_share_and_its_rows),
        T(test_kernels_adamw_equals_the_reference),
        T(test_kernels_adamw_follows_torch),
    };
    return cmocka_run_group_tests_name("kernels", tests, NULL, NULL);
}
