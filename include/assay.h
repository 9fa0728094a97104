/* assay.h: the public C API of assay, which trains, evaluates and explains pre-trained language models.
 *
 * Ownership: a `const T *` argument is borrowed for the call; what assay_X_open returns, assay_X_free
 * releases (NULL allowed); a view returned from an object dies with that object.
 * Errors: every call that can fail returns assay_status and fills a caller-owned assay_err (NULL
 * allowed). Nothing here prints, exits or keeps global state, but for the CPU dispatch, set once.
 * Threads: objects may be used from several threads, one call at a time per object. */
#ifndef ASSAY_H
#define ASSAY_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define ASSAY_API __attribute__((visibility("default")))
#define ASSAY_CHECKED __attribute__((warn_unused_result))
#else
#define ASSAY_API
#define ASSAY_CHECKED
#endif

/* The values are the process exit codes of the command line tool. */
typedef enum assay_status {
    ASSAY_OK = 0,
    ASSAY_FAILED = 1,        /* a --fail-if gate or a --check did not hold */
    ASSAY_USAGE = 2,         /* unknown option, column, task, metric */
    ASSAY_IO = 3,            /* a file could not be read or written */
    ASSAY_FORMAT = 4,        /* input is malformed or unsupported */
    ASSAY_SHAPE = 5,         /* tensor shapes do not agree */
    ASSAY_NOMEM = 6,         /* not enough memory */
    ASSAY_NUMERIC = 7,       /* a weight, loss or logit is not finite */
    ASSAY_INTERRUPTED = 130  /* stopped by a signal; the same command goes on */
} assay_status;

typedef struct assay_err {
    assay_status status;
    char msg[768];   /* one factual line: file, place, what is wrong */
    char hint[512];  /* what to do; may be empty */
} assay_err;

#ifdef __cplusplus
}
#endif
#endif
