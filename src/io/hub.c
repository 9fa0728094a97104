/* hub.c: assay pull. The server's listing gives the commit and the names; a HEAD per file what it
 * is; then each file that is missing comes into blobs/, is checked, and gets its name. */
#include "base/file.h"
#include "base/mem.h"
#include "io/hub_impl.h"
#include "io/json.h"
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LISTING_BYTES = 64 << 20, CUTS = 5 };

typedef struct entry {
    const char *name;
    char etag[132];
    uint64_t size;
    bool here; /* in the snapshot before this pull */
} entry;

typedef struct pull {
    const as_hub_opts *o;
    as_hub_env env;
    as_hub_cache cache;
    as_http *http;
    char *id, *revision;
    as_buf commit;
    as_hub_names names;
    entry *files;         /* [names.count] */
    uint64_t total, done; /* bytes to fetch; of finished files */
    double drawn;
    as_hub_pulled *out;
} pull;

/* ---- addresses ---- */

static const char *type_of(const pull *p, bool plural_model) {
    return p->o->kind == AS_HUB_DATASET ? "datasets/" : plural_model ? "models/" : "";
}

/* Percent-encoded but for what an address may hold as it is; '/' stays when `slashes`. */
static void quote(as_buf *out, const char *s, bool slashes) {
    for (; *s != '\0'; s++) {
        const bool plain = (*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z') ||
                           (*s >= '0' && *s <= '9') || strchr("-._~", *s) != NULL ||
                           (slashes && *s == '/');
        if (plain)
            as_buf_char(out, *s);
        else
            as_buf_fmt(out, "%%%02X", (unsigned char)*s);
    }
}

static void file_url(as_buf *out, const pull *p, const char *name) {
    as_buf_fmt(out, "%s/%s%s/resolve/%s/", p->env.endpoint, type_of(p, false), p->id, p->commit.p);
    quote(out, name, true);
}

/* ---- what refusals mean ---- */

static as_status no_access(const pull *p, const as_http_reply *r, as_err *err) {
    const bool gated = strcmp(r->error_code, "GatedRepo") == 0 || r->status == 403;
    (void)as_fail(err, AS_IO,
                  gated ? "%s is gated or closed to you (HTTP %ld%s%.200s)"
                        : "%s: not found, or private, or gated (HTTP %ld%s%.200s)",
                  p->id, r->status, r->error_text[0] ? ": " : "", r->error_text);
    if (p->env.token == NULL)
        as_hint(err, "%sccept its terms at %s/%s%s and set HF_TOKEN to a token of that account.",
                gated ? "A" : "Check the spelling of the id; if it is gated or private, a",
                p->env.endpoint, type_of(p, false), p->id);
    else
        as_hint(err,
                "Check the id; accept its terms at %s/%s%s with the account of HF_TOKEN, whose "
                "token must be valid and "
                "allowed to read it.",
                p->env.endpoint, type_of(p, false), p->id);
    return AS_IO;
}

static as_status not_found(const pull *p, const as_http_reply *r, const char *file, as_err *err) {
    const bool dataset = p->o->kind == AS_HUB_DATASET;
    if (strcmp(r->error_code, "RevisionNotFound") == 0) {
        (void)as_fail(err, AS_IO, "%s has no revision \"%s\" (HTTP 404)", p->id, p->revision);
        as_hint(err,
                "A revision is a branch, a tag or a whole commit; without one, main is fetched.");
    } else if (file != NULL) {
        (void)as_fail(err, AS_IO, "%s: the file %s is listed, but is not there (HTTP 404)", p->id,
                      file);
        as_hint(err, "Try again; the repository may have changed in this moment.");
    } else {
        (void)as_fail(err, AS_IO, "%s: no such %s at %s (HTTP 404)", p->id,
                      dataset ? "data set" : "model", p->env.endpoint);
        as_hint(err,
                dataset
                    ? "Check the spelling; a private data set needs HF_TOKEN, a model no --dataset."
                    : "Check the spelling; a private model needs HF_TOKEN, a data set --dataset.");
    }
    return AS_IO;
}

static as_status refused(const pull *p, const as_http_reply *r, const char *file, as_err *err) {
    if (r->status == 401 || r->status == 403) return no_access(p, r, err);
    if (r->status == 404) return not_found(p, r, file, err);
    (void)as_fail(err, AS_IO, "%s%s%s: %s answers HTTP %ld%s%.200s", p->id, file != NULL ? "/" : "",
                  file != NULL ? file : "", p->env.endpoint, r->status,
                  r->error_text[0] ? ": " : "", r->error_text);
    if (r->status == 429 && r->retry_after > 0)
        as_hint(err,
                "It asks to wait %" PRId64
                " s. With a token in HF_TOKEN more is allowed; the same command goes on.",
                r->retry_after);
    else if (r->status == 429)
        as_hint(err, "Too many requests. With a token in HF_TOKEN more is allowed; the same "
                     "command goes on.");
    else
        as_hint(err, "Try again later; the same command goes on where it stopped.");
    return AS_IO;
}

/* ---- the listing ---- */

static as_status take_listing(void *ctx, const as_http_reply *r, const char *bytes, size_t n,
                              as_err *err) {
    as_buf *const b = ctx;
    (void)r;
    if (n > LISTING_BYTES - b->n)
        return as_fail(err, AS_FORMAT, "the server's list of files is longer than 64 MB");
    as_buf_add(b, bytes, n);
    return b->failed ? as_fail_nomem(err, "the list of files", b->n) : AS_OK;
}

static as_status bad_answer(const pull *p, const char *what, as_err *err) {
    (void)as_fail(err, AS_FORMAT, "%s: %s: %s", p->env.endpoint, p->id, what);
    as_hint(err, "HF_ENDPOINT must be a server that speaks as the Hub does.");
    return AS_FORMAT;
}

static bool is_commit(as_str s) {
    size_t n = 0;
    while (n < s.n && ((s.p[n] >= '0' && s.p[n] <= '9') || (s.p[n] >= 'a' && s.p[n] <= 'f')))
        n++;
    return n == s.n && (n == 40 || n == 64);
}

/* {"sha": COMMIT, "siblings": [{"rfilename": NAME}...]} */
static as_status read_listing(pull *p, as_str text, as_err *err) {
    as_json *doc = NULL;
    AS_TRY(as_json_parse(&doc, text, "the server's list of files", 0, err));
    const as_json *const all = as_json_get(doc, "siblings");
    const as_str sha = as_json_str(as_json_get(doc, "sha"), AS_LIT(""));
    as_status s = AS_OK;
    if (!is_commit(sha) || as_json_typeof(all) != AS_JSON_ARRAY)
        s = bad_answer(p, "its list of files names no commit or no files", err);
    if (s == AS_OK) as_buf_add(&p->commit, sha.p, sha.n);
    if (p->commit.failed) s = as_fail_nomem(err, "a commit", 0);
    for (size_t i = 0; s == AS_OK && i < as_json_count(all); i++) {
        const as_str name = as_json_str(as_json_get(as_json_at(all, i), "rfilename"), AS_LIT(""));
        if (as_hub_name_ok(name)) {
            s = as_hub_names_add(&p->names, name, err);
            continue;
        }
        as_buf shown = {0};
        as_buf_json_str(&shown, (as_str){name.p, name.n < 200 ? name.n : 200});
        s = as_fail(err, AS_FORMAT,
                    "%s: the server lists a file that would lie outside its folder, or has no "
                    "proper name: %s",
                    p->id, shown.failed ? "" : shown.p);
        as_hint(err,
                "Nothing was fetched. Such names are made to harm: do not trust this repository.");
        as_buf_free(&shown);
    }
    as_json_free(doc);
    return s;
}

static as_status list_files(pull *p, as_err *err) {
    as_buf url = {0}, text = {0};
    as_http_reply r;
    as_status s = AS_OK;
    as_buf_fmt(&url, "%s/api/%s%s/revision/", p->env.endpoint, type_of(p, true), p->id);
    quote(&url, p->revision, false);
    if (url.failed) s = as_fail_nomem(err, "an address", 0);
    for (int cuts = 0; s == AS_OK; cuts++) {
        as_buf_clear(&text);
        s = as_http_send(p->http, &(as_http_call){.url = url.p, .take = take_listing, .ctx = &text},
                         &r, err);
        if (s != AS_OK || !r.cut) break;
        if (cuts == CUTS)
            s = as_fail(err, AS_IO, "%s: the list of files was cut %d times: %s", p->env.endpoint,
                        CUTS + 1, r.why);
    }
    if (s == AS_OK && r.status != 200) s = refused(p, &r, NULL, err);
    if (s == AS_OK) s = read_listing(p, as_buf_view(&text), err);
    as_buf_free(&url), as_buf_free(&text);
    return s;
}

/* ---- what each file is ---- */

static as_status describe(pull *p, entry *f, as_err *err) {
    as_buf url = {0};
    as_http_reply r;
    file_url(&url, p, f->name);
    as_status s = url.failed
                      ? as_fail_nomem(err, "an address", 0)
                      : as_http_send(p->http, &(as_http_call){.url = url.p, .head = true}, &r, err);
    as_buf_free(&url);
    if (s != AS_OK) return s;
    const bool moved = r.status >= 300 && r.status < 400;
    if (r.status != 200 && !moved) return refused(p, &r, f->name, err);
    const char *const etag = r.linked_etag[0] != '\0' ? r.linked_etag : r.etag;
    const int64_t size = r.linked_size >= 0 ? r.linked_size : moved ? -1 : r.length;
    if (!as_hub_etag_ok(as_str_of(etag)) || strlen(etag) >= sizeof f->etag || size < 0)
        return bad_answer(p, "no ETag or no length of a file", err);
    if (r.commit[0] != '\0' && strcmp(r.commit, p->commit.p) != 0)
        return bad_answer(p, "a file of another commit", err);
    memcpy(f->etag, etag, strlen(etag) + 1);
    f->size = (uint64_t)size;
    return AS_OK;
}

static as_status describe_all(pull *p, as_err *err) {
    uint64_t left = 0;
    p->files = as_calloc(p->names.count + 1, sizeof *p->files);
    if (p->files == NULL) return as_fail_nomem(err, "file names", p->names.count);
    for (size_t i = 0; i < p->names.count; i++) {
        entry *const f = &p->files[i];
        f->name = p->names.v[i];
        f->here = as_hub_cache_has(&p->cache, f->name, &f->size);
        if (!f->here) AS_TRY(describe(p, f, err));
        if (!as_add_u64(p->out->bytes, f->size, &p->out->bytes))
            return bad_answer(p, "lengths beyond all measure", err);
        if (f->here) continue;
        const uint64_t started = as_hub_cache_started(&p->cache, f->etag);
        p->total += f->size;
        left += f->size > started ? f->size - started : 0;
    }
    const uint64_t room = as_hub_cache_room(&p->cache);
    if (left <= room) return AS_OK;
    (void)as_fail(err, AS_IO, "%s: %.1f MB are to be fetched, and %.1f MB are free", p->cache.path,
                  (double)left / 1e6, (double)room / 1e6);
    as_hint(err, "Free space there, or name a cache on another file system in HF_HUB_CACHE.");
    return AS_IO;
}

/* ---- one file ---- */

typedef struct arrival {
    pull *p;
    const entry *f;
    as_hub_part *part;
    bool begun;
} arrival;

static as_status wrong_length(const entry *f, uint64_t got, bool more, as_err *err) {
    (void)as_fail(err, AS_FORMAT,
                  "%s: the server sends %s%" PRIu64 " bytes, and has promised %" PRIu64, f->name,
                  more ? "at least " : "", got, f->size);
    as_hint(err, "What came was thrown away. Try again; if it stays, the server or a proxy before "
                 "it is at fault.");
    return AS_FORMAT;
}

static void report(const arrival *a) {
    pull *const p = a->p;
    const double now = as_clock();
    if (p->o->progress == NULL || now - p->drawn < 0.1) return;
    p->drawn = now;
    p->o->progress(p->o->progress_ctx, a->f->name, p->done + a->part->have, p->total);
}

static as_status take_file(void *ctx, const as_http_reply *r, const char *bytes, size_t n,
                           as_err *err) {
    arrival *const a = ctx;
    if (!a->begun) {
        a->begun = true;
        /* Who ignores the range sends all of it. */
        if (r->status == 200 && a->part->have > 0) AS_TRY(as_hub_part_restart(a->part, err));
        if (r->status == 206 && r->range_from != (int64_t)a->part->have)
            return bad_answer(a->p, "another part of a file than was asked for", err);
    }
    if (n > a->f->size - a->part->have) return wrong_length(a->f, a->part->have + n, true, err);
    AS_TRY(as_hub_part_add(a->part, bytes, n, err));
    report(a);
    return AS_OK;
}

/* The bytes that are missing, in as many transfers as it takes. */
static as_status receive(pull *p, const entry *f, as_hub_part *part, const char *url, as_err *err) {
    int cuts = 0;
    while (part->have < f->size) {
        arrival a = {.p = p, .f = f, .part = part};
        as_http_reply r;
        const uint64_t before = part->have;
        AS_TRY(as_http_send(
            p->http, &(as_http_call){.url = url, .from = before, .take = take_file, .ctx = &a}, &r,
            err));
        if (r.status == 416)
            AS_TRY(as_hub_part_restart(part, err));
        else if (r.status != 200 && r.status != 206)
            return refused(p, &r, f->name, err);
        else if (part->have < f->size && !r.cut)
            return wrong_length(f, part->have, false, err);
        if (part->have == f->size) break;
        cuts = part->have > before ? 1 : cuts + 1;
        if (cuts > CUTS) {
            (void)as_fail(err, AS_IO, "%s: the transfer was cut %d times at byte %" PRIu64 ": %s",
                          f->name, cuts, part->have, r.why);
            as_hint(err, "The same command goes on from there.");
            return AS_IO;
        }
        const double first = p->o->retry_seconds > 0 ? p->o->retry_seconds : 1.0;
        AS_TRY(as_http_wait(p->o, first * (double)(1 << (cuts - 1)), err));
    }
    return AS_OK;
}

/* Receive and check; what was begun by an earlier pull and turns out bad is fetched anew, once. */
static as_status transfer(pull *p, const entry *f, as_hub_part *part, const char *url,
                          as_err *err) {
    for (bool resumed = part->have > 0;; resumed = false) {
        bool good = false, known = false;
        as_status s = receive(p, f, part, url, err);
        if (s == AS_FORMAT) as_hub_part_discard(part);
        if (s != AS_OK) return s;
        AS_TRY(as_hub_part_check(part, &good, &known, err));
        if (!known)
            as_log_line(p->o->log, AS_WARN,
                        "%s: the server gives no checksum; only the length was checked", f->name);
        if (good) return as_hub_part_commit(part, err);
        if (!resumed) break;
        AS_TRY(as_hub_part_restart(part, err));
    }
    as_hub_part_discard(part);
    (void)as_fail(err, AS_FORMAT,
                  "%s: its checksum is not %s, the one that the server has promised", f->name,
                  f->etag);
    as_hint(err, "What came was thrown away. Try again; if it stays, the server or a proxy before "
                 "it changes the bytes.");
    return AS_FORMAT;
}

static as_status fetch(pull *p, const entry *f, as_err *err) {
    as_hub_part part;
    as_buf url = {0};
    AS_TRY(as_hub_part_open(&part, &p->cache, f->etag, f->size, p->o, err));
    file_url(&url, p, f->name);
    const uint64_t had = part.have;
    const bool there = part.done;
    as_status s = url.failed ? as_fail_nomem(err, "an address", 0) : AS_OK;
    if (s == AS_OK && !there) s = transfer(p, f, &part, url.p, err);
    if (s == AS_OK && !there)
        p->out->fetched++, p->out->fetched_bytes += f->size - (had < f->size ? had : 0);
    as_hub_part_close(&part);
    as_buf_free(&url);
    if (s == AS_OK) s = as_hub_cache_point(&p->cache, f->name, f->etag, err);
    p->done += f->size;
    return s;
}

/* ---- offline ---- */

static as_status list_folder(pull *p, int at, as_buf *path, int depth, as_err *err) {
    DIR *const d = fdopendir(at); /* owns `at` */
    if (d == NULL) return close(at), as_fail_nomem(err, "a folder", 0);
    as_status s = AS_OK;
    const size_t before = path->n;
    for (const struct dirent *e; s == AS_OK && (e = readdir(d)) != NULL;) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 ||
            strncmp(e->d_name, ".assay-", 7) == 0)
            continue;
        path->n = before;
        as_buf_fmt(path, "%s%s", before > 0 ? "/" : "", e->d_name);
        uint64_t size;
        const int sub =
            openat(dirfd(d), e->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (sub >= 0 && depth < 32)
            s = list_folder(p, sub, path, depth + 1, err);
        else if (sub >= 0)
            close(sub);
        else if (!path->failed && as_hub_name_ok(as_buf_view(path)) &&
                 as_hub_cache_has(&p->cache, path->p, &size))
            s = as_hub_names_add(&p->names, as_buf_view(path), err);
    }
    path->n = before;
    if (path->p != NULL) path->p[before] = '\0';
    closedir(d);
    return path->failed ? as_fail_nomem(err, "a path", 0) : s;
}

/* The cache's snapshot stands for the server's listing. */
static as_status list_offline(pull *p, as_err *err) {
    as_buf path = {0}, repo = {0};
    as_buf_fmt(&repo, "%s/", p->env.cache);
    as_hub_folder(&repo, p->o->kind, as_str_of(p->id));
    const bool found = !repo.failed && as_hub_commit(&p->commit, repo.p, as_str_of(p->revision));
    as_buf_free(&repo);
    if (!found) {
        (void)as_fail(
            err, AS_IO,
            "%s: revision \"%s\" is not in the cache, and HF_HUB_OFFLINE forbids the network",
            p->id, p->revision);
        as_hint(err, "Unset HF_HUB_OFFLINE (and TRANSFORMERS_OFFLINE) to fetch it; HF_HUB_CACHE or "
                     "HF_HOME name another cache.");
        return AS_IO;
    }
    p->out->offline = true;
    AS_TRY(as_hub_cache_open(&p->cache, &p->env, p->o->kind, as_str_of(p->id), err));
    AS_TRY(as_hub_cache_commit(&p->cache, p->commit.p, err));
    const int at = openat(p->cache.snapshot, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const as_status s = at >= 0 ? list_folder(p, at, &path, 0, err)
                                : as_fail(err, AS_IO, "%s: cannot be read", p->cache.path);
    as_buf_free(&path);
    return s;
}

/* ---- pull ---- */

static as_status parse_spec(pull *p, const char *spec, as_err *err) {
    as_str id, rev;
    as_hub_split(as_str_of(spec), &id, &rev);
    if (!as_hub_id_ok(id)) {
        (void)as_fail(err, AS_USAGE, "\"%.128s\" is no id of the Hub", spec);
        as_hint(err, "An id is ORG/NAME, of letters, digits, '-', '_' and '.'; ORG/NAME@REVISION "
                     "for another revision than main.");
        return AS_USAGE;
    }
    const bool has_rev = id.n < strlen(spec);
    if (has_rev && p->o->revision != NULL)
        return as_fail(err, AS_USAGE, "a revision in the id and --revision at once");
    const as_str wanted =
        has_rev ? rev : as_str_of(p->o->revision != NULL ? p->o->revision : "main");
    if (!as_hub_name_ok(wanted)) {
        (void)as_fail(err, AS_USAGE, "\"%.128s\": no name of a revision",
                      has_rev ? spec : p->o->revision);
        as_hint(err, "A revision is a branch, a tag or a whole commit.");
        return AS_USAGE;
    }
    p->id = as_strndup(id.p, id.n), p->revision = as_strndup(wanted.p, wanted.n);
    return p->id != NULL && p->revision != NULL ? AS_OK : as_fail_nomem(err, "an id", 0);
}

static void warn_weights(const pull *p) {
    if (p->o->kind != AS_HUB_MODEL || p->o->pattern_count > 0) return;
    for (size_t i = 0; i < p->names.count; i++) {
        const char *const dot = strrchr(p->names.v[i], '.');
        if (dot != NULL && (strcmp(dot, ".safetensors") == 0 || strcmp(dot, ".bin") == 0)) return;
    }
    as_log_line(p->o->log, AS_WARN,
                "%s holds no weights that assay reads (model.safetensors, pytorch_model.bin)",
                p->id);
}

static as_status fetch_all(pull *p, as_err *err) {
    AS_TRY(as_http_open(&p->http, &p->env, p->o, err));
    AS_TRY(list_files(p, err));
    AS_TRY(as_hub_select(&p->names, p->o, p->id, err));
    /* Not before: a misspelt id leaves no folder behind. */
    AS_TRY(as_hub_cache_open(&p->cache, &p->env, p->o->kind, as_str_of(p->id), err));
    AS_TRY(as_hub_cache_commit(&p->cache, p->commit.p, err));
    AS_TRY(describe_all(p, err));
    for (size_t i = 0; i < p->names.count; i++)
        if (!p->files[i].here) AS_TRY(fetch(p, &p->files[i], err));
    if (strcmp(p->revision, p->commit.p) == 0) return AS_OK;
    return as_hub_cache_ref(&p->cache, p->revision, p->commit.p, err);
}

static as_status count_offline(pull *p, as_err *err) {
    AS_TRY(list_offline(p, err));
    AS_TRY(as_hub_select(&p->names, p->o, p->id, err));
    for (size_t i = 0; i < p->names.count; i++) {
        uint64_t size;
        if (as_hub_cache_has(&p->cache, p->names.v[i], &size)) p->out->bytes += size;
    }
    return AS_OK;
}

static as_status finish(pull *p, as_err *err) {
    as_hub_pulled *const out = p->out;
    as_buf dir = {0};
    as_buf_fmt(&dir, "%s/snapshots/%s", p->cache.path, p->commit.p);
    out->dir = dir.failed ? NULL : as_strdup(dir.p);
    as_buf_free(&dir);
    out->id = p->id, out->revision = p->revision, out->commit = as_strdup(p->commit.p);
    p->id = p->revision = NULL;
    out->files = (int64_t)p->names.count;
    return out->dir != NULL && out->commit != NULL ? AS_OK : as_fail_nomem(err, "a path", 0);
}

as_status as_hub_pull(as_hub_pulled *out, const char *spec, const as_hub_opts *opts, as_err *err) {
    *out = (as_hub_pulled){0};
    pull p = {
        .o = opts, .out = out, .cache = {.repo = -1, .blobs = -1, .locks = -1, .snapshot = -1}};
    as_status s = parse_spec(&p, spec, err);
    if (s == AS_OK) s = as_hub_env_read(&p.env, err);
    if (s == AS_OK) s = p.env.offline ? count_offline(&p, err) : fetch_all(&p, err);
    if (s == AS_OK) warn_weights(&p);
    if (s == AS_OK) s = finish(&p, err);
    as_http_free(p.http);
    as_hub_cache_close(&p.cache);
    as_hub_env_deinit(&p.env);
    as_hub_names_free(&p.names);
    as_buf_free(&p.commit);
    as_free(p.files), as_free(p.id), as_free(p.revision);
    if (s != AS_OK) as_hub_pulled_free(out);
    return s;
}

void as_hub_pulled_free(as_hub_pulled *p) {
    as_free(p->dir), as_free(p->id), as_free(p->revision), as_free(p->commit);
    *p = (as_hub_pulled){0};
}
