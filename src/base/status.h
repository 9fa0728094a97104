/* status.h: how failure travels. Every fallible function returns as_status and takes `as_err *err` last. */
#ifndef AS_BASE_STATUS_H
#define AS_BASE_STATUS_H

#include <assay.h>
#include <stdarg.h>

typedef assay_status as_status;
typedef assay_err as_err;

#define AS_OK ASSAY_OK
#define AS_FAILED ASSAY_FAILED
#define AS_USAGE ASSAY_USAGE
#define AS_IO ASSAY_IO
#define AS_FORMAT ASSAY_FORMAT
#define AS_SHAPE ASSAY_SHAPE
#define AS_NOMEM ASSAY_NOMEM
#define AS_NUMERIC ASSAY_NUMERIC
#define AS_INTERRUPTED ASSAY_INTERRUPTED

#define AS_CHECKED __attribute__((warn_unused_result))
#define AS_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#define AS_COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Fill err (may be NULL) with `status` and the message, clear the hint, and return status:
 *     return as_fail(err, AS_FORMAT, "%s:%" PRId64 ": no closing quote", file, line); */
as_status as_fail(as_err *err, assay_status status, const char *fmt, ...) AS_PRINTF(3, 4);
/* Set the hint of an err that as_fail just filled; returns err->status (AS_FAILED when err is NULL is never
 * returned: with a NULL err the caller keeps its own status). */
void as_hint(as_err *err, const char *fmt, ...) AS_PRINTF(2, 3);
/* The usual allocation failure: "not enough memory for WHAT (N bytes)". */
as_status as_fail_nomem(as_err *err, const char *what, size_t bytes);

/* Forward a failure. Only where nothing is owned yet; else `goto done`. */
#define AS_TRY(call)                          \
    do {                                      \
        const as_status as_try_s_ = (call);   \
        if (as_try_s_ != ASSAY_OK) return as_try_s_; \
    } while (0)

/* A broken internal invariant (never bad input): on in debug, test and fuzz builds. */
#ifdef NDEBUG
#define AS_ASSERT(cond) ((void)0)
#else
void as_assert_failed(const char *cond, const char *file, int line) __attribute__((noreturn));
#define AS_ASSERT(cond) ((cond) ? (void)0 : as_assert_failed(#cond, __FILE__, __LINE__))
#endif

#endif
