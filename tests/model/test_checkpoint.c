/* The numbers of a checkpoint equal those of transformers, for every head, file form, instruction set and matrix product; and
 * they depend on the item alone. Goldens: tests/golden/model/make.py. */
#include "model_check.h"

typedef struct engine_kind { as_isa isa; as_gemm_kind gemm; const char *name; } engine_kind;
static const engine_kind engines[] = {
    {AS_ISA_PORTABLE, AS_GEMM_OWN, "portable own"}, {AS_ISA_AVX2, AS_GEMM_OWN, "avx2 own"},   {AS_ISA_AVX512, AS_GEMM_OWN, "avx512 own"},
    {AS_ISA_AVX2, AS_GEMM_DNNL, "avx2 oneDNN"},     {AS_ISA_AVX512, AS_GEMM_DNNL, "avx512 oneDNN"},
};
static bool runs_here(const engine_kind *k) { return k->isa <= as_cpu_detect() && (AS_DNNL || k->gemm != AS_GEMM_DNNL); }

/* --- agreement --- */
/* Errors against float64, ours and the reference's: the outputs of one case are few, and their largest error is luck; so the
 * cases of one kind of head are taken together. */
typedef struct errors { double most, reference, squares, reference_squares, n; } errors;
static void errors_add(errors *e, const expected *x, const float *got, bool bf16) {
    for (int64_t i = 0; i < x->rows * x->cols; i++) {
        const double ours = fabs((double)got[i] - x->f64[i]);
        const double theirs = fabs((double)(bf16 ? as_bf16_to_f32(x->bf16[i]) : x->f32[i]) - x->f64[i]);
        e->most = fmax(e->most, ours), e->reference = fmax(e->reference, theirs);
        e->squares += ours * ours, e->reference_squares += theirs * theirs;
    }
    e->n += (double)(x->rows * x->cols);
}
static void expect_errors(const errors *e, const char *engine, double most, double mean, double floor) {
    for (size_t h = 0; h < AS_HEAD_COUNT; h++) {
        if (e[h].n == 0) continue; /* no golden has it */
        const double rms = sqrt(e[h].squares / e[h].n), reference_rms = sqrt(e[h].reference_squares / e[h].n);
        if (getenv("V"))
            print_message("%s, %s: largest error %.2e, reference %.2e; rms %.2e, reference %.2e\n", engine, as_head_name((as_head)h), e[h].most, e[h].reference, rms,
                          reference_rms);
        if (!(e[h].most <= most * e[h].reference + floor && rms <= mean * reference_rms + floor))
            fail_msg("%s, head %s: the error against float64 is %.3g (rms %.3g), that of the reference %.3g (%.3g)", engine, as_head_name((as_head)h), e[h].most, rms,
                     e[h].reference, reference_rms);
    }
}

/* 1e-5: outputs are below 6, where a float's step is 4.8e-7; sums over at most 48 products of such size in another order differ
 * by some ten steps. A wrong formula (tanh for erf GELU, an eps, a swapped bias) is 1e-4 and more. */
static void expect_agreement(const golden_case *g, const engine_kind *k, const expected *x, const float *got) {
    for (int64_t i = 0; i < x->rows * x->cols; i++)
        if (!(fabs((double)got[i] - (double)x->f32[i]) < 1e-5))
            fail_msg("%s, %s: output %d is %.9g, transformers has %.9g", g->name, k->name, (int)i, (double)got[i], (double)x->f32[i]);
}

static void test_checkpoint_outputs_equal_transformers_on_every_engine(void **state) {
    (void)state;
    for (size_t k = 0; k < AS_COUNT(engines); k++) {
        if (!runs_here(&engines[k])) continue;
        as_engine *e = engine_new(engines[k].isa, engines[k].gemm, AS_COMPUTE_F32, 2);
        errors sum[AS_HEAD_COUNT] = {{0}};
        for (size_t i = 0; i < AS_COUNT(goldens); i++) {
            expected x = expected_open(goldens[i].name);
            for (int train = 0; train < 2; train++) { /* masters are placed and packed in another way */
                as_model *m = golden_open(e, &goldens[i], train, NULL);
                float *got = score(m, &x, NULL, 8, 1, 1);
                expect_agreement(&goldens[i], &engines[k], &x, got);
                errors_add(&sum[goldens[i].head], &x, got, false);
                as_free(got);
                as_model_free(m);
            }
            as_weights_close(x.w);
        }
        expect_errors(sum, engines[k].name, 2.0, 2.0, 1e-7);
        as_engine_free(e);
    }
}

/* The bound is the error of PyTorch's bf16 model, which rounds every activation; here only operands of linear layers are rounded:
 * the mean error is smaller. The largest is one sample of many roundings on both sides: 1.5. */
static void test_checkpoint_bf16_errs_as_torch_bf16_at_most(void **state) {
    (void)state;
    for (size_t k = 0; k < AS_COUNT(engines); k++) {
        if (!runs_here(&engines[k])) continue;
        as_engine *e = engine_new(engines[k].isa, engines[k].gemm, AS_COMPUTE_BF16, 1);
        errors sum[AS_HEAD_COUNT] = {{0}};
        for (size_t i = 0; i < AS_COUNT(goldens); i++) {
            expected x = expected_open(goldens[i].name);
            as_model *m = golden_open(e, &goldens[i], false, NULL);
            float *got = score(m, &x, NULL, 8, 1, 1);
            errors_add(&sum[goldens[i].head], &x, got, true);
            double most = 0;
            for (int64_t o = 0; o < x.rows * x.cols; o++) most = fmax(most, fabs((double)got[o] - (double)x.f32[o]));
            if (!(most > 1e-4)) fail_msg("%s, %s: nothing was rounded to bf16", goldens[i].name, engines[k].name);
            as_free(got);
            as_model_free(m);
            as_weights_close(x.w);
        }
        expect_errors(sum, engines[k].name, 1.5, 1.0, 0.0);
        as_engine_free(e);
    }
}

/* --- a score depends on the item alone --- */
static void test_checkpoint_scores_depend_on_the_item_alone(void **state) {
    (void)state;
    static const int back[] = {7, 6, 5, 4, 3, 2, 1, 0}, mixed[] = {4, 1, 7, 0, 2, 6, 3, 5};
    static const struct { const int *order; int size, teams, team; } ways[] = {
        {NULL, 1, 1, 1}, {NULL, 3, 1, 1}, {back, 8, 1, 1}, {mixed, 8, 1, 1}, {mixed, 5, 1, 1}, {back, 3, 1, 2}, {mixed, 8, 1, 4},
        {NULL, 8, 1, 2}, {NULL, 1, 2, 1}, {mixed, 2, 2, 1}, {back, 3, 2, 2}, {mixed, 1, 4, 1}, {back, 2, 4, 1},
    };
    for (int compute = 0; compute < 2; compute++)
        for (size_t k = 0; k < AS_COUNT(engines); k++) {
            if (!runs_here(&engines[k])) continue;
            as_engine *e = engine_new(engines[k].isa, engines[k].gemm, (as_compute)compute, 4);
            for (size_t i = 0; i < AS_COUNT(goldens); i++) {
                if (i != 0 && goldens[i].head == AS_HEAD_CLASSIFY) continue; /* one of each head, and the MLM ones */
                expected x = expected_open(goldens[i].name);
                as_model *m = golden_open(e, &goldens[i], false, NULL);
                float *want = score(m, &x, NULL, 8, 1, 1);
                for (size_t w = 0; w < AS_COUNT(ways); w++) {
                    float *got = score(m, &x, ways[w].order, ways[w].size, ways[w].teams, ways[w].team);
                    if (memcmp(got, want, (size_t)(x.rows * x.cols) * sizeof *got) != 0)
                        fail_msg("%s, %s, way %d: other bits", goldens[i].name, engines[k].name, (int)w);
                    as_free(got);
                }
                as_free(want);
                as_model_free(m);
                as_weights_close(x.w);
            }
            as_engine_free(e);
        }
}

/* Threads that load share out the parameters: no bit may depend on their number. */
static void test_checkpoint_loads_the_same_bits_with_any_threads(void **state) {
    (void)state;
    expected x = expected_open("single");
    float *want = NULL;
    for (int threads = 1; threads <= 4; threads *= 2) {
        as_engine *e = engine_new((as_isa)(AS_ISA_COUNT - 1), AS_GEMM_AUTO, AS_COMPUTE_F32, threads);
        as_model *m = golden_open(e, &goldens[0], true, NULL);
        float *got = score(m, &x, NULL, 8, 1, 1);
        if (want) assert_memory_equal(got, want, (size_t)(x.rows * x.cols) * sizeof *got);
        as_free(want);
        want = got;
        as_model_free(m);
        as_engine_free(e);
    }
    as_free(want);
    as_weights_close(x.w);
}

/* Hidden states of chosen rows are those of all rows. */
static void test_checkpoint_chosen_rows_equal_all_rows(void **state) {
    (void)state;
    expected x = expected_open("base");
    as_engine *e = engine_new((as_isa)(AS_ISA_COUNT - 1), AS_GEMM_AUTO, AS_COMPUTE_F32, 1);
    as_model *m = golden_open(e, &(golden_case){"base", AS_HEAD_NONE}, false, NULL);
    static const int all[] = {0, 1, 2, 3, 4, 5, 6, 7};
    static batch b;
    batch_fill(&b, &x, all, 8);
    as_err err = {0};
    as_ctx c;
    expect_ok(as_ctx_init(&c, e, 0, 1, &err), &err);
    float *whole = score(m, &x, NULL, 8, 1, 1);
    static const int64_t some[] = {6, 7, 22, 92}, none_of_most[] = {64}, first[] = {0}, every_last[] = {4, 5, 22, 24, 64, 80, 89, 92};
    static const struct { const int64_t *rows, n; } cases[] = {{some, 4}, {none_of_most, 1}, {first, 1}, {every_last, 8}, {b.want, 24}};
    for (size_t k = 0; k < AS_COUNT(cases); k++) {
        const as_tensor *y = as_model_encode_rows(m, &c, &b.s, cases[k].rows, cases[k].n);
        assert_non_null(y);
        assert_int_equal(y->rows, cases[k].n);
        for (int64_t r = 0; r < cases[k].n; r++)
            assert_memory_equal(y->x + r * x.cols, whole + cases[k].rows[r] * x.cols, (size_t)x.cols * sizeof *whole);
        as_ctx_reset(&c);
    }
    as_ctx_deinit(&c);
    as_free(whole);
    as_model_free(m);
    as_engine_free(e);
    as_weights_close(x.w);
}

/* --- what is told --- */
static void test_checkpoint_tells_missing_and_unused_weights_once(void **state) {
    (void)state;
    static const struct { const char *name; as_head head; int64_t missing; bool fresh; int warnings, infos; const char *words[3]; } cases[] = {
        {"single", AS_HEAD_CLASSIFY, 0, false, 0, 0, {NULL}},
        {"sharded", AS_HEAD_CLASSIFY, 0, false, 0, 0, {NULL}},
        {"mlm_tied", AS_HEAD_MLM, 0, false, 0, 0, {NULL}},
        {"mlm_untied", AS_HEAD_MLM, 0, false, 0, 0, {NULL}},
        {"mlm_both", AS_HEAD_MLM, 0, false, 2, 0, {"differ although config.json ties them", "cls.predictions.decoder.weight"}},
        {"extra", AS_HEAD_CLASSIFY, 0, false, 0, 1, {"2 weights of the file are not used: ", "spare.weight", "cls.predictions.bias"}},
        {"legacy_bin", AS_HEAD_MLM, 0, false, 0, 1, {"4 weights of the file are not used: ", "cls.seq_relationship.weight", "bert.pooler.dense.bias"}},
        {"legacy_bin", AS_HEAD_NSP, 0, false, 0, 1, {"6 weights of the file are not used: "}},
        {"legacy_bin", AS_HEAD_CLASSIFY, 2, true, 1, 1, {"2 weights are not in the file and start at random: classifier.weight, classifier.bias"}},
        {"base", AS_HEAD_CLASSIFY, 2, true, 1, 0, {"classifier.weight, classifier.bias"}},
        {"base", AS_HEAD_MLM, 5, true, 1, 1, {"5 weights are not in the file", "cls.predictions.bias", "2 weights of the file are not used: pooler.dense."}},
        {"single", AS_HEAD_NONE, 0, false, 0, 1, {"4 weights of the file are not used: "}},
        {"electra_rtd", AS_HEAD_RTD, 0, false, 0, 0, {NULL}},
        {"electra_rtd", AS_HEAD_MLM, 5, true, 1, 1, {"generator_predictions.dense.weight", "4 weights of the file are not used: discriminator_predictions."}},
        {"electra_base", AS_HEAD_CLASSIFY, 4, true, 1, 0, {"classifier.out_proj.weight"}},
        {"gpt2_lm", AS_HEAD_CLM, 0, false, 0, 0, {NULL}},
        {"gpt2_plain", AS_HEAD_CLM, 0, false, 0, 0, {NULL}},
        {"gpt2_plain", AS_HEAD_CLASSIFY, 1, true, 1, 0, {"score.weight"}},
        {"single", AS_HEAD_NSP, 2, true, 1, 1, {"cls.seq_relationship.weight, cls.seq_relationship.bias"}},
    };
    as_engine *e = engine_new((as_isa)(AS_ISA_COUNT - 1), AS_GEMM_AUTO, AS_COMPUTE_F32, 2);
    for (size_t i = 0; i < AS_COUNT(cases); i++) {
        heard h = {0};
        as_model *m = golden_open(e, &(golden_case){cases[i].name, cases[i].head}, false, &(as_log){hear, &h});
        if (h.warnings != cases[i].warnings || h.infos != cases[i].infos || as_model_missing(m) != cases[i].missing)
            fail_msg("%s: %d warnings, %d infos, %d missing:\n%s", cases[i].name, h.warnings, h.infos, (int)as_model_missing(m), h.text);
        assert_int_equal(as_model_head_is_fresh(m), cases[i].fresh);
        for (int k = 0; k < 3 && cases[i].words[k]; k++)
            if (!strstr(h.text, cases[i].words[k])) fail_msg("%s: \"%s\" is not said in\n%s", cases[i].name, cases[i].words[k], h.text);
        as_model_free(m);
    }
    as_engine_free(e);
}

static void test_checkpoint_labels_and_problem_follow_the_config_or_the_caller(void **state) {
    (void)state;
    static const struct { const char *name; as_problem problem; int n; const char *first, *last; } cases[] = {
        {"single", AS_PROBLEM_SINGLE, 3, "bad", "gr\xc3\xbcn \"ok\""}, {"multi", AS_PROBLEM_MULTI, 4, "LABEL_0", "LABEL_3"},
        {"regression", AS_PROBLEM_REGRESSION, 1, "LABEL_0", "LABEL_0"}, {"sharded", AS_PROBLEM_SINGLE, 2, "LABEL_0", "LABEL_1"},
    };
    as_engine *e = engine_new((as_isa)(AS_ISA_COUNT - 1), AS_GEMM_AUTO, AS_COMPUTE_F32, 1);
    for (size_t i = 0; i < AS_COUNT(cases); i++) {
        as_model *m = golden_open(e, &(golden_case){cases[i].name, AS_HEAD_CLASSIFY}, false, NULL);
        assert_int_equal(as_model_problem(m), cases[i].problem);
        assert_int_equal(as_model_num_labels(m), cases[i].n);
        assert_string_equal(as_model_labels(m)[0], cases[i].first);
        assert_string_equal(as_model_labels(m)[cases[i].n - 1], cases[i].last);
        as_model_free(m);
    }
    static char *const own[] = {"no", "yes", "perhaps", "never", "always"};
    as_model *m;
    as_err err = {0};
    expect_ok(as_model_open(&m, e, GOLDEN "base", &(as_model_opts){.head = AS_HEAD_CLASSIFY, .labels = own, .num_labels = 5}, &err), &err);
    assert_int_equal(as_model_num_labels(m), 5);
    assert_string_equal(as_model_labels(m)[4], "always");
    assert_int_equal(((const as_config *)as_model_config(m))->num_labels, 2);
    as_model_free(m);
    bool has;
    expect_ok(as_model_has_classifier(&has, GOLDEN "single", &err), &err);
    assert_true(has);
    expect_ok(as_model_has_classifier(&has, GOLDEN "base", &err), &err);
    assert_false(has);
    expect_ok(as_model_has_classifier(&has, GOLDEN "electra_class", &err), &err);
    assert_true(has);
    expect_ok(as_model_has_classifier(&has, GOLDEN "gpt2_class", &err), &err);
    assert_true(has);
    expect_ok(as_model_has_classifier(&has, GOLDEN "gpt2_lm", &err), &err);
    assert_false(has);
    as_engine_free(e);
}

/* "From scratch": nothing of the file but its config; the seed decides every bit. */
static void test_checkpoint_fresh_weights_follow_the_seed(void **state) {
    (void)state;
    as_engine *e = engine_new((as_isa)(AS_ISA_COUNT - 1), AS_GEMM_AUTO, AS_COMPUTE_F32, 2);
    expected x = expected_open("single");
    float *out[3];
    char digest[3][65];
    for (int i = 0; i < 3; i++) {
        heard h = {0};
        as_model *m;
        as_err err = {0};
        const as_model_opts o = {.head = AS_HEAD_CLASSIFY, .fresh = true, .seed = i == 2 ? 6 : 5, .log = &(as_log){hear, &h}};
        expect_ok(as_model_open(&m, e, GOLDEN "single", &o, &err), &err);
        assert_string_equal(h.text, "");
        assert_true(as_model_head_is_fresh(m));
        out[i] = score(m, &x, NULL, 8, 1, 1);
        expect_ok(as_model_digest(m, digest[i], &err), &err);
        const as_param *word = as_model_param(m, 0);
        double sum = 0, squares = 0;
        for (int64_t k = word->cols; k < word->rows * word->cols; k++) sum += word->w[k], squares += (double)word->w[k] * word->w[k];
        const double n = (double)((word->rows - 1) * word->cols); /* N(0, 0.02): five standard errors */
        assert_true(fabs(sum / n) < 5 * 0.02 / sqrt(n) && fabs(sqrt(squares / n) - 0.02) < 5 * 0.02 / sqrt(2 * n));
        for (int64_t k = 0; k < word->cols; k++) assert_true(word->w[k] == 0.0f); /* [PAD] */
        as_model_free(m);
    }
    const size_t bytes = (size_t)(x.rows * x.cols) * sizeof **out;
    assert_memory_equal(out[0], out[1], bytes);
    assert_memory_not_equal(out[0], out[2], bytes);
    assert_string_equal(digest[0], digest[1]);
    assert_string_not_equal(digest[0], digest[2]);
    for (int i = 0; i < 3; i++) as_free(out[i]);
    as_weights_close(x.w);
    as_engine_free(e);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_checkpoint_outputs_equal_transformers_on_every_engine, enter, leave),
        cmocka_unit_test_setup_teardown(test_checkpoint_bf16_errs_as_torch_bf16_at_most, enter, leave),
        cmocka_unit_test_setup_teardown(test_checkpoint_scores_depend_on_the_item_alone, enter, leave),
        cmocka_unit_test_setup_teardown(test_checkpoint_loads_the_same_bits_with_any_threads, enter, leave),
        cmocka_unit_test_setup_teardown(test_checkpoint_chosen_rows_equal_all_rows, enter, leave),
        cmocka_unit_test_setup_teardown(test_checkpoint_tells_missing_and_unused_weights_once, enter, leave),
        cmocka_unit_test_setup_teardown(test_checkpoint_labels_and_problem_follow_the_config_or_the_caller, enter, leave),
        cmocka_unit_test_setup_teardown(test_checkpoint_fresh_weights_follow_the_seed, enter, leave),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
