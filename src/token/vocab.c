#include "token/internal.h"

#include "base/mem.h"
#include <string.h>

static size_t slot_of(const as_vocab *v, uint64_t h) {
    return (size_t)((h * UINT64_C(0x9E3779B97F4A7C15)) >> v->shift);
}
static uint32_t tag_of(uint64_t h) {
    return (uint32_t)(h >> 16);
}

as_status as_vocab_init(as_vocab *v, size_t expected, as_err *err) {
    size_t slots = 16;
    unsigned bits = 4;
    while (slots < expected * 2)
        slots *= 2, bits++;
    v->slots = as_alloc(slots, sizeof *v->slots);
    if (v->slots == NULL) return as_fail_nomem(err, "vocabulary", slots * sizeof *v->slots);
    for (size_t i = 0; i < slots; i++)
        v->slots[i] = (as_vocab_slot){0, -1};
    v->shift = 64 - bits;
    v->max_id = -1;
    return AS_OK;
}

void as_vocab_deinit(as_vocab *v) {
    as_free(v->entries), as_free(v->slots);
    *v = (as_vocab){0};
}

uint64_t as_vocab_hash(uint64_t h, as_str s) {
    for (size_t i = 0; i < s.n; i++)
        h = as_vocab_step(h, (unsigned char)s.p[i]);
    return h;
}

int32_t as_vocab_find(const as_vocab *v, uint64_t h, as_str prefix, const char *s, size_t n) {
    if (v->slots == NULL) return -1;
    const uint32_t tag = tag_of(h);
    const size_t mask = ((size_t)1 << (64 - v->shift)) - 1;
    for (size_t i = slot_of(v, h);; i = (i + 1) & mask) {
        const as_vocab_slot slot = v->slots[i];
        if (slot.entry < 0) return -1;
        if (slot.tag != tag) continue;
        const as_str piece = v->entries[slot.entry].piece;
        if (piece.n == prefix.n + n &&
            (prefix.n == 0 || memcmp(piece.p, prefix.p, prefix.n) == 0) &&
            (n == 0 || memcmp(piece.p + prefix.n, s, n) == 0))
            return slot.entry;
    }
}

int32_t as_vocab_id(const as_vocab *v, as_str piece) {
    const int32_t e =
        as_vocab_find(v, as_vocab_hash(AS_VOCAB_START, piece), (as_str){"", 0}, piece.p, piece.n);
    return e < 0 ? -1 : v->entries[e].id;
}

as_status as_vocab_add(as_vocab *v, as_str piece, int32_t id, as_err *err) {
    const uint64_t h = as_vocab_hash(AS_VOCAB_START, piece);
    const size_t slots = (size_t)1 << (64 - v->shift), mask = slots - 1;
    if (id > v->max_id) v->max_id = id;
    const int32_t known = as_vocab_find(v, h, (as_str){"", 0}, piece.p, piece.n);
    if (known >= 0) return v->entries[known].id = id, AS_OK;
    AS_ASSERT(v->count < slots);
    if (!as_grow(&v->entries, &v->cap, v->count + 1, sizeof *v->entries))
        return as_fail_nomem(err, "vocabulary", v->count * sizeof *v->entries);
    size_t i = slot_of(v, h);
    while (v->slots[i].entry >= 0)
        i = (i + 1) & mask;
    v->slots[i] = (as_vocab_slot){tag_of(h), (int32_t)v->count};
    v->entries[v->count++] = (as_vocab_entry){piece, id};
    if (piece.n > v->longest) v->longest = piece.n;
    return AS_OK;
}
