#include "test.h"

#include "base/clock.h"
#include "base/scalar.h"

static const struct json *json_of(struct arena *a, const char *text)
{
    const struct json *v = NULL;
    struct json_error error;

    if (json_parse(a, str_from(text), &v, &error) < 0)
        test_failed(__FILE__, __LINE__, "no JSON: %s", text);
    return v;
}

static struct str time_text(struct arena *a, int64_t real_us)
{
    char out[CLOCK_TEXT_SIZE];

    return arena_str(a, clock_text(out, real_us));
}

/* In each table a NULL type means accepted. */

TEST(scalar_json_i64_takes_the_forms_of_the_contract)
{
    static const struct {
        const char *json;
        const char *type;
        int64_t value;
    } cases[] = {
        {"5", NULL, 5},
        {"5.0", NULL, 5},
        {"1e2", NULL, 100},
        {"-9223372036854775808", NULL, INT64_MIN},
        {"true", NULL, 1},
        {"false", NULL, 0},
        {"\" 42 \"", NULL, 42},
        {"\"+7\"", NULL, 7},
        {"\"-7\"", NULL, -7},
        {"\"1_000\"", NULL, 1000},
        {"\"5.0\"", NULL, 5},
        {"\"5.000\"", NULL, 5},
        {"\"007\"", NULL, 7},
        {"5.5", "int_from_float", 0},
        {"\"5.5\"", "int_parsing", 0},
        {"\"\"", "int_parsing", 0},
        {"\"abc\"", "int_parsing", 0},
        {"\"5.\"", "int_parsing", 0},
        {"\".0\"", "int_parsing", 0},
        {"\"_5\"", "int_parsing", 0},
        {"\"5_\"", "int_parsing", 0},
        {"\"5__0\"", "int_parsing", 0},
        {"\"+-5\"", "int_parsing", 0},
        {"\"++5\"", "int_parsing", 0},
        {"\"-\"", "int_parsing", 0},
        {"\"+\"", "int_parsing", 0},
        {"\"1 2\"", "int_parsing", 0},
        {"\"5.0.0\"", "int_parsing", 0},
        {"\"1e2\"", "int_parsing", 0},
        {"\"0x10\"", "int_parsing", 0},
        {"99999999999999999999", "int_parsing_size", 0},
        {"\"99999999999999999999\"", "int_parsing_size", 0},
        {"null", "int_type", 0},
        {"[]", "int_type", 0},
        {"{}", "int_type", 0},
    };

    for (size_t i = 0; i < nelem(cases); i++) {
        const struct scalar_error *error = NULL;
        int64_t value = -1;
        int rc = scalar_json_i64(json_of(a, cases[i].json), &value, &error);

        if (cases[i].type == NULL ? rc != 0 || value != cases[i].value
                                  : rc != -EINVAL || strcmp(error->type, cases[i].type) != 0)
            test_failed(__FILE__, __LINE__, "%s: %d %lld", cases[i].json, rc, (long long)value);
    }
    const struct scalar_error *error;
    int64_t value;

    CHECK_INT(scalar_json_i64(NULL, &value, &error), -EINVAL);
    CHECK_STR(str_from(error->msg), STR("Input should be a valid integer"));
}

TEST(scalar_json_double_refuses_what_is_not_finite)
{
    static const struct {
        const char *json;
        const char *type;
        double value;
    } cases[] = {
        {"0.5", NULL, 0.5},
        {"2", NULL, 2},
        {"true", NULL, 1},
        {"\" 1e3 \"", NULL, 1000},
        {"\"-.5\"", NULL, -0.5},
        {"\"inf\"", "float_parsing", 0},
        {"\"nan\"", "float_parsing", 0},
        {"\"0x10\"", "float_parsing", 0},
        {"\"\"", "float_parsing", 0},
        {"\"1 2\"", "float_parsing", 0},
        {"\"e5\"", "float_parsing", 0},
        {"\"1e999\"", "finite_number", 0},
        {"1e999", "finite_number", 0},
        {"null", "float_type", 0},
    };

    for (size_t i = 0; i < nelem(cases); i++) {
        const struct scalar_error *error = NULL;
        double value = -1;
        int rc = scalar_json_double(json_of(a, cases[i].json), &value, &error);

        if (cases[i].type == NULL ? rc != 0 || value != cases[i].value
                                  : rc != -EINVAL || strcmp(error->type, cases[i].type) != 0)
            test_failed(__FILE__, __LINE__, "%s: %d %g", cases[i].json, rc, value);
    }
}

TEST(scalar_json_bool_takes_the_words)
{
    static const char *const yes[] = {"true",    "1",     "1.0",    "\"TRUE\"", "\"t\"",
                                      "\"Yes\"", "\"y\"", "\"on\"", "\"1\""};
    static const char *const no[] = {"false",  "0",     "\"False\"", "\"f\"",
                                     "\"no\"", "\"N\"", "\"off\"",   "\"0\""};
    static const char *const bad[] = {"2", "0.5", "\"\"", "\"yess\"", "\" true\"", "\"2\""};
    const struct scalar_error *error;
    bool value;

    for (size_t i = 0; i < nelem(yes); i++)
        CHECK(scalar_json_bool(json_of(a, yes[i]), &value, &error) == 0 && value);
    for (size_t i = 0; i < nelem(no); i++)
        CHECK(scalar_json_bool(json_of(a, no[i]), &value, &error) == 0 && !value);
    for (size_t i = 0; i < nelem(bad); i++) {
        CHECK_INT(scalar_json_bool(json_of(a, bad[i]), &value, &error), -EINVAL);
        CHECK_STR(str_from(error->type), STR("bool_parsing"));
    }
    CHECK_INT(scalar_json_bool(json_of(a, "null"), &value, &error), -EINVAL);
    CHECK_STR(str_from(error->type), STR("bool_type"));
}

TEST(scalar_json_uuid_says_why_not)
{
    const struct scalar_error *error;
    struct uuid u;

    CHECK_INT(scalar_json_uuid(json_of(a, "\"{11111111-2222-4333-8444-555555555555}\""), &u, &error), 0);
    CHECK_STR(uuid_text(a, &u), STR("11111111-2222-4333-8444-555555555555"));
    CHECK_INT(scalar_json_uuid(json_of(a, "5"), &u, &error), -EINVAL);
    CHECK_STR(str_from(error->type), STR("uuid_type"));
    CHECK_INT(scalar_json_uuid(json_of(a, "\"abc\""), &u, &error), -EINVAL);
    CHECK_STR(str_from(error->type), STR("uuid_parsing"));
    CHECK(str_starts(str_from(error->msg), STR("Input should be a valid UUID, ")));
    CHECK_STR(str_from(error->ctx_key), STR("error"));
    CHECK(str_ends(str_from(error->msg), str_from(error->reason)));
}

TEST(scalar_json_time_takes_the_forms_of_the_contract)
{
    static const struct {
        const char *json;
        const char *text; /* NULL: refused */
    } cases[] = {
        {"\"2026-01-02T03:04:05Z\"", "2026-01-02T03:04:05Z"},
        {"\"2026-01-02 03:04:05\"", "2026-01-02T03:04:05Z"},
        {"\"2026-01-02T03:04\"", "2026-01-02T03:04:00Z"},
        {"\"2026-01-02t03:04z\"", "2026-01-02T03:04:00Z"},
        {"\"2026-01-02T03:04:05.12\"", "2026-01-02T03:04:05.120000Z"},
        {"\"2026-01-02T03:04:05.1234569Z\"", "2026-01-02T03:04:05.123456Z"},
        {"\"2026-01-02T03:04:05+02:30\"", "2026-01-02T00:34:05Z"},
        {"\"2026-01-02T03:04:05-0230\"", "2026-01-02T05:34:05Z"},
        {"\"2026-01-02\"", "2026-01-02T00:00:00Z"},
        {"\"2024-02-29\"", "2024-02-29T00:00:00Z"},
        {"\"0001-01-01\"", "0001-01-01T00:00:00Z"},
        {"\"9999-12-31T23:59:59.999999Z\"", "9999-12-31T23:59:59.999999Z"},
        {"1767323045", "2026-01-02T03:04:05Z"},
        {"1767323045.5", "2026-01-02T03:04:05.500000Z"},
        {"1767323045120", "2026-01-02T03:04:05.120000Z"},
        {"1767323045120.25", "2026-01-02T03:04:05.120250Z"},
        {"1.767323045e9", "2026-01-02T03:04:05Z"},
        {"\"1767323045\"", "2026-01-02T03:04:05Z"},
        {"\"1767323045120\"", "2026-01-02T03:04:05.120000Z"},
        {"\"-1.5\"", "1969-12-31T23:59:58.500000Z"},
        {"0", "1970-01-01T00:00:00Z"},
        {"20000000000", "2603-10-11T11:33:20Z"},
        {"20000000001", "1970-08-20T11:33:20.001000Z"},
        {"\"2026-02-29\"", NULL},
        {"\"2026-13-01\"", NULL},
        {"\"2026-00-01\"", NULL},
        {"\"2026-01-00\"", NULL},
        {"\"0000-01-01\"", NULL},
        {"\"0001-01-01T00:00:00+01:00\"", NULL},
        {"\"9999-12-31T23:59:59-01:00\"", NULL},
        {"\"2026-01-02T24:00\"", NULL},
        {"\"2026-01-02T03:60\"", NULL},
        {"\"2026-01-02T03:04:60\"", NULL},
        {"\"2026-01-02T03:04:05.\"", NULL},
        {"\"2026-01-02T03\"", NULL},
        {"\"2026-01-02T\"", NULL},
        {"\"2026-01-02X03:04\"", NULL},
        {"\"2026-01-02T03:04:05+24:00\"", NULL},
        {"\"2026-01-02T03:04:05Z \"", NULL},
        {"\" 2026-01-02\"", NULL},
        {"\"2026-1-2\"", NULL},
        {"\"tomorrow\"", NULL},
        {"\"\"", NULL},
        {"99999999999999999", NULL},
        {"1e300", NULL},
        {"-1e18", NULL},
        {"\"999999999999999999999999\"", NULL},
    };

    for (size_t i = 0; i < nelem(cases); i++) {
        const struct scalar_error *error = NULL;
        int64_t value = 0;
        int rc = scalar_json_time(json_of(a, cases[i].json), &value, &error);

        if (cases[i].text == NULL) {
            if (rc != -EINVAL || strcmp(error->type, "datetime_from_date_parsing") != 0)
                test_failed(__FILE__, __LINE__, "accepted %s", cases[i].json);
        } else if (rc != 0) {
            test_failed(__FILE__, __LINE__, "refused %s: %s", cases[i].json, error->msg);
        } else {
            /* clock_text() pads no year below 1000 */
            struct str text = time_text(a, value);

            while (text.n < strlen(cases[i].text))
                text = arena_strf(a, "0" STR_FMT, STR_ARG(text));
            CHECK_STR(text, str_from(cases[i].text));
        }
    }
}

TEST(scalar_json_time_has_a_type)
{
    static const char *const bad[] = {"null", "true", "[]", "{}"};
    const struct scalar_error *error;
    int64_t value;

    for (size_t i = 0; i < nelem(bad); i++) {
        CHECK_INT(scalar_json_time(json_of(a, bad[i]), &value, &error), -EINVAL);
        CHECK_STR(str_from(error->type), STR("datetime_type"));
    }
}

TEST(scalar_str_time_counts_every_day)
{
    int64_t wanted = INT64_C(-2208988800) * 1000000; /* 1900-01-01 */
    const struct scalar_error *error;
    int64_t value;

    for (int64_t day = 0; day < 365 * 200; day++) {
        int64_t at = wanted + day * INT64_C(86400000000);
        struct str text = time_text(a, at);

        if (scalar_str_time(text, &value, &error) != 0 || value != at)
            test_failed(__FILE__, __LINE__, STR_FMT, STR_ARG(text));
    }
}

#define A63 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

TEST(scalar_str_email_normalises)
{
    static const char *const good[][2] = {
        {"ada@example.com", "ada@example.com"},
        {"  Ada.Lovelace+X@Example.COM\n", "ada.lovelace+x@example.com"},
        {"a@b.test", "a@b.test"},
        {"a@server.local", "a@server.local"},
        {"\xc3\xa9@example.com", "\xc3\xa9@example.com"},
        {"a" A63 "@b.c", "a" A63 "@b.c"},
        {"a@" A63 ".com", "a@" A63 ".com"},
    };
    const struct scalar_error *error;
    struct str email;

    for (size_t i = 0; i < nelem(good); i++) {
        CHECK_INT(scalar_str_email(a, str_from(good[i][0]), &email, &error), 0);
        CHECK_STR(email, str_from(good[i][1]));
    }
}

TEST(scalar_str_email_gives_a_reason)
{
    static const char *const bad[] = {
        "",
        "ada",
        "@example.com",
        "ada@",
        "ada@localhost",
        "a@b@c.d",
        "ada@.com",
        "ada@com.",
        "ada@a..b",
        "ada@-a.b",
        "ada@a-.b",
        "a da@b.c",
        "ada@b c.d",
        ".a@b.c",
        "a.@b.c",
        "a..b@c.d",
        "a\r\nBcc: x@b.c",
        "a\x7f@b.c",
        "\"a\"@b.c",
        "a@[1.2.3.4]",
        "a,b@c.d",
        "a<b@c.d",
        "aa" A63 "@b.c",
        "a@a" A63 ".com",
        "a\xff@b.c",
        "a\xc2\x85@b.c",
        "a@b\xc3\xa9.com",
        "a@" A63 "." A63 "." A63 "." A63,
    };
    const struct scalar_error *error;
    struct str email;

    for (size_t i = 0; i < nelem(bad); i++) {
        error = NULL;
        if (scalar_str_email(a, str_from(bad[i]), &email, &error) != -EINVAL) {
            test_failed(__FILE__, __LINE__, "accepted '%s'", bad[i]);
            continue;
        }
        CHECK_STR(str_from(error->type), STR("value_error"));
        CHECK(str_starts(str_from(error->msg), STR("value is not a valid email address: ")));
        CHECK_STR(str_from(error->ctx_key), STR("reason"));
    }
    CHECK_INT(scalar_json_email(a, json_of(a, "null"), &email, &error), -EINVAL);
    CHECK_STR(str_from(error->type), STR("string_type"));
    CHECK_INT(scalar_json_email(a, json_of(a, "\"A@b.c\\u0000\""), &email, &error), -EINVAL);
}
