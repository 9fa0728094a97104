#include "dist/tree.h"

void as_tree_range(const as_tree *t, int rank, int *first, int *end) {
    *first = 0;
    while (*first < t->shards && as_tree_owner(t, *first) < rank) ++*first;
    *end = *first;
    while (*end < t->shards && as_tree_owner(t, *end) == rank) ++*end;
}

/* A shard s that ends up in another one does so at the gap of its lowest bit. */
bool as_tree_root(const as_tree *t, int shard) {
    const int gap = shard & -shard;
    return shard == 0 || !as_tree_whole(t, shard - gap, gap);
}

static void fold(const as_tree *t, bool own, as_tree_add add, void *ctx) {
    for (int gap = 1; gap < t->shards; gap *= 2)
        for (int s = 0; s + gap < t->shards; s += 2 * gap) {
            const bool whole = as_tree_whole(t, s, gap);
            if (own ? whole && as_tree_mine(t, s) : !whole) add(ctx, s, s + gap);
        }
}
void as_tree_fold_own(const as_tree *t, as_tree_add add, void *ctx) { fold(t, true, add, ctx); }
void as_tree_fold_rest(const as_tree *t, as_tree_add add, void *ctx) { fold(t, false, add, ctx); }
