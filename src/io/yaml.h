/* yaml.h: YAML (libyaml) read into the same tree as JSON, so that every consumer knows one kind of
 * value. Scalars by YAML 1.2 core rules (true/false/null, integers, reals; quoted ones are
 * strings). Anchors/aliases resolved with a node limit; unknown tags (!function) are AS_FORMAT with
 * their line. */
#ifndef AS_IO_YAML_H
#define AS_IO_YAML_H
#include "io/json.h"
as_status as_yaml_parse(as_json **out, as_str text, const char *where, as_err *err) AS_CHECKED;
as_status as_yaml_read(as_json **out, const char *path, as_err *err) AS_CHECKED;
#endif
