/* pair.c: ELECTRA's generator beside its discriminator, as one model to train. Clark et al. 2020, section 3.2: the generator is a
 * masked LM of a quarter of the width; both have the same embeddings (and their norm), which exist once. To the optimiser the pair is
 * one list of parameters; saved, the generator is a checkpoint of its own in the folder "generator". */
#include "base/file.h"
#include "base/mem.h"
#include "model/model_impl.h"
#include <string.h>

enum { NARROWER = 4 };

/* The slot of m for the same row of the table. */
static const as_slot *twin(const as_model *m, const as_slot *s) {
    for (size_t i = 0; i < m->slot_count; i++)
        if (m->slots[i].row == s->row) return &m->slots[i];
    return NULL;
}
static bool is_shared(const as_slot *s) { return s->depth == 0 && s->row->piece == PIECE_BASE; }

/* The generator's embeddings become the discriminator's; its other parameters join the list. */
static as_status join(as_model *m, as_model *g, as_err *err) {
    const size_t most = m->param_count + g->param_count;
    as_param **all = as_realloc(m->params, most, sizeof *all);
    if (!all) return as_fail_nomem(err, "the generator", most * sizeof *all);
    m->params = all;
    m->generator = g;
    if (!(m->pair_names = as_calloc(g->param_count, sizeof *m->pair_names))) return as_fail_nomem(err, "the generator", 0);
    for (size_t i = 0; i < g->slot_count; i++) {
        as_slot *s = &g->slots[i];
        const as_slot *t = is_shared(s) ? twin(m, s) : NULL;
        if (t && (t->rows != s->rows || t->cols != s->cols))
            return as_fail(err, AS_SHAPE, "%s: \"%s\" of the generator is not of the discriminator's shape", g->dir, s->name);
        if (t) *s->param = *t->param;
        if (t || s->row->part != 0) continue;
        as_buf b = {0};
        as_buf_fmt(&b, "generator.%s", s->name);
        if (b.failed) return as_buf_free(&b), as_fail_nomem(err, "the generator", 0);
        s->param->name = m->pair_names[m->pair_count++] = b.p;
        s->param->index = (int)m->param_count;
        m->params[m->param_count++] = s->param;
    }
    m->missing += g->missing;
    return AS_OK;
}

as_status as_model_open_generator(as_model *m, as_err *err) {
    as_model_opts o = {.head = AS_HEAD_MLM, .train = true, .fresh = m->opts.fresh, .seed = m->opts.seed + 1, .log = m->opts.log};
    char *dir = as_path_join(m->dir, "generator"), *file = dir ? as_path_join(dir, "config.json") : NULL;
    as_config c = {0};
    as_model *g = NULL;
    as_status s = file ? AS_OK : as_fail_nomem(err, "a path", 0);
    if (s == AS_OK && as_file_exists(file)) {
        s = as_model_open(&g, m->e, dir, &o, err);
    } else if (s == AS_OK) {
        o.fresh = true;
        s = as_config_narrow(&c, &m->config, NARROWER, err);
        if (s == AS_OK) s = as_model_open_config(&g, m->e, dir, &c, &o, err);
    }
    if (s == AS_OK && g->arch != m->arch) s = as_fail(err, AS_FORMAT, "%s: is a %s model, the discriminator is not", dir, g->arch->model_type);
    if (s == AS_OK) s = join(m, g, err);
    if (s != AS_OK && m->generator != g) as_model_free(g);
    as_free(file), as_free(dir);
    return s;
}

as_model *as_model_generator(const as_model *m) { return m->generator; }
