#include "handlers/check.h"
#include "handlers/pattern.h"
#include "test.h"

#define NAME_PATTERN "^[a-zA-Z][a-zA-Z0-9_-]*$"

static const struct json *parse(struct arena *a, const char *text)
{
    const struct json *v = NULL;
    struct json_error error;

    CHECK_INT(json_parse(a, str_from(text), &v, &error), 0);
    return v;
}

/* The errors of {"f": value} against one column, and the canonical text. */
static struct str errors_of(struct arena *a, const struct column *col, const char *value, struct str *text)
{
    const struct body b = {.name = "Test", .columns = col, .columns_count = 1};
    struct check *c = check_new(a, "body");
    struct values *v = check_object(c, &b, parse(a, arena_printf(a, "{\"f\":%s}", value)));

    if (text != NULL)
        *text = v->items[0].text;
    return check_errors(c);
}

#define ERROR(type, msg, input)                                                                              \
    "[{\"type\":\"" type "\",\"loc\":[\"body\",\"f\"],\"msg\":\"" msg "\",\"input\":" input "}]"
#define ERROR_CTX(type, msg, input, ctx)                                                                     \
    "[{\"type\":\"" type "\",\"loc\":[\"body\",\"f\"],\"msg\":\"" msg "\",\"input\":" input ",\"ctx\":" ctx  \
    "}]"

#define CHOICE "Input should be 'private', 'shared' or 'public'"

static const struct column item_short = {"", COL_TEXT, 0, 2};
static const struct column member_columns[] = {
    {"role", COL_ENUM, COL_REQUIRED, .choices = "user|assistant"},
    {"content", COL_TEXT, COL_REQUIRED},
};
static const struct body member_body = BODY("Member", member_columns);
static const struct column item_member = {"", COL_OBJECT, .shape = &member_body};

/* Every row of 10 §1.6 that a member of a body can cause. */
static const struct {
    struct column col;
    const char *value, *errors;
} refused[] = {
    {{"f", COL_TEXT}, "5", ERROR("string_type", "Input should be a valid string", "5")},
    {{"f", COL_TEXT}, "null", ERROR("string_type", "Input should be a valid string", "null")},
    {{"f", COL_TEXT, 0, 0, 1},
     "\"\"",
     ERROR_CTX("string_too_short", "String should have at least 1 character", "\"\"", "{\"min_length\":1}")},
    {{"f", COL_TEXT, 0, 0, 3},
     "\"\xc3\xa4\xc3\xa4\"",
     ERROR_CTX("string_too_short", "String should have at least 3 characters", "\"\xc3\xa4\xc3\xa4\"",
               "{\"min_length\":3}")},
    {{"f", COL_TEXT, 0, 2},
     "\"abc\"",
     ERROR_CTX("string_too_long", "String should have at most 2 characters", "\"abc\"",
               "{\"max_length\":2}")},
    {{"f", COL_TEXT, 0, 1},
     "\"abc\"",
     ERROR_CTX("string_too_long", "String should have at most 1 character", "\"abc\"", "{\"max_length\":1}")},
    {{"f", COL_TEXT, .pattern = NAME_PATTERN},
     "\"a b\"",
     ERROR_CTX("string_pattern_mismatch", "String should match pattern '" NAME_PATTERN "'", "\"a b\"",
               "{\"pattern\":\"" NAME_PATTERN "\"}")},
    {{"f", COL_TEXT, .pattern = NAME_PATTERN},
     "\"a\\n\"",
     ERROR_CTX("string_pattern_mismatch", "String should match pattern '" NAME_PATTERN "'", "\"a\\n\"",
               "{\"pattern\":\"" NAME_PATTERN "\"}")},
    {{"f", COL_TEXT},
     "\"a\\u0000b\"",
     ERROR_CTX("value_error", "Value error, text must not contain NUL characters", "\"a\\u0000b\"",
               "{\"error\":{}}")},
    {{"f", COL_INT}, "[]", ERROR("int_type", "Input should be a valid integer", "[]")},
    {{"f", COL_INT}, "null", ERROR("int_type", "Input should be a valid integer", "null")},
    {{"f", COL_INT},
     "\"x\"",
     ERROR("int_parsing", "Input should be a valid integer, unable to parse string as an integer", "\"x\"")},
    {{"f", COL_INT},
     "1.5",
     ERROR("int_from_float", "Input should be a valid integer, got a number with a fractional part", "1.5")},
    {{"f", COL_INT},
     "2147483648",
     ERROR_CTX("less_than_equal", "Input should be less than or equal to 2147483647", "2147483648",
               "{\"le\":2147483647}")},
    {{"f", COL_INT},
     "-2147483649",
     ERROR_CTX("greater_than_equal", "Input should be greater than or equal to -2147483648", "-2147483649",
               "{\"ge\":-2147483648}")},
    {{"f", COL_NUMBER}, "{}", ERROR("float_type", "Input should be a valid number", "{}")},
    {{"f", COL_NUMBER},
     "\"x\"",
     ERROR("float_parsing", "Input should be a valid number, unable to parse string as a number", "\"x\"")},
    {{"f", COL_BOOL}, "[]", ERROR("bool_type", "Input should be a valid boolean", "[]")},
    {{"f", COL_BOOL},
     "\"maybe\"",
     ERROR("bool_parsing", "Input should be a valid boolean, unable to interpret input", "\"maybe\"")},
    {{"f", COL_INT, .ge = "1"},
     "0",
     ERROR_CTX("greater_than_equal", "Input should be greater than or equal to 1", "0", "{\"ge\":1}")},
    {{"f", COL_INT, .le = "10"},
     "11",
     ERROR_CTX("less_than_equal", "Input should be less than or equal to 10", "11", "{\"le\":10}")},
    {{"f", COL_INT, .gt = "0"},
     "0",
     ERROR_CTX("greater_than", "Input should be greater than 0", "0", "{\"gt\":0}")},
    {{"f", COL_BIGINT, .lt = "5"},
     "5",
     ERROR_CTX("less_than", "Input should be less than 5", "5", "{\"lt\":5}")},
    {{"f", COL_NUMBER, .ge = "0", .le = "2"},
     "2.01",
     ERROR_CTX("less_than_equal", "Input should be less than or equal to 2", "2.01", "{\"le\":2}")},
    {{"f", COL_NUMBER, .ge = "0", .le = "2"},
     "-0.1",
     ERROR_CTX("greater_than_equal", "Input should be greater than or equal to 0", "-0.1", "{\"ge\":0}")},
    {{"f", COL_NUMBER, .gt = "0", .lt = "1"},
     "1",
     ERROR_CTX("less_than", "Input should be less than 1", "1", "{\"lt\":1}")},
    {{"f", COL_ARRAY}, "{}", ERROR("list_type", "Input should be a valid list", "{}")},
    {{"f", COL_TEXTS}, "\"a\"", ERROR("list_type", "Input should be a valid list", "\"a\"")},
    {{"f", COL_ARRAY, .min = 1},
     "[]",
     ERROR_CTX("too_short", "List should have at least 1 item after validation, not 0", "[]",
               "{\"field_type\":\"List\",\"min_length\":1,\"actual_length\":0}")},
    {{"f", COL_ARRAY, .max = 2},
     "[1, 2, 3]",
     ERROR_CTX("too_long", "List should have at most 2 items after validation, not 3", "[1,2,3]",
               "{\"field_type\":\"List\",\"max_length\":2,\"actual_length\":3}")},
    {{"f", COL_OBJECT}, "[]", ERROR("dict_type", "Input should be a valid dictionary", "[]")},
    {{"f", COL_OBJECT, .shape = &member_body},
     "[]",
     ERROR("model_attributes_type", "Input should be a valid dictionary or object to extract fields from",
           "[]")},
    {{"f", COL_OBJECT},
     "{\"a\":[\"\\u0000\"]}",
     ERROR_CTX("value_error", "Value error, text must not contain NUL characters", "{\"a\":[\"\\u0000\"]}",
               "{\"error\":{}}")},
    {{"f", COL_ENUM, .choices = "private|shared|public"},
     "\"Shared\"",
     ERROR_CTX("literal_error", CHOICE, "\"Shared\"", "{\"expected\":\"'private', 'shared' or 'public'\"}")},
    {{"f", COL_ENUM, .choices = "a|b"},
     "5",
     ERROR_CTX("literal_error", "Input should be 'a' or 'b'", "5", "{\"expected\":\"'a' or 'b'\"}")},
    {{"f", COL_UUID}, "5", ERROR("uuid_type", "UUID input should be a string, bytes or UUID object", "5")},
    {{"f", COL_TIME}, "[]", ERROR("datetime_type", "Input should be a valid datetime", "[]")},
};

TEST(check_refuses_with_the_rows_of_the_contract)
{
    for (size_t i = 0; i < nelem(refused); i++)
        CHECK_STR(errors_of(a, &refused[i].col, refused[i].value, NULL), str_from(refused[i].errors));
}

static bool has_type(struct str errors, const char *type)
{
    char start[64];
    int n = snprintf(start, sizeof(start), "[{\"type\":\"%s\",", type);

    return str_starts(errors, str_of(start, (size_t)n));
}

TEST(check_reports_reasons_in_the_context)
{
    const struct column uuid = {"f", COL_UUID}, time = {"f", COL_TIME}, email = {"f", COL_EMAIL};
    struct str errors = errors_of(a, &uuid, "\"zz\"", NULL);

    CHECK(has_type(errors, "uuid_parsing"));
    CHECK(str_find(errors, STR("\"ctx\":{\"error\":\"")) > 0);
    CHECK(str_find(errors_of(a, &time, "\"yesterday\"", NULL), STR("\"type\":\"datetime_")) > 0);
    errors = errors_of(a, &email, "\"nobody\"", NULL);
    CHECK(has_type(errors, "value_error"));
    CHECK(str_find(errors, STR("\"msg\":\"value is not a valid email address: ")) > 0);
    CHECK(str_find(errors, STR("\"ctx\":{\"reason\":\"")) > 0);
}

/* What is accepted (10 §1.3), and the one form that is stored. */
static const struct {
    struct column col;
    const char *value, *text;
} accepted[] = {
    {{"f", COL_TEXT}, "\" \\u00e4\\n\"", " \xc3\xa4\n"},
    {{"f", COL_TEXT, 0, 2}, "\"\xf0\x9f\x98\x80\xf0\x9f\x98\x80\"", "\xf0\x9f\x98\x80\xf0\x9f\x98\x80"},
    {{"f", COL_TEXT, .pattern = NAME_PATTERN}, "\"a-b_9\"", "a-b_9"},
    {{"f", COL_INT}, "5.0", "5"},
    {{"f", COL_INT}, "\" +1_000 \"", "1000"},
    {{"f", COL_INT}, "\"5.0\"", "5"},
    {{"f", COL_INT}, "true", "1"},
    {{"f", COL_INT}, "-2147483648", "-2147483648"},
    {{"f", COL_INT, .ge = "1", .le = "3"}, "3", "3"},
    {{"f", COL_NUMBER, .ge = "0", .le = "2"}, "0", "0"},
    {{"f", COL_NUMBER, .ge = "0", .le = "2"}, "0.70", "0.70"},
    {{"f", COL_NUMBER, .ge = "0", .le = "2"}, "2", "2"},
    {{"f", COL_NUMBER}, "7e-1", "0.7"},
    {{"f", COL_NUMBER}, "\"0.5\"", "0.5"},
    {{"f", COL_NUMBER}, "0.10000000000000000000000000000000000000000000000000", "0.1"},
    {{"f", COL_BOOL}, "true", "t"},
    {{"f", COL_BOOL}, "0", "f"},
    {{"f", COL_BOOL}, "\"Yes\"", "t"},
    {{"f", COL_BOOL}, "\"OFF\"", "f"},
    {{"f", COL_UUID}, "\"{A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11}\"", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"},
    {{"f", COL_UUID},
     "\"urn:uuid:a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11\"",
     "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"},
    {{"f", COL_TIME}, "\"2026-01-02 03:04\"", "2026-01-02T03:04:00Z"},
    {{"f", COL_TIME}, "\"2026-01-02T03:04:05.12+01:00\"", "2026-01-02T02:04:05.120000Z"},
    {{"f", COL_TIME}, "0", "1970-01-01T00:00:00Z"},
    {{"f", COL_EMAIL}, "\" Ann@Example.COM \"", "ann@example.com"},
    {{"f", COL_ENUM, .choices = "private|shared"}, "\"shared\"", "shared"},
    {{"f", COL_ENUM, COL_ANY_CASE, .choices = "openai|ollama"}, "\"OLLAMA\"", "ollama"},
    {{"f", COL_OBJECT}, "{ \"b\" : 1.50, \"a\" : [ ] }", "{\"b\":1.50,\"a\":[]}"},
    {{"f", COL_OBJECT}, "{\"a\":\"\\\\u0000\"}", "{\"a\":\"\\\\u0000\"}"},
    {{"f", COL_ARRAY}, "[1, null]", "[1,null]"},
    {{"f", COL_TEXTS}, "[\"a\"]", "[\"a\"]"},
    {{"f", COL_ANY}, "null", "null"},
    {{"f", COL_ANY}, "\"x\"", "\"x\""},
};

TEST(check_accepts_every_form_and_stores_one)
{
    for (size_t i = 0; i < nelem(accepted); i++) {
        struct str text;

        CHECK_STR(errors_of(a, &accepted[i].col, accepted[i].value, &text), STR("[]"));
        CHECK_STR(text, str_from(accepted[i].text));
    }
}

TEST(check_locates_errors_inside_arrays)
{
    const struct column texts = {"f", COL_TEXTS, .item = &item_short},
                        members = {"f", COL_ARRAY, .item = &item_member};

    CHECK_STR(errors_of(a, &texts, "[\"ab\",1,\"abc\"]", NULL),
              STR("[{\"type\":\"string_type\",\"loc\":[\"body\",\"f\",1],\"msg\":\"Input should be a valid "
                  "string\","
                  "\"input\":1},{\"type\":\"string_too_long\",\"loc\":[\"body\",\"f\",2],\"msg\":\"String "
                  "should have at "
                  "most 2 characters\",\"input\":\"abc\",\"ctx\":{\"max_length\":2}}]"));
    CHECK_STR(errors_of(a, &members, "[{\"role\":\"user\",\"content\":\"\"},{\"role\":\"user\"}]", NULL),
              STR("[{\"type\":\"missing\",\"loc\":[\"body\",\"f\",1,\"content\"],\"msg\":\"Field required\","
                  "\"input\":{\"role\":\"user\"}}]"));
}

static const struct column mixed_columns[] = {
    {"id", COL_UUID, COL_READ_ONLY},
    {"name", COL_TEXT, COL_REQUIRED, 5},
    {"note", COL_TEXT, COL_NULLABLE},
    {"size", COL_INT, 0, .fallback = "7"},
    {"tags", COL_TEXTS, 0, .fallback = "[]"},
    {"live", COL_BOOL, COL_UPDATE_ONLY},
    {"kind", COL_TEXT, COL_CREATE_ONLY | COL_NULLABLE},
    {"key", COL_TEXT, COL_SECRET | COL_NULLABLE, 8},
};
static const struct body mixed_create = BODY("MixedCreate", mixed_columns);
static const struct body mixed_update = BODY_UPDATE("MixedUpdate", mixed_columns);

static struct values *values_of(struct arena *a, const struct body *b, const char *object, const char *errors)
{
    struct check *c = check_new(a, "body");
    struct values *v = check_object(c, b, parse(a, object));

    CHECK_STR(check_errors(c), str_from(errors));
    CHECK(check_is_clean(c) == (strcmp(errors, "[]") == 0));
    return v;
}

TEST(check_reports_all_fields_in_their_order)
{
    values_of(a, &mixed_create, "{\"size\":\"x\",\"note\":5}",
              "[{\"type\":\"missing\",\"loc\":[\"body\",\"name\"],\"msg\":\"Field required\","
              "\"input\":{\"size\":\"x\",\"note\":5}},"
              "{\"type\":\"string_type\",\"loc\":[\"body\",\"note\"],\"msg\":\"Input should be a valid "
              "string\",\"input\":5},"
              "{\"type\":\"int_parsing\",\"loc\":[\"body\",\"size\"],\"msg\":\"Input should be a valid "
              "integer, unable to "
              "parse string as an integer\",\"input\":\"x\"}]");
}

TEST(check_create_takes_fallbacks_and_ignores_what_is_not_its)
{
    struct values *v =
        values_of(a, &mixed_create, "{\"id\":5,\"live\":5,\"name\":\"n\",\"kind\":\"k\",\"more\":1}", "[]");

    CHECK(!values_find(v, "id")->is_set && !values_find(v, "live")->is_set);
    CHECK(!values_find(v, "size")->is_given && values_find(v, "size")->is_set);
    CHECK_STR(values_find(v, "size")->text, STR("7"));
    CHECK_STR(values_find(v, "tags")->text, STR("[]"));
    CHECK(json_is(values_find(v, "tags")->json, JSON_ARRAY));
    CHECK(!values_find(v, "note")->is_set);
    CHECK_STR(values_find(v, "kind")->text, STR("k"));
    CHECK(values_find(v, "more") == NULL);
}

TEST(check_create_refuses_null_where_none_can_be)
{
    values_of(
        a, &mixed_create, "{\"name\":\"n\",\"size\":null,\"note\":null}",
        "[{\"type\":\"int_type\",\"loc\":[\"body\",\"size\"],\"msg\":\"Input should be a valid integer\","
        "\"input\":null}]");
}

TEST(check_update_distinguishes_absent_null_and_value)
{
    struct values *v =
        values_of(a, &mixed_update, "{\"note\":null,\"size\":null,\"kind\":7,\"live\":\"no\"}", "[]");

    CHECK(values_find(v, "note")->is_given && str_is_none(values_find(v, "note")->text));
    CHECK(!values_find(v, "size")->is_given && !values_find(v, "size")->is_set);
    CHECK(!values_find(v, "name")->is_given && !values_find(v, "tags")->is_set);
    CHECK(!values_find(v, "kind")->is_set);
    CHECK_STR(values_find(v, "live")->text, STR("f"));
}

TEST(check_secrets_are_never_echoed)
{
    values_of(a, &mixed_create, "{\"key\":\"s3cret-s3cret\"}",
              "[{\"type\":\"missing\",\"loc\":[\"body\",\"name\"],\"msg\":\"Field "
              "required\",\"input\":{\"key\":null}},"
              "{\"type\":\"string_too_long\",\"loc\":[\"body\",\"key\"],\"msg\":\"String should have at most "
              "8 characters\","
              "\"input\":null,\"ctx\":{\"max_length\":8}}]");
}

TEST(check_empty_secret_is_unchanged_in_updates_and_none_in_creates)
{
    struct values *v = values_of(a, &mixed_update, "{\"key\":\"\"}", "[]");

    CHECK(!values_find(v, "key")->is_given);
    v = values_of(a, &mixed_update, "{\"key\":null}", "[]");
    CHECK(values_find(v, "key")->is_given && str_is_none(values_find(v, "key")->text));
    v = values_of(a, &mixed_create, "{\"name\":\"n\",\"key\":\"\"}", "[]");
    CHECK(str_is_none(values_find(v, "key")->text));
}

TEST(check_last_of_equal_keys_counts)
{
    struct values *v = values_of(a, &mixed_create, "{\"name\":5,\"name\":\"b\"}", "[]");

    CHECK_STR(values_find(v, "name")->text, STR("b"));
}

/* A small request must not make a huge answer. */
TEST(check_bounds_what_it_echoes)
{
    static const struct column wide[] = {
        {"a", COL_TEXT, COL_REQUIRED}, {"b", COL_TEXT, COL_REQUIRED}, {"c", COL_TEXT, COL_REQUIRED},
        {"d", COL_TEXT, COL_REQUIRED}, {"e", COL_TEXT, COL_REQUIRED}, {"f", COL_TEXT, COL_REQUIRED},
    };
    static const struct body b = BODY("Wide", wide);
    const struct column texts = {"f", COL_TEXTS};
    struct buf object;
    struct check *c = check_new(a, "body");

    buf_init_arena(&object, a);
    buf_add(&object, STR("{\"x\":\""));
    for (int i = 0; i < 100000; i++)
        buf_add_byte(&object, 'x');
    buf_add(&object, STR("\"}"));
    check_object(c, &b, parse(a, arena_cstr(a, buf_str(&object))));
    CHECK(check_errors(c).n < 300000);
    CHECK(str_ends(check_errors(c), STR("[\"body\",\"f\"],\"msg\":\"Field required\",\"input\":null}]")));

    object.end = object.start;
    buf_add_byte(&object, '[');
    for (int i = 0; i < 100000; i++)
        buf_add(&object, STR("1,"));
    buf_add(&object, STR("1]"));
    CHECK(errors_of(a, &texts, arena_cstr(a, buf_str(&object)), NULL).n < 200000);
}

static void check_even(struct check *c, const struct json *v)
{
    int64_t n = 0;

    if (json_i64(v, &n) == 0 && n % 2 != 0)
        check_rule(c, v, "%d is odd", (int)n);
}

static struct str normal_double(struct arena *a, const struct json *v)
{
    return arena_strf(a, STR_FMT "0", STR_ARG(json_raw(v)));
}

TEST(check_hooks_refuse_and_normalise)
{
    const struct column even = {"f", COL_INT, .check = check_even, .normal = normal_double};
    struct str text;

    CHECK_STR(errors_of(a, &even, "3", NULL),
              STR(ERROR_CTX("value_error", "Value error, 3 is odd", "3", "{\"error\":{}}")));
    CHECK_STR(errors_of(a, &even, "4", &text), STR("[]"));
    CHECK_STR(text, STR("40"));
}

TEST(check_text_of_queries)
{
    const struct column limit = {"limit", COL_INT, .ge = "1", .le = "1000"}, flag = {"flag", COL_BOOL};
    struct check *c = check_new(a, "query");
    struct value v;

    check_enter(c, "limit");
    CHECK(!check_text(c, &limit, STR("5000"), &v));
    check_leave(c);
    CHECK_STR(check_errors(c),
              STR("[{\"type\":\"less_than_equal\",\"loc\":[\"query\",\"limit\"],\"msg\":\"Input should be "
                  "less than or equal to 1000\",\"input\":\"5000\",\"ctx\":{\"le\":1000}}]"));
    CHECK(check_text(c, &limit, STR("20"), &v));
    CHECK_STR(v.text, STR("20"));
    CHECK(check_text(c, &flag, STR("on"), &v));
    CHECK_STR(v.text, STR("t"));
    CHECK(!check_text(c, &flag, STR(""), &v));
}

TEST(pattern_is_searched_to_the_very_end)
{
    static const char *const word = "^[a-z]+$", *const free_end = "b";

    CHECK(pattern_matches(word, STR("abc")));
    CHECK(!pattern_matches(word, STR("abc\n")));
    CHECK(!pattern_matches(word, STR("")));
    CHECK(pattern_matches(free_end, STR("abc")));
}
