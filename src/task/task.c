/* task.c: a task's YAML. */
#include "task/task.h"
#include "base/file.h"
#include "base/mem.h"
#include "io/yaml.h"
#include "task/task_impl.h"
#include <stddef.h>
#include <stdio.h>
#include <string.h>

typedef enum key_type { KEY_TEXT, KEY_LIST, KEY_FLAG, KEY_COUNT, KEY_FILES, KEY_SPLITS, KEY_SOURCE } key_type;
typedef struct key { const char *name; key_type type; size_t field; const char *one_of; } key;

// clang-format off
#define AT(f) offsetof(as_task, f)
static const key keys[] = {
    {"task", KEY_TEXT, AT(name), NULL},         {"about", KEY_TEXT, AT(about), NULL},
    {"kind", KEY_TEXT, AT(kind), "classify|multilabel|regress"},
    {"source", KEY_SOURCE, 0, NULL},            {"files", KEY_FILES, 0, NULL},
    {"unlabelled", KEY_SPLITS, 0, NULL},        {"text", KEY_TEXT, AT(text), NULL},
    {"pair", KEY_TEXT, AT(pair), NULL},         {"label", KEY_TEXT, AT(label), NULL},
    {"id", KEY_TEXT, AT(id), NULL},             {"cluster", KEY_TEXT, AT(cluster), NULL},
    {"labels", KEY_LIST, AT(labels), NULL},     {"values", KEY_LIST, AT(values), NULL},
    {"positive", KEY_TEXT, AT(positive), NULL}, {"metrics", KEY_LIST, AT(metrics), NULL},
    {"sep", KEY_TEXT, AT(sep), NULL},           {"max_split", KEY_COUNT, AT(max_split), NULL},
    {"no_quotes", KEY_FLAG, AT(no_quotes), NULL}, {"no_header", KEY_FLAG, AT(no_header), NULL},
    {"columns", KEY_LIST, AT(columns), NULL},   {"encoding", KEY_TEXT, AT(encoding), "utf-8|latin-1|utf-8-lossy"},
    {"cite", KEY_TEXT, AT(cite), NULL},         {"licence", KEY_TEXT, AT(licence), NULL},
};
static const char *const split_names[] = {[AS_SPLIT_TRAIN] = "train", [AS_SPLIT_DEV] = "dev", [AS_SPLIT_TEST] = "test"};
// clang-format on

typedef struct reading { as_task *t; const char *where; as_arena *arena; } reading;

/* --- names --- */
void as_task_hint_names(const char *word, const char *what, const char *const *names, size_t count, as_err *err) {
    as_buf list = {0};
    const int near = as_nearest(word, names, count);
    for (size_t i = 0; i < count; i++) as_buf_fmt(&list, "%s%s", i ? ", " : "", names[i]);
    if (near >= 0)
        as_hint(err, "Did you mean %s? The %s are %.300s.", names[near], what, list.p ? list.p : "");
    else
        as_hint(err, "The %s are %.300s.", what, list.p ? list.p : "");
    as_buf_free(&list);
}

const char *as_split_name(as_split s) { return split_names[s]; }

as_status as_split_parse(as_split *out, const char *name, as_err *err) {
    for (int i = 0; i < AS_SPLIT_COUNT; i++)
        if (strcmp(name, split_names[i]) == 0) return *out = (as_split)i, AS_OK;
    (void)as_fail(err, AS_USAGE, "unknown split \"%.64s\"", name);
    as_task_hint_names(name, "splits", split_names, AS_SPLIT_COUNT, err);
    return AS_USAGE;
}

char *as_task_text(as_arena *arena, as_str s) {
    char *copy = as_arena_push(arena, s.n + 1, 1);
    if (!copy) return NULL;
    if (s.n) memcpy(copy, s.p, s.n);
    copy[s.n] = '\0';
    return copy;
}

/* --- values --- */
static as_status bad_value(const reading *r, const char *name, const char *what, const char *advice, as_err *err) {
    (void)as_fail(err, AS_FORMAT, "%s: %s%s%s", r->where, name, *what ? " " : "", what);
    as_hint(err, "%s", advice);
    return AS_FORMAT;
}

static as_status keep(const char **out, const reading *r, const as_buf *b, const char *name, as_err *err) {
    if (b->failed || !(*out = as_task_text(r->arena, as_buf_view(b)))) return as_fail_nomem(err, "a task", b->n);
    if (b->n > 0 && memchr(b->p, 0, b->n)) return bad_value(r, name, "holds a NUL byte", "Write plain text.", err);
    return b->n > 0 ? AS_OK : bad_value(r, name, "is empty", "Leave the key out, or give it a value.", err);
}

static void add_scalar(as_buf *b, const as_json *v) {
    const as_str s = as_json_str(v, AS_LIT(""));
    if (as_json_typeof(v) == AS_JSON_STRING)
        as_buf_add(b, s.p, s.n);
    else
        as_json_dump(b, v, 0);
}

static bool is_scalar(const as_json *v) {
    const as_json_type type = as_json_typeof(v);
    return type == AS_JSON_STRING || type == AS_JSON_INT || type == AS_JSON_REAL || type == AS_JSON_BOOL;
}

static as_status read_text(const char **out, const reading *r, const char *name, const as_json *v, as_err *err) {
    if (!is_scalar(v)) return bad_value(r, name, "is not a text", "Write one value behind the colon.", err);
    as_buf b = {0};
    add_scalar(&b, v);
    const as_status s = keep(out, r, &b, name, err);
    as_buf_free(&b);
    return s;
}

/* As the command line has lists; labels and values, which may hold commas, as JSON. */
static as_status read_list(const char **out, const reading *r, const char *name, const as_json *v, as_err *err) {
    const bool json = strcmp(name, "labels") == 0 || strcmp(name, "values") == 0;
    if (is_scalar(v)) return read_text(out, r, name, v, err);
    if (as_json_typeof(v) != AS_JSON_ARRAY || as_json_count(v) == 0)
        return bad_value(r, name, "is not a list", "Write [a, b], or one item a line.", err);
    as_buf b = {0};
    as_status s = AS_OK;
    if (json) as_buf_char(&b, '[');
    for (size_t i = 0; s == AS_OK && i < as_json_count(v); i++) {
        const as_json *item = as_json_at(v, i);
        as_buf one = {0};
        if (!is_scalar(item)) s = bad_value(r, name, "holds something that is not a text", "Write [a, b], or one item a line.", err);
        if (s == AS_OK) add_scalar(&one, item);
        if (i) as_buf_char(&b, ',');
        if (json)
            as_buf_json_str(&b, as_buf_view(&one));
        else
            as_buf_add(&b, one.p ? one.p : "", one.n);
        b.failed = b.failed || one.failed;
        as_buf_free(&one);
    }
    if (json) as_buf_char(&b, ']');
    if (s == AS_OK) s = keep(out, r, &b, name, err);
    as_buf_free(&b);
    return s;
}

/* A key of an inner mapping into names; -1 after an error. */
static int inner_key(const reading *r, const char *of, as_str name, const char *const *names, size_t count, as_err *err) {
    for (size_t i = 0; i < count; i++)
        if (as_str_is(name, names[i])) return (int)i;
    char word[64];
    snprintf(word, sizeof word, "%.*s", (int)(name.n < 60 ? name.n : 60), name.p);
    (void)as_fail(err, AS_FORMAT, "%s: unknown key \"%s\" in %s", r->where, word, of);
    as_task_hint_names(word, "keys", names, count, err);
    return -1;
}

static as_status read_map(const char *out[], const reading *r, const char *of, const as_json *v, const char *const *names, size_t count, as_err *err) {
    if (as_json_typeof(v) != AS_JSON_OBJECT) return bad_value(r, of, "is not a mapping", "Write {key: value}, or one a line below it.", err);
    for (as_json_iter *it = as_json_first(v); it; it = as_json_next(v, it)) {
        char what[64];
        const int i = inner_key(r, of, as_json_iter_key(it), names, count, err);
        if (i < 0) return AS_FORMAT;
        snprintf(what, sizeof what, "%s: %s", of, names[i]);
        AS_TRY(read_text(&out[i], r, what, as_json_iter_value(it), err));
    }
    return AS_OK;
}

static as_status read_splits(const reading *r, const char *name, const as_json *v, as_err *err) {
    if (as_json_typeof(v) != AS_JSON_ARRAY) return bad_value(r, name, "is not a list of splits", "Write [test].", err);
    for (size_t i = 0; i < as_json_count(v); i++) {
        const int k = inner_key(r, name, as_json_str(as_json_at(v, i), AS_LIT("")), split_names, AS_SPLIT_COUNT, err);
        if (k < 0) return AS_FORMAT;
        r->t->unlabelled[k] = true;
    }
    return AS_OK;
}

static as_status read_choice(const reading *r, const key *k, const char *value, as_err *err) {
    for (const char *at = k->one_of; *at;) {
        const size_t n = strcspn(at, "|");
        if (strlen(value) == n && memcmp(at, value, n) == 0) return AS_OK;
        at += n + (at[n] == '|');
    }
    (void)as_fail(err, AS_FORMAT, "%s: %s: unknown value \"%.64s\"", r->where, k->name, value);
    as_hint(err, "It is one of %s.", k->one_of);
    return AS_FORMAT;
}

static as_status read_value(const reading *r, const key *k, const as_json *v, as_err *err) {
    char *field = (char *)r->t + k->field;
    const char *source[2] = {NULL, NULL};
    static const char *const source_keys[] = {"hub", "config"};
    if (as_json_typeof(v) == AS_JSON_NULL) return AS_OK;
    switch (k->type) {
    case KEY_TEXT:
        AS_TRY(read_text((const char **)(void *)field, r, k->name, v, err));
        return k->one_of ? read_choice(r, k, *(const char **)(void *)field, err) : AS_OK;
    case KEY_LIST: return read_list((const char **)(void *)field, r, k->name, v, err);
    case KEY_FLAG:
        if (as_json_typeof(v) != AS_JSON_BOOL) return bad_value(r, k->name, "is neither true nor false", "Write true or false.", err);
        return *(bool *)(void *)field = as_json_bool(v, false), AS_OK;
    case KEY_COUNT: {
        const int64_t n = as_json_typeof(v) == AS_JSON_INT ? as_json_int(v, 0) : 0;
        if (n < 1 || n > 1000000) return bad_value(r, k->name, "is not a whole number from 1 to 1000000", "Write a number such as 1.", err);
        return *(int64_t *)(void *)field = n, AS_OK;
    }
    case KEY_FILES: return read_map(r->t->files, r, k->name, v, split_names, AS_SPLIT_COUNT, err);
    case KEY_SPLITS: return read_splits(r, k->name, v, err);
    case KEY_SOURCE:
        AS_TRY(read_map(source, r, k->name, v, source_keys, AS_COUNT(source_keys), err));
        r->t->hub = source[0], r->t->config = source[1];
    }
    return AS_OK;
}

/* --- what belongs together --- */
static as_status check_labels(const reading *r, as_err *err) {
    const as_task *t = r->t;
    as_labels names = {0}, values = {0};
    as_err why = {0};
    as_status s = AS_OK;
    if (t->labels) s = as_labels_parse(&names, t->labels, &why);
    if (s == AS_OK && t->values) s = as_labels_parse(&values, t->values, &why);
    if (s == AS_NOMEM) s = as_fail_nomem(err, "label names", 0);
    else if (s != AS_OK) s = bad_value(r, t->values && names.count ? "values" : "labels", "has an empty name, or one twice", "Name each once, in id order.", err);
    else if (t->labels && strcmp(t->kind, "regress") == 0) s = bad_value(r, "labels", "with kind regress", "Numbers have no labels; leave them out.", err);
    else if (t->values && values.count != names.count) s = bad_value(r, "values", "are not as many as labels", "Give one value for each label, in the same order.", err);
    for (int i = 0; s == AS_OK && i < values.count; i++) {
        const int same = as_labels_find(&names, as_str_of(values.names[i]));
        if (same >= 0 && same != i) s = bad_value(r, "values", "holds another label's name", "A cell must mean one label only.", err);
    }
    if (s == AS_OK && t->positive && t->labels && as_labels_find(&names, as_str_of(t->positive)) < 0)
        s = bad_value(r, "positive", "is not one of the labels", "Name one of the labels.", err);
    as_labels_free(&names), as_labels_free(&values);
    return s;
}

static as_status check_task(const reading *r, as_err *err) {
    as_task *t = r->t;
    bool any = false;
    if (!t->name) return bad_value(r, "has no task: NAME", "", "Name the task: task: my-task.", err);
    for (const char *p = t->name; *p; p++)
        if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-", *p))
            return bad_value(r, "task", "holds a character that a name cannot have", "Use letters, digits, dots, dashes and underscores.", err);
    if (!t->kind) t->kind = "classify";
    if (t->sep && strcmp(t->sep, "tab") == 0) t->sep = "\t";
    if (t->sep && (strlen(t->sep) != 1 || strchr("\"\r\n", *t->sep) || (unsigned char)*t->sep >= 0x80))
        return bad_value(r, "sep", "is not one character", "Write one ASCII character in quotes, or tab.", err);
    for (int i = 0; i < AS_SPLIT_COUNT; i++) {
        any = any || t->files[i];
        if (t->unlabelled[i] && !t->files[i]) return bad_value(r, "unlabelled", "names a split without a file", "List splits that files has.", err);
    }
    if (!any) return bad_value(r, "has no files", "", "Say which splits there are: files: {train: train.csv, test: test.csv}.", err);
    return check_labels(r, err);
}

/* --- the file --- */
static as_status read_keys(const reading *r, const as_json *root, as_err *err) {
    if (as_json_typeof(root) != AS_JSON_OBJECT) return bad_value(r, "is not a mapping", "of keys", "Write one key a line, for example task: my-task.", err);
    const char *names[AS_COUNT(keys)];
    for (size_t i = 0; i < AS_COUNT(keys); i++) names[i] = keys[i].name;
    for (as_json_iter *it = as_json_first(root); it; it = as_json_next(root, it)) {
        char word[64];
        const as_str name = as_json_iter_key(it);
        const size_t n = name.n < sizeof word - 1 ? name.n : sizeof word - 1;
        for (size_t i = 0; i < n; i++) word[i] = (char)(name.p[i] == '-' ? '_' : name.p[i]); /* as on the command line */
        word[n] = '\0';
        const key *k = NULL;
        for (size_t i = 0; i < AS_COUNT(keys) && !k; i++)
            if (strcmp(keys[i].name, word) == 0) k = &keys[i];
        if (!k) {
            (void)as_fail(err, AS_FORMAT, "%s: unknown key \"%s\"", r->where, word);
            as_task_hint_names(word, "keys", names, AS_COUNT(keys), err);
            return AS_FORMAT;
        }
        AS_TRY(read_value(r, k, as_json_iter_value(it), err));
    }
    return check_task(r, err);
}

static as_status read_root(as_task *out, as_json *root, const char *where, as_arena *arena, as_err *err) {
    const reading r = {out, where, arena};
    *out = (as_task){.path = as_task_text(arena, as_str_of(where))};
    const as_status s = out->path ? read_keys(&r, root, err) : as_fail_nomem(err, "a task", 0);
    as_json_free(root);
    return s;
}

as_status as_task_parse(as_task *out, as_str yaml, const char *where, as_arena *arena, as_err *err) {
    as_json *root;
    AS_TRY(as_yaml_parse(&root, yaml, where, err));
    return read_root(out, root, where, arena, err);
}

as_status as_task_read(as_task *out, const char *path, as_arena *arena, as_err *err) {
    as_json *root;
    AS_TRY(as_yaml_read(&root, path, err));
    return read_root(out, root, path, arena, err);
}

bool as_task_has(const as_task *t, as_split s, bool labelled) { return t->files[s] && !(labelled && t->unlabelled[s]); }

as_status as_task_cols(as_data_cols *out, const as_task *t, as_err *err) {
    if (t->max_split > INT32_MAX) return as_fail(err, AS_FORMAT, "%s: max_split is too large", t->path);
    *out = (as_data_cols){.text = t->text, .pair = t->pair, .label = t->label, .id = t->id, .cluster = t->cluster, .labels = t->labels, .values = t->values};
    out->kind = strcmp(t->kind, "regress") == 0 ? AS_LABEL_VALUE : strcmp(t->kind, "multilabel") == 0 ? AS_LABEL_MULTI : AS_LABEL_CLASS;
    out->table = (as_table_opts){.sep = t->sep ? *t->sep : '\0', .max_split = (int)t->max_split, .no_quotes = t->no_quotes, .no_header = t->no_header,
                                 .columns = t->columns};
    if (t->encoding)
        out->table.encoding = strcmp(t->encoding, "latin-1") == 0 ? AS_LATIN1 : strcmp(t->encoding, "utf-8-lossy") == 0 ? AS_UTF8_LOSSY : AS_UTF8;
    return AS_OK;
}
