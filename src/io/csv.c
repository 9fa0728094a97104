/* csv.c: CSV, TSV and plain lines. RFC 4180: a cell that begins with a quote ends at the next lone
 * quote, "" stands for one, and line ends inside belong to the cell; a quote further on in an
 * unquoted cell is an ordinary character. Accepts what Python's csv.reader(strict=True) accepts.
 * Differs: a lone CR is no line end, and records of unequal length are errors. */
#include "io/table_impl.h"
#include <inttypes.h>
#include <string.h>

typedef struct csv {
    as_table *t;
    char *p, *end;
    int64_t line; /* of p */
    char sep;
    bool quotes;
    size_t max_cells; /* the last of them takes the rest of its line; 0 = no limit */
    const char *columns;
    as_err *err;
} csv;

static as_status fail_unclosed(const csv *c, int64_t line) {
    const as_status s =
        as_fail(c->err, ASSAY_FORMAT, "%s:%" PRId64 ": the quote that opens here is never closed",
                c->t->where, line);
    as_hint(c->err, "If quotes are ordinary characters in this file, read it with --no-quotes.");
    return s;
}

static as_status fail_after_quote(const csv *c) {
    const as_status s = as_fail(
        c->err, ASSAY_FORMAT, "%s:%" PRId64 ": text follows a closing quote", c->t->where, c->line);
    as_hint(c->err, "If quotes are ordinary characters in this file, read it with --no-quotes; if "
                    "not, double the quotes inside cells.");
    return s;
}

static as_status fail_ragged(const csv *c, int64_t line, size_t have) {
    const size_t want = c->t->cols;
    const char *const who = c->t->has_header     ? "the header has"
                            : c->columns != NULL ? "--columns names"
                                                 : "the first record has";
    const as_status s = as_fail(c->err, ASSAY_FORMAT, "%s:%" PRId64 ": %zu cell%s where %s %zu",
                                c->t->where, line, have, have == 1 ? "" : "s", who, want);
    char name[] = {'"', c->sep, '"', '\0'};
    const char *const sep = c->sep == '\t' ? "a tab" : c->sep == ' ' ? "a space" : name;
    if (c->max_cells > 0)
        as_hint(
            c->err,
            "Every line needs at least %zu of its separator, %s; another one is set with --sep.",
            want - 1, sep);
    else if (have == 1 || want == 1)
        as_hint(c->err, "The separator is %s; another one is set with --sep.", sep);
    else if (c->quotes)
        as_hint(c->err, "If quotes are ordinary characters in this file, use --no-quotes; a cell "
                        "that holds the separator "
                        "must stand in quotes.");
    else
        as_hint(
            c->err,
            "If the last cell may hold the separator, cut at the first %zu only: --max-split %zu.",
            want - 1, want - 1);
    return s;
}

static int64_t count_lines(const char *p, const char *end) {
    int64_t n = 0;
    while ((p = memchr(p, '\n', (size_t)(end - p))) != NULL)
        n++, p++;
    return n;
}

/* *pp is behind the opening quote; on return behind the closing one. Doubled quotes are halved in
 * place. */
static as_status quoted_cell(csv *c, char **pp, as_str *cell) {
    char *const begin = *pp;
    char *p = begin, *out = begin;
    const int64_t opened = c->line;
    for (;;) {
        char *const q = memchr(p, '"', (size_t)(c->end - p));
        if (q == NULL) return fail_unclosed(c, opened);
        const size_t n = (size_t)(q - p);
        c->line += count_lines(p, q);
        if (out != p) memmove(out, p, n);
        out += n;
        p = q + 1;
        if (p == c->end || *p != '"') break;
        *out++ = '"';
        p++;
    }
    *cell = (as_str){begin, (size_t)(out - begin)};
    *pp = p;
    return ASSAY_OK;
}

typedef struct line_end {
    char *text; /* end of the line's content */
    char *next; /* the byte behind its LF, or the end of the file */
} line_end;

/* LF and CRLF end a line; a CR as the very last byte is a cut CRLF. */
static line_end find_line_end(const csv *c, char *p) {
    char *const lf = memchr(p, '\n', (size_t)(c->end - p));
    char *const end = lf != NULL ? lf : c->end;
    return (line_end){end > p && end[-1] == '\r' ? end - 1 : end, lf != NULL ? lf + 1 : c->end};
}

/* Append the cells of the record at c->p and go behind it. */
static as_status record(csv *c) {
    as_table *const t = c->t;
    const size_t first = t->cell_count;
    line_end eol = find_line_end(c, c->p);
    for (char *p = c->p;; p++) {
        as_str cell = {NULL, 0};
        char *stop;
        if (c->quotes && p < eol.text && *p == '"') {
            stop = p + 1;
            AS_TRY(quoted_cell(c, &stop, &cell));
            if (stop > eol.text) eol = find_line_end(c, stop); /* the cell ran over line ends */
            if (stop < eol.text && *stop != c->sep) return fail_after_quote(c);
        } else {
            const bool rest = c->max_cells > 0 && t->cell_count - first + 1 == c->max_cells;
            stop = rest ? NULL : memchr(p, c->sep, (size_t)(eol.text - p));
            if (stop == NULL) stop = eol.text;
            cell = (as_str){p, (size_t)(stop - p)};
        }
        if (t->cell_count - first >= AS_TABLE_MAX_COLS)
            return as_fail(c->err, ASSAY_FORMAT, "%s:%" PRId64 ": more than %d cells", t->where,
                           c->line, AS_TABLE_MAX_COLS);
        if (!as_table_push_cell(t, cell))
            return as_fail_nomem(c->err, t->where, t->cell_cap * sizeof cell);
        if (stop == eol.text) break;
        p = stop;
    }
    c->p = eol.next;
    c->line++;
    return ASSAY_OK;
}

/* Go over lines of no bytes. */
static void skip_blank(csv *c) {
    while (c->p < c->end) {
        const size_t left = (size_t)(c->end - c->p);
        if (c->p[0] == '\n')
            c->p++;
        else if (c->p[0] == '\r' && left == 1)
            c->p++;
        else if (c->p[0] == '\r' && c->p[1] == '\n')
            c->p += 2;
        else
            return;
        c->line++;
    }
}

/* Whether the cells of the first record are the names that --columns gave: then it is a header
 * after all. */
static bool repeats_names(const as_table *t, size_t count) {
    if (count != t->cols) return false;
    for (size_t i = 0; i < count; i++)
        if (!as_str_eq(t->cells[i], t->names[i])) return false;
    return true;
}

/* Names from the options or from the first record, which stays a row when it is none. */
static as_status header(csv *c, const as_table_opts *opts) {
    as_table *const t = c->t;
    skip_blank(c);
    const int64_t line = c->line;
    if (opts->columns != NULL) AS_TRY(as_table_set_names(t, opts->columns, 0, c->err));
    if (c->p == c->end) return ASSAY_OK;
    AS_TRY(record(c));
    const size_t count = t->cell_count;
    if (opts->columns == NULL && !opts->no_header) {
        t->has_header = true;
        for (size_t i = 0; i < count; i++)
            if (!as_table_push_name(t, t->cells[i]))
                return as_fail_nomem(c->err, t->where, count * sizeof(as_str));
    } else if (opts->columns == NULL) {
        AS_TRY(as_table_set_names(t, NULL, count, c->err));
    } else if (!opts->no_header && repeats_names(t, count)) {
        t->has_header = true;
    } else if (count != t->cols) {
        return fail_ragged(c, line, count);
    }
    if (t->has_header)
        t->cell_count = 0;
    else if (!as_table_push_row(t, line))
        return as_fail_nomem(c->err, t->where, sizeof line);
    return ASSAY_OK;
}

as_status as_csv_parse(as_table *t, size_t begin, char sep, const as_table_opts *opts,
                       as_err *err) {
    csv c = {.t = t,
             .p = t->text.p + begin,
             .end = t->text.p + t->text.n,
             .line = opts->first_line > 0 ? opts->first_line : 1,
             .sep = sep,
             .err = err};
    c.quotes = !opts->no_quotes && opts->max_split <= 0;
    c.max_cells = opts->max_split > 0 ? (size_t)opts->max_split + 1 : 0;
    c.columns = opts->columns;
    t->is_csv = true;
    AS_TRY(header(&c, opts));
    for (skip_blank(&c); c.p < c.end && (opts->limit <= 0 || (int64_t)t->rows < opts->limit);
         skip_blank(&c)) {
        const int64_t line = c.line;
        const size_t before = t->cell_count;
        AS_TRY(record(&c));
        if (t->cell_count - before != t->cols) return fail_ragged(&c, line, t->cell_count - before);
        if (!as_table_push_row(t, line)) return as_fail_nomem(err, t->where, t->rows * sizeof line);
    }
    return ASSAY_OK;
}

as_status as_lines_parse(as_table *t, size_t begin, const as_table_opts *opts, as_err *err) {
    const csv c = {
        .t = t, .p = t->text.p + begin, .end = t->text.p + t->text.n, .line = 1, .err = err};
    AS_TRY(as_table_set_names(t, opts->columns != NULL ? opts->columns : "text", 0, err));
    if (t->cols != 1)
        return as_fail(err, ASSAY_USAGE, "%s: --columns names %zu columns where a line is one text",
                       t->where, t->cols);
    for (char *p = c.p; p < c.end && (opts->limit <= 0 || (int64_t)t->rows < opts->limit);) {
        const line_end eol = find_line_end(&c, p);
        const bool lf = eol.next[-1] == '\n';
        const char *const stop = opts->keep_cr ? eol.next - lf : eol.text;
        if (!as_table_push_cell(t, (as_str){p, (size_t)(stop - p)}) ||
            !as_table_push_row(t, (int64_t)t->rows + 1))
            return as_fail_nomem(err, t->where, t->cell_cap * sizeof(as_str));
        p = eol.next;
    }
    return ASSAY_OK;
}
