#include "cli/options.h"
#include "cli/commands.h"
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#define AT(field) offsetof(as_options, field)
#define BIG 9.0e15 /* whole numbers up to here are exact */

// clang-format off
static const as_option table[] = {
    /* --- data --- */
    {"data", "FILE", NULL, "table to read: CSV, TSV, JSONL, Parquet, also .gz and .zst; - is standard input", GROUP_DATA, TAKES_DATA, OPTION_TEXT, AT(data), 0, 0},
    {"task", "TASK", NULL, "a task of assay tasks, or a task's YAML file: gives data, columns, labels and metrics that are not given here; bench: several, A,B", GROUP_DATA, TAKES_TASK, OPTION_TEXT, AT(task), 0, 0},
    {"split", "train|dev|test", "by the command", "part of the task's data to work on; bench: to score", GROUP_DATA, TAKES_TASK, OPTION_CHOICE, AT(split), 0, 0},
    {"data-dir", "DIR", "$ASSAY_DATA, else the Hub cache", "folder of the task's data", GROUP_DATA, TAKES_TASK | TAKES_FILES, OPTION_TEXT, AT(data_dir), 0, 0},
    {"file", "FILE", NULL, "texts to read, one a line; - is standard input", GROUP_DATA, TAKES_LINES, OPTION_TEXT, AT(file), 0, 0},
    {"file", "PATTERN", "what assay reads", "files to fetch, with * and ?; repeatable", GROUP_DATA, TAKES_PULL, OPTION_TEXTS, AT(pull_files), 0, 0},
    {"revision", "REV", "main", "branch, tag or commit; also REPO@REV", GROUP_DATA, TAKES_PULL, OPTION_TEXT, AT(revision), 0, 0},
    {"dataset", NULL, NULL, "REPO is a data set; without --file all of it but scripts", GROUP_DATA, TAKES_PULL, OPTION_FLAG, AT(dataset), 0, 0},
    {"keep-cr", NULL, NULL, "a carriage return at the end of a line belongs to the text", GROUP_DATA, TAKES_LINES, OPTION_FLAG, AT(keep_cr), 0, 0},
    {"text", "COL", "text", "column of the text: its name, or its number from 1", GROUP_DATA, TAKES_DATA, OPTION_TEXT, AT(text), 0, 0},
    {"pair", "COL", NULL, "column of a second text", GROUP_DATA, TAKES_DATA, OPTION_TEXT, AT(pair), 0, 0},
    {"label", "COL", "label", "column of the label", GROUP_DATA, TAKES_LABEL, OPTION_TEXT, AT(label), 0, 0},
    {"id", "COL", "record number from 0", "column of the stable id", GROUP_DATA, TAKES_DATA, OPTION_TEXT, AT(id), 0, 0},
    {"cluster", "COL", NULL, "column of items that belong together; they stay on one side of a split", GROUP_DATA, TAKES_LABEL, OPTION_TEXT, AT(cluster), 0, 0},
    {"slice", "COL", NULL, "report the groups of this column, of @label or of @length; repeatable. diff: of a column that eval noted", GROUP_DATA, TAKES_SLICE | TAKES_DIFF, OPTION_TEXTS, AT(slices), 0, 0},
    {"sep", "CHAR", ", or tab by the file's name", "separator of the columns", GROUP_DATA, TAKES_DATA | TAKES_SCORE, OPTION_TEXT, AT(sep), 0, 0},
    {"max-split", "N", NULL, "cut at the first N separators only; the rest is the last column", GROUP_DATA, TAKES_DATA | TAKES_SCORE, OPTION_INT, AT(max_split), 1, 1e6},
    {"no-quotes", NULL, NULL, "a quote is an ordinary character (TSV as GLUE has it)", GROUP_DATA, TAKES_DATA | TAKES_SCORE, OPTION_FLAG, AT(no_quotes), 0, 0},
    {"no-header", NULL, NULL, "the first line is data; columns are numbers from 1", GROUP_DATA, TAKES_DATA | TAKES_SCORE, OPTION_FLAG, AT(no_header), 0, 0},
    {"columns", "A,B", NULL, "names for the columns of a file without a header line", GROUP_DATA, TAKES_DATA | TAKES_SCORE, OPTION_TEXT, AT(columns), 0, 0},
    {"encoding", "utf-8|latin-1|utf-8-lossy", "utf-8", "of the input; utf-8-lossy replaces what is invalid", GROUP_DATA, TAKES_DATA | TAKES_LINES | TAKES_SCORE | TAKES_TOKENIZER, OPTION_CHOICE, AT(encoding), 0, 0},
    {"labels", "A,B,C", "the checkpoint's, else sorted", "label names in id order", GROUP_DATA, TAKES_LABEL | TAKES_SCORE, OPTION_TEXT, AT(labels), 0, 0},
    {"kind", "classify|multilabel|regress", "classify", "what the label is; multilabel cells are split at ; or are JSON lists", GROUP_DATA, TAKES_LABEL | TAKES_SCORE, OPTION_CHOICE, AT(kind), 0, 0},
    {"positive", "LABEL", "the second label", "positive class of binary metrics", GROUP_DATA, TAKES_METRIC | TAKES_COMPARE, OPTION_TEXT, AT(positive), 0, 0},
    {"limit", "N", NULL, "the first N records only; diff: items shown", GROUP_DATA, TAKES_DATA | TAKES_SCORE | TAKES_DIFF, OPTION_INT, AT(limit), 1, BIG},
    {"dev", "FILE", NULL, "data to evaluate on while training", GROUP_DATA, TAKES_SPLIT, OPTION_TEXT, AT(dev), 0, 0},
    {"dev-fraction", "X", NULL, "without --dev: share of the data to hold out; 0 = none", GROUP_DATA, TAKES_SPLIT, OPTION_REAL, AT(dev_fraction), 0, 0.9},
    {"eval-data", "FILE", NULL, "data that only the final scores see", GROUP_DATA, TAKES_BENCH, OPTION_TEXT, AT(eval_data), 0, 0},
    {"test-fraction", "X", NULL, "without --eval-data: share of the data to hold out for the final scores", GROUP_DATA, TAKES_BENCH, OPTION_REAL, AT(test_fraction), 0.001, 0.9},
    {"pred", "FILE", NULL, "predictions: one a line, or a table with --pred-column; compare takes several", GROUP_DATA, TAKES_SCORE, OPTION_TEXTS, AT(preds), 0, 0},
    {"gold", "FILE", "the file of --pred", "true labels: one a line, or a table with --gold-column", GROUP_DATA, TAKES_SCORE, OPTION_TEXT, AT(gold), 0, 0},
    {"pred-column", "COL", NULL, "column of the prediction", GROUP_DATA, TAKES_SCORE, OPTION_TEXT, AT(pred_column), 0, 0},
    {"gold-column", "COL", NULL, "column of the true label", GROUP_DATA, TAKES_SCORE, OPTION_TEXT, AT(gold_column), 0, 0},
    {"probs-column", "COL", NULL, "column of probabilities: JSON lists in label order, or objects by label", GROUP_DATA, TAKES_SCORE, OPTION_TEXT, AT(probs_column), 0, 0},
    {"check", "IDS.jsonl", NULL, "compare with stored ids, one object a line; status 1 and the first difference", GROUP_DATA, TAKES_CHECK, OPTION_TEXT, AT(check), 0, 0},
    /* --- corpora --- */
    {"tokenizer", "DIR", NULL, "checkpoint folder, or id in the local cache, whose tokenizer cuts the text", GROUP_DATA, TAKES_CORPUS, OPTION_TEXT, AT(tokenizer), 0, 0},
    {"doc", "blank|line|file", "blank", "in text files a document ends at a blank line, or is a line, or a file", GROUP_DATA, TAKES_CORPUS, OPTION_CHOICE, AT(doc), 0, 0},
    {"rules", "none|basic|gopher", "basic", "which rules take text out; docs/corpus.md lists them", GROUP_DATA, TAKES_CORPUS, OPTION_CHOICE, AT(rules), 0, 0},
    {"rule", "NAME=VALUE", NULL, "set one rule, or turn it off: min-words=20, near=off; repeatable", GROUP_DATA, TAKES_CORPUS, OPTION_TEXTS, AT(rule), 0, 0},
    {"lang", "LIST", "all", "languages that stay, by characters: en,zh; others are ar, de, es, fr, ja, ro, ru, other", GROUP_DATA, TAKES_CORPUS, OPTION_TEXT, AT(lang), 0, 0},
    {"heldout", "X", NULL, "share of documents to keep apart for evaluation, by a hash of their text", GROUP_DATA, TAKES_CORPUS, OPTION_REAL, AT(heldout), 0, 0.9},
    {"shard-tokens", "N", "33554432", "tokens after which a shard is closed", GROUP_WORK, TAKES_CORPUS, OPTION_INT, AT(shard_tokens), 1, 1e10},
    {"run", "RUN", NULL, "contamination: a stored run, scored on clean and on contaminated items", GROUP_DATA, TAKES_CORPUS, OPTION_TEXT, AT(run), 0, 0},
    {"ngram", "N", "5th percentile of the items' words, 8 to 13", "contamination: words in a row that an item must share", GROUP_WORK, TAKES_CORPUS, OPTION_INT, AT(ngram), 1, 13},
    /* --- work --- */
    {"threads", "N", "all cores", "threads; results do not depend on them", GROUP_WORK, TAKES_MODEL | TAKES_TOKENS | TAKES_METRIC | TAKES_COMPARE | TAKES_TOKENIZER | TAKES_PRETRAIN | TAKES_CORPUS, OPTION_INT, AT(threads), 1, 4096},
    {"isa", "LEVEL", "the machine's best", "highest instruction set: portable, avx2, avx512, avx512-bf16", GROUP_WORK, TAKES_MODEL | TAKES_PRETRAIN, OPTION_TEXT, AT(isa), 0, 0},
    {"dtype", "f32|bf16", "f32", "numbers that matrix products read", GROUP_WORK, TAKES_MODEL | TAKES_PRETRAIN, OPTION_CHOICE, AT(dtype), 0, 0},
    {"batch-tokens", "N", "256", "tokens that run together; results do not depend on it", GROUP_WORK, TAKES_MODEL, OPTION_INT, AT(batch_tokens), 1, 1e9},
    {"max-length", "N", "what the checkpoint allows", "longest text in tokens; what is longer is cut, and counted", GROUP_WORK, TAKES_MODEL | TAKES_TOKENS, OPTION_INT, AT(max_length), 2, 1e9},
    {"seed", "N", NULL, "of training, of a fresh head, of intervals", GROUP_WORK, TAKES_TRAIN | TAKES_METRIC | TAKES_COMPARE | TAKES_PRETRAIN | TAKES_CORPUS, OPTION_INT, AT(seed), 0, BIG},
    {"db", "FILE", NULL, "where runs and items are stored", GROUP_WORK, TAKES_STORE | TAKES_RUNS | TAKES_PRETRAIN | TAKES_CORPUS, OPTION_TEXT, AT(db), 0, 0},
    {"again", NULL, NULL, "compute anew what is stored", GROUP_WORK, TAKES_STORE | TAKES_PRETRAIN | TAKES_CORPUS, OPTION_FLAG, AT(again), 0, 0},
    {"metric", "LIST", "those of the kind", "metrics, separated by commas: accuracy,f1(macro)", GROUP_WORK, TAKES_METRIC | TAKES_COMPARE | TAKES_CORPUS, OPTION_TEXT, AT(metric), 0, 0},
    {"level", "PERCENT", NULL, "confidence level of the intervals", GROUP_WORK, TAKES_METRIC | TAKES_COMPARE | TAKES_PRETRAIN | TAKES_CORPUS, OPTION_REAL, AT(level), 1, 99.999},
    {"margin", "X", NULL, "also test equivalence and non-inferiority within this much of the metric", GROUP_WORK, TAKES_COMPARE | TAKES_BENCH, OPTION_REAL, AT(margin), 0, 1e9},
    {"test", "mcnemar|mid-p|permutation|bootstrap|t", "mcnemar for shares, else permutation", "test of means of per-item scores", GROUP_WORK, TAKES_COMPARE, OPTION_CHOICE, AT(test), 0, 0},
    {"all-tests", NULL, NULL, "the same pairs by other methods, too: every paired test, Benjamini-Hochberg, Bayesian sign test, almost stochastic order, multi-bootstrap, Bradley-Terry", GROUP_WORK, TAKES_COMPARE | TAKES_BENCH, OPTION_FLAG, AT(all_tests), 0, 0},
    {"fail-if", "EXPR", NULL, "status 1 if it holds: \"accuracy(new) < accuracy(old) - 0.01 at 95%\"; or \"unless ...\": if it does not; old is the first, new the last", GROUP_WORK, TAKES_GATE, OPTION_TEXT, AT(fail_if), 0, 0},
    {"until", "X", NULL, "score in random order and stop when the metric is known to +- X, validly; one share as --metric", GROUP_WORK, TAKES_SLICE, OPTION_REAL, AT(until), 0.0001, 0.5},
    {"calibrate", "FILE", NULL, "labelled data of the same columns to fit a temperature and conformal sets on: what are the probabilities worth?", GROUP_WORK, TAKES_SLICE, OPTION_TEXT, AT(calibrate), 0, 0},
    {"perturb", "LIST", NULL, "score perturbed texts too: all, or typo-swap, typo-delete, typo-insert, case-lower, case-upper, punctuation-strip, whitespace, word-drop, word-swap", GROUP_WORK, TAKES_SLICE, OPTION_TEXT, AT(perturb), 0, 0},
    {"strength", "X", "0.1; 1 for case and punctuation", "share of the words that --perturb changes, at least one of a text", GROUP_WORK, TAKES_SLICE, OPTION_REAL, AT(strength), 0.001, 1},
    {"ci", "wilson|clopper-pearson|bca|percentile", "wilson for shares, else bca", "method of the intervals", GROUP_WORK, TAKES_METRIC, OPTION_CHOICE, AT(ci), 0, 0},
    {"top", "N", NULL, "words to show for each mask", GROUP_WORK, TAKES_TOP, OPTION_INT, AT(top), 1, 1000},
    {"recipe", "FILE", NULL, "YAML file with any options as keys; the command line wins", GROUP_WORK, TAKES_ALWAYS, OPTION_TEXT, AT(recipe), 0, 0},
    /* --- training --- */
    {"out", "PATH", NULL, "folder for checkpoints; one that holds another run's result is refused. report: the page; also -o", GROUP_WORK, TAKES_TRAIN | TAKES_REPORT | TAKES_PRETRAIN, OPTION_TEXT, AT(out), 0, 0},
    {"out", "DIR", NULL, "folder for tokenizer.json and the files beside it; it must be empty or not exist; also -o", GROUP_WORK, TAKES_TOKENIZER, OPTION_TEXT, AT(out), 0, 0},
    {"out", "DIR", NULL, "folder for the corpus; one that holds another is refused; also -o", GROUP_WORK, TAKES_CORPUS, OPTION_TEXT, AT(out), 0, 0},
    {"dry-run", NULL, NULL, "print time and memory, and do nothing", GROUP_WORK, TAKES_TRAIN | TAKES_SLICE | TAKES_PRETRAIN, OPTION_FLAG, AT(dry_run), 0, 0},
    {"folds", "N", NULL, "cross-validate with N fresh trainings; saves no checkpoint", GROUP_TRAINING, TAKES_FOLDS, OPTION_INT, AT(folds), 2, 1000},
    {"seeds", "K", NULL, "trainings of each model: seed, seed + 1, ...", GROUP_TRAINING, TAKES_BENCH, OPTION_INT, AT(seeds), 1, 1000},
    {"search", "N", NULL, "learning rates to try for each model, on the dev data alone", GROUP_TRAINING, TAKES_BENCH, OPTION_INT, AT(search), 1, 8},
    {"no-baselines", NULL, NULL, "leave majority, random and bag of words out", GROUP_TRAINING, TAKES_BENCH, OPTION_FLAG, AT(no_baselines), 0, 0},
    {"scratch", NULL, NULL, "begin with random weights", GROUP_TRAINING, TAKES_FOLDS, OPTION_FLAG, AT(scratch), 0, 0},
    {"epochs", "X", NULL, "passes over the data", GROUP_TRAINING, TAKES_TRAIN, OPTION_REAL, AT(train.epochs), 1e-6, 1e6},
    {"steps", "N", NULL, "optimiser steps, in place of --epochs", GROUP_TRAINING, TAKES_TRAIN | TAKES_PRETRAIN, OPTION_INT, AT(train.steps), 1, BIG},
    {"batch-size", "N", NULL, "items in a batch", GROUP_TRAINING, TAKES_TRAIN, OPTION_INT, AT(train.batch_size), 1, 1e6},
    {"accumulate", "N", NULL, "batches in an optimiser step", GROUP_TRAINING, TAKES_TRAIN | TAKES_PRETRAIN, OPTION_INT, AT(train.accumulate), 1, 1e6},
    {"grad-shards", "N", "by model and batch size", "shards that a batch's gradient is summed from; part of the recipe", GROUP_TRAINING, TAKES_TRAIN | TAKES_PRETRAIN, OPTION_INT, AT(train.grad_shards), 1, 4096},
    {"lr", "X", NULL, "highest learning rate", GROUP_TRAINING, TAKES_TRAIN, OPTION_REAL, AT(train.lr), 0, 10},
    {"schedule", "linear|cosine|constant|wsd", "linear", "of the learning rate after the warm-up", GROUP_TRAINING, TAKES_TRAIN | TAKES_PRETRAIN, OPTION_CHOICE, AT(schedule), 0, 0},
    {"warmup", "X", NULL, "share of the steps, or steps when above 1", GROUP_TRAINING, TAKES_TRAIN | TAKES_PRETRAIN, OPTION_REAL, AT(train.warmup), 0, BIG},
    {"weight-decay", "X", NULL, "AdamW's, not on biases and norms", GROUP_TRAINING, TAKES_TRAIN | TAKES_PRETRAIN, OPTION_REAL, AT(train.weight_decay), 0, 10},
    {"clip", "X", NULL, "largest norm of the gradient; 0 = no clipping", GROUP_TRAINING, TAKES_TRAIN | TAKES_PRETRAIN, OPTION_REAL, AT(train.clip), 0, 1e9},
    {"dropout", "X", "the checkpoint's", "dropout at every site", GROUP_TRAINING, TAKES_TRAIN | TAKES_PRETRAIN, OPTION_REAL, AT(train.dropout), 0, 0.99},
    {"freeze", "PATTERNS", NULL, "weights that stay as they are: names with * and ?, separated by commas", GROUP_TRAINING, TAKES_TRAIN | TAKES_PRETRAIN, OPTION_TEXT, AT(train.freeze), 0, 0},
    {"layer-decay", "X", NULL, "factor of the learning rate from each layer to the one below", GROUP_TRAINING, TAKES_TRAIN | TAKES_PRETRAIN, OPTION_REAL, AT(train.layer_decay), 1e-6, 1},
    {"class-weights", "LIST", NULL, "of the loss: balanced, or numbers in label order", GROUP_TRAINING, TAKES_TRAIN, OPTION_TEXT, AT(train.class_weights), 0, 0},
    {"label-smoothing", "X", NULL, "share of the target that goes to all classes alike", GROUP_TRAINING, TAKES_TRAIN, OPTION_REAL, AT(train.label_smoothing), 0, 0.999},
    {"eval-every", "N", "each epoch", "steps between evaluations", GROUP_TRAINING, TAKES_TRAIN, OPTION_INT, AT(train.eval_every), 1, BIG},
    {"select", "METRIC", "the first metric", "what picks the checkpoint: a metric, loss, or last", GROUP_TRAINING, TAKES_TRAIN, OPTION_TEXT, AT(train.select), 0, 0},
    {"patience", "N", NULL, "stop after N evaluations without improvement", GROUP_TRAINING, TAKES_TRAIN, OPTION_INT, AT(train.patience), 1, 1e9},
    {"checkpoint-every", "MINUTES", NULL, "how much training a crash may cost", GROUP_TRAINING, TAKES_TRAIN | TAKES_PRETRAIN, OPTION_REAL, AT(train.checkpoint_minutes), 0, 1e6},
    /* --- tokenizer --- */
    {"model", "wordpiece|bpe|unigram", NULL, "what to learn: as BERT has it, GPT-2 and RoBERTa (byte-level), T5 and ALBERT", GROUP_TRAINING, TAKES_TOKENIZER, OPTION_CHOICE, AT(token_model), 0, 0},
    {"vocab-size", "N", "30000; 8000 for unigram", "pieces in all, special tokens included", GROUP_TRAINING, TAKES_TOKENIZER, OPTION_INT, AT(vocab_size), 1, 16777215},
    {"min-frequency", "N", "0", "how often a pair must occur to become a piece (wordpiece, bpe)", GROUP_TRAINING, TAKES_TOKENIZER, OPTION_INT, AT(min_frequency), 0, BIG},
    {"special", "A,B,C", "the model family's", "special tokens: they get the first ids", GROUP_TRAINING, TAKES_TOKENIZER, OPTION_TEXT, AT(special), 0, 0},
    {"case", "lower|keep", "lower for wordpiece", "what becomes of capital letters", GROUP_TRAINING, TAKES_TOKENIZER, OPTION_CHOICE, AT(letter_case), 0, 0},
    {"accents", "strip|keep", "strip with lower case", "what becomes of accents", GROUP_TRAINING, TAKES_TOKENIZER, OPTION_CHOICE, AT(accents), 0, 0},
    {"limit-alphabet", "N", NULL, "keep the N most frequent characters only (wordpiece, bpe)", GROUP_TRAINING, TAKES_TOKENIZER, OPTION_INT, AT(limit_alphabet), 1, 1e7},
    {"alphabet", "CHARS", NULL, "characters that become pieces even if no text holds them", GROUP_TRAINING, TAKES_TOKENIZER, OPTION_TEXT, AT(alphabet), 0, 0},
    {"max-piece", "N", "none; 16 for unigram", "longest piece in characters", GROUP_TRAINING, TAKES_TOKENIZER, OPTION_INT, AT(max_piece), 1, 1e6},
    {"prefix-space", NULL, NULL, "bpe: a text begins as if a blank stood before it", GROUP_TRAINING, TAKES_TOKENIZER, OPTION_FLAG, AT(prefix_space), 0, 0},
    {"line-ends", NULL, NULL, "the end of a line belongs to its text, as Tokenizer.train(files) has it", GROUP_DATA, TAKES_TOKENIZER, OPTION_FLAG, AT(line_ends), 0, 0},
    /* --- pre-training --- */
    {"corpus", "PATH", NULL, "folders made by assay data corpus, or texts to make one of in OUT/corpus; repeatable", GROUP_DATA, TAKES_PRETRAIN, OPTION_TEXTS, AT(corpora), 0, 0},
    {"tokenizer", "DIR", "the corpus', or the model's", "folder of the tokenizer", GROUP_DATA, TAKES_PRETRAIN, OPTION_TEXT, AT(tokenizer), 0, 0},
    {"shape", "tiny|mini|small|base", NULL, "a new BERT (clm: GPT-2; rtd: ELECTRA): 2 layers of 128, 4 of 256, 4 of 512, 12 of 768", GROUP_TRAINING, TAKES_PRETRAIN, OPTION_CHOICE, AT(shape), 0, 0},
    {"config", "FILE", NULL, "a new model of this config.json", GROUP_TRAINING, TAKES_PRETRAIN, OPTION_TEXT, AT(config), 0, 0},
    {"model", "MODEL", NULL, "go on from this checkpoint", GROUP_TRAINING, TAKES_PRETRAIN, OPTION_TEXT, AT(from), 0, 0},
    {"objective", "NAME", NULL, "mlm, mlm+nsp (next sentence), mlm+sop (sentence order), clm (next token), rtd (replaced tokens)", GROUP_TRAINING, TAKES_PRETRAIN, OPTION_TEXT, AT(objective), 0, 0},
    {"max-length", "N", "128", "tokens of a row: one document, a part of one, or several short ones apart", GROUP_TRAINING, TAKES_PRETRAIN, OPTION_INT, AT(max_length), 4, 1e9},
    {"mask-share", "X", NULL, "share of the tokens that are masked", GROUP_TRAINING, TAKES_PRETRAIN, OPTION_REAL, AT(mask_share), 0.001, 0.9},
    {"whole-words", NULL, NULL, "mask all pieces of a word or none", GROUP_TRAINING, TAKES_PRETRAIN, OPTION_FLAG, AT(whole_words), 0, 0},
    {"tokens", "N", NULL, "train on so many tokens, in place of --steps and --epochs", GROUP_TRAINING, TAKES_PRETRAIN, OPTION_INT, AT(tokens), 1, BIG},
    {"epochs", "X", "1", "passes over the corpus", GROUP_TRAINING, TAKES_PRETRAIN, OPTION_REAL, AT(train.epochs), 1e-6, 1e6},
    {"batch-size", "N", "32", "rows in a batch", GROUP_TRAINING, TAKES_PRETRAIN, OPTION_INT, AT(train.batch_size), 1, 1e6},
    {"batch-warmup", "N", NULL, "steps over which the batch grows from an eighth", GROUP_TRAINING, TAKES_PRETRAIN, OPTION_INT, AT(train.batch_warmup), 0, BIG},
    {"lr", "X", "0.0005", "highest learning rate", GROUP_TRAINING, TAKES_PRETRAIN, OPTION_REAL, AT(train.lr), 0, 10},
    {"eval-every", "N", "a tenth of the steps", "steps between evaluations on held-out text", GROUP_TRAINING, TAKES_PRETRAIN, OPTION_INT, AT(train.eval_every), 1, BIG},
    {"pseudo-perplexity", "N", NULL, "score N held-out sequences at the end, each token masked in turn", GROUP_TRAINING, TAKES_PRETRAIN, OPTION_INT, AT(pseudo), 1, 1e9},
    {"recompute", NULL, NULL, "compute activations again in the backward pass: the same bits in less memory", GROUP_TRAINING, TAKES_PRETRAIN, OPTION_FLAG, AT(recompute), 0, 0},
    {"save-dtype", "f32|bf16", "f32", "numbers that the result is stored in", GROUP_TRAINING, TAKES_PRETRAIN, OPTION_CHOICE, AT(save_dtype), 0, 0},
    {"checkpoint-steps", "N", NULL, "also a checkpoint every N steps", GROUP_TRAINING, TAKES_PRETRAIN, OPTION_INT, AT(checkpoint_steps), 1, BIG},
    {"keep", "N", NULL, "checkpoints to keep, the newest", GROUP_TRAINING, TAKES_PRETRAIN, OPTION_INT, AT(keep), 1, 50},
    /* --- output --- */
    {"json", NULL, NULL, "JSON Lines on standard output, one object per result", GROUP_OUTPUT, TAKES_ALWAYS, OPTION_FLAG, AT(json), 0, 0},
    {"items", NULL, NULL, "every item, too (with --json one object each)", GROUP_OUTPUT, TAKES_ITEMS, OPTION_FLAG, AT(items), 0, 0},
    {"csv", "FILE", NULL, "write the input's columns with predictions beside them; report: the metrics", GROUP_OUTPUT, TAKES_CSV | TAKES_REPORT, OPTION_TEXT, AT(csv), 0, 0},
    {"junit", "FILE", NULL, "write the outcome of --fail-if as JUnit XML", GROUP_OUTPUT, TAKES_GATE, OPTION_TEXT, AT(junit), 0, 0},
    {"markdown", "FILE", NULL, "write the tables as Markdown", GROUP_OUTPUT, TAKES_REPORT | TAKES_COMPARE, OPTION_TEXT, AT(markdown), 0, 0},
    {"latex", "FILE", NULL, "write the tables as LaTeX (booktabs)", GROUP_OUTPUT, TAKES_REPORT, OPTION_TEXT, AT(latex), 0, 0},
    {"lm-eval-output", "DIR", NULL, "write results and samples as lm-evaluation-harness does", GROUP_OUTPUT, TAKES_REPORT, OPTION_TEXT, AT(lm_eval), 0, 0},
    {"only", "fixed|broken|both-wrong|changed|all", "changed", "which items to show: those that only the second, only the first, or neither has right", GROUP_OUTPUT, TAKES_DIFF, OPTION_CHOICE, AT(only), 0, 0},
    {"sort", "item|confidence|length", "confidence", "order: of the data, largest change of the true label's probability first, longest first", GROUP_OUTPUT, TAKES_DIFF, OPTION_CHOICE, AT(sort), 0, 0},
    {"find", "TEXT", NULL, "only items whose text holds this", GROUP_OUTPUT, TAKES_DIFF, OPTION_TEXT, AT(find), 0, 0},
    {"quiet", NULL, NULL, "no progress and no notes on standard error; warnings stay", GROUP_OUTPUT, TAKES_ALWAYS, OPTION_FLAG, AT(quiet), 0, 0},
    {"help", NULL, NULL, "this page", GROUP_OUTPUT, TAKES_ALWAYS, OPTION_FLAG, AT(help), 0, 0},
};
// clang-format on

size_t as_option_table(const as_option **rows) {
    *rows = table;
    return AS_COUNT(table);
}
const char *as_option_group_name(as_option_group g) {
    static const char *const names[] = {[GROUP_DATA] = "Data", [GROUP_WORK] = "Work", [GROUP_TRAINING] = "Training", [GROUP_OUTPUT] = "Output"};
    return names[g];
}

as_options as_options_defaults(void) {
    return (as_options){.db = "assay.db", .seed = 1, .level = 95, .top = 5, .dev_fraction = 0.1, .test_fraction = 0.2, .seeds = 3, .objective = "mlm", .mask_share = 0.15, .keep = 2, .train = as_recipe_defaults()};
}

const char *as_option_default(const as_option *o, char *buf, size_t size) {
    const as_options d = as_options_defaults();
    const char *field = (const char *)&d + o->field;
    if (o->shown) return o->shown;
    if (o->type == OPTION_TEXTS) return "";
    buf[0] = '\0';
    if (o->type == OPTION_INT && *(const int64_t *)(const void *)field != 0)
        snprintf(buf, size, "%" PRId64, *(const int64_t *)(const void *)field);
    else if (o->type == OPTION_REAL)
        snprintf(buf, size, "%g", *(const double *)(const void *)field);
    else if (o->type == OPTION_TEXT && *(const char *const *)(const void *)field != NULL)
        snprintf(buf, size, "%s", *(const char *const *)(const void *)field);
    return buf;
}

char *as_arena_text(as_arena *a, as_str s) {
    char *copy = as_arena_push(a, s.n + 1, 1);
    if (!copy) return NULL;
    memcpy(copy, s.p, s.n);
    copy[s.n] = '\0';
    return copy;
}

bool as_option_given(const as_parsed *p, const char *name) {
    for (size_t i = 0; i < AS_COUNT(table); i++)
        if (p->given[i] && strcmp(table[i].name, name) == 0) return true;
    return false;
}

/* The first commands that take an option, for a hint. */
static void name_takers(char *out, size_t size, const as_option *o) {
    const as_command *rows;
    const size_t count = as_command_table(&rows);
    size_t at = 0;
    out[0] = '\0';
    for (size_t i = 0; i < count; i++)
        if (as_command_takes(&rows[i], o) && at < size) at += (size_t)snprintf(out + at, size - at, "%s%s", at ? ", " : "", rows[i].name);
}

as_status as_option_find(size_t *row, const as_command *command, as_str name, const char *where, as_err *err) {
    const char *names[AS_COUNT(table)];
    size_t count = 0;
    const as_option *other = NULL; /* a name may have two rows, for different commands */
    char shown[80], takers[256];
    snprintf(shown, sizeof shown, "%.*s", (int)(name.n < 64 ? name.n : 64), name.p);
    for (size_t i = 0; i < AS_COUNT(table); i++) {
        if (as_command_takes(command, &table[i])) names[count++] = table[i].name;
        if (!as_str_is(name, table[i].name)) continue;
        *row = i;
        if (as_command_takes(command, &table[i])) return AS_OK;
        if (!other) other = &table[i];
    }
    if (other) {
        (void)as_fail(err, AS_USAGE, "%s%s%s takes no --%s", where ? where : "", where ? ": " : "", command->name, shown);
        name_takers(takers, sizeof takers, other);
        as_hint(err, "--%s belongs to: %s.", shown, takers);
        return AS_USAGE;
    }
    const int near = as_nearest(shown, names, count);
    (void)as_fail(err, AS_USAGE, "%s%sunknown option --%s", where ? where : "", where ? ": " : "", shown);
    if (near >= 0)
        as_hint(err, "Did you mean --%s? assay %s --help lists the options.", names[near], command->name);
    else
        as_hint(err, "assay %s --help lists the options.", command->name);
    return AS_USAGE;
}

static as_status bad_number(const as_option *o, const char *where, const char *value, const char *what, as_err *err) {
    (void)as_fail(err, AS_USAGE, "%s: \"%.64s\" %s", where, value, what);
    if (o->most > 0)
        as_hint(err, "Give a%s number from %.15g to %.15g.", o->type == OPTION_INT ? " whole" : "", o->least, o->most);
    return AS_USAGE;
}

static as_status set_number(as_options *out, const as_option *o, const char *where, const char *value, as_err *err) {
    char *field = (char *)out + o->field;
    int64_t whole = 0;
    double real = 0;
    if (o->type == OPTION_INT) {
        if (!as_parse_i64(as_str_of(value), &whole)) return bad_number(o, where, value, "is not a whole number", err);
        real = (double)whole;
    } else if (!as_parse_f64(as_str_of(value), &real) || !(real - real == 0.0)) {
        return bad_number(o, where, value, "is not a number", err);
    }
    if (o->most > 0 && (real < o->least || real > o->most))
        return bad_number(o, where, value, real < o->least ? "is too small" : "is too large", err);
    if (o->type == OPTION_INT)
        memcpy(field, &whole, sizeof whole);
    else
        memcpy(field, &real, sizeof real);
    return AS_OK;
}

static as_status set_choice(const as_option *o, const char *where, const char *value, as_err *err) {
    const char *at = o->arg;
    while (*at) {
        const size_t n = strcspn(at, "|");
        if (strlen(value) == n && memcmp(at, value, n) == 0) return AS_OK;
        at += n + (at[n] == '|');
    }
    (void)as_fail(err, AS_USAGE, "%s: unknown value \"%.64s\"", where, value);
    as_hint(err, "It is one of %s.", o->arg);
    return AS_USAGE;
}

/* One more of several; options are few, so the list is copied. */
static as_status add_text(const as_parsed *p, as_texts *list, const char *value, as_err *err) {
    const char **v = as_arena_push(p->arena, (size_t)list->count + 1, sizeof *v);
    if (!v) return as_fail_nomem(err, "the command line", 0);
    if (list->count > 0) memcpy(v, list->v, (size_t)list->count * sizeof *v);
    v[list->count] = value;
    list->v = v, list->count++;
    return AS_OK;
}

as_status as_option_set(as_parsed *p, size_t row, const char *where, const char *value, as_err *err) {
    const as_option *o = &table[row];
    char *field = (char *)&p->o + o->field;
    if (o->type == OPTION_CHOICE) AS_TRY(set_choice(o, where, value, err));
    if (o->type == OPTION_FLAG) {
        const bool on = true;
        memcpy(field, &on, sizeof on);
    } else if (o->type == OPTION_INT || o->type == OPTION_REAL) {
        AS_TRY(set_number(&p->o, o, where, value, err));
    } else if (o->type == OPTION_TEXTS) {
        AS_TRY(add_text(p, (as_texts *)(void *)field, value, err));
    } else {
        memcpy(field, &value, sizeof value);
    }
    p->given[row] = true;
    return AS_OK;
}

/* Several tasks are one list, however they are typed. A recipe's are replaced. */
static as_status join_tasks(as_parsed *p, const char **value, as_err *err) {
    if (p->tasks++ == 0) return AS_OK;
    as_buf b = {0};
    as_buf_fmt(&b, "%s,%s", p->o.task, *value);
    *value = b.failed ? NULL : as_arena_text(p->arena, as_buf_view(&b));
    as_buf_free(&b);
    return *value ? AS_OK : as_fail_nomem(err, "the command line", 0);
}

static as_status set_typed(as_parsed *p, size_t row, const char *where, const char *value, as_err *err) {
    if (table[row].field == AT(task)) AS_TRY(join_tasks(p, &value, err));
    return as_option_set(p, row, where, value, err);
}

/* One "--name", "--name=value" or "--name value"; *i moves on when the value is an argument of its own. */
static as_status parse_one(as_parsed *p, const as_command *c, int argc, char **argv, int *i, as_err *err) {
    const char *name = strcmp(argv[*i], "-o") == 0 ? "out" : argv[*i] + 2, *equals = strchr(name, '=');
    const size_t n = equals ? (size_t)(equals - name) : strlen(name);
    char where[80];
    size_t row;
    AS_TRY(as_option_find(&row, c, (as_str){name, n}, NULL, err));
    snprintf(where, sizeof where, "--%s", table[row].name);
    if (table[row].type == OPTION_FLAG) {
        if (equals) return as_fail(err, AS_USAGE, "%s takes no value", where);
        return as_option_set(p, row, where, NULL, err);
    }
    if (equals) return set_typed(p, row, where, equals + 1, err);
    if (*i + 1 >= argc) {
        (void)as_fail(err, AS_USAGE, "%s needs a value", where);
        as_hint(err, "Write %s %s.", where, table[row].arg);
        return AS_USAGE;
    }
    return set_typed(p, row, where, argv[++*i], err);
}

static as_status parse_all(as_parsed *p, const as_command *c, int argc, char **argv, as_err *err) {
    bool options = true;
    p->tasks = 0;
    for (int i = 0; i < argc; i++) {
        if (options && strcmp(argv[i], "--") == 0)
            options = false;
        else if (options && strcmp(argv[i], "-o") == 0)
            AS_TRY(parse_one(p, c, argc, argv, &i, err));
        else if (options && (strcmp(argv[i], "-h") == 0))
            p->o.help = true;
        else if (options && strncmp(argv[i], "--", 2) == 0)
            AS_TRY(parse_one(p, c, argc, argv, &i, err));
        else if (options && argv[i][0] == '-' && argv[i][1] != '\0') {
            (void)as_fail(err, AS_USAGE, "unknown option %.64s", argv[i]);
            as_hint(err, "Options begin with two dashes; -- before a text that begins with a dash.");
            return AS_USAGE;
        } else
            p->args[p->arg_count++] = argv[i];
    }
    return AS_OK;
}

as_status as_options_parse(as_parsed *out, const as_command *command, int argc, char **argv, as_arena *arena, as_err *err) {
    *out = (as_parsed){.o = as_options_defaults(), .arena = arena};
    out->given = as_arena_push_zero(arena, AS_COUNT(table), sizeof *out->given);
    out->args = as_arena_push_zero(arena, (size_t)argc + 1, sizeof *out->args);
    if (!out->given || !out->args) return as_fail_nomem(err, "the command line", 0);
    AS_TRY(parse_all(out, command, argc, argv, err));
    if (!out->o.recipe || out->o.help) return AS_OK;
    const char *recipe = out->o.recipe;
    out->o = as_options_defaults();
    memset(out->given, 0, AS_COUNT(table) * sizeof *out->given);
    out->arg_count = 0;
    AS_TRY(as_options_recipe(out, command, recipe, arena, err));
    return parse_all(out, command, argc, argv, err);
}
