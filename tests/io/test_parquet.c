#include "base/file.h"
#include "base/mem.h"
#include "io/json.h"
#include "io/table_impl.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include <cmocka.h>

#define GOLDEN "tests/golden/parquet/"

static as_json *golden; /* golden.json: which file holds which table, and the cells of each */

static int setup(void **state) {
    (void)state;
    as_err err = {0};
    return as_json_read(&golden, GOLDEN "golden.json", &err) == ASSAY_OK ? 0 : -1;
}

static int teardown(void **state) {
    (void)state;
    as_json_free(golden);
    return 0;
}

static void read_golden(as_buf *out, const char *name) {
    char path[300];
    as_err err = {0};
    snprintf(path, sizeof path, GOLDEN "%s", name);
    if (as_file_read(out, path, 0, &err) != ASSAY_OK) fail_msg("%s", err.msg);
}

/* The first `rows` rows of the table (0 = all) are what golden.json says. */
static void check_table(const as_table *t, const char *name, const as_json *want, int64_t rows) {
    const as_json *const columns = as_json_get(want, "columns"), *const all =
                                                                     as_json_get(want, "rows");
    const int64_t count = rows > 0 ? rows : (int64_t)as_json_count(all);
    assert_int_equal(as_table_cols(t), as_json_count(columns));
    assert_int_equal(as_table_rows(t), count);
    for (int c = 0; c < as_table_cols(t); c++)
        if (!as_str_eq(as_table_name(t, c),
                       as_json_str(as_json_at(columns, (size_t)c), AS_LIT("?"))))
            fail_msg("%s: name of column %d", name, c);
    for (int64_t r = 0; r < count; r++) {
        assert_int_equal(as_table_line(t, r), r + 1);
        for (int c = 0; c < as_table_cols(t); c++) {
            const as_json *const cell = as_json_at(as_json_at(all, (size_t)r), (size_t)c);
            const bool null = as_json_typeof(cell) == AS_JSON_NULL;
            const as_str got = as_table_cell(t, r, c), text = as_json_str(cell, AS_LIT(""));
            if (as_table_is_null(t, r, c) != null || !as_str_eq(got, text))
                fail_msg("%s: row %lld, %.*s: \"%.*s\" instead of %s\"%.*s\"", name, (long long)r,
                         (int)as_table_name(t, c).n, as_table_name(t, c).p, (int)got.n, got.p,
                         null ? "null " : "", (int)text.n, text.p);
        }
    }
}

static const as_json *table_of(as_str file) {
    char key[100];
    snprintf(key, sizeof key, "%.*s", (int)file.n, file.p);
    const as_str name = as_json_str(as_json_get(as_json_get(golden, "files"), key), AS_LIT("?"));
    snprintf(key, sizeof key, "%.*s", (int)name.n, name.p);
    return as_json_get(as_json_get(golden, "tables"), key);
}

typedef void check_file(const char *path, const char *name, const as_json *want);

static int each_file(check_file *check) {
    int count = 0;
    const as_json *const files = as_json_get(golden, "files");
    for (as_json_iter *it = as_json_first(files); it != NULL; it = as_json_next(files, it)) {
        const as_str name = as_json_iter_key(it);
        char path[300];
        snprintf(path, sizeof path, GOLDEN "%.*s", (int)name.n, name.p);
        check(path, path + strlen(GOLDEN), table_of(name));
        count++;
    }
    return count;
}

static void check_whole(const char *path, const char *name, const as_json *want) {
    as_table *t = NULL;
    as_err err = {0};
    if (as_table_open(&t, path, &(as_table_opts){0}, &err) != ASSAY_OK) fail_msg("%s", err.msg);
    check_table(t, name, want, 0);
    as_table_free(t);
}

static void test_parquet_cells_are_what_pyarrow_wrote(void **state) {
    (void)state;
    assert_true(each_file(check_whole) >= 20);
}

static void check_limits(const char *path, const char *name, const as_json *want) {
    const int64_t rows = (int64_t)as_json_count(as_json_get(want, "rows"));
    const int64_t limits[] = {1, 2, rows / 2, rows - 1, rows, rows + 1};
    for (size_t i = 0; i < AS_COUNT(limits); i++) {
        as_table *t = NULL;
        as_err err = {0};
        if (as_table_open(&t, path, &(as_table_opts){.limit = limits[i]}, &err) != ASSAY_OK)
            fail_msg("%s", err.msg);
        check_table(t, name, want, limits[i] < rows ? limits[i] : rows);
        as_table_free(t);
    }
}

static void test_parquet_limit_gives_the_first_rows(void **state) {
    (void)state;
    assert_true(each_file(check_limits) >= 20);
}

static void test_parquet_is_known_by_its_content(void **state) {
    (void)state;
    static const char *const names[] = {"x", "t.csv", "-", "shard.bin"};
    as_buf b = {0};
    as_table *t = NULL;
    as_err err = {0};
    read_golden(&b, "glue.parquet");
    for (size_t i = 0; i < AS_COUNT(names); i++) {
        assert_int_equal(as_table_parse(&t, as_buf_view(&b), names[i], &(as_table_opts){0}, &err),
                         ASSAY_OK);
        check_table(t, names[i], table_of(AS_LIT("glue.parquet")), 0);
        as_table_free(t);
    }
    as_buf_free(&b);
    /* a CSV file that begins in the same way is still CSV */
    assert_int_equal(
        as_table_parse(&t, AS_LIT("PAR1,b\n1,2\n"), "t.csv", &(as_table_opts){0}, &err), ASSAY_OK);
    assert_true(as_str_is(as_table_name(t, 0), "PAR1"));
    as_table_free(t);
}

static void test_parquet_inside_gzip_is_read(void **state) {
    (void)state;
    char path[] = "/tmp/assay-parquet-XXXXXX";
    as_buf b = {0};
    as_table *t = NULL;
    as_err err = {0};
    const int fd = mkstemp(path);
    assert_true(fd >= 0);
    read_golden(&b, "glue.parquet");
    gzFile const z = gzdopen(fd, "wb");
    assert_int_equal(gzwrite(z, b.p, (unsigned)b.n), (int)b.n);
    assert_int_equal(gzclose(z), Z_OK);
    assert_int_equal(as_table_open(&t, path, &(as_table_opts){0}, &err), ASSAY_OK);
    check_table(t, path, table_of(AS_LIT("glue.parquet")), 0);
    as_table_free(t);
    as_buf_free(&b);
    unlink(path);
}

/* ---- what is refused ---- */

typedef struct bad_case {
    const char *file;
    as_table_opts opts;
    as_status status;
    const char *msg, *hint; /* the message behind the file's name, and a part of the hint */
    const char *column;     /* it is said when this is asked for; NULL = when the file is read */
} bad_case;

// clang-format off
static const bad_case bad[] = {
    {"empty.parquet", {0}, ASSAY_FORMAT, "no records", "empty", NULL},
    {"no_columns.parquet", {0}, ASSAY_FORMAT, "no columns", "empty", NULL},
    {"brotli.parquet", {0}, ASSAY_FORMAT, "column \"sentence\", row group 1: packed with Brotli, which is not read", "Snappy", "sentence"},
    {"lz4.parquet", {0}, ASSAY_FORMAT, "column \"sentence\", row group 1: packed with LZ4 (raw), which is not read", "Snappy", "sentence"},
    {"int96.parquet", {0}, ASSAY_FORMAT, "column \"when\": INT96, a time as old writers have it, is not read", "64 bits", "when"},
    {"binary.parquet", {0}, ASSAY_FORMAT, "column \"image.bytes\", row group 1: a value is not valid UTF-8 (byte 1, 0x89)", "leave the column out", "image"},
    {"wide_decimal.parquet", {0}, ASSAY_FORMAT, "column \"d\": a decimal of more than 38 digits is not read", "as text", "d"},
    {"huge.parquet", {0}, ASSAY_NOMEM, "needs more memory than there is", "--limit", NULL},
    {"deep.parquet", {0}, ASSAY_FORMAT, "the schema is nested too deeply", "damaged", NULL},
    {"shape.parquet", {0}, ASSAY_FORMAT, "column \"two.item\", row group 1: its parts do not have the same shape", "damaged", NULL},
    {"place.parquet", {0}, ASSAY_FORMAT, "column \"n\", row group 1: place 2 of a dictionary of 2 values", "damaged", NULL},
    {"twice.parquet", {0}, ASSAY_FORMAT, "column \"n\", row group 1: a dictionary where none may be", "damaged", NULL},
    {"late.parquet", {0}, ASSAY_FORMAT, "column \"n\", row group 1: a dictionary is used before it comes", "damaged", NULL},
    {"zip_short.parquet", {0}, ASSAY_FORMAT, "column \"n\", row group 1: a damaged page: its gzip data do not unpack", "damaged", NULL},
    {"zip_long.parquet", {0}, ASSAY_FORMAT, "column \"n\", row group 1: a damaged page: its gzip data do not unpack", "damaged", NULL},
    {"glue.parquet", {.columns = "a,b"}, ASSAY_USAGE, "--columns and --max-split do not apply to Parquet, whose records name their own fields", "--text", NULL},
    {"glue.parquet", {.max_split = 1}, ASSAY_USAGE, "--columns and --max-split do not apply to Parquet, whose records name their own fields", "--text", NULL},
    {"glue.parquet", {.encoding = AS_LATIN1}, ASSAY_USAGE, "--encoding latin-1 does not apply to Parquet", "UTF-8", NULL},
};
// clang-format on

static void test_parquet_errors_name_the_column_and_help(void **state) {
    (void)state;
    for (size_t i = 0; i < AS_COUNT(bad); i++) {
        as_table *t = NULL;
        as_err err = {0};
        as_buf b = {0};
        char want[400];
        read_golden(&b, bad[i].file);
        snprintf(want, sizeof want, "%s: %s", bad[i].file, bad[i].msg);
        as_status status = as_table_parse(&t, as_buf_view(&b), bad[i].file, &bad[i].opts, &err);
        if (bad[i].column != NULL) { /* a column that is not read is no harm until it is asked for */
            int col;
            assert_int_equal(status, ASSAY_OK);
            status = as_table_find(t, bad[i].column, &col, &err);
            assert_int_equal(as_table_readable(t, col, NULL), bad[i].status);
            as_table_free(t);
            t = NULL;
        }
        assert_int_equal(status, bad[i].status);
        assert_null(t);
        assert_string_equal(err.msg, want);
        if (strstr(err.hint, bad[i].hint) == NULL) fail_msg("%s: hint: %s", bad[i].file, err.hint);
        as_buf_free(&b);
    }
}

static void test_parquet_columns_that_are_not_read_leave_the_others(void **state) {
    (void)state;
    static const char *const files[] = {"int96.parquet", "binary.parquet"};
    for (size_t i = 0; i < AS_COUNT(files); i++) {
        as_buf b = {0};
        as_table *t = NULL;
        as_err err = {0};
        int col;
        read_golden(&b, files[i]);
        assert_int_equal(as_table_parse(&t, as_buf_view(&b), files[i], &(as_table_opts){0}, &err),
                         ASSAY_OK);
        assert_int_equal(as_table_find(t, "ok", &col, &err), ASSAY_OK);
        assert_int_equal(as_table_readable(t, col, &err), ASSAY_OK);
        assert_true(as_str_is(as_table_cell(t, 0, col), "1"));
        assert_int_equal(as_table_find(t, "2", &col, &err), ASSAY_FORMAT); /* by its number, too */
        as_table_free(t);
        as_buf_free(&b);
    }
}

static void test_parquet_bytes_that_are_no_text_are_replaced_on_request(void **state) {
    (void)state;
    as_buf b = {0};
    as_table *t = NULL;
    as_err err = {0};
    read_golden(&b, "binary.parquet");
    const as_table_opts lossy = {.encoding = AS_UTF8_LOSSY};
    assert_int_equal(as_table_parse(&t, as_buf_view(&b), "b.parquet", &lossy, &err), ASSAY_OK);
    assert_int_equal(as_table_replaced(t), 1);
    assert_true(as_str_is(as_table_cell(t, 0, 1), "{\"bytes\":\"fine\"}"));
    assert_true(as_str_is(as_table_cell(t, 1, 1), "{\"bytes\":\"\xEF\xBF\xBDPNG\"}"));
    as_table_free(t);
    as_buf_free(&b);
}

/* From memory as long as the bytes, so that a sanitizer sees a read past the end. */
static as_status parse_exact(const char *p, size_t n) {
    char *const exact = malloc(n > 0 ? n : 1);
    as_table *t = NULL;
    as_err err = {0};
    assert_non_null(exact);
    if (n > 0) memcpy(exact, p, n);
    const as_status status =
        as_table_parse(&t, (as_str){exact, n}, "t.parquet", &(as_table_opts){0}, &err);
    assert_true(status == ASSAY_OK ? t != NULL : t == NULL && err.msg[0] != '\0');
    as_table_free(t);
    free(exact);
    return status;
}

static void test_parquet_cut_anywhere_is_an_error(void **state) {
    (void)state;
    static const char *const names[] = {"glue.parquet", "lists_older.parquet", "brotli.parquet"};
    for (size_t i = 0; i < AS_COUNT(names); i++) {
        as_buf b = {0};
        read_golden(&b, names[i]);
        for (size_t n = 0; n < b.n; n++)
            assert_int_not_equal(parse_exact(b.p, n), ASSAY_OK);
        for (size_t n = 1; n < b.n; n++) /* and without its beginning */
            assert_int_not_equal(parse_exact(b.p + n, b.n - n), ASSAY_OK);
        as_buf_free(&b);
    }
}

static void test_parquet_any_wrong_byte_is_survived(void **state) {
    (void)state;
    static const char *const names[] = {"glue.parquet", "lists_older.parquet", "lists_v2.parquet",
                                        "split.parquet"};
    static const unsigned char masks[] = {0x01, 0x80, 0xFF};
    int refused = 0;
    for (size_t i = 0; i < AS_COUNT(names); i++) {
        as_buf b = {0};
        read_golden(&b, names[i]);
        for (size_t at = 0; at < b.n; at++) {
            const unsigned char mask = masks[at % AS_COUNT(masks)];
            b.p[at] = (char)((unsigned char)b.p[at] ^ mask);
            refused += parse_exact(b.p, b.n) != ASSAY_OK;
            b.p[at] = (char)((unsigned char)b.p[at] ^ mask);
        }
        as_buf_free(&b);
    }
    assert_true(refused > 1000);
}

static void test_parquet_checksum_is_checked(void **state) {
    (void)state;
    as_buf b = {0};
    as_table *t = NULL;
    as_err err = {0};
    read_golden(&b, "gzip_v1.parquet");
    /* the time stamp in a gzip header: without the checksum nothing would notice */
    const char *const gzip = memmem(b.p, b.n, "\x1F\x8B\x08", 3);
    assert_non_null(gzip);
    b.p[(size_t)(gzip - b.p) + 4] ^= 1;
    assert_int_equal(as_table_parse(&t, as_buf_view(&b), "t.parquet", &(as_table_opts){0}, &err),
                     ASSAY_FORMAT);
    assert_string_equal(err.msg,
                        "t.parquet: column \"bool\", row group 1: a page whose checksum is wrong");
    as_buf_free(&b);
}

/* ---- memory ---- */

static as_status parse_within(const as_buf *b, uint64_t budget) {
    as_table *const t = as_calloc(1, sizeof *t);
    as_err err = {0};
    if (t == NULL) return ASSAY_NOMEM;
    t->where = "t.parquet";
    as_buf_add(&t->text, b->p, b->n);
    const as_status status =
        t->text.failed ? ASSAY_NOMEM : as_parquet_parse(t, &(as_table_opts){0}, budget, &err);
    as_table_free(t);
    return status;
}

static void test_parquet_stays_within_its_budget(void **state) {
    (void)state;
    static const char *const names[] = {"snappy_v1", "lists_pages", "many_delta", "long"};
    for (size_t i = 0; i < AS_COUNT(names); i++) {
        char name[100];
        as_buf b = {0};
        bool enough = false;
        snprintf(name, sizeof name, "%s.parquet", names[i]);
        read_golden(&b, name);
        for (uint64_t budget = 0; budget < 8 << 20; budget += budget / 8 + 100) {
            const as_status status = parse_within(&b, budget);
            assert_true(status == (enough ? ASSAY_OK : status));
            assert_true(status == ASSAY_OK || status == ASSAY_NOMEM);
            enough |= status == ASSAY_OK;
            assert_true(!enough || budget > 1000);
        }
        assert_true(enough);
        as_buf_free(&b);
    }
}

static void test_parquet_survives_every_failed_allocation(void **state) {
    (void)state;
    static const char *const names[] = {"glue.parquet", "lists_older.parquet",
                                        "delta_bytes.parquet", "gzip_v1.parquet"};
    for (size_t i = 0; i < AS_COUNT(names); i++) {
        as_buf b = {0};
        read_golden(&b, names[i]);
        const int64_t before = as_mem_live_blocks();
        as_status status = ASSAY_NOMEM;
        int64_t n = 1;
        for (; status != ASSAY_OK && n < 5000; n++) {
            as_mem_fail_after(n);
            status = parse_within(&b, 64 << 20);
            as_mem_fail_after(0);
            assert_int_equal(as_mem_live_blocks(), before);
            /* zlib's memory comes through the same door, and it cannot say why it failed */
            assert_true(status == ASSAY_OK || status == ASSAY_NOMEM || i == 3);
        }
        assert_int_equal(status, ASSAY_OK);
        assert_true(n > 10);
        as_buf_free(&b);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parquet_cells_are_what_pyarrow_wrote),
        cmocka_unit_test(test_parquet_limit_gives_the_first_rows),
        cmocka_unit_test(test_parquet_is_known_by_its_content),
        cmocka_unit_test(test_parquet_inside_gzip_is_read),
        cmocka_unit_test(test_parquet_errors_name_the_column_and_help),
        cmocka_unit_test(test_parquet_columns_that_are_not_read_leave_the_others),
        cmocka_unit_test(test_parquet_bytes_that_are_no_text_are_replaced_on_request),
        cmocka_unit_test(test_parquet_cut_anywhere_is_an_error),
        cmocka_unit_test(test_parquet_any_wrong_byte_is_survived),
        cmocka_unit_test(test_parquet_checksum_is_checked),
        cmocka_unit_test(test_parquet_stays_within_its_budget),
        cmocka_unit_test(test_parquet_survives_every_failed_allocation),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
