/* The first line is a form such as "{a}: {b}", the rest a table: texts end to end, one for each record. */
#include "data/compose.h"
#include "base/mem.h"
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const as_table_opts opts = {.format = AS_TABLE_CSV};
    const uint8_t *stop = memchr(data, '\n', size);
    as_table *t = NULL;
    as_composed texts = {0};
    as_err err;
    if (size == 0 || !stop) return 0;
    char *form = as_strndup((const char *)data, (size_t)(stop - data));
    const as_str rest = {(const char *)stop + 1, size - (size_t)(stop - data) - 1};
    if (as_table_parse(&t, rest, "fuzz", &opts, &err) == AS_OK && as_is_composed(form, t) &&
        as_compose(&texts, form, t, as_table_rows(t), &err) == AS_OK)
        for (int64_t i = 0, n = as_table_rows(t); i < n; i++) {
            const as_str s = as_composed_at(&texts, i);
            if (i == n - 1 && s.p + s.n != texts.text.p + texts.text.n) abort();
        }
    as_composed_free(&texts), as_table_free(t), as_free(form);
    return 0;
}
