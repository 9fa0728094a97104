#include "token/tokenizer.h"
#include "token/internal.h"

#include "base/file.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/utf8.h"
#include <string.h>

/* ---- tokenizer.json ---- */
static as_status read_parts(as_tokenizer *t, const as_json *root, as_loader *ld, as_err *err) {
    AS_TRY(
        as_part_parse(&t->normalizer, &as_normalizers, as_json_get(root, "normalizer"), ld, err));
    AS_TRY(as_part_parse(&t->pre_tokenizer, &as_pre_tokenizers, as_json_get(root, "pre_tokenizer"),
                         ld, err));
    AS_TRY(as_part_parse(&t->model, &as_models, as_json_get(root, "model"), ld, err));
    if (t->model.type == NULL)
        return as_fail(err, AS_FORMAT, "%s: there is no \"model\"", ld->where);
    AS_TRY(as_added_parse(as_json_get(root, "added_tokens"), ld, err));
    AS_TRY(as_post_default(t, err));
    AS_TRY(as_part_parse(&t->post_processor, &as_post_processors,
                         as_json_get(root, "post_processor"), ld, err));
    return as_part_parse(&t->decoder, &as_decoders, as_json_get(root, "decoder"), ld, err);
}

/* Pieces by id, added tokens over the model's; and the identity that the word caches are bound to.
 */
static as_status index_pieces(as_tokenizer *t, as_loader *ld, as_err *err) {
    int32_t max = t->vocab.max_id;
    for (size_t i = 0; i < t->added.count; i++)
        if (t->added.tokens[i].id > max) max = t->added.tokens[i].id;
    t->n_ids = max + 1;
    t->pieces = as_load_push(ld, (size_t)t->n_ids + 1, sizeof *t->pieces, err);
    if (t->pieces == NULL) return AS_NOMEM;
    t->identity = 1;
    for (size_t i = 0; i < t->vocab.count; i++) {
        const as_vocab_entry e = t->vocab.entries[i];
        t->pieces[e.id] = e.piece;
        t->identity = as_hash64(e.piece.p, e.piece.n, t->identity ^ (uint64_t)(uint32_t)e.id << 32);
    }
    /* The library's id_to_token shows an added token as its normalizer leaves it, in decoded text
     * too. */
    for (size_t i = 0; i < t->added.count; i++)
        t->pieces[t->added.tokens[i].id] = t->added.tokens[i].pattern;
    if (t->model.type == as_wordpiece_type) {
        const as_wordpiece *m = t->model.settings;
        t->identity = as_hash64(m->prefix.p, m->prefix.n, t->identity ^ (uint64_t)m->max_chars);
    }
    if (t->model.type == as_bpe_type) t->identity ^= ((const as_bpe *)t->model.settings)->hash;
    if (t->model.type == as_unigram_type)
        t->identity ^= ((const as_unigram *)t->model.settings)->hash;
    return AS_OK;
}

static const char *const role_keys[] = {
    [AS_TOKEN_PAD] = "pad_token", [AS_TOKEN_UNK] = "unk_token",   [AS_TOKEN_CLS] = "cls_token",
    [AS_TOKEN_SEP] = "sep_token", [AS_TOKEN_MASK] = "mask_token", [AS_TOKEN_BOS] = "bos_token",
    [AS_TOKEN_EOS] = "eos_token",
};
static const char *const role_names[][3] = {
    [AS_TOKEN_PAD] = {"[PAD]", "<pad>", NULL},
    [AS_TOKEN_UNK] = {"[UNK]", "<unk>", NULL},
    [AS_TOKEN_CLS] = {"[CLS]", "<s>", NULL},
    [AS_TOKEN_SEP] = {"[SEP]", "</s>", NULL},
    [AS_TOKEN_MASK] = {"[MASK]", "<mask>", NULL},
    [AS_TOKEN_BOS] = {"<s>", "<bos>", "<|endoftext|>"},
    [AS_TOKEN_EOS] = {"</s>", "<eos>", "<|endoftext|>"},
};

/* "key": "[CLS]" or "key": {"content": "[CLS]", ...} */
static as_str role_content(const as_json *config, const char *key) {
    const as_json *v = as_json_get(config, key);
    if (as_json_typeof(v) == AS_JSON_OBJECT) v = as_json_get(v, "content");
    return as_json_str(v, (as_str){NULL, 0});
}

static void find_roles(as_tokenizer *t, const as_json *config, const as_json *map) {
    for (size_t r = 0; r < AS_COUNT(role_keys); r++) {
        as_str name = role_content(config, role_keys[r]);
        if (name.p == NULL) name = role_content(map, role_keys[r]);
        t->special[r] = name.p != NULL ? as_tokenizer_id(t, name) : -1;
        for (size_t k = 0; name.p == NULL && t->special[r] < 0 && k < 3 && role_names[r][k] != NULL;
             k++)
            t->special[r] = as_tokenizer_id(t, as_str_of(role_names[r][k]));
    }
}

as_status as_tokenizer_parse(as_tokenizer **out, as_str json, const char *where, as_err *err) {
    *out = NULL;
    as_json *root = NULL;
    AS_TRY(as_json_parse(&root, json, where, 0, err));
    as_tokenizer *t = as_calloc(1, sizeof *t);
    as_status s = t != NULL ? AS_OK : as_fail_nomem(err, "tokenizer", sizeof *t);
    if (t != NULL) {
        as_arena_init(&t->arena, 0);
        as_loader ld = {t, where};
        s = read_parts(t, root, &ld, err);
        if (s == AS_OK) s = index_pieces(t, &ld, err);
    }
    if (s == AS_OK) {
        find_roles(t, NULL, NULL);
        as_fast_prepare(t);
        *out = t;
    } else {
        as_tokenizer_free(t);
    }
    as_json_free(root);
    return s;
}

void as_tokenizer_free(as_tokenizer *t) {
    if (t == NULL) return;
    as_patterns_free(t);
    as_trie_free(&t->trie);
    as_vocab_deinit(&t->vocab);
    as_vocab_deinit(&t->added.by_content);
    as_arena_deinit(&t->arena);
    as_free(t->dir);
    as_free(t);
}

/* ---- a checkpoint folder ---- */
static const char *const own_files[] = {"tokenizer.json", "tokenizer_config.json", "vocab.txt",
                                        "vocab.json", "merges.txt",
                                        "special_tokens_map.json", "added_tokens.json"};

static as_status read_optional(as_json **out, const char *dir, const char *name, as_err *err) {
    *out = NULL;
    char *path = as_path_join(dir, name);
    if (path == NULL) return as_fail_nomem(err, "path", strlen(dir));
    const as_status s = as_file_exists(path) ? as_json_read(out, path, err) : AS_OK;
    as_free(path);
    return s;
}

static as_status parse_file(as_tokenizer **out, const char *path, as_err *err) {
    as_buf text = {0};
    as_status s = as_file_read(&text, path, 0, err);
    if (s == AS_OK) s = as_tokenizer_parse(out, as_buf_view(&text), path, err);
    as_buf_free(&text);
    return s;
}

static as_status parse_vocab(as_tokenizer **out, const char *dir, const char *path, bool bert,
                             const as_json *config, as_err *err) {
    as_buf text = {0};
    as_status s = bert ? as_bert_files_to_json(&text, dir, config, err)
                       : as_bpe_files_to_json(&text, dir, config, err);
    if (s == AS_OK && text.failed) s = as_fail_nomem(err, "vocabulary", text.n);
    if (s == AS_OK) s = as_tokenizer_parse(out, as_buf_view(&text), path, err);
    as_buf_free(&text);
    return s;
}

static as_status open_model(as_tokenizer **out, const char *dir, const as_json *config,
                            as_err *err) {
    static const char *const names[] = {"tokenizer.json", "vocab.txt", "vocab.json", "merges.txt"};
    char *paths[AS_COUNT(names)];
    bool there[AS_COUNT(names)], room = true;
    as_status s;
    for (size_t i = 0; i < AS_COUNT(names); i++) {
        paths[i] = as_path_join(dir, names[i]);
        room = room && paths[i] != NULL;
        there[i] = paths[i] != NULL && as_file_exists(paths[i]);
    }
    if (!room) {
        s = as_fail_nomem(err, "path", strlen(dir));
    } else if (there[0]) {
        s = parse_file(out, paths[0], err);
    } else if (there[1] || (there[2] && there[3])) {
        s = parse_vocab(out, dir, there[1] ? paths[1] : paths[2], there[1], config, err);
    } else {
        s = as_fail(err, AS_IO, "%s: holds neither tokenizer.json nor vocab.txt", dir);
        as_hint(err, "A checkpoint folder needs one of these two files, or vocab.json with merges.txt, "
                     "to read text.");
    }
    for (size_t i = 0; i < AS_COUNT(names); i++)
        as_free(paths[i]);
    return s;
}

as_status as_tokenizer_open(as_tokenizer **out, const char *dir, as_err *err) {
    *out = NULL;
    as_json *config = NULL, *map = NULL;
    as_tokenizer *t = NULL;
    as_status s = read_optional(&config, dir, "tokenizer_config.json", err);
    if (s == AS_OK) s = read_optional(&map, dir, "special_tokens_map.json", err);
    if (s == AS_OK) s = open_model(&t, dir, config, err);
    if (s == AS_OK) {
        find_roles(t, config, map);
        const double max = as_json_real(as_json_get(config, "model_max_length"), 0);
        t->model_max = max > 0 && max <= 1e9 ? (int64_t)max
                                             : 0; /* "very large integer" means that nobody knows */
        t->dir = as_strdup(dir);
        if (t->dir == NULL) s = as_fail_nomem(err, "path", strlen(dir));
    }
    as_json_free(config), as_json_free(map);
    if (s != AS_OK) as_tokenizer_free(t), t = NULL;
    *out = t;
    return s;
}

static as_status copy_file(const char *from, const char *to, as_err *err) {
    as_buf bytes = {0};
    as_status s = as_file_read(&bytes, from, 0, err);
    if (s == AS_OK) s = as_file_write(to, bytes.p != NULL ? bytes.p : "", bytes.n, err);
    as_buf_free(&bytes);
    return s;
}

as_status as_tokenizer_copy(const as_tokenizer *t, const char *to_dir, as_err *err) {
    if (t->dir == NULL)
        return as_fail(err, AS_USAGE,
                       "this tokenizer was not read from a folder, so there is nothing to copy");
    AS_TRY(as_dir_make(to_dir, err));
    for (size_t i = 0; i < AS_COUNT(own_files); i++) {
        char *from = as_path_join(t->dir, own_files[i]), *to = as_path_join(to_dir, own_files[i]);
        as_status s =
            from == NULL || to == NULL ? as_fail_nomem(err, "path", strlen(to_dir)) : AS_OK;
        if (s == AS_OK && as_file_exists(from)) s = copy_file(from, to, err);
        as_free(from), as_free(to);
        AS_TRY(s);
    }
    return AS_OK;
}

/* ---- questions ---- */
int32_t as_tokenizer_vocab_size(const as_tokenizer *t) {
    return t->n_ids;
}

as_str as_tokenizer_piece(const as_tokenizer *t, int32_t id) {
    return id >= 0 && id < t->n_ids && t->pieces[id].p != NULL ? t->pieces[id] : (as_str){"", 0};
}

int32_t as_tokenizer_id(const as_tokenizer *t, as_str piece) {
    const int32_t added = as_vocab_id(&t->added.by_content, piece);
    return added >= 0 ? t->added.tokens[added].id : as_vocab_id(&t->vocab, piece);
}

int32_t as_tokenizer_special(const as_tokenizer *t, as_special role) {
    return t->special[role];
}
int64_t as_tokenizer_model_max(const as_tokenizer *t) {
    return t->model_max;
}
