/* cmd_tasks.c: what can be evaluated by name. */
#include "base/mem.h"
#include "cli/commands.h"
#include "io/json.h"
#include "task/task.h"
#include <inttypes.h>
#include <string.h>

/* Items of a split, -1 when its file is not there. A file that cannot be read is an error. */
static as_status count_items(int64_t *n, const char **path, as_cli *c, const as_task *t, as_split s, as_err *err) {
    as_data_cols cols;
    as_table *table;
    as_err absent = {0};
    *n = -1, *path = NULL;
    if (!t->files[s]) return AS_OK;
    const as_status found = as_task_file(path, t, s, c->p.o.data_dir, &c->arena, &absent);
    if (found != AS_OK) return found == AS_IO ? AS_OK : as_fail(err, found, "%s", absent.msg);
    AS_TRY(as_task_cols(&cols, t, err));
    AS_TRY(as_table_open(&table, *path, &cols.table, err));
    *n = as_table_rows(table);
    as_table_free(table);
    return AS_OK;
}

/* --- JSON --- */
static void json_text(as_buf *b, const char *key, const char *value) {
    as_buf_fmt(b, ",\"%s\":", key);
    if (value)
        as_buf_json_str(b, as_str_of(value));
    else
        as_buf_str(b, "null");
}

static as_status json_labels(as_buf *b, const char *key, const char *list, as_err *err) {
    as_labels l = {0};
    if (list) AS_TRY(as_labels_parse(&l, list, err));
    as_buf_fmt(b, ",\"%s\":[", key);
    for (int i = 0; i < l.count; i++) as_buf_str(b, i ? "," : ""), as_buf_json_str(b, as_str_of(l.names[i]));
    as_buf_char(b, ']');
    as_labels_free(&l);
    return AS_OK;
}

static as_status task_json(as_cli *c, const as_task *t, as_err *err) {
    as_buf *b = &c->out.buf;
    as_buf_str(b, "{\"kind\":\"task\",\"task\":"), as_buf_json_str(b, as_str_of(t->name));
    json_text(b, "about", t->about), json_text(b, "label_kind", t->kind);
    json_text(b, "text", t->text), json_text(b, "pair", t->pair), json_text(b, "label", t->label);
    AS_TRY(json_labels(b, "labels", t->labels, err));
    AS_TRY(json_labels(b, "values", t->values, err));
    json_text(b, "positive", t->positive), json_text(b, "metrics", t->metrics);
    as_buf_str(b, ",\"splits\":{");
    for (int s = 0, any = 0; s < AS_SPLIT_COUNT; s++) {
        const char *path;
        int64_t n;
        AS_TRY(count_items(&n, &path, c, t, (as_split)s, err));
        if (!t->files[s]) continue;
        as_buf_fmt(b, "%s\"%s\":{\"file\":", any++ ? "," : "", as_split_name((as_split)s));
        as_buf_json_str(b, as_str_of(t->files[s]));
        as_buf_fmt(b, ",\"labelled\":%s,\"items\":", t->unlabelled[s] ? "false" : "true");
        if (n < 0)
            as_buf_str(b, "null}");
        else
            as_buf_fmt(b, "%" PRId64 "}", n);
    }
    as_buf_char(b, '}');
    json_text(b, "hub", t->hub), json_text(b, "config", t->config), json_text(b, "licence", t->licence), json_text(b, "cite", t->cite);
    as_buf_str(b, "}\n");
    return AS_OK;
}

/* --- text --- */
/* "Zhang et al. 2015" of "Zhang, Zhao and LeCun 2015, title": the whole stands in `assay tasks NAME`. */
static void short_cite(as_grid *g, const char *cite) {
    const char *year = cite, *name = cite;
    while (year && *year && !(year[0] >= '1' && year[0] <= '2' && strspn(year, "0123456789") == 4)) year += strspn(year, "0123456789") + 1;
    if (!cite || !*year) {
        as_grid_cell(g, cite ? (as_str){cite, strcspn(cite, ",;")} : AS_LIT(""));
        return;
    }
    size_t n = strcspn(name, ",;");
    for (const char *end = strstr(name, " and "); end && (size_t)(end - name) < n; end = NULL) n = (size_t)(end - name);
    for (const char *end = strstr(name, " et al."); end && (size_t)(end - name) < n; end = NULL) n = (size_t)(end - name);
    if (name + n < year)
        as_grid_fmt(g, "%.*s et al. %.4s", (int)n, name, year);
    else
        as_grid_cell(g, (as_str){cite, (size_t)(year - cite) + 4});
}

static as_status list_row(as_grid *g, as_cli *c, const as_task *t, as_err *err) {
    as_grid_cell(g, as_str_of(t->name));
    for (int s = 0; s < AS_SPLIT_COUNT; s++) {
        const char *path;
        int64_t n;
        AS_TRY(count_items(&n, &path, c, t, (as_split)s, err));
        if (!t->files[s])
            as_grid_cell(g, AS_LIT(""));
        else if (n < 0)
            as_grid_cell(g, AS_LIT("-"));
        else
            as_grid_fmt(g, "%s%s", as_out_whole(n).s, t->unlabelled[s] ? "*" : "");
    }
    as_grid_cell(g, as_str_of(t->metrics)), as_grid_cell(g, as_str_of(t->licence)), short_cite(g, t->cite);
    return AS_OK;
}

static void say(as_buf *b, const char *label, const char *text) {
    char head[16];
    if (!text) return;
    memset(head, ' ', 11);
    memcpy(head, label, strlen(label)), head[11] = '\0';
    as_out_wrap(b, head, 11, as_str_of(text));
}

static as_status join(char **out, const char *list, const char *values, as_err *err) {
    as_labels l, v = {0};
    as_buf b = {0};
    AS_TRY(as_labels_parse(&l, list, err));
    as_status s = values ? as_labels_parse(&v, values, err) : AS_OK;
    for (int i = 0; s == AS_OK && i < l.count; i++) {
        as_buf_fmt(&b, "%s%s", i ? ", " : "", l.names[i]);
        if (i < v.count) as_buf_fmt(&b, " (%s in the files)", v.names[i]);
    }
    if (s == AS_OK && (b.failed || !b.p)) s = as_fail_nomem(err, "labels", 0);
    as_labels_free(&l), as_labels_free(&v);
    *out = b.p;
    return s;
}

static as_status show(as_cli *c, const as_task *t, as_err *err) {
    as_buf *b = &c->out.buf;
    say(b, "task", t->name), say(b, "about", t->about), say(b, "kind", t->kind);
    say(b, "text", t->text), say(b, "pair", t->pair), say(b, "label", t->label);
    if (t->labels) {
        char *names = NULL;
        const as_status s = join(&names, t->labels, t->values, err);
        if (s == AS_OK) say(b, "labels", names);
        as_free(names);
        AS_TRY(s);
    }
    say(b, "positive", t->positive), say(b, "metrics", t->metrics);
    bool missing = false;
    for (int s = 0; s < AS_SPLIT_COUNT; s++) {
        const char *path;
        int64_t n;
        as_buf line = {0};
        AS_TRY(count_items(&n, &path, c, t, (as_split)s, err));
        if (!t->files[s]) continue;
        missing = missing || n < 0;
        as_buf_str(&line, n < 0 ? t->files[s] : path);
        as_buf_fmt(&line, n < 0 ? " (not there" : " (%s items", as_out_whole(n).s);
        as_buf_str(&line, t->unlabelled[s] ? ", labels not public)" : ")");
        if (!line.failed) say(b, as_split_name((as_split)s), line.p);
        as_buf_free(&line);
    }
    as_buf hub = {0};
    if (t->hub) as_buf_fmt(&hub, "%s%s%s%s on the Hub", t->hub, t->config ? " (" : "", t->config ? t->config : "", t->config ? ")" : "");
    say(b, "source", hub.p);
    as_buf_free(&hub);
    say(b, "licence", t->licence), say(b, "cite", t->cite), say(b, "file", t->path);
    if (missing) as_log_line(&c->log, AS_INFO, "data that is not there: give its folder with --data-dir DIR, or in the environment variable ASSAY_DATA");
    return AS_OK;
}

static as_status list(as_cli *c, as_err *err) {
    const char *const *names;
    size_t count;
    as_grid g;
    AS_TRY(as_task_names(&names, &count, &c->arena, err));
    as_grid_init(&g, "lrrrlLl", 0);
    static const char *const heads[] = {"task", "train", "dev", "test", "metrics", "licence", "cite"};
    for (size_t i = 0; i < AS_COUNT(heads); i++) as_grid_cell(&g, as_str_of(heads[i]));
    as_status s = AS_OK;
    for (size_t i = 0; i < count && s == AS_OK; i++) {
        as_task t;
        s = as_task_open(&t, names[i], &c->arena, err);
        if (s == AS_OK) s = c->p.o.json ? task_json(c, &t, err) : list_row(&g, c, &t, err);
    }
    as_buf table = {0};
    as_grid_print(&g, &table);
    if (s == AS_OK && !c->p.o.json) as_buf_add(&c->out.buf, table.p ? table.p : "", table.n), c->out.buf.failed = c->out.buf.failed || table.failed;
    as_buf_free(&table);
    return s;
}

as_status as_cmd_tasks(as_cli *c, as_err *err) {
    if (c->p.arg_count == 0) return list(c, err);
    for (int i = 0; i < c->p.arg_count; i++) {
        as_task t;
        AS_TRY(as_task_open(&t, c->p.args[i], &c->arena, err));
        if (i > 0 && !c->p.o.json) as_buf_char(&c->out.buf, '\n');
        AS_TRY(c->p.o.json ? task_json(c, &t, err) : show(c, &t, err));
    }
    return AS_OK;
}
