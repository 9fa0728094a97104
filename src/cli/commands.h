/* commands.h: the table of commands, and what a command gets. A new command is one file cmd_NAME.c and one row. */
#ifndef AS_CLI_COMMANDS_H
#define AS_CLI_COMMANDS_H

#include "base/log.h"
#include "cli/options.h"
#include "cli/out.h"

typedef struct as_cli {
    as_parsed p;          /* options and arguments */
    as_out out;           /* standard output */
    as_log log;           /* standard error */
    as_arena arena;       /* lives as long as the command */
    bool colour;          /* of standard error */
    const char *line;     /* what was typed, for the record */
} as_cli;

typedef struct as_command {
    const char *name, *args, *brief;
    const char *about;             /* a paragraph, without newlines */
    const char *example, *shows;   /* a worked example: the command, and what it prints */
    unsigned takes;                /* sum of as_takes */
    int least, most;               /* arguments; most < 0 = any number */
    as_status (*run)(as_cli *c, as_err *err);
} as_command;
size_t as_command_table(const as_command **rows);
const as_command *as_command_find(const char *name);
static inline bool as_command_takes(const as_command *c, const as_option *o) { return ((c->takes | TAKES_ALWAYS) & o->takes) != 0; }

as_status as_cmd_info(as_cli *c, as_err *err);
as_status as_cmd_tokenize(as_cli *c, as_err *err);
as_status as_cmd_predict(as_cli *c, as_err *err);
as_status as_cmd_fill(as_cli *c, as_err *err);
as_status as_cmd_embed(as_cli *c, as_err *err);
as_status as_cmd_finetune(as_cli *c, as_err *err);
as_status as_cmd_eval(as_cli *c, as_err *err);
as_status as_cmd_score(as_cli *c, as_err *err);
as_status as_cmd_bench(as_cli *c, as_err *err);
as_status as_cmd_compare(as_cli *c, as_err *err);
as_status as_cmd_diff(as_cli *c, as_err *err);
as_status as_cmd_report(as_cli *c, as_err *err);
as_status as_cmd_pull(as_cli *c, as_err *err);
as_status as_cmd_runs(as_cli *c, as_err *err);
as_status as_cmd_tasks(as_cli *c, as_err *err);
as_status as_cmd_tokenizer(as_cli *c, as_err *err);
as_status as_cmd_data(as_cli *c, as_err *err);

/* help.c: pages for a terminal and for man; completion.c. */
void as_help_all(as_buf *out);
void as_help_command(as_buf *out, const as_command *c);
void as_help_man(as_buf *out);
as_status as_completion(as_buf *out, const char *shell, as_err *err) AS_CHECKED;

/* The whole program: argv as main gets it; returns the exit status. */
int as_cli_main(int argc, char **argv);

#endif
