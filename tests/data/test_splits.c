#include "data/data_check.h"

/* n records: label i by label_of, cluster and text by the given functions (NULL: none, all different). */
typedef int (*number_of)(int i);
static void make(as_records *r, int n, number_of label, number_of cluster, number_of text) {
    as_buf csv = {0};
    as_err err;
    const as_data_cols opts = {.cluster = cluster ? "cluster" : NULL};
    as_buf_str(&csv, "text,label,cluster\n");
    for (int i = 0; i < n; i++) {
        as_buf_fmt(&csv, "text %d,", text ? text(i) : i);
        as_buf_fmt(&csv, "%d,", label ? label(i) : 0);
        if (cluster && cluster(i) >= 0) as_buf_fmt(&csv, "c%d", cluster(i));
        as_buf_char(&csv, '\n');
    }
    must(read_text(r, "d.csv", csv.p, &opts, NULL, &err), err);
    assert_int_equal(r->n, n);
    as_buf_free(&csv);
}

static int skewed(int i) { return i % 10 == 0 ? 2 : i % 3 == 0; } /* three classes: 10 %, 30 %, 60 % */
static int by_seven(int i) { return i / 7; }
static int half_clustered(int i) { return i % 2 ? i / 20 : -1; }
static int every_fifth_text_repeats(int i) { return i % 5 ? i : i % 25; }
static int one(int i) { (void)i; return 1; }
static int binary(int i) { return i % 2; }

/* Both lists ascend and hold each record once. */
static void check_partition(const as_index *a, const as_index *b, int64_t n) {
    uint8_t *seen = as_calloc((size_t)n, 1);
    assert_int_equal(a->n + b->n, n);
    for (int side = 0; side < 2; side++) {
        const as_index *x = side ? b : a;
        for (int64_t i = 0; i < x->n; i++) {
            assert_true(x->v[i] >= 0 && x->v[i] < n && !seen[x->v[i]]);
            if (i) assert_true(x->v[i] > x->v[i - 1]);
            seen[x->v[i]] = 1;
        }
    }
    as_free(seen);
}

/* No text and no cluster is on both sides. */
static void check_no_leak(const as_index *a, const as_index *b, const as_records *r) {
    for (int64_t i = 0; i < a->n; i++)
        for (int64_t k = 0; k < b->n; k++) {
            const as_record *x = &r->v[a->v[i]], *y = &r->v[b->v[k]];
            if (as_str_eq(x->text, y->text) && as_str_eq(x->pair, y->pair)) fail_msg("a text is on both sides");
            if (x->cluster.n && as_str_eq(x->cluster, y->cluster)) fail_msg("a cluster is on both sides");
        }
}

static void count_classes(int64_t *count, const as_index *part, const as_records *r) {
    memset(count, 0, 8 * sizeof *count);
    for (int64_t i = 0; i < part->n; i++) count[r->v[part->v[i]].label]++;
}

static void test_splits_dev_has_each_class_in_its_share(void **state) {
    (void)state;
    static const struct { int n; double fraction; int64_t dev, lo[3], hi[3]; } cases[] = {
        {1000, 0.1, 100, {60, 30, 10}, {60, 30, 10}},
        {1000, 0.25, 250, {150, 75, 25}, {150, 75, 25}},
        {97, 0.1, 10, {5, 2, 0}, {6, 3, 1}},
        {10, 0.01, 1, {0, 0, 0}, {1, 1, 1}},
    };
    for (size_t i = 0; i < AS_COUNT(cases); i++)
        for (uint64_t seed = 1; seed <= 5; seed++) {
            as_records r;
            as_err err;
            as_index train, dev;
            int64_t count[8];
            make(&r, cases[i].n, skewed, NULL, NULL);
            must(as_split_dev(&train, &dev, &r, cases[i].fraction, seed, &err), err);
            check_partition(&train, &dev, r.n);
            assert_int_equal(dev.n, cases[i].dev);
            count_classes(count, &dev, &r);
            for (int c = 0; c < 3; c++) assert_in_range(count[c], cases[i].lo[c], cases[i].hi[c]);
            as_index_free(&train);
            as_index_free(&dev);
            as_records_free(&r);
        }
}

static void test_splits_keep_clusters_and_duplicates_on_one_side(void **state) {
    (void)state;
    static const struct { const char *name; number_of cluster, text; } cases[] = {
        {"clusters", by_seven, NULL},
        {"some clusters", half_clustered, NULL},
        {"duplicates", NULL, every_fifth_text_repeats},
        {"both, which joins clusters", half_clustered, every_fifth_text_repeats},
    };
    for (size_t i = 0; i < AS_COUNT(cases); i++) {
        as_records r;
        as_err err;
        as_index train, other;
        make(&r, 400, skewed, cases[i].cluster, cases[i].text);
        for (uint64_t seed = 1; seed <= 3; seed++) {
            must(as_split_dev(&train, &other, &r, 0.2, seed, &err), err);
            check_partition(&train, &other, r.n);
            check_no_leak(&train, &other, &r);
            assert_in_range(other.n, 40, 80);
            as_index_free(&train);
            as_index_free(&other);
            for (int fold = 0; fold < 5; fold++) {
                must(as_split_fold(&train, &other, &r, fold, 5, seed, &err), err);
                check_partition(&train, &other, r.n);
                check_no_leak(&train, &other, &r);
                as_index_free(&train);
                as_index_free(&other);
            }
        }
        as_records_free(&r);
    }
}

static void test_splits_same_text_with_another_pair_is_no_duplicate(void **state) {
    (void)state;
    as_records r;
    as_err err;
    as_index train, dev;
    const as_data_cols opts = {.pair = "pair"};
    must(read_text(&r, "d.csv", "text,pair\na,1\na,2\n", &opts, NULL, &err), err);
    must(as_split_dev(&train, &dev, &r, 0.5, 1, &err), err);
    assert_true(train.n == 1 && dev.n == 1);
    as_index_free(&train);
    as_index_free(&dev);
    as_records_free(&r);
    must(read_text(&r, "d.csv", "text,pair\na,1\na,1\n", &opts, NULL, &err), err);
    assert_int_equal(as_split_dev(&train, &dev, &r, 0.5, 1, &err), AS_USAGE);
    as_records_free(&r);
}

static void test_splits_folds_are_even_in_all_and_in_each_class(void **state) {
    (void)state;
    static const struct { int n, folds; number_of label; } cases[] = {
        {1000, 5, skewed}, {997, 10, skewed}, {23, 4, skewed}, {50, 3, one}, {11, 11, binary}, {872, 5, binary},
    };
    for (size_t i = 0; i < AS_COUNT(cases); i++) {
        as_records r;
        as_err err;
        int64_t least = INT64_MAX, most = 0, class_least[8], class_most[8] = {0}, all = 0;
        memset(class_least, 0x7f, sizeof class_least);
        make(&r, cases[i].n, cases[i].label, NULL, NULL);
        uint8_t *seen = as_calloc((size_t)r.n, 1);
        for (int fold = 0; fold < cases[i].folds; fold++) {
            as_index train, test;
            int64_t count[8];
            must(as_split_fold(&train, &test, &r, fold, cases[i].folds, 3, &err), err);
            check_partition(&train, &test, r.n);
            count_classes(count, &test, &r);
            for (int64_t k = 0; k < test.n; k++) {
                assert_false(seen[test.v[k]]); /* each record is tested once */
                seen[test.v[k]] = 1;
            }
            least = test.n < least ? test.n : least;
            most = test.n > most ? test.n : most;
            all += test.n;
            for (int c = 0; c < r.labels.count; c++) {
                class_least[c] = count[c] < class_least[c] ? count[c] : class_least[c];
                class_most[c] = count[c] > class_most[c] ? count[c] : class_most[c];
            }
            as_index_free(&train);
            as_index_free(&test);
        }
        assert_int_equal(all, r.n);
        assert_true(most - least <= 1);
        for (int c = 0; c < r.labels.count; c++) assert_true(class_most[c] - class_least[c] <= 1);
        as_free(seen);
        as_records_free(&r);
    }
}

static void test_splits_folds_of_clusters_stay_near_each_other(void **state) {
    (void)state;
    as_records r;
    as_err err;
    make(&r, 700, skewed, by_seven, NULL);
    for (int fold = 0; fold < 5; fold++) {
        as_index train, test;
        int64_t count[8];
        must(as_split_fold(&train, &test, &r, fold, 5, 9, &err), err);
        count_classes(count, &test, &r);
        assert_in_range(test.n, 126, 154);
        assert_in_range(count[2], 10, 18); /* 14 would be exact */
        as_index_free(&train);
        as_index_free(&test);
    }
    as_records_free(&r);
}

static void test_splits_depend_on_the_seed_and_on_nothing_else(void **state) {
    (void)state;
    as_records r;
    as_err err;
    as_index train[3], dev[3], test[3];
    make(&r, 200, skewed, NULL, NULL);
    static const uint64_t seeds[] = {1, 1, 2};
    for (int i = 0; i < 3; i++) {
        must(as_split_dev(&train[i], &dev[i], &r, 0.2, seeds[i], &err), err);
        as_index_free(&train[i]);
        must(as_split_fold(&train[i], &test[i], &r, 1, 5, seeds[i], &err), err);
    }
    const size_t bytes = 40 * sizeof(int64_t);
    assert_true(dev[0].n == 40 && dev[1].n == 40 && dev[2].n == 40);
    assert_true(test[0].n == 40 && test[1].n == 40 && test[2].n == 40);
    assert_memory_equal(dev[0].v, dev[1].v, bytes);
    assert_memory_equal(test[0].v, test[1].v, bytes);
    assert_memory_not_equal(dev[0].v, dev[2].v, bytes);
    assert_memory_not_equal(test[0].v, test[2].v, bytes);
    /* Pinned: a stored result's split must not move when this code changes. */
    static const int64_t pinned_dev[] = {0, 7, 9, 10, 13, 20, 22, 26, 47, 53};
    static const int64_t pinned_test[] = {0, 4, 8, 11, 13, 15, 19, 21, 24, 26};
    assert_memory_equal(dev[0].v, pinned_dev, sizeof pinned_dev);
    assert_memory_equal(test[0].v, pinned_test, sizeof pinned_test);
    for (int i = 0; i < 3; i++) {
        as_index_free(&train[i]);
        as_index_free(&dev[i]);
        as_index_free(&test[i]);
    }
    as_records_free(&r);
}

static void test_splits_refuse_what_cannot_be_cut(void **state) {
    (void)state;
    as_records r;
    as_err err;
    as_index a, b;
    make(&r, 20, binary, one, NULL); /* one cluster */
    assert_int_equal(as_split_dev(&a, &b, &r, 0.2, 1, &err), AS_USAGE);
    assert_non_null(strstr(err.msg, "d.csv: 20 records in 1 groups cannot be cut into 2 parts"));
    assert_int_equal(as_split_fold(&a, &b, &r, 0, 2, 1, &err), AS_USAGE);
    as_records_free(&r);
    make(&r, 20, binary, NULL, NULL);
    static const double fractions[] = {0, 1, -0.1, 1.5, 0.0 / 0.0};
    for (size_t i = 0; i < AS_COUNT(fractions); i++)
        assert_int_equal(as_split_dev(&a, &b, &r, fractions[i], 1, &err), AS_USAGE);
    static const struct { int fold, folds; } folds[] = {{0, 1}, {-1, 5}, {5, 5}, {0, 21}, {0, 0}};
    for (size_t i = 0; i < AS_COUNT(folds); i++)
        assert_int_equal(as_split_fold(&a, &b, &r, folds[i].fold, folds[i].folds, 1, &err), AS_USAGE);
    assert_null(a.v);
    as_records_free(&r);
}

static void test_splits_leave_a_lone_record_of_a_class_to_training(void **state) {
    (void)state;
    as_records r;
    as_err err;
    as_index train, dev;
    as_buf csv = {0};
    as_buf_str(&csv, "text,label\n");
    for (int i = 0; i < 30; i++) as_buf_fmt(&csv, "t%d,%d\n", i, i < 20 ? 0 : i);
    const as_data_cols opts = {0};
    must(read_text(&r, "d.csv", csv.p, &opts, NULL, &err), err);
    must(as_split_dev(&train, &dev, &r, 0.5, 1, &err), err);
    for (int64_t i = 0; i < dev.n; i++) assert_int_equal(r.v[dev.v[i]].label, 0);
    assert_true(dev.n >= 10);
    as_index_free(&train);
    as_index_free(&dev);
    as_records_free(&r);
    as_buf_free(&csv);
}

static void test_splits_survive_failing_allocations(void **state) {
    (void)state;
    as_records r;
    as_err err;
    make(&r, 30, skewed, half_clustered, NULL);
    const int64_t live = as_mem_live_blocks();
    for (int kind = 0; kind < 2; kind++)
        for (int64_t n = 1;; n++) {
            as_index a, b;
            as_mem_fail_after(n);
            const as_status status =
                kind ? as_split_fold(&a, &b, &r, 0, 3, 1, &err) : as_split_dev(&a, &b, &r, 0.3, 1, &err);
            as_mem_fail_after(0);
            as_index_free(&a);
            as_index_free(&b);
            assert_int_equal(as_mem_live_blocks(), live);
            if (status == AS_OK) {
                assert_true(n > 8);
                break;
            }
            assert_int_equal(status, AS_NOMEM);
        }
    as_records_free(&r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_splits_dev_has_each_class_in_its_share),
        TEST(test_splits_keep_clusters_and_duplicates_on_one_side),
        TEST(test_splits_same_text_with_another_pair_is_no_duplicate),
        TEST(test_splits_folds_are_even_in_all_and_in_each_class),
        TEST(test_splits_folds_of_clusters_stay_near_each_other),
        TEST(test_splits_depend_on_the_seed_and_on_nothing_else),
        TEST(test_splits_refuse_what_cannot_be_cut),
        TEST(test_splits_leave_a_lone_record_of_a_class_to_training),
        TEST(test_splits_survive_failing_allocations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
