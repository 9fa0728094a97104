/* hub.h: repositories of the Hugging Face Hub in the local cache, and their download into it.
 *
 * The cache has the layout of huggingface_hub, which reads what is pulled here and the other way
 * round: ROOT/models--ORG--NAME/{blobs/ETAG, snapshots/COMMIT/FILE -> ../../blobs/ETAG,
 * refs/REVISION} and ROOT/.locks. Only as_hub_pull touches the network; nothing else in assay does.
 * Environment: HF_HUB_CACHE (HUGGINGFACE_HUB_CACHE), HF_HOME, XDG_CACHE_HOME; HF_ENDPOINT,
 * HF_TOKEN (HUGGING_FACE_HUB_TOKEN, HF_TOKEN_PATH, HF_HOME/token), HF_HUB_DISABLE_IMPLICIT_TOKEN,
 * HF_HUB_OFFLINE (TRANSFORMERS_OFFLINE), HF_HUB_DISABLE_SYMLINKS, HF_HUB_DOWNLOAD_TIMEOUT. */
#ifndef AS_IO_HUB_H
#define AS_IO_HUB_H

#include "base/log.h"
#include "base/str.h"

typedef enum as_hub_kind { AS_HUB_MODEL, AS_HUB_DATASET } as_hub_kind;

/* NAME or ORG/NAME as the Hub allows them: letters, digits, '-', '_' and '.'. */
bool as_hub_id_ok(as_str id);
/* A file name of a server, or a revision, that stays below the folder it is put into: valid UTF-8,
 * relative, without empty, "." and ".." components and without control characters. */
bool as_hub_name_ok(as_str name);
/* What may name a blob: at most 128 letters, digits, '-', '_' and '.', not first a '.'. */
bool as_hub_etag_ok(as_str etag);

/* The snapshot of "ORG/NAME" or "ORG/NAME@REVISION" (main) that the cache holds: a heap path
 * (as_free), or NULL. Complete as far as a pull was: refs are written when all files are there. */
char *as_hub_find(as_hub_kind kind, const char *spec);

typedef struct as_hub_opts {
    as_hub_kind kind;
    const char *revision;        /* branch, tag or commit; NULL = the spec's, else main */
    const char *const *patterns; /* files to fetch, '*' and '?' also match '/'; none = by kind */
    int64_t pattern_count;
    const as_log *log;
    /* Called about every 0.1 s with bytes of all files together; NULL = none. */
    void (*progress)(void *ctx, const char *file, uint64_t done, uint64_t total);
    void *progress_ctx;
    bool (*stop)(void);   /* true ends with AS_INTERRUPTED; the same call goes on; or NULL */
    double retry_seconds; /* first wait before an attempt is repeated; 0 = 1, then doubled */
    double wait_limit;    /* longest wait that a busy server may ask for; 0 = 300 */
} as_hub_opts;

typedef struct as_hub_pulled {
    char *dir; /* the snapshot's folder */
    char *id, *revision, *commit;
    int64_t files, fetched; /* in the snapshot as chosen; those that came by the network */
    uint64_t bytes, fetched_bytes;
    bool offline; /* nothing was asked: this is what the cache holds */
} as_hub_pulled;

/* Fetch "ORG/NAME[@REVISION]". Without patterns a model's configuration, tokenizer and weights
 * (safetensors, else pytorch_model.bin), and all files of a data set but scripts. Each file is
 * checked (length; SHA-256, or git's SHA-1) before it gets its name in blobs/; a cut transfer, or
 * one whose process was killed, goes on where it stopped; several processes may pull at once.
 * AS_USAGE a bad id, revision or pattern; AS_IO no network, refused, missing, busy, disk full;
 * AS_FORMAT answers that cannot be trusted; AS_INTERRUPTED. out is for as_hub_pulled_free. */
as_status as_hub_pull(as_hub_pulled *out, const char *spec, const as_hub_opts *opts,
                      as_err *err) AS_CHECKED;
void as_hub_pulled_free(as_hub_pulled *p);

#endif
