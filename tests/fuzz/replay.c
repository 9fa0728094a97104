/* Feeds every file of a corpus to a fuzz target without a fuzzer. FUZZ_NAME comes from the
 * Makefile. replay [FILE...]   default: all files of tests/fuzz/corpus/FUZZ_NAME, in the order of
 * their names */
#include "base/file.h"
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay(const char *path) {
    as_err err;
    as_buf b = {0};
    if (as_file_read(&b, path, 0, &err) != ASSAY_OK) {
        printf("not ok %s: %s\n", path, err.msg);
        as_buf_free(&b);
        return 1;
    }
    /* An exact copy, so that a read past the end is seen; and the name first, so that a crash has
     * one. */
    printf("replaying %s\n", path);
    fflush(stdout);
    uint8_t *const exact = malloc(b.n > 0 ? b.n : 1);
    if (exact == NULL) abort();
    if (b.n > 0) memcpy(exact, b.p, b.n);
    LLVMFuzzerTestOneInput(exact, b.n);
    printf("ok %s\n", path);
    free(exact);
    as_buf_free(&b);
    return 0;
}

static int visible(const struct dirent *e) {
    return e->d_name[0] != '.';
}

int main(int argc, char **argv) {
    const char *const folder = "tests/fuzz/corpus/" FUZZ_NAME;
    int failed = 0;
    for (int i = 1; i < argc; i++)
        failed |= replay(argv[i]);
    if (argc > 1) return failed;
    struct dirent **entry;
    const int n = scandir(folder, &entry, visible, alphasort);
    if (n <= 0) {
        printf("not ok %s: no corpus\n", folder);
        return 1;
    }
    for (int i = 0; i < n; i++) {
        char path[1024];
        snprintf(path, sizeof path, "%s/%s", folder, entry[i]->d_name);
        failed |= replay(path);
        free(entry[i]);
    }
    free(entry);
    return failed;
}
