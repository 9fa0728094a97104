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

/* "1:08", "2:01:08". */
static void format_time(char *out, size_t size, double seconds) {
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

static void draw(const as_progress *p, int64_t done, int64_t tokens, double now) {
    enum { BAR = 20 };
    struct winsize w;
    const int columns = ioctl(p->fd, TIOCGWINSZ, &w) == 0 && w.ws_col > 0 ? w.ws_col : 80;
    const double elapsed = now - p->started;
    char line[1024], left[32] = "";
    int n = snprintf(line, sizeof line, "  %.200s ", p->what);
    if (p->total > 0) {
        const int64_t filled = done >= p->total ? BAR : done * BAR / p->total;
        for (int i = 0; i < BAR; i++)
            n += snprintf(line + n, sizeof line - (size_t)n, "%s",
                          i < filled    ? "━"
                          : i == filled ? "╸"
                                        : "─");
        n += snprintf(line + n, sizeof line - (size_t)n, " %3" PRId64 " %%  %" PRId64 "/%" PRId64,
                      done * 100 / p->total, done, p->total);
    } else {
        n += snprintf(line + n, sizeof line - (size_t)n, "%" PRId64, done);
    }
    if (elapsed > 0) {
        n += snprintf(line + n, sizeof line - (size_t)n, "  %.0f items/s", (double)done / elapsed);
        if (tokens > 0)
            n += snprintf(line + n, sizeof line - (size_t)n, "  %.0f tokens/s",
                          (double)tokens / elapsed);
    }
    if (p->total > done && done > 0) {
        format_time(left, sizeof left, elapsed * (double)(p->total - done) / (double)done);
        n += snprintf(line + n, sizeof line - (size_t)n, "  %s left", left);
    }
    char out[1100];
    const size_t keep = cut_to_width(line, (size_t)n, columns - 1); /* the last column would wrap */
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

void as_progress_end(as_progress *p) {
    if (p->on) write_line(p->fd, "\r\x1b[K", 4);
    p->on = false;
}
