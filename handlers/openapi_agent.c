/*
 * One operation per agent: POST /agents/{namespace}/{name}/chats with that agent's
 * own input. An agent's schema was written as a document of its own, so what it refers to in
 * itself is found under another address here: such references are moved along.
 */
#include "handlers/openapi_doc.h"

#include "handlers/openapi_operation.h"

static const char chat_path[] = "/agents/{namespace}/{name}/chats";
static const char input_pointer[] = "/post/requestBody/content/application~1json/schema/properties/input";

const struct route *openapi_chat_row(const struct route *routes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (routes[i].method == HTTP_POST && strcmp(routes[i].path, chat_path) == 0 && routes[i].body != NULL)
            return &routes[i];
    }
    return NULL;
}

static bool is_plain(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

static void percent_encode(struct buf *out, struct str text)
{
    for (size_t i = 0; i < text.n; i++) {
        if (is_plain(text.p[i]) || str_find_byte(STR("-._~"), text.p[i]) >= 0)
            buf_add_byte(out, text.p[i]);
        else
            buf_addf(out, "%%%02X", (unsigned char)text.p[i]);
    }
}

/* Different for different names: a byte that is not plain becomes its two digits behind a '_'. */
static void id_encode(struct buf *out, struct str text)
{
    for (size_t i = 0; i < text.n; i++) {
        if (is_plain(text.p[i]))
            buf_add_byte(out, text.p[i]);
        else
            buf_addf(out, "_%02X", (unsigned char)text.p[i]);
    }
}

static struct str agent_id(struct arena *a, const struct openapi_agent *agent)
{
    struct buf out;

    buf_init_arena(&out, a);
    buf_add(&out, STR("chat_with_"));
    id_encode(&out, agent->space);
    buf_add(&out, STR("__"));
    id_encode(&out, agent->name);
    return buf_str(&out);
}

static struct str agent_path(struct arena *a, const struct openapi_agent *agent)
{
    struct buf out;

    buf_init_arena(&out, a);
    buf_add(&out, STR("/agents/"));
    percent_encode(&out, agent->space);
    buf_add_byte(&out, '/');
    percent_encode(&out, agent->name);
    buf_add(&out, STR("/chats"));
    return buf_str(&out);
}

/* ---- the schema ---- */

/* Where the input's schema is in the document, as the fragment of a reference. */
static struct str input_fragment(struct arena *a, struct str path)
{
    struct buf out;

    buf_init_arena(&out, a);
    buf_add(&out, STR("/paths/"));
    for (size_t i = 0; i < path.n; i++) {
        if (path.p[i] == '/')
            buf_add(&out, STR("~1"));
        else if (path.p[i] == '~')
            buf_add(&out, STR("~0"));
        else if (path.p[i] == '%')
            buf_add(&out, STR("%25"));
        else
            buf_add_byte(&out, path.p[i]);
    }
    buf_add(&out, str_from(input_pointer));
    return buf_str(&out);
}

static size_t skip_blanks(struct str text, size_t at)
{
    while (at < text.n && str_find_byte(STR(" \t\r\n"), text.p[at]) >= 0)
        at++;
    return at;
}

/*
 * The place behind the '#' of a member "$ref": "#…" that starts at, or 0. A quote is escaped
 * inside of a string, so "$ref" with both of its quotes is a string of its own.
 */
static size_t own_reference(struct str text, size_t at)
{
    static const char word[] = "\"$ref\"";

    if (!str_starts(str_from_offset(text, at), STR("\"$ref\"")) || (at > 0 && text.p[at - 1] == '\\'))
        return 0;
    at = skip_blanks(text, at + sizeof(word) - 1);
    if (at >= text.n || text.p[at] != ':')
        return 0;
    at = skip_blanks(text, at + 1);
    return str_starts(str_from_offset(text, at), STR("\"#/")) ||
                   str_starts(str_from_offset(text, at), STR("\"#\""))
               ? at + 2
               : 0;
}

static void schema_add_moved(struct buf *out, struct str schema, struct str fragment)
{
    size_t done = 0;

    for (size_t i = 0; i < schema.n; i++) {
        size_t behind = schema.p[i] == '"' ? own_reference(schema, i) : 0;

        if (behind == 0)
            continue;
        buf_add(out, str_of(schema.p + done, behind - done));
        buf_add(out, fragment);
        done = behind;
    }
    buf_add(out, str_from_offset(schema, done));
}

/* A schema with an identity of its own resolves its references against that. */
static struct str input_schema(struct arena *a, const struct openapi_agent *agent, struct str path)
{
    struct buf out;

    if (agent->input_schema.n == 0 || str_find(agent->input_schema, STR("\"$id\"")) >= 0)
        return agent->input_schema;
    buf_init_arena(&out, a);
    schema_add_moved(&out, agent->input_schema, input_fragment(a, path));
    return buf_str(&out);
}

static struct str body_schema(struct arena *a, const struct body *body, struct str input)
{
    struct json_writer w;
    struct buf out;

    buf_init_arena(&out, a);
    json_write_init(&w, &out);
    json_object_begin(&w);
    json_field_str(&w, STR("type"), STR("object"));
    json_key_write(&w, STR("properties"));
    json_object_begin(&w);
    for (size_t i = 0; i < body->columns_count; i++) {
        const struct column *col = &body->columns[i];

        json_key_write(&w, str_from(col->name));
        if (strcmp(col->name, "input") == 0 && input.n != 0)
            json_write_raw(&w, input);
        else
            openapi_column_write(&w, col, true);
    }
    json_object_end(&w);
    json_object_end(&w);
    return buf_str(&out);
}

void openapi_agent_write(struct arena *a, struct buf *out, const struct route *row,
                         const struct openapi_agent *agent)
{
    struct str path = agent_path(a, agent);
    struct json_writer w;
    const struct openapi_case special = {
        .id = agent_id(a, agent),
        .summary =
            arena_strf(a, "Chat with " STR_FMT "/" STR_FMT, STR_ARG(agent->space), STR_ARG(agent->name)),
        .description = agent->description,
        .body = body_schema(a, row->body, input_schema(a, agent, path)),
    };

    json_write_init(&w, out);
    w.comma = true;
    json_key_write(&w, path);
    json_object_begin(&w);
    openapi_operation_write(&w, a, row, &special);
    json_object_end(&w);
}
