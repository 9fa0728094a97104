#include "io/json.h"
#include "base/file.h"
#include "base/mem.h"
#include <inttypes.h>
#include <jansson.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* An as_json IS a json_t, only under a name that keeps jansson out of the callers. Reading never
 * touches a reference count, so a parsed document may be read by many threads at once. jansson's
 * memory stays on malloc: its allocator is one per process and belongs to the program that embeds
 * this library. */

enum { READ_LIMIT = INT_MAX }; /* jansson counts columns and positions in int */

static const json_t *node(const as_json *v) {
    return (const json_t *)v;
}

/* Copy text, and write every integer that int64 cannot hold as a real ("1e30"-like sizes in
 * tokenizer_config.json are integers of 31 digits). Strings are skipped. Returns whether anything
 * changed. */
static bool widen_integers(as_buf *out, as_str text) {
    bool changed = false;
    size_t done = 0;
    for (size_t i = 0; i < text.n;) {
        if (text.p[i] == '"') {
            for (i++; i < text.n && text.p[i] != '"'; i++)
                if (text.p[i] == '\\') i++;
            i++;
            continue;
        }
        const bool starts = text.p[i] == '-' || (text.p[i] >= '0' && text.p[i] <= '9');
        if (!starts) {
            i++;
            continue;
        }
        const size_t begin = i++;
        while (i < text.n && text.p[i] >= '0' && text.p[i] <= '9')
            i++;
        int64_t unused;
        if (i < text.n && strchr(".eE", text.p[i]) != NULL && text.p[i] != '\0') {
            while (i < text.n && text.p[i] != '\0' && strchr("+-.eE0123456789", text.p[i]) != NULL)
                i++;
        } else if (i - begin >= 19 && !as_parse_i64((as_str){text.p + begin, i - begin}, &unused)) {
            as_buf_add(out, text.p + done, i - done);
            as_buf_str(out, ".0");
            done = i;
            changed = true;
        }
    }
    if (done < text.n) as_buf_add(out, text.p + done, text.n - done);
    return changed;
}

static void hint_for(as_err *err, const json_error_t *e) {
    if (strncmp(e->text, "invalid Unicode", 15) == 0)
        as_hint(err, "Half of a surrogate pair is no character (Python writes it, Unicode forbids "
                     "it): write the pair, or \\ufffd.");
    else if (strstr(e->text, "near 'NaN") || strstr(e->text, "near 'Infinity") ||
             strstr(e->text, "near '-'"))
        as_hint(err, "NaN and Infinity are not JSON: write null or a number.");
    else if (json_error_code(e) == json_error_invalid_utf8)
        as_hint(err, "JSON is UTF-8: convert the file, for example with iconv.");
    else if (json_error_code(e) == json_error_premature_end_of_input)
        as_hint(err, "The text is cut short; fetch or write it again.");
}

static as_status fail_json(as_err *err, const json_error_t *e, const char *where, int64_t line) {
    /* jansson says nothing where an allocation within a value failed */
    if (json_error_code(e) == json_error_out_of_memory || e->text[0] == '\0')
        return as_fail_nomem(err, where, 0);
    char text[JSON_ERROR_TEXT_LENGTH];
    snprintf(text, sizeof text, "%s", e->text);
    for (char *c = text; *c != '\0'; c++)
        if ((unsigned char)*c < 0x20)
            *c = '?'; /* a file's control characters do not reach a terminal */
    const int64_t at = line + (e->line > 0 ? e->line : 1);
    const as_status s = as_fail(err, ASSAY_FORMAT, "%s:%" PRId64 ": %s (column %d)", where, at,
                                text, e->column > 0 ? e->column : 1);
    hint_for(err, e);
    return s;
}

/* JSON has no place for a raw NUL byte, but jansson 2.14 swallows one behind a number or a literal.
 */
static as_status check_no_nul(as_str text, const char *where, int64_t line, as_err *err) {
    const char *const nul = text.n > 0 ? memchr(text.p, '\0', text.n) : NULL;
    if (nul == NULL) return ASSAY_OK;
    const char *begin = text.p;
    for (const char *p = text.p; (p = memchr(p, '\n', (size_t)(nul - p))) != NULL; begin = ++p)
        line++;
    const as_status s = as_fail(err, ASSAY_FORMAT, "%s:%" PRId64 ": a NUL byte (column %zu)", where,
                                line + 1, (size_t)(nul - begin) + 1);
    as_hint(err, "The file is damaged or no JSON; inside a string NUL is written \\u0000.");
    return s;
}

as_status as_json_parse(as_json **out, as_str text, const char *where, int64_t line, as_err *err) {
    const size_t flags = JSON_DECODE_ANY | JSON_ALLOW_NUL;
    json_error_t e;
    *out = NULL;
    if (text.n >= 3 && memcmp(text.p, "\xEF\xBB\xBF", 3) == 0)
        text = (as_str){text.p + 3, text.n - 3};
    if (text.n > READ_LIMIT)
        return as_fail(err, ASSAY_FORMAT, "%s: JSON of %zu bytes; at most %d are read", where,
                       text.n, READ_LIMIT);
    AS_TRY(check_no_nul(text, where, line, err));
    json_t *root = json_loadb(text.n > 0 ? text.p : "", text.n, flags, &e);
    if (root == NULL && json_error_code(&e) == json_error_numeric_overflow) {
        as_buf wide = {0};
        const bool changed = widen_integers(&wide, text);
        if (wide.failed) {
            as_buf_free(&wide);
            return as_fail_nomem(err, where, text.n);
        }
        if (changed && wide.n <= READ_LIMIT) root = json_loadb(wide.p, wide.n, flags, &e);
        as_buf_free(&wide);
    }
    if (root == NULL) return fail_json(err, &e, where, line);
    *out = (as_json *)root;
    return ASSAY_OK;
}

as_status as_json_read(as_json **out, const char *path, as_err *err) {
    as_buf text = {0};
    *out = NULL;
    as_status s = as_file_read(&text, path, READ_LIMIT, err);
    if (s == ASSAY_OK) s = as_json_parse(out, as_buf_view(&text), path, 0, err);
    as_buf_free(&text);
    return s;
}

void as_json_free(as_json *root) {
    json_decref((json_t *)root);
}

as_json_type as_json_typeof(const as_json *v) {
    if (v == NULL) return AS_JSON_NULL;
    switch (json_typeof(node(v))) {
    case JSON_OBJECT:
        return AS_JSON_OBJECT;
    case JSON_ARRAY:
        return AS_JSON_ARRAY;
    case JSON_STRING:
        return AS_JSON_STRING;
    case JSON_INTEGER:
        return AS_JSON_INT;
    case JSON_REAL:
        return AS_JSON_REAL;
    case JSON_TRUE:
    case JSON_FALSE:
        return AS_JSON_BOOL;
    default:
        return AS_JSON_NULL;
    }
}

const as_json *as_json_get(const as_json *obj, const char *key) {
    return (const as_json *)json_object_get(node(obj), key);
}

size_t as_json_count(const as_json *v) {
    return json_is_array(node(v)) ? json_array_size(node(v))
                                  : json_object_size(node(v)); /* 0 when not an object */
}

const as_json *as_json_at(const as_json *arr, size_t i) {
    return (const as_json *)json_array_get(node(arr), i);
}

/* jansson's iterators ask for a writable object because one may set through them; these only read.
 */
static json_t *writable(const as_json *v) {
    const union {
        const as_json *in;
        json_t *out;
    } cast = {v};
    return cast.out;
}
static void *raw_iter(const as_json_iter *it) {
    const union {
        const as_json_iter *in;
        void *out;
    } cast = {it};
    return cast.out;
}

as_json_iter *as_json_first(const as_json *obj) {
    return obj == NULL ? NULL : json_object_iter(writable(obj));
}
as_json_iter *as_json_next(const as_json *obj, as_json_iter *it) {
    return json_object_iter_next(writable(obj), it);
}
/* The parser refuses keys with NUL bytes, so a key is its C string. */
as_str as_json_iter_key(const as_json_iter *it) {
    return as_str_of(json_object_iter_key(raw_iter(it)));
}
const as_json *as_json_iter_value(const as_json_iter *it) {
    return (const as_json *)json_object_iter_value(raw_iter(it));
}

as_str as_json_str(const as_json *v, as_str fallback) {
    if (!json_is_string(node(v))) return fallback;
    return (as_str){json_string_value(node(v)), json_string_length(node(v))};
}

int64_t as_json_int(const as_json *v, int64_t fallback) {
    if (json_is_integer(node(v))) return (int64_t)json_integer_value(node(v));
    if (!json_is_real(node(v))) return fallback;
    const double x = json_real_value(node(v));
    return x >= -0x1p63 && x < 0x1p63 && floor(x) == x ? (int64_t)x : fallback;
}

double as_json_real(const as_json *v, double fallback) {
    return json_is_number(node(v)) ? json_number_value(node(v)) : fallback;
}

bool as_json_bool(const as_json *v, bool fallback) {
    return json_is_boolean(node(v)) ? json_is_true(node(v)) : fallback;
}

/* The fewest of 15, 16 or 17 digits that read back as x: 0.1 stays "0.1", and every value
 * round-trips. */
static void dump_real(as_buf *out, double x) {
    char text[48];
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, x);
        if (strtod(text, NULL) == x) break;
    }
    bool is_real = false, in_point = false;
    for (const char *c = text; *c != '\0'; c++) {
        const bool plain = (*c >= '0' && *c <= '9') || *c == '-' || *c == '+' || *c == 'e';
        if (plain)
            as_buf_char(out, *c);
        else if (!in_point)
            as_buf_char(out, '.'); /* the locale's decimal point, of one or more bytes */
        if (!plain || *c == 'e') is_real = true;
        in_point = !plain;
    }
    if (!is_real) as_buf_str(out, ".0");
}

static void new_line(as_buf *out, int indent, int depth) {
    if (indent <= 0) return;
    as_buf_char(out, '\n');
    for (int i = 0; i < indent * depth; i++)
        as_buf_char(out, ' ');
}

/* The parsers limit the depth of what they build (2,048 and less), and so this recursion. */
static void dump(as_buf *out, const as_json *v, int indent, int depth) {
    const as_json_type type = as_json_typeof(v);
    bool first = true;
    switch (type) {
    case AS_JSON_NULL:
        as_buf_str(out, "null");
        return;
    case AS_JSON_BOOL:
        as_buf_str(out, as_json_bool(v, false) ? "true" : "false");
        return;
    case AS_JSON_INT:
        as_buf_fmt(out, "%" PRId64, as_json_int(v, 0));
        return;
    case AS_JSON_REAL:
        dump_real(out, as_json_real(v, 0));
        return;
    case AS_JSON_STRING:
        as_buf_json_str(out, as_json_str(v, AS_LIT("")));
        return;
    case AS_JSON_ARRAY:
        as_buf_char(out, '[');
        for (size_t i = 0; i < as_json_count(v); i++, first = false) {
            if (!first) as_buf_char(out, ',');
            new_line(out, indent, depth + 1);
            dump(out, as_json_at(v, i), indent, depth + 1);
        }
        break;
    case AS_JSON_OBJECT:
        as_buf_char(out, '{');
        for (as_json_iter *it = as_json_first(v); it != NULL;
             it = as_json_next(v, it), first = false) {
            if (!first) as_buf_char(out, ',');
            new_line(out, indent, depth + 1);
            as_buf_json_str(out, as_json_iter_key(it));
            as_buf_str(out, indent > 0 ? ": " : ":");
            dump(out, as_json_iter_value(it), indent, depth + 1);
        }
        break;
    }
    if (!first) new_line(out, indent, depth);
    as_buf_char(out, type == AS_JSON_ARRAY ? ']' : '}');
}

void as_json_dump(as_buf *out, const as_json *v, int indent) {
    dump(out, v, indent, 0);
}
