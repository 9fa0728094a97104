/* hub_http.c: HTTP for hub.c over libcurl: the only file of assay that touches the network. It
 * follows redirections itself, because the token must not reach another host and because a HEAD has
 * to see the headers of the redirection. */
#include "base/mem.h"
#include "io/hub_curl.h"
#include "io/hub_impl.h"
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

enum { HOPS = 10, ATTEMPTS = 5, CONNECT_SECONDS = 10 };

struct as_http {
    CURL *curl;
    const as_hub_env *env;
    const as_hub_opts *opts;
    struct curl_slist *plain, *signed_in; /* headers for other hosts, and for the endpoint */
    char error[CURL_ERROR_SIZE];
};

/* ---- waiting ---- */

as_status as_hub_interrupted(as_err *err) {
    (void)as_fail(err, AS_INTERRUPTED, "interrupted");
    as_hint(err, "The same command goes on where it stopped.");
    return AS_INTERRUPTED;
}

as_status as_http_wait(const as_hub_opts *o, double seconds, as_err *err) {
    const double end = as_clock() + seconds;
    for (;;) {
        if (o->stop != NULL && o->stop()) return as_hub_interrupted(err);
        const double left = end - as_clock();
        if (left <= 0) return AS_OK;
        const struct timespec t = {0, left < 0.05 ? (long)(left * 1e9) + 1 : 50000000L};
        nanosleep(&t, NULL);
    }
}

static double backoff(const as_hub_opts *o, int attempt) {
    return (o->retry_seconds > 0 ? o->retry_seconds : 1.0) *
           (double)(1 << (attempt < 6 ? attempt : 6));
}

/* ---- one exchange ---- */

typedef struct exchange {
    const as_http_call *call;
    as_http_reply *reply;
    as_status s; /* of take */
    as_err *err;
    uint64_t got; /* bytes of the body */
    const as_hub_opts *opts;
} exchange;

/* What a server says reaches a terminal: printable ASCII only. */
static void keep_text(char *out, size_t size, as_str v) {
    size_t n = v.n < size ? v.n : size - 1;
    for (size_t i = 0; i < n; i++)
        out[i] = v.p[i] >= ' ' && v.p[i] < 0x7f ? v.p[i] : '?';
    out[n] = '\0';
}
/* W/"abc" and "abc" are abc. Too long ones become none. */
static void keep_etag(char *out, size_t size, as_str v) {
    if (v.n >= 2 && v.p[0] == 'W' && v.p[1] == '/') v.p += 2, v.n -= 2;
    if (v.n >= 2 && v.p[0] == '"' && v.p[v.n - 1] == '"') v.p++, v.n -= 2;
    if (v.n < size) keep_text(out, size, v);
}
static int64_t whole(as_str v) {
    int64_t n;
    return as_parse_i64(v, &n) && n >= 0 ? n : -1;
}
/* Seconds, or a date. */
static int64_t retry_after(as_str v) {
    char text[64];
    int64_t n = whole(v);
    if (n >= 0 || v.n >= sizeof text) return n;
    keep_text(text, sizeof text, v);
    const time_t at = as_curl_loaded.getdate(text, NULL);
    if (at < 0) return -1;
    n = (int64_t)at - (int64_t)time(NULL);
    return n > 0 ? n : 0;
}
/* "bytes 100-199/200" begins at 100. */
static int64_t range_from(as_str v) {
    size_t i = 6;
    if (v.n < 8 || strncasecmp(v.p, "bytes ", 6) != 0) return -1;
    while (i < v.n && v.p[i] >= '0' && v.p[i] <= '9')
        i++;
    return i < v.n && v.p[i] == '-' ? whole((as_str){v.p + 6, i - 6}) : -1;
}

static void keep_header(as_http_reply *r, as_str name, as_str v) {
    const struct {
        const char *name;
        char *text;
        size_t size;
    } texts[] = {
        {"x-repo-commit", r->commit, sizeof r->commit},
        {"x-error-code", r->error_code, sizeof r->error_code},
        {"x-error-message", r->error_text, sizeof r->error_text},
    };
    const struct {
        const char *name;
        int64_t *n;
    } numbers[] = {{"content-length", &r->length}, {"x-linked-size", &r->linked_size}};
    for (size_t i = 0; i < AS_COUNT(texts); i++)
        if (as_str_is(name, texts[i].name)) keep_text(texts[i].text, texts[i].size, v);
    for (size_t i = 0; i < AS_COUNT(numbers); i++)
        if (as_str_is(name, numbers[i].name)) *numbers[i].n = whole(v);
    if (as_str_is(name, "etag")) keep_etag(r->etag, sizeof r->etag, v);
    if (as_str_is(name, "x-linked-etag")) keep_etag(r->linked_etag, sizeof r->linked_etag, v);
    if (as_str_is(name, "retry-after")) r->retry_after = retry_after(v);
    if (as_str_is(name, "content-range")) r->range_from = range_from(v);
    if (as_str_is(name, "location") && v.n < sizeof r->location)
        keep_text(r->location, sizeof r->location, v);
}

/* What says which file it is stays from one hop to the next; the rest is each answer's own. */
static void begin_reply(as_http_reply *r) {
    r->status = 0;
    r->etag[0] = r->error_code[0] = r->error_text[0] = r->location[0] = r->why[0] = '\0';
    r->length = r->range_from = r->retry_after = -1;
    r->cut = false;
}

static size_t on_header(char *p, size_t size, size_t n, void *ctx) {
    const exchange *const x = ctx;
    const size_t bytes = size * n;
    if (bytes >= 5 && memcmp(p, "HTTP/", 5) == 0) {
        begin_reply(x->reply);
        const char *const blank = memchr(p, ' ', bytes); /* known before the body comes */
        x->reply->status = blank != NULL ? strtol(blank, NULL, 10) : 0;
        return bytes;
    }
    const char *const colon = memchr(p, ':', bytes);
    char name[32];
    const size_t k = colon != NULL ? (size_t)(colon - p) : sizeof name;
    if (k >= sizeof name) return bytes;
    for (size_t i = 0; i < k; i++)
        name[i] = (char)tolower((unsigned char)p[i]);
    as_str v = {colon + 1, bytes - k - 1};
    while (v.n > 0 && (unsigned char)v.p[0] <= ' ')
        v.p++, v.n--;
    while (v.n > 0 && (unsigned char)v.p[v.n - 1] <= ' ')
        v.n--;
    keep_header(x->reply, (as_str){name, k}, v);
    return bytes;
}

static size_t on_body(char *p, size_t size, size_t n, void *ctx) {
    exchange *const x = ctx;
    const size_t bytes = size * n;
    x->got += bytes;
    if (x->call->take == NULL || (x->reply->status != 200 && x->reply->status != 206)) return bytes;
    x->s = x->call->take(x->call->ctx, x->reply, p, bytes, x->err);
    return x->s == AS_OK ? bytes : 0;
}

static int on_progress(void *ctx, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d) {
    const exchange *const x = ctx;
    (void)a, (void)b, (void)c, (void)d;
    return x->opts->stop != NULL && x->opts->stop() ? 1 : 0;
}

static void set_call(as_http *h, exchange *x, const char *url, bool with_token) {
    char range[32];
    as_curl_loaded.easy_setopt(h->curl, CURLOPT_URL, url);
    as_curl_loaded.easy_setopt(h->curl, CURLOPT_HTTPHEADER, with_token ? h->signed_in : h->plain);
    as_curl_loaded.easy_setopt(h->curl, CURLOPT_HTTPGET, 1L);
    as_curl_loaded.easy_setopt(h->curl, CURLOPT_NOBODY, x->call->head ? 1L : 0L);
    snprintf(range, sizeof range, "%" PRIu64 "-", x->call->from);
    as_curl_loaded.easy_setopt(h->curl, CURLOPT_RANGE, x->call->from > 0 ? range : NULL);
    as_curl_loaded.easy_setopt(h->curl, CURLOPT_HEADERDATA, x);
    as_curl_loaded.easy_setopt(h->curl, CURLOPT_WRITEDATA, x);
    as_curl_loaded.easy_setopt(h->curl, CURLOPT_XFERINFODATA, x);
    h->error[0] = '\0';
}

/* ---- addresses ---- */

/* "https://host:443" of an http or https address; false for others. */
static bool origin_of(char *out, size_t size, const char *url) {
    bool good = false;
    char *scheme = NULL, *host = NULL, *port = NULL;
    CURLU *const u = as_curl_loaded.url();
    if (u != NULL && as_curl_loaded.url_set(u, CURLUPART_URL, url, 0) == CURLUE_OK &&
        as_curl_loaded.url_get(u, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
        as_curl_loaded.url_get(u, CURLUPART_HOST, &host, 0) == CURLUE_OK &&
        as_curl_loaded.url_get(u, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) == CURLUE_OK) {
        const int n = snprintf(out, size, "%s://%s:%s", scheme, host, port);
        good = n > 0 && (size_t)n < size &&
               (strcmp(scheme, "http") == 0 || strcmp(scheme, "https") == 0);
        for (char *p = out; good && *p != '\0'; p++)
            *p = (char)tolower((unsigned char)*p);
    }
    as_curl_loaded.free(scheme), as_curl_loaded.free(host), as_curl_loaded.free(port);
    as_curl_loaded.url_cleanup(u);
    return good;
}

/* The address that `location` means when url answers with it, onto *next. */
static bool resolve(as_buf *next, const char *url, const char *location) {
    char *full = NULL;
    CURLU *const u = as_curl_loaded.url();
    const bool good = u != NULL && as_curl_loaded.url_set(u, CURLUPART_URL, url, 0) == CURLUE_OK &&
                      as_curl_loaded.url_set(u, CURLUPART_URL, location, 0) == CURLUE_OK &&
                      as_curl_loaded.url_get(u, CURLUPART_URL, &full, 0) == CURLUE_OK;
    if (good) as_buf_clear(next), as_buf_str(next, full);
    as_curl_loaded.free(full);
    as_curl_loaded.url_cleanup(u);
    return good && !next->failed;
}

/* ---- requests ---- */

static bool passes_by(CURLcode code) {
    switch (code) {
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_COULDNT_CONNECT:
    case CURLE_OPERATION_TIMEDOUT:
    case CURLE_GOT_NOTHING:
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM:
    case CURLE_PARTIAL_FILE:
        return true;
    default:
        return false;
    }
}

static as_status no_answer(const as_http *h, const char *url, CURLcode code, as_err *err) {
    char origin[300];
    if (!origin_of(origin, sizeof origin, url)) {
        (void)as_fail(err, AS_USAGE, "%.200s: no http or https address", url);
        as_hint(err, "HF_ENDPOINT is one such as https://huggingface.co.");
        return AS_USAGE;
    }
    (void)as_fail(err, AS_IO, "%s: no answer: %.200s", origin,
                  h->error[0] ? h->error : as_curl_loaded.easy_strerror(code));
    if (code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_CACERT_BADFILE)
        as_hint(
            err,
            "SSL_CERT_FILE names the certificates to trust; behind a company's proxy, its own.");
    else
        as_hint(err,
                "Check the network, the proxy (https_proxy) and HF_ENDPOINT. What the cache holds "
                "needs no network.");
    return AS_IO;
}

/* One request and its answer, at one address. *again: it failed in a way that may pass. */
static as_status exchange_once(as_http *h, const as_http_call *c, const char *url, bool with_token,
                               as_http_reply *r, bool *again, as_err *err) {
    exchange x = {.call = c, .reply = r, .err = err, .opts = h->opts};
    begin_reply(r);
    set_call(h, &x, url, with_token);
    const CURLcode code = as_curl_loaded.easy_perform(h->curl);
    *again = false;
    if (x.s != AS_OK) return x.s;
    if (code == CURLE_OK) return AS_OK;
    if (code == CURLE_ABORTED_BY_CALLBACK) return as_hub_interrupted(err);
    if (code == CURLE_OUT_OF_MEMORY) return as_fail_nomem(err, "a transfer", 0);
    *again = passes_by(code);
    if (*again && r->status >= 200) { /* an answer, of which the end is missing */
        r->cut = true;
        snprintf(r->why, sizeof r->why, "%s", h->error[0] ? h->error : as_curl_loaded.easy_strerror(code));
        return AS_OK;
    }
    return no_answer(h, url, code, err);
}

static bool redirects(const as_http_call *c, const as_http_reply *r) {
    const bool moved = r->status == 301 || r->status == 302 || r->status == 303 ||
                       r->status == 307 || r->status == 308;
    if (!moved || r->location[0] == '\0') return false;
    const bool absolute = strstr(r->location, "://") != NULL || strncmp(r->location, "//", 2) == 0;
    return !c->head || !absolute || (r->linked_etag[0] == '\0' && r->etag[0] == '\0');
}

/* From the call's address to the answer that is no redirection. */
static as_status follow(as_http *h, const as_http_call *c, as_http_reply *r, bool *again,
                        as_err *err) {
    char home[300], here[300];
    as_buf url = {0}, next = {0};
    as_status s = AS_OK;
    as_buf_str(&url, c->url);
    if (url.failed) s = as_fail_nomem(err, "an address", 0);
    if (s == AS_OK && !origin_of(home, sizeof home, h->env->endpoint))
        s = no_answer(h, h->env->endpoint, CURLE_URL_MALFORMAT, err);
    for (int hop = 0; s == AS_OK; hop++) {
        if (!origin_of(here, sizeof here, url.p)) {
            s = as_fail(err, AS_FORMAT, "%s: leads to what is no http or https address", home);
        } else if (hop > 0 && strncmp(home, "https:", 6) == 0 && strncmp(here, "https:", 6) != 0) {
            s = as_fail(err, AS_FORMAT, "%s: leads from https to %s, which is not encrypted", home,
                        here);
        } else {
            s = exchange_once(h, c, url.p, strcmp(here, home) == 0, r, again, err);
        }
        if (s != AS_OK || !redirects(c, r)) break;
        as_buf_clear(&next);
        if (hop == HOPS || !resolve(&next, url.p, r->location))
            s = as_fail(err, AS_FORMAT, "%s: its redirections lead nowhere", home);
        const as_buf old = url;
        url = next, next = old;
    }
    as_buf_free(&url), as_buf_free(&next);
    return s;
}

static bool is_busy(long status) {
    return status == 408 || status == 429 || status == 500 || status == 502 || status == 503 ||
           status == 504;
}

as_status as_http_send(as_http *h, const as_http_call *c, as_http_reply *r, as_err *err) {
    const double limit = h->opts->wait_limit > 0 ? h->opts->wait_limit : 300;
    double waited = 0;
    for (int attempt = 1;; attempt++) {
        bool again = false;
        *r = (as_http_reply){.linked_size = -1};
        const as_status s = follow(h, c, r, &again, err);
        if (s != AS_OK && (!again || attempt == ATTEMPTS - 2)) return s;
        if (s == AS_OK && (!is_busy(r->status) || (attempt >= ATTEMPTS && r->status != 429)))
            return s;
        double seconds = backoff(h->opts, attempt - 1);
        if (s == AS_OK && r->retry_after >= 0 && (double)r->retry_after > seconds)
            seconds = (double)r->retry_after;
        if (waited + seconds > limit) return s;
        if (s == AS_OK)
            as_log_line(h->opts->log, AS_INFO, "%s: busy (HTTP %ld): waiting %.0f s",
                        h->env->endpoint, r->status, seconds);
        AS_TRY(as_http_wait(h->opts, seconds, err));
        waited += seconds;
    }
}

/* ---- the handle ---- */

static bool add_header(struct curl_slist **list, const char *line) {
    struct curl_slist *const longer = as_curl_loaded.slist_append(*list, line);
    if (longer != NULL) *list = longer;
    return longer != NULL;
}

static bool make_headers(as_http *h) {
    as_buf b = {0};
    bool good = add_header(&h->plain, "Accept-Encoding: identity") &&
                add_header(&h->signed_in, "Accept-Encoding: identity");
    if (h->env->token != NULL) {
        as_buf_fmt(&b, "Authorization: Bearer %s", h->env->token);
        good = good && !b.failed && add_header(&h->signed_in, b.p);
    }
    as_buf_free(&b);
    return good;
}

static void set_handle(as_http *h) {
    CURL *const c = h->curl;
#if LIBCURL_VERSION_NUM >= 0x075500
    as_curl_loaded.easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
#else
    as_curl_loaded.easy_setopt(c, CURLOPT_PROTOCOLS, (long)(CURLPROTO_HTTP | CURLPROTO_HTTPS));
#endif
    as_curl_loaded.easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
    as_curl_loaded.easy_setopt(c, CURLOPT_FOLLOWLOCATION, 0L);
    as_curl_loaded.easy_setopt(c, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    as_curl_loaded.easy_setopt(c, CURLOPT_USERAGENT, "assay/" AS_VERSION);
    as_curl_loaded.easy_setopt(c, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_SECONDS);
    as_curl_loaded.easy_setopt(c, CURLOPT_LOW_SPEED_LIMIT, 1L);
    as_curl_loaded.easy_setopt(c, CURLOPT_LOW_SPEED_TIME, h->env->timeout);
    as_curl_loaded.easy_setopt(c, CURLOPT_BUFFERSIZE, 256L << 10);
    as_curl_loaded.easy_setopt(c, CURLOPT_ERRORBUFFER, h->error);
    as_curl_loaded.easy_setopt(c, CURLOPT_NOPROGRESS, 0L);
    as_curl_loaded.easy_setopt(c, CURLOPT_XFERINFOFUNCTION, on_progress);
    as_curl_loaded.easy_setopt(c, CURLOPT_HEADERFUNCTION, on_header);
    as_curl_loaded.easy_setopt(c, CURLOPT_WRITEFUNCTION, on_body);
    if (h->env->ca_file != NULL) as_curl_loaded.easy_setopt(c, CURLOPT_CAINFO, h->env->ca_file);
}

as_status as_http_open(as_http **out, const as_hub_env *env, const as_hub_opts *o, as_err *err) {
    *out = NULL;
    AS_TRY(as_curl_load(err));
    if (as_curl_loaded.global_init(CURL_GLOBAL_DEFAULT) != 0)
        return as_fail(err, AS_IO, "libcurl cannot be started");
    as_http *const h = as_calloc(1, sizeof *h);
    if (h == NULL) {
        as_curl_loaded.global_cleanup();
        return as_fail_nomem(err, "a connection", sizeof *h);
    }
    h->env = env, h->opts = o;
    h->curl = as_curl_loaded.easy_init();
    if (h->curl == NULL || !make_headers(h)) {
        as_http_free(h);
        return as_fail_nomem(err, "a connection", 0);
    }
    set_handle(h);
    *out = h;
    return AS_OK;
}

void as_http_free(as_http *h) {
    if (h == NULL) return;
    as_curl_loaded.easy_cleanup(h->curl);
    as_curl_loaded.slist_free_all(h->plain);
    as_curl_loaded.slist_free_all(h->signed_in);
    as_free(h);
    as_curl_loaded.global_cleanup();
}
