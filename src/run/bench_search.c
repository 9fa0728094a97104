/* bench_search.c: a learning rate for each model by successive halving (Jamieson and Talwalkar 2016): all candidates get a quarter of
 * the steps, the better half of them half, and the best of those trains in full. Judged on the dev data: test data never guide it. */
#include "base/mem.h"
#include "run/bench_impl.h"
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* Times the recipe's rate, the most promising first. */
static const double factors[] = {1, 2.5, 5, 0.5, 10, 25, 0.25, 50};

static as_status try_one(as_bench *w, int model, double lr, const as_plan *plan, int64_t part, as_err *err) {
    const int64_t steps = plan->steps / part > 0 ? plan->steps / part : 1;
    as_bench_result *r = w->out;
    as_bench_try *more = as_realloc(r->tries, r->try_count + 1, sizeof *more);
    if (!more) return as_fail_nomem(err, "the search", 0);
    r->tries = more;
    as_buf path = {0}, doing = {0};
    as_buf_fmt(&path, "%s/search/%s-lr%g-steps%" PRId64, w->b->out, w->names[model], lr, steps);
    as_buf_fmt(&doing, "try %s, lr %g, %" PRId64 " steps", w->names[model], lr, steps);
    if (path.failed || doing.failed) return as_buf_free(&path), as_buf_free(&doing), as_fail_nomem(err, "a path", 0);
    as_finetune_job f = as_bench_training(w, model, w->b->recipe.seed, path.p);
    f.recipe.lr = lr, f.recipe.steps = steps, f.job.doing = doing.p;
    as_finetune_result t;
    as_whole_begin(f.job.whole, plan->seconds / (double)part);
    const as_status s = as_run_finetune(&f, &t, err);
    if (s == AS_OK) {
        as_whole_end(f.job.whole, !t.from_store);
        const as_result_metric *m = &t.dev.metrics[0];
        const double score = isnan(m->value) ? -INFINITY : m->higher_is_better ? m->value : -m->value;
        r->tries[r->try_count++] = (as_bench_try){.model = model, .lr = lr, .score = score, .steps = steps, .run = t.run};
        as_log_line(w->b->job.log, AS_INFO, "%s: %s %.4f on the dev data", doing.p, m->name, m->value);
        as_finetune_result_free(&t);
    }
    as_buf_free(&path), as_buf_free(&doing);
    return s;
}

static int by_score(const void *a, const void *b) {
    const as_bench_try *x = a, *y = b;
    if (x->score != y->score) return x->score > y->score ? -1 : 1;
    return x->lr < y->lr ? -1 : x->lr > y->lr; /* of equals the smaller rate */
}

static int64_t tries(int64_t search) { return search < (int64_t)AS_COUNT(factors) ? search : (int64_t)AS_COUNT(factors); }

double as_bench_search_share(int64_t search) {
    const int64_t n = tries(search), kept = n > 1 ? (n + 1) / 2 : 0;
    return 0.25 * (double)n + (kept > 1 ? 0.5 * (double)kept : 0);
}

as_status as_bench_search(as_bench *w, int model, const as_plan *plan, double *lr, as_err *err) {
    const int64_t n = tries(w->b->search);
    as_bench_result *r = w->out;
    size_t first = r->try_count;
    if (!w->dev_path && !(w->b->dev_fraction > 0)) return as_fail(err, AS_USAGE, "--search needs dev data: give --dev or --dev-fraction");
    for (int64_t i = 0; i < n; i++) AS_TRY(try_one(w, model, w->b->recipe.lr * factors[i], plan, 4, err));
    qsort(r->tries + first, (size_t)n, sizeof *r->tries, by_score);
    const int64_t kept = (n + 1) / 2;
    for (int64_t i = 0; i < kept; i++) r->tries[first + (size_t)i].kept = true;
    if (kept > 1) {
        first = r->try_count;
        for (int64_t i = 0; i < kept; i++) AS_TRY(try_one(w, model, r->tries[first - (size_t)n + (size_t)i].lr, plan, 2, err));
        qsort(r->tries + first, (size_t)kept, sizeof *r->tries, by_score);
        r->tries[first].kept = true;
    }
    *lr = r->tries[first].lr;
    as_log_line(w->b->job.log, AS_INFO, "%s: learning rate %g", w->names[model], *lr);
    return AS_OK;
}
