/* Bytes as a condition of --fail-if: read or refused with a hint; what is read names metrics, one or two. */
#include "run/gate.h"
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    as_buf text = {0}, list = {0};
    as_err err = {0};
    as_buf_add(&text, (const char *)data, size);
    as_buf_char(&text, '\0');
    const as_status s = as_gate_metrics(&list, text.p, &err);
    if (s == AS_OK && (list.n == 0 || strlen(list.p) != list.n)) abort();
    if (s != AS_OK && (list.n != 0 || err.msg[0] == '\0' || err.hint[0] == '\0')) abort();
    as_buf_free(&text), as_buf_free(&list);
    return 0;
}
