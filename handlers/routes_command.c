#include "handlers/routes_command.h"

#include "base/json.h"
#include "handlers/app.h"

static const char *rule_name(enum route_rule rule)
{
    switch (rule) {
    case RULE_PUBLIC:
        return "public";
    case RULE_CREDENTIAL:
        return "credential";
    case RULE_FIXED:
        return "fixed";
    case RULE_PATH:
        return "path";
    case RULE_OBJECT:
        return "object";
    }
    return "none";
}

static void write_flags(struct json_writer *w, unsigned flags)
{
    static const struct {
        unsigned flag;
        const char *name;
    } names[] = {
        {ROUTE_BODY_AUTH, "body_auth"},
        {ROUTE_BODY_LARGE, "body_large"},
        {ROUTE_BODY_CONFIG, "body_config"},
        {ROUTE_QUIET, "quiet"},
        {ROUTE_NO_STORE, "no_store"},
        {ROUTE_TAIL, "tail"},
        {ROUTE_STREAM, "stream"},
        {ROUTE_FRAMEABLE, "frameable"},
        {ROUTE_RAW, "raw"},
        {ROUTE_READS_FIRST, "reads_first"},
    };

    json_key_write(w, STR("flags"));
    json_array_begin(w);
    for (size_t i = 0; i < nelem(names); i++) {
        if (flags & names[i].flag)
            json_write_str(w, str_from(names[i].name));
    }
    json_array_end(w);
}

static struct str text_or_none(const char *text)
{
    return text != NULL ? str_from(text) : STR_NONE;
}

static void write_route(struct json_writer *w, const struct route *route)
{
    json_object_begin(w);
    json_field_str(w, STR("method"), str_from(http_method_name(route->method)));
    json_field_str(w, STR("path"), str_from(route->path));
    json_field_str(w, STR("rule"), str_from(rule_name(route->rule)));
    json_field_str(w, STR("permission"), text_or_none(route->permission));
    json_field_str(w, STR("refusal"), text_or_none(route->refusal));
    json_field_bool(w, STR("has_body"), route->body != NULL);
    json_field_bool(w, STR("has_query"), route->query != NULL);
    write_flags(w, route->flags);
    json_object_end(w);
}

int command_routes(int argc UNUSED, char **argv UNUSED)
{
    size_t count;
    const struct route *routes = app_routes(&count);
    struct json_writer w;
    struct buf out;

    buf_init(&out);
    json_write_init(&w, &out);
    json_array_begin(&w);
    for (size_t i = 0; i < count; i++)
        write_route(&w, &routes[i]);
    json_array_end(&w);
    printf(STR_FMT "\n", STR_ARG(buf_str(&out)));
    buf_fini(&out);
    return 0;
}
