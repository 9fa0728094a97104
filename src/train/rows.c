#include "train/rows.h"
#include "base/mem.h"
#include <inttypes.h>
#include <string.h>

typedef struct making {
    as_rows *r;
    size_t span_cap, row_cap;
    int64_t max_length, used; /* tokens of the open row */
} making;

static as_status add_span(making *m, as_span s, as_err *err) {
    as_rows *r = m->r;
    const int64_t take = s.n + r->extra;
    if (!as_grow(&r->spans, &m->span_cap, (size_t)r->span_count + 1, sizeof *r->spans) || !as_grow(&r->begin, &m->row_cap, (size_t)r->n + 2, sizeof *r->begin))
        return as_fail_nomem(err, "the rows of a corpus", 0);
    if (r->n == 0 || m->used + take > m->max_length) r->begin[r->n++] = r->span_count, m->used = 0;
    r->spans[r->span_count++] = s;
    m->used += take, r->tokens += take;
    return AS_OK;
}

static as_status add_document(making *m, const as_corpus *c, as_corpus_part part, int64_t doc, int64_t least, as_err *err) {
    const int64_t room = m->max_length - m->r->extra, tokens = as_corpus_doc_tokens(c, part, doc), segments = as_corpus_doc_segments(c, part, doc);
    int64_t segment = 0;
    for (int64_t at = 0, n; at < tokens; at += n) {
        n = tokens - at;
        if (n > room) {
            n = room;
            while (segment < segments && as_corpus_segment_begin(c, part, doc, segment + 1) <= at + room) segment++;
            const int64_t end = as_corpus_segment_begin(c, part, doc, segment) - at;
            if (2 * end >= room) n = end;
        }
        if (n >= least) AS_TRY(add_span(m, (as_span){doc, at, (int32_t)n}, err));
    }
    return AS_OK;
}

as_status as_rows_make(as_rows *out, const as_corpus *c, as_corpus_part part, int64_t max_length, int64_t extra, int64_t least, as_err *err) {
    *out = (as_rows){.extra = extra};
    making m = {.r = out, .max_length = max_length};
    as_status s = AS_OK;
    if (max_length < extra + least) s = as_fail(err, AS_USAGE, "--max-length %" PRId64 ": a row needs at least %" PRId64 " tokens", max_length, extra + least);
    for (int64_t d = 0; s == AS_OK && d < as_corpus_docs(c, part); d++) s = add_document(&m, c, part, d, least, err);
    if (s == AS_OK && out->span_count > INT32_MAX) s = as_fail(err, AS_USAGE, "the corpus has more than %d spans of at most %" PRId64 " tokens", INT32_MAX, max_length);
    if (s == AS_OK && out->n > 0) out->begin[out->n] = out->span_count;
    if (s != AS_OK) as_rows_free(out);
    return s;
}
void as_rows_free(as_rows *r) {
    as_free(r->spans), as_free(r->begin);
    memset(r, 0, sizeof *r);
}
int64_t as_rows_tokens(const as_rows *r, int64_t row) {
    int64_t n = 0;
    for (int64_t i = r->begin[row]; i < r->begin[row + 1]; i++) n += r->spans[i].n + r->extra;
    return n;
}
