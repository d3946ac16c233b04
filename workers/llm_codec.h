/*
 * A provider's dialect as pure functions: the request that asks for a stream,
 * and what each piece of the answer means. The internal form of messages, tools and
 * tool calls is OpenAI's (spec 20 §16). One row of llm_codecs per provider type.
 */
#ifndef WORKERS_LLM_CODEC_H
#define WORKERS_LLM_CODEC_H

#include "base/json.h"

struct llm_stream;

/* What a provider turned out not to know; remembered per provider and model. */
enum llm_quirk {
    LLM_NO_TEMPERATURE = 1,
    LLM_MAX_COMPLETION_TOKENS = 2, /* instead of max_tokens */
    LLM_NO_STREAM_OPTIONS = 4
};

struct llm_ask {
    const struct json *body;   /* an object with "model" and "messages" */
    const struct json *config; /* spec 20 §15.3; an object or NULL */
    struct str base;           /* URL without a slash at the end */
    struct str key;            /* plain, fit for a header; STR_NONE: none */
    unsigned quirks;           /* enum llm_quirk */
};

enum { LLM_HEADERS_MAX = 8 };

struct llm_http {
    struct str url;
    struct str headers[LLM_HEADERS_MAX]; /* "Name: value" */
    size_t headers_count;
    struct str body;
};

enum llm_framing { LLM_SSE, LLM_NDJSON };

struct llm_codec {
    struct str type;
    struct str base_default;
    enum llm_framing framing;
    int64_t timeout_s;    /* of a whole call, unless configured */
    int64_t retries;      /* unless configured */
    bool retries_answers; /* not only failed connections but error answers too */
    /* Everything in http comes from the arena. */
    void (*request)(struct arena *a, const struct llm_ask *ask, struct llm_http *http);
    /* One chunk of the answer. 0, or negative when the stream cannot go on (llm_stream_fail). */
    int (*chunk)(struct llm_stream *s, const struct json *chunk);
};

/* By provider type, lower case; NULL when there is none. */
const struct llm_codec *llm_codec_find(struct str type);

/* The provider's words in an error answer or chunk: error.message, error, message, detail; STR_NONE when
 * there are none. */
struct str llm_error_text(const struct json *answer);

/* Nothing is added when the header holds control characters, which would make it two. */
void llm_http_header(struct llm_http *http, struct str header);
bool llm_header_is_fit(struct str text);
/* Content-Type and, if there is a key, the bearer token: what most dialects want. */
void llm_http_headers(struct arena *a, struct llm_http *http, struct str key);

/* base + path in the arena. */
struct str llm_url(struct arena *a, struct str base, struct str path);

/* n letters and digits (at most 32) that stand for an id which the provider would refuse: always the same
 * ones. */
struct str llm_id_hashed(struct arena *a, struct str id, size_t n);

#endif
