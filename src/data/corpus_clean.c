#include "base/mem.h"
#include "base/utf8.h"
#include "data/corpus_stage.h"
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

void as_docs_free(as_docs *d) {
    as_buf_free(&d->text);
    as_free(d->end);
    *d = (as_docs){0};
}

/* ---- characters ---- */

/* Blocks whose characters are in form C whatever stands beside them; anything else is given to utf8proc. */
static bool surely_composed(uint32_t cp) {
    return cp < 0x300 || (cp >= 0x400 && cp < 0x483) || (cp >= 0x48A && cp < 0x530) || (cp >= 0x2010 && cp < 0x2060) || (cp >= 0x3001 && cp < 0x302A) ||
           (cp >= 0x3041 && cp < 0x3097) || (cp >= 0x30A1 && cp < 0x30FB) || (cp >= 0x4E00 && cp < 0xA000) || (cp >= 0xAC00 && cp < 0xD7A4) ||
           (cp >= 0xFF00 && cp < 0xFFF0) || (cp >= 0x1F300 && cp < 0x1FB00);
}

static bool is_control(uint32_t cp) {
    return (cp < 0x20 && cp != '\t') || (cp >= 0x7F && cp < 0xA0) || cp == 0xFEFF || (cp & 0xFFFE) == 0xFFFE || (cp >= 0xFDD0 && cp < 0xFDF0);
}

typedef struct line_state { bool composed, controls; } line_state;

static line_state look_at(as_str line) {
    line_state s = {true, false};
    for (size_t i = 0; i < line.n;) {
        uint32_t cp;
        const unsigned char c = (unsigned char)line.p[i];
        if (c >= 0x20 && c < 0x7F) {
            i++;
            continue;
        }
        i += as_utf8_next(line.p + i, &cp);
        s.composed &= surely_composed(cp);
        s.controls |= is_control(cp);
    }
    return s;
}

/* Vertical tab, form feed and next line separate words; other control characters do not. */
static void strip_controls(as_buf *out, as_str line) {
    for (size_t i = 0; i < line.n;) {
        uint32_t cp;
        const uint32_t n = as_utf8_next(line.p + i, &cp);
        if (cp == '\v' || cp == '\f' || cp == 0x85) as_buf_char(out, ' ');
        else if (!is_control(cp)) as_buf_add(out, line.p + i, n);
        i += n;
    }
}

static as_str trim(as_str s) {
    while (s.n > 0) {
        size_t i = s.n - 1;
        uint32_t cp;
        while (i > 0 && ((unsigned char)s.p[i] & 0xC0) == 0x80) i--;
        as_utf8_next(s.p + i, &cp);
        if (!as_is_blank(cp)) break;
        s.n = i;
    }
    return s;
}

/* Room for one line on its way. */
typedef struct passage { as_buf stripped; utf8proc_uint8_t *composed; } passage;

static as_status clean_line(passage *room, as_str *line, const as_corpus_rules *rules, as_block_counts *counts, as_err *err) {
    const as_str before = *line;
    const line_state state = look_at(*line);
    if (state.controls && as_rule_on(rules, AS_RULE_CONTROL)) {
        as_buf_clear(&room->stripped);
        strip_controls(&room->stripped, *line);
        if (room->stripped.failed) return as_build_nomem(err);
        *line = as_buf_view(&room->stripped);
    }
    *line = as_rule_on(rules, AS_RULE_CONTROL) || trim(*line).n == 0 ? trim(*line) : *line;
    if (line->n < before.n && line->n > 0) {
        as_rule_drop *const d = &counts->drop[AS_RULE_CONTROL];
        d->lines += state.controls, d->bytes += (int64_t)(before.n - line->n);
    }
    if (state.composed || !as_rule_on(rules, AS_RULE_NFC) || line->n == 0) return AS_OK;
    const utf8proc_ssize_t n = utf8proc_map((const utf8proc_uint8_t *)line->p, (utf8proc_ssize_t)line->n, &room->composed, UTF8PROC_STABLE | UTF8PROC_COMPOSE);
    if (n == UTF8PROC_ERROR_NOMEM) return as_build_nomem(err);
    if (n < 0) return AS_OK; /* valid UTF-8 always maps; were it not so, the line would stay as it is */
    const as_str composed = {(const char *)room->composed, (size_t)n};
    if (!as_str_eq(composed, *line)) {
        as_rule_drop *const d = &counts->drop[AS_RULE_NFC];
        d->lines++;
        if (line->n > composed.n) d->bytes += (int64_t)(line->n - composed.n);
    }
    *line = composed;
    return AS_OK;
}

as_status as_clean_document(as_docs *out, as_str text, const as_corpus_rules *rules, as_block_counts *counts, as_err *err) {
    passage room = {0};
    as_status s = AS_OK;
    const size_t begin = out->text.n;
    counts->docs++, counts->bytes += (int64_t)text.n;
    for (const char *p = text.p, *const end = text.p + text.n; p < end && s == AS_OK;) {
        const char *const lf = memchr(p, '\n', (size_t)(end - p));
        as_str line = {p, (size_t)((lf != NULL ? lf : end) - p)};
        p = lf != NULL ? lf + 1 : end;
        counts->lines++;
        s = clean_line(&room, &line, rules, counts, err);
        if (s == AS_OK && line.n > 0) {
            if (out->text.n > begin) as_buf_char(&out->text, '\n');
            as_buf_add(&out->text, line.p, line.n);
        }
        free(room.composed); /* utf8proc's, from malloc */
        room.composed = NULL;
    }
    as_buf_free(&room.stripped);
    if (s != AS_OK) return s;
    if (out->text.n == begin) {
        counts->drop[AS_RULE_EMPTY].docs++, counts->drop[AS_RULE_EMPTY].bytes += (int64_t)text.n;
        return out->text.failed ? as_build_nomem(err) : AS_OK;
    }
    if (out->text.failed || !as_grow(&out->end, &out->cap, (size_t)out->n + 1, sizeof *out->end)) return as_build_nomem(err);
    out->end[out->n++] = out->text.n;
    return AS_OK;
}

/* ---- lines ---- */
static uint64_t line_hash(as_str line) { return as_hash64(line.p, line.n, 2); }

static as_str next_line(as_str *rest) {
    const char *const lf = memchr(rest->p, '\n', rest->n);
    const as_str line = {rest->p, lf != NULL ? (size_t)(lf - rest->p) : rest->n};
    const size_t used = line.n + (lf != NULL);
    rest->p += used, rest->n -= used;
    return line;
}

static int by_value(const void *a, const void *b) {
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

as_status as_line_hashes(as_buf *out, const as_docs_view *docs, as_err *err) {
    for (int64_t i = 0; i < docs->n; i++) {
        const size_t begin = out->n / 8;
        as_str rest = as_docs_at(docs, i);
        if (memchr(rest.p, '\n', rest.n) == NULL) continue;
        while (rest.n > 0) {
            const uint64_t h = line_hash(next_line(&rest));
            as_buf_add(out, &h, sizeof h);
        }
        if (out->failed) return as_build_nomem(err);
        uint64_t *const v = (uint64_t *)(void *)out->p + begin;
        const size_t n = out->n / 8 - begin;
        size_t distinct = 0;
        qsort(v, n, sizeof *v, by_value);
        for (size_t k = 0; k < n; k++)
            if (k == 0 || v[k] != v[k - 1]) v[distinct++] = v[k];
        out->n = (begin + distinct) * 8;
    }
    return AS_OK;
}

/* ---- filter ---- */
typedef struct filtering {
    const as_build *b;
    as_block_counts *counts;
    as_judge judge;
    as_shingles shingles;
    as_buf text, end, exact, flags, bands, doc, fold;
} filtering;

static bool is_frequent(const as_build *b, uint64_t h) {
    int64_t low = 0, high = b->n_frequent - 1;
    while (low <= high) {
        const int64_t middle = (low + high) / 2;
        if (b->frequent[middle] == h) return true;
        if (b->frequent[middle] < h) low = middle + 1;
        else high = middle - 1;
    }
    return false;
}

/* The document without boilerplate lines: a view of it, or of f->doc. */
static as_str without_boilerplate(filtering *f, as_str text) {
    if (f->b->n_frequent == 0 || memchr(text.p, '\n', text.n) == NULL) return text;
    as_rule_drop *const d = &f->counts->drop[AS_RULE_BOILERPLATE];
    as_buf_clear(&f->doc);
    for (as_str rest = text; rest.n > 0;) {
        const as_str line = next_line(&rest);
        if (is_frequent(f->b, line_hash(line))) {
            d->lines++, d->bytes += (int64_t)line.n + 1;
            continue;
        }
        if (f->doc.n > 0) as_buf_char(&f->doc, '\n');
        as_buf_add(&f->doc, line.p, line.n);
    }
    return as_buf_view(&f->doc);
}

static int64_t lines_of(as_str text) {
    int64_t n = text.n > 0;
    for (const char *p = text.p, *const end = p + text.n; (p = memchr(p, '\n', (size_t)(end - p))) != NULL; p++) n++;
    return n;
}

static void drop_document(as_block_counts *c, as_corpus_rule rule, as_str text) {
    c->drop[rule].docs++, c->drop[rule].lines += lines_of(text), c->drop[rule].bytes += (int64_t)text.n;
}

static as_status keep_document(filtering *f, as_str text, int lang, as_err *err) {
    uint8_t flags = (uint8_t)lang;
    as_buf_add(&f->text, text.p, text.n);
    const uint64_t end = f->text.n;
    as_buf_add(&f->end, &end, sizeof end);
    as_buf_clear(&f->fold);
    if (f->b->exact) as_text_fold(&f->fold, text);
    const as_hash128 exact = as_hash128_of(f->fold.p, f->fold.n);
    as_buf_add(&f->exact, &exact, sizeof exact);
    if (f->b->near) {
        uint64_t bands[AS_MINHASH_BANDS] = {0};
        AS_TRY(as_shingles_of(&f->shingles, text, err));
        if (f->shingles.n >= AS_SHINGLE_LEAST) as_minhash_bands(bands, &f->b->family, &f->shingles), flags |= FLAG_BANDS;
        as_buf_add(&f->bands, bands, sizeof bands);
    }
    as_buf_add(&f->flags, &flags, 1);
    return f->text.failed || f->end.failed || f->fold.failed || f->exact.failed || f->bands.failed || f->flags.failed ? as_build_nomem(err) : AS_OK;
}

static as_status filter_document(filtering *f, as_str text, as_err *err) {
    const as_corpus_rules *const rules = &f->b->o->rules;
    const as_str rest = without_boilerplate(f, text);
    as_corpus_rule fails;
    if (f->doc.failed) return as_build_nomem(err);
    if (rest.n == 0) return f->counts->drop[AS_RULE_BOILERPLATE].docs++, AS_OK;
    const int lang = as_lang_of(rest);
    AS_TRY(as_judge_document(&f->judge, rules, rest, lang == AS_LANG_EN, &fails, err));
    if (fails == AS_RULE_COUNT && f->b->langs != 0 && (f->b->langs >> lang & 1) == 0) fails = AS_RULE_LANG;
    if (fails == AS_RULE_COUNT) return keep_document(f, rest, lang, err);
    drop_document(f->counts, fails, rest);
    return AS_OK;
}

as_status as_filter_block(const as_build *b, const as_docs_view *docs, as_block_counts *counts, int64_t block, as_err *err) {
    filtering f = {.b = b, .counts = counts};
    as_status s = AS_OK;
    for (int64_t i = 0; i < docs->n && s == AS_OK; i++) s = filter_document(&f, as_docs_at(docs, i), err);
    const as_str parts[B_PARTS] = {[B_COUNTS] = {(const char *)counts, sizeof *counts}, [B_TEXT] = as_buf_view(&f.text), [B_END] = as_buf_view(&f.end),
                                   [B_EXACT] = as_buf_view(&f.exact), [B_FLAGS] = as_buf_view(&f.flags), [B_BANDS] = as_buf_view(&f.bands)};
    char *const path = s == AS_OK ? as_build_path(b, 'b', block) : NULL;
    if (s == AS_OK) s = path != NULL ? as_block_write(path, parts, B_PARTS, err) : as_build_nomem(err);
    as_free(path);
    as_judge_free(&f.judge);
    as_shingles_free(&f.shingles);
    as_buf *const bufs[] = {&f.text, &f.end, &f.exact, &f.flags, &f.bands, &f.doc, &f.fold};
    for (size_t i = 0; i < AS_COUNT(bufs); i++) as_buf_free(bufs[i]);
    return s;
}
