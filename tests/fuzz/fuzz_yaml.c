/* Bytes as YAML: what is accepted must dump as JSON that reads again. */
#include "base/mem.h"
#include "io/yaml.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    as_json *v = NULL, *again = NULL;
    as_err err;
    if (as_yaml_parse(&v, (as_str){(const char *)data, size}, "fuzz", &err) != ASSAY_OK) return 0;
    as_buf out = {0};
    as_json_dump(&out, v, 2);
    if (as_json_parse(&again, as_buf_view(&out), "again", 0, &err) != ASSAY_OK) abort();
    as_buf_free(&out);
    as_json_free(v);
    as_json_free(again);
    return 0;
}
