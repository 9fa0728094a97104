#include "data/corpus_read.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "io/stream.h"
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* ---- files ---- */
static int by_bytes(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

static as_status push(as_file_list *l, char *path, as_err *err) {
    if (path != NULL && as_grow(&l->path, &l->cap, (size_t)l->n + 1, sizeof *l->path)) return l->path[l->n++] = path, AS_OK;
    as_free(path);
    return as_fail_nomem(err, "the list of files", (size_t)l->n);
}

static as_status list_names(as_file_list *l, const char *dir, as_err *err) {
    DIR *const d = opendir(dir);
    if (d == NULL) return as_fail(err, AS_IO, "%s: cannot be opened: %s", dir, strerror(errno));
    as_status s = AS_OK;
    for (const struct dirent *e; s == AS_OK && (e = readdir(d)) != NULL;)
        if (e->d_name[0] != '.') s = push(l, as_path_join(dir, e->d_name), err);
    closedir(d);
    if (l->n > 0) qsort(l->path, (size_t)l->n, sizeof *l->path, by_bytes);
    return s;
}

enum { DEEPEST = 64 };

static as_status add_input(as_file_list *l, const char *path, int depth, as_err *err) {
    if (!as_dir_exists(path)) return push(l, as_strdup(path), err);
    if (depth > DEEPEST) return as_fail(err, AS_IO, "%s: folders are nested too deeply", path);
    as_file_list inside = {0};
    as_status s = list_names(&inside, path, err);
    for (int64_t i = 0; i < inside.n && s == AS_OK; i++) s = add_input(l, inside.path[i], depth + 1, err);
    as_file_list_free(&inside);
    return s;
}

as_status as_file_list_make(as_file_list *out, const char *const *inputs, int64_t n, as_err *err) {
    *out = (as_file_list){0};
    as_status s = AS_OK;
    for (int64_t i = 0; i < n && s == AS_OK; i++) {
        const int64_t before = out->n;
        if (strcmp(inputs[i], "-") != 0 && !as_file_exists(inputs[i]) && !as_dir_exists(inputs[i]))
            s = as_fail(err, AS_IO, "%s: there is no such file or folder", inputs[i]);
        else
            s = add_input(out, inputs[i], 0, err);
        if (s == AS_OK && out->n == before) s = as_fail(err, AS_IO, "%s: the folder holds no files", inputs[i]);
    }
    if (s != AS_OK) as_file_list_free(out);
    return s;
}

void as_file_list_free(as_file_list *l) {
    for (int64_t i = 0; i < l->n; i++) as_free(l->path[i]);
    as_free(l->path);
    *l = (as_file_list){0};
}

static as_table_format format_of(const char *path, const as_read_opts *opts) {
    static const struct { const char *suffix; as_table_format format; } known[] = {
        {".csv", AS_TABLE_CSV}, {".tsv", AS_TABLE_TSV}, {".jsonl", AS_TABLE_JSONL}, {".ndjson", AS_TABLE_JSONL}, {".json", AS_TABLE_JSONL}, {".parquet", AS_TABLE_PARQUET},
    };
    if (opts->format != AS_TABLE_AUTO) return opts->format;
    size_t n = strlen(path);
    if (n > 3 && strcasecmp(path + n - 3, ".gz") == 0) n -= 3;
    else if (n > 4 && strcasecmp(path + n - 4, ".zst") == 0) n -= 4;
    for (size_t i = 0; i < AS_COUNT(known); i++) {
        const size_t m = strlen(known[i].suffix);
        if (n > m && strncasecmp(path + n - m, known[i].suffix, m) == 0) return known[i].format;
    }
    return AS_TABLE_LINES;
}

/* ---- pieces ---- */
struct as_source {
    const as_file_list *files;
    as_read_opts opts;
    int64_t next;        /* file */
    as_stream *stream;   /* of the current file */
    as_table_format format;
    const char *path, *where;
    as_buf rest, header; /* read and not yet handed out; the header of a CSV file */
    int64_t line;
    bool end, first, whole;
};

as_status as_source_open(as_source **out, const as_file_list *files, const as_read_opts *opts, as_err *err) {
    as_source *const s = *out = as_calloc(1, sizeof *s);
    if (s == NULL) return as_fail_nomem(err, "reading a corpus", sizeof *s);
    s->files = files;
    s->opts = *opts;
    if (s->opts.piece_bytes <= 0) s->opts.piece_bytes = 4 << 20;
    return AS_OK;
}

void as_source_close(as_source *s) {
    if (s == NULL) return;
    as_stream_close(s->stream);
    as_buf_free(&s->rest), as_buf_free(&s->header);
    as_free(s);
}

void as_raw_free(as_raw *r) {
    as_buf_free(&r->text);
    *r = (as_raw){0};
}

static int64_t lines_in(const char *p, size_t n) {
    int64_t count = 0;
    for (const char *const end = p + n; (p = memchr(p, '\n', (size_t)(end - p))) != NULL; p++) count++;
    return count;
}

static bool blank_line(const char *p, const char *end) {
    while (p < end && (*p == ' ' || *p == '\t' || *p == '\r')) p++;
    return p == end;
}

/* Behind the last line end; 0 when there is none. */
static size_t cut_lines(as_str t) {
    const char *const lf = t.n > 0 ? memrchr(t.p, '\n', t.n) : NULL;
    return lf != NULL ? (size_t)(lf - t.p) + 1 : 0;
}

/* Behind the last blank line that something may follow. */
static size_t cut_blank(as_str t) {
    for (size_t end = cut_lines(t); end > 0;) { /* end is behind a line end */
        const char *const before = end > 1 ? memrchr(t.p, '\n', end - 1) : NULL;
        const size_t begin = before != NULL ? (size_t)(before - t.p) + 1 : 0;
        if (blank_line(t.p + begin, t.p + end - 1)) return end;
        end = begin;
    }
    return 0;
}

/* Behind a record of CSV: the first one, or the last. A quote opens a cell only at its beginning. */
static size_t cut_csv(as_str t, char sep, bool quotes, bool first) {
    bool inside = false, start = true;
    size_t cut = 0;
    for (size_t i = 0; i < t.n; i++) {
        const char c = t.p[i];
        if (inside) {
            if (c == '"' && i + 1 < t.n && t.p[i + 1] == '"') i++;
            else if (c == '"') inside = false;
            continue;
        }
        if (c == '"' && start && quotes) inside = true;
        start = c == sep || c == '\n';
        if (c != '\n') continue;
        cut = i + 1;
        if (first && !blank_line(t.p, t.p + i)) return cut;
    }
    return first ? 0 : cut;
}

static char separator(const as_source *s) { return s->opts.sep != '\0' ? s->opts.sep : s->format == AS_TABLE_TSV ? '\t' : ','; }

static size_t cut_of(const as_source *s) {
    const as_str t = as_buf_view(&s->rest);
    if (s->whole) return 0;
    switch (s->format) {
    case AS_TABLE_CSV: case AS_TABLE_TSV:
        return cut_csv(t, separator(s), !s->opts.no_quotes, false);
    case AS_TABLE_LINES:
        return s->opts.unit == AS_DOC_FILE ? 0 : s->opts.unit == AS_DOC_LINE ? cut_lines(t) : cut_blank(t);
    default:
        return cut_lines(t);
    }
}

static as_status open_next(as_source *s, as_err *err) {
    s->path = s->files->path[s->next++];
    s->where = strcmp(s->path, "-") == 0 ? "standard input" : s->path;
    s->format = format_of(s->path, &s->opts);
    s->line = 1;
    s->first = true, s->end = s->whole = false;
    as_buf_clear(&s->rest), as_buf_clear(&s->header);
    return s->format == AS_TABLE_PARQUET ? AS_OK : as_stream_open(&s->stream, s->path, err);
}

/* Read until rest holds `want` bytes or the file ends. */
static as_status read_more(as_source *s, size_t want, as_err *err) {
    while (!s->end && s->rest.n < want) {
        size_t got;
        if (!as_grow(&s->rest.p, &s->rest.cap, want + 1, 1)) return as_fail_nomem(err, s->where, want);
        AS_TRY(as_stream_read(s->stream, s->rest.p + s->rest.n, want - s->rest.n, &got, err));
        s->rest.n += got;
        s->end = got == 0;
    }
    return AS_OK;
}

static as_status too_large(const as_source *s, as_err *err) {
    (void)as_fail(err, AS_FORMAT, "%s:%" PRId64 ": the record that begins here has more than %d MB", s->where, s->line, AS_RECORD_MOST >> 20);
    as_hint(err, s->format != AS_TABLE_LINES ? "Is a quote left open? --no-quotes makes quotes ordinary characters; a JSON file should hold an object a line."
                 : s->opts.unit == AS_DOC_BLANK ? "No blank line ends the document: --doc line makes each line one."
                                                : "Cut the file into parts.");
    return AS_FORMAT;
}

/* The first piece of a file tells whether JSON is one array, and what the header of a CSV file is. */
static void look_at_first(as_source *s) {
    const as_str t = as_buf_view(&s->rest);
    size_t i = t.n >= 3 && memcmp(t.p, "\xEF\xBB\xBF", 3) == 0 ? 3 : 0;
    if (s->format == AS_TABLE_CSV || s->format == AS_TABLE_TSV) as_buf_add(&s->header, t.p, cut_csv(t, separator(s), !s->opts.no_quotes, true));
    while (i < t.n && (t.p[i] == ' ' || t.p[i] == '\n' || t.p[i] == '\r' || t.p[i] == '\t')) i++;
    s->whole = s->format == AS_TABLE_JSONL && i < t.n && t.p[i] == '[';
    if (strcmp(s->path, "-") == 0 && s->opts.format == AS_TABLE_AUTO && i < t.n && t.p[i] == '{') s->format = AS_TABLE_JSONL;
}

static bool only_blank(as_str t) {
    if (t.n >= 3 && memcmp(t.p, "\xEF\xBB\xBF", 3) == 0) t.p += 3, t.n -= 3;
    for (size_t i = 0; i < t.n; i++)
        if (strchr(" \t\r\n", t.p[i]) == NULL || t.p[i] == '\0') return false;
    return true;
}

static void advance(as_source *s, size_t n) {
    s->line += lines_in(s->rest.p, n);
    memmove(s->rest.p, s->rest.p + n, s->rest.n - n);
    s->rest.n -= n;
    s->first = false;
}

static as_status hand_out(as_source *s, size_t n, as_raw *raw, as_err *err) {
    const bool headed = !s->first && s->header.n > 0;
    raw->path = s->path, raw->where = s->where, raw->format = s->format;
    raw->line = s->line - (headed ? lines_in(s->header.p, s->header.n) : 0);
    if (headed) as_buf_add(&raw->text, s->header.p, s->header.n);
    as_buf_add(&raw->text, s->rest.p, n);
    if (raw->text.failed || s->header.failed) return as_fail_nomem(err, s->where, n);
    advance(s, n);
    return AS_OK;
}

as_status as_source_next(as_source *s, as_raw *raw, bool *more, as_err *err) {
    *raw = (as_raw){0};
    *more = false;
    for (;;) {
        if (s->stream == NULL) {
            if (s->next == s->files->n) return AS_OK;
            AS_TRY(open_next(s, err));
            if (s->format == AS_TABLE_PARQUET) {
                *raw = (as_raw){.path = s->path, .where = s->where, .line = 1, .format = s->format};
                return *more = true, AS_OK;
            }
        }
        size_t cut = 0;
        for (size_t want = (size_t)s->opts.piece_bytes; cut == 0; want = 2 * s->rest.n) {
            AS_TRY(read_more(s, want, err));
            if (s->first) as_buf_clear(&s->header), look_at_first(s);
            if (s->end) break;
            cut = cut_of(s);
            if (cut == 0 && s->rest.n > AS_RECORD_MOST) return too_large(s, err);
        }
        if (s->first && !s->end && cut == s->header.n) { /* a header alone would be no table */
            advance(s, cut);
            continue;
        }
        if (s->end) cut = s->rest.n;
        const bool headed = !s->first && s->header.n > 0;
        const bool any = cut > 0 && !(headed && only_blank((as_str){s->rest.p, cut}));
        if (any) AS_TRY(hand_out(s, cut, raw, err));
        if (s->end) as_stream_close(s->stream), s->stream = NULL;
        if (any) return *more = true, AS_OK;
    }
}

/* ---- documents ---- */
typedef as_status (*taker)(void *ctx, as_str text, as_err *err);

static as_status bad_utf8(const as_raw *raw, as_str t, size_t at, as_err *err) {
    const char *const lf = at > 0 ? memrchr(t.p, '\n', at) : NULL;
    const size_t begin = lf != NULL ? (size_t)(lf - t.p) + 1 : 0;
    (void)as_fail(err, AS_FORMAT, "%s:%" PRId64 ": byte %zu is not valid UTF-8 (0x%02X)", raw->where, raw->line + lines_in(t.p, at), at - begin + 1,
                  (unsigned)(unsigned char)t.p[at]);
    as_hint(err, "Give --encoding latin-1 if the file is in that encoding, or --encoding utf-8-lossy to replace such bytes.");
    return AS_FORMAT;
}

static as_status cut_text(as_str t, as_doc_unit unit, taker take, void *ctx, as_err *err) {
    if (unit == AS_DOC_FILE) return take(ctx, t, err);
    const char *p = t.p, *const end = t.p + t.n, *begin = NULL; /* of the open document */
    const char *last = p;                                        /* its end */
    while (p < end) {
        const char *const lf = memchr(p, '\n', (size_t)(end - p)), *const stop = lf != NULL ? lf : end;
        const bool blank = blank_line(p, stop);
        if (begin != NULL && (blank || unit == AS_DOC_LINE)) {
            AS_TRY(take(ctx, (as_str){begin, (size_t)(last - begin)}, err));
            begin = NULL;
        }
        if (!blank && begin == NULL) begin = p;
        if (!blank) last = stop;
        p = lf != NULL ? lf + 1 : end;
    }
    return begin != NULL ? take(ctx, (as_str){begin, (size_t)(last - begin)}, err) : AS_OK;
}

static as_status text_documents(const as_raw *raw, const as_read_opts *opts, taker take, void *ctx, int64_t *replaced, as_err *err) {
    as_str t = as_buf_view(&raw->text);
    as_buf decoded = {0};
    if (raw->line == 1 && t.n >= 3 && memcmp(t.p, "\xEF\xBB\xBF", 3) == 0) t.p += 3, t.n -= 3;
    const size_t valid = opts->encoding == AS_LATIN1 ? 0 : as_utf8_valid_prefix(t.p, t.n);
    if (valid < t.n) {
        if (opts->encoding == AS_UTF8) return bad_utf8(raw, t, valid, err);
        if (opts->encoding == AS_LATIN1) as_latin1_to_utf8(&decoded, t);
        else *replaced += (int64_t)as_utf8_lossy(&decoded, t);
        t = as_buf_view(&decoded);
    }
    const as_status s = decoded.failed ? as_fail_nomem(err, raw->where, 2 * t.n) : cut_text(t, opts->unit, take, ctx, err);
    as_buf_free(&decoded);
    return s;
}

as_status as_raw_documents(const as_raw *raw, const as_read_opts *opts, taker take, void *ctx, int64_t *replaced, as_err *err) {
    if (raw->format == AS_TABLE_LINES) return text_documents(raw, opts, take, ctx, replaced, err);
    const as_table_opts table = {.format = raw->format, .sep = raw->format == AS_TABLE_CSV || raw->format == AS_TABLE_TSV ? opts->sep : '\0', .no_quotes = opts->no_quotes,
                                 .encoding = raw->format == AS_TABLE_PARQUET && opts->encoding == AS_LATIN1 ? AS_UTF8 : opts->encoding, .first_line = raw->line};
    as_table *t = NULL;
    int column;
    if (raw->format != AS_TABLE_PARQUET && only_blank(as_buf_view(&raw->text))) return AS_OK;
    AS_TRY(raw->format == AS_TABLE_PARQUET ? as_table_open(&t, raw->path, &table, err) : as_table_parse(&t, as_buf_view(&raw->text), raw->where, &table, err));
    as_status s = as_table_find(t, opts->column != NULL ? opts->column : "text", &column, err);
    for (int64_t i = 0; i < as_table_rows(t) && s == AS_OK; i++) s = take(ctx, as_table_cell(t, i, column), err);
    *replaced += as_table_replaced(t);
    as_table_free(t);
    return s;
}
