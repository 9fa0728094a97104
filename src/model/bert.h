/* bert.h: the weights of BERT, for its file and for the heads that share them. */
#ifndef AS_MODEL_BERT_H
#define AS_MODEL_BERT_H

#include "model/arch.h"

typedef struct bert_layer {
    as_param q_w, q_b, kv_w, kv_b, attn_out_w, attn_out_b, attn_norm_w, attn_norm_b;
    as_param inter_w, inter_b, out_w, out_b, norm_w, norm_b;
} bert_layer;

typedef struct bert_weights {
    as_param word, position, type, norm_w, norm_b;
    bert_layer *layers;
    as_param pooler_w, pooler_b, class_w, class_b;
    as_param mlm_dense_w, mlm_dense_b, mlm_norm_w, mlm_norm_b, mlm_bias, decoder, decoder_bias;
    as_param nsp_w, nsp_b;
} bert_weights;
#endif
