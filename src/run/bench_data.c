/* bench_data.c: the data of a bench, as files that every cell reads, so that all see the same items. */
#include "base/file.h"
#include "base/mem.h"
#include "run/bench_impl.h"
#include "run/session.h"
#include <string.h>

static void put_record(as_buf *b, const as_records *r, const as_record *v) {
    as_buf_str(b, "{\"id\":"), as_buf_json_str(b, v->id);
    as_buf_str(b, ",\"text\":"), as_buf_json_str(b, v->text);
    if (v->pair.p) as_buf_str(b, ",\"pair\":"), as_buf_json_str(b, v->pair);
    as_buf_str(b, ",\"label\":");
    if (r->kind == AS_LABEL_CLASS) as_buf_json_str(b, as_str_of(r->labels.names[v->label]));
    else as_record_gold(b, v, r);
    if (v->cluster.n) as_buf_str(b, ",\"cluster\":"), as_buf_json_str(b, v->cluster);
    as_buf_str(b, "}\n");
}

/* The records of index (NULL = all), atomically; a file that says the same is left alone, so its hash stays cached. */
static as_status write_records(const char *path, const as_records *r, const as_index *index, as_err *err) {
    as_buf b = {0}, was = {0};
    const int64_t n = index ? index->n : r->n;
    for (int64_t i = 0; i < n; i++) put_record(&b, r, &r->v[index ? index->v[i] : i]);
    as_status s = b.failed ? as_fail_nomem(err, path, b.n) : AS_OK;
    const bool same = s == AS_OK && as_file_exists(path) && as_file_read(&was, path, 0, NULL) == AS_OK && was.n == b.n && (b.n == 0 || memcmp(was.p, b.p, b.n) == 0);
    if (s == AS_OK && !same) s = as_file_write(path, b.p, b.n, err);
    as_buf_free(&b), as_buf_free(&was);
    return s;
}

static as_status label_list(as_bench *w, const as_records *r, as_err *err) {
    as_buf b = {0};
    for (int i = 0; i < r->labels.count; i++) as_buf_char(&b, i ? ',' : '['), as_buf_json_str(&b, as_str_of(r->labels.names[i]));
    as_buf_char(&b, ']');
    if (b.failed) as_buf_free(&b);
    w->labels = b.p;
    return b.p ? AS_OK : as_fail_nomem(err, "labels", 0);
}

/* A file of its own, with the labels of the training data. */
static as_status rewrite(const as_bench *w, const char *from, const char *to, const as_records *all, as_err *err) {
    as_records other;
    as_data_cols cols = *w->b->cols;
    cols.label_required = true, cols.kind = all->kind, cols.labels = NULL, cols.limit = 0;
    AS_TRY(as_records_open(&other, from, &cols, all->kind == AS_LABEL_VALUE ? NULL : &all->labels, err));
    const as_status s = write_records(to, &other, NULL, err);
    as_records_free(&other);
    return s;
}

static as_status split(as_bench *w, const as_records *all, as_err *err) {
    const as_bench_job *b = w->b;
    as_index train = {0}, test = {0};
    as_status s = b->dev ? rewrite(w, b->dev, w->dev_path, all, err) : AS_OK;
    if (s == AS_OK && b->test) {
        s = write_records(w->train_path, all, NULL, err);
        if (s == AS_OK) s = rewrite(w, b->test, w->test_path, all, err);
    } else if (s == AS_OK) {
        s = as_split_dev(&train, &test, all, b->test_fraction, b->recipe.seed, err);
        if (s == AS_OK) s = write_records(w->train_path, all, &train, err);
        if (s == AS_OK) s = write_records(w->test_path, all, &test, err);
    }
    as_index_free(&train), as_index_free(&test);
    return s;
}

static as_status paths(as_bench *w, as_err *err) {
    char *folder = as_path_join(w->b->out, "data");
    as_status s = folder ? as_dir_make(folder, err) : as_fail_nomem(err, "a path", 0);
    if (s == AS_OK && !((w->train_path = as_path_join(folder, "train.jsonl")) && (w->test_path = as_path_join(folder, "test.jsonl")))) s = as_fail_nomem(err, "a path", 0);
    if (s == AS_OK && w->b->dev && !(w->dev_path = as_path_join(folder, "dev.jsonl"))) s = as_fail_nomem(err, "a path", 0);
    as_free(folder);
    return s;
}

as_status as_bench_data(as_bench *w, as_err *err) {
    as_records all;
    as_data_cols cols = *w->b->cols;
    cols.label_required = true;
    AS_TRY(as_records_open(&all, w->b->data, &cols, NULL, err));
    as_table_warn_replaced(all.table, w->b->job.log);
    as_status s = paths(w, err);
    w->cols = (as_data_cols){.text = "text", .pair = all.has_pair ? "pair" : NULL, .label = "label", .id = "id", .cluster = cols.cluster ? "cluster" : NULL,
                             .kind = all.kind, .label_required = true};
    if (s == AS_OK && all.kind == AS_LABEL_CLASS && all.labels.count < 2) s = as_fail(err, AS_FORMAT, "%s: all records have the same label", w->b->data);
    if (s == AS_OK && all.kind != AS_LABEL_VALUE) s = label_list(w, &all, err);
    if (s == AS_OK) s = split(w, &all, err);
    w->cols.labels = w->labels;
    if (s == AS_OK && !(w->task = w->b->job.task_name ? as_strdup(w->b->job.task_name) : as_display_name(strcmp(w->b->data, "-") == 0 ? "stdin" : w->b->data))) s = as_fail_nomem(err, "a name", 0);
    as_records_free(&all);
    if (s == AS_OK) s = as_records_open(&w->train, w->train_path, &w->cols, NULL, err);
    if (s == AS_OK) s = as_records_open(&w->test, w->test_path, &w->cols, NULL, err);
    return s;
}
