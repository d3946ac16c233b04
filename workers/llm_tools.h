/*
 * The tool calls of one answer, put together from the fragments in which they are streamed (spec 20 §16.1).
 * Pure, but for the ids that it makes up: "call_" and 24 random hex digits.
 */
#ifndef WORKERS_LLM_TOOLS_H
#define WORKERS_LLM_TOOLS_H

#include "base/json.h"

enum {
    LLM_TOOLS_MAX = 128,             /* calls in one answer */
    LLM_TOOLS_BYTES_MAX = 512 << 10, /* of all arguments together */
    LLM_TOOL_NAME_MAX = 256          /* of an id or a name */
};

struct llm_tool {
    int64_t index; /* the provider's; -1: none */
    struct buf id, name, arguments;
    bool is_announced; /* its id and name went out */
    uint32_t number;   /* among those announced */
};

struct llm_tools {
    struct llm_tool *items;
    size_t count;
    uint32_t announced;
    size_t arguments_bytes;
};

struct llm_tool_part {
    int64_t index;                  /* -1: none */
    struct str id, name, arguments; /* STR_NONE or empty: nothing new */
    bool is_whole;                  /* a call of its own, whatever came before */
};

void llm_tools_init(struct llm_tools *t);
void llm_tools_fini(struct llm_tools *t);

/*
 * Adds a fragment. When there is something to tell, 1 and one delta item in OpenAI's
 * form at the end of *delta; nothing is told of a call before its name is known. 0: nothing to tell;
 * -EMSGSIZE: too many.
 */
MUST_USE int llm_tools_add(struct llm_tools *t, const struct llm_tool_part *part, struct buf *delta);

/* Whether the call with the provider's index has arguments so far; negative when there is no such call. */
int llm_tools_has_arguments(const struct llm_tools *t, int64_t index);

/* All named calls as a JSON array, in the order in which they were announced; how many there are. */
size_t llm_tools_write(const struct llm_tools *t, struct buf *out);

#endif
