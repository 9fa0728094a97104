/* work.c: the work space of one as_tokens: buffers that grow and are kept. */
#include "token/internal.h"

#include "base/mem.h"
#include "base/utf8.h"
#include <string.h>

as_work *as_work_of(as_tokens *t, const as_tokenizer *tok, as_err *err) {
    as_work *w = t->work;
    if (w == NULL) {
        w = as_calloc(1, sizeof *w);
        if (w == NULL) {
            (void)as_fail_nomem(err, "tokenizer work space", sizeof *w);
            return NULL;
        }
        t->work = w;
    }
    w->t = tok;
    if (w->cache == NULL) {
        w->cache = as_alloc_aligned((size_t)1 << CACHE_BITS, sizeof *w->cache);
        if (w->cache == NULL) {
            (void)as_fail_nomem(err, "word cache", sizeof *w->cache << CACHE_BITS);
            return NULL;
        }
    } else if (w->cache_owner != tok->identity) {
        memset(w->cache, 0, sizeof *w->cache << CACHE_BITS);
    }
    w->cache_owner = tok->identity;
    return w;
}

static void norm_free(as_norm *s) {
    as_free(s->text), as_free(s->begin), as_free(s->end);
}

void as_work_free(as_work *w) {
    if (w == NULL) return;
    norm_free(&w->norm), norm_free(&w->piece), norm_free(&w->spare), norm_free(&w->word);
    as_free(w->changes), as_free(w->splits), as_free(w->next_splits), as_free(w->prefix_hash),
        as_free_aligned(w->cache);
    for (int i = 0; i < 2; i++)
        as_free(w->pieces[i].v), as_free(w->windows[i]);
    as_free(w->units), as_free(w->symbols), as_free(w->candidates), as_free(w->best);
    as_buf_free(&w->strings.text), as_free(w->strings.end);
    as_buf_free(&w->strings_next.text), as_free(w->strings_next.end);
    as_free(w);
}

void as_tokens_free(as_tokens *t) {
    if (t == NULL) return;
    as_free(t->ids), as_free(t->type_ids), as_free(t->begin), as_free(t->end);
    as_free(t->word), as_free(t->sequence), as_free(t->special);
    as_work_free(t->work);
    *t = (as_tokens){0};
}

as_status as_norm_reserve(as_norm *s, size_t n, as_err *err) {
    if (n <= s->cap) return AS_OK;
    /* The three arrays grow together; cap moves only when all of them have. */
    size_t a = s->cap, b = s->cap, c = s->cap;
    if (!as_grow(&s->text, &a, n, 1) || !as_grow(&s->begin, &b, n, sizeof *s->begin) ||
        !as_grow(&s->end, &c, n, sizeof *s->end))
        return as_fail_nomem(err, "normalised text", n);
    s->cap = a < b ? a : b;
    if (c < s->cap) s->cap = c;
    return AS_OK;
}

as_status as_norm_add(as_norm *s, const char *p, size_t n, uint32_t begin, uint32_t end,
                      as_err *err) {
    if (s->cap - s->n < n) AS_TRY(as_norm_reserve(s, s->n + n, err));
    for (size_t i = 0; i < n; i++, s->n++)
        s->text[s->n] = p[i], s->begin[s->n] = begin, s->end[s->n] = end;
    return AS_OK;
}

as_status as_norm_put(as_norm *s, uint32_t cp, uint32_t begin, uint32_t end, as_err *err) {
    char bytes[4];
    return as_norm_add(s, bytes, as_utf8_put(bytes, cp), begin, end, err);
}

void as_norm_swap(as_work *w) {
    const as_norm s = w->piece;
    w->piece = w->spare;
    w->spare = s;
    w->spare.n = 0;
}

as_status as_split_add(as_work *w, uint32_t begin, uint32_t end, const as_added_token *added,
                       as_err *err) {
    if (begin >= end) return AS_OK;
    if (w->n_next == w->cap_next &&
        !as_grow(&w->next_splits, &w->cap_next, w->n_next + 1, sizeof *w->next_splits))
        return as_fail_nomem(err, "pre-tokens", w->n_next);
    w->next_splits[w->n_next++] = (as_split){begin, end, added};
    return AS_OK;
}

void as_split_swap(as_work *w) {
    as_split *const v = w->splits;
    const size_t cap = w->cap_splits;
    w->splits = w->next_splits, w->n_splits = w->n_next, w->cap_splits = w->cap_next;
    w->next_splits = v, w->n_next = 0, w->cap_next = cap;
}

as_status as_piece_add(as_pieces *p, int32_t id, uint32_t begin, uint32_t end, int32_t word,
                       as_err *err) {
    if (p->n == p->cap && !as_grow(&p->v, &p->cap, p->n + 1, sizeof *p->v))
        return as_fail_nomem(err, "tokens", p->n);
    p->v[p->n++] = (as_piece){id, begin, end, word, 0, 0};
    return AS_OK;
}
