#include "io/table.h"
#include "base/file.h"
#include "base/utf8.h"
#include "io/decompress.h"
#include "io/table_impl.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

bool as_table_push_name(as_table *t, as_str name) {
    if (t->cols == t->name_cap && !as_grow(&t->names, &t->name_cap, t->cols + 1, sizeof *t->names))
        return false;
    t->names[t->cols++] = name;
    return true;
}

as_status as_table_set_names(as_table *t, const char *columns, size_t cols, as_err *err) {
    as_buf *const made = &t->made;
    if (columns != NULL) as_buf_str(made, columns);
    for (size_t i = 0; columns == NULL && i < cols; i++)
        as_buf_fmt(made, i > 0 ? ",%zu" : "%zu", i + 1);
    if (made->failed) return as_fail_nomem(err, t->where, made->n);
    const char *p = made->p, *const end =
                                 p +
                                 made->n; /* the buffer grows no more: names may point into it */
    for (bool more = true; more;) {
        const char *const comma = memchr(p, ',', (size_t)(end - p));
        const char *const stop = comma != NULL ? comma : end;
        if (stop == p)
            return as_fail(err, ASSAY_USAGE, "%s: an empty name in --columns \"%.200s\"", t->where,
                           columns);
        if (!as_table_push_name(t, (as_str){p, (size_t)(stop - p)}))
            return as_fail_nomem(err, t->where, made->n);
        more = comma != NULL;
        p = stop + 1;
    }
    return ASSAY_OK;
}

/* Formats. */

static bool ends_with(as_str s, const char *suffix) {
    const size_t n = strlen(suffix);
    return s.n > n && strncasecmp(s.p + s.n - n, suffix, n) == 0;
}

static as_table_format format_by_name(const char *path) {
    static const struct {
        const char *suffix;
        as_table_format format;
    } known[] = {
        {".csv", AS_TABLE_CSV},      {".tsv", AS_TABLE_TSV},    {".jsonl", AS_TABLE_JSONL},
        {".ndjson", AS_TABLE_JSONL}, {".json", AS_TABLE_JSONL}, {".parquet", AS_TABLE_PARQUET},
    };
    as_str name = as_str_of(path);
    if (ends_with(name, ".gz"))
        name.n -= 3;
    else if (ends_with(name, ".zst"))
        name.n -= 4;
    for (size_t i = 0; i < AS_COUNT(known); i++)
        if (ends_with(name, known[i].suffix)) return known[i].format;
    return AS_TABLE_AUTO;
}

/* Standard input has no name, but what begins with a brace can only be meant as JSON. */
static bool begins_with_brace(const as_buf *text) {
    size_t i = 0;
    if (text->n >= 3 && memcmp(text->p, "\xEF\xBB\xBF", 3) == 0) i = 3;
    while (i < text->n && strchr(" \t\r\n", text->p[i]) != NULL && text->p[i] != '\0')
        i++;
    return i < text->n && text->p[i] == '{';
}

/* No text ends like this by chance, so a name that says otherwise, or nothing, is overruled. */
static bool is_parquet(const as_buf *text) {
    return text->n >= 12 && memcmp(text->p, "PAR1", 4) == 0 &&
           memcmp(text->p + text->n - 4, "PAR1", 4) == 0;
}

static as_status choose_format(const as_table *t, const as_table_opts *opts, as_table_format *out,
                               as_err *err) {
    *out = opts->format;
    if (*out == AS_TABLE_AUTO && is_parquet(&t->text)) *out = AS_TABLE_PARQUET;
    if (*out == AS_TABLE_AUTO) *out = format_by_name(t->path);
    if (*out == AS_TABLE_AUTO && opts->sep != '\0') *out = AS_TABLE_CSV;
    if (*out == AS_TABLE_AUTO && strcmp(t->path, "-") == 0 && begins_with_brace(&t->text))
        *out = AS_TABLE_JSONL;
    if (*out != AS_TABLE_AUTO) return ASSAY_OK;
    as_fail(err, ASSAY_USAGE, "%s: the name does not tell the format", t->where);
    as_hint(err, "Name it .csv, .tsv, .jsonl, .json or .parquet (also with .gz or .zst), or give "
                 "the separator of its cells with --sep.");
    return ASSAY_USAGE;
}

static as_status check_options(const as_table *t, const as_table_opts *opts, as_table_format format,
                               as_err *err) {
    const unsigned char sep = (unsigned char)opts->sep;
    if (sep >= 0x80 || sep == '\n' || sep == '\r' || sep == '"')
        return as_fail(err, ASSAY_USAGE,
                       "%s: the separator must be one ASCII character, and no quote or line end",
                       t->where);
    if (opts->max_split < 0)
        return as_fail(err, ASSAY_USAGE, "%s: --max-split %d is negative", t->where,
                       opts->max_split);
    if (format == AS_TABLE_PARQUET && opts->encoding == AS_LATIN1) {
        as_fail(err, ASSAY_USAGE, "%s: --encoding latin-1 does not apply to Parquet", t->where);
        as_hint(err, "Its texts are UTF-8; leave the option out.");
        return ASSAY_USAGE;
    }
    if ((format != AS_TABLE_JSONL && format != AS_TABLE_PARQUET) ||
        (opts->columns == NULL && opts->max_split == 0))
        return ASSAY_OK;
    as_fail(err, ASSAY_USAGE,
            "%s: --columns and --max-split do not apply to %s, whose records name their own fields",
            t->where, format == AS_TABLE_JSONL ? "JSON" : "Parquet");
    as_hint(err, "Leave them out, and choose fields with --text, --pair and --label.");
    return ASSAY_USAGE;
}

/* Encodings: t->text becomes valid UTF-8. */

static as_status fail_encoding(const as_table *t, size_t at, const as_table_opts *opts, as_err *err) {
    int64_t line = opts->first_line > 0 ? opts->first_line : 1;
    size_t begin = 0;
    for (const char *p = t->text.p; (p = memchr(p, '\n', at - (size_t)(p - t->text.p))) != NULL;) {
        begin = (size_t)(++p - t->text.p);
        line++;
    }
    as_fail(err, ASSAY_FORMAT, "%s:%" PRId64 ": byte %zu is not valid UTF-8 (0x%02X)", t->where,
            line, at - begin + 1, (unsigned)(unsigned char)t->text.p[at]);
    const unsigned char *const head = (const unsigned char *)t->text.p;
    if (at == 0 && t->text.n >= 2 &&
        ((head[0] == 0xFF && head[1] == 0xFE) || (head[0] == 0xFE && head[1] == 0xFF)))
        as_hint(err, "The file is UTF-16: convert it, for example with iconv -f UTF-16 -t UTF-8.");
    else
        as_hint(err, "Give --encoding latin-1 if the file is in that encoding, or --encoding "
                     "utf-8-lossy to replace such bytes and count them.");
    return ASSAY_FORMAT;
}

/* *begin: the first byte behind a byte-order mark. */
static as_status decode(as_table *t, const as_table_opts *opts, size_t *begin, as_err *err) {
    const as_encoding encoding = opts->encoding;
    const as_str all = as_buf_view(&t->text);
    *begin = all.n >= 3 && memcmp(all.p, "\xEF\xBB\xBF", 3) == 0 ? 3 : 0;
    const as_str body = {all.p + *begin, all.n - *begin};
    const size_t valid = encoding == AS_LATIN1 ? 0 : as_utf8_valid_prefix(body.p, body.n);
    if (valid == body.n) return ASSAY_OK;
    if (encoding == AS_UTF8) return fail_encoding(t, *begin + valid, opts, err);
    as_buf decoded = {0};
    if (encoding == AS_LATIN1)
        as_latin1_to_utf8(&decoded, body);
    else
        t->replaced = (int64_t)as_utf8_lossy(&decoded, body);
    as_buf_free(&t->text);
    t->text = decoded;
    *begin = 0;
    return decoded.failed ? as_fail_nomem(err, t->where, 2 * body.n) : ASSAY_OK;
}

static as_status fail_no_records(const as_table *t, as_err *err) {
    as_fail(err, ASSAY_FORMAT, "%s: no records", t->where);
    if (t->has_header && memchr(t->text.p, '\r', t->text.n) != NULL &&
        memchr(t->text.p, '\n', t->text.n) == NULL)
        as_hint(err, "Its lines end with CR alone: convert them to LF.");
    else if (t->has_header)
        as_hint(
            err,
            "The file has one line, which was taken as its header; --no-header makes it a record.");
    else
        as_hint(err, "The file is empty, or holds blank lines only.");
    return ASSAY_FORMAT;
}

/* Everything behind the reading: t->text holds the unpacked content. */
static as_status parse(as_table *t, const as_table_opts *opts, as_err *err) {
    as_table_format format;
    size_t begin;
    AS_TRY(choose_format(t, opts, &format, err));
    AS_TRY(check_options(t, opts, format, err));
    if (t->text.n == 0) return fail_no_records(t, err);
    if (format == AS_TABLE_PARQUET) return as_parquet_parse(t, opts, as_mem_limit() / 2, err);
    AS_TRY(decode(t, opts, &begin, err));
    if (begin == t->text.n) return fail_no_records(t, err);
    const char sep = opts->sep != '\0' ? opts->sep : format == AS_TABLE_TSV ? '\t' : ',';
    if (format == AS_TABLE_JSONL)
        AS_TRY(as_jsonl_parse(t, begin, opts, err));
    else if (format == AS_TABLE_LINES)
        AS_TRY(as_lines_parse(t, begin, opts, err));
    else
        AS_TRY(as_csv_parse(t, begin, sep, opts, err));
    return t->rows == 0 ? fail_no_records(t, err) : ASSAY_OK;
}

static as_table *new_table(const char *path) {
    as_table *const t = as_calloc(1, sizeof *t);
    if (t == NULL) return NULL;
    t->path = as_strdup(path);
    t->where = strcmp(path, "-") == 0 ? "standard input" : t->path;
    if (t->path != NULL) return t;
    as_free(t);
    return NULL;
}

as_status as_table_open(as_table **out, const char *path, const as_table_opts *opts, as_err *err) {
    *out = NULL;
    as_table *const t = new_table(path);
    if (t == NULL) return as_fail_nomem(err, path, sizeof *t);
    as_status s = as_read_maybe_compressed(&t->text, path, err);
    if (s == ASSAY_OK) s = parse(t, opts, err);
    if (s == ASSAY_OK)
        *out = t;
    else
        as_table_free(t);
    return s;
}

as_status as_table_parse(as_table **out, as_str bytes, const char *where, const as_table_opts *opts,
                         as_err *err) {
    *out = NULL;
    as_table *const t = new_table(where);
    if (t == NULL) return as_fail_nomem(err, where, sizeof *t);
    as_buf_add(&t->text, bytes.p, bytes.n);
    as_status s = t->text.failed ? as_fail_nomem(err, where, bytes.n) : parse(t, opts, err);
    if (s == ASSAY_OK)
        *out = t;
    else
        as_table_free(t);
    return s;
}

void as_table_free(as_table *t) {
    if (t == NULL) return;
    as_buf_free(&t->text);
    as_buf_free(&t->made);
    as_free(t->path);
    as_free(t->names);
    as_free(t->cells);
    as_free(t->cell_col);
    as_free(t->row_first);
    as_free(t->row_line);
    as_free(t->refused);
    for (as_table_block *b = t->blocks, *next; b != NULL; b = next) {
        next = b->next;
        as_free(b);
    }
    as_free(t);
}

const char *as_table_path(const as_table *t) {
    return t->path;
}
int64_t as_table_rows(const as_table *t) {
    return (int64_t)t->rows;
}
int as_table_cols(const as_table *t) {
    return (int)t->cols;
}
int64_t as_table_line(const as_table *t, int64_t row) {
    return t->row_line[row];
}
int64_t as_table_replaced(const as_table *t) {
    return t->replaced;
}
void as_table_warn_replaced(const as_table *t, const as_log *log) {
    if (t->replaced > 0)
        as_log_line(log, AS_WARN, "%s: invalid UTF-8 was replaced in %" PRId64 " place%s", t->where,
                    t->replaced, t->replaced == 1 ? "" : "s");
}

as_str as_table_name(const as_table *t, int col) {
    AS_ASSERT(col >= 0 && (size_t)col < t->cols);
    return t->names[col];
}

/* The stored cell; NULL when the record has no such key. */
static const as_str *find_cell(const as_table *t, int64_t row, int col) {
    AS_ASSERT(row >= 0 && (size_t)row < t->rows && col >= 0 && (size_t)col < t->cols);
    const size_t r = (size_t)row, c = (size_t)col;
    if (t->cell_col == NULL) return &t->cells[r * t->cols + c];
    const size_t first = t->row_first[r],
                 end = r + 1 < t->rows ? t->row_first[r + 1] : t->cell_count;
    if (first + c < end && t->cell_col[first + c] == col)
        return &t->cells[first + c]; /* keys in their usual order */
    for (size_t i = first; i < end; i++)
        if (t->cell_col[i] == col) return &t->cells[i];
    return NULL;
}

as_str as_table_cell(const as_table *t, int64_t row, int col) {
    const as_str *const cell = find_cell(t, row, col);
    return cell != NULL && cell->p != NULL ? *cell : AS_LIT("");
}

bool as_table_is_null(const as_table *t, int64_t row, int col) {
    const as_str *const cell = find_cell(t, row, col);
    return cell == NULL || cell->p == NULL;
}

/* Columns by name. */

/* The index of the name nearest to `name`, or -1. Long names are compared by their first bytes. */
static int nearest_column(const as_table *t, const char *name) {
    enum { LONGEST = 64, MOST = 200 };
    const size_t count = t->cols < MOST ? t->cols : MOST;
    char(*const copies)[LONGEST] = as_calloc(count, LONGEST);
    const char **const list = as_calloc(count, sizeof *list);
    int at = -1;
    if (copies != NULL && list != NULL) {
        for (size_t i = 0; i < count; i++) {
            const size_t n = t->names[i].n < LONGEST ? t->names[i].n : LONGEST - 1;
            if (n > 0) memcpy(copies[i], t->names[i].p, n);
            list[i] = copies[i];
        }
        at = as_nearest(name, list, count);
    }
    as_free(list);
    as_free(copies);
    return at;
}

static as_status fail_no_column(const as_table *t, const char *name, as_err *err) {
    as_fail(err, ASSAY_USAGE, "%s:1: no column \"%.100s\"", t->where, name);
    if (t->cols == 1 && t->has_header) {
        as_hint(err, "the only column is \"%.*s\"; another separator is set with --sep",
                (int)(t->names[0].n < 200 ? t->names[0].n : 200), t->names[0].p);
        return ASSAY_USAGE;
    }
    as_buf list = {0};
    size_t shown = 0;
    for (; shown < t->cols && list.n + t->names[shown].n < 300; shown++) {
        if (shown > 0) as_buf_str(&list, ", ");
        as_buf_add(&list, t->names[shown].p, t->names[shown].n);
    }
    const int near = nearest_column(t, name);
    if (!list.failed && shown > 0) {
        const char *const more = shown < t->cols ? ", ..." : "";
        const char *const plural = t->cols == 1 ? "column is" : "columns are";
        if (near >= 0)
            as_hint(err, "the %s %s%s; did you mean \"%.*s\"?", plural, list.p, more,
                    (int)(t->names[near].n < 100 ? t->names[near].n : 100), t->names[near].p);
        else
            as_hint(err, "the %s %s%s", plural, list.p, more);
    }
    as_buf_free(&list);
    return ASSAY_USAGE;
}

as_status as_table_readable(const as_table *t, int col, as_err *err) {
    if (t->refused == NULL || t->refused[col].status == ASSAY_OK) return ASSAY_OK;
    if (err != NULL) *err = t->refused[col];
    return t->refused[col].status;
}

as_status as_table_find(const as_table *t, const char *name, int *col, as_err *err) {
    int64_t number;
    *col = -1;
    for (size_t i = 0; i < t->cols; i++) {
        if (!as_str_is(t->names[i], name)) continue;
        if (*col >= 0) {
            as_fail(err, ASSAY_USAGE, "%s:1: columns %d and %zu are both named \"%.100s\"",
                    t->where, *col + 1, i + 1, name);
            as_hint(err, "Rename one of them, or give the column by its number.");
            *col = -1;
            return ASSAY_USAGE;
        }
        *col = (int)i;
    }
    if (*col >= 0) return as_table_readable(t, *col, err);
    if (as_parse_i64(as_str_of(name), &number) && number >= 1 && number <= (int64_t)t->cols) {
        *col = (int)(number - 1);
        return as_table_readable(t, *col, err);
    }
    return fail_no_column(t, name, err);
}
