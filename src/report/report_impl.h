/* report_impl.h: what the files of src/report share: text and numbers as HTML, names of runs and systems, plots. Nobody
 * else includes it. All append to `out`; memory that runs out is kept in out->failed and checked once, at the end. */
#ifndef AS_REPORT_REPORT_IMPL_H
#define AS_REPORT_REPORT_IMPL_H

#include "report/report.h"

enum {
    AS_REPORT_ITEMS = 2000,    /* rows of items in one page */
    AS_REPORT_TEXT = 600,      /* characters of a text in the table of errors */
    AS_REPORT_NAME = 120,      /* characters of a name of data: label, model, slice */
    AS_REPORT_COLUMNS = 6,     /* predictions side by side in the table of errors */
    AS_REPORT_FIGURES = 6,     /* runs with a confusion matrix, curve... of their own */
    AS_REPORT_CELLS = 24,      /* labels up to which a confusion matrix is drawn */
    AS_REPORT_BINS = 15        /* of the reliability diagram */
};

/* --- report_text.c: text and numbers, independent of the locale --- */
/* UTF-8 with & < > " ' escaped; control characters (but tab and newline) and invalid bytes are U+FFFD. Safe in text and in
 * quoted attributes. chars > 0: cut there, with "…". NULL is nothing. */
void as_report_text(as_buf *out, const char *s, size_t chars);
/* The same cleaning, without escapes and with newlines and tabs as blanks: for Markdown, LaTeX. */
void as_report_plain(as_buf *out, const char *s, size_t chars);
/* What was typed to make the runs, each command once and in order, and then the report's own. */
void as_report_typed(as_buf *out, const as_report *r, void (*line)(as_buf *out, const char *text));
/* `decimals` digits after the point; "-0.00" is "0.00"; NaN is `none`. U+2212 as minus unless `ascii`. */
void as_report_fixed(as_buf *out, double x, int decimals, const char *none, bool ascii);
/* A score: 4 decimals, fewer for large values. */
void as_report_score(as_buf *out, double x, bool ascii);
void as_report_signed(as_buf *out, double x, bool ascii);       /* "+0.0123" */
void as_report_p(as_buf *out, double p, bool ascii);            /* "< 0.0001", "0.0312" */
void as_report_count(as_buf *out, int64_t n);                   /* "22,713,216" */
void as_report_short(as_buf *out, double x);                    /* 3 significant digits: "1.2k", "0.05", "3e-5" */
void as_report_duration(as_buf *out, double seconds);           /* "48 s", "3 min 20 s" */
void as_report_percent(as_buf *out, double share, int decimals);/* "95 %": the blank does not break */
void as_report_level(as_buf *out, double level);                 /* of an interval: "95 %", "99.9 %" */
void as_report_date(as_buf *out, double unix_seconds);          /* "2026-03-01 12:00:00 UTC" */

/* --- names --- */
/* Display name of a run; with its number when another run of the report has the same model. NUL-terminated in buf. */
void as_report_run_name(as_buf *buf, const as_report *r, int run);
const char *as_report_system(const as_report *r, int system); /* "?" when there is none */
/* First metric of the report and whether larger is better; NULL when there is none. */
const char *as_report_first_metric(const as_report *r, bool *higher);
const as_result_metric *as_report_metric_of(const as_report_run *run, const char *metric); /* NULL: not measured */
bool as_report_defined(double value); /* finite */

/* --- svg.c and svg_charts.c: figures; each writes <figure> with the plot and, behind it, its table in <details> --- */
typedef struct as_forest_row {
    const char *label;
    double value, low, high;   /* low, high NaN: no interval */
    const char *why;           /* why there is no value, or NULL */
    const char *note;          /* right of the value, may be NULL */
    bool strong;               /* marked: best, significant */
} as_forest_row;
typedef struct as_forest {
    const char *title, *label_head, *value_head;
    const as_forest_row *rows;
    size_t count;
    double line;               /* vertical reference, NaN = none */
    const char *line_name;
    double level;
    bool sign;                 /* values are differences */
} as_forest;
void as_svg_forest(as_buf *out, const as_forest *f);

typedef struct as_point { const char *label; double x, y, low, high; } as_point;
typedef struct as_scatter {
    const char *title, *x_name, *y_name;
    const as_point *points;
    int count;
    bool x_higher, y_higher;   /* which way is better: decides the front */
} as_scatter;
void as_svg_scatter(as_buf *out, const as_scatter *s);
/* true where no other point is at least as good in both and better in one. Points with NaN are never on the front. */
void as_svg_front(bool *on_front, const as_scatter *s);

typedef struct as_line { const char *label; const double *x, *y; size_t count; } as_line; /* y NaN: left out */
typedef struct as_chart { const char *title, *x_name, *y_name; const as_line *lines; int count; } as_chart;
void as_svg_lines(as_buf *out, const as_chart *c);

typedef struct as_bin { double confidence, right; int64_t n; } as_bin; /* means, of n items */
/* Bins of equal width of the top label's probability, as ece(bins:15) has them (the last holds those of
 * exactly 1). Returns the ECE, NaN without items. */
double as_report_bins(as_bin bins[AS_REPORT_BINS + 1], const as_predictions *p);
void as_svg_reliability(as_buf *out, const char *name, const as_predictions *p);
void as_svg_bins(as_buf *out, const char *name, const as_bin bins[AS_REPORT_BINS + 1], double ece);
void as_svg_confusion(as_buf *out, const char *name, char *const *labels, int count, const int64_t *cells);

/* Which part of a plot belongs to which values; log: of positive values only. */
typedef struct as_scale { double lo, hi; bool log; } as_scale;
as_scale as_svg_scale(double lo, double hi, bool log);   /* with a margin; never empty */
double as_svg_at(const as_scale *s, double x);           /* 0..1 */
int as_svg_ticks(double tick[12], const as_scale *s, int about);
void as_svg_tick(as_buf *out, const as_scale *s, const double tick[12], int n, int i); /* the text of one */
/* A plot of `height` px: as_svg_begin draws the frame, the grid and the ticks, and opens a drawing area of 1000 x 1000 units
 * (y downwards) for lines and bars; as_svg_overlay closes that, for markers and texts; as_svg_end closes the plot. */
enum { AS_SVG_LEFT = 13, AS_SVG_WIDTH = 84, AS_SVG_TOP = 26, AS_SVG_BOTTOM = 44 };
typedef struct as_plot { const char *title, *x_name, *y_name; as_scale x, y; int height; } as_plot;
void as_svg_begin(as_buf *out, const as_plot *p);
void as_svg_overlay(as_buf *out);
void as_svg_end(as_buf *out);
void as_svg_attr(as_buf *out, const char *name, double value, const char *unit); /* ` name="12.34%"` */
void as_svg_table_begin(as_buf *out);                    /* <details> with a table; then rows; then as_svg_table_end */
void as_svg_table_end(as_buf *out);

/* Marker of series i as SVG at x percent, y pixels: six colours and six shapes, so that no two of 36 are alike. */
void as_svg_marker(as_buf *out, int series, double x_percent, double y, bool hollow);

/* --- style.c, html_items.c --- */
void as_report_style(as_buf *out);
void as_report_items(as_buf *out, const as_report *r); /* the section of errors, with its script */

/* --- html_analyses.c --- */
bool as_html_has_analysis(const as_report_run *run, const char *kind);
void as_html_risk(as_buf *out, const as_report *r, bool (*has)(const as_report_run *)); /* one curve for each run that `has` probabilities */
void as_html_calibrated(as_buf *out, const as_report *r);
void as_html_perturbed(as_buf *out, const as_report *r);
void as_html_search(as_buf *out, const as_report *r);

/* --- html.c --- */
void as_html_head(as_buf *out, const char *id, const char *title);     /* opens a <section> */
void as_html_provenance(as_buf *out, const as_report *r);               /* html_tables.c */
void as_html_standings(as_buf *out, const as_report *r);
void as_html_comparisons(as_buf *out, const as_report *r);
void as_html_metrics(as_buf *out, const as_report *r);
void as_html_slices(as_buf *out, const as_report *r);
#endif
