/* pack.h: items of an encoded data set as one packed batch for the engine. */
#ifndef AS_DATA_PACK_H
#define AS_DATA_PACK_H

#include "base/arena.h"
#include "data/batch.h"
#include "tensor/seqs.h"

/* Sequences of the items, end to end, in the arena. NULL when out of memory. */
as_seqs *as_seqs_pack(as_arena *a, const as_encoded *e, const int64_t *items, int64_t n);
#endif
