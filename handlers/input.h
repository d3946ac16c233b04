/* The variables a caller gives an agent (spec 20 §3.4 "Input"): coerced, then validated. Pure. */
#ifndef HANDLERS_INPUT_H
#define HANDLERS_INPUT_H

#include "base/json.h"

/* The object as JSON, with strings of its top level turned into what the schema's properties ask for. */
struct str input_coerce(struct arena *a, const struct json *schema, const struct json *input);

/* Coerces and validates. 0 and the JSON in *coerced, or -EINVAL and a sentence in *reason. */
MUST_USE int input_check(struct arena *a, struct str schema_json, const struct json *input,
                         struct str *coerced, struct str *reason);

#endif
