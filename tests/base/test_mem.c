#include "base/arena.h"
#include "base/check.h"
#include "base/mem.h"
#include <stdlib.h>
#include <string.h>

static int no_leaks(void **state) {
    (void)state;
    as_mem_fail_after(0);
    return as_mem_live_blocks() == 0 ? 0 : -1;
}

static void test_mem_refuses_sizes_that_overflow(void **state) {
    (void)state;
    assert_null(as_alloc(SIZE_MAX, 2));
    assert_null(as_calloc(SIZE_MAX / 2, 3));
    assert_null(as_alloc_aligned(SIZE_MAX / 4, 8));
    assert_null(as_alloc_aligned(PTRDIFF_MAX, 1));
    assert_null(as_strndup("x", SIZE_MAX));
    void *const p = as_alloc(1, 1);
    assert_null(as_realloc(p, SIZE_MAX, 16));
    as_free(p);
}

static void test_mem_zero_bytes_give_distinct_pointers(void **state) {
    (void)state;
    void *const a = as_alloc(0, 8), *const b = as_calloc(8, 0), *const c = as_alloc_aligned(0, 0);
    assert_non_null(a);
    assert_non_null(b);
    assert_non_null(c);
    assert_ptr_not_equal(a, b);
    as_free(a);
    as_free(b);
    as_free_aligned(c);
    as_free(NULL);
    as_free_aligned(NULL);
}

static void test_mem_aligned_blocks_are_aligned_and_zero(void **state) {
    (void)state;
    static const size_t sizes[] = {1,      63, 64, 65, 4096, (4 << 20) - 1, 4 << 20, (4 << 20) + 1,
                                   9 << 20};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (int round = 0; round < 2; round++) {
            unsigned char *const p = as_alloc_aligned(sizes[i], 1);
            assert_non_null(p);
            assert_int_equal((uintptr_t)p % 64, 0);
            size_t set = 0;
            for (size_t k = 0; k < sizes[i]; k++)
                set += p[k] != 0;
            assert_int_equal(set, 0);
            memset(p, 0xAB,
                   sizes[i]); /* the second round would see it, were the block not cleared */
            as_free_aligned(p);
        }
}

static void test_mem_counts_live_blocks(void **state) {
    (void)state;
    void *a = as_alloc(1, 1), *const b = as_alloc_aligned(5 << 20, 1);
    char *const c = as_strdup("text");
    assert_int_equal(as_mem_live_blocks(), 3);
    a = as_realloc(a, 100, 10);
    assert_int_equal(as_mem_live_blocks(), 3);
    as_free(a);
    as_free_aligned(b);
    as_free(c);
    assert_int_equal(as_mem_live_blocks(), 0);
}

static void test_mem_fails_exactly_the_nth_allocation(void **state) {
    (void)state;
    for (int n = 1; n <= 5; n++) {
        as_mem_fail_after(n);
        for (int i = 1; i <= 5; i++) {
            void *const p = i % 2 ? as_alloc(8, 1) : as_calloc(8, 1);
            assert_int_equal(p == NULL, i == n);
            as_free(p);
        }
    }
    as_mem_fail_after(1);
    assert_null(as_alloc_aligned(1, 1));
    as_mem_fail_after(1);
    assert_null(as_strdup("x"));
}

static void test_mem_strndup_copies_bytes_and_adds_nul(void **state) {
    (void)state;
    char *const s = as_strndup("a\0bc", 3);
    assert_memory_equal(s, "a\0b", 4);
    as_free(s);
}

static void test_mem_grow_doubles_and_keeps_content(void **state) {
    (void)state;
    int *v = NULL;
    size_t cap = 0;
    for (size_t i = 0; i < 1000; i++) {
        assert_true(as_grow(&v, &cap, i + 1, sizeof *v));
        v[i] = (int)i;
    }
    assert_true(cap >= 1000 && cap <= 2048);
    for (size_t i = 0; i < 1000; i++)
        assert_int_equal(v[i], i);
    const size_t before = cap;
    const int *const held = v;
    assert_false(as_grow(&v, &cap, SIZE_MAX / 2, sizeof *v));
    as_mem_fail_after(1);
    assert_false(as_grow(&v, &cap, cap + 1, sizeof *v));
    assert_int_equal(cap, before);
    assert_ptr_equal(v, held);
    as_free(v);
}

static void test_mem_checked_arithmetic_sees_overflow(void **state) {
    (void)state;
    static const struct {
        uint64_t a, b;
        int mul, add;
    } cases[] = {
        {3, 4, 1, 1},
        {UINT64_MAX, 1, 1, 0},
        {1ull << 32, 1ull << 32, 0, 1},
        {0, UINT64_MAX, 1, 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint64_t out;
        assert_int_equal(as_mul_u64(cases[i].a, cases[i].b, &out), cases[i].mul);
        if (cases[i].mul) assert_true(out == cases[i].a * cases[i].b);
        assert_int_equal(as_add_u64(cases[i].a, cases[i].b, &out), cases[i].add);
        if (cases[i].add) assert_true(out == cases[i].a + cases[i].b);
    }
}

static void test_mem_limit_and_available_are_plausible(void **state) {
    (void)state;
    const uint64_t limit = as_mem_limit(), available = as_mem_available();
    assert_true(limit > 16u << 20 && limit < 1ull << 50);
    assert_true(available > 0 && available <= limit);
}

static void test_arena_pushes_are_aligned_disjoint_and_counted(void **state) {
    (void)state;
    as_arena a;
    as_arena_init(&a, 1024);
    unsigned char *p[100];
    for (int i = 0; i < 100; i++) {
        p[i] = as_arena_push(&a, (size_t)i, 7);
        assert_non_null(p[i]);
        assert_int_equal((uintptr_t)p[i] % 64, 0);
        memset(p[i], i, (size_t)i * 7);
    }
    for (int i = 0; i < 100; i++)
        for (int k = 0; k < i * 7; k++)
            assert_int_equal(p[i][k], i);
    assert_int_equal(a.used, a.peak);
    assert_true(a.used >= 7 * 99 * 50 && a.used <= 7 * 99 * 50 + 100 * 64);
    assert_null(as_arena_push(&a, SIZE_MAX / 2, 3));
    assert_null(as_arena_push(&a, PTRDIFF_MAX, 1));
    as_arena_deinit(&a);
}

static void test_arena_release_returns_to_the_mark(void **state) {
    (void)state;
    as_arena a;
    as_arena_init(&a, 256);
    int *const kept = as_arena_push(&a, 10, sizeof *kept);
    for (int i = 0; i < 10; i++)
        kept[i] = i;
    const as_arena_mark m = as_arena_mark_here(&a);
    void *const first = as_arena_push(&a, 1, 64);
    for (int i = 0; i < 20; i++)
        assert_non_null(as_arena_push(&a, 300, 1));
    const size_t peak = a.peak;
    as_arena_release(&a, m);
    assert_int_equal(a.used, m.used);
    assert_int_equal(a.peak, peak);
    assert_ptr_equal(as_arena_push(&a, 1, 64), first);
    for (int i = 0; i < 10; i++)
        assert_int_equal(kept[i], i);
    as_arena_deinit(&a);
}

static void push_shape(as_arena *a, int big) {
    for (int i = 0; i < 5; i++) {
        assert_non_null(as_arena_push(a, 100, 1));
        assert_non_null(as_arena_push(a, (size_t)big * 1000, 1));
    }
}

static void test_arena_second_pass_allocates_nothing(void **state) {
    (void)state;
    as_arena a;
    as_arena_init(&a, 512);
    push_shape(&a, 3);
    as_arena_reset(&a);
    push_shape(&a, 3); /* merges the blocks */
    as_arena_reset(&a);
    as_mem_fail_after(1);
    for (int pass = 0; pass < 10; pass++) {
        push_shape(&a, 3);
        as_arena_reset(&a);
    }
    as_mem_fail_after(0);
    /* The same behind a mark, where blocks cannot be merged. */
    assert_non_null(as_arena_push(&a, 1, 1));
    const as_arena_mark m = as_arena_mark_here(&a);
    push_shape(&a, 50);
    as_arena_release(&a, m);
    as_mem_fail_after(1);
    push_shape(&a, 50);
    as_mem_fail_after(0);
    as_arena_deinit(&a);
}

static void test_arena_memory_stays_bounded_over_varied_shapes(void **state) {
    (void)state;
    as_arena a;
    as_arena_init(&a, 512);
    assert_non_null(as_arena_push(&a, 1, 1));
    const as_arena_mark m = as_arena_mark_here(&a);
    for (int big = 1; big < 200; big++) {
        push_shape(&a, big);
        as_arena_release(&a, m);
    }
    assert_true(as_mem_live_blocks() < 16);
    as_arena_deinit(&a);
}

static void test_arena_survives_running_out_of_memory(void **state) {
    (void)state;
    as_arena a;
    as_arena_init(&a, 256);
    int *const p = as_arena_push(&a, 1, sizeof *p);
    *p = 7;
    as_mem_fail_after(1);
    assert_null(as_arena_push(&a, 1 << 20, 1));
    assert_int_equal(*p, 7);
    assert_non_null(as_arena_push(&a, 1 << 20, 1));
    as_arena_deinit(&a);
}

static void test_arena_push_zero_clears_reused_memory(void **state) {
    (void)state;
    as_arena a;
    as_arena_init(&a, 0);
    memset(as_arena_push(&a, 100, 1), 0xFF, 100);
    as_arena_reset(&a);
    const unsigned char *const p = as_arena_push_zero(&a, 100, 1);
    for (int i = 0; i < 100; i++)
        assert_int_equal(p[i], 0);
    as_arena_deinit(&a);
}

#define T(name) cmocka_unit_test_teardown(name, no_leaks)
int main(void) {
    const struct CMUnitTest tests[] = {
        T(test_mem_refuses_sizes_that_overflow),
        T(test_mem_zero_bytes_give_distinct_pointers),
        T(test_mem_aligned_blocks_are_aligned_and_zero),
        T(test_mem_counts_live_blocks),
        T(test_mem_fails_exactly_the_nth_allocation),
        T(test_mem_strndup_copies_bytes_and_adds_nul),
        T(test_mem_grow_doubles_and_keeps_content),
        T(test_mem_checked_arithmetic_sees_overflow),
        T(test_mem_limit_and_available_are_plausible),
        T(test_arena_pushes_are_aligned_disjoint_and_counted),
        T(test_arena_release_returns_to_the_mark),
        T(test_arena_second_pass_allocates_nothing),
        T(test_arena_memory_stays_bounded_over_varied_shapes),
        T(test_arena_survives_running_out_of_memory),
        T(test_arena_push_zero_clears_reused_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
