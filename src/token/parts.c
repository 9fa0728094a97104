/* parts.c: reading the parts of a tokenizer.json: types by name, settings with their checks,
 * Sequences. */
#include "token/internal.h"

#include <inttypes.h>
#include <string.h>

void *as_load_push(as_loader *ld, size_t count, size_t size, as_err *err) {
    void *p = as_arena_push_zero(&ld->t->arena, count, size);
    if (p == NULL) (void)as_fail_nomem(err, "tokenizer", count * size);
    return p;
}

static as_status wrong(as_loader *ld, const char *key, const char *want, as_err *err) {
    return as_fail(err, AS_FORMAT, "%s: \"%s\" must be %s", ld->where, key, want);
}

as_status as_load_str(as_loader *ld, as_str *out, const as_json *spec, const char *key,
                      const char *fallback, as_err *err) {
    const as_json *v = as_json_get(spec, key);
    if (as_json_typeof(v) == AS_JSON_NULL && fallback != NULL)
        return *out = as_str_of(fallback), AS_OK;
    if (as_json_typeof(v) != AS_JSON_STRING) return wrong(ld, key, "a string", err);
    const as_str s = as_json_str(v, (as_str){"", 0});
    char *p = as_load_push(ld, s.n + 1, 1, err);
    if (p == NULL) return AS_NOMEM;
    memcpy(p, s.p, s.n);
    *out = (as_str){p, s.n};
    return AS_OK;
}

as_status as_load_bool(as_loader *ld, bool *out, const as_json *spec, const char *key,
                       bool fallback, as_err *err) {
    const as_json *v = as_json_get(spec, key);
    *out = as_json_bool(v, fallback);
    if (as_json_typeof(v) == AS_JSON_BOOL || as_json_typeof(v) == AS_JSON_NULL) return AS_OK;
    return wrong(ld, key, "true or false", err);
}

as_status as_load_int(as_loader *ld, int64_t *out, const as_json *spec, const char *key,
                      int64_t fallback, int64_t low, int64_t high, as_err *err) {
    const as_json *v = as_json_get(spec, key);
    *out = fallback;
    if (as_json_typeof(v) == AS_JSON_NULL) return AS_OK;
    *out = as_json_int(v, low - 1);
    if (as_json_typeof(v) != AS_JSON_INT || *out < low || *out > high)
        return as_fail(err, AS_FORMAT,
                       "%s: \"%s\" must be a whole number from %" PRId64 " to %" PRId64, ld->where,
                       key, low, high);
    return AS_OK;
}

as_status as_load_pattern(as_loader *ld, as_str *out, const as_json *spec, const char *what,
                          as_err *err) {
    const as_json *v = as_json_get(spec, "pattern");
    if (as_json_get(v, "Regex") != NULL) {
        const as_status s = as_fail(err, AS_FORMAT, "%s: %s with a Regex pattern is not supported",
                                    ld->where, what);
        as_hint(err, "Patterns of the form {\"String\": ...} are supported.");
        return s;
    }
    return as_load_str(ld, out, v, "String", NULL, err);
}

static as_status unknown_type(const as_part_kind *kind, as_str name, as_loader *ld, as_err *err) {
    const as_status s = as_fail(err, AS_FORMAT, "%s: %s \"%.*s\" is not supported", ld->where,
                                kind->what, (int)(name.n < 80 ? name.n : 80), name.p);
    char known[400];
    size_t n = 0;
    known[0] = '\0';
    for (size_t i = 0; i < kind->count && n + strlen(kind->types[i].name) + 3 < sizeof known; i++) {
        if (i > 0) memcpy(known + n, ", ", 3), n += 2;
        strcpy(known + n, kind->types[i].name), n += strlen(kind->types[i].name);
    }
    as_hint(err, "The known ones are: %s.", known);
    return s;
}

as_status as_part_parse(as_part *out, const as_part_kind *kind, const as_json *spec, as_loader *ld,
                        as_err *err) {
    *out = (as_part){0};
    if (as_json_typeof(spec) == AS_JSON_NULL) return AS_OK;
    const as_json *type = as_json_get(spec, "type");
    if (as_json_typeof(type) != AS_JSON_STRING)
        return as_fail(err, AS_FORMAT, "%s: the %s has no \"type\"", ld->where, kind->what);
    const as_str name = as_json_str(type, (as_str){"", 0});
    for (size_t i = 0; i < kind->count; i++) {
        if (!as_str_is(name, kind->types[i].name)) continue;
        out->type = &kind->types[i];
        return out->type->parse != NULL ? out->type->parse(out, spec, ld, err) : AS_OK;
    }
    return unknown_type(kind, name, ld, err);
}

/* The depth of nested Sequences is bounded by the JSON reader's limit on depth. */
as_status as_part_parse_children(as_part *self, const as_part_kind *kind, const as_json *spec,
                                 as_loader *ld, as_err *err) {
    const as_json *list = as_json_get(spec, kind->children);
    if (as_json_typeof(list) != AS_JSON_ARRAY) return wrong(ld, kind->children, "a list", err);
    self->count = as_json_count(list);
    self->parts = as_load_push(ld, self->count + 1, sizeof *self->parts, err);
    if (self->parts == NULL) return AS_NOMEM;
    for (size_t i = 0; i < self->count; i++)
        AS_TRY(as_part_parse(&self->parts[i], kind, as_json_at(list, i), ld, err));
    return AS_OK;
}

as_status as_part_run_children(const as_part *self, as_work *w, as_err *err) {
    for (size_t i = 0; i < self->count; i++)
        AS_TRY(as_part_run(&self->parts[i], w, err));
    return AS_OK;
}
