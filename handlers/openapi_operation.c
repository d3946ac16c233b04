#include "handlers/openapi_operation.h"

#include "handlers/openapi_doc.h"

/* ---- paths ---- */

bool openapi_is_param(struct str segment)
{
    return segment.n > 2 && segment.p[0] == '{' && segment.p[segment.n - 1] == '}';
}

static struct str param_name(struct str segment)
{
    return str_of(segment.p + 1, segment.n - 2);
}

static bool has_params(const struct route *row)
{
    return strchr(row->path, '{') != NULL;
}

void openapi_members_write(struct json_writer *w, const char *members)
{
    if (w->comma)
        buf_add_byte(w->out, ',');
    buf_add(w->out, str_from(members));
    w->comma = true;
}

/* The first segment, or what several of them have in common. */
struct str openapi_tag(struct str path)
{
    static const struct {
        struct str segment, tag;
    } groups[] = {
        {STR_INIT("docs"), STR_INIT("documentation")},
        {STR_INIT("redoc"), STR_INIT("documentation")},
        {STR_INIT("openapi.json"), STR_INIT("documentation")},
        {STR_INIT("health"), STR_INIT("system")},
        {STR_INIT("info"), STR_INIT("system")},
    };
    struct str rest = str_from_offset(path, path.n != 0), segment = str_cut(&rest, '/');

    for (size_t i = 0; i < nelem(groups); i++) {
        if (str_eq(segment, groups[i].segment))
            return groups[i].tag;
    }
    return segment;
}

static void path_parameter_write(struct json_writer *w, const struct route *row, struct str name,
                                 bool is_tail)
{
    const struct resource *kind = openapi_kind_of(row);
    bool is_id = kind != NULL && kind->key == KEY_ID;

    json_object_begin(w);
    json_field_str(w, STR("name"), name);
    json_field_str(w, STR("in"), STR("path"));
    json_field_bool(w, STR("required"), true);
    if (is_tail)
        json_field_str(w, STR("description"), STR("The rest of the path, slashes included"));
    json_field_raw(w, STR("schema"),
                   is_id ? STR("{\"type\":\"string\",\"format\":\"uuid\"}") : STR("{\"type\":\"string\"}"));
    json_object_end(w);
}

void openapi_path_parameters_write(struct json_writer *w, const struct route *row)
{
    struct str rest = str_from(row->path);

    if (!has_params(row))
        return;
    json_key_write(w, STR("parameters"));
    json_array_begin(w);
    while (!str_is_none(rest)) {
        struct str segment = str_cut(&rest, '/');

        if (openapi_is_param(segment))
            path_parameter_write(w, row, param_name(segment), str_is_none(rest) && (row->flags & ROUTE_TAIL));
    }
    json_array_end(w);
}

static void id_add(struct buf *out, struct str text)
{
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        bool is_word = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');

        if (c >= 'A' && c <= 'Z')
            c = (char)(c - 'A' + 'a');
        buf_add_byte(out, is_word ? c : '_');
    }
}

struct str openapi_operation_id(struct arena *a, const struct route *row)
{
    struct str rest = str_from(row->path + strlen(openapi_mount(openapi_doc_of(row))));
    struct buf out;

    buf_init_arena(&out, a);
    id_add(&out, str_from(http_method_name(row->method)));
    (void)str_cut(&rest, '/'); /* before the first slash is nothing */
    while (!str_is_none(rest)) {
        struct str segment = str_cut(&rest, '/');

        buf_add(&out, openapi_is_param(segment) ? STR("_by_") : STR("_"));
        id_add(&out, openapi_is_param(segment) ? param_name(segment) : segment);
    }
    return buf_str(&out);
}

/* ---- kinds ---- */

/* What a generated handler does. */
static const struct verb {
    int (*handler)(struct req *r);
    const char *word;
    int status;
    bool is_list;
} verbs[] = {
    {resource_create, "create", 201, false}, {resource_list, "list", 200, true},
    {resource_get, "get", 200, false},       {resource_get_exclusive, "get the default", 200, false},
    {resource_update, "update", 200, false}, {resource_delete, "delete", 204, false},
};

static const struct verb *verb_of(const struct route *row)
{
    for (size_t i = 0; i < nelem(verbs); i++) {
        if (verbs[i].handler == row->handler)
            return &verbs[i];
    }
    return NULL;
}

const struct resource *openapi_kind_of(const struct route *row)
{
    return verb_of(row) != NULL ? row->data : NULL;
}

struct str openapi_row_schema(struct arena *a, const struct resource *kind)
{
    bool is_start = false;
    struct buf out;

    buf_init_arena(&out, a);
    for (const char *c = kind->noun; *c != '\0'; c++) {
        bool is_lower = *c >= 'a' && *c <= 'z';

        if (*c != ' ')
            buf_add_byte(&out, is_start && is_lower ? (char)(*c - 'a' + 'A') : *c);
        is_start = *c == ' ';
    }
    return buf_str(&out);
}

/* ---- operations ---- */

struct operation {
    struct json_writer *w;
    struct arena *arena;
    const struct route *row;
    const struct openapi_case *special; /* may be NULL */
};

static void summary_write(const struct operation *op)
{
    const struct verb *verb = verb_of(op->row);
    struct str text = str_from(op->row->summary);

    if (op->special != NULL)
        text = op->special->summary;
    else if (text.n == 0 && verb != NULL)
        text = arena_strf(op->arena, "%s: %s", openapi_kind_of(op->row)->noun, verb->word);
    if (text.n != 0)
        json_field_str(op->w, STR("summary"), text);
}

static void description_write(const struct operation *op)
{
    struct str text = STR_NONE;

    if (op->special != NULL)
        text = op->special->description;
    else if (op->row->rule == RULE_FIXED || op->row->rule == RULE_PATH)
        text = arena_strf(op->arena, "Permission: `%s`", op->row->permission);
    if (text.n != 0)
        json_field_str(op->w, STR("description"), text);
}

static void query_parameter_write(struct json_writer *w, const struct body *query, const struct column *col)
{
    json_object_begin(w);
    json_field_str(w, STR("name"), str_from(col->name));
    json_field_str(w, STR("in"), STR("query"));
    json_field_bool(w, STR("required"), openapi_is_required(query, col));
    json_key_write(w, STR("schema"));
    openapi_column_write(w, col, true);
    json_object_end(w);
}

static void query_write(const struct operation *op)
{
    const struct body *query = op->row->query;

    if (query == NULL)
        return;
    json_key_write(op->w, STR("parameters"));
    json_array_begin(op->w);
    for (size_t i = 0; i < query->columns_count; i++)
        query_parameter_write(op->w, query, &query->columns[i]);
    json_array_end(op->w);
}

static void content_begin(struct json_writer *w, const char *content_type)
{
    json_key_write(w, STR("content"));
    json_object_begin(w);
    json_key_write(w, str_from(content_type));
    json_object_begin(w);
    json_key_write(w, STR("schema"));
}

static void content_end(struct json_writer *w)
{
    json_object_end(w);
    json_object_end(w);
}

static void body_write(const struct operation *op)
{
    const struct body *body = op->row->body;

    if (body == NULL)
        return;
    json_key_write(op->w, STR("requestBody"));
    json_object_begin(op->w);
    json_field_bool(op->w, STR("required"), (body->flags & BODY_OPTIONAL) == 0);
    content_begin(op->w, "application/json");
    if (op->special != NULL)
        json_write_raw(op->w, op->special->body);
    else
        openapi_ref_write(op->w, body->name);
    content_end(op->w);
    json_object_end(op->w);
}

/* ---- answers ---- */

static void kind_content_write(const struct operation *op, const struct verb *verb)
{
    const char *schema = arena_cstr(op->arena, openapi_row_schema(op->arena, openapi_kind_of(op->row)));

    content_begin(op->w, "application/json");
    if (!verb->is_list) {
        openapi_ref_write(op->w, schema);
    } else {
        json_object_begin(op->w);
        json_field_str(op->w, STR("type"), STR("array"));
        json_key_write(op->w, STR("items"));
        openapi_ref_write(op->w, schema);
        json_object_end(op->w);
    }
    content_end(op->w);
}

/* Which of the 200s, and what is in it, only generated handlers tell. */
static void success_write(const struct operation *op)
{
    const struct verb *verb = verb_of(op->row);
    bool is_stream = op->row->flags & ROUTE_STREAM;

    json_key_write(op->w, verb != NULL ? arena_strf(op->arena, "%d", verb->status) : STR("2XX"));
    json_object_begin(op->w);
    json_field_str(op->w, STR("description"), STR("Success"));
    if (verb != NULL && verb->status != 204) {
        kind_content_write(op, verb);
    } else if (verb == NULL && !(op->row->flags & ROUTE_RAW)) {
        content_begin(op->w, is_stream ? "text/event-stream" : "application/json");
        json_write_raw(op->w, is_stream ? STR("{\"type\":\"string\"}") : STR("{}"));
        content_end(op->w);
    }
    json_object_end(op->w);
}

static void failure_write(struct json_writer *w, const char *status, const char *name)
{
    struct buf *out = w->out;

    json_key_write(w, str_from(status));
    json_object_begin(w);
    json_key_write(w, STR("$ref"));
    json_write_raw(w, STR("\"#/components/responses/"));
    buf_add(out, str_from(name));
    buf_add_byte(out, '"');
    json_object_end(w);
}

static void responses_write(const struct operation *op)
{
    const struct route *row = op->row;
    const struct resource *kind = openapi_kind_of(row);
    bool has_id = kind != NULL && kind->key == KEY_ID && has_params(row);

    json_key_write(op->w, STR("responses"));
    json_object_begin(op->w);
    success_write(op);
    if (row->rule != RULE_PUBLIC)
        failure_write(op->w, "401", "Unauthorized");
    if (row->rule != RULE_PUBLIC && row->rule != RULE_CREDENTIAL)
        failure_write(op->w, "403", "Forbidden");
    if (has_params(row))
        failure_write(op->w, "404", "NotFound");
    if (row->body != NULL || row->query != NULL || has_id)
        failure_write(op->w, "422", "Invalid");
    failure_write(op->w, "default", "Failed");
    json_object_end(op->w);
}

void openapi_operation_write(struct json_writer *w, struct arena *a, const struct route *row,
                             const struct openapi_case *special)
{
    const struct operation op = {.w = w, .arena = a, .row = row, .special = special};
    struct str path = str_from(row->path + strlen(openapi_mount(openapi_doc_of(row))));
    struct buf method;

    buf_init_arena(&method, a);
    id_add(&method, str_from(http_method_name(row->method)));
    json_key_write(w, buf_str(&method));
    json_object_begin(w);
    json_key_write(w, STR("tags"));
    json_array_begin(w);
    json_write_str(w, openapi_tag(path));
    json_array_end(w);
    summary_write(&op);
    description_write(&op);
    json_field_str(w, STR("operationId"), special != NULL ? special->id : openapi_operation_id(a, row));
    if (row->rule == RULE_PUBLIC)
        json_field_raw(w, STR("security"), STR("[]"));
    query_write(&op);
    body_write(&op);
    responses_write(&op);
    json_object_end(w);
}
