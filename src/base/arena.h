/* arena.h: bump allocation in growing 64-byte aligned blocks, released in O(1) by returning to a mark.
 * Blocks are kept for reuse, so a second pass of the same shape allocates nothing. One thread per arena. */
#ifndef AS_BASE_ARENA_H
#define AS_BASE_ARENA_H

#include <stddef.h>
#include <stdint.h>

typedef struct as_arena_block as_arena_block;
typedef struct as_arena {
    as_arena_block *first, *current;
    size_t block_bytes; /* default size of a new block; 0 = 1 MiB */
    size_t peak, used;  /* bytes in use, and their maximum since as_arena_init */
} as_arena;
typedef struct as_arena_mark { as_arena_block *block; size_t block_used, used; } as_arena_mark;

void as_arena_init(as_arena *a, size_t block_bytes);
void as_arena_deinit(as_arena *a);
/* 64-byte aligned, NOT zeroed; NULL when out of memory or when count * size overflows. */
void *as_arena_push(as_arena *a, size_t count, size_t size);
void *as_arena_push_zero(as_arena *a, size_t count, size_t size);
as_arena_mark as_arena_mark_here(const as_arena *a);
void as_arena_release(as_arena *a, as_arena_mark m);
void as_arena_reset(as_arena *a);

#endif
