/* labels.c: label names, their order, and what to say when one is not known. */
#include "data/labels.h"
#include "base/mem.h"
#include "io/json.h"
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SHOWN_LABELS 12 /* how many names a message lists */

/* ---- as_labels ---- */

void as_labels_free(as_labels *l) {
    if (!l) return;
    for (int i = 0; i < l->count; i++) as_free(l->names[i]);
    as_free(l->names);
    *l = (as_labels){0};
}

int as_labels_find(const as_labels *l, as_str name) {
    for (int i = 0; i < l->count; i++)
        if (as_str_is(name, l->names[i])) return i;
    return -1;
}

/* Room for `count` names, all NULL, so that as_labels_free is right at any time. */
static as_status labels_alloc(as_labels *out, size_t count, as_err *err) {
    *out = (as_labels){0};
    if (count > INT_MAX) return as_fail(err, AS_FORMAT, "more than %d labels", INT_MAX);
    out->names = as_calloc(count ? count : 1, sizeof *out->names);
    if (!out->names) return as_fail_nomem(err, "label names", count * sizeof *out->names);
    out->count = (int)count;
    return AS_OK;
}

static as_status labels_set(as_labels *l, int i, as_str name, as_err *err) {
    if (name.n && memchr(name.p, 0, name.n)) return as_fail(err, AS_FORMAT, "a label name holds a NUL byte");
    l->names[i] = as_strndup(name.p, name.n);
    return l->names[i] ? AS_OK : as_fail_nomem(err, "label names", name.n);
}

as_status as_labels_copy(as_labels *out, const as_labels *from, as_err *err) {
    as_status status = labels_alloc(out, (size_t)from->count, err);
    for (int i = 0; status == AS_OK && i < from->count; i++)
        status = labels_set(out, i, as_str_of(from->names[i]), err);
    if (status != AS_OK) as_labels_free(out);
    return status;
}

/* ---- the option --labels ---- */

typedef struct option_names { as_label_set set; size_t given; } option_names;

static as_status collect_name(void *ctx, as_str name, bool copy, as_err *err) {
    option_names *names = ctx;
    names->given++;
    if (as_label_set_add(&names->set, name, 0, copy) < 0) return as_fail_nomem(err, "label names", name.n);
    return AS_OK;
}

/* Names of a list cut at `sep`, or of a JSON list. */
static as_status split_list(as_str list, char sep, const char *where, int64_t line, as_label_sink sink, void *ctx,
                            as_err *err);

as_status as_labels_parse(as_labels *out, const char *list, as_err *err) {
    option_names names = {.given = 0};
    as_label_set *set = &names.set;
    *out = (as_labels){0};
    as_label_set_init(set);
    as_status status = split_list(as_str_of(list), ',', "--labels", 0, collect_name, &names, err);
    if (status == AS_FORMAT) { /* what is wrong is the option, not a file */
        status = AS_USAGE;
        if (err) err->status = AS_USAGE;
    }
    if (status == AS_OK && (set->n == 0 || set->n < names.given)) {
        status = as_fail(err, AS_USAGE, "--labels: %zu names, of which %zu differ", names.given, set->n);
        as_hint(err, "Name each label once, in id order, as in --labels negative,positive.");
    }
    if (status == AS_OK) status = labels_alloc(out, set->n, err);
    for (size_t i = 0; status == AS_OK && i < set->n; i++) status = labels_set(out, (int)i, set->name[i], err);
    if (status != AS_OK) as_labels_free(out);
    as_label_set_deinit(set);
    return status;
}

/* ---- cells with several labels ---- */

static as_status fail_empty(const char *where, int64_t line, as_err *err) {
    const as_status status = line > 0 ? as_fail(err, AS_FORMAT, "%s:%" PRId64 ": empty label in a list", where, line)
                                      : as_fail(err, AS_FORMAT, "%s: empty label in a list", where);
    as_hint(err, "Leave out the separator that has nothing beside it.");
    return status;
}

static as_status split_json(as_str list, const char *where, int64_t line, as_label_sink sink, void *ctx, as_err *err) {
    as_json *root = NULL;
    as_status status = as_json_parse(&root, list, where, line > 0 ? line - 1 : 0, err); /* adds its own line 1 */
    if (status != AS_OK) {
        if (status == AS_FORMAT) as_hint(err, "A label list that begins with [ is JSON: [\"a\", \"b\"].");
        return status;
    }
    as_buf text = {0};
    for (size_t i = 0; status == AS_OK && i < as_json_count(root); i++) {
        const as_json *v = as_json_at(root, i);
        const as_json_type type = as_json_typeof(v);
        as_buf_clear(&text);
        if (type == AS_JSON_STRING) {
            const as_str s = as_json_str(v, AS_LIT(""));
            as_buf_add(&text, s.p, s.n);
        } else if (type == AS_JSON_INT || type == AS_JSON_REAL || type == AS_JSON_BOOL) {
            as_json_dump(&text, v, 0);
        } else {
            status = as_fail(err, AS_FORMAT, "%s:%" PRId64 ": label %zu of a list is neither a string nor a number",
                             where, line, i + 1);
            as_hint(err, "Write the labels as a flat list: [\"a\", \"b\"].");
            break;
        }
        if (text.failed) status = as_fail_nomem(err, "labels", list.n);
        else if (text.n == 0) status = fail_empty(where, line, err);
        else status = sink(ctx, as_buf_view(&text), true, err);
    }
    as_buf_free(&text);
    as_json_free(root);
    return status;
}

static as_status split_list(as_str list, char sep, const char *where, int64_t line, as_label_sink sink, void *ctx,
                            as_err *err) {
    if (list.n == 0) return AS_OK;
    if (list.p[0] == '[') return split_json(list, where, line, sink, ctx, err);
    for (size_t begin = 0, i = 0; i <= list.n; i++) {
        if (i < list.n && list.p[i] != sep) continue;
        if (i == begin) return fail_empty(where, line, err);
        AS_TRY(sink(ctx, (as_str){list.p + begin, i - begin}, false, err));
        begin = i + 1;
    }
    return AS_OK;
}

as_status as_label_cell_split(as_str cell, const char *where, int64_t line, as_label_sink sink, void *ctx,
                              as_err *err) {
    return split_list(cell, ';', where, line, sink, ctx, err);
}

/* ---- the labels found in a file ---- */

void as_label_set_init(as_label_set *s) {
    *s = (as_label_set){0};
    as_arena_init(&s->copies, 4096);
}

void as_label_set_deinit(as_label_set *s) {
    as_strmap_free(&s->map);
    as_free(s->name);
    as_free(s->row);
    as_arena_deinit(&s->copies);
}

int64_t as_label_set_add(as_label_set *s, as_str name, int64_t row, bool copy) {
    const int64_t *known = as_strmap_get(&s->map, name);
    if (known) return *known;
    if (copy) {
        char *p = as_arena_push(&s->copies, name.n ? name.n : 1, 1);
        if (!p) return -1;
        memcpy(p, name.p, name.n);
        name.p = p;
    }
    if (!as_grow(&s->name, &s->cap, s->n + 1, sizeof *s->name)) return -1;
    if (!as_grow(&s->row, &s->row_cap, s->n + 1, sizeof *s->row)) return -1;
    bool added;
    if (!as_strmap_at(&s->map, name, (int64_t)s->n, &added)) return -1;
    s->name[s->n] = name;
    s->row[s->n] = row;
    return (int64_t)s->n++;
}

typedef struct sorted_label { as_str name; int64_t number; size_t place; } sorted_label;

static int by_bytes(const void *a, const void *b) {
    return as_str_cmp(((const sorted_label *)a)->name, ((const sorted_label *)b)->name);
}
static int by_number(const void *a, const void *b) {
    const int64_t x = ((const sorted_label *)a)->number, y = ((const sorted_label *)b)->number;
    return x != y ? (x < y ? -1 : 1) : by_bytes(a, b); /* "1" and "01" are two labels */
}

static as_status resolve_sorted(as_labels *out, int32_t *id_of, const as_label_set *found, as_err *err) {
    sorted_label *v = as_alloc(found->n ? found->n : 1, sizeof *v);
    if (!v) return as_fail_nomem(err, "label names", found->n * sizeof *v);
    bool integers = true;
    for (size_t i = 0; i < found->n; i++) {
        v[i] = (sorted_label){found->name[i], 0, i};
        integers = integers && as_parse_i64(found->name[i], &v[i].number);
    }
    qsort(v, found->n, sizeof *v, integers ? by_number : by_bytes);
    as_status status = labels_alloc(out, found->n, err);
    for (size_t i = 0; status == AS_OK && i < found->n; i++) {
        status = labels_set(out, (int)i, v[i].name, err);
        id_of[v[i].place] = (int32_t)i;
    }
    as_free(v);
    return status;
}

/* ---- labels given beforehand ---- */

/* The name that transformers gives to class i when nobody names it. */
static bool is_generic(const as_labels *l) {
    char name[32];
    for (int i = 0; i < l->count; i++) {
        snprintf(name, sizeof name, "LABEL_%d", i);
        if (strcmp(name, l->names[i]) != 0) return false;
    }
    return l->count > 0;
}

/* 0..count-1 written in the one usual way; else -1. */
static int32_t plain_id(as_str name, int count) {
    int64_t id = -1;
    char text[24];
    if (!as_parse_i64(name, &id) || id < 0 || id >= count) return -1;
    snprintf(text, sizeof text, "%" PRId64, id);
    return as_str_is(name, text) ? (int32_t)id : -1;
}

static bool resolve_by_id(int32_t *id_of, const as_label_set *found, int count) {
    for (size_t i = 0; i < found->n; i++)
        if ((id_of[i] = plain_id(found->name[i], count)) < 0) return false;
    return true;
}

static as_status name_by_id(as_labels *out, int count, as_err *err) {
    AS_TRY(labels_alloc(out, (size_t)count, err));
    as_status status = AS_OK;
    for (int i = 0; status == AS_OK && i < count; i++) {
        char text[16];
        snprintf(text, sizeof text, "%d", i);
        status = labels_set(out, i, as_str_of(text), err);
    }
    return status;
}

static as_status fail_unknown(as_str name, int64_t row, const as_labels *fixed, const as_table *table, as_err *err) {
    as_buf list = {0};
    char word[128];
    const int cut = name.n < 100 ? (int)name.n : 100;
    const int shown = fixed->count <= SHOWN_LABELS ? fixed->count : SHOWN_LABELS;
    for (int i = 0; i < shown; i++) as_buf_fmt(&list, "%s%s", i ? ", " : "", fixed->names[i]);
    if (shown < fixed->count) as_buf_fmt(&list, "... (%d labels)", fixed->count);
    const as_status status = as_fail(err, AS_FORMAT, "%s:%" PRId64 ": label \"%.*s\" is not one of %s",
                                     as_table_path(table), as_table_line(table, row), cut, name.p,
                                     list.p ? list.p : "");
    as_buf_free(&list);
    snprintf(word, sizeof word, "%.*s", cut, name.p);
    const int near = as_nearest(word, (const char *const *)fixed->names, (size_t)fixed->count);
    if (near >= 0)
        as_hint(err, "Did you mean \"%s\"? Other names for the same classes are given in id order with --labels.",
                fixed->names[near]);
    else if (plain_id(name, fixed->count) >= 0)
        as_hint(err, "If the numbers are class ids, name them in id order: --labels 0,1 and so on.");
    else
        as_hint(err, "Name the labels of this file in the order of their ids with --labels.");
    return status;
}

/* Ids by value or name; *unknown is the first place that has none, or found->n. */
static as_status resolve_by_name(int32_t *id_of, size_t *unknown, const as_label_set *found, const as_labels *fixed,
                                 const as_labels *values, as_err *err) {
    as_strmap map = {0};
    bool added, ok = true;
    *unknown = found->n;
    for (int i = 0; ok && values && i < values->count; i++) ok = as_strmap_at(&map, as_str_of(values->names[i]), i, &added) != NULL;
    for (int i = 0; ok && i < fixed->count; i++) ok = as_strmap_at(&map, as_str_of(fixed->names[i]), i, &added) != NULL;
    if (!ok) {
        as_strmap_free(&map);
        return as_fail_nomem(err, "label names", (size_t)fixed->count * sizeof(as_strmap_slot));
    }
    for (size_t i = found->n; i-- > 0;) {
        const int64_t *id = as_strmap_get(&map, found->name[i]);
        id_of[i] = id ? (int32_t)*id : -1;
        if (!id) *unknown = i;
    }
    as_strmap_free(&map);
    return AS_OK;
}

as_status as_labels_resolve(as_labels *out, int32_t *id_of, const as_label_set *found, const as_labels *fixed,
                            const as_labels *values, bool by_id, const as_table *table, as_err *err) {
    *out = (as_labels){0};
    for (size_t i = 0; i < found->n; i++) /* names are C strings from here on */
        if (memchr(found->name[i].p, 0, found->name[i].n))
            return as_fail(err, AS_FORMAT, "%s:%" PRId64 ": a label holds a NUL byte", as_table_path(table),
                           as_table_line(table, found->row[i]));
    if (!fixed) return resolve_sorted(out, id_of, found, err);
    size_t unknown;
    AS_TRY(resolve_by_name(id_of, &unknown, found, fixed, values, err));
    if (unknown == found->n) return as_labels_copy(out, fixed, err);
    if (by_id && is_generic(fixed) && resolve_by_id(id_of, found, fixed->count))
        return name_by_id(out, fixed->count, err);
    return fail_unknown(found->name[unknown], found->row[unknown], fixed, table, err);
}
