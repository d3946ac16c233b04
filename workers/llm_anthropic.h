/* Anthropic's messages (spec 20 §16.3). */
#ifndef WORKERS_LLM_ANTHROPIC_H
#define WORKERS_LLM_ANTHROPIC_H

#include "workers/llm_codec.h"

extern const struct llm_codec llm_anthropic;

#endif
