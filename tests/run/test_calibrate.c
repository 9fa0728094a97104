/* test_calibrate.c: temperature, reliability, risk and coverage, conformal sets: against scipy and numpy
 * (tests/golden/calibration/calibration.py), and by simulation. */
#include "base/mem.h"
#include "base/rng.h"
#include "run/calibrate.h"
#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void close_to(const char *what, double got, double want, double tolerance) {
    if (!(fabs(got - want) <= tolerance || got == want)) fail_msg("%s: got %.17g, want %.17g within %.2g", what, got, want, tolerance);
}

/* --- outputs of our own --- */
typedef struct outputs { as_outputs o; float *logits; int32_t *gold; uint8_t *sets; } outputs;
static outputs room(as_pred_kind kind, int64_t n, int k) {
    outputs v = {.logits = as_calloc((size_t)(n * k), sizeof *v.logits), .gold = as_calloc((size_t)n, sizeof *v.gold), .sets = as_calloc((size_t)(n * k), 1)};
    v.o = (as_outputs){.kind = kind, .n = n, .num_labels = k, .logits = v.logits, .gold = v.gold, .gold_sets = v.sets};
    return v;
}
static void release(outputs *v) { as_free(v->logits), as_free(v->gold), as_free(v->sets); }
/* Labels drawn from softmax(z) where the model says t z: its temperature is t. */
static outputs simulate(int64_t n, int k, double t, uint32_t stream) {
    outputs v = room(AS_PRED_CLASS, n, k);
    as_rng r = as_rng_at(7, AS_STREAM_SAMPLE, stream);
    for (int64_t i = 0; i < n; i++) {
        double w[16], sum = 0, u;
        for (int j = 0; j < k; j++) {
            const double z = 1.5 * as_rng_normal(&r);
            v.logits[i * k + j] = (float)(t * z), sum += w[j] = exp(z);
        }
        u = as_rng_double(&r) * sum;
        int y = 0;
        while (y < k - 1 && u >= w[y]) u -= w[y++];
        v.gold[i] = y;
    }
    return v;
}
static as_predictions predictions(const outputs *v, double *probs, int32_t *pred) {
    as_temperature_apply(probs, &v->o, 1.0);
    const int k = v->o.num_labels;
    for (int64_t i = 0; i < v->o.n; i++) {
        pred[i] = 0;
        for (int j = 1; j < k; j++)
            if (probs[i * k + j] > probs[i * k + pred[i]]) pred[i] = j;
    }
    return (as_predictions){.kind = AS_PRED_CLASS, .n = v->o.n, .num_labels = k, .gold = v->gold, .pred = pred, .probs = probs, .positive = -1};
}

/* --- goldens --- */
static double number(FILE *f) {
    double x;
    assert_int_equal(fscanf(f, "%lf", &x), 1);
    return x;
}
static void word(FILE *f, const char *want) {
    char got[32];
    assert_int_equal(fscanf(f, "%31s", got), 1);
    assert_string_equal(got, want);
}
static outputs read_outputs(FILE *f, bool multi, int64_t n, int k) {
    outputs v = room(multi ? AS_PRED_MULTILABEL : AS_PRED_CLASS, n, k);
    for (int64_t i = 0; i < n * k; i++) v.logits[i] = (float)number(f);
    for (int64_t i = 0; i < (multi ? n * k : n); i++) {
        const int y = (int)number(f);
        if (multi) v.sets[i] = (uint8_t)y;
        else v.gold[i] = y;
    }
    return v;
}
static void check_bins(FILE *f, const char *what, const as_reliability_bin *v, int count) {
    word(f, what);
    const int n = (int)number(f);
    int seen = 0;
    for (int b = 0; b < count; b++) seen += v[b].n > 0;
    assert_int_equal(seen, n);
    for (int i = 0; i < n; i++) {
        const int b = (int)number(f);
        assert_in_range(b, 0, count - 1);
        assert_int_equal(v[b].n, (int)number(f));
        close_to(what, v[b].confidence, number(f), 1e-12), close_to(what, v[b].accuracy, number(f), 1e-12);
        close_to(what, v[b].accuracy_low, number(f), 1e-9), close_to(what, v[b].accuracy_high, number(f), 1e-9);
    }
}
static void check_scores(FILE *f, const as_calibration *c, bool after) {
    word(f, after ? "after" : "before");
    for (int m = 0; m < AS_CALIBRATION_METRICS; m++) {
        const as_calibration_change *v = &c->change[m];
        close_to(v->metric, after ? v->after : v->before, number(f), 1e-9);
        close_to(v->metric, v->diff, v->after - v->before, 1e-12);
        assert_true(v->before_low <= v->before && v->before <= v->before_high && v->low <= v->diff && v->diff <= v->high);
        assert_true(v->p > 0 && v->p <= v->p_adjusted && v->p_adjusted <= 1);
    }
}
static void check_selective(FILE *f, const as_selective *s) {
    word(f, "aurc");
    close_to("aurc", s->aurc, number(f), 1e-12), close_to("e_aurc", s->e_aurc, number(f), 1e-12);
    assert_true(s->aurc_low < s->aurc && s->aurc < s->aurc_high && s->e_aurc_low < s->e_aurc && s->e_aurc < s->e_aurc_high);
    for (int i = 0; i < AS_COVERAGES; i++) {
        word(f, "coverage");
        assert_int_equal(s->at[i].n, (int)number(f));
        close_to("threshold", s->at[i].threshold, number(f), 1e-12), close_to("accuracy", s->at[i].accuracy, number(f), 1e-12);
        assert_true(s->at[i].low <= s->at[i].accuracy + 0.01 && s->at[i].accuracy <= s->at[i].high + 0.01);
    }
    word(f, "curve");
    for (int i = 0; i < AS_CURVE_POINTS; i++) close_to("curve", s->curve_risk[i], number(f), 1e-12);
}
static void check_conformal(FILE *f, const as_calibration *c) {
    word(f, "conformal");
    assert_int_equal(c->conformal_count, (int)number(f));
    for (int i = 0; i < c->conformal_count; i++) {
        const as_conformal *v = &c->conformal[i];
        word(f, v->score == AS_CONFORMAL_LAC ? "lac" : "aps");
        close_to("level", v->level, number(f), 0);
        close_to("threshold", v->threshold, number(f), 1e-12), close_to("coverage", v->coverage, number(f), 1e-12);
        close_to("size", v->size, number(f), 1e-12);
        assert_int_equal(v->empty, (int)number(f));
        assert_int_equal(v->single, (int)number(f));
        assert_true(v->score == AS_CONFORMAL_LAC || v->empty == 0);
        assert_true(v->low <= v->coverage && v->coverage <= v->high && v->size_low <= v->size && v->size <= v->size_high);
    }
}
static void test_calibration_agrees_with_scipy_and_numpy(void **state) {
    (void)state;
    const char *path = "tests/golden/calibration/calibration.txt";
    FILE *f = fopen(path, "r");
    if (!f) fail_msg("cannot open %s", path);
    int seen = 0, multi, n_dev, n, k;
    char name[32];
    assert_int_equal(fscanf(f, "#%*[^\n]"), 0);
    while (fscanf(f, " case %31s %d %d %d %d", name, &multi, &n_dev, &n, &k) == 5) {
        outputs dev = read_outputs(f, multi, n_dev, k), test = read_outputs(f, multi, n, k);
        as_calibration c;
        as_err err = {0};
        if (as_calibrate(&c, &dev.o, &test.o, 0.95, 1, 2, &err) != AS_OK) fail_msg("%s: %s", name, err.msg);
        word(f, "temperature");
        const double t = number(f);
        close_to("temperature", c.temperature.t, t, 1e-10 * t);
        close_to("loss before", c.temperature.loss_before, number(f), 1e-12), close_to("loss", c.temperature.loss, number(f), 1e-12);
        assert_int_equal(c.n, multi ? n * k : n);
        assert_true(c.decisions == (multi != 0) && c.items == n && c.dev_items == n_dev);
        check_scores(f, &c, false), check_scores(f, &c, true);
        check_bins(f, "width", c.before.width, AS_WIDTH_BINS + 1), check_bins(f, "mass", c.before.mass, c.before.mass_count);
        check_selective(f, &c.selective);
        check_conformal(f, &c);
        as_calibration_free(&c), release(&dev), release(&test);
        seen++;
    }
    fclose(f);
    assert_int_equal(seen, 6);
}

/* --- temperature --- */
static void test_temperature_of_a_known_distortion_is_found(void **state) {
    (void)state;
    static const double known[] = {0.3, 1.0, 2.5, 8.0};
    for (size_t i = 0; i < AS_COUNT(known); i++) {
        outputs v = simulate(20000, 5, known[i], (uint32_t)i);
        as_temperature t;
        as_err err = {0};
        assert_int_equal(as_temperature_fit(&t, &v.o, &err), AS_OK);
        close_to("temperature", t.t, known[i], 0.05 * known[i]); /* 1 / sqrt(20,000 x information) is below 1 % */
        assert_null(t.why);
        assert_true(t.loss <= t.loss_before);
        release(&v);
    }
}
static void test_temperature_keeps_the_order_of_labels(void **state) {
    (void)state;
    outputs v = simulate(500, 6, 2.0, 9);
    double *before = as_alloc(3000, sizeof *before), *after = as_alloc(3000, sizeof *after);
    as_temperature_apply(before, &v.o, 1.0), as_temperature_apply(after, &v.o, 3.3);
    for (int64_t i = 0; i < 500; i++)
        for (int a = 0; a < 6; a++)
            for (int b = 0; b < 6; b++) assert_true((before[i * 6 + a] > before[i * 6 + b]) == (after[i * 6 + a] > after[i * 6 + b]));
    as_free(before), as_free(after), release(&v);
}
static void test_temperature_without_a_minimum_stays_1_and_says_why(void **state) {
    (void)state;
    for (int kind = 0; kind < 3; kind++) { /* all right, all wrong, all alike */
        outputs v = room(AS_PRED_CLASS, 40, 3);
        for (int i = 0; i < 40; i++) {
            v.gold[i] = i % 3;
            if (kind < 2) v.logits[i * 3 + (i + kind) % 3] = 2.0f + (float)i / 10;
        }
        as_temperature t;
        as_err err = {0};
        assert_int_equal(as_temperature_fit(&t, &v.o, &err), AS_OK);
        assert_true(t.t == 1.0 && t.loss == t.loss_before);
        assert_non_null(t.why);
        assert_non_null(strstr(t.why, kind == 0 ? "too easy" : kind == 1 ? "chance" : "alike"));
        release(&v);
    }
}
static void test_temperature_of_huge_logits_does_not_overflow(void **state) {
    (void)state;
    outputs v = simulate(400, 3, 300.0, 4);
    as_temperature t;
    as_err err = {0};
    assert_int_equal(as_temperature_fit(&t, &v.o, &err), AS_OK);
    assert_true(isfinite(t.t) && t.t > 150 && t.t < 600 && isfinite(t.loss));
    release(&v);
}
static void test_calibration_refuses_numbers_and_what_is_not_finite(void **state) {
    (void)state;
    outputs v = simulate(20, 2, 1.0, 1);
    as_calibration c;
    as_err err = {0};
    as_outputs o = v.o;
    o.kind = AS_PRED_VALUE;
    assert_int_equal(as_calibrate(&c, &o, &o, 0.95, 1, 1, &err), AS_USAGE);
    assert_non_null(strstr(err.msg, "numbers"));
    o = v.o, o.n = 0;
    assert_int_equal(as_calibrate(&c, &o, &v.o, 0.95, 1, 1, &err), AS_USAGE);
    v.logits[7] = NAN;
    assert_int_equal(as_calibrate(&c, &v.o, &v.o, 0.95, 1, 1, &err), AS_NUMERIC);
    assert_non_null(strstr(err.msg, "item 4"));
    release(&v);
}

/* --- reliability --- */
static double gap(const as_reliability_bin *v, int count, int64_t n) {
    double sum = 0;
    int64_t items = 0;
    for (int b = 0; b < count; b++) {
        items += v[b].n;
        if (v[b].n > 0) sum += (double)v[b].n / (double)n * fabs(v[b].accuracy - v[b].confidence);
        else assert_true(isnan(v[b].accuracy) && isnan(v[b].accuracy_low));
    }
    assert_int_equal(items, n);
    return sum;
}
static double metric_of(const char *name, const as_predictions *p) {
    as_metric *m;
    as_err err = {0};
    if (as_metric_open(&m, name, p, &err) != AS_OK) fail_msg("%s", err.msg);
    void *scratch = as_alloc_aligned(as_metric_scratch(m) + 1, 1);
    const double v = as_metric_aggregate(m, NULL, scratch).value;
    as_free_aligned(scratch), as_metric_free(m);
    return v;
}
static void test_reliability_adds_up_to_the_calibration_error(void **state) {
    (void)state;
    static const int sizes[] = {1, 7, 10, 93, 400};
    for (size_t s = 0; s < AS_COUNT(sizes); s++)
        for (int ties = 0; ties < 3; ties++) {
            const int64_t n = sizes[s];
            outputs v = simulate(n, 4, 3.0, (uint32_t)(30 + s));
            double *probs = as_alloc((size_t)n * 4, sizeof *probs);
            int32_t *pred = as_alloc((size_t)n, sizeof *pred);
            for (int64_t i = 0; ties == 1 && i < n; i++) memcpy(v.logits + i * 4, v.logits + i % 5 * 4, 4 * sizeof *v.logits);
            for (int64_t i = 0; ties == 2 && i < n; i += 3) v.logits[i * 4] = 5000; /* a confidence of exactly 1 */
            const as_predictions p = predictions(&v, probs, pred);
            as_reliability r;
            as_err err = {0};
            assert_int_equal(as_reliability_of(&r, &p, 0.95, &err), AS_OK);
            if (ties == 2) assert_true(r.width[AS_WIDTH_BINS].n >= (n + 2) / 3);
            close_to("bins:15", gap(r.width, AS_WIDTH_BINS + 1, n), metric_of("ece(bins:15)", &p), 1e-13);
            close_to("mass:10", gap(r.mass, r.mass_count, n), metric_of("ece(mass:10)", &p), 1e-13);
            as_free(probs), as_free(pred), release(&v);
        }
}
static void test_ece_floor_is_the_error_of_calibrated_models(void **state) {
    (void)state;
    enum { N = 1000, TIMES = 200 };
    double *probs = as_alloc(N * 3, sizeof *probs), sum = 0, floor_mean = 0, p95 = 0;
    int32_t *pred = as_alloc(N, sizeof *pred);
    int above = 0;
    for (int t = 0; t < TIMES; t++) {
        outputs v = simulate(N, 3, 1.0, (uint32_t)(1000 + t));
        const as_predictions p = predictions(&v, probs, pred);
        as_err err = {0};
        if (t == 0) assert_int_equal(as_ece_floor(&floor_mean, &p95, &p, 1000, 3, &err), AS_OK);
        const double e = metric_of("ece(bins:15)", &p);
        sum += e, above += e > p95;
        release(&v);
    }
    close_to("floor", floor_mean, sum / TIMES, 0.0025);
    assert_in_range(above, 1, 25); /* of 200 at 5 % */
    as_free(probs), as_free(pred);
}

/* --- conformal sets --- */
static void test_conformal_sets_hold_what_they_promise(void **state) {
    (void)state;
    enum { DEV = 99, TEST = 1000, TIMES = 300, K = 5 };
    double *a = as_alloc(DEV * K, sizeof *a), *b = as_alloc(TEST * K, sizeof *b);
    int32_t *pa = as_alloc(DEV, sizeof *pa), *pb = as_alloc(TEST, sizeof *pb);
    const as_bootstrap_opts o = {.level = 0.95, .resamples = 20, .seed = 1, .threads = 1};
    for (int l = 0; l < 2; l++) {
        const double level = l ? 0.8 : 0.9;
        double sum[2] = {0, 0}, size[2] = {0, 0};
        int within = 0;
        for (int t = 0; t < TIMES; t++) {
            outputs dev = simulate(DEV, K, 3.0, (uint32_t)(5000 + 2 * t)), test = simulate(TEST, K, 3.0, (uint32_t)(5001 + 2 * t));
            const as_predictions p = predictions(&dev, a, pa), q = predictions(&test, b, pb);
            for (int s = 0; s < 2; s++) {
                as_conformal c;
                as_err err = {0};
                assert_int_equal(as_conformal_of(&c, s ? AS_CONFORMAL_APS : AS_CONFORMAL_LAC, &p, &q, NULL, level, &o, &err), AS_OK);
                sum[s] += c.coverage, size[s] += c.size;
                if (s == 0) within += c.coverage >= c.beta_low && c.coverage <= c.beta_high;
            }
            release(&dev), release(&test);
        }
        /* Coverage is Beta(k, n + 1 - k) with mean k / (n + 1) = level here; its mean over 300 draws is known to 4 x sd / sqrt(300). */
        const double sd = sqrt(level * (1 - level) / (DEV + 2) + level * (1 - level) / TEST) / sqrt(TIMES);
        close_to("coverage of lac", sum[0] / TIMES, level, 4 * sd);
        assert_true(sum[1] / TIMES > level - 4 * sd);
        assert_true(within >= 0.88 * TIMES); /* 95 % less what the test sample's own noise costs */
        assert_true(size[0] < size[1]);      /* lac makes the smallest sets */
    }
    as_free(a), as_free(b), as_free(pa), as_free(pb);
}
static void test_conformal_sets_of_few_dev_items_hold_everything(void **state) {
    (void)state;
    double a[8 * 3], b[40 * 3];
    int32_t pa[8], pb[40];
    outputs dev = simulate(8, 3, 1.0, 2), test = simulate(40, 3, 1.0, 3);
    const as_predictions p = predictions(&dev, a, pa), q = predictions(&test, b, pb);
    const as_bootstrap_opts o = {.level = 0.95, .seed = 1, .threads = 1};
    as_conformal c;
    as_err err = {0};
    assert_int_equal(as_conformal_of(&c, AS_CONFORMAL_LAC, &p, &q, NULL, 0.9, &o, &err), AS_OK);
    assert_true(isinf(c.threshold) && c.coverage == 1.0 && c.size == 3.0 && c.single == 0 && c.beta_low == 1.0);
    release(&dev), release(&test);
}

/* --- all of it --- */
static void test_calibration_has_the_same_bits_for_1_2_and_4_threads(void **state) {
    (void)state;
    outputs dev = simulate(60, 3, 2.0, 11), test = simulate(80, 3, 2.0, 12);
    as_calibration c[3];
    for (int i = 0; i < 3; i++) {
        as_err err = {0};
        assert_int_equal(as_calibrate(&c[i], &dev.o, &test.o, 0.9, 5, 1 << i, &err), AS_OK);
        assert_int_equal(c[i].conformal_count, 2); /* --level is 90 % here */
        assert_memory_equal(&c[i].temperature, &c[0].temperature, sizeof c[0].temperature);
        assert_memory_equal(c[i].change, c[0].change, sizeof c[0].change);
        assert_memory_equal(&c[i].selective, &c[0].selective, sizeof c[0].selective);
        assert_memory_equal(&c[i].conformal[1].size_low, &c[0].conformal[1].size_low, 2 * sizeof(double));
        assert_true(c[i].floor_mean == c[0].floor_mean && c[i].floor_p95 == c[0].floor_p95);
    }
    for (int i = 0; i < 3; i++) as_calibration_free(&c[i]);
    release(&dev), release(&test);
}
static void test_calibration_by_clusters_is_less_sure(void **state) {
    (void)state;
    outputs dev = simulate(60, 3, 2.0, 21), test = simulate(100, 3, 2.0, 22);
    int32_t cluster[100];
    as_calibration one, many;
    as_err err = {0};
    for (int i = 0; i < 100; i++) { /* each item ten times */
        cluster[i] = i / 10, test.gold[i] = test.gold[i / 10 * 10];
        memcpy(test.logits + 3 * i, test.logits + 3 * (i / 10 * 10), 3 * sizeof(float));
    }
    assert_int_equal(as_calibrate(&one, &dev.o, &test.o, 0.95, 1, 2, &err), AS_OK);
    test.o.cluster = cluster;
    assert_int_equal(as_calibrate(&many, &dev.o, &test.o, 0.95, 1, 2, &err), AS_OK);
    assert_true(one.selective.aurc == many.selective.aurc);
    assert_true(many.selective.aurc_high - many.selective.aurc_low > 1.5 * (one.selective.aurc_high - one.selective.aurc_low));
    assert_true(many.change[0].high - many.change[0].low > 1.5 * (one.change[0].high - one.change[0].low));
    as_calibration_free(&one), as_calibration_free(&many), release(&dev), release(&test);
}
static void test_calibration_without_memory_fails_cleanly(void **state) {
    (void)state;
    outputs dev = simulate(10, 2, 2.0, 31), test = simulate(12, 2, 2.0, 32);
    const int64_t before = as_mem_live_blocks();
    for (int64_t n = 1; n < 500; n++) {
        as_calibration c;
        as_err err = {0};
        as_mem_fail_after(n);
        const as_status s = as_calibrate(&c, &dev.o, &test.o, 0.95, 1, 1, &err);
        as_mem_fail_after(0);
        as_calibration_free(&c);
        assert_int_equal(as_mem_live_blocks(), before);
        if (s == AS_OK) {
            assert_true(n > 20);
            release(&dev), release(&test);
            return;
        }
        assert_int_equal(s, AS_NOMEM);
    }
    fail_msg("it never succeeded");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_calibration_agrees_with_scipy_and_numpy),
        cmocka_unit_test(test_temperature_of_a_known_distortion_is_found),
        cmocka_unit_test(test_temperature_keeps_the_order_of_labels),
        cmocka_unit_test(test_temperature_without_a_minimum_stays_1_and_says_why),
        cmocka_unit_test(test_temperature_of_huge_logits_does_not_overflow),
        cmocka_unit_test(test_calibration_refuses_numbers_and_what_is_not_finite),
        cmocka_unit_test(test_reliability_adds_up_to_the_calibration_error),
        cmocka_unit_test(test_ece_floor_is_the_error_of_calibrated_models),
        cmocka_unit_test(test_conformal_sets_hold_what_they_promise),
        cmocka_unit_test(test_conformal_sets_of_few_dev_items_hold_everything),
        cmocka_unit_test(test_calibration_has_the_same_bits_for_1_2_and_4_threads),
        cmocka_unit_test(test_calibration_by_clusters_is_less_sure),
        cmocka_unit_test(test_calibration_without_memory_fails_cleanly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
