/* cmd_tokenizer.c: a tokenizer learned from text files. */
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "cli/job_options.h"
#include "io/table.h"
#include "token/tokenizer.h"
#include "token/train.h"
#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* ---- the files ---- */
typedef struct files { char **v; size_t n, cap; } files;

static void files_free(files *f) {
    for (size_t i = 0; i < f->n; i++) as_free(f->v[i]);
    as_free(f->v);
}
static int by_name(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

/* A folder's files in the order of their names, folders inside it likewise; what begins with a dot is left out. */
static as_status add_path(files *f, char *path, int depth, as_err *err) {
    DIR *d = path ? opendir(path) : NULL;
    if (!d || depth > 32) {
        if (d) closedir(d);
        if (!path || !as_grow(&f->v, &f->cap, f->n + 1, sizeof *f->v)) {
            as_free(path);
            return as_fail_nomem(err, "path", 0);
        }
        f->v[f->n++] = path;
        return AS_OK;
    }
    files inside = {0};
    as_status s = AS_OK;
    for (const struct dirent *e; s == AS_OK && (e = readdir(d));) {
        if (e->d_name[0] == '.') continue;
        char *name = as_path_join(path, e->d_name);
        if (!name || !as_grow(&inside.v, &inside.cap, inside.n + 1, sizeof *inside.v))
            as_free(name), s = as_fail_nomem(err, "path", 0);
        else
            inside.v[inside.n++] = name;
    }
    closedir(d);
    if (inside.n > 1) qsort(inside.v, inside.n, sizeof *inside.v, by_name);
    size_t taken = 0;
    while (s == AS_OK && taken < inside.n) s = add_path(f, inside.v[taken++], depth + 1, err);
    while (taken < inside.n) as_free(inside.v[taken++]);
    as_free(inside.v);
    as_free(path);
    return s;
}

/* ---- lines of all files, one after the other ---- */
typedef struct source {
    const as_cli *c;
    files f;
    size_t file;       /* the next one to open */
    as_buf bytes, line;
    size_t at, number; /* of the open one: next byte, lines so far */
    bool ends, lossy, latin1;
} source;

static as_status open_next(source *s, as_err *err) {
    as_buf_clear(&s->bytes);
    s->at = s->number = 0;
    return as_read_maybe_compressed(&s->bytes, s->f.v[s->file++], err);
}

static as_status next_line(void *ctx, as_str *text, bool *more, as_err *err) {
    source *s = ctx;
    while (s->at >= s->bytes.n) {
        if (s->file >= s->f.n) return *more = false, AS_OK;
        AS_TRY(open_next(s, err));
    }
    const char *p = s->bytes.p + s->at, *nl = memchr(p, '\n', s->bytes.n - s->at);
    size_t n = nl ? (size_t)(nl - p) : s->bytes.n - s->at;
    s->at += n + (nl != NULL);
    s->number++;
    if (s->ends)
        n += nl != NULL;
    else if (n > 0 && p[n - 1] == '\r')
        n--;
    *text = (as_str){p, n};
    const size_t valid = s->latin1 ? 0 : as_utf8_valid_prefix(p, n);
    if (!s->latin1 && valid == n) return AS_OK;
    if (!s->latin1 && !s->lossy) {
        (void)as_fail(err, AS_FORMAT, "%s:%zu: byte %zu of the line is not valid UTF-8", s->f.v[s->file - 1], s->number, valid + 1);
        as_hint(err, "--encoding latin-1 reads such files; --encoding utf-8-lossy replaces what is invalid.");
        return AS_FORMAT;
    }
    as_buf_clear(&s->line);
    if (s->latin1)
        as_latin1_to_utf8(&s->line, *text);
    else
        (void)as_utf8_lossy(&s->line, *text);
    *text = as_buf_view(&s->line);
    return s->line.failed ? as_fail_nomem(err, "line", n) : AS_OK;
}

/* ---- options ---- */
static int choice(const char *value, const char *const *names) {
    int i = 0;
    while (value && names[i] && strcmp(value, names[i]) != 0) i++;
    return value && names[i] ? i : 0;
}

static as_status read_special(as_cli *c, as_token_train_opts *o, as_err *err) {
    const char *list = c->p.o.special;
    if (!list) return AS_OK;
    int64_t n = 1;
    for (const char *p = list; *p; p++) n += *p == ',';
    const char **v = as_arena_push(&c->arena, (size_t)n, sizeof *v);
    if (!v) return as_fail_nomem(err, "special tokens", (size_t)n);
    n = 0;
    for (const char *p = list; *list; p += *p == ',') {
        const char *end = strchr(p, ',');
        const as_str name = {p, end ? (size_t)(end - p) : strlen(p)};
        v[n] = as_arena_text(&c->arena, name);
        if (!v[n++]) return as_fail_nomem(err, "special tokens", name.n);
        p += name.n;
        if (!*p) break;
    }
    o->special = v, o->special_count = n;
    return AS_OK;
}

typedef struct display { as_progress p; const char *stage; bool quiet; } display;
static bool show(void *ctx, const char *stage, int64_t done, int64_t total) {
    display *d = ctx;
    if (!d->stage || strcmp(d->stage, stage) != 0) {
        if (d->stage) as_progress_end(&d->p);
        as_progress_begin(&d->p, 2, d->quiet, stage, total);
        d->stage = stage;
    }
    as_progress_add(&d->p, done - d->p.done, 0);
    return !as_interrupted();
}

static as_status read_options(as_cli *c, as_token_train_opts *t, as_err *err) {
    static const char *const models[] = {"wordpiece", "bpe", "unigram", NULL}, *const cases[] = {"", "lower", "keep", NULL},
                             *const accents[] = {"", "strip", "keep", NULL};
    const as_options *o = &c->p.o;
    if (!o->token_model) {
        (void)as_fail(err, AS_USAGE, "tokenizer needs --model");
        as_hint(err, "One of wordpiece (BERT), bpe (GPT-2, RoBERTa), unigram (T5, ALBERT).");
        return AS_USAGE;
    }
    if (!o->out) {
        (void)as_fail(err, AS_USAGE, "tokenizer needs --out");
        as_hint(err, "A folder for tokenizer.json and the files beside it.");
        return AS_USAGE;
    }
    *t = (as_token_train_opts){.model = (as_token_model)choice(o->token_model, models),
                               .vocab_size = o->vocab_size,
                               .min_frequency = o->min_frequency,
                               .limit_alphabet = o->limit_alphabet,
                               .alphabet = as_str_of(o->alphabet),
                               .max_token_length = o->max_piece,
                               .lower = (as_token_switch)choice(o->letter_case, cases),
                               .strip_accents = (as_token_switch)choice(o->accents, accents),
                               .add_prefix_space = o->prefix_space,
                               .threads = (int)o->threads};
    return read_special(c, t, err);
}

/* A folder that holds a tokenizer or anything else is not written over. */
static as_status check_out(const char *dir, as_err *err) {
    DIR *d = opendir(dir);
    if (!d) {
        if (!as_file_exists(dir)) return AS_OK;
        return as_fail(err, AS_USAGE, "%s: is a file, and --out names a folder", dir);
    }
    const struct dirent *e;
    while ((e = readdir(d)) && (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)) {}
    as_status s = AS_OK;
    if (e) s = as_fail(err, AS_USAGE, "%s: holds something already (%.80s)", dir, e->d_name);
    if (e) as_hint(err, "Give a folder that is empty or does not exist.");
    closedir(d);
    return s;
}

/* ---- the result ---- */
static void print(as_cli *c, const as_token_train_opts *o, const as_token_trained *t) {
    as_grid g;
    as_grid_init(&g, "ll", 0);
    as_grid_cell(&g, AS_LIT("read"));
    as_grid_fmt(&g, "%s lines, %s; %s words, %s distinct", as_out_whole(t->texts).s, as_out_bytes((uint64_t)t->bytes).s,
                as_out_whole(t->words).s, as_out_whole(t->distinct).s);
    as_grid_cell(&g, AS_LIT("learned"));
    as_grid_fmt(&g, "%s pieces (%s, %s characters to begin with)", as_out_whole(t->vocab).s, c->p.o.token_model, as_out_whole(t->alphabet).s);
    as_grid_cell(&g, AS_LIT("time"));
    as_grid_fmt(&g, "%.1f s: reading %.1f, learning %.1f", t->read_seconds + t->train_seconds, t->read_seconds, t->train_seconds);
    as_grid_cell(&g, AS_LIT("saved")), as_grid_cell(&g, as_str_of(c->p.o.out));
    as_grid_print(&g, &c->out.buf);
    if (o->vocab_size > 0 && t->vocab < o->vocab_size)
        as_log_line(&c->log, AS_INFO, "note: the texts give %s pieces only, of %s asked for", as_out_whole(t->vocab).s, as_out_whole(o->vocab_size).s);
}
static void print_json(as_cli *c, const as_token_trained *t) {
    as_buf *b = &c->out.buf;
    as_buf_fmt(b, "{\"kind\":\"tokenizer\",\"model\":\"%s\",\"folder\":", c->p.o.token_model);
    as_buf_json_str(b, as_str_of(c->p.o.out));
    as_buf_fmt(b, ",\"vocab\":%" PRId64 ",\"alphabet\":%" PRId64 ",\"merges\":%" PRId64 ",\"texts\":%" PRId64 ",\"bytes\":%" PRId64
                  ",\"words\":%" PRId64 ",\"distinct\":%" PRId64 ",\"read_seconds\":",
               t->vocab, t->alphabet, t->merges, t->texts, t->bytes, t->words, t->distinct);
    as_buf_real(b, t->read_seconds);
    as_buf_str(b, ",\"train_seconds\":");
    as_buf_real(b, t->train_seconds);
    as_buf_str(b, "}\n");
}

as_status as_cmd_tokenizer(as_cli *c, as_err *err) {
    const as_options *o = &c->p.o;
    as_token_train_opts t;
    as_token_trained info;
    AS_TRY(read_options(c, &t, err));
    AS_TRY(check_out(o->out, err));
    display d = {.quiet = o->quiet};
    t.progress = show, t.progress_ctx = &d;
    source src = {.c = c, .ends = o->line_ends,
                  .lossy = o->encoding && strcmp(o->encoding, "utf-8-lossy") == 0,
                  .latin1 = o->encoding && strcmp(o->encoding, "latin-1") == 0};
    as_buf json = {0};
    as_status s = AS_OK;
    for (int i = 0; i < c->p.arg_count && s == AS_OK; i++) s = add_path(&src.f, as_strdup(c->p.args[i]), 0, err);
    if (s == AS_OK) s = as_tokenizer_train(&json, &t, next_line, &src, &info, err);
    if (d.stage) as_progress_end(&d.p);
    if (s == AS_OK) s = as_tokenizer_write(o->out, as_buf_view(&json), &t, err);
    if (s == AS_OK && o->json) print_json(c, &info);
    if (s == AS_OK && !o->json) print(c, &t, &info);
    files_free(&src.f);
    as_buf_free(&src.bytes), as_buf_free(&src.line), as_buf_free(&json);
    return s;
}
