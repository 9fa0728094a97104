/* corpus_summary.c: what the manifest says of how a corpus was made. */
#include "base/mem.h"
#include "data/corpus_build.h"
#include "data/corpus_shard.h"
#include "io/json.h"
#include <math.h>
#include <string.h>

static as_rule_drop drop_of(const as_json *row) {
    return (as_rule_drop){as_json_int(as_json_get(row, "docs"), 0), as_json_int(as_json_get(row, "lines"), 0), as_json_int(as_json_get(row, "bytes"), 0)};
}

static void read_rules(as_corpus_summary *s, const as_json *rules) {
    for (size_t i = 0; i < as_json_count(rules); i++) {
        const as_json *const row = as_json_at(rules, i);
        const as_str name = as_json_str(as_json_get(row, "rule"), AS_LIT(""));
        for (int r = 0; r < AS_RULE_COUNT; r++) {
            if (!as_str_is(name, as_rule_at((as_corpus_rule)r)->name)) continue;
            s->drop[r] = drop_of(row);
            s->value[r] = as_json_real(as_json_get(row, "value"), NAN);
        }
    }
}

static void read_parts(as_corpus_summary *s, const as_json *parts) {
    for (int p = 0; p < AS_CORPUS_PARTS; p++) {
        const as_json *const part = as_json_get(parts, as_corpus_part_name((as_corpus_part)p));
        s->docs[p] = as_json_int(as_json_get(part, "docs"), 0);
        s->segments[p] = as_json_int(as_json_get(part, "segments"), 0);
        s->tokens[p] = as_json_int(as_json_get(part, "tokens"), 0);
        s->bytes[p] = as_json_int(as_json_get(part, "bytes"), 0);
        s->shards[p] = (int64_t)as_json_count(as_json_get(part, "shards"));
    }
}

static void fill(as_corpus_summary *s, const as_json *doc) {
    const as_str digest = as_json_str(as_json_get(doc, "digest"), AS_LIT(""));
    const as_json *const source = as_json_get(doc, "source"), *const languages = as_json_get(doc, "languages");
    memcpy(s->digest, digest.p, digest.n < 64 ? digest.n : 64);
    s->built_here = source != NULL;
    s->files = (int64_t)as_json_count(as_json_get(source, "files"));
    s->in_docs = as_json_int(as_json_get(source, "docs"), 0);
    s->in_lines = as_json_int(as_json_get(source, "lines"), 0);
    s->in_bytes = as_json_int(as_json_get(source, "bytes"), 0);
    s->replaced = as_json_int(as_json_get(source, "replaced"), 0);
    s->vocab = as_json_int(as_json_get(doc, "vocab"), 0);
    s->types = as_json_int(as_json_get(doc, "types"), 0);
    s->unk = as_json_int(as_json_get(doc, "unk"), 0);
    read_rules(s, as_json_get(doc, "dropped"));
    read_parts(s, as_json_get(doc, "parts"));
    for (int l = 0; l <= AS_LANGS; l++) {
        const as_json *const row = as_json_get(languages, as_lang_name(l));
        s->lang_docs[l] = as_json_int(as_json_get(row, "docs"), 0);
        s->lang_bytes[l] = as_json_int(as_json_get(row, "bytes"), 0);
    }
}

as_status as_corpus_summary_read(as_corpus_summary *out, const char *dir, as_err *err) {
    as_corpus *c;
    as_json *doc = NULL;
    *out = (as_corpus_summary){0};
    for (int r = 0; r < AS_RULE_COUNT; r++) out->value[r] = NAN;
    AS_TRY(as_corpus_open(&c, dir, err)); /* whatever is wrong with the corpus is said here */
    as_corpus_close(c);
    char *const path = as_path_join(dir, "corpus.json");
    if (path == NULL) return as_fail_nomem(err, "a path", strlen(dir));
    const as_status s = as_json_read(&doc, path, err);
    as_free(path);
    if (s == AS_OK) fill(out, doc);
    as_json_free(doc);
    return s;
}
