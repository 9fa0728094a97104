/* metric_name.c: the syntax of metric names and of lists of them. */
#include "base/mem.h"
#include "metric/family.h"

#include <string.h>

static bool is_blank(char c) {
    return c == ' ' || c == '\t';
}

static as_str trim(as_str s) {
    while (s.n > 0 && is_blank(s.p[0]))
        s.p++, s.n--;
    while (s.n > 0 && is_blank(s.p[s.n - 1]))
        s.n--;
    return s;
}

static as_status syntax_error(as_err *err, as_str text, const char *what) {
    (void)as_fail(err, AS_USAGE, "metric \"%.*s\": %s", (int)(text.n < 200 ? text.n : 200), text.p,
                  what);
    as_hint(err, "Write a metric as NAME, NAME:ARGUMENT or NAME(ARGUMENT,...), such as f1(macro).");
    return AS_USAGE;
}

/* End of a quoted string that starts at s[at]; the position after its closing quote, or s.n when
 * there is none. */
static size_t skip_quoted(as_str s, size_t at, bool *closed) {
    *closed = false;
    for (at++; at < s.n; at++)
        if (s.p[at] == '\\' && at + 1 < s.n)
            at++;
        else if (s.p[at] == '"')
            return *closed = true, at + 1;
    return s.n;
}

/* Position of the first `stop` outside parentheses and quotes, or s.n; *balanced false when a
 * bracket or quote is open. A quote opens a string only where a value starts (after ':', ',' or
 * '('), so that labels such as 5" need none. */
static size_t find_outside(as_str s, char stop, bool *balanced) {
    int depth = 0;
    bool closed = true;
    for (size_t i = 0; i < s.n;) {
        const char c = s.p[i], before = i > 0 ? s.p[i - 1] : ',';
        if (c == '"' && strchr(":,(", before)) {
            i = skip_quoted(s, i, &closed);
            continue;
        }
        if (c == stop && depth == 0) return *balanced = true, i;
        if (c == '(') depth++;
        if (c == ')' && --depth < 0) return *balanced = false, s.n;
        i++;
    }
    *balanced = depth == 0 && closed;
    return s.n;
}

/* A value's text, without its quotes and escapes (only \" and \\ are). NULL when out of memory. */
static char *unquote(as_str s) {
    if (s.n < 2 || s.p[0] != '"' || s.p[s.n - 1] != '"') return as_strndup(s.p, s.n);
    char *out = as_alloc(s.n, 1);
    if (!out) return NULL;
    size_t n = 0;
    for (size_t i = 1; i + 1 < s.n; i++) {
        if (s.p[i] == '\\' && i + 2 < s.n) i++;
        out[n++] = s.p[i];
    }
    out[n] = '\0';
    return out;
}

static as_status add_arg(as_metric_name *out, as_str arg, as_str whole, as_err *err) {
    arg = trim(arg);
    if (arg.n == 0) return syntax_error(err, whole, "an argument is empty");
    if (out->count == AS_MOST_METRIC_ARGS) return syntax_error(err, whole, "too many arguments");
    const char *colon = memchr(arg.p, ':', arg.n);
    const as_str key = colon ? trim((as_str){arg.p, (size_t)(colon - arg.p)}) : arg;
    char **at_key = &out->args[out->count].key, **at_value = &out->args[out->count].value;
    out->count++;
    *at_key = as_strndup(key.p, key.n);
    if (!*at_key) return as_fail_nomem(err, "a metric's name", key.n);
    if (!colon) return AS_OK;
    const as_str value = trim((as_str){colon + 1, arg.n - (size_t)(colon + 1 - arg.p)});
    if (value.n == 0) return syntax_error(err, whole, "an argument has no value after its colon");
    *at_value = unquote(value);
    return *at_value ? AS_OK : as_fail_nomem(err, "a metric's name", value.n);
}

static as_status add_args(as_metric_name *out, as_str args, as_str whole, as_err *err) {
    for (;;) {
        bool balanced;
        const size_t end = find_outside(args, ',', &balanced);
        if (!balanced) return syntax_error(err, whole, "parentheses or quotes are not closed");
        AS_TRY(add_arg(out, (as_str){args.p, end}, whole, err));
        if (end == args.n) return AS_OK;
        args.p += end + 1;
        args.n -= end + 1;
    }
}

as_status as_metric_name_parse(as_metric_name *out, const char *text, as_err *err) {
    memset(out, 0, sizeof *out);
    const as_str whole = trim(as_str_of(text));
    size_t n = 0;
    while (n < whole.n && whole.p[n] != '(' && whole.p[n] != ':')
        n++;
    const as_str base = trim((as_str){whole.p, n});
    if (base.n == 0) return syntax_error(err, whole, "the name is empty");
    as_status status = AS_OK;
    out->base = as_strndup(base.p, base.n);
    if (!out->base) return as_fail_nomem(err, "a metric's name", base.n);
    if (n < whole.n && whole.p[n] == ':') {
        status = add_args(out, (as_str){whole.p + n + 1, whole.n - n - 1}, whole, err);
    } else if (n < whole.n && whole.p[whole.n - 1] != ')') {
        status = syntax_error(err, whole, "the closing parenthesis is missing");
    } else if (n < whole.n) {
        const as_str args = trim((as_str){whole.p + n + 1, whole.n - n - 2});
        if (args.n > 0) status = add_args(out, args, whole, err);
    }
    if (status != AS_OK) as_metric_name_free(out);
    return status;
}

void as_metric_name_free(as_metric_name *name) {
    as_free(name->base);
    for (int i = 0; i < name->count; i++) {
        as_free(name->args[i].key);
        as_free(name->args[i].value);
    }
    memset(name, 0, sizeof *name);
}

void as_metric_put_label(as_buf *out, const char *label) {
    const size_t n = strlen(label);
    const bool plain =
        n > 0 && !strpbrk(label, ",()\"") && !is_blank(label[0]) && !is_blank(label[n - 1]);
    if (plain) {
        as_buf_str(out, label);
        return;
    }
    as_buf_char(out, '"');
    for (size_t i = 0; i < n; i++) {
        if (label[i] == '"' || label[i] == '\\') as_buf_char(out, '\\');
        as_buf_char(out, label[i]);
    }
    as_buf_char(out, '"');
}

/* ---- lists ---- */

static as_status push_name(char ***names, size_t *count, size_t *cap, as_str name, as_err *err) {
    char *copy = as_strndup(name.p, name.n);
    if (!copy || !as_grow(names, cap, *count + 1, sizeof **names)) {
        as_free(copy);
        return as_fail_nomem(err, "a list of metrics", name.n);
    }
    (*names)[(*count)++] = copy;
    return AS_OK;
}

as_status as_metric_list_split(const char *list, char ***names, size_t *count, as_err *err) {
    *names = NULL;
    *count = 0;
    size_t cap = 0;
    as_str rest = as_str_of(list);
    for (;;) {
        bool balanced;
        const size_t end = find_outside(rest, ',', &balanced);
        const as_str name = trim((as_str){rest.p, end});
        as_status status = AS_OK;
        if (!balanced)
            status = syntax_error(err, name, "parentheses or quotes are not closed");
        else if (name.n == 0)
            status = syntax_error(err, as_str_of(list), "a name in the list is empty");
        else
            status = push_name(names, count, &cap, name, err);
        if (status != AS_OK) {
            as_metric_list_free(*names, *count);
            *names = NULL;
            *count = 0;
            return status;
        }
        if (end == rest.n) return AS_OK;
        rest.p += end + 1;
        rest.n -= end + 1;
    }
}

void as_metric_list_free(char **names, size_t count) {
    for (size_t i = 0; i < count; i++)
        as_free(names[i]);
    as_free(names);
}

/* "f1(per-class)", "f1:per-class", "f1_per_class": the part before, else 0. */
static size_t per_class_base(const char *name) {
    static const char *const forms[] = {"(per-class)", ":per-class", "_per_class", "(per_class)",
                                        ":per_class"};
    const size_t n = strlen(name);
    for (size_t i = 0; i < AS_COUNT(forms); i++) {
        const size_t m = strlen(forms[i]);
        if (n > m && strcmp(name + n - m, forms[i]) == 0) return n - m;
    }
    return 0;
}

as_status as_metric_expand(const char *name, const char *const *label_names, int num_labels,
                           char ***names, size_t *count, as_err *err) {
    *names = NULL;
    *count = 0;
    size_t cap = 0;
    const size_t base = per_class_base(name);
    as_status status = base == 0 ? push_name(names, count, &cap, as_str_of(name), err) : AS_OK;
    for (int i = 0; base > 0 && i < num_labels && status == AS_OK; i++) {
        as_buf b = {0};
        as_buf_add(&b, name, base);
        as_buf_str(&b, "(class:");
        if (label_names)
            as_metric_put_label(&b, label_names[i]);
        else
            as_buf_fmt(&b, "%d", i);
        as_buf_char(&b, ')');
        status = b.failed ? as_fail_nomem(err, "a list of metrics", base)
                          : push_name(names, count, &cap, as_buf_view(&b), err);
        as_buf_free(&b);
    }
    if (status != AS_OK) {
        as_metric_list_free(*names, *count);
        *names = NULL;
        *count = 0;
    }
    return status;
}
