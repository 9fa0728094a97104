/* session.h: engine, checkpoint and tokenizer of one job, opened together and checked against each other. */
#ifndef AS_RUN_SESSION_H
#define AS_RUN_SESSION_H

#include "dist/comm.h"
#include "eval/answer.h"
#include "run/job.h"
#include "store/store.h"

typedef struct as_session {
    as_engine *engine;
    as_model *model;
    as_tokenizer *tok;
    int64_t max_length;
} as_session;

/* o: head and labels of the model; log, seed are set from the job. AS_FORMAT when the tokenizer has ids that the embedding has no
 * rows for, AS_USAGE when --max-length is beyond the positions. */
as_status as_session_open(as_session *s, const as_job *j, as_model_opts o, as_err *err) AS_CHECKED;
void as_session_close(as_session *s);
/* Engine and tokenizer alone, without weights. */
as_status as_session_open_light(as_session *s, const as_job *j, as_err *err) AS_CHECKED;

/* The model's labels as as_labels (views into the model), for as_records_open; NULL-like (count 0) for regression. */
as_labels as_session_labels(const as_session *s);
/* Label kind of the model's head. */
as_label_kind as_session_kind(const as_session *s);
/* Token ids, checked against the model's tables. */
as_status as_session_encode(const as_session *s, const as_job *j, const as_records *r, as_encoded *out, as_err *err) AS_CHECKED;
/* The last component of a path, trailing slashes dropped; heap, NULL when out of memory. */
char *as_display_name(const char *path);
/* Digest of what the records say and of the token ids that they became: data, columns, labels, tokenizer, length. */
as_status as_content_digest(char hex[65], const as_records *r, const as_encoded *e, as_err *err) AS_CHECKED;
/* Append what a run was made with and does not depend on, as members of its record: version, products, threads, and SHA-256 of the
 * tokenizer's file and of the program (null where there is none to read). Nothing of it names the host or a path. */
as_status as_session_provenance(as_buf *config, const as_session *s, const as_job *j, as_err *err) AS_CHECKED;
/* Floating-point operations of a token's forward pass, and how many the session does in a second: measured on one micro-batch's worth
 * of the largest product. */
double as_session_token_flops(const as_session *s);
double as_session_rate(as_session *s);
double as_config_token_flops(const as_config *c);
double as_engine_rate(as_engine *e, int64_t n, int64_t k); /* of products with a weight [n, k] */
/* The engine of a job's options. */
as_status as_session_engine(as_engine **out, const as_job *j, as_err *err) AS_CHECKED;
/* Peak resident memory of the process in bytes, since it began or since the reset (Linux). */
uint64_t as_peak_memory(void);
void as_peak_memory_reset(void);
#endif
