#include "data/corpus_check.h"
#include "data/corpus_shard.h"
#include "data/corpus_write.h"

typedef struct document { as_corpus_part part; int64_t count, bytes; as_corpus_segment v[3]; } document;
static const document documents[] = {
    {AS_CORPUS_TRAIN, 2, 20, {{(const int32_t[]){2, 4, 5}, 3}, {(const int32_t[]){3}, 1}}},
    {AS_CORPUS_HELDOUT, 1, 5, {{(const int32_t[]){6, 7}, 2}}},
    {AS_CORPUS_TRAIN, 3, 7, {{NULL, 0}, {(const int32_t[]){8, 9}, 2}, {NULL, 0}}}, /* empty segments are left out */
    {AS_CORPUS_TRAIN, 1, 3, {{NULL, 0}}},                                         /* and so is a document without tokens */
    {AS_CORPUS_TRAIN, 1, 9, {{(const int32_t[]){1, 1, 1, 1, 1, 1}, 6}}},
};

static void write_documents(const char *dir, const as_tokenizer *tok, int64_t shard_tokens, size_t from, size_t to, bool resume, bool finish) {
    as_corpus_writer *w;
    as_err err = {0};
    must(as_corpus_writer_open(&w, dir, tok, &(as_corpus_writer_opts){shard_tokens, resume}, &err), err);
    for (size_t i = from; i < to; i++) {
        bool added;
        must(as_corpus_writer_add(w, documents[i].part, documents[i].v, documents[i].count, documents[i].bytes, &added, &err), err);
        assert_int_equal(added, i != 3);
    }
    if (finish) must(as_corpus_writer_finish(w, "\"note\":\"x\"", 2, &err), err);
    as_corpus_writer_free(w);
}

static void check_documents(const char *dir) {
    as_corpus *c;
    as_err err = {0};
    int32_t ids[8];
    must(as_corpus_open(&c, dir, &err), err);
    must(as_corpus_verify(c, 2, &err), err);
    assert_int_equal(as_corpus_vocab(c), 10);
    assert_true(as_corpus_docs(c, AS_CORPUS_TRAIN) == 3 && as_corpus_tokens(c, AS_CORPUS_TRAIN) == 12 && as_corpus_bytes(c, AS_CORPUS_TRAIN) == 36);
    assert_true(as_corpus_docs(c, AS_CORPUS_HELDOUT) == 1 && as_corpus_tokens(c, AS_CORPUS_HELDOUT) == 2 && as_corpus_bytes(c, AS_CORPUS_HELDOUT) == 5);
    assert_true(as_corpus_doc_tokens(c, AS_CORPUS_TRAIN, 0) == 4 && as_corpus_doc_segments(c, AS_CORPUS_TRAIN, 0) == 2);
    assert_true(as_corpus_segment_begin(c, AS_CORPUS_TRAIN, 0, 0) == 0 && as_corpus_segment_begin(c, AS_CORPUS_TRAIN, 0, 1) == 3);
    assert_int_equal(as_corpus_segment_begin(c, AS_CORPUS_TRAIN, 0, 2), 4);
    as_corpus_read(c, AS_CORPUS_TRAIN, 0, 1, 3, ids);
    assert_true(ids[0] == 4 && ids[1] == 5 && ids[2] == 3);
    assert_int_equal(as_corpus_doc_segments(c, AS_CORPUS_TRAIN, 1), 1);
    as_corpus_read(c, AS_CORPUS_TRAIN, 2, 0, 6, ids);
    assert_true(ids[0] == 1 && ids[5] == 1);
    as_corpus_read(c, AS_CORPUS_HELDOUT, 0, 0, 2, ids);
    assert_true(ids[0] == 6 && ids[1] == 7);
    as_corpus_close(c);
}

static void test_corpus_reads_back_what_was_written(void **state) {
    (void)state;
    char dir[256], out[300];
    folder_make(dir);
    as_tokenizer *const tok = small_tokenizer(dir);
    snprintf(out, sizeof out, "%s/c", dir);
    for (int64_t shard = 0; shard <= 4; shard += 2) {
        write_documents(out, tok, shard, 0, AS_COUNT(documents), false, true);
        check_documents(out);
    }
    as_tokenizer_free(tok);
    folder_remove(dir);
}

static void test_corpora_of_one_tokenizer_are_read_as_one(void **state) {
    (void)state;
    char dir[256], path[3][300];
    as_err err = {0};
    as_corpus *c, *first;
    folder_make(dir);
    as_tokenizer *tok = small_tokenizer(dir);
    for (int i = 0; i < 3; i++) snprintf(path[i], sizeof path[i], "%s/%c", dir, 'a' + i);
    const char *const dirs[] = {path[0], path[1], path[0]}, *const other[] = {path[0], path[2]};
    write_documents(path[0], tok, 4, 0, AS_COUNT(documents), false, true); /* three documents of training text in two shards */
    write_documents(path[1], tok, 0, 1, 3, false, true);                  /* one */
    must(as_corpus_open_many(&c, dirs, 3, &err), err);
    must(as_corpus_verify(c, 2, &err), err);
    assert_true(as_corpus_docs(c, AS_CORPUS_TRAIN) == 7 && as_corpus_tokens(c, AS_CORPUS_TRAIN) == 26 && as_corpus_bytes(c, AS_CORPUS_TRAIN) == 79);
    assert_true(as_corpus_docs(c, AS_CORPUS_HELDOUT) == 3 && as_corpus_tokens(c, AS_CORPUS_HELDOUT) == 6);
    static const int32_t begins[] = {2, 8, 1, 8, 2, 8, 1};
    for (int64_t d = 0; d < 7; d++) {
        int32_t id;
        as_corpus_read(c, AS_CORPUS_TRAIN, d, 0, 1, &id);
        assert_int_equal(id, begins[d]);
    }
    must(as_corpus_open_many(&first, dirs, 1, &err), err);
    assert_string_not_equal(as_corpus_digest(c), as_corpus_digest(first));
    as_corpus_close(c);
    must(as_corpus_open(&c, path[0], &err), err);
    assert_string_equal(as_corpus_digest(c), as_corpus_digest(first));
    as_corpus_close(c), as_corpus_close(first), as_tokenizer_free(tok);

    char *text = strdup(corpus_tokenizer_json);
    memcpy(strstr(text, "film"), "firm", 4);
    file_make(dir, "tokenizer.json", text);
    free(text);
    must(as_tokenizer_open(&tok, dir, &err), err);
    write_documents(path[2], tok, 0, 0, 2, false, true);
    assert_int_equal(as_corpus_open_many(&c, other, 2, &err), AS_USAGE);
    assert_true(c == NULL && strstr(err.msg, "another tokenizer than") != NULL);
    as_tokenizer_free(tok);
    folder_remove(dir);
    assert_int_equal(as_mem_live_blocks(), 0);
}

static void test_corpus_writer_goes_on_behind_complete_shards(void **state) {
    (void)state;
    char dir[256], a[300], b[300];
    as_corpus *c, *d;
    as_err err = {0};
    folder_make(dir);
    as_tokenizer *const tok = small_tokenizer(dir);
    snprintf(a, sizeof a, "%s/a", dir), snprintf(b, sizeof b, "%s/b", dir);
    write_documents(a, tok, 1, 0, AS_COUNT(documents), false, true);
    write_documents(b, tok, 1, 0, 2, false, false); /* a shard a document: all of them are complete */
    assert_int_not_equal(as_corpus_open(&d, b, &err), AS_OK);
    assert_non_null(strstr(err.hint, "no finished corpus"));
    write_documents(b, tok, 1, 2, AS_COUNT(documents), true, true);
    check_documents(b);
    must(as_corpus_open(&c, a, &err), err);
    must(as_corpus_open(&d, b, &err), err);
    assert_string_equal(as_corpus_digest(c), as_corpus_digest(d));
    as_corpus_close(c), as_corpus_close(d);
    as_tokenizer_free(tok);
    folder_remove(dir);
}

/* Any byte of a shard may be wrong: open or verify notices and names the file. */
static void test_corpus_damage_is_noticed_and_named(void **state) {
    (void)state;
    char dir[256], out[300], path[330];
    as_err err = {0};
    as_buf bytes = {0};
    folder_make(dir);
    as_tokenizer *const tok = small_tokenizer(dir);
    snprintf(out, sizeof out, "%s/c", dir), snprintf(path, sizeof path, "%s/train-00000.bin", out);
    write_documents(out, tok, 0, 0, AS_COUNT(documents), false, true);
    must(as_file_read(&bytes, path, 0, &err), err);
    for (size_t i = 0; i <= bytes.n; i++) { /* the last turn cuts the file */
        as_corpus *c = NULL;
        if (i < bytes.n) bytes.p[i] = (char)(bytes.p[i] ^ 0x10);
        must(as_file_write(path, bytes.p, i < bytes.n ? bytes.n : bytes.n - 1, &err), err);
        as_status s = as_corpus_open(&c, out, &err);
        if (s == AS_OK) s = as_corpus_verify(c, 1, &err);
        assert_int_equal(s, AS_FORMAT);
        assert_non_null(strstr(err.msg, "train-00000.bin"));
        as_corpus_close(c);
        if (i < bytes.n) bytes.p[i] = (char)(bytes.p[i] ^ 0x10);
    }
    as_buf_free(&bytes);
    as_tokenizer_free(tok);
    folder_remove(dir);
}

static void test_corpus_manifest_errors_are_clear(void **state) {
    (void)state;
    static const struct { const char *json, *want; } cases[] = {
        {"{}", "no manifest of a corpus"},
        {"{\"assay_corpus\":1}", "\"vocab\""},
        {"{\"assay_corpus\":1,\"vocab\":10}", "\"digest\""},
        {"[1", "corpus.json:1"},
        {"{\"assay_corpus\":1,\"vocab\":10,\"digest\":\"0123456789012345678901234567890123456789012345678901234567890123\",\"tokenizer\":{\"a/b\":\"0\"}}", "of the tokenizer"},
        {"{\"assay_corpus\":1,\"vocab\":10,\"digest\":\"0123456789012345678901234567890123456789012345678901234567890123\",\"tokenizer\":{},\"parts\":{\"train\":{\"shards\":"
         "[{\"file\":\"../x\",\"sha256\":\"0\"}]}}}", "\"file\""},
    };
    char dir[256];
    folder_make(dir);
    for (size_t i = 0; i < AS_COUNT(cases); i++) {
        as_corpus *c;
        as_err err = {0};
        file_make(dir, "corpus.json", cases[i].json);
        assert_int_equal(as_corpus_open(&c, dir, &err), AS_FORMAT);
        if (strstr(err.msg, cases[i].want) == NULL) fail_msg("%s", err.msg);
    }
    folder_remove(dir);
}

static void test_corpus_writer_refuses_ids_outside_the_vocabulary(void **state) {
    (void)state;
    char dir[256], out[300];
    as_err err = {0};
    as_corpus_writer *w;
    folder_make(dir);
    as_tokenizer *const tok = small_tokenizer(dir);
    snprintf(out, sizeof out, "%s/c", dir);
    must(as_corpus_writer_open(&w, out, tok, NULL, &err), err);
    const int32_t wrong[] = {10, -1};
    for (int i = 0; i < 2; i++)
        assert_int_equal(as_corpus_writer_add(w, AS_CORPUS_TRAIN, &(as_corpus_segment){wrong + i, 1}, 1, 1, NULL, &err), AS_FORMAT);
    as_corpus_writer_free(w);
    as_tokenizer_free(tok);
    folder_remove(dir);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_corpus_reads_back_what_was_written),
        TEST(test_corpora_of_one_tokenizer_are_read_as_one),
        TEST(test_corpus_writer_goes_on_behind_complete_shards),
        TEST(test_corpus_damage_is_noticed_and_named),
        TEST(test_corpus_manifest_errors_are_clear),
        TEST(test_corpus_writer_refuses_ids_outside_the_vocabulary),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
