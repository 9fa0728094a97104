#include "base/utf8.h"
#include <string.h>
#include <utf8proc.h>

/* Length of the sequence at p when it is valid, else 0 with *bad = bytes of the maximal invalid
 * subsequence (Unicode 3.9, table 3-7): the lead byte and those followers that a valid sequence
 * could have had. */
static size_t sequence(const unsigned char *p, size_t n, size_t *bad) {
    const unsigned char lead = p[0];
    size_t length;
    unsigned char low = 0x80, high = 0xBF; /* range of the second byte */
    *bad = 1;
    if (lead < 0x80) return 1;
    if (lead < 0xC2 || lead > 0xF4) return 0;
    if (lead < 0xE0) {
        length = 2;
    } else if (lead < 0xF0) {
        length = 3;
        if (lead == 0xE0) low = 0xA0;  /* shorter forms exist */
        if (lead == 0xED) high = 0x9F; /* surrogates */
    } else {
        length = 4;
        if (lead == 0xF0) low = 0x90;
        if (lead == 0xF4) high = 0x8F; /* above U+10FFFF */
    }
    for (size_t i = 1; i < length; i++, low = 0x80, high = 0xBF) {
        if (i >= n || p[i] < low || p[i] > high) return 0;
        *bad = i + 1;
    }
    return length;
}

static size_t ascii_prefix(const char *p, size_t n) {
    size_t i = 0;
    for (uint64_t word; i + 8 <= n; i += 8) {
        memcpy(&word, p + i, 8);
        if (word & 0x8080808080808080u) break;
    }
    while (i < n && (unsigned char)p[i] < 0x80)
        i++;
    return i;
}

size_t as_utf8_valid_prefix(const char *p, size_t n) {
    size_t i = 0, bad;
    while (i < n) {
        i += ascii_prefix(p + i, n - i);
        if (i >= n) break;
        const size_t length = sequence((const unsigned char *)p + i, n - i, &bad);
        if (length == 0) return i;
        i += length;
    }
    return n;
}

uint32_t as_utf8_put(char out[4], uint32_t cp) {
    if (cp > 0x10FFFF || (cp >= 0xD800 && cp <= 0xDFFF)) cp = 0xFFFD;
    if (cp < 0x80) {
        out[0] = (char)cp;
        return 1;
    }
    const uint32_t length = cp < 0x800 ? 2 : cp < 0x10000 ? 3 : 4;
    for (uint32_t i = length - 1; i > 0; i--, cp >>= 6)
        out[i] = (char)(0x80 | (cp & 0x3F));
    static const unsigned char lead[] = {0, 0, 0xC0, 0xE0, 0xF0};
    out[0] = (char)(lead[length] | cp);
    return length;
}

size_t as_utf8_count(const char *p, size_t n) {
    size_t count = 0;
    for (size_t i = 0; i < n; i++)
        count += ((unsigned char)p[i] & 0xC0) != 0x80;
    return count;
}

size_t as_utf8_lossy(as_buf *out, as_str s) {
    size_t replaced = 0, i = 0;
    while (i < s.n) {
        const size_t valid = as_utf8_valid_prefix(s.p + i, s.n - i);
        as_buf_add(out, s.p + i, valid);
        i += valid;
        if (i >= s.n) break;
        size_t bad;
        (void)sequence((const unsigned char *)s.p + i, s.n - i, &bad);
        as_buf_add(out, "\xEF\xBF\xBD", 3);
        replaced++;
        i += bad;
    }
    return replaced;
}

void as_latin1_to_utf8(as_buf *out, as_str s) {
    for (size_t i = 0; i < s.n;) {
        const size_t ascii = ascii_prefix(s.p + i, s.n - i);
        as_buf_add(out, s.p + i, ascii);
        i += ascii;
        if (i >= s.n) break;
        char point[4];
        as_buf_add(out, point, as_utf8_put(point, (unsigned char)s.p[i++]));
    }
}

int as_utf8_width(as_str s) {
    int width = 0;
    size_t bad;
    for (size_t i = 0; i < s.n;) {
        const size_t length = sequence((const unsigned char *)s.p + i, s.n - i, &bad);
        uint32_t cp = 0xFFFD;
        if (length > 0) as_utf8_next(s.p + i, &cp);
        width += utf8proc_charwidth((utf8proc_int32_t)cp);
        i += length > 0 ? length : bad;
    }
    return width;
}
