/* test_slices.c: scores within groups of items, and which of them differ from the rest: against scipy and complete
 * enumeration (tests/golden/compare/compare.py). */
#include "base/mem.h"
#include "run/slices.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char golden[] = "tests/golden/compare/slices.txt";

static void close_to(const char *what, double got, double want, double tolerance) {
    if (!(fabs(got - want) <= tolerance)) fail_msg("%s: got %.15g, want %.15g within %.2g", what, got, want, tolerance);
}
typedef struct rows { as_slice_row *v; size_t n; } rows;
static rows slices(const as_predictions *p, const as_slicing *s, size_t n, const char *metric, int threads) {
    rows r;
    as_err err = {0};
    if (as_slices_of(&r.v, &r.n, p, s, n, metric, 0.95, 5, threads, &err) != AS_OK) fail_msg("%s", err.msg);
    return r;
}
static as_predictions classes(const int32_t *gold, const int32_t *pred, int64_t n, int labels) {
    return (as_predictions){.kind = AS_PRED_CLASS, .n = n, .num_labels = labels, .gold = gold, .pred = pred, .positive = -1};
}

/* --- p values --- */
static void test_slices_of_shares_have_fishers_exact_p(void **state) {
    (void)state;
    FILE *f = fopen(golden, "r");
    if (!f) fail_msg("cannot open %s", golden);
    char line[4096], what[128];
    int64_t right, n, all_right, all;
    double p;
    int seen = 0;
    while (fgets(line, sizeof line, f)) {
        if (sscanf(line, "fisher %ld %ld %ld %ld %lf", &right, &n, &all_right, &all, &p) != 5) continue;
        int32_t *gold = as_calloc((size_t)all, sizeof *gold), *pred = as_calloc((size_t)all, sizeof *pred);
        char **value = as_calloc((size_t)all, sizeof *value), in[] = "in", out[] = "out";
        for (int64_t i = 0; i < all; i++) value[i] = i < n ? in : out, pred[i] = i < n ? i >= right : i - n >= all_right - right;
        const as_predictions preds = classes(gold, pred, all, 2);
        const rows r = slices(&preds, &(as_slicing){"c", value}, 1, "accuracy", 2);
        assert_int_equal(r.n, 2);
        snprintf(what, sizeof what, "fisher %ld of %ld, all %ld of %ld", right, n, all_right, all);
        const double rest = (double)(all_right - right) / (double)(all - n), score = (double)right / (double)n;
        for (int k = 0; k < 2; k++) {
            const as_slice_row *w = &r.v[k];
            close_to(what, w->p, p, 1e-7 * p);
            assert_string_equal(w->test_method, "fisher exact");
            assert_string_equal(w->value, k ? "out" : "in");
            assert_int_equal(w->n, k ? all - n : n);
            close_to(what, w->score, k ? rest : score, 1e-13), close_to(what, w->rest, k ? score : rest, 1e-13), close_to(what, w->diff, w->score - w->rest, 1e-13);
            close_to(what, w->p_adjusted, fmin(1, 2 * w->p), 1e-6 * p); /* both have the same p */
            assert_true(w->worse == (w->p_adjusted < 0.05 && w->diff < 0));
            if (w->n > 1) assert_true(w->low <= w->score && w->score <= w->high);
        }
        as_slice_rows_free(r.v, r.n);
        as_free(gold), as_free(pred), as_free(value);
        seen++;
    }
    fclose(f);
    assert_int_equal(seen, 50);
}

static void test_slices_of_other_metrics_permute_membership(void **state) {
    (void)state;
    FILE *f = fopen(golden, "r");
    if (!f) fail_msg("cannot open %s", golden);
    char line[4096], metric[64];
    double score, rest, p;
    int n, size, seen = 0;
    while (fgets(line, sizeof line, f)) {
        if (sscanf(line, "exact %63s %d %d %lf %lf %lf", metric, &n, &size, &score, &rest, &p) != 6) continue;
        double y[2][32];
        int32_t id[2][32];
        for (int k = 0; k < 2; k++)
            for (int i = 0; i < n; i++) assert_int_equal(fscanf(f, "%lf", &y[k][i]), 1), id[k][i] = (int32_t)y[k][i];
        char in[] = "in", out[] = "out", *value[32];
        for (int i = 0; i < n; i++) value[i] = i < size ? in : out;
        const bool numbers = strcmp(metric, "mse") == 0;
        const as_predictions preds = numbers ? (as_predictions){.kind = AS_PRED_VALUE, .n = n, .num_labels = 1, .gold_value = y[0], .pred_value = y[1], .positive = -1} : classes(id[0], id[1], n, 2);
        const rows r = slices(&preds, &(as_slicing){"c", value}, 1, metric, 1);
        assert_int_equal(r.n, 2);
        close_to(metric, r.v[0].score, score, 1e-12), close_to(metric, r.v[0].rest, rest, 1e-12), close_to(metric, r.v[1].diff, rest - score, 1e-12);
        assert_string_equal(r.v[0].test_method, "permutation of membership");
        for (int k = 0; k < 2; k++) close_to(metric, r.v[k].p, p, 5 * sqrt(p * (1 - p) / 10000) + 1.0 / 10001);
        if (numbers) assert_true(r.v[0].worse && !r.v[1].worse); /* lower is better: the slice errs more */
        as_slice_rows_free(r.v, r.n);
        seen++;
    }
    fclose(f);
    assert_int_equal(seen, 2);
}

/* --- which slices there are --- */
enum { N = 24 };
static int32_t gold[N], pred[N];
static as_predictions some(void) {
    for (int i = 0; i < N; i++) gold[i] = i % 2, pred[i] = i % 5 == 0 ? 1 - gold[i] : gold[i];
    return classes(gold, pred, N, 2);
}
static void check_order(const char *const *given, int n, const char *const *want, int count) {
    const as_predictions p = some();
    char *value[N];
    for (int i = 0; i < N; i++) value[i] = (char *)(uintptr_t)given[i % n];
    const rows r = slices(&p, &(as_slicing){"c", value}, 1, "accuracy", 1);
    int64_t total = 0;
    for (size_t i = 0; i < r.n && (int)i < count; i++) {
        if (strcmp(r.v[i].value, want[i]) != 0) fail_msg("row %zu is \"%s\", want \"%s\"", i, r.v[i].value, want[i]);
        assert_string_equal(r.v[i].column, "c");
        total += r.v[i].n;
    }
    assert_int_equal(r.n, count);
    assert_int_equal(total, N);
    as_slice_rows_free(r.v, r.n);
}
static void test_slices_come_in_the_order_of_numbers_or_bytes(void **state) {
    (void)state;
    check_order((const char *const[]){"10", "9", "-1", "2.5"}, 4, (const char *const[]){"-1", "2.5", "9", "10"}, 4);
    check_order((const char *const[]){"100-200", "13-20", "5-12"}, 3, (const char *const[]){"5-12", "13-20", "100-200"}, 3);
    check_order((const char *const[]){"-1-5", "-20--2", "6"}, 3, (const char *const[]){"-20--2", "-1-5", "6"}, 3);
    check_order((const char *const[]){"2e-05-0.1", "1e-05", "0.2-0.3"}, 3, (const char *const[]){"1e-05", "2e-05-0.1", "0.2-0.3"}, 3);
    check_order((const char *const[]){"b", "a", "10", "9"}, 4, (const char *const[]){"10", "9", "a", "b"}, 4);
    check_order((const char *const[]){"2024-03-01", "2024-01-05", "2023-12-31"}, 3, (const char *const[]){"2023-12-31", "2024-01-05", "2024-03-01"}, 3);
    check_order((const char *const[]){"1.0", "1", "01"}, 3, (const char *const[]){"01", "1", "1.0"}, 3);
    check_order((const char *const[]){"", "x"}, 2, (const char *const[]){"", "x"}, 2);
    check_order((const char *const[]){"2", "", "10"}, 3, (const char *const[]){"", "10", "2"}, 3);
    check_order((const char *const[]){"\xE4\xB8\xAD\xE6\x96\x87", "\xE8\x8B\xB1\xE6\x96\x87", "en"}, 3,
                (const char *const[]){"en", "\xE4\xB8\xAD\xE6\x96\x87", "\xE8\x8B\xB1\xE6\x96\x87"}, 3);
}

static void test_slices_of_one_value_have_a_score_and_no_p(void **state) {
    (void)state;
    const as_predictions p = some();
    char all[] = "all", *value[N];
    for (int i = 0; i < N; i++) value[i] = all;
    const char *const metrics[] = {"accuracy", "mcc"};
    for (int k = 0; k < 2; k++) {
        const rows r = slices(&p, &(as_slicing){"c", value}, 1, metrics[k], 1);
        assert_int_equal(r.n, 1);
        assert_true(r.v[0].n == N && r.v[0].score > 0.5 && r.v[0].low < r.v[0].high && isnan(r.v[0].p) && isnan(r.v[0].p_adjusted) && isnan(r.v[0].rest) && !r.v[0].worse);
        assert_string_equal(r.v[0].test_method, "none");
        as_slice_rows_free(r.v, r.n);
    }
}

static void test_slices_where_the_metric_is_undefined_say_why(void **state) {
    (void)state;
    const as_predictions base = some();
    double probs[2 * N];
    for (int i = 0; i < N; i++) probs[2 * i] = 0.04 * i, probs[2 * i + 1] = 1 - 0.04 * i;
    as_predictions p = base;
    p.probs = probs;
    char one[] = "one class", both[] = "both", alone[] = "alone", third[] = "third", *value[N];
    for (int i = 0; i < N; i++) value[i] = i == 0 ? alone : i >= 18 ? third : i < 12 && i % 2 == 0 ? one : both;
    const rows r = slices(&p, &(as_slicing){"c", value}, 1, "roc_auc", 1);
    assert_int_equal(r.n, 4);
    const bool undefined[] = {true, false, true, false}; /* alone, both, one class, third */
    for (int k = 0; k < 4; k++) {
        assert_true(isnan(r.v[k].score) == undefined[k] && isnan(r.v[k].p) == undefined[k] && isnan(r.v[k].p_adjusted) == undefined[k]);
        assert_true((r.v[k].why != NULL) == undefined[k] && !r.v[k].worse);
    }
    as_slice_rows_free(r.v, r.n);
    /* the slice is defined, the rest is not: no p, and no crash */
    for (int i = 0; i < N; i++) value[i] = i < 20 || i % 2 ? both : one;
    const rows q = slices(&p, &(as_slicing){"c", value}, 1, "roc_auc", 1);
    assert_true(!isnan(q.v[0].score) && isnan(q.v[0].p) && isnan(q.v[0].diff) && !q.v[0].worse);
    as_slice_rows_free(q.v, q.n);
}

static void test_slices_are_adjusted_over_all_columns(void **state) {
    (void)state;
    const as_predictions p = some();
    char text[8][2] = {"a", "b", "c", "d", "e", "f", "g", "h"}, *first[N], *second[N];
    for (int i = 0; i < N; i++) first[i] = text[i % 5 == 0], second[i] = text[2 + i % 6];
    const as_slicing columns[] = {{"x", first}, {"y", second}};
    const rows r = slices(&p, columns, 2, "accuracy", 1);
    assert_int_equal(r.n, 8);
    assert_string_equal(r.v[1].column, "x");
    assert_string_equal(r.v[2].column, "y");
    assert_true(r.v[1].score == 0 && r.v[0].score == 1 && r.v[1].worse && !r.v[0].worse);
    close_to("smallest of eight", r.v[1].p_adjusted, 8 * r.v[1].p, 1e-15);
    for (size_t i = 0; i < r.n; i++) assert_true(r.v[i].p_adjusted >= r.v[i].p && r.v[i].p_adjusted <= 1);
    as_slice_rows_free(r.v, r.n);
    rows none = slices(&p, NULL, 0, "accuracy", 1);
    assert_int_equal(none.n, 0);
    as_slice_rows_free(none.v, none.n);
}

static void test_slices_have_the_same_bits_for_1_2_and_4_threads(void **state) {
    (void)state;
    const as_predictions p = some();
    char text[3][2] = {"a", "b", "c"}, *value[N];
    for (int i = 0; i < N; i++) value[i] = text[i % 3];
    const rows want = slices(&p, &(as_slicing){"c", value}, 1, "f1(macro)", 1);
    for (int threads = 2; threads <= 4; threads += 2) {
        const rows r = slices(&p, &(as_slicing){"c", value}, 1, "f1(macro)", threads);
        for (size_t i = 0; i < r.n; i++) {
            const double got[] = {r.v[i].score, r.v[i].low, r.v[i].high, r.v[i].p}, expected[] = {want.v[i].score, want.v[i].low, want.v[i].high, want.v[i].p};
            assert_memory_equal(got, expected, sizeof got);
        }
        as_slice_rows_free(r.v, r.n);
    }
    as_slice_rows_free(want.v, want.n);
}

static void test_slices_refuse_an_unknown_metric(void **state) {
    (void)state;
    const as_predictions p = some();
    as_slice_row *v;
    size_t n;
    as_err err = {0};
    assert_int_equal(as_slices_of(&v, &n, &p, NULL, 0, "acuracy", 0.95, 1, 1, &err), AS_USAGE);
    assert_true(v == NULL && n == 0);
    assert_non_null(strstr(err.msg, "acuracy"));
}

/* --- quarters --- */
static void check_quarters(const char *name, const double *x, int n, const char *const *want, int count) {
    char **q = as_slicing_quarters(x, n);
    assert_non_null(q);
    int next = 0;
    for (int i = 0; i < n; i++) { /* x is in order here: each name is seen once, in order */
        if (i > 0 && strcmp(q[i], q[i - 1]) == 0) continue;
        if (next >= count || strcmp(q[i], want[next]) != 0) fail_msg("%s: part %d is \"%s\", want \"%s\"", name, next, q[i], next < count ? want[next] : "none");
        next++;
    }
    assert_int_equal(next, count);
    as_free(q);
}
static void test_slices_quarters_keep_ties_together(void **state) {
    (void)state;
    double x[40];
    for (int i = 0; i < 40; i++) x[i] = i + 1;
    check_quarters("forty numbers", x, 40, (const char *const[]){"1-10", "11-20", "21-30", "31-40"}, 4);
    check_quarters("seven numbers", x, 7, (const char *const[]){"1-2", "3-4", "5-6", "7"}, 4);
    check_quarters("three numbers", x, 3, (const char *const[]){"1", "2", "3"}, 3);
    check_quarters("one number", x, 1, (const char *const[]){"1"}, 1);
    const double ties[] = {1, 1, 1, 1, 1, 1, 2, 3, 3, 3, 3, 4};
    check_quarters("ties", ties, 12, (const char *const[]){"1", "2-3", "4"}, 3);
    const double same[] = {7, 7, 7, 7, 7};
    check_quarters("all the same", same, 5, (const char *const[]){"7"}, 1);
    const double negative[] = {-8, -7, -6, -5, -4, -3, -2, -1};
    check_quarters("negative", negative, 8, (const char *const[]){"-8--7", "-6--5", "-4--3", "-2--1"}, 4);
    const double fractions[] = {0.125, 0.25, 0.5, 0.625, 0.75, 0.875, 1, 1.5};
    const double millions[] = {2000006, 3000009, 4000012, 50000150};
    check_quarters("millions", millions, 4, (const char *const[]){"2000006", "3000009", "4000012", "50000150"}, 4);
    check_quarters("fractions", fractions, 8, (const char *const[]){"0.125-0.25", "0.5-0.625", "0.75-0.875", "1-1.5"}, 4);
    char **none = as_slicing_quarters(x, 0);
    assert_non_null(none);
    as_free(none);
}
static void test_slices_quarters_of_large_numbers_have_names_of_their_own(void **state) {
    (void)state;
    double seconds[16], close[16];
    for (int i = 0; i < 16; i++) seconds[i] = 1700000000 + i, close[i] = 1 + i * 1e-9;
    check_quarters("seconds", seconds, 16, (const char *const[]){"1700000000-1700000003", "1700000004-1700000007", "1700000008-1700000011", "1700000012-1700000015"}, 4);
    char **q = as_slicing_quarters(close, 16);
    for (int k = 1; k < 4; k++) assert_string_not_equal(q[4 * k], q[4 * k - 1]);
    as_free(q);
}
static void test_slices_quarters_are_sorted_from_small_to_large(void **state) {
    (void)state;
    const as_predictions p = some();
    double x[N];
    for (int i = 0; i < N; i++) x[i] = 1e-6 * pow(3, (i * 7) % N);
    char **q = as_slicing_quarters(x, N);
    const rows r = slices(&p, &(as_slicing){"c", q}, 1, "accuracy", 1);
    assert_int_equal(r.n, 4);
    for (int k = 1; k < 4; k++)
        if (!(strtod(r.v[k - 1].value, NULL) < strtod(r.v[k].value, NULL))) fail_msg("%s stands before %s", r.v[k - 1].value, r.v[k].value);
    as_slice_rows_free(r.v, r.n);
    as_free(q);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_slices_of_shares_have_fishers_exact_p),
        cmocka_unit_test(test_slices_of_other_metrics_permute_membership),
        cmocka_unit_test(test_slices_come_in_the_order_of_numbers_or_bytes),
        cmocka_unit_test(test_slices_of_one_value_have_a_score_and_no_p),
        cmocka_unit_test(test_slices_where_the_metric_is_undefined_say_why),
        cmocka_unit_test(test_slices_are_adjusted_over_all_columns),
        cmocka_unit_test(test_slices_have_the_same_bits_for_1_2_and_4_threads),
        cmocka_unit_test(test_slices_refuse_an_unknown_metric),
        cmocka_unit_test(test_slices_quarters_keep_ties_together),
        cmocka_unit_test(test_slices_quarters_of_large_numbers_have_names_of_their_own),
        cmocka_unit_test(test_slices_quarters_are_sorted_from_small_to_large),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
