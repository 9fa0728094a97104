/* jsonl.c: JSON Lines, and a JSON array of objects, into a table. It scans the text itself instead
 * of building trees: cells must keep numbers as they are written ("1.50", ids of 20 digits),
 * strings unescape in place, and a large file costs one buffer. Accepts what json.c accepts (a fuzz
 * target compares them) and Python's NaN, Infinity and -Infinity. */
#include "base/hash.h"
#include "base/utf8.h"
#include "io/table_impl.h"
#include <inttypes.h>
#include <string.h>

enum { DEPTH_LIMIT = 2048 }; /* as jansson */

typedef struct scan {
    as_table *t;
    char *p, *end; /* of the line, or of the file inside an array */
    char *line_begin;
    int64_t line;
    bool lossy;      /* half a surrogate pair becomes U+FFFD */
    uint32_t *slots; /* hash table: column + 1, 0 = free; slot_count is a power of two */
    size_t slot_count;
    size_t *last_cell; /* [cols] 1 + the latest cell of each column, to find a key's earlier value
                          in its record */
    size_t last_cap;
    as_err *err;
} scan;

static as_status fail_at(const scan *s, const char *at, const char *what) {
    return as_fail(s->err, ASSAY_FORMAT, "%s:%" PRId64 ": byte %zu: %s", s->t->where, s->line,
                   (size_t)(at - s->line_begin) + 1, what);
}

static as_status fail_end(const scan *s) {
    const as_status status = as_fail(
        s->err, ASSAY_FORMAT, "%s:%" PRId64 ": the JSON text is cut short", s->t->where, s->line);
    as_hint(s->err, "JSON Lines holds one whole object a line; a file in one piece must be an "
                    "array of objects.");
    return status;
}

static as_status fail_nomem(const scan *s) {
    return as_fail_nomem(s->err, s->t->where, s->t->cell_cap * sizeof(as_str));
}

static void skip_space(scan *s) {
    for (; s->p < s->end; s->p++) {
        if (*s->p == '\n') {
            s->line++;
            s->line_begin = s->p + 1;
        } else if (*s->p != ' ' && *s->p != '\t' && *s->p != '\r') {
            return;
        }
    }
}

/* Strings. */

static bool hex4(const scan *s, const char *p, uint32_t *out) {
    if (s->end - p < 4) return false;
    *out = 0;
    for (int i = 0; i < 4; i++) {
        const char c = p[i];
        const uint32_t d = c >= '0' && c <= '9'   ? (uint32_t)(c - '0')
                           : c >= 'a' && c <= 'f' ? (uint32_t)(c - 'a' + 10)
                           : c >= 'A' && c <= 'F' ? (uint32_t)(c - 'A' + 10)
                                                  : 16;
        if (d == 16) return false;
        *out = *out * 16 + d;
    }
    return true;
}

/* s->p is at the u of \uXXXX; goes behind it, and behind the second half of a pair. */
static as_status unicode_escape(scan *s, uint32_t *cp) {
    char *const at = s->p - 1;
    uint32_t low;
    if (!hex4(s, s->p + 1, cp)) return fail_at(s, at, "\\u needs four hexadecimal digits");
    s->p += 5;
    if (*cp < 0xD800 || *cp > 0xDFFF) return ASSAY_OK;
    if (*cp <= 0xDBFF && s->end - s->p >= 6 && s->p[0] == '\\' && s->p[1] == 'u' &&
        hex4(s, s->p + 2, &low) && low >= 0xDC00 && low <= 0xDFFF) {
        *cp = 0x10000 + ((*cp - 0xD800) << 10) + (low - 0xDC00);
        s->p += 6;
        return ASSAY_OK;
    }
    if (!s->lossy) {
        const as_status status = fail_at(s, at, "half of a surrogate pair is no character");
        as_hint(s->err, "Write the whole pair, or give --encoding utf-8-lossy to replace such "
                        "halves and count them.");
        return status;
    }
    memcpy(at, "\\ufffd", 6);
    *cp = 0xFFFD;
    s->t->replaced++;
    return ASSAY_OK;
}

/* s->p is at the backslash; goes behind the escape, whose character becomes utf8[0..n). */
static as_status escape(scan *s, char utf8[4], uint32_t *n) {
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    if (++s->p == s->end) return fail_end(s);
    const char *const at = *s->p != '\0' ? strchr(from, *s->p) : NULL;
    uint32_t cp;
    if (at != NULL) {
        utf8[0] = to[at - from];
        *n = 1;
        s->p++;
        return ASSAY_OK;
    }
    if (*s->p != 'u') return fail_at(s, s->p - 1, "unknown escape in a string");
    AS_TRY(unicode_escape(s, &cp));
    *n = as_utf8_put(utf8, cp);
    return ASSAY_OK;
}

/* s->p is at the opening quote; goes behind the closing one. With `text` the string is unescaped in
 * place (an escape is never shorter than its character) and returned, else only checked. */
static as_status string(scan *s, as_str *text) {
    char *const begin = ++s->p, *out = begin;
    for (;;) {
        const char *const run = s->p;
        while (s->p < s->end && *s->p != '"' && *s->p != '\\' && (unsigned char)*s->p >= 0x20)
            s->p++;
        if (s->p == s->end) return fail_end(s);
        const size_t n = (size_t)(s->p - run);
        if (text != NULL && out != run) memmove(out, run, n);
        out += n;
        if (*s->p == '"') break;
        if (*s->p != '\\') return fail_at(s, s->p, "a control character in a string");
        char utf8[4];
        uint32_t bytes = 0;
        AS_TRY(escape(s, utf8, &bytes));
        if (text != NULL) memcpy(out, utf8, bytes);
        out += bytes;
    }
    s->p++;
    if (text != NULL) *text = (as_str){begin, (size_t)(out - begin)};
    return ASSAY_OK;
}

/* Other values. */

static bool digits(scan *s) {
    const char *const begin = s->p;
    while (s->p < s->end && *s->p >= '0' && *s->p <= '9')
        s->p++;
    return s->p > begin;
}

static as_status number(scan *s) {
    const char *const begin = s->p;
    if (*s->p == '-') s->p++;
    const bool zero = s->p < s->end && *s->p == '0';
    if (zero) s->p++;
    bool good = zero || digits(s);
    if (good && s->p < s->end && *s->p == '.') {
        s->p++;
        good = digits(s);
    }
    if (good && s->p < s->end && (*s->p == 'e' || *s->p == 'E')) {
        s->p++;
        if (s->p < s->end && (*s->p == '+' || *s->p == '-')) s->p++;
        good = digits(s);
    }
    return good ? ASSAY_OK : fail_at(s, begin, "not a number as JSON writes them");
}

static bool word(scan *s, const char *text) {
    const size_t n = strlen(text);
    if ((size_t)(s->end - s->p) < n || memcmp(s->p, text, n) != 0) return false;
    s->p += n;
    return true;
}

static as_status check_value(scan *s, int depth);

/* The inside of an array or object; s->p is behind the bracket. */
static as_status check_members(scan *s, char close, int depth) {
    skip_space(s);
    if (s->p < s->end && *s->p == close) {
        s->p++;
        return ASSAY_OK;
    }
    for (;;) {
        if (close == '}') {
            skip_space(s);
            if (s->p == s->end) return fail_end(s);
            if (*s->p != '"') return fail_at(s, s->p, "a key in quotes is expected");
            AS_TRY(string(s, NULL));
            skip_space(s);
            if (s->p == s->end) return fail_end(s);
            if (*s->p++ != ':') return fail_at(s, s->p - 1, "\":\" is expected");
        }
        skip_space(s);
        AS_TRY(check_value(s, depth + 1));
        skip_space(s);
        if (s->p == s->end) return fail_end(s);
        const char c = *s->p++;
        if (c == close) return ASSAY_OK;
        if (c != ',')
            return fail_at(s, s->p - 1,
                           close == '}' ? "\",\" or \"}\" is expected"
                                        : "\",\" or \"]\" is expected");
    }
}

static as_status check_value(scan *s, int depth) {
    if (s->p == s->end) return fail_end(s);
    if (depth > DEPTH_LIMIT) return fail_at(s, s->p, "nested too deeply");
    switch (*s->p) {
    case '"':
        return string(s, NULL);
    case '[':
        s->p++;
        return check_members(s, ']', depth);
    case '{':
        s->p++;
        return check_members(s, '}', depth);
    case '-':
        if (word(s, "-Infinity")) return ASSAY_OK;
        return number(s);
    default:
        if (*s->p >= '0' && *s->p <= '9') return number(s);
        if (word(s, "true") || word(s, "false") || word(s, "null") || word(s, "NaN") ||
            word(s, "Infinity"))
            return ASSAY_OK;
        return fail_at(s, s->p, "a value is expected");
    }
}

/* Take the white space between tokens out of checked JSON, in place. */
static as_str compact(char *begin, const char *end) {
    char *out = begin;
    bool inside = false;
    for (const char *p = begin; p < end; p++) {
        if (!inside && (*p == ' ' || *p == '\t' || *p == '\r' || *p == '\n')) continue;
        if (inside && *p == '\\')
            *out++ = *p++; /* the escaped character is copied below */
        else if (*p == '"')
            inside = !inside;
        *out++ = *p;
    }
    return (as_str){begin, (size_t)(out - begin)};
}

/* A member's value as the text of its cell; p == NULL for null. */
static as_status cell_value(scan *s, as_str *cell) {
    if (s->p == s->end) return fail_end(s);
    char *const begin = s->p;
    if (*begin == '"') return string(s, cell);
    AS_TRY(check_value(s, 2));
    *cell = (as_str){begin, (size_t)(s->p - begin)};
    if (*begin == '[' || *begin == '{')
        *cell = compact(begin, s->p);
    else if (*begin == 'n')
        *cell = (as_str){NULL, 0};
    return ASSAY_OK;
}

/* Columns: the union of the keys, in the order of their first appearance. */

static void insert_slot(scan *s, as_str name, uint32_t value) {
    size_t i = as_hash64(name.p, name.n, 0) & (s->slot_count - 1);
    while (s->slots[i] != 0)
        i = (i + 1) & (s->slot_count - 1);
    s->slots[i] = value;
}

static bool grow_slots(scan *s) {
    const size_t count = s->slot_count == 0 ? 64 : 2 * s->slot_count;
    uint32_t *const slots = as_calloc(count, sizeof *slots);
    if (slots == NULL) return false;
    as_free(s->slots);
    s->slots = slots;
    s->slot_count = count;
    for (size_t i = 0; i < s->t->cols; i++)
        insert_slot(s, s->t->names[i], (uint32_t)i + 1);
    return true;
}

static as_status add_column(scan *s, as_str key) {
    as_table *const t = s->t;
    if (t->cols >= AS_TABLE_MAX_COLS)
        return as_fail(s->err, ASSAY_FORMAT, "%s:%" PRId64 ": more than %d different keys",
                       t->where, s->line, AS_TABLE_MAX_COLS);
    if (2 * (t->cols + 1) > s->slot_count && !grow_slots(s)) return fail_nomem(s);
    if (!as_grow(&s->last_cell, &s->last_cap, t->cols + 1, sizeof *s->last_cell))
        return fail_nomem(s);
    s->last_cell[t->cols] = 0;
    if (!as_table_push_name(t, key)) return fail_nomem(s);
    insert_slot(s, key, (uint32_t)t->cols);
    return ASSAY_OK;
}

/* `guess`: the column of this key if the record lists its keys as the first one did. */
static as_status column_of(scan *s, as_str key, size_t guess, size_t *col) {
    as_table *const t = s->t;
    *col = guess;
    if (guess < t->cols && as_str_eq(t->names[guess], key)) return ASSAY_OK;
    if (s->slot_count > 0) {
        for (size_t i = as_hash64(key.p, key.n, 0) & (s->slot_count - 1); s->slots[i] != 0;
             i = (i + 1) & (s->slot_count - 1)) {
            *col = s->slots[i] - 1;
            if (as_str_eq(t->names[*col], key)) return ASSAY_OK;
        }
    }
    *col = t->cols;
    return add_column(s, key);
}

static as_status add_cell(scan *s, size_t first, as_str key, as_str cell) {
    as_table *const t = s->t;
    size_t col;
    AS_TRY(column_of(s, key, t->cell_count - first, &col));
    if (s->last_cell[col] >
        first) { /* the key came before in this record: the last one wins, as in Python */
        t->cells[s->last_cell[col] - 1] = cell;
        return ASSAY_OK;
    }
    if (!as_grow(&t->cell_col, &t->col_cap, t->cell_count + 1, sizeof *t->cell_col))
        return fail_nomem(s);
    t->cell_col[t->cell_count] = (int32_t)col;
    if (!as_table_push_cell(t, cell)) return fail_nomem(s);
    s->last_cell[col] = t->cell_count;
    return ASSAY_OK;
}

/* Records. */

static as_status fail_not_object(const scan *s) {
    const char c = *s->p;
    const char *const what = c == '['                             ? "an array"
                             : c == '"'                           ? "a string"
                             : c == '-' || (c >= '0' && c <= '9') ? "a number"
                                                                  : "something else";
    const as_status status =
        as_fail(s->err, ASSAY_FORMAT, "%s:%" PRId64 ": %s where an object, {...}, is expected",
                s->t->where, s->line, what);
    as_hint(s->err, "JSON Lines holds one object a line, with the same keys in each.");
    return status;
}

/* s->p is at what should be an object's brace; goes behind the object. */
static as_status object(scan *s) {
    as_table *const t = s->t;
    const size_t first = t->cell_count;
    if (*s->p != '{') return fail_not_object(s);
    if (!as_grow(&t->row_first, &t->first_cap, t->rows + 1, sizeof *t->row_first))
        return fail_nomem(s);
    t->row_first[t->rows] = first;
    if (!as_table_push_row(t, s->line)) return fail_nomem(s);
    s->p++;
    skip_space(s);
    if (s->p < s->end && *s->p == '}') {
        s->p++;
        return ASSAY_OK;
    }
    for (;;) {
        as_str key, cell;
        skip_space(s);
        if (s->p == s->end) return fail_end(s);
        if (*s->p != '"') return fail_at(s, s->p, "a key in quotes is expected");
        AS_TRY(string(s, &key));
        skip_space(s);
        if (s->p == s->end) return fail_end(s);
        if (*s->p++ != ':') return fail_at(s, s->p - 1, "\":\" is expected");
        skip_space(s);
        AS_TRY(cell_value(s, &cell));
        AS_TRY(add_cell(s, first, key, cell));
        skip_space(s);
        if (s->p == s->end) return fail_end(s);
        const char c = *s->p++;
        if (c == '}') return ASSAY_OK;
        if (c != ',') return fail_at(s, s->p - 1, "\",\" or \"}\" is expected");
    }
}

static as_status lines(scan *s, int64_t limit) {
    as_table *const t = s->t;
    char *const file_end = s->end;
    for (char *next = s->p; next < file_end && (limit <= 0 || (int64_t)t->rows < limit);
         s->line++) {
        char *const lf = memchr(next, '\n', (size_t)(file_end - next));
        s->p = s->line_begin = next;
        s->end = lf != NULL ? lf : file_end;
        next = lf != NULL ? lf + 1 : file_end;
        skip_space(s);
        if (s->p == s->end) continue;
        AS_TRY(object(s));
        skip_space(s);
        if (s->p < s->end) return fail_at(s, s->p, "text follows the object");
    }
    return ASSAY_OK;
}

/* s->p is at the opening bracket. */
static as_status array(scan *s, int64_t limit) {
    s->p++;
    skip_space(s);
    if (s->p < s->end && *s->p == ']')
        s->p++;
    else
        for (;;) {
            skip_space(s);
            if (s->p == s->end) return fail_end(s);
            AS_TRY(object(s));
            if (limit > 0 && (int64_t)s->t->rows >= limit) return ASSAY_OK;
            skip_space(s);
            if (s->p == s->end) return fail_end(s);
            const char c = *s->p++;
            if (c == ']') break;
            if (c != ',') return fail_at(s, s->p - 1, "\",\" or \"]\" is expected");
        }
    skip_space(s);
    return s->p == s->end ? ASSAY_OK : fail_at(s, s->p, "text follows the array");
}

as_status as_jsonl_parse(as_table *t, size_t begin, const as_table_opts *opts, as_err *err) {
    scan s = {.t = t, .p = t->text.p + begin, .end = t->text.p + t->text.n, 
              .line = opts->first_line > 0 ? opts->first_line : 1, .err = err};
    const int64_t first = s.line;
    char *const start = s.line_begin = s.p;
    s.lossy = opts->encoding == AS_UTF8_LOSSY;
    skip_space(&s);
    as_status status;
    if (s.p < s.end && *s.p == '[') {
        status = array(&s, opts->limit);
    } else {
        s.p = start;
        s.line = first;
        status = lines(&s, opts->limit);
    }
    as_free(s.slots);
    as_free(s.last_cell);
    return status;
}
