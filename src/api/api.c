/* api.c: include/assay.h over the folders below it. An assay_model is opened for training, so that it can do everything; an
 * assay_data is a table whose labels are read when a model says what they should be. */
#include "api/api_impl.h"
#include "base/mem.h"
#include "base/utf8.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

struct assay_data {
    char *path, *text, *pair, *label, *labels;
    assay_data_opts opts;    /* numbers and flags; strings are the copies above */
    char separator;
};

const char *assay_version(void) { return AS_VERSION; }

/* --- models --- */
assay_model_opts assay_model_defaults(void) { return (assay_model_opts){.head = ASSAY_AS_STORED, .num_labels = 2, .seed = 1}; }

static void write_log(void *ctx, as_level level, const char *line) {
    const assay_model *m = ctx;
    if (m->write && level <= AS_WARN) m->write(m->write_ctx, line);
}

static as_status read_opts(assay_model *m, const char *dir, const assay_model_opts *o, as_err *err) {
    m->job = as_job_defaults();
    m->job.model = dir, m->job.threads = o->threads, m->job.max_length = o->max_length, m->job.seed = o->seed, m->job.log = &m->log;
    if (o->isa && !as_isa_parse(o->isa, &m->job.isa)) return as_fail(err, AS_USAGE, "unknown ISA level \"%s\"", o->isa);
    if (o->dtype && strcmp(o->dtype, "bf16") == 0) m->job.dtype = AS_COMPUTE_BF16;
    else if (o->dtype && strcmp(o->dtype, "f32") != 0) return as_fail(err, AS_USAGE, "unknown dtype \"%s\"", o->dtype);
    if ((int)o->head < ASSAY_AS_STORED || o->head > ASSAY_REGRESS) return as_fail(err, AS_USAGE, "unknown head %d", (int)o->head);
    if (o->head != ASSAY_AS_STORED && o->head != ASSAY_REGRESS && (o->num_labels < 1 || o->num_labels > 1 << 20))
        return as_fail(err, AS_USAGE, "num_labels is not between 1 and 1048576");
    return AS_OK;
}

/* LABEL_0, LABEL_1, ... as transformers names them. */
static char **generic_labels(int n) {
    char **names = as_calloc((size_t)n, sizeof *names);
    for (int i = 0; names && i < n; i++) {
        char text[32];
        snprintf(text, sizeof text, "LABEL_%d", i);
        names[i] = as_strdup(text);
    }
    return names;
}

assay_status assay_model_open(assay_model **out, const char *dir, const assay_model_opts *opts, assay_err *err) {
    const assay_model_opts o = opts ? *opts : assay_model_defaults();
    *out = NULL;
    assay_model *m = as_calloc(1, sizeof *m);
    if (!m) return as_fail_nomem(err, "a model", sizeof *m);
    m->write = o.log, m->write_ctx = o.log_ctx;
    m->log = (as_log){.write = write_log, .ctx = m};
    as_status s = read_opts(m, dir, &o, err);
    as_model_opts mo = {.head = AS_HEAD_CLASSIFY, .train = true, .seed = o.seed};
    static const as_problem problems[] = {AS_PROBLEM_UNSET, AS_PROBLEM_SINGLE, AS_PROBLEM_MULTI, AS_PROBLEM_REGRESSION};
    char **names = NULL;
    if (s == AS_OK && o.head != ASSAY_AS_STORED) {
        mo.problem = problems[o.head];
        mo.num_labels = o.head == ASSAY_REGRESS ? 1 : o.num_labels;
        if (!(names = generic_labels(mo.num_labels))) s = as_fail_nomem(err, "labels", 0);
        mo.labels = names;
    }
    if (s == AS_OK) s = as_session_open(&m->ses, &m->job, mo, err);
    for (int i = 0; names && i < mo.num_labels; i++) as_free(names[i]);
    as_free(names);
    if (s != AS_OK) {
        as_free(m);
        return s;
    }
    m->job.model = as_model_dir(m->ses.model); /* dir is borrowed for this call only */
    m->named = o.head == ASSAY_AS_STORED && as_model_config(m->ses.model)->labels_given;
    *out = m;
    return AS_OK;
}
void assay_model_free(assay_model *m) {
    if (!m) return;
    as_api_loop_close(m);
    as_session_close(&m->ses);
    as_free(m);
}
assay_status assay_model_save(const assay_model *m, const char *dir, assay_err *err) {
    as_api_settle(m);
    AS_TRY(as_model_save(m->ses.model, dir, err));
    return as_tokenizer_copy(m->ses.tok, dir, err);
}
int assay_model_num_labels(const assay_model *m) { return as_model_num_labels(m->ses.model); }
const char *assay_model_label(const assay_model *m, int id) {
    return id >= 0 && id < as_model_num_labels(m->ses.model) ? as_model_labels(m->ses.model)[id] : NULL;
}

/* --- data --- */
assay_data_opts assay_data_defaults(void) { return (assay_data_opts){0}; }

static bool copy_text(char **out, const char *s) { return !s || (*out = as_strdup(s)); }

static as_data_cols columns(const assay_data *d, as_label_kind kind) {
    return (as_data_cols){.table = {.sep = d->separator, .no_header = d->opts.no_header != 0, .no_quotes = d->opts.no_quotes != 0},
                          .text = d->text, .pair = d->pair, .label = d->label, .labels = d->labels, .kind = kind, .limit = d->opts.limit};
}

assay_status assay_data_open(assay_data **out, const char *path, const assay_data_opts *opts, assay_err *err) {
    const assay_data_opts o = opts ? *opts : assay_data_defaults();
    *out = NULL;
    assay_data *d = as_calloc(1, sizeof *d);
    if (!d) return as_fail_nomem(err, "data", sizeof *d);
    d->opts = o, d->separator = o.separator ? o.separator[0] : '\0';
    as_status s = AS_OK;
    if (!copy_text(&d->path, path) || !copy_text(&d->text, o.text) || !copy_text(&d->pair, o.pair) || !copy_text(&d->label, o.label) || !copy_text(&d->labels, o.labels))
        s = as_fail_nomem(err, "data", 0);
    /* Read it once without labels: a bad table is told here, not in the middle of training. */
    as_records r = {0};
    as_data_cols c = columns(d, AS_LABEL_NONE);
    c.label_ignored = true, c.labels = NULL;
    if (s == AS_OK) s = as_records_open(&r, path, &c, NULL, err);
    if (s == AS_OK) as_records_free(&r);
    if (s == AS_OK)
        *out = d;
    else
        assay_data_free(d);
    return s;
}
void assay_data_free(assay_data *d) {
    if (!d) return;
    as_free(d->path), as_free(d->text), as_free(d->pair), as_free(d->label), as_free(d->labels);
    as_free(d);
}

as_status as_api_records(assay_model *m, const assay_data *d, as_records *r, as_err *err) {
    as_data_cols c = columns(d, as_session_kind(&m->ses));
    c.label_required = true;
    const as_labels known = as_session_labels(&m->ses);
    const bool value = c.kind == AS_LABEL_VALUE;
    AS_TRY(as_records_open(r, d->path, &c, m->named && !value ? &known : NULL, err));
    if (value) return AS_OK;
    as_status s = AS_OK;
    if (r->labels.count != known.count) {
        s = as_fail(err, AS_USAGE, "%s: the data has %d labels, the model's head has %d", d->path, r->labels.count, known.count);
        as_hint(err, "Set num_labels when the model is opened, or labels when the data are.");
    } else if (!m->named) {
        s = as_model_rename_labels(m->ses.model, r->labels.names, err);
        m->named = s == AS_OK;
    }
    if (s != AS_OK) as_records_free(r);
    return s;
}

/* --- training and evaluation --- */
assay_train_opts assay_train_defaults(void) {
    const as_recipe r = as_recipe_defaults();
    return (assay_train_opts){.epochs = r.epochs, .batch_size = r.batch_size, .lr = r.lr, .warmup = r.warmup, .weight_decay = r.weight_decay, .clip = r.clip,
                              .dropout = r.dropout, .seed = r.seed, .accumulate = r.accumulate};
}

/* Records and all that is made of them. */
typedef struct dataset { as_records records; as_encoded encoded; as_scored scored; } dataset;
static void dataset_close(dataset *d) {
    as_scored_free(&d->scored);
    as_encoded_free(&d->encoded);
    as_records_free(&d->records);
}
static as_status dataset_open(dataset *d, assay_model *m, const assay_data *data, as_err *err) {
    *d = (dataset){0};
    AS_TRY(as_api_records(m, data, &d->records, err));
    as_status s = as_session_encode(&m->ses, &m->job, &d->records, &d->encoded, err);
    if (s == AS_OK)
        s = as_scored_init(&d->scored, &d->records, &d->encoded, as_session_kind(&m->ses), as_model_labels(m->ses.model), as_model_num_labels(m->ses.model), err);
    if (s != AS_OK) dataset_close(d);
    return s;
}
static as_status score(assay_model *m, dataset *d, const char *metrics, as_eval_result *r, as_err *err) {
    memset(r, 0, sizeof *r);
    as_job j = m->job;
    as_api_settle(m);
    j.metrics = metrics;
    AS_TRY(as_evaluate_items(&m->ses, &j, &d->scored, NULL, 0, NULL, 0, "", err));
    return as_scored_metrics(&d->scored, &j, as_engine_threads(m->ses.engine), r, err);
}

typedef struct training { assay_model *m; dataset *dev; const assay_train_opts *o; int64_t total; bool stop; } training;
static as_status validate(void *ctx, int64_t step, double epoch, double train_loss, double *out, as_err *err) {
    (void)epoch;
    training *t = ctx;
    as_eval_result r;
    as_status s = score(t->m, t->dev, NULL, &r, err);
    if (s == AS_OK) {
        const as_result_metric *first = &r.metrics[0];
        *out = isnan(first->value) ? -INFINITY : first->higher_is_better ? first->value : -first->value;
        if (t->o->progress) t->stop = t->o->progress(t->o->progress_ctx, step, t->total, train_loss, first->value) != 0;
    }
    as_eval_result_free(&r);
    return s == AS_OK && t->stop ? as_fail(err, AS_INTERRUPTED, "stopped by the caller at step %lld", (long long)step) : s;
}

static as_status train(assay_model *m, as_tuning *t, dataset *dev, const assay_train_opts *o, as_err *err) {
    as_finetune_job f = {.job = m->job, .recipe = as_recipe_defaults()};
    as_recipe *r = &f.recipe;
    r->epochs = o->epochs, r->steps = o->steps, r->batch_size = o->batch_size, r->lr = o->lr, r->warmup = o->warmup, r->weight_decay = o->weight_decay;
    r->clip = o->clip, r->dropout = o->dropout, r->seed = o->seed, r->accumulate = o->accumulate, r->grad_shards = o->grad_shards;
    if (o->schedule) AS_TRY(as_schedule_parse(&r->schedule, o->schedule, err));
    if (r->batch_size < 1 || r->accumulate < 1 || (!(r->epochs > 0.0) && r->steps < 1) || !(r->lr > 0.0)) return as_fail(err, AS_USAGE, "epochs, batch_size, accumulate and lr must be above 0");
    int64_t *index = as_alloc((size_t)t->records.n, sizeof *index);
    if (!index) return as_fail_nomem(err, "an index", 0);
    for (int64_t i = 0; i < t->records.n; i++) index[i] = i;
    training job = {.m = m, .dev = dev, .o = o, .total = as_train_total_steps(r, t->records.n)};
    as_trainer tr = {.validate = dev ? validate : NULL, .ctx = &job};
    as_trained done;
    const as_status s = as_tuning_train(t, &f, index, t->records.n, &tr, &done, err);
    as_free(index);
    return s;
}

assay_status assay_train(assay_model *m, const assay_data *train_data, const assay_data *dev_data, const assay_train_opts *opts, assay_err *err) {
    const assay_train_opts o = opts ? *opts : assay_train_defaults();
    as_tuning t = {0};
    dataset dev = {0};
    if (m->optimizer) {
        (void)as_fail(err, AS_USAGE, "an optimizer is open on this model");
        as_hint(err, "assay_train has its own: call assay_optimizer_free first.");
        return AS_USAGE;
    }
    AS_TRY(as_api_records(m, train_data, &t.records, err));
    as_status s = as_session_encode(&m->ses, &m->job, &t.records, &t.encoded, err);
    if (s == AS_OK) s = as_tuning_targets(&t, err);
    if (s == AS_OK && dev_data) s = dataset_open(&dev, m, dev_data, err);
    t.ses = m->ses; /* lent */
    if (s == AS_OK) s = train(m, &t, dev_data ? &dev : NULL, &o, err);
    t.ses = (as_session){0};
    as_tuning_close(&t);
    dataset_close(&dev);
    return s;
}

assay_status assay_evaluate(assay_model *m, const assay_data *data, const char *metrics, assay_scores *out, assay_err *err) {
    *out = (assay_scores){0};
    dataset d;
    as_eval_result r = {0};
    AS_TRY(dataset_open(&d, m, data, err));
    as_status s = score(m, &d, metrics, &r, err);
    if (s == AS_OK && !(out->v = as_calloc(r.metric_count, sizeof *out->v))) s = as_fail_nomem(err, "scores", 0);
    for (size_t i = 0; s == AS_OK && i < r.metric_count; i++) {
        assay_score *v = &out->v[out->count++];
        snprintf(v->name, sizeof v->name, "%s", r.metrics[i].name);
        v->value = r.metrics[i].value, v->low = r.metrics[i].low, v->high = r.metrics[i].high;
    }
    as_eval_result_free(&r);
    dataset_close(&d);
    return s;
}
void assay_scores_free(assay_scores *s) {
    as_free(s->v);
    *s = (assay_scores){0};
}

static as_status check_texts(const char *const *texts, size_t count, as_err *err) {
    for (size_t i = 0; i < count; i++) {
        const as_str t = as_str_of(texts[i]);
        const size_t valid = as_utf8_valid_prefix(t.p, t.n);
        if (valid < t.n) return as_fail(err, AS_FORMAT, "text %zu: invalid UTF-8 at byte %zu", i + 1, valid + 1);
        if (t.n > UINT32_MAX) return as_fail(err, AS_FORMAT, "text %zu: longer than 4 GiB", i + 1);
    }
    return AS_OK;
}

assay_status assay_predict(assay_model *m, const char *const *texts, size_t count, double *out, assay_err *err) {
    if (count == 0) return AS_OK;
    AS_TRY(check_texts(texts, count, err));
    as_api_settle(m);
    char where[] = "the texts";
    as_records r = {.n = (int64_t)count, .v = as_calloc(count, sizeof *r.v), .path = where};
    as_encoded e = {0};
    as_scored sc = {0};
    as_status s = r.v ? AS_OK : as_fail_nomem(err, "texts", count * sizeof *r.v);
    for (size_t i = 0; s == AS_OK && i < count; i++) r.v[i] = (as_record){.text = as_str_of(texts[i]), .line = (int64_t)i + 1, .label = -1};
    const int k = as_model_num_labels(m->ses.model);
    if (s == AS_OK) s = as_session_encode(&m->ses, &m->job, &r, &e, err);
    if (s == AS_OK) s = as_scored_init(&sc, &r, &e, as_session_kind(&m->ses), as_model_labels(m->ses.model), k, err);
    if (s == AS_OK) s = as_evaluate_items(&m->ses, &m->job, &sc, NULL, 0, NULL, 0, "", err);
    if (s == AS_OK) memcpy(out, sc.probs ? sc.probs : sc.pred_value, count * (size_t)(sc.probs ? k : 1) * sizeof *out);
    as_scored_free(&sc);
    as_encoded_free(&e);
    as_free(r.v);
    return s;
}
