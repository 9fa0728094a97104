/* dump_objective: not a test by itself. Pre-trains a golden checkpoint on made-up documents with dropout 0 and writes what an oracle
 * needs to repeat it: the initial checkpoint (OUT/initial), and one JSON line per step with its loss and what the models read.
 * Usage: dump_objective mlm|clm|rtd MODEL OUT STEPS BATCH LR */
#include "train/objective_check.h"
#include "train/objective_mlm.h"
#include <inttypes.h>

typedef struct dump { as_objective inner; bool rtd, mlm; as_buf seqs; } dump;

static void put_masked(dump *d, const as_train_at *at, const int64_t *items, int64_t n) {
    const as_rows *r = as_mlm_rows(&d->inner);
    int32_t ids[MOST_TOKENS], types[MOST_TOKENS], target[MOST_TOKENS], label;
    for (int64_t i = 0; i < n; i++)
        for (int64_t s = r->begin[items[i]]; s < r->begin[items[i] + 1]; s++) {
            const int64_t len = as_mlm_sequence(&d->inner, at, s, ids, types, target, &label);
            as_buf_str(&d->seqs, d->seqs.n ? ",{" : "{"), put_ids(&d->seqs, "ids", ids, len);
            as_buf_str(&d->seqs, ","), put_ids(&d->seqs, "target", target, len), as_buf_str(&d->seqs, "}");
        }
}

/* The inner forward, after a look at what it reads: the draw is made twice from the same weights. */
static bool forward(const void *self, as_ctx *c, const as_train_at *at, const int64_t *items, int64_t n, const float scale[AS_LOSSES], as_tally *each) {
    dump *d = (dump *)(uintptr_t)self;
    if (d->mlm) {
        put_masked(d, at, items, n);
        return d->inner.forward(d->inner.self, c, at, items, n, scale, each);
    }
    const size_t tape = c->tape_n;
    const double loss = c->loss;
    as_rtd_batch b = {0};
    const as_span_source *from = d->inner.self;
    if (d->rtd ? !as_rtd_read(&d->inner, c, at, items, n, &b) : !as_packed_make(&b.k, c, from, items, n)) return false;
    c->tape_n = tape, c->loss = loss;
    const as_seqs *s = b.k.s;
    for (int64_t q = 0; q < s->count; q++) {
        const int64_t at0 = s->begin[q], len = s->begin[q + 1] - at0;
        const as_span *span = &from->rows.spans[s->item[at0]];
        as_buf_str(&d->seqs, d->seqs.n ? ",{" : "{");
        put_ids(&d->seqs, "ids", s->ids + at0, len);
        as_buf_fmt(&d->seqs, ",\"ends\":%s", span->from + span->n == as_corpus_doc_tokens(from->corpus, from->part, span->doc) ? "true" : "false");
        if (d->rtd) {
            as_buf_str(&d->seqs, ","), put_ids(&d->seqs, "masked", b.masked + at0, len);
            as_buf_str(&d->seqs, ","), put_ids(&d->seqs, "filled", b.filled + at0, len);
        }
        as_buf_str(&d->seqs, "}");
    }
    return d->inner.forward(d->inner.self, c, at, items, n, scale, each);
}
static void order(const void *self, int64_t *out, uint64_t seed, int64_t epoch) { const dump *d = self; d->inner.order(d->inner.self, out, seed, epoch); }
static int64_t length(const void *self, int64_t item) { const dump *d = self; return d->inner.length(d->inner.self, item); }
static as_status ids(const void *self, const as_train_at *at, const int64_t *items, int64_t n, int32_t **out, size_t *cap, int64_t *count, as_err *err) {
    const dump *d = self;
    return d->inner.ids(d->inner.self, at, items, n, out, cap, count, err);
}
static void denominators(const void *self, const as_train_at *at, const int64_t *items, int64_t n, double out[AS_LOSSES]) {
    const dump *d = self;
    d->inner.denominators(d->inner.self, at, items, n, out);
}

static as_status on_step(void *ctx, const as_train_step *s, as_err *err) {
    (void)err;
    dump *d = ctx;
    printf("{\"step\":%" PRId64 ",\"loss\":%.9g,\"norm\":%.9g,\"lr\":%.9g,\"seqs\":[%.*s]}\n", s->step, s->loss, s->norm, s->lr, (int)d->seqs.n, d->seqs.p);
    d->seqs.n = 0;
    return AS_OK;
}

static as_status run(char **argv, as_err *err) {
    as_engine *e = NULL;
    as_model *m = NULL;
    as_corpus *c = NULL;
    dump d = {.rtd = strcmp(argv[1], "rtd") == 0, .mlm = strcmp(argv[1], "mlm") == 0};
    const as_pretraining_row *row = as_pretraining_find(argv[1]);
    as_recipe r = as_recipe_defaults();
    r.steps = atoll(argv[4]), r.batch_size = atoll(argv[5]), r.lr = atof(argv[6]), r.dropout = 0.0, r.grad_shards = 1;
    as_engine_opts o = as_engine_defaults();
    o.threads = 1;
    char *initial = as_path_join(argv[3], "initial");
    as_status s = row ? words_corpus(&c, argv[3], 200, err) : as_fail(err, AS_USAGE, "no objective \"%s\"", argv[1]);
    if (s == AS_OK) s = as_engine_open(&e, &o, err);
    if (s == AS_OK) s = as_model_open(&m, e, argv[2], &(as_model_opts){.head = row->head, .train = true, .seed = 1}, err);
    if (s == AS_OK) s = as_model_save(m, initial, err);
    as_pretraining p = words_pretraining(m, c);
    if (s == AS_OK) s = row->open(&d.inner, &p, err);
    const as_objective outer = {.name = row->name, .self = &d, .n = d.inner.n, .order = order, .length = length, .ids = ids,
                                .denominators = denominators, .forward = forward};
    const as_trainer t = {.model = m, .recipe = &r, .objective = &outer, .log = on_step, .ctx = &d};
    as_trained done;
    if (s == AS_OK) s = as_train(&t, &done, err);
    if (d.inner.self) row->close(&d.inner);
    as_buf_free(&d.seqs), as_free(initial);
    as_model_free(m), as_engine_free(e), as_corpus_close(c);
    return s;
}

int main(int argc, char **argv) {
    as_err err = {0};
    if (argc == 7 && run(argv, &err) == AS_OK) return 0;
    fprintf(stderr, "dump_objective: %s\n", argc != 7 ? "arguments: mlm|clm|rtd MODEL OUT STEPS BATCH LR" : err.msg);
    return 1;
}
