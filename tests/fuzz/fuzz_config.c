/* Bytes as a config.json: whatever is accepted has sizes that can be computed with and a name for each label. */
#include "model/config.h"
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    as_config c;
    as_err err;
    const as_status s = as_config_parse(&c, (as_str){(const char *)data, size}, "fuzz", &err);
    if (s != ASSAY_OK) {
        if (c.raw || err.msg[0] == '\0' || err.hint[0] == '\0') abort();
        return 0;
    }
    if (c.hidden < 1 || c.heads < 1 || c.hidden % c.heads != 0 || c.num_labels < 1 || !(c.eps >= 0.0f && c.eps <= 1.0f)) abort();
    size_t n = strlen(c.model_type) + strlen(c.architecture);
    for (int i = 0; i < c.num_labels; i++) n += strlen(c.labels[i]);
    if (n == 0) abort();
    as_config_free(&c);
    return 0;
}
