/* bytelevel.c: GPT-2's way of cutting text and of writing bytes as characters. The regular expression
 *   's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
 * is read by hand; letters and numbers are those that the library's Oniguruma knows. */
#include "token/internal.h"

#include "base/utf8.h"

enum { OTHER, LETTER, DIGIT, WHITE };

static int class_of(uint32_t cp) {
    const unsigned f = as_uc_flags(cp);
    return f & AS_UC_LETTER ? LETTER : f & AS_UC_DIGIT ? DIGIT : f & AS_UC_WHITE ? WHITE : OTHER;
}

/* Classes of ASCII; the rest goes through the tables. */
static const uint8_t ascii[128] = {
    ['\t'] = WHITE, ['\n'] = WHITE, ['\v'] = WHITE, ['\f'] = WHITE, ['\r'] = WHITE, [' '] = WHITE,
    ['0'] = DIGIT,  ['1'] = DIGIT,  ['2'] = DIGIT,  ['3'] = DIGIT,  ['4'] = DIGIT,  ['5'] = DIGIT,
    ['6'] = DIGIT,  ['7'] = DIGIT,  ['8'] = DIGIT,  ['9'] = DIGIT,  ['A'] = LETTER, ['B'] = LETTER,
    ['C'] = LETTER, ['D'] = LETTER, ['E'] = LETTER, ['F'] = LETTER, ['G'] = LETTER, ['H'] = LETTER,
    ['I'] = LETTER, ['J'] = LETTER, ['K'] = LETTER, ['L'] = LETTER, ['M'] = LETTER, ['N'] = LETTER,
    ['O'] = LETTER, ['P'] = LETTER, ['Q'] = LETTER, ['R'] = LETTER, ['S'] = LETTER, ['T'] = LETTER,
    ['U'] = LETTER, ['V'] = LETTER, ['W'] = LETTER, ['X'] = LETTER, ['Y'] = LETTER, ['Z'] = LETTER,
    ['a'] = LETTER, ['b'] = LETTER, ['c'] = LETTER, ['d'] = LETTER, ['e'] = LETTER, ['f'] = LETTER,
    ['g'] = LETTER, ['h'] = LETTER, ['i'] = LETTER, ['j'] = LETTER, ['k'] = LETTER, ['l'] = LETTER,
    ['m'] = LETTER, ['n'] = LETTER, ['o'] = LETTER, ['p'] = LETTER, ['q'] = LETTER, ['r'] = LETTER,
    ['s'] = LETTER, ['t'] = LETTER, ['u'] = LETTER, ['v'] = LETTER, ['w'] = LETTER, ['x'] = LETTER,
    ['y'] = LETTER, ['z'] = LETTER,
};

static inline int class_at(const char *p, size_t i, size_t *len) {
    const unsigned char c = (unsigned char)p[i];
    if (c < 128) return *len = 1, ascii[c];
    uint32_t cp;
    *len = as_utf8_next(p + i, &cp);
    return class_of(cp);
}

static size_t run_of(int kind, const char *p, size_t i, size_t n) {
    size_t len;
    while (i < n && class_at(p, i, &len) == kind)
        i += len;
    return i;
}

/* Length of a contraction at an apostrophe, or 0. */
static size_t contraction(const char *p, size_t left) {
    if (left < 2) return 0;
    switch (p[1]) {
    case 's':
    case 't':
    case 'm':
    case 'd':
        return 2;
    case 'r':
    case 'v':
        return left > 2 && p[2] == 'e' ? 3 : 0;
    case 'l':
        return left > 2 && p[2] == 'l' ? 3 : 0;
    default:
        return 0;
    }
}

size_t as_byte_level_next(const char *p, size_t i, size_t n) {
    size_t len, at = i;
    if (p[i] == '\'') {
        const size_t short_form = contraction(p + i, n - i);
        if (short_form > 0) return i + short_form;
    }
    int kind = class_at(p, at, &len);
    if (p[i] == ' ' && i + 1 < n) {
        const int next = class_at(p, i + 1, &len);
        if (next != WHITE) return run_of(next, p, i + 1, n);
    }
    if (kind != WHITE) return run_of(kind, p, i, n);
    /* White space: all of it at the end; else what follows takes the last one. */
    size_t last = i;
    for (; at < n && (kind = class_at(p, at, &len)) == WHITE; at += len)
        last = at;
    return at == n || last == i ? at : last;
}

/* ---- the pre-tokenizer ---- */
static as_status parse_flags(as_byte_level *s, const as_json *spec, as_loader *ld, as_err *err) {
    AS_TRY(as_load_bool(ld, &s->prefix_space, spec, "add_prefix_space", true, err));
    AS_TRY(as_load_bool(ld, &s->trim, spec, "trim_offsets", true, err));
    return as_load_bool(ld, &s->use_regex, spec, "use_regex", true, err);
}

as_status as_parse_byte_level(as_part *self, const as_json *spec, as_loader *ld, as_err *err) {
    as_byte_level *s = as_load_push(ld, 1, sizeof *s, err);
    if (s == NULL) return AS_NOMEM;
    self->settings = s;
    return parse_flags(s, spec, ld, err);
}

as_status as_post_byte_level(as_part *self, const as_json *spec, as_loader *ld, as_err *err) {
    (void)self;
    as_byte_level s;
    AS_TRY(parse_flags(&s, spec, ld, err));
    if (s.trim) ld->t->post_trims = true, ld->t->post_prefix = s.prefix_space;
    return AS_OK;
}

static as_status cut(as_work *w, as_split s, as_err *err) {
    const char *p = w->norm.text + s.begin;
    const size_t n = s.end - s.begin;
    for (size_t i = 0, next; i < n; i = next) {
        next = as_byte_level_next(p, i, n);
        AS_TRY(as_split_add(w, s.begin + (uint32_t)i, s.begin + (uint32_t)next, NULL, err));
    }
    return AS_OK;
}

/* Every byte as a character of its own; all bytes of a character share its range. */
static as_status spell(as_work *w, as_split *s, as_err *err) {
    const as_norm *old = &w->norm;
    const uint32_t base = (uint32_t)w->spare.n;
    AS_TRY(as_norm_reserve(&w->spare, w->spare.n + 2 * (size_t)(s->end - s->begin), err));
    for (uint32_t i = s->begin; i < s->end; i++)
        AS_TRY(as_norm_put(&w->spare, as_byte_char((unsigned char)old->text[i]), old->begin[i],
                           old->end[i], err));
    if (w->spare.n > UINT32_MAX)
        return as_fail(err, AS_FORMAT, "the text is longer than 4 GiB after normalisation");
    s->begin = base, s->end = (uint32_t)w->spare.n;
    return AS_OK;
}

as_status as_run_byte_level(const as_part *self, as_work *w, as_err *err) {
    const as_byte_level *b = self->settings;
    if (b->prefix_space) AS_TRY(as_prepend_splits(w, AS_LIT(" "), false, err));
    if (b->use_regex) {
        w->n_next = 0;
        for (size_t i = 0; i < w->n_splits; i++) {
            const as_split s = w->splits[i];
            AS_TRY(s.added != NULL ? as_split_add(w, s.begin, s.end, s.added, err) : cut(w, s, err));
        }
        as_split_swap(w);
    }
    w->spare.n = 0;
    for (size_t i = 0; i < w->n_splits; i++) {
        as_split *s = &w->splits[i];
        AS_TRY(s->added != NULL ? as_copy_split(w, s, err) : spell(w, s, err));
    }
    as_norm_swap_text(w);
    return AS_OK;
}
