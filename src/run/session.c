#include "run/session.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/parallel.h"
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

as_status as_session_engine(as_engine **out, const as_job *j, as_err *err) {
    as_engine_opts o = as_engine_defaults();
    o.isa = j->isa, o.threads = j->threads, o.compute = j->dtype, o.log = j->log;
    return as_engine_open(out, &o, err);
}

/* The shortest of what the job, the tokenizer and the position table allow. */
static as_status choose_length(as_session *s, const as_job *j, as_err *err) {
    const int64_t most = as_model_config(s->model)->max_pos, told = as_tokenizer_model_max(s->tok);
    s->max_length = told > 0 && told < most ? told : most;
    if (j->max_length <= 0) return AS_OK;
    if (j->max_length > most) {
        (void)as_fail(err, AS_USAGE, "--max-length %" PRId64 " is beyond the %" PRId64 " positions of %s", j->max_length, most, j->model);
        as_hint(err, "Give a length of at most %" PRId64 ".", most);
        return AS_USAGE;
    }
    s->max_length = j->max_length;
    return AS_OK;
}

static as_status check_vocabulary(const as_session *s, const as_job *j, as_err *err) {
    const int64_t ids = as_tokenizer_vocab_size(s->tok), rows = as_model_config(s->model)->vocab;
    if (ids <= rows) return AS_OK;
    (void)as_fail(err, AS_FORMAT, "%s: the tokenizer has ids up to %" PRId64 ", the embedding has %" PRId64 " rows", j->model, ids - 1, rows);
    as_hint(err, "Tokenizer and weights are of different models; fetch both again.");
    return AS_FORMAT;
}

/* The tokenizer beside the weights: on two threads a first prediction comes that much sooner. The weights' error goes first. */
typedef struct opening {
    as_session *s;
    const char *dir;
    as_status status;
    as_err err;
} opening;
static void open_tokenizer(void *ctx) {
    opening *w = ctx;
    w->status = as_tokenizer_open(&w->s->tok, w->dir, &w->err);
}

static as_status open_into(as_session *s, const as_job *j, as_model_opts *o, as_err *err) {
    AS_TRY(as_session_engine(&s->engine, j, err));
    opening work = {.s = s, .dir = j->model};
    o->beside = open_tokenizer, o->beside_ctx = &work;
    AS_TRY(as_model_open(&s->model, s->engine, j->model, o, err));
    if (work.status != AS_OK) {
        if (err) *err = work.err;
        return work.status;
    }
    AS_TRY(check_vocabulary(s, j, err));
    return choose_length(s, j, err);
}
as_status as_session_open(as_session *s, const as_job *j, as_model_opts o, as_err *err) {
    *s = (as_session){0};
    o.log = j->log;
    const as_status st = open_into(s, j, &o, err);
    if (st != AS_OK) as_session_close(s);
    return st;
}
as_status as_session_open_light(as_session *s, const as_job *j, as_err *err) {
    *s = (as_session){0};
    as_status st = as_session_engine(&s->engine, j, err);
    if (st == AS_OK) st = as_tokenizer_open(&s->tok, j->model, err);
    if (st != AS_OK) as_session_close(s);
    return st;
}
void as_session_close(as_session *s) {
    as_tokenizer_free(s->tok);
    as_model_free(s->model);
    as_engine_free(s->engine);
    *s = (as_session){0};
}

as_label_kind as_session_kind(const as_session *s) {
    switch (as_model_problem(s->model)) {
    case AS_PROBLEM_MULTI: return AS_LABEL_MULTI;
    case AS_PROBLEM_REGRESSION: return AS_LABEL_VALUE;
    default: return AS_LABEL_CLASS;
    }
}
as_labels as_session_labels(const as_session *s) {
    return (as_labels){.names = (char **)(uintptr_t)as_model_labels(s->model), .count = as_model_num_labels(s->model)};
}

as_status as_session_encode(const as_session *s, const as_job *j, const as_records *r, as_encoded *out, as_err *err) {
    AS_TRY(as_encode_records(out, s->tok, r, s->max_length, as_engine_threads(s->engine), err));
    const int64_t types = as_model_config(s->model)->types;
    for (int64_t i = 0; types > 0 && i < out->tokens; i++)
        if (out->types[i] >= types) {
            const int32_t type = out->types[i];
            as_encoded_free(out);
            return as_fail(err, AS_FORMAT, "%s: the tokenizer gives token type %d, the model has %" PRId64 " types", j->model, type, types);
        }
    if (r->table) as_table_warn_replaced(r->table, j->log);
    if (out->truncated_count > 0)
        as_log_line(j->log, AS_WARN, "%" PRId64 " of %" PRId64 " items are longer than %" PRId64 " tokens and were truncated", out->truncated_count,
                    out->n, s->max_length);
    return AS_OK;
}

char *as_display_name(const char *path) {
    size_t n = strlen(path);
    while (n > 1 && path[n - 1] == '/') n--;
    size_t from = n;
    while (from > 0 && path[from - 1] != '/') from--;
    return as_strndup(path + from, n - from);
}

as_status as_content_digest(char hex[65], const as_records *r, const as_encoded *e, as_err *err) {
    as_buf b = {0};
    for (int64_t i = 0; i < r->n; i++) {
        const uint64_t h = as_record_hash(&r->v[i], r);
        as_buf_add(&b, &h, sizeof h);
        as_buf_add(&b, r->v[i].id.p, r->v[i].id.n);
        as_buf_char(&b, '\0');
        as_buf_add(&b, r->v[i].cluster.p, r->v[i].cluster.n);
        as_buf_char(&b, '\0');
    }
    for (int i = 0; i < r->labels.count; i++) as_buf_add(&b, r->labels.names[i], strlen(r->labels.names[i]) + 1);
    as_buf_add(&b, e->ids, (size_t)e->tokens * sizeof *e->ids);
    as_buf_add(&b, e->types, (size_t)e->tokens * sizeof *e->types);
    as_buf_add(&b, e->offset, (size_t)(e->n + 1) * sizeof *e->offset);
    const as_status s = b.failed ? as_fail_nomem(err, "a digest", b.n) : AS_OK;
    if (s == AS_OK) memcpy(hex, as_sha256_of(b.p, b.n).hex, 65);
    as_buf_free(&b);
    return s;
}

#ifdef __linux__
/* The line "VmHWM:  12345 kB"; unlike getrusage's peak it can be reset. */
static uint64_t high_water(void) {
    FILE *f = fopen("/proc/self/status", "re");
    char line[256];
    uint64_t kb = 0;
    while (f && fgets(line, sizeof line, f))
        if (sscanf(line, "VmHWM: %" SCNu64, &kb) == 1) break;
    if (f) fclose(f);
    return kb << 10;
}
void as_peak_memory_reset(void) {
    FILE *f = fopen("/proc/self/clear_refs", "we");
    if (!f) return;
    fputs("5", f);
    fclose(f);
}
#else
static uint64_t high_water(void) { return 0; }
void as_peak_memory_reset(void) {}
#endif

uint64_t as_peak_memory(void) {
    struct rusage u;
    const uint64_t peak = high_water();
    if (peak > 0) return peak;
    if (getrusage(RUSAGE_SELF, &u) != 0) return 0;
#ifdef __APPLE__
    return (uint64_t)u.ru_maxrss;
#else
    return (uint64_t)u.ru_maxrss * 1024;
#endif
}

double as_config_token_flops(const as_config *c) {
    return 2.0 * (double)c->layers * (4.0 * (double)(c->hidden * c->hidden) + 2.0 * (double)(c->hidden * c->inter));
}
double as_session_token_flops(const as_session *s) { return as_config_token_flops(as_model_config(s->model)); }

double as_session_rate(as_session *s) {
    const as_config *c = as_model_config(s->model);
    return as_engine_rate(s->engine, c->inter, c->hidden);
}
double as_engine_rate(as_engine *e, int64_t n, int64_t k) {
    const int64_t m = AS_ROW_MAX;
    as_pack *p = NULL;
    float *x = as_alloc_aligned((size_t)(m * k), sizeof *x), *y = as_alloc_aligned((size_t)(m * n), sizeof *y), *w = as_alloc_aligned((size_t)(n * k), sizeof *w);
    double best = 0.0;
    if (x && y && w && as_pack_new(&p, e, n, k, 0, NULL) == AS_OK && as_pack_fill(e, p, w, 0, NULL) == AS_OK)
        for (int i = 0; i < 4; i++) {
            const double t = as_clock();
            if (!as_linear_forward(e, &(as_linear_args){.y = y, .x = x, .pack = p, .m = m}, 0)) break;
            best = fmax(best, 2.0 * (double)m * (double)n * (double)k / fmax(1e-9, as_clock() - t));
        }
    as_pack_free(p);
    as_free_aligned(x), as_free_aligned(y), as_free_aligned(w);
    return fmax(1e9, best * as_engine_threads(e));
}

static void digest_member(as_buf *b, const char *key, const char *path) {
    as_sha256 sha;
    if (path && as_file_exists(path) && as_sha256_file(&sha, path, NULL) == AS_OK) as_buf_fmt(b, ",\"%s\":\"%s\"", key, sha.hex);
    else as_buf_fmt(b, ",\"%s\":null", key);
}

as_status as_session_provenance(as_buf *config, const as_session *s, const as_job *j, as_err *err) {
    char *json = as_path_join(as_model_dir(s->model), "tokenizer.json"), *vocab = as_path_join(as_model_dir(s->model), "vocab.txt");
    as_buf_str(config, ",\"version\":"), as_buf_json_str(config, as_str_of(j->version));
    if (j->command_line) as_buf_str(config, ",\"command_line\":"), as_buf_json_str(config, as_str_of(j->command_line));
    as_buf_fmt(config, ",\"gemm\":\"%s\",\"threads\":%d", as_engine_gemm_name(s->engine), as_engine_threads(s->engine));
    digest_member(config, "tokenizer_sha256", json && as_file_exists(json) ? json : vocab);
    digest_member(config, "program_sha256", "/proc/self/exe");
    const bool ok = json && vocab && !config->failed;
    as_free(json), as_free(vocab);
    return ok ? AS_OK : as_fail_nomem(err, "a run's record", 0);
}
