#include "base/mem.h"
#include "base/parallel.h"
#include "data/corpus_stage.h"
#include <inttypes.h>
#include <string.h>

/* A block's documents as ids, ready for the writer. */
typedef struct encoded {
    int32_t *ids;
    as_corpus_segment *segment;  /* ids are offsets until the block is whole */
    int64_t *doc, *first;        /* document numbers within the block; [n + 1] first segment of each */
    size_t id_cap, segment_cap, doc_cap, first_cap;
    int64_t n_ids, n_segments, n_docs;
    as_tokens tokens;
    as_status status;
    as_err err;
} encoded;

typedef struct encoding {
    as_build *b;
    encoded *slot;    /* [slots] */
    int64_t slots, from; /* first block of this turn */
    int64_t done[AS_CORPUS_PARTS];  /* documents below lie in complete shards */
} encoding;

static void encoded_free(encoded *e) {
    as_free(e->ids), as_free(e->segment), as_free(e->doc), as_free(e->first);
    as_tokens_free(&e->tokens);
}

/* What the tokenizer makes of a line end belongs to the line, unless it is only the unknown token. */
static as_status encode_line(encoded *e, const as_tokenizer *tok, as_str line, as_err *err) {
    const as_encode_opts opts = {.no_special = true};
    AS_TRY(as_encode(tok, line, NULL, &opts, &e->tokens, err));
    const int64_t n = e->tokens.n;
    if (!as_grow(&e->ids, &e->id_cap, (size_t)(e->n_ids + n), sizeof *e->ids) || !as_grow(&e->segment, &e->segment_cap, (size_t)e->n_segments + 1, sizeof *e->segment))
        return as_build_nomem(err);
    if (n > 0) memcpy(e->ids + e->n_ids, e->tokens.ids, (size_t)n * sizeof *e->ids);
    e->segment[e->n_segments++].n = n;
    e->n_ids += n;
    return AS_OK;
}

static as_status encode_document(encoded *e, const as_build *b, as_str text, int64_t doc, as_err *err) {
    if (!as_grow(&e->doc, &e->doc_cap, (size_t)e->n_docs + 1, sizeof *e->doc) || !as_grow(&e->first, &e->first_cap, (size_t)e->n_docs + 2, sizeof *e->first))
        return as_build_nomem(err);
    e->doc[e->n_docs] = doc;
    e->first[e->n_docs++] = e->n_segments;
    while (text.n > 0) {
        const char *const lf = memchr(text.p, '\n', text.n);
        const size_t n = lf != NULL ? (size_t)(lf - text.p) + 1 : text.n;
        AS_TRY(encode_line(e, b->tok, (as_str){text.p, lf != NULL && !b->line_ends ? n - 1 : n}, err));
        text.p += n, text.n -= n;
    }
    e->first[e->n_docs] = e->n_segments;
    return AS_OK;
}

static as_corpus_part part_of(const as_build *b, as_str text) {
    const double at = (double)(as_hash64(text.p, text.n, 0x48454C44) >> 11) * 0x1p-53;
    return at < b->o->heldout ? AS_CORPUS_HELDOUT : AS_CORPUS_TRAIN;
}

static as_status encode_block(const as_build *b, encoded *e, int64_t block, const int64_t done[AS_CORPUS_PARTS], as_err *err) {
    e->n_ids = e->n_segments = e->n_docs = 0;
    for (int64_t i = 0; i < b->docs[block].n; i++) {
        const as_str text = as_docs_at(&b->docs[block], i);
        if (!b->keep[b->first[block] + i]) continue;
        if (b->first[block] + i < done[part_of(b, text)]) continue;
        AS_TRY(encode_document(e, b, text, i, err));
    }
    int64_t at = 0;
    for (int64_t k = 0; k < e->n_segments; at += e->segment[k++].n) e->segment[k].ids = e->ids + at;
    return AS_OK;
}

static void encode_one(void *ctx, int64_t i, int thread) {
    (void)thread;
    encoding *const g = ctx;
    g->slot[i].status = encode_block(g->b, &g->slot[i], g->from + i, g->done, &g->slot[i].err);
}

static as_status write_block(encoding *g, const encoded *e, int64_t block, as_corpus_writer *w, as_err *err) {
    const as_build *const b = g->b;
    for (int64_t k = 0; k < e->n_docs; k++) {
        const as_str text = as_docs_at(&b->docs[block], e->doc[k]);
        as_corpus_writer_at(w, b->first[block] + e->doc[k] + 1);
        AS_TRY(as_corpus_writer_add(w, part_of(b, text), e->segment + e->first[k], e->first[k + 1] - e->first[k], (int64_t)text.n, NULL, err));
    }
    return AS_OK;
}

/* Blocks are encoded a few at a time and written in their order; memory is that of the few. */
as_status as_build_encode(as_build *b, as_corpus_writer *w, as_err *err) {
    encoding g = {.b = b, .slots = 2 * (int64_t)b->threads};
    as_progress progress;
    as_status s = AS_OK;
    for (int p = 0; p < AS_CORPUS_PARTS; p++) g.done[p] = as_corpus_writer_position(w, (as_corpus_part)p);
    g.slot = as_calloc((size_t)g.slots, sizeof *g.slot);
    if (g.slot == NULL) return as_build_nomem(err);
    as_progress_begin(&progress, b->o->progress_fd, b->o->progress_fd < 0, "tokenise", b->first[b->blocks]);
    for (; g.from < b->blocks && s == AS_OK; g.from += g.slots) {
        const int64_t n = b->blocks - g.from < g.slots ? b->blocks - g.from : g.slots;
        as_parallel_dynamic(b->threads, n, encode_one, &g);
        for (int64_t i = 0; i < n && s == AS_OK; i++) {
            s = g.slot[i].status;
            if (s != AS_OK && err != NULL) *err = g.slot[i].err;
            if (s == AS_OK) s = write_block(&g, &g.slot[i], g.from + i, w, err);
            as_progress_add(&progress, b->docs[g.from + i].n, g.slot[i].n_ids);
        }
        if (s == AS_OK && b->o->stop != NULL && b->o->stop()) {
            s = as_fail(err, AS_INTERRUPTED, "interrupted while tokenising");
            as_hint(err, "The same command goes on where it was.");
        }
    }
    as_progress_end(&progress);
    for (int64_t i = 0; i < g.slots; i++) encoded_free(&g.slot[i]);
    as_free(g.slot);
    return s;
}
