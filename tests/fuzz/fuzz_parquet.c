/* Bytes as a Parquet file, in little memory: whatever is accepted has cells that can be read, and
 * they are valid UTF-8. */
#include "base/utf8.h"
#include "io/table_impl.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    as_table *const t = as_calloc(1, sizeof *t);
    const as_table_opts opts = {.limit = size % 3 == 0 ? 2 : 0};
    as_err err;
    if (t == NULL) return 0;
    t->where = "fuzz";
    as_buf_add(&t->text, data, size);
    if (as_parquet_parse(t, &opts, 4 << 20, &err) == ASSAY_OK) {
        for (int64_t row = 0; row < as_table_rows(t); row++)
            for (int col = 0; col < as_table_cols(t); col++) {
                const as_str cell = as_table_cell(t, row, col);
                if (as_utf8_valid_prefix(cell.p, cell.n) != cell.n) abort();
                if (as_table_is_null(t, row, col) && cell.n > 0) abort();
            }
    }
    as_table_free(t);
    return 0;
}
