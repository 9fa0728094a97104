/* table.h: CSV, TSV, JSONL, Parquet, as they lie on disk (also .gz, .zst, "-" for stdin), read
 * whole into columns of UTF-8 cells. RFC 4180 quoting (newlines inside quotes count for line
 * numbers), BOM dropped, CRLF or LF. */
#ifndef AS_IO_TABLE_H
#define AS_IO_TABLE_H

#include "base/log.h"
#include "base/str.h"

typedef enum as_encoding { AS_UTF8, AS_LATIN1, AS_UTF8_LOSSY } as_encoding;
typedef enum as_table_format {
    AS_TABLE_AUTO,
    AS_TABLE_CSV,
    AS_TABLE_TSV,
    AS_TABLE_JSONL,
    AS_TABLE_LINES,
    AS_TABLE_PARQUET
} as_table_format;

typedef struct as_table_opts {
    as_table_format format; /* AUTO: Parquet when the content begins and ends with PAR1; else by
                               name, .gz/.zst stripped: .csv .tsv .jsonl .ndjson .json .parquet;
                               else an error with a hint, unless sep is given (stdin: JSONL when it
                               begins with a brace); LINES = one column "text", one row a line */
    char sep;               /* 0 = ',' for CSV, '\t' for TSV */
    int max_split;  /* 0 = all; N: cut at the first N separators only, the rest is the last cell (no
                       quotes) */
    bool no_quotes; /* a quote is an ordinary character (GLUE-type TSV) */
    bool no_header;
    bool keep_cr;        /* LINES: a final CR belongs to the text */
    const char *columns; /* "label,text": names for the columns; then the file has no header line
                            (but a first line that repeats exactly these names is taken as one,
                            unless no_header) */
    as_encoding encoding;
    int64_t limit; /* rows; 0 = all */
    int64_t first_line; /* number of the text's first line in its file; 0 = 1 (pieces of a file) */
} as_table_opts;

typedef struct as_table as_table;
as_status as_table_open(as_table **out, const char *path, const as_table_opts *opts,
                        as_err *err) AS_CHECKED;
void as_table_free(as_table *t);
const char *as_table_path(const as_table *t);
int64_t as_table_rows(const as_table *t);
int as_table_cols(const as_table *t);
as_str as_table_name(const as_table *t, int col); /* "1", "2".. with no header and no names */
/* Cell as text. JSONL: strings unescaped, numbers/bools as written, null and absent = empty,
 * arrays/objects as compact JSON. Parquet: the same, of what a JSON file of these values would
 * hold; dates and times in ISO 8601, class labels as the numbers that are stored. */
as_str as_table_cell(const as_table *t, int64_t row, int col);
bool as_table_is_null(const as_table *t, int64_t row,
                      int col);                        /* null; in JSONL also an absent key */
int64_t as_table_line(const as_table *t, int64_t row); /* 1-based line where the record starts; of
                                                          Parquet the record's number */
int64_t as_table_replaced(const as_table *t);          /* invalid sequences replaced (UTF8_LOSSY) */
void as_table_warn_replaced(const as_table *t, const as_log *log); /* says how many, if any */
/* Column by name, or by number from 1 (when no column has that name). AS_USAGE with "FILE:1: no
 * column "x"" and the hint `the columns are a, b; did you mean "b"?`. */
as_status as_table_find(const as_table *t, const char *name, int *col, as_err *err) AS_CHECKED;

/* A Parquet file may have columns of types or encodings that are not read; nobody minds until one is asked for. as_table_find
 * asks; who takes columns by their place asks here. AS_FORMAT with the column's name and what it is. */
as_status as_table_readable(const as_table *t, int col, as_err *err) AS_CHECKED;

/* Parse from memory: fuzz and tests. `where` names the text in errors, and stands for the file's
 * name in AUTO. */
as_status as_table_parse(as_table **out, as_str bytes, const char *where, const as_table_opts *opts,
                         as_err *err) AS_CHECKED;

/* Append the decompressed content of a file ("-" = stdin; gzip and zstd by content, not by name).
 */
as_status as_read_maybe_compressed(as_buf *out, const char *path, as_err *err) AS_CHECKED;
#endif
