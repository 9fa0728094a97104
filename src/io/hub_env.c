/* hub_env.c: where the cache is, what the environment says, and which snapshots are there. */
#include "base/file.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "io/hub_impl.h"
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* ---- names ---- */

static bool plain(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.';
}

bool as_hub_id_ok(as_str id) {
    int slashes = 0;
    if (id.n == 0 || id.n > 96) return false;
    for (size_t i = 0; i < id.n; i++) {
        const bool first = i == 0 || id.p[i - 1] == '/', last = i + 1 == id.n || id.p[i + 1] == '/';
        if (id.p[i] == '/') {
            if (first || last || ++slashes > 1) return false;
            continue;
        }
        if (!plain(id.p[i])) return false;
        if ((first || last) && (id.p[i] == '.' || id.p[i] == '-')) return false;
        /* "--" stands for '/' in the cache. */
        if (!first && id.p[i] == id.p[i - 1] && (id.p[i] == '.' || id.p[i] == '-')) return false;
    }
    return true;
}

bool as_hub_name_ok(as_str name) {
    if (name.n == 0 || name.n > 1024) return false;
    if (as_utf8_valid_prefix(name.p, name.n) != name.n) return false;
    size_t from = 0;
    for (size_t i = 0; i <= name.n; i++) {
        if (i < name.n && ((unsigned char)name.p[i] < 0x20 || name.p[i] == 0x7f)) return false;
        if (i < name.n && name.p[i] != '/') continue;
        const as_str part = {name.p + from, i - from};
        if (part.n == 0 || part.n > 255 || as_str_is(part, ".") || as_str_is(part, ".."))
            return false;
        from = i + 1;
    }
    return true;
}

bool as_hub_etag_ok(as_str etag) {
    if (etag.n == 0 || etag.n > 128 || etag.p[0] == '.') return false;
    for (size_t i = 0; i < etag.n; i++)
        if (!plain(etag.p[i])) return false;
    return true;
}

void as_hub_split(as_str spec, as_str *id, as_str *rev) {
    const char *at = memchr(spec.p, '@', spec.n);
    *id = spec, *rev = (as_str){"", 0};
    if (at == NULL) return;
    id->n = (size_t)(at - spec.p);
    *rev = (as_str){at + 1, spec.n - id->n - 1};
}

void as_hub_folder(as_buf *out, as_hub_kind kind, as_str id) {
    as_buf_str(out, kind == AS_HUB_DATASET ? "datasets--" : "models--");
    for (size_t i = 0; i < id.n; i++)
        as_buf_add(out, id.p[i] == '/' ? "--" : id.p + i, id.p[i] == '/' ? 2 : 1);
}

/* ---- environment ---- */

static const char *value_of(const char *name) {
    const char *v = getenv(name);
    return v != NULL && *v != '\0' ? v : NULL;
}

static bool is_on(const char *name) {
    static const char *const yes[] = {"1", "ON", "YES", "TRUE"};
    const char *v = value_of(name);
    for (size_t i = 0; v != NULL && i < AS_COUNT(yes); i++) {
        size_t k = 0;
        while (v[k] != '\0' && toupper((unsigned char)v[k]) == yes[i][k])
            k++;
        if (v[k] == '\0' && yes[i][k] == '\0') return true;
    }
    return false;
}

/* A path as Python's expanduser and expandvars read it: "~", "$NAME", "${NAME}"; names without a
 * value stay as they are. */
static void expand(as_buf *out, const char *p) {
    const char *home = value_of("HOME");
    if (p[0] == '~' && (p[1] == '/' || p[1] == '\0') && home != NULL) as_buf_str(out, home), p++;
    while (*p != '\0') {
        const bool brace = p[0] == '$' && p[1] == '{';
        const char *const name = p + (brace ? 2 : 1);
        size_t n = 0;
        while (p[0] == '$' && (isalnum((unsigned char)name[n]) || name[n] == '_'))
            n++;
        char key[128];
        const bool closed = n > 0 && n < sizeof key && (!brace || name[n] == '}');
        if (closed) memcpy(key, name, n), key[n] = '\0';
        const char *const v = closed ? getenv(key) : NULL;
        if (v != NULL) {
            as_buf_str(out, v);
            p = name + n + brace;
        } else {
            as_buf_char(out, *p++);
        }
    }
}

static void hf_home(as_buf *out) {
    const char *home = value_of("HF_HOME"), *xdg = value_of("XDG_CACHE_HOME");
    if (home != NULL) {
        expand(out, home);
    } else {
        expand(out, xdg != NULL ? xdg : "~/.cache");
        as_buf_str(out, "/huggingface");
    }
}

static void cache_root(as_buf *out) {
    const char *cache = value_of("HF_HUB_CACHE");
    if (cache == NULL) cache = value_of("HUGGINGFACE_HUB_CACHE");
    if (cache != NULL) {
        expand(out, cache);
    } else {
        hf_home(out);
        as_buf_str(out, "/hub");
    }
}

/* The heap copy of a buffer that is done with; NULL without memory. */
static char *kept(as_buf *b) {
    char *const s = b->failed ? NULL : as_strndup(b->p != NULL ? b->p : "", b->n);
    as_buf_free(b);
    return s;
}

/* A header line is made of it: what would end the line, or is no visible ASCII, is refused. */
static as_status check_token(as_buf *b, const char *from, as_err *err) {
    while (b->n > 0 && (unsigned char)b->p[b->n - 1] <= ' ')
        b->n--;
    size_t skip = 0;
    while (skip < b->n && (unsigned char)b->p[skip] <= ' ')
        skip++;
    memmove(b->p, b->p + skip, b->n - skip);
    b->n -= skip;
    for (size_t i = 0; i < b->n; i++) {
        if (b->p[i] > ' ' && b->p[i] < 0x7f) continue;
        (void)as_fail(err, AS_USAGE, "%s: holds what is no access token", from);
        as_hint(err, "A token is one word, such as hf_ and letters; make one in the settings of "
                     "your account on the Hub.");
        return AS_USAGE;
    }
    return AS_OK;
}

static as_status read_token(as_hub_env *e, as_err *err) {
    const char *token = value_of("HF_TOKEN"), *from = "HF_TOKEN";
    as_buf b = {0}, path = {0};
    if (is_on("HF_HUB_DISABLE_IMPLICIT_TOKEN")) return AS_OK;
    if (token == NULL) token = value_of("HUGGING_FACE_HUB_TOKEN"), from = "HUGGING_FACE_HUB_TOKEN";
    as_status s = AS_OK;
    if (token != NULL) {
        as_buf_str(&b, token);
    } else {
        const char *file = value_of("HF_TOKEN_PATH");
        if (file != NULL)
            expand(&path, file);
        else
            hf_home(&path), as_buf_str(&path, "/token");
        from = path.failed ? "" : path.p;
        if (as_file_exists(from)) s = as_file_read(&b, from, 4096, err);
    }
    if (s == AS_OK && b.n > 0) s = check_token(&b, from, err);
    if (s == AS_OK && b.n > 0) {
        e->token = as_strndup(b.p, b.n);
        if (e->token == NULL) s = as_fail_nomem(err, "a token", b.n);
    }
    as_buf_free(&b), as_buf_free(&path);
    return s;
}

as_status as_hub_env_read(as_hub_env *out, as_err *err) {
    *out = (as_hub_env){.timeout = 30};
    as_buf cache = {0}, endpoint = {0};
    const char *ca = value_of("REQUESTS_CA_BUNDLE"), *timeout = value_of("HF_HUB_DOWNLOAD_TIMEOUT");
    if (ca == NULL) ca = value_of("CURL_CA_BUNDLE");
    if (ca == NULL) ca = value_of("SSL_CERT_FILE");
    cache_root(&cache);
    const char *const url = value_of("HF_ENDPOINT");
    as_buf_str(&endpoint, url != NULL ? url : "https://huggingface.co");
    while (endpoint.n > 0 && endpoint.p[endpoint.n - 1] == '/')
        endpoint.n--;
    out->cache = kept(&cache), out->endpoint = kept(&endpoint);
    out->ca_file = ca != NULL ? as_strdup(ca) : NULL;
    out->offline = is_on("HF_HUB_OFFLINE") || is_on("TRANSFORMERS_OFFLINE");
    out->no_links = is_on("HF_HUB_DISABLE_SYMLINKS");
    int64_t seconds;
    if (timeout != NULL && as_parse_i64(as_str_of(timeout), &seconds) && seconds > 0 &&
        seconds < 86400)
        out->timeout = (long)seconds;
    as_status s = AS_OK;
    if (out->cache == NULL || out->endpoint == NULL || (ca != NULL && out->ca_file == NULL))
        s = as_fail_nomem(err, "the environment", 0);
    if (s == AS_OK) s = read_token(out, err);
    if (s != AS_OK) as_hub_env_deinit(out);
    return s;
}

void as_hub_env_deinit(as_hub_env *e) {
    as_free(e->cache), as_free(e->endpoint), as_free(e->token), as_free(e->ca_file);
    *e = (as_hub_env){0};
}

/* ---- snapshots ---- */

bool as_hub_commit(as_buf *out, const char *repo_path, as_str rev) {
    as_buf path = {0};
    bool found = false;
    if (!as_hub_name_ok(rev)) return false;
    as_buf_fmt(&path, "%s/refs/%.*s", repo_path, (int)rev.n, rev.p);
    if (!path.failed && as_file_exists(path.p)) {
        found = as_file_read(out, path.p, 4096, NULL) == AS_OK;
        while (out->n > 0 && (unsigned char)out->p[out->n - 1] <= ' ')
            out->n--;
    } else {
        as_buf_add(out, rev.p, rev.n);
        found = true;
    }
    found = found && !out->failed && as_hub_etag_ok(as_buf_view(out));
    if (found) {
        as_buf_clear(&path);
        as_buf_fmt(&path, "%s/snapshots/%.*s", repo_path, (int)out->n, out->p);
        found = !path.failed && as_dir_exists(path.p);
    }
    as_buf_free(&path);
    return found;
}

char *as_hub_find(as_hub_kind kind, const char *spec) {
    as_str id, rev;
    as_buf path = {0}, commit = {0};
    as_hub_split(as_str_of(spec), &id, &rev);
    if (!as_hub_id_ok(id)) return NULL;
    if (rev.n == 0 && id.n < strlen(spec)) return NULL;
    cache_root(&path);
    as_buf_char(&path, '/');
    as_hub_folder(&path, kind, id);
    const bool found =
        !path.failed && as_hub_commit(&commit, path.p, rev.n > 0 ? rev : AS_LIT("main"));
    as_buf_fmt(&path, "/snapshots/%.*s", (int)commit.n, commit.n > 0 ? commit.p : "");
    as_buf_free(&commit);
    if (!found) {
        as_buf_free(&path);
        return NULL;
    }
    return kept(&path);
}
