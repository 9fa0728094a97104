#define ZLIB_CONST /* zlib's input pointer is const on request */
#include "io/decompress.h"
#include "base/file.h"
#include "base/mem.h"
#include "io/table.h"
#include <inttypes.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <zlib.h>
#include <zstd.h>

enum { CHUNK = 256 << 10 };

typedef enum packing { PLAIN, GZIP, ZSTD, BZIP2, XZ, ZIP } packing;

static packing packing_of(as_str in) {
    static const struct {
        packing kind;
        size_t n;
        const char *magic;
    } known[] = {
        {GZIP, 3, "\x1F\x8B\x08"},
        {ZSTD, 4, "\x28\xB5\x2F\xFD"},
        {XZ, 6,
         "\xFD"
         "7zXZ\0"},
        {ZIP, 4, "PK\x03\x04"},
    };
    for (size_t i = 0; i < AS_COUNT(known); i++)
        if (in.n >= known[i].n && memcmp(in.p, known[i].magic, known[i].n) == 0)
            return known[i].kind;
    if (in.n >= 10 && memcmp(in.p, "BZh", 3) == 0 && memcmp(in.p + 4, "1AY&SY", 6) == 0)
        return BZIP2;
    /* zstd's skippable frames, which its parallel writers put first: 0x184D2A5? */
    if (in.n >= 4 && ((unsigned char)in.p[0] & 0xF0) == 0x50 &&
        memcmp(in.p + 1, "\x2A\x4D\x18", 3) == 0)
        return ZSTD;
    return PLAIN;
}

bool as_is_plain(as_str in) {
    return packing_of(in) == PLAIN;
}

/* Where the unpacked bytes go. */
typedef struct sink {
    as_buf *out;
    const char *where;
    uint64_t limit, total;
    as_err *err;
} sink;

static as_status take(sink *s, const char *bytes, size_t n) {
    s->total += n;
    if (s->limit > 0 && s->total > s->limit) {
        as_fail(s->err, ASSAY_NOMEM, "%s: unpacks to more than %" PRIu64 " MB", s->where,
                s->limit / 1000000);
        as_hint(s->err, "This is more than the memory at hand allows: cut the file into parts, or "
                        "read it on a larger machine.");
        return ASSAY_NOMEM;
    }
    as_buf_add(s->out, bytes, n);
    return s->out->failed ? as_fail_nomem(s->err, s->where, s->out->n + n) : ASSAY_OK;
}

static as_status fail_cut(const sink *s, const char *kind) {
    const as_status status = as_fail(
        s->err, ASSAY_FORMAT, "%s: the %s data end too early, after %" PRIu64 " unpacked bytes",
        s->where, kind, s->total);
    as_hint(s->err, "The file is cut short; fetch or write it again.");
    return status;
}

static as_status fail_damaged(const sink *s, const char *kind, const char *why) {
    const as_status status =
        as_fail(s->err, ASSAY_FORMAT, "%s: damaged %s data after %" PRIu64 " unpacked bytes: %s",
                s->where, kind, s->total, why);
    as_hint(s->err, "The file is damaged; fetch or write it again.");
    return status;
}

static void *zlib_alloc(void *unused, unsigned count, unsigned size) {
    (void)unused;
    return as_alloc(count, size);
}
static void zlib_free(void *unused, void *p) {
    (void)unused;
    as_free(p);
}

static bool all_zero(const unsigned char *p, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (p[i] != 0) return false;
    return true;
}

/* Runs the members one after the other; `chunk` holds CHUNK bytes. Zero bytes after the last member
 * are padding, as for gzip itself. */
static as_status inflate_all(z_stream *z, as_str in, char *chunk, sink *s) {
    size_t left = in.n;
    z->next_in = (const unsigned char *)in.p;
    for (;;) {
        const unsigned piece = left < UINT_MAX / 2 ? (unsigned)left : UINT_MAX / 2;
        z->avail_in = piece;
        z->next_out = (unsigned char *)chunk;
        z->avail_out = CHUNK;
        const int result = inflate(z, Z_NO_FLUSH);
        left -= piece - z->avail_in;
        AS_TRY(take(s, chunk, CHUNK - z->avail_out));
        if (result == Z_STREAM_END) {
            if (all_zero(z->next_in, left)) return ASSAY_OK;
            if (packing_of((as_str){(const char *)z->next_in, left}) != GZIP)
                return left < 3 ? fail_cut(s, "gzip")
                                : fail_damaged(s, "gzip", "other bytes follow its end");
            if (inflateReset(z) != Z_OK)
                return fail_damaged(s, "gzip", "the next member cannot be read");
        } else if (result == Z_MEM_ERROR) {
            return as_fail_nomem(s->err, s->where, in.n);
        } else if (result == Z_BUF_ERROR || (result == Z_OK && left == 0 && z->avail_out > 0)) {
            return fail_cut(s, "gzip");
        } else if (result != Z_OK) {
            return fail_damaged(s, "gzip", z->msg != NULL ? z->msg : "not readable");
        }
    }
}

static as_status unpack_gzip(as_str in, char *chunk, sink *s) {
    z_stream z = {.zalloc = zlib_alloc, .zfree = zlib_free};
    if (inflateInit2(&z, 16 + MAX_WBITS) != Z_OK) return as_fail_nomem(s->err, s->where, in.n);
    const as_status status = inflate_all(&z, in, chunk, s);
    inflateEnd(&z);
    return status;
}

static as_status unpack_zstd(as_str in, char *chunk, sink *s) {
    ZSTD_DStream *const z = ZSTD_createDStream();
    if (z == NULL) return as_fail_nomem(s->err, s->where, in.n);
    ZSTD_inBuffer input = {in.p, in.n, 0};
    as_status status = ASSAY_OK;
    size_t result = 1; /* 0 at the end of a frame */
    bool full = false; /* more output may be waiting */
    while (status == ASSAY_OK && (input.pos < input.size || full)) {
        ZSTD_outBuffer output = {chunk, CHUNK, 0};
        result = ZSTD_decompressStream(z, &output, &input);
        if (ZSTD_isError(result)) {
            status = fail_damaged(s, "zstd", ZSTD_getErrorName(result));
            break;
        }
        full = output.pos == output.size && result != 0;
        status = take(s, chunk, output.pos);
    }
    if (status == ASSAY_OK && result != 0) status = fail_cut(s, "zstd");
    ZSTD_freeDStream(z);
    return status;
}

as_status as_decompress(as_buf *out, as_str in, const char *where, uint64_t limit, as_err *err) {
    static const char *const names[] = {"plain", "gzip", "zstd", "bzip2", "xz", "zip"};
    sink s = {out, where, limit, 0, err};
    const packing kind = packing_of(in);
    if (kind == PLAIN) return take(&s, in.p, in.n);
    if (kind != GZIP && kind != ZSTD) {
        const as_status status =
            as_fail(err, ASSAY_FORMAT, "%s: packed with %s, which is not read", where, names[kind]);
        as_hint(err, "Unpack it first, or pack it with gzip or zstd.");
        return status;
    }
    char *const chunk = as_alloc(CHUNK, 1);
    if (chunk == NULL) return as_fail_nomem(err, where, CHUNK);
    const as_status status = kind == GZIP ? unpack_gzip(in, chunk, &s) : unpack_zstd(in, chunk, &s);
    as_free(chunk);
    return status;
}

as_status as_read_maybe_compressed(as_buf *out, const char *path, as_err *err) {
    const char *const where = strcmp(path, "-") == 0 ? "standard input" : path;
    const uint64_t limit = as_mem_limit() / 2; /* the other half is for what is made of the bytes */
    struct stat st;
    if (stat(path, &st) == 0 && S_ISREG(st.st_mode) && (uint64_t)st.st_size > limit) {
        as_fail(err, ASSAY_NOMEM, "%s: %" PRId64 " MB, more than half of the memory", where,
                (int64_t)st.st_size / 1000000);
        as_hint(err, "Cut the file into parts, or read it on a larger machine.");
        return ASSAY_NOMEM;
    }
    as_buf raw = {0};
    as_status s = as_file_read(&raw, path, 0, err);
    if (s == ASSAY_OK && as_is_plain(as_buf_view(&raw)) &&
        out->p == NULL) { /* the usual case: no copy */
        *out = raw;
        return ASSAY_OK;
    }
    if (s == ASSAY_OK) s = as_decompress(out, as_buf_view(&raw), where, limit, err);
    as_buf_free(&raw);
    return s;
}
