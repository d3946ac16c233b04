/* What to make of a provider's failures: retries, parameters it does not know, words for people (spec 20
 * §16.0). Pure. */
#ifndef WORKERS_LLM_RULES_H
#define WORKERS_LLM_RULES_H

#include "workers/llm_codec.h"

enum { LLM_MESSAGE_MAX = 300 /* characters */ };

/* Whether an answer with this status may be asked for again. */
bool llm_status_is_retried(int status);

/*
 * How long to wait before retry number n (from 0): what the headers say if they
 * say at most 60 s, else 0.5 s · 2ⁿ up to 8 s, less up to a quarter by random (any number).
 */
int64_t llm_retry_delay_ms(struct str retry_after_ms, struct str retry_after, int64_t now_s, unsigned n,
                           uint32_t random);

/* The parameter that a 400 says it does not support (enum llm_quirk), or 0. */
unsigned llm_quirk_named(const struct json *answer);

/*
 * A provider's words for people: in one line, keys masked (key itself, and what
 * looks like one), at most LLM_MESSAGE_MAX characters.
 */
struct str llm_message(struct arena *a, struct str words, struct str key);

/* Words for an error answer: the provider's if it has any. */
struct str llm_answer_words(struct arena *a, int status, struct str body);

#endif
