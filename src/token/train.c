/* train.c: options to pipeline, pipeline and texts to words, words to vocabulary, all of it to files. */
#include "token/train_internal.h"

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/utf8.h"
#include <inttypes.h>
#include <string.h>

/* ---- options ---- */
static const char *const bert_special[] = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", NULL};
static const char *const roberta_special[] = {"<s>", "<pad>", "</s>", "<unk>", "<mask>", NULL};
static const char *const albert_special[] = {"<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]", NULL};

const char *const *as_token_special(as_token_model model) {
    static const char *const *const lists[] = {
        [AS_TOKEN_WORDPIECE] = bert_special,
        [AS_TOKEN_BPE] = roberta_special,
        [AS_TOKEN_UNIGRAM] = albert_special,
    };
    return lists[model];
}

as_status as_train_stopped(as_err *err) { return as_fail(err, AS_INTERRUPTED, "interrupted"); }

static as_token_train_opts filled(const as_token_train_opts *given) {
    as_token_train_opts o = *given;
    const bool unigram = o.model == AS_TOKEN_UNIGRAM;
    if (o.vocab_size == 0) o.vocab_size = unigram ? 8000 : 30000;
    if (o.special == NULL) {
        o.special = as_token_special(o.model);
        for (o.special_count = 0; o.special[o.special_count] != NULL;)
            o.special_count++;
    }
    if (o.prefix == NULL) o.prefix = o.model == AS_TOKEN_WORDPIECE ? "##" : "";
    if (o.lower == AS_TOKEN_DEFAULT)
        o.lower = o.model == AS_TOKEN_WORDPIECE ? AS_TOKEN_YES : AS_TOKEN_NO;
    if (unigram && o.max_token_length == 0) o.max_token_length = 16;
    if (o.shrinking_factor == 0) o.shrinking_factor = 0.75;
    if (o.sub_iterations == 0) o.sub_iterations = 2;
    if (o.seed_size == 0) o.seed_size = 1000000;
    return o;
}

static const char *find_special(const as_token_train_opts *o, const char *a, const char *b) {
    for (int64_t i = 0; i < o->special_count; i++)
        if (strcmp(o->special[i], a) == 0 || (b != NULL && strcmp(o->special[i], b) == 0))
            return o->special[i];
    return NULL;
}

static as_status check(const as_token_train_opts *o, as_err *err) {
    if (o->vocab_size < 1 || o->vocab_size >= AS_ID_LIMIT)
        return as_fail(err, AS_USAGE, "a vocabulary of %" PRId64 " pieces: possible are 1 to %d",
                       o->vocab_size, AS_ID_LIMIT - 1);
    if (o->special_count > o->vocab_size)
        return as_fail(err, AS_USAGE, "a vocabulary of %" PRId64 " pieces cannot hold %" PRId64
                       " special tokens", o->vocab_size, o->special_count);
    for (int64_t i = 0; i < o->special_count; i++) {
        const as_str s = as_str_of(o->special[i]);
        if (s.n == 0 || as_utf8_valid_prefix(s.p, s.n) < s.n)
            return as_fail(err, AS_USAGE, "a special token is empty or not valid UTF-8");
        for (int64_t k = 0; k < i; k++)
            if (strcmp(o->special[i], o->special[k]) == 0)
                return as_fail(err, AS_USAGE, "the special token \"%s\" is given twice", s.p);
    }
    if (o->model == AS_TOKEN_WORDPIECE && find_special(o, "[UNK]", "<unk>") == NULL) {
        const as_status s = as_fail(err, AS_USAGE, "WordPiece needs a token for unknown words");
        as_hint(err, "Have [UNK] or <unk> among the special tokens.");
        return s;
    }
    if (o->model == AS_TOKEN_UNIGRAM && find_special(o, "<unk>", "[UNK]") == NULL) {
        const as_status s = as_fail(err, AS_USAGE, "Unigram needs a token for unknown characters");
        as_hint(err, "Have <unk> or [UNK] among the special tokens.");
        return s;
    }
    if (o->shrinking_factor <= 0 || o->shrinking_factor >= 1)
        return as_fail(err, AS_USAGE, "the shrinking factor must lie between 0 and 1");
    return AS_OK;
}

/* ---- the pipeline as JSON ---- */
static const char *boolean(bool b) { return b ? "true" : "false"; }

static void write_normalizer(as_buf *b, const as_token_train_opts *o) {
    const bool lower = o->lower == AS_TOKEN_YES;
    const bool strip = o->strip_accents == AS_TOKEN_YES ||
                       (o->strip_accents == AS_TOKEN_DEFAULT && lower);
    as_buf_str(b, "\"normalizer\":");
    if (o->model == AS_TOKEN_WORDPIECE) {
        as_buf_fmt(b, "{\"type\":\"BertNormalizer\",\"clean_text\":true,\"handle_chinese_chars\":%s,"
                      "\"strip_accents\":%s,\"lowercase\":%s}",
                   boolean(!o->join_chinese),
                   o->strip_accents == AS_TOKEN_DEFAULT ? "null" : boolean(strip), boolean(lower));
        return;
    }
    const char *parts[3];
    size_t n = 0;
    if (o->model == AS_TOKEN_UNIGRAM) parts[n++] = strip ? "NFKD" : "NFKC";
    if (o->model == AS_TOKEN_BPE && strip) parts[n++] = "NFD";
    if (strip) parts[n++] = "StripAccents";
    if (lower) parts[n++] = "Lowercase";
    if (n == 0) as_buf_str(b, "null");
    if (n > 1) as_buf_str(b, "{\"type\":\"Sequence\",\"normalizers\":[");
    for (size_t i = 0; i < n; i++)
        as_buf_fmt(b, "%s{\"type\":\"%s\"}", i > 0 ? "," : "", parts[i]);
    if (n > 1) as_buf_str(b, "]}");
}

static void write_splitter(as_buf *b, const as_token_train_opts *o, bool decoder) {
    as_buf_str(b, decoder ? ",\"decoder\":" : ",\"pre_tokenizer\":");
    if (o->model == AS_TOKEN_BPE)
        as_buf_fmt(b, "{\"type\":\"ByteLevel\",\"add_prefix_space\":%s,\"trim_offsets\":true,"
                      "\"use_regex\":true}",
                   boolean(o->add_prefix_space));
    else if (o->model == AS_TOKEN_UNIGRAM)
        as_buf_str(b, "{\"type\":\"Metaspace\",\"replacement\":\"\xE2\x96\x81\","
                      "\"prepend_scheme\":\"always\",\"split\":true}");
    else if (decoder)
        as_buf_str(b, "{\"type\":\"WordPiece\",\"prefix\":"), as_buf_json_str(b, as_str_of(o->prefix)),
            as_buf_str(b, ",\"cleanup\":true}");
    else
        as_buf_str(b, "{\"type\":\"BertPreTokenizer\"}");
}

static int64_t special_id(const as_token_train_opts *o, const char *name) {
    int64_t i = 0;
    while (strcmp(o->special[i], name) != 0)
        i++;
    return i;
}

static void write_token(as_buf *b, const char *name, int type_id) {
    as_buf_str(b, "{\"SpecialToken\":{\"id\":");
    as_buf_json_str(b, as_str_of(name));
    as_buf_fmt(b, ",\"type_id\":%d}},", type_id);
}

static void write_template(as_buf *b, const as_token_train_opts *o, const char *cls, const char *sep) {
    as_buf_str(b, "{\"type\":\"TemplateProcessing\",\"single\":[");
    if (cls != NULL) write_token(b, cls, 0);
    as_buf_str(b, "{\"Sequence\":{\"id\":\"A\",\"type_id\":0}},");
    write_token(b, sep, 0);
    b->n--; /* the comma */
    as_buf_str(b, "],\"pair\":[");
    if (cls != NULL) write_token(b, cls, 0);
    as_buf_str(b, "{\"Sequence\":{\"id\":\"A\",\"type_id\":0}},");
    write_token(b, sep, 0);
    as_buf_str(b, "{\"Sequence\":{\"id\":\"B\",\"type_id\":1}},");
    write_token(b, sep, 1);
    b->n--;
    as_buf_str(b, "],\"special_tokens\":{");
    const char *const names[2] = {cls, sep};
    for (int i = cls == NULL; i < 2; i++) {
        as_buf_json_str(b, as_str_of(names[i]));
        as_buf_str(b, ":{\"id\":");
        as_buf_json_str(b, as_str_of(names[i]));
        as_buf_fmt(b, ",\"ids\":[%" PRId64 "],\"tokens\":[", special_id(o, names[i]));
        as_buf_json_str(b, as_str_of(names[i]));
        as_buf_str(b, i == 0 ? "]}," : "]}");
    }
    as_buf_str(b, "}}");
}

/* With tokens for begin and end: around the text, as BERT and ALBERT have them, or RoBERTa. */
static void write_post(as_buf *b, const as_token_train_opts *o) {
    const char *cls = find_special(o, "[CLS]", "<s>"), *sep = find_special(o, "[SEP]", "</s>");
    as_buf_str(b, ",\"post_processor\":");
    if (o->model == AS_TOKEN_BPE && cls != NULL && sep != NULL) {
        as_buf_str(b, "{\"type\":\"RobertaProcessing\",\"sep\":[");
        as_buf_json_str(b, as_str_of(sep));
        as_buf_fmt(b, ",%" PRId64 "],\"cls\":[", special_id(o, sep));
        as_buf_json_str(b, as_str_of(cls));
        as_buf_fmt(b, ",%" PRId64 "],\"trim_offsets\":true,\"add_prefix_space\":%s}",
                   special_id(o, cls), boolean(o->add_prefix_space));
    } else if (o->model == AS_TOKEN_BPE) {
        as_buf_fmt(b, "{\"type\":\"ByteLevel\",\"add_prefix_space\":%s,\"trim_offsets\":false,"
                      "\"use_regex\":true}",
                   boolean(o->add_prefix_space));
    } else if (sep != NULL && (cls != NULL || o->model == AS_TOKEN_UNIGRAM)) {
        write_template(b, o, cls, sep);
    } else {
        as_buf_str(b, "null");
    }
}

static void write_added(as_buf *b, const as_token_train_opts *o) {
    as_buf_str(b, "\"added_tokens\":[");
    for (int64_t i = 0; i < o->special_count; i++) {
        const bool mask = o->model != AS_TOKEN_WORDPIECE &&
                          (strcmp(o->special[i], "<mask>") == 0 || strcmp(o->special[i], "[MASK]") == 0);
        as_buf_fmt(b, "%s{\"id\":%" PRId64 ",\"content\":", i > 0 ? "," : "", i);
        as_buf_json_str(b, as_str_of(o->special[i]));
        as_buf_fmt(b, ",\"single_word\":false,\"lstrip\":%s,\"rstrip\":false,\"normalized\":false,"
                      "\"special\":true}",
                   boolean(mask));
    }
    as_buf_str(b, "],");
}

static void write_vocab(as_buf *b, const as_learned *l) {
    as_buf_str(b, "\"vocab\":{");
    for (size_t i = 0; i < l->n; i++) {
        if (i > 0) as_buf_char(b, ',');
        as_buf_json_str(b, l->pieces[i]);
        as_buf_fmt(b, ":%zu", i);
    }
    as_buf_char(b, '}');
}

static void write_bpe(as_buf *b, const as_token_train_opts *o, const as_learned *l) {
    as_buf_str(b, "{\"type\":\"BPE\",\"dropout\":null,\"unk_token\":null,\"continuing_subword_prefix\":");
    if (o->prefix[0] != '\0')
        as_buf_json_str(b, as_str_of(o->prefix));
    else
        as_buf_str(b, "null");
    as_buf_str(b, ",\"end_of_word_suffix\":null,\"fuse_unk\":false,\"byte_fallback\":false,"
                  "\"ignore_merges\":false,");
    write_vocab(b, l);
    as_buf_str(b, ",\"merges\":[");
    for (size_t i = 0; i < l->n_merges; i++) {
        as_buf_str(b, i > 0 ? ",[" : "[");
        as_buf_json_str(b, l->pieces[l->merges[i][0]]);
        as_buf_char(b, ',');
        as_buf_json_str(b, l->pieces[l->merges[i][1]]);
        as_buf_char(b, ']');
    }
    as_buf_str(b, "]}");
}

/* With the fewest digits, and a point whatever the locale. */
static void write_score(as_buf *b, double x) {
    const size_t from = b->n;
    as_buf_fmt(b, "%.*g", as_real_digits(x), x);
    for (size_t i = from; i < b->n; i++)
        if (b->p[i] == ',') b->p[i] = '.';
}

static void write_model(as_buf *b, const as_token_train_opts *o, const as_learned *l) {
    as_buf_str(b, ",\"model\":");
    if (o->model == AS_TOKEN_BPE) {
        write_bpe(b, o, l);
    } else if (o->model == AS_TOKEN_WORDPIECE) {
        as_buf_str(b, "{\"type\":\"WordPiece\",\"unk_token\":");
        as_buf_json_str(b, as_str_of(find_special(o, "[UNK]", "<unk>")));
        as_buf_str(b, ",\"continuing_subword_prefix\":");
        as_buf_json_str(b, as_str_of(o->prefix));
        as_buf_str(b, ",\"max_input_chars_per_word\":100,");
        write_vocab(b, l);
        as_buf_char(b, '}');
    } else {
        as_buf_fmt(b, "{\"type\":\"Unigram\",\"unk_id\":%" PRId64 ",\"vocab\":[",
                   special_id(o, find_special(o, "<unk>", "[UNK]")));
        for (size_t i = 0; i < l->n; i++) {
            as_buf_str(b, i > 0 ? ",[" : "[");
            as_buf_json_str(b, l->pieces[i]);
            as_buf_char(b, ',');
            write_score(b, l->scores[i]);
            as_buf_char(b, ']');
        }
        as_buf_str(b, "],\"byte_fallback\":false}");
    }
}

/* l NULL: what cuts texts into words, behind a model that is not used. */
static as_status write_json(as_buf *b, const as_token_train_opts *o, const as_learned *l, as_err *err) {
    as_buf_str(b, "{\"version\":\"1.0\",\"truncation\":null,\"padding\":null,");
    if (l != NULL) write_added(b, o);
    write_normalizer(b, o);
    write_splitter(b, o, false);
    if (l != NULL) {
        write_post(b, o);
        write_splitter(b, o, true);
        write_model(b, o, l);
    } else {
        as_buf_str(b, ",\"model\":{\"type\":\"WordLevel\",\"unk_token\":\"\",\"vocab\":{\"\":0}}");
    }
    as_buf_str(b, "}\n");
    return b->failed ? as_fail_nomem(err, "tokenizer.json", b->n) : AS_OK;
}

/* ---- training ---- */
void as_learned_free(as_learned *l) {
    as_free(l->pieces), as_free(l->scores), as_free(l->merges);
    as_arena_deinit(&l->arena);
    *l = (as_learned){0};
}

static as_status count_words(as_word_counts *out, const as_token_train_opts *o, as_text_source next,
                             void *ctx, as_token_trained *info, as_err *err) {
    as_buf json = {0};
    as_tokenizer *t = NULL;
    as_status s = write_json(&json, o, NULL, err);
    if (s == AS_OK) s = as_tokenizer_parse(&t, as_buf_view(&json), "the pipeline", err);
    if (s == AS_OK) s = as_word_counts_make(out, t, o, next, ctx, info, err);
    as_tokenizer_free(t);
    as_buf_free(&json);
    if (s == AS_OK && info->distinct == 0) {
        s = as_fail(err, AS_USAGE, "there is no text to learn from: %" PRId64 " texts without a word",
                    info->texts);
        as_hint(err, "A tokenizer is learned from lines of text.");
    }
    return s;
}

/* Byte-level pieces begin with the 256 bytes, seen or not. */
static as_status byte_alphabet(as_buf *out, as_str also, as_err *err) {
    for (unsigned c = 0; c < 256; c++) {
        char bytes[4];
        as_buf_add(out, bytes, as_utf8_put(bytes, as_byte_char((unsigned char)c)));
    }
    as_buf_add(out, also.p, also.n);
    return out->failed ? as_fail_nomem(err, "alphabet", out->n) : AS_OK;
}

as_status as_tokenizer_train(as_buf *json, const as_token_train_opts *given, as_text_source next,
                             void *ctx, as_token_trained *info, as_err *err) {
    as_token_train_opts o = filled(given);
    as_token_trained seen = {0};
    as_word_counts words = {0};
    as_learned l = {0};
    as_buf bytes = {0};
    AS_TRY(check(&o, err));
    const double t0 = as_clock();
    as_status s = AS_OK;
    if (o.model == AS_TOKEN_BPE) {
        s = byte_alphabet(&bytes, o.alphabet, err);
        o.alphabet = as_buf_view(&bytes);
    }
    if (s == AS_OK) s = count_words(&words, &o, next, ctx, &seen, err);
    const double t1 = as_clock();
    if (s == AS_OK)
        s = o.model == AS_TOKEN_UNIGRAM ? as_learn_unigram(&l, &words, &o, err)
                                        : as_learn_merges(&l, &words, &o, err);
    if (s == AS_OK) s = write_json(json, &o, &l, err);
    seen.read_seconds = t1 - t0, seen.train_seconds = as_clock() - t1;
    seen.vocab = (int64_t)l.n, seen.merges = (int64_t)l.n_merges, seen.alphabet = l.alphabet;
    if (info != NULL) *info = seen;
    as_word_counts_free(&words);
    as_learned_free(&l);
    as_buf_free(&bytes);
    return s;
}

/* ---- files ---- */
static void write_role(as_buf *b, const as_token_train_opts *o, const char *key, const char *a,
                       const char *c, bool *first) {
    const char *name = find_special(o, a, c);
    if (name == NULL) return;
    as_buf_fmt(b, "%s\n  \"%s\": ", *first ? "" : ",", key);
    as_buf_json_str(b, as_str_of(name));
    *first = false;
}

static void write_roles(as_buf *b, const as_token_train_opts *o, bool *first) {
    write_role(b, o, "unk_token", "[UNK]", "<unk>", first);
    write_role(b, o, "pad_token", "[PAD]", "<pad>", first);
    write_role(b, o, "cls_token", "[CLS]", "<s>", first);
    write_role(b, o, "sep_token", "[SEP]", "</s>", first);
    write_role(b, o, "mask_token", "[MASK]", "<mask>", first);
    write_role(b, o, "bos_token", "<s>", "<|endoftext|>", first);
    write_role(b, o, "eos_token", "</s>", "<|endoftext|>", first);
}

static void write_config(as_buf *b, const as_token_train_opts *o) {
    bool first = false;
    const bool bert = o->model == AS_TOKEN_WORDPIECE;
    as_buf_fmt(b, "{\n  \"tokenizer_class\": \"%s\"", bert ? "BertTokenizer" : "PreTrainedTokenizerFast");
    if (bert) {
        as_buf_fmt(b, ",\n  \"do_lower_case\": %s,\n  \"tokenize_chinese_chars\": %s,\n  \"strip_accents\": %s",
                   boolean(o->lower == AS_TOKEN_YES), boolean(!o->join_chinese),
                   o->strip_accents == AS_TOKEN_DEFAULT ? "null"
                                                        : boolean(o->strip_accents == AS_TOKEN_YES));
    }
    if (o->model == AS_TOKEN_BPE)
        as_buf_fmt(b, ",\n  \"add_prefix_space\": %s", boolean(o->add_prefix_space));
    if (o->model_max_length > 0)
        as_buf_fmt(b, ",\n  \"model_max_length\": %" PRId64, o->model_max_length);
    write_roles(b, o, &first);
    as_buf_str(b, "\n}\n");
}

static as_status write_file(const char *dir, const char *name, const as_buf *b, as_err *err) {
    char *path = as_path_join(dir, name);
    if (path == NULL || b->failed) {
        as_free(path);
        return as_fail_nomem(err, name, b->n);
    }
    const as_status s = as_file_write(path, b->p, b->n, err);
    as_free(path);
    return s;
}

/* One piece a line, in the order of their ids. */
static as_status write_vocab_txt(const char *dir, as_str json, as_err *err) {
    as_tokenizer *t;
    as_buf b = {0};
    AS_TRY(as_tokenizer_parse(&t, json, "tokenizer.json", err));
    for (int32_t i = 0; i < as_tokenizer_vocab_size(t); i++) {
        const as_str piece = as_tokenizer_piece(t, i);
        as_buf_add(&b, piece.p, piece.n);
        as_buf_char(&b, '\n');
    }
    const as_status s = write_file(dir, "vocab.txt", &b, err);
    as_buf_free(&b);
    as_tokenizer_free(t);
    return s;
}

as_status as_tokenizer_write(const char *dir, as_str json, const as_token_train_opts *given,
                             as_err *err) {
    const as_token_train_opts o = filled(given);
    as_buf config = {0}, map = {0};
    bool first = true;
    AS_TRY(as_dir_make(dir, err));
    write_config(&config, &o);
    as_buf_char(&map, '{');
    write_roles(&map, &o, &first);
    as_buf_str(&map, "\n}\n");
    as_status s = write_file(dir, "tokenizer_config.json", &config, err);
    if (s == AS_OK) s = write_file(dir, "special_tokens_map.json", &map, err);
    if (s == AS_OK && o.model == AS_TOKEN_WORDPIECE) s = write_vocab_txt(dir, json, err);
    if (s == AS_OK) {
        const as_buf text = {.p = (char *)(uintptr_t)json.p, .n = json.n};
        s = write_file(dir, "tokenizer.json", &text, err); /* last: the folder is whole once it is there */
    }
    as_buf_free(&config), as_buf_free(&map);
    return s;
}
