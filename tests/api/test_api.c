/* assay.h as a program sees it: one error path, nothing to free twice, results that do not depend on threads. */
#include <assay.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
// cmocka needs what stands above
#include <cmocka.h>

#define MODEL "assets/tiny-bert"
#define DATA "assets/sentiment.csv"

static assay_model *open_model(int threads) {
    assay_model *m = NULL;
    assay_err err = {0};
    assay_model_opts o = assay_model_defaults();
    o.head = ASSAY_CLASSIFY, o.num_labels = 2, o.threads = threads;
    if (assay_model_open(&m, MODEL, &o, &err) != ASSAY_OK) fail_msg("%s", err.msg);
    return m;
}
static assay_data *open_data(int64_t limit) {
    assay_data *d = NULL;
    assay_err err = {0};
    assay_data_opts o = assay_data_defaults();
    o.limit = limit;
    if (assay_data_open(&d, DATA, &o, &err) != ASSAY_OK) fail_msg("%s", err.msg);
    return d;
}
static assay_train_opts short_recipe(void) {
    assay_train_opts o = assay_train_defaults();
    o.steps = 4, o.batch_size = 8, o.lr = 5e-4;
    return o;
}

static void test_api_model_open_names_what_is_wrong(void **state) {
    (void)state;
    static const struct { const char *dir, *dtype, *isa; int head, labels; assay_status want; const char *says; } cases[] = {
        {"no/such/model", NULL, NULL, ASSAY_CLASSIFY, 2, ASSAY_IO, "no/such/model"},
        {MODEL, "int4", NULL, ASSAY_CLASSIFY, 2, ASSAY_USAGE, "int4"},
        {MODEL, NULL, "sse9", ASSAY_CLASSIFY, 2, ASSAY_USAGE, "sse9"},
        {MODEL, NULL, NULL, ASSAY_CLASSIFY, 0, ASSAY_USAGE, "num_labels"},
        {MODEL, NULL, NULL, ASSAY_MULTILABEL, -1, ASSAY_USAGE, "num_labels"},
        {MODEL, NULL, NULL, 99, 2, ASSAY_USAGE, "head"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assay_err err = {0};
        assay_model *m = (assay_model *)&err;
        assay_model_opts o = assay_model_defaults();
        o.dtype = cases[i].dtype, o.isa = cases[i].isa, o.head = (assay_head)cases[i].head, o.num_labels = cases[i].labels;
        assert_int_equal(assay_model_open(&m, cases[i].dir, &o, &err), cases[i].want);
        assert_null(m);
        assert_int_equal(err.status, cases[i].want);
        if (!strstr(err.msg, cases[i].says)) fail_msg("case %zu says \"%s\"", i, err.msg);
        assert_int_equal(assay_model_open(&m, cases[i].dir, &o, NULL), cases[i].want);
    }
}

static void test_api_data_open_names_what_is_wrong(void **state) {
    (void)state;
    assay_err err = {0};
    assay_data *d = (assay_data *)&err;
    assay_data_opts o = assay_data_defaults();
    assert_int_equal(assay_data_open(&d, "nowhere.csv", NULL, &err), ASSAY_IO);
    assert_null(d);
    o.text = "sentense";
    assert_int_equal(assay_data_open(&d, DATA, &o, &err), ASSAY_USAGE);
    assert_non_null(strstr(err.msg, "sentense"));
    assert_null(d);
}

static void test_api_frees_take_null_and_empty(void **state) {
    (void)state;
    assay_scores none = {0};
    assay_scores_free(&none), assay_scores_free(&none);
    assay_model_free(NULL), assay_data_free(NULL);
    assert_null(none.v);
}

static void test_api_labels_come_from_the_data(void **state) {
    (void)state;
    assay_model *m = open_model(1);
    assay_data *d = open_data(16);
    assay_scores s = {0};
    assert_string_equal(assay_model_label(m, 0), "LABEL_0");
    assert_int_equal(assay_evaluate(m, d, "accuracy", &s, NULL), ASSAY_OK);
    assert_int_equal(s.count, 1);
    assert_true(s.v[0].low <= s.v[0].value && s.v[0].value <= s.v[0].high);
    assert_int_equal(assay_model_num_labels(m), 2);
    assert_string_equal(assay_model_label(m, 0), "negative");
    assert_string_equal(assay_model_label(m, 1), "positive");
    assert_null(assay_model_label(m, 2));
    assert_null(assay_model_label(m, -1));
    assay_scores_free(&s), assay_data_free(d), assay_model_free(m);
}

static void test_api_evaluate_refuses_unknown_metrics_and_other_label_counts(void **state) {
    (void)state;
    assay_model *m = open_model(1);
    assay_data *d = open_data(16), *other = NULL;
    assay_scores s = {0};
    assay_err err = {0};
    assert_int_equal(assay_evaluate(m, d, "acuracy", &s, &err), ASSAY_USAGE);
    assert_non_null(strstr(err.hint, "accuracy"));
    assert_int_equal(s.count, 0);
    assay_data_opts o = assay_data_defaults();
    o.labels = "negative,neutral,positive";
    assert_int_equal(assay_data_open(&other, DATA, &o, &err), ASSAY_OK);
    assert_int_equal(assay_evaluate(m, other, NULL, &s, &err), ASSAY_USAGE);
    assert_non_null(strstr(err.msg, "3 labels"));
    assay_scores_free(&s), assay_data_free(d), assay_data_free(other), assay_model_free(m);
}

static void test_api_predict_refuses_invalid_utf8(void **state) {
    (void)state;
    static const char *const texts[] = {"fine", "b\xc3("};
    double out[4];
    assay_err err = {0};
    assay_model *m = open_model(1);
    assert_int_equal(assay_predict(m, texts, 2, out, &err), ASSAY_FORMAT);
    assert_non_null(strstr(err.msg, "text 2: invalid UTF-8 at byte 2"));
    assert_int_equal(assay_predict(m, texts, 0, NULL, &err), ASSAY_OK);
    assay_model_free(m);
}

/* Train with `threads`, then what it says about two texts. */
static void trained_probabilities(int threads, const char *save, double out[4]) {
    static const char *const texts[] = {"Simply a joy.", "很好"};
    assay_model *m = open_model(threads);
    assay_data *train = open_data(48);
    const assay_train_opts recipe = short_recipe();
    assay_err err = {0};
    if (assay_train(m, train, NULL, &recipe, &err) != ASSAY_OK) fail_msg("%s", err.msg);
    if (assay_predict(m, texts, 2, out, &err) != ASSAY_OK) fail_msg("%s", err.msg);
    if (save && assay_model_save(m, save, &err) != ASSAY_OK) fail_msg("%s", err.msg);
    assay_data_free(train), assay_model_free(m);
}
static void test_api_training_does_not_depend_on_threads_and_survives_saving(void **state) {
    (void)state;
    static const char *const texts[] = {"Simply a joy.", "很好"}, *const files[] = {"config.json", "model.safetensors", "tokenizer.json",
        "tokenizer_config.json", "special_tokens_map.json", "vocab.txt"};
    double one[4], two[4], loaded[4];
    char dir[] = "/tmp/assay-api-XXXXXX", path[256];
    assert_non_null(mkdtemp(dir));
    trained_probabilities(1, dir, one);
    trained_probabilities(2, NULL, two);
    assert_memory_equal(one, two, sizeof one);
    assert_true(fabs(one[0] + one[1] - 1.0) < 1e-6);
    assay_model *m = NULL;
    assay_err err = {0};
    if (assay_model_open(&m, dir, NULL, &err) != ASSAY_OK) fail_msg("%s", err.msg);
    assert_string_equal(assay_model_label(m, 1), "positive");
    assert_int_equal(assay_predict(m, texts, 2, loaded, &err), ASSAY_OK);
    assert_memory_equal(one, loaded, sizeof one);
    assay_model_free(m);
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        snprintf(path, sizeof path, "%s/%s", dir, files[i]);
        (void)unlink(path);
    }
    (void)rmdir(dir);
}

static int stop_at_once(void *ctx, int64_t step, int64_t total, double loss, double score) {
    int *calls = ctx;
    ++*calls;
    assert_true(step >= 1 && step <= total && isfinite(loss) && isfinite(score));
    return 1;
}
static void test_api_training_stops_when_the_caller_says_so(void **state) {
    (void)state;
    int calls = 0;
    assay_err err = {0};
    assay_model *m = open_model(1);
    assay_data *d = open_data(24);
    assay_train_opts o = short_recipe();
    o.steps = 0, o.epochs = 3, o.progress = stop_at_once, o.progress_ctx = &calls;
    assert_int_equal(assay_train(m, d, d, &o, &err), ASSAY_INTERRUPTED);
    assert_int_equal(calls, 1);
    o.batch_size = 0;
    assert_int_equal(assay_train(m, d, NULL, &o, &err), ASSAY_USAGE);
    assay_data_free(d), assay_model_free(m);
}

static void count_line(void *ctx, const char *line) {
    int *lines = ctx;
    if (*line) ++*lines;
}
static void test_api_log_is_given_warnings(void **state) {
    (void)state;
    int lines = 0;
    assay_model *m = NULL;
    assay_model_opts o = assay_model_defaults();
    o.head = ASSAY_CLASSIFY, o.log = count_line, o.log_ctx = &lines;
    assert_int_equal(assay_model_open(&m, MODEL, &o, NULL), ASSAY_OK);
    assert_true(lines >= 1); /* the head is fresh */
    assay_model_free(m);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_api_model_open_names_what_is_wrong),
        cmocka_unit_test(test_api_data_open_names_what_is_wrong),
        cmocka_unit_test(test_api_frees_take_null_and_empty),
        cmocka_unit_test(test_api_labels_come_from_the_data),
        cmocka_unit_test(test_api_evaluate_refuses_unknown_metrics_and_other_label_counts),
        cmocka_unit_test(test_api_predict_refuses_invalid_utf8),
        cmocka_unit_test(test_api_training_does_not_depend_on_threads_and_survives_saving),
        cmocka_unit_test(test_api_training_stops_when_the_caller_says_so),
        cmocka_unit_test(test_api_log_is_given_warnings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
