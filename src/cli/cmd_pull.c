#include "cli/job_options.h"
#include "io/hub.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* One line on a terminal, in bytes. */
typedef struct bar {
    bool on, drawn;
    double started;
    uint64_t before; /* bytes at the first call: what an earlier pull had fetched */
} bar;

static void clear(bar *b) {
    if (b->drawn) fputs("\r\033[K", stderr);
    b->drawn = false;
}
static void draw(void *ctx, const char *file, uint64_t done, uint64_t total) {
    enum { BAR = 20 };
    bar *b = ctx;
    struct winsize w;
    if (!b->on) return;
    if (b->started == 0) b->started = as_clock(), b->before = done;
    const double elapsed = as_clock() - b->started, speed = elapsed > 0 && done > b->before ? (double)(done - b->before) / elapsed : 0;
    const int columns = ioctl(2, TIOCGWINSZ, &w) == 0 && w.ws_col > 0 ? w.ws_col : 80;
    const int filled = total > 0 ? (int)((double)done / (double)total * BAR) : 0;
    as_buf line = {0}, cut = {0};
    as_buf_str(&line, "  ");
    for (int i = 0; i < BAR; i++) as_buf_str(&line, i < filled ? "━" : i == filled ? "╸" : "─");
    as_buf_fmt(&line, "  %s of %s", as_out_bytes(done).s, as_out_bytes(total).s);
    if (speed > 0) as_buf_fmt(&line, "  %s/s  %s left", as_out_bytes((uint64_t)speed).s, as_out_time((double)(total - done) / speed).s);
    as_buf_fmt(&line, "  %s", file);
    as_out_cut(&cut, as_buf_view(&line), columns - 1);
    if (!cut.failed && !line.failed) fprintf(stderr, "\r%s\033[K", cut.p);
    fflush(stderr);
    b->drawn = true;
    as_buf_free(&line), as_buf_free(&cut);
}

/* A note must not stand behind the bar. */
typedef struct noted { bar *b; const as_log *log; } noted;
static void write_note(void *ctx, as_level level, const char *line) {
    const noted *n = ctx;
    clear(n->b);
    as_log_line(n->log, level, "%s", line);
}

static void print(as_cli *c, const as_hub_pulled *p) {
    as_grid g;
    as_grid_init(&g, "ll", 0);
    as_grid_cell(&g, AS_LIT("pulled")), as_grid_fmt(&g, "%s, revision %s, commit %.12s", p->id, p->revision, p->commit);
    as_grid_cell(&g, AS_LIT("files"));
    if (p->offline)
        as_grid_fmt(&g, "%" PRId64 ", %s; offline, so this is what the cache holds", p->files, as_out_bytes(p->bytes).s);
    else if (p->fetched == 0)
        as_grid_fmt(&g, "%" PRId64 ", %s, all of them in the cache before", p->files, as_out_bytes(p->bytes).s);
    else
        as_grid_fmt(&g, "%" PRId64 ", %s; %s fetched", p->files, as_out_bytes(p->bytes).s, as_out_bytes(p->fetched_bytes).s);
    as_grid_cell(&g, AS_LIT("folder")), as_grid_cell(&g, as_str_of(p->dir));
    as_grid_print(&g, &c->out.buf);
}
static void print_json(as_cli *c, const as_hub_pulled *p) {
    as_buf *b = &c->out.buf;
    const struct { const char *key, *value; } texts[] = {{"repo", p->id}, {"revision", p->revision}, {"commit", p->commit}, {"folder", p->dir}};
    as_buf_str(b, "{\"kind\":\"pull\"");
    for (size_t i = 0; i < AS_COUNT(texts); i++) {
        as_buf_fmt(b, ",\"%s\":", texts[i].key);
        as_buf_json_str(b, as_str_of(texts[i].value));
    }
    as_buf_fmt(b, ",\"files\":%" PRId64 ",\"bytes\":%" PRIu64 ",\"fetched\":%" PRId64 ",\"fetched_bytes\":%" PRIu64 ",\"offline\":%s}\n", p->files,
               p->bytes, p->fetched, p->fetched_bytes, p->offline ? "true" : "false");
}

as_status as_cmd_pull(as_cli *c, as_err *err) {
    const as_options *o = &c->p.o;
    const char *no_bars = getenv("HF_HUB_DISABLE_PROGRESS_BARS");
    bar b = {.on = !o->quiet && isatty(2) == 1 && !(no_bars && *no_bars && strcmp(no_bars, "0") != 0)};
    noted n = {&b, &c->log};
    const as_log log = {write_note, &n};
    const as_hub_opts opts = {.kind = o->dataset ? AS_HUB_DATASET : AS_HUB_MODEL,
                              .revision = o->revision,
                              .patterns = o->pull_files.v,
                              .pattern_count = o->pull_files.count,
                              .log = &log,
                              .progress = draw,
                              .progress_ctx = &b,
                              .stop = as_interrupted};
    as_hub_pulled p;
    const as_status s = as_hub_pull(&p, c->p.args[0], &opts, err);
    clear(&b);
    if (s == AS_OK && o->json) print_json(c, &p);
    if (s == AS_OK && !o->json) print(c, &p);
    as_hub_pulled_free(&p);
    return s;
}
