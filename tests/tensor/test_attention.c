/* test_attention.c: the attention kernel, forward and backward, of each table against a plain
 * reference in double. */
#include "tensor_check.h"
#include <stdlib.h>

typedef struct problem {
    int64_t n, s, d;
    bool causal, bias, taps;
    int64_t window;
    float soft_cap;
    uint32_t keep;
} problem;

static bool sees(const as_attn_args *g, int64_t i, int64_t j) {
    if (g->causal_offset != INT64_MAX && j > i + g->causal_offset) return false;
    return g->window == INT64_MAX || llabs((long long)(i + g->window_offset - j)) <= g->window;
}
static double mask_of(const as_attn_args *g, int64_t i, int64_t j) {
    const as_dropout_key key = {g->drop_seed, g->drop_site, g->drop_keep};
    return g->drop_keep >= 65536                     ? 1.0
           : kept(key, g->drop_item, (uint32_t)i, j) ? 65536.0 / (double)g->drop_keep
                                                     : 0.0;
}

/* Of query i: weights p [s] before dropout, slopes of the soft cap, log-sum-exp. */
static double weights_of(const as_attn_args *g, int64_t i, double *p, double *slope) {
    double top = -INFINITY, sum = 0;
    for (int64_t j = 0; j < g->s; j++) {
        double x = 0;
        for (int64_t e = 0; e < g->d; e++)
            x += (double)g->q[i * g->ldq + e] * (double)g->k[j * g->ldk + e];
        x *= (double)g->scale, slope[j] = 1.0;
        if (g->soft_cap > 0.0f) {
            const double t = tanh(x / (double)g->soft_cap);
            x = (double)g->soft_cap * t, slope[j] = 1.0 - t * t;
        }
        if (g->bias) x += (double)g->bias[i * g->ldbias + j];
        p[j] = sees(g, i, j) ? x : -INFINITY;
        top = fmax(top, p[j]);
    }
    for (int64_t j = 0; j < g->s; j++)
        sum += p[j] = isinf(p[j]) ? 0.0 : exp(p[j] - top);
    for (int64_t j = 0; j < g->s && sum > 0; j++)
        p[j] /= sum;
    return sum > 0 ? top + log(sum) : INFINITY;
}

/* Scores are sums of d terms below 1 (times scale and slopes at most 1): within d * 2 u, and exp
 * adds 1.3e-7; a weighted sum of s values below 1 adds s * 2 u. Gradients are sums of such with at
 * most 16 in all for the sizes here. */
static double tolerance(const problem *t) {
    return ((double)(t->d + t->s) * 2.0 * U + 1e-6) * (t->keep < 65536 ? 65536.0 / t->keep : 1.0);
}

static void check_forward(const char *who, const problem *t, const as_attn_args *g) {
    double *p = as_calloc((size_t)t->s + 1, sizeof *p),
           *slope = as_calloc((size_t)t->s + 1, sizeof *slope);
    for (int64_t i = 0; i < t->n; i++) {
        const double lse = weights_of(g, i, p, slope);
        NEAR(who, "lse", i, g->lse[i], lse, tolerance(t) * 4);
        for (int64_t j = 0; g->taps && j < t->s; j++)
            NEAR(who, "taps", i * t->s + j, g->taps[i * t->s + j], p[j], tolerance(t));
        for (int64_t e = 0; e < t->d; e++) {
            double want = 0;
            for (int64_t j = 0; j < t->s; j++)
                want += p[j] * mask_of(g, i, j) * (double)g->v[j * g->ldv + e];
            NEAR(who, "out", i * t->d + e, g->out[i * g->ldo + e], want, tolerance(t));
        }
    }
    as_free(p), as_free(slope);
}

typedef struct grads {
    double *q, *k, *v, *bias;
} grads;
static void grads_ref(const problem *t, const as_attn_args *g, const as_attn_grads *d, grads *r) {
    double *p = as_calloc((size_t)t->s + 1, sizeof *p),
           *slope = as_calloc((size_t)t->s + 1, sizeof *slope),
           *dp = as_calloc((size_t)t->s + 1, sizeof *dp);
    for (int64_t i = 0; i < t->n; i++) {
        weights_of(g, i, p, slope);
        double along = 0;
        for (int64_t j = 0; j < t->s; j++) {
            dp[j] = 0;
            for (int64_t e = 0; e < t->d; e++) {
                dp[j] += (double)d->dout[i * d->lddo + e] * (double)g->v[j * g->ldv + e] *
                         mask_of(g, i, j);
                r->v[j * t->d + e] += p[j] * mask_of(g, i, j) * (double)d->dout[i * d->lddo + e];
            }
            along += p[j] * dp[j];
        }
        for (int64_t j = 0; j < t->s; j++) {
            const double ds = p[j] * (dp[j] - along), dx = ds * slope[j] * (double)g->scale;
            r->bias[i * t->s + j] += ds;
            for (int64_t e = 0; e < t->d; e++)
                r->q[i * t->d + e] += dx * (double)g->k[j * g->ldk + e],
                    r->k[j * t->d + e] += dx * (double)g->q[i * g->ldq + e];
        }
    }
    as_free(p), as_free(slope), as_free(dp);
}
static void check_matrix(const char *who, const char *what, const float *got, const float *before,
                         int64_t ld, const double *want, int64_t rows, int64_t cols, double tol) {
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < cols; j++)
            NEAR(who, what, i * cols + j, got[i * ld + j],
                 want[i * cols + j] + (double)before[i * ld + j], tol);
}

static void check_problem(const as_kernels *k, problem t) {
    enum { GUARD = 64 };
    const int64_t ld = 3 * t.d + 2, ldo = t.d + 3, ldb = t.s + 1;
    const int64_t rows = t.n > t.s ? t.n : t.s;
    float *qkv = filled(rows * ld, 1, 1, 1.0f), *out = filled(t.n * ldo, 1, 2, 1.0f),
          *bias = filled(t.n * ldb, 3, 3, 1.0f);
    float *lse = room(t.n, 0), *taps = room(t.n * t.s, 1), *dout = filled(t.n * ldo, 2, 4, 1.0f),
          *dqkv = filled(rows * ld, 1, 5, 1.0f), *dbias = filled(t.n * ldb, 1, 6, 1.0f);
    const float *before = copied(dqkv, rows * ld, 0), *dbias0 = copied(dbias, t.n * ldb, 0);
    const int64_t need = (int64_t)k->attn_scratch(t.n, t.s, t.d);
    float *scratch = room(need + GUARD, 0);
    for (int i = 0; i < GUARD; i++)
        scratch[need + i] = 12345.0f;
    for (int64_t i = 0; i < need; i++)
        scratch[i] = NAN; /* nothing old may be read */
    const as_attn_args g = {.q = qkv,
                            .k = qkv + t.d,
                            .v = qkv + 2 * t.d,
                            .ldq = ld,
                            .ldk = ld,
                            .ldv = ld,
                            .out = out,
                            .ldo = ldo,
                            .n = t.n,
                            .s = t.s,
                            .d = t.d,
                            .scale = 1.0f / sqrtf((float)t.d),
                            .soft_cap = t.soft_cap,
                            .bias = t.bias ? bias : NULL,
                            .ldbias = ldb,
                            .causal_offset = t.causal ? t.s - t.n : INT64_MAX,
                            .window = t.window ? t.window : INT64_MAX,
                            .window_offset = t.s - t.n,
                            .lse = lse,
                            .taps = t.taps ? taps : NULL,
                            .drop_keep = t.keep,
                            .drop_seed = 77,
                            .drop_item = 5,
                            .drop_site = 3};
    const as_attn_grads d = {.dout = dout,
                             .lddo = ldo,
                             .out = out,
                             .dq = dqkv,
                             .dk = dqkv + t.d,
                             .dv = dqkv + 2 * t.d,
                             .lddq = ld,
                             .lddk = ld,
                             .lddv = ld,
                             .dbias = t.bias ? dbias : NULL};
    char who[128];
    snprintf(who, sizeof who, "%s, n %d s %d d %d%s%s window %d cap %g keep %u", k->name, (int)t.n,
             (int)t.s, (int)t.d, t.causal ? " causal" : "", t.bias ? " bias" : "", (int)t.window,
             (double)t.soft_cap, t.keep);
    k->attn(&g, scratch);
    check_forward(who, &t, &g);
    for (int64_t i = 0; i < need; i++)
        scratch[i] = NAN;
    k->attn_bwd(&g, &d, scratch);
    for (int i = 0; i < GUARD; i++)
        assert_true(scratch[need + i] == 12345.0f);
    grads r = {as_calloc((size_t)(t.n * t.d + 1), sizeof(double)),
               as_calloc((size_t)(t.s * t.d + 1), sizeof(double)),
               as_calloc((size_t)(t.s * t.d + 1), sizeof(double)),
               as_calloc((size_t)(t.n * t.s + 1), sizeof(double))};
    grads_ref(&t, &g, &d, &r);
    const double tol = tolerance(&t) * 8.0 * (t.keep < 65536 ? 65536.0 / t.keep : 1.0);
    check_matrix(who, "dq", d.dq, before, ld, r.q, t.n, t.d, tol);
    check_matrix(who, "dk", d.dk, before + t.d, ld, r.k, t.s, t.d, tol * 2.0);
    check_matrix(who, "dv", d.dv, before + 2 * t.d, ld, r.v, t.s, t.d, tol * 2.0);
    if (t.bias) check_matrix(who, "dbias", dbias, dbias0, ldb, r.bias, t.n, t.s, tol);
    as_free(r.q), as_free(r.k), as_free(r.v), as_free(r.bias);
    room_free_all();
}

static void test_attention_equals_double_for_every_length(void **state) {
    (void)state;
    EACH_TABLE(k)
    for (int64_t n = 1; n <= 67; n++)
        check_problem(k, (problem){.n = n,
                                   .s = n,
                                   .d = 1 + n * 7 % 40,
                                   .causal = n % 2,
                                   .bias = n % 3 == 0,
                                   .taps = n % 4 == 0,
                                   .keep = n % 5 ? 65536 : 58982});
}
static void test_attention_equals_double_for_every_option(void **state) {
    (void)state;
    EACH_TABLE(k)
    for (int v = 0; v < 64; v++) {
        const problem t = {.n = 50 + v % 3,
                           .s = 50 + v % 3,
                           .d = 24,
                           .causal = v & 1,
                           .bias = v & 2,
                           .taps = v & 4,
                           .window = v & 8 ? 7 : 0,
                           .soft_cap = v & 16 ? 0.8f : 0.0f,
                           .keep = v & 32 ? 49152 : 65536};
        check_problem(k, t);
    }
}
/* Queries and keys of other lengths: caches (s > n), and n > s, where causal rows may see nothing.
 */
static void test_attention_equals_double_across_lengths(void **state) {
    (void)state;
    static const int64_t ns[][2] = {{1, 40},   {3, 1},   {48, 1},  {48, 3},  {100, 17},
                                    {17, 100}, {130, 2}, {1, 300}, {97, 47}, {2, 0}};
    EACH_TABLE(k)
    for (size_t i = 0; i < AS_COUNT(ns); i++)
        for (int v = 0; v < 8; v++)
            check_problem(k, (problem){.n = ns[i][0],
                                       .s = ns[i][1],
                                       .d = 33,
                                       .causal = v & 1,
                                       .window = v & 2 ? 9 : 0,
                                       .bias = v & 2,
                                       .keep = v & 4 ? 60000 : 65536});
}
static void test_attention_equals_double_for_long_sequences(void **state) {
    (void)state;
    EACH_TABLE(k) {
        check_problem(k, (problem){.n = 300, .s = 300, .d = 64, .keep = 58982});
        check_problem(
            k, (problem){.n = 145, .s = 145, .d = 32, .causal = true, .window = 40, .keep = 65536});
    }
}
/* Scores far apart: the softmax is stable, and a NaN comes out. */
static void test_attention_takes_extremes(void **state) {
    (void)state;
    enum { N = 5, D = 4 };
    EACH_TABLE(k) {
        float *x = filled(N * D, 0, 1, 100.0f), *v = filled(N * D, 0, 2, 1.0f),
              *out = room(N * D, 0), *scratch = room((int64_t)k->attn_scratch(N, N, D), 0);
        as_attn_args g = {.q = x,
                          .k = x,
                          .v = v,
                          .ldq = D,
                          .ldk = D,
                          .ldv = D,
                          .out = out,
                          .ldo = D,
                          .n = N,
                          .s = N,
                          .d = D,
                          .scale = 1.0f,
                          .causal_offset = INT64_MAX,
                          .window = INT64_MAX,
                          .drop_keep = 65536};
        k->attn(&g, scratch);
        for (int i = 0; i < N * D; i++)
            assert_true(fabsf(out[i]) <= 1.0f + 1e-6f);
        x[2 * D] = NAN;
        k->attn(&g, scratch);
        for (int i = 0; i < N * D; i++)
            assert_true(isnan(out[i]));
        room_free_all();
    }
}

int main(void) {
#define T(f) cmocka_unit_test_teardown(f, free_rooms)
    const struct CMUnitTest tests[] = {T(test_attention_equals_double_for_every_length),
                                       T(test_attention_equals_double_for_every_option),
                                       T(test_attention_equals_double_across_lengths),
                                       T(test_attention_equals_double_for_long_sequences),
                                       T(test_attention_takes_extremes)};
    return cmocka_run_group_tests_name("attention", tests, NULL, NULL);
}
