#include "test.h"

#include "base/conf.h"
#include "conn.h"
#include "core/child.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>

/* The whole process, forked, without its databases: it was "started again", so it serves all the same. */

static int get_hello(struct req *r)
{
    return reply_json(r, 200, STR("{}"));
}

static int get_slow(struct req *r)
{
    (void)!task_sleep_await(300);
    return reply_json(r, 200, STR("{\"slow\":true}"));
}

static const struct route rows[] = {
    {.method = HTTP_GET, .path = "/hello", .rule = RULE_PUBLIC, .handler = get_hello},
    {.method = HTTP_GET, .path = "/slow", .rule = RULE_PUBLIC, .handler = get_slow},
};

static void dispatch(struct req *r)
{
    (void)!r->route->handler(r);
}

static void service(struct req *r UNUSED, void *arg UNUSED)
{
    while (task_sleep_await(1000000) == 0)
        ;
}

static int start(struct server *s)
{
    s->routes = route_table_new(rows, nelem(rows));
    s->dispatch = dispatch;
    (void)req_spawn_service(s, "service", service, NULL);
    return 0;
}

static int start_fails(struct server *s UNUSED)
{
    return -EIO;
}

static void stop(struct server *s)
{
    route_table_free(s->routes);
}

static int settings(void)
{
    static struct conf_variable items[] = {
        {STR_INIT("DATABASE_URL"), STR_INIT("postgresql://nobody@127.0.0.1:1/none")},
        {STR_INIT("REDIS_URL"), STR_INIT("redis://127.0.0.1:1/0")},
        {STR_INIT("MAX_CONNECTIONS"), STR_INIT("64")},
        {STR_INIT("STARTUP_TIMEOUT"), STR_INIT("0")},
    };
    const struct conf_variables environment = {items, nelem(items)}, none = {0};
    struct str reason;

    return conf_read(&conf, &environment, &none, &reason);
}

static pid_t server_fork(int listening, int (*start_fn)(struct server *s), uint64_t generation)
{
    const struct server_options options = {.start = start_fn, .stop = stop};
    pid_t pid = fork();

    if (pid != 0)
        return pid;
    ev_loop_fork(ev_default_loop(0));
    log_init("unit", LOG_ERROR + 1);
    *child_settings() = (struct child){.title = "reactor", .generation = generation, .listeners_count = 1};
    child_settings()->listeners[0] = listening;
    _exit(settings() < 0 ? 99 : server_run(&options));
}

static int listen_on_loopback(struct sockaddr_in *in)
{
    socklen_t size = sizeof(*in);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    *in = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    CHECK_INT(bind(fd, (struct sockaddr *)in, sizeof(*in)), 0);
    CHECK_INT(listen(fd, 10), 0);
    CHECK_INT(getsockname(fd, (struct sockaddr *)in, &size), 0);
    return fd;
}

static int ask(const struct sockaddr_in *in, const char *request)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    CHECK_INT(connect(fd, (const struct sockaddr *)in, sizeof(*in)), 0);
    CHECK_INT(send(fd, request, strlen(request), MSG_NOSIGNAL), (ssize_t)strlen(request));
    return fd;
}

/* Whether the answer has that text in it. Closes. */
static bool answers(int fd, const char *text)
{
    static char got[4096];
    size_t n = 0;
    bool found = false;

    while (n < sizeof(got) - 1 && !found) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        ssize_t more = poll(&p, 1, 10000) == 1 ? recv(fd, got + n, sizeof(got) - 1 - n, 0) : -1;

        if (more <= 0)
            break;
        n += (size_t)more;
        found = str_find(str_of(got, n), str_from(text)) >= 0;
    }
    (void)close(fd);
    return found;
}

static int exit_status(pid_t pid)
{
    int status = 0;

    CHECK_INT(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

TEST(server_serves_and_drains)
{
    struct sockaddr_in in;
    int listening = listen_on_loopback(&in), slow, idle;
    pid_t pid = server_fork(listening, start, 2);

    (void)close(listening);
    CHECK(answers(ask(&in, "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n"), "200 OK"));
    idle = ask(&in, "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n");
    slow = ask(&in, "GET /slow HTTP/1.1\r\nHost: a\r\n\r\nGET /hello HTTP/1.1\r\nHost: a\r\n\r\n");
    CHECK(answers(ask(&in, "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n"), "200 OK")); /* so /slow runs now */
    CHECK_INT(kill(pid, SIGUSR1), 0);
    CHECK_INT(kill(pid, SIGTERM), 0);
    CHECK(answers(slow, "{\"slow\":true}"));
    CHECK_INT(exit_status(pid), 0);
    (void)close(idle);
}

TEST(server_ends_when_it_cannot_start)
{
    struct sockaddr_in in;
    int listening = listen_on_loopback(&in);

    CHECK_INT(exit_status(server_fork(listening, start_fails, 2)), EXIT_FAILURE);
    CHECK_INT(exit_status(server_fork(listening, start, 1)),
              EXIT_FAILURE); /* no databases at the first start */
    (void)close(listening);
}
