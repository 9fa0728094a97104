/* task_options.c: options from a task's YAML. */
#include "cli/task_options.h"
#include "base/mem.h"
#include "model/config.h"
#include "task/task.h"
#include <ctype.h>
#include <string.h>

static void fill(const char **option, const char *value) {
    if (!*option) *option = value;
}

/* How the task's files are read. */
static void fill_table(as_options *o, const as_task *t) {
    fill(&o->text, t->text), fill(&o->pair, t->pair), fill(&o->id, t->id);
    fill(&o->sep, t->sep), fill(&o->columns, t->columns), fill(&o->encoding, t->encoding);
    if (!o->max_split) o->max_split = t->max_split;
    o->no_quotes = o->no_quotes || t->no_quotes, o->no_header = o->no_header || t->no_header;
}

/* What its labels mean. With labels of the user's own, the task's values and positive class say nothing. */
static as_status fill_labels(as_cli *c, const as_task *t, as_err *err) {
    as_options *o = &c->p.o;
    const bool own = o->labels || (o->kind && strcmp(o->kind, t->kind) != 0);
    fill(&o->label, t->label), fill(&o->cluster, t->cluster), fill(&o->kind, t->kind), fill(&o->metric, t->metrics);
    if (own || !t->labels) return AS_OK;
    as_labels l;
    AS_TRY(as_labels_parse(&l, t->labels, err));
    o->labels = t->labels, o->label_values = t->values, o->task_labels = true;
    fill(&o->positive, t->positive);
    /* Said, since a checkpoint may have the two in the other order. */
    if (!o->positive && l.count == 2) o->positive = as_arena_text(&c->arena, as_str_of(l.names[1]));
    const bool ok = o->positive || l.count != 2;
    as_labels_free(&l);
    return ok ? AS_OK : as_fail_nomem(err, "a task", 0);
}

/* --- parts of the data --- */
static as_status no_labels(const as_task *t, as_split s, as_err *err) {
    (void)as_fail(err, AS_USAGE, "task %s: the labels of its %s data are not public", t->name, as_split_name(s));
    as_hint(err, "assay predict --task %s --split %s writes predictions for it; other parts can be scored with --split.", t->name, as_split_name(s));
    return AS_USAGE;
}

static as_status file_of(const char **out, as_cli *c, const as_task *t, as_split s, bool labelled, as_err *err) {
    if (labelled && t->files[s] && t->unlabelled[s]) return no_labels(t, s, err);
    return as_task_file(out, t, s, c->p.o.data_dir, &c->arena, err);
}

/* --split, else the first of test and dev that serves; AS_SPLIT_COUNT = none does. */
static as_status chosen(as_split *out, const as_options *o, const as_task *t, bool labelled, as_err *err) {
    *out = as_task_has(t, AS_SPLIT_TEST, labelled) ? AS_SPLIT_TEST : as_task_has(t, AS_SPLIT_DEV, labelled) ? AS_SPLIT_DEV : AS_SPLIT_COUNT;
    return o->split ? as_split_parse(out, o->split, err) : AS_OK;
}

/* What is stored: the task's name, and the part of it when that is not the usual one. */
static as_status name_it(as_cli *c, const as_task *t, as_split s, as_split usual, as_err *err) {
    as_buf b = {0};
    as_buf_str(&b, t->name);
    if (s != usual) as_buf_fmt(&b, ":%s", as_split_name(s));
    c->p.o.task_name = b.failed ? NULL : as_arena_text(&c->arena, as_buf_view(&b));
    as_buf_free(&b);
    return c->p.o.task_name ? AS_OK : as_fail_nomem(err, "a task", 0);
}

static as_status fill_scored(as_cli *c, const as_task *t, bool labelled, as_err *err) {
    as_options *o = &c->p.o;
    as_split s, usual;
    if (o->data) return o->split ? as_fail(err, AS_USAGE, "--data and --split at once") : AS_OK;
    AS_TRY(chosen(&s, o, t, labelled, err));
    if (s == AS_SPLIT_COUNT) {
        (void)as_fail(err, AS_USAGE, "task %s has no test or dev data", t->name);
        as_hint(err, "--split train takes its train data: right only for a model that was not trained on it.");
        return AS_USAGE;
    }
    usual = as_task_has(t, AS_SPLIT_TEST, labelled) ? AS_SPLIT_TEST : AS_SPLIT_DEV;
    AS_TRY(file_of(&o->data, c, t, s, labelled, err));
    return name_it(c, t, s, usual, err);
}

/* The part to train on, named when the task has no train part. */
static as_status training_part(as_split *out, const as_options *o, const as_task *t, as_err *err) {
    *out = AS_SPLIT_TRAIN;
    if (o->split) return as_split_parse(out, o->split, err);
    if (t->files[AS_SPLIT_TRAIN]) return AS_OK;
    (void)as_fail(err, AS_USAGE, "task %s has no train data", t->name);
    for (int s = AS_SPLIT_DEV; s < AS_SPLIT_COUNT; s++)
        if (as_task_has(t, (as_split)s, true)) {
            as_hint(err, "Give training data with --data F; or --split %s, to work inside its %s data alone.", as_split_name((as_split)s), as_split_name((as_split)s));
            break;
        }
    return AS_USAGE;
}

static as_status fill_finetune(as_cli *c, const as_task *t, as_err *err) {
    as_options *o = &c->p.o;
    as_split s = AS_SPLIT_TRAIN;
    if (o->data && o->split) return as_fail(err, AS_USAGE, "--data and --split at once");
    if (!o->data) {
        AS_TRY(training_part(&s, o, t, err));
        AS_TRY(file_of(&o->data, c, t, s, true, err));
        AS_TRY(name_it(c, t, s, AS_SPLIT_TRAIN, err));
    }
    if (s != AS_SPLIT_TRAIN || o->dev || o->folds || as_option_given(&c->p, "dev-fraction") || !as_task_has(t, AS_SPLIT_DEV, true)) return AS_OK;
    return file_of(&o->dev, c, t, AS_SPLIT_DEV, true, err);
}

static as_status fill_bench(as_cli *c, const as_task *t, as_err *err) {
    as_options *o = &c->p.o;
    as_split s;
    const bool scored_elsewhere = o->eval_data || as_option_given(&c->p, "test-fraction");
    if (scored_elsewhere && o->split) return as_fail(err, AS_USAGE, "--split with --%s: both say what is scored", o->eval_data ? "eval-data" : "test-fraction");
    AS_TRY(chosen(&s, o, t, true, err));
    const as_split usual = as_task_has(t, AS_SPLIT_TEST, true) ? AS_SPLIT_TEST : as_task_has(t, AS_SPLIT_DEV, true) ? AS_SPLIT_DEV : AS_SPLIT_TRAIN;
    if (s == AS_SPLIT_COUNT) s = AS_SPLIT_TRAIN;
    if (!o->data && (s == AS_SPLIT_TRAIN || !t->files[AS_SPLIT_TRAIN])) { /* all inside one part */
        if (s == AS_SPLIT_TRAIN || !o->split) AS_TRY(training_part(&s, o, t, err));
        AS_TRY(file_of(&o->data, c, t, s, true, err));
        return scored_elsewhere ? AS_OK : name_it(c, t, s, t->files[AS_SPLIT_TRAIN] ? usual : AS_SPLIT_COUNT, err);
    }
    if (!o->data) AS_TRY(file_of(&o->data, c, t, AS_SPLIT_TRAIN, true, err));
    if (!scored_elsewhere) {
        AS_TRY(file_of(&o->eval_data, c, t, s, true, err));
        AS_TRY(name_it(c, t, s, usual, err));
    }
    if (o->dev || as_option_given(&c->p, "dev-fraction") || (!scored_elsewhere && s == AS_SPLIT_DEV) || !as_task_has(t, AS_SPLIT_DEV, true)) return AS_OK;
    return file_of(&o->dev, c, t, AS_SPLIT_DEV, true, err);
}

as_status as_cli_task(as_cli *c, as_task_use use, as_err *err) {
    as_options *o = &c->p.o;
    as_task t;
    if (!o->task) {
        if (!o->split && !o->data_dir) return AS_OK;
        (void)as_fail(err, AS_USAGE, "--%s without --task", o->split ? "split" : "data-dir");
        as_hint(err, "It names a part of a task's data; assay tasks lists the tasks.");
        return AS_USAGE;
    }
    AS_TRY(as_task_open(&t, o->task, &c->arena, err));
    if (use == TASK_PREDICT && (o->file || c->p.arg_count > 1)) return as_fail(err, AS_USAGE, "predict: texts and --task at once");
    fill_table(o, &t);
    if (use == TASK_PREDICT || use == TASK_ITEMS) return fill_scored(c, &t, false, err);
    AS_TRY(fill_labels(c, &t, err));
    return use == TASK_EVAL ? fill_scored(c, &t, true, err) : use == TASK_FINETUNE ? fill_finetune(c, &t, err) : fill_bench(c, &t, err);
}

/* --- the order of a checkpoint's labels --- */
static char plain(char ch) { return ch == ' ' || ch == '-' ? '_' : (char)tolower((unsigned char)ch); }
static bool same_name(const char *a, const char *b) {
    while (*a && plain(*a) == plain(*b)) a++, b++;
    return !*a && !*b;
}

static bool placeholders(const as_config *c) {
    for (int i = 0; i < c->num_labels; i++)
        if (strncmp(c->labels[i], "LABEL_", 6) != 0) return false;
    return true;
}

/* at[i]: which of the task's labels the checkpoint's i-th is; false unless each has its own. */
static bool match(int *at, const as_config *c, const as_labels *names, const as_labels *values) {
    for (int i = 0; i < c->num_labels; i++) {
        at[i] = -1;
        for (int k = 0; k < names->count && at[i] < 0; k++)
            if (same_name(c->labels[i], names->names[k]) || (values->count && same_name(c->labels[i], values->names[k]))) at[i] = k;
        for (int k = 0; k < i && at[i] >= 0; k++)
            if (at[k] == at[i]) return false;
        if (at[i] < 0) return false;
    }
    return true;
}

static as_status put_list(const char **out, as_cli *c, const as_labels *l, const int *at, as_err *err) {
    as_buf b = {0};
    for (int i = 0; i < l->count; i++) as_buf_char(&b, i ? ',' : '['), as_buf_json_str(&b, as_str_of(l->names[at[i]]));
    as_buf_char(&b, ']');
    const char *kept = b.failed ? NULL : as_arena_text(&c->arena, as_buf_view(&b));
    as_buf_free(&b);
    if (kept) *out = kept;
    return kept ? AS_OK : as_fail_nomem(err, "labels", 0);
}

static as_status reorder(as_data_cols *cols, as_cli *c, const as_job *j, const as_config *config, const as_labels *names, const as_labels *values, as_err *err) {
    int *at = as_arena_push(&c->arena, (size_t)config->num_labels, sizeof *at);
    if (!at) return as_fail_nomem(err, "labels", 0);
    if (match(at, config, names, values)) {
        AS_TRY(put_list(&cols->labels, c, names, at, err));
        return values->count ? put_list(&cols->values, c, values, at, err) : AS_OK;
    }
    as_log_line(j->log, AS_WARN, "%s: its labels (%s, ...) have other names than the task's (%s, ...): taken in id order", j->model_name, config->labels[0],
                names->names[0]);
    return AS_OK;
}

as_status as_cli_task_order(as_data_cols *cols, as_cli *c, const as_job *j, as_err *err) {
    if (!c->p.o.task_labels || cols->kind == AS_LABEL_VALUE) return AS_OK;
    as_config config;
    as_labels names = {0}, values = {0};
    AS_TRY(as_config_read(&config, j->model, err));
    as_status s = as_labels_parse(&names, cols->labels, err);
    if (s == AS_OK && cols->values) s = as_labels_parse(&values, cols->values, err);
    if (s == AS_OK && config.labels_given && config.num_labels == names.count && !placeholders(&config)) s = reorder(cols, c, j, &config, &names, &values, err);
    as_labels_free(&names), as_labels_free(&values), as_config_free(&config);
    return s;
}
