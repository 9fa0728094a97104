/* compose.c: "{title}: {body}" as a text for each record. */
#include "data/compose.h"
#include "base/mem.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* A column, behind the words before it; col -1 = words alone. */
typedef struct part { as_str words; int col; } part;
enum { PARTS = 32 };

bool as_is_composed(const char *form, const as_table *t) {
    if (!strpbrk(form, "{}")) return false;
    for (int c = 0; c < as_table_cols(t); c++)
        if (as_str_is(as_table_name(t, c), form)) return false;
    return true;
}

static as_status fail_form(const char *form, const char *what, as_err *err) {
    (void)as_fail(err, AS_USAGE, "\"%.200s\": %s", form, what);
    as_hint(err, "Name columns in braces, as in \"{title}: {body}\"; a brace of the text is written twice.");
    return AS_USAGE;
}

/* "{name}" at p; *p moves behind it. */
static as_status read_column(part *out, const char **p, const char *form, const as_table *t, as_err *err) {
    char name[256];
    const size_t n = strcspn(*p + 1, "{}");
    if ((*p)[1 + n] != '}') return fail_form(form, "a { without its }", err);
    if (n == 0 || n >= sizeof name) return fail_form(form, n ? "a column's name is too long" : "no name between { and }", err);
    memcpy(name, *p + 1, n);
    name[n] = '\0';
    *p += n + 2;
    return as_table_find(t, name, &out->col, err);
}

static as_status read_form(part parts[PARTS], int *count, const char *form, const as_table *t, as_err *err) {
    int columns = 0;
    *count = 0;
    for (const char *p = form; *p;) {
        if (*count == PARTS) return fail_form(form, "too many parts", err);
        part *v = &parts[(*count)++];
        const size_t n = strcspn(p, "{}");
        *v = (part){{p, n}, -1};
        p += n;
        if (!*p) break;
        if (p[0] == p[1]) { /* a doubled brace is one, and ends the words */
            v->words.n++, p += 2;
            continue;
        }
        if (*p == '}') return fail_form(form, "a } without its {", err);
        AS_TRY(read_column(v, &p, form, t, err));
        columns++;
    }
    return columns ? AS_OK : fail_form(form, "no column in it", err);
}

static as_status fail_absent(const as_table *t, int64_t row, int col, as_err *err) {
    const as_str name = as_table_name(t, col);
    (void)as_fail(err, AS_FORMAT, "%s:%" PRId64 ": no \"%.*s\"", as_table_path(t), as_table_line(t, row), (int)(name.n < 100 ? name.n : 100), name.p);
    as_hint(err, "Give every record its parts of the text; an empty string is fine.");
    return AS_FORMAT;
}

as_status as_compose(as_composed *out, const char *form, const as_table *t, int64_t n, as_err *err) {
    part parts[PARTS];
    int count;
    AS_TRY(read_form(parts, &count, form, t, err));
    if (!(out->end = as_alloc((size_t)n, sizeof *out->end))) return as_fail_nomem(err, "texts", (size_t)n * sizeof *out->end);
    for (int64_t i = 0; i < n; i++) {
        for (int k = 0; k < count; k++) {
            as_buf_add(&out->text, parts[k].words.p, parts[k].words.n);
            if (parts[k].col < 0) continue;
            if (as_table_is_null(t, i, parts[k].col)) return fail_absent(t, i, parts[k].col, err);
            const as_str cell = as_table_cell(t, i, parts[k].col);
            as_buf_add(&out->text, cell.p, cell.n);
        }
        out->end[i] = out->text.n;
    }
    return out->text.failed ? as_fail_nomem(err, "texts", out->text.n) : AS_OK;
}

void as_composed_free(as_composed *c) {
    as_buf_free(&c->text), as_free(c->end);
    *c = (as_composed){0};
}
