/* job_options.h: from options to what the library takes. */
#ifndef AS_CLI_JOB_OPTIONS_H
#define AS_CLI_JOB_OPTIONS_H

#include "cli/commands.h"
#include "run/job.h"

/* A checkpoint folder: the argument itself when it is one, else the snapshot of that Hub id (ORG/NAME, ORG/NAME@REV) in the
 * local cache (io/hub.h). AS_IO when there is neither. Lives in the arena. */
as_status as_cli_model_dir(const char **out, as_cli *c, const char *model, as_err *err) AS_CHECKED;
as_status as_cli_job(as_job *out, as_cli *c, const char *model, as_err *err) AS_CHECKED;
/* The store of --db, which must be there. */
struct as_store;
as_status as_cli_store(struct as_store **out, const as_cli *c, as_err *err) AS_CHECKED;
/* A run's number on the command line. */
as_status as_cli_run_number(int64_t *out, const char *text, as_err *err) AS_CHECKED;
/* AS_USAGE for a list that names an unknown metric; NULL is fine. */
as_status as_cli_check_metrics(const as_cli *c, const char *list, as_err *err) AS_CHECKED;
as_status as_cli_table_opts(as_table_opts *out, const as_cli *c, as_err *err) AS_CHECKED;
as_status as_cli_cols(as_data_cols *out, const as_cli *c, as_err *err) AS_CHECKED;

/* Texts from the arguments behind the model, or the lines of --file. */
typedef struct as_cli_texts {
    as_str *v;
    int64_t n;
    as_table *table;  /* owns the lines */
} as_cli_texts;
as_status as_cli_texts_open(as_cli_texts *out, const as_cli *c, as_err *err) AS_CHECKED;
void as_cli_texts_close(as_cli_texts *t);

/* --csv: the input's columns, then "prediction", "probability:LABEL" ... or nothing more for regression. Written beside the
 * work and renamed at the end. */
typedef struct as_csv_out as_csv_out;
/* data NULL: the one column is the text of the items. */
as_status as_csv_out_open(as_csv_out **out, const char *path, const char *data, const as_table_opts *opts, as_err *err) AS_CHECKED;
as_status as_csv_out_item(as_csv_out *w, const as_result_item *item, as_err *err) AS_CHECKED;
as_status as_csv_out_commit(as_csv_out *w, as_err *err) AS_CHECKED;
void as_csv_out_free(as_csv_out *w); /* without commit: nothing is left */

#endif
