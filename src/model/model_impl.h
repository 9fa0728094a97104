/* model_impl.h: the inside of as_model, for the files of this folder. */
#ifndef AS_MODEL_IMPL_H
#define AS_MODEL_IMPL_H

#include "model/model.h"

/* One tensor of a checkpoint tied to its place in a parameter. */
typedef struct as_slot {
    const as_weight_row *row;
    char *name, *alias;      /* expanded; alias may be NULL */
    as_param *param;
    int64_t rows, cols, at;  /* this tensor's shape in the parameter, and its first row there */
    int64_t depth;           /* as_model_depth of the parameter */
    bool found;
} as_slot;

struct as_model {
    const as_arch *arch;
    as_engine *e;
    as_config config;
    char *dir;
    as_model_opts opts;
    int pieces;              /* as_piece bits that this head has */
    char **labels;
    int num_labels;
    as_problem problem;
    void *weights;           /* the architecture's struct */
    as_slot *slots;
    size_t slot_count;
    as_param **params;
    size_t param_count;
    as_weight_files *files;
    float *block;            /* private masters, one aligned block */
    as_arena packs;          /* of the packed weights */
    size_t block_floats, pack_bytes;
    int64_t missing;
    bool head_fresh;
    as_model *generator;     /* pair.c: owned; its parameters are behind those of this model in params */
    char **pair_names;       /* [pair_count] names of those parameters */
    size_t pair_count;
};

static inline bool as_model_is_lm(const as_model *m) {
    return m->opts.head == AS_HEAD_MLM || m->opts.head == AS_HEAD_PRETRAIN || m->opts.head == AS_HEAD_CLM;
}

/* model_slots.c: expand the weight table. */
as_status as_model_expand(as_model *m, as_err *err) AS_CHECKED;
/* model_load.c: a tensor of the files, with or without the base prefix; NULL when absent. */
const as_weight_view *as_model_find(const as_model *m, const char *name);
/* model_load.c: fill the parameters from the files, or at random; pack. */
as_status as_model_load(as_model *m, as_err *err) AS_CHECKED;
/* checkpoint.c: the same as as_model_open with a config in hand, which the model takes (also when it fails). */
as_status as_model_open_config(as_model **out, as_engine *e, const char *dir, as_config *c, const as_model_opts *o, as_err *err) AS_CHECKED;
/* pair.c: the generator of dir/generator, or a new one, joins the discriminator m. */
as_status as_model_open_generator(as_model *m, as_err *err) AS_CHECKED;
/* out [cols, rows] */
void as_transpose(float *out, const float *in, int64_t rows, int64_t cols);
#endif
