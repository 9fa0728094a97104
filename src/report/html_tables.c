/* html_tables.c: what stands in tables: standings, comparisons, metrics, slices, provenance. */
#include "base/mem.h"
#include "io/json.h"
#include "report/report_impl.h"
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SLICE_ROWS = 200, SLICE_PLOT = 16, DEPTH = 6 };

static void interval(as_buf *out, double low, double high) {
    if (!isfinite(low) || !isfinite(high)) return;
    as_buf_str(out, " <span class=\"iv\">["), as_report_score(out, low, false), as_buf_str(out, ", ");
    as_report_score(out, high, false), as_buf_str(out, "]</span>");
}

static void value_cell(as_buf *out, double value, double low, double high, const char *why) {
    as_buf_str(out, "<td class=\"n\">");
    if (isfinite(value)) {
        as_report_score(out, value, false), interval(out, low, high);
    } else {
        as_buf_str(out, "undefined");
        if (why) as_buf_str(out, "<br><small>"), as_report_text(out, why, 0), as_buf_str(out, "</small>");
    }
    as_buf_str(out, "</td>");
}

/* --- standings --- */
static void cost_cells(as_buf *out, const as_system *s) {
    as_buf_str(out, "<td class=\"n\">");
    if (s->parameters > 0) as_report_short(out, (double)s->parameters); else as_buf_str(out, "n/a");
    as_buf_str(out, "</td><td class=\"n\">");
    if (s->train_seconds > 0) as_report_duration(out, s->train_seconds); else as_buf_str(out, "n/a");
    as_buf_str(out, "</td><td class=\"n\">");
    if (s->items_per_second > 0) as_report_short(out, s->items_per_second); else as_buf_str(out, "n/a");
    as_buf_str(out, "</td><td class=\"n\">");
    if (s->peak_bytes > 0) as_report_count(out, (int64_t)((s->peak_bytes + 524288) / 1048576)); else as_buf_str(out, "n/a");
    as_buf_str(out, "</td>");
}

static void standing_row(as_buf *out, const as_report *r, const as_standing *s, bool first) {
    const bool best = first && s->system == r->contest->best;
    as_buf_str(out, best ? "<tr class=\"best\"><th scope=\"row\">" : "<tr><th scope=\"row\">");
    as_report_text(out, as_report_system(r, s->system), AS_REPORT_NAME), as_buf_str(out, "</th>");
    value_cell(out, s->value, s->low, s->high, s->why);
    as_buf_str(out, "<td class=\"n\">"), as_report_fixed(out, s->sd_seeds, 4, "n/a", false), as_buf_str(out, "</td><td>");
    for (int k = 0; k < 26; k++)
        if (s->letters >> k & 1) as_buf_char(out, (char)('a' + k));
    as_buf_fmt(out, s->rank_low == s->rank_high ? "</td><td class=\"n\">%" PRId64 "</td>" : "</td><td class=\"n\">%" PRId64 "\xE2\x80\x93%" PRId64 "</td>", s->rank_low, s->rank_high);
    if (first && r->systems && s->system >= 0 && s->system < r->system_count) cost_cells(out, &r->systems[s->system]);
    as_buf_str(out, "</tr>\n");
}

void as_html_standings(as_buf *out, const as_report *r) {
    const as_contest_result *c = r->contest;
    for (size_t i = 0; i < c->standing_count;) {
        size_t end = i;
        while (end < c->standing_count && strcmp(c->standings[end].metric, c->standings[i].metric) == 0)
            end++;
        as_buf_str(out, "<h3>"), as_report_text(out, c->standings[i].metric, AS_REPORT_NAME);
        as_buf_str(out, c->standings[i].higher_is_better ? "</h3>\n" : " <small>(lower is better)</small></h3>\n");
        as_buf_str(out, "<div class=\"scroll\"><table class=\"wide\"><thead><tr><th scope=\"col\">system</th><th scope=\"col\" class=\"n\">value [interval]</th>"
                        "<th scope=\"col\" class=\"n\">sd of seeds</th><th scope=\"col\">group</th><th scope=\"col\" class=\"n\">rank</th>");
        if (i == 0) as_buf_str(out, "<th scope=\"col\" class=\"n\">parameters</th><th scope=\"col\" class=\"n\">training</th><th scope=\"col\" class=\"n\">items/s</th>"
                                    "<th scope=\"col\" class=\"n\">peak MiB</th>");
        as_buf_str(out, "</tr></thead><tbody>\n");
        for (size_t k = i; k < end; k++)
            standing_row(out, r, &c->standings[k], i == 0);
        as_buf_str(out, "</tbody></table></div>\n");
        i = end;
    }
    as_buf_str(out, "<p class=\"key\">Systems that share a letter cannot be told apart; a rank interval holds the ranks that the data allow.</p>\n");
}

/* --- comparisons --- */
static bool any_margin(const as_contest_result *c) {
    for (size_t i = 0; i < c->comparison_count; i++)
        if (isfinite(c->comparisons[i].p_equivalent) || isfinite(c->comparisons[i].p_noninferior)) return true;
    return false;
}

static void comparison_row(as_buf *out, const as_report *r, const as_comparison *c, bool margin) {
    as_buf_str(out, "<tr><th scope=\"row\">"), as_report_text(out, as_report_system(r, c->a), AS_REPORT_NAME);
    as_buf_str(out, " <span class=\"iv\">vs</span> "), as_report_text(out, as_report_system(r, c->b), AS_REPORT_NAME);
    as_buf_str(out, "<br><small>"), as_report_text(out, c->metric, AS_REPORT_NAME), as_buf_str(out, "</small></th><td class=\"n\">");
    if (isfinite(c->diff)) {
        as_report_signed(out, c->diff, false), interval(out, c->low, c->high);
    } else {
        as_buf_str(out, "undefined");
    }
    as_buf_str(out, "</td><td class=\"n\">"), as_report_p(out, c->p_adjusted, false), as_buf_str(out, "<br><small>");
    if (!c->why) as_report_p(out, c->p, false), as_buf_str(out, c->test_method ? ", " : "");
    as_report_text(out, c->why ? c->why : c->test_method, 0), as_buf_str(out, "</small></td><td class=\"n\">");
    as_report_score(out, c->mde, false), as_buf_str(out, "</td><td class=\"n\">");
    if (isfinite(c->items_needed) && c->items_needed < 9e15) as_report_count(out, (int64_t)ceil(c->items_needed)); else as_buf_str(out, "n/a");
    as_buf_str(out, "</td>");
    if (margin) {
        as_buf_str(out, "<td class=\"n\">"), as_report_p(out, c->p_equivalent, false), as_buf_str(out, "</td><td class=\"n\">");
        as_report_p(out, c->p_noninferior, false), as_buf_str(out, "</td>");
    }
    if (c->both >= 0)
        as_buf_fmt(out, "<td class=\"n\">%" PRId64 " / %" PRId64 " / %" PRId64 " / %" PRId64 "</td>", c->both, c->only_a, c->only_b, c->neither);
    else
        as_buf_str(out, "<td class=\"n\">n/a</td>");
    as_buf_str(out, "</tr>\n");
}

void as_html_comparisons(as_buf *out, const as_report *r) {
    const as_contest_result *c = r->contest;
    const bool margin = any_margin(c);
    as_buf_str(out, "<div class=\"scroll\"><table class=\"wide\"><thead><tr><th scope=\"col\" class=\"t\">pair</th><th scope=\"col\" class=\"n\">difference</th>"
                    "<th scope=\"col\" class=\"n\">p, Holm<br><small>p alone, test</small></th><th scope=\"col\" class=\"n\">detectable</th>"
                    "<th scope=\"col\" class=\"n\">items<br>needed</th>");
    if (margin) as_buf_str(out, "<th scope=\"col\" class=\"n\">p,<br>equivalent</th><th scope=\"col\" class=\"n\">p,<br>not worse</th>");
    as_buf_str(out, "<th scope=\"col\" class=\"n\">both / first /<br>second / neither</th></tr></thead><tbody>\n");
    for (size_t i = 0; i < c->comparison_count; i++)
        comparison_row(out, r, &c->comparisons[i], margin);
    as_buf_str(out, "</tbody></table></div>\n<p class=\"key\">Detectable: the smallest difference that these items show with power 0.8. Items needed: to show a difference "
                    "of the measured size with that power. Last column: items that both get right, only the first, only the second, neither.</p>\n");
}

/* --- metrics of the runs --- */
static void metric_rows(as_buf *out, const as_report *r, int run) {
    const as_eval_result *e = r->runs[run].result;
    as_buf name = {0};
    as_report_run_name(&name, r, run);
    for (size_t i = 0; i < e->metric_count; i++) {
        const as_result_metric *m = &e->metrics[i];
        as_buf_str(out, "<tr><th scope=\"row\">"), as_report_text(out, name.p, AS_REPORT_NAME), as_buf_str(out, "</th><td>");
        as_report_text(out, m->name, AS_REPORT_NAME), as_buf_str(out, m->higher_is_better ? "</td>" : " <small>lower is better</small></td>");
        value_cell(out, m->value, m->low, m->high, m->why);
        as_buf_str(out, "<td>"), as_report_text(out, m->method, 0), as_buf_str(out, "</td><td class=\"n\">");
        as_report_count(out, m->n), as_buf_str(out, "</td></tr>\n");
    }
    out->failed = out->failed || name.failed;
    as_buf_free(&name);
}

void as_html_metrics(as_buf *out, const as_report *r) {
    size_t rows = 0;
    for (int i = 0; i < r->run_count; i++)
        rows += r->runs[i].result ? r->runs[i].result->metric_count : 0;
    if (rows == 0) return;
    const bool folded = r->contest != NULL || r->run_count > 4;
    as_buf_str(out, folded ? "<details class=\"more\"><summary>All metrics of all runs</summary>\n" : "<h3>All metrics</h3>\n");
    as_buf_str(out, "<div class=\"scroll\"><table class=\"wide\"><thead><tr><th scope=\"col\">run</th><th scope=\"col\">metric</th><th scope=\"col\" class=\"n\">value [interval]</th>"
                    "<th scope=\"col\">interval by</th><th scope=\"col\" class=\"n\">items</th></tr></thead><tbody>\n");
    for (int i = 0; i < r->run_count; i++)
        if (r->runs[i].result) metric_rows(out, r, i);
    as_buf_str(out, "</tbody></table></div>\n");
    if (folded) as_buf_str(out, "</details>\n");
}

/* --- slices --- */
/* Rows that matter first: those worse than the rest, then by p, then in the order given. */
static int worst_slice(const void *a, const void *b) {
    const as_slice_row *x = *(const as_slice_row *const *)a, *y = *(const as_slice_row *const *)b;
    if (x->worse != y->worse) return x->worse ? -1 : 1;
    const double px = isfinite(x->p) ? x->p : 2, py = isfinite(y->p) ? y->p : 2;
    if (px < py || px > py) return px < py ? -1 : 1;
    return (x > y) - (x < y);
}

static void slice_label(as_buf *b, const as_slice_row *s) {
    as_report_plain(b, s->column, 40), as_buf_str(b, " = ");
    as_report_plain(b, s->value && s->value[0] ? s->value : "(empty)", 60);
}

static void slice_forest(as_buf *out, const as_report_run *run, const as_slice_row *const *order, size_t count, const char *title, double level) {
    as_forest_row rows[SLICE_PLOT];
    as_buf label[SLICE_PLOT] = {{0}}, note[SLICE_PLOT] = {{0}};
    size_t n = 0;
    for (size_t i = 0; i < count && n < SLICE_PLOT; i++) {
        slice_label(&label[n], order[i]);
        as_report_count(&note[n], order[i]->n), as_buf_str(&note[n], order[i]->n == 1 ? " item" : " items");
        if (order[i]->why) as_buf_str(&note[n], ": "), as_buf_str(&note[n], order[i]->why);
        out->failed = out->failed || label[n].failed || note[n].failed;
        rows[n] = (as_forest_row){label[n].p, order[i]->score, order[i]->low, order[i]->high, order[i]->why, note[n].p, order[i]->worse};
        n++;
    }
    const bool overall = run->result && run->result->metric_count > 0;
    const as_forest f = {.title = title, .label_head = "slice", .value_head = overall ? run->result->metrics[0].name : "score", .rows = rows, .count = n,
                         .line = overall ? run->result->metrics[0].value : (double)NAN, .line_name = overall && isfinite(run->result->metrics[0].value) ? "all items" : NULL, .level = level};
    if (!out->failed) as_svg_forest(out, &f);
    for (size_t i = 0; i < n; i++)
        as_buf_free(&label[i]), as_buf_free(&note[i]);
}

static void slice_table(as_buf *out, const as_slice_row *const *order, size_t count) {
    const size_t shown = count < SLICE_ROWS ? count : SLICE_ROWS;
    as_buf_str(out, "<div class=\"scroll\"><table class=\"wide\"><thead><tr><th scope=\"col\">column</th><th scope=\"col\">value</th><th scope=\"col\" class=\"n\">items</th>"
                    "<th scope=\"col\" class=\"n\">score [interval]</th><th scope=\"col\" class=\"n\">all others</th><th scope=\"col\" class=\"n\">difference</th>"
                    "<th scope=\"col\" class=\"n\">p, Holm</th><th scope=\"col\">test</th></tr></thead><tbody>\n");
    for (size_t i = 0; i < shown; i++) {
        const as_slice_row *s = order[i];
        as_buf_str(out, "<tr><td>"), as_report_text(out, s->column, AS_REPORT_NAME), as_buf_str(out, "</td><td>");
        as_report_text(out, s->value && s->value[0] ? s->value : "(empty)", AS_REPORT_NAME), as_buf_str(out, "</td><td class=\"n\">");
        as_report_count(out, s->n), as_buf_str(out, "</td>");
        value_cell(out, s->score, s->low, s->high, s->why);
        as_buf_str(out, "<td class=\"n\">"), as_report_score(out, s->rest, false);
        as_buf_str(out, s->worse ? "</td><td class=\"n bad\">" : "</td><td class=\"n\">"), as_report_signed(out, s->diff, false);
        as_buf_str(out, s->worse ? " worse</td><td class=\"n\">" : "</td><td class=\"n\">"), as_report_p(out, s->p_adjusted, false);
        as_buf_str(out, "</td><td>"), as_report_text(out, s->test_method, 0), as_buf_str(out, "</td></tr>\n");
    }
    as_buf_str(out, "</tbody></table></div>\n");
    if (shown < count) as_buf_fmt(out, "<p class=\"warn\">%zu of %zu slices are listed, those with the smallest p first.</p>\n", shown, count);
}

static void slices_of_run(as_buf *out, const as_report *r, int i, bool alone) {
    const as_report_run *run = &r->runs[i];
    const as_slice_row **order = as_alloc(run->slice_count, sizeof *order);
    as_buf title = {0};
    as_report_run_name(&title, r, i);
    if (!order || title.failed) {
        out->failed = true;
    } else {
        size_t worse = 0;
        for (size_t k = 0; k < run->slice_count; k++)
            order[k] = &run->slices[k], worse += run->slices[k].worse;
        qsort(order, run->slice_count, sizeof *order, worst_slice);
        if (!alone) as_buf_str(out, "<h3>"), as_report_text(out, title.p, AS_REPORT_NAME), as_buf_str(out, "</h3>\n");
        if (worse > 0) {
            as_buf_fmt(out, "<p>%zu of %zu slices %s worse than the rest beyond chance: <b>", worse, run->slice_count, worse == 1 ? "is" : "are");
            for (size_t k = 0; k < worse && k < 5; k++) {
                as_buf name = {0};
                slice_label(&name, order[k]);
                if (k > 0) as_buf_str(out, "; ");
                as_report_text(out, name.p, 0);
                out->failed = out->failed || name.failed;
                as_buf_free(&name);
            }
            as_buf_str(out, worse > 5 ? "; \xE2\x80\xA6</b></p>\n" : "</b></p>\n");
        } else {
            as_buf_str(out, "<p>No slice is worse than the rest beyond chance.</p>\n");
        }
        as_buf_str(&title, run->slice_count > SLICE_PLOT ? ": slices, those that differ most first" : ": slices");
        slice_forest(out, run, order, run->slice_count, title.p, r->level);
        slice_table(out, order, run->slice_count);
    }
    as_buf_free(&title);
    as_free((void *)order);
}

void as_html_slices(as_buf *out, const as_report *r) {
    int with = 0;
    for (int i = 0; i < r->run_count; i++)
        with += r->runs[i].slice_count > 0;
    if (with == 0) return;
    as_html_head(out, "slices", "Slices");
    for (int i = 0, done = 0; i < r->run_count && done < AS_REPORT_FIGURES; i++) {
        if (r->runs[i].slice_count == 0) continue;
        slices_of_run(out, r, i, with == 1);
        done++;
    }
    if (with > AS_REPORT_FIGURES) as_buf_fmt(out, "<p class=\"warn\">Slices of the first %d of %d runs are shown.</p>\n", AS_REPORT_FIGURES, with);
    as_buf_str(out, "<p class=\"key\">p values compare each slice with all other items, corrected over all slices (Holm).</p></section>\n");
}

/* --- provenance --- */
static void key_value(as_buf *out, const char *key, const char *value) {
    if (!value || !value[0]) return;
    as_buf_str(out, "<tr><th scope=\"row\">"), as_report_text(out, key, 0), as_buf_str(out, "</th><td>");
    as_report_text(out, value, 2000), as_buf_str(out, "</td></tr>\n");
}

static void json_rows(as_buf *out, const as_json *v, as_buf *path, int depth) {
    if (as_json_typeof(v) == AS_JSON_OBJECT && depth < DEPTH && as_json_count(v) > 0) {
        const size_t mark = path->n;
        for (as_json_iter *it = as_json_first(v); it; it = as_json_next(v, it)) {
            const as_str key = as_json_iter_key(it);
            if (mark > 0) as_buf_char(path, '.');
            as_buf_add(path, key.p, key.n);
            if (path->failed) return;
            json_rows(out, as_json_iter_value(it), path, depth + 1);
            path->n = mark, path->p[mark] = '\0';
        }
        return;
    }
    as_buf text = {0};
    if (as_json_typeof(v) == AS_JSON_STRING) {
        const as_str s = as_json_str(v, AS_LIT(""));
        as_buf_add(&text, s.p, s.n);
    } else {
        as_json_dump(&text, v, 0);
    }
    key_value(out, path->p, text.p);
    out->failed = out->failed || text.failed;
    as_buf_free(&text);
}

static void config_rows(as_buf *out, const char *json) {
    as_json *doc = NULL;
    if (!json || !json[0]) return;
    if (as_json_parse(&doc, as_str_of(json), "config", 0, NULL) != AS_OK || as_json_typeof(doc) != AS_JSON_OBJECT) {
        key_value(out, "config", json);
    } else {
        as_buf path = {0};
        json_rows(out, doc, &path, 0);
        out->failed = out->failed || path.failed;
        as_buf_free(&path);
    }
    as_json_free(doc);
}

static void run_provenance(as_buf *out, const as_report *r, int i, bool open) {
    const as_stored *s = r->runs[i].stored;
    as_buf text = {0};
    as_report_run_name(&text, r, i);
    as_buf_str(out, open ? "<details class=\"more\" open><summary>" : "<details class=\"more\"><summary>");
    as_report_text(out, text.p, AS_REPORT_NAME);
    as_buf_str(out, "</summary>\n<table class=\"kv\"><tbody>\n");
    as_buf_fmt(out, "<tr><th scope=\"row\">run</th><td>%" PRId64 "</td></tr>\n", s->run);
    key_value(out, "command", s->command), key_value(out, "model", s->model), key_value(out, "task", s->task);
    key_value(out, "dtype", s->dtype), key_value(out, "instruction set", s->isa);
    as_buf_clear(&text), as_report_date(&text, s->started);
    key_value(out, "started", text.p);
    if (isfinite(s->ended) && s->ended >= s->started) as_buf_clear(&text), as_report_duration(&text, s->ended - s->started), key_value(out, "took", text.p);
    as_buf_clear(&text), as_report_count(&text, s->n);
    key_value(out, "items", text.p);
    config_rows(out, s->config_json);
    as_buf_str(out, "</tbody></table></details>\n");
    out->failed = out->failed || text.failed;
    as_buf_free(&text);
}

static void html_line(as_buf *out, const char *line) { as_report_text(out, line, 0), as_buf_char(out, '\n'); }

static void repeat_commands(as_buf *out, const as_report *r) {
    as_buf_str(out, "<p>These commands repeat it:</p>\n<pre><code>");
    as_report_typed(out, r, html_line);
    as_buf_str(out, "</code></pre>\n");
}

void as_html_provenance(as_buf *out, const as_report *r) {
    as_html_head(out, "provenance", "Provenance");
    repeat_commands(out, r);
    for (int i = 0; i < r->run_count; i++)
        if (r->runs[i].stored) run_provenance(out, r, i, i == 0);
    as_buf_str(out, "</section>\n");
}
