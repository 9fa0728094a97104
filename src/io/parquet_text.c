/* parquet_text.c: the text of a value. Whole numbers in decimal; reals as Python shows them, with
 * the fewest digits that give the same double ("0.1", "1.0", "1e-05"), which is what a JSON file of
 * the same data holds; dates and times in ISO 8601. */
#include "base/utf8.h"
#include "io/parquet_impl.h"
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LONGEST = 64 };

static size_t put(char *out, const char *text) {
    const size_t n = strlen(text);
    memcpy(out, text, n);
    return n;
}

/* `least` digits at least. */
static size_t put_u128(char *out, unsigned __int128 v, size_t least) {
    char digits[40];
    size_t n = 0;
    do {
        digits[n++] = (char)('0' + (int)(v % 10));
        v /= 10;
    } while (v > 0);
    while (n < least)
        digits[n++] = '0';
    for (size_t i = 0; i < n; i++)
        out[i] = digits[n - 1 - i];
    return n;
}

static size_t put_unsigned(char *out, uint64_t v, size_t least) {
    char digits[24];
    size_t n = 0;
    do {
        digits[n++] = (char)('0' + (int)(v % 10));
        v /= 10;
    } while (v > 0);
    while (n < least)
        digits[n++] = '0';
    for (size_t i = 0; i < n; i++)
        out[i] = digits[n - 1 - i];
    return n;
}

static size_t put_signed(char *out, int64_t v) {
    if (v >= 0) return put_unsigned(out, (uint64_t)v, 1);
    out[0] = '-';
    return 1 + put_unsigned(out + 1, -(uint64_t)v, 1);
}

/* ---- reals ---- */

/* The fewest digits that give x again; x is finite and not negative. Up to 15 digits the nearest
 * decimal is the one, without its zeros; only subnormal numbers are told apart by fewer. *point is
 * the exponent of the first digit. */
static size_t digits_of(double x, char digits[20], int *point) {
    char text[48];
    for (int more = x < DBL_MIN ? 0 : 14; more <= 16; more++) {
        snprintf(text, sizeof text, "%.*e", more, x);
        if (strtod(text, NULL) == x) break;
        /* Below a power of two doubles lie closer: only the next number above may lead back. */
        char *const last = strchr(text, 'e') - 1;
        if (more < 15 || *last == '9') continue;
        ++*last;
        if (strtod(text, NULL) == x) break;
    }
    size_t n = 0;
    const char *p = text;
    for (; *p != 'e'; p++) /* past the decimal point of any locale */
        if (*p >= '0' && *p <= '9') digits[n++] = *p;
    *point = atoi(p + 1);
    while (n > 1 && digits[n - 1] == '0')
        n--;
    return n;
}

static size_t put_real(char *out, double x) {
    if (isnan(x)) return put(out, "NaN");
    size_t n = signbit(x) ? put(out, "-") : 0;
    if (isinf(x)) return n + put(out + n, "Infinity");
    x = fabs(x);
    if (x < 1e15 && x == floor(x)) {
        n += put_unsigned(out + n, (uint64_t)x, 1);
        return n + put(out + n, ".0");
    }
    char digits[20];
    int point;
    const int count = (int)digits_of(x, digits, &point);
    if (point < -4 || point >= 16) {
        out[n++] = digits[0];
        if (count > 1) out[n++] = '.';
        for (int i = 1; i < count; i++)
            out[n++] = digits[i];
        return n + put(out + n, point < 0 ? "e-" : "e+") +
               put_unsigned(out + n + 2, (uint64_t)abs(point), 2);
    }
    if (point < 0) n += put(out + n, "0.");
    for (int i = point + 1; i < 0; i++)
        out[n++] = '0';
    for (int i = 0; i < count || i <= point; i++) {
        out[n++] = i < count ? digits[i] : '0';
        if (i == point) out[n++] = '.';
    }
    if (out[n - 1] == '.') out[n++] = '0';
    return n;
}

static double half_of(uint32_t bits) {
    const uint32_t exponent = bits >> 10 & 31, fraction = bits & 1023;
    const double sign = (bits & 0x8000) != 0 ? -1.0 : 1.0;
    if (exponent == 31) return fraction != 0 ? (double)NAN : sign * (double)INFINITY;
    if (exponent == 0) return sign * ldexp(fraction, -24);
    return sign * ldexp(1024.0 + fraction, (int)exponent - 25);
}

static double real_of(const as_pq_node *leaf, int64_t i) {
    if (leaf->type == AS_PQ_FLOAT) {
        float f;
        const uint32_t bits = (uint32_t)(uint64_t)i;
        memcpy(&f, &bits, sizeof f);
        return (double)f;
    }
    double x;
    memcpy(&x, &i, sizeof x);
    return x;
}

/* ---- dates, times, decimals, ids ---- */

/* Days since 1970-01-01 in the Gregorian calendar, which repeats every 400 years = 146,097 days.
 * Years begin in March here, so that the leap day is a year's last. */
static size_t put_date(char *out, int64_t days) {
    days += 719468; /* since 0000-03-01 */
    const int64_t era = (days >= 0 ? days : days - 146096) / 146097, day = days - era * 146097;
    const int64_t in_era = (day - day / 1460 + day / 36524 - day / 146096) / 365;
    const int64_t in_year = day - (365 * in_era + in_era / 4 - in_era / 100);
    const int64_t month = (5 * in_year + 2) / 153;
    int64_t year = era * 400 + in_era + (month >= 10);
    size_t n = 0;
    if (year < 0) {
        out[n++] = '-';
        year = -year;
    }
    n += put_unsigned(out + n, (uint64_t)year, 4);
    out[n++] = '-';
    n += put_unsigned(out + n, (uint64_t)(month < 10 ? month + 3 : month - 9), 2);
    out[n++] = '-';
    return n + put_unsigned(out + n, (uint64_t)(in_year - (153 * month + 2) / 5 + 1), 2);
}

static int64_t per_second(int32_t digits) {
    return digits == 3 ? 1000 : digits == 6 ? 1000000 : 1000000000;
}

/* `ticks` since midnight, 0 <= ticks; a fraction only when there is one. */
static size_t put_clock(char *out, int64_t ticks, int32_t digits) {
    const int64_t unit = per_second(digits), seconds = ticks / unit, rest = ticks % unit;
    size_t n = put_unsigned(out, (uint64_t)(seconds / 3600), 2);
    out[n++] = ':';
    n += put_unsigned(out + n, (uint64_t)(seconds / 60 % 60), 2);
    out[n++] = ':';
    n += put_unsigned(out + n, (uint64_t)(seconds % 60), 2);
    if (rest == 0) return n;
    out[n++] = '.';
    return n + put_unsigned(out + n, (uint64_t)rest, (size_t)digits);
}

static size_t put_stamp(char *out, int64_t ticks, int32_t digits, bool utc) {
    const int64_t day = 86400 * per_second(digits);
    int64_t days = ticks / day, rest = ticks % day;
    if (rest < 0) {
        rest += day;
        days--;
    }
    size_t n = put_date(out, days);
    out[n++] = 'T';
    n += put_clock(out + n, rest, digits);
    if (utc) out[n++] = 'Z';
    return n;
}

/* A whole number of two's complement, the highest byte first. */
static __int128 big_endian(as_str bytes) {
    unsigned __int128 v =
        bytes.n > 0 && (unsigned char)bytes.p[0] >= 0x80 ? ~(unsigned __int128)0 : 0;
    for (size_t i = 0; i < bytes.n; i++)
        v = v << 8 | (unsigned char)bytes.p[i];
    return (__int128)v;
}

static size_t put_decimal(char *out, __int128 v, size_t scale) {
    size_t n = 0;
    if (v < 0) out[n++] = '-';
    n += put_u128(out + n, v < 0 ? -(unsigned __int128)v : (unsigned __int128)v, scale + 1);
    if (scale == 0) return n;
    memmove(out + n - scale + 1, out + n - scale, scale);
    out[n - scale] = '.';
    return n + 1;
}

static size_t put_uuid(char *out, as_str bytes) {
    static const char hex[] = "0123456789abcdef";
    size_t n = 0;
    for (size_t i = 0; i < bytes.n; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10) out[n++] = '-';
        out[n++] = hex[(unsigned char)bytes.p[i] >> 4];
        out[n++] = hex[bytes.p[i] & 15];
    }
    return n;
}

/* ---- one value, all values ---- */

bool as_pq_quoted(const as_pq_node *leaf) {
    return leaf->kind == AS_PQ_TEXT || leaf->kind == AS_PQ_DATE || leaf->kind == AS_PQ_TIME ||
           leaf->kind == AS_PQ_STAMP || leaf->kind == AS_PQ_UUID;
}

/* At most LONGEST bytes. */
static size_t put_value(const as_pq_node *leaf, as_pq_value v, char *out) {
    const bool arrays = leaf->type == AS_PQ_BYTES || leaf->type == AS_PQ_FIXED;
    switch (leaf->kind) {
    case AS_PQ_INT:
        return put_signed(out, v.i);
    case AS_PQ_UINT:
        return put_unsigned(out, leaf->type == AS_PQ_INT32 ? (uint32_t)v.i : (uint64_t)v.i, 1);
    case AS_PQ_REAL:
        return put_real(out, real_of(leaf, v.i));
    case AS_PQ_HALF:
        return put_real(out,
                        half_of((unsigned char)v.s.p[0] | (uint32_t)(unsigned char)v.s.p[1] << 8));
    case AS_PQ_DATE:
        return put_date(out, v.i);
    case AS_PQ_TIME: /* beyond a day, or negative, it is no time of a day: shown as it is stored */
        return v.i < 0 || v.i / per_second(leaf->scale) >= 86400 ? put_signed(out, v.i)
                                                                 : put_clock(out, v.i, leaf->scale);
    case AS_PQ_STAMP:
        return put_stamp(out, v.i, leaf->scale, leaf->utc);
    case AS_PQ_DECIMAL:
        return put_decimal(out, arrays ? big_endian(v.s) : v.i, (size_t)leaf->scale);
    default:
        return put_uuid(out, v.s);
    }
}

static as_status show_text(as_pq *q, uint32_t node, as_pq_value *v, as_buf *lossy,
                           as_pq_pool *made) {
    const size_t valid = as_utf8_valid_prefix(v->s.p, v->s.n);
    if (valid == v->s.n) return ASSAY_OK;
    if (!q->lossy)
        return as_pq_refuse(q, node,
                            "If these are bytes and no text, leave the column out; --encoding "
                            "utf-8-lossy replaces what is invalid and counts it.",
                            "a value is not valid UTF-8 (byte %zu, 0x%02X)", valid + 1,
                            (unsigned)(unsigned char)v->s.p[valid]);
    as_buf_clear(lossy);
    q->t->replaced += (int64_t)as_utf8_lossy(lossy, v->s);
    char *const p = lossy->failed ? NULL : as_pq_take(q, made, lossy->n);
    if (p == NULL) return as_pq_nomem(q);
    memcpy(p, lossy->p, lossy->n);
    v->s = (as_str){p, lossy->n};
    return ASSAY_OK;
}

as_status as_pq_show(as_pq *q, uint32_t node, as_pq_value *v, size_t n, as_pq_pool *made) {
    const as_pq_node *const leaf = &q->nodes[node];
    as_buf lossy = {0};
    as_status status = ASSAY_OK;
    for (size_t i = 0; i < n && status == ASSAY_OK; i++) {
        char text[LONGEST];
        if (leaf->kind == AS_PQ_TEXT) {
            status = show_text(q, node, &v[i], &lossy, made);
            continue;
        }
        if (leaf->kind == AS_PQ_BOOL) {
            v[i].s = v[i].i != 0 ? AS_LIT("true") : AS_LIT("false");
            continue;
        }
        if (leaf->kind == AS_PQ_DECIMAL && leaf->type == AS_PQ_BYTES && v[i].s.n > 16) {
            status = as_pq_refuse(q, node, "Write it as text.",
                                  "a decimal of more than 38 digits is not read");
            break;
        }
        const size_t length = put_value(leaf, v[i], text);
        char *const p = as_pq_take(q, made, length);
        if (p == NULL) {
            status = as_pq_nomem(q);
            break;
        }
        memcpy(p, text, length);
        v[i].s = (as_str){p, length};
    }
    as_buf_free(&lossy);
    return status;
}
