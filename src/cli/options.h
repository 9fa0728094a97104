/* options.h: ONE table of options, from which parsing, help, the man page, completion and "did you mean" come. */
#ifndef AS_CLI_OPTIONS_H
#define AS_CLI_OPTIONS_H

#include "base/arena.h"
#include "base/str.h"
#include "train/recipe.h"

/* What commands take: a command's row has a sum of these, an option is taken by the commands that share a bit with it. */
typedef enum as_takes {
    TAKES_MODEL = 1,      /* it runs a model */
    TAKES_LINES = 1 << 1, /* texts, one a line */
    TAKES_DATA = 1 << 2,  /* tables */
    TAKES_LABEL = 1 << 3, /* with labels */
    TAKES_SPLIT = 1 << 4,
    TAKES_STORE = 1 << 5,
    TAKES_METRIC = 1 << 6,
    TAKES_TRAIN = 1 << 7,
    TAKES_ITEMS = 1 << 8,
    TAKES_SCORE = 1 << 9,
    TAKES_CHECK = 1 << 10,
    TAKES_TOP = 1 << 11,
    TAKES_CSV = 1 << 12,
    TAKES_RUNS = 1 << 13,
    TAKES_TOKENS = 1 << 14,
    TAKES_COMPARE = 1 << 15, /* two systems or more */
    TAKES_DIFF = 1 << 16,
    TAKES_SLICE = 1 << 17,
    TAKES_REPORT = 1 << 18,
    TAKES_BENCH = 1 << 19,
    TAKES_GATE = 1 << 20,
    TAKES_FOLDS = 1 << 21, /* one training or several of one kind */
    TAKES_TASK = 1 << 22,  /* data by a task's name */
    TAKES_FILES = 1 << 23, /* where that data lies */
    TAKES_PULL = 1 << 24,
    TAKES_TOKENIZER = 1 << 25, /* it learns a tokenizer */
    TAKES_CORPUS = 1 << 26,
    TAKES_PRETRAIN = 1 << 27,
    TAKES_RANKS = 1 << 29, /* several processes share its work; of other commands only the first process does something */
    TAKES_ALWAYS = 1 << 30
} as_takes;

typedef enum as_option_type { OPTION_FLAG, OPTION_INT, OPTION_REAL, OPTION_TEXT, OPTION_CHOICE, OPTION_TEXTS } as_option_type;
typedef enum as_option_group { GROUP_DATA, GROUP_WORK, GROUP_TRAINING, GROUP_OUTPUT, GROUP_COUNT } as_option_group;

/* An option that may be given several times, in order. */
typedef struct as_texts { const char **v; int64_t count; } as_texts;

/* The values. Strings are borrowed from argv, or from the arena of as_cli (a recipe file's). NULL = not given. */
typedef struct as_options {
    const char *data, *text, *pair, *label, *id, *cluster, *sep, *columns, *encoding, *labels, *kind, *positive;
    const char *task, *data_dir, *split;
    const char *task_name, *label_values; /* not on the command line: filled from the task */
    bool task_labels;                     /* labels are the task's */
    const char *file, *dev, *gold, *pred_column, *gold_column, *probs_column, *check;
    as_texts preds, slices;
    as_texts pull_files;                  /* --file of pull */
    const char *revision;
    bool dataset;
    int64_t max_split, limit;
    bool no_quotes, no_header, keep_cr;
    double dev_fraction;
    int64_t folds, seeds, search;
    const char *eval_data;
    double test_fraction;
    bool all_tests, no_baselines;
    const char *out, *db, *recipe, *isa, *dtype, *metric, *ci;
    bool again, dry_run, scratch;
    int64_t seed, threads, batch_tokens, max_length, top;
    double level;
    bool json, items, quiet, help;
    const char *csv, *schedule, *fail_if, *junit, *markdown, *test, *latex, *lm_eval, *only, *sort, *find;
    const char *calibrate, *perturb;
    double margin, until, strength;
    const char *token_model, *special, *alphabet, *letter_case, *accents; /* of tokenizer */
    int64_t vocab_size, min_frequency, limit_alphabet, max_piece;
    bool prefix_space, line_ends;
    as_texts corpora;
    const char *tokenizer, *shape, *config, *from, *objective, *save_dtype;
    double mask_share;
    bool whole_words, recompute;
    int64_t tokens, keep, checkpoint_steps, pseudo;
    const char *doc, *rules, *lang, *run; /* of data */
    as_texts rule;
    double heldout;
    int64_t shard_tokens, ngram;
    as_recipe train;
} as_options;

typedef struct as_option {
    const char *name, *arg;  /* arg NULL for flags; of a choice: "f32|bf16" */
    const char *shown;       /* the default as help says it, or NULL: numbers show what the field holds */
    const char *help;
    as_option_group group;
    unsigned takes;
    as_option_type type;
    size_t field;            /* offset in as_options: bool, int64_t, double, const char * or as_texts */
    double least, most;      /* of numbers; both 0 = any */
} as_option;

size_t as_option_table(const as_option **rows);
const char *as_option_group_name(as_option_group g);
as_options as_options_defaults(void);
/* The default of a row for people, into buf; "" when there is none. */
const char *as_option_default(const as_option *o, char *buf, size_t size);

struct as_command;
typedef struct as_parsed {
    as_options o;
    as_arena *arena;
    bool *given;             /* [as_option_table], in the arena */
    const char **args;       /* what is no option, in order */
    int arg_count;
    int tasks;               /* of --task on the command line so far */
} as_parsed;
/* argv[0..argc) behind the command's name. A recipe file is read first, so the command line wins. AS_USAGE with the nearest
 * name for unknown options and those of other commands. */
as_status as_options_parse(as_parsed *out, const struct as_command *command, int argc, char **argv, as_arena *arena, as_err *err) AS_CHECKED;
bool as_option_given(const as_parsed *p, const char *name);
/* Set one option from text. `where` begins messages: "--lr" or "recipe.yaml: lr". */
as_status as_option_set(as_parsed *p, size_t row, const char *where, const char *value, as_err *err) AS_CHECKED;
/* Row of a name that the command takes, else AS_USAGE. `where` is put before the message, or NULL. */
as_status as_option_find(size_t *row, const struct as_command *command, as_str name, const char *where, as_err *err) AS_CHECKED;
/* options_recipe.c: a YAML file with any options as keys, underscores or dashes. */
as_status as_options_recipe(as_parsed *p, const struct as_command *command, const char *path, as_arena *arena, as_err *err) AS_CHECKED;
char *as_arena_text(as_arena *a, as_str s); /* NUL-terminated copy, NULL without memory */

#endif
