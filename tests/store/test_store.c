#include "store/store_check.h"
#include "base/file.h"
#include "store/store_db.h"
#include <math.h>
#include <sys/stat.h>

static as_store *open_store(void) {
    as_store *s = NULL;
    as_err err = {0};
    must(as_store_open(&s, db, &err), err);
    return s;
}

static as_run begin(as_store *s, const char *key, bool again) {
    as_run_key k = sample_key;
    as_run run;
    as_err err = {0};
    k.key = key;
    must(as_store_run_begin(s, &k, again, &run, &err), err);
    return run;
}

/* A number from plain SQL over a connection of its own. */
static int64_t ask(const char *sql) {
    sqlite3 *c = NULL;
    sqlite3_stmt *st = NULL;
    assert_int_equal(sqlite3_open(db, &c), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(c, sql, -1, &st, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(st), SQLITE_ROW);
    const int64_t n = sqlite3_column_int64(st, 0);
    sqlite3_finalize(st);
    sqlite3_close(c);
    return n;
}

static void do_sql(const char *sql) {
    sqlite3 *c = NULL;
    assert_int_equal(sqlite3_open(db, &c), SQLITE_OK);
    assert_int_equal(sqlite3_exec(c, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(c);
}

/* ---- the file ---- */

static void test_store_open_creates_the_newest_version_in_wal_mode(void **state) {
    (void)state;
    as_store_close(open_store());
    assert_int_equal(ask("PRAGMA user_version"), as_store_step_count);
    assert_int_equal(ask("SELECT count(*) FROM pragma_journal_mode WHERE journal_mode = 'wal'"), 1);
    assert_int_equal(ask("SELECT count(*) FROM sqlite_master WHERE name IN ('runs', 'texts', 'items', 'item_values',"
                         " 'aggregates', 'logs')"), 6);
    as_store_close(open_store());
    as_store_close(NULL);
}

static void write_bytes(const char *bytes, size_t n) {
    as_err err = {0};
    must(as_file_write(db, bytes, n, &err), err);
}
static void make_text(void) { write_bytes("text,label\ngood,1\n", 18); }
static void make_long_text(void) {
    char bytes[8192];
    memset(bytes, 'x', sizeof bytes);
    write_bytes(bytes, sizeof bytes);
}
static void make_foreign(void) { do_sql("CREATE TABLE places (url TEXT); INSERT INTO places VALUES ('a');"); }
static void make_foreign_version(void) { do_sql("CREATE TABLE runs (id INTEGER); PRAGMA user_version = 1;"); }
static void make_newer(void) {
    as_store_close(open_store());
    do_sql("PRAGMA journal_mode = DELETE; PRAGMA user_version = 7;");
}
static void make_damaged(void) {
    as_store_close(open_store());
    do_sql("PRAGMA journal_mode = DELETE;");
    as_buf b = {0};
    as_err err = {0};
    must(as_file_read(&b, db, 0, &err), err);
    memset(b.p + 100, 0xEE, 4096 - 100); /* the schema's page */
    write_bytes(b.p, b.n);
    as_buf_free(&b);
}
static void make_folder(void) { assert_int_equal(mkdir(db, 0700), 0); }

static void test_store_open_refuses_what_is_not_a_store_and_leaves_it_alone(void **state) {
    (void)state;
    static const struct { const char *name; void (*make)(void); as_status want; const char *msg; } cases[] = {
        {"text", make_text, AS_FORMAT, "not an assay store"},
        {"long text", make_long_text, AS_FORMAT, "not an assay store"},
        {"another program's", make_foreign, AS_FORMAT, "another program"},
        {"another program's, same version", make_foreign_version, AS_FORMAT, "another program"},
        {"newer", make_newer, AS_FORMAT, "has store version 7, this assay knows versions up to 3"},
        {"damaged", make_damaged, AS_FORMAT, "damaged"},
        {"folder", make_folder, AS_IO, "cannot be opened"},
    };
    for (size_t i = 0; i < AS_COUNT(cases); i++) {
        struct stat st;
        as_store *s = NULL;
        as_err err = {0};
        as_buf before = {0}, after = {0};
        cases[i].make();
        const bool regular = stat(db, &st) == 0 && S_ISREG(st.st_mode);
        if (regular) must(as_file_read(&before, db, 0, &err), err);
        const as_status got = as_store_open(&s, db, &err);
        if (got != cases[i].want || !strstr(err.msg, cases[i].msg) || !strstr(err.msg, db) || !err.hint[0])
            fail_msg("%s: status %d, %s / %s", cases[i].name, (int)got, err.msg, err.hint);
        assert_null(s);
        if (regular) must(as_file_read(&after, db, 0, &err), err);
        assert_true(as_str_eq(as_buf_view(&before), as_buf_view(&after)));
        as_buf_free(&before);
        as_buf_free(&after);
        remove(db);
    }
}

static void test_store_open_says_when_the_folder_is_missing(void **state) {
    (void)state;
    as_store *s = NULL;
    as_err err = {0};
    char path[128];
    snprintf(path, sizeof path, "%s/none/assay.db", folder);
    assert_int_equal(as_store_open(&s, path, &err), AS_IO);
    assert_non_null(strstr(err.msg, "No such file"));
    assert_non_null(strstr(err.hint, "folder"));
}

static void test_store_migration_applies_missing_steps_once_or_not_at_all(void **state) {
    (void)state;
    as_store *s = open_store();
    as_err err = {0};
    const char *const good[] = {as_store_steps[0], as_store_steps[1], as_store_steps[2], "ALTER TABLE runs ADD COLUMN note TEXT;"};
    const char *const bad[] = {as_store_steps[0], as_store_steps[1], as_store_steps[2], "ALTER TABLE runs ADD COLUMN note TEXT; ALTER TABLE nothing;"};
    assert_int_not_equal(as_store_migrate(s->db, db, bad, 4, &err), AS_OK);
    assert_int_equal(ask("PRAGMA user_version"), as_store_step_count);
    assert_int_equal(ask("SELECT count(*) FROM pragma_table_info('runs') WHERE name = 'note'"), 0);
    must(as_store_migrate(s->db, db, good, 4, &err), err);
    must(as_store_migrate(s->db, db, good, 4, &err), err);
    assert_int_equal(ask("PRAGMA user_version"), 4);
    assert_int_equal(ask("SELECT count(*) FROM pragma_table_info('runs') WHERE name = 'note'"), 1);
    as_store_close(s);
    assert_int_equal(as_store_open(&s, db, &err), AS_FORMAT); /* this version knows fewer steps */
}

/* ---- runs ---- */

typedef struct run_list { as_run_info v[8]; char result[8][32]; int n; } run_list;
static as_status collect_run(void *ctx, const as_run_info *r, as_err *err) {
    run_list *list = ctx;
    (void)err;
    snprintf(list->result[list->n], 32, "%s", r->result_json ? r->result_json : "none");
    list->v[list->n++] = *r;
    return AS_OK;
}

static void test_store_run_begin_finds_the_newest_run_of_its_key(void **state) {
    (void)state;
    as_store *s = open_store();
    as_err err = {0};
    const as_run one = begin(s, "k1", false);
    assert_int_equal(one.id, 1);
    assert_false(one.existed);
    assert_int_equal(one.state, AS_RUN_OPEN);
    as_run same = begin(s, "k1", false); /* this process's own run goes on */
    assert_true(same.existed && same.id == 1);
    assert_int_equal(begin(s, "k2", false).id, 2);
    must(as_store_run_end(s, 1, AS_RUN_FAILED, "{}", &err), err);
    same = begin(s, "k1", false);
    assert_true(same.existed && same.id == 1 && same.state == AS_RUN_OPEN);
    must(as_store_run_end(s, 1, AS_RUN_DONE, "{\"accuracy\":0.5}", &err), err);
    same = begin(s, "k1", false);
    assert_true(same.existed && same.id == 1 && same.state == AS_RUN_DONE);
    same = begin(s, "k1", true);
    assert_true(!same.existed && same.id == 3 && same.state == AS_RUN_OPEN);
    same = begin(s, "k1", false);
    assert_true(same.existed && same.id == 3);
    assert_int_equal(as_store_run_end(s, 99, AS_RUN_DONE, "{}", &err), AS_USAGE);
    run_list list = {0};
    must(as_store_runs_each(s, collect_run, &list, &err), err);
    assert_int_equal(list.n, 3);
    assert_int_equal(list.v[0].state, AS_RUN_DONE);
    assert_string_equal(list.result[0], "{\"accuracy\":0.5}");
    assert_string_equal(list.result[1], "none");
    assert_true(list.v[0].ended >= list.v[0].started && isnan(list.v[1].ended));
    as_store_close(s);
}

static void test_store_runs_carry_their_description_and_item_count(void **state) {
    (void)state;
    as_store *s = open_store();
    as_err err = {0};
    sample_room room;
    const as_run run = begin(s, "k", false);
    for (int64_t i = 0; i < 5; i++) {
        const as_item item = sample_item(i, &room);
        must(as_store_item_add(s, run.id, &item, &err), err);
    }
    for (int ended = 0; ended < 2; ended++) {
        run_list list = {0};
        must(as_store_runs_each(s, collect_run, &list, &err), err);
        assert_int_equal(list.n, 1);
        assert_int_equal(list.v[0].items, 5);
        must(as_store_run_end(s, run.id, AS_RUN_DONE, "{}", &err), err);
    }
    assert_int_equal(ask("SELECT count(*) FROM runs WHERE key = 'k' AND command = 'eval' AND model = 'bert' AND"
                         " task = 'sst2' AND dtype = 'f32' AND isa = 'avx2' AND items = 5 AND owner IS NULL"), 1);
    as_store_close(s);
}

/* ---- items ---- */

static void test_store_items_come_back_as_they_went_in_by_index(void **state) {
    (void)state;
    enum { N = 500 };
    as_store *s = open_store();
    as_err err = {0};
    sample_room room;
    as_buf want = {0};
    const as_run run = begin(s, "k", false), other = begin(s, "other", false);
    for (int64_t i = 0; i < N; i++) {
        as_item item = sample_item(i, &room);
        must(dump_row(&want, &item, &err), err);
        item = sample_item((i * 137) % N, &room); /* a permutation: 137 and 500 have no common divisor */
        must(as_store_item_add(s, run.id, &item, &err), err);
        if (i % 100 == 0) must(as_store_item_add(s, other.id, &item, &err), err);
    }
    as_buf got = dump_items(s, run.id);
    assert_string_equal(got.p, want.p);
    as_store_close(s);
    s = open_store();
    as_buf again = dump_items(s, run.id);
    assert_string_equal(again.p, want.p);
    assert_int_equal(ask("SELECT count(*) - count(DISTINCT content) FROM texts"), 0);
    assert_int_equal(ask("SELECT count(*) FROM item_rows WHERE run = 1 AND text LIKE 'a sentence%' AND"
                         " (gold = 'positive' OR gold LIKE 'an answer%')"), N);
    as_store_close(s);
    as_buf_free(&want);
    as_buf_free(&got);
    as_buf_free(&again);
}

static as_status keep_item(void *ctx, const as_item *item, as_err *err) {
    (void)err;
    as_buf *b = ctx;
    as_buf_fmt(b, "%zu:", item->id.n);
    as_buf_add(b, item->text.p, item->text.n);
    as_buf_fmt(b, "|%s|%zu|%zu|", item->pair.p ? "pair" : "none", item->gold.n, item->pred.n);
    for (int i = 0; i < item->count; i++) {
        uint64_t u;
        memcpy(&u, &item->values[i], 8);
        as_buf_fmt(b, "%016" PRIx64 " ", u);
    }
    return AS_OK;
}

static void test_store_items_keep_hard_bytes_and_numbers(void **state) {
    (void)state;
    as_store *s = open_store();
    as_err err = {0};
    as_buf got = {0};
    const as_run run = begin(s, "k", false);
    const double values[] = {NAN, -INFINITY, -0.0, 0x1p-1074};
    const as_item item = {.index = 0, .id = AS_LIT(""), .text = {"a\0b", 3}, .pair = AS_LIT(""), .values = values,
                          .count = 4, .hash = UINT64_MAX};
    must(as_store_item_add(s, run.id, &item, &err), err);
    must(as_store_items_each(s, run.id, keep_item, &got, &err), err);
    static const char want[] = "0:a\0b|pair|0|0|7ff8000000000000 fff0000000000000 8000000000000000 0000000000000001 ";
    assert_int_equal(got.n, sizeof want - 1);
    assert_memory_equal(got.p, want, got.n);
    as_buf_free(&got);
    as_store_close(s);
}

static void test_store_item_added_again_replaces(void **state) {
    (void)state;
    as_store *s = open_store();
    as_err err = {0};
    const as_run run = begin(s, "k", false);
    const double values[] = {1.0, 2.0, 3.0};
    for (int turn = 0; turn < 2; turn++) /* within one flush, and over two */
        for (int count = 3; count >= 1; count--) {
            const as_item item = {.index = 4, .text = AS_LIT("t"), .values = values, .count = count};
            must(as_store_item_add(s, run.id, &item, &err), err);
            if (turn) must(as_store_flush(s, &err), err);
        }
    assert_int_equal(ask("SELECT count(*) FROM items"), 1);
    assert_int_equal(ask("SELECT length(numbers) FROM item_values"), 8);
    as_store_close(s);
}

static void test_store_items_done_marks_stored_items_only(void **state) {
    (void)state;
    as_store *s = open_store();
    as_err err = {0};
    sample_room room;
    const as_run run = begin(s, "k", false), other = begin(s, "other", false);
    static const int64_t stored[] = {0, 3, 4, 9, 10, 200};
    for (size_t i = 0; i < AS_COUNT(stored); i++) {
        const as_item item = sample_item(stored[i], &room);
        must(as_store_item_add(s, run.id, &item, &err), err);
    }
    uint8_t done[11];
    memset(done, 7, sizeof done);
    must(as_store_items_done(s, run.id, done, 10, &err), err);
    assert_memory_equal(done, ((const uint8_t[]){1, 0, 0, 1, 1, 0, 0, 0, 0, 1, 7}), 11);
    must(as_store_items_done(s, other.id, done, 10, &err), err);
    assert_memory_equal(done, ((const uint8_t[]){0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7}), 11);
    must(as_store_items_done(s, run.id, NULL, 0, &err), err);
    as_store_close(s);
}

static void test_store_commits_by_itself_after_100_ms_of_adds(void **state) {
    (void)state;
    as_store *s = open_store();
    as_err err = {0};
    sample_room room;
    const as_run run = begin(s, "k", false);
    as_item item = sample_item(0, &room);
    must(as_store_item_add(s, run.id, &item, &err), err);
    assert_int_equal(ask("SELECT count(*) FROM items"), 0);
    usleep(110000);
    item = sample_item(1, &room);
    must(as_store_item_add(s, run.id, &item, &err), err);
    assert_int_equal(ask("SELECT count(*) FROM items"), 2);
    item = sample_item(2, &room);
    must(as_store_item_add(s, run.id, &item, &err), err);
    as_store_close(s); /* flushes */
    assert_int_equal(ask("SELECT count(*) FROM items"), 3);
}

static void test_store_flush_is_all_or_nothing_and_keeps_what_failed(void **state) {
    (void)state;
    as_store *s = open_store();
    as_err err = {0};
    sample_room room;
    const as_run run = begin(s, "k", false);
    do_sql("CREATE TRIGGER refuse BEFORE INSERT ON items WHEN NEW.item = 7 BEGIN SELECT RAISE(ABORT, 'refused'); END;");
    for (int64_t i = 0; i < 10; i++) {
        const as_item item = sample_item(i, &room);
        must(as_store_item_add(s, run.id, &item, &err), err);
    }
    for (int turn = 0; turn < 2; turn++) {
        assert_int_equal(as_store_flush(s, &err), AS_IO);
        assert_non_null(strstr(err.msg, "refused"));
        assert_int_equal(ask("SELECT count(*) FROM items"), 0);
        assert_int_equal(ask("SELECT count(*) FROM texts"), 0);
    }
    do_sql("DROP TRIGGER refuse;");
    must(as_store_flush(s, &err), err);
    assert_int_equal(ask("SELECT count(*) FROM items"), 10);
    as_store_close(s);
}

static as_status stop_at_3(void *ctx, const as_item *item, as_err *err) {
    ++*(int *)ctx;
    return item->index < 3 ? AS_OK : as_fail(err, AS_INTERRUPTED, "enough");
}

static void test_store_callback_status_ends_the_loop(void **state) {
    (void)state;
    as_store *s = open_store();
    as_err err = {0};
    sample_room room;
    const as_run run = begin(s, "k", false);
    for (int64_t i = 0; i < 6; i++) {
        const as_item item = sample_item(i, &room);
        must(as_store_item_add(s, run.id, &item, &err), err);
    }
    int calls = 0;
    assert_int_equal(as_store_items_each(s, run.id, stop_at_3, &calls, &err), AS_INTERRUPTED);
    assert_int_equal(calls, 4);
    assert_string_equal(err.msg, "enough");
    as_store_close(s);
}

static as_status show_slices(void *ctx, const as_item *item, as_err *err) {
    (void)err;
    as_buf_fmt(ctx, "%" PRId64 "%.*s ", item->index, (int)item->slices.n, item->slices.p ? item->slices.p : "");
    return AS_OK;
}

static void test_store_of_version_1_is_brought_up_to_date_and_keeps_its_items(void **state) {
    (void)state;
    as_store *s = open_store();
    as_err err = {0};
    sample_room room;
    as_run run = begin(s, "k", false);
    for (int64_t i = 0; i < 2; i++) {
        const as_item item = sample_item(i, &room);
        must(as_store_item_add(s, run.id, &item, &err), err);
    }
    as_store_close(s);
    do_sql("DROP TABLE analyses; ALTER TABLE items DROP COLUMN slices; PRAGMA user_version = 1;"); /* as version 1 wrote it */
    s = open_store();
    assert_int_equal(ask("PRAGMA user_version"), as_store_step_count);
    as_buf got = {0};
    must(as_store_items_each(s, run.id, show_slices, &got, &err), err);
    assert_string_equal(got.p, "0 1 ");
    const as_str json[] = {AS_LIT("{\"lang\":\"en\"}"), AS_LIT("{\"lang\":\"zh\"}")};
    must(as_store_slices_put(s, run.id, json, 2, &err), err);
    as_buf_clear(&got);
    must(as_store_items_each(s, run.id, show_slices, &got, &err), err);
    assert_string_equal(got.p, "0{\"lang\":\"en\"} 1{\"lang\":\"zh\"} ");
    as_buf_free(&got);
    as_store_close(s);
}

static void test_store_remove_takes_a_run_and_only_its_own_texts(void **state) {
    (void)state;
    as_store *s = open_store();
    as_err err = {0};
    sample_room room;
    const as_run a = begin(s, "a", false), b = begin(s, "b", false);
    for (int64_t i = 0; i < 6; i++) { /* items 0 .. 3 are a's, 2 .. 5 b's */
        const as_item item = sample_item(i, &room);
        if (i < 4) must(as_store_item_add(s, a.id, &item, &err), err);
        if (i >= 2) must(as_store_item_add(s, b.id, &item, &err), err);
    }
    must(as_store_log_put(s, a.id, 1, "{}", &err), err);
    must(as_store_flush(s, &err), err);
    const int64_t before = ask("SELECT count(*) FROM texts");
    must(as_store_run_remove(s, a.id, &err), err);
    assert_int_equal(ask("SELECT count(*) FROM runs"), 1);
    assert_int_equal(ask("SELECT count(*) FROM items"), 4);
    assert_int_equal(ask("SELECT count(*) FROM item_values"), 3); /* item 4 has no values */
    assert_int_equal(ask("SELECT count(*) FROM logs"), 0);
    assert_true(ask("SELECT count(*) FROM texts") < before);
    assert_int_equal(ask("SELECT count(*) FROM item_rows WHERE text IS NOT NULL"), 4);
    assert_int_equal(as_store_run_remove(s, a.id, &err), AS_USAGE);
    assert_non_null(strstr(err.msg, "no run"));
    must(as_store_run_remove(s, b.id, &err), err);
    assert_int_equal(ask("SELECT count(*) FROM texts"), 0);
    as_store_close(s);
}

/* ---- aggregates and logs ---- */

static as_status show_aggregate(void *ctx, const as_aggregate *a, as_err *err) {
    (void)err;
    as_buf_fmt(ctx, "%s %s %s %s %g %g %g %g %" PRId64 "\n", a->metric, a->signature, a->method ? a->method : "-",
               a->why ? a->why : "-", a->value, a->low, a->high, a->level, a->n);
    return AS_OK;
}

static void test_store_aggregates_keep_order_and_nan(void **state) {
    (void)state;
    as_store *s = open_store();
    as_err err = {0};
    as_buf got = {0};
    const as_run run = begin(s, "k", false);
    const as_aggregate a[] = {
        {.metric = "accuracy", .signature = "accuracy", .method = "wilson", .value = .25, .low = .1, .high = .5,
         .level = 95, .n = 8},
        {.metric = "auc", .signature = "auc(macro)", .why = "one class", .value = NAN, .low = NAN, .high = NAN,
         .level = 95, .n = 8},
        {.metric = "accuracy", .signature = "accuracy", .method = "bca", .value = .5, .low = -INFINITY, .high = .75,
         .level = 90, .n = 9},
    };
    for (size_t i = 0; i < AS_COUNT(a); i++) must(as_store_aggregate_put(s, run.id, &a[i], &err), err);
    must(as_store_aggregates_each(s, run.id, show_aggregate, &got, &err), err);
    assert_string_equal(got.p, "accuracy accuracy bca - 0.5 -inf 0.75 90 9\n"
                               "auc auc(macro) - one class nan nan nan 95 8\n");
    as_buf_free(&got);
    as_store_close(s);
}

static as_status show_log(void *ctx, int64_t step, const char *json, as_err *err) {
    (void)err;
    as_buf_fmt(ctx, "%" PRId64 "%s ", step, json);
    return AS_OK;
}

static void test_store_logs_are_ordered_and_cut_behind_a_checkpoint(void **state) {
    (void)state;
    as_store *s = open_store();
    as_err err = {0};
    as_buf got = {0};
    const as_run run = begin(s, "k", false), other = begin(s, "other", false);
    must(as_store_log_put(s, other.id, 3, "{\"o\":3}", &err), err);
    static const char *const lines[] = {"{\"a\":1}", "{\"b\":1}", "{\"a\":2}", "{\"b\":2}"};
    for (int i = 0; i < 4; i++) must(as_store_log_put(s, run.id, 1 + i / 2, lines[i], &err), err);
    must(as_store_log_put(s, run.id, 3, "{\"a\":3}", &err), err);
    must(as_store_logs_cut(s, run.id, 2, &err), err);
    must(as_store_log_put(s, run.id, 3, "{\"again\":3}", &err), err);
    must(as_store_logs_each(s, run.id, show_log, &got, &err), err);
    assert_string_equal(got.p, "1{\"a\":1} 1{\"b\":1} 2{\"a\":2} 2{\"b\":2} 3{\"again\":3} ");
    as_buf_clear(&got);
    must(as_store_logs_each(s, other.id, show_log, &got, &err), err);
    assert_string_equal(got.p, "3{\"o\":3} ");
    as_buf_free(&got);
    as_store_close(s);
}

static as_status show_analysis(void *ctx, const char *kind, const char *name, const char *json, as_err *err) {
    (void)err;
    as_buf_fmt(ctx, "%s/%s=%s ", kind, name, json);
    return AS_OK;
}

static void test_store_analyses_are_replaced_by_name_and_go_with_their_run(void **state) {
    (void)state;
    as_store *s = open_store();
    as_err err = {0};
    as_buf got = {0};
    const as_run run = begin(s, "k", false), other = begin(s, "other", false);
    must(as_store_analysis_put(s, run.id, "perturbation", "word-drop", "{\"drop\":1}", &err), err);
    must(as_store_analysis_put(s, run.id, "calibration", "", "{}", &err), err);
    must(as_store_analysis_put(s, other.id, "calibration", "", "{\"o\":1}", &err), err);
    must(as_store_analysis_put(s, run.id, "perturbation", "word-drop", "{\"drop\":2}", &err), err);
    must(as_store_analyses_each(s, run.id, show_analysis, &got, &err), err);
    assert_string_equal(got.p, "calibration/={} perturbation/word-drop={\"drop\":2} ");
    must(as_store_run_remove(s, run.id, &err), err);
    assert_int_equal(ask("SELECT count(*) FROM analyses"), 1);
    as_buf_free(&got);
    as_store_close(s);
}

/* ---- size, privacy, memory ---- */

static void test_store_takes_about_100_bytes_an_item_besides_texts(void **state) {
    (void)state;
    enum { N = 20000 };
    as_store *s = open_store();
    as_err err = {0};
    const as_run run = begin(s, "k", false);
    for (int64_t i = 0; i < N; i++) {
        const int64_t at = (i * 7919) % N; /* as batches by length come: all over the place */
        char id[24];
        const double values[] = {0.25 + (double)at, 0.75};
        snprintf(id, sizeof id, "%" PRId64, at);
        const as_item item = {.index = at, .id = as_str_of(id), .text = AS_LIT("one text for all"),
                              .gold = AS_LIT("positive"), .pred = AS_LIT("negative"), .values = values, .count = 2,
                              .hash = (uint64_t)at * 0x9E3779B97F4A7C15u, .tokens = 20};
        must(as_store_item_add(s, run.id, &item, &err), err);
        if (i % 64 == 63) must(as_store_flush(s, &err), err);
    }
    as_store_close(s);
    struct stat st;
    assert_int_equal(stat(db, &st), 0);
    print_message("bytes an item: %.1f\n", (double)st.st_size / N);
    assert_in_range(st.st_size / N, 40, 130);
}

static void test_store_holds_no_host_name_and_no_path(void **state) {
    (void)state;
    as_store *s = open_store();
    as_err err = {0};
    as_buf bytes = {0};
    char host[256] = "";
    begin(s, "k", false);
    as_store_close(s);
    must(as_file_read(&bytes, db, 0, &err), err);
    assert_int_equal(gethostname(host, sizeof host - 1), 0);
    assert_null(memmem(bytes.p, bytes.n, folder, strlen(folder)));
    if (strlen(host) > 3) assert_null(memmem(bytes.p, bytes.n, host, strlen(host)));
    as_buf_free(&bytes);
}

/* Every allocation of ours fails in turn: a clean error each time, nothing left behind, no item lost or half there. */
static void test_store_survives_failing_allocations(void **state) {
    (void)state;
    sample_room room;
    for (int64_t n = 1;; n++) {
        as_store *s = NULL;
        as_run run = {0};
        as_err err = {0};
        as_mem_fail_after(n);
        as_status status = as_store_open(&s, ":memory:", &err);
        if (status == AS_OK) status = as_store_run_begin(s, &sample_key, false, &run, &err);
        for (int64_t i = 0; status == AS_OK && i < 40; i++) {
            const as_item item = sample_item(i, &room);
            status = as_store_item_add(s, run.id, &item, &err);
            if (status == AS_OK) status = as_store_log_put(s, run.id, i, "{}", &err);
        }
        as_mem_fail_after(0);
        if (status != AS_OK) assert_int_equal(status, AS_NOMEM);
        as_store_close(s);
        assert_int_equal(as_mem_live_blocks(), 0);
        if (status == AS_OK) {
            assert_true(n > 5);
            break;
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_store_open_creates_the_newest_version_in_wal_mode),
        TEST(test_store_open_refuses_what_is_not_a_store_and_leaves_it_alone),
        TEST(test_store_open_says_when_the_folder_is_missing),
        TEST(test_store_migration_applies_missing_steps_once_or_not_at_all),
        TEST(test_store_of_version_1_is_brought_up_to_date_and_keeps_its_items),
        TEST(test_store_remove_takes_a_run_and_only_its_own_texts),
        TEST(test_store_run_begin_finds_the_newest_run_of_its_key),
        TEST(test_store_runs_carry_their_description_and_item_count),
        TEST(test_store_items_come_back_as_they_went_in_by_index),
        TEST(test_store_items_keep_hard_bytes_and_numbers),
        TEST(test_store_item_added_again_replaces),
        TEST(test_store_items_done_marks_stored_items_only),
        TEST(test_store_commits_by_itself_after_100_ms_of_adds),
        TEST(test_store_flush_is_all_or_nothing_and_keeps_what_failed),
        TEST(test_store_callback_status_ends_the_loop),
        TEST(test_store_aggregates_keep_order_and_nan),
        TEST(test_store_logs_are_ordered_and_cut_behind_a_checkpoint),
        TEST(test_store_analyses_are_replaced_by_name_and_go_with_their_run),
        TEST(test_store_takes_about_100_bytes_an_item_besides_texts),
        TEST(test_store_holds_no_host_name_and_no_path),
        TEST(test_store_survives_failing_allocations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
