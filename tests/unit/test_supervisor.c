/* The pure parts of the supervisor's side: arguments of processes, sockets, notifications. */
#include "test.h"

#include "listen.h"
#include "notify.h"
#include "proc.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

TEST(proc_backs_off)
{
    CHECK_INT(process_backoff_ms(1), 0);
    CHECK_INT(process_backoff_ms(2), 100);
    CHECK_INT(process_backoff_ms(3), 200);
    CHECK_INT(process_backoff_ms(6), 1600);
    CHECK_INT(process_backoff_ms(7), 2000);
    CHECK_INT(process_backoff_ms(4000000000u), 2000);
}

#define NODE "11111111-2222-4333-8444-555555555555"

/* The arguments in one text, separated by blanks. */
static int enter(struct arena *a, const char *line)
{
    struct str rest = str_from(line);
    char *argv[20];
    int argc = 0;

    while (!str_is_none(rest))
        argv[argc++] = arena_cstr(a, str_cut(&rest, ' '));
    return child_enter(argc, argv);
}

TEST(child_reads_its_arguments)
{
    const struct child *c = child_self();

    CHECK(enter(a, "reactor --instance 3 --node " NODE " --generation 7 --listen 5 --listen 6"
                   " --worker llm-0=/run/x/llm-0.sock") == 0);
    CHECK_STR(str_from(c->title), STR("reactor"));
    CHECK_INT(c->instance, 3);
    CHECK_INT(c->generation, 7);
    CHECK_STR(str_from(c->node), STR(NODE));
    CHECK_INT(c->listeners_count, 2);
    CHECK_INT(c->listeners[1], 6);
    CHECK_INT(c->workers_count, 1);
    CHECK_STR(str_from(c->workers[0].title), STR("llm-0"));
    CHECK_STR(str_from(c->workers[0].path), STR("/run/x/llm-0.sock"));
}

TEST(child_refuses_other_arguments)
{
    CHECK(enter(a, "x --what 1") == -EINVAL);
    CHECK(enter(a, "x --instance") == -EINVAL);
    CHECK(enter(a, "x --listen -1") == -EINVAL);
    CHECK(enter(a, "x --node 1") == -EINVAL);
    CHECK(enter(a, "x --worker llm-0") == -EINVAL);
    CHECK(enter(a, "x --generation 0") == -EINVAL);
}

TEST(listen_opens_each_host)
{
    int fds[4] = {-1, -1, -1, -1};
    char url[LISTEN_URL_SIZE];

    CHECK_INT(listen_tcp(STR("127.0.0.1, 127.0.0.2"), 0, fds, nelem(fds)), 2);
    listen_url(fds[1], url);
    CHECK(str_starts(str_from(url), STR("http://127.0.0.2:")));
    CHECK(!str_ends(str_from(url), STR(":0")));
    (void)close(fds[0]);
    (void)close(fds[1]);
}

TEST(listen_shows_an_address_that_can_be_reached)
{
    int fd = -1;
    char url[LISTEN_URL_SIZE];

    CHECK_INT(listen_tcp(STR("0.0.0.0"), 0, &fd, 1), 1);
    listen_url(fd, url);
    CHECK(str_starts(str_from(url), STR("http://127.0.0.1:")));
    (void)close(fd);
}

TEST(listen_refuses_bad_hosts)
{
    int fd;

    CHECK(listen_tcp(STR(""), 0, &fd, 1) < 0);
    CHECK(listen_tcp(STR(" , "), 0, &fd, 1) < 0);
    CHECK(listen_tcp(STR("127.0.0.1:80"), 0, &fd, 1) < 0);
}

TEST(listen_unix_replaces_an_old_socket)
{
    char directory[] = "/tmp/sinas-unit-XXXXXX";
    char *path;
    struct stat st;

    CHECK(mkdtemp(directory) != NULL);
    path = arena_printf(a, "%s/a.sock", directory);
    for (int i = 0; i < 2; i++) {
        int fd = listen_unix(path);

        CHECK(fd >= 0);
        CHECK(stat(path, &st) == 0 && (st.st_mode & 0777) == 0600);
        (void)close(fd);
    }
    CHECK(listen_unix(arena_printf(a, "%s/%0120d", directory, 0)) == -ENAMETOOLONG);
    (void)unlink(path);
    (void)rmdir(directory);
}

TEST(notify_reaches_systemd)
{
    AUTO_CLOSE int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    socklen_t size = sizeof(sa_family_t); /* the kernel chooses an abstract name */
    struct notify n;
    char got[32];
    char *name;

    CHECK(bind(fd, (struct sockaddr *)&address, size) == 0);
    size = sizeof(address);
    CHECK(getsockname(fd, (struct sockaddr *)&address, &size) == 0);
    name = arena_printf(a, "@%.*s", (int)(size - sizeof(sa_family_t) - 1), address.sun_path + 1);
    CHECK(setenv("NOTIFY_SOCKET", name, 1) == 0);
    CHECK(setenv("WATCHDOG_USEC", "20000000", 1) == 0);
    notify_open(&n);
    CHECK(n.fd >= 0);
    CHECK_INT(n.watchdog_us, 20000000);
    CHECK(getenv("NOTIFY_SOCKET") == NULL);
    notify_send(&n, STR("READY=1"));
    CHECK_INT(recv(fd, got, sizeof(got), MSG_DONTWAIT), 7);
    CHECK(memcmp(got, "READY=1", 7) == 0);
    (void)close(n.fd);
}

TEST(notify_is_silent_without_systemd)
{
    struct notify n;

    CHECK(unsetenv("NOTIFY_SOCKET") == 0);
    notify_open(&n);
    CHECK_INT(n.fd, -1);
    notify_send(&n, STR("READY=1"));
}
