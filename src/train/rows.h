/* rows.h: a corpus as rows of at most max_length tokens: what a batch is counted in. A row holds one span of a document or several
 * of different documents, each of which is a sequence of its own: [CLS] tokens [SEP], its positions from 0, and no attention from
 * one to another. Documents follow each other as in the corpus. One that is longer than a row is cut, where a segment ends if that
 * fills half a row or more; a shorter one stays whole. */
#ifndef AS_TRAIN_ROWS_H
#define AS_TRAIN_ROWS_H

#include "data/corpus.h"

typedef struct as_span { int64_t doc, from; int32_t n; } as_span; /* tokens [from, from + n) of a document, without special ones */
typedef struct as_rows {
    as_span *spans;
    int64_t *begin;           /* [n + 1] row r has the spans begin[r] .. begin[r + 1] - 1 */
    int64_t n, span_count;
    int64_t tokens;           /* of all rows, special ones included */
    int64_t extra;            /* special tokens of a span */
} as_rows;

/* extra: special tokens of each span, which count into max_length. Spans of fewer than `least` tokens are left out. */
as_status as_rows_make(as_rows *out, const as_corpus *c, as_corpus_part part, int64_t max_length, int64_t extra, int64_t least, as_err *err) AS_CHECKED;
void as_rows_free(as_rows *r);
int64_t as_rows_tokens(const as_rows *r, int64_t row);
#endif
