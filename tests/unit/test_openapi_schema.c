#include "handlers/openapi_schema.h"
#include "test.h"

static const struct column part_columns[] = {
    {"text", COL_TEXT, COL_REQUIRED},
};
static const struct body part_body = BODY("Part", part_columns);
static const struct column part_item = {"", COL_OBJECT, .shape = &part_body};
static const struct column short_item = {"", COL_TEXT, .min = 1, .max = 8};
static const struct column texts_item = {"", COL_TEXTS, .item = &short_item};

static struct str schema_of(struct arena *a, const struct column *col, bool with_default)
{
    struct json_writer w;
    struct buf out;

    buf_init_arena(&out, a);
    json_write_init(&w, &out);
    openapi_column_write(&w, col, with_default);
    return buf_str(&out);
}

static const struct {
    struct column col;
    const char *schema;
} columns[] = {
    {{"f", COL_TEXT}, "{\"type\":\"string\"}"},
    {{"f", COL_TEXT, COL_NULLABLE, 255, 1, .pattern = "^[a-z\\-\"]+$"},
     "{\"type\":[\"string\",\"null\"],\"minLength\":1,\"maxLength\":255,\"pattern\":\"^[a-z\\\\-\\\"]+$\"}"},
    {{"f", COL_TEXT, .fallback = "\"default\""}, "{\"type\":\"string\",\"default\":\"default\"}"},
    {{"f", COL_TEXT, COL_SECRET}, "{\"type\":\"string\",\"writeOnly\":true}"},
    {{"f", COL_EMAIL, .max = 254}, "{\"type\":\"string\",\"format\":\"email\",\"maxLength\":254}"},
    {{"f", COL_INT, .ge = "1", .le = "1000", .fallback = "100"},
     "{\"type\":\"integer\",\"format\":\"int32\",\"minimum\":1,\"maximum\":1000,\"default\":100}"},
    {{"f", COL_BIGINT, .gt = "0"}, "{\"type\":\"integer\",\"format\":\"int64\",\"exclusiveMinimum\":0}"},
    {{"f", COL_NUMBER, COL_NULLABLE, .lt = "2.5"},
     "{\"type\":[\"number\",\"null\"],\"exclusiveMaximum\":2.5}"},
    {{"f", COL_BOOL, .fallback = "false"}, "{\"type\":\"boolean\",\"default\":false}"},
    {{"f", COL_UUID}, "{\"type\":\"string\",\"format\":\"uuid\"}"},
    {{"f", COL_TIME}, "{\"type\":\"string\",\"format\":\"date-time\"}"},
    {{"f", COL_ENUM, .choices = "private|shared"}, "{\"type\":\"string\",\"enum\":[\"private\",\"shared\"]}"},
    {{"f", COL_ENUM, COL_NULLABLE, .choices = "a"}, "{\"type\":[\"string\",\"null\"],\"enum\":[\"a\",null]}"},
    {{"f", COL_OBJECT, .fallback = "{}"}, "{\"type\":\"object\",\"default\":{}}"},
    {{"f", COL_OBJECT, .shape = &part_body}, "{\"$ref\":\"#/components/schemas/Part\"}"},
    {{"f", COL_OBJECT, COL_NULLABLE, .shape = &part_body},
     "{\"anyOf\":[{\"$ref\":\"#/components/schemas/Part\"},{\"type\":\"null\"}]}"},
    {{"f", COL_ARRAY, .max = 3, .item = &part_item},
     "{\"type\":\"array\",\"items\":{\"$ref\":\"#/components/schemas/Part\"},\"maxItems\":3}"},
    {{"f", COL_ARRAY}, "{\"type\":\"array\"}"},
    {{"f", COL_ARRAY, .item = &texts_item},
     "{\"type\":\"array\",\"items\":{\"type\":\"array\",\"items\":{\"type\":\"string\",\"minLength\":1,"
     "\"maxLength\":8}}}"},
    {{"f", COL_TEXTS, .fallback = "[]"},
     "{\"type\":\"array\",\"items\":{\"type\":\"string\"},\"default\":[]}"},
    {{"f", COL_ANY}, "{}"},
    {{"f", COL_ANY, COL_NULLABLE}, "{}"},
};

TEST(openapi_schema_of_each_type)
{
    for (size_t i = 0; i < nelem(columns); i++)
        CHECK_STR(schema_of(a, &columns[i].col, true), str_from(columns[i].schema));
}

TEST(openapi_schema_without_default)
{
    const struct column col = {"f", COL_BOOL, .fallback = "false"};

    CHECK_STR(schema_of(a, &col, false), STR("{\"type\":\"boolean\"}"));
}

static const struct column thing_columns[] = {
    {"id", COL_UUID, COL_READ_ONLY},
    {"name", COL_TEXT, COL_REQUIRED | COL_KEY, 255, 1},
    {"size", COL_INT, 0, .ge = "1", .fallback = "1"},
    {"origin", COL_TEXT, COL_CREATE_ONLY},
    {"is_active", COL_BOOL, COL_UPDATE_ONLY},
    {"key", COL_TEXT, COL_SECRET | COL_REQUIRED},
    {"note", COL_TEXT, COL_TRANSIENT},
    {"parts", COL_ARRAY, COL_NULLABLE, .item = &part_item},
};
static const struct body thing_create = BODY("ThingCreate", thing_columns);
static const struct body thing_update = BODY_UPDATE("ThingUpdate", thing_columns);

#define PARTS "\"parts\":{\"type\":[\"array\",\"null\"],\"items\":{\"$ref\":\"#/components/schemas/Part\"}}"

static struct str body_of(struct arena *a, const struct body *b)
{
    struct json_writer w;
    struct buf out;

    buf_init_arena(&out, a);
    json_write_init(&w, &out);
    openapi_body_write(&w, b);
    return buf_str(&out);
}

TEST(openapi_schema_of_a_full_body)
{
    CHECK_STR(body_of(a, &thing_create),
              STR("{\"type\":\"object\",\"properties\":{"
                  "\"name\":{\"type\":\"string\",\"minLength\":1,\"maxLength\":255},"
                  "\"size\":{\"type\":\"integer\",\"format\":\"int32\",\"minimum\":1,\"default\":1},"
                  "\"origin\":{\"type\":\"string\"},"
                  "\"key\":{\"type\":\"string\",\"writeOnly\":true},"
                  "\"note\":{\"type\":\"string\"}," PARTS "},"
                  "\"required\":[\"name\",\"key\"]}"));
}

TEST(openapi_schema_of_an_update_requires_nothing)
{
    CHECK_STR(body_of(a, &thing_update),
              STR("{\"type\":\"object\",\"properties\":{"
                  "\"name\":{\"type\":\"string\",\"minLength\":1,\"maxLength\":255},"
                  "\"size\":{\"type\":\"integer\",\"format\":\"int32\",\"minimum\":1},"
                  "\"is_active\":{\"type\":\"boolean\"},"
                  "\"key\":{\"type\":\"string\",\"writeOnly\":true},"
                  "\"note\":{\"type\":\"string\"}," PARTS "}}"));
}

TEST(openapi_schema_of_a_row_has_no_secrets)
{
    struct json_writer w;
    struct buf out;

    buf_init_arena(&out, a);
    json_write_init(&w, &out);
    openapi_row_write(&w, thing_columns, nelem(thing_columns));
    CHECK_STR(buf_str(&out),
              STR("{\"type\":\"object\",\"properties\":{"
                  "\"id\":{\"type\":\"string\",\"format\":\"uuid\"},"
                  "\"name\":{\"type\":\"string\"},"
                  "\"size\":{\"type\":\"integer\",\"format\":\"int32\"},"
                  "\"origin\":{\"type\":\"string\"},"
                  "\"is_active\":{\"type\":\"boolean\"}," PARTS "},"
                  "\"required\":[\"id\",\"name\",\"size\",\"origin\",\"is_active\",\"parts\"]}"));
}

/* ---- which bodies a document needs ---- */

static const struct body tree_body;
static const struct column tree_item = {"", COL_OBJECT, .shape = &tree_body};
static const struct column tree_columns[] = {
    {"children", COL_ARRAY, .item = &tree_item}, /* it holds itself */
    {"part", COL_OBJECT, .shape = &part_body},
};
static const struct body tree_body = BODY("Tree", tree_columns);
static const struct column forest_columns[] = {
    {"tree", COL_OBJECT, .shape = &tree_body},
};
static const struct body forest_body = BODY("Forest", forest_columns);

TEST(openapi_bodies_are_collected_once_with_their_shapes)
{
    struct openapi_bodies *bodies = arena_zalloc(a, sizeof(*bodies));

    openapi_bodies_add(bodies, &forest_body);
    openapi_bodies_add(bodies, &thing_create);
    openapi_bodies_add(bodies, &forest_body);
    CHECK_INT(bodies->count, 4);
    CHECK(bodies->items[0] == &forest_body);
    CHECK(bodies->items[1] == &tree_body);
    CHECK(bodies->items[2] == &part_body);
    CHECK(bodies->items[3] == &thing_create);
}
