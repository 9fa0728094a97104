/* internal.h: the pipeline behind tokenizer.h, private to src/token.
 *
 *   text -> [added tokens] -> normalizer -> [added tokens] -> pre-tokenizer -> model -> truncate ->
 * post-processor
 *
 * Each stage is a tree of parts (Sequence has children). A part type is one row of its kind's
 * table: the name that tokenizer.json uses, how to read its settings, how to run it. All stages
 * work on one as_work, the work space of one as_tokens: a stage reads what the stage before it left
 * there and puts its own result in its place. */
#ifndef AS_TOKEN_INTERNAL_H
#define AS_TOKEN_INTERNAL_H

#include "base/arena.h"
#include "token/tokenizer.h"
#include "token/unicode.h"

enum {
    AS_ID_LIMIT = 1 << 24
}; /* ids at or above are refused: tables are as long as the highest id */

/* ---- parts ---- */
typedef struct as_part as_part;
typedef struct as_work as_work;
typedef struct as_loader { /* state of reading one tokenizer.json */
    as_tokenizer *t;
    const char *where; /* names the file in errors */
} as_loader;
typedef struct as_part_type {
    const char *name;
    as_status (*parse)(as_part *self, const as_json *spec, as_loader *ld,
                       as_err *err); /* NULL: no settings */
    as_status (*run)(const as_part *self, as_work *w, as_err *err);
} as_part_type;
typedef struct as_part_kind {
    const char *what;     /* "normalizer": for errors */
    const char *children; /* the key under which a Sequence keeps its parts */
    const as_part_type *types;
    size_t count;
} as_part_kind;
struct as_part {
    const as_part_type *type; /* NULL: the stage is absent */
    const void *settings;     /* in the tokenizer's arena, as all of this */
    as_part *parts;
    size_t count;
};
extern const as_part_kind as_normalizers, as_pre_tokenizers, as_models, as_post_processors,
    as_decoders;

/* spec null or absent gives type NULL. */
as_status as_part_parse(as_part *out, const as_part_kind *kind, const as_json *spec, as_loader *ld,
                        as_err *err) AS_CHECKED;
as_status as_part_parse_children(as_part *self, const as_part_kind *kind, const as_json *spec,
                                 as_loader *ld, as_err *err) AS_CHECKED;
as_status as_part_run_children(const as_part *self, as_work *w,
                               as_err *err) AS_CHECKED; /* run of every Sequence */
static inline as_status as_part_run(const as_part *p, as_work *w, as_err *err) {
    return p->type != NULL ? p->type->run(p, w, err) : AS_OK;
}
/* Memory that lives as long as the tokenizer; NULL after filling err. */
void *as_load_push(as_loader *ld, size_t count, size_t size, as_err *err);
/* A string setting, copied into the arena; AS_FORMAT when it is absent (unless fallback) or no
 * string. */
as_status as_load_str(as_loader *ld, as_str *out, const as_json *spec, const char *key,
                      const char *fallback, as_err *err) AS_CHECKED;
as_status as_load_bool(as_loader *ld, bool *out, const as_json *spec, const char *key,
                       bool fallback, as_err *err) AS_CHECKED;
as_status as_load_int(as_loader *ld, int64_t *out, const as_json *spec, const char *key,
                      int64_t fallback, int64_t low, int64_t high, as_err *err) AS_CHECKED;
/* {"String": s}; {"Regex": ..} is AS_FORMAT. */
as_status as_load_pattern(as_loader *ld, as_str *out, const as_json *spec, const char *what,
                          as_err *err) AS_CHECKED;

/* ---- patterns ---- */
typedef struct as_regex as_regex;
typedef struct as_pattern {
    as_str text;  /* a string, unless re */
    as_regex *re; /* owned by the tokenizer */
} as_pattern;
/* {"String": s} or {"Regex": r}. */
as_status as_pattern_load(as_loader *ld, as_pattern *out, const as_json *spec, const char *what,
                          as_err *err) AS_CHECKED;
void as_patterns_free(as_tokenizer *t);
/* w->units become matches and what lies between them, in order, all of the text. */
as_status as_pattern_find(const as_pattern *p, as_work *w, as_str text, as_err *err) AS_CHECKED;
/* What happens to matches. */
typedef enum as_behavior {
    AS_REMOVED,
    AS_ISOLATED,
    AS_MERGED_WITH_PREVIOUS,
    AS_MERGED_WITH_NEXT,
    AS_CONTIGUOUS
} as_behavior;
/* w->units, at `base` of w->norm, to next_splits. */
as_status as_cut_units(as_work *w, uint32_t base, as_behavior how, as_err *err) AS_CHECKED;
as_status as_unit_add(as_work *w, uint32_t begin, uint32_t end, bool match, as_err *err) AS_CHECKED;

/* ---- vocabulary: piece -> id, open addressing over a hash that can be continued byte by byte ----
 */
#define AS_VOCAB_START UINT64_C(0xcbf29ce484222325)
static inline uint64_t as_vocab_step(uint64_t h, unsigned char c) {
    return (h ^ c) * UINT64_C(0x100000001b3);
}
typedef struct as_vocab_entry {
    as_str piece;
    int32_t id;
} as_vocab_entry;
typedef struct as_vocab_slot {
    uint32_t tag;
    int32_t entry;
} as_vocab_slot; /* entry -1: empty */
typedef struct as_vocab {
    as_vocab_entry *entries;
    size_t count, cap;
    as_vocab_slot *slots;
    unsigned shift; /* 64 - log2(number of slots) */
    size_t longest; /* bytes of the longest piece */
    int32_t max_id; /* -1 when empty */
} as_vocab;
as_status as_vocab_init(as_vocab *v, size_t expected, as_err *err) AS_CHECKED;
void as_vocab_deinit(as_vocab *v);
as_status as_vocab_add(as_vocab *v, as_str piece, int32_t id,
                       as_err *err) AS_CHECKED; /* a piece that is there gets the new id */
uint64_t as_vocab_hash(uint64_t h, as_str s);
/* The entry whose piece is prefix followed by s, h being the hash of that; -1 when there is none.
 */
int32_t as_vocab_find(const as_vocab *v, uint64_t h, as_str prefix, const char *s, size_t n);
int32_t as_vocab_id(const as_vocab *v, as_str piece); /* -1 when unknown */

/* ---- pieces by their bytes, one after the other ---- */
typedef struct as_trie_slot {
    uint64_t key;   /* node << 8 | byte */
    uint32_t child; /* 0: empty */
} as_trie_slot;
typedef struct as_trie { /* zero-initialised; one piece at least before the first step */
    as_trie_slot *slots;
    int32_t *value; /* by node; -1: no piece ends here */
    size_t cap;
    uint32_t n;     /* nodes; the root is 0 */
    unsigned shift; /* 64 - log2(number of slots) */
} as_trie;
void as_trie_free(as_trie *t);
bool as_trie_add(as_trie *t, as_str piece, int32_t value); /* false: no memory */
static inline uint32_t as_trie_step(const as_trie *t, uint32_t node, unsigned char byte) { /* 0: none */
    const uint64_t key = (uint64_t)node << 8 | byte;
    const size_t mask = ((size_t)1 << (64 - t->shift)) - 1;
    for (size_t i = (size_t)((key * UINT64_C(0x9E3779B97F4A7C15)) >> t->shift);; i = (i + 1) & mask) {
        if (t->slots[i].child == 0) return 0;
        if (t->slots[i].key == key) return t->slots[i].child;
    }
}

/* ---- added tokens ---- */
typedef struct as_added_token {
    as_str content, pattern; /* pattern: content, normalised when `normalized` */
    int32_t id;
    bool single_word, lstrip, rstrip, normalized, special;
} as_added_token;
typedef struct as_matcher {        /* leftmost-longest over a set of strings */
    const as_added_token **tokens; /* by first byte, then longest first */
    size_t count;
    uint32_t first[257]; /* tokens[first[b] .. first[b+1]) start with byte b */
    int only;            /* the one first byte that all share, or -1 */
} as_matcher;
typedef struct as_match {
    size_t begin, end;
    const as_added_token *token;
} as_match;
typedef struct as_added {
    as_added_token *tokens;
    size_t count;
    as_vocab by_content; /* content -> index */
    as_matcher raw, normalized;
} as_added;
as_status as_added_parse(const as_json *list, as_loader *ld, as_err *err) AS_CHECKED;
/* The next token at or after *pos; *from is the end of the last accepted match (0 at first). false:
 * none left. */
bool as_matcher_next(const as_matcher *m, as_str text, size_t *pos, size_t from, as_match *out);

/* ---- bytes as characters, as byte-level tokenizers write them ---- */
/* Printable ASCII and most of Latin-1 stand for themselves, the other 68 bytes for U+0100 and on. */
static inline uint32_t as_byte_char(unsigned char b) {
    if (b <= 0x20) return 0x100u + b;
    if (b >= 0x7F && b <= 0xA0) return 0x121u + (b - 0x7Fu);
    return b == 0xAD ? 0x143u : b;
}
/* The byte behind a character, or -1. */
static inline int as_char_byte(uint32_t cp) {
    if (cp >= 0x100 && cp <= 0x120) return (int)(cp - 0x100);
    if (cp >= 0x121 && cp <= 0x142) return (int)(cp - 0x121 + 0x7F);
    if (cp == 0x143) return 0xAD;
    return cp < 0x100 && as_byte_char((unsigned char)cp) == cp ? (int)cp : -1;
}

/* ---- work space ---- */
/* Text under way, with the range of original bytes that each of its bytes stands for. */
typedef struct as_norm {
    char *text;
    uint32_t *begin, *end;
    size_t n, cap;
} as_norm;
typedef struct as_split {
    uint32_t begin, end;
    const as_added_token *added;
} as_split; /* bytes of norm */
typedef struct as_change {
    uint32_t cp;
    int32_t change;
    unsigned ccc;
} as_change;
typedef struct as_piece { /* begin, end: bytes of the original; lead, trail: outer white characters,
                             where they count */
    int32_t id;
    uint32_t begin, end;
    int32_t word;
    uint16_t lead, trail;
} as_piece;
typedef struct as_pieces {
    as_piece *v;
    size_t n, cap;
} as_pieces;
typedef struct as_strings {
    as_buf text;
    size_t *end;
    size_t n, cap;
} as_strings; /* decoders */
typedef struct as_range {
    int64_t begin, end;
} as_range;
typedef struct as_unit {
    uint32_t begin, end;
    bool match;
} as_unit;
typedef struct as_symbol { /* BPE: a piece of a word, in a list */
    int32_t id;
    uint32_t len; /* bytes; 0: part of its left neighbour now */
    int32_t prev, next;
} as_symbol;
typedef struct as_candidate { /* BPE: a merge that may happen */
    int32_t rank, at, made;
} as_candidate;
typedef struct as_best { /* Unigram: best way to a byte */
    double score;
    int32_t id;
    uint32_t from; /* UINT32_MAX: not reached */
} as_best;

enum { CACHE_BITS = 12, CACHE_KEY = 24, CACHE_IDS = 6 };
typedef struct as_cached_word { /* one cache line: a frequent word costs one miss at most, its
                                   pieces none */
    uint64_t hash;
    uint8_t len, count; /* len 0: empty */
    uint8_t end[CACHE_IDS];
    char key[CACHE_KEY];
    int32_t id[CACHE_IDS];
} as_cached_word;

struct as_work {
    const as_tokenizer *t;
    as_str original[2];   /* text and pair */
    as_norm norm;         /* all pieces, normalised, one after the other */
    as_norm piece, spare; /* the piece under normalisation; transforms write spare, then swap */
    as_change *changes;
    size_t n_changes, cap_changes;
    as_split *splits, *next_splits;
    size_t n_splits, cap_splits, n_next, cap_next;
    as_pieces *out;      /* where the model appends */
    as_pieces pieces[2]; /* text and pair */
    as_range *windows[2];
    size_t n_windows[2], cap_windows[2];
    as_norm word;          /* fast path: the word being read */
    uint64_t *prefix_hash; /* greedy match: hash of each prefix */
    size_t cap_prefix;
    as_cached_word
        *cache; /* the pieces of words seen before, direct-mapped by hash, keyed by their bytes */
    uint64_t cache_owner; /* identity of the tokenizer whose words these are */
    as_strings strings, strings_next;
    as_unit *units;
    size_t n_units, cap_units;
    as_symbol *symbols;
    as_candidate *candidates;
    as_best *best;
    size_t n_symbols, cap_symbols, n_candidates, cap_candidates, cap_best;
};
as_work *as_work_of(as_tokens *t, const as_tokenizer *tok,
                    as_err *err); /* NULL after filling err */
void as_work_free(as_work *w);
as_status as_norm_reserve(as_norm *s, size_t n, as_err *err) AS_CHECKED;
as_status as_norm_add(as_norm *s, const char *p, size_t n, uint32_t begin, uint32_t end,
                      as_err *err) AS_CHECKED;
as_status as_norm_put(as_norm *s, uint32_t cp, uint32_t begin, uint32_t end,
                      as_err *err) AS_CHECKED;
void as_norm_swap(as_work *w); /* piece <-> spare */
as_status as_split_add(as_work *w, uint32_t begin, uint32_t end, const as_added_token *added,
                       as_err *err) AS_CHECKED; /* to next_splits; empty ones are dropped */
void as_split_swap(as_work *w);                 /* next_splits become splits */
/* An added token: `text` is what it stands for, stripped space included. */
as_status as_added_piece(as_work *w, const as_added_token *tok, const char *text, size_t n,
                         uint32_t begin, uint32_t end, int32_t word, as_err *err) AS_CHECKED;
as_status as_piece_add(as_pieces *p, int32_t id, uint32_t begin, uint32_t end, int32_t word,
                       as_err *err) AS_CHECKED;

/* Pieces written anew into w->spare: one as it is; all of them into place; `what` before each that does
 * not begin with it (at_start_only: of the text's first bytes), but not before added tokens. */
as_status as_copy_split(as_work *w, as_split *s, as_err *err) AS_CHECKED;
void as_norm_swap_text(as_work *w);
as_status as_prepend_splits(as_work *w, as_str what, bool at_start_only, as_err *err) AS_CHECKED;
/* Added tokens, normalizer, pre-tokenizer: text becomes w->splits over w->norm. */
as_status as_pre_tokenize(as_work *w, as_str text, as_err *err) AS_CHECKED;

/* ---- post-processing: what stands around the sequences ---- */
typedef struct as_post_item {
    int sequence; /* 0, 1, or -1: special ids */
    int32_t type_id;
    const int32_t *ids;
    size_t count;
} as_post_item;
typedef struct as_post {
    as_post_item *items;
    size_t count, n_special;
} as_post;

/* ---- the tokenizer ---- */
typedef struct as_bert_settings {
    bool clean, chinese, strip, lower;
} as_bert_settings;
typedef struct as_wordpiece {
    as_str prefix, unk_token;
    int64_t max_chars;
    uint64_t prefix_hash; /* of the continuing-subword prefix */
    int32_t unk;          /* -1: the vocabulary lacks it */
} as_wordpiece;

enum { FAST_WORD, FAST_SPACE, FAST_PUNCT, FAST_DROP, FAST_UNICODE };
typedef struct as_fast { /* one pass for BertNormalizer + BertPreTokenizer + WordPiece */
    bool on;
    as_bert_settings bert;
    const as_wordpiece *model;
    uint8_t kind[256];  /* FAST_* of a byte */
    uint8_t low[128];   /* lower case where the tokenizer lowers */
    int32_t punct[128]; /* id of an ASCII punctuation mark, -1 when it has none */
} as_fast;

struct as_tokenizer {
    as_arena arena;
    as_part normalizer, pre_tokenizer, model, post_processor, decoder;
    as_vocab vocab;
    as_trie trie; /* Unigram */
    as_added added;
    as_post post[2]; /* one sequence, two sequences */
    bool post_trims; /* RobertaProcessing's trim_offsets: outer white space is not part of a token's
                        range */
    bool post_prefix;  /* its add_prefix_space: one leading space of a first token may be the added
                          one, and stays */
    bool post_adds;    /* a processor that adds tokens was read */
    as_str *pieces;    /* by id */
    int32_t n_ids;     /* highest id + 1 */
    uint64_t identity; /* hash of what decides a word's pieces */
    int32_t special[AS_TOKEN_EOS + 1];
    int64_t model_max;
    as_regex *regexes; /* all that were compiled for it */
    char *dir; /* NULL when parsed from memory */
    as_fast fast;
};

extern const as_part_type *const as_bert_normalizer_type, *const as_bert_pre_tokenizer_type,
    *const as_wordpiece_type, *const as_byte_level_type, *const as_bpe_type, *const as_unigram_type;
as_status as_post_default(as_tokenizer *t,
                          as_err *err) AS_CHECKED; /* no post-processor: the sequences alone */

typedef struct as_byte_level {
    bool prefix_space, trim, use_regex;
} as_byte_level;
as_status as_parse_byte_level(as_part *self, const as_json *spec, as_loader *ld,
                              as_err *err) AS_CHECKED;
as_status as_run_byte_level(const as_part *self, as_work *w, as_err *err) AS_CHECKED;
as_status as_post_byte_level(as_part *self, const as_json *spec, as_loader *ld,
                             as_err *err) AS_CHECKED;
/* Where the piece that begins at byte i < n ends. */
size_t as_byte_level_next(const char *p, size_t i, size_t n);

typedef enum as_scheme { AS_SCHEME_ALWAYS = 1, AS_SCHEME_FIRST, AS_SCHEME_NEVER } as_scheme;
typedef struct as_metaspace {
    as_str mark;
    as_scheme scheme;
    bool split;
} as_metaspace;
as_status as_parse_metaspace(as_part *self, const as_json *spec, as_loader *ld,
                             as_err *err) AS_CHECKED;

/* One word: its normalised bytes, their hash from AS_VOCAB_START, and the original bytes behind each
 * of them. begin and end NULL: the word is plain, byte k stands for byte start + k of the text. */
typedef struct as_word {
    const char *p;
    size_t n;
    uint64_t hash;
    const uint32_t *begin, *end;
    uint32_t start;
    int32_t number;
} as_word;
as_word as_word_of(const as_work *w, const as_split *s, size_t number);

/* ---- models ---- */
as_status as_model_vocab(const as_json *vocab, as_loader *ld, as_err *err) AS_CHECKED;
as_status as_no_unknown(const as_str *unk_token, as_err *err);
as_status as_added_split(as_work *w, const as_split *s, size_t number, as_err *err) AS_CHECKED;
/* The word's pieces from the cache; false when they are not there. */
bool as_cached_pieces(as_work *w, const as_word *x, as_status *status, as_err *err);

typedef struct as_merge {
    uint64_t key;
    int32_t rank, made; /* rank -1: empty */
} as_merge;
typedef struct as_bpe {
    as_merge *slots;
    unsigned shift; /* 64 - log2(number of slots) */
    as_str unk_token, prefix, suffix;
    bool has_unk, fuse_unk, byte_fallback, ignore_merges;
    int32_t unk; /* -1: the vocabulary lacks it */
    int32_t byte[256], fallback[256]; /* pieces of bytes as characters, and "<0x00>"; -1: none */
    uint64_t hash; /* of the merges */
} as_bpe;
as_status as_parse_bpe(as_part *self, const as_json *spec, as_loader *ld, as_err *err) AS_CHECKED;
as_status as_run_bpe(const as_part *self, as_work *w, as_err *err) AS_CHECKED;

typedef struct as_unigram {
    double *score; /* by id */
    double min_score;
    int32_t unk; /* -1: none */
    bool byte_fallback;
    int32_t fallback[256];
    uint64_t hash; /* of the scores */
} as_unigram;
int as_real_digits(double x); /* fewest significant digits, 15 to 17, that give x again */
as_status as_parse_unigram(as_part *self, const as_json *spec, as_loader *ld,
                           as_err *err) AS_CHECKED;
as_status as_run_unigram(const as_part *self, as_work *w, as_err *err) AS_CHECKED;

/* Appends the word's pieces to w->out. */
as_status as_wordpiece_word(const as_wordpiece *m, as_work *w, const as_word *word,
                            as_err *err) AS_CHECKED;

void as_fast_prepare(as_tokenizer *t);
/* Pieces of text into w->out, as the general path gives them. *done false: the text needs the
 * general path. */
as_status as_fast_encode(as_work *w, as_str text, bool *done, as_err *err) AS_CHECKED;
/* Tests: the general path also where the fast one would serve. */
void as_tokenizer_force_general(as_tokenizer *t);

/* vocab.txt and tokenizer_config.json -> the equivalent tokenizer.json. config may be NULL. */
as_status as_bert_files_to_json(as_buf *out, const char *dir, const as_json *config,
                                as_err *err) AS_CHECKED;
/* vocab.json, merges.txt and tokenizer_config.json, likewise. */
as_status as_bpe_files_to_json(as_buf *out, const char *dir, const as_json *config,
                               as_err *err) AS_CHECKED;

#endif
