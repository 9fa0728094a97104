/* hub_curl.h: libcurl, loaded when a pull begins: linked, it and what it brings along would cost every command 9 ms at its
 * start. For hub_http.c alone, whose calls of curl_* go through these pointers. */
#ifndef AS_IO_HUB_CURL_H
#define AS_IO_HUB_CURL_H

#define CURL_DISABLE_TYPECHECK
#include "base/status.h"
#include <curl/curl.h>

#define AS_CURL_FUNCTIONS(F)                                                                         \
    F(easy_cleanup) F(easy_init) F(easy_perform) F(easy_setopt) F(easy_strerror) F(free) F(getdate)  \
    F(global_cleanup) F(global_init) F(slist_append) F(slist_free_all) F(url) F(url_cleanup)         \
    F(url_get) F(url_set)

/* What the macros of curl.h put around some of these is not wanted here. */
#undef curl_easy_setopt
#define AS_CURL_POINTER(name) __typeof__(&curl_##name) name;
typedef struct as_curl {
    AS_CURL_FUNCTIONS(AS_CURL_POINTER)
} as_curl;

/* Filled by the first call that succeeds; threads may race for it. AS_IO: not installed. */
extern as_curl as_curl_loaded;
as_status as_curl_load(as_err *err) AS_CHECKED;
#endif
