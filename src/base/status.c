#include "base/status.h"
#include <stdio.h>
#include <stdlib.h>

as_status as_fail(as_err *err, assay_status status, const char *fmt, ...) {
    if (err == NULL) return status;
    va_list args;
    err->status = status;
    err->hint[0] = '\0';
    va_start(args, fmt);
    vsnprintf(err->msg, sizeof err->msg, fmt, args);
    va_end(args);
    return status;
}

void as_hint(as_err *err, const char *fmt, ...) {
    if (err == NULL) return;
    va_list args;
    va_start(args, fmt);
    vsnprintf(err->hint, sizeof err->hint, fmt, args);
    va_end(args);
}

as_status as_fail_nomem(as_err *err, const char *what, size_t bytes) {
    if (bytes > 0)
        as_fail(err, ASSAY_NOMEM, "not enough memory for %s (%zu bytes)", what, bytes);
    else
        as_fail(err, ASSAY_NOMEM, "not enough memory for %s", what);
    as_hint(err, "Free memory, or use a smaller batch or model.");
    return ASSAY_NOMEM;
}

#ifndef NDEBUG
/* The one place that ends the process: state is broken, and going on could store a wrong number. */
void as_assert_failed(const char *cond, const char *file, int line) {
    fprintf(stderr, "assay: %s:%d: broken invariant: %s\n", file, line, cond);
    abort();
}
#endif
