/* Ollama's own /api/chat (spec 20 §16.4). */
#ifndef WORKERS_LLM_OLLAMA_H
#define WORKERS_LLM_OLLAMA_H

#include "workers/llm_codec.h"

extern const struct llm_codec llm_ollama;

#endif
