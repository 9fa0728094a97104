#include "data/corpus_block.h"
#include "base/hash.h"
#include "base/mem.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* magic, check of what follows the first 16 bytes, count, lengths; then the parts, each padded to 8 bytes. */
typedef struct block_head { char magic[8]; uint64_t check, n, length[AS_BLOCK_PARTS]; } block_head;
#define BLOCK_MAGIC "assayCB1"

static uint64_t padded(uint64_t n) { return (n + 7) & ~(uint64_t)7; }

static bool put(int fd, const void *p, size_t n) {
    while (n > 0) {
        const ssize_t put_now = write(fd, p, n);
        if (put_now < 0 && errno == EINTR) continue;
        if (put_now <= 0) return false;
        p = (const char *)p + put_now;
        n -= (size_t)put_now;
    }
    return true;
}

static uint64_t check_of(const block_head *h, const as_str *parts, int n) {
    uint64_t check = as_hash64(&h->n, sizeof *h - 16, 0);
    for (int i = 0; i < n; i++) check = as_hash64(parts[i].p, parts[i].n, check);
    return check;
}

as_status as_block_write(const char *path, const as_str *parts, int n, as_err *err) {
    static const char zero[8] = {0};
    block_head h = {.n = (uint64_t)n};
    memcpy(h.magic, BLOCK_MAGIC, 8);
    for (int i = 0; i < n; i++) h.length[i] = parts[i].n;
    h.check = check_of(&h, parts, n);
    as_buf tmp = {0};
    as_buf_fmt(&tmp, "%s.tmp", path);
    if (tmp.failed) return as_fail_nomem(err, "a path", tmp.n);
    const int fd = open(tmp.p, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    bool good = fd >= 0 && put(fd, &h, sizeof h);
    for (int i = 0; good && i < n; i++) good = put(fd, parts[i].p, parts[i].n) && put(fd, zero, (size_t)(padded(parts[i].n) - parts[i].n));
    int error = good ? 0 : errno;
    if (fd >= 0 && close(fd) != 0 && error == 0) error = errno;
    if (error == 0 && rename(tmp.p, path) != 0) error = errno;
    as_buf_free(&tmp);
    return error == 0 ? AS_OK : as_fail(err, AS_IO, "%s: cannot be written: %s", path, strerror(error));
}

bool as_block_open(as_block *out, const char *path, int n) {
    block_head h;
    *out = (as_block){0};
    if (!as_file_exists(path) || as_map_open(&out->map, path, NULL) != AS_OK) return *out = (as_block){0}, false;
    uint64_t at = sizeof h;
    bool good = out->map.n >= sizeof h;
    if (good) memcpy(&h, out->map.p, sizeof h);
    good = good && memcmp(h.magic, BLOCK_MAGIC, 8) == 0 && h.n == (uint64_t)n;
    for (int i = 0; good && i < n; i++) {
        good = h.length[i] <= out->map.n && padded(h.length[i]) <= out->map.n - at;
        if (!good) break;
        out->part[i] = (as_str){(const char *)out->map.p + at, (size_t)h.length[i]};
        at += padded(h.length[i]);
    }
    good = good && at == out->map.n && check_of(&h, out->part, n) == h.check;
    if (!good) as_block_close(out);
    return good;
}

void as_block_close(as_block *b) {
    as_map_close(&b->map);
    *b = (as_block){0};
}

as_status as_scratch_open(as_scratch *out, const char *dir, uint64_t count, uint64_t size, as_err *err) {
    uint64_t bytes;
    *out = (as_scratch){0};
    if (!as_mul_u64(count, size, &bytes) || bytes > INT64_MAX) return as_fail_nomem(err, "a table", SIZE_MAX);
    if (bytes == 0) bytes = 8;
    char *const path = as_path_join(dir, "scratch-XXXXXX");
    if (path == NULL) return as_fail_nomem(err, "a path", strlen(dir));
    const int fd = mkostemp(path, O_CLOEXEC);
    void *p = MAP_FAILED;
    if (fd >= 0) {
        unlink(path);
        if (ftruncate(fd, (off_t)bytes) == 0) p = mmap(NULL, (size_t)bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    }
    const int error = errno;
    if (fd >= 0) close(fd);
    as_free(path);
    if (p == MAP_FAILED) return as_fail(err, AS_IO, "%s: no room for a table of %.1f MB: %s", dir, (double)bytes / 1e6, strerror(error));
    *out = (as_scratch){p, (size_t)bytes};
    return AS_OK;
}

void as_scratch_close(as_scratch *s) {
    if (s->p != NULL) munmap(s->p, s->bytes);
    *s = (as_scratch){0};
}

/* Least significant digit first; digits that all keys share are skipped. */
void as_keyed_sort(as_keyed *v, as_keyed *spare, int64_t n) {
    enum { BITS = 11, SIZE = 1 << BITS };
    as_keyed *from = v, *to = spare;
    for (int shift = 0; shift < 64; shift += BITS) {
        int64_t at[SIZE] = {0}, sum = 0;
        for (int64_t i = 0; i < n; i++) at[(from[i].key >> shift) & (SIZE - 1)]++;
        if (n == 0 || at[(from[0].key >> shift) & (SIZE - 1)] == n) continue;
        for (int d = 0; d < SIZE; d++) {
            const int64_t count = at[d];
            at[d] = sum;
            sum += count;
        }
        for (int64_t i = 0; i < n; i++) to[at[(from[i].key >> shift) & (SIZE - 1)]++] = from[i];
        as_keyed *const other = from;
        from = to, to = other;
    }
    if (from != v) memcpy(v, from, (size_t)n * sizeof *v);
}
