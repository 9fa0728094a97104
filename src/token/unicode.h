/* unicode.h: what Hugging Face `tokenizers` believes about a code point. Its crates follow
 * different Unicode versions, so there is one flag per predicate of that library and not one per
 * Unicode property. Tables: unicode_tables.c. */
#ifndef AS_TOKEN_UNICODE_H
#define AS_TOKEN_UNICODE_H

#include <stdbool.h>
#include <stdint.h>

enum {
    AS_UC_OTHER = 1 << 0, /* BertNormalizer's clean_text drops it (U+0000 and U+FFFD included) */
    AS_UC_WHITE = 1 << 1, /* char::is_whitespace, regex \s */
    AS_UC_PUNCT =
        1 << 2,        /* BertPreTokenizer and Punctuation: ASCII punctuation or P* of Unicode 8 */
    AS_UC_MN = 1 << 3, /* BertNormalizer's strip_accents drops it (only set where NFD leaves the
                          point alone) */
    AS_UC_MARK = 1 << 4,    /* StripAccents drops it */
    AS_UC_WORD = 1 << 5,    /* regex \w */
    AS_UC_NUMERIC = 1 << 6, /* char::is_numeric */
    AS_UC_NFD =
        1 << 7, /* has a canonical decomposition (Hangul syllables excluded: they are computed) */
    AS_UC_LOWER = 1 << 8, /* to_lowercase changes it */
    AS_UC_CCC = 1 << 9,   /* canonical combining class is not 0 */
    AS_UC_LETTER = 1 << 11, /* \p{L} of the regular expressions in ByteLevel and Split */
    AS_UC_DIGIT = 1 << 12,  /* \p{N} of them; \s is AS_UC_WHITE */
    AS_UC_NFKD = 1 << 10  /* its compatibility decomposition differs from the canonical one */
};

typedef struct as_uc_ccc_run {
    uint32_t first, last, ccc;
} as_uc_ccc_run;
typedef struct as_uc_pair {
    uint32_t first, second, composed;
} as_uc_pair;

extern const uint8_t as_uc_flags_index[], as_uc_nfd_index[], as_uc_nfkd_index[],
    as_uc_lower_index[];
extern const uint16_t as_uc_flags_block[][128], as_uc_nfd_block[][128], as_uc_nfkd_block[][128],
    as_uc_lower_block[][128];
extern const uint32_t as_uc_pool[];          /* length, then that many code points */
extern const as_uc_ccc_run as_uc_ccc_runs[]; /* ascending */
extern const as_uc_pair as_uc_pairs[];       /* ascending by (first, second) */
extern const int as_uc_ccc_count, as_uc_pair_count;

static inline unsigned as_uc_flags(uint32_t cp) {
    return as_uc_flags_block[as_uc_flags_index[cp >> 7]][cp & 127];
}

/* The sequence behind one of the three maps: its length at [0], then the points. Only where the
 * flag is set. */
static inline const uint32_t *as_uc_nfd(uint32_t cp) {
    return as_uc_pool + as_uc_nfd_block[as_uc_nfd_index[cp >> 7]][cp & 127] - 1;
}
static inline const uint32_t *as_uc_nfkd(uint32_t cp) {
    return as_uc_pool + as_uc_nfkd_block[as_uc_nfkd_index[cp >> 7]][cp & 127] - 1;
}
static inline const uint32_t *as_uc_lower(uint32_t cp) {
    return as_uc_pool + as_uc_lower_block[as_uc_lower_index[cp >> 7]][cp & 127] - 1;
}

static inline bool as_uc_is_hangul(uint32_t cp) {
    return cp - 0xAC00 < 11172;
}
/* What BertNormalizer pads with spaces: the CJK blocks, with the gap 2B820..2B91F that the library
 * has. */
bool as_uc_is_chinese(uint32_t cp);
/* Decompose one point into out (at most AS_UC_MAX points); returns how many. Marks are not
 * reordered. */
enum { AS_UC_MAX = 20 };
int as_uc_decompose(uint32_t out[AS_UC_MAX], uint32_t cp, bool compatible);
unsigned as_uc_ccc(uint32_t cp);
uint32_t as_uc_compose(uint32_t a, uint32_t b); /* 0 when the two do not compose */

#endif
