/* encode_lines.c: encodes texts from stdin, for tests/token/full_data.py, which compares with the
 * `tokenizers` library. encode_lines DIR|FILE.json [general] [pairs] [bare] [windows] [left]
 * [max=N] [stride=N] [first|second] Input: records of a 32-bit little-endian length and that many
 * bytes. Output: per text (or pair) one line per window, "id:type:begin:end:word:sequence:special
 * ..." with offsets in characters, then an empty line. Also: encode_lines DIR|FILE.json
 * decode|decode_skip   (records hold ids as decimal numbers) encode_lines DIR|FILE.json time
 * REPEATS         (MB/s over all records, on stderr) */
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "token/internal.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct ctx {
    as_str text, pair;
    as_tokens *t;
} ctx;

static bool read_record(as_buf *b) {
    unsigned char n[4];
    if (fread(n, 1, 4, stdin) != 4) return false;
    const size_t len = (size_t)n[0] | (size_t)n[1] << 8 | (size_t)n[2] << 16 | (size_t)n[3] << 24;
    as_buf_clear(b);
    char chunk[65536];
    for (size_t got = 0; got < len;) {
        const size_t k =
            fread(chunk, 1, len - got < sizeof chunk ? len - got : sizeof chunk, stdin);
        if (k == 0) return false;
        as_buf_add(b, chunk, k);
        got += k;
    }
    return true;
}

static as_status show(void *p, const as_tokens *t, as_err *err) {
    (void)err;
    const ctx *c = p;
    for (int64_t i = 0; i < t->n; i++) {
        uint32_t at[2] = {t->begin[i], t->end[i]};
        as_offsets_to_chars(t->sequence[i] == 1 ? c->pair : c->text, at, 2);
        printf("%s%d:%d:%u:%u:%d:%d:%d", i > 0 ? " " : "", t->ids[i], t->type_ids[i], at[0], at[1],
               t->word[i], t->sequence[i], t->special[i]);
    }
    putchar('\n');
    return AS_OK;
}

/* The offsets of a whole encoding at once are ascending, so the conversion stays linear. */
static void show_all(const as_tokens *t, as_str text) {
    uint32_t *at = as_alloc((size_t)t->n * 2 + 1, sizeof *at);
    for (int64_t i = 0; at != NULL && i < t->n; i++)
        at[2 * i] = t->begin[i], at[2 * i + 1] = t->end[i];
    as_offsets_to_chars(text, at, t->n * 2);
    for (int64_t i = 0; at != NULL && i < t->n; i++)
        printf("%s%d:%d:%u:%u:%d:%d:%d", i > 0 ? " " : "", t->ids[i], t->type_ids[i], at[2 * i],
               at[2 * i + 1], t->word[i], t->sequence[i], t->special[i]);
    putchar('\n');
    as_free(at);
}

static int fail(const as_err *err) {
    fprintf(stderr, "%s\n%s\n", err->msg, err->hint);
    return (int)err->status;
}

static void decode(const as_tokenizer *t, as_str text, bool skip, as_err *err) {
    int32_t ids[4096];
    int64_t n = 0;
    for (const char *p = text.p, *end = text.p + text.n; p < end && n < 4096;) {
        char *next;
        ids[n++] = (int32_t)strtol(p, &next, 10);
        p = next + 1;
    }
    as_buf out = {0};
    if (as_decode(t, ids, n, skip, &out, err) == AS_OK) {
        as_buf quoted = {0};
        as_buf_json_str(&quoted, as_buf_view(&out));
        puts(quoted.p);
        as_buf_free(&quoted);
    } else {
        printf("! %s\n", err->msg);
    }
    as_buf_free(&out);
}

static int time_all(const as_tokenizer *t, int repeats) {
    as_buf all = {0}, one = {0};
    size_t *ends = NULL, n = 0, cap = 0;
    as_tokens out = {0};
    as_err err = {0};
    while (read_record(&one)) {
        as_buf_add(&all, one.p, one.n);
        if (!as_grow(&ends, &cap, n + 1, sizeof *ends)) return 6;
        ends[n++] = all.n;
    }
    double best = 1e9;
    int64_t tokens = 0;
    for (int r = 0; r < repeats; r++) {
        const double t0 = as_clock();
        tokens = 0;
        for (size_t i = 0; i < n; i++) {
            const size_t b = i > 0 ? ends[i - 1] : 0;
            if (as_encode(t, (as_str){all.p + b, ends[i] - b}, NULL, NULL, &out, &err))
                return fail(&err);
            tokens += out.n;
        }
        const double dt = as_clock() - t0;
        if (dt < best) best = dt;
    }
    fprintf(stderr, "%zu texts, %zu bytes, %" PRId64 " tokens: %.1f MB/s\n", n, all.n, tokens,
            (double)all.n / best / 1e6);
    as_tokens_free(&out);
    as_buf_free(&all), as_buf_free(&one), as_free(ends);
    return 0;
}

int main(int argc, char **argv) {
    as_tokenizer *t = NULL;
    as_err err = {0};
    as_encode_opts o = {0};
    bool pairs = false, windows = false, decodes = false, skip = false;
    if (argc < 2) return 2;
    as_buf file = {0};
    if (as_dir_exists(argv[1]) ? as_tokenizer_open(&t, argv[1], &err)
                               : (as_file_read(&file, argv[1], 0, &err) ||
                                  as_tokenizer_parse(&t, as_buf_view(&file), argv[1], &err)))
        return fail(&err);
    as_buf_free(&file);
    for (int i = 2; i < argc; i++) {
        if (!strcmp(argv[i], "general")) as_tokenizer_force_general(t);
        if (!strcmp(argv[i], "pairs")) pairs = true;
        if (!strcmp(argv[i], "bare")) o.no_special = true;
        if (!strcmp(argv[i], "windows")) windows = true;
        if (!strcmp(argv[i], "left")) o.truncate_left = true;
        if (!strcmp(argv[i], "first")) o.strategy = AS_TRUNCATE_ONLY_FIRST;
        if (!strcmp(argv[i], "second")) o.strategy = AS_TRUNCATE_ONLY_SECOND;
        if (!strncmp(argv[i], "max=", 4)) o.max_length = atoi(argv[i] + 4);
        if (!strncmp(argv[i], "stride=", 7)) o.stride = atoi(argv[i] + 7);
        if (!strcmp(argv[i], "decode")) decodes = true;
        if (!strcmp(argv[i], "decode_skip")) decodes = skip = true;
        if (!strcmp(argv[i], "time")) return time_all(t, i + 1 < argc ? atoi(argv[i + 1]) : 5);
    }
    as_buf a = {0}, b = {0};
    as_tokens out = {0};
    while (read_record(&a) && (!pairs || read_record(&b))) {
        const as_str text = as_buf_view(&a), pair = as_buf_view(&b);
        if (decodes) {
            decode(t, text, skip, &err);
            continue;
        }
        ctx c = {text, pair, &out};
        const as_status s =
            windows ? as_encode_windows(t, text, pairs ? &pair : NULL, &o, &out, show, &c, &err)
                    : as_encode(t, text, pairs ? &pair : NULL, &o, &out, &err);
        if (s != AS_OK)
            printf("! %s\n", err.msg);
        else if (!windows && !pairs)
            show_all(&out, text);
        else if (!windows)
            (void)show(&c, &out, &err);
        putchar('\n');
    }
    as_buf_free(&a), as_buf_free(&b);
    as_tokens_free(&out);
    as_tokenizer_free(t);
    return 0;
}
