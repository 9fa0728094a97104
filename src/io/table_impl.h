/* table_impl.h: what table.c shares with the readers of one format each. Only they include it. */
#ifndef AS_IO_TABLE_IMPL_H
#define AS_IO_TABLE_IMPL_H

#include "base/mem.h"
#include "io/table.h"

/* Bytes that never move, for cells that do not lie in `text`. */
typedef struct as_table_block {
    struct as_table_block *next;
    size_t used, cap;
    char bytes[];
} as_table_block;

/* Cells are views into `text`, unquoted and unescaped in place, so reading a table costs one buffer
 * plus 16 bytes a cell. CSV, TSV, lines: cells [rows * cols], row by row; cell_col and row_first
 * are NULL. JSONL: a record holds only the keys it has: its cells begin at row_first[row], cell_col
 * names their columns. A cell with p == NULL is null. So a file whose records share no key costs no
 * more than its size. Parquet: cells as for CSV, which lie in `blocks`, or in `text`. */
struct as_table {
    char *path;
    const char *where; /* the name in messages */
    as_buf text, made; /* the content; names that the file does not hold */
    as_table_block *blocks;
    as_str *names;
    size_t cols, name_cap;
    as_str *cells;
    size_t cell_count, cell_cap;
    int32_t *cell_col;
    size_t col_cap;
    size_t *row_first;
    size_t first_cap;
    int64_t *row_line;
    size_t rows, line_cap;
    int64_t replaced;
    as_err *refused; /* [cols] what keeps a column from being read (status OK: nothing); or NULL */
    bool has_header, is_csv;
};

enum { AS_TABLE_MAX_COLS = 1 << 20 };

/* Append; false when out of memory. */
static inline bool as_table_push_cell(as_table *t, as_str cell) {
    if (t->cell_count == t->cell_cap &&
        !as_grow(&t->cells, &t->cell_cap, t->cell_count + 1, sizeof *t->cells))
        return false;
    t->cells[t->cell_count++] = cell;
    return true;
}
static inline bool as_table_push_row(as_table *t, int64_t line) {
    if (t->rows == t->line_cap &&
        !as_grow(&t->row_line, &t->line_cap, t->rows + 1, sizeof *t->row_line))
        return false;
    t->row_line[t->rows++] = line;
    return true;
}
bool as_table_push_name(as_table *t, as_str name);

/* Each reads t->text from byte `begin` on (behind a byte-order mark) into names, cells and rows. */
as_status as_csv_parse(as_table *t, size_t begin, char sep, const as_table_opts *opts,
                       as_err *err) AS_CHECKED;
as_status as_lines_parse(as_table *t, size_t begin, const as_table_opts *opts,
                         as_err *err) AS_CHECKED;
as_status as_jsonl_parse(as_table *t, size_t begin, const as_table_opts *opts,
                         as_err *err) AS_CHECKED;
/* Parquet is no text: it is read from all of t->text, which is given up when no cell needs it. What
 * it allocates stays within `budget` bytes. */
as_status as_parquet_parse(as_table *t, const as_table_opts *opts, uint64_t budget,
                           as_err *err) AS_CHECKED;
/* The names of `columns` ("a,b"), or "1".."cols" when it is NULL, become the table's. */
as_status as_table_set_names(as_table *t, const char *columns, size_t cols, as_err *err) AS_CHECKED;
#endif
