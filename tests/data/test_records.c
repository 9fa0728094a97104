#include "data/data_check.h"
#include <math.h>

static as_str cstr(const char *s) { return as_str_of(s); }

/* ---- columns ---- */

static void test_records_default_columns_are_predictable(void **state) {
    (void)state;
    static const struct { const char *csv, *text, *label; } cases[] = {
        {"sentence,text,label\na,b,x\n", "b", "x"},
        {"sentence,label,more\na,x,y\n", "a", "x"},
        {"comment\na\n", "a", NULL},
        {"label\na\n", "a", NULL}, /* the only column is the text */
        {"text,stars\na,5\n", "a", NULL},
    };
    for (size_t i = 0; i < AS_COUNT(cases); i++) {
        as_records r;
        as_err err;
        const as_data_cols opts = {0};
        must(read_text(&r, "d.csv", cases[i].csv, &opts, NULL, &err), err);
        assert_int_equal(r.n, 1);
        assert_true(as_str_is(r.v[0].text, cases[i].text));
        assert_int_equal(r.has_label, cases[i].label != NULL);
        assert_int_equal(r.kind, cases[i].label ? AS_LABEL_CLASS : AS_LABEL_NONE);
        if (cases[i].label) assert_string_equal(r.labels.names[r.v[0].label], cases[i].label);
        else assert_int_equal(r.v[0].label, -1);
        assert_false(r.has_pair);
        assert_null(r.v[0].pair.p);
        as_records_free(&r);
    }
}

static void test_records_named_columns_fill_the_fields(void **state) {
    (void)state;
    as_records r;
    as_err err;
    const char *csv = "key,a,b,who,y\nk1,one,two,w,0\nk2,,\"three\nfour\",,1\nk3,five,,w,0\n";
    const as_data_cols opts = {.text = "a", .pair = "b", .label = "y", .id = "1", .cluster = "who"};
    must(read_text(&r, "d.csv", csv, &opts, NULL, &err), err);
    static const struct { const char *id, *text, *pair, *cluster; int64_t line; int label; } want[] = {
        {"k1", "one", "two", "w", 2, 0}, {"k2", "", "three\nfour", "", 3, 1}, {"k3", "five", "", "w", 5, 0},
    };
    assert_int_equal(r.n, 3);
    assert_true(r.has_pair && r.has_label);
    for (int i = 0; i < 3; i++) {
        assert_true(as_str_is(r.v[i].id, want[i].id) && as_str_is(r.v[i].text, want[i].text));
        assert_non_null(r.v[i].pair.p);
        assert_true(as_str_is(r.v[i].pair, want[i].pair) && as_str_is(r.v[i].cluster, want[i].cluster));
        assert_int_equal(r.v[i].line, want[i].line);
        assert_int_equal(r.v[i].label, want[i].label);
    }
    as_records_free(&r);
}

static void test_records_are_numbered_and_limited(void **state) {
    (void)state;
    as_buf csv = {0};
    as_records r;
    as_err err;
    as_buf_str(&csv, "text\n");
    for (int i = 0; i < 1203; i++) as_buf_fmt(&csv, "t%d\n", i);
    as_data_cols opts = {.limit = 0};
    must(read_text(&r, "d.csv", csv.p, &opts, NULL, &err), err);
    assert_int_equal(r.n, 1203);
    for (int i = 0; i < 1203; i++) {
        char id[16];
        snprintf(id, sizeof id, "%d", i);
        assert_true(as_str_is(r.v[i].id, id));
    }
    as_records_free(&r);
    opts.limit = 7;
    must(read_text(&r, "d.csv", csv.p, &opts, NULL, &err), err);
    assert_int_equal(r.n, 7);
    as_records_free(&r);
    as_buf_free(&csv);
}

/* ---- labels ---- */

static void test_records_label_order_never_depends_on_appearance(void **state) {
    (void)state;
    static const struct { const char *name, *csv, *want; } cases[] = {
        {"integers by value", "text,label\na,10\nb,9\nc,-1\nd,10\n", "-1 9 10"},
        {"equal integers by bytes", "text,label\na,1\nb,01\nc,0\n", "0 01 1"},
        {"one that is none: all by bytes", "text,label\na,10\nb,9\nc,x\n", "10 9 x"},
        {"reals by bytes", "text,label\na,2.0\nb,10.0\n", "10.0 2.0"},
        {"bytes, not letters", "text,label\na,b\nb,B\nc,\xc3\xa9\nd,a\n", "B a b \xc3\xa9"},
        {"white space is kept", "text,label\na,x\nb, x\nc,x \n", " x x x "},
        {"CRLF is no part", "text,label\r\na,x\r\nb,y\r\n", "x y"},
    };
    for (size_t i = 0; i < AS_COUNT(cases); i++) {
        as_records r;
        as_err err;
        as_buf got = {0};
        const as_data_cols opts = {0};
        must(read_text(&r, "d.csv", cases[i].csv, &opts, NULL, &err), err);
        for (int k = 0; k < r.labels.count; k++) as_buf_fmt(&got, "%s%s", k ? " " : "", r.labels.names[k]);
        if (strcmp(got.p, cases[i].want) != 0) fail_msg("%s: %s", cases[i].name, got.p);
        as_buf_free(&got);
        as_records_free(&r);
    }
}

static char *names_abc[] = {"c", "a", "b"}, *names_generic[] = {"LABEL_0", "LABEL_1", "LABEL_2"},
            *names_almost[] = {"LABEL_0", "LABEL_2", "LABEL_1"};
static const as_labels abc = {names_abc, 3}, generic = {names_generic, 3}, almost = {names_almost, 3};

static void test_records_known_labels_give_the_ids(void **state) {
    (void)state;
    static const struct { const char *name, *labels, *csv; const as_labels *known; int want[2]; const char *first; } cases[] = {
        {"known by name", NULL, "text,label\nx,a\ny,c\n", &abc, {1, 0}, "c"},
        {"option before known", "b,c,a", "text,label\nx,a\ny,c\n", &abc, {2, 1}, "b"},
        {"option as JSON", "[\"b\",\"x,y\",\"a\"]", "text,label\nx,a\ny,\"x,y\"\n", &abc, {2, 1}, "b"},
        {"option reverses integers", "1,0", "text,label\nx,1\ny,0\n", NULL, {0, 1}, "1"},
        {"generic known, integers: by id", NULL, "text,label\nx,2\ny,0\n", &generic, {2, 0}, "0"},
        {"generic known by name", NULL, "text,label\nx,LABEL_2\ny,LABEL_0\n", &generic, {2, 0}, "LABEL_0"},
        {"generic names in other order, by name", NULL, "text,label\nx,LABEL_2\ny,LABEL_0\n", &almost, {1, 0}, "LABEL_0"},
    };
    for (size_t i = 0; i < AS_COUNT(cases); i++) {
        as_records r;
        as_err err;
        const as_data_cols opts = {.labels = cases[i].labels};
        must(read_text(&r, "d.csv", cases[i].csv, &opts, cases[i].known, &err), err);
        if (r.v[0].label != cases[i].want[0] || r.v[1].label != cases[i].want[1] ||
            strcmp(r.labels.names[0], cases[i].first) != 0)
            fail_msg("%s: %d %d %s", cases[i].name, r.v[0].label, r.v[1].label, r.labels.names[0]);
        as_records_free(&r);
    }
}

static void test_records_without_labels_keep_the_known_names(void **state) {
    (void)state;
    as_records r;
    as_err err;
    as_data_cols opts = {0};
    must(read_text(&r, "d.csv", "text\nx\n", &opts, &abc, &err), err);
    assert_int_equal(r.labels.count, 3);
    as_records_free(&r);
    opts.label_ignored = true;
    must(read_text(&r, "d.csv", "text,label\nx,unheard of\n", &opts, &abc, &err), err);
    assert_true(!r.has_label && r.v[0].label == -1 && r.kind == AS_LABEL_NONE);
    as_records_free(&r);
    opts.label_ignored = false;
    must(read_text(&r, "d.csv", "text,label\nx,\ny,b\n", &opts, &abc, &err), err);
    assert_true(r.v[0].label == -1 && r.v[1].label == 2);
    as_records_free(&r);
}

static void test_records_multilabel_cells_become_sets(void **state) {
    (void)state;
    as_records r;
    as_err err;
    const as_data_cols opts = {.kind = AS_LABEL_MULTI, .label_required = true};
    static const char csv[] = "text,label\na,joy;anger\nb,\nc,\"[\"\"love\"\", \"\"joy\"\"]\"\nd,[]\ne,love;love\n";
    static const uint8_t want[5][3] = {{1, 1, 0}, {0, 0, 0}, {0, 1, 1}, {0, 0, 0}, {0, 0, 1}};
    must(read_text(&r, "d.csv", csv, &opts, NULL, &err), err);
    assert_int_equal(r.labels.count, 3);
    assert_string_equal(r.labels.names[0], "anger");
    for (int i = 0; i < 5; i++) assert_memory_equal(r.v[i].set, want[i], 3);
    as_records_free(&r);
    const as_data_cols loose = {.kind = AS_LABEL_MULTI};
    must(read_text(&r, "d.jsonl", "{\"text\":\"a\",\"label\":[1,10,2]}\n{\"text\":\"b\"}\n{\"text\":\"c\",\"label\":\"2\"}\n",
                   &loose, NULL, &err), err);
    assert_string_equal(r.labels.names[2], "10");
    assert_memory_equal(r.v[0].set, ((const uint8_t[]){1, 1, 1}), 3);
    assert_null(r.v[1].set);
    assert_memory_equal(r.v[2].set, ((const uint8_t[]){0, 1, 0}), 3);
    as_records_free(&r);
}

static void test_records_values_are_numbers(void **state) {
    (void)state;
    as_records r;
    as_err err;
    const as_data_cols opts = {.kind = AS_LABEL_VALUE};
    must(read_text(&r, "d.csv", "text,label\na,3.25\nb,-1e-3\nc,\n", &opts, NULL, &err), err);
    assert_true(r.v[0].value == 3.25 && r.v[1].value == -1e-3 && isnan(r.v[2].value));
    assert_int_equal(r.v[0].label, -1);
    as_records_free(&r);
}

/* ---- errors ---- */

static void test_records_bad_input_is_one_clear_error(void **state) {
    (void)state;
    static const struct {
        const char *name, *file, *text;
        as_data_cols opts;
        const as_labels *known;
        as_status want;
        const char *msg, *hint;
    } cases[] = {
        {"no text column", "t.csv", "a,b\n1,2\n", {.limit = 0}, NULL, AS_USAGE, "t.csv:1: no column \"text\"", "a, b"},
        {"unknown column", "t.csv", "a,sentence\n1,2\n", {.text = "sentense"}, NULL, AS_USAGE, "t.csv:1: no column \"sentense\"",
         "did you mean \"sentence\""},
        {"no label column", "t.csv", "text,stars\n1,2\n", {.label_required = true}, NULL, AS_USAGE,
         "t.csv:1: no column \"label\"", "text, stars; name the one to use with --label"},
        {"unknown label", "train.csv", "text,label\nx,negative\ny,positve\n", {.labels = "negative,positive"}, NULL, AS_FORMAT,
         "train.csv:3: label \"positve\" is not one of negative, positive", "Did you mean \"positive\"?"},
        {"unknown label, known names", "t.csv", "text,label\nx,a\ny,zebra\n", {.limit = 0}, &abc, AS_FORMAT,
         "t.csv:3: label \"zebra\" is not one of c, a, b", "--labels"},
        {"numbers for names", "t.csv", "text,label\nx,0\n", {.limit = 0}, &abc, AS_FORMAT, "t.csv:2: label \"0\"", "--labels 0,1"},
        {"number beyond the generic names", "t.csv", "text,label\nx,0\ny,3\n", {.limit = 0}, &generic, AS_FORMAT,
         "t.csv:2: label \"0\"", "--labels"},
        {"names in odd order are not generic", "t.csv", "text,label\nx,0\n", {.limit = 0}, &almost, AS_FORMAT, "t.csv:2: label \"0\"", ""},
        {"odd integers are no ids", "t.csv", "text,label\nx,00\n", {.limit = 0}, &generic, AS_FORMAT, "t.csv:2: label \"00\"", ""},
        {"first unknown row is named", "t.csv", "text,label\nx,a\ny,q\nz,p\n", {.limit = 0}, &abc, AS_FORMAT, "t.csv:3: label \"q\"", ""},
        {"empty label", "t.csv", "text,label\nx,a\ny,\n", {.label_required = true}, NULL, AS_FORMAT, "t.csv:3: empty label", "record"},
        {"empty number", "t.csv", "text,label\nx,\n", {.label_required = true, .kind = AS_LABEL_VALUE}, NULL, AS_FORMAT,
         "t.csv:2: empty label", ""},
        {"not a number", "t.csv", "text,label\nx,1\ny,good\n", {.kind = AS_LABEL_VALUE}, NULL, AS_FORMAT,
         "t.csv:3: label \"good\" is not a finite number", "--kind classify"},
        {"not finite", "t.csv", "text,label\nx,nan\n", {.kind = AS_LABEL_VALUE}, NULL, AS_FORMAT, "t.csv:2: label \"nan\"", ""},
        {"empty part", "t.csv", "text,label\nx,a;;b\n", {.kind = AS_LABEL_MULTI}, NULL, AS_FORMAT, "t.csv:2: empty label in a list", ""},
        {"bad list", "t.csv", "text,label\nx,\"['a']\"\n", {.kind = AS_LABEL_MULTI}, NULL, AS_FORMAT, "t.csv:2:", "JSON"},
        {"nested list", "t.csv", "text,label\nx,[[1]]\n", {.kind = AS_LABEL_MULTI}, NULL, AS_FORMAT, "t.csv:2: label 1 of a list", "flat"},
        {"unknown label in a list", "t.csv", "text,label\nx,a\ny,a;bb\n", {.kind = AS_LABEL_MULTI}, &abc, AS_FORMAT,
         "t.csv:3: label \"bb\" is not one of c, a, b", ""},
        {"null list", "t.jsonl", "{\"text\":\"a\",\"label\":null}\n", {.kind = AS_LABEL_MULTI, .label_required = true}, NULL,
         AS_FORMAT, "t.jsonl:1: empty label", ""},
        {"two equal ids", "t.csv", "text,id\na,7\nb,8\nc,7\n", {.id = "id"}, NULL, AS_FORMAT,
         "t.csv:4: id \"7\" is already that of line 2", "unique"},
        {"empty id", "t.csv", "text,id\na,\n", {.id = "id"}, NULL, AS_FORMAT, "t.csv:2: empty id", ""},
        {"no text in JSONL", "t.jsonl", "{\"text\":\"a\"}\n{\"txt\":\"b\"}\n", {.limit = 0}, NULL, AS_FORMAT, "t.jsonl:2: no text", ""},
        {"labels option with a gap", "t.csv", "text,label\na,b\n", {.labels = "a,,b"}, NULL, AS_USAGE, "--labels: empty label", ""},
        {"labels option twice the same", "t.csv", "text,label\na,b\n", {.labels = "a,b,a"}, NULL, AS_USAGE,
         "--labels: 3 names, of which 2 differ", "id order"},
        {"labels option empty", "t.csv", "text,label\na,b\n", {.labels = ""}, NULL, AS_USAGE, "--labels: 0 names", ""},
        {"labels option bad JSON", "t.csv", "text,label\na,b\n", {.labels = "[a"}, NULL, AS_USAGE, "--labels", "JSON"},
    };
    for (size_t i = 0; i < AS_COUNT(cases); i++) {
        as_records r;
        as_err err;
        const as_status got = read_text(&r, cases[i].file, cases[i].text, &cases[i].opts, cases[i].known, &err);
        if (got != cases[i].want || err.status != cases[i].want || !strstr(err.msg, cases[i].msg) ||
            !strstr(err.hint, cases[i].hint) || !err.hint[0])
            fail_msg("%s: status %d: %s / %s", cases[i].name, (int)got, err.msg, err.hint);
        assert_null(r.v);
        assert_null(r.table);
    }
}

static void test_records_without_records_is_an_error(void **state) {
    (void)state;
    as_records r;
    as_err err;
    const as_data_cols opts = {0};
    assert_int_equal(read_text(&r, "t.csv", "text,label\n", &opts, NULL, &err), AS_FORMAT);
    assert_non_null(strstr(err.msg, "t.csv"));
    assert_true(err.hint[0] != 0);
}

static void test_records_list_only_some_of_many_labels(void **state) {
    (void)state;
    char text[150][16], *names[150];
    as_records r;
    as_err err;
    const as_data_cols opts = {0};
    for (int i = 0; i < 150; i++) {
        snprintf(text[i], sizeof text[i], "class %03d", i);
        names[i] = text[i];
    }
    const as_labels many = {names, 150};
    assert_int_equal(read_text(&r, "t.csv", "text,label\na,klass 149\n", &opts, &many, &err), AS_FORMAT);
    assert_non_null(strstr(err.msg, "class 011... (150 labels)"));
    assert_non_null(strstr(err.hint, "class 149"));
}

/* ---- hashes and gold ---- */

static uint64_t hash_of(const char *csv, const as_data_cols *opts, const as_labels *known) {
    as_records r;
    as_err err;
    must(read_text(&r, "t.csv", csv, opts, known, &err), err);
    const uint64_t h = as_record_hash(&r.v[0], &r);
    as_records_free(&r);
    return h;
}

static void test_records_hash_is_of_content_not_of_ids_or_places(void **state) {
    (void)state;
    const as_data_cols one = {0}, two = {.pair = "pair"}, value = {.kind = AS_LABEL_VALUE}, multi = {.kind = AS_LABEL_MULTI};
    const uint64_t base = hash_of("text,label\nab,x\n", &one, NULL);
    assert_true(base == hash_of("label,text,id\nx,ab,9\n", &one, NULL));
    assert_true(base == hash_of("text,label\nab,x\ncd,a\n", &one, NULL)); /* x has another id here */
    assert_true(base != hash_of("text,label\nab,y\n", &one, NULL));
    assert_true(base != hash_of("text,label\nab ,x\n", &one, NULL));
    assert_true(base != hash_of("text\nab\n", &one, NULL));
    assert_true(base != hash_of("text,pair,label\nab,,x\n", &two, NULL));
    assert_true(hash_of("text,pair,label\na,b,x\n", &two, NULL) != hash_of("text,pair,label\nab,,x\n", &two, NULL));
    assert_true(hash_of("text,label\nab,5\n", &value, NULL) == hash_of("text,label\nab,5.0\n", &value, NULL));
    assert_true(hash_of("text,label\nab,5\n", &value, NULL) != hash_of("text,label\nab,6\n", &value, NULL));
    assert_true(hash_of("text,label\nab,a;b\n", &multi, NULL) == hash_of("text,label\nab,b;a\n", &multi, &abc));
    assert_true(hash_of("text,label\nab,a;b\n", &multi, NULL) != hash_of("text,label\nab,a\n", &multi, NULL));
    /* integers by id under generic names: as without a checkpoint */
    assert_true(hash_of("text,label\nab,1\n", &one, NULL) == hash_of("text,label\nab,1\n", &one, &generic));
}

static void test_records_gold_is_what_the_data_says(void **state) {
    (void)state;
    static const struct { const char *csv; as_label_kind kind; const char *want; } cases[] = {
        {"text,label\na,x y\n", AS_LABEL_CLASS, "x y"},
        {"text,label\na,2.50\n", AS_LABEL_VALUE, "2.5"},
        {"text,label\na,b;a\n", AS_LABEL_MULTI, "[\"a\",\"b\"]"},
        {"text,label\na,\n", AS_LABEL_MULTI, "[]"},
        {"text,label\na,\n", AS_LABEL_CLASS, ""},
        {"text,label\na,\n", AS_LABEL_VALUE, ""},
    };
    for (size_t i = 0; i < AS_COUNT(cases); i++) {
        as_records r;
        as_err err;
        as_buf got = {0};
        const as_data_cols opts = {.kind = cases[i].kind};
        must(read_text(&r, "t.csv", cases[i].csv, &opts, NULL, &err), err);
        as_record_gold(&got, &r.v[0], &r);
        assert_true(as_str_eq(as_buf_view(&got), cstr(cases[i].want)));
        as_buf_free(&got);
        as_records_free(&r);
    }
}

static void test_records_survive_failing_allocations(void **state) {
    (void)state;
    static const char csv[] = "text,label,id,cluster\na,x;y,1,k\nb,\"[\"\"y\"\"]\",2,k\nc,,3,\n";
    const as_data_cols opts = {.kind = AS_LABEL_MULTI, .id = "id", .cluster = "cluster"};
    for (int64_t n = 1;; n++) {
        as_records r = {0};
        as_err err;
        as_mem_fail_after(n);
        const as_status status = read_text(&r, "t.csv", csv, &opts, NULL, &err);
        as_mem_fail_after(0);
        as_records_free(&r);
        assert_int_equal(as_mem_live_blocks(), 0);
        if (status == AS_OK) {
            assert_true(n > 10);
            return;
        }
        assert_int_equal(status, AS_NOMEM);
    }
}

/* ---- values that stand for names, texts of several columns ---- */

static void test_records_values_stand_for_the_names_in_id_order(void **state) {
    (void)state;
    static const struct { const char *csv, *labels, *values; int ids[3]; as_status want; } cases[] = {
        {"text,label\na,0\nb,1\nc,1\n", "no,yes", "0,1", {0, 1, 1}, AS_OK},
        {"text,label\na,2\nb,1\nc,0\n", "x,y,z", "2,1,0", {0, 1, 2}, AS_OK},
        {"text,label\na,yes\nb,0\nc,no\n", "no,yes", "0,1", {1, 0, 0}, AS_OK}, /* names serve as well */
        {"text,label\na,0\nb,1\nc,2\n", "no,yes", "0,1", {0}, AS_FORMAT},
        {"text,label\na,0\nb,1\nc,1\n", "no,yes", "0,1,2", {0}, AS_USAGE},
        {"text,label\na,0\nb,1\nc,1\n", "no,yes", "0,0", {0}, AS_USAGE},
    };
    for (size_t i = 0; i < AS_COUNT(cases); i++) {
        as_records r;
        as_err err;
        const as_data_cols opts = {.labels = cases[i].labels, .values = cases[i].values};
        assert_int_equal(read_text(&r, "d.csv", cases[i].csv, &opts, NULL, &err), cases[i].want);
        if (cases[i].want != AS_OK) continue;
        for (int k = 0; k < 3; k++) assert_int_equal(r.v[k].label, cases[i].ids[k]);
        const as_record kept = r.v[0];
        assert_string_equal(r.labels.names[kept.label], i == 1 ? "x" : i == 0 ? "no" : "yes");
        as_records_free(&r);
    }
}

static void test_records_values_stand_for_known_names(void **state) {
    (void)state;
    char no[] = "no", yes[] = "yes", *names[] = {no, yes};
    const as_labels known = {names, 2};
    as_records r;
    as_err err;
    const as_data_cols sets = {.values = "0,1", .kind = AS_LABEL_MULTI}, classes = {.values = "1,0"};
    must(read_text(&r, "d.csv", "text,label\na,1;0\nb,1\n", &sets, &known, &err), err);
    assert_true(r.v[0].set[0] && r.v[0].set[1] && !r.v[1].set[0] && r.v[1].set[1]);
    as_records_free(&r);
    must(read_text(&r, "d.csv", "text,label\na,1\nb,0\n", &classes, &known, &err), err);
    assert_int_equal(r.v[0].label, 0);
    assert_int_equal(r.v[1].label, 1);
    as_records_free(&r);
}

static void test_records_texts_are_composed_of_columns(void **state) {
    (void)state;
    static const struct { const char *csv, *text, *pair, *want, *want_pair; } cases[] = {
        {"a,b\none,two\n", "{a} {b}", NULL, "one two", NULL},
        {"a,b\none,two\n", "{a}", "x: {b}, {a}!", "one", "x: two, one!"},
        {"a,b\none,\n", "{{{a}}}{b}", NULL, "{one}", NULL},
        {"a b,c\none,two\n", "{1}{a b}", "c", "oneone", "two"},
        {"{a},b\none,two\n", "{a}", NULL, "one", NULL}, /* a column's name comes first */
        {"a,b\nä½ ,å¥½\n", "{a}ä¸­{b}", NULL, "ä½ ä¸­å¥½", NULL},
    };
    for (size_t i = 0; i < AS_COUNT(cases); i++) {
        as_records r;
        as_err err;
        const as_data_cols opts = {.text = cases[i].text, .pair = cases[i].pair};
        must(read_text(&r, "d.csv", cases[i].csv, &opts, NULL, &err), err);
        assert_true(as_str_is(r.v[0].text, cases[i].want));
        assert_int_equal(r.has_pair, cases[i].pair != NULL);
        assert_int_equal(r.v[0].pair.p != NULL, cases[i].pair != NULL);
        if (cases[i].pair) assert_true(as_str_is(r.v[0].pair, cases[i].want_pair));
        as_records_free(&r);
    }
    static const struct { const char *form, *says; } bad[] = {
        {"{a", "a { without its }"}, {"a}", "a } without its {"}, {"{}", "no name"}, {"{{a}}", "no column in it"}, {"{c}", "no column \"c\""},
    };
    for (size_t i = 0; i < AS_COUNT(bad); i++) {
        as_records r;
        as_err err;
        const as_data_cols opts = {.text = bad[i].form};
        assert_int_equal(read_text(&r, "d.csv", "a,b\none,two\n", &opts, NULL, &err), AS_USAGE);
        assert_non_null(strstr(err.msg, bad[i].says));
        assert_true(err.hint[0] != '\0');
    }
    as_records r;
    as_err err;
    const as_data_cols opts = {.text = "{a}{b}"};
    assert_int_equal(read_text(&r, "d.jsonl", "{\"a\":\"x\",\"b\":\"y\"}\n{\"a\":\"x\"}\n", &opts, NULL, &err), AS_FORMAT);
    assert_string_equal(err.msg, "d.jsonl:2: no \"b\"");
}

static void test_records_composed_texts_survive_failing_allocations(void **state) {
    (void)state;
    const as_data_cols opts = {.text = "{a}, {b}", .pair = "{b}", .labels = "no,yes", .values = "0,1"};
    for (int64_t n = 1;; n++) {
        as_records r = {0};
        as_err err;
        as_mem_fail_after(n);
        const as_status status = read_text(&r, "t.csv", "a,b,label\none,two,0\nthree,four,1\n", &opts, NULL, &err);
        as_mem_fail_after(0);
        as_records_free(&r);
        assert_int_equal(as_mem_live_blocks(), 0);
        if (status == AS_OK) break;
        assert_int_equal(status, AS_NOMEM);
    }
}

/* ---- real data ---- */

static const as_table_opts lines_of_label_and_text = {.sep = ' ', .max_split = 1, .no_header = true,
                                                      .columns = "label,text"};

static void test_records_read_sst_as_it_lies(void **state) {
    (void)state;
    static const struct { const char *file; int64_t n, positive; } cases[] = {
        {"sst/stsa.binary.train", 6920, 3610}, {"sst/stsa.binary.dev", 872, 444}, {"sst/stsa.binary.test", 1821, 909},
    };
    char room[512];
    for (size_t i = 0; i < AS_COUNT(cases); i++) {
        const char *path = data_file(room, sizeof room, cases[i].file);
        if (!path) skip();
        as_records r;
        as_err err = {0};
        int64_t positive = 0;
        const as_data_cols opts = {.table = lines_of_label_and_text, .label_required = true};
        must(as_records_open(&r, path, &opts, &generic, &err), err);
        for (int64_t k = 0; k < r.n; k++) positive += r.v[k].label == 1;
        assert_int_equal(r.n, cases[i].n);
        assert_int_equal(positive, cases[i].positive);
        as_records_free(&r);
    }
}

static void test_records_read_trec_as_latin_1_only(void **state) {
    (void)state;
    char room[512];
    const char *path = data_file(room, sizeof room, "trec/TREC.train.all");
    if (!path) skip();
    as_records r;
    as_err err = {0};
    as_data_cols opts = {.table = lines_of_label_and_text, .label_required = true};
    assert_int_equal(as_records_open(&r, path, &opts, NULL, &err), AS_FORMAT);
    opts.table.encoding = AS_LATIN1;
    must(as_records_open(&r, path, &opts, NULL, &err), err);
    assert_int_equal(r.n, 5452);
    assert_int_equal(r.labels.count, 6);
    assert_string_equal(r.labels.names[5], "5");
    assert_true(as_str_is(r.v[1].id, "1"));
    as_records_free(&r);
}

static void test_records_read_stsb_as_pairs_with_numbers(void **state) {
    (void)state;
    static const char *const files[] = {"stsb/stsb-en-dev.csv", "stsb/stsb-zh-dev.csv", "stsb/stsb-de-dev.csv"};
    char room[512];
    for (size_t i = 0; i < AS_COUNT(files); i++) {
        const char *path = data_file(room, sizeof room, files[i]);
        if (!path) skip();
        as_records r;
        as_err err = {0};
        double sum = 0;
        const as_data_cols opts = {.table = {.no_header = true}, .text = "1", .pair = "2", .label = "3",
                                   .kind = AS_LABEL_VALUE, .label_required = true};
        must(as_records_open(&r, path, &opts, NULL, &err), err);
        assert_int_equal(r.n, 1500);
        assert_true(r.v[0].value == 5.0 && r.v[1].value == 4.75);
        for (int64_t k = 0; k < r.n; k++) {
            assert_true(r.v[k].pair.n > 0 && r.v[k].value >= 0 && r.v[k].value <= 5);
            sum += r.v[k].value;
        }
        assert_true(sum / 1500 > 2.3 && sum / 1500 < 2.4);
        as_records_free(&r);
    }
}

static void test_records_read_ag_news(void **state) {
    (void)state;
    char room[512];
    const char *path = data_file(room, sizeof room, "ag_news/test.csv");
    if (!path) skip();
    as_records r;
    as_err err = {0};
    int64_t count[4] = {0};
    const as_data_cols opts = {.table = {.no_header = true, .columns = "label,title,text"}, .pair = "title",
                               .label_required = true};
    must(as_records_open(&r, path, &opts, NULL, &err), err);
    assert_int_equal(r.n, 7600);
    assert_int_equal(r.labels.count, 4);
    assert_string_equal(r.labels.names[0], "1");
    for (int64_t k = 0; k < r.n; k++) count[r.v[k].label]++;
    for (int c = 0; c < 4; c++) assert_int_equal(count[c], 1900);
    as_records_free(&r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_records_default_columns_are_predictable),
        TEST(test_records_named_columns_fill_the_fields),
        TEST(test_records_are_numbered_and_limited),
        TEST(test_records_label_order_never_depends_on_appearance),
        TEST(test_records_known_labels_give_the_ids),
        TEST(test_records_without_labels_keep_the_known_names),
        TEST(test_records_multilabel_cells_become_sets),
        TEST(test_records_values_are_numbers),
        TEST(test_records_bad_input_is_one_clear_error),
        TEST(test_records_without_records_is_an_error),
        TEST(test_records_list_only_some_of_many_labels),
        TEST(test_records_hash_is_of_content_not_of_ids_or_places),
        TEST(test_records_gold_is_what_the_data_says),
        TEST(test_records_survive_failing_allocations),
        TEST(test_records_values_stand_for_the_names_in_id_order),
        TEST(test_records_values_stand_for_known_names),
        TEST(test_records_texts_are_composed_of_columns),
        TEST(test_records_composed_texts_survive_failing_allocations),
        TEST(test_records_read_sst_as_it_lies),
        TEST(test_records_read_trec_as_latin_1_only),
        TEST(test_records_read_stsb_as_pairs_with_numbers),
        TEST(test_records_read_ag_news),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
