#include "handlers/openapi_schema.h"

/* ---- small pieces ---- */

static void field_cstr(struct json_writer *w, const char *name, const char *text)
{
    json_field_str(w, str_from(name), str_from(text));
}

/* A number or any other JSON text of a table. */
static void field_literal(struct json_writer *w, const char *name, const char *json)
{
    if (json != NULL)
        json_field_raw(w, str_from(name), str_from(json));
}

static void field_bound(struct json_writer *w, const char *name, size_t bound)
{
    if (bound != 0)
        json_field_i64(w, str_from(name), (int64_t)bound);
}

/* "$ref": …; the names of schemas need no escapes. */
static void ref_member_write(struct json_writer *w, const char *schema)
{
    json_key_write(w, STR("$ref"));
    json_write_raw(w, STR("\"#/components/schemas/"));
    buf_add(w->out, str_from(schema));
    buf_add_byte(w->out, '"');
}

void openapi_ref_write(struct json_writer *w, const char *schema)
{
    json_object_begin(w);
    ref_member_write(w, schema);
    json_object_end(w);
}

/* ---- types ---- */

/* How a type is called in JSON Schema. */
static const struct {
    const char *type, *format;
} type_names[] = {
    [COL_TEXT] = {"string", NULL},
    [COL_INT] = {"integer", "int32"},
    [COL_BIGINT] = {"integer", "int64"},
    [COL_NUMBER] = {"number", NULL},
    [COL_BOOL] = {"boolean", NULL},
    [COL_UUID] = {"string", "uuid"},
    [COL_TIME] = {"string", "date-time"},
    [COL_EMAIL] = {"string", "email"},
    [COL_ENUM] = {"string", NULL},
    [COL_OBJECT] = {"object", NULL},
    [COL_ARRAY] = {"array", NULL},
    [COL_TEXTS] = {"array", NULL},
    [COL_ANY] = {NULL, NULL},
};

static bool is_nullable(const struct column *col)
{
    return (col->flags & COL_NULLABLE) != 0;
}

static void type_write(struct json_writer *w, const struct column *col)
{
    const char *type = type_names[col->type].type;

    if (type == NULL)
        return; /* anything, null included */
    json_key_write(w, STR("type"));
    if (is_nullable(col)) {
        json_array_begin(w);
        json_write_str(w, str_from(type));
        json_write_str(w, STR("null"));
        json_array_end(w);
    } else {
        json_write_str(w, str_from(type));
    }
    if (type_names[col->type].format != NULL)
        field_cstr(w, "format", type_names[col->type].format);
}

static void choices_write(struct json_writer *w, const struct column *col)
{
    struct str rest = str_from(col->choices);

    json_key_write(w, STR("enum"));
    json_array_begin(w);
    while (!str_is_none(rest))
        json_write_str(w, str_cut(&rest, '|'));
    if (is_nullable(col))
        json_write_null(w);
    json_array_end(w);
}

static void text_bounds_write(struct json_writer *w, const struct column *col)
{
    field_bound(w, "minLength", col->min);
    field_bound(w, "maxLength", col->max);
    if (col->pattern != NULL)
        field_cstr(w, "pattern", col->pattern);
}

static void number_bounds_write(struct json_writer *w, const struct column *col)
{
    field_literal(w, "minimum", col->ge);
    field_literal(w, "maximum", col->le);
    field_literal(w, "exclusiveMinimum", col->gt);
    field_literal(w, "exclusiveMaximum", col->lt);
}

static void array_write(struct json_writer *w, const struct column *col)
{
    static const struct column text = {"", COL_TEXT};
    const struct column *item = col->item == NULL && col->type == COL_TEXTS ? &text : col->item;

    if (item != NULL) {
        json_key_write(w, STR("items"));
        openapi_column_write(w, item, false);
    }
    field_bound(w, "minItems", col->min);
    field_bound(w, "maxItems", col->max);
}

/* ---- fields ---- */

/* An object with a shape: a reference, which cannot be nullable by itself. */
static void shape_write(struct json_writer *w, const struct column *col)
{
    if (!is_nullable(col)) {
        ref_member_write(w, col->shape->name);
        return;
    }
    json_key_write(w, STR("anyOf"));
    json_array_begin(w);
    openapi_ref_write(w, col->shape->name);
    json_write_raw(w, STR("{\"type\":\"null\"}"));
    json_array_end(w);
}

static void constraints_write(struct json_writer *w, const struct column *col)
{
    switch (col->type) {
    case COL_ENUM:
        choices_write(w, col);
        break;
    case COL_ARRAY:
    case COL_TEXTS:
        array_write(w, col);
        break;
    case COL_INT:
    case COL_BIGINT:
    case COL_NUMBER:
        number_bounds_write(w, col);
        break;
    case COL_TEXT:
    case COL_EMAIL:
        text_bounds_write(w, col);
        break;
    case COL_BOOL:
    case COL_UUID:
    case COL_TIME:
    case COL_OBJECT:
    case COL_ANY:
        break;
    }
}

/* Recursion is as deep as the tables nest items; shapes are references. */
void openapi_column_write(struct json_writer *w, const struct column *col, bool with_default)
{
    json_object_begin(w);
    if (col->shape != NULL) {
        shape_write(w, col);
    } else {
        type_write(w, col);
        constraints_write(w, col);
    }
    if (col->flags & COL_SECRET)
        json_field_bool(w, STR("writeOnly"), true);
    if (with_default)
        field_literal(w, "default", col->fallback);
    json_object_end(w);
}

/* ---- bodies ---- */

static bool is_partial(const struct body *b)
{
    return (b->flags & BODY_PARTIAL) != 0;
}

bool openapi_is_taken(const struct body *b, const struct column *col)
{
    unsigned ignored = COL_READ_ONLY | (is_partial(b) ? COL_CREATE_ONLY : COL_UPDATE_ONLY);

    return (col->flags & ignored) == 0;
}

bool openapi_is_required(const struct body *b, const struct column *col)
{
    return openapi_is_taken(b, col) && !is_partial(b) && (col->flags & COL_REQUIRED);
}

static void required_write(struct json_writer *w, const struct body *b)
{
    bool is_any = false;

    for (size_t i = 0; i < b->columns_count; i++) {
        const struct column *col = &b->columns[i];

        if (!openapi_is_required(b, col))
            continue;
        if (!is_any) {
            json_key_write(w, STR("required"));
            json_array_begin(w);
        }
        is_any = true;
        json_write_str(w, str_from(col->name));
    }
    if (is_any)
        json_array_end(w);
}

void openapi_body_write(struct json_writer *w, const struct body *b)
{
    json_object_begin(w);
    field_cstr(w, "type", "object");
    json_key_write(w, STR("properties"));
    json_object_begin(w);
    for (size_t i = 0; i < b->columns_count; i++) {
        const struct column *col = &b->columns[i];

        if (!openapi_is_taken(b, col))
            continue;
        json_key_write(w, str_from(col->name));
        openapi_column_write(w, col, !is_partial(b));
    }
    json_object_end(w);
    required_write(w, b);
    json_object_end(w);
}

/* ---- rows ---- */

static bool is_answered(const struct column *col)
{
    return (col->flags & (COL_SECRET | COL_TRANSIENT)) == 0;
}

/* A stored value keeps to its type; the bounds of what is sent may have changed since. */
static void answered_write(struct json_writer *w, const struct column *col)
{
    struct column plain = *col;

    plain.max = plain.min = 0;
    plain.pattern = plain.ge = plain.le = plain.gt = plain.lt = NULL;
    openapi_column_write(w, &plain, false);
}

void openapi_row_write(struct json_writer *w, const struct column *columns, size_t count)
{
    json_object_begin(w);
    field_cstr(w, "type", "object");
    json_key_write(w, STR("properties"));
    json_object_begin(w);
    for (size_t i = 0; i < count; i++) {
        if (!is_answered(&columns[i]))
            continue;
        json_key_write(w, str_from(columns[i].name));
        answered_write(w, &columns[i]);
    }
    json_object_end(w);
    json_key_write(w, STR("required"));
    json_array_begin(w);
    for (size_t i = 0; i < count; i++) {
        if (is_answered(&columns[i]))
            json_write_str(w, str_from(columns[i].name));
    }
    json_array_end(w);
    json_object_end(w);
}

/* ---- which bodies there are ---- */

static void bodies_add_one(struct openapi_bodies *bodies, const struct body *b)
{
    for (size_t i = 0; i < bodies->count; i++) {
        if (bodies->items[i] == b)
            return;
    }
    assert(bodies->count < OPENAPI_BODIES_MAX && b->name != NULL);
    bodies->items[bodies->count++] = b;
}

static void bodies_add_direct_shapes(struct openapi_bodies *bodies, const struct body *b)
{
    for (size_t i = 0; i < b->columns_count; i++) {
        for (const struct column *col = &b->columns[i]; col != NULL; col = col->item) {
            if (col->shape != NULL)
                bodies_add_one(bodies, col->shape);
        }
    }
}

/* The list is its own queue: what a shape brings along is looked at when its turn comes. */
void openapi_bodies_add_shapes(struct openapi_bodies *bodies, const struct body *b)
{
    size_t at = bodies->count;

    bodies_add_direct_shapes(bodies, b);
    for (; at < bodies->count; at++)
        bodies_add_direct_shapes(bodies, bodies->items[at]);
}

void openapi_bodies_add(struct openapi_bodies *bodies, const struct body *b)
{
    bodies_add_one(bodies, b);
    openapi_bodies_add_shapes(bodies, b);
}
