/* corpus.h: text for pre-training as token ids, in shards that are mapped, not read. A corpus is a folder: corpus.json (the
 * manifest: tokenizer, rules and what they dropped, statistics, digests of the shards), shards of each part, and the tokenizer's
 * files. Documents stay whole within a part; segments (lines or sentences) are their natural units. Immutable after open. */
#ifndef AS_DATA_CORPUS_H
#define AS_DATA_CORPUS_H

#include "base/status.h"
#include <stdint.h>

typedef struct as_corpus as_corpus;
typedef enum as_corpus_part { AS_CORPUS_TRAIN, AS_CORPUS_HELDOUT, AS_CORPUS_PARTS } as_corpus_part;

/* Sizes, offsets and id ranges are checked against the files; AS_FORMAT names the file. Digests are checked by as_corpus_verify. */
as_status as_corpus_open(as_corpus **out, const char *dir, as_err *err) AS_CHECKED;
/* The documents of several corpora, in the order of the folders, as one corpus: AS_USAGE unless all were made with one tokenizer. */
as_status as_corpus_open_many(as_corpus **out, const char *const *dirs, int64_t n, as_err *err) AS_CHECKED;
void as_corpus_close(as_corpus *c);
as_status as_corpus_verify(const as_corpus *c, int threads, as_err *err) AS_CHECKED;

const char *as_corpus_digest(const as_corpus *c);   /* SHA-256 (hex) of what training depends on: ids, bounds, parts, tokenizer */
int64_t as_corpus_vocab(const as_corpus *c);        /* all ids are below */
int64_t as_corpus_docs(const as_corpus *c, as_corpus_part part);
int64_t as_corpus_tokens(const as_corpus *c, as_corpus_part part);
int64_t as_corpus_bytes(const as_corpus *c, as_corpus_part part); /* of UTF-8 text that became these tokens: for bits per byte */

/* Document 0 <= doc < docs: its tokens without special ones, and its segments, never empty. */
int64_t as_corpus_doc_tokens(const as_corpus *c, as_corpus_part part, int64_t doc);
int64_t as_corpus_doc_segments(const as_corpus *c, as_corpus_part part, int64_t doc);
/* First token of a segment within its document; of segment doc_segments: doc_tokens. */
int64_t as_corpus_segment_begin(const as_corpus *c, as_corpus_part part, int64_t doc, int64_t segment);
/* ids[0..n) gets tokens [from, from + n) of the document, which must lie within it. */
void as_corpus_read(const as_corpus *c, as_corpus_part part, int64_t doc, int64_t from, int64_t n, int32_t *ids);
#endif
