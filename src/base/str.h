/* str.h: byte-string views and a growable byte buffer. */
#ifndef AS_BASE_STR_H
#define AS_BASE_STR_H

#include "base/status.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct as_str {
    const char *p; /* view, not NUL-terminated, may hold NUL bytes */
    size_t n;
} as_str;

#define AS_LIT(s) ((as_str){(s), sizeof(s) - 1})
as_str as_str_of(const char *cstr); /* NULL gives the empty view */
bool as_str_eq(as_str a, as_str b);
bool as_str_is(as_str a, const char *cstr);
int as_str_cmp(as_str a, as_str b); /* by bytes, shorter first */

/* Growable bytes. Zero-initialise; always NUL-terminated after the first append. An append that runs out of
 * memory sets `failed` and later appends do nothing: check once at the end. */
typedef struct as_buf {
    char *p;
    size_t n, cap;
    bool failed;
} as_buf;

void as_buf_add(as_buf *b, const void *bytes, size_t n);
void as_buf_str(as_buf *b, const char *cstr);
void as_buf_char(as_buf *b, char c);
void as_buf_fmt(as_buf *b, const char *fmt, ...) AS_PRINTF(2, 3);
/* A real with 17 significant digits, locale-independent; NaN and infinities as null. For JSON and CSV. */
void as_buf_real(as_buf *b, double x);
/* A JSON string with quotes; input is UTF-8 (invalid bytes become U+FFFD). */
void as_buf_json_str(as_buf *b, as_str s);
void as_buf_clear(as_buf *b); /* keeps the memory */
void as_buf_free(as_buf *b);
static inline as_str as_buf_view(const as_buf *b) { return (as_str){b->p ? b->p : "", b->n}; }

/* Locale-independent number parsing of the WHOLE view; false when it is not a number (or overflows). */
bool as_parse_i64(as_str s, int64_t *out);
bool as_parse_f64(as_str s, double *out); /* accepts nan, inf, infinity in any case */
/* Index of the candidate nearest to `word` by edit distance, or -1 when none is near (distance > half). */
int as_nearest(const char *word, const char *const *candidates, size_t count);

#endif
