/* OpenAI's chat completions and whatever is compatible with them (spec 20 §16.1); parts of it serve other
 * dialects. */
#ifndef WORKERS_LLM_OPENAI_H
#define WORKERS_LLM_OPENAI_H

#include "workers/llm_codec.h"

extern const struct llm_codec llm_openai;

/* What differs between OpenAI's dialect and those derived from it. */
struct llm_openai_dialect {
    /* One part of a user's content, written as one or more elements. */
    void (*part)(struct arena *a, struct json_writer *w, const struct json *item);
    /* The id of a call as it is sent. */
    struct str (*call_id)(struct arena *a, struct str id);
    bool names_tool_rows;
    bool is_openai; /* stream options and organizations are OpenAI's own */
};

/* Builds body, URL and headers for base + "/chat/completions". */
void llm_openai_request(struct arena *a, const struct llm_ask *ask, const struct llm_openai_dialect *dialect,
                        struct llm_http *http);
/* The fragments of tool calls and the usage in a chunk are the same everywhere. */
MUST_USE int llm_openai_tools(struct llm_stream *s, const struct json *calls);
void llm_openai_usage(struct llm_stream *s, const struct json *usage);
/* A chunk, but for its delta's content. */
MUST_USE int llm_openai_chunk_with(struct llm_stream *s, const struct json *chunk,
                                   void (*content)(struct llm_stream *s, const struct json *content));

/* {"type": "text", "text": …} */
void llm_openai_text_part(struct json_writer *w, struct str text);

#endif
