/* hub_server.c: one thread accepts, one thread answers each connection, which carries one request. */
#include "hub_server.h"
#include <arpa/inet.h>
#include <inttypes.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { REPOS = 16, FILES = 64, FAULTS = 32, LOG = 1 << 22, HEAD = 16384 };

typedef struct file {
    char *path;
    unsigned char *body;
    size_t n;
    bool lfs;
    char etag[65];
} file;
typedef struct repo {
    char *kind, *id, *commit;
    file file[FILES];
    int files;
} repo;
typedef struct fault {
    const char *match, *text;
    hub_fault kind;
    int64_t arg;
    int times;
} fault;
struct hub_server {
    int fd, port, cdn, active;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t idle;
    repo repo[REPOS];
    int repos;
    fault fault[FAULTS];
    int faults;
    char *log; /* heads, each ended by a NUL */
    size_t logged;
};

/* ---- answers ---- */

typedef struct request {
    hub_server *s;
    int fd;
    char head[HEAD];
    char method[16], target[4096];
    int64_t from; /* of a range, or -1 */
    fault f;      /* times 0: none */
} request;

static bool has_fault(const request *r, hub_fault kind) {
    return r->f.times != 0 && r->f.kind == kind;
}

static bool put(int fd, const void *p, size_t n) {
    for (const char *at = p; n > 0;) {
        const ssize_t k = send(fd, at, n, MSG_NOSIGNAL);
        if (k <= 0) return false;
        at += k, n -= (size_t)k;
    }
    return true;
}

static void pause_ms(int64_t ms) {
    const struct timespec t = {ms / 1000, ms % 1000 * 1000000};
    nanosleep(&t, NULL);
}

/* n bytes are announced; a fault may send fewer. */
static void answer(const request *r, int status, const char *headers, const void *body, size_t n) {
    char head[HEAD];
    size_t sent = n;
    const char *const more = has_fault(r, HUB_HEADER) ? r->f.text : "";
    if (has_fault(r, HUB_CUT) && (size_t)r->f.arg < n) sent = (size_t)r->f.arg;
    const int k = snprintf(head, sizeof head, "HTTP/1.1 %d Said\r\nConnection: close\r\nContent-Length: %zu\r\n%s%s\r\n", status, n,
                           headers, more);
    if (!put(r->fd, head, (size_t)k) || strcmp(r->method, "HEAD") == 0) return;
    for (size_t at = 0; at < sent;) {
        const size_t step = sent - at < 16384 ? sent - at : 16384;
        if (has_fault(r, HUB_SLOW)) pause_ms(r->f.arg);
        if (!put(r->fd, (const char *)body + at, step)) return;
        at += step;
    }
}

static void answer_file(const request *r, const file *f, const char *headers) {
    int64_t n = (int64_t)f->n, from = r->from;
    if (has_fault(r, HUB_SHORT)) n -= r->f.arg;
    if (has_fault(r, HUB_LONG)) n += r->f.arg;
    if (has_fault(r, HUB_NO_RANGE)) from = -1;
    if (from >= n) {
        answer(r, 416, headers, "", 0);
        return;
    }
    unsigned char *const copy = calloc((size_t)n + 1, 1);
    if (copy == NULL) return;
    memcpy(copy, f->body, f->n < (size_t)n ? f->n : (size_t)n);
    if (has_fault(r, HUB_FLIP) && r->f.arg < n) copy[r->f.arg] ^= 1;
    char more[1024];
    snprintf(more, sizeof more, "%sContent-Range: bytes %" PRId64 "-%" PRId64 "/%" PRId64 "\r\n", headers,
             from + has_fault(r, HUB_OTHER_RANGE), n - 1, n);
    if (from >= 0)
        answer(r, 206, more, copy + from, (size_t)(n - from));
    else
        answer(r, 200, headers, copy, (size_t)n);
    free(copy);
}

static void json_text(char *out, size_t size, const char *s) {
    size_t n = 0;
    for (; *s != '\0' && n + 8 < size; s++) {
        if (*s == '"' || *s == '\\' || (unsigned char)*s < 0x20)
            n += (size_t)snprintf(out + n, size - n, "\\u%04x", (unsigned char)*s);
        else
            out[n++] = *s;
    }
    out[n] = '\0';
}

static void answer_listing(const request *r, const repo *p) {
    char *const text = malloc(1 << 20);
    char name[8192];
    if (text == NULL) return;
    size_t n = (size_t)sprintf(text, "{\"id\":\"%s\",\"sha\":\"%s\",\"siblings\":[", p->id, p->commit);
    for (int i = 0; i < p->files; i++) {
        json_text(name, sizeof name, p->file[i].path);
        n += (size_t)sprintf(text + n, "%s{\"rfilename\":\"%s\"}", i ? "," : "", name);
    }
    n += (size_t)sprintf(text + n, "]}");
    answer(r, 200, "Content-Type: application/json\r\n", text, n);
    free(text);
}

static void unquote(char *s) {
    char *to = s;
    for (; *s != '\0'; s++) {
        unsigned code;
        if (*s == '%' && sscanf(s + 1, "%2x", &code) == 1)
            *to++ = (char)code, s += 2;
        else
            *to++ = *s;
    }
    *to = '\0';
}

/* /[datasets/]ID/resolve/COMMIT/PATH */
static bool route_file(const request *r, const repo *p) {
    char prefix[512], headers[1024], path[4096];
    const bool head = strcmp(r->method, "HEAD") == 0;
    const int k = snprintf(prefix, sizeof prefix, "/%s%s/resolve/%s/", strcmp(p->kind, "datasets") == 0 ? "datasets/" : "", p->id, p->commit);
    if (strncmp(r->target, prefix, (size_t)k) != 0) return false;
    snprintf(path, sizeof path, "%s", r->target + k);
    unquote(path);
    for (int i = 0; i < p->files; i++) {
        const file *const f = &p->file[i];
        if (strcmp(f->path, path) != 0) continue;
        if (!f->lfs) {
            snprintf(headers, sizeof headers, "ETag: W/\"%s\"\r\nX-Repo-Commit: %s\r\n", f->etag, p->commit);
            if (head)
                answer(r, 200, headers, f->body, f->n);
            else
                answer_file(r, f, headers);
        } else {
            snprintf(headers, sizeof headers,
                     "ETag: \"of-the-redirection\"\r\nX-Linked-Etag: \"%s\"\r\nX-Linked-Size: %zu\r\nX-Repo-Commit: %s\r\n"
                     "Location: http://127.0.0.1:%d/cdn/%s?signature=secret\r\n",
                     f->etag, f->n, p->commit, r->s->cdn, f->etag);
            answer(r, 302, headers, "", 0);
        }
        return true;
    }
    answer(r, 404, "X-Error-Code: EntryNotFound\r\n", "", 0);
    return true;
}

static bool route_listing(const request *r, const repo *p) {
    char prefix[512];
    const int k = snprintf(prefix, sizeof prefix, "/api/%s/%s/revision/", p->kind, p->id);
    if (strncmp(r->target, prefix, (size_t)k) != 0) return false;
    if (strstr(r->target + k, "nope") != NULL)
        answer(r, 404, "X-Error-Code: RevisionNotFound\r\n", "", 0);
    else
        answer_listing(r, p);
    return true;
}

static void route(const request *r) {
    if (has_fault(r, HUB_HANG_UP)) return;
    if (has_fault(r, HUB_STATUS)) {
        answer(r, (int)r->f.arg, r->f.text != NULL ? r->f.text : "", "no", 2);
        return;
    }
    if (has_fault(r, HUB_BODY)) {
        answer(r, 200, "", r->f.text, strlen(r->f.text));
        return;
    }
    for (int i = 0; i < r->s->repos; i++) {
        const repo *const p = &r->s->repo[i];
        if (route_listing(r, p) || route_file(r, p)) return;
        for (int k = 0; k < p->files; k++)
            if (strncmp(r->target, "/cdn/", 5) == 0 && strncmp(r->target + 5, p->file[k].etag, strlen(p->file[k].etag)) == 0) {
                answer_file(r, &p->file[k], "ETag: \"of-the-store\"\r\n");
                return;
            }
    }
    answer(r, 404, "X-Error-Code: RepoNotFound\r\n", "", 0);
}

/* ---- connections ---- */

static bool read_head(request *r) {
    size_t n = 0;
    while (n + 1 < sizeof r->head) {
        const ssize_t k = recv(r->fd, r->head + n, sizeof r->head - 1 - n, 0);
        if (k <= 0) return false;
        n += (size_t)k;
        r->head[n] = '\0';
        if (strstr(r->head, "\r\n\r\n") != NULL) break;
    }
    const char *const range = strstr(r->head, "\r\nRange: bytes=");
    r->from = range != NULL ? atoll(range + 15) : -1;
    return sscanf(r->head, "%15s %4095s", r->method, r->target) == 2;
}

static void note(request *r) {
    hub_server *const s = r->s;
    char first[8192];
    snprintf(first, sizeof first, "%s %s", r->method, r->target);
    pthread_mutex_lock(&s->lock);
    const size_t n = strlen(r->head) + 1;
    if (s->logged + n < LOG) memcpy(s->log + s->logged, r->head, n), s->logged += n;
    for (int i = 0; i < s->faults && r->f.times == 0; i++) {
        if (s->fault[i].times == 0 || strstr(first, s->fault[i].match) == NULL) continue;
        r->f = s->fault[i];
        if (s->fault[i].times > 0) s->fault[i].times--;
    }
    pthread_mutex_unlock(&s->lock);
}

static void *serve(void *arg) {
    request *const r = arg;
    hub_server *const s = r->s;
    if (read_head(r)) {
        note(r);
        route(r);
    }
    shutdown(r->fd, SHUT_WR);
    close(r->fd);
    free(r);
    pthread_mutex_lock(&s->lock);
    if (--s->active == 0) pthread_cond_signal(&s->idle);
    pthread_mutex_unlock(&s->lock);
    return NULL;
}

static void *accept_all(void *arg) {
    hub_server *const s = arg;
    for (;;) {
        const int fd = accept(s->fd, NULL, NULL);
        if (fd < 0) return NULL;
        request *const r = calloc(1, sizeof *r);
        pthread_t t;
        if (r == NULL) {
            close(fd);
            continue;
        }
        r->s = s, r->fd = fd;
        pthread_mutex_lock(&s->lock);
        s->active++;
        pthread_mutex_unlock(&s->lock);
        if (pthread_create(&t, NULL, serve, r) == 0)
            pthread_detach(t);
        else
            (void)serve(r);
    }
}

hub_server *hub_server_start(void) {
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof a;
    hub_server *const s = calloc(1, sizeof *s);
    if (s == NULL) return NULL;
    s->log = calloc(LOG, 1);
    s->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->idle, NULL);
    if (s->log != NULL && s->fd >= 0 && bind(s->fd, (struct sockaddr *)&a, sizeof a) == 0 && listen(s->fd, 64) == 0 &&
        getsockname(s->fd, (struct sockaddr *)&a, &size) == 0) {
        s->port = s->cdn = ntohs(a.sin_port);
        if (pthread_create(&s->thread, NULL, accept_all, s) == 0) return s;
    }
    if (s->fd >= 0) close(s->fd);
    free(s->log);
    free(s);
    return NULL;
}

void hub_server_stop(hub_server *s) {
    if (s == NULL) return;
    shutdown(s->fd, SHUT_RDWR);
    pthread_join(s->thread, NULL);
    close(s->fd);
    pthread_mutex_lock(&s->lock);
    while (s->active > 0) pthread_cond_wait(&s->idle, &s->lock);
    pthread_mutex_unlock(&s->lock);
    for (int i = 0; i < s->repos; i++) {
        repo *const p = &s->repo[i];
        for (int k = 0; k < p->files; k++) free(p->file[k].path), free(p->file[k].body);
        free(p->kind), free(p->id), free(p->commit);
    }
    pthread_mutex_destroy(&s->lock);
    pthread_cond_destroy(&s->idle);
    free(s->log);
    free(s);
}

int hub_server_port(const hub_server *s) {
    return s->port;
}
void hub_server_cdn(hub_server *s, int port) {
    s->cdn = port;
}

/* ---- what it holds ---- */

void hub_server_repo(hub_server *s, const char *kind, const char *id, const char *commit) {
    if (s->repos == REPOS) abort();
    s->repo[s->repos++] = (repo){.kind = strdup(kind), .id = strdup(id), .commit = strdup(commit)};
}

static void name_blob(file *f) {
    unsigned char bytes[EVP_MAX_MD_SIZE];
    unsigned count = 0;
    char head[32];
    const size_t k = f->lfs ? 0 : (size_t)snprintf(head, sizeof head, "blob %zu", f->n) + 1;
    unsigned char *const all = malloc(k + f->n + 1);
    if (all == NULL) abort();
    memcpy(all, head, k);
    memcpy(all + k, f->body, f->n);
    if (EVP_Digest(all, k + f->n, bytes, &count, f->lfs ? EVP_sha256() : EVP_sha1(), NULL) != 1) abort();
    for (unsigned i = 0; i < count; i++) sprintf(f->etag + 2 * i, "%02x", bytes[i]);
    free(all);
}

void hub_server_add(hub_server *s, const char *path, const void *body, size_t n, bool lfs) {
    repo *const p = &s->repo[s->repos - 1];
    if (p->files == FILES) abort();
    file *const f = &p->file[p->files];
    *f = (file){.path = strdup(path), .body = malloc(n + 1), .n = n, .lfs = lfs};
    if (f->path == NULL || f->body == NULL) abort();
    if (n > 0) memcpy(f->body, body, n);
    name_blob(f);
    p->files++;
}

const char *hub_server_etag(const hub_server *s, const char *path) {
    for (int i = 0; i < s->repos; i++)
        for (int k = 0; k < s->repo[i].files; k++)
            if (strcmp(s->repo[i].file[k].path, path) == 0) return s->repo[i].file[k].etag;
    abort();
}

void hub_server_fault(hub_server *s, const char *match, hub_fault kind, int64_t arg, const char *text, int times) {
    pthread_mutex_lock(&s->lock);
    if (s->faults == FAULTS) abort();
    s->fault[s->faults++] = (fault){match, text, kind, arg, times};
    pthread_mutex_unlock(&s->lock);
}

int hub_server_count(hub_server *s, const char *a, const char *b) {
    int n = 0;
    pthread_mutex_lock(&s->lock);
    for (size_t at = 0; at < s->logged; at += strlen(s->log + at) + 1)
        n += strstr(s->log + at, a) != NULL && strstr(s->log + at, b) != NULL;
    pthread_mutex_unlock(&s->lock);
    return n;
}
