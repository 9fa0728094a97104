/* bpe_files.c: checkpoints of the GPT-2 and RoBERTa families without tokenizer.json: vocab.json,
 * merges.txt, tokenizer_config.json and special_tokens_map.json are written out as the tokenizer.json
 * that transformers' GPT2Converter and RobertaConverter would build from them. */
#include "token/internal.h"

#include "base/file.h"
#include "base/mem.h"
#include "base/utf8.h"
#include <string.h>

typedef struct source {
    const as_json *config, *map, *vocab;
    bool roberta;
} source;

/* "key": "<s>" or "key": {"content": "<s>", ...}, of either file. */
static const as_json *role(const source *s, const char *key) {
    const as_json *v = as_json_get(s->config, key);
    return as_json_typeof(v) != AS_JSON_NULL ? v : as_json_get(s->map, key);
}

static as_str content(const as_json *v, const char *fallback) {
    if (as_json_typeof(v) == AS_JSON_OBJECT) v = as_json_get(v, "content");
    return as_json_str(v, as_str_of(fallback));
}

static const char *flag(const as_json *v, const char *key, bool fallback) {
    return as_json_bool(as_json_get(v, key), fallback) ? "true" : "false";
}

static void write_token(as_buf *out, as_str name, const as_json *flags, bool lstrip, bool special,
                        bool *first) {
    as_buf_str(out, *first ? "{\"id\":0,\"content\":" : ",{\"id\":0,\"content\":");
    as_buf_json_str(out, name);
    as_buf_fmt(out, ",\"single_word\":%s,\"lstrip\":%s,\"rstrip\":%s,\"normalized\":%s,\"special\":%s}",
               flag(flags, "single_word", false), flag(flags, "lstrip", lstrip),
               flag(flags, "rstrip", false), flag(flags, "normalized", !special),
               flag(flags, "special", special));
    *first = false;
}

/* Roles of the family, in the order in which transformers adds them, unless the configuration lists tokens. */
static void write_added(as_buf *out, const source *s) {
    static const char *const roberta[][2] = {{"bos_token", "<s>"},   {"eos_token", "</s>"},
                                             {"unk_token", "<unk>"}, {"sep_token", "</s>"},
                                             {"pad_token", "<pad>"}, {"cls_token", "<s>"},
                                             {"mask_token", "<mask>"}},
                      *const gpt[][2] = {{"bos_token", "<|endoftext|>"},
                                         {"eos_token", "<|endoftext|>"},
                                         {"unk_token", "<|endoftext|>"},
                                         {"pad_token", ""}};
    const as_json *listed = as_json_get(s->config, "added_tokens_decoder");
    bool first = true;
    as_buf_str(out, "\"added_tokens\":[");
    for (as_json_iter *it = as_json_first(listed); it != NULL; it = as_json_next(listed, it)) {
        const as_json *v = as_json_iter_value(it);
        write_token(out, content(v, ""), v, false, false, &first);
    }
    const size_t n = s->roberta ? AS_COUNT(roberta) : AS_COUNT(gpt);
    for (size_t i = 0; i < n && as_json_count(listed) == 0; i++) {
        const char *key = s->roberta ? roberta[i][0] : gpt[i][0];
        const as_json *v = role(s, key);
        const as_str name = content(v, s->roberta ? roberta[i][1] : gpt[i][1]);
        if (name.n > 0)
            write_token(out, name, as_json_typeof(v) == AS_JSON_OBJECT ? v : NULL,
                        s->roberta && strcmp(key, "mask_token") == 0, true, &first);
    }
    as_buf_char(out, ']');
}

static int64_t id_of(const source *s, as_str name) {
    for (as_json_iter *it = as_json_first(s->vocab); it != NULL; it = as_json_next(s->vocab, it))
        if (as_str_eq(as_json_iter_key(it), name)) return as_json_int(as_json_iter_value(it), -1);
    return -1;
}

static as_status write_end(as_buf *out, const source *s, const char *path, const char *key,
                           const char *fallback, as_err *err) {
    const as_str name = content(role(s, key), fallback);
    const int64_t id = id_of(s, name);
    if (id < 0)
        return as_fail(err, AS_FORMAT, "%s: the special token \"%.*s\" is not in the vocabulary", path,
                       (int)name.n, name.p);
    as_buf_char(out, '[');
    as_buf_json_str(out, name);
    as_buf_fmt(out, ",%lld]", (long long)id);
    return AS_OK;
}

static as_status write_pipeline(as_buf *out, const source *s, const char *path, as_err *err) {
    const char *prefix = flag(s->config, "add_prefix_space", false);
    as_buf_fmt(out, ",\"normalizer\":null,\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"add_prefix_space\":%s,"
                    "\"trim_offsets\":true},\"decoder\":{\"type\":\"ByteLevel\"},\"post_processor\":",
               prefix);
    if (!s->roberta) {
        as_buf_str(out, "{\"type\":\"ByteLevel\",\"add_prefix_space\":true,\"trim_offsets\":false}");
        return AS_OK;
    }
    as_buf_str(out, "{\"type\":\"RobertaProcessing\",\"sep\":");
    AS_TRY(write_end(out, s, path, "sep_token", "</s>", err));
    as_buf_str(out, ",\"cls\":");
    AS_TRY(write_end(out, s, path, "cls_token", "<s>", err));
    as_buf_fmt(out, ",\"trim_offsets\":%s,\"add_prefix_space\":%s}", flag(s->config, "trim_offsets", true),
               prefix);
    return AS_OK;
}

/* One pair a line; a line that names a version, and empty ones, are none. */
static as_status write_merges(as_buf *out, as_str text, const char *path, as_err *err) {
    const size_t valid = as_utf8_valid_prefix(text.p, text.n);
    if (valid < text.n) return as_fail(err, AS_FORMAT, "%s: byte %zu is not valid UTF-8", path, valid);
    bool first = true;
    as_buf_str(out, ",\"merges\":[");
    for (size_t i = 0; i < text.n;) {
        const char *nl = memchr(text.p + i, '\n', text.n - i);
        as_str line = {text.p + i, nl != NULL ? (size_t)(nl - text.p) - i : text.n - i};
        i += line.n + 1;
        if (line.n > 0 && line.p[line.n - 1] == '\r') line.n--;
        if (line.n == 0 || (line.n >= 8 && memcmp(line.p, "#version", 8) == 0)) continue;
        if (!first) as_buf_char(out, ',');
        as_buf_json_str(out, line);
        first = false;
    }
    as_buf_char(out, ']');
    return AS_OK;
}

/* By the class that the configuration names; without one, by the tokens of the vocabulary. */
static bool is_roberta(const source *s) {
    const as_str class = as_json_str(as_json_get(s->config, "tokenizer_class"), (as_str){"", 0});
    static const char *const families[] = {"Roberta", "Bart", "Longformer", "LED", "Xmod", "MVP"};
    for (size_t i = 0; i < AS_COUNT(families); i++)
        if (class.n >= strlen(families[i]) && memcmp(class.p, families[i], strlen(families[i])) == 0)
            return true;
    return class.n == 0 && id_of(s, AS_LIT("<s>")) >= 0 && id_of(s, AS_LIT("</s>")) >= 0;
}

static as_status write_all(as_buf *out, source *s, const char *dir, as_err *err) {
    char *vocab = as_path_join(dir, "vocab.json"), *merges = as_path_join(dir, "merges.txt"),
         *map = as_path_join(dir, "special_tokens_map.json");
    as_json *v = NULL, *m = NULL;
    as_buf text = {0};
    as_status r = vocab != NULL && merges != NULL && map != NULL ? AS_OK : as_fail_nomem(err, "path", strlen(dir));
    if (r == AS_OK) r = as_json_read(&v, vocab, err);
    if (r == AS_OK && as_file_exists(map)) r = as_json_read(&m, map, err);
    if (r == AS_OK) r = as_file_read(&text, merges, 0, err);
    if (r == AS_OK) {
        s->vocab = v, s->map = m;
        s->roberta = is_roberta(s);
        as_buf_str(out, "{\"version\":\"1.0\",");
        write_added(out, s);
        r = write_pipeline(out, s, vocab, err);
    }
    if (r == AS_OK) {
        as_buf_str(out, ",\"model\":{\"type\":\"BPE\",\"vocab\":");
        as_json_dump(out, v, 0);
        r = write_merges(out, as_buf_view(&text), merges, err);
        as_buf_str(out, "}}");
    }
    as_json_free(v), as_json_free(m);
    as_buf_free(&text);
    as_free(vocab), as_free(merges), as_free(map);
    return r;
}

as_status as_bpe_files_to_json(as_buf *out, const char *dir, const as_json *config, as_err *err) {
    source s = {.config = config};
    return write_all(out, &s, dir, err);
}
