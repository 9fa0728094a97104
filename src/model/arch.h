/* arch.h: what an architecture is to the rest: a table of its weights and a function that runs it. A new architecture is one
 * file and one row of the table in arch.c. */
#ifndef AS_MODEL_ARCH_H
#define AS_MODEL_ARCH_H

#include "base/str.h"
#include "tensor/ops.h"

typedef struct as_model as_model;

/* Sizes as they stand in the config, so that a weight table reads like the paper. */
typedef enum as_dim { DIM_1, DIM_2, DIM_HIDDEN, DIM_EMBED, DIM_QKV, DIM_INTER, DIM_VOCAB, DIM_POSITIONS, DIM_TYPES, DIM_LABELS } as_dim;
typedef enum as_weight_kind { WEIGHT_LINEAR, WEIGHT_BIAS, WEIGHT_TABLE, WEIGHT_NORM, WEIGHT_NORM_BIAS } as_weight_kind;
/* The pieces of a checkpoint; which of them a head needs is said in the architecture. Of PIECE_BASE and PIECE_PROJECT is the
 * headless model (PROJECT: where embeddings are narrower than hidden states); DECODER is the output table where it is not tied. */
typedef enum as_piece {
    PIECE_BASE = 1, PIECE_POOLER = 2, PIECE_CLASSIFIER = 4, PIECE_MLM = 8, PIECE_NSP = 16, PIECE_DECODER = 32, PIECE_RTD = 64, PIECE_PROJECT = 128
} as_piece;
enum {
    ROW_TRANSPOSED = 1, /* files hold [cols, rows]: Conv1D of GPT-2 */
    ROW_RESIDUAL = 2,   /* ends a residual branch: its random weights are narrower by sqrt(2 layers) */
};

/* One named tensor of a checkpoint. Several rows may fill one parameter, each its part of the rows (fused projections). */
typedef struct as_weight_row {
    const char *name;      /* in files, with the base prefix; {L} = layer number */
    const char *alias;     /* another name in old files, or NULL */
    size_t field;          /* offset of its as_param in the architecture's weights, or in a layer's when the name has {L} */
    as_dim rows, cols;     /* of this tensor, as the parameter has it */
    as_weight_kind kind;
    as_piece piece;
    int part, parts;       /* this tensor is rows [part, part + 1) / parts of the parameter; parts 0 = whole */
    unsigned flags;        /* ROW_... */
} as_weight_row;

typedef enum as_head { 
    AS_HEAD_NONE, AS_HEAD_CLASSIFY, AS_HEAD_MLM, AS_HEAD_NSP, AS_HEAD_PRETRAIN /* MLM and NSP */, AS_HEAD_CLM, AS_HEAD_RTD, AS_HEAD_COUNT
} as_head;

/* A key of config.json and its class default in transformers. Without a key: the value, always. */
typedef struct as_config_key { const char *key; double value; } as_config_key;
typedef struct as_config_keys {
    as_config_key vocab, embedding, hidden, layers, heads, inter, max_pos, types; /* embedding 0 = hidden; inter 0 = 4 hidden */
    as_config_key eps, embedding_dropout, dropout, attention_dropout, classifier_dropout, pad; /* dropouts below 0 = dropout; pad -1 = none */
    const char *act, *act_default;
} as_config_keys;

/* Where a language-model head ends: logits = h table^T + bias (or NULL). */
typedef struct as_lm_params { const as_param *table, *bias; } as_lm_params;

typedef struct as_arch {
    const char *model_type;
    const char *prefix;            /* "bert.": absent in files of the headless model */
    const char *ignore[2];         /* names ending so are buffers, not weights */
    struct as_tie { const char *source, *copy; } ties[2]; /* what tie_word_embeddings makes one; the copy is a PIECE_DECODER */
    const as_config_keys *keys;
    const as_weight_row *rows;
    size_t row_count;
    size_t weights_size, layers_at, layer_size; /* the weights struct, where it points to its layers, one layer's size */
    struct as_arch_head { const char *name; int pieces; } heads[AS_HEAD_COUNT]; /* transformers' class, NULL where there is none */
    /* Hidden states [tokens, hidden], or only those of `want` (rows of the batch, ascending) [want_n, hidden]: what nobody asks
     * for is not computed in the last layer. */
    as_tensor *(*encode)(as_model *m, as_ctx *c, const as_seqs *s, const int64_t *want, int64_t want_n);
    /* The heads; NULL where the architecture has none. */
    as_tensor *(*classify)(as_model *m, as_ctx *c, const as_seqs *s);      /* [count, labels] */
    as_tensor *(*next_sentence)(as_model *m, as_ctx *c, const as_seqs *s); /* [count, 2] */
    as_tensor *(*lm_hidden)(as_model *m, as_ctx *c, const as_seqs *s, const int64_t *want, int64_t n);
    as_tensor *(*detect)(as_model *m, as_ctx *c, const as_seqs *s);        /* [tokens, 1] */
    as_tensor *(*pretrain)(as_model *m, as_ctx *c, const as_seqs *s, const int64_t *want, int64_t n, as_tensor **hidden);
    as_lm_params (*lm_params)(const as_model *m);
} as_arch;

const as_arch *as_arch_find(as_str model_type); /* NULL when not supported */
const char *as_arch_names(void);                /* "bert, electra, gpt2" */
const char *as_head_name(as_head h);            /* "masked-LM", for messages */
extern const as_arch as_arch_bert, as_arch_electra, as_arch_gpt2;
#endif
