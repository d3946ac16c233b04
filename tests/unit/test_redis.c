#include "servers.h"

#include "core/redis.h"
#include "core/redis_link.h"

#include <signal.h>

struct scene {
    struct arena *a;
    struct redis *rd;
    unsigned left, good, lost;
    int64_t last;
    int rc;
};

static void run_scene(struct arena *a, void (*body)(struct scene *s))
{
    struct scene s = {.a = a, .rd = redis_open(servers_loop(), servers_url("TEST_REDIS_URL"))};

    servers_run_task((void (*)(void *))body, &s);
    redis_close(s.rd);
}

static bool all_done(void *arg)
{
    return ((struct scene *)arg)->left == 0;
}

/* ---- addresses ---- */

static int parse(struct arena *a, const char *url, struct redis_address *address)
{
    return redis_address_parse(a, str_from(url), address);
}

TEST(redis_address_forms)
{
    struct redis_address at;

    CHECK_INT(parse(a, "redis://redis:6379/0", &at), 0);
    CHECK_STR(str_from(at.host), STR("redis"));
    CHECK_INT(at.port, 6379);
    CHECK(str_is_none(at.password));
    CHECK_INT(parse(a, "redis://us%40er:p%3Aw@10.0.0.1/12", &at), 0);
    CHECK_STR(at.user, STR("us@er"));
    CHECK_STR(at.password, STR("p:w"));
    CHECK_STR(str_from(at.host), STR("10.0.0.1"));
    CHECK_INT(at.database, 12);
    CHECK_INT(parse(a, "redis://:secret@[::1]:7000", &at), 0);
    CHECK(str_is_none(at.user));
    CHECK_STR(at.password, STR("secret"));
    CHECK_STR(str_from(at.host), STR("::1"));
    CHECK_INT(at.port, 7000);
    CHECK_INT(parse(a, "unix:///run/a%20b.sock?db=3", &at), 0);
    CHECK(at.host == NULL);
    CHECK_STR(str_from(at.path), STR("/run/a b.sock"));
    CHECK_INT(at.database, 3);
}

TEST(redis_address_refuses)
{
    static const char *const wrong[] = {
        "",
        "http://x",
        "redis://",
        "redis://:6379",
        "redis://h:0",
        "redis://h:99999",
        "redis://h:x",
        "redis://h/x",
        "redis://h/-1",
        "redis://[::1]x",
        "redis://h%0",
        "redis://h%00",
        "redis://u:%zz@h",
        "unix://relative",
        "unix:///s?x=1",
        "unix:///s?db=x",
    };
    struct redis_address at;

    for (size_t i = 0; i < nelem(wrong); i++) {
        if (parse(a, wrong[i], &at) == 0)
            test_failed(__FILE__, __LINE__, "%s is taken", wrong[i]);
    }
}

/* ---- commands ---- */

#define COMMAND(s, answer, ...)                                                                              \
    redis_await((s)->rd, (s)->a, (answer), (int)nelem(((const struct str[]){__VA_ARGS__})),                  \
                (const struct str[]){__VA_ARGS__})

static void commands_body(struct scene *s)
{
    struct redis_value v;

    CHECK_INT(COMMAND(s, &v, STR("SET"), STR("t:key"), str_of("a\0\r\nb", 5)),
              0); /* goes out behind the handshake */
    CHECK_INT(v.type, REDIS_STATUS);
    CHECK_STR(v.text, STR("OK"));
    CHECK(redis_is_up(s->rd));
    CHECK_INT(COMMAND(s, &v, STR("GET"), STR("t:key")), 0);
    CHECK_STR(v.text, str_of("a\0\r\nb", 5));
    CHECK_INT(COMMAND(s, &v, STR("GET"), STR("t:none")), 0);
    CHECK_INT(v.type, REDIS_NIL);
    CHECK_INT(COMMAND(s, &v, STR("RPUSH"), STR("t:list"), STR("x"), STR("")), 0);
    CHECK_INT(v.integer, 2);
    CHECK_INT(COMMAND(s, &v, STR("LRANGE"), STR("t:list"), STR("0"), STR("-1")), 0);
    CHECK_INT(v.type, REDIS_ARRAY);
    CHECK_INT(v.count, 2);
    CHECK_STR(v.items[0].text, STR("x"));
    CHECK_STR(v.items[1].text, STR(""));
    CHECK_INT(COMMAND(s, &v, STR("INCR"), STR("t:list")), -EIO);
    CHECK_INT(v.type, REDIS_ERROR);
    CHECK(str_starts(v.text, STR("WRONGTYPE")));
    CHECK_INT(COMMAND(s, &v, STR("DEL"), STR("t:key"), STR("t:list")), 0);
    CHECK_INT(v.integer, 2);
}

TEST_SERVERS(redis_commands)
{
    run_scene(a, commands_body);
}

static void memory_body(struct scene *s)
{
    struct redis_value v;

    CHECK_INT(COMMAND(s, &v, STR("CONFIG"), STR("SET"), STR("maxmemory"), STR("1")), 0);
    CHECK_INT(COMMAND(s, &v, STR("SET"), STR("t:key"), STR("x")), -ENOSPC);
    CHECK_INT(COMMAND(s, &v, STR("CONFIG"), STR("SET"), STR("maxmemory"), STR("0")), 0);
}

TEST_SERVERS(redis_out_of_memory)
{
    run_scene(a, memory_body);
}

static void on_number(void *arg, int rc, const struct redis_value *answer)
{
    struct scene *s = arg;

    CHECK_INT(rc, 0);
    if (rc == 0)
        CHECK_INT(answer->integer, ++s->last);
    s->left--;
}

static void pipeline_body(struct scene *s)
{
    const struct str argv[] = {STR("INCR"), STR("t:n")};
    const struct str del[] = {STR("DEL"), STR("t:n")};
    struct redis_value v;

    CHECK_INT(redis_await(s->rd, s->a, &v, nelem(del), del), 0);
    for (int i = 0; i < 5000; i++) {
        s->left++;
        redis_send(s->rd, nelem(argv), argv, on_number, s);
    }
    CHECK_INT(s->last, 0); /* never from inside redis_send() */
    CHECK(servers_wait_await(all_done, s));
    CHECK_INT(s->last, 5000);
}

TEST_SERVERS(redis_answers_in_order)
{
    run_scene(a, pipeline_body);
}

static void large_body(struct scene *s)
{
    enum { BYTES = 4 << 20 }; /* more than a socket takes at once */
    char *text = arena_bytes(s->a, BYTES);
    struct redis_value v;

    memset(text, 'x', BYTES);
    CHECK_INT(COMMAND(s, &v, STR("SET"), STR("t:large"), str_of(text, BYTES)), 0);
    CHECK_INT(COMMAND(s, &v, STR("GET"), STR("t:large")), 0);
    CHECK(v.text.n == BYTES && memcmp(v.text.p, text, BYTES) == 0);
    CHECK_INT(COMMAND(s, &v, STR("DEL"), STR("t:large")), 0);
}

TEST_SERVERS(redis_large_values)
{
    run_scene(a, large_body);
}

static void blocked(void *arg)
{
    struct scene *s = arg;
    struct redis_value v;

    s->rc = COMMAND(s, &v, STR("BLPOP"), STR("t:nothing"), STR("0.3"));
    s->left--;
}

static void cancel_body(struct scene *s)
{
    struct task *t;
    struct redis_value v;

    CHECK_INT(redis_ready_await(s->rd, 5000), 0);
    s->left = 1;
    t = task_spawn(servers_loop(), "blocked", blocked, s);
    CHECK_INT(task_yield_await(), 0);
    CHECK_INT(task_yield_await(), 0);
    task_cancel(t);
    CHECK(servers_wait_await(all_done, s));
    CHECK_INT(s->rc, -ECANCELED);
    CHECK_INT(COMMAND(s, &v, STR("PING")), 0); /* behind the answer that nobody wanted */
    CHECK_STR(v.text, STR("PONG"));
}

TEST_SERVERS(redis_cancelled_task)
{
    run_scene(a, cancel_body);
}

/* ---- losses ---- */

static bool is_down(void *arg)
{
    return !redis_is_up(((struct scene *)arg)->rd);
}

static void on_late(void *arg, int rc, const struct redis_value *answer)
{
    struct scene *s = arg;

    CHECK_INT(rc, -ENOTCONN);
    CHECK(answer == NULL);
    s->lost++;
    s->left--;
}

static void on_nothing(void *arg UNUSED, struct str id UNUSED, const struct redis_value *fields UNUSED)
{
}

static void on_lost(void *arg)
{
    ((struct scene *)arg)->lost++;
}

static void restart_body(struct scene *s)
{
    const struct str block[] = {STR("BLPOP"), STR("t:nothing"), STR("0")};
    struct redis_value v;

    CHECK_INT(redis_ready_await(s->rd, 5000), 0);
    (void)redis_follow(s->rd, STR("t:s"), STR("0-0"), on_nothing, on_lost, s);
    s->left = 1;
    redis_send(s->rd, nelem(block), block, on_late, s);
    servers_do_await("redis-stop");
    CHECK(servers_wait_await(is_down, s));
    CHECK(servers_wait_await(all_done, s));
    CHECK_INT(s->lost, 2);
    CHECK_INT(COMMAND(s, &v, STR("PING")), -ENOTCONN);
    s->left = 1;
    redis_send(s->rd, nelem(block), block, on_late, s);
    CHECK_INT(s->lost, 2);
    (void)redis_follow(s->rd, STR("t:s"), STR("0-0"), on_nothing, on_lost, s);
    CHECK(servers_wait_await(all_done, s));
    CHECK_INT(s->lost, 4);
    servers_do_await("redis-start");
    CHECK_INT(redis_ready_await(s->rd, 10000), 0);
    CHECK_INT(COMMAND(s, &v, STR("PING")), 0);
}

TEST_SERVERS(redis_server_restart)
{
    run_scene(a, restart_body);
}

static void kill_body(struct scene *s)
{
    struct redis_value v;

    CHECK_INT(
        COMMAND(s, &v, STR("CLIENT"), STR("KILL"), STR("TYPE"), STR("normal"), STR("SKIPME"), STR("no")), 0);
    CHECK(servers_wait_await(is_down, s));
    CHECK_INT(redis_ready_await(s->rd, 5000), 0);
    CHECK_INT(COMMAND(s, &v, STR("PING")), 0);
}

TEST_SERVERS(redis_connection_killed)
{
    run_scene(a, kill_body);
}

/* A stopped server takes connections and says nothing. */
static void frozen_body(struct scene *s)
{
    const char *path = arena_printf(s->a, "%s/redis.pid", getenv("TEST_DIRECTORY"));
    struct redis_value v;
    int64_t pid = 0;

    CHECK_INT(redis_ready_await(s->rd, 5000), 0);
    CHECK_INT(str_to_i64(str_trim(test_read_file(s->a, path)), &pid), 0);
    CHECK(pid > 1 && kill((pid_t)pid, SIGSTOP) == 0);
    CHECK_INT(COMMAND(s, &v, STR("PING")), -ETIMEDOUT);
    CHECK(servers_wait_await(is_down, s));
    CHECK_INT(COMMAND(s, &v, STR("PING")), -ENOTCONN);
    CHECK_INT(kill((pid_t)pid, SIGCONT), 0);
    CHECK_INT(redis_ready_await(s->rd, 10000), 0);
    CHECK_INT(COMMAND(s, &v, STR("PING")), 0);
}

TEST_SERVERS(redis_frozen_server)
{
    run_scene(a, frozen_body);
}

TEST(redis_without_server)
{
    struct redis *rd = redis_open(servers_loop(), STR("unix:///nonexistent/redis.sock"));

    CHECK(!redis_is_up(rd));
    redis_close(rd);
    rd = redis_open(servers_loop(), STR("nonsense"));
    CHECK(!redis_is_up(rd));
    redis_close(rd);
}

/* ---- following ---- */

enum { STREAMS = 20, ENTRIES = 50 };

struct stream {
    struct scene *s;
    struct redis_follower *follower;
    int seen, wanted;
};

static void on_entry(void *arg, struct str id, const struct redis_value *fields)
{
    struct stream *stream = arg;
    int64_t n = -1;
    char text[32];

    stream->seen++;
    CHECK_INT(fields->count, 2);
    CHECK_STR(fields->items[0].text, STR("n"));
    CHECK_INT(str_to_i64(fields->items[1].text, &n), 0);
    CHECK_INT(n, stream->seen);
    (void)snprintf(text, sizeof(text), "7-%d", stream->seen);
    CHECK_STR(id, str_from(text));
    if (stream->seen == stream->wanted) {
        redis_follow_stop(stream->follower);
        stream->s->left--;
    }
}

static void on_stream_lost(void *arg)
{
    ((struct stream *)arg)->s->lost++;
}

static void add_entries(struct scene *s, struct str key, int from, int to)
{
    struct redis_value v;

    for (int i = from; i <= to; i++)
        CHECK_INT(COMMAND(s, &v, STR("XADD"), key, arena_strf(s->a, "7-%d", i), STR("n"),
                          arena_strf(s->a, "%d", i)),
                  0);
}

static void follow_body(struct scene *s)
{
    struct stream streams[STREAMS] = {0};
    struct redis_value v;

    for (int i = 0; i < STREAMS; i++) {
        struct str key = arena_strf(s->a, "t:stream:%d", i);

        CHECK_INT(COMMAND(s, &v, STR("DEL"), key), 0);
        add_entries(s, key, 1, i); /* some are there before, some come after */
        streams[i] = (struct stream){.s = s, .wanted = ENTRIES};
        streams[i].follower = redis_follow(s->rd, key, STR("0"), on_entry, on_stream_lost, &streams[i]);
        s->left++;
    }
    for (int i = 0; i < STREAMS; i++)
        add_entries(s, arena_strf(s->a, "t:stream:%d", i), i + 1, ENTRIES + 5);
    CHECK(servers_wait_await(all_done, s));
    for (int i = 0; i < STREAMS; i++)
        CHECK_INT(streams[i].seen, ENTRIES);
    CHECK_INT(s->lost, 0);
}

TEST_SERVERS(redis_follow_many)
{
    run_scene(a, follow_body);
}

static void later_body(struct scene *s)
{
    struct stream one = {.s = s, .wanted = 9}, other = {.s = s, .wanted = 3}, late = {.s = s, .wanted = 3};
    struct redis_value v;

    CHECK_INT(COMMAND(s, &v, STR("DEL"), STR("t:one"), STR("t:other")), 0);
    one.follower = redis_follow(s->rd, STR("t:one"), STR("0-0"), on_entry, on_stream_lost, &one);
    CHECK_INT(task_sleep_await(50), 0); /* XREAD is blocked by now, and does not know of the next one */
    add_entries(s, STR("t:other"), 1, 3);
    s->left = 1;
    other.follower = redis_follow(s->rd, STR("t:other"), STR("0-0"), on_entry, on_stream_lost, &other);
    CHECK(servers_wait_await(all_done, s));
    s->left = 1;
    late.seen = 1; /* begins behind an id; a second one on the same stream */
    late.follower = redis_follow(s->rd, STR("t:other"), STR("7-1"), on_entry, on_stream_lost, &late);
    CHECK(servers_wait_await(all_done, s));
    CHECK_INT(one.seen, 0);
    redis_follow_stop(one.follower);
    CHECK_INT(s->lost, 0);
}

TEST_SERVERS(redis_follow_set_changes)
{
    run_scene(a, later_body);
}
