/* objective_check.h: a corpus of made-up documents over the golden models' 101 words, and the objectives on it. */
#ifndef TESTS_TRAIN_OBJECTIVE_CHECK_H
#define TESTS_TRAIN_OBJECTIVE_CHECK_H

#include "base/file.h"
#include "base/mem.h"
#include "base/rng.h"
#include "data/corpus_write.h"
#include "train/loop.h"
#include "train/objective_clm.h"
#include "train/objective_rtd.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WORDS = 101, SPECIALS = 5, MOST_TOKENS = 40 };

static inline as_status words_tokenizer(as_tokenizer **out, const char *dir, as_err *err) {
    static const char *const special[] = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"};
    as_buf b = {0};
    as_buf_str(&b, "{\"version\":\"1.0\",\"added_tokens\":[");
    for (int i = 0; i < SPECIALS; i++)
        as_buf_fmt(&b, "%s{\"id\":%d,\"content\":\"%s\",\"single_word\":false,\"lstrip\":false,\"rstrip\":false,\"normalized\":false,\"special\":true}", i ? "," : "", i, special[i]);
    as_buf_str(&b, "],\"normalizer\":null,\"pre_tokenizer\":{\"type\":\"BertPreTokenizer\"},\"decoder\":null,\"model\":{\"type\":\"WordPiece\","
                   "\"unk_token\":\"[UNK]\",\"continuing_subword_prefix\":\"##\",\"max_input_chars_per_word\":100,\"vocab\":{");
    for (int i = 0; i < WORDS; i++) i < SPECIALS ? as_buf_fmt(&b, "%s\"%s\":%d", i ? "," : "", special[i], i) : as_buf_fmt(&b, ",\"w%d\":%d", i, i);
    as_buf_str(&b, "}}}");
    char *path = as_path_join(dir, "tokenizer.json");
    AS_TRY(as_dir_make(dir, err));
    as_status s = as_file_write(path, b.p, b.n, err);
    if (s == AS_OK) s = as_tokenizer_open(out, dir, err);
    as_free(path), as_buf_free(&b);
    return s;
}

/* Documents of one to six segments; each word is a function of the one before, but for one in four: there is something to learn. */
static inline as_status words_corpus(as_corpus **out, const char *dir, int docs, as_err *err) {
    as_tokenizer *tok = NULL;
    as_corpus_writer *w = NULL;
    char *raw = as_path_join(dir, "raw"), *at = as_path_join(dir, "corpus");
    as_status s = words_tokenizer(&tok, raw, err);
    if (s == AS_OK) s = as_corpus_writer_open(&w, at, tok, NULL, err);
    as_rng g = as_rng_at(11, AS_STREAM_SAMPLE, 0);
    for (int d = 0; s == AS_OK && d < docs; d++) {
        int32_t ids[6][24];
        as_corpus_segment seg[6];
        const int64_t count = 1 + (int64_t)as_rng_below(&g, 6);
        int32_t word = SPECIALS;
        int64_t bytes = 0;
        for (int64_t k = 0; k < count; k++) {
            seg[k] = (as_corpus_segment){ids[k], 1 + (int64_t)as_rng_below(&g, 20)};
            bytes += 4 * seg[k].n;
            for (int64_t i = 0; i < seg[k].n; i++)
                ids[k][i] = word = SPECIALS + (as_rng_below(&g, 4) == 0 ? (int32_t)as_rng_below(&g, WORDS - SPECIALS) : (word * 7 + 3) % (WORDS - SPECIALS));
        }
        s = as_corpus_writer_add(w, d % 8 == 7 ? AS_CORPUS_HELDOUT : AS_CORPUS_TRAIN, seg, count, bytes, NULL, err);
    }
    if (s == AS_OK) s = as_corpus_writer_finish(w, NULL, 1, err);
    as_corpus_writer_free(w);
    as_tokenizer_free(tok);
    if (s == AS_OK) s = as_corpus_open(out, at, err);
    as_free(raw), as_free(at);
    return s;
}

static inline void put_ids(as_buf *b, const char *name, const int32_t *ids, int64_t n) {
    as_buf_fmt(b, "\"%s\":[", name);
    for (int64_t i = 0; i < n; i++) as_buf_fmt(b, "%s%d", i ? "," : "", ids[i]);
    as_buf_str(b, "]");
}
static inline as_pretraining words_pretraining(as_model *m, const as_corpus *c) {
    static const uint8_t special[WORDS] = {1, 1, 1, 1, 1}, inner[WORDS] = {0};
    return (as_pretraining){.model = m, .corpus = c, .max_length = MOST_TOKENS, .cls = 2, .sep = 3, .mask = 4, .pad = 0, .special = special, .inner = inner,
                            .mask_share = 0.15};
}
#endif
