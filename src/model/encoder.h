/* encoder.h: the post-norm encoder that BERT and the models after it share: embeddings, layers, and the rows of their weights. */
#ifndef AS_MODEL_ENCODER_H
#define AS_MODEL_ENCODER_H

#include "model/arch.h"

typedef struct as_encoder_layer {
    as_param q_w, q_b, kv_w, kv_b, attn_out_w, attn_out_b, attn_norm_w, attn_norm_b;
    as_param inter_w, inter_b, out_w, out_b, norm_w, norm_b;
} as_encoder_layer;

/* The first member of an architecture's weights. */
typedef struct as_encoder {
    as_param word, position, type, norm_w, norm_b;
    as_param project_w, project_b; /* PIECE_PROJECT: from the width of the embeddings to that of the layers */
    as_encoder_layer *layers;
} as_encoder;

/* Hidden states of all tokens, or of the rows `want`: as_arch.encode. */
as_tensor *as_encoder_run(as_model *m, as_ctx *c, const as_encoder *w, const as_seqs *s, const int64_t *want, int64_t want_n);
/* The wanted rows as sequences of their own: the same count of sequences, each with its wanted rows as queries. */
const as_seqs *as_query_seqs(as_ctx *c, const as_seqs *s, const int64_t *want, int64_t n);
/* The input of a layer. Inference needs nothing before it but that: x is copied to keep, and the arena goes back to the mark. */
as_tensor *as_layer_input(as_ctx *c, as_tensor *x, as_tensor *keep, as_arena_mark mark);
/* item and pos [count] of the rows of one per sequence, as keys of a head's dropout. */
as_tensor *as_head_dropout(as_model *m, as_ctx *c, const as_seqs *s, as_tensor *x);

#define ROW(name, alias, field, rows, cols, kind, piece) {name, alias, field, rows, cols, kind, piece, 0, 0, 0}
#define ENCODER_W(f) offsetof(as_encoder, f)
#define ENCODER_L(f) offsetof(as_encoder_layer, f)
#define ENCODER_LINEAR(name, field, rows, cols)                                               \
    ROW(name ".weight", NULL, ENCODER_L(field##_w), rows, cols, WEIGHT_LINEAR, PIECE_BASE),   \
    ROW(name ".bias", NULL, ENCODER_L(field##_b), DIM_1, rows, WEIGHT_BIAS, PIECE_BASE)
/* Old files call a norm's weight gamma and its bias beta. */
#define NORM_ROWS(name, w, b, dim, piece)                                                     \
    ROW(name ".weight", name ".gamma", w, DIM_1, dim, WEIGHT_NORM, piece),                    \
    ROW(name ".bias", name ".beta", b, DIM_1, dim, WEIGHT_NORM_BIAS, piece)

/* Rows of the embeddings, and of a layer; P is the prefix with its dot. */
#define ENCODER_EMBEDDING_ROWS(P)                                                                                                                \
    ROW(P "embeddings.word_embeddings.weight", NULL, ENCODER_W(word), DIM_VOCAB, DIM_EMBED, WEIGHT_TABLE, PIECE_BASE),                            \
    ROW(P "embeddings.position_embeddings.weight", NULL, ENCODER_W(position), DIM_POSITIONS, DIM_EMBED, WEIGHT_TABLE, PIECE_BASE),                \
    ROW(P "embeddings.token_type_embeddings.weight", NULL, ENCODER_W(type), DIM_TYPES, DIM_EMBED, WEIGHT_TABLE, PIECE_BASE),                      \
    NORM_ROWS(P "embeddings.LayerNorm", ENCODER_W(norm_w), ENCODER_W(norm_b), DIM_EMBED, PIECE_BASE)
#define ENCODER_LAYER_ROWS(P)                                                                                                                    \
    ENCODER_LINEAR(P "encoder.layer.{L}.attention.self.query", q, DIM_HIDDEN, DIM_HIDDEN),                                                       \
    {P "encoder.layer.{L}.attention.self.key.weight", NULL, ENCODER_L(kv_w), DIM_HIDDEN, DIM_HIDDEN, WEIGHT_LINEAR, PIECE_BASE, 0, 2, 0},         \
    {P "encoder.layer.{L}.attention.self.value.weight", NULL, ENCODER_L(kv_w), DIM_HIDDEN, DIM_HIDDEN, WEIGHT_LINEAR, PIECE_BASE, 1, 2, 0},       \
    {P "encoder.layer.{L}.attention.self.key.bias", NULL, ENCODER_L(kv_b), DIM_1, DIM_HIDDEN, WEIGHT_BIAS, PIECE_BASE, 0, 2, 0},                  \
    {P "encoder.layer.{L}.attention.self.value.bias", NULL, ENCODER_L(kv_b), DIM_1, DIM_HIDDEN, WEIGHT_BIAS, PIECE_BASE, 1, 2, 0},                \
    ENCODER_LINEAR(P "encoder.layer.{L}.attention.output.dense", attn_out, DIM_HIDDEN, DIM_HIDDEN),                                              \
    NORM_ROWS(P "encoder.layer.{L}.attention.output.LayerNorm", ENCODER_L(attn_norm_w), ENCODER_L(attn_norm_b), DIM_HIDDEN, PIECE_BASE),          \
    ENCODER_LINEAR(P "encoder.layer.{L}.intermediate.dense", inter, DIM_INTER, DIM_HIDDEN),                                                      \
    ENCODER_LINEAR(P "encoder.layer.{L}.output.dense", out, DIM_HIDDEN, DIM_INTER),                                                              \
    NORM_ROWS(P "encoder.layer.{L}.output.LayerNorm", ENCODER_L(norm_w), ENCODER_L(norm_b), DIM_HIDDEN, PIECE_BASE)
#endif
