/* eval.c: `assay eval`: score every record, keep what is scored, go on where a killed command was. */
#include "base/file.h"
#include "base/hash.h"
#include "base/mem.h"
#include "run/analyses.h"
#include "run/eval_impl.h"
#include "run/slices.h"
#include "run/until.h"
#include <inttypes.h>
#include <string.h>

/* The readable identity of the command, and its digest. */
static as_status identify(as_evaluation *v, as_buf *config, char key[65], as_err *err) {
    char model[65], content[65];
    AS_TRY(as_model_digest(v->ses.model, model, err));
    AS_TRY(as_content_digest(content, &v->records, &v->encoded, err));
    as_buf_fmt(config, "{\"command\":\"eval\",\"model_sha256\":\"%s\",\"data_sha256\":\"%s\",\"max_length\":%" PRId64 ",\"seed\":%" PRIu64, model, content,
               v->ses.max_length, as_model_head_is_fresh(v->ses.model) ? v->j->seed : 0);
    as_buf_fmt(config, ",\"dtype\":\"%s\",\"isa\":\"%s\"", v->out->dtype, v->out->isa);
    if (v->j->until > 0) AS_TRY(as_until_identity(config, v->j, v->scored.kind, v->scored.num_labels, err));
    if (v->variant) as_buf_str(config, v->variant);
    if (config->failed) return as_fail_nomem(err, "a run's record", 0);
    memcpy(key, as_sha256_of(config->p, config->n).hex, 65);
    /* Not part of the identity: versions, names of the logits. */
    AS_TRY(as_session_provenance(config, &v->ses, v->j, err));
    as_buf_fmt(config, ",\"kind\":\"%s\",\"values\":[", v->scored.kind == AS_LABEL_VALUE ? "regress" : v->scored.kind == AS_LABEL_MULTI ? "multilabel" : "classify");
    for (int i = 0; i < v->scored.num_labels; i++) {
        if (i) as_buf_char(config, ',');
        as_buf_json_str(config, as_str_of(v->scored.kind == AS_LABEL_VALUE ? "value" : v->scored.labels[i]));
    }
    as_buf_str(config, "]}");
    return config->failed ? as_fail_nomem(err, "a run's record", 0) : AS_OK;
}

static as_status begin_run(as_evaluation *v, as_err *err) {
    if (!v->j->db || !as_comm_leads(v->j->comm)) return AS_OK;
    as_buf config = {0};
    char key[65];
    as_status s = identify(v, &config, key, err);
    if (s == AS_OK && !v->store) s = as_store_open(&v->store, v->j->db, err);
    const as_run_key k = {.command = "eval", .key = key, .config_json = config.p, .model = v->out->model, .task = v->out->task, .dtype = v->out->dtype, .isa = v->out->isa};
    if (s == AS_OK) s = as_store_run_begin(v->store, &k, v->j->again, &v->run, err);
    as_buf_free(&config);
    v->out->run = v->run.id;
    return s;
}

/* A stored item back into the scores. */
static as_status restore(void *ctx, const as_item *item, as_err *err) {
    as_evaluation *v = ctx;
    if (item->index < 0 || item->index >= v->records.n || item->count != v->scored.num_labels)
        return as_fail(err, AS_FORMAT, "%s: run %" PRId64 " has an item %" PRId64 " that is not in the data", v->j->db, v->run.id, item->index);
    for (int k = 0; k < item->count; k++) v->scored.logits[item->index * v->scored.num_labels + k] = (float)item->values[k];
    as_scored_predict(&v->scored, item->index);
    v->out->resumed++;
    return AS_OK;
}

/* --until: part of the items in a random order, and one metric whose interval holds wherever the scoring stops. */
static as_status score_until(as_evaluation *v, as_err *err) {
    as_until u;
    as_scored_part part;
    const double t = as_clock();
    AS_TRY(as_evaluate_until(&u, &v->ses, v->j, &v->scored, v->store, v->run.id, err));
    v->out->seconds = as_clock() - t, v->out->from_store = u.computed == 0;
    v->out->resumed = u.seen - u.computed;
    as_status s = as_scored_part_open(&part, &v->scored, u.order, u.seen, err);
    if (s == AS_OK) {
        as_job one = *v->j;
        one.metrics = u.metric;
        s = as_scored_metrics(&part.s, &one, as_engine_threads(v->ses.engine), v->out, err);
        as_scored_part_free(&part);
    }
    if (s == AS_OK) s = as_until_interval(&u, &v->out->metrics[0], err);
    if (s == AS_OK && u.seen < v->records.n) v->out->population = v->records.n;
    as_until_free(&u);
    return s;
}

static as_status score_rest(as_evaluation *v, as_err *err) {
    int64_t *index = as_alloc((size_t)v->records.n, sizeof *index), n = 0;
    if (!index) return as_fail_nomem(err, "scores", 0);
    for (int64_t i = 0; i < v->records.n; i++)
        if (!v->scored.done[i]) index[n++] = i;
    const double t = as_clock();
    const as_status s = n ? as_evaluate_items(&v->ses, v->j, &v->scored, index, n, v->store, v->run.id, "score", err) : AS_OK;
    v->out->seconds = as_clock() - t;
    v->out->from_store = n == 0;
    as_free(index);
    return s;
}

static as_status end_run(as_evaluation *v, as_err *err) {
    const as_eval_result *o = v->out;
    const as_run_cost cost = {.seconds = o->seconds, .items_per_second = o->seconds > 0 ? (double)(o->n - o->resumed) / o->seconds : 0, .peak_bytes = o->peak_bytes};
    as_buf json = {0};
    as_status s = as_run_cost_json(&json, &cost, err);
    if (s == AS_OK) s = as_store_run_end(v->store, v->run.id, AS_RUN_DONE, json.p, err);
    as_buf_free(&json);
    return s;
}

/* From records to scores that wait for logits. */
static as_status prepare(as_evaluation *v, as_label_kind kind, as_err *err) {
    const int labels = as_model_num_labels(v->ses.model);
    AS_TRY(as_session_encode(&v->ses, v->j, &v->records, &v->encoded, err));
    char *const *names = v->records.labels.count == labels ? v->records.labels.names : as_model_labels(v->ses.model);
    AS_TRY(as_scored_init(&v->scored, &v->records, &v->encoded, kind, names, labels, err));
    AS_TRY(as_evaluate_describe(&v->ses, v->j, v->data, v->out, err));
    v->out->truncated = v->encoded.truncated_count, v->out->tokens = v->encoded.tokens;
    return AS_OK;
}
static as_status begin_or_resume(as_evaluation *v, as_err *err) {
    as_status s = begin_run(v, err);
    if (s == AS_OK && v->store && v->run.existed) s = as_store_items_each(v->store, v->run.id, restore, v, err);
    AS_TRY(as_comm_agree(v->j->comm, s, err));
    as_scored_share(&v->scored, v->j->comm);
    return AS_OK;
}

as_status as_evaluation_part(as_evaluation *part, const as_evaluation *of, as_err *err) {
    part->ses = of->ses, part->store = of->store;
    AS_TRY(as_comm_agree(part->j->comm, prepare(part, of->scored.kind, err), err));
    AS_TRY(begin_or_resume(part, err));
    AS_TRY(score_rest(part, err));
    AS_TRY(as_scored_metrics(&part->scored, part->j, as_engine_threads(part->ses.engine), part->out, err));
    part->out->peak_bytes = as_peak_memory();
    if (part->store) AS_TRY(as_evaluate_store(part->out, part->store, part->run.id, err));
    return part->store && part->run.state != AS_RUN_DONE ? end_run(part, err) : AS_OK;
}
void as_evaluation_part_close(as_evaluation *part) {
    as_scored_free(&part->scored);
    as_encoded_free(&part->encoded);
}

/* What --calibrate and --perturb cannot do is told before seconds go into scoring. */
static as_status check_extras(const as_evaluation *v, as_label_kind kind, as_err *err) {
    uint32_t kinds;
    if (v->j->perturb) AS_TRY(as_perturb_parse(&kinds, v->j->perturb, err));
    if (!v->j->calibrate || kind != AS_LABEL_VALUE) return AS_OK;
    (void)as_fail(err, AS_USAGE, "--calibrate: numbers have no probabilities that could be calibrated");
    as_hint(err, "Calibration is for class labels and for sets of labels.");
    return AS_USAGE;
}

static as_status open_all(as_evaluation *v, const as_data_cols *cols, as_data_cols *c, as_err *err) {
    /* A path that is wrong is told before seconds go into loading a model. */
    if (strcmp(v->data, "-") != 0 && !as_file_exists(v->data)) return as_records_open(&v->records, v->data, cols, NULL, err);
    if (v->j->calibrate && !as_file_exists(v->j->calibrate)) return as_records_open(&v->records, v->j->calibrate, cols, NULL, err);
    AS_TRY(as_session_open(&v->ses, v->j, (as_model_opts){.head = AS_HEAD_CLASSIFY, .seed = v->j->seed}, err));
    *c = *cols;
    c->label_required = true;
    if (c->kind == AS_LABEL_NONE) c->kind = as_session_kind(&v->ses);
    AS_TRY(check_extras(v, c->kind, err));
    const as_labels known = as_session_labels(&v->ses);
    AS_TRY(as_records_open(&v->records, v->data, c, c->kind == AS_LABEL_VALUE ? NULL : &known, err));
    const int labels = as_model_num_labels(v->ses.model);
    if (c->kind != as_session_kind(&v->ses) || (c->kind != AS_LABEL_VALUE && v->records.labels.count > labels)) {
        (void)as_fail(err, AS_USAGE, "%s: the data has %d labels, the model's head has %d%s", v->data, v->records.labels.count, labels,
                      c->kind != as_session_kind(&v->ses) ? " of another kind" : "");
        as_hint(err, "Fine-tune the model on this task first: assay finetune MODEL --data F --out DIR.");
        return AS_USAGE;
    }
    return prepare(v, c->kind, err);
}

static as_status evaluate(as_evaluation *v, const as_data_cols *cols, as_item_sink sink, void *ctx, as_err *err) {
    as_data_cols c;
    AS_TRY(as_comm_agree(v->j->comm, open_all(v, cols, &c, err), err));
    if (v->j->dry_run) {
        /* a third more than the products alone, as in training */
        v->out->n = v->records.n, v->out->seconds = 1.33 * as_session_token_flops(&v->ses) * (double)v->encoded.tokens / as_session_rate(&v->ses);
        v->out->peak_bytes = as_peak_memory() + as_model_bytes(v->ses.model) / 4;
        return AS_OK;
    }
    AS_TRY(begin_or_resume(v, err));
    AS_TRY(v->j->until > 0 ? score_until(v, err) : score_rest(v, err));
    if (v->out->head_fresh)
        as_log_line(v->j->log, AS_WARN, "%s: its classification head is not trained: these scores say nothing about the model", v->out->model);
    if (!(v->j->until > 0)) AS_TRY(as_scored_metrics(&v->scored, v->j, as_engine_threads(v->ses.engine), v->out, err));
    v->out->peak_bytes = as_peak_memory();
    AS_TRY(as_evaluate_slices(&v->scored, v->j, &c, as_engine_threads(v->ses.engine), v->store, v->run.id, v->out, err));
    if (v->store) AS_TRY(as_evaluate_store(v->out, v->store, v->run.id, err));
    if (v->store && v->run.state != AS_RUN_DONE) AS_TRY(end_run(v, err));
    if (v->j->calibrate) AS_TRY(as_evaluate_calibration(v, &c, err));
    if (v->j->perturb) AS_TRY(as_evaluate_perturbed(v, err));
    if (v->store && (v->out->calibration || v->out->perturbed)) AS_TRY(as_analyses_store(v->out, v->store, v->run.id, err));
    return sink && !(v->j->until > 0) ? as_scored_each(&v->scored, sink, ctx, err) : AS_OK;
}

as_status as_run_eval(const as_job *j, const char *data, const as_data_cols *cols, as_item_sink sink, void *ctx, as_eval_result *out, as_err *err) {
    memset(out, 0, sizeof *out);
    as_evaluation v = {.j = j, .data = data, .out = out};
    const as_status s = as_comm_agree(j->comm, evaluate(&v, cols, sink, ctx, err), err);
    as_store_close(v.store);
    as_scored_free(&v.scored);
    as_encoded_free(&v.encoded);
    as_records_free(&v.records);
    as_session_close(&v.ses);
    if (s != AS_OK) as_eval_result_free(out);
    return s;
}
