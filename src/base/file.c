#include "base/file.h"
#include "base/mem.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { BUFFER_BYTES = 1 << 20 };

static as_status fail_errno(as_err *err, const char *path, const char *what, int code) {
    as_fail(err, ASSAY_IO, "%s: %s: %s", path, what, strerror(code));
    if (code == ENOSPC || code == EDQUOT || code == EFBIG)
        as_hint(err, "Free space on that file system or raise its limit; the file that was there "
                     "before is unchanged.");
    else if (code == EACCES || code == EPERM)
        as_hint(err, "Check who may read and write the file and its folder.");
    else if (code == ENOENT)
        as_hint(err, "Check the path's spelling.");
    return ASSAY_IO;
}

/* ---- reading ---- */

as_status as_map_open(as_map *out, const char *path, as_err *err) {
    *out = (as_map){(const unsigned char *)"", 0};
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return fail_errno(err, path, "cannot be opened", errno);
    struct stat st;
    as_status s = ASSAY_OK;
    if (fstat(fd, &st) != 0) {
        s = fail_errno(err, path, "cannot be read", errno);
    } else if (!S_ISREG(st.st_mode)) {
        s = as_fail(err, ASSAY_IO, "%s: is %s, not a regular file", path,
                    S_ISDIR(st.st_mode) ? "a folder" : "a device or pipe");
    } else if (st.st_size > 0) {
        void *const p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (p == MAP_FAILED && errno == ENOMEM)
            s = as_fail_nomem(err, path, (size_t)st.st_size);
        else if (p == MAP_FAILED)
            s = fail_errno(err, path, "cannot be mapped", errno);
        else
            *out = (as_map){p, (size_t)st.st_size};
    }
    close(fd);
    return s;
}

void as_map_close(as_map *m) {
    if (m->n > 0) munmap((void *)(uintptr_t)m->p, m->n);
    *m = (as_map){(const unsigned char *)"", 0};
}

static as_status read_fd(as_buf *out, int fd, const char *path, uint64_t limit, as_err *err) {
    const size_t before = out->n;
    for (;;) {
        const size_t chunk = 64 << 10;
        if (out->cap < out->n + 2 && !as_grow(&out->p, &out->cap, out->n + chunk, 1))
            return as_fail_nomem(err, path, out->n + chunk);
        const ssize_t got = read(fd, out->p + out->n, out->cap - out->n - 1);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return fail_errno(err, path, "cannot be read", errno);
        out->n += (size_t)got;
        out->p[out->n] = '\0';
        if (limit > 0 && out->n - before > limit)
            return as_fail(err, ASSAY_FORMAT,
                           "%s: is larger than the %" PRIu64 " bytes allowed for such a file", path,
                           limit);
        if (got == 0) return ASSAY_OK;
    }
}

as_status as_file_read(as_buf *out, const char *path, uint64_t limit, as_err *err) {
    if (strcmp(path, "-") == 0) return read_fd(out, STDIN_FILENO, "standard input", limit, err);
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return fail_errno(err, path, "cannot be opened", errno);
    struct stat st;
    /* One allocation for a file of known size; the size is a hint, what read returns counts. */
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0 &&
        (limit == 0 || (uint64_t)st.st_size <= limit) &&
        !as_grow(&out->p, &out->cap, out->n + (size_t)st.st_size + 2, 1)) {
        close(fd);
        return as_fail_nomem(err, path, (size_t)st.st_size);
    }
    const as_status s = read_fd(out, fd, path, limit, err);
    close(fd);
    return s;
}

bool as_file_exists(const char *path) {
    struct stat st;
    return stat(path, &st) == 0 && !S_ISDIR(st.st_mode);
}

bool as_dir_exists(const char *path) {
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

as_status as_dir_make(const char *path, as_err *err) {
    char *const copy = as_strdup(path);
    if (copy == NULL) return as_fail_nomem(err, "a path", strlen(path) + 1);
    as_status s = ASSAY_OK;
    for (char *p = copy;; p++) {
        if (*p != '/' && *p != '\0') continue;
        const bool last = *p == '\0';
        *p = '\0';
        if (copy[0] != '\0' && mkdir(copy, 0777) != 0 && !as_dir_exists(copy)) {
            s = fail_errno(err, copy, "cannot make this folder", errno == EEXIST ? ENOTDIR : errno);
            break;
        }
        if (last) break;
        *p = '/';
    }
    as_free(copy);
    return s;
}

char *as_path_join(const char *dir, const char *name) {
    const size_t n = strlen(dir), m = strlen(name);
    const bool slash = n > 0 && dir[n - 1] != '/';
    char *const out = as_alloc(n + slash + m + 1, 1);
    if (out == NULL) return NULL;
    memcpy(out, dir, n);
    if (slash) out[n] = '/';
    memcpy(out + n + slash, name, m + 1);
    return out;
}

const char *as_path_base(const char *path) {
    const char *const slash = strrchr(path, '/');
    return slash != NULL ? slash + 1 : path;
}

/* ---- writing ---- */

/* write(2) to the end; 0 or errno. A file-size limit raises SIGXFSZ, which by default ends the
 * process: it is held back and taken here, so that the caller sees EFBIG. */
static int write_all(int fd, const char *p, size_t n) {
    sigset_t xfsz, before;
    sigemptyset(&xfsz);
    sigaddset(&xfsz, SIGXFSZ);
    if (pthread_sigmask(SIG_BLOCK, &xfsz, &before) != 0) return errno;
    int error = 0;
    while (n > 0 && error == 0) {
        const ssize_t put = write(fd, p, n);
        if (put < 0) {
            if (errno != EINTR) error = errno;
        } else {
            p += put;
            n -= (size_t)put;
        }
    }
    if (error == EFBIG && sigismember(&before, SIGXFSZ) == 0) {
        const struct timespec now = {0, 0};
        (void)sigtimedwait(&xfsz, NULL, &now);
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return error;
}

static void release(as_writer *w) {
    if (w->fd >= 0) close(w->fd);
    as_free(w->path);
    as_free(w->tmp);
    as_free(w->buf);
    *w = (as_writer){.fd = -1};
}

/* Where the bytes go: through a symbolic link to its target, so that the link survives. NULL
 * without memory. */
static char *final_path(const char *path, bool *direct, bool *folder) {
    struct stat st;
    *direct = *folder = false;
    if (stat(path, &st) == 0) {
        *folder = S_ISDIR(st.st_mode);
        *direct = !S_ISREG(st.st_mode); /* a pipe or terminal cannot be replaced by a rename */
        char resolved[PATH_MAX];
        if (S_ISREG(st.st_mode) && realpath(path, resolved) != NULL) return as_strdup(resolved);
    }
    return as_strdup(path);
}

as_status as_writer_open(as_writer *w, const char *path, as_err *err) {
    bool direct, folder;
    *w = (as_writer){.fd = -1};
    w->path = final_path(path, &direct, &folder);
    w->buf = as_alloc(BUFFER_BYTES, 1);
    const size_t tmp_bytes = w->path != NULL ? strlen(w->path) + 32 : 0;
    if (w->path != NULL && !direct) w->tmp = as_alloc(tmp_bytes, 1);
    as_status s = ASSAY_OK;
    if (w->path == NULL || w->buf == NULL || (!direct && w->tmp == NULL)) {
        s = as_fail_nomem(err, "writing a file", BUFFER_BYTES);
    } else if (folder) {
        s = fail_errno(err, path, "cannot be written", EISDIR);
    } else {
        if (!direct) snprintf(w->tmp, tmp_bytes, "%s.tmp-%ld", w->path, (long)getpid());
        const int flags = O_WRONLY | O_CLOEXEC | (direct ? 0 : O_CREAT | O_TRUNC);
        w->fd = open(direct ? w->path : w->tmp, flags, 0666);
        if (w->fd < 0) s = fail_errno(err, path, "cannot be written", errno);
    }
    if (s != ASSAY_OK) release(w);
    return s;
}

static void flush(as_writer *w) {
    if (!w->failed && w->used > 0) {
        w->error = write_all(w->fd, w->buf, w->used);
        w->failed = w->error != 0;
    }
    w->used = 0;
}

void as_writer_add(as_writer *w, const void *p, size_t n) {
    w->total += n;
    if (w->failed || n == 0) return;
    if (n > BUFFER_BYTES - w->used) flush(w);
    if (w->failed) return;
    if (n >= BUFFER_BYTES) { /* large pieces go past the buffer */
        w->error = write_all(w->fd, p, n);
        w->failed = w->error != 0;
        return;
    }
    memcpy(w->buf + w->used, p, n);
    w->used += n;
}

/* The rename itself becomes durable with the folder; some file systems do not allow it, which is no
 * failure. */
static void sync_folder(const char *path) {
    char folder[PATH_MAX];
    const char *const base = as_path_base(path);
    const size_t n = (size_t)(base - path);
    if (n >= sizeof folder) return;
    memcpy(folder, path, n);
    folder[n] = '\0';
    const int fd = open(n > 0 ? folder : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return;
    (void)fsync(fd);
    close(fd);
}

as_status as_writer_commit(as_writer *w, as_err *err) {
    flush(w);
    int error = w->error;
    if (error == 0 && w->tmp != NULL && fsync(w->fd) != 0) error = errno;
    if (close(w->fd) != 0 && error == 0) error = errno;
    w->fd = -1;
    if (error == 0 && w->tmp != NULL && rename(w->tmp, w->path) != 0) error = errno;
    as_status s = ASSAY_OK;
    if (error != 0) {
        s = fail_errno(err, w->path, "cannot be written", error);
        if (w->tmp != NULL) unlink(w->tmp);
    } else if (w->tmp != NULL) {
        sync_folder(w->path);
    }
    release(w);
    return s;
}

void as_writer_abort(as_writer *w) {
    if (w->path == NULL) return;
    if (w->tmp != NULL) unlink(w->tmp);
    release(w);
}

as_status as_file_write(const char *path, const void *p, size_t n, as_err *err) {
    as_writer w;
    AS_TRY(as_writer_open(&w, path, err));
    as_writer_add(&w, p, n);
    return as_writer_commit(&w, err);
}

void as_dir_remove(const char *path) {
    DIR *d = opendir(path);
    if (!d) return;
    for (const struct dirent *e; (e = readdir(d));) {
        char *name = as_path_join(path, e->d_name);
        if (name) (void)unlink(name);
        as_free(name);
    }
    closedir(d);
    (void)rmdir(path);
}
