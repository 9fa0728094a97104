#include "base/check.h"
#include "base/file.h"
#include "base/mem.h"
#include "io/stream.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

/* Append text as one gzip member, or one zstd frame. */
static void add_gzip(as_buf *out, const char *text, size_t n) {
    unsigned char room[1 << 16];
    z_stream z = {.next_in = (unsigned char *)(uintptr_t)text, .avail_in = (unsigned)n, .next_out = room, .avail_out = sizeof room};
    assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY), Z_OK);
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    as_buf_add(out, room, sizeof room - z.avail_out);
    deflateEnd(&z);
}
static void add_zstd(as_buf *out, const char *text, size_t n) {
    static char room[1 << 20];
    const size_t size = ZSTD_compress(room, sizeof room, text, n, 1);
    assert_false(ZSTD_isError(size));
    as_buf_add(out, room, size);
}

static as_status read_all(as_buf *out, const char *path, size_t step, as_err *err) {
    as_stream *s;
    char room[4096];
    as_buf_clear(out);
    as_status status = as_stream_open(&s, path, err);
    for (size_t n = 1; status == AS_OK && n > 0;) {
        status = as_stream_read(s, room, step, &n, err);
        if (status == AS_OK) as_buf_add(out, room, n);
    }
    as_stream_close(s);
    return status;
}

static void test_stream_gives_what_was_packed(void **state) {
    (void)state;
    char path[] = "/tmp/assay-stream-XXXXXX";
    const int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    as_buf text = {0}, packed = {0}, got = {0};
    as_err err = {0};
    for (int i = 0; i < 3000; i++) as_buf_fmt(&text, "line %d \xE4\xBD\xA0\xE5\xA5\xBD %d\n", i, i * 7919 % 1000);
    for (int kind = 0; kind < 5; kind++) {
        as_buf_clear(&packed);
        const size_t half = text.n / 2;
        if (kind == 0) as_buf_add(&packed, text.p, text.n);
        else if (kind == 1) add_gzip(&packed, text.p, text.n);
        else if (kind == 2) add_gzip(&packed, text.p, half), add_gzip(&packed, text.p + half, text.n - half), as_buf_add(&packed, "\0\0\0", 3);
        else if (kind == 3) add_zstd(&packed, text.p, text.n);
        else add_zstd(&packed, text.p, half), add_zstd(&packed, text.p + half, text.n - half);
        assert_int_equal(as_file_write(path, packed.p, packed.n, &err), AS_OK);
        for (size_t step = 1; step <= 4096; step *= 8) {
            assert_int_equal(read_all(&got, path, step, &err), AS_OK);
            assert_true(got.n == text.n && memcmp(got.p, text.p, got.n) == 0);
        }
        for (size_t cut = 20; kind > 0 && cut < packed.n - 8; cut += packed.n / 7) { /* cut short: an error that names the file, or (plain) less text */
            assert_int_equal(as_file_write(path, packed.p, cut, &err), AS_OK);
            const as_status s = read_all(&got, path, 4096, &err);
            assert_true(s == AS_FORMAT ? strstr(err.msg, path) != NULL : s == AS_OK && got.n == half); /* just between two members */
        }
    }
    as_buf_clear(&packed);
    assert_int_equal(as_file_write(path, "", 0, &err), AS_OK);
    assert_int_equal(read_all(&got, path, 10, &err), AS_OK);
    assert_int_equal(got.n, 0);
    unlink(path);
    assert_int_equal(read_all(&got, path, 10, &err), AS_IO);
    as_buf_free(&text), as_buf_free(&packed), as_buf_free(&got);
    assert_int_equal(as_mem_live_blocks(), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_stream_gives_what_was_packed)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
