/* Pulls against a server on the loopback interface that plays the Hub, faults included. */
#include "base/check.h"
#include "base/file.h"
#include "base/mem.h"
#include "io/hub_impl.h"
#include "hub_server.c" /* one source a program, says the Makefile */
#include <dirent.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

#define COMMIT "0123456789abcdef0123456789abcdef01234567"
#define SNAPSHOT "models--org--name/snapshots/" COMMIT
enum { WEIGHTS = 300000 };

static char dir[64], cache[128];
static hub_server *hub;
static unsigned char weights[WEIGHTS];

/* ---- the stage ---- */

static void point_at(const hub_server *s) {
    char url[64];
    snprintf(url, sizeof url, "http://127.0.0.1:%d", hub_server_port(s));
    setenv("HF_ENDPOINT", url, 1);
}

static void fill_repo(hub_server *s, const char *kind) {
    static const char config[] = "{\"model_type\": \"bert\"}\n";
    hub_server_repo(s, kind, "org/name", COMMIT);
    hub_server_add(s, "config.json", config, strlen(config), false);
    hub_server_add(s, "README.md", "# read me\n", 10, false);
    hub_server_add(s, "1_Pooling/config.json", "{}", 2, false);
    hub_server_add(s, "empty.json", "", 0, false);
    hub_server_add(s, "model.safetensors", weights, WEIGHTS, true);
    hub_server_add(s, "pytorch_model.bin", "unwanted", 8, true);
    hub_server_add(s, "onnx/model.onnx", "unwanted too", 12, true);
}

static int enter_stage(void **state) {
    (void)state;
    static const char *const none[] = {"HF_HOME", "HUGGINGFACE_HUB_CACHE", "XDG_CACHE_HOME", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE",
                                       "HF_TOKEN_PATH", "HUGGING_FACE_HUB_TOKEN", "HF_HUB_DISABLE_IMPLICIT_TOKEN", "HF_HUB_DISABLE_SYMLINKS",
                                       "http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY", "HF_HUB_DOWNLOAD_TIMEOUT"};
    for (size_t i = 0; i < AS_COUNT(none); i++) unsetenv(none[i]);
    snprintf(dir, sizeof dir, "/tmp/assay-test-XXXXXX");
    if (mkdtemp(dir) == NULL) return -1;
    snprintf(cache, sizeof cache, "%s/hub", dir);
    setenv("HF_HUB_CACHE", cache, 1);
    setenv("HOME", dir, 1);
    setenv("HF_TOKEN", "hf_secret", 1);
    for (size_t i = 0; i < WEIGHTS; i++) weights[i] = (unsigned char)(i * 2654435761u >> 13);
    hub = hub_server_start();
    if (hub == NULL) return -1;
    fill_repo(hub, "models");
    point_at(hub);
    return 0;
}

static int leave_stage(void **state) {
    (void)state;
    char command[128];
    hub_server_stop(hub);
    snprintf(command, sizeof command, "rm -rf '%s'", dir);
    return system(command) == 0 && as_mem_live_blocks() == 0 ? 0 : -1;
}

static const as_hub_opts quick = {.retry_seconds = 0.001};

static as_status pull_with(const as_hub_opts *o, const char *spec, as_hub_pulled *got, as_err *err) {
    *err = (as_err){0};
    return as_hub_pull(got, spec, o, err);
}
/* Pulls, and forgets the result but for the number of files that were fetched. */
static int64_t pull_well(const as_hub_opts *o, const char *spec) {
    as_hub_pulled got;
    as_err err;
    if (pull_with(o, spec, &got, &err) != AS_OK) fail_msg("%s: %s (hint: %s)", spec, err.msg, err.hint);
    const int64_t n = got.fetched;
    as_hub_pulled_free(&got);
    return n;
}
static void pull_badly(const as_hub_opts *o, const char *spec, as_status status, const char *msg, const char *hint) {
    as_hub_pulled got;
    as_err err;
    const as_status s = pull_with(o, spec, &got, &err);
    if (s != status || strstr(err.msg, msg) == NULL || strstr(err.hint, hint) == NULL)
        fail_msg("status %d: %s (hint: %s), not %d: %s (hint: %s)", (int)s, err.msg, err.hint, (int)status, msg, hint);
    assert_null(got.dir);
}

static const char *in_cache(const char *path) {
    static char full[512];
    snprintf(full, sizeof full, "%s/%s", cache, path);
    return full;
}
static const char *blob_path(const char *name, const char *end) {
    static char path[256];
    snprintf(path, sizeof path, "models--org--name/blobs/%s%s", hub_server_etag(hub, name), end);
    return path;
}
static void holds(const char *path, const void *p, size_t n) {
    as_buf b = {0};
    as_err err = {0};
    if (as_file_read(&b, in_cache(path), 0, &err) != AS_OK) fail_msg("%s", err.msg);
    assert_int_equal(b.n, n);
    assert_memory_equal(b.p, p, n);
    as_buf_free(&b);
}
static void place(const char *path, const void *p, size_t n) {
    char folder[512];
    as_err err;
    snprintf(folder, sizeof folder, "%s", in_cache(path));
    *strrchr(folder, '/') = '\0';
    assert_int_equal(as_dir_make(folder, &err), AS_OK);
    assert_int_equal(as_file_write(in_cache(path), p, n, &err), AS_OK);
}
static void links_to(const char *path, const char *want) {
    char target[512];
    const ssize_t n = readlink(in_cache(path), target, sizeof target - 1);
    if (n < 0) fail_msg("%s is no link", path);
    target[n] = '\0';
    assert_string_equal(target, want);
}
static int files_in(const char *path) {
    int n = 0;
    DIR *const d = opendir(in_cache(path));
    if (d == NULL) return 0;
    for (const struct dirent *e; (e = readdir(d)) != NULL;) n += e->d_name[0] != '.';
    closedir(d);
    return n;
}
static bool absent(const char *path) {
    struct stat st;
    return lstat(in_cache(path), &st) != 0;
}

/* ---- names ---- */

static void test_hub_names_that_leave_the_folder_are_refused(void **state) {
    (void)state;
    static const struct { const char *name; bool ok; } cases[] = {
        {"config.json", true}, {"1_Pooling/config.json", true}, {".gitattributes", true}, {"a..b/c..d", true}, {"...", true},
        {"a b/\xc3\xa9.txt", true}, {"refs/convert/parquet", true}, {"", false}, {"/etc/passwd", false}, {"..", false}, {".", false},
        {"../x", false}, {"a/../b", false}, {"a/..", false}, {"a/./b", false}, {"a//b", false}, {"a/", false}, {"a\nb", false},
        {"a\x7f", false}, {"a\x1b[2J", false}, {"\xff\xfe", false}, {"\xc0\xae\xc0\xae/x", false},
    };
    for (size_t i = 0; i < AS_COUNT(cases); i++)
        if (as_hub_name_ok(as_str_of(cases[i].name)) != cases[i].ok) fail_msg("\"%s\"", cases[i].name);
    assert_false(as_hub_name_ok((as_str){"a\0b", 3}));
    char longest[300];
    memset(longest, 'a', sizeof longest);
    assert_true(as_hub_name_ok((as_str){longest, 255}));
    assert_false(as_hub_name_ok((as_str){longest, 256}));
}

static void test_hub_ids_are_those_that_the_hub_allows(void **state) {
    (void)state;
    static const struct { const char *id; bool ok; } cases[] = {
        {"bert-base-uncased", true}, {"org/name", true}, {"a/b.c_d-e", true}, {"", false}, {"/", false}, {"a/", false}, {"/a", false},
        {"a/b/c", false}, {"../b", false}, {"a/..", false}, {"a--b", false}, {"a..b", false}, {"-a/b", false}, {"a/.b", false},
        {"a/b-", false}, {"a b", false}, {"a\\b", false}, {"a%2fb", false}, {"a\n", false},
    };
    for (size_t i = 0; i < AS_COUNT(cases); i++)
        if (as_hub_id_ok(as_str_of(cases[i].id)) != cases[i].ok) fail_msg("\"%s\"", cases[i].id);
    assert_false(as_hub_etag_ok(AS_LIT("../x")));
    assert_false(as_hub_etag_ok(AS_LIT(".hidden")));
    assert_true(as_hub_etag_ok(AS_LIT("e69de29bb2d1d6434b8b29ae775ad8c2e48c5391")));
    pull_badly(&quick, "no such id", AS_USAGE, "is no id of the Hub", "ORG/NAME");
    pull_badly(&quick, "org/name@../../x", AS_USAGE, "no name of a revision", "branch");
    pull_badly(&quick, "org/name@", AS_USAGE, "no name of a revision", "branch");
}

/* ---- selection ---- */

static void test_hub_select_takes_what_a_model_needs(void **state) {
    (void)state;
    static const struct { const char *all, *want; } cases[] = {
        {"config.json tokenizer.json vocab.txt merges.txt spiece.model special_tokens_map.json chat_template.jinja", NULL},
        {".gitattributes README.md config.json model.safetensors pytorch_model.bin tf_model.h5 flax_model.msgpack rust_model.ot",
         "config.json model.safetensors"},
        {"config.json pytorch_model.bin tf_model.h5", "config.json pytorch_model.bin"},
        {"model-00001-of-00002.safetensors model-00002-of-00002.safetensors model.safetensors.index.json pytorch_model.bin.index.json consolidated.safetensors",
         "model-00001-of-00002.safetensors model-00002-of-00002.safetensors model.safetensors.index.json"},
        {"model.safetensors model-00001-of-00001.safetensors model.safetensors.index.json model.fp16.safetensors", "model.safetensors"},
        {"pytorch_model.bin.index.json pytorch_model-00001-of-00001.bin training_args.bin optimizer.bin",
         "pytorch_model.bin.index.json pytorch_model-00001-of-00001.bin"},
        {"modules.json 1_Pooling/config.json 2_Dense/config.json 2_Dense/model.safetensors 2_Dense/pytorch_model.bin model.safetensors",
         "modules.json 1_Pooling/config.json 2_Dense/config.json 2_Dense/model.safetensors model.safetensors"},
        {"config.json onnx/config.json onnx/model.onnx openvino/openvino_model.bin checkpoint-500/model.safetensors flax_config.json",
         "config.json"},
    };
    for (size_t i = 0; i < AS_COUNT(cases); i++) {
        as_hub_names names = {0};
        as_err err = {0};
        as_buf got = {0};
        const char *at = cases[i].all;
        while (*at != '\0') {
            const size_t n = strcspn(at, " ");
            assert_int_equal(as_hub_names_add(&names, (as_str){at, n}, &err), AS_OK);
            at += n + (at[n] == ' ');
        }
        if (as_hub_select(&names, &quick, "org/name", &err) != AS_OK) fail_msg("%s", err.msg);
        for (size_t k = 0; k < names.count; k++) as_buf_fmt(&got, "%s%s", k ? " " : "", names.v[k]);
        assert_string_equal(got.p, cases[i].want != NULL ? cases[i].want : cases[i].all);
        as_buf_free(&got);
        as_hub_names_free(&names);
    }
}

static void test_hub_pull_takes_patterns(void **state) {
    (void)state;
    static const char *const two[] = {"*.md", "onnx/*"}, *const none[] = {"config.jsn"};
    as_hub_opts o = quick;
    o.patterns = two, o.pattern_count = 2;
    assert_int_equal(pull_well(&o, "org/name"), 2);
    holds(SNAPSHOT "/README.md", "# read me\n", 10);
    holds(SNAPSHOT "/onnx/model.onnx", "unwanted too", 12);
    assert_true(absent(SNAPSHOT "/config.json"));
    o.patterns = none, o.pattern_count = 1;
    pull_badly(&o, "org/name", AS_USAGE, "has no file \"config.jsn\"", "Did you mean config.json?");
}

static void test_hub_pull_takes_all_of_a_data_set_but_scripts(void **state) {
    (void)state;
    const as_hub_opts o = {.kind = AS_HUB_DATASET, .retry_seconds = 0.001};
    hub_server_repo(hub, "datasets", "org/data", COMMIT);
    hub_server_add(hub, "data/train-00000-of-00001.parquet", weights, 5000, true);
    hub_server_add(hub, "test.csv", "a,b\n", 4, false);
    hub_server_add(hub, "load.py", "evil()\n", 7, false);
    hub_server_add(hub, ".gitattributes", "*\n", 2, false);
    assert_int_equal(pull_well(&o, "org/data"), 2);
    holds("datasets--org--data/snapshots/" COMMIT "/data/train-00000-of-00001.parquet", weights, 5000);
    char *const found = as_hub_find(AS_HUB_DATASET, "org/data");
    assert_string_equal(found, in_cache("datasets--org--data/snapshots/" COMMIT));
    as_free(found);
    assert_null(as_hub_find(AS_HUB_MODEL, "org/data"));
    pull_badly(&o, "org/name", AS_IO, "no such data set", "--dataset");
}

/* ---- layout ---- */

static void test_hub_pull_makes_the_layout_of_huggingface_hub(void **state) {
    (void)state;
    as_hub_pulled got;
    as_err err;
    char want[256];
    assert_null(as_hub_find(AS_HUB_MODEL, "org/name"));
    assert_int_equal(pull_with(&quick, "org/name", &got, &err), AS_OK);
    assert_int_equal(got.files, 4);
    assert_int_equal(got.fetched, 4);
    assert_int_equal(got.bytes, WEIGHTS + 25);
    assert_string_equal(got.commit, COMMIT);
    assert_string_equal(got.dir, in_cache(SNAPSHOT));
    as_hub_pulled_free(&got);
    holds("models--org--name/refs/main", COMMIT, 40);
    holds(SNAPSHOT "/model.safetensors", weights, WEIGHTS);
    snprintf(want, sizeof want, "../../blobs/%s", hub_server_etag(hub, "model.safetensors"));
    assert_int_equal(strlen(want), 12 + 64);
    links_to(SNAPSHOT "/model.safetensors", want);
    snprintf(want, sizeof want, "../../../blobs/%s", hub_server_etag(hub, "1_Pooling/config.json"));
    links_to(SNAPSHOT "/1_Pooling/config.json", want);
    links_to(SNAPSHOT "/empty.json", "../../blobs/e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"); /* git's name of no bytes */
    assert_int_equal(files_in("models--org--name/blobs"), 4);
    snprintf(want, sizeof want, ".locks/models--org--name/%s.lock", hub_server_etag(hub, "model.safetensors"));
    assert_false(absent(want));
    assert_false(absent("CACHEDIR.TAG"));
    const int before = hub_server_count(hub, "", "");
    assert_int_equal(pull_well(&quick, "org/name"), 0);
    assert_int_equal(hub_server_count(hub, "", "") - before, 1); /* the listing alone */
    for (int i = 0; i < 3; i++) {
        static const char *const specs[] = {"org/name", "org/name@main", ("org/name@" COMMIT)};
        char *const found = as_hub_find(AS_HUB_MODEL, specs[i]);
        assert_string_equal(found, in_cache(SNAPSHOT));
        as_free(found);
    }
    assert_null(as_hub_find(AS_HUB_MODEL, "org/name@v2"));
    assert_null(as_hub_find(AS_HUB_MODEL, "org/name@../refs"));
}

static void test_hub_pull_of_a_revision_writes_its_ref(void **state) {
    (void)state;
    pull_well(&quick, "org/name@refs/pr/7");
    holds("models--org--name/refs/refs/pr/7", COMMIT, 40);
    assert_int_equal(hub_server_count(hub, "/revision/refs%2Fpr%2F7", ""), 1);
    assert_null(as_hub_find(AS_HUB_MODEL, "org/name"));
    pull_well(&quick, "org/name@" COMMIT); /* a commit needs none */
    assert_int_equal(files_in("models--org--name/refs"), 1);
    as_hub_opts o = quick;
    o.revision = "v1";
    pull_well(&o, "org/name");
    holds("models--org--name/refs/v1", COMMIT, 40);
    pull_badly(&o, "org/name@v2", AS_USAGE, "at once", "");
}

static void test_hub_pull_copies_where_links_do_not_work(void **state) {
    (void)state;
    struct stat st;
    setenv("HF_HUB_DISABLE_SYMLINKS", "true", 1);
    pull_well(&quick, "org/name");
    assert_int_equal(lstat(in_cache(SNAPSHOT "/model.safetensors"), &st), 0);
    assert_true(S_ISREG(st.st_mode));
    holds(SNAPSHOT "/model.safetensors", weights, WEIGHTS);
    holds(SNAPSHOT "/1_Pooling/config.json", "{}", 2);
    assert_int_equal(pull_well(&quick, "org/name"), 0);
}

static void test_hub_environment_names_cache_and_token(void **state) {
    (void)state;
    static const struct { const char *name, *value, *want; } caches[] = {
        {"HF_HUB_CACHE", "~/a", "%s/a"}, {"HF_HUB_CACHE", "$HOME/b/${HF_TOKEN}x", "%s/b/hf_secretx"}, {"HUGGINGFACE_HUB_CACHE", "/c", "/c"},
        {"HF_HOME", "~/d", "%s/d/hub"}, {"XDG_CACHE_HOME", "/e", "/e/huggingface/hub"}, {"HF_HOME", "", "%s/.cache/huggingface/hub"},
        {"HF_HUB_CACHE", "/$no_such_name/$", "/$no_such_name/$"},
    };
    as_hub_env e;
    as_err err = {0};
    for (size_t i = 0; i < AS_COUNT(caches); i++) {
        char want[256];
        unsetenv("HF_HUB_CACHE");
        setenv(caches[i].name, caches[i].value, 1);
        const char *const mark = strstr(caches[i].want, "%s");
        snprintf(want, sizeof want, "%s%s", mark != NULL ? dir : "", mark != NULL ? mark + 2 : caches[i].want);
        assert_int_equal(as_hub_env_read(&e, &err), AS_OK);
        assert_string_equal(e.cache, want);
        as_hub_env_deinit(&e);
        unsetenv(caches[i].name);
    }
    unsetenv("HF_TOKEN");
    setenv("HF_HUB_CACHE", cache, 1);
    setenv("HF_HOME", cache, 1);
    place("token", "hf_of_the_file\r\n", 16);
    assert_int_equal(as_hub_env_read(&e, &err), AS_OK);
    assert_string_equal(e.token, "hf_of_the_file");
    as_hub_env_deinit(&e);
    setenv("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1", 1);
    assert_int_equal(as_hub_env_read(&e, &err), AS_OK);
    assert_null(e.token);
    as_hub_env_deinit(&e);
    unsetenv("HF_HUB_DISABLE_IMPLICIT_TOKEN");
    setenv("HF_TOKEN", "a\r\nHost: evil", 1);
    pull_badly(&quick, "org/name", AS_USAGE, "HF_TOKEN: holds what is no access token", "one word");
}

/* ---- transfers ---- */

static void test_hub_pull_goes_on_after_cuts(void **state) {
    (void)state;
    char range[64];
    hub_server_fault(hub, "GET /cdn/", HUB_CUT, 100000, NULL, 1);
    hub_server_fault(hub, "GET /cdn/", HUB_CUT, 50000, NULL, 1);
    hub_server_fault(hub, "GET /api/", HUB_CUT, 30, NULL, 1);
    pull_well(&quick, "org/name");
    holds(SNAPSHOT "/model.safetensors", weights, WEIGHTS);
    snprintf(range, sizeof range, "Range: bytes=%d-", 100000);
    assert_int_equal(hub_server_count(hub, "GET /cdn/", range), 1);
    assert_int_equal(hub_server_count(hub, "GET /cdn/", "Range: bytes=150000-"), 1);
    assert_int_equal(hub_server_count(hub, "GET /cdn/", ""), 3);
}

static void test_hub_pull_gives_up_when_nothing_more_comes(void **state) {
    (void)state;
    hub_server_fault(hub, "GET /cdn/", HUB_CUT, 1000, NULL, 1);
    hub_server_fault(hub, "GET /cdn/", HUB_CUT, 0, NULL, 8);
    pull_badly(&quick, "org/name", AS_IO, "model.safetensors: the transfer was cut 6 times at byte 1000", "goes on from there");
    assert_null(as_hub_find(AS_HUB_MODEL, "org/name"));
    hub_server_fault(hub, "GET /cdn/", HUB_CUT, 0, NULL, 0);
    struct stat st;
    assert_int_equal(stat(in_cache(blob_path("model.safetensors", ".incomplete")), &st), 0);
    assert_int_equal(st.st_size, 1000);
}

static void test_hub_pull_goes_on_with_what_an_earlier_one_left(void **state) {
    (void)state;
    char longer[WEIGHTS + 10] = {0};
    const struct { const char *what; const void *p; size_t n; const char *range; int gets; } cases[] = {
        {"a good part", weights, 123456, "Range: bytes=123456-", 1},
        {"all of it", weights, WEIGHTS, "GET", 0},
        {"a part of other bytes", longer, 1000, "Range: bytes=1000-", 2},
        {"as many other bytes", longer, WEIGHTS, "GET", 1},
        {"more than all", longer, WEIGHTS + 10, "GET", 1},
    };
    char command[256];
    for (size_t i = 0; i < AS_COUNT(cases); i++) {
        const int gets = hub_server_count(hub, "GET /cdn/", ""), ranges = hub_server_count(hub, "GET /cdn/", cases[i].range);
        place(blob_path("model.safetensors", ".incomplete"), cases[i].p, cases[i].n);
        pull_well(&quick, "org/name");
        holds(SNAPSHOT "/model.safetensors", weights, WEIGHTS);
        if (hub_server_count(hub, "GET /cdn/", "") - gets != cases[i].gets) fail_msg("%s", cases[i].what);
        if (cases[i].gets > 0 && hub_server_count(hub, "GET /cdn/", cases[i].range) == ranges) fail_msg("%s", cases[i].what);
        snprintf(command, sizeof command, "rm -rf '%s'", cache);
        assert_int_equal(system(command), 0);
    }
}

static void test_hub_pull_begins_again_where_ranges_are_ignored(void **state) {
    (void)state;
    place(blob_path("model.safetensors", ".incomplete"), weights, 5000);
    hub_server_fault(hub, "GET /cdn/", HUB_NO_RANGE, 0, NULL, -1);
    pull_well(&quick, "org/name");
    holds(SNAPSHOT "/model.safetensors", weights, WEIGHTS);
}

static void test_hub_pull_keeps_the_token_from_other_hosts(void **state) {
    (void)state;
    hub_server *const store = hub_server_start();
    fill_repo(store, "models");
    hub_server_cdn(hub, hub_server_port(store));
    pull_well(&quick, "org/name");
    holds(SNAPSHOT "/model.safetensors", weights, WEIGHTS);
    assert_int_equal(hub_server_count(store, "GET /cdn/", "signature=secret"), 1);
    assert_int_equal(hub_server_count(store, "Authorization", ""), 0);
    assert_int_equal(hub_server_count(hub, "", ""), hub_server_count(hub, "Authorization: Bearer hf_secret", ""));
    assert_int_equal(hub_server_count(hub, "", ""), hub_server_count(hub, "Accept-Encoding: identity", ""));
    hub_server_stop(store);
}

static void test_hub_pull_follows_relative_redirections_of_the_hub(void **state) {
    (void)state;
    hub_server_repo(hub, "models", "org/new", COMMIT);
    hub_server_add(hub, "config.json", "{}", 2, false);
    hub_server_add(hub, "model.safetensors", weights, 3000, true);
    hub_server_fault(hub, "GET /api/models/org/old", HUB_STATUS, 307, "Location: /api/models/org/new/revision/main\r\n", 1);
    hub_server_fault(hub, "/org/old/resolve/" COMMIT "/config.json", HUB_STATUS, 307, "Location: /org/new/resolve/" COMMIT "/config.json\r\n", -1);
    hub_server_fault(hub, "/org/old/resolve/" COMMIT "/model", HUB_STATUS, 308, "Location: /org/new/resolve/" COMMIT "/model.safetensors\r\n", -1);
    pull_well(&quick, "org/old");
    holds("models--org--old/snapshots/" COMMIT "/model.safetensors", weights, 3000);
    hub_server_fault(hub, "GET /api/models/a/b", HUB_STATUS, 302, "Location: /api/models/a/b\r\n", -1);
    pull_badly(&quick, "a/b", AS_FORMAT, "redirections lead nowhere", "");
    hub_server_fault(hub, "GET /api/models/a/c", HUB_STATUS, 302, "Location: file:///etc/passwd\r\n", -1);
    pull_badly(&quick, "a/c", AS_FORMAT, "no http or https address", "");
}

/* ---- refusals ---- */

static void test_hub_refusals_say_what_to_do(void **state) {
    (void)state;
    static const struct { const char *match; int status; const char *headers, *spec, *msg, *hint; bool token; } cases[] = {
        {"GET /api/", 401, "X-Error-Code: RepoNotFound\r\nX-Error-Message: Invalid\x1b[2J name\r\n", "x/a", "x/a: not found, or private, or gated (HTTP 401: Invalid?[2J name)",
         "Check the spelling of the id; if it is gated or private, accept its terms at http", false},
        {"GET /api/", 401, "X-Error-Code: GatedRepo\r\n", "x/b", "x/b is gated or closed to you (HTTP 401)", "set HF_TOKEN", false},
        {"HEAD /org/name/resolve", 403, "X-Error-Code: GatedRepo\r\n", "org/name", "org/name is gated or closed to you (HTTP 403)", "Accept its terms at http", false},
        {"HEAD /org/name/resolve", 403, "X-Error-Code: GatedRepo\r\n", "org/name", "is gated", "with the account of HF_TOKEN", true},
        {"HEAD /org/name/resolve", 404, "", "org/name", "config.json is listed, but is not there", "Try again", true},
        {"GET /api/", 404, "", "x/c", "x/c: no such model at http://127.0.0.1:", "--dataset", true},
        {"nothing", 0, "", "x/d", "x/d: no such model", "HF_TOKEN", true},
        {"nothing", 0, "", "org/name@nope", "org/name has no revision \"nope\"", "branch", true},
        {"GET /api/", 418, "", "x/e", "answers HTTP 418", "goes on", true},
    };
    for (size_t i = 0; i < AS_COUNT(cases); i++) {
        if (cases[i].token)
            setenv("HF_TOKEN", "hf_secret", 1);
        else
            unsetenv("HF_TOKEN");
        hub_server_fault(hub, cases[i].match, HUB_STATUS, cases[i].status, cases[i].headers, 1);
        pull_badly(&quick, cases[i].spec, AS_IO, cases[i].msg, cases[i].hint);
    }
    assert_true(absent("models--x--d")); /* a misspelt id leaves nothing */
}

static void test_hub_pull_waits_as_a_busy_server_says(void **state) {
    (void)state;
    hub_server_fault(hub, "GET /api/", HUB_STATUS, 429, "Retry-After: 1\r\n", 1);
    hub_server_fault(hub, "HEAD /org", HUB_STATUS, 503, "", 3);
    const double begin = as_clock();
    pull_well(&quick, "org/name");
    assert_true(as_clock() - begin >= 1.0);
    hub_server_fault(hub, "GET /api/", HUB_STATUS, 429, "Retry-After: 3600\r\n", 1);
    const double second = as_clock();
    pull_badly(&quick, "org/name", AS_IO, "HTTP 429", "asks to wait 3600 s");
    assert_true(as_clock() - second < 1.0);
    hub_server_fault(hub, "GET /api/", HUB_STATUS, 429, "Retry-After: Fri, 31 Dec 2099 23:59:59 GMT\r\n", 1);
    pull_badly(&quick, "org/name", AS_IO, "HTTP 429", "asks to wait");
    hub_server_fault(hub, "GET /api/", HUB_STATUS, 502, "", 5);
    pull_badly(&quick, "org/name", AS_IO, "HTTP 502", "Try again later");
}

static void test_hub_pull_says_that_there_is_no_network(void **state) {
    (void)state;
    hub_server *const gone = hub_server_start();
    point_at(gone);
    hub_server_stop(gone);
    pull_badly(&quick, "org/name", AS_IO, "no answer: ", "Check the network");
    hub_server_fault(hub, "GET /api/", HUB_HANG_UP, 0, NULL, 2);
    point_at(hub);
    pull_well(&quick, "org/name"); /* what passes by is tried again */
    setenv("HF_ENDPOINT", "ftp://127.0.0.1", 1);
    pull_badly(&quick, "org/name", AS_USAGE, "no http or https address", "HF_ENDPOINT");
}

static void test_hub_offline_asks_nobody(void **state) {
    (void)state;
    static const char *const missing[] = {"tokenizer.json"};
    setenv("HF_HUB_OFFLINE", "1", 1);
    pull_badly(&quick, "org/name", AS_IO, "is not in the cache, and HF_HUB_OFFLINE forbids the network", "Unset HF_HUB_OFFLINE");
    assert_int_equal(hub_server_count(hub, "", ""), 0);
    assert_true(absent(""));
    unsetenv("HF_HUB_OFFLINE");
    pull_well(&quick, "org/name");
    setenv("TRANSFORMERS_OFFLINE", "yes", 1);
    const int before = hub_server_count(hub, "", "");
    as_hub_pulled got;
    as_err err;
    assert_int_equal(pull_with(&quick, "org/name", &got, &err), AS_OK);
    assert_true(got.offline);
    assert_int_equal(got.files, 4);
    assert_int_equal(got.fetched, 0);
    assert_int_equal(got.bytes, WEIGHTS + 25);
    as_hub_pulled_free(&got);
    as_hub_opts o = quick;
    o.patterns = missing, o.pattern_count = 1;
    pull_badly(&o, "org/name", AS_USAGE, "has no file \"tokenizer.json\"", "");
    assert_int_equal(hub_server_count(hub, "", "") - before, 0);
}

/* ---- what cannot be trusted ---- */

static void test_hub_pull_checks_lengths_and_sums(void **state) {
    (void)state;
    static const struct { const char *match; hub_fault kind; int64_t arg; const char *text, *msg; } cases[] = {
        {"HEAD /org/name/resolve/" COMMIT "/config", HUB_HEADER, 0, "X-Repo-Commit: ffff\r\n", "a file of another commit"},
        {"GET /org/name/resolve/" COMMIT "/config", HUB_FLIP, 3, NULL, "config.json: its checksum is not "},
        {"GET /cdn/", HUB_FLIP, 299999, NULL, "model.safetensors: its checksum is not "},
        {"GET /cdn/", HUB_SHORT, 1, NULL, "model.safetensors: the server sends 299999 bytes, and has promised 300000"},
        {"GET /cdn/", HUB_LONG, 7, NULL, "has promised 300000"},
        {"HEAD /org/name/resolve/" COMMIT "/model", HUB_HEADER, 0, "X-Linked-Size: 17\r\n", "has promised 17"},
        {"HEAD /org/name/resolve/" COMMIT "/model", HUB_HEADER, 0, "X-Linked-Etag: \"../../../evil\"\r\n", "no ETag or no length"},
        {"HEAD /org/name/resolve/" COMMIT "/model", HUB_HEADER, 0, "X-Linked-Size: -5\r\n", "no ETag or no length"},
    };
    for (size_t i = 0; i < AS_COUNT(cases); i++) {
        hub_server_fault(hub, cases[i].match, cases[i].kind, cases[i].arg, cases[i].text, 1);
        pull_badly(&quick, "org/name", AS_FORMAT, cases[i].msg, "");
        assert_null(as_hub_find(AS_HUB_MODEL, "org/name"));
        assert_true(absent(blob_path("model.safetensors", "")));
        assert_true(absent(blob_path("model.safetensors", ".incomplete")));
    }
    pull_well(&quick, "org/name");
    holds(SNAPSHOT "/model.safetensors", weights, WEIGHTS);
}

static void test_hub_pull_replaces_a_blob_of_another_length(void **state) {
    (void)state;
    place(blob_path("model.safetensors", ""), "cut short", 9);
    place(blob_path("1_Pooling/config.json", ""), "{}", 2);
    pull_well(&quick, "org/name");
    holds(SNAPSHOT "/model.safetensors", weights, WEIGHTS);
    assert_int_equal(hub_server_count(hub, "GET /org/name/resolve/" COMMIT "/1_Pooling", ""), 0);
}

static void test_hub_pull_refuses_another_part_than_asked_for(void **state) {
    (void)state;
    place(blob_path("model.safetensors", ".incomplete"), weights, 5000);
    hub_server_fault(hub, "GET /cdn/", HUB_OTHER_RANGE, 0, NULL, 1);
    pull_badly(&quick, "org/name", AS_FORMAT, "another part of a file", "");
    pull_well(&quick, "org/name");
}

static void test_hub_pull_refuses_names_that_leave_the_folder(void **state) {
    (void)state;
    static const char *const names[] = {"../../../../evil.json", "/tmp/assay-evil.json", "a/../../evil.json", "..", "x/./y.json", "a\nb.json", ""};
    for (size_t i = 0; i < AS_COUNT(names); i++) {
        char id[32];
        snprintf(id, sizeof id, "evil/name%zu", i);
        hub_server_repo(hub, "models", id, COMMIT);
        hub_server_add(hub, "config.json", "{}", 2, false);
        hub_server_add(hub, names[i], "evil", 4, false);
        pull_badly(&quick, id, AS_FORMAT, "would lie outside its folder", "do not trust");
    }
    assert_true(absent("")); /* not even the cache */
    hub_server_repo(hub, "models", "evil/clash", COMMIT);
    hub_server_add(hub, "1_a.json", "{}", 2, false);
    hub_server_add(hub, "1_a.json/config.json", "evil", 4, false);
    pull_badly(&quick, "evil/clash", AS_IO, "a symbolic link, where the cache has a folder", "Nothing is written through it");
}

static void test_hub_pull_refuses_listings_that_are_none(void **state) {
    (void)state;
    static const char *const texts[] = {"", "no json", "[]", "{}", "{\"sha\":\"" COMMIT "\"}", "{\"sha\":\"../..\",\"siblings\":[]}",
                                        "{\"sha\":\"" COMMIT "\",\"siblings\":[{}]}", "{\"sha\":\"" COMMIT "\",\"siblings\":[3]}",
                                        "{\"sha\":5,\"siblings\":[]}", "{\"sha\":\"" COMMIT "\",\"siblings\":[]}"};
    for (size_t i = 0; i < AS_COUNT(texts); i++) {
        hub_server_fault(hub, "GET /api/", HUB_BODY, 0, texts[i], 1);
        pull_badly(&quick, "org/name", AS_FORMAT, "", "");
    }
}

/* Links that somebody put into the cache: nothing outside is written. */
static void test_hub_pull_writes_through_no_link(void **state) {
    (void)state;
    static const char *const folders[] = {"models--org--name", "models--org--name/blobs", "models--org--name/snapshots", SNAPSHOT,
                                          SNAPSHOT "/1_Pooling", "models--org--name/refs", ".locks", ".locks/models--org--name"};
    char outside[128], command[1024], path[512];
    as_err err;
    snprintf(outside, sizeof outside, "%s/outside", dir);
    for (size_t i = 0; i < AS_COUNT(folders); i++) {
        snprintf(command, sizeof command, "rm -rf '%s' '%s' && mkdir -p '%s' \"$(dirname '%s/%s')\" && ln -s '%s' '%s/%s'", cache, outside,
                 outside, cache, folders[i], outside, cache, folders[i]);
        assert_int_equal(system(command), 0);
        pull_badly(&quick, "org/name", AS_IO, "a symbolic link, where the cache has a folder", "Nothing is written through it");
        snprintf(command, sizeof command, "test -z \"$(ls -A '%s')\"", outside);
        if (system(command) != 0) fail_msg("written through %s", folders[i]);
    }
    snprintf(command, sizeof command, "rm -rf '%s'", cache);
    assert_int_equal(system(command), 0);
    snprintf(path, sizeof path, "%s/precious", outside);
    assert_int_equal(as_file_write(path, "mine", 4, &err), AS_OK);
    const char *const files[] = {blob_path("model.safetensors", ".incomplete"), SNAPSHOT "/config.json", "models--org--name/refs/main"};
    for (size_t i = 0; i < AS_COUNT(files); i++) {
        place(files[i], "", 0);
        assert_int_equal(unlink(in_cache(files[i])), 0);
        assert_int_equal(symlink(path, in_cache(files[i])), 0);
    }
    place(blob_path("config.json", ".x"), "", 0);
    assert_int_equal(symlink(path, in_cache(blob_path("config.json", ""))), 0);
    pull_well(&quick, "org/name");
    as_buf b = {0};
    assert_int_equal(as_file_read(&b, path, 0, &err), AS_OK);
    assert_string_equal(b.p, "mine");
    as_buf_free(&b);
    holds(SNAPSHOT "/model.safetensors", weights, WEIGHTS);
    holds(SNAPSHOT "/config.json", "{\"model_type\": \"bert\"}\n", 23);
    holds("models--org--name/refs/main", COMMIT, 40);
    place(blob_path("config.json", ".y"), "", 0);
    assert_int_equal(link(path, in_cache(blob_path("README.md", ".incomplete"))), 0); /* a second name of a file elsewhere */
    static const char *const readme[] = {"README.md"};
    as_hub_opts o = quick;
    o.patterns = readme, o.pattern_count = 1;
    pull_badly(&o, "org/name", AS_IO, "is no file of its own", "");
}

/* ---- the machine ---- */

static void test_hub_pull_tells_of_a_full_disk(void **state) {
    (void)state;
    struct rlimit was, low;
    struct stat st;
    hub_server_fault(hub, "HEAD /org/name/resolve/" COMMIT "/model", HUB_HEADER, 0, "X-Linked-Size: 9000000000000000000\r\n", 1);
    pull_badly(&quick, "org/name", AS_IO, "are to be fetched, and ", "Free space");
    assert_int_equal(files_in("models--org--name/blobs"), 0);
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &was), 0);
    low = was, low.rlim_cur = 65536;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &low), 0);
    pull_badly(&quick, "org/name", AS_IO, "cannot be written: File too large", "goes on where it stopped");
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &was), 0);
    assert_int_equal(stat(in_cache(blob_path("model.safetensors", ".incomplete")), &st), 0);
    assert_int_equal(st.st_size, 65536);
    pull_well(&quick, "org/name");
    assert_int_equal(hub_server_count(hub, "GET /cdn/", "Range: bytes=65536-"), 1);
    holds(SNAPSHOT "/model.safetensors", weights, WEIGHTS);
}

static int stop_calls;
static bool stop_soon(void) {
    struct stat st;
    return stop_calls++ > 3 && stat(in_cache(blob_path("model.safetensors", ".incomplete")), &st) == 0 && st.st_size >= 32768;
}
static void test_hub_pull_stops_when_told_and_goes_on(void **state) {
    (void)state;
    as_hub_opts o = quick;
    o.stop = stop_soon, stop_calls = 0;
    hub_server_fault(hub, "GET /cdn/", HUB_SLOW, 30, NULL, 1);
    pull_badly(&o, "org/name", AS_INTERRUPTED, "interrupted", "goes on");
    pull_well(&quick, "org/name");
    assert_int_equal(hub_server_count(hub, "GET /cdn/", "Range: bytes="), 1);
    holds(SNAPSHOT "/model.safetensors", weights, WEIGHTS);
}

static void *pull_in_thread(void *arg) {
    as_hub_pulled got;
    as_err err;
    *(as_status *)arg = as_hub_pull(&got, "org/name", &quick, &err);
    as_hub_pulled_free(&got);
    return NULL;
}
static void test_hub_pulls_at_once_share_the_work(void **state) {
    (void)state;
    enum { THREADS = 4 };
    pthread_t t[THREADS];
    as_status s[THREADS];
    hub_server_fault(hub, "GET /cdn/", HUB_SLOW, 5, NULL, -1);
    for (int i = 0; i < THREADS; i++) assert_int_equal(pthread_create(&t[i], NULL, pull_in_thread, &s[i]), 0);
    for (int i = 0; i < THREADS; i++) {
        pthread_join(t[i], NULL);
        assert_int_equal(s[i], AS_OK);
    }
    assert_int_equal(hub_server_count(hub, "GET /cdn/", ""), 1); /* one fetched it, the others waited */
    assert_int_equal(files_in("models--org--name/blobs"), 4);
    assert_int_equal(files_in(SNAPSHOT), 4);
    holds(SNAPSHOT "/model.safetensors", weights, WEIGHTS);
}

static void test_hub_pull_survives_each_failed_allocation(void **state) {
    (void)state;
    for (int64_t n = 1;; n++) {
        as_hub_pulled got;
        as_err err = {0};
        char command[256];
        as_mem_fail_after(n);
        const as_status s = as_hub_pull(&got, "org/name", &quick, &err);
        as_mem_fail_after(0);
        as_hub_pulled_free(&got);
        assert_int_equal(as_mem_live_blocks(), 0);
        if (s == AS_OK) break;
        if (s != AS_NOMEM && s != AS_FORMAT) fail_msg("allocation %lld: %d: %s", (long long)n, (int)s, err.msg);
        assert_true(n < 2000);
        snprintf(command, sizeof command, "rm -rf '%s'", cache);
        if (n % 16 == 0) assert_int_equal(system(command), 0);
    }
    holds(SNAPSHOT "/model.safetensors", weights, WEIGHTS);
}

#define T(f) cmocka_unit_test_setup_teardown(f, enter_stage, leave_stage)
int main(void) {
    const struct CMUnitTest tests[] = {
        T(test_hub_names_that_leave_the_folder_are_refused),
        T(test_hub_ids_are_those_that_the_hub_allows),
        T(test_hub_select_takes_what_a_model_needs),
        T(test_hub_pull_takes_patterns),
        T(test_hub_pull_takes_all_of_a_data_set_but_scripts),
        T(test_hub_pull_makes_the_layout_of_huggingface_hub),
        T(test_hub_pull_of_a_revision_writes_its_ref),
        T(test_hub_pull_copies_where_links_do_not_work),
        T(test_hub_environment_names_cache_and_token),
        T(test_hub_pull_goes_on_after_cuts),
        T(test_hub_pull_gives_up_when_nothing_more_comes),
        T(test_hub_pull_goes_on_with_what_an_earlier_one_left),
        T(test_hub_pull_begins_again_where_ranges_are_ignored),
        T(test_hub_pull_keeps_the_token_from_other_hosts),
        T(test_hub_pull_follows_relative_redirections_of_the_hub),
        T(test_hub_refusals_say_what_to_do),
        T(test_hub_pull_waits_as_a_busy_server_says),
        T(test_hub_pull_says_that_there_is_no_network),
        T(test_hub_offline_asks_nobody),
        T(test_hub_pull_checks_lengths_and_sums),
        T(test_hub_pull_replaces_a_blob_of_another_length),
        T(test_hub_pull_refuses_another_part_than_asked_for),
        T(test_hub_pull_refuses_names_that_leave_the_folder),
        T(test_hub_pull_refuses_listings_that_are_none),
        T(test_hub_pull_writes_through_no_link),
        T(test_hub_pull_tells_of_a_full_disk),
        T(test_hub_pull_stops_when_told_and_goes_on),
        T(test_hub_pulls_at_once_share_the_work),
        T(test_hub_pull_survives_each_failed_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
