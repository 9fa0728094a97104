#include "run/pretrain_log.h"
#include "base/file.h"
#include "base/mem.h"
#include "io/json.h"
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

struct as_pretrain_log {
    char *path;
    FILE *f;
    as_store *store;
    int64_t run;
    double before;            /* seconds of training at the last step */
};

static as_status failed(const as_pretrain_log *l, as_err *err) { return as_fail(err, AS_IO, "%s: cannot be written: %s", l->path, strerror(errno)); }

static as_status open_file(as_pretrain_log *l, const char *how, as_err *err) {
    if (l->f) fclose(l->f);
    l->f = fopen(l->path, how);
    return l->f ? AS_OK : failed(l, err);
}

as_status as_pretrain_log_open(as_pretrain_log **out, const char *dir, as_store *store, int64_t run, as_err *err) {
    *out = NULL;
    as_pretrain_log *l = as_calloc(1, sizeof *l);
    if (!l) return as_fail_nomem(err, "a log", sizeof *l);
    *l = (as_pretrain_log){.store = store, .run = run, .path = as_path_join(dir, "log.jsonl")};
    const as_status s = l->path ? as_pretrain_log_cut(l, -1, err) : as_fail_nomem(err, "a path", 0);
    if (s == AS_OK)
        *out = l;
    else
        as_pretrain_log_close(l);
    return s;
}
void as_pretrain_log_close(as_pretrain_log *l) {
    if (!l) return;
    if (l->f) fclose(l->f);
    as_free(l->path), as_free(l);
}

static as_status add(as_pretrain_log *l, int64_t step, as_buf *line, as_err *err) {
    as_status s = line->failed ? as_fail_nomem(err, "a log line", 0) : AS_OK;
    if (s == AS_OK && l->store) s = as_store_log_put(l->store, l->run, step, line->p, err);
    if (s == AS_OK && fprintf(l->f, "%s\n", line->p) < 0) s = failed(l, err);
    as_buf_free(line);
    return s;
}

as_status as_pretrain_log_step(as_pretrain_log *l, const as_train_step *s, as_err *err) {
    as_buf b = {0};
    const double took = s->seconds - l->before;
    l->before = s->seconds;
    as_buf_fmt(&b, "{\"kind\":\"step\",\"step\":%" PRId64 ",\"epoch\":%.6g,\"loss\":%.9g,\"lr\":%.9g,\"norm\":%.9g,\"tokens\":%" PRId64, s->step, s->epoch, s->loss, s->lr,
               s->norm, s->tokens);
    if (s->count[0] > 0) as_buf_fmt(&b, ",\"predictions\":%" PRId64 ",\"accuracy\":%.6g", s->count[0], (double)s->correct[0] / (double)s->count[0]);
    if (s->count[1] > 0) as_buf_fmt(&b, ",\"second_accuracy\":%.6g", (double)s->correct[1] / (double)s->count[1]);
    if (took > 0.0) as_buf_fmt(&b, ",\"tokens_per_second\":%.6g", (double)s->tokens / took);
    as_buf_fmt(&b, ",\"seconds\":%.6g}", s->seconds);
    return add(l, s->step, &b, err);
}

as_status as_pretrain_log_evaluation(as_pretrain_log *l, int64_t step, double epoch, double train_loss, const as_pretrain_part parts[AS_LOSSES], as_err *err) {
    as_buf b = {0};
    as_buf_fmt(&b, "{\"kind\":\"evaluation\",\"step\":%" PRId64 ",\"epoch\":%.6g,\"train_loss\":", step, epoch), as_buf_real(&b, train_loss);
    as_heldout_json(&b, "loss", parts[0].loss), as_heldout_json(&b, "accuracy", parts[0].accuracy);
    if (parts[1].name) as_heldout_json(&b, "second_loss", parts[1].loss), as_heldout_json(&b, "second_accuracy", parts[1].accuracy);
    as_buf_str(&b, ",\"perplexity\":"), as_buf_real(&b, exp(parts[0].loss.value));
    as_buf_char(&b, '}');
    const as_status s = add(l, step, &b, err);
    return s == AS_OK ? as_pretrain_log_flush(l, err) : s;
}

as_status as_pretrain_log_pseudo(as_pretrain_log *l, int64_t step, as_heldout_mean m, as_err *err) {
    as_buf b = {0};
    as_buf_fmt(&b, "{\"kind\":\"pseudo_perplexity\",\"step\":%" PRId64 ",\"sequences\":%" PRId64 ",\"predictions\":%" PRId64, step, m.n, m.count);
    as_heldout_json(&b, "loss", m);
    as_heldout_json(&b, "pseudo_perplexity", as_heldout_perplexity(m));
    as_buf_str(&b, "}\n");
    const as_status s = b.failed ? as_fail_nomem(err, "a log line", 0) : fputs(b.p, l->f) < 0 ? failed(l, err) : AS_OK;
    as_buf_free(&b);
    return s;
}

/* A process that was killed may have left half a line. */
as_status as_pretrain_log_cut(as_pretrain_log *l, int64_t step, as_err *err) {
    as_buf all = {0}, kept = {0};
    if (l->store && step >= 0) AS_TRY(as_store_logs_cut(l->store, l->run, step, err));
    if (l->f) fclose(l->f);
    l->f = NULL;
    as_status s = step >= 0 && as_file_exists(l->path) ? as_file_read(&all, l->path, 0, err) : AS_OK;
    for (size_t at = 0, n; s == AS_OK && at < all.n; at += n + 1) {
        const char *end = memchr(all.p + at, '\n', all.n - at);
        n = end ? (size_t)(end - all.p) - at : all.n - at;
        as_json *doc = NULL;
        if (end && as_json_parse(&doc, (as_str){all.p + at, n}, "a log line", 0, NULL) == AS_OK && as_json_int(as_json_get(doc, "step"), INT64_MAX) <= step &&
            !as_str_is(as_json_str(as_json_get(doc, "kind"), AS_LIT("")), "pseudo_perplexity")) /* it comes anew, after the last step */
            as_buf_add(&kept, all.p + at, n + 1);
        as_json_free(doc);
    }
    if (s == AS_OK && kept.failed) s = as_fail_nomem(err, "a log", all.n);
    if (s == AS_OK && step >= 0) s = as_file_write(l->path, kept.p ? kept.p : "", kept.n, err);
    as_buf_free(&all), as_buf_free(&kept);
    return s == AS_OK ? open_file(l, "ae", err) : s;
}

as_status as_pretrain_log_flush(as_pretrain_log *l, as_err *err) {
    if (fflush(l->f) != 0) return failed(l, err);
    return l->store ? as_store_flush(l->store, err) : AS_OK;
}
