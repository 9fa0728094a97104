/* corpus_lang.h: the language of a text by its character n-grams: naive Bayes over 1- to 3-grams (the profiles of Cavnar and
 * Trenkle 1994, with probabilities in place of ranks). Chinese and Japanese
 * are told apart by kana. Nine languages are known; a text with few known n-grams is "other". */
#ifndef AS_DATA_CORPUS_LANG_H
#define AS_DATA_CORPUS_LANG_H

#include "base/str.h"

enum { AS_LANG_EN = 2, AS_LANG_JA = 5, AS_LANG_ZH = 8, AS_LANGS = 9, AS_LANG_OTHER = AS_LANGS };
extern const char *const as_lang_codes[AS_LANGS]; /* ISO 639-1 */
const char *as_lang_name(int lang);               /* the code, or "other" */
/* Index of the language, or AS_LANG_OTHER. Reads at most the first 200 characters. */
int as_lang_of(as_str text);
/* "en,zh" (and "other") to a bit per language; AS_USAGE for an unknown one. */
as_status as_lang_parse(unsigned *out, const char *list, as_err *err) AS_CHECKED;

/* corpus_lang_table.c: a hash table; a gram holds up to three code points of 21 bits, the first on top; 0 = free. */
enum { AS_LANG_SLOTS = 8192, AS_LANG_ROOM = 16 };
typedef struct as_lang_gram { uint64_t gram; uint8_t cost[AS_LANG_ROOM]; } as_lang_gram;
extern const as_lang_gram as_lang_grams[AS_LANG_SLOTS];
#endif
