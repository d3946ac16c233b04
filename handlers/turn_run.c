/*
 * The rounds of a turn: one call of the model each, and the tools it asks for.
 * The conversation is built the same way in every round (spec 20 §8.1).
 */
#include "handlers/turn_state.h"

#include "base/clock.h"
#include "base/conf.h"
#include "base/log.h"
#include "base/rand.h"
#include "handlers/app.h"
#include "handlers/llm_call.h"
#include "handlers/prompt.h"
#include "sql.h"

enum {
    WORKER_WAIT_MS = 5000, /* for a worker that is being started again */
    WORKER_POLL_MS = 20,
    CAUSE_BYTES_MAX = 300,     /* of a failure's cause in the stored message (§8.8) */
    ANSWER_BYTES_MAX = 8 << 20 /* of a round's text: a model that never ends must not fill the memory */
};

/* ---- the conversation ---- */

static struct history_row *turn_row_add(struct req *r, struct turn *t)
{
    if (t->rows_count == t->rows_capacity) {
        size_t capacity = t->rows_capacity * 2 + 16;

        t->rows =
            arena_grow(&r->arena, t->rows, t->rows_capacity * sizeof(*t->rows), capacity * sizeof(*t->rows));
        t->rows_capacity = capacity;
    }
    t->rows[t->rows_count] = (struct history_row){.is_current = true};
    return &t->rows[t->rows_count++];
}

/* Whether the message before the last one is the one before it in the chat too: see turn_begin. */
static bool history_is_whole(const struct rows *rows)
{
    int64_t last = row_i64(rows, rows->count - 1, "seq");
    int64_t before = rows->count > 1 ? row_i64(rows, rows->count - 2, "seq") : 0;

    return before == last - 1;
}

static int turn_load_history(struct req *r, struct turn *t)
{
    struct rows rows = t->history;

    if (!history_is_whole(&rows) &&
        sql_chat_history_await(r, &rows, str_from(t->chat_id), conf.max_history_messages) < 0)
        return -1;
    for (int i = 0; i < rows.count; i++) {
        struct history_row *row = turn_row_add(r, t);

        *row = (struct history_row){
            .role = row_str(&rows, i, "role"),
            .content = row_str(&rows, i, "content"),
            .tool_calls = row_str(&rows, i, "tool_calls"),
            .tool_call_id = row_str(&rows, i, "tool_call_id"),
            .name = row_str(&rows, i, "name"),
        };
        row->is_parts =
            row_is_null(&rows, i, "content_is_parts")
                ? str_eq(row->role, STR("user")) && content_looks_like_parts(&r->arena, row->content)
                : row_bool(&rows, i, "content_is_parts");
    }
    if (t->rows_count == 0)
        return -1; /* the chat was deleted under the turn */
    t->rows[t->rows_count - 1].content = t->content.live;
    t->rows[t->rows_count - 1].is_current = true;
    return 0;
}

static void write_context_number(struct json_writer *w, struct turn *t, const char *column)
{
    if (!record_is_null(&t->context, column))
        json_field_raw(w, str_from(column), record_str(&t->context, column));
}

static struct str turn_model(const struct turn *t)
{
    struct str model = record_str(&t->context, "model");

    return model.n != 0 ? model : record_str(&t->context, "default_model");
}

static void write_max_tokens(struct arena *a, struct json_writer *w, struct turn *t)
{
    const struct json *config;
    struct json_error error;
    int64_t max_tokens;

    if (!record_is_null(&t->context, "max_tokens")) {
        write_context_number(w, t, "max_tokens");
    } else if (json_parse(a, record_str(&t->context, "config"), &config, &error) == 0 &&
               json_i64(json_get(config, STR("max_tokens")), &max_tokens) == 0 && max_tokens > 0) {
        json_field_i64(w, STR("max_tokens"), max_tokens);
    }
}

static void write_system(struct arena *a, struct json_writer *w, struct turn *t)
{
    const struct prompt prompt = {
        .system_prompt = record_str(&t->context, "system_prompt"),
        .preloaded_skills = record_str(&t->context, "preloaded_skills"),
        .output_schema = record_str(&t->context, "output_schema"),
    };
    struct str text = prompt_system(a, &prompt);

    if (text.n == 0)
        return;
    json_object_begin(w);
    json_field_str(w, STR("role"), STR("system"));
    json_field_str(w, STR("content"), text);
    json_object_end(w);
}

/* One call's request in the internal form. */
static struct str turn_body(struct arena *a, struct turn *t)
{
    struct str schema = record_str(&t->context, "output_schema");
    struct json_writer w;
    struct buf b;

    buf_init_arena(&b, a);
    json_write_init(&w, &b);
    json_object_begin(&w);
    json_field_str(&w, STR("model"), turn_model(t));
    json_key_write(&w, STR("messages"));
    json_array_begin(&w);
    write_system(a, &w, t);
    history_write(a, &w, t->rows, t->rows_count, (unsigned)conf.tool_result_max_inline);
    json_array_end(&w);
    write_context_number(&w, t, "temperature");
    write_max_tokens(a, &w, t);
    if (!str_is_none(schema))
        json_field_raw(&w, STR("response_format"),
                       prompt_response_format(a, record_str(&t->context, "agent_name"), schema));
    if (!record_is_null(&t->context, "provider_overrides"))
        json_field_raw(&w, STR("provider_overrides"), record_str(&t->context, "provider_overrides"));
    json_object_end(&w);
    return buf_str(&b);
}

/* ---- events ---- */

static void event_message(struct turn *t, struct arena *a, struct str content, struct str tool_calls,
                          struct str finish_reason)
{
    struct json_writer w;
    struct buf b;

    buf_init_arena(&b, a);
    json_write_init(&w, &b);
    json_object_begin(&w);
    json_field_str(&w, STR("content"), content);
    json_field_raw(&w, STR("tool_calls"), tool_calls);
    json_field_str(&w, STR("finish_reason"), finish_reason);
    json_object_end(&w);
    channel_append(t->channel, "message", buf_str(&b));
}

static void event_tool_start(struct turn *t, struct arena *a, const struct json *call)
{
    const struct json *function = json_get(call, STR("function"));
    struct json_writer w;
    struct buf b;

    buf_init_arena(&b, a);
    json_write_init(&w, &b);
    json_object_begin(&w);
    json_field_str(&w, STR("type"), STR("tool_start"));
    json_field_str(&w, STR("tool_call_id"), json_get_text(call, STR("id")));
    json_field_str(&w, STR("name"), json_get_text(function, STR("name")));
    json_field_str(&w, STR("arguments"), json_get_text(function, STR("arguments")));
    json_field_str(&w, STR("description"), json_get_text(call, STR("description")));
    json_object_end(&w);
    channel_append(t->channel, "tool_start", buf_str(&b));
}

static void event_tool_end(struct turn *t, struct arena *a, const struct json *call, struct str result)
{
    struct json_writer w;
    struct buf b;

    buf_init_arena(&b, a);
    json_write_init(&w, &b);
    json_object_begin(&w);
    json_field_str(&w, STR("type"), STR("tool_end"));
    json_field_str(&w, STR("tool_call_id"), json_get_text(call, STR("id")));
    json_field_str(&w, STR("name"), json_get_text(json_get(call, STR("function")), STR("name")));
    json_field_str(&w, STR("result"), result);
    json_object_end(&w);
    channel_append(t->channel, "tool_end", buf_str(&b));
}

/* ---- one call of the model ---- */

struct call_end {
    bool failed;
    enum llm_failure failure;
    struct str message;    /* in the round's arena */
    struct str tool_calls; /* JSON array, or STR_NONE */
    bool has_usage;
    int64_t prompt_tokens, completion_tokens, total_tokens;
    int64_t latency_ms;
    bool saw_events;
};

/*
 * The next event of the call. 0 to go on, 1 at its end, negative when the turn is stopped or out of time.
 * What is made of it lives in an arena that is cleared for the next one; *round lives on.
 */
static int relay_event(struct turn *t, struct llm_call *call, struct arena *a, struct arena *round,
                       struct call_end *end)
{
    struct llm_event e;
    int rc = llm_next_await(call, a, &e);

    if (rc == 0) {
        switch (e.type) {
        case LLM_DELTA:
            e.text = content_storable(a, e.text);
            buf_add(&t->text, e.text);
            event_message(t, a, e.text, STR_NONE, STR_NONE);
            break;
        case LLM_TOOL_DELTA:
            event_message(t, a, STR_NONE, arena_strf(a, "[" STR_FMT "]", STR_ARG(e.tool_json)), STR_NONE);
            break;
        case LLM_END:
            event_message(t, a, STR_NONE, STR_NONE, e.finish_reason);
            end->tool_calls = arena_str(round, e.tool_calls);
            end->has_usage = e.has_usage;
            end->prompt_tokens = e.prompt_tokens;
            end->completion_tokens = e.completion_tokens;
            end->total_tokens = e.total_tokens;
            rc = 1;
            break;
        case LLM_FAILED:
            end->failed = true;
            end->failure = e.failure;
            end->message = arena_str(round, content_storable(a, str_utf8_head(e.message, CAUSE_BYTES_MAX)));
            rc = 1;
            break;
        }
        end->saw_events = end->saw_events || !end->failed;
        if (rc == 0 && buf_size(&t->text) > ANSWER_BYTES_MAX)
            rc = -EFBIG;
    }
    arena_clear(a);
    return rc;
}

/* A worker that died may be back in a moment. */
static int call_start(struct turn *t, const struct llm_request *request, struct llm_call **call)
{
    int64_t until = clock_mono_ns() / 1000000 + WORKER_WAIT_MS;
    int rc;

    while ((rc = llm_start(t->all->server->app->llm, request, call)) == -EAGAIN) {
        if (clock_mono_ns() / 1000000 >= until)
            return -EAGAIN;
        rc = task_sleep_await(WORKER_POLL_MS);
        if (rc < 0)
            return rc;
    }
    return rc;
}

static int call_once(struct turn *t, const struct llm_request *request, struct arena *round,
                     struct call_end *end)
{
    struct llm_call *call;
    struct arena event;
    int rc = call_start(t, request, &call);

    if (rc < 0)
        return rc;
    arena_init(&event);
    while ((rc = relay_event(t, call, &event, round, end)) == 0)
        continue;
    arena_fini(&event);
    llm_finish(call);
    return rc < 0 ? rc : 0;
}

static void turn_count_usage(struct turn *t, const struct call_end *end)
{
    struct json_writer w;

    if (end->has_usage) {
        t->has_usage = true;
        t->prompt_tokens += end->prompt_tokens;
        t->completion_tokens += end->completion_tokens;
        t->total_tokens += end->total_tokens;
    }
    if (buf_size(&t->usage) != 0)
        buf_add_byte(&t->usage, ',');
    json_write_init(&w, &t->usage);
    json_object_begin(&w);
    json_field_str(&w, STR("provider"), record_str(&t->context, "provider_name"));
    json_field_str(&w, STR("model"), turn_model(t));
    json_field_i64(&w, STR("prompt_tokens"), end->prompt_tokens);
    json_field_i64(&w, STR("completion_tokens"), end->completion_tokens);
    json_field_i64(&w, STR("total_tokens"), end->total_tokens);
    json_field_i64(&w, STR("latency_ms"), end->latency_ms);
    json_field_str(&w, STR("error"), end->failed ? end->message : STR_NONE);
    json_object_end(&w);
}

static void turn_fail_call(struct turn *t, int rc, const struct call_end *end)
{
    if (rc == -ETIMEDOUT)
        turn_fail(t, 504, "Job cancelled or timed out");
    else if (rc == -EAGAIN)
        turn_fail(t, 502, "No model worker is available");
    else if (rc == -E2BIG)
        turn_fail(t, 502, "The conversation is too large for one request to the model");
    else if (rc == -EFBIG)
        turn_fail(t, 502, "The model's answer is too long");
    else if (rc < 0)
        turn_fail(t, 500, "The model could not be called");
    else if (end->failure == LLM_FAIL_TIMEOUT)
        turn_fail(t, 504, "The model did not answer in time: " STR_FMT, STR_ARG(end->message));
    else if (end->failure == LLM_FAIL_CREDENTIALS)
        turn_fail(t, 400, "The model could not be called: " STR_FMT, STR_ARG(end->message));
    else
        turn_fail(t, 502, "The model failed: " STR_FMT, STR_ARG(end->message));
}

/* Calls the model and relays what it says. 0 and *end, or -1 with the turn failed or stopped. */
static int turn_call(struct turn *t, struct arena *round, struct call_end *end)
{
    const struct llm_request request = {
        .provider_id = record_str(&t->context, "provider_id"),
        .provider_type = record_str(&t->context, "provider_type"),
        .endpoint = record_str(&t->context, "api_endpoint"),
        .key_encrypted = record_str(&t->context, "api_key"),
        .config_json = record_str(&t->context, "config"),
        .body_json = turn_body(round, t),
        .label = str_from(t->channel_id),
        .deadline_ms = t->deadline_ms,
    };
    int64_t started = clock_mono_ns();
    int rc;

    *end = (struct call_end){0};
    rc = call_once(t, &request, round, end);
    if (rc == 0 && end->failed && end->failure == LLM_FAIL_WORKER && !end->saw_events) {
        *end = (struct call_end){
            0}; /* the worker died before the model had said anything: another one is asked */
        rc = call_once(t, &request, round, end);
    }
    if (rc == -ECANCELED)
        return -1;
    end->latency_ms = (clock_mono_ns() - started) / 1000000;
    if (rc < 0 || end->failed)
        turn_fail_call(t, rc, end);
    if (rc == 0)
        turn_count_usage(t, end);
    return rc < 0 || end->failed ? -1 : 0;
}

/* ---- tools ---- */

/* Arguments that are no JSON object's text are stored as {} (§10.4). */
static bool arguments_are_json(struct arena *a, struct str arguments, const char **reason)
{
    const struct json *value;
    struct json_error error;

    if (str_trim(arguments).n == 0)
        return true;
    if (json_parse(a, arguments, &value, &error) == 0)
        return true;
    *reason = error.reason;
    return false;
}

static void write_call(struct arena *a, struct json_writer *w, const struct json *call)
{
    const struct json *function = json_get(call, STR("function"));
    struct str name = content_storable(a, json_get_text(function, STR("name")));
    struct str arguments = json_get_text(function, STR("arguments"));
    const char *reason;

    json_object_begin(w);
    json_field_str(w, STR("id"), content_storable(a, json_get_text(call, STR("id"))));
    json_field_str(w, STR("type"), STR("function"));
    json_key_write(w, STR("function"));
    json_object_begin(w);
    json_field_str(w, STR("name"), name);
    json_field_str(w, STR("arguments"),
                   str_trim(arguments).n == 0 || !arguments_are_json(a, arguments, &reason) ? STR("{}")
                                                                                            : arguments);
    json_object_end(w);
    json_field_str(w, STR("description"), arena_strf(a, "Running " STR_FMT, STR_ARG(name)));
    json_object_end(w);
}

/* The calls as they are stored: arguments always JSON, with a description. */
static struct str stored_calls(struct arena *a, const struct json *calls)
{
    struct json_writer w;
    struct buf b;

    buf_init_arena(&b, a);
    json_write_init(&w, &b);
    json_array_begin(&w);
    json_each (call, calls)
        write_call(a, &w, call);
    json_array_end(&w);
    return buf_str(&b);
}

static struct str error_result(struct arena *a, struct str error, struct str name, struct str value)
{
    struct json_writer w;
    struct buf b;

    buf_init_arena(&b, a);
    json_write_init(&w, &b);
    json_object_begin(&w);
    json_field_str(&w, STR("error"), error);
    json_field_str(&w, name, value);
    json_object_end(&w);
    return buf_str(&b);
}

/* Agents are offered no tools yet, so whatever a model calls is not in its list (§10.1). */
static struct str tool_result(struct arena *a, const struct json *call)
{
    const struct json *function = json_get(call, STR("function"));
    struct str arguments = json_get_text(function, STR("arguments"));
    const char *reason = NULL;

    if (!arguments_are_json(a, arguments, &reason))
        return error_result(a, arena_strf(a, "Invalid JSON arguments: %s", reason), STR("raw_arguments"),
                            str_utf8_head(arguments, 200));
    return error_result(a, STR("Unauthorized tool call"), STR("message"),
                        arena_strf(a, "The tool '" STR_FMT "' is not available to this agent.",
                                   STR_ARG(json_get_text(function, STR("name")))));
}

/* One message of this turn: stored, and part of the conversation from now on. */
static int turn_store_message(struct req *r, struct turn *t, const struct history_row *row)
{
    const struct sql_turn_message_params params = {
        .channel_id = str_from(t->channel_id),
        .role = row->role,
        .content = row->content,
        .tool_calls = row->tool_calls,
        .tool_call_id = row->tool_call_id,
        .name = row->name,
        .round = t->round,
    };
    struct rows rows;
    int rc = sql_turn_message_await(r, &rows, &params);

    if (rc < 0 || rows.count == 0) {
        if (rc != -ECANCELED)
            turn_fail(t, rc < 0 ? 503 : 500, "A message of this turn could not be stored");
        return -1;
    }
    *turn_row_add(r, t) = *row;
    return 0;
}

static int turn_store_calls(struct req *r, struct turn *t, struct str calls)
{
    struct history_row row = {
        .role = STR("assistant"),
        .content = buf_size(&t->text) != 0 ? arena_str(&r->arena, buf_str(&t->text)) : STR_NONE,
        .tool_calls = calls,
        .is_current = true,
    };

    if (turn_store_message(r, t, &row) < 0)
        return -1;
    buf_clear(&t->text);
    return 0;
}

static int turn_store_result(struct req *r, struct turn *t, const struct json *call, struct str result)
{
    const struct history_row row = {
        .role = STR("tool"),
        .content = arena_str(&r->arena, result),
        .tool_call_id = json_get_text(call, STR("id")),
        .name = json_get_text(json_get(call, STR("function")), STR("name")),
        .is_current = true,
    };

    return turn_store_message(r, t, &row);
}

/* The calls of a round that is one too many: each gets a result, the turn ends (§8.7). */
static int turn_refuse_calls(struct req *r, struct turn *t, const struct json *calls)
{
    json_each (call, calls) {
        if (turn_store_result(
                r, t, call,
                STR("{\"error\":\"Tool iteration limit reached\",\"message\":\"This call was not run.\"}")) <
            0)
            return -1;
    }
    turn_fail(t, 200, "Tool iteration limit (%d) reached. Send another message to go on.", t->round);
    return -1;
}

/* Runs what the model asked for. 0 for the next round, -1 when the turn is over. */
static int turn_tools(struct req *r, struct turn *t, struct str tool_calls)
{
    struct arena *a = &r->arena;
    const struct json *asked, *calls;
    struct json_error error;
    struct str stored;

    if (json_parse(a, arena_str(a, tool_calls), &asked, &error) < 0)
        return -1;
    stored = stored_calls(a, asked);
    if (json_parse(a, stored, &calls, &error) < 0 || turn_store_calls(r, t, stored) < 0)
        return -1;
    if (t->round >= conf.max_tool_iterations)
        return turn_refuse_calls(r, t, calls);
    t->round++;
    json_each (call, calls)
        event_tool_start(t, a, call);
    {
        const struct json *as_asked = json_first(asked);

        json_each (call, calls) {
            struct str result = tool_result(a, as_asked);

            if (turn_store_result(r, t, call, result) < 0)
                return -1;
            event_tool_end(t, a, call, result);
            as_asked = json_next(asked, as_asked);
        }
    }
    return 0;
}

/* ---- the answer ---- */

/* Whether the answer shall be asked for once more, because it does not fit the output schema (§8.5). */
static bool turn_must_repair(struct req *r, struct turn *t)
{
    struct str schema = record_str(&t->context, "output_schema");
    struct history_row *row;
    struct str reason, answer;

    if (str_is_none(schema) || prompt_output_check(&r->arena, schema, buf_str(&t->text), &reason) == 0)
        return false;
    if (t->was_repaired) {
        log_warn("turn", "chat %s: the answer does not fit the output schema: " STR_FMT, t->chat_id,
                 STR_ARG(reason));
        return false;
    }
    t->was_repaired = true;
    answer = arena_str(&r->arena, buf_str(&t->text));
    buf_clear(&t->text);
    row = turn_row_add(r, t);
    row->role = STR("assistant");
    row->content = answer;
    row = turn_row_add(r, t);
    row->role = STR("user");
    row->content = arena_strf(&r->arena,
                              "Your answer does not fit the JSON Schema: " STR_FMT
                              ". Answer again, only with JSON that is valid for it.",
                              STR_ARG(reason));
    return true;
}

static void turn_answer(struct turn *t)
{
    t->content_final = arena_str(&t->arena, buf_str(&t->text));
    buf_clear(&t->text);
}

/* ---- the turn ---- */

static int turn_check_context(struct turn *t)
{
    if (record_is_null(&t->context, "provider_id"))
        turn_fail(
            t, 400,
            "No LLM provider is configured: create one and mark it as default, or set the agent's provider");
    else if (!record_bool(&t->context, "provider_is_active"))
        turn_fail(t, 400, "The LLM provider '" STR_FMT "' of this agent is inactive",
                  STR_ARG(record_str(&t->context, "provider_name")));
    else if (turn_model(t).n == 0)
        turn_fail(t, 400,
                  "No model is set: give the agent a model or the provider '" STR_FMT "' a default_model",
                  STR_ARG(record_str(&t->context, "provider_name")));
    return t->kind == TURN_FAILED ? -1 : 0;
}

void turn_rounds(struct req *r, struct turn *t)
{
    bool goes_on = true;

    if (turn_check_context(t) < 0)
        return;
    if (prompt_is_template(record_str(&t->context, "system_prompt")))
        log_warn("turn", "agent " STR_FMT "/" STR_FMT ": templates in prompts are sent as they are",
                 STR_ARG(record_str(&t->context, "agent_namespace")),
                 STR_ARG(record_str(&t->context, "agent_name")));
    if (turn_load_history(r, t) < 0) {
        if (!turn_is_stopped(t))
            turn_fail(t, 503, "The conversation could not be read");
        return;
    }
    while (goes_on) {
        struct call_end end;
        struct arena round;

        arena_init(&round);
        goes_on = turn_call(t, &round, &end) == 0;
        if (goes_on && !str_is_none(end.tool_calls)) {
            goes_on = turn_tools(r, t, end.tool_calls) == 0;
        } else if (goes_on) {
            goes_on = turn_must_repair(r, t);
            if (!goes_on)
                turn_answer(t);
        }
        arena_fini(&round);
    }
}
