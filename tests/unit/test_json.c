#include "test.h"

#include "base/json.h"

#include <dirent.h>
#include <float.h>
#include <math.h>

static const struct json *parse(struct arena *a, struct str text)
{
    const struct json *v = NULL;
    struct json_error error = {0};

    if (json_parse(a, text, &v, &error) < 0)
        return NULL;
    return v;
}

static const char *reason(struct arena *a, struct str text, size_t *offset)
{
    const struct json *v;
    struct json_error error = {0};

    if (json_parse(a, text, &v, &error) == 0)
        return "";
    *offset = error.offset;
    return error.reason;
}

static struct str written(struct arena *a, const struct json *v)
{
    struct json_writer w;
    struct buf out;

    buf_init_arena(&out, a);
    json_write_init(&w, &out);
    json_write_value(&w, v);
    return buf_str(&out);
}

/* Parses in steps of max bytes. */
static int parse_steps(struct arena *a, struct str text, size_t max, const struct json **v,
                       struct json_error *error)
{
    struct json_parser *p = json_parse_start(a, text);
    int rc;

    do
        rc = json_parse_step(p, max, v, error);
    while (rc > 0);
    return rc;
}

static void check_steps(struct arena *a, struct str text)
{
    const struct json *whole = NULL, *stepped = NULL;
    struct json_error whole_error = {0}, stepped_error = {0};
    int rc = json_parse(a, text, &whole, &whole_error);

    for (size_t max = 0; max <= text.n + 1; max += 1 + max / 64) {
        CHECK_INT(parse_steps(a, text, max, &stepped, &stepped_error), rc);
        if (rc < 0) {
            CHECK_INT(stepped_error.offset, whole_error.offset);
            CHECK_STR(str_from(stepped_error.reason), str_from(whole_error.reason));
        } else {
            CHECK(json_equal(whole, stepped));
            CHECK_STR(json_raw(stepped), json_raw(whole));
            CHECK_STR(written(a, stepped), written(a, whole));
        }
    }
}

/* What the header says of the cases that a parser may decide. */
static bool is_wanted(const char *name)
{
    return name[0] == 'y' || strncmp(name, "i_number_", 9) == 0;
}

TEST(json_suite)
{
    const char *folder = test_suite_path(a, "json/parsing");
    DIR *dir = opendir(folder);
    struct dirent *entry;
    unsigned count = 0;

    CHECK(dir != NULL);
    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        struct arena one;
        struct str text;
        bool accepted;

        if (strchr("yni", entry->d_name[0]) == NULL)
            continue;
        arena_init(&one);
        text = test_read_file(&one, arena_printf(a, "%s/%s", folder, entry->d_name));
        accepted = parse(&one, text) != NULL;
        if (accepted != is_wanted(entry->d_name))
            test_failed(__FILE__, __LINE__, "%s was %s", entry->d_name, accepted ? "accepted" : "refused");
        if (text.n < 4096)
            check_steps(&one, text);
        arena_fini(&one);
        count++;
    }
    if (dir != NULL)
        closedir(dir);
    CHECK_INT(count, 318);
}

TEST(json_naughty_strings_survive)
{
    struct str text = test_read_file(a, test_suite_path(a, "strings/blns.json"));
    const struct json *list = parse(a, text);
    struct json_writer w;
    struct buf out;

    CHECK(json_count(list) > 400);
    json_each (item, list) {
        const struct json *again;

        buf_init_arena(&out, a);
        json_write_init(&w, &out);
        json_write_str(&w, json_text(item));
        again = parse(a, buf_str(&out));
        CHECK(again != NULL);
        CHECK_STR(json_text(again), json_text(item));
        CHECK(json_equal(again, item));
    }
    CHECK(json_equal(parse(a, written(a, list)), list));
    check_steps(a, text);
}

TEST(json_text_is_decoded_and_raw_is_not)
{
    const struct json *v =
        parse(a, STR(" \"a\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\u20ac\\ud83d\\ude00\\u0000z\" "));

    CHECK_STR(json_text(v), STR("a\"\\/\b\f\n\r\t\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\0z"));
    CHECK_STR(json_raw(v), STR("\"a\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\u20ac\\ud83d\\ude00\\u0000z\""));
    CHECK(str_is_none(json_text(parse(a, STR("1")))));
    CHECK(str_is_none(json_text(NULL)) && str_is_none(json_raw(NULL)));
    CHECK_INT(json_type(NULL), JSON_NULL);
    CHECK(!json_is(NULL, JSON_NULL));
}

TEST(json_text_without_escapes_is_not_copied)
{
    struct str text = STR("\"plain \xc3\xa9\"");

    CHECK(json_text(parse(a, text)).p == text.p + 1);
}

TEST(json_refuses_bad_strings)
{
    static const char *const bad[] = {
        "\"\\ud800\"",
        "\"\\udc00\"",
        "\"\\ud800\\u0041\"",
        "\"\\ud800x\"",
        "\"\\u12g4\"",
        "\"\\u123\"",
        "\"\\x41\"",
        "\"\xed\xa0\x80\"",
        "\"\xc0\x80\"",
        "\"\xff\"",
        "\"\xe2\x82\"",
        "\"tab\t\"",
        "\"open",
        "\"open\\",
        "\"\\\"",
        "\"0123456789012345678901234567890123456789\xe2\x82\"",
        "\"0123456789012345678901234567890123456789\x1f\"",
    };

    for (size_t i = 0; i < nelem(bad); i++) {
        if (parse(a, str_from(bad[i])) != NULL)
            test_failed(__FILE__, __LINE__, "accepted %s", bad[i]);
    }
    CHECK(parse(a, STR("\"a\0b\"")) == NULL);
    CHECK(parse(a, STR("\"\\\0\"")) == NULL);
}

TEST(json_errors_name_the_place)
{
    size_t offset = 0;

    CHECK_STR(str_from(reason(a, STR("{\"a\" 1}"), &offset)), STR("Expecting ':' delimiter"));
    CHECK_INT(offset, 5);
    CHECK_STR(str_from(reason(a, STR("[1 2]"), &offset)), STR("Expecting ',' delimiter"));
    CHECK_INT(offset, 3);
    CHECK_STR(str_from(reason(a, STR("[1,]"), &offset)), STR("Expecting value"));
    CHECK_INT(offset, 3);
    CHECK_STR(str_from(reason(a, STR("  "), &offset)), STR("Expecting value"));
    CHECK_INT(offset, 2);
    CHECK_STR(str_from(reason(a, STR("{\"a\":1,}"), &offset)),
              STR("Expecting property name enclosed in double quotes"));
    CHECK_INT(offset, 7);
    CHECK_STR(str_from(reason(a, STR("1 2"), &offset)), STR("Extra data"));
    CHECK_INT(offset, 2);
    CHECK_STR(str_from(reason(a, STR("[\"abc"), &offset)), STR("Unterminated string starting at"));
    CHECK_INT(offset, 1);
    CHECK_STR(str_from(reason(a, STR("NaN"), &offset)), STR("Expecting value"));
    CHECK_STR(str_from(reason(a, STR(""), &offset)), STR("Expecting value"));
    CHECK_STR(str_from(reason(a, STR_NONE, &offset)), STR("Expecting value"));
}

static struct str nested(struct arena *a, size_t depth, const char *open, const char *close)
{
    struct buf out;

    buf_init_arena(&out, a);
    for (size_t i = 0; i < depth; i++)
        buf_add(&out, str_from(open));
    buf_add(&out, STR("1"));
    for (size_t i = 0; i < depth; i++)
        buf_add(&out, str_from(close));
    return buf_str(&out);
}

TEST(json_depth_is_limited)
{
    const struct json *deep = parse(a, nested(a, JSON_DEPTH_MAX, "[", "]"));
    const struct json *deep_object = parse(a, nested(a, JSON_DEPTH_MAX, "{\"a\":", "}"));

    CHECK(deep != NULL && deep_object != NULL);
    CHECK_STR(written(a, deep), nested(a, JSON_DEPTH_MAX, "[", "]"));
    CHECK_STR(written(a, deep_object), nested(a, JSON_DEPTH_MAX, "{\"a\":", "}"));
    CHECK(json_equal(deep, parse(a, nested(a, JSON_DEPTH_MAX, "[ ", "]"))));
    CHECK(!json_equal(deep, parse(a, nested(a, JSON_DEPTH_MAX - 1, "[ ", "]"))));
    CHECK(parse(a, nested(a, JSON_DEPTH_MAX + 1, "[", "]")) == NULL);
    CHECK(parse(a, nested(a, JSON_DEPTH_MAX + 1, "{\"a\":", "}")) == NULL);
    CHECK(parse(a, nested(a, 100000, "[", "]")) == NULL);
}

TEST(json_get_answers_the_last_of_equal_keys)
{
    const struct json *v = parse(a, STR("{\"a\":1,\"b\":[1,{\"a\":9}],\"\\u0061\":2,\"c\":null}"));

    CHECK_STR(json_raw(json_get(v, STR("a"))), STR("2"));
    CHECK_INT(json_count(v), 4);
    CHECK(json_get(v, STR("")) == NULL);
    CHECK(json_get(v, STR("d")) == NULL);
    CHECK(json_get(NULL, STR("a")) == NULL);
    CHECK(json_get(json_get(v, STR("b")), STR("a")) == NULL);
    CHECK_INT(json_type(json_get(v, STR("c"))), JSON_NULL);
    CHECK_STR(json_get_text(v, STR("a")), STR_NONE);
}

TEST(json_walks_containers)
{
    const struct json *v = parse(a, STR("{\"k\\n\":[\"x\",[],{},[[\"\\ty\"]],5],\"l\":{\"m\":true}}"));
    const struct json *list = json_get(v, STR("k\n"));
    struct buf seen;

    buf_init_arena(&seen, a);
    json_each_member (m, v)
        buf_addf(&seen, STR_FMT "=" STR_FMT ";", STR_ARG(json_text(json_key(m))),
                 STR_ARG(json_raw(json_value(m))));
    CHECK_STR(buf_str(&seen), STR("k\n=[\"x\",[],{},[[\"\\ty\"]],5];l={\"m\":true};"));
    buf_clear(&seen);
    json_each (item, list)
        buf_addf(&seen, STR_FMT " ", STR_ARG(json_raw(item)));
    CHECK_STR(buf_str(&seen), STR("\"x\" [] {} [[\"\\ty\"]] 5 "));
    CHECK_INT(json_count(list), 5);
    CHECK_INT(json_count(json_at(list, 1)), 0);
    CHECK(json_first(json_at(list, 2)) == NULL);
    CHECK_STR(json_raw(json_at(list, 4)), STR("5"));
    CHECK(json_at(list, 5) == NULL);
    CHECK(json_at(v, 0) == NULL);
    CHECK(json_bool(json_get(json_get(v, STR("l")), STR("m"))));
    CHECK(!json_bool(list) && !json_bool(NULL));
}

TEST(json_i64_takes_whole_numbers_only)
{
    static const struct {
        const char *text;
        int rc;
        int64_t value;
    } cases[] = {
        {"0", 0, 0},
        {"-0", 0, 0},
        {"5.0", 0, 5},
        {"1e2", 0, 100},
        {"1.5e1", 0, 15},
        {"-12.30e2", 0, -1230},
        {"100e-2", 0, 1},
        {"0e99999999999999999999", 0, 0},
        {"0.000", 0, 0},
        {"9223372036854775807", 0, INT64_MAX},
        {"-9223372036854775808", 0, INT64_MIN},
        {"-9223372036854775808.0", 0, INT64_MIN},
        {"9223372036854775808", -ERANGE, 0},
        {"9223372036854775808.0", -ERANGE, 0},
        {"1e19", -ERANGE, 0},
        {"1e999999999999999999999", -ERANGE, 0},
        {"1.5", -EINVAL, 0},
        {"1e-1", -EINVAL, 0},
        {"15e-1", -EINVAL, 0},
        {"\"1\"", -EINVAL, 0},
        {"null", -EINVAL, 0},
    };

    for (size_t i = 0; i < nelem(cases); i++) {
        int64_t value = 0;
        int rc = json_i64(parse(a, str_from(cases[i].text)), &value);

        if (rc != cases[i].rc || value != cases[i].value)
            test_failed(__FILE__, __LINE__, "%s is %d, %" PRIi64, cases[i].text, rc, value);
    }
}

TEST(json_double_reads_as_strtod_does)
{
    static const char *const texts[] = {
        "0",
        "1",
        "-1.5",
        "0.1",
        "0.30000000000000004",
        "1e22",
        "1e23",
        "123456789012345678901234567890",
        "2.2250738585072011e-308",
        "5e-324",
        "2e-324",
        "1.7976931348623157e308",
        "1.7976931348623159e308",
        "1e400",
        "-1e400",
        "1e-400",
        "9007199254740993",
        "0.000001e6",
        "1e-22",
        "100000000000000000000000e-22",
        "1e9999999999999999999999",
        "1e-9999999999999999999999",
        "0.1e-9999999999999999999999",
        "7.2057594037927933e16",
        "8.5e-45",
        "179769313486231580793728971405301e276",
    };
    double value = 1;

    for (size_t i = 0; i < nelem(texts); i++) {
        CHECK_INT(json_double(parse(a, str_from(texts[i])), &value), 0);
        if (value != strtod(texts[i], NULL))
            test_failed(__FILE__, __LINE__, "%s is %.17g", texts[i], value);
    }
    CHECK(json_double(parse(a, STR("-0")), &value) == 0 && signbit(value) && value == 0);
    CHECK_INT(json_double(parse(a, STR("\"1\"")), &value), -EINVAL);
}

/* Half way between two doubles, decided by a digit far behind. */
TEST(json_double_reads_long_numbers)
{
    struct buf text;
    double value = 0;

    buf_init_arena(&text, a);
    buf_add(&text, STR("9007199254740993."));
    for (int i = 0; i < 2000; i++)
        buf_add_byte(&text, '0');
    CHECK(json_double(parse(a, buf_str(&text)), &value) == 0 && value == 9007199254740992.0);
    buf_add_byte(&text, '1');
    CHECK(json_double(parse(a, buf_str(&text)), &value) == 0 && value == 9007199254740994.0);
}

static struct str double_text(struct arena *a, double n)
{
    struct json_writer w;
    struct buf out;

    buf_init_arena(&out, a);
    json_write_init(&w, &out);
    json_write_double(&w, n);
    return buf_str(&out);
}

TEST(json_write_double_is_the_shortest_that_reads_back)
{
    uint64_t bits = 88172645463325252u;

    CHECK_STR(double_text(a, 0.1), STR("0.1"));
    CHECK_STR(double_text(a, 0.7), STR("0.7"));
    CHECK_STR(double_text(a, 0.1 + 0.2), STR("0.30000000000000004"));
    CHECK_STR(double_text(a, 5), STR("5"));
    CHECK_STR(double_text(a, -0.0), STR("-0"));
    CHECK_STR(double_text(a, 1e22), STR("1e22"));
    CHECK_STR(double_text(a, 1.5e-7), STR("1.5e-7"));
    CHECK_STR(double_text(a, 5e-324), STR("5e-324"));
    CHECK_STR(double_text(a, DBL_MAX), STR("1.7976931348623157e308"));
    CHECK_STR(double_text(a, INFINITY), STR("null"));
    CHECK_STR(double_text(a, NAN), STR("null"));
    for (int i = 0; i < 20000; i++) {
        double n, back = 0;

        bits ^= bits << 13, bits ^= bits >> 7, bits ^= bits << 17;
        memcpy(&n, &bits, sizeof(n));
        if (!isfinite(n))
            continue;
        if (json_double(parse(a, double_text(a, n)), &back) != 0 || back != n)
            test_failed(__FILE__, __LINE__, "%.17g became %.17g", n, back);
    }
}

TEST(json_equal_follows_json_schema)
{
    static const struct {
        const char *a, *b;
        bool equal;
    } cases[] = {
        {"1", "1.0", true},
        {"1", "10e-1", true},
        {"100", "1e2", true},
        {"0", "-0.0", true},
        {"1", "-1", false},
        {"0.5", "5e-1", true},
        {"0.05", "5e-1", false},
        {"10", "1", false},
        {"120", "12e1", true},
        {"1.20", "1.2", true},
        {"12.3", "1.23e1", true},
        {"123", "12.3", false},
        {"10000000000000000000001", "10000000000000000000002", false},
        {"1e400", "1e401", false},
        {"1e400", "10e399", true},
        {"1", "true", false},
        {"0", "false", false},
        {"null", "null", true},
        {"\"a\"", "\"\\u0061\"", true},
        {"\"1\"", "1", false},
        {"[1,2]", "[1,2]", true},
        {"[1,2]", "[2,1]", false},
        {"[1,2]", "[1]", false},
        {"[1]", "[1,2]", false},
        {"[]", "{}", false},
        {"[[]]", "[{}]", false},
        {"{\"a\":1,\"b\":2}", "{\"b\":2.0,\"a\":1}", true},
        {"{\"a\":1}", "{\"a\":2}", false},
        {"{\"a\":1}", "{\"b\":1}", false},
        {"{\"a\":1}", "{\"a\":1,\"b\":2}", false},
        {"{\"a\":1,\"a\":2}", "{\"a\":2}", true},
        {"{\"a\":1,\"a\":2}", "{\"a\":1}", false},
        {"{\"a\":1,\"a\":2}", "{\"a\":3,\"a\":2}", true},
        {"{\"a\":[{\"b\":[1]}]}", "{ \"a\":[{\"b\":[1.0]}]}", true},
        {"{\"a\":[{\"b\":[1]}]}", "{ \"a\":[{\"b\":[2]}]}", false},
    };

    for (size_t i = 0; i < nelem(cases); i++) {
        const struct json *left = parse(a, str_from(cases[i].a)), *right = parse(a, str_from(cases[i].b));

        if (json_equal(left, right) != cases[i].equal || json_equal(right, left) != cases[i].equal)
            test_failed(__FILE__, __LINE__, "%s and %s", cases[i].a, cases[i].b);
    }
    CHECK(json_equal(NULL, NULL));
}

TEST(json_writer_sets_commas)
{
    struct json_writer w;
    struct buf out;

    buf_init_arena(&out, a);
    json_write_init(&w, &out);
    json_object_begin(&w);
    json_field_str(&w, STR("s"), STR("a\"\\/\x01\x1f\n\x7f\xc3\xa9"));
    json_field_str(&w, STR("none"), STR_NONE);
    json_field_i64(&w, STR("i"), INT64_MIN);
    json_field_bool(&w, STR("b"), true);
    json_field_null(&w, STR("n"));
    json_field_raw(&w, STR("r"), STR("[1, 2]"));
    json_key_write(&w, STR("l"));
    json_array_begin(&w);
    json_array_begin(&w);
    json_array_end(&w);
    json_object_begin(&w);
    json_object_end(&w);
    json_write_i64(&w, 1);
    json_write_bool(&w, false);
    json_write_null(&w);
    json_write_raw(&w, STR_NONE);
    json_write_value(&w, parse(a, STR(" { \"x\" : [ 1.0 , { } ] , \"y\" : \"\\u0041\" } ")));
    json_array_end(&w);
    json_object_end(&w);
    CHECK_STR(
        buf_str(&out),
        STR("{\"s\":\"a\\\"\\\\/\\u0001\\u001f\\n\x7f\xc3\xa9\",\"none\":null,\"i\":-9223372036854775808,"
            "\"b\":true,\"n\":null,\"r\":[1, 2],\"l\":[[],{},1,false,null,null,"
            "{\"x\":[1.0,{}],\"y\":\"\\u0041\"}]}"));
}

/* More nodes than fit the arena, and tokens at every offset from a 16 byte boundary. */
TEST(json_long_texts)
{
    struct buf text;
    const struct json *v;
    int64_t n = -1;

    buf_init_arena(&text, a);
    buf_add_byte(&text, '[');
    for (int i = 0; i < 70000; i++)
        buf_addf(&text, "%s%*s{\"k%d\":\"%.*s\"}", i != 0 ? "," : "", i % 19, "", i, i % 41,
                 "0123456789 123456789 123456789 123456789 ");
    buf_add(&text, STR(",7]"));
    v = parse(a, buf_str(&text));
    CHECK_INT(json_count(v), 70001);
    CHECK(json_i64(json_at(v, 70000), &n) == 0 && n == 7);
    CHECK_STR(json_get_text(json_at(v, 39), STR("k39")), STR("0123456789 123456789 123456789 12345678"));
    CHECK(json_equal(parse(a, written(a, v)), v));
}

TEST(json_parse_may_be_left_unfinished)
{
    struct json_parser *p = json_parse_start(a, STR("[1,2,3,\"a long string\"]"));
    const struct json *v;
    struct json_error error;

    CHECK_INT(json_parse_step(p, 3, &v, &error), 1);
}
