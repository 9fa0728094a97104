/* Bytes as text: lossy UTF-8 must come out valid, JSON strings must be ASCII-clean, numbers must
 * agree with strtod. */
#include "base/mem.h"
#include "base/utf8.h"
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const as_str s = {(const char *)data, size};
    as_buf lossy = {0}, json = {0};
    double x;
    int64_t i;
    const size_t replaced = as_utf8_lossy(&lossy, s);
    if (as_utf8_valid_prefix(as_buf_view(&lossy).p, lossy.n) != lossy.n) abort();
    if ((replaced == 0) != (as_utf8_valid_prefix(s.p, s.n) == s.n)) abort();
    as_buf_json_str(&json, s);
    if (as_utf8_valid_prefix(json.p, json.n) != json.n || memchr(json.p, '\n', json.n) != NULL)
        abort();
    char *const copy = as_strndup(s.p, s.n);
    if (as_parse_f64(s, &x) && x == x && x != strtod(copy, NULL)) abort();
    if (as_parse_i64(s, &i) && i != strtoll(copy, NULL, 10)) abort();
    as_free(copy);
    as_buf_free(&json);
    as_buf_free(&lossy);
    return 0;
}
