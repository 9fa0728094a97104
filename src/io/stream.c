#define ZLIB_CONST /* zlib's input pointer is const on request */
#include "io/stream.h"
#include "base/mem.h"
#include "io/decompress.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

enum { PIECE = 256 << 10 };

struct as_stream {
    char *path;
    const char *where;
    int fd;
    bool end;             /* of the file */
    unsigned char *in;    /* bytes [at, have) of the file are not used yet */
    size_t at, have;
    enum { COPY, GUNZIP, UNZSTD } kind;
    z_stream z;
    ZSTD_DStream *zstd;
    bool inside;          /* within a member or frame */
    uint64_t total;       /* bytes given out */
};

static as_status fill(as_stream *s, as_err *err) {
    while (s->at == s->have && !s->end) {
        const ssize_t got = read(s->fd, s->in, PIECE);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return as_fail(err, AS_IO, "%s: cannot be read: %s", s->where, strerror(errno));
        s->at = 0, s->have = (size_t)got;
        s->end = got == 0;
    }
    return AS_OK;
}

/* The first bytes decide; a pipe may give them one by one. */
static as_status sniff(as_stream *s, as_err *err) {
    while (s->have < 16 && !s->end) {
        const ssize_t got = read(s->fd, s->in + s->have, PIECE - s->have);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return as_fail(err, AS_IO, "%s: cannot be read: %s", s->where, strerror(errno));
        s->have += (size_t)got;
        s->end = got == 0;
    }
    if (as_is_plain((as_str){(const char *)s->in, s->have})) return AS_OK;
    if (s->have >= 2 && s->in[0] == 0x1F && s->in[1] == 0x8B) {
        s->kind = GUNZIP;
        return inflateInit2(&s->z, 16 + MAX_WBITS) == Z_OK ? AS_OK : as_fail_nomem(err, s->where, PIECE);
    }
    if (s->in[0] == 0x28 || (s->in[0] & 0xF0) == 0x50) {
        s->kind = UNZSTD;
        s->zstd = ZSTD_createDStream();
        return s->zstd != NULL ? AS_OK : as_fail_nomem(err, s->where, PIECE);
    }
    as_buf unused = {0}; /* another packing: the message that it always has */
    const as_status status = as_decompress(&unused, (as_str){(const char *)s->in, s->have}, s->where, 0, err);
    as_buf_free(&unused);
    return status != AS_OK ? status : as_fail(err, AS_FORMAT, "%s: cannot be unpacked", s->where);
}

as_status as_stream_open(as_stream **out, const char *path, as_err *err) {
    *out = NULL;
    as_stream *const s = as_calloc(1, sizeof *s);
    if (s == NULL) return as_fail_nomem(err, path, sizeof *s);
    const bool standard = strcmp(path, "-") == 0;
    s->path = as_strdup(path);
    s->in = as_alloc(PIECE, 1);
    s->where = standard ? "standard input" : s->path;
    s->fd = standard ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    as_status status = AS_OK;
    if (s->path == NULL || s->in == NULL) status = as_fail_nomem(err, path, PIECE);
    else if (s->fd < 0) status = as_fail(err, AS_IO, "%s: cannot be opened: %s", path, strerror(errno));
    else status = sniff(s, err);
    if (status == AS_OK) *out = s;
    else as_stream_close(s);
    return status;
}

void as_stream_close(as_stream *s) {
    if (s == NULL) return;
    if (s->kind == GUNZIP) inflateEnd(&s->z);
    ZSTD_freeDStream(s->zstd);
    if (s->fd > STDIN_FILENO) close(s->fd);
    as_free(s->path), as_free(s->in), as_free(s);
}

static as_status damaged(const as_stream *s, const char *what, as_err *err) {
    (void)as_fail(err, AS_FORMAT, "%s: %s after %" PRIu64 " unpacked bytes", s->where, what, s->total);
    as_hint(err, "The file is cut short or damaged; fetch or write it again.");
    return AS_FORMAT;
}

/* Each gives at least one byte, or none at the end of the data. */
static as_status gunzip(as_stream *s, unsigned char *p, size_t cap, size_t *n, as_err *err) {
    while (*n == 0) {
        AS_TRY(fill(s, err));
        if (s->at == s->have) return s->inside ? damaged(s, "the gzip data end too early", err) : AS_OK;
        if (!s->inside && s->total > 0 && s->in[s->at] == 0) { /* zero bytes behind the last member are padding */
            s->at++;
            continue;
        }
        s->inside = true;
        s->z.next_in = s->in + s->at;
        s->z.avail_in = (unsigned)(s->have - s->at);
        s->z.next_out = p;
        s->z.avail_out = (unsigned)cap;
        const int result = inflate(&s->z, Z_NO_FLUSH);
        s->at = s->have - s->z.avail_in;
        *n = cap - s->z.avail_out;
        if (result == Z_MEM_ERROR) return as_fail_nomem(err, s->where, PIECE);
        if (result != Z_OK && result != Z_STREAM_END && result != Z_BUF_ERROR) return damaged(s, "damaged gzip data", err);
        if (result != Z_STREAM_END) continue;
        s->inside = false;
        if (inflateReset(&s->z) != Z_OK) return damaged(s, "damaged gzip data", err);
    }
    return AS_OK;
}

static as_status unzstd(as_stream *s, void *p, size_t cap, size_t *n, as_err *err) {
    for (;;) {
        AS_TRY(fill(s, err));
        ZSTD_inBuffer in = {s->in, s->have, s->at};
        ZSTD_outBuffer out = {p, cap, 0};
        if (s->at == s->have && !s->inside) return AS_OK;
        const size_t result = ZSTD_decompressStream(s->zstd, &out, &in);
        if (ZSTD_isError(result)) return damaged(s, "damaged zstd data", err);
        const bool stuck = in.pos == s->at && out.pos == 0;
        s->at = in.pos;
        s->inside = result != 0;
        *n = out.pos;
        if (*n > 0) return AS_OK;
        if (stuck && s->end && s->inside) return damaged(s, "the zstd data end too early", err);
    }
}

as_status as_stream_read(as_stream *s, void *p, size_t cap, size_t *n, as_err *err) {
    as_status status = AS_OK;
    *n = 0;
    if (cap > (size_t)1 << 30) cap = (size_t)1 << 30;
    if (cap == 0) return AS_OK;
    if (s->kind == GUNZIP) {
        status = gunzip(s, p, cap, n, err);
    } else if (s->kind == UNZSTD) {
        status = unzstd(s, p, cap, n, err);
    } else {
        AS_TRY(fill(s, err));
        *n = s->have - s->at < cap ? s->have - s->at : cap;
        if (*n > 0) memcpy(p, s->in + s->at, *n);
        s->at += *n;
    }
    s->total += *n;
    return status;
}
