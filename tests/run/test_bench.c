/* The promises of a bench on the bundled checkpoint: one verdict from the same bits whatever the threads, kills on the way or a
 * full disk; baselines that are what they say; test data that no training sees. */
#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/mem.h"
#include "run/bag_of_words.h"
#include "run/baseline.h"
#include "run/bench.h"
#include "run/stored_refs.h"
#include "stats/paired.h"

static char folder[64];
static const char *const models[] = {"assets/tiny-bert", "assets/tiny-bert"}, *const names[] = {"one", "two"};
static const as_data_cols cols = {.text = "text", .label = "label"};

static as_bench_job job(const char *out, const char *db, int threads) {
    as_bench_job b = {.job = as_job_defaults(), .recipe = as_recipe_defaults(), .models = models, .names = names, .model_count = 1, .data = "assets/sentiment.csv",
                      .dev_fraction = 0.1, .test_fraction = 0.2, .cols = &cols, .out = out, .seeds = 2, .baselines = true};
    b.job.db = db, b.job.threads = threads, b.recipe.seed = 3, b.recipe.steps = 6, b.recipe.lr = 1e-3;
    return b;
}

static char *place(const char *name) {
    char *p = as_path_join(folder, name);
    assert_non_null(p);
    return p;
}

/* Everything of a result that must not depend on threads, kills and the time of day, as text. */
static char *summary(const as_bench_result *r) {
    as_buf b = {0};
    for (size_t i = 0; i < r->decision.standing_count; i++) {
        const as_standing *s = &r->decision.standings[i];
        as_buf_fmt(&b, "%s %s %.17g %.17g %.17g %lld-%lld\n", r->systems[s->system].name, s->metric, s->value, s->low, s->high, (long long)s->rank_low, (long long)s->rank_high);
    }
    for (size_t i = 0; i < r->decision.comparison_count; i++) {
        const as_comparison *v = &r->decision.comparisons[i];
        as_buf_fmt(&b, "%d %d %.17g %.17g %.17g %.17g %.17g\n", v->a, v->b, v->diff, v->low, v->high, v->p, v->p_adjusted);
    }
    assert_false(b.failed);
    return b.p;
}

static char *bench_ok(const as_bench_job *b) {
    as_bench_result r;
    as_err err = {0};
    if (as_run_bench(b, &r, &err) != AS_OK) fail_msg("%s / %s", err.msg, err.hint);
    char *s = summary(&r);
    as_bench_result_free(&r);
    return s;
}

static void test_bench_has_the_same_bits_for_1_and_2_threads(void **state) {
    (void)state;
    char *out1 = place("t1"), *db1 = place("t1.db"), *out2 = place("t2"), *db2 = place("t2.db");
    const as_bench_job a = job(out1, db1, 1), b = job(out2, db2, 2);
    char *x = bench_ok(&a), *y = bench_ok(&b);
    assert_string_equal(x, y);
    char *again = bench_ok(&a); /* all from the store */
    assert_string_equal(x, again);
    as_free(x), as_free(y), as_free(again), as_free(out1), as_free(db1), as_free(out2), as_free(db2);
}

static void test_bench_splits_off_data_that_no_training_sees(void **state) {
    (void)state;
    char *out = place("t1"), *train = place("t1/data/train.jsonl"), *test = place("t1/data/test.jsonl");
    as_records a, b;
    const as_data_cols both = {.text = "text", .label = "label", .id = "id"};
    assert_int_equal(as_records_open(&a, train, &both, NULL, NULL), AS_OK);
    assert_int_equal(as_records_open(&b, test, &both, NULL, NULL), AS_OK);
    assert_int_equal(a.n + b.n, 747);
    for (int64_t i = 0; i < a.n; i++)
        for (int64_t k = 0; k < b.n; k++)
            if (as_str_eq(a.v[i].text, b.v[k].text)) fail_msg("in both: %.*s", (int)a.v[i].text.n, a.v[i].text.p);
    as_records_free(&a), as_records_free(&b);
    as_free(out), as_free(train), as_free(test);
}

static void child(const as_bench_job *b) {
    as_bench_result r;
    as_err err = {0};
    const as_status s = as_run_bench(b, &r, &err);
    if (s != AS_OK) fprintf(stderr, "%s\n", err.msg);
    _exit((int)s);
}

/* Nothing of a bench is left. */
static void forget(const char *out, const char *db) {
    char command[512];
    snprintf(command, sizeof command, "rm -rf '%s' '%s' '%s-wal' '%s-shm'", out, db, db, db);
    assert_int_equal(system(command), 0);
}

static void test_bench_killed_and_repeated_ends_in_the_same_verdict(void **state) {
    (void)state;
    const bool full = getenv("ASSAY_FULL") && getenv("ASSAY_FULL")[0] == '1';
    char *out0 = place("t1"), *db0 = place("t1.db"), *out = place("killed"), *db = place("killed.db");
    const as_bench_job whole = job(out0, db0, 1), b = job(out, db, 1);
    char *want = bench_ok(&whole);
    srand(5);
    /* A bench that gets to its end is looked at, and begun anew: every kill hits one that works. */
    const int most = full ? 100 : 8;
    for (int kills = 0; kills < most;) {
        int status;
        const pid_t pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) child(&b);
        usleep((useconds_t)(5000 + rand() % 300000));
        const bool ended = waitpid(pid, &status, WNOHANG) == pid;
        if (!ended) kill(pid, SIGKILL), kills++, waitpid(pid, &status, 0);
        if (ended) assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
        if (!ended && kills < most) continue;
        char *got = bench_ok(&b);
        assert_string_equal(got, want);
        as_free(got);
        forget(out, db);
    }
    as_free(want), as_free(out0), as_free(db0), as_free(out), as_free(db);
}

/* Files may not grow beyond a limit that moves up: each time the bench ends with one error, and it goes on where it was. */
static void test_bench_on_a_full_disk_fails_clearly_and_goes_on(void **state) {
    (void)state;
    char *out0 = place("t1"), *db0 = place("t1.db"), *out = place("full"), *db = place("full.db");
    const as_bench_job whole = job(out0, db0, 1), b = job(out, db, 1);
    char *want = bench_ok(&whole);
    static const rlim_t limits[] = {1 << 10, 40 << 10, 200 << 10, 2 << 20, 6 << 20};
    int failed = 0;
    for (size_t i = 0; i < AS_COUNT(limits); i++) {
        int status;
        const pid_t pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
            signal(SIGXFSZ, SIG_IGN);
            const struct rlimit limit = {limits[i], limits[i]};
            if (setrlimit(RLIMIT_FSIZE, &limit) != 0) _exit(99);
            if (!freopen("/dev/null", "w", stderr)) _exit(98);
            child(&b);
        }
        waitpid(pid, &status, 0);
        assert_true(WIFEXITED(status));
        if (WEXITSTATUS(status) != 0) assert_int_equal(WEXITSTATUS(status), AS_IO), failed++;
    }
    assert_true(failed >= 3);
    char *got = bench_ok(&b);
    assert_string_equal(got, want);
    as_free(want), as_free(got), as_free(out0), as_free(db0), as_free(out), as_free(db);
}

static void test_bench_two_models_of_one_name_and_a_search_are_told_apart(void **state) {
    (void)state;
    char *out = place("two"), *db = place("two.db");
    static const char *const same[] = {"bert", "bert"};
    as_bench_job b = job(out, db, 1);
    b.model_count = 2, b.names = same, b.seeds = 1, b.search = 3, b.baselines = false;
    as_bench_result r;
    as_err err = {0};
    if (as_run_bench(&b, &r, &err) != AS_OK) fail_msg("%s", err.msg);
    assert_string_equal(r.systems[0].name, "bert");
    assert_string_equal(r.systems[1].name, "bert-2");
    assert_int_equal(r.try_count, 10); /* three, then the better two, for each model */
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(r.tries[i].model, 0);
        assert_int_equal(r.tries[i].steps, i < 3 ? 1 : 3);
        if (i > 0 && i != 3) assert_true(r.tries[i - 1].score >= r.tries[i].score);
    }
    assert_true(r.decision.comparisons[0].diff == 0.0); /* one checkpoint, one recipe, one seed */
    assert_true(r.decision.comparisons[0].p == 1.0);
    as_refs refs = {0};
    as_store *store;
    char name[32];
    assert_int_equal(as_store_open(&store, db, NULL), AS_OK);
    snprintf(name, sizeof name, "%lld", (long long)r.run);
    assert_int_equal(as_refs_add(&refs, store, name, &err), AS_OK);
    assert_int_equal(refs.n, 2);
    snprintf(name, sizeof name, "%lld.2", (long long)r.run);
    assert_int_equal(as_refs_add(&refs, store, name, &err), AS_OK);
    assert_int_equal(refs.v[2].run, r.cells[1].eval_run);
    const char *const bad[] = {"0", "x", "1.2.3", "99", "1.", "-1", "1.1"};
    for (size_t i = 0; i < AS_COUNT(bad); i++) assert_int_equal(as_refs_add(&refs, store, bad[i], &err), AS_USAGE);
    snprintf(name, sizeof name, "%lld.3", (long long)r.run);
    assert_int_equal(as_refs_add(&refs, store, name, &err), AS_USAGE);
    as_refs_free(&refs);
    as_store_close(store);
    as_bench_result_free(&r);
    as_free(out), as_free(db);
}

static void test_bench_of_two_tasks_adjusts_over_both_and_ranks(void **state) {
    (void)state;
    char *out[2] = {place("joined-a"), place("joined-b")}, *db = place("joined.db");
    as_data_cols half = cols;
    half.limit = 300;
    as_bench_result r[2], *both[2] = {&r[0], &r[1]};
    as_bench_job jobs[2];
    as_err err = {0};
    for (int t = 0; t < 2; t++) {
        as_bench_job *b = &jobs[t];
        *b = job(out[t], db, 1);
        b->one_of_several = true, b->seeds = 1;
        if (t) b->cols = &half;
        if (as_run_bench(b, &r[t], &err) != AS_OK) fail_msg("%s", err.msg);
        assert_int_equal(r[t].run, 0); /* stored when all are there */
    }
    as_bench_ranks ranks;
    if (as_bench_join(both, 2, &ranks, &err) != AS_OK) fail_msg("%s", err.msg);
    enum { PAIRS = 6 };
    double p[2 * PAIRS], sum = 0;
    for (int t = 0; t < 2; t++) {
        assert_int_equal(r[t].decision.comparison_count, PAIRS);
        assert_true(r[t].run > 0);
        assert_non_null(r[t].decision.verdict);
        for (int i = 0; i < PAIRS; i++) p[t * PAIRS + i] = r[t].decision.comparisons[i].p;
    }
    assert_int_equal(as_adjust_holm(p, p, 2 * PAIRS, NULL), AS_OK);
    for (int t = 0; t < 2; t++)
        for (int i = 0; i < PAIRS; i++) assert_true(r[t].decision.comparisons[i].p_adjusted == p[t * PAIRS + i]);
    for (int i = 0; i < r[0].count; i++) sum += ranks.mean_rank[i];
    assert_true(fabs(sum - 10.0) < 1e-12); /* 1 + 2 + 3 + 4 */
    assert_true(ranks.friedman_p > 0 && ranks.friedman_p <= 1);
    as_bench_ranks_free(&ranks);
    for (int t = 0; t < 2; t++) as_bench_result_free(&r[t]), as_free(out[t]);
    as_free(db);
}

/* --- baselines --- */
static void records_of(as_records *r, const char *name, const char *csv, const as_data_cols *c) {
    char *path = place(name);
    as_err err = {0};
    assert_int_equal(as_file_write(path, csv, strlen(csv), NULL), AS_OK);
    if (as_records_open(r, path, c, NULL, &err) != AS_OK) fail_msg("%s", err.msg);
    as_free(path);
}

static void test_baselines_are_what_they_say(void **state) {
    (void)state;
    as_records r;
    as_baseline_cost cost;
    const as_data_cols c = {.label_required = true};
    records_of(&r, "base.csv", "text,label\nx,a\ny,b\nz,b\n", &c);
    double s[6], again[6];
    assert_int_equal(as_baseline_scores(s, AS_BASELINE_MAJORITY, &r, &r, 1, &cost, NULL), AS_OK);
    assert_true(fabs(exp(s[0]) - 1.0 / 3) < 1e-12 && fabs(exp(s[1]) - 2.0 / 3) < 1e-12);
    assert_memory_equal(s, s + 2, sizeof(double[2]));
    assert_int_equal(as_baseline_scores(s, AS_BASELINE_RANDOM, &r, &r, 1, &cost, NULL), AS_OK);
    assert_int_equal(as_baseline_scores(again, AS_BASELINE_RANDOM, &r, &r, 1, &cost, NULL), AS_OK);
    assert_memory_equal(s, again, sizeof s);
    as_records_free(&r);
    const as_data_cols v = {.label_required = true, .kind = AS_LABEL_VALUE};
    records_of(&r, "value.csv", "text,label\nx,1\ny,2\nz,6\n", &v);
    assert_int_equal(as_baseline_scores(s, AS_BASELINE_MAJORITY, &r, &r, 1, &cost, NULL), AS_OK);
    assert_true(s[0] == 3.0 && s[2] == 3.0);
    as_records_free(&r);
    const as_data_cols m = {.label_required = true, .kind = AS_LABEL_MULTI};
    records_of(&r, "multi.csv", "text,label\nx,a;b\ny,a\nz,a\n", &m);
    assert_int_equal(as_baseline_scores(s, AS_BASELINE_MAJORITY, &r, &r, 1, &cost, NULL), AS_OK);
    assert_true(s[0] > 0 && s[1] < 0);
    as_records_free(&r);
}

/* Separable by a word, in English and in Chinese (no blanks), by a pair of words, and for each kind of label. */
static void test_bag_of_words_learns_words_characters_and_pairs(void **state) {
    (void)state;
    static const struct { const char *name, *csv; as_label_kind kind; } sets[] = {
        {"en.csv", "text,label\na good film,1\na bad film,0\ngood food,1\nbad food,0\nGOOD!,1\nBad?,0\n", AS_LABEL_CLASS},
        {"zh.csv", "text,label\n这部电影很好,1\n这部电影很差,0\n菜好,1\n菜差,0\n好,1\n差,0\n", AS_LABEL_CLASS},
        {"pair.csv", "text,label\nnot good,0\ngood,1\nnot bad,1\nbad,0\nnot good at all,0\nnot bad at all,1\n", AS_LABEL_CLASS},
        {"sets.csv", "text,label\nred round,red;round\nred,red\nround,round\nnothing,\nred thing,red\n", AS_LABEL_MULTI},
        {"empty.csv", "text,label\n\"\",0\n!!,0\nword,1\nword word,1\n", AS_LABEL_CLASS},
    };
    for (size_t i = 0; i < AS_COUNT(sets); i++) {
        as_records r;
        const as_data_cols c = {.label_required = true, .kind = sets[i].kind};
        records_of(&r, sets[i].name, sets[i].csv, &c);
        const int k = r.labels.count;
        double seconds, *s = as_alloc((size_t)(r.n * k), sizeof *s), *t = as_alloc((size_t)(r.n * k), sizeof *t);
        assert_int_equal(as_bag_of_words(s, &r, &r, 1, &seconds, NULL), AS_OK);
        assert_int_equal(as_bag_of_words(t, &r, &r, 1, &seconds, NULL), AS_OK);
        assert_memory_equal(s, t, (size_t)(r.n * k) * sizeof *s);
        for (int64_t n = 0; n < r.n; n++)
            for (int j = 0; j < k; j++) {
                const bool said = sets[i].kind == AS_LABEL_MULTI ? s[n * k + j] > 0 : s[n * k + j] > s[n * k + 1 - j];
                const bool gold = sets[i].kind == AS_LABEL_MULTI ? r.v[n].set && r.v[n].set[j] : r.v[n].label == j;
                if (said != gold) fail_msg("%s: record %lld, label %d", sets[i].name, (long long)n, j);
            }
        as_free(s), as_free(t);
        as_records_free(&r);
    }
}

static int make_folder(void **state) {
    (void)state;
    strcpy(folder, "/tmp/assay-bench-XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}
static int remove_folder(void **state) {
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bench_has_the_same_bits_for_1_and_2_threads),
        cmocka_unit_test(test_bench_splits_off_data_that_no_training_sees),
        cmocka_unit_test(test_bench_killed_and_repeated_ends_in_the_same_verdict),
        cmocka_unit_test(test_bench_on_a_full_disk_fails_clearly_and_goes_on),
        cmocka_unit_test(test_bench_two_models_of_one_name_and_a_search_are_told_apart),
        cmocka_unit_test(test_bench_of_two_tasks_adjusts_over_both_and_ranks),
        cmocka_unit_test(test_baselines_are_what_they_say),
        cmocka_unit_test(test_bag_of_words_learns_words_characters_and_pairs),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
