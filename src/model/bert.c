/* bert.c: Devlin et al. 2019, arXiv:1810.04805, as transformers 5 computes it (modeling_bert.py): post-norm layers, learned
 * positions from 0, erf GELU; pooler and classifier, masked LM, next sentence. Weight names as in Hugging Face files. */
#include "model/encoder.h"
#include "model/model_impl.h"

typedef struct bert_weights {
    as_encoder encoder;
    as_param pooler_w, pooler_b, class_w, class_b;
    as_param mlm_dense_w, mlm_dense_b, mlm_norm_w, mlm_norm_b, mlm_bias, decoder, decoder_bias;
    as_param nsp_w, nsp_b;
} bert_weights;

#define W(f) offsetof(bert_weights, f)
#define TRANSFORM "cls.predictions.transform."

static const as_weight_row rows[] = {
    ENCODER_EMBEDDING_ROWS("bert."),
    ENCODER_LAYER_ROWS("bert."),
    ROW("bert.pooler.dense.weight", NULL, W(pooler_w), DIM_HIDDEN, DIM_HIDDEN, WEIGHT_LINEAR, PIECE_POOLER),
    ROW("bert.pooler.dense.bias", NULL, W(pooler_b), DIM_1, DIM_HIDDEN, WEIGHT_BIAS, PIECE_POOLER),
    ROW("classifier.weight", NULL, W(class_w), DIM_LABELS, DIM_HIDDEN, WEIGHT_LINEAR, PIECE_CLASSIFIER),
    ROW("classifier.bias", NULL, W(class_b), DIM_1, DIM_LABELS, WEIGHT_BIAS, PIECE_CLASSIFIER),
    ROW(TRANSFORM "dense.weight", NULL, W(mlm_dense_w), DIM_HIDDEN, DIM_HIDDEN, WEIGHT_LINEAR, PIECE_MLM),
    ROW(TRANSFORM "dense.bias", NULL, W(mlm_dense_b), DIM_1, DIM_HIDDEN, WEIGHT_BIAS, PIECE_MLM),
    NORM_ROWS(TRANSFORM "LayerNorm", W(mlm_norm_w), W(mlm_norm_b), DIM_HIDDEN, PIECE_MLM),
    ROW("cls.predictions.bias", "cls.predictions.decoder.bias", W(mlm_bias), DIM_1, DIM_VOCAB, WEIGHT_BIAS, PIECE_MLM),
    ROW("cls.predictions.decoder.weight", NULL, W(decoder), DIM_VOCAB, DIM_HIDDEN, WEIGHT_TABLE, PIECE_DECODER),
    /* untied, transformers reads this bias and not the one above; files of before 2025 hold only that one */
    ROW("cls.predictions.decoder.bias", "cls.predictions.bias", W(decoder_bias), DIM_1, DIM_VOCAB, WEIGHT_BIAS, PIECE_DECODER),
    ROW("cls.seq_relationship.weight", NULL, W(nsp_w), DIM_2, DIM_HIDDEN, WEIGHT_LINEAR, PIECE_NSP),
    ROW("cls.seq_relationship.bias", NULL, W(nsp_b), DIM_1, DIM_2, WEIGHT_BIAS, PIECE_NSP),
};

/* BertConfig */
static const as_config_keys keys = {
    .vocab = {"vocab_size", 30522}, .hidden = {"hidden_size", 768}, .layers = {"num_hidden_layers", 12}, .heads = {"num_attention_heads", 12},
    .inter = {"intermediate_size", 3072}, .max_pos = {"max_position_embeddings", 512}, .types = {"type_vocab_size", 2},
    .eps = {"layer_norm_eps", 1e-12}, .dropout = {"hidden_dropout_prob", 0.1}, .attention_dropout = {"attention_probs_dropout_prob", 0.1},
    .embedding_dropout = {NULL, -1}, .classifier_dropout = {"classifier_dropout", -1}, .pad = {"pad_token_id", 0}, .act = "hidden_act",
    .act_default = "gelu",
};

static as_tensor *encode(as_model *m, as_ctx *c, const as_seqs *s, const int64_t *want, int64_t want_n) {
    return as_encoder_run(m, c, as_model_weights(m), s, want, want_n);
}

/* tanh(W h[0] + b) of each sequence's first token. */
static as_tensor *pooled(as_model *m, as_ctx *c, const as_seqs *s) {
    const bert_weights *w = m->weights;
    as_tensor *h = encode(m, c, s, s->begin, s->count); /* begin[i] is the row of sequence i's first token */
    return as_linear(c, h, &w->pooler_w, &w->pooler_b, AS_ACT_TANH);
}
static as_tensor *classify(as_model *m, as_ctx *c, const as_seqs *s) {
    const bert_weights *w = m->weights;
    return as_linear(c, as_head_dropout(m, c, s, pooled(m, c, s)), &w->class_w, &w->class_b, AS_ACT_NONE);
}
static as_tensor *next_sentence(as_model *m, as_ctx *c, const as_seqs *s) {
    const bert_weights *w = m->weights;
    return as_linear(c, pooled(m, c, s), &w->nsp_w, &w->nsp_b, AS_ACT_NONE);
}

static as_tensor *transform(const as_model *m, as_ctx *c, as_tensor *h) {
    const bert_weights *w = m->weights;
    h = as_linear(c, h, &w->mlm_dense_w, &w->mlm_dense_b, m->config.act);
    return as_norm(c, h, NULL, 0.0f, NULL, &w->mlm_norm_w, &w->mlm_norm_b, m->config.eps);
}
static as_tensor *lm_hidden(as_model *m, as_ctx *c, const as_seqs *s, const int64_t *want, int64_t n) {
    return transform(m, c, encode(m, c, s, want, n));
}
static as_tensor *pretrain(as_model *m, as_ctx *c, const as_seqs *s, const int64_t *want, int64_t n, as_tensor **hidden) {
    const bert_weights *w = m->weights;
    int64_t *all = as_ctx_push(c, (size_t)(n + s->count), sizeof *all), *first = as_ctx_push(c, (size_t)s->count, sizeof *first);
    int64_t *masked = as_ctx_push(c, (size_t)n + 1, sizeof *masked), at = 0, k = 0;
    *hidden = NULL;
    if (!all || !first || !masked) return NULL;
    for (int64_t i = 0; i < s->count; i++) { /* each sequence's first row, then its wanted ones: ascending */
        first[i] = at, all[at++] = s->begin[i];
        while (k < n && want[k] < s->begin[i + 1]) masked[k] = at, all[at++] = want[k++];
    }
    as_tensor *h = encode(m, c, s, all, at);
    if (n > 0 && !(*hidden = transform(m, c, as_pick(c, h, masked, n)))) return NULL;
    as_tensor *p = as_linear(c, as_pick(c, h, first, s->count), &w->pooler_w, &w->pooler_b, AS_ACT_TANH);
    return as_linear(c, p, &w->nsp_w, &w->nsp_b, AS_ACT_NONE);
}
static as_lm_params lm_params(const as_model *m) {
    const bert_weights *w = m->weights;
    const bool own = m->pieces & PIECE_DECODER;
    return own ? (as_lm_params){&w->decoder, &w->decoder_bias} : (as_lm_params){&w->encoder.word, &w->mlm_bias};
}

const as_arch as_arch_bert = {
    .model_type = "bert", .prefix = "bert.", .ignore = {"position_ids"},
    .ties = {{"bert.embeddings.word_embeddings.weight", "cls.predictions.decoder.weight"}, {"cls.predictions.bias", "cls.predictions.decoder.bias"}},
    .keys = &keys, .rows = rows, .row_count = AS_COUNT(rows),
    .weights_size = sizeof(bert_weights), .layers_at = ENCODER_W(layers), .layer_size = sizeof(as_encoder_layer),
    .heads = {[AS_HEAD_NONE] = {"BertModel", PIECE_BASE},
              [AS_HEAD_CLASSIFY] = {"BertForSequenceClassification", PIECE_BASE | PIECE_POOLER | PIECE_CLASSIFIER},
              [AS_HEAD_MLM] = {"BertForMaskedLM", PIECE_BASE | PIECE_MLM},
              [AS_HEAD_NSP] = {"BertForNextSentencePrediction", PIECE_BASE | PIECE_POOLER | PIECE_NSP},
              [AS_HEAD_PRETRAIN] = {"BertForPreTraining", PIECE_BASE | PIECE_POOLER | PIECE_MLM | PIECE_NSP}},
    .encode = encode, .classify = classify, .next_sentence = next_sentence, .lm_hidden = lm_hidden, .lm_params = lm_params,
    .pretrain = pretrain,
};
