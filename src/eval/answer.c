#include "eval/answer.h"
#include "base/mem.h"
#include "base/parallel.h"
#include "data/pack.h"
#include <inttypes.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>

typedef struct work {
    as_model *m;
    const as_encoded *e;
    const as_answer_opts *o;
    as_batches batches;
    as_ctx *ctx;              /* [workers] */
    as_answer_sink sink;
    void *sink_ctx;
    pthread_mutex_t lock;     /* around the sink and the error */
    atomic_bool stopped;
    as_status status;
    as_err *err;
} work;

static void give_up(work *w, as_status s) {
    if (w->status == AS_OK) w->status = s;
    w->stopped = true;
}

static as_tensor *run(const work *w, as_ctx *c, const as_seqs *s) {
    if (w->o->request == AS_REQUEST_CLASS) return as_model_classify(w->m, c, s);
    as_tensor *h = w->o->pool_first ? as_model_encode_rows(w->m, c, s, s->begin, s->count) : as_model_encode(w->m, c, s);
    if (!w->o->pool_first) h = as_pool(c, h, s, w->o->pooling);
    return w->o->unit ? as_unit(c, h) : h;
}

/* Under the lock: check, hand over, count. */
static void deliver(work *w, as_ctx *c, const as_tensor *y, const int64_t *items, int64_t n) {
    as_answer *a = as_arena_push(&c->arena, (size_t)n, sizeof *a);
    if (!a) {
        give_up(w, as_fail_nomem(w->err, "answers", (size_t)n * sizeof *a));
        return;
    }
    int64_t tokens = 0;
    for (int64_t i = 0; i < n; i++) {
        a[i] = (as_answer){.item = items[i], .v = y->x + i * y->cols, .cols = y->cols, .tokens = w->e->offset[items[i] + 1] - w->e->offset[items[i]]};
        tokens += a[i].tokens;
        for (int64_t j = 0; j < y->cols; j++)
            if (!isfinite(a[i].v[j])) {
                give_up(w, as_fail(w->err, AS_NUMERIC, "%s: the answer to item %" PRId64 " is not finite", as_model_dir(w->m), items[i]));
                as_hint(w->err, "A weight or an activation overflows; try --dtype f32, or another checkpoint.");
                return;
            }
    }
    const as_status s = w->sink(w->sink_ctx, a, n, w->err);
    if (s != AS_OK) give_up(w, s);
    if (w->o->progress) as_progress_add(w->o->progress, n, tokens);
}

static void one_batch(void *ctx, int64_t b, int thread) {
    work *w = ctx;
    if (!w->stopped && w->o->stop && w->o->stop()) w->stopped = true;
    if (w->stopped) return;
    as_ctx *c = &w->ctx[thread];
    as_ctx_reset(c);
    const int64_t *items = w->batches.item + w->batches.begin[b], n = w->batches.begin[b + 1] - w->batches.begin[b];
    const as_seqs *s = as_seqs_pack(&c->arena, w->e, items, n);
    const as_tensor *y = s ? run(w, c, s) : NULL;
    pthread_mutex_lock(&w->lock);
    if (!w->stopped && y && !c->failed)
        deliver(w, c, y, items, n);
    else if (!w->stopped)
        give_up(w, as_fail_nomem(w->err, "the activations of a micro-batch", 0));
    pthread_mutex_unlock(&w->lock);
}

/* Many micro-batches: each thread takes its own. Few: the threads share the rows of each. Same bits either way. */
as_status as_answer_items(as_model *m, const as_encoded *e, const int64_t *index, int64_t n, const as_answer_opts *o, as_answer_sink sink, void *ctx,
                          as_err *err) {
    work w = {.m = m, .e = e, .o = o, .sink = sink, .sink_ctx = ctx, .err = err};
    AS_TRY(as_batches_make(&w.batches, e, index, n, o->batch_tokens > 0 ? o->batch_tokens : AS_ROW_MAX, err));
    const int threads = as_engine_threads(as_model_engine(m));
    const bool own = w.batches.count >= threads;
    const int workers = own ? threads : 1;
    pthread_mutex_init(&w.lock, NULL);
    w.ctx = as_calloc((size_t)workers, sizeof *w.ctx);
    w.status = w.ctx ? AS_OK : as_fail_nomem(err, "work spaces", 0);
    int made = 0;
    for (; w.status == AS_OK && made < workers; made++)
        w.status = as_ctx_init(&w.ctx[made], as_model_engine(m), own ? made : 0, own ? 1 : threads, err);
    if (w.status == AS_OK) as_parallel_dynamic(workers, w.batches.count, one_batch, &w);
    if (w.status == AS_OK && w.stopped) w.status = as_fail(err, AS_INTERRUPTED, "interrupted");
    for (int i = 0; i < made; i++) as_ctx_deinit(&w.ctx[i]);
    as_free(w.ctx);
    pthread_mutex_destroy(&w.lock);
    as_batches_free(&w.batches);
    return w.status;
}
