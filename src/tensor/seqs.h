/* seqs.h: packed sequences. A batch has no padding: activations are [tokens, dim], and seqs says which rows belong to which
 * sequence. */
#ifndef AS_TENSOR_SEQS_H
#define AS_TENSOR_SEQS_H

#include <stdint.h>

typedef struct as_seqs {
    int64_t count, tokens;
    const int64_t *begin;   /* [count + 1] first row of each sequence */
    const int32_t *ids;     /* [tokens] */
    const int32_t *types;   /* [tokens] or NULL = all 0 */
    const int32_t *pos;     /* [tokens] position within its sequence (or document) */
    const int32_t *item;    /* [tokens] the data set's item: keys the dropout masks */
} as_seqs;

#endif
