#define ZLIB_CONST /* zlib's input pointer is const on request */
#include "io/parquet_impl.h"
#include <limits.h>
#include <snappy-c.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

enum { PLAIN, SNAPPY, GZIP, LZO, BROTLI, LZ4, ZSTD, LZ4_RAW };

/* Each unpacks to exactly `size` bytes, or says false. */

static bool unpack_snappy(as_str in, char *out, size_t size) {
    size_t n = 0;
    if (snappy_uncompressed_length(in.p, in.n, &n) != SNAPPY_OK || n != size) return false;
    return snappy_uncompress(in.p, in.n, out, &n) == SNAPPY_OK && n == size;
}

static bool unpack_zstd(as_str in, char *out, size_t size) {
    const size_t n = ZSTD_decompress(out, size, in.p, in.n);
    return !ZSTD_isError(n) && n == size;
}

static void *zlib_alloc(void *unused, unsigned count, unsigned size) {
    (void)unused;
    return as_alloc(count, size);
}
static void zlib_free(void *unused, void *p) {
    (void)unused;
    as_free(p);
}

static bool unpack_gzip(as_str in, char *out, size_t size) {
    if (in.n > UINT_MAX || size > UINT_MAX) return false; /* sizes of pages have 31 bits */
    z_stream z = {.zalloc = zlib_alloc, .zfree = zlib_free};
    if (inflateInit2(&z, 32 + MAX_WBITS) != Z_OK) return false; /* a gzip or a zlib header */
    z.next_in = (const unsigned char *)in.p;
    z.avail_in = (unsigned)in.n;
    z.next_out = (unsigned char *)out;
    z.avail_out = (unsigned)size;
    int result = inflate(&z, Z_FINISH);
    /* several members in a row make one content */
    while (result == Z_STREAM_END && z.avail_out > 0 && z.avail_in > 0 && inflateReset(&z) == Z_OK)
        result = inflate(&z, Z_FINISH);
    inflateEnd(&z);
    return result == Z_STREAM_END && z.avail_out == 0;
}

as_status as_pq_unpack(as_pq *q, uint32_t node, int64_t codec, as_str packed, size_t size,
                       as_pq_pool *made, as_str *out) {
    static const char *const names[] = {"plain",  "Snappy", "gzip", "LZO",
                                        "Brotli", "LZ4",    "zstd", "LZ4 (raw)"};
    *out = (as_str){"", 0};
    if (codec == PLAIN) {
        if (packed.n != size) return as_pq_fail(q, node, "a page whose two sizes differ");
        *out = packed;
        return ASSAY_OK;
    }
    if (codec < 0 || codec >= (int64_t)AS_COUNT(names))
        return as_pq_fail(q, node, "packed in a way that does not exist");
    if (codec != SNAPPY && codec != ZSTD && codec != GZIP)
        return as_pq_refuse(q, node, "Write the file again with Snappy, zstd, gzip or no packing.",
                            "packed with %s, which is not read", names[codec]);
    if (size == 0) return ASSAY_OK; /* a page of nulls: some writers pack nothing, some do not */
    char *const p = as_pq_take(q, made, size);
    if (p == NULL) return as_pq_nomem(q);
    const bool good = codec == SNAPPY ? unpack_snappy(packed, p, size)
                      : codec == ZSTD ? unpack_zstd(packed, p, size)
                                      : unpack_gzip(packed, p, size);
    if (!good)
        return as_pq_fail(q, node, "a damaged page: its %s data do not unpack", names[codec]);
    *out = (as_str){p, size};
    return ASSAY_OK;
}
