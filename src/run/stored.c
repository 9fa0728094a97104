#include "run/stored.h"
#include "base/mem.h"
#include "data/strmap.h"
#include "io/json.h"
#include <inttypes.h>
#include <math.h>
#include <string.h>

/* --- the run itself --- */
typedef struct search { as_stored *out; as_run_state state; bool found; int64_t newest; int64_t items; } search;

static bool copy(char **out, const char *s) { return (*out = as_strdup(s ? s : "")) != NULL; }

static as_status look(void *ctx, const as_run_info *r, as_err *err) {
    search *s = ctx;
    if (r->items > 0) s->newest = r->id;
    if (r->id != s->out->run) return AS_OK;
    as_stored *o = s->out;
    s->found = true, s->state = r->state, s->items = r->items;
    o->started = r->started, o->ended = r->ended;
    const bool ok = copy(&o->command, r->command) && copy(&o->model, r->model) && copy(&o->task, r->task) && copy(&o->dtype, r->dtype) &&
                    copy(&o->isa, r->isa) && copy(&o->config_json, r->config_json) && copy(&o->result_json, r->result_json);
    return ok ? AS_OK : as_fail_nomem(err, "a stored run", 0);
}

static void hint_newest(int64_t newest, as_err *err) {
    if (newest) as_hint(err, "assay runs lists what is stored; the newest run with items is %" PRId64 ".", newest);
    else as_hint(err, "assay eval MODEL --data F scores items and stores them.");
}
as_status as_stored_none(int64_t run, int64_t newest, as_err *err) {
    (void)as_fail(err, AS_USAGE, "no run %" PRId64 " is stored", run);
    hint_newest(newest, err);
    return AS_USAGE;
}

static as_status find(as_stored *o, as_store *store, search *s, as_err *err) {
    AS_TRY(as_store_runs_each(store, look, s, err));
    as_status st = AS_OK;
    if (!s->found) return as_stored_none(o->run, s->newest, err);
    if (s->items == 0) st = as_fail(err, AS_USAGE, "run %" PRId64 " (%s) has no scored items", o->run, o->command);
    else if (s->state != AS_RUN_DONE) st = as_fail(err, AS_USAGE, "run %" PRId64 " is not finished", o->run);
    if (st == AS_OK) return AS_OK;
    if (s->items > 0) as_hint(err, "Give its command again: it goes on where it was.");
    else hint_newest(s->newest, err);
    return st;
}

/* --- labels and kind, from the run's config --- */
static as_status read_config(as_stored *o, as_err *err) {
    as_json *doc;
    AS_TRY(as_json_parse(&doc, as_str_of(o->config_json), "the run's config", 0, err));
    const as_json *values = as_json_get(doc, "values");
    const as_str kind = as_json_str(as_json_get(doc, "kind"), AS_LIT("classify"));
    const size_t n = as_json_count(values);
    o->p.kind = as_str_is(kind, "multilabel") ? AS_PRED_MULTILABEL : as_str_is(kind, "regress") ? AS_PRED_VALUE : AS_PRED_CLASS;
    as_status s = n > 0 && n < 1u << 20 ? AS_OK : as_fail(err, AS_FORMAT, "run %" PRId64 ": its config names no labels", o->run);
    if (s == AS_OK && !(o->labels.names = as_calloc(n, sizeof *o->labels.names))) s = as_fail_nomem(err, "labels", n);
    for (size_t i = 0; s == AS_OK && i < n; i++) {
        const as_str name = as_json_str(as_json_at(values, i), AS_LIT(""));
        if (!(o->labels.names[i] = as_strndup(name.p, name.n))) s = as_fail_nomem(err, "labels", name.n);
        else o->labels.count++;
    }
    as_json_free(doc);
    o->p.num_labels = o->labels.count, o->p.label_names = (const char *const *)o->labels.names, o->p.positive = -1;
    return s;
}

/* --- items --- */
typedef struct reading { as_stored *o; as_strmap clusters; int32_t next; bool any_cluster; } reading;

static as_status make_room(as_stored *o, int64_t n, as_err *err) {
    const size_t rows = (size_t)n, cells = rows * (size_t)o->p.num_labels;
    bool ok = (o->id = as_calloc(rows, sizeof *o->id)) && (o->text = as_calloc(rows, sizeof *o->text)) && (o->pair = as_calloc(rows, sizeof *o->pair)) &&
              (o->gold = as_calloc(rows, sizeof *o->gold)) && (o->pred = as_calloc(rows, sizeof *o->pred)) && (o->slices = as_calloc(rows, sizeof *o->slices)) &&
              (o->hash = as_calloc(rows, sizeof *o->hash)) && (o->cluster = as_calloc(rows, sizeof *o->cluster)) &&
              (o->cluster_name = as_calloc(rows, sizeof *o->cluster_name)) && (o->tokens = as_calloc(rows, sizeof *o->tokens));
    void *gold = NULL, *pred = NULL, *probs = NULL;
    if (ok && o->p.kind == AS_PRED_CLASS) ok = (gold = as_calloc(rows, sizeof *o->p.gold)) && (pred = as_calloc(rows, sizeof *o->p.pred));
    if (ok && o->p.kind == AS_PRED_MULTILABEL) ok = (gold = as_calloc(cells, 1)) && (pred = as_calloc(cells, 1));
    if (ok && o->p.kind == AS_PRED_VALUE) ok = (gold = as_calloc(rows, sizeof *o->p.gold_value)) && (pred = as_calloc(rows, sizeof *o->p.pred_value));
    if (ok && o->p.kind != AS_PRED_VALUE) ok = (probs = as_calloc(cells, sizeof *o->p.probs)) != NULL;
    if (o->p.kind == AS_PRED_CLASS) o->p.gold = gold, o->p.pred = pred;
    if (o->p.kind == AS_PRED_MULTILABEL) o->p.gold_sets = gold, o->p.pred_sets = pred;
    if (o->p.kind == AS_PRED_VALUE) o->p.gold_value = gold, o->p.pred_value = pred;
    o->p.probs = probs;
    return ok ? AS_OK : as_fail_nomem(err, "stored items", cells * sizeof(double));
}

static as_status label_id(const as_stored *o, as_str name, int32_t *out, as_err *err) {
    *out = as_labels_find(&o->labels, name);
    return *out >= 0 ? AS_OK : as_fail(err, AS_FORMAT, "run %" PRId64 ": \"%.*s\" is not one of its labels", o->run, (int)(name.n < 60 ? name.n : 60), name.p);
}

/* A JSON list of label names, or names between ';' (as written before version 0.2), into a row of 0/1. */
static as_status label_set(const as_stored *o, as_str text, uint8_t *row, as_err *err) {
    if (text.n == 0) return AS_OK;
    int32_t id;
    if (text.p[0] != '[') {
        for (size_t at = 0; at <= text.n;) {
            const char *end = memchr(text.p + at, ';', text.n - at);
            const size_t n = end ? (size_t)(end - text.p) - at : text.n - at;
            AS_TRY(label_id(o, (as_str){text.p + at, n}, &id, err));
            row[id] = 1;
            at += n + 1;
        }
        return AS_OK;
    }
    as_json *doc;
    AS_TRY(as_json_parse(&doc, text, "a stored label", 0, err));
    as_status s = AS_OK;
    for (size_t i = 0; s == AS_OK && i < as_json_count(doc); i++)
        if ((s = label_id(o, as_json_str(as_json_at(doc, i), AS_LIT("")), &id, err)) == AS_OK) row[id] = 1;
    as_json_free(doc);
    return s;
}

static void fill_probs(double *p, const double *logits, int k, as_pred_kind kind) {
    if (kind == AS_PRED_MULTILABEL) {
        for (int j = 0; j < k; j++) p[j] = 1.0 / (1.0 + exp(-logits[j]));
        return;
    }
    double top = logits[0], sum = 0.0;
    for (int j = 1; j < k; j++) top = logits[j] > top ? logits[j] : top;
    for (int j = 0; j < k; j++) sum += p[j] = exp(logits[j] - top);
    for (int j = 0; j < k; j++) p[j] /= sum;
}

static as_status fill_scores(as_stored *o, int64_t i, const as_item *item, as_err *err) {
    const int k = o->p.num_labels;
    if (item->count != k) return as_fail(err, AS_FORMAT, "run %" PRId64 ": item %" PRId64 " has %d values, the run %d", o->run, i, item->count, k);
    /* The arrays are ours; as_predictions only borrows them as const. */
    if (o->p.kind == AS_PRED_VALUE) {
        double gold;
        if (!as_parse_f64(item->gold, &gold)) return as_fail(err, AS_FORMAT, "run %" PRId64 ": item %" PRId64 " has no number as its label", o->run, i);
        ((double *)(uintptr_t)o->p.gold_value)[i] = gold, ((double *)(uintptr_t)o->p.pred_value)[i] = item->values[0];
        return AS_OK;
    }
    fill_probs((double *)(uintptr_t)o->p.probs + i * k, item->values, k, o->p.kind);
    if (o->p.kind == AS_PRED_MULTILABEL) {
        AS_TRY(label_set(o, item->gold, (uint8_t *)(uintptr_t)o->p.gold_sets + i * k, err));
        return label_set(o, item->pred, (uint8_t *)(uintptr_t)o->p.pred_sets + i * k, err);
    }
    AS_TRY(label_id(o, item->gold, (int32_t *)(uintptr_t)o->p.gold + i, err));
    return label_id(o, item->pred, (int32_t *)(uintptr_t)o->p.pred + i, err);
}

static char *text_of(as_str s) { return as_strndup(s.p ? s.p : "", s.n); }

/* An item without a cluster is one by itself. */
static as_status number_cluster(reading *r, int64_t i, as_err *err) {
    bool added = true;
    int64_t fresh = r->next;
    const as_str name = as_str_of(r->o->cluster_name[i]);
    const int64_t *number = name.n ? as_strmap_at(&r->clusters, name, fresh, &added) : &fresh;
    if (!number) return as_fail_nomem(err, "clusters", name.n);
    r->o->cluster[i] = (int32_t)*number, r->next += added;
    return AS_OK;
}

static as_status take(void *ctx, const as_item *item, as_err *err) {
    reading *r = ctx;
    as_stored *o = r->o;
    const int64_t i = o->n;
    bool ok = (o->id[i] = text_of(item->id)) && (o->text[i] = text_of(item->text)) && (o->gold[i] = text_of(item->gold)) && (o->pred[i] = text_of(item->pred)) &&
              (o->cluster_name[i] = text_of(item->cluster)) && (o->slices[i] = text_of(item->slices));
    if (ok && item->pair.p) ok = (o->pair[i] = text_of(item->pair)) != NULL;
    o->n++; /* what is there so far is freed */
    o->p.n = o->n, o->hash[i] = item->hash, o->tokens[i] = item->tokens;
    r->any_cluster |= item->cluster.n > 0;
    if (!ok) return as_fail_nomem(err, "stored items", item->text.n);
    AS_TRY(number_cluster(r, i, err));
    return fill_scores(o, i, item, err);
}

static as_status read_items(as_stored *o, as_store *store, int64_t n, as_err *err) {
    AS_TRY(make_room(o, n, err));
    reading r = {.o = o};
    const as_status s = as_store_items_each(store, o->run, take, &r, err);
    as_strmap_free(&r.clusters);
    if (!r.any_cluster) {
        as_free(o->cluster);
        for (int64_t i = 0; i < o->n; i++) as_free(o->cluster_name[i]);
        as_free(o->cluster_name);
        o->cluster = NULL, o->cluster_name = NULL;
    }
    return s;
}

typedef struct asking { int64_t run; const char *command; bool is; } asking;
static as_status ask(void *ctx, const as_run_info *r, as_err *err) {
    (void)err;
    asking *a = ctx;
    if (r->id == a->run) a->is = strcmp(r->command, a->command) == 0;
    return AS_OK;
}
as_status as_stored_is(bool *is, as_store *store, int64_t run, const char *command, as_err *err) {
    asking a = {.run = run, .command = command};
    const as_status s = as_store_runs_each(store, ask, &a, err);
    *is = a.is;
    return s;
}
as_status as_stored_open_bare(as_stored *out, as_store *store, int64_t run, as_err *err) {
    *out = (as_stored){.run = run, .p.kind = AS_PRED_VALUE};
    search s = {.out = out};
    as_status st = as_store_runs_each(store, look, &s, err);
    if (st == AS_OK && s.state != AS_RUN_DONE) {
        st = as_fail(err, AS_USAGE, "run %" PRId64 " is not finished", run);
        as_hint(err, "Give its command again: it goes on where it was.");
    }
    if (st != AS_OK) as_stored_free(out);
    return st;
}

as_status as_stored_open(as_stored *out, as_store *store, int64_t run, as_err *err) {
    *out = (as_stored){.run = run};
    search s = {.out = out};
    as_status st = find(out, store, &s, err);
    if (st == AS_OK) st = read_config(out, err);
    if (st == AS_OK) st = read_items(out, store, s.items, err);
    if (st != AS_OK) as_stored_free(out);
    return st;
}

static void free_texts(char **v, int64_t n) {
    for (int64_t i = 0; v && i < n; i++) as_free(v[i]);
    as_free(v);
}
void as_stored_free(as_stored *s) {
    as_free(s->command), as_free(s->model), as_free(s->task), as_free(s->dtype), as_free(s->isa), as_free(s->config_json), as_free(s->result_json);
    const void *arrays[] = {s->p.gold, s->p.pred, s->p.probs, s->p.gold_sets, s->p.pred_sets, s->p.gold_value, s->p.pred_value};
    for (size_t i = 0; i < AS_COUNT(arrays); i++) as_free((void *)(uintptr_t)arrays[i]);
    free_texts(s->id, s->n), free_texts(s->text, s->n), free_texts(s->pair, s->n), free_texts(s->gold, s->n), free_texts(s->pred, s->n);
    free_texts(s->cluster_name, s->n), free_texts(s->slices, s->n);
    as_free(s->hash), as_free(s->cluster), as_free(s->tokens);
    as_labels_free(&s->labels);
    *s = (as_stored){0};
}

/* --- two runs of the same items --- */
static as_status different(const as_stored *a, const as_stored *b, const char *id, const char *what, as_err *err) {
    (void)as_fail(err, AS_USAGE, "runs %" PRId64 " and %" PRId64 " are not of the same items: item \"%.80s\" %s", a->run, b->run, id, what);
    as_hint(err, "Only runs on the same data can be compared; evaluate both on one file.");
    return AS_USAGE;
}

/* to[i] = b's item that is a's item i. */
static as_status match(const as_stored *a, const as_stored *b, int64_t *to, as_err *err) {
    as_strmap ids = {0};
    as_status s = AS_OK;
    for (int64_t i = 0; s == AS_OK && i < b->n; i++)
        if (!as_strmap_at(&ids, as_str_of(b->id[i]), i, NULL)) s = as_fail_nomem(err, "an alignment", 0);
    for (int64_t i = 0; s == AS_OK && i < a->n; i++) {
        const int64_t *at = as_strmap_get(&ids, as_str_of(a->id[i]));
        if (!at) s = different(a, b, a->id[i], "is only in the first", err);
        else if (b->hash[*at] != a->hash[i]) s = different(a, b, a->id[i], "has another text or label in the second", err);
        else to[i] = *at;
    }
    if (s == AS_OK && a->n != b->n) { /* ids are unique in a run, so b has one more */
        as_strmap_free(&ids);
        for (int64_t i = 0; s == AS_OK && i < a->n; i++)
            if (!as_strmap_at(&ids, as_str_of(a->id[i]), i, NULL)) s = as_fail_nomem(err, "an alignment", 0);
        for (int64_t i = 0; s == AS_OK && i < b->n; i++)
            if (!as_strmap_get(&ids, as_str_of(b->id[i]))) s = different(a, b, b->id[i], "is only in the second", err);
    }
    as_strmap_free(&ids);
    return s;
}

static as_status reorder(const void *array, const int64_t *to, int64_t n, size_t bytes, as_err *err) {
    if (!array) return AS_OK;
    unsigned char *v = (unsigned char *)(uintptr_t)array, *was = as_alloc((size_t)n, bytes);
    if (!was) return as_fail_nomem(err, "an alignment", (size_t)n * bytes);
    memcpy(was, v, (size_t)n * bytes);
    for (int64_t i = 0; i < n; i++) memcpy(v + (size_t)i * bytes, was + (size_t)to[i] * bytes, bytes);
    as_free(was);
    return AS_OK;
}

static as_status same_labels(const as_stored *a, const as_stored *b, as_err *err) {
    bool same = a->p.kind == b->p.kind && a->labels.count == b->labels.count;
    for (int i = 0; same && i < a->labels.count; i++) same = strcmp(a->labels.names[i], b->labels.names[i]) == 0;
    if (same) return AS_OK;
    (void)as_fail(err, AS_USAGE, "runs %" PRId64 " and %" PRId64 " have different labels", a->run, b->run);
    as_hint(err, "Evaluate both models with the same label names; their order does not matter.");
    return AS_USAGE;
}

/* --- the same labels in another order --- */
/* to[i] = where b's label i stands in `names`; false when they are not the same names. */
static bool map_labels(int *to, const as_stored *b, const as_labels *names) {
    if (b->labels.count != names->count) return false;
    for (int i = 0; i < names->count; i++) {
        int found = 0;
        for (int k = 0; k < names->count; k++)
            if (strcmp(b->labels.names[i], names->names[k]) == 0) to[i] = k, found++;
        if (found != 1) return false;
    }
    return true;
}

static void move_columns(void *array, const int *to, int64_t n, int count, size_t bytes, void *row) {
    unsigned char *v = array;
    for (int64_t i = 0; v && i < n; i++, v += (size_t)count * bytes) {
        memcpy(row, v, (size_t)count * bytes);
        for (int k = 0; k < count; k++) memcpy(v + (size_t)to[k] * bytes, (unsigned char *)row + (size_t)k * bytes, bytes);
    }
}
#define OURS(p) ((void *)(uintptr_t)(p)) /* the arrays are ours although as_predictions has them const */

as_status as_stored_relabel(as_stored *b, const as_labels *names, as_err *err) {
    const int k = b->labels.count;
    if (b->p.kind == AS_PRED_VALUE || names->count != k) return AS_OK;
    int *to = as_alloc((size_t)k, sizeof *to);
    char **was = as_alloc((size_t)k, sizeof *was);
    double *row = as_alloc((size_t)k, sizeof *row);
    const bool room = to && was && row;
    if (room && map_labels(to, b, names)) {
        memcpy(was, b->labels.names, (size_t)k * sizeof *was);
        for (int i = 0; i < k; i++) b->labels.names[to[i]] = was[i];
        int32_t *gold = OURS(b->p.gold), *pred = OURS(b->p.pred);
        for (int64_t i = 0; gold && i < b->n; i++) gold[i] = gold[i] >= 0 ? to[gold[i]] : gold[i];
        for (int64_t i = 0; pred && i < b->n; i++) pred[i] = pred[i] >= 0 ? to[pred[i]] : pred[i];
        move_columns(OURS(b->p.probs), to, b->n, k, sizeof *row, row);
        move_columns(OURS(b->p.gold_sets), to, b->n, k, 1, row), move_columns(OURS(b->p.pred_sets), to, b->n, k, 1, row);
    }
    as_free(to), as_free(was), as_free(row);
    return room ? AS_OK : as_fail_nomem(err, "labels", (size_t)k * sizeof *row);
}

as_status as_stored_align(const as_stored *a, as_stored *b, as_err *err) {
    if (a->p.kind == b->p.kind) AS_TRY(as_stored_relabel(b, &a->labels, err));
    AS_TRY(same_labels(a, b, err));
    int64_t *to = as_alloc((size_t)b->n + (size_t)a->n, sizeof *to);
    if (!to) return as_fail_nomem(err, "an alignment", 0);
    as_status s = match(a, b, to, err);
    const size_t k = (size_t)b->p.num_labels;
    const struct { const void *v; size_t bytes; } arrays[] = {
        {b->id, sizeof *b->id}, {b->text, sizeof *b->text}, {b->pair, sizeof *b->pair}, {b->gold, sizeof *b->gold}, {b->pred, sizeof *b->pred},
        {b->slices, sizeof *b->slices}, {b->hash, sizeof *b->hash}, {b->cluster, sizeof *b->cluster}, {b->cluster_name, sizeof *b->cluster_name},
        {b->tokens, sizeof *b->tokens}, {b->p.gold, sizeof *b->p.gold}, {b->p.pred, sizeof *b->p.pred}, {b->p.probs, k * sizeof *b->p.probs},
        {b->p.gold_sets, k}, {b->p.pred_sets, k}, {b->p.gold_value, sizeof(double)}, {b->p.pred_value, sizeof(double)}};
    for (size_t i = 0; s == AS_OK && i < AS_COUNT(arrays); i++) s = reorder(arrays[i].v, to, b->n, arrays[i].bytes, err);
    as_free(to);
    return s;
}
