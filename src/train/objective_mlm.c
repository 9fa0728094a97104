/* objective_mlm.c: masked language modelling (Devlin et al. 2019, arXiv:1810.04805), alone or with next-sentence prediction (there)
 * or sentence-order prediction (Lan et al. 2020, arXiv:1909.11942).
 *   loss = mean over masked tokens of -log p(token)  [+ mean over sequences of -log p(label)]
 * A token that is not special is masked with probability mask_share, anew in each epoch: 80 % become the mask, 10 % another word, 10 %
 * stay. The head sees the masked tokens only. Draws are keyed by (seed, epoch, span, position). */
#include "base/mem.h"
#include "base/rng.h"
#include "train/masking.h"
#include "train/objective_mlm.h"
#include <inttypes.h>
#include <string.h>

typedef struct mlm {
    as_pretraining p;
    as_rows rows;
    int pair;                 /* 0, PAIR_NEXT or PAIR_ORDER */
    int32_t *plain;           /* [plain_n] ids that are not special: what a replacement is drawn from */
    uint64_t plain_n;
    int32_t *scratch;         /* [3, max_length] of denominators, which one thread calls */
} mlm;
enum { PAIR_NEXT = 1, PAIR_ORDER = 2 };

/* One sequence: buffers of max_length. */
typedef struct built { int32_t *ids, *types, *target; int64_t n; int32_t label; } built;

/* --- sentence pairs --- */
/* Where B begins within the span: a segment's begin, drawn; the middle where the span is one segment. */
static int64_t cut_pair(const mlm *m, const as_span *s, uint32_t draw) {
    const as_corpus *c = m->p.corpus;
    const int64_t segments = as_corpus_doc_segments(c, m->p.part, s->doc);
    int64_t low = 0, high = segments; /* first segment that begins behind `from` */
    while (low < high) {
        const int64_t mid = (low + high) / 2;
        if (as_corpus_segment_begin(c, m->p.part, s->doc, mid) > s->from) high = mid;
        else low = mid + 1;
    }
    int64_t n = 0;
    while (low + n < segments && as_corpus_segment_begin(c, m->p.part, s->doc, low + n) < s->from + s->n) n++;
    if (n == 0) return s->n / 2;
    return as_corpus_segment_begin(c, m->p.part, s->doc, low + (int64_t)(((uint64_t)draw * (uint64_t)n) >> 32)) - s->from;
}

/* A span of another document: drawn, else the next one there is. NULL when the corpus is one document. */
static const as_span *stranger(const mlm *m, const as_span *s, as_rng *g) {
    const as_rows *r = &m->rows;
    for (int i = 0; i < 8; i++) {
        const as_span *o = &r->spans[as_rng_below(g, (uint64_t)r->span_count)];
        if (o->doc != s->doc) return o;
    }
    for (int64_t i = 1, at = s - r->spans; i < r->span_count; i++)
        if (r->spans[(at + i) % r->span_count].doc != s->doc) return &r->spans[(at + i) % r->span_count];
    return NULL;
}

static void build_pair(const mlm *m, const as_train_at *at, const as_span *s, built *b) {
    const as_corpus *c = m->p.corpus;
    as_rng g = as_rng_at(at->seed ^ (uint64_t)(at->epoch + 1) << 32, AS_STREAM_SAMPLE, (uint32_t)(s - m->rows.spans));
    const int64_t a_n = cut_pair(m, s, as_rng_u32(&g));
    as_span a = {s->doc, s->from, (int32_t)a_n}, z = {s->doc, s->from + a_n, (int32_t)(s->n - a_n)};
    b->label = (int32_t)(as_rng_u32(&g) & 1);
    const as_span *other = m->pair == PAIR_NEXT && b->label ? stranger(m, s, &g) : NULL;
    if (other) z = (as_span){other->doc, other->from, other->n < z.n ? other->n : z.n};
    if (m->pair == PAIR_ORDER && b->label) {
        const as_span t = a;
        a = z, z = t;
    }
    b->n = a.n + z.n + 3;
    b->ids[0] = (int32_t)m->p.cls, b->ids[a.n + 1] = b->ids[b->n - 1] = (int32_t)m->p.sep;
    as_corpus_read(c, m->p.part, a.doc, a.from, a.n, b->ids + 1);
    as_corpus_read(c, m->p.part, z.doc, z.from, z.n, b->ids + a.n + 2);
    for (int64_t i = 0; i < b->n; i++) b->types[i] = i > a.n + 1;
}

/* --- masks --- */
static void mask(const mlm *m, const as_train_at *at, int64_t span, built *b) {
    as_mask_choose(&m->p, at, span, b->ids, b->n, b->target);
    for (int64_t i = 0; i < b->n; i++) {
        if (b->target[i] == AS_IGNORE) continue;
        const as_philox p = as_mask_draw(at, span, i);
        if (p.v[1] < 3435973836u) b->ids[i] = (int32_t)m->p.mask; /* 80 % */
        else if (p.v[1] < 3865470566u) b->ids[i] = m->plain[((uint64_t)p.v[2] * m->plain_n) >> 32]; /* 10 % */
    }
}

static void build(const mlm *m, const as_train_at *at, int64_t span, built *b) {
    const as_span *s = &m->rows.spans[span];
    if (m->pair) {
        build_pair(m, at, s, b);
    } else {
        b->n = s->n + 2;
        b->ids[0] = (int32_t)m->p.cls, b->ids[b->n - 1] = (int32_t)m->p.sep;
        as_corpus_read(m->p.corpus, m->p.part, s->doc, s->from, s->n, b->ids + 1);
        memset(b->types, 0, (size_t)b->n * sizeof *b->types);
    }
    mask(m, at, span, b);
}

/* --- the objective --- */
static void order(const void *self, int64_t *out, uint64_t seed, int64_t epoch) {
    const mlm *m = self;
    for (int64_t i = 0; i < m->rows.n; i++) out[i] = i;
    as_rng g = as_rng_at(seed, AS_STREAM_SHUFFLE, (uint32_t)epoch);
    as_rng_shuffle(&g, out, m->rows.n);
}
static int64_t length(const void *self, int64_t item) { return as_rows_tokens(&((const mlm *)self)->rows, item); }

/* The ids as the corpus has them: with a tied decoder no row of the table is lazy, and only their number is asked for. */
static as_status token_ids(const void *self, const as_train_at *at, const int64_t *items, int64_t n, int32_t **ids, size_t *cap, int64_t *count, as_err *err) {
    (void)at;
    const mlm *m = self;
    for (int64_t i = 0; i < n; i++) {
        const int64_t len = length(self, items[i]);
        if (!as_grow(ids, cap, (size_t)(*count + len), sizeof **ids)) return as_fail_nomem(err, "a step", 0);
        for (int64_t t = 0; t < len; t++) (*ids)[*count + t] = (int32_t)m->p.cls;
        *count += len;
    }
    return AS_OK;
}

static void denominators(const void *self, const as_train_at *at, const int64_t *items, int64_t n, double out[AS_LOSSES]) {
    const mlm *m = self;
    built b = {.ids = m->scratch, .types = m->scratch + m->p.max_length, .target = m->scratch + 2 * m->p.max_length};
    int64_t masked = 0, pairs = 0;
    for (int64_t i = 0; i < n; i++)
        for (int64_t s = m->rows.begin[items[i]]; s < m->rows.begin[items[i] + 1]; s++, pairs++) {
            build(m, at, s, &b);
            for (int64_t t = 0; t < b.n; t++) masked += b.target[t] != AS_IGNORE;
        }
    out[0] = masked > 0 ? (double)masked : 1.0, out[1] = pairs > 0 ? (double)pairs : 1.0;
}

/* A batch: packed sequences, the masked rows and what they were, and each sequence's and masked row's place in items. */
typedef struct packed {
    as_seqs s;
    int64_t *want, want_n;
    int32_t *target, *labels;
    int64_t *want_item, *seq_item;
} packed;

static bool pack(const mlm *m, as_ctx *c, const as_train_at *at, const int64_t *items, int64_t n, packed *k) {
    int64_t seqs = 0, most = 0;
    for (int64_t i = 0; i < n; i++) seqs += m->rows.begin[items[i] + 1] - m->rows.begin[items[i]], most += length(m, items[i]);
    int64_t *begin = as_ctx_push(c, (size_t)seqs + 1, sizeof *begin);
    int32_t *all = as_ctx_push(c, (size_t)(5 * most) + 1, sizeof *all);
    k->want = as_ctx_push(c, (size_t)most + 1, sizeof *k->want), k->want_item = as_ctx_push(c, (size_t)most + 1, sizeof *k->want_item);
    k->target = as_ctx_push(c, (size_t)most + 1, sizeof *k->target), k->labels = as_ctx_push(c, (size_t)seqs + 1, sizeof *k->labels);
    k->seq_item = as_ctx_push(c, (size_t)seqs + 1, sizeof *k->seq_item);
    if (!begin || !all || !k->want || !k->want_item || !k->target || !k->labels || !k->seq_item) return false;
    int32_t *ids = all, *types = all + most, *target = types + most, *pos = target + most, *item = pos + most;
    int64_t rows = 0, q = 0;
    k->want_n = 0;
    for (int64_t i = 0; i < n; i++)
        for (int64_t s = m->rows.begin[items[i]]; s < m->rows.begin[items[i] + 1]; s++, q++) {
            built b = {.ids = ids + rows, .types = types + rows, .target = target + rows};
            build(m, at, s, &b);
            begin[q] = rows, k->labels[q] = b.label, k->seq_item[q] = i;
            for (int64_t t = 0; t < b.n; t++) {
                pos[rows + t] = (int32_t)t, item[rows + t] = (int32_t)s;
                if (b.target[t] == AS_IGNORE) continue;
                k->want_item[k->want_n] = i, k->target[k->want_n] = b.target[t], k->want[k->want_n++] = rows + t;
            }
            rows += b.n;
        }
    begin[seqs] = rows;
    k->s = (as_seqs){.count = seqs, .tokens = rows, .begin = begin, .ids = ids, .types = types, .pos = pos, .item = item};
    return true;
}

static bool masked_loss(const mlm *m, as_ctx *c, const packed *k, as_tensor *hidden, float scale, as_tally *each) {
    double *loss = as_ctx_push(c, (size_t)k->want_n + 1, sizeof *loss);
    bool *right = as_ctx_push(c, (size_t)k->want_n + 1, sizeof *right);
    if (!loss || !right ||
        !as_vocab_loss(c, hidden, as_model_decoder(m->p.model), as_model_decoder_bias(m->p.model), k->target, scale, loss, right))
        return false;
    for (int64_t i = 0; each && i < k->want_n; i++) {
        as_tally *t = &each[k->want_item[i]];
        t->loss[0] += loss[i], t->count[0]++, t->correct[0] += right[i];
    }
    return true;
}

static bool pair_loss(as_ctx *c, const packed *k, as_tensor *logits, float scale, as_tally *each) {
    double *loss = as_ctx_push(c, (size_t)k->s.count + 1, sizeof *loss);
    if (!loss || !as_class_loss(c, logits, k->labels, NULL, 0.0f, scale, loss)) return false;
    for (int64_t i = 0; each && i < k->s.count; i++) {
        as_tally *t = &each[k->seq_item[i]];
        t->loss[1] += loss[i], t->count[1]++, t->correct[1] += (logits->x[2 * i + 1] > logits->x[2 * i]) == (k->labels[i] == 1);
    }
    return true;
}

static bool forward(const void *self, as_ctx *c, const as_train_at *at, const int64_t *items, int64_t n, const float scale[AS_LOSSES], as_tally *each) {
    const mlm *m = self;
    packed *k = as_ctx_push(c, 1, sizeof *k); /* backward reads it, too */
    if (each) memset(each, 0, (size_t)n * sizeof *each);
    if (!k || !pack(m, c, at, items, n, k)) return false;
    if (!m->pair) return k->want_n == 0 || masked_loss(m, c, k, as_model_mlm_hidden(m->p.model, c, &k->s, k->want, k->want_n), scale[0], each);
    as_tensor *hidden, *logits = as_model_pretrain(m->p.model, c, &k->s, k->want, k->want_n, &hidden);
    return logits && pair_loss(c, k, logits, scale[1], each) && (k->want_n == 0 || masked_loss(m, c, k, hidden, scale[0], each));
}

const as_pretraining *as_mlm_source(const as_objective *o) { return &((const mlm *)o->self)->p; }
const as_rows *as_mlm_rows(const as_objective *o) { return &((const mlm *)o->self)->rows; }
int64_t as_mlm_sequence(const as_objective *o, const as_train_at *at, int64_t span, int32_t *ids, int32_t *types, int32_t *target, int32_t *label) {
    built b = {.ids = ids, .types = types, .target = target};
    build(o->self, at, span, &b);
    *label = b.label;
    return b.n;
}

/* --- opening --- */
static as_status prepare(mlm *m, as_err *err) {
    const as_pretraining *p = &m->p;
    const int64_t vocab = as_model_config(p->model)->vocab;
    if (p->cls < 0 || p->sep < 0 || p->mask < 0) {
        (void)as_fail(err, AS_USAGE, "the tokenizer has no %s token", p->mask < 0 ? "mask" : p->cls < 0 ? "[CLS]" : "[SEP]");
        as_hint(err, "Masked language modelling needs one: use a tokenizer of an encoder, or another --objective.");
        return AS_USAGE;
    }
    m->plain = as_alloc((size_t)vocab, sizeof *m->plain);
    m->scratch = as_alloc((size_t)(3 * p->max_length), sizeof *m->scratch);
    if (!m->plain || !m->scratch) return as_fail_nomem(err, "masking", 0);
    for (int64_t i = 0; i < vocab; i++)
        if (!p->special[i]) m->plain[m->plain_n++] = (int32_t)i;
    AS_TRY(as_rows_make(&m->rows, p->corpus, p->part, p->max_length, m->pair ? 3 : 2, m->pair ? 2 : 1, err));
    if (m->pair == PAIR_NEXT && p->part == AS_CORPUS_TRAIN && as_corpus_docs(p->corpus, p->part) < 2) {
        (void)as_fail(err, AS_USAGE, "next-sentence prediction needs a corpus of two documents or more");
        as_hint(err, "Use --objective mlm, or mlm+sop, which draws both sentences from one document.");
        return AS_USAGE;
    }
    return AS_OK;
}

static void mlm_close(as_objective *o) {
    mlm *m = o->self;
    if (!m) return;
    as_rows_free(&m->rows);
    as_free(m->plain), as_free(m->scratch), as_free(m);
    *o = (as_objective){0};
}
static as_status open_kind(as_objective *out, const as_pretraining *p, int pair, as_err *err) {
    static const char *const names[] = {"mlm", "mlm+nsp", "mlm+sop"};
    static const char *const second[] = {NULL, "next sentence", "sentence order"};
    *out = (as_objective){0};
    mlm *m = as_calloc(1, sizeof *m);
    if (!m) return as_fail_nomem(err, "an objective", sizeof *m);
    m->p = *p, m->pair = pair;
    *out = (as_objective){.name = names[pair], .parts = {"masked words", second[pair]}, .self = m, .order = order, .length = length, .ids = token_ids,
                          .denominators = denominators, .forward = forward};
    const as_status s = prepare(m, err);
    out->n = m->rows.n, out->tokens = m->rows.tokens;
    if (s != AS_OK) mlm_close(out);
    return s;
}
static as_status mlm_open(as_objective *out, const as_pretraining *p, as_err *err) { return open_kind(out, p, 0, err); }
static as_status nsp_open(as_objective *out, const as_pretraining *p, as_err *err) { return open_kind(out, p, PAIR_NEXT, err); }
static as_status sop_open(as_objective *out, const as_pretraining *p, as_err *err) { return open_kind(out, p, PAIR_ORDER, err); }

const as_pretraining_row as_pretraining_mlm = {"mlm", "masked words (15 %: 80/10/10)", AS_HEAD_MLM, mlm_open, mlm_close};
const as_pretraining_row as_pretraining_nsp = {"mlm+nsp", "and whether the second sentence follows", AS_HEAD_PRETRAIN, nsp_open, mlm_close};
const as_pretraining_row as_pretraining_sop = {"mlm+sop", "and the order of two sentences", AS_HEAD_PRETRAIN, sop_open, mlm_close};
