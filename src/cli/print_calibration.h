/* print_calibration.h: calibration, conformal sets and perturbed texts of an evaluation, as people and programs read them. */
#ifndef AS_CLI_PRINT_CALIBRATION_H
#define AS_CLI_PRINT_CALIBRATION_H

#include "cli/print.h"

/* What r has of them; nothing when it has none. */
void as_print_calibration(as_buf *b, const as_eval_result *r);
void as_print_calibration_json(as_buf *b, const as_eval_result *r, const char *model);
#endif
