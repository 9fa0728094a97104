/* data_check.h: tables from strings, for the tests of src/data. */
#ifndef TESTS_DATA_CHECK_H
#define TESTS_DATA_CHECK_H

#include "base/check.h"
#include "base/mem.h"
#include "data/records.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static inline int no_leaks(void **state) {
    (void)state;
    return as_mem_live_blocks() == 0 ? 0 : -1;
}
#define TEST(f) cmocka_unit_test_setup_teardown(f, no_leaks, no_leaks)

#define must(call, err)                                                    \
    do {                                                                   \
        if ((call) != AS_OK) fail_msg("%s: %s", #call, (err).msg);         \
    } while (0)

/* `name` decides the format: "train.csv", "dev.jsonl". */
static inline as_status read_text(as_records *out, const char *name, const char *text, const as_data_cols *opts,
                                  const as_labels *known, as_err *err) {
    as_table *t = NULL;
    *out = (as_records){0};
    *err = (as_err){0};
    const as_status status = as_table_parse(&t, as_str_of(text), name, &opts->table, err);
    return status != AS_OK ? status : as_records_of_table(out, t, opts, known, err);
}

/* A file of the shared data, or NULL (then the test skips). */
static inline const char *data_file(char *room, size_t cap, const char *name) {
    const char *dir = getenv("ASSAY_DATA");
    if (!dir) return NULL;
    snprintf(room, cap, "%s/%s", dir, name);
    FILE *f = fopen(room, "rb");
    if (f) fclose(f);
    return f ? room : NULL;
}

#endif
