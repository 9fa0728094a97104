/* config.h: config.json of a checkpoint. Keys that are absent have the class default of transformers: the defaults are part
 * of the format. */
#ifndef AS_MODEL_CONFIG_H
#define AS_MODEL_CONFIG_H

#include "io/json.h"
#include "tensor/kernels/kernels.h"

typedef enum as_problem { AS_PROBLEM_UNSET, AS_PROBLEM_SINGLE, AS_PROBLEM_MULTI, AS_PROBLEM_REGRESSION } as_problem;

typedef struct as_config {
    as_json *raw;                   /* the file, kept for saving */
    char *path;
    char model_type[32];
    int64_t vocab, embedding, hidden, layers, heads, inter, max_pos, types; /* types 0: token types are not used */
    as_act act;
    float eps, embedding_dropout, dropout, attention_dropout, classifier_dropout, init_range;
    int64_t pad_id;                 /* -1: none */
    bool scale_by_width, scale_by_layer; /* attention scores: 1 / sqrt(width of a head), and 1 / number of the layer */
    bool tied;                      /* tie_word_embeddings */
    as_problem problem;
    char **labels;                  /* id2label in id order; LABEL_0, LABEL_1 when the file has none */
    int num_labels;
    bool labels_given;              /* the file has id2label */
    char architecture[64];          /* the first of architectures, or "" */
} as_config;

/* Sizes are checked: positive, heads divide hidden, all below 2^31. An unsupported model_type is AS_FORMAT that names the supported. */
as_status as_config_read(as_config *out, const char *dir, as_err *err) AS_CHECKED;
as_status as_config_parse(as_config *out, as_str text, const char *where, as_err *err) AS_CHECKED;
void as_config_free(as_config *c);
/* The same model with hidden states, feed-forward layers and heads of a 1 / by of the width; embeddings keep theirs. */
as_status as_config_narrow(as_config *out, const as_config *c, int64_t by, as_err *err) AS_CHECKED;

/* What a saved checkpoint changes; NULL and 0 keep the file's. */
typedef struct as_config_change {
    const char *architecture;
    char *const *labels;
    int num_labels;
    as_problem problem;
    bool bf16;                      /* what the weights are stored as, in place of fp32 */
    bool untie;                     /* tie_word_embeddings: false */
} as_config_change;
/* The file again with the changes, in its order of keys; "dtype" says float32. */
as_status as_config_write(const as_config *c, const as_config_change *change, const char *path, as_err *err) AS_CHECKED;
#endif
