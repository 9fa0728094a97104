/* task_options.h: --task: options that were not given come from the task. */
#ifndef AS_CLI_TASK_OPTIONS_H
#define AS_CLI_TASK_OPTIONS_H

#include "cli/job_options.h"

typedef enum as_task_use { TASK_EVAL, TASK_PREDICT, TASK_FINETUNE, TASK_BENCH, TASK_ITEMS } as_task_use;

/* Fill the options from the task of --task, before anything reads them; nothing without --task.
 *   eval      data: test if its labels are public, else dev, or --split        predict, items: test, else dev
 *   finetune  data: train, or --split; dev: dev, unless --dev-fraction or --folds says otherwise
 *   bench     data: train; scored: test if its labels are public, else dev, or --split; dev: dev, unless that is scored.
 *             --split train, or any when there is no train: all happens inside that part
 * AS_USAGE: --split or --data-dir without --task, a split that the task lacks or whose labels are not public. */
as_status as_cli_task(as_cli *c, as_task_use use, as_err *err) AS_CHECKED;
/* A task's labels in the order of a checkpoint's own names, where these are the same names; else in id order, with a warning
 * when the checkpoint's say something else. Changes cols->labels and values only. */
as_status as_cli_task_order(as_data_cols *cols, as_cli *c, const as_job *j, as_err *err) AS_CHECKED;

#endif
