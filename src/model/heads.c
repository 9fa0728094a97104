/* heads.c: the heads of a model, as its architecture has them, and the logits of a language model. */
#include "model/model_impl.h"

as_tensor *as_model_encode(as_model *m, as_ctx *c, const as_seqs *s) { return m->arch->encode(m, c, s, NULL, 0); }
as_tensor *as_model_encode_rows(as_model *m, as_ctx *c, const as_seqs *s, const int64_t *want, int64_t n) {
    return m->arch->encode(m, c, s, want, n);
}
as_tensor *as_model_classify(as_model *m, as_ctx *c, const as_seqs *s) { return m->arch->classify(m, c, s); }
as_tensor *as_model_next_sentence(as_model *m, as_ctx *c, const as_seqs *s) { return m->arch->next_sentence(m, c, s); }
as_tensor *as_model_detect(as_model *m, as_ctx *c, const as_seqs *s) { return m->arch->detect(m, c, s); }
as_tensor *as_model_mlm_hidden(as_model *m, as_ctx *c, const as_seqs *s, const int64_t *want, int64_t n) {
    return m->arch->lm_hidden(m, c, s, want, n);
}
as_tensor *as_model_pretrain(as_model *m, as_ctx *c, const as_seqs *s, const int64_t *want, int64_t n, as_tensor **hidden) {
    return m->arch->pretrain(m, c, s, want, n, hidden);
}
const as_param *as_model_decoder(const as_model *m) { return m->arch->lm_params(m).table; }
const as_param *as_model_decoder_bias(const as_model *m) { return m->arch->lm_params(m).bias; }

as_tensor *as_model_mlm_logits(as_model *m, as_ctx *c, as_tensor *h) {
    if (!h) return NULL;
    const as_param *table = as_model_decoder(m), *bias = as_model_decoder_bias(m);
    as_tensor *y = as_tensor_new(c, h->rows, table->rows, false);
    if (!y || !as_product_nt(c->e, y->x, table->rows, h->x, table->w, h->rows, table->rows, table->cols, c->slot)) return NULL;
    for (int64_t r = 0; bias && r < y->rows; r++) c->k->add(y->x + r * y->cols, bias->w, y->cols);
    return y;
}
