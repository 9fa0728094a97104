/* pretokenize.c: the pre-tokenizers. Each cuts w->splits further; splits that are added tokens pass
 * through. They are byte ranges of w->norm: ascending, non-empty, never inside a UTF-8 sequence. */
#include "token/internal.h"

#include "base/utf8.h"

/* What happens to the characters that match. */
typedef enum behavior {
    REMOVED,
    ISOLATED,
    MERGED_WITH_PREVIOUS,
    MERGED_WITH_NEXT,
    CONTIGUOUS
} behavior;
static const char *const behavior_names[] = {"Removed", "Isolated", "MergedWithPrevious",
                                             "MergedWithNext", "Contiguous"};

static bool matches(uint32_t cp, unsigned flags) {
    return (as_uc_flags(cp) & flags) != 0;
}

/* Cut one split where characters with any of `flags` stand; each of them is a match of its own. */
static as_status cut(as_work *w, as_split s, unsigned flags, behavior how, as_err *err) {
    const char *p = w->norm.text;
    uint32_t start = s.begin, len = 0; /* start: of the piece that is not yet out */
    bool was = false, first = true;    /* was: the character before matched */
    for (uint32_t i = s.begin; i < s.end; i += len, first = false) {
        uint32_t cp;
        len = as_utf8_next(p + i, &cp);
        const bool is = matches(cp, flags);
        bool boundary = is || was;
        if (how == CONTIGUOUS) boundary = is != was;
        if (how == MERGED_WITH_PREVIOUS)
            boundary = was; /* a match closes its piece; a second match stands alone */
        if (how == MERGED_WITH_NEXT) boundary = is;
        if (boundary && !first) {
            if (!(how == REMOVED && was)) AS_TRY(as_split_add(w, start, i, NULL, err));
            start = i;
        }
        was = is;
    }
    return how == REMOVED && was ? AS_OK : as_split_add(w, start, s.end, NULL, err);
}

static as_status cut_all(as_work *w, unsigned flags, behavior how, as_err *err) {
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
    AS_TRY(cut_all(w, AS_UC_WHITE, REMOVED, err));
    return cut_all(w, AS_UC_PUNCT, ISOLATED, err);
}

static as_status run_whitespace_split(const as_part *self, as_work *w, as_err *err) {
    (void)self;
    return cut_all(w, AS_UC_WHITE, REMOVED, err);
}

/* \w+|[^\w\s]+ */
static as_status run_whitespace(const as_part *self, as_work *w, as_err *err) {
    (void)self;
    AS_TRY(cut_all(w, AS_UC_WHITE, REMOVED, err));
    return cut_all(w, AS_UC_WORD, CONTIGUOUS, err);
}

static as_status parse_punctuation(as_part *self, const as_json *spec, as_loader *ld, as_err *err) {
    behavior *how = as_load_push(ld, 1, sizeof *how, err);
    if (how == NULL) return AS_NOMEM;
    as_str name;
    AS_TRY(as_load_str(ld, &name, spec, "behavior", "Isolated", err));
    for (size_t i = 0; i < AS_COUNT(behavior_names); i++) {
        if (!as_str_is(name, behavior_names[i])) continue;
        *how = (behavior)i;
        self->settings = how;
        return AS_OK;
    }
    return as_fail(err, AS_FORMAT, "%s: pre-tokenizer Punctuation: unknown behavior \"%.*s\"",
                   ld->where, (int)name.n, name.p);
}

static as_status run_punctuation(const as_part *self, as_work *w, as_err *err) {
    return cut_all(w, AS_UC_PUNCT, *(const behavior *)self->settings, err);
}

static as_status parse_digits(as_part *self, const as_json *spec, as_loader *ld, as_err *err) {
    bool *individual = as_load_push(ld, 1, sizeof *individual, err);
    if (individual == NULL) return AS_NOMEM;
    AS_TRY(as_load_bool(ld, individual, spec, "individual_digits", false, err));
    self->settings = individual;
    return AS_OK;
}

static as_status run_digits(const as_part *self, as_work *w, as_err *err) {
    return cut_all(w, AS_UC_NUMERIC, *(const bool *)self->settings ? ISOLATED : CONTIGUOUS, err);
}

static as_status parse_sequence(as_part *self, const as_json *spec, as_loader *ld, as_err *err) {
    return as_part_parse_children(self, &as_pre_tokenizers, spec, ld, err);
}

static const as_part_type types[] = {
    {"BertPreTokenizer", NULL, run_bert},
    {"Digits", parse_digits, run_digits},
    {"Punctuation", parse_punctuation, run_punctuation},
    {"Sequence", parse_sequence, as_part_run_children},
    {"Whitespace", NULL, run_whitespace},
    {"WhitespaceSplit", NULL, run_whitespace_split},
};
const as_part_kind as_pre_tokenizers = {"pre-tokenizer", "pretokenizers", types, AS_COUNT(types)};
const as_part_type *const as_bert_pre_tokenizer_type = &types[0];
