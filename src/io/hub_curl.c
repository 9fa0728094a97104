#include "io/hub_curl.h"
#include <dlfcn.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

as_curl as_curl_loaded;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static bool loaded;

static void load(void) {
    static const char *const names[] = {"libcurl.so.4", "libcurl-gnutls.so.4", "libcurl.4.dylib"};
    static const struct { const char *name; size_t at; } functions[] = {
#define AS_CURL_ROW(name) {"curl_" #name, offsetof(as_curl, name)},
        AS_CURL_FUNCTIONS(AS_CURL_ROW)
    };
    void *library = NULL;
    for (size_t i = 0; i < AS_COUNT(names) && !library; i++) library = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
    loaded = library != NULL;
    for (size_t i = 0; loaded && i < AS_COUNT(functions); i++) {
        void *const f = dlsym(library, functions[i].name);
        loaded = f != NULL;
        memcpy((char *)&as_curl_loaded + functions[i].at, &f, sizeof f); /* POSIX: a pointer to a function fits */
    }
}

as_status as_curl_load(as_err *err) {
    pthread_once(&once, load);
    if (loaded) return AS_OK;
    (void)as_fail(err, AS_IO, "libcurl cannot be loaded");
    as_hint(err, "Install it (Debian: libcurl4); nothing but pull needs it.");
    return AS_IO;
}
