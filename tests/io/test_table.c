#include "base/file.h"
#include "base/mem.h"
#include "io/decompress.h"
#include "io/json.h"
#include "io/table.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include <cmocka.h>

/* A table as one line of text: "name|name;cell|cell@line;..." with null cells as <null>. */
static void show(as_buf *out, const as_table *t) {
    for (int c = 0; c < as_table_cols(t); c++) {
        if (c > 0) as_buf_char(out, '|');
        as_buf_add(out, as_table_name(t, c).p, as_table_name(t, c).n);
    }
    for (int64_t r = 0; r < as_table_rows(t); r++) {
        as_buf_char(out, ';');
        for (int c = 0; c < as_table_cols(t); c++) {
            if (c > 0) as_buf_char(out, '|');
            if (as_table_is_null(t, r, c))
                as_buf_str(out, "<null>");
            else
                as_buf_add(out, as_table_cell(t, r, c).p, as_table_cell(t, r, c).n);
        }
        as_buf_fmt(out, "@%lld", (long long)as_table_line(t, r));
    }
}

typedef struct good_case {
    const char *name, *file;
    as_table_opts opts;
    const char *text, *want;
} good_case;

// clang-format off
static const good_case good[] = {
    {"header", "t.csv", {0}, "a,b\n1,2\n3,4\n", "a|b;1|2@2;3|4@3"},
    {"no last line end", "t.csv", {0}, "a,b\n1,2", "a|b;1|2@2"},
    {"crlf and byte-order mark", "t.csv", {0}, "\xEF\xBB\xBF" "a,b\r\n1,2\r\n", "a|b;1|2@2"},
    {"cut crlf", "t.csv", {0}, "a,b\r\n1,2\r", "a|b;1|2@2"},
    {"lone cr stays", "t.csv", {0}, "a,b\n1\r2,3\n", "a|b;1\r2|3@2"},
    {"blank lines count", "t.csv", {0}, "\na,b\n\n\r\n1,2\n", "a|b;1|2@5"},
    {"line ends in quotes count", "t.csv", {0}, "a,b\n\"x\ny\",1\n\"\r\n\",2\n3,\"z\"", "a|b;x\ny|1@2;\r\n|2@4;3|z@6"},
    {"quotes", "t.csv", {0}, "\"a\",b\n\"1\"\"2\",\"\"\n\"\"\"\",x\"y\"\n", "a|b;1\"2|@2;\"|x\"y\"@3"},
    {"tsv", "t.tsv", {0}, "a\tb\n1,2\t\"3\t4\"\n", "a|b;1,2|3\t4@2"},
    {"tsv without quotes", "t.tsv", {.no_quotes = true}, "a\tb\n\"1\t2\"\"\n", "a|b;\"1|2\"\"@2"},
    {"no header", "t.csv", {.no_header = true}, "1,2\n3,4\n", "1|2;1|2@1;3|4@2"},
    {"names", "t.csv", {.no_header = true, .columns = "x,y"}, "1,2\n", "x|y;1|2@1"},
    {"names imply no header", "t.csv", {.columns = "x,y"}, "1,2\n", "x|y;1|2@1"},
    {"names that the file repeats", "t.csv", {.columns = "x,y"}, "x,y\n1,2\n", "x|y;1|2@2"},
    {"names repeated as a record", "t.csv", {.columns = "x,y", .no_header = true}, "x,y\n", "x|y;x|y@1"},
    {"split once", "t", {.sep = ' ', .max_split = 1, .columns = "label,text", .no_header = true}, "0 a \"b c\n1 d\n1 \n",
     "label|text;0|a \"b c@1;1|d@2;1|@3"},
    {"split twice", "t", {.sep = ':', .max_split = 2, .no_header = true}, "a:b:c:d\n", "1|2|3;a|b|c:d@1"},
    {"other separator", "t.csv", {.sep = ';'}, "a;b\n1,5;2\n", "a|b;1,5|2@2"},
    {"separator for any name", "t.txt", {.sep = '\t'}, "a\tb\n1\t2\n", "a|b;1|2@2"},
    {"limit", "t.csv", {.limit = 2}, "a\n1\n2\n\"never closed\n", "a;1@2;2@3"},
    {"one column", "t.csv", {0}, "a\n1\n\n2\n", "a;1@2;2@4"},
    {"latin-1", "t.csv", {.encoding = AS_LATIN1}, "a\ncaf\xE9\n", "a;caf\xC3\xA9@2"},
    {"latin-1 with high controls", "t.csv", {.encoding = AS_LATIN1}, "a\n\x85\n", "a;\xC2\x85@2"},
    {"lossy", "t.csv", {.encoding = AS_UTF8_LOSSY}, "\xEF\xBB\xBF" "a\ncaf\xE9\n", "a;caf\xEF\xBF\xBD@2"},
    {"upper-case name", "T.CSV", {0}, "a\n1\n", "a;1@2"},
    {"lines", "t", {.format = AS_TABLE_LINES}, "a,b\n\n\"c\r\n d", "text;a,b@1;@2;\"c@3; d@4"},
    {"lines with CR", "t", {.format = AS_TABLE_LINES, .keep_cr = true}, "a\r\n\r\nb\r", "text;a\r@1;\r@2;b\r@3"},
    {"lines with limit", "t", {.format = AS_TABLE_LINES, .limit = 1, .columns = "x"}, "a\nb\n", "x;a@1"},
    {"jsonl", "t.jsonl", {0}, "{\"a\":1,\"b\":\"x\"}\n{\"a\":2.50,\"b\":null}\n", "a|b;1|x@1;2.50|<null>@2"},
    {"union of keys", "t.ndjson", {0}, "{\"a\":1}\n\n {\"b\":true,\"a\":false} \r\n{}\n{\"c\":\"\"}", "a|b|c;1|<null>|<null>@1;false|true|<null>@3;<null>|<null>|<null>@4;<null>|<null>|@5"},
    {"numbers as written", "t.jsonl", {0}, "{\"a\":12345678901234567890,\"b\":-1.50e+3,\"c\":1e400,\"d\":-0,\"e\":NaN,\"f\":-Infinity}",
     "a|b|c|d|e|f;12345678901234567890|-1.50e+3|1e400|-0|NaN|-Infinity@1"},
    {"escapes", "t.jsonl", {0}, "{\"\\u0061\\n\":\"\\\"\\\\\\/\\b\\f\\r\\t\\u00e9\\u20AC\\ud83d\\ude00 x\"}", "a\n;\"\\/\b\f\r\t\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80 x@1"},
    {"compact values", "t.jsonl", {0}, "{ \"a\" : [ 1 , \"x \\\" y\" , { \"k\" : [ ] } ] , \"b\" : { } }", "a|b;[1,\"x \\\" y\",{\"k\":[]}]|{}@1"},
    {"last duplicate", "t.jsonl", {0}, "{\"a\":1,\"b\":2,\"a\":3}\n{\"a\":4,\"a\":null}", "a|b;3|2@1;<null>|<null>@2"},
    {"json array", "t.json", {0}, "\n[\n {\"a\": 1,\n  \"b\": 2},\n\n {\"a\": 3}\n]\n", "a|b;1|2@3;3|<null>@6"},
    {"json array with limit", "t.json", {.limit = 1}, "[{\"a\":1},{\"a\":2},x", "a;1@1"},
    {"lossy half pairs", "t.jsonl", {.encoding = AS_UTF8_LOSSY}, "{\"a\":\"\\ud800x\",\"b\":[\"\\udc00\"]}", "a|b;\xEF\xBF\xBDx|[\"\\ufffd\"]@1"},
    {"json on standard input", "-", {0}, " {\"a\":1}", "a;1@1"},
};
// clang-format on

static void test_table_reads_every_form(void **state) {
    (void)state;
    for (size_t i = 0; i < AS_COUNT(good); i++) {
        const good_case *const g = &good[i];
        as_table *t = NULL;
        as_err err = {0};
        if (as_table_parse(&t, as_str_of(g->text), g->file, &g->opts, &err) != ASSAY_OK)
            fail_msg("%s: %s", g->name, err.msg);
        as_buf out = {0};
        show(&out, t);
        if (strcmp(out.p, g->want) != 0) fail_msg("%s: %s", g->name, out.p);
        as_buf_free(&out);
        as_table_free(t);
    }
    as_table_free(NULL);
}

static void test_table_keeps_nul_bytes_and_counts_replacements(void **state) {
    (void)state;
    as_table *t = NULL;
    as_err err = {0};
    const as_str nul = AS_LIT("a,b\nx\0y,\"\0\"\n");
    assert_int_equal(as_table_parse(&t, nul, "t.csv", &(as_table_opts){0}, &err), ASSAY_OK);
    assert_true(as_str_eq(as_table_cell(t, 0, 0), (as_str){"x\0y", 3}));
    assert_true(as_str_eq(as_table_cell(t, 0, 1), (as_str){"\0", 1}));
    as_table_free(t);
    assert_int_equal(as_table_parse(&t, as_str_of("{\"a\\u0000\":\"\\u0000\"}"), "t.jsonl",
                                    &(as_table_opts){0}, &err),
                     ASSAY_OK);
    assert_true(as_str_eq(as_table_name(t, 0), (as_str){"a\0", 2}));
    assert_int_equal(as_table_cell(t, 0, 0).n, 1);
    as_table_free(t);
    const as_table_opts lossy = {.encoding = AS_UTF8_LOSSY};
    assert_int_equal(
        as_table_parse(&t, as_str_of("{\"a\":\"\xE9\\ud800\"}"), "t.jsonl", &lossy, &err),
        ASSAY_OK);
    assert_int_equal(as_table_replaced(t), 2);
    as_table_free(t);
}

typedef struct bad_case {
    const char *name, *file;
    as_table_opts opts;
    const char *text;
    as_status status;
    const char *msg, *hint; /* the whole message, and a part of the hint */
} bad_case;

// clang-format off
static const bad_case bad[] = {
    {"empty", "t.csv", {0}, "", ASSAY_FORMAT, "t.csv: no records", "empty"},
    {"byte-order mark only", "t.csv", {0}, "\xEF\xBB\xBF", ASSAY_FORMAT, "t.csv: no records", "empty"},
    {"blank lines only", "t.csv", {0}, "\n\r\n", ASSAY_FORMAT, "t.csv: no records", "blank"},
    {"header only", "t.csv", {0}, "a,b\n", ASSAY_FORMAT, "t.csv: no records", "--no-header"},
    {"CR line ends", "t.csv", {0}, "a,b\r1,2\r", ASSAY_FORMAT, "t.csv: no records", "CR alone"},
    {"short row", "t.csv", {0}, "a,b,c,d\n1,2,3,4\n\n1,2,3\n", ASSAY_FORMAT, "t.csv:4: 3 cells where the header has 4", "--no-quotes"},
    {"long row without quotes", "t.tsv", {.no_quotes = true}, "a\tb\n1\t2\t3\n", ASSAY_FORMAT, "t.tsv:2: 3 cells where the header has 2", "--max-split 1"},
    {"one cell", "t.csv", {0}, "a,b\n1;2\n", ASSAY_FORMAT, "t.csv:2: 1 cell where the header has 2", "--sep"},
    {"ragged without header", "t.csv", {.no_header = true}, "1,2\n1,2,3\n", ASSAY_FORMAT, "t.csv:2: 3 cells where the first record has 2", ""},
    {"more cells than names", "t.csv", {.columns = "a,b"}, "1,2,3\n", ASSAY_FORMAT, "t.csv:1: 3 cells where --columns names 2", ""},
    {"too few splits", "t", {.sep = ' ', .max_split = 1, .columns = "a,b"}, "0 x\n1\n", ASSAY_FORMAT, "t:2: 1 cell where --columns names 2", "a space"},
    {"ragged after line ends in quotes", "t.csv", {0}, "a,b\n\"\n\n\",1\n\"x\ny\"\n", ASSAY_FORMAT, "t.csv:5: 1 cell where the header has 2", ""},
    {"unclosed quote", "t.csv", {0}, "a,b\n\"x\ny\",1\n2,\"z\n\n\n", ASSAY_FORMAT, "t.csv:4: the quote that opens here is never closed", "--no-quotes"},
    {"unclosed second quote in a record", "t.csv", {0}, "a,b\n\"x\ny\",\"z\n", ASSAY_FORMAT, "t.csv:3: the quote that opens here is never closed", "--no-quotes"},
    {"text after a quote", "t.csv", {0}, "a,b\n\"x\" y,1\n", ASSAY_FORMAT, "t.csv:2: text follows a closing quote", "--no-quotes"},
    {"invalid UTF-8", "t.csv", {0}, "a,b\n1,2\nsome text, a caf\xE9\n", ASSAY_FORMAT, "t.csv:3: byte 17 is not valid UTF-8 (0xE9)", "latin-1"},
    {"surrogate bytes", "t.csv", {0}, "\xED\xA0\x80", ASSAY_FORMAT, "t.csv:1: byte 1 is not valid UTF-8 (0xED)", "utf-8-lossy"},
    {"UTF-16", "t.csv", {0}, "\xFF\xFE" "a", ASSAY_FORMAT, "t.csv:1: byte 1 is not valid UTF-8 (0xFF)", "UTF-16"},
    {"unknown name", "t.txt", {0}, "a\n", ASSAY_USAGE, "t.txt: the name does not tell the format", "--sep"},
    {"unknown standard input", "-", {0}, "a\n", ASSAY_USAGE, "standard input: the name does not tell the format", "--sep"},
    {"bad separator", "t.csv", {.sep = '"'}, "a\n", ASSAY_USAGE, "t.csv: the separator must be one ASCII character, and no quote or line end", ""},
    {"empty name", "t.csv", {.columns = "a,,b"}, "1,2,3\n", ASSAY_USAGE, "t.csv: an empty name in --columns \"a,,b\"", ""},
    {"columns of JSON", "t.jsonl", {.columns = "a"}, "{}", ASSAY_USAGE,
     "t.jsonl: --columns and --max-split do not apply to JSON, whose records name their own fields", "--text"},
    {"two columns of lines", "t", {.format = AS_TABLE_LINES, .columns = "a,b"}, "x", ASSAY_USAGE,
     "t: --columns names 2 columns where a line is one text", ""},
    {"not an object", "t.jsonl", {0}, "{\"a\":1}\n\n[1]\n", ASSAY_FORMAT, "t.jsonl:3: an array where an object, {...}, is expected", "one object a line"},
    {"a number", "t.jsonl", {0}, "12\n", ASSAY_FORMAT, "t.jsonl:1: a number where an object, {...}, is expected", ""},
    {"a string in an array", "t.json", {0}, "[{},\n\"x\"]", ASSAY_FORMAT, "t.json:2: a string where an object, {...}, is expected", ""},
    {"empty array", "t.json", {0}, "[]", ASSAY_FORMAT, "t.json: no records", ""},
    {"an object over lines", "t.jsonl", {0}, "{\"a\":\n1}\n", ASSAY_FORMAT, "t.jsonl:1: the JSON text is cut short", "one whole object a line"},
    {"cut in a string", "t.jsonl", {0}, "{\"a\":1}\n{\"a\":\"x", ASSAY_FORMAT, "t.jsonl:2: the JSON text is cut short", ""},
    {"two objects on a line", "t.jsonl", {0}, "{}\n{} {}\n", ASSAY_FORMAT, "t.jsonl:2: byte 4: text follows the object", ""},
    {"text behind the array", "t.json", {0}, "[{\"a\":1}]\nx", ASSAY_FORMAT, "t.json:2: byte 1: text follows the array", ""},
    {"half a pair", "t.jsonl", {0}, "{\"a\":\"\\ud83dx\"}", ASSAY_FORMAT, "t.jsonl:1: byte 7: half of a surrogate pair is no character", "utf-8-lossy"},
    {"half a pair inside", "t.jsonl", {0}, "{\"a\":[\"\\udc00\"]}", ASSAY_FORMAT, "t.jsonl:1: byte 8: half of a surrogate pair is no character", ""},
    {"bad escape", "t.jsonl", {0}, "{\"a\":\"\\x\"}", ASSAY_FORMAT, "t.jsonl:1: byte 7: unknown escape in a string", ""},
    {"bad unicode escape", "t.jsonl", {0}, "{\"a\":\"\\u12g4\"}", ASSAY_FORMAT, "t.jsonl:1: byte 7: \\u needs four hexadecimal digits", ""},
    {"control character", "t.jsonl", {0}, "{\"a\":\"\t\"}", ASSAY_FORMAT, "t.jsonl:1: byte 7: a control character in a string", ""},
    {"leading zero", "t.jsonl", {0}, "{\"a\":01}", ASSAY_FORMAT, "t.jsonl:1: byte 7: \",\" or \"}\" is expected", ""},
    {"bare minus", "t.jsonl", {0}, "{\"a\":-}", ASSAY_FORMAT, "t.jsonl:1: byte 6: not a number as JSON writes them", ""},
    {"bare point", "t.jsonl", {0}, "{\"a\":1.}", ASSAY_FORMAT, "t.jsonl:1: byte 6: not a number as JSON writes them", ""},
    {"Python literal", "t.jsonl", {0}, "{\"a\":None}", ASSAY_FORMAT, "t.jsonl:1: byte 6: a value is expected", ""},
    {"single quotes", "t.jsonl", {0}, "{'a':1}", ASSAY_FORMAT, "t.jsonl:1: byte 2: a key in quotes is expected", ""},
    {"trailing comma", "t.jsonl", {0}, "{\"a\":1,}", ASSAY_FORMAT, "t.jsonl:1: byte 8: a key in quotes is expected", ""},
    {"trailing comma inside", "t.jsonl", {0}, "{\"a\":[1,]}", ASSAY_FORMAT, "t.jsonl:1: byte 9: a value is expected", ""},
    {"no colon", "t.jsonl", {0}, "{\"a\" 1}", ASSAY_FORMAT, "t.jsonl:1: byte 6: \":\" is expected", ""},
};
// clang-format on

static void test_table_names_the_place_of_every_error(void **state) {
    (void)state;
    for (size_t i = 0; i < AS_COUNT(bad); i++) {
        const bad_case *const b = &bad[i];
        as_table *t = NULL;
        as_err err = {0};
        const as_status s = as_table_parse(&t, as_str_of(b->text), b->file, &b->opts, &err);
        if (s != b->status || t != NULL || strcmp(err.msg, b->msg) != 0 ||
            strstr(err.hint, b->hint) == NULL)
            fail_msg("%s: status %d \"%s\" hint \"%s\"", b->name, (int)s, err.msg, err.hint);
    }
}

static void test_table_finds_columns_by_name_and_number(void **state) {
    (void)state;
    as_table *t = NULL;
    as_err err = {0};
    int col;
    assert_int_equal(as_table_parse(&t, as_str_of("id,sentence,stars,1,x,x\na,b,c,d,e,f\n"),
                                    "reviews.csv", &(as_table_opts){0}, &err),
                     ASSAY_OK);
    static const struct {
        const char *name;
        int col;
    } found[] = {{"id", 0}, {"stars", 2}, {"1", 3}, {"2", 1}, {"6", 5}};
    for (size_t i = 0; i < AS_COUNT(found); i++) {
        assert_int_equal(as_table_find(t, found[i].name, &col, &err), ASSAY_OK);
        assert_int_equal(col, found[i].col);
    }
    assert_int_equal(as_table_find(t, "sentense", &col, &err), ASSAY_USAGE);
    assert_string_equal(err.msg, "reviews.csv:1: no column \"sentense\"");
    assert_string_equal(err.hint,
                        "the columns are id, sentence, stars, 1, x, x; did you mean \"sentence\"?");
    assert_int_equal(as_table_find(t, "0", &col, &err), ASSAY_USAGE);
    assert_int_equal(as_table_find(t, "7", &col, &err), ASSAY_USAGE);
    assert_int_equal(as_table_find(t, "x", &col, &err), ASSAY_USAGE);
    assert_string_equal(err.msg, "reviews.csv:1: columns 5 and 6 are both named \"x\"");
    as_table_free(t);
    assert_int_equal(
        as_table_parse(&t, as_str_of("a\tb\n1\t2\n"), "t.csv", &(as_table_opts){0}, &err),
        ASSAY_OK);
    assert_int_equal(as_table_find(t, "a", &col, &err), ASSAY_USAGE);
    assert_non_null(strstr(err.hint, "--sep"));
    as_table_free(t);
}

/* tests/golden/csv: what Python's csv module makes of the same bytes. */
static void check_golden(const as_json *c) {
    const as_json *const rows = as_json_get(c, "rows");
    const char *const name = as_json_str(as_json_get(c, "name"), AS_LIT("?")).p;
    const as_table_opts opts = {.no_header = true,
                                .no_quotes = as_json_bool(as_json_get(c, "no_quotes"), false),
                                .sep = as_json_str(as_json_get(c, "sep"), AS_LIT(",")).p[0]};
    bool rectangular = as_json_typeof(rows) == AS_JSON_ARRAY && as_json_count(rows) > 0;
    for (size_t r = 1; rectangular && r < as_json_count(rows); r++)
        rectangular = as_json_count(as_json_at(rows, r)) == as_json_count(as_json_at(rows, 0));
    as_table *t = NULL;
    as_err err = {0};
    const as_status s =
        as_table_parse(&t, as_json_str(as_json_get(c, "text"), AS_LIT("")), "t.csv", &opts, &err);
    if (s != (rectangular ? ASSAY_OK : ASSAY_FORMAT))
        fail_msg("%s: %s", name, s == ASSAY_OK ? "accepted" : err.msg);
    for (size_t r = 0; s == ASSAY_OK && r < as_json_count(rows); r++)
        for (size_t k = 0; k < as_json_count(as_json_at(rows, r)); k++)
            if (!as_str_eq(as_json_str(as_json_at(as_json_at(rows, r), k), AS_LIT("?")),
                           as_table_cell(t, (int64_t)r, (int)k)))
                fail_msg("%s: row %zu, cell %zu", name, r, k);
    if (s == ASSAY_OK) assert_int_equal(as_table_rows(t), as_json_count(rows));
    as_table_free(t);
}

static void test_table_csv_equals_python_on_hard_inputs(void **state) {
    (void)state;
    as_json *golden = NULL;
    as_err err = {0};
    assert_int_equal(as_json_read(&golden, "tests/golden/csv/csv.json", &err), ASSAY_OK);
    const as_json *const cases = as_json_get(golden, "cases");
    assert_true(as_json_count(cases) > 1000);
    for (size_t i = 0; i < as_json_count(cases); i++)
        check_golden(as_json_at(cases, i));
    as_json_free(golden);
}

/* Packed files. */

static size_t gzip_bytes(char *out, size_t cap, const char *text, size_t n) {
    z_stream z = {0};
    assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY), Z_OK);
    z.next_in = (unsigned char *)(uintptr_t)text, z.avail_in = (unsigned)n;
    z.next_out = (unsigned char *)out, z.avail_out = (unsigned)cap;
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    deflateEnd(&z);
    return cap - z.avail_out;
}

static void test_table_unpacks_gzip_and_zstd_with_many_members(void **state) {
    (void)state;
    static const char text[] = "a,b\n1,2\n";
    static const char more[] = "3,4\n";
    char packed[2][512];
    size_t n[2];
    n[0] = gzip_bytes(packed[0], 512, text, 8);
    n[0] += gzip_bytes(packed[0] + n[0], 512 - n[0], more, 4);
    memset(packed[0] + n[0], 0, 8); /* zero padding is allowed behind gzip */
    n[1] = ZSTD_compress(packed[1], 512, text, 8, 3);
    memcpy(packed[1] + n[1], "\x5A\x2A\x4D\x18\x02\0\0\0xy", 10); /* a skippable frame */
    n[1] += 10;
    n[1] += ZSTD_compress(packed[1] + n[1], 512 - n[1], more, 4, 3);
    for (int k = 0; k < 2; k++) {
        as_buf out = {0};
        as_err err = {0};
        if (as_decompress(&out, (as_str){packed[k], n[k] + (k == 0 ? 8 : 0)}, "t", 0, &err) !=
            ASSAY_OK)
            fail_msg("%s", err.msg);
        assert_string_equal(out.p, "a,b\n1,2\n3,4\n");
        as_buf_clear(&out);
        for (size_t cut = 4; cut < n[k];
             cut++) { /* a cut after a whole member is not seen, all others are */
            const as_status s = as_decompress(&out, (as_str){packed[k], cut}, "t.gz", 0, &err);
            if (s == ASSAY_OK)
                assert_string_equal(out.p, text);
            else {
                assert_int_equal(s, ASSAY_FORMAT);
                assert_non_null(strstr(err.msg, "t.gz: "));
                assert_true(err.hint[0] != '\0');
            }
            as_buf_clear(&out);
        }
        as_buf_free(&out);
    }
}

static void test_table_refuses_damaged_and_foreign_packings(void **state) {
    (void)state;
    static const struct {
        const char *bytes;
        size_t n;
        const char *says;
    } cases[] = {
        {"BZh91AY&SY....", 14, "bzip2"},
        {"\xFD"
         "7zXZ\0...",
         9, "xz"},
        {"PK\x03\x04....", 8, "zip"},
        {"\x1F\x8B\x08", 3, "end too early"},
        {"\x28\xB5\x2F\xFD", 4, "end too early"},
        {"\x1F\x8B\x08\0\0\0\0\0\0\0\xFF\xFF\xFF\xFF", 14, "damaged gzip"},
        {"\x28\xB5\x2F\xFD\x00\x00\x07\x00\x00", 9,
         "damaged zstd"}, /* a block of the reserved type */
    };
    for (size_t i = 0; i < AS_COUNT(cases); i++) {
        as_buf out = {0};
        as_err err = {0};
        assert_int_equal(as_decompress(&out, (as_str){cases[i].bytes, cases[i].n}, "f", 0, &err),
                         ASSAY_FORMAT);
        if (strstr(err.msg, cases[i].says) == NULL) fail_msg("%s", err.msg);
        as_buf_free(&out);
    }
    char packed[256];
    size_t n = gzip_bytes(packed, sizeof packed, "a\n", 2);
    memcpy(packed + n, "junk", 4);
    as_buf out = {0};
    as_err err = {0};
    assert_int_equal(as_decompress(&out, (as_str){packed, n + 4}, "f", 0, &err), ASSAY_FORMAT);
    assert_non_null(strstr(err.msg, "other bytes follow"));
    packed[n - 6] ^= 1; /* the checksum */
    assert_int_equal(as_decompress(&out, (as_str){packed, n}, "f", 0, &err), ASSAY_FORMAT);
    as_buf_free(&out);
}

static void test_table_bounds_what_a_small_file_unpacks_to(void **state) {
    (void)state;
    const size_t size = 8 << 20, cap = 64 << 10;
    char *const zeros = as_calloc(size, 1), *const packed = as_alloc(cap, 1);
    for (int k = 0; k < 2; k++) {
        const size_t n = k == 0 ? gzip_bytes(packed, cap, zeros, size)
                                : ZSTD_compress(packed, cap, zeros, size, 3);
        as_buf out = {0};
        as_err err = {0};
        assert_int_equal(as_decompress(&out, (as_str){packed, n}, "bomb.gz", 1000000, &err),
                         ASSAY_NOMEM);
        assert_string_equal(err.msg, "bomb.gz: unpacks to more than 1 MB");
        assert_true(out.n <= 1000000);
        as_buf_free(&out);
        assert_int_equal(as_decompress(&out, (as_str){packed, n}, "ok", size, &err), ASSAY_OK);
        assert_int_equal(out.n, size);
        as_buf_free(&out);
    }
    as_free(packed);
    as_free(zeros);
}

static void test_table_opens_files_by_content(void **state) {
    (void)state;
    char path[] = "/tmp/assay-table-XXXXXX", named[64], packed[256];
    const int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    const struct {
        const char *suffix;
        bool pack;
    } cases[] = {{".csv", false}, {".csv.gz", true}, {".csv.zst", true}, {".csv", true}};
    for (size_t i = 0; i < AS_COUNT(cases); i++) {
        as_table *t = NULL;
        as_err err = {0};
        snprintf(named, sizeof named, "%s%s", path, cases[i].suffix);
        const size_t n = gzip_bytes(packed, sizeof packed, "a,b\n1,2\n", 8);
        assert_int_equal(as_file_write(named, cases[i].pack ? packed : "a,b\n1,2\n",
                                       cases[i].pack ? n : 8, &err),
                         ASSAY_OK);
        if (as_table_open(&t, named, &(as_table_opts){0}, &err) != ASSAY_OK)
            fail_msg("%s", err.msg);
        assert_true(as_str_is(as_table_cell(t, 0, 1), "2"));
        assert_string_equal(as_table_path(t), named);
        as_table_free(t);
        unlink(named);
    }
    as_table *t = NULL;
    as_err err = {0};
    assert_int_equal(as_table_open(&t, "no/such/file.csv", &(as_table_opts){0}, &err), ASSAY_IO);
    assert_null(t);
    unlink(path);
}

static void test_table_survives_every_failed_allocation(void **state) {
    (void)state;
    static const struct {
        const char *file, *text;
        as_table_opts opts;
    } cases[] = {
        {"t.csv", "a,b\n\"1\",2\n3,4\n", {0}},
        {"t.csv", "1,2\n3,4\n", {.columns = "x,y"}},
        {"t.csv", "a\ncaf\xE9\n", {.encoding = AS_LATIN1}},
        {"t.csv", "a\ncaf\xE9\n", {.encoding = AS_UTF8_LOSSY}},
        {"t.jsonl", "{\"a\":1,\"b\":[1, 2]}\n{\"c\":\"x\"}\n", {0}},
        {"t", "x\ny\n", {.format = AS_TABLE_LINES}},
    };
    const int64_t before = as_mem_live_blocks();
    for (size_t i = 0; i < AS_COUNT(cases); i++) {
        for (int64_t n = 1;; n++) {
            as_table *t = NULL;
            as_err err = {0};
            as_mem_fail_after(n);
            const as_status s =
                as_table_parse(&t, as_str_of(cases[i].text), cases[i].file, &cases[i].opts, &err);
            as_mem_fail_after(0);
            as_table_free(t);
            assert_int_equal(as_mem_live_blocks(), before);
            if (s == ASSAY_OK) {
                assert_true(n > 4);
                break;
            }
            assert_int_equal(s, ASSAY_NOMEM);
        }
    }
}

static double seconds_to_read(const as_buf *text, const char *name, int64_t rows) {
    as_table *t = NULL;
    as_err err = {0};
    const clock_t begin = clock();
    if (as_table_parse(&t, as_buf_view(text), name, &(as_table_opts){0}, &err) != ASSAY_OK)
        fail_msg("%s", err.msg);
    const double seconds = (double)(clock() - begin) / CLOCKS_PER_SEC;
    assert_int_equal(as_table_rows(t), rows);
    print_message("%s: %.0f MB in %.0f ms\n", name, (double)text->n / 1e6, seconds * 1e3);
    as_table_free(t);
    return seconds;
}

/* Sizes that would show a quadratic reader; the bounds are loose, for sanitizers and busy machines.
 */
static void test_table_reads_large_files_and_long_lines_in_time(void **state) {
    (void)state;
    as_buf text = {0};
    as_buf_str(&text, "id,label,text\n");
    for (int i = 0; i < 200000; i++)
        as_buf_fmt(&text, "%d,%d,\"a text of usual length, with \"\"quotes\"\" and a number %d\"\n",
                   i, i % 2, i);
    assert_true(seconds_to_read(&text, "many.csv", 200000) < 5.0);
    as_buf_clear(&text);
    for (int i = 0; i < 100000; i++)
        as_buf_fmt(
            &text,
            "{\"id\":%d,\"text\":\"a text of usual length\\nwith \\u00e9scapes\",\"l\":[1, 2]}\n",
            i);
    assert_true(seconds_to_read(&text, "many.jsonl", 100000) < 5.0);
    as_buf_clear(&text);
    for (int i = 0; i < 50000; i++)
        as_buf_fmt(&text, "{\"key%d\":%d}\n", i, i);
    assert_true(seconds_to_read(&text, "keys.jsonl", 50000) < 5.0);
    as_buf_clear(&text);
    as_buf_str(&text, "a,b\n");
    for (int i = 0; i < 8; i++) {
        as_buf_char(&text, '"');
        for (int k = 0; k < 1 << 20; k++)
            as_buf_char(&text, k % 64 == 63 ? '\n' : 'x');
        as_buf_str(&text, "\",1\n");
    }
    assert_true(seconds_to_read(&text, "long.csv", 8) < 5.0);
    as_buf_free(&text);
}

/* The shared data as they lie there; rows: the published sizes. cols 0: not checked. */
// clang-format off
static const struct { const char *path; as_table_opts opts; int64_t rows; int cols; } real[] = {
    {"sst/stsa.binary.train", {.sep = ' ', .max_split = 1, .columns = "label,text", .no_header = true}, 6920, 2},
    {"sst/stsa.binary.dev", {.sep = ' ', .max_split = 1, .columns = "label,text", .no_header = true}, 872, 2},
    {"sst/stsa.binary.test", {.sep = ' ', .max_split = 1, .columns = "label,text", .no_header = true}, 1821, 2},
    {"sst/stsa.fine.train", {.sep = ' ', .max_split = 1, .columns = "label,text", .no_header = true}, 8544, 2},
    {"trec/TREC.train.all", {.sep = ' ', .max_split = 1, .columns = "label,text", .encoding = AS_LATIN1}, 5452, 2},
    {"trec/TREC.test.all", {.sep = ' ', .max_split = 1, .columns = "label,text", .encoding = AS_LATIN1}, 500, 2},
    {"mr-polarity/rt-polarity.all", {.sep = ' ', .max_split = 1, .columns = "label,text", .encoding = AS_LATIN1}, 10662, 2},
    {"ag_news/test.csv", {.no_header = true}, 7600, 3},
    {"stsb/stsb-en-train.csv", {.columns = "a,b,score", .no_header = true}, 5749, 3},
    {"stsb/stsb-zh-dev.csv", {.columns = "a,b,score", .no_header = true}, 1500, 3},
    {"stsb/stsb-de-test.csv", {.columns = "a,b,score", .no_header = true}, 1379, 3},
    {"mrpc/msr_paraphrase_train.txt", {.format = AS_TABLE_TSV, .no_quotes = true}, 4076, 5},
    {"mrpc/msr_paraphrase_test.txt", {.sep = '\t', .no_quotes = true}, 1725, 5},
    {"cola/in_domain_train.tsv", {.no_header = true, .no_quotes = true}, 8551, 4},
    {"cola/in_domain_dev.tsv", {.no_header = true, .no_quotes = true}, 527, 4},
    {"qnli/dev.tsv", {.no_quotes = true}, 5463, 4},
    {"truthfulqa/TruthfulQA.csv", {0}, 817, 7},
    {"crows-pairs/crows_pairs_anonymized.csv", {0}, 1508, 8},
    {"gsm8k/train.jsonl", {0}, 7473, 2},
    {"commonsenseqa/train.jsonl", {0}, 9741, 0},
    {"superglue-val/BoolQ/val.jsonl", {0}, 3270, 0},
    {"multi30k/train.de.gz", {.format = AS_TABLE_LINES}, 29000, 1},
    {"chnsenticorp-zh/waimai_10k/waimai_10k.csv", {0}, 11987, 2},
    {"chnsenticorp-zh/ChnSentiCorp_htl_all/ChnSentiCorp_htl_all.csv", {0}, 7766, 2},
};
// clang-format on

static void test_table_reads_real_files_as_they_lie(void **state) {
    (void)state;
    const char *const data = getenv("ASSAY_DATA");
    if (data == NULL) skip();
    for (size_t i = 0; i < AS_COUNT(real); i++) {
        as_table *t = NULL;
        as_err err = {0};
        char *const path = as_path_join(data, real[i].path);
        if (as_table_open(&t, path, &real[i].opts, &err) != ASSAY_OK)
            fail_msg("%s hint: %s", err.msg, err.hint);
        if (as_table_rows(t) != real[i].rows ||
            (real[i].cols > 0 && as_table_cols(t) != real[i].cols))
            fail_msg("%s: %lld rows, %d columns", real[i].path, (long long)as_table_rows(t),
                     as_table_cols(t));
        for (int64_t r = 0; strncmp(real[i].path, "sst/stsa.binary", 15) == 0 && r < real[i].rows;
             r++) {
            const as_str label = as_table_cell(t, r, 0);
            assert_true(label.n == 1 && (label.p[0] == '0' || label.p[0] == '1') &&
                        as_table_cell(t, r, 1).n > 0);
        }
        as_free(path);
        as_table_free(t);
    }
}

static void test_table_names_the_encoding_trouble_of_a_real_file(void **state) {
    (void)state;
    const char *const data = getenv("ASSAY_DATA");
    if (data == NULL) skip();
    char *const path = as_path_join(data, "trec/TREC.train.all");
    const as_table_opts opts = {.sep = ' ', .max_split = 1, .columns = "label,text"};
    as_table *t = NULL;
    as_err err = {0};
    assert_int_equal(as_table_open(&t, path, &opts, &err), ASSAY_FORMAT);
    assert_non_null(strstr(err.msg, "is not valid UTF-8 (0x"));
    assert_non_null(strstr(err.hint, "--encoding latin-1"));
    as_free(path);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table_reads_every_form),
        cmocka_unit_test(test_table_keeps_nul_bytes_and_counts_replacements),
        cmocka_unit_test(test_table_names_the_place_of_every_error),
        cmocka_unit_test(test_table_finds_columns_by_name_and_number),
        cmocka_unit_test(test_table_csv_equals_python_on_hard_inputs),
        cmocka_unit_test(test_table_unpacks_gzip_and_zstd_with_many_members),
        cmocka_unit_test(test_table_refuses_damaged_and_foreign_packings),
        cmocka_unit_test(test_table_bounds_what_a_small_file_unpacks_to),
        cmocka_unit_test(test_table_opens_files_by_content),
        cmocka_unit_test(test_table_survives_every_failed_allocation),
        cmocka_unit_test(test_table_reads_large_files_and_long_lines_in_time),
        cmocka_unit_test(test_table_reads_real_files_as_they_lie),
        cmocka_unit_test(test_table_names_the_encoding_trouble_of_a_real_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
