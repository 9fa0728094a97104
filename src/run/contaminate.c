#include "run/contaminate.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/parallel.h"
#include "data/corpus_words.h"
#include "token/tokenizer.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* A gram's hash is polynomial, so that all lengths come from one pass: H(i + 1) = H(i) B + word(i). */
#define BASE 0xD6E8FEB86659FD93u

typedef struct runs { int64_t *begin; int64_t n; size_t cap; } runs; /* of words between unknown tokens: [n] first words, and the end */

/* Work space of one thread. */
typedef struct reader {
    as_buf text;
    as_words piece;
    uint64_t *word;
    size_t word_cap;
    int64_t words;
    runs run;
    int32_t *ids;
    size_t id_cap;
    uint64_t *prefix;
    size_t prefix_cap;
    as_tokens tokens;
    as_status status;
    as_err err;
} reader;

static void reader_free(reader *r) {
    as_buf_free(&r->text);
    as_words_free(&r->piece);
    as_free(r->word), as_free(r->run.begin), as_free(r->ids), as_free(r->prefix);
    as_tokens_free(&r->tokens);
}

static as_status nomem(as_err *err) { return as_fail_nomem(err, "the search for contamination", 0); }

/* Words of ids between unknown tokens, appended as one run. */
static as_status read_run(reader *r, const as_tokenizer *tok, const int32_t *ids, int64_t n, as_err *err) {
    if (n == 0) return AS_OK;
    as_buf_clear(&r->text);
    AS_TRY(as_decode(tok, ids, n, true, &r->text, err));
    AS_TRY(as_words_of(&r->piece, as_buf_view(&r->text), err));
    if (r->piece.n == 0) return AS_OK;
    if (!as_grow(&r->run.begin, &r->run.cap, (size_t)r->run.n + 2, sizeof *r->run.begin) ||
        !as_grow(&r->word, &r->word_cap, (size_t)(r->words + r->piece.n), sizeof *r->word))
        return nomem(err);
    memcpy(r->word + r->words, r->piece.hash, (size_t)r->piece.n * sizeof *r->word);
    r->run.begin[r->run.n++] = r->words;
    r->words += r->piece.n;
    r->run.begin[r->run.n] = r->words;
    return AS_OK;
}

static as_status read_words(reader *r, const as_tokenizer *tok, const int32_t *ids, int64_t n, as_err *err) {
    const int32_t unk = as_tokenizer_special(tok, AS_TOKEN_UNK);
    int64_t begin = 0;
    r->words = r->run.n = 0;
    for (int64_t i = 0; i <= n; i++)
        if (i == n || (unk >= 0 && ids[i] == unk)) {
            AS_TRY(read_run(r, tok, ids + begin, i - begin, err));
            begin = i + 1;
        }
    return AS_OK;
}

/* prefix[0..words]; the gram of n words from i on: prefix[i + n] - prefix[i] B^n. */
static as_status sum_up(reader *r, as_err *err) {
    if (!as_grow(&r->prefix, &r->prefix_cap, (size_t)r->words + 1, sizeof *r->prefix)) return nomem(err);
    r->prefix[0] = 0;
    for (int64_t i = 0; i < r->words; i++) r->prefix[i + 1] = r->prefix[i] * BASE + r->word[i];
    return AS_OK;
}

static uint64_t power(int64_t n) {
    uint64_t p = 1;
    while (n-- > 0) p *= BASE;
    return p;
}

static uint64_t gram_at(const reader *r, int64_t i, int64_t n, uint64_t base_n) {
    uint64_t h = (r->prefix[i + n] - r->prefix[i] * base_n + (uint64_t)n) * 0x9E3779B97F4A7C15u;
    h ^= h >> 32;
    return h != 0 ? h : 1;
}

/* ---- the items' grams ---- */
typedef struct grams {
    uint64_t *slot;      /* [mask + 1] 0 = free */
    uint8_t *seen;       /* [mask + 1] set when the corpus has it */
    size_t mask, used;
    bool wanted[AS_GRAM_MOST + 1]; /* lengths of grams that items have */
} grams;

static size_t slot_of(const grams *g, uint64_t key) {
    size_t i = (size_t)key & g->mask;
    while (g->slot[i] != 0 && g->slot[i] != key) i = (i + 1) & g->mask;
    return i;
}

static as_status grow(grams *g, as_err *err) {
    const grams old = *g;
    if (2 * (g->used + 1) <= g->mask) return AS_OK;
    g->mask = old.slot != NULL ? 2 * old.mask + 1 : 4095;
    g->slot = as_calloc(g->mask + 1, sizeof *g->slot);
    if (g->slot == NULL) return *g = old, nomem(err);
    for (size_t i = 0; old.slot != NULL && i <= old.mask; i++)
        if (old.slot[i] != 0) g->slot[slot_of(g, old.slot[i])] = old.slot[i];
    as_free(old.slot);
    return AS_OK;
}

static as_status insert(grams *g, uint64_t key, int64_t n, as_err *err) {
    AS_TRY(grow(g, err));
    const size_t at = slot_of(g, key);
    g->used += g->slot[at] == 0;
    g->slot[at] = key;
    g->wanted[n] = true;
    return AS_OK;
}

/* Visit each gram of n words of the text in r. */
typedef as_status (*visitor)(void *ctx, uint64_t key, int64_t n, as_err *err);
static as_status each_gram(const reader *r, int64_t n, visitor visit, void *ctx, as_err *err) {
    const uint64_t base_n = power(n);
    for (int64_t k = 0; k < r->run.n; k++)
        for (int64_t i = r->run.begin[k]; i + n <= r->run.begin[k + 1]; i++) AS_TRY(visit(ctx, gram_at(r, i, n, base_n), n, err));
    return AS_OK;
}

static as_status take_gram(void *ctx, uint64_t key, int64_t n, as_err *err) { return insert(ctx, key, n, err); }

typedef struct lookup { const grams *g; int64_t grams, found; } lookup;
static as_status look_up(void *ctx, uint64_t key, int64_t n, as_err *err) {
    (void)n, (void)err;
    lookup *const l = ctx;
    const size_t at = slot_of(l->g, key);
    l->grams++, l->found += l->g->slot[at] == key && l->g->seen[at];
    return AS_OK;
}

/* The length that stands for an item of so many words among grams of n. */
static int64_t length_of(int64_t words, int64_t n) { return words < n ? words : n; }

/* ---- the corpus ---- */
typedef struct search {
    const as_corpus *corpus;
    const as_tokenizer *tok;
    grams *g;
    reader *readers; /* [threads] */
    as_corpus_part part;
    as_progress progress;
} search;
enum { DOCS = 256 };

static as_status search_doc(const search *s, reader *r, int64_t doc, as_err *err) {
    const int64_t n = as_corpus_doc_tokens(s->corpus, s->part, doc);
    if (!as_grow(&r->ids, &r->id_cap, (size_t)n, sizeof *r->ids)) return nomem(err);
    as_corpus_read(s->corpus, s->part, doc, 0, n, r->ids);
    AS_TRY(read_words(r, s->tok, r->ids, n, err));
    AS_TRY(sum_up(r, err));
    for (int64_t length = 1; length <= AS_GRAM_MOST; length++) {
        const uint64_t base_n = power(length);
        for (int64_t k = 0; s->g->wanted[length] && k < r->run.n; k++)
            for (int64_t i = r->run.begin[k]; i + length <= r->run.begin[k + 1]; i++) {
                const size_t at = slot_of(s->g, gram_at(r, i, length, base_n));
                if (s->g->slot[at] != 0) __atomic_store_n(&s->g->seen[at], 1, __ATOMIC_RELAXED);
            }
    }
    return AS_OK;
}

static void search_chunk(void *ctx, int64_t chunk, int thread) {
    search *const s = ctx;
    reader *const r = &s->readers[thread];
    const int64_t docs = as_corpus_docs(s->corpus, s->part), end = (chunk + 1) * DOCS < docs ? (chunk + 1) * DOCS : docs;
    for (int64_t d = chunk * DOCS; d < end && r->status == AS_OK; d++) r->status = search_doc(s, r, d, &r->err);
    as_progress_add(&s->progress, end - chunk * DOCS, 0);
}

static as_status search_corpus(search *s, int threads, int progress_fd, as_err *err) {
    as_status status = AS_OK;
    as_progress_begin(&s->progress, progress_fd, progress_fd < 0, "search", as_corpus_docs(s->corpus, AS_CORPUS_TRAIN) + as_corpus_docs(s->corpus, AS_CORPUS_HELDOUT));
    for (int p = 0; p < AS_CORPUS_PARTS; p++) {
        s->part = (as_corpus_part)p;
        as_parallel_dynamic(threads, (as_corpus_docs(s->corpus, s->part) + DOCS - 1) / DOCS, search_chunk, s);
    }
    as_progress_end(&s->progress);
    for (int t = 0; t < threads && status == AS_OK; t++)
        if ((status = s->readers[t].status) != AS_OK && err != NULL) *err = s->readers[t].err;
    return status;
}

/* ---- items ---- */
typedef struct items {
    const as_str *text, *pair;
    int64_t n;
    const as_tokenizer *tok;
} items;

static as_status read_item(reader *r, const items *v, int64_t i, as_err *err) {
    const as_encode_opts opts = {.no_special = true};
    as_buf both = {0};
    as_buf_add(&both, v->text[i].p, v->text[i].n);
    if (v->pair != NULL && v->pair[i].p != NULL) {
        as_buf_char(&both, ' ');
        as_buf_add(&both, v->pair[i].p, v->pair[i].n);
    }
    for (size_t k = 0; k < both.n; k++) /* line ends part words as blanks do, and to some tokenizers they are unknown */
        if (both.p[k] == '\n') both.p[k] = ' ';
    const as_str text = as_buf_view(&both);
    as_status s = both.failed ? nomem(err) : as_encode(v->tok, text, NULL, &opts, &r->tokens, err);
    as_buf_free(&both);
    if (s == AS_OK) s = read_words(r, v->tok, r->tokens.ids, r->tokens.n, err);
    return s == AS_OK ? sum_up(r, err) : s;
}

static int by_size(const void *a, const void *b) {
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static as_status count_words(as_contamination *out, reader *r, const items *v, int64_t gram, as_err *err) {
    int64_t *const length = as_alloc((size_t)v->n, sizeof *length), any = 0;
    as_status s = length != NULL ? AS_OK : nomem(err);
    for (int64_t i = 0; i < v->n && s == AS_OK; i++) {
        s = read_item(r, v, i, err);
        length[i] = out->item[i].words = r->words;
        any |= r->words;
    }
    if (s == AS_OK && any == 0) s = as_fail(err, AS_FORMAT, "no item holds a word that the corpus's tokenizer knows");
    if (s == AS_OK) {
        qsort(length, (size_t)v->n, sizeof *length, by_size);
        const int64_t fifth = length[v->n / 20];
        out->gram = gram > 0 ? gram : fifth < AS_GRAM_LEAST ? AS_GRAM_LEAST : fifth > AS_GRAM_MOST ? AS_GRAM_MOST : fifth;
    }
    as_free(length);
    return s;
}

static as_status collect(const as_contamination *out, grams *g, reader *r, const items *v, as_err *err) {
    for (int64_t i = 0; i < v->n; i++) {
        const int64_t words = out->item[i].words;
        if (words == 0) continue;
        AS_TRY(read_item(r, v, i, err));
        AS_TRY(each_gram(r, length_of(words, out->gram), take_gram, g, err));
        AS_TRY(each_gram(r, length_of(words, AS_PALM_GRAM), take_gram, g, err));
    }
    g->seen = as_calloc(g->mask + 1, 1);
    return g->seen != NULL ? AS_OK : nomem(err);
}

static as_status judge(as_contamination *out, const grams *g, reader *r, const items *v, as_err *err) {
    for (int64_t i = 0; i < v->n; i++) {
        as_contaminated_item *const item = &out->item[i];
        lookup any = {.g = g}, palm = {.g = g};
        out->short_items += item->words < out->gram;
        if (item->words == 0) continue;
        AS_TRY(read_item(r, v, i, err));
        AS_TRY(each_gram(r, length_of(item->words, out->gram), look_up, &any, err));
        AS_TRY(each_gram(r, length_of(item->words, AS_PALM_GRAM), look_up, &palm, err));
        item->grams = palm.grams, item->found = palm.found;
        item->gpt3 = any.found > 0;
        item->palm = palm.grams > 0 && (double)palm.found >= AS_PALM_SHARE * (double)palm.grams;
        out->gpt3 += item->gpt3, out->palm += item->palm;
    }
    return AS_OK;
}

static as_status find(as_contamination *out, const as_corpus *corpus, items *v, int64_t gram, int threads, int progress_fd, as_err *err) {
    grams g = {0};
    search s = {.corpus = corpus, .tok = v->tok, .g = &g, .readers = as_calloc((size_t)threads, sizeof *s.readers)};
    out->item = as_calloc((size_t)v->n + 1, sizeof *out->item);
    out->n = v->n;
    as_status status = s.readers != NULL && out->item != NULL ? AS_OK : nomem(err);
    if (status == AS_OK) status = count_words(out, s.readers, v, gram, err);
    if (status == AS_OK) status = collect(out, &g, s.readers, v, err);
    if (status == AS_OK) status = search_corpus(&s, threads, progress_fd, err);
    if (status == AS_OK) status = judge(out, &g, s.readers, v, err);
    for (int t = 0; s.readers != NULL && t < threads; t++) reader_free(&s.readers[t]);
    as_free(s.readers), as_free(g.slot), as_free(g.seen);
    return status;
}

void as_contamination_free(as_contamination *c) {
    as_free(c->item);
    *c = (as_contamination){0};
}

as_status as_contamination_of(as_contamination *out, const char *corpus_dir, const as_str *text, const as_str *pair, int64_t n, int64_t gram, double level,
                              int threads, int progress_fd, as_err *err) {
    as_corpus *corpus = NULL;
    as_tokenizer *tok = NULL;
    *out = (as_contamination){0};
    if (n <= 0) return as_fail(err, AS_FORMAT, "there are no items to look for");
    if (threads < 1) threads = as_cpu_count();
    as_status s = as_corpus_open(&corpus, corpus_dir, err);
    if (s == AS_OK) s = as_tokenizer_open(&tok, corpus_dir, err);
    items v = {text, pair, n, tok};
    if (s == AS_OK) s = find(out, corpus, &v, gram, threads, progress_fd, err);
    if (s == AS_OK) {
        out->gpt3_interval = as_interval_wilson(out->gpt3, n, level);
        out->palm_interval = as_interval_wilson(out->palm, n, level);
        for (int p = 0; p < AS_CORPUS_PARTS; p++)
            out->docs += as_corpus_docs(corpus, (as_corpus_part)p), out->tokens += as_corpus_tokens(corpus, (as_corpus_part)p);
    } else {
        as_contamination_free(out);
    }
    as_tokenizer_free(tok);
    as_corpus_close(corpus);
    return s;
}
