#include "handlers/pattern.h"
#include "handlers/resource_sql.h"
#include "handlers/resources/kinds.h"
#include "migrate.h"
#include "test.h"

#include <libpq-fe.h>

/* ---- descriptors ---- */

static void check_column(struct arena *a, const struct resource *k, const struct column *col)
{
    const struct json *json = NULL;
    struct json_error e;
    bool is_taken = (col->flags & COL_READ_ONLY) == 0;
    bool has_value = (col->flags & (COL_REQUIRED | COL_NULLABLE | COL_UPDATE_ONLY | COL_TRANSIENT)) != 0;

    if (is_taken && !has_value && col->fallback == NULL)
        test_failed(__FILE__, __LINE__, "%s.%s has no value when it is absent", k->table, col->name);
    if (col->fallback != NULL) {
        const struct body one = {.name = "One", .columns = col, .columns_count = 1};
        struct check *c = check_new(a, "body");
        struct values *v;

        CHECK_INT(json_parse(a, STR("{}"), &json, &e), 0);
        v = check_object(c, &one, json);
        if (!check_is_clean(c) || !v->items[0].is_set)
            test_failed(__FILE__, __LINE__, "%s.%s: fallback " STR_FMT, k->table, col->name,
                        STR_ARG(check_errors(c)));
    }
    if (col->pattern != NULL)
        (void)pattern_matches(col->pattern, STR("")); /* aborts when it cannot be compiled */
    CHECK((col->type == COL_ENUM) == (col->choices != NULL));
}

TEST(resource_descriptors_are_complete)
{
    for (size_t i = 0; i < resources_count; i++) {
        const struct resource *k = resources[i];

        CHECK(str_starts(str_from(k->permission), STR("sinas.")));
        CHECK(k->key != KEY_NS_NAME || resource_is_namespaced(k));
        CHECK(k->create.columns == k->update.columns && (k->update.flags & BODY_PARTIAL));
        for (size_t n = 0; n < k->create.columns_count; n++)
            check_column(a, k, &k->create.columns[n]);
    }
}

/* ---- statements ---- */

static bool run(PGconn *db, const char *sql)
{
    PGresult *result = PQexec(db, sql);
    bool is_good = PQresultStatus(result) == PGRES_COMMAND_OK || PQresultStatus(result) == PGRES_TUPLES_OK;

    if (!is_good)
        test_failed(__FILE__, __LINE__, "%.60s: %s", sql, PQerrorMessage(db));
    PQclear(result);
    return is_good;
}

static void prepare(PGconn *db, const struct sql_stmt *s)
{
    PGresult *result = PQprepare(db, s->name, s->text, (int)s->params_count, s->param_types);

    if (PQresultStatus(result) != PGRES_COMMAND_OK)
        test_failed(__FILE__, __LINE__, "%s: %s%s", s->name, PQerrorMessage(db), s->text);
    PQclear(result);
}

static void prepare_all(PGconn *db)
{
    for (size_t i = 0; i < resources_count; i++) {
        for (enum resource_verb verb = 0; verb < RESOURCE_VERBS; verb++) {
            const struct sql_stmt *s = resource_stmt(resources[i], verb);

            CHECK(s != NULL || verb == RESOURCE_GET_EXCLUSIVE);
            if (s != NULL)
                prepare(db, s);
        }
    }
}

/* Against the migrated schema, in a transaction that leaves nothing. Without a database (make unit) only the
 * texts are made. */
TEST(resource_statements_fit_the_schema)
{
    const char *url = getenv("TEST_DATABASE_URL");
    PGconn *db;
    bool is_good;

    for (size_t i = 0; i < resources_count; i++)
        CHECK(resource_stmt(resources[i], RESOURCE_LIST) == resource_stmt(resources[i], RESOURCE_LIST));
    if (url == NULL)
        return;
    db = PQconnectdb(url);
    is_good = run(db, "begin; create schema resource_test; set local search_path to resource_test");
    for (size_t i = 0; is_good && i < migrations_count; i++)
        is_good = run(db, migrations[i].sql);
    if (is_good)
        prepare_all(db);
    PQfinish(db);
}

/* ---- agents ---- */

static struct values *agent_values(struct arena *a, const char *object, const char *errors)
{
    struct check *c = check_new(a, "body");
    const struct json *json = NULL;
    struct json_error e;
    struct values *v;

    CHECK_INT(json_parse(a, str_from(object), &json, &e), 0);
    v = check_object(c, &agent_resource.create, json);
    CHECK_STR(check_errors(c), str_from(errors));
    return v;
}

static void check_stored(struct arena *a, const char *field, const char *given, const char *stored)
{
    struct values *v = agent_values(a, arena_printf(a, "{\"name\":\"a\",\"%s\":%s}", field, given), "[]");

    CHECK_STR(values_find(v, field)->text, str_from(stored));
}

TEST(agent_references_are_stored_as_objects)
{
    check_stored(a, "enabled_skills", "[\"n/s\",{\"skill\":\"n/t\",\"preload\":true,\"x\":1}]",
                 "[{\"skill\":\"n/s\",\"preload\":false},{\"skill\":\"n/t\",\"preload\":true}]");
    check_stored(a, "enabled_collections", "[\"n/c\",{\"collection\":\"n/d\",\"access\":\"readwrite\"}]",
                 "[{\"collection\":\"n/c\",\"access\":\"readonly\"},{\"collection\":\"n/"
                 "d\",\"access\":\"readwrite\"}]");
    check_stored(a, "enabled_stores", "[\"n/s\",{\"store\":\"n/t\"}]",
                 "[{\"store\":\"n/s\",\"access\":\"readonly\"},{\"store\":\"n/t\",\"access\":\"readonly\"}]");
    check_stored(a, "enabled_connectors", "[{\"connector\":\"n/c\",\"parameters\":{\"op\":{\"p\":1.50}}}]",
                 "[{\"connector\":\"n/c\",\"operations\":[],\"parameters\":{\"op\":{\"p\":1.50}}}]");
    check_stored(a, "system_tools",
                 "[\"codeExecution\",{\"name\":\"databaseIntrospection\"},"
                 "{\"name\":\"x\",\"connections\":[\"c\"]}]",
                 "[\"codeExecution\",{\"name\":\"databaseIntrospection\",\"connections\":null},"
                 "{\"name\":\"x\",\"connections\":[\"c\"]}]");
    check_stored(a, "initial_messages",
                 "[{\"role\":\"agent\",\"content\":\"hi\"},{\"role\":\"user\",\"content\":\"\"}]",
                 "[{\"role\":\"assistant\",\"content\":\"hi\"},{\"role\":\"user\",\"content\":\"\"}]");
}

TEST(agent_hooks_are_stored_in_snake_case)
{
    check_stored(
        a, "hooks",
        "{\"onUserMessage\":[{\"function\":\"n/f\",\"onTimeout\":\"block\",\"async\":true}],"
        "\"on_assistant_message\":[{\"function\":\"n/g\"}]}",
        "{\"on_user_message\":[{\"function\":\"n/f\",\"async\":true,\"on_timeout\":\"block\"}],"
        "\"on_assistant_message\":[{\"function\":\"n/g\",\"async\":false,\"on_timeout\":\"passthrough\"}]}");
    check_stored(a, "hooks", "{}", "{}");
}

TEST(agent_patterns_of_agents_and_ids_are_references)
{
    check_stored(a, "enabled_agents",
                 "[\"*/*\",\"n/*\",\"n/a b (c)\",\"A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11\"]",
                 "[\"*/*\",\"n/*\",\"n/a b (c)\",\"A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11\"]");
}

static void check_type_at(struct arena *a, const char *field, const char *value, const char *type,
                          const char *loc)
{
    struct check *c = check_new(a, "body");
    const struct json *json = NULL, *errors = NULL, *first;
    struct json_error e;

    CHECK_INT(json_parse(a, arena_strf(a, "{\"name\":\"a\",\"%s\":%s}", field, value), &json, &e), 0);
    (void)check_object(c, &agent_resource.create, json);
    CHECK_INT(json_parse(a, check_errors(c), &errors, &e), 0);
    CHECK_INT(json_count(errors), 1);
    first = json_at(errors, 0);
    CHECK_STR(json_get_text(first, STR("type")), str_from(type));
    CHECK_STR(json_raw(json_get(first, STR("loc"))), arena_strf(a, "[\"body\",\"%s\"%s]", field, loc));
}

TEST(agent_references_are_checked_for_their_shape)
{
    check_type_at(a, "enabled_functions", "[\"n/f\",\"f\"]", "string_pattern_mismatch", ",1");
    check_type_at(a, "enabled_agents", "[\"nobody\"]", "string_pattern_mismatch", ",0");
    check_type_at(a, "enabled_skills", "[\"s\"]", "string_pattern_mismatch", ",0");
    check_type_at(a, "enabled_skills", "[{\"skill\":\"a/b/c\"}]", "string_pattern_mismatch", ",0,\"skill\"");
    check_type_at(a, "enabled_skills", "[{\"preload\":true}]", "missing", ",0,\"skill\"");
    check_type_at(a, "enabled_skills", "[5]", "model_attributes_type", ",0");
    check_type_at(a, "enabled_skills", "{}", "list_type", "");
    check_type_at(a, "enabled_collections", "[{\"collection\":\"a/b\",\"access\":\"write\"}]",
                  "literal_error", ",0,\"access\"");
    check_type_at(a, "enabled_stores", "[{\"store\":5}]", "string_type", ",0,\"store\"");
    check_type_at(a, "enabled_connectors", "[{\"connector\":\"x\"}]", "string_pattern_mismatch",
                  ",0,\"connector\"");
    check_type_at(a, "hooks", "{\"onUserMessage\":[{\"function\":\"f\"}]}", "string_pattern_mismatch",
                  ",\"onUserMessage\",0,\"function\"");
    check_type_at(a, "hooks", "{\"on_user_message\":[{\"function\":\"n/f\",\"on_timeout\":\"wait\"}]}",
                  "literal_error", ",\"on_user_message\",0,\"on_timeout\"");
    check_type_at(a, "hooks", "[]", "model_attributes_type", "");
    check_type_at(a, "system_tools", "[{\"connections\":[]}]", "missing", ",0,\"name\"");
    check_type_at(a, "initial_messages", "[{\"role\":\"tool\",\"content\":\"\"}]", "literal_error",
                  ",0,\"role\"");
    check_type_at(a, "status_templates", "{\"function:n/f\":5}", "string_type", ",\"function:n/f\"");
    check_type_at(a, "temperature", "2.1", "less_than_equal", "");
    check_type_at(a, "temperature", "null", "float_type", "");
    check_type_at(a, "max_tokens", "0", "greater_than_equal", "");
    check_type_at(a, "default_job_timeout", "0", "greater_than", "");
    check_type_at(a, "namespace", "\"9a\"", "string_pattern_mismatch", "");
}

TEST(agent_numbers_keep_their_text)
{
    check_stored(a, "temperature", "0", "0");
    check_stored(a, "temperature", "0.70", "0.70");
}

/* ---- providers ---- */

TEST(http_urls)
{
    static const struct {
        const char *url;
        bool is_good;
    } cases[] = {
        {"http://localhost:11434", true},
        {"https://api.example.com/v1?x=1", true},
        {"HTTPS://A", true},
        {"ftp://a", false},
        {"http://", false},
        {"http:///v1", false},
        {"http://a b", false},
        {"http://a\n", false},
        {"//a", false},
        {" http://a", false},
        {"http://a\\b", false},
    };
    static const struct column col = {"f", COL_TEXT, .check = check_http_url};

    for (size_t i = 0; i < nelem(cases); i++) {
        struct check *c = check_new(a, "body");
        const struct json *json = NULL;
        struct json_error e;
        struct buf quoted;

        buf_init_arena(&quoted, a);
        json_quote(&quoted, str_from(cases[i].url));
        CHECK_INT(json_parse(a, buf_str(&quoted), &json, &e), 0);
        if (check_value(c, &col, json) != cases[i].is_good)
            test_failed(__FILE__, __LINE__, "%s", cases[i].url);
    }
}
