/* bert_files.c: checkpoints without tokenizer.json: vocab.txt, tokenizer_config.json,
 * special_tokens_map.json and added_tokens.json are written out as the tokenizer.json that
 * transformers' BertConverter would build from them. */
#include "token/internal.h"

#include "base/file.h"
#include "base/mem.h"
#include "base/utf8.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

typedef struct roles {
    as_str unk, sep, pad, cls, mask;
} roles;

static as_str role(const as_json *config, const as_json *map, const char *key,
                   const char *fallback) {
    const as_json *from[2] = {config, map};
    for (int i = 0; i < 2; i++) {
        const as_json *v = as_json_get(from[i], key);
        if (as_json_typeof(v) == AS_JSON_OBJECT) v = as_json_get(v, "content");
        if (as_json_typeof(v) == AS_JSON_STRING) return as_json_str(v, (as_str){"", 0});
    }
    return as_str_of(fallback);
}

/* Lines as Python's text mode sees them: \r\n and \r end a line too, and only that is taken off. A
 * later duplicate wins the id. */
static as_status read_lines(as_vocab *v, as_str text, as_err *err) {
    size_t lines = 1;
    for (size_t i = 0; i < text.n; i++)
        lines += text.p[i] == '\n' || text.p[i] == '\r';
    AS_TRY(as_vocab_init(v, lines, err));
    int32_t id = 0;
    for (size_t i = 0; i < text.n && id < AS_ID_LIMIT; id++) {
        size_t end = i;
        while (end < text.n && text.p[end] != '\n' && text.p[end] != '\r')
            end++;
        AS_TRY(as_vocab_add(v, (as_str){text.p + i, end - i}, id, err));
        i = end + (end + 1 < text.n && text.p[end] == '\r' && text.p[end + 1] == '\n' ? 2 : 1);
    }
    return AS_OK;
}

static as_status read_vocab(as_vocab *v, as_buf *text, const char *path, as_err *err) {
    AS_TRY(as_file_read(text, path, 0, err));
    const as_str all = as_buf_view(text);
    const size_t valid = as_utf8_valid_prefix(all.p, all.n);
    if (valid < all.n)
        return as_fail(err, AS_FORMAT, "%s: byte %zu is not valid UTF-8", path, valid);
    if (all.n == 0) return as_fail(err, AS_FORMAT, "%s: the file is empty", path);
    return read_lines(v, all, err);
}

static void write_model(as_buf *out, const as_vocab *v, as_str unk) {
    as_buf_str(out, ",\"model\":{\"type\":\"WordPiece\",\"continuing_subword_prefix\":\"##\",\"max_"
                    "input_chars_per_word\":100,\"unk_token\":");
    as_buf_json_str(out, unk);
    as_buf_str(out, ",\"vocab\":{");
    for (size_t i = 0; i < v->count; i++) {
        if (i > 0) as_buf_char(out, ',');
        as_buf_json_str(out, v->entries[i].piece);
        as_buf_fmt(out, ":%" PRId32, v->entries[i].id);
    }
    as_buf_str(out, "}}}");
}

static void write_bool(as_buf *out, const as_json *v, const char *key, bool fallback) {
    as_buf_fmt(out, ",\"%s\":%s", key, as_json_bool(v, fallback) ? "true" : "false");
}

static void write_token(as_buf *out, int64_t id, as_str content, const as_json *flags, bool special,
                        bool *first) {
    if (!*first) as_buf_char(out, ',');
    *first = false;
    as_buf_fmt(out, "{\"id\":%" PRId64 ",\"content\":", id);
    as_buf_json_str(out, content);
    write_bool(out, as_json_get(flags, "single_word"), "single_word", false);
    write_bool(out, as_json_get(flags, "lstrip"), "lstrip", false);
    write_bool(out, as_json_get(flags, "rstrip"), "rstrip", false);
    write_bool(out, as_json_get(flags, "normalized"), "normalized", !special);
    write_bool(out, as_json_get(flags, "special"), "special", special);
    as_buf_char(out, '}');
}

typedef struct numbered {
    int64_t id;
    as_str content;
    const as_json *flags;
} numbered;

static int by_id(const void *a, const void *b) {
    const int64_t x = ((const numbered *)a)->id, y = ((const numbered *)b)->id;
    return x < y ? -1 : x > y;
}

/* added_tokens_decoder of tokenizer_config.json ({"5": {"content": ...}}) and added_tokens.json
 * ({"content": 5}), by id: the order in which ids beyond the vocabulary are given. */
static as_status write_listed(as_buf *out, const as_json *decoder, const as_json *added,
                              bool *first, as_err *err) {
    const size_t n = as_json_count(decoder) + as_json_count(added);
    if (n == 0) return AS_OK;
    numbered *v = as_calloc(n, sizeof *v);
    if (v == NULL) return as_fail_nomem(err, "added tokens", n);
    size_t k = 0;
    for (as_json_iter *it = as_json_first(decoder); it != NULL; it = as_json_next(decoder, it)) {
        const as_json *flags = as_json_iter_value(it);
        v[k].flags = flags;
        v[k].content = as_json_str(as_json_get(flags, "content"), (as_str){"", 0});
        if (as_parse_i64(as_json_iter_key(it), &v[k].id) && v[k].content.n > 0) k++;
    }
    const size_t listed = k;
    for (as_json_iter *it = as_json_first(added); it != NULL; it = as_json_next(added, it)) {
        v[k] = (numbered){as_json_int(as_json_iter_value(it), 0), as_json_iter_key(it), NULL};
        bool known = v[k].content.n == 0;
        for (size_t i = 0; i < listed && !known; i++)
            known = as_str_eq(v[i].content, v[k].content);
        k += !known;
    }
    qsort(v, k, sizeof *v, by_id);
    for (size_t i = 0; i < k; i++)
        write_token(out, v[i].id, v[i].content, v[i].flags, false, first);
    as_free(v);
    return AS_OK;
}

static bool listed(const as_json *decoder, as_str content) {
    for (as_json_iter *it = as_json_first(decoder); it != NULL; it = as_json_next(decoder, it))
        if (as_str_eq(as_json_str(as_json_get(as_json_iter_value(it), "content"), (as_str){"", 0}),
                      content))
            return true;
    return false;
}

static void write_normalizer(as_buf *out, const as_json *config) {
    as_buf_str(out, ",\"normalizer\":{\"type\":\"BertNormalizer\",\"clean_text\":true");
    write_bool(out, as_json_get(config, "tokenize_chinese_chars"), "handle_chinese_chars", true);
    write_bool(out, as_json_get(config, "do_lower_case"), "lowercase", true);
    if (as_json_typeof(as_json_get(config, "strip_accents")) == AS_JSON_BOOL)
        write_bool(out, as_json_get(config, "strip_accents"), "strip_accents", true);
    as_buf_str(out, "},\"pre_tokenizer\":{\"type\":\"BertPreTokenizer\"}");
}

static void write_special_piece(as_buf *out, as_str name, int type_id) {
    as_buf_str(out, "{\"SpecialToken\":{\"id\":");
    as_buf_json_str(out, name);
    as_buf_fmt(out, ",\"type_id\":%d}}", type_id);
}

static as_status write_template(as_buf *out, const as_vocab *v, const roles *r, const char *path,
                                as_err *err) {
    const as_str names[2] = {r->cls, r->sep};
    for (int k = 0; k < 2; k++) {
        as_buf_str(out, k == 0 ? ",\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":["
                               : ",\"pair\":[");
        write_special_piece(out, r->cls, 0);
        as_buf_str(out, ",{\"Sequence\":{\"id\":\"A\",\"type_id\":0}},");
        write_special_piece(out, r->sep, 0);
        if (k == 1) {
            as_buf_str(out, ",{\"Sequence\":{\"id\":\"B\",\"type_id\":1}},");
            write_special_piece(out, r->sep, 1);
        }
        as_buf_char(out, ']');
    }
    as_buf_str(out, ",\"special_tokens\":{");
    for (int k = 0; k < 2; k++) {
        const int32_t id = as_vocab_id(v, names[k]);
        if (id < 0) {
            const as_status s =
                as_fail(err, AS_FORMAT, "%s: the special token \"%.*s\" is not in the vocabulary",
                        path, (int)names[k].n, names[k].p);
            as_hint(err, "Name the vocabulary's own tokens as cls_token and sep_token in "
                         "tokenizer_config.json.");
            return s;
        }
        if (k > 0) as_buf_char(out, ',');
        as_buf_json_str(out, names[k]);
        as_buf_str(out, ":{\"id\":");
        as_buf_json_str(out, names[k]);
        as_buf_fmt(out, ",\"ids\":[%" PRId32 "],\"tokens\":[", id);
        as_buf_json_str(out, names[k]);
        as_buf_str(out, "]}");
    }
    as_buf_str(out, "}},\"decoder\":{\"type\":\"WordPiece\",\"prefix\":\"##\",\"cleanup\":true}");
    return AS_OK;
}

static as_status write_all(as_buf *out, const as_vocab *v, const char *path, const as_json *config,
                           const as_json *map, const as_json *added, as_err *err) {
    const roles r = {
        role(config, map, "unk_token", "[UNK]"), role(config, map, "sep_token", "[SEP]"),
        role(config, map, "pad_token", "[PAD]"), role(config, map, "cls_token", "[CLS]"),
        role(config, map, "mask_token", "[MASK]")};
    const as_str specials[] = {r.unk, r.sep, r.pad, r.cls, r.mask};
    const as_json *decoder = as_json_get(config, "added_tokens_decoder");
    bool first = true;
    as_buf_str(out, "{\"version\":\"1.0\",\"added_tokens\":[");
    AS_TRY(write_listed(out, decoder, added, &first, err));
    for (size_t i = 0; i < AS_COUNT(specials); i++)
        if (!listed(decoder, specials[i]))
            write_token(out, as_vocab_id(v, specials[i]), specials[i], NULL, true, &first);
    as_buf_char(out, ']');
    write_normalizer(out, config);
    AS_TRY(write_template(out, v, &r, path, err));
    write_model(out, v, r.unk);
    return AS_OK;
}

static as_status read_beside(as_json **out, const char *dir, const char *name, as_err *err) {
    char *path = as_path_join(dir, name);
    if (path == NULL) return as_fail_nomem(err, "path", strlen(dir));
    const as_status s = as_file_exists(path) ? as_json_read(out, path, err) : AS_OK;
    as_free(path);
    return s;
}

as_status as_bert_files_to_json(as_buf *out, const char *dir, const as_json *config, as_err *err) {
    as_buf text = {0};
    as_vocab v = {0};
    as_json *map = NULL, *added = NULL;
    char *path = as_path_join(dir, "vocab.txt");
    as_status s = path != NULL ? AS_OK : as_fail_nomem(err, "path", strlen(dir));
    if (s == AS_OK) s = read_vocab(&v, &text, path, err);
    if (s == AS_OK) s = read_beside(&map, dir, "special_tokens_map.json", err);
    if (s == AS_OK) s = read_beside(&added, dir, "added_tokens.json", err);
    if (s == AS_OK) s = write_all(out, &v, path, config, map, added, err);
    as_json_free(map), as_json_free(added);
    as_vocab_deinit(&v);
    as_buf_free(&text);
    as_free(path);
    return s;
}
