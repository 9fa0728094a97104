/* decode.c: ids back to text. The decoders are chained over a list of strings, as the library does;
 * what comes out at the end is joined. */
#include "token/internal.h"

#include "base/mem.h"
#include "base/utf8.h"
#include <string.h>

/* ---- the list under way: w->strings -> w->strings_next -> swapped ---- */
static as_str string_at(const as_strings *s, size_t i) {
    const size_t begin = i > 0 ? s->end[i - 1] : 0;
    return (as_str){s->text.p != NULL ? s->text.p + begin : "", s->end[i] - begin};
}

/* Close the string whose bytes were appended to s->text since the last one. */
static as_status close_string(as_strings *s, as_err *err) {
    if (s->text.failed || (s->n == s->cap && !as_grow(&s->end, &s->cap, s->n + 1, sizeof *s->end)))
        return as_fail_nomem(err, "decoded text", s->text.n);
    s->end[s->n++] = s->text.n;
    return AS_OK;
}

static void swap_strings(as_work *w) {
    const as_strings s = w->strings;
    w->strings = w->strings_next;
    w->strings_next = s;
    w->strings_next.n = 0;
    as_buf_clear(&w->strings_next.text);
}

/* Every occurrence of `from` in s, left to right. */
static void replace_all(as_buf *out, as_str s, as_str from, as_str to) {
    for (size_t i = 0; i < s.n;) {
        if (from.n > 0 && s.n - i >= from.n && memcmp(s.p + i, from.p, from.n) == 0) {
            as_buf_add(out, to.p, to.n);
            i += from.n;
        } else {
            as_buf_char(out, s.p[i++]);
        }
    }
}

/* ---- WordPiece ---- */
typedef struct wordpiece_settings {
    as_str prefix;
    bool cleanup;
} wordpiece_settings;

static as_status parse_wordpiece(as_part *self, const as_json *spec, as_loader *ld, as_err *err) {
    wordpiece_settings *s = as_load_push(ld, 1, sizeof *s, err);
    if (s == NULL) return AS_NOMEM;
    AS_TRY(as_load_str(ld, &s->prefix, spec, "prefix", "##", err));
    AS_TRY(as_load_bool(ld, &s->cleanup, spec, "cleanup", true, err));
    self->settings = s;
    return AS_OK;
}

/* In this order, each over the result of the one before; " do not" is the library's own idea. */
static const char *const cleanups[][2] = {
    {" .", "."},   {" ?", "?"},     {" !", "!"},     {" ,", ","},
    {" ' ", "'"},  {" n't", "n't"}, {" 'm", "'m"},   {" do not", " don't"},
    {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"},
};

static as_status run_wordpiece(const as_part *self, as_work *w, as_err *err) {
    const wordpiece_settings *s = self->settings;
    as_buf a = {0}, b = {0};
    as_status status = AS_OK;
    for (size_t i = 0; i < w->strings.n && status == AS_OK; i++) {
        as_str token = string_at(&w->strings, i);
        as_buf_clear(&a);
        if (i > 0) {
            if (token.n >= s->prefix.n && memcmp(token.p, s->prefix.p, s->prefix.n) == 0)
                token.p += s->prefix.n, token.n -= s->prefix.n;
            else
                as_buf_char(&a, ' ');
        }
        as_buf_add(&a, token.p, token.n);
        for (size_t k = 0; s->cleanup && k < AS_COUNT(cleanups); k++) {
            as_buf_clear(&b);
            replace_all(&b, as_buf_view(&a), as_str_of(cleanups[k][0]), as_str_of(cleanups[k][1]));
            const as_buf t = a;
            a = b, b = t;
        }
        w->strings_next.text.failed |= a.failed || b.failed;
        as_buf_add(&w->strings_next.text, a.p, a.n);
        status = close_string(&w->strings_next, err);
    }
    as_buf_free(&a), as_buf_free(&b);
    if (status == AS_OK) swap_strings(w);
    return status;
}

/* ---- Fuse, Replace, Strip ---- */
static as_status run_fuse(const as_part *self, as_work *w, as_err *err) {
    (void)self;
    w->strings.n = 0; /* the bytes are adjacent already */
    return close_string(&w->strings, err);
}

typedef struct replace_settings {
    as_str pattern, content;
} replace_settings;

static as_status parse_replace(as_part *self, const as_json *spec, as_loader *ld, as_err *err) {
    replace_settings *s = as_load_push(ld, 1, sizeof *s, err);
    if (s == NULL) return AS_NOMEM;
    AS_TRY(as_load_pattern(ld, &s->pattern, spec, "decoder Replace", err));
    AS_TRY(as_load_str(ld, &s->content, spec, "content", NULL, err));
    self->settings = s;
    return AS_OK;
}

static as_status run_replace(const as_part *self, as_work *w, as_err *err) {
    const replace_settings *s = self->settings;
    for (size_t i = 0; i < w->strings.n; i++) {
        replace_all(&w->strings_next.text, string_at(&w->strings, i), s->pattern, s->content);
        AS_TRY(close_string(&w->strings_next, err));
    }
    swap_strings(w);
    return AS_OK;
}

typedef struct strip_settings {
    as_str content;
    int64_t start, stop;
} strip_settings;

static as_status parse_strip(as_part *self, const as_json *spec, as_loader *ld, as_err *err) {
    strip_settings *s = as_load_push(ld, 1, sizeof *s, err);
    if (s == NULL) return AS_NOMEM;
    AS_TRY(as_load_str(ld, &s->content, spec, "content", NULL, err));
    AS_TRY(as_load_int(ld, &s->start, spec, "start", 0, 0, INT32_MAX, err));
    AS_TRY(as_load_int(ld, &s->stop, spec, "stop", 0, 0, INT32_MAX, err));
    if (as_utf8_count(s->content.p, s->content.n) != 1)
        return as_fail(err, AS_FORMAT, "%s: decoder Strip: content must be one character",
                       ld->where);
    self->settings = s;
    return AS_OK;
}

static as_status run_strip(const as_part *self, as_work *w, as_err *err) {
    const strip_settings *s = self->settings;
    const size_t n = s->content.n;
    for (size_t i = 0; i < w->strings.n; i++) {
        as_str t = string_at(&w->strings, i);
        for (int64_t k = 0; k < s->start && t.n >= n && memcmp(t.p, s->content.p, n) == 0; k++)
            t.p += n, t.n -= n;
        for (int64_t k = 0; k < s->stop && t.n >= n && memcmp(t.p + t.n - n, s->content.p, n) == 0;
             k++)
            t.n -= n;
        as_buf_add(&w->strings_next.text, t.p, t.n);
        AS_TRY(close_string(&w->strings_next, err));
    }
    swap_strings(w);
    return AS_OK;
}

/* ---- ByteLevel, ByteFallback, Metaspace, BPEDecoder ---- */
/* A token with a character that stands for no byte gives its own bytes; what is not UTF-8 in the end
 * becomes U+FFFD. */
static as_status run_byte_level(const as_part *self, as_work *w, as_err *err) {
    (void)self;
    as_buf bytes = {0};
    uint32_t cp;
    for (size_t i = 0; i < w->strings.n; i++) {
        const as_str t = string_at(&w->strings, i);
        const size_t keep = bytes.n;
        size_t k = 0;
        while (k < t.n) {
            k += as_utf8_next(t.p + k, &cp);
            const int byte = as_char_byte(cp);
            if (byte < 0) break;
            as_buf_char(&bytes, (char)byte);
            if (k == t.n) k++; /* all of it */
        }
        if (k > t.n || t.n == 0) continue;
        bytes.n = keep;
        as_buf_add(&bytes, t.p, t.n);
    }
    (void)as_utf8_lossy(&w->strings_next.text, as_buf_view(&bytes));
    w->strings_next.text.failed |= bytes.failed;
    as_buf_free(&bytes);
    AS_TRY(close_string(&w->strings_next, err));
    swap_strings(w);
    return AS_OK;
}

static int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* "<0x61>" -> 0x61, else -1. A sign is a digit's neighbour for the library: "<0x+5>" is 5. */
static int named_byte(as_str t) {
    if (t.n != 6 || memcmp(t.p, "<0x", 3) != 0 || t.p[5] != '>') return -1;
    const int high = t.p[3] == '+' ? 0 : hex_digit(t.p[3]), low = hex_digit(t.p[4]);
    return high < 0 || low < 0 ? -1 : high * 16 + low;
}

static as_status put_bytes(as_strings *to, as_buf *bytes, as_err *err) {
    if (bytes->n == 0) return AS_OK;
    if (as_utf8_valid_prefix(bytes->p, bytes->n) == bytes->n) {
        as_buf_add(&to->text, bytes->p, bytes->n);
        AS_TRY(close_string(to, err));
    } else {
        for (size_t i = 0; i < bytes->n; i++) {
            as_buf_str(&to->text, "\xEF\xBF\xBD");
            AS_TRY(close_string(to, err));
        }
    }
    as_buf_clear(bytes);
    return AS_OK;
}

static as_status fall_back(as_work *w, as_buf *bytes, as_err *err) {
    for (size_t i = 0; i < w->strings.n; i++) {
        const as_str t = string_at(&w->strings, i);
        const int byte = named_byte(t);
        if (byte >= 0) {
            as_buf_char(bytes, (char)byte);
            continue;
        }
        AS_TRY(put_bytes(&w->strings_next, bytes, err));
        as_buf_add(&w->strings_next.text, t.p, t.n);
        AS_TRY(close_string(&w->strings_next, err));
    }
    return put_bytes(&w->strings_next, bytes, err);
}

static as_status run_byte_fallback(const as_part *self, as_work *w, as_err *err) {
    (void)self;
    as_buf bytes = {0};
    as_status s = fall_back(w, &bytes, err);
    if (bytes.failed) s = as_fail_nomem(err, "decoded text", bytes.n);
    as_buf_free(&bytes);
    if (s == AS_OK) swap_strings(w);
    return s;
}

/* All marks of the first token vanish, unless none is put before texts. */
static as_status run_metaspace(const as_part *self, as_work *w, as_err *err) {
    const as_metaspace *m = self->settings;
    for (size_t i = 0; i < w->strings.n; i++) {
        const bool drop = i == 0 && m->scheme != AS_SCHEME_NEVER;
        replace_all(&w->strings_next.text, string_at(&w->strings, i), m->mark,
                    drop ? (as_str){"", 0} : AS_LIT(" "));
        AS_TRY(close_string(&w->strings_next, err));
    }
    swap_strings(w);
    return AS_OK;
}

static as_status parse_bpe(as_part *self, const as_json *spec, as_loader *ld, as_err *err) {
    as_str *suffix = as_load_push(ld, 1, sizeof *suffix, err);
    if (suffix == NULL) return AS_NOMEM;
    self->settings = suffix;
    return as_load_str(ld, suffix, spec, "suffix", "</w>", err);
}

static as_status run_bpe(const as_part *self, as_work *w, as_err *err) {
    const as_str *suffix = self->settings;
    for (size_t i = 0; i < w->strings.n; i++) {
        replace_all(&w->strings_next.text, string_at(&w->strings, i), *suffix,
                    i + 1 == w->strings.n ? (as_str){"", 0} : AS_LIT(" "));
        AS_TRY(close_string(&w->strings_next, err));
    }
    swap_strings(w);
    return AS_OK;
}

static as_status parse_sequence(as_part *self, const as_json *spec, as_loader *ld, as_err *err) {
    return as_part_parse_children(self, &as_decoders, spec, ld, err);
}

static const as_part_type types[] = {
    {"BPEDecoder", parse_bpe, run_bpe},
    {"ByteFallback", NULL, run_byte_fallback},
    {"ByteLevel", NULL, run_byte_level},
    {"Fuse", NULL, run_fuse},
    {"Metaspace", as_parse_metaspace, run_metaspace},
    {"Replace", parse_replace, run_replace},
    {"Sequence", parse_sequence, as_part_run_children},
    {"Strip", parse_strip, run_strip},
    {"WordPiece", parse_wordpiece, run_wordpiece},
};
const as_part_kind as_decoders = {"decoder", "decoders", types, AS_COUNT(types)};

/* ---- as_decode ---- */
/* Ids that no piece has are left out, as the library leaves them out. */
static as_status load_strings(const as_tokenizer *t, as_work *w, const int32_t *ids, int64_t n,
                              bool skip_special, as_err *err) {
    const bool spaced = t->decoder.type == NULL;
    for (int64_t i = 0; i < n; i++) {
        if (ids[i] < 0 || ids[i] >= t->n_ids || t->pieces[ids[i]].p == NULL) continue;
        const as_str piece = t->pieces[ids[i]];
        const int32_t added = skip_special ? as_vocab_id(&t->added.by_content, piece) : -1;
        if (added >= 0 && t->added.tokens[added].special) continue;
        if (spaced && w->strings.n > 0) as_buf_char(&w->strings.text, ' ');
        as_buf_add(&w->strings.text, piece.p, piece.n);
        AS_TRY(close_string(&w->strings, err));
    }
    return AS_OK;
}

as_status as_decode(const as_tokenizer *t, const int32_t *ids, int64_t n, bool skip_special,
                    as_buf *out, as_err *err) {
    as_work *w = as_calloc(1, sizeof *w);
    if (w == NULL) return as_fail_nomem(err, "decoder", sizeof *w);
    w->t = t;
    as_status s = load_strings(t, w, ids, n, skip_special, err);
    if (s == AS_OK) s = as_part_run(&t->decoder, w, err);
    if (s == AS_OK) {
        as_buf_add(out, w->strings.text.p, w->strings.text.n);
        if (out->failed) s = as_fail_nomem(err, "decoded text", w->strings.text.n);
    }
    as_work_free(w);
    return s;
}
