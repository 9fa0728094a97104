/* corpus_build.h: raw text to a corpus (corpus.h): read, clean, drop duplicates, split by document, tokenise into shards. The result
 * depends on inputs, rules and tokenizer, not on threads or interruptions. */
#ifndef AS_DATA_CORPUS_BUILD_H
#define AS_DATA_CORPUS_BUILD_H

#include "base/log.h"
#include "data/corpus.h"
#include "data/corpus_lang.h"
#include "data/corpus_read.h"
#include "data/corpus_rules.h"
#include "token/tokenizer.h"

typedef struct as_corpus_opts {
    const char *const *inputs; /* files, folders, "-" */
    int64_t n_inputs;
    const char *tokenizer_dir;     /* either this ... */
    const as_tokenizer *tokenizer; /* ... or this, which was read from a folder */
    const char *out;
    as_read_opts read;
    as_corpus_rules rules;     /* as_corpus_rules_preset(&rules, "basic", err) */
    const char *lang;          /* "en,zh": other languages are dropped; NULL = all stay */
    double heldout;            /* share of documents in AS_CORPUS_HELDOUT */
    int64_t shard_tokens;      /* 0 = AS_CORPUS_SHARD_TOKENS */
    int threads;               /* 0 = all */
    bool again;                /* start over whatever OUT holds */
    int progress_fd;           /* of the terminal line; -1 = none */
    bool (*stop)(void);        /* true ends with AS_INTERRUPTED; the same call goes on; or NULL */
    const as_log *log;         /* may be NULL */
} as_corpus_opts;

/* What corpus.json says. */
typedef struct as_corpus_summary {
    char digest[65];
    int64_t files, in_docs, in_lines, in_bytes;      /* read; bytes of text as it came */
    int64_t replaced;                                /* invalid sequences of UTF-8 that became U+FFFD */
    as_rule_drop drop[AS_RULE_COUNT];
    double value[AS_RULE_COUNT];                     /* of each rule; NAN = off */
    int64_t docs[AS_CORPUS_PARTS], segments[AS_CORPUS_PARTS], tokens[AS_CORPUS_PARTS], bytes[AS_CORPUS_PARTS], shards[AS_CORPUS_PARTS];
    int64_t vocab, types, unk;
    int64_t lang_docs[AS_LANGS + 1], lang_bytes[AS_LANGS + 1]; /* of documents that stayed */
    bool built_here;                                 /* has all of the above: written by as_corpus_build */
    bool reused;                                     /* it was finished before */
} as_corpus_summary;

/* A folder that holds the same corpus finished is left as it is; an unfinished one is finished; another one is AS_USAGE. *out may be NULL. */
as_status as_corpus_build(const as_corpus_opts *o, as_corpus_summary *out, as_err *err) AS_CHECKED;
as_status as_corpus_summary_read(as_corpus_summary *out, const char *dir, as_err *err) AS_CHECKED;
#endif
