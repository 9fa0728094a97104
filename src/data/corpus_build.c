#include "data/corpus_build.h"
#include "base/mem.h"
#include "base/parallel.h"
#include "data/corpus_stage.h"
#include "io/json.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

as_status as_build_nomem(as_err *err) { return as_fail_nomem(err, "building a corpus", 0); }

char *as_build_path(const as_build *b, char kind, int64_t block) {
    char name[40];
    snprintf(name, sizeof name, "%c-%06" PRId64, kind, block);
    return as_path_join(b->work, name);
}

static as_status interrupted(const as_build *b, as_err *err) {
    if (b->o->stop == NULL || !b->o->stop()) return AS_OK;
    (void)as_fail(err, AS_INTERRUPTED, "interrupted while reading");
    as_hint(err, "The same command goes on where it was.");
    return AS_INTERRUPTED;
}

/* ---- read and filter ---- */
typedef struct reading {
    as_build *b;
    as_raw *raw;       /* [slots] */
    int64_t from, slots, n;
    as_status *status; /* [slots] */
    as_err *err;
} reading;

typedef struct taking { as_docs *docs; const as_corpus_rules *rules; as_block_counts *counts; } taking;

static as_status take(void *ctx, as_str text, as_err *err) {
    const taking *const t = ctx;
    return as_clean_document(t->docs, text, t->rules, t->counts, err);
}

static as_docs_view view_of(const as_docs *d) { return (as_docs_view){d->text.p, d->end, d->n}; }

static as_status write_lines(const as_build *b, const as_docs_view *docs, const as_block_counts *counts, int64_t block, as_err *err) {
    as_buf lines = {0};
    as_status s = as_line_hashes(&lines, docs, err);
    const as_str parts[A_PARTS] = {[A_COUNTS] = {(const char *)counts, sizeof *counts}, [A_TEXT] = {docs->text, docs->n > 0 ? (size_t)docs->end[docs->n - 1] : 0},
                                   [A_END] = {(const char *)docs->end, (size_t)docs->n * sizeof *docs->end}, [A_LINES] = as_buf_view(&lines)};
    char *const path = s == AS_OK ? as_build_path(b, 'a', block) : NULL;
    if (s == AS_OK) s = path != NULL ? as_block_write(path, parts, A_PARTS, err) : as_build_nomem(err);
    as_free(path);
    as_buf_free(&lines);
    return s;
}

/* Is the block of this piece there? A block of another piece means other inputs. */
static as_status is_done(const as_build *b, char kind, int64_t block, uint64_t source, bool *done, as_err *err) {
    as_block file;
    as_block_counts counts;
    *done = false;
    char *const path = as_build_path(b, kind, block);
    if (path == NULL) return as_build_nomem(err);
    const bool there = as_block_open(&file, path, kind == 'a' ? A_PARTS : B_PARTS);
    as_free(path);
    if (!there) return AS_OK;
    memcpy(&counts, file.part[0].p, sizeof counts);
    as_block_close(&file);
    if (counts.source == source) return *done = true, AS_OK;
    (void)as_fail(err, AS_USAGE, "%s: holds an unfinished corpus of other text", b->o->out);
    as_hint(err, "The inputs have changed since: --again starts over.");
    return AS_USAGE;
}

static as_status read_block(as_build *b, const as_raw *raw, int64_t block, as_err *err) {
    bool done;
    as_docs docs = {0};
    as_block_counts counts = {.source = as_hash64(raw->text.p, raw->text.n, as_hash64(raw->where, strlen(raw->where), (uint64_t)raw->line))};
    AS_TRY(is_done(b, b->boilerplate ? 'a' : 'b', block, counts.source, &done, err));
    if (done) return AS_OK;
    taking t = {&docs, &b->o->rules, &counts};
    as_status s = as_raw_documents(raw, &b->o->read, take, &t, &counts.replaced, err);
    const as_docs_view view = view_of(&docs);
    if (s == AS_OK) s = b->boilerplate ? write_lines(b, &view, &counts, block, err) : as_filter_block(b, &view, &counts, block, err);
    as_docs_free(&docs);
    return s;
}

static void read_one(void *ctx, int64_t i, int thread) {
    (void)thread;
    reading *const r = ctx;
    r->status[i] = read_block(r->b, &r->raw[i], r->from + i, &r->err[i]);
}

/* Blocks [from, from + n) are made; the first failure in their order counts. */
static as_status finish_turn(reading *r, as_err *err) {
    as_parallel_dynamic(r->b->threads, r->n, read_one, r);
    as_status s = AS_OK;
    for (int64_t i = 0; i < r->n; i++) {
        if (s == AS_OK && (s = r->status[i]) != AS_OK && err != NULL) *err = r->err[i];
        as_raw_free(&r->raw[i]);
    }
    r->from += r->n;
    r->n = 0;
    return s == AS_OK ? interrupted(r->b, err) : s;
}

static as_status read_all(reading *r, as_source *source, as_progress *progress, as_err *err) {
    for (bool more = true; more;) {
        as_raw *const raw = &r->raw[r->n];
        const as_status s = as_source_next(source, raw, &more, err);
        if (s != AS_OK || !more) as_raw_free(raw);
        if (s != AS_OK) return s;
        r->n += more;
        as_progress_add(progress, more ? (int64_t)raw->text.n : 0, 0);
        if (r->n == r->slots || (!more && r->n > 0)) AS_TRY(finish_turn(r, err));
    }
    return AS_OK;
}

static as_status note_blocks(const as_build *b, as_err *err) {
    char *const path = as_path_join(b->work, "read");
    const as_status s = path != NULL ? as_block_write(path, &(as_str){(const char *)&b->blocks, sizeof b->blocks}, 1, err) : as_build_nomem(err);
    as_free(path);
    return s;
}

static bool was_read(as_build *b) {
    as_block file;
    char *const path = as_path_join(b->work, "read");
    const bool there = path != NULL && as_block_open(&file, path, 1);
    as_free(path);
    if (!there) return false;
    memcpy(&b->blocks, file.part[0].p, sizeof b->blocks);
    as_block_close(&file);
    return true;
}

static as_status stage_read(as_build *b, const as_file_list *files, as_err *err) {
    reading r = {.b = b, .slots = 2 * (int64_t)b->threads};
    as_source *source = NULL;
    as_progress progress;
    if (was_read(b)) return AS_OK;
    r.raw = as_calloc((size_t)r.slots, sizeof *r.raw);
    r.status = as_calloc((size_t)r.slots, sizeof *r.status);
    r.err = as_calloc((size_t)r.slots, sizeof *r.err);
    as_status s = r.raw && r.status && r.err ? as_source_open(&source, files, &b->o->read, err) : as_build_nomem(err);
    as_progress_begin(&progress, b->o->progress_fd, b->o->progress_fd < 0, "read, bytes", 0);
    if (s == AS_OK) s = read_all(&r, source, &progress, err);
    as_progress_end(&progress);
    b->blocks = r.from;
    for (int64_t i = 0; r.raw != NULL && i < r.slots; i++) as_raw_free(&r.raw[i]);
    as_source_close(source);
    as_free(r.raw), as_free(r.status), as_free(r.err);
    return s == AS_OK ? note_blocks(b, err) : s;
}

/* ---- boilerplate: lines of all blocks counted by a sort of their hashes ---- */
static as_status gather_lines(as_build *b, as_scratch *table, int64_t *n, as_err *err) {
    *n = 0;
    for (int turn = 0; turn < 2; turn++) {
        int64_t at = 0;
        for (int64_t i = 0; i < b->blocks; i++) {
            as_block block;
            char *const path = as_build_path(b, 'a', i);
            if (path == NULL) return as_build_nomem(err);
            if (!as_block_open(&block, path, A_PARTS)) { /* filtered already, so the lines were counted before */
                as_free(path);
                continue;
            }
            as_free(path);
            const uint64_t *const v = (const uint64_t *)(const void *)block.part[A_LINES].p;
            const int64_t count = (int64_t)(block.part[A_LINES].n / 8);
            as_keyed *const out = table->p;
            for (int64_t k = 0; turn == 1 && k < count; k++) out[at + k] = (as_keyed){v[k], 0};
            at += count;
            as_block_close(&block);
        }
        *n = at;
        if (turn == 0) AS_TRY(as_scratch_open(table, b->work, (uint64_t)at, sizeof(as_keyed), err));
    }
    return AS_OK;
}

static as_status pick_frequent(as_build *b, as_buf *out, as_err *err) {
    as_scratch table = {0}, spare = {0};
    int64_t n = 0;
    as_status s = gather_lines(b, &table, &n, err);
    if (s == AS_OK) s = as_scratch_open(&spare, b->work, (uint64_t)n, sizeof(as_keyed), err);
    if (s == AS_OK) as_keyed_sort(table.p, spare.p, n);
    const as_keyed *const v = table.p;
    for (int64_t i = 0, end; i < n && s == AS_OK; i = end) {
        for (end = i + 1; end < n && v[end].key == v[i].key;) end++;
        if ((double)(end - i) >= b->o->rules.value[AS_RULE_BOILERPLATE]) as_buf_add(out, &v[i].key, 8);
    }
    as_scratch_close(&table), as_scratch_close(&spare);
    return s == AS_OK && out->failed ? as_build_nomem(err) : s;
}

static as_status find_frequent(as_build *b, as_err *err) {
    char *const path = as_path_join(b->work, "lines");
    as_block block = {0};
    as_buf found = {0};
    as_status s = path != NULL ? AS_OK : as_build_nomem(err);
    const bool there = s == AS_OK && as_block_open(&block, path, 1);
    if (s == AS_OK && !there) s = pick_frequent(b, &found, err);
    if (s == AS_OK && !there) s = as_block_write(path, &(as_str){found.p != NULL ? found.p : "", found.n}, 1, err);
    const as_str v = there ? block.part[0] : as_buf_view(&found);
    if (s == AS_OK) {
        b->frequent = as_alloc(v.n / 8 + 1, 8);
        if (b->frequent != NULL) memcpy(b->frequent, v.p, v.n), b->n_frequent = (int64_t)(v.n / 8);
        else s = as_build_nomem(err);
    }
    as_block_close(&block);
    as_buf_free(&found);
    as_free(path);
    return s;
}

static as_status filter_block(as_build *b, int64_t i, as_err *err) {
    as_block a, done;
    char *const from = as_build_path(b, 'a', i), *const to = as_build_path(b, 'b', i);
    as_status s = from != NULL && to != NULL ? AS_OK : as_build_nomem(err);
    if (s == AS_OK && as_block_open(&done, to, B_PARTS)) {
        as_block_close(&done);
    } else if (s == AS_OK && !as_block_open(&a, from, A_PARTS)) {
        s = as_fail(err, AS_IO, "%s: was changed while the corpus was built", from);
    } else if (s == AS_OK) {
        as_block_counts counts;
        memcpy(&counts, a.part[A_COUNTS].p, sizeof counts);
        const as_docs_view view = {a.part[A_TEXT].p, (const uint64_t *)(const void *)a.part[A_END].p, (int64_t)(a.part[A_END].n / 8)};
        s = as_filter_block(b, &view, &counts, i, err);
        as_block_close(&a);
    }
    if (s == AS_OK) (void)unlink(from);
    as_free(from), as_free(to);
    return s;
}

static void filter_one(void *ctx, int64_t i, int thread) {
    (void)thread;
    reading *const r = ctx;
    r->status[i] = filter_block(r->b, r->from + i, &r->err[i]);
}

static as_status stage_filter(as_build *b, as_err *err) {
    enum { TURN = 64 };
    as_status status[TURN];
    as_err errors[TURN];
    if (!b->boilerplate) return AS_OK;
    AS_TRY(find_frequent(b, err));
    for (int64_t from = 0; from < b->blocks; from += TURN) {
        const int64_t n = b->blocks - from < TURN ? b->blocks - from : TURN;
        reading r = {.b = b, .from = from, .status = status, .err = errors};
        as_parallel_dynamic(b->threads, n, filter_one, &r);
        for (int64_t i = 0; i < n; i++)
            if (status[i] != AS_OK) {
                if (err != NULL) *err = errors[i];
                return status[i];
            }
        AS_TRY(interrupted(b, err));
    }
    return AS_OK;
}

/* ---- what this build is ---- */
static as_status describe_tokenizer(as_buf *b, const as_tokenizer *tok, as_err *err) {
    static const char probe[] = "Hello, W\xC3\xB6rld! \xE4\xBD\xA0\xE5\xA5\xBD don't 3.14 NA\xC3\x8FVE\n";
    as_tokens t = {0};
    uint64_t h = 0;
    for (int32_t i = 0; i < as_tokenizer_vocab_size(tok); i++) {
        const as_str piece = as_tokenizer_piece(tok, i);
        h = as_hash64(piece.p, piece.n, h);
    }
    const as_status s = as_encode(tok, AS_LIT(probe), NULL, &(as_encode_opts){.no_special = true}, &t, err);
    if (s == AS_OK) h = as_hash64(t.ids, (size_t)t.n * sizeof *t.ids, h);
    as_tokens_free(&t);
    as_buf_fmt(b, "tokenizer %016" PRIx64 "\n", h);
    return s;
}

static as_status look_at_line_ends(as_build *b, as_err *err) {
    as_tokens t = {0};
    const int32_t unk = as_tokenizer_special(b->tok, AS_TOKEN_UNK);
    const as_status s = as_encode(b->tok, AS_LIT("\n"), NULL, &(as_encode_opts){.no_special = true}, &t, err);
    b->line_ends = true;
    for (int64_t i = 0; s == AS_OK && i < t.n; i++) b->line_ends &= t.ids[i] != unk;
    as_tokens_free(&t);
    return s;
}

/* Everything that the result depends on, as text; files by name, size and time of change. */
static as_status describe(as_buf *text, const as_build *b, const as_file_list *files, as_err *err) {
    const as_corpus_opts *const o = b->o;
    AS_TRY(describe_tokenizer(text, b->tok, err));
    as_buf_fmt(text, "unit %d column %s format %d encoding %d sep %d quotes %d piece %" PRId64 " langs %u shard %" PRId64 " heldout ", (int)o->read.unit,
               o->read.column != NULL ? o->read.column : "text", (int)o->read.format, (int)o->read.encoding, o->read.sep, o->read.no_quotes, o->read.piece_bytes, b->langs,
               o->shard_tokens);
    as_buf_real(text, o->heldout);
    for (int r = 0; r < AS_RULE_COUNT; r++) {
        as_buf_char(text, ' ');
        as_buf_real(text, o->rules.value[r]);
    }
    for (int64_t i = 0; i < files->n; i++) {
        struct stat st = {0};
        if (strcmp(files->path[i], "-") != 0 && stat(files->path[i], &st) == 0 && S_ISREG(st.st_mode))
            as_buf_fmt(text, "\n%s %" PRId64 " %" PRId64 ".%09ld", files->path[i], (int64_t)st.st_size, (int64_t)st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
        else
            as_buf_fmt(text, "\n%s", files->path[i]);
    }
    return text->failed ? as_build_nomem(err) : AS_OK;
}

static as_status other_corpus(const as_corpus_opts *o, bool finished, as_err *err) {
    (void)as_fail(err, AS_USAGE, "%s: holds %s corpus of another command, or of inputs that have changed", o->out, finished ? "a" : "an unfinished");
    as_hint(err, "Choose another folder with --out, or start over with --again.");
    return AS_USAGE;
}

/* *finished: the folder holds just this corpus already. */
static as_status claim_folder(const as_build *b, const as_file_list *files, const char *key, bool *finished, as_err *err) {
    char *const manifest = as_path_join(b->o->out, "corpus.json"), *const mark = as_path_join(b->work, "key");
    as_json *doc = NULL;
    as_block block;
    as_status s = manifest != NULL && mark != NULL ? AS_OK : as_build_nomem(err);
    bool piped = false;
    *finished = false;
    for (int64_t i = 0; i < files->n; i++) piped |= strcmp(files->path[i], "-") == 0;
    if (s == AS_OK && b->o->again) as_dir_remove(b->work), (void)unlink(manifest);
    if (s == AS_OK && as_file_exists(manifest)) {
        s = as_json_read(&doc, manifest, err);
        *finished = s == AS_OK && !piped && as_str_is(as_json_str(as_json_get(doc, "key"), AS_LIT("")), key);
        if (s == AS_OK && !*finished) s = other_corpus(b->o, true, err);
        as_json_free(doc);
    } else if (s == AS_OK && as_block_open(&block, mark, 1)) {
        if (!as_str_is(block.part[0], key)) s = other_corpus(b->o, false, err);
        as_block_close(&block);
    } else if (s == AS_OK) {
        as_dir_remove(b->work);
        as_corpus_writer *w; /* takes away what was there */
        s = as_corpus_writer_open(&w, b->o->out, b->tok, NULL, err);
        as_corpus_writer_free(w);
        if (s == AS_OK) s = as_dir_make(b->work, err);
        if (s == AS_OK) s = as_block_write(mark, &(as_str){key, strlen(key)}, 1, err);
    }
    as_free(manifest), as_free(mark);
    return s;
}

/* ---- the manifest's own part ---- */
static as_status describe_build(as_buf *m, const as_build *b, const as_file_list *files, const char *key, as_err *err) {
    static const char *const units[] = {"blank", "line", "file"};
    as_buf_fmt(m, "\"key\":\"%s\",\n \"source\":{\"docs\":%" PRId64 ",\"lines\":%" PRId64 ",\"bytes\":%" PRId64 ",\"replaced\":%" PRId64 ",\"unit\":\"%s\",\"files\":[", key,
               b->sum.docs, b->sum.lines, b->sum.bytes, b->sum.replaced, units[b->o->read.unit]);
    for (int64_t i = 0; i < files->n; i++) {
        if (i > 0) as_buf_char(m, ',');
        as_buf_json_str(m, as_str_of(files->path[i]));
    }
    as_buf_str(m, "]},\n \"heldout\":");
    as_buf_real(m, b->o->heldout);
    as_buf_str(m, ",\n \"dropped\":[");
    for (int r = 0; r < AS_RULE_COUNT; r++) {
        const as_rule_drop d = b->sum.drop[r];
        as_buf_fmt(m, "%s\n  {\"rule\":\"%s\",\"value\":", r > 0 ? "," : "", as_rule_at((as_corpus_rule)r)->name);
        as_buf_real(m, r == AS_RULE_LANG && b->langs != 0 ? 1 : b->o->rules.value[r]);
        as_buf_fmt(m, ",\"docs\":%" PRId64 ",\"lines\":%" PRId64 ",\"bytes\":%" PRId64 "}", d.docs, d.lines, d.bytes);
    }
    as_buf_fmt(m, "],\n \"near\":{\"k\":%d,\"bands\":%d,\"rows\":%d,\"shingle\":%d,\"bucket\":%d},\n \"languages\":{", AS_MINHASH_K, AS_MINHASH_BANDS, AS_MINHASH_ROWS,
               AS_SHINGLE_WORDS, AS_BUCKET_MOST);
    for (int l = 0; l <= AS_LANGS; l++)
        as_buf_fmt(m, "%s\"%s\":{\"docs\":%" PRId64 ",\"bytes\":%" PRId64 "}", l > 0 ? "," : "", as_lang_name(l), b->lang_docs[l], b->lang_bytes[l]);
    as_buf_char(m, '}');
    return m->failed ? as_build_nomem(err) : AS_OK;
}

static as_status nothing_left(const as_build *b, as_err *err) {
    int most = AS_RULE_EMPTY;
    for (int r = 0; r < AS_RULE_COUNT; r++)
        if (b->sum.drop[r].docs > b->sum.drop[most].docs) most = r;
    if (b->sum.docs == 0) return as_fail(err, AS_FORMAT, "the inputs hold no document");
    (void)as_fail(err, AS_FORMAT, "of %" PRId64 " documents none is left for training", b->sum.docs);
    if (b->sum.drop[most].docs > 0)
        as_hint(err, "The rule %s took %" PRId64 " of them; --rule %s=off turns it off.", as_rule_at((as_corpus_rule)most)->name, b->sum.drop[most].docs, as_rule_at((as_corpus_rule)most)->name);
    else
        as_hint(err, "A smaller --heldout leaves more for training.");
    return AS_FORMAT;
}

static as_status stage_encode(as_build *b, const as_file_list *files, const char *key, as_err *err) {
    as_corpus_writer *w = NULL;
    as_buf extra = {0};
    as_corpus_summary s;
    AS_TRY(as_corpus_writer_open(&w, b->o->out, b->tok, &(as_corpus_writer_opts){b->o->shard_tokens, true}, err));
    as_status status = as_build_encode(b, w, err);
    if (status == AS_OK) status = describe_build(&extra, b, files, key, err);
    if (status == AS_OK && as_corpus_writer_empty(w)) status = nothing_left(b, err);
    if (status == AS_OK) status = as_corpus_writer_finish(w, extra.p, b->threads, err);
    as_corpus_writer_free(w);
    as_buf_free(&extra);
    if (status == AS_OK) status = as_corpus_summary_read(&s, b->o->out, err);
    return status;
}

/* ---- all of it ---- */
static void build_free(as_build *b) {
    for (int64_t i = 0; b->b != NULL && i < b->blocks; i++) as_block_close(&b->b[i]);
    as_free(b->b), as_free(b->docs), as_free(b->first), as_free(b->keep), as_free(b->frequent), as_free(b->work);
}

static as_status run(as_build *b, const as_file_list *files, const char *key, as_err *err) {
    AS_TRY(stage_read(b, files, err));
    AS_TRY(stage_filter(b, err));
    AS_TRY(as_build_dedup(b, err));
    AS_TRY(stage_encode(b, files, key, err));
    as_dir_remove(b->work);
    return AS_OK;
}

/* One process at a time builds into a folder; a killed one lets go. *fd -1 where the file system knows no locks. */
static as_status lock_folder(const as_build *b, int *fd, as_err *err) {
    char *const path = as_path_join(b->o->out, "lock");
    if (path == NULL) return as_build_nomem(err);
    *fd = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0666);
    const int error = *fd < 0 ? errno : flock(*fd, LOCK_EX | LOCK_NB) != 0 ? errno : 0;
    as_status s = AS_OK;
    if (*fd < 0) s = as_fail(err, AS_IO, "%s: cannot be written: %s", path, strerror(error));
    else if (error == EWOULDBLOCK) s = as_fail(err, AS_IO, "%s: another process builds a corpus here", b->o->out);
    as_free(path);
    return s;
}

static void unlock_folder(const as_build *b, int fd, bool finished) {
    char *const path = finished ? as_path_join(b->o->out, "lock") : NULL;
    if (path != NULL) (void)unlink(path);
    as_free(path);
    if (fd >= 0) close(fd);
}

static as_status build(as_build *b, const as_file_list *files, as_corpus_summary *out, as_err *err) {
    as_buf text = {0};
    bool finished = false;
    int lock = -1;
    as_status s = look_at_line_ends(b, err);
    if (s == AS_OK) s = describe(&text, b, files, err);
    const as_sha256 key = as_sha256_of(text.p, text.n);
    as_buf_free(&text);
    if (s == AS_OK) s = as_dir_make(b->o->out, err);
    if (s == AS_OK) s = lock_folder(b, &lock, err);
    if (s == AS_OK) s = claim_folder(b, files, key.hex, &finished, err);
    if (s == AS_OK && finished) as_dir_remove(b->work);
    if (s == AS_OK && !finished) {
        s = run(b, files, key.hex, err);
        if (s == AS_FORMAT) as_dir_remove(b->work); /* the user will mend the input, and then it is another one */
    }
    unlock_folder(b, lock, s == AS_OK);
    if (s == AS_OK && out != NULL) {
        s = as_corpus_summary_read(out, b->o->out, err);
        out->reused = finished;
    }
    return s;
}

as_status as_corpus_build(const as_corpus_opts *o, as_corpus_summary *out, as_err *err) {
    as_build b = {.o = o, .tok = o->tokenizer, .threads = o->threads > 0 ? o->threads : as_cpu_count()};
    as_tokenizer *own = NULL;
    as_file_list files = {0};
    if (!(o->heldout >= 0 && o->heldout < 1)) {
        (void)as_fail(err, AS_USAGE, "--heldout %g is no share of the documents", o->heldout);
        as_hint(err, "For example 0.01 for one in a hundred.");
        return AS_USAGE;
    }
    b.boilerplate = as_rule_on(&o->rules, AS_RULE_BOILERPLATE);
    b.near = as_rule_on(&o->rules, AS_RULE_NEAR), b.exact = as_rule_on(&o->rules, AS_RULE_EXACT);
    as_minhash_init(&b.family);
    if (o->lang != NULL) AS_TRY(as_lang_parse(&b.langs, o->lang, err));
    as_status s = as_file_list_make(&files, o->inputs, o->n_inputs, err);
    if (s == AS_OK && b.tok == NULL) s = as_tokenizer_open(&own, o->tokenizer_dir, err);
    if (own != NULL) b.tok = own;
    b.work = as_path_join(o->out, "work");
    if (s == AS_OK && b.work == NULL) s = as_build_nomem(err);
    if (s == AS_OK) s = build(&b, &files, out, err);
    build_free(&b);
    as_tokenizer_free(own);
    as_file_list_free(&files);
    return s;
}
