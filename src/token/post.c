/* post.c: the post-processors: read into two lists, for one sequence and for two, of what stands
 * where in the result. */
#include "token/internal.h"

#include <inttypes.h>
#include <string.h>

/* Differs: windows get the template's type ids; the library leaves 0 and 1 on the parts that
 * overflowed, which a model with a single token type cannot take. For templates with types 0 and 1
 * the two are the same. */

static as_status sequence_item(as_post *p, int sequence, int64_t type_id) {
    p->items[p->count++] = (as_post_item){.sequence = sequence, .type_id = (int32_t)type_id};
    return AS_OK;
}

as_status as_post_default(as_tokenizer *t, as_err *err) {
    for (int k = 0; k < 2; k++) {
        t->post[k] = (as_post){.items = as_arena_push_zero(&t->arena, 2, sizeof(as_post_item))};
        if (t->post[k].items == NULL)
            return as_fail_nomem(err, "post-processor", sizeof(as_post_item));
        for (int s = 0; s <= k; s++)
            AS_TRY(sequence_item(&t->post[k], s, s));
    }
    return AS_OK;
}

static as_status only_one(as_loader *ld, const char *name, as_err *err) {
    if (ld->t->post_adds)
        return as_fail(err, AS_FORMAT,
                       "%s: post-processor %s: a second one that adds tokens is not supported",
                       ld->where, name);
    ld->t->post_adds = true;
    return AS_OK;
}

static as_status post_room(as_loader *ld, as_post *p, size_t n, as_err *err) {
    *p = (as_post){.items = as_load_push(ld, n + 1, sizeof *p->items, err)};
    return p->items == NULL ? AS_NOMEM : AS_OK;
}

static as_status special_item(as_loader *ld, as_post *p, const int32_t *ids, size_t n,
                              int64_t type_id, as_err *err) {
    int32_t *copy = as_load_push(ld, n + 1, sizeof *copy, err);
    if (copy == NULL) return AS_NOMEM;
    memcpy(copy, ids, n * sizeof *copy);
    p->items[p->count++] =
        (as_post_item){.sequence = -1, .type_id = (int32_t)type_id, .ids = copy, .count = n};
    p->n_special += n;
    return AS_OK;
}

/* ---- BertProcessing, RobertaProcessing ---- */
static as_status read_pair(as_loader *ld, int32_t *id, const as_json *spec, const char *key,
                           as_err *err) {
    const as_json *v = as_json_get(spec, key);
    const int64_t n = as_json_typeof(v) == AS_JSON_ARRAY ? as_json_int(as_json_at(v, 1), -1) : -1;
    if (n < 0 || n >= AS_ID_LIMIT)
        return as_fail(err, AS_FORMAT, "%s: post_processor.%s must be [token, id]", ld->where, key);
    *id = (int32_t)n;
    return AS_OK;
}

/* CLS A SEP, and for two CLS A SEP (SEP) B SEP. */
static as_status cls_sep(as_loader *ld, const as_json *spec, bool roberta, as_err *err) {
    int32_t cls, sep;
    AS_TRY(read_pair(ld, &cls, spec, "cls", err));
    AS_TRY(read_pair(ld, &sep, spec, "sep", err));
    for (int k = 0; k < 2; k++) {
        as_post *p = &ld->t->post[k];
        AS_TRY(post_room(ld, p, 6, err));
        AS_TRY(special_item(ld, p, &cls, 1, 0, err));
        AS_TRY(sequence_item(p, 0, 0));
        AS_TRY(special_item(ld, p, &sep, 1, 0, err));
        if (k == 0) continue;
        if (roberta) AS_TRY(special_item(ld, p, &sep, 1, 0, err));
        AS_TRY(sequence_item(p, 1, roberta ? 0 : 1));
        AS_TRY(special_item(ld, p, &sep, 1, roberta ? 0 : 1, err));
    }
    return AS_OK;
}

static as_status parse_bert(as_part *self, const as_json *spec, as_loader *ld, as_err *err) {
    (void)self;
    AS_TRY(only_one(ld, "BertProcessing", err));
    return cls_sep(ld, spec, false, err);
}

static as_status parse_roberta(as_part *self, const as_json *spec, as_loader *ld, as_err *err) {
    (void)self;
    AS_TRY(only_one(ld, "RobertaProcessing", err));
    AS_TRY(as_load_bool(ld, &ld->t->post_trims, spec, "trim_offsets", true, err));
    AS_TRY(as_load_bool(ld, &ld->t->post_prefix, spec, "add_prefix_space", true, err));
    return cls_sep(ld, spec, true, err);
}

/* ---- TemplateProcessing ---- */
static as_status template_special(as_loader *ld, as_post *p, as_str name, int64_t type_id,
                                  const as_json *specials, as_err *err) {
    const as_json *ids = NULL;
    for (as_json_iter *it = as_json_first(specials); it != NULL; it = as_json_next(specials, it))
        if (as_str_eq(as_json_iter_key(it), name)) ids = as_json_get(as_json_iter_value(it), "ids");
    const size_t n = as_json_count(ids);
    if (as_json_typeof(ids) != AS_JSON_ARRAY)
        return as_fail(
            err, AS_FORMAT,
            "%s: post_processor: the template uses \"%.*s\", which special_tokens does not define",
            ld->where, (int)name.n, name.p);
    int32_t *v = as_load_push(ld, n + 1, sizeof *v, err);
    if (v == NULL) return AS_NOMEM;
    for (size_t i = 0; i < n; i++) {
        const int64_t id = as_json_int(as_json_at(ids, i), -1);
        if (id < 0 || id >= AS_ID_LIMIT)
            return as_fail(err, AS_FORMAT, "%s: post_processor: id of \"%.*s\" is not an id",
                           ld->where, (int)name.n, name.p);
        v[i] = (int32_t)id;
    }
    return special_item(ld, p, v, n, type_id, err);
}

static as_status template_piece(as_loader *ld, as_post *p, const as_json *piece, bool pair,
                                bool seen[2], const as_json *specials, as_err *err) {
    const as_json *seq = as_json_get(piece, "Sequence"),
                  *special = as_json_get(piece, "SpecialToken");
    const as_json *spec = seq != NULL ? seq : special;
    int64_t type_id;
    as_str id;
    if (spec == NULL)
        return as_fail(err, AS_FORMAT,
                       "%s: post_processor: a template piece is neither Sequence nor SpecialToken",
                       ld->where);
    AS_TRY(as_load_int(ld, &type_id, spec, "type_id", 0, 0, INT32_MAX, err));
    AS_TRY(as_load_str(ld, &id, spec, "id", NULL, err));
    if (seq == NULL) return template_special(ld, p, id, type_id, specials, err);
    const int sequence = as_str_is(id, "A") ? 0 : as_str_is(id, "B") ? 1 : -1;
    if (sequence < 0 || sequence > (int)pair)
        return as_fail(err, AS_FORMAT, "%s: post_processor: sequence \"%.*s\" in the %s template",
                       ld->where, (int)id.n, id.p, pair ? "pair" : "single");
    if (seen[sequence])
        return as_fail(err, AS_FORMAT,
                       "%s: post_processor: sequence %.*s twice in one template is not supported",
                       ld->where, (int)id.n, id.p);
    seen[sequence] = true;
    return sequence_item(p, sequence, type_id);
}

static as_status parse_template(as_part *self, const as_json *spec, as_loader *ld, as_err *err) {
    (void)self;
    AS_TRY(only_one(ld, "TemplateProcessing", err));
    const as_json *specials = as_json_get(spec, "special_tokens");
    for (int k = 0; k < 2; k++) {
        const char *key = k == 0 ? "single" : "pair";
        const as_json *list = as_json_get(spec, key);
        if (as_json_typeof(list) != AS_JSON_ARRAY)
            return as_fail(err, AS_FORMAT, "%s: post_processor.%s must be a list", ld->where, key);
        AS_TRY(post_room(ld, &ld->t->post[k], as_json_count(list), err));
        bool seen[2] = {false, false};
        for (size_t i = 0; i < as_json_count(list); i++)
            AS_TRY(template_piece(ld, &ld->t->post[k], as_json_at(list, i), k == 1, seen, specials,
                                  err));
        if (!seen[0] || (k == 1 && !seen[1]))
            return as_fail(err, AS_FORMAT, "%s: post_processor.%s does not hold every sequence",
                           ld->where, key);
    }
    return AS_OK;
}

static as_status parse_sequence(as_part *self, const as_json *spec, as_loader *ld, as_err *err) {
    return as_part_parse_children(self, &as_post_processors, spec, ld, err);
}

static const as_part_type types[] = {
    {"BertProcessing", parse_bert, NULL},
    {"ByteLevel", as_post_byte_level, NULL},
    {"RobertaProcessing", parse_roberta, NULL},
    {"Sequence", parse_sequence, NULL},
    {"TemplateProcessing", parse_template, NULL},
};
const as_part_kind as_post_processors = {"post-processor", "processors", types, AS_COUNT(types)};
