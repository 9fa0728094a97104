/* info.c: what a checkpoint is and what work with it needs, from its files' headers: no weight is read. */
#include "base/file.h"
#include "base/mem.h"
#include "io/weights.h"
#include "run/session.h"
#include <stdio.h>
#include <string.h>

void as_info_free(as_info *i) {
    for (int k = 0; i->labels && k < i->num_labels; k++) as_free(i->labels[k]);
    as_free(i->labels), as_free(i->model), as_free(i->model_type), as_free(i->architecture), as_free(i->tokenizer), as_free(i->problem);
    memset(i, 0, sizeof *i);
}

static const char *problem_name(const as_config *c) {
    switch (c->problem) {
    case AS_PROBLEM_SINGLE: return "single_label_classification";
    case AS_PROBLEM_MULTI: return "multi_label_classification";
    case AS_PROBLEM_REGRESSION: return "regression";
    default: return c->num_labels == 1 ? "regression" : "single_label_classification"; /* as transformers takes it */
    }
}

static as_status describe(const as_job *j, const as_config *c, const as_weight_files *w, const as_tokenizer *tok, as_info *out, as_err *err) {
    for (size_t i = 0; i < as_weights_count(w); i++) {
        const as_weight_view *v = as_weights_at(w, i);
        if (v->dtype != AS_I64 && v->dtype != AS_I32) out->parameters += v->numel;
        out->file_bytes += (uint64_t)v->numel * as_dtype_size(v->dtype);
    }
    out->layers = c->layers, out->hidden = c->hidden, out->heads = c->heads, out->vocab = c->vocab;
    const int64_t told = as_tokenizer_model_max(tok);
    out->max_length = told > 0 && told < c->max_pos ? told : c->max_pos;
    out->has_classifier = as_files_have_classifier(c, w);
    /* Linear weights are packed copies; tables stay mapped. Training: masters, packs, gradients, two moments. */
    const uint64_t linear = (uint64_t)c->layers * (uint64_t)(4 * c->hidden * c->hidden + 2 * c->hidden * c->inter) * sizeof(float);
    out->inference_bytes = linear + (uint64_t)AS_ROW_MAX * (uint64_t)(8 * c->hidden + 2 * c->inter) * sizeof(float);
    out->training_bytes = (uint64_t)out->parameters * sizeof(float) * 3 + linear * 3;
    out->model = j->model_name ? as_strdup(j->model_name) : as_display_name(j->model), out->model_type = as_strdup(c->model_type), out->architecture = as_strdup(c->architecture);
    out->problem = as_strdup(problem_name(c)), out->tokenizer = as_strdup("WordPiece");
    out->labels = as_calloc((size_t)c->num_labels, sizeof *out->labels);
    if (!out->model || !out->model_type || !out->architecture || !out->problem || !out->tokenizer || !out->labels) return as_fail_nomem(err, "a description", 0);
    out->num_labels = c->num_labels;
    for (int i = 0; i < c->num_labels; i++)
        if (!(out->labels[i] = as_strdup(c->labels[i]))) return as_fail_nomem(err, "labels", 0);
    return AS_OK;
}

as_status as_run_gemm_name(char out[64], const as_job *j, as_err *err) {
    as_engine *e;
    AS_TRY(as_session_engine(&e, j, err));
    snprintf(out, 64, "%s", as_engine_gemm_name(e));
    as_engine_free(e);
    return AS_OK;
}

as_status as_run_describe(const as_job *j, as_info *out, as_err *err) {
    memset(out, 0, sizeof *out);
    as_config c;
    as_weight_files *w = NULL;
    as_session light = {0};
    AS_TRY(as_config_read(&c, j->model, err));
    as_status s = as_weights_open(&w, j->model, err);
    if (s == AS_OK) s = as_session_open_light(&light, j, err);
    if (s == AS_OK) s = describe(j, &c, w, light.tok, out, err);
    if (s == AS_OK) out->tokens_per_second = as_engine_rate(light.engine, c.inter, c.hidden) / (1.33 * as_config_token_flops(&c));
    as_session_close(&light);
    as_weights_close(w);
    as_config_free(&c);
    if (s != AS_OK) as_info_free(out);
    return s;
}
