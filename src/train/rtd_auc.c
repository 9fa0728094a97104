/* rtd_auc.c: how well a discriminator ranks replaced tokens above original ones: the area under its ROC curve. */
#include "base/mem.h"
#include "train/objective_rtd.h"
#include <math.h>
#include <stdlib.h>

typedef struct scoring {
    const as_objective *o;
    int64_t *begin; /* [items] where an item's tokens go */
    as_rtd_token *token;
} scoring;

static bool score_items(void *arg, as_ctx *c, const int64_t *items, int64_t n) {
    const scoring *s = arg;
    const as_train_at at = as_heldout_at();
    as_rtd_batch b;
    as_seqs *q = as_ctx_push(c, 1, sizeof *q);
    if (!q || !as_rtd_read(s->o, c, &at, items, n, &b)) return false;
    *q = *b.k.s, q->ids = b.filled;
    const as_tensor *logits = as_rtd_logits(s->o, c, q);
    if (!logits) return false;
    int64_t t = 0;
    for (int64_t i = 0; i < n; i++)
        for (const int64_t end = t + s->o->length(s->o->self, items[i]); t < end; t++)
            s->token[s->begin[items[0]] + t] = (as_rtd_token){logits->x[t], b.replaced[t] != 0, items[i]};
    return true;
}

static int by_score(const void *a, const void *b) {
    const float x = ((const as_rtd_token *)a)->score, y = ((const as_rtd_token *)b)->score;
    return (x > y) - (x < y);
}
as_heldout_mean as_rtd_area(as_rtd_token *t, int64_t n, int64_t items, double *over, double level) {
    as_heldout_mean m = {NAN, NAN, NAN, items, 0};
    double replaced = 0.0, wins = 0.0, squares = 0.0, below[2] = {0.0, 0.0}; /* tokens of lower scores: original, replaced */
    for (int64_t i = 0; i < n; i++) replaced += t[i].replaced;
    const double original = (double)n - replaced;
    if (replaced == 0.0 || original == 0.0) return m;
    qsort(t, (size_t)n, sizeof *t, by_score);
    for (int64_t i = 0; i < items; i++) over[i] = 0.0;
    for (int64_t i = 0, end; i < n; i = end) { /* equal scores */
        double same[2] = {0.0, 0.0};
        for (end = i; end < n && t[end].score == t[i].score; end++) same[t[end].replaced]++;
        const double under = below[0] + same[0] / 2.0, above = replaced - below[1] - same[1] / 2.0;
        for (int64_t k = i; k < end; k++) over[t[k].item] += (t[k].replaced ? under : above) / (replaced * original);
        wins += same[1] * under;
        below[0] += same[0], below[1] += same[1];
    }
    m.value = wins / (replaced * original), m.count = n;
    for (int64_t i = 0; i < n; i++) over[t[i].item] -= m.value / (t[i].replaced ? replaced : original);
    for (int64_t i = 0; i < items; i++) squares += over[i] * over[i];
    as_heldout_interval(&m, squares, 1.0, true, level);
    return m;
}

as_status as_rtd_auc(as_heldout_mean *out, const as_objective *o, as_engine *e, double level, as_err *err) {
    int64_t tokens = 0;
    scoring s = {.o = o, .begin = as_alloc((size_t)o->n + 1, sizeof *s.begin)};
    for (int64_t i = 0; s.begin && i < o->n; i++) s.begin[i] = tokens, tokens += o->length(o->self, i);
    s.token = as_alloc((size_t)tokens + 1, sizeof *s.token);
    double *over = as_alloc((size_t)o->n + 1, sizeof *over);
    as_status st = s.begin && s.token && over ? as_heldout_each(e, 0, o->n, score_items, &s, NULL, err) : as_fail_nomem(err, "evaluation", (size_t)tokens * sizeof *s.token);
    if (st == AS_OK) *out = as_rtd_area(s.token, tokens, o->n, over, level);
    as_free(s.begin), as_free(s.token), as_free(over);
    return st;
}
