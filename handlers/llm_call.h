/*
 * One call to a language model, as an agent's turn sees it: start it, take its
 * events one by one, finish it. The work is done by the llm workers (workers/llm.c); this
 * side picks the least loaded one, queues what it sends (bounded by the call's window) and tells it
 * what was consumed.
 *
 * The task that starts a call also finishes it. Calls of a worker that dies end
 * with LLM_FAILED, LLM_FAIL_WORKER.
 */
#ifndef HANDLERS_LLM_CALL_H
#define HANDLERS_LLM_CALL_H

#include "base/arena.h"

struct loop;
struct llm_pool;
struct llm_call;

struct llm_request {
    struct str provider_id;   /* for what is remembered per provider and model */
    struct str provider_type; /* openai, ollama, … */
    struct str endpoint;      /* STR_NONE: the type's default */
    struct str key_encrypted; /* a Fernet token; STR_NONE: no key */
    struct str config_json;   /* spec 20 §15.3; STR_NONE: {} */
    /* Chat in OpenAI's form: {model, messages: […], temperature?, max_tokens?, tools?, response_format?,
     * provider_overrides?}. */
    struct str body_json;
    struct str label;    /* what it is for, for whoever adopts it: at most 200 bytes; STR_NONE: nothing */
    int64_t deadline_ms; /* on clock_mono_ns(), in ms; 0: none but the provider's timeout */
};

enum llm_failure {
    LLM_FAIL_PROVIDER,    /* 502: the provider's answer, or none */
    LLM_FAIL_TIMEOUT,     /* 504 */
    LLM_FAIL_CREDENTIALS, /* 400: provider credentials unusable */
    LLM_FAIL_WORKER       /* the worker died or refused */
};

struct llm_event {
    enum llm_event_type { LLM_DELTA, LLM_TOOL_DELTA, LLM_END, LLM_FAILED } type;
    struct str text;      /* DELTA: one per delta of the provider (several when it is longer than 256 KiB) */
    struct str tool_json; /* TOOL_DELTA: {"index","id"?,"type","function":{…}} */
    struct str finish_reason; /* END: stop, tool_calls, length or content_filter */
    struct str tool_calls;    /* END: the whole calls as a JSON array, or STR_NONE */
    bool has_usage;           /* END */
    int64_t prompt_tokens, completion_tokens, total_tokens;
    enum llm_failure failure; /* FAILED */
    int http_status;          /* FAILED: the provider's, or 0 */
    struct str message;       /* FAILED: for people, at most 300 characters, without keys */
};

/* One path per worker; connects in the background. Paths are copied. */
struct llm_pool *llm_pool_open(struct loop *l, const char *const *socket_paths, size_t count);
/* All calls must be finished. */
void llm_pool_close(struct llm_pool *pool);

/* 0, -EAGAIN when no worker is connected (or all are full), -E2BIG when the request is larger than 80 MiB. */
MUST_USE int llm_start(struct llm_pool *pool, const struct llm_request *request, struct llm_call **call);

/* 0 and the next event, its texts in the arena; -ECANCELED; -ETIMEDOUT at the deadline. Not after END or
 * FAILED. */
MUST_USE int llm_next_await(struct llm_call *call, struct arena *a, struct llm_event *event);

/* Must end every call; cancels what is still under way. Never waits. */
void llm_finish(struct llm_call *call);

/*
 * Calls that a worker kept when their reactor died. The hook is asked once per
 * call (again after each new connection): true when llm_adopt() will follow or is still thought
 * about, false to cancel it. Without a hook all are cancelled.
 */
struct llm_kept {
    uint64_t call_id;
    struct str label;
    uint64_t events_acked; /* consumed by the dead reactor */
};
void llm_pool_on_kept(struct llm_pool *pool, bool (*wanted)(void *arg, const struct llm_kept *kept),
                      void *arg);
/* Takes it over: its events follow from the first one not acked on. 0, -ENOENT, -EAGAIN. */
MUST_USE int llm_adopt(struct llm_pool *pool, uint64_t call_id, int64_t deadline_ms, struct llm_call **call);

uint64_t llm_call_id(const struct llm_call *call);

#endif
