/* markdown.c: the report as GitHub-flavoured Markdown: verdict, tables, provenance. */
#include "report/report_impl.h"
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SLICES = 40 };

/* Data in a line or a cell: nothing of it is markup. */
static void md(as_buf *out, const char *s, size_t chars) {
    as_buf plain = {0};
    as_report_plain(&plain, s, chars);
    for (size_t i = 0; i < plain.n; i++) {
        const char c = plain.p[i];
        if (c == '<') as_buf_str(out, "&lt;");
        else if (c == '&') as_buf_str(out, "&amp;");
        else if (strchr("\\`*_[]|~#>!@", c)) as_buf_char(out, '\\'), as_buf_char(out, c);
        else as_buf_char(out, c);
    }
    out->failed = out->failed || plain.failed;
    as_buf_free(&plain);
}

static void md_interval(as_buf *out, double value, double low, double high) {
    if (!isfinite(value)) {
        as_buf_str(out, "undefined");
        return;
    }
    as_report_score(out, value, true);
    if (!isfinite(low) || !isfinite(high)) return;
    as_buf_str(out, " ["), as_report_score(out, low, true), as_buf_str(out, ", "), as_report_score(out, high, true), as_buf_char(out, ']');
}

static void md_verdict(as_buf *out, const as_report *r) {
    if (!r->contest || !r->contest->verdict) return;
    as_buf_str(out, "## Verdict\n\n");
    as_buf line = {0};
    for (const char *p = r->contest->verdict; *p;) {
        const size_t n = strcspn(p, "\n");
        as_buf_clear(&line), as_buf_add(&line, p, n);
        md(out, line.p, 0), as_buf_str(out, "\n\n");
        p += n + (p[n] == '\n');
    }
    out->failed = out->failed || line.failed;
    as_buf_free(&line);
}

static void md_standings(as_buf *out, const as_report *r) {
    const as_contest_result *c = r->contest;
    const char *metric = NULL;
    for (size_t i = 0; i < c->standing_count; i++) {
        const as_standing *s = &c->standings[i];
        if (!metric || strcmp(metric, s->metric) != 0) {
            as_buf_str(out, i > 0 ? "\n" : ""), as_buf_str(out, "| system | "), md(out, s->metric, AS_REPORT_NAME);
            as_buf_str(out, s->higher_is_better ? "" : " (lower is better)");
            as_buf_str(out, " | sd of seeds | group | rank |\n|---|--:|--:|---|--:|\n");
        }
        metric = s->metric;
        as_buf_str(out, "| "), md(out, as_report_system(r, s->system), AS_REPORT_NAME), as_buf_str(out, " | ");
        md_interval(out, s->value, s->low, s->high), as_buf_str(out, " | ");
        as_report_fixed(out, s->sd_seeds, 4, "n/a", true), as_buf_str(out, " | ");
        for (int k = 0; k < 26; k++)
            if (s->letters >> k & 1) as_buf_char(out, (char)('a' + k));
        as_buf_fmt(out, s->rank_low == s->rank_high ? " | %" PRId64 " |\n" : " | %" PRId64 "-%" PRId64 " |\n", s->rank_low, s->rank_high);
    }
    as_buf_char(out, '\n');
}

static void md_comparisons(as_buf *out, const as_report *r) {
    const as_contest_result *c = r->contest;
    if (c->comparison_count == 0) return;
    as_buf_str(out, "## Differences\n\n| first | second | metric | difference | p | p, Holm | test | detectable |\n|---|---|---|--:|--:|--:|---|--:|\n");
    for (size_t i = 0; i < c->comparison_count; i++) {
        const as_comparison *p = &c->comparisons[i];
        as_buf_str(out, "| "), md(out, as_report_system(r, p->a), AS_REPORT_NAME), as_buf_str(out, " | "), md(out, as_report_system(r, p->b), AS_REPORT_NAME);
        as_buf_str(out, " | "), md(out, p->metric, AS_REPORT_NAME), as_buf_str(out, " | "), md_interval(out, p->diff, p->low, p->high);
        as_buf_str(out, " | "), as_report_p(out, p->p, true), as_buf_str(out, " | "), as_report_p(out, p->p_adjusted, true);
        as_buf_str(out, " | "), md(out, p->why ? p->why : p->test_method, 0), as_buf_str(out, " | "), as_report_score(out, p->mde, true), as_buf_str(out, " |\n");
    }
    as_buf_char(out, '\n');
}

static void md_metrics(as_buf *out, const as_report *r) {
    as_buf_str(out, "| run | metric | value | interval by | items |\n|---|---|--:|---|--:|\n");
    for (int i = 0; i < r->run_count; i++) {
        const as_eval_result *e = r->runs[i].result;
        as_buf name = {0};
        as_report_run_name(&name, r, i);
        for (size_t k = 0; e && k < e->metric_count; k++) {
            const as_result_metric *m = &e->metrics[k];
            as_buf_str(out, "| "), md(out, name.p, AS_REPORT_NAME), as_buf_str(out, " | "), md(out, m->name, AS_REPORT_NAME), as_buf_str(out, " | ");
            md_interval(out, m->value, m->low, m->high), as_buf_str(out, " | "), md(out, m->why ? m->why : m->method, 0);
            as_buf_str(out, " | "), as_report_count(out, m->n), as_buf_str(out, " |\n");
        }
        out->failed = out->failed || name.failed;
        as_buf_free(&name);
    }
    as_buf_char(out, '\n');
}

static void md_slices(as_buf *out, const as_report *r, int i) {
    const as_report_run *run = &r->runs[i];
    if (run->slice_count == 0) return;
    as_buf name = {0};
    as_report_run_name(&name, r, i);
    as_buf_str(out, "## Slices: "), md(out, name.p, AS_REPORT_NAME);
    as_buf_str(out, "\n\n| column | value | items | score | all others | p, Holm | |\n|---|---|--:|--:|--:|--:|---|\n");
    for (size_t k = 0; k < run->slice_count && k < SLICES; k++) {
        const as_slice_row *s = &run->slices[k];
        as_buf_str(out, "| "), md(out, s->column, AS_REPORT_NAME), as_buf_str(out, " | "), md(out, s->value, AS_REPORT_NAME), as_buf_str(out, " | ");
        as_report_count(out, s->n), as_buf_str(out, " | "), md_interval(out, s->score, s->low, s->high), as_buf_str(out, " | ");
        as_report_score(out, s->rest, true), as_buf_str(out, " | "), as_report_p(out, s->p_adjusted, true), as_buf_str(out, s->worse ? " | worse |\n" : " | |\n");
    }
    if (run->slice_count > SLICES) as_buf_fmt(out, "\nThe first %d of %zu slices.\n", SLICES, run->slice_count);
    as_buf_char(out, '\n');
    out->failed = out->failed || name.failed;
    as_buf_free(&name);
}

static void md_line(as_buf *out, const char *line) { as_buf_str(out, "    "), as_report_plain(out, line, 0), as_buf_char(out, '\n'); }

static void md_provenance(as_buf *out, const as_report *r) {
    as_buf_str(out, "## Provenance\n\n");
    as_report_typed(out, r, md_line);
    as_buf_char(out, '\n');
    as_buf_str(out, "| run | command | model | task | dtype | instruction set | items |\n|--:|---|---|---|---|---|--:|\n");
    for (int i = 0; i < r->run_count; i++) {
        const as_stored *s = r->runs[i].stored;
        if (!s) continue;
        as_buf_fmt(out, "| %" PRId64 " | ", s->run), md(out, s->command, AS_REPORT_NAME), as_buf_str(out, " | "), md(out, s->model, AS_REPORT_NAME);
        as_buf_str(out, " | "), md(out, s->task, AS_REPORT_NAME), as_buf_str(out, " | "), md(out, s->dtype, 0), as_buf_str(out, " | "), md(out, s->isa, 0);
        as_buf_str(out, " | "), as_report_count(out, s->n), as_buf_str(out, " |\n");
    }
    as_buf_str(out, "\nassay"), md(out, r->version ? " " : "", 0), md(out, r->version, 40), as_buf_str(out, "\n");
}

as_status as_report_markdown(as_buf *out, const as_report *r, as_err *err) {
    as_buf_str(out, "# "), md(out, r->title && r->title[0] ? r->title : "report", AS_REPORT_NAME), as_buf_str(out, "\n\n");
    md_verdict(out, r);
    as_buf_str(out, "## Scores\n\n");
    if (r->level > 0 && r->level < 1) as_buf_str(out, "Intervals at "), as_report_fixed(out, r->level * 100, 1, "", true), as_buf_str(out, " %.\n\n");
    if (r->contest && r->contest->standing_count > 0) md_standings(out, r);
    if (r->run_count > 0) md_metrics(out, r);
    if (r->contest) md_comparisons(out, r);
    for (int i = 0; i < r->run_count && i < AS_REPORT_FIGURES; i++)
        md_slices(out, r, i);
    md_provenance(out, r);
    return out->failed ? as_fail_nomem(err, "the report", out->n) : AS_OK;
}
