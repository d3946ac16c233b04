#include "handlers/resources/agent.h"

#include "base/scalar.h"

#define REF       "^[^/]+/[^/]+$"
#define REF_OR_ID "^([^/]+/[^/]+|[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})$"

const struct column agent_ref_item = {"", COL_TEXT, .pattern = REF};
const struct column agent_any_ref_item = {"", COL_TEXT, .pattern = REF_OR_ID};

/* ---- texts or objects ---- */

static void check_mixed(struct check *c, const struct json *list, const struct column *as_text,
                        const struct column *as_object)
{
    size_t index = 0;

    json_each (item, list) {
        check_enter_index(c, index++);
        (void)check_value(c, json_is(item, JSON_STRING) ? as_text : as_object, item);
        check_leave(c);
    }
}

static void write_begin(struct arena *a, struct buf *out, struct json_writer *w)
{
    buf_init_arena(out, a);
    json_write_init(w, out);
}

/* The member as text, whether the item is an object or the text itself. */
static struct str ref_of(const struct json *item, struct str key)
{
    return json_is(item, JSON_STRING) ? json_text(item) : json_get_text(item, key);
}

/* ---- skills ---- */

static const struct column skill_ref_columns[] = {
    {"skill", COL_TEXT, COL_REQUIRED, .pattern = REF},
    {"preload", COL_BOOL, COL_NULLABLE},
};
static const struct body skill_ref = BODY("AgentSkill", skill_ref_columns);
static const struct column skill_ref_item = {"", COL_OBJECT, .shape = &skill_ref};

void agent_check_skills(struct check *c, const struct json *v)
{
    check_mixed(c, v, &agent_ref_item, &skill_ref_item);
}

static bool bool_of(const struct json *v)
{
    const struct scalar_error *e;
    bool is_true = false;

    return scalar_json_bool(v, &is_true, &e) == 0 && is_true;
}

struct str agent_normal_skills(struct arena *a, const struct json *v)
{
    struct buf out;
    struct json_writer w;

    write_begin(a, &out, &w);
    json_array_begin(&w);
    json_each (item, v) {
        json_object_begin(&w);
        json_field_str(&w, STR("skill"), ref_of(item, STR("skill")));
        json_field_bool(&w, STR("preload"), bool_of(json_get(item, STR("preload"))));
        json_object_end(&w);
    }
    json_array_end(&w);
    return buf_str(&out);
}

/* ---- collections and stores ---- */

#define ACCESS                                                                                               \
    {                                                                                                        \
        "access", COL_ENUM, COL_NULLABLE, .choices = "readonly|readwrite"                                    \
    }

static const struct column collection_ref_columns[] = {{"collection", COL_TEXT, COL_REQUIRED, .pattern = REF},
                                                       ACCESS};
static const struct body collection_ref = BODY("AgentCollection", collection_ref_columns);
static const struct column collection_ref_item = {"", COL_OBJECT, .shape = &collection_ref};

static const struct column store_ref_columns[] = {{"store", COL_TEXT, COL_REQUIRED, .pattern = REF}, ACCESS};
static const struct body store_ref = BODY("AgentStore", store_ref_columns);
static const struct column store_ref_item = {"", COL_OBJECT, .shape = &store_ref};

static struct str normal_access(struct arena *a, const struct json *v, struct str key)
{
    struct buf out;
    struct json_writer w;

    write_begin(a, &out, &w);
    json_array_begin(&w);
    json_each (item, v) {
        struct str access = json_get_text(item, STR("access"));

        json_object_begin(&w);
        json_field_str(&w, key, ref_of(item, key));
        json_field_str(&w, STR("access"), str_is_none(access) ? STR("readonly") : access);
        json_object_end(&w);
    }
    json_array_end(&w);
    return buf_str(&out);
}

void agent_check_collections(struct check *c, const struct json *v)
{
    check_mixed(c, v, &agent_ref_item, &collection_ref_item);
}

struct str agent_normal_collections(struct arena *a, const struct json *v)
{
    return normal_access(a, v, STR("collection"));
}

void agent_check_stores(struct check *c, const struct json *v)
{
    check_mixed(c, v, &agent_ref_item, &store_ref_item);
}

struct str agent_normal_stores(struct arena *a, const struct json *v)
{
    return normal_access(a, v, STR("store"));
}

/* ---- connectors ---- */

static const struct column connector_ref_columns[] = {
    {"connector", COL_TEXT, COL_REQUIRED, .pattern = REF},
    {"operations", COL_TEXTS, COL_NULLABLE},
    {"parameters", COL_OBJECT, COL_NULLABLE},
};
static const struct body connector_ref = BODY("AgentConnector", connector_ref_columns);
const struct column agent_connector_item = {"", COL_OBJECT, .shape = &connector_ref};

static void field_or(struct json_writer *w, struct str name, const struct json *v, const char *otherwise)
{
    json_key_write(w, name);
    if (v == NULL || json_is(v, JSON_NULL))
        json_write_raw(w, str_from(otherwise));
    else
        json_write_value(w, v);
}

struct str agent_normal_connectors(struct arena *a, const struct json *v)
{
    struct buf out;
    struct json_writer w;

    write_begin(a, &out, &w);
    json_array_begin(&w);
    json_each (item, v) {
        json_object_begin(&w);
        json_field_str(&w, STR("connector"), json_get_text(item, STR("connector")));
        field_or(&w, STR("operations"), json_get(item, STR("operations")), "[]");
        field_or(&w, STR("parameters"), json_get(item, STR("parameters")), "{}");
        json_object_end(&w);
    }
    json_array_end(&w);
    return buf_str(&out);
}

/* ---- system tools ---- */

static const struct column tool_columns[] = {
    {"name", COL_TEXT, COL_REQUIRED, 0, 1},
    {"connections", COL_TEXTS, COL_NULLABLE},
};
static const struct body tool_shape = BODY("AgentSystemTool", tool_columns);
static const struct column tool_item = {"", COL_OBJECT, .shape = &tool_shape};
static const struct column tool_name_item = {"", COL_TEXT, 0, 0, 1};

void agent_check_tools(struct check *c, const struct json *v)
{
    check_mixed(c, v, &tool_name_item, &tool_item);
}

struct str agent_normal_tools(struct arena *a, const struct json *v)
{
    struct buf out;
    struct json_writer w;

    write_begin(a, &out, &w);
    json_array_begin(&w);
    json_each (item, v) {
        if (json_is(item, JSON_STRING)) {
            json_write_value(&w, item);
            continue;
        }
        json_object_begin(&w);
        json_field_str(&w, STR("name"), json_get_text(item, STR("name")));
        field_or(&w, STR("connections"), json_get(item, STR("connections")), "null");
        json_object_end(&w);
    }
    json_array_end(&w);
    return buf_str(&out);
}

/* ---- initial messages ---- */

static const struct column message_columns[] = {
    {"role", COL_ENUM, COL_REQUIRED, .choices = "user|assistant|system|agent"},
    {"content", COL_TEXT, COL_REQUIRED},
};
static const struct body message_shape = BODY("AgentInitialMessage", message_columns);
const struct column agent_message_item = {"", COL_OBJECT, .shape = &message_shape};

struct str agent_normal_messages(struct arena *a, const struct json *v)
{
    struct buf out;
    struct json_writer w;

    write_begin(a, &out, &w);
    json_array_begin(&w);
    json_each (item, v) {
        struct str role = json_get_text(item, STR("role"));

        json_object_begin(&w);
        json_field_str(&w, STR("role"), str_eq(role, STR("agent")) ? STR("assistant") : role);
        json_field_str(&w, STR("content"), json_get_text(item, STR("content")));
        json_object_end(&w);
    }
    json_array_end(&w);
    return buf_str(&out);
}

/* ---- hooks ---- */

#define ON_TIMEOUT(key)                                                                                      \
    {                                                                                                        \
        key, COL_ENUM, COL_NULLABLE, .choices = "passthrough|block"                                          \
    }

static const struct column hook_columns[] = {
    {"function", COL_TEXT, COL_REQUIRED, .pattern = REF},
    {"async", COL_BOOL, COL_NULLABLE},
    ON_TIMEOUT("on_timeout"),
    ON_TIMEOUT("onTimeout"),
};
static const struct body hook_shape = BODY("AgentHook", hook_columns);
static const struct column hook_item = {"", COL_OBJECT, .shape = &hook_shape};

#define HOOK_LIST(key)                                                                                       \
    {                                                                                                        \
        key, COL_ARRAY, COL_NULLABLE, .item = &hook_item                                                     \
    }

static const struct column hooks_columns[] = {
    HOOK_LIST("on_user_message"),
    HOOK_LIST("onUserMessage"),
    HOOK_LIST("on_assistant_message"),
    HOOK_LIST("onAssistantMessage"),
};
const struct body agent_hooks_shape = BODY("AgentHooks", hooks_columns);

/* The member under its snake_case name, or under its camelCase one. */
static const struct json *either(const struct json *object, struct str snake, struct str camel)
{
    const struct json *v = json_get(object, snake);

    return v != NULL ? v : json_get(object, camel);
}

static void write_hooks(struct json_writer *w, struct str name, const struct json *list)
{
    if (!json_is(list, JSON_ARRAY))
        return;
    json_key_write(w, name);
    json_array_begin(w);
    json_each (hook, list) {
        struct str on_timeout = json_text(either(hook, STR("on_timeout"), STR("onTimeout")));

        json_object_begin(w);
        json_field_str(w, STR("function"), json_get_text(hook, STR("function")));
        json_field_bool(w, STR("async"), bool_of(json_get(hook, STR("async"))));
        json_field_str(w, STR("on_timeout"), str_is_none(on_timeout) ? STR("passthrough") : on_timeout);
        json_object_end(w);
    }
    json_array_end(w);
}

struct str agent_normal_hooks(struct arena *a, const struct json *v)
{
    struct buf out;
    struct json_writer w;

    write_begin(a, &out, &w);
    json_object_begin(&w);
    write_hooks(&w, STR("on_user_message"), either(v, STR("on_user_message"), STR("onUserMessage")));
    write_hooks(&w, STR("on_assistant_message"),
                either(v, STR("on_assistant_message"), STR("onAssistantMessage")));
    json_object_end(&w);
    return buf_str(&out);
}

/* ---- status templates ---- */

void agent_check_templates(struct check *c, const struct json *v)
{
    static const struct column template_item = {"", COL_TEXT};

    json_each_member (m, v) {
        check_enter_str(c, json_text(json_key(m)));
        (void)check_value(c, &template_item, json_value(m));
        check_leave(c);
    }
}
