/* tree.h: one fixed binary tree over the shards of a sum, spread over ranks. Floating-point sums depend on their order, so the order is
 * that of the tree, ((0 + 1) + (2 + 3)) + ..., whoever adds: the same bits for any number of ranks (and threads). Shard s of S belongs
 * to rank s * R / S. A node whose shards all belong to one rank is added there, before anything is sent; what is left of a rank's
 * shards then are the roots of its whole subtrees, which travel to where the rest of the tree is added. */
#ifndef AS_DIST_TREE_H
#define AS_DIST_TREE_H

#include <stdbool.h>
#include <stddef.h>

typedef struct as_tree { int shards, ranks, rank; } as_tree; /* shards: a power of two, not below ranks */

static inline int as_tree_owner(const as_tree *t, int shard) { return shard * t->ranks / t->shards; }
static inline bool as_tree_mine(const as_tree *t, int shard) { return as_tree_owner(t, shard) == t->rank; }
/* The node over [shard, shard + 2 gap) lies within one rank. */
static inline bool as_tree_whole(const as_tree *t, int shard, int gap) { return as_tree_owner(t, shard) == as_tree_owner(t, shard + 2 * gap - 1); }
/* Shards [*first, *end) of a rank. */
void as_tree_range(const as_tree *t, int rank, int *first, int *end);
/* Is the shard the root of one of its owner's whole subtrees: what the owner sends after its own additions? */
bool as_tree_root(const as_tree *t, int shard);

/* Add up sum[0 .. shards): add(ctx, to, from) adds shard `from` into shard `to`. Before the exchange: the nodes within this rank; after it: the
 * others, with the roots of all ranks in place; the result is in shard 0. With one rank the first does all. */
typedef void (*as_tree_add)(void *ctx, int to, int from);
void as_tree_fold_own(const as_tree *t, as_tree_add add, void *ctx);
void as_tree_fold_rest(const as_tree *t, as_tree_add add, void *ctx);

#endif
