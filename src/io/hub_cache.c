/* hub_cache.c: writing the cache. Three things keep a download inside its folder, whatever a server
 * says or somebody has put there: names are checked (as_hub_name_ok), every folder below the root
 * is entered by its descriptor and never through a symbolic link, and files come to their names by
 * rename, which replaces a link and does not follow it. */
#include "base/file.h"
#include "base/mem.h"
#include "io/hub_impl.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

static as_status fail_at(as_err *err, const char *path, const char *in, const char *name,
                         const char *what, int code) {
    (void)as_fail(err, AS_IO, "%s%s/%s: %s: %s", path, in, name, what, strerror(code));
    if (code == ENOSPC || code == EDQUOT || code == EFBIG)
        as_hint(err,
                "Free space there, or name a cache on another file system in HF_HUB_CACHE; the "
                "same command goes on where it stopped.");
    else
        as_hint(err, "Check who may write there; HF_HUB_CACHE names another folder for the cache.");
    return AS_IO;
}

/* ---- folders ---- */

/* The folder `name` in `at` (path, in words), made when it is missing; -1 with err. */
static int enter(const char *path, int at, const char *name, as_err *err) {
    if (mkdirat(at, name, 0777) != 0 && errno != EEXIST) {
        (void)fail_at(err, path, "", name, "cannot make this folder", errno);
        return -1;
    }
    const int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd >= 0) return fd;
    const int code = errno;
    struct stat st;
    if (fstatat(at, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(st.st_mode)) {
        (void)as_fail(err, AS_IO, "%s: %s: a symbolic link, where the cache has a folder", path,
                      name);
        as_hint(err, "Nothing is written through it. Remove the link, or give the folder that it "
                     "leads to as HF_HUB_CACHE.");
    } else {
        (void)fail_at(err, path, "", name, "cannot be entered", code);
    }
    return -1;
}

/* The folder that holds the last component of `name`, below `at`; *last is that component. -1: err
 * says why, or without `make` it is not there. */
static int walk(const as_hub_cache *c, int at, const char *name, bool make, const char **last,
                as_err *err) {
    int fd = fcntl(at, F_DUPFD_CLOEXEC, 0);
    if (fd < 0) (void)fail_at(err, c->path, "", name, "cannot be entered", errno);
    while (fd >= 0) {
        const char *const slash = strchr(name, '/');
        *last = name;
        if (slash == NULL) break;
        char part[NAME_MAX + 1];
        const size_t n = (size_t)(slash - name);
        AS_ASSERT(n < sizeof part); /* as_hub_name_ok */
        memcpy(part, name, n);
        part[n] = '\0';
        const int next = make ? enter(c->path, fd, part, err)
                              : openat(fd, part, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        close(fd);
        fd = next;
        name = slash + 1;
    }
    return fd;
}

static as_status tag_root(const char *root, as_err *err) {
    static const char tag[] =
        "Signature: 8a477f597d28d172789f06886806bc55\n# A folder of files that "
        "can be fetched again: backup tools may leave it out.\n";
    char *const path = as_path_join(root, "CACHEDIR.TAG");
    if (path == NULL) return as_fail_nomem(err, "a path", 0);
    const int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
    if (fd >= 0) { /* a courtesy to other programs: not worth a failure */
        const ssize_t ignored = write(fd, tag, sizeof tag - 1);
        (void)ignored;
        close(fd);
    }
    as_free(path);
    return AS_OK;
}

static as_status open_folders(as_hub_cache *c, const char *root, const char *folder, as_err *err) {
    AS_TRY(as_dir_make(root, err));
    AS_TRY(tag_root(root, err));
    const int top = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (top < 0) return as_fail(err, AS_IO, "%s: cannot be entered: %s", root, strerror(errno));
    const int all_locks = enter(root, top, ".locks", err);
    if (all_locks >= 0) c->locks = enter(root, all_locks, folder, err);
    if (c->locks >= 0) c->repo = enter(root, top, folder, err);
    if (c->repo >= 0) c->blobs = enter(c->path, c->repo, "blobs", err);
    if (all_locks >= 0) close(all_locks);
    close(top);
    return c->blobs >= 0 ? AS_OK : AS_IO;
}

as_status as_hub_cache_open(as_hub_cache *c, const as_hub_env *e, as_hub_kind kind, as_str id,
                            as_err *err) {
    *c = (as_hub_cache){
        .repo = -1, .blobs = -1, .locks = -1, .snapshot = -1, .no_links = e->no_links};
    as_buf folder = {0};
    as_hub_folder(&folder, kind, id);
    c->path = folder.failed ? NULL : as_path_join(e->cache, folder.p);
    as_status s = c->path != NULL ? open_folders(c, e->cache, folder.p, err)
                                  : as_fail_nomem(err, "a path", 0);
    as_buf_free(&folder);
    if (s != AS_OK) as_hub_cache_close(c);
    return s;
}

as_status as_hub_cache_commit(as_hub_cache *c, const char *commit, as_err *err) {
    const int all = enter(c->path, c->repo, "snapshots", err);
    if (all < 0) return AS_IO;
    c->snapshot = enter(c->path, all, commit, err);
    close(all);
    return c->snapshot >= 0 ? AS_OK : AS_IO;
}

void as_hub_cache_close(as_hub_cache *c) {
    int *const fds[] = {&c->repo, &c->blobs, &c->locks, &c->snapshot};
    for (size_t i = 0; i < AS_COUNT(fds); i++) {
        if (*fds[i] >= 0) close(*fds[i]);
        *fds[i] = -1;
    }
    as_free(c->path);
    c->path = NULL;
}

uint64_t as_hub_cache_room(const as_hub_cache *c) {
    struct statvfs v;
    if (fstatvfs(c->blobs, &v) != 0 || v.f_blocks == 0) return UINT64_MAX; /* some do not say */
    uint64_t bytes;
    return as_mul_u64(v.f_bavail, v.f_frsize, &bytes) ? bytes : UINT64_MAX;
}

/* ---- snapshots and refs ---- */

/* Of a plain file, its size; false for links, folders and what is not there. */
static bool plain_file(int at, const char *name, uint64_t *size) {
    struct stat st;
    if (fstatat(at, name, &st, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(st.st_mode)) return false;
    *size = (uint64_t)st.st_size;
    return true;
}

/* "../../" and one more ".." for each folder of the name, then "blobs/". */
static void link_prefix(as_buf *out, const char *name) {
    as_buf_str(out, "../../");
    for (; *name != '\0'; name++)
        if (*name == '/') as_buf_str(out, "../");
    as_buf_str(out, "blobs/");
}

bool as_hub_cache_has(const as_hub_cache *c, const char *name, uint64_t *size) {
    const char *last = "";
    const int at = walk(c, c->snapshot, name, false, &last, NULL);
    if (at < 0) return false;
    bool has = plain_file(at, last, size);
    char target[PATH_MAX];
    const ssize_t n = has ? -1 : readlinkat(at, last, target, sizeof target - 1);
    if (n > 0) {
        as_buf prefix = {0};
        target[n] = '\0';
        link_prefix(&prefix, name);
        const char *const blob = target + prefix.n;
        has = !prefix.failed && (size_t)n > prefix.n && memcmp(target, prefix.p, prefix.n) == 0 &&
              as_hub_etag_ok(as_str_of(blob)) && plain_file(c->blobs, blob, size);
        as_buf_free(&prefix);
    }
    close(at);
    return has;
}

/* A name in `at` that nobody has, for what a rename then moves into place. */
typedef struct temporary {
    char name[64];
    int tries;
} temporary;
static const char *next_name(temporary *t) {
    snprintf(t->name, sizeof t->name, ".assay-%ld-%d", (long)getpid(), t->tries++);
    return t->name;
}
enum { NAME_TRIES = 1000 };

static int create(int at, temporary *t) {
    int fd;
    do
        fd = openat(at, next_name(t), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    while (fd < 0 && errno == EEXIST && t->tries < NAME_TRIES);
    return fd;
}

static int copy_bytes(int to, int from) {
    char chunk[1 << 16];
    for (;;) {
        const ssize_t n = read(from, chunk, sizeof chunk);
        if (n == 0) return fsync(to) == 0 ? 0 : errno;
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return errno;
        for (ssize_t done = 0; done < n;) {
            const ssize_t put = write(to, chunk + done, (size_t)(n - done));
            if (put < 0 && errno != EINTR) return errno;
            if (put > 0) done += put;
        }
    }
}

static int make_copy(const as_hub_cache *c, int at, const char *etag, temporary *t) {
    const int from = openat(c->blobs, etag, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (from < 0) return errno;
    const int to = create(at, t);
    int code = to < 0 ? errno : copy_bytes(to, from);
    if (to >= 0 && close(to) != 0 && code == 0) code = errno;
    if (to >= 0 && code != 0) unlinkat(at, t->name, 0);
    close(from);
    return code;
}

static int make_link(const as_hub_cache *c, int at, const char *name, const char *etag,
                     temporary *t) {
    as_buf target = {0};
    if (c->no_links) return EPERM;
    link_prefix(&target, name);
    as_buf_str(&target, etag);
    int code = target.failed ? ENOMEM : EEXIST;
    while (code == EEXIST && t->tries < NAME_TRIES)
        code = symlinkat(target.p, at, next_name(t)) == 0 ? 0 : errno;
    as_buf_free(&target);
    return code;
}

as_status as_hub_cache_point(const as_hub_cache *c, const char *name, const char *etag,
                             as_err *err) {
    const char *last = "";
    const int at = walk(c, c->snapshot, name, true, &last, err);
    if (at < 0) return AS_IO;
    temporary t = {.tries = 0};
    int code = make_link(c, at, name, etag, &t);
    if (code == EPERM || code == ENOTSUP || code == EOPNOTSUPP || code == ENOSYS)
        code = make_copy(c, at, etag, &t);
    if (code == 0 && renameat(at, t.name, at, last) != 0) {
        code = errno;
        unlinkat(at, t.name, 0);
    }
    close(at);
    return code == 0 ? AS_OK : fail_at(err, c->path, "/snapshots", name, "cannot be written", code);
}

as_status as_hub_cache_ref(const as_hub_cache *c, const char *revision, const char *commit,
                           as_err *err) {
    const char *last = "";
    const int refs = enter(c->path, c->repo, "refs", err);
    const int at = refs < 0 ? -1 : walk(c, refs, revision, true, &last, err);
    if (refs >= 0) close(refs);
    if (at < 0) return AS_IO;
    temporary t = {.tries = 0};
    const int fd = create(at, &t);
    const size_t n = strlen(commit);
    int code = fd < 0 ? errno : 0;
    if (fd >= 0) {
        const ssize_t put = write(fd, commit, n);
        if (put != (ssize_t)n) code = put < 0 ? errno : ENOSPC;
        if (close(fd) != 0 && code == 0) code = errno;
        if (code == 0 && renameat(at, t.name, at, last) != 0) code = errno;
        if (code != 0) unlinkat(at, t.name, 0);
    }
    close(at);
    return code == 0 ? AS_OK : fail_at(err, c->path, "/refs", revision, "cannot be written", code);
}

/* ---- a blob on its way ---- */

static void part_name(char *out, size_t size, const char *etag) {
    snprintf(out, size, "%s.incomplete", etag);
}

uint64_t as_hub_cache_started(const as_hub_cache *c, const char *etag) {
    char name[192];
    uint64_t size;
    part_name(name, sizeof name, etag);
    if (plain_file(c->blobs, etag, &size) || plain_file(c->blobs, name, &size)) return size;
    return 0;
}

static as_status take_lock(as_hub_part *p, const as_hub_opts *o, as_err *err) {
    char name[192];
    snprintf(name, sizeof name, "%s.lock", p->etag);
    p->lock = openat(p->cache->locks, name, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0666);
    if (p->lock < 0)
        return fail_at(err, p->cache->path, ": .locks", name, "cannot be opened", errno);
    for (int tries = 0; flock(p->lock, LOCK_EX | LOCK_NB) != 0; tries++) {
        if (errno != EWOULDBLOCK && errno != EINTR)
            return fail_at(err, p->cache->path, ": .locks", name, "cannot be locked", errno);
        if (tries == 10)
            as_log_line(o->log, AS_INFO, "waiting for another process that fetches the same file");
        AS_TRY(as_http_wait(o, 0.1, err));
    }
    return AS_OK;
}

/* What stands in the place of a blob but is none (a link, a cut file) is removed, not followed. */
static as_status open_part(as_hub_part *p, uint64_t size, as_err *err) {
    const as_hub_cache *const c = p->cache;
    char name[192];
    uint64_t there = 0;
    struct stat st;
    if (plain_file(c->blobs, p->etag, &there) && there == size) {
        p->done = true;
        return AS_OK;
    }
    if (unlinkat(c->blobs, p->etag, 0) != 0 && errno != ENOENT)
        return fail_at(err, c->path, "/blobs", p->etag, "cannot be replaced", errno);
    part_name(name, sizeof name, p->etag);
    if (!plain_file(c->blobs, name, &there) && unlinkat(c->blobs, name, 0) != 0 && errno != ENOENT)
        return fail_at(err, c->path, "/blobs", name, "cannot be replaced", errno);
    p->fd = openat(c->blobs, name, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0666);
    if (p->fd < 0 || fstat(p->fd, &st) != 0)
        return fail_at(err, c->path, "/blobs", name, "cannot be written", errno);
    if (!S_ISREG(st.st_mode) || st.st_nlink != 1)
        return fail_at(err, c->path, "/blobs", name, "is no file of its own", EMLINK);
    p->have = (uint64_t)st.st_size;
    if (p->have > size) return as_hub_part_restart(p, err);
    if (lseek(p->fd, 0, SEEK_END) < 0)
        return fail_at(err, c->path, "/blobs", name, "cannot be written", errno);
    return AS_OK;
}

as_status as_hub_part_open(as_hub_part *p, const as_hub_cache *c, const char *etag, uint64_t size,
                           const as_hub_opts *o, as_err *err) {
    *p = (as_hub_part){.cache = c, .etag = etag, .lock = -1, .fd = -1};
    as_status s = take_lock(p, o, err);
    if (s == AS_OK) s = open_part(p, size, err);
    if (s != AS_OK) as_hub_part_close(p);
    return s;
}

as_status as_hub_part_add(as_hub_part *p, const char *bytes, size_t n, as_err *err) {
    while (n > 0) {
        const ssize_t put = write(p->fd, bytes, n);
        if (put < 0 && errno == EINTR) continue;
        if (put < 0)
            return fail_at(err, p->cache->path, "/blobs", p->etag, "cannot be written", errno);
        bytes += put, n -= (size_t)put, p->have += (uint64_t)put;
    }
    return AS_OK;
}

as_status as_hub_part_restart(as_hub_part *p, as_err *err) {
    p->have = 0;
    if (ftruncate(p->fd, 0) == 0 && lseek(p->fd, 0, SEEK_SET) == 0) return AS_OK;
    return fail_at(err, p->cache->path, "/blobs", p->etag, "cannot be written", errno);
}

/* Git names a file by the SHA-1 of "blob SIZE", a NUL and its bytes. */
static int begin_digest(EVP_MD_CTX *ctx, bool git, uint64_t size) {
    char head[32];
    if (!git) return EVP_DigestInit_ex(ctx, EVP_sha256(), NULL);
    const int n = snprintf(head, sizeof head, "blob %llu", (unsigned long long)size);
    return EVP_DigestInit_ex(ctx, EVP_sha1(), NULL) && EVP_DigestUpdate(ctx, head, (size_t)n + 1);
}

static as_status digest(as_hub_part *p, EVP_MD_CTX *ctx, unsigned char *chunk, size_t size,
                        bool git, char hex[129], as_err *err) {
    if (ctx == NULL || chunk == NULL || !begin_digest(ctx, git, p->have))
        return as_fail_nomem(err, "a checksum", size);
    for (uint64_t at = 0; at < p->have;) {
        const ssize_t n = pread(p->fd, chunk, size, (off_t)at);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0)
            return fail_at(err, p->cache->path, "/blobs", p->etag, "cannot be read",
                           n < 0 ? errno : EIO);
        if (!EVP_DigestUpdate(ctx, chunk, (size_t)n)) return as_fail_nomem(err, "a checksum", 0);
        at += (uint64_t)n;
    }
    unsigned char bytes[EVP_MAX_MD_SIZE];
    unsigned count = 0;
    if (!EVP_DigestFinal_ex(ctx, bytes, &count)) return as_fail_nomem(err, "a checksum", 0);
    for (unsigned i = 0; i < count; i++)
        snprintf(hex + 2 * i, 3, "%02x", bytes[i]);
    return AS_OK;
}

as_status as_hub_part_check(as_hub_part *p, bool *good, bool *known, as_err *err) {
    enum { CHUNK = 1 << 20 };
    const size_t n = strlen(p->etag);
    *known = (n == 64 || n == 40) && strspn(p->etag, "0123456789abcdef") == n;
    *good = true;
    if (!*known) return AS_OK;
    char hex[2 * EVP_MAX_MD_SIZE + 1] = "";
    EVP_MD_CTX *const ctx = EVP_MD_CTX_new();
    unsigned char *const chunk = as_alloc(CHUNK, 1);
    const as_status s = digest(p, ctx, chunk, CHUNK, n == 40, hex, err);
    EVP_MD_CTX_free(ctx);
    as_free(chunk);
    *good = s == AS_OK && strcmp(hex, p->etag) == 0;
    return s;
}

as_status as_hub_part_commit(as_hub_part *p, as_err *err) {
    char name[192];
    part_name(name, sizeof name, p->etag);
    const int blobs = p->cache->blobs;
    if (fsync(p->fd) != 0 || renameat(blobs, name, blobs, p->etag) != 0)
        return fail_at(err, p->cache->path, "/blobs", p->etag, "cannot be written", errno);
    (void)fsync(blobs); /* some file systems do not allow it, which is no failure */
    p->done = true;
    return AS_OK;
}

void as_hub_part_discard(as_hub_part *p) {
    char name[192];
    part_name(name, sizeof name, p->etag);
    if (p->fd >= 0) unlinkat(p->cache->blobs, name, 0);
}

void as_hub_part_close(as_hub_part *p) {
    if (p->fd >= 0) close(p->fd);
    if (p->lock >= 0) close(p->lock); /* which releases it */
    p->fd = p->lock = -1;
}
