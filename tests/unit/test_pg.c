#include "servers.h"

#include "base/clock.h"
#include "core/pg.h"
#include "migrate.h"
#include "sql.h"

#include <libpq-fe.h>
#include <signal.h>

/* ---- statements of these tests ---- */

enum { OID_INT = 23, OID_TEXT = 25, OID_BYTEA = 17, OID_TEXTS = 1009 };
static const unsigned int_type[] = {OID_INT};
static const unsigned text_type[] = {OID_TEXT};
static const unsigned int_text_types[] = {OID_INT, OID_TEXT};
static const unsigned all_types[] = {OID_TEXT, OID_BYTEA, OID_TEXTS, OID_INT};

#define STATEMENT(ident, lane_, types, text_)                                                                \
    static const struct sql_stmt ident = {.name = "t_" #ident,                                               \
                                          .text = text_,                                                     \
                                          .lane = lane_,                                                     \
                                          .params_count = nelem(types),                                      \
                                          .param_types = types}
#define STATEMENT0(ident, lane_, text_)                                                                      \
    static const struct sql_stmt ident = {.name = "t_" #ident, .text = text_, .lane = lane_}

STATEMENT(twice, SQL_READ, int_type, "select $1 * 2 as n, pg_backend_pid() as pid");
STATEMENT(quotient, SQL_READ, int_type, "select 100 / $1 as n");
STATEMENT(echo, SQL_READ, all_types,
          "select $1 as text, encode($2, 'hex') as bytes, $3 as texts, $4 as number");
STATEMENT0(nap, SQL_READ, "select pg_sleep(30)");
STATEMENT0(write_in_read_lane, SQL_READ, "insert into t_items (id) values (1)");
STATEMENT0(
    tables, SQL_WRITE,
    "create table t_items (id int primary key, label text check (label <> 'bad'), other int references "
    "t_items deferrable initially deferred, must text not null default 'x')");
STATEMENT0(drop_tables, SQL_WRITE, "drop table if exists t_items");
STATEMENT(insert_item, SQL_WRITE, int_text_types, "insert into t_items (id, label) values ($1, $2)");
STATEMENT(insert_orphan, SQL_WRITE, int_type, "insert into t_items (id, other) values ($1, 999)");
STATEMENT(insert_null, SQL_WRITE, int_type, "insert into t_items (id, must) values ($1, null)");
STATEMENT(count_items, SQL_READ, text_type,
          "select count(*) as n from t_items where label = $1 or $1 is null");
STATEMENT0(all_items, SQL_READ, "select * from t_items order by id");
STATEMENT0(add_column, SQL_WRITE, "alter table t_items add column more int");
STATEMENT0(deallocate, SQL_WRITE, "deallocate all");
STATEMENT0(serialization, SQL_WRITE, "do $$begin raise exception using errcode = '40001'; end$$");
STATEMENT(kill_others, SQL_WRITE, text_type,
          "select count(pg_terminate_backend(pid)) as n from pg_stat_activity "
          "where application_name = $1 and pid <> pg_backend_pid()");

static struct pg *open_db(void)
{
    const struct pg_options options = {
        .url = servers_url("TEST_DATABASE_URL"),
        .read_connections = 3,
        .write_connections = 5,
        .statement_timeout_ms = 2000,
        .application_name = "sinas-unit",
    };

    return pg_open(servers_loop(), &options);
}

/* What the body of each test gets. */
struct scene {
    struct arena *a;
    struct pg *db;
    unsigned left; /* helper tasks that are still running */
    unsigned good, lost, other;
    struct task *victim;
    int victim_rc;
};

static void run_scene(struct arena *a, void (*body)(struct scene *s))
{
    struct scene s = {.a = a, .db = open_db()};

    servers_run_task((void (*)(void *))body, &s);
    pg_close(s.db);
}

static int exec(struct scene *s, struct pg_tx *tx, const struct sql_stmt *stmt, struct rows *rows)
{
    return pg_exec_await(s->db, tx, stmt, NULL, s->a, rows);
}

static int exec_int(struct scene *s, struct pg_tx *tx, const struct sql_stmt *stmt, int n, struct rows *rows)
{
    struct str param = arena_strf(s->a, "%d", n);

    return pg_exec_await(s->db, tx, stmt, &param, s->a, rows);
}

static int insert_item_await(struct scene *s, struct pg_tx *tx, int id, struct str label, struct rows *rows)
{
    struct str params[] = {arena_strf(s->a, "%d", id), label};

    return pg_exec_await(s->db, tx, &insert_item, params, s->a, rows);
}

static int64_t items(struct scene *s, struct str label)
{
    struct rows rows;

    CHECK_INT(pg_exec_await(s->db, NULL, &count_items, &label, s->a, &rows), 1);
    return rows.count == 1 ? row_i64(&rows, 0, "n") : -1;
}

static void fresh_tables(struct scene *s)
{
    struct rows rows;

    CHECK_INT(pg_ready_await(s->db, 5000), 0);
    CHECK(exec(s, NULL, &drop_tables, &rows) >= 0);
    CHECK(exec(s, NULL, &tables, &rows) >= 0);
}

static bool all_done(void *arg)
{
    return ((struct scene *)arg)->left == 0;
}

/* ---- reading ---- */

static void values_body(struct scene *s)
{
    struct str params[] = {STR("naïve\n\"q\""), str_of("\0\xff\\x", 4), STR("{a,\"b c\"}"), STR_NONE};
    struct rows rows;

    CHECK_INT(pg_exec_await(s->db, NULL, &echo, params, s->a, &rows), 1);
    if (rows.count != 1)
        return;
    CHECK_STR(row_str(&rows, 0, "text"), STR("naïve\n\"q\""));
    CHECK_STR(row_str(&rows, 0, "bytes"), STR("00ff5c78"));
    CHECK_STR(row_str_at(&rows, 0, 2), STR("{a,\"b c\"}"));
    CHECK(row_is_null(&rows, 0, "number"));
    CHECK_INT(row_i64(&rows, 0, "number"), 0);
    CHECK_INT(rows_columns(&rows), 4);
    CHECK(strcmp(rows_column_name(&rows, 3), "number") == 0);
    params[0] = str_of("a\0b", 3); /* PostgreSQL cannot hold it, and says so */
    CHECK_INT(pg_exec_await(s->db, NULL, &echo, params, s->a, &rows), -EIO);
}

TEST_SERVERS(pg_values)
{
    run_scene(a, values_body);
}

struct reader {
    struct scene *s;
    int n;
};

static void reader(void *arg)
{
    struct reader *r = arg;
    bool divides = r->n % 7 == 0;
    bool by_zero = r->n % 49 == 0;
    struct str param = arena_strf(r->s->a, "%d", by_zero ? 0 : r->n);
    struct rows rows;
    int rc = pg_exec_await(r->s->db, NULL, divides ? &quotient : &twice, &param, r->s->a, &rows);

    CHECK_INT(rc, by_zero ? -EIO : 1);
    if (rc == 1)
        CHECK_INT(row_i64(&rows, 0, "n"), divides ? 100 / r->n : r->n * 2);
    r->s->left--;
}

static void pipeline_body(struct scene *s)
{
    enum { READERS = 1000 };
    struct reader *readers = arena_zalloc(s->a, READERS * sizeof(*readers));
    struct pg_stats stats;

    CHECK_INT(pg_ready_await(s->db, 5000), 0);
    for (int i = 0; i < READERS; i++) {
        readers[i] = (struct reader){s, i + 1};
        s->left++;
        (void)task_spawn(servers_loop(), "reader", reader, &readers[i]);
    }
    CHECK(servers_wait_await(all_done, s));
    pg_stats_get(s->db, &stats);
    CHECK(stats.statements >= READERS);
    CHECK(stats.round_trips < stats.statements);
    CHECK_INT(stats.reconnects, 0);
}

static void zero_body(struct scene *s)
{
    struct rows rows;

    CHECK_INT(exec_int(s, NULL, &quotient, 0, &rows), -EIO);
    CHECK_INT(exec_int(s, NULL, &quotient, 5, &rows), 1);
    CHECK_INT(row_i64(&rows, 0, "n"), 20);
}

TEST_SERVERS(pg_pipelines_a_thousand_reads)
{
    run_scene(a, pipeline_body);
}

TEST_SERVERS(pg_read_survives_error)
{
    run_scene(a, zero_body);
}

/* In one batch, on the same connection: the failures hit nobody else. */
static void batch_body(struct scene *s)
{
    enum { CALLS = 64 };
    struct pg_call *calls[CALLS];
    struct rows rows;

    CHECK_INT(pg_ready_await(s->db, 5000), 0);
    for (int i = 0; i < CALLS; i++) {
        struct str param = i % 5 == 0 ? STR("0") : STR("4");

        calls[i] = pg_start(s->db, &quotient, &param);
    }
    for (int i = 0; i < CALLS; i++) {
        int rc = pg_finish_await(calls[i], s->a, &rows);

        CHECK_INT(rc, i % 5 == 0 ? -EIO : 1);
        if (rc == 1)
            CHECK_INT(row_i64(&rows, 0, "n"), 25);
    }
}

TEST_SERVERS(pg_errors_in_a_batch_hit_nobody_else)
{
    run_scene(a, batch_body);
}

static void lanes_body(struct scene *s)
{
    struct rows rows;

    fresh_tables(s);
    CHECK_INT(exec(s, NULL, &write_in_read_lane, &rows), -EIO);
    CHECK_INT(items(s, STR_NONE), 0);
}

TEST_SERVERS(pg_read_lane_does_not_write)
{
    run_scene(a, lanes_body);
}

static void timeout_body(struct scene *s)
{
    struct rows rows;

    CHECK_INT(exec(s, NULL, &nap, &rows), -ETIMEDOUT);
    CHECK_INT(exec_int(s, NULL, &twice, 4, &rows), 1);
}

TEST_SERVERS(pg_statement_timeout)
{
    run_scene(a, timeout_body);
}

/* ---- writing ---- */

static void constraints_body(struct scene *s)
{
    struct rows rows;

    fresh_tables(s);
    CHECK_INT(insert_item_await(s, NULL, 1, STR("a"), &rows), 1);
    CHECK_INT(rows.affected, 1);
    CHECK_INT(rows.count, 0);
    CHECK_INT(insert_item_await(s, NULL, 1, STR("a"), &rows), -EEXIST);
    CHECK_STR(rows.constraint, STR("t_items_pkey"));
    CHECK_INT(insert_item_await(s, NULL, 2, STR("bad"), &rows), -EINVAL);
    CHECK_STR(rows.constraint, STR("t_items_label_check"));
    CHECK_INT(exec_int(s, NULL, &insert_null, 3, &rows), -EINVAL);
    CHECK_INT(exec_int(s, NULL, &insert_orphan, 4, &rows), -EINVAL); /* only found at the commit */
    CHECK_STR(rows.constraint, STR("t_items_other_fkey"));
    CHECK_INT(exec(s, NULL, &serialization, &rows), -EAGAIN);
    CHECK_INT(insert_item_await(s, NULL, 5, STR("a"), &rows), 1);
    CHECK_INT(items(s, STR("a")), 2);
}

TEST_SERVERS(pg_constraints)
{
    run_scene(a, constraints_body);
}

static void transaction_body(struct scene *s)
{
    struct pg_tx *tx = NULL;
    struct pg_stats stats;
    struct rows rows;

    fresh_tables(s);
    CHECK_INT(pg_begin_await(s->db, &tx), 0);
    CHECK_INT(insert_item_await(s, tx, 1, STR("a"), &rows), 1);
    CHECK_INT(items(s, STR_NONE), 0);
    CHECK_INT(insert_item_await(s, tx, 2, STR("a"), &rows), 1);
    CHECK_INT(pg_commit_await(tx), 0);
    CHECK_INT(items(s, STR_NONE), 2);

    CHECK_INT(pg_begin_await(s->db, &tx), 0);
    CHECK_INT(insert_item_await(s, tx, 3, STR("a"), &rows), 1);
    pg_rollback(tx);
    CHECK_INT(items(s, STR_NONE), 2);

    CHECK_INT(pg_begin_await(s->db, &tx), 0);
    CHECK_INT(insert_item_await(s, tx, 1, STR("a"), &rows), -EEXIST);
    CHECK_INT(pg_commit_await(tx), -EIO); /* nothing can be committed any more */

    CHECK_INT(pg_begin_await(s->db, &tx), 0);
    CHECK_INT(exec_int(s, tx, &insert_orphan, 4, &rows), 1);
    CHECK_INT(pg_commit_await(tx), -EINVAL); /* the deferred constraint */

    CHECK_INT(pg_begin_await(s->db, &tx), 0);
    CHECK_INT(pg_commit_await(tx), 0); /* nothing was said */
    CHECK_INT(pg_begin_await(s->db, &tx), 0);
    pg_rollback(tx);
    CHECK_INT(insert_item_await(s, NULL, 5, STR("a"), &rows), 1);
    CHECK_INT(items(s, STR_NONE), 3);
    pg_stats_get(s->db, &stats);
    CHECK_INT(stats.write_busy, 0);
}

TEST_SERVERS(pg_transactions)
{
    run_scene(a, transaction_body);
}

/* More writers than connections: they queue, and each gets one. */
static void writer(void *arg)
{
    struct reader *r = arg;
    struct rows rows;
    struct pg_tx *tx = NULL;

    if (r->n % 3 == 0) {
        CHECK_INT(pg_begin_await(r->s->db, &tx), 0);
        CHECK_INT(insert_item_await(r->s, tx, r->n, STR("a"), &rows), 1);
        CHECK_INT(pg_commit_await(tx), 0);
    } else {
        CHECK_INT(insert_item_await(r->s, NULL, r->n, STR("a"), &rows), 1);
    }
    r->s->left--;
}

static void writers_body(struct scene *s)
{
    enum { WRITERS = 200 };
    struct reader *writers = arena_zalloc(s->a, WRITERS * sizeof(*writers));
    struct pg_stats stats;

    fresh_tables(s);
    for (int i = 0; i < WRITERS; i++) {
        writers[i] = (struct reader){s, i};
        s->left++;
        (void)task_spawn(servers_loop(), "writer", writer, &writers[i]);
    }
    CHECK(servers_wait_await(all_done, s));
    CHECK_INT(items(s, STR_NONE), WRITERS);
    pg_stats_get(s->db, &stats);
    CHECK(stats.write_up <= 5);
    CHECK(stats.commits >= WRITERS);
}

TEST_SERVERS(pg_writers_share_the_pool)
{
    run_scene(a, writers_body);
}

/* ---- giving up ---- */

static void victim(void *arg)
{
    struct scene *s = arg;
    struct rows rows;

    s->victim_rc = exec(s, NULL, &nap, &rows);
    s->left--;
}

static bool one_is_sent(void *arg)
{
    struct pg_stats stats;

    pg_stats_get(((struct scene *)arg)->db, &stats);
    return stats.statements == 1;
}

static void cancel_body(struct scene *s)
{
    struct rows rows;

    CHECK_INT(pg_ready_await(s->db, 5000), 0);
    s->left = 1;
    s->victim = task_spawn(servers_loop(), "victim", victim, s);
    CHECK(servers_wait_await(one_is_sent, s));
    task_cancel(s->victim);
    CHECK(servers_wait_await(all_done, s));
    CHECK_INT(s->victim_rc, -ECANCELED);
    for (int i = 1; i <= 20; i++) {
        CHECK_INT(exec_int(s, NULL, &twice, i, &rows), 1);
        CHECK_INT(row_i64(&rows, 0, "n"), 2 * i);
    }
}

TEST_SERVERS(pg_cancelled_task)
{
    run_scene(a, cancel_body);
}

static void tx_victim(void *arg)
{
    struct scene *s = arg;
    struct pg_tx *tx = NULL;
    struct rows rows;

    CHECK_INT(pg_begin_await(s->db, &tx), 0);
    CHECK_INT(insert_item_await(s, tx, 1, STR("a"), &rows), 1);
    s->victim_rc = exec(s, tx, &nap, &rows);
    CHECK_INT(exec(s, tx, &nap, &rows), -ECANCELED);
    pg_rollback(tx); /* the statement is still running */
    s->left--;
}

static bool tx_is_pausing(void *arg)
{
    struct scene *s = arg;
    struct pg_stats stats;

    pg_stats_get(s->db, &stats);
    return stats.statements >= 4; /* drop, create, insert, pause */
}

static void tx_cancel_body(struct scene *s)
{
    fresh_tables(s);
    s->left = 1;
    s->victim = task_spawn(servers_loop(), "victim", tx_victim, s);
    CHECK(servers_wait_await(tx_is_pausing, s));
    task_cancel(s->victim);
    CHECK(servers_wait_await(all_done, s));
    CHECK_INT(s->victim_rc, -ECANCELED);
    CHECK_INT(items(s, STR_NONE), 0);
}

TEST_SERVERS(pg_abandoned_transaction)
{
    run_scene(a, tx_cancel_body);
}

static void forget_body(struct scene *s)
{
    struct str param = STR("21");
    struct rows rows;

    CHECK_INT(pg_ready_await(s->db, 5000), 0);
    pg_forget(pg_start(s->db, &twice, &param)); /* before it is sent */
    for (int i = 0; i < 10; i++) {
        struct pg_call *call = pg_start(s->db, &twice, &param);

        CHECK_INT(exec_int(s, NULL, &twice, i, &rows), 1);
        if (i % 2 == 0) {
            pg_forget(call);
        } else {
            CHECK_INT(pg_finish_await(call, s->a, &rows), 1);
            CHECK_INT(row_i64(&rows, 0, "n"), 42);
        }
    }
}

TEST_SERVERS(pg_forgotten_calls)
{
    run_scene(a, forget_body);
}

/* ---- prepared statements that get lost ---- */

static void stale_body(struct scene *s)
{
    struct pg_tx *tx = NULL;
    struct rows rows;

    fresh_tables(s);
    for (int i = 0; i < 10; i++) {
        /* The write lane uses the connection that was used last: this takes the statement from under the
         * next. */
        CHECK_INT(insert_item_await(s, NULL, i, STR("a"), &rows), 1);
        CHECK(exec(s, NULL, &deallocate, &rows) >= 0);
    }
    CHECK_INT(items(s, STR_NONE), 10);
    CHECK_INT(pg_begin_await(s->db, &tx), 0);
    CHECK_INT(insert_item_await(s, tx, 11, STR("a"), &rows), 1);
    CHECK_INT(pg_commit_await(tx), 0);
    for (int i = 0; i < 6; i++)
        CHECK_INT(exec(s, NULL, &all_items, &rows), 11);
    CHECK(exec(s, NULL, &add_column, &rows) >= 0);
    for (int i = 0; i < 6; i++) {
        CHECK_INT(exec(s, NULL, &all_items, &rows), 11); /* "cached plan must not change result type" */
        CHECK_INT(rows_columns(&rows), 5);
    }
}

TEST_SERVERS(pg_stale_statements)
{
    run_scene(a, stale_body);
}

/* ---- losses ---- */

static void survivor(void *arg)
{
    struct reader *r = arg;
    struct scene *s = r->s;

    for (int i = 0; i < 30; i++) {
        struct str param = arena_strf(s->a, "%d", r->n);
        struct rows rows;
        int rc = pg_exec_await(s->db, NULL, &twice, &param, s->a, &rows);

        if (rc == 1) {
            CHECK_INT(row_i64(&rows, 0, "n"), 2 * r->n);
            s->good++;
        } else if (rc == -ENOTCONN) {
            s->lost++;
            CHECK_INT(pg_ready_await(s->db, 5000), 0);
        } else {
            s->other++;
        }
    }
    s->left--;
}

static void kill_body(struct scene *s)
{
    enum { TASKS = 50 };
    struct reader *readers = arena_zalloc(s->a, TASKS * sizeof(*readers));
    struct str name = STR("sinas-unit");
    struct rows rows;

    CHECK_INT(pg_ready_await(s->db, 5000), 0);
    for (int i = 0; i < TASKS; i++) {
        readers[i] = (struct reader){s, i};
        s->left++;
        (void)task_spawn(servers_loop(), "survivor", survivor, &readers[i]);
    }
    for (int i = 0; i < 5; i++)
        CHECK(pg_exec_await(s->db, NULL, &kill_others, &name, s->a, &rows) == 1);
    CHECK(servers_wait_await(all_done, s));
    CHECK(s->good > 0);
    CHECK_INT(s->other, 0);
    CHECK_INT(s->good + s->lost, TASKS * 30);
    CHECK_INT(pg_ready_await(s->db, 5000), 0);
}

TEST_SERVERS(pg_backends_killed_under_load)
{
    run_scene(a, kill_body);
}

static bool is_down(void *arg)
{
    return !pg_is_up(((struct scene *)arg)->db);
}

static void restart_body(struct scene *s)
{
    struct pg_tx *tx = NULL;
    struct rows rows;

    fresh_tables(s);
    CHECK_INT(pg_begin_await(s->db, &tx), 0);
    CHECK_INT(insert_item_await(s, tx, 1, STR("a"), &rows), 1);
    servers_do_await("postgres-stop");
    CHECK(servers_wait_await(is_down, s));
    CHECK_INT(exec_int(s, NULL, &twice, 1, &rows), -ENOTCONN);
    CHECK_INT(insert_item_await(s, NULL, 2, STR("a"), &rows), -ENOTCONN);
    CHECK_INT(insert_item_await(s, tx, 2, STR("a"), &rows), -ENOTCONN);
    CHECK_INT(pg_commit_await(tx), -ENOTCONN);
    CHECK_INT(pg_begin_await(s->db, &tx), -ENOTCONN);
    CHECK(tx == NULL);
    servers_do_await("postgres-start");
    CHECK_INT(pg_ready_await(s->db, 10000), 0);
    CHECK_INT(items(s, STR_NONE), 0);
}

TEST_SERVERS(pg_server_restart)
{
    run_scene(a, restart_body);
}

/* A backend that is stopped keeps its socket open and says nothing. */
static bool reads_stand(void *arg)
{
    struct pg_stats stats;

    pg_stats_get(((struct scene *)arg)->db, &stats);
    return stats.read_up == 3;
}

static void frozen_body(struct scene *s)
{
    enum { CALLS = 9 };
    struct pg_call *calls[CALLS];
    struct str param = STR("1");
    struct rows rows;
    int64_t pid = 0;

    CHECK(servers_wait_await(reads_stand, s));
    if (exec_int(s, NULL, &twice, 1, &rows) == 1)
        pid = row_i64(&rows, 0, "pid");
    CHECK(pid > 1 && kill((pid_t)pid, SIGSTOP) == 0);
    for (int i = 0; i < CALLS; i++)
        calls[i] = pg_start(s->db, &twice, &param);
    for (int i = 0; i < CALLS; i++) {
        int rc = pg_finish_await(calls[i], s->a, &rows);

        s->good += rc == 1;
        s->lost += rc == -ENOTCONN;
    }
    CHECK_INT(kill((pid_t)pid, SIGCONT), 0);
    CHECK_INT(s->good, 6);
    CHECK_INT(s->lost, 3);
    CHECK_INT(exec_int(s, NULL, &twice, 1, &rows), 1);
}

TEST_SERVERS(pg_frozen_backend)
{
    run_scene(a, frozen_body);
}

/* ---- the schema ---- */

static void no_notice(void *arg UNUSED, const PGresult *notice UNUSED)
{
}

static void in_new_database(const char *name, void (*fn)(const char *url))
{
    PGconn *pq = PQconnectdb(getenv("TEST_DATABASE_URL"));
    char text[160], url[512];
    struct str base = servers_url("TEST_DATABASE_URL");
    ssize_t at = str_find(base, STR("/postgres?"));

    CHECK(PQstatus(pq) == CONNECTION_OK && at > 0);
    (void)PQsetNoticeReceiver(pq, no_notice, NULL);
    (void)snprintf(text, sizeof(text), "drop database if exists %s", name);
    PQclear(PQexec(pq, text));
    (void)snprintf(text, sizeof(text), "create database %s", name);
    PQclear(PQexec(pq, text));
    (void)snprintf(url, sizeof(url), STR_FMT "/%s" STR_FMT, STR_ARG(str_head(base, (size_t)at)), name,
                   STR_ARG(str_from_offset(base, (size_t)at + 9)));
    fn(url);
    PQfinish(pq);
}

static void migrate_again(const char *url)
{
    struct migrate_options options = {.url = url, .only_check = true};

    CHECK_INT(migrate_run(&options), (int)migrations_count);
    options.only_check = false;
    CHECK_INT(migrate_run(&options), (int)migrations_count);
    CHECK_INT(migrate_run(&options), 0);
    options.only_check = true;
    CHECK_INT(migrate_run(&options), 0);
}

TEST_SERVERS(migrate_twice_is_once)
{
    in_new_database("t_migrate", migrate_again);
}

static void migrate_others(const char *url)
{
    static const struct migration old[] = {
        {1, "0001_a", "aa", "create table a (x int)"},
        {2, "0002_b", "bb", "create table b (x int); insert into b values (1)"}};
    static const struct migration changed[] = {{1, "0001_a", "zz", "create table a (x int)"},
                                               {2, "0002_b", "bb", "create table b (x int)"}};
    static const struct migration broken[] = {{1, "0001_a", "aa", "create table a (x int)"},
                                              {2, "0002_b", "bb", "create table b (x int)"},
                                              {3, "0003_c", "cc", "create table c (x int); select nothing"}};
    struct migrate_options options = {.url = url, .set = old, .set_count = 2};

    CHECK_INT(migrate_run(&options), 2);
    options.set_count = 1;
    CHECK(migrate_run(&options) < 0); /* the database is newer */
    options.only_check = true;
    CHECK(migrate_run(&options) < 0);
    options.set = changed;
    options.set_count = 2;
    CHECK(migrate_run(&options) < 0);
    options = (struct migrate_options){.url = url, .set = broken, .set_count = 3};
    CHECK(migrate_run(&options) < 0);
    options.only_check = true;
    CHECK_INT(migrate_run(&options), 1); /* nothing of it was kept */
}

TEST_SERVERS(migrate_refuses_what_it_does_not_know)
{
    in_new_database("t_migrate", migrate_others);
}

TEST(migrate_without_server)
{
    struct migrate_options options = {.url = "postgresql://x@/x?host=/nonexistent"};

    CHECK(migrate_run(&options) < 0);
}

static void prepare_all(const char *url)
{
    struct migrate_options options = {.url = url};
    PGconn *pq;

    CHECK_INT(migrate_run(&options), (int)migrations_count);
    pq = PQconnectdb(url);
    CHECK(sql_all_count > 0);
    for (size_t i = 0; i < sql_all_count; i++) {
        const struct sql_stmt *s = sql_all[i];
        PGresult *result = PQprepare(pq, s->name, s->text, (int)s->params_count, s->param_types);

        if (PQresultStatus(result) != PGRES_COMMAND_OK)
            test_failed(__FILE__, __LINE__, "%s: %s", s->name, PQerrorMessage(pq));
        PQclear(result);
    }
    PQfinish(pq);
}

TEST_SERVERS(sql_all_statements_prepare)
{
    in_new_database("t_prepare", prepare_all);
}

static void epoch_moves(const char *url)
{
    static const struct {
        const char *sql;
        bool moves;
    } steps[] = {
        {"insert into users (id, email) values ('00000000-0000-4000-8000-000000000001', 'a@b.c')", true},
        {"insert into users (email) values ('a@b.c') on conflict do nothing", false},
        {"update users set last_login_at = now()", false},
        {"update users set is_active = false", true},
        {"insert into roles (id, name) values ('00000000-0000-4000-8000-000000000002', 'r')", true},
        {"update roles set description = 'd'", false},
        {"insert into user_roles (role_id, user_id) select r.id, u.id from roles r, users u", true},
        {"update user_roles set active = false, removed_at = now()", true},
        {"insert into role_permissions (role_id, permission_key, permission_value) select id, 'k', true from "
         "roles",
         true},
        {"update role_permissions set permission_value = false", true},
        {"insert into api_keys (user_id, name, key_hash, key_prefix) select id, 'k', repeat('a', 64), 'a' "
         "from users",
         true},
        {"update api_keys set last_used_at = now()", false},
        {"update api_keys set is_active = false", true},
        {"delete from api_keys where false", false},
        {"delete from roles", true},
        {"delete from users", true},
    };
    struct migrate_options options = {.url = url};
    PGconn *pq;
    int64_t before = 0;

    CHECK_INT(migrate_run(&options), (int)migrations_count);
    pq = PQconnectdb(url);
    for (size_t i = 0; i < nelem(steps); i++) {
        PGresult *done = PQexec(pq, steps[i].sql);
        PGresult *epoch = PQexec(pq, "select epoch from auth_epoch");
        int64_t now = 0;

        CHECK(PQresultStatus(done) == PGRES_COMMAND_OK);
        CHECK_INT(str_to_i64(str_from(PQgetvalue(epoch, 0, 0)), &now), 0);
        if ((now > before) != steps[i].moves && i > 0)
            test_failed(__FILE__, __LINE__, "%s: epoch %d", steps[i].sql, (int)now);
        before = now;
        PQclear(done);
        PQclear(epoch);
    }
    PQfinish(pq);
}

TEST_SERVERS(sql_auth_epoch_rises_with_what_matters)
{
    in_new_database("t_epoch", epoch_moves);
}

static void wire_ts_forms(const char *url)
{
    static const char *const forms[][2] = {
        {"2026-01-02T03:04:05+00", "2026-01-02T03:04:05Z"},
        {"2026-01-02T03:04:05.12+00", "2026-01-02T03:04:05.120000Z"},
        {"2026-01-02T03:04:05.000001+02", "2026-01-02T01:04:05.000001Z"},
        {"0001-01-01T00:00:00+00", "0001-01-01T00:00:00Z"},
        {"9999-12-31T23:59:59.999999+00", "9999-12-31T23:59:59.999999Z"},
    };
    struct migrate_options options = {.url = url};
    PGconn *pq;

    CHECK_INT(migrate_run(&options), (int)migrations_count);
    pq = PQconnectdb(url);
    PQclear(PQexec(pq, "set timezone = 'Asia/Kathmandu'; set datestyle = 'SQL, DMY'; set lc_time = 'C'"));
    for (size_t i = 0; i < nelem(forms); i++) {
        PGresult *result =
            PQexecParams(pq, "select wire_ts($1::timestamptz)", 1, NULL, &forms[i][0], NULL, NULL, 0);

        CHECK_STR(str_from(PQgetvalue(result, 0, 0)), str_from(forms[i][1]));
        PQclear(result);
    }
    PQfinish(pq);
}

TEST_SERVERS(sql_wire_ts)
{
    in_new_database("t_wire", wire_ts_forms);
}
