#include "cli/job_options.h"
#include <inttypes.h>

static as_status print_vector(void *ctx, int64_t index, as_str text, const float *v, int64_t dim, as_err *err) {
    as_cli *c = ctx;
    as_buf *b = &c->out.buf;
    (void)index;
    if (c->p.o.json) {
        as_buf_str(b, "{\"kind\":\"embedding\",\"text\":");
        as_buf_json_str(b, text);
        as_buf_fmt(b, ",\"dim\":%" PRId64 ",\"vector\":[", dim);
        for (int64_t i = 0; i < dim; i++) {
            if (i) as_buf_char(b, ',');
            as_buf_real(b, (double)v[i]);
        }
        as_buf_str(b, "]}\n");
    } else {
        /* Nine digits give each float back. */
        for (int64_t i = 0; i < dim; i++) as_buf_fmt(b, "%s%.9g", i ? " " : "", (double)v[i]);
        as_buf_char(b, '\n');
    }
    return as_out_flush(&c->out, false, err);
}

as_status as_cmd_embed(as_cli *c, as_err *err) {
    as_job j;
    as_cli_texts texts;
    AS_TRY(as_cli_job(&j, c, c->p.args[0], err));
    AS_TRY(as_cli_texts_open(&texts, c, err));
    as_status s = AS_OK;
    if (texts.n == 0 && !c->p.o.file) {
        s = as_fail(err, AS_USAGE, "embed: no text");
        as_hint(err, "Give texts behind the model, or --file F (- is standard input).");
    } else if (texts.n > 0) {
        s = as_run_embed(&j, texts.v, texts.n, print_vector, c, err);
    }
    as_cli_texts_close(&texts);
    return s;
}
