/* One call, one reply (spec 20 §7): a turn on a chat of its own, or on a session's. */
#include "handlers/chat.h"

#include "base/conf.h"
#include "handlers/app.h"
#include "handlers/auth.h"
#include "handlers/turn.h"
#include "sql.h"

static const struct column invoke_columns[] = {
    MESSAGE_CONTENT("message"),
    {"session_key", COL_TEXT, COL_NULLABLE, .max = 500},
    {"reset", COL_BOOL, .fallback = "false"},
    {"input", COL_OBJECT, COL_NULLABLE},
};
const struct body invoke_body = BODY("AgentInvoke", invoke_columns);

static int invoke_chat_create(struct req *r, const struct rows *agent, struct str session_key,
                              struct str *chat_id)
{
    const struct chat_new chat = {
        .agent_id = row_str(agent, 0, "id"),
        .agent_namespace = param(r, "namespace"),
        .agent_name = param(r, "name"),
        .input_schema = row_str(agent, 0, "input_schema"),
        .initial_messages = row_str(agent, 0, "initial_messages"),
        .title = str_is_none(session_key)
                     ? STR("invoke:one-shot")
                     : str_utf8_head(arena_strf(&r->arena, "invoke:" STR_FMT, STR_ARG(session_key)), 500),
        .session_key = session_key,
        .keep_alive = row_bool(agent, 0, "default_keep_alive") ? STR("t") : STR_NONE,
        .job_timeout = row_str(agent, 0, "default_job_timeout"),
        .input = body_json(r, "input"),
    };
    struct str body;

    return chat_create_await(r, &chat, chat_id, &body);
}

/* The session's chat. 1 when there is one, 0, or -1 (403 for somebody else's). */
static int invoke_session_find(struct req *r, struct str agent_id, struct str session_key,
                               struct str *chat_id)
{
    struct rows rows;

    TRY(sql_chat_session_await(r, &rows, agent_id, session_key));
    if (rows.count == 0)
        return 0;
    if (!str_eq(row_str(&rows, 0, "user_id"), auth_user_id(r)))
        return fail(r, 403, "This session belongs to another user");
    *chat_id = row_str(&rows, 0, "id");
    return 1;
}

/* The session's chat, made when there is none. Concurrent first calls meet in the winner's. */
static int invoke_session(struct req *r, const struct rows *agent, struct str session_key,
                          struct str *chat_id)
{
    struct str agent_id = row_str(agent, 0, "id");
    struct rows rows;
    int rc;

    TRY(rc = invoke_session_find(r, agent_id, session_key, chat_id));
    if (rc == 1 && body_bool(r, "reset")) {
        TRY(sql_chat_session_archive_await(r, &rows, agent_id, session_key, auth_user_id(r)));
        turn_stop_chat(r->server->app->turns, *chat_id);
        rc = 0;
    }
    for (int attempt = 0; rc == 0 && attempt < 3; attempt++) {
        rc = invoke_chat_create(r, agent, session_key, chat_id);
        if (rc == 0)
            return 0;
        if (rc != -EEXIST)
            return rc;
        TRY(sql_chat_session_expire_await(r, &rows, agent_id, session_key));
        TRY(rc = invoke_session_find(r, agent_id, session_key, chat_id));
    }
    return rc == 1 ? 0 : fail(r, 409, "The session is being changed by other calls");
}

static int invoke_reply(struct req *r, const struct turn_result *result, struct str chat_id,
                        struct str session_key)
{
    struct json_writer w;

    reply_begin(r, &w);
    json_object_begin(&w);
    json_field_str(&w, STR("reply"), str_is_none(result->reply) ? STR("") : result->reply);
    json_field_str(&w, STR("chat_id"), chat_id);
    json_field_str(&w, STR("session_key"), session_key);
    json_key_write(&w, STR("usage"));
    if (result->has_usage) {
        json_object_begin(&w);
        json_field_i64(&w, STR("prompt_tokens"), result->prompt_tokens);
        json_field_i64(&w, STR("completion_tokens"), result->completion_tokens);
        json_field_i64(&w, STR("total_tokens"), result->total_tokens);
        json_object_end(&w);
    } else {
        json_write_null(&w);
    }
    json_object_end(&w);
    return reply_written(r, 200);
}

int agent_invoke(struct req *r)
{
    struct str session_key = body_str(r, "session_key");
    struct turn_options options;
    struct turn_result result;
    struct content content;
    struct rows agent;
    struct str chat_id;

    TRY(sql_chat_agent_await(r, &agent, param(r, "namespace"), param(r, "name")));
    if (agent.count == 0)
        return fail(r, 404, "Agent not found");
    if (str_is_none(session_key))
        TRY(invoke_chat_create(r, &agent, STR_NONE, &chat_id));
    else
        TRY(invoke_session(r, &agent, session_key, &chat_id));
    TRY(chat_turn_options_await(r, chat_id, body_json(r, "message"), &options, &content));
    options.timeout_s = row_is_null(&agent, 0, "default_job_timeout")
                            ? conf.agent_job_timeout
                            : row_i64(&agent, 0, "default_job_timeout");
    options.lock_wait_ms = options.timeout_s * 1000;
    TRY(turn_run_await(r, &options, &result));
    if (result.status != 200)
        return fail(r, result.status, STR_FMT, STR_ARG(result.error));
    return invoke_reply(r, &result, chat_id, session_key);
}
