/* corpus_check.h: a folder with a small tokenizer, and folders for the tests of corpora. */
#ifndef TESTS_DATA_CORPUS_CHECK_H
#define TESTS_DATA_CORPUS_CHECK_H

#include "base/file.h"
#include "data/data_check.h"
#include "token/tokenizer.h"
#include <dirent.h>
#include <unistd.h>

static const char corpus_tokenizer_json[] =
    "{\"version\":\"1.0\",\"added_tokens\":["
    "{\"id\":0,\"content\":\"[PAD]\",\"single_word\":false,\"lstrip\":false,\"rstrip\":false,\"normalized\":false,\"special\":true},"
    "{\"id\":1,\"content\":\"[UNK]\",\"single_word\":false,\"lstrip\":false,\"rstrip\":false,\"normalized\":false,\"special\":true}],"
    "\"normalizer\":{\"type\":\"BertNormalizer\",\"clean_text\":true,\"handle_chinese_chars\":true,\"strip_accents\":null,"
    "\"lowercase\":true},\"pre_tokenizer\":{\"type\":\"BertPreTokenizer\"},\"decoder\":{\"type\":\"WordPiece\",\"prefix\":\"##\",\"cleanup\":true},"
    "\"model\":{\"type\":\"WordPiece\",\"unk_token\":\"[UNK]\",\"continuing_subword_prefix\":\"##\",\"max_input_chars_per_word\":100,"
    "\"vocab\":{\"[PAD]\":0,\"[UNK]\":1,\"good\":2,\"bad\":3,\"film\":4,\"##s\":5,\"\xE4\xBD\xA0\":6,\"\xE5\xA5\xBD\":7,\"a\":8,\".\":9}}}";

/* A fresh folder under TMPDIR; the caller removes it with folder_remove. */
static inline void folder_make(char room[256]) {
    const char *const base = getenv("TMPDIR");
    snprintf(room, 256, "%s/assay-corpus-XXXXXX", base != NULL ? base : "/tmp");
    assert_non_null(mkdtemp(room));
}
static inline void folder_remove(const char *dir) {
    DIR *const d = opendir(dir);
    if (d == NULL) return;
    for (const struct dirent *e; (e = readdir(d)) != NULL;) {
        char *const path = strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0 ? as_path_join(dir, e->d_name) : NULL;
        if (path != NULL && as_dir_exists(path)) folder_remove(path);
        else if (path != NULL) unlink(path);
        as_free(path);
    }
    closedir(d);
    rmdir(dir);
}
static inline void file_make(const char *dir, const char *name, const char *text) {
    as_err err = {0};
    char *const path = as_path_join(dir, name);
    must(as_file_write(path, text, strlen(text), &err), err);
    as_free(path);
}
static inline as_tokenizer *small_tokenizer(const char *dir) {
    as_tokenizer *t = NULL;
    as_err err = {0};
    file_make(dir, "tokenizer.json", corpus_tokenizer_json);
    must(as_tokenizer_open(&t, dir, &err), err);
    return t;
}
#endif
