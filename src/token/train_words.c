/* train_words.c: how often each pre-token occurs. Texts are gathered into batches, a batch is cut into
 * chunks for the threads, and each thread counts into a table of its own; what comes out is sorted, so
 * that neither threads nor the order of texts show in it. */
#include "token/train_internal.h"

#include "base/hash.h"
#include "base/mem.h"
#include "base/parallel.h"
#include "base/utf8.h"
#include <stdlib.h>
#include <string.h>

enum { BATCH_BYTES = 8 << 20, CHUNK_BYTES = 64 << 10, BLOCK = 256 << 10 };

void *as_bump_push(as_bump *b, size_t bytes, size_t align) {
    size_t pad = (size_t)(-(uintptr_t)b->at & (align - 1));
    if (b->at == NULL || b->left < pad + bytes) {
        const size_t block = bytes > BLOCK ? bytes : BLOCK;
        b->at = as_arena_push(b->arena, block, 1);
        if (b->at == NULL) return b->left = 0, NULL;
        b->left = block, pad = 0;
    }
    char *p = b->at + pad;
    b->at = p + bytes, b->left -= pad + bytes;
    return p;
}

/* ---- a table of words ---- */
typedef struct entry {
    uint64_t hash, count;
    const char *p;
    size_t n;
} entry;
typedef struct table {
    as_arena text;
    as_bump bump;
    entry *v;
    size_t n, cap;
    uint32_t *slots; /* number of the entry + 1 */
    size_t n_slots;
} table;

static void table_free(table *t) {
    as_free(t->v), as_free(t->slots);
    as_arena_deinit(&t->text);
}

static bool table_grow(table *t) {
    const size_t n = t->n_slots > 0 ? t->n_slots * 2 : 1 << 12;
    uint32_t *slots = as_calloc(n, sizeof *slots);
    if (slots == NULL) return false;
    for (size_t i = 0; i < t->n; i++) {
        size_t k = (size_t)t->v[i].hash & (n - 1);
        while (slots[k] != 0)
            k = (k + 1) & (n - 1);
        slots[k] = (uint32_t)i + 1;
    }
    as_free(t->slots);
    t->slots = slots, t->n_slots = n;
    return true;
}

/* `keep`: the bytes stay where they are, no copy is needed. */
static bool table_add(table *t, const char *p, size_t n, uint64_t hash, uint64_t count, bool keep) {
    if (t->n * 2 >= t->n_slots && !table_grow(t)) return false;
    size_t k = (size_t)hash & (t->n_slots - 1);
    for (; t->slots[k] != 0; k = (k + 1) & (t->n_slots - 1)) {
        entry *e = &t->v[t->slots[k] - 1];
        if (e->hash == hash && e->n == n && memcmp(e->p, p, n) == 0) return e->count += count, true;
    }
    if (t->n >= UINT32_MAX - 1 || !as_grow(&t->v, &t->cap, t->n + 1, sizeof *t->v)) return false;
    if (!keep) {
        char *copy = as_bump_push(&t->bump, n, 1);
        if (copy == NULL) return false;
        memcpy(copy, p, n);
        p = copy;
    }
    t->v[t->n++] = (entry){hash, count, p, n};
    t->slots[k] = (uint32_t)t->n;
    return true;
}

/* ---- counting ---- */
typedef struct worker {
    as_tokens tokens; /* holds the work space of the pipeline */
    table words;
    uint64_t seen;
    as_status status;
    as_err err;
} worker;
typedef struct counting {
    const as_tokenizer *t;
    worker *workers;
    int threads;
    as_buf text;  /* the batch */
    size_t *ends; /* of its texts */
    size_t n, cap;
    size_t *chunks; /* first text of each chunk */
    size_t n_chunks, cap_chunks;
} counting;

static as_status count_text(worker *k, const as_tokenizer *t, as_str text, as_err *err) {
    as_work *w = as_work_of(&k->tokens, t, err);
    if (w == NULL) return AS_NOMEM;
    AS_TRY(as_pre_tokenize(w, text, err));
    k->seen += w->n_splits;
    for (size_t i = 0; i < w->n_splits; i++) {
        const char *p = w->norm.text + w->splits[i].begin;
        const size_t n = w->splits[i].end - w->splits[i].begin;
        if (!table_add(&k->words, p, n, as_hash64(p, n, 0), 1, false))
            return as_fail_nomem(err, "words", k->words.n * sizeof(entry));
    }
    return AS_OK;
}

static void count_chunk(void *ctx, int64_t chunk, int thread) {
    const counting *c = ctx;
    worker *k = &c->workers[thread];
    for (size_t i = c->chunks[chunk]; i < c->chunks[chunk + 1] && k->status == AS_OK; i++) {
        const size_t begin = i > 0 ? c->ends[i - 1] : 0;
        k->status = count_text(k, c->t, (as_str){c->text.p + begin, c->ends[i] - begin}, &k->err);
    }
}

static as_status count_batch(counting *c, as_err *err) {
    size_t begin = 0;
    c->n_chunks = 0;
    for (size_t i = 0; i < c->n; i++) {
        if (i + 1 < c->n && c->ends[i] - begin < CHUNK_BYTES) continue;
        if (!as_grow(&c->chunks, &c->cap_chunks, c->n_chunks + 2, sizeof *c->chunks))
            return as_fail_nomem(err, "chunks", c->n_chunks);
        c->chunks[0] = 0;
        c->chunks[++c->n_chunks] = i + 1;
        begin = c->ends[i];
    }
    const int64_t chunks = (int64_t)c->n_chunks;
    as_parallel_dynamic(chunks > 1 ? c->threads : 1, chunks, count_chunk, c);
    for (int i = 0; i < c->threads; i++) {
        if (c->workers[i].status == AS_OK) continue;
        if (err != NULL) *err = c->workers[i].err;
        return c->workers[i].status;
    }
    as_buf_clear(&c->text);
    c->n = 0;
    return AS_OK;
}

static as_status gather(counting *c, const as_token_train_opts *o, as_text_source next, void *ctx,
                        as_token_trained *info, as_err *err) {
    for (bool more = true; more;) {
        as_str text = {"", 0};
        AS_TRY(next(ctx, &text, &more, err));
        if (more) {
            as_buf_add(&c->text, text.p, text.n);
            if (c->text.failed || !as_grow(&c->ends, &c->cap, c->n + 1, sizeof *c->ends))
                return as_fail_nomem(err, "texts", c->text.n);
            c->ends[c->n++] = c->text.n;
            info->texts++, info->bytes += (int64_t)text.n;
        }
        if (c->n == 0 || (more && c->text.n < BATCH_BYTES)) continue;
        AS_TRY(count_batch(c, err));
        if (!as_train_goes_on(o, "reading", info->bytes, 0)) return as_train_stopped(err);
    }
    return AS_OK;
}

static int by_bytes(const void *a, const void *b) {
    return as_str_cmp(((const as_counted_word *)a)->word, ((const as_counted_word *)b)->word);
}

/* The first worker's table takes in the others; its texts become the result's. */
static as_status collect(as_word_counts *out, counting *c, as_token_trained *info, as_err *err) {
    table *all = &c->workers[0].words;
    info->words = (int64_t)c->workers[0].seen;
    for (int i = 1; i < c->threads; i++) {
        const table *t = &c->workers[i].words;
        info->words += (int64_t)c->workers[i].seen;
        for (size_t k = 0; k < t->n; k++)
            if (!table_add(all, t->v[k].p, t->v[k].n, t->v[k].hash, t->v[k].count, false))
                return as_fail_nomem(err, "words", all->n * sizeof(entry));
    }
    out->v = as_alloc(all->n + 1, sizeof *out->v);
    if (out->v == NULL) return as_fail_nomem(err, "words", all->n * sizeof *out->v);
    for (size_t i = 0; i < all->n; i++)
        out->v[i] = (as_counted_word){{all->v[i].p, all->v[i].n}, all->v[i].count};
    out->n = all->n;
    out->text = all->text;
    as_arena_init(&all->text, 0);
    qsort(out->v, out->n, sizeof *out->v, by_bytes);
    info->distinct = (int64_t)out->n;
    return AS_OK;
}

as_status as_word_counts_make(as_word_counts *out, const as_tokenizer *t, const as_token_train_opts *o,
                         as_text_source next, void *ctx, as_token_trained *info, as_err *err) {
    *out = (as_word_counts){0};
    counting c = {.t = t, .threads = o->threads > 0 ? o->threads : as_cpu_count()};
    c.workers = as_calloc((size_t)c.threads, sizeof *c.workers);
    if (c.workers == NULL) return as_fail_nomem(err, "threads", (size_t)c.threads);
    for (int i = 0; i < c.threads; i++) {
        table *w = &c.workers[i].words;
        as_arena_init(&w->text, 0);
        w->bump.arena = &w->text;
    }
    as_status s = gather(&c, o, next, ctx, info, err);
    if (s == AS_OK) s = collect(out, &c, info, err);
    for (int i = 0; i < c.threads; i++) {
        as_tokens_free(&c.workers[i].tokens);
        table_free(&c.workers[i].words);
    }
    as_free(c.workers), as_free(c.ends), as_free(c.chunks);
    as_buf_free(&c.text);
    return s;
}

void as_word_counts_free(as_word_counts *w) {
    as_free(w->v);
    if (w->v != NULL) as_arena_deinit(&w->text);
    *w = (as_word_counts){0};
}

/* ---- characters ---- */
as_status as_count_chars(as_char_count **out, size_t *n, const as_word_counts *w, as_str also,
                         as_err *err) {
    enum { POINTS = 0x110000 };
    uint64_t *counts = as_calloc(POINTS, sizeof *counts);
    *out = NULL, *n = 0;
    if (counts == NULL) return as_fail_nomem(err, "alphabet", POINTS * sizeof *counts);
    uint32_t cp;
    for (size_t i = 0; i < w->n; i++)
        for (size_t k = 0; k < w->v[i].word.n;) {
            k += as_utf8_next(w->v[i].word.p + k, &cp);
            counts[cp] += w->v[i].count;
        }
    for (size_t k = 0; k < also.n;) {
        k += as_utf8_next(also.p + k, &cp);
        counts[cp] = UINT64_MAX;
    }
    size_t distinct = 0;
    for (uint32_t i = 0; i < POINTS; i++)
        distinct += counts[i] > 0;
    as_char_count *v = as_alloc(distinct + 1, sizeof *v);
    for (uint32_t i = 0; v != NULL && i < POINTS; i++)
        if (counts[i] > 0) v[(*n)++] = (as_char_count){i, counts[i]};
    as_free(counts);
    *out = v;
    return v != NULL ? AS_OK : as_fail_nomem(err, "alphabet", distinct * sizeof *v);
}
