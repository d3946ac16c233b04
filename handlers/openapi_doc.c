#include "handlers/openapi_doc.h"

#include "handlers/openapi_operation.h"

enum { KINDS_MAX = 64 };

static const struct {
    const char *mount, *server, *title, *description;
} docs[OPENAPI_DOCS] = {
    [OPENAPI_RUNTIME] = {"", "/", "SINAS Runtime API", "Runtime API"},
    [OPENAPI_MANAGEMENT] = {"/api/v1", "/api/v1", "SINAS Management API", "Management API"},
    [OPENAPI_ADAPTER] = {"/adapters/openai", "/adapters/openai", "SINAS OpenAI Adapter", "OpenAI Adapter"},
};

/* What every document has beside its own schemas. */
static const char error_schemas[] =
    "\"Error\":{\"type\":\"object\",\"properties\":{\"detail\":{\"type\":\"string\"}},\"required\":["
    "\"detail\"]},"
    "\"ValidationError\":{\"type\":\"object\",\"properties\":{\"type\":{\"type\":\"string\"},"
    "\"loc\":{\"type\":\"array\",\"items\":{\"type\":[\"string\",\"integer\"]}},\"msg\":{\"type\":\"string\"}"
    ","
    "\"input\":{},\"ctx\":{\"type\":\"object\"}},\"required\":[\"type\",\"loc\",\"msg\",\"input\"]},"
    "\"HTTPValidationError\":{\"type\":\"object\",\"properties\":{\"detail\":{\"type\":\"array\","
    "\"items\":{\"$ref\":\"#/components/schemas/ValidationError\"}}},\"required\":[\"detail\"]}";

#define ERROR_RESPONSE(name, text, schema)                                                                   \
    "\"" name "\":{\"description\":\"" text "\",\"content\":{\"application/json\":{\"schema\":"              \
    "{\"$ref\":\"#/components/schemas/" schema "\"}}}}"

static const char responses[] =
    "\"responses\":{" ERROR_RESPONSE("Unauthorized", "No credential, or not a valid one", "Error") "," ERROR_RESPONSE(
        "Forbidden", "Not allowed",
        "Error") "," ERROR_RESPONSE("NotFound", "Not found",
                                    "Error") "," ERROR_RESPONSE("Invalid", "Fields that are missing or wrong",
                                                                "HTTPValidationError") "," ERROR_RESPONSE("Fa"
                                                                                                          "il"
                                                                                                          "e"
                                                                                                          "d",
                                                                                                          "An"
                                                                                                          "y "
                                                                                                          "ot"
                                                                                                          "he"
                                                                                                          "r "
                                                                                                          "fa"
                                                                                                          "il"
                                                                                                          "ur"
                                                                                                          "e",
                                                                                                          "Er"
                                                                                                          "ro"
                                                                                                          "r") "}";

static const char security_schemes[] =
    "\"securitySchemes\":{"
    "\"BearerAuth\":{\"type\":\"http\",\"scheme\":\"bearer\",\"bearerFormat\":\"JWT\","
    "\"description\":\"An access token, or an API key\"},"
    "\"ApiKeyAuth\":{\"type\":\"apiKey\",\"in\":\"header\",\"name\":\"X-API-Key\"}}";

/* The rows of one document and what their schemas need. */
struct draft {
    struct json_writer w;
    struct buf out;
    struct arena *arena;
    const struct route **rows;
    size_t count;
    struct openapi_bodies bodies;
    const struct resource *kinds[KINDS_MAX];
    size_t kinds_count;
};

/* ---- which document ---- */

const char *openapi_mount(enum openapi_doc doc)
{
    return docs[doc].mount;
}

const char *openapi_title(enum openapi_doc doc)
{
    return docs[doc].title;
}

enum openapi_doc openapi_doc_of(const struct route *row)
{
    struct str path = str_from(row->path);

    for (unsigned doc = OPENAPI_MANAGEMENT; doc < OPENAPI_DOCS; doc++) {
        struct str mount = str_from(docs[doc].mount);

        if (str_starts(path, mount) && (path.n == mount.n || path.p[mount.n] == '/'))
            return doc;
    }
    return OPENAPI_RUNTIME;
}

/* The row's path below its server. */
static struct str path_of(const struct route *row)
{
    return str_from_offset(str_from(row->path), strlen(docs[openapi_doc_of(row)].mount));
}

/* ---- collecting ---- */

static void add_kind(struct draft *d, const struct resource *kind)
{
    for (size_t i = 0; i < d->kinds_count; i++) {
        if (d->kinds[i] == kind)
            return;
    }
    assert(d->kinds_count < KINDS_MAX);
    d->kinds[d->kinds_count++] = kind;
    openapi_bodies_add_shapes(&d->bodies, &kind->create);
}

static void add_row(struct draft *d, const struct route *row)
{
    const struct resource *kind = openapi_kind_of(row);

    d->rows[d->count++] = row;
    if (row->body != NULL)
        openapi_bodies_add(&d->bodies, row->body);
    if (row->query != NULL)
        openapi_bodies_add_shapes(&d->bodies, row->query);
    if (kind != NULL)
        add_kind(d, kind);
}

/* ---- paths ---- */

/* Equal but for the names of parameters: OpenAPI takes such paths for one. */
static bool is_same_path(struct str a, struct str b)
{
    while (!str_is_none(a) && !str_is_none(b)) {
        struct str x = str_cut(&a, '/'), y = str_cut(&b, '/');

        if (!str_eq(x, y) && !(openapi_is_param(x) && openapi_is_param(y)))
            return false;
    }
    return str_is_none(a) && str_is_none(b);
}

static bool is_first_of_path(const struct draft *d, size_t at)
{
    for (size_t i = 0; i < at; i++) {
        if (is_same_path(path_of(d->rows[i]), path_of(d->rows[at])))
            return false;
    }
    return true;
}

static void path_write(struct draft *d, size_t at)
{
    const struct route *first = d->rows[at];

    json_key_write(&d->w, path_of(first));
    json_object_begin(&d->w);
    openapi_path_parameters_write(&d->w, first);
    for (size_t i = at; i < d->count; i++) {
        if (is_same_path(path_of(d->rows[i]), path_of(first)))
            openapi_operation_write(&d->w, d->arena, d->rows[i], NULL);
    }
    json_object_end(&d->w);
}

static void paths_write(struct draft *d)
{
    json_key_write(&d->w, STR("paths"));
    json_object_begin(&d->w);
    for (size_t i = 0; i < d->count; i++) {
        if (is_first_of_path(d, i))
            path_write(d, i);
    }
    json_object_end(&d->w);
}

/* ---- components ---- */

static void schemas_write(struct draft *d)
{
    json_key_write(&d->w, STR("schemas"));
    json_object_begin(&d->w);
    for (size_t i = 0; i < d->bodies.count; i++) {
        json_key_write(&d->w, str_from(d->bodies.items[i]->name));
        openapi_body_write(&d->w, d->bodies.items[i]);
    }
    for (size_t i = 0; i < d->kinds_count; i++) {
        const struct body *b = &d->kinds[i]->create;

        json_key_write(&d->w, openapi_row_schema(d->arena, d->kinds[i]));
        openapi_row_write(&d->w, b->columns, b->columns_count);
    }
    openapi_members_write(&d->w, error_schemas);
    json_object_end(&d->w);
}

static void components_write(struct draft *d)
{
    json_key_write(&d->w, STR("components"));
    json_object_begin(&d->w);
    schemas_write(d);
    openapi_members_write(&d->w, responses);
    openapi_members_write(&d->w, security_schemes);
    json_object_end(&d->w);
}

static bool has_tag_before(const struct draft *d, size_t at, struct str tag)
{
    for (size_t i = 0; i < at; i++) {
        if (str_eq(openapi_tag(path_of(d->rows[i])), tag))
            return true;
    }
    return false;
}

static void tags_write(struct draft *d)
{
    json_key_write(&d->w, STR("tags"));
    json_array_begin(&d->w);
    for (size_t i = 0; i < d->count; i++) {
        struct str tag = openapi_tag(path_of(d->rows[i]));

        if (has_tag_before(d, i, tag))
            continue;
        json_object_begin(&d->w);
        json_field_str(&d->w, STR("name"), tag);
        json_object_end(&d->w);
    }
    json_array_end(&d->w);
}

/* ---- the document ---- */

static void head_write(struct draft *d, enum openapi_doc doc)
{
    struct json_writer *w = &d->w;

    json_field_str(w, STR("openapi"), STR("3.1.0"));
    json_key_write(w, STR("info"));
    json_object_begin(w);
    json_field_str(w, STR("title"), str_from(docs[doc].title));
    json_field_str(w, STR("version"), STR("1.0.0"));
    json_object_end(w);
    json_key_write(w, STR("servers"));
    json_array_begin(w);
    json_object_begin(w);
    json_field_str(w, STR("url"), str_from(docs[doc].server));
    json_field_str(w, STR("description"), str_from(docs[doc].description));
    json_object_end(w);
    json_array_end(w);
    json_field_raw(w, STR("security"), STR("[{\"BearerAuth\":[]},{\"ApiKeyAuth\":[]}]"));
}

struct openapi_text openapi_write(struct arena *a, enum openapi_doc doc, const struct route *routes,
                                  size_t count)
{
    struct draft *d = arena_zalloc(a, sizeof(*d));
    size_t paths_end;

    d->arena = a;
    d->rows = arena_alloc(a, count * sizeof(*d->rows)); /* of pointers. NOLINT(bugprone-sizeof-expression) */
    for (size_t i = 0; i < count; i++) {
        if (openapi_doc_of(&routes[i]) == doc)
            add_row(d, &routes[i]);
    }
    buf_init_arena(&d->out, a);
    json_write_init(&d->w, &d->out);
    json_object_begin(&d->w);
    head_write(d, doc);
    tags_write(d);
    components_write(d);
    paths_write(d);
    json_object_end(&d->w);
    paths_end = buf_size(&d->out) - strlen("}}");
    return (struct openapi_text){buf_str(&d->out), paths_end};
}
