/*
 * One connection to PostgreSQL.
 *
 *   CONNECTING ──▶ READY ◀──▶ BUSY      BUSY: write lane only, it belongs to one call or transaction
 *        │           │          │
 *        └───────────┴──────────┴──▶ CLOSED ──▶ freed at the end of the turn
 */
#include "core/pg_conn.h"

#include "base/log.h"

static const unsigned conn_next[CONN_STATES] = {
    [CONN_CONNECTING] = 1u << CONN_READY | 1u << CONN_CLOSED,
    [CONN_READY] = 1u << CONN_BUSY | 1u << CONN_CLOSED,
    [CONN_BUSY] = 1u << CONN_READY | 1u << CONN_CLOSED,
};

void pg_conn_set_state(struct pg_conn *c, enum pg_conn_state next)
{
    assert(conn_next[c->state] & 1u << next);
    list_remove(&c->link);
    /* The one that was used last comes first, so that the others can grow old. */
    list_prepend(pg_lane_conns(c->lane, next), &c->link);
    c->state = next;
}

/* ---- steps ---- */

static void steps_push(struct pg_steps *s, enum pg_step_kind kind, struct pg_call *call)
{
    if (s->count == s->capacity) {
        struct pg_steps bigger = {.capacity = s->capacity != 0 ? s->capacity * 2 : 8, .count = s->count};

        bigger.ring = mem_alloc(bigger.capacity * sizeof(*bigger.ring));
        for (unsigned i = 0; i < s->count; i++)
            bigger.ring[i] = s->ring[(s->first + i) & (s->capacity - 1)];
        free(s->ring);
        *s = bigger;
    }
    s->ring[(s->first + s->count++) & (s->capacity - 1)] = (struct pg_step){kind, call};
}

static struct pg_step steps_first(const struct pg_steps *s)
{
    return s->ring[s->first];
}

static void steps_pop(struct pg_steps *s)
{
    s->first = (s->first + 1) & (s->capacity - 1);
    s->count--;
}

/* ---- watching ---- */

static void watch(struct pg_conn *c, bool readable, bool writable)
{
    struct ev_loop *ev = pg_lane_loop(c->lane)->ev;
    int fd = PQsocket(c->pq);

    /* libpq may have closed one socket and opened another under the same number: always set anew. */
    ev_io_stop(ev, &c->readable);
    ev_io_stop(ev, &c->writable);
    if (fd < 0)
        return;
    ev_io_set(&c->readable, fd, EV_READ);
    ev_io_set(&c->writable, fd, EV_WRITE);
    if (readable)
        ev_io_start(ev, &c->readable);
    if (writable)
        ev_io_start(ev, &c->writable);
}

static void unwatch(struct pg_conn *c)
{
    struct ev_loop *ev = pg_lane_loop(c->lane)->ev;

    ev_io_stop(ev, &c->readable);
    ev_io_stop(ev, &c->writable);
    ev_timer_stop(ev, &c->watchdog);
    if (c->look_up != NULL)
        resolve_cancel(c->look_up);
    c->look_up = NULL;
}

static void watchdog_start(struct pg_conn *c, int64_t ms)
{
    struct ev_loop *ev = pg_lane_loop(c->lane)->ev;

    ev_timer_stop(ev, &c->watchdog);
    ev_timer_set(&c->watchdog, (double)ms / 1000, 0);
    ev_timer_start(ev, &c->watchdog);
}

/* ---- the end ---- */

static void settle(struct pg_call *call, int rc)
{
    if (!call->is_settled) {
        call->is_settled = true;
        call->must_retry = false;
        call->rc = rc;
    }
}

/* Calls that were not answered fail; each is named by the step that would have ended it. */
static void fail_calls(struct pg_conn *c)
{
    for (; c->steps.count > 0; steps_pop(&c->steps)) {
        struct pg_step step = steps_first(&c->steps);

        if (step.call == NULL || step.kind == STEP_PREPARE || step.call == c->current)
            continue;
        settle(step.call, -ENOTCONN);
        pg_lane_call_done(step.call);
    }
    if (c->current != NULL) {
        struct pg_call *call = c->current;

        c->current = NULL;
        /* Even a result is worth nothing without the sync that commits it. */
        call->is_settled = false;
        settle(call, -ENOTCONN);
        pg_lane_call_done(call);
    }
    if (c->tx != NULL) {
        c->tx->conn = NULL;
        c->tx = NULL;
    }
}

static void conn_end(struct pg_conn *c, const char *text)
{
    enum pg_conn_state was = c->state;

    if (was == CONN_CLOSED)
        return;
    unwatch(c);
    pg_conn_set_state(c, CONN_CLOSED);
    fail_calls(c);
    pg_lane_conn_closed(c, was, text);
    pg_lane_conn_free_later(c);
}

static void conn_lost(struct pg_conn *c)
{
    conn_end(c, PQerrorMessage(c->pq));
}

void pg_conn_close(struct pg_conn *c)
{
    conn_end(c, NULL);
}

void pg_conn_free(struct pg_conn *c)
{
    assert(c->state == CONN_CLOSED);
    list_remove(&c->link);
    PQfinish(c->pq);
    pg_prepared_fini(&c->prepared);
    free(c->steps.ring);
    free(c);
}

static void on_watchdog(struct ev_loop *ev, ev_timer *w, int revents UNUSED)
{
    struct pg_conn *c = container_of(w, struct pg_conn, watchdog);
    int64_t quiet_ms = (int64_t)((ev_now(ev) - c->progress_at) * 1000);
    int64_t limit_ms = pg_lane_answer_limit_ms(c->lane);

    if (c->state == CONN_CONNECTING)
        conn_end(c, "the server does not answer");
    else if (c->steps.count > 0 && quiet_ms >= limit_ms)
        conn_end(c, "the server stopped answering");
    else if (c->steps.count > 0)
        watchdog_start(c, limit_ms - quiet_ms);
}

/* ---- sending ---- */

static void flush(struct pg_conn *c)
{
    struct ev_loop *ev = pg_lane_loop(c->lane)->ev;
    int rc = PQflush(c->pq);

    if (rc < 0)
        conn_lost(c);
    else if (rc > 0)
        ev_io_start(ev, &c->writable);
    else
        ev_io_stop(ev, &c->writable);
}

/* Before the first step of a quiet connection goes out. */
static void expect_answers(struct pg_conn *c)
{
    if (c->steps.count > 0)
        return;
    c->progress_at = ev_now(pg_lane_loop(c->lane)->ev);
    if (!ev_is_active(&c->watchdog))
        watchdog_start(c, pg_lane_answer_limit_ms(c->lane));
}

/* Types whose binary form is the text itself: no copy is needed to terminate them. */
static bool goes_as_is(unsigned oid)
{
    enum { OID_BYTEA = 17, OID_TEXT = 25, OID_JSON = 114 };

    return oid == OID_BYTEA || oid == OID_TEXT || oid == OID_JSON;
}

/* The parameters in libpq's form; only valid until the next call. */
static struct {
    const char *values[PG_PARAMS_MAX];
    int lengths[PG_PARAMS_MAX];
    int formats[PG_PARAMS_MAX];
    struct buf text;
} form;

static size_t params_bytes(const struct pg_call *call)
{
    size_t bytes = 0;

    for (unsigned i = 0; i < call->stmt->params_count; i++)
        bytes += call->params[i].n;
    return bytes;
}

static size_t terminated_bytes(const struct pg_call *call)
{
    size_t bytes = 0;

    for (unsigned i = 0; i < call->stmt->params_count; i++) {
        if (!goes_as_is(call->stmt->param_types[i]))
            bytes += call->params[i].n + 1;
    }
    return bytes;
}

static void fill_form(const struct pg_call *call)
{
    char *room;

    buf_clear(&form.text);
    room = buf_reserve(&form.text, terminated_bytes(call) + 1);
    for (unsigned i = 0; i < call->stmt->params_count; i++) {
        struct str value = call->params[i];

        form.values[i] = value.p;
        form.lengths[i] = (int)value.n;
        form.formats[i] = goes_as_is(call->stmt->param_types[i]);
        if (form.formats[i] == 0 && !str_is_none(value)) {
            form.values[i] = memcpy(room, value.p, value.n);
            room[value.n] = '\0';
            room += value.n + 1;
        }
    }
}

static bool send_prepare(struct pg_conn *c, struct pg_call *call)
{
    const struct sql_stmt *s = call->stmt;

    if (PQsendPrepare(c->pq, s->name, s->text, (int)s->params_count, s->param_types) == 0)
        return false;
    steps_push(&c->steps, STEP_PREPARE, call);
    return true;
}

static bool send_statement(struct pg_conn *c, struct pg_call *call)
{
    const struct sql_stmt *s = call->stmt;
    enum pg_prepared_state state = pg_prepared_get(&c->prepared, s);

    if (state == PREPARED_NOT && !send_prepare(c, call))
        return false;
    fill_form(call);
    if (state == PREPARED_NEVER)
        return PQsendQueryParams(c->pq, s->text, (int)s->params_count, s->param_types, form.values,
                                 form.lengths, form.formats, 0) != 0;
    /* Assumed until the answer says otherwise, so that the next call of this batch does not prepare it again.
     */
    pg_prepared_put(&c->prepared, s);
    return PQsendQueryPrepared(c->pq, s->name, (int)s->params_count, form.values, form.lengths, form.formats,
                               0) != 0;
}

bool pg_conn_send_call(struct pg_conn *c, struct pg_call *call)
{
    bool is_sent;

    expect_answers(c);
    call->conn = c;
    call->must_retry = false;
    call->tries++;
    c->calls++;
    c->unsynced++;
    if (!pg_lane_is_shared(c->lane))
        c->current = call;
    pg_lane_stats(c->lane)->statements++;
    if (params_bytes(call) > PG_WORN_BYTES)
        c->is_worn = true;
    is_sent = send_statement(c, call);
    steps_push(&c->steps, STEP_EXECUTE, call); /* in any case: it is failed with the others then */
    if (!is_sent)
        conn_lost(c);
    return is_sent;
}

bool pg_conn_send_command(struct pg_conn *c, const char *command, struct pg_call *call)
{
    expect_answers(c);
    if (call != NULL) {
        call->conn = c;
        c->current = call;
        c->calls++;
    }
    if (PQsendQueryParams(c->pq, command, 0, NULL, NULL, NULL, NULL, 0) == 0) {
        conn_lost(c);
        return false;
    }
    steps_push(&c->steps, STEP_COMMAND, call);
    return true;
}

bool pg_conn_sync(struct pg_conn *c)
{
    if (PQpipelineSync(c->pq) == 0) {
        conn_lost(c);
        return false;
    }
    steps_push(&c->steps, STEP_SYNC, NULL);
    c->unsynced = 0;
    pg_lane_stats(c->lane)->round_trips++;
    flush(c);
    return c->state != CONN_CLOSED;
}

/* ---- answers ---- */

/*
 * Whether a failed call was only refused for what the connection knew of its
 * statement: deallocated behind our back (a pooler gave us another server
 * connection), prepared by somebody else under the same name, or planned for a
 * table that has changed since. It was not executed then.
 */
static bool is_stale_statement(struct pg_conn *c, const struct pg_call *call, const PGresult *result)
{
    if (call->stmt == NULL || pg_prepared_get(&c->prepared, call->stmt) == PREPARED_NEVER)
        return false;
    if (pg_result_is(result, "26000"))
        pg_prepared_lost(&c->prepared, call->stmt);
    else if (pg_result_is(result, "42P05") || pg_result_is(result, "0A000"))
        pg_prepared_avoid(&c->prepared, call->stmt);
    else
        return false;
    return true;
}

static void take_failure(struct pg_conn *c, struct pg_call *call, const PGresult *result)
{
    int rc = pg_result_rc(result);

    pg_lane_stats(c->lane)->failures++;
    if (is_stale_statement(c, call, result)) {
        if (c->tx == NULL && call->tries < PG_TRIES_MAX)
            call->must_retry = true;
        else
            rc = -EAGAIN; /* the transaction is broken, but may be tried again */
    }
    if (call->must_retry)
        return;
    if (pg_result_is(result, "25006") && !pg_lane_is_shared(c->lane)) {
        c->is_worn = true; /* it leads to what has become a standby */
        rc = -ENOTCONN;
    }
    if (rc == -EIO)
        pg_lane_log_failure(c->lane, call->stmt != NULL ? call->stmt->name : call->command, result);
    settle(call, rc);
}

/* The server skipped it, because of its own prepare, which was looked at before, or of a neighbour. */
static void take_skipped(struct pg_conn *c, struct pg_step step)
{
    if (step.kind == STEP_PREPARE)
        pg_prepared_forget(&c->prepared, step.call->stmt);
    else if (c->tx == NULL && step.call->tries < PG_TRIES_MAX)
        step.call->must_retry = true;
    else
        settle(step.call, -EIO);
}

/* The commit behind a successful statement failed, for instance on a deferred constraint. Takes the result
 * over. */
static void take_failed_sync(struct pg_conn *c, PGresult *result)
{
    struct pg_call *call = c->current;

    if (call == NULL) {
        PQclear(result);
        return;
    }
    PQclear(call->result);
    call->result = result;
    call->is_settled = false;
    take_failure(c, call, result);
}

/* Returns the result when it is not kept. */
static PGresult *take_result(struct pg_conn *c, struct pg_step step, PGresult *result)
{
    ExecStatusType status = PQresultStatus(result);
    bool is_success = status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK;

    if (step.kind == STEP_SYNC) {
        take_failed_sync(c, result);
        return NULL;
    }
    if (step.call == NULL || step.call->is_settled || (is_success && step.kind == STEP_PREPARE))
        return result;
    if (status == PGRES_PIPELINE_ABORTED) {
        take_skipped(c, step);
        return result;
    }
    if (is_success)
        settle(step.call, 0);
    else
        take_failure(c, step.call, result);
    if (!is_success && step.kind == STEP_PREPARE)
        pg_prepared_forget(&c->prepared, step.call->stmt);
    if (!step.call->is_settled)
        return result;
    step.call->result = result; /* also of a failure, for the constraint's name */
    return NULL;
}

/* The last answer to a step has come. */
static void end_step(struct pg_conn *c, struct pg_step step)
{
    if (step.kind == STEP_PREPARE || step.call == NULL)
        return;
    c->calls--;
    if (pg_lane_is_shared(c->lane))
        pg_lane_call_done(step.call);
}

static void end_sync(struct pg_conn *c)
{
    struct pg_call *call = c->current;

    c->current = NULL;
    if (call != NULL && call->is_settled && call->rc == 0 && c->tx == NULL)
        pg_lane_stats(c->lane)->commits++;
    if (call != NULL)
        pg_lane_call_done(call);
    pg_lane_conn_synced(c);
}

/* False when there is nothing more to read for now. */
static bool read_result(struct pg_conn *c)
{
    struct pg_step step = steps_first(&c->steps);
    PGresult *result = PQgetResult(c->pq);
    bool is_end; /* the server is taking leave */

    if (result == NULL && step.kind == STEP_SYNC)
        return PQstatus(c->pq) == CONNECTION_OK; /* the end of a failed sync's error */
    if (result == NULL || PQresultStatus(result) == PGRES_PIPELINE_SYNC) {
        steps_pop(&c->steps);
        PQclear(result);
        if (step.kind == STEP_SYNC)
            end_sync(c);
        else
            end_step(c, step);
        return true;
    }
    if (PQresultMemorySize(result) > PG_WORN_BYTES)
        c->is_worn = true;
    is_end = pg_result_rc(result) == -ENOTCONN;
    PQclear(take_result(c, step, result));
    if (is_end)
        conn_lost(c);
    return true;
}

static void read_results(struct pg_conn *c)
{
    while (c->state != CONN_CLOSED && c->steps.count > 0 && PQisBusy(c->pq) == 0) {
        c->has_answered = true;
        if (!read_result(c))
            break;
    }
}

static void connect_step(struct pg_conn *c)
{
    switch (PQconnectPoll(c->pq)) {
    case PGRES_POLLING_READING:
        watch(c, true, false);
        break;
    case PGRES_POLLING_WRITING:
        watch(c, false, true);
        break;
    case PGRES_POLLING_OK:
        if (PQsetnonblocking(c->pq, 1) != 0 || PQenterPipelineMode(c->pq) == 0) {
            conn_lost(c);
            break;
        }
        watch(c, true, false);
        ev_timer_stop(pg_lane_loop(c->lane)->ev, &c->watchdog);
        pg_conn_set_state(c, CONN_READY);
        pg_lane_conn_ready(c);
        break;
    default:
        conn_lost(c);
        break;
    }
}

static void on_readable(struct ev_loop *ev, ev_io *w, int revents)
{
    struct pg_conn *c = container_of(w, struct pg_conn, readable);
    bool is_open;

    if (revents & EV_ERROR) {
        conn_end(c, "its socket cannot be watched");
        return;
    }
    if (c->state == CONN_CONNECTING) {
        connect_step(c);
        return;
    }
    c->progress_at = ev_now(ev);
    is_open = PQconsumeInput(c->pq) != 0;
    read_results(c); /* what came before the end is still an answer */
    if (!is_open || PQstatus(c->pq) != CONNECTION_OK)
        conn_lost(c);
    else if (c->state != CONN_CLOSED && ev_is_active(&c->writable))
        flush(c);
}

static void on_writable(struct ev_loop *ev UNUSED, ev_io *w, int revents)
{
    struct pg_conn *c = container_of(w, struct pg_conn, writable);

    if (revents & EV_ERROR)
        conn_end(c, "its socket cannot be watched");
    else if (c->state == CONN_CONNECTING)
        connect_step(c);
    else
        flush(c);
}

static void ignore_notice(void *arg UNUSED, const PGresult *notice UNUSED)
{
    /* Nothing that a notice says concerns us; libpq would print it. */
}

static void connect_begin(struct pg_conn *c, const char *address)
{
    c->pq = pg_lane_connect(c->lane, address);
    if (c->pq == NULL) {
        log_error("pg", "no memory for a connection");
        abort();
    }
    (void)PQsetNoticeReceiver(c->pq, ignore_notice, NULL);
    if (PQstatus(c->pq) == CONNECTION_BAD)
        conn_lost(c);
    else
        watch(c, false, true); /* as if PQconnectPoll() had said so */
}

static void on_resolved(void *arg, const char *address)
{
    struct pg_conn *c = arg;

    c->look_up = NULL;
    if (address != NULL)
        connect_begin(c, address);
    else
        conn_end(c, "the host has no address");
}

struct pg_conn *pg_conn_open(struct pg_lane *lane, const char *host, unsigned attempt)
{
    struct pg_conn *c = mem_zalloc(sizeof(*c));

    c->lane = lane;
    c->state = CONN_CONNECTING;
    list_init(&c->link);
    list_append(pg_lane_conns(lane, CONN_CONNECTING), &c->link);
    ev_init(&c->readable, on_readable);
    ev_init(&c->writable, on_writable);
    ev_init(&c->watchdog, on_watchdog);
    watchdog_start(c, PG_CONNECT_TIMEOUT_MS);
    if (resolve_is_needed(host))
        c->look_up = resolve_start(pg_lane_loop(lane), host, attempt, on_resolved, c);
    if (c->look_up == NULL)
        connect_begin(c, NULL);
    return c;
}
