/* corpus_write.h: documents of token ids into a corpus folder. Shards are written as they fill, each atomically; the manifest
 * comes last, so a folder without corpus.json is unfinished. One thread per writer. */
#ifndef AS_DATA_CORPUS_WRITE_H
#define AS_DATA_CORPUS_WRITE_H

#include "data/corpus.h"
#include "token/tokenizer.h"

typedef struct as_corpus_writer as_corpus_writer;
typedef struct as_corpus_segment { const int32_t *ids; int64_t n; } as_corpus_segment;
typedef struct as_corpus_writer_opts {
    int64_t shard_tokens; /* a shard is closed by the document that reaches so many; 0 = AS_CORPUS_SHARD_TOKENS */
    bool resume;          /* keep the shards that are complete, and go on behind them */
} as_corpus_writer_opts;
enum { AS_CORPUS_SHARD_TOKENS = 32 << 20 };

/* The tokenizer's files are copied into dir (it was read from a folder). opts may be NULL. Without resume, what dir holds of an
 * earlier corpus is removed. tok must live as long as the writer. */
as_status as_corpus_writer_open(as_corpus_writer **out, const char *dir, const as_tokenizer *tok, const as_corpus_writer_opts *opts,
                                as_err *err) AS_CHECKED;
void as_corpus_writer_free(as_corpus_writer *w);
/* Where in its input the caller is; shards keep it. Right after open with resume, the position at which the last complete shard of a
 * part was closed (0 = there is none): what came up to there lies in shards. */
void as_corpus_writer_at(as_corpus_writer *w, int64_t position);
int64_t as_corpus_writer_position(const as_corpus_writer *w, as_corpus_part part);
/* Add a document of `bytes` bytes of UTF-8 text. Empty segments are left out; a document without tokens adds nothing, and
 * *added (may be NULL) is then false. */
as_status as_corpus_writer_add(as_corpus_writer *w, as_corpus_part part, const as_corpus_segment *segments, int64_t count,
                               int64_t bytes, bool *added, as_err *err) AS_CHECKED;
bool as_corpus_writer_empty(const as_corpus_writer *w); /* no document for training so far */
/* Write what is left and the manifest. extra: further members of the manifest, `"name":value,...`, or NULL. */
as_status as_corpus_writer_finish(as_corpus_writer *w, const char *extra, int threads, as_err *err) AS_CHECKED;
#endif
