/* added.c: added tokens: pieces that are cut out of the text before (or after) normalisation,
 * whatever the model says. */
#include "token/internal.h"

#include "base/mem.h"
#include "base/utf8.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* ---- reading ---- */
/* The library gives its own ids: the model's where it knows the content, else the next free number.
 * The file's "id" only repeats them. */
static int32_t next_id(const as_added *a, const as_vocab *model) {
    const int32_t size = (int32_t)model->count;
    int32_t max = -1;
    for (size_t i = 0; i < a->count; i++)
        if (a->tokens[i].id > max) max = a->tokens[i].id;
    return max >= size || size == 0 ? max + 1 : size;
}

static as_status normalise_pattern(as_tokenizer *t, as_loader *ld, as_added_token *tok,
                                   as_err *err) {
    tok->pattern = tok->content;
    if (!tok->normalized || t->normalizer.type == NULL) return AS_OK;
    as_tokens scratch = {0};
    as_status s = AS_NOMEM;
    as_work *w = as_work_of(&scratch, t, err);
    if (w == NULL) goto done;
    s = AS_OK;
    uint32_t cp;
    for (size_t i = 0, n = 0; i < tok->content.n && s == AS_OK; i += n) {
        n = as_utf8_next(tok->content.p + i, &cp);
        s = as_norm_add(&w->piece, tok->content.p + i, n, (uint32_t)i, (uint32_t)(i + n), err);
    }
    if (s == AS_OK) s = as_part_run(&t->normalizer, w, err);
    if (s != AS_OK) goto done;
    char *p = as_load_push(ld, w->piece.n + 1, 1, err);
    s = p == NULL ? AS_NOMEM : AS_OK;
    if (p != NULL && w->piece.n > 0) memcpy(p, w->piece.text, w->piece.n);
    tok->pattern = (as_str){p, w->piece.n};
done:
    as_tokens_free(&scratch);
    return s;
}

static as_status read_one(const as_json *spec, as_loader *ld, as_err *err) {
    as_tokenizer *t = ld->t;
    as_added *a = &t->added;
    as_added_token tok = {.id = -1};
    AS_TRY(as_load_str(ld, &tok.content, spec, "content", NULL, err));
    AS_TRY(as_load_bool(ld, &tok.single_word, spec, "single_word", false, err));
    AS_TRY(as_load_bool(ld, &tok.lstrip, spec, "lstrip", false, err));
    AS_TRY(as_load_bool(ld, &tok.rstrip, spec, "rstrip", false, err));
    AS_TRY(as_load_bool(ld, &tok.special, spec, "special", false, err));
    AS_TRY(as_load_bool(ld, &tok.normalized, spec, "normalized", !tok.special, err));
    if (tok.content.n == 0) return AS_OK;
    AS_TRY(normalise_pattern(t, ld, &tok, err));
    const int32_t known = as_vocab_id(&a->by_content, tok.content);
    if (known >= 0) { /* a later entry overrides the flags */
        tok.id = a->tokens[known].id;
        a->tokens[known] = tok;
        return AS_OK;
    }
    tok.id = as_vocab_id(&t->vocab, tok.content);
    if (tok.id < 0) tok.id = next_id(a, &t->vocab);
    if (tok.id >= AS_ID_LIMIT)
        return as_fail(err, AS_FORMAT, "%s: added_tokens: too many ids", ld->where);
    AS_TRY(as_vocab_add(&a->by_content, tok.content, (int32_t)a->count, err));
    a->tokens[a->count++] = tok;
    return AS_OK;
}

static int by_first_then_longest(const void *x, const void *y) {
    const as_added_token *a = *(const as_added_token *const *)x,
                         *b = *(const as_added_token *const *)y;
    const unsigned char fa = (unsigned char)a->pattern.p[0], fb = (unsigned char)b->pattern.p[0];
    if (fa != fb) return fa < fb ? -1 : 1;
    if (a->pattern.n != b->pattern.n) return a->pattern.n > b->pattern.n ? -1 : 1;
    return a < b ? -1 : a > b; /* of two equal patterns the first one wins */
}

static as_status build(as_matcher *m, const as_added *a, bool normalized, as_loader *ld,
                       as_err *err) {
    m->tokens = as_load_push(ld, a->count + 1, sizeof *m->tokens, err);
    if (m->tokens == NULL) return AS_NOMEM;
    m->count = 0;
    for (size_t i = 0; i < a->count; i++)
        if (a->tokens[i].normalized == normalized && a->tokens[i].pattern.n > 0)
            m->tokens[m->count++] = &a->tokens[i];
    qsort(m->tokens, m->count, sizeof *m->tokens, by_first_then_longest);
    size_t k = 0;
    for (unsigned b = 0; b < 256; b++) {
        m->first[b] = (uint32_t)k;
        while (k < m->count && (unsigned char)m->tokens[k]->pattern.p[0] == b)
            k++;
    }
    m->first[256] = (uint32_t)k;
    m->only = -1;
    if (m->count > 0 && m->tokens[0]->pattern.p[0] == m->tokens[m->count - 1]->pattern.p[0])
        m->only = (unsigned char)m->tokens[0]->pattern.p[0];
    return AS_OK;
}

as_status as_added_parse(const as_json *list, as_loader *ld, as_err *err) {
    as_added *a = &ld->t->added;
    if (list != NULL && as_json_typeof(list) != AS_JSON_ARRAY &&
        as_json_typeof(list) != AS_JSON_NULL)
        return as_fail(err, AS_FORMAT, "%s: added_tokens must be a list", ld->where);
    const size_t n = as_json_typeof(list) == AS_JSON_ARRAY ? as_json_count(list) : 0;
    a->tokens = as_load_push(ld, n + 1, sizeof *a->tokens, err);
    if (a->tokens == NULL) return AS_NOMEM;
    AS_TRY(as_vocab_init(&a->by_content, n, err));
    for (size_t i = 0; i < n; i++)
        AS_TRY(read_one(as_json_at(list, i), ld, err));
    AS_TRY(build(&a->raw, a, false, ld, err));
    return build(&a->normalized, a, true, ld, err);
}

/* ---- matching ---- */
static bool char_before_is(as_str text, size_t at, unsigned flag) {
    if (at == 0) return false;
    size_t i = at - 1;
    while (i > 0 && ((unsigned char)text.p[i] & 0xC0) == 0x80)
        i--;
    uint32_t cp;
    (void)as_utf8_next(text.p + i, &cp);
    return (as_uc_flags(cp) & flag) != 0;
}

static bool char_at_is(as_str text, size_t at, unsigned flag, size_t *len) {
    if (at >= text.n) return false;
    uint32_t cp;
    *len = as_utf8_next(text.p + at, &cp);
    return (as_uc_flags(cp) & flag) != 0;
}

static const as_added_token *match_at(const as_matcher *m, as_str text, size_t i) {
    const unsigned char b = (unsigned char)text.p[i];
    for (uint32_t k = m->first[b]; k < m->first[b + 1]; k++) {
        const as_str p = m->tokens[k]->pattern;
        if (p.n <= text.n - i && memcmp(p.p, text.p + i, p.n) == 0) return m->tokens[k];
    }
    return NULL;
}

static const as_added_token *search(const as_matcher *m, as_str text, size_t *at) {
    for (size_t i = *at; i < text.n; i++) {
        if (m->only >= 0) {
            const char *hit = memchr(text.p + i, m->only, text.n - i);
            if (hit == NULL) return NULL;
            i = (size_t)(hit - text.p);
        }
        const as_added_token *tok = match_at(m, text, i);
        if (tok != NULL) return *at = i, tok;
    }
    return NULL;
}

/* The scan goes on behind the pattern itself, also when the match was refused or its right side was
 * extended, as the library's does. */
bool as_matcher_next(const as_matcher *m, as_str text, size_t *pos, size_t from, as_match *out) {
    if (m->count == 0) return false;
    for (;;) {
        const as_added_token *tok = search(m, text, pos);
        if (tok == NULL) return false;
        size_t begin = *pos, end = begin + tok->pattern.n, len = 0;
        *pos = end;
        if (tok->single_word &&
            (char_before_is(text, begin, AS_UC_WORD) || char_at_is(text, end, AS_UC_WORD, &len)))
            continue;
        if (tok->lstrip) {
            while (begin > from && char_before_is(text, begin, AS_UC_WHITE)) {
                begin--;
                while (((unsigned char)text.p[begin] & 0xC0) == 0x80)
                    begin--;
            }
        }
        if (tok->rstrip)
            while (char_at_is(text, end, AS_UC_WHITE, &len))
                end += len;
        *out = (as_match){begin, end, tok};
        return true;
    }
}
