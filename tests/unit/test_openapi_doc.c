#include "base/json.h"
#include "handlers/openapi_doc.h"
#include "handlers/resource.h"
#include "req.h"
#include "test.h"

static int nothing(struct req *r)
{
    (void)r;
    return 0;
}

static const struct column thing_columns[] = {
    {"id", COL_UUID, COL_READ_ONLY},
    {"name", COL_TEXT, COL_REQUIRED | COL_KEY, 255, 1},
    {"key", COL_TEXT, COL_SECRET},
};
static const struct resource thing = {
    .noun = "Big thing",
    .table = "things",
    .permission = "sinas.things",
    .key = KEY_ID,
    RESOURCE_BODIES("BigThing", thing_columns),
};
static const struct column chat_columns[] = {
    {"input", COL_OBJECT, COL_NULLABLE},
    {"title", COL_TEXT, COL_NULLABLE, .max = 500},
};
static const struct body chat_body = {.name = "ChatCreate",
                                      .columns = chat_columns,
                                      .columns_count = nelem(chat_columns),
                                      .flags = BODY_OPTIONAL};
static const struct column page_columns[] = {
    {"limit", COL_INT, .ge = "1", .fallback = "100"},
    {"q", COL_TEXT, COL_REQUIRED},
};
static const struct body page_query = BODY("Page", page_columns);

#define THINGS "/api/v1/things"

static const struct route rows[] = {
    {HTTP_GET, "/health", RULE_PUBLIC, .handler = nothing},
    {HTTP_GET, "/docs", RULE_PUBLIC, .handler = nothing, .flags = ROUTE_RAW},
    {HTTP_POST, "/agents/{namespace}/{name}/chats", RULE_PATH, "sinas.agents/{namespace}/{name}.chat:own",
     .handler = nothing, .body = &chat_body, .summary = "Start a chat"},
    {HTTP_GET, "/chats/{id}/stream", RULE_OBJECT, .handler = nothing, .flags = ROUTE_STREAM},
    {HTTP_POST, "/webhooks/{path}", RULE_PUBLIC, .handler = nothing, .flags = ROUTE_TAIL},
    {HTTP_GET, "/api/v1/search", RULE_CREDENTIAL, .handler = nothing, .query = &page_query},
    {HTTP_POST, THINGS, RULE_OBJECT, .handler = resource_create, .body = &thing.create, .data = &thing},
    {HTTP_GET, THINGS, RULE_OBJECT, .handler = resource_list, .data = &thing},
    {HTTP_GET, THINGS "/{name}", RULE_FIXED, "sinas.things.read:all", .handler = resource_get,
     .data = &thing},
    {HTTP_PATCH, THINGS "/{id}", RULE_OBJECT, .handler = resource_update, .body = &thing.update,
     .data = &thing},
    {HTTP_DELETE, THINGS "/{id}", RULE_OBJECT, .handler = resource_delete, .data = &thing},
    {HTTP_POST, "/adapters/openai/v1/chat/completions", RULE_CREDENTIAL, .handler = nothing},
    {HTTP_GET, "/api/v10/decoy", RULE_PUBLIC, .handler = nothing},
};

static const struct json *parsed(struct arena *a, struct str text)
{
    const struct json *v = NULL;
    struct json_error error;

    CHECK_INT(json_parse(a, text, &v, &error), 0);
    return v;
}

static const struct json *document(struct arena *a, enum openapi_doc doc)
{
    return parsed(a, openapi_write(a, doc, rows, nelem(rows)).text);
}

/* The value at a path of names, of which some hold slashes: separated by blanks. */
static const struct json *at(const struct json *v, const char *path)
{
    struct str rest = str_from(path);

    while (!str_is_none(rest))
        v = json_get(v, str_cut(&rest, ' '));
    return v;
}

#define CHECK_RAW(v, path, wanted) CHECK_STR(json_raw(at((v), (path))), STR(wanted))

TEST(openapi_rows_belong_to_the_document_of_their_mount)
{
    static const enum openapi_doc wanted[] = {
        OPENAPI_RUNTIME,    OPENAPI_RUNTIME,    OPENAPI_RUNTIME,    OPENAPI_RUNTIME,    OPENAPI_RUNTIME,
        OPENAPI_MANAGEMENT, OPENAPI_MANAGEMENT, OPENAPI_MANAGEMENT, OPENAPI_MANAGEMENT, OPENAPI_MANAGEMENT,
        OPENAPI_MANAGEMENT, OPENAPI_ADAPTER,    OPENAPI_RUNTIME,
    };

    for (size_t i = 0; i < nelem(rows); i++)
        CHECK_INT(openapi_doc_of(&rows[i]), wanted[i]);
}

TEST(openapi_titles_and_servers)
{
    const struct json *root = document(a, OPENAPI_RUNTIME);
    const struct json *management = document(a, OPENAPI_MANAGEMENT);
    const struct json *adapter = document(a, OPENAPI_ADAPTER);

    CHECK_RAW(root, "openapi", "\"3.1.0\"");
    CHECK_RAW(root, "info", "{\"title\":\"SINAS Runtime API\",\"version\":\"1.0.0\"}");
    CHECK_RAW(root, "servers", "[{\"url\":\"/\",\"description\":\"Runtime API\"}]");
    CHECK_RAW(management, "info", "{\"title\":\"SINAS Management API\",\"version\":\"1.0.0\"}");
    CHECK_RAW(management, "servers", "[{\"url\":\"/api/v1\",\"description\":\"Management API\"}]");
    CHECK_RAW(adapter, "info", "{\"title\":\"SINAS OpenAI Adapter\",\"version\":\"1.0.0\"}");
    CHECK_RAW(adapter, "servers", "[{\"url\":\"/adapters/openai\",\"description\":\"OpenAI Adapter\"}]");
    CHECK_RAW(root, "tags",
              "[{\"name\":\"system\"},{\"name\":\"documentation\"},{\"name\":\"agents\"},"
              "{\"name\":\"chats\"},{\"name\":\"webhooks\"},{\"name\":\"api\"}]");
    CHECK_RAW(root, "security", "[{\"BearerAuth\":[]},{\"ApiKeyAuth\":[]}]");
    CHECK_RAW(root, "components securitySchemes ApiKeyAuth",
              "{\"type\":\"apiKey\",\"in\":\"header\",\"name\":\"X-API-Key\"}");
    CHECK_RAW(root, "components securitySchemes BearerAuth scheme", "\"bearer\"");
}

/* What differs in names of parameters only is one path with the first row's names. */
TEST(openapi_paths_are_listed_once)
{
    const struct json *paths = at(document(a, OPENAPI_MANAGEMENT), "paths");

    CHECK_INT(json_count(paths), 3);
    CHECK_INT(json_count(at(paths, "/things")), 2);
    CHECK_INT(json_count(at(paths, "/things/{name}")), 4); /* parameters, get, patch, delete */
    CHECK_RAW(paths, "/things/{name} parameters",
              "[{\"name\":\"name\",\"in\":\"path\",\"required\":true,\"schema\":{\"type\":\"string\","
              "\"format\":\"uuid\"}}]");
    CHECK_INT(json_count(at(document(a, OPENAPI_RUNTIME), "paths")), 6);
    CHECK_INT(json_count(at(document(a, OPENAPI_ADAPTER), "paths")), 1);
}

TEST(openapi_answers_follow_the_rule)
{
    const struct json *root = at(document(a, OPENAPI_RUNTIME), "paths");
    const struct json *management = at(document(a, OPENAPI_MANAGEMENT), "paths");

    CHECK_RAW(root, "/health get security", "[]");
    CHECK_INT(json_count(at(root, "/health get responses")), 2); /* success and any failure */
    CHECK(at(root, "/docs get responses 2XX content") == NULL);
    CHECK_RAW(root, "/agents/{namespace}/{name}/chats post description",
              "\"Permission: `sinas.agents/{namespace}/{name}.chat:own`\"");
    CHECK_RAW(root, "/agents/{namespace}/{name}/chats post summary", "\"Start a chat\"");
    CHECK_RAW(root, "/agents/{namespace}/{name}/chats post requestBody",
              "{\"required\":false,\"content\":{\"application/json\":{\"schema\":{\"$ref\":\"#/components/"
              "schemas/ChatCreate\"}}}}");
    for (size_t i = 0; i < 4; i++) {
        static const char *const statuses[] = {"401", "403", "404", "422"};

        CHECK(json_get(at(root, "/agents/{namespace}/{name}/chats post responses"), str_from(statuses[i])) !=
              NULL);
    }
    CHECK(at(root, "/agents/{namespace}/{name}/chats post security") == NULL);
    CHECK(at(root, "/chats/{id}/stream get responses 2XX content text/event-stream") != NULL);
    CHECK(at(root, "/webhooks/{path} post parameters") == NULL);
    CHECK(json_is(at(root, "/webhooks/{path} parameters"), JSON_ARRAY));
    CHECK(at(management, "/search get responses 403") == NULL);
    CHECK_RAW(management, "/search get parameters",
              "[{\"name\":\"limit\",\"in\":\"query\",\"required\":false,"
              "\"schema\":{\"type\":\"integer\",\"format\":\"int32\",\"minimum\":1,\"default\":100}},"
              "{\"name\":\"q\",\"in\":\"query\",\"required\":true,\"schema\":{\"type\":\"string\"}}]");
}

TEST(openapi_kinds_have_schemas_of_their_own)
{
    const struct json *root = document(a, OPENAPI_MANAGEMENT), *paths = at(root, "paths");

    CHECK_RAW(paths, "/things post responses 201 content application/json schema $ref",
              "\"#/components/schemas/BigThing\"");
    CHECK_RAW(paths, "/things get responses 200 content application/json schema",
              "{\"type\":\"array\",\"items\":{\"$ref\":\"#/components/schemas/BigThing\"}}");
    CHECK_RAW(paths, "/things get summary", "\"Big thing: list\"");
    CHECK_RAW(paths, "/things/{name} delete responses 204", "{\"description\":\"Success\"}");
    CHECK(at(paths, "/things/{name} delete responses 422") != NULL); /* of a malformed id */
    CHECK_RAW(root, "components schemas BigThing required", "[\"id\",\"name\"]");
    CHECK_RAW(root, "components schemas BigThingCreate required", "[\"name\"]");
    CHECK(at(root, "components schemas BigThingUpdate") != NULL);
    CHECK(at(root, "components schemas Page") == NULL);
}

TEST(openapi_operation_ids)
{
    const struct route row = {HTTP_DELETE, "/api/v1/roles/{name}/members/{user_id}", RULE_OBJECT,
                              .handler = nothing};
    const struct route verify = {HTTP_POST, "/auth/verify-otp", RULE_PUBLIC, .handler = nothing};

    CHECK_STR(openapi_operation_id(a, &row), STR("delete_roles_by_name_members_by_user_id"));
    CHECK_STR(openapi_operation_id(a, &verify), STR("post_auth_verify_otp"));
}

/* ---- agents ---- */

/* The document with one agent put in. */
static const struct json *with_agent(struct arena *a, const struct openapi_agent *agent)
{
    struct openapi_text text = openapi_write(a, OPENAPI_RUNTIME, rows, nelem(rows));
    struct buf out;

    buf_init_arena(&out, a);
    buf_add(&out, str_head(text.text, text.paths_end));
    openapi_agent_write(a, &out, openapi_chat_row(rows, nelem(rows)), agent);
    buf_add(&out, str_from_offset(text.text, text.paths_end));
    return parsed(a, buf_str(&out));
}

#define INPUT "post requestBody content application/json schema properties input"

TEST(openapi_agent_has_its_own_input)
{
    const struct openapi_agent agent = {
        STR("default"), STR("a (b): c"), STR("Says \"hi\""),
        STR("{\"type\":\"object\",\"properties\":{\"x\":{\"type\":\"integer\"}}}")};
    const struct json *root = with_agent(a, &agent);
    const struct json *path = at(root, "paths /agents/default/a%20%28b%29%3A%20c/chats");

    CHECK_INT(json_count(at(root, "paths")), 7);
    CHECK_RAW(path, "post operationId", "\"chat_with_default__a_20_28b_29_3A_20c\"");
    CHECK_RAW(path, "post summary", "\"Chat with default/a (b): c\"");
    CHECK_RAW(path, "post description", "\"Says \\\"hi\\\"\"");
    CHECK_RAW(path, INPUT, "{\"type\":\"object\",\"properties\":{\"x\":{\"type\":\"integer\"}}}");
    CHECK_RAW(path, "post requestBody content application/json schema properties title maxLength", "500");
}

TEST(openapi_agent_without_schema_takes_any_input)
{
    const struct openapi_agent agent = {STR("default"), STR("plain"), STR_NONE, STR_NONE};
    const struct json *path = at(with_agent(a, &agent), "paths /agents/default/plain/chats");

    CHECK_RAW(path, INPUT " type", "[\"object\",\"null\"]");
    CHECK(at(path, "post description") == NULL);
}

#define HERE                                                                                                 \
    "#/paths/~1agents~1a~1b%2520c~1chats/post/requestBody/content/application~1json/schema/properties/input"

/* References inside of the agent's schema; what only looks like one stays. */
static const struct {
    const char *given, *moved;
} references[] = {
    {"{\"$ref\":\"#/$defs/x\",\"$defs\":{\"x\":{}}}", "{\"$ref\":\"" HERE "/$defs/x\",\"$defs\":{\"x\":{}}}"},
    {"{\"$ref\" : \"#\"}", "{\"$ref\" : \"" HERE "\"}"},
    {"{\"a\":{\"$ref\":\"#/a\"},\"b\":[{\"$ref\":\"#/b\"}]}",
     "{\"a\":{\"$ref\":\"" HERE "/a\"},\"b\":[{\"$ref\":\"" HERE "/b\"}]}"},
    {"{\"$ref\":\"https://example.com/x#/a\"}", NULL},
    {"{\"$ref\":\"#anchor\"}", NULL},
    {"{\"description\":\"\\\"$ref\\\":\\\"#/x\\\"\"}", NULL},
    {"{\"x\\\"$ref\":\"#/x\"}", NULL},
    {"{\"properties\":{\"$ref\":{\"type\":\"string\"}}}", NULL},
    {"{\"enum\":[\"$ref\",\"#/x\"]}", NULL},
    {"{\"$id\":\"https://example.com/x\",\"$ref\":\"#/a\"}", NULL},
};

TEST(openapi_agent_references_are_moved_along)
{
    for (size_t i = 0; i < nelem(references); i++) {
        const struct openapi_agent agent = {STR("a"), STR("b c"), STR_NONE, str_from(references[i].given)};
        const struct json *input = at(with_agent(a, &agent), "paths /agents/a/b%20c/chats " INPUT);

        CHECK_STR(json_raw(input),
                  str_from(references[i].moved != NULL ? references[i].moved : references[i].given));
    }
}

TEST(openapi_agents_of_different_names_have_different_ids)
{
    static const struct str names[][2] = {
        {STR_INIT("a"), STR_INIT("b_c")},   {STR_INIT("a_b"), STR_INIT("c")},
        {STR_INIT("a"), STR_INIT("b-c")},   {STR_INIT("a"), STR_INIT("b c")},
        {STR_INIT("a"), STR_INIT("b_20c")}, {STR_INIT("a"), STR_INIT("bc")},
    };
    struct str ids[nelem(names)];

    for (size_t i = 0; i < nelem(names); i++) {
        const struct openapi_agent agent = {names[i][0], names[i][1], STR_NONE, STR_NONE};
        const struct json *paths = at(with_agent(a, &agent), "paths");

        json_each_member (m, paths) {
            ids[i] = json_get_text(json_get(json_value(m), STR("post")), STR("operationId"));
        }
        for (size_t k = 0; k < i; k++)
            CHECK(!str_eq(ids[i], ids[k]));
    }
}

TEST(openapi_without_a_chat_row_there_are_no_agents)
{
    CHECK(openapi_chat_row(rows, nelem(rows)) == &rows[2]);
    CHECK(openapi_chat_row(rows, 2) == NULL);
}
