/* objective_rtd.c: ELECTRA (Clark et al. 2020, arXiv:2003.10555, section 3). A generator fills masked tokens, the discriminator says
 * of every token whether it is the original one:
 *   loss = mean over masked tokens of -log p_G(token)  +  50 mean over all tokens of the cross-entropy of "replaced"
 * A token that is not special is masked with probability mask_share, anew in each epoch; what replaces it is drawn from the
 * generator, and counts as original where it is. No gradient goes through the draw. Masks and draws are keyed by (seed, epoch, span,
 * position). */
#include "base/mem.h"
#include "base/rng.h"
#include "train/masking.h"
#include "train/objective_clm.h"
#include "train/objective_rtd.h"

#define DISCRIMINATOR_WEIGHT 50.0f

typedef struct rtd {
    as_span_source from;      /* first: packed.h */
    as_pretraining p;
    int32_t *scratch;         /* [2, max_length] of denominators, which one thread calls */
} rtd;

static void denominators(const void *self, const as_train_at *at, const int64_t *items, int64_t n, double out[AS_LOSSES]) {
    const rtd *m = self;
    const as_rows *r = &m->from.rows;
    int32_t *target = m->scratch + m->p.max_length;
    int64_t masked = 0, tokens = 0;
    for (int64_t i = 0; i < n; i++)
        for (int64_t s = r->begin[items[i]]; s < r->begin[items[i] + 1]; s++) {
            const int64_t len = as_packed_span(&m->from, s, m->scratch);
            as_mask_choose(&m->p, at, s, m->scratch, len, target);
            for (int64_t t = 0; t < len; t++) masked += target[t] != AS_IGNORE;
            tokens += len;
        }
    out[0] = masked > 0 ? (double)masked : 1.0, out[1] = tokens > 0 ? (double)tokens : 1.0;
}

static bool prepare(const rtd *m, as_ctx *c, const as_train_at *at, const int64_t *items, int64_t n, as_rtd_batch *b) {
    if (!as_packed_make(&b->k, c, &m->from, items, n)) return false;
    const as_seqs *s = b->k.s;
    const size_t most = (size_t)s->tokens + 1;
    int32_t *hidden = as_ctx_push(c, most, sizeof *hidden);
    b->want = as_ctx_push(c, most, sizeof *b->want), b->target = as_ctx_push(c, most, sizeof *b->target);
    b->masked = as_ctx_push(c, most, sizeof *b->masked), b->filled = as_ctx_push(c, most, sizeof *b->filled);
    b->replaced = as_ctx_push(c, most, sizeof *b->replaced), b->loss = as_ctx_push(c, most, sizeof *b->loss);
    b->right = as_ctx_push(c, most, sizeof *b->right), b->want_n = 0;
    if (!hidden || !b->want || !b->target || !b->masked || !b->filled || !b->replaced || !b->loss || !b->right) return false;
    for (int64_t q = 0; q < s->count; q++)
        as_mask_choose(&m->p, at, s->item[s->begin[q]], b->k.ids + s->begin[q], s->begin[q + 1] - s->begin[q], hidden + s->begin[q]);
    for (int64_t t = 0; t < s->tokens; t++) {
        b->masked[t] = b->filled[t] = b->k.ids[t], b->replaced[t] = 0;
        if (hidden[t] == AS_IGNORE) continue;
        b->masked[t] = (int32_t)m->p.mask;
        b->target[b->want_n] = hidden[t], b->want[b->want_n++] = t;
    }
    return true;
}

/* The generator's loss, and its draws into `filled`. */
static bool generate(const rtd *m, as_ctx *c, const as_train_at *at, as_rtd_batch *b, float scale, as_tally *each) {
    as_model *g = as_model_generator(m->p.model);
    const as_seqs *s = b->k.s;
    as_seqs *q = as_ctx_push(c, 1, sizeof *q); /* lives as long as the tape */
    double *u = as_ctx_push(c, (size_t)b->want_n, sizeof *u);
    int32_t *drawn = as_ctx_push(c, (size_t)b->want_n, sizeof *drawn);
    if (!q || !u || !drawn) return false;
    *q = *s, q->ids = b->masked;
    as_tensor *h = as_model_mlm_hidden(g, c, q, b->want, b->want_n);
    const as_param *table = as_model_decoder(g), *bias = as_model_decoder_bias(g);
    if (!as_vocab_loss(c, h, table, bias, b->target, scale, b->loss, b->right)) return false;
    for (int64_t i = 0; i < b->want_n; i++) {
        const int64_t t = b->want[i];
        const as_philox p = as_philox_at(at->seed, AS_STREAM_SAMPLE, (uint32_t)at->epoch, (uint32_t)s->item[t], (uint32_t)s->pos[t]);
        u[i] = as_u32x2_to_double(p.v[0], p.v[1]);
    }
    if (!as_vocab_sample(c, h, table, bias, u, drawn)) return false;
    for (int64_t i = 0; i < b->want_n; i++) {
        b->filled[b->want[i]] = drawn[i], b->replaced[b->want[i]] = drawn[i] != b->target[i];
        if (!each) continue;
        as_tally *t = &each[b->k.place[b->want[i]]];
        t->loss[0] += b->loss[i], t->count[0]++, t->correct[0] += b->right[i];
    }
    return true;
}

bool as_rtd_read(const as_objective *o, as_ctx *c, const as_train_at *at, const int64_t *items, int64_t n, as_rtd_batch *out) {
    const rtd *m = o->self;
    return prepare(m, c, at, items, n, out) && (out->want_n == 0 || generate(m, c, at, out, 0.0f, NULL));
}

as_tensor *as_rtd_logits(const as_objective *o, as_ctx *c, const as_seqs *q) { return as_model_detect(((const rtd *)o->self)->p.model, c, q); }

static bool forward(const void *self, as_ctx *c, const as_train_at *at, const int64_t *items, int64_t n, const float scale[AS_LOSSES], as_tally *each) {
    const rtd *m = self;
    as_rtd_batch b;
    for (int64_t i = 0; each && i < n; i++) each[i] = (as_tally){0};
    as_seqs *q = as_ctx_push(c, 1, sizeof *q);
    if (!q || !prepare(m, c, at, items, n, &b)) return false;
    if (b.want_n > 0 && !generate(m, c, at, &b, scale[0], each)) return false;
    *q = *b.k.s, q->ids = b.filled;
    as_tensor *logits = as_model_detect(m->p.model, c, q);
    if (!logits || !as_binary_loss(c, logits, b.replaced, DISCRIMINATOR_WEIGHT * scale[1], b.loss)) return false;
    for (int64_t t = 0; each && t < q->tokens; t++) {
        as_tally *y = &each[b.k.place[t]];
        y->loss[1] += b.loss[t], y->count[1]++, y->correct[1] += (logits->x[t] > 0.0f) == (b.replaced[t] != 0);
    }
    return true;
}

/* --- opening --- */
static void rtd_close(as_objective *o) {
    rtd *m = o->self;
    if (m) as_rows_free(&m->from.rows), as_free(m->scratch);
    as_free(m);
    *o = (as_objective){0};
}
static as_status check(const as_pretraining *p, as_err *err) {
    AS_ASSERT(as_model_generator(p->model));
    if (p->cls >= 0 && p->sep >= 0 && p->mask >= 0) return AS_OK;
    (void)as_fail(err, AS_USAGE, "the tokenizer has no %s token", p->mask < 0 ? "mask" : p->cls < 0 ? "[CLS]" : "[SEP]");
    as_hint(err, "Replaced-token detection needs one: use a tokenizer of an encoder, or another --objective.");
    return AS_USAGE;
}
static as_status rtd_open(as_objective *out, const as_pretraining *p, as_err *err) {
    *out = (as_objective){0};
    AS_TRY(check(p, err));
    rtd *m = as_calloc(1, sizeof *m);
    if (!m) return as_fail_nomem(err, "an objective", sizeof *m);
    m->p = *p;
    m->from = (as_span_source){.corpus = p->corpus, .part = p->part, .front = p->cls, .back = p->sep};
    *out = (as_objective){.name = "rtd", .parts = {"generator's masked words", "replaced tokens"}, .self = m, .order = as_packed_order,
                          .length = as_packed_length, .ids = as_packed_ids, .denominators = denominators, .forward = forward};
    m->scratch = as_alloc((size_t)(2 * p->max_length), sizeof *m->scratch);
    as_status s = m->scratch ? AS_OK : as_fail_nomem(err, "masking", 0);
    if (s == AS_OK) s = as_rows_make(&m->from.rows, p->corpus, p->part, p->max_length, 2, 1, err);
    out->n = m->from.rows.n, out->tokens = m->from.rows.tokens;
    if (s != AS_OK) rtd_close(out);
    return s;
}

const as_pretraining_row as_pretraining_rtd = {"rtd", "which tokens a generator replaced (ELECTRA)", AS_HEAD_RTD, rtd_open, rtd_close};
