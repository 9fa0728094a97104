#include "cli/job_options.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "io/hub.h"
#include "store/store.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* --- models --- */
as_status as_cli_model_dir(const char **out, as_cli *c, const char *model, as_err *err) {
    *out = model;
    if (as_dir_exists(model)) return AS_OK;
    if (as_file_exists(model)) {
        (void)as_fail(err, AS_USAGE, "%s: a file, where a checkpoint folder is needed", model);
        as_hint(err, "Give the folder that holds config.json and model.safetensors.");
        return AS_USAGE;
    }
    char *found = as_hub_find(AS_HUB_MODEL, model);
    if (found) {
        *out = as_arena_text(&c->arena, as_str_of(found));
        as_free(found);
        return *out ? AS_OK : as_fail_nomem(err, "a path", 0);
    }
    (void)as_fail(err, AS_IO, "%s: no such folder, and no such model in the local Hub cache", model);
    const size_t id = strcspn(model, "@");
    if (strchr(model, '/') && as_hub_id_ok((as_str){model, id}))
        as_hint(err, "assay pull %s fetches it from the Hub; else give a folder with config.json, a tokenizer and model.safetensors.", model);
    else
        as_hint(err, "Give a folder with config.json, a tokenizer and model.safetensors.");
    return AS_IO;
}

/* "models/bert-mini/" is shown as bert-mini; a Hub id keeps its organisation. */
static const char *shown_name(as_cli *c, const char *model, bool is_folder) {
    size_t n = strlen(model);
    while (n > 1 && model[n - 1] == '/') n--;
    size_t from = n;
    while (from > 0 && model[from - 1] != '/') from--;
    if (!is_folder) from = 0;
    const char *kept = as_arena_text(&c->arena, (as_str){model + from, n - from});
    return kept ? kept : model;
}

as_status as_cli_job(as_job *out, as_cli *c, const char *model, as_err *err) {
    const as_options *o = &c->p.o;
    *out = as_job_defaults();
    if (model) {
        AS_TRY(as_cli_model_dir(&out->model, c, model, err));
        out->model_name = shown_name(c, model, out->model == model);
    }
    AS_TRY(as_cli_check_metrics(c, o->metric, err));
    if (o->isa && !as_isa_parse(o->isa, &out->isa)) {
        (void)as_fail(err, AS_USAGE, "--isa: unknown level \"%.32s\"", o->isa);
        as_hint(err, "The levels are portable, avx2, avx512, avx512-bf16.");
        return AS_USAGE;
    }
    out->comm = c->comm;
    out->threads = o->threads == 0 && c->comm ? as_comm_threads(c->comm) : (int)o->threads;
    out->dtype = o->dtype && strcmp(o->dtype, "bf16") == 0 ? AS_COMPUTE_BF16 : AS_COMPUTE_F32;
    out->batch_tokens = o->batch_tokens, out->max_length = o->max_length;
    out->task_name = o->task_name;
    out->db = o->db, out->again = o->again, out->dry_run = o->dry_run;
    out->seed = (uint64_t)o->seed, out->level = o->level / 100.0;
    out->ci = o->ci, out->metrics = o->metric, out->positive = o->positive;
    out->until = o->until;
    out->calibrate = o->calibrate, out->perturb = o->perturb, out->strength = o->strength;
    out->log = &c->log;
    out->progress_fd = o->quiet ? -1 : 2;
    out->command_line = c->line;
    return AS_OK;
}

/* --- the store --- */
as_status as_cli_store(struct as_store **out, const as_cli *c, as_err *err) {
    const char *db = c->p.o.db;
    if (as_file_exists(db)) return as_store_open(out, db, err);
    (void)as_fail(err, AS_IO, "%s: no such store", db);
    as_hint(err, "assay eval and assay finetune make one; --db names another.");
    return AS_IO;
}
as_status as_cli_run_number(int64_t *out, const char *text, as_err *err) {
    if (as_parse_i64(as_str_of(text), out) && *out > 0) return AS_OK;
    (void)as_fail(err, AS_USAGE, "\"%.64s\" is not a run number", text);
    as_hint(err, "assay runs lists what is stored; predictions in files are compared with --pred A --pred B --gold G.");
    return AS_USAGE;
}

/* --- data --- */
static as_status separator(char *out, const char *text, as_err *err) {
    if (strcmp(text, "\\t") == 0 || strcmp(text, "tab") == 0) return *out = '\t', AS_OK;
    if (strlen(text) == 1 && *text != '"' && *text != '\n' && *text != '\r' && (unsigned char)*text < 0x80) return *out = *text, AS_OK;
    (void)as_fail(err, AS_USAGE, "--sep: \"%.16s\" is not one character", text);
    as_hint(err, "Write one ASCII character, or tab.");
    return AS_USAGE;
}
as_status as_cli_table_opts(as_table_opts *out, const as_cli *c, as_err *err) {
    const as_options *o = &c->p.o;
    *out = (as_table_opts){.max_split = (int)o->max_split, .no_quotes = o->no_quotes, .no_header = o->no_header, .keep_cr = o->keep_cr,
                           .columns = o->columns};
    if (o->sep) AS_TRY(separator(&out->sep, o->sep, err));
    if (o->encoding)
        out->encoding = strcmp(o->encoding, "latin-1") == 0 ? AS_LATIN1 : strcmp(o->encoding, "utf-8-lossy") == 0 ? AS_UTF8_LOSSY : AS_UTF8;
    return AS_OK;
}
as_status as_cli_cols(as_data_cols *out, const as_cli *c, as_err *err) {
    const as_options *o = &c->p.o;
    *out = (as_data_cols){.text = o->text, .pair = o->pair, .label = o->label, .id = o->id, .cluster = o->cluster, .labels = o->labels, .values = o->label_values,
                          .limit = o->limit, .slices = o->slices.v, .slice_count = o->slices.count};
    if (o->kind)
        out->kind = strcmp(o->kind, "regress") == 0 ? AS_LABEL_VALUE : strcmp(o->kind, "multilabel") == 0 ? AS_LABEL_MULTI : AS_LABEL_CLASS;
    return as_cli_table_opts(&out->table, c, err);
}

/* --- texts --- */
static as_status texts_of_file(as_cli_texts *t, const as_cli *c, as_err *err) {
    as_table_opts opts;
    AS_TRY(as_cli_table_opts(&opts, c, err));
    opts = (as_table_opts){.format = AS_TABLE_LINES, .keep_cr = opts.keep_cr, .encoding = opts.encoding};
    AS_TRY(as_table_open(&t->table, c->p.o.file, &opts, err));
    as_table_warn_replaced(t->table, &c->log);
    t->n = as_table_rows(t->table);
    if (!(t->v = as_alloc((size_t)t->n, sizeof *t->v))) return as_fail_nomem(err, "texts", 0);
    for (int64_t i = 0; i < t->n; i++) t->v[i] = as_table_cell(t->table, i, 0);
    return AS_OK;
}
static as_status texts_of_arguments(as_cli_texts *t, const as_cli *c, as_err *err) {
    t->n = c->p.arg_count - 1;
    if (!(t->v = as_alloc((size_t)t->n, sizeof *t->v))) return as_fail_nomem(err, "texts", 0);
    for (int64_t i = 0; i < t->n; i++) {
        t->v[i] = as_str_of(c->p.args[i + 1]);
        const size_t good = as_utf8_valid_prefix(t->v[i].p, t->v[i].n);
        if (good == t->v[i].n) continue;
        (void)as_fail(err, AS_FORMAT, "text %" PRId64 " of the command line: invalid UTF-8 at byte %zu", i + 1, good + 1);
        as_hint(err, "Put the text into a file and give --file F --encoding latin-1 or utf-8-lossy.");
        return AS_FORMAT;
    }
    return AS_OK;
}
as_status as_cli_texts_open(as_cli_texts *out, const as_cli *c, as_err *err) {
    *out = (as_cli_texts){0};
    as_status s = AS_OK;
    if (c->p.o.file && c->p.arg_count > 1) {
        s = as_fail(err, AS_USAGE, "texts on the command line and --file at once");
        as_hint(err, "Give one or the other.");
    } else {
        s = c->p.o.file ? texts_of_file(out, c, err) : texts_of_arguments(out, c, err);
    }
    if (s != AS_OK) as_cli_texts_close(out);
    return s;
}
void as_cli_texts_close(as_cli_texts *t) {
    as_free(t->v);
    as_table_free(t->table);
    *t = (as_cli_texts){0};
}
