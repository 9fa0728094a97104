#include "data/corpus_write.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/parallel.h"
#include "data/corpus_shard.h"
#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* What one closed shard holds, for the manifest. */
typedef struct closed_shard { char name[32]; uint64_t docs, segments, tokens, bytes; as_sha256 digest; } closed_shard;

/* The shard that fills. */
typedef struct filling {
    uint64_t *doc_token, *doc_segment;
    uint32_t *segment_begin;
    unsigned char *ids;
    size_t doc_token_cap, doc_segment_cap, segment_cap, id_cap;
    uint64_t docs, segments, tokens, bytes;
    closed_shard *closed;
    size_t n_closed, cap_closed;
    int64_t position; /* of the last closed shard */
} filling;

struct as_corpus_writer {
    char *dir;
    const as_tokenizer *tok;
    int64_t vocab, shard_tokens;
    int32_t unk;
    int id_bytes;
    int64_t position;
    uint64_t *uses; /* [vocab] how often each id was written */
    filling part[AS_CORPUS_PARTS];
};

static as_status nomem(const as_corpus_writer *w, as_err *err) { return as_fail_nomem(err, "a shard", (size_t)w->shard_tokens); }

/* ---- what lies in the folder already ---- */
static bool is_shard_name(const char *name, const char **tail) {
    for (int p = 0; p < AS_CORPUS_PARTS; p++) {
        const char *const part = as_corpus_part_name((as_corpus_part)p);
        const size_t n = strlen(part);
        if (strncmp(name, part, n) != 0 || name[n] != '-') continue;
        const size_t digits = strspn(name + n + 1, "0123456789");
        *tail = name + n + 1 + digits;
        if (digits >= 5 && strncmp(*tail, ".bin", 4) == 0) return *tail += 4, true;
    }
    return false;
}

/* Remove unfinished shards, and with `all` the finished ones and the manifest. */
static void clear(const char *dir, bool all) {
    DIR *const d = opendir(dir);
    if (d == NULL) return;
    for (const struct dirent *e; (e = readdir(d)) != NULL;) {
        const char *tail = NULL;
        const bool shard = is_shard_name(e->d_name, &tail);
        const bool gone = shard ? (strncmp(tail, ".tmp-", 5) == 0 || (all && *tail == '\0')) : all && strcmp(e->d_name, "corpus.json") == 0;
        char *const path = gone ? as_path_join(dir, e->d_name) : NULL;
        if (path != NULL) (void)unlink(path);
        as_free(path);
    }
    closedir(d);
}

static char *shard_path(const as_corpus_writer *w, as_corpus_part part, size_t number, char name[32]) {
    snprintf(name, 32, "%s-%05zu.bin", as_corpus_part_name(part), number);
    return as_path_join(w->dir, name);
}

static void count_ids(as_corpus_writer *w, const void *ids, uint64_t n) {
    const uint16_t *const a = ids;
    const uint32_t *const b = ids;
    for (uint64_t i = 0; i < n; i++) w->uses[w->id_bytes == 2 ? a[i] : b[i]]++;
}

static as_status note_closed(filling *f, const char *name, const as_shard_head *h, as_err *err) {
    if (!as_grow(&f->closed, &f->cap_closed, f->n_closed + 1, sizeof *f->closed)) return as_fail_nomem(err, "the list of shards", 0);
    closed_shard *const c = &f->closed[f->n_closed++];
    *c = (closed_shard){.docs = h->docs, .segments = h->segments, .tokens = h->tokens, .bytes = h->bytes};
    memcpy(c->name, name, sizeof c->name);
    f->position = (int64_t)h->position;
    return AS_OK;
}

/* Take over the shards of a part that an interrupted work finished. */
static as_status resume_part(as_corpus_writer *w, as_corpus_part part, as_err *err) {
    for (;;) {
        char name[32];
        char *const path = shard_path(w, part, w->part[part].n_closed, name);
        if (path == NULL) return nomem(w, err);
        as_shard shard;
        const bool found = as_file_exists(path);
        as_status s = found ? as_shard_open(&shard, path, err) : AS_OK;
        if (found && s == AS_OK) {
            if ((int64_t)shard.head.vocab != w->vocab) s = as_fail(err, AS_FORMAT, "%s: is of another tokenizer", path);
            if (s == AS_OK) count_ids(w, shard.ids, shard.head.tokens), s = note_closed(&w->part[part], name, &shard.head, err);
            as_shard_close(&shard);
        }
        as_free(path);
        if (!found || s != AS_OK) return s;
    }
}

/* ---- open ---- */
static as_status prepare(as_corpus_writer *w, bool resume, as_err *err) {
    if (w->dir == NULL || w->uses == NULL) return nomem(w, err);
    AS_TRY(as_dir_make(w->dir, err));
    clear(w->dir, !resume);
    AS_TRY(as_tokenizer_copy(w->tok, w->dir, err));
    for (int p = 0; p < AS_CORPUS_PARTS; p++)
        if (resume) AS_TRY(resume_part(w, (as_corpus_part)p, err));
    return AS_OK;
}

as_status as_corpus_writer_open(as_corpus_writer **out, const char *dir, const as_tokenizer *tok, const as_corpus_writer_opts *opts,
                                as_err *err) {
    *out = NULL;
    as_corpus_writer *const w = as_calloc(1, sizeof *w);
    if (w == NULL) return as_fail_nomem(err, "a corpus", sizeof *w);
    w->tok = tok;
    w->vocab = as_tokenizer_vocab_size(tok);
    w->unk = as_tokenizer_special(tok, AS_TOKEN_UNK);
    w->id_bytes = as_shard_id_bytes(w->vocab);
    w->shard_tokens = opts != NULL && opts->shard_tokens > 0 ? opts->shard_tokens : AS_CORPUS_SHARD_TOKENS;
    w->dir = as_strdup(dir);
    w->uses = as_calloc((size_t)w->vocab + 1, sizeof *w->uses);
    const as_status s = w->vocab > 0 ? prepare(w, opts != NULL && opts->resume, err) : as_fail(err, AS_FORMAT, "%s: the tokenizer has no tokens", dir);
    if (s != AS_OK) {
        as_corpus_writer_free(w);
        return s;
    }
    *out = w;
    return AS_OK;
}

void as_corpus_writer_free(as_corpus_writer *w) {
    if (w == NULL) return;
    for (int p = 0; p < AS_CORPUS_PARTS; p++) {
        filling *const f = &w->part[p];
        as_free(f->doc_token), as_free(f->doc_segment), as_free(f->segment_begin), as_free(f->ids), as_free(f->closed);
    }
    as_free(w->dir), as_free(w->uses), as_free(w);
}

bool as_corpus_writer_empty(const as_corpus_writer *w) { return w->part[AS_CORPUS_TRAIN].docs == 0 && w->part[AS_CORPUS_TRAIN].n_closed == 0; }
void as_corpus_writer_at(as_corpus_writer *w, int64_t position) { w->position = position; }
int64_t as_corpus_writer_position(const as_corpus_writer *w, as_corpus_part part) { return w->part[part].position; }

/* ---- documents ---- */
static void add_section(as_writer *out, const void *p, uint64_t bytes) {
    static const char zero[8] = {0};
    as_writer_add(out, p, (size_t)bytes);
    as_writer_add(out, zero, (size_t)(-bytes & 7));
}

static as_status close_shard(as_corpus_writer *w, as_corpus_part part, as_err *err) {
    filling *const f = &w->part[part];
    char name[32];
    as_writer out;
    if (f->docs == 0) return AS_OK;
    char *const path = shard_path(w, part, f->n_closed, name);
    if (path == NULL) return nomem(w, err);
    as_status s = as_writer_open(&out, path, err);
    as_free(path);
    if (s != AS_OK) return s;
    as_shard_head head = {.id_bytes = (uint32_t)w->id_bytes, .docs = f->docs, .segments = f->segments, .tokens = f->tokens, .bytes = f->bytes, .vocab = (uint64_t)w->vocab, .position = (uint64_t)w->position};
    memcpy(head.magic, AS_SHARD_MAGIC, sizeof head.magic);
    as_writer_add(&out, &head, sizeof head);
    f->doc_token[f->docs] = f->tokens;
    f->doc_segment[f->docs] = f->segments;
    add_section(&out, f->doc_token, (f->docs + 1) * 8);
    add_section(&out, f->doc_segment, (f->docs + 1) * 8);
    add_section(&out, f->segment_begin, f->segments * 4);
    add_section(&out, f->ids, f->tokens * (uint64_t)w->id_bytes);
    AS_TRY(as_writer_commit(&out, err));
    f->docs = f->segments = f->tokens = f->bytes = 0;
    return note_closed(f, name, &head, err);
}

static as_status check_document(const as_corpus_writer *w, const as_corpus_segment *segments, int64_t count, int64_t *tokens, as_err *err) {
    *tokens = 0;
    for (int64_t k = 0; k < count; k++) {
        *tokens += segments[k].n;
        for (int64_t i = 0; i < segments[k].n; i++)
            if (segments[k].ids[i] < 0 || segments[k].ids[i] >= w->vocab)
                return as_fail(err, AS_FORMAT, "token id %d is outside the vocabulary of %" PRId64, segments[k].ids[i], w->vocab);
    }
    if (*tokens <= UINT32_MAX) return AS_OK;
    return as_fail(err, AS_FORMAT, "a document of %" PRId64 " tokens: more than a corpus can hold", *tokens);
}

static void put_ids(as_corpus_writer *w, filling *f, const as_corpus_segment *segment) {
    uint16_t *const a = (uint16_t *)(void *)f->ids + f->tokens;
    uint32_t *const b = (uint32_t *)(void *)f->ids + f->tokens;
    for (int64_t i = 0; i < segment->n; i++) {
        w->uses[segment->ids[i]]++;
        if (w->id_bytes == 2) a[i] = (uint16_t)segment->ids[i];
        else b[i] = (uint32_t)segment->ids[i];
    }
    f->tokens += (uint64_t)segment->n;
}

as_status as_corpus_writer_add(as_corpus_writer *w, as_corpus_part part, const as_corpus_segment *segments, int64_t count,
                               int64_t bytes, bool *added, as_err *err) {
    filling *const f = &w->part[part];
    int64_t tokens;
    AS_TRY(check_document(w, segments, count, &tokens, err));
    if (added != NULL) *added = tokens > 0;
    if (tokens == 0) return AS_OK;
    if (!as_grow(&f->doc_token, &f->doc_token_cap, (size_t)f->docs + 2, 8) || !as_grow(&f->doc_segment, &f->doc_segment_cap, (size_t)f->docs + 2, 8) ||
        !as_grow(&f->segment_begin, &f->segment_cap, (size_t)f->segments + (size_t)count, 4) ||
        !as_grow(&f->ids, &f->id_cap, (size_t)(f->tokens + (uint64_t)tokens) * (size_t)w->id_bytes, 1))
        return nomem(w, err);
    f->doc_token[f->docs] = f->tokens;
    f->doc_segment[f->docs] = f->segments;
    for (int64_t k = 0; k < count; k++) {
        if (segments[k].n == 0) continue;
        f->segment_begin[f->segments++] = (uint32_t)(f->tokens - f->doc_token[f->docs]);
        put_ids(w, f, &segments[k]);
    }
    f->docs++;
    f->bytes += (uint64_t)bytes;
    return f->tokens >= (uint64_t)w->shard_tokens ? close_shard(w, part, err) : AS_OK;
}

/* ---- finish ---- */
typedef struct digesting { as_corpus_writer *w; size_t train; as_status *status; as_err *err; } digesting;

static void digest_shard(void *ctx, int64_t chunk, int thread) {
    (void)thread;
    digesting *const d = ctx;
    const size_t i = (size_t)chunk;
    const bool train = i < d->train;
    closed_shard *const c = train ? &d->w->part[AS_CORPUS_TRAIN].closed[i] : &d->w->part[AS_CORPUS_HELDOUT].closed[i - d->train];
    char *const path = as_path_join(d->w->dir, c->name);
    d->status[i] = path != NULL ? as_sha256_file(&c->digest, path, &d->err[i]) : as_fail_nomem(&d->err[i], "a path", 0);
    as_free(path);
}

static as_status digest_all(as_corpus_writer *w, int threads, as_err *err) {
    const size_t train = w->part[AS_CORPUS_TRAIN].n_closed, n = train + w->part[AS_CORPUS_HELDOUT].n_closed;
    digesting d = {w, train, as_calloc(n + 1, sizeof *d.status), as_calloc(n + 1, sizeof *d.err)};
    as_status s = d.status != NULL && d.err != NULL ? AS_OK : nomem(w, err);
    if (s == AS_OK) as_parallel_dynamic(threads, (int64_t)n, digest_shard, &d);
    for (size_t i = 0; i < n && s == AS_OK; i++)
        if ((s = d.status[i]) != AS_OK && err != NULL) *err = d.err[i];
    as_free(d.status), as_free(d.err);
    return s;
}

static void put_part(as_buf *b, const filling *f, const char *name) {
    closed_shard sum = {0};
    for (size_t i = 0; i < f->n_closed; i++) {
        sum.docs += f->closed[i].docs, sum.segments += f->closed[i].segments;
        sum.tokens += f->closed[i].tokens, sum.bytes += f->closed[i].bytes;
    }
    as_buf_fmt(b, "  \"%s\":{\"docs\":%" PRIu64 ",\"segments\":%" PRIu64 ",\"tokens\":%" PRIu64 ",\"bytes\":%" PRIu64 ",\"shards\":[", name, sum.docs,
               sum.segments, sum.tokens, sum.bytes);
    for (size_t i = 0; i < f->n_closed; i++) {
        const closed_shard *const c = &f->closed[i];
        as_buf_fmt(b, "%s\n   {\"file\":\"%s\",\"docs\":%" PRIu64 ",\"segments\":%" PRIu64 ",\"tokens\":%" PRIu64 ",\"bytes\":%" PRIu64 ",\"sha256\":\"%s\"}",
                   i > 0 ? "," : "", c->name, c->docs, c->segments, c->tokens, c->bytes, c->digest.hex);
    }
    as_buf_str(b, "]}");
}

/* The files that make the tokenizer, and their digests; `all` gets what the corpus's digest hashes of them. */
static as_status put_tokenizer(const as_corpus_writer *w, as_buf *b, as_buf *all, as_err *err) {
    static const char *const files[] = {"tokenizer.json", "vocab.txt", "added_tokens.json", "special_tokens_map.json", "tokenizer_config.json"};
    bool first = true;
    as_buf_str(b, " \"tokenizer\":{");
    for (size_t i = 0; i < AS_COUNT(files); i++) {
        char *const path = as_path_join(w->dir, files[i]);
        as_sha256 digest;
        as_status s = path != NULL ? AS_OK : nomem(w, err);
        const bool found = s == AS_OK && as_file_exists(path);
        if (found) s = as_sha256_file(&digest, path, err);
        as_free(path);
        if (s != AS_OK) return s;
        if (!found) continue;
        as_buf_fmt(b, "%s\"%s\":\"%s\"", first ? "" : ",", files[i], digest.hex);
        as_buf_fmt(all, "%s %s\n", files[i], digest.hex);
        first = false;
    }
    as_buf_str(b, "},\n");
    return AS_OK;
}

static void put_types(const as_corpus_writer *w, as_buf *b) {
    uint64_t types = 0;
    for (int64_t i = 0; i < w->vocab; i++) types += w->uses[i] > 0;
    as_buf_fmt(b, " \"types\":%" PRIu64 ",\"unk\":%" PRIu64 ",\n", types, w->unk >= 0 ? w->uses[w->unk] : 0);
}

static as_status write_manifest(as_corpus_writer *w, const char *extra, as_err *err) {
    as_buf b = {0}, all = {0};
    as_buf_fmt(&b, "{\"assay_corpus\":1,\"vocab\":%" PRId64 ",\"id_bytes\":%d,\n", w->vocab, w->id_bytes);
    as_status s = put_tokenizer(w, &b, &all, err);
    for (int p = 0; p < AS_CORPUS_PARTS; p++)
        for (size_t i = 0; i < w->part[p].n_closed; i++) as_buf_fmt(&all, "%s %s\n", w->part[p].closed[i].name, w->part[p].closed[i].digest.hex);
    as_buf_fmt(&b, " \"digest\":\"%s\",\n", as_sha256_of(all.p, all.n).hex);
    put_types(w, &b);
    as_buf_str(&b, " \"parts\":{\n");
    put_part(&b, &w->part[AS_CORPUS_TRAIN], as_corpus_part_name(AS_CORPUS_TRAIN));
    as_buf_str(&b, ",\n");
    put_part(&b, &w->part[AS_CORPUS_HELDOUT], as_corpus_part_name(AS_CORPUS_HELDOUT));
    as_buf_fmt(&b, "}%s%s}\n", extra != NULL ? ",\n " : "", extra != NULL ? extra : "");
    char *const path = as_path_join(w->dir, "corpus.json");
    if (s == AS_OK && (path == NULL || b.failed || all.failed)) s = as_fail_nomem(err, "the manifest of a corpus", b.n);
    if (s == AS_OK) s = as_file_write(path, b.p, b.n, err);
    as_free(path);
    as_buf_free(&b), as_buf_free(&all);
    return s;
}

as_status as_corpus_writer_finish(as_corpus_writer *w, const char *extra, int threads, as_err *err) {
    for (int p = 0; p < AS_CORPUS_PARTS; p++) AS_TRY(close_shard(w, (as_corpus_part)p, err));
    AS_TRY(digest_all(w, threads, err));
    return write_manifest(w, extra, err);
}
