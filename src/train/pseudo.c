/* pseudo.c: an item is a copy of a sequence with one token masked, so that copies are packed, and shared out over threads and ranks,
 * as the rows of any other evaluation. */
#include "train/pseudo.h"
#include "base/mem.h"
#include "base/rng.h"
#include "train/heldout.h"
#include "train/objective_mlm.h"
#include <string.h>

typedef struct pseudo {
    const as_pretraining *p;
    const as_rows *rows;
    int64_t *span;            /* [n] the sequences */
    int64_t *first;           /* [n + 1] the first copy of each */
    int64_t n;
} pseudo;

static int64_t sequence_of(const pseudo *w, int64_t copy) {
    int64_t low = 0, high = w->n - 1;
    while (low < high) {
        const int64_t middle = (low + high + 1) / 2;
        if (w->first[middle] <= copy) low = middle;
        else high = middle - 1;
    }
    return low;
}

/* [CLS] tokens [SEP] with the k-th token that is not special masked: its place, and what it was. */
static int64_t build(const pseudo *w, const as_span *s, int64_t k, int32_t *ids, int32_t *was) {
    ids[0] = (int32_t)w->p->cls, ids[s->n + 1] = (int32_t)w->p->sep;
    as_corpus_read(w->p->corpus, w->p->part, s->doc, s->from, s->n, ids + 1);
    int64_t at = 1;
    while (w->p->special[ids[at]] || k-- > 0) at++;
    *was = ids[at], ids[at] = (int32_t)w->p->mask;
    return at;
}

static bool forward(const void *self, as_ctx *c, const as_train_at *at, const int64_t *copies, int64_t n, const float scale[AS_LOSSES], as_tally *each) {
    (void)at;
    const pseudo *w = self;
    int64_t most = 0, rows = 0;
    for (int64_t i = 0; i < n; i++) most += w->rows->spans[w->span[sequence_of(w, copies[i])]].n + 2;
    int64_t *begin = as_ctx_push(c, (size_t)n + 1, sizeof *begin), *want = as_ctx_push(c, (size_t)n, sizeof *want);
    int32_t *all = as_ctx_push(c, (size_t)(4 * most + n), sizeof *all);
    double *loss = as_ctx_push(c, (size_t)n, sizeof *loss);
    bool *right = as_ctx_push(c, (size_t)n, sizeof *right);
    if (!begin || !want || !all || !loss || !right) return false;
    int32_t *ids = all, *types = all + most, *pos = types + most, *item = pos + most, *target = item + most;
    memset(types, 0, (size_t)most * sizeof *types);
    for (int64_t i = 0; i < n; i++) {
        const int64_t q = sequence_of(w, copies[i]), len = w->rows->spans[w->span[q]].n + 2;
        want[i] = rows + build(w, &w->rows->spans[w->span[q]], copies[i] - w->first[q], ids + rows, &target[i]);
        for (int64_t t = 0; t < len; t++) pos[rows + t] = (int32_t)t, item[rows + t] = (int32_t)w->span[q];
        begin[i] = rows, rows += len;
    }
    begin[n] = rows;
    const as_seqs s = {.count = n, .tokens = rows, .begin = begin, .ids = ids, .types = types, .pos = pos, .item = item};
    as_tensor *hidden = as_model_mlm_hidden(w->p->model, c, &s, want, n);
    if (!hidden || !as_vocab_loss(c, hidden, as_model_decoder(w->p->model), as_model_decoder_bias(w->p->model), target, scale[0], loss, right)) return false;
    for (int64_t i = 0; i < n; i++) each[i] = (as_tally){.loss = {loss[i]}, .count = {1}, .correct = {right[i]}};
    return true;
}

/* Which sequences, and how many copies of each. */
static as_status choose(pseudo *w, int64_t most, as_err *err) {
    w->span = as_alloc((size_t)w->rows->span_count + 1, sizeof *w->span);
    w->n = most < w->rows->span_count ? most : w->rows->span_count;
    w->first = as_calloc((size_t)w->n + 1, sizeof *w->first);
    int32_t *ids = as_alloc((size_t)w->p->max_length, sizeof *ids);
    const as_status s = w->span && w->first && ids ? AS_OK : as_fail_nomem(err, "pseudo-perplexity", (size_t)w->n);
    if (s == AS_OK) {
        for (int64_t i = 0; i < w->rows->span_count; i++) w->span[i] = i;
        as_rng g = as_rng_at(1, AS_STREAM_SHUFFLE, UINT32_MAX); /* an epoch that is never one of training */
        as_rng_shuffle(&g, w->span, w->rows->span_count);
    }
    for (int64_t i = 0; s == AS_OK && i < w->n; i++) {
        const as_span *of = &w->rows->spans[w->span[i]];
        as_corpus_read(w->p->corpus, w->p->part, of->doc, of->from, of->n, ids);
        w->first[i + 1] = w->first[i];
        for (int64_t t = 0; t < of->n; t++) w->first[i + 1] += !w->p->special[ids[t]];
    }
    as_free(ids);
    return s;
}

as_status as_pseudo_score(as_tally **each, int64_t *n, const as_objective *o, int64_t most, as_engine *e, as_comm *comm, int progress_fd, as_err *err) {
    pseudo w = {.p = as_mlm_source(o), .rows = as_mlm_rows(o)};
    as_tally *copy = NULL;
    *each = NULL, *n = 0;
    as_status s = choose(&w, most, err);
    const int64_t copies = s == AS_OK ? w.first[w.n] : 0;
    if (s == AS_OK && (!(copy = as_alloc((size_t)copies + 1, sizeof *copy)) || !(*each = as_calloc((size_t)w.n + 1, sizeof **each))))
        s = as_fail_nomem(err, "pseudo-perplexity", (size_t)copies * sizeof *copy);
    s = as_comm_agree(comm, s, err);
    const as_objective by_copy = {.name = "pseudo-perplexity", .self = &w, .n = copies, .forward = forward};
    as_progress p;
    as_progress_begin(&p, progress_fd, progress_fd < 0, "pseudo-perplexity", copies / as_comm_size(comm));
    p.unit = "tokens";
    if (s == AS_OK) s = as_heldout_score(&by_copy, e, comm, &p, copy, err);
    as_progress_end(&p);
    for (int64_t q = 0; s == AS_OK && q < w.n; q++)
        for (int64_t i = w.first[q]; i < w.first[q + 1]; i++) {
            as_tally *t = &(*each)[q];
            t->loss[0] += copy[i].loss[0], t->count[0]++, t->correct[0] += copy[i].correct[0];
        }
    if (s == AS_OK) *n = w.n;
    else as_free(*each), *each = NULL;
    as_free(copy), as_free(w.span), as_free(w.first);
    return s;
}
