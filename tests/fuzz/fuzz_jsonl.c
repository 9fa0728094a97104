/* One line that json.c reads as an object must be a record with the same strings. */
#include "io/json.h"
#include "io/table.h"
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const as_str text = {(const char *)data, size};
    as_table *t = NULL;
    as_json *v = NULL;
    as_err err;
    const as_table_opts none = {0};
    const bool is_table = as_table_parse(&t, text, "fuzz.jsonl", &none, &err) == ASSAY_OK;
    if (size > 0 && memchr(data, '\n', size) == NULL)
        (void)!as_json_parse(&v, text, "fuzz", 0, &err);
    if (as_json_typeof(v) == AS_JSON_OBJECT) {
        if (!is_table || (size_t)as_table_cols(t) != as_json_count(v)) abort();
        for (as_json_iter *it = as_json_first(v); it != NULL; it = as_json_next(v, it)) {
            int col = -1;
            while (!as_str_eq(as_table_name(t, ++col), as_json_iter_key(it)))
                continue;
            const as_json *const x = as_json_iter_value(it);
            const as_str cell = as_table_cell(t, 0, col);
            if (as_table_is_null(t, 0, col) != (as_json_typeof(x) == AS_JSON_NULL)) abort();
            if (!as_str_eq(as_json_str(x, cell), cell)) abort();
        }
    }
    as_json_free(v);
    as_table_free(t);
    return 0;
}
