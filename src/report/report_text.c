/* report_text.c: data as text of a page, and numbers as people read them; nothing depends on the locale or the clock. */
#include "base/file.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "io/json.h"
#include "report/report_impl.h"
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define REPLACEMENT "\xEF\xBF\xBD"
#define MINUS "\xE2\x88\x92"
#define NBSP "\xC2\xA0"

/* One code point at p (n >= 1 bytes); its length, or 0 when the bytes there are not UTF-8 (skip one). */
static size_t next_point(const char *p, size_t n, uint32_t *cp) {
    const size_t most = n < 4 ? n : 4;
    if (as_utf8_valid_prefix(p, most) == 0) return 0;
    return as_utf8_next(p, cp);
}

static bool is_control(uint32_t cp) {
    return (cp < 0x20 && cp != '\n' && cp != '\t') || (cp >= 0x7F && cp < 0xA0) || cp == 0xFFFE || cp == 0xFFFF;
}

/* Overrides of the writing direction reorder what follows them on the page: shown as replaced, too. */
static bool is_override(uint32_t cp) { return (cp >= 0x202A && cp <= 0x202E) || (cp >= 0x2066 && cp <= 0x2069); }

static const char *html_entity(uint32_t cp) {
    switch (cp) {
    case '&': return "&amp;";
    case '<': return "&lt;";
    case '>': return "&gt;";
    case '"': return "&quot;";
    case '\'': return "&#39;";
    default: return NULL;
    }
}

static void clean(as_buf *out, const char *s, size_t chars, bool html) {
    if (!s) return;
    const size_t n = strlen(s);
    size_t seen = 0;
    for (size_t i = 0; i < n; seen++) {
        if (chars > 0 && seen == chars) {
            as_buf_str(out, "\xE2\x80\xA6");
            return;
        }
        uint32_t cp = 0;
        const size_t length = next_point(s + i, n - i, &cp);
        if (length == 0 || is_control(cp) || is_override(cp))
            as_buf_str(out, REPLACEMENT);
        else if (html && html_entity(cp))
            as_buf_str(out, html_entity(cp));
        else if (!html && (cp == '\n' || cp == '\t'))
            as_buf_char(out, ' ');
        else
            as_buf_add(out, s + i, length);
        i += length ? length : 1;
    }
}

void as_report_text(as_buf *out, const char *s, size_t chars) { clean(out, s, chars, true); }
void as_report_plain(as_buf *out, const char *s, size_t chars) { clean(out, s, chars, false); }

bool as_report_defined(double value) { return isfinite(value); }

void as_report_fixed(as_buf *out, double x, int decimals, const char *none, bool ascii) {
    if (!isfinite(x)) {
        as_buf_str(out, none);
        return;
    }
    char text[400];
    const int n = snprintf(text, sizeof text, "%.*f", decimals, fabs(x));
    bool zero = true, point = false;
    for (int i = 0; i < n; i++)
        zero = zero && !(text[i] >= '1' && text[i] <= '9');
    if (x < 0 && !zero) as_buf_str(out, ascii ? "-" : MINUS);
    for (int i = 0; i < n; i++) { /* the locale's point may have several bytes */
        if (text[i] >= '0' && text[i] <= '9')
            as_buf_char(out, text[i]);
        else if (!point)
            as_buf_char(out, '.'), point = true;
    }
}

void as_report_score(as_buf *out, double x, bool ascii) {
    const double size = fabs(x);
    as_report_fixed(out, x, size >= 1000 ? 1 : size >= 100 ? 2 : size >= 10 ? 3 : 4, "n/a", ascii);
}

void as_report_signed(as_buf *out, double x, bool ascii) {
    if (isfinite(x) && x >= 0) as_buf_char(out, '+');
    as_report_score(out, x, ascii);
}

void as_report_p(as_buf *out, double p, bool ascii) {
    if (isfinite(p) && p < 0.0001)
        as_buf_str(out, ascii ? "< 0.0001" : "&lt;" NBSP "0.0001");
    else
        as_report_fixed(out, p, 4, "n/a", ascii);
}

void as_report_count(as_buf *out, int64_t count) {
    char text[32];
    const int n = snprintf(text, sizeof text, "%" PRId64, count);
    for (int i = 0; i < n; i++) {
        if (i > 0 && text[i - 1] != '-' && (n - i) % 3 == 0) as_buf_char(out, ',');
        as_buf_char(out, text[i]);
    }
}

void as_report_short(as_buf *out, double x) {
    static const struct { double size; const char *unit; } units[] = {{1e12, "T"}, {1e9, "G"}, {1e6, "M"}, {1e3, "k"}, {1, ""}};
    const double size = fabs(x);
    const char *unit = "";
    char power[16] = "";
    if (size > 0 && size < 0.00095 && isfinite(x)) {
        const int e = (int)floor(log10(size * 1.0005));
        x /= pow(10, e), unit = power;
        snprintf(power, sizeof power, "e-%d", -e);
    }
    for (size_t i = 0; i < AS_COUNT(units) && size >= 0.9995; i++) {
        if (size < units[i].size * 0.9995) continue;
        x /= units[i].size, unit = units[i].unit;
        break;
    }
    int decimals = 2;
    for (double v = fabs(x); v > 0 && v < 0.9995 && decimals < 12; v *= 10)
        decimals++;
    if (fabs(x) >= 9.995) decimals = fabs(x) >= 99.95 ? 0 : 1;
    const size_t begin = out->n;
    as_report_fixed(out, x, decimals, "n/a", false);
    if (out->failed || !isfinite(x)) return;
    if (memchr(out->p + begin, '.', out->n - begin)) { /* 1.50 is 1.5 */
        while (out->p[out->n - 1] == '0')
            out->n--;
        if (out->p[out->n - 1] == '.') out->n--;
        out->p[out->n] = '\0';
    }
    as_buf_str(out, unit);
}

void as_report_duration(as_buf *out, double seconds) {
    if (!isfinite(seconds) || seconds < 0) {
        as_buf_str(out, "n/a");
    } else if (seconds < 99.5) {
        as_report_short(out, seconds), as_buf_str(out, NBSP "s");
    } else if (seconds < 5940) {
        const int64_t whole = (int64_t)(seconds + 0.5);
        as_buf_fmt(out, "%" PRId64 NBSP "min", whole / 60);
        if (whole % 60) as_buf_fmt(out, " %" PRId64 NBSP "s", whole % 60);
    } else {
        const int64_t minutes = (int64_t)(fmin(seconds, 1e15) / 60 + 0.5);
        as_buf_fmt(out, "%" PRId64 NBSP "h %" PRId64 NBSP "min", minutes / 60, minutes % 60);
    }
}

void as_report_percent(as_buf *out, double share, int decimals) {
    as_report_fixed(out, share * 100, decimals, "n/a", false);
    if (isfinite(share)) as_buf_str(out, NBSP "%");
}

void as_report_level(as_buf *out, double level) {
    const double whole = floor(level * 100 + 0.5);
    as_report_percent(out, level, fabs(level * 100 - whole) < 1e-9 ? 0 : 1);
}

void as_report_date(as_buf *out, double unix_seconds) {
    struct tm tm;
    const time_t t = isfinite(unix_seconds) && fabs(unix_seconds) < 1e11 ? (time_t)floor(unix_seconds) : -1;
    if (t < 0 || !gmtime_r(&t, &tm)) {
        as_buf_str(out, "n/a");
        return;
    }
    as_buf_fmt(out, "%04d-%02d-%02d %02d:%02d:%02d UTC", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec);
}

static const char *model_of(const as_report_run *run) {
    if (run->result && run->result->model && run->result->model[0]) return run->result->model;
    if (run->stored && run->stored->model && run->stored->model[0]) return as_path_base(run->stored->model);
    return "model";
}

void as_report_run_name(as_buf *buf, const as_report *r, int run) {
    const char *name = model_of(&r->runs[run]);
    bool twice = false;
    for (int i = 0; i < r->run_count; i++)
        twice = twice || (i != run && strcmp(model_of(&r->runs[i]), name) == 0);
    as_buf_str(buf, name);
    if (twice) as_buf_fmt(buf, " (run %" PRId64 ")", r->runs[run].stored ? r->runs[run].stored->run : (int64_t)run + 1);
}

const char *as_report_first_metric(const as_report *r, bool *higher) {
    *higher = true;
    if (r->contest && r->contest->standing_count > 0) {
        *higher = r->contest->standings[0].higher_is_better;
        return r->contest->standings[0].metric;
    }
    for (int i = 0; i < r->run_count; i++) {
        const as_eval_result *e = r->runs[i].result;
        if (!e || e->metric_count == 0) continue;
        *higher = e->metrics[0].higher_is_better;
        return e->metrics[0].name;
    }
    return NULL;
}

const as_result_metric *as_report_metric_of(const as_report_run *run, const char *metric) {
    for (size_t i = 0; metric && run->result && i < run->result->metric_count; i++)
        if (strcmp(run->result->metrics[i].name, metric) == 0) return &run->result->metrics[i];
    return NULL;
}

const char *as_report_system(const as_report *r, int i) {
    return r->systems && i >= 0 && i < r->system_count && r->systems[i].name ? r->systems[i].name : "?";
}

static char *command_line(const as_report_run *run) {
    as_json *doc = NULL;
    if (!run->stored || !run->stored->config_json || as_json_parse(&doc, as_str_of(run->stored->config_json), "config", 0, NULL) != AS_OK) return NULL;
    const as_str s = as_json_str(as_json_get(doc, "command_line"), AS_LIT(""));
    char *line = s.n ? as_strndup(s.p, s.n) : NULL;
    as_json_free(doc);
    return line;
}

void as_report_typed(as_buf *out, const as_report *r, void (*line)(as_buf *out, const char *text)) {
    char **lines = as_calloc((size_t)r->run_count + 1, sizeof *lines);
    if (!lines) out->failed = true;
    for (int i = 0; lines && i < r->run_count; i++) {
        lines[i] = command_line(&r->runs[i]);
        bool before = false;
        for (int k = 0; k < i && lines[i]; k++) before |= lines[k] && strcmp(lines[k], lines[i]) == 0;
        if (lines[i] && !before) line(out, lines[i]);
    }
    if (r->command && r->command[0]) line(out, r->command);
    for (int i = 0; lines && i < r->run_count; i++) as_free(lines[i]);
    as_free(lines);
}
