#include "handlers/chat.h"

#include "base/conf.h"
#include "base/uuid.h"
#include "channel.h"
#include "handlers/app.h"
#include "handlers/auth.h"
#include "handlers/input.h"
#include "handlers/turn.h"
#include "sql.h"

enum { LOCK_WAIT_MS = 10000 }; /* of a message for the turn before it (20 §8.6) */

/* ---- bodies ---- */

static const struct column chat_create_columns[] = {
    {"input", COL_OBJECT, COL_NULLABLE},
    {"title", COL_TEXT, COL_NULLABLE, .max = 500},
    {"expires_in", COL_INT, COL_NULLABLE, .gt = "0"},
    {"job_timeout", COL_INT, COL_NULLABLE, .gt = "0"},
    {"keep_alive", COL_BOOL, COL_NULLABLE},
};
const struct body chat_create_body = {
    .name = "ChatCreate",
    .columns = chat_create_columns,
    .columns_count = nelem(chat_create_columns),
    .flags = BODY_OPTIONAL,
};

static const struct column chat_update_columns[] = {
    {"title", COL_TEXT, 0, .max = 500},
    {"archived", COL_BOOL},
};
const struct body chat_update_body = BODY_UPDATE("ChatUpdate", chat_update_columns);

static const struct column message_columns[] = {
    MESSAGE_CONTENT("content"),
};
const struct body message_body = BODY("MessageSend", message_columns);

static const struct column chat_list_columns[] = {
    {"include_archived", COL_BOOL, .fallback = "false"},
    {"agent", COL_TEXT, .pattern = "^[^/]+/.+$"},
    QUERY_SKIP,
    {"limit", COL_INT, .ge = "1", .le = "1000"}, /* absent: all */
};
const struct body chat_list_query = BODY("ChatList", chat_list_columns);

static const struct column messages_columns[] = {
    {"offset", COL_BIGINT, .ge = "0", .fallback = "0"},
    {"limit", COL_INT, .ge = "1", .le = "1000"},
};
const struct body chat_messages_query = BODY("MessageList", messages_columns);

static const struct column stream_columns[] = {
    {"last_id", COL_TEXT, .pattern = "^(\\$|[0-9]{1,18}(-[0-9]{1,18})?)$"},
};
const struct body chat_stream_query = BODY("ChatStream", stream_columns);

void message_content_check(struct check *c, const struct json *v)
{
    struct content content;
    struct content_error error;
    struct arena a;

    arena_init(&a);
    if (content_parse(&a, v, false, &content, &error) < 0) {
        if (error.index >= 0)
            check_enter_index(c, (size_t)error.index);
        if (error.member != NULL)
            check_enter(c, error.member);
        check_error(c, error.type, error.input, STR_NONE, STR_FMT, STR_ARG(error.msg));
        if (error.member != NULL)
            check_leave(c);
        if (error.index >= 0)
            check_leave(c);
    }
    arena_fini(&a);
}

/* ---- what all have in common ---- */

/* Ids are opaque to clients: a malformed one is an unknown one (20 §0). */
static int chat_id_param(struct req *r, struct str *id)
{
    const char *reason;
    struct uuid uuid;
    char *text;

    if (uuid_parse(param(r, "id"), &uuid, &reason) < 0)
        return fail(r, 404, "Chat not found");
    text = arena_bytes(&r->arena, UUID_TEXT_SIZE);
    uuid_write(text, &uuid);
    *id = str_of(text, UUID_TEXT_SIZE);
    return 0;
}

int chat_permit(struct req *r, struct str agent_namespace, struct str agent_name)
{
    if (auth_permitsf(r, "sinas.agents/" STR_FMT "/" STR_FMT ".chat:own", STR_ARG(agent_namespace),
                      STR_ARG(agent_name)))
        return 0;
    return fail(r, 403, "Not authorized to chat with this agent");
}

/* A chat of the caller's, or 404, 403. */
static int chat_load(struct req *r, struct str id, struct rows *rows)
{
    TRY(sql_chat_get_await(r, rows, id, auth_user_id(r)));
    if (rows->count == 0)
        return fail(r, 404, "Chat not found");
    return chat_permit(r, row_str(rows, 0, "agent_namespace"), row_str(rows, 0, "agent_name"));
}

/* ---- chats ---- */

static struct str chat_metadata(struct req *r, struct str input)
{
    return arena_strf(&r->arena, "{\"agent_input\":" STR_FMT "}", STR_ARG(input));
}

int chat_create_await(struct req *r, const struct chat_new *chat, struct str *id, struct str *body)
{
    struct str input = STR("{}");
    struct str reason;
    struct rows rows;

    if (json_count(chat->input) != 0 &&
        input_check(&r->arena, chat->input_schema, chat->input, &input, &reason) < 0)
        return fail(r, 400, "Input validation failed: " STR_FMT, STR_ARG(reason));
    {
        const struct sql_chat_create_params params = {
            .user_id = auth_user_id(r),
            .agent_id = chat->agent_id,
            .agent_namespace = chat->agent_namespace,
            .agent_name = chat->agent_name,
            .title = chat->title,
            .session_key = chat->session_key,
            .expires_in = chat->expires_in,
            .keep_alive = chat->keep_alive,
            .job_timeout = chat->job_timeout,
            .metadata = chat_metadata(r, input),
            .messages = chat->initial_messages,
        };

        TRY(sql_chat_create_await(r, &rows, &params));
    }
    *id = row_str(&rows, 0, "id");
    *body = row_str(&rows, 0, "body");
    return 0;
}

static struct str bool_text(bool b)
{
    return b ? STR("t") : STR_NONE;
}

int chat_create(struct req *r)
{
    struct chat_new chat = {.agent_namespace = param(r, "namespace"), .agent_name = param(r, "name")};
    struct str id, body = STR_NONE;
    struct rows agent;

    TRY(sql_chat_agent_await(r, &agent, chat.agent_namespace, chat.agent_name));
    if (agent.count == 0)
        return fail(r, 404, "Agent not found");
    chat.agent_id = row_str(&agent, 0, "id");
    chat.input_schema = row_str(&agent, 0, "input_schema");
    chat.initial_messages = row_str(&agent, 0, "initial_messages");
    chat.input = body_json(r, "input");
    chat.title = body_str(r, "title");
    if (str_is_none(chat.title))
        chat.title = str_utf8_head(arena_strf(&r->arena, "Chat with " STR_FMT "/" STR_FMT,
                                              STR_ARG(chat.agent_namespace), STR_ARG(chat.agent_name)),
                                   500);
    chat.expires_in = body_str(r, "expires_in");
    chat.keep_alive = !str_is_none(body_str(r, "keep_alive"))
                          ? body_str(r, "keep_alive")
                          : bool_text(row_bool(&agent, 0, "default_keep_alive"));
    chat.job_timeout = !str_is_none(body_str(r, "job_timeout")) ? body_str(r, "job_timeout")
                                                                : row_str(&agent, 0, "default_job_timeout");
    TRY(chat_create_await(r, &chat, &id, &body));
    return reply_json(r, 200, body);
}

int chat_list(struct req *r)
{
    struct str agent_name, agent_namespace = STR_NONE;
    struct rows rows;

    agent_name = query_str(r, "agent");
    if (!str_is_none(agent_name))
        agent_namespace = str_cut(&agent_name, '/');
    {
        const struct sql_chat_list_params params = {
            .user_id = auth_user_id(r),
            .include_archived = query_bool(r, "include_archived"),
            .agent_namespace = agent_namespace,
            .agent_name = agent_name,
            .skip = query_i64(r, "skip"),
            .row_limit = query_str(r, "limit"),
        };

        TRY(sql_chat_list_await(r, &rows, &params));
    }
    return reply_json(r, 200, row_str(&rows, 0, "body"));
}

/* A chat's JSON with two more members. */
static struct str chat_with(struct req *r, struct str chat, struct str messages, struct str approvals)
{
    assert(chat.n > 0 && chat.p[chat.n - 1] == '}');
    return arena_strf(&r->arena, STR_FMT ",\"messages\":[" STR_FMT "],\"pending_approvals\":[" STR_FMT "]}",
                      STR_ARG(str_head(chat, chat.n - 1)), STR_ARG(messages), STR_ARG(approvals));
}

int chat_get(struct req *r)
{
    struct rows rows;
    struct str id;

    TRY(chat_id_param(r, &id));
    TRY(sql_chat_get_with_messages_await(r, &rows, id, auth_user_id(r)));
    if (rows.count == 0)
        return fail(r, 404, "Chat not found");
    TRY(chat_permit(r, row_str(&rows, 0, "agent_namespace"), row_str(&rows, 0, "agent_name")));
    return reply_json(r, 200,
                      chat_with(r, row_str(&rows, 0, "body"), row_str(&rows, 0, "messages"),
                                row_str(&rows, 0, "approvals")));
}

int chat_messages(struct req *r)
{
    struct rows rows;
    struct str id;

    TRY(chat_id_param(r, &id));
    TRY(sql_chat_messages_await(r, &rows, id, auth_user_id(r), query_i64(r, "offset"),
                                query_str(r, "limit")));
    if (rows.count == 0)
        return fail(r, 404, "Chat not found");
    TRY(chat_permit(r, row_str(&rows, 0, "agent_namespace"), row_str(&rows, 0, "agent_name")));
    return reply_json(r, 200, arena_strf(&r->arena, "[" STR_FMT "]", STR_ARG(row_str(&rows, 0, "messages"))));
}

int chat_update(struct req *r)
{
    struct rows rows;
    struct str id;
    int rc;

    TRY(chat_id_param(r, &id));
    TRY(chat_load(r, id, &rows));
    rc = sql_chat_update_await(r, &rows, id, auth_user_id(r), body_str(r, "title"), body_str(r, "archived"));
    if (rc == -EEXIST)
        return fail(r, 409, "Another chat that is not archived uses the same session key");
    TRY(rc);
    if (rows.count == 0)
        return fail(r, 404, "Chat not found");
    return reply_json(r, 200, row_str(&rows, 0, "body"));
}

/* Archives: the console restores with PUT {"archived": false}. Whatever runs in the chat is stopped. */
int chat_delete(struct req *r)
{
    struct rows rows;
    struct str id = STR_NONE;

    TRY(chat_id_param(r, &id));
    TRY(chat_load(r, id, &rows));
    TRY(sql_chat_archive_await(r, &rows, id, auth_user_id(r)));
    turn_stop_chat(r->server->app->turns, id);
    return reply_empty(r, 204);
}

/* ---- messages ---- */

/* Inline data is stored only where nobody but the operator's own machine is served (20 §9.2). */
static bool is_public(void)
{
    return conf.domain.n != 0 && !str_eq(conf.domain, STR("localhost")) &&
           !str_eq(conf.domain, STR("127.0.0.1"));
}

int chat_turn_options_await(struct req *r, struct str chat_id, const struct json *message,
                            struct turn_options *options, struct content *content)
{
    struct record *context = arena_alloc(&r->arena, sizeof(*context));
    struct content_error error;
    struct rows rows;

    TRY(sql_chat_context_await(r, &rows, chat_id));
    if (rows.count == 0)
        return fail(r, 404, "Chat not found");
    if (!str_eq(row_str(&rows, 0, "user_id"), auth_user_id(r)))
        return fail(r, 403, "Not authorized to access this chat");
    TRY(chat_permit(r, row_str(&rows, 0, "agent_namespace"), row_str(&rows, 0, "agent_name")));
    if (row_is_null(&rows, 0, "agent_id"))
        return fail(r, 404, "Agent not found");
    if (content_parse(&r->arena, message, is_public(), content, &error) < 0)
        return fail(r, 422, "content is invalid"); /* the body's check has said more */
    record_copy(&r->arena, context, &rows, 0);
    *options = (struct turn_options){
        .chat_id = chat_id,
        .user_id = auth_user_id(r),
        .api_key_id = auth_api_key_id(r),
        .context = context,
        .content = content,
        .keeps_long = record_bool(context, "keep_alive"),
        .timeout_s = record_is_null(context, "job_timeout") ? conf.agent_job_timeout
                                                            : record_i64(context, "job_timeout"),
        .lock_wait_ms = LOCK_WAIT_MS,
    };
    return 0;
}

int chat_message_send(struct req *r)
{
    struct turn_options options;
    struct turn_result result;
    struct content content;
    struct str id;

    TRY(chat_id_param(r, &id));
    TRY(chat_turn_options_await(r, id, body_json(r, "content"), &options, &content));
    TRY(turn_run_await(r, &options, &result));
    if (result.status != 200)
        return fail(r, result.status, STR_FMT, STR_ARG(result.error));
    return reply_json(r, 200, result.message);
}

int chat_message_stream(struct req *r)
{
    struct turn_options options = {0};
    struct content content;
    struct channel *channel;
    struct str id = STR_NONE, channel_id = STR_NONE;

    TRY(chat_id_param(r, &id));
    TRY(chat_turn_options_await(r, id, body_json(r, "content"), &options, &content));
    options.ends_unwatched = !options.keeps_long;
    TRY(turn_start_await(r, &options, &channel_id));
    channel = channel_find(r->server->channels, channel_id);
    if (channel == NULL)
        return fail(r, 503, "Stream is unavailable");
    return channel_subscribe(r, channel, EVENT_ID_ZERO);
}

int chat_stream(struct req *r)
{
    struct str channel_id = param(r, "channel_id");
    struct event_id after = EVENT_ID_ZERO;
    struct str id = STR_NONE, chat_id = STR_NONE, last_id;
    const char *reason;
    struct uuid uuid;
    struct rows rows;
    int rc;

    TRY(chat_id_param(r, &id));
    TRY(chat_load(r, id, &rows));
    if (uuid_parse(channel_id, &uuid, &reason) < 0)
        return fail(r, 404, "Stream not found");
    last_id = query_has(r, "last_id") ? query_str(r, "last_id") : header(r, "last-event-id");
    if (!str_is_none(last_id) && !str_eq(last_id, STR("$")) && event_id_parse(last_id, &after) < 0)
        return fail_json(r, 422,
                         STR("[{\"type\":\"value_error\",\"loc\":[\"header\",\"last-event-id\"],"
                             "\"msg\":\"Value error, Last-Event-ID must be <ms>-<seq>\",\"input\":null,"
                             "\"ctx\":{\"error\":{}}}]"));
    rc = channel_binding_await(r, channel_id, &chat_id);
    if (rc == -ENOTCONN || rc == -ETIMEDOUT)
        return fail(r, 503, "Streams cannot be resumed while Redis is unavailable");
    TRY(rc);
    if (!str_eq(chat_id, id))
        return fail(r, 404, "Stream not found");
    return channel_replay(r, channel_id, after, str_eq(last_id, STR("$")), turn_settle_channel);
}
