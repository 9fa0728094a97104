/* svg_charts.c: learning curves, the reliability diagram and the confusion matrix. */
#include "base/mem.h"
#include "report/report_impl.h"
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { DRAWN = 300, LISTED = 200, PAIRS = 20 };

static double down(double share) { return 1000 - 1000 * share; }
static void xy(as_buf *out, double x, double y) {
    as_report_fixed(out, x, 1, "0", true), as_buf_char(out, ' '), as_report_fixed(out, y, 1, "0", true);
}

/* --- curves --- */
static size_t line_points(const as_line *l) {
    size_t n = 0;
    for (size_t i = 0; i < l->count; i++)
        n += isfinite(l->x[i]) && isfinite(l->y[i]);
    return n;
}

/* The line, as means of `per` neighbours where it has more points than a plot can show. */
static void draw_line(as_buf *out, const as_line *l, const as_plot *p, int series, size_t per) {
    as_buf_fmt(out, "<path class=\"l c%d d%d\" d=\"", series % 6, series % 4);
    double x = 0, y = 0;
    size_t held = 0, left = line_points(l);
    char step = 'M';
    for (size_t i = 0; i < l->count; i++) {
        if (!isfinite(l->x[i]) || !isfinite(l->y[i])) continue;
        x += l->x[i], y += l->y[i], held++, left--;
        if (held < per && left > 0) continue;
        as_buf_char(out, step), step = 'L';
        xy(out, 1000 * as_svg_at(&p->x, x / (double)held), down(as_svg_at(&p->y, y / (double)held)));
        x = y = 0, held = 0;
    }
    as_buf_str(out, step == 'M' ? "M0 0\"/>\n" : "\"/>\n");
}

static void draw_points(as_buf *out, const as_line *l, const as_plot *p, int series) {
    const double tall = p->height - AS_SVG_BOTTOM - AS_SVG_TOP;
    for (size_t i = 0; i < l->count; i++)
        if (isfinite(l->x[i]) && isfinite(l->y[i]))
            as_svg_marker(out, series, AS_SVG_LEFT + AS_SVG_WIDTH * as_svg_at(&p->x, l->x[i]),
                          AS_SVG_TOP + tall * (1 - as_svg_at(&p->y, l->y[i])), false);
}

static void lines_table(as_buf *out, const as_chart *c, size_t listed, size_t total) {
    as_svg_table_begin(out);
    as_buf_str(out, "<thead><tr><th scope=\"col\">curve</th><th scope=\"col\" class=\"n\">"), as_report_text(out, c->x_name, 0);
    as_buf_str(out, "</th><th scope=\"col\" class=\"n\">"), as_report_text(out, c->y_name, 0), as_buf_str(out, "</th></tr></thead><tbody>\n");
    const size_t every = (total + listed - 1) / listed;
    for (int k = 0; k < c->count; k++) {
        const as_line *l = &c->lines[k];
        size_t seen = 0;
        const size_t n = line_points(l);
        for (size_t i = 0; i < l->count; i++) {
            if (!isfinite(l->x[i]) || !isfinite(l->y[i])) continue;
            if (seen++ % every != 0 && seen != n) continue;
            as_buf_str(out, "<tr><th scope=\"row\">"), as_report_text(out, l->label, AS_REPORT_NAME), as_buf_str(out, "</th><td class=\"n\">");
            as_report_count(out, (int64_t)l->x[i]), as_buf_str(out, "</td><td class=\"n\">");
            as_report_score(out, l->y[i], false), as_buf_str(out, "</td></tr>\n");
        }
    }
    if (every > 1) as_buf_fmt(out, "<tr><td colspan=\"3\">Every %zu. point and the last of each curve; %zu were measured.</td></tr>\n", every, total);
    as_svg_table_end(out);
}

void as_svg_lines(as_buf *out, const as_chart *c) {
    double x0 = (double)INFINITY, x1 = -x0, y0 = x0, y1 = -x0;
    size_t total = 0, longest = 0;
    for (int k = 0; k < c->count; k++) {
        const as_line *l = &c->lines[k];
        for (size_t i = 0; i < l->count; i++)
            if (isfinite(l->x[i]) && isfinite(l->y[i]))
                x0 = fmin(x0, l->x[i]), x1 = fmax(x1, l->x[i]), y0 = fmin(y0, l->y[i]), y1 = fmax(y1, l->y[i]);
        const size_t n = line_points(l);
        total += n, longest = n > longest ? n : longest;
    }
    if (total == 0) return;
    const size_t per = (longest + DRAWN - 1) / DRAWN;
    as_plot p = {c->title, c->x_name, c->y_name, as_svg_scale(x0, x1, false), as_svg_scale(y0, y1, false), 300};
    if (x0 >= 0 && p.x.lo < 0) p.x.lo = 0;
    if (y0 >= 0 && p.y.lo < 0) p.y.lo = 0;
    as_buf_str(out, "<figure><figcaption>"), as_report_text(out, c->title, 0), as_buf_str(out, "</figcaption>\n");
    as_svg_begin(out, &p);
    for (int k = 0; k < c->count; k++)
        draw_line(out, &c->lines[k], &p, k, per);
    as_svg_overlay(out);
    for (int k = 0; k < c->count; k++)
        if (line_points(&c->lines[k]) <= 24) draw_points(out, &c->lines[k], &p, k);
    as_svg_end(out);
    as_buf_str(out, "<ul class=\"legend\">");
    for (int k = 0; k < c->count; k++) {
        if (line_points(&c->lines[k]) == 0) continue;
        as_buf_fmt(out, "<li><svg width=\"34\" height=\"14\" aria-hidden=\"true\"><path class=\"l c%d d%d\" d=\"M0 7H34\"/>", k % 6, k % 4);
        if (line_points(&c->lines[k]) <= 24) as_svg_marker(out, k, 50, 7, false);
        as_buf_str(out, "</svg>"), as_report_text(out, c->lines[k].label, AS_REPORT_NAME), as_buf_str(out, "</li>");
    }
    as_buf_str(out, "</ul>\n");
    if (per > 1) as_buf_fmt(out, "<p class=\"key\">Each point drawn is the mean of %zu neighbours.</p>\n", per);
    lines_table(out, c, total < LISTED ? total : LISTED, total);
    as_buf_str(out, "</figure>\n");
}

/* --- reliability --- */
/* Counted from the nearer end, as the metric does: equal bins to the last bit. */
static double bin_edge(int i) {
    const double step = 1.0 / AS_REPORT_BINS;
    return i < (AS_REPORT_BINS + 1) / 2 ? step * i : 1 - step * (AS_REPORT_BINS - i);
}

double as_report_bins(as_bin bins[AS_REPORT_BINS + 1], const as_predictions *p) {
    memset(bins, 0, (AS_REPORT_BINS + 1) * sizeof *bins);
    for (int64_t i = 0; i < p->n; i++) {
        const double *row = p->probs + i * p->num_labels;
        int top = 0;
        for (int k = 1; k < p->num_labels; k++)
            if (row[k] > row[top]) top = k;
        if (!(row[top] >= 0 && row[top] <= 1)) continue;
        int b = (int)(row[top] * AS_REPORT_BINS);
        while (b < AS_REPORT_BINS && row[top] >= bin_edge(b + 1))
            b++;
        while (b > 0 && row[top] < bin_edge(b))
            b--;
        bins[b].confidence += row[top], bins[b].right += p->gold[i] == top, bins[b].n++;
    }
    double gap = 0;
    int64_t n = 0;
    for (int b = 0; b <= AS_REPORT_BINS; b++) {
        gap += fabs(bins[b].right - bins[b].confidence), n += bins[b].n;
        if (bins[b].n > 0) bins[b].right /= (double)bins[b].n, bins[b].confidence /= (double)bins[b].n;
    }
    return n > 0 ? gap / (double)n : (double)NAN;
}

static void bin_name(as_buf *out, int b) {
    if (b == AS_REPORT_BINS) {
        as_buf_str(out, "1");
        return;
    }
    as_report_fixed(out, (double)b / AS_REPORT_BINS, 3, "", false), as_buf_str(out, "\xE2\x80\x93");
    as_report_fixed(out, (b + 1.0) / AS_REPORT_BINS, 3, "", false);
}

static void reliability_table(as_buf *out, const as_bin *bins) {
    as_svg_table_begin(out);
    as_buf_str(out, "<thead><tr><th scope=\"col\">confidence</th><th scope=\"col\" class=\"n\">items</th><th scope=\"col\" class=\"n\">mean confidence</th>"
                    "<th scope=\"col\" class=\"n\">share right</th></tr></thead><tbody>\n");
    for (int b = 0; b <= AS_REPORT_BINS; b++) {
        if (bins[b].n == 0) continue;
        as_buf_str(out, "<tr><th scope=\"row\">"), bin_name(out, b), as_buf_str(out, "</th><td class=\"n\">");
        as_report_count(out, bins[b].n), as_buf_str(out, "</td><td class=\"n\">"), as_report_fixed(out, bins[b].confidence, 4, "", false);
        as_buf_str(out, "</td><td class=\"n\">"), as_report_fixed(out, bins[b].right, 4, "", false), as_buf_str(out, "</td></tr>\n");
    }
    as_svg_table_end(out);
}

static void bar(as_buf *out, const char *class, int b, double share) {
    const double width = 1000.0 / AS_REPORT_BINS;
    as_buf_fmt(out, "<rect class=\"%s\"", class);
    as_svg_attr(out, "x", b * width + 4, ""), as_svg_attr(out, "width", width - 8, "");
    as_svg_attr(out, "y", down(share), ""), as_svg_attr(out, "height", 1000 * share, ""), as_buf_str(out, "/>");
}

/* How many items each bin has, under the diagram; the few with a confidence of exactly 1 stand in the last bar. */
static void count_bars(as_buf *out, const as_bin *bins) {
    int64_t most = 1;
    for (int b = 0; b < AS_REPORT_BINS; b++) {
        const int64_t n = bins[b].n + (b == AS_REPORT_BINS - 1 ? bins[AS_REPORT_BINS].n : 0);
        if (n > most) most = n;
    }
    as_buf_fmt(out, "<svg class=\"plot\" width=\"100%%\" height=\"84\" role=\"img\" aria-label=\"Items per bin, at most %" PRId64 "\"><title>Items per bin</title>", most);
    as_buf_str(out, "<text class=\"yn\" x=\"0\" y=\"12\">items per bin, tallest bar: "), as_report_count(out, most), as_buf_str(out, "</text>");
    as_buf_fmt(out, "<svg x=\"%d%%\" y=\"20\" width=\"%d%%\" height=\"60\" viewBox=\"0 0 1000 1000\" preserveAspectRatio=\"none\">", AS_SVG_LEFT, AS_SVG_WIDTH);
    for (int b = 0; b < AS_REPORT_BINS; b++)
        bar(out, "bar2", b, (double)(bins[b].n + (b == AS_REPORT_BINS - 1 ? bins[AS_REPORT_BINS].n : 0)) / (double)most);
    as_buf_str(out, "<path class=\"axis\" d=\"M0 1000H1000\"/></svg></svg>\n");
}

void as_svg_reliability(as_buf *out, const char *name, const as_predictions *p) {
    as_bin bins[AS_REPORT_BINS + 1];
    if (p->kind != AS_PRED_CLASS || !p->probs || !p->gold || p->num_labels < 2 || p->n < 1) return;
    const double ece = as_report_bins(bins, p);
    if (isfinite(ece)) as_svg_bins(out, name, bins, ece);
}

void as_svg_bins(as_buf *out, const char *name, const as_bin bins[AS_REPORT_BINS + 1], double ece) {
    as_buf title = {0};
    as_report_plain(&title, name, AS_REPORT_NAME), as_buf_str(&title, ": share right against confidence, ECE ");
    as_report_fixed(&title, ece, 4, "", false);
    const as_plot plot = {title.p, "confidence in the predicted label", "share right", {0, 1, false}, {0, 1, false}, 300};
    as_buf_str(out, "<figure class=\"half\"><figcaption>"), as_report_text(out, title.p, 0), as_buf_str(out, "</figcaption>\n");
    as_svg_begin(out, &plot);
    for (int b = 0; b < AS_REPORT_BINS; b++)
        if (bins[b].n > 0) bar(out, "bar", b, bins[b].right);
    as_buf_str(out, "<path class=\"ref\" d=\"M0 1000L1000 0\"/>");
    as_svg_overlay(out);
    for (int b = 0; b <= AS_REPORT_BINS; b++)
        if (bins[b].n > 0)
            as_svg_marker(out, 1, AS_SVG_LEFT + AS_SVG_WIDTH * bins[b].confidence,
                          AS_SVG_TOP + (300 - AS_SVG_BOTTOM - AS_SVG_TOP) * (1 - bins[b].right), bins[b].n < 10);
    as_svg_end(out);
    count_bars(out, bins);
    as_buf_str(out, "<p class=\"key\"><i class=\"dash\"></i> perfectly calibrated. Squares: mean confidence of each bin; hollow where it has fewer than 10 items. "
                    "Below the line the model is too sure of itself.</p>\n");
    reliability_table(out, bins);
    as_buf_str(out, "</figure>\n");
    out->failed = out->failed || title.failed;
    as_buf_free(&title);
}

/* --- confusion --- */
typedef struct mix { int gold, pred; int64_t n; } mix;
static int by_count(const void *a, const void *b) {
    const mix *x = a, *y = b;
    if (x->n != y->n) return x->n < y->n ? 1 : -1;
    return x->gold != y->gold ? (x->gold < y->gold ? -1 : 1) : (x->pred > y->pred) - (x->pred < y->pred);
}

/* The most frequent confusions, for matrices too large to read. */
static void confusion_pairs(as_buf *out, char *const *labels, int count, const int64_t *cells) {
    mix top[PAIRS + 1];
    int n = 0;
    for (int g = 0; g < count; g++)
        for (int k = 0; k < count; k++) {
            const int64_t c = cells[(int64_t)g * count + k];
            if (g == k || c == 0 || (n == PAIRS && c <= top[n - 1].n)) continue;
            top[n] = (mix){g, k, c};
            n++;
            qsort(top, (size_t)n, sizeof *top, by_count);
            if (n > PAIRS) n = PAIRS;
        }
    as_buf_fmt(out, "<p class=\"key\">%d labels: the %d most frequent confusions.</p>\n<div class=\"scroll\"><table><thead><tr><th scope=\"col\">gold</th>"
                    "<th scope=\"col\">predicted</th><th scope=\"col\" class=\"n\">items</th></tr></thead><tbody>\n", count, n);
    for (int i = 0; i < n; i++) {
        as_buf_str(out, "<tr><td>"), as_report_text(out, labels[top[i].gold], AS_REPORT_NAME), as_buf_str(out, "</td><td>");
        as_report_text(out, labels[top[i].pred], AS_REPORT_NAME), as_buf_str(out, "</td><td class=\"n\">");
        as_report_count(out, top[i].n), as_buf_str(out, "</td></tr>\n");
    }
    as_buf_str(out, "</tbody></table></div>\n");
}

static void confusion_cell(as_buf *out, bool right, int64_t n, int64_t row) {
    const double share = row > 0 ? (double)n / (double)row : 0;
    as_buf_fmt(out, "<td class=\"q%d%s\"><b>", (int)(share * 9 + 0.5), right ? " dg" : "");
    as_report_count(out, n), as_buf_str(out, "</b>");
    if (n > 0) as_buf_str(out, "<small>"), as_report_percent(out, share, 0), as_buf_str(out, "</small>");
    as_buf_str(out, "</td>");
}

void as_svg_confusion(as_buf *out, const char *name, char *const *labels, int count, const int64_t *cells) {
    if (count < 1 || !cells || !labels) return;
    as_buf_str(out, "<figure class=\"half\"><figcaption>"), as_report_text(out, name, AS_REPORT_NAME);
    as_buf_str(out, "</figcaption>\n");
    if (count > AS_REPORT_CELLS) {
        confusion_pairs(out, labels, count, cells);
        as_buf_str(out, "</figure>\n");
        return;
    }
    as_buf_fmt(out, "<div class=\"scroll\"><table class=\"cm%s\"><thead><tr><th scope=\"col\">gold</th>", count > 5 ? " vert" : "");
    for (int k = 0; k < count; k++)
        as_buf_str(out, "<th scope=\"col\"><span>"), as_report_text(out, labels[k], 40), as_buf_str(out, "</span></th>");
    as_buf_str(out, "<th scope=\"col\" class=\"n\">all</th></tr></thead><tbody>\n");
    for (int g = 0; g < count; g++) {
        int64_t row = 0;
        for (int k = 0; k < count; k++)
            row += cells[g * count + k];
        as_buf_str(out, "<tr><th scope=\"row\">"), as_report_text(out, labels[g], 40), as_buf_str(out, "</th>");
        for (int k = 0; k < count; k++)
            confusion_cell(out, g == k, cells[g * count + k], row);
        as_buf_str(out, "<td class=\"n\">"), as_report_count(out, row), as_buf_str(out, "</td></tr>\n");
    }
    as_buf_str(out, "</tbody></table></div>\n<p class=\"key\">Rows: gold labels. Columns: predictions. Shade and percent: share of the row. Outlined: right.</p></figure>\n");
}
