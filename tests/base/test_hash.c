#include "base/check.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/mem.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* FIPS 180-4 examples. */
static const struct {
    const char *text, *hex;
} sha_cases[] = {
    {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
    {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
    {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
     "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
};

static void test_hash_sha256_equals_published_digests(void **state) {
    (void)state;
    for (size_t i = 0; i < AS_COUNT(sha_cases); i++)
        assert_string_equal(as_sha256_of(sha_cases[i].text, strlen(sha_cases[i].text)).hex,
                            sha_cases[i].hex);
    assert_string_equal(as_sha256_of(NULL, 0).hex, sha_cases[0].hex);
}

static void test_hash_of_a_file_equals_that_of_its_bytes(void **state) {
    (void)state;
    char dir[] = "/tmp/assay-test-XXXXXX";
    assert_non_null(mkdtemp(dir));
    char *const path = as_path_join(dir, "f");
    const size_t n = (3u << 20) + 17; /* several chunks and a rest */
    char *const bytes = as_alloc(n, 1);
    for (size_t i = 0; i < n; i++)
        bytes[i] = (char)(i * 31 + (i >> 11));
    as_err err;
    as_sha256 got;
    assert_int_equal(as_file_write(path, bytes, n, &err), ASSAY_OK);
    assert_int_equal(as_sha256_file(&got, path, &err), ASSAY_OK);
    assert_string_equal(got.hex, as_sha256_of(bytes, n).hex);
    unlink(path);
    assert_int_equal(as_sha256_file(&got, path, &err), ASSAY_IO);
    assert_non_null(strstr(err.msg, path));
    assert_int_equal(as_sha256_file(&got, dir, &err), ASSAY_IO);
    as_free(bytes);
    as_free(path);
    rmdir(dir);
}

/* XXH3 of the empty input and of "abc" with seed 0: from the reference implementation, version
 * 0.8.1. */
static void test_hash_xxh3_equals_the_reference(void **state) {
    (void)state;
    assert_true(as_hash64("", 0, 0) == 0x2d06800538d394c2ull);
    assert_true(as_hash64(NULL, 0, 0) == 0x2d06800538d394c2ull);
    assert_true(as_hash64("abc", 3, 0) == 0x78af5f94892f3950ull);
    const as_hash128 empty = as_hash128_of(NULL, 0), abc = as_hash128_of("abc", 3);
    assert_true(empty.hi == 0x99aa06d3014798d8ull && empty.lo == 0x6001c324468d497full);
    assert_true(abc.hi == 0x06b05ab6733a6185ull && abc.lo == 0x78af5f94892f3950ull);
    assert_true(as_hash64("abc", 3, 0) != as_hash64("abc", 3, 1));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hash_sha256_equals_published_digests),
        cmocka_unit_test(test_hash_of_a_file_equals_that_of_its_bytes),
        cmocka_unit_test(test_hash_xxh3_equals_the_reference),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
