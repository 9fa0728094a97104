/* batch.h: a data set as token ids, encoded once; and cut into packed batches: sequences end to end, no padding. */
#ifndef AS_DATA_BATCH_H
#define AS_DATA_BATCH_H

#include "data/records.h"
#include "token/tokenizer.h"

/* The whole data set: sequence i has the tokens offset[i] .. offset[i + 1] - 1 of ids and types. */
typedef struct as_encoded {
    int32_t *ids, *types;
    int64_t *offset;          /* [n + 1] */
    int64_t n;
    bool *truncated;          /* [n] max_length has cut tokens off */
    int64_t tokens, truncated_count, max_len; /* in all; sequences cut; the longest sequence */
} as_encoded;

/* Encode text and pair of each record, special tokens included; max_length 0 = no truncation (longest first, for
 * pairs). The result does not depend on threads. A text that cannot be encoded: the tokenizer's error, with the
 * record's file and line, of the first such record. */
as_status as_encode_records(as_encoded *out, const as_tokenizer *tok, const as_records *r, int64_t max_length, int threads, as_err *err) AS_CHECKED;
void as_encoded_free(as_encoded *e);

/* Micro-batches: batch b holds the sequences item[begin[b]] .. item[begin[b + 1] - 1]. */
typedef struct as_batches { int64_t *item, *begin; int64_t count; } as_batches; /* begin [count + 1] */

/* Cut index[0..n-1] (0..e->n-1 when index is NULL; n is then ignored) into batches of at most max_tokens tokens, with at
 * least one sequence each: a longer sequence is a batch of its own. Ordered by (length descending, index ascending), so
 * that equal work runs together, the largest batch comes first (what fits then fits throughout), and threads that take
 * batches in turn end at about the same time. AS_USAGE when max_tokens < 1. */
as_status as_batches_make(as_batches *out, const as_encoded *e, const int64_t *index, int64_t n, int64_t max_tokens, as_err *err) AS_CHECKED;
void as_batches_free(as_batches *b);

#endif
