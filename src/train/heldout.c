#include "train/heldout.h"
#include "base/mem.h"
#include "base/parallel.h"
#include "stats/paired.h"
#include "train/shares.h"
#include <math.h>
#include <stdatomic.h>
#include <string.h>

enum { ITEMS = 8 }; /* of one forward pass */

typedef struct chunks {
    as_ctx *ctx; /* [threads] */
    int64_t first, end;
    as_heldout_fn *score;
    void *arg;
    as_progress *progress;
    atomic_bool failed;
} chunks;

static void score_chunk(void *arg, int64_t chunk, int thread) {
    chunks *s = arg;
    int64_t items[ITEMS], n = 0;
    for (int64_t i = s->first + chunk * ITEMS; i < s->end && n < ITEMS; i++) items[n++] = i;
    as_ctx_reset(&s->ctx[thread]);
    if (!s->score(s->arg, &s->ctx[thread], items, n)) s->failed = true;
    if (s->progress) as_progress_add(s->progress, n, 0);
}
as_status as_heldout_each(as_engine *e, int64_t first, int64_t end, as_heldout_fn *score, void *ctx, as_progress *progress, as_err *err) {
    const int threads = as_engine_threads(e);
    chunks s = {.first = first, .end = end, .score = score, .arg = ctx, .progress = progress, .ctx = as_calloc((size_t)threads, sizeof *s.ctx)};
    as_status st = s.ctx ? AS_OK : as_fail_nomem(err, "evaluation", 0);
    for (int i = 0; st == AS_OK && i < threads; i++) st = as_ctx_init(&s.ctx[i], e, i, 1, err);
    if (st == AS_OK) as_parallel_dynamic(threads, (end - first + ITEMS - 1) / ITEMS, score_chunk, &s);
    if (st == AS_OK && s.failed) st = as_fail_nomem(err, "evaluation", 0);
    for (int i = 0; s.ctx && i < threads; i++) as_ctx_deinit(&s.ctx[i]);
    as_free(s.ctx);
    return st;
}

typedef struct scoring { const as_objective *o; as_tally *each; } scoring;
static bool score_items(void *arg, as_ctx *c, const int64_t *items, int64_t n) {
    const scoring *s = arg;
    const as_train_at at = as_heldout_at();
    const float scale[AS_LOSSES] = {1.0f, 1.0f};
    return s->o->forward(s->o->self, c, &at, items, n, scale, s->each + items[0]);
}

as_status as_heldout_score(const as_objective *o, as_engine *e, as_comm *comm, as_progress *progress, as_tally *each, as_err *err) {
    const int ranks = as_comm_size(comm), rank = as_comm_rank(comm);
    const as_shares shares = {.comm = comm, .tree = {ranks, ranks, rank}};
    size_t begin[AS_SHARDS_MAX + 1];
    AS_ASSERT(ranks <= AS_SHARDS_MAX);
    as_shares_cut(&shares, begin, (size_t)o->n, ITEMS);
    scoring s = {o, each};
    AS_TRY(as_comm_agree(comm, as_heldout_each(e, (int64_t)begin[rank], (int64_t)begin[rank + 1], score_items, &s, progress, err), err));
    return as_shares_spread(&shares, each, sizeof *each, begin, err);
}

void as_heldout_interval(as_heldout_mean *m, double squares, double scale, bool share, double level) {
    if (m->n < 2) return;
    const double se = sqrt(squares * (double)m->n / (double)(m->n - 1)) / scale, t = as_t_quantile(0.5 + level / 2.0, (double)(m->n - 1));
    m->low = m->value - t * se, m->high = m->value + t * se;
    if (share) m->low = fmax(0.0, m->low), m->high = fmin(1.0, m->high);
}

/* Sum(x) / sum(count), x by item; the variance of a ratio of means to first order. */
static as_heldout_mean ratio(const as_tally *each, int64_t n, int part, bool accuracy, double level) {
    as_heldout_mean m = {.value = NAN, .low = NAN, .high = NAN, .n = n};
    double sum = 0.0, squares = 0.0;
    for (int64_t i = 0; i < n; i++) sum += accuracy ? (double)each[i].correct[part] : each[i].loss[part], m.count += each[i].count[part];
    if (m.count == 0) return m;
    m.value = sum / (double)m.count;
    for (int64_t i = 0; i < n; i++) {
        const double d = (accuracy ? (double)each[i].correct[part] : each[i].loss[part]) - m.value * (double)each[i].count[part];
        squares += d * d;
    }
    as_heldout_interval(&m, squares, (double)m.count, accuracy, level);
    return m;
}
as_heldout_mean as_heldout_loss(const as_tally *each, int64_t n, int part, double level) { return ratio(each, n, part, false, level); }
as_heldout_mean as_heldout_accuracy(const as_tally *each, int64_t n, int part, double level) { return ratio(each, n, part, true, level); }
as_heldout_mean as_heldout_perplexity(as_heldout_mean l) { return (as_heldout_mean){exp(l.value), exp(l.low), exp(l.high), l.n, l.count}; }
void as_heldout_json(as_buf *b, const char *name, as_heldout_mean m) {
    as_buf_fmt(b, ",\"%s\":", name), as_buf_real(b, m.value);
    as_buf_fmt(b, ",\"%s_low\":", name), as_buf_real(b, m.low);
    as_buf_fmt(b, ",\"%s_high\":", name), as_buf_real(b, m.high);
}
