/* log.h: messages to the user that are not results. The library never prints: it calls the sink. */
#ifndef AS_BASE_LOG_H
#define AS_BASE_LOG_H

#include "base/status.h"
#include <stdbool.h>
#include <stdint.h>

typedef enum as_level { AS_ERROR, AS_WARN, AS_INFO, AS_DEBUG } as_level;
typedef struct as_log {
    void (*write)(void *ctx, as_level level, const char *line); /* line without a newline; NULL sink drops */
    void *ctx;
} as_log;
void as_log_line(const as_log *log, as_level level, const char *fmt, ...) AS_PRINTF(3, 4); /* log may be NULL */

/* Progress of one piece of work. Shown only on a terminal; a no-op when `out` is not one. */
typedef struct as_progress {
    bool on;
    int fd;
    const char *what;              /* "score", "fine-tune, epoch 2 of 3" */
    int64_t done, total, tokens;   /* items done, items in all, tokens so far */
    double started, last_drawn;
} as_progress;
void as_progress_begin(as_progress *p, int fd, bool quiet, const char *what, int64_t total);
void as_progress_add(as_progress *p, int64_t items, int64_t tokens); /* redraws at most every 100 ms; thread-safe */
void as_progress_end(as_progress *p);                               /* clears the line */

/* Monotonic seconds; and wall-clock seconds since 1970. */
double as_clock(void);
double as_clock_wall(void);

#endif
