/* lm_eval.c: the files that lm-evaluation-harness 0.4 writes with --output_path and --log_samples, so that what reads those
 * reads these: DIR/MODEL/results_TIME.json and DIR/MODEL/samples_TASK_TIME.jsonl. An item of one label is written as the
 * harness writes a multiple-choice document: one request per label, its log-probability as the response.
 * Differs: TIME is that of the stored run, so that the same report gives the same files; standard errors are given where
 * they follow from the value (accuracy), else "N/A", as the harness has it for metrics without one. */
#include "base/file.h"
#include "base/hash.h"
#include "base/mem.h"
#include "report/report_impl.h"
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const char *str_or(const char *s, const char *otherwise) { return s && s[0] ? s : otherwise; }

/* A name as a file name: runs of "<>:/\|?*[] are "__", as in the harness; control characters too,
 * and never "." or "..". */
static void safe_name(as_buf *out, const char *name) {
    bool in_run = false;
    const size_t n = strlen(name);
    const size_t begin = out->n;
    for (size_t i = 0; i < n && out->n - begin < 180; i++) {
        const bool bad = strchr("\"<>:/\\|?*[]", name[i]) != NULL || (unsigned char)name[i] < 0x20;
        if (bad && !in_run) as_buf_str(out, "__");
        if (!bad) as_buf_char(out, name[i]);
        in_run = bad;
    }
    if (out->failed) return;
    if (out->n == begin || strcmp(out->p + begin, ".") == 0 || strcmp(out->p + begin, "..") == 0) as_buf_str(out, "__");
}

/* Strings as Python's json.dumps(ensure_ascii=False) writes them: hashes are of these bytes. */
static void py_str(as_buf *out, const char *s) {
    as_buf plain = {0};
    as_buf_json_str(&plain, as_str_of(s));
    for (size_t i = 0; i < plain.n; i++) {
        if (plain.p[i] == '\\' && strncmp(plain.p + i, "\\u0008", 6) == 0) as_buf_str(out, "\\b"), i += 5;
        else if (plain.p[i] == '\\' && strncmp(plain.p + i, "\\u000c", 6) == 0) as_buf_str(out, "\\f"), i += 5;
        else if (plain.p[i] == '\\') as_buf_add(out, plain.p + i, 2), i++;
        else as_buf_char(out, plain.p[i]);
    }
    out->failed = out->failed || plain.failed;
    as_buf_free(&plain);
}

static void py_real(as_buf *out, double x) {
    if (isfinite(x)) as_buf_real(out, x); else as_buf_str(out, x > 0 ? "Infinity" : x < 0 ? "-Infinity" : "NaN");
}

static double run_time(const as_report_run *run) {
    const as_stored *s = run->stored;
    return s && isfinite(s->ended) && s->ended > 0 ? s->ended : s && isfinite(s->started) && s->started > 0 ? s->started : 0;
}

/* "2026-03-01T12-00-00.000000"; `later` microseconds are added so that two runs of one model never share a name. */
static void time_id(as_buf *out, double unix_seconds, int later) {
    struct tm tm = {0};
    const double clipped = fmin(unix_seconds, 2e11);
    time_t t = (time_t)floor(clipped);
    int64_t micro = (int64_t)((clipped - floor(clipped)) * 1e6) + later;
    t += (time_t)(micro / 1000000), micro %= 1000000;
    if (!gmtime_r(&t, &tm)) memset(&tm, 0, sizeof tm);
    as_buf_fmt(out, "%04d-%02d-%02dT%02d-%02d-%02d.%06" PRId64, tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, micro);
}

/* --- samples --- */
typedef struct sample_set { const as_stored *s; const char *metric; bool choices; } sample_set;

static sample_set sample_set_of(const as_stored *s) {
    const as_predictions *p = &s->p;
    return (sample_set){s, p->kind == AS_PRED_CLASS ? "acc" : p->kind == AS_PRED_MULTILABEL ? "exact_match" : "mse",
                        p->kind == AS_PRED_CLASS && p->probs && s->labels.names && s->labels.count == p->num_labels};
}

static double sample_score(const sample_set *x, int64_t i) {
    const as_predictions *p = &x->s->p;
    const size_t k = (size_t)p->num_labels;
    if (p->kind == AS_PRED_CLASS) return p->gold && p->pred && p->gold[i] == p->pred[i];
    if (p->kind == AS_PRED_MULTILABEL) return p->gold_sets && p->pred_sets && memcmp(p->gold_sets + (size_t)i * k, p->pred_sets + (size_t)i * k, k) == 0;
    return p->gold_value && p->pred_value ? pow(p->pred_value[i] - p->gold_value[i], 2) : (double)NAN;
}

static void sample_doc(as_buf *out, const as_stored *s, int64_t i, const char *open, const char *between, const char *close) {
    as_buf_str(out, open), as_buf_str(out, "\"text\": "), py_str(out, str_or(s->text ? s->text[i] : NULL, ""));
    if (s->pair && s->pair[i]) as_buf_str(out, between), as_buf_str(out, "\"pair\": "), py_str(out, s->pair[i]);
    as_buf_str(out, between), as_buf_str(out, "\"label\": "), py_str(out, str_or(s->gold ? s->gold[i] : NULL, "")), as_buf_str(out, close);
}

static void prompt_of(as_buf *out, const as_stored *s, int64_t i) {
    as_buf_str(out, str_or(s->text ? s->text[i] : NULL, ""));
    if (s->pair && s->pair[i]) as_buf_char(out, '\n'), as_buf_str(out, s->pair[i]);
}

/* Requests and what came back; numbers are strings there, for the datasets library. */
static void sample_answers(as_buf *out, const sample_set *x, int64_t i, const char *prompt) {
    const as_predictions *p = &x->s->p;
    const int count = x->choices ? p->num_labels : 1;
    as_buf_str(out, ", \"arguments\": {");
    for (int k = 0; k < count; k++) {
        as_buf_fmt(out, "%s\"gen_args_%d\": {\"arg_0\": ", k > 0 ? ", " : "", k), py_str(out, prompt);
        if (x->choices) as_buf_str(out, ", \"arg_1\": "), py_str(out, x->s->labels.names[k]);
        as_buf_char(out, '}');
    }
    as_buf_char(out, '}');
    for (int filtered = 0; filtered < 2; filtered++) {
        as_buf_str(out, filtered ? ", \"filtered_resps\": [" : ", \"resps\": [");
        for (int k = 0; k < count; k++) {
            as_buf_str(out, k > 0 ? ", " : ""), as_buf_str(out, filtered ? "" : "[");
            if (x->choices) {
                as_buf_str(out, "[\""), py_real(out, log(p->probs[i * count + k]));
                as_buf_str(out, p->pred && p->pred[i] == k ? "\", \"True\"]" : "\", \"False\"]");
            } else {
                py_str(out, str_or(x->s->pred ? x->s->pred[i] : NULL, ""));
            }
            as_buf_str(out, filtered ? "" : "]");
        }
        as_buf_char(out, ']');
    }
}

static void hash_of(as_buf *out, as_buf *all, const char *key, const as_buf *text) {
    const as_str v = as_buf_view(text);
    const as_sha256 h = as_sha256_of(v.p, v.n);
    as_buf_fmt(out, ", \"%s\": \"%s\"", key, h.hex), as_buf_str(all, h.hex);
}

static void sample_line(as_buf *out, as_buf *hashes, const sample_set *x, int64_t i) {
    as_buf text = {0}, prompt = {0};
    const as_stored *s = x->s;
    prompt_of(&prompt, s, i);
    as_buf_fmt(out, "{\"doc_id\": %" PRId64 ", \"doc\": ", i), sample_doc(out, s, i, "{", ", ", "}");
    as_buf_str(out, ", \"target\": "), py_str(out, str_or(s->gold ? s->gold[i] : NULL, ""));
    sample_answers(out, x, i, str_or(prompt.p, ""));
    as_buf_fmt(out, ", \"filter\": \"none\", \"metrics\": [\"%s\"]", x->metric);
    sample_doc(&text, s, i, "{\n  ", ",\n  ", "\n}"), hash_of(out, hashes, "doc_hash", &text);
    hash_of(out, hashes, "prompt_hash", &prompt);
    as_buf_clear(&text), as_buf_str(&text, str_or(s->gold ? s->gold[i] : NULL, "")), hash_of(out, hashes, "target_hash", &text);
    as_buf_fmt(out, ", \"%s\": ", x->metric), py_real(out, sample_score(x, i)), as_buf_str(out, "}\n");
    out->failed = out->failed || text.failed || prompt.failed;
    as_buf_free(&text), as_buf_free(&prompt);
}

static as_status write_samples(const char *path, const as_stored *s, as_sha256 *task_hash, as_err *err) {
    as_writer w = {0};
    as_buf line = {0}, hashes = {0};
    const sample_set x = sample_set_of(s);
    AS_TRY(as_writer_open(&w, path, err));
    for (int64_t i = 0; i < s->n && !line.failed; i++) {
        as_buf_clear(&line), sample_line(&line, &hashes, &x, i);
        if (!line.failed) as_writer_add(&w, line.p, line.n);
    }
    as_status status;
    if (line.failed || hashes.failed) {
        as_writer_abort(&w);
        status = as_fail_nomem(err, "the samples", line.n);
    } else {
        const as_str all = as_buf_view(&hashes);
        *task_hash = as_sha256_of(all.p, all.n);
        status = as_writer_commit(&w, err);
    }
    as_buf_free(&line), as_buf_free(&hashes);
    return status;
}

/* --- results --- */
/* The harness' own name where it has the metric; a comma would divide name from filter. */
static void metric_key(as_buf *out, const char *name, const char *suffix) {
    as_buf key = {0};
    if (strcmp(name, "accuracy") == 0) name = "acc";
    for (const char *p = name; *p; p++)
        as_buf_char(&key, *p == ',' ? ';' : *p);
    as_buf_str(&key, suffix), as_buf_str(&key, ",none");
    py_str(out, key.p);
    out->failed = out->failed || key.failed;
    as_buf_free(&key);
}

static void result_metrics(as_buf *out, const as_eval_result *e, const char *task) {
    as_buf_str(out, "    "), py_str(out, task), as_buf_str(out, ": {\n      \"alias\": "), py_str(out, task);
    as_buf_fmt(out, ",\n      \"sample_len\": %" PRId64, e ? e->n : 0);
    for (size_t i = 0; e && i < e->metric_count; i++) {
        const as_result_metric *m = &e->metrics[i];
        const bool mean = strcmp(m->name, "accuracy") == 0 && m->n > 1 && isfinite(m->value);
        as_buf_str(out, ",\n      "), metric_key(out, m->name, ""), as_buf_str(out, ": "), as_buf_real(out, m->value);
        as_buf_str(out, ",\n      "), metric_key(out, m->name, "_stderr"), as_buf_str(out, ": ");
        if (mean) as_buf_real(out, sqrt(m->value * (1 - m->value) / (double)(m->n - 1))); else as_buf_str(out, "\"N/A\"");
    }
    as_buf_str(out, "\n    }\n  },\n");
}

static void result_task(as_buf *out, const as_report_run *run, const char *task, bool choices) {
    const as_eval_result *e = run->result;
    const int64_t n = e ? e->n : run->stored ? run->stored->n : 0;
    as_buf_str(out, "  \"group_subtasks\": {"), py_str(out, task), as_buf_str(out, ": []},\n  \"configs\": {"), py_str(out, task);
    as_buf_str(out, ": {\"task\": "), py_str(out, task);
    as_buf_fmt(out, ", \"output_type\": \"%s\", \"num_fewshot\": 0}},\n  \"versions\": {},\n  \"n-shot\": {", choices ? "multiple_choice" : "generate_until");
    py_str(out, task), as_buf_str(out, ": 0},\n  \"higher_is_better\": {"), py_str(out, task), as_buf_str(out, ": {");
    for (size_t i = 0; e && i < e->metric_count; i++) {
        as_buf_str(out, i > 0 ? ", " : ""), py_str(out, strcmp(e->metrics[i].name, "accuracy") == 0 ? "acc" : e->metrics[i].name);
        as_buf_str(out, e->metrics[i].higher_is_better ? ": true" : ": false");
    }
    as_buf_str(out, "}},\n  \"n-samples\": {"), py_str(out, task);
    as_buf_fmt(out, ": {\"original\": %" PRId64 ", \"effective\": %" PRId64 "}},\n", n, n);
}

static void result_config(as_buf *out, const as_report *r, const as_report_run *run, const char *model) {
    const char *dtype = run->stored ? run->stored->dtype : run->result ? run->result->dtype : NULL;
    as_buf args = {0};
    as_buf_fmt(&args, "pretrained=%s", model);
    if (dtype) as_buf_fmt(&args, ",dtype=%s", dtype);
    as_buf_str(out, "  \"config\": {\"model\": \"assay\", \"model_args\": "), py_str(out, args.p);
    as_buf_str(out, ", \"model_dtype\": "), dtype ? py_str(out, dtype) : as_buf_str(out, "null");
    as_buf_str(out, ", \"batch_size\": null, \"device\": \"cpu\", \"use_cache\": null, \"limit\": null, \"gen_kwargs\": null},\n  \"git_hash\": null,\n  \"date\": ");
    as_buf_real(out, run_time(run)), as_buf_str(out, ",\n  \"assay_version\": "), py_str(out, str_or(r->version, "")), as_buf_str(out, ",\n");
    out->failed = out->failed || args.failed;
    as_buf_free(&args);
}

static void result_file(as_buf *out, const as_report *r, const as_report_run *run, const char *model, const char *task, const as_sha256 *task_hash) {
    as_buf safe = {0};
    safe_name(&safe, model);
    as_buf_str(out, "{\n  \"results\": {\n");
    result_metrics(out, run->result, task);
    result_task(out, run, task, run->stored && sample_set_of(run->stored).choices);
    result_config(out, r, run, model);
    as_buf_str(out, "  \"task_hashes\": {");
    if (task_hash->hex[0]) py_str(out, task), as_buf_fmt(out, ": \"%s\"", task_hash->hex);
    as_buf_str(out, "},\n  \"model_source\": \"assay\",\n  \"model_name\": "), py_str(out, model);
    as_buf_str(out, ",\n  \"model_name_sanitized\": "), py_str(out, safe.p);
    as_buf_str(out, ",\n  \"system_instruction\": null,\n  \"system_instruction_sha\": null,\n  \"fewshot_as_multiturn\": null,\n  \"chat_template\": null,\n"
                    "  \"chat_template_sha\": null,\n  \"total_evaluation_time_seconds\": \"");
    as_buf_real(out, run->result && isfinite(run->result->seconds) ? run->result->seconds : 0), as_buf_str(out, "\"\n}\n");
    out->failed = out->failed || safe.failed;
    as_buf_free(&safe);
}

static const char *model_name(const as_report_run *run) {
    return str_or(run->result ? run->result->model : NULL, str_or(run->stored ? run->stored->model : NULL, "model"));
}

/* How many runs before this one would have files of the same name. */
static int same_before(const as_report *r, int i) {
    int n = 0;
    for (int k = 0; k < i; k++)
        n += fabs(run_time(&r->runs[k]) - run_time(&r->runs[i])) < 1e-3;
    return n;
}

static as_status write_run(const char *dir, const as_report *r, int i, as_err *err) {
    const as_report_run *run = &r->runs[i];
    const char *model = model_name(run), *task = str_or(run->result ? run->result->task : NULL, str_or(run->stored ? run->stored->task : NULL, "task"));
    as_buf folder = {0}, path = {0}, id = {0}, out = {0};
    as_sha256 task_hash = {{0}};
    as_buf_str(&folder, dir), as_buf_char(&folder, '/'), safe_name(&folder, model);
    time_id(&id, run_time(run), same_before(r, i));
    as_status status = folder.failed || id.failed ? as_fail_nomem(err, "a file name", 256) : as_dir_make(folder.p, err);
    if (status == AS_OK && run->stored) {
        as_buf_str(&path, folder.p), as_buf_str(&path, "/samples_"), safe_name(&path, task), as_buf_fmt(&path, "_%s.jsonl", id.p);
        status = path.failed ? as_fail_nomem(err, "a file name", 256) : write_samples(path.p, run->stored, &task_hash, err);
    }
    if (status == AS_OK) {
        as_buf_clear(&path), as_buf_fmt(&path, "%s/results_%s.json", folder.p, id.p);
        result_file(&out, r, run, model, task, &task_hash);
        status = path.failed || out.failed ? as_fail_nomem(err, "the results", out.n) : as_file_write(path.p, out.p, out.n, err);
    }
    as_buf_free(&folder), as_buf_free(&path), as_buf_free(&id), as_buf_free(&out);
    return status;
}

as_status as_report_lm_eval(const char *dir, const as_report *r, as_err *err) {
    for (int i = 0; i < r->run_count; i++)
        AS_TRY(write_run(dir, r, i, err));
    return AS_OK;
}
