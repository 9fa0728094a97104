/* pretrain.c: `assay pretrain`. Killed at any moment, the same command goes on from the newest checkpoint to the same bytes. */
#include "run/pretrain.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/mem.h"
#include "run/evaluate.h"
#include "run/pretrain_start.h"
#include "run/pretrain_log.h"
#include "train/loop.h"
#include "train/objective_rtd.h"
#include "train/pseudo.h"
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct pretraining {
    const as_pretrain_job *j;
    as_pretrain_result *out;
    as_pretrain_start s;
    as_recipe recipe;         /* the job's, with what the data decides */
    as_tally *each;           /* [heldout rows] */
    as_store *store;
    as_run run;
    as_pretrain_log *log;
    char identity[65], *state_dir, doing[64];
    as_progress progress;
} pretraining;

/* As in BERT and RoBERTa but for the smaller batches: rate for a batch of some thousands of tokens, beta2 0.98 against spikes. */
as_recipe as_pretrain_recipe(void) {
    as_recipe r = as_recipe_defaults();
    r.epochs = 1, r.batch_size = 32, r.lr = 5e-4, r.warmup = 0.06, r.weight_decay = 0.01, r.beta2 = 0.98, r.eps = 1e-6, r.select = "last";
    return r;
}

/* --- prediction of cost --- */
/* The share of the tokens that are predicted. */
static double predicted(const pretraining *w) { return w->s.row->head == AS_HEAD_CLM ? 1.0 : w->j->mask_share; }
/* Forward once and backward twice; the head's products with the vocabulary once more, as if its logits were not kept. */
static double flops_of(const pretraining *w, double tokens) {
    const as_config *c = as_model_config(w->s.ses.model);
    const double h = (double)c->hidden, length = (double)w->s.max_length;
    const double attention = 4.0 * (double)c->layers * h * length, head = predicted(w) * 2.0 * h * (h + 4.0 / 3.0 * (double)c->vocab);
    return tokens * 3.0 * (as_session_token_flops(&w->s.ses) * (w->j->recompute ? 4.0 / 3.0 : 1.0) + attention + head);
}
static void plan(pretraining *w) {
    const as_config *c = as_model_config(w->s.ses.model);
    const as_objective *o = &w->s.train;
    as_pretrain_plan *p = &w->out->plan;
    if (w->j->tokens > 0) w->recipe.steps = 0, w->recipe.epochs = (double)w->j->tokens / (double)o->tokens;
    p->parameters = as_model_parameters(w->s.ses.model), p->rows = o->n, p->tokens_epoch = o->tokens, p->heldout_rows = w->s.heldout.n;
    p->steps = as_train_total_steps(&w->recipe, o->n);
    if (w->recipe.eval_every <= 0) w->recipe.eval_every = p->steps / 10 > 0 ? p->steps / 10 : 1;
    p->shards = as_train_shards(&w->recipe, w->s.ses.model);
    const int64_t items = w->recipe.batch_size * w->recipe.accumulate, first = items < o->n ? items : o->n;
    const double per_step = (double)o->tokens / (double)o->n * (double)first;
    p->tokens = per_step * (double)p->steps, p->flops = flops_of(w, p->tokens);
    const double update = (double)p->parameters * (double)(28 + 8 * p->shards) / 8e9; /* gradients and moments at about 8 GB/s */
    p->seconds = 1.33 * p->flops / (as_session_rate(&w->s.ses) * as_comm_size(w->j->job.comm)) + (double)p->steps * update;
    const int threads = as_engine_threads(w->s.ses.engine);
    const double running = (double)(p->shards < threads ? p->shards : threads), batch = per_step / (double)w->recipe.accumulate * running / (double)p->shards;
    const double layers = w->j->recompute ? 1.0 + (double)c->layers / 18.0 : (double)c->layers;
    const double share = predicted(w), head = share * (8.0 * (double)c->hidden + 1024.0);
    const double logits = running * (double)as_vocab_loss_kept((int64_t)(share * batch / running), c->vocab);
    const int ranks = as_comm_size(w->j->job.comm), own = ((int)p->shards + ranks - 1) / ranks;
    p->bytes = as_peak_memory() + as_optimizer_bytes(w->s.ses.model, own) +
               (uint64_t)(batch * 4.0 * (layers * (double)(18 * c->hidden + 4 * c->inter) + head) + logits);
}
static as_status check_memory(const pretraining *w, as_err *err) {
    const uint64_t need = w->out->plan.bytes - as_peak_memory(), have = as_mem_available() / (uint64_t)as_comm_local_size(w->j->job.comm);
    if (need <= have) return AS_OK;
    (void)as_fail(err, AS_NOMEM, "training needs about %" PRIu64 " MB more memory, %" PRIu64 " MB are free", need >> 20, have >> 20);
    as_hint(err, "Use a smaller --batch-size with --accumulate, a shorter --max-length, or --recompute.");
    return AS_NOMEM;
}

/* --- what identifies the run --- */
static as_status identify(pretraining *w, as_buf *b, as_err *err) {
    const as_pretrain_job *j = w->j;
    const as_recipe *r = &w->recipe;
    char model[65];
    AS_TRY(as_model_digest(w->s.ses.model, model, err));
    as_buf_fmt(b, "{\"command\":\"pretrain\",\"objective\":\"%s\",\"model_sha256\":\"%s\",\"corpus_sha256\":\"%s\",\"dtype\":\"%s\",\"isa\":\"%s\"", w->s.row->name, model,
               as_corpus_digest(w->s.corpus), j->job.dtype == AS_COMPUTE_BF16 ? "bf16" : "f32", as_isa_name(as_engine_isa(w->s.ses.engine)));
    as_buf_fmt(b, ",\"max_length\":%" PRId64 ",\"mask_share\":%.17g,\"whole_words\":%s,\"tokens\":%" PRId64 ",\"epochs\":%.17g,\"steps\":%" PRId64, w->s.max_length,
               j->mask_share, j->whole_words ? "true" : "false", j->tokens, r->epochs, w->out->plan.steps);
    as_buf_fmt(b, ",\"batch_size\":%" PRId64 ",\"accumulate\":%" PRId64 ",\"batch_warmup\":%" PRId64 ",\"grad_shards\":%" PRId64, r->batch_size, r->accumulate,
               r->batch_warmup, w->out->plan.shards);
    as_buf_fmt(b, ",\"lr\":%.17g,\"schedule\":\"%s\",\"warmup\":%.17g,\"weight_decay\":%.17g,\"beta1\":%.17g,\"beta2\":%.17g,\"eps\":%.17g,\"clip\":%.17g", r->lr,
               as_schedule_name(r->schedule), r->warmup, r->weight_decay, r->beta1, r->beta2, r->eps, r->clip);
    as_buf_fmt(b, ",\"dropout\":%.17g,\"layer_decay\":%.17g,\"seed\":%" PRIu64 ",\"freeze\":", r->dropout, r->layer_decay, r->seed);
    if (r->freeze) as_buf_json_str(b, as_str_of(r->freeze));
    else as_buf_str(b, "null");
    if (b->failed) return as_fail_nomem(err, "a run's record", 0);
    memcpy(w->identity, as_sha256_of(b->p, b->n).hex, 65);
    AS_TRY(as_session_provenance(b, &w->s.ses, &j->job, err));
    as_buf_char(b, '}');
    return b->failed ? as_fail_nomem(err, "a run's record", 0) : AS_OK;
}

/* --- the output folder --- */
static const char *saved_name(const pretraining *w) { return w->j->save_bf16 ? "bf16" : "f32"; }
/* "assay.json" says whose the folder is, from the first step on, and whether the result in it is whole. */
static as_status mark(const pretraining *w, const as_trained *done, as_err *err) {
    if (!as_comm_leads(w->j->job.comm)) return AS_OK;
    char *path = as_path_join(w->j->out, "assay.json");
    as_buf b = {0};
    as_buf_fmt(&b, "{\n  \"identity\": \"%s\",\n  \"objective\": \"%s\",\n  \"finished\": %s", w->identity, w->s.row->name, done ? "true" : "false");
    if (done) as_buf_fmt(&b, ",\n  \"saved\": \"%s\",\n  \"steps\": %" PRId64, saved_name(w), done->steps);
    as_buf_fmt(&b, ",\n  \"version\": \"%s\"\n}\n", w->j->job.version);
    as_status s = path && !b.failed ? as_dir_make(w->j->out, err) : as_fail_nomem(err, "a path", 0);
    if (s == AS_OK) s = as_file_write(path, b.p, b.n, err);
    as_free(path);
    as_buf_free(&b);
    return s;
}
static as_status read_mark(const pretraining *w, const char *path, bool *finished, as_err *err) {
    as_json *doc;
    AS_TRY(as_json_read(&doc, path, err));
    const bool ours = as_str_is(as_json_str(as_json_get(doc, "identity"), AS_LIT("")), w->identity);
    *finished = ours && !w->j->job.again && as_json_bool(as_json_get(doc, "finished"), false);
    const bool same = !*finished || as_str_is(as_json_str(as_json_get(doc, "saved"), AS_LIT("f32")), saved_name(w));
    as_json_free(doc);
    if ((ours && same) || w->j->job.again) return AS_OK;
    (void)as_fail(err, AS_USAGE, ours ? "%s: holds the result of this run in other numbers (--save-dtype)" : "%s: holds the result of another run", w->j->out);
    as_hint(err, "Choose another --out, or give --again to replace it.");
    return AS_USAGE;
}
static as_status check_out(const pretraining *w, bool *finished, as_err *err) {
    *finished = false;
    char *path = as_path_join(w->j->out, "assay.json"), *config = as_path_join(w->j->out, "config.json");
    as_status s = path && config ? AS_OK : as_fail_nomem(err, "a path", 0);
    if (s == AS_OK && as_file_exists(path)) {
        s = read_mark(w, path, finished, err);
    } else if (s == AS_OK && as_file_exists(config) && !w->j->job.again) {
        s = as_fail(err, AS_USAGE, "%s: already holds a checkpoint", w->j->out);
        as_hint(err, "Choose another --out, or give --again to replace it.");
    }
    as_free(path), as_free(config);
    return s;
}
static as_status save(const pretraining *w, as_err *err) {
    AS_TRY(as_model_save_as(w->s.ses.model, w->j->out, w->j->save_bf16 ? AS_BF16 : AS_F32, err));
    AS_TRY(as_tokenizer_copy(w->s.ses.tok, w->j->out, err));
    if (!as_model_generator(w->s.ses.model)) return AS_OK;
    char *generator = as_path_join(w->j->out, "generator");
    const as_status s = generator ? as_tokenizer_copy(w->s.ses.tok, generator, err) : as_fail_nomem(err, "a path", 0);
    as_free(generator);
    return s;
}

/* --- callbacks of the loop --- */
static as_status score_heldout(pretraining *w, as_comm *comm, as_err *err) {
    const as_objective *o = &w->s.heldout;
    memset(w->out->heldout, 0, sizeof w->out->heldout);
    if (o->n == 0) return AS_OK;
    if (!w->each && !(w->each = as_alloc((size_t)o->n, sizeof *w->each))) return as_fail_nomem(err, "evaluation", 0);
    AS_TRY(as_heldout_score(o, w->s.ses.engine, comm, NULL, w->each, err));
    for (int p = 0; p < AS_LOSSES; p++)
        w->out->heldout[p] = (as_pretrain_part){.name = o->parts[p], .loss = as_heldout_loss(w->each, o->n, p, w->j->job.level),
                                                .accuracy = as_heldout_accuracy(w->each, o->n, p, w->j->job.level)};
    return AS_OK;
}

/* What one kind of objective says besides, of the model as it is. */
static as_status score_more(pretraining *w, as_err *err) {
    as_pretrain_result *o = w->out;
    o->bits_per_byte = o->auc = (as_heldout_mean){0};
    if (w->s.heldout.n == 0) return AS_OK;
    const as_heldout_mean *l = &o->heldout[0].loss;
    if (w->s.row->head == AS_HEAD_CLM) { /* the tokens per byte of this text are known: the loss is what varies */
        const double bits = (double)l->count / (double)as_corpus_bytes(w->s.corpus, AS_CORPUS_HELDOUT) / log(2.0);
        o->bits_per_byte = (as_heldout_mean){l->value * bits, l->low * bits, l->high * bits, l->n, l->count};
    }
    return w->s.row->head == AS_HEAD_RTD ? as_rtd_auc(&o->auc, &w->s.heldout, w->s.ses.engine, w->j->job.level, err) : AS_OK;
}

/* Together: the held-out sequences token by token, if that was asked for. */
static as_status score_pseudo(pretraining *w, as_comm *comm, as_err *err) {
    as_tally *each;
    int64_t n;
    if (w->j->pseudo == 0) return AS_OK;
    AS_TRY(as_pseudo_score(&each, &n, &w->s.heldout, w->j->pseudo, w->s.ses.engine, comm, w->j->job.progress_fd, err));
    w->out->pseudo = as_heldout_loss(each, n, 0, w->j->job.level);
    as_free(each);
    return w->log ? as_pretrain_log_pseudo(w->log, w->out->steps, w->out->pseudo, err) : AS_OK;
}
/* Before anything is written. */
static as_status check_pseudo(const pretraining *w, as_err *err) {
    const as_pretraining_row *row = as_pretraining_find(w->j->objective);
    if (w->j->pseudo == 0 || !row || row->head == AS_HEAD_MLM || row->head == AS_HEAD_PRETRAIN) return AS_OK;
    (void)as_fail(err, AS_USAGE, "--pseudo-perplexity: the objective %s predicts no masked words", row->name);
    as_hint(err, row->head == AS_HEAD_CLM ? "Leave it out: a causal model's perplexity is printed without it." : "Leave it out, or use --objective mlm, mlm+nsp or mlm+sop.");
    return AS_USAGE;
}
static as_status check_heldout(const pretraining *w, as_err *err) {
    if (w->j->pseudo == 0 || w->s.heldout.n > 0) return AS_OK;
    (void)as_fail(err, AS_USAGE, "%s: holds no text out that --pseudo-perplexity could score", w->s.corpus_dir);
    as_hint(err, "Make the corpus with assay data corpus --heldout 0.01.");
    return AS_USAGE;
}

static as_status validate(void *ctx, int64_t step, double epoch, double train_loss, double *score, as_err *err) {
    pretraining *w = ctx;
    as_progress_clear(&w->progress);
    AS_TRY(score_heldout(w, w->j->job.comm, err));
    const as_pretrain_part *p = &w->out->heldout[0];
    *score = -p->loss.value;
    if (w->log) AS_TRY(as_pretrain_log_evaluation(w->log, step, epoch, train_loss, w->out->heldout, err));
    as_log_line(w->j->job.log, AS_INFO, "step %" PRId64 ", epoch %.2f: train loss %.4f, held out %.4f [%.4f, %.4f], perplexity %.2f, accuracy %.4f", step, epoch, train_loss,
                p->loss.value, p->loss.low, p->loss.high, exp(p->loss.value), p->accuracy.value);
    return AS_OK;
}
static as_status log_step(void *ctx, const as_train_step *s, as_err *err) {
    pretraining *w = ctx;
    w->out->steps = s->step, w->out->tokens += (double)s->tokens;
    snprintf(w->doing, sizeof w->doing, "pre-train, loss %.3f", s->loss);
    if (!w->log) return AS_OK; /* rank 0 keeps it */
    if (s->step == 1) AS_TRY(as_pretrain_log_cut(w->log, 0, err)); /* a run that was killed before its first checkpoint */
    return as_pretrain_log_step(w->log, s, err);
}
static as_status at_checkpoint(void *ctx, int64_t step, bool resumed, as_err *err) {
    pretraining *w = ctx;
    if (!w->log) return AS_OK;
    return resumed ? as_pretrain_log_cut(w->log, step, err) : as_pretrain_log_flush(w->log, err);
}

/* --- the store --- */
static as_status begin_run(pretraining *w, const char *config, as_err *err) {
    const as_job *j = &w->j->job;
    if (!j->db || !as_comm_leads(j->comm)) return AS_OK;
    AS_TRY(as_store_open(&w->store, j->db, err));
    char *model = as_display_name(w->j->out);
    const as_run_key k = {.command = "pretrain", .key = w->identity, .config_json = config, .model = model ? model : "", .task = w->s.corpus_name,
                          .dtype = j->dtype == AS_COMPUTE_BF16 ? "bf16" : "f32", .isa = as_isa_name(as_engine_isa(w->s.ses.engine))};
    const as_status s = as_store_run_begin(w->store, &k, j->again, &w->run, err);
    as_free(model);
    w->out->run = w->run.id;
    return s;
}
static as_status put_over(const pretraining *w, const char *metric, const char *method, as_heldout_mean m, as_err *err) {
    const as_aggregate a = {.metric = metric, .signature = metric, .method = method, .why = "", .value = m.value, .low = m.low, .high = m.high,
                            .level = w->j->job.level, .n = m.count};
    return as_store_aggregate_put(w->store, w->run.id, &a, err);
}
static as_status put(const pretraining *w, const char *metric, as_heldout_mean m, as_err *err) { return put_over(w, metric, "ratio, t over rows", m, err); }
static as_status put_pseudo(const pretraining *w, as_err *err) {
    return w->j->pseudo == 0 ? AS_OK : put_over(w, "pseudo_perplexity", "ratio, t over sequences", as_heldout_perplexity(w->out->pseudo), err);
}
static as_status end_run(pretraining *w, as_err *err) {
    if (!w->store) return AS_OK;
    if (w->run.state == AS_RUN_DONE) return put_pseudo(w, err); /* may be asked for afterwards */
    const as_pretrain_part *p = w->out->heldout;
    const as_heldout_mean l = p[0].loss, perplexity = as_heldout_perplexity(l);
    if (p[0].name) {
        AS_TRY(put(w, "loss", l, err));
        AS_TRY(put(w, "perplexity", perplexity, err));
        AS_TRY(put(w, "accuracy", p[0].accuracy, err));
    }
    if (p[1].name) {
        AS_TRY(put(w, "second_loss", p[1].loss, err));
        AS_TRY(put(w, "second_accuracy", p[1].accuracy, err));
    }
    if (w->out->bits_per_byte.count > 0) AS_TRY(put(w, "bits_per_byte", w->out->bits_per_byte, err));
    if (w->out->auc.count > 0) AS_TRY(put_over(w, "auc", "Obuchowski, t over rows", w->out->auc, err));
    AS_TRY(put_pseudo(w, err));
    as_buf json = {0};
    as_status s = as_run_cost_json(&json, &(as_run_cost){.seconds = w->out->seconds, .train_seconds = w->out->seconds, .peak_bytes = w->out->peak_bytes}, err);
    if (s == AS_OK) s = as_store_run_end(w->store, w->run.id, AS_RUN_DONE, json.p, err);
    as_buf_free(&json);
    return s;
}

/* --- the command --- */
/* The loss went wrong: the model holds the newest good checkpoint, which is saved as the result so far. */
static as_status keep_good(pretraining *w, const as_trained *done, as_err *err) {
    as_err first = err ? *err : (as_err){0}, unseen;
    if (!done->rolled_back) {
        as_log_line(w->j->job.log, AS_WARN, "there was no checkpoint yet to go back to");
        return AS_NUMERIC;
    }
    if (save(w, &unseen) == AS_OK)
        as_log_line(w->j->job.log, AS_WARN, "%s: holds the weights of step %" PRId64 ", the last good checkpoint", w->j->out, done->steps);
    if (err) *err = first;
    return AS_NUMERIC;
}

static as_status train(pretraining *w, as_err *err) {
    as_comm *comm = w->j->job.comm;
    const as_trainer tr = {.comm = comm, .model = w->s.ses.model, .recipe = &w->recipe, .objective = &w->s.train, .state_dir = w->state_dir, .keep = w->j->keep,
                           .checkpoint_steps = w->j->checkpoint_steps, .guard = true, .recompute = w->j->recompute, .identity = w->identity,
                           .validate = w->s.heldout.n > 0 ? validate : NULL, .log = log_step, .checkpoint = at_checkpoint, .ctx = w, .stop = as_interrupted,
                           .progress = &w->progress};
    as_trained done;
    as_status s = mark(w, NULL, err);
    if (s == AS_OK && as_comm_leads(comm)) s = as_pretrain_log_open(&w->log, w->j->out, w->store, w->run.id, err);
    AS_TRY(as_comm_agree(comm, s, err));
    snprintf(w->doing, sizeof w->doing, "pre-train");
    as_progress_begin(&w->progress, w->j->job.progress_fd, w->j->job.progress_fd < 0, w->doing, w->out->plan.steps);
    w->progress.unit = "steps";
    s = as_train(&tr, &done, err);
    as_progress_end(&w->progress);
    if (s == AS_NUMERIC && as_comm_leads(comm)) s = keep_good(w, &done, err);
    if (s == AS_OK) w->out->steps = done.steps, s = score_pseudo(w, comm, err);
    if (!as_comm_leads(comm)) return s;
    if (s != AS_OK) {
        as_err unseen; /* the first error is the one to tell */
        if (as_pretrain_log_flush(w->log, &unseen) != AS_OK) return s;
        return s;
    }
    as_pretrain_result *o = w->out;
    o->train_loss = done.loss, o->seconds = done.seconds, o->resumed = done.resumed;
    AS_TRY(save(w, err));
    o->peak_bytes = as_peak_memory();
    AS_TRY(score_more(w, err));
    AS_TRY(mark(w, &done, err));
    AS_TRY(as_pretrain_log_flush(w->log, err));
    if (w->s.model_dir) as_dir_remove(w->s.model_dir);
    as_dir_remove(w->state_dir);
    return end_run(w, err);
}

static as_status repeat(pretraining *w, as_err *err) {
    as_pretrain_job again = *w->j;
    w->out->from_store = true;
    again.job.comm = NULL, again.job.model = w->j->out, again.config = again.shape = NULL;
    as_pretrain_start_close(&w->s);
    AS_TRY(as_pretrain_start_open(&w->s, &again, err));
    AS_TRY(score_heldout(w, NULL, err));
    AS_TRY(score_pseudo(w, NULL, err));
    AS_TRY(score_more(w, err));
    return end_run(w, err);
}

/* More processes than shards is told before anything is written. */
static as_status check_ranks(const pretraining *w, as_err *err) {
    as_shares s;
    return as_shares_init(&s, w->j->job.comm, (int)w->out->plan.shards, err);
}
static as_status open_start(pretraining *w, as_err *err) {
    AS_TRY(check_pseudo(w, err));
    AS_TRY(as_pretrain_start_open(&w->s, w->j, err));
    AS_TRY(check_heldout(w, err));
    plan(w);
    AS_TRY(check_ranks(w, err));
    return w->j->job.dry_run ? AS_OK : check_memory(w, err);
}
/* Rank 0 lays down the folder that a new model begins in, the others read it. */
static as_status open_in_turn(pretraining *w, as_err *err) {
    as_comm *comm = w->j->job.comm;
    AS_TRY(as_comm_agree(comm, as_comm_leads(comm) ? open_start(w, err) : AS_OK, err));
    return as_comm_agree(comm, as_comm_leads(comm) ? AS_OK : open_start(w, err), err);
}
static as_status begin(pretraining *w, bool *finished, as_err *err) {
    as_buf config = {0};
    as_status s = identify(w, &config, err);
    if (s == AS_OK && as_comm_leads(w->j->job.comm)) s = check_out(w, finished, err);
    if (s == AS_OK) s = begin_run(w, config.p, err);
    as_buf_free(&config);
    AS_TRY(s);
    if (!(w->state_dir = as_path_join(w->j->out, "training"))) return as_fail_nomem(err, "a path", 0);
    return AS_OK;
}

static as_status pretrain(pretraining *w, as_err *err) {
    as_comm *comm = w->j->job.comm;
    bool finished = false;
    if (!w->j->out) return as_fail(err, AS_USAGE, "pretrain: no folder for the result (--out)");
    AS_TRY(open_in_turn(w, err));
    if (w->j->job.dry_run) {
        if (w->s.model_dir && as_comm_leads(comm)) as_dir_remove(w->s.model_dir);
        return AS_OK;
    }
    AS_TRY(as_comm_agree(comm, begin(w, &finished, err), err));
    as_comm_broadcast(comm, &finished, sizeof finished);
    if (finished) return as_comm_leads(comm) ? repeat(w, err) : AS_OK;
    if (w->j->job.again && as_comm_leads(comm)) as_dir_remove(w->state_dir);
    as_log_line(w->j->job.log, AS_INFO, "%" PRId64 " parameters, %" PRId64 " steps, %.3g tokens, %.3g FLOPs: about %.0f s and %.0f MB of memory", w->out->plan.parameters,
                w->out->plan.steps, w->out->plan.tokens, w->out->plan.flops, w->out->plan.seconds, (double)w->out->plan.bytes / 1e6);
    return train(w, err);
}

as_status as_run_pretrain(const as_pretrain_job *j, as_pretrain_result *out, as_err *err) {
    memset(out, 0, sizeof *out);
    pretraining w = {.j = j, .out = out, .recipe = j->recipe};
    const as_status s = as_comm_agree(j->job.comm, pretrain(&w, err), err);
    as_pretrain_log_close(w.log);
    as_store_close(w.store);
    as_pretrain_start_close(&w.s);
    as_free(w.each), as_free(w.state_dir);
    return s;
}
