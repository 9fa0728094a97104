#include "data/pack.h"
#include <string.h>

as_seqs *as_seqs_pack(as_arena *a, const as_encoded *e, const int64_t *items, int64_t n) {
    int64_t tokens = 0;
    for (int64_t i = 0; i < n; i++) tokens += e->offset[items[i] + 1] - e->offset[items[i]];
    as_seqs *s = as_arena_push(a, 1, sizeof *s);
    int64_t *begin = as_arena_push(a, (size_t)n + 1, sizeof *begin);
    int32_t *all = as_arena_push(a, (size_t)(4 * tokens) + 1, sizeof *all);
    if (!s || !begin || !all) return NULL;
    int32_t *ids = all, *types = all + tokens, *pos = types + tokens, *item = pos + tokens;
    int64_t at = 0;
    for (int64_t i = 0; i < n; i++) {
        const int64_t from = e->offset[items[i]], len = e->offset[items[i] + 1] - from;
        begin[i] = at;
        memcpy(ids + at, e->ids + from, (size_t)len * sizeof *ids);
        memcpy(types + at, e->types + from, (size_t)len * sizeof *types);
        for (int64_t t = 0; t < len; t++) pos[at + t] = (int32_t)t, item[at + t] = (int32_t)items[i];
        at += len;
    }
    begin[n] = at;
    *s = (as_seqs){.count = n, .tokens = tokens, .begin = begin, .ids = ids, .types = types, .pos = pos, .item = item};
    return s;
}
