#include "base/conf.h"
#include "handlers/app.h"
#include "handlers/auth.h"
#include "handlers/limit.h"
#include "migrate.h"
#include "servers.h"
#include "sql.h"

#define USER "0a000000-0000-4000-8000-000000000001"
#define KEY  "0b000000-0000-4000-8000-000000000001"

enum { CALLERS = 8 };

#define STATEMENT(ident, lane_, text_)                                                                       \
    static const struct sql_stmt ident = {.name = "auth_" #ident, .text = text_, .lane = lane_}

STATEMENT(clean, SQL_WRITE, "delete from users where id = '" USER "'");
STATEMENT(clean_roles, SQL_WRITE, "delete from roles where name = 'unit-auth'");
STATEMENT(add_user, SQL_WRITE, "insert into users (id, email) values ('" USER "', 'auth@unit.test')");
STATEMENT(add_role, SQL_WRITE,
          "with o as (insert into roles (name) values ('unit-auth') returning id),"
          " m as (insert into user_roles (role_id, user_id) select id, '" USER "' from o)"
          " insert into role_permissions (role_id, permission_key, permission_value)"
          " select id, k, k <> 'shop.no.read:own' from o,"
          " unnest(array['shop.carts.*:all', 'shop.no.read:own']) k");
STATEMENT(add_key, SQL_WRITE,
          "insert into api_keys (id, user_id, name, key_hash, key_prefix, permissions) values"
          " ('" KEY "', '" USER "', 'k', repeat('0', 64), 'k',"
          " '{\"shop.carts.read:own\": true, \"shop.other.read:own\": true,"
          " \"shop.carts.write:own\": false}')");
STATEMENT(demote, SQL_WRITE, "update user_roles set active = false where user_id = '" USER "'");
STATEMENT(promote, SQL_WRITE, "update user_roles set active = true where user_id = '" USER "'");
STATEMENT(deactivate, SQL_WRITE, "update users set is_active = false where id = '" USER "'");
STATEMENT(revoke_key, SQL_WRITE, "update api_keys set is_active = false where id = '" KEY "'");
STATEMENT(one, SQL_READ, "select 1");

struct scene {
    struct server server;
    struct app app;
    struct req r;
    struct http_field field;
    unsigned ready; /* of the callers that run at once */
};

static void fresh_req(struct scene *s)
{
    arena_fini(&s->r.arena);
    s->r = (struct req){.server = &s->server, .client = STR("192.0.2.1"), .task = task_self()};
    s->r.head.fields = &s->field;
    s->r.head.fields_count = 1;
    arena_init(&s->r.arena);
    buf_init_arena(&s->r.answer, &s->r.arena);
    buf_init_arena(&s->r.headers, &s->r.arena);
}

static void run(struct scene *s, const struct sql_stmt *statement)
{
    struct arena a;
    struct rows rows;

    arena_init(&a);
    CHECK(pg_exec_await(s->server.db, NULL, statement, NULL, &a, &rows) >= 0);
    arena_fini(&a);
}

static bool permits(struct scene *s, struct str permission)
{
    return auth_permits(&s->r, permission);
}

/* A user with one role and one key, and a request with his access token. */
static void scene_fill(struct scene *s)
{
    CHECK_INT(pg_ready_await(s->server.db, 5000), 0);
    run(s, &clean);
    run(s, &clean_roles);
    run(s, &add_user);
    run(s, &add_role);
    run(s, &add_key);
    fresh_req(s);
}

static void scene_run(struct arena *a, void (*body)(struct scene *s))
{
    struct scene *s = arena_zalloc(a, sizeof(*s));
    struct str url = servers_url("TEST_DATABASE_URL");
    const struct migrate_options migrations_to = {.url = arena_cstr(a, url), .startup_timeout_ms = 5000};
    const struct pg_options options = {.url = url,
                                       .read_connections = 1,
                                       .write_connections = 2,
                                       .statement_timeout_ms = 2000,
                                       .application_name = "sinas-unit-auth"};
    struct str token;

    CHECK(migrate_run(&migrations_to) >= 0);
    conf.secret_key = STR("unit-test-secret");
    token = auth_token(a, STR(USER), STR("auth@unit.test"), STR_NONE, 60);
    s->field = (struct http_field){STR("Authorization"), arena_strf(a, "Bearer " STR_FMT, STR_ARG(token))};
    s->app = (struct app){.auth = auth_cache_new(16), .limits = limits_new()};
    s->server.app = &s->app;
    s->server.db = pg_open(servers_loop(), &options);
    arena_init(&s->r.arena);
    servers_run_task((void (*)(void *))body, s);
    arena_fini(&s->r.arena);
    pg_close(s->server.db);
    auth_cache_free(s->app.auth);
    limits_free(s->app.limits);
    conf.secret_key = STR_NONE;
}

/* ---- identities for background work ---- */

static void load_body(struct scene *s)
{
    scene_fill(s);
    s->r.identity = auth_identity_load_await(&s->r, STR(USER), STR_NONE);
    CHECK(s->r.identity != NULL);
    CHECK_STR(auth_user_id(&s->r), STR(USER));
    CHECK_STR(auth_user_email(&s->r), STR("auth@unit.test"));
    CHECK(str_is_none(auth_api_key_id(&s->r)));
    CHECK(permits(s, STR("shop.carts.write:all")));
    CHECK(!permits(s, STR("shop.no.read:own"))); /* false grants nothing */

    s->r.identity = auth_identity_load_await(&s->r, STR(USER), STR(KEY));
    CHECK_STR(auth_api_key_id(&s->r), STR(KEY));
    CHECK(permits(s, STR("shop.carts.read:own")));
    CHECK(!permits(s, STR("shop.carts.write:own"))); /* not the key's */
    CHECK(!permits(s, STR("shop.other.read:own")));  /* not the user's */
}

TEST_SERVERS(auth_identity_is_the_users_or_limited_by_his_key)
{
    scene_run(a, load_body);
}

static void no_identity(struct scene *s, struct str user_id, struct str key_id, struct str answer)
{
    fresh_req(s);
    CHECK(auth_identity_load_await(&s->r, user_id, key_id) == NULL);
    CHECK_INT(s->r.status, 401);
    CHECK_STR(buf_str(&s->r.answer), answer);
}

static void absent_body(struct scene *s)
{
    static const struct str no_user = STR_INIT("{\"detail\":\"User not found\"}");
    static const struct str bad = STR_INIT("{\"detail\":\"Invalid or expired credentials\"}");

    scene_fill(s);
    no_identity(s, STR("0a000000-0000-4000-8000-00000000dead"), STR_NONE, no_user);
    no_identity(s, STR("nobody"), STR_NONE, no_user);
    no_identity(s, STR(USER), STR("0a000000-0000-4000-8000-00000000dead"), bad);
    run(s, &revoke_key);
    no_identity(s, STR(USER), STR(KEY), bad);
    run(s, &deactivate);
    no_identity(s, STR(USER), STR_NONE, no_user);
}

TEST_SERVERS(auth_identity_of_nobody)
{
    scene_run(a, absent_body);
}

static void refresh_body(struct scene *s)
{
    scene_fill(s);
    s->r.identity = auth_identity_load_await(&s->r, STR(USER), STR_NONE);
    CHECK(permits(s, STR("shop.carts.read:own")));
    run(s, &demote);
    CHECK(permits(s, STR("shop.carts.read:own"))); /* as it was loaded */
    CHECK_INT(auth_identity_refresh_await(&s->r), 0);
    CHECK(!permits(s, STR("shop.carts.read:own")));
    CHECK_STR(auth_user_id(&s->r), STR(USER));
    run(s, &promote);
    CHECK_INT(auth_identity_refresh_await(&s->r), 0);
    CHECK(permits(s, STR("shop.carts.read:own")));
    run(s, &deactivate);
    CHECK_INT(auth_identity_refresh_await(&s->r), -1);
    CHECK_INT(s->r.status, 401);
}

TEST_SERVERS(auth_identity_is_made_current)
{
    scene_run(a, refresh_body);
}

/* ---- confirming what is cached ---- */

static int read_something(struct scene *s)
{
    struct rows rows;

    return sql_exec_await(&s->r, &rows, &one, NULL);
}

static void deferred_body(struct scene *s)
{
    scene_fill(s);
    CHECK_INT(auth_authenticate_await(&s->r, true), 0);
    CHECK(s->r.confirm == NULL); /* just read: nothing to confirm */
    CHECK(permits(s, STR("shop.carts.read:own")));

    fresh_req(s);
    CHECK_INT(auth_authenticate_await(&s->r, true), 0);
    CHECK(s->r.confirm != NULL);
    CHECK_INT(read_something(s), 1);
    CHECK(s->r.confirm == NULL);
    CHECK_INT(auth_confirm_await(&s->r), 0);
}

TEST_SERVERS(auth_cached_grants_are_confirmed_with_the_first_read)
{
    scene_run(a, deferred_body);
}

static void stale_body(struct scene *s)
{
    scene_fill(s);
    CHECK_INT(auth_authenticate_await(&s->r, true), 0);
    run(s, &demote);

    fresh_req(s);
    CHECK_INT(auth_authenticate_await(&s->r, true), 0);
    CHECK(permits(s, STR("shop.carts.read:own"))); /* what the cache said */
    CHECK_INT(read_something(s), -ESTALE);
    CHECK_INT(read_something(s), -ESTALE);
    CHECK_INT(auth_confirm_await(&s->r), -ESTALE);
    CHECK_INT(sql_begin_await(&s->r), -ESTALE);
    CHECK_INT(s->r.status, 0);
    CHECK_INT(auth_authenticate_await(&s->r, true), 0);
    CHECK(!permits(s, STR("shop.carts.read:own")));
    CHECK_INT(read_something(s), 1);

    fresh_req(s);
    run(s, &promote);
    CHECK_INT(auth_authenticate_await(&s->r, false), 0); /* confirmed, and read again, at once */
    CHECK(permits(s, STR("shop.carts.read:own")));
}

TEST_SERVERS(auth_changed_grants_are_never_used)
{
    scene_run(a, stale_body);
}

struct caller {
    struct scene *scene;
    struct req r;
    bool is_done;
};

static void caller_run(void *arg)
{
    struct caller *c = arg;

    c->r = (struct req){.server = &c->scene->server, .task = task_self()};
    c->r.head.fields = &c->scene->field;
    c->r.head.fields_count = 1;
    arena_init(&c->r.arena);
    CHECK_INT(auth_authenticate_await(&c->r, true), 0);
    CHECK_INT(auth_confirm_await(&c->r), 0);
    arena_fini(&c->r.arena);
    c->is_done = true;
}

static bool all_done(void *arg)
{
    const struct caller *callers = arg;
    bool done = true;

    for (int i = 0; i < CALLERS; i++)
        done = done && callers[i].is_done;
    return done;
}

static void shared_body(struct scene *s)
{
    struct caller *callers = mem_zalloc(CALLERS * sizeof(*callers));
    struct pg_stats before, after;

    scene_fill(s);
    CHECK_INT(auth_authenticate_await(&s->r, true), 0);
    pg_stats_get(s->server.db, &before);
    for (int i = 0; i < CALLERS; i++) {
        callers[i].scene = s;
        task_spawn(task_loop(), "caller", caller_run, &callers[i]);
    }
    CHECK(servers_wait_await(all_done, callers));
    pg_stats_get(s->server.db, &after);
    CHECK_INT(after.statements - before.statements, 1);
    free(callers);
}

TEST_SERVERS(auth_requests_of_one_turn_share_the_question)
{
    scene_run(a, shared_body);
}

static void cancelled_body(struct scene *s)
{
    scene_fill(s);
    CHECK_INT(auth_authenticate_await(&s->r, true), 0);
    fresh_req(s);
    CHECK_INT(auth_authenticate_await(&s->r, true), 0);
    fresh_req(s); /* given up before its question was sent: the answer finds nobody */
    CHECK_INT(auth_authenticate_await(&s->r, false), 0);
}

TEST_SERVERS(auth_question_outlives_who_asked)
{
    scene_run(a, cancelled_body);
}
