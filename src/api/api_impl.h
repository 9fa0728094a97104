/* api_impl.h: what the files of src/api know of an open model. */
#ifndef AS_API_IMPL_H
#define AS_API_IMPL_H

#include "run/finetune.h"

struct assay_model {
    as_session ses;
    as_job job;
    as_log log;
    void (*write)(void *ctx, const char *line);
    void *write_ctx;
    bool named;              /* its labels have names of their own */
    /* the loop in the caller's hands (api_loop.c) */
    assay_optimizer *optimizer; /* the one open on this model, or NULL */
    assay_batches *batches;     /* list of those cut for it */
    as_ctx pass;                /* the newest forward pass; its engine is NULL before the first */
    float *logits;              /* [labels_cap] its answers, in the order of the batch */
    size_t logits_cap;
    bool training;              /* forward keeps a tape and drops out */
    bool pending;               /* a tape waits for assay_backward */
};

/* The records with the model's label ids. A model whose labels have no names of their own takes those of the data. */
as_status as_api_records(assay_model *m, const assay_data *d, as_records *r, as_err *err) AS_CHECKED;
/* Bring the weights that an open optimizer updates lazily up to date: before anything reads them all. */
void as_api_settle(const assay_model *m);
/* Part the model from its optimizer and batches, which may be freed after it. */
void as_api_loop_close(assay_model *m);
#endif
