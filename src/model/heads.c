/* heads.c: what stands on the encoder: pooler and classifier, masked LM, next sentence. transformers 5, modeling_bert.py. */
#include "model/model_impl.h"

as_tensor *as_model_encode(as_model *m, as_ctx *c, const as_seqs *s) { return m->arch->encode(m, c, s, NULL, 0); }
as_tensor *as_model_encode_rows(as_model *m, as_ctx *c, const as_seqs *s, const int64_t *want, int64_t n) {
    return m->arch->encode(m, c, s, want, n);
}

/* tanh(W h[0] + b) of each sequence's first token. */
static as_tensor *pooled(as_model *m, as_ctx *c, const as_seqs *s) {
    const bert_weights *w = m->weights;
    as_tensor *h = m->arch->encode(m, c, s, s->begin, s->count); /* begin[i] is the row of sequence i's first token */
    return as_linear(c, h, &w->pooler_w, &w->pooler_b, AS_ACT_TANH);
}

as_tensor *as_model_classify(as_model *m, as_ctx *c, const as_seqs *s) {
    const bert_weights *w = m->weights;
    as_tensor *h = pooled(m, c, s);
    if (!h) return NULL;
    int32_t *item = as_ctx_push(c, (size_t)s->count + 1, sizeof *item), *pos = as_ctx_push(c, (size_t)s->count + 1, sizeof *pos);
    if (!item || !pos) return NULL;
    for (int64_t i = 0; i < s->count; i++) item[i] = s->item[s->begin[i]], pos[i] = 0;
    h = as_dropout(c, h, m->config.classifier_dropout, item, pos);
    return as_linear(c, h, &w->class_w, &w->class_b, AS_ACT_NONE);
}

as_tensor *as_model_next_sentence(as_model *m, as_ctx *c, const as_seqs *s) {
    const bert_weights *w = m->weights;
    return as_linear(c, pooled(m, c, s), &w->nsp_w, &w->nsp_b, AS_ACT_NONE);
}

static as_tensor *transform(const as_model *m, as_ctx *c, as_tensor *h) {
    const bert_weights *w = m->weights;
    h = as_linear(c, h, &w->mlm_dense_w, &w->mlm_dense_b, m->config.act);
    return as_norm(c, h, NULL, 0.0f, NULL, &w->mlm_norm_w, &w->mlm_norm_b, m->config.eps);
}
as_tensor *as_model_mlm_hidden(as_model *m, as_ctx *c, const as_seqs *s, const int64_t *want, int64_t n) {
    return transform(m, c, m->arch->encode(m, c, s, want, n));
}

as_tensor *as_model_pretrain(as_model *m, as_ctx *c, const as_seqs *s, const int64_t *want, int64_t n, as_tensor **hidden) {
    const bert_weights *w = m->weights;
    int64_t *all = as_ctx_push(c, (size_t)(n + s->count), sizeof *all), *first = as_ctx_push(c, (size_t)s->count, sizeof *first);
    int64_t *masked = as_ctx_push(c, (size_t)n + 1, sizeof *masked), at = 0, k = 0;
    *hidden = NULL;
    if (!all || !first || !masked) return NULL;
    for (int64_t i = 0; i < s->count; i++) { /* each sequence's first row, then its wanted ones: ascending */
        first[i] = at, all[at++] = s->begin[i];
        while (k < n && want[k] < s->begin[i + 1]) masked[k] = at, all[at++] = want[k++];
    }
    as_tensor *h = m->arch->encode(m, c, s, all, at);
    if (n > 0 && !(*hidden = transform(m, c, as_pick(c, h, masked, n)))) return NULL;
    as_tensor *p = as_linear(c, as_pick(c, h, first, s->count), &w->pooler_w, &w->pooler_b, AS_ACT_TANH);
    return as_linear(c, p, &w->nsp_w, &w->nsp_b, AS_ACT_NONE);
}
const as_param *as_model_decoder(const as_model *m) {
    const bert_weights *w = m->weights;
    return m->pieces & PIECE_DECODER ? &w->decoder : &w->word;
}
const as_param *as_model_decoder_bias(const as_model *m) {
    const bert_weights *w = m->weights;
    return m->pieces & PIECE_DECODER ? &w->decoder_bias : &w->mlm_bias;
}

as_tensor *as_model_mlm_logits(as_model *m, as_ctx *c, as_tensor *h) {
    if (!h) return NULL;
    const as_param *table = as_model_decoder(m), *bias = as_model_decoder_bias(m);
    as_tensor *y = as_tensor_new(c, h->rows, table->rows, false);
    if (!y || !as_product_nt(c->e, y->x, table->rows, h->x, table->w, h->rows, table->rows, table->cols, c->slot)) return NULL;
    for (int64_t r = 0; r < y->rows; r++) c->k->add(y->x + r * y->cols, bias->w, y->cols);
    return y;
}
