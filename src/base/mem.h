/* mem.h: the only door to the heap, so that tests can make the n-th allocation fail. */
#ifndef AS_BASE_MEM_H
#define AS_BASE_MEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* NULL on failure, and when count * size overflows. Zero bytes gives a unique pointer. */
void *as_alloc(size_t count, size_t size);
void *as_calloc(size_t count, size_t size);
void *as_realloc(void *p, size_t count, size_t size);
void as_free(void *p);
/* 64-byte aligned, zeroed; release with as_free_aligned. Large blocks ask for huge pages. */
void *as_alloc_aligned(size_t count, size_t size);
void as_free_aligned(void *p);
char *as_strdup(const char *s);
char *as_strndup(const char *s, size_t n); /* copies n bytes and adds NUL */

/* Make room for `need` elements of `size` bytes in *p (capacity *cap elements), doubling.
 * false on failure, with *p and *cap unchanged. */
bool as_grow(void *p_to_pointer, size_t *cap, size_t need, size_t size);

/* a * b into *out; false when it overflows. Every size from a file goes through these. */
bool as_mul_u64(uint64_t a, uint64_t b, uint64_t *out);
bool as_add_u64(uint64_t a, uint64_t b, uint64_t *out);

/* Test hooks: fail the n-th allocation from now on (0 = never); live blocks. */
void as_mem_fail_after(int64_t n);
int64_t as_mem_live_blocks(void);
/* Physical memory that this process may use: the least of RAM and the cgroup limit; and what is free now. */
uint64_t as_mem_limit(void);
uint64_t as_mem_available(void);

#endif
