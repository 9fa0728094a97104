/* tables.c: the numbers for other programs: JSON Lines, CSV, and LaTeX with booktabs. */
#include "report/report_impl.h"
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* --- JSON Lines --- */
static void j_str(as_buf *out, const char *key, const char *value) {
    if (!value) return;
    as_buf_fmt(out, ",\"%s\":", key), as_buf_json_str(out, as_str_of(value));
}
static void j_real(as_buf *out, const char *key, double value) { as_buf_fmt(out, ",\"%s\":", key), as_buf_real(out, value); }
static void j_int(as_buf *out, const char *key, int64_t value) { as_buf_fmt(out, ",\"%s\":%" PRId64, key, value); }

static void j_metrics(as_buf *out, const as_report_run *run) {
    const as_eval_result *e = run->result;
    const int64_t number = run->stored ? run->stored->run : e ? e->run : 0;
    for (size_t i = 0; e && i < e->metric_count; i++) {
        const as_result_metric *m = &e->metrics[i];
        as_buf_str(out, "{\"kind\":\"metric\",\"run\":");
        if (number > 0) as_buf_fmt(out, "%" PRId64, number); else as_buf_str(out, "null");
        j_str(out, "model", e->model), j_str(out, "task", e->task), j_str(out, "metric", m->name);
        j_real(out, "value", m->value), j_real(out, "low", m->low), j_real(out, "high", m->high), j_int(out, "n", m->n);
        j_str(out, "signature", m->name), j_real(out, "level", m->level), j_str(out, "method", m->method), j_str(out, "why", m->why);
        j_str(out, "dtype", e->dtype), j_str(out, "isa", e->isa);
        if (e->truncated > 0) j_int(out, "truncated", e->truncated);
        if (e->head_fresh) j_str(out, "warning", "the classification head is not trained: these scores say nothing about the model");
        as_buf_str(out, "}\n");
    }
}

static void j_standing(as_buf *out, const as_report *r, const as_standing *s) {
    char letters[27] = "";
    size_t n = 0;
    for (int k = 0; k < 26; k++)
        if (s->letters >> k & 1) letters[n++] = (char)('a' + k);
    as_buf_str(out, "{\"kind\":\"standing\""), j_str(out, "system", as_report_system(r, s->system)), j_str(out, "metric", s->metric);
    j_real(out, "value", s->value), j_real(out, "low", s->low), j_real(out, "high", s->high), j_str(out, "method", s->method), j_str(out, "why", s->why);
    j_real(out, "sd_seeds", s->sd_seeds), j_str(out, "group", letters), j_int(out, "rank_low", s->rank_low), j_int(out, "rank_high", s->rank_high);
    if (r->systems && s->system >= 0 && s->system < r->system_count) {
        const as_system *y = &r->systems[s->system];
        j_int(out, "seeds", y->seeds);
        if (y->parameters > 0) j_int(out, "parameters", y->parameters);
        if (y->train_seconds > 0) j_real(out, "train_seconds", y->train_seconds);
        if (y->items_per_second > 0) j_real(out, "items_per_second", y->items_per_second);
        if (y->peak_bytes > 0) as_buf_fmt(out, ",\"peak_bytes\":%" PRIu64, y->peak_bytes);
    }
    as_buf_str(out, "}\n");
}

static void j_comparison(as_buf *out, const as_system *systems, const as_comparison *c) {
    as_buf_str(out, "{\"kind\":\"compare\""), j_str(out, "a", systems[c->a].name), j_str(out, "b", systems[c->b].name), j_str(out, "metric", c->metric);
    j_real(out, "value_a", c->value_a), j_real(out, "value_b", c->value_b), j_real(out, "diff", c->diff), j_real(out, "low", c->low), j_real(out, "high", c->high);
    j_real(out, "level", c->level), j_str(out, "method", c->interval_method), j_real(out, "p", c->p), j_real(out, "p_adjusted", c->p_adjusted);
    j_str(out, "test", c->test_method), j_str(out, "why", c->why), j_real(out, "mde", c->mde), j_real(out, "items_needed", c->items_needed);
    if (isfinite(c->p_equivalent)) j_real(out, "p_equivalent", c->p_equivalent);
    if (isfinite(c->p_noninferior)) j_real(out, "p_noninferior", c->p_noninferior);
    if (c->both >= 0) j_int(out, "both", c->both), j_int(out, "only_a", c->only_a), j_int(out, "only_b", c->only_b), j_int(out, "neither", c->neither);
    j_real(out, "effect", c->effect), j_real(out, "design_effect", c->design_effect), j_int(out, "n", c->n), as_buf_str(out, "}\n");
}

static void j_verdict(as_buf *out, const as_contest_result *c, const as_system *systems) {
    as_buf_str(out, "{\"kind\":\"verdict\",\"best\":");
    if (c->best >= 0) as_buf_json_str(out, as_str_of(systems[c->best].name)); else as_buf_str(out, "null");
    as_buf_str(out, ",\"tied\":[");
    for (int i = 0; i < c->tied_count; i++)
        as_buf_str(out, i > 0 ? "," : ""), as_buf_json_str(out, as_str_of(systems[c->tied[i]].name));
    as_buf_str(out, "],\"text\":"), as_buf_json_str(out, as_str_of(c->verdict)), as_buf_str(out, "}\n");
}

void as_report_contest_json(as_buf *out, const as_contest_result *c, const as_system *systems) {
    for (size_t i = 0; i < c->comparison_count; i++) j_comparison(out, systems, &c->comparisons[i]);
    j_verdict(out, c, systems);
}

as_status as_report_json(as_buf *out, const as_report *r, as_err *err) {
    for (int i = 0; i < r->run_count; i++)
        j_metrics(out, &r->runs[i]);
    for (size_t i = 0; r->contest && i < r->contest->standing_count; i++)
        j_standing(out, r, &r->contest->standings[i]);
    if (r->contest) as_report_contest_json(out, r->contest, r->systems);
    return out->failed ? as_fail_nomem(err, "the report", out->n) : AS_OK;
}

/* --- CSV: one table, RFC 4180; a cell that does not apply is empty --- */
static void c_str(as_buf *out, const char *s) {
    as_buf plain = {0};
    as_buf_char(out, ',');
    as_report_plain(&plain, s, 0);
    if (plain.n > 0 && strpbrk(plain.p, ",\"\r\n")) {
        as_buf_char(out, '"');
        for (size_t i = 0; i < plain.n; i++) {
            if (plain.p[i] == '"') as_buf_char(out, '"');
            as_buf_char(out, plain.p[i]);
        }
        as_buf_char(out, '"');
    } else {
        as_buf_add(out, plain.p ? plain.p : "", plain.n);
    }
    out->failed = out->failed || plain.failed;
    as_buf_free(&plain);
}
static void c_real(as_buf *out, double x) {
    as_buf_char(out, ',');
    if (isfinite(x)) as_buf_real(out, x);
}

static void c_metrics(as_buf *out, const as_report_run *run) {
    const as_eval_result *e = run->result;
    const int64_t number = run->stored ? run->stored->run : e ? e->run : 0;
    for (size_t i = 0; e && i < e->metric_count; i++) {
        const as_result_metric *m = &e->metrics[i];
        as_buf_str(out, "metric,");
        if (number > 0) as_buf_fmt(out, "%" PRId64, number);
        c_str(out, e->model), c_str(out, NULL), c_str(out, m->name), c_real(out, m->value), c_real(out, m->low), c_real(out, m->high), c_real(out, m->level);
        as_buf_fmt(out, ",%" PRId64, m->n), c_str(out, m->method), as_buf_str(out, ",,,,,"), c_str(out, m->why), as_buf_char(out, '\n');
    }
}

as_status as_report_csv(as_buf *out, const as_report *r, as_err *err) {
    as_buf_str(out, "kind,run,a,b,metric,value,low,high,level,n,method,p,p_adjusted,test,mde,items_needed,why\n");
    for (int i = 0; i < r->run_count; i++)
        c_metrics(out, &r->runs[i]);
    for (size_t i = 0; r->contest && i < r->contest->standing_count; i++) {
        const as_standing *s = &r->contest->standings[i];
        as_buf_str(out, "standing,"), c_str(out, as_report_system(r, s->system)), c_str(out, NULL), c_str(out, s->metric);
        c_real(out, s->value), c_real(out, s->low), c_real(out, s->high), c_real(out, r->level), as_buf_char(out, ','), c_str(out, s->method);
        as_buf_str(out, ",,,,,"), c_str(out, s->why), as_buf_char(out, '\n');
    }
    for (size_t i = 0; r->contest && i < r->contest->comparison_count; i++) {
        const as_comparison *c = &r->contest->comparisons[i];
        as_buf_str(out, "compare,"), c_str(out, as_report_system(r, c->a)), c_str(out, as_report_system(r, c->b)), c_str(out, c->metric);
        c_real(out, c->diff), c_real(out, c->low), c_real(out, c->high), c_real(out, c->level), as_buf_fmt(out, ",%" PRId64, c->n), c_str(out, c->interval_method);
        c_real(out, c->p), c_real(out, c->p_adjusted), c_str(out, c->test_method), c_real(out, c->mde), c_real(out, c->items_needed), c_str(out, c->why), as_buf_char(out, '\n');
    }
    return out->failed ? as_fail_nomem(err, "the report", out->n) : AS_OK;
}

/* --- LaTeX --- */
static void tex(as_buf *out, const char *s) {
    as_buf plain = {0};
    as_report_plain(&plain, s, AS_REPORT_NAME);
    for (size_t i = 0; i < plain.n; i++) {
        const char c = plain.p[i];
        if (c == '\\') as_buf_str(out, "\\textbackslash{}");
        else if (c == '~') as_buf_str(out, "\\textasciitilde{}");
        else if (c == '^') as_buf_str(out, "\\textasciicircum{}");
        else if (c == '<') as_buf_str(out, "\\textless{}");
        else if (c == '>') as_buf_str(out, "\\textgreater{}");
        else if (c == '"') as_buf_str(out, "\\textquotedbl{}");
        else if (strchr("&%$#_{}", c)) as_buf_char(out, '\\'), as_buf_char(out, c);
        else as_buf_char(out, c);
    }
    out->failed = out->failed || plain.failed;
    as_buf_free(&plain);
}

static void tex_number(as_buf *out, double x) {
    if (!isfinite(x)) {
        as_buf_str(out, "--");
        return;
    }
    as_buf_char(out, '$'), as_report_score(out, x, true), as_buf_char(out, '$');
}
static void tex_interval(as_buf *out, double low, double high) {
    if (!isfinite(low) || !isfinite(high)) {
        as_buf_str(out, "--");
        return;
    }
    as_buf_str(out, "{[}"), tex_number(out, low), as_buf_str(out, ", "), tex_number(out, high), as_buf_str(out, "{]}");
}
static void tex_p(as_buf *out, double p) {
    if (!isfinite(p)) {
        as_buf_str(out, "--");
        return;
    }
    as_buf_char(out, '$'), as_report_p(out, p, true), as_buf_char(out, '$');
}

static void tex_begin(as_buf *out, const char *columns, const char *head, const as_report *r, const char *what) {
    as_buf_fmt(out, "\\begin{table}\n\\centering\n\\caption{%s", what);
    if (r->title && r->title[0]) as_buf_str(out, " on "), tex(out, r->title);
    if (r->level > 0 && r->level < 1) as_buf_str(out, ", "), as_report_fixed(out, r->level * 100, 1, "", true), as_buf_str(out, "\\,\\% intervals");
    as_buf_fmt(out, ".}\n\\begin{tabular}{%s}\n\\toprule\n%s \\\\\n\\midrule\n", columns, head);
}
static void tex_end(as_buf *out) { as_buf_str(out, "\\bottomrule\n\\end{tabular}\n\\end{table}\n"); }

static void tex_standings(as_buf *out, const as_report *r) {
    const as_contest_result *c = r->contest;
    tex_begin(out, "llrlcr", "System & Metric & Value & Interval & Group & Rank", r, "Scores");
    for (size_t i = 0; i < c->standing_count; i++) {
        const as_standing *s = &c->standings[i];
        if (i > 0 && strcmp(s->metric, c->standings[i - 1].metric) != 0) as_buf_str(out, "\\midrule\n");
        tex(out, as_report_system(r, s->system)), as_buf_str(out, " & "), tex(out, s->metric), as_buf_str(out, " & "), tex_number(out, s->value);
        as_buf_str(out, " & "), tex_interval(out, s->low, s->high), as_buf_str(out, " & ");
        for (int k = 0; k < 26; k++)
            if (s->letters >> k & 1) as_buf_char(out, (char)('a' + k));
        as_buf_fmt(out, s->rank_low == s->rank_high ? " & %" PRId64 " \\\\\n" : " & %" PRId64 "--%" PRId64 " \\\\\n", s->rank_low, s->rank_high);
    }
    tex_end(out);
}

static void tex_metrics(as_buf *out, const as_report *r) {
    tex_begin(out, "llrlr", "Run & Metric & Value & Interval & $n$", r, "Scores");
    for (int i = 0; i < r->run_count; i++) {
        const as_eval_result *e = r->runs[i].result;
        as_buf name = {0};
        as_report_run_name(&name, r, i);
        for (size_t k = 0; e && k < e->metric_count; k++) {
            const as_result_metric *m = &e->metrics[k];
            tex(out, name.p), as_buf_str(out, " & "), tex(out, m->name), as_buf_str(out, " & "), tex_number(out, m->value);
            as_buf_str(out, " & "), tex_interval(out, m->low, m->high), as_buf_fmt(out, " & %" PRId64 " \\\\\n", m->n);
        }
        out->failed = out->failed || name.failed;
        as_buf_free(&name);
    }
    tex_end(out);
}

as_status as_report_latex(as_buf *out, const as_report *r, as_err *err) {
    as_buf_str(out, "% needs \\usepackage{booktabs} and \\usepackage[T1]{fontenc}\n");
    if (r->contest && r->contest->standing_count > 0) tex_standings(out, r); else tex_metrics(out, r);
    if (r->contest && r->contest->comparison_count > 0) {
        as_buf_char(out, '\n');
        tex_begin(out, "lllrlrr", "First & Second & Metric & Difference & Interval & $p$ & $p$ (Holm)", r, "Paired differences");
        for (size_t i = 0; i < r->contest->comparison_count; i++) {
            const as_comparison *c = &r->contest->comparisons[i];
            tex(out, as_report_system(r, c->a)), as_buf_str(out, " & "), tex(out, as_report_system(r, c->b)), as_buf_str(out, " & "), tex(out, c->metric);
            as_buf_str(out, " & "), tex_number(out, c->diff), as_buf_str(out, " & "), tex_interval(out, c->low, c->high), as_buf_str(out, " & ");
            tex_p(out, c->p), as_buf_str(out, " & "), tex_p(out, c->p_adjusted), as_buf_str(out, " \\\\\n");
        }
        tex_end(out);
    }
    return out->failed ? as_fail_nomem(err, "the report", out->n) : AS_OK;
}
