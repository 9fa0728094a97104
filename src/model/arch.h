/* arch.h: what an architecture is to the rest: a table of its weights and a function that runs it. A new architecture is one
 * file and one row of the table in arch.c. */
#ifndef AS_MODEL_ARCH_H
#define AS_MODEL_ARCH_H

#include "base/str.h"
#include "tensor/ops.h"

typedef struct as_model as_model;

/* Sizes as they stand in the config, so that a weight table reads like the paper. */
typedef enum as_dim { DIM_1, DIM_2, DIM_HIDDEN, DIM_INTER, DIM_VOCAB, DIM_POSITIONS, DIM_TYPES, DIM_LABELS } as_dim;
typedef enum as_weight_kind { WEIGHT_LINEAR, WEIGHT_BIAS, WEIGHT_TABLE, WEIGHT_NORM, WEIGHT_NORM_BIAS } as_weight_kind;
/* The pieces of a checkpoint; which of them a head needs is said in model.c. */
typedef enum as_piece { PIECE_BASE = 1, PIECE_POOLER = 2, PIECE_CLASSIFIER = 4, PIECE_MLM = 8, PIECE_NSP = 16, PIECE_DECODER = 32 } as_piece;

/* One named tensor of a checkpoint. Several rows may fill one parameter, each its part of the rows (fused projections). */
typedef struct as_weight_row {
    const char *name;      /* in files, with the base prefix; {L} = layer number */
    const char *alias;     /* another name in old files, or NULL */
    size_t field;          /* offset of its as_param in the architecture's weights, or in a layer's when the name has {L} */
    as_dim rows, cols;     /* of this tensor */
    as_weight_kind kind;
    as_piece piece;
    int part, parts;       /* this tensor is rows [part, part + 1) / parts of the parameter; parts 0 = whole */
} as_weight_row;

typedef struct as_arch {
    const char *model_type;
    const char *prefix;            /* "bert.": absent in files of the headless model */
    const char *ignore;            /* names ending so are buffers, not weights */
    struct as_tie { const char *source, *copy; } ties[2]; /* what tie_word_embeddings makes one; the copy is a PIECE_DECODER */
    const as_weight_row *rows;
    size_t row_count;
    size_t weights_size, layers_at, layer_size; /* the weights struct, where it points to its layers, one layer's size */
    /* Hidden states [tokens, hidden], or only those of `want` (rows of the batch, ascending) [want_n, hidden]: what nobody asks
     * for is not computed in the last layer. */
    as_tensor *(*encode)(as_model *m, as_ctx *c, const as_seqs *s, const int64_t *want, int64_t want_n);
    const char *class_head, *mlm_head, *nsp_head, *pretrain_head, *base; /* transformers' class names */
} as_arch;

const as_arch *as_arch_find(as_str model_type); /* NULL when not supported */
const char *as_arch_names(void);                /* "bert" */
extern const as_arch as_arch_bert;
#endif
