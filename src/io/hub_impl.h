/* hub_impl.h: what the files of hub share. hub_env.c reads the environment and finds snapshots,
 * hub_cache.c writes the cache, hub_http.c is the only one with the network, hub_select.c picks
 * files, hub.c pulls. */
#ifndef AS_IO_HUB_IMPL_H
#define AS_IO_HUB_IMPL_H

#include "io/hub.h"

/* ---- hub_env.c ---- */
typedef struct as_hub_env {
    char *cache, *endpoint;
    char *token;   /* or NULL */
    char *ca_file; /* certificates in place of the system's, or NULL */
    bool offline, no_links;
    long timeout; /* seconds without a byte */
} as_hub_env;
as_status as_hub_env_read(as_hub_env *out, as_err *err) AS_CHECKED;
void as_hub_env_deinit(as_hub_env *e);
/* "models--ORG--NAME" onto out. */
void as_hub_folder(as_buf *out, as_hub_kind kind, as_str id);
/* "ORG/NAME@REV" in two; rev is the empty view without '@'. */
void as_hub_split(as_str spec, as_str *id, as_str *rev);
/* Commit that ROOT/refs/REV names, or rev itself when it is a snapshot's: onto out, if there. */
bool as_hub_commit(as_buf *out, const char *repo_path, as_str rev);

/* ---- hub_cache.c: folders are held open and never entered through a symbolic link ---- */
typedef struct as_hub_cache {
    char *path; /* of the repository's folder, for messages and results */
    int repo, blobs, locks;
    int snapshot; /* after as_hub_cache_commit */
    bool no_links;
} as_hub_cache;
as_status as_hub_cache_open(as_hub_cache *c, const as_hub_env *e, as_hub_kind kind, as_str id,
                            as_err *err) AS_CHECKED;
as_status as_hub_cache_commit(as_hub_cache *c, const char *commit, as_err *err) AS_CHECKED;
void as_hub_cache_close(as_hub_cache *c);
/* The snapshot has this file, whole: a file, or a link as assay and huggingface_hub make them. */
bool as_hub_cache_has(const as_hub_cache *c, const char *name, uint64_t *size);
/* snapshots/COMMIT/name -> blobs/etag, or a copy where links do not work. */
as_status as_hub_cache_point(const as_hub_cache *c, const char *name, const char *etag,
                             as_err *err) AS_CHECKED;
as_status as_hub_cache_ref(const as_hub_cache *c, const char *revision, const char *commit,
                           as_err *err) AS_CHECKED;
uint64_t as_hub_cache_room(const as_hub_cache *c); /* bytes that may still be written */
uint64_t as_hub_cache_started(const as_hub_cache *c,
                              const char *etag); /* that are there of a blob */

/* A blob on its way: ETAG.incomplete, under the lock that huggingface_hub takes as well. */
typedef struct as_hub_part {
    const as_hub_cache *cache;
    const char *etag;
    int lock, fd;
    uint64_t have;
    bool done; /* the blob is there: nothing to fetch */
} as_hub_part;
as_status as_hub_part_open(as_hub_part *p, const as_hub_cache *c, const char *etag, uint64_t size,
                           const as_hub_opts *o, as_err *err) AS_CHECKED;
as_status as_hub_part_add(as_hub_part *p, const char *bytes, size_t n, as_err *err) AS_CHECKED;
as_status as_hub_part_restart(as_hub_part *p, as_err *err) AS_CHECKED;
/* *good: the digest is that of the etag; *known false: such an etag is no digest. */
as_status as_hub_part_check(as_hub_part *p, bool *good, bool *known, as_err *err) AS_CHECKED;
as_status as_hub_part_commit(as_hub_part *p, as_err *err) AS_CHECKED;
void as_hub_part_discard(as_hub_part *p);
void as_hub_part_close(as_hub_part *p); /* what came stays for the next attempt */

/* ---- hub_http.c ---- */
typedef struct as_http as_http;
typedef struct as_http_reply {
    long status;
    char commit[128], etag[256], linked_etag[256], error_code[64], error_text[256];
    char location[8192];
    int64_t length, linked_size, range_from, retry_after; /* -1: not said */
    bool cut;      /* the body ended before its announced end */
    char why[256]; /* of cut */
} as_http_reply;
typedef struct as_http_call {
    const char *url;
    bool head;
    uint64_t from; /* > 0: ask for the bytes from here on */
    /* Takes the body of a 200 or 206; NULL drops it. */
    as_status (*take)(void *ctx, const as_http_reply *r, const char *p, size_t n, as_err *err);
    void *ctx;
} as_http_call;
as_status as_http_open(as_http **out, const as_hub_env *env, const as_hub_opts *o,
                       as_err *err) AS_CHECKED;
void as_http_free(as_http *h);
/* AS_OK when an answer came, whatever its status: redirections are followed, busy servers waited
 * for, as long as they may ask. The token goes to the endpoint and to no other. A HEAD stops at the
 * redirection that says what the file is. */
as_status as_http_send(as_http *h, const as_http_call *c, as_http_reply *r, as_err *err) AS_CHECKED;
/* Wait, unless stopped (AS_INTERRUPTED). */
as_status as_http_wait(const as_hub_opts *o, double seconds, as_err *err) AS_CHECKED;
as_status as_hub_interrupted(as_err *err);

/* ---- hub_select.c ---- */
typedef struct as_hub_names {
    char **v;
    size_t count, cap;
} as_hub_names;
as_status as_hub_names_add(as_hub_names *n, as_str name, as_err *err) AS_CHECKED;
void as_hub_names_free(as_hub_names *n);
/* Drops what is not to be fetched; AS_USAGE for a pattern that matches nothing. `shown` names the
 * repository. */
as_status as_hub_select(as_hub_names *names, const as_hub_opts *o, const char *shown,
                        as_err *err) AS_CHECKED;

#endif
