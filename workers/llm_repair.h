/* JSON that some vendors break while they cut text into pieces: half characters. Pure. */
#ifndef WORKERS_LLM_REPAIR_H
#define WORKERS_LLM_REPAIR_H

#include "base/arena.h"

/* A copy in which bytes that are no UTF-8, and escapes of half a surrogate pair, are U+FFFD. */
struct str llm_repair(struct arena *a, struct str json);

#endif
