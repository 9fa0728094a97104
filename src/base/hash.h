/* hash.h: XXH3 (64 and 128 bit, for tables and item identity) and SHA-256 (for provenance). */
#ifndef AS_BASE_HASH_H
#define AS_BASE_HASH_H

#include "base/status.h"
#include <stddef.h>
#include <stdint.h>

uint64_t as_hash64(const void *p, size_t n, uint64_t seed);
typedef struct as_hash128 { uint64_t lo, hi; } as_hash128;
as_hash128 as_hash128_of(const void *p, size_t n);
/* Lower-case hex digest of bytes, or of a file's content (streamed). */
typedef struct as_sha256 { char hex[65]; } as_sha256;
as_sha256 as_sha256_of(const void *p, size_t n);
as_status as_sha256_file(as_sha256 *out, const char *path, as_err *err) AS_CHECKED;

#endif
