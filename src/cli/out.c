#include "cli/out.h"
#include "base/mem.h"
#include "base/utf8.h"
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

void as_out_init(as_out *o, int fd) { *o = (as_out){.fd = fd, .live = isatty(fd) == 1}; }
void as_out_deinit(as_out *o) { as_buf_free(&o->buf); }

as_status as_out_flush(as_out *o, bool now, as_err *err) {
    enum { ENOUGH = 1 << 16 };
    if (o->buf.failed) return as_fail_nomem(err, "the output", o->buf.n);
    if (!now && !o->live && o->buf.n < ENOUGH) return AS_OK;
    size_t done = 0;
    while (done < o->buf.n) {
        const ssize_t n = write(o->fd, o->buf.p + done, o->buf.n - done);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) {
            o->gone = errno == EPIPE;
            (void)as_fail(err, AS_IO, "standard output: %s", strerror(errno));
            if (errno == ENOSPC || errno == EFBIG) as_hint(err, "Make room, and run the command again.");
            as_buf_clear(&o->buf);
            return AS_IO;
        }
        done += (size_t)n;
    }
    as_buf_clear(&o->buf);
    return AS_OK;
}

/* Bytes of the longest beginning of `text` that takes at most `columns`; its width in *used. */
static size_t fitting(as_str text, int columns, int *used) {
    size_t i = 0;
    *used = 0;
    while (i < text.n) {
        uint32_t cp;
        const uint32_t n = as_utf8_next(text.p + i, &cp);
        const int w = as_utf8_width((as_str){text.p + i, n});
        if (*used + w > columns) break;
        *used += w;
        i += n;
    }
    return i;
}

/* Valid UTF-8 without control characters. What a data file says must not steer the terminal. */
static void add_clean(as_buf *out, as_str text) {
    const size_t from = out->n;
    (void)as_utf8_lossy(out, text);
    for (size_t i = from; i < out->n; i++)
        if ((unsigned char)out->p[i] < 0x20 || out->p[i] == 0x7f) out->p[i] = ' ';
}

void as_out_cut(as_buf *out, as_str text, int columns) {
    as_buf clean = {0};
    /* Wide characters have at most 4 bytes: more than this many can never be shown. */
    const size_t most = (size_t)(columns > 0 ? columns : 0) * 16 + 64;
    size_t n = text.n < most ? text.n : most;
    while (n > 0 && n < text.n && ((unsigned char)text.p[n] & 0xC0) == 0x80) n--;
    add_clean(&clean, (as_str){text.p, n});
    if (clean.failed) out->failed = true;
    const as_str s = as_buf_view(&clean);
    int used;
    if (!clean.failed && n == text.n && fitting(s, columns, &used) == s.n) {
        as_buf_add(out, s.p, s.n);
    } else if (!clean.failed && columns > 0) {
        as_buf_add(out, s.p, fitting(s, columns - 1, &used));
        as_buf_str(out, "…");
    }
    as_buf_free(&clean);
}

void as_grid_init(as_grid *g, const char *align, int indent) {
    *g = (as_grid){.align = align, .cols = (int)strlen(align), .indent = indent};
}
static void end_cell(as_grid *g) {
    if (!as_grow(&g->end, &g->cap, g->count + 1, sizeof *g->end)) {
        g->failed = true;
        return;
    }
    g->end[g->count++] = g->text.n;
}
void as_grid_cell(as_grid *g, as_str cell) {
    add_clean(&g->text, cell);
    end_cell(g);
}
void as_grid_fmt(as_grid *g, const char *fmt, ...) {
    char line[512];
    va_list args;
    va_start(args, fmt);
    vsnprintf(line, sizeof line, fmt, args);
    va_end(args);
    as_grid_cell(g, as_str_of(line));
}

static as_str cell_at(const as_grid *g, size_t i) {
    const size_t from = i == 0 ? 0 : g->end[i - 1];
    return (as_str){g->text.p + from, g->end[i] - from};
}

static void widths(const as_grid *g, int *width) {
    enum { LEAST = 8 };
    for (size_t i = 0; i < g->count; i++) {
        const int w = as_utf8_width(cell_at(g, i));
        int *at = &width[i % (size_t)g->cols];
        if (w > *at) *at = w;
    }
    int all = g->indent;
    for (int c = 0; c < g->cols; c++) all += width[c] + (c ? 2 : 0);
    /* The widest of the columns that may be cut gives way first. */
    for (; all > AS_OUT_COLUMNS; all--) {
        int widest = -1;
        for (int c = 0; c < g->cols; c++)
            if (g->align[c] == 'L' && width[c] > LEAST && (widest < 0 || width[c] > width[widest])) widest = c;
        if (widest < 0) return;
        width[widest]--;
    }
}

static void print_cell(as_buf *out, as_str s, char align, int width, bool last) {
    const int w = as_utf8_width(s);
    const int pad = w < width ? width - w : 0;
    if (align == 'r')
        for (int i = 0; i < pad; i++) as_buf_char(out, ' ');
    if (w > width)
        as_out_cut(out, s, width);
    else
        as_buf_add(out, s.p, s.n);
    if (align != 'r' && !last)
        for (int i = 0; i < pad; i++) as_buf_char(out, ' ');
}

void as_grid_print(as_grid *g, as_buf *out) {
    enum { MOST = 64 };
    int width[MOST] = {0};
    if (g->failed || g->text.failed || g->cols > MOST) out->failed = true;
    if (!out->failed && g->count > 0) {
        if (!g->text.p) as_buf_str(&g->text, "");
        widths(g, width);
        for (size_t i = 0; i + (size_t)g->cols <= g->count; i += (size_t)g->cols) {
            const size_t line = out->n;
            for (int b = 0; b < g->indent; b++) as_buf_char(out, ' ');
            for (int c = 0; c < g->cols; c++) {
                if (c) as_buf_str(out, "  ");
                print_cell(out, cell_at(g, i + (size_t)c), g->align[c], width[c], c == g->cols - 1);
            }
            while (!out->failed && out->n > line && out->p[out->n - 1] == ' ') out->n--;
            as_buf_char(out, '\n');
        }
    }
    as_buf_free(&g->text);
    as_free(g->end);
    *g = (as_grid){0};
}

as_number as_out_whole(int64_t n) {
    char digits[24];
    as_number out = {""};
    snprintf(digits, sizeof digits, "%" PRId64, n);
    size_t at = 0;
    const size_t length = strlen(digits);
    for (size_t i = 0; i < length; i++) {
        if (i > (digits[0] == '-') && (length - i) % 3 == 0) out.s[at++] = ',';
        out.s[at++] = digits[i];
    }
    return out;
}
void as_out_count(as_buf *out, int64_t count) { as_buf_str(out, as_out_whole(count).s); }

as_number as_out_number(double x, int decimals) {
    as_number out;
    if (!isfinite(x))
        snprintf(out.s, sizeof out.s, "%s", isnan(x) ? "-" : x > 0 ? "inf" : "-inf");
    else if (fabs(x) >= 1e6 || (x != 0.0 && fabs(x) < 1e-4 && decimals < 17))
        snprintf(out.s, sizeof out.s, "%.*g", decimals, x);
    else
        snprintf(out.s, sizeof out.s, "%.*f", decimals, x);
    return out;
}

as_number as_out_bytes(uint64_t bytes) {
    as_number out;
    const double b = (double)bytes;
    if (b < 1e6)
        snprintf(out.s, sizeof out.s, "%.0f kB", ceil(b / 1e3));
    else if (b < 1e9)
        snprintf(out.s, sizeof out.s, b < 1e7 ? "%.1f MB" : "%.0f MB", b / 1e6);
    else
        snprintf(out.s, sizeof out.s, "%.1f GB", b / 1e9);
    return out;
}

as_number as_out_time(double seconds) {
    as_number out;
    const int64_t s = (int64_t)(seconds + 0.5);
    if (seconds < 9.95)
        snprintf(out.s, sizeof out.s, "%.1f s", seconds);
    else if (s < 3600)
        snprintf(out.s, sizeof out.s, "%" PRId64 ":%02" PRId64, s / 60, s % 60);
    else
        snprintf(out.s, sizeof out.s, "%" PRId64 ":%02" PRId64 ":%02" PRId64, s / 3600, s / 60 % 60, s % 60);
    return out;
}

void as_out_wrap(as_buf *out, const char *label, int indent, as_str text) {
    int at = as_utf8_width(as_str_of(label));
    as_buf_str(out, label);
    for (; at < indent; at++) as_buf_char(out, ' ');
    for (size_t i = 0; i < text.n;) {
        const char *blank = memchr(text.p + i, ' ', text.n - i);
        const size_t n = blank ? (size_t)(blank - text.p) - i : text.n - i;
        const as_str word = {text.p + i, n};
        const int width = as_utf8_width(word);
        if (at > indent && at + 1 + width > AS_OUT_COLUMNS) {
            as_buf_char(out, '\n');
            for (at = 0; at < indent; at++) as_buf_char(out, ' ');
        } else if (at > indent) {
            as_buf_char(out, ' '), at++;
        }
        as_buf_add(out, word.p, word.n);
        at += width, i += n + 1;
    }
    as_buf_char(out, '\n');
}
