#include "base/check.h"
#include "base/log.h"
#include "base/parallel.h"
#include <omp.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <string.h>

enum { CHUNKS = 1000 };
typedef struct tally {
    int runs[CHUNKS], thread[CHUNKS];
    int threads;
    int64_t chunks;
    bool dynamic;
} tally;

static void count_chunk(void *ctx, int64_t chunk, int thread) {
    tally *const t = ctx;
    t->runs[chunk]++; /* each chunk has one thread: no atomic needed, and TSan sees it when that
                         breaks */
    t->thread[chunk] = thread;
}

static void check_all_once(const tally *t) {
    for (int64_t i = 0; i < CHUNKS; i++)
        assert_int_equal(t->runs[i], i < t->chunks);
}

static void test_parallel_for_runs_each_chunk_once_where_the_partition_says(void **state) {
    (void)state;
    static const int64_t sizes[] = {0, 1, 2, 3, 7, 64, CHUNKS};
    for (int threads = -1; threads <= 9; threads++)
        for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
            tally t = {.threads = threads, .chunks = sizes[s]};
            as_parallel_for(threads, t.chunks, count_chunk, &t);
            check_all_once(&t);
            if (threads <= 1 || t.chunks <= 1) continue;
            for (int k = 0; k < threads; k++)
                for (int64_t i = k * t.chunks / threads; i < (k + 1) * t.chunks / threads; i++)
                    assert_int_equal(t.thread[i], k);
        }
}

static void
test_parallel_for_keeps_the_partition_when_the_runtime_gives_fewer_threads(void **state) {
    (void)state;
    enum { MANY = 250 };
    tally t = {.threads = MANY, .chunks = CHUNKS};
    const int before = omp_get_dynamic();
    omp_set_dynamic(1); /* the runtime may now give as few as it has processors */
    as_parallel_for(MANY, t.chunks, count_chunk, &t);
    omp_set_dynamic(before);
    check_all_once(&t);
    for (int i = 0; i < CHUNKS; i++)
        assert_int_equal(t.thread[i], i * MANY / CHUNKS);
}

static void test_parallel_dynamic_runs_each_chunk_once(void **state) {
    (void)state;
    for (int threads = 0; threads <= 5; threads++) {
        tally t = {.threads = threads, .chunks = CHUNKS};
        as_parallel_dynamic(threads, t.chunks, count_chunk, &t);
        check_all_once(&t);
        for (int i = 0; i < CHUNKS; i++)
            assert_in_range(t.thread[i], 0, threads <= 1 ? 0 : threads - 1);
    }
}

typedef struct origin {
    pthread_t self;
    int strangers;
} origin;

static void note_stranger(void *ctx, int64_t chunk, int thread) {
    origin *const o = ctx;
    (void)chunk;
    o->strangers += !pthread_equal(o->self, pthread_self()) || thread != 0;
}

static void nest(void *ctx, int64_t chunk, int thread) {
    int *const strangers = ctx;
    (void)thread;
    origin inner = {pthread_self(), 0};
    as_parallel_for(4, 10, note_stranger, &inner);
    as_parallel_dynamic(4, 10, note_stranger, &inner);
    strangers[chunk] = inner.strangers;
}

static void test_parallel_nested_and_single_calls_stay_in_their_thread(void **state) {
    (void)state;
    origin o = {pthread_self(), 0};
    as_parallel_for(1, 100, note_stranger, &o);
    as_parallel_dynamic(1, 100, note_stranger, &o);
    as_parallel_for(4, 1, note_stranger, &o);
    assert_int_equal(o.strangers, 0);
    int strangers[8] = {0};
    as_parallel_for(4, 8, nest, strangers);
    for (int i = 0; i < 8; i++)
        assert_int_equal(strangers[i], 0);
}

static void wait_for_all(void *ctx, int64_t chunk, int thread) {
    int *const arrived = ctx;
    (void)chunk;
    (void)thread;
    __atomic_fetch_add(arrived, 1, __ATOMIC_SEQ_CST);
    const double start = as_clock();
    while (__atomic_load_n(arrived, __ATOMIC_SEQ_CST) < 3 && as_clock() - start < 10)
        sched_yield();
}

static void test_parallel_threads_run_at_the_same_time(void **state) {
    (void)state;
    int arrived = 0;
    const double start = as_clock();
    as_parallel_for(3, 3, wait_for_all,
                    &arrived); /* would wait 10 s for itself if one thread ran all */
    assert_true(as_clock() - start < 9);
    assert_int_equal(arrived, 3);
}

static void add_progress(void *ctx, int64_t chunk, int thread) {
    (void)chunk;
    (void)thread;
    as_progress_add(ctx, 1, 3);
}

static void test_progress_counts_from_several_threads(void **state) {
    (void)state;
    as_progress p;
    as_progress_begin(&p, -1, true, "x", 0);
    as_parallel_dynamic(4, 10000, add_progress, &p);
    assert_int_equal(p.done, 10000);
    assert_int_equal(p.tokens, 30000);
}

static void test_cpu_count_follows_the_affinity_mask(void **state) {
    (void)state;
    const int count = as_cpu_count();
    assert_in_range(count, 1, 1 << 16);
    cpu_set_t before, one;
    assert_int_equal(sched_getaffinity(0, sizeof before, &before), 0);
    assert_true(count <= CPU_COUNT(&before));
    CPU_ZERO(&one);
    for (int i = 0; i < CPU_SETSIZE; i++)
        if (CPU_ISSET(i, &before)) {
            CPU_SET(i, &one);
            break;
        }
    assert_int_equal(sched_setaffinity(0, sizeof one, &one), 0);
    const int limited = as_cpu_count();
    assert_int_equal(sched_setaffinity(0, sizeof before, &before), 0);
    assert_int_equal(limited, 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parallel_for_runs_each_chunk_once_where_the_partition_says),
        cmocka_unit_test(
            test_parallel_for_keeps_the_partition_when_the_runtime_gives_fewer_threads),
        cmocka_unit_test(test_parallel_dynamic_runs_each_chunk_once),
        cmocka_unit_test(test_parallel_nested_and_single_calls_stay_in_their_thread),
        cmocka_unit_test(test_parallel_threads_run_at_the_same_time),
        cmocka_unit_test(test_progress_counts_from_several_threads),
        cmocka_unit_test(test_cpu_count_follows_the_affinity_mask),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
