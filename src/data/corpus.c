#include "data/corpus.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/parallel.h"
#include "data/corpus_shard.h"
#include "io/json.h"
#include <inttypes.h>
#include <string.h>

typedef struct part_of {
    as_shard *shard;
    char **path;
    as_sha256 *digest;
    int64_t *first; /* [n + 1] number of each shard's first document in the part */
    int64_t n, tokens, bytes;
} part_of;

struct as_corpus {
    char *manifest;
    char digest[65];
    int64_t vocab;
    part_of part[AS_CORPUS_PARTS];
    part_of tokenizer; /* its files: paths and digests */
};

/* ---- the manifest ---- */
static as_status bad(const as_corpus *c, const char *what, as_err *err) {
    (void)as_fail(err, AS_FORMAT, "%s: %s", c->manifest, what);
    as_hint(err, "`assay data corpus` writes this file: build the corpus again.");
    return AS_FORMAT;
}

static bool is_hex64(as_str s) {
    for (size_t i = 0; i < s.n; i++)
        if (!((s.p[i] >= '0' && s.p[i] <= '9') || (s.p[i] >= 'a' && s.p[i] <= 'f'))) return false;
    return s.n == 64;
}

/* A name of a plain file in the folder. */
static bool is_file_name(as_str s) {
    return s.n > 0 && s.n < 200 && s.p[0] != '.' && memchr(s.p, '/', s.n) == NULL && memchr(s.p, '\0', s.n) == NULL;
}

/* Path and digest of the next file of p. */
static as_status note_file(part_of *p, const char *dir, as_str file, as_str hex, as_err *err) {
    char *const name = as_strndup(file.p, file.n);
    char *const path = name != NULL ? as_path_join(dir, name) : NULL;
    as_free(name);
    if (path == NULL) return as_fail_nomem(err, "a corpus", file.n);
    p->path[p->n] = path;
    memcpy(p->digest[p->n].hex, hex.p, 64);
    p->digest[p->n].hex[64] = '\0';
    return AS_OK;
}

static as_status open_shard(as_corpus *c, part_of *p, const char *dir, const as_json *row, as_err *err) {
    const as_str file = as_json_str(as_json_get(row, "file"), (as_str){NULL, 0}), hex = as_json_str(as_json_get(row, "sha256"), (as_str){NULL, 0});
    if (file.p == NULL || !is_file_name(file) || !is_hex64(hex)) return bad(c, "a shard needs \"file\" and \"sha256\"", err);
    AS_TRY(note_file(p, dir, file, hex, err));
    const char *const path = p->path[p->n];
    as_shard *const s = &p->shard[p->n];
    AS_TRY(as_shard_open(s, path, err));
    p->n++;
    if ((int64_t)s->head.vocab != c->vocab || (int64_t)s->head.docs != as_json_int(as_json_get(row, "docs"), -1) ||
        (int64_t)s->head.tokens != as_json_int(as_json_get(row, "tokens"), -1) || (int64_t)s->head.bytes != as_json_int(as_json_get(row, "bytes"), -1)) {
        (void)as_fail(err, AS_FORMAT, "%s: does not hold what corpus.json says of it", path);
        as_hint(err, "The folder mixes files of two corpora: build the corpus again.");
        return AS_FORMAT;
    }
    p->first[p->n] = p->first[p->n - 1] + (int64_t)s->head.docs;
    p->tokens += (int64_t)s->head.tokens;
    if (__builtin_add_overflow(p->bytes, (int64_t)s->head.bytes, &p->bytes)) return bad(c, "counts more bytes than there can be", err);
    return AS_OK;
}

static as_status open_part(as_corpus *c, as_corpus_part part, const char *dir, const as_json *parts, as_err *err) {
    part_of *const p = &c->part[part];
    const as_json *const shards = as_json_get(as_json_get(parts, as_corpus_part_name(part)), "shards");
    if (as_json_typeof(shards) != AS_JSON_ARRAY) return bad(c, "\"parts\" needs train and heldout, each with \"shards\"", err);
    const size_t n = as_json_count(shards);
    p->shard = as_calloc(n + 1, sizeof *p->shard);
    p->path = as_calloc(n + 1, sizeof *p->path);
    p->digest = as_calloc(n + 1, sizeof *p->digest);
    p->first = as_calloc(n + 1, sizeof *p->first);
    if (p->shard == NULL || p->path == NULL || p->digest == NULL || p->first == NULL) return as_fail_nomem(err, "a corpus", n * sizeof *p->shard);
    for (size_t i = 0; i < n; i++) AS_TRY(open_shard(c, p, dir, as_json_at(shards, i), err));
    return AS_OK;
}

static as_status note_tokenizer(as_corpus *c, const char *dir, const as_json *files, as_err *err) {
    part_of *const p = &c->tokenizer;
    const size_t n = as_json_count(files);
    if (as_json_typeof(files) != AS_JSON_OBJECT || n > 100) return bad(c, "\"tokenizer\" names no files", err);
    p->path = as_calloc(n + 1, sizeof *p->path);
    p->digest = as_calloc(n + 1, sizeof *p->digest);
    if (p->path == NULL || p->digest == NULL) return as_fail_nomem(err, "a corpus", n);
    for (as_json_iter *it = as_json_first(files); it != NULL; it = as_json_next(files, it)) {
        const as_str name = as_json_iter_key(it), hex = as_json_str(as_json_iter_value(it), (as_str){NULL, 0});
        if (!is_file_name(name) || !is_hex64(hex)) return bad(c, "a file of the tokenizer has no SHA-256", err);
        AS_TRY(note_file(p, dir, name, hex, err));
        p->n++;
    }
    return AS_OK;
}

static as_status open_all(as_corpus *c, const char *dir, const as_json *doc, as_err *err) {
    const as_str digest = as_json_str(as_json_get(doc, "digest"), (as_str){NULL, 0});
    if (as_json_int(as_json_get(doc, "assay_corpus"), 0) != 1) return bad(c, "is no manifest of a corpus of version 1", err);
    c->vocab = as_json_int(as_json_get(doc, "vocab"), 0);
    if (c->vocab <= 0 || c->vocab > INT32_MAX) return bad(c, "\"vocab\" is no number of tokens", err);
    if (digest.p == NULL || !is_hex64(digest)) return bad(c, "\"digest\" is no SHA-256", err);
    memcpy(c->digest, digest.p, 64);
    AS_TRY(note_tokenizer(c, dir, as_json_get(doc, "tokenizer"), err));
    for (int p = 0; p < AS_CORPUS_PARTS; p++) AS_TRY(open_part(c, (as_corpus_part)p, dir, as_json_get(doc, "parts"), err));
    return AS_OK;
}

static as_status no_manifest(const char *dir, const char *path, as_err *err) {
    (void)as_fail(err, AS_IO, "%s: there is no such file", path);
    as_hint(err, as_dir_exists(dir) ? "The folder holds no finished corpus; `assay data corpus` writes one, and goes on with an interrupted one."
                                    : "A corpus is a folder that `assay data corpus` wrote.");
    return AS_IO;
}

as_status as_corpus_open(as_corpus **out, const char *dir, as_err *err) {
    *out = NULL;
    as_corpus *const c = as_calloc(1, sizeof *c);
    if (c == NULL) return as_fail_nomem(err, "a corpus", sizeof *c);
    as_json *doc = NULL;
    c->manifest = as_path_join(dir, "corpus.json");
    as_status s = c->manifest != NULL ? AS_OK : as_fail_nomem(err, "a path", strlen(dir));
    if (s == AS_OK && !as_file_exists(c->manifest)) s = no_manifest(dir, c->manifest, err);
    if (s == AS_OK) s = as_json_read(&doc, c->manifest, err);
    if (s == AS_OK) s = open_all(c, dir, doc, err);
    as_json_free(doc);
    if (s == AS_OK) *out = c;
    else as_corpus_close(c);
    return s;
}

void as_corpus_close(as_corpus *c) {
    if (c == NULL) return;
    for (int k = 0; k <= AS_CORPUS_PARTS; k++) {
        part_of *const p = k < AS_CORPUS_PARTS ? &c->part[k] : &c->tokenizer;
        for (int64_t i = 0; p->shard != NULL && i < p->n; i++) as_shard_close(&p->shard[i]);
        for (int64_t i = 0; p->path != NULL && i <= p->n; i++) as_free(p->path[i]); /* one more when its shard did not open */
        as_free(p->shard), as_free(p->path), as_free(p->digest), as_free(p->first);
    }
    as_free(c->manifest), as_free(c);
}

/* ---- several as one ---- */
static const char *file_name(const char *path) { return strrchr(path, '/') ? strrchr(path, '/') + 1 : path; }
static bool same_tokenizer(const as_corpus *a, const as_corpus *b) {
    bool same = a->vocab == b->vocab && a->tokenizer.n == b->tokenizer.n;
    for (int64_t i = 0; same && i < a->tokenizer.n; i++)
        same = strcmp(file_name(a->tokenizer.path[i]), file_name(b->tokenizer.path[i])) == 0 && strcmp(a->tokenizer.digest[i].hex, b->tokenizer.digest[i].hex) == 0;
    return same;
}

/* The shards of `from` behind those of p; `from` keeps none of them. */
static as_status append_part(part_of *p, part_of *from, as_err *err) {
    const size_t n = (size_t)(p->n + from->n) + 1;
    size_t cap[4] = {0};
    if (!as_grow(&p->shard, &cap[0], n, sizeof *p->shard) || !as_grow(&p->path, &cap[1], n, sizeof *p->path) ||
        !as_grow(&p->digest, &cap[2], n, sizeof *p->digest) || !as_grow(&p->first, &cap[3], n, sizeof *p->first))
        return as_fail_nomem(err, "a corpus", n * sizeof *p->shard);
    for (int64_t i = 0; i < from->n; i++, p->n++) {
        p->shard[p->n] = from->shard[i], p->path[p->n] = from->path[i], p->digest[p->n] = from->digest[i];
        p->first[p->n + 1] = p->first[p->n] + from->first[i + 1] - from->first[i];
    }
    p->path[p->n] = NULL, from->path[0] = NULL;
    p->tokens += from->tokens, from->n = 0;
    return __builtin_add_overflow(p->bytes, from->bytes, &p->bytes) ? as_fail(err, AS_FORMAT, "the corpora count more bytes than there can be") : AS_OK;
}

static as_status append(as_corpus *c, const char *dir, const char *first, as_buf *digests, as_err *err) {
    as_corpus *next;
    AS_TRY(as_corpus_open(&next, dir, err));
    as_status s = AS_OK;
    if (!same_tokenizer(c, next)) {
        s = as_fail(err, AS_USAGE, "%s: was made with another tokenizer than %s", dir, first);
        as_hint(err, "Make both with assay data corpus and the same --tokenizer.");
    }
    for (int p = 0; s == AS_OK && p < AS_CORPUS_PARTS; p++) s = append_part(&c->part[p], &next->part[p], err);
    as_buf_fmt(digests, "%s\n", next->digest);
    as_corpus_close(next);
    return s;
}

as_status as_corpus_open_many(as_corpus **out, const char *const *dirs, int64_t n, as_err *err) {
    AS_ASSERT(n > 0);
    AS_TRY(as_corpus_open(out, dirs[0], err));
    as_buf digests = {0};
    as_buf_fmt(&digests, "%s\n", (*out)->digest);
    as_status s = AS_OK;
    for (int64_t i = 1; s == AS_OK && i < n; i++) s = append(*out, dirs[i], dirs[0], &digests, err);
    if (s == AS_OK && digests.failed) s = as_fail_nomem(err, "a corpus", 0);
    if (s == AS_OK && n > 1) memcpy((*out)->digest, as_sha256_of(digests.p, digests.n).hex, 65);
    as_buf_free(&digests);
    if (s != AS_OK) as_corpus_close(*out), *out = NULL;
    return s;
}

/* ---- verify ---- */
typedef struct checking { const as_corpus *c; as_status *status; as_err *err; } checking;

static const char *wanted(const as_corpus *c, int64_t i, const char **path) {
    const part_of *const parts[] = {&c->part[AS_CORPUS_TRAIN], &c->part[AS_CORPUS_HELDOUT], &c->tokenizer};
    int k = 0;
    while (i >= parts[k]->n) i -= parts[k++]->n;
    *path = parts[k]->path[i];
    return parts[k]->digest[i].hex;
}

static void check_one(void *ctx, int64_t i, int thread) {
    (void)thread;
    checking *const k = ctx;
    const char *path, *const want = wanted(k->c, i, &path);
    as_sha256 have;
    k->status[i] = as_sha256_file(&have, path, &k->err[i]);
    if (k->status[i] != AS_OK || strcmp(have.hex, want) == 0) return;
    k->status[i] = as_fail(&k->err[i], AS_FORMAT, "%s: damaged: its SHA-256 is %.16s..., but corpus.json says %.16s...", path, have.hex, want);
    as_hint(&k->err[i], "Copy the file again, or build the corpus again.");
}

as_status as_corpus_verify(const as_corpus *c, int threads, as_err *err) {
    const int64_t n = c->part[AS_CORPUS_TRAIN].n + c->part[AS_CORPUS_HELDOUT].n + c->tokenizer.n;
    checking k = {c, as_calloc((size_t)n + 1, sizeof *k.status), as_calloc((size_t)n + 1, sizeof *k.err)};
    as_status s = k.status != NULL && k.err != NULL ? AS_OK : as_fail_nomem(err, "a check of a corpus", (size_t)n);
    if (s == AS_OK) as_parallel_dynamic(threads, n, check_one, &k);
    for (int64_t i = 0; i < n && s == AS_OK; i++)
        if ((s = k.status[i]) != AS_OK && err != NULL) *err = k.err[i];
    as_free(k.status), as_free(k.err);
    return s;
}

/* ---- questions ---- */
const char *as_corpus_digest(const as_corpus *c) { return c->digest; }
int64_t as_corpus_vocab(const as_corpus *c) { return c->vocab; }
int64_t as_corpus_docs(const as_corpus *c, as_corpus_part part) { return c->part[part].first[c->part[part].n]; }
int64_t as_corpus_tokens(const as_corpus *c, as_corpus_part part) { return c->part[part].tokens; }
int64_t as_corpus_bytes(const as_corpus *c, as_corpus_part part) { return c->part[part].bytes; }

/* The shard of a document, whose number in it replaces *doc. */
static const as_shard *shard_of(const as_corpus *c, as_corpus_part part, int64_t *doc) {
    const part_of *const p = &c->part[part];
    int64_t low = 0, high = p->n - 1;
    AS_ASSERT(*doc >= 0 && *doc < p->first[p->n]);
    while (low < high) {
        const int64_t middle = (low + high + 1) / 2;
        if (p->first[middle] <= *doc) low = middle;
        else high = middle - 1;
    }
    *doc -= p->first[low];
    return &p->shard[low];
}

int64_t as_corpus_doc_tokens(const as_corpus *c, as_corpus_part part, int64_t doc) {
    const as_shard *const s = shard_of(c, part, &doc);
    return (int64_t)(s->doc_token[doc + 1] - s->doc_token[doc]);
}

int64_t as_corpus_doc_segments(const as_corpus *c, as_corpus_part part, int64_t doc) {
    const as_shard *const s = shard_of(c, part, &doc);
    return (int64_t)(s->doc_segment[doc + 1] - s->doc_segment[doc]);
}

int64_t as_corpus_segment_begin(const as_corpus *c, as_corpus_part part, int64_t doc, int64_t segment) {
    const as_shard *const s = shard_of(c, part, &doc);
    const int64_t n = (int64_t)(s->doc_segment[doc + 1] - s->doc_segment[doc]);
    AS_ASSERT(segment >= 0 && segment <= n);
    return segment == n ? (int64_t)(s->doc_token[doc + 1] - s->doc_token[doc]) : s->segment_begin[s->doc_segment[doc] + (uint64_t)segment];
}

void as_corpus_read(const as_corpus *c, as_corpus_part part, int64_t doc, int64_t from, int64_t n, int32_t *ids) {
    const as_shard *const s = shard_of(c, part, &doc);
    const uint64_t at = s->doc_token[doc] + (uint64_t)from;
    AS_ASSERT(from >= 0 && n >= 0 && at + (uint64_t)n <= s->doc_token[doc + 1]);
    if (s->head.id_bytes == 2) {
        const uint16_t *const v = (const uint16_t *)s->ids + at;
        for (int64_t i = 0; i < n; i++) ids[i] = v[i];
    } else {
        memcpy(ids, (const int32_t *)s->ids + at, (size_t)n * sizeof *ids);
    }
}
