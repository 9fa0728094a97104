/* commands.c: the whole command line on one screen. */
#include "cli/commands.h"
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "base/file.h"
#include "base/utf8.h"
#include "run/job.h"

// clang-format off
static const as_command table[] = {
    {"info", "[MODEL]", "what a checkpoint is and costs; without MODEL: this machine",
     "Reads the configuration, the tokenizer and the names of the weights, and times one product for the speed.",
     "assay info assets/tiny-bert", "model          tiny-bert (bert, BertForMaskedLM)\nparameters     974,976",
     TAKES_MODEL, 0, 1, as_cmd_info},
    {"tokenize", "MODEL [TEXT...]", "pieces, ids and offsets of texts",
     "Texts are arguments, or the lines of --file. Offsets count characters of the text.",
     "assay tokenize assets/tiny-bert 'Simply a joy.'", "[CLS] simply a joy . [SEP]",
     TAKES_TOKENS | TAKES_LINES | TAKES_CHECK, 1, -1, as_cmd_tokenize},
    {"tokenizer", "FILE... --model M --out DIR", "learns a tokenizer from text: WordPiece, byte-level BPE or Unigram",
     "Files hold one text a line, also .gz and .zst; folders stand for all files in them, - for standard input. The vocabulary is the one "
     "that Hugging Face tokenizers' trainers learn, whatever the number of threads; tokenizer.json is read by that library and by assay.",
     "assay tokenizer corpus.txt --model wordpiece --vocab-size 8000 --out tok", "learned  8,000 pieces (wordpiece, 97 characters to begin with)",
     TAKES_TOKENIZER, 1, -1, as_cmd_tokenizer},
    {"predict", "MODEL [TEXT...]", "what a fine-tuned checkpoint says about texts",
     "Texts are arguments, the lines of --file, or the records of --data.",
     "assay predict finetuned 'Simply a joy.'", "positive  0.9731  Simply a joy.",
     TAKES_TASK | TAKES_MODEL | TAKES_LINES | TAKES_DATA | TAKES_CSV, 1, -1, as_cmd_predict},
    {"fill", "MODEL TEXT...", "the most probable words for each mask",
     "Write the mask as the tokenizer does, [MASK] for BERT.",
     "assay fill bert-mini 'The film was [MASK].'", "0.1204  good",
     TAKES_MODEL | TAKES_TOP, 2, -1, as_cmd_fill},
    {"embed", "MODEL [TEXT...]", "sentence vectors",
     "Pooling and normalisation are the checkpoint's own (1_Pooling, 2_Normalize), else the mean of the tokens.",
     "assay embed all-MiniLM-L6-v2 'A first text' --json", "{\"kind\":\"embedding\",\"text\":\"A first text\",\"dim\":384,\"vector\":[0.0417...]}",
     TAKES_MODEL | TAKES_LINES, 1, -1, as_cmd_embed},
    {"pretrain", "--corpus DIR (--shape S | --config F | --model M) --out DIR", "self-supervised training on text; saves a checkpoint that transformers loads",
     "Masked words, alone or with next-sentence or sentence-order prediction, the next token (GPT-2), or which tokens a generator replaced "
     "(ELECTRA), from a new model or on from a checkpoint. Says time, memory and "
     "FLOPs before it starts; evaluates on held-out text; stops with the last good state when the loss leaves its course. An interrupted command "
     "goes on where it was when it is given again.",
     "assay pretrain --corpus wiki --shape mini --out bert --tokens 20000000", "saved     bert (4,883 steps)",
     TAKES_PRETRAIN | TAKES_RANKS, 0, 0, as_cmd_pretrain},
    {"finetune", "MODEL (--data F | --task T) --out DIR", "supervised training; saves a checkpoint that transformers loads",
     "AdamW with linear warm-up and decay; keeps the checkpoint that is best on the dev data. Says time and memory "
     "before it starts. An interrupted command goes on where it was when it is given again.",
     "assay finetune assets/tiny-bert --data assets/sentiment.csv --out finetuned --steps 100", "saved     finetuned (step 94 of 100)",
     TAKES_TASK | TAKES_MODEL | TAKES_DATA | TAKES_LABEL | TAKES_SPLIT | TAKES_STORE | TAKES_METRIC | TAKES_TRAIN | TAKES_FOLDS | TAKES_RANKS, 1, 1, as_cmd_finetune},
    {"eval", "MODEL... (--data F | --task T)", "scores every item, stores it, prints metrics with intervals",
     "A finished evaluation is printed from the store, an interrupted one goes on.",
     "assay eval finetuned --data assets/sentiment.csv --metric 'accuracy,f1(macro)'", "accuracy  0.9014 [0.878, 0.921]  747",
     TAKES_TASK | TAKES_MODEL | TAKES_DATA | TAKES_LABEL | TAKES_STORE | TAKES_METRIC | TAKES_ITEMS | TAKES_CSV | TAKES_SLICE | TAKES_RANKS, 1, -1, as_cmd_eval},
    {"bench", "MODEL... (--data F | --task T)", "which of these models should I take, how sure is that, at what cost",
     "Fine-tunes each model with each seed, unless it has a trained head for the task; scores data that no training has seen, with "
     "majority, random and bag of words beside them; compares all pairs, and says what the result is worth. scratch:MODEL is a model's "
     "architecture with random weights. What is stored is not "
     "done again, so an interrupted bench goes on.",
     "assay bench assets/tiny-bert --data assets/sentiment.csv --seeds 2", "verdict   bag of words is best: +9.3 points [3.1, 15.8] over tiny-bert",
     TAKES_TASK | TAKES_MODEL | TAKES_DATA | TAKES_LABEL | TAKES_SPLIT | TAKES_STORE | TAKES_METRIC | TAKES_TRAIN | TAKES_BENCH | TAKES_GATE | TAKES_RANKS, 1, -1, as_cmd_bench},
    {"score", "--pred F --gold F", "the same metrics and intervals for predictions made elsewhere",
     "Files with one value a line, or tables with --pred-column and --gold-column. Labels are compared as strings.",
     "assay score --pred pred.txt --gold gold.txt --metric 'accuracy,mcc'", "accuracy  0.8000 [0.490, 0.943]  10",
     TAKES_SCORE | TAKES_METRIC, 0, 0, as_cmd_score},
    {"compare", "RUN RUN...", "paired statistics between stored runs, or predictions in files",
     "Runs are numbers of assay runs; or give --gold G --pred A --pred B. Differences are paired item by item; p values are "
     "adjusted after Holm over all pairs and metrics. --fail-if makes it a gate for a build.",
     "assay compare 1 2 --metric accuracy", "verdict   finetuned is best: +4.4 points [2.5, 6.3] over bert-mini",
     TAKES_COMPARE | TAKES_SCORE | TAKES_RUNS | TAKES_GATE, 0, -1, as_cmd_compare},
    {"diff", "RUN RUN", "the items that changed between two runs, with their texts",
     "Fixed, broken and both wrong, with the true label's probability before and after. Cells of a bench are 12.1, 12.2.",
     "assay diff 12.1 12.2 --only broken", "broken  17  positive  positive > negative  0.81 > 0.32  Not a bad film at all",
     TAKES_RUNS | TAKES_DIFF, 2, 2, as_cmd_diff},
    {"report", "RUN... [-o F.html]", "one self-contained page from stored runs",
     "Verdict, scores, costs, learning curves, confusion, calibration, slices, errors and provenance, without anything from the network; "
     "also as Markdown, LaTeX, CSV, JSON Lines and lm-evaluation-harness' files. A bench stands for all its cells; runs of one model are its seeds.",
     "assay report 12 -o sst2.html", "written   sst2.html",
     TAKES_RUNS | TAKES_REPORT | TAKES_METRIC, 1, -1, as_cmd_report},
    {"tasks", "[TASK...]", "what can be evaluated by name: data, labels and metrics of known benchmarks",
     "Lists the built-in tasks with the items of each part of their data, where that is found (- where not, * where labels are not public); "
     "with names, or paths of YAML files, says all about these.",
     "assay tasks sst2", "task       sst2",
     TAKES_FILES, 0, -1, as_cmd_tasks},
    {"data", "corpus INPUT... | show DIR | verify DIR | contamination CORPUS [TASK]", "text for pre-training: clean, without duplicates, as token ids",
     "`corpus` reads files, folders or - (text, JSONL, CSV, Parquet, .gz, .zst), cleans them, drops duplicates, and writes token ids into shards "
     "under --out; every rule counts what it took. An interrupted command goes on when it is given again. `show` prints the counts, `verify` checks "
     "the digests, `contamination` finds evaluation items that stand in a corpus.",
     "assay data corpus texts/ --tokenizer assets/tiny-bert --out corpus --heldout 0.01", "train     18,304  41,870  2,051,910",
     TAKES_CORPUS | TAKES_DATA | TAKES_TASK | TAKES_ITEMS, 1, -1, as_cmd_data},
    {"pull", "REPO[@REV]", "fetch a model or a data set from the Hub into the local cache",
     "REPO is ORG/NAME. Fetches configuration, tokenizer and weights (safetensors, else pytorch_model.bin), checks length and checksum of "
     "each file, and goes on where an earlier pull was cut. Afterwards the id stands for the model everywhere. No other command touches "
     "the network.",
     "assay pull sentence-transformers/all-MiniLM-L6-v2", "pulled  sentence-transformers/all-MiniLM-L6-v2, revision main, commit c9745ed1d9f2",
     TAKES_PULL, 1, 1, as_cmd_pull},
    {"runs", "[show RUN | rm RUN...]", "what is stored",
     "Lists the runs, newest last; `show RUN` prints one with its metrics and configuration; `rm RUN...` deletes.",
     "assay runs show 12", "run 12  eval  finetuned on sentiment.csv  done",
     TAKES_RUNS, 0, -1, as_cmd_runs},
};
// clang-format on

size_t as_command_table(const as_command **rows) {
    *rows = table;
    return AS_COUNT(table);
}
const as_command *as_command_find(const char *name) {
    for (size_t i = 0; i < AS_COUNT(table); i++)
        if (strcmp(table[i].name, name) == 0) return &table[i];
    return NULL;
}

/* --- standard error --- */
static void write_log(void *ctx, as_level level, const char *line) {
    const as_cli *c = ctx;
    if (c->p.o.quiet && level >= AS_INFO) return;
    const char *const prefix = level == AS_WARN ? "warning: " : level == AS_ERROR ? "error: " : "";
    const bool bold = c->colour && level <= AS_WARN;
    fprintf(stderr, "%s%s%s%s\n", bold ? "\033[1;33m" : "", prefix, bold ? "\033[0m" : "", line);
}
static int report(const as_cli *c, as_status s, const as_err *err) {
    if (s == AS_OK) return 0;
    if (c->silent) {
        /* A launcher ends the other processes when one has failed: the one that tells must not be cut off. */
        if (!c->comm) nanosleep(&(struct timespec){.tv_nsec = 300000000}, NULL);
        return (int)s;
    }
    if (c->out.gone) return 128 + SIGPIPE; /* what a shell reports of a writer whose reader has gone */
    if (err->msg[0]) fprintf(stderr, "%sassay:%s %s\n", c->colour ? "\033[1;31m" : "", c->colour ? "\033[0m" : "", err->msg);
    if (err->hint[0]) fprintf(stderr, "hint: %s\n", err->hint);
    return (int)s;
}
static bool wants_colour(void) {
    const char *no = getenv("NO_COLOR"), *term = getenv("TERM");
    return isatty(2) == 1 && !(no && *no) && term && strcmp(term, "dumb") != 0;
}

/* --- signals --- */
static void on_stop(int signal_number) {
    (void)signal_number;
    if (as_interrupted()) _exit(130);
    as_interrupt();
}
static void set_signals(void) {
    struct sigaction stop = {.sa_handler = on_stop}, ignore = {.sa_handler = SIG_IGN};
    sigemptyset(&stop.sa_mask);
    sigemptyset(&ignore.sa_mask);
    (void)sigaction(SIGINT, &stop, NULL);
    (void)sigaction(SIGTERM, &stop, NULL);
    /* A closed pipe and a file-size limit come back from write() as errors, with a place and a name. */
    (void)sigaction(SIGPIPE, &ignore, NULL);
    (void)sigaction(SIGXFSZ, &ignore, NULL);
}

/* A stream that the caller closed must not become the next file that is opened: results would go into the store. What
 * stands in fails to be used, as the closed one would. */
static void hold_streams(void) {
    for (int fd = 0; fd <= 2; fd++)
        if (fcntl(fd, F_GETFD) < 0) (void)!open("/dev/null", fd == 1 ? O_RDONLY : O_WRONLY);
}

static as_status unknown_command(const char *name, as_err *err) {
    const char *names[AS_COUNT(table)];
    for (size_t i = 0; i < AS_COUNT(table); i++) names[i] = table[i].name;
    const int near = as_nearest(name, names, AS_COUNT(table));
    (void)as_fail(err, AS_USAGE, "unknown command \"%.64s\"", name);
    if (near >= 0)
        as_hint(err, "Did you mean %s? assay --help lists the commands.", names[near]);
    else
        as_hint(err, "assay --help lists the commands.");
    return AS_USAGE;
}

static as_status check_arguments(const as_cli *c, const as_command *command, as_err *err) {
    const int n = c->p.arg_count;
    if (n >= command->least && (command->most < 0 || n <= command->most)) return AS_OK;
    if (n < command->least && n == 0)
        (void)as_fail(err, AS_USAGE, "%s needs an argument", command->name);
    else if (n < command->least)
        (void)as_fail(err, AS_USAGE, "%s needs one more argument", command->name);
    else
        (void)as_fail(err, AS_USAGE, "%s: one argument too many: \"%.64s\"", command->name, c->p.args[command->most]);
    as_hint(err, "Usage: assay %s %s", command->name, command->args);
    return AS_USAGE;
}

/* What stands where a command could: --help, --version, --man, --completion SHELL. */
static as_status run_global(as_cli *c, int argc, char **argv, as_err *err) {
    const char *what = argc < 2 ? "--help" : argv[1];
    if (strcmp(what, "--version") == 0) {
        as_buf_fmt(&c->out.buf, "assay %s\n", AS_VERSION);
    } else if (strcmp(what, "--help") == 0 || strcmp(what, "-h") == 0 || strcmp(what, "help") == 0) {
        const as_command *command = argc > 2 ? as_command_find(argv[2]) : NULL;
        if (argc > 2 && !command) return unknown_command(argv[2], err);
        if (command)
            as_help_command(&c->out.buf, command);
        else
            as_help_all(&c->out.buf);
    } else if (strcmp(what, "--man") == 0) {
        as_help_man(&c->out.buf);
    } else if (strcmp(what, "--completion") == 0) {
        return as_completion(&c->out.buf, argc > 2 ? argv[2] : "", err);
    } else if (what[0] == '-') {
        (void)as_fail(err, AS_USAGE, "unknown option %.64s", what);
        as_hint(err, "Before a command there are --help, --version, --man and --completion SHELL.");
        return AS_USAGE;
    } else {
        return unknown_command(what, err);
    }
    return argc < 2 ? AS_USAGE : AS_OK;
}

/* --- several processes --- */
/* All but the first work in silence, and write no file of their own. */
static void mute(as_cli *c) {
    as_options *o = &c->p.o;
    const int fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
    if (fd >= 0) c->out.fd = fd;
    c->log = (as_log){0};
    o->quiet = true;
    o->csv = o->junit = o->markdown = NULL;
}

static as_status on_ranks(as_cli *c, const as_command *command, as_err *err) {
    const as_status s = as_comm_open(&c->comm, err);
    if (s == AS_IO) c->silent = false; /* the machine of this rank lacks something: nobody else can tell */
    AS_TRY(s);
    if (!c->comm) return command->run(c, err);
    if (!as_comm_leads(c->comm)) mute(c);
    if (c->p.o.data && strcmp(c->p.o.data, "-") == 0) {
        (void)as_fail(err, AS_USAGE, "--data -: several processes cannot share the standard input");
        as_hint(err, "Give a file that all of them can read.");
        return AS_USAGE;
    }
    return command->run(c, err);
}

/* Who tells of a failure, when each process may know of it. */
static void meet(as_cli *c, as_status s, bool *lost) {
    *lost = false;
    if (c->comm) c->silent = !as_comm_meet(c->comm, s, lost);
}

static as_status run_command(as_cli *c, const as_command *command, int argc, char **argv, as_err *err) {
    AS_TRY(as_options_parse(&c->p, command, argc, argv, &c->arena, err));
    if (c->p.o.help) {
        as_help_command(&c->out.buf, command);
        return AS_OK;
    }
    AS_TRY(check_arguments(c, command, err));
    return command->takes & TAKES_RANKS ? on_ranks(c, command, err) : command->run(c, err);
}

/* The words that were typed, to be typed again and to be stored: absolute paths, which are this machine's, as their last part. */
static void put_word(as_buf *b, const char *word) {
    const char *value = word[0] == '-' ? strchr(word, '=') : NULL; /* --data=/home/me/a.csv */
    const char *path = value ? value + 1 : strncmp(word, "scratch:", 8) == 0 ? word + 8 : word;
    as_buf shown = {0};
    as_buf_add(&shown, word, (size_t)(path - word));
    const size_t end = strlen(path);
    as_buf_str(&shown, path[0] == '/' && end > 1 && path[end - 1] != '/' ? as_path_base(path) : path);
    const char *s = shown.p ? shown.p : "";
    if (*s && s[strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_=+.,:/@%")] == '\0') {
        as_buf_str(b, s);
    } else {
        as_buf_char(b, '\'');
        for (; *s; s++)
            if (*s == '\'') as_buf_str(b, "'\\''");
            else as_buf_char(b, *s);
        as_buf_char(b, '\'');
    }
    as_buf_free(&shown);
}
static const char *typed(as_cli *c, int argc, char **argv) {
    as_buf b = {0}, valid = {0};
    as_buf_str(&b, "assay");
    for (int i = 1; i < argc; i++) as_buf_char(&b, ' '), put_word(&b, argv[i]);
    (void)as_utf8_lossy(&valid, as_buf_view(&b));
    const char *line = b.failed || valid.failed ? NULL : as_arena_text(&c->arena, as_buf_view(&valid));
    as_buf_free(&b), as_buf_free(&valid);
    return line;
}

int as_cli_main(int argc, char **argv) {
    as_err err = {.status = AS_OK};
    as_cli c = {.colour = wants_colour()};
    const as_launch launch = as_launch_detect();
    c.log = (as_log){write_log, &c};
    as_arena_init(&c.arena, 0);
    as_out_init(&c.out, 1);
    c.line = typed(&c, argc, argv);
    hold_streams();
    set_signals();
    const as_command *command = argc > 1 ? as_command_find(argv[1]) : NULL;
    c.silent = launch.rank > 0;
    as_status s = AS_OK;
    if (command ? launch.rank == 0 || command->takes & TAKES_RANKS : launch.rank == 0)
        s = command ? run_command(&c, command, argc - 2, argv + 2, &err) : run_global(&c, argc, argv, &err);
    /* What was printed before a failure is true: it goes out, unless writing is what failed. */
    as_err late = {.status = AS_OK};
    const as_status flushed = as_out_flush(&c.out, true, &late);
    if (s == AS_OK && flushed != AS_OK) s = flushed, err = late;
    bool lost;
    meet(&c, s, &lost);
    const int code = report(&c, s, &err);
    if (lost) as_comm_abort(c.comm, code);
    as_comm_free(c.comm);
    as_out_deinit(&c.out);
    as_arena_deinit(&c.arena);
    return code;
}
