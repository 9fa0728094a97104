#include "model/shape.h"
#include <inttypes.h>
#include <string.h>

static const as_shape table[] = {{"tiny", 2, 128}, {"mini", 4, 256}, {"small", 4, 512}, {"base", 12, 768}};

const as_shape *as_shape_find(const char *name) {
    for (size_t i = 0; i < AS_COUNT(table); i++)
        if (strcmp(table[i].name, name) == 0) return &table[i];
    return NULL;
}
const char *as_shape_names(void) { return "tiny, mini, small, base"; }

void as_shape_config(as_buf *out, const as_shape *s, int64_t vocab, int64_t pad_id) {
    as_buf_fmt(out,
               "{\n  \"architectures\": [\"BertForMaskedLM\"],\n  \"model_type\": \"bert\",\n  \"vocab_size\": %" PRId64 ",\n  \"hidden_size\": %" PRId64
               ",\n  \"num_hidden_layers\": %" PRId64 ",\n  \"num_attention_heads\": %" PRId64 ",\n  \"intermediate_size\": %" PRId64,
               vocab, s->hidden, s->layers, s->hidden / 64, 4 * s->hidden);
    as_buf_fmt(out, ",\n  \"hidden_act\": \"gelu\",\n  \"hidden_dropout_prob\": 0.1,\n  \"attention_probs_dropout_prob\": 0.1,\n  \"max_position_embeddings\": 512,\n"
                    "  \"type_vocab_size\": 2,\n  \"initializer_range\": 0.02,\n  \"layer_norm_eps\": 1e-12,\n  \"pad_token_id\": %" PRId64
                    ",\n  \"position_embedding_type\": \"absolute\",\n  \"tie_word_embeddings\": true\n}\n", pad_id);
}
