#include "base/mem.h"
#include "data/corpus_stage.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* ---- the blocks ---- */
static as_status open_blocks(as_build *b, as_err *err) {
    const size_t n = (size_t)b->blocks;
    b->b = as_calloc(n + 1, sizeof *b->b);
    b->docs = as_calloc(n + 1, sizeof *b->docs);
    b->first = as_calloc(n + 1, sizeof *b->first);
    if (b->b == NULL || b->docs == NULL || b->first == NULL) return as_build_nomem(err);
    for (int64_t i = 0; i < b->blocks; i++) {
        char *const path = as_build_path(b, 'b', i);
        if (path == NULL) return as_build_nomem(err);
        const bool good = as_block_open(&b->b[i], path, B_PARTS);
        const as_status s = good ? AS_OK : as_fail(err, AS_IO, "%s: was changed while the corpus was built", path);
        as_free(path);
        if (s != AS_OK) return s;
        const as_str *const part = b->b[i].part;
        as_block_counts counts;
        memcpy(&counts, part[B_COUNTS].p, sizeof counts);
        b->docs[i] = (as_docs_view){part[B_TEXT].p, (const uint64_t *)(const void *)part[B_END].p, (int64_t)(part[B_END].n / 8)};
        b->first[i + 1] = b->first[i] + b->docs[i].n;
        b->sum.docs += counts.docs, b->sum.lines += counts.lines, b->sum.bytes += counts.bytes;
        b->sum.replaced += counts.replaced;
        for (int r = 0; r < AS_RULE_COUNT; r++) {
            b->sum.drop[r].docs += counts.drop[r].docs;
            b->sum.drop[r].lines += counts.drop[r].lines;
            b->sum.drop[r].bytes += counts.drop[r].bytes;
        }
    }
    return AS_OK;
}

/* Block of a document, whose number in it replaces *doc. */
static int64_t block_of(const as_build *b, int64_t *doc) {
    int64_t low = 0, high = b->blocks - 1;
    while (low < high) {
        const int64_t middle = (low + high + 1) / 2;
        if (b->first[middle] <= *doc) low = middle;
        else high = middle - 1;
    }
    *doc -= b->first[low];
    return low;
}

static as_str text_of(void *ctx, int64_t doc) {
    const as_build *const b = ctx;
    const int64_t i = block_of(b, &doc);
    return as_docs_at(&b->docs[i], doc);
}

static const uint64_t *bands_of(void *ctx, int64_t doc) {
    const as_build *const b = ctx;
    if (!b->keep[doc]) return NULL;
    const int64_t i = block_of(b, &doc);
    if (((uint8_t)b->b[i].part[B_FLAGS].p[doc] & FLAG_BANDS) == 0) return NULL;
    return (const uint64_t *)(const void *)b->b[i].part[B_BANDS].p + doc * AS_MINHASH_BANDS;
}

static void drop(as_build *b, int64_t doc, as_corpus_rule rule) {
    const as_str text = text_of(b, doc);
    as_rule_drop *const d = &b->sum.drop[rule];
    int64_t lines = 1;
    for (size_t i = 0; i < text.n; i++) lines += text.p[i] == '\n';
    d->docs++, d->lines += lines, d->bytes += (int64_t)text.n;
    b->keep[doc] = 0;
}

/* ---- duplicates ---- */
static as_hash128 exact_of(const as_build *b, int64_t doc) {
    as_hash128 h;
    const int64_t i = block_of(b, &doc);
    memcpy(&h, b->b[i].part[B_EXACT].p + doc * (int64_t)sizeof h, sizeof h);
    return h;
}

/* The documents v[0..n) share 64 bits of their hashes; nearly always all of them. */
static void drop_equal(as_build *b, const as_keyed *v, int64_t n) {
    for (int64_t j = 1; j < n; j++)
        for (int64_t i = 0; i < j; i++)
            if (b->keep[v[i].item] && exact_of(b, (int64_t)v[i].item).hi == exact_of(b, (int64_t)v[j].item).hi) {
                drop(b, (int64_t)v[j].item, AS_RULE_EXACT);
                break;
            }
}

static as_status drop_exact(as_build *b, int64_t n, as_err *err) {
    as_scratch table = {0}, spare = {0};
    as_status s = as_scratch_open(&table, b->work, (uint64_t)n, sizeof(as_keyed), err);
    if (s == AS_OK) s = as_scratch_open(&spare, b->work, (uint64_t)n, sizeof(as_keyed), err);
    as_keyed *const v = table.p;
    for (int64_t i = 0; i < n && s == AS_OK; i++) v[i] = (as_keyed){exact_of(b, i).lo, (uint64_t)i};
    if (s == AS_OK) as_keyed_sort(v, spare.p, n);
    for (int64_t i = 0, end; i < n && s == AS_OK; i = end) {
        for (end = i + 1; end < n && v[end].key == v[i].key;) end++;
        drop_equal(b, v + i, end - i);
    }
    as_scratch_close(&table), as_scratch_close(&spare);
    return s;
}

static as_status drop_near(as_build *b, int64_t n, as_err *err) {
    as_scratch parent = {0};
    as_status s = as_scratch_open(&parent, b->work, (uint64_t)n, sizeof(int64_t), err);
    int64_t *const p = parent.p;
    const as_near_docs docs = {n, b, bands_of, text_of};
    if (s == AS_OK) s = as_near_clusters(p, &docs, b->o->rules.value[AS_RULE_NEAR], b->work, b->threads, err);
    for (int64_t i = 0; i < n && s == AS_OK; i++)
        if (b->keep[i] && p[i] != i) drop(b, i, AS_RULE_NEAR);
    as_scratch_close(&parent);
    return s;
}

/* What an interrupted build found already. */
typedef struct dedup_counts { int64_t documents; as_rule_drop exact, near; } dedup_counts;

static bool load(as_build *b, const char *path, int64_t n) {
    as_block block;
    dedup_counts c;
    if (!as_block_open(&block, path, 2)) return false;
    bool good = block.part[0].n == sizeof c && block.part[1].n == (size_t)n;
    if (good) {
        memcpy(&c, block.part[0].p, sizeof c);
        memcpy(b->keep, block.part[1].p, (size_t)n);
        b->sum.drop[AS_RULE_EXACT] = c.exact, b->sum.drop[AS_RULE_NEAR] = c.near;
    }
    as_block_close(&block);
    return good;
}

static as_status find(as_build *b, const char *path, int64_t n, as_err *err) {
    memset(b->keep, 1, (size_t)n);
    if (b->exact) AS_TRY(drop_exact(b, n, err));
    if (b->near) AS_TRY(drop_near(b, n, err));
    const dedup_counts c = {.documents = n, .exact = b->sum.drop[AS_RULE_EXACT], .near = b->sum.drop[AS_RULE_NEAR]};
    return as_block_write(path, (const as_str[]){{(const char *)&c, sizeof c}, {(const char *)b->keep, (size_t)n}}, 2, err);
}

as_status as_build_dedup(as_build *b, as_err *err) {
    AS_TRY(open_blocks(b, err));
    const int64_t n = b->first[b->blocks];
    char *const path = as_path_join(b->work, "keep");
    b->keep = as_alloc((size_t)n + 1, 1);
    as_status s = path != NULL && b->keep != NULL ? AS_OK : as_build_nomem(err);
    if (s == AS_OK && !load(b, path, n)) s = find(b, path, n, err);
    as_free(path);
    for (int64_t i = 0; i < b->blocks && s == AS_OK; i++)
        for (int64_t k = 0; k < b->docs[i].n; k++) {
            const int lang = (uint8_t)b->b[i].part[B_FLAGS].p[k] & FLAG_LANG;
            if (!b->keep[b->first[i] + k]) continue;
            b->lang_docs[lang]++;
            b->lang_bytes[lang] += (int64_t)as_docs_at(&b->docs[i], k).n;
        }
    return s;
}
