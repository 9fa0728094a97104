/* corpus_shard.h: one shard of a corpus, as it lies on disk and is mapped. Little-endian, each section at a multiple of 8 bytes:
 *   header          64 bytes (as_shard_head)
 *   doc_token       u64 [docs + 1]    first token of each document; the last entry is `tokens`
 *   doc_segment     u64 [docs + 1]    first segment of each document; the last entry is `segments`
 *   segment_begin   u32 [segments]    first token of a segment within its document
 *   ids             u16 or u32 [tokens]
 * Only src/data includes it. */
#ifndef AS_DATA_CORPUS_SHARD_H
#define AS_DATA_CORPUS_SHARD_H

#include "base/file.h"
#include "data/corpus.h"

typedef struct as_shard_head {
    char magic[8]; /* AS_SHARD_MAGIC */
    uint32_t id_bytes, zero;
    uint64_t docs, segments, tokens, bytes, vocab, position; /* position: the writer's (corpus_write.h) */
} as_shard_head;
#define AS_SHARD_MAGIC "assayCS1"
enum { AS_SHARD_HEAD_BYTES = 64 };
_Static_assert(sizeof(as_shard_head) == AS_SHARD_HEAD_BYTES, "the header has no padding");

/* Views into the map. */
typedef struct as_shard {
    as_map map;
    as_shard_head head;
    const uint64_t *doc_token, *doc_segment;
    const uint32_t *segment_begin;
    const void *ids;
} as_shard;

/* Where the sections of such a shard begin, and its size; false when that overflows. */
typedef struct as_shard_layout { uint64_t doc_token, doc_segment, segment_begin, ids, size; } as_shard_layout;
bool as_shard_lay(as_shard_layout *out, const as_shard_head *h);

/* Point a shard at bytes [0, n), which are 8-byte aligned; every offset and id is checked. `where` names them in errors. */
as_status as_shard_parse(as_shard *out, const unsigned char *p, size_t n, const char *where, as_err *err) AS_CHECKED;
as_status as_shard_open(as_shard *out, const char *path, as_err *err) AS_CHECKED;
void as_shard_close(as_shard *s);

static inline int as_shard_id_bytes(int64_t vocab) { return vocab <= 65536 ? 2 : 4; }
const char *as_corpus_part_name(as_corpus_part part); /* "train", "heldout" */
#endif
