#include "filled.h"
#include <math.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[64];

static int enter(void **state) {
    (void)state;
    snprintf(dir, sizeof dir, "/tmp/assay-test-XXXXXX");
    return mkdtemp(dir) != NULL ? 0 : -1;
}

static int leave(void **state) {
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", dir);
    return system(command) == 0 && as_mem_live_blocks() == 0 ? 0 : -1;
}

static void put(const char *name, const void *p, size_t n) {
    char path[256];
    as_err err;
    snprintf(path, sizeof path, "%s/%s", dir, name);
    if (as_file_write(path, p, n, &err) != ASSAY_OK) fail_msg("%s", err.msg);
}

static void put_text(const char *name, const char *text) {
    put(name, text, strlen(text));
}

static void put_golden(const char *name, const char *golden) {
    as_buf b = slurp(golden);
    put(name, b.p, b.n);
    as_buf_free(&b);
}

/* Opening `what` (under dir, or dir itself when empty) fails with `status` and a message that holds
 * `msg`. */
static void expect_refused(const char *what, as_status status, const char *msg) {
    char path[256];
    as_weight_files *w;
    as_err err = {0};
    snprintf(path, sizeof path, "%s%s%s", dir, what[0] != '\0' ? "/" : "", what);
    const as_status s = as_weights_open(&w, path, &err);
    assert_null(w);
    if (s != status || strstr(err.msg, msg) == NULL || strstr(err.msg, dir) == NULL ||
        err.hint[0] == '\0')
        fail_msg("%s: status %d: %s (hint: %s), not: %s", what, (int)s, err.msg, err.hint, msg);
}

/* ---- conversion ---- */

static void test_weights_f16_equals_ieee_for_every_value(void **state) {
    (void)state;
    for (uint32_t h = 0; h < 0x10000; h++) {
        const int exponent = (int)(h >> 10 & 31), mantissa = (int)(h & 1023);
        double want = exponent == 0 ? ldexp(mantissa, -24) : ldexp(1024 + mantissa, exponent - 25);
        if (exponent == 31) want = mantissa == 0 ? HUGE_VAL : NAN;
        if (h >> 15) want = -want;
        const float got = as_f16_to_f32((uint16_t)h);
        if (isnan(want) ? !isnan(got) : (double)got != want || !signbit(got) != !signbit(want))
            fail_msg("%04x gives %g, not %g", (unsigned)h, (double)got, want);
    }
}

static void test_weights_bf16_rounds_to_nearest_even(void **state) {
    (void)state;
    static const struct {
        uint32_t f32;
        uint16_t want;
    } cases[] = {
        {0x00000000, 0x0000}, {0x80000000, 0x8000}, {0x3f800000, 0x3f80},
        {0x3f808000, 0x3f80}, /* tie to even */
        {0x3f818000, 0x3f82}, {0x3f808001, 0x3f81}, {0x3f807fff, 0x3f80},
        {0x7f7fffff, 0x7f80}, /* overflows */
        {0x7f800000, 0x7f80}, {0xff800000, 0xff80}, {0x7f800001, 0x7fc0},
        {0x7fffffff, 0x7fff}, {0x00000001, 0x0000},
    };
    for (size_t i = 0; i < AS_COUNT(cases); i++) {
        float f;
        memcpy(&f, &cases[i].f32, sizeof f);
        assert_int_equal(as_f32_to_bf16(f), cases[i].want);
    }
    for (uint32_t h = 0; h < 0x10000; h++) {
        const float f = as_bf16_to_f32((uint16_t)h);
        if (isnan(f) ? !isnan(as_bf16_to_f32(as_f32_to_bf16(f))) : as_f32_to_bf16(f) != h)
            fail_msg("%04x", (unsigned)h);
    }
}

/* Lengths around the block of the conversion loops, at every alignment. */
static void test_weights_convert_any_length_at_any_address(void **state) {
    (void)state;
    static const as_dtype dtypes[] = {AS_F32, AS_F16, AS_BF16, AS_F64};
    for (size_t d = 0; d < AS_COUNT(dtypes); d++) {
        const size_t size = as_dtype_size(dtypes[d]);
        for (int64_t n = 0; n <= 67; n++) {
            unsigned char in[68 * 8 + 8];
            float out[68];
            const size_t shift = (size_t)n % 8;
            for (int64_t i = 0; i < n; i++) { /* bf16 holds these values exactly, too */
                const double x = filled(AS_F64, i);
                const float f = (float)x;
                const uint16_t bf16 = as_f32_to_bf16(f);
                uint16_t f16 = 0;
                while ((double)as_f16_to_f32(f16) != x)
                    f16++;
                const void *const from = dtypes[d] == AS_F64   ? (const void *)&x
                                         : dtypes[d] == AS_F32 ? (const void *)&f
                                         : dtypes[d] == AS_F16 ? (const void *)&f16
                                                               : (const void *)&bf16;
                memcpy(in + shift + (size_t)i * size, from, size);
            }
            out[n] = -7.0f;
            const as_weight_view v = {.name = "x",
                                      .file = "f",
                                      .dtype = dtypes[d],
                                      .rank = 1,
                                      .shape = {n},
                                      .numel = n,
                                      .data = in + shift};
            assert_int_equal(as_weight_to_f32(out, &v, NULL), ASSAY_OK);
            for (int64_t i = 0; i < n; i++)
                assert_true((double)out[i] == filled(AS_F64, i));
            assert_true(out[n] == -7.0f);
        }
    }
}

static void test_weights_convert_refuses_what_is_no_float(void **state) {
    (void)state;
    float out[1];
    as_err err;
    for (int d = 0; d < AS_DTYPE_COUNT; d++) {
        if (d == AS_F32 || d == AS_F16 || d == AS_BF16 || d == AS_F64) continue;
        const as_weight_view v = {.name = "x",
                                  .file = "f",
                                  .dtype = (as_dtype)d,
                                  .rank = 0,
                                  .numel = 1,
                                  .data = "\0\0\0\0\0\0\0"};
        assert_int_equal(as_weight_to_f32(out, &v, &err), ASSAY_FORMAT);
        assert_non_null(strstr(err.msg, as_dtype_name((as_dtype)d)));
    }
}

/* ---- files ---- */

static void test_weights_open_shards_by_their_index(void **state) {
    (void)state;
    static const struct {
        const char *path, *format;
    } cases[] = {
        {GOLDEN "sharded", "safetensors"},
        {GOLDEN "sharded/model.safetensors.index.json", "safetensors"},
        {GOLDEN "sharded_bin", "pickle"},
    };
    for (size_t i = 0; i < AS_COUNT(cases); i++) {
        as_weight_files *w;
        as_err err;
        if (as_weights_open(&w, cases[i].path, &err) != ASSAY_OK) fail_msg("%s", err.msg);
        assert_int_equal(as_weights_count(w), 3);
        assert_int_equal(as_weights_file_count(w), 2);
        assert_non_null(strstr(as_weights_file_path(w, 1), "00002-of-00002"));
        assert_string_equal(as_weights_format(w), cases[i].format);
        expect_view(w, &(expected){"a", AS_F32, 2, {2, 3}}, NULL);
        expect_view(w, &(expected){"b", AS_F16, 1, {4}}, NULL);
        expect_view(w, &(expected){"c", AS_I64, 1, {2}}, NULL);
        assert_non_null(strstr(as_weights_find(w, "c")->file, "00002-of-00002"));
        as_weights_close(w);
    }
}

static void test_weights_open_refuses_a_bad_index(void **state) {
    (void)state;
    static const char *const index = "model.safetensors.index.json";
    put_golden("one.safetensors", GOLDEN "sharded/model-00001-of-00002.safetensors");
    put_golden("two.safetensors", GOLDEN "sharded/model-00001-of-00002.safetensors");
    static const struct {
        const char *text;
        as_status status;
        const char *msg;
    } cases[] = {
        {"{\"weight_map\":{\"a\":\"one.safetensors\",\"c\":\"three.safetensors\"}}", ASSAY_IO,
         "\"three.safetensors\" that it names is missing"},
        {"{\"weight_map\":{\"a\":\"one.safetensors\",\"x\":\"one.safetensors\"}}", ASSAY_FORMAT,
         "tensor \"x\" is not in \"one.safetensors\""},
        {"{\"weight_map\":{\"a\":\"one.safetensors\",\"b\":\"two.safetensors\"}}", ASSAY_FORMAT,
         "is there twice (in one.safetensors and two.safetensors)"},
        {"{\"weight_map\":{\"a\":\"../one.safetensors\"}}", ASSAY_FORMAT,
         "the file \"../one.safetensors\": refused"},
        {"{\"weight_map\":{\"a\":\"/etc/passwd\"}}", ASSAY_FORMAT,
         "the file \"/etc/passwd\": refused"},
        {"{\"weight_map\":{\"a\":\"..\"}}", ASSAY_FORMAT, "refused"},
        {"{\"weight_map\":{\"a\":\".\"}}", ASSAY_FORMAT, "refused"},
        {"{\"weight_map\":{\"a\":\"\"}}", ASSAY_FORMAT, "refused"},
        {"{\"weight_map\":{\"a\":\"one.safetensors\\u0000\"}}", ASSAY_FORMAT, "refused"},
        {"{\"weight_map\":{\"a\":3}}", ASSAY_FORMAT, "refused"},
        {"{\"weight_map\":{\"a\\u0000\":\"one.safetensors\"}}", ASSAY_FORMAT, "NUL"},
        {"{\"weight_map\":", ASSAY_FORMAT, "model.safetensors.index.json:1"},
        {"{\"weight_map\":{}}", ASSAY_FORMAT, "has no \"weight_map\""},
        {"{\"weight_map\":[]}", ASSAY_FORMAT, "has no \"weight_map\""},
        {"{}", ASSAY_FORMAT, "has no \"weight_map\""},
    };
    for (size_t i = 0; i < AS_COUNT(cases); i++) {
        put_text(index, cases[i].text);
        expect_refused("", cases[i].status, cases[i].msg);
    }
}

static void test_weights_open_prefers_safetensors_in_a_folder(void **state) {
    (void)state;
    static const struct {
        const char *name, *golden;
        size_t count;
    } files[] = {
        /* later ones are preferred */
        {"pytorch_model.bin", GOLDEN "parameter.bin", 4},
        {"model.safetensors", GOLDEN "f8.safetensors", 2},
    };
    for (size_t i = 0; i < AS_COUNT(files); i++) {
        put_golden(files[i].name, files[i].golden);
        as_weight_files *w;
        as_err err;
        if (as_weights_open(&w, dir, &err) != ASSAY_OK) fail_msg("%s", err.msg);
        assert_int_equal(as_weights_count(w), files[i].count);
        as_weights_close(w);
    }
}

static void test_weights_open_knows_a_file_by_its_content(void **state) {
    (void)state;
    as_weight_files *w;
    as_err err;
    char path[128];
    put_golden("pytorch_model.bin", GOLDEN "all.safetensors");
    snprintf(path, sizeof path, "%s/pytorch_model.bin", dir);
    assert_int_equal(as_weights_open(&w, path, &err), ASSAY_OK);
    assert_string_equal(as_weights_format(w), "safetensors");
    as_weights_close(w);
}

static void test_weights_open_names_what_is_wrong_with_a_file(void **state) {
    (void)state;
    expect_refused("", ASSAY_IO,
                   "holds no weights (looked for model.safetensors, model.safetensors.index.json, "
                   "pytorch_model.bin and pytorch_model.bin.index.json)");
    expect_refused("absent", ASSAY_IO, "absent");
    put_text("empty.safetensors", "");
    expect_refused("empty.safetensors", ASSAY_FORMAT, "empty.safetensors: is empty");
    put_text("empty.bin", "");
    expect_refused("empty.bin", ASSAY_FORMAT, "empty.bin: is empty");
    put_text("model.bin", "<!DOCTYPE html><html>not found</html>");
    expect_refused("model.bin", ASSAY_FORMAT,
                   "is neither a safetensors file nor one of torch.save");
    put_text("model.safetensors",
             "version https://git-lfs.example/spec/v1\noid sha256:0\nsize 90868376\n");
    expect_refused("model.safetensors", ASSAY_FORMAT,
                   "is a Git LFS pointer, not the weights themselves");
    put("cut.safetensors", "\x40\0\0\0\0\0\0\0{}", 10);
    expect_refused("cut.safetensors", ASSAY_FORMAT,
                   "its header ends at byte 72, the file at byte 10");
}

static void test_weights_real_checkpoint_is_read_and_written_alike(void **state) {
    (void)state;
    char path[512], copy[128];
    const char *const models = getenv("ASSAY_MODELS");
    snprintf(path, sizeof path, "%s/all-MiniLM-L6-v2", models != NULL ? models : ".");
    if (models == NULL || !as_dir_exists(path)) {
        printf("skip reason: all-MiniLM-L6-v2 is not in ASSAY_MODELS\n");
        skip();
    }
    as_weight_files *w;
    as_err err;
    if (as_weights_open(&w, path, &err) != ASSAY_OK) fail_msg("%s", err.msg);
    assert_int_equal(as_weights_count(w),
                     104); /* 6 layers of 16, 5 embeddings, position ids, pooler */
    const as_weight_view *const v = as_weights_find(w, "embeddings.word_embeddings.weight");
    assert_int_equal(v->dtype, AS_F32);
    assert_int_equal(v->shape[0], 30522);
    assert_int_equal(v->shape[1], 384);
    snprintf(copy, sizeof copy, "%s/model.safetensors", dir);
    assert_int_equal(as_safetensors_write(copy, as_weights_at(w, 0), as_weights_count(w), &err),
                     ASSAY_OK);
    as_map was, is;
    assert_int_equal(as_map_open(&was, as_weights_file_path(w, 0), &err), ASSAY_OK);
    assert_int_equal(as_map_open(&is, copy, &err), ASSAY_OK);
    assert_int_equal(is.n, was.n);
    assert_true(memcmp(is.p, was.p, is.n) == 0);
    as_map_close(&was);
    as_map_close(&is);
    as_weights_close(w);
    if (truncate(copy, 88604672) != 0) fail_msg("truncate");
    expect_refused("model.safetensors", ASSAY_FORMAT,
                   "ends at byte 90,868,376, the file at byte 88,604,672");
}

#define T(f) cmocka_unit_test_setup_teardown(f, enter, leave)
int main(void) {
    const struct CMUnitTest tests[] = {
        T(test_weights_f16_equals_ieee_for_every_value),
        T(test_weights_bf16_rounds_to_nearest_even),
        T(test_weights_convert_any_length_at_any_address),
        T(test_weights_convert_refuses_what_is_no_float),
        T(test_weights_open_shards_by_their_index),
        T(test_weights_open_refuses_a_bad_index),
        T(test_weights_open_prefers_safetensors_in_a_folder),
        T(test_weights_open_knows_a_file_by_its_content),
        T(test_weights_open_names_what_is_wrong_with_a_file),
        T(test_weights_real_checkpoint_is_read_and_written_alike),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
