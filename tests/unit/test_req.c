#include "http_fixture.h"

#include "base/log.h"
#include "test.h"

#include <fcntl.h>
#include <sys/wait.h>

/* Requests apart from their connections: background work, the access log, parameters. */

#define GET(path) "GET " path " HTTP/1.1\r\nHost: a\r\n\r\n"

/* ---- background work ---- */

struct work {
    bool has_run, was_cancelled;
    char id[37];
};

static void work_once(struct req *r, void *arg)
{
    struct work *w = arg;

    CHECK(r->conn == NULL);
    CHECK_INT(fail(r, 502, "No %s", "luck"), -1);
    CHECK_STR(r->failure, STR("No luck"));
    memcpy(w->id, r->id, sizeof(w->id));
    w->has_run = true;
}

static void work_for_ever(struct req *r UNUSED, void *arg)
{
    struct work *w = arg;

    w->has_run = true;
    w->was_cancelled = task_park_await("nothing", TASK_FOREVER) == -ECANCELED;
}

TEST(req_spawn_runs_without_a_connection)
{
    struct work once = {0}, service = {0};
    struct req *r;

    fixture_start(NULL);
    list_init(&fixture.server.services);
    CHECK(!once.has_run);
    (void)req_spawn(&fixture.server, "once", work_once, &once);
    r = req_spawn_service(&fixture.server, "service", work_for_ever, &service);
    fixture_turns();
    CHECK(once.has_run && service.has_run);
    CHECK_INT(strlen(once.id), 36);
    CHECK_INT(fixture.server.loop.tasks_count, 1);
    CHECK(!list_is_empty(&fixture.server.services));
    task_cancel(r->task);
    fixture_turns();
    CHECK(service.was_cancelled);
    CHECK(list_is_empty(&fixture.server.services));
    fixture_stop();
}

/* ---- the access log ---- */

/* What a request writes to standard error. */
static struct str log_of(struct arena *a, const char *request, unsigned times)
{
    char *text = arena_bytes(a, 60000);
    int saved = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0), pair[2];
    struct client c;
    ssize_t n;

    CHECK_INT(pipe2(pair, O_CLOEXEC | O_NONBLOCK), 0);
    CHECK(dup2(pair[1], STDERR_FILENO) >= 0);
    log_init("unit", LOG_INFO);
    client_open(&c);
    for (unsigned i = 0; i < times; i++)
        client_send(&c, str_from(request));
    client_receive(&c, SIZE_MAX);
    client_close(&c);
    fixture_turns();
    log_init("unit", LOG_ERROR);
    n = read(pair[0], text, 60000);
    CHECK(dup2(saved, STDERR_FILENO) >= 0);
    (void)close(saved);
    (void)close(pair[0]);
    (void)close(pair[1]);
    return str_of(text, n > 0 ? (size_t)n : 0);
}

static const struct json *log_entry(struct arena *a, struct str text)
{
    const struct json *line = NULL;
    struct json_error error;

    if (json_parse(a, text, &line, &error) < 0)
        test_failed(__FILE__, __LINE__, "%s in '" STR_FMT "'", error.reason, STR_ARG(text));
    return line;
}

TEST(req_access_log_has_one_line_per_request)
{
    const struct json *line;
    struct str text;

    fixture_start(NULL);
    line = log_entry(
        a, log_of(a,
                  "GET /items/a%20b?token=secret HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 9.8.7.6\r\n"
                  "Authorization: Bearer secret\r\n\r\n",
                  1));
    CHECK_STR(json_get_text(line, STR("method")), STR("GET"));
    CHECK_STR(json_get_text(line, STR("path")), STR("/items/a%20b"));
    CHECK_STR(json_get_text(line, STR("client")), STR("9.8.7.6"));
    CHECK_STR(json_raw(json_get(line, STR("status"))), STR("200"));
    CHECK_INT(json_get_text(line, STR("id")).n, 36);
    CHECK(str_ends(json_get_text(line, STR("time")), STR("Z")));
    CHECK(json_is(json_get(line, STR("ms")), JSON_NUMBER));
    CHECK(json_is(json_get(line, STR("bytes")), JSON_NUMBER));
    CHECK(str_find(json_raw(line), STR("secret")) < 0);
    line = log_entry(a, log_of(a, "nonsense\r\n", 1));
    CHECK_STR(json_raw(json_get(line, STR("status"))), STR("400"));
    text = log_of(a, GET("/events"), 1);
    CHECK_INT(text.n, 0); /* that route is quiet */
    text = log_of(
        a, "OPTIONS /x HTTP/1.1\r\nHost: a\r\nOrigin: b\r\nAccess-Control-Request-Method: GET\r\n\r\n", 1);
    CHECK_INT(text.n, 0);
    fixture_stop();
}

TEST(req_access_log_lines_of_a_turn_go_out_whole)
{
    struct str text;
    struct buf many;
    unsigned lines = 0;

    fixture_start(NULL);
    buf_init_arena(&many, a);
    for (unsigned i = 0; i < 100; i++)
        buf_addf(&many, "GET /nowhere/%u HTTP/1.1\r\nHost: a\r\n\r\n", i);
    buf_add_byte(&many, '\0');
    text = log_of(a, buf_str(&many).p, 1);
    while (text.n != 0) {
        CHECK_STR(json_raw(json_get(log_entry(a, str_cut(&text, '\n')), STR("status"))), STR("404"));
        lines++;
    }
    CHECK_INT(lines, 100);
    fixture_stop();
}

TEST(req_access_log_says_when_the_client_left)
{
    struct client c;
    int saved = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0), pair[2];
    char text[1000];
    ssize_t n;

    fixture_start(NULL);
    CHECK_INT(pipe2(pair, O_CLOEXEC | O_NONBLOCK), 0);
    client_open_tcp(&c);
    client_say(&c, GET("/park"));
    CHECK(dup2(pair[1], STDERR_FILENO) >= 0);
    log_init("unit", LOG_INFO);
    client_reset(&c);
    fixture_turns();
    log_init("unit", LOG_ERROR);
    n = read(pair[0], text, sizeof(text));
    CHECK(dup2(saved, STDERR_FILENO) >= 0);
    CHECK(n > 0 && str_find(str_of(text, (size_t)n), STR("\"status\":499")) > 0);
    (void)close(saved);
    (void)close(pair[0]);
    (void)close(pair[1]);
    fixture_stop();
}

/* ---- the table of routes is checked when the server starts ---- */

static int handler(struct req *r UNUSED)
{
    return 0;
}

#define ROW(verb, text, bits)                                                                                \
    {                                                                                                        \
        .method = HTTP_##verb, .path = text, .rule = RULE_PUBLIC, .handler = handler, .flags = bits          \
    }

static const struct route contradictions[][2] = {
    {ROW(GET, "a", 0)},
    {ROW(GET, "/a/", 0)},
    {ROW(GET, "/a//b", 0)},
    {ROW(GET, "/a/b", ROUTE_TAIL)},
    {ROW(OTHER, "/a", 0)},
    {ROW(GET, "/{a}/{b}/{c}/{d}/{e}/{f}/{g}", 0)},
    {{.method = HTTP_GET, .path = "/a", .rule = RULE_PUBLIC}},
    {{.method = HTTP_GET, .path = "/a", .handler = handler}},
    {{.method = HTTP_GET, .path = "/a", .rule = RULE_FIXED, .handler = handler}},
    {{.method = HTTP_GET, .rule = RULE_PUBLIC, .handler = handler}},
    {ROW(GET, "/a", 0), ROW(GET, "/a", 0)},
    {ROW(GET, "/{a}", 0), ROW(GET, "/{b}", 0)},
    {ROW(GET, "/{a}", ROUTE_TAIL), ROW(GET, "/{b}", ROUTE_TAIL)},
};

TEST(route_table_refuses_contradictions)
{
    for (size_t i = 0; i < nelem(contradictions); i++) {
        size_t count = contradictions[i][1].path != NULL ? 2 : 1;
        pid_t pid = fork();
        int status;

        if (pid == 0) {
            log_init("unit", LOG_ERROR + 1);
            route_table_free(route_table_new(contradictions[i], count));
            _exit(0);
        }
        CHECK_INT(waitpid(pid, &status, 0), pid);
        if (!WIFEXITED(status) || WEXITSTATUS(status) != EXIT_FAILURE)
            test_failed(__FILE__, __LINE__, "row %zu is accepted", i);
    }
}
