/* corpus_minhash.h: near duplicates. Broder 1997: the chance that the least hash of two sets agrees is their Jaccard similarity J;
 * Indyk and Motwani 1998: with b bands of r such hashes, two documents meet in a band with probability 1 - (1 - J^r)^b. */
#ifndef AS_DATA_CORPUS_MINHASH_H
#define AS_DATA_CORPUS_MINHASH_H

#include "data/corpus_block.h"
#include "data/corpus_words.h"

enum { AS_MINHASH_BANDS = 32, AS_MINHASH_ROWS = 8, AS_MINHASH_K = AS_MINHASH_BANDS * AS_MINHASH_ROWS };
enum {
    AS_SHINGLE_WORDS = 5,  /* words, or characters, in a shingle */
    AS_SHINGLE_TEXT = 20,  /* texts of fewer words are compared by characters */
    AS_SHINGLE_LEAST = 8,  /* texts of fewer shingles are not compared: too short to tell */
    AS_BUCKET_MOST = 16    /* a document is compared with so many documents of a bucket: its first ones */
};

typedef struct as_minhash { uint32_t mul[AS_MINHASH_K], add[AS_MINHASH_K]; bool wide; } as_minhash; /* wide: AVX2 is there */
void as_minhash_init(as_minhash *m);

/* A document's shingles: sorted, distinct. Zero-initialise, reuse. */
typedef struct as_shingles { uint64_t *v; int64_t n; size_t cap; as_buf fold; as_words words; } as_shingles;
void as_shingles_free(as_shingles *s);
as_status as_shingles_of(as_shingles *s, as_str text, as_err *err) AS_CHECKED;
double as_shingles_jaccard(const as_shingles *a, const as_shingles *b);

void as_minhash_signature(uint32_t least[AS_MINHASH_K], const as_minhash *m, const as_shingles *s);
void as_minhash_bands(uint64_t band[AS_MINHASH_BANDS], const as_minhash *m, const as_shingles *s);

/* Clusters of documents whose true Jaccard similarity is at least `least`, among pairs that meet in a band. */
typedef struct as_near_docs {
    int64_t n;
    void *ctx;
    const uint64_t *(*bands)(void *ctx, int64_t doc);  /* [AS_MINHASH_BANDS], or NULL: not compared */
    as_str (*text)(void *ctx, int64_t doc);
} as_near_docs;
/* parent[doc]: the first document of its cluster. Thread-independent. work_dir takes the tables. */
as_status as_near_clusters(int64_t *parent, const as_near_docs *docs, double least, const char *work_dir, int threads, as_err *err) AS_CHECKED;
#endif
