/*
 * A chat in the shape that Anthropic insists on: user and assistant take turns, the user is first and last,
 * every tool_use is answered in the very next turn, nothing is empty. Pure.
 */
#ifndef WORKERS_LLM_ANTHROPIC_TURNS_H
#define WORKERS_LLM_ANTHROPIC_TURNS_H

#include "base/json.h"

/* The value of "messages", from the internal form; system messages are left out. */
void anthropic_messages_write(struct arena *a, struct json_writer *w, const struct json *messages);

/* All system messages, a blank line between them; empty when there are none. */
struct str anthropic_system(struct arena *a, const struct json *messages);

#endif
