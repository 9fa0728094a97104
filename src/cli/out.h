/* out.h: standard output, which carries results only: bytes are gathered and written in large pieces, a reader that has gone
 * away (`assay ... | head`) ends the command without a message. And tables for people. */
#ifndef AS_CLI_OUT_H
#define AS_CLI_OUT_H

#include "base/str.h"

typedef struct as_out {
    int fd;
    as_buf buf;  /* append results here, then call as_out_flush */
    bool gone;   /* the reader closed the pipe: nobody is left to tell */
    bool live;   /* a terminal: write every result at once */
} as_out;
void as_out_init(as_out *o, int fd);
/* Write what has gathered, when it is enough (or `now`). AS_IO: the reader has gone (o->gone), disk full. AS_NOMEM. */
as_status as_out_flush(as_out *o, bool now, as_err *err) AS_CHECKED;
void as_out_deinit(as_out *o);

/* Aligned columns, two blanks apart, no line wider than AS_OUT_COLUMNS: columns marked 'L' are cut to fit.
 * align: per column 'l' left, 'r' right, 'L' left and cut. Widths are columns on a terminal (Chinese characters take 2). */
enum { AS_OUT_COLUMNS = 100 };
typedef struct as_grid {
    const char *align;
    int cols, indent;
    as_buf text;      /* the cells, end to end */
    size_t *end;      /* [count] where each ends in text */
    size_t count, cap;
    bool failed;
} as_grid;
void as_grid_init(as_grid *g, const char *align, int indent);
void as_grid_cell(as_grid *g, as_str cell);
void as_grid_fmt(as_grid *g, const char *fmt, ...) AS_PRINTF(2, 3);
/* Append the lines to out (out->failed when memory ran out) and release the grid. */
void as_grid_print(as_grid *g, as_buf *out);

/* Append text cut to at most `columns`, control characters (newlines, escapes) as blanks; "…" where it was cut. */
void as_out_cut(as_buf *out, as_str text, int columns);
/* "label  text", the text broken at blanks to AS_OUT_COLUMNS, its lines indented alike; and a newline. */
void as_out_wrap(as_buf *out, const char *label, int indent, as_str text);
/* Append `count` with separators of thousands: 22,713,216. */
void as_out_count(as_buf *out, int64_t count);
/* "0.9014", for metrics of any size; NaN is "-". */
typedef struct as_number { char s[32]; } as_number;
as_number as_out_number(double x, int decimals);
/* "22,713,216"; "212 MB", "1.2 GB"; "0:48", "2:14:05". */
as_number as_out_whole(int64_t n);
as_number as_out_bytes(uint64_t bytes);
as_number as_out_time(double seconds);

#endif
