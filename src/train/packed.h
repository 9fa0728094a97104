/* packed.h: rows of a corpus as a batch of sequences, for objectives whose sequence is one span of a document. */
#ifndef AS_TRAIN_PACKED_H
#define AS_TRAIN_PACKED_H

#include "tensor/tape.h"
#include "train/objective.h"
#include "train/pretraining.h"
#include "train/rows.h"

/* Corpus, its rows, and the special tokens that a span is put between; -1 = none. */
typedef struct as_span_source {
    const as_corpus *corpus;
    as_corpus_part part;
    as_rows rows;
    int64_t front, back;
} as_span_source;

typedef struct as_packed {
    as_seqs *s;               /* in the arena: the backward pass asks for it again */
    int32_t *ids;             /* those of s, to be written to */
    int64_t *place;           /* [tokens] of each token's row: its place among the items */
} as_packed;

/* Sequences of the rows, end to end, in the arena: s.item is the number of the span. false = out of memory. */
bool as_packed_make(as_packed *out, as_ctx *c, const as_span_source *from, const int64_t *items, int64_t n);
/* ids [span's tokens and its special ones]; their number. */
int64_t as_packed_span(const as_span_source *from, int64_t span, int32_t *ids);

/* What as_objective asks for where an item is a row; self begins with an as_span_source. No row of a table may be lazy. */
void as_packed_order(const void *self, int64_t *order, uint64_t seed, int64_t epoch);
int64_t as_packed_length(const void *self, int64_t item);
as_status as_packed_ids(const void *self, const as_train_at *at, const int64_t *items, int64_t n, int32_t **ids, size_t *cap, int64_t *count, as_err *err);
#endif
