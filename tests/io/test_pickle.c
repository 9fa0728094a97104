#include "filled.h"

static int64_t shift_slice(int64_t i) {
    return 4 * (1 + i / 2) + 1 + i % 2;
} /* base[1:, 1:3], i over [2, 2] */
static int64_t transpose(int64_t i) {
    return i % 3 * 4 + i / 3;
} /* base.t(), i over [4, 3] */
static int64_t last_row(int64_t i) {
    return 8 + i;
}
static int64_t expand(int64_t i) {
    return i / 5 * 4;
} /* base[:, :1] over [3, 5] */
static int64_t permute(int64_t i) {
    return i / 3 % 2 * 12 + i % 3 * 4 + i / 6;
} /* [2,3,4] as (2,0,1) -> [4,2,3] */

static const struct {
    expected want;
    int64_t (*value)(int64_t);
} strided[] = {
    {{"base", AS_F32, 2, {3, 4}}, NULL},
    {{"tied", AS_F32, 2, {3, 4}}, NULL},
    {{"transposed", AS_F32, 2, {4, 3}}, transpose},
    {{"slice", AS_F32, 2, {2, 2}}, shift_slice},
    {{"row", AS_F32, 1, {4}}, last_row},
    {{"expanded", AS_F32, 2, {3, 5}}, expand},
    {{"permuted", AS_BF16, 3, {4, 2, 3}}, permute},
};

static int nothing_left(void **state) {
    (void)state;
    return as_mem_live_blocks() == 0 ? 0 : -1;
}

static void test_pickle_reads_every_form_that_torch_writes(void **state) {
    (void)state;
    static const char *const files[] = {"zip.bin",       "legacy.bin",    "protocol3.bin",
                                        "protocol4.bin", "protocol5.bin", "legacy4.bin"};
    for (size_t f = 0; f < AS_COUNT(files); f++) {
        char path[128];
        snprintf(path, sizeof path, GOLDEN "%s", files[f]);
        as_weight_files *w;
        as_err err;
        if (as_weights_open(&w, path, &err) != ASSAY_OK) fail_msg("%s", err.msg);
        assert_int_equal(as_weights_count(w), AS_COUNT(all_tensors) + AS_COUNT(strided));
        expect_all(w);
        for (size_t i = 0; i < AS_COUNT(strided); i++)
            expect_view(w, &strided[i].want, strided[i].value);
        assert_ptr_equal(as_weights_find(w, "base")->data, as_weights_find(w, "tied")->data);
        assert_null(as_weights_find(w, "step"));
        assert_string_equal(as_weights_format(w), "pickle");
        assert_string_equal(as_weights_find(w, "f32")->file, files[f]);
        as_weights_close(w);
    }
}

static void test_pickle_reads_state_dicts_of_modules(void **state) {
    (void)state;
    static const struct {
        const char *file;
        size_t count;
    } cases[] = {
        {"module.bin", 7},
        {"parameter.bin", 4},
        {"nested_state_dict.bin", 7},
        {"nested_model_state_dict.bin", 7},
        {"nested_model.bin", 7},
    };
    for (size_t f = 0; f < AS_COUNT(cases); f++) {
        char path[128];
        snprintf(path, sizeof path, GOLDEN "%s", cases[f].file);
        as_weight_files *w;
        as_err err;
        if (as_weights_open(&w, path, &err) != ASSAY_OK) fail_msg("%s", err.msg);
        assert_int_equal(as_weights_count(w), cases[f].count);
        expect_view(w, &(expected){"0.weight", AS_F32, 2, {3, 2}}, NULL);
        assert_int_equal(as_weights_find(w, "1.bias")->numel, 3);
        as_weights_close(w);
    }
}

static void test_pickle_reads_many_names_and_python_2_dicts(void **state) {
    (void)state;
    as_weight_files *w;
    as_err err;
    assert_int_equal(as_weights_open(&w, GOLDEN "many.bin", &err), ASSAY_OK);
    assert_int_equal(as_weights_count(w), 400);
    expect_view(w, &(expected){"layer.399.weight", AS_F32, 1, {2}}, NULL);
    as_weights_close(w);
    assert_int_equal(as_weights_open(&w, GOLDEN "python2.bin", &err), ASSAY_OK);
    assert_int_equal(as_weights_count(w), 2);
    expect_view(w, &(expected){"w", AS_F32, 1, {2}}, NULL);
    expect_view(w, &(expected){"b", AS_F32, 1, {1}}, NULL);
    as_weights_close(w);
    assert_int_equal(as_weights_open(&w, GOLDEN "f8.bin", &err), ASSAY_OK);
    assert_int_equal(as_weights_find(w, "f8")->dtype, AS_F8_E4M3);
    assert_int_equal(as_weights_find(w, "u16")->numel, 3);
    as_weights_close(w);
}

static void test_pickle_refuses_what_wants_to_run(void **state) {
    (void)state;
    static const struct {
        const char *file, *msg;
    } cases[] = {
        {"evil.bin", GOLDEN "evil.bin: pickle wants to call \"posix.system\": refused"},
        {"evil_legacy.bin",
         GOLDEN "evil_legacy.bin: pickle wants to call \"posix.system\": refused"},
        {"no_dict.bin", GOLDEN "no_dict.bin: holds no dict of tensors"},
    };
    for (size_t f = 0; f < AS_COUNT(cases); f++) {
        char path[128];
        snprintf(path, sizeof path, GOLDEN "%s", cases[f].file);
        as_weight_files *w;
        as_err err;
        assert_int_equal(as_weights_open(&w, path, &err), ASSAY_FORMAT);
        assert_null(w);
        assert_string_equal(err.msg, cases[f].msg);
        assert_true(err.hint[0] != '\0');
    }
}

/* ---- hand-made legacy files ---- */

#define PROTO "\x80\x02"
#define MAGIC PROTO "\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19."
#define HEAD  MAGIC PROTO "M\xe9\x03." PROTO "}X\x0d\0\0\0little_endian\x88s."
/* Storage "0": 8 floats; the tuple and the reference to it. */
#define STORAGE(key, numel) "(U\7storagectorch\nFloatStorage\nU\1" key "U\3cpu" numel "NtQ"
/* One tensor "w" of these arguments behind its storage. */
#define TENSOR(storage, args) "}U\1wctorch._utils\n_rebuild_tensor_v2\n(" storage args "\x89NtRs."
#define KEYS                  "]U\0010a."
#define ZEROS8                "\0\0\0\0\0\0\0\0"
#define DATA                  "\10\0\0\0\0\0\0\0" ZEROS8 ZEROS8 ZEROS8 ZEROS8
#define GOOD_STORAGE          STORAGE("0", "K\10")

typedef struct raw_case {
    const char *p;
    size_t n;
    const char *msg;
} raw_case;
#define RAW(bytes, msg)                                                                            \
    { bytes, sizeof(bytes) - 1, msg }

static const raw_case raw_cases[] = {
    RAW(HEAD TENSOR(GOOD_STORAGE, "K\0K\2K\4\x86K\4K\1\x86") KEYS DATA, NULL),
    RAW(HEAD TENSOR(GOOD_STORAGE, "K\0K\2K\4\x86K\1K\2\x86") KEYS DATA, NULL),
    RAW(HEAD TENSOR(GOOD_STORAGE, "K\1K\2K\4\x86K\4K\1\x86") KEYS DATA,
        "tensor \"w\": reaches past the end of its storage"),
    RAW(HEAD TENSOR(GOOD_STORAGE, "K\0K\2K\4\x86K\5K\1\x86") KEYS DATA,
        "tensor \"w\": reaches past the end of its storage"),
    RAW(HEAD TENSOR(GOOD_STORAGE, "K\0K\2K\4\x86J\xff\xff\xff\xffK\1\x86") KEYS DATA,
        "size or stride that is no whole number"),
    RAW(HEAD TENSOR(GOOD_STORAGE, "J\xff\xff\xff\xffK\2\x85K\1\x85") KEYS DATA,
        "is rebuilt from unexpected values"),
    RAW(HEAD TENSOR(GOOD_STORAGE, "K\0K\2K\4\x86K\1\x85") KEYS DATA,
        "is rebuilt from unexpected values"),
    RAW(HEAD TENSOR(GOOD_STORAGE, "K\0K\2K\2\x86\x8a\10\0\0\0\0\0\0\0\x40K\1\x86") KEYS DATA,
        "reaches past the end of its storage"),
    RAW(HEAD TENSOR(GOOD_STORAGE,
                    "K\0\x8a\10\0\0\0\0\0\0\0\x40\x8a\10\0\0\0\0\0\0\0\x40\x86K\0K\0\x86")
            KEYS DATA,
        "its shape overflows"),
    RAW(HEAD TENSOR(GOOD_STORAGE, "K\0\x8a\6\0\0\0\0\0\1\x85K\0\x85") KEYS DATA,
        "its strides ask for much more memory"),
    RAW(HEAD TENSOR(GOOD_STORAGE, "K\0(K\1K\1K\1K\1K\1K\1K\1K\1K\1tK\1") KEYS DATA,
        "is rebuilt from unexpected values"),
    RAW(HEAD TENSOR(STORAGE("0", "K\11"), "K\0K\2\x85K\1\x85") KEYS DATA,
        "its storage is smaller than the pickle says"),
    RAW(HEAD TENSOR(STORAGE("0", "\x8a\10\0\0\0\0\0\0\0\x7f"), "K\0K\2\x85K\1\x85") KEYS DATA,
        "size of its storage overflows"),
    RAW(HEAD TENSOR(STORAGE("1", "K\10"), "K\0K\2\x85K\1\x85") KEYS DATA,
        "list of storages does not match"),
    RAW(HEAD TENSOR(GOOD_STORAGE, "K\0K\2\x85K\1\x85") "]." DATA,
        "tensor \"w\": its storage is not in the file"),
    RAW(HEAD TENSOR(GOOD_STORAGE, "K\0K\2\x85K\1\x85") "](U\0010U\0010e." DATA DATA,
        "list of storages does not match"),
    RAW(HEAD TENSOR(GOOD_STORAGE, "K\0K\2\x85K\1\x85") "}." DATA, "has no list of storages"),
    RAW(HEAD TENSOR("K\1", "K\0K\2\x85K\1\x85") "].", "is rebuilt from unexpected values"),
    RAW(HEAD TENSOR("(U\7storageK\1U\0010U\3cpuK\10tQ", "K\0K\2\x85K\1\x85"),
        "it refers to what is no storage"),
    RAW(HEAD "}U\1wctorch._utils\n_rebuild_tensor_v2\n)Rs."
             "].",
        "is rebuilt from too few values"),
    RAW(HEAD "}U\1wcos\nsystem\n(U\4truetRs.", "pickle wants to call \"os.system\": refused"),
    RAW(HEAD "\x8c\2os\x8c\6system\x93U\4true\x85R.",
        "pickle wants to call \"os.system\": refused"),
    RAW(HEAD "cbuiltins\neval\n.", "pickle wants to call \"builtins.eval\": refused"),
    RAW(HEAD "ctorch\nFloatStorage\nK\5\x85R.",
        "pickle wants to call \"torch.FloatStorage\": refused"),
    RAW(HEAD "c\x1b[2J\nx\n.", "pickle wants to call \"?[2J.x\": refused"),
    RAW(HEAD "(S'x'\nios\nsystem\n.", "opcode 0x53, which no state dict needs: refused"),
    RAW(HEAD "(U\4trueios\nsystem\n.", "opcode 0x69, which no state dict needs: refused"),
    RAW(HEAD "(cos\nsystem\no.", "pickle wants to call \"os.system\": refused"),
    RAW(HEAD "\x82\1.", "opcode 0x82"),
    RAW(HEAD "K\1K\2R.", "it calls what is no known function"),
    RAW(HEAD "R.", "its stack is empty"),
    RAW(HEAD "(R.", "its stack is empty"),
    RAW(HEAD ".", "its stack is empty"),
    RAW(HEAD "t.", "its stack has no mark"),
    RAW(HEAD "K\1(K\1u.", "it sets items of what is no dict"),
    RAW(HEAD "}(K\1u.", "it sets a key without a value"),
    RAW(HEAD "}K\1a.", "it appends to what is no list"),
    RAW(HEAD "h\5.", "it reads what its memo does not hold"),
    RAW(HEAD "Nr\xff\xff\xff\x7f.", "its memo is written out of order"),
    RAW(HEAD "ccollections\nOrderedDict\nK\5\x85R.", "OrderedDict of something else than a list"),
    RAW(HEAD "ccollections\nOrderedDict\n]K\5a\x85R.", "OrderedDict of what are no pairs"),
    RAW(HEAD "K\5}b.", "sets the state of an unknown object"),
    RAW(HEAD "X\xff\xff\xff\xffx", "ends at byte"),
    RAW(HEAD "\x8d\xff\xff\xff\xff\xff\xff\xff\xff.", "ends at byte"),
    RAW(HEAD "}}."
             "].",
        "holds no dict of tensors"),
    RAW(HEAD TENSOR(GOOD_STORAGE, "K\0K\2K\4\x86K\4K\1\x86") KEYS "\10\0\0\0\0\0\0\0" ZEROS8,
        "storage \"0\" ends at byte"),
    RAW(HEAD TENSOR(GOOD_STORAGE, "K\0K\2K\4\x86K\4K\1\x86") KEYS
        "\xff\xff\xff\xff\xff\xff\xff\xff",
        "size of a storage overflows"),
    RAW(MAGIC PROTO "M\xe8\x03.", "unknown version of torch.save's legacy format"),
    RAW(MAGIC PROTO "M\xe9\x03." PROTO "}X\x0d\0\0\0little_endian\x89s.", "big-endian"),
    RAW(PROTO "}.", "is a pickle, but not one of torch.save"),
    RAW("\x80\x06}.", "its protocol is none of 2 to 5"),
};

static void test_pickle_names_what_is_wrong(void **state) {
    (void)state;
    for (size_t i = 0; i < AS_COUNT(raw_cases); i++) {
        as_err err = {0};
        const raw_case *const c = &raw_cases[i];
        const as_status s = parse_exact(as_pickle_parse, c->p, c->n, &err);
        if (c->msg == NULL ? s != ASSAY_OK : s != ASSAY_FORMAT || strstr(err.msg, c->msg) == NULL)
            fail_msg("case %d gives %d: %s\nnot %s", (int)i, (int)s, err.msg,
                     c->msg != NULL ? c->msg : "ok");
    }
    char tar[512] = "x";
    memcpy(tar + 257, "ustar", 5);
    as_err err;
    assert_int_equal(parse_exact(as_pickle_parse, tar, sizeof tar, &err), ASSAY_FORMAT);
    assert_non_null(strstr(err.msg, "tar format"));
}

/* A few bytes that ask for much: each must end quickly, in little memory. */
static void test_pickle_bounds_memory_and_time(void **state) {
    (void)state;
    static const struct {
        const char *unit;
        size_t len, times;
        const char *head, *msg;
    } cases[] = {
        {"(", 1, 2 << 20, "", "its stack is too deep"},
        {"2", 1, 2 << 20, "N", "its stack is too deep"},
        {"}0", 2, 2 << 20, "", "more than a million lists and dicts"},
        /* a list of 256 values is copied into a new OrderedDict by every 5 bytes */
        {"h\1h\2\x85R0", 7, 1 << 20, NULL, "more than 8 million values"},
    };
    for (size_t i = 0; i < AS_COUNT(cases); i++) {
        as_buf b = {0};
        as_err err = {0};
        as_buf_add(&b, HEAD, sizeof HEAD - 1);
        as_buf_str(&b,
                   cases[i].head != NULL ? cases[i].head : "ccollections\nOrderedDict\nq\1]q\2(");
        for (size_t k = 0; k < 256 && cases[i].head == NULL; k++)
            as_buf_str(&b, "NN\x86");
        if (cases[i].head == NULL) as_buf_str(&b, "e");
        for (size_t k = 0; k < cases[i].times; k++)
            as_buf_add(&b, cases[i].unit, cases[i].len);
        assert_int_equal(parse_exact(as_pickle_parse, b.p, b.n, &err), ASSAY_FORMAT);
        if (strstr(err.msg, cases[i].msg) == NULL) fail_msg("case %d: %s", (int)i, err.msg);
        as_buf_free(&b);
    }
}

/* ---- zip ---- */

/* Overwrite the first occurrence of `from` (or of the last, when last is set) and expect a refusal.
 */
static void test_zip_names_what_is_wrong(void **state) {
    (void)state;
    static const struct {
        const char *find;
        size_t len;
        bool last;
        size_t skip;
        const char *with;
        size_t n;
        const char *msg;
    } cases[] = {
        {"PK\1\2", 4, false, 10, "\10", 1, "is compressed"},
        {"PK\1\2", 4, false, 8, "\1", 1, "is encrypted"},
        {"PK\1\2", 4, false, 0, "XX", 2, "its zip directory is malformed"},
        {"PK\1\2", 4, false, 42, "\xff\xff\xff\x7f", 4, "is not where the zip directory says"},
        {"PK\1\2", 4, false, 24, "\xff\xff\xff\x7f", 4, "has two sizes"},
        {"PK\1\2", 4, false, 20, "\xff\xff\xff\x7f\xff\xff\xff\x7f", 8,
         "reaches past the end of the file"},
        {"PK\3\4", 4, false, 0, "PK\3\5", 4, "is not where the zip directory says"},
        {"PK\6\6", 4, true, 0, "PK\6\5", 4, "its zip64 directory end is not where it should be"},
        {"PK\6\6", 4, true, 48, "\xff\xff\xff\xff", 4, "its zip directory lies outside the file"},
        {"PK\6\6", 4, true, 32, "\xff\xff\xff\xff", 4, "its zip directory lies outside the file"},
        {"PK\5\6", 4, true, 0, "PK\5\7", 4, "has no zip directory at its end"},
        {"little", 6, false, 0, "biggie", 6, "was saved on a big-endian machine"},
    };
    for (size_t i = 0; i < AS_COUNT(cases); i++) {
        as_buf b = slurp(GOLDEN "parameter.bin");
        char *at = NULL;
        for (size_t k = 0; k + cases[i].len <= b.n; k++)
            if (memcmp(b.p + k, cases[i].find, cases[i].len) == 0 && (at == NULL || cases[i].last))
                at = b.p + k;
        assert_non_null(at);
        memcpy(at + cases[i].skip, cases[i].with, cases[i].n);
        as_err err = {0};
        assert_int_equal(parse_exact(as_pickle_parse, b.p, b.n, &err), ASSAY_FORMAT);
        if (strstr(err.msg, cases[i].msg) == NULL) fail_msg("case %d: %s", (int)i, err.msg);
        as_buf_free(&b);
    }
}

static void test_pickle_survives_any_cut_and_changed_byte(void **state) {
    (void)state;
    static const char *const files[] = {GOLDEN "parameter.bin", GOLDEN "legacy4.bin"};
    for (size_t f = 0; f < AS_COUNT(files); f++) {
        as_buf b = slurp(files[f]);
        expect_hardened(as_pickle_parse, &b);
        as_buf_free(&b);
    }
}

static void test_pickle_survives_failing_memory(void **state) {
    (void)state;
    static const char *const files[] = {GOLDEN "zip.bin", GOLDEN "legacy.bin",
                                        GOLDEN "python2.bin"};
    for (size_t f = 0; f < AS_COUNT(files); f++) {
        as_buf b = slurp(files[f]);
        expect_survives_failing_memory(as_pickle_parse, &b);
        as_buf_free(&b);
    }
}

#define T(f) cmocka_unit_test_teardown(f, nothing_left)
int main(void) {
    const struct CMUnitTest tests[] = {
        T(test_pickle_reads_every_form_that_torch_writes),
        T(test_pickle_reads_state_dicts_of_modules),
        T(test_pickle_reads_many_names_and_python_2_dicts),
        T(test_pickle_refuses_what_wants_to_run),
        T(test_pickle_names_what_is_wrong),
        T(test_pickle_bounds_memory_and_time),
        T(test_zip_names_what_is_wrong),
        T(test_pickle_survives_any_cut_and_changed_byte),
        T(test_pickle_survives_failing_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
