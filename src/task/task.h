/* task.h: a task is a YAML file that says which files hold it, what their columns and labels mean, and how it is scored.
 * The built-in ones lie in share/assay/tasks; docs/tasks.md describes the form. Strings live in the caller's arena. */
#ifndef AS_TASK_TASK_H
#define AS_TASK_TASK_H

#include "base/arena.h"
#include "data/records.h"

typedef enum as_split { AS_SPLIT_TRAIN, AS_SPLIT_DEV, AS_SPLIT_TEST, AS_SPLIT_COUNT } as_split;
const char *as_split_name(as_split s);
/* AS_USAGE that lists the names. */
as_status as_split_parse(as_split *out, const char *name, as_err *err) AS_CHECKED;

/* Unset strings are NULL. The strings are as the command line takes them: lists with commas; labels and values may be JSON. */
typedef struct as_task {
    const char *name, *about, *kind;            /* kind: classify, multilabel, regress; never NULL */
    const char *text, *pair, *label, *id, *cluster;
    const char *labels, *values;                /* names in id order; what the files hold for them, when it is something else */
    const char *positive, *metrics, *cite, *licence;
    const char *hub, *config;                   /* data set on the Hub, and which of its parts */
    const char *files[AS_SPLIT_COUNT];          /* below a data folder; NULL = the task has no such split */
    bool unlabelled[AS_SPLIT_COUNT];            /* there, but its labels are not public */
    const char *sep, *columns, *encoding;       /* sep: one character */
    int64_t max_split;
    bool no_quotes, no_header;
    const char *path;                           /* of the YAML file */
    bool built_in;
} as_task;

/* By name from the built-in folder; or by path, when `name` has a slash or ends with .yaml or .yml. AS_USAGE: unknown name, with
 * the known ones and the nearest; AS_FORMAT: a file that is no task, with the key that is wrong. */
as_status as_task_open(as_task *out, const char *name, as_arena *arena, as_err *err) AS_CHECKED;
/* From text; `where` names it in errors, and is its path. */
as_status as_task_parse(as_task *out, as_str yaml, const char *where, as_arena *arena, as_err *err) AS_CHECKED;
bool as_task_has(const as_task *t, as_split s, bool labelled);
/* What as_records_open takes for the task's files. */
as_status as_task_cols(as_data_cols *out, const as_task *t, as_err *err) AS_CHECKED;

/* task_find.c. The built-in folder: $ASSAY_SHARE/tasks, else ../share/assay/tasks or ../../share/assay/tasks from the program's
 * own folder (installed, or in the source tree), else where it was installed. */
as_status as_task_folder(const char **out, as_arena *arena, as_err *err) AS_CHECKED;
/* The names in the built-in folder, sorted. */
as_status as_task_names(const char *const **names, size_t *count, as_arena *arena, as_err *err) AS_CHECKED;
/* The file of a split. With data_dir it lies there; else beside a task that was opened by path, in $ASSAY_DATA, or in the Hub
 * cache's snapshot of the data set (under its path or its last component). AS_IO says where it was looked for; AS_USAGE: the
 * task has no such split. */
as_status as_task_file(const char **out, const as_task *t, as_split s, const char *data_dir, as_arena *arena, as_err *err) AS_CHECKED;

#endif
