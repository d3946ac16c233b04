/* Mistral (spec 20 §16.2): OpenAI's dialect with ids, parts and chunks of its own. */
#ifndef WORKERS_LLM_MISTRAL_H
#define WORKERS_LLM_MISTRAL_H

#include "workers/llm_codec.h"

extern const struct llm_codec llm_mistral;

#endif
