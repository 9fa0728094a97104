/* cmd_data.h: the parts of `assay data`. */
#ifndef AS_CLI_CMD_DATA_H
#define AS_CLI_CMD_DATA_H

#include "base/file.h"
#include "base/parallel.h"
#include "cli/task_options.h"

as_status as_data_contamination(as_cli *c, as_err *err) AS_CHECKED;
#endif
