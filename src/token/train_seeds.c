/* train_seeds.c: the pieces that Unigram begins with: all characters, and the substrings that occur more
 * than once and cannot be made longer without losing an occurrence (inner nodes of the suffix tree of
 * all distinct words, each closed by a NUL). Longer ones than the longest piece do not count, so
 * suffixes are sorted by that many characters and one more. */
#include "token/train_internal.h"

#include "base/mem.h"
#include "base/utf8.h"
#include <stdlib.h>
#include <string.h>

typedef struct suffix {
    uint64_t key; /* the first three characters */
    uint32_t at;  /* place in the text */
} suffix;
typedef struct seed {
    uint32_t at, len, score;
} seed;
typedef struct open_node { /* of the stack over sorted suffixes */
    size_t first;
    uint32_t depth;
} open_node;
typedef struct finder {
    uint32_t *text; /* code points; words end with 0 */
    size_t n;
    suffix *sorted;
    uint32_t depth; /* characters that are compared */
    seed *seeds;
    size_t n_seeds, cap_seeds;
    open_node *stack;
    size_t n_stack, cap_stack;
} finder;

static as_status write_text(finder *f, const as_word_counts *w, as_err *err) {
    size_t n = 0;
    for (size_t i = 0; i < w->n; i++)
        n += as_utf8_count(w->v[i].word.p, w->v[i].word.n) + 1;
    if (n >= UINT32_MAX)
        return as_fail(err, AS_USAGE, "the distinct words have more than 4 billion characters");
    f->text = as_alloc(n + 1, sizeof *f->text);
    f->sorted = as_alloc(n + 1, sizeof *f->sorted);
    if (f->text == NULL || f->sorted == NULL)
        return as_fail_nomem(err, "substrings", n * (sizeof *f->text + sizeof *f->sorted));
    for (size_t i = 0; i < w->n; i++) {
        for (size_t k = 0; k < w->v[i].word.n; f->n++)
            k += as_utf8_next(w->v[i].word.p + k, &f->text[f->n]);
        f->text[f->n++] = 0;
    }
    return AS_OK;
}

/* Where the text ends or a word does, nothing follows. */
static uint32_t char_at(const finder *f, uint32_t at, uint32_t k) {
    for (uint32_t i = 0; i < k; i++)
        if (f->text[at + i] == 0) return 0;
    return f->text[at + k];
}

static int by_suffix(const void *a, const void *b, void *ctx) {
    const finder *f = ctx;
    const suffix *x = a, *y = b;
    if (x->key != y->key) return x->key < y->key ? -1 : 1;
    if ((x->key & 0x1FFFFF) == 0) return 0; /* both words have ended */
    for (uint32_t k = 3; k < f->depth; k++) {
        const uint32_t c = f->text[x->at + k], d = f->text[y->at + k];
        if (c != d) return c < d ? -1 : 1;
        if (c == 0) return 0;
    }
    return 0;
}

/* Equal characters at the front, the closing NUL included. */
static uint32_t common(const finder *f, uint32_t a, uint32_t b) {
    uint32_t k = 0;
    while (k < f->depth && f->text[a + k] == f->text[b + k]) {
        if (f->text[a + k] == 0) return f->depth; /* equal words: beyond what counts */
        k++;
    }
    return k;
}

static as_status add_seed(finder *f, uint32_t at, uint32_t len, size_t count, as_err *err) {
    if (len < 2 || len >= f->depth) return AS_OK;
    if (!as_grow(&f->seeds, &f->cap_seeds, f->n_seeds + 1, sizeof *f->seeds))
        return as_fail_nomem(err, "substrings", f->n_seeds * sizeof *f->seeds);
    f->seeds[f->n_seeds++] = (seed){at, len, (uint32_t)count * len};
    return AS_OK;
}

/* Each run of suffixes that share more than their neighbours do is a node. */
static as_status find_nodes(finder *f, as_err *err) {
    for (size_t i = 1; i <= f->n; i++) {
        const uint32_t shared = i < f->n ? common(f, f->sorted[i - 1].at, f->sorted[i].at) : 0;
        size_t first = i - 1;
        while (f->n_stack > 0 && f->stack[f->n_stack - 1].depth > shared) {
            const open_node o = f->stack[--f->n_stack];
            AS_TRY(add_seed(f, f->sorted[o.first].at, o.depth, i - o.first, err));
            first = o.first;
        }
        if (shared == 0 || (f->n_stack > 0 && f->stack[f->n_stack - 1].depth == shared)) continue;
        if (!as_grow(&f->stack, &f->cap_stack, f->n_stack + 1, sizeof *f->stack))
            return as_fail_nomem(err, "substrings", f->n_stack * sizeof *f->stack);
        f->stack[f->n_stack++] = (open_node){first, shared};
    }
    return AS_OK;
}

/* Highest score first, then the last one in the order of code points. */
static int by_score(const void *a, const void *b, void *ctx) {
    const finder *f = ctx;
    const seed *x = a, *y = b;
    if (x->score != y->score) return x->score > y->score ? -1 : 1;
    const uint32_t n = x->len < y->len ? x->len : y->len;
    for (uint32_t k = 0; k < n; k++) {
        const uint32_t c = f->text[x->at + k], d = f->text[y->at + k];
        if (c != d) return c > d ? -1 : 1;
    }
    return x->len > y->len ? -1 : x->len < y->len;
}

static int by_count(const void *a, const void *b) {
    const as_char_count *x = a, *y = b;
    if (x->count != y->count) return x->count > y->count ? -1 : 1;
    return x->cp > y->cp ? -1 : x->cp < y->cp;
}

static as_status put_piece(as_learned *out, as_bump *text, const uint32_t *chars, uint32_t len,
                           double score, as_err *err) {
    char bytes[4];
    size_t n = 0;
    for (uint32_t k = 0; k < len; k++)
        n += as_utf8_put(bytes, chars[k]);
    char *p = as_bump_push(text, n + 1, 1);
    size_t cap = out->cap;
    if (p == NULL || !as_grow(&out->pieces, &cap, out->n + 1, sizeof *out->pieces) ||
        !as_grow(&out->scores, &out->cap, out->n + 1, sizeof *out->scores))
        return as_fail_nomem(err, "pieces", out->n * sizeof *out->pieces);
    out->cap = cap < out->cap ? cap : out->cap;
    out->pieces[out->n] = (as_str){p, n};
    out->scores[out->n++] = score;
    for (uint32_t k = 0; k < len; k++)
        p += as_utf8_put(p, chars[k]);
    return AS_OK;
}

static as_status put_seeds(as_learned *out, as_bump *text, finder *f, as_char_count *chars,
                           size_t n_chars, const as_token_train_opts *o, as_err *err) {
    if (n_chars > 1) qsort(chars, n_chars, sizeof *chars, by_count);
    for (size_t i = 0; i < n_chars; i++)
        if (chars[i].cp != 0)
            AS_TRY(put_piece(out, text, &chars[i].cp, 1, (double)(uint32_t)chars[i].count, err));
    if (f->n_seeds > 1) qsort_r(f->seeds, f->n_seeds, sizeof *f->seeds, by_score, f);
    for (size_t i = 0; i < f->n_seeds; i++) {
        const seed s = f->seeds[i];
        AS_TRY(put_piece(out, text, f->text + s.at, s.len, (double)s.score, err));
        if ((int64_t)out->n - 1 >= o->seed_size) break;
    }
    return AS_OK;
}

/* Behind what `out` holds already; scores are counts. */
as_status as_find_seeds(as_learned *out, as_bump *text, const as_word_counts *w,
                        const as_token_train_opts *o, as_err *err) {
    finder f = {.depth = (uint32_t)o->max_token_length + 1};
    as_char_count *chars = NULL;
    size_t n_chars = 0;
    as_status s = as_count_chars(&chars, &n_chars, w, (as_str){"", 0}, err);
    if (s == AS_OK) s = write_text(&f, w, err);
    if (s == AS_OK) {
        for (size_t i = 0; i < f.n; i++) {
            const uint32_t at = (uint32_t)i;
            f.sorted[i] = (suffix){(uint64_t)f.text[at] << 42 | (uint64_t)char_at(&f, at, 1) << 21 |
                                       char_at(&f, at, 2),
                                   at};
        }
        qsort_r(f.sorted, f.n, sizeof *f.sorted, by_suffix, &f);
        s = find_nodes(&f, err);
    }
    if (s == AS_OK) s = put_seeds(out, text, &f, chars, n_chars, o, err);
    as_free(chars), as_free(f.text), as_free(f.sorted), as_free(f.seeds), as_free(f.stack);
    return s;
}
