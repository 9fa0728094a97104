#include "io/yaml.h"
#include "base/file.h"
#include "base/mem.h"
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

/* NODES counts an alias as often as it is used, so that nested aliases cannot blow up whoever walks
 * the tree; the tree itself shares them. An anchor becomes known when its node is complete, so
 * there are no cycles. */
enum { READ_LIMIT = 64 << 20, DEPTH_LIMIT = 200, NODE_LIMIT = 1000000 };

typedef struct anchor {
    char *name;
    json_t *value; /* a counted reference */
    size_t nodes;
} anchor;

typedef struct reader {
    yaml_parser_t parser;
    yaml_event_t event; /* the current one; type YAML_NO_EVENT when none is held */
    as_str text;
    const char *where;
    as_err *err;
    anchor *anchors;
    size_t anchor_count, anchor_cap, nodes;
    int depth;
} reader;

static int64_t line_of(const reader *r) {
    return (int64_t)r->event.start_mark.line + 1;
}

#define FAIL_AT(r, ...) as_fail((r)->err, ASSAY_FORMAT, "%s:%" PRId64 ": " __VA_ARGS__)

static as_status fail_parser(const reader *r) {
    const yaml_parser_t *const p = &r->parser;
    const char *const problem = p->problem != NULL ? p->problem : "not readable as YAML";
    if (p->error == YAML_MEMORY_ERROR) return as_fail_nomem(r->err, r->where, r->text.n);
    int64_t line = (int64_t)p->problem_mark.line + 1;
    if (p->error == YAML_READER_ERROR) { /* the reader knows bytes only */
        line = 1;
        for (size_t i = 0; i < p->problem_offset && i < r->text.n; i++)
            line += r->text.p[i] == '\n';
        const as_status s = FAIL_AT(r, "%s", r->where, line, problem);
        as_hint(r->err, "YAML files are UTF-8 without control characters.");
        return s;
    }
    if (p->context != NULL) return FAIL_AT(r, "%s (%s)", r->where, line, problem, p->context);
    return FAIL_AT(r, "%s", r->where, line, problem);
}

static as_status next_event(reader *r) {
    if (r->event.type != YAML_NO_EVENT) yaml_event_delete(&r->event);
    memset(&r->event, 0, sizeof r->event);
    return yaml_parser_parse(&r->parser, &r->event) ? ASSAY_OK : fail_parser(r);
}

static as_status count_nodes(reader *r, size_t n) {
    r->nodes += n;
    if (r->nodes <= NODE_LIMIT) return ASSAY_OK;
    return FAIL_AT(r, "more than %d values once aliases are followed", r->where, line_of(r),
                   NODE_LIMIT);
}

/* Scalars of the YAML 1.2 core schema. */

static bool is_one_of(as_str s, const char *const *words) {
    for (; *words != NULL; words++)
        if (as_str_is(s, *words)) return true;
    return false;
}

static size_t digits(as_str s, size_t i) {
    while (i < s.n && s.p[i] >= '0' && s.p[i] <= '9')
        i++;
    return i;
}

/* [-+]? [0-9]+, or with dots and exponent a real; *real says which. */
static bool is_number(as_str s, bool *real) {
    size_t i = s.n > 0 && (s.p[0] == '-' || s.p[0] == '+');
    const size_t whole = digits(s, i) - i;
    size_t fraction = 0;
    i += whole;
    *real = false;
    if (i < s.n && s.p[i] == '.') {
        *real = true;
        fraction = digits(s, i + 1) - (i + 1);
        i += 1 + fraction;
    }
    if (whole + fraction == 0) return false;
    if (i < s.n && (s.p[i] == 'e' || s.p[i] == 'E')) {
        *real = true;
        i++;
        if (i < s.n && (s.p[i] == '-' || s.p[i] == '+')) i++;
        const size_t end = digits(s, i);
        if (end == i) return false;
        i = end;
    }
    return i == s.n;
}

/* 0x1F and 0o17; false when s has another form or does not fit. */
static bool based_integer(as_str s, int64_t *out) {
    if (s.n < 3 || s.n > 24 || s.p[0] != '0' || (s.p[1] != 'x' && s.p[1] != 'o')) return false;
    const int64_t base = s.p[1] == 'x' ? 16 : 8;
    int64_t x = 0;
    for (size_t i = 2; i < s.n; i++) {
        const char *const all = "0123456789abcdef";
        const char c = s.p[i] >= 'A' && s.p[i] <= 'F' ? (char)(s.p[i] + 32) : s.p[i];
        const char *const at = c != '\0' ? strchr(all, c) : NULL;
        if (at == NULL || at - all >= base || x > (INT64_MAX - (at - all)) / base) return false;
        x = x * base + (at - all);
    }
    *out = x;
    return true;
}

static as_status number_value(reader *r, as_str s, bool real, json_t **out) {
    const as_str unsigned_s = s.p[0] == '+' ? (as_str){s.p + 1, s.n - 1} : s;
    int64_t i;
    double x;
    if (!real && as_parse_i64(unsigned_s, &i)) {
        *out = json_integer((json_int_t)i);
        return ASSAY_OK;
    }
    if (!as_parse_f64(unsigned_s, &x) || (*out = json_real(x)) == NULL)
        return FAIL_AT(r, "the number %.*s is out of range", r->where, line_of(r),
                       (int)(s.n < 40 ? s.n : 40), s.p);
    return ASSAY_OK;
}

static as_status plain_value(reader *r, as_str s, json_t **out) {
    static const char *const nulls[] = {"", "~", "null", "Null", "NULL", NULL};
    static const char *const trues[] = {"true", "True", "TRUE", NULL};
    static const char *const falses[] = {"false", "False", "FALSE", NULL};
    static const char *const infinite[] = {".inf",  ".Inf",  ".INF",  "+.inf", "+.Inf",
                                           "+.INF", "-.inf", "-.Inf", "-.INF", ".nan",
                                           ".NaN",  ".NAN",  NULL};
    bool real;
    int64_t i;
    if (is_one_of(s, nulls))
        *out = json_null();
    else if (is_one_of(s, trues))
        *out = json_true();
    else if (is_one_of(s, falses))
        *out = json_false();
    else if (is_one_of(s, infinite))
        return FAIL_AT(r, "%.*s where a finite number is needed", r->where, line_of(r), (int)s.n,
                       s.p);
    else if (based_integer(s, &i))
        *out = json_integer((json_int_t)i);
    else if (is_number(s, &real))
        return number_value(r, s, real, out);
    else
        *out = json_stringn(s.p, s.n);
    return ASSAY_OK;
}

static as_status fail_tag(const reader *r, const char *tag) {
    const as_status s = FAIL_AT(r, "unknown tag \"%.80s\"", r->where, line_of(r), tag);
    as_hint(r->err, "Tags that run code, such as !function, are not read: write the value itself, "
                    "or leave the key out.");
    return s;
}

/* `tag` is one of YAML's own for this kind of node (NULL and "!" are none). */
static bool own_tag(const char *tag, const char *const *names) {
    if (strncmp(tag, "tag:yaml.org,2002:", 18) != 0) return false;
    return is_one_of(as_str_of(tag + 18), names);
}

static as_status scalar_value(reader *r, json_t **out) {
    static const char *const resolved[] = {"null", "bool", "int", "float", NULL};
    static const char *const strings[] = {"str", NULL};
    const char *const tag = (const char *)r->event.data.scalar.tag;
    const as_str s = {(const char *)r->event.data.scalar.value, r->event.data.scalar.length};
    const bool quoted = r->event.data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
    as_status status = ASSAY_OK;
    if (tag == NULL ? quoted : strcmp(tag, "!") == 0 || own_tag(tag, strings))
        *out = json_stringn(s.p, s.n);
    else if (tag == NULL)
        status = plain_value(r, s, out);
    else if (!own_tag(tag, resolved))
        return fail_tag(r, tag);
    else {
        status = plain_value(r, s, out);
        if (status == ASSAY_OK && strcmp(tag + 18, "float") == 0 && json_is_integer(*out)) {
            const double x = (double)json_integer_value(*out);
            json_decref(*out);
            *out = json_real(x);
        }
        if (status == ASSAY_OK && json_is_string(*out)) {
            json_decref(*out);
            *out = NULL;
            return FAIL_AT(r, "\"%.*s\" does not fit its tag !!%s", r->where, line_of(r),
                           (int)(s.n < 40 ? s.n : 40), s.p, tag + 18);
        }
    }
    if (status == ASSAY_OK && *out == NULL) return as_fail_nomem(r->err, r->where, s.n);
    return status;
}

/* Nodes. On entry the current event starts the node, on exit it ends it. */

static as_status node_value(reader *r, json_t **out);

static as_status alias_value(reader *r, json_t **out) {
    const char *const name = (const char *)r->event.data.alias.anchor;
    for (size_t i = r->anchor_count;
         i-- > 0;) { /* a later anchor hides an earlier one of its name */
        if (strcmp(r->anchors[i].name, name) != 0) continue;
        AS_TRY(count_nodes(r, r->anchors[i].nodes));
        *out = json_incref(r->anchors[i].value);
        return ASSAY_OK;
    }
    return FAIL_AT(r, "alias *%.80s names no finished anchor", r->where, line_of(r), name);
}

static as_status sequence_value(reader *r, json_t **out) {
    static const char *const tags[] = {"seq", NULL};
    const char *const tag = (const char *)r->event.data.sequence_start.tag;
    if (tag != NULL && strcmp(tag, "!") != 0 && !own_tag(tag, tags)) return fail_tag(r, tag);
    json_t *const list = json_array();
    as_status s = list != NULL ? next_event(r) : as_fail_nomem(r->err, r->where, 0);
    while (s == ASSAY_OK && r->event.type != YAML_SEQUENCE_END_EVENT) {
        json_t *item = NULL;
        s = node_value(r, &item);
        if (s == ASSAY_OK && json_array_append_new(list, item) != 0)
            s = as_fail_nomem(r->err, r->where, 0);
        if (s == ASSAY_OK) s = next_event(r);
    }
    if (s == ASSAY_OK)
        *out = list;
    else
        json_decref(list);
    return s;
}

/* `<<: *base`, or a list of such: keys of the merged mappings hold where the mapping itself has
 * none. */
static as_status merge_into(reader *r, json_t *map, json_t *merged, int64_t line) {
    const size_t count = json_is_array(merged) ? json_array_size(merged) : 1;
    for (size_t i = 0; i < count; i++) {
        json_t *const from = json_is_array(merged) ? json_array_get(merged, i) : merged;
        if (!json_is_object(from))
            return FAIL_AT(r, "\"<<\" needs a mapping, or a list of mappings", r->where, line);
        if (json_object_update_missing(map, from) != 0) return as_fail_nomem(r->err, r->where, 0);
    }
    return ASSAY_OK;
}

/* The key as text: YAML's other scalars are keys by the way they are written. */
static as_status key_text(reader *r, char **out) {
    if (r->event.type != YAML_SCALAR_EVENT)
        return FAIL_AT(r, "a key must be a plain word or a string", r->where, line_of(r));
    const char *const value = (const char *)r->event.data.scalar.value;
    const size_t n = r->event.data.scalar.length;
    if (memchr(value, '\0', n) != NULL)
        return FAIL_AT(r, "a key holds a NUL byte", r->where, line_of(r));
    AS_TRY(count_nodes(r, 1));
    *out = as_strndup(value, n);
    return *out != NULL ? ASSAY_OK : as_fail_nomem(r->err, r->where, n);
}

static as_status add_member(reader *r, json_t *map, json_t **merged) {
    const int64_t line = line_of(r);
    const bool is_merge = r->event.type == YAML_SCALAR_EVENT &&
                          r->event.data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
                          strcmp((const char *)r->event.data.scalar.value, "<<") == 0;
    char *key = NULL;
    json_t *value = NULL;
    as_status s = key_text(r, &key);
    if (s == ASSAY_OK && (is_merge ? *merged != NULL : json_object_get(map, key) != NULL)) {
        s = FAIL_AT(r, "the key \"%.80s\" appears twice", r->where, line, key);
        as_hint(r->err, "Keep one of the two.");
    }
    if (s == ASSAY_OK) s = next_event(r);
    if (s == ASSAY_OK) s = node_value(r, &value);
    if (s == ASSAY_OK && is_merge) {
        *merged = value;
    } else if (s == ASSAY_OK && json_object_set_new(map, key, value) != 0) {
        s = as_fail_nomem(r->err, r->where, 0);
    }
    as_free(key);
    return s;
}

static as_status mapping_value(reader *r, json_t **out) {
    static const char *const tags[] = {"map", NULL};
    const char *const tag = (const char *)r->event.data.mapping_start.tag;
    const int64_t line = line_of(r);
    if (tag != NULL && strcmp(tag, "!") != 0 && !own_tag(tag, tags)) return fail_tag(r, tag);
    json_t *const map = json_object();
    json_t *merged = NULL;
    as_status s = map != NULL ? next_event(r) : as_fail_nomem(r->err, r->where, 0);
    while (s == ASSAY_OK && r->event.type != YAML_MAPPING_END_EVENT) {
        s = add_member(r, map, &merged);
        if (s == ASSAY_OK) s = next_event(r);
    }
    if (s == ASSAY_OK && merged != NULL) s = merge_into(r, map, merged, line);
    json_decref(merged);
    if (s == ASSAY_OK)
        *out = map;
    else
        json_decref(map);
    return s;
}

/* Takes the name. */
static as_status remember(reader *r, char *name, json_t *value, size_t nodes) {
    if (!as_grow(&r->anchors, &r->anchor_cap, r->anchor_count + 1, sizeof *r->anchors)) {
        as_free(name);
        return as_fail_nomem(r->err, r->where, 0);
    }
    r->anchors[r->anchor_count++] = (anchor){name, json_incref(value), nodes};
    return ASSAY_OK;
}

static const char *anchor_name(const yaml_event_t *e) {
    switch (e->type) {
    case YAML_SCALAR_EVENT:
        return (const char *)e->data.scalar.anchor;
    case YAML_SEQUENCE_START_EVENT:
        return (const char *)e->data.sequence_start.anchor;
    case YAML_MAPPING_START_EVENT:
        return (const char *)e->data.mapping_start.anchor;
    default:
        return NULL;
    }
}

static as_status node_value(reader *r, json_t **out) {
    *out = NULL;
    if (r->event.type == YAML_ALIAS_EVENT) return alias_value(r, out);
    const size_t before = r->nodes;
    AS_TRY(count_nodes(r, 1));
    if (r->depth >= DEPTH_LIMIT)
        return FAIL_AT(r, "more than %d levels deep", r->where, line_of(r), DEPTH_LIMIT);
    const char *const named = anchor_name(&r->event);
    char *name =
        named != NULL ? as_strdup(named) : NULL; /* the event is gone once the node is read */
    if (named != NULL && name == NULL) return as_fail_nomem(r->err, r->where, strlen(named));
    r->depth++;
    as_status s;
    switch (r->event.type) {
    case YAML_SCALAR_EVENT:
        s = scalar_value(r, out);
        break;
    case YAML_SEQUENCE_START_EVENT:
        s = sequence_value(r, out);
        break;
    case YAML_MAPPING_START_EVENT:
        s = mapping_value(r, out);
        break;
    default:
        s = FAIL_AT(r, "a value is missing", r->where, line_of(r));
    }
    r->depth--;
    if (name != NULL && s == ASSAY_OK) {
        s = remember(r, name, *out, r->nodes - before);
        name = NULL;
    }
    as_free(name);
    if (s != ASSAY_OK) {
        json_decref(*out);
        *out = NULL;
    }
    return s;
}

/* Stream start, at most one document, stream end; an empty stream is null. */
static as_status document(reader *r, json_t **out) {
    AS_TRY(next_event(r));
    AS_TRY(next_event(r));
    if (r->event.type == YAML_STREAM_END_EVENT) {
        *out = json_null();
        return ASSAY_OK;
    }
    AS_TRY(next_event(r));
    AS_TRY(node_value(r, out));
    as_status s = next_event(r); /* document end */
    if (s == ASSAY_OK) s = next_event(r);
    if (s == ASSAY_OK && r->event.type != YAML_STREAM_END_EVENT)
        s = FAIL_AT(r, "a second document begins here", r->where, line_of(r));
    if (s != ASSAY_OK) {
        json_decref(*out);
        *out = NULL;
    }
    return s;
}

as_status as_yaml_parse(as_json **out, as_str text, const char *where, as_err *err) {
    reader r = {.text = text, .where = where, .err = err};
    json_t *root = NULL;
    *out = NULL;
    if (!yaml_parser_initialize(&r.parser)) return as_fail_nomem(err, where, text.n);
    yaml_parser_set_input_string(&r.parser, (const unsigned char *)text.p, text.n);
    const as_status s = document(&r, &root);
    if (r.event.type != YAML_NO_EVENT) yaml_event_delete(&r.event);
    for (size_t i = 0; i < r.anchor_count; i++) {
        as_free(r.anchors[i].name);
        json_decref(r.anchors[i].value);
    }
    as_free(r.anchors);
    yaml_parser_delete(&r.parser);
    *out = (as_json *)root;
    return s;
}

as_status as_yaml_read(as_json **out, const char *path, as_err *err) {
    as_buf text = {0};
    *out = NULL;
    as_status s = as_file_read(&text, path, READ_LIMIT, err);
    if (s == ASSAY_OK) s = as_yaml_parse(out, as_buf_view(&text), path, err);
    as_buf_free(&text);
    return s;
}
