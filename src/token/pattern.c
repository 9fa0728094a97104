/* pattern.c: patterns of Split and Replace: a string, or a regular expression in Oniguruma's own syntax,
 * and what becomes of the pieces between and under their matches. */
#include "token/internal.h"

#include "base/mem.h"
#include <oniguruma.h>
#include <string.h>

struct as_regex {
    OnigRegex re;
    as_regex *next;
};

static as_status compile(as_loader *ld, as_pattern *out, as_str source, const char *what, as_err *err) {
    as_regex *r = as_load_push(ld, 1, sizeof *r, err);
    if (r == NULL) return AS_NOMEM;
    OnigErrorInfo info;
    OnigEncoding utf8 = ONIG_ENCODING_UTF8;
    onig_initialize(&utf8, 1);
    const OnigUChar *p = (const OnigUChar *)source.p;
    const int code = onig_new(&r->re, p, p + source.n, ONIG_OPTION_NONE, ONIG_ENCODING_UTF8,
                              ONIG_SYNTAX_DEFAULT, &info);
    if (code != ONIG_NORMAL) {
        OnigUChar why[ONIG_MAX_ERROR_MESSAGE_LEN] = {0};
        onig_error_code_to_str(why, code, &info);
        return as_fail(err, AS_FORMAT, "%s: %s: the regular expression \"%.*s\" is not one: %s",
                       ld->where, what, (int)(source.n < 80 ? source.n : 80), source.p,
                       (const char *)why);
    }
    r->next = ld->t->regexes;
    ld->t->regexes = r;
    out->re = r;
    return AS_OK;
}

as_status as_pattern_load(as_loader *ld, as_pattern *out, const as_json *spec, const char *what,
                          as_err *err) {
    const as_json *v = as_json_get(spec, "pattern");
    *out = (as_pattern){0};
    if (as_json_get(v, "Regex") == NULL) {
        AS_TRY(as_load_str(ld, &out->text, v, "String", NULL, err));
        return out->text.n == 0 ? compile(ld, out, out->text, what, err) : AS_OK;
    }
    AS_TRY(as_load_str(ld, &out->text, v, "Regex", NULL, err));
    return compile(ld, out, out->text, what, err);
}

void as_patterns_free(as_tokenizer *t) {
    for (as_regex *r = t->regexes; r != NULL; r = r->next)
        onig_free(r->re);
    t->regexes = NULL;
}

as_status as_unit_add(as_work *w, uint32_t begin, uint32_t end, bool match, as_err *err) {
    if (w->n_units == w->cap_units &&
        !as_grow(&w->units, &w->cap_units, w->n_units + 1, sizeof *w->units))
        return as_fail_nomem(err, "matches", w->n_units * sizeof *w->units);
    w->units[w->n_units++] = (as_unit){begin, end, match};
    return AS_OK;
}

static as_status find_string(as_work *w, as_str pattern, as_str text, uint32_t *from, as_err *err) {
    for (size_t i = 0; pattern.n <= text.n - i;) {
        const char *hit = memmem(text.p + i, text.n - i, pattern.p, pattern.n);
        if (hit == NULL) return AS_OK;
        const uint32_t at = (uint32_t)(hit - text.p), end = at + (uint32_t)pattern.n;
        if (at > *from) AS_TRY(as_unit_add(w, *from, at, false, err));
        AS_TRY(as_unit_add(w, at, end, true, err));
        *from = end;
        i = end;
    }
    return AS_OK;
}

/* An empty match right behind a match does not count, and the search goes on one character later. */
static as_status find_regex(as_work *w, const as_regex *r, as_str text, uint32_t *from, as_err *err) {
    OnigRegion *region = onig_region_new();
    if (region == NULL) return as_fail_nomem(err, "matches", sizeof *region);
    const OnigUChar *p = (const OnigUChar *)text.p, *stop = p + text.n;
    as_status s = AS_OK;
    bool any = false;
    for (size_t i = 0; i <= text.n && s == AS_OK;) {
        const int at = onig_search(r->re, p, stop, p + i, stop, region, ONIG_OPTION_NONE);
        if (at == ONIG_MISMATCH) break;
        if (at < 0) {
            OnigUChar why[ONIG_MAX_ERROR_MESSAGE_LEN] = {0};
            onig_error_code_to_str(why, (int)at);
            s = as_fail(err, AS_FORMAT, "the tokenizer's regular expression fails on a text: %s",
                        (const char *)why);
            break;
        }
        const uint32_t begin = (uint32_t)region->beg[0], end = (uint32_t)region->end[0];
        if (begin == end && any && end == *from) {
            i++;
            while (i < text.n && (p[i] & 0xC0) == 0x80)
                i++;
            continue;
        }
        if (begin > *from) s = as_unit_add(w, *from, begin, false, err);
        if (s == AS_OK) s = as_unit_add(w, begin, end, true, err);
        *from = end, any = true, i = end;
    }
    onig_region_free(region, 1);
    return s;
}

as_status as_pattern_find(const as_pattern *p, as_work *w, as_str text, as_err *err) {
    uint32_t from = 0;
    w->n_units = 0;
    if (text.n == 0) return AS_OK;
    AS_TRY(p->re != NULL ? find_regex(w, p->re, text, &from, err)
                         : find_string(w, p->text, text, &from, err));
    return from < text.n ? as_unit_add(w, from, (uint32_t)text.n, false, err) : AS_OK;
}

/* Whether two neighbours stay together. */
static bool joined(const as_unit *a, const as_unit *b, as_behavior how) {
    switch (how) {
    case AS_CONTIGUOUS:
        return a->match == b->match;
    case AS_MERGED_WITH_PREVIOUS:
        return b->match && !a->match;
    case AS_MERGED_WITH_NEXT:
        return a->match && !b->match;
    default:
        return false;
    }
}

as_status as_cut_units(as_work *w, uint32_t base, as_behavior how, as_err *err) {
    for (size_t i = 0; i < w->n_units;) {
        size_t k = i + 1;
        while (k < w->n_units && joined(&w->units[k - 1], &w->units[k], how))
            k++;
        if (!(how == AS_REMOVED && w->units[i].match))
            AS_TRY(as_split_add(w, base + w->units[i].begin, base + w->units[k - 1].end, NULL, err));
        i = k;
    }
    return AS_OK;
}
