/* finetune.c: `assay finetune`: a labelled table and a checkpoint in, a better checkpoint out. Killed at any moment, the same
 * command goes on from the last checkpoint to the same bytes. */
#include "base/file.h"
#include "base/hash.h"
#include "base/mem.h"
#include "run/finetune.h"
#include "train/loop.h"
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* --- what both finetune and cross-validation need --- */
void as_tuning_close(as_tuning *t) {
    as_free(t->label), as_free(t->sets), as_free(t->value), as_free(t->class_weight);
    as_scored_free(&t->scored);
    as_encoded_free(&t->encoded);
    as_records_free(&t->records);
    as_session_close(&t->ses);
    memset(t, 0, sizeof *t);
}

as_status as_tuning_targets(as_tuning *t, as_err *err) {
    const as_records *r = &t->records;
    const int64_t k = t->records.labels.count;
    if (r->kind == AS_LABEL_CLASS) t->label = as_calloc((size_t)r->n, sizeof *t->label);
    if (r->kind == AS_LABEL_MULTI) t->sets = as_calloc((size_t)(r->n * k), 1);
    if (r->kind == AS_LABEL_VALUE) t->value = as_calloc((size_t)r->n, sizeof *t->value);
    if (!t->label && !t->sets && !t->value) return as_fail_nomem(err, "labels", 0);
    for (int64_t i = 0; i < r->n; i++) {
        if (t->label) t->label[i] = r->v[i].label;
        if (t->sets && r->v[i].set) memcpy(t->sets + i * k, r->v[i].set, (size_t)k);
        if (t->value) t->value[i] = (float)r->v[i].value;
    }
    return AS_OK;
}

/* "balanced": n / (classes * count), as scikit-learn; or a list in id order. */
static as_status make_class_weights(as_tuning *t, const char *how, const int64_t *index, int64_t n, as_err *err) {
    if (!how) return AS_OK;
    const int64_t k = t->records.labels.count;
    if (!t->label) return as_fail(err, AS_USAGE, "--class-weights is for single-label classification");
    if (!(t->class_weight = as_calloc((size_t)k, sizeof *t->class_weight))) return as_fail_nomem(err, "class weights", 0);
    if (strcmp(how, "balanced") == 0) {
        for (int64_t i = 0; i < n; i++) t->class_weight[t->label[index[i]]] += 1.0f;
        for (int64_t c = 0; c < k; c++)
            t->class_weight[c] = t->class_weight[c] > 0.0f ? (float)((double)n / ((double)k * (double)t->class_weight[c])) : 0.0f;
        return AS_OK;
    }
    int64_t got = 0;
    for (const char *p = how; p && got <= k; got++) {
        const size_t len = strcspn(p, ",");
        double w;
        if (got == k || !as_parse_f64((as_str){p, len}, &w) || !isfinite(w) || w < 0.0) break;
        t->class_weight[got] = (float)w;
        p = p[len] ? p + len + 1 : NULL;
        if (!p && got + 1 == k) return AS_OK;
    }
    (void)as_fail(err, AS_USAGE, "--class-weights \"%s\": needs %" PRId64 " numbers of 0 or more, one for each label, or \"balanced\"", how, k);
    as_hint(err, "The labels in order are as the checkpoint's id2label; see assay info.");
    return AS_USAGE;
}

static as_label_kind kind_of(const as_config *c) {
    if (c->problem == AS_PROBLEM_MULTI) return AS_LABEL_MULTI;
    return c->problem == AS_PROBLEM_REGRESSION || c->num_labels == 1 ? AS_LABEL_VALUE : AS_LABEL_CLASS;
}

/* Does the checkpoint's trained head fit these labels? Names must agree, but for those that transformers made up. */
static bool same_head(const as_config *c, as_label_kind trained, const as_records *r) {
    if (r->kind != trained) return false;
    if (trained == AS_LABEL_VALUE) return true;
    if (r->labels.count != c->num_labels) return false;
    for (int i = 0; i < c->num_labels; i++)
        if (strncmp(c->labels[i], "LABEL_", 6) != 0 && strcmp(c->labels[i], r->labels.names[i]) != 0) return false;
    return true;
}

/* The same names, each once, in whatever order. */
static bool same_names(const as_config *c, as_label_kind trained, const as_records *r) {
    if (r->kind != trained || trained == AS_LABEL_VALUE || r->labels.count != c->num_labels) return false;
    for (int i = 0; i < c->num_labels; i++) {
        int found = 0;
        for (int k = 0; k < c->num_labels; k++) found += strcmp(c->labels[i], r->labels.names[k]) == 0;
        if (found != 1) return false;
    }
    return true;
}

as_status as_head_fits(as_fit *fit, const char *dir, const as_records *r, as_err *err) {
    as_config config;
    bool has = false;
    *fit = AS_FIT_NONE;
    AS_TRY(as_config_read(&config, dir, err));
    const as_status s = as_model_has_classifier(&has, dir, err);
    const as_label_kind trained = kind_of(&config);
    if (s == AS_OK && has) *fit = same_head(&config, trained, r) ? AS_FIT_AS_IS : same_names(&config, trained, r) ? AS_FIT_BY_NAME : AS_FIT_NONE;
    as_config_free(&config);
    return s;
}

/* Labels: the option's, else those of a checkpoint that has a trained head of this kind, else the data's own. */
static as_status open_records(as_tuning *t, const as_finetune_job *f, as_err *err) {
    as_data_cols cols = *f->cols;
    cols.label_required = true;
    bool has_head = false;
    as_config config;
    AS_TRY(as_config_read(&config, f->job.model, err));
    as_status s = f->scratch ? AS_OK : as_model_has_classifier(&has_head, f->job.model, err);
    const as_label_kind trained = kind_of(&config);
    if (s == AS_OK && cols.kind == AS_LABEL_NONE && has_head) cols.kind = trained;
    const as_labels known = {.names = config.labels, .count = config.num_labels};
    const bool use = has_head && config.labels_given && cols.kind == trained && cols.kind != AS_LABEL_VALUE && !cols.labels;
    as_err differs = {0};
    if (s == AS_OK) s = as_records_open(&t->records, f->train, &cols, use ? &known : NULL, use ? &differs : err);
    if (use && s == AS_FORMAT) { /* a task of its own: with its labels, the checkpoint's head does not serve */
        s = as_records_open(&t->records, f->train, &cols, NULL, err);
    } else if (use && s != AS_OK && err) {
        *err = differs;
    }
    t->new_head = s == AS_OK && has_head && !same_head(&config, trained, &t->records);
    if (t->new_head) as_log_line(f->job.log, AS_WARN, "%s: its head is for other labels: a new one is trained", f->job.model);
    as_config_free(&config);
    if (s == AS_OK && t->records.kind == AS_LABEL_CLASS && t->records.labels.count < 2) {
        s = as_fail(err, AS_FORMAT, "%s: all records have the same label", f->train);
        as_hint(err, "Training needs at least two labels; for numbers, use --kind regress.");
    }
    return s;
}

as_status as_tuning_open_model(as_tuning *t, const as_finetune_job *f, as_err *err) {
    static char value_name[] = "value"; /* what a regression head's one output is called */
    char *value_label[] = {value_name};
    const bool value = t->records.kind == AS_LABEL_VALUE;
    const as_model_opts o = {.head = AS_HEAD_CLASSIFY, .train = true, .labels = value ? value_label : t->records.labels.names,
                             .num_labels = value ? 1 : t->records.labels.count, .fresh = f->scratch, .new_head = t->new_head, .seed = f->recipe.seed,
                             .problem = value ? AS_PROBLEM_REGRESSION : t->records.kind == AS_LABEL_MULTI ? AS_PROBLEM_MULTI : AS_PROBLEM_SINGLE};
    return as_session_open(&t->ses, &f->job, o, err);
}

as_status as_tuning_open(as_tuning *t, const as_finetune_job *f, as_err *err) {
    memset(t, 0, sizeof *t);
    AS_TRY(open_records(t, f, err));
    AS_TRY(as_tuning_open_model(t, f, err));
    AS_TRY(as_session_encode(&t->ses, &f->job, &t->records, &t->encoded, err));
    return as_tuning_targets(t, err);
}

as_status as_tuning_train(as_tuning *t, const as_finetune_job *f, const int64_t *index, int64_t n, as_trainer *tr, as_trained *out, as_err *err) {
    as_free(t->class_weight);
    t->class_weight = NULL;
    AS_TRY(make_class_weights(t, f->recipe.class_weights, index, n, err));
    const as_supervised s = {.model = t->ses.model, .data = &t->encoded, .index = index, .n = n, .label_smoothing = f->recipe.label_smoothing,
                             .targets = {.label = t->label, .sets = t->sets, .value = t->value, .class_weight = t->class_weight}};
    const as_objective o = as_supervised_objective(&s);
    tr->model = t->ses.model, tr->recipe = &f->recipe, tr->objective = &o, tr->stop = as_interrupted, tr->comm = f->job.comm;
    return as_train(tr, out, err);
}

/* --- the command --- */
typedef struct finetuning {
    const as_finetune_job *f;
    as_tuning t;
    as_records dev_records;   /* of --dev */
    as_encoded dev_encoded;
    as_scored dev;
    as_index train, dev_index; /* into t.records; dev_index when split off */
    as_store *store;
    as_run run;
    char identity[65];
    char *state_dir;
    as_eval_result last;      /* the newest evaluation */
    as_finetune_result *out;
    as_progress progress;
} finetuning;

static as_status open_dev(finetuning *w, as_err *err) {
    const as_finetune_job *f = w->f;
    as_data_cols cols = *f->cols;
    cols.label_required = true, cols.kind = w->t.records.kind, cols.labels = NULL;
    const bool value = w->t.records.kind == AS_LABEL_VALUE;
    const as_records *r = &w->t.records;
    if (f->dev) {
        AS_TRY(as_records_open(&w->dev_records, f->dev, &cols, value ? NULL : &w->t.records.labels, err));
        AS_TRY(as_session_encode(&w->t.ses, &f->job, &w->dev_records, &w->dev_encoded, err));
        r = &w->dev_records;
    } else if (f->dev_fraction > 0.0) {
        AS_TRY(as_split_dev(&w->train, &w->dev_index, r, f->dev_fraction, f->recipe.seed, err));
    }
    if (!w->train.v) {
        w->train = (as_index){.v = as_alloc((size_t)w->t.records.n, sizeof(int64_t)), .n = w->t.records.n};
        if (!w->train.v) return as_fail_nomem(err, "an index", 0);
        for (int64_t i = 0; i < w->train.n; i++) w->train.v[i] = i;
    }
    const as_session *ses = &w->t.ses;
    return as_scored_init(&w->dev, r, f->dev ? &w->dev_encoded : &w->t.encoded, w->t.records.kind, as_model_labels(ses->model), as_model_num_labels(ses->model), err);
}
static bool has_dev(const finetuning *w) { return w->f->dev || w->dev_index.n > 0; }

/* What picks the checkpoint: of the metrics only this one changes the result. */
static as_status selects_by(const finetuning *w, char *out, size_t size, as_err *err) {
    char **names;
    size_t n;
    const as_label_kind kind = w->t.records.kind;
    const char *list = w->f->recipe.select ? w->f->recipe.select : w->f->job.metrics;
    if (!list) list = as_metric_defaults(kind == AS_LABEL_VALUE ? AS_PRED_VALUE : kind == AS_LABEL_MULTI ? AS_PRED_MULTILABEL : AS_PRED_CLASS, w->t.records.labels.count);
    AS_TRY(as_metric_list_split(list, &names, &n, err));
    snprintf(out, size, "%s", n ? names[0] : "");
    as_metric_list_free(names, n);
    return AS_OK;
}

static as_status identify(finetuning *w, as_buf *config, as_err *err) {
    char model[65], train[65], dev[65] = "";
    const as_recipe *r = &w->f->recipe;
    AS_TRY(as_model_digest(w->t.ses.model, model, err));
    AS_TRY(as_content_digest(train, &w->t.records, &w->t.encoded, err));
    if (w->f->dev) AS_TRY(as_content_digest(dev, &w->dev_records, &w->dev_encoded, err));
    as_buf_fmt(config, "{\"command\":\"finetune\",\"model_sha256\":\"%s\",\"train_sha256\":\"%s\",\"dev_sha256\":\"%s\",\"dev_fraction\":%.17g", model, train, dev,
               w->f->dev ? 0.0 : w->f->dev_fraction);
    as_buf_fmt(config, ",\"dtype\":\"%s\",\"isa\":\"%s\",\"max_length\":%" PRId64 ",\"scratch\":%s", w->f->job.dtype == AS_COMPUTE_BF16 ? "bf16" : "f32",
               as_isa_name(as_engine_isa(w->t.ses.engine)), w->t.ses.max_length, w->f->scratch ? "true" : "false");
    as_buf_fmt(config, ",\"epochs\":%.17g,\"steps\":%" PRId64 ",\"batch_size\":%" PRId64 ",\"accumulate\":%" PRId64 ",\"grad_shards\":%d", r->epochs, r->steps,
               r->batch_size, r->accumulate, as_train_shards(r, w->t.ses.model));
    as_buf_fmt(config, ",\"lr\":%.17g,\"schedule\":\"%s\",\"warmup\":%.17g,\"weight_decay\":%.17g,\"beta1\":%.17g,\"beta2\":%.17g,\"eps\":%.17g,\"clip\":%.17g", r->lr,
               as_schedule_name(r->schedule), r->warmup, r->weight_decay, r->beta1, r->beta2, r->eps, r->clip);
    as_buf_fmt(config, ",\"dropout\":%.17g,\"layer_decay\":%.17g,\"label_smoothing\":%.17g,\"eval_every\":%" PRId64 ",\"patience\":%" PRId64 ",\"seed\":%" PRIu64, r->dropout,
               r->layer_decay, r->label_smoothing, r->eval_every, r->patience, r->seed);
    char select[128];
    AS_TRY(selects_by(w, select, sizeof select, err));
    const char *const texts[][2] = {{"class_weights", r->class_weights}, {"freeze", r->freeze}, {"select", select}};
    for (size_t i = 0; i < AS_COUNT(texts); i++) {
        as_buf_fmt(config, ",\"%s\":", texts[i][0]);
        if (texts[i][1]) as_buf_json_str(config, as_str_of(texts[i][1]));
        else as_buf_str(config, "null");
    }
    if (config->failed) return as_fail_nomem(err, "a run's record", 0);
    memcpy(w->identity, as_sha256_of(config->p, config->n).hex, 65);
    AS_TRY(as_session_provenance(config, &w->t.ses, &w->f->job, err));
    as_buf_char(config, '}');
    return config->failed ? as_fail_nomem(err, "a run's record", 0) : AS_OK;
}

/* --- prediction of cost --- */
/* Forward once, backward twice. */
static void plan(finetuning *w) {
    const as_config *c = as_model_config(w->t.ses.model);
    as_plan *p = &w->out->plan;
    p->train_items = w->train.n, p->dev_items = w->f->dev ? w->dev_records.n : w->dev_index.n;
    for (int64_t i = 0; i < w->train.n; i++) p->tokens_epoch += w->t.encoded.offset[w->train.v[i] + 1] - w->t.encoded.offset[w->train.v[i]];
    p->steps = as_train_total_steps(&w->f->recipe, w->train.n);
    p->parameters = as_model_parameters(w->t.ses.model);
    for (size_t i = 0; i < as_model_param_count(w->t.ses.model); i++) {
        const as_param *q = as_model_param(w->t.ses.model, i);
        if (q->trainable) p->trainable += q->rows * q->cols;
    }
    const double per_step = (double)(w->f->recipe.batch_size * w->f->recipe.accumulate), epochs = (double)p->steps * per_step / (double)w->train.n;
    const double token_flops = as_session_token_flops(&w->t.ses), rate = as_session_rate(&w->t.ses) * as_comm_size(w->f->job.comm);
    const double update = (double)p->parameters * 28.0 / 8e9; /* the optimiser's traffic a step at about 8 GB/s */
    /* a third more than the products alone: attention, norms, activations, loss */
    p->seconds = 1.33 * 3.0 * token_flops * (double)p->tokens_epoch * epochs / rate + (double)p->steps * update;
    p->item_seconds = 1.33 * token_flops * (double)p->tokens_epoch / (double)w->train.n / rate;
    const int64_t batch_tokens = (int64_t)(per_step / (double)w->f->recipe.accumulate * (double)p->tokens_epoch / (double)w->train.n) + w->t.encoded.max_len;
    const uint64_t activations = (uint64_t)batch_tokens * (uint64_t)c->layers * (uint64_t)(18 * c->hidden + 4 * c->inter) * sizeof(float);
    const int ranks = as_comm_size(w->f->job.comm), shards = (as_train_shards(&w->f->recipe, w->t.ses.model) + ranks - 1) / ranks;
    p->bytes = as_peak_memory() + as_optimizer_bytes(w->t.ses.model, shards) + activations;
}

static as_status check_memory(const finetuning *w, as_err *err) {
    const uint64_t need = w->out->plan.bytes - as_peak_memory(), have = as_mem_available() / (uint64_t)as_comm_local_size(w->f->job.comm);
    if (need <= have) return AS_OK;
    (void)as_fail(err, AS_NOMEM, "%s: training needs about %" PRIu64 " MB more memory, %" PRIu64 " MB are free", w->f->job.model, need >> 20, have >> 20);
    as_hint(err, "Use a smaller --batch-size with --accumulate, or a shorter --max-length.");
    return AS_NOMEM;
}

/* --- callbacks of the loop --- */
static as_status score_dev(finetuning *w, as_eval_result *r, as_err *err) {
    memset(r, 0, sizeof *r);
    as_job aside = w->f->job;
    aside.aside = true;
    const as_job *j = &aside;
    const int64_t n = w->f->dev ? w->dev_records.n : w->dev_index.n;
    const int64_t *index = w->f->dev ? NULL : w->dev_index.v;
    const double t = as_clock();
    AS_TRY(as_evaluate_items(&w->t.ses, j, &w->dev, index, n, NULL, 0, "evaluate", err));
    as_scored_part part = {0};
    as_status s = index ? as_scored_part_open(&part, &w->dev, index, n, err) : AS_OK;
    if (s == AS_OK) s = as_evaluate_describe(&w->t.ses, j, w->f->dev ? w->f->dev : w->f->train, r, err);
    if (s == AS_OK) s = as_scored_metrics(index ? &part.s : &w->dev, j, as_engine_threads(w->t.ses.engine), r, err);
    r->seconds = as_clock() - t, r->head_fresh = false, r->truncated = w->dev.encoded->truncated_count;
    if (index && s == AS_OK) as_scored_part_free(&part);
    return s;
}

/* Mean loss on the dev items, as in training: cross-entropy, sigmoid cross-entropy, or squared error. */
static double dev_loss(const finetuning *w) {
    const as_scored *d = &w->dev;
    const int64_t n = w->f->dev ? w->dev_records.n : w->dev_index.n, k = d->num_labels;
    double sum = 0.0;
    for (int64_t i = 0; i < n; i++) {
        const int64_t at = w->f->dev ? i : w->dev_index.v[i];
        const as_record *r = &d->records->v[at];
        const float *x = d->logits + at * k;
        if (d->kind == AS_LABEL_CLASS) sum -= log(d->probs[at * k + r->label]);
        if (d->kind == AS_LABEL_VALUE) sum += ((double)x[0] - r->value) * ((double)x[0] - r->value);
        for (int64_t j = 0; d->kind == AS_LABEL_MULTI && j < k; j++)
            sum += fmax((double)x[j], 0.0) - (r->set && r->set[j] ? (double)x[j] : 0.0) + log1p(exp(-fabs((double)x[j])));
    }
    return sum / (double)n;
}

static const as_result_metric *find_metric(const as_eval_result *r, const char *name) {
    for (size_t i = 0; i < r->metric_count; i++) {
        const size_t n = strlen(name);
        const char *have = r->metrics[i].name;
        /* "f1" stands for "f1(binary)" when that is what is computed */
        if (strncmp(have, name, n) == 0 && (have[n] == '\0' || have[n] == '(')) return &r->metrics[i];
    }
    return NULL;
}

/* The number that selects: the metric named, else the first; turned so that more is better. */
static double selection(const finetuning *w, const as_eval_result *r) {
    const char *name = w->f->recipe.select;
    if (name && strcmp(name, "last") == 0) return 0.0;
    if (name && strcmp(name, "loss") == 0) return -dev_loss(w);
    const as_result_metric *m = name ? find_metric(r, name) : &r->metrics[0];
    if (!m || isnan(m->value)) return -INFINITY;
    return m->higher_is_better ? m->value : -m->value;
}

static as_status validate(void *ctx, int64_t step, double epoch, double train_loss, double *score, as_err *err) {
    finetuning *w = ctx;
    as_progress_clear(&w->progress);
    as_eval_result_free(&w->last);
    AS_TRY(score_dev(w, &w->last, err));
    *score = selection(w, &w->last);
    as_buf line = {0};
    as_buf_fmt(&line, "{\"kind\":\"evaluation\",\"step\":%" PRId64 ",\"epoch\":%.6g,\"train_loss\":", step, epoch);
    as_buf_real(&line, train_loss);
    for (size_t i = 0; i < w->last.metric_count; i++) {
        as_buf_char(&line, ',');
        as_buf_json_str(&line, as_str_of(w->last.metrics[i].name));
        as_buf_char(&line, ':');
        as_buf_real(&line, w->last.metrics[i].value);
    }
    as_buf_char(&line, '}');
    as_status s = line.failed ? as_fail_nomem(err, "a log line", 0) : AS_OK;
    if (s == AS_OK && w->store) s = as_store_log_put(w->store, w->run.id, step, line.p, err);
    as_buf_free(&line);
    const as_result_metric *m = &w->last.metrics[0];
    as_log_line(w->f->job.log, AS_INFO, "epoch %.2f, step %" PRId64 ": train loss %.4f, %s %.4f [%.4f, %.4f] on %" PRId64 " dev items", epoch, step, train_loss,
                m->name, m->value, m->low, m->high, m->n);
    return s;
}

static as_status log_step(void *ctx, const as_train_step *s, as_err *err) {
    finetuning *w = ctx;
    w->out->steps = s->step;
    if (!w->store) return AS_OK;
    char line[320];
    snprintf(line, sizeof line, "{\"kind\":\"step\",\"step\":%" PRId64 ",\"epoch\":%.6g,\"loss\":%.9g,\"lr\":%.9g,\"norm\":%.9g,\"tokens\":%" PRId64 "}", s->step,
             s->epoch, s->loss, s->lr, s->norm, s->tokens);
    return as_store_log_put(w->store, w->run.id, s->step, line, err);
}
static as_status at_checkpoint(void *ctx, int64_t step, bool resumed, as_err *err) {
    finetuning *w = ctx;
    if (!w->store) return AS_OK;
    if (resumed) AS_TRY(as_store_logs_cut(w->store, w->run.id, step, err));
    return as_store_flush(w->store, err);
}

/* --- the output folder --- */
/* "assay.json" says whose the folder is, from the first step on, and whether the result in it is whole. */
static as_status mark(const finetuning *w, const as_trained *done, const as_run_cost *cost, as_err *err) {
    if (!as_comm_leads(w->f->job.comm)) return AS_OK;
    char *path = as_path_join(w->f->out, "assay.json");
    as_buf b = {0};
    as_buf_fmt(&b, "{\n  \"identity\": \"%s\",\n  \"finished\": %s", w->identity, done ? "true" : "false");
    if (done) as_buf_fmt(&b, ",\n  \"steps\": %" PRId64 ",\n  \"best_step\": %" PRId64 ",\n  \"cost\": ", done->steps, done->best_step);
    as_status s = done ? as_run_cost_json(&b, cost, err) : AS_OK;
    as_buf_fmt(&b, ",\n  \"version\": \"%s\"\n}\n", w->f->job.version);
    if (s == AS_OK) s = path && !b.failed ? as_dir_make(w->f->out, err) : as_fail_nomem(err, "a path", 0);
    if (s == AS_OK) s = as_file_write(path, b.p, b.n, err);
    as_free(path);
    as_buf_free(&b);
    return s;
}

static as_status read_mark(const finetuning *w, const char *path, bool *finished, as_err *err) {
    as_json *doc;
    AS_TRY(as_json_read(&doc, path, err));
    const bool ours = as_str_is(as_json_str(as_json_get(doc, "identity"), AS_LIT("")), w->identity);
    *finished = ours && as_json_bool(as_json_get(doc, "finished"), false);
    as_json_free(doc);
    if (ours || w->f->job.again) return AS_OK;
    (void)as_fail(err, AS_USAGE, "%s: holds the result of another run", w->f->out);
    as_hint(err, "Choose another --out, or give --again to replace it.");
    return AS_USAGE;
}

static as_status check_out(const finetuning *w, bool *finished, as_err *err) {
    *finished = false;
    char *path = as_path_join(w->f->out, "assay.json"), *config = as_path_join(w->f->out, "config.json");
    as_status s = path && config ? AS_OK : as_fail_nomem(err, "a path", 0);
    if (s == AS_OK && as_file_exists(path)) {
        s = read_mark(w, path, finished, err);
    } else if (s == AS_OK && as_file_exists(config) && !w->f->job.again) {
        s = as_fail(err, AS_USAGE, "%s: already holds a checkpoint", w->f->out);
        as_hint(err, "Choose another --out, or give --again to replace it.");
    }
    if (w->f->job.again) *finished = false;
    as_free(path), as_free(config);
    return s;
}

static as_status begin_run(finetuning *w, const char *config, as_err *err) {
    if (!w->f->job.db || !as_comm_leads(w->f->job.comm)) return AS_OK;
    AS_TRY(as_store_open(&w->store, w->f->job.db, err));
    const as_job *j = &w->f->job;
    char *model = j->model_name ? as_strdup(j->model_name) : as_display_name(j->model);
    char *task = j->task_name ? as_strdup(j->task_name) : as_display_name(w->f->train);
    const as_run_key k = {.command = "finetune", .key = w->identity, .config_json = config, .model = model ? model : "", .task = task ? task : "",
                          .dtype = w->f->job.dtype == AS_COMPUTE_BF16 ? "bf16" : "f32", .isa = as_isa_name(as_engine_isa(w->t.ses.engine))};
    const as_status s = as_store_run_begin(w->store, &k, w->f->job.again, &w->run, err);
    as_free(model), as_free(task);
    w->out->run = w->run.id;
    return s;
}

static as_status end_run(finetuning *w, const as_run_cost *cost, as_err *err) {
    if (!w->store) return AS_OK;
    AS_TRY(as_evaluate_store(&w->out->dev, w->store, w->run.id, err));
    as_buf json = {0};
    as_status s = as_run_cost_json(&json, cost, err);
    if (s == AS_OK) s = as_store_run_end(w->store, w->run.id, AS_RUN_DONE, json.p, err);
    as_buf_free(&json);
    return s;
}

static as_status train(finetuning *w, as_err *err) {
    as_trainer tr = {.state_dir = w->state_dir, .identity = w->identity, .validate = has_dev(w) ? validate : NULL,
                     .log = log_step, .checkpoint = at_checkpoint, .ctx = w, .progress = &w->progress};
    as_trained done;
    AS_TRY(as_comm_agree(w->f->job.comm, mark(w, NULL, NULL, err), err));
    as_progress_begin(&w->progress, w->f->job.progress_fd, w->f->job.progress_fd < 0, w->f->job.doing ? w->f->job.doing : "fine-tune", w->out->plan.steps);
    w->progress.whole = w->f->job.whole, w->progress.unit = "steps";
    const as_status s = as_tuning_train(&w->t, w->f, w->train.v, w->train.n, &tr, &done, err);
    as_progress_end(&w->progress);
    if (s != AS_OK) {
        as_err unseen; /* the first error is the one to tell */
        if (w->store && as_store_flush(w->store, &unseen) != AS_OK) return s;
        return s;
    }
    as_finetune_result *o = w->out;
    o->steps = done.steps, o->best_step = done.best_step, o->train_loss = done.loss, o->seconds = done.seconds, o->resumed = done.resumed;
    o->stopped_early = done.stopped_early, o->grad_shards = as_train_shards(&w->f->recipe, w->t.ses.model);
    if (has_dev(w)) AS_TRY(score_dev(w, &o->dev, err));
    if (!as_comm_leads(w->f->job.comm)) return AS_OK;
    AS_TRY(as_model_save(w->t.ses.model, w->f->out, err));
    AS_TRY(as_tokenizer_copy(w->t.ses.tok, w->f->out, err));
    o->peak_bytes = as_peak_memory();
    const as_run_cost cost = {.seconds = o->seconds, .peak_bytes = o->peak_bytes};
    AS_TRY(mark(w, &done, &cost, err));
    as_dir_remove(w->state_dir); /* of no use once the result is there */
    return end_run(w, &cost, err);
}

/* The folder is whole, but this store did not know: the run is noted with what the folder says that it cost. */
static as_status end_repeated(finetuning *w, as_err *err) {
    if (!w->store || w->run.state == AS_RUN_DONE) return AS_OK;
    char *path = as_path_join(w->f->out, "assay.json");
    as_json *doc = NULL;
    as_buf text = {0};
    as_status s = path ? as_json_read(&doc, path, err) : as_fail_nomem(err, "a path", 0);
    const as_json *cost = s == AS_OK ? as_json_get(doc, "cost") : NULL;
    if (cost) as_json_dump(&text, cost, 0);
    const as_run_cost known = as_run_cost_parse(text.p);
    if (s == AS_OK) s = end_run(w, &known, err);
    as_free(path);
    as_json_free(doc);
    as_buf_free(&text);
    return s;
}

/* The same command again: what it made is there; score the kept checkpoint's dev set again for the printout. */
static as_status repeat(finetuning *w, as_err *err) {
    w->out->from_store = true;
    if (!has_dev(w)) return end_repeated(w, err);
    as_finetune_job f = *w->f;
    f.job.model = w->f->out, f.scratch = false;
    as_session_close(&w->t.ses);
    AS_TRY(as_comm_agree(f.job.comm, as_tuning_open_model(&w->t, &f, err), err));
    w->dev.labels = as_model_labels(w->t.ses.model);
    AS_TRY(score_dev(w, &w->out->dev, err));
    return end_repeated(w, err);
}

/* --select must name something that will be computed: asked before the work, on predictions of zero. */
static as_status check_select(finetuning *w, as_err *err) {
    const char *name = w->f->recipe.select;
    if (!name || strcmp(name, "last") == 0 || (strcmp(name, "loss") == 0 && has_dev(w))) return AS_OK;
    if (!has_dev(w)) return as_fail(err, AS_USAGE, "--select %s needs a dev set", name);
    as_eval_result r = {0};
    as_scored zero;
    AS_TRY(as_scored_init(&zero, w->dev.records, w->dev.encoded, w->dev.kind, w->dev.labels, w->dev.num_labels, err));
    for (int64_t i = 0; i < zero.records->n; i++) as_scored_predict(&zero, i);
    as_status s = as_scored_metrics(&zero, &w->f->job, as_engine_threads(w->t.ses.engine), &r, err);
    if (s == AS_OK && !find_metric(&r, name)) {
        as_buf names = {0};
        for (size_t i = 0; i < r.metric_count; i++) as_buf_fmt(&names, "%s, ", r.metrics[i].name);
        s = as_fail(err, AS_USAGE, "--select %s: no such metric is computed", name);
        as_hint(err, "Choose from %sloss, last; or add the metric with --metric.", names.p ? names.p : "");
        as_buf_free(&names);
    }
    as_scored_free(&zero);
    as_eval_result_free(&r);
    return s;
}

/* More processes than shards is told before anything is written. */
static as_status check_ranks(const finetuning *w, as_err *err) {
    as_shares s;
    return as_shares_init(&s, w->f->job.comm, as_train_shards(&w->f->recipe, w->t.ses.model), err);
}

static as_status open_all(finetuning *w, as_err *err) {
    AS_TRY(as_tuning_open(&w->t, w->f, err));
    AS_TRY(open_dev(w, err));
    AS_TRY(check_select(w, err));
    AS_TRY(check_ranks(w, err));
    plan(w);
    return w->f->job.dry_run ? AS_OK : check_memory(w, err);
}

static as_status begin(finetuning *w, bool *finished, as_err *err) {
    as_buf config = {0};
    as_status s = identify(w, &config, err);
    if (s == AS_OK && as_comm_leads(w->f->job.comm)) s = check_out(w, finished, err);
    if (s == AS_OK) s = begin_run(w, config.p, err);
    as_buf_free(&config);
    AS_TRY(s);
    if (!(w->state_dir = as_path_join(w->f->out, "training"))) return as_fail_nomem(err, "a path", 0);
    if (w->f->job.again && as_comm_leads(w->f->job.comm)) as_dir_remove(w->state_dir);
    return AS_OK;
}

static as_status finetune(finetuning *w, as_err *err) {
    bool finished = false;
    as_comm *comm = w->f->job.comm;
    AS_TRY(as_comm_agree(comm, open_all(w, err), err));
    if (w->f->job.dry_run) return AS_OK;
    AS_TRY(as_comm_agree(comm, begin(w, &finished, err), err));
    as_comm_broadcast(comm, &finished, sizeof finished);
    return finished ? repeat(w, err) : train(w, err);
}

as_status as_run_finetune(const as_finetune_job *f, as_finetune_result *out, as_err *err) {
    memset(out, 0, sizeof *out);
    finetuning w = {.f = f, .out = out};
    const as_status s = as_comm_agree(f->job.comm, finetune(&w, err), err);
    as_store_close(w.store);
    as_eval_result_free(&w.last);
    as_scored_free(&w.dev);
    as_encoded_free(&w.dev_encoded);
    as_records_free(&w.dev_records);
    as_index_free(&w.train), as_index_free(&w.dev_index);
    as_tuning_close(&w.t);
    as_free(w.state_dir);
    if (s != AS_OK) as_finetune_result_free(out);
    return s;
}
