/* model.h: a checkpoint that can run: opened, encoded with, headed, saved. The object is not written to after open (but for
 * training), so threads share it, each with its own as_ctx. */
#ifndef AS_MODEL_MODEL_H
#define AS_MODEL_MODEL_H

#include "io/weights.h"
#include "model/arch.h"
#include "model/config.h"

typedef struct as_model_opts {
    as_head head;
    bool train;                /* masters, gradients: weights become private copies */
    char *const *labels;       /* CLASSIFY: names of a new head; NULL = what the config says */
    int num_labels;
    as_problem problem;        /* of a new head; UNSET = what the config says, else single (regression for one label) */
    bool fresh;                /* ignore the weights of the file: everything random ("from scratch") */
    bool new_head;             /* ignore the classifier of the file: it is for other labels */
    uint64_t seed;             /* of random weights */
    const as_log *log;         /* missing and unused weights are told once */
    void (*beside)(void *ctx); /* other work for the threads that load, or NULL; not done when an error comes before the loading */
    void *beside_ctx;
} as_model_opts;

as_status as_model_open(as_model **out, as_engine *e, const char *dir, const as_model_opts *o, as_err *err) AS_CHECKED;
void as_model_free(as_model *m);
/* HF layout: config.json, model.safetensors (fp32), and the tokenizer is the caller's (as_tokenizer_copy). */
as_status as_model_save(const as_model *m, const char *dir, as_err *err) AS_CHECKED;
/* In AS_F32 or, each number rounded to the nearest, AS_BF16: half the bytes. */
as_status as_model_save_as(const as_model *m, const char *dir, as_dtype dtype, as_err *err) AS_CHECKED;

const as_config *as_model_config(const as_model *m);
const void *as_model_weights(const as_model *m);       /* the architecture's weights struct */
as_engine *as_model_engine(const as_model *m);
const char *as_model_dir(const as_model *m);
as_head as_model_head(const as_model *m);
as_problem as_model_problem(const as_model *m);        /* of the classification head */
int as_model_num_labels(const as_model *m);
char *const *as_model_labels(const as_model *m);
/* Other names for the same number of labels. */
as_status as_model_rename_labels(as_model *m, char *const *names, as_err *err) AS_CHECKED;
bool as_model_head_is_fresh(const as_model *m);        /* the file had no weights for the head */
int64_t as_model_missing(const as_model *m);           /* weights of the model that the file lacks */
/* True when the checkpoint holds a classifier: the last tensor of its architecture's head is there. */
as_status as_model_has_classifier(bool *out, const char *dir, as_err *err) AS_CHECKED;
bool as_files_have_classifier(const as_config *c, const as_weight_files *w);
int64_t as_model_parameters(const as_model *m);        /* count of numbers, tied ones once */
size_t as_model_param_count(const as_model *m);
as_param *as_model_param(const as_model *m, size_t i);
const as_param *as_model_word(const as_model *m);      /* the word embedding */
/* Opened for training, the discriminator of ELECTRA (AS_HEAD_RTD) comes with a generator: that of the folder dir/generator, or a new
 * one of a quarter of its width. Embeddings are shared; its parameters are among those of the discriminator. NULL otherwise. */
as_model *as_model_generator(const as_model *m);
/* Where a parameter stands: 0 before the layers, l + 1 in layer l (from 0), layers + 1 after them. */
int64_t as_model_depth(const as_model *m, const as_param *p);
size_t as_model_bytes(const as_model *m);              /* private memory of weights and packs */
void as_model_set_dropout(as_model *m, float p);       /* all sites; < 0 keeps the config's */
/* Digest of architecture and weight files: identifies the model. */
as_status as_model_digest(const as_model *m, char hex[65], as_err *err) AS_CHECKED;
/* Pack every linear weight again from its master, on all threads: after an optimiser step. */
as_status as_model_repack(as_model *m, as_err *err) AS_CHECKED;

/* --- running --- results NULL when memory ran out */
as_tensor *as_model_encode(as_model *m, as_ctx *c, const as_seqs *s);                                     /* [tokens, hidden] */
as_tensor *as_model_encode_rows(as_model *m, as_ctx *c, const as_seqs *s, const int64_t *want, int64_t n); /* [n, hidden] */
as_tensor *as_model_classify(as_model *m, as_ctx *c, const as_seqs *s);                                   /* [count, labels] */
as_tensor *as_model_next_sentence(as_model *m, as_ctx *c, const as_seqs *s);                              /* [count, 2] */
as_tensor *as_model_detect(as_model *m, as_ctx *c, const as_seqs *s);                                     /* [tokens, 1]: was it replaced? */
/* Of a language model, masked or causal: the wanted rows ready for the decoder [n, its columns]; full logits [n, vocab] of such rows. */
as_tensor *as_model_mlm_hidden(as_model *m, as_ctx *c, const as_seqs *s, const int64_t *want, int64_t n);
as_tensor *as_model_mlm_logits(as_model *m, as_ctx *c, as_tensor *hidden);
/* Both heads over one pass: the transform of the wanted rows, and the next-sentence logits [count, 2] (NULL: out of memory). No
 * wanted row is a sequence's first. *hidden is NULL, too, when n is 0. */
as_tensor *as_model_pretrain(as_model *m, as_ctx *c, const as_seqs *s, const int64_t *want, int64_t n, as_tensor **hidden);
const as_param *as_model_decoder(const as_model *m);   /* [vocab, embedding]: tied or its own */
const as_param *as_model_decoder_bias(const as_model *m); /* NULL: it has none */
#endif
