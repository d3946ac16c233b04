/* What a model is told besides the conversation (spec 20 §8.2, §8.5). Pure. */
#ifndef HANDLERS_PROMPT_H
#define HANDLERS_PROMPT_H

#include "base/json.h"

struct prompt {
    struct str system_prompt;    /* the agent's, rendered; STR_NONE: none */
    struct str preloaded_skills; /* JSON objects {"name","content"}, separated by commas; STR_NONE: none */
    struct str output_schema;    /* JSON; STR_NONE: not active */
};

/* The system message's text; empty when there is nothing to say. */
struct str prompt_system(struct arena *a, const struct prompt *p);

/* The value of "response_format" for an active output schema. */
struct str prompt_response_format(struct arena *a, struct str agent_name, struct str output_schema);

/*
 * Whether a final answer is JSON that fits the schema (a code fence around it
 * is tolerated). 0, or -EINVAL and a sentence in *reason.
 */
MUST_USE int prompt_output_check(struct arena *a, struct str output_schema, struct str answer,
                                 struct str *reason);

/* Whether text has template syntax: {{ or {%. */
bool prompt_is_template(struct str text);

#endif
