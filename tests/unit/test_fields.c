#include "handlers/fields.h"
#include "servers.h"

#define VALID_TYPE "Input should be a valid dictionary or object to extract fields from"

static const struct column note_columns[] = {
    {"title", COL_TEXT, COL_REQUIRED, 5},    {"size", COL_INT, .fallback = "3"},
    {"note", COL_TEXT, COL_NULLABLE},        {"ratio", COL_NUMBER, COL_NULLABLE},
    {"done", COL_BOOL, .fallback = "false"}, {"tags", COL_TEXTS, .fallback = "[]"},
};
static const struct body note = BODY("Note", note_columns);

static const struct column secret_columns[] = {{"password", COL_TEXT, COL_SECRET}};
static const struct body secret = BODY("Secret", secret_columns);

static const struct column free_columns[] = {{"size", COL_INT, .fallback = "3"}};
static const struct body free_body = {
    .name = "Free", .columns = free_columns, .columns_count = 1, .flags = BODY_OPTIONAL};

static const struct column page_columns[] = {
    QUERY_SKIP, QUERY_LIMIT("100"), {"flag", COL_BOOL}, {"word", COL_TEXT, COL_REQUIRED}};
static const struct body page = BODY("Page", page_columns);

static struct req *req_with(struct arena *a, const char *type, struct str body)
{
    struct req *r = req_new(NULL);

    arena_defer(a, (void (*)(void *))req_free, r);
    r->body = body;
    if (type != NULL) {
        struct http_field *field = arena_alloc(a, sizeof(*field));

        *field = (struct http_field){STR("Content-Type"), str_from(type)};
        r->head.fields = field;
        r->head.fields_count = 1;
    }
    return r;
}

static void check_refused(struct arena *a, const char *type, struct str body, const char *detail)
{
    struct req *r = req_with(a, type, body);

    CHECK_INT(body_check(r, &note), -1);
    CHECK_INT(r->status, 422);
    CHECK_STR(buf_str(&r->answer), arena_strf(a, "{\"detail\":[%s]}", detail));
}

TEST(fields_refuse_bodies_that_are_no_object)
{
    static const char *const missing =
        "{\"type\":\"missing\",\"loc\":[\"body\"],\"msg\":\"Field required\",\"input\":null}";

    check_refused(a, NULL, STR(""), missing);
    check_refused(a, "application/json", STR(" null "), missing);
    check_refused(a, NULL, STR("[1, 2]"),
                  "{\"type\":\"model_attributes_type\",\"loc\":[\"body\"],\"msg\":\"" VALID_TYPE
                  "\",\"input\":[1,2]}");
    check_refused(a, "text/plain", STR("{\"title\":\"a\"}"),
                  "{\"type\":\"model_attributes_type\",\"loc\":[\"body\"],\"msg\":\"" VALID_TYPE
                  "\",\"input\":\"{\\\"title\\\":\\\"a\\\"}\"}");
    check_refused(a, "text/plain", STR("\xff"),
                  "{\"type\":\"model_attributes_type\",\"loc\":[\"body\"],\"msg\":\"" VALID_TYPE
                  "\",\"input\":null}");
}

static struct str answer_of(struct req *r, const struct body *b)
{
    CHECK_INT(body_check(r, b), -1);
    CHECK_INT(r->status, 422);
    return buf_str(&r->answer);
}

TEST(fields_refuse_what_is_no_json_at_its_byte)
{
    static const struct str cases[] = {
        STR_INIT("{\"a\":}"), STR_INIT("\xef\xbb\xbf{}"),          STR_INIT("{\"a\":NaN}"),
        STR_INIT("{} x"),     STR_INIT("{\"title\":\"\\ud800\"}"), STR_INIT("{\"title\":\"\xff\"}")};

    for (size_t i = 0; i < nelem(cases); i++) {
        struct str answer = answer_of(req_with(a, NULL, cases[i]), &note);

        CHECK(str_starts(answer, STR("{\"detail\":[{\"type\":\"json_invalid\",\"loc\":[\"body\",")));
        CHECK(str_find(answer, STR("],\"msg\":\"JSON decode error\",\"input\":{},\"ctx\":{\"error\":\"")) >
              0);
    }
    CHECK(str_starts(answer_of(req_with(a, NULL, cases[0]), &note),
                     STR("{\"detail\":[{\"type\":\"json_invalid\",\"loc\":[\"body\",5],")));
}

TEST(fields_take_every_content_type_of_json)
{
    static const struct {
        const char *type;
        bool is_json;
    } cases[] = {
        {NULL, true},
        {"application/json", true},
        {"APPLICATION/Json ; Charset=\"UTF-8\"", true},
        {"application/problem+json", true},
        {"application/json; charset=utf-16", false},
        {"application/+json", false},
        {"application/jsonp", false},
        {"text/json", false},
        {"multipart/form-data; boundary=x", false},
        {"", false},
    };

    for (size_t i = 0; i < nelem(cases); i++) {
        struct req *r = req_with(a, cases[i].type, STR("{\"title\":\"a\"}"));

        CHECK_INT(body_check(r, &note), cases[i].is_json ? 0 : -1);
    }
}

TEST(fields_give_typed_values)
{
    struct req *r = req_with(
        a, NULL, STR("{\"title\":\"\\u00e4b\",\"note\":null,\"ratio\":0.5,\"done\":1,\"tags\":[\"x\"]}"));

    CHECK_INT(body_check(r, &note), 0);
    CHECK_STR(body_str(r, "title"), STR("\xc3\xa4"
                                        "b"));
    CHECK(body_has(r, "title") && !body_has(r, "size") && body_has(r, "note"));
    CHECK(body_is_null(r, "note") && !body_is_null(r, "title") && !body_is_null(r, "size"));
    CHECK_INT(body_i64(r, "size"), 3);
    CHECK(body_bool(r, "done"));
    CHECK(body_double(r, "ratio") == 0.5);
    CHECK(str_is_none(body_str(r, "note")));
    CHECK_INT(json_count(body_json(r, "tags")), 1);
    CHECK(json_is(body_json(r, "note"), JSON_NULL));
}

TEST(fields_optional_bodies_may_be_absent)
{
    static const struct str cases[] = {STR_INIT(""), STR_INIT("null"), STR_INIT("{}")};

    for (size_t i = 0; i < nelem(cases); i++) {
        struct req *r = req_with(a, NULL, cases[i]);

        CHECK_INT(body_check(r, &free_body), 0);
        CHECK_INT(body_i64(r, "size"), 3);
    }
}

TEST(fields_never_echo_bodies_with_secrets)
{
    struct str answer = answer_of(req_with(a, "text/plain", STR("{\"password\":\"hush\"}")), &secret);

    CHECK(str_find(answer, STR("hush")) < 0);
    CHECK(str_find(answer, STR("\"input\":null")) > 0);
}

static struct req *req_asking(struct arena *a, const char *query)
{
    struct req *r = req_with(a, NULL, STR(""));

    r->head.query = str_from(query);
    CHECK_INT(req_query_parse(r), 0);
    return r;
}

TEST(fields_of_queries)
{
    struct req *r = req_asking(a, "skip=5&limit=7&limit=8&flag=on&word=a%20b&more=1");

    CHECK_INT(query_check(r, &page), 0);
    CHECK_INT(query_i64(r, "skip"), 5);
    CHECK_INT(query_i64(r, "limit"), 8);
    CHECK(query_bool(r, "flag"));
    CHECK_STR(query_str(r, "word"), STR("a b"));

    r = req_asking(a, "word=");
    CHECK_INT(query_check(r, &page), 0);
    CHECK_INT(query_i64(r, "skip"), 0);
    CHECK_INT(query_i64(r, "limit"), 100);
    CHECK(!query_has(r, "flag") && query_has(r, "word"));
    CHECK_STR(query_str(r, "word"), STR(""));
}

TEST(fields_of_queries_are_refused_as_text)
{
    struct req *r = req_asking(a, "skip=-1&limit=&flag=perhaps");

    CHECK_INT(query_check(r, &page), -1);
    CHECK_STR(buf_str(&r->answer), STR("{\"detail\":[{\"type\":\"greater_than_equal\",\"loc\":[\"query\","
                                       "\"skip\"],\"msg\":\"Input should be greater "
                                       "than or equal to 0\",\"input\":\"-1\",\"ctx\":{\"ge\":0}},"
                                       "{\"type\":\"int_parsing\",\"loc\":[\"query\",\"limit\"],\"msg\":"
                                       "\"Input should be a valid integer, unable to "
                                       "parse string as an integer\",\"input\":\"\"},"
                                       "{\"type\":\"bool_parsing\",\"loc\":[\"query\",\"flag\"],\"msg\":"
                                       "\"Input should be a valid boolean, unable to "
                                       "interpret input\",\"input\":\"perhaps\"},"
                                       "{\"type\":\"missing\",\"loc\":[\"query\",\"word\"],\"msg\":\"Field "
                                       "required\",\"input\":null}]}"));
}

TEST(fields_of_paths)
{
    static const struct route route = {.path = "/things/{id}"};
    struct req *r = req_with(a, NULL, STR(""));
    struct str id = STR_NONE;

    r->route = &route;
    r->match.params[0] = STR("A0EEBC999C0B4EF8BB6D6BB9BD380A11");
    CHECK_INT(path_uuid(r, "id", &id), 0);
    CHECK_STR(id, STR("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"));
    r->match.params[0] = STR("nope");
    CHECK_INT(path_uuid(r, "id", &id), -1);
    CHECK_INT(r->status, 422);
    CHECK(str_starts(buf_str(&r->answer),
                     STR("{\"detail\":[{\"type\":\"uuid_parsing\",\"loc\":[\"path\",\"id\"],")));
}

TEST(fields_refused_by_the_database_show_what_came)
{
    struct req *r = req_with(a, NULL, STR("{\"title\":\"a\"}"));

    CHECK_INT(body_check(r, &note), 0);
    CHECK_INT(fail_field(r, "title", "no"), -1);
    CHECK_STR(buf_str(&r->answer),
              STR("{\"detail\":[{\"type\":\"value_error\",\"loc\":[\"body\",\"title\"],\"msg\":\"Value "
                  "error, no\",\"input\":\"a\",\"ctx\":{\"error\":{}}}]}"));
}

/* ---- long bodies ---- */

static void note_turn(void *arg)
{
    *(bool *)arg = true;
}

static void check_long(void *arg)
{
    struct req *r = arg;
    bool had_turn = false;

    (void)task_spawn(task_loop(), "other", note_turn, &had_turn);
    CHECK_INT(body_check(r, &note), 0);
    CHECK(had_turn);
}

TEST(fields_of_a_long_body_let_others_run)
{
    struct buf body;

    buf_init_arena(&body, a);
    buf_add(&body, STR("{\"title\":\"a\",\"tags\":[\"\""));
    for (int i = 0; i < 200000; i++)
        buf_add(&body, STR(",\"xy\""));
    buf_add(&body, STR("]}"));
    servers_run_task(check_long, req_with(a, NULL, buf_str(&body)));
}
