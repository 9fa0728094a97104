/* cmd_data.c: what is done to data before a model sees it: corpora for pre-training. */
#include "base/mem.h"
#include "cli/cmd_data.h"
#include "data/corpus_build.h"
#include "data/corpus_minhash.h"
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- what a corpus is ---- */
static void print_rule(as_grid *g, const as_corpus_summary *s, as_corpus_rule r) {
    const as_rule_drop *const d = &s->drop[r];
    const bool plain = r == AS_RULE_NFC || r == AS_RULE_CONTROL || r == AS_RULE_EMPTY || r == AS_RULE_EXACT || r == AS_RULE_LANG;
    as_grid_cell(g, as_str_of(as_rule_at(r)->name));
    if (plain) as_grid_cell(g, AS_LIT(""));
    else as_grid_fmt(g, "%g", s->value[r]);
    as_grid_cell(g, as_str_of(as_out_whole(d->docs).s));
    as_grid_cell(g, as_str_of(as_out_whole(d->lines).s));
    as_grid_cell(g, as_str_of(as_out_whole(d->bytes).s));
    as_grid_cell(g, as_str_of(as_rule_at(r)->about));
}

static void print_rules(as_buf *b, const as_corpus_summary *s) {
    static const char *const heads[] = {"rule", "value", "documents", "lines", "bytes", "takes out"};
    as_grid g;
    as_buf idle = {0};
    int rows = 0;
    as_grid_init(&g, "lrrrrL", 0);
    for (size_t i = 0; i < AS_COUNT(heads); i++) as_grid_cell(&g, as_str_of(heads[i]));
    for (int r = 0; r < AS_RULE_COUNT; r++) {
        const as_rule_drop *const d = &s->drop[r];
        if (isnan(s->value[r])) continue;
        if (d->docs > 0 || d->lines > 0 || d->bytes > 0) print_rule(&g, s, (as_corpus_rule)r), rows++;
        else as_buf_fmt(&idle, "%s%s", idle.n > 0 ? ", " : "", as_rule_at((as_corpus_rule)r)->name);
    }
    if (rows > 0) {
        as_buf_char(b, '\n');
        as_grid_print(&g, b);
    } else {
        as_buf unused = {0};
        as_grid_print(&g, &unused);
        as_buf_free(&unused);
    }
    if (idle.n > 0) as_out_wrap(b, "idle", 10, as_buf_view(&idle));
    as_buf_free(&idle);
}

static void print_parts(as_buf *b, const as_corpus_summary *s) {
    static const char *const heads[] = {"part", "documents", "segments", "tokens", "tokens/document", "bytes", "bytes/token", "shards"};
    static const char *const names[] = {"train", "heldout"};
    as_grid g;
    as_buf_char(b, '\n');
    as_grid_init(&g, "lrrrrrrr", 0);
    for (size_t i = 0; i < AS_COUNT(heads); i++) as_grid_cell(&g, as_str_of(heads[i]));
    for (int p = 0; p < AS_CORPUS_PARTS; p++) {
        if (p > 0 && s->docs[p] == 0) continue;
        as_grid_cell(&g, as_str_of(names[p]));
        as_grid_cell(&g, as_str_of(as_out_whole(s->docs[p]).s));
        as_grid_cell(&g, as_str_of(as_out_whole(s->segments[p]).s));
        as_grid_cell(&g, as_str_of(as_out_whole(s->tokens[p]).s));
        as_grid_fmt(&g, "%.1f", s->docs[p] > 0 ? (double)s->tokens[p] / (double)s->docs[p] : 0.0);
        as_grid_cell(&g, as_str_of(as_out_whole(s->bytes[p]).s));
        as_grid_fmt(&g, "%.2f", s->tokens[p] > 0 ? (double)s->bytes[p] / (double)s->tokens[p] : 0.0);
        as_grid_fmt(&g, "%" PRId64, s->shards[p]);
    }
    as_grid_print(&g, b);
}

static void print_languages(as_buf *b, const as_corpus_summary *s) {
    int64_t all = 0;
    bool any = false;
    for (int l = 0; l <= AS_LANGS; l++) all += s->lang_bytes[l];
    for (int l = 0; l <= AS_LANGS; l++) {
        if (s->lang_docs[l] == 0) continue;
        as_buf_fmt(b, "%s%s %.1f %%", any ? ", " : "languages ", as_lang_name(l), 100 * (double)s->lang_bytes[l] / (double)all);
        any = true;
    }
    if (any) as_buf_str(b, " of the bytes\n");
}

static void print_summary(as_buf *b, const as_corpus_summary *s, const char *dir) {
    const int64_t tokens = s->tokens[0] + s->tokens[1];
    as_buf_fmt(b, "corpus    %s\n", dir);
    if (s->built_here) {
        as_buf_fmt(b, "read      %s file%s, ", as_out_whole(s->files).s, s->files == 1 ? "" : "s");
        as_buf_fmt(b, "%s documents, ", as_out_whole(s->in_docs).s);
        as_buf_fmt(b, "%s lines, %s\n", as_out_whole(s->in_lines).s, as_out_bytes((uint64_t)s->in_bytes).s);
        if (s->replaced > 0) as_buf_fmt(b, "replaced  %s invalid sequences of UTF-8\n", as_out_whole(s->replaced).s);
        print_rules(b, s);
    }
    print_parts(b, s);
    as_buf_fmt(b, "\ntypes     %s of ", as_out_whole(s->types).s);
    as_buf_fmt(b, "%s; unknown tokens %.3f %%\n", as_out_whole(s->vocab).s, tokens > 0 ? 100 * (double)s->unk / (double)tokens : 0.0);
    print_languages(b, s);
    as_buf_fmt(b, "digest    %s\n", s->digest);
}

static as_status print_json(as_buf *b, const char *dir, as_err *err) {
    as_json *doc;
    char *const path = as_path_join(dir, "corpus.json");
    if (path == NULL) return as_fail_nomem(err, "a path", strlen(dir));
    const as_status s = as_json_read(&doc, path, err);
    as_free(path);
    if (s != AS_OK) return s;
    as_buf_str(b, "{\"kind\":\"corpus\",\"dir\":");
    as_buf_json_str(b, as_str_of(dir));
    as_buf_str(b, ",\"manifest\":");
    as_json_dump(b, doc, 0);
    as_buf_str(b, "}\n");
    as_json_free(doc);
    return AS_OK;
}

/* ---- corpus ---- */
static as_status rules_of(as_corpus_rules *out, const as_options *o, as_err *err) {
    AS_TRY(as_corpus_rules_preset(out, o->rules != NULL ? o->rules : "basic", err));
    for (int64_t i = 0; i < o->rule.count; i++) AS_TRY(as_corpus_rules_set(out, o->rule.v[i], err));
    return AS_OK;
}

static as_status need(const char *option, const char *value, as_err *err) {
    if (value != NULL) return AS_OK;
    (void)as_fail(err, AS_USAGE, "data corpus needs %s", option);
    as_hint(err, "Usage: assay data corpus INPUT... --tokenizer DIR --out DIR");
    return AS_USAGE;
}

static as_status build(as_cli *c, as_err *err) {
    const as_options *const o = &c->p.o;
    as_table_opts table;
    as_corpus_summary s;
    as_corpus_opts b = {.inputs = c->p.args + 1, .n_inputs = c->p.arg_count - 1, .out = o->out, .lang = o->lang, .heldout = o->heldout, .shard_tokens = o->shard_tokens,
                        .threads = (int)o->threads, .again = o->again, .progress_fd = o->quiet ? -1 : 2, .stop = as_interrupted, .log = &c->log};
    if (b.n_inputs < 1) return need("at least one file or folder", NULL, err);
    AS_TRY(need("--tokenizer", o->tokenizer, err));
    AS_TRY(need("--out", o->out, err));
    AS_TRY(rules_of(&b.rules, o, err));
    AS_TRY(as_cli_table_opts(&table, c, err));
    b.read = (as_read_opts){.column = o->text, .encoding = table.encoding, .sep = table.sep, .no_quotes = table.no_quotes};
    if (o->doc != NULL) b.read.unit = strcmp(o->doc, "line") == 0 ? AS_DOC_LINE : strcmp(o->doc, "file") == 0 ? AS_DOC_FILE : AS_DOC_BLANK;
    AS_TRY(as_cli_model_dir(&b.tokenizer_dir, c, o->tokenizer, err));
    AS_TRY(as_corpus_build(&b, &s, err));
    if (s.reused && !o->quiet) as_log_line(&c->log, AS_INFO, "%s was finished before; --again builds it anew", o->out);
    if (o->json) return print_json(&c->out.buf, o->out, err);
    print_summary(&c->out.buf, &s, o->out);
    return AS_OK;
}

/* ---- show, verify ---- */
static as_status show(as_cli *c, as_err *err) {
    const char *const dir = c->p.args[1];
    as_corpus_summary s;
    AS_TRY(as_corpus_summary_read(&s, dir, err));
    if (c->p.o.json) return print_json(&c->out.buf, dir, err);
    print_summary(&c->out.buf, &s, dir);
    return AS_OK;
}

static as_status verify(as_cli *c, as_err *err) {
    const char *const dir = c->p.args[1];
    as_corpus_summary s;
    as_corpus *corpus;
    AS_TRY(as_corpus_summary_read(&s, dir, err));
    AS_TRY(as_corpus_open(&corpus, dir, err));
    const as_status status = as_corpus_verify(corpus, c->p.o.threads > 0 ? (int)c->p.o.threads : as_cpu_count(), err);
    as_corpus_close(corpus);
    if (status != AS_OK) return status;
    const int64_t shards = s.shards[0] + s.shards[1];
    if (c->p.o.json) as_buf_fmt(&c->out.buf, "{\"kind\":\"verified\",\"shards\":%" PRId64 ",\"digest\":\"%s\"}\n", shards, s.digest);
    else as_buf_fmt(&c->out.buf, "ok        %s: %" PRId64 " shard%s as written, digest %s\n", dir, shards, shards == 1 ? "" : "s", s.digest);
    return AS_OK;
}

/* The command's options are those of all its verbs; one that this verb does not read is an error, not a silence. */
static as_status check_options(const as_cli *c, const char *verb, const char *takes, as_err *err) {
    const as_option *rows;
    const size_t n = as_option_table(&rows);
    for (size_t i = 0; i < n; i++) {
        char name[64];
        snprintf(name, sizeof name, " %s ", rows[i].name);
        if (!c->p.given[i] || strstr(takes, name) != NULL || strstr(" json quiet recipe help ", name) != NULL) continue;
        (void)as_fail(err, AS_USAGE, "data %s does not take --%s", verb, rows[i].name);
        as_hint(err, "docs/corpus.md says what it takes.");
        return AS_USAGE;
    }
    return AS_OK;
}

as_status as_cmd_data(as_cli *c, as_err *err) {
    static const struct { const char *name; int least, most; as_status (*run)(as_cli *c, as_err *err); const char *takes; } verbs[] = {
        {"corpus", 1, -1, build, " text sep no-quotes encoding tokenizer doc rules rule lang heldout shard-tokens threads again out "},
        {"show", 2, 2, show, " "},
        {"verify", 2, 2, verify, " threads "},
        {"contamination", 2, 3, as_data_contamination,
         " data task split data-dir text pair id sep max-split no-quotes no-header columns encoding limit run ngram threads seed db metric level items "},
    };
    const char *const verb = c->p.args[0];
    for (size_t i = 0; i < AS_COUNT(verbs); i++) {
        if (strcmp(verb, verbs[i].name) != 0) continue;
        if (c->p.arg_count < verbs[i].least || (verbs[i].most > 0 && c->p.arg_count > verbs[i].most)) break;
        AS_TRY(check_options(c, verb, verbs[i].takes, err));
        AS_TRY(verbs[i].run(c, err));
        return as_out_flush(&c->out, true, err);
    }
    (void)as_fail(err, AS_USAGE, "data: expected `corpus INPUT...`, `show DIR`, `verify DIR` or `contamination CORPUS [TASK]`");
    as_hint(err, "For example: assay data corpus texts/ --tokenizer assets/tiny-bert --out corpus");
    return AS_USAGE;
}
