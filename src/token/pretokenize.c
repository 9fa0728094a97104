/* pretokenize.c: the pre-tokenizers. Each cuts w->splits further; splits that are added tokens pass
 * through. They are byte ranges of w->norm: ascending, non-empty, never inside a UTF-8 sequence. */
#include "token/internal.h"

#include "base/utf8.h"
#include <string.h>

static const char *const behavior_names[] = {"Removed", "Isolated", "MergedWithPrevious",
                                             "MergedWithNext", "Contiguous"};

static bool matches(uint32_t cp, unsigned flags) {
    return (as_uc_flags(cp) & flags) != 0;
}

/* Cut one split where characters with any of `flags` stand; each of them is a match of its own. */
static as_status cut(as_work *w, as_split s, unsigned flags, as_behavior how, as_err *err) {
    const char *p = w->norm.text;
    uint32_t start = s.begin, len = 0; /* start: of the piece that is not yet out */
    bool was = false, first = true;    /* was: the character before matched */
    for (uint32_t i = s.begin; i < s.end; i += len, first = false) {
        uint32_t cp;
        len = as_utf8_next(p + i, &cp);
        const bool is = matches(cp, flags);
        bool boundary = is || was;
        if (how == AS_CONTIGUOUS) boundary = is != was;
        if (how == AS_MERGED_WITH_PREVIOUS)
            boundary = was; /* a match closes its piece; a second match stands alone */
        if (how == AS_MERGED_WITH_NEXT) boundary = is;
        if (boundary && !first) {
            if (!(how == AS_REMOVED && was)) AS_TRY(as_split_add(w, start, i, NULL, err));
            start = i;
        }
        was = is;
    }
    return how == AS_REMOVED && was ? AS_OK : as_split_add(w, start, s.end, NULL, err);
}

static as_status cut_all(as_work *w, unsigned flags, as_behavior how, as_err *err) {
    w->n_next = 0;
    for (size_t i = 0; i < w->n_splits; i++) {
        const as_split s = w->splits[i];
        if (s.added != NULL)
            AS_TRY(as_split_add(w, s.begin, s.end, s.added, err));
        else
            AS_TRY(cut(w, s, flags, how, err));
    }
    as_split_swap(w);
    return AS_OK;
}

static as_status run_bert(const as_part *self, as_work *w, as_err *err) {
    (void)self;
    AS_TRY(cut_all(w, AS_UC_WHITE, AS_REMOVED, err));
    return cut_all(w, AS_UC_PUNCT, AS_ISOLATED, err);
}

static as_status run_whitespace_split(const as_part *self, as_work *w, as_err *err) {
    (void)self;
    return cut_all(w, AS_UC_WHITE, AS_REMOVED, err);
}

/* \w+|[^\w\s]+ */
static as_status run_whitespace(const as_part *self, as_work *w, as_err *err) {
    (void)self;
    AS_TRY(cut_all(w, AS_UC_WHITE, AS_REMOVED, err));
    return cut_all(w, AS_UC_WORD, AS_CONTIGUOUS, err);
}

static as_status parse_behavior(as_behavior *how, const as_json *spec, const char *fallback,
                                const char *what, as_loader *ld, as_err *err) {
    as_str name;
    AS_TRY(as_load_str(ld, &name, spec, "behavior", fallback, err));
    for (size_t i = 0; i < AS_COUNT(behavior_names); i++)
        if (as_str_is(name, behavior_names[i])) return *how = (as_behavior)i, AS_OK;
    return as_fail(err, AS_FORMAT, "%s: pre-tokenizer %s: unknown behavior \"%.*s\"", ld->where, what,
                   (int)name.n, name.p);
}

static as_status parse_punctuation(as_part *self, const as_json *spec, as_loader *ld, as_err *err) {
    as_behavior *how = as_load_push(ld, 1, sizeof *how, err);
    if (how == NULL) return AS_NOMEM;
    self->settings = how;
    return parse_behavior(how, spec, "Isolated", "Punctuation", ld, err);
}

static as_status run_punctuation(const as_part *self, as_work *w, as_err *err) {
    return cut_all(w, AS_UC_PUNCT, *(const as_behavior *)self->settings, err);
}

static as_status parse_digits(as_part *self, const as_json *spec, as_loader *ld, as_err *err) {
    bool *individual = as_load_push(ld, 1, sizeof *individual, err);
    if (individual == NULL) return AS_NOMEM;
    AS_TRY(as_load_bool(ld, individual, spec, "individual_digits", false, err));
    self->settings = individual;
    return AS_OK;
}

static as_status run_digits(const as_part *self, as_work *w, as_err *err) {
    return cut_all(w, AS_UC_NUMERIC, *(const bool *)self->settings ? AS_ISOLATED : AS_CONTIGUOUS, err);
}

/* ---- Split, CharDelimiterSplit ---- */
typedef struct split_settings {
    as_pattern pattern;
    as_behavior how;
    bool invert;
} split_settings;

static as_status parse_split(as_part *self, const as_json *spec, as_loader *ld, as_err *err) {
    split_settings *s = as_load_push(ld, 1, sizeof *s, err);
    if (s == NULL) return AS_NOMEM;
    self->settings = s;
    AS_TRY(as_pattern_load(ld, &s->pattern, spec, "pre-tokenizer Split", err));
    AS_TRY(as_load_bool(ld, &s->invert, spec, "invert", false, err));
    return parse_behavior(&s->how, spec, NULL, "Split", ld, err);
}

static as_status parse_delimiter(as_part *self, const as_json *spec, as_loader *ld, as_err *err) {
    split_settings *s = as_load_push(ld, 1, sizeof *s, err);
    if (s == NULL) return AS_NOMEM;
    self->settings = s;
    AS_TRY(as_load_str(ld, &s->pattern.text, spec, "delimiter", NULL, err));
    if (as_utf8_count(s->pattern.text.p, s->pattern.text.n) != 1)
        return as_fail(err, AS_FORMAT,
                       "%s: pre-tokenizer CharDelimiterSplit: delimiter must be one character",
                       ld->where);
    return AS_OK;
}

static as_status run_split(const as_part *self, as_work *w, as_err *err) {
    const split_settings *p = self->settings;
    w->n_next = 0;
    for (size_t i = 0; i < w->n_splits; i++) {
        const as_split s = w->splits[i];
        if (s.added != NULL) {
            AS_TRY(as_split_add(w, s.begin, s.end, s.added, err));
            continue;
        }
        AS_TRY(as_pattern_find(&p->pattern, w, (as_str){w->norm.text + s.begin, s.end - s.begin},
                               err));
        for (size_t k = 0; p->invert && k < w->n_units; k++)
            w->units[k].match = !w->units[k].match;
        AS_TRY(as_cut_units(w, s.begin, p->how, err));
    }
    as_split_swap(w);
    return AS_OK;
}

/* ---- changing the text of pieces: w->norm is written anew into w->spare ---- */
as_status as_copy_split(as_work *w, as_split *s, as_err *err) {
    const as_norm *old = &w->norm;
    as_norm *to = &w->spare;
    const size_t n = s->end - s->begin;
    if (to->n + n > UINT32_MAX)
        return as_fail(err, AS_FORMAT, "the text is longer than 4 GiB after normalisation");
    AS_TRY(as_norm_reserve(to, to->n + n, err));
    memcpy(to->text + to->n, old->text + s->begin, n);
    memcpy(to->begin + to->n, old->begin + s->begin, n * sizeof *old->begin);
    memcpy(to->end + to->n, old->end + s->begin, n * sizeof *old->end);
    s->begin = (uint32_t)to->n;
    to->n += n;
    s->end = (uint32_t)to->n;
    return AS_OK;
}

void as_norm_swap_text(as_work *w) {
    const as_norm s = w->norm;
    w->norm = w->spare;
    w->spare = s;
    w->spare.n = 0;
}

/* What is put before a text shares the range of its first character. */
as_status as_prepend_splits(as_work *w, as_str what, bool at_start_only, as_err *err) {
    w->spare.n = 0;
    for (size_t i = 0; i < w->n_splits; i++) {
        as_split *s = &w->splits[i];
        const size_t n = s->end - s->begin;
        const uint32_t base = (uint32_t)w->spare.n, begin = w->norm.begin[s->begin];
        const bool has = n >= what.n && memcmp(w->norm.text + s->begin, what.p, what.n) == 0;
        if (s->added == NULL && !has && (!at_start_only || begin == 0)) {
            AS_TRY(as_norm_add(&w->spare, what.p, what.n, begin, w->norm.end[s->begin], err));
            AS_TRY(as_copy_split(w, s, err));
            s->begin = base;
        } else {
            AS_TRY(as_copy_split(w, s, err));
        }
    }
    as_norm_swap_text(w);
    return AS_OK;
}

/* ---- Metaspace ---- */
as_status as_parse_metaspace(as_part *self, const as_json *spec, as_loader *ld, as_err *err) {
    as_metaspace *m = as_load_push(ld, 1, sizeof *m, err);
    if (m == NULL) return AS_NOMEM;
    self->settings = m;
    as_str scheme;
    bool prefix;
    AS_TRY(as_load_str(ld, &m->mark, spec, "replacement", NULL, err));
    AS_TRY(as_load_str(ld, &scheme, spec, "prepend_scheme", "always", err));
    AS_TRY(as_load_bool(ld, &prefix, spec, "add_prefix_space", true, err));
    AS_TRY(as_load_bool(ld, &m->split, spec, "split", true, err));
    static const char *const schemes[] = {"always", "first", "never"};
    for (size_t i = 0; i < AS_COUNT(schemes); i++)
        if (as_str_is(scheme, schemes[i])) m->scheme = (as_scheme)i + 1;
    if (m->scheme == 0)
        return as_fail(err, AS_FORMAT, "%s: Metaspace: unknown prepend_scheme \"%.*s\"", ld->where,
                       (int)scheme.n, scheme.p);
    if (!prefix && m->scheme != AS_SCHEME_NEVER &&
        as_json_typeof(as_json_get(spec, "prepend_scheme")) != AS_JSON_NULL)
        return as_fail(err, AS_FORMAT,
                       "%s: Metaspace: add_prefix_space false and prepend_scheme \"%.*s\" disagree",
                       ld->where, (int)scheme.n, scheme.p);
    if (!prefix) m->scheme = AS_SCHEME_NEVER;
    if (as_utf8_count(m->mark.p, m->mark.n) != 1)
        return as_fail(err, AS_FORMAT, "%s: Metaspace: replacement must be one character", ld->where);
    return AS_OK;
}

static as_status mark_blanks(as_work *w, const as_metaspace *m, as_err *err) {
    w->spare.n = 0;
    for (size_t i = 0; i < w->n_splits; i++) {
        as_split *s = &w->splits[i];
        if (s->added != NULL) {
            AS_TRY(as_copy_split(w, s, err));
            continue;
        }
        const uint32_t base = (uint32_t)w->spare.n;
        for (uint32_t k = s->begin; k < s->end; k++) {
            const as_str c = w->norm.text[k] == ' ' ? m->mark : (as_str){w->norm.text + k, 1};
            AS_TRY(as_norm_add(&w->spare, c.p, c.n, w->norm.begin[k], w->norm.end[k], err));
        }
        if (w->spare.n > UINT32_MAX)
            return as_fail(err, AS_FORMAT, "the text is longer than 4 GiB after normalisation");
        s->begin = base, s->end = (uint32_t)w->spare.n;
    }
    as_norm_swap_text(w);
    return AS_OK;
}

static as_status run_metaspace(const as_part *self, as_work *w, as_err *err) {
    const as_metaspace *m = self->settings;
    AS_TRY(mark_blanks(w, m, err));
    if (m->scheme != AS_SCHEME_NEVER)
        AS_TRY(as_prepend_splits(w, m->mark, m->scheme == AS_SCHEME_FIRST, err));
    if (!m->split) return AS_OK;
    const split_settings at_mark = {.pattern = {.text = m->mark}, .how = AS_MERGED_WITH_NEXT};
    return run_split(&(as_part){.settings = &at_mark}, w, err);
}

static as_status parse_sequence(as_part *self, const as_json *spec, as_loader *ld, as_err *err) {
    return as_part_parse_children(self, &as_pre_tokenizers, spec, ld, err);
}

static const as_part_type types[] = {
    {"BertPreTokenizer", NULL, run_bert},
    {"ByteLevel", as_parse_byte_level, as_run_byte_level},
    {"CharDelimiterSplit", parse_delimiter, run_split},
    {"Digits", parse_digits, run_digits},
    {"Metaspace", as_parse_metaspace, run_metaspace},
    {"Punctuation", parse_punctuation, run_punctuation},
    {"Sequence", parse_sequence, as_part_run_children},
    {"Split", parse_split, run_split},
    {"Whitespace", NULL, run_whitespace},
    {"WhitespaceSplit", NULL, run_whitespace_split},
};
const as_part_kind as_pre_tokenizers = {"pre-tokenizer", "pretokenizers", types, AS_COUNT(types)};
const as_part_type *const as_bert_pre_tokenizer_type = &types[0];
const as_part_type *const as_byte_level_type = &types[1];
