/* electra.c: Clark et al. 2020, arXiv:2003.10555, as transformers 5 computes it (modeling_electra.py): BERT's layers over
 * embeddings that may be narrower, and no pooler. The discriminator tells replaced tokens; the generator is a masked LM. */
#include "model/encoder.h"
#include "model/model_impl.h"

typedef struct electra_weights {
    as_encoder encoder;
    as_param class_dense_w, class_dense_b, class_w, class_b;
    as_param gen_dense_w, gen_dense_b, gen_norm_w, gen_norm_b, gen_bias, decoder;
    as_param disc_dense_w, disc_dense_b, disc_w, disc_b;
} electra_weights;

#define W(f) offsetof(electra_weights, f)

static const as_weight_row rows[] = {
    ENCODER_EMBEDDING_ROWS("electra."),
    ROW("electra.embeddings_project.weight", NULL, W(encoder.project_w), DIM_HIDDEN, DIM_EMBED, WEIGHT_LINEAR, PIECE_PROJECT),
    ROW("electra.embeddings_project.bias", NULL, W(encoder.project_b), DIM_1, DIM_HIDDEN, WEIGHT_BIAS, PIECE_PROJECT),
    ENCODER_LAYER_ROWS("electra."),
    ROW("classifier.dense.weight", NULL, W(class_dense_w), DIM_HIDDEN, DIM_HIDDEN, WEIGHT_LINEAR, PIECE_CLASSIFIER),
    ROW("classifier.dense.bias", NULL, W(class_dense_b), DIM_1, DIM_HIDDEN, WEIGHT_BIAS, PIECE_CLASSIFIER),
    ROW("classifier.out_proj.weight", NULL, W(class_w), DIM_LABELS, DIM_HIDDEN, WEIGHT_LINEAR, PIECE_CLASSIFIER),
    ROW("classifier.out_proj.bias", NULL, W(class_b), DIM_1, DIM_LABELS, WEIGHT_BIAS, PIECE_CLASSIFIER),
    ROW("generator_predictions.dense.weight", NULL, W(gen_dense_w), DIM_EMBED, DIM_HIDDEN, WEIGHT_LINEAR, PIECE_MLM),
    ROW("generator_predictions.dense.bias", NULL, W(gen_dense_b), DIM_1, DIM_EMBED, WEIGHT_BIAS, PIECE_MLM),
    NORM_ROWS("generator_predictions.LayerNorm", W(gen_norm_w), W(gen_norm_b), DIM_EMBED, PIECE_MLM),
    ROW("generator_lm_head.bias", NULL, W(gen_bias), DIM_1, DIM_VOCAB, WEIGHT_BIAS, PIECE_MLM),
    ROW("generator_lm_head.weight", NULL, W(decoder), DIM_VOCAB, DIM_EMBED, WEIGHT_TABLE, PIECE_DECODER),
    ROW("discriminator_predictions.dense.weight", NULL, W(disc_dense_w), DIM_HIDDEN, DIM_HIDDEN, WEIGHT_LINEAR, PIECE_RTD),
    ROW("discriminator_predictions.dense.bias", NULL, W(disc_dense_b), DIM_1, DIM_HIDDEN, WEIGHT_BIAS, PIECE_RTD),
    ROW("discriminator_predictions.dense_prediction.weight", NULL, W(disc_w), DIM_1, DIM_HIDDEN, WEIGHT_LINEAR, PIECE_RTD),
    ROW("discriminator_predictions.dense_prediction.bias", NULL, W(disc_b), DIM_1, DIM_1, WEIGHT_BIAS, PIECE_RTD),
};

/* ElectraConfig */
static const as_config_keys keys = {
    .vocab = {"vocab_size", 30522}, .embedding = {"embedding_size", 128}, .hidden = {"hidden_size", 256}, .layers = {"num_hidden_layers", 12},
    .heads = {"num_attention_heads", 4}, .inter = {"intermediate_size", 1024}, .max_pos = {"max_position_embeddings", 512},
    .types = {"type_vocab_size", 2}, .eps = {"layer_norm_eps", 1e-12}, .dropout = {"hidden_dropout_prob", 0.1},
    .attention_dropout = {"attention_probs_dropout_prob", 0.1}, .embedding_dropout = {NULL, -1}, .classifier_dropout = {"classifier_dropout", -1},
    .pad = {"pad_token_id", 0}, .act = "hidden_act", .act_default = "gelu",
};

static as_tensor *encode(as_model *m, as_ctx *c, const as_seqs *s, const int64_t *want, int64_t want_n) {
    return as_encoder_run(m, c, as_model_weights(m), s, want, want_n);
}

/* Dropout, dense, GELU whatever hidden_act says, dropout, projection, of each sequence's first token. */
static as_tensor *classify(as_model *m, as_ctx *c, const as_seqs *s) {
    const electra_weights *w = m->weights;
    as_tensor *h = as_head_dropout(m, c, s, encode(m, c, s, s->begin, s->count));
    h = as_linear(c, h, &w->class_dense_w, &w->class_dense_b, AS_ACT_GELU);
    return as_linear(c, as_head_dropout(m, c, s, h), &w->class_w, &w->class_b, AS_ACT_NONE);
}

static as_tensor *lm_hidden(as_model *m, as_ctx *c, const as_seqs *s, const int64_t *want, int64_t n) {
    const electra_weights *w = m->weights;
    as_tensor *h = as_linear(c, encode(m, c, s, want, n), &w->gen_dense_w, &w->gen_dense_b, AS_ACT_GELU);
    return as_norm(c, h, NULL, 0.0f, NULL, &w->gen_norm_w, &w->gen_norm_b, m->config.eps);
}
static as_lm_params lm_params(const as_model *m) {
    const electra_weights *w = m->weights;
    return (as_lm_params){m->pieces & PIECE_DECODER ? &w->decoder : &w->encoder.word, &w->gen_bias};
}

static as_tensor *detect(as_model *m, as_ctx *c, const as_seqs *s) {
    const electra_weights *w = m->weights;
    as_tensor *h = as_linear(c, encode(m, c, s, NULL, 0), &w->disc_dense_w, &w->disc_dense_b, m->config.act);
    return as_linear(c, h, &w->disc_w, &w->disc_b, AS_ACT_NONE);
}

const as_arch as_arch_electra = {
    .model_type = "electra", .prefix = "electra.", .ignore = {"position_ids"},
    .ties = {{"electra.embeddings.word_embeddings.weight", "generator_lm_head.weight"}},
    .keys = &keys, .rows = rows, .row_count = AS_COUNT(rows),
    .weights_size = sizeof(electra_weights), .layers_at = ENCODER_W(layers), .layer_size = sizeof(as_encoder_layer),
    .heads = {[AS_HEAD_NONE] = {"ElectraModel", PIECE_BASE},
              [AS_HEAD_CLASSIFY] = {"ElectraForSequenceClassification", PIECE_BASE | PIECE_CLASSIFIER},
              [AS_HEAD_MLM] = {"ElectraForMaskedLM", PIECE_BASE | PIECE_MLM},
              [AS_HEAD_RTD] = {"ElectraForPreTraining", PIECE_BASE | PIECE_RTD}},
    .encode = encode, .classify = classify, .lm_hidden = lm_hidden, .detect = detect, .lm_params = lm_params,
};
