#include "base/cpu.h"
#include "base/mem.h"
#include "base/parallel.h"
#include "cli/job_options.h"
#include <inttypes.h>

static void row(as_grid *g, const char *name, const char *value) {
    as_grid_cell(g, as_str_of(name));
    as_grid_cell(g, as_str_of(value));
}

static void machine_text(as_cli *c, as_isa isa, const char *gemm) {
    as_grid g;
    as_grid_init(&g, "lL", 0);
    row(&g, "assay", AS_VERSION);
    row(&g, "processor", as_cpu_name()[0] ? as_cpu_name() : "unknown");
    row(&g, "instructions", as_isa_name(isa));
    row(&g, "products", gemm);
    as_grid_cell(&g, AS_LIT("cores")), as_grid_fmt(&g, "%d", as_cpu_count());
    as_grid_cell(&g, AS_LIT("memory"));
    as_grid_fmt(&g, "%s, %s free", as_out_bytes(as_mem_limit()).s, as_out_bytes(as_mem_available()).s);
    as_grid_print(&g, &c->out.buf);
}
static void machine_json(as_cli *c, as_isa isa, const char *gemm) {
    as_buf *b = &c->out.buf;
    as_buf_str(b, "{\"kind\":\"machine\",\"version\":\"" AS_VERSION "\",\"cpu\":");
    as_buf_json_str(b, as_str_of(as_cpu_name()));
    as_buf_fmt(b, ",\"gemm\":\"%s\"", gemm);
    as_buf_fmt(b, ",\"isa\":\"%s\",\"cores\":%d,\"memory\":%" PRIu64 ",\"memory_free\":%" PRIu64 "}\n", as_isa_name(isa), as_cpu_count(),
               as_mem_limit(), as_mem_available());
}

static void labels_text(as_grid *g, const as_info *i) {
    as_buf b = {0};
    for (int k = 0; k < i->num_labels; k++) as_buf_fmt(&b, "%s%s", k ? ", " : "", i->labels[k]);
    as_grid_cell(g, AS_LIT("labels"));
    as_grid_cell(g, as_buf_view(&b));
    as_buf_free(&b);
}
/* Two digits: it is an estimate. */
static int64_t rounded(double x) {
    double step = 1.0;
    while (x / step >= 100.0) step *= 10.0;
    return (int64_t)(x / step + 0.5) * (int64_t)step;
}
static void model_text(as_cli *c, const as_info *i) {
    as_grid g;
    as_grid_init(&g, "lL", 0);
    as_grid_cell(&g, AS_LIT("model"));
    as_grid_fmt(&g, "%.200s (%s, %s)", i->model, i->model_type, i->architecture && *i->architecture ? i->architecture : "architecture not named");
    row(&g, "parameters", as_out_whole(i->parameters).s);
    as_grid_cell(&g, AS_LIT("shape"));
    as_grid_fmt(&g, "%" PRId64 " layers, %" PRId64 " wide, %" PRId64 " heads", i->layers, i->hidden, i->heads);
    as_grid_cell(&g, AS_LIT("tokenizer"));
    as_grid_fmt(&g, "%s, %s pieces", i->tokenizer ? i->tokenizer : "none", as_out_whole(i->vocab).s);
    as_grid_cell(&g, AS_LIT("longest text")), as_grid_fmt(&g, "%" PRId64 " tokens", i->max_length);
    as_grid_cell(&g, AS_LIT("classifier"));
    as_grid_fmt(&g, "%s", i->has_classifier ? i->problem ? i->problem : "yes" : "none; finetune makes one");
    if (i->has_classifier) labels_text(&g, i);
    row(&g, "weights", as_out_bytes(i->file_bytes).s);
    as_grid_cell(&g, AS_LIT("memory"));
    as_grid_fmt(&g, "about %s to run, %s to train", as_out_bytes(i->inference_bytes).s, as_out_bytes(i->training_bytes).s);
    as_grid_cell(&g, AS_LIT("tokens/s"));
    as_grid_fmt(&g, "about %s to run, %s to train", as_out_whole(rounded(i->tokens_per_second)).s, as_out_whole(rounded(i->tokens_per_second / 3)).s);
    as_grid_print(&g, &c->out.buf);
}
static void string_field(as_buf *b, const char *key, const char *value) {
    as_buf_fmt(b, ",\"%s\":", key);
    if (value)
        as_buf_json_str(b, as_str_of(value));
    else
        as_buf_str(b, "null");
}
static void model_json(as_cli *c, const as_info *i) {
    as_buf *b = &c->out.buf;
    as_buf_str(b, "{\"kind\":\"info\"");
    string_field(b, "model", i->model), string_field(b, "model_type", i->model_type);
    string_field(b, "architecture", i->architecture), string_field(b, "tokenizer", i->tokenizer);
    as_buf_fmt(b, ",\"parameters\":%" PRId64 ",\"layers\":%" PRId64 ",\"hidden\":%" PRId64 ",\"heads\":%" PRId64, i->parameters, i->layers,
               i->hidden, i->heads);
    as_buf_fmt(b, ",\"vocab\":%" PRId64 ",\"max_length\":%" PRId64 ",\"has_classifier\":%s", i->vocab, i->max_length,
               i->has_classifier ? "true" : "false");
    string_field(b, "problem", i->has_classifier ? i->problem : NULL);
    as_buf_str(b, ",\"labels\":[");
    for (int k = 0; k < i->num_labels; k++) {
        if (k) as_buf_char(b, ',');
        as_buf_json_str(b, as_str_of(i->labels[k]));
    }
    as_buf_fmt(b, "],\"file_bytes\":%" PRIu64 ",\"inference_bytes\":%" PRIu64 ",\"training_bytes\":%" PRIu64, i->file_bytes,
               i->inference_bytes, i->training_bytes);
    as_buf_fmt(b, ",\"tokens_per_second\":%" PRId64 ",\"training_tokens_per_second\":%" PRId64 "}\n", rounded(i->tokens_per_second),
               rounded(i->tokens_per_second / 3));
}

as_status as_cmd_info(as_cli *c, as_err *err) {
    as_job j;
    AS_TRY(as_cli_job(&j, c, c->p.arg_count ? c->p.args[0] : NULL, err));
    const as_isa have = as_cpu_detect(), isa = j.isa < have ? j.isa : have;
    if (!j.model) {
        char gemm[64];
        AS_TRY(as_run_gemm_name(gemm, &j, err));
        (c->p.o.json ? machine_json : machine_text)(c, isa, gemm);
        return AS_OK;
    }
    as_info info = {0};
    AS_TRY(as_run_describe(&j, &info, err));
    (c->p.o.json ? model_json : model_text)(c, &info);
    as_info_free(&info);
    return AS_OK;
}
