/* corpus_read.h: files, folders and standard input as documents. A source hands out raw pieces of whole records (one thread reads);
 * as_raw_documents cuts a piece into documents (any thread). Where pieces end depends on the inputs alone. */
#ifndef AS_DATA_CORPUS_READ_H
#define AS_DATA_CORPUS_READ_H

#include "io/table.h"

typedef enum as_doc_unit { AS_DOC_BLANK, AS_DOC_LINE, AS_DOC_FILE } as_doc_unit; /* of text files: a document is ... */

typedef struct as_read_opts {
    as_doc_unit unit;
    const char *column;     /* of tables: the text; NULL = "text" */
    as_table_format format; /* AUTO = by name, else text; LINES = text */
    as_encoding encoding;
    char sep;
    bool no_quotes;
    int64_t piece_bytes;    /* 0 = 4 MB */
} as_read_opts;

/* Folders become the files in them, recursively, in the order of their names (by bytes; hidden ones are left out). */
typedef struct as_file_list { char **path; int64_t n; size_t cap; } as_file_list;
as_status as_file_list_make(as_file_list *out, const char *const *inputs, int64_t n, as_err *err) AS_CHECKED;
void as_file_list_free(as_file_list *l);

/* A piece. Parquet is read whole where it is cut: then text is empty. */
typedef struct as_raw {
    as_buf text;
    const char *path;  /* borrowed from the list */
    const char *where; /* the path, or "standard input" */
    int64_t line;      /* of the first byte of text */
    as_table_format format;
} as_raw;
void as_raw_free(as_raw *r);

typedef struct as_source as_source;
as_status as_source_open(as_source **out, const as_file_list *files, const as_read_opts *opts, as_err *err) AS_CHECKED;
void as_source_close(as_source *s);
/* *more = false at the end. A file larger than memory is no trouble; a single record of more than AS_RECORD_MOST bytes is an error. */
as_status as_source_next(as_source *s, as_raw *raw, bool *more, as_err *err) AS_CHECKED;
enum { AS_RECORD_MOST = 512 << 20 };

/* Calls take for each document: its text, which may be empty, is valid UTF-8. *replaced grows by the invalid sequences that became
 * U+FFFD (AS_UTF8_LOSSY). */
as_status as_raw_documents(const as_raw *raw, const as_read_opts *opts, as_status (*take)(void *ctx, as_str text, as_err *err), void *ctx,
                           int64_t *replaced, as_err *err) AS_CHECKED;
#endif
