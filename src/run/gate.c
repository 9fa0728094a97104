#include "run/gate.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/utf8.h"
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct term { bool number; double value; char metric[128], system[256]; } term;
typedef struct gate { term left, right; double shift, level; bool less, equal, unless; } gate;

static as_status bad(const char *expression, const char *what, as_err *err) {
    (void)as_fail(err, AS_USAGE, "--fail-if \"%.120s\": %s", expression, what);
    as_hint(err, "Write for example: accuracy(new) < accuracy(old) - 0.01 at 95%%");
    return AS_USAGE;
}

static void trim(const char **p, const char *end[1]) {
    while (*p < *end && isspace((unsigned char)**p)) (*p)++;
    while (*end > *p && isspace((unsigned char)(*end)[-1])) (*end)--;
}

/* A number with nothing behind it but blanks. */
static bool plain_number(const char *p, const char *end, double *out) {
    trim(&p, &end);
    return end > p && as_parse_f64((as_str){p, (size_t)(end - p)}, out) && isfinite(*out);
}

/* "f1(macro)(new)" is the metric f1(macro) of new: the last parenthesis belongs to the system. */
static bool parse_term(term *t, const char *p, const char *end) {
    trim(&p, &end);
    if ((t->number = plain_number(p, end, &t->value))) return true;
    if (end <= p || end[-1] != ')') return false;
    const char *open = end - 1;
    for (int depth = 0; open > p; open--) {
        if (*open == ')') depth++;
        if (*open == '(' && --depth == 0) break;
    }
    const char *name = open + 1, *name_end = end - 1;
    trim(&name, &name_end);
    const size_t metric = (size_t)(open - p), system = (size_t)(name_end - name);
    if (open <= p || system == 0 || metric >= sizeof t->metric || system >= sizeof t->system) return false;
    memcpy(t->metric, p, metric), t->metric[metric] = '\0';
    memcpy(t->system, name, system), t->system[system] = '\0';
    return true;
}

/* " at 95%" at the end is taken off; in front of a parenthesis it is part of a name. */
static const char *parse_level(gate *g, const char *text, const char *end, bool *ok) {
    *ok = true;
    for (const char *p = end; p-- > text;) {
        if (*p == ')') break;
        if (strncmp(p, " at ", 4) != 0) continue;
        const char *stop = end;
        while (stop > p && (isspace((unsigned char)stop[-1]) || stop[-1] == '%')) stop--;
        *ok = plain_number(p + 4, stop, &g->level) && g->level > 1 && g->level < 100;
        g->level /= 100;
        return p;
    }
    return end;
}

/* "accuracy(old) - 0.01": what is added to the right side; inside parentheses it is part of a name. */
static const char *parse_shift(gate *g, const char *p, const char *end, bool *ok) {
    *ok = true;
    double whole;
    if (plain_number(p, end, &whole)) return end;
    int depth = 0;
    for (const char *at = end; at-- > p;) {
        if (*at == ')') depth++;
        if (*at == '(') depth--;
        if (depth != 0 || (*at != '+' && *at != '-')) continue;
        if (at - p > 1 && (at[-1] == 'e' || at[-1] == 'E') && (isdigit((unsigned char)at[-2]) || at[-2] == '.')) continue; /* 1e-3 */
        *ok = plain_number(at + 1, end, &g->shift);
        if (*at == '-') g->shift = -g->shift;
        return at;
    }
    return end;
}

static as_status parse(gate *g, const char *text, as_err *err) {
    *g = (gate){.level = 0};
    bool ok;
    const char *whole = text;
    while (isspace((unsigned char)*text)) text++;
    if (strncmp(text, "unless ", 7) == 0) g->unless = true, text += 7;
    const char *end = parse_level(g, text, text + strlen(text), &ok), *op = NULL;
    if (!ok) return bad(whole, "the level behind \"at\" is not between 1 and 100 %", err);
    int depth = 0;
    for (const char *p = text; p < end && !op; p++) {
        depth += *p == '(' ? 1 : *p == ')' ? -1 : 0;
        if (depth == 0 && (*p == '<' || *p == '>')) op = p;
    }
    if (!op) return bad(whole, "it has no <, <=, > or >=", err);
    g->less = *op == '<', g->equal = op + 1 < end && op[1] == '=';
    const char *right = op + 1 + g->equal, *stop = parse_shift(g, right, end, &ok);
    if (!ok) return bad(whole, "what is added or subtracted is not a number", err);
    if (!parse_term(&g->left, text, op) || g->left.number) return bad(whole, "the left side is not METRIC(SYSTEM)", err);
    if (!parse_term(&g->right, right, stop)) return bad(whole, "the right side is not METRIC(SYSTEM) or a number", err);
    return AS_OK;
}

static as_status add_metric(as_buf *list, const char *name, as_err *err) {
    const size_t n = strlen(name);
    for (const char *p = list->p; p && (p = strstr(p, name)); p++)
        if ((p == list->p || p[-1] == ',') && (p[n] == ',' || p[n] == '\0')) return AS_OK;
    as_buf_fmt(list, "%s%s", list->n ? "," : "", name);
    return list->failed ? as_fail_nomem(err, "metrics", 0) : AS_OK;
}
as_status as_gate_metrics(as_buf *list, const char *expression, as_err *err) {
    gate g;
    AS_TRY(parse(&g, expression, err));
    AS_TRY(add_metric(list, g.left.metric, err));
    return g.right.number ? AS_OK : add_metric(list, g.right.metric, err);
}

/* --- evaluation --- */
static as_status find_system(int *out, const char *name, const as_contest *c, const char *expression, as_err *err) {
    int64_t number;
    *out = -1;
    for (int i = 0; i < c->count; i++)
        if (strcmp(c->systems[i].name, name) == 0) *out = *out < 0 ? i : -2;
    if (*out == -1 && as_parse_i64(as_str_of(name), &number) && number >= 1 && number <= c->count) *out = (int)number - 1;
    if (*out == -1 && strcmp(name, "old") == 0) *out = 0;
    if (*out == -1 && strcmp(name, "new") == 0) *out = c->count - 1;
    if (*out >= 0) return AS_OK;
    (void)as_fail(err, AS_USAGE, "--fail-if \"%.120s\": %s system is called \"%.80s\"", expression, *out == -2 ? "more than one" : "no", name);
    as_hint(err, "Use old for the first, new for the last, or their numbers from 1.");
    return AS_USAGE;
}

/* The signature of a metric that was computed: the name itself, or the one that it stands for. */
static as_status find_metric(const char **out, const char *name, const as_contest *c, const as_contest_result *r, const char *expression, as_err *err) {
    as_metric *m;
    AS_TRY(as_metric_open(&m, name, &c->systems[0].seed[0], err));
    *out = NULL;
    for (size_t i = 0; i < r->metric_count; i++)
        if (strcmp(r->metrics[i], as_metric_signature(m)) == 0) *out = r->metrics[i];
    as_metric_free(m);
    return *out ? AS_OK : bad(expression, "its metric is not computed; add it with --metric", err);
}

static const as_standing *standing_of(const as_contest_result *r, const char *metric, int system) {
    for (size_t i = 0; i < r->standing_count; i++)
        if (r->standings[i].metric == metric && r->standings[i].system == system) return &r->standings[i];
    return NULL;
}

/* left - right as a value with its interval; the interval is NaN for different metrics, which have no joint one. */
static void difference(double *value, double *low, double *high, const as_contest_result *r, const char *ml, int left, const char *mr, int right) {
    const as_standing *a = standing_of(r, ml, left), *b = standing_of(r, mr, right);
    *value = a && b ? a->value - b->value : NAN, *low = *high = NAN;
    for (size_t i = 0; ml == mr && i < r->comparison_count; i++) {
        const as_comparison *v = &r->comparisons[i];
        if (v->metric != ml) continue;
        if (v->a == left && v->b == right) *low = v->low, *high = v->high;
        if (v->b == left && v->a == right) *low = -v->high, *high = -v->low;
    }
}

/* Sums of shares carry rounding: 0.87 is not below 0.88 - 0.01. What differs by less than 1e-12 of its size is equal. */
static bool holds(const gate *g, double edge, double limit, double size) {
    const double over = edge - limit;
    if (fabs(over) <= 1e-12 * (size + fabs(limit))) return g->equal;
    return g->less ? over < 0 : over > 0;
}

as_status as_gate_check(as_gate *out, const char *expression, const as_contest *c, const as_contest_result *r, as_err *err) {
    gate g;
    int left, right = -1;
    const char *ml, *mr = NULL;
    double value, low, high, limit, size;
    AS_TRY(parse(&g, expression, err));
    if (g.level > 0 && fabs(g.level - c->level) > 1e-12) {
        (void)as_fail(err, AS_USAGE, "--fail-if \"%.120s\": the intervals are of %g %%", expression, 100 * c->level);
        as_hint(err, "Give --level %g, or another level behind \"at\".", 100 * g.level);
        return AS_USAGE;
    }
    AS_TRY(find_system(&left, g.left.system, c, expression, err));
    AS_TRY(find_metric(&ml, g.left.metric, c, r, expression, err));
    if (g.right.number) {
        const as_standing *s = standing_of(r, ml, left);
        value = s->value, low = s->low, high = s->high, limit = g.right.value + g.shift, size = fabs(value);
    } else {
        AS_TRY(find_system(&right, g.right.system, c, expression, err));
        AS_TRY(find_metric(&mr, g.right.metric, c, r, expression, err));
        if (g.level > 0 && ml != mr) return bad(expression, "two different metrics have no common interval; leave \"at\" out", err);
        difference(&value, &low, &high, r, ml, left, mr, right);
        limit = g.shift, size = fabs(standing_of(r, ml, left)->value) + fabs(standing_of(r, mr, right)->value);
    }
    /* Sure is what holds on the whole interval: at the end that is last to agree. */
    const double edge = g.level > 0 ? (g.less ? high : low) : value;
    out->fails = isnan(value) || isnan(edge) || holds(&g, edge, limit, size) != g.unless;
    const char *what = mr ? "the difference" : g.left.metric;
    if (isnan(value)) snprintf(out->text, sizeof out->text, "undefined on this data");
    else if (g.level > 0) snprintf(out->text, sizeof out->text, "%s is %.4f [%.4f, %.4f], the limit %.4f", what, value, low, high, limit);
    else snprintf(out->text, sizeof out->text, "%s is %.4f, the limit %.4f", what, value, limit);
    return AS_OK;
}

/* --- JUnit --- */
/* What XML has no character for (control characters, bytes that are no UTF-8, U+FFFE and U+FFFF) is replaced. */
static void xml(as_buf *b, const char *text) {
    as_buf valid = {0};
    (void)as_utf8_lossy(&valid, as_str_of(text));
    for (const char *s = valid.p; s && *s; s++) {
        if (strncmp(s, "\xEF\xBF\xBE", 3) == 0 || strncmp(s, "\xEF\xBF\xBF", 3) == 0) as_buf_str(b, "\xEF\xBF\xBD"), s += 2;
        else if (*s == '<') as_buf_str(b, "&lt;");
        else if (*s == '>') as_buf_str(b, "&gt;");
        else if (*s == '&') as_buf_str(b, "&amp;");
        else if (*s == '"') as_buf_str(b, "&quot;");
        else as_buf_char(b, (unsigned char)*s < ' ' ? ' ' : *s);
    }
    b->failed |= valid.failed;
    as_buf_free(&valid);
}

as_status as_gate_junit(const char *path, const char *expression, const as_gate *g, as_err *err) {
    as_buf b = {0};
    as_buf_fmt(&b, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuite name=\"assay\" tests=\"1\" failures=\"%d\">\n  <testcase classname=\"assay\" name=\"", g->fails);
    xml(&b, expression);
    as_buf_str(&b, g->fails ? "\">\n    <failure message=\"" : "\">\n    <system-out>");
    xml(&b, g->text);
    as_buf_str(&b, g->fails ? "\"/>\n" : "</system-out>\n");
    as_buf_str(&b, "  </testcase>\n</testsuite>\n");
    const as_status s = b.failed ? as_fail_nomem(err, "a report", 0) : as_file_write(path, b.p, b.n, err);
    as_buf_free(&b);
    return s;
}
