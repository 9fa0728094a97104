#include "base/utf8.h"
#include "cli/job_options.h"
#include <inttypes.h>

typedef struct filling {
    as_cli *c;
    int masks;
} filling;

static as_status print_mask(void *ctx, const as_fill *top, int count, as_err *err) {
    filling *f = ctx;
    as_buf *b = &f->c->out.buf;
    for (int i = 0; i < count && f->c->p.o.json; i++) {
        as_buf_fmt(b, "{\"kind\":\"fill\",\"mask\":%d,\"rank\":%d,\"id\":%" PRId32 ",\"token\":", top[i].mask, i + 1, top[i].id);
        as_buf_json_str(b, top[i].piece);
        as_buf_str(b, ",\"prob\":");
        as_buf_real(b, top[i].prob);
        as_buf_str(b, "}\n");
    }
    if (!f->c->p.o.json) {
        if (f->masks++ > 0) as_buf_char(b, '\n');
        as_grid g;
        as_grid_init(&g, "rL", 0);
        for (int i = 0; i < count; i++) {
            as_grid_fmt(&g, "%.4f", top[i].prob);
            as_grid_cell(&g, top[i].piece);
        }
        as_grid_print(&g, b);
    }
    return as_out_flush(&f->c->out, false, err);
}

as_status as_cmd_fill(as_cli *c, as_err *err) {
    as_job j;
    as_cli_texts texts;
    filling f = {.c = c};
    AS_TRY(as_cli_job(&j, c, c->p.args[0], err));
    AS_TRY(as_cli_texts_open(&texts, c, err));
    as_status s = AS_OK;
    for (int64_t i = 0; i < texts.n && s == AS_OK; i++) s = as_run_fill(&j, texts.v[i], (int)c->p.o.top, print_mask, &f, err);
    as_cli_texts_close(&texts);
    return s;
}
