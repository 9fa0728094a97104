/* utf8.h: strict and lossy UTF-8 (RFC 3629; lossy = one U+FFFD per maximal invalid subsequence, as Rust does). */
#ifndef AS_BASE_UTF8_H
#define AS_BASE_UTF8_H

#include "base/str.h"

/* Offset of the first invalid byte, or n when all is valid. */
size_t as_utf8_valid_prefix(const char *p, size_t n);
/* Decode one code point at p (n >= 1 bytes, VALID UTF-8 only): its length in bytes, the point in *cp. */
static inline uint32_t as_utf8_next(const char *p, uint32_t *cp) {
    const unsigned char *u = (const unsigned char *)p;
    if (u[0] < 0x80) return *cp = u[0], 1;
    if (u[0] < 0xE0) return *cp = ((uint32_t)(u[0] & 0x1F) << 6) | (u[1] & 0x3Fu), 2;
    if (u[0] < 0xF0)
        return *cp = ((uint32_t)(u[0] & 0x0F) << 12) | ((uint32_t)(u[1] & 0x3F) << 6) | (u[2] & 0x3Fu), 3;
    return *cp = ((uint32_t)(u[0] & 0x07) << 18) | ((uint32_t)(u[1] & 0x3F) << 12) |
                 ((uint32_t)(u[2] & 0x3F) << 6) | (u[3] & 0x3Fu), 4;
}
uint32_t as_utf8_put(char out[4], uint32_t cp); /* bytes written; surrogates and > 10FFFF become U+FFFD */
size_t as_utf8_count(const char *p, size_t n);  /* code points of valid UTF-8 */
/* Append s to out, invalid sequences replaced by U+FFFD; returns how many were replaced. */
size_t as_utf8_lossy(as_buf *out, as_str s);
void as_latin1_to_utf8(as_buf *out, as_str s);
/* Columns on a terminal (East Asian wide = 2, combining = 0). */
int as_utf8_width(as_str s);

#endif
