/* bert.c: Devlin et al. 2019, arXiv:1810.04805, as transformers 5 computes it (modeling_bert.py): post-norm layers, learned
 * positions from 0, erf GELU. Weight names as in Hugging Face files; key and value projections are one fused parameter. */
#include "model/bert.h"
#include "model/model.h"
#include <math.h>
#include <string.h>

#define W(f) offsetof(bert_weights, f)
#define L(f) offsetof(bert_layer, f)
#define LAYER "bert.encoder.layer.{L}."

static const as_weight_row rows[] = {
    {"bert.embeddings.word_embeddings.weight", NULL, W(word), DIM_VOCAB, DIM_HIDDEN, WEIGHT_TABLE, PIECE_BASE, 0, 0},
    {"bert.embeddings.position_embeddings.weight", NULL, W(position), DIM_POSITIONS, DIM_HIDDEN, WEIGHT_TABLE, PIECE_BASE, 0, 0},
    {"bert.embeddings.token_type_embeddings.weight", NULL, W(type), DIM_TYPES, DIM_HIDDEN, WEIGHT_TABLE, PIECE_BASE, 0, 0},
    {"bert.embeddings.LayerNorm.weight", "bert.embeddings.LayerNorm.gamma", W(norm_w), DIM_1, DIM_HIDDEN, WEIGHT_NORM, PIECE_BASE, 0, 0},
    {"bert.embeddings.LayerNorm.bias", "bert.embeddings.LayerNorm.beta", W(norm_b), DIM_1, DIM_HIDDEN, WEIGHT_NORM_BIAS, PIECE_BASE, 0, 0},
    {LAYER "attention.self.query.weight", NULL, L(q_w), DIM_HIDDEN, DIM_HIDDEN, WEIGHT_LINEAR, PIECE_BASE, 0, 0},
    {LAYER "attention.self.query.bias", NULL, L(q_b), DIM_1, DIM_HIDDEN, WEIGHT_BIAS, PIECE_BASE, 0, 0},
    {LAYER "attention.self.key.weight", NULL, L(kv_w), DIM_HIDDEN, DIM_HIDDEN, WEIGHT_LINEAR, PIECE_BASE, 0, 2},
    {LAYER "attention.self.value.weight", NULL, L(kv_w), DIM_HIDDEN, DIM_HIDDEN, WEIGHT_LINEAR, PIECE_BASE, 1, 2},
    {LAYER "attention.self.key.bias", NULL, L(kv_b), DIM_1, DIM_HIDDEN, WEIGHT_BIAS, PIECE_BASE, 0, 2},
    {LAYER "attention.self.value.bias", NULL, L(kv_b), DIM_1, DIM_HIDDEN, WEIGHT_BIAS, PIECE_BASE, 1, 2},
    {LAYER "attention.output.dense.weight", NULL, L(attn_out_w), DIM_HIDDEN, DIM_HIDDEN, WEIGHT_LINEAR, PIECE_BASE, 0, 0},
    {LAYER "attention.output.dense.bias", NULL, L(attn_out_b), DIM_1, DIM_HIDDEN, WEIGHT_BIAS, PIECE_BASE, 0, 0},
    {LAYER "attention.output.LayerNorm.weight", LAYER "attention.output.LayerNorm.gamma", L(attn_norm_w), DIM_1, DIM_HIDDEN, WEIGHT_NORM, PIECE_BASE, 0, 0},
    {LAYER "attention.output.LayerNorm.bias", LAYER "attention.output.LayerNorm.beta", L(attn_norm_b), DIM_1, DIM_HIDDEN, WEIGHT_NORM_BIAS, PIECE_BASE, 0, 0},
    {LAYER "intermediate.dense.weight", NULL, L(inter_w), DIM_INTER, DIM_HIDDEN, WEIGHT_LINEAR, PIECE_BASE, 0, 0},
    {LAYER "intermediate.dense.bias", NULL, L(inter_b), DIM_1, DIM_INTER, WEIGHT_BIAS, PIECE_BASE, 0, 0},
    {LAYER "output.dense.weight", NULL, L(out_w), DIM_HIDDEN, DIM_INTER, WEIGHT_LINEAR, PIECE_BASE, 0, 0},
    {LAYER "output.dense.bias", NULL, L(out_b), DIM_1, DIM_HIDDEN, WEIGHT_BIAS, PIECE_BASE, 0, 0},
    {LAYER "output.LayerNorm.weight", LAYER "output.LayerNorm.gamma", L(norm_w), DIM_1, DIM_HIDDEN, WEIGHT_NORM, PIECE_BASE, 0, 0},
    {LAYER "output.LayerNorm.bias", LAYER "output.LayerNorm.beta", L(norm_b), DIM_1, DIM_HIDDEN, WEIGHT_NORM_BIAS, PIECE_BASE, 0, 0},
    {"bert.pooler.dense.weight", NULL, W(pooler_w), DIM_HIDDEN, DIM_HIDDEN, WEIGHT_LINEAR, PIECE_POOLER, 0, 0},
    {"bert.pooler.dense.bias", NULL, W(pooler_b), DIM_1, DIM_HIDDEN, WEIGHT_BIAS, PIECE_POOLER, 0, 0},
    {"classifier.weight", NULL, W(class_w), DIM_LABELS, DIM_HIDDEN, WEIGHT_LINEAR, PIECE_CLASSIFIER, 0, 0},
    {"classifier.bias", NULL, W(class_b), DIM_1, DIM_LABELS, WEIGHT_BIAS, PIECE_CLASSIFIER, 0, 0},
    {"cls.predictions.transform.dense.weight", NULL, W(mlm_dense_w), DIM_HIDDEN, DIM_HIDDEN, WEIGHT_LINEAR, PIECE_MLM, 0, 0},
    {"cls.predictions.transform.dense.bias", NULL, W(mlm_dense_b), DIM_1, DIM_HIDDEN, WEIGHT_BIAS, PIECE_MLM, 0, 0},
    {"cls.predictions.transform.LayerNorm.weight", "cls.predictions.transform.LayerNorm.gamma", W(mlm_norm_w), DIM_1, DIM_HIDDEN, WEIGHT_NORM, PIECE_MLM, 0, 0},
    {"cls.predictions.transform.LayerNorm.bias", "cls.predictions.transform.LayerNorm.beta", W(mlm_norm_b), DIM_1, DIM_HIDDEN, WEIGHT_NORM_BIAS, PIECE_MLM, 0, 0},
    {"cls.predictions.bias", "cls.predictions.decoder.bias", W(mlm_bias), DIM_1, DIM_VOCAB, WEIGHT_BIAS, PIECE_MLM, 0, 0},
    {"cls.predictions.decoder.weight", NULL, W(decoder), DIM_VOCAB, DIM_HIDDEN, WEIGHT_TABLE, PIECE_DECODER, 0, 0},
    /* untied, transformers reads this bias and not the one above; files of before 2025 hold only that one */
    {"cls.predictions.decoder.bias", "cls.predictions.bias", W(decoder_bias), DIM_1, DIM_VOCAB, WEIGHT_BIAS, PIECE_DECODER, 0, 0},
    {"cls.seq_relationship.weight", NULL, W(nsp_w), DIM_2, DIM_HIDDEN, WEIGHT_LINEAR, PIECE_NSP, 0, 0},
    {"cls.seq_relationship.bias", NULL, W(nsp_b), DIM_1, DIM_2, WEIGHT_BIAS, PIECE_NSP, 0, 0},
};

/* The wanted rows as sequences of their own: the same count of sequences, each with its wanted rows as queries. */
static const as_seqs *query_seqs(as_ctx *c, const as_seqs *s, const int64_t *want, int64_t n) {
    as_seqs *q = as_ctx_push(c, 1, sizeof *q);
    int64_t *begin = as_ctx_push(c, (size_t)s->count + 1, sizeof *begin);
    int32_t *pos = as_ctx_push(c, (size_t)n + 1, sizeof *pos), *item = as_ctx_push(c, (size_t)n + 1, sizeof *item);
    if (!q || !begin || !pos || !item) return NULL;
    for (int64_t i = 0; i < n; i++) pos[i] = s->pos[want[i]], item[i] = s->item[want[i]];
    for (int64_t i = 0, at = 0; i <= s->count; i++) {
        while (i < s->count && at < n && want[at] < s->begin[i]) at++;
        if (i == s->count) at = n;
        begin[i] = at;
        while (i < s->count && at < n && want[at] < s->begin[i + 1]) at++;
    }
    *q = (as_seqs){.count = s->count, .tokens = n, .begin = begin, .pos = pos, .item = item};
    return q;
}

/* One layer for the queries xq (rows of q) over all of x. */
static as_tensor *layer(const as_model *m, as_ctx *c, const bert_layer *l, as_tensor *x, as_tensor *xq, const as_seqs *s, const as_seqs *q) {
    const as_config *f = as_model_config(m);
    const int64_t d = f->hidden / f->heads;
    as_tensor *query = as_linear(c, xq, &l->q_w, &l->q_b, AS_ACT_NONE);
    as_tensor *kv = as_linear(c, x, &l->kv_w, &l->kv_b, AS_ACT_NONE);
    as_tensor *a = as_attend(c, &(as_attention){.q = query, .k = kv, .v = kv, .v_at = f->hidden, .q_seqs = q, .kv_seqs = s, .heads = f->heads,
                                                .kv_heads = f->heads, .head_dim = d, .scale = 1.0f / sqrtf((float)d),
                                                .dropout = f->attention_dropout});
    a = as_linear(c, a, &l->attn_out_w, &l->attn_out_b, AS_ACT_NONE);
    a = as_norm(c, a, xq, f->dropout, q, &l->attn_norm_w, &l->attn_norm_b, f->eps);
    as_tensor *h = as_linear(c, a, &l->inter_w, &l->inter_b, f->act);
    h = as_linear(c, h, &l->out_w, &l->out_b, AS_ACT_NONE);
    return as_norm(c, h, a, f->dropout, q, &l->norm_w, &l->norm_b, f->eps);
}

/* A layer as as_recompute runs it. */
typedef struct layer_run { as_model *m; int64_t layer; const as_seqs *s, *q; const int64_t *want; int64_t want_n; } layer_run;
static as_tensor *run_layer(void *arg, as_ctx *c, as_tensor *x) {
    const layer_run *r = arg;
    const bert_weights *w = as_model_weights(r->m);
    return layer(r->m, c, &w->layers[r->layer], x, r->want ? as_pick(c, x, r->want, r->want_n) : x, r->s, r->q);
}
static as_tensor *recomputed(as_ctx *c, const layer_run *r, as_tensor *x) {
    layer_run *kept = as_ctx_push(c, 1, sizeof *kept);
    if (!kept) return NULL;
    *kept = *r;
    return as_recompute(c, run_layer, kept, x, r->q->tokens, as_model_config(r->m)->hidden);
}

static as_tensor *encode(as_model *m, as_ctx *c, const as_seqs *s, const int64_t *want, int64_t want_n) {
    const as_config *f = as_model_config(m);
    const bert_weights *w = as_model_weights(m);
    const as_seqs *q = want ? query_seqs(c, s, want, want_n) : s;
    as_tensor *keep = as_tensor_new(c, s->tokens, f->hidden, true);
    if (!q || !keep) return NULL;
    as_arena_mark mark = as_arena_mark_here(&c->arena);
    as_tensor *x = as_embed(c, s, &w->word, &w->position, &w->type);
    x = as_norm(c, x, NULL, 0.0f, NULL, &w->norm_w, &w->norm_b, f->eps);
    x = as_dropout(c, x, f->dropout, s->item, s->pos);
    for (int64_t i = 0; i < f->layers && x; i++) {
        const bool last = i + 1 == f->layers;
        if (!c->training) { /* nothing before this layer is needed any more but its input */
            memcpy(keep->x, x->x, (size_t)(x->rows * x->cols) * sizeof *x->x);
            x = keep;
            as_arena_release(&c->arena, mark);
        }
        layer_run r = {.m = m, .layer = i, .s = s, .q = last ? q : s, .want = last ? want : NULL, .want_n = want_n};
        x = c->training && c->recompute ? recomputed(c, &r, x) : run_layer(&r, c, x);
    }
    return x;
}

const as_arch as_arch_bert = {
    .model_type = "bert", .prefix = "bert.", .ignore = "position_ids",
    .ties = {{"bert.embeddings.word_embeddings.weight", "cls.predictions.decoder.weight"}, {"cls.predictions.bias", "cls.predictions.decoder.bias"}},
    .rows = rows, .row_count = AS_COUNT(rows),
    .weights_size = sizeof(bert_weights), .layers_at = offsetof(bert_weights, layers), .layer_size = sizeof(bert_layer),
    .encode = encode, .class_head = "BertForSequenceClassification", .mlm_head = "BertForMaskedLM",
    .nsp_head = "BertForNextSentencePrediction", .pretrain_head = "BertForPreTraining", .base = "BertModel",
};
