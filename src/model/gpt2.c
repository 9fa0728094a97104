/* gpt2.c: Radford et al. 2019, as transformers 5 computes it (modeling_gpt2.py): pre-norm layers, learned positions from 0, causal
 * attention, a last norm; the output table is the embedding. Files hold linear weights transposed (Conv1D), query, key and value
 * side by side. Token types are not used. */
#include "model/encoder.h"
#include "model/model_impl.h"
#include <math.h>

typedef struct gpt2_layer {
    as_param norm1_w, norm1_b, qkv_w, qkv_b, proj_w, proj_b, norm2_w, norm2_b, fc_w, fc_b, out_w, out_b;
} gpt2_layer;

typedef struct gpt2_weights {
    as_param word, position;
    gpt2_layer *layers;
    as_param norm_w, norm_b, score, head;
} gpt2_weights;

#define W(f) offsetof(gpt2_weights, f)
#define L(f) offsetof(gpt2_layer, f)
#define LAYER "transformer.h.{L}."
#define CONV(name, field, rows, cols, flags)                                                                             \
    {LAYER name ".weight", NULL, L(field##_w), rows, cols, WEIGHT_LINEAR, PIECE_BASE, 0, 0, ROW_TRANSPOSED | (flags)},   \
    ROW(LAYER name ".bias", NULL, L(field##_b), DIM_1, rows, WEIGHT_BIAS, PIECE_BASE)

static const as_weight_row rows[] = {
    ROW("transformer.wte.weight", NULL, W(word), DIM_VOCAB, DIM_HIDDEN, WEIGHT_TABLE, PIECE_BASE),
    ROW("transformer.wpe.weight", NULL, W(position), DIM_POSITIONS, DIM_HIDDEN, WEIGHT_TABLE, PIECE_BASE),
    NORM_ROWS(LAYER "ln_1", L(norm1_w), L(norm1_b), DIM_HIDDEN, PIECE_BASE),
    CONV("attn.c_attn", qkv, DIM_QKV, DIM_HIDDEN, 0),
    CONV("attn.c_proj", proj, DIM_HIDDEN, DIM_HIDDEN, ROW_RESIDUAL),
    NORM_ROWS(LAYER "ln_2", L(norm2_w), L(norm2_b), DIM_HIDDEN, PIECE_BASE),
    CONV("mlp.c_fc", fc, DIM_INTER, DIM_HIDDEN, 0),
    CONV("mlp.c_proj", out, DIM_HIDDEN, DIM_INTER, ROW_RESIDUAL),
    NORM_ROWS("transformer.ln_f", W(norm_w), W(norm_b), DIM_HIDDEN, PIECE_BASE),
    ROW("score.weight", NULL, W(score), DIM_LABELS, DIM_HIDDEN, WEIGHT_LINEAR, PIECE_CLASSIFIER),
    ROW("lm_head.weight", NULL, W(head), DIM_VOCAB, DIM_HIDDEN, WEIGHT_TABLE, PIECE_DECODER),
};

/* GPT2Config */
static const as_config_keys keys = {
    .vocab = {"vocab_size", 50257}, .hidden = {"n_embd", 768}, .layers = {"n_layer", 12}, .heads = {"n_head", 12}, .inter = {"n_inner", 0},
    .max_pos = {"n_positions", 1024}, .eps = {"layer_norm_epsilon", 1e-5}, .dropout = {"resid_pdrop", 0.1},
    .embedding_dropout = {"embd_pdrop", 0.1}, .attention_dropout = {"attn_pdrop", 0.1}, .classifier_dropout = {NULL, 0.0},
    .pad = {"pad_token_id", -1}, .act = "activation_function", .act_default = "gelu_new",
};

/* x + branch; dropout ends each branch. */
static as_tensor *join(as_ctx *c, as_tensor *x, as_tensor *branch, float dropout, const as_seqs *s) {
    return as_add_tensors(c, x, as_dropout(c, branch, dropout, s->item, s->pos));
}

/* Layer i for the rows `want` of x (all when NULL), which are the rows of q. Attention runs for all queries: whom a query sees
 * is counted from the last one. */
static as_tensor *layer(const as_model *m, as_ctx *c, int64_t i, as_tensor *x, const int64_t *want, const as_seqs *s, const as_seqs *q) {
    const as_config *f = &m->config;
    const gpt2_layer *l = &((const gpt2_weights *)m->weights)->layers[i];
    const int64_t d = f->hidden / f->heads;
    const float scale = (f->scale_by_width ? 1.0f / sqrtf((float)d) : 1.0f) / (f->scale_by_layer ? (float)(i + 1) : 1.0f);
    as_tensor *h = as_norm(c, x, NULL, 0.0f, NULL, &l->norm1_w, &l->norm1_b, f->eps);
    as_tensor *qkv = as_linear(c, h, &l->qkv_w, &l->qkv_b, AS_ACT_NONE);
    as_tensor *a = as_attend(c, &(as_attention){.q = qkv, .k = qkv, .v = qkv, .k_at = f->hidden, .v_at = 2 * f->hidden, .q_seqs = s, .kv_seqs = s,
                                                .heads = f->heads, .kv_heads = f->heads, .head_dim = d, .scale = scale, .causal = true,
                                                .dropout = f->attention_dropout});
    if (want) a = as_pick(c, a, want, q->tokens), x = as_pick(c, x, want, q->tokens);
    x = join(c, x, as_linear(c, a, &l->proj_w, &l->proj_b, AS_ACT_NONE), f->dropout, q);
    h = as_norm(c, x, NULL, 0.0f, NULL, &l->norm2_w, &l->norm2_b, f->eps);
    h = as_linear(c, as_linear(c, h, &l->fc_w, &l->fc_b, f->act), &l->out_w, &l->out_b, AS_ACT_NONE);
    return join(c, x, h, f->dropout, q);
}

/* A layer as as_recompute runs it. */
typedef struct layer_run { const as_model *m; int64_t i; const int64_t *want; const as_seqs *s, *q; } layer_run;
static as_tensor *run_layer(void *arg, as_ctx *c, as_tensor *x) {
    const layer_run *r = arg;
    return layer(r->m, c, r->i, x, r->want, r->s, r->q);
}
static as_tensor *recomputed(as_ctx *c, const layer_run *r, as_tensor *x) {
    layer_run *kept = as_ctx_push(c, 1, sizeof *kept);
    if (!kept) return NULL;
    *kept = *r;
    return as_recompute(c, run_layer, kept, x, r->q->tokens, r->m->config.hidden);
}

static as_tensor *encode(as_model *m, as_ctx *c, const as_seqs *s, const int64_t *want, int64_t want_n) {
    const as_config *f = &m->config;
    const gpt2_weights *w = m->weights;
    const as_seqs *q = want ? as_query_seqs(c, s, want, want_n) : s;
    as_tensor *keep = as_tensor_new(c, s->tokens, f->hidden, true);
    if (!q || !keep) return NULL;
    const as_arena_mark mark = as_arena_mark_here(&c->arena);
    as_tensor *x = as_embed(c, s, &w->word, &w->position, NULL);
    x = as_dropout(c, x, f->embedding_dropout, s->item, s->pos);
    for (int64_t i = 0; i < f->layers && x; i++) {
        const bool last = i + 1 == f->layers;
        x = as_layer_input(c, x, keep, mark);
        layer_run r = {.m = m, .i = i, .want = last ? want : NULL, .s = s, .q = last ? q : s};
        x = c->training && c->recompute ? recomputed(c, &r, x) : run_layer(&r, c, x);
    }
    return as_norm(c, x, NULL, 0.0f, NULL, &w->norm_w, &w->norm_b, f->eps);
}

/* The last token that is no padding decides: where a text itself ends in the padding token, the one before it. */
static as_tensor *classify(as_model *m, as_ctx *c, const as_seqs *s) {
    const gpt2_weights *w = m->weights;
    int64_t *last = as_ctx_push(c, (size_t)s->count + 1, sizeof *last);
    if (!last) return NULL;
    for (int64_t i = 0; i < s->count; i++) {
        last[i] = s->begin[i + 1] - 1;
        while (m->config.pad_id >= 0 && last[i] > s->begin[i] && s->ids[last[i]] == m->config.pad_id) last[i]--;
    }
    return as_linear(c, encode(m, c, s, last, s->count), &w->score, NULL, AS_ACT_NONE);
}

static as_lm_params lm_params(const as_model *m) {
    const gpt2_weights *w = m->weights;
    return (as_lm_params){m->pieces & PIECE_DECODER ? &w->head : &w->word, NULL};
}

const as_arch as_arch_gpt2 = {
    .model_type = "gpt2", .prefix = "transformer.", .ignore = {".attn.bias", ".attn.masked_bias"},
    .ties = {{"transformer.wte.weight", "lm_head.weight"}},
    .keys = &keys, .rows = rows, .row_count = AS_COUNT(rows),
    .weights_size = sizeof(gpt2_weights), .layers_at = W(layers), .layer_size = sizeof(gpt2_layer),
    .heads = {[AS_HEAD_NONE] = {"GPT2Model", PIECE_BASE},
              [AS_HEAD_CLASSIFY] = {"GPT2ForSequenceClassification", PIECE_BASE | PIECE_CLASSIFIER},
              [AS_HEAD_CLM] = {"GPT2LMHeadModel", PIECE_BASE}},
    .encode = encode, .classify = classify, .lm_hidden = encode, .lm_params = lm_params,
};
