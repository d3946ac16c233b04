/*
 * Lanes, calls and transactions of the PostgreSQL client. Calls wait in their
 * lane's queue; once per turn of the loop, when all tasks have run, they are
 * handed to connections and flushed. Connections are in pg_conn.c.
 */
#include "core/pg_conn.h"

#include "base/log.h"

enum { LANES = 2 };

struct pg_lane {
    struct pg *db;
    enum sql_lane kind;
    struct list conns[CONN_STATES];
    struct list queue; /* calls */
    unsigned queued;
    unsigned least, most; /* connections */
    int64_t answer_limit_ms;
    int64_t backoff_ms;
    ev_timer retry;
    bool has_failed; /* the last attempt to connect */
    char *options;   /* of the server, in the connection string's syntax */
};

struct pg {
    struct loop *loop;
    struct pg_lane lanes[LANES];
    struct loop_hook dispatch;
    struct loop_hook sweep;
    struct list closed; /* connections to be freed at the end of the turn */
    struct list ready_waiters;
    ev_timer reap; /* runs while there are more idle connections than are kept */
    bool is_up;
    bool is_known_down; /* and said so: the first attempt may fail too */
    bool is_plain;      /* the server (a pooler) takes no options at connection */
    bool is_closing;
    char *url;
    char *application_name;
    char *own_options; /* of the URL */
    char *host;        /* to look up; NULL when the URL has an address, or several hosts */
    unsigned attempts;
    const char *logged_statement; /* whose failure was logged last, and when */
    ev_tstamp logged_at;
    struct pg_stats stats;
};

struct ready_waiter {
    struct list link;
    struct completion done;
};

struct loop *pg_lane_loop(const struct pg_lane *lane)
{
    return lane->db->loop;
}

struct pg_stats *pg_lane_stats(struct pg_lane *lane)
{
    return &lane->db->stats;
}

/* Only the primary text: the details may quote the rows of others. */
void pg_lane_log_failure(struct pg_lane *lane, const char *statement, const PGresult *result)
{
    struct pg *db = lane->db;
    const char *text = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    ev_tstamp now = ev_now(db->loop->ev);

    if (statement == db->logged_statement && now - db->logged_at < 1)
        return;
    db->logged_statement = statement;
    db->logged_at = now;
    log_error("pg", "statement %s failed: %s %.300s", statement, pg_result_sqlstate(result),
              text != NULL ? text : PQresStatus(PQresultStatus(result)));
}

struct list *pg_lane_conns(struct pg_lane *lane, enum pg_conn_state state)
{
    return &lane->conns[state];
}

int64_t pg_lane_answer_limit_ms(const struct pg_lane *lane)
{
    return lane->answer_limit_ms;
}

bool pg_lane_is_shared(const struct pg_lane *lane)
{
    return lane->kind == SQL_READ;
}

static unsigned lane_count(const struct pg_lane *lane, enum pg_conn_state state)
{
    unsigned n = 0;

    for (const struct list *at = lane->conns[state].next; at != &lane->conns[state]; at = at->next)
        n++;
    return n;
}

static unsigned lane_up(const struct pg_lane *lane)
{
    return lane_count(lane, CONN_READY) + lane_count(lane, CONN_BUSY);
}

static void db_dispatch(struct pg *db)
{
    if (!db->is_closing)
        loop_defer(db->loop, &db->dispatch);
}

/* ---- up and down ---- */

static void db_set_up(struct pg *db, bool is_up, const char *text)
{
    if (db->is_closing || (is_up == db->is_up && (is_up || db->is_known_down)))
        return;
    db->is_up = is_up;
    db->is_known_down = !is_up;
    if (is_up) {
        log_info("pg", "connected");
        list_each (w, &db->ready_waiters, struct ready_waiter, link)
            completion_finish(&w->done, 0);
    } else {
        log_warn("pg", "not connected: " STR_FMT, STR_ARG(str_trim(str_from(text))));
    }
}

static bool db_has_connection(const struct pg *db)
{
    return lane_up(&db->lanes[SQL_READ]) + lane_up(&db->lanes[SQL_WRITE]) > 0;
}

/* ---- opening connections ---- */

PGconn *pg_lane_connect(struct pg_lane *lane, const char *address)
{
    const struct pg *db = lane->db;
    /* Later ones win: what stands before dbname can be set in the URL, what stands behind cannot. */
    const struct {
        const char *keyword, *value;
    } settings[] = {
        {"application_name", db->application_name},
        {"gssencmode", "disable"},
        {"target_session_attrs", "primary"},
        {"keepalives_idle", "10"},
        {"keepalives_interval", "5"},
        {"keepalives_count", "3"},
        {"tcp_user_timeout", "25000"},
        {"dbname", db->url},
        {"client_encoding", "UTF8"},
        {"options", db->is_plain ? NULL : lane->options}, /* a value of NULL is passed over */
        {"hostaddr", address},
        {NULL, NULL},
    };
    const char *keywords[nelem(settings)];
    const char *values[nelem(settings)];

    for (size_t i = 0; i < nelem(settings); i++) {
        keywords[i] = settings[i].keyword;
        values[i] = settings[i].value;
    }
    return PQconnectStartParams(keywords, values, 1);
}

static unsigned lane_wanted(const struct pg_lane *lane)
{
    unsigned wanted = lane->least;

    if (lane->kind == SQL_WRITE && lane_count(lane, CONN_BUSY) + lane->queued > wanted)
        wanted = lane_count(lane, CONN_BUSY) + lane->queued;
    return wanted < lane->most ? wanted : lane->most;
}

/* As many as are needed; after a failure one at a time, to see. */
static void lane_fill(struct pg_lane *lane)
{
    unsigned wanted = lane_wanted(lane);
    unsigned have = lane_up(lane) + lane_count(lane, CONN_CONNECTING);

    if (lane->db->is_closing || ev_is_active(&lane->retry))
        return;
    if (lane->has_failed && wanted > have)
        wanted = lane_count(lane, CONN_CONNECTING) == 0 ? have + 1 : have;
    /* The connection may fail at once, and the retry timer stands then. */
    for (; have < wanted && !ev_is_active(&lane->retry); have++)
        (void)pg_conn_open(lane, lane->db->host, lane->db->attempts++);
}

static void lane_retry_later(struct pg_lane *lane)
{
    struct ev_loop *ev = lane->db->loop->ev;

    if (ev_is_active(&lane->retry) || lane->db->is_closing)
        return;
    ev_timer_set(&lane->retry, (double)lane->backoff_ms / 1000, 0);
    ev_timer_start(ev, &lane->retry);
    lane->backoff_ms = lane->backoff_ms * 2 < PG_BACKOFF_MAX_MS ? lane->backoff_ms * 2 : PG_BACKOFF_MAX_MS;
}

static void on_retry(struct ev_loop *ev UNUSED, ev_timer *w, int revents UNUSED)
{
    lane_fill(container_of(w, struct pg_lane, retry));
}

/* ---- calls ---- */

static void call_init(struct pg_call *call, struct pg_lane *lane, const struct sql_stmt *s,
                      const struct str *params)
{
    *call = (struct pg_call){.lane = lane, .stmt = s, .params = params};
    list_init(&call->link);
}

/* The parameters stay the caller's, who waits for the end or forgets the call. */
static struct pg_call *call_new(struct pg_lane *lane, const struct sql_stmt *s, const struct str *params)
{
    struct pg_call *call = mem_alloc(sizeof(*call));

    call_init(call, lane, s, params);
    return call;
}

static void call_free(struct pg_call *call)
{
    list_remove(&call->link);
    PQclear(call->result);
    free(call);
}

static void call_fail(struct pg_call *call, int rc)
{
    call->is_settled = true;
    call->rc = rc;
    completion_finish(&call->done, rc);
}

static void lane_enqueue(struct pg_lane *lane, struct pg_call *call)
{
    if (lane->has_failed && lane_up(lane) == 0) {
        call_fail(call, -ENOTCONN);
    } else if (lane->queued >= PG_QUEUE_MAX) {
        call_fail(call, -ETIMEDOUT);
    } else {
        list_append(&lane->queue, &call->link);
        lane->queued++;
        db_dispatch(lane->db);
    }
}

static struct pg_call *lane_dequeue(struct pg_lane *lane, struct pg_call *call)
{
    list_remove(&call->link);
    lane->queued--;
    return call;
}

static void lane_fail_queue(struct pg_lane *lane)
{
    list_each (call, &lane->queue, struct pg_call, link)
        call_fail(lane_dequeue(lane, call), -ENOTCONN);
}

void pg_lane_call_done(struct pg_call *call)
{
    struct pg_lane *lane = call->lane;

    call->conn = NULL;
    db_dispatch(lane->db);
    if (call->is_forgotten) {
        call_free(call);
    } else if (call->must_retry) {
        list_prepend(&lane->queue, &call->link);
        lane->queued++;
    } else {
        completion_finish(&call->done, call->rc);
    }
}

/* ---- handing calls to connections, once per turn ---- */

static struct pg_conn *least_loaded(struct pg_lane *lane)
{
    struct pg_conn *best = NULL;

    list_each (c, &lane->conns[CONN_READY], struct pg_conn, link) {
        if (!c->is_worn && c->calls < PG_IN_FLIGHT_MAX && (best == NULL || c->calls < best->calls))
            best = c;
    }
    return best;
}

static void dispatch_reads(struct pg_lane *lane)
{
    struct pg_conn *c;

    while (!list_is_empty(&lane->queue) && (c = least_loaded(lane)) != NULL) {
        struct pg_call *call = lane_dequeue(lane, list_entry(lane->queue.next, struct pg_call, link));
        bool is_alone = call->tries > 0; /* one that was skipped for a neighbour's failure has none now */

        if (is_alone && c->unsynced > 0 && !pg_conn_sync(c)) {
            call->must_retry = true;
            pg_lane_call_done(call);
            continue;
        }
        if (pg_conn_send_call(c, call) && (is_alone || c->unsynced >= PG_BATCH_MAX))
            (void)pg_conn_sync(c);
    }
    list_each (open, &lane->conns[CONN_READY], struct pg_conn, link) {
        if (open->unsynced > 0)
            (void)pg_conn_sync(open);
    }
}

static void dispatch_writes(struct pg_lane *lane)
{
    while (!list_is_empty(&lane->queue) && !list_is_empty(&lane->conns[CONN_READY])) {
        struct pg_conn *c = list_entry(lane->conns[CONN_READY].next, struct pg_conn, link);
        struct pg_call *call = lane_dequeue(lane, list_entry(lane->queue.next, struct pg_call, link));

        pg_conn_set_state(c, CONN_BUSY);
        if (call->tx != NULL) {
            call->tx->conn = c;
            c->tx = call->tx;
            completion_finish(&call->done, 0);
        } else if (pg_conn_send_call(c, call)) {
            (void)pg_conn_sync(c);
        }
    }
}

static void close_worn(struct pg_lane *lane)
{
    list_each (c, &lane->conns[CONN_READY], struct pg_conn, link) {
        if (c->is_worn && c->calls == 0 && c->steps.count == 0)
            pg_conn_close(c);
    }
}

static void on_dispatch(struct loop_hook *h)
{
    struct pg *db = container_of(h, struct pg, dispatch);

    for (size_t i = 0; i < LANES; i++)
        close_worn(&db->lanes[i]);
    dispatch_reads(&db->lanes[SQL_READ]);
    dispatch_writes(&db->lanes[SQL_WRITE]);
    for (size_t i = 0; i < LANES; i++)
        lane_fill(&db->lanes[i]);
}

/* ---- what connections report ---- */

/* The server is back: nobody waits for the end of a pause any more. */
static void db_end_pauses(struct pg *db)
{
    for (size_t i = 0; i < LANES; i++) {
        ev_timer_stop(db->loop->ev, &db->lanes[i].retry);
        db->lanes[i].has_failed = false;
    }
}

void pg_lane_conn_ready(struct pg_conn *c)
{
    struct pg *db = c->lane->db;

    c->lane->has_failed = false;
    if (!db->is_up)
        db_end_pauses(db);
    db_set_up(db, true, "");
    db_dispatch(db);
}

void pg_lane_conn_free_later(struct pg_conn *c)
{
    list_move(&c->lane->db->closed, &c->link);
    loop_defer(c->lane->db->loop, &c->lane->db->sweep);
}

static void on_sweep(struct loop_hook *h)
{
    struct pg *db = container_of(h, struct pg, sweep);

    list_each (c, &db->closed, struct pg_conn, link)
        pg_conn_free(c);
}

/* A pooler may refuse what we ask for at connection; then we go without, and rely on our own time limits. */
static bool is_about_options(const char *text)
{
    return str_find(str_from(text), STR("unsupported startup parameter")) >= 0;
}

static void lane_attempt_failed(struct pg_lane *lane, const char *text)
{
    if (!lane->db->is_plain && is_about_options(text)) {
        log_warn("pg", "the server takes no options at connection: going without");
        lane->db->is_plain = true;
    } else {
        if (!lane->has_failed && lane_up(lane) > 0)
            log_warn("pg", "no further connection: " STR_FMT, STR_ARG(str_trim(str_from(text))));
        lane->has_failed = true;
        if (lane_up(lane) == 0)
            lane_fail_queue(lane);
    }
    if (!db_has_connection(lane->db))
        db_set_up(lane->db, false, text);
    lane_retry_later(lane);
}

void pg_lane_conn_closed(struct pg_conn *c, enum pg_conn_state was, const char *text)
{
    struct pg_lane *lane = c->lane;
    struct pg *db = lane->db;

    if (db->is_closing)
        return;
    if (c->has_answered)
        lane->backoff_ms = PG_BACKOFF_FIRST_MS;
    if (was == CONN_CONNECTING) {
        lane_attempt_failed(lane, text);
    } else if (text != NULL) {
        db->stats.reconnects++;
        log_warn("pg", "connection lost: " STR_FMT, STR_ARG(str_trim(str_from(text))));
        /* The next attempt, made at once, says whether the server is there; but one that hangs up at once is
         * not pressed. */
        if (!c->has_answered)
            lane_retry_later(lane);
    }
    db_dispatch(db);
}

static void conn_release(struct pg_conn *c)
{
    struct pg *db = c->lane->db;

    if (c->is_worn) {
        pg_conn_close(c);
        return;
    }
    c->idle_since = ev_now(db->loop->ev);
    pg_conn_set_state(c, CONN_READY);
    if (lane_count(c->lane, CONN_READY) > PG_WRITE_KEEP && !ev_is_active(&db->reap))
        ev_timer_again(db->loop->ev, &db->reap);
    db_dispatch(db);
}

static void conn_roll_back(struct pg_conn *c)
{
    c->must_roll_back = false;
    if (pg_conn_send_command(c, "rollback", NULL))
        (void)pg_conn_sync(c);
}

void pg_lane_conn_synced(struct pg_conn *c)
{
    if (c->is_worn)
        db_dispatch(c->lane->db); /* it may be closed now */
    if (c->state != CONN_BUSY || c->tx != NULL)
        return;
    if (c->must_roll_back)
        conn_roll_back(c);
    else if (PQtransactionStatus(c->pq) != PQTRANS_IDLE)
        pg_conn_close(c); /* a statement opened a transaction of its own */
    else
        conn_release(c);
}

static void on_reap(struct ev_loop *ev, ev_timer *w, int revents UNUSED)
{
    struct pg *db = container_of(w, struct pg, reap);
    struct pg_lane *lane = &db->lanes[SQL_WRITE];
    unsigned kept = 0;

    list_each (c, &lane->conns[CONN_READY], struct pg_conn, link) {
        if (++kept > PG_WRITE_KEEP && ev_now(ev) - c->idle_since > PG_IDLE_MS / 1000.0)
            pg_conn_close(c);
    }
    if (lane_count(lane, CONN_READY) <= PG_WRITE_KEEP)
        ev_timer_stop(ev, &db->reap);
}

/* ---- opening and closing ---- */

/* The value of a parameter in the URL; NULL when there is none. */
static char *url_value(const char *url, const char *keyword)
{
    PQconninfoOption *all = PQconninfoParse(url, NULL);
    char *value = NULL;

    for (PQconninfoOption *at = all; at != NULL && at->keyword != NULL; at++) {
        if (str_eq(str_from(at->keyword), str_from(keyword)) && at->val != NULL)
            value = mem_strdup(at->val);
    }
    PQconninfoFree(all);
    return value;
}

/* libpq itself looks up several hosts, one after the other and blocking: whoever names several gives
 * addresses. */
static char *url_host(const char *url)
{
    char *host = url_value(url, "host");
    char *address = url_value(url, "hostaddr");
    bool is_one = host != NULL && address == NULL && strchr(host, ',') == NULL;

    free(address);
    if (is_one)
        return host;
    free(host);
    return NULL;
}

/*
 * What writes finds its rows by keys. A statement that is prepared while a table is still empty is planned to
 * read all of it, and that plan is kept while the table grows: until the next analyze, which takes its time.
 */
#define WRITE_PLANS " -c enable_seqscan=off"

static char *lane_options(const struct pg *db, enum sql_lane kind, int64_t timeout_ms)
{
    struct buf text;
    char *options;

    buf_init(&text);
    buf_addf(&text, "%s -c timezone=UTC -c jit=off -c statement_timeout=%" PRId64,
             db->own_options != NULL ? db->own_options : "", timeout_ms);
    if (kind == SQL_READ)
        buf_addf(&text, " -c default_transaction_read_only=on");
    else
        buf_addf(&text, " -c idle_in_transaction_session_timeout=%d" WRITE_PLANS, PG_TX_IDLE_MS);
    buf_add_byte(&text, '\0');
    options = mem_strdup(buf_str(&text).p);
    buf_fini(&text);
    return options;
}

static void lane_init(struct pg_lane *lane, struct pg *db, enum sql_lane kind, int64_t timeout_ms)
{
    *lane = (struct pg_lane){.db = db, .kind = kind, .backoff_ms = PG_BACKOFF_FIRST_MS};
    for (size_t i = 0; i < CONN_STATES; i++)
        list_init(&lane->conns[i]);
    list_init(&lane->queue);
    lane->answer_limit_ms = timeout_ms + PG_GRACE_MS;
    lane->options = lane_options(db, kind, timeout_ms);
    ev_timer_init(&lane->retry, on_retry, 0, 0);
}

struct pg *pg_open(struct loop *l, const struct pg_options *options)
{
    struct pg *db = mem_zalloc(sizeof(*db));

    db->loop = l;
    db->url = mem_alloc(options->url.n + 1);
    memcpy(db->url, options->url.p, options->url.n);
    db->url[options->url.n] = '\0';
    db->application_name = mem_strdup(options->application_name);
    db->own_options = url_value(db->url, "options");
    db->host = url_host(db->url);
    list_init(&db->closed);
    list_init(&db->ready_waiters);
    loop_hook_init(&db->dispatch, on_dispatch);
    loop_hook_init(&db->sweep, on_sweep);
    ev_init(&db->reap, on_reap);
    db->reap.repeat = PG_IDLE_MS / 2000.0;
    lane_init(&db->lanes[SQL_READ], db, SQL_READ, options->statement_timeout_ms);
    lane_init(&db->lanes[SQL_WRITE], db, SQL_WRITE, PG_WRITE_TIMEOUT_MS);
    db->lanes[SQL_READ].least = db->lanes[SQL_READ].most = options->read_connections;
    db->lanes[SQL_WRITE].least = 1;
    db->lanes[SQL_WRITE].most = options->write_connections;
    db_dispatch(db); /* opens the first */
    return db;
}

static void lane_fini(struct pg_lane *lane)
{
    lane_fail_queue(lane);
    ev_timer_stop(lane->db->loop->ev, &lane->retry);
    for (size_t i = 0; i < CONN_CLOSED; i++) {
        list_each (c, &lane->conns[i], struct pg_conn, link)
            pg_conn_close(c);
    }
    free(lane->options);
}

void pg_close(struct pg *db)
{
    db->is_closing = true;
    for (size_t i = 0; i < LANES; i++)
        lane_fini(&db->lanes[i]);
    on_sweep(&db->sweep);
    loop_hook_cancel(&db->sweep);
    loop_hook_cancel(&db->dispatch);
    ev_timer_stop(db->loop->ev, &db->reap);
    free(db->own_options);
    free(db->host);
    free(db->application_name);
    free(db->url);
    free(db);
}

bool pg_is_up(const struct pg *db)
{
    return db->is_up;
}

int pg_ready_await(struct pg *db, int64_t timeout_ms)
{
    struct ready_waiter waiter;
    int rc;

    if (db->is_up)
        return 0;
    completion_init(&waiter.done);
    list_init(&waiter.link);
    list_append(&db->ready_waiters, &waiter.link);
    rc = completion_await(&waiter.done, "PostgreSQL", timeout_ms);
    list_remove(&waiter.link);
    return rc;
}

/* ---- statements ---- */

static void clear_result(void *result)
{
    PQclear(result);
}

static bool params_fit(const struct sql_stmt *s, const struct str *params)
{
    assert(s->params_count <= PG_PARAMS_MAX);
    for (unsigned i = 0; i < s->params_count; i++) {
        if (params[i].n >= PG_PARAM_BYTES_MAX) {
            log_error("pg", "statement %s: parameter %u is too large", s->name, i + 1);
            return false;
        }
    }
    return true;
}

/* With the parameters behind it, in memory of its own. */
static struct pg_call *call_new_copying(struct pg_lane *lane, const struct sql_stmt *s,
                                        const struct str *params)
{
    size_t bytes = sizeof(struct pg_call) + s->params_count * sizeof(struct str);
    struct pg_call *call;
    struct str *copies;
    char *room;

    for (unsigned i = 0; i < s->params_count; i++)
        bytes += params[i].n;
    call = mem_alloc(bytes);
    copies = (struct str *)(void *)(call + 1);
    room = (char *)(copies + s->params_count);
    for (unsigned i = 0; i < s->params_count; i++) {
        copies[i] = params[i];
        if (!str_is_none(params[i])) {
            copies[i].p = memcpy(room, params[i].p, params[i].n);
            room += params[i].n;
        }
    }
    call_init(call, lane, s, copies);
    return call;
}

struct pg_call *pg_start(struct pg *db, const struct sql_stmt *s, const struct str *params)
{
    struct pg_lane *lane = &db->lanes[s->lane];
    struct pg_call *call;

    if (!params_fit(s, params)) {
        call = call_new(lane, s, NULL);
        call_fail(call, -EIO);
        return call;
    }
    call = call_new_copying(lane, s, params);
    lane_enqueue(lane, call);
    return call;
}

void pg_forget(struct pg_call *call)
{
    if (call->done.is_done) {
        call_free(call);
    } else if (call->conn == NULL) {
        (void)lane_dequeue(call->lane, call);
        call_free(call);
    } else {
        call->is_forgotten = true;
    }
}

/* Its rc. What is not done afterwards was not waited for to its end: -ETIMEDOUT, -ECANCELED. */
static int call_await(struct pg_call *call)
{
    const char *why = call->stmt != NULL ? call->stmt->name : "a connection to PostgreSQL";
    int rc = completion_await(&call->done, why, PG_QUEUE_TIMEOUT_MS);

    if (rc == -ETIMEDOUT && !call->done.is_done && call->conn != NULL)
        rc = completion_await(&call->done, why, call->lane->answer_limit_ms);
    return rc;
}

/* Of statements that return no rows their number; libpq has it as text. */
static int64_t affected_rows(PGresult *result)
{
    int64_t n = 0;

    return str_to_i64(str_from(PQcmdTuples(result)), &n) < 0 ? 0 : n;
}

/* Moves the result of a finished call into the arena. */
static int rows_take(struct rows *rows, struct pg_call *call, struct arena *a)
{
    PGresult *result = call->result;

    if (result == NULL)
        return call->rc;
    call->result = NULL;
    arena_defer(a, clear_result, result);
    rows->result = result;
    rows->constraint = str_from(PQresultErrorField(result, PG_DIAG_CONSTRAINT_NAME));
    if (call->rc < 0)
        return call->rc;
    rows->count = PQntuples(result);
    rows->affected = affected_rows(result);
    if (PQresultStatus(result) == PGRES_TUPLES_OK)
        return rows->count;
    return rows->affected < INT32_MAX ? (int)rows->affected : INT32_MAX;
}

/* *is_given_up: the answer was not waited for. */
static int call_finish_await(struct pg_call *call, struct arena *a, struct rows *rows, bool *is_given_up)
{
    int rc = call_await(call);

    *rows = (struct rows){0};
    *is_given_up = !call->done.is_done;
    if (call->done.is_done)
        rc = rows_take(rows, call, a);
    pg_forget(call);
    return rc;
}

int pg_finish_await(struct pg_call *call, struct arena *a, struct rows *rows)
{
    bool is_given_up;

    return call_finish_await(call, a, rows, &is_given_up);
}

/* ---- transactions ---- */

int pg_begin_await(struct pg *db, struct pg_tx **tx)
{
    struct pg_call *call = call_new(&db->lanes[SQL_WRITE], NULL, NULL);
    int rc;

    *tx = call->tx = mem_zalloc(sizeof(**tx));
    lane_enqueue(call->lane, call);
    rc = call_await(call);
    pg_forget(call);
    if (rc < 0) {
        free(*tx);
        *tx = NULL;
    }
    return rc;
}

/* BEGIN travels with the first statement. */
static int tx_send(struct pg_tx *tx, struct pg_call *call)
{
    struct pg_conn *c = tx->conn;

    if (c == NULL)
        return -ENOTCONN;
    if (tx->is_broken)
        return -EIO;
    if (!tx->is_open && !pg_conn_send_command(c, "begin", NULL))
        return -ENOTCONN;
    tx->is_open = true;
    if (pg_conn_send_call(c, call))
        (void)pg_conn_sync(c);
    return 0; /* a loss from here on is the call's own result */
}

int pg_exec_await(struct pg *db, struct pg_tx *tx, const struct sql_stmt *s, const struct str *params,
                  struct arena *a, struct rows *rows)
{
    struct pg_call *call;
    bool is_given_up;
    int rc;

    *rows = (struct rows){0};
    if (task_is_cancelled(task_self()))
        return -ECANCELED;
    if (!params_fit(s, params))
        return -EIO;
    call = call_new(&db->lanes[tx != NULL ? SQL_WRITE : s->lane], s, params);
    if (tx == NULL) {
        lane_enqueue(call->lane, call);
    } else if ((rc = tx_send(tx, call)) < 0) {
        call_free(call);
        return rc;
    }
    rc = call_finish_await(call, a, rows, &is_given_up);
    if (tx != NULL && is_given_up)
        tx->is_broken = true;
    return rc;
}

void pg_rollback(struct pg_tx *tx)
{
    struct pg_conn *c = tx->conn;
    bool is_open = tx->is_open;

    free(tx);
    if (c == NULL)
        return;
    c->tx = NULL;
    if (c->steps.count > 0)
        c->must_roll_back = is_open; /* once its statement is answered */
    else if (is_open)
        conn_roll_back(c);
    else
        conn_release(c);
}

static int tx_commit_await(struct pg_conn *c)
{
    struct pg_call *call = call_new(c->lane, NULL, NULL);
    int rc;

    c->tx = NULL; /* it goes back to the lane with the answer */
    call->command = "commit";
    if (pg_conn_send_command(c, call->command, call))
        (void)pg_conn_sync(c);
    /* Half a commit helps nobody; the connection's watchdog ends the wait in any case. */
    rc = completion_uncancelled_await(&call->done, call->command, TASK_FOREVER);
    if (rc == 0 && str_eq(str_from(PQcmdStatus(call->result)), STR("ROLLBACK"))) {
        log_error("pg", "commit of a transaction in which a statement had failed: rolled back");
        rc = -EIO;
    }
    call_free(call);
    return rc;
}

int pg_commit_await(struct pg_tx *tx)
{
    struct pg_conn *c = tx->conn;

    if (c != NULL && tx->is_open && !tx->is_broken && !task_is_cancelled(task_self())) {
        free(tx);
        return tx_commit_await(c);
    }
    if (c != NULL && !tx->is_open) {
        pg_rollback(tx); /* nothing was said in it */
        return 0;
    }
    pg_rollback(tx);
    if (c == NULL)
        return -ENOTCONN;
    return task_is_cancelled(task_self()) ? -ECANCELED : -EIO;
}

/* ---- counters ---- */

void pg_stats_get(const struct pg *db, struct pg_stats *out)
{
    const struct pg_lane *read = &db->lanes[SQL_READ];
    const struct pg_lane *write = &db->lanes[SQL_WRITE];

    *out = db->stats;
    out->read_up = lane_up(read);
    out->write_up = lane_up(write);
    out->write_busy = lane_count(write, CONN_BUSY);
    out->waiting = read->queued + write->queued;
}
