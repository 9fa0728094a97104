/* records.c: columns of a table as records. */
#include "data/records.h"
#include "base/hash.h"
#include "base/mem.h"
#include "data/compose.h"
#include "data/labels.h"
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct columns { int text, pair, label, id, cluster; } columns; /* -1 = none */
typedef struct owned { as_buf ids; uint8_t *sets; int *slice_col; as_composed text, pair; } owned;
/* The names of classes: fixed NULL = what the file has. */
typedef struct naming { const as_labels *fixed, *values; bool by_id; } naming;

/* ---- columns ---- */

static void list_columns(as_buf *b, const as_table *t) {
    for (int c = 0; c < as_table_cols(t); c++) {
        const as_str name = as_table_name(t, c);
        if (c) as_buf_str(b, ", ");
        as_buf_add(b, name.p, name.n);
    }
}

static as_status fail_column(const as_table *t, const char *name, const char *option, as_err *err) {
    as_buf list = {0};
    list_columns(&list, t);
    const as_status status = as_fail(err, AS_USAGE, "%s:1: no column \"%s\"", as_table_path(t), name);
    as_hint(err, "The columns are %.300s; name the one to use with %s.", list.p ? list.p : "", option);
    as_buf_free(&list);
    return status;
}

static int column_named(const as_table *t, const char *name) {
    for (int c = 0; c < as_table_cols(t); c++)
        if (as_str_is(as_table_name(t, c), name)) return c;
    return -1;
}

static as_status find_text(columns *c, const as_table *t, const as_data_cols *opts, as_err *err) {
    if (opts->text) return as_is_composed(opts->text, t) ? AS_OK : as_table_find(t, opts->text, &c->text, err);
    c->text = column_named(t, "text");
    if (c->text < 0) c->text = column_named(t, "sentence");
    if (c->text < 0 && as_table_cols(t) == 1) c->text = 0;
    return c->text >= 0 ? AS_OK : fail_column(t, "text", "--text", err);
}

static as_status pick_columns(columns *c, const as_table *t, const as_data_cols *opts, as_err *err) {
    *c = (columns){-1, -1, -1, -1, -1};
    AS_TRY(find_text(c, t, opts, err));
    if (opts->pair && !as_is_composed(opts->pair, t)) AS_TRY(as_table_find(t, opts->pair, &c->pair, err));
    if (opts->id) AS_TRY(as_table_find(t, opts->id, &c->id, err));
    if (opts->cluster) AS_TRY(as_table_find(t, opts->cluster, &c->cluster, err));
    if (opts->label_ignored) return AS_OK;
    if (opts->label) return as_table_find(t, opts->label, &c->label, err);
    c->label = column_named(t, "label");
    if (c->label >= 0 && c->label == c->text) c->label = -1; /* the only column, by chance of that name */
    return c->label < 0 && opts->label_required ? fail_column(t, "label", "--label", err) : AS_OK;
}

/* Columns that were found by their usual names, too, must be such as are read. */
static as_status find_columns(columns *c, const as_table *t, const as_data_cols *opts, as_err *err) {
    AS_TRY(pick_columns(c, t, opts, err));
    if (c->text >= 0) AS_TRY(as_table_readable(t, c->text, err));
    return c->label >= 0 ? as_table_readable(t, c->label, err) : AS_OK;
}

static as_status find_slices(owned *o, const as_table *t, const as_data_cols *opts, as_err *err) {
    if (opts->slice_count == 0) return AS_OK;
    if (!(o->slice_col = as_alloc((size_t)opts->slice_count, sizeof *o->slice_col))) return as_fail_nomem(err, "slices", 0);
    for (int64_t k = 0; k < opts->slice_count; k++) {
        o->slice_col[k] = -1;
        if (opts->slices[k][0] != '@') AS_TRY(as_table_find(t, opts->slices[k], &o->slice_col[k], err));
    }
    return AS_OK;
}

as_str as_record_slice(const as_records *r, int64_t i, int64_t k) {
    const owned *o = r->owned;
    return o->slice_col && o->slice_col[k] >= 0 ? as_table_cell(r->table, i, o->slice_col[k]) : (as_str){"", 0};
}

/* ---- texts, ids, clusters ---- */

static as_status fail_absent(const as_records *r, int64_t row, const char *what, as_err *err) {
    const as_status status =
        as_fail(err, AS_FORMAT, "%s:%" PRId64 ": no %s", r->path, as_table_line(r->table, row), what);
    as_hint(err, "Give every record its %s; an empty string is fine.", what);
    return status;
}

static as_status read_texts(as_records *r, const columns *c, as_err *err) {
    for (int64_t i = 0; i < r->n; i++) {
        as_record *v = &r->v[i];
        *v = (as_record){.line = as_table_line(r->table, i), .label = -1, .value = NAN, .cluster = {"", 0}};
        if (c->text >= 0 && as_table_is_null(r->table, i, c->text)) return fail_absent(r, i, "text", err);
        if (c->text >= 0) v->text = as_table_cell(r->table, i, c->text);
        if (c->pair >= 0) {
            if (as_table_is_null(r->table, i, c->pair)) return fail_absent(r, i, "pair", err);
            v->pair = as_table_cell(r->table, i, c->pair);
            if (!v->pair.p) v->pair.p = "";
        }
        if (c->cluster >= 0) v->cluster = as_table_cell(r->table, i, c->cluster);
    }
    return AS_OK;
}

/* Texts that are composed of several columns. */
static as_status compose_texts(as_records *r, owned *o, const columns *c, const as_data_cols *opts, as_err *err) {
    const bool text = c->text < 0, pair = c->pair < 0 && opts->pair;
    if (text) AS_TRY(as_compose(&o->text, opts->text, r->table, r->n, err));
    if (pair) AS_TRY(as_compose(&o->pair, opts->pair, r->table, r->n, err));
    for (int64_t i = 0; i < r->n; i++) {
        if (text) r->v[i].text = as_composed_at(&o->text, i);
        if (pair) r->v[i].pair = as_composed_at(&o->pair, i);
    }
    r->has_pair = r->has_pair || pair;
    return AS_OK;
}

/* Record numbers from 0, in one block. */
static as_status number_ids(as_records *r, owned *o, as_err *err) {
    for (int64_t i = 0; i < r->n; i++) {
        char number[24];
        as_buf_add(&o->ids, number, (size_t)snprintf(number, sizeof number, "%" PRId64, i));
    }
    if (o->ids.failed) return as_fail_nomem(err, "record ids", (size_t)r->n * 8);
    const char *p = o->ids.p;
    size_t digits = 1;
    for (int64_t i = 0, next = 10; i < r->n; i++) {
        if (i == next) {
            digits++;
            next *= 10;
        }
        r->v[i].id = (as_str){p, digits};
        p += digits;
    }
    return AS_OK;
}

static as_status read_ids(as_records *r, int col, as_err *err) {
    as_strmap seen = {0};
    as_status status = AS_OK;
    for (int64_t i = 0; status == AS_OK && i < r->n; i++) {
        bool added = true;
        const as_str id = as_table_cell(r->table, i, col);
        r->v[i].id = id;
        if (id.n == 0) {
            status = as_fail(err, AS_FORMAT, "%s:%" PRId64 ": empty id", r->path, r->v[i].line);
            as_hint(err, "Give every record an id, or leave --id out: records are then numbered.");
            break;
        }
        const int64_t *first = as_strmap_at(&seen, id, i, &added);
        if (!first) {
            status = as_fail_nomem(err, "record ids", (size_t)r->n * sizeof(as_strmap_slot));
        } else if (!added) {
            status = as_fail(err, AS_FORMAT, "%s:%" PRId64 ": id \"%.*s\" is already that of line %" PRId64, r->path,
                             r->v[i].line, id.n < 100 ? (int)id.n : 100, id.p, r->v[*first].line);
            as_hint(err, "Ids tell items apart: make them unique, or leave --id out and records are numbered.");
        }
    }
    as_strmap_free(&seen);
    return status;
}

/* ---- labels ---- */

static as_status fail_no_label(const as_records *r, int64_t row, as_err *err) {
    const as_status status = as_fail(err, AS_FORMAT, "%s:%" PRId64 ": empty label", r->path, r->v[row].line);
    as_hint(err, "Label this record, or remove it: training and scoring need the label of every record.");
    return status;
}

static as_status read_values(as_records *r, int col, bool required, as_err *err) {
    for (int64_t i = 0; i < r->n; i++) {
        const as_str cell = as_table_cell(r->table, i, col);
        if (cell.n == 0) {
            if (required) return fail_no_label(r, i, err);
            continue;
        }
        if (!as_parse_f64(cell, &r->v[i].value) || !isfinite(r->v[i].value)) {
            const as_status status = as_fail(err, AS_FORMAT, "%s:%" PRId64 ": label \"%.*s\" is not a finite number",
                                             r->path, r->v[i].line, cell.n < 100 ? (int)cell.n : 100, cell.p);
            as_hint(err, "Regression needs numbers with a decimal point; classes are read with --kind classify.");
            return status;
        }
    }
    return AS_OK;
}

/* The given names, parsed when they come from the option; *fixed NULL when there are none. */
static as_status given_labels(const as_labels **fixed, as_labels *parsed, const as_data_cols *opts,
                              const as_labels *known, as_err *err) {
    *fixed = known && known->count > 0 ? known : NULL;
    if (!opts->labels) return AS_OK;
    AS_TRY(as_labels_parse(parsed, opts->labels, err));
    *fixed = parsed;
    return AS_OK;
}

static as_status read_classes(as_records *r, int col, bool required, naming by, as_err *err) {
    as_label_set found;
    int32_t *id_of = NULL;
    as_status status = AS_OK;
    as_label_set_init(&found);
    for (int64_t i = 0; i < r->n; i++) {
        const as_str cell = as_table_cell(r->table, i, col);
        if (cell.n == 0) {
            if (!required) continue;
            status = fail_no_label(r, i, err);
            goto done;
        }
        const int64_t place = as_label_set_add(&found, cell, i, false);
        if (place < 0 || place > INT32_MAX) {
            status = as_fail_nomem(err, "labels", found.n * sizeof(as_strmap_slot));
            goto done;
        }
        r->v[i].label = (int32_t)place;
    }
    id_of = as_alloc(found.n ? found.n : 1, sizeof *id_of);
    status = id_of ? as_labels_resolve(&r->labels, id_of, &found, by.fixed, by.values, by.by_id, r->table, err)
                   : as_fail_nomem(err, "labels", found.n * sizeof *id_of);
    if (status != AS_OK) goto done;
    for (int64_t i = 0; i < r->n; i++)
        if (r->v[i].label >= 0) r->v[i].label = id_of[r->v[i].label];
done:
    as_free(id_of);
    as_label_set_deinit(&found);
    return status;
}

/* Labels of all cells, one behind the other: those of record i are place[begin[i]] to place[begin[i + 1]]. */
typedef struct multi {
    as_label_set found;
    int32_t *place;
    size_t n, cap;
    int64_t row;
    size_t *begin;
    int32_t *id_of;
} multi;

static as_status add_part(void *ctx, as_str name, bool copy, as_err *err) {
    multi *m = ctx;
    const int64_t place = as_label_set_add(&m->found, name, m->row, copy);
    if (place < 0 || place > INT32_MAX || !as_grow(&m->place, &m->cap, m->n + 1, sizeof *m->place))
        return as_fail_nomem(err, "labels", (m->n + 1) * sizeof *m->place);
    m->place[m->n++] = (int32_t)place;
    return AS_OK;
}

static as_status split_cells(multi *m, const as_records *r, int col, bool required, as_err *err) {
    for (int64_t i = 0; i < r->n; i++) {
        m->row = i;
        m->begin[i] = m->n;
        if (as_table_is_null(r->table, i, col)) {
            if (required) return fail_no_label(r, i, err);
            continue;
        }
        AS_TRY(as_label_cell_split(as_table_cell(r->table, i, col), r->path, r->v[i].line, add_part, m, err));
    }
    m->begin[r->n] = m->n;
    return AS_OK;
}

static as_status fill_sets(const multi *m, as_records *r, owned *o, int col, as_err *err) {
    const size_t k = (size_t)r->labels.count;
    uint64_t bytes = 0;
    if (!as_mul_u64((uint64_t)r->n, k, &bytes)) bytes = UINT64_MAX;
    o->sets = bytes < SIZE_MAX ? as_calloc((size_t)bytes + 1, 1) : NULL;
    if (!o->sets) return as_fail_nomem(err, "label sets", (size_t)bytes);
    for (int64_t i = 0; i < r->n; i++) {
        uint8_t *set = o->sets + (size_t)i * k;
        if (as_table_is_null(r->table, i, col)) continue;
        for (size_t p = m->begin[i]; p < m->begin[i + 1]; p++) set[m->id_of[m->place[p]]] = 1;
        r->v[i].set = set;
    }
    return AS_OK;
}

static as_status read_sets(as_records *r, owned *o, int col, bool required, naming by, as_err *err) {
    multi m = {.begin = as_alloc((size_t)r->n + 1, sizeof *m.begin)};
    as_label_set_init(&m.found);
    as_status status = m.begin ? split_cells(&m, r, col, required, err)
                               : as_fail_nomem(err, "labels", (size_t)r->n * sizeof *m.begin);
    if (status == AS_OK) {
        m.id_of = as_alloc(m.found.n ? m.found.n : 1, sizeof *m.id_of);
        status = m.id_of ? as_labels_resolve(&r->labels, m.id_of, &m.found, by.fixed, by.values, by.by_id, r->table, err)
                         : as_fail_nomem(err, "labels", m.found.n * sizeof *m.id_of);
    }
    if (status == AS_OK) status = fill_sets(&m, r, o, col, err);
    as_label_set_deinit(&m.found);
    as_free(m.place);
    as_free(m.begin);
    as_free(m.id_of);
    return status;
}

static as_status read_labels(as_records *r, owned *o, const columns *c, const as_data_cols *opts,
                             const as_labels *known, as_err *err) {
    const as_label_kind kind = opts->kind == AS_LABEL_NONE ? AS_LABEL_CLASS : opts->kind;
    naming by = {.by_id = opts->labels == NULL && opts->values == NULL};
    as_labels parsed = {0}, values = {0};
    AS_TRY(given_labels(&by.fixed, &parsed, opts, known, err));
    as_status status = AS_OK;
    if (opts->values && by.fixed) {
        status = as_labels_parse(&values, opts->values, err);
        if (status == AS_OK && values.count != by.fixed->count)
            status = as_fail(err, AS_USAGE, "%d values stand for %d labels", values.count, by.fixed->count);
        by.values = &values;
    }
    r->has_label = c->label >= 0;
    r->kind = r->has_label ? kind : AS_LABEL_NONE;
    if (status != AS_OK) r->has_label = false;
    else if (!r->has_label) status = by.fixed ? as_labels_copy(&r->labels, by.fixed, err) : AS_OK;
    else if (kind == AS_LABEL_VALUE) status = read_values(r, c->label, opts->label_required, err);
    else if (kind == AS_LABEL_MULTI) status = read_sets(r, o, c->label, opts->label_required, by, err);
    else status = read_classes(r, c->label, opts->label_required, by, err);
    as_labels_free(&parsed), as_labels_free(&values);
    return status;
}

/* ---- open and free ---- */

static as_status read_all(as_records *r, const as_data_cols *opts, const as_labels *known, as_err *err) {
    columns c;
    owned *o = r->owned = as_calloc(1, sizeof *o);
    r->path = as_strdup(as_table_path(r->table));
    if (!o || !r->path) return as_fail_nomem(err, "records", sizeof *o);
    AS_TRY(find_columns(&c, r->table, opts, err));
    AS_TRY(find_slices(o, r->table, opts, err));
    r->n = as_table_rows(r->table);
    if (opts->limit > 0 && opts->limit < r->n) r->n = opts->limit;
    if (r->n == 0) {
        const as_status status = as_fail(err, AS_FORMAT, "%s: no records", r->path);
        as_hint(err, "The file holds no data; a table's first line is its header unless --no-header is given.");
        return status;
    }
    r->v = as_alloc((size_t)r->n, sizeof *r->v);
    if (!r->v) return as_fail_nomem(err, "records", (size_t)r->n * sizeof *r->v);
    r->has_pair = c.pair >= 0;
    AS_TRY(read_texts(r, &c, err));
    AS_TRY(compose_texts(r, o, &c, opts, err));
    AS_TRY(c.id >= 0 ? read_ids(r, c.id, err) : number_ids(r, o, err));
    return read_labels(r, o, &c, opts, known, err);
}

as_status as_records_of_table(as_records *out, as_table *table, const as_data_cols *opts, const as_labels *known,
                              as_err *err) {
    *out = (as_records){.table = table};
    const as_status status = read_all(out, opts, known, err);
    if (status != AS_OK) as_records_free(out);
    return status;
}

as_status as_records_open(as_records *out, const char *path, const as_data_cols *opts, const as_labels *known,
                          as_err *err) {
    as_table_opts table_opts = opts->table;
    as_table *table = NULL;
    *out = (as_records){0};
    if (opts->limit > 0 && (table_opts.limit == 0 || opts->limit < table_opts.limit)) table_opts.limit = opts->limit;
    AS_TRY(as_table_open(&table, path, &table_opts, err));
    return as_records_of_table(out, table, opts, known, err);
}

void as_records_free(as_records *r) {
    if (!r) return;
    owned *o = r->owned;
    if (o) {
        as_buf_free(&o->ids);
        as_free(o->sets);
        as_free(o->slice_col);
        as_composed_free(&o->text), as_composed_free(&o->pair);
        as_free(o);
    }
    as_labels_free(&r->labels);
    as_free(r->v);
    as_free(r->path);
    as_table_free(r->table);
    *r = (as_records){0};
}

/* ---- one record ---- */

/* Each field is hashed with the running hash as its seed, so no two ways to cut the same bytes agree. */
uint64_t as_record_hash(const as_record *r, const as_records *of) {
    uint64_t h = as_hash64(r->text.p, r->text.n, 0);
    h = r->pair.p ? as_hash64(r->pair.p, r->pair.n, h) : as_hash64("no pair", 8, ~h);
    if (of->kind == AS_LABEL_CLASS && r->label >= 0) {
        const char *name = of->labels.names[r->label];
        return as_hash64(name, strlen(name), h);
    }
    if (of->kind == AS_LABEL_VALUE && !isnan(r->value)) {
        const double value = r->value + 0.0; /* -0 is 0 */
        return as_hash64(&value, sizeof value, h);
    }
    if (of->kind == AS_LABEL_MULTI && r->set) {
        uint64_t sum = 0; /* a sum, so that the order of the ids does not matter */
        for (int i = 0; i < of->labels.count; i++)
            if (r->set[i]) sum += as_hash64(of->labels.names[i], strlen(of->labels.names[i]), h);
        return as_hash64(&sum, sizeof sum, h);
    }
    return as_hash64("no label", 9, ~h);
}

void as_record_gold(as_buf *out, const as_record *r, const as_records *of) {
    if (of->kind == AS_LABEL_CLASS && r->label >= 0) as_buf_str(out, of->labels.names[r->label]);
    if (of->kind == AS_LABEL_VALUE && !isnan(r->value)) as_buf_real(out, r->value);
    if (of->kind != AS_LABEL_MULTI || !r->set) return;
    const char *between = "";
    as_buf_char(out, '[');
    for (int i = 0; i < of->labels.count; i++) {
        if (!r->set[i]) continue;
        as_buf_str(out, between);
        as_buf_json_str(out, as_str_of(of->labels.names[i]));
        between = ",";
    }
    as_buf_char(out, ']');
}
