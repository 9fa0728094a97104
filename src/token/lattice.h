/* lattice.h: all ways to cut a word into pieces, for the training of Unigram. Nodes lie in the order of
 * where they begin, then of their length; sums run in the order of `tokenizers`, so that they have its
 * bits. Private to src/token. */
#ifndef AS_TOKEN_LATTICE_H
#define AS_TOKEN_LATTICE_H

#include "token/internal.h"

typedef struct as_node {
    uint32_t begin, end; /* bytes */
    int32_t id;
    int32_t next;  /* the next node that ends here too, or -1 */
    int32_t prev;  /* best predecessor; -1: the word's begin */
    double score, best;
} as_node;
typedef struct as_lattice { /* grows, is kept; one per thread */
    as_node *nodes;
    size_t n, cap;
    int32_t *first, *last;   /* by byte: nodes that end here, in order; -1: none */
    uint32_t *at;            /* by byte: first node that begins here or later */
    double *alpha, *beta;    /* by byte */
    size_t len, room;
    int32_t *path;           /* node numbers of the last Viterbi, left to right */
    size_t n_path, cap_path;
} as_lattice;

/* Pieces and their scores by id; unk is inserted where no piece is one character. */
typedef struct as_scored_pieces {
    const as_trie *trie;
    const double *score;
    double unk_score;
} as_scored_pieces;
/* `skip`: an id that is left out, or -1. */
as_status as_lattice_build(as_lattice *l, as_str word, const as_scored_pieces *p, int32_t skip,
                           as_err *err) AS_CHECKED;
as_status as_lattice_viterbi(as_lattice *l, as_err *err) AS_CHECKED; /* n_path 0: there is no way */
/* expected[id] += count * probability; the word's log probability comes back. */
double as_lattice_expect(as_lattice *l, double count, double *expected);
void as_lattice_free(as_lattice *l);
#endif
