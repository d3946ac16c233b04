#include "servers.h"

#include "server.h"

static const unsigned int_type[] = {23};

#define STATEMENT(ident, lane_, n, text_)                                                                    \
    static const struct sql_stmt ident = {                                                                   \
        .name = "r_" #ident, .text = text_, .lane = lane_, .params_count = n, .param_types = int_type}

STATEMENT(drop_table, SQL_WRITE, 0, "drop table if exists r_items");
STATEMENT(create_table, SQL_WRITE, 0, "create table r_items (id int primary key check (id < 100))");
STATEMENT(insert_item, SQL_WRITE, 1, "insert into r_items values ($1)");
STATEMENT(items, SQL_READ, 0, "select id from r_items order by id");
STATEMENT(nonsense, SQL_READ, 0, "select 1 / 0");

struct scene {
    struct server server;
    struct req r;
    int confirmed, confirm_rc;
};

static int confirm(struct req *r)
{
    struct scene *s = container_of(r, struct scene, r);

    s->confirmed++;
    return s->confirm_rc;
}

static void fresh_req(struct scene *s)
{
    arena_fini(&s->r.arena);
    s->r = (struct req){.server = &s->server};
    arena_init(&s->r.arena);
    buf_init_arena(&s->r.answer, &s->r.arena);
    buf_init_arena(&s->r.headers, &s->r.arena);
}

static int insert(struct scene *s, const char *id)
{
    struct str param = str_from(id);
    struct rows rows;

    return sql_exec_await(&s->r, &rows, &insert_item, &param);
}

static int count(struct scene *s)
{
    struct rows rows;
    int rc = sql_exec_await(&s->r, &rows, &items, NULL);

    return rc < 0 ? rc : rows.count;
}

static void scene_run(struct arena *a, void (*body)(struct scene *s), struct str url)
{
    struct scene *s = arena_zalloc(a, sizeof(*s));
    const struct pg_options options = {.url = url,
                                       .read_connections = 2,
                                       .write_connections = 2,
                                       .statement_timeout_ms = 2000,
                                       .application_name = "sinas-unit-req"};

    s->server.db = pg_open(servers_loop(), &options);
    arena_init(&s->r.arena);
    fresh_req(s);
    servers_run_task((void (*)(void *))body, s);
    arena_fini(&s->r.arena);
    pg_close(s->server.db);
}

static void fresh_table(struct scene *s)
{
    struct rows rows;

    CHECK_INT(pg_ready_await(s->server.db, 5000), 0);
    CHECK(sql_exec_await(&s->r, &rows, &drop_table, NULL) >= 0);
    CHECK(sql_exec_await(&s->r, &rows, &create_table, NULL) >= 0);
}

static void failures_body(struct scene *s)
{
    struct rows rows;

    fresh_table(s);
    CHECK_INT(insert(s, "1"), 1);
    CHECK_INT(insert(s, "1"), -EEXIST);
    CHECK_INT(insert(s, "100"), -EINVAL);
    CHECK_INT(s->r.status, 0); /* what these mean is the handler's to say */
    CHECK_INT(sql_exec_await(&s->r, &rows, &nonsense, NULL), -1);
    CHECK_INT(s->r.status, 500);
    CHECK_STR(buf_str(&s->r.answer), STR("{\"detail\":\"Internal Server Error\"}"));
}

TEST_SERVERS(req_sql_failures)
{
    scene_run(a, failures_body, servers_url("TEST_DATABASE_URL"));
}

static void away_body(struct scene *s)
{
    CHECK_INT(pg_ready_await(s->server.db, 200), -ETIMEDOUT);
    CHECK_INT(count(s), -1);
    CHECK_INT(s->r.status, 503);
    CHECK_STR(buf_str(&s->r.answer), STR("{\"detail\":\"Service temporarily unavailable\"}"));
    fresh_req(s);
    CHECK_INT(sql_begin_await(&s->r), -1);
    CHECK(s->r.tx == NULL);
    CHECK_INT(s->r.status, 503);
}

TEST(req_sql_without_server)
{
    scene_run(a, away_body, STR("postgresql://x@/x?host=/nonexistent"));
}

static void transactions_body(struct scene *s)
{
    fresh_table(s);
    CHECK_INT(sql_begin_await(&s->r), 0);
    CHECK_INT(insert(s, "1"), 1);
    CHECK_INT(count(s), 1); /* reads are inside it, too */
    sql_rollback(&s->r);
    CHECK_INT(count(s), 0);
    CHECK_INT(sql_begin_await(&s->r), 0);
    CHECK_INT(insert(s, "2"), 1);
    CHECK_INT(sql_commit_await(&s->r), 0);
    CHECK(s->r.tx == NULL);
    CHECK_INT(count(s), 1);
    sql_rollback(&s->r); /* of nothing */
    CHECK_INT(s->r.status, 0);
}

TEST_SERVERS(req_sql_transactions)
{
    scene_run(a, transactions_body, servers_url("TEST_DATABASE_URL"));
}

/* Nothing that others could notice happens before the caller's grants are known to be current. */
static void confirm_body(struct scene *s)
{
    fresh_table(s);
    CHECK_INT(insert(s, "1"), 1);
    s->r.confirm = confirm;
    CHECK_INT(count(s), 1);
    CHECK_INT(s->confirmed, 1);
    s->confirm_rc = -ESTALE;
    CHECK_INT(count(s), -ESTALE);
    CHECK_INT(insert(s, "2"), -ESTALE);
    CHECK_INT(sql_begin_await(&s->r), -ESTALE);
    CHECK(s->r.tx == NULL);
    CHECK_INT(s->confirmed, 4);
    s->r.confirm = NULL;
    CHECK_INT(count(s), 1);
    CHECK_INT(s->r.status, 0);
}

TEST_SERVERS(req_sql_confirms_first)
{
    scene_run(a, confirm_body, servers_url("TEST_DATABASE_URL"));
}
