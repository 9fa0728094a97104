/* The first byte chooses the options, the rest is a table: every cell must lie readable, lines must
 * ascend. */
#include "base/utf8.h"
#include "io/table.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0) return 0;
    const unsigned o = data[0];
    as_table_opts opts = {.no_header = o & 2, .no_quotes = o & 4, .max_split = (o >> 4) & 1};
    opts.format = o & 1 ? AS_TABLE_LINES : AS_TABLE_CSV;
    opts.columns = (o & 9) == 8 ? "a,b" : NULL;
    opts.encoding = (as_encoding)((o >> 5) % 3);
    opts.sep = o & 128 ? ' ' : '\0';
    as_table *t = NULL;
    as_err err;
    if (as_table_parse(&t, (as_str){(const char *)data + 1, size - 1}, "fuzz", &opts, &err) !=
        ASSAY_OK)
        return 0;
    for (int64_t r = 0; r < as_table_rows(t); r++) {
        if (r > 0 && as_table_line(t, r) <= as_table_line(t, r - 1)) abort();
        for (int c = 0; c < as_table_cols(t); c++) {
            const as_str cell = as_table_cell(t, r, c);
            if (as_utf8_valid_prefix(cell.p, cell.n) != cell.n) abort();
        }
    }
    as_table_free(t);
    return 0;
}
