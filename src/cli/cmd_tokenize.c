/* cmd_tokenize.c: texts to ids on all threads, printed in order; and --check against ids that another program stored. */
#include "base/mem.h"
#include "base/parallel.h"
#include "cli/job_options.h"
#include "io/json.h"
#include "token/tokenizer.h"
#include <inttypes.h>
#include <string.h>

typedef struct tokenizing {
    const as_tokenizer *tok;
    const as_str *texts;
    int64_t n, first;       /* of the block that is being encoded */
    as_encode_opts opts;
    bool json;
    as_tokens *work;        /* per thread */
    as_buf *out;            /* per chunk of the block */
    as_status *status;
    as_err *errs;
} tokenizing;

enum { CHUNK = 64, CHUNKS = 256 }; /* texts of a chunk; chunks of a block */

static void put_ints(as_buf *b, const char *key, const int32_t *v, int64_t n) {
    as_buf_fmt(b, ",\"%s\":[", key);
    for (int64_t i = 0; i < n; i++) as_buf_fmt(b, "%s%" PRId32, i ? "," : "", v[i]);
    as_buf_char(b, ']');
}
static void put_json(as_buf *b, const tokenizing *t, as_str text, as_tokens *k) {
    as_buf_str(b, "{\"kind\":\"tokens\",\"text\":");
    as_buf_json_str(b, text);
    put_ints(b, "ids", k->ids, k->n);
    as_buf_str(b, ",\"tokens\":[");
    for (int64_t i = 0; i < k->n; i++) {
        if (i) as_buf_char(b, ',');
        as_buf_json_str(b, as_tokenizer_piece(t->tok, k->ids[i]));
    }
    as_buf_str(b, "],\"offsets\":[");
    as_offsets_to_chars(text, k->begin, k->n), as_offsets_to_chars(text, k->end, k->n);
    for (int64_t i = 0; i < k->n; i++) as_buf_fmt(b, "%s[%" PRIu32 ",%" PRIu32 "]", i ? "," : "", k->begin[i], k->end[i]);
    as_buf_char(b, ']');
    put_ints(b, "type_ids", k->type_ids, k->n);
    if (k->overflow > 0) as_buf_fmt(b, ",\"truncated\":%" PRId64, k->overflow);
    as_buf_str(b, "}\n");
}
/* A line of pieces; for a single text a table with ids and offsets. */
static void put_line(as_buf *b, const tokenizing *t, const as_tokens *k) {
    for (int64_t i = 0; i < k->n; i++) {
        const as_str piece = as_tokenizer_piece(t->tok, k->ids[i]);
        if (i) as_buf_char(b, ' ');
        as_buf_add(b, piece.p, piece.n);
    }
    as_buf_char(b, '\n');
}
static void put_table(as_buf *b, const tokenizing *t, as_str text, as_tokens *k) {
    as_grid g;
    as_grid_init(&g, "rLrr", 0);
    as_grid_cell(&g, AS_LIT("id")), as_grid_cell(&g, AS_LIT("token")), as_grid_cell(&g, AS_LIT("from")), as_grid_cell(&g, AS_LIT("to"));
    as_offsets_to_chars(text, k->begin, k->n), as_offsets_to_chars(text, k->end, k->n);
    for (int64_t i = 0; i < k->n; i++) {
        as_grid_fmt(&g, "%" PRId32, k->ids[i]);
        as_grid_cell(&g, as_tokenizer_piece(t->tok, k->ids[i]));
        as_grid_fmt(&g, "%" PRIu32, k->begin[i]), as_grid_fmt(&g, "%" PRIu32, k->end[i]);
    }
    as_grid_print(&g, b);
}

static void encode_chunk(void *ctx, int64_t chunk, int thread) {
    tokenizing *t = ctx;
    as_tokens *k = &t->work[thread];
    as_buf *b = &t->out[chunk];
    const int64_t from = t->first + chunk * CHUNK, to = from + CHUNK < t->n ? from + CHUNK : t->n;
    for (int64_t i = from; i < to; i++) {
        t->status[chunk] = as_encode(t->tok, t->texts[i], NULL, &t->opts, k, &t->errs[chunk]);
        if (t->status[chunk] != AS_OK) return;
        if (t->json)
            put_json(b, t, t->texts[i], k);
        else if (t->n == 1)
            put_table(b, t, t->texts[i], k);
        else
            put_line(b, t, k);
    }
    if (b->failed) t->status[chunk] = as_fail_nomem(&t->errs[chunk], "tokens", b->n);
}

static as_status print_blocks(tokenizing *t, as_cli *c, int threads, as_err *err) {
    for (t->first = 0; t->first < t->n; t->first += (int64_t)CHUNK * CHUNKS) {
        const int64_t left = (t->n - t->first + CHUNK - 1) / CHUNK, chunks = left < CHUNKS ? left : CHUNKS;
        as_parallel_dynamic(chunks > 1 ? threads : 1, chunks, encode_chunk, t);
        for (int64_t i = 0; i < chunks; i++) {
            as_buf_add(&c->out.buf, t->out[i].p ? t->out[i].p : "", t->out[i].n);
            as_buf_clear(&t->out[i]);
            if (t->status[i] != AS_OK) {
                if (err) *err = t->errs[i];
                return t->status[i];
            }
            AS_TRY(as_out_flush(&c->out, false, err));
        }
        if (as_interrupted()) return as_fail(err, AS_INTERRUPTED, "interrupted");
    }
    return AS_OK;
}

static as_status print_texts(tokenizing *t, as_cli *c, as_err *err) {
    const int threads = c->p.o.threads > 0 ? (int)c->p.o.threads : as_cpu_count();
    t->work = as_calloc((size_t)threads, sizeof *t->work);
    t->out = as_calloc(CHUNKS, sizeof *t->out);
    t->status = as_calloc(CHUNKS, sizeof *t->status);
    t->errs = as_calloc(CHUNKS, sizeof *t->errs);
    as_status s = t->work && t->out && t->status && t->errs ? print_blocks(t, c, threads, err) : as_fail_nomem(err, "tokens", 0);
    for (int i = 0; t->work && i < threads; i++) as_tokens_free(&t->work[i]);
    for (int i = 0; t->out && i < CHUNKS; i++) as_buf_free(&t->out[i]);
    as_free(t->work), as_free(t->out), as_free(t->status), as_free(t->errs);
    return s;
}

/* --- --check --- */
/* The stored value of one key, or the reason why it is not the same. */
static bool same_ints(const as_json *stored, const int32_t *v, int64_t n, int64_t *at) {
    const int64_t count = (int64_t)as_json_count(stored);
    for (*at = 0; *at < n && *at < count; ++*at)
        if (as_json_int(as_json_at(stored, (size_t)*at), INT64_MIN) != v[*at]) return false;
    return count == n;
}
static bool same_tokens(const as_json *stored, const tokenizing *t, const as_tokens *k, int64_t *at) {
    const int64_t count = (int64_t)as_json_count(stored);
    for (*at = 0; *at < k->n && *at < count; ++*at)
        if (!as_str_eq(as_json_str(as_json_at(stored, (size_t)*at), AS_LIT("")), as_tokenizer_piece(t->tok, k->ids[*at]))) return false;
    return count == k->n;
}
static bool same_offsets(const as_json *stored, const as_tokens *k, int64_t *at) {
    const int64_t count = (int64_t)as_json_count(stored);
    for (*at = 0; *at < k->n && *at < count; ++*at) {
        const as_json *pair = as_json_at(stored, (size_t)*at);
        if (as_json_int(as_json_at(pair, 0), -1) != k->begin[*at] || as_json_int(as_json_at(pair, 1), -1) != k->end[*at]) return false;
    }
    return count == k->n;
}

static as_status differs(as_cli *c, const char *file, int64_t line, const char *key, as_str text, const as_json *stored, int64_t at,
                         const as_buf *ours, as_err *err) {
    as_buf *b = &c->out.buf, theirs = {0};
    const as_json *item = as_json_at(stored, (size_t)at);
    if (at < (int64_t)as_json_count(stored))
        as_json_dump(&theirs, item, 0);
    else
        as_buf_str(&theirs, "nothing");
    as_buf_fmt(b, c->p.o.json ? "{\"kind\":\"difference\",\"line\":%" PRId64 ",\"key\":\"%s\",\"at\":%" PRId64 "," : "line %" PRId64 ", %s[%" PRId64 "]: ", line, key,
               at);
    if (c->p.o.json) {
        as_buf_str(b, "\"stored\":"), as_buf_json_str(b, as_buf_view(&theirs));
        as_buf_str(b, ",\"here\":"), as_buf_json_str(b, as_buf_view(ours));
        as_buf_str(b, ",\"text\":"), as_buf_json_str(b, text);
        as_buf_str(b, "}\n");
    } else {
        as_buf_fmt(b, "stored %s, here %s\n  ", theirs.p, ours->p);
        as_out_cut(b, text, AS_OUT_COLUMNS - 2);
        as_buf_char(b, '\n');
    }
    as_buf_free(&theirs);
    return as_fail(err, AS_FAILED, "%s:%" PRId64 ": \"%s\" differs from what is stored", file, line, key);
}

/* Compare one text with its stored object (or plain list of ids). */
static as_status check_line(tokenizing *t, as_cli *c, int64_t line, as_str text, const as_json *stored, as_tokens *k, as_err *err) {
    const char *file = c->p.o.check;
    AS_TRY(as_encode(t->tok, text, NULL, &t->opts, k, err));
    const bool list = as_json_typeof(stored) == AS_JSON_ARRAY;
    const as_json *ids = list ? stored : as_json_get(stored, "ids"), *types = as_json_get(stored, "type_ids");
    const as_json *tokens = as_json_get(stored, "tokens"), *offsets = as_json_get(stored, "offsets");
    if (as_json_typeof(ids) != AS_JSON_ARRAY) return as_fail(err, AS_FORMAT, "%s:%" PRId64 ": no list \"ids\"", file, line);
    as_offsets_to_chars(text, k->begin, k->n), as_offsets_to_chars(text, k->end, k->n);
    as_buf ours = {0};
    int64_t at = 0;
    const as_json *bad = NULL;
    const char *key = NULL;
    if (!same_ints(ids, k->ids, k->n, &at))
        bad = ids, key = "ids";
    else if (tokens && !same_tokens(tokens, t, k, &at))
        bad = tokens, key = "tokens";
    else if (offsets && !same_offsets(offsets, k, &at))
        bad = offsets, key = "offsets";
    else if (types && !same_ints(types, k->type_ids, k->n, &at))
        bad = types, key = "type_ids";
    if (!bad) return AS_OK;
    const as_str piece = at < k->n ? as_tokenizer_piece(t->tok, k->ids[at]) : AS_LIT("");
    if (at >= k->n)
        as_buf_str(&ours, "nothing");
    else if (bad == offsets)
        as_buf_fmt(&ours, "[%" PRIu32 ",%" PRIu32 "]", k->begin[at], k->end[at]);
    else if (bad == tokens)
        as_buf_json_str(&ours, piece);
    else
        as_buf_fmt(&ours, "%" PRId32 " (%.*s)", bad == types ? k->type_ids[at] : k->ids[at], (int)piece.n, piece.p);
    const as_status s = ours.failed ? as_fail_nomem(err, "a difference", 0) : differs(c, file, line, key, text, bad, at, &ours, err);
    as_buf_free(&ours);
    return s;
}

static as_status check_all(tokenizing *t, as_cli *c, const as_table *stored, as_tokens *k, as_err *err) {
    const char *file = c->p.o.check;
    const int64_t lines = as_table_rows(stored);
    const bool own = t->n == 0 && !c->p.o.file; /* the texts are in the file of ids */
    if (!own && lines != t->n) return as_fail(err, AS_FORMAT, "%s: %" PRId64 " lines for %" PRId64 " texts", file, lines, t->n);
    for (int64_t i = 0; i < lines; i++) {
        as_json *doc;
        AS_TRY(as_json_parse(&doc, as_table_cell(stored, i, 0), file, i, err));
        const as_json *text = as_json_get(doc, "text");
        as_status s;
        if (own && as_json_typeof(text) != AS_JSON_STRING) {
            s = as_fail(err, AS_FORMAT, "%s:%" PRId64 ": no \"text\"", file, i + 1);
            as_hint(err, "Give the texts with --file F, one for each line of ids.");
        } else {
            s = check_line(t, c, i + 1, own ? as_json_str(text, AS_LIT("")) : t->texts[i], doc, k, err);
        }
        as_json_free(doc);
        AS_TRY(s);
    }
    if (c->p.o.json)
        as_buf_fmt(&c->out.buf, "{\"kind\":\"check\",\"same\":%" PRId64 "}\n", lines);
    else
        as_buf_fmt(&c->out.buf, "%s texts have the stored ids\n", as_out_whole(lines).s);
    return AS_OK;
}
static as_status check(tokenizing *t, as_cli *c, as_err *err) {
    as_table *stored = NULL;
    as_tokens k = {0};
    const as_table_opts lines = {.format = AS_TABLE_LINES};
    AS_TRY(as_table_open(&stored, c->p.o.check, &lines, err));
    const as_status s = check_all(t, c, stored, &k, err);
    as_tokens_free(&k);
    as_table_free(stored);
    return s;
}

as_status as_cmd_tokenize(as_cli *c, as_err *err) {
    const char *dir;
    as_tokenizer *tok = NULL;
    as_cli_texts texts;
    AS_TRY(as_cli_model_dir(&dir, c, c->p.args[0], err));
    AS_TRY(as_cli_texts_open(&texts, c, err));
    as_status s = as_tokenizer_open(&tok, dir, err);
    tokenizing t = {.tok = tok, .texts = texts.v, .n = texts.n, .opts = {.max_length = c->p.o.max_length}, .json = c->p.o.json};
    if (s == AS_OK && c->p.o.check) {
        s = check(&t, c, err);
    } else if (s == AS_OK && texts.n == 0 && !c->p.o.file) {
        s = as_fail(err, AS_USAGE, "tokenize: no text");
        as_hint(err, "Give texts behind the model, or --file F (- is standard input).");
    } else if (s == AS_OK) {
        s = print_texts(&t, c, err);
    }
    as_tokenizer_free(tok);
    as_cli_texts_close(&texts);
    return s;
}
