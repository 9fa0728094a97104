#include "train/packed.h"
#include "base/mem.h"
#include "base/rng.h"
#include <string.h>

int64_t as_packed_span(const as_span_source *f, int64_t span, int32_t *ids) {
    const as_span *s = &f->rows.spans[span];
    int64_t n = 0;
    if (f->front >= 0) ids[n++] = (int32_t)f->front;
    as_corpus_read(f->corpus, f->part, s->doc, s->from, s->n, ids + n);
    n += s->n;
    if (f->back >= 0) ids[n++] = (int32_t)f->back;
    return n;
}

bool as_packed_make(as_packed *out, as_ctx *c, const as_span_source *f, const int64_t *items, int64_t n) {
    int64_t seqs = 0, most = 0;
    for (int64_t i = 0; i < n; i++) seqs += f->rows.begin[items[i] + 1] - f->rows.begin[items[i]], most += as_rows_tokens(&f->rows, items[i]);
    int64_t *begin = as_ctx_push(c, (size_t)seqs + 1, sizeof *begin), *place = as_ctx_push(c, (size_t)most + 1, sizeof *place);
    int32_t *all = as_ctx_push(c, (size_t)(4 * most) + 1, sizeof *all);
    as_seqs *packed = as_ctx_push(c, 1, sizeof *packed);
    if (!begin || !place || !all || !packed) return false;
    int32_t *ids = all, *types = all + most, *pos = types + most, *item = pos + most;
    memset(types, 0, (size_t)most * sizeof *types);
    int64_t at = 0, q = 0;
    for (int64_t i = 0; i < n; i++)
        for (int64_t s = f->rows.begin[items[i]]; s < f->rows.begin[items[i] + 1]; s++) {
            const int64_t len = as_packed_span(f, s, ids + at);
            begin[q++] = at;
            for (int64_t t = 0; t < len; t++) pos[at + t] = (int32_t)t, item[at + t] = (int32_t)s, place[at + t] = i;
            at += len;
        }
    begin[q] = at;
    *packed = (as_seqs){.count = seqs, .tokens = at, .begin = begin, .ids = ids, .types = types, .pos = pos, .item = item};
    *out = (as_packed){.s = packed, .ids = ids, .place = place};
    return true;
}

void as_packed_order(const void *self, int64_t *order, uint64_t seed, int64_t epoch) {
    const as_span_source *f = self;
    for (int64_t i = 0; i < f->rows.n; i++) order[i] = i;
    as_rng g = as_rng_at(seed, AS_STREAM_SHUFFLE, (uint32_t)epoch);
    as_rng_shuffle(&g, order, f->rows.n);
}
int64_t as_packed_length(const void *self, int64_t item) { return as_rows_tokens(&((const as_span_source *)self)->rows, item); }
as_status as_packed_ids(const void *self, const as_train_at *at, const int64_t *items, int64_t n, int32_t **ids, size_t *cap, int64_t *count, as_err *err) {
    (void)at;
    for (int64_t i = 0; i < n; i++) { /* only their number is asked for */
        const int64_t len = as_packed_length(self, items[i]);
        if (!as_grow(ids, cap, (size_t)(*count + len), sizeof **ids)) return as_fail_nomem(err, "a step", 0);
        memset(*ids + *count, 0, (size_t)len * sizeof **ids);
        *count += len;
    }
    return AS_OK;
}
