#include "base/hash.h"
#include "data/corpus_build.h"
#include "data/corpus_check.h"
#include <math.h>
#include <sys/stat.h>
#include <zlib.h>
#include <zstd.h>

typedef struct place { char dir[256], in[300], out[300]; as_tokenizer *tok; } place;

static void place_make(place *p) {
    folder_make(p->dir);
    p->tok = small_tokenizer(p->dir);
    snprintf(p->in, sizeof p->in, "%s/in", p->dir), snprintf(p->out, sizeof p->out, "%s/out", p->dir);
    assert_int_equal(mkdir(p->in, 0777), 0);
}
static void place_free(place *p) {
    as_tokenizer_free(p->tok);
    folder_remove(p->dir);
}

static as_corpus_opts opts_of(const place *p, const char *const *inputs, int64_t n, const char *rules) {
    as_corpus_opts o = {.inputs = inputs, .n_inputs = n, .tokenizer = p->tok, .out = p->out, .threads = 2, .progress_fd = -1, .again = true};
    as_err err = {0};
    must(as_corpus_rules_preset(&o.rules, rules, &err), err);
    return o;
}

static as_corpus_summary build(const as_corpus_opts *o) {
    as_corpus_summary s;
    as_err err = {0};
    must(as_corpus_build(o, &s, &err), err);
    return s;
}

/* Ids of a document of the training part as text: "2 4 | 3". */
static void document(as_buf *b, const char *dir, int64_t doc) {
    as_corpus *c;
    as_err err = {0};
    must(as_corpus_open(&c, dir, &err), err);
    as_buf_clear(b);
    for (int64_t s = 0; s < as_corpus_doc_segments(c, AS_CORPUS_TRAIN, doc); s++) {
        if (s > 0) as_buf_str(b, " |");
        for (int64_t i = as_corpus_segment_begin(c, AS_CORPUS_TRAIN, doc, s); i < as_corpus_segment_begin(c, AS_CORPUS_TRAIN, doc, s + 1); i++) {
            int32_t id;
            as_corpus_read(c, AS_CORPUS_TRAIN, doc, i, 1, &id);
            as_buf_fmt(b, "%s%d", b->n > 0 ? " " : "", id);
        }
    }
    as_corpus_close(c);
}

static void pack(const char *dir, const char *name, const char *text, bool zstd) {
    char path[400];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    if (!zstd) {
        gzFile f = gzopen(path, "wb");
        assert_non_null(f);
        assert_int_equal(gzwrite(f, text, (unsigned)strlen(text)), (int)strlen(text));
        gzclose(f);
        return;
    }
    char room[4096];
    as_err err = {0};
    const size_t n = ZSTD_compress(room, sizeof room, text, strlen(text), 3);
    assert_false(ZSTD_isError(n));
    must(as_file_write(path, room, n, &err), err);
}

/* ---- formats ---- */
static const struct { const char *name, *text, *doc0; int64_t docs; as_doc_unit unit; int packed; } formats[] = {
    {"a.txt", "good film\nbad\n\n \nfilm\n", "2 4 | 3", 2, AS_DOC_BLANK, 0},
    {"a.txt", "\xEF\xBB\xBFgood film\r\nbad\r\n\r\nfilm", "2 4 | 3", 2, AS_DOC_BLANK, 0},
    {"a.txt", "good film\nbad\n\nfilm\n", "2 4", 3, AS_DOC_LINE, 0},
    {"a.txt", "good film\nbad\n\nfilm\n", "2 4 | 3 | 4", 1, AS_DOC_FILE, 0},
    {"a.txt.gz", "good film\nbad\n\nfilm\n", "2 4 | 3", 2, AS_DOC_BLANK, 1},
    {"a.txt.zst", "good film\nbad\n\nfilm\n", "2 4 | 3", 2, AS_DOC_BLANK, 2},
    {"a.jsonl", "{\"text\":\"good film\\nbad\"}\n\n{\"id\":1,\"text\":\"film\"}\n{\"text\":null}\n", "2 4 | 3", 2, AS_DOC_BLANK, 0},
    {"a.jsonl.gz", "{\"text\":\"good film\\nbad\"}\n{\"text\":\"film\"}", "2 4 | 3", 2, AS_DOC_BLANK, 1},
    {"a.json", "[{\"text\":\"good film\\nbad\"},\n{\"text\":\"film\"}]", "2 4 | 3", 2, AS_DOC_BLANK, 0},
    {"a.csv", "id,text\n1,\"good film\nbad\"\n2,film\n", "2 4 | 3", 2, AS_DOC_BLANK, 0},
    {"a.csv", "id,text\n1,\"good \"\"film\"\"\nbad\"\n2,film\n\n\n", "2 1 4 1 | 3", 2, AS_DOC_BLANK, 0},
    {"a.tsv", "id\ttext\n1\tgood film\n2\tfilm\n", "2 4", 2, AS_DOC_BLANK, 0},
    {"zh.txt", "\xE4\xBD\xA0\xE5\xA5\xBD\xE4\xBD\xA0\n\xE5\xA5\xBD\n\nfilm", "6 7 6 | 7", 2, AS_DOC_BLANK, 0},
    {"nfc.txt", "\xE4\xBD\xA0\x01\xEF\xBB\xBF\xE5\xA5\xBD \t\n\n\n\n", "6 7", 1, AS_DOC_BLANK, 0}, /* control characters go, blanks at ends too */
};
static void test_corpus_reads_every_format(void **state) {
    (void)state;
    for (size_t i = 0; i < AS_COUNT(formats); i++) {
        place p;
        as_buf got = {0};
        place_make(&p);
        if (formats[i].packed == 0) file_make(p.in, formats[i].name, formats[i].text);
        else pack(p.in, formats[i].name, formats[i].text, formats[i].packed == 2);
        const char *const inputs[] = {p.in};
        as_corpus_opts o = opts_of(&p, inputs, 1, "basic");
        o.rules.value[AS_RULE_BOILERPLATE] = i % 2 ? NAN : 100;
        o.read.unit = formats[i].unit;
        for (int64_t piece = 1; piece <= 64; piece *= 4) { /* pieces of a few bytes, and whole files */
            o.read.piece_bytes = piece;
            const as_corpus_summary s = build(&o);
            document(&got, p.out, 0);
            if (s.docs[0] != formats[i].docs || strcmp(got.p, formats[i].doc0) != 0) fail_msg("case %zu, pieces of %" PRId64 ": %" PRId64 " documents, %s", i, piece, s.docs[0], got.p);
        }
        as_buf_free(&got);
        place_free(&p);
    }
}

static void test_corpus_folders_are_read_in_sorted_order(void **state) {
    (void)state;
    place p;
    char sub[340];
    as_buf got = {0};
    place_make(&p);
    snprintf(sub, sizeof sub, "%s/b", p.in);
    assert_int_equal(mkdir(sub, 0777), 0);
    file_make(p.in, "c.txt", "film"), file_make(p.in, "a.txt", "good"), file_make(sub, "z.txt", "bad"), file_make(p.in, ".hidden", "a a a");
    const char *const inputs[] = {p.in};
    const as_corpus_opts o = opts_of(&p, inputs, 1, "basic");
    const as_corpus_summary s = build(&o);
    assert_true(s.docs[0] == 3 && s.files == 3);
    static const char *const want[] = {"2", "3", "4"};
    for (int64_t i = 0; i < 3; i++) {
        document(&got, p.out, i);
        assert_string_equal(got.p, want[i]);
    }
    as_buf_free(&got);
    place_free(&p);
}

/* ---- errors ---- */
static const struct { const char *name, *text, *want; as_status status; } errors[] = {
    {"a.txt", "good\n\nbad \xFF film\n", "a.txt:3: byte 5 is not valid UTF-8", AS_FORMAT},
    {"a.jsonl", "{\"text\":\"good\"}\n{\"text\":\"bad\"}\n{\"text\":bad}\n", "a.jsonl:3: byte", AS_FORMAT},
    {"a.jsonl", "{\"txt\":\"good\"}\n", "no column \"text\"", AS_USAGE},
    {"a.csv", "id,text\n1,good\n2,\"bad\n3,film\n", "a.csv:3: the quote that opens here is never closed", AS_FORMAT},
    {"a.csv", "id,text\n1,good\n2,bad\n3,film,x\n", "a.csv:4: 3 cells", AS_FORMAT},
    {"a.txt", "", "hold no document", AS_FORMAT},
    {"a.txt", "\n \n", "hold no document", AS_FORMAT},
    {"a.txt.gz", "\x1F\x8B\x08 cut", "a.txt.gz: ", AS_FORMAT},
    {"a.txt", "BZh91AY&SYxxxx", "bzip2", AS_FORMAT},
};
static void test_corpus_errors_name_file_and_line(void **state) {
    (void)state;
    for (size_t i = 0; i < AS_COUNT(errors); i++)
        for (int64_t piece = 4; piece <= 4096; piece *= 32) {
            place p;
            as_err err = {0};
            place_make(&p);
            file_make(p.in, errors[i].name, errors[i].text);
            const char *const inputs[] = {p.in};
            as_corpus_opts o = opts_of(&p, inputs, 1, "basic");
            o.read.piece_bytes = piece;
            const as_status s = as_corpus_build(&o, NULL, &err);
            if (s != errors[i].status || strstr(err.msg, errors[i].want) == NULL) fail_msg("case %zu, pieces of %" PRId64 ": %d %s", i, piece, (int)s, err.msg);
            place_free(&p);
        }
}

static void test_corpus_inputs_that_are_not_there(void **state) {
    (void)state;
    place p;
    as_err err = {0};
    place_make(&p);
    const char *const none[] = {"/nonexistent/x"}, *const empty[] = {p.in};
    as_corpus_opts o = opts_of(&p, none, 1, "basic");
    assert_int_equal(as_corpus_build(&o, NULL, &err), AS_IO);
    o.inputs = empty;
    assert_int_equal(as_corpus_build(&o, NULL, &err), AS_IO);
    assert_non_null(strstr(err.msg, "holds no files"));
    file_make(p.in, "a.txt", "good");
    o.heldout = 1.5;
    assert_int_equal(as_corpus_build(&o, NULL, &err), AS_USAGE);
    place_free(&p);
}

/* ---- what is dropped is counted ---- */
static void test_corpus_counts_what_it_drops(void **state) {
    (void)state;
    place p;
    as_buf text = {0}, got = {0};
    as_err err = {0};
    place_make(&p);
    for (int i = 0; i < 5; i++) as_buf_fmt(&text, "Copyright by somebody\ngood film number %d\n\n", i); /* boilerplate from 5 documents on */
    as_buf_str(&text, "Good   FILM number 3\n\n");                                                      /* the fourth, once more */
    as_buf_str(&text, "bad\n\nbad\n\n");
    char path[340];
    snprintf(path, sizeof path, "%s/a.txt", p.in);
    must(as_file_write(path, text.p, text.n, &err), err);
    const char *const inputs[] = {p.in};
    as_corpus_opts o = opts_of(&p, inputs, 1, "basic");
    must(as_corpus_rules_set(&o.rules, "boilerplate=5", &err), err);
    must(as_corpus_rules_set(&o.rules, "near=off", &err), err);
    as_corpus_summary s = build(&o);
    assert_true(s.in_docs == 8 && s.in_lines == 13);
    assert_true(s.drop[AS_RULE_BOILERPLATE].lines == 5 && s.drop[AS_RULE_BOILERPLATE].bytes == 5 * 22 && s.drop[AS_RULE_BOILERPLATE].docs == 0);
    assert_true(s.drop[AS_RULE_EXACT].docs == 2 && s.docs[0] == 6);
    must(as_corpus_rules_set(&o.rules, "boilerplate=6", &err), err);
    s = build(&o);
    assert_true(s.drop[AS_RULE_BOILERPLATE].lines == 0 && s.docs[0] == 7);
    file_make(p.in, "b.txt", "good caf\xC3\xA9 film\n\ngood caf\x65\xCC\x81 film"); /* one text in two forms */
    s = build(&o);
    assert_true(s.drop[AS_RULE_NFC].lines == 1 && s.drop[AS_RULE_EXACT].docs == 2);
    must(as_corpus_rules_set(&o.rules, "nfc=off", &err), err);
    s = build(&o);
    assert_true(s.drop[AS_RULE_NFC].lines == 0 && s.drop[AS_RULE_EXACT].docs == 1);
    o.lang = "zh";
    assert_int_equal(as_corpus_build(&o, &s, &err), AS_FORMAT); /* nothing is left, and the rule is named */
    assert_non_null(strstr(err.hint, "lang"));
    as_buf_free(&text), as_buf_free(&got);
    place_free(&p);
}

/* ---- one result ---- */
static void make_text(as_buf *b, int docs, uint32_t seed) {
    static const char *const words[] = {"good", "bad", "film", "films", "a", "\xE4\xBD\xA0", "\xE5\xA5\xBD", "unknown", ".", "caf\x65\xCC\x81"};
    as_rng r = as_rng_at(seed, AS_STREAM_SAMPLE, 5);
    for (int d = 0; d < docs; d++) {
        const int lines = 1 + (int)as_rng_below(&r, 4);
        for (int l = 0; l < lines; l++) {
            const int n = 3 + (int)as_rng_below(&r, 20);
            for (int i = 0; i < n; i++) as_buf_fmt(b, "%s%s", i > 0 ? " " : "", words[as_rng_below(&r, AS_COUNT(words))]);
            as_buf_char(b, '\n');
        }
        as_buf_char(b, '\n');
    }
}

static void test_corpus_does_not_depend_on_threads_or_pieces(void **state) {
    (void)state;
    place p;
    as_buf text = {0};
    as_err err = {0};
    char path[340], first[65] = "";
    place_make(&p);
    make_text(&text, 600, 1);
    make_text(&text, 200, 1); /* again: duplicates */
    snprintf(path, sizeof path, "%s/a.txt", p.in);
    must(as_file_write(path, text.p, text.n, &err), err);
    const char *const inputs[] = {p.in};
    for (int threads = 1; threads <= 4; threads++) {
        as_corpus_opts o = opts_of(&p, inputs, 1, "basic");
        must(as_corpus_rules_set(&o.rules, "boilerplate=3", &err), err);
        o.threads = threads, o.heldout = 0.1, o.shard_tokens = 2000;
        o.read.piece_bytes = threads == 4 ? 0 : 3000 + 500 * threads;
        const as_corpus_summary s = build(&o);
        assert_true(s.docs[1] > 20 && s.docs[1] < 100 && s.shards[0] > 5 && s.drop[AS_RULE_EXACT].docs >= 190);
        if (threads == 1) memcpy(first, s.digest, sizeof first);
        assert_string_equal(s.digest, first);
    }
    as_buf_free(&text);
    place_free(&p);
}

/* A document is on the side that its text decides, whatever else there is. */
static void test_corpus_split_is_stable_when_documents_are_added(void **state) {
    (void)state;
    place p;
    as_buf text = {0};
    as_err err = {0};
    place_make(&p);
    make_text(&text, 300, 2);
    char path[340];
    snprintf(path, sizeof path, "%s/b.txt", p.in);
    must(as_file_write(path, text.p, text.n, &err), err);
    const char *const inputs[] = {p.in};
    as_corpus_opts o = opts_of(&p, inputs, 1, "none");
    o.heldout = 0.2;
    const as_corpus_summary before = build(&o);
    as_corpus *c;
    must(as_corpus_open(&c, p.out, &err), err);
    const int64_t n = as_corpus_doc_tokens(c, AS_CORPUS_HELDOUT, 0);
    int32_t *const ids = as_alloc((size_t)n, sizeof *ids), *const more = as_alloc((size_t)n, sizeof *more);
    as_corpus_read(c, AS_CORPUS_HELDOUT, 0, 0, n, ids);
    as_corpus_close(c);
    file_make(p.in, "z.txt", "good good good bad bad bad\n\nfilm film film film a a");
    const as_corpus_summary after = build(&o);
    assert_true(after.docs[0] + after.docs[1] == before.docs[0] + before.docs[1] + 2 && after.docs[1] >= before.docs[1] && after.docs[1] <= before.docs[1] + 2);
    must(as_corpus_open(&c, p.out, &err), err);
    assert_int_equal(as_corpus_doc_tokens(c, AS_CORPUS_HELDOUT, 0), n);
    as_corpus_read(c, AS_CORPUS_HELDOUT, 0, 0, n, more);
    assert_memory_equal(ids, more, (size_t)n * sizeof *ids);
    as_corpus_close(c);
    as_free(ids), as_free(more), as_buf_free(&text);
    place_free(&p);
}

/* ---- stopped, and given again ---- */
static int stops_left;
static bool stop_soon(void) { return --stops_left < 0; }

static void test_corpus_goes_on_after_any_stop(void **state) {
    (void)state;
    place p;
    as_buf text = {0};
    as_err err = {0};
    char path[340], want[65];
    place_make(&p);
    make_text(&text, 500, 3);
    snprintf(path, sizeof path, "%s/a.txt", p.in);
    must(as_file_write(path, text.p, text.n, &err), err);
    const char *const inputs[] = {p.in};
    as_corpus_opts o = opts_of(&p, inputs, 1, "basic");
    must(as_corpus_rules_set(&o.rules, "boilerplate=4", &err), err);
    o.heldout = 0.1, o.shard_tokens = 1500, o.read.piece_bytes = 4000;
    as_corpus_summary s = build(&o);
    memcpy(want, s.digest, sizeof want);
    for (int turns = 0;; turns++) { /* each try gets a little further */
        o.again = turns == 0, o.stop = stop_soon, stops_left = turns;
        const as_status status = as_corpus_build(&o, &s, &err);
        if (status == AS_OK) break;
        assert_int_equal(status, AS_INTERRUPTED);
        assert_true(turns < 500);
    }
    assert_string_equal(s.digest, want);
    assert_false(s.reused);
    o.stop = NULL;
    s = build(&o);
    assert_true(s.reused);
    o.again = false, o.heldout = 0.2; /* another corpus must not take its place */
    assert_int_equal(as_corpus_build(&o, &s, &err), AS_USAGE);
    as_buf_free(&text);
    place_free(&p);
}

/* Running out of memory anywhere is an error, and nothing is lost by it. */
static void test_corpus_survives_failing_allocations(void **state) {
    (void)state;
    place p;
    as_err err = {0};
    place_make(&p);
    file_make(p.in, "a.txt", "good film\nbad\n\nfilm a a a a\n\n\xE4\xBD\xA0\xE5\xA5\xBD\n");
    const char *const inputs[] = {p.in};
    as_corpus_opts o = opts_of(&p, inputs, 1, "basic");
    o.threads = 1;
    as_corpus_summary s;
    int failed = 0;
    const int64_t blocks = as_mem_live_blocks();
    for (int64_t n = 1; n < 4000; n += n < 60 ? 1 : 7) {
        as_mem_fail_after(n);
        const as_status status = as_corpus_build(&o, &s, &err);
        as_mem_fail_after(0);
        assert_true(status == AS_OK || status == AS_NOMEM);
        assert_int_equal(as_mem_live_blocks(), blocks);
        if (status == AS_OK) break;
        failed++;
    }
    assert_true(failed > 50 && s.docs[0] == 3);
    place_free(&p);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_corpus_reads_every_format), TEST(test_corpus_folders_are_read_in_sorted_order), TEST(test_corpus_errors_name_file_and_line),
        TEST(test_corpus_inputs_that_are_not_there), TEST(test_corpus_counts_what_it_drops), TEST(test_corpus_does_not_depend_on_threads_or_pieces),
        TEST(test_corpus_split_is_stable_when_documents_are_added), TEST(test_corpus_goes_on_after_any_stop), TEST(test_corpus_survives_failing_allocations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
