/* normalize.c: the normalizers. Each rewrites w->piece; every byte keeps the range of original
 * bytes that it stands for, by the rules of the library's NormalizedString: a replaced character
 * keeps its range, an inserted one shares the range of the character before it, what is removed
 * leaves no trace. */
#include "token/internal.h"

#include "base/mem.h"
#include "base/utf8.h"
#include <string.h>

/* One character of w->piece on its way to w->spare. */
typedef struct at_char {
    uint32_t cp, len, begin, end;
} at_char;

static at_char char_at(const as_work *w, size_t i) {
    at_char c;
    c.len = as_utf8_next(w->piece.text + i, &c.cp);
    c.begin = w->piece.begin[i], c.end = w->piece.end[i];
    return c;
}
static as_status keep(as_work *w, const at_char *c, uint32_t cp, as_err *err) {
    return as_norm_put(&w->spare, cp, c->begin, c->end, err);
}

/* ---- one character at a time ---- */
static as_status drop_flagged(as_work *w, unsigned flags, as_err *err) {
    at_char c;
    for (size_t i = 0; i < w->piece.n; i += c.len) {
        c = char_at(w, i);
        if (!(as_uc_flags(c.cp) & flags)) AS_TRY(keep(w, &c, c.cp, err));
    }
    as_norm_swap(w);
    return AS_OK;
}

static as_status clean_text(as_work *w, as_err *err) {
    at_char c;
    for (size_t i = 0; i < w->piece.n; i += c.len) {
        c = char_at(w, i);
        const unsigned f = as_uc_flags(c.cp);
        if (!(f & AS_UC_OTHER)) AS_TRY(keep(w, &c, f & AS_UC_WHITE ? ' ' : c.cp, err));
    }
    as_norm_swap(w);
    return AS_OK;
}

static as_status pad_chinese(as_work *w, as_err *err) {
    at_char c;
    for (size_t i = 0; i < w->piece.n; i += c.len) {
        c = char_at(w, i);
        const bool pad = as_uc_is_chinese(c.cp);
        if (pad) AS_TRY(keep(w, &c, ' ', err));
        AS_TRY(keep(w, &c, c.cp, err));
        if (pad) AS_TRY(keep(w, &c, ' ', err));
    }
    as_norm_swap(w);
    return AS_OK;
}

static as_status run_lowercase(const as_part *self, as_work *w, as_err *err) {
    (void)self;
    at_char c;
    for (size_t i = 0; i < w->piece.n; i += c.len) {
        c = char_at(w, i);
        if (!(as_uc_flags(c.cp) & AS_UC_LOWER)) {
            AS_TRY(keep(w, &c, c.cp, err));
            continue;
        }
        const uint32_t *low = as_uc_lower(c.cp);
        for (uint32_t k = 1; k <= low[0]; k++)
            AS_TRY(keep(w, &c, low[k], err));
    }
    as_norm_swap(w);
    return AS_OK;
}

static as_status run_strip_accents(const as_part *self, as_work *w, as_err *err) {
    (void)self;
    return drop_flagged(w, AS_UC_MARK, err);
}

/* ---- canonical and compatibility forms ---- */
/* The library describes a rewritten text as characters with a change: 0 replaces the next old
 * character, 1 is new, -n replaces one and swallows n more. Reordering marks moves characters, not
 * the count of old ones taken so far; that is what decides their ranges, so the list is kept in
 * this form. */
static as_status change_add(as_work *w, uint32_t cp, int32_t change, as_err *err) {
    if (w->n_changes == w->cap_changes &&
        !as_grow(&w->changes, &w->cap_changes, w->n_changes + 1, sizeof *w->changes))
        return as_fail_nomem(err, "normalised characters", w->n_changes);
    w->changes[w->n_changes++] = (as_change){cp, change, as_uc_ccc(cp)};
    return AS_OK;
}

/* Stable sort of changes[from..] by class. Long runs (hostile input) go through counting, so the
 * time stays linear. */
static as_status sort_marks(as_work *w, size_t from, size_t to, as_err *err) {
    const size_t n = to - from;
    if (n > 32) {
        if (!as_grow(&w->changes, &w->cap_changes, w->n_changes + n, sizeof *w->changes))
            return as_fail_nomem(err, "normalised characters", n);
        as_change *const v = w->changes + from, *const sorted = w->changes + w->n_changes;
        size_t at[256] = {0}, sum = 0;
        for (size_t i = 0; i < n; i++)
            at[v[i].ccc]++;
        for (size_t k = 0; k < 256; k++) {
            const size_t count = at[k];
            at[k] = sum, sum += count;
        }
        for (size_t i = 0; i < n; i++)
            sorted[at[v[i].ccc]++] = v[i];
        memcpy(v, sorted, n * sizeof *v);
        return AS_OK;
    }
    as_change *const v = w->changes + from;
    for (size_t i = 1; i < n; i++) {
        const as_change x = v[i];
        size_t k = i;
        for (; k > 0 && v[k - 1].ccc > x.ccc; k--)
            v[k] = v[k - 1];
        v[k] = x;
    }
    return AS_OK;
}

static as_status decompose(as_work *w, bool compatible, as_err *err) {
    w->n_changes = 0;
    size_t starter = 0;
    at_char c;
    for (size_t i = 0; i < w->piece.n; i += c.len) {
        c = char_at(w, i);
        uint32_t points[AS_UC_MAX];
        const int n = as_uc_decompose(points, c.cp, compatible);
        for (int k = 0; k < n; k++) {
            AS_TRY(change_add(w, points[k], k > 0, err));
            if (w->changes[w->n_changes - 1].ccc != 0) continue;
            AS_TRY(sort_marks(w, starter, w->n_changes - 1, err));
            starter = w->n_changes - 1;
        }
    }
    /* A run's starter has class 0 and comes first, so sorting the run with it leaves it in place.
     */
    return sort_marks(w, starter, w->n_changes, err);
}

/* Canonical composition of w->changes, in place: a mark joins the last starter unless one of its
 * own class or higher stands between. */
static void compose(as_work *w) {
    as_change *const v = w->changes;
    size_t n = 0, starter = SIZE_MAX;
    unsigned last = 0; /* class of the last mark kept since the starter; 0 = none */
    for (size_t i = 0; i < w->n_changes; i++) {
        const as_change c = v[i];
        if (starter != SIZE_MAX && (last == 0 || last < c.ccc)) {
            const uint32_t joined = as_uc_compose(v[starter].cp, c.cp);
            if (joined != 0) {
                v[starter].cp = joined;
                v[starter].change += c.change - 1;
                continue;
            }
        }
        if (c.ccc == 0)
            starter = n, last = 0;
        else if (starter != SIZE_MAX)
            last = c.ccc;
        v[n++] = c;
    }
    w->n_changes = n;
}

static as_status apply_changes(as_work *w, as_err *err) {
    const as_norm *old = &w->piece;
    size_t at = 0; /* bytes of old taken so far */
    for (size_t i = 0; i < w->n_changes; i++) {
        const as_change c = w->changes[i];
        const size_t from = c.change > 0 ? (at > 0 ? at - 1 : 0) : at;
        AS_ASSERT(from < old->n);
        AS_TRY(as_norm_put(&w->spare, c.cp, old->begin[from], old->end[from], err));
        for (int32_t take = 1 - c.change; take > 0 && c.change <= 0 && at < old->n; take--) {
            uint32_t cp;
            at += as_utf8_next(old->text + at, &cp);
        }
    }
    as_norm_swap(w);
    return AS_OK;
}

static bool is_ascii(const as_norm *s) {
    for (size_t i = 0; i < s->n; i++)
        if ((unsigned char)s->text[i] >= 0x80) return false;
    return true;
}

static as_status unicode_form(as_work *w, bool compatible, bool composed, as_err *err) {
    if (is_ascii(&w->piece)) return AS_OK;
    AS_TRY(decompose(w, compatible, err));
    if (composed) compose(w);
    return apply_changes(w, err);
}

static as_status run_nfd(const as_part *p, as_work *w, as_err *err) {
    return (void)p, unicode_form(w, false, false, err);
}
static as_status run_nfkd(const as_part *p, as_work *w, as_err *err) {
    return (void)p, unicode_form(w, true, false, err);
}
static as_status run_nfc(const as_part *p, as_work *w, as_err *err) {
    return (void)p, unicode_form(w, false, true, err);
}
static as_status run_nfkc(const as_part *p, as_work *w, as_err *err) {
    return (void)p, unicode_form(w, true, true, err);
}

/* ---- BertNormalizer ---- */
static as_status parse_bert(as_part *self, const as_json *spec, as_loader *ld, as_err *err) {
    as_bert_settings *s = as_load_push(ld, 1, sizeof *s, err);
    if (s == NULL) return AS_NOMEM;
    AS_TRY(as_load_bool(ld, &s->clean, spec, "clean_text", true, err));
    AS_TRY(as_load_bool(ld, &s->chinese, spec, "handle_chinese_chars", true, err));
    AS_TRY(as_load_bool(ld, &s->lower, spec, "lowercase", true, err));
    AS_TRY(as_load_bool(ld, &s->strip, spec, "strip_accents", s->lower,
                        err)); /* null follows lowercase */
    self->settings = s;
    return AS_OK;
}

static as_status run_bert(const as_part *self, as_work *w, as_err *err) {
    const as_bert_settings *s = self->settings;
    if (s->clean) AS_TRY(clean_text(w, err));
    if (s->chinese) AS_TRY(pad_chinese(w, err));
    if (s->strip) {
        AS_TRY(unicode_form(w, false, false, err));
        AS_TRY(drop_flagged(w, AS_UC_MN, err));
    }
    return s->lower ? run_lowercase(self, w, err) : AS_OK;
}

/* ---- Strip, Replace, Prepend ---- */
typedef struct strip_settings {
    bool left, right;
} strip_settings;

static as_status parse_strip(as_part *self, const as_json *spec, as_loader *ld, as_err *err) {
    strip_settings *s = as_load_push(ld, 1, sizeof *s, err);
    if (s == NULL) return AS_NOMEM;
    AS_TRY(as_load_bool(ld, &s->left, spec, "strip_left", true, err));
    AS_TRY(as_load_bool(ld, &s->right, spec, "strip_right", true, err));
    self->settings = s;
    return AS_OK;
}

static as_status run_strip(const as_part *self, as_work *w, as_err *err) {
    const strip_settings *s = self->settings;
    size_t first = w->piece.n, last = 0; /* bytes [first, last) run from the first to the last
                                            character that is not white */
    at_char c;
    for (size_t i = 0; i < w->piece.n; i += c.len) {
        c = char_at(w, i);
        if (as_uc_flags(c.cp) & AS_UC_WHITE) continue;
        if (first == w->piece.n) first = i;
        last = i + c.len;
    }
    const size_t begin = s->left ? first : 0, end = s->right ? last : w->piece.n;
    for (size_t i = begin; i < end; i += c.len) {
        c = char_at(w, i);
        AS_TRY(keep(w, &c, c.cp, err));
    }
    as_norm_swap(w);
    return AS_OK;
}

typedef struct replace_settings {
    as_pattern pattern;
    as_str content;
} replace_settings;

static as_status parse_replace(as_part *self, const as_json *spec, as_loader *ld, as_err *err) {
    replace_settings *s = as_load_push(ld, 1, sizeof *s, err);
    if (s == NULL) return AS_NOMEM;
    AS_TRY(as_pattern_load(ld, &s->pattern, spec, "normalizer Replace", err));
    AS_TRY(as_load_str(ld, &s->content, spec, "content", NULL, err));
    self->settings = s;
    return AS_OK;
}

/* New characters share the range of the last one that they replace; before a text, of nothing. */
static as_status run_replace(const as_part *self, as_work *w, as_err *err) {
    const replace_settings *s = self->settings;
    const as_norm *old = &w->piece;
    if (s->pattern.text.n == 0 || old->n == 0) return AS_OK;
    AS_TRY(as_pattern_find(&s->pattern, w, (as_str){old->text, old->n}, err));
    for (size_t k = 0; k < w->n_units; k++) {
        const as_unit u = w->units[k];
        if (u.match) {
            const bool any = u.end > 0;
            AS_TRY(as_norm_add(&w->spare, s->content.p, s->content.n, any ? old->begin[u.end - 1] : 0,
                               any ? old->end[u.end - 1] : 0, err));
            continue;
        }
        for (uint32_t i = u.begin; i < u.end; i++)
            AS_TRY(as_norm_add(&w->spare, old->text + i, 1, old->begin[i], old->end[i], err));
    }
    as_norm_swap(w);
    return AS_OK;
}

static as_status parse_prepend(as_part *self, const as_json *spec, as_loader *ld, as_err *err) {
    as_str *s = as_load_push(ld, 1, sizeof *s, err);
    if (s == NULL) return AS_NOMEM;
    AS_TRY(as_load_str(ld, s, spec, "prepend", NULL, err));
    self->settings = s;
    return AS_OK;
}

static as_status run_prepend(const as_part *self, as_work *w, as_err *err) {
    const as_str *s = self->settings;
    const as_norm *old = &w->piece;
    if (old->n == 0 || s->n == 0) return AS_OK;
    AS_TRY(as_norm_add(&w->spare, s->p, s->n, old->begin[0], old->end[0], err));
    for (size_t i = 0; i < old->n; i++)
        AS_TRY(as_norm_add(&w->spare, old->text + i, 1, old->begin[i], old->end[i], err));
    as_norm_swap(w);
    return AS_OK;
}

static as_status parse_sequence(as_part *self, const as_json *spec, as_loader *ld, as_err *err) {
    return as_part_parse_children(self, &as_normalizers, spec, ld, err);
}

static const as_part_type types[] = {
    {"BertNormalizer", parse_bert, run_bert},
    {"Lowercase", NULL, run_lowercase},
    {"NFC", NULL, run_nfc},
    {"NFD", NULL, run_nfd},
    {"NFKC", NULL, run_nfkc},
    {"NFKD", NULL, run_nfkd},
    {"Prepend", parse_prepend, run_prepend},
    {"Replace", parse_replace, run_replace},
    {"Sequence", parse_sequence, as_part_run_children},
    {"Strip", parse_strip, run_strip},
    {"StripAccents", NULL, run_strip_accents},
};
const as_part_kind as_normalizers = {"normalizer", "normalizers", types, AS_COUNT(types)};
const as_part_type *const as_bert_normalizer_type = &types[0];
