/* model_slots.c: from an architecture's weight table to the parameters of one model. */
#include "base/mem.h"
#include "model/model_impl.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static int64_t dim_size(const as_model *m, as_dim d) {
    const as_config *c = &m->config;
    switch (d) {
    case DIM_1: return 1;
    case DIM_2: return 2;
    case DIM_HIDDEN: return c->hidden;
    case DIM_EMBED: return c->embedding;
    case DIM_QKV: return 3 * c->hidden;
    case DIM_INTER: return c->inter;
    case DIM_VOCAB: return c->vocab;
    case DIM_POSITIONS: return c->max_pos;
    case DIM_TYPES: return c->types;
    case DIM_LABELS: return m->num_labels;
    }
    return 0;
}

/* name with {L} replaced; heap. */
static char *expand_name(const char *name, int64_t layer) {
    if (!name) return NULL;
    const char *at = strstr(name, "{L}");
    if (!at) return as_strdup(name);
    as_buf b = {0};
    as_buf_add(&b, name, (size_t)(at - name));
    as_buf_fmt(&b, "%" PRId64 "%s", layer, at + 3);
    if (b.failed) as_buf_free(&b);
    return b.p;
}

static as_param *place_of(const as_model *m, const as_weight_row *r, int64_t layer) {
    char *base = m->weights;
    if (strstr(r->name, "{L}")) {
        char *layers;
        memcpy(&layers, base + m->arch->layers_at, sizeof layers);
        base = layers + (size_t)layer * m->arch->layer_size;
    }
    return (as_param *)(void *)(base + r->field);
}

/* layer: of a row per layer; of another row, its depth. */
static as_status add_slot(as_model *m, const as_weight_row *r, int64_t layer, as_err *err) {
    as_slot *s = &m->slots[m->slot_count++];
    s->row = r;
    s->name = expand_name(r->name, layer);
    s->alias = expand_name(r->alias, layer);
    if (!s->name || (r->alias && !s->alias)) return as_fail_nomem(err, "weight names", 0);
    s->param = place_of(m, r, layer);
    s->rows = dim_size(m, r->rows), s->cols = dim_size(m, r->cols);
    s->depth = strstr(r->name, "{L}") ? layer + 1 : layer;
    /* a fused bias is one row of `parts` pieces side by side */
    s->at = (int64_t)r->part * (s->rows == 1 ? s->cols : s->rows);
    const int64_t parts = r->parts ? r->parts : 1;
    if (r->part == 0) {
        as_param *p = s->param;
        const bool vector = r->kind != WEIGHT_LINEAR && r->kind != WEIGHT_TABLE;
        *p = (as_param){.name = s->name, .rows = vector ? 1 : s->rows * parts, .cols = vector ? s->cols * parts : s->cols,
                        .trainable = r->piece != PIECE_POOLER || m->opts.head != AS_HEAD_NONE, .decay = !vector, .index = (int)m->param_count};
        m->params[m->param_count++] = p;
    }
    return AS_OK;
}

as_status as_model_expand(as_model *m, as_err *err) {
    const as_arch *a = m->arch;
    const size_t most = a->row_count * (size_t)m->config.layers;
    m->weights = as_calloc(1, a->weights_size);
    void *layers = as_calloc((size_t)m->config.layers, a->layer_size);
    m->slots = as_calloc(most, sizeof *m->slots);
    m->params = as_calloc(most, sizeof *m->params);
    if (m->weights && layers) memcpy((char *)m->weights + a->layers_at, &layers, sizeof layers);
    else as_free(layers);
    if (!m->weights || !layers || !m->slots || !m->params) return as_fail_nomem(err, "the model's tables", most * sizeof *m->slots);
    bool layered = false; /* the layers' rows are behind us */
    for (size_t i = 0; i < a->row_count;) {
        if (!strstr(a->rows[i].name, "{L}")) {
            if (m->pieces & (int)a->rows[i].piece) AS_TRY(add_slot(m, &a->rows[i], layered ? m->config.layers + 1 : 0, err));
            i++;
            continue;
        }
        /* a run of per-layer rows: all of one layer, then the next layer */
        size_t end = i;
        while (end < a->row_count && strstr(a->rows[end].name, "{L}")) end++;
        for (int64_t l = 0; l < m->config.layers; l++)
            for (size_t r = i; r < end; r++) AS_TRY(add_slot(m, &a->rows[r], l, err));
        i = end;
        layered = true;
    }
    return AS_OK;
}
