#include "data/strmap.h"
#include "base/hash.h"
#include "base/mem.h"

/* Place of the key, or of the free slot where it belongs. The table always has a free slot. */
static as_strmap_slot *locate(as_strmap_slot *slot, size_t cap, as_str key, uint64_t hash) {
    size_t i = (size_t)hash & (cap - 1);
    while (slot[i].used && !(slot[i].hash == hash && as_str_eq(slot[i].key, key))) i = (i + 1) & (cap - 1);
    return &slot[i];
}

static bool rehash(as_strmap *m) {
    const size_t cap = m->cap ? m->cap * 2 : 16;
    as_strmap_slot *fresh = as_calloc(cap, sizeof *fresh);
    if (!fresh) return false;
    for (size_t i = 0; i < m->cap; i++)
        if (m->slot[i].used) *locate(fresh, cap, m->slot[i].key, m->slot[i].hash) = m->slot[i];
    as_free(m->slot);
    m->slot = fresh;
    m->cap = cap;
    return true;
}

int64_t *as_strmap_at(as_strmap *m, as_str key, int64_t fresh, bool *added) {
    if (m->n >= m->cap - m->cap / 4 && !rehash(m)) return NULL;
    const uint64_t hash = as_hash64(key.p, key.n, 0);
    as_strmap_slot *s = locate(m->slot, m->cap, key, hash);
    if (added) *added = !s->used;
    if (!s->used) {
        *s = (as_strmap_slot){key, hash, fresh, true};
        m->n++;
    }
    return &s->value;
}

const int64_t *as_strmap_get(const as_strmap *m, as_str key) {
    if (m->n == 0) return NULL;
    const as_strmap_slot *s = locate(m->slot, m->cap, key, as_hash64(key.p, key.n, 0));
    return s->used ? &s->value : NULL;
}

void as_strmap_free(as_strmap *m) {
    as_free(m->slot);
    *m = (as_strmap){0};
}
