#include "data/corpus_shard.h"
#include "base/mem.h"
#include <inttypes.h>
#include <string.h>

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "shards are read where they lie, and they are little-endian"
#endif

const char *as_corpus_part_name(as_corpus_part part) { return part == AS_CORPUS_TRAIN ? "train" : "heldout"; }

/* *at += count * size, rounded up to 8. */
static bool section(uint64_t *at, uint64_t *begin, uint64_t count, uint64_t size) {
    uint64_t bytes, end;
    *begin = *at;
    if (!as_mul_u64(count, size, &bytes) || !as_add_u64(*at, bytes, &end) || end > UINT64_MAX - 7) return false;
    *at = (end + 7) & ~(uint64_t)7;
    return true;
}

bool as_shard_lay(as_shard_layout *out, const as_shard_head *h) {
    uint64_t at = AS_SHARD_HEAD_BYTES;
    if (h->docs == UINT64_MAX) return false;
    const bool fits = section(&at, &out->doc_token, h->docs + 1, 8) && section(&at, &out->doc_segment, h->docs + 1, 8) &&
                      section(&at, &out->segment_begin, h->segments, 4) && section(&at, &out->ids, h->tokens, h->id_bytes);
    out->size = at;
    return fits;
}

/* bound[0..n]: ascending from 0 to `last`. */
static bool ascends(const uint64_t *bound, uint64_t n, uint64_t last) {
    if (bound[0] != 0 || bound[n] != last) return false;
    for (uint64_t i = 0; i < n; i++)
        if (bound[i] >= bound[i + 1]) return false;
    return true;
}

static as_status check_segments(const as_shard *s, const char *where, as_err *err) {
    for (uint64_t d = 0; d < s->head.docs; d++) {
        const uint64_t tokens = s->doc_token[d + 1] - s->doc_token[d];
        bool good = tokens <= UINT32_MAX && s->segment_begin[s->doc_segment[d]] == 0;
        for (uint64_t i = s->doc_segment[d]; good && i < s->doc_segment[d + 1]; i++) {
            const uint64_t next = i + 1 < s->doc_segment[d + 1] ? s->segment_begin[i + 1] : tokens;
            good = s->segment_begin[i] < next;
        }
        if (!good) return as_fail(err, AS_FORMAT, "%s: the segments of document %" PRIu64 " are out of order", where, d);
    }
    return AS_OK;
}

static as_status check_ids(const as_shard *s, const char *where, as_err *err) {
    uint64_t i = 0;
    if (s->head.id_bytes == 2) {
        const uint16_t *const v = s->ids;
        if (s->head.vocab > UINT16_MAX) return AS_OK;
        while (i < s->head.tokens && v[i] < s->head.vocab) i++;
    } else {
        const uint32_t *const v = s->ids;
        while (i < s->head.tokens && v[i] < s->head.vocab) i++;
    }
    if (i == s->head.tokens) return AS_OK;
    return as_fail(err, AS_FORMAT, "%s: token %" PRIu64 " is outside the vocabulary of %" PRIu64, where, i, s->head.vocab);
}

static as_status damaged(const char *where, const char *what, as_err *err) {
    (void)as_fail(err, AS_FORMAT, "%s: %s", where, what);
    as_hint(err, "The file is damaged, or no shard of a corpus: build the corpus again.");
    return AS_FORMAT;
}

as_status as_shard_parse(as_shard *out, const unsigned char *p, size_t n, const char *where, as_err *err) {
    as_shard_layout at;
    *out = (as_shard){0};
    if (n < AS_SHARD_HEAD_BYTES) return damaged(where, "too short for a shard", err);
    memcpy(&out->head, p, sizeof out->head);
    const as_shard_head *const h = &out->head;
    if (memcmp(h->magic, AS_SHARD_MAGIC, 8) != 0) return damaged(where, "does not begin as a shard does", err);
    if ((h->id_bytes != 2 && h->id_bytes != 4) || h->zero != 0 || h->position > INT64_MAX || h->vocab == 0 || h->vocab > INT32_MAX ||
        (int)h->id_bytes != as_shard_id_bytes((int64_t)h->vocab) || h->bytes > INT64_MAX)
        return damaged(where, "its header holds what no shard has", err);
    if (!as_shard_lay(&at, h) || at.size != n) {
        (void)as_fail(err, AS_FORMAT, "%s: %zu bytes, but its header describes %" PRIu64, where, n, at.size);
        as_hint(err, "The file is cut short or damaged: build the corpus again.");
        return AS_FORMAT;
    }
    out->doc_token = (const uint64_t *)(p + at.doc_token);
    out->doc_segment = (const uint64_t *)(p + at.doc_segment);
    out->segment_begin = (const uint32_t *)(p + at.segment_begin);
    out->ids = p + at.ids;
    if (!ascends(out->doc_token, h->docs, h->tokens) || !ascends(out->doc_segment, h->docs, h->segments))
        return damaged(where, "its documents are out of order", err);
    AS_TRY(check_segments(out, where, err));
    return check_ids(out, where, err);
}

as_status as_shard_open(as_shard *out, const char *path, as_err *err) {
    as_map map;
    *out = (as_shard){0};
    AS_TRY(as_map_open(&map, path, err));
    const as_status s = as_shard_parse(out, map.p, map.n, path, err);
    out->map = map;
    if (s != AS_OK) as_shard_close(out);
    return s;
}

void as_shard_close(as_shard *s) {
    as_map_close(&s->map);
    *s = (as_shard){0};
}
