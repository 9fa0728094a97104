#include "filled.h"
#include <dirent.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

static char dir[64], path[128];

static int enter(void **state) {
    (void)state;
    snprintf(dir, sizeof dir, "/tmp/assay-test-XXXXXX");
    if (mkdtemp(dir) == NULL) return -1;
    snprintf(path, sizeof path, "%s/model.safetensors", dir);
    return 0;
}

static int leave(void **state) {
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", dir);
    return system(command) == 0 && as_mem_live_blocks() == 0 ? 0 : -1;
}

static int files_in(const char *folder) {
    DIR *const d = opendir(folder);
    int n = 0;
    while (readdir(d) != NULL)
        n++;
    closedir(d);
    return n - 2;
}

/* ---- reading ---- */

static void test_safetensors_reads_what_python_wrote(void **state) {
    (void)state;
    as_weight_files *w;
    as_err err;
    assert_int_equal(as_weights_open(&w, GOLDEN "all.safetensors", &err), ASSAY_OK);
    assert_int_equal(as_weights_count(w), AS_COUNT(all_tensors));
    expect_all(w);
    assert_null(as_weights_find(w, "f3"));
    assert_null(as_weights_find(w, "__metadata__"));
    assert_string_equal(as_weights_format(w), "safetensors");
    assert_int_equal(as_weights_file_count(w), 1);
    assert_string_equal(as_weights_file_path(w, 0), GOLDEN "all.safetensors");
    assert_string_equal(as_weights_at(w, 0)->file, "all.safetensors");
    as_weights_close(w);
}

static void test_safetensors_refuses_f8_only_when_converted(void **state) {
    (void)state;
    as_weight_files *w;
    as_err err;
    float out[4];
    assert_int_equal(as_weights_open(&w, GOLDEN "f8.safetensors", &err), ASSAY_OK);
    const as_weight_view *const v = as_weights_find(w, "f8");
    assert_int_equal(v->dtype, AS_F8_E4M3);
    assert_int_equal(as_weight_to_f32(out, v, &err), ASSAY_FORMAT);
    assert_string_equal(
        err.msg,
        "f8.safetensors: tensor \"f8\" has dtype F8_E4M3, which cannot be converted to float");
    as_weights_close(w);
}

/* header: JSON text, behind it `data` bytes of zeros. `length` overrides the first 8 bytes when it
 * is not 0. */
typedef struct bad_case {
    const char *header;
    size_t data;
    uint64_t length;
    const char *msg;
} bad_case;

#define F32(name, shape, begin, end)                                                               \
    "\"" name "\":{\"dtype\":\"F32\",\"shape\":[" shape "],\"data_offsets\":[" begin "," end "]}"
static const bad_case bad_cases[] = {
    {"{" F32("x", "250000", "0", "1000000") "}", 10, 0,
     "model: tensor \"x\" ends at byte 1,000,073, the file at byte 83"},
    {"{" F32("x", "2", "0", "8") "," F32("y", "2", "4", "12") "}", 12, 0,
     "tensor \"y\" overlaps tensor \"x\""},
    {"{" F32("x", "2", "0", "8") "," F32("y", "2", "0", "8") "}", 8, 0,
     "tensor \"y\" overlaps tensor \"x\""},
    {"{" F32("x", "2", "0", "8") "," F32("y", "2", "12", "20") "}", 20, 0,
     "no tensor covers the 4 bytes before tensor \"y\""},
    {"{" F32("x", "2", "4", "12") "}", 12, 0, "no tensor covers the 4 bytes before tensor \"x\""},
    {"{" F32("x", "2", "0", "8") "}", 1008, 0, "no tensor covers the last 1,000 bytes"},
    {"{}", 5, 0, "no tensor covers the last 5 bytes"},
    {"{" F32("x", "3", "0", "8") "}", 8, 0,
     "tensor \"x\": its shape and dtype F32 do not make the 8 bytes"},
    {"{" F32("x", "2", "8", "0") "}", 8, 0, "tensor \"x\": data_offsets are not [begin, end]"},
    {"{" F32("x", "2", "-8", "0") "}", 8, 0, "tensor \"x\": data_offsets are not [begin, end]"},
    {"{" F32("x", "2", "0", "8.0") "}", 8, 0, "tensor \"x\": data_offsets are not [begin, end]"},
    {"{" F32("x", "2", "0", "18446744073709551624") "}", 8, 0, "data_offsets are not [begin, end]"},
    {"{" F32("x", "2", "0", "4,8") "}", 8, 0, "tensor \"x\": data_offsets are not [begin, end]"},
    {"{" F32("x", "4611686018427387904,4", "0", "0") "}", 0, 0,
     "tensor \"x\": its shape overflows 64 bits"},
    {"{" F32("x", "4611686018427387904", "0", "0") "}", 0, 0,
     "tensor \"x\": its shape and dtype F32 do not make the 0 bytes"},
    {"{" F32("x", "-1", "0", "8") "}", 8, 0,
     "tensor \"x\": has a dimension that is not a whole number"},
    {"{" F32("x", "\"2\"", "0", "8") "}", 8, 0,
     "tensor \"x\": has a dimension that is not a whole number"},
    {"{" F32("x", "1,1,1,1,1,1,1,1,2", "0", "8") "}", 8, 0,
     "tensor \"x\": has more than 8 dimensions"},
    {"{" F32("x", "2", "0", "8") "," F32("x", "2", "8", "16") "}", 16, 0,
     "tensor \"x\": is listed twice"},
    {"{" F32("x", "2", "0", "8") "," F32("\\u0078", "2", "0", "8") "}", 8, 0, "is listed twice"},
    {"{" F32("x\\n", "2", "0", "9") "}", 9, 0, "tensor \"x?\""},
    {"{" F32("a\\u0000b", "2", "0", "8") "}", 8, 0, "NUL"},
    {"{\"x\":{\"dtype\":\"F33\",\"shape\":[2],\"data_offsets\":[0,8]}}", 8, 0,
     "tensor \"x\" has the unknown dtype \"F33\""},
    {"{\"x\":{\"dtype\":32,\"shape\":[2],\"data_offsets\":[0,8]}}", 8, 0,
     "tensor \"x\": has no dtype"},
    {"{\"x\":{\"dtype\":\"F32\",\"data_offsets\":[0,8]}}", 8, 0, "tensor \"x\": has no shape"},
    {"{\"x\":{\"dtype\":\"F32\",\"shape\":[2]}}", 8, 0,
     "tensor \"x\": data_offsets are not [begin, end]"},
    {"{\"x\":[1]}", 8, 0, "tensor \"x\": is not described by an object"},
    {"{\"__metadata__\":3}", 0, 0, "\"__metadata__\" is not an object"},
    {"[]", 0, 0, "its header does not begin with \"{\""},
    {"", 8, 0, "its header does not begin with \"{\""},
    {"{\"x\":", 8, 0, "model"},
    {"{}", 0, 3, "model: its header ends at byte 11, the file at byte 10"},
    {"{}", 0, 100000000, "model: its header ends at byte 100,000,008, the file at byte 10"},
    {"{}", 0, 100000001, "ask for a header of 100,000,001 bytes"},
    {"{}", 0, UINT64_MAX, "ask for a header of 18,446,744,073,709,551,615 bytes"},
};

static as_buf build(const bad_case *c) {
    as_buf b = {0};
    const uint64_t n = c->length != 0 ? c->length : strlen(c->header);
    for (int i = 0; i < 8; i++)
        as_buf_char(&b, (char)(n >> (8 * i)));
    as_buf_str(&b, c->header);
    for (size_t i = 0; i < c->data; i++)
        as_buf_char(&b, '\0');
    return b;
}

static void test_safetensors_names_what_is_wrong(void **state) {
    (void)state;
    for (size_t i = 0; i < AS_COUNT(bad_cases); i++) {
        as_buf b = build(&bad_cases[i]);
        as_err err = {0};
        const as_status s = parse_exact(as_safetensors_parse, b.p, b.n, &err);
        if (s != ASSAY_FORMAT || strstr(err.msg, bad_cases[i].msg) == NULL)
            fail_msg("%s\ngives %d: %s\nnot %s", bad_cases[i].header, (int)s, err.msg,
                     bad_cases[i].msg);
        as_buf_free(&b);
    }
    as_err err;
    assert_int_equal(parse_exact(as_safetensors_parse, "", 0, &err), ASSAY_FORMAT);
    assert_string_equal(err.msg, "model: is empty");
    assert_int_equal(parse_exact(as_safetensors_parse, "1234567", 7, &err), ASSAY_FORMAT);
}

static void test_safetensors_takes_what_is_odd_but_valid(void **state) {
    (void)state;
    static const bad_case good[] = {
        {"{}", 0, 0, NULL},
        {"{} \n ", 0, 0, NULL},
        {"{\"__metadata__\":{\"a:b\":\"{\\\"\"}," F32("x{:\\\"", "2", "0", "8") "}", 8, 0, NULL},
        {"{" F32("y", "2", "8", "16") "," F32("x", "2", "0", "8") "}", 16, 0, NULL},
        {"{" F32("e", "0,99", "8", "8") "," F32("x", "2", "0", "8") "," F32("f", "0", "0", "0") "}",
         8, 0, NULL},
    };
    for (size_t i = 0; i < AS_COUNT(good); i++) {
        as_buf b = build(&good[i]);
        as_err err;
        if (parse_exact(as_safetensors_parse, b.p, b.n, &err) != ASSAY_OK)
            fail_msg("%s: %s", good[i].header, err.msg);
        as_buf_free(&b);
    }
}

static void test_safetensors_survives_any_cut_and_changed_byte(void **state) {
    (void)state;
    as_buf b = slurp(GOLDEN "all.safetensors");
    expect_hardened(as_safetensors_parse, &b);
    as_buf_free(&b);
}

static void test_safetensors_survives_failing_memory(void **state) {
    (void)state;
    as_buf b = slurp(GOLDEN "all.safetensors");
    expect_survives_failing_memory(as_safetensors_parse, &b);
    as_buf_free(&b);
}

/* ---- writing ---- */

static void test_safetensors_writes_the_bytes_of_python(void **state) {
    (void)state;
    static const char *const files[] = {"all.safetensors", "f8.safetensors"};
    for (size_t f = 0; f < AS_COUNT(files); f++) {
        char golden[128];
        snprintf(golden, sizeof golden, GOLDEN "%s", files[f]);
        as_weight_files *w;
        as_err err;
        assert_int_equal(as_weights_open(&w, golden, &err), ASSAY_OK);
        as_weight_view
            reversed[AS_COUNT(all_tensors)]; /* in an order that is not the one of the file */
        const size_t n = as_weights_count(w);
        for (size_t i = 0; i < n; i++)
            reversed[i] = *as_weights_at(w, n - 1 - i);
        assert_int_equal(as_safetensors_write(path, reversed, n, &err), ASSAY_OK);
        as_buf want = slurp(golden), got = slurp(path);
        assert_int_equal(got.n, want.n);
        assert_memory_equal(got.p, want.p, want.n);
        as_buf_free(&want);
        as_buf_free(&got);
        as_weights_close(w);
    }
    assert_int_equal(files_in(dir), 1);
}

static void test_safetensors_writes_an_empty_set(void **state) {
    (void)state;
    as_weight_files *w;
    as_err err;
    assert_int_equal(as_safetensors_write(path, NULL, 0, &err), ASSAY_OK);
    assert_int_equal(as_weights_open(&w, path, &err), ASSAY_OK);
    assert_int_equal(as_weights_count(w), 0);
    assert_null(as_weights_find(w, ""));
    as_weights_close(w);
}

static void test_safetensors_never_writes_what_cannot_be_read(void **state) {
    (void)state;
    static const float x[4] = {0};
    const as_weight_view good = {
        .name = "x", .dtype = AS_F32, .rank = 1, .shape = {4}, .numel = 4, .data = x};
    as_weight_view numel = good, reserved = good, text = good, rank = good, negative = good;
    numel.numel = 5;
    reserved.name = "__metadata__";
    text.name = "\xff";
    rank.rank = 9;
    negative.shape[0] = -4;
    const as_weight_view cases[][2] = {{good, good}, {numel}, {reserved},
                                       {text},       {rank},  {negative}};
    as_err err;
    for (size_t i = 0; i < AS_COUNT(cases); i++) {
        const as_status s = as_safetensors_write(path, cases[i], i == 0 ? 2 : 1, &err);
        if (s != ASSAY_FORMAT || err.hint[0] == '\0')
            fail_msg("case %d: status %d", (int)i, (int)s);
    }
    assert_int_equal(files_in(dir), 0);
}

/* A file-size limit stands for a full disk: write(2) fails in the middle. */
static void test_safetensors_leaves_nothing_behind_on_a_full_disk(void **state) {
    (void)state;
    const size_t n = 3 << 20;
    float *const x = as_calloc(n, sizeof *x);
    const as_weight_view v[2] = {
        {.name = "small", .dtype = AS_F32, .rank = 1, .shape = {4}, .numel = 4, .data = x},
        {.name = "large",
         .dtype = AS_F32,
         .rank = 1,
         .shape = {3 << 20},
         .numel = 3 << 20,
         .data = x}};
    as_err err;
    assert_int_equal(as_safetensors_write(path, v, 1, &err), ASSAY_OK);
    as_buf before = slurp(path);
    struct rlimit old;
    getrlimit(RLIMIT_FSIZE, &old);
    const struct rlimit low = {1 << 20, old.rlim_max};
    void (*const handler)(int) = signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &low);
    const as_status s = as_safetensors_write(path, v, 2, &err);
    setrlimit(RLIMIT_FSIZE, &old);
    signal(SIGXFSZ, handler);
    assert_int_equal(s, ASSAY_IO);
    assert_non_null(strstr(err.msg, path));
    assert_int_equal(files_in(dir), 1);
    as_buf after = slurp(path); /* the old file is untouched */
    assert_int_equal(after.n, before.n);
    assert_memory_equal(after.p, before.p, before.n);
    as_buf_free(&before);
    as_buf_free(&after);
    as_free(x);
}

static void test_safetensors_writer_survives_failing_memory(void **state) {
    (void)state;
    as_weight_files *w;
    as_err err;
    assert_int_equal(as_weights_open(&w, GOLDEN "f8.safetensors", &err), ASSAY_OK);
    const int64_t live = as_mem_live_blocks();
    as_status s = ASSAY_NOMEM;
    for (int64_t n = 1; s != ASSAY_OK; n++) {
        as_mem_fail_after(n);
        s = as_safetensors_write(path, as_weights_at(w, 0), as_weights_count(w), &err);
        as_mem_fail_after(0);
        assert_int_equal(as_mem_live_blocks(), live);
        if (s != ASSAY_OK) assert_int_equal(s, ASSAY_NOMEM);
        assert_int_equal(files_in(dir), s == ASSAY_OK);
    }
    as_weights_close(w);
}

#define T(f) cmocka_unit_test_setup_teardown(f, enter, leave)
int main(void) {
    const struct CMUnitTest tests[] = {
        T(test_safetensors_reads_what_python_wrote),
        T(test_safetensors_refuses_f8_only_when_converted),
        T(test_safetensors_names_what_is_wrong),
        T(test_safetensors_takes_what_is_odd_but_valid),
        T(test_safetensors_survives_any_cut_and_changed_byte),
        T(test_safetensors_survives_failing_memory),
        T(test_safetensors_writes_the_bytes_of_python),
        T(test_safetensors_writes_an_empty_set),
        T(test_safetensors_never_writes_what_cannot_be_read),
        T(test_safetensors_leaves_nothing_behind_on_a_full_disk),
        T(test_safetensors_writer_survives_failing_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
