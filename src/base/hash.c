#include "base/hash.h"
#include "base/mem.h"
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <string.h>
#include <unistd.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

uint64_t as_hash64(const void *p, size_t n, uint64_t seed) {
    return XXH3_64bits_withSeed(n > 0 ? p : "", n, seed);
}

as_hash128 as_hash128_of(const void *p, size_t n) {
    const XXH128_hash_t h = XXH3_128bits(n > 0 ? p : "", n);
    return (as_hash128){h.low64, h.high64};
}

static as_sha256 hex_of(const unsigned char digest[32]) {
    static const char digits[] = "0123456789abcdef";
    as_sha256 out;
    for (int i = 0; i < 32; i++) {
        out.hex[2 * i] = digits[digest[i] >> 4];
        out.hex[2 * i + 1] = digits[digest[i] & 15];
    }
    out.hex[64] = '\0';
    return out;
}

as_sha256 as_sha256_of(const void *p, size_t n) {
    unsigned char digest[32] = {0};
    if (EVP_Digest(n > 0 ? p : "", n, digest, NULL, EVP_sha256(), NULL) != 1)
        return (as_sha256){""};
    return hex_of(digest);
}

static as_status digest_fd(EVP_MD_CTX *ctx, int fd, unsigned char *chunk, size_t size,
                           const char *path, as_err *err) {
    for (;;) {
        const ssize_t got = read(fd, chunk, size);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return as_fail(err, ASSAY_IO, "%s: cannot be read: %s", path, strerror(errno));
        if (got == 0) return ASSAY_OK;
        if (EVP_DigestUpdate(ctx, chunk, (size_t)got) != 1)
            return as_fail_nomem(err, "a SHA-256 digest", 0);
    }
}

as_status as_sha256_file(as_sha256 *out, const char *path, as_err *err) {
    enum { CHUNK = 1 << 20 };
    as_status s = ASSAY_OK;
    unsigned char digest[32];
    unsigned char *const chunk = as_alloc(CHUNK, 1);
    EVP_MD_CTX *const ctx = EVP_MD_CTX_new();
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        s = as_fail(err, ASSAY_IO, "%s: cannot be opened: %s", path, strerror(errno));
    else if (chunk == NULL || ctx == NULL || EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) != 1)
        s = as_fail_nomem(err, "a SHA-256 digest", CHUNK);
    else
        s = digest_fd(ctx, fd, chunk, CHUNK, path, err);
    if (s == ASSAY_OK && EVP_DigestFinal_ex(ctx, digest, NULL) != 1)
        s = as_fail_nomem(err, "a SHA-256 digest", 0);
    if (s == ASSAY_OK) *out = hex_of(digest);
    if (fd >= 0) close(fd);
    EVP_MD_CTX_free(ctx);
    as_free(chunk);
    return s;
}
