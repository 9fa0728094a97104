/* objective_clm.c: causal language modelling (Radford et al. 2019).
 *   loss = mean over tokens of -log p(token | those before it in its document)
 * A span is read behind the model's first token ("<|endoftext|>" of GPT-2), so that its first word is predicted, too; a span that
 * ends its document predicts the last token behind it. */
#include "base/mem.h"
#include "train/objective_clm.h"
#include "train/packed.h"

typedef struct clm {
    as_span_source from;      /* first: packed.h */
    as_model *model;
    int64_t end;              /* predicted behind a document; -1 = nothing is */
} clm;

/* Predictions of a span: all but its first token, and the end of a document. */
static bool ends(const clm *m, int64_t span) {
    const as_span *s = &m->from.rows.spans[span];
    return m->end >= 0 && s->from + s->n == as_corpus_doc_tokens(m->from.corpus, m->from.part, s->doc);
}

static void denominators(const void *self, const as_train_at *at, const int64_t *items, int64_t n, double out[AS_LOSSES]) {
    (void)at;
    const clm *m = self;
    const as_rows *r = &m->from.rows;
    int64_t count = 0;
    for (int64_t i = 0; i < n; i++)
        for (int64_t s = r->begin[items[i]]; s < r->begin[items[i] + 1]; s++) count += r->spans[s].n + r->extra - 1 + ends(m, s);
    out[0] = count > 0 ? (double)count : 1.0, out[1] = 1.0;
}

static bool forward(const void *self, as_ctx *c, const as_train_at *at, const int64_t *items, int64_t n, const float scale[AS_LOSSES], as_tally *each) {
    (void)at;
    const clm *m = self;
    as_packed k;
    for (int64_t i = 0; each && i < n; i++) each[i] = (as_tally){0};
    if (!as_packed_make(&k, c, &m->from, items, n)) return false;
    const size_t most = (size_t)k.s->tokens + 1;
    int64_t *want = as_ctx_push(c, most, sizeof *want), count = 0;
    int32_t *target = as_ctx_push(c, most, sizeof *target);
    double *loss = as_ctx_push(c, most, sizeof *loss);
    bool *right = as_ctx_push(c, most, sizeof *right);
    if (!want || !target || !loss || !right) return false;
    for (int64_t q = 0; q < k.s->count; q++) {
        const int64_t last = k.s->begin[q + 1] - 1;
        for (int64_t t = k.s->begin[q]; t < last; t++) target[count] = k.ids[t + 1], want[count++] = t;
        if (ends(m, k.s->item[last])) target[count] = (int32_t)m->end, want[count++] = last;
    }
    if (count == 0) return true;
    as_tensor *h = as_model_mlm_hidden(m->model, c, k.s, count < k.s->tokens ? want : NULL, count);
    if (!as_vocab_loss(c, h, as_model_decoder(m->model), as_model_decoder_bias(m->model), target, scale[0], loss, right)) return false;
    for (int64_t i = 0; each && i < count; i++) {
        as_tally *t = &each[k.place[want[i]]];
        t->loss[0] += loss[i], t->count[0]++, t->correct[0] += right[i];
    }
    return true;
}

/* A token of the config; -1 when the model has no row for it. */
static int64_t token_of(const as_config *c, const char *key, int64_t otherwise) {
    const int64_t id = as_json_int(as_json_get(c->raw, key), otherwise);
    return id >= 0 && id < c->vocab ? id : -1;
}

static void clm_close(as_objective *o) {
    clm *m = o->self;
    if (m) as_rows_free(&m->from.rows);
    as_free(m);
    *o = (as_objective){0};
}
static as_status clm_open(as_objective *out, const as_pretraining *p, as_err *err) {
    *out = (as_objective){0};
    clm *m = as_calloc(1, sizeof *m);
    if (!m) return as_fail_nomem(err, "an objective", sizeof *m);
    const as_config *c = as_model_config(p->model);
    m->from = (as_span_source){.corpus = p->corpus, .part = p->part, .front = token_of(c, "bos_token_id", 50256), .back = -1};
    m->model = p->model, m->end = token_of(c, "eos_token_id", 50256);
    const bool front = m->from.front >= 0;
    *out = (as_objective){.name = "clm", .parts = {"next tokens"}, .self = m, .order = as_packed_order, .length = as_packed_length,
                          .ids = as_packed_ids, .denominators = denominators, .forward = forward};
    const as_status s = as_rows_make(&m->from.rows, p->corpus, p->part, p->max_length, front, front ? 1 : 2, err);
    out->n = m->from.rows.n, out->tokens = m->from.rows.tokens;
    if (s != AS_OK) clm_close(out);
    return s;
}

const as_pretraining_row as_pretraining_clm = {"clm", "the next token, of all (GPT-2)", AS_HEAD_CLM, clm_open, clm_close};
