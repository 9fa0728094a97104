/* shape.h: named sizes of new models, and the config.json of one. */
#ifndef AS_MODEL_SHAPE_H
#define AS_MODEL_SHAPE_H

#include "model/arch.h"
#include <stdint.h>

typedef struct as_shape { const char *name; int64_t layers, hidden; } as_shape; /* heads: hidden / 64; feed-forward: 4 hidden; 512 positions */
const as_shape *as_shape_find(const char *name); /* NULL when there is none */
const char *as_shape_names(void);                /* "tiny, mini, small, base" */
/* Append the config.json of a new model of that shape: a BERT, for a causal LM a GPT-2, for replaced-token detection an ELECTRA.
 * end_id: the token that stands between documents, or -1. */
void as_shape_config(as_buf *out, const as_shape *s, as_head head, int64_t vocab, int64_t pad_id, int64_t end_id);
#endif
