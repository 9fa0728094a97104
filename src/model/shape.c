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

static void gpt2(as_buf *out, const as_shape *s, int64_t vocab, int64_t pad_id, int64_t end_id) {
    as_buf_fmt(out,
               "{\n  \"architectures\": [\"GPT2LMHeadModel\"],\n  \"model_type\": \"gpt2\",\n  \"vocab_size\": %" PRId64 ",\n  \"n_embd\": %" PRId64
               ",\n  \"n_layer\": %" PRId64 ",\n  \"n_head\": %" PRId64 ",\n  \"n_inner\": null,\n  \"n_positions\": 512",
               vocab, s->hidden, s->layers, s->hidden / 64);
    as_buf_str(out, ",\n  \"activation_function\": \"gelu_new\",\n  \"resid_pdrop\": 0.1,\n  \"embd_pdrop\": 0.1,\n  \"attn_pdrop\": 0.1,\n"
                    "  \"layer_norm_epsilon\": 1e-05,\n  \"initializer_range\": 0.02");
    const struct { const char *key; int64_t id; } ids[] = {{"bos_token_id", end_id}, {"eos_token_id", end_id}, {"pad_token_id", pad_id}};
    for (size_t i = 0; i < AS_COUNT(ids); i++)
        ids[i].id < 0 ? as_buf_fmt(out, ",\n  \"%s\": null", ids[i].key) : as_buf_fmt(out, ",\n  \"%s\": %" PRId64, ids[i].key, ids[i].id);
    as_buf_str(out, ",\n  \"tie_word_embeddings\": true\n}\n");
}

void as_shape_config(as_buf *out, const as_shape *s, as_head head, int64_t vocab, int64_t pad_id, int64_t end_id) {
    if (head == AS_HEAD_CLM) {
        gpt2(out, s, vocab, pad_id, end_id);
        return;
    }
    const bool electra = head == AS_HEAD_RTD; /* its embeddings are 128 wide up to small, as wide as base in base: Clark et al. 2020, table 6 */
    as_buf_fmt(out, "{\n  \"architectures\": [\"%s\"],\n  \"model_type\": \"%s\",\n", electra ? "ElectraForPreTraining" : "BertForMaskedLM", electra ? "electra" : "bert");
    if (electra) as_buf_fmt(out, "  \"embedding_size\": %d,\n", s->hidden < 768 ? 128 : 768);
    as_buf_fmt(out, "  \"vocab_size\": %" PRId64 ",\n  \"hidden_size\": %" PRId64
               ",\n  \"num_hidden_layers\": %" PRId64 ",\n  \"num_attention_heads\": %" PRId64 ",\n  \"intermediate_size\": %" PRId64,
               vocab, s->hidden, s->layers, s->hidden / 64, 4 * s->hidden);
    as_buf_fmt(out, ",\n  \"hidden_act\": \"gelu\",\n  \"hidden_dropout_prob\": 0.1,\n  \"attention_probs_dropout_prob\": 0.1,\n  \"max_position_embeddings\": 512,\n"
                    "  \"type_vocab_size\": 2,\n  \"initializer_range\": 0.02,\n  \"layer_norm_eps\": 1e-12,\n  \"pad_token_id\": %" PRId64
                    ",\n%s  \"tie_word_embeddings\": true\n}\n", pad_id < 0 ? 0 : pad_id, electra ? "" : "  \"position_embedding_type\": \"absolute\",\n");
}
