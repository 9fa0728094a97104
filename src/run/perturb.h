/* perturb.h: texts as people mistype, shorten or reformat them, to see whether a model's answers hold. Pure functions: what comes
 * out depends on (text, kind, strength, seed, item) and on nothing else. */
#ifndef AS_RUN_PERTURB_H
#define AS_RUN_PERTURB_H

#include "run/job.h"

typedef enum as_perturb_kind {
    AS_PERTURB_TYPO_SWAP,    /* two neighbouring characters of a word change places; the first and the last stay where it has four */
    AS_PERTURB_TYPO_DELETE,  /* one character of a word is missing */
    AS_PERTURB_TYPO_INSERT,  /* a neighbouring key is hit as well; a character that no such key has comes twice */
    AS_PERTURB_CASE_LOWER,   /* words in lower case (Unicode's simple mapping) */
    AS_PERTURB_CASE_UPPER,
    AS_PERTURB_PUNCTUATION,  /* punctuation is missing */
    AS_PERTURB_WHITESPACE,   /* a blank too many: doubled between words, put between Chinese characters */
    AS_PERTURB_WORD_DROP,    /* a word is missing, with one blank beside it; at least one word stays */
    AS_PERTURB_WORD_SWAP,    /* a word changes places with the next, where only blanks lie between them */
    AS_PERTURB_COUNT
} as_perturb_kind;
const char *as_perturb_name(as_perturb_kind k); /* "typo-swap", ... "punctuation-strip", "whitespace" */
/* Share of the words (punctuation marks, blanks) that are changed unless told otherwise: all for case and punctuation, else 0.1. */
double as_perturb_strength(as_perturb_kind k);
/* "typo-swap,word-drop" or "all" into a bit per kind. AS_USAGE: an unknown name (with the nearest), an empty list. */
as_status as_perturb_parse(uint32_t *kinds, const char *list, as_err *err) AS_CHECKED;

/* Append the perturbed text to out. strength in [0, 1]: 0 changes nothing; above that strength x words of them are changed, at
 * least one, chosen so that a greater strength changes the same ones and more. Words are runs of letters and digits; characters
 * of scripts that are written without blanks (Han, Kana) are words of their own. Grapheme clusters stay whole. Valid UTF-8 comes
 * out of valid UTF-8; what is not valid comes out as it went in. A text is never left without a visible character: it stays as it
 * is instead. item: what tells items apart (their id's hash). Out of memory: out->failed. */
void as_perturb_text(as_buf *out, as_str text, as_perturb_kind kind, double strength, uint64_t seed, uint64_t item);

/* What a perturbation does to one metric. */
typedef struct as_perturbed {
    as_perturb_kind kind;
    double strength;
    int64_t run;               /* of the perturbed items in the store, 0 = not stored */
    int64_t n, changed;        /* items; those whose text is another */
    double tokens;             /* of the perturbed texts over those of the texts */
    double clean, score, low, high;     /* the metric without and with; interval of the latter */
    double drop, drop_low, drop_high;   /* how much worse it is, paired over items; below 0: better */
    double p, p_adjusted;      /* Holm over the kinds */
    int64_t flips;             /* predictions that are others; -1 for numbers */
    double flip_rate, flip_low, flip_high; /* Wilson; NaN for numbers */
    const char *interval_method, *test_method, *why; /* static */
    bool percent;              /* the metric is a share: people read 100 times it */
} as_perturbed;
/* Fills clean to why but p_adjusted. The two are of the same items in the same order; cluster [n] or NULL. */
as_status as_perturbed_compare(as_perturbed *out, const as_predictions *clean, const as_predictions *perturbed, const int32_t *cluster, const char *metric,
                               double level, uint64_t seed, int threads, as_err *err) AS_CHECKED;
#endif
