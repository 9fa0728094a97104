#include "base/mem.h"
#include "base/cgroup.h"
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(memory_sanitizer)
#define HEAP_ONLY 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || !defined(MADV_HUGEPAGE)
#define HEAP_ONLY 1
#endif

enum { ALIGNMENT = 64, HUGE_PAGE = 2 << 20, HUGE_FROM = 4 << 20 };

/* Counters for tests; apart, so that counting blocks does not evict the line that every allocation
 * reads. */
static _Alignas(64) atomic_int_fast64_t fail_countdown;
static _Alignas(64) atomic_int_fast64_t live_blocks;

void as_mem_fail_after(int64_t n) {
    atomic_store(&fail_countdown, n);
}
int64_t as_mem_live_blocks(void) {
    return atomic_load(&live_blocks);
}

static bool must_fail(void) {
    if (atomic_load_explicit(&fail_countdown, memory_order_relaxed) <= 0) return false;
    return atomic_fetch_sub(&fail_countdown, 1) == 1;
}

static void *counted(void *p) {
    if (p != NULL) atomic_fetch_add_explicit(&live_blocks, 1, memory_order_relaxed);
    return p;
}

/* count * size, at least 1; 0 when it overflows or exceeds what a pointer difference can hold. */
static size_t total_bytes(size_t count, size_t size) {
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes) || bytes > PTRDIFF_MAX) return 0;
    return bytes == 0 ? 1 : bytes;
}

void *as_alloc(size_t count, size_t size) {
    const size_t bytes = total_bytes(count, size);
    if (bytes == 0 || must_fail()) return NULL;
    return counted(malloc(bytes));
}

void *as_calloc(size_t count, size_t size) {
    const size_t bytes = total_bytes(count, size);
    if (bytes == 0 || must_fail()) return NULL;
    return counted(calloc(bytes, 1));
}

void *as_realloc(void *p, size_t count, size_t size) {
    if (p == NULL) return as_alloc(count, size);
    const size_t bytes = total_bytes(count, size);
    if (bytes == 0 || must_fail()) return NULL;
    return realloc(p, bytes);
}

void as_free(void *p) {
    if (p == NULL) return;
    atomic_fetch_sub_explicit(&live_blocks, 1, memory_order_relaxed);
    free(p);
}

/* Lies in the 64 bytes before an aligned block. */
typedef struct aligned_head {
    void *raw;
    size_t mapped; /* bytes of the map that starts at raw; 0 = raw is from calloc */
} aligned_head;

static void *place(void *raw, size_t mapped, size_t alignment) {
    const uintptr_t at = ((uintptr_t)raw + ALIGNMENT + alignment - 1) & ~(uintptr_t)(alignment - 1);
    aligned_head *const head = (aligned_head *)(at - ALIGNMENT);
    head->raw = raw;
    head->mapped = mapped;
    return (void *)at;
}

#ifndef HEAP_ONLY
/* A private map that starts on a huge page. The address range in front, up to the page of the
 * header, goes back, so that the header does not cost a huge page of its own. */
static void *map_huge(size_t bytes) {
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t mapped = bytes + HUGE_PAGE + ALIGNMENT;
    char *raw = mmap(NULL, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (raw == MAP_FAILED) return NULL;
    const uintptr_t at = ((uintptr_t)raw + ALIGNMENT + HUGE_PAGE - 1) & ~(uintptr_t)(HUGE_PAGE - 1);
    const size_t front = (at - ALIGNMENT - (uintptr_t)raw) / page * page;
    if (front > 0 && munmap(raw, front) == 0) {
        raw += front;
        mapped -= front;
    }
    (void)madvise((void *)at, bytes, MADV_HUGEPAGE); /* advice: small pages work as well */
    return place(raw, mapped, HUGE_PAGE);
}
#endif

void *as_alloc_aligned(size_t count, size_t size) {
    const size_t bytes = total_bytes(count, size);
    if (bytes == 0 || bytes > PTRDIFF_MAX - HUGE_PAGE - 2 * ALIGNMENT || must_fail()) return NULL;
#ifndef HEAP_ONLY
    if (bytes >= HUGE_FROM) return counted(map_huge(bytes));
#endif
    void *const raw = calloc(bytes + 2 * ALIGNMENT, 1);
    return raw == NULL ? NULL : counted(place(raw, 0, ALIGNMENT));
}

void as_free_aligned(void *p) {
    if (p == NULL) return;
    const aligned_head head = *(const aligned_head *)((char *)p - ALIGNMENT);
    atomic_fetch_sub_explicit(&live_blocks, 1, memory_order_relaxed);
    if (head.mapped > 0)
        munmap(head.raw, head.mapped);
    else
        free(head.raw);
}

char *as_strndup(const char *s, size_t n) {
    if (n == SIZE_MAX) return NULL;
    char *const copy = as_alloc(n + 1, 1);
    if (copy == NULL) return NULL;
    if (n > 0) memcpy(copy, s, n);
    copy[n] = '\0';
    return copy;
}

char *as_strdup(const char *s) {
    return as_strndup(s, strlen(s));
}

bool as_grow(void *p_to_pointer, size_t *cap, size_t need, size_t size) {
    if (need <= *cap) return true;
    size_t want = *cap < 8 ? 8 : *cap;
    while (want < need)
        want = want > SIZE_MAX / 2 ? need : want * 2;
    void *old;
    memcpy(&old, p_to_pointer, sizeof old); /* any object pointer type may stand behind it */
    void *const p = as_realloc(old, want, size);
    if (p == NULL) return false;
    memcpy(p_to_pointer, &p, sizeof p);
    *cap = want;
    return true;
}

bool as_mul_u64(uint64_t a, uint64_t b, uint64_t *out) {
    return !__builtin_mul_overflow(a, b, out);
}
bool as_add_u64(uint64_t a, uint64_t b, uint64_t *out) {
    return !__builtin_add_overflow(a, b, out);
}

static uint64_t physical_bytes(void) {
    const long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    return pages > 0 && page > 0 ? (uint64_t)pages * (uint64_t)page : UINT64_MAX;
}

/* ulimit -v, which batch systems set. */
static uint64_t address_limit(void) {
    struct rlimit r;
    return getrlimit(RLIMIT_AS, &r) == 0 && r.rlim_cur != RLIM_INFINITY ? (uint64_t)r.rlim_cur
                                                                        : UINT64_MAX;
}

static void lower_to_limit(void *ctx, const char *folder) {
    uint64_t *const limit = ctx;
    int64_t v[2];
    if (!as_cgroup_read(folder, "memory.max", 1, v) &&
        !as_cgroup_read(folder, "memory.limit_in_bytes", 1, v))
        return;
    if (v[0] > 0 && (uint64_t)v[0] < *limit) *limit = (uint64_t)v[0];
}

uint64_t as_mem_limit(void) {
    uint64_t limit = physical_bytes();
    as_cgroup_each("memory", lower_to_limit, &limit);
    const uint64_t addresses = address_limit();
    return addresses < limit ? addresses : limit;
}

/* The number behind `key` in a file of "key value" lines; 0 when absent. */
static uint64_t field_of(const char *path, const char *key) {
    FILE *const f = fopen(path, "r");
    if (f == NULL) return 0;
    const size_t n = strlen(key);
    char line[256];
    uint64_t value = 0;
    while (fgets(line, sizeof line, f) != NULL)
        if (strncmp(line, key, n) == 0 && (line[n] == ' ' || line[n] == ':')) {
            value = strtoull(line + n + 1, NULL, 10);
            break;
        }
    fclose(f);
    return value;
}

static void lower_to_free(void *ctx, const char *folder) {
    uint64_t *const available = ctx;
    int64_t limit[2], used[2];
    const bool v2 = as_cgroup_read(folder, "memory.max", 1, limit);
    if (!v2 && !as_cgroup_read(folder, "memory.limit_in_bytes", 1, limit)) return;
    if (limit[0] <= 0 ||
        !as_cgroup_read(folder, v2 ? "memory.current" : "memory.usage_in_bytes", 1, used))
        return;
    char path[4400];
    snprintf(path, sizeof path, "%s/memory.stat", folder);
    /* Clean file pages count as used but are dropped on demand. */
    const uint64_t cached = field_of(path, v2 ? "inactive_file" : "total_inactive_file");
    const uint64_t held = (uint64_t)used[0] > cached ? (uint64_t)used[0] - cached : 0;
    const uint64_t left = (uint64_t)limit[0] > held ? (uint64_t)limit[0] - held : 0;
    if (left < *available) *available = left;
}

uint64_t as_mem_available(void) {
    const uint64_t kib = field_of("/proc/meminfo", "MemAvailable");
    uint64_t available = kib > 0 ? kib * 1024 : physical_bytes();
    as_cgroup_each("memory", lower_to_free, &available);
    const uint64_t addresses = address_limit();
    if (addresses == UINT64_MAX) return available;
    const uint64_t used = field_of("/proc/self/status", "VmSize") * 1024;
    const uint64_t left = addresses > used ? addresses - used : 0;
    return left < available ? left : available;
}
