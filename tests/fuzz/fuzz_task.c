/* A task's YAML: what is accepted has a name, a kind and a file. */
#include "task/task.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    as_arena arena;
    as_task t;
    as_data_cols cols;
    as_err err;
    as_arena_init(&arena, 4096);
    if (as_task_parse(&t, (as_str){(const char *)data, size}, "fuzz", &arena, &err) == AS_OK) {
        if (!t.name || !t.kind || !(t.files[0] || t.files[1] || t.files[2])) abort();
        if (as_task_cols(&cols, &t, &err) != AS_OK) abort();
    }
    as_arena_deinit(&arena);
    return 0;
}
