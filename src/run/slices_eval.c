/* slices_eval.c: the slices of an evaluation: from columns, labels and lengths to rows and to the store. */
#include "base/mem.h"
#include "data/strmap.h"
#include "run/scored.h"
#include "run/slices.h"
#include <math.h>
#include <string.h>

enum { MOST_NUMBERS = 12 };

typedef struct slice_values {
    as_slicing *v;
    char ***texts;     /* [count] arrays that as_slicing_quarters made, or of single strings */
    bool *quarters;    /* [count] one block */
    int64_t count, n;
} slice_values;

static void release(slice_values *s) {
    for (int64_t k = 0; s->texts && k < s->count; k++) {
        for (int64_t i = 0; s->texts[k] && !s->quarters[k] && i < s->n; i++) as_free(s->texts[k][i]);
        as_free(s->texts[k]);
    }
    as_free(s->texts), as_free(s->quarters), as_free(s->v);
}

/* A column of many different numbers, and nothing else: the numbers; else NULL. */
static double *numbers_of(char *const *text, int64_t n) {
    double *x = as_alloc((size_t)n + 1, sizeof *x);
    as_strmap seen = {0};
    bool all = x != NULL;
    for (int64_t i = 0; all && i < n; i++) {
        all = as_parse_f64(as_str_of(text[i]), &x[i]) && isfinite(x[i]);
        if (all && seen.n <= MOST_NUMBERS) all = as_strmap_at(&seen, as_str_of(text[i]), 0, NULL) != NULL;
    }
    const bool many = seen.n > MOST_NUMBERS;
    as_strmap_free(&seen);
    if (all && many) return x;
    as_free(x);
    return NULL;
}

static char *value_of(const as_scored *s, const as_data_cols *cols, int64_t i, int64_t k) {
    if (strcmp(cols->slices[k], "@label") != 0) {
        const as_str cell = as_record_slice(s->records, i, k);
        return as_strndup(cell.p, cell.n);
    }
    as_buf b = {0};
    as_record_gold(&b, &s->records->v[i], s->records);
    if (b.failed) as_buf_free(&b);
    return b.p ? b.p : as_strdup("");
}

static as_status into_quarters(slice_values *out, int64_t k, double *x, as_err *err) {
    for (int64_t i = 0; out->texts[k] && i < out->n; i++) as_free(out->texts[k][i]);
    as_free(out->texts[k]);
    out->quarters[k] = true;
    out->texts[k] = as_slicing_quarters(x, out->n);
    return out->texts[k] ? AS_OK : as_fail_nomem(err, "slices", 0);
}

static as_status read_slicing(slice_values *out, const as_scored *s, const as_data_cols *cols, int64_t k, as_err *err) {
    const bool length = strcmp(cols->slices[k], "@length") == 0;
    double *x = length ? as_alloc((size_t)out->n + 1, sizeof *x) : NULL;
    as_status st = AS_OK;
    for (int64_t i = 0; x && i < out->n; i++) x[i] = (double)(s->encoded->offset[i + 1] - s->encoded->offset[i]);
    if (length && !x) return as_fail_nomem(err, "slices", 0);
    if (!length && !(out->texts[k] = as_calloc((size_t)out->n, sizeof **out->texts))) return as_fail_nomem(err, "slices", 0);
    for (int64_t i = 0; !length && i < out->n; i++)
        if (!(out->texts[k][i] = value_of(s, cols, i, k))) return as_fail_nomem(err, "slices", 0);
    if (!length && strcmp(cols->slices[k], "@label") != 0) x = numbers_of(out->texts[k], out->n);
    if (x) st = into_quarters(out, k, x, err);
    as_free(x);
    out->v[k] = (as_slicing){.column = length ? "length" : cols->slices[k][0] == '@' ? cols->slices[k] + 1 : cols->slices[k], .value = out->texts[k]};
    return st;
}

static as_status check_names(const as_data_cols *cols, as_err *err) {
    for (int64_t k = 0; k < cols->slice_count; k++) {
        const char *name = cols->slices[k];
        if (name[0] != '@' || strcmp(name, "@label") == 0 || strcmp(name, "@length") == 0) continue;
        (void)as_fail(err, AS_USAGE, "--slice: \"%.80s\" is neither a column nor @label nor @length", name);
        as_hint(err, "Name a column of the data, @label (the true label) or @length (quarters of the number of tokens).");
        return AS_USAGE;
    }
    return AS_OK;
}

/* Each item's groups as a JSON object. */
static as_status note(const slice_values *s, as_store *store, int64_t run, as_err *err) {
    as_buf all = {0};
    size_t *end = as_alloc((size_t)s->n + 1, sizeof *end);
    as_str *json = as_alloc((size_t)s->n + 1, sizeof *json);
    as_status st = end && json ? AS_OK : as_fail_nomem(err, "slices", 0);
    for (int64_t i = 0; st == AS_OK && i < s->n; i++) {
        for (int64_t k = 0; k < s->count; k++) {
            as_buf_char(&all, k ? ',' : '{');
            as_buf_json_str(&all, as_str_of(s->v[k].column)), as_buf_char(&all, ':'), as_buf_json_str(&all, as_str_of(s->v[k].value[i]));
        }
        as_buf_char(&all, '}');
        end[i] = all.n;
    }
    if (st == AS_OK && all.failed) st = as_fail_nomem(err, "slices", all.n);
    for (int64_t i = 0; st == AS_OK && i < s->n; i++) json[i] = (as_str){all.p + (i ? end[i - 1] : 0), end[i] - (i ? end[i - 1] : 0)};
    if (st == AS_OK) st = as_store_slices_put(store, run, json, s->n, err);
    as_buf_free(&all), as_free(end), as_free(json);
    return st;
}

as_status as_evaluate_slices(as_scored *s, const as_job *j, const as_data_cols *cols, int threads, as_store *store, int64_t run, as_eval_result *out, as_err *err) {
    if (cols->slice_count == 0) return AS_OK;
    AS_TRY(check_names(cols, err));
    as_predictions p;
    AS_TRY(as_scored_predictions(s, j, &p, err));
    const size_t k = (size_t)cols->slice_count;
    slice_values v = {.v = as_calloc(k, sizeof *v.v), .texts = as_calloc(k, sizeof *v.texts), .quarters = as_calloc(k, sizeof *v.quarters), .count = cols->slice_count, .n = p.n};
    as_status st = v.v && v.texts && v.quarters ? AS_OK : as_fail_nomem(err, "slices", 0);
    for (int64_t i = 0; st == AS_OK && i < cols->slice_count; i++) st = read_slicing(&v, s, cols, i, err);
    if (st == AS_OK) st = as_slices_of(&out->slices, &out->slice_count, &p, v.v, k, out->metrics[0].name, j->level, j->seed, threads, err);
    if (st == AS_OK && store) st = note(&v, store, run, err);
    release(&v);
    return st;
}
