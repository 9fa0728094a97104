/* assay.h: the public C API of assay, which trains, evaluates and explains pre-trained language models.
 *
 * Ownership: a `const T *` argument is borrowed for the call; what assay_X_open returns, assay_X_free
 * releases (NULL allowed); a view returned from an object dies with that object.
 * Errors: every call that can fail returns assay_status and fills a caller-owned assay_err (NULL
 * allowed). Nothing here prints, exits or keeps global state, but for the CPU dispatch, set once.
 * Threads: objects may be used from several threads, one call at a time per object. */
#ifndef ASSAY_H
#define ASSAY_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define ASSAY_API __attribute__((visibility("default")))
#define ASSAY_CHECKED __attribute__((warn_unused_result))
#else
#define ASSAY_API
#define ASSAY_CHECKED
#endif

/* The values are the process exit codes of the command line tool. */
typedef enum assay_status {
    ASSAY_OK = 0,
    ASSAY_FAILED = 1,        /* a --fail-if gate or a --check did not hold */
    ASSAY_USAGE = 2,         /* unknown option, column, task, metric */
    ASSAY_IO = 3,            /* a file could not be read or written */
    ASSAY_FORMAT = 4,        /* input is malformed or unsupported */
    ASSAY_SHAPE = 5,         /* tensor shapes do not agree */
    ASSAY_NOMEM = 6,         /* not enough memory */
    ASSAY_NUMERIC = 7,       /* a weight, loss or logit is not finite */
    ASSAY_INTERRUPTED = 130  /* stopped by a signal; the same command goes on */
} assay_status;

typedef struct assay_err {
    assay_status status;
    char msg[768];   /* one factual line: file, place, what is wrong */
    char hint[512];  /* what to do; may be empty */
} assay_err;

/* --- models --- */
typedef struct assay_model assay_model;

typedef enum assay_head {
    ASSAY_AS_STORED = 0,  /* the classification head that the checkpoint has */
    ASSAY_CLASSIFY,       /* one label of num_labels */
    ASSAY_MULTILABEL,     /* any of num_labels */
    ASSAY_REGRESS         /* a number */
} assay_head;

typedef struct assay_model_opts {
    assay_head head;
    int num_labels;             /* of a head that is not as stored */
    int threads;                /* 0 = all that the process may use */
    const char *dtype;          /* "f32" (default) or "bf16" */
    const char *isa;            /* cap: "portable", "avx2", "avx512"; NULL = the best there is */
    int64_t max_length;         /* tokens; 0 = what the checkpoint allows */
    uint64_t seed;              /* of a head that is not in the checkpoint */
    void (*log)(void *ctx, const char *line); /* warnings, one line each; NULL = none */
    void *log_ctx;
} assay_model_opts;
ASSAY_API assay_model_opts assay_model_defaults(void);

/* A checkpoint folder in Hugging Face layout. *out is NULL on failure. */
ASSAY_API assay_status assay_model_open(assay_model **out, const char *dir, const assay_model_opts *opts, assay_err *err) ASSAY_CHECKED;
ASSAY_API void assay_model_free(assay_model *model);
/* config.json, model.safetensors and the tokenizer's files: a folder that transformers loads. */
ASSAY_API assay_status assay_model_save(const assay_model *model, const char *dir, assay_err *err) ASSAY_CHECKED;
ASSAY_API int assay_model_num_labels(const assay_model *model);
ASSAY_API const char *assay_model_label(const assay_model *model, int id); /* NULL when there is no such id */

/* --- data --- */
typedef struct assay_data assay_data;
typedef struct assay_data_opts {
    const char *text, *pair, *label; /* columns; NULL = text or sentence; none; label */
    const char *labels;              /* "neg,pos": names in id order; NULL = those of the data, sorted */
    const char *separator;           /* one character; NULL = by the file's name */
    int no_header, no_quotes;
    int64_t limit;                   /* records; 0 = all */
} assay_data_opts;
ASSAY_API assay_data_opts assay_data_defaults(void);
/* CSV, TSV, JSONL, Parquet, also .gz and .zst. Labels are read when they are used: by training or evaluation. */
ASSAY_API assay_status assay_data_open(assay_data **out, const char *path, const assay_data_opts *opts, assay_err *err) ASSAY_CHECKED;
ASSAY_API void assay_data_free(assay_data *data);

/* --- training --- */
typedef struct assay_train_opts {
    double epochs;             /* 3 */
    int64_t steps;             /* > 0 overrides epochs */
    int64_t batch_size;        /* 16 */
    double lr;                 /* 2e-5, of AdamW, where the schedule begins */
    double warmup;             /* 0.06: share of the steps, or steps when above 1 */
    double weight_decay;       /* 0.01 */
    double clip;               /* 1.0: global norm */
    double dropout;            /* < 0 = what the config says */
    uint64_t seed;             /* 1 */
    const char *schedule;      /* NULL = "linear"; "cosine", "constant", "wsd" */
    int64_t accumulate;        /* 1: batches that a step adds up */
    int64_t grad_shards;       /* parts that a batch's gradient is summed from; 0 = by model and batch size */
    /* After each evaluation on dev (each epoch): return non-zero to stop. NULL = none. */
    int (*progress)(void *ctx, int64_t step, int64_t total, double train_loss, double dev_score);
    void *progress_ctx;
} assay_train_opts;
ASSAY_API assay_train_opts assay_train_defaults(void);
/* Trains in place; with dev (may be NULL) the model ends with the weights of the best epoch. */
ASSAY_API assay_status assay_train(assay_model *model, const assay_data *train, const assay_data *dev, const assay_train_opts *opts, assay_err *err) ASSAY_CHECKED;

/* --- training, with the loop in the caller's hands (examples/loop.c) ---
 * Each batch: assay_forward, assay_backward, assay_step. The same seed, order and learning rates give the weights of assay_train
 * with grad_shards 1, to the bit. Calls out of turn are ASSAY_USAGE. Model, optimizer and batches are freed in any order. */
typedef struct assay_batches assay_batches;
typedef struct assay_batches_opts {
    int64_t batch_size;        /* 16 */
    int shuffle;               /* 1: each epoch has an order of its own; 0: that of the data */
    uint64_t seed;             /* 1: of that order */
} assay_batches_opts;
typedef struct assay_batch {   /* a view, until the next one is taken */
    int64_t count, tokens;     /* count 0: the epoch is over */
    const int64_t *record;     /* [count] numbers of the records, from 0 */
    const int32_t *label;      /* [count] label ids; NULL unless each record has one label */
    const assay_batches *from;
    int64_t number;            /* of all that were taken, from 1 */
} assay_batch;
ASSAY_API assay_batches_opts assay_batches_defaults(void);
/* Reads and encodes the data, with labels, for this model. data may be freed afterwards. */
ASSAY_API assay_status assay_batches_open(assay_batches **out, assay_model *model, const assay_data *data, const assay_batches_opts *opts, assay_err *err) ASSAY_CHECKED;
ASSAY_API void assay_batches_free(assay_batches *batches);
ASSAY_API int64_t assay_batches_count(const assay_batches *batches); /* in an epoch */
/* After an epoch's last batch comes one with count 0, then the next epoch. */
ASSAY_API assay_status assay_next_batch(assay_batches *batches, assay_batch *out, assay_err *err) ASSAY_CHECKED;

typedef struct assay_optimizer assay_optimizer; /* AdamW */
typedef struct assay_optimizer_opts {
    double lr;                 /* 2e-5 */
    double weight_decay;       /* 0.01, not on biases and norms */
    double beta1, beta2, eps;  /* 0.9, 0.999, 1e-8 */
    double clip;               /* 1.0: global norm; 0 = off */
    double dropout;            /* < 0 = what the config says */
    int64_t accumulate;        /* 1: batches added up before a step; each counts 1 / accumulate of it */
    uint64_t seed;             /* 1: of dropout */
} assay_optimizer_opts;
ASSAY_API assay_optimizer_opts assay_optimizer_defaults(void);
/* One at a time for a model, which is in training mode from then on, until the optimizer is freed. */
ASSAY_API assay_status assay_optimizer_open(assay_optimizer **out, assay_model *model, const assay_optimizer_opts *opts, assay_err *err) ASSAY_CHECKED;
ASSAY_API void assay_optimizer_free(assay_optimizer *optimizer);
ASSAY_API void assay_set_lr(assay_optimizer *optimizer, double lr); /* of the steps to come */
ASSAY_API int64_t assay_steps(const assay_optimizer *optimizer);    /* done so far */
/* Forget the gradients, and a forward pass that has had no backward. NULL allowed. */
ASSAY_API void assay_zero_grad(assay_optimizer *optimizer);

/* Training mode drops out and keeps what assay_backward needs; without it (0), forward only answers. */
ASSAY_API void assay_set_training(assay_model *model, int on);
typedef struct assay_output {
    double loss;               /* mean over the batch */
    const float *logits;       /* [count, num_labels] in the batch's order; a view, until the model's next forward pass */
} assay_output;
/* batch: the newest of batches that were cut for this model. ASSAY_NUMERIC when the loss is not finite. */
ASSAY_API assay_status assay_forward(assay_model *model, const assay_batch *batch, assay_output *out, assay_err *err) ASSAY_CHECKED;
/* Adds the gradients of the last forward pass to those since assay_zero_grad. */
ASSAY_API assay_status assay_backward(assay_model *model, assay_err *err) ASSAY_CHECKED;
/* Clip and update. Needs a backward pass since the last step; the gradients stay until assay_zero_grad. ASSAY_NUMERIC when the
 * gradient is not finite: then nothing was updated. */
ASSAY_API assay_status assay_step(assay_optimizer *optimizer, assay_err *err) ASSAY_CHECKED;

/* --- evaluation --- */
typedef struct assay_score {
    char name[96];             /* the metric with its arguments: "f1(macro)" */
    double value, low, high;   /* 95 % interval; NaN where undefined */
} assay_score;
typedef struct assay_scores {
    size_t count;
    assay_score *v;
} assay_scores;
/* metrics: a comma list, NULL = the defaults of the head. Release with assay_scores_free. */
ASSAY_API assay_status assay_evaluate(assay_model *model, const assay_data *data, const char *metrics, assay_scores *out, assay_err *err) ASSAY_CHECKED;
ASSAY_API void assay_scores_free(assay_scores *scores);

/* Probabilities of each text, out [count, num_labels] (regression: the number). Texts are UTF-8. */
ASSAY_API assay_status assay_predict(assay_model *model, const char *const *texts, size_t count, double *out, assay_err *err) ASSAY_CHECKED;

ASSAY_API const char *assay_version(void);

#ifdef __cplusplus
}
#endif
#endif
