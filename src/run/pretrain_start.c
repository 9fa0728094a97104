#include "run/pretrain_start.h"
#include "base/file.h"
#include "base/mem.h"
#include "data/corpus_build.h"
#include "model/shape.h"
#include <inttypes.h>
#include <string.h>

enum { LENGTH = 128 }; /* tokens of a row, unless --max-length says otherwise */
#define HELDOUT 0.01   /* share of the documents of plain texts */

static as_status usage(as_err *err, const char *what, const char *hint) {
    (void)as_fail(err, AS_USAGE, "%s", what);
    as_hint(err, "%s", hint);
    return AS_USAGE;
}

static bool is_corpus(const char *path) {
    char *manifest = as_path_join(path, "corpus.json");
    const bool is = manifest && as_file_exists(manifest);
    as_free(manifest);
    return is;
}

/* Texts become OUT/corpus, with the basic rules and a hundredth held out. */
static as_status build_corpus(as_pretrain_start *s, const as_pretrain_job *j, as_err *err) {
    const char *tokenizer = j->tokenizer ? j->tokenizer : j->job.model;
    if (!tokenizer) return usage(err, "no tokenizer for the texts", "Give --tokenizer DIR, or a corpus folder made by assay data corpus.");
    if (!(s->corpus_dir = as_path_join(j->out, "corpus"))) return as_fail_nomem(err, "a path", 0);
    as_corpus_opts o = {.inputs = j->corpus, .n_inputs = j->corpus_count, .tokenizer_dir = tokenizer, .out = s->corpus_dir, .heldout = HELDOUT,
                        .threads = j->job.threads, .progress_fd = j->job.progress_fd, .stop = as_interrupted, .log = j->job.log};
    AS_TRY(as_corpus_rules_preset(&o.rules, "basic", err));
    return as_corpus_build(&o, NULL, err);
}

static as_status name_corpora(as_pretrain_start *s, const char *const *dirs, int64_t n, as_err *err) {
    as_buf b = {0};
    for (int64_t i = 0; i < n; i++) {
        char *name = as_display_name(dirs[i]);
        as_buf_fmt(&b, "%s%s", i ? "+" : "", name ? name : "");
        as_free(name);
    }
    s->corpus_name = b.failed ? NULL : as_strndup(b.p, b.n);
    as_buf_free(&b);
    return s->corpus_name ? AS_OK : as_fail_nomem(err, "a name", 0);
}

static as_status open_corpus(as_pretrain_start *s, const as_pretrain_job *j, as_err *err) {
    int64_t folders = 0;
    for (int64_t i = 0; i < j->corpus_count; i++) folders += is_corpus(j->corpus[i]);
    if (j->corpus_count == 0) return usage(err, "no corpus", "Give --corpus with a folder made by assay data corpus, or with texts.");
    if (folders > 0 && folders < j->corpus_count)
        return usage(err, "a corpus folder beside texts", "Make a corpus of the texts with assay data corpus, and give its folder, too.");
    if (folders == 0) {
        AS_TRY(build_corpus(s, j, err));
    } else if (!(s->corpus_dir = as_strdup(j->corpus[0]))) {
        return as_fail_nomem(err, "a path", 0);
    }
    const char *const built[] = {s->corpus_dir}, *const *dirs = folders > 0 ? j->corpus : built;
    const int64_t n = folders > 0 ? folders : 1;
    AS_TRY(as_corpus_open_many(&s->corpus, dirs, n, err));
    AS_TRY(name_corpora(s, dirs, n, err));
    if (as_corpus_tokens(s->corpus, AS_CORPUS_TRAIN) > 0) return AS_OK;
    return as_fail(err, AS_FORMAT, "%s: has no text to train on", s->corpus_dir);
}

/* --- the model's folder --- */
static as_status new_config(as_buf *text, const as_pretrain_job *j, as_head head, const as_tokenizer *tok, as_err *err) {
    if (j->config) return as_file_read(text, j->config, 1 << 20, err);
    const as_shape *shape = as_shape_find(j->shape);
    if (!shape) {
        (void)as_fail(err, AS_USAGE, "--shape: there is no shape \"%.64s\"", j->shape);
        as_hint(err, "The shapes are %s; --config takes any other.", as_shape_names());
        return AS_USAGE;
    }
    int64_t end = as_tokenizer_special(tok, AS_TOKEN_EOS);
    if (end < 0) end = as_tokenizer_special(tok, AS_TOKEN_SEP);
    as_shape_config(text, shape, head, as_tokenizer_vocab_size(tok), as_tokenizer_special(tok, AS_TOKEN_PAD), end);
    return text->failed ? as_fail_nomem(err, "a config", 0) : AS_OK;
}
/* A new model is opened from OUT/training/start: its config.json and the tokenizer. */
static as_status lay_start(as_pretrain_start *s, const as_pretrain_job *j, as_err *err) {
    char *training = as_path_join(j->out, "training");
    s->model_dir = training ? as_path_join(training, "start") : NULL;
    char *config = s->model_dir ? as_path_join(s->model_dir, "config.json") : NULL;
    as_tokenizer *tok = NULL;
    as_buf text = {0};
    as_status st = config ? AS_OK : as_fail_nomem(err, "a path", 0);
    const bool writes = as_comm_leads(j->job.comm); /* the other ranks find it there */
    if (st == AS_OK && writes) st = as_dir_make(s->model_dir, err);
    if (st == AS_OK && writes) st = as_tokenizer_open(&tok, j->tokenizer ? j->tokenizer : s->corpus_dir, err);
    if (st == AS_OK && writes) st = new_config(&text, j, s->row->head, tok, err);
    if (st == AS_OK && writes) st = as_file_write(config, text.p, text.n, err);
    if (st == AS_OK && writes) st = as_tokenizer_copy(tok, s->model_dir, err);
    as_tokenizer_free(tok);
    as_buf_free(&text);
    as_free(training), as_free(config);
    return st;
}

/* The corpus' ids must mean what the model's tokenizer says. */
static as_status check_tokenizer(const as_pretrain_start *s, const as_pretrain_job *j, as_err *err) {
    as_tokenizer *of_corpus;
    if (as_corpus_vocab(s->corpus) > as_model_config(s->ses.model)->vocab)
        return as_fail(err, AS_USAGE, "%s: has ids up to %" PRId64 ", the model has %" PRId64 " words", s->corpus_dir, as_corpus_vocab(s->corpus) - 1,
                       as_model_config(s->ses.model)->vocab);
    AS_TRY(as_tokenizer_open(&of_corpus, s->corpus_dir, err));
    as_status st = AS_OK;
    for (int32_t i = 0; st == AS_OK && i < as_tokenizer_vocab_size(of_corpus); i++) {
        const as_str a = as_tokenizer_piece(of_corpus, i), b = as_tokenizer_piece(s->ses.tok, i);
        if (a.n == b.n && memcmp(a.p ? a.p : "", b.p ? b.p : "", a.n) == 0) continue;
        st = as_fail(err, AS_USAGE, "%s: was made with another tokenizer than that of %s: id %d is \"%.*s\" there, and \"%.*s\" here", s->corpus_dir,
                     j->job.model ? j->job.model : j->tokenizer, (int)i, (int)a.n, a.p ? a.p : "", (int)b.n, b.p ? b.p : "");
        as_hint(err, "Make the corpus anew with this tokenizer.");
    }
    as_tokenizer_free(of_corpus);
    return st;
}

static as_status open_model(as_pretrain_start *s, const as_pretrain_job *j, as_err *err) {
    const int ways = (j->job.model != NULL) + (j->config != NULL) + (j->shape != NULL);
    if (ways != 1)
        return usage(err, ways ? "--model, --config and --shape are one too many" : "no model to train",
                     "Give --shape tiny|mini|small|base or --config FILE for a new model, or --model M to go on from a checkpoint.");
    as_job job = j->job;
    if (!j->job.model) {
        AS_TRY(lay_start(s, j, err));
        job.model = s->model_dir;
    }
    const as_model_opts o = {.head = s->row->head, .train = true, .fresh = !j->job.model, .seed = j->recipe.seed};
    job.max_length = 0;
    AS_TRY(as_session_open(&s->ses, &job, o, err));
    AS_TRY(check_tokenizer(s, j, err));
    const int64_t most = as_model_config(s->ses.model)->max_pos;
    s->max_length = j->job.max_length ? j->job.max_length : most < LENGTH ? most : LENGTH;
    if (s->max_length <= most) return AS_OK;
    (void)as_fail(err, AS_USAGE, "--max-length %" PRId64 " is beyond the %" PRId64 " positions of the model", s->max_length, most);
    as_hint(err, "Give a length of at most %" PRId64 ".", most);
    return AS_USAGE;
}

/* --- what the tokenizer says of each id --- */
static bool begins(as_str s, const char *with) { return s.n >= strlen(with) && memcmp(s.p, with, strlen(with)) == 0; }
static as_status mark_ids(as_pretrain_start *s, as_err *err) {
    const int64_t vocab = as_model_config(s->ses.model)->vocab;
    const int32_t known = as_tokenizer_vocab_size(s->ses.tok);
    static const as_special roles[] = {AS_TOKEN_PAD, AS_TOKEN_UNK, AS_TOKEN_CLS, AS_TOKEN_SEP, AS_TOKEN_MASK, AS_TOKEN_BOS, AS_TOKEN_EOS};
    static const char spaces[][4] = {"\xC4\xA0", "\xE2\x96\x81"}; /* what begins a word in byte-level BPE and in Unigram */
    bool spaced = false;
    s->special = as_calloc((size_t)vocab, 1), s->inner = as_calloc((size_t)vocab, 1);
    if (!s->special || !s->inner) return as_fail_nomem(err, "token marks", (size_t)vocab);
    for (int32_t i = 0; i < known; i++) spaced = spaced || begins(as_tokenizer_piece(s->ses.tok, i), spaces[0]) || begins(as_tokenizer_piece(s->ses.tok, i), spaces[1]);
    for (int64_t i = 0; i < vocab; i++) {
        const as_str piece = i < known ? as_tokenizer_piece(s->ses.tok, (int32_t)i) : (as_str){0};
        s->special[i] = piece.n == 0;
        s->inner[i] = spaced ? !begins(piece, spaces[0]) && !begins(piece, spaces[1]) : begins(piece, "##");
    }
    for (size_t r = 0; r < AS_COUNT(roles); r++) {
        const int32_t id = as_tokenizer_special(s->ses.tok, roles[r]);
        if (id >= 0 && id < vocab) s->special[id] = 1;
    }
    return AS_OK;
}

static as_status open_objectives(as_pretrain_start *s, const as_pretrain_job *j, as_err *err) {
    const as_tokenizer *t = s->ses.tok;
    as_pretraining p = {.model = s->ses.model, .corpus = s->corpus, .part = AS_CORPUS_TRAIN, .max_length = s->max_length,
                        .cls = as_tokenizer_special(t, AS_TOKEN_CLS), .sep = as_tokenizer_special(t, AS_TOKEN_SEP),
                        .mask = as_tokenizer_special(t, AS_TOKEN_MASK), .pad = as_tokenizer_special(t, AS_TOKEN_PAD),
                        .special = s->special, .inner = s->inner, .mask_share = j->mask_share, .whole_words = j->whole_words};
    AS_TRY(s->row->open(&s->train, &p, err));
    if (s->train.n == 0) return as_fail(err, AS_FORMAT, "%s: its documents are too short to train on", s->corpus_dir);
    if (as_corpus_docs(s->corpus, AS_CORPUS_HELDOUT) == 0) return AS_OK;
    p.part = AS_CORPUS_HELDOUT;
    return s->row->open(&s->heldout, &p, err);
}

as_status as_pretrain_start_open(as_pretrain_start *s, const as_pretrain_job *j, as_err *err) {
    memset(s, 0, sizeof *s);
    if (!(s->row = as_pretraining_find(j->objective))) {
        (void)as_fail(err, AS_USAGE, "--objective: there is no objective \"%.64s\"", j->objective);
        as_buf names = {0};
        for (size_t i = 0; i < as_pretraining_count(); i++) as_buf_fmt(&names, "%s%s", i ? ", " : "", as_pretraining_at(i)->name);
        as_hint(err, "The objectives are %s.", names.p ? names.p : "");
        as_buf_free(&names);
        return AS_USAGE;
    }
    AS_TRY(open_corpus(s, j, err));
    AS_TRY(open_model(s, j, err));
    AS_TRY(mark_ids(s, err));
    return open_objectives(s, j, err);
}
void as_pretrain_start_close(as_pretrain_start *s) {
    if (s->train.self) s->row->close(&s->train);
    if (s->heldout.self) s->row->close(&s->heldout);
    as_session_close(&s->ses);
    as_corpus_close(s->corpus);
    as_free(s->corpus_dir), as_free(s->corpus_name), as_free(s->model_dir), as_free(s->special), as_free(s->inner);
    memset(s, 0, sizeof *s);
}
