/*
 * From stored messages to what a model gets (spec 20 §8.4), in the internal
 * form: OpenAI's chat messages. Pure.
 *
 *  - each tool result stands directly behind the message that called it
 *  - a call without result gets one that says it was interrupted
 *  - a result without call is dropped
 *  - old results are replaced by a reference, those of the current turn never
 */
#ifndef HANDLERS_HISTORY_H
#define HANDLERS_HISTORY_H

#include "base/json.h"

struct history_row {
    struct str role;       /* user, assistant, tool, system */
    struct str content;    /* STR_NONE is null */
    bool is_parts;         /* content is a JSON array of parts */
    struct str tool_calls; /* JSON array, or STR_NONE */
    struct str tool_call_id;
    struct str name;
    bool is_current; /* of the running turn */
};

/* Appends the messages to the array that w is in. results_inline: how many of the last results keep their
 * text. */
void history_write(struct arena *a, struct json_writer *w, const struct history_row *rows, size_t count,
                   unsigned results_inline);

#endif
