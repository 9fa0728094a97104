/* rtd_auc.c: how well a discriminator ranks replaced tokens above original ones: the area under its ROC curve. */
#include "base/mem.h"
#include "base/parallel.h"
#include "train/heldout.h"
#include "train/objective_rtd.h"
#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>

enum { ITEMS = 8 }; /* of one forward pass */

typedef struct scored { float score; bool replaced; } scored;
typedef struct scoring {
    const as_objective *o;
    as_ctx *ctx;              /* [threads] */
    int64_t *begin;           /* [items] where an item's tokens go */
    scored *token;
    atomic_bool failed;
} scoring;

static void score_items(void *arg, int64_t chunk, int thread) {
    scoring *s = arg;
    as_ctx *c = &s->ctx[thread];
    const as_train_at at = as_heldout_at();
    int64_t items[ITEMS], n = 0;
    for (int64_t i = chunk * ITEMS; i < s->o->n && n < ITEMS; i++) items[n++] = i;
    as_rtd_batch b;
    as_ctx_reset(c);
    as_seqs *q = as_ctx_push(c, 1, sizeof *q);
    if (!q || !as_rtd_read(s->o, c, &at, items, n, &b)) { s->failed = true; return; }
    *q = *b.k.s, q->ids = b.filled;
    const as_tensor *logits = as_rtd_logits(s->o, c, q);
    if (!logits) { s->failed = true; return; }
    for (int64_t t = 0; t < q->tokens; t++) s->token[s->begin[items[0]] + t] = (scored){logits->x[t], b.replaced[t] != 0};
}

static int by_score(const void *a, const void *b) {
    const float x = ((const scored *)a)->score, y = ((const scored *)b)->score;
    return (x > y) - (x < y);
}
/* Mann and Whitney 1947: the share of pairs in which the replaced token scores higher; equal scores count half. */
static double area(scored *t, int64_t n) {
    qsort(t, (size_t)n, sizeof *t, by_score);
    double wins = 0.0, replaced = 0.0, original = 0.0;
    for (int64_t i = 0, end; i < n; i = end) {
        double here = 0.0, same = 0.0;
        for (end = i; end < n && t[end].score == t[i].score; end++) t[end].replaced ? here++ : same++;
        wins += here * (original + same / 2.0);
        replaced += here, original += same;
    }
    return replaced > 0.0 && original > 0.0 ? wins / (replaced * original) : (double)NAN;
}

as_status as_rtd_auc(double *out, const as_objective *o, as_engine *e, as_err *err) {
    const int threads = as_engine_threads(e);
    int64_t tokens = 0;
    scoring s = {.o = o, .ctx = as_calloc((size_t)threads, sizeof *s.ctx), .begin = as_alloc((size_t)o->n + 1, sizeof *s.begin)};
    for (int64_t i = 0; s.begin && i < o->n; i++) s.begin[i] = tokens, tokens += o->length(o->self, i);
    s.token = as_alloc((size_t)tokens + 1, sizeof *s.token);
    *out = (double)NAN;
    as_status st = s.ctx && s.begin && s.token ? AS_OK : as_fail_nomem(err, "evaluation", (size_t)tokens * sizeof *s.token);
    for (int i = 0; st == AS_OK && i < threads; i++) st = as_ctx_init(&s.ctx[i], e, i, 1, err);
    if (st == AS_OK) as_parallel_dynamic(threads, (o->n + ITEMS - 1) / ITEMS, score_items, &s);
    if (st == AS_OK && s.failed) st = as_fail_nomem(err, "evaluation", 0);
    if (st == AS_OK) *out = area(s.token, tokens);
    for (int i = 0; s.ctx && i < threads; i++) as_ctx_deinit(&s.ctx[i]);
    as_free(s.ctx), as_free(s.begin), as_free(s.token);
    return st;
}
