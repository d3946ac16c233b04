/* Chats and messages (spec 20 §3-5, §7): what their URLs do. */
#ifndef HANDLERS_CHAT_H
#define HANDLERS_CHAT_H

#include "handlers/fields.h"

int chat_create(struct req *r);         /* POST /agents/{namespace}/{name}/chats */
int chat_list(struct req *r);           /* GET /chats */
int chat_get(struct req *r);            /* GET /chats/{id} */
int chat_update(struct req *r);         /* PUT /chats/{id} */
int chat_delete(struct req *r);         /* DELETE /chats/{id} */
int chat_messages(struct req *r);       /* GET /chats/{id}/messages */
int chat_message_send(struct req *r);   /* POST /chats/{id}/messages */
int chat_message_stream(struct req *r); /* POST /chats/{id}/messages/stream */
int chat_stream(struct req *r);         /* GET /chats/{id}/stream/{channel_id} */
int agent_invoke(struct req *r);        /* POST /agents/{namespace}/{name}/invoke (invoke.c) */

extern const struct body chat_create_body, chat_update_body, message_body, invoke_body;
extern const struct body chat_list_query, chat_messages_query, chat_stream_query;

/* ---- between chat.c and invoke.c ---- */

/* The column of a message's content, for bodies. */
#define MESSAGE_CONTENT(field)                                                                               \
    {                                                                                                        \
        field, COL_ANY, COL_REQUIRED, .check = message_content_check                                         \
    }
void message_content_check(struct check *c, const struct json *v);

struct chat_new {
    struct str agent_id, agent_namespace, agent_name;
    struct str input_schema, initial_messages;
    struct str title, session_key;
    struct str expires_in, keep_alive, job_timeout; /* texts of optional values */
    const struct json *input;                       /* NULL or empty: not looked at */
};

/* Validates the input and stores the chat. 0 and its id and JSON; -EEXIST when the session key is taken; -1.
 */
MUST_USE int chat_create_await(struct req *r, const struct chat_new *chat, struct str *id, struct str *body);

struct turn_options;
struct content;

/*
 * The options of a turn on a chat of the caller: 404, 403 and permission are
 * checked. The strings live in r's arena.
 */
MUST_USE int chat_turn_options_await(struct req *r, struct str chat_id, const struct json *message,
                                     struct turn_options *options, struct content *content);

/* 403 unless the caller may chat with that agent. */
MUST_USE int chat_permit(struct req *r, struct str agent_namespace, struct str agent_name);

#endif
