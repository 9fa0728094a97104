#include "base/parallel.h"
#include "base/cgroup.h"
#include <omp.h>
#include <sched.h>
#include <stddef.h>
#include <unistd.h>

static int affinity_count(void) {
#ifdef __linux__
    for (int cpus = 1024; cpus <= 1 << 20;
         cpus *= 4) { /* the kernel refuses a set smaller than its own */
        cpu_set_t *const set = CPU_ALLOC((size_t)cpus);
        if (set == NULL) break;
        const size_t size = CPU_ALLOC_SIZE((size_t)cpus);
        const int count = sched_getaffinity(0, size, set) == 0 ? CPU_COUNT_S(size, set) : 0;
        CPU_FREE(set);
        if (count > 0) return count;
    }
#endif
    const long online = sysconf(_SC_NPROCESSORS_ONLN);
    return online > 0 ? (int)online : 1;
}

/* A quota of 1.5 processors counts as 2: one thread could not use it up. */
static void lower_to_quota(void *ctx, const char *folder) {
    int *const count = ctx;
    int64_t v[2], period[2];
    if (!as_cgroup_read(folder, "cpu.max", 2, v)) {
        if (!as_cgroup_read(folder, "cpu.cfs_quota_us", 1, v) ||
            !as_cgroup_read(folder, "cpu.cfs_period_us", 1, period))
            return;
        v[1] = period[0];
    }
    if (v[0] <= 0 || v[0] == INT64_MAX || v[1] <= 0) return;
    const int64_t cpus = v[0] / v[1] + (v[0] % v[1] != 0);
    if (cpus < *count) *count = (int)cpus;
}

int as_cpu_count(void) {
    int count = affinity_count();
    as_cgroup_each("cpu", lower_to_quota, &count);
    return count < 1 ? 1 : count;
}

static void run_serial(int64_t chunks, void (*body)(void *ctx, int64_t chunk, int thread),
                       void *ctx) {
    for (int64_t i = 0; i < chunks; i++)
        body(ctx, i, 0);
}

void as_parallel_for(int threads, int64_t chunks,
                     void (*body)(void *ctx, int64_t chunk, int thread), void *ctx) {
    if (threads <= 1 || chunks <= 1 || omp_in_parallel()) {
        run_serial(chunks, body, ctx);
        return;
    }
#pragma omp parallel num_threads(threads)
    {
        /* The runtime may give fewer threads than asked for; the partition stays that of the
         * request. */
        const int team = omp_get_num_threads();
        for (int t = omp_get_thread_num(); t < threads; t += team)
            for (int64_t i = t * chunks / threads, end = (t + 1) * chunks / threads; i < end; i++)
                body(ctx, i, t);
    }
}

void as_parallel_dynamic(int threads, int64_t chunks,
                         void (*body)(void *ctx, int64_t chunk, int thread), void *ctx) {
    if (threads <= 1 || chunks <= 1 || omp_in_parallel()) {
        run_serial(chunks, body, ctx);
        return;
    }
    int64_t next = 0;
#pragma omp parallel num_threads(threads)
    for (;;) {
        const int64_t i = __atomic_fetch_add(&next, 1, __ATOMIC_RELAXED);
        if (i >= chunks) break;
        body(ctx, i, omp_get_thread_num());
    }
}
