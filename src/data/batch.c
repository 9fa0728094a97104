#include "data/batch.h"
#include "base/mem.h"
#include "base/parallel.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* ---- encoding ---- */

#define CHUNK 64 /* records that one task encodes: fixed, so that the result cannot depend on threads */

typedef struct chunk { int32_t *ids, *types; size_t n, ids_cap, types_cap; int64_t failed; as_status status; } chunk;

typedef struct encode_job {
    const as_tokenizer *tok;
    const as_records *records;
    as_encode_opts opts;
    as_encoded *out;      /* offset[i + 1] takes the length of sequence i until all are known */
    chunk *chunks;
    as_tokens *work;      /* [threads] */
} encode_job;

static as_status encode_one(const encode_job *job, int64_t i, as_tokens *work, as_err *err) {
    const as_record *r = &job->records->v[i];
    return as_encode(job->tok, r->text, r->pair.p ? &r->pair : NULL, &job->opts, work, err);
}

static as_status append(chunk *c, const as_tokens *t) {
    const size_t n = c->n + (size_t)t->n;
    if (!as_grow(&c->ids, &c->ids_cap, n, sizeof *c->ids)) return AS_NOMEM;
    if (!as_grow(&c->types, &c->types_cap, n, sizeof *c->types)) return AS_NOMEM;
    if (t->n > 0) {
        memcpy(c->ids + c->n, t->ids, (size_t)t->n * sizeof *c->ids);
        memcpy(c->types + c->n, t->type_ids, (size_t)t->n * sizeof *c->types);
    }
    c->n = n;
    return AS_OK;
}

/* Messages are not built here: the first record that failed is encoded once more where there is an err. */
static void encode_chunk(void *ctx, int64_t number, int thread) {
    encode_job *job = ctx;
    chunk *c = &job->chunks[number];
    as_tokens *work = &job->work[thread];
    const int64_t begin = number * CHUNK;
    const int64_t end = begin + CHUNK < job->records->n ? begin + CHUNK : job->records->n;
    for (int64_t i = begin; i < end; i++) {
        c->status = encode_one(job, i, work, NULL);
        if (c->status == AS_OK) c->status = append(c, work);
        if (c->status != AS_OK) {
            c->failed = i;
            return;
        }
        job->out->offset[i + 1] = work->n;
        job->out->truncated[i] = work->overflow > 0;
    }
}

static as_status report(const encode_job *job, const chunk *c, as_err *err) {
    if (c->status == AS_NOMEM) return as_fail_nomem(err, "encoded records", c->n * 2 * sizeof *c->ids);
    as_err inner = {0};
    const as_status again = encode_one(job, c->failed, &job->work[0], &inner);
    const as_status status =
        as_fail(err, c->status, "%s:%" PRId64 ": %s", job->records->path, job->records->v[c->failed].line,
                again != AS_OK ? inner.msg : "this text cannot be encoded");
    if (inner.hint[0]) as_hint(err, "%s", inner.hint);
    return status;
}

/* One array out of the chunks, which are released on the way: the peak is one copy and one chunk. */
static as_status concatenate(encode_job *job, int64_t chunks, as_err *err) {
    as_encoded *out = job->out;
    size_t at = 0;
    for (int64_t i = 0; i < out->n; i++) {
        if (out->offset[i + 1] > out->max_len) out->max_len = out->offset[i + 1];
        out->truncated_count += out->truncated[i];
        out->offset[i + 1] += out->offset[i];
    }
    out->tokens = out->offset[out->n];
    out->ids = as_alloc((size_t)out->tokens + 1, sizeof *out->ids);
    out->types = as_alloc((size_t)out->tokens + 1, sizeof *out->types);
    if (!out->ids || !out->types)
        return as_fail_nomem(err, "encoded records", (size_t)out->tokens * 2 * sizeof *out->ids);
    for (int64_t k = 0; k < chunks; k++) {
        chunk *c = &job->chunks[k];
        if (c->n) {
            memcpy(out->ids + at, c->ids, c->n * sizeof *c->ids);
            memcpy(out->types + at, c->types, c->n * sizeof *c->types);
        }
        at += c->n;
        as_free(c->ids);
        as_free(c->types);
        *c = (chunk){0};
    }
    AS_ASSERT(at == (size_t)out->tokens);
    return AS_OK;
}

as_status as_encode_records(as_encoded *out, const as_tokenizer *tok, const as_records *r, int64_t max_length,
                            int threads, as_err *err) {
    const int64_t chunks = (r->n + CHUNK - 1) / CHUNK;
    if (threads < 1) threads = 1;
    *out = (as_encoded){.n = r->n};
    encode_job job = {.tok = tok, .records = r, .opts = {.max_length = max_length}, .out = out};
    out->offset = as_calloc((size_t)r->n + 1, sizeof *out->offset);
    out->truncated = as_calloc((size_t)r->n + 1, sizeof *out->truncated);
    job.chunks = as_calloc((size_t)chunks + 1, sizeof *job.chunks);
    job.work = as_calloc((size_t)threads, sizeof *job.work);
    as_status status = AS_OK;
    if (!out->offset || !out->truncated || !job.chunks || !job.work)
        status = as_fail_nomem(err, "encoded records", (size_t)r->n * sizeof *out->offset);
    if (status == AS_OK) {
        as_parallel_dynamic(threads, chunks, encode_chunk, &job);
        for (int64_t k = 0; status == AS_OK && k < chunks; k++)
            if (job.chunks[k].status != AS_OK) status = report(&job, &job.chunks[k], err);
    }
    if (status == AS_OK) status = concatenate(&job, chunks, err);
    for (int64_t k = 0; job.chunks && k < chunks; k++) {
        as_free(job.chunks[k].ids);
        as_free(job.chunks[k].types);
    }
    for (int t = 0; job.work && t < threads; t++) as_tokens_free(&job.work[t]);
    as_free(job.chunks);
    as_free(job.work);
    if (status != AS_OK) as_encoded_free(out);
    return status;
}

void as_encoded_free(as_encoded *e) {
    if (!e) return;
    as_free(e->ids);
    as_free(e->types);
    as_free(e->offset);
    as_free(e->truncated);
    *e = (as_encoded){0};
}

/* ---- batches ---- */

typedef struct sized { int64_t length, index; } sized;

static int by_length(const void *a, const void *b) {
    const sized *x = a, *y = b;
    if (x->length != y->length) return x->length > y->length ? -1 : 1;
    return x->index < y->index ? -1 : x->index > y->index;
}

/* Lengths descend, so the first sequence of a batch bounds the rest, but not their sum: count tokens. */
static void cut(as_batches *out, const sized *v, int64_t n, int64_t max_tokens) {
    int64_t tokens = 0;
    for (int64_t i = 0; i < n; i++) {
        if (i == 0 || v[i].length > max_tokens - tokens) {
            out->begin[out->count++] = i;
            tokens = 0;
        }
        out->item[i] = v[i].index;
        tokens += v[i].length;
    }
    out->begin[out->count] = n;
}

as_status as_batches_make(as_batches *out, const as_encoded *e, const int64_t *index, int64_t n, int64_t max_tokens,
                          as_err *err) {
    *out = (as_batches){0};
    if (max_tokens < 1) {
        const as_status status = as_fail(err, AS_USAGE, "batches of %" PRId64 " tokens hold nothing", max_tokens);
        as_hint(err, "Give --batch-tokens a positive number, such as 4096.");
        return status;
    }
    if (!index) n = e->n;
    sized *v = as_alloc((size_t)n + 1, sizeof *v);
    out->item = as_alloc((size_t)n + 1, sizeof *out->item);
    out->begin = as_alloc((size_t)n + 1, sizeof *out->begin);
    if (!v || !out->item || !out->begin) {
        as_free(v);
        as_batches_free(out);
        return as_fail_nomem(err, "batches", (size_t)n * (sizeof *v + 2 * sizeof *out->item));
    }
    for (int64_t i = 0; i < n; i++) {
        const int64_t k = index ? index[i] : i;
        AS_ASSERT(k >= 0 && k < e->n);
        v[i] = (sized){e->offset[k + 1] - e->offset[k], k};
    }
    if (n > 1) qsort(v, (size_t)n, sizeof *v, by_length);
    cut(out, v, n, max_tokens);
    as_free(v);
    return AS_OK;
}

void as_batches_free(as_batches *b) {
    if (!b) return;
    as_free(b->item);
    as_free(b->begin);
    *b = (as_batches){0};
}
