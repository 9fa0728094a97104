/* corpus_stage.h: the stages of building a corpus, for src/data alone. Each stage keeps what it finishes in OUT/work, block by
 * block; where blocks begin depends on the inputs alone, so an interrupted build finds the same blocks again.
 *   read    inputs -> documents with clean characters        a-NNNNNN (with boilerplate removal), else straight on
 *   filter  rules, language, hashes of each document         b-NNNNNN
 *   dedup   exact and near duplicates over all blocks        keep
 *   encode  token ids into shards; then the manifest */
#ifndef AS_DATA_CORPUS_STAGE_H
#define AS_DATA_CORPUS_STAGE_H

#include "base/hash.h"
#include "base/log.h"
#include "data/corpus_block.h"
#include "data/corpus_build.h"
#include "data/corpus_minhash.h"
#include "data/corpus_write.h"

/* Documents end to end. */
typedef struct as_docs { as_buf text; uint64_t *end; int64_t n; size_t cap; } as_docs;
void as_docs_free(as_docs *d);
/* The same as views: into as_docs, or into a block. */
typedef struct as_docs_view { const char *text; const uint64_t *end; int64_t n; } as_docs_view;
static inline as_str as_docs_at(const as_docs_view *d, int64_t i) {
    const uint64_t begin = i > 0 ? d->end[i - 1] : 0;
    return (as_str){d->text + begin, (size_t)(d->end[i] - begin)};
}

/* First part of every block. */
typedef struct as_block_counts {
    uint64_t source;           /* hash of the raw piece: another one, and the block is not this one */
    int64_t docs, lines, bytes; /* of the input */
    int64_t replaced;           /* invalid sequences of UTF-8 */
    as_rule_drop drop[AS_RULE_COUNT];
} as_block_counts;

typedef struct as_build {
    const as_corpus_opts *o;
    const as_tokenizer *tok;
    char *work;                 /* OUT/work */
    unsigned langs;             /* bit per language that stays; 0 = all */
    int threads;
    bool boilerplate, near, exact;
    bool line_ends;             /* the tokenizer has something for a line end, or drops it: it stays in its segment */
    int64_t blocks;
    uint64_t *frequent;         /* hashes of boilerplate lines, ascending */
    int64_t n_frequent;
    as_minhash family;
    as_block *b;                /* [blocks], open from dedup on */
    as_docs_view *docs;         /* [blocks] */
    int64_t *first;             /* [blocks + 1] number of each block's first document */
    uint8_t *keep;              /* [documents] */
    as_block_counts sum;
    int64_t lang_docs[AS_LANGS + 1], lang_bytes[AS_LANGS + 1];
} as_build;

enum { A_COUNTS, A_TEXT, A_END, A_LINES, A_PARTS };
enum { B_COUNTS, B_TEXT, B_END, B_EXACT, B_FLAGS, B_BANDS, B_PARTS };
enum { FLAG_LANG = 0x0F, FLAG_BANDS = 0x10 };

/* OUT/work/KIND-NNNNNN */
char *as_build_path(const as_build *b, char kind, int64_t block);
as_status as_build_nomem(as_err *err);

/* corpus_clean.c */
as_status as_clean_document(as_docs *out, as_str text, const as_corpus_rules *rules, as_block_counts *counts, as_err *err) AS_CHECKED;
/* Hashes of the distinct lines of each document with at least two, all documents' sorted together. */
as_status as_line_hashes(as_buf *out, const as_docs_view *docs, as_err *err) AS_CHECKED;
as_status as_filter_block(const as_build *b, const as_docs_view *docs, as_block_counts *counts, int64_t block, as_err *err) AS_CHECKED;
/* corpus_dedup.c: opens the blocks and fills keep, sum and lang_*. */
as_status as_build_dedup(as_build *b, as_err *err) AS_CHECKED;
/* corpus_encode.c */
as_status as_build_encode(as_build *b, as_corpus_writer *w, as_err *err) AS_CHECKED;
#endif
