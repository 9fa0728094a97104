#include "base/arena.h"
#include "base/check.h"
#include "base/file.h"
#include "base/mem.h"
#include "metric/metric.h"
#include "task/task.h"
#include <dirent.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define must(call, err)                                            \
    do {                                                           \
        if ((call) != AS_OK) fail_msg("%s: %s", #call, (err).msg); \
    } while (0)

/* Rows and classes as the data's own notes and benchmark papers have them (official sizes, WiC's 500 excepted), classes counted by
 * a script over the files. of_label: in the part `counted`. */
typedef struct expected {
    const char *name, *labels;
    int64_t items[AS_SPLIT_COUNT]; /* 0 = no such part */
    as_split counted;
    int64_t of_label[6];
    const char *metrics;
    bool pair;
} expected;
static const expected built_in[] = {
    {"ag_news", "World|Sports|Business|Sci/Tech", {0, 0, 7600}, AS_SPLIT_TEST, {1900, 1900, 1900, 1900}, "accuracy", false},
    {"boolq", "false|true", {0, 3270, 0}, AS_SPLIT_DEV, {1237, 2033}, "accuracy", true},
    {"cb", "entailment|contradiction|neutral", {0, 56, 0}, AS_SPLIT_DEV, {23, 28, 5}, "accuracy,f1(macro)", true},
    {"chnsenticorp", "negative|positive", {7766, 0, 0}, AS_SPLIT_TRAIN, {2444, 5322}, "accuracy", false},
    {"cola", "unacceptable|acceptable", {8551, 527, 0}, AS_SPLIT_DEV, {162, 365}, "mcc", false},
    {"cola-ood", "unacceptable|acceptable", {8551, 527, 516}, AS_SPLIT_TEST, {162, 354}, "mcc", false},
    {"mr", "negative|positive", {10662, 0, 0}, AS_SPLIT_TRAIN, {5331, 5331}, "accuracy", false},
    {"mrpc", "not_equivalent|equivalent", {4076, 0, 1725}, AS_SPLIT_TEST, {578, 1147}, "accuracy,f1", true},
    {"qnli", "entailment|not_entailment", {0, 5463, 5463}, AS_SPLIT_DEV, {2702, 2761}, "accuracy", true},
    {"rte", "entailment|not_entailment", {0, 277, 0}, AS_SPLIT_DEV, {146, 131}, "accuracy", true},
    {"sst2", "negative|positive", {6920, 872, 1821}, AS_SPLIT_DEV, {428, 444}, "accuracy", false},
    {"sst5", "very negative|negative|neutral|positive|very positive", {8544, 1101, 2210}, AS_SPLIT_TEST, {279, 633, 389, 510, 399}, "accuracy", false},
    {"stsb", "", {5749, 1500, 1379}, AS_SPLIT_TEST, {0}, "pearson,spearman", true},
    {"stsb-de", "", {5749, 1500, 1379}, AS_SPLIT_TEST, {0}, "pearson,spearman", true},
    {"stsb-zh", "", {5749, 1500, 1379}, AS_SPLIT_TEST, {0}, "pearson,spearman", true},
    {"trec", "ABBR|ENTY|DESC|HUM|LOC|NUM", {5452, 0, 500}, AS_SPLIT_TRAIN, {86, 1250, 1162, 1223, 835, 896}, "accuracy", false},
    {"waimai", "negative|positive", {11987, 0, 0}, AS_SPLIT_TRAIN, {7987, 4000}, "accuracy", false},
    {"wic", "false|true", {0, 500, 0}, AS_SPLIT_DEV, {245, 255}, "accuracy", true},
};

static int use_the_source_tree(void **state) {
    (void)state;
    return setenv("ASSAY_SHARE", "share/assay", 1);
}
static int no_leaks(void **state) {
    (void)state;
    return as_mem_live_blocks() == 0 ? 0 : -1;
}

/* ---- the built-in ones ---- */

static void check_labels(const as_data_cols *cols, const char *want) {
    as_err err = {0};
    as_labels l = {0};
    as_buf joined = {0};
    if (cols->labels) must(as_labels_parse(&l, cols->labels, &err), err);
    for (int i = 0; i < l.count; i++) as_buf_fmt(&joined, "%s%s", i ? "|" : "", l.names[i]);
    assert_string_equal(joined.p ? joined.p : "", want);
    as_buf_free(&joined), as_labels_free(&l);
}

static void check_metrics(const char *list, bool value) {
    as_err err = {0};
    const as_metric_info *rows;
    char **names;
    size_t count;
    const size_t known = as_metric_table(&rows);
    must(as_metric_list_split(list, &names, &count, &err), err);
    for (size_t i = 0; i < count; i++) {
        const size_t n = strcspn(names[i], "(");
        bool found = false;
        for (size_t k = 0; k < known && !found; k++)
            found = strlen(rows[k].name) == n && memcmp(rows[k].name, names[i], n) == 0 && (rows[k].kind == AS_PRED_VALUE) == value;
        if (!found) fail_msg("no metric %s", names[i]);
    }
    as_metric_list_free(names, count);
}

static void test_task_built_in_ones_say_what_the_benchmarks_say(void **state) {
    (void)state;
    as_arena arena;
    as_err err = {0};
    const char *const *names;
    size_t count;
    as_arena_init(&arena, 0);
    must(as_task_names(&names, &count, &arena, &err), err);
    assert_int_equal(count, AS_COUNT(built_in));
    for (size_t i = 0; i < count; i++) {
        const expected *e = &built_in[i];
        as_task t;
        as_data_cols cols;
        assert_string_equal(names[i], e->name);
        must(as_task_open(&t, e->name, &arena, &err), err);
        must(as_task_cols(&cols, &t, &err), err);
        assert_string_equal(t.name, e->name);
        assert_true(t.built_in && t.about && t.cite && t.licence && t.label && t.text);
        assert_string_equal(t.metrics, e->metrics);
        assert_int_equal(t.pair != NULL, e->pair);
        assert_int_equal(cols.kind, *e->labels ? AS_LABEL_CLASS : AS_LABEL_VALUE);
        check_labels(&cols, e->labels);
        check_metrics(t.metrics, !*e->labels);
        for (int s = 0; s < AS_SPLIT_COUNT; s++) {
            assert_int_equal(t.files[s] != NULL, e->items[s] > 0);
            assert_int_equal(t.unlabelled[s], strcmp(e->name, "qnli") == 0 && s == AS_SPLIT_TEST);
        }
    }
    as_arena_deinit(&arena);
}

static void check_split(const expected *e, const as_task *t, as_split s, as_arena *arena) {
    as_err err = {0};
    as_data_cols cols;
    as_records r;
    const char *path;
    int64_t of_label[6] = {0};
    double sum = 0;
    must(as_task_cols(&cols, t, &err), err);
    must(as_task_file(&path, t, s, NULL, arena, &err), err);
    cols.label_required = !t->unlabelled[s], cols.label_ignored = t->unlabelled[s];
    must(as_records_open(&r, path, &cols, NULL, &err), err);
    if (r.n != e->items[s]) fail_msg("%s %s: %" PRId64 " items", e->name, as_split_name(s), r.n);
    assert_int_equal(r.has_pair, e->pair);
    for (int64_t i = 0; i < r.n && r.kind == AS_LABEL_CLASS; i++) of_label[r.v[i].label]++;
    for (int64_t i = 0; i < r.n && r.kind == AS_LABEL_VALUE; i++) sum += r.v[i].value;
    if (s == e->counted && r.kind == AS_LABEL_CLASS)
        for (int k = 0; k < 6; k++)
            if (of_label[k] != e->of_label[k]) fail_msg("%s: %" PRId64 " items of label %d", e->name, of_label[k], k);
    if (s == AS_SPLIT_TEST && r.kind == AS_LABEL_VALUE) assert_float_equal(sum / 1379, 2.607917, 1e-5);
    as_records_free(&r);
}

static void test_task_built_in_ones_open_as_they_lie(void **state) {
    (void)state;
    as_arena arena;
    as_err err = {0};
    if (!getenv("ASSAY_DATA")) {
        puts("no ASSAY_DATA");
        skip();
    }
    as_arena_init(&arena, 0);
    for (size_t i = 0; i < AS_COUNT(built_in); i++) {
        as_task t;
        must(as_task_open(&t, built_in[i].name, &arena, &err), err);
        for (int s = 0; s < AS_SPLIT_COUNT; s++)
            if (t.files[s]) check_split(&built_in[i], &t, (as_split)s, &arena);
    }
    as_arena_deinit(&arena);
}

/* What is not plain: the texts that two columns make, and a class that stands as another number in its file. */
static void test_task_texts_and_labels_are_those_of_the_items(void **state) {
    (void)state;
    static const struct { const char *name; as_split split; size_t at; const char *text, *pair, *label; } cases[] = {
        {"wic", AS_SPLIT_DEV, 0, "class: An ", "Apologizing", "false"},
        {"ag_news", AS_SPLIT_TEST, 28, "talks Unions", NULL, "Business"}, /* the title's last word, the description's first */
        {"trec", AS_SPLIT_TEST, 0, "How far", NULL, "NUM"},
        {"trec", AS_SPLIT_TRAIN, 0, "How did", NULL, "DESC"},
        {"mrpc", AS_SPLIT_TEST, 0, "PCCW's", "Current", "equivalent"},
        {"qnli", AS_SPLIT_DEV, 0, "What came", "As of", "entailment"},
        {"sst5", AS_SPLIT_TRAIN, 0, "a stirring", NULL, "very positive"},
        {"cola", AS_SPLIT_DEV, 0, "The sailors", NULL, "acceptable"},
    };
    as_arena arena;
    as_err err = {0};
    if (!getenv("ASSAY_DATA")) {
        puts("no ASSAY_DATA");
        skip();
    }
    as_arena_init(&arena, 0);
    for (size_t i = 0; i < AS_COUNT(cases); i++) {
        as_task t;
        as_data_cols cols;
        as_records r;
        const char *path;
        must(as_task_open(&t, cases[i].name, &arena, &err), err);
        must(as_task_cols(&cols, &t, &err), err);
        must(as_task_file(&path, &t, cases[i].split, NULL, &arena, &err), err);
        must(as_records_open(&r, path, &cols, NULL, &err), err);
        const as_record *v = &r.v[0];
        assert_true(v->text.n > cases[i].at + strlen(cases[i].text));
        assert_memory_equal(v->text.p + cases[i].at, cases[i].text, strlen(cases[i].text));
        if (cases[i].pair) assert_memory_equal(v->pair.p, cases[i].pair, strlen(cases[i].pair));
        assert_string_equal(r.labels.names[v->label], cases[i].label);
        as_records_free(&r);
    }
    as_arena_deinit(&arena);
}

/* ---- the form ---- */

static void test_task_every_key_is_read(void **state) {
    (void)state;
    static const char yaml[] =
        "task: mine\nabout: some words\nkind: multilabel\nsource: {hub: a/b, config: c}\nfiles: {train: t.csv, test: u.csv}\n"
        "unlabelled: [test]\ntext: '{a} {b}'\npair: 2\nlabel: y\nid: k\ncluster: w\nlabels: [no, 'a,b', 7]\nvalues: '0,1,2'\n"
        "positive: 7\nmetrics: [accuracy, f1(macro)]\nsep: tab\nmax-split: 3\nno-quotes: true\nno_header: false\ncolumns: [a, b, y]\n"
        "encoding: utf-8-lossy\ncite: X\nlicence: CC0\n";
    as_arena arena;
    as_err err = {0};
    as_task t;
    as_data_cols cols;
    as_arena_init(&arena, 0);
    must(as_task_parse(&t, as_str_of(yaml), "mine.yaml", &arena, &err), err);
    must(as_task_cols(&cols, &t, &err), err);
    static const char *const want[] = {"mine", "some words", "multilabel", "a/b", "c", "t.csv", "u.csv", "{a} {b}", "2", "y", "k", "w",
                                       "[\"no\",\"a,b\",\"7\"]", "0,1,2", "7", "accuracy,f1(macro)", "\t", "a,b,y", "utf-8-lossy", "X", "CC0"};
    const char *const have[] = {t.name, t.about, t.kind, t.hub, t.config, t.files[0], t.files[2], t.text, t.pair, t.label, t.id, t.cluster,
                                t.labels, t.values, t.positive, t.metrics, t.sep, t.columns, t.encoding, t.cite, t.licence};
    for (size_t i = 0; i < AS_COUNT(want); i++) assert_string_equal(have[i], want[i]);
    assert_null(t.files[1]);
    assert_true(as_task_has(&t, AS_SPLIT_TEST, false) && !as_task_has(&t, AS_SPLIT_TEST, true) && as_task_has(&t, AS_SPLIT_TRAIN, true));
    assert_true(t.no_quotes && !t.no_header && t.max_split == 3 && !t.built_in);
    assert_true(cols.kind == AS_LABEL_MULTI && cols.table.sep == '\t' && cols.table.max_split == 3 && cols.table.encoding == AS_UTF8_LOSSY);
    as_arena_deinit(&arena);
}

static void test_task_bad_yaml_is_one_clear_error(void **state) {
    (void)state;
#define OK "task: t\nfiles: {train: a.csv}\n"
    static const struct { const char *yaml, *msg, *hint; } cases[] = {
        {"", "t.yaml: ", ""},
        {"- a\n", "t.yaml: is not a mapping", "task: my-task"},
        {"task: [\n", "t.yaml:", ""},
        {"task: t\n", "t.yaml: has no files", "which splits"},
        {"files: {train: a.csv}\n", "t.yaml: has no task: NAME", "Name the task"},
        {"task: a b\nfiles: {train: a.csv}\n", "t.yaml: task holds a character", "letters"},
        {OK "txet: a\n", "unknown key \"txet\"", "Did you mean text? The keys are task, about, kind,"},
        {OK "zzzzzzzz: a\n", "unknown key \"zzzzzzzz\"", "The keys are task,"},
        {OK "kind: tokens\n", "kind: unknown value \"tokens\"", "classify|multilabel|regress"},
        {OK "kind: [classify]\n", "t.yaml: kind is not a text", "one value"},
        {OK "encoding: utf8\n", "encoding: unknown value \"utf8\"", "latin-1"},
        {"task: t\nfiles: {tarin: a.csv}\n", "unknown key \"tarin\" in files", "Did you mean train? The keys are train, dev, test."},
        {"task: t\nfiles: a.csv\n", "t.yaml: files is not a mapping", "{key: value}"},
        {"task: t\nfiles: {train: [a.csv]}\n", "t.yaml: files: train is not a text", ""},
        {"task: t\nfiles: {train: ''}\n", "t.yaml: files: train is empty", ""},
        {OK "source: {repo: x}\n", "unknown key \"repo\" in source", "The keys are hub, config."},
        {OK "unlabelled: [test]\n", "t.yaml: unlabelled names a split without a file", ""},
        {OK "unlabelled: [tset]\n", "unknown key \"tset\" in unlabelled", "Did you mean test?"},
        {OK "sep: ab\n", "t.yaml: sep is not one character", ""},
        {OK "max_split: 0\n", "t.yaml: max_split is not a whole number", ""},
        {OK "max_split: two\n", "t.yaml: max_split is not a whole number", ""},
        {OK "no_quotes: maybe\n", "t.yaml: no_quotes is neither true nor false", ""},
        {OK "labels: []\n", "t.yaml: labels is not a list", ""},
        {OK "labels: {a: b}\n", "t.yaml: labels is not a list", ""},
        {OK "labels: [a, [b]]\n", "t.yaml: labels holds something that is not a text", ""},
        {OK "labels: [a, a]\n", "t.yaml: labels has an empty name, or one twice", ""},
        {OK "labels: [a, b]\nvalues: [1, 1]\n", "t.yaml: values has an empty name, or one twice", ""},
        {OK "labels: [a, b]\nvalues: [0, 1, 2]\n", "t.yaml: values are not as many as labels", ""},
        {OK "values: [0, 1]\n", "t.yaml: values are not as many as labels", ""},
        {OK "labels: [a, b]\nvalues: [b, a]\n", "t.yaml: values holds another label's name", ""},
        {OK "labels: [a, b]\npositive: c\n", "t.yaml: positive is not one of the labels", ""},
        {OK "kind: regress\nlabels: [a, b]\n", "t.yaml: labels with kind regress", ""},
        {OK "text: \"a\\0b\"\n", "NUL", ""},
    };
#undef OK
    for (size_t i = 0; i < AS_COUNT(cases); i++) {
        as_arena arena;
        as_err err = {0};
        as_task t;
        as_arena_init(&arena, 0);
        assert_int_equal(as_task_parse(&t, as_str_of(cases[i].yaml), "t.yaml", &arena, &err), AS_FORMAT);
        if (!strstr(err.msg, cases[i].msg) || !strstr(err.hint, cases[i].hint)) fail_msg("case %zu: %s / %s", i, err.msg, err.hint);
        as_arena_deinit(&arena);
    }
}

static void test_task_unknown_names_list_the_known(void **state) {
    (void)state;
    as_arena arena;
    as_err err = {0};
    as_task t;
    as_split s;
    as_arena_init(&arena, 0);
    assert_int_equal(as_task_open(&t, "sst3", &arena, &err), AS_USAGE);
    assert_string_equal(err.msg, "unknown task \"sst3\"");
    assert_non_null(strstr(err.hint, "Did you mean sst2? The tasks are ag_news, boolq, "));
    assert_int_equal(as_split_parse(&s, "tset", &err), AS_USAGE);
    assert_non_null(strstr(err.hint, "Did you mean test? The splits are train, dev, test."));
    assert_int_equal(as_task_open(&t, "./no-such.yaml", &arena, &err), AS_IO);
    setenv("ASSAY_SHARE", "/nowhere", 1);
    assert_int_equal(as_task_open(&t, "sst2", &arena, &err), AS_IO);
    assert_non_null(strstr(err.msg, "/nowhere/tasks"));
    use_the_source_tree(NULL);
    as_arena_deinit(&arena);
}

/* ---- where files are looked for ---- */

static void put(const char *dir, const char *name, const char *text) {
    char path[512];
    as_err err = {0};
    snprintf(path, sizeof path, "%s/%s", dir, name);
    char folder[512];
    snprintf(folder, sizeof folder, "%s", path);
    *strrchr(folder, '/') = '\0';
    must(as_dir_make(folder, &err), err);
    must(as_file_write(path, text, strlen(text), &err), err);
}

static void found_in(const as_task *t, as_arena *arena, const char *data_dir, const char *want) {
    as_err err = {0};
    const char *path = NULL;
    const as_status s = as_task_file(&path, t, AS_SPLIT_TRAIN, data_dir, arena, &err);
    if (!want) {
        assert_int_equal(s, AS_IO);
        assert_non_null(strstr(err.msg, "task mine: its train data, d/a.csv, is not there; looked for: "));
        assert_non_null(strstr(err.hint, "--data-dir DIR"));
    } else {
        must(s, err);
        if (!strstr(path, want)) fail_msg("%s, not %s", path, want);
    }
}

static void test_task_files_are_found_in_a_fixed_order(void **state) {
    (void)state;
    char dir[] = "/tmp/assay-task-XXXXXX", path[128], none[128], data[128], hub[128], command[128];
    assert_non_null(mkdtemp(dir));
    char *was = getenv("ASSAY_DATA") ? as_strdup(getenv("ASSAY_DATA")) : NULL;
    snprintf(path, sizeof path, "%s/y/mine.yaml", dir), snprintf(none, sizeof none, "%s/none", dir);
    snprintf(data, sizeof data, "%s/data", dir), snprintf(hub, sizeof hub, "%s/hub", dir);
    put(dir, "y/mine.yaml", "task: mine\nsource: {hub: who/what}\nfiles: {train: d/a.csv}\n");
    as_arena arena;
    as_err err = {0};
    as_task t;
    const char *file;
    as_arena_init(&arena, 0);
    must(as_task_open(&t, path, &arena, &err), err);
    setenv("ASSAY_DATA", data, 1), setenv("HF_HUB_CACHE", hub, 1);
    found_in(&t, &arena, NULL, NULL);
    put(dir, "hub/datasets--who--what/refs/main", "abc\n"), put(dir, "hub/datasets--who--what/snapshots/abc/a.csv", "x\n");
    found_in(&t, &arena, NULL, "/hub/datasets--who--what/snapshots/abc/a.csv");
    put(dir, "hub/datasets--who--what/snapshots/abc/d/a.csv", "x\n");
    found_in(&t, &arena, NULL, "/hub/datasets--who--what/snapshots/abc/d/a.csv");
    put(dir, "data/d/a.csv", "x\n");
    found_in(&t, &arena, NULL, "/data/d/a.csv");
    put(dir, "y/d/a.csv", "x\n");
    found_in(&t, &arena, NULL, "/y/d/a.csv");
    found_in(&t, &arena, data, "/data/d/a.csv");
    found_in(&t, &arena, none, NULL); /* the folder that was named, and no other */
    t.built_in = true;
    found_in(&t, &arena, NULL, "/data/d/a.csv");
    assert_int_equal(as_task_file(&file, &t, AS_SPLIT_DEV, NULL, &arena, &err), AS_USAGE);
    assert_string_equal(err.msg, "task mine has no dev data");
    as_arena_deinit(&arena);
    snprintf(command, sizeof command, "rm -r %s", dir);
    assert_int_equal(system(command), 0);
    unsetenv("HF_HUB_CACHE");
    if (was) setenv("ASSAY_DATA", was, 1);
    else unsetenv("ASSAY_DATA");
    as_free(was);
}

static void test_task_failing_allocations_leave_nothing(void **state) {
    (void)state;
    for (int64_t n = 1;; n++) {
        as_arena arena;
        as_err err = {0};
        as_task t;
        const char *file;
        as_arena_init(&arena, 0);
        as_mem_fail_after(n);
        as_status s = as_task_open(&t, "trec", &arena, &err);
        if (s == AS_OK) s = as_task_file(&file, &t, AS_SPLIT_TRAIN, "/nowhere", &arena, &err);
        as_mem_fail_after(0);
        as_arena_deinit(&arena);
        assert_int_equal(as_mem_live_blocks(), 0);
        if (s == AS_IO) break;
        assert_true(s == AS_NOMEM || s == AS_USAGE);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_task_built_in_ones_say_what_the_benchmarks_say, no_leaks, no_leaks),
        cmocka_unit_test_setup_teardown(test_task_built_in_ones_open_as_they_lie, no_leaks, no_leaks),
        cmocka_unit_test_setup_teardown(test_task_texts_and_labels_are_those_of_the_items, no_leaks, no_leaks),
        cmocka_unit_test_setup_teardown(test_task_every_key_is_read, no_leaks, no_leaks),
        cmocka_unit_test_setup_teardown(test_task_bad_yaml_is_one_clear_error, no_leaks, no_leaks),
        cmocka_unit_test_setup_teardown(test_task_unknown_names_list_the_known, no_leaks, no_leaks),
        cmocka_unit_test_setup_teardown(test_task_files_are_found_in_a_fixed_order, no_leaks, no_leaks),
        cmocka_unit_test_setup_teardown(test_task_failing_allocations_leave_nothing, no_leaks, no_leaks),
    };
    return cmocka_run_group_tests(tests, use_the_source_tree, NULL);
}
