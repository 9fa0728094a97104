/* html_analyses.c: what was found out beside the metrics: risk against coverage, calibration on dev data, conformal sets, perturbed
 * texts, and the learning rates that a bench tried. Read from the JSON that is stored with a run (run/analyses.h). */
#include "base/mem.h"
#include "io/json.h"
#include "report/report_impl.h"
#include "run/calibrate.h"
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static double real(const as_json *o, const char *key) { return as_json_real(as_json_get(o, key), (double)NAN); }
static as_str text(const as_json *o, const char *key) { return as_json_str(as_json_get(o, key), AS_LIT("")); }
static void put_text(as_buf *out, as_str s) {
    char *copy = as_strndup(s.p, s.n);
    if (copy) as_report_text(out, copy, AS_REPORT_NAME);
    else out->failed = true;
    as_free(copy);
}

/* --- cells --- */
static void td(as_buf *out) { as_buf_str(out, "<td class=\"n\">"); }
static void td_end(as_buf *out) { as_buf_str(out, "</td>"); }
static void score_td(as_buf *out, double value, double low, double high, bool sign) {
    td(out);
    if (sign) as_report_signed(out, value, false);
    else as_report_score(out, value, false);
    if (isfinite(low) && isfinite(high)) {
        as_buf_str(out, " <span class=\"iv\">["), as_report_score(out, low, false), as_buf_str(out, ", ");
        as_report_score(out, high, false), as_buf_str(out, "]</span>");
    }
    td_end(out);
}
static void percent_td(as_buf *out, double share) { td(out), as_report_percent(out, share, 0), td_end(out); }
static void count_td(as_buf *out, const as_json *o, const char *key) { td(out), as_report_count(out, as_json_int(as_json_get(o, key), 0)), td_end(out); }
static void p_td(as_buf *out, double p) { td(out), as_report_p(out, p, false), td_end(out); }
static void head(as_buf *out, const char *const *names, size_t n) {
    as_buf_str(out, "<div class=\"scroll\"><table><thead><tr>");
    for (size_t i = 0; i < n; i++) as_buf_fmt(out, i == 0 ? "<th scope=\"col\">%s</th>" : "<th scope=\"col\" class=\"n\">%s</th>", names[i]);
    as_buf_str(out, "</tr></thead><tbody>\n");
}
static void foot(as_buf *out) { as_buf_str(out, "</tbody></table></div>\n"); }

/* --- the stored objects --- */
static as_json *open_analysis(const as_report_run *run, size_t i, const char *kind) {
    as_json *doc = NULL;
    const char *json = run->analyses[i];
    if (as_json_parse(&doc, as_str_of(json), "an analysis", 0, NULL) != AS_OK) return NULL;
    const as_str k = text(doc, "kind");
    if (as_str_is(k, kind)) return doc;
    as_json_free(doc);
    return NULL;
}
bool as_html_has_analysis(const as_report_run *run, const char *kind) {
    for (size_t i = 0; i < run->analysis_count; i++) {
        as_json *doc = open_analysis(run, i, kind);
        as_json_free(doc);
        if (doc) return true;
    }
    return false;
}

/* --- risk against coverage, of any run with probabilities --- */
void as_html_risk(as_buf *out, const as_report *r, bool (*has)(const as_report_run *)) {
    double y[AS_REPORT_FIGURES][AS_CURVE_POINTS], share[AS_CURVE_POINTS];
    as_line lines[AS_REPORT_FIGURES];
    as_buf names[AS_REPORT_FIGURES] = {{0}};
    int n = 0;
    for (int k = 0; k < AS_CURVE_POINTS; k++) share[k] = 100 * (k + 1.0) / AS_CURVE_POINTS;
    for (int i = 0; i < r->run_count && n < AS_REPORT_FIGURES; i++) {
        if (!has(&r->runs[i])) continue;
        if (as_risk_curve(y[n], &r->runs[i].stored->p, NULL) != AS_OK) {
            out->failed = true;
            continue;
        }
        as_report_run_name(&names[n], r, i);
        out->failed = out->failed || names[n].failed;
        lines[n] = (as_line){names[n].p, share, y[n], AS_CURVE_POINTS};
        n++;
    }
    if (n > 0 && !out->failed)
        as_svg_lines(out, &(as_chart){"Risk against coverage: errors among the items it is surest of", "coverage, % of items", "share wrong", lines, n});
    if (n > 0)
        as_buf_str(out, "<p class=\"key\">Read from the left: if only the most confident part of the items is answered, this share of the answers is wrong. "
                        "A line that rises knows its own errors; a flat one does not.</p>\n");
    for (int i = 0; i < n; i++) as_buf_free(&names[i]);
}

/* --- calibration on dev data --- */
static void after_figure(as_buf *out, const as_json *c) {
    as_bin bins[AS_REPORT_BINS + 1] = {{0}};
    const as_json *width = as_json_get(as_json_get(as_json_get(c, "reliability"), "after"), "width");
    double gap = 0;
    int64_t all = 0;
    for (size_t i = 0; i < as_json_count(width); i++) {
        const as_json *b = as_json_at(width, i);
        const int at = (int)(real(b, "from") * AS_REPORT_BINS + 0.5);
        if (at < 0 || at > AS_REPORT_BINS) continue;
        bins[at] = (as_bin){real(b, "confidence"), real(b, "accuracy"), as_json_int(as_json_get(b, "n"), 0)};
        gap += fabs(bins[at].confidence - bins[at].right) * (double)bins[at].n, all += bins[at].n;
    }
    if (all > 0) as_svg_bins(out, "After the temperature", bins, gap / (double)all);
}

static void changes(as_buf *out, const as_json *c) {
    static const char *const names[] = {"metric (lower is better)", "before", "after", "change", "p (Holm)"};
    const as_json *all = as_json_get(c, "metrics");
    head(out, names, AS_COUNT(names));
    for (size_t i = 0; i < as_json_count(all); i++) {
        const as_json *m = as_json_at(all, i);
        as_buf_str(out, "<tr><th scope=\"row\">"), put_text(out, text(m, "metric")), as_buf_str(out, "</th>");
        score_td(out, real(m, "before"), real(m, "before_low"), real(m, "before_high"), false);
        score_td(out, real(m, "after"), real(m, "after_low"), real(m, "after_high"), false);
        score_td(out, real(m, "diff"), real(m, "low"), real(m, "high"), true), p_td(out, real(m, "p_adjusted"));
        as_buf_str(out, "</tr>\n");
    }
    foot(out);
}

static void coverage(as_buf *out, const as_json *c) {
    static const char *const names[] = {"answer the surest", "items", "confidence at least", "right"};
    const as_json *all = as_json_get(c, "coverage");
    head(out, names, AS_COUNT(names));
    for (size_t i = 0; i < as_json_count(all); i++) {
        const as_json *m = as_json_at(all, i);
        as_buf_str(out, "<tr><th scope=\"row\">"), as_report_percent(out, real(m, "coverage"), 0), as_buf_str(out, "</th>");
        count_td(out, m, "n"), score_td(out, real(m, "threshold"), (double)NAN, (double)NAN, false);
        score_td(out, real(m, "accuracy"), real(m, "low"), real(m, "high"), false), as_buf_str(out, "</tr>\n");
    }
    foot(out);
    as_buf_str(out, "<p class=\"key\">Area under the risk-coverage curve (AURC): "), as_report_score(out, real(c, "aurc"), false);
    as_buf_str(out, " ["), as_report_score(out, real(c, "aurc_low"), false), as_buf_str(out, ", "), as_report_score(out, real(c, "aurc_high"), false);
    as_buf_str(out, "]; above that of the best possible order: "), as_report_score(out, real(c, "e_aurc"), false), as_buf_str(out, ".</p>\n");
}

static void conformal(as_buf *out, const as_report_run *run) {
    static const char *const names[] = {"sets", "promised", "hold the label", "labels in a set", "single", "empty"};
    bool open = false;
    for (size_t i = 0; i < run->analysis_count; i++) {
        as_json *v = open_analysis(run, i, "conformal");
        if (!v) continue;
        if (!open) head(out, names, AS_COUNT(names));
        open = true;
        as_buf_str(out, "<tr><th scope=\"row\">"), put_text(out, text(v, "score")), as_buf_str(out, "</th>");
        percent_td(out, real(v, "promised")), score_td(out, real(v, "coverage"), real(v, "low"), real(v, "high"), false);
        score_td(out, real(v, "size"), real(v, "size_low"), real(v, "size_high"), false), count_td(out, v, "single"), count_td(out, v, "empty");
        as_buf_str(out, "</tr>\n");
        as_json_free(v);
    }
    if (!open) return;
    foot(out);
    as_buf_str(out, "<p class=\"key\">Conformal sets: at least the promised share of sets holds the true label, on average over draws of dev and evaluated "
                    "items from one source; not for each label or group by itself.</p>\n");
}

void as_html_calibrated(as_buf *out, const as_report *r) {
    for (int i = 0; i < r->run_count; i++) {
        const as_report_run *run = &r->runs[i];
        for (size_t k = 0; k < run->analysis_count; k++) {
            as_json *c = open_analysis(run, k, "calibration");
            if (!c) continue;
            as_buf name = {0};
            as_report_run_name(&name, r, i);
            as_buf_str(out, "<h3>"), as_report_text(out, name.p, AS_REPORT_NAME), as_buf_str(out, ", calibrated on "), put_text(out, text(c, "dev"));
            as_buf_str(out, "</h3>\n<p>Temperature "), as_report_score(out, real(c, "temperature"), false);
            as_buf_str(out, ", fitted on "), as_report_count(out, as_json_int(as_json_get(c, "dev_items"), 0));
            as_buf_str(out, real(c, "temperature") > 1 ? " other items: the model was too sure of itself.</p>\n" : " other items.</p>\n");
            changes(out, c);
            as_buf_str(out, "<p class=\"key\">Were every confidence true, ECE would still be "), as_report_score(out, real(c, "ece_floor"), false);
            as_buf_str(out, " on this many items.</p>\n");
            after_figure(out, c);
            coverage(out, c), conformal(out, run);
            out->failed = out->failed || name.failed;
            as_buf_free(&name);
            as_json_free(c);
        }
    }
}

/* --- perturbed texts --- */
static void perturbed_row(as_buf *out, const as_json *v) {
    as_buf_str(out, "<tr><th scope=\"row\">"), put_text(out, text(v, "perturbation")), as_buf_str(out, "</th>");
    percent_td(out, real(v, "strength")), score_td(out, real(v, "value"), real(v, "low"), real(v, "high"), false);
    score_td(out, real(v, "drop"), real(v, "drop_low"), real(v, "drop_high"), true), p_td(out, real(v, "p_adjusted"));
    score_td(out, real(v, "flip_rate"), real(v, "flip_low"), real(v, "flip_high"), false), count_td(out, v, "changed");
    as_buf_str(out, "</tr>\n");
}

static void perturbed_run(as_buf *out, const as_report *r, int i) {
    enum { MOST = 24 };
    static const char *const names[] = {"perturbation", "words changed", "score", "drop", "p (Holm)", "other answers", "texts changed"};
    const as_report_run *run = &r->runs[i];
    as_json *docs[MOST];
    char label[MOST][48];
    as_forest_row rows[MOST];
    int n = 0;
    for (size_t k = 0; k < run->analysis_count && n < MOST; k++)
        if ((docs[n] = open_analysis(run, k, "perturbation"))) {
            const as_str name = text(docs[n], "perturbation");
            snprintf(label[n], sizeof label[n], "%.*s", (int)name.n, name.p);
            rows[n] = (as_forest_row){label[n], real(docs[n], "drop"), real(docs[n], "drop_low"), real(docs[n], "drop_high"), NULL, NULL,
                                      real(docs[n], "p_adjusted") <= 1 - r->level};
            n++;
        }
    if (n == 0) return;
    as_buf name = {0}, title = {0};
    as_report_run_name(&name, r, i);
    as_report_plain(&title, name.p, AS_REPORT_NAME), as_buf_str(&title, ": how much worse on perturbed texts");
    as_buf_str(out, "<h3>"), as_report_text(out, name.p, AS_REPORT_NAME), as_buf_str(out, ": "), put_text(out, text(docs[0], "metric")), as_buf_str(out, " of perturbed texts</h3>\n");
    if (title.failed || name.failed) out->failed = true;
    else
        as_svg_forest(out, &(as_forest){.title = title.p, .label_head = "perturbation", .value_head = "drop", .rows = rows, .count = (size_t)n, .line = 0,
                                        .line_name = "no drop. Squares: significant after correction.", .level = r->level, .sign = true});
    head(out, names, AS_COUNT(names));
    for (int k = 0; k < n; k++) perturbed_row(out, docs[k]), as_json_free(docs[k]);
    foot(out);
    as_buf_free(&name), as_buf_free(&title);
}

void as_html_perturbed(as_buf *out, const as_report *r) {
    bool any = false;
    for (int i = 0; i < r->run_count; i++) any |= as_html_has_analysis(&r->runs[i], "perturbation");
    if (!any) return;
    as_html_head(out, "robustness", "Robustness");
    for (int i = 0; i < r->run_count; i++) perturbed_run(out, r, i);
    as_buf_str(out, "<p class=\"key\">The drop is paired: the same items with and without. Other answers: share of items whose prediction is another one.</p></section>\n");
}

/* --- the search of a bench --- */
void as_html_search(as_buf *out, const as_report *r) {
    static const char *const names[] = {"model", "learning rate", "steps", "dev score", "run", "kept"};
    as_json *bench = NULL;
    if (!r->bench || as_json_parse(&bench, as_str_of(r->bench), "a bench's result", 0, NULL) != AS_OK) return;
    const as_json *all = as_json_get(bench, "tries"), *systems = as_json_get(bench, "systems");
    if (as_json_count(all) > 0) {
        as_html_head(out, "search", "Learning rates tried");
        as_buf_str(out, "<p>Successive halving on the dev data; the scores above come from other data.</p>\n");
        head(out, names, AS_COUNT(names));
        for (size_t i = 0; i < as_json_count(all); i++) {
            const as_json *t = as_json_at(all, i);
            as_buf_str(out, "<tr><th scope=\"row\">"), put_text(out, text(as_json_at(systems, (size_t)as_json_int(as_json_get(t, "system"), 0)), "name"));
            as_buf_str(out, "</th>"), td(out), as_report_short(out, real(t, "lr")), td_end(out);
            count_td(out, t, "steps"), score_td(out, real(t, "dev_score"), (double)NAN, (double)NAN, false), count_td(out, t, "run");
            as_buf_fmt(out, "<td class=\"n\">%s</td></tr>\n", as_json_bool(as_json_get(t, "kept"), false) ? "yes" : "");
        }
        foot(out);
        as_buf_str(out, "</section>\n");
    }
    as_json_free(bench);
}
