/* options_recipe.c: options from a YAML file: one mapping, keys as on the command line, with dashes or underscores. */
#include "cli/commands.h"
#include "io/yaml.h"
#include <stdio.h>
#include <string.h>

/* A list is what its items would be on the command line, with commas; labels may hold commas and stay JSON. */
static void list_text(as_buf *b, const char *name, const as_json *v) {
    if (strcmp(name, "labels") == 0) {
        as_json_dump(b, v, 0);
        return;
    }
    for (size_t i = 0; i < as_json_count(v); i++) {
        const as_json *item = as_json_at(v, i);
        if (i) as_buf_char(b, ',');
        if (as_json_typeof(item) == AS_JSON_STRING) {
            const as_str s = as_json_str(item, AS_LIT(""));
            as_buf_add(b, s.p, s.n);
        } else {
            as_json_dump(b, item, 0);
        }
    }
}

static as_status set_value(as_parsed *p, size_t row, const char *where, const as_json *v, as_arena *arena, as_err *err) {
    const as_option *rows;
    (void)as_option_table(&rows);
    const as_json_type type = as_json_typeof(v);
    if (rows[row].type == OPTION_FLAG) {
        if (type != AS_JSON_BOOL) return as_fail(err, AS_USAGE, "%s is true or false", where);
        return as_json_bool(v, false) ? as_option_set(p, row, where, NULL, err) : AS_OK;
    }
    if (type == AS_JSON_NULL) return AS_OK;
    if (rows[row].type == OPTION_TEXTS && type == AS_JSON_ARRAY) {
        for (size_t i = 0; i < as_json_count(v); i++) AS_TRY(set_value(p, row, where, as_json_at(v, i), arena, err));
        return AS_OK;
    }
    if (type == AS_JSON_OBJECT) return as_fail(err, AS_USAGE, "%s takes one value, not a mapping", where);
    as_buf b = {0};
    if (type == AS_JSON_STRING) {
        const as_str s = as_json_str(v, AS_LIT(""));
        as_buf_add(&b, s.p, s.n);
    } else if (type == AS_JSON_ARRAY) {
        list_text(&b, rows[row].name, v);
    } else {
        as_json_dump(&b, v, 0);
    }
    char *text = b.failed ? NULL : as_arena_text(arena, as_buf_view(&b));
    as_buf_free(&b);
    return text ? as_option_set(p, row, where, text, err) : as_fail_nomem(err, "the recipe", 0);
}

as_status as_options_recipe(as_parsed *p, const as_command *command, const char *path, as_arena *arena, as_err *err) {
    as_json *root;
    AS_TRY(as_yaml_read(&root, path, err));
    as_status s = AS_OK;
    if (as_json_typeof(root) != AS_JSON_OBJECT) {
        s = as_fail(err, AS_FORMAT, "%s: not a mapping of options", path);
        as_hint(err, "Write one option a line, for example `lr: 3e-5`.");
    }
    for (as_json_iter *it = s == AS_OK ? as_json_first(root) : NULL; it && s == AS_OK; it = as_json_next(root, it)) {
        char name[64], where[1024];
        const as_str key = as_json_iter_key(it);
        const size_t n = key.n < sizeof name - 1 ? key.n : sizeof name - 1;
        for (size_t i = 0; i < n; i++) name[i] = (char)(key.p[i] == '_' ? '-' : key.p[i]);
        name[n] = '\0';
        size_t row = 0;
        s = as_option_find(&row, command, as_str_of(name), path, err);
        if (s == AS_OK && strcmp(name, "recipe") == 0) s = as_fail(err, AS_USAGE, "%s: a recipe cannot name another recipe", path);
        snprintf(where, sizeof where, "%s: %s", path, name);
        if (s == AS_OK) s = set_value(p, row, where, as_json_iter_value(it), arena, err);
    }
    as_json_free(root);
    return s;
}
