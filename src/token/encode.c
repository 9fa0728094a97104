/* encode.c: the pipeline run: added tokens and normalisation, pre-tokens, model; then truncation
 * into windows, and each window dressed by the post-processor's list. */
#include "token/internal.h"

#include "base/mem.h"
#include "base/utf8.h"
#include <inttypes.h>
#include <string.h>

/* ---- one sequence: text -> w->out ---- */
/* Original characters as a piece to normalise: every byte stands for its character. */
static as_status load_piece(as_work *w, as_str text, size_t begin, size_t end, as_err *err) {
    as_norm *s = &w->piece;
    s->n = 0, w->spare.n = 0;
    AS_TRY(as_norm_reserve(s, end - begin, err));
    uint32_t cp;
    for (size_t i = begin, n = 0; i < end; i += n) {
        n = as_utf8_next(text.p + i, &cp);
        AS_TRY(as_norm_add(s, text.p + i, n, (uint32_t)i, (uint32_t)(i + n), err));
    }
    return AS_OK;
}

static as_status append_piece(as_work *w, as_err *err) {
    as_norm *all = &w->norm;
    const as_norm *s = &w->piece;
    if (s->n == 0) return AS_OK;
    if (all->n + s->n > UINT32_MAX)
        return as_fail(err, AS_FORMAT, "the text is longer than 4 GiB after normalisation");
    AS_TRY(as_norm_reserve(all, all->n + s->n, err));
    memcpy(all->text + all->n, s->text, s->n);
    memcpy(all->begin + all->n, s->begin, s->n * sizeof *s->begin);
    memcpy(all->end + all->n, s->end, s->n * sizeof *s->end);
    all->n += s->n;
    return AS_OK;
}

/* Bytes [begin, end) of the original hold no raw added token: normalise, then cut at the normalised
 * ones. */
static as_status add_text(as_work *w, as_str text, size_t begin, size_t end, as_err *err) {
    if (begin >= end) return AS_OK;
    const uint32_t base = (uint32_t)w->norm.n;
    AS_TRY(load_piece(w, text, begin, end, err));
    AS_TRY(as_part_run(&w->t->normalizer, w, err));
    AS_TRY(append_piece(w, err));
    if (w->norm.n == base) return AS_OK; /* nothing is left of it */
    const as_str piece = {w->norm.text + base, w->norm.n - base};
    size_t pos = 0, from = 0;
    as_match m;
    while (as_matcher_next(&w->t->added.normalized, piece, &pos, from, &m)) {
        if (from < m.begin)
            AS_TRY(as_split_add(w, base + (uint32_t)from, base + (uint32_t)m.begin, NULL, err));
        AS_TRY(as_split_add(w, base + (uint32_t)m.begin, base + (uint32_t)m.end, m.token, err));
        from = m.end;
    }
    return as_split_add(w, base + (uint32_t)from, (uint32_t)w->norm.n, NULL, err);
}

static as_status add_raw_token(as_work *w, as_str text, const as_match *m, as_err *err) {
    const uint32_t base = (uint32_t)w->norm.n;
    AS_TRY(load_piece(w, text, m->begin, m->end, err));
    AS_TRY(append_piece(w, err));
    return as_split_add(w, base, (uint32_t)w->norm.n, m->token, err);
}

as_status as_pre_tokenize(as_work *w, as_str text, as_err *err) {
    if (text.n >= UINT32_MAX)
        return as_fail(err, AS_FORMAT, "a text of %zu bytes is longer than 4 GiB", text.n);
    w->norm.n = 0, w->n_next = 0;
    size_t pos = 0, from = 0;
    as_match m;
    while (as_matcher_next(&w->t->added.raw, text, &pos, from, &m)) {
        AS_TRY(add_text(w, text, from, m.begin, err));
        AS_TRY(add_raw_token(w, text, &m, err));
        from = m.end;
    }
    AS_TRY(add_text(w, text, from, text.n, err));
    as_split_swap(w);
    return as_part_run(&w->t->pre_tokenizer, w, err);
}

static as_status encode_general(as_work *w, as_str text, as_err *err) {
    w->out->n = 0;
    AS_TRY(as_pre_tokenize(w, text, err));
    return as_part_run(&w->t->model, w, err);
}

/* ---- offsets without outer white space (RobertaProcessing) ---- */
static void count_white(as_piece *piece, const char *p, size_t n) {
    uint32_t cp;
    size_t lead = 0, trail = 0;
    bool all = true;
    for (size_t i = 0, len = 0; i < n; i += len) {
        len = as_utf8_next(p + i, &cp);
        const bool white = (as_uc_flags(cp) & AS_UC_WHITE) != 0 || cp == as_byte_char(' ');
        all = all && white;
        lead += all;
        trail = white ? trail + 1 : 0;
    }
    piece->lead = (uint16_t)(lead < UINT16_MAX ? lead : UINT16_MAX);
    piece->trail = (uint16_t)(trail < UINT16_MAX ? trail : UINT16_MAX);
}

as_status as_added_piece(as_work *w, const as_added_token *tok, const char *text, size_t n,
                         uint32_t begin, uint32_t end, int32_t word, as_err *err) {
    AS_TRY(as_piece_add(w->out, tok->id, begin, end, word, err));
    if (w->t->post_trims) count_white(&w->out->v[w->out->n - 1], text, n);
    return AS_OK;
}

/* Added tokens were counted with the space that they stripped; where there was none, their piece
 * has none either. */
static void count_white_of_pieces(as_work *w) {
    for (size_t i = 0; i < w->out->n; i++) {
        as_piece *p = &w->out->v[i];
        const as_str value = w->t->pieces[p->id];
        if (p->lead == 0 && p->trail == 0) count_white(p, value.p, value.n);
    }
}

/* The library takes counts of white characters of the token off its range in the text, whatever
 * stands there. */
static void trim(as_str original, bool first_keeps_one, const as_piece *piece, uint32_t *begin,
                 uint32_t *end) {
    uint32_t cp;
    const int lead = piece->lead == 1 && first_keeps_one ? 0 : piece->lead;
    for (int k = 0; k < lead && *begin < *end; k++)
        *begin += as_utf8_next(original.p + *begin, &cp);
    for (int k = 0; k<piece->trail && * end> * begin; k++)
        do
            (*end)--;
        while (*end > *begin && ((unsigned char)original.p[*end] & 0xC0) == 0x80);
}

static as_status encode_sequence(as_work *w, int which, as_str text, as_err *err) {
    if (text.n >= UINT32_MAX)
        return as_fail(err, AS_FORMAT, "a text of %zu bytes is longer than 4 GiB", text.n);
    w->out = &w->pieces[which];
    w->original[which] = text;
    bool done = false;
    if (w->t->fast.on) AS_TRY(as_fast_encode(w, text, &done, err));
    if (!done) AS_TRY(encode_general(w, text, err));
    if (w->t->post_trims) count_white_of_pieces(w);
    return AS_OK;
}

/* ---- truncation ---- */
/* How many tokens of each sequence one window may hold. */
static as_status limits(const as_encode_opts *o, bool pair, int64_t room, const int64_t n[2],
                        int64_t keep[2], as_err *err) {
    keep[0] = n[0], keep[1] = n[1];
    const int64_t excess = n[0] + n[1] - room;
    if (excess <= 0) return AS_OK;
    if (room == 0) return keep[0] = keep[1] = 0, AS_OK;
    if (o->strategy == AS_TRUNCATE_LONGEST_FIRST) {
        if (!pair) return keep[0] = room, AS_OK;
        const int low = n[0] > n[1]; /* which one is the shorter */
        int64_t a = n[low], b = a > room ? a : (a > room - a ? a : room - a);
        if (a + b > room) a = room / 2, b = a + room % 2;
        keep[low] = a, keep[!low] = b;
        return AS_OK;
    }
    const int target = o->strategy == AS_TRUNCATE_ONLY_SECOND;
    if (target == 1 && !pair) {
        const as_status s = as_fail(
            err, AS_USAGE, "truncation \"only second\" needs a second text, and there is none");
        as_hint(err, "Use the strategy \"longest first\" for single texts.");
        return s;
    }
    if (n[target] <= excess) {
        const as_status s = as_fail(err, AS_USAGE,
                                    "the %s text has %" PRId64 " tokens; %" PRId64
                                    " would have to go to reach the maximal length of %" PRId64,
                                    target ? "second" : "first", n[target], excess, o->max_length);
        as_hint(err, "Raise the maximal length, or truncate the longest text first.");
        return s;
    }
    keep[target] = n[target] - excess;
    return AS_OK;
}

static as_status add_window(as_work *w, int which, int64_t begin, int64_t end, as_err *err) {
    if (w->n_windows[which] == w->cap_windows[which] &&
        !as_grow(&w->windows[which], &w->cap_windows[which], w->n_windows[which] + 1,
                 sizeof(as_range)))
        return as_fail_nomem(err, "windows", w->n_windows[which]);
    w->windows[which][w->n_windows[which]++] = (as_range){begin, end};
    return AS_OK;
}

/* Token ranges of one sequence; the first one is what plain truncation keeps. */
static as_status cut_windows(as_work *w, int which, int64_t n, int64_t keep,
                             const as_encode_opts *o, bool all, as_err *err) {
    w->n_windows[which] = 0;
    if (keep >= n) return add_window(w, which, 0, n, err);
    if (!all)
        return add_window(w, which, o->truncate_left ? n - keep : 0, o->truncate_left ? n : keep,
                          err);
    if (keep == 0 || o->stride >= keep) {
        const as_status s = as_fail(err, AS_USAGE,
                                    "windows of %" PRId64
                                    " tokens (after the special ones) cannot overlap by %" PRId64,
                                    keep, o->stride);
        as_hint(err, "Raise the maximal length or lower the stride.");
        return s;
    }
    const int64_t step = keep - o->stride;
    if (!o->truncate_left) {
        for (int64_t at = 0;; at += step) {
            AS_TRY(add_window(w, which, at, at + keep < n ? at + keep : n, err));
            if (at + keep >= n) return AS_OK;
        }
    }
    for (int64_t at = n;; at -= step) {
        AS_TRY(add_window(w, which, at > keep ? at - keep : 0, at, err));
        if (at <= keep) return AS_OK;
    }
}

static as_status check_opts(const as_encode_opts *o, const as_post *post, int64_t *room,
                            as_err *err) {
    if (o->max_length < 0 || o->stride < 0)
        return as_fail(err, AS_USAGE, "maximal length and stride cannot be negative");
    const int64_t special = o->no_special ? 0 : (int64_t)post->n_special;
    *room = o->max_length > 0 ? o->max_length - special : INT64_MAX / 4;
    if (*room >= 0) return AS_OK;
    const as_status s =
        as_fail(err, AS_USAGE,
                "a maximal length of %" PRId64 " leaves no room beside %" PRId64 " special tokens",
                o->max_length, special);
    as_hint(err, "Raise the maximal length.");
    return s;
}

/* ---- the result ---- */
static as_status reserve(as_tokens *t, size_t n, as_err *err) {
    if ((int64_t)n <= t->cap) return AS_OK;
    const size_t old = (size_t)t->cap;
    size_t c[7] = {old, old, old, old, old, old, old};
    if (!as_grow(&t->ids, &c[0], n, sizeof *t->ids) ||
        !as_grow(&t->type_ids, &c[1], n, sizeof *t->type_ids) ||
        !as_grow(&t->begin, &c[2], n, sizeof *t->begin) ||
        !as_grow(&t->end, &c[3], n, sizeof *t->end) ||
        !as_grow(&t->word, &c[4], n, sizeof *t->word) ||
        !as_grow(&t->sequence, &c[5], n, sizeof *t->sequence) ||
        !as_grow(&t->special, &c[6], n, sizeof *t->special))
        return as_fail_nomem(err, "tokens", n);
    size_t least = c[0];
    for (int i = 1; i < 7; i++)
        if (c[i] < least) least = c[i];
    t->cap = (int64_t)least;
    return AS_OK;
}

static void put_sequence(as_tokens *out, const as_piece *v, int64_t n, int sequence,
                         int32_t type_id) {
    const int64_t at = out->n;
    for (int64_t i = 0; i < n; i++) {
        out->ids[at + i] = v[i].id;
        out->begin[at + i] = v[i].begin, out->end[at + i] = v[i].end;
        out->word[at + i] = v[i].word;
        out->type_ids[at + i] = type_id;
    }
    memset(out->sequence + at, sequence, (size_t)n);
    memset(out->special + at, 0, (size_t)n);
    out->n += n;
}

static void trim_sequence(const as_work *w, as_tokens *out, const as_piece *v, int64_t n,
                          int sequence) {
    uint32_t *const begin = out->begin + out->n - n, *const end = out->end + out->n - n;
    for (int64_t i = 0; i < n; i++)
        if (v[i].lead + v[i].trail > 0)
            trim(w->original[sequence], w->t->post_prefix && (i == 0 || begin[i] == 0), &v[i],
                 &begin[i], &end[i]);
}

static void put_special(as_tokens *out, const as_post_item *item) {
    for (size_t i = 0; i < item->count; i++) {
        const int64_t k = out->n++;
        out->ids[k] = item->ids[i], out->type_ids[k] = item->type_id;
        out->begin[k] = out->end[k] = 0;
        out->word[k] = -1, out->sequence[k] = -1, out->special[k] = true;
    }
}

static as_status assemble(const as_work *w, const as_post *post, bool no_special,
                          const as_range r[2], as_tokens *out, as_err *err) {
    AS_TRY(reserve(
        out, (size_t)(r[0].end - r[0].begin + r[1].end - r[1].begin) + post->n_special + 1, err));
    out->n = 0;
    for (size_t i = 0; i < post->count; i++) {
        const as_post_item *item = &post->items[i];
        if (item->sequence < 0) {
            if (!no_special) put_special(out, item);
            continue;
        }
        const as_range range = r[item->sequence];
        const int64_t n = range.end - range.begin;
        if (n == 0) continue;
        const as_piece *v = w->pieces[item->sequence].v + range.begin;
        put_sequence(out, v, n, item->sequence, item->type_id);
        if (w->t->post_trims) trim_sequence(w, out, v, n, item->sequence);
    }
    return AS_OK;
}

static const as_encode_opts no_opts;

static as_status prepare(const as_tokenizer *t, as_str text, const as_str *pair,
                         const as_encode_opts *o, bool all, as_tokens *out, as_work **work,
                         as_err *err) {
    int64_t room = 0, keep[2] = {0, 0};
    AS_TRY(check_opts(o, &t->post[pair != NULL], &room, err));
    as_work *w = *work = as_work_of(out, t, err);
    if (w == NULL) return AS_NOMEM;
    w->pieces[1].n = 0;
    AS_TRY(encode_sequence(w, 0, text, err));
    if (pair != NULL) AS_TRY(encode_sequence(w, 1, *pair, err));
    const int64_t n[2] = {(int64_t)w->pieces[0].n, (int64_t)w->pieces[1].n};
    AS_TRY(limits(o, pair != NULL, room, n, keep, err));
    for (int k = 0; k < 2; k++)
        AS_TRY(cut_windows(w, k, n[k], keep[k], o, all, err));
    return AS_OK;
}

as_status as_encode(const as_tokenizer *t, as_str text, const as_str *pair,
                    const as_encode_opts *opts, as_tokens *out, as_err *err) {
    const as_encode_opts *o = opts != NULL ? opts : &no_opts;
    as_work *w;
    out->n = out->overflow = 0;
    AS_TRY(prepare(t, text, pair, o, false, out, &w, err));
    const as_range r[2] = {w->windows[0][0], w->windows[1][0]};
    for (int k = 0; k < 2; k++)
        out->overflow += (int64_t)w->pieces[k].n - (r[k].end - r[k].begin);
    return assemble(w, &t->post[pair != NULL], o->no_special, r, out, err);
}

as_status as_encode_windows(const as_tokenizer *t, as_str text, const as_str *pair,
                            const as_encode_opts *opts, as_tokens *work,
                            as_status (*sink)(void *ctx, const as_tokens *window, as_err *err),
                            void *ctx, as_err *err) {
    const as_encode_opts *o = opts != NULL ? opts : &no_opts;
    as_work *w;
    work->n = work->overflow = 0;
    AS_TRY(prepare(t, text, pair, o, true, work, &w, err));
    /* The library's order: both first windows; each later window of the first text with all of the
     * second; then the first window of the first text with the later ones of the second. */
    const size_t na = w->n_windows[0], nb = w->n_windows[1];
    for (size_t k = 0; k < na * nb; k++) {
        size_t a = 0, b = 0;
        if (k > 0 && k <= (na - 1) * nb)
            a = 1 + (k - 1) / nb, b = (k - 1) % nb;
        else if (k > 0)
            b = k - (na - 1) * nb;
        const as_range r[2] = {w->windows[0][a], w->windows[1][b]};
        AS_TRY(assemble(w, &t->post[pair != NULL], o->no_special, r, work, err));
        AS_TRY(sink(ctx, work, err));
    }
    return AS_OK;
}

/* Values inside a character count the characters that begin before them. */
void as_offsets_to_chars(as_str text, uint32_t *offsets, int64_t n) {
    size_t at = 0;
    uint32_t chars = 0; /* characters that begin before byte `at` */
    for (int64_t i = 0; i < n; i++) {
        const size_t want = offsets[i] < text.n ? offsets[i] : text.n;
        if (want < at) {
            if (want < at - want) at = 0, chars = 0;
            for (; at > want; at--)
                chars -= ((unsigned char)text.p[at - 1] & 0xC0) != 0x80;
        }
        for (; at < want; at++)
            chars += ((unsigned char)text.p[at] & 0xC0) != 0x80;
        offsets[i] = chars;
    }
}
