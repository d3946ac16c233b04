#include "test.h"

#include "handlers/input.h"
#include "handlers/prompt.h"

TEST(prompt_joins_its_pieces_with_blank_lines)
{
    const struct prompt nothing = {.system_prompt = STR_NONE};
    const struct prompt all = {
        .system_prompt = STR("Be short."),
        .preloaded_skills =
            STR("{\"name\":\"a/b\",\"content\":\"one\"},{\"name\":\"c/d\",\"content\":\"two\"}"),
        .output_schema = STR("{\"type\":\"object\",\"properties\":{\"x\":{\"enum\":[1,2]}},\"required\":[]}"),
    };

    CHECK_INT(prompt_system(a, &nothing).n, 0);
    CHECK_STR(prompt_system(a, &all),
              STR("Be short.\n\n# Skills\n\n## a/b\n\none\n\n## c/d\n\ntwo\n\n"
                  "Answer only with JSON that is valid for this JSON Schema, without any other text:\n\n"
                  "{\n  \"type\": \"object\",\n  \"properties\": {\n    \"x\": {\n      \"enum\": [\n        "
                  "1,\n        2\n      ]\n"
                  "    }\n  },\n  \"required\": []\n}"));
}

TEST(prompt_response_format_is_strict_only_when_complete)
{
    CHECK_STR(
        prompt_response_format(a, STR("My Bot-1"),
                               STR("{\"type\":\"object\",\"properties\":{\"x\":{}},\"required\":[\"x\"]}")),
        STR("{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"my_bot_1_response\",\"strict\":true,"
            "\"schema\":"
            "{\"type\":\"object\",\"properties\":{\"x\":{}},\"required\":[\"x\"],\"additionalProperties\":"
            "false}}}"));
    CHECK(str_find(prompt_response_format(a, STR("b"), STR("{\"properties\":{\"x\":{}}}")),
                   STR("\"strict\":false")) > 0);
    CHECK(
        str_find(
            prompt_response_format(
                a, STR("b"),
                STR("{\"properties\":{\"x\":{\"type\":\"object\",\"properties\":{}}},\"required\":[\"x\"]}")),
            STR("\"strict\":false")) > 0);
    CHECK(str_find(
              prompt_response_format(a, STR("b"), STR("{\"properties\":{},\"additionalProperties\":true}")),
              STR("\"strict\":false")) > 0);
}

TEST(prompt_output_check_tolerates_a_fence)
{
    struct str schema =
        STR("{\"type\":\"object\",\"properties\":{\"x\":{\"type\":\"integer\"}},\"required\":[\"x\"]}");
    struct str reason;

    CHECK_INT(prompt_output_check(a, schema, STR("{\"x\":1}"), &reason), 0);
    CHECK_INT(prompt_output_check(a, schema, STR("```json\n{\"x\":1}\n```\n"), &reason), 0);
    CHECK_INT(prompt_output_check(a, schema, STR("{\"x\":\"1\"}"), &reason), -EINVAL);
    CHECK_INT(prompt_output_check(a, schema, STR("Here it is: {}"), &reason), -EINVAL);
    CHECK(str_starts(reason, STR("it is not JSON")));
    CHECK_INT(prompt_output_check(a, schema, STR("```"), &reason), -EINVAL);
}

TEST(prompt_is_template_sees_both_forms)
{
    CHECK(prompt_is_template(STR("a {{ x }}")));
    CHECK(prompt_is_template(STR("{% if %}")));
    CHECK(!prompt_is_template(STR("{ x } {# no #}")));
}

TEST(input_is_coerced_at_its_top_level)
{
    static const char schema[] =
        "{\"properties\":{\"n\":{\"type\":\"number\"},\"i\":{\"type\":\"integer\"},\"b\":{\"type\":"
        "\"boolean\"},"
        "\"a\":{\"type\":\"array\"},\"o\":{\"type\":\"object\"},\"s\":{\"type\":\"string\"}}}";
    static const struct {
        const char *in, *out;
    } rows[] = {
        {"{\"n\":\"1.50\"}", "{\"n\":1.50}"},
        {"{\"n\":\"x\"}", "{\"n\":\"x\"}"},
        {"{\"i\":\" 5 \"}", "{\"i\":5}"},
        {"{\"i\":\"5.5\"}", "{\"i\":\"5.5\"}"},
        {"{\"b\":\"YES\"}", "{\"b\":true}"},
        {"{\"b\":\"on\"}", "{\"b\":false}"},
        {"{\"b\":null}", "{\"b\":null}"},
        {"{\"b\":1}", "{\"b\":1}"},
        {"{\"a\":\"[1, 2]\"}", "{\"a\":[1,2]}"},
        {"{\"o\":\"{\\\"k\\\": 1}\"}", "{\"o\":{\"k\":1}}"},
        {"{\"o\":\"{\"}", "{\"o\":\"{\"}"},
        {"{\"s\":\"1\",\"other\":\"2\"}", "{\"s\":\"1\",\"other\":\"2\"}"},
        {"{\"s\":\"1\",\"s\":\"2\"}", "{\"s\":\"2\"}"},
    };
    const struct json *s, *v;
    struct json_error error;

    CHECK(json_parse(a, str_from(schema), &s, &error) == 0);
    for (size_t i = 0; i < nelem(rows); i++) {
        CHECK(json_parse(a, str_from(rows[i].in), &v, &error) == 0);
        CHECK_STR(input_coerce(a, s, v), str_from(rows[i].out));
    }
}

TEST(input_check_names_what_is_missing)
{
    const struct json *v;
    struct json_error error;
    struct str coerced, reason;

    CHECK(json_parse(a, STR("{\"n\":\"7\"}"), &v, &error) == 0);
    CHECK_INT(input_check(a, STR("{\"properties\":{\"n\":{\"type\":\"integer\"}},\"required\":[\"n\"]}"), v,
                          &coerced, &reason),
              0);
    CHECK_STR(coerced, STR("{\"n\":7}"));
    CHECK_INT(input_check(a, STR("{\"required\":[\"m\"]}"), v, &coerced, &reason), -EINVAL);
    CHECK(str_find(reason, STR("m")) >= 0);
    CHECK_INT(input_check(a, STR("{}"), v, &coerced, &reason), 0);
}
