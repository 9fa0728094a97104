/* html.c: the page: its skeleton, the verdict, and the sections with plots. */
#include "base/mem.h"
#include "report/report_impl.h"
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

void as_html_head(as_buf *out, const char *id, const char *title) {
    as_buf_fmt(out, "<section id=\"%s\">\n<h2>%s</h2>\n", id, title);
}

static bool any(const as_report *r, bool (*has)(const as_report_run *)) {
    for (int i = 0; i < r->run_count; i++)
        if (has(&r->runs[i])) return true;
    return false;
}
static bool has_steps(const as_report_run *run) { return run->step_count > 0; }
static bool has_slices(const as_report_run *run) { return run->slice_count > 0; }
static bool has_items(const as_report_run *run) { return run->stored != NULL; }
static bool has_confusion(const as_report_run *run) { return run->result && run->result->confusion && run->result->num_labels > 0; }
static bool has_perturbed(const as_report_run *run) { return as_html_has_analysis(run, "perturbation"); }
static bool has_probs(const as_report_run *run) {
    return run->stored && run->stored->p.kind == AS_PRED_CLASS && run->stored->p.probs && run->stored->p.gold && run->stored->p.num_labels > 1 && run->stored->n > 0;
}

/* --- verdict --- */
static void verdict_lines(as_buf *out, const char *text) {
    as_buf line = {0};
    for (const char *p = text; *p;) {
        const size_t n = strcspn(p, "\n");
        as_buf_clear(&line), as_buf_add(&line, p, n);
        if (n > 0) as_buf_str(out, "<p>"), as_report_text(out, line.p, 0), as_buf_str(out, "</p>\n");
        p += n + (p[n] == '\n');
    }
    out->failed = out->failed || line.failed;
    as_buf_free(&line);
}

/* In words, for runs that nothing was compared with. */
static void verdict_of_run(as_buf *out, const as_report *r, int i) {
    const as_eval_result *e = r->runs[i].result;
    as_buf name = {0};
    as_report_run_name(&name, r, i);
    as_buf_str(out, "<p>"), as_report_text(out, name.p, AS_REPORT_NAME);
    if (e && e->metric_count > 0 && isfinite(e->metrics[0].value)) {
        const as_result_metric *m = &e->metrics[0];
        as_buf_str(out, ": "), as_report_text(out, m->name, AS_REPORT_NAME), as_buf_char(out, ' '), as_report_score(out, m->value, false);
        if (isfinite(m->low) && isfinite(m->high)) {
            as_buf_str(out, ", "), as_report_level(out, m->level), as_buf_str(out, " interval ");
            as_report_score(out, m->low, false), as_buf_str(out, " to "), as_report_score(out, m->high, false);
        }
        as_buf_str(out, ", on "), as_report_count(out, m->n), as_buf_str(out, m->n == 1 ? " item.</p>\n" : " items.</p>\n");
    } else {
        as_buf_str(out, ": no score is defined.</p>\n");
    }
    out->failed = out->failed || name.failed;
    as_buf_free(&name);
}

static void warnings(as_buf *out, const as_report *r) {
    for (int i = 0; i < r->run_count; i++) {
        const as_eval_result *e = r->runs[i].result;
        if (!e || (!e->head_fresh && e->truncated == 0)) continue;
        as_buf name = {0};
        as_report_run_name(&name, r, i);
        as_buf_str(out, "<p class=\"warn\"><b>"), as_report_text(out, name.p, AS_REPORT_NAME), as_buf_str(out, "</b>");
        if (e->head_fresh) as_buf_str(out, ": part of its head is not trained; its scores say nothing about the model.");
        if (e->truncated > 0) as_buf_str(out, ": "), as_report_count(out, e->truncated), as_buf_str(out, " texts were longer than the model reads, and were cut.");
        as_buf_str(out, "</p>\n");
        out->failed = out->failed || name.failed;
        as_buf_free(&name);
    }
}

static void tile(as_buf *out, const as_buf *value, const char *name) {
    as_buf_str(out, "<li><b>"), as_buf_add(out, value->p ? value->p : "", value->n);
    as_buf_str(out, "</b><span>"), as_report_text(out, name, AS_REPORT_NAME), as_buf_str(out, "</span></li>\n");
    out->failed = out->failed || value->failed;
}

/* One run: its numbers at a glance. */
static void tiles(as_buf *out, const as_eval_result *e) {
    as_buf v = {0};
    as_buf_str(out, "<ul class=\"tiles\">\n");
    for (size_t i = 0; i < e->metric_count && i < 4; i++) {
        as_buf_clear(&v), as_report_score(&v, e->metrics[i].value, false);
        tile(out, &v, e->metrics[i].name);
    }
    as_buf_clear(&v), as_report_count(&v, e->n), tile(out, &v, "items");
    if (e->seconds > 0 && e->n > 0) as_buf_clear(&v), as_report_short(&v, (double)e->n / e->seconds), tile(out, &v, "items/s");
    if (e->peak_bytes > 0) as_buf_clear(&v), as_report_count(&v, (int64_t)((e->peak_bytes + 524288) / 1048576)), tile(out, &v, "MiB peak memory");
    as_buf_str(out, "</ul>\n");
    as_buf_free(&v);
}

static void verdict(as_buf *out, const as_report *r) {
    as_buf_str(out, "<section class=\"verdict\" id=\"verdict\">\n<h2>Verdict</h2>\n");
    if (r->contest && r->contest->verdict && r->contest->verdict[0]) {
        verdict_lines(out, r->contest->verdict);
    } else if (r->run_count == 0) {
        as_buf_str(out, "<p>Nothing has been measured.</p>\n");
    } else {
        for (int i = 0; i < r->run_count && i < 12; i++)
            verdict_of_run(out, r, i);
        if (r->run_count > 1) as_buf_str(out, "<p>These runs have not been compared with each other: overlapping intervals decide nothing.</p>\n");
    }
    as_buf_str(out, "</section>\n");
    warnings(out, r);
    if (!r->contest && r->run_count == 1 && r->runs[0].result) tiles(out, r->runs[0].result);
}

/* --- scores --- */
static void score_title(as_buf *title, const char *metric, double level, bool higher) {
    as_report_plain(title, metric, AS_REPORT_NAME);
    if (level > 0 && level < 1) as_buf_str(title, " with "), as_report_level(title, level), as_buf_str(title, " intervals");
    if (!higher) as_buf_str(title, " (lower is better)");
}

static void standings_forest(as_buf *out, const as_report *r, size_t begin, size_t end) {
    const as_contest_result *c = r->contest;
    as_forest_row *rows = as_calloc(end - begin, sizeof *rows);
    as_buf title = {0};
    score_title(&title, c->standings[begin].metric, r->level, c->standings[begin].higher_is_better);
    if (rows && !title.failed) {
        for (size_t i = begin; i < end; i++) {
            const as_standing *s = &c->standings[i];
            rows[i - begin] = (as_forest_row){as_report_system(r, s->system), s->value, s->low, s->high, s->why, s->why, begin == 0 && s->system == c->best};
        }
        as_svg_forest(out, &(as_forest){.title = title.p, .label_head = "system", .value_head = c->standings[begin].metric, .rows = rows, .count = end - begin,
                                        .line = (double)NAN, .level = r->level});
    } else {
        out->failed = true;
    }
    as_free(rows), as_buf_free(&title);
}

/* Without a contest: each run on the first metric; or, of a single run, all metrics that share the unit interval. */
static void runs_forest(as_buf *out, const as_report *r) {
    bool higher;
    const char *metric = as_report_first_metric(r, &higher);
    if (!metric) return;
    const as_eval_result *only = r->run_count == 1 ? r->runs[0].result : NULL;
    const size_t most = only ? only->metric_count : (size_t)r->run_count;
    as_forest_row *rows = as_calloc(most, sizeof *rows);
    as_buf *names = as_calloc(most, sizeof *names);
    as_buf title = {0};
    size_t n = 0;
    for (size_t i = 0; rows && names && i < most; i++) {
        const as_result_metric *m = only ? &only->metrics[i] : as_report_metric_of(&r->runs[i], metric);
        if (!m || (only && isfinite(m->value) && !(m->value >= -1 && m->value <= 1 && !(m->high > 1) && !(m->low < -1)))) continue;
        if (only) as_report_plain(&names[n], m->name, AS_REPORT_NAME); else as_report_run_name(&names[n], r, (int)i);
        if (only && !m->higher_is_better) as_buf_str(&names[n], " (lower is better)");
        out->failed = out->failed || names[n].failed;
        rows[n] = (as_forest_row){names[n].p, m->value, m->low, m->high, m->why, m->why, false};
        n++;
    }
    score_title(&title, only ? "Metrics" : metric, r->level, only || higher);
    if (!rows || !names || title.failed)
        out->failed = true;
    else if (n > 0 && !out->failed)
        as_svg_forest(out, &(as_forest){.title = title.p, .label_head = only ? "metric" : "run", .value_head = only ? "value" : metric, .rows = rows, .count = n, .line = (double)NAN, .level = r->level});
    for (size_t i = 0; names && i < n; i++)
        as_buf_free(&names[i]);
    as_free(rows), as_free(names), as_buf_free(&title);
}

static void scores(as_buf *out, const as_report *r) {
    as_html_head(out, "scores", "Scores");
    if (r->contest && r->contest->standing_count > 0) {
        const as_contest_result *c = r->contest;
        for (size_t i = 0, plots = 0; i < c->standing_count && plots < AS_REPORT_FIGURES; plots++) {
            size_t end = i;
            while (end < c->standing_count && strcmp(c->standings[end].metric, c->standings[i].metric) == 0)
                end++;
            standings_forest(out, r, i, end);
            i = end;
        }
        as_html_standings(out, r);
    } else {
        runs_forest(out, r);
    }
    as_html_metrics(out, r);
    as_buf_str(out, "</section>\n");
}

/* --- differences --- */
static void differences(as_buf *out, const as_report *r) {
    const as_contest_result *c = r->contest;
    if (!c || c->comparison_count == 0) return;
    as_html_head(out, "differences", "Differences");
    enum { MOST = 24 };
    as_forest_row rows[MOST];
    as_buf label[MOST] = {{0}}, note[MOST] = {{0}}, title = {0};
    size_t n = 0;
    const char *metric = c->comparisons[0].metric;
    for (size_t i = 0; i < c->comparison_count && n < MOST; i++) {
        const as_comparison *p = &c->comparisons[i];
        if (strcmp(p->metric, metric) != 0) continue;
        as_report_plain(&label[n], as_report_system(r, p->a), 60), as_buf_str(&label[n], " \xE2\x88\x92 "), as_report_plain(&label[n], as_report_system(r, p->b), 60);
        if (isfinite(p->p_adjusted)) {
            as_buf_str(&note[n], p->p_adjusted < 0.0001 ? "p " : "p = "), as_report_p(&note[n], p->p_adjusted, true);
            as_buf_str(&note[n], c->comparison_count > 1 ? " (Holm)" : "");
        } else {
            as_buf_str(&note[n], "no p value");
        }
        out->failed = out->failed || label[n].failed || note[n].failed;
        const double alpha = r->level > 0 && r->level < 1 ? 1 - r->level : 0.05;
        rows[n] = (as_forest_row){label[n].p, p->diff, p->low, p->high, p->why, note[n].p, p->p_adjusted <= alpha};
        n++;
    }
    as_report_plain(&title, metric, AS_REPORT_NAME), as_buf_str(&title, ": paired differences");
    out->failed = out->failed || title.failed;
    if (!out->failed)
        as_svg_forest(out, &(as_forest){.title = title.p, .label_head = "pair", .value_head = "difference", .rows = rows, .count = n, .line = 0,
                                        .line_name = "no difference. Squares: significant after correction.", .level = r->level, .sign = true});
    for (size_t i = 0; i < n; i++)
        as_buf_free(&label[i]), as_buf_free(&note[i]);
    as_buf_free(&title);
    as_html_comparisons(out, r);
    as_buf_str(out, "</section>\n");
}

/* --- cost --- */
typedef enum cost_kind { COST_SPEED, COST_MEMORY, COST_TRAINING, COST_KINDS } cost_kind;
static const struct { const char *title, *axis; bool higher; } cost_axes[COST_KINDS] = {
    [COST_SPEED] = {"Score against speed", "items/s", true},
    [COST_MEMORY] = {"Score against peak memory", "peak memory, MiB", false},
    [COST_TRAINING] = {"Score against training time", "training time, s", false}};

static double cost_of(const as_system *s, cost_kind kind) {
    const double v = kind == COST_SPEED ? s->items_per_second : kind == COST_TRAINING ? s->train_seconds : (double)s->peak_bytes / 1048576;
    return isfinite(v) && v > 0 ? v : (double)NAN;
}

/* The points of a contest's systems, or of runs where nothing was compared. */
static int cost_points(as_point *p, as_buf *names, const as_report *r, cost_kind kind, const char *metric) {
    int n = 0;
    for (size_t i = 0; r->contest && i < r->contest->standing_count; i++) {
        const as_standing *s = &r->contest->standings[i];
        if (strcmp(s->metric, metric) != 0 || !r->systems || s->system < 0 || s->system >= r->system_count) continue;
        p[n] = (as_point){as_report_system(r, s->system), cost_of(&r->systems[s->system], kind), s->value, s->low, s->high};
        n++;
    }
    for (int i = 0; !r->contest && i < r->run_count; i++) {
        const as_result_metric *m = as_report_metric_of(&r->runs[i], metric);
        if (!m) continue;
        const as_eval_result *e = r->runs[i].result;
        const as_system s = {.items_per_second = e->seconds > 0 ? (double)e->n / e->seconds : 0, .peak_bytes = e->peak_bytes};
        as_report_run_name(&names[n], r, i);
        p[n] = (as_point){names[n].p, cost_of(&s, kind), m->value, m->low, m->high};
        n++;
    }
    return n;
}

static bool both_known(const as_point *p) { return isfinite(p->x) && isfinite(p->y); }

/* The section, or (with `out` NULL) only whether there is one: two systems whose cost is known. */
static bool costs(as_buf *out, const as_report *r) {
    bool higher, open = false, failed = false;
    const char *metric = as_report_first_metric(r, &higher);
    const size_t most = r->contest ? r->contest->standing_count : (size_t)r->run_count;
    if (!metric || most < 2) return false;
    as_point *p = as_calloc(most, sizeof *p);
    as_buf *names = as_calloc(most, sizeof *names);
    for (int kind = 0; p && names && kind < COST_KINDS; kind++) {
        for (size_t i = 0; i < most; i++)
            as_buf_clear(&names[i]);
        const int n = cost_points(p, names, r, (cost_kind)kind, metric);
        int known = 0;
        for (int i = 0; i < n; i++)
            known += both_known(&p[i]), failed = failed || names[i].failed;
        if (known < 2 || failed) continue;
        if (out && !open) as_html_head(out, "cost", "Cost"), as_buf_str(out, "<div class=\"pair\">\n");
        open = true;
        if (out) as_svg_scatter(out, &(as_scatter){cost_axes[kind].title, cost_axes[kind].axis, metric, p, n, cost_axes[kind].higher, higher});
    }
    if (out && open) as_buf_str(out, "</div>\n</section>\n");
    if (out && (!p || !names || failed)) out->failed = true;
    for (size_t i = 0; names && i < most; i++)
        as_buf_free(&names[i]);
    as_free(p), as_free(names);
    return open;
}

/* --- learning curves --- */
typedef enum curve_kind { CURVE_TRAIN, CURVE_DEV, CURVE_SCORE, CURVE_RATE, CURVE_KINDS } curve_kind;
static const char *const curve_titles[CURVE_KINDS] = {"Training loss", "Held-out loss", "Held-out score", "Learning rate"};
static const char *const curve_axes[CURVE_KINDS] = {"loss", "loss", "score", "learning rate"};

static double step_value(const as_report_step *s, curve_kind kind) {
    return kind == CURVE_TRAIN ? s->train_loss : kind == CURVE_DEV ? s->dev_loss : kind == CURVE_SCORE ? s->dev_score : s->lr;
}

static void curve(as_buf *out, const as_report *r, curve_kind kind) {
    const size_t most = (size_t)r->run_count;
    as_line *lines = as_calloc(most, sizeof *lines);
    as_buf *names = as_calloc(most, sizeof *names);
    size_t total = 0, at = 0;
    for (int i = 0; i < r->run_count; i++)
        total += r->runs[i].step_count;
    double *x = as_alloc(total, sizeof *x), *y = as_alloc(total, sizeof *y);
    int n = 0;
    bool shown = false;
    for (int i = 0; lines && names && x && y && i < r->run_count; i++) {
        const as_report_run *run = &r->runs[i];
        if (run->step_count == 0) continue;
        as_report_run_name(&names[n], r, i);
        out->failed = out->failed || names[n].failed;
        lines[n] = (as_line){names[n].p, x + at, y + at, run->step_count};
        for (size_t k = 0; k < run->step_count; k++, at++) {
            x[at] = (double)run->steps[k].step, y[at] = step_value(&run->steps[k], kind);
            shown = shown || isfinite(y[at]);
        }
        n++;
    }
    if (!lines || !names || !x || !y) out->failed = true;
    if (shown && !out->failed) as_svg_lines(out, &(as_chart){curve_titles[kind], "step", curve_axes[kind], lines, n});
    for (int i = 0; names && i < n; i++)
        as_buf_free(&names[i]);
    as_free(lines), as_free(names), as_free(x), as_free(y);
}

static void curves(as_buf *out, const as_report *r) {
    if (!any(r, has_steps)) return;
    as_html_head(out, "learning", "Learning curves");
    as_buf_str(out, "<div class=\"pair\">\n");
    for (int kind = 0; kind < CURVE_KINDS; kind++)
        curve(out, r, (curve_kind)kind);
    as_buf_str(out, "</div>\n</section>\n");
}

/* --- confusion and calibration: one figure per run --- */
static void per_run(as_buf *out, const as_report *r, const char *id, const char *title, bool (*has)(const as_report_run *)) {
    if (!any(r, has)) return;
    as_html_head(out, id, title);
    int with = 0, done = 0;
    as_buf_str(out, "<div class=\"pair\">\n");
    for (int i = 0; i < r->run_count; i++) {
        if (!has(&r->runs[i])) continue;
        if (with++ >= AS_REPORT_FIGURES) continue;
        as_buf name = {0};
        as_report_run_name(&name, r, i);
        const as_eval_result *e = r->runs[i].result;
        if (name.failed)
            out->failed = true;
        else if (has == has_confusion)
            as_svg_confusion(out, name.p, e->labels, e->num_labels, e->confusion);
        else
            as_svg_reliability(out, name.p, &r->runs[i].stored->p);
        as_buf_free(&name);
        done++;
    }
    as_buf_str(out, "</div>\n");
    if (has == has_probs) as_html_risk(out, r, has_probs), as_html_calibrated(out, r);
    if (with > done) as_buf_fmt(out, "<p class=\"warn\">The first %d of %d runs are shown.</p>\n", done, with);
    as_buf_str(out, "</section>\n");
}

/* --- the page --- */
static void contents(as_buf *out, const as_report *r) {
    const struct { const char *id, *name; bool there; } parts[] = {
        {"scores", "Scores", true}, {"differences", "Differences", r->contest && r->contest->comparison_count > 0},
        {"cost", "Cost", costs(NULL, r)}, {"learning", "Learning curves", any(r, has_steps)}, {"confusion", "Confusion", any(r, has_confusion)},
        {"calibration", "Calibration", any(r, has_probs)}, {"robustness", "Robustness", any(r, has_perturbed)}, {"slices", "Slices", any(r, has_slices)},
        {"errors", "Errors", any(r, has_items)}, {"provenance", "Provenance", true}};
    as_buf_str(out, "<nav aria-label=\"Contents\"><ul>");
    for (size_t i = 0; i < AS_COUNT(parts); i++)
        if (parts[i].there) as_buf_fmt(out, "<li><a href=\"#%s\">%s</a></li>", parts[i].id, parts[i].name);
    as_buf_str(out, "</ul></nav>\n");
}

static void subtitle(as_buf *out, const as_report *r) {
    as_buf_str(out, "<p class=\"sub\">");
    if (r->contest && r->system_count > 0) as_buf_fmt(out, "%d systems", r->system_count);
    else as_buf_fmt(out, r->run_count == 1 ? "%d run" : "%d runs", r->run_count);
    for (int i = 0; i < r->run_count; i++) {
        const as_report_run *run = &r->runs[i];
        if (!run->result && !run->stored) continue;
        const int64_t n = run->result ? run->result->n : run->stored->n;
        as_buf_str(out, " \xC2\xB7 "), as_report_count(out, n), as_buf_str(out, n == 1 ? " item" : " items");
        break;
    }
    if (r->level > 0 && r->level < 1) as_buf_str(out, " \xC2\xB7 intervals at "), as_report_level(out, r->level);
    as_buf_str(out, "</p>\n");
}

as_status as_report_html(as_buf *out, const as_report *r, as_err *err) {
    const char *title = r->title && r->title[0] ? r->title : "report";
    as_buf_str(out, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
                    "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
                    "<meta name=\"color-scheme\" content=\"light dark\">\n<title>");
    as_report_text(out, title, AS_REPORT_NAME), as_buf_str(out, " \xC2\xB7 assay</title>\n");
    as_report_style(out);
    as_buf_str(out, "</head>\n<body>\n<header>\n<h1>"), as_report_text(out, title, AS_REPORT_NAME), as_buf_str(out, "</h1>\n");
    subtitle(out, r);
    as_buf_str(out, "</header>\n<main>\n");
    verdict(out, r);
    contents(out, r);
    scores(out, r);
    differences(out, r);
    (void)costs(out, r);
    curves(out, r);
    per_run(out, r, "confusion", "Confusion", has_confusion);
    per_run(out, r, "calibration", "Calibration", has_probs);
    as_html_perturbed(out, r);
    as_html_slices(out, r);
    as_report_items(out, r);
    as_html_search(out, r);
    as_html_provenance(out, r);
    as_buf_str(out, "</main>\n<footer>assay");
    if (r->version) as_buf_char(out, ' '), as_report_text(out, r->version, 40);
    as_buf_str(out, ". Everything in this page is inside it; it loads nothing.</footer>\n</body>\n</html>\n");
    return out->failed ? as_fail_nomem(err, "the report", out->n) : AS_OK;
}
