/* Draws over a vocabulary: the inverse of the cumulative distribution, whatever the chunks; and frequencies that follow it. */
#include "base/rng.h"
#include "tensor/ops.h"
#include "tensor_check.h"

typedef struct world { as_engine *e; as_ctx c; as_param table, bias; as_tensor *x; int64_t rows, vocab, dim; } world;

static void world_open(world *w, as_isa isa, int64_t rows, int64_t vocab, int64_t dim) {
    as_engine_opts o = as_engine_defaults();
    o.isa = isa, o.threads = 1, o.gemm = AS_GEMM_OWN;
    *w = (world){.rows = rows, .vocab = vocab, .dim = dim};
    assert_int_equal(as_engine_open(&w->e, &o, NULL), AS_OK);
    assert_int_equal(as_ctx_init(&w->c, w->e, 0, 1, NULL), AS_OK);
    w->table = (as_param){.name = "t", .rows = vocab, .cols = dim, .w = filled(vocab * dim, 0, 1, 0.7f)};
    w->bias = (as_param){.name = "b", .rows = 1, .cols = vocab, .w = filled(vocab, 0, 2, 1.0f)};
    w->x = as_tensor_new(&w->c, rows, dim, false);
    memcpy(w->x->x, filled(rows * dim, 0, 3, 1.5f), (size_t)(rows * dim) * sizeof(float));
}
static void world_close(world *w) {
    as_ctx_deinit(&w->c);
    as_engine_free(w->e);
    room_free_all();
}
/* Probabilities of row r in double. */
static void softmax(const world *w, int64_t r, double *p) {
    double max = -INFINITY, sum = 0;
    for (int64_t v = 0; v < w->vocab; v++) {
        p[v] = (double)w->bias.w[v];
        for (int64_t d = 0; d < w->dim; d++) p[v] += (double)w->x->x[r * w->dim + d] * (double)w->table.w[v * w->dim + d];
        max = fmax(max, p[v]);
    }
    for (int64_t v = 0; v < w->vocab; v++) sum += p[v] = exp(p[v] - max);
    for (int64_t v = 0; v < w->vocab; v++) p[v] /= sum;
}

/* An answer v is right when u lies in [cdf(v - 1), cdf(v)), but for what float logits blur: 1e-5. */
static void test_sample_inverts_the_cumulative_distribution(void **state) {
    (void)state;
    static const int64_t vocabs[] = {1, 7, 2048, 2049, 5000};
    for (int isa = 0; isa < AS_ISA_COUNT; isa++) {
        if ((as_isa)isa > as_cpu_detect()) continue;
        for (size_t k = 0; k < sizeof vocabs / sizeof *vocabs; k++) {
            world w;
            enum { ROWS = 37 };
            world_open(&w, (as_isa)isa, ROWS, vocabs[k], 24);
            double u[ROWS], *p = as_calloc((size_t)w.vocab, sizeof *p);
            int32_t out[ROWS];
            for (int r = 0; r < ROWS; r++) u[r] = r == 0 ? 0.0 : r == 1 ? 1.0 - 0x1p-53 : (double)r / ROWS;
            assert_true(as_vocab_sample(&w.c, w.x, &w.table, &w.bias, u, out));
            for (int r = 0; r < ROWS; r++) {
                softmax(&w, r, p);
                assert_in_range(out[r], 0, w.vocab - 1);
                double before = 0;
                for (int64_t v = 0; v < out[r]; v++) before += p[v];
                if (!(u[r] > before - 1e-5 && u[r] < before + p[out[r]] + 1e-5))
                    fail_msg("vocab %d, row %d: u %.9g gives %d, whose share is [%.9g, %.9g)", (int)w.vocab, r, u[r], out[r], before, before + p[out[r]]);
            }
            as_free(p);
            world_close(&w);
        }
    }
}

/* 20,000 draws of one row: chi-square over the entries with at least 5 expected draws, below its mean plus five deviations. */
static void test_sample_frequencies_follow_the_distribution(void **state) {
    (void)state;
    enum { DRAWS = 20000, VOCAB = 50 };
    world w;
    world_open(&w, (as_isa)(AS_ISA_COUNT - 1), 1, VOCAB, 8);
    double p[VOCAB], u;
    int32_t out;
    int64_t count[VOCAB] = {0};
    softmax(&w, 0, p);
    as_rng g = as_rng_at(5, AS_STREAM_SAMPLE, 0);
    for (int i = 0; i < DRAWS; i++) {
        u = as_rng_double(&g);
        assert_true(as_vocab_sample(&w.c, w.x, &w.table, &w.bias, &u, &out));
        count[out]++;
    }
    double chi = 0;
    int cells = 0;
    for (int v = 0; v < VOCAB; v++) {
        const double want = DRAWS * p[v];
        if (want < 5) continue;
        chi += ((double)count[v] - want) * ((double)count[v] - want) / want;
        cells++;
    }
    assert_true(cells > 5);
    if (!(chi < cells + 5 * sqrt(2.0 * cells))) fail_msg("chi-square %g over %d entries", chi, cells);
    world_close(&w);
}

/* A row's draw does not depend on the rows beside it. */
static void test_sample_depends_on_its_row_alone(void **state) {
    (void)state;
    enum { ROWS = 21 };
    world w;
    world_open(&w, (as_isa)(AS_ISA_COUNT - 1), ROWS, 3000, 16);
    double u[ROWS];
    int32_t all[ROWS], one;
    for (int r = 0; r < ROWS; r++) u[r] = fmod(0.37 + 0.61803398875 * r, 1.0);
    assert_true(as_vocab_sample(&w.c, w.x, &w.table, NULL, u, all));
    for (int r = 0; r < ROWS; r++) {
        as_tensor *x = as_tensor_new(&w.c, 1, w.dim, false);
        memcpy(x->x, w.x->x + r * w.dim, (size_t)w.dim * sizeof(float));
        assert_true(as_vocab_sample(&w.c, x, &w.table, NULL, &u[r], &one));
        assert_int_equal(one, all[r]);
    }
    world_close(&w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sample_inverts_the_cumulative_distribution),
        cmocka_unit_test(test_sample_frequencies_follow_the_distribution),
        cmocka_unit_test(test_sample_depends_on_its_row_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
