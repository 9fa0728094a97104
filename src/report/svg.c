/* svg.c: what plots are made of, and the forest and scatter plots. Horizontal places are percents, texts and markers keep
 * their size: the same plot is readable on a phone, on a screen and on paper. */
#include "base/mem.h"
#include "report/report_impl.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* --- scales --- */
as_scale as_svg_scale(double lo, double hi, bool log) {
    if (!isfinite(lo) || !isfinite(hi) || lo > hi) return (as_scale){0, 1, false};
    if (log && lo > 0) {
        const double margin = fmax(pow(hi / lo, 0.08), 1.15);
        return (as_scale){lo / margin, hi * margin, true};
    }
    double margin = hi / 16 - lo / 16; /* hi - lo may overflow */
    if (margin <= 0) margin = fmax(fabs(lo) * 0.05, 1e-9);
    return (as_scale){lo - margin, hi + margin, false};
}

double as_svg_at(const as_scale *s, double x) {
    const double t = s->log ? (log(x) - log(s->lo)) / (log(s->hi) - log(s->lo)) : (x / 2 - s->lo / 2) / (s->hi / 2 - s->lo / 2);
    return !(t > 0) ? 0 : t > 1 ? 1 : t;
}

static int log_ticks(double tick[12], const as_scale *s) {
    const double decades = log10(s->hi / s->lo);
    const int skip = decades > 6 ? (int)ceil(decades / 6) : 1;
    const double steps[] = {1, 2, 5};
    int n = 0;
    for (int e = (int)floor(log10(s->lo)); e <= (int)ceil(log10(s->hi)); e += skip)
        for (int i = 0; i < (decades > 2.5 ? 1 : 3); i++) {
            const double v = steps[i] * pow(10, e);
            if (v >= s->lo && v <= s->hi && n < 12) tick[n++] = v;
        }
    return n;
}

int as_svg_ticks(double tick[12], const as_scale *s, int about) {
    int n = s->log ? log_ticks(tick, s) : 0;
    if (n >= 2) return n;
    const double raw = (s->hi / 2 - s->lo / 2) / about * 2, power = pow(10, floor(log10(raw)));
    double step = power;
    for (int k = 0; k < 3 && step < raw * 0.7; k++)
        step = power * (k == 0 ? 2 : k == 1 ? 5 : 10);
    n = 0;
    for (double i = ceil(s->lo / step - 1e-9); n < 12 && i * step <= s->hi + step * 1e-9; i++)
        tick[n++] = fabs(i) < 0.5 ? 0 : i * step;
    return n;
}

void as_svg_tick(as_buf *out, const as_scale *s, const double tick[12], int n, int i) {
    const double most = fmax(fabs(tick[0]), fabs(tick[n - 1]));
    if (s->log || most >= 10000 || most < 0.001 || n < 2) {
        as_report_short(out, tick[i]);
        return;
    }
    int decimals = 0;
    for (double step = tick[1] - tick[0]; step < 0.999 && decimals < 9; step *= 10)
        decimals++;
    as_report_fixed(out, tick[i], decimals, "", false);
}

/* --- pieces --- */
void as_svg_attr(as_buf *out, const char *name, double value, const char *unit) {
    as_buf_char(out, ' '), as_buf_str(out, name), as_buf_str(out, "=\"");
    const size_t begin = out->n;
    as_report_fixed(out, value, 2, "0", true);
    while (!out->failed && out->n > begin + 1 && out->p[out->n - 1] == '0')
        out->n--;
    if (!out->failed && out->p[out->n - 1] == '.') out->n--;
    if (!out->failed) out->p[out->n] = '\0';
    as_buf_str(out, unit), as_buf_char(out, '"');
}

void as_svg_marker(as_buf *out, int series, double x_percent, double y, bool hollow) {
    static const char *const shapes[] = {
        "M-5 0a5 5 0 1 0 10 0a5 5 0 1 0-10 0z", "M-4.5-4.5h9v9h-9z", "M0-5.8L5.6 4.2h-11.2z",
        "M0-6.4L5.4 0L0 6.4L-5.4 0z", "M0 5.8L5.6-4.2h-11.2z", "M-1.8-5.5h3.6v3.7h3.7v3.6h-3.7v3.7h-3.6v-3.7h-3.7v-3.6h3.7z"};
    as_buf_str(out, "<svg overflow=\"visible\"");
    as_svg_attr(out, "x", x_percent, "%"), as_svg_attr(out, "y", y, "");
    as_buf_fmt(out, " class=\"m c%d%s\"><path d=\"%s\"/></svg>", series % 6, hollow ? " ho" : "", shapes[(series + series / 6) % 6]);
}

void as_svg_table_begin(as_buf *out) {
    as_buf_str(out, "<details class=\"data\"><summary>The numbers as a table</summary><div class=\"scroll\"><table>\n");
}
void as_svg_table_end(as_buf *out) { as_buf_str(out, "</tbody></table></div></details>\n"); }

static void text_at(as_buf *out, double x, double y, const char *anchor) {
    as_buf_str(out, "<text");
    as_svg_attr(out, "x", x, "%"), as_svg_attr(out, "y", y, "");
    as_buf_fmt(out, " text-anchor=\"%s\">", anchor);
}

void as_svg_begin(as_buf *out, const as_plot *p) {
    const double bottom = p->height - AS_SVG_BOTTOM;
    as_buf_fmt(out, "<svg class=\"plot\" width=\"100%%\" height=\"%d\" role=\"img\" aria-label=\"", p->height);
    as_report_text(out, p->title, 0), as_buf_str(out, "\"><title>"), as_report_text(out, p->title, 0), as_buf_str(out, "</title>\n");
    double x[12], y[12];
    const int nx = as_svg_ticks(x, &p->x, 5), ny = as_svg_ticks(y, &p->y, 5);
    for (int i = 0; i < nx; i++) {
        text_at(out, AS_SVG_LEFT + AS_SVG_WIDTH * as_svg_at(&p->x, x[i]), bottom + 17, "middle");
        as_svg_tick(out, &p->x, x, nx, i), as_buf_str(out, "</text>");
    }
    for (int i = 0; i < ny; i++) {
        text_at(out, AS_SVG_LEFT - 1.2, bottom - (bottom - AS_SVG_TOP) * as_svg_at(&p->y, y[i]) + 4, "end");
        as_svg_tick(out, &p->y, y, ny, i), as_buf_str(out, "</text>");
    }
    text_at(out, AS_SVG_LEFT + AS_SVG_WIDTH / 2.0, bottom + 36, "middle");
    as_report_text(out, p->x_name, AS_REPORT_NAME), as_buf_str(out, "</text><text class=\"yn\" x=\"0\" y=\"12\">");
    as_report_text(out, p->y_name, AS_REPORT_NAME), as_buf_str(out, "</text>\n");
    as_buf_fmt(out, "<svg x=\"%d%%\" y=\"%d\" width=\"%d%%\" height=\"%d\" viewBox=\"0 0 1000 1000\" preserveAspectRatio=\"none\">",
               AS_SVG_LEFT, AS_SVG_TOP, AS_SVG_WIDTH, p->height - AS_SVG_BOTTOM - AS_SVG_TOP);
    as_buf_str(out, "<path class=\"grid\" d=\"");
    for (int i = 0; i < nx; i++) {
        as_buf_char(out, 'M'), as_report_fixed(out, 1000 * as_svg_at(&p->x, x[i]), 1, "0", true), as_buf_str(out, " 0V1000");
    }
    for (int i = 0; i < ny; i++) {
        as_buf_str(out, "M0 "), as_report_fixed(out, 1000 - 1000 * as_svg_at(&p->y, y[i]), 1, "0", true), as_buf_str(out, "H1000");
    }
    as_buf_str(out, "\"/><path class=\"axis\" d=\"M0 0V1000H1000\"/>\n");
}
void as_svg_overlay(as_buf *out) { as_buf_str(out, "</svg>\n"); }
void as_svg_end(as_buf *out) { as_buf_str(out, "</svg>\n"); }

/* --- forest plot: one row of page per value, so that long names wrap and nothing shrinks --- */
static as_scale forest_scale(const as_forest *f) {
    double lo = (double)INFINITY, hi = -(double)INFINITY;
    for (size_t i = 0; i < f->count; i++) {
        const double v[] = {f->rows[i].value, f->rows[i].low, f->rows[i].high};
        for (size_t k = 0; k < AS_COUNT(v); k++)
            if (isfinite(v[k])) lo = fmin(lo, v[k]), hi = fmax(hi, v[k]);
    }
    if (isfinite(f->line)) lo = fmin(lo, f->line), hi = fmax(hi, f->line);
    return as_svg_scale(lo, hi, false);
}

static void vertical(as_buf *out, const char *class, double percent) {
    as_buf_fmt(out, "<line class=\"%s\" y1=\"0\" y2=\"100%%\"", class);
    as_svg_attr(out, "x1", percent, "%"), as_svg_attr(out, "x2", percent, "%"), as_buf_str(out, "/>");
}

static double forest_x(const as_scale *s, double v) { return 3 + 94 * as_svg_at(s, v); }

static void forest_strip(as_buf *out, const as_forest *f, const as_forest_row *row, const as_scale *s) {
    double tick[12];
    const int n = as_svg_ticks(tick, s, 4);
    as_buf_str(out, "<svg class=\"strip\" width=\"100%\" height=\"32\" aria-hidden=\"true\">");
    for (int i = 0; i < n; i++)
        vertical(out, "grid", forest_x(s, tick[i]));
    if (isfinite(f->line)) vertical(out, "ref", forest_x(s, f->line));
    if (!row) {
        as_buf_str(out, "</svg>");
        return;
    }
    if (isfinite(row->low) && isfinite(row->high)) {
        const double low = forest_x(s, row->low), high = forest_x(s, row->high);
        as_buf_fmt(out, "<line class=\"%s\" y1=\"16\" y2=\"16\"", row->strong ? "ci b" : "ci");
        as_svg_attr(out, "x1", low, "%"), as_svg_attr(out, "x2", high, "%"), as_buf_str(out, "/>");
        for (int end = 0; end < 2; end++) {
            as_buf_fmt(out, "<line class=\"%s\" y1=\"11\" y2=\"21\"", row->strong ? "ci b" : "ci");
            as_svg_attr(out, "x1", end ? high : low, "%"), as_svg_attr(out, "x2", end ? high : low, "%"), as_buf_str(out, "/>");
        }
    }
    if (isfinite(row->value)) as_svg_marker(out, row->strong ? 1 : 0, forest_x(s, row->value), 16, false);
    as_buf_str(out, "</svg>");
}

static void forest_value(as_buf *out, const as_forest *f, const as_forest_row *row) {
    if (!isfinite(row->value)) {
        as_buf_str(out, "<b>undefined</b>");
        return;
    }
    as_buf_str(out, "<b>");
    if (f->sign) as_report_signed(out, row->value, false); else as_report_score(out, row->value, false);
    as_buf_str(out, "</b>");
    if (!isfinite(row->low) || !isfinite(row->high)) return;
    as_buf_str(out, " <span class=\"iv\">[");
    as_report_score(out, row->low, false), as_buf_str(out, ", "), as_report_score(out, row->high, false);
    as_buf_str(out, "]</span>");
}

static void forest_axis(as_buf *out, const as_scale *s) {
    double tick[12];
    const int n = as_svg_ticks(tick, s, 4);
    as_buf_str(out, "<div class=\"fr ax\"><span class=\"fl\"></span><svg class=\"strip\" width=\"100%\" height=\"20\" aria-hidden=\"true\">");
    for (int i = 0; i < n; i++) {
        const double x = forest_x(s, tick[i]);
        text_at(out, x, 15, x < 8 ? "start" : x > 92 ? "end" : "middle");
        as_svg_tick(out, s, tick, n, i), as_buf_str(out, "</text>");
    }
    as_buf_str(out, "</svg><span class=\"fv\"></span></div>\n");
}

static void forest_table(as_buf *out, const as_forest *f) {
    as_svg_table_begin(out);
    as_buf_str(out, "<thead><tr><th scope=\"col\">"), as_report_text(out, f->label_head, 0);
    as_buf_str(out, "</th><th scope=\"col\" class=\"n\">"), as_report_text(out, f->value_head, 0);
    as_buf_str(out, "</th><th scope=\"col\" class=\"n\">low</th><th scope=\"col\" class=\"n\">high</th><th scope=\"col\">note</th></tr></thead><tbody>\n");
    for (size_t i = 0; i < f->count; i++) {
        const as_forest_row *r = &f->rows[i];
        as_buf_str(out, "<tr><th scope=\"row\">"), as_report_text(out, r->label, AS_REPORT_NAME), as_buf_str(out, "</th><td class=\"n\">");
        if (f->sign) as_report_signed(out, r->value, false); else as_report_score(out, r->value, false);
        as_buf_str(out, "</td><td class=\"n\">"), as_report_score(out, r->low, false);
        as_buf_str(out, "</td><td class=\"n\">"), as_report_score(out, r->high, false), as_buf_str(out, "</td><td>");
        as_report_text(out, r->why ? r->why : r->note, 0), as_buf_str(out, "</td></tr>\n");
    }
    as_svg_table_end(out);
}

void as_svg_forest(as_buf *out, const as_forest *f) {
    const as_scale s = forest_scale(f);
    as_buf_str(out, "<figure><figcaption>"), as_report_text(out, f->title, 0), as_buf_str(out, "</figcaption>\n");
    as_buf_str(out, "<div class=\"forest\" role=\"img\" aria-label=\""), as_report_text(out, f->title, 0);
    as_buf_str(out, ". The numbers are in the table that follows.\">\n");
    for (size_t i = 0; i < f->count; i++) {
        const as_forest_row *row = &f->rows[i];
        as_buf_fmt(out, "<div class=\"fr%s%s\"><span class=\"fl\">", row->strong ? " st" : "", isfinite(row->value) ? "" : " un");
        as_report_text(out, row->label, AS_REPORT_NAME);
        if (row->note) as_buf_str(out, " <small>"), as_report_text(out, row->note, 0), as_buf_str(out, "</small>");
        as_buf_str(out, "</span>");
        forest_strip(out, f, row, &s);
        as_buf_str(out, "<span class=\"fv\">"), forest_value(out, f, row), as_buf_str(out, "</span></div>\n");
    }
    forest_axis(out, &s);
    as_buf_str(out, "</div>\n");
    if (f->line_name) {
        as_buf_str(out, "<p class=\"key\"><i class=\"dash\"></i> "), as_report_text(out, f->line_name, 0), as_buf_str(out, "</p>\n");
    }
    forest_table(out, f);
    as_buf_str(out, "</figure>\n");
}

/* --- scatter plot with its Pareto front --- */
static bool drawn(const as_point *p) { return isfinite(p->x) && isfinite(p->y); }

void as_svg_front(bool *on_front, const as_scatter *s) {
    const double sx = s->x_higher ? 1 : -1, sy = s->y_higher ? 1 : -1;
    for (int i = 0; i < s->count; i++) {
        const as_point *p = &s->points[i];
        on_front[i] = drawn(p);
        for (int k = 0; k < s->count && on_front[i]; k++) {
            const as_point *q = &s->points[k];
            if (!drawn(q)) continue;
            const double dx = sx * (q->x - p->x), dy = sy * (q->y - p->y);
            if (dx >= 0 && dy >= 0 && (dx > 0 || dy > 0)) on_front[i] = false;
        }
    }
}

/* The border of what the front dominates: steps, because nothing lies between two systems. */
static void front_line(as_buf *out, const as_scatter *s, const as_plot *p, const bool *front) {
    double last = -(double)INFINITY;
    bool first = true;
    as_buf_str(out, "<path class=\"front\" d=\"");
    for (;;) {
        int next = -1;
        for (int i = 0; i < s->count; i++)
            if (front[i] && s->points[i].x > last && (next < 0 || s->points[i].x < s->points[next].x)) next = i;
        if (next < 0) break;
        const double x = 1000 * as_svg_at(&p->x, s->points[next].x), y = 1000 - 1000 * as_svg_at(&p->y, s->points[next].y);
        if (first) {
            as_buf_char(out, 'M'), as_report_fixed(out, x, 1, "0", true), as_buf_char(out, ' '), as_report_fixed(out, y, 1, "0", true);
        } else {
            as_buf_char(out, s->x_higher ? 'V' : 'H'), as_report_fixed(out, s->x_higher ? y : x, 1, "0", true);
            as_buf_char(out, s->x_higher ? 'H' : 'V'), as_report_fixed(out, s->x_higher ? x : y, 1, "0", true);
        }
        first = false, last = s->points[next].x;
    }
    as_buf_str(out, first ? "M0 0\"/>\n" : "\"/>\n");
}

static as_plot scatter_plot(const as_scatter *s) {
    double x0 = (double)INFINITY, x1 = -x0, y0 = x0, y1 = -x0;
    for (int i = 0; i < s->count; i++) {
        const as_point *p = &s->points[i];
        if (!drawn(p)) continue;
        x0 = fmin(x0, p->x), x1 = fmax(x1, p->x), y0 = fmin(y0, p->y), y1 = fmax(y1, p->y);
        if (isfinite(p->low) && isfinite(p->high)) y0 = fmin(y0, p->low), y1 = fmax(y1, p->high);
    }
    return (as_plot){s->title, s->x_name, s->y_name, as_svg_scale(x0, x1, x0 > 0 && x1 / x0 > 8), as_svg_scale(y0, y1, false), 320};
}

static void scatter_table(as_buf *out, const as_scatter *s, const bool *front) {
    as_svg_table_begin(out);
    as_buf_str(out, "<thead><tr><th scope=\"col\">system</th><th scope=\"col\" class=\"n\">"), as_report_text(out, s->x_name, 0);
    as_buf_str(out, "</th><th scope=\"col\" class=\"n\">"), as_report_text(out, s->y_name, 0);
    as_buf_str(out, "</th><th scope=\"col\">on the front</th></tr></thead><tbody>\n");
    for (int i = 0; i < s->count; i++) {
        as_buf_str(out, "<tr><th scope=\"row\">"), as_report_text(out, s->points[i].label, AS_REPORT_NAME), as_buf_str(out, "</th><td class=\"n\">");
        if (isfinite(s->points[i].x)) as_report_short(out, s->points[i].x); else as_buf_str(out, "unknown");
        as_buf_str(out, "</td><td class=\"n\">"), as_report_score(out, s->points[i].y, false);
        as_buf_str(out, !drawn(&s->points[i]) ? "</td><td>not shown</td></tr>\n" : front[i] ? "</td><td>yes</td></tr>\n" : "</td><td>no</td></tr>\n");
    }
    as_svg_table_end(out);
}

void as_svg_scatter(as_buf *out, const as_scatter *s) {
    bool *front = as_calloc((size_t)s->count + 1, sizeof *front);
    if (!front) {
        out->failed = true;
        return;
    }
    as_svg_front(front, s);
    const as_plot p = scatter_plot(s);
    as_buf_str(out, "<figure><figcaption>"), as_report_text(out, s->title, 0), as_buf_str(out, "</figcaption>\n");
    as_svg_begin(out, &p);
    front_line(out, s, &p, front);
    as_svg_overlay(out);
    const double tall = p.height - AS_SVG_BOTTOM - AS_SVG_TOP;
    for (int i = 0; i < s->count; i++) {
        const as_point *q = &s->points[i];
        if (!drawn(q)) continue;
        const double x = AS_SVG_LEFT + AS_SVG_WIDTH * as_svg_at(&p.x, q->x);
        if (isfinite(q->low) && isfinite(q->high)) {
            as_buf_fmt(out, "<line class=\"w c%d\"", i % 6), as_svg_attr(out, "x1", x, "%"), as_svg_attr(out, "x2", x, "%");
            as_svg_attr(out, "y1", AS_SVG_TOP + tall * (1 - as_svg_at(&p.y, q->low)), "");
            as_svg_attr(out, "y2", AS_SVG_TOP + tall * (1 - as_svg_at(&p.y, q->high)), ""), as_buf_str(out, "/>");
        }
        as_buf_str(out, "<g><title>"), as_report_text(out, q->label, AS_REPORT_NAME), as_buf_str(out, "</title>");
        as_svg_marker(out, i, x, AS_SVG_TOP + tall * (1 - as_svg_at(&p.y, q->y)), !front[i]), as_buf_str(out, "</g>\n");
    }
    as_svg_end(out);
    as_buf_str(out, "<ul class=\"legend\">");
    for (int i = 0; i < s->count; i++) {
        if (!drawn(&s->points[i])) continue;
        as_buf_str(out, "<li><svg width=\"14\" height=\"14\" aria-hidden=\"true\">"), as_svg_marker(out, i, 50, 7, !front[i]);
        as_buf_str(out, "</svg>"), as_report_text(out, s->points[i].label, AS_REPORT_NAME), as_buf_str(out, "</li>");
    }
    as_buf_str(out, "</ul>\n<p class=\"key\">Filled markers and the dashed line: the Pareto front. For a hollow one, another system is at least as good in both.</p>\n");
    scatter_table(out, s, front);
    as_buf_str(out, "</figure>\n");
    as_free(front);
}
