/* Bytes as a JSON document: what is accepted must dump, and read again as the same. */
#include "base/mem.h"
#include "io/json.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    as_json *v = NULL, *again = NULL;
    as_err err;
    if (as_json_parse(&v, (as_str){(const char *)data, size}, "fuzz", 0, &err) != ASSAY_OK)
        return 0;
    as_buf first = {0}, second = {0};
    as_json_dump(&first, v, 0);
    if (as_json_parse(&again, as_buf_view(&first), "again", 0, &err) != ASSAY_OK) abort();
    as_json_dump(&second, again, 0);
    if (!as_str_eq(as_buf_view(&first), as_buf_view(&second))) abort();
    as_buf_free(&first);
    as_buf_free(&second);
    as_json_free(v);
    as_json_free(again);
    return 0;
}
