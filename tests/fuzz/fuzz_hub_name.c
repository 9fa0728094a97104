/* Bytes as a name that a server gives: what is accepted stays below its folder. */
#include "io/hub.h"
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const as_str name = {(const char *)data, size};
    char path[1100] = "/";
    if ((as_hub_id_ok(name) || as_hub_etag_ok(name)) && !as_hub_name_ok(name)) abort();
    if (!as_hub_name_ok(name)) return 0;
    if (size > 1024 || memchr(data, '\0', size) != NULL || data[0] == '/') abort();
    memcpy(path + 1, data, size);
    memcpy(path + 1 + size, "/", 2);
    if (strstr(path, "/../") != NULL || strstr(path, "/./") != NULL || strstr(path, "//") != NULL)
        abort();
    return 0;
}
