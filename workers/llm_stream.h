/*
 * A provider's answer while it streams in: bytes in, events out. Holds what all
 * dialects share: framing, tool calls, usage, how it ended. Pure: no sockets, no clock.
 */
#ifndef WORKERS_LLM_STREAM_H
#define WORKERS_LLM_STREAM_H

#include "workers/llm_codec.h"
#include "workers/llm_tools.h"
#include "workers/ndjson.h"
#include "workers/sse_client.h"

enum { LLM_TEXT_MAX = 256 << 10, LLM_TOOL_JSON_MAX = (1 << 20) - 4096, LLM_ERROR_MAX = 2048 };

/* Where events go. Texts are valid during the call. */
struct llm_sink {
    void (*on_text)(void *arg, struct str text);      /* UTF-8, 1 to LLM_TEXT_MAX bytes */
    void (*on_tool)(void *arg, struct str tool_json); /* at most LLM_TOOL_JSON_MAX bytes */
    void *arg;
};

struct llm_usage {
    bool is_known;
    int64_t prompt, completion, total;
};

struct llm_stream {
    const struct llm_codec *codec;
    const struct llm_sink *sink;
    struct sse_client sse;
    struct ndjson lines;
    struct llm_tools tools;
    struct llm_usage usage;
    struct str finish; /* one of the four reasons, static; STR_NONE until the provider said so */
    bool is_done;      /* the provider said that nothing follows */
    bool has_failed;
    struct buf error; /* the provider's words, or ours, when has_failed */
    uint64_t chunks;  /* those understood */
};

/* How it ended. The JSON lives in the arena. */
struct llm_result {
    struct str finish;
    struct str tool_calls; /* STR_NONE: none */
    struct llm_usage usage;
};

void llm_stream_init(struct llm_stream *s, const struct llm_codec *codec, const struct llm_sink *sink);
void llm_stream_fini(struct llm_stream *s);

/* 0; 1: is_done, what follows is nobody's; -EPROTO: has_failed. */
MUST_USE int llm_stream_feed(struct llm_stream *s, struct str bytes);

/* The bytes have ended. 0 and the result, or -EPROTO: has_failed. */
MUST_USE int llm_stream_finish(struct llm_stream *s, struct arena *a, struct llm_result *result);

/* For the codecs. */
void llm_stream_text(struct llm_stream *s, struct str text); /* empty or STR_NONE: nothing */
MUST_USE int llm_stream_tool(struct llm_stream *s, const struct llm_tool_part *part);
/* Remembers the words and returns -EPROTO. STR_NONE: "unknown error". */
int llm_stream_fail(struct llm_stream *s, struct str words);
/* A provider's word in the normalised form, static; "stop" for those that are not known. */
struct str llm_finish_reason(struct str word);
/* A count of tokens, 0 for what is none. */
int64_t llm_token_count(const struct json *object, struct str name);

#endif
