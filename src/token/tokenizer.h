/* tokenizer.h: text to ids, exactly as Hugging Face `tokenizers` does it: added tokens, normalise, pre-tokenise, model,
 * truncate, post-process; every stage carries offsets into the original text. Immutable after open: one tokenizer serves
 * all threads, each with its own as_encoding_out. */
#ifndef AS_TOKEN_TOKENIZER_H
#define AS_TOKEN_TOKENIZER_H

#include "base/str.h"
#include "io/json.h"

typedef struct as_tokenizer as_tokenizer;

/* From a checkpoint folder: tokenizer.json, else vocab.txt + tokenizer_config.json (do_lower_case, strip_accents,
 * tokenize_chinese_chars, special token names). Unknown components: AS_FORMAT that names them and the known ones. */
as_status as_tokenizer_open(as_tokenizer **out, const char *dir, as_err *err) AS_CHECKED;
as_status as_tokenizer_parse(as_tokenizer **out, as_str json, const char *where, as_err *err) AS_CHECKED; /* tokenizer.json text */
void as_tokenizer_free(as_tokenizer *t);

typedef enum as_truncation { AS_TRUNCATE_LONGEST_FIRST, AS_TRUNCATE_ONLY_FIRST, AS_TRUNCATE_ONLY_SECOND } as_truncation;
typedef struct as_encode_opts {
    bool no_special;          /* do not add [CLS], [SEP] ... (type ids still follow the template) */
    int64_t max_length;       /* tokens, special ones included; 0 = no truncation. What the file says is ignored. */
    as_truncation strategy;
    int64_t stride;           /* > 0: overflow goes to further windows that overlap by so many tokens */
    bool truncate_left;
} as_encode_opts;

/* One encoding (or window). Caller-owned, zero-initialised, reused: arrays grow and are kept. */
typedef struct as_tokens {
    int32_t *ids;
    int32_t *type_ids;
    uint32_t *begin, *end;    /* byte offsets into the sequence's original text; 0,0 for special tokens */
    int32_t *word;            /* pre-token number within its sequence, -1 for special tokens */
    int8_t *sequence;         /* 0 = first text, 1 = pair, -1 = special token */
    bool *special;            /* special_tokens_mask */
    int64_t n, cap;
    int64_t overflow;         /* tokens of the input that no window of this call holds (dropped by truncation) */
    /* Work space of the pipeline, private to src/token. */
    void *work;
} as_tokens;
void as_tokens_free(as_tokens *t);

/* Encode text (and pair, or NULL) into out (overwritten). Text must be valid UTF-8. */
as_status as_encode(const as_tokenizer *t, as_str text, const as_str *pair, const as_encode_opts *opts, as_tokens *out, as_err *err) AS_CHECKED;
/* With stride: calls sink for each window in order. */
as_status as_encode_windows(const as_tokenizer *t, as_str text, const as_str *pair, const as_encode_opts *opts, as_tokens *work,
                            as_status (*sink)(void *ctx, const as_tokens *window, as_err *err), void *ctx, as_err *err) AS_CHECKED;
/* Byte offsets to code point offsets of the same text, ascending or not: in place on `n` values. */
void as_offsets_to_chars(as_str text, uint32_t *offsets, int64_t n);

int32_t as_tokenizer_vocab_size(const as_tokenizer *t);   /* highest id + 1, added tokens included */
as_str as_tokenizer_piece(const as_tokenizer *t, int32_t id); /* view; empty when the id is unused */
int32_t as_tokenizer_id(const as_tokenizer *t, as_str piece); /* -1 when unknown */
/* Special ids by role, -1 when there is none: from tokenizer_config.json / special_tokens_map.json, else by name. */
typedef enum as_special { AS_TOKEN_PAD, AS_TOKEN_UNK, AS_TOKEN_CLS, AS_TOKEN_SEP, AS_TOKEN_MASK, AS_TOKEN_BOS, AS_TOKEN_EOS } as_special;
int32_t as_tokenizer_special(const as_tokenizer *t, as_special role);
int64_t as_tokenizer_model_max(const as_tokenizer *t);    /* model_max_length of tokenizer_config.json; 0 = unknown */
as_status as_decode(const as_tokenizer *t, const int32_t *ids, int64_t n, bool skip_special, as_buf *out, as_err *err) AS_CHECKED;
/* The file names (in the checkpoint folder) that a copy of this tokenizer consists of. */
as_status as_tokenizer_copy(const as_tokenizer *t, const char *to_dir, as_err *err) AS_CHECKED;
#endif
