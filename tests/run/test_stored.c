/* test_stored.c: runs come out of the store as predictions that equal what went in, and align by id with others of the same items. */
#include "base/mem.h"
#include "run/stored.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static char folder[64];
static as_store *store;
static int enter(void **state) {
    (void)state;
    char path[96];
    snprintf(folder, sizeof folder, "/tmp/assay-stored-XXXXXX");
    if (!mkdtemp(folder)) return -1;
    snprintf(path, sizeof path, "%s/assay.db", folder);
    return as_store_open(&store, path, NULL);
}
static int leave(void **state) {
    (void)state;
    as_store_close(store);
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command) == 0 && as_mem_live_blocks() == 0 ? 0 : -1;
}

/* --- made-up runs --- */
enum { N = 7 };
typedef struct row { const char *id, *cluster, *text, *pair, *gold, *pred; uint64_t hash; double v[3]; int count; } row;
static const row classes[N] = {
    {"a", "x", "one", NULL, "neg", "pos", 11, {0.5, 2.0}, 2},   {"b", "y", "two", "second", "pos", "pos", 12, {-1.0, 1.0}, 2},
    {"c", "x", "\xE4\xB8\x89", NULL, "pos", "neg", 13, {700.0, -700.0}, 2}, {"d", "", "", NULL, "neg", "neg", 14, {0.0, 0.0}, 2},
    {"e", "", "five", NULL, "neg", "neg", 15, {3.0, 1.0}, 2},   {"f", "y", "one", NULL, "pos", "pos", 16, {1.0, 3.0}, 2},
    {"g", "z", "seven", "", "neg", "pos", 17, {-2.0, -1.5}, 2},
};
static const char class_config[] = "{\"kind\":\"classify\",\"values\":[\"neg\",\"pos\"]}";

static int64_t begin(const char *key, const char *config) {
    as_run run;
    as_err err = {0};
    if (as_store_run_begin(store, &(as_run_key){.command = "eval", .key = key, .config_json = config, .model = "m", .task = "t", .dtype = "f32", .isa = "avx2"}, true, &run, &err) != AS_OK) fail_msg("%s", err.msg);
    return run.id;
}
static void add(int64_t run, int64_t index, const row *r) {
    const as_item item = {.index = index, .id = as_str_of(r->id), .cluster = as_str_of(r->cluster), .text = as_str_of(r->text), .pair = r->pair ? as_str_of(r->pair) : (as_str){NULL, 0},
                          .gold = as_str_of(r->gold), .pred = as_str_of(r->pred), .hash = r->hash, .values = r->v, .count = r->count, .tokens = 10 + index};
    assert_int_equal(as_store_item_add(store, run, &item, NULL), AS_OK);
}
/* The rows in the order of `order` (NULL = as they are). */
static int64_t made(const char *key, const char *config, const row *rows, int n, const int *order) {
    const int64_t run = begin(key, config);
    for (int i = 0; i < n; i++) add(run, i, &rows[order ? order[i] : i]);
    assert_int_equal(as_store_run_end(store, run, AS_RUN_DONE, "{\"x\":1}", NULL), AS_OK);
    return run;
}
static as_stored opened(int64_t run) {
    as_stored s;
    as_err err = {0};
    if (as_stored_open(&s, store, run, &err) != AS_OK) fail_msg("run %d: %s", (int)run, err.msg);
    return s;
}
static void refused(int64_t run, as_status want, const char *says, const char *hint) {
    as_stored s;
    as_err err = {0};
    const as_status got = as_stored_open(&s, store, run, &err);
    if (got != want || !strstr(err.msg, says) || !strstr(err.hint, hint)) fail_msg("status %d, \"%s\", \"%s\"; want \"%s\"", got, err.msg, err.hint, says);
    assert_true(s.n == 0 && s.p.gold == NULL); /* nothing to free */
}

static void test_stored_classes_come_back_as_they_went_in(void **state) {
    (void)state;
    const int64_t run = made("k", class_config, classes, N, NULL);
    const as_str json[N] = {AS_LIT("{\"lang\":\"en\"}"), AS_LIT("{\"lang\":\"\xE4\xB8\xAD\"}"), AS_LIT("{}"), AS_LIT(""), AS_LIT("{}"), AS_LIT("{}"), AS_LIT("{}")};
    assert_int_equal(as_store_slices_put(store, run, json, N, NULL), AS_OK);
    as_stored s = opened(run);
    assert_int_equal(s.n, N);
    assert_true(s.p.n == N && s.p.kind == AS_PRED_CLASS && s.p.num_labels == 2 && s.p.positive == -1 && s.run == run);
    assert_string_equal(s.p.label_names[0], "neg");
    assert_string_equal(s.p.label_names[1], "pos");
    assert_string_equal(s.command, "eval");
    assert_string_equal(s.model, "m");
    assert_string_equal(s.config_json, class_config);
    assert_string_equal(s.result_json, "{\"x\":1}");
    for (int i = 0; i < N; i++) {
        const row *r = &classes[i];
        assert_string_equal(s.id[i], r->id);
        assert_string_equal(s.text[i], r->text);
        assert_true((s.pair[i] == NULL) == (r->pair == NULL));
        if (r->pair) assert_string_equal(s.pair[i], r->pair);
        assert_string_equal(s.gold[i], r->gold);
        assert_string_equal(s.pred[i], r->pred);
        assert_string_equal(s.cluster_name[i], r->cluster);
        assert_true(s.hash[i] == r->hash && s.tokens[i] == 10 + i);
        assert_int_equal(s.p.gold[i], strcmp(r->gold, "pos") == 0);
        assert_int_equal(s.p.pred[i], strcmp(r->pred, "pos") == 0);
        const double pos = 1 / (1 + exp(r->v[0] - r->v[1]));
        assert_true(fabs(s.p.probs[2 * i + 1] - pos) < 1e-15 && fabs(s.p.probs[2 * i] + s.p.probs[2 * i + 1] - 1) < 1e-15);
    }
    assert_string_equal(s.slices[1], "{\"lang\":\"\xE4\xB8\xAD\"}");
    assert_string_equal(s.slices[3], "");
    as_stored_free(&s);
}

static void test_stored_items_without_a_cluster_stand_alone(void **state) {
    (void)state;
    as_stored s = opened(made("k", class_config, classes, N, NULL));
    /* x y x - - y z: two items without one share nothing */
    const int32_t want[N] = {0, 1, 0, 2, 3, 1, 4};
    assert_memory_equal(s.cluster, want, sizeof want);
    as_stored_free(&s);
    row none[N];
    memcpy(none, classes, sizeof none);
    for (int i = 0; i < N; i++) none[i].cluster = "";
    s = opened(made("l", class_config, none, N, NULL));
    assert_true(s.cluster == NULL && s.cluster_name == NULL);
    as_stored_free(&s);
}

static void test_stored_sets_come_back_as_they_went_in(void **state) {
    (void)state;
    const row sets[4] = {
        {"0", "", "t", NULL, "[\"a\",\"c;d\"]", "[]", 1, {0.0, -1.0, 2.0}, 3},
        {"1", "", "t", NULL, "", "[\"b\"]", 2, {0.0, 0.0, 0.0}, 3},
        {"2", "", "t", NULL, "a;b", "b", 3, {1.0, 1.0, 1.0}, 3}, /* as older stores have them */
        {"3", "", "t", NULL, "[]", "[\"a\",\"b\",\"c;d\"]", 4, {9.0, 9.0, 9.0}, 3},
    };
    as_stored s = opened(made("k", "{\"kind\":\"multilabel\",\"values\":[\"a\",\"b\",\"c;d\"]}", sets, 4, NULL));
    const uint8_t gold[] = {1, 0, 1, 0, 0, 0, 1, 1, 0, 0, 0, 0}, pred[] = {0, 0, 0, 0, 1, 0, 0, 1, 0, 1, 1, 1};
    assert_int_equal(s.p.kind, AS_PRED_MULTILABEL);
    assert_memory_equal(s.p.gold_sets, gold, sizeof gold);
    assert_memory_equal(s.p.pred_sets, pred, sizeof pred);
    assert_true(fabs(s.p.probs[2] - 1 / (1 + exp(-2.0))) < 1e-15 && s.p.probs[3] == 0.5);
    as_stored_free(&s);
}

static void test_stored_numbers_come_back_as_they_went_in(void **state) {
    (void)state;
    const row numbers[3] = {{"0", "", "t", NULL, "1.5", "2.25", 1, {2.25}, 1}, {"1", "", "t", NULL, "-0.10000000000000001", "7", 2, {7.125}, 1}, {"2", "", "t", NULL, "1e300", "0", 3, {1e-300}, 1}};
    as_stored s = opened(made("k", "{\"kind\":\"regress\",\"values\":[\"value\"]}", numbers, 3, NULL));
    const double gold[] = {1.5, -0.1, 1e300}, pred[] = {2.25, 7.125, 1e-300};
    assert_int_equal(s.p.kind, AS_PRED_VALUE);
    assert_memory_equal(s.p.gold_value, gold, sizeof gold);
    assert_memory_equal(s.p.pred_value, pred, sizeof pred);
    assert_null(s.p.probs);
    as_stored_free(&s);
}

static void test_stored_runs_that_cannot_be_read_are_refused(void **state) {
    (void)state;
    refused(1, AS_USAGE, "no run 1 is stored", "assay eval");
    const int64_t good = made("good", class_config, classes, N, NULL);
    refused(99, AS_USAGE, "no run 99 is stored", "the newest run with items is 1");
    refused(0, AS_USAGE, "no run 0", "newest");
    refused(-1, AS_USAGE, "no run -1", "newest");
    const int64_t empty = made("empty", class_config, classes, 0, NULL);
    refused(empty, AS_USAGE, "run 2 (eval) has no scored items", "newest");
    const int64_t open = begin("open", class_config);
    add(open, 0, classes);
    assert_int_equal(as_store_flush(store, NULL), AS_OK);
    refused(open, AS_USAGE, "run 3 is not finished", "goes on");
    assert_int_equal(as_store_run_end(store, open, AS_RUN_FAILED, NULL, NULL), AS_OK);
    refused(open, AS_USAGE, "run 3 is not finished", "goes on");
    row odd = classes[0];
    odd.gold = "neutral";
    refused(made("label", class_config, &odd, 1, NULL), AS_FORMAT, "\"neutral\" is not one of its labels", "");
    odd = classes[0], odd.pred = "";
    refused(made("pred", class_config, &odd, 1, NULL), AS_FORMAT, "\"\" is not one of its labels", "");
    odd = classes[0], odd.count = 1;
    refused(made("count", class_config, &odd, 1, NULL), AS_FORMAT, "item 0 has 1 values, the run 2", "");
    odd = classes[0], odd.count = 1, odd.gold = "many";
    refused(made("number", "{\"kind\":\"regress\",\"values\":[\"value\"]}", &odd, 1, NULL), AS_FORMAT, "item 0 has no number", "");
    odd = classes[0], odd.gold = "[\"neg\"", odd.pred = "[]";
    refused(made("json", "{\"kind\":\"multilabel\",\"values\":[\"neg\",\"pos\"]}", &odd, 1, NULL), AS_FORMAT, "a stored label", "");
    refused(made("no labels", "{\"kind\":\"classify\",\"values\":[]}", classes, 1, NULL), AS_FORMAT, "its config names no labels", "");
    refused(made("no values", "{}", classes, 1, NULL), AS_FORMAT, "its config names no labels", "");
    refused(made("no config", "{\"values\":", classes, 1, NULL), AS_FORMAT, "the run's config", "");
    as_stored s = opened(good);
    as_stored_free(&s);
}

/* --- alignment --- */
static void test_stored_runs_align_by_id(void **state) {
    (void)state;
    row other[N];
    memcpy(other, classes, sizeof other);
    for (int i = 0; i < N; i++) other[i].pred = i % 3 ? "neg" : "pos", other[i].v[0] = i, other[i].v[1] = 0.5;
    const int order[N] = {6, 2, 0, 5, 1, 4, 3};
    as_stored a = opened(made("a", class_config, classes, N, NULL)), b = opened(made("b", class_config, other, N, order)), want = opened(made("c", class_config, other, N, NULL));
    assert_int_equal(as_stored_align(&a, &b, NULL), AS_OK);
    for (int i = 0; i < N; i++) {
        assert_string_equal(b.id[i], a.id[i]);
        assert_string_equal(b.text[i], a.text[i]);
        assert_true((b.pair[i] == NULL) == (a.pair[i] == NULL));
        assert_string_equal(b.gold[i], a.gold[i]);
        assert_string_equal(b.pred[i], other[i].pred);
        assert_string_equal(b.cluster_name[i], a.cluster_name[i]);
        assert_true(b.hash[i] == a.hash[i]);
        for (int k = 0; k < N; k++) assert_true((b.cluster[i] == b.cluster[k]) == (a.cluster[i] == a.cluster[k]));
        const int at = (int)(b.tokens[i] - 10);
        assert_int_equal(order[at], i);
    }
    assert_memory_equal(b.p.gold, a.p.gold, N * sizeof *a.p.gold);
    assert_memory_equal(b.p.pred, want.p.pred, N * sizeof *a.p.pred);
    assert_memory_equal(b.p.probs, want.p.probs, 2 * N * sizeof(double));
    as_stored_free(&a), as_stored_free(&b), as_stored_free(&want);
}
static void test_stored_sets_and_numbers_align_too(void **state) {
    (void)state;
    const char *config[] = {"{\"kind\":\"multilabel\",\"values\":[\"neg\",\"pos\",\"odd\"]}", "{\"kind\":\"regress\",\"values\":[\"value\"]}"};
    const row rows[2][3] = {{{"0", "", "t", NULL, "[\"neg\"]", "[]", 1, {1, 2, 3}, 3}, {"1", "", "u", NULL, "[\"pos\",\"odd\"]", "[\"odd\"]", 2, {4, 5, 6}, 3}, {"2", "", "v", NULL, "[]", "[\"neg\"]", 3, {7, 8, 9}, 3}},
                            {{"0", "", "t", NULL, "1", "", 1, {1.5}, 1}, {"1", "", "u", NULL, "2", "", 2, {2.5}, 1}, {"2", "", "v", NULL, "3", "", 3, {3.5}, 1}}};
    const int order[] = {2, 0, 1};
    for (int k = 0; k < 2; k++) {
        as_stored a = opened(made("a", config[k], rows[k], 3, NULL)), b = opened(made("b", config[k], rows[k], 3, order));
        assert_int_equal(as_stored_align(&a, &b, NULL), AS_OK);
        if (k == 0) {
            assert_memory_equal(a.p.gold_sets, b.p.gold_sets, 9);
            assert_memory_equal(a.p.pred_sets, b.p.pred_sets, 9);
            assert_memory_equal(a.p.probs, b.p.probs, 9 * sizeof(double));
        } else {
            assert_memory_equal(a.p.gold_value, b.p.gold_value, 3 * sizeof(double));
            assert_memory_equal(a.p.pred_value, b.p.pred_value, 3 * sizeof(double));
        }
        as_stored_free(&a), as_stored_free(&b);
    }
}

/* The same model with its labels in another order: three of them turned round, so that there and back differ. */
static void test_stored_labels_in_another_order_are_matched_by_name(void **state) {
    (void)state;
    static const char *const config[2][2] = {{"{\"kind\":\"classify\",\"values\":[\"a\",\"b\",\"c\"]}", "{\"kind\":\"classify\",\"values\":[\"b\",\"c\",\"a\"]}"},
                                             {"{\"kind\":\"multilabel\",\"values\":[\"a\",\"b\",\"c\"]}", "{\"kind\":\"multilabel\",\"values\":[\"b\",\"c\",\"a\"]}"}};
    const row rows[2][3] = {{{"0", "", "t", NULL, "a", "c", 1, {1, 2, 3}, 3}, {"1", "", "u", NULL, "b", "b", 2, {0, 6, 5}, 3}, {"2", "", "v", NULL, "c", "a", 3, {9, 8, 7}, 3}},
                            {{"0", "", "t", NULL, "[\"a\"]", "[]", 1, {-1, -2, -3}, 3}, {"1", "", "u", NULL, "[\"b\",\"c\"]", "[\"c\"]", 2, {-4, -5, 6}, 3}, {"2", "", "v", NULL, "[]", "[\"a\"]", 3, {7, -8, -9}, 3}}};
    for (int k = 0; k < 2; k++) {
        row turned[3];
        memcpy(turned, rows[k], sizeof turned);
        for (int i = 0; i < 3; i++) turned[i].v[0] = rows[k][i].v[1], turned[i].v[1] = rows[k][i].v[2], turned[i].v[2] = rows[k][i].v[0];
        as_stored a = opened(made("a", config[k][0], rows[k], 3, NULL)), b = opened(made("b", config[k][1], turned, 3, NULL));
        assert_string_equal(b.labels.names[0], "b");
        assert_int_equal(as_stored_align(&a, &b, NULL), AS_OK);
        for (int i = 0; i < 3; i++) assert_string_equal(b.p.label_names[i], a.p.label_names[i]);
        for (int i = 0; i < 9; i++) assert_true(fabs(a.p.probs[i] - b.p.probs[i]) < 1e-15); /* a softmax adds in the order that it meets */
        if (k == 0) {
            assert_memory_equal(a.p.gold, b.p.gold, 3 * sizeof *a.p.gold);
            assert_memory_equal(a.p.pred, b.p.pred, 3 * sizeof *a.p.pred);
        } else {
            assert_memory_equal(a.p.gold_sets, b.p.gold_sets, 9);
            assert_memory_equal(a.p.pred_sets, b.p.pred_sets, 9);
        }
        as_stored_free(&a), as_stored_free(&b);
    }
}

static void test_stored_runs_of_other_items_or_labels_are_refused(void **state) {
    (void)state;
    row more[N + 1], text[N], id[N];
    memcpy(more, classes, sizeof classes), memcpy(text, classes, sizeof text), memcpy(id, classes, sizeof id);
    more[N] = classes[0], more[N].id = "h", text[4].hash++, id[2].id = "new";
    const struct { const char *key, *config; const row *rows; int n; const char *says, *hint; } cases[] = {
        {"more", class_config, more, N + 1, "item \"h\" is only in the second", "same data"},
        {"fewer", class_config, classes, N - 1, "item \"g\" is only in the first", "same data"},
        {"text", class_config, text, N, "item \"e\" has another text or label in the second", "same data"},
        {"id", class_config, id, N, "item \"c\" is only in the first", "same data"},
        {"kind", "{\"kind\":\"multilabel\",\"values\":[\"neg\",\"pos\"]}", classes, N, "different labels", "same label names"},
    };
    as_stored a = opened(made("a", class_config, classes, N, NULL));
    for (size_t i = 0; i < AS_COUNT(cases); i++) {
        as_stored b = opened(made(cases[i].key, cases[i].config, cases[i].rows, cases[i].n, NULL));
        as_err err = {0};
        const as_status s = as_stored_align(&a, &b, &err);
        if (s != AS_USAGE || !strstr(err.msg, cases[i].says) || !strstr(err.hint, cases[i].hint)) fail_msg("%s: status %d, \"%s\", \"%s\"", cases[i].key, s, err.msg, err.hint);
        as_stored_free(&b);
    }
    as_stored_free(&a);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, enter, leave)
int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_stored_classes_come_back_as_they_went_in),
        TEST(test_stored_items_without_a_cluster_stand_alone),
        TEST(test_stored_sets_come_back_as_they_went_in),
        TEST(test_stored_numbers_come_back_as_they_went_in),
        TEST(test_stored_runs_that_cannot_be_read_are_refused),
        TEST(test_stored_runs_align_by_id),
        TEST(test_stored_sets_and_numbers_align_too),
        TEST(test_stored_labels_in_another_order_are_matched_by_name),
        TEST(test_stored_runs_of_other_items_or_labels_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
