#include "handlers/fields.h"

#include "base/scalar.h"

enum { BODY_PARSE_SLICE = 256 << 10 }; /* bytes between looks at other tasks */

/* ---- answers ---- */

static int refuse(struct req *r, const struct check *c)
{
    return fail_json(r, 422, check_errors(c));
}

static int refuse_missing(struct req *r)
{
    struct check *c = check_new(&r->arena, "body");

    check_error(c, "missing", NULL, STR_NONE, "Field required");
    return refuse(r, c);
}

static bool body_has_secrets(const struct body *b)
{
    for (size_t i = 0; i < b->columns_count; i++) {
        if (b->columns[i].flags & COL_SECRET)
            return true;
    }
    return false;
}

static int refuse_no_object(struct req *r, const struct json *input)
{
    struct check *c = check_new(&r->arena, "body");

    check_error(c, "model_attributes_type", input, STR_NONE,
                "Input should be a valid dictionary or object to extract fields from");
    return refuse(r, c);
}

static int refuse_syntax(struct req *r, const struct json_error *e)
{
    struct check *c = check_new(&r->arena, "body");
    const struct json *nothing = NULL;
    struct json_error none;
    int rc = json_parse(&r->arena, STR("{}"), &nothing, &none);
    struct buf ctx;
    struct json_writer w;

    assert(rc == 0);
    (void)rc;
    buf_init_arena(&ctx, &r->arena);
    json_write_init(&w, &ctx);
    json_object_begin(&w);
    json_field_str(&w, STR("error"), str_from(e->reason));
    json_object_end(&w);
    check_enter_index(c, e->offset);
    check_error(c, "json_invalid", nothing, buf_str(&ctx), "JSON decode error");
    return refuse(r, c);
}

/* ---- the body ---- */

static bool charset_is_utf8(struct str parameters)
{
    while (parameters.n != 0) {
        struct str parameter = str_trim(str_cut(&parameters, ';')), name = str_trim(str_cut(&parameter, '='));

        parameter = str_trim(parameter);
        if (parameter.n >= 2 && parameter.p[0] == '"' && parameter.p[parameter.n - 1] == '"')
            parameter = str_of(parameter.p + 1, parameter.n - 2);
        if (str_ieq(name, STR("charset")) && !str_ieq(parameter, STR("utf-8")) &&
            !str_ieq(parameter, STR("utf8")))
            return false;
    }
    return true;
}

static bool body_is_json(const struct req *r)
{
    struct str parameters = header(r, "content-type"), type;

    if (str_is_none(parameters))
        return true;
    type = str_trim(str_cut(&parameters, ';'));
    if (!charset_is_utf8(parameters))
        return false;
    if (str_ieq(type, STR("application/json")))
        return true;
    return type.n > strlen("application/+json") && str_ieq(str_head(type, 12), STR("application/")) &&
           str_ieq(str_from_offset(type, type.n - 5), STR("+json"));
}

/* A body of another type, as the JSON string that the answer echoes. */
static const struct json *body_as_string(struct req *r, const struct body *b)
{
    const struct json *text = NULL;
    struct json_error e;
    struct buf quoted;

    if (body_has_secrets(b) || !str_is_utf8(r->body))
        return NULL;
    buf_init_arena(&quoted, &r->arena);
    json_quote(&quoted, r->body);
    return json_parse(&r->arena, buf_str(&quoted), &text, &e) == 0 ? text : NULL;
}

static int body_parse(struct req *r)
{
    struct json_parser *p = json_parse_start(&r->arena, r->body);
    struct json_error e;
    int rc;

    while ((rc = json_parse_step(p, BODY_PARSE_SLICE, &r->json, &e)) > 0)
        TRY(task_yield_await());
    return rc < 0 ? refuse_syntax(r, &e) : 0;
}

static int body_absent(struct req *r, const struct body *b)
{
    struct check *c = check_new(&r->arena, "body");
    const struct json *empty = NULL;
    struct json_error e;

    if (!(b->flags & BODY_OPTIONAL) || json_parse(&r->arena, STR("{}"), &empty, &e) < 0)
        return refuse_missing(r);
    r->fields = check_object(c, b, empty);
    return check_is_clean(c) ? 0 : refuse(r, c);
}

int body_check(struct req *r, const struct body *b)
{
    struct check *c;

    if (r->body.n == 0)
        return body_absent(r, b);
    if (!body_is_json(r))
        return refuse_no_object(r, body_as_string(r, b));
    TRY(body_parse(r));
    if (json_is(r->json, JSON_NULL))
        return body_absent(r, b);
    if (!json_is(r->json, JSON_OBJECT))
        return refuse_no_object(r, r->json);
    c = check_new(&r->arena, "body");
    r->fields = check_object(c, b, r->json);
    return check_is_clean(c) ? 0 : refuse(r, c);
}

/* ---- query and path ---- */

static void query_check_column(struct req *r, struct check *c, struct value *v)
{
    const struct column *col = v->column;
    struct str text = query(r, col->name);

    check_enter(c, col->name);
    if (!str_is_none(text))
        (void)check_text(c, col, text, v);
    else if (col->flags & COL_REQUIRED)
        check_error(c, "missing", NULL, STR_NONE, "Field required");
    else if (col->fallback != NULL)
        check_fallback(c, v);
    check_leave(c);
}

int query_check(struct req *r, const struct body *b)
{
    struct check *c = check_new(&r->arena, "query");
    struct values *values = arena_alloc(&r->arena, sizeof(*values));

    values->count = b->columns_count;
    values->items = arena_zalloc(&r->arena, b->columns_count * sizeof(values->items[0]) + 1);
    for (size_t i = 0; i < b->columns_count; i++) {
        values->items[i].column = &b->columns[i];
        query_check_column(r, c, &values->items[i]);
    }
    r->query_fields = values;
    return check_is_clean(c) ? 0 : refuse(r, c);
}

int path_uuid(struct req *r, const char *name, struct str *id)
{
    const struct column col = {name, COL_UUID};
    struct check *c = check_new(&r->arena, "path");
    struct value v;

    check_enter(c, name);
    if (!check_text(c, &col, param(r, name), &v))
        return refuse(r, c);
    *id = v.text;
    return 0;
}

int fail_field(struct req *r, const char *field, const char *text)
{
    struct check *c = check_new(&r->arena, "body");
    const struct value *v = values_find(r->fields, field);

    check_enter(c, field);
    check_rule(c, v != NULL && v->is_given && !(v->column->flags & COL_SECRET) ? v->json : NULL, "%s", text);
    return refuse(r, c);
}

/* ---- what was asked ---- */

static const struct value *value_at(const struct values *fields, const char *name)
{
    const struct value *v = values_find(fields, name);

    assert(v != NULL); /* a name that the table has not is a mistake in the handler */
    return v;
}

static int64_t value_i64(const struct value *v)
{
    int64_t n = 0;

    return str_to_i64(v->text, &n) == 0 ? n : 0;
}

bool body_has(const struct req *r, const char *name)
{
    return value_at(r->fields, name)->is_given;
}

bool body_is_null(const struct req *r, const char *name)
{
    const struct value *v = value_at(r->fields, name);

    return v->is_given && json_is(v->json, JSON_NULL);
}

struct str body_str(const struct req *r, const char *name)
{
    return value_at(r->fields, name)->text;
}

int64_t body_i64(const struct req *r, const char *name)
{
    return value_i64(value_at(r->fields, name));
}

bool body_bool(const struct req *r, const char *name)
{
    return str_eq(value_at(r->fields, name)->text, STR("t"));
}

double body_double(const struct req *r, const char *name)
{
    struct str text = value_at(r->fields, name)->text;
    double n = 0;
    const struct scalar_error *e;

    return !str_is_none(text) && scalar_str_double(text, &n, &e) == 0 ? n : 0;
}

const struct json *body_json(const struct req *r, const char *name)
{
    return value_at(r->fields, name)->json;
}

bool query_has(const struct req *r, const char *name)
{
    return value_at(r->query_fields, name)->is_given;
}

struct str query_str(const struct req *r, const char *name)
{
    return value_at(r->query_fields, name)->text;
}

int64_t query_i64(const struct req *r, const char *name)
{
    return value_i64(value_at(r->query_fields, name));
}

bool query_bool(const struct req *r, const char *name)
{
    return str_eq(value_at(r->query_fields, name)->text, STR("t"));
}
