/* csv_out.c: predictions beside the columns that they were made from. */
#include "base/file.h"
#include "base/mem.h"
#include "cli/job_options.h"
#include <inttypes.h>
#include <string.h>

struct as_csv_out {
    as_writer file;
    as_table *table; /* NULL: texts */
    as_buf line;
    bool header;
};

static void add_cell(as_buf *b, as_str s) {
    if (b->n > 0) as_buf_char(b, ',');
    bool quote = s.n == 0 && b->n == 0;
    for (size_t i = 0; i < s.n && !quote; i++) quote = s.p[i] == ',' || s.p[i] == '"' || s.p[i] == '\n' || s.p[i] == '\r';
    if (!quote) {
        as_buf_add(b, s.p, s.n);
        return;
    }
    as_buf_char(b, '"');
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '"') as_buf_char(b, '"');
        as_buf_char(b, s.p[i]);
    }
    as_buf_char(b, '"');
}
static as_status end_line(as_csv_out *w, as_err *err) {
    as_buf_char(&w->line, '\n');
    if (w->line.failed) return as_fail_nomem(err, "a line of --csv", w->line.n);
    as_writer_add(&w->file, w->line.p, w->line.n);
    as_buf_clear(&w->line);
    return AS_OK;
}

/* A name for a new column that no column of the input has. */
static void add_name(as_csv_out *w, const char *prefix, const char *label) {
    as_buf name = {0};
    as_buf_fmt(&name, "%s%s", prefix, label);
    for (int c = 0; w->table && c < as_table_cols(w->table); c++)
        if (as_str_eq(as_table_name(w->table, c), as_buf_view(&name))) {
            as_buf_char(&name, '_');
            c = -1;
        }
    if (name.failed) w->line.failed = true;
    add_cell(&w->line, as_buf_view(&name));
    as_buf_free(&name);
}
static as_status add_header(as_csv_out *w, const as_result_item *item, as_err *err) {
    for (int c = 0; w->table && c < as_table_cols(w->table); c++) add_cell(&w->line, as_table_name(w->table, c));
    if (!w->table) add_cell(&w->line, AS_LIT("text"));
    add_name(w, "prediction", "");
    for (int k = 0; item->probs && k < item->num_labels; k++) add_name(w, "probability:", item->labels[k]);
    w->header = true;
    return end_line(w, err);
}

as_status as_csv_out_open(as_csv_out **out, const char *path, const char *data, const as_table_opts *opts, as_err *err) {
    if (data && strcmp(data, "-") == 0) {
        (void)as_fail(err, AS_USAGE, "--csv needs data from a file");
        as_hint(err, "Standard input can be read only once: save it to a file first.");
        return AS_USAGE;
    }
    as_csv_out *w = as_calloc(1, sizeof *w);
    if (!w) return as_fail_nomem(err, "--csv", sizeof *w);
    w->file.fd = -1;
    as_status s = data ? as_table_open(&w->table, data, opts, err) : AS_OK;
    for (int c = 0; s == AS_OK && w->table && c < as_table_cols(w->table); c++) s = as_table_readable(w->table, c, err); /* all are written again */
    if (s == AS_OK) s = as_writer_open(&w->file, path, err);
    if (s != AS_OK) {
        as_table_free(w->table);
        as_free(w);
        return s;
    }
    *out = w;
    return AS_OK;
}
as_status as_csv_out_item(as_csv_out *w, const as_result_item *item, as_err *err) {
    if (!w->header) AS_TRY(add_header(w, item, err));
    if (w->table && item->index >= as_table_rows(w->table))
        return as_fail(err, AS_IO, "%s changed while it was read", as_table_path(w->table));
    for (int c = 0; w->table && c < as_table_cols(w->table); c++) add_cell(&w->line, as_table_cell(w->table, item->index, c));
    if (!w->table) add_cell(&w->line, item->text);
    add_cell(&w->line, item->pred);
    for (int k = 0; item->probs && k < item->num_labels; k++) {
        as_buf_char(&w->line, ',');
        as_buf_real(&w->line, item->probs[k]);
    }
    return end_line(w, err);
}
as_status as_csv_out_commit(as_csv_out *w, as_err *err) { return as_writer_commit(&w->file, err); }
void as_csv_out_free(as_csv_out *w) {
    if (!w) return;
    as_writer_abort(&w->file);
    as_table_free(w->table);
    as_buf_free(&w->line);
    as_free(w);
}
