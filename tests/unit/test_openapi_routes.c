/* The documents of the API as it is. */
#include "handlers/app.h"
#include "handlers/openapi_doc.h"
#include "test.h"

static const struct json *document(struct arena *a, enum openapi_doc doc)
{
    size_t count;
    const struct route *routes = app_routes(&count);
    const struct json *v = NULL;
    struct json_error error;

    CHECK_INT(json_parse(a, openapi_write(a, doc, routes, count).text, &v, &error), 0);
    return v;
}

/* How many operations have this id; NULL counts all of them. */
static size_t operations_count(const struct json *paths, const struct str *id)
{
    size_t count = 0;

    json_each_member (path, paths) {
        json_each_member (method, json_value(path)) {
            struct str found = json_get_text(json_value(method), STR("operationId"));

            count += !str_is_none(found) && (id == NULL || str_eq(found, *id));
        }
    }
    return count;
}

TEST(openapi_has_every_route_once)
{
    size_t count, documented = 0;
    const struct route *routes = app_routes(&count);
    const struct json *paths[OPENAPI_DOCS];

    for (unsigned doc = 0; doc < OPENAPI_DOCS; doc++) {
        paths[doc] = json_get(document(a, doc), STR("paths"));
        documented += operations_count(paths[doc], NULL);
    }
    CHECK_INT(documented, count);
    for (size_t i = 0; i < count; i++) {
        struct str id = openapi_operation_id(a, &routes[i]);

        if (operations_count(paths[openapi_doc_of(&routes[i])], &id) != 1)
            test_failed(__FILE__, __LINE__, STR_FMT " is not there once", STR_ARG(id));
    }
}

/* Two tables of fields with one name would hide each other. */
TEST(openapi_schemas_have_names_of_their_own)
{
    for (unsigned doc = 0; doc < OPENAPI_DOCS; doc++) {
        const struct json *schemas = json_get(json_get(document(a, doc), STR("components")), STR("schemas"));

        json_each_member (m, schemas) {
            if (json_get(schemas, json_text(json_key(m))) != json_value(m))
                test_failed(__FILE__, __LINE__, "two schemas are called " STR_FMT,
                            STR_ARG(json_text(json_key(m))));
        }
    }
}

TEST(openapi_knows_where_chats_begin)
{
    size_t count;
    const struct route *routes = app_routes(&count);

    CHECK(openapi_chat_row(routes, count) != NULL);
}
