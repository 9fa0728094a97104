/* task_impl.h: shared by the files of src/task. */
#ifndef AS_TASK_TASK_IMPL_H
#define AS_TASK_TASK_IMPL_H

#include "task/task.h"

char *as_task_text(as_arena *arena, as_str s); /* NUL-terminated copy, NULL without memory */
as_status as_task_read(as_task *out, const char *path, as_arena *arena, as_err *err) AS_CHECKED;
/* The hint for a word that none of the names is. */
void as_task_hint_names(const char *word, const char *what, const char *const *names, size_t count, as_err *err);

#endif
