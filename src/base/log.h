/* log.h: messages to the user that are not results. The library never prints: it calls the sink. */
#ifndef AS_BASE_LOG_H
#define AS_BASE_LOG_H

#include "base/status.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum as_level { AS_ERROR, AS_WARN, AS_INFO, AS_DEBUG } as_level;
typedef struct as_log {
    void (*write)(void *ctx, as_level level, const char *line); /* line without a newline; NULL sink drops */
    void *ctx;
} as_log;
void as_log_line(const as_log *log, as_level level, const char *fmt, ...) AS_PRINTF(3, 4); /* log may be NULL */

/* Work of several pieces, done one after the other, each with a progress bar of its own: how long will all of it take?
 * Pieces have predicted seconds; how long those that were done really took corrects the rest. Zero-initialise, add to
 * `planned` what every piece is predicted to take. */
typedef struct as_whole {
    double planned;                /* all pieces */
    double before, piece;          /* those behind; the one that runs (0 = none) */
    double took, took_planned;     /* those that were computed: measured, and predicted */
    double began, first, share;    /* of the one that runs: when; shares of it done, then and now */
} as_whole;
void as_whole_begin(as_whole *w, double planned);  /* NULL allowed, here and below */
void as_whole_end(as_whole *w, bool computed);     /* computed: it was not found done; its time counts */
double as_whole_left(const as_whole *w);           /* seconds */

/* Progress of one piece of work. Shown only on a terminal; a no-op when `out` is not one. */
typedef struct as_progress {
    bool on;
    int fd;
    const char *what;              /* "score", "fine-tune, epoch 2 of 3" */
    const char *unit;              /* of items: "items" unless it is set */
    int64_t done, total, tokens;   /* items done, items in all, tokens so far */
    int64_t skipped;               /* of those done: before this process began */
    as_whole *whole;               /* what this is a piece of, or NULL */
    bool aside;                    /* within a piece whose share another bar counts */
    double started, last_drawn;
} as_progress;
void as_progress_begin(as_progress *p, int fd, bool quiet, const char *what, int64_t total);
void as_progress_add(as_progress *p, int64_t items, int64_t tokens); /* redraws at most every 100 ms; thread-safe */
void as_progress_skip(as_progress *p, int64_t items);                /* they were done before: no part of the rate */
void as_progress_clear(as_progress *p);                             /* clears the line; the next add draws it again */
void as_progress_end(as_progress *p);                               /* clears the line for good */
/* Seconds as "1:08", "2:01:08". */
void as_format_time(char *out, size_t size, double seconds);

/* Monotonic seconds; and wall-clock seconds since 1970. */
double as_clock(void);
double as_clock_wall(void);

#endif
