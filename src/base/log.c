#include "base/log.h"
#include "base/str.h"
#include "base/utf8.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

static double seconds_of(clockid_t id) {
    struct timespec t;
    clock_gettime(id, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

double as_clock(void) {
    return seconds_of(CLOCK_MONOTONIC);
}
double as_clock_wall(void) {
    return seconds_of(CLOCK_REALTIME);
}

void as_log_line(const as_log *log, as_level level, const char *fmt, ...) {
    if (log == NULL || log->write == NULL) return;
    char line[2048];
    va_list args;
    va_start(args, fmt);
    vsnprintf(line, sizeof line, fmt, args);
    va_end(args);
    log->write(log->ctx, level, line);
}

static void write_line(int fd, const char *p, size_t n) {
    /* Progress is a courtesy: a terminal that takes no more bytes loses them. */
    const ssize_t ignored = write(fd, p, n);
    (void)ignored;
}

void as_format_time(char *out, size_t size, double seconds) {
    const int64_t s = (int64_t)(seconds + 0.5);
    if (s < 3600)
        snprintf(out, size, "%" PRId64 ":%02" PRId64, s / 60, s % 60);
    else
        snprintf(out, size, "%" PRId64 ":%02" PRId64 ":%02" PRId64, s / 3600, s / 60 % 60, s % 60);
}

/* Cut `text` (valid UTF-8) to at most `columns`. */
static size_t cut_to_width(const char *text, size_t n, int columns) {
    size_t i = 0;
    int used = 0;
    while (i < n) {
        uint32_t cp;
        const uint32_t length = as_utf8_next(text + i, &cp);
        used += as_utf8_width((as_str){text + i, length});
        if (used > columns) break;
        i += length;
    }
    return i;
}

/* --- several pieces --- */
void as_whole_begin(as_whole *w, double planned) {
    if (w == NULL) return;
    w->piece = planned;
    w->began = as_clock();
    w->first = w->share = 0;
}

void as_whole_end(as_whole *w, bool computed) {
    if (w == NULL) return;
    if (computed) {
        w->took += as_clock() - w->began;
        w->took_planned += w->piece * (1 - w->first);
    }
    w->before += w->piece;
    w->piece = w->share = w->first = 0;
}

double as_whole_left(const as_whole *w) {
    if (w == NULL) return 0;
    const double running = w->piece > 0 ? as_clock() - w->began : 0;
    const double known = w->took_planned + w->piece * (w->share - w->first);
    /* until something has been measured, predictions are all there is */
    const double factor = known > 0 ? (w->took + running) / known : 1;
    const double left = w->planned - w->before - w->piece * w->share;
    return left > 0 ? left * factor : 0;
}

/* --- one line --- */
typedef struct part {
    int order; /* what goes first when the line is too long: the highest */
    char text[96];
} part;

static size_t put_parts(part *parts, const as_progress *p, int64_t done, int64_t tokens,
                        double elapsed) {
    size_t n = 0;
    const double fresh = (double)(done - p->skipped);
    char left[32], all[32];
    if (p->total > 0) {
        parts[n].order = 1;
        snprintf(parts[n++].text, sizeof parts->text, " %3" PRId64 " %%", done * 100 / p->total);
        parts[n].order = 3;
        snprintf(parts[n++].text, sizeof parts->text, "  %" PRId64 "/%" PRId64, done, p->total);
    } else {
        parts[n].order = 1;
        snprintf(parts[n++].text, sizeof parts->text, "%" PRId64, done);
    }
    if (elapsed > 0) {
        const double rate = fresh / elapsed;
        parts[n].order = 2;
        snprintf(parts[n++].text, sizeof parts->text, rate < 10 ? "  %.1f %s/s" : "  %.0f %s/s",
                 rate, p->unit ? p->unit : "items");
        parts[n].order = tokens > 0 ? 4 : 0;
        snprintf(parts[n].text, sizeof parts->text, "  %.0f tokens/s", (double)tokens / elapsed);
        n += tokens > 0;
    }
    if (p->total > done && fresh > 0) {
        as_format_time(left, sizeof left, elapsed * (double)(p->total - done) / fresh);
        if (p->whole) as_format_time(all, sizeof all, as_whole_left(p->whole));
        parts[n].order = 0;
        snprintf(parts[n++].text, sizeof parts->text, p->whole ? "  %s left (all %s)" : "  %s left",
                 left, all);
    }
    return n;
}

/* Leave out what is least needed until `used` columns are fewer than `columns`; percent and time stay. */
static int fit_parts(part *parts, size_t count, int used, int columns) {
    for (int order = 9; order > 1 && used >= columns; order--)
        for (size_t i = 0; i < count; i++)
            if (parts[i].order == order) {
                used -= (int)strlen(parts[i].text);
                parts[i].text[0] = '\0';
            }
    return used;
}

/* The name, cut with an ellipsis where the line would be `over` columns too wide. */
static void fit_name(char *name, size_t size, const char *what, int over) {
    snprintf(name, size, "%.200s", what);
    if (over <= 0) return;
    const int room = as_utf8_width(as_str_of(name)) - over - 1;
    const size_t keep = cut_to_width(name, strlen(name), room > 0 ? room : 0);
    snprintf(name + keep, size - keep, "…");
}

static void draw(const as_progress *p, int64_t done, int64_t tokens, double now) {
    enum { BAR = 20, PARTS = 6 };
    struct winsize w;
    const int columns = ioctl(p->fd, TIOCGWINSZ, &w) == 0 && w.ws_col > 0 ? w.ws_col : 80;
    if (p->whole && !p->aside && p->total > 0)
        p->whole->share = (double)done / (double)p->total;
    part parts[PARTS];
    const size_t count = put_parts(parts, p, done, tokens, now - p->started);
    char name[256], line[1024];
    int used = 3 + as_utf8_width(as_str_of(p->what)) + (p->total > 0 ? BAR : 0);
    for (size_t i = 0; i < count; i++)
        used += (int)strlen(parts[i].text);
    used = fit_parts(parts, count, used, columns);
    fit_name(name, sizeof name, p->what, used - columns + 1); /* the last column would wrap */
    int n = snprintf(line, sizeof line, "  %s ", name);
    const int64_t filled = p->total <= 0 ? 0 : done >= p->total ? BAR : done * BAR / p->total;
    for (int i = 0; i < BAR && p->total > 0; i++)
        n += snprintf(line + n, sizeof line - (size_t)n, "%s",
                      i < filled    ? "━"
                      : i == filled ? "╸"
                                    : "─");
    for (size_t i = 0; i < count; i++)
        n += snprintf(line + n, sizeof line - (size_t)n, "%s", parts[i].text);
    char out[1100];
    const size_t keep = cut_to_width(line, (size_t)n, columns - 1);
    const int m = snprintf(out, sizeof out, "\r%.*s\x1b[K", (int)keep, line);
    write_line(p->fd, out, (size_t)m);
}

void as_progress_begin(as_progress *p, int fd, bool quiet, const char *what, int64_t total) {
    *p = (as_progress){.on = !quiet && fd >= 0 && isatty(fd) == 1,
                       .fd = fd,
                       .what = what,
                       .total = total,
                       .started = as_clock()};
    p->last_drawn = p->started;
}

void as_progress_add(as_progress *p, int64_t items, int64_t tokens) {
    const int64_t done = __atomic_add_fetch(&p->done, items, __ATOMIC_RELAXED);
    const int64_t all_tokens = __atomic_add_fetch(&p->tokens, tokens, __ATOMIC_RELAXED);
    if (!p->on) return;
    double now = as_clock(), last;
    __atomic_load(&p->last_drawn, &last, __ATOMIC_RELAXED);
    if (now - last < 0.1) return;
    /* Who moves the time on draws; one write a line, so that threads do not mix theirs. */
    if (__atomic_compare_exchange(&p->last_drawn, &last, &now, false, __ATOMIC_RELAXED,
                                  __ATOMIC_RELAXED))
        draw(p, done, all_tokens, now);
}

void as_progress_skip(as_progress *p, int64_t items) {
    p->skipped += items;
    if (p->whole && !p->aside && p->total > 0)
        p->whole->first = p->whole->share = (double)p->skipped / (double)p->total;
    as_progress_add(p, items, 0);
}

void as_progress_clear(as_progress *p) {
    if (p->on) write_line(p->fd, "\r\x1b[K", 4);
}

void as_progress_end(as_progress *p) {
    if (p->on) write_line(p->fd, "\r\x1b[K", 4);
    p->on = false;
}
