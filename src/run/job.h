/* job.h: what the commands do, without a command line: the CLI and the C API fill these structs and call one function.
 * Strings are borrowed for the call. Zero-initialise and set what differs, or start from as_job_defaults(). */
#ifndef AS_RUN_JOB_H
#define AS_RUN_JOB_H

#include "base/log.h"
#include "data/records.h"
#include "metric/metric.h"
#include "tensor/engine.h"
#include "train/recipe.h"

/* What all work shares. */
typedef struct as_job {
    const char *model;        /* checkpoint folder */
    const char *model_name, *task_name; /* shown and stored instead of the last components of the paths; or NULL */
    const char *doing;        /* what the progress bar says in place of the command's own word, or NULL */
    int threads;              /* 0 = all */
    struct as_comm *comm;     /* processes that do this job together (dist/comm.h): all call, rank 0 alone writes; or NULL */
    as_isa isa;               /* at most */
    as_compute dtype;
    int64_t batch_tokens;     /* tokens of a micro-batch; 0 = AS_ROW_MAX; does not change results */
    int64_t max_length;       /* 0 = what the checkpoint allows */
    const char *db;           /* store; NULL = none is kept */
    bool again;               /* recompute what is stored */
    bool dry_run;             /* plan and cost only */
    uint64_t seed;            /* of intervals; and of training through the recipe */
    double level;             /* 0.95 */
    const char *ci;           /* NULL = the default of the metric; "bca", "percentile", "wilson", "clopper-pearson" */
    const char *metrics;      /* comma list; NULL = defaults of the kind */
    const char *positive;     /* label name or NULL */
    double until;             /* eval: > 0 = score in random order and stop when the interval is value +- this */
    const char *calibrate;    /* eval: labelled data to fit a temperature and conformal thresholds on, or NULL */
    const char *perturb;      /* eval: perturbations to score as well: a comma list or "all", or NULL */
    double strength;          /* of them; 0 = each kind's own */
    const as_log *log;
    int progress_fd;          /* -1 = no progress */
    as_whole *whole;          /* what the work is a piece of, for its progress; or NULL */
    bool aside;               /* within a piece: another bar counts it */
    const char *version;      /* of the program, recorded */
    const char *command_line; /* what was typed, recorded; or NULL */
} as_job;
as_job as_job_defaults(void);

typedef struct as_result_metric {
    char *name;               /* signature */
    double value, low, high, level;
    bool higher_is_better;
    char *method, *why;       /* of the interval; why the value is undefined (NULL = defined) */
    int64_t n;
} as_result_metric;

/* One scored item as the caller may want to print it; views live for the callback only. */
typedef struct as_result_item {
    int64_t index;
    as_str id, text, pair, gold; /* gold.p NULL when the data has no labels */
    as_str pred;                 /* label, labels as a JSON list, or the number */
    const double *probs;         /* [num_labels] (class: softmax, multilabel: sigmoid), NULL for regression */
    const float *logits;
    char *const *labels;
    int num_labels;
    double value;                /* regression */
    as_label_kind kind;          /* of the head */
    bool truncated;
} as_result_item;
typedef as_status (*as_item_sink)(void *ctx, const as_result_item *item, as_err *err); /* in item order */

typedef struct as_eval_result {
    int64_t run;                 /* number in the store, 0 = not stored */
    char *model, *task;          /* display names: last component of the paths */
    int64_t n, truncated, tokens;
    int64_t population;          /* items of the data when `until` stopped before their end, else 0 */
    as_result_metric *metrics;
    size_t metric_count;
    char **labels;
    int num_labels;
    int64_t *confusion;          /* [labels, labels] rows gold, or NULL */
    struct as_slice_row *slices; /* of the first metric */
    size_t slice_count;
    struct as_calibration *calibration; /* run/calibrate.h; NULL without job.calibrate */
    struct as_perturbed *perturbed;     /* run/perturb.h; of the first metric, a row per kind */
    size_t perturbed_count;
    bool head_fresh;             /* part of the head is random: the scores mean nothing */
    bool from_store;             /* nothing was computed */
    int64_t resumed;             /* items that were stored before */
    double seconds;              /* scoring only; of a dry run what it would take */
    uint64_t peak_bytes;
    char *dtype, *isa;           /* what the numbers depend on */
    int threads;
} as_eval_result;
void as_eval_result_free(as_eval_result *r);

/* Score every record of `data` and store it; each item also goes to `sink` when given (after all are scored, in order). */
as_status as_run_eval(const as_job *j, const char *data, const as_data_cols *cols, as_item_sink sink, void *ctx, as_eval_result *out, as_err *err) AS_CHECKED;

/* Predictions without gold: data (a table) or texts. Streams in order. */
typedef struct as_predict_input {
    const char *data;            /* table with cols, or NULL */
    const as_data_cols *cols;
    const as_str *texts, *pairs; /* [count]; pairs NULL or same count */
    int64_t count;
} as_predict_input;
as_status as_run_predict(const as_job *j, const as_predict_input *in, as_item_sink sink, void *ctx, as_err *err) AS_CHECKED;

/* Sentence vectors [dim] in order, by the checkpoint's own pooling (1_Pooling, 2_Normalize), mean pooling when it has none. */
typedef as_status (*as_vector_sink)(void *ctx, int64_t index, as_str text, const float *v, int64_t dim, as_err *err);
as_status as_run_embed(const as_job *j, const as_str *texts, int64_t count, as_vector_sink sink, void *ctx, as_err *err) AS_CHECKED;

/* The most probable pieces for each mask token of one text. */
typedef struct as_fill { int mask; int32_t id; as_str piece; double prob; } as_fill; /* piece: as decoded */
typedef as_status (*as_fill_sink)(void *ctx, const as_fill *top, int count, as_err *err); /* per mask, best first */
as_status as_run_fill(const as_job *j, as_str text, int top, as_fill_sink sink, void *ctx, as_err *err) AS_CHECKED;

/* Fine-tuning. */
typedef struct as_finetune_job {
    as_job job;
    as_recipe recipe;
    const char *train, *dev;     /* dev NULL: split off dev_fraction */
    double dev_fraction;         /* 0.1 when dev is NULL; 0 = no dev set: no selection */
    const as_data_cols *cols;
    const char *out;             /* folder; refused when it holds another run's result */
    bool scratch;                /* random weights, the config and tokenizer only */
} as_finetune_job;
typedef struct as_plan { int64_t steps, tokens_epoch, parameters, trainable; double seconds; uint64_t bytes; int64_t train_items, dev_items;
    double item_seconds; /* to score one item of that length */ } as_plan;
typedef struct as_finetune_result {
    int64_t run;
    as_plan plan;
    int64_t steps, best_step, grad_shards;
    double train_loss, seconds;
    bool resumed, from_store, stopped_early;
    as_eval_result dev;          /* of the checkpoint that was kept; n = 0 without a dev set */
    uint64_t peak_bytes;
} as_finetune_result;
void as_finetune_result_free(as_finetune_result *r);
as_status as_run_finetune(const as_finetune_job *f, as_finetune_result *out, as_err *err) AS_CHECKED;

/* k-fold cross-validation of a fresh fine-tuning per fold: predictions of all folds together are one result. */
as_status as_run_crossval(const as_finetune_job *f, int folds, as_eval_result *out, as_err *err) AS_CHECKED;

/* What a checkpoint is and costs. */
typedef struct as_info {
    char *model, *model_type, *architecture, *tokenizer, *problem;
    int64_t parameters, layers, hidden, heads, vocab, max_length;
    char **labels; int num_labels;
    bool has_classifier;
    uint64_t file_bytes, inference_bytes, training_bytes;
    double tokens_per_second;    /* to run, estimated from a product timed now; training takes three times as long */
} as_info;
as_status as_run_describe(const as_job *j, as_info *out, as_err *err) AS_CHECKED;
void as_info_free(as_info *i);
/* What multiplies matrices under these options: "oneDNN 2.6.3", "own". */
as_status as_run_gemm_name(char out[64], const as_job *j, as_err *err) AS_CHECKED;

/* A signal handler may set this through as_interrupt(): long work stops at the next safe point with AS_INTERRUPTED. */
void as_interrupt(void);
bool as_interrupted(void);
#endif
