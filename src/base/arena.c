/* Layout: a list of blocks. Blocks up to `current` hold data in push order; those behind it are
 * spare and empty:
 *
 *     first -> ... -> current -> spare -> spare
 *
 * A spare that is too small for a push makes way for a larger one, so varied shapes do not pile up
 * blocks. */
#include "base/arena.h"
#include "base/mem.h"
#include <string.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WATCHED 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(WATCHED)
#include <sanitizer/asan_interface.h>
#define HIDE(p, n) ASAN_POISON_MEMORY_REGION(p, n)
#define SHOW(p, n) ASAN_UNPOISON_MEMORY_REGION(p, n)
#else
#define HIDE(p, n) ((void)(p), (void)(n))
#define SHOW(p, n) ((void)(p), (void)(n))
#endif

enum { ALIGNMENT = 64, DEFAULT_BLOCK = 1 << 20 };

struct as_arena_block {
    as_arena_block *next;
    size_t size, used; /* of data */
    _Alignas(ALIGNMENT) unsigned char data[];
};

static void free_blocks(as_arena_block *b) {
    while (b != NULL) {
        as_arena_block *const next = b->next;
        SHOW(b->data, b->size);
        as_free_aligned(b);
        b = next;
    }
}

void as_arena_init(as_arena *a, size_t block_bytes) {
    memset(a, 0, sizeof *a);
    a->block_bytes = block_bytes != 0 ? block_bytes : DEFAULT_BLOCK;
}

void as_arena_deinit(as_arena *a) {
    free_blocks(a->first);
    memset(a, 0, sizeof *a);
}

static as_arena_block *new_block(size_t bytes) {
    if (bytes > SIZE_MAX - sizeof(as_arena_block)) return NULL;
    as_arena_block *const b = as_alloc_aligned(1, sizeof *b + bytes);
    if (b == NULL) return NULL;
    b->size = bytes;
    HIDE(b->data, b->size);
    return b;
}

/* Make a block with room for `bytes` current: the first spare that fits, else a new one in place of
 * all spares. */
static as_arena_block *next_block(as_arena *a, size_t bytes) {
    as_arena_block **const spares = a->current != NULL ? &a->current->next : &a->first;
    as_arena_block **link = spares;
    size_t spare_bytes = 0;
    for (; *link != NULL && (*link)->size < bytes; link = &(*link)->next)
        spare_bytes += (*link)->size;
    as_arena_block *b = *link;
    if (b != NULL) {
        *link = b->next;
        b->next = *spares;
    } else {
        free_blocks(*spares);
        *spares = NULL;
        const size_t least = a->block_bytes != 0 ? a->block_bytes : DEFAULT_BLOCK;
        size_t want = bytes > least ? bytes : least;
        if (want < spare_bytes) want = spare_bytes;
        /* After a reset: one block for the whole pass, with room for a somewhat larger one, since what
         * is never touched costs nothing and a block made anew is cleared by the kernel page by page. */
        if (a->first == NULL && want < a->peak)
            want = a->peak <= PTRDIFF_MAX / 2 ? a->peak + a->peak / 2 : a->peak;
        b = new_block(want);
        if (b == NULL && want > bytes) b = new_block(bytes);
        if (b == NULL) return NULL;
    }
    b->used = 0;
    *spares = b;
    return a->current = b;
}

void *as_arena_push(as_arena *a, size_t count, size_t size) {
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes) || bytes > PTRDIFF_MAX - ALIGNMENT) return NULL;
    const size_t rounded = (bytes + (bytes == 0) + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
    as_arena_block *b = a->current;
    if (b == NULL || b->size - b->used < rounded) b = next_block(a, rounded);
    if (b == NULL) return NULL;
    unsigned char *const p = b->data + b->used;
    b->used += rounded;
    a->used += rounded;
    if (a->used > a->peak) a->peak = a->used;
    SHOW(p, bytes);
    return p;
}

void *as_arena_push_zero(as_arena *a, size_t count, size_t size) {
    void *const p = as_arena_push(a, count, size);
    if (p != NULL) memset(p, 0, count * size);
    return p;
}

as_arena_mark as_arena_mark_here(const as_arena *a) {
    return (as_arena_mark){a->current, a->current != NULL ? a->current->used : 0, a->used};
}

void as_arena_release(as_arena *a, as_arena_mark m) {
    if (m.used == 0) { /* the mark's block may be gone: a reset merges blocks */
        as_arena_reset(a);
        return;
    }
    HIDE(m.block->data + m.block_used, m.block->size - m.block_used);
    for (as_arena_block *b = m.block; b != a->current;) {
        b = b->next;
        HIDE(b->data, b->size);
    }
    m.block->used = m.block_used;
    a->current = m.block;
    a->used = m.used;
}

void as_arena_reset(as_arena *a) {
    /* Several blocks: the next pass gets one that holds the peak. */
    if (a->first != NULL && a->first->next != NULL) {
        free_blocks(a->first);
        a->first = NULL;
    }
    a->current = a->first;
    a->used = 0;
    if (a->first != NULL) {
        a->first->used = 0;
        HIDE(a->first->data, a->first->size);
    }
}
