/* corpus_block.h: intermediate files of building a corpus: a few byte strings in one file, checked as a whole, so that an
 * interrupted build finds what it finished; and large tables that may be paged out to a file. */
#ifndef AS_DATA_CORPUS_BLOCK_H
#define AS_DATA_CORPUS_BLOCK_H

#include "base/file.h"

enum { AS_BLOCK_PARTS = 8 };

/* Renamed into place when whole, but not synced: it is made again when it is not valid. */
as_status as_block_write(const char *path, const as_str *parts, int n, as_err *err) AS_CHECKED;
/* part[0..n) are views into the map, 8-byte aligned. false when there is no such file or it is not whole. */
typedef struct as_block { as_map map; as_str part[AS_BLOCK_PARTS]; } as_block;
bool as_block_open(as_block *out, const char *path, int n);
void as_block_close(as_block *b);

/* `bytes` zero bytes, backed by an unlinked file in `dir`: the system can write them out when memory is short. */
typedef struct as_scratch { void *p; size_t bytes; } as_scratch;
as_status as_scratch_open(as_scratch *out, const char *dir, uint64_t count, uint64_t size, as_err *err) AS_CHECKED;
void as_scratch_close(as_scratch *s);

/* Keys with what they belong to, sorted by key; equal keys keep their order. `spare` is room for as many. */
typedef struct as_keyed { uint64_t key, item; } as_keyed;
void as_keyed_sort(as_keyed *v, as_keyed *spare, int64_t n);
#endif
