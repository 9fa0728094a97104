#include "base/str.h"
#include "base/mem.h"
#include "base/utf8.h"
#include <errno.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

as_str as_str_of(const char *cstr) {
    return cstr != NULL ? (as_str){cstr, strlen(cstr)} : (as_str){"", 0};
}
bool as_str_eq(as_str a, as_str b) {
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}
bool as_str_is(as_str a, const char *cstr) {
    return as_str_eq(a, as_str_of(cstr));
}

int as_str_cmp(as_str a, as_str b) {
    const size_t n = a.n < b.n ? a.n : b.n;
    const int order = n > 0 ? memcmp(a.p, b.p, n) : 0;
    return order != 0 ? order : (a.n > b.n) - (a.n < b.n);
}

/* Room for n more bytes and the NUL. */
static bool reserve(as_buf *b, size_t n) {
    if (b->failed) return false;
    if (n > SIZE_MAX - b->n - 1 || !as_grow(&b->p, &b->cap, b->n + n + 1, 1)) b->failed = true;
    return !b->failed;
}

void as_buf_add(as_buf *b, const void *bytes, size_t n) {
    if (!reserve(b, n)) return;
    if (n > 0) memcpy(b->p + b->n, bytes, n);
    b->n += n;
    b->p[b->n] = '\0';
}

void as_buf_str(as_buf *b, const char *cstr) {
    const as_str s = as_str_of(cstr);
    as_buf_add(b, s.p, s.n);
}

void as_buf_char(as_buf *b, char c) {
    as_buf_add(b, &c, 1);
}

void as_buf_fmt(as_buf *b, const char *fmt, ...) {
    va_list args, again;
    va_start(args, fmt);
    va_copy(again, args);
    const int n = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    if (n < 0)
        b->failed = true;
    else if (reserve(b, (size_t)n)) {
        vsnprintf(b->p + b->n, (size_t)n + 1, fmt, again);
        b->n += (size_t)n;
    }
    va_end(again);
}

void as_buf_real(as_buf *b, double x) {
    if (!isfinite(x)) {
        as_buf_str(b, "null");
        return;
    }
    char text[48], out[48];
    const int n = snprintf(text, sizeof text, "%.17g", x);
    size_t used = 0;
    for (int i = 0; i < n; i++) {
        const bool plain = (text[i] >= '0' && text[i] <= '9') || text[i] == '-' || text[i] == '+' ||
                           text[i] == 'e';
        if (plain)
            out[used++] = text[i];
        else if (used > 0 &&
                 out[used - 1] != '.') /* the locale's decimal point, of one or more bytes */
            out[used++] = '.';
    }
    as_buf_add(b, out, used);
}

static void json_escape(as_buf *b, unsigned char c) {
    switch (c) {
    case '"':
        as_buf_str(b, "\\\"");
        break;
    case '\\':
        as_buf_str(b, "\\\\");
        break;
    case '\n':
        as_buf_str(b, "\\n");
        break;
    case '\r':
        as_buf_str(b, "\\r");
        break;
    case '\t':
        as_buf_str(b, "\\t");
        break;
    default:
        as_buf_fmt(b, "\\u%04x", c);
    }
}

void as_buf_json_str(as_buf *b, as_str s) {
    as_buf_char(b, '"');
    for (size_t i = 0; i < s.n;) {
        size_t run = i;
        while (run < s.n && (unsigned char)s.p[run] >= 0x20 && s.p[run] != '"' && s.p[run] != '\\')
            run++;
        as_utf8_lossy(b, (as_str){s.p + i, run - i}); /* a cut at ASCII never splits a sequence */
        if (run < s.n) json_escape(b, (unsigned char)s.p[run++]);
        i = run;
    }
    as_buf_char(b, '"');
}

void as_buf_clear(as_buf *b) {
    b->n = 0;
    b->failed = false;
    if (b->p != NULL) b->p[0] = '\0';
}

void as_buf_free(as_buf *b) {
    as_free(b->p);
    *b = (as_buf){0};
}

bool as_parse_i64(as_str s, int64_t *out) {
    size_t i = 0;
    const bool minus = s.n > 0 && s.p[0] == '-';
    if (s.n > 0 && (s.p[0] == '-' || s.p[0] == '+')) i = 1;
    if (i == s.n) return false;
    int64_t value = 0; /* counts downwards: INT64_MIN has no positive twin */
    for (; i < s.n; i++) {
        const int digit = s.p[i] - '0';
        if (digit < 0 || digit > 9 || __builtin_mul_overflow(value, 10, &value) ||
            __builtin_sub_overflow(value, digit, &value))
            return false;
    }
    if (!minus && value == INT64_MIN) return false;
    *out = minus ? value : -value;
    return true;
}

/* A decimal number as the grammar has it: [+-] digits [. digits] [e [+-] digits], with a digit
 * before the e. */
typedef struct decimal {
    bool ok, negative, exact; /* exact: all digits fit `mantissa` */
    uint64_t mantissa;
    int64_t exponent; /* value = mantissa * 10^exponent */
} decimal;

static size_t scan_digits(as_str s, size_t i, decimal *d, int64_t step) {
    for (; i < s.n && s.p[i] >= '0' && s.p[i] <= '9'; i++) {
        if (d->mantissa > 99999999999999u) d->exact = false; /* keeps it below 10^15 */
        if (d->exact) d->mantissa = d->mantissa * 10 + (uint64_t)(s.p[i] - '0');
        d->exponent -= step;
        d->ok = true;
    }
    return i;
}

static decimal scan_decimal(as_str s) {
    decimal d = {.exact = true};
    size_t i = 0;
    if (i < s.n && (s.p[i] == '-' || s.p[i] == '+')) d.negative = s.p[i++] == '-';
    i = scan_digits(s, i, &d, 0);
    if (i < s.n && s.p[i] == '.') i = scan_digits(s, i + 1, &d, 1);
    if (d.ok && i < s.n && (s.p[i] == 'e' || s.p[i] == 'E')) {
        int64_t e = 0;
        const as_str rest = {s.p + i + 1, s.n - i - 1};
        if (as_parse_i64(rest, &e) && e > -400 && e < 400)
            d.exponent += e;
        else
            d.exact = false; /* very large exponents are strtod's to judge */
        size_t j = i + 1;
        if (j < s.n && (s.p[j] == '-' || s.p[j] == '+')) j++;
        d.ok = j < s.n;
        while (j < s.n && s.p[j] >= '0' && s.p[j] <= '9')
            j++;
        i = j;
    }
    d.ok = d.ok && i == s.n;
    return d;
}

static bool parse_special(as_str s, double *out) {
    const bool sign = s.n > 0 && (s.p[0] == '-' || s.p[0] == '+');
    const char *const p = s.p + sign;
    const size_t n = s.n - sign;
    double value;
    if (n == 3 && strncasecmp(p, "nan", 3) == 0)
        value = (double)NAN;
    else if ((n == 3 && strncasecmp(p, "inf", 3) == 0) ||
             (n == 8 && strncasecmp(p, "infinity", 8) == 0))
        value = (double)INFINITY;
    else
        return false;
    *out = sign && s.p[0] == '-' ? -value : value;
    return true;
}

/* Correctly rounded, in the C locale whatever the process has set. */
static bool parse_slow(as_str s, double *out) {
    char local[64], *text = local;
    if (s.n >= sizeof local && (text = as_alloc(s.n + 1, 1)) == NULL) return false;
    memcpy(text, s.p, s.n);
    text[s.n] = '\0';
    const locale_t c = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    bool ok = c != (locale_t)0;
    if (ok) {
        *out = strtod_l(text, NULL, c);
        ok = isfinite(*out);
        freelocale(c);
    }
    if (text != local) as_free(text);
    return ok;
}

bool as_parse_f64(as_str s, double *out) {
    static const double power[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                   1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                   1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    const decimal d = scan_decimal(s);
    if (!d.ok) return parse_special(s, out);
    if (!d.exact || d.exponent < -22 || d.exponent > 22) {
        double value;
        if (!parse_slow(s, &value)) return false;
        *out = value;
        return true;
    }
    /* Both factors are exact doubles, so the one operation rounds correctly (Clinger 1990). */
    const double m = (double)d.mantissa;
    const double value = d.exponent < 0 ? m / power[-d.exponent] : m * power[d.exponent];
    *out = d.negative ? -value : value;
    return true;
}

enum { NEAREST_MAX = 127 };

static char lower(char c) {
    return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

/* Levenshtein distance in bytes, ASCII case ignored. */
static size_t edit_distance(const char *a, size_t na, const char *b, size_t nb) {
    size_t row[NEAREST_MAX + 1];
    for (size_t j = 0; j <= nb; j++)
        row[j] = j;
    for (size_t i = 1; i <= na; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= nb; j++) {
            const size_t change = diagonal + (lower(a[i - 1]) != lower(b[j - 1]));
            const size_t drop = 1 + (row[j] < row[j - 1] ? row[j] : row[j - 1]);
            diagonal = row[j];
            row[j] = change < drop ? change : drop;
        }
    }
    return row[nb];
}

int as_nearest(const char *word, const char *const *candidates, size_t count) {
    const size_t n = strlen(word);
    int best = -1;
    size_t best_distance = n / 2 + 1;
    if (n > NEAREST_MAX) return -1;
    for (size_t i = 0; i < count; i++) {
        const size_t m = strlen(candidates[i]);
        if (m > NEAREST_MAX) continue;
        const size_t distance = edit_distance(word, n, candidates[i], m);
        if (distance >= best_distance) continue;
        best_distance = distance;
        best = (int)i;
    }
    return best;
}
